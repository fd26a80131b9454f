//! Scans of tables that are made here, so that every figure of them is known.

mod ahead;
mod channels;
mod damage;
mod deep;
mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use statescope_formats::rocksdb::checksum::{BlockChecksum, ChecksumType};
use statescope_formats::rocksdb::footer::Footer;
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use statescope_formats::rocksdb::internal_key::{InternalKey, ValueType};
use statescope_formats::rocksdb::properties::{MetaIndex, TableProperties};
use statescope_formats::rocksdb::tail::TableTail;

use super::recompress::put_varint32;
use super::*;
use crate::analyzers::analysis::{PhysicalTally, ReferenceTime, Witness};
use crate::model::{
    DatabaseDetails, FileRole, KeyGroupRange, KeyedLayout, Operator, OperatorId, Place, SnapshotKind,
    StateFile, TableBounds, Tally,
};
use crate::storage::{Location, MemoryStorage, Metered, RequestRecord};

const CHECKSUM: BlockChecksum =
    BlockChecksum { checksum_type: ChecksumType::Crc32c, base_context_checksum: 0 };

/// A table: its bytes up to the index, and where its blocks lie.
#[derive(Debug, Clone)]
struct Made {
    bytes: Vec<u8>,
    index: BlockHandle,
    /// Data blocks, and how many entries each has.
    blocks: Vec<(BlockHandle, u64)>,
    /// The first and the last key.
    keys: (Vec<u8>, Vec<u8>),
}

impl Made {
    /// Blocks of puts with values of this length. All keys are new ones, in order.
    fn new(blocks: &[Vec<Vec<u8>>], value_len: usize) -> Self {
        let (mut bytes, mut index, mut handles) = (Vec::new(), Vec::new(), Vec::new());
        for keys in blocks {
            let mut contents = Vec::new();
            keys.iter().for_each(|key| entry(&mut contents, &internal(key), &vec![b'v'; value_len]));
            let handle = store(&mut bytes, contents);
            let value = [varint(handle.offset), varint(handle.size)].concat();
            entry(&mut index, &internal(keys.last().unwrap()), &value);
            handles.push((handle, keys.len() as u64));
        }
        let index = store(&mut bytes, index);
        let keys = (blocks[0][0].clone(), blocks.last().unwrap().last().unwrap().clone());
        Self { bytes, index, blocks: handles, keys }
    }

    /// `blocks` blocks of `entries` keys each, which begin with the key groups from `group` on, one after the other.
    fn of_groups(group: u8, blocks: u8, entries: u8, value_len: usize) -> Self {
        let keys = |block: u8| (0..entries).map(|n| vec![group + block, b'k', n]).collect();
        Self::new(&(0..blocks).map(keys).collect::<Vec<_>>(), value_len)
    }

    fn entries(&self) -> u64 {
        self.blocks.iter().map(|(_, entries)| entries).sum()
    }

    fn data_bytes(&self) -> u64 {
        self.index.offset
    }

    fn tail(&self) -> TableTail {
        let properties = TableProperties {
            num_entries: Some(self.entries()),
            data_size: Some(self.data_bytes()),
            index_size: Some(self.index.end() - self.index.offset),
            ..TableProperties::default()
        };
        TableTail {
            file_size: self.bytes.len() as u64,
            footer: Footer {
                offset: self.bytes.len() as u64,
                format_version: 2,
                checksum: CHECKSUM,
                metaindex: self.index,
                index: Some(self.index),
            },
            metaindex: MetaIndex::default(),
            properties: Some(properties),
            index: self.index,
        }
    }
}

fn varint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint32(&mut out, usize::try_from(value).unwrap());
    out
}

fn internal(user_key: &[u8]) -> Vec<u8> {
    [user_key, &(7u64 << 8 | ValueType::Value as u64).to_le_bytes()].concat()
}

/// An entry of a block, with nothing shared.
fn entry(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    [0, key.len(), value.len()].into_iter().for_each(|length| put_varint32(out, length));
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Stores a block with one restart.
fn store(bytes: &mut Vec<u8>, mut contents: Vec<u8>) -> BlockHandle {
    contents.extend([0u32.to_le_bytes(), 1u32.to_le_bytes()].concat());
    let handle = BlockHandle { offset: bytes.len() as u64, size: contents.len() as u64 };
    let checksum = CHECKSUM.compute(&contents, 0, handle.offset);
    bytes.extend(contents);
    bytes.push(0);
    bytes.extend(checksum.to_le_bytes());
    assert_eq!(bytes.len() as u64, handle.end());
    handle
}

fn bounds((smallest, largest): &(Vec<u8>, Vec<u8>)) -> TableBounds {
    let key = |user_key: &[u8]| InternalKey { user_key, sequence: 7, value_type: ValueType::Value }.to_buf();
    TableBounds {
        smallest: key(smallest),
        largest: key(largest),
        largest_sequence: 7,
        oldest_blob_file: None,
    }
}

/// A store with tables in one state, and one operator whose subtasks have these key groups.
#[derive(Debug)]
struct World {
    storage: Metered<MemoryStorage>,
    snapshot: Snapshot,
    details: Details,
    tables: HashMap<FileId, Source>,
    settings: Settings,
}

impl World {
    /// Each table with the level that it lies at and the size that MANIFEST claims; every subtask names all.
    fn new(place: &str, made: &[(&Made, u32, u64)], key_groups: &[(u32, u32)]) -> Self {
        let storage = MemoryStorage::new();
        let (mut files, mut tables, mut sources) = (Vec::new(), Vec::new(), HashMap::new());
        for (number, (made, level, size)) in (0u32..).zip(made) {
            let location = Location::parse(&format!("{place}/{number:06}.sst")).unwrap();
            storage.put(&location, made.bytes.clone());
            files.push(StateFile {
                place: Place::Uri(location.to_string().into()),
                size: *size,
                role: FileRole::Sst,
                uses: 1,
            });
            sources.insert(FileId(number), Source::Object { location, start: 0, kept: None });
            tables.push(Table {
                column_family: 0,
                number: number.into(),
                level: *level,
                size: *size,
                key_groups: None,
                file: Some(FileId(number)),
                bounds: Some(Box::new(bounds(&made.keys))),
                tail: Some(Arc::new(made.tail())),
            });
        }
        let keyed = (0u32..).zip(key_groups).map(|(subtask, (first, last))| KeyedDetails {
            operator: 0,
            subtask,
            key_groups: KeyGroupRange { start: *first, count: last - first + 1 },
            layout: KeyedLayout::Database,
            meta: None,
            raw_timers: None,
            stream: None,
            changes: None,
            only_in_changes: Vec::new(),
            database: Some(DatabaseDetails {
                tables: tables.clone(),
                column_families: vec!["state".to_owned()],
                options: None,
            }),
        });
        let details = Details { keyed: keyed.collect(), ..Details::default() };
        let operator = Operator {
            id: OperatorId::from_uid("uid"),
            name: None,
            uid: None,
            parallelism: i32::try_from(key_groups.len()).unwrap(),
            max_parallelism: 128,
            coordinator: None,
            fully_finished: false,
            subtasks: Vec::new(),
        };
        let snapshot = Snapshot {
            metadata_version: 4,
            metadata_bytes: 0,
            checkpoint_id: 1,
            kind: SnapshotKind::Unknown,
            operators: vec![operator],
            master_states: Vec::new(),
            tally: Tally::default(),
            files,
        };
        let settings = Settings::new(ReferenceTime { at_ms: 0, witness: Witness::Given });
        Self { storage: Metered::with_log(storage), snapshot, details, tables: sources, settings }
    }

    /// One subtask with all key groups.
    fn with(place: &str, made: &[&Made]) -> Self {
        let made: Vec<_> = made.iter().map(|made| (*made, 1, made.bytes.len() as u64)).collect();
        Self::new(place, &made, &[(0, 127)])
    }

    fn location(&self, table: u32) -> &Location {
        match &self.tables[&FileId(table)] {
            Source::Object { location, .. } => location,
            Source::Memory { .. } => panic!("an object"),
        }
    }

    /// Puts other bytes where a table lies, as if they had changed after its tail was read.
    fn replace(&self, table: u32, bytes: Vec<u8>) {
        self.storage.inner().put(self.location(table), bytes);
    }

    fn scan(&self, threads: usize) -> Read {
        // So little memory that pieces are as small as they get.
        self.scan_with(ScanOptions { threads, memory: 1, requests: 4, checksums: true })
    }

    fn scan_with(&self, options: ScanOptions) -> Read {
        let Self { snapshot, details, tables, settings, storage } = self;
        let scan = Scan::plan(Input { snapshot, details, tables, settings }, &|_, _| true);
        let (sum, progress) = (Mutex::new(ScanPartial::default()), Progress::default());
        assert!(scan.analyze(storage, options, &progress, &|| panic!("no timers"), &sum, &|_| ()));
        let finished = scan.finish(&sum.into_inner().unwrap());
        let mut tally = PhysicalTally::default();
        finished.analysis.tallies.values().for_each(|more| tally.merge(more));
        let rows = finished.analysis.states.values().map(|state| state.live.rows).sum();
        Read { splits: scan.splits(), rows, tally, finished, log: storage.meter().take_log() }
    }
}

/// What a scan yielded.
#[derive(Debug)]
struct Read {
    splits: usize,
    rows: u64,
    tally: PhysicalTally,
    finished: Finished,
    log: Vec<RequestRecord>,
}
