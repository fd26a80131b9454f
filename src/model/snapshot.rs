//! A snapshot: its operators, their subtasks, the state handles, and the files behind them.

use std::fmt;
use std::sync::Arc;

pub use statescope_formats::flink::metadata::{DistributionMode, KeyGroupRange, Tally};
pub use statescope_formats::flink::operator_id::OperatorId;

/// A checkpoint or savepoint, as its `_metadata` describes it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The version of the `_metadata` format.
    pub metadata_version: i32,
    /// The size of `_metadata` in bytes.
    pub metadata_bytes: u64,
    /// The id of the checkpoint.
    pub checkpoint_id: i64,
    /// What kind of snapshot it is, as far as the file says.
    pub kind: SnapshotKind,
    /// The operators, sorted by id.
    pub operators: Vec<Operator>,
    /// State of master hooks.
    pub master_states: Vec<MasterState>,
    /// What the bytes of `_metadata` are spent on.
    pub tally: Tally,
    /// Every stream that a handle names, once.
    pub files: Vec<StateFile>,
}

/// What kind of snapshot it is. Before metadata version 4 the file does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotKind {
    /// A checkpoint; `full` if it uses no file of an earlier one.
    Checkpoint {
        /// Flink's own name, such as `Full Checkpoint`.
        name: String,
        /// Which files other snapshots may use (`SharingFilesStrategy`).
        sharing: Option<String>,
    },
    /// A savepoint.
    Savepoint {
        /// Flink's own name, such as `Terminate Savepoint`.
        name: String,
        /// `CANONICAL` or `NATIVE`.
        format: Option<String>,
    },
    /// The file does not say (metadata version 2 or 3), or its properties cannot be read.
    Unknown,
}

/// State of a master hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterState {
    /// The hook's name.
    pub name: String,
    /// The version of its serializer.
    pub version: i32,
    /// Bytes of state.
    pub bytes: u64,
}

/// An operator and its state.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The id.
    pub id: OperatorId,
    /// The name, if recorded (metadata version 5 and later).
    pub name: Option<String>,
    /// The uid, if recorded or matched.
    pub uid: Option<String>,
    /// The parallelism.
    pub parallelism: i32,
    /// The number of key groups.
    pub max_parallelism: i32,
    /// State of the operator's coordinator.
    pub coordinator: Option<FileId>,
    /// Whether the whole operator had finished.
    pub fully_finished: bool,
    /// The subtasks, sorted by index.
    pub subtasks: Vec<Subtask>,
}

impl Operator {
    /// How many bytes of a RocksDB key hold the key group.
    #[must_use]
    pub fn key_group_prefix(&self) -> usize {
        if self.max_parallelism > 128 { 2 } else { 1 }
    }
}

impl Operator {
    /// The keys of a database that belong to these key groups: each begins with its key group, big-endian.
    #[must_use]
    pub fn key_bounds(&self, key_groups: KeyGroupRange) -> KeyBounds {
        let width = self.key_group_prefix();
        let bare = |key_group: u64| {
            let bytes = key_group.to_be_bytes();
            let (unused, prefix) = bytes.split_at(bytes.len() - width);
            unused.iter().all(|&byte| byte == 0).then(|| prefix.to_vec())
        };
        let start = u64::from(key_groups.start);
        match bare(start) {
            Some(lower) if key_groups.count > 0 => {
                KeyBounds { lower, upper: bare(start + u64::from(key_groups.count)) }
            }
            _ => KeyBounds { lower: Vec::new(), upper: Some(Vec::new()) },
        }
    }
}

/// A range of keys of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyBounds {
    /// The first key that may belong to it.
    pub lower: Vec<u8>,
    /// The first key behind it; `None` if it has no end.
    pub upper: Option<Vec<u8>>,
}

impl KeyBounds {
    /// Whether a key lies in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.lower.as_slice() && self.upper.as_deref().is_none_or(|upper| key < upper)
    }
}

/// One parallel instance of an operator.
#[derive(Debug, Clone, Default)]
pub struct Subtask {
    /// The index, from 0.
    pub index: u32,
    /// Whether it had finished.
    pub finished: bool,
    /// Managed keyed state.
    pub managed_keyed: Option<KeyedState>,
    /// Raw keyed state.
    pub raw_keyed: Option<KeyedState>,
    /// Managed operator state.
    pub managed_operator: Option<OperatorStateHandle>,
    /// Raw operator state.
    pub raw_operator: Option<OperatorStateHandle>,
    /// In-flight data of input channels.
    pub input_channels: Vec<ChannelState>,
    /// In-flight data of result subpartitions.
    pub result_subpartitions: Vec<ChannelState>,
    /// The checkpoint that this subtask's state comes from, if not this one.
    pub reference_checkpoint_id: Option<i64>,
}

/// The keyed state of one subtask.
#[derive(Debug, Clone)]
pub struct KeyedState {
    /// The key groups that the handle covers.
    pub key_groups: KeyGroupRange,
    /// How the state is kept.
    pub content: KeyedContent,
}

/// How keyed state is kept.
#[derive(Debug, Clone)]
pub enum KeyedContent {
    /// The files of a RocksDB or ForSt database.
    Database(DatabaseHandle),
    /// One stream with an offset for each key group.
    Stream(KeyGroupStream),
    /// A materialized snapshot and the changes since.
    Changelog(Changelog),
    /// Changes kept inside `_metadata`.
    InlineChanges {
        /// The changes, in order.
        changes: Vec<InlineChange>,
        /// Their bytes.
        bytes: u64,
    },
    /// Changes in files.
    ChangeFiles {
        /// The files, with the offset of this handle's changes in each (uncompressed).
        files: Vec<(i64, FileId)>,
        /// Uncompressed bytes of the changes.
        bytes: i64,
        /// The identifier of the changelog storage.
        storage: Option<String>,
    },
}

/// A change inside `_metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InlineChange {
    /// The key group, as recorded: -1 for meta data.
    pub key_group: i32,
    /// Where it begins in `_metadata`.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u32,
}

/// The files of a RocksDB or ForSt database.
#[derive(Debug, Clone)]
pub struct DatabaseHandle {
    /// The checkpoint that made the handle.
    pub checkpoint_id: i64,
    /// The backend instance.
    pub backend_id: Arc<str>,
    /// Bytes newly uploaded for that checkpoint, where recorded and known.
    pub uploaded_bytes: Option<u64>,
    /// The backend's meta data.
    pub meta: Option<FileId>,
    /// The files, shared ones first.
    pub files: Vec<DatabaseFile>,
}

/// A file of a database directory.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    /// The name that RocksDB knows the file by. Most backends use the same ones.
    pub name: Arc<str>,
    /// Whether it stands in the handle's list of shared files.
    pub shared: bool,
    /// Its bytes; `None` for a null handle.
    pub file: Option<FileId>,
}

/// The role of a database file, by the name RocksDB gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseFileKind {
    /// A table: `000012.sst`.
    Sst(u64),
    /// `MANIFEST-000004`.
    Manifest,
    /// `CURRENT`.
    Current,
    /// `OPTIONS-000007`.
    Options,
    /// Anything else.
    Other,
}

impl DatabaseFile {
    /// What kind of file it is.
    #[must_use]
    pub fn kind(&self) -> DatabaseFileKind {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        if let Some(number) = name.strip_suffix(".sst") {
            return number.parse().map_or(DatabaseFileKind::Other, DatabaseFileKind::Sst);
        }
        match name {
            "CURRENT" => DatabaseFileKind::Current,
            _ if name.starts_with("MANIFEST-") => DatabaseFileKind::Manifest,
            _ if name.starts_with("OPTIONS-") => DatabaseFileKind::Options,
            _ => DatabaseFileKind::Other,
        }
    }
}

/// A stream of keyed state with an offset for each key group.
#[derive(Debug, Clone)]
pub struct KeyGroupStream {
    /// Whether the handle is one of a canonical savepoint.
    pub canonical: bool,
    /// The offset of each key group of the handle's range, as recorded.
    pub offsets: Box<[i64]>,
    /// The stream.
    pub stream: FileId,
}

/// A materialized snapshot and the changes since.
#[derive(Debug, Clone)]
pub struct Changelog {
    /// The materialized state.
    pub materialized: Vec<KeyedState>,
    /// The changes since, in order.
    pub deltas: Vec<KeyedState>,
    /// The id of the materialization.
    pub materialization_id: i64,
}

/// The operator state of one subtask.
#[derive(Debug, Clone)]
pub struct OperatorStateHandle {
    /// The states.
    pub states: Vec<OperatorStatePartitions>,
    /// The stream; `None` where there is no state.
    pub stream: Option<FileId>,
}

/// One named operator state of a subtask.
#[derive(Debug, Clone)]
pub struct OperatorStatePartitions {
    /// The name; `_default_` for raw operator state.
    pub name: Arc<str>,
    /// How it is distributed.
    pub mode: DistributionMode,
    /// The offset of each element in the stream, or of the whole map for broadcast state.
    pub offsets: Box<[i64]>,
}

/// In-flight data of an unaligned checkpoint: of one channel, or of several that a merged handle lists.
#[derive(Debug, Clone)]
pub struct ChannelState {
    /// The channels.
    pub channels: Vec<Channel>,
    /// Bytes of buffers with their lengths.
    pub bytes: u64,
    /// The stream; several handles may share one.
    pub stream: Option<FileId>,
}

/// A channel with in-flight data.
#[derive(Debug, Clone)]
pub struct Channel {
    /// The input gate, or the result partition.
    pub gate: i32,
    /// The channel of the gate, or the subpartition.
    pub channel: i32,
    /// Bytes of its buffers with their lengths.
    pub bytes: u64,
    /// Where its buffers begin in the stream, in the order of delivery.
    pub offsets: Box<[i64]>,
}

impl ChannelState {
    /// How many buffers.
    #[must_use]
    pub fn buffers(&self) -> u64 {
        self.channels.iter().map(|channel| channel.offsets.len() as u64).sum()
    }
}

/// An index into [`Snapshot::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A stream of bytes that one or more handles name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// Where its bytes lie.
    pub place: Place,
    /// Its size in bytes, as recorded. For files of a changelog the uncompressed size.
    pub size: u64,
    /// What it is to the snapshot.
    pub role: FileRole,
    /// How many handles name it.
    pub uses: u32,
}

/// Where the bytes of a state file lie, as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// Inside `_metadata`, at this offset. The name looks like a path, but no such object exists.
    Inline {
        /// Where the bytes begin in `_metadata`.
        offset: u64,
        /// The name of the handle.
        name: Box<str>,
    },
    /// An object named by its URI.
    Uri(Box<str>),
    /// An object beside `_metadata`, by its path relative to the directory of `_metadata`.
    Relative(Box<str>),
    /// A part of a merged file.
    Segment {
        /// The URI of the physical file.
        uri: Box<str>,
        /// Where the segment begins.
        start: u64,
    },
    /// A segment without bytes.
    Empty,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { offset, .. } => write!(f, "_metadata (inlined at offset {offset})"),
            Self::Uri(uri) => f.write_str(uri),
            Self::Relative(path) => f.write_str(path),
            Self::Segment { uri, start } => write!(f, "{uri} (segment at {start})"),
            Self::Empty => f.write_str("an empty segment"),
        }
    }
}

/// What a state file is to the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRole {
    /// A RocksDB table.
    Sst,
    /// `CURRENT`, `MANIFEST` or `OPTIONS`, or another file of a database that is no table.
    DatabaseMeta,
    /// Meta data of a keyed backend.
    BackendMeta,
    /// A stream of keyed state.
    KeyedStream,
    /// A stream of raw keyed state.
    RawKeyedStream,
    /// A file of a changelog.
    Changelog,
    /// A stream of operator state.
    OperatorStream,
    /// In-flight data.
    Channel,
    /// State of a coordinator.
    Coordinator,
}

impl FileRole {
    /// Whether it may be large, and is read part by part.
    #[must_use]
    pub fn is_read_in_parts(self) -> bool {
        matches!(self, Self::Sst | Self::KeyedStream | Self::RawKeyedStream | Self::Changelog | Self::Channel)
    }

    /// The role as it stands in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sst => "sst",
            Self::DatabaseMeta => "database_meta",
            Self::BackendMeta => "backend_meta",
            Self::KeyedStream => "keyed_stream",
            Self::RawKeyedStream => "raw_keyed_stream",
            Self::Changelog => "changelog",
            Self::OperatorStream => "operator_stream",
            Self::Channel => "channel",
            Self::Coordinator => "coordinator",
        }
    }
}

/// Where a file stands in Flink's layout, told by its recorded place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Inside `_metadata`.
    Inlined,
    /// In the snapshot's own directory.
    Exclusive,
    /// Below a `shared` directory.
    Shared,
    /// Below a `taskowned` directory.
    TaskOwned,
    /// Somewhere else: another snapshot's directory, a changelog's base path, an entropy prefix.
    Elsewhere,
}

impl Snapshot {
    /// A file by its id.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&StateFile> {
        self.files.get(id.0 as usize)
    }
}

impl KeyedState {
    /// Calls `visit` for this handle and, for a changelog, for every handle inside it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        if let KeyedContent::Changelog(log) = &self.content {
            for inner in log.materialized.iter().chain(&log.deltas) {
                inner.walk(visit);
            }
        }
    }

    /// The databases in this handle, those inside a changelog included.
    #[must_use]
    pub fn databases(&self) -> Vec<(&Self, &DatabaseHandle)> {
        let mut found = Vec::new();
        self.walk(&mut |state| {
            if let KeyedContent::Database(database) = &state.content {
                found.push((state, database));
            }
        });
        found
    }

    /// The files that this handle names, those inside a changelog included; a file may come twice.
    #[must_use]
    pub fn files(&self) -> Vec<FileId> {
        let mut files = Vec::new();
        self.walk(&mut |state| match &state.content {
            KeyedContent::Database(db) => {
                files.extend(db.meta);
                files.extend(db.files.iter().filter_map(|f| f.file));
            }
            KeyedContent::Stream(stream) => files.push(stream.stream),
            KeyedContent::ChangeFiles { files: streams, .. } => {
                files.extend(streams.iter().map(|(_, file)| *file));
            }
            KeyedContent::Changelog(_) | KeyedContent::InlineChanges { .. } => {}
        });
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(max_parallelism: i32, start: u32, count: u32) -> (Vec<u8>, Option<Vec<u8>>) {
        let operator = Operator {
            id: OperatorId::from_uid("x"),
            name: None,
            uid: None,
            parallelism: 1,
            max_parallelism,
            coordinator: None,
            fully_finished: false,
            subtasks: Vec::new(),
        };
        let KeyBounds { lower, upper } = operator.key_bounds(KeyGroupRange { start, count });
        (lower, upper)
    }

    #[test]
    fn bounds_of_keys_are_bare_key_groups() {
        assert_eq!(bounds(128, 0, 64), (vec![0], Some(vec![64])));
        assert_eq!(bounds(128, 64, 64), (vec![64], Some(vec![128])));
        assert_eq!(bounds(512, 0, 256), (vec![0, 0], Some(vec![1, 0])));
        assert_eq!(bounds(32768, 32767, 1), (vec![0x7f, 0xff], Some(vec![0x80, 0])));
    }

    #[test]
    fn key_groups_that_no_key_can_begin_with_bound_nothing() {
        let nothing = (vec![], Some(vec![]));
        assert_eq!(bounds(128, 3, 0), nothing);
        assert_eq!(bounds(128, 256, 1), nothing);
        assert_eq!(bounds(512, u32::MAX, u32::MAX), nothing);
        // An end that has no bytes of its own is none.
        assert_eq!(bounds(128, 128, 128), (vec![128], None));
        assert_eq!(bounds(512, 1, u32::MAX), (vec![0, 1], None));
    }

    #[test]
    fn bounds_contain_what_lies_between() {
        let bounds = KeyBounds { lower: vec![1], upper: Some(vec![3]) };
        assert!(!bounds.contains(&[0, 9]) && bounds.contains(&[1]) && bounds.contains(&[2, 255]));
        assert!(!bounds.contains(&[3]) && !bounds.contains(&[]));
        assert!(KeyBounds::default().contains(&[]) && KeyBounds::default().contains(&[255; 9]));
    }
}
