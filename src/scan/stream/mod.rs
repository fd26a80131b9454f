//! Reads handles that are streams of key groups: canonical savepoints, checkpoints of the heap backend, full checkpoints
//! of RocksDB before 1.16, and timers in raw keyed state.
//!
//! A split is a range of key groups. Its bytes come in pieces, each asked for once, and go through
//! [`GroupBytes`](bytes::GroupBytes) to the decoder of the kind, which makes rows of them as RocksDB has them. Those of
//! a state in a key group go through a [`Sorter`](super::sorter::Sorter) where they do not come in order, and from there to the
//! same accumulators as rows of tables. States follow one another within a key group, so the keys of an operator are
//! added up key group by key group.

mod bytes;
mod check;
mod read;
mod split;

use std::collections::HashMap;
use std::ops::Range;

use statescope_formats::Error as FormatError;
use statescope_formats::flink::full_snapshot::{
    CanonicalGroup, EmptyGroup, HeapGroup, HeapLayout, TimerGroup, extents,
};
use statescope_formats::flink::key::KeyGroupPrefix;
use statescope_formats::flink::value::KryoVersion;

pub(super) use self::check::{CheckedStream, check};
pub(super) use self::split::StreamSplit;
use super::plan::KeyRange;
use super::{Input, SelectFn};
use crate::analyzers::analysis::StatePlan;
use crate::model::{FileId, KeyedDetails, KeyedLayout, Operator, Snapshot};
use crate::readers::source::Source;

/// From this version of `_metadata` on, which Flink 1.16 writes, RocksDB writes no streams but canonical savepoints.
const HEAP_ONLY: i32 = 4;

/// A handle that is a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) source: Source,
    /// What the stream is called in messages.
    pub(super) name: String,
    kind: Kind,
    compressed: bool,
    prefix: KeyGroupPrefix,
    /// Key groups in ascending order, without those that are empty.
    groups: Vec<Group>,
    /// Of each state of the stream, by its id, which of those it is that are scanned.
    states: Vec<Option<usize>>,
}

/// How key groups are laid out.
#[derive(Debug)]
enum Kind {
    Canonical,
    Heap(HeapLayout),
    /// One or the other of these, which the first bytes of a key group tell.
    Unclear(HeapLayout),
    /// With the names of the services.
    Timers(Vec<String>),
}

/// A key group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u32,
    /// Where it lies, or why that is nowhere.
    pub(super) extent: Result<Range<u64>, FormatError>,
}

impl Group {
    pub(super) fn bytes(&self) -> u64 {
        self.extent.as_ref().map_or(0, |extent| extent.end.saturating_sub(extent.start))
    }
}

/// What a stream is read with.
enum Decoder<'s> {
    Canonical(CanonicalGroup),
    Heap(HeapGroup<'s>),
    Timers(Box<TimerGroup<'s>>),
}

impl Stream {
    /// The stream of a handle with the states that are selected: their names and plans.
    pub(super) fn plan(
        input: &Input<'_>,
        operator: &Operator,
        keyed: &KeyedDetails,
        select: SelectFn<'_>,
    ) -> Option<(Self, Vec<(String, StatePlan)>)> {
        let mut plans = Vec::new();
        let mut plan = |name: &str| {
            plans.push((name.to_owned(), StatePlan::compile(operator, keyed, name, input.settings)));
            plans.len().saturating_sub(1)
        };
        let stream = Self::new(input.snapshot, input.tables, operator, keyed, &mut |name| {
            select(keyed.operator, name).then(|| plan(name))
        })?;
        (!plans.is_empty()).then_some((stream, plans))
    }

    /// The stream of a handle; `states` says which of its states is scanned as which.
    pub(super) fn new(
        snapshot: &Snapshot,
        tables: &HashMap<FileId, Source>,
        operator: &Operator,
        keyed: &KeyedDetails,
        states: &mut dyn FnMut(&str) -> Option<usize>,
    ) -> Option<Self> {
        let stream = keyed.stream.as_ref()?;
        let meta = keyed.meta.as_deref()?;
        let own;
        let meta = if keyed.only_in_changes.is_empty() {
            meta
        } else {
            let mut cut = meta.clone();
            cut.states.truncate(meta.states.len().saturating_sub(keyed.only_in_changes.len()));
            own = cut;
            &own
        };
        // Where it could not be read, that is told already.
        let source = tables.get(&stream.file)?;
        let prefix = KeyGroupPrefix::of_max_parallelism(operator.max_parallelism);
        let kryo = KryoVersion::of_metadata_version(snapshot.metadata_version);
        let (kind, empty) = match keyed.layout {
            KeyedLayout::Database | KeyedLayout::Changes => return None,
            KeyedLayout::Canonical => (Kind::Canonical, EmptyGroup::Zero),
            // To 1.15, RocksDB writes canonical streams with the same handles. A heap has all its key groups.
            KeyedLayout::Stream if snapshot.metadata_version >= HEAP_ONLY => {
                (Kind::Heap(HeapLayout::new(operator.max_parallelism, meta, kryo)), EmptyGroup::Zero)
            }
            KeyedLayout::Stream if stream.offsets.contains(&0) => (Kind::Canonical, EmptyGroup::Zero),
            KeyedLayout::Stream => {
                (Kind::Unclear(HeapLayout::new(operator.max_parallelism, meta, kryo)), EmptyGroup::Zero)
            }
            KeyedLayout::Raw => {
                let services = keyed.raw_timers.iter().flat_map(|timers| &timers.services);
                let names = services.map(|service| service.name.clone()).collect();
                (Kind::Timers(names), EmptyGroup::Negative)
            }
        };
        let last = keyed.key_groups.last()?;
        let found = extents(&stream.offsets, stream.size, empty);
        let groups = (stream.first..)
            .zip(found)
            .filter_map(|(number, extent)| Some(Group { number, extent: extent? }));
        let name = match source {
            Source::Object { location, .. } => location.to_string(),
            Source::Memory { .. } => {
                snapshot.file(stream.file).map_or_else(String::new, |file| file.place.to_string())
            }
        };
        Some(Self {
            source: source.clone(),
            name,
            kind,
            compressed: meta.compressed,
            prefix,
            groups: groups.filter(|group| (keyed.key_groups.start..=last).contains(&group.number)).collect(),
            states: meta.states.iter().map(|state| states(&state.name)).collect(),
        })
    }

    /// Bytes of all its key groups.
    pub(super) fn bytes(&self) -> u64 {
        self.groups.iter().map(Group::bytes).fold(0, u64::saturating_add)
    }

    /// Cuts the key groups of a handle into ranges of about so many bytes.
    pub(super) fn ranges(&self, (first, last): (u32, u32), bytes: u64) -> Vec<KeyRange> {
        let prefix = self.prefix.bytes();
        let (mut ranges, mut begin, mut sum) = (Vec::new(), first, 0u64);
        for group in &self.groups {
            if sum >= bytes {
                ranges.push(KeyRange::of_key_groups(prefix, begin, group.number.saturating_sub(1)));
                (begin, sum) = (group.number, 0);
            }
            sum = sum.saturating_add(group.bytes());
        }
        ranges.push(KeyRange::of_key_groups(prefix, begin, last));
        ranges
    }

    /// The key groups of a range.
    fn groups_in(&self, range: &KeyRange) -> impl Iterator<Item = &Group> + Clone + use<'_> {
        let prefix = self.prefix.bytes();
        let begin = |group: &Group| KeyRange::of_key_groups(prefix, group.number, group.number).low;
        let from = self.groups.partition_point(|group| begin(group) < range.low);
        let to =
            self.groups.partition_point(|group| range.high.as_ref().is_none_or(|high| begin(group) < *high));
        self.groups.get(from..to).unwrap_or_default().iter()
    }

    /// Bytes of the key groups of a range.
    pub(super) fn bytes_in(&self, range: &KeyRange) -> u64 {
        self.groups_in(range).map(Group::bytes).fold(0, u64::saturating_add)
    }

    /// How its entries are laid out if it is of the heap backend; `unclear` says whether one is of which that is not known.
    fn heap(&self, unclear: bool) -> Option<&HeapLayout> {
        match &self.kind {
            Kind::Heap(layout) => Some(layout),
            Kind::Unclear(layout) => unclear.then_some(layout),
            Kind::Canonical | Kind::Timers(_) => None,
        }
    }

    /// Decodes a key group, whose first byte is said to have this offset.
    fn decoder<'s>(&'s self, heap: Option<&'s HeapLayout>, key_group: u32, at: u64) -> Decoder<'s> {
        match (&self.kind, heap) {
            (_, Some(layout)) => Decoder::Heap(HeapGroup::new(layout, key_group, at)),
            (Kind::Canonical | Kind::Heap(_) | Kind::Unclear(_), None) => {
                Decoder::Canonical(CanonicalGroup::new(key_group, self.prefix, self.states.len(), at))
            }
            (Kind::Timers(services), None) => {
                Decoder::Timers(Box::new(TimerGroup::new(services, key_group, self.prefix, at)))
            }
        }
    }
}
