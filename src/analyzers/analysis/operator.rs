//! Keys over all states of an operator, whose column families are walked side by side.

use super::accumulator::StateAccumulator;
use super::keys::{KeyCounter, KeyTotals};
use super::partial::OperatorPartial;

/// What the keys of one state hold, in ascending order.
#[derive(Debug, Default)]
pub(super) struct KeyRun {
    /// The keys, one behind the other.
    arena: Vec<u8>,
    /// Where each ends, and what it holds.
    keys: Vec<(usize, KeyTotals)>,
}

impl KeyRun {
    /// Adds what a key got; a key that got nothing since it was added last is none of this run.
    #[inline]
    pub(super) fn push(&mut self, key: &[u8], totals: KeyTotals) {
        if totals.rows == 0 {
            return;
        }
        self.arena.extend_from_slice(key);
        self.keys.push((self.arena.len(), totals));
    }

    fn get(&self, at: usize) -> Option<(&[u8], &KeyTotals)> {
        let (end, totals) = self.keys.get(at)?;
        let start = at.checked_sub(1).and_then(|before| self.keys.get(before)).map_or(0, |key| key.0);
        Some((self.arena.get(start..*end)?, totals))
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.keys.clear();
    }
}

/// What the keys of an operator hold over all its states but timers, within one split of a handle.
///
/// All its states are read over the same ranges of composite keys, one small range after the other; behind each,
/// [`end_batch`](Self::end_batch) takes what every state's accumulator knows of its keys. An operator with only one
/// state that counts keys needs none of this: its keys are those of that state.
#[derive(Debug)]
pub struct OperatorKeys {
    keys: KeyCounter,
    /// The last key: a later range may have rows of it.
    last: Vec<u8>,
    totals: Option<KeyTotals>,
}

impl OperatorKeys {
    /// Begins a split. `top` is how many keys each list of top keys is to hold.
    #[must_use]
    pub fn new(top: usize) -> Self {
        Self { keys: KeyCounter::new(top), last: Vec::new(), totals: None }
    }

    /// Ends a range of composite keys that all these accumulators, made
    /// [with key totals](StateAccumulator::with_key_totals), have read to its end. Ranges come in ascending order.
    pub fn end_batch(&mut self, states: &mut [&mut StateAccumulator<'_>]) {
        let mut runs: Vec<&mut KeyRun> = states.iter_mut().filter_map(|state| state.take_run()).collect();
        // For each run, the next key in it.
        let mut next = vec![0; runs.len()];
        loop {
            let mut smallest: Option<(&[u8], KeyTotals, usize)> = None;
            for (index, (run, at)) in runs.iter().zip(&next).enumerate() {
                if let Some((key, totals)) = run.get(*at)
                    && smallest.as_ref().is_none_or(|(found, ..)| key < *found)
                {
                    smallest = Some((key, *totals, index));
                }
            }
            let Some((key, totals, index)) = smallest else { break };
            self.add(key, &totals);
            if let Some(at) = next.get_mut(index) {
                *at += 1;
            }
        }
        runs.iter_mut().for_each(|run| run.clear());
    }

    #[inline]
    fn add(&mut self, key: &[u8], totals: &KeyTotals) {
        match &mut self.totals {
            Some(sum) if self.last == key => return sum.merge(totals),
            Some(sum) => {
                self.keys.close(&self.last, sum, false);
            }
            None => {}
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.totals = Some(*totals);
    }

    /// Ends the split, once the last range is ended.
    #[must_use]
    pub fn finish(mut self) -> OperatorPartial {
        if let Some(totals) = self.totals {
            self.keys.close(&self.last, &totals, true);
        }
        OperatorPartial { keys: self.keys.finish() }
    }
}
