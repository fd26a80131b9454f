//! What the analyzers of `analyze` cost for each row: all of them together, without decoding.
//!
//! `cargo bench --bench analysis`; `-- --smoke` makes everything a hundred times smaller.
#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::time::Instant;

use statescope::analyzers::analysis::{
    ReferenceTime, Settings, StateAccumulator, StatePlan, TableFacts, TtlArgument, Witness,
};
use statescope::model::{KeyGroupRange, KeyedDetails, KeyedLayout, Operator, OperatorId};
use statescope_formats::Cursor;
use statescope_formats::flink::serializer::{SerializerSnapshot, read_versioned};
use statescope_formats::flink::state_meta::{
    KeyedBackendMeta, KeyedStateType, SerializerKey, StateKind, StateMetaInfo,
};

const NOW: i64 = 1_700_000_000_000;
const DAY: i64 = 24 * 3_600_000;

fn versioned(class: &str, payload: &[u8]) -> Vec<u8> {
    let class = format!("org.apache.flink.{class}");
    let length = u16::try_from(class.len()).expect("a short name").to_be_bytes();
    [&length, class.as_bytes(), &3i32.to_be_bytes(), payload].concat()
}

fn basic(name: &str) -> Vec<u8> {
    versioned(&format!("api.common.typeutils.base.{name}Serializer${name}SerializerSnapshot"), &[])
}

fn composite(class: &str, children: &[Vec<u8>]) -> Vec<u8> {
    let count = i32::try_from(children.len()).expect("few");
    let head = [911_108, 1, 1_333_245, 1, count].map(i32::to_be_bytes).concat();
    versioned(class, &[head, children.concat()].concat())
}

fn ttl(value: Vec<u8>) -> Vec<u8> {
    composite("runtime.state.ttl.TtlStateFactory$TtlSerializerSnapshot", &[basic("Long"), value])
}

fn parsed(bytes: &[u8]) -> SerializerSnapshot {
    let read = read_versioned(&mut Cursor::new(bytes));
    assert!(read.snapshot.is_complete(), "{:?}", read.snapshot);
    read.snapshot
}

fn plan(key: &[u8], kind: StateKind, value: &[u8]) -> StatePlan {
    let namespace = versioned("runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot", &[]);
    let state = StateMetaInfo {
        name: "state".to_owned(),
        kind,
        distribution_mode: None,
        options: Vec::new(),
        serializers: vec![
            (SerializerKey::Namespace, parsed(&namespace)),
            (SerializerKey::Value, parsed(value)),
        ],
        offset: 0,
        length: None,
    };
    let meta = KeyedBackendMeta {
        version: 6,
        compressed: false,
        key_serializer: parsed(key),
        states: vec![state],
        skipped: Vec::new(),
        end: None,
        error: None,
    };
    let operator = Operator {
        id: OperatorId([0; 16]),
        name: None,
        uid: None,
        parallelism: 1,
        max_parallelism: 128,
        coordinator: None,
        fully_finished: false,
        subtasks: Vec::new(),
    };
    let details = KeyedDetails {
        operator: 0,
        subtask: 0,
        key_groups: KeyGroupRange { start: 0, count: 128 },
        layout: KeyedLayout::Database,
        meta: Some(Arc::new(meta)),
        raw_timers: None,
        stream: None,
        changes: None,
        only_in_changes: Vec::new(),
        database: None,
    };
    let mut settings = Settings::new(ReferenceTime { at_ms: NOW, witness: Witness::Given });
    settings.ttl = vec![TtlArgument { state: None, ttl_ms: 7 * DAY.unsigned_abs() }];
    StatePlan::compile(&operator, &details, "state", &settings)
}

/// Rows one behind the other, as a scan hands them over: key, its length in common with the one before, value.
struct Rows {
    bytes: Vec<u8>,
    rows: Vec<(usize, usize, usize, usize)>,
}

impl Rows {
    fn new(rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let mut made = Self { bytes: Vec::new(), rows: Vec::new() };
        let mut before: Vec<u8> = Vec::new();
        for (key, value) in rows {
            let shared = key.iter().zip(&before).take_while(|(a, b)| a == b).count();
            made.rows.push((made.bytes.len(), key.len(), shared, value.len()));
            made.bytes.extend_from_slice(&key);
            made.bytes.extend_from_slice(&value);
            before = key;
        }
        made
    }

    /// The best of five runs, in nanoseconds for each row.
    fn measure(&self, plan: &StatePlan) -> f64 {
        let tables: Arc<[TableFacts]> =
            Arc::from([TableFacts { number: 1, level: 1, creation_time: 1_690_000_000 }]);
        let run = || {
            let start = Instant::now();
            let mut accumulator = StateAccumulator::new(plan, Arc::clone(&tables));
            for &(at, key, shared, value) in &self.rows {
                let row = self.bytes.get(at..at + key + value).expect("a row");
                let (key, value) = row.split_at(key);
                std::hint::black_box(accumulator.put(key, shared, value, 0));
            }
            std::hint::black_box(accumulator.finish());
            start.elapsed().as_secs_f64() * 1e9 / self.rows.len() as f64
        };
        (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
    }
}

/// A number that looks random.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 8
}

fn string(n: u64) -> Vec<u8> {
    let text = format!("item-{n:010}");
    [&[u8::try_from(text.len() + 1).expect("short")], text.as_bytes()].concat()
}

fn key(n: u64, of: u64, key: &[u8]) -> Vec<u8> {
    let group = u8::try_from(n * 128 / of).expect("a key group");
    [&[group], key, &[0]].concat()
}

fn stamp(n: u64) -> [u8; 8] {
    let age = i64::try_from(mixed(n) % 2_592_000_000).expect("a month");
    (NOW - age).to_be_bytes()
}

fn main() {
    let smoke = std::env::args().any(|arg| arg == "--smoke");
    let rows: u64 = if smoke { 20_000 } else { 2_000_000 };
    let long = basic("Long");
    let text = basic("String");
    let of = |kind| StateKind::KeyValue(kind);
    let map = |value: Vec<u8>| {
        composite("api.common.typeutils.base.MapSerializerSnapshot", &[basic("String"), value])
    };
    let list = composite("api.common.typeutils.base.ListSerializerSnapshot", &[ttl(basic("Long"))]);
    let print =
        |what: &str, rows: Rows, plan: StatePlan| println!("{what:58} {:6.1} ns a row", rows.measure(&plan));

    let entries = |stamped: bool| {
        Rows::new((0..rows).map(move |n| {
            let user_key = key(n / 1000, rows / 1000, &(n / 1000).to_be_bytes());
            let stamp = if stamped { stamp(n).to_vec() } else { Vec::new() };
            ([user_key, string(n)].concat(), [&[0][..], &stamp, &n.to_be_bytes()].concat())
        }))
    };
    print(
        "map, 1000 entries a key",
        entries(false),
        plan(&long, of(KeyedStateType::Map), &map(basic("Long"))),
    );
    print("the same with TTL", entries(true), plan(&long, of(KeyedStateType::Map), &map(ttl(basic("Long")))));
    let values = |text: bool| {
        Rows::new((0..rows).map(move |n| {
            let serialized = if text { string(n) } else { n.to_be_bytes().to_vec() };
            (key(n, rows, &serialized), [stamp(n), n.to_be_bytes()].concat())
        }))
    };
    let value = ttl(basic("Long"));
    print("value with TTL, keyed by Long", values(false), plan(&long, of(KeyedStateType::Value), &value));
    print("value with TTL, keyed by String", values(true), plan(&text, of(KeyedStateType::Value), &value));
    let lists = Rows::new((0..rows).map(|n| {
        let element = [stamp(n), n.to_be_bytes()].concat();
        (key(n, rows, &n.to_be_bytes()), vec![element; 5].join(&b","[..]))
    }));
    print("list of 5 elements with TTL", lists, plan(&long, of(KeyedStateType::List), &list));
    let timer = composite(
        "streaming.api.operators.TimerSerializerSnapshot",
        &[
            basic("Long"),
            versioned("runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot", &[]),
        ],
    );
    let timers = Rows::new((0..rows).map(|n| {
        let group = u8::try_from(n * 128 / rows).expect("a key group");
        let time = (NOW + i64::try_from(n).expect("small")) ^ i64::MIN;
        let key = mixed(n) % 100_000;
        ([&[group][..], &time.to_be_bytes(), &key.to_be_bytes(), &[0]].concat(), Vec::new())
    }));
    print("timers of 100,000 keys", timers, plan(&long, StateKind::PriorityQueue, &timer));
}
