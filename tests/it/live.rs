//! What of a database is live: the question that is put to several who answer it, and the simplest answer.

#[path = "../../benches/support/snapshot.rs"]
pub mod snapshot;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use snapshot::Sample;
use statescope::analyzers::analysis::Spill;
use statescope::lsm::LiveSink;
use statescope::model::KeyBounds;
use statescope::readers::snapshot::SnapshotReading;
use statescope::scan::{Input, Progress, Scan, ScanOptions};
use statescope::storage::{LocalStorage, Location};
use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::current::Current;
use statescope_formats::rocksdb::handle::BlockHandle;
use statescope_formats::rocksdb::index::{IndexBlock, IndexFormat};
use statescope_formats::rocksdb::internal_key::{InternalKey, InternalKeyBuf, ValueType};
use statescope_formats::rocksdb::manifest::{FileMetaData, Version};
use statescope_formats::rocksdb::range_del::RangeTombstone;
use statescope_formats::rocksdb::tail::{TableTail, TailStep};

/// Who can say which rows of a column family are live.
pub trait LiveView {
    /// Calls `each` with every live row whose key lies in the bounds, in the order of keys.
    fn for_each(
        &self,
        directory: &Path,
        column_family: &str,
        bounds: &KeyBounds,
        each: &mut dyn FnMut(&[u8], &[u8]),
    );
}

/// The live tables and the column families of a database directory.
pub fn version(directory: &Path) -> Version {
    let read = |name: &str| fs::read(directory.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let current = read("CURRENT");
    Version::replay(&read(Current::decode(&current).unwrap().manifest)).unwrap()
}

/// The first difference between two views of a column family, in words; the number of rows if there is none.
pub fn compare(
    ours: &dyn LiveView,
    theirs: &dyn LiveView,
    directory: &Path,
    column_family: &str,
    bounds: &KeyBounds,
) -> Result<usize, String> {
    let mut expected = Vec::new();
    theirs.for_each(directory, column_family, bounds, &mut |key, value| {
        expected.push((key.to_vec(), value.to_vec()));
    });
    let (mut at, mut difference) = (0, None);
    ours.for_each(directory, column_family, bounds, &mut |key, value| {
        let same = expected.get(at).is_some_and(|row| row.0 == key && row.1 == value);
        if !same && difference.is_none() {
            let short = |bytes: &[u8]| format!("{:02x?}", &bytes[..bytes.len().min(48)]);
            let row = |key: &[u8], value: &[u8]| format!("{} = {}", short(key), short(value));
            let theirs = expected.get(at).map_or_else(|| "the end".to_owned(), |(k, v)| row(k, v));
            difference =
                Some(format!("{column_family}, row {at}: we say {}, they say {theirs}", row(key, value)));
        }
        at += 1;
    });
    match difference {
        Some(difference) => Err(difference),
        None if at != expected.len() => {
            Err(format!("{column_family}: we see {at} rows, they see {}", expected.len()))
        }
        None => Ok(at),
    }
}

/// Our scan of a snapshot that is made of the directory; bounds must be those of key groups.
#[derive(Debug, Clone, Copy)]
pub struct Scanned;

/// Rows of a state, as they come.
#[derive(Debug, Default)]
struct Collected {
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    key: Vec<u8>,
    parts: Vec<Vec<u8>>,
}

impl LiveSink for Collected {
    fn put(&mut self, key: &[u8], shared: usize, value: &[u8], _: u32) -> u64 {
        self.begin(key, shared);
        self.part(value, true, 0);
        self.end();
        0
    }

    fn begin(&mut self, key: &[u8], shared: usize) {
        let last = self.rows.last().map_or(&[][..], |row| &row.0);
        let common = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        assert_eq!(shared, common, "what {key:02x?} shares with {last:02x?}");
        self.key = key.to_vec();
    }

    fn part(&mut self, value: &[u8], _: bool, _: u32) -> u64 {
        self.parts.push(value.to_vec());
        0
    }

    fn end(&mut self) {
        self.parts.reverse();
        self.rows.push((std::mem::take(&mut self.key), self.parts.join(&b',')));
        self.parts.clear();
    }

    fn not_understood(&mut self, key: &[u8], _: usize, _: u32) {
        panic!("{key:02x?} is not understood");
    }
}

impl LiveView for Scanned {
    fn for_each(
        &self,
        directory: &Path,
        column_family: &str,
        bounds: &KeyBounds,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        let max_parallelism = if bounds.lower.len() == 1 { 128 } else { 32768 };
        let group = |key: &[u8]| key.iter().fold(0, |group, byte| group << 8 | u32::from(*byte));
        let upper = bounds.upper.as_deref().expect("an end");
        Sample::read().write(directory, max_parallelism, group(&bounds.lower)..group(upper));
        let storage = LocalStorage::new();
        let reading = super::scan::read(&storage, &Location::from_local_path(directory).unwrap());
        let SnapshotReading { details, findings, .. } = &reading;
        assert!(findings.is_empty() && details.findings.is_empty(), "{findings:?}, {:?}", details.findings);
        let rows = scanned(&storage, &reading, &|_, name| name == column_family);
        rows.iter().for_each(|(key, value)| each(key, value));
    }
}

/// Rows, each with its composite key and its value.
pub type AllRows = Vec<(Vec<u8>, Vec<u8>)>;

/// The live rows of the states for which `select` answers yes, in the order of their keys within each handle.
pub fn scanned(
    storage: &LocalStorage,
    reading: &SnapshotReading,
    select: &dyn Fn(usize, &str) -> bool,
) -> AllRows {
    let (rows, lost) = scanned_in_part(storage, reading, select);
    assert!(lost.is_empty(), "{lost:?}");
    rows
}

/// The same, and what could not be read.
pub fn scanned_in_part(
    storage: &LocalStorage,
    reading: &SnapshotReading,
    select: &dyn Fn(usize, &str) -> bool,
) -> (AllRows, Vec<String>) {
    let SnapshotReading { snapshot, details, tables, .. } = reading;
    let settings = super::scan::settings();
    let scan = Scan::plan(Input { snapshot, details, tables, settings: &settings }, select);
    let options = ScanOptions { threads: 2, memory: 64 << 20, requests: 8, checksums: true };
    let all = Mutex::new(Vec::new());
    let spill = || -> Box<dyn Spill> { Box::new(super::scan::NoSpill) };
    let done = |sink: Collected| {
        assert!(sink.rows.is_sorted_by(|a, b| a.0 < b.0));
        all.lock().unwrap().push(sink.rows);
    };
    let lost = scan.rows(storage, options, &Progress::default(), &spill, &|_| Collected::default(), &done);
    let mut all = all.into_inner().unwrap();
    // Splits are done in any order.
    all.sort();
    (all.into_iter().flatten().collect(), lost)
}

/// All versions of all keys in memory, sorted; nothing clever at all.
#[derive(Debug, Clone, Copy)]
pub struct Naive;

impl LiveView for Naive {
    fn for_each(
        &self,
        directory: &Path,
        column_family: &str,
        bounds: &KeyBounds,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        let version = version(directory);
        let Some(family) = version.live_column_families().find(|family| family.name == column_family) else {
            panic!("no column family {column_family:?}")
        };
        let mut versions: BTreeMap<Vec<u8>, Vec<(InternalKeyBuf, Vec<u8>)>> = BTreeMap::new();
        let mut tombstones = Vec::new();
        for live in family.files.values() {
            let bytes = fs::read(directory.join(format!("{:06}.sst", live.file.number))).unwrap();
            let (entries, deleted) = table(&bytes, &live.file);
            for (key, value) in entries {
                versions.entry(key.user_key.clone()).or_default().push((key, value));
            }
            tombstones.extend(deleted.into_iter().map(|tombstone| (tombstone, &live.file)));
        }
        for (user_key, mut entries) in versions {
            if !bounds.contains(&user_key) {
                continue;
            }
            entries.sort_by_key(|(key, _)| Reverse((key.sequence, key.value_type as u8)));
            let is_deleted = |key: &InternalKeyBuf| {
                tombstones.iter().any(|(tombstone, file)| {
                    tombstone.start <= user_key
                        && user_key < tombstone.end
                        && key.sequence < tombstone.sequence
                        && lies_in(key, file)
                })
            };
            let mut operands: Vec<&[u8]> = Vec::new();
            let mut found = false;
            for (key, value) in &entries {
                match key.value_type {
                    _ if is_deleted(key) => break,
                    ValueType::Deletion | ValueType::SingleDeletion => break,
                    ValueType::Merge => {
                        operands.push(value);
                        found = true;
                    }
                    ValueType::Value => {
                        operands.push(value);
                        found = true;
                        break;
                    }
                    other => panic!("{other:?} in a data block"),
                }
            }
            if found {
                operands.reverse();
                each(&user_key, &operands.join(&b','));
            }
        }
    }
}

/// Whether an entry lies within a table's boundaries: its range tombstones reach no farther.
fn lies_in(key: &InternalKeyBuf, file: &FileMetaData) -> bool {
    let order = |key: &InternalKeyBuf| (key.user_key.clone(), Reverse((key.sequence, key.value_type as u8)));
    order(&file.smallest) <= order(key) && order(key) <= order(&file.largest)
}

/// All entries and range tombstones of a table.
fn table(bytes: &[u8], file: &FileMetaData) -> (Vec<(InternalKeyBuf, Vec<u8>)>, Vec<RangeTombstone>) {
    let TailStep::Done(tail) = TableTail::decode(bytes, bytes.len() as u64).unwrap() else {
        panic!("all bytes are there")
    };
    let global = tail.global_sequence(file.largest_seqno).unwrap();
    let read = |decompressor: &mut Decompressor, handle: BlockHandle| -> Vec<u8> {
        let stored = StoredBlock::cut(bytes, 0, handle).unwrap();
        stored.verify(tail.footer.checksum, "a block").unwrap();
        let mut out = Vec::new();
        decompressor.contents(tail.footer.format_version, &stored, 1 << 30, &mut out).unwrap().to_vec()
    };
    let mut plain = Decompressor::new();
    let deleted = tail.range_del().map_or_else(Vec::new, |at| {
        RangeTombstone::decode_all(&read(&mut plain, at), at.offset, global).unwrap()
    });
    let mut with_dictionary = match tail.compression_dict() {
        Some(at) => Decompressor::with_dictionary(&read(&mut plain, at)),
        None => Decompressor::new(),
    };
    let format = IndexFormat::of(&tail).unwrap();
    let mut handles = vec![tail.index];
    for _ in 0..=usize::from(format.is_partitioned()) {
        let mut below = Vec::new();
        for at in handles {
            let contents = read(&mut plain, at);
            let index = IndexBlock::new(&contents, at.offset, format).unwrap();
            let mut entries = index.entries();
            while let Some(entry) = entries.next().unwrap() {
                below.push(entry.handle);
            }
        }
        handles = below;
    }
    let mut found = Vec::new();
    for at in handles {
        let contents = read(&mut with_dictionary, at);
        let mut entries = Block::new(&contents, at.offset).unwrap().entries();
        while let Some(entry) = entries.next().unwrap() {
            let mut key = InternalKey::decode(entry.key, entry.offset).unwrap().to_buf();
            key.sequence = global.unwrap_or(key.sequence);
            found.push((key, entry.value.to_vec()));
        }
    }
    (found, deleted)
}
