//! The live view against a naive one.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use statescope_formats::rocksdb::data_block::EntryFault;
use statescope_formats::rocksdb::internal_key::{InternalKeyBuf, ValueType};

use super::*;

/// An entry: user key, sequence number, type, value.
type Entry = (Vec<u8>, u64, ValueType, Vec<u8>);

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Encodes entries as RocksDB's `BlockBuilder` does.
fn encode(entries: &[Entry], restart_interval: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before: Vec<u8> = Vec::new();
    for (i, (key, sequence, kind, value)) in entries.iter().enumerate() {
        let mut internal = key.clone();
        internal.extend((sequence << 8 | *kind as u64).to_le_bytes());
        let common = before.iter().zip(&internal).take_while(|(a, b)| a == b).count();
        let shared = if i % restart_interval == 0 { 0 } else { common };
        varint(&mut out, shared);
        varint(&mut out, internal.len() - shared);
        varint(&mut out, value.len());
        out.extend(&internal[shared..]);
        out.extend(value);
        before = internal;
    }
    out
}

/// A run in memory.
#[derive(Debug)]
struct Memory {
    table: u32,
    blocks: Vec<Vec<u8>>,
    at: usize,
    used: Vec<BlockUse>,
    faults: Vec<EntryFault>,
}

impl Memory {
    fn new(table: u32, entries: &[Entry], block_len: usize, restart_interval: usize) -> Self {
        let blocks = entries.chunks(block_len).map(|chunk| encode(chunk, restart_interval));
        Self { table, blocks: blocks.collect(), at: 0, used: vec![], faults: vec![] }
    }

    fn current(&self) -> &[u8] {
        &self.blocks[self.at - 1]
    }
}

impl Blocks for Memory {
    fn advance(&mut self) -> bool {
        self.at += 1;
        self.at <= self.blocks.len()
    }

    fn entries(&self) -> &[u8] {
        self.current()
    }

    fn global_sequence(&self) -> Option<u64> {
        None
    }

    fn table(&self) -> u32 {
        self.table
    }

    fn done(&mut self, block: &BlockUse, fault: Option<EntryFault>) {
        self.used.push(*block);
        self.faults.extend(fault);
    }
}

/// Key, values from the oldest to the newest, and how much it shares with the row before.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rows {
    rows: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    shared: Vec<usize>,
    open: bool,
}

impl LiveSink for Rows {
    fn put(&mut self, key: &[u8], shared: usize, value: &[u8], table: u32) -> u64 {
        self.begin(key, shared);
        let expired = self.part(value, true, table);
        self.end();
        expired
    }

    fn begin(&mut self, key: &[u8], shared: usize) {
        assert!(!std::mem::replace(&mut self.open, true));
        self.rows.push((key.to_vec(), vec![]));
        self.shared.push(shared);
    }

    fn part(&mut self, value: &[u8], _base: bool, _table: u32) -> u64 {
        assert!(self.open);
        self.rows.last_mut().unwrap().1.insert(0, value.to_vec());
        1
    }

    fn end(&mut self) {
        assert!(std::mem::replace(&mut self.open, false));
    }

    fn not_understood(&mut self, key: &[u8], shared: usize, _table: u32) {
        self.begin(key, shared);
        self.end();
    }
}

/// What is live, looked up key by key.
fn naive(runs: &[Vec<Entry>], deleted: impl Fn(&[u8], u64) -> bool) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut versions: BTreeMap<&[u8], Vec<&Entry>> = BTreeMap::new();
    for entry in runs.iter().flatten() {
        versions.entry(&entry.0).or_default().push(entry);
    }
    let mut rows = Vec::new();
    for (key, mut entries) in versions {
        entries.sort_by_key(|e| std::cmp::Reverse(e.1));
        let mut values = Vec::new();
        let mut live = false;
        for (_, sequence, kind, value) in entries {
            if deleted(key, *sequence) || matches!(kind, ValueType::Deletion | ValueType::SingleDeletion) {
                break;
            }
            live = true;
            if *kind == ValueType::WideColumnEntity {
                break;
            }
            values.insert(0, value.clone());
            if *kind == ValueType::Value {
                break;
            }
        }
        if live {
            rows.push((key.to_vec(), values));
        }
    }
    rows
}

fn shared_with_previous(rows: &[(Vec<u8>, Vec<Vec<u8>>)]) -> Vec<usize> {
    let mut before: &[u8] = &[];
    rows.iter()
        .map(|(key, _)| {
            let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
            before = key;
            shared
        })
        .collect()
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    // Few letters and long common prefixes, zeros and keys that are prefixes of others.
    prop_oneof![
        6 => vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(255)], 0..6),
        3 => vec(0u8..3, 1..4).prop_map(|tail| [&b"a long prefix that many keys have"[..], &tail].concat()),
    ]
}

fn kinds() -> impl Strategy<Value = ValueType> {
    prop_oneof![
        8 => Just(ValueType::Value),
        3 => Just(ValueType::Merge),
        2 => Just(ValueType::Deletion),
        1 => Just(ValueType::SingleDeletion),
        1 => Just(ValueType::WideColumnEntity),
    ]
}

/// Runs whose sequence numbers are all different; a run may hold several versions of a key.
fn runs() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    vec(vec((keys(), kinds(), vec(any::<u8>(), 0..5)), 0..60), 0..12).prop_perturb(|runs, mut rng| {
        let total: usize = runs.iter().map(Vec::len).sum();
        let mut sequences: Vec<u64> = (1..=total as u64).collect();
        for i in (1..sequences.len()).rev() {
            sequences.swap(i, rng.random_range(0..=i));
        }
        let mut next = sequences.into_iter();
        runs.into_iter()
            .map(|run| {
                let mut run: Vec<Entry> =
                    run.into_iter().map(|(k, t, v)| (k, next.next().unwrap(), t, v)).collect();
                run.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
                run
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn as_a_naive_one(
        runs in runs(),
        block_len in 1usize..40,
        restart_interval in 1usize..17,
        mut stops in vec(keys(), 0..4),
        low in prop_oneof![Just(vec![]), keys()],
        deletions in vec((keys(), keys(), 0u64..200, 0usize..6), 0..3),
    ) {
        let whole = (
            InternalKeyBuf { user_key: vec![], sequence: u64::MAX >> 8, value_type: ValueType::Value },
            InternalKeyBuf { user_key: vec![0xff; 50], sequence: 1, value_type: ValueType::Value },
        );
        let tombstones = RangeTombstones::new(deletions.iter().map(|(start, end, sequence, _)| {
            StoredTombstone { start, end, sequence: *sequence, smallest: &whole.0, largest: &whole.1 }
        }));
        let deleted = |key: &[u8], sequence: u64| {
            deletions.iter().any(|(start, end, newest, _)| {
                &start[..] <= key && key < &end[..] && sequence < *newest
            })
        };
        stops.sort();
        let mut expected = naive(&runs, deleted);
        expected.retain(|(key, _)| key >= &low);
        let memory = |(i, run): (usize, &Vec<Entry>)| Memory::new(i as u32, run, block_len, restart_interval);
        let mut scan = LiveScan::new(runs.iter().enumerate().map(memory).collect(), &low, &tombstones);
        let mut rows = Rows::default();
        for stop in stops.iter().filter(|stop| **stop > low) {
            scan.run(Some(stop), &mut rows);
            let so_far = expected.iter().take_while(|(key, _)| key < stop).count();
            prop_assert_eq!(rows.rows.len(), so_far);
        }
        scan.run(None, &mut rows);
        prop_assert_eq!(&rows.rows, &expected);
        prop_assert_eq!(rows.shared, shared_with_previous(&expected));

        let raw = |e: &Entry| (e.0.len() + e.3.len()) as u64;
        let mut used = BlockUse::default();
        for block in scan.finish().iter().flat_map(|run| &run.used) {
            used.before += block.before;
            used.behind += block.behind;
            used.entries += block.entries;
            used.key_bytes += block.key_bytes;
            used.value_bytes += block.value_bytes;
            used.deletions += block.deletions + block.single_deletions;
            used.merges += block.merges;
            used.shadowed += block.shadowed;
            used.deleted += block.deleted;
            used.not_understood += block.not_understood;
            used.dead_bytes += block.dead_bytes;
            used.expired_bytes += block.expired_bytes;
        }
        let all = || runs.iter().flatten();
        let inside = || all().filter(|e| e.0 >= low);
        prop_assert_eq!(used.before, all().filter(|e| e.0 < low).map(raw).sum::<u64>());
        prop_assert_eq!(used.behind, 0);
        prop_assert_eq!(used.entries, inside().count() as u64);
        prop_assert_eq!(used.raw(), inside().map(raw).sum::<u64>());
        let parts: usize = expected.iter().map(|(_, values)| values.len()).sum();
        prop_assert_eq!(used.expired_bytes, parts as u64);
        prop_assert_eq!(
            used.entries,
            used.deletions + used.shadowed + used.deleted + used.not_understood + parts as u64
        );
    }

    #[test]
    fn a_scan_that_stops_tells_what_is_left(runs in runs(), block_len in 1usize..40, stop in keys()) {
        let none = RangeTombstones::default();
        let memory = |(i, run): (usize, &Vec<Entry>)| Memory::new(i as u32, run, block_len, 16);
        let mut scan = LiveScan::new(runs.iter().enumerate().map(memory).collect(), &[], &none);
        scan.run(Some(&stop), &mut Rows::default());
        for (run, memory) in runs.iter().zip(scan.finish()) {
            // Of the blocks that were entered, everything is in range or behind it.
            let entered = run.chunks(block_len).take(memory.used.len()).flatten();
            let raw: u64 = entered.map(|e| (e.0.len() + e.3.len()) as u64).sum();
            prop_assert_eq!(memory.used.iter().map(|b| b.raw() + b.behind).sum::<u64>(), raw);
            let in_range = run.iter().filter(|e| e.0 < stop).count() as u64;
            prop_assert_eq!(memory.used.iter().map(|b| b.entries).sum::<u64>(), in_range);
        }
    }
}

#[test]
fn long_keys() {
    let key = |tail: &[u8]| [&vec![7; 70_000][..], tail].concat();
    let put = |tail: &[u8], sequence| (key(tail), sequence, ValueType::Value, vec![sequence as u8]);
    let runs = [
        vec![put(b"a", 9), put(b"b", 8), put(b"d", 1)],
        vec![put(b"a", 5), put(b"c", 4), put(b"d", 3)],
        vec![put(b"", 6), put(b"d", 7)],
    ];
    let none = RangeTombstones::default();
    let memory = |(i, run): (usize, &Vec<Entry>)| Memory::new(i as u32, run, 2, 2);
    let mut scan = LiveScan::new(runs.iter().enumerate().map(memory).collect(), &[], &none);
    let mut rows = Rows::default();
    scan.run(None, &mut rows);
    assert!(rows.rows == naive(&runs, |_, _| false));
    assert_eq!(rows.shared, [0, 70_000, 70_000, 70_000, 70_000]);
}

#[test]
fn a_damaged_block_costs_what_is_behind_the_damage() {
    let put = |key: u8, sequence| (vec![key], sequence, ValueType::Value, vec![]);
    let mut damaged = Memory::new(0, &[put(1, 1), put(2, 2), put(3, 3), put(4, 4)], 2, 16);
    let at = damaged.blocks[0].len() - 12;
    damaged.blocks[0][at] = 0x7f;
    let whole = Memory::new(1, &[put(2, 9), put(9, 9)], 2, 16);
    let none = RangeTombstones::default();
    let mut scan = LiveScan::new(vec![damaged, whole], &[], &none);
    let mut rows = Rows::default();
    scan.run(None, &mut rows);
    let keys: Vec<u8> = rows.rows.iter().map(|(key, _)| key[0]).collect();
    assert_eq!(keys, [1, 2, 3, 4, 9]);
    assert_eq!(scan.finish()[0].faults.len(), 1);
}

#[test]
fn tombstones_hold_between_their_tables_boundaries() {
    let bound =
        |key: &[u8], sequence, value_type| InternalKeyBuf { user_key: key.to_vec(), sequence, value_type };
    let smallest = bound(b"c", 20, ValueType::Value);
    let largest = bound(b"m", 10, ValueType::Value);
    let make = |largest: &InternalKeyBuf| {
        RangeTombstones::new([StoredTombstone {
            start: b"a",
            end: b"z",
            sequence: 50,
            smallest: &smallest,
            largest,
        }])
    };
    let covers = |t: &RangeTombstones, key: &[u8], sequence| {
        let answers: Vec<bool> = (0..9).map(|near| t.covers(&mut { near }, key, sequence)).collect();
        assert!(answers.iter().all(|a| *a == answers[0]), "{key:?} {sequence}");
        answers[0]
    };
    let t = make(&largest);
    assert!(!covers(&t, b"b", 1));
    assert!(covers(&t, b"c", 20) && covers(&t, b"c", 1) && !covers(&t, b"c", 21));
    assert!(covers(&t, b"d", 49) && !covers(&t, b"d", 50));
    assert!(covers(&t, b"m", 10) && covers(&t, b"m", 49) && !covers(&t, b"m", 9));
    assert!(!covers(&t, b"ma", 1) && !covers(&t, b"n", 1));
    assert!(t.touches(b"a", b"c") && !t.touches(b"a", b"b") && !t.touches(b"mb", b"z"));
    // A boundary with sequence number 0 is not covered itself.
    assert!(!covers(&make(&bound(b"m", 0, ValueType::Value)), b"m", 0));
    // The end of a tombstone as boundary is exclusive.
    let t = make(&bound(b"m", (1 << 56) - 1, ValueType::RangeDeletion));
    assert!(covers(&t, b"lz", 1) && !covers(&t, b"m", 1));
}
