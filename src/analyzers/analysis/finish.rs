//! Puts the analysis together: partials in, figures out.

use std::collections::{BTreeMap, HashMap};

use statescope_formats::flink::serializer::SerializerSnapshot;

use super::ages::AgesPartial;
use super::findings;
use super::key_bytes::hex;
use super::key_text;
use super::keys::{KeyOf, KeysPartial};
use super::partial::{
    AnalysisPartial, GroupTotals, LiveTotals, NotWalkedTotals, Problem, StateKey, StatePartial, merge_maps,
};
use super::plan::Settings;
use super::skew::{self, ratio};
use super::tally::PhysicalTally;
use super::types::{
    AgeAnalysis, Analysis, AnalysisTotals, CompressionAnalysis, DiskBytes, Engine, Example, ExpiredAnalysis,
    HeavyHitters, KeyAnalysis, KeyGroupAnalysis, KryoAnalysis, LevelAnalysis, LiveFigures, Method, Missing,
    NotAnalyzed, NotWalked, OperatorAnalysis, SkewAnalysis, StateAnalysis, SubtaskAnalysis, TimerAnalysis,
    TopKey, TtlAnalysis, TtlWhatIf,
};
use crate::analyzers::overview::{Overview, StateSummary};
use crate::model::{Details, Finding, Snapshot};

/// Flink's own limit of the number of key groups.
const MAX_KEY_GROUPS: u32 = 1 << 15;

/// What the indexes in partials mean.
#[derive(Debug, Clone)]
pub struct Subjects {
    operators: Vec<Operator>,
    handles: Vec<Handle>,
}

#[derive(Debug, Clone)]
struct Operator {
    id: String,
    parallelism: u32,
    max_parallelism: u32,
    prefix: usize,
    key: Option<SerializerSnapshot>,
}

#[derive(Debug, Clone, Copy)]
struct Handle {
    subtask: u32,
    key_groups: Option<(u32, u32)>,
}

impl Subjects {
    /// Of a snapshot, and of what the small files behind its handles say.
    #[must_use]
    pub fn new(snapshot: &Snapshot, details: &Details) -> Self {
        let positive = |n: i32| u32::try_from(n).unwrap_or(0).max(1);
        let mut operators: Vec<Operator> = snapshot
            .operators
            .iter()
            .map(|operator| Operator {
                id: operator.id.to_string(),
                parallelism: positive(operator.parallelism),
                max_parallelism: positive(operator.max_parallelism).min(MAX_KEY_GROUPS),
                prefix: operator.key_group_prefix(),
                key: None,
            })
            .collect();
        let mut handles = Vec::new();
        for details in &details.keyed {
            let key_groups = details.key_groups.last().map(|last| (details.key_groups.start, last));
            handles.push(Handle { subtask: details.subtask, key_groups });
            if let (Some(operator), Some(meta)) = (operators.get_mut(details.operator), &details.meta)
                && operator.key.is_none()
            {
                operator.key = Some(meta.key_serializer.clone());
            }
        }
        Self { operators, handles }
    }
}

/// What an analysis is put together from, besides what splits yielded.
#[derive(Debug)]
pub struct Context {
    /// What the snapshot holds, with the filters that were given.
    pub overview: Overview,
    /// What the indexes in partials mean.
    pub subjects: Subjects,
    /// How the figures were made.
    pub method: Method,
    /// What was asked for.
    pub settings: Settings,
    /// What the scan found; what is in the overview need not be repeated.
    pub findings: Vec<Finding>,
}

/// Puts an analysis together, once all splits are merged.
#[must_use]
pub fn finish(partial: AnalysisPartial, context: Context) -> Analysis {
    let Context { overview, subjects, method, settings, findings } = context;
    let sees_files = method.engine == Engine::Native;
    let mut gathered = gather(partial, &subjects, sees_files);
    let (mut states, mut not_analyzed) = (Vec::new(), Vec::new());
    let mut by_operator: BTreeMap<u32, OperatorSums> = BTreeMap::new();
    let indexes: HashMap<&str, u32> = subjects.operators.iter().map(|o| o.id.as_str()).zip(0..).collect();
    let backends: HashMap<&str, &str> =
        overview.operators.iter().filter_map(|o| Some((o.id.as_str(), o.backend?))).collect();
    for summary in &overview.states {
        let backend = backends.get(summary.operator_id.as_str()).copied();
        let operator = indexes.get(summary.operator_id.as_str()).copied();
        let found = operator
            .filter(|_| is_keyed(summary.kind))
            .and_then(|at| Some((at, gathered.states.remove(&(at, summary.name.clone()))?)));
        // A state without a single file has nothing to be read, and nothing that is not known.
        let is_empty = is_keyed(summary.kind) && summary.bytes == Some(0);
        let found = found.or_else(|| operator.filter(|_| is_empty).map(|at| (at, Gathered::default())));
        let Some((at, gathered)) = found else {
            not_analyzed.push(not_analyzed_state(summary, backend));
            continue;
        };
        let Some(operator) = subjects.operators.get(at as usize) else { continue };
        let sums = by_operator.entry(at).or_default();
        let (state, groups, keys) = state_analysis(summary, gathered, operator, &settings, sees_files);
        sums.add(&state, groups, keys);
        states.push(state);
    }
    let mut operators = Vec::new();
    for summary in &overview.operators {
        let Some(at) = indexes.get(summary.id.as_str()) else { continue };
        let (Some(sums), Some(operator)) = (by_operator.remove(at), subjects.operators.get(*at as usize))
        else {
            continue;
        };
        let keys = sums.keys(gathered.operators.remove(at));
        operators.push(operator_analysis(summary, sums, keys, operator, &settings));
    }
    let size_of = |disk: Option<DiskBytes>, live: &LiveFigures| disk.map_or(live.bytes, |disk| disk.bytes);
    states.sort_by(|a, b| {
        let names = (&a.operator, &a.operator_id, &a.name).cmp(&(&b.operator, &b.operator_id, &b.name));
        size_of(b.disk, &b.live).cmp(&size_of(a.disk, &a.live)).then(names)
    });
    operators.sort_by(|a, b| size_of(b.disk, &b.live).cmp(&size_of(a.disk, &a.live)).then(a.id.cmp(&b.id)));
    let size = |s: &NotAnalyzed| s.bytes.or(s.bytes_at_most);
    not_analyzed.sort_by(|a, b| {
        (size(b), &a.operator, &a.operator_id, &a.name).cmp(&(size(a), &b.operator, &b.operator_id, &b.name))
    });
    let totals = totals(&states, &not_analyzed, sees_files);
    let mut all = findings;
    all.extend(overview.findings);
    all.extend(findings::of(&totals, &states, &operators, &backends));
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Analysis {
        snapshot: overview.snapshot,
        method,
        reference_time: settings.reference_time,
        filter: overview.filter,
        totals,
        states,
        operators,
        not_analyzed,
        places: overview.places,
        findings: all,
    }
}

/// Whether states of this kind lie in column families. Timers in raw keyed state are none of them: their partials are
/// not there.
fn is_keyed(kind: &str) -> bool {
    matches!(
        kind,
        "value"
            | "list"
            | "map"
            | "reducing"
            | "aggregating"
            | "folding"
            | "keyed"
            | "timers"
            | "not_described"
    )
}

fn not_analyzed_state(summary: &StateSummary, backend: Option<&str>) -> NotAnalyzed {
    let (reason, explanation) = match summary.kind {
        "operator_list" | "operator_union" | "broadcast" => (
            "operator_state",
            "operator state is small, and lies in a stream of its own; only inspect shows it",
        ),
        "raw_keyed" | "raw_operator" => ("raw_state", "raw state is in a format of the user's function"),
        "timers" if summary.bytes.is_none() || !summary.name.starts_with(TIMER_PREFIX) => {
            ("raw_state", "timers in raw keyed state are not analyzed yet")
        }
        "changes" => ("changelog", "changes of a changelog are not decoded yet"),
        _ if summary.bytes.is_none() || !matches!(backend, Some("rocksdb" | "forst" | "changelog")) => (
            "not_rocksdb",
            "it lies in a stream of the heap backend or of a canonical savepoint, not in RocksDB files",
        ),
        _ => ("failed", "none of its files could be read"),
    };
    NotAnalyzed {
        operator_id: summary.operator_id.clone(),
        operator: summary.operator.clone(),
        name: summary.name.clone(),
        kind: summary.kind,
        bytes: summary.bytes,
        bytes_at_most: summary.bytes_at_most,
        reason,
        explanation,
    }
}

/// How the names of timers' column families begin.
const TIMER_PREFIX: &str = "_timer_state/";

// ---- partials of all handles -------------------------------------------------------------------------------------

/// What all handles of a state yielded.
#[derive(Debug, Default)]
struct Gathered {
    live: StatePartial,
    /// Its keys, complete.
    keys: KeysPartial,
    /// By level and compression.
    tallies: BTreeMap<(u32, String), PhysicalTally>,
    subtasks: BTreeMap<u32, SubtaskAnalysis>,
    /// The first example of each problem, with its subtask.
    examples: BTreeMap<Problem, ((Vec<u8>, u64), u32)>,
    sample: Option<super::compression::CompressionSample>,
}

struct All {
    states: BTreeMap<(u32, String), Gathered>,
    /// Keys over all states of an operator, complete.
    operators: BTreeMap<u32, KeysPartial>,
}

fn gather(partial: AnalysisPartial, subjects: &Subjects, sees_files: bool) -> All {
    let mut all = All { states: BTreeMap::new(), operators: BTreeMap::new() };
    let place = |key: &StateKey| (key.operator, key.state.clone());
    let disk_bytes = sees_files.then_some(0);
    let empty =
        |subtask| SubtaskAnalysis { subtask, key_groups: None, disk_bytes, rows: 0, entries: 0, bytes: 0 };
    let handle = |at: u32| subjects.handles.get(at as usize).copied();
    for (key, mut partial) in partial.states {
        let keys = std::mem::take(&mut partial.keys);
        all.states.insert(key, Gathered { live: partial, keys, ..Gathered::default() });
    }
    for (key, partial) in partial.handles {
        let prefix = subjects.operators.get(key.operator as usize).map_or(1, |operator| operator.prefix);
        let gathered = all.states.entry(place(&key)).or_default();
        // The splits of a handle are merged: keys at their edges are complete, and belong to their key groups.
        for group in partial.edge_keys.groups(prefix) {
            let totals = gathered.live.groups.entry(group).or_default();
            totals.keys = totals.keys.saturating_add(1);
        }
        gathered.live.pairs = gathered.live.pairs.saturating_add(partial.edge_pairs.len() as u64);
        gathered.keys.close(partial.edge_keys);
        let Some(handle) = handle(key.handle) else { continue };
        let part = gathered.subtasks.entry(handle.subtask).or_insert_with(|| empty(handle.subtask));
        part.key_groups = match (part.key_groups, handle.key_groups) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        part.rows = part.rows.saturating_add(partial.live.rows);
        part.entries = part.entries.saturating_add(partial.live.entries);
        part.bytes = part.bytes.saturating_add(partial.live.bytes());
        for (problem, (key, sst)) in partial.examples {
            let example = ((key.0.into_vec(), sst), handle.subtask);
            let first = gathered.examples.entry(problem).or_insert_with(|| example.clone());
            *first = example.min(first.clone());
        }
    }
    for (key, tally) in partial.tallies {
        let gathered = all.states.entry(place(&key.state)).or_default();
        if let Some(handle) = handle(key.state.handle) {
            let part = gathered.subtasks.entry(handle.subtask).or_insert_with(|| empty(handle.subtask));
            part.disk_bytes = part.disk_bytes.map(|bytes| bytes.saturating_add(tally.disk_bytes()));
        }
        gathered.tallies.entry((key.level, key.compression)).or_default().merge(&tally);
    }
    for (key, sample) in partial.samples {
        let gathered = all.states.entry(place(&key)).or_default();
        match &mut gathered.sample {
            Some(ours) => ours.merge(sample),
            none => *none = Some(sample),
        }
    }
    all.operators =
        partial.operators.into_iter().map(|(operator, partial)| (operator, partial.keys)).collect();
    for (key, edges) in partial.operator_edges {
        all.operators.entry(key.operator).or_default().close(edges);
    }
    all
}

// ---- a state -----------------------------------------------------------------------------------------------------

fn disk(tally: &PhysicalTally) -> DiskBytes {
    // The share of the index goes with its blocks.
    let with_index = |stored: u64| {
        let index = u128::from(stored) * u128::from(tally.index_bytes);
        let index = index.checked_div(tally.stored_bytes.into()).unwrap_or(0);
        stored.saturating_add(u64::try_from(index).unwrap_or(u64::MAX))
    };
    let (live, expired) = (with_index(tally.live_stored_bytes), with_index(tally.expired_stored_bytes));
    let bytes = tally.disk_bytes();
    shares(DiskBytes {
        bytes,
        live_bytes: live.saturating_sub(expired),
        expired_bytes: expired.min(live),
        dead_bytes: bytes.saturating_sub(live),
        ..DiskBytes::default()
    })
}

fn shares(disk: DiskBytes) -> DiskBytes {
    DiskBytes {
        live_share: ratio(disk.live_bytes, disk.bytes),
        expired_share: ratio(disk.expired_bytes, disk.bytes),
        dead_share: ratio(disk.dead_bytes, disk.bytes),
        ..disk
    }
}

fn add_disk(sum: &mut Option<DiskBytes>, other: Option<&DiskBytes>) {
    let Some(other) = other else { return };
    let sum = sum.get_or_insert_default();
    *sum = shares(DiskBytes {
        bytes: sum.bytes.saturating_add(other.bytes),
        live_bytes: sum.live_bytes.saturating_add(other.live_bytes),
        expired_bytes: sum.expired_bytes.saturating_add(other.expired_bytes),
        dead_bytes: sum.dead_bytes.saturating_add(other.dead_bytes),
        ..*sum
    });
}

fn missing(tally: &PhysicalTally) -> Missing {
    Missing {
        files: tally.damaged_files,
        blocks: tally.damaged_blocks,
        bytes: tally.damaged_bytes,
        entries: tally.damaged_entries,
    }
}

fn live_figures(live: &LiveTotals, at_least: bool, keys: u64, pairs: u64) -> LiveFigures {
    LiveFigures {
        rows: live.rows,
        entries: live.entries,
        entries_at_least: at_least,
        keys,
        key_namespaces: pairs,
        key_bytes: live.key_bytes,
        value_bytes: live.value_bytes,
        bytes: live.bytes(),
    }
}

fn state_analysis(
    summary: &StateSummary,
    gathered: Gathered,
    operator: &Operator,
    settings: &Settings,
    sees_files: bool,
) -> (StateAnalysis, BTreeMap<u32, GroupTotals>, KeysPartial) {
    let Gathered { live: partial, keys, tallies, subtasks, examples, sample } = gathered;
    let mut physical = PhysicalTally::default();
    tallies.values().for_each(|tally| physical.merge(tally));
    let disk = sees_files.then(|| disk(&physical));
    let problems = |problems: &[Problem]| {
        let found = problems.iter().filter_map(|problem| partial.not_walked.get(problem));
        found.fold(0u64, |rows, totals| rows.saturating_add(totals.rows))
    };
    let at_least = problems(&[Problem::ElementsNotWalked, Problem::ElementsContradict]) > 0;
    let is_timers = partial.timers.is_some();
    let rows_not_cut = if is_timers {
        problems(&[Problem::KeyNotCut, Problem::KeyContradicts])
    } else {
        partial.live.rows.saturating_sub(keys.totals().rows)
    };
    let counted = if is_timers { 0 } else { partial.pairs };
    let ttl_ms = settings.ttl_of(&summary.name).filter(|_| partial.ages.is_some());
    let expired = partial.expired.values().fold(super::ExpiredTotals::default(), |mut sum, level| {
        sum.merge(level);
        sum
    });
    let timers =
        partial.timers.as_ref().map(|timers| timer_analysis(&summary.name, timers, partial.live.rows));
    let groups_not_counted = partial.timers.as_ref().map_or(0, |timers| timers.key_groups_not_counted);
    let state = StateAnalysis {
        operator_id: summary.operator_id.clone(),
        operator: summary.operator.clone(),
        name: summary.name.clone(),
        kind: summary.kind,
        type_text: summary.type_text.clone(),
        disk,
        live: live_figures(&partial.live, at_least, keys.keys(), counted),
        physical: sees_files.then_some(physical),
        space_amplification: (sees_files && partial.live.bytes() > 0)
            .then(|| ratio(physical.raw_bytes(), partial.live.bytes())),
        row_bytes: partial.row_bytes.distribution(),
        element_bytes: (summary.kind == "list").then(|| partial.element_bytes.distribution()),
        levels: levels(&tallies, &partial, ttl_ms),
        compressions: compressions(&tallies),
        subtasks: subtasks.into_values().collect(),
        keys: key_analysis(&keys, operator, settings.top, rows_not_cut, groups_not_counted),
        skew: skew_analysis(&partial.groups, operator, settings, true),
        ttl: TtlAnalysis {
            asked: summary.ttl_asked,
            covered: summary.ttl,
            ttl_ms,
            ages: partial.ages.as_ref().map(age_analysis),
            expired: ttl_ms.map(|_| ExpiredAnalysis {
                entries: expired.entries,
                share: ratio(expired.entries, partial.ages.as_ref().map_or(0, |ages| ages.ages.count())),
                rows: expired.rows,
                bytes: expired.bytes,
                disk_bytes: disk.map(|disk| disk.expired_bytes),
                when_written: sees_files.then_some(expired.when_written),
            }),
        },
        kryo: KryoAnalysis {
            paths: summary.kryo.clone(),
            touched_rows: partial.kryo.touched_rows,
            touched_bytes: partial.kryo.touched_bytes,
            exact_key_bytes: (partial.kryo.key_bytes > 0).then_some(partial.kryo.key_bytes),
            exact_value_bytes: (partial.kryo.value_bytes > 0).then_some(partial.kryo.value_bytes),
        },
        timers,
        compression_what_if: sample.map(|sample| sample.expected(physical.stored_bytes)),
        not_walked: partial
            .not_walked
            .iter()
            .map(|(problem, totals)| not_walked(*problem, totals, examples.get(problem), sees_files))
            .collect(),
        missing: missing(&physical),
    };
    (state, partial.groups, keys)
}

fn levels(
    tallies: &BTreeMap<(u32, String), PhysicalTally>,
    partial: &StatePartial,
    ttl_ms: Option<u64>,
) -> Vec<LevelAnalysis> {
    let mut levels: BTreeMap<u32, PhysicalTally> = BTreeMap::new();
    for ((level, _), tally) in tallies {
        levels.entry(*level).or_default().merge(tally);
    }
    let shown = levels.into_iter().map(|(level, physical)| {
        let expired = partial.expired.get(&level).copied().unwrap_or_default();
        LevelAnalysis {
            level,
            disk: disk(&physical),
            physical,
            expired_entries: ttl_ms.map(|_| expired.entries),
            expired_when_written: ttl_ms.map(|_| expired.when_written),
        }
    });
    shown.collect()
}

fn compressions(tallies: &BTreeMap<(u32, String), PhysicalTally>) -> Vec<CompressionAnalysis> {
    let shown = tallies.iter().map(|((level, compression), tally)| CompressionAnalysis {
        level: *level,
        compression: compression.clone(),
        data_blocks: tally.data_blocks,
        stored_bytes: tally.stored_bytes,
        uncompressed_bytes: tally.uncompressed_bytes,
        ratio: (tally.stored_bytes > 0).then(|| ratio(tally.uncompressed_bytes, tally.stored_bytes)),
    });
    shown.collect()
}

fn not_walked(
    problem: Problem,
    totals: &NotWalkedTotals,
    example: Option<&((Vec<u8>, u64), u32)>,
    sees_files: bool,
) -> NotWalked {
    NotWalked {
        problem,
        reason: totals.reason.clone(),
        contradiction: problem.is_contradiction(),
        rows: totals.rows,
        bytes: totals.bytes,
        example: example.map(|((key, sst), subtask)| Example {
            key_hex: hex(key),
            subtask: *subtask,
            sst: sees_files.then_some(*sst),
        }),
    }
}

fn age_analysis(ages: &AgesPartial) -> AgeAnalysis {
    let entries = ages.ages.count();
    AgeAnalysis {
        entries,
        without_timestamp: ages.without_timestamp,
        oldest_ms: ages.range.map(|range| range.0),
        newest_ms: ages.range.map(|range| range.1),
        in_future: ages.in_future,
        ages_ms: ages.ages.distribution(),
        what_if: ages
            .what_if()
            .map(|(ttl_ms, expired)| TtlWhatIf {
                ttl_ms,
                entries: expired.entries,
                bytes: expired.bytes,
                share: ratio(expired.entries, entries),
            })
            .collect(),
    }
}

fn timer_analysis(name: &str, timers: &super::TimersPartial, count: u64) -> TimerAnalysis {
    let domain = match name.strip_prefix(TIMER_PREFIX) {
        Some(rest) if rest.starts_with("event_") => "event",
        Some(rest) if rest.starts_with("processing_") => "processing",
        _ => "unknown",
    };
    TimerAnalysis {
        domain,
        timers: count,
        earliest_ms: timers.range.map(|range| range.0),
        latest_ms: timers.range.map(|range| range.1),
        at_end_of_time: timers.at_end_of_time,
        until_reference: timers.until_reference,
        overdue: domain == "processing",
        far_future: timers.far_future,
        due_in_ms: timers.due_in.distribution(),
    }
}

// ---- keys and skew -----------------------------------------------------------------------------------------------

fn key_analysis(
    keys: &KeysPartial,
    operator: &Operator,
    top: usize,
    rows_not_cut: u64,
    key_groups_not_counted: u64,
) -> KeyAnalysis {
    let all = keys.totals().bytes;
    let shown = |largest: &[KeyOf]| largest.iter().take(top).map(|key| top_key(key, operator, all)).collect();
    let share = |count: usize| {
        let sum =
            keys.by_bytes().iter().take(count).fold(0u64, |sum, key| sum.saturating_add(key.totals.bytes));
        ratio(sum, all)
    };
    // No more than a hundred keys can have more than a percent, and that many are kept.
    let over =
        keys.by_bytes().iter().filter(|key| u128::from(key.totals.bytes) * 100 > u128::from(all)).count();
    let (bytes_by_key, entries_by_key) = keys.distributions();
    KeyAnalysis {
        keys: keys.keys(),
        rows_not_cut,
        bytes_by_key,
        entries_by_key,
        top_by_bytes: shown(keys.by_bytes()),
        top_by_entries: shown(keys.by_entries()),
        heavy_hitters: HeavyHitters {
            top_1_share: share(1),
            top_10_share: share(10),
            top_100_share: share(100),
            keys_over_1_percent: over as u64,
        },
        key_groups_not_counted,
    }
}

fn top_key(key: &KeyOf, operator: &Operator, all: u64) -> TopKey {
    let (group, serialized) = key.key.0.split_at_checked(operator.prefix).unwrap_or_default();
    TopKey {
        key_group: group.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)),
        hex: hex(serialized),
        text: operator.key.as_ref().and_then(|key| key_text::readable(key, serialized)),
        rows: key.totals.rows,
        entries: key.totals.entries,
        bytes: key.totals.bytes,
        share: ratio(key.totals.bytes, all),
    }
}

fn skew_analysis(
    groups: &BTreeMap<u32, GroupTotals>,
    operator: &Operator,
    settings: &Settings,
    with_keys: bool,
) -> SkewAnalysis {
    SkewAnalysis {
        key_groups: skew::evenness(groups, operator.max_parallelism.into()),
        subtasks: skew::of_subtasks(groups, operator.parallelism, operator.max_parallelism),
        by_key_group: groups
            .iter()
            .map(|(key_group, totals)| KeyGroupAnalysis {
                key_group: *key_group,
                rows: totals.rows,
                entries: totals.entries,
                keys: with_keys.then_some(totals.keys),
                bytes: totals.bytes,
            })
            .collect(),
        what_if: skew::what_if(groups, &settings.parallelisms, operator.max_parallelism),
    }
}

// ---- operators and sums ------------------------------------------------------------------------------------------

/// What the states of an operator add up to.
#[derive(Debug, Default)]
struct OperatorSums {
    states: usize,
    disk: Option<DiskBytes>,
    live: LiveFigures,
    groups: BTreeMap<u32, GroupTotals>,
    rows_not_cut: u64,
    /// The keys of each state that counts them, but timers.
    keys: Vec<KeysPartial>,
}

impl OperatorSums {
    fn add(&mut self, state: &StateAnalysis, groups: BTreeMap<u32, GroupTotals>, keys: KeysPartial) {
        self.states += 1;
        add_disk(&mut self.disk, state.disk.as_ref());
        add_live(&mut self.live, &state.live);
        merge_maps(&mut self.groups, groups, |a, b| a.merge(&b));
        if state.timers.is_none() {
            self.rows_not_cut = self.rows_not_cut.saturating_add(state.keys.rows_not_cut);
            if keys.keys() > 0 {
                self.keys.push(keys);
            }
        }
    }

    /// The keys over all states: those that were counted together, or those of the only state that has any.
    fn keys(&self, together: Option<KeysPartial>) -> Option<KeysPartial> {
        together.or_else(|| match self.keys.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        })
    }
}

fn add_live(sum: &mut LiveFigures, other: &LiveFigures) {
    sum.entries_at_least |= other.entries_at_least;
    for (sum, n) in [
        (&mut sum.rows, other.rows),
        (&mut sum.entries, other.entries),
        (&mut sum.keys, other.keys),
        (&mut sum.key_namespaces, other.key_namespaces),
        (&mut sum.key_bytes, other.key_bytes),
        (&mut sum.value_bytes, other.value_bytes),
        (&mut sum.bytes, other.bytes),
    ] {
        *sum = sum.saturating_add(n);
    }
}

fn operator_analysis(
    summary: &crate::analyzers::overview::OperatorSummary,
    sums: OperatorSums,
    keys: Option<KeysPartial>,
    operator: &Operator,
    settings: &Settings,
) -> OperatorAnalysis {
    let keys = keys.map(|keys| key_analysis(&keys, operator, settings.top, sums.rows_not_cut, 0));
    OperatorAnalysis {
        id: summary.id.clone(),
        name: summary.name.clone(),
        uid: summary.uid.clone(),
        parallelism: summary.parallelism,
        max_parallelism: summary.max_parallelism,
        key_type: summary.key_type.clone(),
        states: sums.states,
        disk: sums.disk,
        live: LiveFigures { keys: keys.as_ref().map_or(sums.live.keys, |keys| keys.keys), ..sums.live },
        keys,
        skew: skew_analysis(&sums.groups, operator, settings, false),
    }
}

fn totals(states: &[StateAnalysis], not_analyzed: &[NotAnalyzed], sees_files: bool) -> AnalysisTotals {
    let mut totals = AnalysisTotals { states: states.len(), ..AnalysisTotals::default() };
    let (mut asked, mut covered, mut physical) = (0u64, 0u64, PhysicalTally::default());
    totals.disk = sees_files.then(DiskBytes::default);
    for state in states {
        add_disk(&mut totals.disk, state.disk.as_ref());
        add_live(&mut totals.live, &state.live);
        if let Some(of_state) = &state.physical {
            physical.merge(of_state);
        }
        let bytes = state.disk.map_or(0, |disk| disk.bytes);
        if state.ttl.asked {
            asked = asked.saturating_add(bytes);
            if state.ttl.covered == Some(true) {
                covered = covered.saturating_add(bytes);
            }
        }
    }
    totals.missing = missing(&physical);
    if sees_files {
        totals.physical = Some(physical);
        (totals.ttl_asked_disk_bytes, totals.ttl_covered_disk_bytes) = (Some(asked), Some(covered));
    }
    totals.not_analyzed_bytes =
        not_analyzed.iter().filter_map(|state| state.bytes).fold(0, u64::saturating_add);
    totals
}
