//! The live view of several runs.

use std::cmp::Ordering;

use statescope_formats::rocksdb::data_block::{Next, common_prefix};
use statescope_formats::rocksdb::internal_key::ValueType;

use super::range_del::RangeTombstones;
use super::run::{BlockUse, Blocks, Run, Step, value_type};
use super::tournament::{Heads, Tournament};

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
    /// The key to stop before. It takes part in the tournament behind the runs.
    stop: Option<Vec<u8>>,
    tournament: Tournament,
    state: State<'t>,
    /// How many entries came from the winner in a row.
    wins: u32,
    /// The last key that came out, if it is longer than the tournament counts.
    last: Vec<u8>,
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

/// Keys that are longer than the tournament counts.
const LONG: usize = 0xfffe;
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
    #[inline]
    fn window(&self, run: usize, from: usize) -> u64 {
        match self.runs.get(run) {
            Some(run) => run.cursor.window(from),
            None => {
                let mut bytes = [0; 8];
                let rest = self.stop.and_then(|stop| stop.get(from..)).unwrap_or_default();
                bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                u64::from_be_bytes(bytes)
            }
        }
    }

    fn key_len(&self, run: usize) -> usize {
        self.key(run).len()
    }

    fn compare(&self, a: usize, b: usize, shared: usize) -> (Ordering, usize) {
        let rest = |run| self.key(run).get(shared..).unwrap_or_default();
        let (x, y) = (rest(a), rest(b));
        let common = common_prefix(x, y);
        let order = x.get(common).cmp(&y.get(common)).then_with(|| {
            // Newest first; the stop comes before all versions of its key.
            match (self.runs.get(a), self.runs.get(b)) {
                (Some(x), Some(y)) => y.trailer().cmp(&x.trailer()).then(a.cmp(&b)),
                (x, y) => x.is_some().cmp(&y.is_some()),
            }
        });
        (order, shared + common)
    }
}

impl<'t, B: Blocks> LiveScan<'t, B> {
    /// Begins at the first key that is not smaller than `low`. `runs` are to begin no later than with the
    /// block that may hold it. Of equal entries, which no database has, that of the first run wins.
    pub fn new(runs: Vec<B>, low: &[u8], tombstones: &'t RangeTombstones) -> Self {
        let mut runs: Vec<_> = runs.into_iter().map(Run::new).collect();
        for run in &mut runs {
            let mut step = run.start();
            while matches!(step, Step::To(..)) && run.cursor.user_key() < low {
                run.block.before += run.raw_len();
                step = run.step();
            }
        }
        let tournament = Tournament::new(runs.len() + 1);
        let state = State { tombstones, row: Row::Complete, since_row: Some(0), fresh: true };
        Self { runs, stop: None, tournament, state, wins: 0, last: Vec::new(), started: false }
    }

    /// Hands out rows up to the first that is not smaller than `stop`, or to the end. May be called
    /// again with a greater stop.
    pub fn run(&mut self, stop: Option<&[u8]>, sink: &mut impl LiveSink) {
        if self.started {
            self.resume(stop);
        } else {
            self.begin(stop);
        }
        while let Some(winner) = self.tournament.winner() {
            if winner >= self.runs.len() {
                break;
            }
            self.winner(winner, sink);
        }
        // A row does not go beyond its key, and the stop lies between keys.
        self.state.leave(Row::Complete, sink);
    }

    /// Ends the scan: tells the runs what was left over.
    pub fn finish(mut self) -> Vec<B> {
        self.runs.iter_mut().for_each(Run::leave);
        self.runs.into_iter().map(|run| run.blocks).collect()
    }

    /// Codes all heads: no key came out yet.
    fn begin(&mut self, stop: Option<&[u8]>) {
        self.started = true;
        self.stop = stop.map(<[u8]>::to_vec);
        let Self { runs, stop, tournament, .. } = self;
        let heads = HeadsOf { runs, stop: stop.as_deref() };
        for run in 0..=heads.runs.len() {
            if heads.runs.get(run).map_or(stop.is_some(), |run| run.alive) {
                tournament.place(&heads, run, 0);
            } else {
                tournament.remove(run);
            }
        }
        tournament.rebuild(&heads);
    }

    /// Puts another stop in place of the one that was reached.
    fn resume(&mut self, stop: Option<&[u8]>) {
        let old = std::mem::replace(&mut self.stop, stop.map(<[u8]>::to_vec)).unwrap_or_default();
        let Self { runs, stop, tournament, state, last, .. } = self;
        let at = runs.len();
        if tournament.winner() != Some(at) {
            return;
        }
        // The old stop came out: from here on, codes are relative to it. The last key comes before it, and
        // the next one behind, so that what the outer two share is the least that each shares with it.
        let mut shared = tournament.shared(at);
        if shared >= LONG {
            shared = common_prefix(last, &old);
        }
        state.since_row = Some(state.since_row.map_or(shared, |since| since.min(shared)));
        state.fresh = true;
        last.clear();
        if old.len() >= LONG {
            last.extend_from_slice(&old);
        }
        let heads = HeadsOf { runs, stop: stop.as_deref() };
        if let Some(stop) = &*stop {
            tournament.place(&heads, at, common_prefix(&old, stop));
        } else {
            tournament.remove(at);
        }
        tournament.replay(&heads, at);
        self.wins = 0;
    }

    /// Deals with the head of a run that comes next, and perhaps with those behind it.
    #[inline]
    fn winner(&mut self, winner: usize, sink: &mut impl LiveSink) {
        let mut shared = self.tournament.shared(winner);
        let Some(run) = self.runs.get_mut(winner) else { return };
        if shared >= LONG {
            shared = common_prefix(&self.last, run.cursor.user_key());
        }
        let worthwhile = self.wins % STREAK == STREAK - 1;
        if worthwhile && self.owns_block(winner) {
            self.drain(winner, shared, sink);
            return;
        }
        let Some(run) = self.runs.get_mut(winner) else { return };
        self.state.entry(run, shared, sink);
        if run.cursor.user_key_len() >= LONG {
            self.last.clear();
            self.last.extend_from_slice(run.cursor.user_key());
        }
        let step = run.step();
        self.stepped(winner, step);
    }

    /// After a step of the winner: plays its games.
    #[inline]
    fn stepped(&mut self, winner: usize, step: Step) {
        let Self { runs, stop, tournament, .. } = self;
        let heads = HeadsOf { runs, stop: stop.as_deref() };
        match step {
            Step::To(shared, entered) => {
                tournament.place(&heads, winner, shared);
                // A block that was just entered is asked for at once.
                self.wins = if entered { STREAK - 1 } else { self.wins + 1 };
            }
            Step::End => tournament.remove(winner),
        }
        tournament.replay(&heads, winner);
        if tournament.winner() != Some(winner) {
            self.wins = 0;
        }
    }

    /// Whether all of the winner's block comes before everything else.
    fn owns_block(&self, winner: usize) -> bool {
        let Some(run) = self.runs.get(winner) else { return false };
        let separator = run.blocks.separator();
        let heads = HeadsOf { runs: &self.runs, stop: self.stop.as_deref() };
        self.tournament.rivals(winner).all(|rival| separator < heads.key(rival))
    }

    /// Deals with all that is left of the winner's block, without any comparison between runs.
    fn drain(&mut self, winner: usize, shared: usize, sink: &mut impl LiveSink) {
        let Some(run) = self.runs.get_mut(winner) else { return };
        self.state.drain(run, shared, sink);
        // The rivals' codes are relative to the key that came out before the block.
        let rivals: Vec<usize> = self.tournament.rivals(winner).collect();
        let heads = HeadsOf { runs: &self.runs, stop: self.stop.as_deref() };
        for rival in rivals {
            let shared = common_prefix(heads.key(winner), heads.key(rival));
            self.tournament.place(&heads, rival, shared);
        }
        let Some(run) = self.runs.get_mut(winner) else { return };
        if run.cursor.user_key_len() >= LONG {
            self.last.clear();
            self.last.extend_from_slice(run.cursor.user_key());
        }
        let step = run.next_block();
        self.stepped(winner, step);
    }
}

impl State<'_> {
    /// The entry that a run is at, and all behind it in its block.
    fn drain<B: Blocks>(&mut self, run: &mut Run<B>, shared: usize, sink: &mut impl LiveSink) {
        let mut shared = shared;
        loop {
            self.entry(run, shared, sink);
            shared = match run.cursor.next(run.blocks.entries()) {
                Next::Key(shared) => shared,
                Next::Same => run.cursor.user_key_len(),
                Next::End | Next::Fault => return,
            };
        }
    }

    /// The entry that a run is at, which shares so many bytes with the last key.
    #[inline]
    fn entry<B: Blocks>(&mut self, run: &mut Run<B>, shared: usize, sink: &mut impl LiveSink) {
        let key_len = run.cursor.user_key_len();
        let value_len = run.cursor.value_len();
        run.block.entries += 1;
        run.block.key_bytes += key_len as u64;
        run.block.value_bytes += value_len as u64;
        // A key that shares all its bytes with the smaller or equal one before it is that key.
        let is_new = shared < key_len || self.fresh;
        let is_value = run.cursor.trailer() & 0xff == ValueType::Value as u64;
        if is_new && is_value && self.row != Row::Merging && self.tombstones.is_empty() {
            let shared = self.since_row.map_or(shared, |since| since.min(shared));
            let value = run.cursor.value(run.blocks.entries());
            run.block.expired_bytes += sink.put(run.cursor.user_key(), shared, value, run.blocks.table());
            self.since_row = None;
            self.row = Row::Complete;
            self.fresh = false;
        } else {
            self.unusual(run, shared, is_new, sink);
        }
    }

    #[inline(never)]
    fn unusual<B: Blocks>(
        &mut self,
        run: &mut Run<B>,
        shared: usize,
        is_new: bool,
        sink: &mut impl LiveSink,
    ) {
        let (raw, trailer) = (run.raw_len(), run.trailer());
        let kind = value_type(trailer);
        let Run { blocks, cursor, block, near, .. } = run;
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
            _ if self.tombstones.covers(near, cursor.user_key(), trailer >> 8) => {
                block.dead_bytes += raw;
                block.deleted += 1;
                self.leave(Row::Deleted, sink);
            }
            _ => self.live(blocks, cursor, block, kind, is_new, sink),
        }
    }

    /// A value or operand that is part of a live row.
    fn live<B: Blocks>(
        &mut self,
        blocks: &B,
        cursor: &statescope_formats::rocksdb::data_block::EntryCursor,
        block: &mut BlockUse,
        kind: Option<ValueType>,
        is_new: bool,
        sink: &mut impl LiveSink,
    ) {
        let shared = self.since_row.unwrap_or_default();
        let value = cursor.value(blocks.entries());
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
                    sink.begin(cursor.user_key(), shared);
                }
                block.expired_bytes += sink.part(value, false, blocks.table());
                self.row = Row::Merging;
            }
            Some(ValueType::Value | ValueType::ValuePreferredSeqno) if is_new => {
                block.expired_bytes += sink.put(cursor.user_key(), shared, plain, blocks.table());
            }
            Some(ValueType::Value | ValueType::ValuePreferredSeqno) => {
                block.expired_bytes += sink.part(plain, true, blocks.table());
                self.leave(Row::Complete, sink);
            }
            _ => {
                block.not_understood += 1;
                self.leave(Row::Complete, sink);
                if is_new {
                    sink.not_understood(cursor.user_key(), shared, blocks.table());
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
