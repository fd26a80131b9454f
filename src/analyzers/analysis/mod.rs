//! What is live, dead and expired in a snapshot: the figures of `analyze`.
//!
//! A scan reads every row of the live view once and pushes it into the [`StateAccumulator`] of its state; what lies in
//! the files it counts in a [`PhysicalTally`]. Both are per split, merge to an [`AnalysisPartial`] in any order, and
//! [`finish()`] turns that into an [`Analysis`].

mod accumulator;
mod ages;
mod compression;
mod disk_groups;
mod estimate;
mod findings;
mod finish;
mod histogram;
mod key_bytes;
mod key_text;
mod keys;
mod operator;
mod partial;
mod physical;
mod plan;
mod skew;
mod spill;
mod sums;
mod tally;
mod timers;
mod types;

pub use accumulator::{StateAccumulator, TableFacts};
pub use ages::{AgesPartial, ClassTotals, ExpiredTotals, WHAT_IF_TTL_MS};
pub use compression::{
    CompressionSample, CompressionWhatIf, SampledBlocks, Variant, VariantCost, VariantExpected, variants,
};
pub use disk_groups::DiskGroups;
pub use estimate::{Draw, KeyExtent, StateSample, error};
pub use finish::{Context, Shallow, Subjects, finish};
pub use histogram::{Distribution, Histogram, HistogramBucket, RELATIVE_ERROR};
pub use key_bytes::KeyBytes;
pub use keys::{EdgeKeys, KeyOf, KeyTotals, KeysPartial};
pub use operator::OperatorKeys;
pub(crate) use partial::pairs;
pub use partial::{
    AnalysisPartial, GroupTotals, HandleKey, HandlePartial, KryoTotals, LiveTotals, NotWalkedTotals,
    OperatorPartial, Problem, StateKey, StatePartial, TallyKey,
};
pub use physical::Physical;
pub(super) use plan::delimiter_of;
pub use plan::{Settings, StatePlan, TtlArgument};
pub use spill::Spill;
pub use tally::{ChangesTally, NotApplied, PhysicalTally, StreamTally};
pub use timers::{DEFAULT_TIMER_MEMORY, FAR_FUTURE_MS, TimersPartial};
pub use types::*;

#[cfg(test)]
mod tests;
