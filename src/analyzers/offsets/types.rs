//! The result: where a job would read on, what is not committed, and what its operators' lists hold.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::analyzers::root::SnapshotRow;
use crate::model::{Finding, Places};

/// Operator state of a snapshot, as data.
#[derive(Debug, Serialize)]
pub struct Offsets {
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// The time that ages are counted against, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// The text that operators were selected by.
    pub operator_filter: Option<String>,
    /// How many elements of each state are shown at most.
    pub limit: u64,
    /// Sums.
    pub totals: Totals,
    /// Sources, in the order of operators.
    pub sources: Vec<Source>,
    /// Sinks, in the order of operators.
    pub sinks: Vec<Sink>,
    /// All states, those of sources and sinks too, in the order of operators and names.
    pub states: Vec<State>,
    /// Where files were found.
    pub places: Places,
    /// Problems.
    pub findings: Vec<Finding>,
}

/// Sums over the selected operators.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Totals {
    /// Operators that have operator state or a coordinator's state.
    pub operators: u64,
    /// Splits that readers have.
    pub splits: u64,
    /// Splits that enumerators have not assigned.
    pub unassigned_splits: u64,
    /// Splits whose position cannot be told.
    pub opaque_splits: u64,
    /// Committables and transactions that are not committed.
    pub uncommitted: u64,
    /// Those of them of which nothing is known but how many bytes they have.
    pub opaque_uncommitted: u64,
    /// States.
    pub states: u64,
    /// Elements of lists and unions, and entries of broadcast states, each of these once.
    pub elements: u64,
    /// Bytes of all states as they are stored, all copies of broadcast states.
    pub bytes: u64,
}

/// What cannot be decoded.
#[derive(Debug, Clone, Serialize)]
pub struct Opaque {
    /// Version of the serializer.
    pub serializer_version: Option<i32>,
    /// How many bytes there are.
    pub bytes: u64,
    /// The first of them, in hex, as many as were asked for.
    pub hex: Option<String>,
    /// Why it cannot be decoded, if somebody should know it.
    pub error: Option<String>,
}

/// A source.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// Name of the operator, or its uid or id.
    pub operator: String,
    /// The operator's id.
    pub operator_id: String,
    /// The connector, if it is recognized.
    pub connector: Option<&'static str>,
    /// How it is recognized.
    pub evidence: Option<&'static str>,
    /// The name of the state that holds the splits.
    pub state: Option<String>,
    /// Splits of readers, in the order of subtasks.
    pub splits: Vec<Split>,
    /// What the enumerator keeps.
    pub enumerator: Option<EnumeratorState>,
}

/// What an enumerator keeps.
#[derive(Debug, Clone, Serialize)]
pub struct EnumeratorState {
    /// Version of the coordinator's state.
    pub coordinator_version: i32,
    /// Version of the enumerator's serializer.
    pub serializer_version: i32,
    /// Bytes of it.
    pub bytes: u64,
    /// Whether it is decoded.
    pub is_decoded: bool,
    /// What it is if not.
    pub opaque: Option<Opaque>,
    /// Splits that were assigned.
    pub assigned: Vec<Split>,
    /// Splits that nobody has.
    pub unassigned: Vec<Split>,
    /// Splits that were read to their end.
    pub finished: Vec<Split>,
    /// Whether all partitions were discovered once.
    pub discovered: Option<bool>,
    /// How many files were made into splits already.
    pub processed_files: u64,
    /// The shard that was discovered last.
    pub last_seen_shard: Option<String>,
    /// When the source began, in milliseconds since 1970.
    pub start_timestamp_ms: Option<i64>,
    /// Index of the source that a hybrid source is at.
    pub source_index: Option<i32>,
}

/// A split.
#[derive(Debug, Clone, Serialize)]
pub struct Split {
    /// The subtask that has it; none in an enumerator.
    pub subtask: Option<u32>,
    /// What is read: a partition, a shard, a file.
    pub name: Option<String>,
    /// Where it is read on, in words.
    pub position: Option<String>,
    /// Where it ends, in words.
    pub end: Option<String>,
    /// Whether it was read to its end, where that is recorded.
    pub finished: Option<bool>,
    /// What the connector recorded.
    #[serde(flatten)]
    pub details: Details,
}

/// What a connector recorded of a split: at most one of these.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Details {
    /// Of Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    /// Of Kinesis and DynamoDB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// Of a sequence of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Of Iceberg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iceberg: Option<Iceberg>,
    /// Of a hybrid source, beside what the split of its source has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<Hybrid>,
    /// Of nobody who is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<Opaque>,
}

/// A partition.
#[derive(Debug, Clone, Serialize)]
pub struct Kafka {
    /// The cluster, of a dynamic source.
    pub cluster: Option<String>,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that is read next; of a consumer from before, the last one that was read.
    pub offset: Option<i64>,
    /// Its name, if it is none but stands for one.
    pub offset_name: Option<&'static str>,
    /// The offset before which reading ends.
    pub stop_offset: Option<i64>,
    /// Its name.
    pub stop_offset_name: Option<&'static str>,
    /// Until when it is kept without its cluster, in milliseconds since 1970.
    pub retained_until_ms: Option<i64>,
}

/// A shard.
#[derive(Debug, Clone, Serialize)]
pub struct Shard {
    /// The stream.
    pub stream: String,
    /// The shard's id.
    pub shard: String,
    /// From where it is read.
    pub iterator: Option<String>,
    /// The time that it is read from, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The sequence number behind which it is read.
    pub sequence_number: Option<String>,
    /// The record within an aggregated one; none if it is not recorded.
    pub sub_sequence_number: Option<i64>,
    /// Shards that it came from.
    pub parents: Vec<String>,
}

/// A part of a file.
#[derive(Debug, Clone, Serialize)]
pub struct File {
    /// The split's id.
    pub id: String,
    /// The file.
    pub path: String,
    /// Where the part begins.
    pub offset: i64,
    /// Its length in bytes.
    pub length: i64,
    /// Bytes of the file.
    pub file_size: Option<i64>,
    /// When the file was modified, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// The offset from which it is read on.
    pub read_offset: Option<i64>,
    /// How many records are passed over from there on.
    pub records_after: Option<i64>,
}

/// A part of a sequence.
#[derive(Debug, Clone, Serialize)]
pub struct Numbers {
    /// The split's id.
    pub id: String,
    /// The next number.
    pub from: i64,
    /// The last one.
    pub to: i64,
}

/// Data files of Iceberg.
#[derive(Debug, Clone, Serialize)]
pub struct Iceberg {
    /// Index of the file in which it is read on.
    pub file_offset: i32,
    /// How many of its records are passed over.
    pub record_offset: i64,
    /// How many files there are.
    pub files: u64,
}

/// What a hybrid source adds.
#[derive(Debug, Clone, Serialize)]
pub struct Hybrid {
    /// Index of the source.
    pub source_index: i32,
    /// The split's id.
    pub id: String,
    /// The connector of that source.
    pub connector: Option<&'static str>,
}

/// A sink.
#[derive(Debug, Clone, Serialize)]
pub struct Sink {
    /// Name of the operator, or its uid or id.
    pub operator: String,
    /// The operator's id.
    pub operator_id: String,
    /// The sink, if it is recognized.
    pub sink: Option<&'static str>,
    /// How it is recognized.
    pub evidence: Option<&'static str>,
    /// Names of its states.
    pub states: Vec<String>,
    /// What its writers keep, in the order of subtasks.
    pub writers: Vec<Writer>,
    /// What is not committed, by checkpoint.
    pub uncommitted: Vec<Uncommitted>,
    /// By checkpoint, how many that is.
    pub checkpoints: Vec<CheckpointCount>,
}

/// How much of one checkpoint is not committed.
#[derive(Debug, Clone, Serialize)]
pub struct CheckpointCount {
    /// The checkpoint; none where it is not recorded.
    pub checkpoint_id: Option<i64>,
    /// Committables and transactions.
    pub uncommitted: u64,
}

/// What a writer keeps.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Writer {
    /// The subtask.
    pub subtask: u32,
    /// What it is about: a prefix of transactional ids, a bucket.
    pub name: Option<String>,
    /// What it keeps, in words.
    pub text: Option<String>,
    /// When it was begun, in milliseconds since 1970.
    pub begun_ms: Option<i64>,
    /// Transactions that it knows of. A committer has them, too, until they are committed.
    pub transactions: Vec<WriterTransaction>,
    /// What it is if it is not decoded.
    pub opaque: Option<Opaque>,
}

/// A transaction that a writer knows of.
#[derive(Debug, Clone, Serialize)]
pub struct WriterTransaction {
    /// Its id.
    pub name: String,
    /// The checkpoint that it belongs to.
    pub checkpoint_id: Option<i64>,
    /// `precommitted`, `prepared`, or `hanging`: left over, to be rolled back.
    pub state: &'static str,
}

/// What is not committed.
#[derive(Debug, Clone, Serialize)]
pub struct Uncommitted {
    /// The subtask whose state holds it.
    pub subtask: u32,
    /// The subtask that wrote it, where that is recorded.
    pub writer: Option<i32>,
    /// The checkpoint that it belongs to, where that is recorded.
    pub checkpoint_id: Option<i64>,
    /// Where it stands.
    pub state: &'static str,
    /// How often a commit was tried, where that is recorded.
    pub retries: Option<i32>,
    /// What it is: a transactional id, a file.
    pub name: Option<String>,
    /// More of it, in words.
    pub text: Option<String>,
    /// Bytes that were written, where that is recorded.
    pub written_bytes: Option<i64>,
    /// When it was begun, in milliseconds since 1970.
    pub begun_ms: Option<i64>,
    /// How long ago that was.
    pub age_ms: Option<i64>,
    /// The value as the sink's serializer describes it.
    pub value: Option<Box<RawValue>>,
    /// What it is if it is not decoded.
    pub opaque: Option<Opaque>,
}

/// A state.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    /// Name of the operator, or its uid or id.
    pub operator: String,
    /// The operator's id.
    pub operator_id: String,
    /// The state's name.
    pub name: String,
    /// `managed`, `raw`, or `coordinator`.
    pub kind: &'static str,
    /// How it is redistributed.
    pub mode: Option<&'static str>,
    /// The type, in words.
    #[serde(rename = "type")]
    pub type_text: String,
    /// What it is to a connector: `source` or `sink`.
    pub role: Option<&'static str>,
    /// Elements of a list, over all subtasks; entries of a broadcast state, in one copy.
    pub elements: Option<u64>,
    /// Bytes as they are stored, over all subtasks.
    pub bytes: u64,
    /// Whether copies of a broadcast state hold the same; none if it is no broadcast state or has one copy, or some cannot be decoded.
    pub copies_agree: Option<bool>,
    /// By subtask.
    pub subtasks: Vec<StateOfSubtask>,
    /// The first elements or entries.
    pub shown: Vec<Element>,
    /// Of those shown, how many have parts that cannot be decoded.
    pub opaque: u64,
    /// Entries of a broadcast state behind one whose length nobody knows.
    pub not_decoded: u64,
    /// Elements that were not read because their stream is too large.
    pub not_read: u64,
    /// Elements that are damaged.
    pub damaged: u64,
}

/// A subtask's part of a state.
#[derive(Debug, Clone, Serialize)]
pub struct StateOfSubtask {
    /// The subtask.
    pub subtask: u32,
    /// Elements or entries.
    pub elements: Option<u64>,
    /// Bytes as they are stored.
    pub bytes: u64,
}

/// An element of a list or an entry of a broadcast state.
#[derive(Debug, Clone, Serialize)]
pub struct Element {
    /// The subtask.
    pub subtask: u32,
    /// Its index in the subtask's list.
    pub index: u64,
    /// The key, of a broadcast state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<RawValue>>,
    /// The value.
    pub value: Option<Box<RawValue>>,
    /// Whether it has parts that cannot be decoded. Not part of the output.
    #[serde(skip)]
    pub is_opaque: bool,
}
