//! The live view of several runs.

use std::cmp::Ordering;

use statescope_formats::rocksdb::data_block::{EntryCursor, Next, common_prefix};
use statescope_formats::rocksdb::internal_key::ValueType;

use super::front::{self, Front, Heads};
use super::range_del::RangeTombstones;
use super::run::{BlockUse, Blocks, Run, Step, trailer, value_type};

/// Takes live rows in ascending order of their keys.
///
/// `shared` is how many bytes a key has in common with that of the row before, exactly; 0 for the
/// first. What the methods return is how many raw bytes of the row are expired.
pub trait LiveSink {
    /// A row with one value, written by a table.
    fn put(&mut self, key: &[u8], shared: usize, value: &[u8], table: u32) -> u64;

    /// A row that consists of merge operands begins: [`part`](Self::part) follows for each, **newest first**, and
    /// for the value that they were merged into, if there is one, last; then [`end`](Self::end).
    fn begin(&mut self, key: &[u8], shared: usize);

    /// An operand, or the value at the bottom (`base`).
    fn part(&mut self, value: &[u8], base: bool, table: u32) -> u64;

    /// The row is complete.
    fn end(&mut self);

    /// A row whose value is of a kind that is not understood: a blob index or an entity of columns.
    fn not_understood(&mut self, key: &[u8], shared: usize, table: u32);
}

/// Goes over what is live in several runs, from a lower bound on.
#[derive(Debug)]
pub struct LiveScan<'t, B> {
    runs: Vec<Run<B>>,
    /// The key to stop before. It takes part behind the runs.
    stop: Option<Vec<u8>>,
    front: Front,
    state: State<'t>,
    started: bool,
}

/// What is known of the key that came out last.
#[derive(Debug)]
struct State<'t> {
    tombstones: &'t RangeTombstones,
    row: Row,
    /// How many bytes the last key shares with that of the last row; `None` if they are the same.
    since_row: Option<usize>,
    /// Whether the next key is another one, however much it shares with what came out last.
    fresh: bool,
    /// Whether a value of another key is a row, and nothing else is to be done.
    plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// The last key has its value: older versions are shadowed.
    Complete,
    /// The last key is deleted, and so are older versions.
    Deleted,
    /// Older operands, and a value under them, belong to the row.
    Merging,
}

/// How often the winner must win in a row for it to be worth asking whether its whole block wins.
const STREAK: u32 = 16;

struct HeadsOf<'a, B> {
    runs: &'a [Run<B>],
    stop: Option<&'a [u8]>,
}

impl<B> HeadsOf<'_, B> {
    fn key(&self, run: usize) -> &[u8] {
        match self.runs.get(run) {
            Some(run) => run.cursor.user_key(),
            None => self.stop.unwrap_or_default(),
        }
    }
}

impl<B: Blocks> Heads for HeadsOf<'_, B> {
    fn pair(&self, run: usize, from: usize) -> u16 {
        match self.runs.get(run) {
            Some(run) => run.cursor.pair(from),
            None => {
                let byte = |at| self.stop.and_then(|stop| stop.get(at)).copied().unwrap_or_default();
                u16::from_be_bytes([byte(from), byte(from + 1)])
            }
        }
    }

    fn compare(&self, a: usize, b: usize, shared: usize) -> (Ordering, usize) {
        if let (Some(x), Some(y)) = (self.runs.get(a), self.runs.get(b)) {
            let (order, common) = x.cursor.compare(&y.cursor, shared);
            let order = order.unwrap_or_else(|| {
                let newest = || trailer(&y.cursor, &y.blocks).cmp(&trailer(&x.cursor, &x.blocks));
                let lengths = x.cursor.user_key_len().cmp(&y.cursor.user_key_len());
                lengths.then_with(newest).then(a.cmp(&b))
            });
            return (order, common);
        }
        // The stop comes before all versions of its key.
        let (x, y) = (self.key(a), self.key(b));
        let order = x.cmp(y).then(self.runs.get(a).is_some().cmp(&self.runs.get(b).is_some()));
        (order, common_prefix(x, y))
    }
}

impl<'t, B: Blocks> LiveScan<'t, B> {
    /// Begins at the first key that is not smaller than `low`. `runs` are to begin no later than with the
    /// block that may hold it. Of equal entries, which no database has, that of the first run wins.
    pub fn new(runs: Vec<B>, low: &[u8], tombstones: &'t RangeTombstones) -> Self {
        let mut runs: Vec<_> = runs.into_iter().map(Run::new).collect();
        for run in &mut runs {
            let mut step = run.start();
            while matches!(step, Step::To(_)) && run.cursor.user_key() < low {
                run.block.before += run.raw_len();
                step = run.step();
            }
        }
        let front = Front::new(runs.len() + 1);
        let state = State { tombstones, row: Row::Complete, since_row: Some(0), fresh: true, plain: false };
        Self { runs, stop: None, front, state, started: false }
    }

    /// Hands out rows up to the first that is not smaller than `stop`, or to the end. May be called
    /// again with a greater stop.
    pub fn run(&mut self, stop: Option<&[u8]>, sink: &mut impl LiveSink) {
        let old = std::mem::replace(&mut self.stop, stop.map(<[u8]>::to_vec)).unwrap_or_default();
        let Self { runs, stop, front, .. } = self;
        let heads = HeadsOf { runs, stop: stop.as_deref() };
        let at = runs.len();
        if !self.started {
            for (number, run) in runs.iter().enumerate().filter(|(_, run)| run.alive) {
                front.place(number, 0, run.cursor.pair(0));
            }
        }
        match heads.stop {
            Some(stop) => {
                let shared = common_prefix(&old, stop);
                front.place(at, shared, heads.pair(at, shared));
            }
            None => front.end(at),
        }
        self.started = true;
        self.rows(sink);
        // A row does not go beyond its key, and the stop lies between keys.
        self.state.leave(Row::Complete, sink);
    }

    fn rows(&mut self, sink: &mut impl LiveSink) {
        // The run that the last entry came from, and how many did in a row.
        let (mut last, mut streak) = (usize::MAX, 0);
        loop {
            let Self { runs, stop, front, state, .. } = self;
            let (code, is_close) = front.first();
            let (mut winner, shared) = (front::run(code), front::shared(code));
            if is_close {
                let heads = HeadsOf { runs, stop: stop.as_deref() };
                let Some(closest) = front.close(&heads, code) else { return };
                winner = closest;
            }
            streak = if winner == last { streak + 1 } else { 0 };
            last = winner;
            if streak >= STREAK {
                streak = 0;
                if (HeadsOf { runs, stop: stop.as_deref() }).owns_block(winner) {
                    self.drain(winner, shared, sink);
                    streak = STREAK - 1;
                    continue;
                }
            }
            let Some(run) = runs.get_mut(winner) else {
                // The stop. From here on, what is shared is relative to it.
                state.since_row = Some(state.since_row.map_or(shared, |since| since.min(shared)));
                (state.fresh, state.plain) = (true, false);
                return;
            };
            let Run { blocks, cursor, block, near, .. } = run;
            let (blocks, entries) = (&*blocks, blocks.entries());
            state.entry(At { blocks, entries, cursor, block, near }, shared, sink);
            match cursor.next(entries) {
                Next::Key(shared) => front.place(winner, shared, cursor.pair(shared)),
                Next::Same => front.place(winner, cursor.user_key_len(), 0),
                Next::End | Next::Fault => {
                    self.next_block(winner);
                    // Whether the block is the run's own is asked at once.
                    streak = STREAK - 1;
                }
            }
        }
    }

    /// Ends the scan: tells the runs what was left over.
    pub fn finish(mut self) -> Vec<B> {
        self.runs.iter_mut().for_each(Run::leave);
        self.runs.into_iter().map(|run| run.blocks).collect()
    }

    /// Deals with all that is left of the winner's block, without any comparison between runs.
    #[inline(never)]
    fn drain(&mut self, winner: usize, shared: usize, sink: &mut impl LiveSink) {
        let Self { runs, stop, front, state, .. } = self;
        if let Some(run) = runs.get_mut(winner) {
            state.drain(run, shared, sink);
        }
        front.came_out(&HeadsOf { runs, stop: stop.as_deref() }, winner);
        self.next_block(winner);
    }

    #[inline(never)]
    fn next_block(&mut self, winner: usize) {
        let Some(run) = self.runs.get_mut(winner) else { return };
        match run.next_block() {
            Step::To(shared) => {
                self.front.place(winner, shared, run.cursor.pair(shared));
            }
            Step::End => self.front.end(winner),
        }
    }
}

impl<B: Blocks> HeadsOf<'_, B> {
    /// Whether all of the block of the run that comes next comes before everything else.
    fn owns_block(&self, winner: usize) -> bool {
        let Some(run) = self.runs.get(winner) else { return false };
        let separator = run.blocks.separator();
        let runs = self.runs.iter().enumerate().filter(|(rival, run)| *rival != winner && run.alive);
        runs.map(|(_, run)| run.cursor.user_key()).chain(self.stop).all(|rival| separator < rival)
    }
}

/// An entry, and what is counted of its block.
struct At<'a, B> {
    blocks: &'a B,
    entries: &'a [u8],
    cursor: &'a EntryCursor,
    block: &'a mut BlockUse,
    near: &'a mut usize,
}

impl State<'_> {
    /// The entry that a run is at, and all behind it in its block.
    fn drain<B: Blocks>(&mut self, run: &mut Run<B>, shared: usize, sink: &mut impl LiveSink) {
        let mut shared = shared;
        let Run { blocks, cursor, block, near, .. } = run;
        let (blocks, entries) = (&*blocks, blocks.entries());
        loop {
            self.entry(At { blocks, entries, cursor, block, near }, shared, sink);
            shared = match cursor.next(entries) {
                Next::Key(shared) => shared,
                Next::Same => cursor.user_key_len(),
                Next::End | Next::Fault => return,
            };
        }
    }

    /// The entry that a run is at, which shares so many bytes with the last key.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of the innermost loops")]
    fn entry<B: Blocks>(&mut self, at: At<'_, B>, shared: usize, sink: &mut impl LiveSink) {
        let At { blocks, entries, cursor, .. } = at;
        let key = cursor.user_key();
        let value = cursor.value(entries);
        // A key that shares all its bytes with the smaller or equal one before it is that key.
        if self.plain && shared < key.len() && cursor.trailer() & 0xff == ValueType::Value as u64 {
            let expired = sink.put(key, shared, value, blocks.table());
            let block = at.block;
            block.entries += 1;
            block.key_bytes += key.len() as u64;
            block.value_bytes += value.len() as u64;
            block.expired_bytes += expired;
        } else {
            self.unusual(at, shared, sink);
        }
    }

    #[inline(never)]
    fn unusual<B: Blocks>(&mut self, at: At<'_, B>, shared: usize, sink: &mut impl LiveSink) {
        let At { blocks, cursor, block, near, entries } = at;
        let (key, value) = (cursor.user_key(), cursor.value(entries));
        block.entries += 1;
        block.key_bytes += key.len() as u64;
        block.value_bytes += value.len() as u64;
        let raw = (key.len() + value.len()) as u64;
        let trailer = trailer(cursor, blocks);
        let kind = value_type(trailer);
        let is_new = shared < key.len() || self.fresh;
        if is_new {
            self.leave(Row::Complete, sink);
            self.fresh = false;
            self.since_row = Some(self.since_row.map_or(shared, |since| since.min(shared)));
        }
        let is_tombstone = match kind {
            Some(ValueType::Deletion | ValueType::DeletionWithTimestamp) => {
                block.deletions += 1;
                true
            }
            Some(ValueType::SingleDeletion) => {
                block.single_deletions += 1;
                true
            }
            Some(ValueType::Merge) => {
                block.merges += 1;
                false
            }
            _ => false,
        };
        let decided = if is_new { None } else { Some(self.row) };
        match decided {
            _ if is_tombstone => {
                block.dead_bytes += raw;
                if decided.is_none_or(|row| row == Row::Merging) {
                    self.leave(Row::Deleted, sink);
                }
            }
            Some(Row::Complete) => {
                block.dead_bytes += raw;
                block.shadowed += 1;
            }
            Some(Row::Deleted) => {
                block.dead_bytes += raw;
                block.deleted += 1;
            }
            _ if self.tombstones.covers(near, key, trailer >> 8) => {
                block.dead_bytes += raw;
                block.deleted += 1;
                self.leave(Row::Deleted, sink);
            }
            _ => self.live((key, value, blocks.table()), block, kind, is_new, sink),
        }
        self.plain = self.since_row.is_none() && self.row != Row::Merging && self.tombstones.is_empty();
    }

    /// A value or operand that is part of a live row, with its key and table.
    fn live(
        &mut self,
        (key, value, table): (&[u8], &[u8], u32),
        block: &mut BlockUse,
        kind: Option<ValueType>,
        is_new: bool,
        sink: &mut impl LiveSink,
    ) {
        let shared = self.since_row.unwrap_or_default();
        let plain = match kind {
            // The sequence number that it would like to have follows the value.
            Some(ValueType::ValuePreferredSeqno) => {
                value.get(..value.len().saturating_sub(8)).unwrap_or_default()
            }
            _ => value,
        };
        match kind {
            Some(ValueType::Merge) => {
                if is_new {
                    sink.begin(key, shared);
                }
                block.expired_bytes += sink.part(value, false, table);
                self.row = Row::Merging;
            }
            Some(ValueType::Value | ValueType::ValuePreferredSeqno) if is_new => {
                block.expired_bytes += sink.put(key, shared, plain, table);
            }
            Some(ValueType::Value | ValueType::ValuePreferredSeqno) => {
                block.expired_bytes += sink.part(plain, true, table);
                self.leave(Row::Complete, sink);
            }
            _ => {
                block.not_understood += 1;
                self.leave(Row::Complete, sink);
                if is_new {
                    sink.not_understood(key, shared, table);
                }
            }
        }
        if is_new {
            self.since_row = None;
        }
    }

    /// Nothing older belongs to the last row.
    #[inline]
    fn leave(&mut self, row: Row, sink: &mut impl LiveSink) {
        if self.row == Row::Merging {
            sink.end();
        }
        self.row = row;
    }
}
