//! Ages of entries, and what a time-to-live makes of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accumulator::TableFacts;
use super::histogram::{Counter, Histogram};
use super::plan::Ttl;
use super::sums::sums;
use super::types::end_of_second;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The TTLs of the what-if table, ascending.
pub const WHAT_IF_TTL_MS: [u64; 9] = [
    HOUR_MS,
    6 * HOUR_MS,
    DAY_MS,
    3 * DAY_MS,
    7 * DAY_MS,
    14 * DAY_MS,
    30 * DAY_MS,
    60 * DAY_MS,
    90 * DAY_MS,
];

/// How many classes the TTLs of the table divide ages into.
const CLASSES: usize = WHAT_IF_TTL_MS.len() + 1;

/// The TTLs of the table that lie between two powers of two.
#[derive(Debug, Clone, Copy)]
struct Octave {
    /// How many lie below.
    below: usize,
    /// The first of them and the second; the largest number where there is none.
    first: u64,
    second: u64,
}

/// Ages by their highest bit, so that a class costs two comparisons.
const OCTAVES: [Octave; 64] = octaves();

const fn octaves() -> [Octave; 64] {
    let mut octaves = [Octave { below: 0, first: u64::MAX, second: u64::MAX }; 64];
    let mut bit = 0;
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
    while bit < 64 {
        let mut at = 0;
        while at < WHAT_IF_TTL_MS.len() {
            let ttl = WHAT_IF_TTL_MS[at];
            let of = 63 - ttl.leading_zeros() as usize;
            if of < bit {
                octaves[bit].below += 1;
            } else if of == bit && octaves[bit].first == u64::MAX {
                octaves[bit].first = ttl;
            } else if of == bit {
                assert!(octaves[bit].second == u64::MAX, "no more than two TTLs between powers of two");
                octaves[bit].second = ttl;
            }
            at += 1;
        }
        bit += 1;
    }
    octaves
}

/// How many TTLs of the table would expire an entry of this age, which has 63 bits.
#[inline]
fn class(age: u64) -> usize {
    let bit = 63 - (age | 1).leading_zeros() as usize;
    // The bit is below 64.
    let Some(octave) = OCTAVES.get(bit) else { return 0 };
    octave.below + usize::from(age >= octave.first) + usize::from(age >= octave.second)
}

sums! {
    /// Expired entries of a level.
    pub struct ExpiredTotals {
        /// Entries.
        entries,
        /// Rows that are expired as a whole, with the level of their newest part.
        rows,
        /// Raw bytes: of rows that are expired as a whole with their key; else of the expired elements alone.
        bytes,
        /// Entries that were expired when the file was written, on level 1 and below.
        when_written,
    }
}

sums! {
    /// Entries of a range of ages.
    pub struct ClassTotals {
        /// Entries.
        entries,
        /// Raw bytes.
        bytes,
    }
}

/// Counts what is expired. Whether an entry is, cannot be foreseen, so nothing here depends on it but numbers.
#[derive(Debug)]
pub(super) struct Expiry {
    /// What is as old as this is expired.
    until: i64,
    tables: Vec<TableExpiry>,
    levels: Vec<(u32, ExpiredTotals)>,
}

/// What was expired when a table was written.
#[derive(Debug, Clone, Copy)]
struct TableExpiry {
    /// Index of its level.
    level: usize,
    /// What is as old as this was; nothing, where no compaction wrote it, or nobody knows when.
    written_until: i64,
}

impl Expiry {
    pub(super) fn new(ttl: Ttl, reference_ms: i64, tables: &[TableFacts]) -> Self {
        // Rows of a table that is not there are of level 0.
        let mut levels = vec![(0, ExpiredTotals::default())];
        let mut of_table = |facts: &TableFacts| {
            let level = levels.iter().position(|(level, _)| *level == facts.level).unwrap_or_else(|| {
                levels.push((facts.level, ExpiredTotals::default()));
                levels.len() - 1
            });
            let compacted = facts.level > 0 && facts.creation_time > 0;
            let written = end_of_second(facts.creation_time);
            TableExpiry { level, written_until: if compacted { ttl.until(written) } else { i64::MIN } }
        };
        let tables = tables.iter().map(&mut of_table).collect();
        Self { until: ttl.until(reference_ms), tables, levels }
    }

    /// Counts an entry that is so many bytes: how many of them are expired.
    #[inline]
    pub(super) fn add(&mut self, timestamp: i64, bytes: u64, is_row: bool, table: u32) -> Expired {
        let unknown = TableExpiry { level: 0, written_until: i64::MIN };
        let of_table = self.tables.get(table as usize).copied().unwrap_or(unknown);
        let is_expired = u64::from(timestamp <= self.until);
        let bytes = bytes & is_expired.wrapping_neg();
        if let Some((_, totals)) = self.levels.get_mut(of_table.level) {
            totals.entries += is_expired;
            totals.rows += is_expired & u64::from(is_row);
            totals.bytes += bytes;
            totals.when_written += is_expired & u64::from(timestamp <= of_table.written_until);
        }
        Expired { entries: is_expired, bytes }
    }

    /// Counts what else of a row is expired, once all its entries are.
    pub(super) fn add_row(&mut self, bytes: u64, table: u32) {
        let level = self.tables.get(table as usize).map_or(0, |of_table| of_table.level);
        if let Some((_, totals)) = self.levels.get_mut(level) {
            totals.rows += 1;
            totals.bytes += bytes;
        }
    }

    pub(super) fn finish(self) -> BTreeMap<u32, ExpiredTotals> {
        self.levels.into_iter().filter(|(_, totals)| *totals != ExpiredTotals::default()).collect()
    }
}

/// What of an entry is expired.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expired {
    /// 1 if it is.
    pub(super) entries: u64,
    /// Its bytes, if it is.
    pub(super) bytes: u64,
}

/// Counts ages.
#[derive(Debug)]
pub(super) struct Ages {
    reference_ms: i64,
    oldest: i64,
    newest: i64,
    in_future: u64,
    ages: Counter,
    classes: [ClassTotals; CLASSES],
}

impl Ages {
    pub(super) fn new(reference_ms: i64) -> Self {
        Self {
            reference_ms,
            oldest: i64::MAX,
            newest: i64::MIN,
            in_future: 0,
            ages: Counter::new(),
            classes: [ClassTotals::default(); CLASSES],
        }
    }

    #[inline]
    pub(super) fn add(&mut self, timestamp: i64, bytes: u64) {
        self.oldest = self.oldest.min(timestamp);
        self.newest = self.newest.max(timestamp);
        self.in_future += u64::from(timestamp > self.reference_ms);
        let age = self.age(timestamp);
        self.ages.add_without_range(age);
        if let Some(totals) = self.classes.get_mut(class(age)) {
            totals.entries += 1;
            totals.bytes += bytes;
        }
    }

    #[inline]
    fn age(&self, timestamp: i64) -> u64 {
        self.reference_ms.saturating_sub(timestamp).max(0).unsigned_abs()
    }

    pub(super) fn finish(&self, without_timestamp: u64) -> AgesPartial {
        let ages = self.ages.finish_with_range(self.age(self.newest), self.age(self.oldest));
        AgesPartial {
            without_timestamp,
            range: (ages.count() > 0).then_some((self.oldest, self.newest)),
            in_future: self.in_future,
            ages,
            classes: self.classes,
        }
    }
}

/// Ages of one or more splits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgesPartial {
    /// Entries without a timestamp.
    pub without_timestamp: u64,
    /// The oldest and the newest timestamp, in milliseconds since 1970.
    pub range: Option<(i64, i64)>,
    /// Entries with a timestamp behind the reference time.
    pub in_future: u64,
    /// Ages in milliseconds.
    pub ages: Histogram,
    /// Entries by how many TTLs of the table would expire them.
    pub classes: [ClassTotals; CLASSES],
}

impl AgesPartial {
    /// Adds the ages of other splits.
    pub fn merge(&mut self, other: &Self) {
        self.without_timestamp = self.without_timestamp.saturating_add(other.without_timestamp);
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.in_future = self.in_future.saturating_add(other.in_future);
        self.ages.merge(&other.ages);
        for (ours, theirs) in self.classes.iter_mut().zip(&other.classes) {
            ours.merge(theirs);
        }
    }

    /// For each TTL of the table, what it would expire.
    pub fn what_if(&self) -> impl Iterator<Item = (u64, ClassTotals)> {
        WHAT_IF_TTL_MS.into_iter().enumerate().map(|(at, ttl)| {
            let mut expired = ClassTotals::default();
            self.classes.iter().skip(at + 1).for_each(|class| expired.merge(class));
            (ttl, expired)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_class_is_how_many_ttls_expire_an_age() {
        let naive = |age: u64| WHAT_IF_TTL_MS.iter().filter(|ttl| age >= **ttl).count();
        let around = WHAT_IF_TTL_MS.iter().flat_map(|ttl| [ttl - 1, *ttl, ttl + 1]);
        for age in around.chain((0..63).map(|bit| 1 << bit)).chain([0, i64::MAX.unsigned_abs()]) {
            assert_eq!(class(age), naive(age), "{age}");
        }
    }

    proptest! {
        #[test]
        fn ages_are_counted_exactly(
            entries in proptest::collection::vec((any::<i32>().prop_map(|ts| i64::from(ts) * 10), 0u64..1000), 0..60),
            at in any::<prop::sample::Index>(),
        ) {
            let now = 3_000_000_000;
            let count = |entries: &[(i64, u64)]| {
                let mut ages = Ages::new(now);
                entries.iter().for_each(|(ts, bytes)| ages.add(*ts, *bytes));
                ages.finish(0)
            };
            let whole = count(&entries);
            let (left, right) = entries.split_at(if entries.is_empty() { 0 } else { at.index(entries.len()) });
            let mut merged = count(right);
            merged.merge(&count(left));
            prop_assert_eq!(&whole, &merged);
            prop_assert_eq!(whole.range.map(|r| r.0), entries.iter().map(|e| e.0).min());
            prop_assert_eq!(whole.range.map(|r| r.1), entries.iter().map(|e| e.0).max());
            prop_assert_eq!(whole.in_future, entries.iter().filter(|e| e.0 > now).count() as u64);
            for (ttl, expired) in whole.what_if() {
                let old = entries.iter().filter(|e| now - e.0 >= ttl as i64);
                prop_assert_eq!(expired.entries, old.clone().count() as u64);
                prop_assert_eq!(expired.bytes, old.map(|e| e.1).sum::<u64>());
            }
        }
    }
}
