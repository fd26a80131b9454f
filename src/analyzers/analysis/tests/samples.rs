//! States with rows of every kind, and a naive account of what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;

use proptest::prelude::*;
use statescope_formats::Cursor;
use statescope_formats::flink::key::KeyGroupPrefix;
use statescope_formats::flink::serializer::{SerializerSnapshot, read_versioned};
use statescope_formats::flink::state_meta::{
    KeyedBackendMeta, KeyedStateType, SerializerKey, StateKind, StateMetaInfo,
};

use crate::analyzers::analysis::partial::{GroupTotals, LiveTotals};
use crate::analyzers::analysis::{
    ClassTotals, ExpiredTotals, KeyTotals, ReferenceTime, Settings, Spill, StateAccumulator, StatePartial,
    StatePlan, TableFacts, TtlArgument, WHAT_IF_TTL_MS, Witness,
};

// ---- serializers, as snapshots hold them ---------------------------------------------------------------------------

fn utf(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn versioned(class: &str, version: i32, payload: &[u8]) -> Vec<u8> {
    [utf(&format!("org.apache.flink.{class}")), version.to_be_bytes().to_vec(), payload.to_vec()].concat()
}

pub(super) fn basic(name: &str) -> Vec<u8> {
    let class = format!("api.common.typeutils.base.{name}Serializer${name}SerializerSnapshot");
    versioned(&class, 3, &[])
}

fn composite(class: &str, outer: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for n in [0x000D_E704, 1] {
        payload.extend_from_slice(&i32::to_be_bytes(n));
    }
    payload.extend_from_slice(outer);
    for n in [0x0014_57FD, 1, i32::try_from(children.len()).unwrap()] {
        payload.extend_from_slice(&n.to_be_bytes());
    }
    payload.extend(children.concat());
    versioned(class, 3, &payload)
}

pub(super) fn ttl(value: Vec<u8>) -> Vec<u8> {
    composite("runtime.state.ttl.TtlStateFactory$TtlSerializerSnapshot", &[], &[basic("Long"), value])
}

pub(super) fn list(element: Vec<u8>) -> Vec<u8> {
    composite("api.common.typeutils.base.ListSerializerSnapshot", &[], &[element])
}

pub(super) fn map(key: Vec<u8>, value: Vec<u8>) -> Vec<u8> {
    composite("api.common.typeutils.base.MapSerializerSnapshot", &[], &[key, value])
}

pub(super) fn timer(key: Vec<u8>, namespace: Vec<u8>) -> Vec<u8> {
    composite("streaming.api.operators.TimerSerializerSnapshot", &[], &[key, namespace])
}

pub(super) fn either(left: Vec<u8>, right: Vec<u8>) -> Vec<u8> {
    composite("api.java.typeutils.runtime.JavaEitherSerializerSnapshot", &[], &[left, right])
}

pub(super) fn kryo(class: &str) -> Vec<u8> {
    let empty = [&0x0000_04F2_C69A_3D70u64.to_be_bytes()[..], &[0; 4]].concat();
    let payload = [utf(class), empty.clone(), empty.clone(), empty].concat();
    versioned("api.java.typeutils.runtime.kryo.KryoSerializerSnapshot", 2, &payload)
}

pub(super) fn void_namespace() -> Vec<u8> {
    versioned("runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot", 3, &[])
}

pub(super) fn time_window() -> Vec<u8> {
    let class = "streaming.api.windowing.windows.TimeWindow$Serializer$TimeWindowSerializerSnapshot";
    versioned(class, 3, &[])
}

pub(super) fn parsed(bytes: &[u8]) -> SerializerSnapshot {
    let read = read_versioned(&mut Cursor::new(bytes));
    assert!(read.stop.is_none() && read.snapshot.is_complete(), "{:?}", read.snapshot);
    read.snapshot
}

// ---- a state and its rows ------------------------------------------------------------------------------------------

/// A state, and what its values are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Key Long, value Long with TTL.
    Value,
    /// Key String, user key Long, value String with TTL, some null.
    Map,
    /// Key Long, elements String with TTL, many in parts.
    List,
    /// Key String, namespace TimeWindow.
    Timers,
    /// Key Kryo, namespace TimeWindow, value Kryo.
    Kryo,
    /// Key String, namespace String: with lengths behind them.
    Ambiguous,
    /// Key Long, user key either Long or Kryo, value either Kryo or Long.
    MaybeKryo,
    /// Key Long, elements by Kryo.
    KryoList,
    /// Nothing is known of it.
    NotDescribed,
}

pub(super) const SHAPES: [Shape; 9] = [
    Shape::Value,
    Shape::Map,
    Shape::List,
    Shape::Timers,
    Shape::Kryo,
    Shape::Ambiguous,
    Shape::MaybeKryo,
    Shape::KryoList,
    Shape::NotDescribed,
];

pub(super) const STATE: &str = "state";
pub(super) const NOW: i64 = 10_000_000_000;
pub(super) const TTL: i64 = 6 * 3_600_000;

impl Shape {
    fn key(self) -> Vec<u8> {
        match self {
            Self::Map | Self::Timers | Self::Ambiguous => basic("String"),
            Self::Kryo => kryo("a.Key"),
            _ => basic("Long"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        if self == Self::Timers { "_timer_state/processing_user-timers" } else { STATE }
    }

    pub(super) fn meta(self) -> KeyedBackendMeta {
        use KeyedStateType as T;
        let namespace = match self {
            Self::Timers | Self::Kryo => time_window(),
            Self::Ambiguous => basic("String"),
            _ => void_namespace(),
        };
        let (kind, value) = match self {
            Self::Value => (StateKind::KeyValue(T::Value), ttl(basic("Long"))),
            Self::Map => (StateKind::KeyValue(T::Map), map(basic("Long"), ttl(basic("String")))),
            Self::List => (StateKind::KeyValue(T::List), list(ttl(basic("String")))),
            Self::Timers => (StateKind::PriorityQueue, timer(self.key(), namespace.clone())),
            Self::Kryo => (StateKind::KeyValue(T::Value), kryo("a.Value")),
            Self::Ambiguous | Self::NotDescribed => (StateKind::KeyValue(T::Reducing), basic("String")),
            Self::MaybeKryo => {
                let user_key = either(basic("Long"), kryo("a.UserKey"));
                (StateKind::KeyValue(T::Map), map(user_key, either(kryo("a.Value"), basic("Long"))))
            }
            Self::KryoList => (StateKind::KeyValue(T::List), list(ttl(kryo("a.Element")))),
        };
        let mut serializers = vec![(SerializerKey::Value, parsed(&value))];
        if kind != StateKind::PriorityQueue {
            serializers.insert(0, (SerializerKey::Namespace, parsed(&namespace)));
        }
        let state = StateMetaInfo {
            name: self.name().to_owned(),
            kind,
            distribution_mode: None,
            options: Vec::new(),
            serializers,
            offset: 0,
            length: None,
        };
        KeyedBackendMeta {
            version: 6,
            compressed: false,
            key_serializer: parsed(&self.key()),
            states: if self == Self::NotDescribed { Vec::new() } else { vec![state] },
            skipped: Vec::new(),
            end: None,
            error: None,
        }
    }

    pub(super) fn plan(self) -> StatePlan {
        StatePlan::new(KeyGroupPrefix::One, Some(&self.meta()), self.name(), b",".to_vec(), &settings())
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        ttl: vec![TtlArgument { state: None, ttl_ms: TTL.unsigned_abs() }],
        top: 5,
        parallelisms: vec![1, 3],
        ..Settings::new(ReferenceTime { at_ms: NOW, witness: Witness::Given })
    }
}

/// Level, and the second of creation: in the third table, everything was already expired when it was written.
pub(super) fn tables() -> Arc<[TableFacts]> {
    let table = |number, level, creation_time| TableFacts { number, level, creation_time };
    Arc::from([
        table(7, 0, 10_000_000),
        table(8, 2, (NOW / 1000 - 5 * 3600).unsigned_abs()),
        table(9, 6, 0),
        table(5, 2, 10_000_000),
    ])
}

/// A row as it was made, before it is bytes.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) group: u8,
    pub(super) key: Vec<u8>,
    pub(super) pair: Vec<u8>,
    pub(super) composite: Vec<u8>,
    pub(super) time: i64,
    /// Its parts, the newest first, each with its elements' bytes and times.
    pub(super) parts: Vec<Part>,
    pub(super) merged: bool,
    pub(super) kryo_key: usize,
    pub(super) kryo_value: usize,
    pub(super) kryo: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) table: u32,
    pub(super) elements: Vec<(Option<i64>, Vec<u8>)>,
}

impl Part {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.elements.iter().map(|e| e.1.clone()).collect::<Vec<_>>().join(&b","[..])
    }
}

impl Row {
    fn value_bytes(&self) -> usize {
        self.parts.iter().map(|p| p.bytes().len()).sum::<usize>() + self.parts.len().saturating_sub(1)
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.composite.len() + self.value_bytes()) as u64
    }

    pub(super) fn entries(&self, shape: Shape) -> u64 {
        match shape {
            Shape::List => self.parts.iter().map(|p| p.elements.len() as u64).sum(),
            // One is known of each part.
            Shape::KryoList => self.parts.len() as u64,
            _ => 1,
        }
    }
}

/// What rows are made of, as proptest makes it up.
pub(super) type Seed = (u8, u8, u8, u8, Vec<(u8, u8, i64)>);

pub(super) fn seeds(most: usize) -> impl Strategy<Value = Vec<Seed>> {
    let time = prop_oneof![0..NOW + 1000, NOW - 2 * TTL..NOW, Just(i64::MAX), Just(NOW - TTL), Just(NOW)];
    let parts = prop::collection::vec((0u8..4, 0u8..4, time), 1..4);
    prop::collection::vec((0u8..3, 0u8..5, 0u8..3, 0u8..4, parts), 0..most)
}

fn string(length: u8) -> Vec<u8> {
    [vec![length + 1], vec![b'a' + length; usize::from(length)]].concat()
}

fn row(shape: Shape, seed: &Seed) -> Row {
    let (group, key, namespace, user_key, parts) = seed;
    let time = parts[0].2;
    // Kryo's bytes are whatever they are; here no key is the beginning of another.
    let key = match shape {
        Shape::Map | Shape::Timers | Shape::Ambiguous => string(*key),
        Shape::Kryo => [vec![*key; usize::from(*key) + 1], vec![0xff]].concat(),
        _ => u64::from(*key).to_be_bytes().to_vec(),
    };
    let namespace = match shape {
        Shape::Timers | Shape::Kryo => [0, *namespace].map(|n| u64::from(n).to_be_bytes()).concat(),
        Shape::Ambiguous => string(*namespace),
        _ => vec![0],
    };
    let user_key = match shape {
        Shape::Map => u64::from(*user_key).to_be_bytes().to_vec(),
        Shape::MaybeKryo if user_key % 2 == 0 => vec![0, *user_key, 1],
        Shape::MaybeKryo => [&[1][..], &u64::from(*user_key).to_be_bytes()].concat(),
        _ => Vec::new(),
    };
    let with_length = |bytes: &[u8]| match shape {
        Shape::Ambiguous => [bytes, &[u8::try_from(bytes.len()).unwrap()]].concat(),
        _ => bytes.to_vec(),
    };
    let head = match shape {
        Shape::Timers => [&[*group][..], &(time ^ i64::MIN).to_be_bytes()].concat(),
        _ => vec![*group],
    };
    let pair = [head, with_length(&key), with_length(&namespace)].concat();
    let composite = [&pair[..], &user_key].concat();
    let stamped = |time: i64, rest: &[u8]| [&time.to_be_bytes()[..], rest].concat();
    let one = |bytes: Vec<u8>, time| vec![Part { table: parts[0].0.into(), elements: vec![(time, bytes)] }];
    let is_null = parts[0].1 == 3;
    let is_long = parts[0].1 % 2 == 0;
    let mut kryo_value = 0;
    let parts = match shape {
        Shape::Value => one(stamped(time, &[0; 8]), Some(time)),
        Shape::Map if is_null => one(vec![1], None),
        Shape::Map => one([&[0][..], &stamped(time, &string(parts[0].1))].concat(), Some(time)),
        Shape::Timers => one(Vec::new(), None),
        Shape::List | Shape::KryoList => {
            let part = |(table, length, time): &(u8, u8, i64)| {
                let elements = (0..*length).map(|n| {
                    let time = time.saturating_sub(i64::from(n) * 1_000_000);
                    (Some(time), stamped(time, &string(n)))
                });
                // Empty parts have no element.
                let elements: Vec<_> = elements.collect();
                let none = elements.is_empty() && shape == Shape::KryoList;
                let least = (Some(*time), stamped(*time, &[b',', 9]));
                Part { table: (*table).into(), elements: if none { vec![least] } else { elements } }
            };
            parts.iter().map(part).collect()
        }
        Shape::Kryo => {
            kryo_value = usize::from(parts[0].1);
            one(vec![7; kryo_value], None)
        }
        Shape::Ambiguous | Shape::NotDescribed => one(string(parts[0].1), None),
        Shape::MaybeKryo if is_null => one(vec![1], None),
        Shape::MaybeKryo if is_long => one([&[0, 0][..], &[5; 8]].concat(), None),
        Shape::MaybeKryo => one(vec![0, 1, 4], None),
    };
    let merged = parts.len() > 1;
    let any_element = parts.iter().any(|p| !p.elements.is_empty());
    let kryo = match shape {
        Shape::Kryo => true,
        Shape::KryoList => any_element,
        Shape::MaybeKryo => user_key[0] == 0 || (!is_null && !is_long),
        _ => false,
    };
    let kryo_key = if shape == Shape::Kryo { key.len() } else { 0 };
    Row {
        group: *group,
        key: [&[*group][..], &key].concat(),
        pair,
        composite,
        time,
        parts,
        merged,
        kryo_key,
        kryo_value,
        kryo,
    }
}

/// Rows with distinct composite keys, in their order.
pub(super) fn rows(shape: Shape, seeds: &[Seed]) -> Vec<Row> {
    let rows = seeds.iter().map(|seed| row(shape, seed)).map(|row| (row.composite.clone(), row));
    rows.collect::<BTreeMap<_, _>>().into_values().collect()
}

// ---- what passes through the accumulator ---------------------------------------------------------------------------

#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Vec<u8>>);

impl Spill for Runs {
    fn write_run(&mut self, run: &[u8]) -> io::Result<()> {
        self.0.push(run.to_vec());
        Ok(())
    }

    fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
        let runs = std::mem::take(&mut self.0).into_iter();
        Ok(runs.map(|run| Box::new(io::Cursor::new(run)) as Box<dyn Read + Send>).collect())
    }
}

pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Pushes a row; returns what of it is expired.
pub(super) fn push(accumulator: &mut StateAccumulator<'_>, row: &Row, shared: usize) -> u64 {
    if let ([part], false) = (row.parts.as_slice(), row.merged) {
        return accumulator.put(&row.composite, shared, &part.bytes(), part.table);
    }
    accumulator.begin(&row.composite, shared);
    let parts: u64 = row.parts.iter().map(|part| accumulator.part(&part.bytes(), part.table)).sum();
    parts + accumulator.end()
}

pub(super) fn of_split(plan: &StatePlan, rows: &[Row]) -> (StatePartial, u64) {
    let mut accumulator = StateAccumulator::new(plan, tables()).with_spill(Box::<Runs>::default());
    let (mut before, mut expired) = (&[][..], 0);
    for row in rows {
        expired += push(&mut accumulator, row, shared(before, &row.composite));
        before = &row.composite;
    }
    (accumulator.finish(), expired)
}

/// Where rows may be divided: anywhere, but those of timers between key groups only.
pub(super) fn splits<'r>(plan: &StatePlan, rows: &'r [Row], cuts: &[prop::sample::Index]) -> Vec<&'r [Row]> {
    let fits = |at: &usize| plan.divides_key_groups() || *at == 0 || rows[*at].group != rows[*at - 1].group;
    let cuts = cuts.iter().filter(|_| !rows.is_empty()).map(|cut| cut.index(rows.len())).filter(fits);
    let cuts: BTreeSet<usize> = cuts.chain([0, rows.len()]).collect();
    let cuts: Vec<usize> = cuts.into_iter().collect();
    cuts.windows(2).map(|pair| &rows[pair[0]..pair[1]]).collect()
}

// ---- the naive account ---------------------------------------------------------------------------------------------

/// Everything about rows, counted from all of them at once.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) live: LiveTotals,
    pub(super) keys: BTreeMap<Vec<u8>, KeyTotals>,
    pub(super) pairs: BTreeSet<Vec<u8>>,
    pub(super) groups: BTreeMap<u32, GroupTotals>,
    pub(super) times: Vec<(i64, u64)>,
    pub(super) without_timestamp: u64,
    pub(super) expired: BTreeMap<u32, ExpiredTotals>,
    pub(super) kryo: [u64; 4],
    pub(super) what_if: Vec<ClassTotals>,
    pub(super) due: Vec<i64>,
}

impl Naive {
    pub(super) fn new(shape: Shape, rows: &[Row]) -> Self {
        let mut naive = Self::default();
        for row in rows {
            naive.row(shape, row);
        }
        if shape == Shape::NotDescribed {
            naive.keys.clear();
            naive.pairs.clear();
        }
        for key in naive.keys.keys() {
            naive.groups.get_mut(&u32::from(key[0])).unwrap().keys += 1;
        }
        naive.what_if = WHAT_IF_TTL_MS
            .iter()
            .map(|ttl| {
                let old = naive.times.iter().filter(|(time, _)| (NOW - time).max(0).unsigned_abs() >= *ttl);
                ClassTotals { entries: old.clone().count() as u64, bytes: old.map(|(_, bytes)| bytes).sum() }
            })
            .collect();
        naive
    }

    fn row(&mut self, shape: Shape, row: &Row) {
        let (bytes, entries) = (row.bytes(), row.entries(shape));
        self.live.rows += 1;
        self.live.entries += entries;
        self.live.key_bytes += row.composite.len() as u64;
        self.live.value_bytes += row.value_bytes() as u64;
        self.keys.entry(row.key.clone()).or_default().merge(&KeyTotals { rows: 1, entries, bytes });
        self.pairs.insert(row.pair.clone());
        let group = GroupTotals { rows: 1, entries, bytes, keys: 0 };
        self.groups.entry(row.group.into()).or_default().merge(&group);
        if row.kryo {
            self.kryo[0] += 1;
            self.kryo[1] += bytes;
        }
        self.kryo[2] += row.kryo_key as u64;
        self.kryo[3] += row.kryo_value as u64;
        if shape == Shape::Timers {
            self.due.push(row.time);
        }
        let tables = tables();
        let is_list = matches!(shape, Shape::List | Shape::KryoList);
        let has_ttl = is_list || matches!(shape, Shape::Value | Shape::Map);
        let (mut known, mut expired, mut expired_bytes) = (0, 0, 0);
        for part in &row.parts {
            let facts = tables[part.table as usize];
            // Of a list by Kryo, the first element begins a part that nothing more is known of.
            let elements = if shape == Shape::KryoList { &part.elements[..1] } else { &part.elements };
            for (time, element) in elements.iter().filter(|_| has_ttl) {
                known += 1;
                let Some(time) = time else {
                    self.without_timestamp += 1;
                    continue;
                };
                let counted = match shape {
                    Shape::List => element.len() as u64,
                    Shape::KryoList => 0,
                    _ => bytes,
                };
                self.times.push((*time, counted));
                if *time <= NOW - TTL {
                    expired += 1;
                    expired_bytes += counted;
                    let level = self.expired.entry(facts.level).or_default();
                    level.entries += 1;
                    level.bytes += counted;
                    let written = i64::try_from(facts.creation_time).unwrap() * 1000 + 999;
                    let idle = facts.level > 0 && facts.creation_time > 0 && *time <= written - TTL;
                    level.when_written += u64::from(idle);
                }
            }
        }
        if expired > 0 && expired == known && shape != Shape::KryoList {
            let level = self.expired.entry(tables[row.parts[0].table as usize].level).or_default();
            level.rows += 1;
            level.bytes += bytes - expired_bytes;
        }
    }
}
