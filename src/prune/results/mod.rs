//! The results of `orphans`, `du` and `refs`. Their serialized forms are the JSON output, described field by field in
//! `docs/json.md`.

mod du;
mod orphans;
mod plan;
mod refs;

pub use du::{Du, JobUsage, KeepingLast, SnapshotUsage, du};
pub use orphans::{OrphanGroup, OrphanObject, Orphans, orphans};
pub use plan::{ApplyResult, BrokenSnapshot, CandidateGroup, PlanResult, SnapshotGroup, plan_result};
pub use refs::{FileUse, KeptPart, Refs, Subject, SubjectKind, User, UserState, Verdict, refs, subject};

use serde::Serialize;

use super::{Decisions, Standing};
use crate::model::Finding;
use crate::model::inventory::{Inventory, RootRole};

/// A number of objects and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What lies under a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootSummary {
    /// The directory.
    pub location: String,
    /// What it was given as.
    pub role: RootRole,
    /// Whether it was listed to its end.
    pub listed: bool,
    /// Everything under it.
    pub all: Amount,
    /// What a snapshot needs, snapshots included.
    pub needed: Amount,
    /// What no snapshot needs and nothing protects.
    pub orphaned: Amount,
    /// What no snapshot needs and a rule protects.
    pub protected: Amount,
    /// Snapshots.
    pub snapshots: u64,
    /// Snapshots whose `_metadata` cannot be read.
    pub unread_snapshots: u64,
}

/// What lies under each root.
fn roots(inventory: &Inventory, decisions: &Decisions) -> Vec<RootSummary> {
    let mut roots: Vec<_> = inventory
        .roots
        .iter()
        .map(|root| RootSummary {
            location: root.location.to_string(),
            role: root.role,
            listed: root.listed,
            all: Amount::default(),
            needed: Amount::default(),
            orphaned: Amount::default(),
            protected: Amount::default(),
            snapshots: 0,
            unread_snapshots: 0,
        })
        .collect();
    let directories = inventory.objects.directories().iter();
    let root_of: Vec<_> = directories.map(|directory| inventory.root_of(directory)).collect();
    for ((_, object), standing) in inventory.objects.iter().zip(&decisions.standings) {
        let root = root_of.get(object.directory as usize).copied().flatten();
        let Some(root) = root.and_then(|root| roots.get_mut(root)) else { continue };
        root.all.add(object.size);
        match standing {
            Standing::Needed(_) => root.needed.add(object.size),
            Standing::Orphaned(_) | Standing::Removed => root.orphaned.add(object.size),
            Standing::Protected(..) => root.protected.add(object.size),
        }
    }
    for snapshot in &inventory.snapshots {
        let root = inventory.root_of(&snapshot.directory).and_then(|root| roots.get_mut(root));
        if let Some(root) = root {
            root.snapshots += 1;
            root.unread_snapshots += u64::from(snapshot.contents.is_err());
        }
    }
    roots
}

/// What is wrong: what forbids conclusions first.
fn findings(inventory: &Inventory, decisions: &Decisions) -> Vec<Finding> {
    let blocks = decisions.blocks.iter().map(|block| block.finding.clone());
    blocks.chain(inventory.findings.iter().cloned()).collect()
}
