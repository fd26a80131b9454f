//! What splits yield, and how it comes together.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::analyzers::analysis::{AnalysisPartial, ChangesTally};

/// What some splits yielded. Merging is associative and commutative.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPartial {
    /// The splits that are done, by number.
    pub done: BTreeSet<u32>,
    /// The figures.
    pub analysis: AnalysisPartial,
    /// What was read of each table, by handle and number of the table in the handle.
    #[serde(with = "crate::analyzers::analysis::pairs")]
    pub tables: BTreeMap<(u32, u32), TableRead>,
    /// What could not be read, by handle, table and offset.
    #[serde(with = "crate::analyzers::analysis::pairs")]
    pub damage: BTreeMap<(u32, u32, u64), DamageRead>,
    /// What could not be read of streams, by handle and key group.
    #[serde(with = "crate::analyzers::analysis::pairs")]
    pub streams: BTreeMap<(u32, u32), StreamRead>,
    /// What was read of changelogs, by the first handle of each. Whoever reads one again reads the same.
    #[serde(with = "crate::analyzers::analysis::pairs")]
    pub changes: BTreeMap<u32, ChangesRead>,
    /// On-disk bytes that were read.
    pub bytes: u64,
}

/// What was read of the changes of a changelog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesRead {
    /// By name of the state.
    pub states: BTreeMap<String, ChangesTally>,
    /// Sets that were read to their end.
    pub sets: u64,
    /// Changes, of all states.
    pub changes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why it could not be read to its end.
    pub stopped: Option<ChangesStopped>,
}

/// Where the changes of a changelog could not be read on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChangesStopped {
    /// Why.
    pub message: String,
    /// The file.
    pub file: String,
    /// Where in it that shows, if that is known; of a compressed one, in uncompressed bytes behind the first.
    pub at: Option<u64>,
    /// Sets that are not applied, or not to their end.
    pub sets: u64,
    /// Whether what stands there is of a kind that others may know.
    pub unknown: bool,
}

impl ChangesRead {
    /// Nothing could be applied.
    pub(super) fn failed(&mut self, sets: u64, message: String) {
        self.states.clear();
        self.sets = 0;
        self.stopped = Some(ChangesStopped { message, file: String::new(), at: None, sets, unknown: false });
    }
}

/// A key group of a stream that could not be read, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRead {
    /// Why.
    pub message: String,
    /// Where in the stream that shows; of a compressed one, where the key group begins.
    pub at: u64,
    /// Bytes of the stream that are concerned.
    pub bytes: u64,
    /// Whether something is wrong. Otherwise, nothing says where something ends that cannot be walked.
    pub damaged: bool,
}

/// What was read of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRead {
    /// Entries of the handle's key groups.
    pub entries: u64,
    /// On-disk bytes of data blocks that hold them.
    pub stored_bytes: u64,
}

/// A place that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageRead {
    /// What is wrong.
    pub message: String,
    /// Where in the file that shows.
    pub at: u64,
    /// On-disk bytes of blocks that are missing; 0 if nothing is known.
    pub bytes: u64,
    /// How many blocks; 0 for a whole table.
    pub blocks: u64,
}

impl ScanPartial {
    /// Adds what was read of changelogs: of each, whoever reads it sees the same, unless it could not be read again.
    pub(super) fn merge_changes(&mut self, others: impl IntoIterator<Item = (u32, ChangesRead)>) {
        for (number, read) in others {
            match self.changes.entry(number) {
                Entry::Vacant(place) => {
                    place.insert(read);
                }
                Entry::Occupied(mut ours) => {
                    if (read.stopped.is_none(), &read.stopped)
                        < (ours.get().stopped.is_none(), &ours.get().stopped)
                    {
                        ours.insert(read);
                    }
                }
            }
        }
    }

    /// Adds what other splits yielded.
    pub fn merge(&mut self, other: Self) {
        self.done.extend(other.done);
        self.analysis.merge(other.analysis);
        for (key, read) in other.tables {
            let sum = self.tables.entry(key).or_default();
            sum.entries = sum.entries.saturating_add(read.entries);
            sum.stored_bytes = sum.stored_bytes.saturating_add(read.stored_bytes);
        }
        // Neighbours see the same damage of a block that both read.
        self.damage.extend(other.damage);
        self.streams.extend(other.streams);
        self.merge_changes(other.changes);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}
