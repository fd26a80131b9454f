//! Entries of a state as lines, in order, while many threads decode them.
//!
//! Splits are decoded side by side, and their lines come out in the order of splits: those of the split whose turn it is
//! as they are made, those of others when its turn comes. A split that is far ahead waits, so that memory is bounded; the one
//! whose turn it is never does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Progress, RowsOf, Scan, ScanOptions, SpillFn};
use crate::analyzers::entries::{EntryCounts, EntryPlan, EntryQuestion, EntryWriter};
use crate::lsm::LiveSink;
use crate::storage::Storage;

/// Lines are handed on when there are so many bytes of them.
const CHUNK: usize = 128 << 10;

/// So many bytes of lines may wait for the turn of their split.
const WAITING: usize = 4 << 20;

/// What is printed.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// How rows become lines, for each handle that is scanned, by its index in [`Details::keyed`](crate::model::Details::keyed).
    pub plans: &'a HashMap<usize, EntryPlan>,
    /// Which entries.
    pub question: &'a EntryQuestion,
    /// How many at most.
    pub most: u64,
}

/// Where lines go. Says whether more are wanted.
pub type LinesFn<'a> = &'a mut (dyn FnMut(&[u8]) -> bool + Send);

/// What was printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    /// What was written.
    pub counts: EntryCounts,
    /// Whether there were more entries than were asked for.
    pub cut: bool,
    /// What could not be read.
    pub damage: Vec<String>,
}

impl Scan<'_> {
    /// Writes the entries of a state as lines of JSON: the same lines in the same order for any number of threads.
    pub fn entries(
        &self,
        storage: &dyn Storage,
        options: ScanOptions,
        progress: &Progress,
        spill: SpillFn<'_>,
        ask: Ask<'_>,
        lines: LinesFn<'_>,
    ) -> Printed {
        let ordered = Ordered {
            state: Mutex::new(State {
                turn: 0,
                waiting: BTreeMap::new(),
                ended: HashSet::new(),
                lines,
                left: ask.most,
                stopped: false,
                printed: Printed::default(),
            }),
            turned: Condvar::new(),
            progress,
        };
        let sink = |rows: RowsOf<'_>| Sink {
            ordered: &ordered,
            split: rows.split,
            writer: ask.plans.get(&rows.handle).map(|plan| EntryWriter::new(plan, ask.question)),
        };
        let damage = self.rows(storage, options, progress, spill, &sink, &|sink| sink.end());
        let state = ordered.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Printed { damage: if state.stopped { Vec::new() } else { damage }, ..state.printed }
    }
}

struct Ordered<'a> {
    state: Mutex<State<'a>>,
    turned: Condvar,
    progress: &'a Progress,
}

struct State<'a> {
    /// The split whose lines come out.
    turn: usize,
    /// Lines of splits whose turn comes later.
    waiting: BTreeMap<usize, Vec<(Vec<u8>, EntryCounts)>>,
    /// Splits that are complete, and whose turn comes later.
    ended: HashSet<usize>,
    lines: LinesFn<'a>,
    /// How many entries are still wanted.
    left: u64,
    stopped: bool,
    printed: Printed,
}

impl<'a> Ordered<'a> {
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, split: usize, lines: Vec<u8>, counts: EntryCounts) {
        let mut state = self.lock();
        while !state.stopped && state.turn != split && state.is_full(split) {
            state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped {
            return;
        }
        if state.turn == split {
            state.print(&lines, counts);
        } else {
            state.waiting.entry(split).or_default().push((lines, counts));
        }
        self.told(&state);
    }

    fn end(&self, split: usize) {
        let mut state = self.lock();
        state.ended.insert(split);
        loop {
            let turn = state.turn;
            for (lines, counts) in state.waiting.remove(&turn).unwrap_or_default() {
                state.print(&lines, counts);
            }
            if !state.ended.remove(&turn) {
                break;
            }
            state.turn += 1;
        }
        self.told(&state);
        drop(state);
        self.turned.notify_all();
    }

    /// Ends everything once no more is wanted.
    fn told(&self, state: &State<'_>) {
        if state.stopped {
            self.progress.stop.store(true, std::sync::atomic::Ordering::Relaxed);
            self.turned.notify_all();
        }
    }
}

impl State<'_> {
    fn is_full(&self, split: usize) -> bool {
        let waiting = self.waiting.get(&split).into_iter().flatten();
        waiting.map(|(lines, _)| lines.len()).sum::<usize>() >= WAITING
    }

    fn print(&mut self, lines: &[u8], counts: EntryCounts) {
        if self.stopped || lines.is_empty() {
            return;
        }
        let mut wanted = lines;
        if counts.entries > self.left {
            let ends = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let most = usize::try_from(self.left).unwrap_or(usize::MAX);
            let end = most.checked_sub(1).and_then(|last| ends.map(|(at, _)| at + 1).nth(last)).unwrap_or(0);
            wanted = lines.get(..end).unwrap_or_default();
            self.printed.cut = true;
        }
        let entries = counts.entries.min(self.left);
        self.left -= entries;
        self.printed.counts.entries += entries;
        self.printed.counts.opaque += counts.opaque.min(entries);
        let wants_more = (self.lines)(wanted);
        self.stopped = !wants_more || self.printed.cut;
    }
}

/// Writes the rows of a state in a split.
struct Sink<'o, 'a, 'p> {
    ordered: &'o Ordered<'a>,
    split: usize,
    writer: Option<EntryWriter<'p>>,
}

impl Sink<'_, '_, '_> {
    fn hand_on(&mut self) {
        if let Some(writer) = &mut self.writer
            && writer.lines().len() >= CHUNK
        {
            let (lines, counts) = writer.take();
            self.ordered.send(self.split, lines, counts);
        }
    }

    fn end(mut self) {
        if let Some(writer) = &mut self.writer {
            let (lines, counts) = writer.take();
            if !lines.is_empty() {
                self.ordered.send(self.split, lines, counts);
            }
        }
        self.ordered.end(self.split);
    }
}

impl LiveSink for Sink<'_, '_, '_> {
    fn put(&mut self, key: &[u8], _: usize, value: &[u8], _: u32) -> u64 {
        if let Some(writer) = &mut self.writer {
            writer.put(key, value);
        }
        self.hand_on();
        0
    }

    fn begin(&mut self, key: &[u8], _: usize) {
        if let Some(writer) = &mut self.writer {
            writer.begin(key);
        }
    }

    fn part(&mut self, value: &[u8], _: bool, _: u32) -> u64 {
        if let Some(writer) = &mut self.writer {
            writer.part(value);
        }
        0
    }

    fn end(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.end();
        }
        self.hand_on();
    }

    fn not_understood(&mut self, key: &[u8], _: usize, _: u32) {
        if let Some(writer) = &mut self.writer {
            writer.not_understood(key);
        }
        self.hand_on();
    }
}
