//! The figures of `analyze` against those who know them too: the job that wrote the state, RocksDB's tools, and a
//! naive account of the same rows. They are equal wherever equality is defined.

mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use statescope::analyzers::analysis::{
    Analysis, OperatorAnalysis, Physical, Problem, ReferenceTime, Settings, StateAnalysis, TtlArgument,
    Witness,
};
use statescope::model::KeyedContent;
use statescope::readers::snapshot::SnapshotReading;
use statescope::storage::LocalStorage;
use statescope_formats::flink::key::{KeyGroupPrefix, KeyLayout};
use statescope_formats::flink::state_meta::{KeyedBackendMeta, StateKind, StateMetaInfo};
use statescope_formats::flink::walk::{Elements, StateValueLayout};

use super::analyze::analysis;
use super::live::{scanned, scanned_in_part};
use super::scan::{read, settings};
use super::support::naive::{Database, databases};
use super::support::{Differences, Fixture, fixtures, list, number, text};

/// A snapshot that was analyzed.
struct Analyzed {
    fixture: &'static Fixture,
    path: String,
    truth: Value,
    reading: SnapshotReading,
    analysis: Analysis,
}

/// All snapshots of all fixtures, with [`settings`].
static ALL: LazyLock<Vec<Analyzed>> = LazyLock::new(|| {
    let of_fixture = |fixture: &'static Fixture| {
        fixture.truths().into_iter().map(move |(path, truth)| {
            let reading = read(&LocalStorage::new(), &fixture.at(&path));
            let analysis = analysis(&reading, settings());
            Analyzed { fixture, path, truth, reading, analysis }
        })
    };
    fixtures().iter().flat_map(of_fixture).collect()
});

impl Analyzed {
    fn label(&self) -> String {
        format!("{}/{}", self.fixture.name, self.path)
    }

    /// Whether its databases are older than the snapshot: those of a changelog's last materialization.
    fn has_changes(&self) -> bool {
        let mut keyed = self.reading.snapshot.operators.iter().flat_map(|o| &o.subtasks);
        keyed.any(|subtask| {
            let content = subtask.managed_keyed.as_ref().map(|keyed| &keyed.content);
            matches!(content, Some(KeyedContent::Changelog(log)) if !log.deltas.is_empty())
        })
    }

    fn state(&self, operator: &str, name: &str) -> Option<&StateAnalysis> {
        self.analysis.states.iter().find(|state| state.operator_id == operator && state.name == name)
    }

    fn operator(&self, id: &str) -> Option<&OperatorAnalysis> {
        self.analysis.operators.iter().find(|operator| operator.id == id)
    }

    /// What the job knows of operators with keyed state.
    fn operators(&self) -> impl Iterator<Item = (&str, &Value)> {
        let with_id = list(&self.truth["operators"]).iter().map(|operator| (text(&operator["id"]), operator));
        with_id.filter(|(id, _)| self.operator(id).is_some())
    }

    /// What the job knows of each keyed state with what we say, a column family that is not there being a difference.
    fn states(&self, differences: &mut Differences) -> Vec<(&StateAnalysis, &Value, String)> {
        let mut found = Vec::new();
        for (id, operator) in self.operators() {
            for state in list(&operator["keyed_states"]) {
                let name = text(&state["name"]);
                let what = format!("{}: {}: {name}", self.label(), text(&operator["name"]));
                let ours = self.state(id, name);
                differences.holds(ours.is_some(), || format!("{what}: not analyzed"));
                found.extend(ours.map(|ours| (ours, state, what)));
            }
        }
        found
    }
}

/// Whether a heap has rows of it that end nobody knows where.
fn is_in_part(state: &StateAnalysis) -> bool {
    state.not_walked.iter().any(|not| not.problem == Problem::RowsNotRead) || state.missing.key_groups > 0
}

#[test]
fn rows_entries_and_keys_are_those_of_the_job() {
    let (mut differences, mut bounded) = (Differences::default(), BTreeSet::new());
    let mut in_part = BTreeSet::new();
    for analyzed in &*ALL {
        for (ours, truth, what) in analyzed.states(&mut differences) {
            let live = &ours.live.unwrap();
            let keys = ours.keys.as_ref().unwrap();
            if is_in_part(ours) {
                differences.holds(live.rows < number(&truth["rows"]), || format!("{what}: rows"));
                differences.holds(live.keys < number(&truth["keys"]), || format!("{what}: keys"));
                in_part.insert((text(&truth["key_type"]), text(&truth["value_type"])));
                continue;
            }
            differences.same(live.rows, number(&truth["rows"]), || format!("{what}: rows"));
            differences.same(live.keys, number(&truth["keys"]), || format!("{what}: keys"));
            differences.same(keys.keys, number(&truth["keys"]), || format!("{what}: keys that are counted"));
            differences.same(keys.rows_not_cut, 0, || format!("{what}: rows not cut"));
            let entries = number(&truth["entries"]);
            if live.entries_at_least {
                // Nothing says where an element ends that Kryo wrote: each row is one entry at least.
                differences.holds(live.rows <= live.entries && live.entries < entries, || {
                    format!("{what}: {} to {entries}, we say at least {}", live.rows, live.entries)
                });
                bounded.insert(text(&truth["value_type"]));
            } else {
                differences.same(live.entries, entries, || format!("{what}: entries"));
                differences.same(ours.not_walked.len(), 0, || format!("{what}: {:?}", ours.not_walked));
            }
            differences.same(ours.kind, &*text(&truth["kind"]).to_lowercase(), || format!("{what}: kind"));
            differences
                .same(ours.row_bytes.as_ref().unwrap().count, live.rows, || format!("{what}: sizes of rows"));
            if let Some(elements) = &ours.element_bytes {
                differences
                    .same(elements.count == entries, !live.entries_at_least, || format!("{what}: elements"));
            }
            let touched = ours.kryo.touched_rows.unwrap();
            let what = || format!("{what}: {touched} rows pass through Kryo");
            match text(&truth["value_type"]) {
                // It is in a field that may be null.
                "OrderPojo" | "Map<Long, OrderPojo>" => {
                    differences.holds(0 < touched && touched <= live.rows, what)
                }
                _ if truth["kryo"] == true => differences.same(touched, live.rows, what),
                _ => differences.same(touched, 0, what),
            }
        }
    }
    // Of a list of POJOs, where a subclass came after the snapshot of its serializer was made.
    assert_eq!(bounded, BTreeSet::from(["List<AccountPojo>", "List<KryoThing>"]));
    // In a heap, whatever passes through Kryo or a subclass that came later ends nobody knows where.
    let of_values = ["AccountPojo", "AccountPojo[]", "KryoThing", "List<AccountPojo>", "List<KryoThing>"];
    let of_maps = ["Map<Long, OrderPojo>", "Map<Tuple2<Integer, String>, AccountPojo>", "OrderPojo"];
    // Sets do so before Flink 2.
    let walked = |(key, value): &(&str, &str)| *key == "KryoKey" || *value == "Set<String>";
    in_part.retain(|types| !walked(types));
    let of_types = in_part.iter().map(|(_, value)| *value);
    assert_eq!(of_types.collect::<BTreeSet<_>>(), of_values.into_iter().chain(of_maps).collect());
    differences.none(1500);
}

#[test]
fn timers_are_those_that_the_plan_of_events_sets() {
    let (mut differences, mut seen) = (Differences::default(), BTreeSet::new());
    for analyzed in &*ALL {
        for (id, operator) in analyzed.operators() {
            for timers in list(&operator["timers"]) {
                let (name, operator_name) = (text(&timers["name"]), text(&operator["name"]));
                let what = format!("{}: {operator_name}: {name}", analyzed.label());
                // Changes say nothing of timers that were never set.
                if analyzed.has_changes() && number(&timers["count"]) == 0 {
                    continue;
                }
                let Some(state) = analyzed.state(id, name) else {
                    differences.holds(false, || format!("{what}: not analyzed"));
                    continue;
                };
                if is_in_part(state) {
                    differences.same(operator_name, "by-kryo", || format!("{what}: not all was read"));
                    continue;
                }
                let (Some(ours), count) = (&state.timers, number(&timers["count"])) else {
                    panic!("{what}: no timers")
                };
                let live = state.live.unwrap();
                differences.same((ours.timers, live.rows, live.entries), (count, count, count), || {
                    format!("{what}: count")
                });
                differences.same(ours.domain, text(&timers["domain"]), || format!("{what}: domain"));
                let set = plan::timers(operator_name, ours.domain, number(&analyzed.truth["events"]));
                let at = settings().reference_time.at_ms;
                let times: Vec<i64> = set.iter().map(|(_, time)| *time).collect();
                let keys: BTreeSet<u64> = set.iter().map(|(key, _)| *key).collect();
                differences.same(ours.timers, times.len() as u64, || format!("{what}: timers of the plan"));
                differences.same(
                    (ours.earliest_ms, ours.latest_ms),
                    (times.iter().min().copied(), times.iter().max().copied()),
                    || format!("{what}: earliest and latest"),
                );
                let until = times.iter().filter(|time| **time <= at).count() as u64;
                differences.same(ours.until_reference, until, || format!("{what}: due"));
                // Those of a user lie a century ahead.
                let far = times.iter().filter(|time| **time > at).count() as u64;
                differences.same(ours.far_future, far, || format!("{what}: far ahead"));
                differences
                    .same(state.keys.as_ref().unwrap().keys, keys.len() as u64, || format!("{what}: keys"));
                seen.insert((operator_name, ours.domain));
            }
        }
    }
    for wanted in ["by-kryo", "by-pojo", "sessions", "tumbling-list"] {
        assert!(seen.contains(&(wanted, "event")), "{wanted}: {seen:?}");
    }
    differences.none(800);
}

/// The number of an entry that `sum` of the truth adds up, given its bytes behind null flag and timestamp; none if
/// that takes more than to look at one place.
fn number_of(kind: &str, value_type: &str, bytes: &[u8]) -> Option<i64> {
    let (i64_at, i32_at) = (
        |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()),
        |at: usize| i64::from(i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())),
    );
    Some(match (kind, value_type) {
        (_, "Long")
        | ("LIST", "List<Long>")
        | ("AGGREGATING", "Tuple2<Long, Long>")
        | ("MAP", "Map<String, Long>" | "Map<Color, Long>") => i64_at(0),
        // At the end: the second field, the only value.
        ("LIST", "List<Tuple2<String, Long>>") | ("VALUE", "Map<String, Long>") => i64_at(bytes.len() - 8),
        // Behind the number of elements.
        ("VALUE", "long[]") | ("MAP", "Map<String, List<Long>>") => i64_at(4),
        ("VALUE", "byte[]") => i64::from(bytes[4].cast_signed()),
        // The number of elements, an ordinal, a field.
        ("VALUE", "List<String>" | "String[]" | "Color" | "Tuple3<Integer, String, Double>") => i32_at(0),
        ("VALUE", "Tuple5<Short, Byte, Character, Float, Integer>") => {
            i64::from(i16::from_be_bytes([bytes[0], bytes[1]]))
        }
        // Behind the flag that says whether it is null.
        ("VALUE", "Set<String>") => i32_at(1),
        // Behind the bits that say which fields are null.
        ("VALUE", row) if row.starts_with("Row(i Integer, ") => i32_at(1),
        // Behind the flags of a POJO and of its first field.
        ("REDUCING", "Evt") | ("LIST", "List<Evt>") => i64_at(2),
        // The length of a string, plus one; none is long.
        ("VALUE", "String") | ("LIST", "List<String>") | ("MAP", "Map<Long, String>") => {
            i64::from(bytes[0]) - 1
        }
        // Unscaled value, its length plus four before it; two digits.
        ("VALUE", "Tuple4<BigDecimal, BigInteger, Instant, LocalDate>") => {
            let length = usize::try_from(i32_at(0)).unwrap() - 4;
            assert_eq!(i32_at(4 + length), 2, "{bytes:x?}");
            bytes[4..4 + length].iter().fold(0, |n, byte| n << 8 | i64::from(*byte)) / 100
        }
        _ => return None,
    })
}

/// The newest version of each value, and all elements of lists: their sums are the job's.
#[test]
fn sums_of_live_rows_are_those_of_the_job() {
    let (mut differences, mut not_added) = (Differences::default(), BTreeSet::new());
    for analyzed in &*ALL {
        let reading = &analyzed.reading;
        for (ours, truth, what) in analyzed.states(&mut differences) {
            let Some(sum) = truth["sum"].as_i64().filter(|_| !is_in_part(ours)) else { continue };
            let (kind, value_type) = (text(&truth["kind"]), text(&truth["value_type"]));
            let is_it = |operator: usize, name: &str| {
                name == ours.name && reading.snapshot.operators[operator].id.to_string() == ours.operator_id
            };
            let meta =
                reading.details.keyed.iter().find(|k| is_it(k.operator, &ours.name)).unwrap().meta.as_ref();
            let state = meta.unwrap().states.iter().find(|state| state.name == ours.name).unwrap();
            let layout = StateValueLayout::of_state(state).unwrap();
            let mut added = Some(0);
            for (key, value) in scanned(&LocalStorage::new(), reading, &is_it) {
                let elements = layout.for_each_element(&value, b",", |timestamp, bytes| {
                    let null = kind == "MAP" && bytes[0] != 0;
                    let head = usize::from(kind == "MAP") + if timestamp.is_some() { 8 } else { 0 };
                    let number = match value_type {
                        "Map<String, String>" => Some(i64::from(!null)),
                        // Before Flink 2.
                        "Set<String>" if truth["kryo"] == true => None,
                        _ => number_of(kind, value_type, &bytes[head..]),
                    };
                    added = added.zip(number).map(|(sum, number)| sum + number);
                });
                match elements {
                    Elements::All { .. } => {}
                    Elements::NotWalked { .. } => added = None,
                    Elements::Bad { bad, .. } => panic!("{what}: {bad}: {key:x?}"),
                }
            }
            match added {
                Some(added) => differences.same(added, sum, || format!("{what}: sum")),
                None => drop(not_added.insert(value_type)),
            }
        }
    }
    // By Kryo, or a field behind fields of any length.
    let left = [
        "AccountPojo",
        "AccountPojo[]",
        "KryoThing",
        "List<AccountPojo>",
        "List<KryoThing>",
        "Map<Long, OrderPojo>",
        "Map<Tuple2<Integer, String>, AccountPojo>",
        "OrderPojo",
        "Set<String>",
    ];
    assert_eq!(not_added, BTreeSet::from(left));
    differences.none(250);
}

/// What RocksDB's tools say of a state.
#[derive(Debug, Default)]
struct Tables<'a> {
    /// Places of tables by level; one that several handles name is one.
    levels: BTreeMap<u32, BTreeSet<&'a str>>,
    /// Live rows by subtask.
    rows: BTreeMap<u32, u64>,
    /// Key groups by subtask, from the first to the last of all its handles.
    key_groups: BTreeMap<u32, (u32, u32)>,
}

fn tables<'a>(oracle: &'a Value, snapshot: &str) -> BTreeMap<(&'a str, &'a str), Tables<'a>> {
    let mut found: BTreeMap<_, Tables<'_>> = BTreeMap::new();
    let small = |value: &Value| u32::try_from(number(value)).unwrap();
    for handle in list(&oracle["handles"]).iter().filter(|handle| handle["snapshot"] == *snapshot) {
        for family in list(&handle["column_families"]).iter().filter(|family| family["name"] != "default") {
            let state = found.entry((text(&handle["operator"]), text(&family["name"]))).or_default();
            let subtask = small(&handle["subtask"]);
            *state.rows.entry(subtask).or_default() += number(&family["live_rows"]);
            let (start, end) = (small(&handle["start"]), small(&handle["end"]));
            let groups = state.key_groups.entry(subtask).or_insert((start, end));
            *groups = (groups.0.min(start), groups.1.max(end));
            for file in list(&family["files"]) {
                state.levels.entry(small(&file["level"])).or_default().insert(text(&file["sst"]));
            }
        }
    }
    found
}

/// The physical view of tables against the sums of their properties.
fn same_physical(
    differences: &mut Differences,
    ours: &Physical,
    ssts: &[&Value],
    what: &dyn Fn(&str) -> String,
) {
    let sum = |field: &str| ssts.iter().map(|sst| sst.get(field).map_or(0, number)).sum::<u64>();
    let mut same = |figure: &str, ours: u64, theirs: u64| differences.same(ours, theirs, || what(figure));
    same("files", ours.files, ssts.len() as u64);
    same("range tombstones", ours.range_deletes, sum("range_deletions"));
    let clipped = ours.clipped.unwrap_or(0);
    same("entries", ours.entries + clipped, sum("entries"));
    same("bytes of data blocks", ours.stored_bytes, sum("data_size"));
    same("what is missing", ours.damaged_files, 0);
    if clipped > 0 {
        // What lies outside of the key groups is not told apart by type, and blocks of it are not read.
        return;
    }
    // Range tombstones count as deletions too.
    same("tombstones", ours.tombstones + ours.range_deletes, sum("deletions"));
    same("merge operands", ours.merges, sum("merge_operands"));
    if let Some(puts) = ours.puts {
        same("puts", puts, sum("entries") - sum("deletions") - sum("merge_operands"));
    }
    same("data blocks", ours.data_blocks, sum("data_blocks"));
    if ours.range_deletes == 0 {
        // Eight bytes of each key are its sequence number and type.
        same("bytes of keys", ours.key_bytes + 8 * ours.entries, sum("raw_key_size"));
        same("bytes of values", ours.value_bytes, sum("raw_value_size"));
    }
}

#[test]
fn the_physical_view_and_the_rows_of_subtasks_are_those_of_rocksdbs_tools() {
    let (mut differences, mut kinds) = (Differences::default(), [0u64; 4]);
    for fixture in fixtures() {
        let Some(oracle) = fixture.rocksdb() else { continue };
        for analyzed in ALL.iter().filter(|analyzed| std::ptr::eq(analyzed.fixture, fixture)) {
            let theirs = tables(&oracle, &analyzed.path);
            let in_tables = || analyzed.analysis.states.iter().filter(|state| state.sst.is_some());
            differences.same(
                in_tables().map(|s| (&*s.operator_id, &*s.name)).collect::<BTreeSet<_>>(),
                theirs.keys().copied().collect(),
                || format!("{}: states", analyzed.label()),
            );
            for ours in in_tables() {
                let what =
                    |figure: &str| format!("{}: {} {}: {figure}", analyzed.label(), ours.operator, ours.name);
                let Some(theirs) = theirs.get(&(&*ours.operator_id, &*ours.name)) else { continue };
                let rows: BTreeMap<_, _> =
                    ours.subtasks.iter().map(|s| (s.subtask, s.rows.unwrap())).collect();
                if !analyzed.has_changes() {
                    differences.same(&rows, &theirs.rows, || what("rows by subtask"));
                }
                differences.same(ours.live.unwrap().rows, rows.values().sum(), || what("rows"));
                let groups = ours.subtasks.iter().map(|s| (s.subtask, s.key_groups.unwrap())).collect();
                differences.same(&theirs.key_groups, &groups, || what("key groups"));
                let of = |places: &BTreeSet<&str>| -> Vec<_> {
                    places.iter().map(|at| &oracle["ssts"][*at]).collect()
                };
                let all: BTreeSet<&str> = theirs.levels.values().flatten().copied().collect();
                let physical = ours.physical.unwrap();
                same_physical(&mut differences, &physical, &of(&all), &what);
                let levels: BTreeMap<_, _> =
                    ours.levels.iter().map(|l| (l.level, l.physical.unwrap())).collect();
                differences.same(levels.keys().collect::<Vec<_>>(), theirs.levels.keys().collect(), || {
                    what("levels")
                });
                for (level, places) in &theirs.levels {
                    let Some(ours) = levels.get(level) else { continue };
                    let what = |figure: &str| what(&format!("level {level}: {figure}"));
                    same_physical(&mut differences, ours, &of(places), &what);
                }
                let Physical { clipped, range_deletes, shadowed, deleted, .. } = physical;
                let known = [clipped, Some(range_deletes), shadowed, deleted].map(Option::unwrap);
                kinds.iter_mut().zip(known).for_each(|(n, more)| *n += more);
            }
        }
    }
    // Of all of these there must be some.
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
    differences.none(10_000);
}

/// A state as the naive view has it.
#[derive(Debug, Default)]
struct Naive {
    /// Rows, raw bytes and distinct keys by key group.
    groups: BTreeMap<u32, (u64, u64, BTreeSet<Vec<u8>>)>,
    /// Of each row with timestamps those of all its entries, and its raw bytes.
    timestamps: Vec<(Vec<i64>, u64)>,
    is_timer: bool,
}

/// The states of a snapshot by operator and name. Their rows are cut and divided by the tables of `formats`, which the
/// tests of walkers hold against the job. Those of streams are what a scan hands out, as far as that is.
fn naive(analyzed: &Analyzed) -> BTreeMap<(String, String), Naive> {
    let mut found = BTreeMap::new();
    for Database { operator, max_parallelism, meta, column_families, .. } in
        databases(analyzed.fixture, &analyzed.path).into_iter().filter(|_| !analyzed.has_changes())
    {
        for state in &meta.states {
            let naive = found.entry((operator.clone(), state.name.clone())).or_default();
            let rows = column_families.get(&state.name).into_iter().flatten();
            add_rows(naive, max_parallelism, &meta, state, rows.map(|(key, value)| (&**key, &**value)));
        }
    }
    let SnapshotReading { snapshot, details, .. } = &analyzed.reading;
    // So are those of changelogs.
    let streams = details.keyed.iter().filter(|keyed| keyed.stream.is_some() || analyzed.has_changes());
    let mut seen = BTreeSet::new();
    for (keyed, meta) in streams.filter_map(|keyed| Some((keyed, keyed.meta.as_ref()?))) {
        let operator = &snapshot.operators[keyed.operator];
        for state in &meta.states {
            let naive = found.entry((operator.id.to_string(), state.name.clone())).or_default();
            if seen.insert((keyed.operator, state.name.clone())) {
                let is_it = |operator: usize, name: &str| operator == keyed.operator && name == state.name;
                let (rows, _) = scanned_in_part(&LocalStorage::new(), &analyzed.reading, &is_it);
                let rows = rows.iter().map(|(key, value)| (&**key, &**value));
                add_rows(naive, operator.max_parallelism, meta, state, rows);
            }
        }
    }
    found
}

fn add_rows<'r>(
    naive: &mut Naive,
    max_parallelism: i32,
    meta: &KeyedBackendMeta,
    state: &StateMetaInfo,
    rows: impl Iterator<Item = (&'r [u8], &'r [u8])>,
) {
    let prefix = KeyGroupPrefix::of_max_parallelism(max_parallelism);
    let keys = KeyLayout::of_state(prefix, &meta.key_serializer, state).unwrap();
    let values = StateValueLayout::of_state(state).unwrap();
    naive.is_timer = state.kind == StateKind::PriorityQueue;
    for (key, value) in rows {
        let (cut, bytes) = (keys.cut(key).unwrap(), (key.len() + value.len()) as u64);
        let (rows, sum, distinct) = naive.groups.entry(cut.key_group).or_default();
        (*rows, *sum) = (*rows + 1, *sum + bytes);
        distinct.insert(key[cut.key].to_vec());
        let mut timestamps = Vec::new();
        values.for_each_element(value, b",", |timestamp, _| timestamps.extend(timestamp));
        if !timestamps.is_empty() {
            naive.timestamps.push((timestamps, bytes));
        }
    }
}

#[test]
fn key_groups_and_the_keys_of_operators_are_those_of_the_naive_view() {
    let mut differences = Differences::default();
    for analyzed in &*ALL {
        let naive = naive(analyzed);
        differences
            .same(analyzed.analysis.states.len(), naive.len(), || format!("{}: states", analyzed.label()));
        let mut of_operators: BTreeMap<&str, BTreeSet<(u32, &Vec<u8>)>> = BTreeMap::new();
        for ((id, name), theirs) in &naive {
            let what = |figure: &str| format!("{}: {id} {name}: {figure}", analyzed.label());
            let Some(ours) = analyzed.state(id, name) else {
                differences.holds(false, || what("not analyzed"));
                continue;
            };
            let by_key_group: Vec<_> = ours
                .skew
                .as_ref()
                .unwrap()
                .by_key_group
                .iter()
                .map(|g| (g.key_group, g.rows, g.bytes, g.keys))
                .collect();
            let expected = theirs.groups.iter();
            let expected =
                expected.map(|(group, (rows, bytes, keys))| (*group, *rows, *bytes, Some(keys.len() as u64)));
            differences.same(by_key_group, expected.collect(), || what("key groups"));
            let keys: u64 = theirs.groups.values().map(|(_, _, keys)| keys.len() as u64).sum();
            differences.same(ours.keys.as_ref().unwrap().keys, keys, || what("keys"));
            if !theirs.is_timer {
                let all = theirs
                    .groups
                    .iter()
                    .flat_map(|(group, (_, _, keys))| keys.iter().map(|key| (*group, key)));
                of_operators.entry(id).or_default().extend(all);
            }
        }
        for (id, keys) in of_operators {
            let ours = analyzed.operator(id).and_then(|operator| operator.keys.as_ref());
            differences.same(ours.map(|ours| ours.keys), Some(keys.len() as u64), || {
                format!("{}: {id}: keys", analyzed.label())
            });
        }
    }
    differences.none(1300);
}

/// Asks once more, with TTLs.
fn with_ttl(analyzed: &Analyzed, at_ms: i64, ttl: Vec<TtlArgument>) -> Analysis {
    let reference_time = ReferenceTime { at_ms, witness: Witness::Given };
    analysis(&analyzed.reading, Settings { ttl, ..Settings::new(reference_time) })
}

/// Entries, whole rows and bytes of whole rows that are expired.
type Expired = (u64, u64, u64);

fn same_expired(
    differences: &mut Differences,
    analysis: &Analysis,
    expected: &BTreeMap<(&str, &str), Expired>,
    what: &str,
) {
    for state in analysis.states.iter().filter(|state| !state.live.unwrap().entries_at_least) {
        let what = |figure: &str| format!("{what}: {} {}: {figure}", state.operator, state.name);
        let expired = state.ttl.expired.as_ref();
        let expected = expected.get(&(&*state.operator_id, &*state.name));
        differences
            .same(expired.map(|e| (e.entries, e.rows)), expected.map(|e| (e.0, e.1)), || what("expired"));
        let (Some(ours), Some(expected)) = (expired, expected) else { continue };
        differences.holds(ours.bytes >= expected.2, || what("bytes of expired rows"));
        if state.kind != "list" {
            differences.same(ours.bytes, expected.2, || what("expired bytes"));
        }
        if state.sst.is_none() {
            continue;
        }
        let by_level: u64 = state.levels.iter().map(|level| level.expired_entries.unwrap()).sum();
        differences.same(by_level, expected.0, || what("expired by level"));
    }
}

#[test]
fn timestamps_and_what_expires_by_them_are_those_of_the_job() {
    let (mut differences, hour) = (Differences::default(), 3_600_000);
    for analyzed in &*ALL {
        let naive = naive(analyzed);
        let (started, completed) = (
            analyzed.fixture.truth()["started_ms"].as_i64().unwrap(),
            analyzed.truth["completed_ms"].as_i64().unwrap(),
        );
        let mut ttls: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut none, mut all, mut middle) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (ours, truth, what) in analyzed.states(&mut differences) {
            differences.same(ours.ttl.covered, truth["ttl"].as_bool(), || format!("{what}: covered"));
            let Some(ages) = &ours.ttl.ages else {
                differences.same(truth["ttl"].as_bool(), Some(false), || format!("{what}: no ages"));
                continue;
            };
            if is_in_part(ours) || ours.live.unwrap().entries_at_least {
                continue;
            }
            let entries = number(&truth["entries"]);
            differences
                .same((ages.entries, ages.without_timestamp), (entries, 0), || format!("{what}: timestamps"));
            differences.same(
                ages.in_future,
                entries * u64::from(started > settings().reference_time.at_ms),
                || format!("{what}: in future"),
            );
            let times = naive[&(ours.operator_id.clone(), ours.name.clone())].timestamps.iter();
            let (oldest, newest) =
                (times.clone().flat_map(|row| &row.0).min(), times.flat_map(|row| &row.0).max());
            differences.same((ages.oldest_ms, ages.newest_ms), (oldest.copied(), newest.copied()), || {
                format!("{what}: oldest and newest")
            });
            let between = [ages.oldest_ms, ages.newest_ms]
                .iter()
                .flatten()
                .all(|at| (started..=completed).contains(at));
            differences.holds(between, || format!("{what}: written before or behind the job"));
            if let Some(ttl) = truth["ttl_ms"].as_u64() {
                ttls.insert(&ours.name, ttl);
            }
        }
        let mut times: Vec<i64> =
            naive.values().flat_map(|n| &n.timestamps).flat_map(|row| row.0.clone()).collect();
        times.sort_unstable();
        let Some(median) = times.get(times.len() / 2) else { continue };
        let is_whole = |state: &&StateAnalysis| !state.live.unwrap().entries_at_least;
        for state in analyzed.analysis.states.iter().filter(|state| state.ttl.ages.is_some()).filter(is_whole)
        {
            let key = (&*state.operator_id, &*state.name);
            let rows = &naive[&(state.operator_id.clone(), state.name.clone())].timestamps;
            let of = |until: i64| -> Expired {
                let entries = rows.iter().flat_map(|row| &row.0).filter(|at| **at <= until).count() as u64;
                let whole = rows.iter().filter(|row| row.0.iter().all(|at| *at <= until));
                let (count, bytes) = whole.fold((0, 0), |(count, bytes), row| (count + 1, bytes + row.1));
                (entries, count, bytes)
            };
            middle.insert(key, of(*median));
            if ttls.contains_key(&*state.name) {
                none.insert(key, of(i64::MIN));
                all.insert(key, of(i64::MAX));
            }
        }
        // An entry expires when it is as old as the TTL: those of the median are.
        let one_hour =
            with_ttl(analyzed, median + hour, vec![TtlArgument { state: None, ttl_ms: hour as u64 }]);
        same_expired(&mut differences, &one_hour, &middle, &format!("{}: an hour", analyzed.label()));
        for state in one_hour.states.iter().filter(is_whole) {
            let Some(ages) = &state.ttl.ages else { continue };
            let what_if: Vec<_> = ages.what_if.iter().map(|w| w.entries).collect();
            let expected = middle[&(&*state.operator_id, &*state.name)].0;
            differences
                .same(what_if[0], expected, || format!("{}: {}: what if", analyzed.label(), state.name));
            differences
                .holds(what_if[1..].iter().all(|n| *n == 0), || format!("{}: {what_if:?}", state.name));
        }
        if ttls.is_empty() {
            continue;
        }
        // The TTLs of the job, when the first entry is not yet that old, and when the last one is.
        let given = || {
            ttls.iter().map(|(name, ttl_ms)| TtlArgument { state: Some((*name).to_owned()), ttl_ms: *ttl_ms })
        };
        let signed = |ttl: Option<&u64>| i64::try_from(*ttl.unwrap()).unwrap();
        let before = with_ttl(analyzed, started + signed(ttls.values().min()) - 1, given().collect());
        same_expired(&mut differences, &before, &none, &format!("{}: before", analyzed.label()));
        let after = with_ttl(analyzed, completed + signed(ttls.values().max()), given().collect());
        same_expired(&mut differences, &after, &all, &format!("{}: after", analyzed.label()));
    }
    differences.none(3000);
}
