//! Reads the small files behind the handles: meta data of backends, and of RocksDB databases the
//! CURRENT, MANIFEST and OPTIONS files; on request the tail of every SST. No data is read.

mod changes;
mod database;
mod plan;
mod tails;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;
use statescope_formats::flink::full_snapshot::timer_backend;
use statescope_formats::flink::serializer::SerializerSnapshot;
use statescope_formats::flink::state_meta::{
    End, KeyedBackendMeta, OperatorBackendMeta, Skipped, TimerServices,
};
use statescope_formats::flink::walk::{Walked, Walker};
use statescope_formats::rocksdb::options::Options;
use statescope_formats::{Cursor, Error as FormatError, ErrorKind};

use super::opener::{OpenError, Opener, Part};
use crate::model::{
    About, DatabaseDetails, Details, DistributionMode, Effect, Finding, KeyedContent, KeyedDetails,
    KeyedLayout, KeyedState, Operator, OperatorDetails, OperatorStateHandle, Snapshot, StreamDetails,
};
pub(super) use database::{manifest_part, some_of, tables};
pub(super) use plan::META_LIMIT;
pub use plan::{Depth, DepthFn};
use plan::{Job, Plan};
pub(crate) use tails::{TableEnd, WantedEnd, end_length, read_ends};
pub(super) use tails::{read_tails, sst_size_differs};

/// Reads the details of a snapshot, of each subtask as far as `depth` says, but no tails of tables. Their boundaries are
/// kept if they are asked for.
pub fn read_details(
    opener: &mut Opener<'_>,
    snapshot: &Snapshot,
    bounds: bool,
    depth: DepthFn<'_>,
) -> Details {
    let mut plan = Plan::default();
    for (index, operator) in snapshot.operators.iter().enumerate() {
        plan.operator(snapshot, index, operator, depth);
    }
    let parts = opener.read(snapshot, &plan.wanted);
    let parts = Parts { parts, names: plan.names };
    let mut details = decode(snapshot, plan.jobs, &parts, bounds);
    changes::read(opener, snapshot, depth, &mut details);
    details
}

/// An operator in words.
#[must_use]
pub fn operator_name(operator: &Operator) -> String {
    match operator.name.as_deref().or(operator.uid.as_deref()) {
        Some(name) => format!("operator {name:?} ({})", operator.id),
        None => format!("operator {}", operator.id),
    }
}

/// Who a file belongs to, in words.
pub(crate) fn owner(operator: &Operator, subtask: u32) -> String {
    format!("{}, subtask {subtask}", operator_name(operator))
}

/// What was read of files, and what they are called in messages.
pub(super) struct Parts {
    pub(super) parts: Vec<Result<Part, OpenError>>,
    pub(super) names: Vec<String>,
}

impl Parts {
    /// A part, or the finding why there is none; another size than recorded is a finding too.
    pub(super) fn get(&self, index: usize, owner: &str, findings: &mut Vec<Finding>) -> Option<&Part> {
        let what = self.names.get(index).map_or("a file", String::as_str);
        match self.parts.get(index)? {
            Ok(part) => {
                if part.size != part.recorded_size {
                    findings.push(size_differs(what, part).of(owner));
                }
                Some(part)
            }
            Err(error) => {
                findings.push(error.finding(what).of(owner));
                None
            }
        }
    }
}

fn size_differs(what: &str, part: &Part) -> Finding {
    Finding::error(
        "file_size_differs",
        format!("{what} has {} bytes where _metadata records {}", part.size, part.recorded_size),
        "the file was cut or replaced: if it was copied, copy it again; as it is, the snapshot cannot be restored",
    )
    .in_file(&part.name)
    .at(part.size.min(part.recorded_size))
    .about(About::File(part.file))
}

fn not_decoded(code: &'static str, what: &str, part: &Part, error: &FormatError, owner: &str) -> Finding {
    let finding = Finding::error(
        code,
        format!("{what} cannot be decoded: {error}"),
        "if the file was copied, copy it again; what it describes is missing from the report",
    )
    .in_file(&part.name)
    .at(error.offset())
    .of(owner)
    .about(About::File(part.file));
    if is_unknown(error) { finding.meaning(Effect::Unknown) } else { finding }
}

/// Whether bytes were refused because they are of a kind that is not known here, which others may know.
pub(crate) fn is_unknown(error: &FormatError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnknownVersion { .. }
            | ErrorKind::UnknownTag { .. }
            | ErrorKind::Unsupported { .. }
            | ErrorKind::LimitExceeded { .. }
    )
}

/// Decodes each distinct file once: meta data is mostly the same in all subtasks.
struct Decoded {
    keyed: HashMap<Bytes, Result<Arc<KeyedBackendMeta>, FormatError>>,
    options: HashMap<Bytes, Result<Arc<Options>, FormatError>>,
    /// Whether the boundaries of tables are kept.
    bounds: bool,
}

fn decode(snapshot: &Snapshot, jobs: Vec<Job<'_>>, parts: &Parts, bounds: bool) -> Details {
    let mut wanted_meta: HashMap<Bytes, End> = HashMap::new();
    let mut wanted_options: Vec<Bytes> = Vec::new();
    let bytes = |at: &usize| parts.parts.get(*at).and_then(|p| p.as_ref().ok()).map(|p| p.bytes.clone());
    for job in &jobs {
        match job {
            Job::Database { meta, options, .. } => {
                if let Some(bytes) = meta.as_ref().and_then(bytes) {
                    wanted_meta.insert(bytes, End::Eof);
                }
                wanted_options.extend(options.as_ref().and_then(bytes));
            }
            Job::Stream { head, .. } => {
                if let Some(bytes) = bytes(head) {
                    let end = End::DataAt(bytes.len() as u64);
                    wanted_meta.entry(bytes).or_insert(end);
                }
            }
            Job::Raw { .. } | Job::Operator { .. } => {}
        }
    }
    let wanted_meta: Vec<(Bytes, End)> = wanted_meta.into_iter().collect();
    let keyed = wanted_meta
        .into_par_iter()
        .map(|(bytes, end)| {
            let mut cursor = Cursor::new(&bytes);
            let meta = KeyedBackendMeta::parse(&mut cursor, end).map(Arc::new);
            (bytes, meta)
        })
        .collect();
    wanted_options.sort_unstable();
    wanted_options.dedup();
    let options = wanted_options
        .into_par_iter()
        .map(|bytes| {
            let options = Options::decode(&bytes).map(Arc::new);
            (bytes, options)
        })
        .collect();
    let decoded = Decoded { keyed, options, bounds };
    let results: Vec<_> = jobs
        .into_par_iter()
        .map(|job| {
            let mut details = Details::default();
            decode_job(snapshot, job, parts, &decoded, &mut details);
            details
        })
        .collect();
    let mut all = Details::default();
    for details in results {
        all.keyed.extend(details.keyed);
        all.operator.extend(details.operator);
        all.findings.extend(details.findings);
    }
    all
}

fn decode_job(snapshot: &Snapshot, job: Job<'_>, parts: &Parts, decoded: &Decoded, details: &mut Details) {
    let whose = |operator: usize, subtask| {
        snapshot.operators.get(operator).map_or_else(String::new, |o| owner(o, subtask))
    };
    match job {
        Job::Database { operator, subtask, state, database, meta, current, manifests, options, depth } => {
            let owner = whose(operator, subtask);
            let findings = &mut details.findings;
            let meta = meta
                .and_then(|at| parts.get(at, &owner, findings))
                .and_then(|part| keyed_meta(decoded, part, &owner, findings));
            let options = options
                .and_then(|at| parts.get(at, &owner, findings))
                .and_then(|part| options_of(decoded, part, &owner, findings));
            let prefix = snapshot.operators.get(operator).map_or(1, Operator::key_group_prefix);
            let before = findings.len();
            let manifest = match (depth, manifests.as_slice()) {
                (Depth::KeyedMeta | Depth::Nothing, _) => None,
                (Depth::Keyed, [(name, at)]) => parts.get(*at, &owner, findings).map(|part| (*name, part)),
                _ => manifest_part(parts, current, &manifests, &owner, findings),
            };
            for finding in findings.iter_mut().skip(before) {
                finding.about.get_or_insert(About::Subtask { operator, subtask });
            }
            let mut database = manifest.and_then(|(name, part)| {
                tables(part, name, prefix, database, options.clone(), &owner, findings)
            });
            if !decoded.bounds {
                database.iter_mut().flat_map(|d| &mut d.tables).for_each(|table| table.bounds = None);
            }
            details.keyed.push(KeyedDetails {
                operator,
                subtask,
                key_groups: state.key_groups,
                layout: KeyedLayout::Database,
                meta,
                raw_timers: None,
                stream: None,
                changes: None,
                only_in_changes: Vec::new(),
                database: database
                    .or_else(|| Some(DatabaseDetails { options, ..DatabaseDetails::default() })),
            });
        }
        Job::Stream { operator, subtask, state, canonical, head } => {
            let owner = whose(operator, subtask);
            let part = parts.get(head, &owner, &mut details.findings);
            let meta = part.and_then(|part| keyed_meta(decoded, part, &owner, &mut details.findings));
            details.keyed.push(KeyedDetails {
                operator,
                subtask,
                key_groups: state.key_groups,
                layout: if canonical { KeyedLayout::Canonical } else { KeyedLayout::Stream },
                meta,
                raw_timers: None,
                database: None,
                stream: stream_of(snapshot, state),
                changes: None,
                only_in_changes: Vec::new(),
            });
        }
        Job::Raw { operator, subtask, state, head } => {
            let owner = whose(operator, subtask);
            let part = head.and_then(|at| parts.get(at, &owner, &mut details.findings));
            // Raw keyed state is whatever a user function wrote, unless it begins as timers do.
            let raw_timers = part.and_then(|part| {
                let mut cursor = Cursor::at(&part.bytes, part.offset);
                TimerServices::parse(&mut cursor, skip_value).ok()
            });
            let meta = raw_timers.as_ref().and_then(timer_backend).map(Arc::new);
            details.keyed.push(KeyedDetails {
                operator,
                subtask,
                key_groups: state.key_groups,
                layout: KeyedLayout::Raw,
                meta,
                raw_timers,
                database: None,
                stream: stream_of(snapshot, state),
                changes: None,
                only_in_changes: Vec::new(),
            });
        }
        Job::Operator { operator, subtask, handle, head } => {
            let owner = whose(operator, subtask);
            let findings = &mut details.findings;
            let Some(part) = parts.get(head, &owner, findings) else { return };
            let meta = operator_meta(handle, part, &owner, findings);
            let compressed = meta.as_ref().is_some_and(|m| m.compressed);
            let broadcast_entries =
                if compressed { BTreeMap::new() } else { broadcast_entries(handle, part) };
            details.operator.push(OperatorDetails { operator, subtask, meta, broadcast_entries });
        }
    }
}

/// Where the key groups of a stream lie.
fn stream_of(snapshot: &Snapshot, state: &KeyedState) -> Option<StreamDetails> {
    let KeyedContent::Stream(stream) = &state.content else { return None };
    let size = snapshot.file(stream.stream)?.size;
    let first = state.key_groups.start;
    Some(StreamDetails { file: stream.stream, size, offsets: stream.offsets.clone(), first })
}

/// Steps over a key or a namespace, if it can.
fn skip_value(serializer: &SerializerSnapshot, cursor: &mut Cursor<'_>) -> Result<bool, FormatError> {
    match Walker::compile(serializer).walk(cursor.rest()) {
        Walked::End(length) => cursor.skip(length).map(|()| true),
        Walked::Stopped { .. } | Walked::Bad(_) => Ok(false),
    }
}

/// A broadcast state begins with the number of its entries.
fn broadcast_entries(handle: &OperatorStateHandle, part: &Part) -> BTreeMap<String, u64> {
    let count = |offset: i64| {
        let at = usize::try_from(u64::try_from(offset).ok()?.checked_sub(part.offset)?).ok()?;
        let bytes = part.bytes.get(at..at.checked_add(4)?)?;
        u64::try_from(i32::from_be_bytes(bytes.try_into().ok()?)).ok()
    };
    handle
        .states
        .iter()
        .filter(|s| s.mode == DistributionMode::Broadcast)
        .filter_map(|s| Some((s.name.to_string(), count(*s.offsets.first()?)?)))
        .collect()
}

/// The meta data at the begin of a stream of operator state.
pub(super) fn operator_meta(
    handle: &OperatorStateHandle,
    part: &Part,
    owner: &str,
    findings: &mut Vec<Finding>,
) -> Option<Arc<OperatorBackendMeta>> {
    let first = handle.states.iter().flat_map(|s| s.offsets.iter()).filter_map(|&o| u64::try_from(o).ok());
    let end = first.filter(|&o| o > 0).min().map_or(End::Unknown, End::DataAt);
    match OperatorBackendMeta::parse(&mut Cursor::new(&part.bytes), end) {
        Ok(meta) => {
            skipped(&meta.skipped, meta.error.as_ref(), part, owner, findings);
            Some(Arc::new(meta))
        }
        Err(error) => {
            let what = "the meta data of operator state";
            findings.push(not_decoded("operator_meta_not_decoded", what, part, &error, owner));
            None
        }
    }
}

fn keyed_meta(
    decoded: &Decoded,
    part: &Part,
    owner: &str,
    findings: &mut Vec<Finding>,
) -> Option<Arc<KeyedBackendMeta>> {
    match decoded.keyed.get(&part.bytes)? {
        Ok(meta) => {
            skipped(&meta.skipped, meta.error.as_ref(), part, owner, findings);
            Some(Arc::clone(meta))
        }
        Err(error) => {
            let what = "the meta data of a keyed backend";
            findings.push(not_decoded("keyed_meta_not_decoded", what, part, error, owner));
            None
        }
    }
}

fn options_of(
    decoded: &Decoded,
    part: &Part,
    owner: &str,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Options>> {
    match decoded.options.get(&part.bytes)? {
        Ok(options) => Some(Arc::clone(options)),
        Err(error) => {
            findings.push(not_decoded("options_not_decoded", "an OPTIONS file", part, error, owner));
            None
        }
    }
}

/// What could not be decoded inside meta data that could.
fn skipped(
    skipped: &[Skipped],
    error: Option<&FormatError>,
    part: &Part,
    owner: &str,
    findings: &mut Vec<Finding>,
) {
    for skip in skipped {
        let what = match (&skip.state, &skip.serializer) {
            (Some(state), Some(serializer)) => {
                format!("the {} serializer of state {state:?}", serializer.label())
            }
            (Some(state), None) => format!("a serializer of state {state:?}"),
            _ => "the key serializer".to_owned(),
        };
        let why = skip.error.as_ref().map_or_else(
            || "its snapshot class is not one of Flink's".to_owned(),
            |error| format!("its snapshot cannot be decoded ({error})"),
        );
        let bytes = skip.length.map_or_else(
            || "the way back was not found".to_owned(),
            |n| format!("{n} bytes were stepped over"),
        );
        let finding = Finding::warning(
            "serializer_not_decoded",
            format!("{what} is shown by its class name only: {why}; {bytes} ({})", skip.class),
            "nothing else is hidden by it; its TTL and Kryo use cannot be told",
        )
        .in_file(&part.name)
        .at(skip.offset)
        .of(owner)
        .about(About::File(part.file));
        // A class of the user's own is no fault; a known one that cannot be decoded may be.
        findings.push(if skip.error.is_some() { finding.meaning(Effect::Unknown) } else { finding });
    }
    if let Some(error) = error {
        findings.push(
            Finding::error(
                "states_missing",
                format!("states may be missing, nothing behind this place could be decoded: {error}"),
                "if the file was copied, copy it again; otherwise please report it, with the Flink version",
            )
            .in_file(&part.name)
            .at(error.offset())
            .of(owner)
            .about(About::File(part.file)),
        );
    }
}
