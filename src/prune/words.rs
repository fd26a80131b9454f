//! What each reason says to people: why, and what they can do.

use super::{Keep, Orphan, SnapshotKeep};

impl Keep {
    /// Why it stays.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Referenced => "a snapshot names it",
            Self::ReferencedByName => "a snapshot names a file of this name, recorded at another place",
            Self::PointedTo => "a JobManager's pointer names it",
            Self::KeptSnapshot => "the _metadata of a snapshot that stays",
            Self::HighAvailability => "in the storage of high availability",
            Self::Savepoint => "in a savepoint, or under a root of savepoints",
            Self::UnknownShape => "its name or place is none that Flink writes",
            Self::Blocked(_) => "something under its root cannot be told",
            Self::AgeUnknown => "its age is not known",
            Self::TooYoung => {
                "younger than the least age: it may belong to a checkpoint that is being written"
            }
            Self::TaskOwned => "owned by task managers of a job that is not shown to have ended",
            Self::Changelog => "state changes of a job that is not shown to have ended",
            Self::Merged => "a merged file of a job that is not shown to have ended",
            Self::Working => "in a working directory of a job that is not shown to have ended",
            Self::JobNotStopped => "its job is not shown to have ended",
            Self::RootsNotComplete => {
                "nobody said that all that uses this storage lies under the given roots"
            }
        }
    }

    /// What a user can do, if anything.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Referenced
            | Self::ReferencedByName
            | Self::PointedTo
            | Self::KeptSnapshot
            | Self::HighAvailability => None,
            Self::Savepoint => Some("savepoints go by name only: --delete-savepoint"),
            Self::UnknownShape => Some("find out what it is; nothing here deletes it"),
            Self::Blocked(_) => Some("see the findings"),
            Self::AgeUnknown => Some("its store tells no time of it; nothing here deletes it"),
            Self::TooYoung => Some("wait"),
            Self::TaskOwned | Self::Changelog | Self::Merged | Self::Working => {
                Some("if the job has ended for good, say so with --job-stopped or show it with --rest")
            }
            Self::JobNotStopped => Some(
                "if the job has ended for good, say so with --job-stopped or show it with --rest; if it runs, mark \
                 first (--mark) and plan later with the marks (--marked)",
            ),
            Self::RootsNotComplete => Some("give all roots and say so with --roots-complete"),
        }
    }
}

impl SnapshotKeep {
    /// Why it stays.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::NotAsked => "whole checkpoints go only with --keep or --older-than",
            Self::Savepoint => "a savepoint: the user's",
            Self::SavepointInUse => "other snapshots use files of this savepoint",
            Self::Unread => "its _metadata cannot be read",
            Self::Blocked(_) => "something under its root cannot be told",
            Self::RootsNotComplete => {
                "nobody said that all that uses this storage lies under the given roots"
            }
            Self::JobNotStopped => "its job is not shown to have ended",
            Self::RestoresUnknown => "a job may have been restored from it and still hold it",
            Self::PointedTo => "a JobManager would recover from it",
            Self::Pinned => "a running job was restored from it, or holds it",
            Self::Newest => "the newest of its job, by number or by completion",
            Self::AmongNewest => "among the newest that are to be kept",
            Self::NotOldEnough => "not as old as asked for",
            Self::TooYoung => "younger than the least age, or its age is not known",
        }
    }

    /// What a user can do, if anything.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::PointedTo | Self::Pinned | Self::Newest | Self::NotAsked => None,
            Self::Savepoint => Some("savepoints go by name only: --delete-savepoint"),
            Self::SavepointInUse => Some("`refs` tells which snapshots use them"),
            Self::Unread | Self::Blocked(_) => Some("see the findings"),
            Self::RootsNotComplete => Some("give all roots and say so with --roots-complete"),
            Self::JobNotStopped => {
                Some("if the job has ended for good, say so with --job-stopped or show it with --rest")
            }
            Self::RestoresUnknown => Some(
                "show what running jobs were restored from with --rest and --ha, or say with --restores-done that none \
                 holds a checkpoint of another job any more",
            ),
            Self::AmongNewest => Some("--keep says how many stay"),
            Self::NotOldEnough => Some("--older-than says how old"),
            Self::TooYoung => Some("wait"),
        }
    }
}

impl Orphan {
    /// What it is.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::AbandonedCheckpoint => "in a chk-N without _metadata",
            Self::Exclusive => "in a chk-N whose _metadata does not name it",
            Self::AbandonedMetadata => "_metadata that was never completed",
            Self::Shared => "in shared/, named by nothing",
            Self::TaskOwned => "in taskowned/, named by nothing",
            Self::Merged => "a merged file without a live segment",
            Self::Working => "in a ForSt working directory, named by nothing",
            Self::Changelog => "state changes, named by nothing",
            Self::Savepoint => "in a savepoint's directory, named by nothing",
            Self::Other => "none of Flink's shapes",
        }
    }
}
