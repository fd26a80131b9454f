//! What the changes of changelogs say about states: meta data stands at the begin of each set of changes that has any.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use statescope_formats::flink::changelog::{Change, LoggedState, is_compressed};
use statescope_formats::flink::serializer::{Edge, SerializerSnapshot};
use statescope_formats::flink::state_meta::{KeyedBackendMeta, StateKind};

use super::super::changelog::{ChangesReading, SetNotRead, Visit, each_change};
use super::super::opener::{Opener, Wanted};
use super::super::parallel::each_at_once;
use super::super::source::{ReadError, Source};
use super::{Depth, DepthFn, is_unknown, owner};
use crate::model::{
    About, Changelog, ChangesDetails, ChangesFile, ChangesPart, Details, Effect, FileId, Finding,
    KeyGroupRange, KeyedContent, KeyedDetails, KeyedLayout, Snapshot,
};
use crate::storage::{Span, Storage};

/// Bytes of a set that are read at once to find its meta data.
const HEAD: u64 = 64 << 10;

/// A changelog that has changes.
struct Log<'a> {
    operator: usize,
    subtask: u32,
    key_groups: KeyGroupRange,
    log: &'a Changelog,
}

/// Where files of changes are, and their offsets at which sets begin.
#[derive(Default)]
struct Files {
    found: BTreeMap<FileId, (ChangesFile, Source)>,
    offsets: BTreeMap<FileId, BTreeSet<u64>>,
}

impl Files {
    /// The set that begins at an offset: it ends at the next that is known, if not before.
    fn range(&self, file: FileId, offset: i64) -> Range<u64> {
        let Ok(start) = u64::try_from(offset) else { return u64::MAX..u64::MAX };
        let next = self
            .offsets
            .get(&file)
            .and_then(|offsets| offsets.range(start.saturating_add(1)..).next().copied());
        start..next.unwrap_or(u64::MAX)
    }
}

/// Reads what changes say about states, and says it of the handles that they belong to. Those that reach over the key groups
/// of their changelog, as after a rescaling, are cut.
pub(super) fn read(opener: &mut Opener<'_>, snapshot: &Snapshot, depth: DepthFn<'_>, details: &mut Details) {
    for log in logs(snapshot, depth) {
        for keyed in parts(&mut details.keyed, &log) {
            keyed.key_groups = keyed.key_groups.and(log.key_groups);
        }
    }
    let logs: Vec<Log<'_>> = logs(snapshot, depth).filter(|log| !log.log.deltas.is_empty()).collect();
    if logs.is_empty() {
        return;
    }
    let files = files(opener, snapshot, &logs, &mut details.findings);
    let (storage, requests) = (opener.storage(), opener.requests());
    let sets: Vec<(ChangesDetails, &Log<'_>)> =
        logs.iter().map(|log| (changes(opener, &files, log.log), log)).collect();
    let described = each_at_once(&sets, requests, |(changes, log)| {
        let owner = snapshot.operators.get(log.operator).map_or_else(String::new, |o| owner(o, log.subtask));
        described(storage, &files, changes, snapshot, &owner)
    });
    let mut keys: BTreeMap<usize, SerializerSnapshot> = BTreeMap::new();
    for keyed in details.keyed.iter().filter(|keyed| keyed.layout != KeyedLayout::Raw) {
        if let Some(meta) = &keyed.meta {
            keys.entry(keyed.operator).or_insert_with(|| meta.key_serializer.clone());
        }
    }
    let mut read = Vec::new();
    for ((mut changes, log), (states, findings)) in sets.into_iter().zip(described) {
        details.findings.extend(findings);
        // Only timers say what keys are.
        let timers = states.iter().filter_map(|state| state.meta.as_ref().ok());
        let mut timers = timers.filter(|meta| meta.kind == StateKind::PriorityQueue);
        if let Some(key) = timers.find_map(|meta| meta.value_serializer()?.part(&Edge::Key)) {
            keys.entry(log.operator).or_insert_with(|| key.clone());
        }
        changes.states = states;
        read.push((changes, log));
    }
    for (mut changes, log) in read {
        changes.key = keys.get(&log.operator).cloned();
        attach(details, log, Arc::new(changes));
    }
    details.keyed.sort_by_key(|keyed| (keyed.operator, keyed.subtask));
}

/// The changelogs of the subtasks of which anything is read.
fn logs<'a>(snapshot: &'a Snapshot, depth: DepthFn<'a>) -> impl Iterator<Item = Log<'a>> {
    let subtasks = snapshot
        .operators
        .iter()
        .enumerate()
        .flat_map(|(operator, of)| of.subtasks.iter().map(move |subtask| (operator, subtask)));
    let subtasks = subtasks.filter(move |(operator, subtask)| depth(*operator, subtask) != Depth::Nothing);
    subtasks.filter_map(|(operator, subtask)| {
        let state = subtask.managed_keyed.as_ref()?;
        let KeyedContent::Changelog(log) = &state.content else { return None };
        Some(Log { operator, subtask: subtask.index, key_groups: state.key_groups, log })
    })
}

/// The materialized parts of a changelog.
fn parts<'d>(keyed: &'d mut [KeyedDetails], log: &Log<'_>) -> impl Iterator<Item = &'d mut KeyedDetails> {
    let (operator, subtask) = (log.operator, log.subtask);
    keyed.iter_mut().filter(move |keyed| {
        (keyed.operator, keyed.subtask) == (operator, subtask) && keyed.layout != KeyedLayout::Raw
    })
}

/// Finds the files, of which the first byte says whether the others are compressed.
fn files(
    opener: &mut Opener<'_>,
    snapshot: &Snapshot,
    logs: &[Log<'_>],
    findings: &mut Vec<Finding>,
) -> Files {
    let mut files = Files::default();
    for log in logs {
        for delta in &log.log.deltas {
            let KeyedContent::ChangeFiles { files: sets, .. } = &delta.content else { continue };
            for (offset, file) in sets {
                let offsets = files.offsets.entry(*file).or_default();
                offsets.extend(u64::try_from(*offset));
            }
        }
    }
    let wanted: Vec<Wanted> =
        files.offsets.keys().map(|&file| Wanted { file, span: Span::Range(0..1) }).collect();
    for (want, part) in wanted.iter().zip(opener.read(snapshot, &wanted)) {
        let what = "a file of a changelog";
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                findings.push(error.finding(what));
                continue;
            }
        };
        match is_compressed(part.bytes.first().copied().unwrap_or(0)) {
            Ok(compressed) => {
                let file = ChangesFile { size: part.size, compressed };
                files.found.extend(opener.table(want.file).map(|source| (want.file, (file, source.clone()))));
            }
            Err(error) => findings.push(
                Finding::error(
                    "changelog_not_decoded",
                    format!("{what} cannot be decoded: {error}"),
                    "if the file was copied, copy it again; its changes are missing from the report",
                )
                .in_file(&part.name)
                .at(0)
                .about(About::File(want.file)),
            ),
        }
    }
    files
}

/// The changes of a changelog, in order.
fn changes(opener: &Opener<'_>, files: &Files, log: &Changelog) -> ChangesDetails {
    let mut changes = ChangesDetails::default();
    for delta in &log.deltas {
        match &delta.content {
            KeyedContent::InlineChanges { changes: inline, bytes } => {
                changes.bytes = changes.bytes.saturating_add(*bytes);
                let found = inline.iter().filter_map(|change| {
                    let bytes = opener.inlined(change.offset, change.length.into())?;
                    Some((u32::try_from(change.key_group).ok(), bytes, change.offset))
                });
                changes.sets.push(ChangesPart::Inline(found.collect()));
            }
            KeyedContent::ChangeFiles { files: sets, bytes, .. } => {
                changes.bytes = changes.bytes.saturating_add(u64::try_from(*bytes).unwrap_or(0));
                for (offset, file) in sets {
                    changes.sets.push(ChangesPart::Set { file: *file, range: files.range(*file, *offset) });
                    changes.files.extend(files.found.get(file).map(|(found, _)| (*file, *found)));
                }
            }
            KeyedContent::Database(_) | KeyedContent::Stream(_) | KeyedContent::Changelog(_) => {}
        }
    }
    changes
}

/// The states that changes describe, each as it is described last.
fn described(
    storage: &dyn Storage,
    files: &Files,
    changes: &ChangesDetails,
    snapshot: &Snapshot,
    owner: &str,
) -> (Vec<LoggedState>, Vec<Finding>) {
    let mut states: Vec<LoggedState> = Vec::new();
    let mut findings = Vec::new();
    let mut add = |bytes: &[u8], at: u64| match Change::parse(bytes, at) {
        Ok(Change::Metadata(state)) => {
            match states.iter_mut().find(|known| known.name == state.name) {
                Some(known) => *known = *state,
                None => states.push(*state),
            }
            Ok(())
        }
        // Told when changes are applied.
        Ok(Change::Data(_)) => Ok(()),
        Err(error) => Err(error),
    };
    let reading = ChangesReading { storage, checksums: true, piece: HEAD };
    for part in &changes.sets {
        let (file, failed) = match part {
            ChangesPart::Inline(changes) => {
                let meta = changes.iter().filter(|(key_group, ..)| key_group.is_none());
                (
                    None,
                    meta.map(|(_, bytes, at)| add(bytes, *at)).find_map(Result::err).map(ReadError::Format),
                )
            }
            ChangesPart::Set { file, range } => {
                // Where it could not be found, that is told already.
                let Some((found, source)) = files.found.get(file) else { continue };
                let mut bad = None;
                let read = each_change(reading, source, found, std::slice::from_ref(range), &mut |change| {
                    if change.key_group.is_some() {
                        return Visit::NextSet;
                    }
                    bad = add(change.bytes, change.at).err();
                    if bad.is_some() { Visit::Stop } else { Visit::Next }
                });
                let failed = read.err().map(|SetNotRead { error, .. }| error);
                (Some(*file), failed.or(bad.map(ReadError::Format)))
            }
        };
        let Some(error) = failed else { continue };
        let name = match file.and_then(|file| snapshot.file(file)) {
            Some(file) => file.place.to_string(),
            None => "_metadata".to_owned(),
        };
        let mut finding = Finding::error(
            "changelog_not_decoded",
            format!("a set of changes cannot be decoded: {error}; states that it describes may be missing"),
            "if the file was copied, copy it again; as it is, Flink cannot restore from it",
        )
        .in_file(name)
        .of(owner);
        if let ReadError::Format(error) = &error {
            finding = finding.at(error.offset());
            if is_unknown(error) {
                finding = finding.meaning(Effect::Unknown);
            }
        }
        findings.push(match file {
            Some(file) => finding.about(About::File(file)),
            None => finding,
        });
    }
    (states, findings)
}

/// Says of the parts of a changelog which changes there are; of key groups without a part, that there are only these.
fn attach(details: &mut Details, log: &Log<'_>, changes: Arc<ChangesDetails>) {
    let described = || changes.states.iter().filter_map(|state| state.meta.as_ref().ok());
    let mut covered = Vec::new();
    for keyed in parts(&mut details.keyed, log) {
        covered.push(keyed.key_groups);
        keyed.changes = Some(Arc::clone(&changes));
        let Some(meta) = &mut keyed.meta else { continue };
        let is_new = |name: &str| meta.states.iter().all(|state| state.name != name);
        let new: Vec<_> = described().filter(|state| is_new(&state.name)).cloned().collect();
        if !new.is_empty() {
            keyed.only_in_changes = new.iter().map(|state| state.name.clone()).collect();
            Arc::make_mut(meta).states.extend(new);
        }
    }
    for key_groups in log.key_groups.without(&covered) {
        let meta = KeyedBackendMeta::of_changes(changes.key.clone(), described().cloned().collect());
        let only_in_changes = meta.states.iter().map(|state| state.name.clone()).collect();
        details.keyed.push(KeyedDetails {
            operator: log.operator,
            subtask: log.subtask,
            key_groups,
            layout: KeyedLayout::Changes,
            meta: Some(Arc::new(meta)),
            raw_timers: None,
            database: None,
            stream: None,
            changes: Some(Arc::clone(&changes)),
            only_in_changes,
        });
    }
}
