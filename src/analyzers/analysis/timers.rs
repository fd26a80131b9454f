//! Timers: when they are due, and which keys have most of them.
//!
//! Timers are ordered by key group and time, so those of a key are not adjacent. They are counted in a table for one
//! key group at a time; where that outgrows its memory, it is written out sorted, and what was written is merged at
//! the end of the key group.

use std::hash::BuildHasher as _;
use std::io::{self, BufReader, Read};

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::histogram::{Counter, Histogram};
use super::keys::{KeyCounter, KeyTotals};
use super::spill::{Spill, SpilledKey};

/// A timer later than this after the reference time is far away.
pub const FAR_FUTURE_MS: i64 = 365 * 24 * 3_600_000;

/// Memory for the keys of one key group until they are written out.
pub const DEFAULT_TIMER_MEMORY: usize = 32 << 20;

/// Counts when timers are due.
#[derive(Debug)]
pub(super) struct Due {
    reference_ms: i64,
    earliest: i64,
    latest: i64,
    at_end_of_time: u64,
    until_reference: u64,
    far_future: u64,
    due_in: Counter,
}

impl Due {
    pub(super) fn new(reference_ms: i64) -> Self {
        Self {
            reference_ms,
            earliest: i64::MAX,
            latest: i64::MIN,
            at_end_of_time: 0,
            until_reference: 0,
            far_future: 0,
            due_in: Counter::new(),
        }
    }

    #[inline]
    pub(super) fn add(&mut self, timestamp: i64) {
        if timestamp == i64::MAX {
            self.at_end_of_time += 1;
            return;
        }
        self.earliest = self.earliest.min(timestamp);
        self.latest = self.latest.max(timestamp);
        if timestamp <= self.reference_ms {
            self.until_reference += 1;
        } else {
            let due_in = timestamp.saturating_sub(self.reference_ms);
            self.far_future += u64::from(due_in > FAR_FUTURE_MS);
            self.due_in.add(due_in.unsigned_abs());
        }
    }

    pub(super) fn finish(&self, key_groups_not_counted: u64) -> TimersPartial {
        TimersPartial {
            range: (self.earliest <= self.latest).then_some((self.earliest, self.latest)),
            at_end_of_time: self.at_end_of_time,
            until_reference: self.until_reference,
            far_future: self.far_future,
            due_in: self.due_in.finish(),
            key_groups_not_counted,
        }
    }
}

/// Timers of one or more splits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimersPartial {
    /// The earliest and the latest, those at the end of time left out, in milliseconds since 1970.
    pub range: Option<(i64, i64)>,
    /// Timers at the end of time.
    pub at_end_of_time: u64,
    /// Timers at or before the reference time.
    pub until_reference: u64,
    /// Timers far behind the reference time.
    pub far_future: u64,
    /// Milliseconds from the reference time to timers behind it.
    pub due_in: Histogram,
    /// Key groups whose keys could not be counted.
    pub key_groups_not_counted: u64,
}

impl TimersPartial {
    /// Adds the timers of other splits.
    pub fn merge(&mut self, other: &Self) {
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        let add = |to: &mut u64, n: u64| *to = to.saturating_add(n);
        add(&mut self.at_end_of_time, other.at_end_of_time);
        add(&mut self.until_reference, other.until_reference);
        add(&mut self.far_future, other.far_future);
        self.due_in.merge(&other.due_in);
        add(&mut self.key_groups_not_counted, other.key_groups_not_counted);
    }
}

/// A key of the current key group.
#[derive(Debug, Clone, Copy)]
struct Counted {
    start: usize,
    end: usize,
    timers: u64,
    bytes: u64,
}

/// Counts the timers of each key of one key group after the other.
pub(super) struct TimerKeys {
    memory: usize,
    hasher: DefaultHashBuilder,
    /// Indexes of `counted`.
    table: HashTable<u32>,
    counted: Vec<Counted>,
    /// The keys with their key group, one behind the other.
    arena: Vec<u8>,
    spill: Option<Box<dyn Spill>>,
    /// Whether runs of this key group were written.
    spilled: bool,
    /// Whether this key group is given up.
    given_up: bool,
    key_groups_not_counted: u64,
}

impl std::fmt::Debug for TimerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimerKeys").field("keys", &self.counted.len()).finish_non_exhaustive()
    }
}

impl TimerKeys {
    pub(super) fn new(memory: usize) -> Self {
        Self {
            memory,
            hasher: DefaultHashBuilder::default(),
            table: HashTable::new(),
            counted: Vec::new(),
            arena: Vec::new(),
            spill: None,
            spilled: false,
            given_up: false,
            key_groups_not_counted: 0,
        }
    }

    pub(super) fn spill_to(&mut self, spill: Box<dyn Spill>) {
        self.spill = Some(spill);
    }

    fn used(&self) -> usize {
        // An entry of the table is an index and a byte.
        self.arena.len() + self.counted.len() * (size_of::<Counted>() + size_of::<u32>() + 1)
    }

    /// A timer of a key, which is given with its key group.
    pub(super) fn add(&mut self, key: &[u8], bytes: u64) {
        if self.given_up {
            return;
        }
        let Self { hasher, table, counted, arena, .. } = self;
        let same = |at: &u32| {
            let counted: Option<&Counted> = counted.get(*at as usize);
            counted.and_then(|c| arena.get(c.start..c.end)) == Some(key)
        };
        let hash = hasher.hash_one(key);
        if let Some(at) = table.find(hash, same).copied() {
            if let Some(counted) = counted.get_mut(at as usize) {
                counted.timers += 1;
                counted.bytes += bytes;
            }
            return;
        }
        if self.used().saturating_add(key.len()) > self.memory && !self.counted.is_empty() {
            self.write_out();
            if self.given_up {
                return;
            }
        }
        let Self { hasher, table, counted, arena, .. } = self;
        // Memory allows far fewer.
        let Ok(at) = u32::try_from(counted.len()) else { return self.give_up() };
        let start = arena.len();
        arena.extend_from_slice(key);
        counted.push(Counted { start, end: arena.len(), timers: 1, bytes });
        table.insert_unique(hash, at, |at| {
            let key = counted.get(*at as usize).and_then(|c| arena.get(c.start..c.end));
            hasher.hash_one(key.unwrap_or_default())
        });
    }

    fn sort(&mut self) {
        let Self { counted, arena, .. } = self;
        counted.sort_unstable_by(|a, b| arena.get(a.start..a.end).cmp(&arena.get(b.start..b.end)));
    }

    fn clear(&mut self) {
        self.table.clear();
        self.counted.clear();
        self.arena.clear();
    }

    fn give_up(&mut self) {
        self.clear();
        self.given_up = true;
    }

    /// Writes the keys out in their order.
    fn write_out(&mut self) {
        self.sort();
        let mut run = Vec::with_capacity(self.arena.len() + self.counted.len() * 24);
        for counted in &self.counted {
            let key = self.arena.get(counted.start..counted.end).unwrap_or_default();
            let totals = totals(counted.timers, counted.bytes);
            SpilledKey { key: key.to_vec(), totals }.write(&mut run);
        }
        let written = self.spill.as_mut().is_some_and(|spill| spill.write_run(&run).is_ok());
        if written {
            self.spilled = true;
            self.clear();
        } else {
            self.give_up();
        }
    }

    /// Ends a key group: all its keys are complete. Returns how many there are.
    pub(super) fn end_group(&mut self, keys: &mut KeyCounter) -> u64 {
        let before = keys.keys();
        if self.spilled && !self.given_up && !self.counted.is_empty() {
            self.write_out();
        }
        let mut merged = !self.given_up;
        if self.spilled {
            // Also where it was given up, so that nothing is left for the next key group.
            let runs = self.spill.as_mut().and_then(|spill| spill.take_runs().ok());
            merged = merged && runs.is_some_and(|runs| merge(runs, keys).is_ok());
        } else {
            self.sort();
            for counted in &self.counted {
                let key = self.arena.get(counted.start..counted.end).unwrap_or_default();
                keys.add(key, &totals(counted.timers, counted.bytes));
            }
        }
        self.key_groups_not_counted += u64::from(!merged);
        self.clear();
        (self.spilled, self.given_up) = (false, false);
        keys.keys() - before
    }

    pub(super) fn key_groups_not_counted(&self) -> u64 {
        self.key_groups_not_counted
    }
}

fn totals(timers: u64, bytes: u64) -> KeyTotals {
    KeyTotals { rows: timers, entries: timers, bytes }
}

/// Merges runs, each of which is sorted.
fn merge(runs: Vec<Box<dyn Read + Send>>, keys: &mut KeyCounter) -> io::Result<()> {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    let mut runs: Vec<_> = runs.into_iter().map(BufReader::new).collect();
    let mut heads = BinaryHeap::new();
    for (index, run) in runs.iter_mut().enumerate() {
        heads.extend(SpilledKey::read(run)?.map(|entry| Reverse((entry, index))));
    }
    let mut current: Option<SpilledKey> = None;
    while let Some(Reverse((entry, index))) = heads.pop() {
        match &mut current {
            Some(current) if current.key == entry.key => {
                current.totals.merge(&entry.totals);
            }
            _ => {
                if let Some(done) = current.replace(entry) {
                    keys.add(&done.key, &done.totals);
                }
            }
        }
        if let Some(run) = runs.get_mut(index) {
            heads.extend(SpilledKey::read(run)?.map(|entry| Reverse((entry, index))));
        }
    }
    if let Some(last) = current {
        keys.add(&last.key, &last.totals);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    /// Keeps runs in memory, and remembers how many there were; fails from some run on.
    #[derive(Debug, Clone, Default)]
    struct Runs {
        runs: Arc<Mutex<Vec<Vec<u8>>>>,
        written: Arc<Mutex<usize>>,
        fail_from: Option<usize>,
    }

    impl Spill for Runs {
        fn write_run(&mut self, run: &[u8]) -> io::Result<()> {
            let mut written = self.written.lock().unwrap();
            if self.fail_from.is_some_and(|from| *written >= from) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *written += 1;
            self.runs.lock().unwrap().push(run.to_vec());
            Ok(())
        }

        fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
            let runs = std::mem::take(&mut *self.runs.lock().unwrap()).into_iter();
            Ok(runs.map(|run| Box::new(io::Cursor::new(run)) as Box<dyn Read + Send>).collect())
        }
    }

    /// Timers of two key groups, counted with so much memory.
    fn counted(timers: &[Vec<u8>], memory: usize, spill: Option<Runs>) -> (super::super::KeysPartial, u64) {
        let mut keys = KeyCounter::new(5);
        let mut table = TimerKeys::new(memory);
        if let Some(spill) = spill {
            table.spill_to(Box::new(spill));
        }
        for group in [1, 2] {
            timers.iter().for_each(|key| table.add(&[&[group][..], key].concat(), 10));
            table.end_group(&mut keys);
        }
        (keys.finish(), table.key_groups_not_counted())
    }

    proptest! {
        #[test]
        fn what_is_spilled_is_counted_as_if_there_was_memory(
            timers in prop::collection::vec(prop::collection::vec(0u8..6, 0..4), 0..200),
            memory in 0usize..600,
        ) {
            let whole = counted(&timers, usize::MAX, None);
            prop_assert_eq!(whole.1, 0);
            let runs = Runs::default();
            prop_assert_eq!(&whole, &counted(&timers, memory, Some(runs.clone())));
            prop_assert!(runs.runs.lock().unwrap().is_empty());
            let distinct: std::collections::BTreeSet<_> = timers.iter().collect();
            prop_assert_eq!(whole.0.complete().keys(), 2 * distinct.len() as u64);
        }
    }

    #[test]
    fn without_a_place_to_spill_to_a_key_group_is_given_up_and_said_to_be() {
        let many: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; 8]).collect();
        for (spill, failing) in
            [(None, "none"), (Some(Runs { fail_from: Some(2), ..Runs::default() }), "full")]
        {
            let (keys, not_counted) = counted(&many, 200, spill.clone());
            assert_eq!((keys.complete().keys(), not_counted), (0, 2), "{failing}");
            assert!(spill.is_none_or(|spill| spill.runs.lock().unwrap().is_empty()), "{failing}");
        }
    }
}
