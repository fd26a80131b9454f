//! Puts the analysis together: partials in, figures out.

mod keys;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use statescope_formats::flink::serializer::SerializerSnapshot;

use self::keys::{key_analysis, readable_key, skew_analysis};
use super::ages::AgesPartial;
use super::disk_groups::DiskGroups;
use super::estimate::{self, StateSample};
use super::findings;
use super::key_bytes::hex;
use super::keys::KeysPartial;
use super::partial::{
    AnalysisPartial, GroupTotals, LiveTotals, NotWalkedTotals, Problem, StateKey, StatePartial, merge_maps,
};
use super::physical::{Physical, add_disk, disk, stream_disk};
use super::plan::Settings;
use super::skew::ratio;
use super::tally::{ChangesTally, PhysicalTally, StreamTally};
use super::types::{
    AgeAnalysis, Analysis, AnalysisTotals, ChangesFigures, CompressionAnalysis, Depth, DiskBytes, Engine,
    Estimates, Example, ExpiredAnalysis, KeyEstimate, KryoAnalysis, LevelAnalysis, LiveFigures, Method,
    Missing, NotAnalyzed, NotAppliedFigures, NotWalked, OperationFigures, OperatorAnalysis, SstFiles,
    StateAnalysis, StreamFigures, SubtaskAnalysis, TimerAnalysis, TtlAnalysis, TtlWhatIf,
};
use crate::analyzers::overview::{LevelBytes, Overview, StateOfSubtask, StateSummary};
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
    /// What was learned without reading all rows, by index of the operator in the snapshot and name of the state.
    pub shallow: Shallow,
    /// What the scan found; what is in the overview need not be repeated.
    pub findings: Vec<Finding>,
}

/// What was learned without reading all rows.
#[derive(Debug, Default)]
pub struct Shallow {
    /// On-disk bytes by key group.
    pub disk_groups: BTreeMap<(u32, String), DiskGroups>,
    /// Samples.
    pub samples: BTreeMap<(u32, String), StateSample>,
}

/// What an analysis saw.
#[derive(Debug, Clone, Copy)]
struct Sees {
    /// Files, blocks and levels; engines of reference do not.
    files: bool,
    /// What blocks are spent on, or what properties and indexes say of blocks.
    blocks: bool,
    /// All rows.
    rows: bool,
}

impl Sees {
    fn of(method: &Method) -> Self {
        let files = method.engine == Engine::Native;
        let rows = method.depth == Depth::Full;
        Self { files, blocks: files && (rows || method.depth == Depth::Index), rows }
    }
}

impl Sees {
    /// Changes of changelogs.
    fn changes(self) -> bool {
        self.files && self.rows
    }
}

/// The kind of what a changelog holds besides what was materialized.
const CHANGES: &str = "changes";

/// Puts an analysis together, once all splits are merged.
#[must_use]
pub fn finish(partial: AnalysisPartial, context: Context) -> Analysis {
    let Context { overview, subjects, method, settings, mut shallow, findings } = context;
    let sees = Sees::of(&method);
    // Operators with changes that were read.
    let changed: HashSet<u32> = partial.changes.keys().map(|(operator, _)| *operator).collect();
    let mut gathered = gather(partial, &subjects);
    let (mut states, mut not_analyzed) = (Vec::new(), Vec::new());
    let mut by_operator: BTreeMap<u32, OperatorSums> = BTreeMap::new();
    let indexes: HashMap<&str, u32> = subjects.operators.iter().map(|o| o.id.as_str()).zip(0..).collect();
    let backends: HashMap<&str, &str> =
        overview.operators.iter().filter_map(|o| Some((o.id.as_str(), o.backend?))).collect();
    let (mut samples, mut physical) = (Vec::new(), PhysicalTally::default());
    let mut streams = StreamTally::default();
    // Operators with changes that are not applied.
    let mut stale: HashSet<&str> = HashSet::new();
    for summary in &overview.states {
        let backend = backends.get(summary.operator_id.as_str()).copied();
        let operator = indexes.get(summary.operator_id.as_str()).copied();
        let found = operator
            .filter(|_| is_keyed(summary.kind))
            .and_then(|at| Some((at, gathered.states.remove(&(at, summary.name.clone()))?)));
        // A state without a single file has nothing to be read, and nothing that is not known. Where rows are not read,
        // MANIFEST is enough.
        let is_known = summary.bytes == Some(0) || !sees.rows && summary.sst_files.is_some();
        let is_known = is_keyed(summary.kind) && is_known;
        let found = found.or_else(|| operator.filter(|_| is_known).map(|at| (at, Gathered::default())));
        let Some((at, mut gathered)) = found else {
            if summary.kind == CHANGES && operator.is_some_and(|at| changed.contains(&at)) {
                continue;
            }
            if summary.kind == CHANGES {
                stale.insert(summary.operator_id.as_str());
            }
            not_analyzed.push(not_analyzed_state(summary, backend, sees));
            continue;
        };
        let Some(operator) = subjects.operators.get(at as usize) else { continue };
        let place = (at, summary.name.clone());
        gathered.disk_groups = shallow.disk_groups.remove(&place);
        gathered.estimates = shallow.samples.remove(&place).map(|sample| {
            let estimates = sampled(&sample, summary, operator, &settings);
            samples.push(sample);
            estimates
        });
        let sums = by_operator.entry(at).or_default();
        let (state, parts) = state_analysis(summary, gathered, operator, &settings, sees);
        physical.merge(&parts.tally);
        streams.merge(&parts.streams);
        sums.add(&state, parts);
        states.push(state);
    }
    let mut operators = Vec::new();
    for summary in &overview.operators {
        let Some(at) = indexes.get(summary.id.as_str()) else { continue };
        let (Some(sums), Some(operator)) = (by_operator.remove(at), subjects.operators.get(*at as usize))
        else {
            continue;
        };
        let keys = sums.keys(gathered.operators.remove(at)).filter(|_| sees.rows);
        operators.push(operator_analysis(summary, sums, keys, operator, &settings));
    }
    let size_of = |disk: Option<DiskBytes>, sst: SstFiles, live: Option<&LiveFigures>| {
        disk.map(|disk| disk.bytes)
            .or(live.filter(|_| !sees.files).map(|live| live.bytes))
            .unwrap_or(sst.bytes)
    };
    let of_state = |s: &StateAnalysis| size_of(s.disk, s.sst.unwrap_or_default(), s.live.as_ref());
    let of_operator = |o: &OperatorAnalysis| size_of(o.disk, o.sst, o.live.as_ref());
    states.sort_by(|a, b| {
        let names = (&a.operator, &a.operator_id, &a.name).cmp(&(&b.operator, &b.operator_id, &b.name));
        of_state(b).cmp(&of_state(a)).then(names)
    });
    operators.sort_by(|a, b| of_operator(b).cmp(&of_operator(a)).then(a.id.cmp(&b.id)));
    let size = |s: &NotAnalyzed| s.bytes.or(s.bytes_at_most);
    not_analyzed.sort_by(|a, b| {
        (size(b), &a.operator, &a.operator_id, &a.name).cmp(&(size(a), &b.operator, &b.operator_id, &b.name))
    });
    let mut totals = totals(&states, (&physical, &streams), &not_analyzed, sees);
    let expires = states.iter().any(|state| state.ttl.ttl_ms.is_some());
    let kryo = states.iter().any(|state| !state.kryo.paths.is_empty());
    totals.estimates = estimate::totals(&samples, expires, kryo);
    let mut all = findings;
    all.extend(overview.findings);
    all.extend(findings::of(&totals, &states, &operators, &stale));
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

/// What a sample of a state says.
fn sampled(
    sample: &StateSample,
    summary: &StateSummary,
    operator: &Operator,
    settings: &Settings,
) -> Estimates {
    let expires = settings.ttl_of(&summary.name).is_some() && summary.ttl == Some(true);
    let mut estimates =
        estimate::of_state(sample, expires, !summary.kryo.is_empty(), summary.ttl == Some(true));
    estimates.top_keys = sample
        .top_keys()
        .into_iter()
        .map(|(key, share)| {
            let (key_group, hex, text) = readable_key(&key.0, operator);
            KeyEstimate { key_group, hex, text, share }
        })
        .collect();
    estimates
}

/// Whether states of this kind have rows.
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

fn not_analyzed_state(summary: &StateSummary, backend: Option<&str>, sees: Sees) -> NotAnalyzed {
    let in_tables = summary.bytes.is_some() && matches!(backend, Some("rocksdb" | "forst" | "changelog"));
    let (reason, explanation) = match summary.kind {
        "operator_list" | "operator_union" | "broadcast" => (
            "operator_state",
            "operator state is small, and lies in a stream of its own; only inspect shows it",
        ),
        "raw_keyed" | "raw_operator" => ("raw_state", "raw state is in a format of the user's function"),
        CHANGES => {
            ("changelog", "changes of a changelog are applied with --depth full and the native engine only")
        }
        _ if in_tables => ("failed", "none of its files could be read"),
        _ if backend == Some("changelog") && !sees.changes() => (
            "changelog",
            "only changes of a changelog tell of it: they are read with --depth full and the native engine",
        ),
        _ if !sees.files => ("not_rocksdb", "it lies in a stream of key groups, not in RocksDB files"),
        _ if !sees.rows => (
            "stream_not_read",
            "it lies in a stream of key groups: what of that is its own is known only when all is read (--depth full)",
        ),
        _ => ("failed", "its stream, or what describes it, could not be read"),
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
    /// In streams.
    streams: Option<StreamTally>,
    subtasks: BTreeMap<u32, Part>,
    /// The first example of each problem, with its subtask.
    examples: BTreeMap<Problem, ((Vec<u8>, u64), u32)>,
    sample: Option<super::compression::CompressionSample>,
    disk_groups: Option<DiskGroups>,
    estimates: Option<Estimates>,
    changes: Option<ChangesTally>,
}

/// The part of a subtask, as partials tell it.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    key_groups: Option<(u32, u32)>,
    disk_bytes: u64,
    rows: u64,
    entries: u64,
    bytes: u64,
}

struct All {
    states: BTreeMap<(u32, String), Gathered>,
    /// Keys over all states of an operator, complete.
    operators: BTreeMap<u32, KeysPartial>,
}

fn gather(partial: AnalysisPartial, subjects: &Subjects) -> All {
    let mut all = All { states: BTreeMap::new(), operators: BTreeMap::new() };
    let place = |key: &StateKey| (key.operator, key.state.clone());
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
        let part = gathered.subtasks.entry(handle.subtask).or_default();
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
            let part = gathered.subtasks.entry(handle.subtask).or_default();
            part.disk_bytes = part.disk_bytes.saturating_add(tally.disk_bytes());
        }
        gathered.tallies.entry((key.level, key.compression)).or_default().merge(&tally);
    }
    for (key, tally) in partial.streams {
        let gathered = all.states.entry(place(&key)).or_default();
        if let Some(handle) = handle(key.handle) {
            let part = gathered.subtasks.entry(handle.subtask).or_default();
            part.disk_bytes = part.disk_bytes.saturating_add(tally.bytes);
        }
        gathered.streams.get_or_insert_default().merge(&tally);
    }
    for (key, tally) in partial.changes {
        all.states.entry(key).or_default().changes.get_or_insert_default().merge(&tally);
    }
    for (key, sample) in partial.samples {
        let gathered = all.states.entry(place(&key)).or_default();
        match &mut gathered.sample {
            Some(ours) => ours.merge(sample),
            none => *none = Some(sample),
        }
    }
    let incomplete: BTreeSet<u32> =
        partial.operators.iter().filter(|(_, partial)| partial.incomplete).map(|(at, _)| *at).collect();
    all.operators =
        partial.operators.into_iter().map(|(operator, partial)| (operator, partial.keys)).collect();
    for (key, edges) in partial.operator_edges {
        all.operators.entry(key.operator).or_default().close(edges);
    }
    all.operators.retain(|operator, _| !incomplete.contains(operator));
    all
}

// ---- a state -----------------------------------------------------------------------------------------------------

fn missing(tally: &PhysicalTally, streams: &StreamTally) -> Missing {
    Missing {
        files: tally.damaged_files,
        blocks: tally.damaged_blocks,
        key_groups: streams.damaged_key_groups,
        bytes: tally.damaged_bytes.saturating_add(streams.damaged_bytes),
        entries: tally.damaged_entries,
    }
}

fn changes_figures(tally: &ChangesTally) -> ChangesFigures {
    let operations = tally.applied.iter();
    let not_applied = tally.not_applied.iter();
    ChangesFigures {
        applied: tally.applied.values().fold(0, |sum, count| sum.saturating_add(*count)),
        bytes: tally.bytes,
        operations: operations
            .map(|(operation, changes)| OperationFigures { operation: operation.clone(), changes: *changes })
            .collect(),
        not_applied: not_applied
            .map(|(reason, not)| NotAppliedFigures {
                reason: reason.clone(),
                changes: not.changes,
                bytes: not.bytes,
            })
            .collect(),
        merged_rows: tally.merged_rows,
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

/// What of a state adds up further.
struct Parts {
    groups: BTreeMap<u32, GroupTotals>,
    keys: KeysPartial,
    tally: PhysicalTally,
    streams: StreamTally,
}

fn state_analysis(
    summary: &StateSummary,
    gathered: Gathered,
    operator: &Operator,
    settings: &Settings,
    sees: Sees,
) -> (StateAnalysis, Parts) {
    let Gathered {
        live: partial,
        keys,
        tallies,
        streams,
        subtasks,
        examples,
        sample,
        disk_groups,
        estimates,
        changes,
    } = gathered;
    let mut tally = PhysicalTally::default();
    tallies.values().for_each(|of_level| tally.merge(of_level));
    let in_tables = summary.sst_files.is_some() || !tallies.is_empty();
    let mut disk = (sees.blocks && in_tables).then(|| disk(&tally, sees.rows));
    add_disk(&mut disk, streams.as_ref().filter(|_| sees.blocks).map(stream_disk).as_ref());
    let physical = (sees.blocks && in_tables).then(|| Physical::new(&tally, sees.rows));
    let read = |n: u64| sees.rows.then_some(n);
    let problems = |problems: &[Problem]| {
        let found = problems.iter().filter_map(|problem| partial.not_walked.get(problem));
        found.fold(0u64, |rows, totals| rows.saturating_add(totals.rows))
    };
    let at_least =
        problems(&[Problem::ElementsNotWalked, Problem::ElementsContradict, Problem::RowsNotRead]) > 0;
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
        sst: in_tables
            .then(|| SstFiles { files: summary.sst_files.unwrap_or(0), bytes: summary.bytes.unwrap_or(0) }),
        streams: streams.map(|tally| StreamFigures {
            key_groups: tally.key_groups,
            bytes: tally.bytes,
            uncompressed_bytes: tally.uncompressed_bytes,
        }),
        disk,
        live: sees.rows.then(|| live_figures(&partial.live, at_least, keys.keys(), counted)),
        physical,
        estimates,
        space_amplification: physical
            .filter(|_| sees.rows && partial.live.bytes() > 0)
            .map(|physical| ratio(physical.raw_bytes(), partial.live.bytes())),
        row_bytes: sees.rows.then(|| partial.row_bytes.distribution()),
        element_bytes: (sees.rows && summary.kind == "list").then(|| partial.element_bytes.distribution()),
        levels: if sees.files {
            levels(&summary.levels, &tallies, &partial, ttl_ms, sees)
        } else {
            Vec::new()
        },
        disk_by_key_group: disk_groups.map(|groups| groups.report(operator.max_parallelism)),
        compressions: compressions(&tallies, sees),
        subtasks: self::subtasks(&summary.subtasks, &subtasks, in_tables, sees),
        keys: sees
            .rows
            .then(|| key_analysis(&keys, operator, settings.top, rows_not_cut, groups_not_counted)),
        skew: sees.rows.then(|| skew_analysis(&partial.groups, operator, settings, true)),
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
                disk_bytes: disk.and_then(|disk| disk.expired_bytes),
                when_written: (sees.files && in_tables).then_some(expired.when_written),
            }),
        },
        kryo: KryoAnalysis {
            paths: summary.kryo.clone(),
            touched_rows: read(partial.kryo.touched_rows),
            touched_bytes: read(partial.kryo.touched_bytes),
            exact_key_bytes: (partial.kryo.key_bytes > 0).then_some(partial.kryo.key_bytes),
            exact_value_bytes: (partial.kryo.value_bytes > 0).then_some(partial.kryo.value_bytes),
        },
        timers,
        changes: changes.as_ref().map(changes_figures),
        compression_what_if: sample.map(|sample| sample.expected(tally.stored_bytes)),
        not_walked: partial
            .not_walked
            .iter()
            .map(|(problem, totals)| not_walked(*problem, totals, examples.get(problem), sees.files))
            .collect(),
        missing: missing(&tally, &streams.unwrap_or_default()),
    };
    let streams = streams.unwrap_or_default();
    (state, Parts { groups: partial.groups, keys, tally, streams })
}

fn levels(
    files: &[LevelBytes],
    tallies: &BTreeMap<(u32, String), PhysicalTally>,
    partial: &StatePartial,
    ttl_ms: Option<u64>,
    sees: Sees,
) -> Vec<LevelAnalysis> {
    let mut levels: BTreeMap<u32, (SstFiles, PhysicalTally)> = BTreeMap::new();
    for LevelBytes { level, files, bytes } in files {
        levels.entry(*level).or_default().0 = SstFiles { files: *files, bytes: *bytes };
    }
    for ((level, _), tally) in tallies {
        levels.entry(*level).or_default().1.merge(tally);
    }
    let shown = levels.into_iter().map(|(level, (sst, tally))| {
        let expired = partial.expired.get(&level).copied().unwrap_or_default();
        LevelAnalysis {
            level,
            sst,
            disk: sees.blocks.then(|| disk(&tally, sees.rows)),
            physical: sees.blocks.then(|| Physical::new(&tally, sees.rows)),
            expired_entries: ttl_ms.map(|_| expired.entries),
            expired_when_written: ttl_ms.map(|_| expired.when_written),
        }
    });
    shown.collect()
}

fn compressions(tallies: &BTreeMap<(u32, String), PhysicalTally>, sees: Sees) -> Vec<CompressionAnalysis> {
    let shown = tallies.iter().map(|((level, compression), tally)| {
        let of_stored = |bytes: u64| (tally.stored_bytes > 0).then(|| ratio(bytes, tally.stored_bytes));
        let uncompressed = sees.rows.then_some(tally.uncompressed_bytes);
        CompressionAnalysis {
            level: *level,
            compression: compression.clone(),
            data_blocks: tally.data_blocks,
            stored_bytes: tally.stored_bytes,
            uncompressed_bytes: uncompressed,
            ratio: uncompressed.and_then(of_stored),
            raw_ratio: of_stored(tally.raw_bytes()),
        }
    });
    shown.collect()
}

fn subtasks(
    files: &[StateOfSubtask],
    parts: &BTreeMap<u32, Part>,
    in_tables: bool,
    sees: Sees,
) -> Vec<SubtaskAnalysis> {
    let mut subtasks: BTreeMap<u32, SubtaskAnalysis> = BTreeMap::new();
    let mut of = |subtask: u32, key_groups, sst, part: Part| {
        let read = |n: u64| sees.rows.then_some(n);
        subtasks.entry(subtask).or_insert(SubtaskAnalysis {
            subtask,
            key_groups,
            sst: in_tables.then_some(sst),
            disk_bytes: sees.blocks.then_some(part.disk_bytes),
            rows: read(part.rows),
            entries: read(part.entries),
            bytes: read(part.bytes),
        });
    };
    for file in files {
        let part = parts.get(&file.subtask).copied();
        // Where rows are read, only those subtasks are told that have been.
        if sees.rows && part.is_none() {
            continue;
        }
        let part = part.unwrap_or_default();
        let sst = SstFiles { files: file.files.unwrap_or(0), bytes: file.bytes.unwrap_or(0) };
        of(file.subtask, part.key_groups.or(file.key_groups), sst, part);
    }
    for (subtask, part) in parts {
        of(*subtask, part.key_groups, SstFiles::default(), *part);
    }
    subtasks.into_values().collect()
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
            sst: Some(*sst).filter(|sst| sees_files && *sst > 0),
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

// ---- operators and sums ------------------------------------------------------------------------------------------

/// What the states of an operator add up to.
#[derive(Debug, Default)]
struct OperatorSums {
    states: usize,
    sst: SstFiles,
    disk: Option<DiskBytes>,
    live: Option<LiveFigures>,
    groups: BTreeMap<u32, GroupTotals>,
    rows_not_cut: u64,
    /// The keys of each state that counts them, but timers.
    keys: Vec<KeysPartial>,
}

impl OperatorSums {
    fn add(&mut self, state: &StateAnalysis, Parts { groups, keys, .. }: Parts) {
        self.states += 1;
        add_files(&mut self.sst, state.sst.unwrap_or_default());
        add_disk(&mut self.disk, state.disk.as_ref());
        add_live(&mut self.live, state.live.as_ref());
        merge_maps(&mut self.groups, groups, |a, b| a.merge(&b));
        if state.timers.is_none() {
            let not_cut = state.keys.as_ref().map_or(0, |keys| keys.rows_not_cut);
            self.rows_not_cut = self.rows_not_cut.saturating_add(not_cut);
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

fn add_files(sum: &mut SstFiles, other: SstFiles) {
    sum.files = sum.files.saturating_add(other.files);
    sum.bytes = sum.bytes.saturating_add(other.bytes);
}

fn add_live(sum: &mut Option<LiveFigures>, other: Option<&LiveFigures>) {
    let Some(other) = other else { return };
    let sum = sum.get_or_insert_default();
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
        sst: sums.sst,
        disk: sums.disk,
        live: sums
            .live
            .map(|live| LiveFigures { keys: keys.as_ref().map_or(live.keys, |keys| keys.keys), ..live }),
        keys,
        skew: sums.live.map(|_| skew_analysis(&sums.groups, operator, settings, false)),
    }
}

fn totals(
    states: &[StateAnalysis],
    (tally, streams): (&PhysicalTally, &StreamTally),
    not_analyzed: &[NotAnalyzed],
    sees: Sees,
) -> AnalysisTotals {
    let mut totals = AnalysisTotals { states: states.len(), ..AnalysisTotals::default() };
    let (mut asked, mut covered) = (0u64, 0u64);
    totals.disk = sees.blocks.then(|| disk(&PhysicalTally::default(), sees.rows));
    totals.live = sees.rows.then(LiveFigures::default);
    for state in states {
        add_files(&mut totals.sst, state.sst.unwrap_or_default());
        add_disk(&mut totals.disk, state.disk.as_ref());
        add_live(&mut totals.live, state.live.as_ref());
        let bytes = state.disk.map_or(state.sst.unwrap_or_default().bytes, |disk| disk.bytes);
        if state.ttl.asked {
            asked = asked.saturating_add(bytes);
            if state.ttl.covered == Some(true) {
                covered = covered.saturating_add(bytes);
            }
        }
    }
    totals.missing = missing(tally, streams);
    let in_tables = states.is_empty() || states.iter().any(|state| state.physical.is_some());
    totals.physical = (sees.blocks && in_tables).then(|| Physical::new(tally, sees.rows));
    if sees.files {
        (totals.ttl_asked_disk_bytes, totals.ttl_covered_disk_bytes) = (Some(asked), Some(covered));
    }
    totals.not_analyzed_bytes =
        not_analyzed.iter().filter_map(|state| state.bytes).fold(0, u64::saturating_add);
    totals
}
