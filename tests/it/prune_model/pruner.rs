//! Somebody who prunes, tells the truth, and is watched.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use statescope::model::Finding;
use statescope::model::inventory::{Inventory, ObjectTable, RootRole};
use statescope::model::layout::is_job_id;
use statescope::prune::execute::{ApplyOptions, Entry, Outcome, World, apply};
use statescope::prune::{
    Decisions, Evidence, Marks, Plan, Reason, Refusal, Request, RequestRoot, Rule, decide,
};
use statescope::readers::inventory::{InventoryOptions, InventoryProgress, inventory, listing_of};
use statescope::storage::removal::{MemoryRemoval, PartFn, Removal, Removed, RemovedFn, Versioning};
use statescope::storage::{
    AfterKey, Fetched, InFlight, ListScope, Location, Meter, ObjectMeta, Op, PageFn, Result as StorageResult,
    Span, Storage, StorageError, StorageErrorKind,
};

use super::flink::{Kind, MINUTE, Promise, Status, Universe, at};

pub const ONE: InFlight = InFlight::new(1, 1 << 20);

/// A universe that a prune and those who run jobs share.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Universe>>);

impl Shared {
    pub fn new(universe: Universe) -> Self {
        Self(Arc::new(Mutex::new(universe)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Universe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store as whoever prunes reads it: while they do, others go on.
#[derive(Debug)]
struct Racing {
    shared: Shared,
    inner: Arc<statescope::storage::MemoryStorage>,
}

impl Racing {
    fn race(&self) {
        self.shared.lock().race();
    }
}

impl Storage for Racing {
    fn head(&self, location: &Location) -> StorageResult<ObjectMeta> {
        self.race();
        self.inner.head(location)
    }

    fn read(&self, location: &Location, span: &Span) -> StorageResult<Fetched> {
        self.race();
        self.inner.read(location, span)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> StorageResult<()> {
        self.inner.list(directory, scope, &mut |entries| {
            self.race();
            page(entries)
        })
    }

    fn list_after(
        &self,
        directory: &Location,
        after: &str,
        page: &mut PageFn<'_>,
    ) -> StorageResult<AfterKey> {
        self.race();
        self.inner.list_after(directory, after, &mut |entries| {
            self.race();
            page(entries)
        })
    }
}

/// Removes, unless it is wrong or its process has died; others go on meanwhile.
pub struct Watched {
    shared: Shared,
    inner: MemoryRemoval,
    plan: Plan,
    /// After so many objects the process is dead.
    lives: Mutex<u64>,
    /// The answer to this removal is lost.
    unheard: Option<u64>,
    /// What happens at a removal, once: another apply.
    meanwhile: Mutex<Option<Meanwhile>>,
    removed: Mutex<Vec<(Reason, bool)>>,
}

/// Done before the removal of this number.
type Meanwhile = (u64, Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Watched {
    fn one(&self, number: u64, location: &Location) -> StorageResult<Removed> {
        let fail = |kind| Err(StorageError::new(kind, Op::Delete, location.clone()));
        {
            let mut lives = self.lives.lock().unwrap();
            if *lives == 0 {
                return fail(StorageErrorKind::Timeout);
            }
            *lives -= 1;
        }
        let due = self.meanwhile.lock().unwrap().take_if(|(at, _)| *at <= number);
        if let Some((_, other)) = due {
            other();
        }
        let mut universe = self.shared.lock();
        universe.race();
        let candidate = self.plan.candidates.iter().find(|candidate| at(&candidate.url) == *location);
        let Some(candidate) = candidate else {
            universe.violate(format!("{location} goes, and is not in the plan"));
            return fail(StorageErrorKind::Timeout);
        };
        if universe.is_there(location) {
            universe.judge(&self.plan.request, location);
            let live = universe.lives_in(&self.plan.request, location);
            universe.say(format!("prune removes {location} ({:?})", candidate.reason));
            self.removed.lock().unwrap().push((candidate.reason, live));
        }
        let before = universe.storage.changes();
        let mut answer = self.inner.remove_all(std::slice::from_ref(location)).remove(0);
        if universe.storage.changes() > before {
            universe.written.remove(location);
        }
        drop(universe);
        if self.unheard == Some(number) {
            answer = fail(StorageErrorKind::Timeout);
        }
        answer
    }
}

impl Removal for Watched {
    fn remove(&self, locations: &[Location], each: &mut RemovedFn<'_>) {
        for (number, location) in (0u64..).zip(locations) {
            let answer = self.one(number, location);
            if each(usize::try_from(number).unwrap(), answer) == ControlFlow::Break(()) {
                return;
            }
        }
    }

    fn copy(&self, from: &Location, to: &Location) -> StorageResult<ObjectMeta> {
        self.inner.copy(from, to)
    }

    fn write_new(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> StorageResult<ObjectMeta> {
        self.inner.write_new(location, size, part)
    }

    fn put(&self, location: &Location, bytes: Bytes) -> StorageResult<ObjectMeta> {
        self.inner.put(location, bytes)
    }

    fn versioning(&self, root: &Location) -> StorageResult<Versioning> {
        self.inner.versioning(root)
    }
}

impl Universe {
    pub fn violate(&mut self, what: String) {
        self.say(format!("WRONG: {what}"));
        self.violations.push(what);
    }

    /// Whether a directory that holds this belongs to a job that did not end for good. One that began there after the
    /// user had said, truly, that all had ended needs nothing that is as old as what goes.
    fn lives_in(&self, request: &Request, place: &Location) -> bool {
        let stopped = request.stopped.iter().any(|job| place.starts_with(&at(job)));
        !stopped
            && self.jobs.iter().any(|job| {
                let own = place.starts_with(&job.directory)
                    || job.log.as_ref().is_some_and(|log| place.starts_with(log));
                own && job.status != Status::Ended
            })
    }

    /// Judges the removal of an object that is there, by what jobs need and by what a user was promised.
    fn judge(&mut self, request: &Request, place: &Location) {
        let mut wrong: Vec<String> = Vec::new();
        for job in 0..self.jobs.len() {
            if self.needs(job).contains(place) {
                wrong.push(format!("job {job} needs it"));
            }
        }
        for snapshot in &self.snapshots {
            let names = snapshot.pieces.iter().any(|piece| piece.place == *place);
            if names && self.is_whole(snapshot) && self.has(snapshot) {
                wrong.push(format!("the snapshot {} names it", snapshot.directory));
            }
        }
        if self.unknown.contains(place) {
            wrong.push("Flink never writes such a file".to_owned());
        }
        if place.starts_with(&at("s3://b/ha")) {
            wrong.push("it belongs to high availability".to_owned());
        }
        if self.skew.abs() > MINUTE {
            wrong.push("the clocks disagree".to_owned());
        }
        let age = self.now + self.skew - self.written[place];
        if age < i64::try_from(request.min_age_ms).unwrap() {
            wrong.push(format!("it is {age} ms old"));
        }
        if !request.roots_complete {
            wrong.push("not all roots are known".to_owned());
        }
        if self.lives_in(request, place) && request.marks.is_none() {
            wrong.push("its job did not end, and nothing was marked".to_owned());
        }
        let named = request.savepoints.iter().any(|savepoint| place.starts_with(&at(savepoint)));
        if place.starts_with(&at("s3://b/sp")) && !named {
            wrong.push("it is a savepoint's".to_owned());
        }
        if place.file_name() == Some("_metadata") && !named {
            wrong.extend(self.judge_checkpoint(request, place));
        }
        for why in wrong {
            self.violate(format!("prune removes {place}: {why}"));
        }
    }

    /// Judges the removal of a whole checkpoint that nobody holds.
    fn judge_checkpoint(&self, request: &Request, place: &Location) -> Vec<String> {
        let mut wrong = Vec::new();
        if request.keep.is_none() && request.older_than_ms.is_none() {
            wrong.push("nobody asked for whole checkpoints to go".to_owned());
        }
        let directory = place.parent().unwrap();
        let Some(this) = self.snapshots.iter().rfind(|snapshot| snapshot.directory == directory) else {
            wrong.push("no snapshot is known there".to_owned());
            return wrong;
        };
        let job = directory.parent();
        if self.lives_in(request, place) {
            wrong.push("its job did not end for good".to_owned());
        }
        let keep = request.keep.unwrap_or(3).max(request.num_retained.unwrap_or(0)) as usize;
        let others = self.snapshots.iter().filter(|other| {
            other.directory != directory
                && other.directory.parent() == job
                && other.kind == Kind::Checkpoint
                && (self.has(other) || self.looked.contains(&other.directory))
        });
        let others: BTreeMap<_, _> = others.map(|other| (other.directory.clone(), other)).collect();
        let newer = others.values().filter(|other| other.number > this.number).count();
        let later = others.values().filter(|other| other.completed >= this.completed).count();
        if newer < keep || later < keep {
            wrong.push(format!("it is among the newest {keep}: {newer} are newer, {later} later"));
        }
        wrong
    }

    /// Whether all that names files under these roots, or writes there, lies under them.
    pub fn all_under(&self, roots: &[Location]) -> bool {
        let under = |place: &Location| roots.iter().any(|root| place.starts_with(root));
        let snapshots = self.snapshots.iter().all(|snapshot| {
            under(&snapshot.directory)
                || !self.has(snapshot)
                || !snapshot.pieces.iter().any(|piece| under(&piece.place))
        });
        let mut jobs = self.jobs.iter().filter(|job| job.is_alive() && !under(&job.directory));
        snapshots
            && jobs.all(|job| {
                let log = job.log.as_ref().is_some_and(under);
                let held = job.store.iter().any(|&held| {
                    let snapshot = &self.snapshots[held];
                    under(&snapshot.directory) || snapshot.pieces.iter().any(|piece| under(&piece.place))
                });
                let pending = job.pending.as_ref();
                let pending = pending.is_some_and(|p| p.pieces.iter().any(|piece| under(&piece.place)));
                !log && !held && !pending
            })
    }

    /// Whether each job that runs holds snapshots of its own only.
    pub fn restores_done(&self) -> bool {
        let mut jobs = self.jobs.iter().filter(|job| job.is_alive());
        jobs.all(|job| {
            job.store.iter().all(|&held| self.snapshots[held].directory.starts_with(&job.directory))
        })
    }

    /// Directories of jobs that all ended for good.
    pub fn ended(&self) -> BTreeSet<Location> {
        let directories = |job: &super::flink::Job| [Some(job.directory.clone()), job.log.clone()];
        let all = self.jobs.iter().flat_map(directories).flatten();
        let others = self.jobs.iter().filter(|job| job.status != Status::Ended);
        let others: HashSet<Location> = others.flat_map(directories).flatten().collect();
        all.filter(|directory| !others.contains(directory)).collect()
    }
}

/// What is asked for, and said, with nothing in it.
pub fn request(roots: &[(&str, RootRole)]) -> Request {
    let roots = roots.iter().map(|(root, role)| RequestRoot { location: at(root).to_string(), role: *role });
    Request {
        roots: roots.collect(),
        roots_complete: true,
        restores_done: false,
        stopped: Vec::new(),
        rest: Vec::new(),
        keep: None,
        older_than_ms: None,
        min_age_ms: statescope::prune::Policy::DEFAULT_MIN_AGE_MS,
        savepoints: Vec::new(),
        num_retained: None,
        marks: None,
        entropy: None,
        max_share: 100,
    }
}

fn roots_of(request: &Request) -> Vec<(Location, RootRole)> {
    request.roots.iter().map(|root| (at(&root.location), root.role)).collect()
}

/// How an execution goes wrong.
#[derive(Default)]
pub struct Trouble {
    /// The process dies after so many removals.
    pub dies: Option<u64>,
    /// The answer to this removal is lost.
    pub unheard: Option<u64>,
    /// So many writes of the journal are good.
    pub journal: Option<u64>,
    /// Something else is done before a removal.
    pub meanwhile: Option<Meanwhile>,
}

/// Whoever prunes.
#[derive(Debug)]
pub struct Pruner {
    shared: Shared,
    storage: Racing,
    request: Request,
    journal: Option<u64>,
    pub entries: Vec<Entry>,
}

/// What an execution came to.
#[derive(Debug)]
pub struct Applied {
    pub outcome: Result<Outcome, Vec<Refusal>>,
    /// What was removed and why, and whether its job had not ended.
    pub removed: Vec<(Reason, bool)>,
    pub entries: Vec<Entry>,
}

impl Pruner {
    pub fn new(shared: &Shared, request: Request) -> Self {
        let inner = Arc::clone(&shared.lock().storage);
        let storage = Racing { shared: shared.clone(), inner };
        Self { shared: shared.clone(), storage, request, journal: None, entries: Vec::new() }
    }

    /// Lists and decides.
    pub fn look(&mut self) -> (Inventory, Evidence, Decisions) {
        let inventory = self.inventory();
        let evidence = self.evidence(&inventory).unwrap();
        let decisions = decide(&inventory, &evidence, &self.request.policy());
        (inventory, evidence, decisions)
    }

    pub fn plan(&mut self) -> Plan {
        let (inventory, evidence, decisions) = self.look();
        Plan::new(&inventory, &decisions, &evidence, self.request.clone())
    }

    /// Marks what is unreferenced in directories of jobs that may run.
    pub fn mark(&mut self, known: &Marks, grace_ms: u64) -> Marks {
        let (inventory, evidence, decisions) = self.look();
        known.noting(&inventory, &decisions, grace_ms, evidence.now_ms)
    }

    /// Executes a plan.
    pub fn apply(shared: &Shared, plan: &Plan, trouble: Trouble) -> Applied {
        let mut pruner = Self::new(shared, plan.request.clone());
        pruner.journal = trouble.journal;
        let inner = Arc::clone(&shared.lock().storage);
        let watched = Watched {
            shared: shared.clone(),
            inner: MemoryRemoval::new(inner, Arc::new(Meter::new())),
            plan: plan.clone(),
            lives: Mutex::new(trouble.dies.unwrap_or(u64::MAX)),
            unheard: trouble.unheard,
            meanwhile: Mutex::new(trouble.meanwhile),
            removed: Mutex::default(),
        };
        let storage = Racing { shared: shared.clone(), inner: Arc::clone(&pruner.storage.inner) };
        let options = ApplyOptions { in_flight: ONE, ..ApplyOptions::default() };
        let outcome = apply(plan, &storage, &watched, &options, &mut pruner);
        let removed = watched.removed.into_inner().unwrap();
        Applied { outcome, removed, entries: pruner.entries }
    }
}

impl World for Pruner {
    fn now_ms(&self) -> i64 {
        self.shared.lock().now
    }

    fn wait(&self, time: Duration) {
        self.shared.lock().now += i64::try_from(time.as_millis()).unwrap();
    }

    fn inventory(&mut self) -> Inventory {
        let now_ms = self.now_ms();
        let options = InventoryOptions { in_flight: ONE, threads: NonZeroUsize::MIN, now_ms };
        inventory(&self.storage, &roots_of(&self.request), options, &InventoryProgress::default())
    }

    fn listing(&mut self) -> Result<ObjectTable, Refusal> {
        {
            let mut universe = self.shared.lock();
            let there = universe.snapshots.iter().filter(|snapshot| universe.has(snapshot));
            universe.looked = there.map(|snapshot| snapshot.directory.clone()).collect();
        }
        listing_of(&self.storage, &roots_of(&self.request), ONE)
            .map_err(|finding| Refusal::new(Rule::R2, "a root", finding.message, finding.remedy))
    }

    fn evidence(&mut self, inventory: &Inventory) -> Result<Evidence, Refusal> {
        let universe = self.shared.lock();
        let request = &self.request;
        let mut evidence = Evidence {
            now_ms: universe.now,
            roots_complete: request.roots_complete,
            num_retained: request.num_retained,
            ..Evidence::default()
        };
        for job in &request.stopped {
            evidence.stopped.insert(at(job), "the user".to_owned());
        }
        if universe.skew.abs() > MINUTE {
            evidence.against.push(Finding::error("clocks_disagree", "the clocks are apart", "set them"));
        }
        let has_ha = request.roots.iter().any(|root| root.role == RootRole::HighAvailability);
        if !request.rest.is_empty() {
            for job in universe.jobs.iter().filter(|job| job.status == Status::Running) {
                let said = || "a JobManager".to_owned();
                evidence.running.insert(job.directory.clone(), said());
                for directory in inventory.objects.directories() {
                    let mut above = Some(directory.clone());
                    while let Some(place) = above {
                        above = place.parent();
                        if place.file_name().is_some_and(|name| is_job_id(name) && name == job.id) {
                            evidence.running.insert(place, said());
                        }
                    }
                }
                let held = job.told_restored.iter().chain(job.store.last());
                evidence
                    .pinned
                    .extend(held.map(|&held| (universe.snapshots[held].directory.clone(), said())));
            }
        }
        evidence.restores_known = request.restores_done || (has_ha && !request.rest.is_empty());
        drop(universe);
        if let Some(marks) = &request.marks {
            let decisions = decide(inventory, &evidence, &request.policy());
            evidence.long_unreferenced = marks.ripe(inventory, &decisions, evidence.now_ms);
        }
        Ok(evidence)
    }

    fn journal(&mut self, entries: &[Entry]) -> io::Result<()> {
        if let Some(left) = &mut self.journal {
            if *left == 0 {
                return Err(io::Error::other("the disk is full"));
            }
            *left -= 1;
        }
        self.entries.extend_from_slice(entries);
        Ok(())
    }

    fn interrupted(&self) -> bool {
        false
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

/// What nobody may do while a plan waits.
pub fn promise(request: &Request, plan: &Plan) -> Promise {
    let roots = request.roots.iter().map(|root| at(&root.location)).collect();
    let doomed = plan.snapshots.iter().filter(|s| s.kept.is_none()).map(|s| at(&s.directory));
    Promise { roots: request.roots_complete.then_some(roots), doomed: doomed.collect() }
}
