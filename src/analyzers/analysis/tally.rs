//! What lies in the files, counted as they are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sums::sums;

sums! {
    /// The physical view of one compression on one level of a state; sums of these are of several.
    pub struct PhysicalTally {
        /// SST files; one that has blocks of several compressions counts for the one that its properties name.
        files,
        /// Puts.
        puts,
        /// Tombstones of one key.
        deletes,
        /// Tombstones that hide one put.
        single_deletes,
        /// Merge operands.
        merges,
        /// Tombstones of a range.
        range_deletes,
        /// Entries of other types.
        others,
        /// Entries hidden by a newer version of their key.
        shadowed,
        /// Entries hidden by a tombstone.
        deleted,
        /// Entries outside of the key groups of the handle.
        clipped,
        /// Raw bytes of keys, without RocksDB's trailer of eight bytes.
        key_bytes,
        /// Raw bytes of values.
        value_bytes,
        /// Data blocks.
        data_blocks,
        /// On-disk bytes of data blocks, each with its trailer.
        stored_bytes,
        /// The same uncompressed, without trailers.
        uncompressed_bytes,
        /// On-disk bytes of index and filter blocks: the share of these data blocks.
        index_bytes,
        /// Raw bytes of live rows.
        live_raw_bytes,
        /// Of these, raw bytes of what is expired.
        expired_raw_bytes,
        /// Of `stored_bytes`, what is live, by raw bytes within each block.
        live_stored_bytes,
        /// Of `live_stored_bytes`, what is expired.
        expired_stored_bytes,
        /// Files of which something is missing.
        damaged_files,
        /// Blocks that could not be read.
        damaged_blocks,
        /// Their on-disk bytes.
        damaged_bytes,
        /// Entries that are missing, as far as properties tell.
        damaged_entries,
    }
}

sums! {
    /// What a state has in streams of key groups.
    pub struct StreamTally {
        /// Key groups that hold any of it.
        key_groups,
        /// Its bytes in the stream. Where that is compressed, the share that its uncompressed bytes have in those of each
        /// key group.
        bytes,
        /// The same uncompressed.
        uncompressed_bytes,
        /// Of `bytes`, what is expired, by raw bytes within each key group.
        expired_bytes,
        /// Key groups of which something is missing.
        damaged_key_groups,
        /// Bytes that are missing.
        damaged_bytes,
    }
}

/// What changes of a changelog did to a state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesTally {
    /// Changes that were applied, by Flink's name of their operation in lower case.
    pub applied: BTreeMap<String, u64>,
    /// Bytes of these.
    pub bytes: u64,
    /// Changes that could not be applied, by the reason, and their bytes.
    pub not_applied: BTreeMap<String, NotApplied>,
    /// Rows whose value only user code knows: namespaces were merged into theirs last.
    pub merged_rows: u64,
}

/// Changes that could not be applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotApplied {
    /// How many.
    pub changes: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl ChangesTally {
    /// Counts a change that was applied.
    pub fn applied(&mut self, operation: &str, bytes: u64) {
        match self.applied.get_mut(operation) {
            Some(count) => *count = count.saturating_add(1),
            None => self.applied.extend([(operation.to_owned(), 1)]),
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts a change that was not.
    pub fn not_applied(&mut self, reason: String, bytes: u64) {
        self.merge(&Self {
            not_applied: BTreeMap::from([(reason, NotApplied { changes: 1, bytes })]),
            ..Self::default()
        });
    }

    /// Adds those of another changelog.
    pub fn merge(&mut self, other: &Self) {
        for (operation, count) in &other.applied {
            let sum = self.applied.entry(operation.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.merged_rows = self.merged_rows.saturating_add(other.merged_rows);
        for (reason, not) in &other.not_applied {
            let sum = self.not_applied.entry(reason.clone()).or_default();
            sum.changes = sum.changes.saturating_add(not.changes);
            sum.bytes = sum.bytes.saturating_add(not.bytes);
        }
    }
}

impl PhysicalTally {
    /// Entries of all types.
    #[must_use]
    pub fn entries(&self) -> u64 {
        [self.puts, self.deletes, self.single_deletes, self.merges, self.range_deletes, self.others]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// On-disk bytes: data blocks with their share of the index.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.stored_bytes.saturating_add(self.index_bytes)
    }

    /// Raw bytes of all versions.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.key_bytes.saturating_add(self.value_bytes)
    }
}
