//! Flink, as far as it writes, names and deletes files: written from its behaviour, and from nothing that prunes.
//!
//! * `CheckpointCoordinator`: uploads come first, `_metadata` last; a checkpoint that takes too long is aborted, and what it
//!   uploaded may stay behind.
//! * `CompletedCheckpointStore`: so many checkpoints are retained; what a job was restored from is the first of them in every
//!   mode. On recovery a JobManager with high availability needs them all (FLINK-22502).
//! * `SharedStateRegistry`: a shared file goes with the last checkpoint in the store that names it, if the job owns it.
//! * Restore modes: CLAIM owns the source; NO_CLAIM makes a full checkpoint first; LEGACY names files that it never owns.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use statescope::storage::removal::{MemoryRemoval, Removal};
use statescope::storage::{Location, MemoryStorage, Meter, Storage};
use statescope_formats::flink::metadata::Metadata;

use super::super::live::snapshot::metadata_writer::Out;
use super::super::support::{Dice, fixture};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A checkpoint that takes longer is aborted (`execution.checkpointing.timeout`).
const TIMEOUT: i64 = 12 * HOUR;

/// When every history begins.
const BEGIN: i64 = 1_700_000_000_000;

pub fn at(text: &str) -> Location {
    Location::parse(text).unwrap()
}

/// How a file is named in `_metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Whole,
    /// By its last name only.
    Relative,
    /// A part of a merged file, from an offset on.
    Segment(u64),
    /// State changes.
    Changes,
}

/// A file that a snapshot names.
#[derive(Debug, Clone)]
pub struct Piece {
    pub place: Location,
    pub how: How,
    /// Whether later checkpoints may name it again.
    pub shared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Checkpoint,
    Canonical,
    Native,
}

/// A snapshot that was completed.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub directory: Location,
    pub number: i64,
    pub kind: Kind,
    pub pieces: Vec<Piece>,
    pub completed: i64,
    /// Whether another lies in its directory since.
    pub replaced: bool,
}

impl Snapshot {
    pub fn metadata(&self) -> Location {
        self.directory.join_exact("_metadata").unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Claim,
    NoClaim,
    Legacy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Incremental,
    Merging,
    Changelog,
    ForSt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Running,
    /// No JobManager runs, and one that comes recovers the job from high availability.
    Suspended,
    /// Finished, cancelled or failed for good.
    Ended,
    /// Its JobManager is gone, and nothing remembers the job. Nobody would say that it ended.
    Lost,
}

/// A checkpoint that is being written.
#[derive(Debug, Clone)]
pub struct Pending {
    pub number: i64,
    pub directory: Location,
    pub pieces: Vec<Piece>,
    /// What was uploaded for it.
    pub written: Vec<Location>,
    pub deadline: i64,
}

#[derive(Debug, Clone)]
pub struct Job {
    pub id: String,
    pub directory: Location,
    pub style: Style,
    pub retained: usize,
    /// The directory of its cluster in the storage of high availability.
    pub ha: Option<Location>,
    /// Where its state changes lie.
    pub log: Option<Location>,
    pub status: Status,
    pub next: i64,
    /// What it holds, oldest first.
    pub store: Vec<usize>,
    pub restored: Option<(usize, Mode)>,
    /// The restore that is told by REST: the last since its JobManager came up.
    pub told_restored: Option<usize>,
    /// Whether the next checkpoint must not use files of those before.
    pub full: bool,
    pub pending: Option<Pending>,
    /// Uploaded for checkpoints to come.
    pub early: Vec<Location>,
    /// Files that more is appended to.
    pub open: Vec<Location>,
    pub attempt: u32,
    pub working: Vec<Location>,
    /// Files that it never deletes.
    pub foreign: HashSet<Location>,
    pointers: HashMap<usize, Location>,
    pub completions: u32,
}

impl Job {
    /// Whether it may need anything.
    pub fn is_alive(&self) -> bool {
        matches!(self.status, Status::Running | Status::Suspended)
    }
}

/// What to give a new job.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub directory: Location,
    pub id: String,
    pub style: Style,
    pub retained: usize,
    pub ha: bool,
}

impl NewJob {
    /// A plain one, in `ROOT/ID`.
    pub fn in_root(root: &str, id: u32) -> Self {
        let id = format!("{id:032x}");
        let directory = at(&format!("{root}/{id}"));
        Self { directory, id, style: Style::Incremental, retained: 1, ha: false }
    }
    pub fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
    pub fn retained(mut self, retained: usize) -> Self {
        self.retained = retained;
        self
    }
    pub fn ha(mut self) -> Self {
        self.ha = true;
        self
    }
}

/// What whoever prunes promised until the plan is executed or given up.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// Roots that all jobs lie under.
    pub roots: Option<Vec<Location>>,
    /// Snapshots that nobody restores from, since they are to go.
    pub doomed: BTreeSet<Location>,
}

/// Everything there is.
#[derive(Debug)]
pub struct Universe {
    pub storage: Arc<MemoryStorage>,
    removal: MemoryRemoval,
    pub now: i64,
    /// How far the store's clock is ahead, in milliseconds.
    pub skew: i64,
    pub dice: Dice,
    pub jobs: Vec<Job>,
    pub snapshots: Vec<Snapshot>,
    /// What Flink or its user deleted.
    pub gone: HashSet<Location>,
    /// Files that nobody knows.
    pub unknown: HashSet<Location>,
    pub promises: Vec<Promise>,
    pub log: Vec<String>,
    pub violations: Vec<String>,
    files: u64,
    /// What is in the store, and when it was written by the store's clock.
    pub written: HashMap<Location, i64>,
    /// Whether JobManagers die while they delete.
    pub frail: bool,
    /// Whether anything happens while a prune works.
    pub racing: bool,
    /// The snapshots that were there when an apply last listed everything: more it cannot know.
    pub looked: HashSet<Location>,
}

impl Universe {
    pub fn new(seed: u64) -> Self {
        let storage = Arc::new(MemoryStorage::new().with_page_size(7));
        let removal = MemoryRemoval::new(Arc::clone(&storage), Arc::new(Meter::new()));
        Self {
            storage,
            removal,
            now: BEGIN,
            skew: 0,
            dice: Dice::new(seed),
            jobs: Vec::new(),
            snapshots: Vec::new(),
            gone: HashSet::new(),
            unknown: HashSet::new(),
            promises: Vec::new(),
            log: Vec::new(),
            violations: Vec::new(),
            files: seed << 20,
            written: HashMap::new(),
            frail: false,
            racing: false,
            looked: HashSet::new(),
        }
    }

    pub fn say(&mut self, what: String) {
        let hours = (self.now - BEGIN) / HOUR;
        let minutes = (self.now - BEGIN) % HOUR / MINUTE;
        self.log.push(format!("{hours:>5}:{minutes:02} {what}"));
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.dice.below(100) < percent
    }

    /// Whether an object is there, without a request to the store.
    pub fn is_there(&self, place: &Location) -> bool {
        self.written.contains_key(place)
    }

    fn name(&mut self) -> String {
        self.files += 1;
        let (a, b) = (self.files.wrapping_mul(0x9e37_79b9_7f4a_7c15), self.files);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }

    pub fn put(&mut self, place: &Location, bytes: Vec<u8>) {
        let time = self.now + self.skew;
        self.storage.put_modified(place, bytes, Some(time));
        self.written.insert(place.clone(), time);
    }

    fn write(&mut self, directory: &Location) -> Location {
        let name = self.name();
        let place = directory.join_exact(&name).unwrap();
        let bytes = name.repeat(1 + self.dice.below(5));
        self.put(&place, bytes.into_bytes());
        place
    }

    /// Flink deletes a file.
    pub fn delete(&mut self, place: &Location) {
        let _ = self.removal.remove_all(std::slice::from_ref(place));
        self.written.remove(place);
        self.gone.insert(place.clone());
    }

    /// Time passes. Checkpoints that take too long end.
    pub fn pass(&mut self, time: i64) {
        self.now += time;
        for job in 0..self.jobs.len() {
            if self.jobs[job].pending.as_ref().is_some_and(|pending| pending.deadline < self.now) {
                let cleanup = self.chance(40);
                self.abort(job, cleanup);
            }
        }
    }

    /// Whether a snapshot's `_metadata` is there.
    pub fn has(&self, snapshot: &Snapshot) -> bool {
        !snapshot.replaced && self.is_there(&snapshot.metadata())
    }

    /// Writes a snapshot's `_metadata` again, with one more file in it.
    pub fn name_also(&mut self, snapshot: usize, place: Location) {
        self.snapshots[snapshot].pieces.push(Piece { place, how: How::Whole, shared: true });
        let snapshot = self.snapshots[snapshot].clone();
        self.put(&snapshot.metadata(), metadata(&snapshot));
    }

    /// A snapshot is where another may have been.
    fn know(&mut self, snapshot: Snapshot) {
        for before in &mut self.snapshots {
            before.replaced |= before.directory == snapshot.directory;
        }
        self.snapshots.push(snapshot);
    }

    /// Whether a snapshot can be restored, as far as only Flink touched it.
    pub fn is_whole(&self, snapshot: &Snapshot) -> bool {
        !snapshot.replaced
            && !self.gone.contains(&snapshot.metadata())
            && snapshot.pieces.iter().all(|piece| !self.gone.contains(&piece.place))
    }

    pub fn start(&mut self, new: &NewJob) -> usize {
        let ha = new.ha.then(|| at(&format!("s3://b/ha/cluster-{}", self.jobs.len())));
        let log = (new.style == Style::Changelog).then(|| at(&format!("s3://b/log/{}", new.id)));
        let job = self.jobs.len();
        self.say(format!(
            "job {job} starts in {} ({:?}, retains {}{})",
            new.directory,
            new.style,
            new.retained,
            if new.ha { ", HA" } else { "" }
        ));
        self.jobs.push(Job {
            id: new.id.clone(),
            directory: new.directory.clone(),
            style: new.style,
            retained: new.retained,
            ha,
            log,
            status: Status::Running,
            next: 1,
            store: Vec::new(),
            restored: None,
            told_restored: None,
            full: false,
            pending: None,
            early: Vec::new(),
            open: Vec::new(),
            attempt: 0,
            working: Vec::new(),
            foreign: HashSet::new(),
            pointers: HashMap::new(),
            completions: 0,
        });
        job
    }

    /// A new job begins with what another left.
    pub fn restore(&mut self, new: &NewJob, source: usize, mode: Mode) -> usize {
        let job = self.start(new);
        let snapshot = self.snapshots[source].clone();
        self.say(format!("job {job} is restored from {} ({mode:?})", snapshot.directory));
        self.demand(&snapshot, "a restore");
        let new = &mut self.jobs[job];
        new.restored = Some((source, mode));
        new.told_restored = Some(source);
        new.next = snapshot.number + 1;
        new.full = mode == Mode::NoClaim;
        if mode != Mode::Claim {
            new.foreign = snapshot.pieces.iter().map(|piece| piece.place.clone()).collect();
        }
        new.store.push(source);
        self.point(job, source);
        job
    }

    /// All files of a snapshot are there, but for what Flink itself deleted.
    pub fn demand(&mut self, snapshot: &Snapshot, by: &str) {
        let places = snapshot.pieces.iter().map(|piece| piece.place.clone()).chain([snapshot.metadata()]);
        for place in places {
            self.demand_file(&place, by);
        }
    }

    fn demand_file(&mut self, place: &Location, by: &str) {
        if !self.gone.contains(place) && self.storage.head(place).is_err() {
            let what = format!("{by} needs {place}, which is gone");
            self.say(what.clone());
            self.violations.push(what);
        }
    }

    /// Everything that is needed is there.
    pub fn demand_all(&mut self) {
        for snapshot in self.snapshots.clone() {
            if self.has(&snapshot) {
                self.demand(&snapshot, &format!("the snapshot {}", snapshot.directory));
            }
        }
        for job in 0..self.jobs.len() {
            for place in self.needs(job) {
                self.demand_file(&place, &format!("job {job}"));
            }
        }
    }

    /// What a job cannot do without.
    pub fn needs(&self, job: usize) -> HashSet<Location> {
        let this = &self.jobs[job];
        let mut needs = HashSet::new();
        if !this.is_alive() {
            return needs;
        }
        let all = if this.ha.is_some() { 0 } else { this.store.len().saturating_sub(1) };
        for &held in this.store.iter().skip(all) {
            let snapshot = &self.snapshots[held];
            if self.is_whole(snapshot) {
                needs.insert(snapshot.metadata());
                needs.extend(snapshot.pieces.iter().map(|piece| piece.place.clone()));
            }
        }
        if let Some(pending) = &this.pending {
            needs.extend(pending.pieces.iter().map(|piece| piece.place.clone()));
            needs.extend(pending.written.iter().cloned());
        }
        for places in [&this.early, &this.open, &this.working] {
            needs.extend(places.iter().cloned());
        }
        needs.extend(this.pointers.values().cloned());
        needs.retain(|place| !self.gone.contains(place));
        needs
    }

    /// Uploads begin.
    pub fn trigger(&mut self, job: usize) {
        if self.jobs[job].status != Status::Running || self.jobs[job].pending.is_some() {
            return;
        }
        let this = &mut self.jobs[job];
        let number = this.next;
        this.next += 1;
        let directory = this.directory.join_exact(&format!("chk-{number}")).unwrap();
        let base = this.store.last().filter(|_| !this.full).copied();
        let keeps_all = this.style == Style::Changelog;
        let mut pieces = Vec::new();
        for piece in base.map(|base| self.snapshots[base].pieces.clone()).unwrap_or_default() {
            if piece.shared && (keeps_all && piece.how == How::Changes || self.chance(70)) {
                // A relative path of another directory leads nowhere, but that is what Flink writes (FLINK-39964).
                let relative = piece.how == How::Relative && self.chance(50);
                let how = match piece.how {
                    How::Relative if !relative => How::Whole,
                    how => how,
                };
                pieces.push(Piece { how, ..piece });
            }
        }
        let deadline = self.now + TIMEOUT;
        self.jobs[job].pending = Some(Pending { number, directory, pieces, written: Vec::new(), deadline });
        self.upload(job);
        self.say(format!("job {job} triggers checkpoint {number}"));
    }

    fn add(&mut self, job: usize, place: Location, how: How, shared: bool) {
        if let Some(pending) = &mut self.jobs[job].pending {
            if !matches!(how, How::Segment(_)) {
                pending.written.push(place.clone());
            }
            pending.pieces.push(Piece { place, how, shared });
        }
    }

    /// A file is uploaded for the checkpoint that is being written.
    pub fn upload(&mut self, job: usize) {
        let this = self.jobs[job].clone();
        let Some(pending) = &this.pending else { return };
        if self.chance(25) {
            let place = self.write(&pending.directory);
            let how = if self.chance(50) { How::Relative } else { How::Whole };
            self.add(job, place, how, false);
            return;
        }
        let shared = this.directory.join_exact("shared").unwrap();
        match this.style {
            Style::Incremental => {
                let place = self.write(&shared);
                self.add(job, place, How::Whole, true);
            }
            Style::Changelog => {
                if self.chance(30) {
                    let place = self.write(&shared);
                    self.add(job, place, How::Whole, true);
                } else {
                    self.early(job);
                }
            }
            Style::Merging => {
                let place = match this.open.last().filter(|_| self.dice.below(3) > 0) {
                    Some(open) => {
                        let old =
                            self.storage.read_all(open, 1 << 20).map(|b| b.to_vec()).unwrap_or_default();
                        if self.gone.contains(open) || old.is_empty() {
                            return;
                        }
                        let start = old.len() as u64;
                        self.put(open, [old, b"another segment".to_vec()].concat());
                        (open.clone(), start)
                    }
                    None => {
                        let subtask = self.dice.below(2);
                        let name = format!("job_{}_op_{:032x}_{subtask}_2", this.id, 7);
                        let place = self.write(&shared.join_exact(&name).unwrap());
                        self.jobs[job].open = vec![place.clone()];
                        (place, 0)
                    }
                };
                self.add(job, place.0.clone(), How::Segment(place.1), true);
                self.add(job, place.0, How::Segment(place.1 + 3), true);
            }
            Style::ForSt => {
                let place = self.work(job);
                self.add(job, place, How::Whole, true);
            }
        }
    }

    /// State changes are uploaded that no checkpoint names yet.
    pub fn early(&mut self, job: usize) {
        if let Some(log) = self.jobs[job].log.clone() {
            let place = self.write(&log.join_exact("dstl").unwrap());
            self.jobs[job].early.push(place);
        }
    }

    /// The database writes a file in its working directory.
    fn work(&mut self, job: usize) -> Location {
        let this = &self.jobs[job];
        let name = format!("shared/op_Keyed_{:032x}__1_2__attempt_{}/db", 9, this.attempt);
        let directory = this.directory.join_exact(&name).unwrap();
        let place = self.write(&directory);
        self.jobs[job].working.push(place.clone());
        place
    }

    /// What happens in a running job besides checkpoints.
    pub fn run(&mut self, job: usize) {
        if self.jobs[job].status != Status::Running {
            return;
        }
        match self.jobs[job].style {
            Style::Changelog => self.early(job),
            Style::ForSt => drop(self.work(job)),
            _ => {}
        }
    }

    /// The checkpoint that is being written is given up.
    pub fn abort(&mut self, job: usize, cleanup: bool) {
        let Some(pending) = self.jobs[job].pending.take() else { return };
        self.say(format!(
            "job {job} aborts checkpoint {}{}",
            pending.number,
            if cleanup { "" } else { " and leaves its files" }
        ));
        if cleanup {
            let working = self.jobs[job].working.clone();
            for place in pending.written.iter().filter(|place| !working.contains(place)) {
                self.delete(place);
            }
        } else if self.chance(30) {
            let name = format!("._metadata.inprogress.{}", self.name());
            let place = pending.directory.join_exact(&name).unwrap();
            self.put(&place, b"not all".to_vec());
        }
    }

    /// All uploads are done: the checkpoint is completed, and the oldest ones are subsumed.
    pub fn complete(&mut self, job: usize) -> Option<usize> {
        if self.jobs[job].status != Status::Running {
            return None;
        }
        let pending = self.jobs[job].pending.clone()?;
        let metadata = pending.directory.join_exact("_metadata").unwrap();
        if self.is_there(&metadata) {
            // "Target file … already exists."
            self.abort(job, false);
            return None;
        }
        let mut pending = self.jobs[job].pending.take()?;
        let changes = std::mem::take(&mut self.jobs[job].early);
        let changes = changes.into_iter().map(|place| Piece { place, how: How::Changes, shared: true });
        pending.pieces.extend(changes);
        let snapshot = Snapshot {
            directory: pending.directory,
            number: pending.number,
            kind: Kind::Checkpoint,
            pieces: pending.pieces,
            completed: self.now,
            replaced: false,
        };
        self.gone.remove(&metadata);
        self.finish(snapshot.clone());
        let at = self.snapshots.len() - 1;
        self.demand(&snapshot, "a checkpoint that is completed");
        self.say(format!("job {job} completes checkpoint {}", snapshot.number));
        let this = &mut self.jobs[job];
        this.full = false;
        this.completions += 1;
        this.store.push(at);
        self.point(job, at);
        while self.jobs[job].store.len() > self.jobs[job].retained {
            let oldest = self.jobs[job].store.remove(0);
            self.subsume(job, oldest);
        }
        Some(at)
    }

    fn finish(&mut self, snapshot: Snapshot) {
        let bytes = metadata(&snapshot);
        self.put(&snapshot.metadata(), bytes);
        self.know(snapshot);
    }

    /// A checkpoint falls out of the store.
    fn subsume(&mut self, job: usize, oldest: usize) {
        if let Some(pointer) = self.jobs[job].pointers.remove(&oldest) {
            self.delete(&pointer);
        }
        let crash = if self.frail && self.chance(7) { self.dice.below(4) } else { usize::MAX };
        self.discard(job, oldest, crash);
        if crash != usize::MAX {
            self.crash(job);
        }
    }

    /// Deletes what only this checkpoint needs, up to so many files.
    fn discard(&mut self, job: usize, oldest: usize, most: usize) {
        let this = &self.jobs[job];
        if this.restored.is_some_and(|(source, mode)| source == oldest && mode != Mode::Claim) {
            return;
        }
        let snapshot = self.snapshots[oldest].clone();
        let mut used: HashSet<Location> = this.foreign.clone();
        for &held in &this.store {
            used.extend(self.snapshots[held].pieces.iter().map(|piece| piece.place.clone()));
        }
        if let Some(pending) = &this.pending {
            used.extend(pending.pieces.iter().map(|piece| piece.place.clone()));
        }
        for places in [&this.open, &this.working, &this.early] {
            used.extend(places.iter().cloned());
        }
        let places = snapshot.pieces.iter().map(|piece| piece.place.clone());
        let mut doomed: Vec<Location> = vec![snapshot.metadata()];
        doomed.extend(places.filter(|place| !used.contains(place)));
        doomed.dedup();
        for place in doomed.iter().take(most) {
            self.delete(place);
        }
        self.say(format!("job {job} discards {}", snapshot.directory));
    }

    /// High availability remembers a checkpoint.
    fn point(&mut self, job: usize, snapshot: usize) {
        let Some(ha) = self.jobs[job].ha.clone() else { return };
        self.files += 1;
        let place = ha.join_exact(&format!("completedCheckpoint{:012x}", self.files)).unwrap();
        let bytes = pointer(&self.snapshots[snapshot].directory);
        self.put(&place, bytes);
        self.jobs[job].pointers.insert(snapshot, place);
    }

    /// The JobManager dies.
    pub fn crash(&mut self, job: usize) {
        if self.jobs[job].status != Status::Running {
            return;
        }
        let ha = self.jobs[job].ha.is_some();
        self.say(format!("the JobManager of job {job} dies"));
        self.abort(job, false);
        let this = &mut self.jobs[job];
        this.status = if ha { Status::Suspended } else { Status::Lost };
        this.early.clear();
        this.open.clear();
        this.working.clear();
    }

    /// Tasks fail and begin again with the newest checkpoint.
    pub fn restart(&mut self, job: usize) {
        if self.jobs[job].status != Status::Running {
            return;
        }
        self.say(format!("tasks of job {job} restart"));
        self.abort(job, false);
        let newest = self.jobs[job].store.last().copied();
        let this = &mut self.jobs[job];
        this.attempt += 1;
        this.early.clear();
        this.open.clear();
        this.working.clear();
        this.told_restored = newest;
        if let Some(newest) = newest {
            let snapshot = self.snapshots[newest].clone();
            if self.is_whole(&snapshot) {
                self.demand(&snapshot, "a restart");
            }
        }
    }

    /// Another JobManager takes over: it needs all that high availability names.
    pub fn recover(&mut self, job: usize) {
        if self.jobs[job].status != Status::Suspended {
            return;
        }
        self.say(format!("job {job} is recovered"));
        for held in self.jobs[job].store.clone() {
            let snapshot = self.snapshots[held].clone();
            if self.is_whole(&snapshot) {
                self.demand(&snapshot, "a recovery");
            }
        }
        self.jobs[job].status = Status::Running;
        self.restart(job);
    }

    /// A job ends for good.
    pub fn end(&mut self, job: usize, retain: bool) {
        if !self.jobs[job].is_alive() {
            return;
        }
        let cleanup = self.chance(50);
        self.abort(job, cleanup);
        self.say(format!("job {job} ends{}", if retain { "" } else { ", and discards its checkpoints" }));
        let store = std::mem::take(&mut self.jobs[job].store);
        let this = &mut self.jobs[job];
        this.status = Status::Ended;
        this.early.clear();
        this.open.clear();
        this.working.clear();
        let pointers: Vec<_> = std::mem::take(&mut this.pointers).into_values().collect();
        for pointer in pointers {
            if self.chance(95) {
                self.delete(&pointer);
            }
        }
        if !retain {
            for held in store {
                if self.snapshots[held].kind == Kind::Checkpoint {
                    self.discard(job, held, usize::MAX);
                }
            }
        }
    }

    /// A savepoint is made; or all of it but `_metadata`.
    pub fn savepoint(&mut self, job: usize, kind: Kind, whole: bool) -> Option<usize> {
        if self.jobs[job].status != Status::Running {
            return None;
        }
        let name = self.name();
        let directory = at(&format!("s3://b/sp/savepoint-{}-{}", &self.jobs[job].id[..6], &name[24..]));
        let number = self.jobs[job].next;
        self.jobs[job].next += 1;
        let mut pieces = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let place = self.write(&directory);
            pieces.push(Piece { place, how: How::Relative, shared: kind == Kind::Native });
        }
        self.say(format!(
            "job {job} makes the savepoint {directory} ({kind:?}){}",
            if whole { "" } else { ", but for its _metadata" }
        ));
        if !whole {
            return None;
        }
        self.finish(Snapshot { directory, number, kind, pieces, completed: self.now, replaced: false });
        Some(self.snapshots.len() - 1)
    }

    /// All that lies in a job's directory is copied under another prefix.
    pub fn copy(&mut self, job: usize) {
        let from = self.jobs[job].directory.clone();
        let to = at(&format!("s3://b/copy/{}-{}", self.log.len(), from.file_name().unwrap()));
        let to = to.join_exact(&self.jobs[job].id).unwrap();
        self.say(format!("{from} is copied to {to}"));
        let Ok(entries) = self.storage.list_all(&from, statescope::storage::ListScope::Recursive) else {
            return;
        };
        for entry in entries {
            if let statescope::storage::ListEntry::Object(place, _) = entry {
                let bytes = self.storage.read_all(&place, 1 << 20).unwrap();
                let place = place.relocate(&from, &to).unwrap();
                self.put(&place, bytes.to_vec());
            }
        }
        let copied = self.snapshots.iter().filter(|s| s.directory.starts_with(&from) && self.has(s));
        let copied: Vec<Snapshot> = copied
            .map(|snapshot| {
                let directory = snapshot.directory.relocate(&from, &to).unwrap();
                let mut copy = Snapshot { directory, ..snapshot.clone() };
                for piece in &mut copy.pieces {
                    if piece.how == How::Relative
                        && let Some(name) = piece.place.file_name()
                    {
                        // Where it leads from the copy; nothing may be there.
                        piece.place = copy.directory.join_exact(name).unwrap();
                    }
                }
                copy
            })
            .collect();
        for copy in copied {
            for piece in &copy.pieces {
                if !self.is_there(&piece.place) {
                    self.gone.insert(piece.place.clone());
                }
            }
            self.know(copy);
        }
    }

    /// Somebody leaves something where Flink's files lie.
    pub fn litter(&mut self, job: usize) {
        let directory = self.jobs[job].directory.clone();
        let name =
            ["shared/notes.txt", "chk-1/part-0.parquet", "other/x", "shared/more/y"][self.dice.below(4)];
        let place = directory.join_exact(name).unwrap();
        self.put(&place, b"mine".to_vec());
        self.unknown.insert(place);
    }

    /// What happened.
    pub fn history(&self) -> String {
        let mut text = String::new();
        for line in &self.log {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// The properties at the end of a real `_metadata`.
fn properties(name: &str) -> Vec<u8> {
    let file = fixture(name).files().into_iter().find(|(path, _)| path.ends_with("/_metadata")).unwrap();
    Metadata::decode(&file.1).unwrap().properties.unwrap().1.to_vec()
}

static PROPERTIES: LazyLock<[Vec<u8>; 3]> =
    LazyLock::new(|| ["inc-2.3", "savepoint-canonical-2.3", "savepoint-native-2.3"].map(properties));

/// The bytes of a snapshot's `_metadata`.
fn metadata(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = Out::default();
    out.header(6, snapshot.number, 1);
    out.operator(6, "operator", "uid", [7; 16], 2, 128).null().count(2);
    for subtask in 0..2 {
        out.count(subtask);
        out.i32(0).i32(0);
        let mine: Vec<&Piece> = snapshot.pieces.iter().skip(subtask).step_by(2).collect();
        let (first, count) = if subtask == 0 { (0, 64) } else { (64, 64) };
        let changes: Vec<&Piece> = mine.iter().filter(|piece| piece.how == How::Changes).copied().collect();
        let files: Vec<&Piece> = mine.iter().filter(|piece| piece.how != How::Changes).copied().collect();
        if !changes.is_empty() {
            out.u8(14).i32(first).i32(count).i64(7).count(1);
        }
        out.incremental_head(snapshot.number, first, count, 77).byte_stream("inlined", b"meta");
        for shared in [true, false] {
            let list: Vec<_> = files.iter().filter(|piece| piece.shared == shared).collect();
            out.count(list.len());
            for (at, piece) in list.into_iter().enumerate() {
                out.utf(&format!("{at:06}.sst"));
                match piece.how {
                    How::Relative => out.relative(piece.place.file_name().unwrap(), 9),
                    How::Segment(start) => out.segment(&piece.place.to_string(), start.cast_signed(), 3, 1),
                    How::Whole | How::Changes => out.file(&piece.place.to_string(), 9),
                };
            }
        }
        out.utf("handle");
        if !changes.is_empty() {
            out.count(1).u8(13).i32(first).i32(count).count(changes.len());
            for piece in changes {
                out.i64(0).file(&piece.place.to_string(), 9);
            }
            out.i64(1).i64(1).utf("changes").utf("filesystem");
            out.i64(1).i64(snapshot.number).utf("changelog");
        }
        out.null().i32(0).i32(0);
    }
    out.raw(&PROPERTIES[snapshot.kind as usize]);
    out.0
}

/// The bytes of `completedCheckpoint…` for a snapshot: a real one, of which all paths are exchanged.
fn pointer(directory: &Location) -> Vec<u8> {
    static REAL: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden/ha/unaligned-1.20");
        let truth = fs::read_to_string(file.with_extension("20.json")).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let real = truth["external_pointer"].as_str().unwrap().to_owned();
        (fs::read(file.with_extension("20.checkpoint")).unwrap(), real)
    });
    let (bytes, old) = &*REAL;
    let new = directory.to_string();
    let mut out: Vec<u8> = Vec::new();
    let mut rest = &bytes[..];
    while let Some(found) = rest.windows(old.len()).position(|window| window == old.as_bytes()) {
        let length = usize::from(u16::from_be_bytes([rest[found - 2], rest[found - 1]]));
        out.extend(&rest[..found - 2]);
        let text = length - old.len() + new.len();
        out.extend(u16::try_from(text).unwrap().to_be_bytes());
        out.extend(new.as_bytes());
        rest = &rest[found + old.len()..];
    }
    out.extend(rest);
    out
}
