//! What lies in the files, as it is reported.

use serde::Serialize;

use super::skew::ratio;
use super::tally::{PhysicalTally, StreamTally};
use super::types::DiskBytes;

/// What lies in the files: the physical view.
///
/// Properties of files count less than reading them does: what they do not say is absent at the depth `index`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Physical {
    /// SST files; one that has blocks of several compressions counts for the one that its properties name.
    pub files: u64,
    /// Entries of all types and versions.
    pub entries: u64,
    /// Puts.
    pub puts: Option<u64>,
    /// Tombstones of one key, of both kinds.
    pub tombstones: u64,
    /// Tombstones that hide all older versions.
    pub deletes: Option<u64>,
    /// Tombstones that hide one put.
    pub single_deletes: Option<u64>,
    /// Merge operands.
    pub merges: u64,
    /// Tombstones of a range.
    pub range_deletes: u64,
    /// Entries of other types.
    pub others: Option<u64>,
    /// Entries hidden by a newer version of their key.
    pub shadowed: Option<u64>,
    /// Entries hidden by a tombstone.
    pub deleted: Option<u64>,
    /// Entries outside of the key groups of the handle.
    pub clipped: Option<u64>,
    /// Raw bytes of keys, without RocksDB's trailer of eight bytes; at the depth `index` those of range tombstones too.
    pub key_bytes: u64,
    /// Raw bytes of values; at the depth `index` those of range tombstones too.
    pub value_bytes: u64,
    /// Data blocks.
    pub data_blocks: u64,
    /// On-disk bytes of data blocks, each with its trailer.
    pub stored_bytes: u64,
    /// The same uncompressed, without trailers.
    pub uncompressed_bytes: Option<u64>,
    /// On-disk bytes of index and filter blocks.
    pub index_bytes: u64,
    /// Raw bytes of live rows.
    pub live_raw_bytes: Option<u64>,
    /// Of these, raw bytes of what is expired.
    pub expired_raw_bytes: Option<u64>,
    /// Of `stored_bytes`, what is live, by raw bytes within each block.
    pub live_stored_bytes: Option<u64>,
    /// Of `live_stored_bytes`, what is expired.
    pub expired_stored_bytes: Option<u64>,
    /// Files of which something is missing.
    pub damaged_files: u64,
    /// Blocks that could not be read.
    pub damaged_blocks: u64,
    /// Their on-disk bytes.
    pub damaged_bytes: u64,
    /// Entries that are missing, as far as properties tell.
    pub damaged_entries: u64,
}

impl Physical {
    /// What was counted: entry by entry, or as properties of files say.
    pub(super) fn new(tally: &PhysicalTally, by_entry: bool) -> Self {
        let counted = |n: u64| by_entry.then_some(n);
        Self {
            files: tally.files,
            entries: tally.entries(),
            puts: counted(tally.puts),
            tombstones: tally.deletes.saturating_add(tally.single_deletes),
            deletes: counted(tally.deletes),
            single_deletes: counted(tally.single_deletes),
            merges: tally.merges,
            range_deletes: tally.range_deletes,
            others: counted(tally.others),
            shadowed: counted(tally.shadowed),
            deleted: counted(tally.deleted),
            clipped: counted(tally.clipped),
            key_bytes: tally.key_bytes,
            value_bytes: tally.value_bytes,
            data_blocks: tally.data_blocks,
            stored_bytes: tally.stored_bytes,
            uncompressed_bytes: counted(tally.uncompressed_bytes),
            index_bytes: tally.index_bytes,
            live_raw_bytes: counted(tally.live_raw_bytes),
            expired_raw_bytes: counted(tally.expired_raw_bytes),
            live_stored_bytes: counted(tally.live_stored_bytes),
            expired_stored_bytes: counted(tally.expired_stored_bytes),
            damaged_files: tally.damaged_files,
            damaged_blocks: tally.damaged_blocks,
            damaged_bytes: tally.damaged_bytes,
            damaged_entries: tally.damaged_entries,
        }
    }

    /// Raw bytes of all versions.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.key_bytes.saturating_add(self.value_bytes)
    }
}

/// On-disk bytes, and what they are spent on where rows were read.
pub(super) fn disk(tally: &PhysicalTally, by_entry: bool) -> DiskBytes {
    // The share of the index goes with its blocks.
    let with_index = |stored: u64| {
        let index = u128::from(stored) * u128::from(tally.index_bytes);
        let index = index.checked_div(tally.stored_bytes.into()).unwrap_or(0);
        stored.saturating_add(u64::try_from(index).unwrap_or(u64::MAX))
    };
    let bytes = tally.disk_bytes();
    if !by_entry {
        return DiskBytes { bytes, ..DiskBytes::default() };
    }
    let (live, expired) = (with_index(tally.live_stored_bytes), with_index(tally.expired_stored_bytes));
    spent(bytes, [live.saturating_sub(expired), expired.min(live), bytes.saturating_sub(live)])
}

/// Bytes in streams: what is not expired is live.
pub(super) fn stream_disk(tally: &StreamTally) -> DiskBytes {
    let expired = tally.expired_bytes.min(tally.bytes);
    spent(tally.bytes, [tally.bytes - expired, expired, 0])
}

/// On-disk bytes, of which these are live, expired and dead.
fn spent(bytes: u64, [live, expired, dead]: [u64; 3]) -> DiskBytes {
    DiskBytes {
        bytes,
        live_bytes: Some(live),
        expired_bytes: Some(expired),
        dead_bytes: Some(dead),
        live_share: Some(ratio(live, bytes)),
        expired_share: Some(ratio(expired, bytes)),
        dead_share: Some(ratio(dead, bytes)),
    }
}

/// Adds on-disk bytes of the same depth.
pub(super) fn add_disk(sum: &mut Option<DiskBytes>, other: Option<&DiskBytes>) {
    let Some(other) = other else { return };
    let Some(sum) = sum else {
        *sum = Some(*other);
        return;
    };
    let add = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
    let bytes = sum.bytes.saturating_add(other.bytes);
    let parts = [
        add(sum.live_bytes, other.live_bytes),
        add(sum.expired_bytes, other.expired_bytes),
        add(sum.dead_bytes, other.dead_bytes),
    ];
    *sum = match parts {
        [Some(live), Some(expired), Some(dead)] => spent(bytes, [live, expired, dead]),
        _ => DiskBytes { bytes, ..DiskBytes::default() },
    };
}
