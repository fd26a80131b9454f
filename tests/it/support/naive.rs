//! The live view of a database, as plainly as it can be had: all entries of all its tables in one map.
//!
//! It is what other ways to the live view are compared with, and knows neither levels nor order of files: the newest
//! version of a key wins, merge operands are appended, deletes and range deletes hide what is older.

use std::collections::BTreeMap;
use std::sync::Arc;

use statescope::model::{DatabaseHandle, FileId, KeyGroupRange, Snapshot};
use statescope::readers::discover::{self, Target};
use statescope::readers::opener::{Opener, Wanted};
use statescope::readers::snapshot::decode_metadata;
use statescope::storage::{InFlight, LocalStorage, Span};
use statescope_formats::Cursor;
use statescope_formats::flink::state_meta::{End, KeyedBackendMeta};
use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::current::Current;
use statescope_formats::rocksdb::handle::BlockHandle;
use statescope_formats::rocksdb::index::{IndexBlock, IndexFormat};
use statescope_formats::rocksdb::internal_key::{InternalKey, ValueType};
use statescope_formats::rocksdb::manifest::Version;
use statescope_formats::rocksdb::range_del::RangeTombstone;
use statescope_formats::rocksdb::tail::{TableTail, TailStep};

use super::Fixture;

const LIMIT: usize = 64 << 20;

/// Rows by user key.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A database of a snapshot.
#[derive(Debug)]
pub struct Database {
    /// The operator's id.
    pub operator: String,
    pub max_parallelism: i32,
    /// The key groups of the handle.
    pub key_groups: KeyGroupRange,
    /// Whether a changelog has changes on top of it.
    pub in_changelog: bool,
    pub meta: Arc<KeyedBackendMeta>,
    /// The live rows of each column family, of these key groups.
    pub column_families: BTreeMap<String, Rows>,
}

/// A table, with what the MANIFEST says of it.
#[derive(Debug)]
pub struct TableBytes<'a> {
    pub bytes: &'a [u8],
    pub largest_seqno: Option<u64>,
}

/// All databases of a snapshot of a fixture.
pub fn databases(fixture: &Fixture, path: &str) -> Vec<Database> {
    let storage = LocalStorage::new();
    let file = match discover::discover(&storage, &fixture.at(path), InFlight::default()).unwrap() {
        Target::Snapshot(file) => file,
        other => panic!("{path}: {other:?}"),
    };
    let (snapshot, findings) = decode_metadata(&file).unwrap();
    assert_eq!(findings, [], "{path}");
    let in_flight = InFlight::default();
    let mut opener = Opener::new(&storage, file.directory.clone(), file.bytes.clone(), Vec::new(), in_flight);
    let mut found = Vec::new();
    for operator in &snapshot.operators {
        for subtask in &operator.subtasks {
            let Some(keyed) = &subtask.managed_keyed else { continue };
            for (state, handle) in keyed.databases() {
                let files = files(&mut opener, &snapshot, handle);
                let meta = KeyedBackendMeta::parse(&mut Cursor::new(&files["meta"]), End::Eof).unwrap();
                let prefix = operator.key_group_prefix();
                let mine = |key: &[u8]| {
                    let group = key[..prefix].iter().fold(0u32, |n, &b| n << 8 | u32::from(b));
                    state.key_groups.contains(group)
                };
                found.push(Database {
                    operator: operator.id.to_string(),
                    max_parallelism: operator.max_parallelism,
                    key_groups: state.key_groups,
                    in_changelog: !std::ptr::eq(state, keyed),
                    meta: Arc::new(meta),
                    column_families: column_families(&files, mine),
                });
            }
        }
    }
    found
}

/// The files of a handle by their names in the database; the meta data is `meta`.
fn files(opener: &mut Opener<'_>, snapshot: &Snapshot, handle: &DatabaseHandle) -> BTreeMap<String, Vec<u8>> {
    let named = handle.files.iter().map(|file| (file.name.to_string(), file.file.unwrap()));
    let (names, ids): (Vec<String>, Vec<FileId>) =
        named.chain([("meta".to_owned(), handle.meta.unwrap())]).unzip();
    let wanted: Vec<_> =
        ids.iter().map(|&file| Wanted { file, span: Span::Full { limit: LIMIT as u64 } }).collect();
    let parts = opener.read(snapshot, &wanted);
    names.into_iter().zip(parts.into_iter().map(|part| part.unwrap().bytes.to_vec())).collect()
}

fn column_families(
    files: &BTreeMap<String, Vec<u8>>,
    mine: impl Fn(&[u8]) -> bool,
) -> BTreeMap<String, Rows> {
    let manifest = Current::decode(&files["CURRENT"]).unwrap().manifest;
    let version = Version::replay(&files[manifest]).unwrap();
    let families = version.live_column_families().map(|family| {
        let tables: Vec<_> = family
            .files
            .values()
            .map(|live| TableBytes {
                bytes: &files[&format!("{:06}.sst", live.file.number)],
                largest_seqno: live.file.largest_seqno,
            })
            .collect();
        let mut rows = live_rows(&tables, b",");
        rows.retain(|key, _| mine(key));
        (family.name.clone(), rows)
    });
    families.collect()
}

/// Values of one key, by sequence number; of one number, the larger type is the newer one.
type Versions = BTreeMap<(u64, ValueType), Vec<u8>>;

/// What is live in tables. `delimiter` is that of the merge operator.
pub fn live_rows(tables: &[TableBytes<'_>], delimiter: &[u8]) -> Rows {
    let mut versions: BTreeMap<Vec<u8>, Versions> = BTreeMap::new();
    let mut tombstones = Vec::new();
    for table in tables {
        let mut reader = TableReader::new(table);
        tombstones.extend(reader.tombstones());
        reader.entries(&mut |key, sequence, value| {
            let of_key = versions.entry(key.user_key.to_vec()).or_default();
            let before = of_key.insert((sequence, key.value_type), value.to_vec());
            assert!(before.is_none(), "two entries of one sequence number: {key:?}");
        });
    }
    let deleted = |key: &[u8], sequence: u64| {
        tombstones.iter().any(|t: &RangeTombstone| {
            t.start.as_slice() <= key && key < t.end.as_slice() && sequence < t.sequence
        })
    };
    let mut rows = Rows::new();
    for (key, versions) in versions {
        let (mut base, mut operands) = (None, Vec::new());
        for ((sequence, value_type), value) in versions.into_iter().rev() {
            if deleted(&key, sequence) {
                break;
            }
            match value_type {
                ValueType::Value => base = Some(value),
                ValueType::Merge => {
                    operands.push(value);
                    continue;
                }
                ValueType::Deletion | ValueType::SingleDeletion => {}
                other => panic!("{other:?}"),
            }
            break;
        }
        let parts: Vec<_> = base.into_iter().chain(operands.into_iter().rev()).collect();
        if !parts.is_empty() {
            rows.insert(key, parts.join(delimiter));
        }
    }
    rows
}

struct TableReader<'a> {
    bytes: &'a [u8],
    tail: TableTail,
    global_sequence: Option<u64>,
    decompressor: Decompressor,
}

impl<'a> TableReader<'a> {
    fn new(table: &TableBytes<'a>) -> Self {
        let tail = match TableTail::decode(table.bytes, table.bytes.len() as u64).unwrap() {
            TailStep::Done(tail) => *tail,
            TailStep::NeedBytes { .. } => panic!("all bytes are there"),
        };
        let global_sequence = tail.global_sequence(table.largest_seqno).unwrap();
        let mut reader =
            Self { bytes: table.bytes, tail, global_sequence, decompressor: Decompressor::new() };
        if let Some(handle) = reader.tail.compression_dict() {
            reader.decompressor = Decompressor::with_dictionary(&reader.block(handle));
        }
        reader
    }

    fn block(&mut self, handle: BlockHandle) -> Vec<u8> {
        let stored = StoredBlock::cut(self.bytes, 0, handle).unwrap();
        stored.verify(self.tail.footer.checksum, "a block").unwrap();
        let (version, mut out) = (self.tail.footer.format_version, Vec::new());
        self.decompressor.contents(version, &stored, LIMIT, &mut out).unwrap().to_vec()
    }

    fn tombstones(&mut self) -> Vec<RangeTombstone> {
        let Some(handle) = self.tail.range_del() else { return Vec::new() };
        let contents = self.block(handle);
        RangeTombstone::decode_all(&contents, handle.offset, self.global_sequence).unwrap()
    }

    /// Calls for each entry, with its sequence number.
    fn entries(&mut self, each: &mut impl FnMut(InternalKey<'_>, u64, &[u8])) {
        let format = IndexFormat::of(&self.tail).unwrap();
        let mut blocks = self.index(self.tail.index, format);
        if format.is_partitioned() {
            blocks = blocks.into_iter().flat_map(|partition| self.index(partition, format)).collect();
        }
        for handle in blocks {
            let contents = self.block(handle);
            let mut entries = Block::new(&contents, handle.offset).unwrap().entries();
            while let Some(entry) = entries.next().unwrap() {
                let key = InternalKey::decode(entry.key, entry.offset).unwrap();
                each(key, self.global_sequence.unwrap_or(key.sequence), entry.value);
            }
        }
    }

    fn index(&mut self, handle: BlockHandle, format: IndexFormat) -> Vec<BlockHandle> {
        let contents = self.block(handle);
        let mut entries = IndexBlock::new(&contents, handle.offset, format).unwrap().entries();
        let mut handles = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            handles.push(entry.handle);
        }
        handles
    }
}
