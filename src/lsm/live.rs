//! The live view of several runs.

use std::cmp::Ordering;

use statescope_formats::rocksdb::data_block::{CursorKey, Difference, Next, common_prefix};
use statescope_formats::rocksdb::internal_key::ValueType;

use super::front::{self, Front, Heads};
use super::range_del::RangeTombstones;
use super::run::{BlockUse, Blocks, Run, Step, value_type};

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

    /// Whether the row that was handed out last is none after all, since the sink knows of something newer.
    #[inline]
    fn is_replaced(&self) -> bool {
        false
    }
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

/// How often a run must come next in a row for it to be taken that it goes on so.
const STREAK: u32 = 3;

struct HeadsOf<'a, B> {
    runs: &'a [Run<B>],
    stop: Option<&'a [u8]>,
}

impl<B> HeadsOf<'_, B> {
    fn key(&self, run: usize) -> &[u8] {
        match self.runs.get(run) {
            Some(run) => run.cursor.key().user_key(),
            None => self.stop.unwrap_or_default(),
        }
    }
}

impl<B: Blocks> Heads for HeadsOf<'_, B> {
    fn difference(&self, run: usize, shared: usize) -> Difference {
        match self.runs.get(run) {
            Some(run) => run.cursor.key().difference(shared),
            None => {
                let byte = |at| self.stop.and_then(|stop| stop.get(at)).copied().unwrap_or_default();
                Difference { shared, pair: u16::from_be_bytes([byte(shared), byte(shared + 1)]) }
            }
        }
    }

    fn compare(&self, a: usize, b: usize, shared: usize) -> (Ordering, usize) {
        if let (Some(x), Some(y)) = (self.runs.get(a), self.runs.get(b)) {
            let (of_x, of_y) = (x.cursor.key(), y.cursor.key());
            let (order, common) = of_x.compare(&of_y, shared);
            let order = order.unwrap_or_else(|| {
                let newest = || y.blocks.trailer(of_y.trailer()).cmp(&x.blocks.trailer(of_x.trailer()));
                let lengths = of_x.user_key().len().cmp(&of_y.user_key().len());
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
            while matches!(step, Step::To(_)) && run.cursor.key().user_key() < low {
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
                front.place(number, run.cursor.key().difference(0));
            }
        }
        match heads.stop {
            Some(stop) => {
                let shared = common_prefix(&old, stop);
                front.place(at, heads.difference(at, shared));
            }
            None => front.end(at),
        }
        self.started = true;
        self.rows(sink);
        // A row does not go beyond its key, and the stop lies between keys.
        self.state.leave(Row::Complete, sink);
    }

    fn rows(&mut self, sink: &mut impl LiveSink) {
        let Self { runs, stop, front, state, .. } = self;
        // The run that the last entry came from, and how many did in a row.
        let (mut last, mut streak) = (usize::MAX, 0);
        loop {
            let (code, rival) = front.first();
            let mut winner = front::run(code);
            let shared = front::difference(code).shared;
            let is_close = front::is_close(code, rival);
            if is_close {
                let heads = HeadsOf { runs, stop: stop.as_deref() };
                let Some(closest) = front.close(&heads, code) else { return };
                winner = closest;
            }
            streak = if winner == last { streak + 1 } else { 0 };
            last = winner;
            let Some(run) = runs.get_mut(winner) else {
                // The stop. From here on, what is shared is relative to it.
                state.since_row = Some(state.since_row.map_or(shared, |since| since.min(shared)));
                (state.fresh, state.plain) = (true, false);
                return;
            };
            let next = if streak >= STREAK && !is_close {
                state.entries(run, front::difference(code), rival, sink)
            } else {
                let Run { blocks, cursor, block, near, .. } = run;
                let entries = blocks.entries();
                let (key, value) = (cursor.key(), cursor.value(entries));
                let mut sums = Sums::default();
                if state.ordinary(key, value, shared, blocks.table(), &mut sums, sink) {
                    sums.add_to(block);
                } else {
                    state.unusual((key.user_key(), key.trailer(), value), blocks, block, near, shared, sink);
                }
                cursor.next(entries)
            };
            match next {
                Next::Key(difference) => front.place(winner, difference),
                Next::End | Next::Fault => match run.next_block() {
                    Step::To(difference) => front.place(winner, difference),
                    Step::End => front.end(winner),
                },
            }
        }
    }

    /// Ends the scan: tells the runs what was left over.
    pub fn finish(mut self) -> Vec<B> {
        self.runs.iter_mut().for_each(Run::leave);
        self.runs.into_iter().map(|run| run.blocks).collect()
    }
}

/// What is counted of ordinary rows. Apart from [`BlockUse`], so that a loop has it in registers.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    entries: u64,
    key_bytes: u64,
    value_bytes: u64,
    expired_bytes: u64,
    replaced: u64,
    replaced_bytes: u64,
}

impl Sums {
    #[inline]
    fn add_to(self, block: &mut BlockUse) {
        block.entries += self.entries;
        block.key_bytes += self.key_bytes;
        block.value_bytes += self.value_bytes;
        block.expired_bytes += self.expired_bytes;
        block.shadowed += self.replaced;
        block.dead_bytes += self.replaced_bytes;
    }
}

impl State<'_> {
    /// The entry that a run is at, which comes next and differs so from the last one, and those behind it in its block
    /// that come before the heads of all other runs, whose smallest code is given. What is returned is what follows.
    #[inline(never)]
    fn entries<B: Blocks>(
        &mut self,
        run: &mut Run<B>,
        first: Difference,
        rival: u64,
        sink: &mut impl LiveSink,
    ) -> Next {
        let Run { blocks, cursor, block, near, .. } = run;
        let (blocks, entries, table) = (&*blocks, blocks.entries(), blocks.table());
        let mut sums = Sums::default();
        let next = cursor.take_while(first, entries, |difference, key, value| {
            let comes_next = front::comes_before(difference, rival);
            let shared = difference.shared;
            if comes_next && !self.ordinary(key, value, shared, table, &mut sums, sink) {
                self.unusual((key.user_key(), key.trailer(), value), blocks, block, near, shared, sink);
            }
            comes_next
        });
        sums.add_to(block);
        next
    }

    /// If a row is a value of another key and nothing else is to be done, deals with it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of the innermost loops")]
    fn ordinary(
        &mut self,
        key: CursorKey<'_>,
        value: &[u8],
        shared: usize,
        table: u32,
        sums: &mut Sums,
        sink: &mut impl LiveSink,
    ) -> bool {
        let user_key = key.user_key();
        // A key that shares all its bytes with the smaller or equal one before it is that key.
        let is_ordinary =
            self.plain && shared < user_key.len() && key.trailer() & 0xff == ValueType::Value as u64;
        if is_ordinary {
            let expired = sink.put(user_key, shared, value, table);
            sums.entries += 1;
            sums.key_bytes += user_key.len() as u64;
            sums.value_bytes += value.len() as u64;
            sums.expired_bytes += expired;
            if sink.is_replaced() {
                sums.replaced += 1;
                sums.replaced_bytes += (user_key.len() + value.len()) as u64;
            }
        }
        is_ordinary
    }

    /// An entry, of which user key, trailer and value are given.
    #[inline(never)]
    fn unusual<B: Blocks>(
        &mut self,
        (key, trailer, value): (&[u8], u64, &[u8]),
        blocks: &B,
        block: &mut BlockUse,
        near: &mut usize,
        shared: usize,
        sink: &mut impl LiveSink,
    ) {
        block.entries += 1;
        block.key_bytes += key.len() as u64;
        block.value_bytes += value.len() as u64;
        let raw = (key.len() + value.len()) as u64;
        let trailer = blocks.trailer(trailer);
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
                block.replaced(sink, key, value);
                self.row = Row::Merging;
            }
            Some(ValueType::Value | ValueType::ValuePreferredSeqno) if is_new => {
                block.expired_bytes += sink.put(key, shared, plain, table);
                block.replaced(sink, key, value);
            }
            Some(ValueType::Value | ValueType::ValuePreferredSeqno) => {
                block.expired_bytes += sink.part(plain, true, table);
                block.replaced(sink, key, value);
                self.leave(Row::Complete, sink);
            }
            _ => {
                block.not_understood += 1;
                self.leave(Row::Complete, sink);
                if is_new {
                    sink.not_understood(key, shared, table);
                    block.replaced(sink, key, value);
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
