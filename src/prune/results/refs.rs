//! Who needs a file, a snapshot or what lies in a job's directory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Amount;
use crate::model::Finding;
use crate::model::inventory::{Inventory, ListedSnapshot, ObjectId};
use crate::prune::{Decisions, Keep, Rule, SnapshotKeep, SnapshotStanding, Standing};
use crate::storage::Location;

/// How many users of a file, and files of a kind, are named.
const EXAMPLES: usize = 100;

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An object.
    File(ObjectId),
    /// A snapshot, by its index.
    Snapshot(usize),
    /// Any other directory, such as a job's.
    Directory(Location),
}

/// What a path is, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// An object.
    File,
    /// A snapshot's directory.
    Snapshot,
    /// A job's directory.
    Job,
    /// Any other directory.
    Directory,
}

/// Whether it may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may.
    Deletable,
    /// It may not.
    NotDeletable,
    /// It cannot be told.
    CannotTell,
}

/// Who needs it.
#[derive(Debug, Clone, Serialize)]
pub struct Refs {
    /// What was asked about.
    pub location: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Whether it may be deleted.
    pub verdict: Verdict,
    /// Everything in it.
    pub all: Amount,
    /// Snapshots outside of it that need something in it; of a file, all that need it. At most a hundred.
    pub needed_by: Vec<User>,
    /// How many snapshots these are.
    pub users: u64,
    /// Files in it that snapshots outside of it need. At most a hundred.
    pub files: Vec<FileUse>,
    /// What of it stays, by reason.
    pub kept: Vec<KeptPart>,
    /// What forbids conclusions, and other problems in the data.
    pub findings: Vec<Finding>,
}

/// A snapshot that needs something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its directory.
    pub snapshot: String,
    /// Its job's directory; absent for savepoints.
    pub job: Option<String>,
    /// The checkpoint's id.
    pub checkpoint_id: Option<i64>,
    /// How many of the files it needs.
    pub files: u64,
    /// For which state; of a file only.
    pub states: Vec<UserState>,
}

/// The state that a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UserState {
    /// The operator's id.
    pub operator_id: String,
    /// The operator's name, or its uid, if recorded.
    pub operator: Option<String>,
    /// The subtask; absent for a coordinator.
    pub subtask: Option<u32>,
    /// What the file is to it, such as `sst` or `operator_stream`.
    pub role: &'static str,
    /// The name under which a database knows the file.
    pub local_name: Option<String>,
    /// The names of the states in it, as far as they are known.
    pub states: Vec<String>,
}

/// A file that a snapshot elsewhere needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileUse {
    /// Where it is.
    pub url: String,
    /// Its bytes.
    pub bytes: u64,
    /// How many snapshots elsewhere need it.
    pub users: u64,
    /// One of these.
    pub user: String,
}

/// What stays, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptPart {
    /// The rule.
    pub rule: Rule,
    /// Why, in words.
    pub why: &'static str,
    /// What a user can do about it.
    pub remedy: Option<&'static str>,
    /// How much.
    #[serde(flatten)]
    pub amount: Amount,
    /// One of the objects.
    pub example: String,
}

/// What a path is. Nothing, if nothing lies there.
#[must_use]
pub fn subject(inventory: &Inventory, location: &Location) -> Option<Subject> {
    if let Some(id) = inventory.objects.find(location) {
        return Some(match inventory.snapshots.iter().position(|snapshot| snapshot.metadata == id) {
            Some(at) => Subject::Snapshot(at),
            None => Subject::File(id),
        });
    }
    if let Some(at) = inventory.snapshots.iter().position(|snapshot| snapshot.directory == *location) {
        return Some(Subject::Snapshot(at));
    }
    let directories = inventory.objects.directories();
    let holds = directories.iter().any(|directory| directory.starts_with(location));
    holds.then(|| Subject::Directory(location.clone()))
}

/// Says who needs a file or what lies in a directory, and whether it may be deleted.
///
/// The decisions are those of a policy that would let go what was asked about.
#[must_use]
pub fn refs(inventory: &Inventory, decisions: &Decisions, subject: &Subject) -> Refs {
    match subject {
        Subject::File(id) => file(inventory, decisions, *id),
        Subject::Snapshot(at) => snapshot(inventory, decisions, *at),
        Subject::Directory(location) => directory(inventory, decisions, location),
    }
}

fn empty(inventory: &Inventory, decisions: &Decisions, location: String, kind: SubjectKind) -> Refs {
    Refs {
        location,
        kind,
        verdict: Verdict::CannotTell,
        all: Amount::default(),
        needed_by: Vec::new(),
        users: 0,
        files: Vec::new(),
        kept: Vec::new(),
        findings: super::findings(inventory, decisions),
    }
}

fn user(snapshot: &ListedSnapshot, files: u64) -> User {
    User {
        snapshot: snapshot.directory.to_string(),
        job: snapshot.checkpoint.as_ref().map(|(job, _)| job.to_string()),
        checkpoint_id: snapshot.contents.as_ref().ok().map(|references| references.checkpoint_id),
        files,
        states: Vec::new(),
    }
}

fn named(snapshot: &ListedSnapshot) -> &[ObjectId] {
    snapshot.contents.as_ref().map_or(&[], |references| &references.objects)
}

fn file(inventory: &Inventory, decisions: &Decisions, id: ObjectId) -> Refs {
    let location = inventory.objects.location(id).map_or_else(String::new, |location| location.to_string());
    let mut refs = empty(inventory, decisions, location.clone(), SubjectKind::File);
    let bytes = inventory.objects.get(id).map_or(0, |object| object.size);
    refs.all.add(bytes);
    for snapshot in &inventory.snapshots {
        if named(snapshot).binary_search(&id).is_ok() {
            refs.users += 1;
            if refs.needed_by.len() < EXAMPLES {
                refs.needed_by.push(user(snapshot, 1));
            }
        }
    }
    let keep = match decisions.standing(id) {
        Some(Standing::Needed(keep) | Standing::Protected(_, keep)) => Some(keep),
        _ => None,
    };
    refs.kept.extend(keep.map(|keep| KeptPart {
        rule: keep.rule(&decisions.blocks),
        why: keep.why(),
        remedy: keep.remedy(),
        amount: refs.all,
        example: location,
    }));
    refs.verdict = verdict(refs.users > 0, keep.into_iter());
    refs
}

/// What reasons to keep something come to: that it is needed outweighs that something is not known.
fn verdict(is_needed: bool, keeps: impl Iterator<Item = Keep>) -> Verdict {
    let mut verdict = if is_needed { Verdict::NotDeletable } else { Verdict::Deletable };
    for keep in keeps {
        verdict = match (keep, verdict) {
            (Keep::Blocked(_) | Keep::RootsNotComplete, Verdict::Deletable) => Verdict::CannotTell,
            (Keep::Blocked(_) | Keep::RootsNotComplete, other) => other,
            _ => return Verdict::NotDeletable,
        };
    }
    verdict
}

/// What lies in a directory, and who outside of it needs that. `inside` are the snapshots that do not count.
fn contents(
    inventory: &Inventory,
    decisions: &Decisions,
    refs: &mut Refs,
    directory: &Location,
    inside: &[usize],
) -> Vec<Keep> {
    let lies_in: Vec<bool> =
        inventory.objects.directories().iter().map(|other| other.starts_with(directory)).collect();
    let is_in = |id: &ObjectId| {
        let object = inventory.objects.get(*id);
        object.and_then(|object| lies_in.get(object.directory as usize)).is_some_and(|&lies| lies)
    };
    let mut uses: BTreeMap<ObjectId, (u64, usize)> = BTreeMap::new();
    for (at, snapshot) in inventory.snapshots.iter().enumerate().filter(|(at, _)| !inside.contains(at)) {
        let mut files = 0;
        for id in named(snapshot).iter().filter(|id| is_in(id)) {
            uses.entry(*id).or_insert((0, at)).0 += 1;
            files += 1;
        }
        if files > 0 {
            refs.users += 1;
            if refs.needed_by.len() < EXAMPLES {
                refs.needed_by.push(user(snapshot, files));
            }
        }
    }
    for (id, (users, at)) in uses.iter().take(EXAMPLES) {
        let (Some(location), Some(snapshot)) =
            (inventory.objects.location(*id), inventory.snapshots.get(*at))
        else {
            continue;
        };
        refs.files.push(FileUse {
            url: location.to_string(),
            bytes: inventory.objects.get(*id).map_or(0, |object| object.size),
            users: *users,
            user: snapshot.directory.to_string(),
        });
    }
    let mut parts: BTreeMap<Keep, KeptPart> = BTreeMap::new();
    for ((id, object), standing) in inventory.objects.iter().zip(&decisions.standings) {
        if !is_in(&id) {
            continue;
        }
        refs.all.add(object.size);
        let (Standing::Needed(keep) | Standing::Protected(_, keep)) = *standing else { continue };
        let Some(location) = inventory.objects.location(id) else { continue };
        let part = parts.entry(keep).or_insert_with(|| KeptPart {
            rule: keep.rule(&decisions.blocks),
            why: keep.why(),
            remedy: keep.remedy(),
            amount: Amount::default(),
            example: location.to_string(),
        });
        part.amount.add(object.size);
    }
    let keeps = parts.keys().copied().collect();
    refs.kept = parts.into_values().collect();
    keeps
}

fn snapshot(inventory: &Inventory, decisions: &Decisions, at: usize) -> Refs {
    let Some(snapshot) = inventory.snapshots.get(at) else {
        return empty(inventory, decisions, String::new(), SubjectKind::Snapshot);
    };
    let mut refs = empty(inventory, decisions, snapshot.directory.to_string(), SubjectKind::Snapshot);
    contents(inventory, decisions, &mut refs, &snapshot.directory, &[at]);
    let standing = decisions.snapshots.get(at).copied();
    if let Some(SnapshotStanding::Kept(keep)) = standing {
        let part = KeptPart {
            rule: keep.rule(&decisions.blocks),
            why: keep.why(),
            remedy: keep.remedy(),
            amount: Amount::default(),
            example: snapshot.directory.to_string(),
        };
        refs.kept.insert(0, part);
    }
    refs.verdict = match standing {
        _ if refs.users > 0 => Verdict::NotDeletable,
        Some(SnapshotStanding::Removed) => Verdict::Deletable,
        Some(SnapshotStanding::Kept(
            SnapshotKeep::Unread
            | SnapshotKeep::Blocked(_)
            | SnapshotKeep::RootsNotComplete
            | SnapshotKeep::RestoresUnknown,
        ))
        | None => Verdict::CannotTell,
        Some(SnapshotStanding::Kept(_)) => Verdict::NotDeletable,
    };
    refs
}

fn directory(inventory: &Inventory, decisions: &Decisions, location: &Location) -> Refs {
    let is_job = decisions.jobs.iter().any(|job| job.directory == *location);
    let kind = if is_job { SubjectKind::Job } else { SubjectKind::Directory };
    let mut refs = empty(inventory, decisions, location.to_string(), kind);
    let inside: Vec<usize> = inventory
        .snapshots
        .iter()
        .enumerate()
        .filter(|(_, snapshot)| snapshot.directory.starts_with(location))
        .map(|(at, _)| at)
        .collect();
    let keeps = contents(inventory, decisions, &mut refs, location, &inside);
    // Snapshots in it that stay only because something is not known.
    let unknown = inside.iter().filter_map(|&at| decisions.snapshots.get(at)).all(|standing| {
        matches!(
            standing,
            SnapshotStanding::Removed
                | SnapshotStanding::Kept(
                    SnapshotKeep::Unread
                        | SnapshotKeep::Blocked(_)
                        | SnapshotKeep::RootsNotComplete
                        | SnapshotKeep::RestoresUnknown
                )
        )
    });
    let keeps = keeps.into_iter().map(|keep| match keep {
        Keep::Referenced | Keep::KeptSnapshot if unknown => Keep::RootsNotComplete,
        keep => keep,
    });
    refs.verdict = verdict(refs.users > 0, keeps);
    refs
}
