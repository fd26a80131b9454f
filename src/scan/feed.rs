//! Feeds the live view with the blocks of a run of tables.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::compression::{CompressionType, Decompressor};
use statescope_formats::rocksdb::data_block::EntryFault;
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};

use super::Progress;
use super::recompress::put_varint32;
use super::tables::{BlockList, BlockRef, OpenTable, ReadError, ScanTable, check_size, uncompressed_limit};
use crate::analyzers::analysis::PhysicalTally;
use crate::lsm::{BlockUse, Blocks};
use crate::readers::source::Source;
use crate::storage::{ReadRequest, Within};

/// What all feeds of a split have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'s> {
    pub(super) storage: Within<'s>,
    pub(super) checksums: bool,
    /// How many bytes are read at once.
    pub(super) chunk: u64,
    /// The same of what is read ahead.
    pub(super) ahead: u64,
    /// How far the scan is, and whether it is to end.
    pub(super) progress: &'s Progress,
}

impl Reading<'_> {
    /// How many bytes of a source are read at once.
    pub(super) fn piece(&self, source: &Source) -> u64 {
        if source.is_read_ahead() { self.ahead } else { source.piece(self.chunk) }
    }

    /// Adds bytes to the progress. All threads share that number, so this is for chunks and not for blocks.
    pub(super) fn tell_progress(&self, bytes: &mut u64) {
        self.progress.bytes.fetch_add(std::mem::take(bytes), Ordering::Relaxed);
    }
}

/// Something of a table that could not be read.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    /// Index of the table among those of the split.
    pub(super) table: u32,
    /// Where in the file.
    pub(super) offset: u64,
    /// On-disk bytes that are missing from the figures.
    pub(super) bytes: u64,
    /// Blocks that are missing, whole or in part.
    pub(super) blocks: u64,
    pub(super) error: ReadError,
}

/// Hands out the blocks of tables that follow one another.
#[derive(Debug)]
pub(super) struct Feed<'s> {
    reading: Reading<'s>,
    tables: VecDeque<FeedTable<'s>>,
    current: Option<Current<'s>>,
    chunk: Bytes,
    chunk_at: u64,
    decompressor: Decompressor,
    buffer: Vec<u8>,
    place: Place,
    /// Of the block that is handed out.
    compression: CompressionType,
    stored: u64,
    uncompressed: u64,
    /// On-disk bytes that were read and are not part of the progress yet.
    untold: u64,
    /// By table and compression.
    pub(super) tallies: BTreeMap<(u32, CompressionType), PhysicalTally>,
    pub(super) damage: Vec<Damage>,
}

/// A table that is still to come.
#[derive(Debug)]
pub(super) struct FeedTable<'s> {
    pub(super) index: u32,
    pub(super) table: &'s ScanTable,
    pub(super) open: Arc<OpenTable>,
    pub(super) blocks: BlockList,
}

#[derive(Debug)]
struct Current<'s> {
    table: FeedTable<'s>,
    /// The block after the one that is handed out.
    next: usize,
    /// What is read at once, of which the block is a part.
    piece: Piece,
}

/// Blocks that follow one another and are read at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Piece {
    /// The block behind the last.
    next: usize,
    /// Where the last ends.
    end: u64,
}

/// Where the entries of the block are.
#[derive(Debug, Clone, Copy)]
enum Place {
    Chunk(usize, usize),
    Buffer(usize, usize),
}

impl<'s> Feed<'s> {
    pub(super) fn new(reading: Reading<'s>, tables: Vec<FeedTable<'s>>) -> Self {
        Self {
            reading,
            tables: tables.into(),
            current: None,
            chunk: Bytes::new(),
            chunk_at: 0,
            decompressor: Decompressor::new(),
            buffer: Vec::new(),
            place: Place::Buffer(0, 0),
            compression: CompressionType::NoCompression,
            stored: 0,
            uncompressed: 0,
            untold: 0,
            tallies: BTreeMap::new(),
            damage: Vec::new(),
        }
    }

    /// Reads, verifies and uncompresses the next block of the current table.
    fn load(&mut self) -> Option<Result<(), ReadError>> {
        let current = self.current.as_mut()?;
        let at = current.next;
        let handle = current.table.blocks.blocks.get(at)?.handle;
        current.next += 1;
        Some(self.load_block(at, handle))
    }

    fn load_block(&mut self, at: usize, handle: BlockHandle) -> Result<(), ReadError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        check_size(handle)?;
        let chunk_end = self.chunk_at.saturating_add(self.chunk.len() as u64);
        if handle.offset < self.chunk_at || handle.end() > chunk_end {
            let source = &current.table.table.source;
            // What follows a block that could not be read ends where it would have ended: pieces are where they were
            // announced to be.
            if at >= current.piece.next {
                current.piece = current.table.blocks.piece(at, self.reading.piece(source));
            }
            self.chunk = Bytes::new();
            self.chunk = source.read(&self.reading.storage, handle.offset..current.piece.end)?;
            self.chunk_at = handle.offset;
            self.reading.tell_progress(&mut self.untold);
        }
        let tail = &current.table.table.tail;
        let stored = StoredBlock::cut(&self.chunk, self.chunk_at, handle)?;
        if self.reading.checksums {
            stored.verify(tail.footer.checksum, "a data block")?;
        }
        self.compression = stored.compression();
        self.stored = handle.size.saturating_add(BLOCK_TRAILER_LEN);
        let in_chunk = self.compression == CompressionType::NoCompression;
        let limit = uncompressed_limit(handle.size);
        let contents =
            self.decompressor.contents(tail.footer.format_version, &stored, limit, &mut self.buffer)?;
        self.uncompressed = contents.len() as u64;
        let block = Block::new(contents, handle.offset)?;
        let length = block.entry_bytes().len();
        if block.has_separated_values() {
            self.buffer = together(&block)?;
            self.place = Place::Buffer(0, self.buffer.len());
        } else if in_chunk {
            let start = usize::try_from(handle.offset.saturating_sub(self.chunk_at)).unwrap_or(usize::MAX);
            self.place = Place::Chunk(start, start.saturating_add(length));
        } else {
            self.place = Place::Buffer(0, length);
        }
        Ok(())
    }

    /// Adds what was read since the last chunk to the progress.
    pub(super) fn tell_progress(&mut self) {
        self.reading.tell_progress(&mut self.untold);
    }

    fn block_offset(&self) -> u64 {
        let current = self.current.as_ref();
        let block = current.and_then(|c| c.table.blocks.blocks.get(c.next.checked_sub(1)?));
        block.map_or(0, |block| block.handle.offset)
    }
}

impl Blocks for Feed<'_> {
    fn advance(&mut self) -> bool {
        // A split may be large; what it has so far is thrown away.
        if self.reading.progress.stop.load(Ordering::Relaxed) {
            return false;
        }
        loop {
            match self.load() {
                Some(Ok(())) => return true,
                Some(Err(error)) => {
                    let offset = self.block_offset();
                    let current = self.current.as_ref();
                    let block = current.and_then(|c| c.table.blocks.blocks.get(c.next.checked_sub(1)?));
                    let bytes = block.map_or(0, |b| b.handle.size.saturating_add(BLOCK_TRAILER_LEN));
                    self.damage.push(Damage { table: self.table(), offset, bytes, blocks: 1, error });
                }
                None => {
                    let Some(table) = self.tables.pop_front() else { return false };
                    // A new table may have another dictionary, and its blocks lie elsewhere.
                    if let Some(dictionary) = &table.open.dictionary {
                        self.decompressor = Decompressor::with_dictionary(dictionary);
                    } else if self.current.as_ref().is_some_and(|c| c.table.open.dictionary.is_some()) {
                        self.decompressor = Decompressor::new();
                    }
                    (self.chunk, self.chunk_at) = (Bytes::new(), 0);
                    self.current = Some(Current { table, next: 0, piece: Piece::default() });
                }
            }
        }
    }

    #[inline]
    fn entries(&self) -> &[u8] {
        match self.place {
            Place::Chunk(start, end) => self.chunk.get(start..end).unwrap_or_default(),
            Place::Buffer(start, end) => self.buffer.get(start..end).unwrap_or_default(),
        }
    }

    #[inline]
    fn global_sequence(&self) -> Option<u64> {
        self.current.as_ref().and_then(|current| current.table.table.global_sequence)
    }

    #[inline]
    fn table(&self) -> u32 {
        self.current.as_ref().map_or(0, |current| current.table.index)
    }

    fn done(&mut self, block: &BlockUse, fault: Option<EntryFault>) {
        let table = self.table();
        let raw = block.raw();
        let all = block.before.saturating_add(raw).saturating_add(block.behind);
        // Bytes of the block up to some of its raw bytes: parts of a block add up to the block.
        let up_to = |stored: u64, raw: u64| share(stored, raw, all);
        let part = |stored: u64| {
            let (from, to) = (block.before, block.before.saturating_add(raw));
            up_to(stored, to) - up_to(stored, from)
        };
        let stored = if all == 0 { self.stored } else { part(self.stored) };
        self.untold = self.untold.saturating_add(stored);
        let live_raw = raw.saturating_sub(block.dead_bytes);
        let live_stored = share(stored, live_raw, raw);
        let others = block.not_understood;
        let gone = block.deletions + block.single_deletions + block.merges + others;
        let tally = PhysicalTally {
            puts: block.entries.saturating_sub(gone),
            deletes: block.deletions,
            single_deletes: block.single_deletions,
            merges: block.merges,
            others,
            shadowed: block.shadowed,
            deleted: block.deleted,
            key_bytes: block.key_bytes,
            value_bytes: block.value_bytes,
            data_blocks: u64::from(block.before == 0),
            stored_bytes: stored,
            uncompressed_bytes: if all == 0 { self.uncompressed } else { part(self.uncompressed) },
            live_raw_bytes: live_raw,
            expired_raw_bytes: block.expired_bytes,
            live_stored_bytes: live_stored,
            expired_stored_bytes: share(live_stored, block.expired_bytes, live_raw),
            ..PhysicalTally::default()
        };
        self.tallies.entry((table, self.compression)).or_default().merge(&tally);
        if let Some(fault) = fault {
            let offset = self.block_offset();
            let error = ReadError::Format(fault.error(offset));
            self.damage.push(Damage { table, offset, bytes: self.stored, blocks: 1, error });
        }
    }
}

/// `part` of `whole` of a number of bytes, rounded down.
pub(super) fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    if let Some(share) = bytes.checked_mul(part) {
        // Division of 128 bits takes many times as long.
        return share.checked_div(whole).unwrap_or(0);
    }
    let share = u128::from(bytes) * u128::from(part);
    u64::try_from(share.checked_div(whole.into()).unwrap_or(0)).unwrap_or(u64::MAX)
}

impl BlockList {
    /// What is read at once beginning with a block: it and those that follow it without a gap, up to so many bytes.
    fn piece(&self, at: usize, most: u64) -> Piece {
        let mut rest = self.blocks.iter().enumerate().skip(at);
        let Some((_, first)) = rest.next() else { return Piece { next: at, end: 0 } };
        let start = first.handle.offset;
        let mut piece = Piece { next: at.saturating_add(1), end: first.handle.end() };
        for (index, BlockRef { handle, .. }) in rest {
            let follows = handle.offset >= start && handle.offset.saturating_sub(piece.end) <= ALIGNMENT;
            if !follows || handle.end().saturating_sub(start) > most {
                break;
            }
            piece = Piece { next: index.saturating_add(1), end: piece.end.max(handle.end()) };
        }
        piece
    }
}

/// Blocks may be aligned to pages.
const ALIGNMENT: u64 = 4096;

impl Feed<'_> {
    /// What will be read, each with a key that is not larger than any in it.
    pub(super) fn announced(&self, low: &[u8]) -> Vec<(Vec<u8>, ReadRequest)> {
        let mut all = Vec::new();
        for FeedTable { table, blocks, .. } in &self.tables {
            let (most, mut at) = (self.reading.piece(&table.source), 0);
            while let Some(BlockRef { handle, .. }) = blocks.blocks.get(at) {
                if check_size(*handle).is_err() {
                    at += 1;
                    continue;
                }
                let piece = blocks.piece(at, most);
                let before =
                    at.checked_sub(1).map_or(&*table.bounds.smallest.user_key, |at| blocks.separator(at));
                let request = table.source.request(handle.offset..piece.end);
                all.extend(request.map(|request| (before.max(low).to_vec(), request)));
                at = piece.next;
            }
        }
        all
    }
}

/// Entries with their values behind their keys, as all but a rare option of RocksDB writes them.
fn together(block: &Block<'_>) -> Result<Vec<u8>, statescope_formats::Error> {
    let mut out = Vec::new();
    let mut entries = block.entries();
    while let Some(entry) = entries.next()? {
        for length in [0, entry.key.len(), entry.value.len()] {
            put_varint32(&mut out, length);
        }
        out.extend_from_slice(entry.key);
        out.extend_from_slice(entry.value);
    }
    Ok(out)
}
