//! Which of several runs comes next.
//!
//! Each head has an *offset-value code* relative to the last entry that came out: how many bytes the two user keys
//! share, and the two bytes behind those. All heads are greater, so the head that shares more bytes is
//! smaller, and of two that share as many, the smaller bytes decide. Codes are integers; the smallest is found without a
//! branch that depends on data, which costs less than the mispredictions of a heap or a tree of losers.
//!
//! When a head comes out, the codes of the others have to be relative to it. They already are, but for those that
//! share with it more than both share with the last one. The keys of these are compared.
//!
//! All of this is linear in the number of runs, of which there are few: RocksDB stops writing before there are
//! many tables in level 0, and each level is one run.

use std::cmp::Ordering;

use statescope_formats::rocksdb::data_block::Difference;

/// The code of a run that has ended.
const ENDED: u64 = u64::MAX;

/// How many bits of a code are the number of the run, and how many are bytes of the key: with the rest, there is
/// room for two million runs and for longer keys than are read.
const RUN_BITS: u32 = 21;
const PAIR_BITS: u32 = 16;
const MAX_SHARED: u64 = (u64::MAX >> (RUN_BITS + PAIR_BITS)) - 1;

/// What the heads of the runs are.
pub(super) trait Heads {
    /// In what a head differs from a key that it shares so many bytes with.
    fn difference(&self, run: usize, shared: usize) -> Difference;

    /// Compares the heads of two runs, the first of which share so many bytes of their user keys. Also says how many
    /// bytes they share.
    fn compare(&self, a: usize, b: usize, shared: usize) -> (Ordering, usize);
}

/// The codes of the heads.
#[derive(Debug)]
pub(super) struct Front {
    /// From the top: what [`MAX_SHARED`] exceeds the number of shared bytes by, the two bytes behind, the number of
    /// the run.
    codes: Vec<[u64; 4]>,
    /// The runs whose heads were compared with the one that comes next, and how many bytes they share with it.
    losers: Vec<(usize, usize)>,
}

impl Front {
    /// Runs that have all ended.
    pub(super) fn new(runs: usize) -> Self {
        Self { codes: vec![[ENDED; 4]; runs.div_ceil(4)], losers: Vec::new() }
    }

    /// The two smallest codes. If they [come close](is_close), [`close`](Self::close) knows which head is next.
    #[inline]
    pub(super) fn first(&self) -> (u64, u64) {
        let (mut first, mut second) = (ENDED, ENDED);
        for &[a, b, c, d] in &self.codes {
            let (low, high) = (a.min(b), a.max(b));
            let (other_low, other_high) = (c.min(d), c.max(d));
            let least = low.min(other_low);
            second = second.min(low.max(other_low)).min(high.min(other_high)).min(first.max(least));
            first = first.min(least);
        }
        (first, second)
    }

    /// The run has a head that differs so from the last entry that came out.
    #[inline]
    pub(super) fn place(&mut self, run: usize, difference: Difference) {
        self.set(run, code(run, difference));
    }

    /// The run has ended.
    pub(super) fn end(&mut self, run: usize) {
        self.set(run, ENDED);
    }

    #[inline]
    fn set(&mut self, run: usize, code: u64) {
        if let Some(to) = self.codes.as_flattened_mut().get_mut(run) {
            *to = code;
        }
    }

    /// The run whose head comes next, where others share more with it than with the last one. None if all runs have
    /// ended.
    #[inline(never)]
    pub(super) fn close(&mut self, heads: &impl Heads, first: u64) -> Option<usize> {
        if first == ENDED {
            return None;
        }
        let before = difference(first).shared;
        let mut winner = run(first);
        self.losers.clear();
        for group in 0..self.codes.len() {
            let codes = self.codes.get(group).copied().unwrap_or_default();
            let bits =
                codes.iter().rev().fold(0, |bits: u8, &code| bits << 1 | u8::from(is_close(code, first)));
            let mut rest = if run(first) / 4 == group { bits & !(1 << (run(first) % 4)) } else { bits };
            while rest != 0 {
                let at = rest.trailing_zeros() as usize;
                let rival = 4 * group + at;
                rest &= rest - 1;
                if codes.get(at).is_some_and(|&code| is_second_byte_decisive(code, first)) {
                    self.set(rival, code(rival, heads.difference(rival, before + 1)));
                    continue;
                }
                let (order, common) = heads.compare(winner, rival, before);
                let swap = order == Ordering::Greater;
                // Those that are greater than the loser share no more with what is smaller than it.
                let most = if swap { common } else { usize::MAX };
                self.losers.iter_mut().for_each(|(_, shared)| *shared = most.min(*shared));
                self.losers.push((if swap { winner } else { rival }, common));
                winner = if swap { rival } else { winner };
            }
        }
        for at in 0..self.losers.len() {
            let Some(&(run, shared)) = self.losers.get(at) else { break };
            self.set(run, code(run, heads.difference(run, shared)));
        }
        Some(winner)
    }
}

/// How many bits of a code are not looked at to know which keys are close.
const FINE_BITS: u32 = RUN_BITS + PAIR_BITS - 8;

/// Whether keys with these codes share more than with the last one.
#[inline]
pub(super) fn is_close(a: u64, b: u64) -> bool {
    (a ^ b) >> FINE_BITS == 0
}

/// Whether a head that differs so from the last entry comes before one with a code, and is not close to it.
#[inline]
pub(super) fn comes_before(difference: Difference, other: u64) -> bool {
    code(0, difference) >> FINE_BITS < other >> FINE_BITS
}

/// Whether keys with such close codes differ in the second byte, if not a zero where one of them ends is
/// what they have in common.
#[inline]
fn is_second_byte_decisive(a: u64, b: u64) -> bool {
    (a ^ b) >> RUN_BITS != 0 && a >> FINE_BITS & 0xff != 0
}

/// The code of a run's head that differs so from the last entry that came out.
#[inline]
pub(super) fn code(run: usize, Difference { shared, pair }: Difference) -> u64 {
    (MAX_SHARED.wrapping_sub(shared as u64) << PAIR_BITS | u64::from(pair)) << RUN_BITS | run as u64
}

/// The run whose head has a code.
#[inline]
pub(super) fn run(code: u64) -> usize {
    (code & ((1 << RUN_BITS) - 1)) as usize
}

/// In what the head with a code differs from the last entry that came out.
#[inline]
pub(super) fn difference(code: u64) -> Difference {
    let shared = MAX_SHARED.wrapping_sub(code >> (RUN_BITS + PAIR_BITS)) as usize;
    Difference { shared, pair: (code >> RUN_BITS) as u16 }
}
