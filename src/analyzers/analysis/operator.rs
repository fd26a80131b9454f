//! Keys over all states of an operator, whose column families are walked side by side.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader, Read};

use super::accumulator::StateAccumulator;
use super::keys::{KeyCounter, KeyTotals};
use super::partial::OperatorPartial;
use super::spill::{Spill, SpilledKey};

/// What the keys of one state hold, in ascending order.
#[derive(Debug)]
pub(super) struct KeyRun {
    /// The keys, one behind the other.
    arena: Vec<u8>,
    /// Where each ends, and what it holds.
    keys: Vec<(usize, KeyTotals)>,
    /// Bytes of memory from which on keys are written out.
    memory: usize,
    spill: Option<SpillTo>,
}

/// Where keys go that do not fit into memory.
struct SpillTo {
    spill: Box<dyn Spill>,
    used: bool,
}

impl fmt::Debug for SpillTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpillTo").field("used", &self.used).finish_non_exhaustive()
    }
}

impl KeyRun {
    /// Keeps about so many bytes in memory, if there is a place for the rest.
    pub(super) fn new(memory: usize, spill: Option<Box<dyn Spill>>) -> Self {
        let spill = spill.map(|spill| SpillTo { spill, used: false });
        Self { arena: Vec::new(), keys: Vec::new(), memory, spill }
    }

    /// Adds what a key got; a key that got nothing since it was added last is none of this run.
    #[inline]
    pub(super) fn push(&mut self, key: &[u8], totals: KeyTotals) {
        if totals.rows == 0 {
            return;
        }
        self.arena.extend_from_slice(key);
        self.keys.push((self.arena.len(), totals));
        if self.arena.len() + self.keys.len() * size_of::<(usize, KeyTotals)>() > self.memory {
            self.write_out();
        }
    }

    /// Writes the keys out, behind those that were written before. Where that fails, they stay in memory.
    #[cold]
    fn write_out(&mut self) {
        let Self { arena, keys, spill: Some(to), .. } = self else { return };
        let mut run = Vec::with_capacity(arena.len() + keys.len() * 32);
        let mut start = 0;
        for (end, totals) in &*keys {
            let key = arena.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default();
            SpilledKey { key: key.to_vec(), totals: *totals }.write(&mut run);
        }
        if to.spill.write_run(&run).is_ok() {
            to.used = true;
            self.clear();
        }
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

    /// What was written out, in order; an error if it cannot be read.
    fn take_spilled(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
        match self.spill.as_mut().filter(|to| to.used) {
            Some(to) => {
                to.used = false;
                to.spill.take_runs()
            }
            None => Ok(Vec::new()),
        }
    }
}

/// The keys of a run, those that were written out first.
struct RunKeys<'r> {
    spilled: VecDeque<BufReader<Box<dyn Read + Send>>>,
    run: &'r KeyRun,
    /// The next key of those in memory.
    next: usize,
    /// The next of those that were written out.
    head: Option<SpilledKey>,
}

impl<'r> RunKeys<'r> {
    fn new(run: &'r KeyRun, spilled: Vec<Box<dyn Read + Send>>) -> io::Result<Self> {
        let spilled = spilled.into_iter().map(BufReader::new).collect();
        let mut keys = Self { spilled, run, next: 0, head: None };
        keys.read_head()?;
        Ok(keys)
    }

    fn read_head(&mut self) -> io::Result<()> {
        self.head = None;
        while let Some(run) = self.spilled.front_mut() {
            self.head = SpilledKey::read(run)?;
            if self.head.is_some() {
                break;
            }
            self.spilled.pop_front();
        }
        Ok(())
    }

    fn current(&self) -> Option<(&[u8], &KeyTotals)> {
        match &self.head {
            Some(head) => Some((&head.key, &head.totals)),
            None => self.run.get(self.next),
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        if self.head.is_some() {
            return self.read_head();
        }
        self.next += 1;
        Ok(())
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
    /// Whether keys that were written out could not be read again.
    incomplete: bool,
}

impl OperatorKeys {
    /// Begins a split. `top` is how many keys each list of top keys is to hold.
    #[must_use]
    pub fn new(top: usize) -> Self {
        Self { keys: KeyCounter::new(top), last: Vec::new(), totals: None, incomplete: false }
    }

    /// Ends a range of composite keys that all these accumulators, made
    /// [with key totals](StateAccumulator::with_key_totals), have read to its end. Ranges come in ascending order.
    pub fn end_batch(&mut self, states: &mut [&mut StateAccumulator<'_>]) {
        let mut runs: Vec<&mut KeyRun> = states.iter_mut().filter_map(|state| state.take_run()).collect();
        self.incomplete |= self.merge(&mut runs).is_err();
        runs.iter_mut().for_each(|run| run.clear());
    }

    fn merge(&mut self, runs: &mut [&mut KeyRun]) -> io::Result<()> {
        let spilled: Vec<_> = runs.iter_mut().map(|run| run.take_spilled()).collect();
        let keys = runs.iter().zip(spilled).map(|(run, spilled)| RunKeys::new(run, spilled?));
        let mut keys = keys.collect::<io::Result<Vec<_>>>()?;
        loop {
            let mut smallest: Option<(&[u8], KeyTotals, usize)> = None;
            for (index, keys) in keys.iter().enumerate() {
                if let Some((key, totals)) = keys.current()
                    && smallest.as_ref().is_none_or(|(found, ..)| key < *found)
                {
                    smallest = Some((key, *totals, index));
                }
            }
            let Some((key, totals, index)) = smallest else { return Ok(()) };
            self.add(key, &totals);
            if let Some(keys) = keys.get_mut(index) {
                keys.advance()?;
            }
        }
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
        OperatorPartial { keys: self.keys.finish(), incomplete: self.incomplete }
    }
}
