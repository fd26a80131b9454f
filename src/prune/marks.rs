//! Two phases for jobs that may run: what a first run found unreferenced, a later one may plan to remove.
//!
//! A running job may come back to a file that no checkpoint names. It does so soon or never: within the checkpoints that
//! were under way. So an object is ripe once it was unreferenced for a time of grace, and two checkpoints were completed
//! since it was marked, and it is unreferenced still.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Decisions, Keep, Standing, Version};
use crate::model::inventory::{Inventory, ObjectId};
use crate::storage::Location;

/// The version of the format of marks.
const MARKS_VERSION: u32 = 1;

/// How many checkpoints must be completed after an object was marked.
const COMPLETIONS: usize = 2;

/// How far the store's clock and ours may be apart, in milliseconds.
const SKEW_MS: i64 = 60_000;

/// What earlier runs found unreferenced in directories of jobs that may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The version of this format.
    marks_version: u32,
    /// How long an object must be marked, in milliseconds.
    pub grace_ms: u64,
    /// By the job's directory.
    jobs: BTreeMap<String, MarkedJob>,
}

/// What was found in the directory of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct MarkedJob {
    /// When checkpoints were completed that were seen: their time and their number.
    completions: BTreeSet<(i64, u64)>,
    /// By address.
    objects: BTreeMap<String, Mark>,
}

/// An object that no snapshot named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// When it was found first, in milliseconds since 1970.
    since_ms: i64,
    #[serde(flatten)]
    version: Version,
}

impl Marks {
    /// How long an object must be marked where nothing is said, in milliseconds.
    pub const DEFAULT_GRACE_MS: u64 = 24 * 3_600_000;

    /// No marks.
    #[must_use]
    pub fn new(grace_ms: u64) -> Self {
        Self { marks_version: MARKS_VERSION, grace_ms, jobs: BTreeMap::new() }
    }

    /// Whether this program understands them.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.marks_version == MARKS_VERSION
    }

    /// How many objects are marked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.values().map(|job| job.objects.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes what is unreferenced now. What was marked before and still is keeps its time; what is referenced again loses
    /// its mark.
    #[must_use]
    pub fn noting(&self, inventory: &Inventory, decisions: &Decisions, grace_ms: u64, now_ms: i64) -> Self {
        let mut jobs: BTreeMap<String, MarkedJob> = BTreeMap::new();
        for ((id, object), standing) in inventory.objects.iter().zip(&decisions.standings) {
            let Some((job, location)) = decisions.job_of(object).zip(inventory.objects.location(id)) else {
                continue;
            };
            if !matches!(standing, Standing::Protected(_, Keep::JobNotStopped)) {
                continue;
            }
            let (url, version) = (location.to_string(), Version::of(object));
            let directory = job.directory.to_string();
            let before = self.jobs.get(&directory).and_then(|job| job.objects.get(&url));
            let since_ms =
                before.filter(|mark| mark.version.is(&version)).map_or(now_ms, |mark| mark.since_ms);
            jobs.entry(directory).or_default().objects.insert(url, Mark { since_ms, version });
        }
        for (directory, job) in &mut jobs {
            job.completions = self.completions(inventory, decisions, directory);
            let first = job.objects.values().map(|mark| mark.since_ms).min().unwrap_or(now_ms);
            job.completions.retain(|(at, _)| *at >= first);
        }
        Self { marks_version: MARKS_VERSION, grace_ms, jobs }
    }

    /// The checkpoints of a job that were completed, as far as any run saw them.
    fn completions(
        &self,
        inventory: &Inventory,
        decisions: &Decisions,
        directory: &str,
    ) -> BTreeSet<(i64, u64)> {
        let mut completions = self.jobs.get(directory).map(|job| job.completions.clone()).unwrap_or_default();
        let job = Location::parse(directory).ok();
        let job = job.and_then(|job| decisions.jobs.iter().find(|known| known.directory == job));
        for (number, at) in job.into_iter().flat_map(|job| &job.checkpoints) {
            let metadata = inventory.snapshots.get(*at).map(|snapshot| snapshot.metadata);
            let object = metadata.and_then(|metadata| inventory.objects.get(metadata));
            if let Some(modified) = object.and_then(|object| object.modified_ms) {
                completions.insert((modified, *number));
            }
        }
        completions
    }

    /// The objects that were unreferenced long enough, as far as they are the same objects still. Whether they are
    /// unreferenced still is decided anew.
    #[must_use]
    pub fn ripe(&self, inventory: &Inventory, decisions: &Decisions, now_ms: i64) -> BTreeSet<ObjectId> {
        let grace = i64::try_from(self.grace_ms).unwrap_or(i64::MAX);
        let mut ripe = BTreeSet::new();
        for (directory, job) in &self.jobs {
            let completions = self.completions(inventory, decisions, directory);
            for (url, mark) in &job.objects {
                let since = mark.since_ms.saturating_add(SKEW_MS);
                let after = completions.iter().filter(|(at, _)| *at > since).count();
                if after < COMPLETIONS || now_ms.saturating_sub(mark.since_ms) < grace {
                    continue;
                }
                let found = Location::parse(url).ok().and_then(|location| inventory.objects.find(&location));
                let is_same = |id: &ObjectId| {
                    inventory.objects.get(*id).is_some_and(|object| Version::of(object).is(&mark.version))
                };
                ripe.extend(found.filter(is_same));
            }
        }
        ripe
    }
}
