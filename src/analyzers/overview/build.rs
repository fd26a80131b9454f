//! Puts the overview together.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::types::{
    Filter, KindBytes, MasterStateSummary, MetadataSpend, OperatorSummary, Overview, SnapshotSummary,
    StateSummary, SubtaskSummary, Totals,
};
use super::{files, handles, states};
use crate::analyzers::channels::{ChannelRead, in_flight};
use crate::model::{
    ChannelState, DatabaseHandle, Details, FileId, FileRole, Finding, KeyedContent, KeyedDetails,
    KeyedLayout, KeyedState, Operator, OperatorDetails, OperatorStateHandle, Place, Places, Snapshot,
    SnapshotKind, Subtask, Tally,
};

/// What is known of a snapshot besides its contents.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The directory that holds `_metadata`.
    pub location: String,
    /// The last segment of that directory.
    pub directory_name: Option<String>,
    /// The job's id, if the directory above tells it.
    pub job_id: Option<String>,
    /// When `_metadata` was last modified, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// Where files were found.
    pub places: Places,
    /// The selection.
    pub filter: Filter,
    /// Whether every handle is listed with its files.
    pub handles: bool,
    /// What was read of in-flight data, in the order of [`channels`](crate::analyzers::channels::channels); none if it was not.
    pub channels: Option<Vec<ChannelRead>>,
    /// Uids by the operator ids that they give (`--uids`).
    pub uids: HashMap<crate::model::OperatorId, String>,
}

/// Puts together what a snapshot holds.
#[must_use]
pub fn overview(
    mut snapshot: Snapshot,
    details: Details,
    mut findings: Vec<Finding>,
    context: Context,
) -> Overview {
    let matched = match_uids(&mut snapshot, &context.uids);
    let mut by_operator: HashMap<usize, (Vec<&KeyedDetails>, Vec<&OperatorDetails>)> = HashMap::new();
    for keyed in &details.keyed {
        by_operator.entry(keyed.operator).or_default().0.push(keyed);
    }
    for operator in &details.operator {
        by_operator.entry(operator.operator).or_default().1.push(operator);
    }

    let mut totals = Totals { operators: snapshot.operators.len(), ..Totals::default() };
    // One set of marks for each scope in which a file counts once.
    let mut seen = Seen::new(&snapshot);
    let mut marks = (Seen::new(&snapshot), Seen::new(&snapshot));
    let (mut all_states, mut operators) = (Vec::new(), Vec::new());
    let mut backends = Vec::new();
    for (index, operator) in snapshot.operators.iter().enumerate() {
        let (keyed, managed) = by_operator.remove(&index).unwrap_or_default();
        let collected = states::of_operator(&snapshot, operator, &keyed, &managed);
        let backend = backend(&snapshot, operator, &keyed);
        if let Some(backend) = backend
            && !backends.contains(&backend)
        {
            backends.push(backend);
        }
        let mut summary = operator_summary(&snapshot, operator, backend, &mut marks);
        if context.handles {
            for (summary, subtask) in summary.subtasks.iter_mut().zip(&operator.subtasks) {
                summary.handles = handles::of_subtask(&snapshot, subtask);
            }
        }
        summary.key_type = collected.key_type;
        summary.states = collected.states.len();
        summary.uid_evidence =
            summary.uid.is_some().then(|| if matched.contains(&index) { "matched" } else { "recorded" });
        totals.add(&snapshot, operator, &mut seen);
        totals.stateless_operators += usize::from(summary.bytes == 0);
        let bound = summary.by_kind.keyed.saturating_add(summary.by_kind.raw_keyed);
        operators.push(summary);
        all_states.extend(collected.states.into_iter().map(|mut state| {
            state.bytes_at_most = if state.bytes.is_none() { Some(bound) } else { None };
            state
        }));
    }
    totals.state_bytes = totals.by_kind.total();
    totals.states = all_states.len();
    totals.states_asked_for_ttl = all_states.iter().filter(|s| s.ttl_asked).count();
    totals.states_with_ttl = all_states.iter().filter(|s| s.ttl_asked && s.ttl == Some(true)).count();
    totals.states_with_kryo = all_states.iter().filter(|s| !s.kryo.is_empty()).count();

    findings.extend(details.findings);
    findings.extend(relocation_finding(&context.places));
    let findings = grouped(findings, |_| ());

    let size = |s: &StateSummary| s.bytes.or(s.bytes_at_most);
    all_states.sort_by(|a, b| {
        (size(b), &a.operator, &a.operator_id, &a.name).cmp(&(size(a), &b.operator, &b.operator_id, &b.name))
    });
    operators.sort_by(|a, b| (b.bytes, &a.id).cmp(&(a.bytes, &b.id)));
    apply_filter(&context.filter, &mut all_states, &mut operators);

    let in_flight = context.channels.as_ref().map(|read| {
        let shown: HashSet<&str> = operators.iter().map(|operator| operator.id.as_str()).collect();
        in_flight(&snapshot, read, &|operator| shown.contains(operator.id.to_string().as_str()))
    });
    let files = files::summary(&snapshot, context.directory_name.as_deref(), context.job_id.as_deref());
    Overview {
        snapshot: snapshot_summary(&snapshot, &context, backends),
        totals,
        filter: context.filter,
        states: all_states,
        operators,
        in_flight,
        master_states: snapshot
            .master_states
            .iter()
            .map(|m| MasterStateSummary { name: m.name.clone(), version: m.version, bytes: m.bytes })
            .collect(),
        files,
        metadata: spend(&snapshot.tally),
        places: context.places,
        findings,
    }
}

/// Names operators by the uids whose ids they have, unless their uids are recorded; says which ones.
pub(in crate::analyzers) fn match_uids(
    snapshot: &mut Snapshot,
    uids: &HashMap<crate::model::OperatorId, String>,
) -> HashSet<usize> {
    let mut matched = HashSet::new();
    for (index, operator) in snapshot.operators.iter_mut().enumerate() {
        if operator.uid.is_none()
            && let Some(uid) = uids.get(&operator.id)
        {
            operator.uid = Some(uid.clone());
            matched.insert(index);
        }
    }
    matched
}

fn snapshot_summary(snapshot: &Snapshot, context: &Context, backends: Vec<&'static str>) -> SnapshotSummary {
    let (kind, type_name, sharing) = match &snapshot.kind {
        SnapshotKind::Checkpoint { name, sharing } => ("checkpoint", Some(name.clone()), sharing.clone()),
        SnapshotKind::Savepoint { name, .. } => ("savepoint", Some(name.clone()), None),
        SnapshotKind::Unknown => ("unknown", None, None),
    };
    let (format, format_evidence) = format_with_evidence(snapshot);
    SnapshotSummary {
        location: context.location.clone(),
        kind,
        format,
        format_evidence,
        type_name,
        sharing_files_strategy: sharing,
        checkpoint_id: snapshot.checkpoint_id,
        metadata_version: snapshot.metadata_version,
        written_by: written_by(snapshot.metadata_version),
        metadata_bytes: snapshot.metadata_bytes,
        completed_at_ms: context.modified_ms,
        completed_at_evidence: "file time of _metadata; copying changes it",
        job_id: context.job_id.clone(),
        backends,
    }
}

/// The Flink versions that write a version of `_metadata`.
fn written_by(version: i32) -> &'static str {
    match version {
        2 => "Flink 1.3 to 1.10",
        3 => "Flink 1.11 to 1.15",
        4 => "Flink 1.16 to 1.20",
        5 => "Flink 2.0",
        6 => "Flink 2.1 to 2.3",
        _ => "Flink after 2.3",
    }
}

/// Bytes of state that a snapshot names, and the objects they lie in.
#[must_use]
pub fn size(snapshot: &Snapshot) -> (u64, u64) {
    let mut totals = Totals::default();
    let mut seen = Seen::new(snapshot);
    for operator in &snapshot.operators {
        totals.add(snapshot, operator, &mut seen);
    }
    (totals.by_kind.total(), files::summary(snapshot, None, None).objects)
}

/// `full` or `incremental` for checkpoints, `canonical` or `native` for savepoints, where known.
#[must_use]
pub fn format(snapshot: &Snapshot) -> Option<String> {
    format_with_evidence(snapshot).0
}

fn format_with_evidence(snapshot: &Snapshot) -> (Option<String>, Option<&'static str>) {
    if let SnapshotKind::Savepoint { format: Some(format), .. } = &snapshot.kind {
        return (Some(format.to_lowercase()), Some("the savepoint type in _metadata"));
    }
    let (mut shared, mut beside, mut elsewhere) = (false, false, false);
    let (mut database, mut canonical, mut changes, mut stream) = (false, false, false, false);
    for state in snapshot.operators.iter().flat_map(|o| &o.subtasks).filter_map(|s| s.managed_keyed.as_ref())
    {
        state.walk(&mut |inner| {
            match &inner.content {
                KeyedContent::Database(db) => {
                    database = true;
                    shared |= db.files.iter().any(|f| f.shared);
                    for file in db.files.iter().filter(|f| f.shared).filter_map(|f| snapshot.file(f.file?)) {
                        match file.place {
                            Place::Relative(_) => beside = true,
                            Place::Uri(_) | Place::Segment { .. } => elsewhere = true,
                            // Inlined as any small file is.
                            Place::Inline { .. } | Place::Empty => {}
                        }
                    }
                }
                KeyedContent::Stream(handle) => {
                    stream = true;
                    canonical |= handle.canonical;
                }
                KeyedContent::ChangeFiles { .. } => changes = true,
                // What lies inside `_metadata` belongs to this checkpoint alone, and says nothing.
                KeyedContent::Changelog(_) | KeyedContent::InlineChanges { .. } => {}
            }
        });
    }
    match () {
        () if canonical => (Some("canonical".to_owned()), Some("the kind of its state handles")),
        () if matches!(snapshot.kind, SnapshotKind::Savepoint { .. }) => (None, None),
        () if beside && !elsewhere && snapshot.kind == SnapshotKind::Unknown => (
            Some("native".to_owned()),
            Some("its shared files lie beside _metadata, as only a savepoint's do"),
        ),
        () if shared => (Some("incremental".to_owned()), Some("its handles list shared files")),
        // Files of changes are shared between checkpoints, so it is not full; more is not known.
        () if changes => (None, None),
        () if database => (Some("full".to_owned()), Some("its handles list no shared file")),
        () if stream => (Some("full".to_owned()), Some("its keyed state lies in streams")),
        () => (None, None),
    }
}

fn backend(snapshot: &Snapshot, operator: &Operator, keyed: &[&KeyedDetails]) -> Option<&'static str> {
    let handles = || operator.subtasks.iter().filter_map(|s| s.managed_keyed.as_ref());
    if handles().any(|s| matches!(s.content, KeyedContent::Changelog(_))) {
        return Some("changelog");
    }
    let databases: Vec<_> = handles().flat_map(KeyedState::databases).map(|(_, db)| db).collect();
    if !databases.is_empty() {
        let forst = databases.iter().any(|db| lies_in_forst_directory(snapshot, db))
            || keyed.iter().any(|k| logs_in_forst_directory(k) || has_async_state(k));
        return Some(if forst { "forst" } else { "rocksdb" });
    }
    let layout = |wanted| keyed.iter().any(|k| k.layout == wanted);
    if handles().any(|s| matches!(&s.content, KeyedContent::Stream(s) if s.canonical)) {
        return Some("canonical");
    }
    layout(KeyedLayout::Stream).then_some("heap_or_full_stream")
}

/// ForSt works inside the job's shared directory, in one for each attempt of a subtask.
const FORST_DIRECTORY: &str = "__attempt_";

fn lies_in_forst_directory(snapshot: &Snapshot, database: &DatabaseHandle) -> bool {
    database.files.iter().filter_map(|f| snapshot.file(f.file?)).any(|file| match &file.place {
        Place::Uri(uri) | Place::Segment { uri, .. } => uri.contains(FORST_DIRECTORY),
        _ => false,
    })
}

fn logs_in_forst_directory(keyed: &KeyedDetails) -> bool {
    let options = keyed.database.as_ref().and_then(|db| db.options.as_ref());
    options.and_then(|o| o.db.get("db_log_dir")).is_some_and(|dir| dir.contains(FORST_DIRECTORY))
}

fn has_async_state(keyed: &KeyedDetails) -> bool {
    use statescope_formats::flink::state_meta::StateKind;
    let states = keyed.meta.iter().flat_map(|m| &m.states);
    states.into_iter().any(|s| matches!(s.kind, StateKind::KeyValueV2(_)))
}

/// Which files were counted. Forgetting all of them costs nothing.
struct Seen {
    marks: Vec<u32>,
    round: u32,
}

impl Seen {
    fn new(snapshot: &Snapshot) -> Self {
        Self { marks: vec![0; snapshot.files.len()], round: 1 }
    }

    fn forget(&mut self) {
        self.round = self.round.checked_add(1).unwrap_or_else(|| {
            self.marks.fill(0);
            1
        });
    }

    fn first_time(&mut self, id: FileId) -> bool {
        let Some(mark) = self.marks.get_mut(id.0 as usize) else { return false };
        std::mem::replace(mark, self.round) != self.round
    }
}

/// Adds up what handles name; a file counts once.
struct Sum<'a> {
    snapshot: &'a Snapshot,
    bytes: KindBytes,
    files: u64,
    in_flight_channels: u64,
}

impl<'a> Sum<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, bytes: KindBytes::default(), files: 0, in_flight_channels: 0 }
    }

    /// The size of a file, if it is seen for the first time.
    fn size(&mut self, id: FileId, seen: &mut Seen) -> u64 {
        if !seen.first_time(id) {
            return 0;
        }
        let Some(file) = self.snapshot.file(id) else { return 0 };
        self.files += u64::from(file.place != Place::Empty);
        // Files of changelogs and channels are shared by many subtasks; each handle says its part.
        if matches!(file.role, FileRole::Changelog | FileRole::Channel) { 0 } else { file.size }
    }

    fn keyed(&mut self, state: &KeyedState, seen: &mut Seen) -> u64 {
        let mut bytes = state.files().into_iter().map(|f| self.size(f, seen)).fold(0, u64::saturating_add);
        state.walk(&mut |inner| match &inner.content {
            KeyedContent::InlineChanges { bytes: n, .. } => bytes = bytes.saturating_add(*n),
            KeyedContent::ChangeFiles { bytes: n, .. } => {
                bytes = bytes.saturating_add(u64::try_from(*n).unwrap_or(0));
            }
            _ => {}
        });
        bytes
    }

    fn channels(&mut self, channels: &[ChannelState], seen: &mut Seen) {
        for channel in channels {
            if let Some(stream) = channel.stream {
                self.size(stream, seen);
            }
            self.bytes.in_flight = self.bytes.in_flight.saturating_add(channel.bytes);
            self.in_flight_channels += channel.channels.len() as u64;
        }
    }

    fn subtask(&mut self, subtask: &Subtask, seen: &mut Seen) {
        if let Some(state) = &subtask.managed_keyed {
            self.bytes.keyed = self.bytes.keyed.saturating_add(self.keyed(state, seen));
        }
        if let Some(state) = &subtask.raw_keyed {
            self.bytes.raw_keyed = self.bytes.raw_keyed.saturating_add(self.keyed(state, seen));
        }
        let stream = |handle: &Option<OperatorStateHandle>| handle.as_ref().and_then(|h| h.stream);
        if let Some(file) = stream(&subtask.managed_operator) {
            self.bytes.operator = self.bytes.operator.saturating_add(self.size(file, seen));
        }
        if let Some(file) = stream(&subtask.raw_operator) {
            self.bytes.raw_operator = self.bytes.raw_operator.saturating_add(self.size(file, seen));
        }
        self.channels(&subtask.input_channels, seen);
        self.channels(&subtask.result_subpartitions, seen);
    }

    fn operator(&mut self, operator: &Operator, seen: &mut Seen) {
        for subtask in &operator.subtasks {
            self.subtask(subtask, seen);
        }
        if let Some(file) = operator.coordinator {
            self.bytes.coordinator = self.bytes.coordinator.saturating_add(self.size(file, seen));
        }
    }
}

impl Totals {
    fn add(&mut self, snapshot: &Snapshot, operator: &Operator, seen: &mut Seen) {
        let mut sum = Sum::new(snapshot);
        sum.operator(operator, seen);
        let KindBytes { keyed, raw_keyed, operator: managed, raw_operator, in_flight, coordinator } =
            sum.bytes;
        let to = &mut self.by_kind;
        for (to, n) in [
            (&mut to.keyed, keyed),
            (&mut to.raw_keyed, raw_keyed),
            (&mut to.operator, managed),
            (&mut to.raw_operator, raw_operator),
            (&mut to.in_flight, in_flight),
            (&mut to.coordinator, coordinator),
        ] {
            *to = to.saturating_add(n);
        }
        self.subtasks += operator.subtasks.len();
        for subtask in &operator.subtasks {
            self.handles += usize::from(subtask.managed_keyed.is_some())
                + usize::from(subtask.raw_keyed.is_some())
                + usize::from(subtask.managed_operator.is_some())
                + usize::from(subtask.raw_operator.is_some())
                + subtask.input_channels.len()
                + subtask.result_subpartitions.len();
            for (_, database) in subtask.managed_keyed.iter().flat_map(KeyedState::databases) {
                if let Some(bytes) = database.uploaded_bytes
                    && database.checkpoint_id == snapshot.checkpoint_id
                {
                    self.uploaded_bytes = Some(self.uploaded_bytes.unwrap_or(0).saturating_add(bytes));
                }
            }
        }
    }
}

fn operator_summary(
    snapshot: &Snapshot,
    operator: &Operator,
    backend: Option<&'static str>,
    (in_operator, in_subtask): &mut (Seen, Seen),
) -> OperatorSummary {
    let mut sum = Sum::new(snapshot);
    in_operator.forget();
    sum.operator(operator, in_operator);
    let subtasks: Vec<_> =
        operator.subtasks.iter().map(|s| subtask_summary(snapshot, s, in_subtask)).collect();
    let by_subtasks = subtasks.iter().map(|s| s.bytes).fold(0, u64::saturating_add);
    OperatorSummary {
        id: operator.id.to_string(),
        name: operator.name.clone(),
        uid: operator.uid.clone(),
        uid_evidence: None,
        parallelism: operator.parallelism,
        max_parallelism: operator.max_parallelism,
        fully_finished: operator.fully_finished,
        finished_subtasks: operator.subtasks.iter().filter(|s| s.finished).count(),
        backend,
        key_type: None,
        bytes: sum.bytes.total(),
        by_kind: sum.bytes,
        bytes_shared_between_subtasks: by_subtasks
            .saturating_sub(sum.bytes.total().saturating_sub(sum.bytes.coordinator)),
        files: sum.files,
        states: 0,
        coordinator_bytes: operator.coordinator.and_then(|f| snapshot.file(f)).map(|f| f.size),
        subtasks,
    }
}

fn subtask_summary(snapshot: &Snapshot, subtask: &Subtask, seen: &mut Seen) -> SubtaskSummary {
    let mut sum = Sum::new(snapshot);
    seen.forget();
    sum.subtask(subtask, seen);
    let keyed = subtask.managed_keyed.as_ref().or(subtask.raw_keyed.as_ref());
    SubtaskSummary {
        subtask: subtask.index,
        finished: subtask.finished,
        key_groups: keyed.and_then(|k| Some((k.key_groups.start, k.key_groups.last()?))),
        keyed_layout: keyed.map(layout),
        bytes: sum.bytes.total(),
        by_kind: sum.bytes,
        files: sum.files,
        in_flight_channels: sum.in_flight_channels,
        reference_checkpoint_id: subtask.reference_checkpoint_id,
        handles: Vec::new(),
    }
}

pub(super) fn layout(state: &KeyedState) -> &'static str {
    match &state.content {
        KeyedContent::Database(_) => "database",
        KeyedContent::Stream(stream) if stream.canonical => "canonical",
        KeyedContent::Stream(_) => "stream",
        KeyedContent::Changelog(_) => "changelog",
        KeyedContent::InlineChanges { .. } | KeyedContent::ChangeFiles { .. } => "changes",
    }
}

fn spend(tally: &Tally) -> MetadataSpend {
    MetadataSpend {
        inlined_state: tally.inlined_state,
        coordinator_state: tally.coordinator_state,
        master_state: tally.master_state,
        paths: tally.paths,
        key_group_offsets: tally.key_group_offsets,
        operator_state_offsets: tally.operator_state_offsets,
        channel_state: tally.channel_state,
        properties: tally.properties,
        structure: tally.structure,
    }
}

/// A snapshot of which some files were found where they were recorded and others elsewhere may be
/// half of one and half of another.
pub(in crate::analyzers) fn relocation_finding(places: &Places) -> Option<Finding> {
    (places.recorded_uris > 0 && places.relocated > 0).then(|| {
        Finding::warning(
            "mixed_places",
            format!(
                "{} files were read where they were recorded and {} elsewhere",
                places.recorded_uris, places.relocated
            ),
            "if this is a copy, make sure that it is whole: the originals may go away",
        )
    })
}

/// Findings that say the same of many parts become one each, unless `apart` says different things of them; the worst
/// come first.
pub(in crate::analyzers) fn grouped<K: Hash + Eq>(
    findings: Vec<Finding>,
    apart: impl Fn(&Finding) -> K,
) -> Vec<Finding> {
    let mut groups: Vec<(Finding, usize)> = Vec::new();
    let mut known = HashMap::new();
    for finding in findings {
        let key =
            (finding.code, finding.message.clone(), finding.file.clone(), finding.offset, apart(&finding));
        if let Some(&at) = known.get(&key) {
            if let Some((_, count)) = groups.get_mut(at) {
                *count += 1;
            }
            continue;
        }
        known.insert(key, groups.len());
        groups.push((finding, 1));
    }
    let mut findings: Vec<_> = groups
        .into_iter()
        .map(|(mut finding, count)| {
            if count > 1 {
                finding.part = finding.part.map(|part| format!("{part} and {} more", count - 1));
            }
            finding
        })
        .collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    findings
}

/// Whether an operator is meant by a part of its name or uid, or the begin of its id.
fn is_named(wanted: &str, name: &Option<String>, uid: &Option<String>, id: &str) -> bool {
    let fits = |name: &Option<String>| name.as_ref().is_some_and(|name| name.contains(wanted));
    fits(name) || fits(uid) || id.starts_with(wanted)
}

impl Filter {
    /// Whether an operator is selected, whatever states it has.
    #[must_use]
    pub fn fits_operator(&self, operator: &Operator) -> bool {
        let wanted = self.operator.as_deref();
        wanted.is_none_or(|wanted| is_named(wanted, &operator.name, &operator.uid, &operator.id.to_string()))
    }
}

fn apply_filter(filter: &Filter, states: &mut Vec<StateSummary>, operators: &mut Vec<OperatorSummary>) {
    if let Some(wanted) = &filter.operator {
        operators.retain(|o| is_named(wanted, &o.name, &o.uid, &o.id));
        let ids: HashSet<_> = operators.iter().map(|o| o.id.as_str()).collect();
        states.retain(|s| ids.contains(s.operator_id.as_str()));
    }
    if let Some(wanted) = &filter.state {
        states.retain(|s| s.name.contains(wanted.as_str()));
        let ids: HashSet<_> = states.iter().map(|s| s.operator_id.as_str()).collect();
        operators.retain(|o| ids.contains(o.id.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{DatabaseFile, KeyGroupRange, OperatorId, StateFile};

    /// A snapshot with one database whose only table is in the list of shared files.
    fn with_shared_table(kind: SnapshotKind, place: Place) -> Snapshot {
        let file = DatabaseFile { name: Arc::from("000001.sst"), shared: true, file: Some(FileId(0)) };
        let database = DatabaseHandle {
            checkpoint_id: 1,
            backend_id: Arc::from("backend"),
            uploaded_bytes: None,
            meta: None,
            files: vec![file],
        };
        let state = KeyedState {
            key_groups: KeyGroupRange { start: 0, count: 128 },
            content: KeyedContent::Database(database),
        };
        let operator = Operator {
            id: OperatorId([0; 16]),
            name: None,
            uid: None,
            parallelism: 1,
            max_parallelism: 128,
            coordinator: None,
            fully_finished: false,
            subtasks: vec![Subtask { managed_keyed: Some(state), ..Subtask::default() }],
        };
        Snapshot {
            metadata_version: 3,
            metadata_bytes: 0,
            checkpoint_id: 1,
            kind,
            operators: vec![operator],
            master_states: Vec::new(),
            tally: Tally::default(),
            files: vec![StateFile { place, size: 1, role: FileRole::Sst, uses: 1 }],
        }
    }

    #[test]
    fn before_version_4_a_native_savepoint_is_told_by_where_its_files_lie() {
        let of = |kind, place| format(&with_shared_table(kind, place)).unwrap();
        let unknown = || SnapshotKind::Unknown;
        assert_eq!(of(unknown(), Place::Relative("u".into())), "native");
        assert_eq!(of(unknown(), Place::Uri("file:/d/shared/u".into())), "incremental");
        // Any small file is inlined, so this says nothing.
        assert_eq!(of(unknown(), Place::Inline { offset: 0, name: "u".into() }), "incremental");
        let checkpoint = SnapshotKind::Checkpoint { name: "Checkpoint".to_owned(), sharing: None };
        assert_eq!(of(checkpoint, Place::Relative("u".into())), "incremental");
    }

    #[test]
    fn a_file_counts_once_until_all_are_forgotten() {
        let snapshot = with_shared_table(SnapshotKind::Unknown, Place::Empty);
        let mut seen = Seen::new(&snapshot);
        assert_eq!([seen.first_time(FileId(0)), seen.first_time(FileId(0))], [true, false]);
        seen.forget();
        assert!(seen.first_time(FileId(0)));
        seen.round = u32::MAX;
        seen.forget();
        assert!(seen.first_time(FileId(0)), "also when the rounds begin again");
        assert!(!seen.first_time(FileId(1)), "there is no such file");
    }
}
