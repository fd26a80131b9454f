//! Finds out what of a plan may still go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{AfterAll, KeptAfterAll, World};
use crate::model::inventory::{Inventory, ListedSnapshot, ObjectId, ObjectTable};
use crate::model::layout::{METADATA, checkpoint_number};
use crate::prune::{
    Candidate, Decisions, Evidence, Plan, Reason, Refusal, Rule, SnapshotStanding, Standing, Version, decide,
};
use crate::storage::Location;

/// What goes, confirmed.
#[derive(Debug)]
pub(super) struct Confirmed {
    /// The `_metadata` of snapshots that go.
    pub(super) metadata: Vec<Doomed>,
    /// What goes after that.
    pub(super) data: Vec<Doomed>,
    /// How many of the plan are gone already.
    pub(super) gone: u64,
    /// What stays after all.
    pub(super) kept: Kept,
    /// Directories that are nobody's once they are empty.
    pub(super) directories: BTreeSet<Location>,
    /// When all of it was looked at, in milliseconds since 1970.
    pub(super) looked_ms: i64,
}

/// An object that goes.
#[derive(Debug)]
pub(super) struct Doomed {
    pub(super) location: Location,
    pub(super) version: Version,
    pub(super) reason: Reason,
    /// The snapshots that name it, as indexes of [`Confirmed::metadata`]: these are gone before it goes.
    pub(super) after: Vec<usize>,
}

/// What stays, counted by reason.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<AfterAll, (u64, String)>);

impl Kept {
    pub(super) fn add(&mut self, reason: AfterAll, example: &str) {
        self.0.entry(reason).or_insert_with(|| (0, example.to_owned())).0 += 1;
    }

    pub(super) fn list(self) -> Vec<KeptAfterAll> {
        let list = self.0.into_iter();
        list.map(|(reason, (objects, example))| KeptAfterAll { reason, objects, example }).collect()
    }
}

/// Lists, reads and decides again, and lists once more.
///
/// # Errors
/// What is found forbids everything.
pub(super) fn confirm(plan: &Plan, world: &mut dyn World) -> Result<Confirmed, Vec<Refusal>> {
    let inventory = world.inventory();
    let evidence = world.evidence(&inventory).map_err(|refusal| vec![refusal])?;
    let decisions = decide(&inventory, &evidence, &plan.request.policy());
    let looked_ms = world.now_ms();
    let listing = world.listing().map_err(|refusal| vec![refusal])?;
    let mut disturbed = disturbed(&inventory, &decisions, &listing).map_err(|refusal| vec![refusal])?;
    disturbed.extend(awake(plan, &inventory, &evidence, &decisions, &listing));
    let present =
        Present { plan, inventory: &inventory, decisions: &decisions, listing: &listing, disturbed };
    Ok(present.confirmed(&evidence, looked_ms))
}

/// What an apply found.
struct Present<'a> {
    plan: &'a Plan,
    inventory: &'a Inventory,
    decisions: &'a Decisions,
    listing: &'a ObjectTable,
    disturbed: BTreeSet<Location>,
}

impl Present<'_> {
    fn confirmed(&self, evidence: &Evidence, looked_ms: i64) -> Confirmed {
        let mut confirmed = Confirmed {
            metadata: Vec::new(),
            data: Vec::new(),
            gone: 0,
            kept: Kept::default(),
            directories: BTreeSet::new(),
            looked_ms,
        };
        let snapshots: HashMap<ObjectId, usize> =
            self.inventory.snapshots.iter().enumerate().map(|(at, s)| (s.metadata, at)).collect();
        // The snapshots that go, and which place in the list theirs has.
        let mut going: HashMap<usize, usize> = HashMap::new();
        let mut data = Vec::new();
        for candidate in &self.plan.candidates {
            match self.check(candidate) {
                Checked::Gone => confirmed.gone += 1,
                Checked::Kept(reason) => confirmed.kept.add(reason, &candidate.url),
                Checked::Goes(location, id) => match snapshots.get(&id) {
                    Some(&snapshot) => {
                        going.insert(snapshot, confirmed.metadata.len());
                        confirmed.metadata.push(doomed(location, candidate, Vec::new()));
                    }
                    None => data.push((location, id, candidate)),
                },
            }
        }
        let mut after = self.users(&data);
        for (location, id, candidate) in data {
            let users = after.remove(&id).unwrap_or_default();
            let places: Option<Vec<usize>> = users.iter().map(|user| going.get(user).copied()).collect();
            match places {
                Some(after) => {
                    if let Some(directory) = tidied(&location, candidate, evidence) {
                        confirmed.directories.insert(directory);
                    }
                    confirmed.data.push(doomed(location, candidate, after));
                }
                None => confirmed.kept.add(AfterAll::SnapshotStays, &candidate.url),
            }
        }
        let metadata = confirmed.metadata.iter().filter_map(|doomed| doomed.location.parent());
        confirmed.directories.extend(metadata);
        confirmed
    }

    /// The snapshots that name each of these objects.
    fn users(&self, data: &[(Location, ObjectId, &Candidate)]) -> HashMap<ObjectId, Vec<usize>> {
        let mut users: HashMap<ObjectId, Vec<usize>> =
            data.iter().map(|(_, id, _)| (*id, Vec::new())).collect();
        for (at, snapshot) in self.inventory.snapshots.iter().enumerate() {
            for id in named(snapshot) {
                if let Some(users) = users.get_mut(id) {
                    users.push(at);
                }
            }
        }
        users
    }

    fn check(&self, candidate: &Candidate) -> Checked {
        let Ok(location) = Location::parse(&candidate.url) else { return Checked::Kept(AfterAll::NoAddress) };
        let seen = self.listing.find(&location).and_then(|id| self.listing.get(id));
        let Some(seen) = seen else { return Checked::Gone };
        let read = self.inventory.objects.find(&location);
        let Some((id, read)) = read.and_then(|id| Some((id, self.inventory.objects.get(id)?))) else {
            return Checked::Kept(AfterAll::Changed);
        };
        if !candidate.version.is(&Version::of(seen)) || !candidate.version.is(&Version::of(read)) {
            return Checked::Kept(AfterAll::Changed);
        }
        match self.decisions.standing(id) {
            Some(Standing::Removed | Standing::Orphaned(_)) => {}
            Some(Standing::Needed(keep) | Standing::Protected(_, keep)) => {
                return Checked::Kept(AfterAll::Rule(keep));
            }
            None => return Checked::Kept(AfterAll::Changed),
        }
        let job = self.decisions.job_of(read);
        if job.is_some_and(|job| self.disturbed.contains(&job.directory)) {
            return Checked::Kept(AfterAll::JobChanged);
        }
        Checked::Goes(location, id)
    }
}

enum Checked {
    Gone,
    Kept(AfterAll),
    Goes(Location, ObjectId),
}

fn doomed(location: Location, candidate: &Candidate, after: Vec<usize>) -> Doomed {
    Doomed { location, version: candidate.version.clone(), reason: candidate.reason, after }
}

fn named(snapshot: &ListedSnapshot) -> &[ObjectId] {
    snapshot.contents.as_ref().map_or(&[], |references| &references.objects)
}

/// The directory of an object, if it goes with what is in it: one of a checkpoint, of a job that ended.
fn tidied(location: &Location, candidate: &Candidate, evidence: &Evidence) -> Option<Location> {
    let directory = location.parent()?;
    checkpoint_number(directory.file_name()?)?;
    let job = Location::parse(candidate.job.as_deref()?).ok()?;
    evidence.stopped.contains_key(&job).then_some(directory)
}

/// The directories with a `_metadata`, and that file.
fn snapshots(listing: &ObjectTable) -> BTreeMap<Location, Version> {
    let directories = listing.directories().iter();
    directories
        .filter_map(|directory| {
            let id = listing.find(&directory.join(METADATA).ok()?)?;
            Some((directory.clone(), Version::of(listing.get(id)?)))
        })
        .collect()
}

/// The job of a checkpoint's directory.
fn job_of(directory: &Location) -> Option<Location> {
    checkpoint_number(directory.file_name()?)?;
    directory.parent()
}

/// The directories of jobs that something may have become of since their snapshots were read: those whose snapshots came,
/// went or changed, and those whose files such a job uses.
///
/// # Errors
/// A snapshot came of which nobody knows what it uses.
fn disturbed(
    inventory: &Inventory,
    decisions: &Decisions,
    listing: &ObjectTable,
) -> Result<BTreeSet<Location>, Refusal> {
    let before = snapshots(&inventory.objects);
    let now = snapshots(listing);
    let mut jobs = BTreeSet::new();
    for (directory, version) in &now {
        if before.get(directory).is_some_and(|known| known.is(version)) {
            continue;
        }
        let job = job_of(directory).filter(|job| {
            let of_job = |snapshot: &ListedSnapshot| {
                snapshot.checkpoint.as_ref().is_some_and(|(directory, _)| directory == job)
            };
            inventory.snapshots.iter().any(of_job)
        });
        let Some(job) = job else {
            return Err(Refusal::new(
                Rule::R6,
                directory.to_string(),
                "a snapshot came while everything was read, and nothing is known of its job",
                "apply the plan again",
            ));
        };
        jobs.insert(job);
    }
    jobs.extend(before.keys().filter(|directory| !now.contains_key(*directory)).filter_map(job_of));
    // What such a job used is what it may use again.
    let mut all = jobs.clone();
    for snapshot in &inventory.snapshots {
        if snapshot.checkpoint.as_ref().is_some_and(|(job, _)| jobs.contains(job)) {
            let objects = named(snapshot).iter().filter_map(|id| inventory.objects.get(*id));
            all.extend(
                objects.filter_map(|object| decisions.job_of(object)).map(|job| job.directory.clone()),
            );
        }
    }
    Ok(all)
}

/// Jobs that are said to have ended, and that wrote something since the plan was made.
fn awake(
    plan: &Plan,
    inventory: &Inventory,
    evidence: &Evidence,
    decisions: &Decisions,
    listing: &ObjectTable,
) -> BTreeSet<Location> {
    let mut awake = BTreeSet::new();
    for table in [&inventory.objects, listing] {
        for (_, object) in table.iter() {
            if object.modified_ms.is_some_and(|modified| modified > plan.listed_ms) {
                let mut above = table.directory(object).cloned();
                while let Some(directory) = above {
                    if evidence.stopped.contains_key(&directory) {
                        awake.insert(directory);
                        break;
                    }
                    above = directory.parent();
                }
            }
        }
    }
    let planned: HashMap<&str, _> = plan.snapshots.iter().map(|s| (s.directory.as_str(), s)).collect();
    for (snapshot, standing) in inventory.snapshots.iter().zip(&decisions.snapshots) {
        let Some((job, _)) = &snapshot.checkpoint else { continue };
        let known = planned.get(snapshot.directory.to_string().as_str()).copied();
        let version = inventory.objects.get(snapshot.metadata).map(Version::of);
        let same = known.is_some_and(|known| version.is_some_and(|version| known.metadata.is(&version)));
        if evidence.stopped.contains_key(job) && !same && *standing != SnapshotStanding::Removed {
            awake.insert(job.clone());
        }
    }
    awake
}
