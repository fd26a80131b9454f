//! Every block of every table that RocksDB wrote: what the decoders find in it is what the properties say.

use std::cmp::Ordering;
use std::fs;
use std::path::PathBuf;

use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::footer::{BLOCK_BASED_MAGIC, LEGACY_BLOCK_BASED_MAGIC};
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use statescope_formats::rocksdb::index::{IndexBlock, IndexFormat};
use statescope_formats::rocksdb::internal_key::{InternalKey, InternalKeyBuf, ValueType};
use statescope_formats::rocksdb::range_del::RangeTombstone;
use statescope_formats::rocksdb::tail::{TableTail, TailStep};
use statescope_formats::rocksdb::unsupported::Unsupported;

use super::support::{files_below, testdata};

const LIMIT: usize = 64 << 20;

/// All files below these directories that end as block-based tables do. Where Flink merged files, one
/// begins in the middle of another, and what it says of offsets holds from there.
fn tables(below: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut tables = Vec::new();
    for directory in below.iter().map(|name| testdata().join(name)) {
        for name in files_below(&directory) {
            if name.contains("/job_") {
                continue;
            }
            let path = directory.join(name);
            let bytes = fs::read(&path).unwrap();
            let Some(magic) = bytes.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else {
                continue;
            };
            if [BLOCK_BASED_MAGIC, LEGACY_BLOCK_BASED_MAGIC].contains(&magic) {
                tables.push((path, bytes));
            }
        }
    }
    tables
}

fn tail(file: &[u8]) -> TableTail {
    match TableTail::decode(file, file.len() as u64).unwrap() {
        TailStep::Done(tail) => *tail,
        TailStep::NeedBytes { .. } => panic!("all bytes are there"),
    }
}

/// Reads blocks of one table, with their checksums.
struct Blocks<'f> {
    file: &'f [u8],
    tail: &'f TableTail,
    decompressor: Decompressor,
}

impl Blocks<'_> {
    fn read(&mut self, handle: BlockHandle) -> Vec<u8> {
        let stored = StoredBlock::cut(self.file, 0, handle).unwrap();
        stored.verify(self.tail.footer.checksum, "a block").unwrap();
        let mut out = Vec::new();
        self.decompressor
            .contents(self.tail.footer.format_version, &stored, LIMIT, &mut out)
            .unwrap()
            .to_vec()
    }
}

/// An entry of an index, owned.
struct Indexed {
    separator: Vec<u8>,
    trailer: Option<u64>,
    handle: BlockHandle,
    first_key: Option<Vec<u8>>,
}

/// All data blocks that the index names; and the first that a search for each separator finds is its own,
/// or one before it with the same separator.
fn data_blocks(blocks: &mut Blocks<'_>, at: BlockHandle, format: IndexFormat, is_top: bool) -> Vec<Indexed> {
    let contents = blocks.read(at);
    let block = IndexBlock::new(&contents, at.offset, format).unwrap();
    let mut found: Vec<Indexed> = Vec::new();
    let mut below = Vec::new();
    let mut entries = block.entries();
    while let Some(entry) = entries.next().unwrap() {
        if is_top {
            below.extend(data_blocks(blocks, entry.handle, format, false));
        }
        found.push(Indexed {
            separator: entry.separator.to_vec(),
            trailer: entry.trailer,
            handle: entry.handle,
            first_key: entry.first_key.map(<[u8]>::to_vec),
        });
    }
    for entry in &found {
        let mut sought = block.seek(&entry.separator).unwrap();
        let sought = sought.next().unwrap().unwrap();
        assert_eq!(sought.separator, entry.separator);
        assert!(sought.handle <= entry.handle);
    }
    if is_top { below } else { found }
}

/// In the order of RocksDB: user keys ascending, then versions descending.
fn order(a: &InternalKeyBuf, b: &InternalKeyBuf) -> Ordering {
    (&a.user_key, b.sequence, b.value_type).cmp(&(&b.user_key, a.sequence, a.value_type))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    entries: u64,
    key_bytes: u64,
    value_bytes: u64,
    deletions: u64,
    merge_operands: u64,
    range_deletions: u64,
    data_blocks: u64,
}

impl Counts {
    /// What the properties say.
    fn said(tail: &TableTail) -> Self {
        let p = tail.properties.as_ref().unwrap();
        Self {
            entries: p.num_entries.unwrap(),
            key_bytes: p.raw_key_size.unwrap(),
            value_bytes: p.raw_value_size.unwrap(),
            deletions: p.num_deletions.unwrap_or(0),
            merge_operands: p.num_merge_operands.unwrap_or(0),
            range_deletions: p.num_range_deletions.unwrap_or(0),
            data_blocks: p.num_data_blocks.unwrap(),
        }
    }

    fn add(&mut self, key: InternalKey<'_>, value: &[u8]) {
        self.entries += 1;
        self.key_bytes += key.user_key.len() as u64 + 8;
        self.value_bytes += value.len() as u64;
        match key.value_type {
            ValueType::Deletion | ValueType::SingleDeletion => self.deletions += 1,
            ValueType::Merge => self.merge_operands += 1,
            ValueType::Value => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Goes over all that is in a table.
fn scan(file: &[u8], mut each: impl FnMut(InternalKey<'_>, &[u8])) -> (Counts, TableTail) {
    let tail = tail(file);
    assert_eq!(Unsupported::of(&tail, None, None), None);
    let mut counts = Counts::default();
    let mut blocks = Blocks { file, tail: &tail, decompressor: Decompressor::new() };
    let format = IndexFormat::of(&tail).unwrap();
    let index = data_blocks(&mut blocks, tail.index, format, format.is_partitioned());
    let tombstones = tail.range_del().map(|handle| {
        let contents = blocks.read(handle);
        RangeTombstone::decode_all(&contents, handle.offset, None).unwrap()
    });
    for tombstone in tombstones.unwrap_or_default() {
        assert!(tombstone.start < tombstone.end);
        counts.entries += 1;
        counts.deletions += 1;
        counts.range_deletions += 1;
        counts.key_bytes += tombstone.start.len() as u64 + 8;
        counts.value_bytes += tombstone.end.len() as u64;
    }
    if let Some(handle) = tail.compression_dict() {
        blocks.decompressor = Decompressor::with_dictionary(&blocks.read(handle));
    }
    let (mut last, mut data_bytes): (Option<InternalKeyBuf>, _) = (None, 0);
    for (i, block) in index.iter().enumerate() {
        counts.data_blocks += 1;
        data_bytes += block.handle.size + BLOCK_TRAILER_LEN;
        let contents = blocks.read(block.handle);
        let mut entries = Block::new(&contents, block.handle.offset).unwrap().entries();
        let mut is_first = true;
        while let Some(entry) = entries.next().unwrap() {
            let key = InternalKey::decode(entry.key, entry.offset).unwrap();
            counts.add(key, entry.value);
            each(key, entry.value);
            let key = key.to_buf();
            assert!(last.as_ref().is_none_or(|last| order(last, &key).is_lt()), "{last:?} {key:?}");
            if is_first {
                assert!(block.first_key.as_ref().is_none_or(|first| first == entry.key));
                if let Some(before) = i.checked_sub(1).map(|i| &index[i]) {
                    assert!(before.separator <= key.user_key);
                    assert!(before.trailer.is_some() || before.separator < key.user_key);
                }
                is_first = false;
            }
            last = Some(key);
        }
        assert!(last.as_ref().is_some_and(|last| last.user_key <= block.separator));
    }
    let said = tail.properties.as_ref().unwrap().data_size.unwrap();
    match index.last() {
        // Blocks were aligned; what follows the last one counts, too.
        Some(last) if last.handle.end() > data_bytes => assert!(said >= last.handle.end()),
        _ => assert_eq!(data_bytes, said),
    }
    (counts, tail)
}

#[test]
fn entries_are_as_many_and_as_large_as_the_properties_say() {
    let tables = tables(&["fixtures", "golden/rocksdb"]);
    let mut entries = 0;
    for (path, bytes) in &tables {
        let (mut counts, tail) = scan(bytes, |_, _| {});
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("5.17-") {
            // That release counts the bytes of range deletions, but not the entries.
            counts.entries -= counts.range_deletions;
            counts.deletions -= counts.range_deletions;
        }
        if name.starts_with("11.8-") && tail.compression_dict().is_some() {
            // That release does not count the blocks that it holds back until it has a dictionary.
            counts.data_blocks = 0;
        }
        assert_eq!(counts, Counts::said(&tail), "{}", path.display());
        entries += counts.entries;
    }
    assert!(tables.len() > 500 && entries > 40_000, "{} tables, {entries} entries", tables.len());
}

#[test]
fn every_codec_gives_what_was_put() {
    let tables = tables(&["golden/rocksdb/codecs"]);
    let (mut dictionaries, mut separated) = (0, 0);
    for (path, bytes) in &tables {
        let mut i = 0u32;
        let (counts, tail) = scan(bytes, |key, value| {
            let expected = format!("value-{i}-{}-aaaaaaaaaaaaaaaaaaaaaaaaaaaa", i * 7919 % 1000);
            assert_eq!(key.user_key, format!("key{i:05}").as_bytes(), "{}", path.display());
            assert_eq!(value, expected.as_bytes(), "{}", path.display());
            i += 1;
        });
        assert_eq!(counts.entries, 300);
        dictionaries += u32::from(tail.compression_dict().is_some());
        separated += tail.properties.unwrap().separate_key_value_in_data_block.unwrap_or(0);
    }
    assert_eq!((tables.len(), dictionaries, separated), (22, 9, 2));
}
