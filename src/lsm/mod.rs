//! What is live: the one order of several sorted runs, and which of its entries Flink would see.
//!
//! ```text
//! run: blocks in key order ──EntryCursor──▶ entries ─┐
//! run: …                                             ├─ front ─▶ one order ─▶ visibility ─▶ LiveSink
//! run: …                                             ┘
//! ```
//!
//! Nothing here reads: [`Blocks`] hands out blocks, [`LiveSink`] takes rows. A [`LiveScan`] costs little
//! more than decoding its entries:
//!
//! * How many bytes each head shares with the last entry, and two more, decide most comparisons of runs, as integers
//!   and without branches. Prefix compression tells how they change from one entry of a run to the next, and whether
//!   two entries are versions of one key.
//! * A run that came next several times is taken to go on so, entry by entry with one such comparison.
//! * Values are slices of their blocks; those of merge operands are handed out one by one.

mod front;
mod live;
mod range_del;
mod run;

pub use live::{LiveScan, LiveSink};
pub use range_del::{RangeTombstones, StoredTombstone};
pub use run::{BlockUse, Blocks};

#[cfg(test)]
mod tests;
