//! What a plan comes to, and what came of one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Amount, RootSummary};
use crate::model::inventory::Inventory;
use crate::model::{Effect, Finding};
use crate::prune::execute::Outcome;
use crate::prune::{Decisions, Keep, Plan, Reason, Refusal, Rule, SnapshotKeep};

/// What a plan comes to.
#[derive(Debug, Clone, Serialize)]
pub struct PlanResult {
    /// Whether it was written to a file.
    pub written: bool,
    /// How many objects of jobs that may run are marked, if they were to be.
    pub marked: Option<u64>,
    /// Why it may not be executed. It is not written then.
    pub refusals: Vec<Refusal>,
    /// What lies under each root.
    pub roots: Vec<RootSummary>,
    /// What goes, by job and reason; the most bytes first.
    pub candidates: Vec<CandidateGroup>,
    /// What becomes of the snapshots, by reason.
    pub snapshots: Vec<SnapshotGroup>,
    /// What stays though no snapshot needs it, and what snapshots need, by reason.
    pub kept: Vec<super::KeptPart>,
    /// What forbids conclusions.
    pub blocks: Vec<Finding>,
    /// Other problems in the data.
    pub findings: Vec<Finding>,
    /// The plan itself.
    pub plan: Plan,
}

/// Objects that go, of one job and for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct CandidateGroup {
    /// The job's directory; absent in a savepoint.
    pub job: Option<String>,
    /// Why they go.
    pub reason: Reason,
    /// How many, and their bytes.
    #[serde(flatten)]
    pub amount: Amount,
    /// When the youngest was last written, in milliseconds since 1970.
    pub youngest_ms: Option<i64>,
    /// One of them.
    pub example: String,
}

/// Snapshots with the same fate.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotGroup {
    /// Why they stay; absent if they go.
    pub kept: Option<SnapshotKeep>,
    /// The rule that keeps them.
    pub rule: Option<Rule>,
    /// That reason in words.
    pub why: Option<&'static str>,
    /// What a user can do about it.
    pub remedy: Option<&'static str>,
    /// How many.
    pub snapshots: u64,
    /// One of them.
    pub example: String,
}

/// What came of a plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ApplyResult {
    /// Why nothing was done.
    pub refusals: Vec<Refusal>,
    /// What was done; absent if nothing was.
    pub outcome: Option<Outcome>,
    /// Buckets that keep what is removed: no bytes are freed there until the versions go.
    pub versioned: Vec<String>,
    /// Where each removal is written down.
    pub journal: String,
    /// How many snapshots that stay were verified afterwards.
    pub verified_snapshots: u64,
    /// Those of them that are not known to be whole.
    pub broken_snapshots: Vec<BrokenSnapshot>,
}

/// A snapshot that stays and is not known to be whole.
#[derive(Debug, Clone, Serialize)]
pub struct BrokenSnapshot {
    /// Its directory.
    pub snapshot: String,
    /// What it means for who wants to restore.
    pub effect: Effect,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// Sums up a plan.
#[must_use]
pub fn plan_result(
    inventory: &Inventory,
    decisions: &Decisions,
    plan: Plan,
    refusals: Vec<Refusal>,
    written: bool,
    marked: Option<u64>,
) -> PlanResult {
    let mut candidates: BTreeMap<(Option<String>, Reason), CandidateGroup> = BTreeMap::new();
    for candidate in &plan.candidates {
        let key = (candidate.job.clone(), candidate.reason);
        let group = candidates.entry(key).or_insert_with(|| CandidateGroup {
            job: candidate.job.clone(),
            reason: candidate.reason,
            amount: Amount::default(),
            youngest_ms: None,
            example: candidate.url.clone(),
        });
        group.amount.add(candidate.version.size);
        group.youngest_ms = group.youngest_ms.max(candidate.version.modified_ms);
    }
    let mut candidates: Vec<_> = candidates.into_values().collect();
    candidates.sort_by_key(|group| std::cmp::Reverse(group.amount.bytes));
    let mut snapshots: BTreeMap<Option<SnapshotKeep>, SnapshotGroup> = BTreeMap::new();
    for snapshot in &plan.snapshots {
        let kept = snapshot.kept;
        let group = snapshots.entry(kept).or_insert_with(|| SnapshotGroup {
            kept,
            rule: snapshot.rule,
            why: kept.map(SnapshotKeep::why),
            remedy: kept.and_then(SnapshotKeep::remedy),
            snapshots: 0,
            example: snapshot.directory.clone(),
        });
        group.snapshots += 1;
    }
    let kept = plan.kept.iter().map(|class| super::KeptPart {
        rule: class.rule,
        why: class.reason.why(),
        remedy: Keep::remedy(class.reason),
        amount: Amount { objects: class.objects, bytes: class.bytes },
        example: class.example.clone(),
    });
    PlanResult {
        written,
        marked,
        refusals,
        roots: super::roots(inventory, decisions),
        candidates,
        snapshots: snapshots.into_values().collect(),
        kept: kept.collect(),
        blocks: decisions.blocks.iter().map(|block| block.finding.clone()).collect(),
        findings: inventory.findings.clone(),
        plan,
    }
}
