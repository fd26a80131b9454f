//! Which of several runs comes next: a tree of losers over offset-value codes.
//!
//! Each run's head is coded relative to the last entry that came out: how many bytes the two user
//! keys share, and the six bytes behind those. All heads are greater, so the head that shares more
//! bytes is smaller, and of two that share as many, the smaller bytes decide. Only if those are equal
//! too do keys have to be looked at. The loser of a comparison gets the code that it has relative to
//! the winner, so that it stays right when the winner comes out.

use std::cmp::Ordering;

/// A head that is behind everything.
const GONE: u64 = u64::MAX;

const WINDOW_BITS: u32 = 48;
const WINDOW: u64 = (1 << WINDOW_BITS) - 1;
const MAX_SHARED: usize = 0xfffe;

/// What the heads of the runs are.
pub(super) trait Heads {
    /// Eight bytes of the user key of a head from an offset on, big-endian, padded with zeros.
    fn window(&self, run: usize, from: usize) -> u64;

    /// The length of the user key of a head.
    fn key_len(&self, run: usize) -> usize;

    /// Compares the heads of two runs whose user keys share at least `shared` bytes. Also says how many bytes
    /// they share.
    fn compare(&self, a: usize, b: usize, shared: usize) -> (Ordering, usize);
}

/// A tree of losers.
#[derive(Debug)]
pub(super) struct Tournament {
    codes: Vec<u64>,
    /// `losers[n]` lost at the inner node n; `losers[0]` is the winner.
    losers: Vec<usize>,
}

impl Tournament {
    pub(super) fn new(runs: usize) -> Self {
        Self { codes: vec![GONE; runs], losers: vec![0; runs] }
    }

    /// Says that a head is gone.
    pub(super) fn remove(&mut self, run: usize) {
        self.set(run, GONE);
    }

    /// Says how many bytes of its user key a head shares with the last entry that came out.
    #[inline]
    pub(super) fn place(&mut self, heads: &impl Heads, run: usize, shared: usize) {
        self.set(run, code(heads, run, shared));
    }

    fn set(&mut self, run: usize, code: u64) {
        if let Some(to) = self.codes.get_mut(run) {
            *to = code;
        }
    }

    fn code(&self, run: usize) -> u64 {
        self.codes.get(run).copied().unwrap_or(GONE)
    }

    /// The run whose head comes next, and how many bytes it shares with the last one that came out; none
    /// if all are gone.
    #[inline]
    pub(super) fn winner(&self) -> Option<usize> {
        let winner = self.losers.first().copied()?;
        (self.code(winner) != GONE).then_some(winner)
    }

    /// Plays all games anew. The codes must be relative to one entry.
    pub(super) fn rebuild(&mut self, heads: &impl Heads) {
        let runs = self.codes.len();
        let mut winners = vec![0; runs.saturating_mul(2)];
        for node in (1..runs.saturating_mul(2)).rev() {
            let winner = if node >= runs {
                node - runs
            } else {
                let player = |n: usize| winners.get(n).copied().unwrap_or_default();
                let (a, b) = (player(2 * node), player(2 * node + 1));
                let (winner, loser) = if self.beats(heads, a, b) { (a, b) } else { (b, a) };
                if let Some(to) = self.losers.get_mut(node) {
                    *to = loser;
                }
                winner
            };
            if let Some(to) = winners.get_mut(node) {
                *to = winner;
            }
        }
        if let (Some(to), Some(&winner)) = (self.losers.first_mut(), winners.get(1)) {
            *to = winner;
        }
    }

    /// Plays the games of the last winner, whose head has changed.
    #[inline]
    pub(super) fn replay(&mut self, heads: &impl Heads, run: usize) {
        let mut winner = run;
        let mut node = (run + self.codes.len()) / 2;
        while node > 0 {
            let Some(&loser) = self.losers.get(node) else { break };
            if self.beats(heads, loser, winner) {
                if let Some(to) = self.losers.get_mut(node) {
                    *to = winner;
                }
                winner = loser;
            }
            node /= 2;
        }
        if let Some(to) = self.losers.first_mut() {
            *to = winner;
        }
    }

    /// The runs that lost directly to this winner: the next one is among them.
    pub(super) fn rivals(&self, winner: usize) -> impl Iterator<Item = usize> + '_ {
        let mut node = winner + self.codes.len();
        std::iter::from_fn(move || {
            node /= 2;
            if node == 0 { None } else { self.losers.get(node).copied() }
        })
        .filter(|&run| self.code(run) != GONE)
    }

    /// Whether a comes before b. The loser gets its code relative to the winner.
    #[inline]
    fn beats(&mut self, heads: &impl Heads, a: usize, b: usize) -> bool {
        let (x, y) = (self.code(a), self.code(b));
        let a_wins = x < y;
        // The usual cases: they share a different number of bytes, or differ in the byte right behind.
        let difference = x ^ y;
        if difference >> (WINDOW_BITS - 8) != 0 {
            return a_wins;
        }
        self.close_game(heads, a, b, x, y)
    }

    /// Both share as many bytes with the last entry, and the byte behind is the same too.
    fn close_game(&mut self, heads: &impl Heads, a: usize, b: usize, x: u64, y: u64) -> bool {
        if x == GONE {
            return true;
        }
        let shared = MAX_SHARED - (x >> WINDOW_BITS) as usize;
        let difference = (x ^ y) & WINDOW;
        if difference != 0 && shared < MAX_SHARED {
            let more = (difference.leading_zeros() - (64 - WINDOW_BITS)) as usize / 8;
            let a_wins = x < y;
            let (winner, loser) = if a_wins { (a, b) } else { (b, a) };
            // Zeros behind the end of the smaller key are not shared.
            let more = more.min(heads.key_len(winner).saturating_sub(shared));
            self.set(loser, code(heads, loser, shared + more));
            return a_wins;
        }
        let (order, shared) = heads.compare(a, b, shared);
        let a_wins = order == Ordering::Less;
        let loser = if a_wins { b } else { a };
        self.set(loser, code(heads, loser, shared));
        a_wins
    }

    /// How many bytes the head of a run shares with the last entry that came out; for very long keys, at
    /// least so many.
    #[inline]
    pub(super) fn shared(&self, run: usize) -> usize {
        MAX_SHARED.saturating_sub((self.code(run) >> WINDOW_BITS) as usize)
    }
}

#[inline]
fn code(heads: &impl Heads, run: usize, shared: usize) -> u64 {
    let shared = shared.min(MAX_SHARED);
    ((MAX_SHARED - shared) as u64) << WINDOW_BITS | heads.window(run, shared) >> (64 - WINDOW_BITS)
}
