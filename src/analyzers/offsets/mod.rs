//! Operator state as data: where sources would read on, what sinks have not committed, what lists and broadcast states hold.
//!
//! Streams are decoded one by one ([`Collector::digest`]), on as many threads as one likes, and added up in any order; what connectors keep is put together when all are there, since
//! it takes all splits of a source to say whose they are.

mod digest;
mod legacy;
mod roles;
mod sinks;
mod sources;
mod types;

use std::collections::{BTreeMap, HashMap};

use statescope_formats::flink::connector::{Connector, CoordinatorState};
use statescope_formats::flink::value::{JsonLimits, KryoVersion};

pub use digest::Digest;
use digest::{RawSplit, StateDigest};
use roles::Role;
pub use types::*;

use crate::analyzers::overview::match_uids;
use crate::analyzers::root::SnapshotRow;
use crate::model::{
    CoordinatorBytes, DistributionMode, Effect, Finding, Operator, OperatorId, OperatorStream, Places,
    Snapshot,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// How many elements of each state are shown.
    pub limit: usize,
    /// How many bytes of what cannot be decoded are shown.
    pub opaque: usize,
    /// The time that ages are counted against, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// The most bytes that a stream or a part of one may have.
    pub memory: u64,
}

impl Question {
    fn json(&self) -> JsonLimits {
        JsonLimits { opaque: self.opaque, ..JsonLimits::default() }
    }
}

/// What is known of a snapshot besides its operator state.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The directory that holds `_metadata`.
    pub location: String,
    /// When `_metadata` was last modified, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// The text that operators were selected by.
    pub operator: Option<String>,
    /// Where files were found.
    pub places: Places,
}

/// Names the operators of a snapshot by the uids whose ids they have.
pub fn name_operators(snapshot: &mut Snapshot, uids: &HashMap<OperatorId, String>) {
    match_uids(snapshot, uids);
}

/// Whether an operator is meant by a text: a part of its name or uid, or the begin of its id.
#[must_use]
pub fn is_meant(operator: &Operator, text: Option<&str>) -> bool {
    let Some(text) = text else { return true };
    let has = |name: &Option<String>| name.as_ref().is_some_and(|name| name.contains(text));
    has(&operator.name) || has(&operator.uid) || operator.id.to_string().starts_with(text)
}

/// What is known of an operator so far.
#[derive(Debug, Default)]
struct OperatorParts {
    /// By name, and whether it is raw: its part in each subtask.
    states: BTreeMap<(bool, String), BTreeMap<u32, StateDigest>>,
    coordinator: Option<CoordinatorBytes>,
}

/// Adds up what streams hold.
#[derive(Debug)]
pub struct Collector {
    question: Question,
    operators: BTreeMap<usize, OperatorParts>,
    findings: Vec<Finding>,
}

impl Collector {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(question: Question) -> Self {
        Self { question, operators: BTreeMap::new(), findings: Vec::new() }
    }

    /// Decodes a stream.
    #[must_use]
    pub fn digest(question: &Question, snapshot: &Snapshot, stream: &OperatorStream<'_>) -> Digest {
        let kryo = KryoVersion::of_metadata_version(snapshot.metadata_version);
        let owner = snapshot
            .operators
            .get(stream.operator)
            .map(|it| format!("{}, subtask {}", owner(it), stream.subtask));
        digest::digest(stream, question, kryo, &owner.unwrap_or_default())
    }

    /// Adds what a stream holds.
    pub fn add(&mut self, digest: Digest) {
        let operator = self.operators.entry(digest.operator).or_default();
        for state in digest.states {
            let key = (state.is_raw, state.name.clone());
            operator.states.entry(key).or_default().insert(digest.subtask, state);
        }
        self.findings.extend(digest.findings);
    }

    /// Adds the state of a coordinator.
    pub fn add_coordinator(&mut self, coordinator: CoordinatorBytes) {
        let operator = self.operators.entry(coordinator.operator).or_default();
        operator.coordinator = Some(coordinator);
    }

    /// Puts the result together.
    #[must_use]
    pub fn finish(self, snapshot: &Snapshot, mut findings: Vec<Finding>, context: Context) -> Offsets {
        let Self { question, operators, findings: of_streams } = self;
        findings.extend(of_streams);
        let mut offsets = Offsets {
            snapshot: SnapshotRow::new(context.location, snapshot, context.modified_ms),
            at_ms: question.at_ms,
            operator_filter: context.operator,
            limit: question.limit as u64,
            totals: Totals { operators: operators.len() as u64, ..Totals::default() },
            sources: Vec::new(),
            sinks: Vec::new(),
            states: Vec::new(),
            places: context.places,
            findings: Vec::new(),
        };
        for (index, parts) in operators {
            if let Some(operator) = snapshot.operators.get(index) {
                let mut of_operator = OfOperator { operator, question: &question, findings: &mut findings };
                of_operator.add(parts, &mut offsets);
            }
        }
        offsets.totals.add(&offsets.sources, &offsets.sinks, &offsets.states);
        // Whatever the order in which streams came.
        findings.sort_by(|a, b| {
            let rest = |it: &Finding| (it.part.clone(), it.code, it.offset, it.message.clone());
            b.severity.cmp(&a.severity).then_with(|| rest(a).cmp(&rest(b)))
        });
        offsets.findings = findings;
        offsets
    }
}

impl Totals {
    fn add(&mut self, sources: &[Source], sinks: &[Sink], states: &[State]) {
        for source in sources {
            self.splits += source.splits.len() as u64;
            let opaque = source.splits.iter().filter(|split| split.details.opaque.is_some());
            self.opaque_splits += opaque.count() as u64;
            let enumerator = source.enumerator.as_ref();
            self.unassigned_splits += enumerator.map_or(0, |it| it.unassigned.len() as u64);
        }
        for sink in sinks {
            self.uncommitted += sink.uncommitted.len() as u64;
            self.opaque_uncommitted +=
                sink.uncommitted.iter().filter(|it| it.opaque.is_some()).count() as u64;
        }
        self.states = states.len() as u64;
        for state in states {
            self.elements = self.elements.saturating_add(state.elements.unwrap_or(0));
            self.bytes = self.bytes.saturating_add(state.bytes);
        }
    }
}

/// An operator in words.
fn owner(operator: &Operator) -> String {
    match operator.name.as_deref().or(operator.uid.as_deref()) {
        Some(name) => format!("operator {name:?} ({})", operator.id),
        None => format!("operator {}", operator.id),
    }
}

/// Puts together what an operator has.
struct OfOperator<'a> {
    operator: &'a Operator,
    question: &'a Question,
    findings: &'a mut Vec<Finding>,
}

impl OfOperator<'_> {
    fn label(&self) -> String {
        let name = self.operator.name.clone().or_else(|| self.operator.uid.clone());
        name.unwrap_or_else(|| self.operator.id.to_string())
    }

    fn add(&mut self, parts: OperatorParts, offsets: &mut Offsets) {
        let (mut raw_splits, mut source, mut sink) = (Vec::new(), None::<Source>, None::<Sink>);
        for ((is_raw, name), subtasks) in parts.states {
            let role = subtasks.values().find_map(|state| state.role);
            self.legacy(&name, role, &subtasks);
            let mut splits = Vec::new();
            let mut state = self.state(&name, is_raw, role);
            state.copies_agree = copies_agree(&subtasks);
            for (subtask, part) in subtasks {
                if let Some(role) = role.filter(|role| !role.is_source()) {
                    let sink = sink.get_or_insert_with(|| self.sink());
                    if !sink.states.contains(&name) {
                        sink.states.push(name.clone());
                    }
                    let known = part.sink.or(role.sink());
                    if known.is_some() {
                        sink.sink = known;
                        sink.evidence = Some(if part.sink.is_some() { "layout" } else { "state" });
                    }
                    sink.writers.extend(part.writers.iter().cloned());
                    sink.uncommitted.extend(part.uncommitted.iter().cloned());
                }
                raw_splits.extend(add_subtask(&mut state, &mut splits, subtask, part, self.question.limit));
            }
            if let Some(role) = role.filter(|role| role.is_source()) {
                let source = source.get_or_insert_with(|| self.source());
                source.state = Some(name);
                source.splits.extend(splits);
                source.connector = match role {
                    Role::KafkaConsumer => Some("kafka_consumer"),
                    Role::KinesisConsumer => Some("kinesis_consumer"),
                    _ => source.connector,
                };
                source.evidence = source.connector.map(|_| "state");
            }
            if state.copies_agree == Some(false) {
                let finding = Finding::warning(
                    "broadcast_copies_differ",
                    format!("subtasks hold different entries of broadcast state {:?}", state.name),
                    "after a restore each subtask has one of these copies: see that the function changes the state in the same way in all subtasks",
                );
                self.findings.push(finding.of(owner(self.operator)).meaning(Effect::Harmless));
            }
            let shown = state.shown.iter().filter(|element| element.is_opaque);
            state.opaque = shown.count() as u64;
            offsets.states.push(state);
        }
        self.coordinator(parts.coordinator.as_ref(), &raw_splits, &mut source, &mut offsets.states);
        offsets.sources.extend(source);
        if let Some(mut sink) = sink {
            sink.uncommitted.sort_by_key(|it| (it.checkpoint_id, it.subtask));
            for uncommitted in &sink.uncommitted {
                let checkpoint_id = uncommitted.checkpoint_id;
                match sink.checkpoints.last_mut() {
                    Some(last) if last.checkpoint_id == checkpoint_id => last.uncommitted += 1,
                    _ => sink.checkpoints.push(CheckpointCount { checkpoint_id, uncommitted: 1 }),
                }
            }
            offsets.sinks.push(sink);
        }
    }

    fn source(&self) -> Source {
        Source {
            operator: self.label(),
            operator_id: self.operator.id.to_string(),
            connector: None,
            evidence: None,
            state: None,
            splits: Vec::new(),
            enumerator: None,
        }
    }

    fn sink(&self) -> Sink {
        Sink {
            operator: self.label(),
            operator_id: self.operator.id.to_string(),
            sink: None,
            evidence: None,
            states: Vec::new(),
            writers: Vec::new(),
            uncommitted: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    fn state(&self, name: &str, is_raw: bool, role: Option<Role>) -> State {
        State {
            operator: self.label(),
            operator_id: self.operator.id.to_string(),
            name: name.to_owned(),
            kind: if is_raw { "raw" } else { "managed" },
            mode: None,
            type_text: String::new(),
            role: role.map(|role| if role.is_source() { "source" } else { "sink" }),
            elements: None,
            bytes: 0,
            copies_agree: None,
            subtasks: Vec::new(),
            shown: Vec::new(),
            opaque: 0,
            not_decoded: 0,
            not_read: 0,
            damaged: 0,
        }
    }

    /// A connector that Flink no longer has.
    fn legacy(&mut self, name: &str, role: Option<Role>, subtasks: &BTreeMap<u32, StateDigest>) {
        let is_empty = subtasks.values().all(|state| state.elements == Some(0));
        if let Some(legacy) = roles::legacy(name, role).filter(|_| !is_empty) {
            let message = format!(
                "state {name:?} is one of {}, which Flink 2, or the connector for it, no longer offers",
                legacy.class
            );
            let finding = Finding::warning("legacy_connector", message, legacy.remedy);
            self.findings.push(finding.of(owner(self.operator)).meaning(Effect::Harmless));
        }
    }

    /// The coordinator of a source tells its enumerator; another one's state is one like any other.
    fn coordinator(
        &mut self,
        coordinator: Option<&CoordinatorBytes>,
        raw_splits: &[RawSplit],
        source: &mut Option<Source>,
        states: &mut Vec<State>,
    ) {
        let parsed = coordinator.map(|it| (it, CoordinatorState::parse(&it.bytes, 0)));
        let enumerator = match &parsed {
            Some((it, Ok(state))) => Some((*it, state)),
            _ => None,
        };
        let of_splits = Connector::of_splits(raw_splits.iter().map(RawSplit::versioned));
        let connector = of_splits.or_else(|| match &enumerator {
            // Splits that nobody recognizes are not those of a connector that is known.
            Some((_, state)) if raw_splits.is_empty() => sources::connector_of(state.enumerator),
            _ => None,
        });
        let whose = owner(self.operator);
        if let Some(source) = source.as_mut().filter(|_| !raw_splits.is_empty()) {
            let told = sources::splits(raw_splits, connector, self.question, &whose, self.findings);
            source.splits.extend(told);
        }
        if let Some((bytes, state)) = enumerator {
            let source = source.get_or_insert_with(|| self.source());
            let told = sources::enumerator(bytes, state, connector, self.question, &whose, self.findings);
            source.enumerator = Some(told);
        }
        if let (Some(source), Some(connector)) = (source.as_mut(), connector) {
            source.connector = Some(connector.name());
            source.evidence = Some("layout");
        }
        if let Some((it, result)) = parsed {
            let mut state = self.state("coordinator", false, None);
            state.kind = "coordinator";
            state.bytes = it.bytes.len() as u64;
            state.type_text = match &result {
                Ok(_) => "source coordinator".to_owned(),
                Err(_) => "opaque: bytes of the coordinator".to_owned(),
            };
            state.role = result.is_ok().then_some("source");
            if let (Err(error), Some(_)) = (&result, &source) {
                let finding = Finding::error(
                    "enumerator_not_decoded",
                    format!("the state of a source's coordinator cannot be decoded: {error}"),
                    "if _metadata was copied, copy it again; which splits are not assigned is not told",
                );
                let finding = finding.in_file(&it.name).at(error.offset()).of(whose);
                self.findings.push(finding.meaning(Effect::Unknown));
            }
            states.push(state);
        }
    }
}

/// Whether the copies of a broadcast state hold the same entries.
fn copies_agree(subtasks: &BTreeMap<u32, StateDigest>) -> Option<bool> {
    let is_broadcast = |state: &&StateDigest| state.mode == DistributionMode::Broadcast;
    let copies: Vec<&StateDigest> = subtasks.values().filter(is_broadcast).collect();
    let (first, others) = copies.split_first().filter(|(_, others)| !others.is_empty())?;
    // The same bytes are the same entries, whether one can decode them or not.
    let same = |other: &&StateDigest| {
        if first.bytes_hash? == other.bytes_hash? {
            return Some(true);
        }
        Some(first.fingerprint? == other.fingerprint?)
    };
    let same: Vec<Option<bool>> = others.iter().map(same).collect();
    if same.contains(&Some(false)) {
        return Some(false);
    }
    same.iter().all(Option::is_some).then_some(true)
}

/// Adds a subtask's part of a state.
fn add_subtask(
    state: &mut State,
    splits: &mut Vec<Split>,
    subtask: u32,
    part: StateDigest,
    limit: usize,
) -> Vec<RawSplit> {
    let is_broadcast = part.mode == DistributionMode::Broadcast;
    if state.subtasks.is_empty() {
        state.mode = Some(match part.mode {
            DistributionMode::SplitDistribute => "split_distribute",
            DistributionMode::Union => "union",
            DistributionMode::Broadcast => "broadcast",
        });
        state.type_text.clone_from(&part.type_text);
    }
    if is_broadcast {
        // Each subtask has a full copy: the first that could be read is told.
        if state.elements.is_none() {
            state.elements = part.elements;
            state.shown = part.shown;
            state.not_decoded = part.not_decoded;
        }
    } else {
        state.elements = Some(state.elements.unwrap_or(0).saturating_add(part.elements.unwrap_or(0)));
        let room = limit.saturating_sub(state.shown.len());
        state.shown.extend(part.shown.into_iter().take(room));
    }
    state.bytes = state.bytes.saturating_add(part.bytes);
    state.not_read += part.not_read;
    state.damaged += part.damaged;
    state.subtasks.push(StateOfSubtask { subtask, elements: part.elements, bytes: part.bytes });
    splits.extend(part.splits);
    part.raw_splits
}
