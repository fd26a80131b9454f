//! What lies under a root: the figures of `inspect ROOT`. Its serialized form is the JSON output,
//! described field by field in `docs/json.md`.

use serde::Serialize;

use super::overview;
use crate::model::{Finding, Snapshot, SnapshotKind};

/// The jobs and savepoints under a root.
#[derive(Debug, Clone, Serialize)]
pub struct RootOverview {
    /// The directory that was looked at.
    pub location: String,
    /// The reference time of ages, in milliseconds since 1970.
    pub now_ms: i64,
    /// The jobs, the one with the newest complete checkpoint first.
    pub jobs: Vec<JobSummary>,
    /// Snapshots that are no `chk-N` of a job: savepoints, and copies. The newest comes first.
    pub savepoints: Vec<SnapshotRow>,
    /// Directories that were not looked into because they lie too deep.
    pub not_looked_into: Vec<String>,
    /// Problems in the data.
    pub findings: Vec<Finding>,
}

/// A job's directory.
#[derive(Debug, Clone, Serialize)]
pub struct JobSummary {
    /// The directory.
    pub location: String,
    /// The job's id, if the directory is called by one.
    pub job_id: Option<String>,
    /// The location of the newest complete checkpoint by its number.
    pub newest_by_id: Option<String>,
    /// The location of the newest complete checkpoint by the time of its completion, if that is more than
    /// a minute later; else the same. Where the two differ, numbers began again after a new submission, or
    /// files were copied.
    pub newest_by_completion: Option<String>,
    /// The complete checkpoints, by number, highest first.
    pub checkpoints: Vec<SnapshotRow>,
    /// `chk-N` directories without `_metadata`: being written, or given up.
    pub incomplete: Vec<String>,
}

/// A snapshot in a list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SnapshotRow {
    /// The directory that holds `_metadata`.
    pub location: String,
    /// `checkpoint`, `savepoint` or `unknown`.
    pub kind: &'static str,
    /// As in `inspect SNAPSHOT`.
    pub format: Option<String>,
    /// The checkpoint's id; absent if `_metadata` cannot be read.
    pub checkpoint_id: Option<i64>,
    /// The version of the `_metadata` format.
    pub metadata_version: Option<i32>,
    /// The size of `_metadata` in bytes.
    pub metadata_bytes: Option<u64>,
    /// When `_metadata` was last modified, in milliseconds since 1970.
    pub completed_at_ms: Option<i64>,
    /// Bytes of state that the snapshot names, files shared with other snapshots included.
    pub state_bytes: Option<u64>,
    /// Objects that it names.
    pub objects: Option<u64>,
    /// Operators.
    pub operators: Option<usize>,
}

impl SnapshotRow {
    /// The row of a snapshot that was read.
    #[must_use]
    pub fn new(location: String, snapshot: &Snapshot, modified_ms: Option<i64>) -> Self {
        let (bytes, objects) = overview::size(snapshot);
        Self {
            location,
            kind: match snapshot.kind {
                SnapshotKind::Checkpoint { .. } => "checkpoint",
                SnapshotKind::Savepoint { .. } => "savepoint",
                SnapshotKind::Unknown => "unknown",
            },
            format: overview::format(snapshot),
            checkpoint_id: Some(snapshot.checkpoint_id),
            metadata_version: Some(snapshot.metadata_version),
            metadata_bytes: Some(snapshot.metadata_bytes),
            completed_at_ms: modified_ms,
            state_bytes: Some(bytes),
            objects: Some(objects),
            operators: Some(snapshot.operators.len()),
        }
    }

    /// The row of a snapshot that could not be read.
    #[must_use]
    pub fn unreadable(location: String, modified_ms: Option<i64>) -> Self {
        Self { location, kind: "unknown", completed_at_ms: modified_ms, ..Self::default() }
    }
}

impl RootOverview {
    /// Puts everything into its order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let newest = |job: &JobSummary| job.checkpoints.iter().filter_map(|c| c.completed_at_ms).max();
        self.jobs.sort_by(|a, b| (newest(b), &a.location).cmp(&(newest(a), &b.location)));
        self.savepoints
            .sort_by(|a, b| (b.completed_at_ms, &a.location).cmp(&(a.completed_at_ms, &b.location)));
        self.findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
        self
    }
}
