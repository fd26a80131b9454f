//! The tables that are read, opened when the first split needs them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use statescope_formats::rocksdb::block::StoredBlock;
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use statescope_formats::rocksdb::index::{IndexBlock, IndexFormat};
use statescope_formats::rocksdb::properties::{FilterKind, IndexType};
use statescope_formats::rocksdb::range_del::RangeTombstone;
use statescope_formats::rocksdb::tail::TableTail;
use statescope_formats::{Error as FormatError, ErrorKind};

use super::plan::Extent;
use crate::model::{FileId, TableBounds};
pub(super) use crate::readers::source::ReadError;
use crate::readers::source::Source;
use crate::storage::{ReadAhead, ReadRequest, Storage, StorageError};

/// A table of one handle.
#[derive(Debug)]
pub(super) struct ScanTable {
    pub(super) file: FileId,
    pub(super) source: Source,
    /// Its name for messages.
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) level: u32,
    pub(super) size: u64,
    pub(super) bounds: TableBounds,
    pub(super) tail: Arc<TableTail>,
    /// Instead of the sequence numbers of its entries.
    pub(super) global_sequence: Option<u64>,
}

impl ScanTable {
    pub(super) fn extent(&self) -> Extent<'_> {
        Extent { level: self.level, size: self.size, bounds: &self.bounds }
    }

    /// Entries that are no range tombstones, as the properties say.
    pub(super) fn data_entries(&self) -> Option<u64> {
        let properties = self.tail.properties.as_ref()?;
        let all = properties.num_entries?;
        Some(all.saturating_sub(self.range_deletions()))
    }

    pub(super) fn range_deletions(&self) -> u64 {
        self.tail.properties.as_ref().and_then(|p| p.num_range_deletions).unwrap_or(0)
    }

    /// Bytes of data blocks with their trailers.
    pub(super) fn data_bytes(&self) -> Option<u64> {
        self.tail.properties.as_ref()?.data_size
    }

    /// Bytes of index and filter blocks.
    pub(super) fn index_bytes(&self) -> u64 {
        let Some(properties) = &self.tail.properties else { return 0 };
        properties.index_size.unwrap_or(0).saturating_add(properties.filter_size.unwrap_or(0))
    }

    /// How many bytes a store is asked for, at most, to read all of its data.
    pub(super) fn asked_bytes(&self) -> u64 {
        self.source.missing(self.size)
    }

    /// Whether its index is in parts, which are read when the split is known.
    pub(super) fn has_partitioned_index(&self) -> bool {
        IndexFormat::of(&self.tail).is_ok_and(|format| format.is_partitioned())
    }

    /// Whether a user key is not smaller than all of its keys.
    pub(super) fn begins_before(&self, key: &[u8]) -> bool {
        self.bounds.smallest.user_key.as_slice() <= key
    }

    /// Whether any of its keys, or ends of its range tombstones, may lie in a range of user keys.
    pub(super) fn overlaps(&self, low: &[u8], high: Option<&[u8]>) -> bool {
        self.bounds.largest.user_key.as_slice() >= low
            && high.is_none_or(|high| self.bounds.smallest.user_key.as_slice() < high)
    }
}

/// What is needed to read a table's data, held as long as splits need it.
#[derive(Debug)]
pub(super) struct OpenTable {
    format: IndexFormat,
    /// The index block, of a partitioned index its top level, uncompressed.
    index: Vec<u8>,
    pub(super) dictionary: Option<Vec<u8>>,
    pub(super) range_tombstones: Vec<RangeTombstone>,
}

/// A data block to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockRef {
    pub(super) handle: BlockHandle,
    separator: (usize, usize),
}

/// The data blocks of a table that hold a range of keys.
#[derive(Debug, Default)]
pub(super) struct BlockList {
    pub(super) blocks: Vec<BlockRef>,
    separators: Vec<u8>,
}

impl BlockList {
    fn handles(&self) -> Vec<BlockHandle> {
        self.blocks.iter().map(|block| block.handle).collect()
    }

    /// A user key that is not smaller than any in the block.
    pub(super) fn separator(&self, block: usize) -> &[u8] {
        let range = self.blocks.get(block).map_or((0, 0), |block| block.separator);
        self.separators.get(range.0..range.1).unwrap_or_default()
    }

    /// The blocks of these that may hold keys from `low` up to, not including, `high`.
    pub(super) fn within(&self, low: &[u8], high: Option<&[u8]>) -> Self {
        let all = 0..self.blocks.len();
        let (start, end) = (self.first_from(all.clone(), low), high.map(|high| self.first_from(all, high)));
        // The first block whose separator is not before `high` may begin before it.
        let end = end.map_or(self.blocks.len(), |end| end.saturating_add(1)).min(self.blocks.len());
        let mut list = Self::default();
        for (at, block) in self.blocks.iter().enumerate().take(end).skip(start) {
            let begin = list.separators.len();
            list.separators.extend_from_slice(self.separator(at));
            list.blocks.push(BlockRef { handle: block.handle, separator: (begin, list.separators.len()) });
        }
        list
    }

    /// The first block whose separator is not before a key.
    fn first_from(&self, blocks: Range<usize>, key: &[u8]) -> usize {
        let (mut low, mut high) = (blocks.start, blocks.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.separator(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// On-disk bytes of the blocks, with their trailers.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = self.blocks.iter().map(|block| block.handle.end().saturating_sub(block.handle.offset));
        sizes.fold(0, u64::saturating_add)
    }

    /// At most so many bytes are read for all of the blocks.
    pub(super) fn cost(&self) -> u64 {
        match (self.blocks.first(), self.blocks.last()) {
            (Some(first), Some(last)) => {
                last.handle.end().saturating_sub(first.handle.offset).max(self.bytes())
            }
            _ => 0,
        }
    }
}

impl OpenTable {
    /// Reads what describes a table's data: index, dictionary and range tombstones.
    pub(super) fn open(storage: &dyn Storage, table: &ScanTable, checksums: bool) -> Result<Self, ReadError> {
        let tail = &table.tail;
        let format = IndexFormat::of(tail)?;
        let wanted = opening(tail);
        let stored = read_blocks(storage, table, &wanted)?;
        let mut read = BlockReader { tail, checksums, decompressor: Decompressor::new(), buffer: Vec::new() };
        let mut contents = |handle: BlockHandle| {
            let at = wanted.iter().position(|wanted| *wanted == handle);
            let (start, bytes) = at.and_then(|at| stored.get(at)).cloned().unwrap_or_default();
            read.block(&bytes, start, handle, "a block").map(<[u8]>::to_vec)
        };
        let index = contents(tail.index)?;
        let dictionary = tail.compression_dict().map(&mut contents).transpose()?;
        let range_tombstones = match tail.range_del() {
            Some(handle) => {
                RangeTombstone::decode_all(&contents(handle)?, handle.offset, table.global_sequence)?
            }
            None => Vec::new(),
        };
        Ok(Self { format, index, dictionary, range_tombstones })
    }

    /// So many bytes are read to open a table.
    pub(super) fn cost(tail: &TableTail) -> u64 {
        let stretches =
            stretches(&opening(tail)).into_iter().map(|range| range.end.saturating_sub(range.start));
        stretches.fold(0, u64::saturating_add)
    }

    /// So many bytes are read to know where all of its blocks lie, besides.
    pub(super) fn partitions_cost(tail: &TableTail) -> u64 {
        let Some(properties) = tail.properties.as_ref() else { return 0 };
        let is_partitioned = IndexFormat::of(tail).is_ok_and(|format| format.is_partitioned());
        let trailers = properties.index_partitions.unwrap_or(0).saturating_mul(BLOCK_TRAILER_LEN);
        let size = properties.index_size.unwrap_or(0).saturating_add(trailers);
        if is_partitioned { size } else { 0 }
    }

    /// Bytes that it takes in memory.
    pub(super) fn memory(&self) -> u64 {
        self.index.len() as u64
    }

    /// The blocks that may hold keys from `low` up to, not including, `high`.
    pub(super) fn blocks(
        &self,
        storage: &dyn Storage,
        table: &ScanTable,
        low: &[u8],
        high: Option<&[u8]>,
        checksums: bool,
    ) -> Result<BlockList, ReadError> {
        let list = self.top(table, low, high)?;
        if !self.format.is_partitioned() {
            return Ok(list);
        }
        let handles = list.handles();
        let stored = read_blocks(storage, table, &handles)?;
        let tail = &table.tail;
        let mut read = BlockReader { tail, checksums, decompressor: Decompressor::new(), buffer: Vec::new() };
        let mut list = BlockList::default();
        for (handle, (start, bytes)) in handles.into_iter().zip(&stored) {
            let contents = read.block(bytes, *start, handle, "a partition of the index")?;
            self.select(contents, handle.offset, low, high, &mut list)?;
        }
        Ok(list)
    }

    /// What [`blocks`](Self::blocks) reads: partitions of the index, if it has any.
    pub(super) fn partitions(&self, table: &ScanTable, low: &[u8], high: Option<&[u8]>) -> Vec<ReadRequest> {
        if !self.format.is_partitioned() {
            return Vec::new();
        }
        // What is wrong with it will be found when it is read.
        let top = self.top(table, low, high).unwrap_or_default();
        requests(table, &top.handles())
    }

    /// The entries of the index block, or the top level of a partitioned one.
    fn top(&self, table: &ScanTable, low: &[u8], high: Option<&[u8]>) -> Result<BlockList, FormatError> {
        let mut list = BlockList::default();
        self.select(&self.index, table.tail.index.offset, low, high, &mut list)?;
        Ok(list)
    }

    fn select(
        &self,
        contents: &[u8],
        base: u64,
        low: &[u8],
        high: Option<&[u8]>,
        list: &mut BlockList,
    ) -> Result<(), FormatError> {
        let mut entries = IndexBlock::new(contents, base, self.format)?.seek(low)?;
        // A partition's separator is that of its last block, so partitions may begin with blocks below `low`.
        while let Some(entry) = entries.next()? {
            let start = list.separators.len();
            list.separators.extend_from_slice(entry.separator);
            list.blocks.push(BlockRef { handle: entry.handle, separator: (start, list.separators.len()) });
            if high.is_some_and(|high| entry.separator >= high) {
                break;
            }
        }
        Ok(())
    }
}

/// The blocks that describe a table's data: index, dictionary and range tombstones.
fn opening(tail: &TableTail) -> Vec<BlockHandle> {
    let wanted = [Some(tail.index), tail.compression_dict(), tail.range_del()];
    wanted.into_iter().flatten().collect()
}

impl ScanTable {
    /// What is asked of a store to open it.
    pub(super) fn opening(&self) -> Vec<ReadRequest> {
        requests(self, &opening(&self.tail))
    }
}

/// Reads and verifies the blocks that no entry is found by: filters, and whatever else the table names besides data,
/// index, dictionary and range tombstones. The properties were verified with the tail.
pub(super) fn verify_others(storage: &dyn Storage, table: &ScanTable) -> Result<(), ReadError> {
    let tail = &table.tail;
    let others = [Some(tail.index), tail.compression_dict(), tail.range_del(), tail.metaindex.properties()];
    let blocks = tail.metaindex.blocks.values().copied();
    let blocks: Vec<BlockHandle> = blocks.filter(|block| !others.contains(&Some(*block))).collect();
    let verified = |block: BlockHandle, base: u64, bytes: &[u8]| {
        StoredBlock::cut(bytes, base, block)?.verify(tail.footer.checksum, "a block")
    };
    for (block, (base, bytes)) in blocks.iter().zip(read_blocks(storage, table, &blocks)?) {
        verified(*block, base, &bytes)?;
        let Some((FilterKind::Partitioned, _, filter)) = tail.filter() else { continue };
        if filter != *block {
            continue;
        }
        // Partitions of a filter are named as those of an index are.
        let format = IndexFormat {
            index_type: IndexType::BinarySearch,
            limit: filter.offset,
            ..IndexFormat::of(tail)?
        };
        let mut read =
            BlockReader { tail, checksums: false, decompressor: Decompressor::new(), buffer: Vec::new() };
        let contents = read.block(&bytes, base, filter, "a block")?;
        let mut entries = IndexBlock::new(contents, filter.offset, format)?.entries();
        let mut partitions = Vec::new();
        while let Some(entry) = entries.next()? {
            partitions.push(entry.handle);
        }
        for (partition, (base, bytes)) in partitions.iter().zip(read_blocks(storage, table, &partitions)?) {
            verified(*partition, base, &bytes)?;
        }
    }
    Ok(())
}

/// Bytes between blocks that are read rather than asked for apart.
const GAP: u64 = 64 << 10;

/// The ranges in which stored blocks are read: one, if they lie together, as RocksDB writes them; else each its own, so
/// that no more is read than the blocks have.
fn stretches(handles: &[BlockHandle]) -> Vec<Range<u64>> {
    let start = handles.iter().map(|handle| handle.offset).min().unwrap_or(0);
    let end = handles.iter().map(|handle| handle.end()).max().unwrap_or(0);
    let sizes = handles.iter().map(|handle| handle.end() - handle.offset);
    let wanted = sizes.fold(0, u64::saturating_add);
    let together = end - start <= wanted.saturating_add(GAP);
    let whole = (together && !handles.is_empty()).then_some(start..end);
    let each = handles.iter().filter(|_| !together).map(|handle| handle.offset..handle.end());
    whole.into_iter().chain(each).collect()
}

/// What [`read_blocks`] asks a store for.
fn requests(table: &ScanTable, handles: &[BlockHandle]) -> Vec<ReadRequest> {
    if handles.iter().any(|handle| check_size(*handle).is_err()) {
        return Vec::new();
    }
    stretches(handles).into_iter().filter_map(|range| table.source.request(range)).collect()
}

/// Reads stored blocks. Each comes with the offset at which its bytes begin.
pub(super) fn read_blocks(
    storage: &dyn Storage,
    table: &ScanTable,
    handles: &[BlockHandle],
) -> Result<Vec<(u64, Bytes)>, ReadError> {
    handles.iter().try_for_each(|handle| check_size(*handle))?;
    let stretches = stretches(handles);
    let read = stretches.into_iter().map(|range| {
        let bytes = table.source.read(storage, range.clone())?;
        Ok((range.start, bytes))
    });
    let read: Vec<(u64, Bytes)> = read.collect::<Result<_, StorageError>>()?;
    match read.as_slice() {
        [one] => Ok(vec![one.clone(); handles.len()]),
        _ => Ok(read),
    }
}

/// Refuses a block that is larger than any that is uncompressed, before it is read.
pub(super) fn check_size(handle: BlockHandle) -> Result<(), FormatError> {
    if handle.size <= LARGEST_BLOCK {
        return Ok(());
    }
    let kind = ErrorKind::LimitExceeded { what: "size of a block", limit: LARGEST_BLOCK };
    Err(FormatError::new(kind, handle.offset))
}

/// The largest block that is believed in.
const LARGEST_BLOCK: u64 = 2 << 30;

/// Cuts, verifies and uncompresses blocks of a table.
#[derive(Debug)]
pub(super) struct BlockReader<'t> {
    pub(super) tail: &'t TableTail,
    pub(super) checksums: bool,
    pub(super) decompressor: Decompressor,
    pub(super) buffer: Vec<u8>,
}

impl BlockReader<'_> {
    /// The uncompressed contents of a block of which the stored bytes are at hand.
    pub(super) fn block<'b>(
        &'b mut self,
        bytes: &'b [u8],
        base: u64,
        handle: BlockHandle,
        what: &'static str,
    ) -> Result<&'b [u8], FormatError> {
        let stored = StoredBlock::cut(bytes, base, handle)?;
        if self.checksums {
            stored.verify(self.tail.footer.checksum, what)?;
        }
        let limit = uncompressed_limit(handle.size);
        self.decompressor.contents(self.tail.footer.format_version, &stored, limit, &mut self.buffer)
    }
}

/// The largest uncompressed size that is believed of a block.
pub(super) fn uncompressed_limit(stored: u64) -> usize {
    const ALWAYS: u64 = 64 << 20;
    usize::try_from(stored.saturating_mul(1024).clamp(ALWAYS, LARGEST_BLOCK)).unwrap_or(usize::MAX)
}

/// Tables that several splits read are opened once, and held until the last of these is done.
#[derive(Debug, Default)]
pub(super) struct OpenTables {
    slots: Mutex<HashMap<FileId, Slot>>,
}

type Opened = Arc<OnceLock<Result<Arc<OpenTable>, ReadError>>>;

#[derive(Debug, Default)]
struct Slot {
    splits: usize,
    /// That it will be opened.
    announced: bool,
    opened: Opened,
}

impl OpenTables {
    /// Says that one more split will read a table.
    pub(super) fn expect(&self, file: FileId) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(file).or_default().splits += 1;
    }

    /// Announces what is asked for to open tables, of each once. Whoever opens one has announced it before, or finds here
    /// that another has.
    pub(super) fn announce(&self, ahead: &ReadAhead<'_>, group: u64, tables: &[&ScanTable]) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_first =
            |table: &ScanTable| !std::mem::replace(&mut slots.entry(table.file).or_default().announced, true);
        let first = tables.iter().filter(|table| is_first(table));
        ahead.announce(group, first.flat_map(|table| table.opening()));
    }

    /// Opens a table, or waits until another thread has.
    pub(super) fn open(
        &self,
        storage: &dyn Storage,
        table: &ScanTable,
        checksums: bool,
    ) -> Result<Arc<OpenTable>, ReadError> {
        let opened = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&slots.entry(table.file).or_default().opened)
        };
        opened.get_or_init(|| OpenTable::open(storage, table, checksums).map(Arc::new)).clone()
    }

    /// Says that a split is done with a table.
    pub(super) fn done(&self, file: FileId) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&file) {
            slot.splits = slot.splits.saturating_sub(1);
            if slot.splits == 0 {
                slots.remove(&file);
            }
        }
    }
}
