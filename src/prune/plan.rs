//! What is to go, as a value that is written to a file: an apply gets to know nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use super::{
    Decisions, Evidence, Keep, Marks, Orphan, Policy, Rule, SnapshotKeep, SnapshotStanding, Standing,
};
use crate::model::inventory::{Inventory, Object, ObjectId, RootRole};
use crate::storage::Location;

/// The version of the format of plans. A plan of another version is not executed.
pub const PLAN_VERSION: u32 = 1;

/// How long a plan may be executed, in milliseconds.
pub const PLAN_EXPIRES_MS: i64 = 24 * 3_600_000;

/// The share of a root's bytes that a plan may take unless more is confirmed, in percent.
pub const DEFAULT_MAX_SHARE: u8 = 80;

/// Everything that was asked for and said: enough to decide again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The roots, and what they are.
    pub roots: Vec<RequestRoot>,
    /// Whether all that uses this storage lies under them; the user says so.
    pub roots_complete: bool,
    /// Whether no job holds a checkpoint of another any more; the user says so.
    pub restores_done: bool,
    /// Directories of jobs that ended for good; the user says so.
    pub stopped: Vec<String>,
    /// Addresses of JobManagers that are asked.
    pub rest: Vec<String>,
    /// How many complete checkpoints of a job that ended stay, if whole ones may go.
    pub keep: Option<u32>,
    /// How old a checkpoint must be to go, in milliseconds.
    pub older_than_ms: Option<u64>,
    /// How old anything must be to go, in milliseconds.
    pub min_age_ms: u64,
    /// Savepoints that are to go.
    pub savepoints: Vec<String>,
    /// How many checkpoints Flink retains, by its configuration.
    pub num_retained: Option<u32>,
    /// What earlier runs found unreferenced in directories of jobs that may run.
    pub marks: Option<Marks>,
    /// The directory of checkpoints, where Flink's configuration spreads files over prefixes outside of the roots.
    pub entropy: Option<String>,
    /// The share of a root's bytes that may go, in percent.
    pub max_share: u8,
}

/// A root, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRoot {
    /// The directory.
    pub location: String,
    /// What it is.
    pub role: RootRole,
}

/// What is to go, and all that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this format.
    pub plan_version: u32,
    /// What was asked for.
    pub request: Request,
    /// When the listing began, in milliseconds since 1970.
    pub listed_ms: i64,
    /// Until when it may be executed, in milliseconds since 1970.
    pub expires_ms: i64,
    /// What lies under each root, and what goes.
    pub roots: Vec<PlanRoot>,
    /// The snapshots, and what becomes of each.
    pub snapshots: Vec<PlanSnapshot>,
    /// What goes, in the order in which it goes: `_metadata` first.
    pub candidates: Vec<Candidate>,
    /// What stays, in classes.
    pub kept: Vec<KeptClass>,
    /// A checksum over all that stands above it.
    pub digest: String,
}

/// What lies under a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRoot {
    /// The directory.
    pub location: String,
    /// What it is.
    pub role: RootRole,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that go.
    pub candidate_objects: u64,
    /// Their bytes.
    pub candidate_bytes: u64,
}

/// What tells one state of an object from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Bytes.
    pub size: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// The store's tag.
    pub etag: Option<Arc<str>>,
}

impl Version {
    /// The state of an object that was listed.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self { size: object.size, modified_ms: object.modified_ms, etag: object.etag.clone() }
    }

    /// Whether another look shows the same object. A tag that only one look shows tells nothing, and a store that tells
    /// milliseconds in its listings tells seconds of a single object.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let tags = match (&self.etag, &other.etag) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let times = match (self.modified_ms, other.modified_ms) {
            (Some(a), Some(b)) if a % 1000 == 0 || b % 1000 == 0 => a.div_euclid(1000) == b.div_euclid(1000),
            (a, b) => a == b,
        };
        self.size == other.size && times && tags
    }
}

/// A snapshot that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSnapshot {
    /// The directory.
    pub directory: String,
    /// Its `_metadata`.
    pub metadata: Version,
    /// The checkpoint's id; absent if `_metadata` cannot be read.
    pub checkpoint_id: Option<i64>,
    /// Why it stays; absent if it goes.
    pub kept: Option<SnapshotKeep>,
    /// The rule that keeps it.
    pub rule: Option<Rule>,
}

/// Why an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is the `_metadata` of a snapshot that goes.
    SnapshotRemoved,
    /// Only snapshots that go name it.
    OnlyRemovedSnapshots,
    /// No snapshot names it.
    Orphan(Orphan),
}

/// An object that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it is.
    pub url: String,
    /// Its state when it was listed.
    #[serde(flatten)]
    pub version: Version,
    /// The directory of its job; absent in a savepoint.
    pub job: Option<String>,
    /// Why it goes.
    pub reason: Reason,
}

/// Objects that stay for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptClass {
    /// Why.
    pub reason: Keep,
    /// The rule.
    pub rule: Rule,
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// One of them.
    pub example: String,
}

/// Why nothing is planned, or a plan is not executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// What it is about.
    pub object: String,
    /// Why.
    pub message: String,
    /// What the user can do.
    pub remedy: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(
        rule: Rule,
        object: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { rule, object: object.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl Request {
    /// The policy that it asks for.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            keep: self.keep,
            older_than_ms: self.older_than_ms,
            min_age_ms: self.min_age_ms,
            savepoints: self.savepoints.iter().filter_map(|text| Location::parse(text).ok()).collect(),
        }
    }
}

impl Plan {
    /// Plans what goes.
    #[must_use]
    pub fn new(inventory: &Inventory, decisions: &Decisions, evidence: &Evidence, request: Request) -> Self {
        let mut plan = Self {
            plan_version: PLAN_VERSION,
            request,
            listed_ms: inventory.listed_ms,
            expires_ms: evidence.now_ms.saturating_add(PLAN_EXPIRES_MS),
            roots: roots(inventory),
            snapshots: snapshots(inventory, decisions),
            candidates: Vec::new(),
            kept: Vec::new(),
            digest: String::new(),
        };
        let mut kept: BTreeMap<Keep, KeptClass> = BTreeMap::new();
        let (mut metadata, mut data) = (Vec::new(), Vec::new());
        let snapshots: std::collections::HashSet<ObjectId> =
            inventory.snapshots.iter().map(|snapshot| snapshot.metadata).collect();
        for ((id, object), standing) in inventory.objects.iter().zip(&decisions.standings) {
            let Some(location) = inventory.objects.location(id) else { continue };
            let root = inventory.root_of(&location).and_then(|root| plan.roots.get_mut(root));
            let reason = match *standing {
                Standing::Needed(keep) | Standing::Protected(_, keep) => {
                    if let Some(root) = root {
                        root.objects += 1;
                        root.bytes += object.size;
                    }
                    let class = kept.entry(keep).or_insert_with(|| KeptClass {
                        reason: keep,
                        rule: keep.rule(&decisions.blocks),
                        objects: 0,
                        bytes: 0,
                        example: location.to_string(),
                    });
                    class.objects += 1;
                    class.bytes = class.bytes.saturating_add(object.size);
                    continue;
                }
                Standing::Removed if snapshots.contains(&id) => Reason::SnapshotRemoved,
                Standing::Removed => Reason::OnlyRemovedSnapshots,
                Standing::Orphaned(orphan) => Reason::Orphan(orphan),
            };
            if let Some(root) = root {
                root.objects += 1;
                root.bytes += object.size;
                root.candidate_objects += 1;
                root.candidate_bytes += object.size;
            }
            let candidate = Candidate {
                url: location.to_string(),
                version: Version::of(object),
                job: decisions.job_of(object).map(|job| job.directory.to_string()),
                reason,
            };
            if reason == Reason::SnapshotRemoved { metadata.push(candidate) } else { data.push(candidate) }
        }
        metadata.append(&mut data);
        plan.candidates = metadata;
        plan.kept = kept.into_values().collect();
        plan.digest = plan.checksum();
        plan
    }

    /// Why this plan may not be executed, now or at all.
    #[must_use]
    pub fn refusals(&self, now_ms: i64) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.plan_version != PLAN_VERSION || self.digest != self.checksum() {
            refusals.push(Refusal::new(
                Rule::R0,
                "the plan",
                "it was changed after it was made, cut off, or made by another version",
                "make a new plan",
            ));
        }
        if now_ms > self.expires_ms || now_ms < self.listed_ms {
            refusals.push(Refusal::new(
                Rule::R15,
                "the plan",
                "it is too old, or from the future: much may have changed since",
                "make a new plan",
            ));
        }
        for root in &self.roots {
            if root.candidate_objects > 0 && root.candidate_objects == root.objects {
                refusals.push(Refusal::new(
                    Rule::R15,
                    &root.location,
                    "everything under this root would go",
                    "if that is meant, delete the directory by other means",
                ));
            } else if u128::from(root.candidate_bytes) * 100
                > u128::from(root.bytes) * u128::from(self.request.max_share)
            {
                refusals.push(Refusal::new(
                    Rule::R15,
                    &root.location,
                    format!("more than {} % of the bytes under this root would go", self.request.max_share),
                    "look at the plan; if that is meant, allow more with --max-share",
                ));
            }
        }
        refusals
    }

    /// Bytes that go.
    #[must_use]
    pub fn candidate_bytes(&self) -> u64 {
        self.candidates.iter().map(|candidate| candidate.version.size).sum()
    }

    fn checksum(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        let text = serde_json::to_vec(&bare).unwrap_or_default();
        format!("{:032x}", XxHash3_128::oneshot(&text))
    }
}

fn roots(inventory: &Inventory) -> Vec<PlanRoot> {
    let roots = inventory.roots.iter().map(|root| PlanRoot {
        location: root.location.to_string(),
        role: root.role,
        objects: 0,
        bytes: 0,
        candidate_objects: 0,
        candidate_bytes: 0,
    });
    roots.collect()
}

fn snapshots(inventory: &Inventory, decisions: &Decisions) -> Vec<PlanSnapshot> {
    let snapshots = inventory.snapshots.iter().zip(&decisions.snapshots);
    snapshots
        .filter_map(|(snapshot, standing)| {
            let kept = match standing {
                SnapshotStanding::Kept(why) => Some(*why),
                SnapshotStanding::Removed => None,
            };
            Some(PlanSnapshot {
                directory: snapshot.directory.to_string(),
                metadata: Version::of(inventory.objects.get(snapshot.metadata)?),
                checkpoint_id: snapshot.contents.as_ref().ok().map(|references| references.checkpoint_id),
                kept,
                rule: kept.map(|kept| kept.rule(&decisions.blocks)),
            })
        })
        .collect()
}
