//! The result of `analyze SNAPSHOT`. Its serialized form is the JSON output, described field by
//! field in `docs/json.md`; a change here is a change of that interface.
//!
//! Shares and ratios are fractions of 1, rounded to six digits; everything else is an exact integer.

use serde::Serialize;

use super::compression::CompressionWhatIf;
use super::histogram::Distribution;
use super::partial::Problem;
use super::physical::Physical;
use crate::analyzers::overview::{Filter, KryoUse, SnapshotSummary};
use crate::model::{Finding, Places};

/// What is live, dead and expired in a snapshot.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// The snapshot itself.
    pub snapshot: SnapshotSummary,
    /// How the figures were made.
    pub method: Method,
    /// The time that ages are counted against, and how it is known.
    pub reference_time: ReferenceTime,
    /// The filters given, if any: `states` and `operators` below are then a selection.
    pub filter: Filter,
    /// Sums over all states that were analyzed.
    pub totals: AnalysisTotals,
    /// Every state that was analyzed, the one with most on-disk bytes first; where these are absent, with most live ones.
    pub states: Vec<StateAnalysis>,
    /// Every operator with a state that was analyzed, in the same order.
    pub operators: Vec<OperatorAnalysis>,
    /// States that cannot be analyzed, the largest first.
    pub not_analyzed: Vec<NotAnalyzed>,
    /// Where the files that were read were found.
    pub places: Places,
    /// Problems in the data, and what is worth knowing of it.
    pub findings: Vec<Finding>,
}

/// How the figures were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Method {
    /// How much was read. What a depth cannot know is absent.
    pub depth: Depth,
    /// Why it was this depth.
    pub depth_reason: DepthReason,
    /// Bytes of the SST files of the states that are analyzed, each file once.
    pub sst_bytes: u64,
    /// Bytes of the streams of key groups that they lie in. These are read at the depth `full` only.
    pub stream_bytes: u64,
    /// Of both, bytes that were not read, and that figures could depend on.
    pub not_read_bytes: u64,
    /// What the depths cost that read more, in bytes of SST files and streams.
    pub more: Vec<DepthCost>,
    /// How it was sampled; absent but for the depth `sample`.
    pub sampling: Option<Sampling>,
    /// What read it.
    pub engine: Engine,
    /// Whether the checksums of blocks were verified.
    pub checksums: bool,
    /// How many keys each list of top keys holds at most.
    pub top: usize,
}

/// How much of the SST files is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Nothing: MANIFEST says how large the files are, and which keys they begin and end with.
    Manifest,
    /// The end of each file: what its properties count, and where its index says that blocks lie.
    Index,
    /// Small random ranges of keys, across all files that hold them: estimates, each with its interval.
    Sample,
    /// Everything, once.
    Full,
}

impl Depth {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::Sample => "sample",
            Self::Full => "full",
        }
    }
}

/// Why a depth was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthReason {
    /// It was asked for (`--depth`).
    Asked,
    /// Nothing was asked for, and there is no more to read than is read without being asked.
    SmallEnough,
    /// Nothing was asked for, and there is more to read than that.
    TooLarge,
}

/// What a depth costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DepthCost {
    /// The depth.
    pub depth: Depth,
    /// Bytes of SST files that it reads, nearly.
    pub bytes: u64,
}

/// How it was sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sampling {
    /// What the random choices follow from: the same seed, the same sample.
    pub seed: u64,
    /// Bytes that were allowed to be read, the small files of the snapshot included.
    pub budget_bytes: u64,
    /// Bytes of SST files that were read: ends, indexes and data blocks.
    pub read_bytes: u64,
    /// Ranges of keys that were read.
    pub ranges: u64,
    /// States that were read whole, as they are small.
    pub whole_states: u64,
}

/// What reads the live view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Our own reader of SST files. It sees what lies in the files too.
    Native,
    /// RocksDB's iterators, the engine of reference. They hand out what is live and nothing else, so that all that is
    /// said of files is absent: on-disk bytes, levels, compression, what was expired when it was written.
    Rocksdb,
}

/// The time that ages are counted against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceTime {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// How it is known.
    pub witness: Witness,
}

impl ReferenceTime {
    /// The time that was given; else that of the newest SST, in seconds since 1970; else the file time of `_metadata`;
    /// else the clock's. The first that is known is taken, and named.
    #[must_use]
    pub fn choose(
        given_ms: Option<i64>,
        newest_sst_seconds: Option<u64>,
        metadata_ms: Option<i64>,
        clock_ms: i64,
    ) -> Self {
        let newest = newest_sst_seconds.filter(|seconds| *seconds > 0).map(end_of_second);
        let known = given_ms
            .map(|at| (at, Witness::Given))
            .or_else(|| newest.map(|at| (at, Witness::NewestSst)))
            .or_else(|| metadata_ms.map(|at| (at, Witness::MetadataFileTime)));
        let (at_ms, witness) = known.unwrap_or((clock_ms, Witness::Clock));
        Self { at_ms, witness }
    }
}

/// The last millisecond of a second since 1970: what SST files record as seconds was not later.
pub(super) fn end_of_second(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000).saturating_add(999)).unwrap_or(i64::MAX)
}

/// How the reference time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// It was given (`--at`).
    Given,
    /// The newest SST file's own record of its creation, which has seconds; the end of that second.
    NewestSst,
    /// The file time of `_metadata`, which a copy does not keep.
    MetadataFileTime,
    /// The clock, as nothing else is known.
    Clock,
}

/// On-disk bytes of a state, an operator or a snapshot, and what they are spent on.
///
/// On-disk bytes are compressed blocks with their checksums and their share of the index. The part of them that is
/// live or expired is attributed by raw bytes within each block; the rest is dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct DiskBytes {
    /// All of them, in bytes (physical).
    pub bytes: u64,
    /// Of these, live and not expired. Absent, as all that follows, where rows were not read.
    pub live_bytes: Option<u64>,
    /// Live, but older than the TTL given (`--ttl`); 0 where none was given.
    pub expired_bytes: Option<u64>,
    /// Neither: tombstones, shadowed versions, what lies outside of the key groups.
    pub dead_bytes: Option<u64>,
    /// `live_bytes` as a share of `bytes`.
    pub live_share: Option<f64>,
    /// `expired_bytes` as a share of `bytes`.
    pub expired_share: Option<f64>,
    /// `dead_bytes` as a share of `bytes`.
    pub dead_share: Option<f64>,
}

/// SST files, as MANIFEST names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SstFiles {
    /// How many.
    pub files: u64,
    /// Their bytes, whole.
    pub bytes: u64,
}

/// What a state has in streams of key groups: canonical savepoints, checkpoints of the heap backend, timers in raw keyed
/// state. There, nothing is dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StreamFigures {
    /// Key groups that hold any of it.
    pub key_groups: u64,
    /// Its bytes in the streams. Where these are compressed, the share that its uncompressed bytes have in those of each
    /// key group.
    pub bytes: u64,
    /// The same uncompressed.
    pub uncompressed_bytes: u64,
}

/// Sums over all states that were analyzed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AnalysisTotals {
    /// SST files.
    pub sst: SstFiles,
    /// On-disk bytes; absent where neither blocks nor their index were seen.
    pub disk: Option<DiskBytes>,
    /// What is live; absent where not all rows were read.
    pub live: Option<LiveFigures>,
    /// What lies in the files; absent as `disk` is.
    pub physical: Option<Physical>,
    /// What a sample says of all; absent where it was not sampled.
    pub estimates: Option<Estimates>,
    /// States that were analyzed.
    pub states: usize,
    /// On-disk bytes of states that are asked for a TTL; absent as `disk` is.
    pub ttl_asked_disk_bytes: Option<u64>,
    /// Of these, on-disk bytes of states with one.
    pub ttl_covered_disk_bytes: Option<u64>,
    /// Bytes of states that were not analyzed, where known.
    pub not_analyzed_bytes: u64,
    /// What could not be read.
    pub missing: Missing,
}

/// What could not be read, so that it is missing from all figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Files of which something is missing.
    pub files: u64,
    /// Damaged blocks.
    pub blocks: u64,
    /// Key groups of streams that could not be read to their end; in sums over states, one counts for each.
    pub key_groups: u64,
    /// On-disk bytes that could not be read.
    pub bytes: u64,
    /// Entries of all versions in them, as far as properties tell.
    pub entries: u64,
}

/// What a scan of the live view yields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LiveFigures {
    /// Rows: what RocksDB's iterator yields.
    pub rows: u64,
    /// Entries: values, elements of lists, entries of maps, timers.
    pub entries: u64,
    /// Whether `entries` is a lower bound, as some lists could not be divided into elements.
    pub entries_at_least: bool,
    /// Distinct keys, as the user's `keyBy` means them; in sums over states, a key counts for each state. Rows that
    /// could not be cut are not in it.
    pub keys: u64,
    /// Distinct pairs of key and namespace.
    pub key_namespaces: u64,
    /// Raw bytes of composite keys.
    pub key_bytes: u64,
    /// Raw bytes of values, lists with the delimiters between their elements.
    pub value_bytes: u64,
    /// `key_bytes` and `value_bytes`.
    pub bytes: u64,
}

/// One state of one operator.
#[derive(Debug, Clone, Serialize)]
pub struct StateAnalysis {
    /// The operator's id.
    pub operator_id: String,
    /// The operator's name, uid or id: the first that is known.
    pub operator: String,
    /// The state's name.
    pub name: String,
    /// The kind of state, as in `inspect`.
    pub kind: &'static str,
    /// The state's type in readable form.
    pub type_text: String,
    /// SST files; absent where it lies in streams only.
    pub sst: Option<SstFiles>,
    /// Streams of key groups; absent where it lies in SST files only.
    pub streams: Option<StreamFigures>,
    /// On-disk bytes; absent where neither blocks nor their index were seen.
    pub disk: Option<DiskBytes>,
    /// What is live; absent where not all rows were read.
    pub live: Option<LiveFigures>,
    /// What lies in SST files; absent as `disk` and `sst` are.
    pub physical: Option<Physical>,
    /// What a sample says; absent where it was not sampled.
    pub estimates: Option<Estimates>,
    /// Raw bytes in the files for each raw live byte; absent where nothing is live, and as `disk` and `live` are.
    pub space_amplification: Option<f64>,
    /// Sizes of live rows: raw bytes of key and value; absent as `live` is.
    pub row_bytes: Option<Distribution>,
    /// Sizes of the elements of a list that could be divided; absent for other kinds.
    pub element_bytes: Option<Distribution>,
    /// By level of the LSM tree; empty where the engine does not see levels.
    pub levels: Vec<LevelAnalysis>,
    /// On-disk bytes by key group; absent but for the depths `manifest` and `index`.
    pub disk_by_key_group: Option<DiskByKeyGroup>,
    /// By level and compression; empty as `levels` is.
    pub compressions: Vec<CompressionAnalysis>,
    /// By subtask.
    pub subtasks: Vec<SubtaskAnalysis>,
    /// Keys; for timers the keys that they are set for. Absent as `live` is.
    pub keys: Option<KeyAnalysis>,
    /// How even it is over key groups and subtasks; absent as `live` is.
    pub skew: Option<SkewAnalysis>,
    /// Time-to-live.
    pub ttl: TtlAnalysis,
    /// Kryo.
    pub kryo: KryoAnalysis,
    /// Timers; absent for other kinds.
    pub timers: Option<TimerAnalysis>,
    /// What other compressions would make of it; absent where that was not asked for (`--what-if compression`).
    pub compression_what_if: Option<CompressionWhatIf>,
    /// What changes of a changelog did to it; absent where none were read.
    pub changes: Option<ChangesFigures>,
    /// What could not be divided further, and why.
    pub not_walked: Vec<NotWalked>,
    /// What could not be read.
    pub missing: Missing,
}

/// What changes of a changelog did to a state.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChangesFigures {
    /// Changes that were applied.
    pub applied: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// Changes that were applied, by operation.
    pub operations: Vec<OperationFigures>,
    /// Changes that were not applied, by reason.
    pub not_applied: Vec<NotAppliedFigures>,
    /// Rows whose value only user code knows, since namespaces were merged into theirs last.
    pub merged_rows: u64,
}

/// Changes of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct OperationFigures {
    /// Flink's name of the operation (`StateChangeOperation`), in lower case.
    pub operation: String,
    /// How many.
    pub changes: u64,
}

/// Changes that were not applied.
#[derive(Debug, Clone, Serialize)]
pub struct NotAppliedFigures {
    /// Why.
    pub reason: String,
    /// How many.
    pub changes: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
}

/// One level of a state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelAnalysis {
    /// The level.
    pub level: u32,
    /// SST files.
    pub sst: SstFiles,
    /// On-disk bytes; absent where neither blocks nor their index were seen.
    pub disk: Option<DiskBytes>,
    /// What lies in the files; absent as `disk` is.
    pub physical: Option<Physical>,
    /// Expired entries in it (`--ttl`); absent where no TTL was given.
    pub expired_entries: Option<u64>,
    /// Of these, already expired when the file was written, although a compaction wrote it.
    pub expired_when_written: Option<u64>,
}

/// One compression on one level of a state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompressionAnalysis {
    /// The level.
    pub level: u32,
    /// The compression of blocks, as RocksDB names it.
    pub compression: String,
    /// Data blocks.
    pub data_blocks: u64,
    /// Their on-disk bytes.
    pub stored_bytes: u64,
    /// The same uncompressed; absent where the blocks were not read.
    pub uncompressed_bytes: Option<u64>,
    /// Uncompressed bytes for each stored one; absent where there are none, and as `uncompressed_bytes` is.
    pub ratio: Option<f64>,
    /// Raw bytes of keys and values for each stored one; absent where there are none. Keys that blocks do not repeat
    /// are in it, so that it is larger than `ratio`.
    pub raw_ratio: Option<f64>,
}

/// The part of a state that lies with one subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SubtaskAnalysis {
    /// The subtask.
    pub subtask: u32,
    /// Its key groups (first, last); of several handles, those of all.
    pub key_groups: Option<(u32, u32)>,
    /// SST files; one that several subtasks name counts for each. Absent where it lies in streams only.
    pub sst: Option<SstFiles>,
    /// On-disk bytes; absent where neither blocks nor their index were seen.
    pub disk_bytes: Option<u64>,
    /// Live rows; absent, as all that follows, where not all rows were read.
    pub rows: Option<u64>,
    /// Live entries.
    pub entries: Option<u64>,
    /// Raw bytes of live rows.
    pub bytes: Option<u64>,
}

/// On-disk bytes by key group, where rows were not read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskByKeyGroup {
    /// What lies in several key groups, so that the bounds differ: whole files (`file`) or data blocks (`block`).
    pub precision: &'static str,
    /// The largest key group relative to the mean over all key groups, by `bytes`: 1 is even.
    pub max_to_mean: f64,
    /// Gini coefficient over all key groups, by `bytes`: 0 is even, close to 1 is all in one.
    pub gini: f64,
    /// The key groups that hold any, in order.
    pub key_groups: Vec<KeyGroupDisk>,
}

/// On-disk bytes of a key group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeyGroupDisk {
    /// The key group.
    pub key_group: u32,
    /// On-disk bytes, where what lies in several key groups is divided evenly among them.
    pub bytes: u64,
    /// What lies in this key group alone.
    pub at_least: u64,
    /// With all that lies in several key groups, this one among them.
    pub at_most: u64,
}

/// What a sample says. Each estimate comes with an interval in which the true value lies with 95 % confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimates {
    /// Whether it was read whole, so that these are no estimates.
    pub whole: bool,
    /// Live and not expired, as a share of on-disk bytes.
    pub live_share: Estimate,
    /// Live, but older than the TTL given, as a share of on-disk bytes; absent where none was given.
    pub expired_share: Option<Estimate>,
    /// Neither, as a share of on-disk bytes.
    pub dead_share: Estimate,
    /// Tombstones of one key, as a share of the entries of all versions.
    pub tombstone_share: Estimate,
    /// Entries that a newer version or a tombstone hides, as a share of the entries of all versions.
    pub hidden_share: Estimate,
    /// Raw bytes of live rows that pass through Kryo, as a share of those of all live rows; absent where no serializer
    /// is Kryo's.
    pub kryo_share: Option<Estimate>,
    /// Live rows.
    pub rows: Estimate,
    /// Live entries.
    pub entries: Estimate,
    /// Raw bytes of live rows.
    pub bytes: Estimate,
    /// What TTLs would expire, as shares of all entries with a timestamp; absent where entries carry none, and for
    /// totals.
    pub ttl_what_if: Option<Vec<TtlEstimate>>,
    /// Keys that seem to hold more than one percent of the raw live bytes, the largest first; for totals none.
    pub top_keys: Vec<KeyEstimate>,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end of the interval of 95 %.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What a TTL would expire, by a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TtlEstimate {
    /// The TTL in milliseconds.
    pub ttl_ms: u64,
    /// Entries at least this old, as a share of all entries with a timestamp.
    pub share: Estimate,
}

/// A key, by a sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyEstimate {
    /// The key group.
    pub key_group: u32,
    /// The serialized key without key group, in hex.
    pub hex: String,
    /// The key in readable form, where its serializer is a simple one.
    pub text: Option<String>,
    /// Its raw bytes as a share of the live raw bytes of the state.
    pub share: Estimate,
}

/// Keys.
#[derive(Debug, Clone, Serialize)]
pub struct KeyAnalysis {
    /// Distinct keys.
    pub keys: u64,
    /// Rows whose key could not be cut out; they are in none of the figures here.
    pub rows_not_cut: u64,
    /// Raw bytes of the live rows of each key.
    pub bytes_by_key: Distribution,
    /// Live entries of each key.
    pub entries_by_key: Distribution,
    /// The keys with most bytes, exactly.
    pub top_by_bytes: Vec<TopKey>,
    /// The keys with most entries, exactly.
    pub top_by_entries: Vec<TopKey>,
    /// What the largest keys hold together.
    pub heavy_hitters: HeavyHitters,
    /// Key groups whose keys were not counted one by one, as memory did not suffice and there was no place to spill
    /// to (timers only). Then the figures here leave them out.
    pub key_groups_not_counted: u64,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopKey {
    /// The key group.
    pub key_group: u32,
    /// The serialized key without key group, in hex.
    pub hex: String,
    /// The key in readable form, where its serializer is a simple one.
    pub text: Option<String>,
    /// Live rows.
    pub rows: u64,
    /// Live entries.
    pub entries: u64,
    /// Raw bytes of its rows, keys included.
    pub bytes: u64,
    /// `bytes` as a share of the live raw bytes of all keys.
    pub share: f64,
}

/// What the largest keys hold together, as shares of the live raw bytes of all keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct HeavyHitters {
    /// The largest key.
    pub top_1_share: f64,
    /// The ten largest.
    pub top_10_share: f64,
    /// The hundred largest.
    pub top_100_share: f64,
    /// How many keys hold more than one percent each.
    pub keys_over_1_percent: u64,
}

/// How even something is over key groups and subtasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SkewAnalysis {
    /// Over the key groups, those without a row included.
    pub key_groups: Evenness,
    /// Over the subtasks of the snapshot, by the key groups that Flink gives them.
    pub subtasks: Evenness,
    /// The key groups that hold rows, in order.
    pub by_key_group: Vec<KeyGroupAnalysis>,
    /// How even it would be at other parallelisms (`--parallelism`).
    pub what_if: Vec<ParallelismWhatIf>,
}

/// How even parts are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Evenness {
    /// How many parts there are.
    pub parts: u64,
    /// Of these, empty.
    pub empty: u64,
    /// The largest part in raw live bytes.
    pub max_bytes: u64,
    /// Which part is the largest; the first of several.
    pub largest: Option<u64>,
    /// The largest part relative to the mean, by bytes: 1 is even.
    pub bytes_max_to_mean: f64,
    /// The same by entries.
    pub entries_max_to_mean: f64,
    /// Gini coefficient of bytes: 0 is even, close to 1 is all in one part.
    pub bytes_gini: f64,
    /// The same of entries.
    pub entries_gini: f64,
}

/// A key group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeyGroupAnalysis {
    /// The key group.
    pub key_group: u32,
    /// Live rows.
    pub rows: u64,
    /// Live entries.
    pub entries: u64,
    /// Distinct keys; absent for operators, where only the keys of each state are counted by key group.
    pub keys: Option<u64>,
    /// Raw bytes of live rows.
    pub bytes: u64,
}

/// How even it would be at another parallelism.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParallelismWhatIf {
    /// The parallelism.
    pub parallelism: u32,
    /// How even it would be.
    pub evenness: Evenness,
}

/// Time-to-live.
#[derive(Debug, Clone, Serialize)]
pub struct TtlAnalysis {
    /// Whether the state is asked for one: keyed state of the user is; timers, contents of windows and sets of
    /// merging windows are not.
    pub asked: bool,
    /// Whether entries carry a timestamp; absent where that is not known, and for timers.
    pub covered: Option<bool>,
    /// The TTL that was given (`--ttl`), in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Ages of all live entries; absent where they carry no timestamp.
    pub ages: Option<AgeAnalysis>,
    /// What is expired; absent where no TTL was given or entries carry no timestamp.
    pub expired: Option<ExpiredAnalysis>,
}

/// Ages of live entries: the reference time less the stored timestamp.
#[derive(Debug, Clone, Serialize)]
pub struct AgeAnalysis {
    /// Entries with a timestamp.
    pub entries: u64,
    /// Entries without one: null values of maps, and what could not be divided.
    pub without_timestamp: u64,
    /// The oldest timestamp, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// The newest timestamp.
    pub newest_ms: Option<i64>,
    /// Entries with a timestamp behind the reference time; they have the age 0.
    pub in_future: u64,
    /// Ages in milliseconds.
    pub ages_ms: Distribution,
    /// What other TTLs would expire.
    pub what_if: Vec<TtlWhatIf>,
}

/// What a TTL would expire.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TtlWhatIf {
    /// The TTL in milliseconds.
    pub ttl_ms: u64,
    /// Entries at least this old.
    pub entries: u64,
    /// Raw bytes of these entries: rows with their key, or elements of lists alone.
    pub bytes: u64,
    /// `entries` as a share of all entries with a timestamp.
    pub share: f64,
}

/// What is expired with the TTL given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ExpiredAnalysis {
    /// Expired entries.
    pub entries: u64,
    /// `entries` as a share of all entries with a timestamp.
    pub share: f64,
    /// Rows that are expired as a whole.
    pub rows: u64,
    /// Raw bytes: of rows that are expired as a whole with their key; else of the expired elements alone.
    pub bytes: u64,
    /// On-disk bytes attributed to them; absent where the engine does not see them.
    pub disk_bytes: Option<u64>,
    /// Entries that were already expired when a compaction wrote the file in which they lie (level 1 and below): the
    /// compaction filter of the TTL did not remove them. Absent as `disk_bytes` is.
    pub when_written: Option<u64>,
}

/// What passes through Kryo.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct KryoAnalysis {
    /// Where, in the serializer trees of key and state; empty if nowhere.
    pub paths: Vec<KryoUse>,
    /// Live rows whose key or value passes through Kryo anywhere; absent where not all rows were read.
    pub touched_rows: Option<u64>,
    /// Their raw bytes; absent as `touched_rows` is.
    pub touched_bytes: Option<u64>,
    /// Bytes that Kryo itself wrote into keys, where their extent is known.
    pub exact_key_bytes: Option<u64>,
    /// Bytes that Kryo itself wrote into values and keys of maps, where their extent is known.
    pub exact_value_bytes: Option<u64>,
}

/// Timers of one service and time domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimerAnalysis {
    /// `event`, `processing`; `unknown` for a name that says neither.
    pub domain: &'static str,
    /// How many.
    pub timers: u64,
    /// The earliest, in milliseconds since 1970.
    pub earliest_ms: Option<i64>,
    /// The latest, in milliseconds since 1970, those at the end of time left out.
    pub latest_ms: Option<i64>,
    /// Timers at the end of time (`Long.MAX_VALUE`), such as those of global windows.
    pub at_end_of_time: u64,
    /// Timers at or before the reference time. Of processing time, these are overdue. Of event time, this says only
    /// how they lie to the reference time, as watermarks are not part of a snapshot.
    pub until_reference: u64,
    /// Whether `until_reference` counts timers that should have fired.
    pub overdue: bool,
    /// Timers more than 365 days behind the reference time, those at the end of time left out.
    pub far_future: u64,
    /// Time from the reference time to timers behind it, in milliseconds, those at the end of time left out.
    pub due_in_ms: Distribution,
}

/// What could not be divided further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotWalked {
    /// What.
    pub problem: Problem,
    /// Why, in words.
    pub reason: String,
    /// Whether the bytes contradict the serializer. Otherwise nothing is wrong with them, and only their extent is
    /// not known.
    pub contradiction: bool,
    /// Live rows.
    pub rows: u64,
    /// Their raw bytes.
    pub bytes: u64,
    /// The first of these rows.
    pub example: Option<Example>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The composite key in hex, at most its first 64 bytes.
    pub key_hex: String,
    /// The subtask.
    pub subtask: u32,
    /// Number of the SST in which it lies: `17` is `000017.sst`. Absent where the engine does not see files.
    pub sst: Option<u64>,
}

/// One operator.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorAnalysis {
    /// The id.
    pub id: String,
    /// The name, if recorded.
    pub name: Option<String>,
    /// The uid, if recorded or matched.
    pub uid: Option<String>,
    /// The parallelism.
    pub parallelism: i32,
    /// The number of key groups.
    pub max_parallelism: i32,
    /// The key's type.
    pub key_type: Option<String>,
    /// States that were analyzed.
    pub states: usize,
    /// SST files.
    pub sst: SstFiles,
    /// On-disk bytes; absent where neither blocks nor their index were seen.
    pub disk: Option<DiskBytes>,
    /// What is live, over all states; `keys` are the distinct ones where `keys` below is there. Absent where not all
    /// rows were read.
    pub live: Option<LiveFigures>,
    /// Keys over all states but timers; absent where they were not counted together, and as `live` is.
    pub keys: Option<KeyAnalysis>,
    /// How even it is, over all states; absent as `live` is.
    pub skew: Option<SkewAnalysis>,
}

/// A state that cannot be analyzed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotAnalyzed {
    /// The operator's id.
    pub operator_id: String,
    /// The operator's name, uid or id: the first that is known.
    pub operator: String,
    /// The state's name.
    pub name: String,
    /// The kind of state, as in `inspect`.
    pub kind: &'static str,
    /// Its bytes, where known.
    pub bytes: Option<u64>,
    /// Where `bytes` is absent: what it cannot exceed.
    pub bytes_at_most: Option<u64>,
    /// A stable name of the reason: `not_rocksdb`, `stream_not_read`, `changelog`, `operator_state`, `raw_state`, `failed`.
    pub reason: &'static str,
    /// The reason in words.
    pub explanation: &'static str,
}
