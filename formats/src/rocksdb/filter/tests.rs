//! Filters that real RocksDB wrote, and the keys of their tables; then the same filters cut and damaged.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::rocksdb::block::{Block, StoredBlock};
use crate::rocksdb::compression::Decompressor;
use crate::rocksdb::tail::TailStep;

/// A table whose blocks are uncompressed as they are asked for.
struct Table {
    name: String,
    file: Vec<u8>,
    tail: TableTail,
}

impl Table {
    fn open(path: &Path) -> Option<Self> {
        let file = std::fs::read(path).unwrap();
        match TableTail::decode(&file, file.len() as u64) {
            Ok(TailStep::Done(tail)) => {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                Some(Self { name, tail: *tail, file })
            }
            _ => None,
        }
    }

    fn block(&self, handle: BlockHandle) -> Vec<u8> {
        let stored = StoredBlock::cut(&self.file, 0, handle).unwrap();
        stored.verify(self.tail.footer.checksum, "a block").unwrap();
        let mut out = Vec::new();
        let version = self.tail.footer.format_version;
        Decompressor::new().contents(version, &stored, 1 << 24, &mut out).unwrap().to_vec()
    }

    fn handles(&self, index: BlockHandle, format: IndexFormat) -> Vec<BlockHandle> {
        let contents = self.block(index);
        let mut entries = IndexBlock::new(&contents, index.offset, format).unwrap().entries();
        let mut handles = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            handles.push(entry.handle);
        }
        handles
    }

    fn user_keys(&self) -> Vec<Vec<u8>> {
        let format = IndexFormat::of(&self.tail).unwrap();
        let mut blocks = self.handles(self.tail.index, format);
        if format.is_partitioned() {
            blocks = blocks.into_iter().flat_map(|partition| self.handles(partition, format)).collect();
        }
        let mut keys = Vec::new();
        for handle in blocks {
            let contents = self.block(handle);
            let mut entries = Block::new(&contents, 0).unwrap().entries();
            while let Some(entry) = entries.next().unwrap() {
                keys.push(entry.key.split_last_chunk::<8>().unwrap().0.to_vec());
            }
        }
        keys
    }

    /// The contents of the filter that tells of a key.
    fn filter(&self, place: FilterPlace, user_key: &[u8]) -> Vec<u8> {
        match place.partitions {
            None => self.block(place.handle),
            Some(format) => {
                let index = self.block(place.handle);
                let partition = partition_of(&index, place.handle.offset, format, user_key).unwrap();
                self.block(partition.unwrap())
            }
        }
    }
}

fn tables(directory: &str) -> Vec<Table> {
    let mut directories = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(directory)];
    let mut tables = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                tables.extend(Table::open(&path));
            }
        }
    }
    tables
}

/// Keys that are in no table, as long as keys are.
fn others() -> impl Iterator<Item = Vec<u8>> {
    let mut seed = 7_u64;
    std::iter::repeat_with(move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = 4 + (seed >> 60) as usize * 3;
        seed.to_be_bytes().iter().rev().cycle().map(|byte| byte ^ 0xa5).take(length).collect()
    })
}

/// How many tables, keys and partitions there were, all of whose keys may be in their filters, and few others; and how many keys were
/// looked for in legacy filters.
fn check(directory: &str) -> [usize; 4] {
    let (mut met, mut wrong, mut asked) = ([0; 4], 0, 0);
    for table in tables(directory) {
        let Ok(place) = FilterPlace::of(&table.tail) else { continue };
        let keys = table.user_keys();
        met[0] += 1;
        met[1] += keys.len();
        met[2] += place.partitions.map_or(0, |format| table.handles(place.handle, format).len());
        for key in &keys {
            let contents = table.filter(place, key);
            let filter = Filter::decode(&contents);
            assert_eq!(filter.unknown(), None, "{}", table.name);
            assert!(filter.may_contain(key), "{}: {key:x?}", table.name);
            met[3] += usize::from(matches!(filter.0, Kind::LegacyBloom { .. }));
        }
        for key in others().take(10_000) {
            asked += 1;
            wrong += usize::from(Filter::decode(&table.filter(place, &key)).may_contain(&key));
        }
    }
    assert!(wrong * 100 <= asked * 3, "{wrong} of {asked}");
    met
}

#[test]
fn all_keys_of_a_table_may_be_in_its_filter_and_few_others() {
    for (directory, expected) in [
        ("fixtures/lz4-bloom-1.20", [37, 1312, 0, 0]),
        ("fixtures/zstd-partitioned-2.3", [14, 1000, 14, 0]),
        ("golden/rocksdb", [8, 1096, 2, 274]),
    ] {
        assert_eq!(check(directory), expected, "{directory}");
    }
}

#[test]
fn a_key_is_looked_for_in_the_partition_up_to_whose_key_it_is() {
    let format = IndexFormat {
        index_type: IndexType::BinarySearch,
        user_keys: true,
        delta_values: false,
        limit: 1000,
    };
    #[rustfmt::skip]
    let index = [
        0, 1, 2, b'b', 0, 100,          // b → offset 0, size 100
        0, 1, 2, b'd', 110, 50,         // d → offset 110, size 50
        0, 0, 0, 0, 6, 0, 0, 0,         // restarts at both
        2, 0, 0, 0,
    ];
    let (first, last) = (BlockHandle { offset: 0, size: 100 }, BlockHandle { offset: 110, size: 50 });
    for (key, expected) in [("", first), ("a", first), ("b", first), ("ba", last), ("d", last), ("e", last)] {
        assert_eq!(partition_of(&index, 0, format, key.as_bytes()), Ok(Some(expected)), "{key}");
    }
    assert_eq!(partition_of(&[0, 0, 0, 0, 1, 0, 0, 0], 0, format, b"a"), Ok(None));
    assert!(partition_of(&index, 0, IndexFormat { limit: 120, ..format }, b"c").is_err());
}

#[test]
fn which_filters_are_not_known() {
    let of = |name: &str| {
        let tables = tables("golden/rocksdb/tables");
        let table = tables.iter().find(|table| table.name == name).unwrap();
        FilterPlace::of(&table.tail)
    };
    assert_eq!(of("5.17-v2-crc32c.sst"), Err(UnknownFilter::Absent));
    let mut tail = tables("fixtures/zstd-partitioned-2.3").swap_remove(0).tail;
    assert!(FilterPlace::of(&tail).unwrap().partitions.is_some());
    tail.properties.as_mut().unwrap().whole_key_filtering = Some(false);
    assert_eq!(FilterPlace::of(&tail), Err(UnknownFilter::Prefixes));
    let (_, handle) = tail.metaindex.blocks.iter().find(|(name, _)| name.contains("filter.")).unwrap();
    let handle = *handle;
    for (name, expected) in [
        ("filter.rocksdb.BuiltinBloomFilter", UnknownFilter::BlockBased),
        ("fullfilter.com.example.Mine", UnknownFilter::Policy),
    ] {
        tail.metaindex.blocks.retain(|name, _| !name.contains("filter."));
        tail.metaindex.blocks.insert(name.to_owned(), handle);
        tail.properties = None;
        assert_eq!(FilterPlace::of(&tail), Err(expected));
    }
}

#[test]
fn trailers_are_those_that_rocksdb_writes() {
    let with = |bits: usize, trailer: [u8; 5]| [vec![0; bits], trailer.to_vec()].concat();
    let known = |contents: &[u8]| {
        let filter = Filter::decode(contents);
        assert_eq!(filter.may_contain(b"key"), filter.unknown().is_some());
        filter.unknown().cloned()
    };
    for contents in [
        vec![],
        with(0, [0xff, 0, 6, 0, 0]),
        with(0, [6, 0, 0, 0, 0]),
        with(64, [0xff, 0, 6, 0, 0]),
        with(192, [0xff, 0, 30, 0, 0]),
        with(64, [6, 1, 0, 0, 0]),
        with(3 * 128, [127, 3, 0, 0, 0]),
    ] {
        assert_eq!(known(&contents), None, "{contents:x?}");
    }
    for (contents, expected) in [
        (vec![0xff, 0, 6, 0], UnknownFilter::Trailer),
        (with(64, [0xff, 1, 6, 0, 0]), UnknownFilter::Trailer),
        (with(64, [0xff, 0, 0, 0, 0]), UnknownFilter::Trailer),
        (with(64, [0xff, 0, 31, 0, 0]), UnknownFilter::Trailer),
        (with(64, [0xff, 0, 0x26, 0, 0]), UnknownFilter::Trailer),
        (with(64, [0xff, 0, 6, 1, 0]), UnknownFilter::Trailer),
        (with(63, [0xff, 0, 6, 0, 0]), UnknownFilter::Length),
        (with(65, [0xff, 0, 6, 0, 0]), UnknownFilter::Length),
        (with(64, [0xfe, 1, 2, 0, 0]), UnknownFilter::Ribbon),
        (with(64, [0xfd, 0, 0, 0, 0]), UnknownFilter::Trailer),
        (with(64, [0, 1, 0, 0, 0]), UnknownFilter::Trailer),
        (with(64, [6, 0, 0, 0, 0]), UnknownFilter::Length),
        (with(65, [6, 1, 0, 0, 0]), UnknownFilter::Length),
        (with(192, [6, 2, 0, 0, 0]), UnknownFilter::Length),
        (with(64, [6, 0xff, 0xff, 0xff, 0xff]), UnknownFilter::Length),
        (with(0, [6, 1, 0, 0, 0]), UnknownFilter::Length),
    ] {
        assert_eq!(known(&contents), Some(expected.clone()), "{contents:x?}");
        assert!(!expected.to_string().is_empty());
    }
}

#[test]
fn cut_and_changed_filters_never_lose_a_key_without_a_changed_bit() {
    for directory in ["fixtures/lz4-bloom-1.20", "fixtures/zstd-partitioned-2.3"] {
        let table = tables(directory).into_iter().find(|table| FilterPlace::of(&table.tail).is_ok()).unwrap();
        let place = FilterPlace::of(&table.tail).unwrap();
        let keys = table.user_keys();
        let contents = table.filter(place, &keys[0]);
        for cut in 1..contents.len() {
            let _ = Filter::decode(&contents[..cut]).may_contain(&keys[0]);
        }
        // With more bits, there are more keys.
        for bit in 0..(contents.len() - TRAILER) * 8 {
            let mut more = contents.clone();
            more[bit / 8] |= 1 << (bit % 8);
            assert!(Filter::decode(&more).may_contain(&keys[0]));
        }
        let Some(format) = place.partitions else { continue };
        let index = table.block(place.handle);
        for cut in 0..index.len() {
            if let Ok(Some(handle)) = partition_of(&index[..cut], place.handle.offset, format, &keys[0]) {
                assert!(handle.end() <= format.limit);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_filter(contents in prop::collection::vec(any::<u8>(), 0..300), key in prop::collection::vec(any::<u8>(), 0..300)) {
        let filter = Filter::decode(&contents);
        prop_assert!(filter.may_contain(&key) || filter.unknown().is_none());
    }
}
