//! The result of `inspect SNAPSHOT`. Its serialized form is the JSON output, described field by
//! field in `docs/json.md`; a change here is a change of that interface.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::analyzers::channels::InFlightData;
use crate::model::{Finding, Places, Scope};

/// What a snapshot holds.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// The snapshot itself.
    pub snapshot: SnapshotSummary,
    /// Sums over the whole snapshot; filters do not change them.
    pub totals: Totals,
    /// The filters given, if any: `states` and `operators` below are then a selection.
    pub filter: Filter,
    /// Every state of every operator, largest first; those of unknown size stand where their bound puts them.
    pub states: Vec<StateSummary>,
    /// Every operator, largest first.
    pub operators: Vec<OperatorSummary>,
    /// In-flight data as far as it was read; none if it was not asked for.
    pub in_flight: Option<InFlightData>,
    /// State of master hooks (such as those of Pravega sources); opaque bytes.
    pub master_states: Vec<MasterStateSummary>,
    /// The files behind the state.
    pub files: FilesSummary,
    /// What `_metadata` spends its own bytes on.
    pub metadata: MetadataSpend,
    /// Where the files that were read were found.
    pub places: Places,
    /// Problems in the data.
    pub findings: Vec<Finding>,
}

/// The snapshot itself.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotSummary {
    /// The directory that holds `_metadata`.
    pub location: String,
    /// `checkpoint`, `savepoint` or `unknown`.
    pub kind: &'static str,
    /// `full` or `incremental` for checkpoints, `canonical` or `native` for savepoints, where known.
    pub format: Option<String>,
    /// How `format` is known.
    pub format_evidence: Option<&'static str>,
    /// Flink's own name of the kind, such as `Full Checkpoint`.
    pub type_name: Option<String>,
    /// Which files other snapshots may use, as recorded (`SharingFilesStrategy`).
    pub sharing_files_strategy: Option<String>,
    /// The checkpoint's id.
    pub checkpoint_id: i64,
    /// The version of the `_metadata` format.
    pub metadata_version: i32,
    /// The Flink versions that write it.
    pub written_by: &'static str,
    /// The size of `_metadata` in bytes.
    pub metadata_bytes: u64,
    /// When `_metadata` was last modified, in milliseconds since 1970: the time of completion unless the
    /// file was copied.
    pub completed_at_ms: Option<i64>,
    /// What `completed_at_ms` is.
    pub completed_at_evidence: &'static str,
    /// The job id, if the directory tells it.
    pub job_id: Option<String>,
    /// The backends seen: `rocksdb`, `forst`, `changelog`, `canonical` (any backend wrote it), and
    /// `heap_or_full_stream` (the heap backend, or RocksDB before 1.16 without increments).
    pub backends: Vec<&'static str>,
}

/// Sums over a whole snapshot.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    /// Bytes of state; an object named several times counts once.
    pub state_bytes: u64,
    /// The same by kind.
    pub by_kind: KindBytes,
    /// Bytes newly uploaded for this checkpoint, where handles record it.
    pub uploaded_bytes: Option<u64>,
    /// Operators in the snapshot.
    pub operators: usize,
    /// Operators without any state.
    pub stateless_operators: usize,
    /// Subtasks in the snapshot.
    pub subtasks: usize,
    /// Named states (timers and operator state included).
    pub states: usize,
    /// States that are asked for a TTL.
    pub states_asked_for_ttl: usize,
    /// Of these, states whose entries carry a TTL timestamp.
    pub states_with_ttl: usize,
    /// States that pass through Kryo.
    pub states_with_kryo: usize,
    /// State handles of subtasks.
    pub handles: usize,
}

/// Bytes by kind of state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KindBytes {
    /// Managed keyed state with its meta data.
    pub keyed: u64,
    /// Raw keyed state.
    pub raw_keyed: u64,
    /// Managed operator state.
    pub operator: u64,
    /// Raw operator state.
    pub raw_operator: u64,
    /// In-flight data of unaligned checkpoints.
    pub in_flight: u64,
    /// State of coordinators.
    pub coordinator: u64,
}

impl KindBytes {
    /// All bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { keyed, raw_keyed, operator, raw_operator, in_flight, coordinator } = self;
        [keyed, raw_keyed, operator, raw_operator, in_flight, coordinator]
            .into_iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }
}

/// State of a master hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MasterStateSummary {
    /// The hook's name.
    pub name: String,
    /// The version of its serializer.
    pub version: i32,
    /// Bytes of state.
    pub bytes: u64,
}

/// The selection that was asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Filter {
    /// Only operators whose name, uid or id holds this text.
    pub operator: Option<String>,
    /// Only states whose name holds this text.
    pub state: Option<String>,
}

/// One state of one operator.
#[derive(Debug, Clone, Serialize)]
pub struct StateSummary {
    /// The operator's id.
    pub operator_id: String,
    /// The operator's name, uid or id: the first that is known.
    pub operator: String,
    /// The state's name.
    pub name: String,
    /// `value`, `list`, `map`, `reducing`, `aggregating`, `folding`, `timers`, `operator_list`,
    /// `operator_union`, `broadcast`, `raw_keyed`, `raw_operator`; `keyed` where the kind is not recorded,
    /// `not_described` for a column family of which no meta data tells, `changes` for the changes of a
    /// changelog, which are not decoded.
    pub kind: &'static str,
    /// The state's type in readable form.
    pub type_text: String,
    /// Whether the state is asked for a TTL: keyed state of the user is; timers, contents of windows,
    /// sets of merging windows and operator state are not.
    pub ttl_asked: bool,
    /// Whether entries carry a TTL timestamp; absent where that is not known, and for timers.
    pub ttl: Option<bool>,
    /// Where the state passes through Kryo; empty if nowhere.
    pub kryo: Vec<KryoUse>,
    /// Serializers that could not be decoded, by class and path.
    pub opaque: Vec<OpaqueUse>,
    /// The serializers.
    pub serializers: Vec<SerializerSummary>,
    /// On-disk bytes of the state's files (physical view); absent where the format does not tell
    /// without reading data.
    pub bytes: Option<u64>,
    /// Where `bytes` is absent: what it cannot exceed, the keyed state of its operator. States of unknown
    /// size are sorted by it.
    pub bytes_at_most: Option<u64>,
    /// How many SST files.
    pub sst_files: Option<u64>,
    /// By level of the LSM tree.
    pub levels: Vec<LevelBytes>,
    /// By subtask.
    pub subtasks: Vec<StateOfSubtask>,
    /// Elements of operator state, entries of broadcast state, where counted.
    pub elements: Option<u64>,
    /// What the OPTIONS files say of the state's column family.
    pub options: Option<ColumnFamilyOptions>,
    /// Figures from the properties of the SST files (`--properties`).
    pub properties: Option<PropertySums>,
}

/// Where Kryo is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KryoUse {
    /// The path in the serializer tree, such as `value.items.element`.
    pub path: String,
    /// The class that is serialized.
    pub class: String,
    /// Whether it lies in a subclass only, so that values may or may not hold it.
    pub in_subclass: bool,
}

/// A serializer that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpaqueUse {
    /// The path in the serializer tree.
    pub path: String,
    /// The class of the serializer's snapshot.
    pub class: String,
}

/// A serializer of a state.
#[derive(Debug, Clone, Serialize)]
pub struct SerializerSummary {
    /// `key`, `namespace`, `value` or `user_key`; `key_by` for the key of the operator.
    pub role: String,
    /// In readable form.
    pub text: String,
    /// The whole tree.
    pub tree: SerializerNode,
}

/// A node of a serializer tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SerializerNode {
    /// The class of the serializer snapshot, as recorded.
    pub snapshot_class: String,
    /// The version of the snapshot, as recorded.
    pub version: i32,
    /// The type in readable form.
    pub text: String,
    /// What the snapshot says besides its children.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'static str, String>,
    /// The serializers inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<SerializerChild>,
}

/// A serializer inside another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SerializerChild {
    /// What it is for: `key`, `element`, a field's name.
    pub edge: String,
    /// Whether it is a subclass, which is not part of the declared type.
    pub subclass: bool,
    /// The serializer.
    pub node: SerializerNode,
}

/// Files and bytes of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LevelBytes {
    /// The level.
    pub level: u32,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The part of a state that lies with one subtask.
#[derive(Debug, Clone, Serialize)]
pub struct StateOfSubtask {
    /// The subtask.
    pub subtask: u32,
    /// On-disk bytes, where known.
    pub bytes: Option<u64>,
    /// SST files, where known.
    pub files: Option<u64>,
    /// By level.
    pub levels: Vec<LevelBytes>,
    /// The key groups that the subtask's handle covers (first, last).
    pub key_groups: Option<(u32, u32)>,
    /// The key groups that the files hold by their smallest and largest keys (first, last); wider than
    /// `key_groups` after a rescaling.
    pub key_groups_in_files: Option<(u32, u32)>,
    /// Elements of operator state.
    pub elements: Option<u64>,
    /// The SST files.
    pub sst: Vec<SstSummary>,
}

/// One SST file.
#[derive(Debug, Clone, Serialize)]
pub struct SstSummary {
    /// The name that RocksDB knows it by.
    pub name: String,
    /// The level.
    pub level: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// Key groups by its smallest and largest keys (first, last).
    pub key_groups: Option<(u32, u32)>,
    /// The recorded place.
    pub place: String,
    /// From the file's tail (`--properties`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<SstProperties>,
}

/// What the properties block of an SST says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SstProperties {
    /// Entries of all versions, tombstones included.
    pub entries: u64,
    /// Tombstones, range tombstones included.
    pub deletions: u64,
    /// Merge operands.
    pub merge_operands: u64,
    /// Range tombstones.
    pub range_deletions: u64,
    /// Raw bytes of keys.
    pub raw_key_bytes: u64,
    /// Raw bytes of values.
    pub raw_value_bytes: u64,
    /// On-disk bytes of data blocks.
    pub data_bytes: u64,
    /// On-disk bytes of index blocks.
    pub index_bytes: u64,
    /// On-disk bytes of filter blocks.
    pub filter_bytes: u64,
    /// Data blocks.
    pub data_blocks: u64,
    /// The compression, as RocksDB names it.
    pub compression: String,
    /// The table's format version.
    pub format_version: u32,
    /// The kind of block checksums.
    pub checksum: String,
    /// The kind of index.
    pub index_type: Option<String>,
    /// When the file was created, in seconds since 1970; 0 if unknown.
    pub file_creation_time: u64,
}

/// Sums over the properties of a state's SST files (physical view).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PropertySums {
    /// Files whose tail was read.
    pub files: u64,
    /// Entries of all versions, tombstones included.
    pub entries: u64,
    /// Tombstones, range tombstones included.
    pub deletions: u64,
    /// Merge operands.
    pub merge_operands: u64,
    /// Range tombstones.
    pub range_deletions: u64,
    /// Raw bytes of keys.
    pub raw_key_bytes: u64,
    /// Raw bytes of values.
    pub raw_value_bytes: u64,
    /// On-disk bytes of data blocks.
    pub data_bytes: u64,
    /// On-disk bytes of index blocks.
    pub index_bytes: u64,
    /// On-disk bytes of filter blocks.
    pub filter_bytes: u64,
    /// By compression.
    pub compression: Vec<CompressionBytes>,
}

/// Files of one compression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompressionBytes {
    /// The compression, as RocksDB names it.
    pub name: String,
    /// How many files.
    pub files: u64,
    /// Their on-disk data bytes.
    pub data_bytes: u64,
}

/// What OPTIONS says of a column family.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ColumnFamilyOptions {
    /// The compaction filter. Flink installs one for every TTL state; whether it is at work is not said.
    pub compaction_filter_factory: Option<String>,
    /// The merge operator.
    pub merge_operator: Option<String>,
    /// The compression.
    pub compression: Option<String>,
    /// The compression by level, where set.
    pub compression_per_level: Option<String>,
    /// The style of compaction.
    pub compaction_style: Option<String>,
    /// Seconds after which a file is compacted again.
    pub periodic_compaction_seconds: Option<String>,
    /// The target size of files in bytes.
    pub target_file_size_base: Option<String>,
    /// The size of a write buffer in bytes.
    pub write_buffer_size: Option<String>,
}

/// One operator.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorSummary {
    /// The id.
    pub id: String,
    /// The name, if recorded.
    pub name: Option<String>,
    /// The uid, if recorded or matched.
    pub uid: Option<String>,
    /// How the uid is known: `recorded` or `matched` (`--uids`).
    pub uid_evidence: Option<&'static str>,
    /// The parallelism.
    pub parallelism: i32,
    /// The number of key groups.
    pub max_parallelism: i32,
    /// Whether the whole operator had finished.
    pub fully_finished: bool,
    /// Subtasks that had finished.
    pub finished_subtasks: usize,
    /// The backend of managed keyed state.
    pub backend: Option<&'static str>,
    /// The key's type.
    pub key_type: Option<String>,
    /// Bytes of state; an object named by several subtasks counts once.
    pub bytes: u64,
    /// The same by kind.
    pub by_kind: KindBytes,
    /// Bytes in objects that several subtasks of this operator name.
    pub bytes_shared_between_subtasks: u64,
    /// Distinct streams, inlined ones included.
    pub files: u64,
    /// Named states.
    pub states: usize,
    /// The coordinator's state in bytes.
    pub coordinator_bytes: Option<u64>,
    /// By subtask.
    pub subtasks: Vec<SubtaskSummary>,
}

/// One subtask of an operator.
#[derive(Debug, Clone, Serialize)]
pub struct SubtaskSummary {
    /// The index, from 0.
    pub subtask: u32,
    /// Whether it had finished.
    pub finished: bool,
    /// The key groups of its keyed state (first, last).
    pub key_groups: Option<(u32, u32)>,
    /// The layout of its keyed state: `database`, `stream`, `canonical`, `changelog`, or
    /// `changes` for a changelog's changes alone.
    pub keyed_layout: Option<&'static str>,
    /// Bytes of state that it names.
    pub bytes: u64,
    /// The same by kind.
    pub by_kind: KindBytes,
    /// Distinct streams.
    pub files: u64,
    /// Channels with in-flight data.
    pub in_flight_channels: u64,
    /// The checkpoint that its state comes from, if not this one.
    pub reference_checkpoint_id: Option<i64>,
    /// Its state handles with every file they name; only in JSON output.
    pub handles: Vec<HandleSummary>,
}

/// A state handle.
#[derive(Debug, Clone, Default, Serialize)]
pub struct HandleSummary {
    /// `managed_keyed`, `raw_keyed`, `managed_operator`, `raw_operator`, `input_channel` or
    /// `result_subpartition`.
    pub kind: &'static str,
    /// Of keyed state: `database`, `stream`, `canonical`, `changelog`, or `changes` inside a changelog.
    pub layout: Option<&'static str>,
    /// Of keyed state: the key groups (first, last).
    pub key_groups: Option<(u32, u32)>,
    /// Of a database: the checkpoint that made the handle; older than the snapshot's where it was
    /// taken over.
    pub checkpoint_id: Option<i64>,
    /// Of a database: the backend instance.
    pub backend_id: Option<String>,
    /// Of a database: bytes newly uploaded for its checkpoint.
    pub uploaded_bytes: Option<u64>,
    /// Of a changelog: the id of its materialization. The handles inside follow this one.
    pub materialization_id: Option<i64>,
    /// Of a changelog: recorded bytes of the files of its materialization.
    pub materialized_bytes: Option<u64>,
    /// Of changes in files: the identifier of the changelog storage.
    pub changelog_storage: Option<String>,
    /// Of changes inside `_metadata`: how many.
    pub changes: Option<u64>,
    /// Of changes in files: how many sets of them.
    pub change_sets: Option<u64>,
    /// Of in-flight data: how many channels.
    pub channels: Option<u64>,
    /// Of in-flight data: how many buffers.
    pub buffers: Option<u64>,
    /// Of changes and in-flight data: the handle's own bytes; its files may be shared.
    pub bytes: Option<u64>,
    /// The files.
    pub files: Vec<HandleFile>,
    /// Names of database files without a stream.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub null_files: Vec<String>,
}

/// A file that a handle names.
#[derive(Debug, Clone, Serialize)]
pub struct HandleFile {
    /// The role, as in `files.by_role`.
    pub role: &'static str,
    /// The name that RocksDB knows it by.
    pub name: Option<String>,
    /// The recorded place.
    pub place: String,
    /// The recorded size in bytes.
    pub bytes: u64,
    /// Of database files: whether it stands in the handle's list of shared files.
    pub in_shared_list: Option<bool>,
    /// How many handles name it.
    pub named_by: u32,
}

/// The files behind the state.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FilesSummary {
    /// Objects outside `_metadata`; segments of one merged file are one object.
    pub objects: u64,
    /// Bytes of state in objects.
    pub object_bytes: u64,
    /// Streams kept inside `_metadata`.
    pub inlined: u64,
    /// Their bytes.
    pub inlined_bytes: u64,
    /// Segments of merged files.
    pub segments: u64,
    /// Streams named by more than one handle.
    pub named_more_than_once: u64,
    /// By scope.
    pub by_scope: Vec<ScopeBytes>,
    /// By role.
    pub by_role: Vec<RoleBytes>,
    /// By size.
    pub by_size: Vec<SizeBucket>,
    /// Objects smaller than `small_threshold`.
    pub small: u64,
    /// What counts as small, in bytes.
    pub small_threshold: u64,
    /// The smallest object.
    pub smallest: Option<u64>,
    /// The largest object.
    pub largest: Option<u64>,
    /// Objects that lie in directories of other jobs.
    pub other_jobs: Vec<OtherJob>,
}

/// Files of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScopeBytes {
    /// The scope.
    pub scope: Scope,
    /// How many streams.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Files of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoleBytes {
    /// The role.
    pub role: &'static str,
    /// How many streams.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Objects up to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SizeBucket {
    /// Objects in this bucket are smaller than this; absent for the last.
    pub below: Option<u64>,
    /// How many objects.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Objects in the directory of another job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherJob {
    /// The directory as recorded.
    pub directory: String,
    /// How many objects.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What `_metadata` spends its own bytes on; adds up to the bytes that were decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MetadataSpend {
    /// State kept inside.
    pub inlined_state: u64,
    /// State of coordinators.
    pub coordinator_state: u64,
    /// State of master hooks.
    pub master_state: u64,
    /// Paths and names of files.
    pub paths: u64,
    /// Offsets of key groups.
    pub key_group_offsets: u64,
    /// Names and offsets of operator state.
    pub operator_state_offsets: u64,
    /// Handles of in-flight data.
    pub channel_state: u64,
    /// Checkpoint properties.
    pub properties: u64,
    /// Ids, tags, counts and sizes.
    pub structure: u64,
}
