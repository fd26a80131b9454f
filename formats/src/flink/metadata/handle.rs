//! State handles: where the bytes of a piece of state lie. Types only; `decode` reads them.

use std::borrow::Cow;
use std::fmt;

use byteorder::{BigEndian, ByteOrder};

/// A string of the file; borrowed from it where it is plain ASCII.
pub type Text<'a> = Cow<'a, str>;

/// Big-endian `i64` offsets as they lie in the file, not copied.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets<'a>(pub(super) &'a [u8]);

impl Offsets<'_> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The offset at an index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<i64> {
        self.0.chunks_exact(8).nth(index).map(BigEndian::read_i64)
    }

    /// All offsets in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> {
        self.0.chunks_exact(8).map(BigEndian::read_i64)
    }
}

impl fmt::Debug for Offsets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A range of key groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroupRange {
    /// The first key group.
    pub start: u32,
    /// How many key groups.
    pub count: u32,
}

impl KeyGroupRange {
    /// The last key group, `None` if the range is empty.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.count.checked_sub(1).map(|n| self.start.saturating_add(n))
    }

    /// Whether a key group lies in the range.
    #[must_use]
    pub fn contains(&self, key_group: u32) -> bool {
        key_group >= self.start && key_group - self.start < self.count
    }

    /// The first key group behind the range.
    fn end(&self) -> u32 {
        self.start.saturating_add(self.count)
    }

    /// The key groups that are in both.
    #[must_use]
    pub fn and(&self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, count: self.end().min(other.end()).saturating_sub(start) }
    }

    /// What of the range is in none of some others, in ascending order.
    #[must_use]
    pub fn without(&self, others: &[Self]) -> Vec<Self> {
        let mut others: Vec<Self> = others.iter().map(|other| self.and(*other)).collect();
        others.retain(|other| other.count > 0);
        others.sort_unstable_by_key(|other| other.start);
        let (mut rest, mut start) = (Vec::new(), self.start);
        let behind = Self { start: self.end(), count: 0 };
        for other in others.into_iter().chain([behind]) {
            rest.push(Self { start, count: other.start.saturating_sub(start) });
            start = start.max(other.end());
        }
        rest.retain(|range| range.count > 0);
        rest
    }
}

#[cfg(test)]
mod range_tests {
    use super::KeyGroupRange;

    #[test]
    fn ranges_are_cut() {
        let range = |start, count| KeyGroupRange { start, count };
        assert_eq!(range(0, 64).and(range(32, 64)), range(32, 32));
        assert_eq!(range(0, 8).and(range(8, 8)).count, 0);
        assert_eq!(range(0, 8).without(&[]), [range(0, 8)]);
        assert_eq!(range(0, 8).without(&[range(0, 99)]), []);
        assert_eq!(
            range(4, 12).without(&[range(12, 2), range(0, 6), range(20, 9)]),
            [range(6, 6), range(14, 2)]
        );
        assert_eq!(range(0, 0).without(&[]), []);
    }
}

/// `StreamStateHandle`: one stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamHandle<'a> {
    /// Tag 1, `ByteStreamStateHandle`: the bytes lie inside `_metadata` itself.
    ByteStream {
        /// For inlined state the path that the file *would* have had; no such object exists.
        name: Text<'a>,
        /// The bytes.
        data: &'a [u8],
        /// Where they begin in `_metadata`.
        offset: u64,
    },
    /// Tag 2, `FileStateHandle`: an object named by its full URI.
    File {
        /// The URI as recorded.
        path: Text<'a>,
        /// The size as recorded.
        size: i64,
    },
    /// Tag 3, `KeyGroupsStateHandle` used as a stream.
    KeyGroups(Box<KeyGroupsHandle<'a>>),
    /// Tag 6, `RelativeFileStateHandle`: an object beside `_metadata`.
    Relative {
        /// The path, relative to the directory that holds `_metadata`.
        path: Text<'a>,
        /// The size as recorded.
        size: i64,
    },
    /// Tag 15, `SegmentFileStateHandle`: a part of a merged file (FLIP-306).
    Segment {
        /// Where the segment begins in the physical file.
        start: i64,
        /// The segment's length.
        size: i64,
        /// Whether other checkpoints may share the segment.
        scope: SegmentScope,
        /// The URI of the physical file.
        path: Text<'a>,
        /// The id of the logical file.
        logical_id: Text<'a>,
    },
    /// Tag 16, `EmptySegmentFileStateHandle`: no bytes.
    EmptySegment,
}

/// `CheckpointedStateScope` of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentScope {
    /// Used by one checkpoint only.
    Exclusive,
    /// May be used by several checkpoints.
    Shared,
}

impl StreamHandle<'_> {
    /// The size as recorded: what `getStateSize` returns in Flink.
    #[must_use]
    pub fn recorded_size(&self) -> i64 {
        match self {
            Self::ByteStream { data, .. } => i64::try_from(data.len()).unwrap_or(i64::MAX),
            Self::File { size, .. } | Self::Relative { size, .. } | Self::Segment { size, .. } => *size,
            Self::KeyGroups(handle) => handle.stream.recorded_size(),
            Self::EmptySegment => 0,
        }
    }
}

/// A range of key groups with the offset of each in one stream (`KeyGroupsStateHandle`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGroupsHandle<'a> {
    /// The key groups.
    pub key_groups: KeyGroupRange,
    /// The offset of each key group in the stream.
    pub offsets: Offsets<'a>,
    /// The stream.
    pub stream: StreamHandle<'a>,
    /// The id of the handle (tag 12).
    pub id: Option<Text<'a>>,
}

/// `KeyedStateHandle`: the keyed state of one subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyedHandle<'a> {
    /// Tags 3 and 12, `KeyGroupsStateHandle`: a full stream (heap, RocksDB before 1.16, raw keyed state).
    KeyGroups(KeyGroupsHandle<'a>),
    /// Tag 7, `KeyGroupsSavepointStateHandle`: a canonical savepoint.
    SavepointKeyGroups(KeyGroupsHandle<'a>),
    /// Tags 5 and 11, `IncrementalRemoteKeyedStateHandle`: RocksDB or ForSt files.
    Incremental(IncrementalHandle<'a>),
    /// Tags 8 and 14, `ChangelogStateBackendHandleImpl`.
    Changelog(ChangelogHandle<'a>),
    /// Tag 9, `InMemoryChangelogStateHandle`.
    ChangelogBytes(ChangelogBytesHandle<'a>),
    /// Tags 10 and 13, `ChangelogStateHandleStreamImpl`.
    ChangelogFiles(ChangelogFilesHandle<'a>),
}

impl KeyedHandle<'_> {
    /// The key groups that the handle covers.
    #[must_use]
    pub fn key_groups(&self) -> KeyGroupRange {
        match self {
            Self::KeyGroups(h) | Self::SavepointKeyGroups(h) => h.key_groups,
            Self::Incremental(h) => h.key_groups,
            Self::Changelog(h) => h.key_groups,
            Self::ChangelogBytes(h) => h.key_groups,
            Self::ChangelogFiles(h) => h.key_groups,
        }
    }
}

/// The files of a RocksDB or ForSt database at a checkpoint.
///
/// The tag does not say that the checkpoint was incremental: since 1.16 a full RocksDB checkpoint
/// uses it too, with all files in `private`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementalHandle<'a> {
    /// The checkpoint that made the handle; may be older than the snapshot's.
    pub checkpoint_id: i64,
    /// The backend instance; changes with each restart.
    pub backend_id: Text<'a>,
    /// The key groups.
    pub key_groups: KeyGroupRange,
    /// Bytes newly uploaded for this checkpoint (tag 11): the delta, not the total.
    pub checkpointed_size: Option<i64>,
    /// The backend's meta data: one `KeyedBackendSerializationProxy`.
    pub meta: Option<StreamHandle<'a>>,
    /// Files that other checkpoints may use too.
    pub shared: Vec<NamedStream<'a>>,
    /// All other files.
    pub private: Vec<NamedStream<'a>>,
    /// The id of the handle (tag 11).
    pub id: Option<Text<'a>>,
}

/// A file of a database directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStream<'a> {
    /// The name that RocksDB knows the file by, such as `000012.sst`.
    pub local_path: Text<'a>,
    /// Where its bytes lie; `None` for a null handle.
    pub stream: Option<StreamHandle<'a>>,
}

/// A materialized snapshot and the changes since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogHandle<'a> {
    /// The key groups.
    pub key_groups: KeyGroupRange,
    /// Bytes newly uploaded for this checkpoint.
    pub checkpointed_size: i64,
    /// The materialized state.
    pub materialized: Vec<KeyedHandle<'a>>,
    /// The changes since, in order.
    pub deltas: Vec<KeyedHandle<'a>>,
    /// The id of the materialization.
    pub materialization_id: i64,
    /// The checkpoint that made the handle (tag 14).
    pub checkpoint_id: Option<i64>,
    /// The id of the handle.
    pub id: Text<'a>,
}

/// Changes kept inside `_metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogBytesHandle<'a> {
    /// The key groups.
    pub key_groups: KeyGroupRange,
    /// The first sequence number.
    pub from_sqn: i64,
    /// The sequence number after the last.
    pub to_sqn: i64,
    /// The changes.
    pub changes: Vec<Change<'a>>,
    /// The id of the handle.
    pub id: Text<'a>,
}

/// One state change kept inside `_metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The key group; -1 for a change of meta data.
    pub key_group: i32,
    /// The change.
    pub data: &'a [u8],
    /// Where it begins in `_metadata`.
    pub offset: u64,
}

/// Changes in files (DSTL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogFilesHandle<'a> {
    /// The key groups.
    pub key_groups: KeyGroupRange,
    /// The files with the offset of this handle's changes in each. Sizes and offsets count the
    /// uncompressed bytes after the file's first, so they differ from the object's size.
    pub streams: Vec<(i64, Option<StreamHandle<'a>>)>,
    /// Uncompressed bytes in all.
    pub size: i64,
    /// Bytes newly uploaded for this checkpoint.
    pub checkpointed_size: i64,
    /// The id of the handle.
    pub id: Text<'a>,
    /// The storage's identifier, such as `filesystem` (tag 13).
    pub storage: Option<Text<'a>>,
}

/// How the elements of an operator state are given to subtasks on restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DistributionMode {
    /// Each element to one subtask.
    SplitDistribute,
    /// All elements to every subtask.
    Union,
    /// Each subtask holds a full copy.
    Broadcast,
}

/// `OperatorStateHandle` (tags 4 and 17): the operator state of one subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStateHandle<'a> {
    /// The states with the offsets of their partitions in the stream.
    pub states: Vec<OperatorStatePartitions<'a>>,
    /// The stream; `None` for a null handle.
    pub stream: Option<StreamHandle<'a>>,
    /// What file merging adds (tag 17).
    pub merging: Option<MergingDirectories<'a>>,
}

/// One named operator state of a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStatePartitions<'a> {
    /// The name; `_default_` for raw operator state.
    pub name: Text<'a>,
    /// How it is distributed.
    pub mode: DistributionMode,
    /// The offset of each element, or of the whole map for broadcast state.
    pub offsets: Offsets<'a>,
}

/// The directories that file merging manages (tag 17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergingDirectories<'a> {
    /// The directory of exclusive state.
    pub task_owned: Text<'a>,
    /// The directory of shared state.
    pub shared: Text<'a>,
    /// Whether the handle holds no state.
    pub is_empty: bool,
}

/// In-flight data of an unaligned checkpoint: one channel, or several merged in one handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelHandle<'a> {
    /// The subtask as recorded.
    pub subtask: i32,
    /// The bytes that the handle accounts for.
    pub size: i64,
    /// The channels: one, or all that a merged handle (version 6, tags 3 and 4) lists.
    pub channels: Vec<Channel<'a>>,
    /// Whether this is a merged handle.
    pub merged: bool,
    /// The stream; `None` for a null handle.
    pub stream: Option<StreamHandle<'a>>,
}

/// One channel: (gate, channel) for input, (partition, subpartition) for output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel<'a> {
    /// The input gate or result partition.
    pub gate: i32,
    /// The input channel or subpartition.
    pub channel: i32,
    /// The bytes of this channel.
    pub size: i64,
    /// The offsets of the buffers in delivery order.
    pub offsets: Offsets<'a>,
}
