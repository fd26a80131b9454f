//! Which bytes belong to which job and snapshot.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Amount, RootSummary};
use crate::model::Finding;
use crate::model::inventory::{Inventory, ObjectId};
use crate::prune::{Decisions, Job, Keep, Standing};

/// Bytes by job and snapshot.
#[derive(Debug, Clone, Serialize)]
pub struct Du {
    /// When the listing began, in milliseconds since 1970.
    pub listed_at_ms: i64,
    /// What lies under each root.
    pub roots: Vec<RootSummary>,
    /// The jobs, the one with the most bytes first.
    pub jobs: Vec<JobUsage>,
    /// Snapshots in no job's directory: savepoints, and copies. The one with the most bytes first.
    pub savepoints: Vec<SnapshotUsage>,
    /// What forbids conclusions, and other problems in the data.
    pub findings: Vec<Finding>,
}

/// Bytes of a job.
#[derive(Debug, Clone, Serialize)]
pub struct JobUsage {
    /// The job's directory.
    pub job: String,
    /// Everything in that directory.
    pub all: Amount,
    /// What lies there and no snapshot needs, known to be Flink's.
    pub orphaned: Amount,
    /// What lies there and is none of what Flink writes.
    pub unknown: Amount,
    /// Its complete checkpoints, by number, highest first.
    pub checkpoints: Vec<SnapshotUsage>,
    /// What would be freed if only the last ones were kept; each count for which that changes something.
    pub keeping_last: Vec<KeepingLast>,
}

/// Bytes of a snapshot.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotUsage {
    /// The directory.
    pub snapshot: String,
    /// The checkpoint's id; absent if `_metadata` cannot be read.
    pub checkpoint_id: Option<i64>,
    /// When `_metadata` was written, in milliseconds since 1970.
    pub completed_at_ms: Option<i64>,
    /// What it names and itself: what a copy of it would take.
    pub all: Amount,
    /// What no other snapshot names: freed if it goes.
    pub exclusive: Amount,
    /// What other snapshots name, too.
    pub shared: Amount,
    /// How many files it names that are not there.
    pub missing_files: u64,
}

/// What is freed if only some checkpoints of a job are kept.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KeepingLast {
    /// How many are kept: those with the highest numbers.
    pub checkpoints: usize,
    /// What is freed.
    pub freed: Amount,
}

/// Finds out which bytes belong to whom.
#[must_use]
pub fn du(inventory: &Inventory, decisions: &Decisions) -> Du {
    let usages: Vec<_> = (0..inventory.snapshots.len()).map(|at| usage(inventory, decisions, at)).collect();
    let mut in_job: BTreeMap<u32, (Amount, Amount, Amount)> = BTreeMap::new();
    for ((_, object), standing) in inventory.objects.iter().zip(&decisions.standings) {
        let job = decisions.job_of_directory.get(object.directory as usize).copied().flatten();
        let Some(job) = job else { continue };
        let (all, orphaned, unknown) = in_job.entry(job).or_default();
        all.add(object.size);
        match standing {
            Standing::Protected(_, Keep::UnknownShape) => unknown.add(object.size),
            Standing::Orphaned(_) | Standing::Protected(..) => orphaned.add(object.size),
            Standing::Needed(_) | Standing::Removed => {}
        }
    }
    let mut is_of_job = vec![false; usages.len()];
    let mut jobs = Vec::with_capacity(decisions.jobs.len());
    for (number, job) in (0u32..).zip(&decisions.jobs) {
        let (all, orphaned, unknown) = in_job.remove(&number).unwrap_or_default();
        let mut checkpoints = Vec::with_capacity(job.checkpoints.len());
        for &at in job.checkpoints.values().rev() {
            checkpoints.extend(usages.get(at).cloned());
            if let Some(is_of_job) = is_of_job.get_mut(at) {
                *is_of_job = true;
            }
        }
        let keeping_last = keeping_last(inventory, decisions, job);
        jobs.push(JobUsage {
            job: job.directory.to_string(),
            all,
            orphaned,
            unknown,
            checkpoints,
            keeping_last,
        });
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.all.bytes));
    let others = usages.into_iter().zip(is_of_job).filter(|(_, is_of_job)| !is_of_job);
    let mut savepoints: Vec<_> = others.map(|(usage, _)| usage).collect();
    savepoints.sort_by_key(|savepoint| std::cmp::Reverse(savepoint.all.bytes));
    Du {
        listed_at_ms: inventory.listed_ms,
        roots: super::roots(inventory, decisions),
        jobs,
        savepoints,
        findings: super::findings(inventory, decisions),
    }
}

fn usage(inventory: &Inventory, decisions: &Decisions, at: usize) -> SnapshotUsage {
    let mut usage = SnapshotUsage {
        snapshot: String::new(),
        checkpoint_id: None,
        completed_at_ms: None,
        all: Amount::default(),
        exclusive: Amount::default(),
        shared: Amount::default(),
        missing_files: 0,
    };
    let Some(snapshot) = inventory.snapshots.get(at) else { return usage };
    usage.snapshot = snapshot.directory.to_string();
    if let Some(metadata) = inventory.objects.get(snapshot.metadata) {
        usage.completed_at_ms = metadata.modified_ms;
        usage.all.add(metadata.size);
        usage.exclusive.add(metadata.size);
    }
    let Ok(references) = &snapshot.contents else { return usage };
    usage.checkpoint_id = Some(references.checkpoint_id);
    usage.missing_files = references.unlisted.len() as u64;
    for id in &references.objects {
        let Some(object) = inventory.objects.get(*id) else { continue };
        usage.all.add(object.size);
        let users = decisions.users.get(id.0 as usize).map_or(0, |users| users.count);
        if users > 1 { usage.shared.add(object.size) } else { usage.exclusive.add(object.size) }
    }
    usage
}

/// What goes with older checkpoints: an object goes if only checkpoints of this job name it, and none that is kept.
fn keeping_last(inventory: &Inventory, decisions: &Decisions, job: &Job) -> Vec<KeepingLast> {
    // Of each object, how many checkpoints of this job name it, and the newest that does.
    let mut named: BTreeMap<ObjectId, (u32, usize)> = BTreeMap::new();
    let mut freed = vec![Amount::default(); job.checkpoints.len()];
    for (rank, &at) in job.checkpoints.values().rev().enumerate() {
        let Some(snapshot) = inventory.snapshots.get(at) else { continue };
        if let (Some(metadata), Some(freed)) = (inventory.objects.get(snapshot.metadata), freed.get_mut(rank))
        {
            freed.add(metadata.size);
        }
        for id in snapshot.contents.iter().flat_map(|references| &references.objects) {
            named.entry(*id).or_insert((0, rank)).0 += 1;
        }
    }
    for (id, (users, newest)) in named {
        let all = decisions.users.get(id.0 as usize).map_or(0, |users| users.count);
        if let (true, Some(object), Some(freed)) =
            (all == users, inventory.objects.get(id), freed.get_mut(newest))
        {
            freed.add(object.size);
        }
    }
    // Keeping the last N frees what goes with all behind them.
    let mut sum = Amount::default();
    let mut keeping = Vec::new();
    for (checkpoints, freed) in freed.into_iter().enumerate().skip(1).rev() {
        sum = Amount { objects: sum.objects + freed.objects, bytes: sum.bytes.saturating_add(freed.bytes) };
        keeping.push(KeepingLast { checkpoints, freed: sum });
    }
    keeping.reverse();
    keeping
}
