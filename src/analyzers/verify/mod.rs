//! Whether snapshots can be restored: evidence in, verdicts out. The serialized form of the results is the JSON
//! output, described field by field in `docs/json.md`.
//!
//! What was found out of files comes as findings; what each means for a restore stands in [`effect_of`], in one
//! table. A snapshot is as good as the worst of them.

mod effects;
mod losses;
mod unchecked;

use serde::Serialize;

pub use self::effects::{EFFECTS, effect_of};
pub use self::losses::Loss;
use self::losses::Losses;
pub use self::unchecked::NotChecked;
use super::overview;
use super::root::SnapshotRow;
use crate::model::{Details, Effect, FileId, Finding, Place, Places, Snapshot};

/// Whether something can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing that was looked at stands against it.
    Restorable,
    /// Something that is needed could not be asked for, and nothing is known to be broken.
    CannotTell,
    /// Something that is needed is missing or broken.
    NotRestorable,
}

impl From<Effect> for Verdict {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Harmless => Self::Restorable,
            Effect::Unknown => Self::CannotTell,
            Effect::Breaks => Self::NotRestorable,
        }
    }
}

/// The snapshots that were verified.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// The snapshot, or the job's directory.
    pub location: String,
    /// Whether every block of every SST file was read.
    pub deep: bool,
    /// The worst verdict of all.
    pub verdict: Verdict,
    /// The location of the restorable snapshot with the highest checkpoint id.
    pub newest_restorable_by_id: Option<String>,
    /// The location of the restorable snapshot that was completed last, if that is more than a minute after the
    /// other; else the same.
    pub newest_restorable_by_completion: Option<String>,
    /// The snapshots: checkpoints by number, highest first; then savepoints in the job's directory.
    pub snapshots: Vec<SnapshotVerification>,
    /// `chk-N` directories without `_metadata`: being written, or given up.
    pub incomplete: Vec<String>,
    /// What is odd about the directory as a whole.
    pub findings: Vec<Problem>,
}

/// What is known of one snapshot.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotVerification {
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// Whether it can be restored.
    pub verdict: Verdict,
    /// The files that it needs; absent if `_metadata` cannot be read.
    pub files: Option<FilesChecked>,
    /// Its SST files.
    pub tables: Option<TablesChecked>,
    /// Where files were found.
    pub places: Option<Places>,
    /// What it needs and what was not looked into.
    pub not_checked: Vec<NotChecked>,
    /// What is lost by all that is broken or not known.
    pub lost: Vec<Loss>,
    /// Problems, the worst first.
    pub findings: Vec<Problem>,
}

/// Files of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FilesChecked {
    /// Files that the snapshot names, each once: objects, segments of objects, and those inside `_metadata`.
    pub named: u64,
    /// Their bytes, as recorded.
    pub bytes: u64,
    /// Files inside `_metadata`.
    pub inlined: u64,
    /// Files that are there, can be read and have the right size.
    pub good: u64,
}

/// SST files of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TablesChecked {
    /// Live SST files, each once, as MANIFEST files name them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of how many the footer and the properties were decoded.
    pub tails: u64,
    /// What was read of their blocks; absent without `--deep`.
    pub deep: Option<DeepRead>,
}

/// What was read of SST files, streams and in-flight data, and fits. A file that several snapshots name is read once, and counts in each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DeepRead {
    /// SST files in which nothing is wrong.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Streams of keyed state in which nothing is wrong.
    pub streams: u64,
    /// Bytes of key groups in which nothing is wrong.
    pub stream_bytes: u64,
    /// Key groups of streams that could be read to their end, as far as values can be stepped over.
    pub key_groups: u64,
    /// Rows in them.
    pub rows: u64,
    /// Changelogs whose changes could all be decoded.
    pub changelogs: u64,
    /// Sets of changes that could be decoded to their end.
    pub change_sets: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes of these, uncompressed.
    pub change_bytes: u64,
    /// Channels with in-flight data of which all buffers could be read.
    pub channels: u64,
    /// Bytes of their buffers.
    pub channel_bytes: u64,
    /// Whole elements in them.
    pub channel_elements: u64,
    /// Data blocks of which checksum, compression and order of keys are right.
    pub data_blocks: u64,
    /// Entries in them, range tombstones included.
    pub entries: u64,
}

/// A finding and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// What it means for who wants to restore.
    pub effect: Effect,
    /// What is lost by it.
    pub lost: Vec<Loss>,
}

impl Problem {
    /// A finding that is about no part of a snapshot.
    #[must_use]
    pub fn of_all(finding: Finding) -> Self {
        Self { effect: effects::effect(&finding), finding, lost: Vec::new() }
    }
}

/// What was found out of a snapshot.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The directory that holds `_metadata`.
    pub location: String,
    /// When `_metadata` was last modified, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// What its small files and the tails of its tables say.
    pub details: &'a Details,
    /// Where its files were found.
    pub places: Places,
    /// What was found besides what is in the details.
    pub findings: Vec<Finding>,
    /// What was read of all blocks, if they were.
    pub deep: Option<DeepRead>,
}

/// The verdict on a snapshot.
#[must_use]
pub fn verify(evidence: Evidence<'_>) -> SnapshotVerification {
    let Evidence { location, modified_ms, snapshot, details, places, findings, deep } = evidence;
    let all = details.findings.iter().cloned().chain(findings).chain(overview::relocation_finding(&places));
    let mut findings = overview::grouped(all.collect(), |finding| finding.about);
    findings.sort_by_key(|finding| std::cmp::Reverse((effects::effect(finding), finding.severity)));
    let losses = Losses::of(snapshot, details, &findings);
    let lost = losses.sum();
    let findings: Vec<Problem> = findings
        .into_iter()
        .map(|finding| {
            let effect = effects::effect(&finding);
            let lost = if effect == Effect::Harmless { Vec::new() } else { losses.by(&finding) };
            Problem { finding, effect, lost }
        })
        .collect();
    SnapshotVerification {
        snapshot: SnapshotRow::new(location, snapshot, modified_ms),
        verdict: verdict(&findings),
        files: Some(files(snapshot, &findings)),
        tables: Some(tables(details, deep)),
        places: Some(places),
        not_checked: unchecked::not_checked(snapshot, details, deep.is_some()),
        lost,
        findings,
    }
}

/// The verdict on a snapshot of which `_metadata` could not be read or decoded.
#[must_use]
pub fn verify_unreadable(
    location: String,
    modified_ms: Option<i64>,
    finding: Finding,
) -> SnapshotVerification {
    let findings = vec![Problem::of_all(finding)];
    SnapshotVerification {
        snapshot: SnapshotRow::unreadable(location, modified_ms),
        verdict: verdict(&findings),
        files: None,
        tables: None,
        places: None,
        not_checked: Vec::new(),
        lost: Vec::new(),
        findings,
    }
}

/// Puts together what is known of the snapshots at a place.
#[must_use]
pub fn verification(
    location: String,
    deep: bool,
    snapshots: Vec<SnapshotVerification>,
    incomplete: Vec<String>,
    findings: Vec<Finding>,
) -> Verification {
    /// What copying files in another order makes.
    const COPYING_MS: i64 = 60_000;
    let good = || snapshots.iter().filter(|s| s.verdict == Verdict::Restorable).map(|s| &s.snapshot);
    let by_id = good().max_by_key(|row| (row.checkpoint_id, row.completed_at_ms));
    let by_completion = good().max_by_key(|row| (row.completed_at_ms, row.checkpoint_id));
    let later = |row: &SnapshotRow| row.completed_at_ms.zip(by_id.and_then(|by_id| by_id.completed_at_ms));
    let by_completion = by_completion
        .filter(|row| later(row).is_some_and(|(last, other)| last.saturating_sub(other) > COPYING_MS))
        .or(by_id);
    Verification {
        location,
        deep,
        verdict: snapshots.iter().map(|s| s.verdict).max().unwrap_or(Verdict::CannotTell),
        newest_restorable_by_id: by_id.map(|row| row.location.clone()),
        newest_restorable_by_completion: by_completion.map(|row| row.location.clone()),
        snapshots,
        incomplete,
        findings: findings.into_iter().map(Problem::of_all).collect(),
    }
}

fn verdict(findings: &[Problem]) -> Verdict {
    findings.iter().map(|problem| problem.effect).max().unwrap_or(Effect::Harmless).into()
}

fn files(snapshot: &Snapshot, findings: &[Problem]) -> FilesChecked {
    let mut bad = std::collections::HashSet::new();
    for problem in findings.iter().filter(|problem| problem.effect != Effect::Harmless) {
        bad.extend(problem.finding.about);
    }
    let mut out = FilesChecked::default();
    for (id, file) in (0..).map(FileId).zip(&snapshot.files) {
        if file.place == Place::Empty {
            continue;
        }
        out.named += 1;
        out.bytes = out.bytes.saturating_add(file.size);
        out.inlined += u64::from(matches!(file.place, Place::Inline { .. }));
        out.good += u64::from(!bad.contains(&crate::model::About::File(id)));
    }
    out
}

fn tables(details: &Details, deep: Option<DeepRead>) -> TablesChecked {
    let mut out = TablesChecked { deep, ..TablesChecked::default() };
    let mut seen = std::collections::HashSet::new();
    for table in details.keyed.iter().filter_map(|k| k.database.as_ref()).flat_map(|d| &d.tables) {
        if table.file.is_some_and(|file| seen.insert(file)) {
            out.files += 1;
            out.bytes = out.bytes.saturating_add(table.size);
            out.tails += u64::from(table.tail.is_some());
        }
    }
    out
}

#[cfg(test)]
mod tests;
