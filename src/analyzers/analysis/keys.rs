//! Totals of keys: of each key while its rows pass by, of the largest ones, and of those at the edges of a split.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use super::histogram::{Counter, Distribution, Histogram};
use super::key_bytes::KeyBytes;
use super::sums::sums;

/// How many of the largest keys are kept at least: those that a report tells the share of.
const KEPT_AT_LEAST: usize = 100;

sums! {
    /// What one key holds.
    pub struct KeyTotals {
        /// Live rows.
        rows,
        /// Live entries.
        entries,
        /// Raw bytes of live rows.
        bytes,
    }
}

impl KeyTotals {
    /// What was added since it was another one.
    #[inline]
    pub(super) fn less(&self, before: &Self) -> Self {
        Self {
            rows: self.rows - before.rows,
            entries: self.entries - before.entries,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// A key with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOf {
    /// Key group and serialized key, as composite keys begin.
    pub key: KeyBytes,
    /// What it holds.
    pub totals: KeyTotals,
}

/// By what keys are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Bytes,
    Entries,
}

impl Measure {
    fn of(self, totals: &KeyTotals) -> u64 {
        match self {
            Self::Bytes => totals.bytes,
            Self::Entries => totals.entries,
        }
    }
}

/// Larger ones first; of equal ones, the one whose key comes first. The rest makes the order total.
type Rank<K> = (u64, Reverse<K>, u64, u64);

impl Measure {
    fn rank<K>(self, key: K, totals: &KeyTotals) -> Rank<K> {
        let KeyTotals { rows, entries, bytes } = *totals;
        match self {
            Self::Bytes => (bytes, Reverse(key), entries, rows),
            Self::Entries => (entries, Reverse(key), bytes, rows),
        }
    }

    fn unrank((first, Reverse(key), second, rows): Rank<KeyBytes>, measure: Self) -> KeyOf {
        let (bytes, entries) = match measure {
            Self::Bytes => (first, second),
            Self::Entries => (second, first),
        };
        KeyOf { key, totals: KeyTotals { rows, entries, bytes } }
    }

    /// Puts the largest first and leaves out those that are not among as many as are kept.
    fn largest(self, keys: &mut Vec<KeyOf>, top: usize) {
        keys.sort_unstable_by(|a, b| self.rank(&b.key, &b.totals).cmp(&self.rank(&a.key, &a.totals)));
        keys.truncate(top.max(KEPT_AT_LEAST));
    }
}

/// The largest keys by a measure: the last in rank is at the top of the heap.
#[derive(Debug)]
struct Largest {
    measure: Measure,
    most: usize,
    heap: BinaryHeap<Reverse<Rank<KeyBytes>>>,
    /// Once the heap is full, a key must have more than this.
    threshold: u64,
}

impl Largest {
    fn new(measure: Measure, top: usize) -> Self {
        Self { measure, most: top.max(KEPT_AT_LEAST), heap: BinaryHeap::new(), threshold: 0 }
    }

    /// Offers a key. Keys come in ascending order, so that of equal ones the first is kept.
    #[inline]
    fn offer(&mut self, key: &[u8], totals: &KeyTotals) {
        if self.measure.of(totals) > self.threshold || self.heap.len() < self.most {
            self.keep(key, totals);
        }
    }

    #[cold]
    fn keep(&mut self, key: &[u8], totals: &KeyTotals) {
        if self.heap.len() >= self.most {
            self.heap.pop();
        }
        self.heap.push(Reverse(self.measure.rank(KeyBytes::from(key), totals)));
        if self.heap.len() >= self.most {
            self.threshold = self.heap.peek().map_or(0, |last| last.0.0);
        }
    }

    fn finish(self) -> Vec<KeyOf> {
        let measure = self.measure;
        // Ascending in reverse: the largest comes first.
        self.heap.into_sorted_vec().into_iter().map(|Reverse(rank)| Measure::unrank(rank, measure)).collect()
    }
}

/// Keys at the edges of the splits of one handle: several splits may have rows of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeKeys(BTreeMap<KeyBytes, KeyTotals>);

impl EdgeKeys {
    /// Adds the edges of other splits of the same handle.
    pub fn merge(&mut self, other: Self) {
        for (key, totals) in other.0 {
            self.0.entry(key).or_default().merge(&totals);
        }
    }

    /// The keys, with what splits had of them.
    pub(super) fn into_keys(self) -> impl Iterator<Item = KeyOf> {
        self.0.into_iter().map(|(key, totals)| KeyOf { key, totals })
    }

    /// The key group of each key.
    pub(super) fn groups(&self, prefix: usize) -> impl Iterator<Item = u32> {
        self.0.keys().map(move |key| {
            let bytes = key.0.get(..prefix).unwrap_or(&key.0);
            bytes.iter().fold(0, |group, byte| group << 8 | u32::from(*byte))
        })
    }
}

/// Takes keys with their totals, in ascending order.
#[derive(Debug)]
pub(super) struct KeyCounter {
    keys: u64,
    totals: KeyTotals,
    by_bytes: Largest,
    by_entries: Largest,
    bytes: Counter,
    entries: Counter,
    edges: EdgeKeys,
    top: usize,
}

impl KeyCounter {
    pub(super) fn new(top: usize) -> Self {
        Self {
            keys: 0,
            totals: KeyTotals::default(),
            by_bytes: Largest::new(Measure::Bytes, top),
            by_entries: Largest::new(Measure::Entries, top),
            bytes: Counter::new(),
            entries: Counter::new(),
            edges: EdgeKeys::default(),
            top,
        }
    }

    /// A key that is complete.
    #[inline]
    pub(super) fn add(&mut self, key: &[u8], totals: &KeyTotals) {
        self.keys += 1;
        self.totals.merge(totals);
        self.bytes.add(totals.bytes);
        self.entries.add(totals.entries);
        self.by_bytes.offer(key, totals);
        self.by_entries.offer(key, totals);
    }

    /// A key as the rows of a split go by: the splits beside may have rows of the first one and, where `is_last`, of the
    /// last. Returns whether it is complete.
    #[inline]
    pub(super) fn close(&mut self, key: &[u8], totals: &KeyTotals, is_last: bool) -> bool {
        let is_whole = !is_last && !self.edges.0.is_empty();
        if is_whole {
            self.add(key, totals);
        } else {
            self.edges.0.entry(KeyBytes::from(key)).or_default().merge(totals);
        }
        is_whole
    }

    /// How many keys are complete.
    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    pub(super) fn finish(self) -> KeysPartial {
        KeysPartial {
            top: self.top,
            keys: self.keys,
            totals: self.totals,
            by_bytes: self.by_bytes.finish(),
            by_entries: self.by_entries.finish(),
            bytes: self.bytes.finish(),
            entries: self.entries.finish(),
            edges: self.edges,
        }
    }
}

/// Keys of one or more splits. Those that several splits may have rows of are apart until all are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysPartial {
    /// How many keys a report asks for.
    top: usize,
    /// Complete keys.
    keys: u64,
    /// What they hold.
    totals: KeyTotals,
    by_bytes: Vec<KeyOf>,
    by_entries: Vec<KeyOf>,
    bytes: Histogram,
    entries: Histogram,
    edges: EdgeKeys,
}

impl KeysPartial {
    /// Adds the keys of other splits: of the same handle or, without edges, of any.
    pub fn merge(&mut self, other: Self) {
        self.edges.merge(other.edges);
        self.totals.merge(&other.totals);
        self.add(other.top, other.keys, other.by_bytes, other.by_entries);
        self.bytes.merge(&other.bytes);
        self.entries.merge(&other.entries);
    }

    fn add(&mut self, top: usize, keys: u64, by_bytes: Vec<KeyOf>, by_entries: Vec<KeyOf>) {
        self.top = self.top.max(top);
        self.keys = self.keys.saturating_add(keys);
        self.by_bytes.extend(by_bytes);
        Measure::Bytes.largest(&mut self.by_bytes, self.top);
        self.by_entries.extend(by_entries);
        Measure::Entries.largest(&mut self.by_entries, self.top);
    }

    /// Leaves the rest without its edges, which say something only beside others of the same handle.
    pub(super) fn take_edges(&mut self) -> EdgeKeys {
        std::mem::take(&mut self.edges)
    }

    /// Once everything of a handle is merged, the keys at its edges are complete, too.
    pub(super) fn close(&mut self, edges: EdgeKeys) {
        for totals in edges.0.values() {
            self.totals.merge(totals);
            self.bytes.add(totals.bytes);
            self.entries.add(totals.entries);
        }
        let edges: Vec<KeyOf> = edges.0.into_iter().map(|(key, totals)| KeyOf { key, totals }).collect();
        self.add(self.top, edges.len() as u64, edges.clone(), edges);
    }

    /// All keys of the only handle there is.
    #[cfg(test)]
    pub(super) fn complete(mut self) -> Self {
        let edges = self.take_edges();
        self.close(edges);
        self
    }

    /// Complete keys.
    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    /// What all complete keys hold.
    pub(super) fn totals(&self) -> &KeyTotals {
        &self.totals
    }

    /// The largest keys by bytes; a hundred at least, if there are that many.
    pub(super) fn by_bytes(&self) -> &[KeyOf] {
        &self.by_bytes
    }

    /// The same by entries.
    pub(super) fn by_entries(&self) -> &[KeyOf] {
        &self.by_entries
    }

    /// How bytes and entries are distributed over complete keys.
    pub(super) fn distributions(&self) -> (Distribution, Distribution) {
        (self.bytes.distribution(), self.entries.distribution())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys in their order, divided into splits: the first and the last of each are at its edges.
    fn of_splits(keys: &[(u32, KeyTotals)], length: usize) -> KeysPartial {
        let mut parts: Vec<KeysPartial> = Vec::new();
        for split in keys.chunks(length) {
            let mut counter = KeyCounter::new(3);
            for (at, (key, totals)) in split.iter().enumerate() {
                counter.close(&key.to_be_bytes(), totals, at + 1 == split.len());
            }
            parts.push(counter.finish());
        }
        let mut merged = KeysPartial::default();
        while let Some(part) = parts.pop() {
            merged.merge(part);
        }
        merged.complete()
    }

    proptest! {
        #[test]
        fn the_largest_are_the_largest_of_all(
            sizes in prop::collection::vec((1u64..3, 1u64..6, 1u64..50), 1..400),
            length in 1usize..400,
        ) {
            let all: Vec<_> = (0..).zip(sizes.iter().map(|s| KeyTotals { rows: s.0, entries: s.1, bytes: s.2 })).collect();
            let found = of_splits(&all, length);
            prop_assert_eq!(found.keys(), all.len() as u64);
            for (largest, measure) in [(found.by_bytes(), Measure::Bytes), (found.by_entries(), Measure::Entries)] {
                let mut sorted = all.clone();
                sorted.sort_by_key(|(key, totals)| (Reverse(measure.of(totals)), *key));
                sorted.truncate(KEPT_AT_LEAST);
                let sorted: Vec<_> =
                    sorted.iter().map(|(key, totals)| KeyOf { key: KeyBytes::from(key.to_be_bytes().as_slice()), totals: *totals }).collect();
                prop_assert_eq!(largest, sorted);
            }
            prop_assert_eq!(found, of_splits(&all, all.len()));
        }
    }
}
