//! What a split yields, and how parts come together.
//!
//! Merging is associative and commutative, and yields the same bytes in any order and grouping: partials hold integers
//! and sorted collections only.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ages::{AgesPartial, ExpiredTotals};
use super::compression::CompressionSample;
use super::histogram::Histogram;
use super::key_bytes::KeyBytes;
use super::keys::{EdgeKeys, KeysPartial};
use super::sums::sums;
use super::tally::{ChangesTally, PhysicalTally, StreamTally};
use super::timers::TimersPartial;

/// A state of a keyed state handle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKey {
    /// Index of the operator in the snapshot.
    pub operator: u32,
    /// Index of the handle in [`Details::keyed`](crate::model::Details::keyed).
    pub handle: u32,
    /// The state's name.
    pub state: String,
}

/// One compression on one level of a state of a handle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TallyKey {
    /// The state.
    pub state: StateKey,
    /// The level.
    pub level: u32,
    /// The compression, as RocksDB names it.
    pub compression: String,
}

/// A keyed state handle of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HandleKey {
    /// Index of the operator in the snapshot.
    pub operator: u32,
    /// Index of the handle in [`Details::keyed`](crate::model::Details::keyed).
    pub handle: u32,
}

sums! {
    /// What the live rows of a state, or of a part of one, add up to.
    pub struct LiveTotals {
        /// Rows.
        rows,
        /// Entries; a part of a list that cannot be divided counts as one.
        entries,
        /// Raw bytes of composite keys.
        key_bytes,
        /// Raw bytes of values.
        value_bytes,
    }
}

impl LiveTotals {
    /// What was added since it was another one.
    #[inline]
    pub(super) fn less(&self, before: &Self) -> Self {
        Self {
            rows: self.rows - before.rows,
            entries: self.entries - before.entries,
            key_bytes: self.key_bytes - before.key_bytes,
            value_bytes: self.value_bytes - before.value_bytes,
        }
    }

    /// Raw bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.key_bytes.saturating_add(self.value_bytes)
    }
}

sums! {
    /// What a key group holds.
    pub struct GroupTotals {
        /// Live rows.
        rows,
        /// Live entries.
        entries,
        /// Raw bytes of live rows.
        bytes,
        /// Distinct keys, but those at edges of splits.
        keys,
    }
}

sums! {
    /// What passes through Kryo.
    pub struct KryoTotals {
        /// Rows whose key or value passes through Kryo.
        touched_rows,
        /// Their raw bytes.
        touched_bytes,
        /// Bytes that Kryo wrote into keys, where their extent is known.
        key_bytes,
        /// Bytes that Kryo wrote into values and keys of maps, where their extent is known.
        value_bytes,
    }
}

/// Why a row, or a part of it, could not be divided further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Where the key ends is not known.
    KeyNotCut,
    /// Where the namespace ends is not known.
    NamespaceNotCut,
    /// Where an element of a list ends is not known.
    ElementsNotWalked,
    /// The bytes of the composite key are not what its serializers write.
    KeyContradicts,
    /// The bytes of the value are not what its serializer writes.
    ValueContradicts,
    /// The bytes of an element are not what its serializer writes, or no delimiter follows.
    ElementsContradict,
    /// Merge operands in a state that is no list.
    MergeOperands,
    /// The value is not in the table as such: a blob's index, or columns.
    ValueNotUnderstood,
    /// Where a row of a heap stream ends is not known, so that it and those behind it could not be read.
    RowsNotRead,
}

impl Problem {
    /// Whether the bytes are not what their serializers write. Otherwise nothing is wrong with them, and only their
    /// extent is not known.
    #[must_use]
    pub fn is_contradiction(self) -> bool {
        match self {
            Self::KeyNotCut
            | Self::NamespaceNotCut
            | Self::ElementsNotWalked
            | Self::ValueNotUnderstood
            | Self::RowsNotRead => false,
            Self::KeyContradicts
            | Self::ValueContradicts
            | Self::ElementsContradict
            | Self::MergeOperands => true,
        }
    }
}

/// Rows that could not be divided further for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotWalkedTotals {
    /// Why, in words.
    pub reason: String,
    /// Rows.
    pub rows: u64,
    /// Their raw bytes.
    pub bytes: u64,
    /// The first of them: the beginning of its composite key, and the number of its SST.
    pub example: (KeyBytes, u64),
}

impl NotWalkedTotals {
    pub(super) fn merge(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        if other.example < self.example {
            self.example = other.example;
        }
        if other.reason < self.reason {
            self.reason = other.reason;
        }
    }
}

/// The live view of a state: of one split, of several of one handle or, without what lies at edges of splits, of any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePartial {
    /// Sums over all rows.
    pub live: LiveTotals,
    /// Raw bytes of each row.
    pub row_bytes: Histogram,
    /// Bytes of each element of a list.
    pub element_bytes: Histogram,
    /// Keys.
    pub keys: KeysPartial,
    /// Pairs of key and namespace, but those at the edges of splits.
    pub pairs: u64,
    /// Pairs of key and namespace that several splits may have rows of.
    pub edge_pairs: BTreeSet<KeyBytes>,
    /// By key group.
    pub groups: BTreeMap<u32, GroupTotals>,
    /// Ages, where entries carry a timestamp.
    pub ages: Option<AgesPartial>,
    /// What is expired, by level.
    pub expired: BTreeMap<u32, ExpiredTotals>,
    /// Kryo.
    pub kryo: KryoTotals,
    /// Timers.
    pub timers: Option<TimersPartial>,
    /// What could not be divided further.
    pub not_walked: BTreeMap<Problem, NotWalkedTotals>,
}

/// Merges the values of equal keys.
pub(super) fn merge_maps<K: Ord, V>(
    ours: &mut BTreeMap<K, V>,
    theirs: BTreeMap<K, V>,
    merge: impl Fn(&mut V, V),
) {
    use std::collections::btree_map::Entry;
    for (key, value) in theirs {
        match ours.entry(key) {
            Entry::Occupied(mut ours) => merge(ours.get_mut(), value),
            Entry::Vacant(place) => {
                place.insert(value);
            }
        }
    }
}

/// Merges where both are there.
pub(super) fn merge_options<T>(ours: &mut Option<T>, theirs: Option<T>, merge: impl Fn(&mut T, T)) {
    match (ours.as_mut(), theirs) {
        (Some(ours), Some(theirs)) => merge(ours, theirs),
        (None, theirs) => *ours = theirs,
        (Some(_), None) => {}
    }
}

impl StatePartial {
    /// Adds another split of the same state.
    pub fn merge(&mut self, other: Self) {
        self.live.merge(&other.live);
        self.row_bytes.merge(&other.row_bytes);
        self.element_bytes.merge(&other.element_bytes);
        self.keys.merge(other.keys);
        self.pairs = self.pairs.saturating_add(other.pairs);
        self.edge_pairs.extend(other.edge_pairs);
        merge_maps(&mut self.groups, other.groups, |a, b| a.merge(&b));
        merge_options(&mut self.ages, other.ages, |a, b| a.merge(&b));
        merge_maps(&mut self.expired, other.expired, |a, b| a.merge(&b));
        self.kryo.merge(&other.kryo);
        merge_options(&mut self.timers, other.timers, |a, b| a.merge(&b));
        merge_maps(&mut self.not_walked, other.not_walked, NotWalkedTotals::merge);
    }
}

/// The keys of an operator over all its states but timers: of one split, of several of one handle or, without those at
/// edges of splits, of any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPartial {
    /// The keys.
    pub keys: KeysPartial,
    /// Whether some are missing, as a temporary file failed.
    pub incomplete: bool,
}

impl OperatorPartial {
    /// Adds another split of the same operator.
    pub fn merge(&mut self, other: Self) {
        self.incomplete |= other.incomplete;
        self.keys.merge(other.keys);
    }
}

/// What is to be known of each handle of a state apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlePartial {
    /// Sums over all rows.
    pub live: LiveTotals,
    /// Keys at the edges of splits.
    pub edge_keys: EdgeKeys,
    /// Pairs of key and namespace at the edges of splits.
    pub edge_pairs: BTreeSet<KeyBytes>,
    /// The first row that could not be divided further, as in [`NotWalkedTotals::example`].
    pub examples: BTreeMap<Problem, (KeyBytes, u64)>,
}

impl HandlePartial {
    /// Takes from the live view of a split what is to stay with its handle.
    fn take(partial: &mut StatePartial) -> Self {
        let examples = partial.not_walked.iter();
        Self {
            live: partial.live,
            examples: examples.map(|(problem, totals)| (*problem, totals.example.clone())).collect(),
            edge_keys: partial.keys.take_edges(),
            edge_pairs: std::mem::take(&mut partial.edge_pairs),
        }
    }

    /// Adds other splits of the same handle.
    fn merge(&mut self, other: Self) {
        self.live.merge(&other.live);
        self.edge_keys.merge(other.edge_keys);
        self.edge_pairs.extend(other.edge_pairs);
        merge_maps(&mut self.examples, other.examples, |ours, theirs| {
            if theirs < *ours {
                *ours = theirs;
            }
        });
    }
}

/// Everything that splits yielded. What takes memory is kept once for all handles of a state or operator: there may be
/// thousands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalysisPartial {
    /// The live view of each state, by index of the operator in the snapshot and name, without what lies at edges.
    #[serde(with = "pairs")]
    pub states: BTreeMap<(u32, String), StatePartial>,
    /// What of it is kept for each handle.
    #[serde(with = "pairs")]
    pub handles: BTreeMap<StateKey, HandlePartial>,
    /// The physical view.
    #[serde(with = "pairs")]
    pub tallies: BTreeMap<TallyKey, PhysicalTally>,
    /// What streams of key groups hold.
    #[serde(with = "pairs")]
    pub streams: BTreeMap<StateKey, StreamTally>,
    /// What changes of changelogs did, by index of the operator in the snapshot and name of the state.
    #[serde(with = "pairs")]
    pub changes: BTreeMap<(u32, String), ChangesTally>,
    /// Keys over all states of an operator, by its index, without those at edges.
    #[serde(with = "pairs")]
    pub operators: BTreeMap<u32, OperatorPartial>,
    /// The keys at edges.
    #[serde(with = "pairs")]
    pub operator_edges: BTreeMap<HandleKey, EdgeKeys>,
    /// Sampled blocks, compressed in other ways (`--what-if compression`).
    #[serde(with = "pairs")]
    pub samples: BTreeMap<StateKey, CompressionSample>,
}

impl AnalysisPartial {
    /// Adds the live view of a split.
    pub fn add_state(&mut self, key: StateKey, mut partial: StatePartial) {
        let handle = HandlePartial::take(&mut partial);
        let state = (key.operator, key.state.clone());
        merge_maps(&mut self.handles, BTreeMap::from([(key, handle)]), HandlePartial::merge);
        merge_maps(&mut self.states, BTreeMap::from([(state, partial)]), StatePartial::merge);
    }

    /// Adds what was counted in files.
    pub fn add_tally(&mut self, key: TallyKey, tally: &PhysicalTally) {
        self.tallies.entry(key).or_default().merge(tally);
    }

    /// Adds what was counted in a stream.
    pub fn add_stream(&mut self, key: StateKey, tally: &StreamTally) {
        self.streams.entry(key).or_default().merge(tally);
    }

    /// Adds what changes did to a state.
    pub fn add_changes(&mut self, operator: u32, state: String, tally: &ChangesTally) {
        self.changes.entry((operator, state)).or_default().merge(tally);
    }

    /// Adds the keys of a split.
    pub fn add_operator(&mut self, key: HandleKey, mut partial: OperatorPartial) {
        self.operator_edges.entry(key).or_default().merge(partial.keys.take_edges());
        let operator = BTreeMap::from([(key.operator, partial)]);
        merge_maps(&mut self.operators, operator, OperatorPartial::merge);
    }

    /// Adds sampled blocks.
    pub fn add_sample(&mut self, key: StateKey, sample: CompressionSample) {
        merge_maps(&mut self.samples, BTreeMap::from([(key, sample)]), CompressionSample::merge);
    }

    /// Adds what other splits yielded.
    pub fn merge(&mut self, other: Self) {
        merge_maps(&mut self.states, other.states, StatePartial::merge);
        merge_maps(&mut self.handles, other.handles, HandlePartial::merge);
        merge_maps(&mut self.tallies, other.tallies, |a, b| a.merge(&b));
        merge_maps(&mut self.streams, other.streams, |a, b| a.merge(&b));
        merge_maps(&mut self.changes, other.changes, |a, b| a.merge(&b));
        merge_maps(&mut self.operators, other.operators, OperatorPartial::merge);
        merge_maps(&mut self.operator_edges, other.operator_edges, EdgeKeys::merge);
        merge_maps(&mut self.samples, other.samples, CompressionSample::merge);
    }
}

/// Maps as lists of pairs: keys of JSON are texts, and these are not.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
