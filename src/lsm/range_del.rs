//! Which entries range tombstones delete.

use statescope_formats::rocksdb::internal_key::{InternalKeyBuf, MAX_SEQUENCE, ValueType};

/// A range tombstone of a table, as it is stored, with the table's boundaries by which it is cut.
#[derive(Debug, Clone, Copy)]
pub struct StoredTombstone<'a> {
    /// The first user key that is deleted.
    pub start: &'a [u8],
    /// The first user key behind the range.
    pub end: &'a [u8],
    /// The sequence number of the deletion: what is older is deleted.
    pub sequence: u64,
    /// The smallest key of the table, as the MANIFEST has it.
    pub smallest: &'a InternalKeyBuf,
    /// The largest key of the table.
    pub largest: &'a InternalKeyBuf,
}

/// The range tombstones of some tables, cut at each other's ends.
///
/// A tombstone holds only between the boundaries of its table: a stale copy of it in an upper level
/// must not delete keys that have since been given sequence number 0 at the bottom. Boundaries are
/// internal keys, so at its two ends a tombstone may cover some versions of a user key only.
#[derive(Debug, Clone, Default)]
pub struct RangeTombstones {
    /// Ascending, not overlapping.
    fragments: Vec<Fragment>,
}

#[derive(Debug, Clone)]
struct Fragment {
    start: Vec<u8>,
    /// Exclusive.
    end: Vec<u8>,
    deletions: Vec<Deletion>,
}

/// Entries with a smaller sequence number than `sequence` are deleted, if theirs lies in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Deletion {
    sequence: u64,
    oldest: u64,
    newest: u64,
}

impl RangeTombstones {
    /// Cuts tombstones at their tables' boundaries and at each other's.
    #[must_use]
    pub fn new<'a>(stored: impl IntoIterator<Item = StoredTombstone<'a>>) -> Self {
        let mut pieces: Vec<(Vec<u8>, Vec<u8>, Deletion)> = Vec::new();
        for tombstone in stored {
            truncate(&tombstone, &mut pieces);
        }
        let mut cuts: Vec<&[u8]> = pieces.iter().flat_map(|(start, end, _)| [&start[..], &end[..]]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut deletions: Vec<Vec<Deletion>> = vec![Vec::new(); cuts.len()];
        for (start, end, deletion) in &pieces {
            let from = cuts.partition_point(|cut| *cut < &start[..]);
            let to = cuts.partition_point(|cut| *cut < &end[..]);
            deletions.get_mut(from..to).unwrap_or_default().iter_mut().for_each(|d| d.push(*deletion));
        }
        let ends = cuts.iter().skip(1);
        let fragments = cuts.iter().zip(ends).zip(deletions).filter(|(_, deletions)| !deletions.is_empty());
        let fragments = fragments.map(|((start, end), mut deletions)| {
            deletions.sort_unstable_by(|a, b| b.cmp(a));
            deletions.dedup();
            Fragment { start: start.to_vec(), end: end.to_vec(), deletions }
        });
        Self { fragments: fragments.collect() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Whether an entry is deleted. `near` is where the fragment was found last; keys that ascend are
    /// answered without searching.
    #[must_use]
    pub fn covers(&self, near: &mut usize, user_key: &[u8], sequence: u64) -> bool {
        let ends_before = |fragment: &Fragment| &fragment.end[..] <= user_key;
        let here = self.fragments.get(*near).is_some_and(|f| !ends_before(f));
        let not_too_far = *near == 0 || self.fragments.get(*near - 1).is_some_and(ends_before);
        if !(here && not_too_far) {
            *near = self.fragments.partition_point(ends_before);
        }
        self.fragments.get(*near).is_some_and(|fragment| {
            &fragment.start[..] <= user_key
                && fragment
                    .deletions
                    .iter()
                    .any(|d| sequence < d.sequence && (d.oldest..=d.newest).contains(&sequence))
        })
    }

    /// Whether any tombstone touches user keys from `low` to `high`, both inclusive.
    #[must_use]
    pub fn touches(&self, low: &[u8], high: &[u8]) -> bool {
        let first = self.fragments.partition_point(|fragment| &fragment.end[..] <= low);
        self.fragments.get(first).is_some_and(|fragment| &fragment.start[..] <= high)
    }
}

/// Cuts a tombstone at its table's boundaries, as RocksDB's `TruncatedRangeDelIterator` does
/// (`db/range_del_aggregator.cc`): into a piece that holds for all versions of its keys, and at the
/// boundaries' own user keys pieces that hold for some.
fn truncate(tombstone: &StoredTombstone<'_>, pieces: &mut Vec<(Vec<u8>, Vec<u8>, Deletion)>) {
    let StoredTombstone { start, end, sequence, smallest, largest } = *tombstone;
    let all = Deletion { sequence, oldest: 0, newest: MAX_SEQUENCE };
    let mut push = |start: &[u8], end: &[u8], deletion: Deletion| {
        if start < end {
            pieces.push((start.to_vec(), end.to_vec(), deletion));
        }
    };
    let low = &smallest.user_key[..];
    let high = &largest.user_key[..];
    let is_bound = largest.value_type == ValueType::RangeDeletion && largest.sequence == MAX_SEQUENCE;
    let cut_low = start <= low;
    let cut_high = !is_bound && high < end;

    let after = |key: &[u8]| [key, &[0]].concat();
    let mut from = start.to_vec();
    if cut_low {
        // Of the boundary's own key, what is not newer than it.
        if low < end && !(cut_high && low == high) {
            push(low, &after(low), Deletion { newest: smallest.sequence, ..all });
        }
        from = after(low);
    }
    let mut to = end.to_vec();
    if is_bound && high < end {
        to = high.to_vec();
    } else if cut_high {
        to = high.to_vec();
        if start <= high {
            // What is not older than the boundary; a boundary with sequence number 0 is not covered itself.
            let newest = if cut_low && low == high { smallest.sequence } else { MAX_SEQUENCE };
            push(high, &after(high), Deletion { oldest: largest.sequence.max(1), newest, ..all });
        }
    }
    push(&from, &to, all);
}
