//! What no snapshot needs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Amount, RootSummary};
use crate::model::Finding;
use crate::model::inventory::Inventory;
use crate::prune::{Decisions, Keep, Orphan, Rule, Standing};

/// What no snapshot under some roots needs.
#[derive(Debug, Clone, Serialize)]
pub struct Orphans {
    /// When the listing began, in milliseconds since 1970: ages count from then.
    pub listed_at_ms: i64,
    /// Whether the user said that all that uses this storage lies under the roots.
    pub roots_complete: bool,
    /// What lies under each root.
    pub roots: Vec<RootSummary>,
    /// Objects that no snapshot needs, by job and kind and by what `prune` would do; the most bytes first.
    pub groups: Vec<OrphanGroup>,
    /// Each of them.
    pub objects: Vec<OrphanObject>,
    /// What forbids conclusions, and other problems in the data.
    pub findings: Vec<Finding>,
}

/// Objects of one kind in the directory of one job.
#[derive(Debug, Clone, Serialize)]
pub struct OrphanGroup {
    /// The job's directory; absent for what lies in none.
    pub job: Option<String>,
    /// What they are.
    pub kind: Orphan,
    /// Why `prune` keeps them; absent if it would delete them.
    pub kept: Option<Keep>,
    /// The rule that keeps them.
    pub rule: Option<Rule>,
    /// That reason in words.
    pub why: Option<&'static str>,
    /// What a user can do about it.
    pub remedy: Option<&'static str>,
    /// How many, and their bytes.
    #[serde(flatten)]
    pub amount: Amount,
    /// When the oldest was last written, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// When the youngest was last written.
    pub youngest_ms: Option<i64>,
    /// One of them.
    pub example: String,
}

/// An object that no snapshot needs.
#[derive(Debug, Clone, Serialize)]
pub struct OrphanObject {
    /// Where it is.
    pub url: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// What it is.
    pub kind: Orphan,
    /// Why `prune` keeps it; absent if it would delete it.
    pub kept: Option<Keep>,
}

/// Finds what no snapshot needs.
#[must_use]
pub fn orphans(inventory: &Inventory, decisions: &Decisions, roots_complete: bool) -> Orphans {
    let mut groups: BTreeMap<(Option<String>, Orphan, Option<Keep>), OrphanGroup> = BTreeMap::new();
    let mut objects = Vec::new();
    for ((id, object), standing) in inventory.objects.iter().zip(&decisions.standings) {
        let (kind, kept) = match *standing {
            Standing::Orphaned(kind) => (kind, None),
            Standing::Protected(kind, keep) => (kind, Some(keep)),
            Standing::Needed(_) | Standing::Removed => continue,
        };
        let Some(url) = inventory.objects.location(id).map(|location| location.to_string()) else { continue };
        let job = decisions.job_of(object).map(|job| job.directory.to_string());
        let group = groups.entry((job.clone(), kind, kept)).or_insert_with(|| OrphanGroup {
            job,
            kind,
            kept,
            rule: kept.map(|keep| keep.rule(&decisions.blocks)),
            why: kept.map(Keep::why),
            remedy: kept.and_then(Keep::remedy),
            amount: Amount::default(),
            oldest_ms: None,
            youngest_ms: None,
            example: url.clone(),
        });
        group.amount.add(object.size);
        if let Some(modified) = object.modified_ms {
            group.oldest_ms = Some(group.oldest_ms.map_or(modified, |oldest| oldest.min(modified)));
            group.youngest_ms = Some(group.youngest_ms.map_or(modified, |youngest| youngest.max(modified)));
        }
        let (bytes, modified_ms) = (object.size, object.modified_ms);
        objects.push(OrphanObject { url, bytes, modified_ms, kind, kept });
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.amount.bytes));
    Orphans {
        listed_at_ms: inventory.listed_ms,
        roots_complete,
        roots: super::roots(inventory, decisions),
        groups,
        objects,
        findings: super::findings(inventory, decisions),
    }
}
