//! Random changes over random rows, against a map.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use proptest::prelude::*;

use super::fold::{Fold, Mark, Outcome};
use super::segment::Writer;
use super::{Changed, Overlaid};
use crate::analyzers::analysis::Spill;
use crate::lsm::LiveSink;
use crate::scan::sorter::Sorter;

/// Keeps runs in memory.
#[derive(Debug, Default)]
struct Runs(Vec<Vec<u8>>);

impl Spill for Runs {
    fn write_run(&mut self, run: &[u8]) -> io::Result<()> {
        self.0.push(run.to_vec());
        Ok(())
    }

    fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
        Ok(std::mem::take(&mut self.0).into_iter().map(|run| Box::new(Cursor::new(run)) as Box<_>).collect())
    }
}

type Key = Vec<u8>;

/// What rows hold; nothing where it is not known.
type Rows = BTreeMap<Key, Option<Vec<u8>>>;

/// Collects rows, and sees to it that they ascend and share what they are said to.
#[derive(Debug, Default)]
struct Collected {
    rows: Vec<(Key, Option<Vec<u8>>)>,
    key: Key,
    parts: Vec<Vec<u8>>,
}

impl Collected {
    fn follow(&mut self, key: &[u8], shared: usize) {
        let last = self.rows.last().map_or(&[][..], |(key, _)| key);
        assert!(self.rows.is_empty() || last < key, "{key:?} after {last:?}");
        assert_eq!(shared, last.iter().zip(key).take_while(|(a, b)| a == b).count());
        self.key = key.to_vec();
    }
}

impl LiveSink for Collected {
    fn put(&mut self, key: &[u8], shared: usize, value: &[u8], _: u32) -> u64 {
        self.follow(key, shared);
        self.rows.push((key.to_vec(), Some(value.to_vec())));
        value.len() as u64
    }

    fn begin(&mut self, key: &[u8], shared: usize) {
        self.follow(key, shared);
        self.parts.clear();
    }

    fn part(&mut self, value: &[u8], _: bool, _: u32) -> u64 {
        self.parts.push(value.to_vec());
        value.len() as u64
    }

    fn end(&mut self) {
        self.parts.reverse();
        self.rows.push((self.key.clone(), Some(self.parts.join(&b','))));
    }

    fn not_understood(&mut self, key: &[u8], shared: usize, _: u32) {
        self.follow(key, shared);
        self.rows.push((key.to_vec(), None));
    }
}

/// What Flink does with a change.
fn apply(rows: &mut Rows, outcome: Outcome, key: &[u8], value: &[u8]) {
    match outcome {
        Outcome::Put => drop(rows.insert(key.to_vec(), Some(value.to_vec()))),
        Outcome::Delete => drop(rows.remove(key)),
        Outcome::Append => match rows.get_mut(key) {
            Some(Some(old)) => *old = [old, value].join(&b','),
            Some(None) => {}
            None => drop(rows.insert(key.to_vec(), Some(value.to_vec()))),
        },
        Outcome::Merge => drop(rows.insert(key.to_vec(), None)),
        Outcome::DeletePrefix => rows.retain(|row, _| !row.starts_with(key)),
    }
}

fn of_map() -> impl Strategy<Value = (Outcome, Key)> {
    let outcome = prop_oneof![Just(Outcome::Put), Just(Outcome::Delete)];
    let row = (outcome, 0u8..4, 0u8..4).prop_map(|(outcome, map, key)| (outcome, vec![map, key]));
    let cleared = (0u8..4).prop_map(|map| (Outcome::DeletePrefix, vec![map]));
    prop_oneof![4 => row, 1 => cleared]
}

fn of_list() -> impl Strategy<Value = (Outcome, Key)> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Append),
        1 => Just(Outcome::Put),
        1 => Just(Outcome::Delete),
        1 => Just(Outcome::Merge)
    ];
    (outcome, 0u8..8).prop_map(|(outcome, key)| (outcome, vec![key, 9]))
}

/// Rows of what was materialized: of several parts, newest first, or of a value.
fn base(
    rows: &BTreeMap<Key, Vec<Vec<u8>>>,
    stops: &[Key],
    changed: &mut Changed,
    sink: &mut Collected,
) -> u64 {
    let mut replaced = 0;
    let mut stops = stops.iter();
    let mut stop = stops.next();
    for (key, parts) in rows {
        while let Some(end) = stop.filter(|end| *end <= key) {
            changed.run(Some(end), sink);
            stop = stops.next();
        }
        let mut overlaid = Overlaid::new(changed, sink);
        match parts.as_slice() {
            [one] => drop(overlaid.put(key, 0, one, 3)),
            several => {
                overlaid.begin(key, 0);
                for (at, part) in several.iter().rev().enumerate() {
                    overlaid.part(part, at + 1 == several.len(), 3);
                }
                overlaid.end();
            }
        }
        replaced += u64::from(overlaid.is_replaced());
    }
    changed.run(None, sink);
    replaced
}

fn check(
    materialized: &BTreeMap<Key, Vec<Vec<u8>>>,
    changes: &[(Outcome, Key)],
    stops: &[Key],
    memory: usize,
    room: usize,
) {
    let mut expected: Rows =
        materialized.iter().map(|(key, parts)| (key.clone(), Some(parts.join(&b',')))).collect();
    let mut sorter = Sorter::newest_first(memory, Some(Box::new(Runs::default())));
    for ((outcome, key), sequence) in changes.iter().zip(1u64..) {
        let value = sequence.to_string().into_bytes();
        apply(&mut expected, *outcome, key, &value);
        let mark = Mark { sequence, outcome: *outcome };
        let is_valued = matches!(outcome, Outcome::Put | Outcome::Append);
        sorter.push(key, &[&mark.bytes()[..], if is_valued { &value } else { &[] }].concat()).unwrap();
    }
    let (mut fold, mut writer, mut left) =
        (Fold::default(), Writer::new(Some(Box::new(Runs::default()))), room);
    let mut each = |key: &[u8], outcome, value: &[u8]| {
        left -= writer.push(key, outcome, value, left)?;
        Ok::<_, super::segment::SegmentError>(())
    };
    sorter
        .drain(&mut |key, value| {
            let (mark, value) = Mark::cut(value).unwrap();
            fold.push(key, mark, value, &mut each).unwrap();
        })
        .unwrap();
    fold.end(&mut each).unwrap();
    writer.end_state().unwrap();
    let outcomes = writer.finish().unwrap().pop().unwrap();
    let (mut changed, mut collected) = (Changed::new(outcomes), Collected::default());
    let replaced = base(materialized, stops, &mut changed, &mut collected);
    assert_eq!(changed.failure(), None);
    let expected: Vec<_> = expected.into_iter().collect();
    assert_eq!(collected.rows, expected, "{materialized:?} {changes:?}");
    assert!(replaced <= materialized.len() as u64);
}

proptest! {
    #[test]
    fn changes_of_maps_are_those_of_a_map(
        rows in prop::collection::btree_map((0u8..4, 0u8..4).prop_map(|(a, b)| vec![a, b]), Just(vec![b"old".to_vec()]), 0..12),
        changes in prop::collection::vec(of_map(), 0..40),
        stops in prop::collection::btree_set((0u8..4).prop_map(|map| vec![map]), 0..4),
        memory in 0usize..600,
        room in 0usize..200,
    ) {
        check(&rows, &changes, &stops.into_iter().collect::<Vec<_>>(), memory, room);
    }

    #[test]
    fn changes_of_lists_are_those_of_a_map(
        rows in prop::collection::btree_map(
            (0u8..8).prop_map(|key| vec![key, 9]),
            prop::collection::vec(prop::collection::vec(65u8..70, 1..3), 1..4),
            0..8,
        ),
        changes in prop::collection::vec(of_list(), 0..40),
        memory in 0usize..600,
        room in 0usize..200,
    ) {
        check(&rows, &changes, &[], memory, room);
    }
}

#[test]
fn what_does_not_fit_and_has_no_place_is_an_error() {
    let mut writer = Writer::new(None);
    assert_eq!(writer.push(b"key", Outcome::Put, b"value", 100).unwrap(), 17);
    assert_eq!(writer.push(b"key", Outcome::Put, b"value", 3).unwrap(), 0);
    assert!(writer.end_state().is_err());
}
