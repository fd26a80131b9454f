//! Splits and runs against what they are for.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::scan::plan::{KeyRange, runs};

/// How many bytes a split is to have.
const SPLIT: u64 = 32 << 20;

fn table(number: u32, level: u32, size: u64, keys: (Vec<u8>, Vec<u8>)) -> ScanTable {
    let made = Made::of_groups(0, 1, 1, 0);
    ScanTable {
        file: FileId(number),
        source: Source::Memory { bytes: bytes::Bytes::new(), metadata: Location::parse("file:/m").unwrap() },
        name: String::new(),
        number: number.into(),
        level,
        size,
        bounds: bounds(&keys),
        tail: Arc::new(made.tail()),
        global_sequence: None,
    }
}

/// Few key groups, the last ones that one byte can say among them.
fn key_groups() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0u8..24, 1 => 252..=255u8]
}

/// Keys of any length, most of them in the key groups that are used; hostile ones are shorter than their key group.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (key_groups(), vec(any::<u8>(), 1..4)).prop_map(|(group, rest)| [vec![group], rest].concat()),
        1 => vec(any::<u8>(), 0..3),
    ]
}

fn tables() -> impl Strategy<Value = Vec<ScanTable>> {
    let one = (0u32..4, 0u64..200 << 20, keys(), keys());
    vec(one, 0..12).prop_map(|all| {
        let numbered = (0u32..).zip(all);
        numbered
            .map(|(n, (level, size, a, b))| table(n, level, size, if a <= b { (a, b) } else { (b, a) }))
            .collect()
    })
}

fn holds(range: &KeyRange, key: &[u8]) -> bool {
    range.low.as_slice() <= key && range.high.as_deref().is_none_or(|high| key < high)
}

/// Where a key lies among all keys, as a share of them by its first eight bytes.
fn position(key: &[u8]) -> f64 {
    (0..8).map(|at| f64::from(key.get(at).copied().unwrap_or(0)) / 256f64.powi(at as i32 + 1)).sum()
}

/// Bytes of tables before a key, if the keys of each are spread evenly.
fn before(tables: &[ScanTable], key: Option<&[u8]>) -> f64 {
    let of = |table: &ScanTable| {
        let (from, to) =
            (position(&table.bounds.smallest.user_key), position(&table.bounds.largest.user_key));
        let share = match key {
            Some(key) if key <= table.bounds.smallest.user_key.as_slice() => 0.0,
            Some(key) if key <= table.bounds.largest.user_key.as_slice() && to > from => {
                (position(key) - from) / (to - from)
            }
            Some(key) if key <= table.bounds.largest.user_key.as_slice() => 0.0,
            _ => 1.0,
        };
        table.size as f64 * share
    };
    tables.iter().map(of).sum()
}

proptest! {
    #[test]
    fn every_key_is_in_one_split(
        prefix in 1usize..=2,
        (first, last) in (key_groups(), key_groups()).prop_map(|(a, b)| (u32::from(a.min(b)), u32::from(a.max(b)))),
        tables in tables(),
        asked in vec(keys(), 40),
    ) {
        // Two bytes of key group: all groups begin with a zero.
        let tables: Vec<ScanTable> = tables.into_iter().map(|mut table| {
            if prefix == 2 {
                let TableBounds { smallest, largest, .. } = &mut table.bounds;
                [smallest, largest].into_iter().for_each(|key| key.user_key.insert(0, 0));
            }
            table
        }).collect();
        let named: Vec<Extent<'_>> = tables.iter().map(ScanTable::extent).collect();
        let splits = ranges(&named, prefix, (first, last), SPLIT_BYTES);
        let whole = KeyRange::of_key_groups(prefix, first, last);
        let group_of = |key: &[u8]| key.get(..prefix).map(|p| p.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)));

        // They follow one another from the first key group to the last.
        prop_assert_eq!(&splits[0].low, &whole.low);
        prop_assert_eq!(&splits.last().unwrap().high, &whole.high);
        for pair in splits.windows(2) {
            prop_assert_eq!(pair[0].high.as_ref(), Some(&pair[1].low));
            prop_assert!(pair[0].low < pair[1].low);
        }
        let groups: Vec<KeyRange> = splits.iter().map(|split| split.of_whole_groups(prefix)).collect();
        let asked = asked.into_iter().map(|key| if prefix == 2 { [vec![0], key].concat() } else { key });
        for key in asked.chain(splits.iter().map(|split| split.low.clone())) {
            let mine = group_of(&key).is_some_and(|group| (first..=last).contains(&group));
            for ranges in [&splits, &groups] {
                let found = ranges.iter().filter(|range| holds(range, &key)).count();
                prop_assert!(if mine { found == 1 } else { found <= 1 && key.len() < prefix || found == 0 }, "{key:?}");
            }
            // What does not divide key groups is where the begin of its key group is.
            let Some(group) = group_of(&key).filter(|_| mine) else { continue };
            let begin = KeyRange::of_key_groups(prefix, group, group).low;
            let of = |key: &[u8]| groups.iter().position(|range| holds(range, key));
            prop_assert_eq!(of(&key), of(&begin));
        }

        // They are cut at begins of key groups, and of tables below level 0.
        for low in splits.iter().skip(1).map(|split| &split.low) {
            let of_table = tables.iter().any(|t| t.level > 0 && t.bounds.smallest.user_key == *low);
            prop_assert!(low.len() == prefix || of_table, "{low:?}");
        }

        // Each has its bytes and not many more: up to the next place where it could have ended.
        let bytes = |range: &KeyRange| before(&tables, range.high.as_deref()) - before(&tables, Some(&range.low));
        let mut places: Vec<Vec<u8>> = (first..=last)
            .map(|group| KeyRange::of_key_groups(prefix, group, group).low)
            .chain(tables.iter().filter(|t| t.level > 0).map(|t| t.bounds.smallest.user_key.clone()))
            .filter(|key| holds(&whole, key))
            .collect();
        places.sort();
        for (index, split) in splits.iter().enumerate() {
            let own = bytes(split);
            let is_last = index + 1 == splits.len();
            prop_assert!(is_last || own >= SPLIT as f64 - 100.0, "split {index} has {own}");
            let within = places.iter().rfind(|place| **place > split.low && holds(split, place));
            if splits.len() > 1 && let Some(place) = within {
                let begun = KeyRange { low: split.low.clone(), high: Some(place.clone()) };
                prop_assert!(bytes(&begun) < SPLIT as f64 + 100.0, "split {index} could have ended before {place:?}");
            }
        }

        // In any order of tables.
        let backwards: Vec<Extent<'_>> = tables.iter().rev().map(ScanTable::extent).collect();
        prop_assert_eq!(ranges(&backwards, prefix, (first, last), SPLIT_BYTES), splits);
    }

    #[test]
    fn runs_are_as_few_as_tables_overlap_and_each_is_in_order(tables in tables()) {
        let numbered: Vec<(u32, &ScanTable)> = (0u32..).zip(&tables).collect();
        let found = runs(&numbered);
        let mut all: Vec<u32> = found.iter().flatten().copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..tables.len() as u32).collect::<Vec<_>>());
        for run in &found {
            for pair in run.windows(2) {
                let (a, b) = (&tables[pair[0] as usize].bounds, &tables[pair[1] as usize].bounds);
                prop_assert!(a.largest.as_key() < b.smallest.as_key(), "{a:?} {b:?}");
            }
        }
        // As many as tables lie above one another somewhere.
        let over = |key: InternalKey<'_>| {
            tables.iter().filter(|t| t.bounds.smallest.as_key() <= key && key <= t.bounds.largest.as_key()).count()
        };
        let most = tables.iter().map(|table| over(table.bounds.smallest.as_key())).max().unwrap_or(0);
        prop_assert_eq!(found.len(), most);
    }
}

#[test]
fn levels_are_runs_of_their_own_where_they_can_be() {
    let key = |n: u8| vec![n, n];
    let two = [table(0, 1, 1, (key(1), key(3))), table(1, 2, 1, (key(2), key(4)))];
    let four = [table(2, 2, 1, (key(5), key(6))), table(3, 1, 1, (key(5), key(7)))];
    let all: Vec<(u32, &ScanTable)> = (0u32..).zip(two.iter().chain(&four)).collect();
    assert_eq!(runs(&all), [vec![0, 3], vec![1, 2]]);
}

#[test]
fn the_last_key_group_that_a_prefix_can_say_has_no_end() {
    assert_eq!(KeyRange::of_key_groups(1, 250, 255), KeyRange { low: vec![250], high: None });
    assert_eq!(KeyRange::of_key_groups(2, 0, 32767), KeyRange { low: vec![0, 0], high: Some(vec![0x80, 0]) });
    let cut = KeyRange { low: vec![255, 1], high: None };
    // Nothing is left of it: all of its key group is in the range before.
    assert!(!holds(&cut.of_whole_groups(1), &[255, 255]));
    let before = KeyRange { low: vec![250], high: Some(vec![255, 1]) };
    assert_eq!(before.of_whole_groups(1), KeyRange { low: vec![250], high: None });
}

/// Whole scans: however a state is cut, each row counts once, and each index is read once.
#[test]
fn splits_count_each_row_once_and_read_each_index_once() {
    let made = [Made::of_groups(0, 40, 5, 600), Made::of_groups(60, 30, 3, 900)];
    let rows = made.iter().map(Made::entries).sum::<u64>();
    for claimed in [1, 100 << 20, 1 << 30, 9 << 30] {
        let world =
            World::new("s3://b", &[(&made[0], 1, claimed), (&made[1], 2, claimed)], &[(0, 29), (30, 127)]);
        for threads in [1, 4] {
            let read = world.scan(threads);
            assert_eq!(read.rows, rows, "{claimed}");
            assert_eq!(read.finished.findings, []);
            let PhysicalTally { files, puts, clipped, stored_bytes, index_bytes, damaged_files, .. } =
                read.tally;
            assert_eq!((files, puts, clipped, damaged_files), (2, rows, 0, 0), "{claimed}");
            assert_eq!(stored_bytes, made.iter().map(Made::data_bytes).sum::<u64>(), "{claimed}");
            assert!(index_bytes <= made.iter().map(|made| made.index.end() - made.index.offset).sum::<u64>());
            assert_eq!(read.splits > 2, claimed > 1, "{} splits", read.splits);
            assert_eq!(indexes(&read, &world, &made), [1, 1], "{claimed}");
        }
    }
}

/// How often the index of each table was asked for.
fn indexes(read: &Read, world: &World, made: &[Made]) -> Vec<usize> {
    let of = |(table, made): (u32, &Made)| {
        let is_it = |r: &&RequestRecord| {
            r.location == *world.location(table)
                && r.span == Some(crate::storage::Span::Range(made.index.offset..made.index.end()))
        };
        read.log.iter().filter(is_it).count()
    };
    (0u32..).zip(made).map(of).collect()
}

#[test]
fn what_is_small_leaves_more_for_the_rest() {
    assert_eq!(largest_part(vec![], 10), u64::MAX);
    assert_eq!(largest_part(vec![3, 1, 6], 10), u64::MAX);
    assert_eq!(largest_part(vec![3, 1, 7], 10), 6);
    assert_eq!(largest_part(vec![9, 0, 2, 9], 10), 4);
    assert_eq!(largest_part(vec![5, 5, 5], 2), 0);
}
