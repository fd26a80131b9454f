//! What storage does not tell: whether jobs run, what a user asserts, and what is asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Finding;
use crate::model::inventory::ObjectId;
use crate::storage::Location;

/// An hour in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// What is known besides what lies on storage.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
    /// Whether all that writes to these roots, or restores from them, has its snapshots under them. The user says so.
    pub roots_complete: bool,
    /// Whether every job that was restored from a snapshot here has completed one of its own since, or ended; or what it
    /// was restored from is in `pinned`.
    pub restores_known: bool,
    /// Directories of jobs that ended for good, and who says so.
    pub stopped: BTreeMap<Location, String>,
    /// Directories of jobs that run, and who says so.
    pub running: BTreeMap<Location, String>,
    /// Snapshots that running jobs were restored from, or hold as theirs, and who says so.
    pub pinned: BTreeMap<Location, String>,
    /// How many checkpoints Flink itself retains, if a configuration says so.
    pub num_retained: Option<u32>,
    /// Objects of jobs that may run that were unreferenced long enough, over enough checkpoints.
    pub long_unreferenced: BTreeSet<ObjectId>,
    /// What speaks against any conclusion: clocks that disagree, entropy in the configuration.
    pub against: Vec<Finding>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How many complete checkpoints of a job that ended stay, if whole checkpoints may go.
    pub keep: Option<u32>,
    /// How old a checkpoint must be to go, in milliseconds, if whole checkpoints may go.
    pub older_than_ms: Option<u64>,
    /// How old anything must be to go, in milliseconds.
    pub min_age_ms: u64,
    /// Savepoints that are to go, by name.
    pub savepoints: BTreeSet<Location>,
}

impl Policy {
    /// How many checkpoints stay where nothing is said.
    pub const DEFAULT_KEEP: u32 = 3;

    /// How old something must be where nothing is said, in milliseconds.
    pub const DEFAULT_MIN_AGE_MS: u64 = 72 * HOUR_MS;

    /// Below this many milliseconds, an upload that is under way may be taken for an orphan.
    pub const FLOOR_MIN_AGE_MS: u64 = 24 * HOUR_MS;

    /// Whether whole checkpoints may go.
    #[must_use]
    pub fn takes_checkpoints(&self) -> bool {
        self.keep.is_some() || self.older_than_ms.is_some()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep: None,
            older_than_ms: None,
            min_age_ms: Self::DEFAULT_MIN_AGE_MS,
            savepoints: BTreeSet::new(),
        }
    }
}
