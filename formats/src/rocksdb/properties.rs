//! The metaindex and the properties block (`table/meta_blocks.cc`, `table/table_properties.cc`,
//! `include/rocksdb/table_properties.h`, `table/block_based/block_based_table_factory.cc`).
//!
//! Both are uncompressed [blocks](super::block) of names and values, sorted by name.
//!
//! ```text
//! metaindex    rocksdb.properties        → handle        fullfilter.<policy>        → handle
//!              rocksdb.index             → handle (v6+)  partitionedfilter.<policy> → handle
//!              rocksdb.range_del         → handle        filter.<policy>            → handle (old)
//!              rocksdb.compression_dict  → handle
//! properties   rocksdb.num.entries       → varint64, as nearly all numbers
//!              rocksdb.comparator        → text
//!              rocksdb.block.based.table.index.type           → u32 LE
//!              rocksdb.block.based.table.whole.key.filtering  → "0" or "1"
//!              rocksdb.external_sst_file.global_seqno         → u64 LE
//! ```
//!
//! A table that an application wrote (`SstFileWriter`) and RocksDB ingested may have had its global
//! sequence number set *after* the checksum was computed; then the checksum is that of a zero there.

use std::collections::BTreeMap;

use super::block::StoredBlock;
use super::checksum::BlockChecksum;
use super::handle::BlockHandle;
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt};

const PROPERTIES: &str = "rocksdb.properties";
const GLOBAL_SEQNO: &[u8] = b"rocksdb.external_sst_file.global_seqno";

/// The metaindex: where the blocks lie that are neither data nor, before version 6, the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaIndex {
    /// All entries by name.
    pub blocks: BTreeMap<String, BlockHandle>,
}

/// What kind of filter a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterKind {
    /// One filter for the whole table.
    Full,
    /// Filters in partitions, and an index of them.
    Partitioned,
    /// One filter for every two KiB of data: written by no release since 8.0.
    BlockBased,
}

impl MetaIndex {
    /// Decodes the metaindex, whose checksum has been verified. Every block it names must end before
    /// `limit`.
    ///
    /// # Errors
    /// As [`StoredBlock::uncompressed`] and [`super::block::Entries::next`];
    /// [`crate::ErrorKind::Invalid`] for a handle that points beyond `limit` or a name that is not UTF-8.
    pub fn decode(block: &StoredBlock<'_>, limit: u64) -> Result<Self> {
        let mut blocks = BTreeMap::new();
        let mut entries = block.uncompressed()?.entries();
        while let Some(entry) = entries.next()? {
            let name = std::str::from_utf8(entry.key).map_err(|_| {
                let found = entry.key.escape_ascii().to_string();
                Error::invalid("the name of a block is UTF-8", found, entry.offset)
            })?;
            let mut cursor = Cursor::at(entry.value, entry.value_offset);
            let handle = BlockHandle::decode(&mut cursor)
                .and_then(|handle| handle.check_within(limit, entry.value_offset).map(|()| handle))
                .named("blocks", || name.to_owned())?;
            blocks.insert(name.to_owned(), handle);
        }
        Ok(Self { blocks })
    }

    fn get(&self, name: &str) -> Option<BlockHandle> {
        self.blocks.get(name).copied().filter(|handle| !handle.is_null())
    }

    /// Where the properties lie.
    #[must_use]
    pub fn properties(&self) -> Option<BlockHandle> {
        // LevelDB's name, which RocksDB 2.x used.
        self.get(PROPERTIES).or_else(|| self.get("rocksdb.stats"))
    }

    /// Where the index lies, from format version 6 on.
    #[must_use]
    pub fn index(&self) -> Option<BlockHandle> {
        self.get("rocksdb.index")
    }

    /// Where the range deletions lie.
    #[must_use]
    pub fn range_del(&self) -> Option<BlockHandle> {
        self.get("rocksdb.range_del")
    }

    /// Where the dictionary lies that the data blocks were compressed with.
    #[must_use]
    pub fn compression_dict(&self) -> Option<BlockHandle> {
        self.get("rocksdb.compression_dict")
    }

    /// The filter: its kind, the name of its policy, and where it (of a partitioned one: its index)
    /// lies.
    #[must_use]
    pub fn filter(&self) -> Option<(FilterKind, &str, BlockHandle)> {
        self.blocks.iter().find_map(|(name, &handle)| {
            let kind = |prefix, kind| name.strip_prefix(prefix).map(|policy| (kind, policy, handle));
            kind("fullfilter.", FilterKind::Full)
                .or_else(|| kind("partitionedfilter.", FilterKind::Partitioned))
                .or_else(|| kind("filter.", FilterKind::BlockBased))
        })
    }
}

/// How the index is organised: `rocksdb.block.based.table.index.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexType {
    /// One block, searched by bisection.
    BinarySearch,
    /// The same, with a hash table of prefixes beside it.
    HashSearch,
    /// Partitions, and an index of them.
    TwoLevelIndexSearch,
    /// One block whose values also hold each data block's first key.
    BinarySearchWithFirstKey,
    /// One that this decoder does not know.
    Other(u32),
}

impl IndexType {
    fn from_u32(code: u32) -> Self {
        match code {
            0 => Self::BinarySearch,
            1 => Self::HashSearch,
            2 => Self::TwoLevelIndexSearch,
            3 => Self::BinarySearchWithFirstKey,
            other => Self::Other(other),
        }
    }
}

macro_rules! properties {
    ($($(#[$doc:meta])* $field:ident: $ty:ty = $name:literal as $decode:ident;)*) => {
        /// The properties of a table. None where the table does not have the property.
        ///
        /// Sizes are in bytes, times in seconds since 1970.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct TableProperties {
            $($(#[$doc])* pub $field: Option<$ty>,)*
            /// All others by name, the user-collected ones among them, as they are.
            pub others: BTreeMap<Vec<u8>, Vec<u8>>,
            /// Names of known properties whose value could not be decoded; RocksDB ignores such, too.
            /// Their values are in [`TableProperties::others`].
            pub malformed: Vec<&'static str>,
        }

        impl TableProperties {
            fn set(&mut self, name: &[u8], value: &[u8]) {
                let (known, bad): (bool, &'static str) = match std::str::from_utf8(name) {
                    $(Ok($name) => {
                        self.$field = $decode(value);
                        (self.$field.is_some(), $name)
                    })*
                    _ => (false, ""),
                };
                if !known {
                    self.others.insert(name.to_vec(), value.to_vec());
                    if !bad.is_empty() {
                        self.malformed.push(bad);
                    }
                }
            }
        }
    };
}

properties! {
    /// The file's number when it was written.
    original_file_number: u64 = "rocksdb.original.file.number" as varint;
    /// All data blocks as stored, trailers included.
    data_size: u64 = "rocksdb.data.size" as varint;
    /// The index as stored, its top level and trailers included.
    index_size: u64 = "rocksdb.index.size" as varint;
    /// How many partitions the index has.
    index_partitions: u64 = "rocksdb.index.partitions" as varint;
    /// The top level of a partitioned index.
    top_level_index_size: u64 = "rocksdb.top-level.index.size" as varint;
    /// 1: keys of the index are user keys, 0: internal keys.
    index_key_is_user_key: u64 = "rocksdb.index.key.is.user.key" as varint;
    /// 1: handles in the index are differences.
    index_value_is_delta_encoded: u64 = "rocksdb.index.value.is.delta.encoded" as varint;
    /// 1: an application's own index is the one to read.
    udi_is_primary_index: u64 = "rocksdb.udi.is.primary.index" as varint;
    /// The filter as stored.
    filter_size: u64 = "rocksdb.filter.size" as varint;
    /// All keys, whole and uncompressed: internal keys, so 8 bytes each more than the user's.
    raw_key_size: u64 = "rocksdb.raw.key.size" as varint;
    /// All values, uncompressed.
    raw_value_size: u64 = "rocksdb.raw.value.size" as varint;
    /// How many data blocks; 11 leaves out those that it held back until it had a dictionary.
    num_data_blocks: u64 = "rocksdb.num.data.blocks" as varint;
    /// Data blocks that compression did not make smaller.
    num_data_blocks_compression_rejected: u64 = "rocksdb.num.data.blocks.compression.rejected" as varint;
    /// Data blocks that were not tried to be compressed.
    num_data_blocks_compression_bypassed: u64 = "rocksdb.num.data.blocks.compression.bypassed" as varint;
    /// Index blocks whose keys are evenly spread.
    num_uniform_blocks: u64 = "rocksdb.num.uniform.blocks" as varint;
    /// All entries: values, merge operands, deletions; and range deletions, except in 5.17.
    num_entries: u64 = "rocksdb.num.entries" as varint;
    /// Keys or prefixes in the filter.
    num_filter_entries: u64 = "rocksdb.num.filter_entries" as varint;
    /// Deletions of every kind; range deletions too, except in 5.17.
    num_deletions: u64 = "rocksdb.deleted.keys" as varint;
    /// Merge operands.
    num_merge_operands: u64 = "rocksdb.merge.operands" as varint;
    /// Range deletions.
    num_range_deletions: u64 = "rocksdb.num.range-deletions" as varint;
    /// Not the footer's version: 0 in all releases.
    format_version: u64 = "rocksdb.format.version" as varint;
    /// Length of every key; 0 if they differ, as in all block-based tables.
    fixed_key_len: u64 = "rocksdb.fixed.key.length" as varint;
    /// Id of the column family; 2147483647 if unknown.
    column_family_id: u64 = "rocksdb.column.family.id" as varint;
    /// Name of the column family.
    column_family_name: String = "rocksdb.column.family.name" as text;
    /// The oldest ancester time: when the oldest data of the file came in.
    creation_time: u64 = "rocksdb.creation.time" as varint;
    /// The oldest key's time.
    oldest_key_time: u64 = "rocksdb.oldest.key.time" as varint;
    /// The newest key's time.
    newest_key_time: u64 = "rocksdb.newest.key.time" as varint;
    /// When the file was written.
    file_creation_time: u64 = "rocksdb.file.creation.time" as varint;
    /// Estimated size of the data blocks if compressed slowly.
    slow_compression_estimated_data_size: u64 = "rocksdb.sample_for_compression.slow.data.size" as varint;
    /// Estimated size of the data blocks if compressed fast.
    fast_compression_estimated_data_size: u64 = "rocksdb.sample_for_compression.fast.data.size" as varint;
    /// Offset at which the data blocks end.
    tail_start_offset: u64 = "rocksdb.tail.start.offset" as varint;
    /// 0: the file lacks the user-defined timestamps of its keys.
    user_defined_timestamps_persisted: u64 = "rocksdb.user.defined.timestamps.persisted" as varint;
    /// The largest sequence number of a key.
    key_largest_seqno: u64 = "rocksdb.key.largest.seqno" as varint;
    /// The smallest sequence number of a key.
    key_smallest_seqno: u64 = "rocksdb.key.smallest.seqno" as varint;
    /// Entries between restarts of a data block.
    data_block_restart_interval: u64 = "rocksdb.data.block.restart.interval" as varint;
    /// Entries between restarts of an index block.
    index_block_restart_interval: u64 = "rocksdb.index.block.restart.interval" as varint;
    /// 1: data blocks hold values apart from keys.
    separate_key_value_in_data_block: u64 = "rocksdb.separate.key.value.in.data.block" as varint;
    /// Identity of the database that wrote the file.
    db_id: String = "rocksdb.creating.db.identity" as text;
    /// Identity of its session: it changes with every open.
    db_session_id: String = "rocksdb.creating.session.identity" as text;
    /// The host that wrote the file.
    db_host_id: String = "rocksdb.creating.host.identity" as text;
    /// Name of the filter policy.
    filter_policy: String = "rocksdb.filter.policy" as text;
    /// Name of the comparator.
    comparator: String = "rocksdb.comparator" as text;
    /// Name of the merge operator; `nullptr` if there was none.
    merge_operator: String = "rocksdb.merge.operator" as text;
    /// Name of the prefix extractor; `nullptr` if there was none.
    prefix_extractor: String = "rocksdb.prefix.extractor.name" as text;
    /// Names of the property collectors: `[a,b]`.
    property_collectors: String = "rocksdb.property.collectors" as text;
    /// Name of the compression; from format version 7 on `manager;types in hex;…`.
    compression: String = "rocksdb.compression" as text;
    /// Options of the compression.
    compression_options: String = "rocksdb.compression_options" as text;
    /// Which sequence number was in use when: see [`TableProperties::seqno_to_time`].
    seqno_to_time_mapping: Vec<u8> = "rocksdb.seqno.time.map" as bytes;
    /// How the index is organised.
    index_type: IndexType = "rocksdb.block.based.table.index.type" as index_type;
    /// Whether whole keys are in the filter.
    whole_key_filtering: bool = "rocksdb.block.based.table.whole.key.filtering" as digit;
    /// Whether prefixes are in the filter.
    prefix_filtering: bool = "rocksdb.block.based.table.prefix.filtering" as digit;
    /// Whether partitions of the filter do not follow those of the index.
    decoupled_partitioned_filters: bool = "rocksdb.block.based.table.decoupled.partitioned.filters" as digit;
    /// Version of what `SstFileWriter` wrote: 1, or 2 with a global sequence number.
    external_sst_file_version: u32 = "rocksdb.external_sst_file.version" as fixed32;
    /// The sequence number of all keys of an ingested file, if it is not 0.
    external_sst_file_global_seqno: u64 = "rocksdb.external_sst_file.global_seqno" as fixed64;
}

impl TableProperties {
    /// Verifies and decodes the properties block.
    ///
    /// # Errors
    /// As [`StoredBlock::uncompressed`] and [`super::block::Entries::next`],
    /// [`crate::ErrorKind::ChecksumMismatch`], [`crate::ErrorKind::Invalid`] if the names are not sorted.
    pub fn decode(block: &StoredBlock<'_>, check: BlockChecksum) -> Result<Self> {
        let verified = block.verify(check, "the properties block");
        let decoded = decode(block);
        match (verified, decoded) {
            (Ok(()), decoded) => Ok(decoded?.0),
            // The one way in which a good block has a checksum that does not match.
            (Err(mismatch), Ok((properties, Some(at)))) => {
                let mut blanked = block.contents.to_vec();
                let Some(seqno) = at.checked_add(8).and_then(|end| blanked.get_mut(at..end)) else {
                    return Err(mismatch);
                };
                seqno.fill(0);
                let blanked = StoredBlock { contents: &blanked, ..*block };
                blanked.verify(check, "the properties block").map_err(|_| mismatch)?;
                Ok(properties)
            }
            (Err(mismatch), _) => Err(mismatch),
        }
    }

    /// The pairs (sequence number, time in seconds since 1970) of `rocksdb.seqno.time.map`: at that
    /// time, that was the last sequence number (`db/seqno_to_time_mapping.{h,cc}`).
    /// Empty unless `preserve_internal_time_seconds` or a last-level option was set.
    ///
    /// # Errors
    /// As [`Cursor::varint64`] and [`Cursor::check_count`]; offsets count from the property's value.
    pub fn seqno_to_time(&self) -> Result<Vec<(u64, u64)>> {
        let mut cursor = Cursor::new(self.seqno_to_time_mapping.as_deref().unwrap_or_default());
        if cursor.is_empty() {
            return Ok(Vec::new());
        }
        let found = cursor.varint64()?;
        let count = cursor.check_count("pairs", i64::try_from(found).unwrap_or(i64::MAX), 2, 0)?;
        let (mut seqno, mut time) = (0u64, 0u64);
        let mut pairs = Vec::with_capacity(count);
        for i in 0..count {
            let at = cursor.offset();
            let next = |cursor: &mut Cursor<'_>, last: u64| Ok(last.checked_add(cursor.varint64()?));
            let pair = (next(&mut cursor, seqno), next(&mut cursor, time));
            match (pair.0.index("pairs", i)?, pair.1.index("pairs", i)?) {
                (Some(s), Some(t)) => (seqno, time) = (s, t),
                _ => return Err(Error::invalid("sums of differences have 64 bits", "more", at)),
            }
            pairs.push((seqno, time));
        }
        cursor.finish()?;
        Ok(pairs)
    }
}

/// The properties, and where in the block the global sequence number stands.
fn decode(block: &StoredBlock<'_>) -> Result<(TableProperties, Option<usize>)> {
    let mut properties = TableProperties::default();
    let mut global_seqno = None;
    let mut last: Option<Vec<u8>> = None;
    let mut entries = block.uncompressed()?.entries();
    while let Some(entry) = entries.next()? {
        if last.as_deref().is_some_and(|last| last >= entry.key) {
            let found = entry.key.escape_ascii().to_string();
            return Err(Error::invalid("properties are sorted by name", found, entry.offset));
        }
        last = Some(entry.key.to_vec());
        if entry.key == GLOBAL_SEQNO && entry.value.len() == 8 {
            let at = entry.value_offset.saturating_sub(block.handle.offset);
            global_seqno = usize::try_from(at).ok();
        }
        properties.set(entry.key, entry.value);
    }
    Ok((properties, global_seqno))
}

fn varint(value: &[u8]) -> Option<u64> {
    Cursor::new(value).varint64().ok()
}

fn fixed32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_le_bytes)
}

fn fixed64(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_le_bytes)
}

fn index_type(value: &[u8]) -> Option<IndexType> {
    fixed32(value).map(IndexType::from_u32)
}

fn digit(value: &[u8]) -> Option<bool> {
    match value {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

// It cannot fail, but stands where the others do.
#[allow(clippy::unnecessary_wraps)]
fn bytes(value: &[u8]) -> Option<Vec<u8>> {
    Some(value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::rocksdb::checksum::ChecksumType;
    use crate::rocksdb::handle::BLOCK_TRAILER_LEN;

    const CHECK: BlockChecksum =
        BlockChecksum { checksum_type: ChecksumType::Crc32c, base_context_checksum: 0 };

    /// A block of whole keys, at offset 100.
    fn contents(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in entries {
            out.extend([0, u8::try_from(key.len()).unwrap(), u8::try_from(value.len()).unwrap()]);
            out.extend(key.as_bytes());
            out.extend(*value);
        }
        out.extend([0; 4]);
        out.extend(1u32.to_le_bytes());
        out
    }

    fn stored(contents: &[u8]) -> StoredBlock<'_> {
        let handle = BlockHandle { offset: 100, size: contents.len() as u64 };
        StoredBlock { handle, contents, compression_tag: 0, checksum: CHECK.compute(contents, 0, 100) }
    }

    #[test]
    fn known_unknown_and_malformed() {
        let bytes = contents(&[
            ("my.own", b"x"),
            ("rocksdb.block.based.table.index.type", &[2, 0, 0, 0]),
            ("rocksdb.block.based.table.whole.key.filtering", b"2"),
            ("rocksdb.comparator", &[0xff]),
            ("rocksdb.from.the.future", b"y"),
            ("rocksdb.num.entries", &[0x80, 0x01]),
        ]);
        let properties = TableProperties::decode(&stored(&bytes), CHECK).unwrap();
        assert_eq!(properties.num_entries, Some(128));
        assert_eq!(properties.index_type, Some(IndexType::TwoLevelIndexSearch));
        assert_eq!((properties.comparator, properties.whole_key_filtering), (None, None));
        let malformed = ["rocksdb.block.based.table.whole.key.filtering", "rocksdb.comparator"];
        assert_eq!(properties.malformed, malformed);
        let others: Vec<_> = properties.others.keys().map(|k| std::str::from_utf8(k).unwrap()).collect();
        assert_eq!(others, ["my.own", malformed[0], malformed[1], "rocksdb.from.the.future"]);
    }

    #[test]
    fn names_are_sorted_and_the_checksum_holds() {
        let bytes = contents(&[("b", b""), ("a", b"")]);
        let error = TableProperties::decode(&stored(&bytes), CHECK).unwrap_err();
        assert_eq!(error.offset(), 104);
        let bytes = contents(&[("a", b"1")]);
        let damaged = StoredBlock { checksum: 1, ..stored(&bytes) };
        let error = TableProperties::decode(&damaged, CHECK).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ChecksumMismatch { .. }));
    }

    #[test]
    fn a_metaindex_names_blocks() {
        let bytes = contents(&[
            ("fullfilter.rocksdb.BuiltinBloomFilter", &[10, 20]),
            ("rocksdb.compression_dict", &[0, 0]),
            ("rocksdb.properties", &[40, 50]),
            ("rocksdb.range_del", &[35, 0]),
        ]);
        let limit = 90 + BLOCK_TRAILER_LEN;
        let index = MetaIndex::decode(&stored(&bytes), limit).unwrap();
        let handle = BlockHandle { offset: 10, size: 20 };
        assert_eq!(index.filter(), Some((FilterKind::Full, "rocksdb.BuiltinBloomFilter", handle)));
        assert_eq!(index.properties(), Some(BlockHandle { offset: 40, size: 50 }));
        assert_eq!(index.range_del(), Some(BlockHandle { offset: 35, size: 0 }));
        assert_eq!((index.compression_dict(), index.index()), (None, None));
        let error = MetaIndex::decode(&stored(&bytes), limit - 1).unwrap_err();
        assert_eq!(error.path(), r#"blocks["rocksdb.properties"]"#);
    }

    #[test]
    fn sequence_numbers_and_times_are_differences() {
        let of = |bytes: &[u8]| {
            TableProperties { seqno_to_time_mapping: Some(bytes.to_vec()), ..Default::default() }
                .seqno_to_time()
        };
        assert_eq!(of(&[2, 10, 100, 5, 20]), Ok(vec![(10, 100), (15, 120)]));
        assert_eq!(TableProperties::default().seqno_to_time(), Ok(vec![]));
        assert!(matches!(of(&[100, 10, 100]).unwrap_err().kind(), ErrorKind::BadCount { .. }));
        assert!(of(&[1, 10]).is_err());
        assert!(of(&[1, 10, 100, 0]).is_err());
    }
}
