//! The rules that deletion obeys.

use serde::{Deserialize, Serialize};

/// A rule of deletion. Each was learned from an accident: a deleted file that a job needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// Nothing is deleted by default.
    R0,
    /// References decide, not directories; and all that refers to a root must be known.
    R1,
    /// What cannot be read could name anything.
    R2,
    /// What a job was restored from is needed until it has a checkpoint of its own.
    R3,
    /// State changes are uploaded long before a checkpoint names them (FLIP-158).
    R4,
    /// What is young may be a checkpoint that is being written.
    R5,
    /// A running job may come back to what no checkpoint names now.
    R6,
    /// A JobManager recovers only if all checkpoints that it remembers are there (FLINK-22502).
    R7,
    /// Savepoints are the user's.
    R8,
    /// `taskowned` belongs to task managers (FLINK-8531).
    R9,
    /// A merged file lives while one of its segments does (FLIP-306).
    R10,
    /// With entropy injection, the files of a checkpoint lie under random prefixes.
    R11,
    /// One object has many spellings.
    R12,
    /// Only what has a shape that Flink writes is a candidate.
    R13,
    /// `_metadata` goes first, data after it.
    R14,
    /// Never the newest snapshot of a job, never everything, never by an old plan.
    R15,
    /// Ages are by the store's clock; each object is looked at again.
    R16,
    /// What is kept is verified afterwards.
    R17,
}

impl Rule {
    /// The rule that a problem with this code is about.
    #[must_use]
    pub fn of_finding(code: &str) -> Self {
        match code {
            "reference_leaves_roots" | "recorded_elsewhere" => Self::R1,
            "pointer_not_decoded" | "pointer_leaves_roots" => Self::R7,
            "reference_mismatch" | "object_unaddressable" => Self::R12,
            "clocks_disagree" => Self::R16,
            "entropy_injected" => Self::R11,
            _ => Self::R2,
        }
    }
}
