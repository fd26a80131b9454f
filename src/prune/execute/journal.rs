//! What an apply tells while it works: one line for each step, before and after.

use serde::{Deserialize, Serialize};

use crate::prune::{Reason, Version};

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// An apply begins.
    Begin {
        /// The time, in milliseconds since 1970.
        at_ms: i64,
        /// The checksum of the plan.
        plan: String,
        /// Objects that the plan names.
        candidates: u64,
    },
    /// An object is about to be copied and removed.
    Removing {
        /// Where it is.
        url: String,
        /// Its state.
        #[serde(flatten)]
        version: Version,
        /// Why it goes.
        reason: Reason,
        /// Where a copy is kept, if one is.
        quarantine: Option<String>,
    },
    /// It is removed.
    Removed {
        /// Where it was.
        url: String,
        /// The time, in milliseconds since 1970.
        at_ms: i64,
    },
    /// It was not there any more.
    Gone {
        /// Where it was.
        url: String,
    },
    /// It could not be removed, or nobody knows whether it was.
    Failed {
        /// Where it is.
        url: String,
        /// Why.
        message: String,
    },
    /// An apply ends.
    End {
        /// The time, in milliseconds since 1970.
        at_ms: i64,
        /// Objects that were removed.
        removed: u64,
        /// Objects that could not be removed.
        failed: u64,
        /// Objects that stay after all.
        kept: u64,
    },
}
