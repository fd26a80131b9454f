//! Random histories: jobs come and go, and somebody prunes at any moment.

use std::collections::BTreeMap;

use statescope::model::inventory::RootRole;
use statescope::prune::{Marks, Orphan, Plan, Reason, Request};
use statescope::storage::Location;

use super::flink::{DAY, HOUR, Job, Kind, MINUTE, Mode, NewJob, Status, Style, Universe, at};
use super::pruner::{Pruner, Shared, Trouble, promise, request};

/// How often something happened.
pub type Counts = BTreeMap<String, u64>;

/// Where jobs keep their checkpoints.
const ROOTS: [&str; 2] = ["s3://b/flink", "s3://b/other"];

/// A root without the level of job ids.
const FLAT: &str = "s3://b/flat";

impl Universe {
    /// Something may happen while a prune works.
    pub fn race(&mut self) {
        if self.racing && self.chance(5) {
            let time = MINUTE / 30 + self.dice.below(MINUTE as usize / 4) as i64;
            self.pass(time);
            self.step(true);
        }
    }

    /// A job, if there is one like this.
    fn some_job(&mut self, like: impl Fn(&Job) -> bool) -> Option<usize> {
        let jobs: Vec<usize> = (0..self.jobs.len()).filter(|&job| like(&self.jobs[job])).collect();
        if jobs.is_empty() { None } else { Some(jobs[self.dice.below(jobs.len())]) }
    }

    fn new_job(&mut self) -> Option<NewJob> {
        let root = ROOTS[self.dice.below(ROOTS.len())];
        let style = [Style::Incremental, Style::Incremental, Style::Merging, Style::Changelog, Style::ForSt]
            [self.dice.below(5)];
        let old = self.some_job(|_| true).map(|job| self.jobs[job].id.clone());
        let id = match self.dice.below(6) {
            0 => "0".repeat(32),
            1 => old.unwrap_or_else(|| "f".repeat(32)),
            _ => format!("{:032x}", 0x1234_5678_9abc_u64 + self.jobs.len() as u64),
        };
        let directory = if self.chance(8) { at(FLAT) } else { at(root).join_exact(&id).unwrap() };
        // One cluster at a time writes to a directory.
        if self.jobs.iter().any(|job| job.is_alive() && job.directory == directory) {
            return None;
        }
        if self
            .promises
            .iter()
            .filter_map(|promise| promise.roots.as_ref())
            .any(|roots| !roots.iter().any(|root| directory.starts_with(root)))
        {
            return None;
        }
        let (retained, ha) = (1 + self.dice.below(3), self.chance(40));
        Some(NewJob { directory, id, style, retained, ha })
    }

    /// A snapshot that can be restored, and how.
    fn source(&mut self) -> Option<(usize, Mode)> {
        let doomed = |place: &Location| self.promises.iter().any(|promise| promise.doomed.contains(place));
        let found: Vec<usize> = (0..self.snapshots.len())
            .filter(|&at| {
                let snapshot = &self.snapshots[at];
                let relative = |piece: &super::flink::Piece| {
                    piece.how == super::flink::How::Relative && !piece.place.starts_with(&snapshot.directory)
                };
                !doomed(&snapshot.directory)
                    && self.has(snapshot)
                    && self.is_whole(snapshot)
                    && !snapshot.pieces.iter().any(relative)
            })
            .collect();
        if found.is_empty() {
            return None;
        }
        let source = found[self.dice.below(found.len())];
        let mode = [Mode::Claim, Mode::Claim, Mode::NoClaim, Mode::Legacy][self.dice.below(4)];
        // Nobody claims what another job holds, or copies: that job would lose it. Nor does anybody rely on what the job
        // that owns it deletes as soon as it is subsumed.
        let this = &self.snapshots[source];
        let shares = |other: usize| {
            other == source
                || self.snapshots[other].pieces.iter().any(|a| this.pieces.iter().any(|b| a.place == b.place))
        };
        let used = self.jobs.iter().any(|job| {
            job.is_alive()
                && (job.store.iter().any(|&held| shares(held))
                    || this.directory.starts_with(&job.directory)
                    || this.pieces.iter().any(|piece| job.foreign.contains(&piece.place)))
        });
        let mode = match mode {
            Mode::Claim if used || this.directory.starts_with(&at("s3://b/copy")) => Mode::NoClaim,
            Mode::Legacy if used => Mode::NoClaim,
            mode => mode,
        };
        Some((source, mode))
    }

    /// One thing happens. While a prune works, only what takes no long time.
    pub fn step(&mut self, small: bool) {
        if !small {
            let time = match self.dice.below(6) {
                0 => DAY + self.dice.below(3 * DAY as usize) as i64,
                1 | 2 => self.dice.below(8 * HOUR as usize) as i64,
                _ => self.dice.below(HOUR as usize) as i64,
            };
            self.pass(time);
        }
        let running = self.some_job(|job| job.status == Status::Running);
        match (self.dice.below(100), running) {
            (0..=9, _) | (_, None) => {
                let source = if self.chance(70) { self.source() } else { None };
                let Some(new) = self.new_job() else { return };
                match source {
                    Some((source, mode)) => self.restore(&new, source, mode),
                    None => self.start(&new),
                };
            }
            (10..=24, Some(job)) => self.trigger(job),
            (25..=34, Some(job)) => self.upload(job),
            (35..=67, Some(job)) => {
                self.trigger(job);
                self.complete(job);
            }
            (68..=72, Some(job)) => self.run(job),
            (73..=77, Some(job)) => {
                let cleanup = self.chance(40);
                self.abort(job, cleanup);
            }
            (78..=81, Some(job)) => self.restart(job),
            (82..=83, Some(job)) => self.crash(job),
            (84..=85, Some(job)) => {
                let kind = if self.chance(50) { Kind::Native } else { Kind::Canonical };
                let whole = self.chance(85);
                self.savepoint(job, kind, whole);
            }
            (86..=93, Some(job)) if !small || self.dice.below(3) == 0 => {
                let retain = self.chance(85);
                self.end(job, retain);
            }
            (94..=96, _) => {
                if let Some(job) = self.some_job(|job| job.status == Status::Suspended) {
                    self.recover(job);
                }
            }
            (97, Some(job)) if !small && self.dice.below(3) == 0 => self.copy(job),
            (98, Some(job)) => self.litter(job),
            _ => {}
        }
    }
}

/// What is asked for: at random, but everything said is true.
fn truthful(universe: &mut Universe, marks: Option<&Marks>) -> Request {
    let mut roots: Vec<(&str, RootRole)> = Vec::new();
    for root in [ROOTS[0], ROOTS[1], FLAT, "s3://b/log"] {
        if universe.chance(96) && universe.storage_has(root) {
            roots.push((root, RootRole::Storage));
        }
    }
    if universe.chance(97) && universe.storage_has("s3://b/sp") {
        let role = if universe.chance(50) { RootRole::Savepoints } else { RootRole::Storage };
        roots.push(("s3://b/sp", role));
    }
    if universe.chance(50) && universe.storage_has("s3://b/copy") {
        roots.push(("s3://b/copy", RootRole::Storage));
    }
    if universe.chance(60) && universe.storage_has("s3://b/ha") {
        roots.push(("s3://b/ha", RootRole::HighAvailability));
    }
    let mut request = request(&roots);
    let places: Vec<Location> = roots.iter().map(|(root, _)| at(root)).collect();
    request.roots_complete = universe.all_under(&places) && universe.chance(97);
    request.restores_done = universe.restores_done() && universe.chance(80);
    if universe.chance(35) {
        request.rest = vec!["http://jobmanager:8081".to_owned()];
    }
    for directory in universe.ended() {
        if universe.chance(85) {
            request.stopped.push(directory.to_string());
        }
    }
    request.min_age_ms = [DAY as u64, 3 * DAY as u64][universe.dice.below(2)];
    if universe.chance(45) {
        request.keep = Some(1 + universe.dice.below(3) as u32);
    }
    if universe.chance(30) {
        request.older_than_ms = Some((universe.dice.below(4) as i64 * DAY) as u64);
    }
    if universe.chance(30) {
        let most = universe.jobs.iter().map(|job| job.retained).max().unwrap_or(1);
        request.num_retained = u32::try_from(most).ok();
    }
    if universe.chance(50) {
        let savepoints: Vec<Location> = universe
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.kind != Kind::Checkpoint)
            .map(|snapshot| snapshot.directory.clone())
            .collect();
        for savepoint in savepoints {
            if universe.chance(50) {
                request.savepoints.push(savepoint.to_string());
            }
        }
    }
    request.marks = marks.filter(|_| universe.chance(80)).cloned();
    request
}

impl Universe {
    fn storage_has(&self, root: &str) -> bool {
        let root = at(root);
        self.written.keys().any(|place| place.starts_with(&root))
    }
}

/// Plays a history, and counts what was done.
pub fn play(seed: u64, counts: &mut Counts) -> Result<(), String> {
    let shared = Shared::new(Universe::new(seed));
    let mut marks: Option<Marks> = None;
    let steps = 20 + shared.lock().dice.below(60);
    shared.lock().frail = true;
    if shared.lock().chance(90) {
        for root in [ROOTS[0], ROOTS[1], FLAT, "s3://b/log", "s3://b/sp"] {
            let place = at(root).join_exact("README").unwrap();
            let mut universe = shared.lock();
            universe.put(&place, b"do not delete".repeat(100));
            universe.unknown.insert(place);
        }
    }
    let mut left = steps;
    while left > 0 {
        left -= 1;
        let roll = {
            let mut universe = shared.lock();
            if universe.dice.below(300) == 0 {
                universe.skew = [-2 * DAY, 5 * MINUTE, MINUTE / 2][universe.dice.below(3)];
            }
            universe.step(false);
            universe.dice.below(100)
        };
        match roll {
            0..=7 => {
                let request = truthful(&mut shared.lock(), None);
                shared.lock().say("somebody marks".to_owned());
                let known = marks.take().unwrap_or_else(|| Marks::new(DAY as u64));
                shared.lock().racing = true;
                marks = Some(Pruner::new(&shared, request).mark(&known, DAY as u64));
                shared.lock().racing = false;
            }
            10..=14 => prune(&shared, marks.as_ref(), counts),
            _ => {}
        }
    }
    shared.lock().pass(4 * DAY);
    prune(&shared, marks.as_ref(), counts);
    let mut universe = shared.lock();
    universe.demand_all();
    match universe.violations.first() {
        None => Ok(()),
        Some(first) => Err(format!("history {seed}: {first}\n{}", universe.history())),
    }
}

fn count(counts: &mut Counts, what: &str, times: u64) {
    *counts.entry(what.to_owned()).or_default() += times;
}

fn prune(shared: &Shared, marks: Option<&Marks>, counts: &mut Counts) {
    let (request, crowd) = {
        let mut universe = shared.lock();
        universe.racing = universe.chance(50);
        (truthful(&mut universe, marks), universe.chance(15))
    };
    let mut pruner = Pruner::new(shared, request.clone());
    let (inventory, evidence, decisions) = pruner.look();
    for block in &decisions.blocks {
        count(counts, &format!("blocks: {}", block.finding.code), 1);
    }
    let plan = Plan::new(&inventory, &decisions, &evidence, request.clone());
    count(counts, "plans", 1);
    if plan.candidates.is_empty() {
        shared.lock().racing = false;
        return;
    }
    count(counts, "plans with candidates", 1);
    {
        let mut universe = shared.lock();
        let promise = promise(&request, &plan);
        universe.promises.push(promise);
        universe.say(format!("a plan names {} objects", plan.candidates.len()));
        // Whoever restored from it since does not go on with the plan.
        for _ in 0..universe.dice.below(6) {
            let time = universe.dice.below(2 * HOUR as usize) as i64;
            universe.pass(time);
            universe.step(true);
        }
    }
    let held = {
        let universe = shared.lock();
        let promise = universe.promises.last().unwrap();
        let mut jobs = universe.jobs.iter().filter(|job| job.is_alive());
        jobs.any(|job| {
            job.store.iter().any(|&held| promise.doomed.contains(&universe.snapshots[held].directory))
        })
    };
    if held {
        count(counts, "plans given up", 1);
    } else {
        execute(shared, &plan, crowd, counts);
    }
    let mut universe = shared.lock();
    universe.racing = false;
    universe.promises.clear();
    universe.demand_all();
}

fn execute(shared: &Shared, plan: &Plan, crowd: bool, counts: &mut Counts) {
    let mut rounds = 1;
    let mut round = 0;
    while round < rounds {
        round += 1;
        let mut trouble = Trouble::default();
        {
            let mut universe = shared.lock();
            let few = plan.candidates.len() + 1;
            match universe.dice.below(8) {
                0 => {
                    trouble.dies = Some(universe.dice.below(few) as u64);
                    rounds = (rounds + 1).min(4);
                }
                1 => trouble.unheard = Some(universe.dice.below(few) as u64),
                2 => trouble.journal = Some(universe.dice.below(6) as u64),
                3 => rounds = (rounds + 1).min(3),
                _ => {}
            }
            let time = universe.dice.below(HOUR as usize) as i64;
            universe.pass(time);
            if crowd {
                let (shared, plan) = (shared.clone(), plan.clone());
                let other = move || drop(Pruner::apply(&shared, &plan, Trouble::default()));
                trouble.meanwhile = Some((universe.dice.below(few) as u64, Box::new(other)));
            }
        }
        let dies = trouble.dies.is_some();
        let applied = Pruner::apply(shared, plan, trouble);
        count(counts, "applies", 1);
        for refusal in applied.outcome.as_ref().err().into_iter().flatten() {
            count(counts, &format!("refused applies: {:?}", refusal.rule), 1);
        }
        if dies && !applied.removed.is_empty() {
            count(counts, "applies that died half way", 1);
        }
        for (reason, live) in applied.removed {
            let what = match reason {
                _ if live => "removed: marked, of a job that did not end",
                Reason::SnapshotRemoved => "removed: snapshots",
                Reason::OnlyRemovedSnapshots => "removed: files of such snapshots",
                Reason::Orphan(Orphan::AbandonedCheckpoint) => "removed: abandoned chk-N",
                Reason::Orphan(Orphan::AbandonedMetadata) => "removed: abandoned _metadata",
                Reason::Orphan(Orphan::Exclusive) => "removed: exclusive orphans",
                Reason::Orphan(Orphan::Shared) => "removed: shared orphans",
                Reason::Orphan(Orphan::Merged) => "removed: merged orphans",
                Reason::Orphan(Orphan::Working) => "removed: working files",
                Reason::Orphan(Orphan::Changelog) => "removed: state changes",
                Reason::Orphan(_) => "removed: others",
            };
            count(counts, what, 1);
        }
    }
    let savepoints = plan.request.savepoints.iter().filter(|savepoint| {
        let metadata = at(savepoint).join_exact("_metadata").unwrap();
        !shared.lock().is_there(&metadata)
    });
    count(counts, "savepoints gone by name", savepoints.count() as u64);
}
