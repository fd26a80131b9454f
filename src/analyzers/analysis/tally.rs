//! What lies in the files, counted as they are read.

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
