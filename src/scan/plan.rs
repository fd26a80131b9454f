//! Cuts what is to be read into splits: ranges of composite keys of one handle, of about the same bytes.
//!
//! Cuts are made from MANIFEST alone, so that planning reads nothing, and lie at begins of key groups and at
//! begins of tables. They do not depend on the number of threads: neither does the result.

use std::collections::BTreeSet;

use super::tables::ScanTable;
use crate::model::TableBounds;

/// Bytes of tables that a split is to have.
pub(super) const SPLIT_BYTES: u64 = 32 << 20;

/// What MANIFEST says of where a table's keys lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent<'t> {
    pub(super) level: u32,
    pub(super) size: u64,
    pub(super) bounds: &'t TableBounds,
}

/// A range of composite keys of a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    /// The first key.
    pub(super) low: Vec<u8>,
    /// The first key behind it; none for the end.
    pub(super) high: Option<Vec<u8>>,
}

impl KeyRange {
    /// The range of key groups from `first` to `last`, as composite keys begin with them.
    pub(super) fn of_key_groups(prefix: usize, first: u32, last: u32) -> Self {
        Self {
            low: group_begin(prefix, first).unwrap_or_default(),
            high: group_begin(prefix, last.saturating_add(1)),
        }
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let high = match (&self.high, &other.high) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (high, None) | (None, high) => high.clone(),
        };
        Self { low: (&self.low).max(&other.low).clone(), high }
    }

    /// Whether there are no keys in it.
    pub(super) fn is_empty(&self) -> bool {
        self.high.as_ref().is_some_and(|high| *high <= self.low)
    }

    /// The key groups that it has a part of.
    pub(super) fn around(&self, prefix: usize) -> Self {
        let low = self.low.get(..prefix).unwrap_or(&self.low).to_vec();
        Self { low, high: Self { low: Vec::new(), high: self.high.clone() }.of_whole_groups(prefix).high }
    }

    /// Where key groups begin within it, of so many.
    pub(super) fn key_groups_begin(&self, prefix: usize, (first, last): (u32, u32)) -> Vec<Vec<u8>> {
        let begins = (first..=last).filter_map(|group| group_begin(prefix, group));
        let is_within = |key: &Vec<u8>| *key > self.low && self.high.as_ref().is_none_or(|high| key < high);
        begins.filter(is_within).collect()
    }

    /// The same range with both ends moved to begins of key groups: up, so that neighbours stay neighbours.
    pub(super) fn of_whole_groups(&self, prefix: usize) -> Self {
        let up = |key: &[u8]| {
            if key.len() <= prefix {
                return Some(key.to_vec());
            }
            let group =
                key.get(..prefix).unwrap_or_default().iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
            group_begin(prefix, group + 1)
        };
        match up(&self.low) {
            Some(low) => Self { low, high: self.high.as_deref().and_then(up) },
            // Behind the last key group is nothing, and what is in it belongs to the range before.
            None => Self { low: Vec::new(), high: Some(Vec::new()) },
        }
    }
}

/// The prefix of a key group; none behind the last one that fits.
fn group_begin(prefix: usize, group: u32) -> Option<Vec<u8>> {
    let bytes = group.to_be_bytes();
    let (unused, used) = bytes.split_at_checked(4usize.checked_sub(prefix)?)?;
    unused.iter().all(|byte| *byte == 0).then(|| used.to_vec())
}

/// A key as a number, by its first bytes.
fn position(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(bytes)
}

/// How many bytes of a table lie before a key, if its keys were spread evenly.
pub(super) fn bytes_before(table: &Extent<'_>, key: &[u8]) -> u64 {
    let (smallest, largest) = (&table.bounds.smallest.user_key, &table.bounds.largest.user_key);
    if key <= &smallest[..] {
        return 0;
    }
    if key > &largest[..] {
        return table.size;
    }
    let (from, to) = (position(smallest), position(largest));
    super::feed::share(table.size, position(key).saturating_sub(from), to.saturating_sub(from).max(1))
        .min(table.size)
}

/// Cuts the key groups of a handle into ranges of about so many bytes.
pub(super) fn ranges(
    tables: &[Extent<'_>],
    prefix: usize,
    (first, last): (u32, u32),
    bytes: u64,
) -> Vec<KeyRange> {
    let whole = KeyRange::of_key_groups(prefix, first, last);
    let total: u64 = tables.iter().map(|table| table.size).sum();
    if total <= bytes / 2 * 3 {
        return vec![whole];
    }
    let mut candidates: BTreeSet<Vec<u8>> =
        (first.saturating_add(1)..=last).filter_map(|group| group_begin(prefix, group)).collect();
    // In level 0, begins of tables say nothing about where keys are.
    candidates.extend(tables.iter().filter(|t| t.level > 0).map(|t| t.bounds.smallest.user_key.clone()));
    candidates.retain(|key| *key > whole.low && whole.high.as_ref().is_none_or(|high| key < high));

    let before = |key: &[u8]| tables.iter().map(|table| bytes_before(table, key)).sum::<u64>();
    let (mut ranges, mut low, mut from) = (Vec::new(), whole.low.clone(), before(&whole.low));
    for candidate in candidates {
        let to = before(&candidate);
        if to.saturating_sub(from) >= bytes {
            ranges.push(KeyRange {
                low: std::mem::replace(&mut low, candidate.clone()),
                high: Some(candidate),
            });
            from = to;
        }
    }
    ranges.push(KeyRange { low, high: whole.high });
    ranges
}

/// Cuts the key groups of a handle into ranges of about so many bytes, if all of them had as many.
pub(super) fn even_ranges(total: u64, prefix: usize, (first, last): (u32, u32), bytes: u64) -> Vec<KeyRange> {
    let groups = u64::from(last.saturating_sub(first)).saturating_add(1);
    let parts = total.div_ceil(bytes.max(1)).clamp(1, groups);
    let begin = |part: u64| first.saturating_add(u32::try_from(groups * part / parts).unwrap_or(u32::MAX));
    let range = |part| KeyRange::of_key_groups(prefix, begin(part), begin(part + 1).saturating_sub(1));
    (0..parts).map(range).collect()
}

/// The largest part that can be had of each of some things, all of those that are smaller, so that the sum is at most so
/// much.
pub(super) fn largest_part(mut sizes: Vec<u64>, sum: u64) -> u64 {
    sizes.sort_unstable();
    let (mut rest, mut count) = (sum, sizes.len() as u64);
    for size in sizes {
        if size > rest / count {
            return rest / count;
        }
        (rest, count) = (rest - size, count - 1);
    }
    u64::MAX
}

/// Distributes tables over as few runs as possible, each in ascending order without overlaps. Tables are
/// named by their index.
pub(super) fn runs(tables: &[(u32, &ScanTable)]) -> Vec<Vec<u32>> {
    let mut sorted: Vec<_> = tables.iter().collect();
    sorted.sort_by(|(a, x), (b, y)| {
        x.bounds.smallest.as_key().cmp(&y.bounds.smallest.as_key()).then(x.level.cmp(&y.level)).then(a.cmp(b))
    });
    let mut runs: Vec<(Vec<u32>, &ScanTable)> = Vec::new();
    for (index, table) in sorted {
        let fits = |last: &ScanTable| last.bounds.largest.as_key() < table.bounds.smallest.as_key();
        // A run of the same level is the best place; any run will do.
        let place = runs
            .iter()
            .position(|(_, last)| last.level == table.level && fits(last))
            .or_else(|| runs.iter().position(|(_, last)| fits(last)));
        match place.and_then(|at| runs.get_mut(at)) {
            Some((run, last)) => {
                run.push(*index);
                *last = table;
            }
            None => runs.push((vec![*index], table)),
        }
    }
    runs.into_iter().map(|(run, _)| run).collect()
}
