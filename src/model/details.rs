//! What the small files behind the handles say: meta data of backends, and the files of databases.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use statescope_formats::flink::changelog::LoggedState;
use statescope_formats::flink::serializer::SerializerSnapshot;
use statescope_formats::flink::state_meta::{KeyedBackendMeta, OperatorBackendMeta, TimerServices};
use statescope_formats::rocksdb::internal_key::InternalKeyBuf;
use statescope_formats::rocksdb::options::Options;
use statescope_formats::rocksdb::tail::TableTail;

use super::{FileId, Finding, KeyGroupRange};

/// What the small files say.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// Keyed state handles, those inside changelogs included.
    pub keyed: Vec<KeyedDetails>,
    /// Operator state handles.
    pub operator: Vec<OperatorDetails>,
    /// What could not be read, and what is odd.
    pub findings: Vec<Finding>,
}

/// A keyed state handle.
#[derive(Debug, Clone)]
pub struct KeyedDetails {
    /// Index of the operator in the snapshot.
    pub operator: usize,
    /// The subtask.
    pub subtask: u32,
    /// The key groups that the handle covers.
    pub key_groups: KeyGroupRange,
    /// What kind of handle it is.
    pub layout: KeyedLayout,
    /// The backend's meta data; of timers in raw keyed state, what it would be if they were states.
    pub meta: Option<Arc<KeyedBackendMeta>>,
    /// The timers of raw keyed state.
    pub raw_timers: Option<TimerServices>,
    /// The database's files by column family.
    pub database: Option<DatabaseDetails>,
    /// Where the key groups of a stream lie.
    pub stream: Option<StreamDetails>,
    /// The changes since, if it is a part of a changelog with any. All parts of one have the same.
    pub changes: Option<Arc<ChangesDetails>>,
    /// The states of the meta data that only changes describe: the last ones.
    pub only_in_changes: Vec<String>,
}

/// The changes of a changelog.
#[derive(Debug, Default)]
pub struct ChangesDetails {
    /// Sets of changes in their order.
    pub sets: Vec<ChangesPart>,
    /// The files that hold them.
    pub files: BTreeMap<FileId, ChangesFile>,
    /// The states that they describe, as they do last. Those that are not described well enough have no meta data.
    pub states: Vec<LoggedState>,
    /// The serializer of keys, where that is known.
    pub key: Option<SerializerSnapshot>,
    /// Bytes of changes, as recorded.
    pub bytes: u64,
}

/// Some changes of a changelog.
#[derive(Debug, Clone)]
pub enum ChangesPart {
    /// Changes inside `_metadata`, each with its key group, where it is not one of meta data, and its offset.
    Inline(Vec<(Option<u32>, Bytes, u64)>),
    /// A set in a file.
    Set {
        /// The file.
        file: FileId,
        /// Where it lies in the uncompressed bytes behind the file's first; it may end earlier.
        range: Range<u64>,
    },
}

/// A file of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesFile {
    /// Its size in bytes.
    pub size: u64,
    /// Whether all but its first byte is compressed.
    pub compressed: bool,
}

/// A stream of keyed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDetails {
    /// The stream.
    pub file: FileId,
    /// Its size in bytes, as recorded.
    pub size: u64,
    /// The offset of each key group, from the first of the handle's own range on, as recorded.
    pub offsets: Box<[i64]>,
    /// The first of these key groups.
    pub first: u32,
}

/// How a keyed state handle keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyedLayout {
    /// A RocksDB or ForSt database.
    Database,
    /// A stream of the heap backend, or of RocksDB before 1.16.
    Stream,
    /// A stream of a canonical savepoint.
    Canonical,
    /// A stream of raw keyed state.
    Raw,
    /// Changes of a changelog, in key groups of which nothing was materialized.
    Changes,
}

/// A database as its MANIFEST describes it.
#[derive(Debug, Clone, Default)]
pub struct DatabaseDetails {
    /// The live tables, by column family, level and number.
    pub tables: Vec<Table>,
    /// Names of the column families.
    pub column_families: Vec<String>,
    /// The OPTIONS file.
    pub options: Option<Arc<Options>>,
}

/// A live table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Index into [`DatabaseDetails::column_families`].
    pub column_family: usize,
    /// The number in its name.
    pub number: u64,
    /// The level.
    pub level: u32,
    /// The size that MANIFEST says.
    pub size: u64,
    /// The key groups of the smallest and the largest key.
    pub key_groups: Option<(u32, u32)>,
    /// The file, if the handle names it.
    pub file: Option<FileId>,
    /// The boundaries that MANIFEST says, if tails were to be read.
    pub bounds: Option<Box<TableBounds>>,
    /// The tail, if it was read.
    pub tail: Option<Arc<TableTail>>,
}

/// What MANIFEST says of a table's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableBounds {
    /// The smallest key.
    pub smallest: InternalKeyBuf,
    /// The largest key. Where a range tombstone makes the end, it is that exclusive bound.
    pub largest: InternalKeyBuf,
    /// The largest sequence number in it.
    pub largest_sequence: u64,
    /// The oldest blob file that its values lie in.
    pub oldest_blob_file: Option<u64>,
}

/// An operator state handle.
#[derive(Debug, Clone)]
pub struct OperatorDetails {
    /// Index of the operator in the snapshot.
    pub operator: usize,
    /// The subtask.
    pub subtask: u32,
    /// The backend's meta data.
    pub meta: Option<Arc<OperatorBackendMeta>>,
    /// Entries of broadcast states, where the bytes were at hand.
    pub broadcast_entries: BTreeMap<String, u64>,
}
