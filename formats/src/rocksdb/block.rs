//! Blocks: what a table consists of (`table/block_based/block_builder.cc`, `block.cc`,
//! `data_block_footer.{h,cc}`).
//!
//! ```text
//! stored:   contents (perhaps compressed) │ u8 compression type │ u32 checksum
//!
//! contents: entries … │ u32 restart offset × n │ [hash index: u8 × b, u16 b] │ u32 n and flags
//! entry:    varint32 shared │ varint32 unshared │ varint32 value length │ unshared key bytes │ value
//! ```
//!
//! A key is the first `shared` bytes of the key before it and the `unshared` bytes that follow.
//! Restart offsets are of entries with `shared` = 0. Of the last `u32`, the lower 28 bits are n; bit
//! 31 says that there is a hash index; bit 29 (keys are evenly spread) changes nothing in the bytes;
//! bit 30 has no meaning yet and is refused. Bit 28 (since 11.0, only if asked for) keeps the values
//! of a data block apart from the keys:
//!
//! ```text
//! contents: keys … │ values … │ u32 restart offset × n │ [hash index] │ u32 offset of values │ u32 n and flags
//! key:      varint32 shared │ varint32 unshared │ varint32 value length │ [varint32 value] │ unshared key bytes
//! ```
//!
//! A key at a restart says where in `values` its value begins; that of every other key begins where the
//! value before it ended.
//!
//! This is the encoding of data, metaindex, properties and range-deletion blocks. Index blocks may
//! omit the value length and have their own decoder.

use byteorder::{ByteOrder, LittleEndian};

use super::checksum::BlockChecksum;
use super::compression::CompressionType;
use super::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};

const HASH_INDEX: u32 = 1 << 31;
const UNIFORM_KEYS: u32 = 1 << 29;
const SEPARATED_VALUES: u32 = 1 << 28;
const MAX_RESTARTS: u32 = SEPARATED_VALUES - 1;

/// A block as it is stored, with its trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlock<'a> {
    /// Where it lies.
    pub handle: BlockHandle,
    /// The contents, perhaps compressed.
    pub contents: &'a [u8],
    /// The byte that says how.
    pub compression_tag: u8,
    /// The checksum in the trailer.
    pub checksum: u32,
}

impl<'a> StoredBlock<'a> {
    /// Cuts a block out of bytes of the file, of which the first has the absolute offset `base`.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`] if the bytes do not cover the block and its trailer.
    pub fn cut(bytes: &'a [u8], base: u64, handle: BlockHandle) -> Result<Self> {
        let missing = || {
            let needed = handle.size.saturating_add(BLOCK_TRAILER_LEN);
            let start = handle.offset.checked_sub(base).and_then(|n| usize::try_from(n).ok());
            let remaining = start.map_or(0, |n| bytes.len().saturating_sub(n)) as u64;
            Error::new(ErrorKind::UnexpectedEnd { needed, remaining }, handle.offset)
        };
        let start = handle.offset.checked_sub(base).and_then(|n| usize::try_from(n).ok());
        let size = usize::try_from(handle.size).map_err(|_| missing())?;
        let bytes = start.and_then(|n| bytes.get(n..)).ok_or_else(missing)?;
        let mut cursor = Cursor::at(bytes, handle.offset);
        let contents = cursor.take(size).map_err(|_| missing())?;
        let compression_tag = cursor.u8()?;
        let checksum = cursor.u32_le()?;
        Ok(Self { handle, contents, compression_tag, checksum })
    }

    /// How the contents are compressed.
    #[must_use]
    pub fn compression(&self) -> CompressionType {
        CompressionType::from_u8(self.compression_tag)
    }

    /// Checks the checksum.
    ///
    /// # Errors
    /// [`ErrorKind::ChecksumMismatch`].
    pub fn verify(&self, check: BlockChecksum, what: &'static str) -> Result<()> {
        check.verify(what, self.contents, self.compression_tag, self.checksum, self.handle.offset)
    }

    /// The block, if it is not compressed, as metaindex and properties never are.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], and as [`Block::new`].
    pub fn uncompressed(&self) -> Result<Block<'a>> {
        match self.compression() {
            CompressionType::NoCompression => Block::new(self.contents, self.handle.offset),
            other => {
                let what = format!("a metaindex, properties or range-deletion block compressed with {other}");
                Err(Error::new(ErrorKind::Unsupported { what }, self.handle.contents_end()))
            }
        }
    }
}

/// The uncompressed contents of a block of keys and values.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// If values lie apart, only the keys.
    entries: &'a [u8],
    values: Option<&'a [u8]>,
    restarts: &'a [u8],
    has_hash_index: bool,
    base: u64,
}

impl<'a> Block<'a> {
    /// Reads the end of a block's contents. `base` is what errors count from: the block's offset in
    /// the file, exact where the block is not compressed.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::BadCount`], [`ErrorKind::Unsupported`].
    pub fn new(contents: &'a [u8], base: u64) -> Result<Self> {
        let short = |needed: u64| {
            Error::new(ErrorKind::UnexpectedEnd { needed, remaining: contents.len() as u64 }, base)
        };
        let Some((mut rest, packed)) = contents.split_last_chunk::<4>() else {
            return Err(short(4)).field("restarts");
        };
        let packed = LittleEndian::read_u32(packed);
        let packed_at = base.saturating_add(rest.len() as u64);
        let count = packed & !(HASH_INDEX | UNIFORM_KEYS | SEPARATED_VALUES);
        if count > MAX_RESTARTS {
            let what = format!("a block with the feature bits {:#x}", packed & !MAX_RESTARTS);
            return Err(Error::new(ErrorKind::Unsupported { what }, packed_at)).field("restarts");
        }
        let mut values_offset = None;
        if packed & SEPARATED_VALUES != 0 {
            let Some((before, offset)) = rest.split_last_chunk::<4>() else {
                return Err(short(8)).field("values");
            };
            values_offset = Some(LittleEndian::read_u32(offset));
            rest = before;
        }
        let has_hash_index = packed & HASH_INDEX != 0;
        if has_hash_index {
            let Some((before, buckets)) = rest.split_last_chunk::<2>() else {
                return Err(short(6)).field("hash_index");
            };
            let buckets = usize::from(LittleEndian::read_u16(buckets));
            rest = match before.len().checked_sub(buckets) {
                Some(end) => before.get(..end).unwrap_or_default(),
                None => {
                    let (found, max) = (buckets as i64, before.len() as u64);
                    let kind = ErrorKind::BadCount { what: "hash buckets", found, max };
                    return Err(Error::new(kind, base.saturating_add(before.len() as u64)))
                        .field("hash_index");
                }
            };
        }
        let max = rest.len() / 4;
        let split = usize::try_from(count)
            .ok()
            .filter(|&n| n <= max)
            .and_then(|n| rest.split_at_checked(rest.len() - 4 * n));
        let Some((entries, restarts)) = split else {
            let kind = ErrorKind::BadCount { what: "restarts", found: count.into(), max: max as u64 };
            return Err(Error::new(kind, packed_at)).field("restarts");
        };
        let Some(offset) = values_offset else {
            return Ok(Self { entries, values: None, restarts, has_hash_index, base });
        };
        match usize::try_from(offset).ok().and_then(|at| entries.split_at_checked(at)) {
            Some((keys, values)) => {
                Ok(Self { entries: keys, values: Some(values), restarts, has_hash_index, base })
            }
            None => {
                let (found, max) = (offset.into(), entries.len() as u64);
                let kind = ErrorKind::BadCount { what: "bytes before the values", found, max };
                Err(Error::new(kind, packed_at.saturating_sub(4))).field("values")
            }
        }
    }

    /// Whether it carries a hash index beside its restarts.
    #[must_use]
    pub fn has_hash_index(&self) -> bool {
        self.has_hash_index
    }

    /// Whether its values lie apart from its keys.
    #[must_use]
    pub fn has_separated_values(&self) -> bool {
        self.values.is_some()
    }

    /// The bytes of the entries; if values lie apart, of the keys.
    #[must_use]
    pub fn entry_bytes(&self) -> &'a [u8] {
        self.entries
    }

    /// What errors count from.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// How many restarts it has.
    #[must_use]
    pub fn restart_count(&self) -> usize {
        self.restarts.len() / 4
    }

    /// Where in the block the entry of a restart begins; none if there is no such restart, or if it
    /// lies beyond the entries.
    #[must_use]
    pub fn restart(&self, index: usize) -> Option<usize> {
        let start = index.checked_mul(4)?;
        let bytes = self.restarts.get(start..start.checked_add(4)?)?;
        usize::try_from(LittleEndian::read_u32(bytes)).ok().filter(|&at| at <= self.entries.len())
    }

    /// The entries, from the first.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        let separated = self.values.map(|values| {
            let start = self.base.saturating_add(self.entries.len() as u64);
            Separated { block: *self, values, start, next: 0, restart: 0 }
        });
        Entries { cursor: Cursor::at(self.entries, self.base), key: Vec::new(), index: 0, separated }
    }
}

/// Where the values are that lie apart from their keys.
#[derive(Debug, Clone)]
struct Separated<'a> {
    block: Block<'a>,
    values: &'a [u8],
    /// The absolute offset of the values.
    start: u64,
    /// Where in the values the next one begins.
    next: usize,
    /// The restart that comes next.
    restart: usize,
}

impl<'a> Separated<'a> {
    /// If a key at this absolute offset is a restart, reads where its value begins.
    fn seat(&mut self, key_at: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        let restart = self.block.restart(self.restart);
        if restart.is_none_or(|at| self.block.base.saturating_add(at as u64) != key_at) {
            return Ok(());
        }
        self.restart += 1;
        let (at, max) = (cursor.offset(), self.values.len() as u64);
        let found = cursor.varint32().field("value_offset")?;
        match usize::try_from(found).ok().filter(|&next| next <= self.values.len()) {
            Some(next) => {
                self.next = next;
                Ok(())
            }
            None => {
                let kind = ErrorKind::BadCount { what: "bytes before a value", found: found.into(), max };
                Err(Error::new(kind, at)).field("value_offset")
            }
        }
    }

    fn take(&mut self, length: u32) -> Result<(&'a [u8], u64)> {
        let offset = self.start.saturating_add(self.next as u64);
        let mut cursor = Cursor::at(self.values.get(self.next..).unwrap_or_default(), offset);
        let value = take(&mut cursor, length).field("value")?;
        self.next += value.len();
        Ok((value, offset))
    }
}

/// Goes over the entries of a block. Keys are rebuilt in one buffer; values are slices of the block.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    key: Vec<u8>,
    index: usize,
    separated: Option<Separated<'a>>,
}

/// One entry of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'k, 'a> {
    /// The whole key.
    pub key: &'k [u8],
    /// The value.
    pub value: &'a [u8],
    /// The absolute offset of the entry.
    pub offset: u64,
    /// The absolute offset of the value.
    pub value_offset: u64,
}

impl<'a> Entries<'a> {
    /// The next entry; none after the last. After an error there is none.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::BadCount`] for a prefix that is longer than the key
    /// before it.
    // It lends the key it rebuilds, which `Iterator` cannot say.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_, 'a>>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let offset = self.cursor.offset();
        let index = self.index;
        self.index += 1;
        match self.step() {
            Ok((value, value_offset)) => Ok(Some(Entry { key: &self.key, value, offset, value_offset })),
            Err(error) => {
                self.cursor = Cursor::at(&[], offset);
                Err(error).index("entries", index)
            }
        }
    }

    #[inline]
    fn step(&mut self) -> Result<(&'a [u8], u64)> {
        let shared_at = self.cursor.offset();
        let shared = self.cursor.varint32().field("shared")?;
        let unshared = self.cursor.varint32().field("unshared")?;
        let value_len = self.cursor.varint32().field("value_length")?;
        if let Some(separated) = &mut self.separated {
            separated.seat(shared_at, &mut self.cursor)?;
        }
        if u64::from(shared) > self.key.len() as u64 {
            let max = self.key.len() as u64;
            let kind = ErrorKind::BadCount { what: "shared key bytes", found: shared.into(), max };
            return Err(Error::new(kind, shared_at)).field("shared");
        }
        let suffix = take(&mut self.cursor, unshared).field("key")?;
        self.key.truncate(shared as usize);
        self.key.extend_from_slice(suffix);
        if let Some(separated) = &mut self.separated {
            return separated.take(value_len);
        }
        let value_offset = self.cursor.offset();
        let value = take(&mut self.cursor, value_len).field("value")?;
        Ok((value, value_offset))
    }
}

fn take<'a>(cursor: &mut Cursor<'a>, length: u32) -> Result<&'a [u8]> {
    match usize::try_from(length) {
        Ok(n) => cursor.take(n),
        Err(_) => {
            let remaining = cursor.remaining() as u64;
            Err(cursor.error(ErrorKind::UnexpectedEnd { needed: length.into(), remaining }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(contents: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut entries = Block::new(contents, 1000)?.entries();
        let mut out = Vec::new();
        while let Some(entry) = entries.next()? {
            out.push((entry.key.to_vec(), entry.value.to_vec()));
        }
        Ok(out)
    }

    #[rustfmt::skip]
    const TWO: [u8; 24] = [
        0, 5, 1, b'a', b'p', b'p', b'l', b'e', b'1',    // apple → 1
        3, 2, 2, b'l', b'y', b'2', b'2',                // app│ly → 22
        0, 0, 0, 0,                                     // restart at 0
        1, 0, 0, 0,                                     // one restart
    ];

    #[test]
    fn keys_share_prefixes() {
        let expected = vec![(b"apple".to_vec(), b"1".to_vec()), (b"apply".to_vec(), b"22".to_vec())];
        assert_eq!(all(&TWO), Ok(expected));
        let block = Block::new(&TWO, 0).unwrap();
        assert_eq!((block.restart_count(), block.restart(0), block.restart(1)), (1, Some(0), None));
        let mut entries = Block::new(&TWO, 1000).unwrap().entries();
        entries.next().unwrap();
        let second = entries.next().unwrap().unwrap();
        assert_eq!((second.offset, second.value_offset), (1009, 1014));
    }

    #[test]
    fn a_hash_index_is_stepped_over() {
        let mut bytes = TWO[..20].to_vec();
        bytes.extend([0xfe, 0x00, 0xff, 3, 0, 1, 0, 0, 0x80]);
        assert_eq!(all(&bytes), all(&TWO));
        assert!(Block::new(&bytes, 0).unwrap().has_hash_index());
        bytes[23] = 200;
        assert_eq!(all(&bytes).unwrap_err().path(), "hash_index");
    }

    #[test]
    fn an_empty_block() {
        assert_eq!(all(&[0, 0, 0, 0, 1, 0, 0, 0]), Ok(vec![]));
        assert_eq!(all(&[0, 0, 0, 0]), Ok(vec![]));
    }

    #[test]
    fn evenly_spread_keys_change_nothing_and_bit_30_is_refused() {
        let mut bytes = TWO.to_vec();
        bytes[23] = 0x20;
        assert_eq!(all(&bytes), all(&TWO));
        bytes[23] = 0x40;
        assert!(matches!(all(&bytes).unwrap_err().kind(), ErrorKind::Unsupported { .. }));
    }

    #[rustfmt::skip]
    const APART: [u8; 44] = [
        0, 5, 1, 0, b'a', b'p', b'p', b'l', b'e',       // apple → 1, at 0
        3, 2, 2, b'l', b'y',                            // app│ly → 22, behind it
        0, 1, 3, 3, b'b',                               // b → 333, at 3
        b'1', b'2', b'2', b'3', b'3', b'3',             // their values
        0, 0, 0, 0, 14, 0, 0, 0,                        // restarts at 0 and 14
        0xff, 1, 0,                                     // a hash index of one bucket
        19, 0, 0, 0,                                    // values begin at 19
        2, 0, 0, 0x90,                                  // two restarts, both flags
    ];

    #[test]
    fn values_apart_from_keys() {
        let pairs = |pairs: &[(&str, &str)]| -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
            Ok(pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect())
        };
        assert_eq!(all(&APART), pairs(&[("apple", "1"), ("apply", "22"), ("b", "333")]));
        let block = Block::new(&APART, 1000).unwrap();
        assert!(block.has_separated_values() && block.has_hash_index());
        assert_eq!((block.entry_bytes().len(), block.base(), block.restart(1)), (19, 1000, Some(14)));
        let mut entries = block.entries();
        entries.next().unwrap();
        let second = entries.next().unwrap().unwrap();
        assert_eq!((second.offset, second.value_offset), (1009, 1020));

        for (at, path) in [(3, "entries[0].value_offset"), (2, "entries[0].value"), (36, "values")] {
            let mut bytes = APART;
            bytes[at] = 0x7f;
            let error = all(&bytes).unwrap_err();
            assert_eq!(error.path(), path);
            assert!((1000..1044).contains(&error.offset()), "{error}");
        }
        assert_eq!(all(&[0, 0, 0, 0x10]).unwrap_err().path(), "values");
        for length in 0..APART.len() {
            let _ = all(&APART[..length]);
        }
        let mut bytes = APART;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = all(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn hostile_lengths() {
        for (at, path) in [(0, "entries[0].shared"), (1, "entries[0].key"), (2, "entries[0].value")] {
            let mut bytes = TWO.to_vec();
            bytes[at] = 0x7f;
            let error = all(&bytes).unwrap_err();
            assert_eq!(error.path(), path);
            assert!(error.offset() >= 1000);
        }
        let mut bytes = TWO.to_vec();
        bytes[20] = 6;
        assert_eq!(
            all(&bytes).unwrap_err().kind(),
            &ErrorKind::BadCount { what: "restarts", found: 6, max: 5 }
        );
        for length in 0..TWO.len() {
            let _ = all(&TWO[..length]);
        }
    }

    #[test]
    fn after_an_error_there_is_nothing() {
        let mut entries = Block::new(&[9, 9, 9, 0, 0, 0, 0], 0).unwrap().entries();
        assert!(entries.next().is_err());
        assert_eq!(entries.next(), Ok(None));
    }

    #[test]
    fn a_stored_block_is_cut_with_its_trailer() {
        let mut bytes = vec![9, 9];
        bytes.extend(TWO);
        bytes.extend([0, 0x78, 0x56, 0x34, 0x12, 9]);
        let handle = BlockHandle { offset: 102, size: 24 };
        let block = StoredBlock::cut(&bytes, 100, handle).unwrap();
        assert_eq!((block.contents, block.checksum), (&TWO[..], 0x1234_5678));
        assert_eq!(block.compression(), CompressionType::NoCompression);
        let error = StoredBlock::cut(&bytes[..30], 100, handle).unwrap_err();
        assert_eq!(
            (error.offset(), error.kind()),
            (127, &ErrorKind::UnexpectedEnd { needed: 4, remaining: 3 })
        );
        assert_eq!(StoredBlock::cut(&bytes, 103, handle).unwrap_err().offset(), 102);
        let huge = BlockHandle { offset: 102, size: u64::MAX - 200 };
        assert!(StoredBlock::cut(&bytes, 100, huge).is_err());
    }
}
