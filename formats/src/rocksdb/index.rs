//! Index blocks: where the data blocks of a table lie (`table/block_based/index_builder.{h,cc}`,
//! `block.cc`, `IndexBlockIter`; `table/format.cc`, `IndexValue`).
//!
//! They are [blocks](super::block), perhaps compressed, whose entries are
//!
//! ```text
//! values whole:        varint32 shared │ varint32 unshared │ varint32 value length │ key bytes │ value
//! values differences:  varint32 shared │ varint32 unshared │ key bytes │ value
//!
//! value, whole:        varint64 offset │ varint64 size          of the block, without its trailer
//! value, difference:   zigzag varint64 of size − size of the block before; it begins behind that
//!                      block's trailer. Only where shared ≠ 0; else it is whole
//! first key:           varint32 length │ internal key           behind the value, if the type has it
//! ```
//!
//! A key separates blocks: it is not before the last key of its block, and before the first of the
//! next. What of this a table uses, its properties say:
//!
//! | property | absent | 0 | 1 |
//! |---|---|---|---|
//! | `rocksdb.index.key.is.user.key` (5.15) | as 0 | internal keys | user keys |
//! | `rocksdb.index.value.is.delta.encoded` (5.16) | as 0 | whole | differences |
//!
//! `rocksdb.block.based.table.index.type` is 0 for one block, 1 for the same with hash blocks beside
//! it, which only a search for prefixes needs, 2 for an index whose blocks are partitions of the index,
//! 3 for one block with first keys; it is absent from the oldest tables, which all have one block.

use super::block::Block;
use super::handle::BlockHandle;
use super::internal_key::TRAILER_LEN;
use super::properties::IndexType;
use super::tail::TableTail;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// The properties that say how an index is encoded.
const SAYING: [&str; 3] = [
    "rocksdb.block.based.table.index.type",
    "rocksdb.index.key.is.user.key",
    "rocksdb.index.value.is.delta.encoded",
];

/// How the index blocks of one table are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexFormat {
    /// How the index is organised.
    pub index_type: IndexType,
    /// Whether its keys are user keys; else internal keys.
    pub user_keys: bool,
    /// Whether its values are differences; else whole handles.
    pub delta_values: bool,
    /// Absolute offset before which all blocks end that the index names: its own, since the index is
    /// written behind the data, and its top level behind its partitions.
    pub limit: u64,
}

impl IndexFormat {
    /// How a table's index is encoded.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an index of an unknown type, [`ErrorKind::Invalid`] if one of the
    /// properties that say so cannot be read.
    pub fn of(tail: &TableTail) -> Result<Self> {
        let properties = tail.properties.as_ref();
        let malformed = properties.and_then(|p| p.malformed.iter().find(|name| SAYING.contains(name)));
        if let Some(name) = malformed {
            let at = tail.metaindex.properties().unwrap_or(tail.index).offset;
            return Err(Error::invalid("what says how the index is encoded can be read", *name, at));
        }
        let flag = |value: Option<u64>| value.is_some_and(|value| value != 0);
        let index_type = properties.and_then(|p| p.index_type).unwrap_or(IndexType::BinarySearch);
        if let IndexType::Other(code) = index_type {
            let what = format!("an index of type {code}");
            return Err(Error::new(ErrorKind::Unsupported { what }, tail.index.offset));
        }
        Ok(Self {
            index_type,
            user_keys: flag(properties.and_then(|p| p.index_key_is_user_key)),
            delta_values: flag(properties.and_then(|p| p.index_value_is_delta_encoded)),
            limit: tail.index.offset,
        })
    }

    /// Whether the block that the tail names is a top level, so that what it names are index blocks, in
    /// the same encoding, which name the data blocks.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.index_type == IndexType::TwoLevelIndexSearch
    }

    /// Whether every entry has the first key of its block.
    #[must_use]
    pub fn has_first_keys(&self) -> bool {
        self.index_type == IndexType::BinarySearchWithFirstKey
    }
}

/// The uncompressed contents of an index block.
#[derive(Debug, Clone, Copy)]
pub struct IndexBlock<'a> {
    block: Block<'a>,
    format: IndexFormat,
}

/// One entry of an index block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry<'k, 'a> {
    /// A user key: not before the last of the block, not behind the first of the next.
    pub separator: &'k [u8],
    /// What follows it in an internal key (`sequence << 8 | type`); none if keys are user keys.
    pub trailer: Option<u64>,
    /// Where the block lies.
    pub handle: BlockHandle,
    /// The block's first internal key, if the index has it. That of an ingested table has the sequence
    /// number 0, as in the block.
    pub first_key: Option<&'a [u8]>,
    /// The absolute offset of the entry.
    pub offset: u64,
}

impl<'a> IndexBlock<'a> {
    /// Reads the end of an index block's contents. `base` is what errors count from: the block's offset
    /// in the file, exact where the block is not compressed.
    ///
    /// # Errors
    /// As [`Block::new`]; [`ErrorKind::Unsupported`] for values apart from keys, which only data blocks
    /// have.
    pub fn new(contents: &'a [u8], base: u64, format: IndexFormat) -> Result<Self> {
        let block = Block::new(contents, base).field("index")?;
        if block.has_separated_values() {
            let what = "an index block with values apart from its keys".to_owned();
            return Err(Error::new(ErrorKind::Unsupported { what }, base)).field("index");
        }
        Ok(Self { block, format })
    }

    /// The entries, from the first.
    #[must_use]
    pub fn entries(&self) -> IndexEntries<'a> {
        self.entries_at(0)
    }

    /// The entries from the first whose separator is `user_key` or behind it, in bytewise order: the
    /// first block that can hold `user_key`, and all behind it.
    ///
    /// # Errors
    /// As [`IndexEntries::next`].
    pub fn seek(&self, user_key: &[u8]) -> Result<IndexEntries<'a>> {
        if self.block.entry_bytes().is_empty() {
            return Ok(self.entries());
        }
        // Restarts before `low` are before the key, those from `high` on are not.
        let (mut low, mut high) = (0, self.block.restart_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.restart_key(middle).field("index")? < user_key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let start = match low.checked_sub(1) {
            Some(before) => self.restart(before).field("index")?,
            None => 0,
        };
        let mut entries = self.entries_at(start);
        while entries.advance()? {
            if entries.separator().0 >= user_key {
                entries.is_pending = true;
                break;
            }
        }
        Ok(entries)
    }

    fn entries_at(&self, start: usize) -> IndexEntries<'a> {
        let bytes = self.block.entry_bytes().get(start..).unwrap_or_default();
        IndexEntries {
            cursor: Cursor::at(bytes, self.block.base().saturating_add(start as u64)),
            format: self.format,
            key: Vec::new(),
            handle: None,
            first_key: None,
            offset: 0,
            is_pending: false,
        }
    }

    fn restart(&self, index: usize) -> Result<usize> {
        self.block.restart(index).ok_or_else(|| {
            let end = self.block.base().saturating_add(self.block.entry_bytes().len() as u64);
            Error::invalid("restarts are offsets of entries", format!("restart {index}"), end)
        })
    }

    fn restart_key(&self, index: usize) -> Result<&'a [u8]> {
        let start = self.restart(index)?;
        let mut cursor = self.entries_at(start).cursor;
        let at = cursor.offset();
        let lengths = Lengths::decode(&mut cursor, &self.format)?;
        if lengths.shared != 0 {
            let rule = "the key at a restart is whole";
            return Err(Error::invalid(rule, format!("{} bytes shared", lengths.shared), at));
        }
        let key = cursor.take(lengths.unshared).field("key")?;
        split(key, &self.format, at).map(|(user_key, _)| user_key)
    }
}

/// What stands before the key of an entry.
struct Lengths {
    shared: usize,
    unshared: usize,
    value: Option<usize>,
}

impl Lengths {
    fn decode(cursor: &mut Cursor<'_>, format: &IndexFormat) -> Result<Self> {
        let shared = length(cursor).field("shared")?;
        let unshared = length(cursor).field("unshared")?;
        let value = match format.delta_values {
            true => None,
            false => Some(length(cursor).field("value_length")?),
        };
        Ok(Self { shared, unshared, value })
    }
}

/// More than memory can hold is more than there is, too.
fn length(cursor: &mut Cursor<'_>) -> Result<usize> {
    cursor.varint32().map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// The user key and the trailer of a key of an index; `at` is where its entry stands.
fn split<'k>(key: &'k [u8], format: &IndexFormat, at: u64) -> Result<(&'k [u8], Option<u64>)> {
    if format.user_keys {
        return Ok((key, None));
    }
    match key.split_last_chunk::<TRAILER_LEN>() {
        Some((user_key, trailer)) => Ok((user_key, Some(u64::from_le_bytes(*trailer)))),
        None => {
            let found = format!("{} bytes", key.len());
            Err(Error::invalid("an internal key has 8 bytes behind the user's", found, at)).field("key")
        }
    }
}

/// Goes over the entries of an index block. Keys are rebuilt in one buffer.
#[derive(Debug, Clone)]
pub struct IndexEntries<'a> {
    cursor: Cursor<'a>,
    format: IndexFormat,
    key: Vec<u8>,
    /// Of the entry that was decoded last, as all that follows.
    handle: Option<BlockHandle>,
    first_key: Option<&'a [u8]>,
    offset: u64,
    /// Whether that entry is yet to be returned.
    is_pending: bool,
}

impl<'a> IndexEntries<'a> {
    /// The next entry; none after the last. After an error there is none.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`]; [`ErrorKind::BadCount`] for a prefix that is longer than the key
    /// before it; [`ErrorKind::Invalid`] for a block that does not lie behind the one before it and
    /// before [`IndexFormat::limit`], and for an internal key that is too short;
    /// [`ErrorKind::TrailingBytes`] in a value.
    // It lends the key it rebuilds, which `Iterator` cannot say.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<IndexEntry<'_, 'a>>> {
        if !std::mem::take(&mut self.is_pending) && !self.advance()? {
            return Ok(None);
        }
        let (first_key, offset, handle) = (self.first_key, self.offset, self.handle);
        let (separator, trailer) = self.separator();
        Ok(handle.map(|handle| IndexEntry { separator, trailer, handle, first_key, offset }))
    }

    /// Of the last entry, whose key has been checked.
    fn separator(&self) -> (&[u8], Option<u64>) {
        split(&self.key, &self.format, self.offset).unwrap_or_default()
    }

    /// Decodes the next entry, if there is one.
    fn advance(&mut self) -> Result<bool> {
        if self.cursor.is_empty() {
            return Ok(false);
        }
        self.offset = self.cursor.offset();
        match self.step() {
            Ok(()) => Ok(true),
            Err(error) => {
                self.cursor = Cursor::at(&[], self.offset);
                Err(error).field("index")
            }
        }
    }

    fn step(&mut self) -> Result<()> {
        let at = self.offset;
        let lengths = Lengths::decode(&mut self.cursor, &self.format)?;
        if lengths.shared > self.key.len() {
            let (found, max) = (lengths.shared as i64, self.key.len() as u64);
            return Err(Error::new(ErrorKind::BadCount { what: "shared key bytes", found, max }, at))
                .field("shared");
        }
        let suffix = self.cursor.take(lengths.unshared).field("key")?;
        self.key.truncate(lengths.shared);
        self.key.extend_from_slice(suffix);
        split(&self.key, &self.format, at)?;

        let value_at = self.cursor.offset();
        let (handle, first_key) = match lengths.value {
            None => {
                let before = self.handle.filter(|_| lengths.shared != 0);
                value(&mut self.cursor, before, self.format).field("value")?
            }
            Some(length) => {
                let mut cursor = self.cursor.sub(length).field("value")?;
                let found = value(&mut cursor, None, self.format).field("value")?;
                cursor.finish().field("value")?;
                found
            }
        };
        handle.check_within(self.format.limit, value_at).field("value")?;
        if let Some(before) = self.handle.filter(|before| handle.offset < before.end()) {
            let rule = "the blocks that an index names lie one behind the other";
            let found = format!("offset {} after one up to {}", handle.offset, before.end());
            return Err(Error::invalid(rule, found, value_at)).field("value");
        }
        self.handle = Some(handle);
        self.first_key = first_key;
        Ok(())
    }
}

/// A handle, as a difference if there is one to differ from, and what follows it.
fn value<'a>(
    cursor: &mut Cursor<'a>,
    before: Option<BlockHandle>,
    format: IndexFormat,
) -> Result<(BlockHandle, Option<&'a [u8]>)> {
    let handle = match before {
        None => BlockHandle::decode(cursor)?,
        Some(before) => {
            let at = cursor.offset();
            let zigzag = cursor.varint64().field("size")?;
            let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
            let Some(size) = before.size.checked_add_signed(difference) else {
                let found = format!("{difference} after one of {}", before.size);
                return Err(Error::invalid("the size of a block is not negative", found, at)).field("size");
            };
            BlockHandle { offset: before.end(), size }
        }
    };
    if !format.has_first_keys() {
        return Ok((handle, None));
    }
    let at = cursor.offset();
    let first_key = cursor.slice("bytes of a first key").field("first_key")?;
    if first_key.len() < TRAILER_LEN {
        let found = format!("{} bytes", first_key.len());
        let rule = "an internal key has 8 bytes behind the user's";
        return Err(Error::invalid(rule, found, at)).field("first_key");
    }
    Ok((handle, Some(first_key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use crate::rocksdb::properties::TableProperties;
    use crate::rocksdb::tail::bare;

    const TYPES: [IndexType; 4] = [
        IndexType::BinarySearch,
        IndexType::HashSearch,
        IndexType::TwoLevelIndexSearch,
        IndexType::BinarySearchWithFirstKey,
    ];

    fn format(index_type: IndexType, user_keys: bool, delta_values: bool) -> IndexFormat {
        IndexFormat { index_type, user_keys, delta_values, limit: 1 << 40 }
    }

    fn formats() -> impl Iterator<Item = IndexFormat> {
        TYPES.into_iter().flat_map(|index_type| {
            [(false, false), (false, true), (true, false), (true, true)]
                .map(|(user_keys, delta_values)| format(index_type, user_keys, delta_values))
        })
    }

    fn varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Owned {
        separator: Vec<u8>,
        trailer: Option<u64>,
        handle: BlockHandle,
        first_key: Option<Vec<u8>>,
    }

    /// An index block as RocksDB writes it.
    fn build(entries: &[Owned], format: IndexFormat, interval: usize) -> Vec<u8> {
        let (mut out, mut restarts) = (Vec::new(), Vec::new());
        let (mut last_key, mut last_handle): (Vec<u8>, Option<BlockHandle>) = (Vec::new(), None);
        for (i, entry) in entries.iter().enumerate() {
            let trailer = entry.trailer.map(u64::to_le_bytes);
            let key = [&entry.separator[..], trailer.as_ref().map_or(&[][..], |t| &t[..])].concat();
            let mut shared = 0;
            if i % interval == 0 {
                restarts.push(out.len() as u32);
            } else if last_handle.is_some_and(|last| last.end() == entry.handle.offset) {
                shared = key.iter().zip(&last_key).take_while(|(a, b)| a == b).count();
            }
            let mut value = Vec::new();
            match last_handle.filter(|_| shared != 0 && format.delta_values) {
                Some(last) => {
                    let difference = entry.handle.size as i64 - last.size as i64;
                    varint(&mut value, ((difference << 1) ^ (difference >> 63)) as u64);
                }
                None => {
                    varint(&mut value, entry.handle.offset);
                    varint(&mut value, entry.handle.size);
                }
            }
            if let Some(first_key) = &entry.first_key {
                varint(&mut value, first_key.len() as u64);
                value.extend(first_key);
            }
            varint(&mut out, shared as u64);
            varint(&mut out, (key.len() - shared) as u64);
            if !format.delta_values {
                varint(&mut out, value.len() as u64);
            }
            out.extend(&key[shared..]);
            out.extend(value);
            (last_key, last_handle) = (key, Some(entry.handle));
        }
        let restarts = if restarts.is_empty() { vec![0] } else { restarts };
        restarts.iter().for_each(|restart| out.extend(restart.to_le_bytes()));
        out.extend((restarts.len() as u32).to_le_bytes());
        out
    }

    fn owned(mut entries: IndexEntries<'_>) -> Result<Vec<Owned>> {
        let mut out = Vec::new();
        while let Some(entry) = entries.next()? {
            out.push(Owned {
                separator: entry.separator.to_vec(),
                trailer: entry.trailer,
                handle: entry.handle,
                first_key: entry.first_key.map(<[u8]>::to_vec),
            });
        }
        assert_eq!(entries.next(), Ok(None));
        Ok(out)
    }

    fn sample(format: IndexFormat) -> Vec<Owned> {
        let mut offset = 0;
        (0..40u64)
            .map(|i| {
                let handle = BlockHandle { offset, size: 4000 + i * 37 % 90 };
                offset = handle.end();
                if i % 10 == 9 {
                    // Padding, as alignment makes it.
                    offset += 50;
                }
                Owned {
                    // Some user keys twice.
                    separator: format!("key{:04}", i / 3 * 2).into_bytes(),
                    trailer: (!format.user_keys).then_some((1000 - i) << 8 | 1),
                    handle,
                    first_key: format.has_first_keys().then(|| format!("k{i}\0\0\0\0\0\0\0\0").into_bytes()),
                }
            })
            .collect()
    }

    #[test]
    fn every_type_with_every_kind_of_keys_and_values() {
        for format in formats() {
            let entries = sample(format);
            for interval in [1, 2, 16] {
                let bytes = build(&entries, format, interval);
                let block = IndexBlock::new(&bytes, 100, format).unwrap();
                assert_eq!(owned(block.entries()), Ok(entries.clone()), "{format:?}");
                for key in ["", "key", "key0000", "key0001", "key0002", "key0013", "key0026", "z"] {
                    let expected: Vec<_> =
                        entries.iter().filter(|e| e.separator >= key.as_bytes().to_vec()).cloned().collect();
                    let found = owned(block.seek(key.as_bytes()).unwrap());
                    assert_eq!(found, Ok(expected), "{format:?} {interval} {key}");
                }
            }
            assert_eq!(format.is_partitioned(), format.index_type == IndexType::TwoLevelIndexSearch);
        }
    }

    #[rustfmt::skip]
    const TWO: [u8; 19] = [
        0, 2, b'a', b'b', 0, 0x90, 0x03,     // ab → offset 0, size 400
        1, 1, b'c', 0x07,                    // a│c → 4 bytes less, behind it
        0, 0, 0, 0,                          // restart at 0
        1, 0, 0, 0,                          // one restart
    ];

    #[test]
    fn differences_of_sizes() {
        let format = format(IndexType::BinarySearch, true, true);
        let mut entries = IndexBlock::new(&TWO, 100, format).unwrap().entries();
        let first = entries.next().unwrap().unwrap();
        assert_eq!((first.separator, first.trailer, first.offset), (&b"ab"[..], None, 100));
        assert_eq!((first.handle, first.first_key), (BlockHandle { offset: 0, size: 400 }, None));
        let second = entries.next().unwrap().unwrap();
        assert_eq!((second.separator, second.offset), (&b"ac"[..], 107));
        assert_eq!(second.handle, BlockHandle { offset: 405, size: 396 });
        assert_eq!(entries.next(), Ok(None));
    }

    #[test]
    fn properties_say_how() {
        let of = |properties| IndexFormat::of(&bare(5, properties));
        let old = IndexFormat { limit: 0, ..format(IndexType::BinarySearch, false, false) };
        assert_eq!(of(TableProperties::default()), Ok(old));
        assert_eq!(IndexFormat::of(&TableTail { properties: None, ..bare(0, Default::default()) }), Ok(old));
        let new = TableProperties {
            index_type: Some(IndexType::TwoLevelIndexSearch),
            index_key_is_user_key: Some(1),
            index_value_is_delta_encoded: Some(1),
            ..Default::default()
        };
        let expected = IndexFormat { limit: 0, ..format(IndexType::TwoLevelIndexSearch, true, true) };
        assert_eq!(of(new), Ok(expected));
        let other = TableProperties { index_type: Some(IndexType::Other(4)), ..Default::default() };
        assert!(matches!(of(other).unwrap_err().kind(), ErrorKind::Unsupported { .. }));
        let bad = TableProperties { malformed: vec!["rocksdb.index.key.is.user.key"], ..Default::default() };
        assert!(matches!(of(bad).unwrap_err().kind(), ErrorKind::Invalid { .. }));
    }

    #[test]
    fn an_index_of_nothing() {
        for format in formats() {
            let block = IndexBlock::new(&[0, 0, 0, 0, 1, 0, 0, 0], 0, format).unwrap();
            assert_eq!((owned(block.entries()), owned(block.seek(b"a").unwrap())), (Ok(vec![]), Ok(vec![])));
        }
    }

    fn error(bytes: &[u8], format: IndexFormat) -> Error {
        IndexBlock::new(bytes, 100, format).and_then(|block| owned(block.entries())).unwrap_err()
    }

    #[test]
    fn blocks_lie_in_order_and_before_the_limit() {
        let format = format(IndexType::BinarySearch, true, true);
        let bytes = &TWO;
        let end = IndexFormat { limit: 806, ..format };
        assert!(IndexBlock::new(bytes, 100, end).and_then(|block| owned(block.entries())).is_ok());
        let late = error(bytes, IndexFormat { limit: 805, ..format });
        assert_eq!((late.offset(), late.path().as_str()), (110, "index.value"));
        // The same block again, whole.
        let again = [&bytes[..7], &[0, 1, b'd', 0, 0x90, 0x03], &bytes[11..]].concat();
        let again = error(&again, format);
        assert!(again.to_string().contains("one behind the other"), "{again}");
        assert_eq!(again.offset(), 110);
        let mut smaller = bytes.to_vec();
        smaller.splice(10..11, [0xa3, 0x06]);
        assert_eq!(error(&smaller, format).path(), "index.value.size");
    }

    #[test]
    fn hostile_entries() {
        let format = format(IndexType::BinarySearchWithFirstKey, false, false);
        let good = build(&sample(format), format, 3);
        for (at, path) in [(0, "index.shared"), (1, "index.key"), (2, "index.value")] {
            let mut bytes = good.clone();
            bytes.splice(at..=at, [0xff, 0xff, 0x7f]);
            assert_eq!(error(&bytes, format).path(), path);
        }
        let short = [0, 3, 2, b'a', b'b', b'c', 0, 1, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(error(&short, format).path(), "index.key");
        let long = [0, 1, 3, b'a', 0, 1, 9, 0, 0, 0, 0, 1, 0, 0, 0];
        let whole = IndexFormat { user_keys: true, index_type: IndexType::BinarySearch, ..format };
        assert_eq!(error(&long, whole).kind(), &ErrorKind::TrailingBytes { count: 1 });
        let first = [0, 1, 4, b'a', 0, 1, 1, 9, 0, 0, 0, 0, 1, 0, 0, 0];
        let with_first = IndexFormat { user_keys: true, ..format };
        assert_eq!(error(&first, with_first).path(), "index.value.first_key");

        // A restart that lies behind the entries, and one at a key that is not whole.
        let mut bytes = TWO.to_vec();
        bytes[11] = 12;
        let format = IndexFormat { user_keys: true, delta_values: true, ..whole };
        assert!(IndexBlock::new(&bytes, 100, format).unwrap().seek(b"a").is_err());
        bytes[11] = 7;
        let error = IndexBlock::new(&bytes, 100, format).unwrap().seek(b"a").unwrap_err();
        assert_eq!((error.offset(), error.path().as_str()), (107, "index"));

        let apart = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x10];
        let error = IndexBlock::new(&apart, 100, format).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }));
    }

    fn walk(bytes: &[u8], format: IndexFormat) {
        let end = 100 + bytes.len() as u64;
        let check = |error: Error| assert!((100..=end).contains(&error.offset()), "{error}");
        match IndexBlock::new(bytes, 100, format) {
            Ok(block) => {
                let _ = owned(block.entries()).map_err(check);
                for key in [&b""[..], b"key0005", b"z"] {
                    let _ = block.seek(key).and_then(owned).map_err(check);
                }
            }
            Err(error) => check(error),
        }
    }

    #[test]
    fn cut_and_damaged_blocks() {
        for format in formats() {
            let mut bytes = build(&sample(format)[..12], format, 4);
            for length in 0..bytes.len() {
                walk(&bytes[..length], format);
            }
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                walk(&bytes, format);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(
            keys in prop::collection::btree_set("[ab]{0,6}", 0..40),
            sizes in prop::collection::vec((0..70_000u64, prop::bool::weighted(0.1)), 40),
            interval in 1..20usize,
            at in 0..16usize,
            sought in "[abc]{0,6}",
        ) {
            let format = formats().nth(at).unwrap();
            let mut offset = 0;
            let entries: Vec<_> = keys.iter().zip(sizes).map(|(key, (size, padded))| {
                let handle = BlockHandle { offset: offset + u64::from(padded) * 100, size };
                offset = handle.end();
                Owned {
                    separator: key.clone().into_bytes(),
                    trailer: (!format.user_keys).then_some(size << 8),
                    handle,
                    first_key: format.has_first_keys().then(|| vec![1; 8 + key.len()]),
                }
            }).collect();
            let bytes = build(&entries, format, interval);
            let block = IndexBlock::new(&bytes, 0, format).unwrap();
            prop_assert_eq!(owned(block.entries()), Ok(entries.clone()));
            let rest: Vec<_> =
                entries.into_iter().filter(|e| e.separator >= sought.as_bytes().to_vec()).collect();
            prop_assert_eq!(owned(block.seek(sought.as_bytes()).unwrap()), Ok(rest));
        }

        #[test]
        fn any_bytes_are_an_error_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..16usize) {
            walk(&bytes, formats().nth(at).unwrap());
        }
    }
}
