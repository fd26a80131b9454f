//! What is live: the one order of several sorted runs, and which of its entries Flink would see.
//!
//! ```text
//! run: blocks in key order ──EntryCursor──▶ entries ─┐
//! run: …                                             ├─ tournament ─▶ one order ─▶ visibility ─▶ LiveSink
//! run: …                                             ┘
//! ```
//!
//! Nothing here reads: [`Blocks`] hands out blocks, [`LiveSink`] takes rows. A [`LiveScan`] costs little
//! more than decoding its entries:
//!
//! * Prefix compression tells how many bytes a key shares with the one before it in its run. That number
//!   with the bytes behind it (an *offset-value code*) decides nearly every comparison of two runs by
//!   comparing two integers, and tells whether two entries are versions of one key.
//! * While a whole block lies below the heads of all other runs, nothing is compared at all.
//! * Values are slices of their blocks; those of merge operands are handed out one by one.

mod live;
mod range_del;
mod run;
mod tournament;

pub use live::{LiveScan, LiveSink};
pub use range_del::{RangeTombstones, StoredTombstone};
pub use run::{BlockUse, Blocks};

#[cfg(test)]
mod tests;
