//! Gives every snapshot and every object its standing: the one place where it is decided what may go.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::shapes::{DirectoryShape, Shape, directory_shape, shape};
use super::{Evidence, Policy, Rule};
use crate::model::inventory::SnapshotReferences;
use crate::model::inventory::{Block, FileName, Inventory, ListedSnapshot, Object, ObjectId, RootRole};
use crate::model::layout::is_job_id;
use crate::model::{Finding, SnapshotKind};
use crate::storage::Location;

/// A time that lies further ahead than this, in milliseconds, is by a clock that is not ours.
const AHEAD_MS: i64 = 60_000;

/// What may become of each object and each snapshot, and why.
#[derive(Debug)]
pub struct Decisions {
    /// Of each object of the inventory.
    pub standings: Vec<Standing>,
    /// Of each snapshot of the inventory.
    pub snapshots: Vec<SnapshotStanding>,
    /// The jobs whose directories lie under the roots, by where they lie.
    pub jobs: Vec<Job>,
    /// Of each object, how many snapshots name it, and one of them.
    pub users: Vec<Users>,
    /// Of each directory of the inventory, its job.
    pub job_of_directory: Vec<Option<u32>>,
    /// Of each object, what it is to Flink.
    pub shapes: Vec<Shape>,
    /// Why no conclusion is drawn: those of the inventory, and those of the evidence.
    pub blocks: Vec<Block>,
}

/// The snapshots that name an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Users {
    /// How many.
    pub count: u32,
    /// The last of them.
    pub last: u32,
}

/// The directory of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The directory: a job is its root and its id.
    pub directory: Location,
    /// Its complete checkpoints, by number: indexes of snapshots.
    pub checkpoints: BTreeMap<u64, usize>,
}

/// What may become of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// A snapshot that stays needs it, or it is one.
    Needed(Keep),
    /// No snapshot needs it, and it stays nevertheless.
    Protected(Orphan, Keep),
    /// No snapshot needs it, and it may go.
    Orphaned(Orphan),
    /// It goes with the snapshots that name it.
    Removed,
}

/// Why an object stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// A snapshot that stays names it.
    Referenced,
    /// A snapshot that stays names a file of the same name somewhere else.
    ReferencedByName,
    /// A JobManager's pointer names it.
    PointedTo,
    /// It is the `_metadata` of a snapshot that stays.
    KeptSnapshot,
    /// It lies in the storage of high availability.
    HighAvailability,
    /// It lies under a root of savepoints, or in the directory of one.
    Savepoint,
    /// Its name or its directory is none that Flink writes.
    UnknownShape,
    /// Something forbids conclusions about its root: the number of the block.
    Blocked(u32),
    /// Nothing tells its age.
    AgeUnknown,
    /// It is too young.
    TooYoung,
    /// Its job is not shown to have ended: it belongs to task managers.
    TaskOwned,
    /// Its job is not shown to have ended: state changes may be named later.
    Changelog,
    /// Its job is not shown to have ended: more may be appended to it.
    Merged,
    /// Its job is not shown to have ended: it lies in a working directory.
    Working,
    /// Its job is not shown to have ended.
    JobNotStopped,
    /// Not all that refers to its root is known.
    RootsNotComplete,
}

/// What an object that no snapshot needs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphan {
    /// In a `chk-N` directory that has no `_metadata`.
    AbandonedCheckpoint,
    /// In a `chk-N` directory whose `_metadata` does not name it.
    Exclusive,
    /// A `_metadata` that was never completed.
    AbandonedMetadata,
    /// In `shared`.
    Shared,
    /// In `taskowned`.
    TaskOwned,
    /// A merged file.
    Merged,
    /// In the working directory of a database.
    Working,
    /// State changes.
    Changelog,
    /// In the directory of a savepoint.
    Savepoint,
    /// Something else.
    Other,
}

/// What may become of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotStanding {
    /// It stays.
    Kept(SnapshotKeep),
    /// It may go.
    Removed,
}

/// Why a snapshot stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKeep {
    /// Nobody asked for whole checkpoints to go.
    NotAsked,
    /// It is a savepoint, and was not named.
    Savepoint,
    /// It is a savepoint, and other snapshots use its files.
    SavepointInUse,
    /// Its `_metadata` cannot be read.
    Unread,
    /// Something forbids conclusions about its root: the number of the block.
    Blocked(u32),
    /// Not all that refers to its root is known.
    RootsNotComplete,
    /// Its job is not shown to have ended.
    JobNotStopped,
    /// A job may have been restored from it and have no checkpoint of its own.
    RestoresUnknown,
    /// A JobManager would recover from it.
    PointedTo,
    /// A running job was restored from it, or holds it as its newest.
    Pinned,
    /// It is the newest of its job, by number or by completion.
    Newest,
    /// It is among the newest that are to be kept.
    AmongNewest,
    /// It is not as old as asked for.
    NotOldEnough,
    /// It is too young, or nothing tells its age.
    TooYoung,
}

impl Keep {
    /// The rule that keeps it.
    #[must_use]
    pub fn rule(self, blocks: &[Block]) -> Rule {
        match self {
            Self::Referenced | Self::ReferencedByName | Self::RootsNotComplete => Rule::R1,
            Self::PointedTo | Self::HighAvailability => Rule::R7,
            Self::KeptSnapshot => Rule::R15,
            Self::Savepoint => Rule::R8,
            Self::UnknownShape => Rule::R13,
            Self::Blocked(at) => rule_of(blocks, at),
            Self::AgeUnknown | Self::TooYoung => Rule::R5,
            Self::TaskOwned => Rule::R9,
            Self::Changelog => Rule::R4,
            Self::Merged => Rule::R10,
            Self::Working | Self::JobNotStopped => Rule::R6,
        }
    }
}

impl SnapshotKeep {
    /// The rule that keeps it.
    #[must_use]
    pub fn rule(self, blocks: &[Block]) -> Rule {
        match self {
            Self::NotAsked => Rule::R0,
            Self::Savepoint | Self::SavepointInUse => Rule::R8,
            Self::Unread => Rule::R2,
            Self::Blocked(at) => rule_of(blocks, at),
            Self::RootsNotComplete => Rule::R1,
            Self::JobNotStopped | Self::AmongNewest | Self::NotOldEnough => Rule::R6,
            Self::RestoresUnknown | Self::Pinned => Rule::R3,
            Self::PointedTo => Rule::R7,
            Self::Newest => Rule::R15,
            Self::TooYoung => Rule::R5,
        }
    }
}

fn rule_of(blocks: &[Block], at: u32) -> Rule {
    blocks.get(at as usize).map_or(Rule::R2, |block| Rule::of_finding(block.finding.code))
}

impl Decisions {
    /// The standing of an object.
    #[must_use]
    pub fn standing(&self, id: ObjectId) -> Option<Standing> {
        self.standings.get(id.0 as usize).copied()
    }

    /// The job whose directory an object lies in.
    #[must_use]
    pub fn job_of(&self, object: &Object) -> Option<&Job> {
        let job = (*self.job_of_directory.get(object.directory as usize)?)?;
        self.jobs.get(job as usize)
    }
}

/// Decides what may become of everything.
#[must_use]
pub fn decide(inventory: &Inventory, evidence: &Evidence, policy: &Policy) -> Decisions {
    let facts = Facts::of(inventory, evidence, policy);
    let (snapshots, lost) = facts.snapshots();
    let standings = facts.objects(&snapshots, &lost);
    let Facts { jobs, job_of_directory, users, blocks, shapes, .. } = facts;
    Decisions { standings, snapshots, jobs, users, job_of_directory, shapes, blocks }
}

struct Facts<'a> {
    inventory: &'a Inventory,
    evidence: &'a Evidence,
    policy: &'a Policy,
    blocks: Vec<Block>,
    jobs: Vec<Job>,
    /// Of each directory.
    job_of_directory: Vec<Option<u32>>,
    root_of_directory: Vec<Option<usize>>,
    /// Whether a directory holds a `_metadata`.
    is_snapshot: Vec<bool>,
    shapes: Vec<Shape>,
    users: Vec<Users>,
    /// Objects that a pointer names, and snapshots that one leads to.
    pointed: HashSet<ObjectId>,
    pointed_snapshots: HashSet<Location>,
}

impl<'a> Facts<'a> {
    fn of(inventory: &'a Inventory, evidence: &'a Evidence, policy: &'a Policy) -> Self {
        let mut blocks = inventory.blocks.clone();
        blocks.extend(evidence.against.iter().map(|finding| Block { finding: finding.clone(), roots: None }));
        blocks.extend(clocks_ahead(inventory, evidence));
        let objects = &inventory.objects;
        let directories = objects.directories();
        let shaped: Vec<_> = directories.iter().map(directory_shape).collect();
        let jobs = jobs(inventory, &shaped);
        let job_of_directory = shaped
            .iter()
            .map(|(_, job)| {
                let job = job.as_ref()?;
                let at = jobs.binary_search_by(|known| known.directory.cmp(job)).ok()?;
                u32::try_from(at).ok()
            })
            .collect();
        let root_of_directory = directories.iter().map(|directory| inventory.root_of(directory)).collect();
        let mut is_snapshot = vec![false; directories.len()];
        for snapshot in &inventory.snapshots {
            let directory = objects.get(snapshot.metadata).map(|object| object.directory as usize);
            if let Some(is_snapshot) = directory.and_then(|at| is_snapshot.get_mut(at)) {
                *is_snapshot = true;
            }
        }
        let shape_of_directory: Vec<_> = shaped.into_iter().map(|(shape, _)| shape).collect();
        let shape_of = |object: &Object| {
            let directory = shape_of_directory.get(object.directory as usize);
            let found = shape(directory.copied().unwrap_or(DirectoryShape::Other), &object.name);
            let in_snapshot = is_snapshot.get(object.directory as usize).is_some_and(|&is| is);
            if found == Shape::Other
                && in_snapshot
                && directory == Some(&DirectoryShape::Other)
                && FileName::new(&object.name) != FileName::Other(object.name.clone())
            {
                return Shape::Savepoint;
            }
            found
        };
        let shapes = objects.iter().map(|(_, object)| shape_of(object)).collect();
        let mut users = vec![Users::default(); objects.len()];
        for (at, snapshot) in (0..).zip(&inventory.snapshots) {
            for id in named(snapshot) {
                if let Some(users) = users.get_mut(id.0 as usize) {
                    users.count += 1;
                    users.last = at;
                }
            }
        }
        let pointers = &inventory.pointers;
        Self {
            inventory,
            evidence,
            policy,
            blocks,
            jobs,
            job_of_directory,
            root_of_directory,
            is_snapshot,
            shapes,
            users,
            pointed: pointers.iter().flat_map(|pointer| &pointer.objects).copied().collect(),
            pointed_snapshots: pointers.iter().filter_map(|pointer| pointer.snapshot.clone()).collect(),
        }
    }

    fn block(&self, root: Option<usize>) -> Option<u32> {
        let touches = |block: &Block| root.is_none_or(|root| block.touches(root));
        self.blocks.iter().position(touches).and_then(|at| u32::try_from(at).ok())
    }

    /// Whether a job ended for good. One that a JobManager would recover did not, whoever says so.
    fn is_stopped(&self, job: &Location) -> bool {
        self.evidence.stopped.contains_key(job)
            && !self.evidence.running.contains_key(job)
            && !self.pointed_snapshots.iter().any(|snapshot| snapshot.parent().as_ref() == Some(job))
    }

    /// How old something is, in milliseconds. Nothing if that is not known.
    fn age(&self, modified_ms: Option<i64>) -> Option<u64> {
        u64::try_from(self.evidence.now_ms.checked_sub(modified_ms?)?).ok()
    }

    fn is_old(&self, modified_ms: Option<i64>, than_ms: u64) -> bool {
        self.age(modified_ms).is_some_and(|age| age >= than_ms)
    }

    /// What may become of the snapshots; and the names of what those that stay name where nothing was listed.
    fn snapshots(&self) -> (Vec<SnapshotStanding>, HashSet<&'a FileName>) {
        let mut standings: Vec<_> = self.inventory.snapshots.iter().map(|s| self.snapshot(s)).collect();
        for job in &self.jobs {
            self.keep_newest(job, &mut standings);
        }
        self.keep_savepoints_in_use(&mut standings);
        let mut lost = HashSet::new();
        for (snapshot, standing) in self.inventory.snapshots.iter().zip(&standings) {
            if let (Ok(references), SnapshotStanding::Kept(_)) = (&snapshot.contents, standing) {
                lost.extend(&references.unlisted);
            }
        }
        lost.extend(self.inventory.pointers.iter().flat_map(|pointer| &pointer.unlisted));
        (standings, lost)
    }

    /// What speaks for a snapshot that is looked at alone.
    fn snapshot(&self, snapshot: &ListedSnapshot) -> SnapshotStanding {
        let kept = SnapshotStanding::Kept;
        let Ok(references) = &snapshot.contents else { return kept(SnapshotKeep::Unread) };
        let root = self.inventory.root_of(&snapshot.directory);
        let role = root.and_then(|root| self.inventory.roots.get(root)).map(|root| root.role);
        let is_named = self.policy.savepoints.contains(&snapshot.directory);
        let checkpoint = snapshot.checkpoint.as_ref().filter(|_| !is_savepoint(references));
        let job = match checkpoint {
            None if is_named && role != Some(RootRole::HighAvailability) => None,
            Some((job, _)) if role == Some(RootRole::Storage) => Some(job),
            _ => return kept(SnapshotKeep::Savepoint),
        };
        if job.is_some() && !self.policy.takes_checkpoints() {
            return kept(SnapshotKeep::NotAsked);
        }
        if let Some(block) = self.block(root) {
            return kept(SnapshotKeep::Blocked(block));
        }
        if !self.evidence.roots_complete {
            return kept(SnapshotKeep::RootsNotComplete);
        }
        if job.is_some_and(|job| !self.is_stopped(job)) {
            return kept(SnapshotKeep::JobNotStopped);
        }
        if !self.evidence.restores_known {
            return kept(SnapshotKeep::RestoresUnknown);
        }
        if self.pointed_snapshots.contains(&snapshot.directory) {
            return kept(SnapshotKeep::PointedTo);
        }
        if self.evidence.pinned.contains_key(&snapshot.directory) {
            return kept(SnapshotKeep::Pinned);
        }
        let modified = self.modified(snapshot);
        if !self.is_old(modified, self.policy.min_age_ms) {
            return kept(SnapshotKeep::TooYoung);
        }
        if job.is_some() && self.policy.older_than_ms.is_some_and(|than| !self.is_old(modified, than)) {
            return kept(SnapshotKeep::NotOldEnough);
        }
        SnapshotStanding::Removed
    }

    fn modified(&self, snapshot: &ListedSnapshot) -> Option<i64> {
        self.inventory.objects.get(snapshot.metadata)?.modified_ms
    }

    /// The newest checkpoints of a job stay: by number, and by completion.
    fn keep_newest(&self, job: &Job, standings: &mut [SnapshotStanding]) {
        let asked = self.policy.keep.unwrap_or(Policy::DEFAULT_KEEP).max(1);
        let keep = asked.max(self.evidence.num_retained.unwrap_or(0)) as usize;
        let by_number: Vec<usize> = job.checkpoints.values().rev().copied().collect();
        let mut by_completion = by_number.clone();
        let completed = |at: &usize| self.inventory.snapshots.get(*at).and_then(|s| self.modified(s));
        // Of equal times, the order by number stays.
        by_completion.sort_by_key(|at| std::cmp::Reverse(completed(at)));
        for newest in [by_number, by_completion] {
            for (rank, at) in newest.into_iter().take(keep).enumerate() {
                let Some(standing) = standings.get_mut(at) else { continue };
                if *standing == SnapshotStanding::Removed
                    || (rank == 0 && *standing == SnapshotStanding::Kept(SnapshotKeep::AmongNewest))
                {
                    let why = if rank == 0 { SnapshotKeep::Newest } else { SnapshotKeep::AmongNewest };
                    *standing = SnapshotStanding::Kept(why);
                }
            }
        }
    }

    /// A savepoint goes only if no other snapshot uses any of its files.
    fn keep_savepoints_in_use(&self, standings: &mut [SnapshotStanding]) {
        for (snapshot, standing) in self.inventory.snapshots.iter().zip(standings) {
            let is_checkpoint = snapshot.checkpoint.is_some()
                && snapshot.contents.as_ref().is_ok_and(|references| !is_savepoint(references));
            if *standing == SnapshotStanding::Removed && !is_checkpoint {
                let is_used = |id: &ObjectId| {
                    self.users.get(id.0 as usize).is_some_and(|users| users.count > 1)
                        || self.pointed.contains(id)
                };
                if named(snapshot).iter().any(is_used) {
                    *standing = SnapshotStanding::Kept(SnapshotKeep::SavepointInUse);
                }
            }
        }
    }

    /// What may become of all objects.
    fn objects(&self, snapshots: &[SnapshotStanding], lost: &HashSet<&FileName>) -> Vec<Standing> {
        let objects = &self.inventory.objects;
        let mut needed = vec![false; objects.len()];
        let mut removed = vec![false; objects.len()];
        let mark = |marks: &mut Vec<bool>, id: ObjectId| {
            if let Some(mark) = marks.get_mut(id.0 as usize) {
                *mark = true;
            }
        };
        for (snapshot, standing) in self.inventory.snapshots.iter().zip(snapshots) {
            let marks = match standing {
                SnapshotStanding::Kept(_) => &mut needed,
                SnapshotStanding::Removed => &mut removed,
            };
            named(snapshot).iter().for_each(|id| mark(marks, *id));
        }
        // Files of the same name are kept wherever they lie: a bucket may have been copied, or have two names.
        let mut names: HashSet<FileName> = lost.iter().map(|name| (*name).clone()).collect();
        for ((_, object), needed) in objects.iter().zip(&needed) {
            if *needed {
                names.insert(FileName::new(&object.name));
            }
        }
        for id in &self.pointed {
            if let Some(object) = objects.get(*id) {
                names.insert(FileName::new(&object.name));
            }
        }
        let kept_metadata: HashSet<ObjectId> = self
            .inventory
            .snapshots
            .iter()
            .zip(snapshots)
            .filter(|(_, standing)| matches!(standing, SnapshotStanding::Kept(_)))
            .map(|(snapshot, _)| snapshot.metadata)
            .collect();
        let metadata: HashSet<ObjectId> = self.inventory.snapshots.iter().map(|s| s.metadata).collect();
        let flags = objects.iter().zip(needed).zip(removed);
        flags
            .map(|(((id, object), needed), removed)| {
                if needed {
                    return Standing::Needed(Keep::Referenced);
                }
                if kept_metadata.contains(&id) {
                    return Standing::Needed(Keep::KeptSnapshot);
                }
                if self.pointed.contains(&id) {
                    return Standing::Needed(Keep::PointedTo);
                }
                if metadata.contains(&id) {
                    return Standing::Removed;
                }
                if names.contains(&FileName::new(&object.name)) {
                    return Standing::Needed(Keep::ReferencedByName);
                }
                let orphan = self.orphan(id, object);
                match self.protection(id, object, orphan, removed) {
                    Some(keep) => Standing::Protected(orphan, keep),
                    None if removed => Standing::Removed,
                    None => Standing::Orphaned(orphan),
                }
            })
            .collect()
    }

    fn orphan(&self, id: ObjectId, object: &Object) -> Orphan {
        let in_snapshot = self.is_snapshot.get(object.directory as usize).is_some_and(|&is| is);
        match self.shapes.get(id.0 as usize).copied().unwrap_or(Shape::Other) {
            Shape::Exclusive if !in_snapshot => Orphan::AbandonedCheckpoint,
            Shape::Exclusive => Orphan::Exclusive,
            Shape::MetadataInProgress => Orphan::AbandonedMetadata,
            Shape::Shared => Orphan::Shared,
            Shape::TaskOwned => Orphan::TaskOwned,
            Shape::MergedShared | Shape::MergedTaskOwned => Orphan::Merged,
            Shape::Working => Orphan::Working,
            Shape::Changelog => Orphan::Changelog,
            Shape::Savepoint => Orphan::Savepoint,
            Shape::Metadata | Shape::Other => Orphan::Other,
        }
    }

    /// Why an object stays that no snapshot needs. What is most lasting is said first.
    fn protection(&self, id: ObjectId, object: &Object, orphan: Orphan, removed: bool) -> Option<Keep> {
        let directory = object.directory as usize;
        let root = self.root_of_directory.get(directory).copied().flatten();
        let role = root.and_then(|root| self.inventory.roots.get(root)).map(|root| root.role);
        match role {
            Some(RootRole::HighAvailability) => return Some(Keep::HighAvailability),
            Some(RootRole::Savepoints) if !removed => return Some(Keep::Savepoint),
            _ => {}
        }
        let job = self.job_of_directory.get(directory).copied().flatten();
        let job = job.and_then(|job| self.jobs.get(job as usize));
        match orphan {
            Orphan::Savepoint if removed => {}
            Orphan::Savepoint => return Some(Keep::Savepoint),
            Orphan::Other => return Some(Keep::UnknownShape),
            _ if job.is_none() => return Some(Keep::UnknownShape),
            _ => {}
        }
        if let Some(block) = self.block(root) {
            return Some(Keep::Blocked(block));
        }
        match self.age(object.modified_ms) {
            None => return Some(Keep::AgeUnknown),
            Some(age) if age < self.policy.min_age_ms => return Some(Keep::TooYoung),
            Some(_) => {}
        }
        if let Some(job) = job
            && !self.is_stopped(&job.directory)
        {
            let live = match orphan {
                Orphan::TaskOwned => Some(Keep::TaskOwned),
                Orphan::Changelog => Some(Keep::Changelog),
                Orphan::Merged => Some(Keep::Merged),
                Orphan::Working => Some(Keep::Working),
                _ if self.evidence.long_unreferenced.contains(&id) => None,
                _ => Some(Keep::JobNotStopped),
            };
            if live.is_some() {
                return live;
            }
        }
        (!self.evidence.roots_complete).then_some(Keep::RootsNotComplete)
    }
}

/// The objects that a snapshot names.
fn named(snapshot: &ListedSnapshot) -> &[ObjectId] {
    snapshot.contents.as_ref().map_or(&[], |references| &references.objects)
}

/// Whether a snapshot says that it is a savepoint.
fn is_savepoint(references: &SnapshotReferences) -> bool {
    matches!(references.kind, SnapshotKind::Savepoint { .. })
}

/// The jobs that have a directory: one that is called by a job's id, or that has a `chk-N` in it.
fn jobs(inventory: &Inventory, shaped: &[(DirectoryShape, Option<Location>)]) -> Vec<Job> {
    let mut jobs: BTreeMap<Location, BTreeMap<u64, usize>> = BTreeMap::new();
    for (shape, job) in shaped {
        let Some(job) = job else { continue };
        let is_job = matches!(shape, DirectoryShape::Checkpoint(_)) || job.file_name().is_some_and(is_job_id);
        if is_job && !jobs.contains_key(job) {
            jobs.insert(job.clone(), BTreeMap::new());
        }
    }
    for (at, snapshot) in inventory.snapshots.iter().enumerate() {
        if let Some((job, number)) = &snapshot.checkpoint
            && let Some(checkpoints) = jobs.get_mut(job)
        {
            checkpoints.insert(*number, at);
        }
    }
    jobs.into_iter().map(|(directory, checkpoints)| Job { directory, checkpoints }).collect()
}

/// Objects from the future: ages by that clock mean nothing.
fn clocks_ahead(inventory: &Inventory, evidence: &Evidence) -> Option<Block> {
    let latest = evidence.now_ms.saturating_add(AHEAD_MS);
    let (id, object) = inventory
        .objects
        .iter()
        .filter(|(_, object)| object.modified_ms.is_some_and(|modified| modified > latest))
        .max_by_key(|(_, object)| object.modified_ms)?;
    let ahead = object.modified_ms?.saturating_sub(evidence.now_ms);
    let location = inventory.objects.location(id)?;
    let finding = Finding::error(
        "clocks_disagree",
        format!("an object was written {} s after now, by its store's clock", ahead / 1000),
        "set this machine's clock: ages decide what may be deleted",
    );
    Some(Block { finding: finding.in_file(location.to_string()), roots: None })
}
