//! Which storage is meant, and what is known of it besides what lies there: common to all commands that say what may be
//! deleted.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;

use clap::Args;

use super::progress::Shown;
use crate::cli::sizes::duration;
use crate::cli::{Common, Failure, clock_ms, current_dir};
use crate::model::Finding;
use crate::model::inventory::{Inventory, RootRole};
use crate::model::layout::{checkpoint_number, is_job_id};
use crate::prune::{Evidence, Marks, Policy, Request, RequestRoot};
use crate::readers::inventory::{InventoryOptions, InventoryProgress, inventory};
use crate::readers::rest;
use crate::storage::{FlinkConf, Location, Storage};

/// How far clocks may be apart, in milliseconds.
const SKEW_MS: i64 = 60_000;

/// Where snapshots lie, and what is known of their jobs.
#[derive(Debug, Args)]
pub(super) struct Scope {
    /// Savepoints lie below this: they are read, and never a candidate (may be repeated)
    #[arg(long, value_name = "URL")]
    savepoints: Vec<String>,
    /// The directory of high availability (high-availability.storageDir): what its pointers lead to stays (may be repeated)
    #[arg(long, value_name = "URL")]
    ha: Vec<String>,
    /// A JobManager's REST address, to ask which jobs run and what they hold (may be repeated)
    #[arg(long, value_name = "URL")]
    rest: Vec<String>,
    /// The job of this directory has ended for good: finished, cancelled or failed, not suspended or scaled to zero (may
    /// be repeated)
    #[arg(long, value_name = "ROOT/ID")]
    job_stopped: Vec<String>,
    /// All that writes to these roots, or restores from them, has its snapshots under one of them
    #[arg(long)]
    roots_complete: bool,
    /// No running job holds a checkpoint of another job any more: each that was restored from one has completed more of
    /// its own since than it retains
    #[arg(long)]
    restores_done: bool,
    /// How old something must be to be a candidate; at least 24h
    #[arg(long, default_value = "3d", value_name = "AGE", value_parser = duration)]
    min_age: u64,
    /// Allow a --min-age below 24h: an upload under way may be taken for an orphan
    #[arg(long)]
    unsafe_min_age: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Scope {
    /// Whether anything is given that a plan holds already.
    pub(super) fn is_used(&self) -> bool {
        let lists = [&self.savepoints, &self.ha, &self.rest, &self.job_stopped];
        lists.iter().any(|list| !list.is_empty())
            || self.roots_complete
            || self.restores_done
            || self.unsafe_min_age
            || self.min_age != Policy::DEFAULT_MIN_AGE_MS
    }

    /// What was typed, checked before anything is read.
    pub(super) fn request(&self, roots: &[String]) -> Result<Request, Failure> {
        let reading = &self.common.reading;
        if !reading.relocate.is_empty() {
            return Err(Failure::usage(
                "--relocate: where it is said what may be deleted, nothing is relocated",
            ));
        }
        if reading.reaching.cache.is_some() {
            return Err(Failure::usage(
                "--cache: where it is said what may be deleted, nothing is taken from a cache",
            ));
        }
        if self.min_age < Policy::FLOOR_MIN_AGE_MS && !self.unsafe_min_age {
            return Err(Failure::usage(
                "--min-age: at least 24h, since uploads that are under way look like orphans (--unsafe-min-age allows less)",
            ));
        }
        let here = current_dir()?;
        let mut all = Vec::new();
        for (texts, role) in [
            (roots, RootRole::Storage),
            (self.savepoints.as_slice(), RootRole::Savepoints),
            (self.ha.as_slice(), RootRole::HighAvailability),
        ] {
            for text in texts {
                all.push(RequestRoot { location: reading.location(text, &here)?.to_string(), role });
            }
        }
        let place = |text: &String| reading.location(text, &here).map(|place| place.to_string());
        let conf = reading.reaching.flink()?;
        let retained = ["execution.checkpointing.num-retained", "state.checkpoints.num-retained"];
        let retained = retained.iter().find_map(|key| conf.get(key));
        let entropy = entropy(&conf, &all);
        Ok(Request {
            roots: all,
            roots_complete: self.roots_complete,
            restores_done: self.restores_done,
            stopped: self.job_stopped.iter().map(place).collect::<Result<_, _>>()?,
            rest: self.rest.iter().map(place).collect::<Result<_, _>>()?,
            keep: None,
            older_than_ms: None,
            min_age_ms: self.min_age,
            savepoints: Vec::new(),
            num_retained: retained.and_then(|text| text.parse().ok()),
            marks: None,
            max_share: crate::prune::DEFAULT_MAX_SHARE,
            entropy,
        })
    }

    /// Lists and reads all roots.
    pub(super) fn inventory(&self, storage: &dyn Storage, request: &Request) -> Inventory {
        inventory_of(storage, request, self.common.reading.in_flight())
    }
}

/// The roots of a request.
pub(super) fn roots_of(request: &Request) -> Vec<(Location, RootRole)> {
    let roots = request.roots.iter();
    roots.filter_map(|root| Some((Location::parse(&root.location).ok()?, root.role))).collect()
}

/// Lists and reads all roots of a request.
pub(super) fn inventory_of(
    storage: &dyn Storage,
    request: &Request,
    in_flight: crate::storage::InFlight,
) -> Inventory {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = InventoryOptions { in_flight, threads, now_ms: clock_ms() };
    let progress = InventoryProgress::default();
    let told = || {
        let [objects, snapshots, read] = [&progress.objects, &progress.snapshots, &progress.read]
            .map(|figure| figure.load(Ordering::Relaxed));
        match snapshots {
            0 => format!("listing: {objects} objects"),
            _ => format!("{objects} objects; reading snapshots: {read} of {snapshots}"),
        }
    };
    Shown::during(&told, || inventory(storage, &roots_of(request), options, &progress))
}

/// The directory of checkpoints in a configuration that spreads files over random prefixes, if these do not all lie under
/// the roots.
fn entropy(conf: &FlinkConf, roots: &[RequestRoot]) -> Option<String> {
    let key = conf.s3(&["entropy.key"])?;
    let names = ["execution.checkpointing.dir", "state.checkpoints.dir"];
    let directory = names.iter().find_map(|name| conf.get(name))?;
    let (before, _) = directory.split_once(key)?;
    let prefix = Location::parse(before).ok();
    let covers = |root: &RequestRoot| {
        let root = Location::parse(&root.location).ok();
        prefix.as_ref().zip(root).is_some_and(|(prefix, root)| prefix.starts_with(&root))
    };
    if roots.iter().any(covers) { None } else { Some(directory.to_owned()) }
}

/// What is known besides what lies on storage: what the user said, and what JobManagers say.
///
/// # Errors
/// What the user said contradicts what is found; or a JobManager does not answer.
pub(super) fn evidence(
    storage: &dyn Storage,
    request: &Request,
    inventory: &Inventory,
) -> Result<Evidence, String> {
    let mut evidence = Evidence {
        now_ms: clock_ms(),
        roots_complete: request.roots_complete,
        num_retained: request.num_retained,
        against: clocks(storage, inventory),
        ..Evidence::default()
    };
    if let Some(directory) = &request.entropy {
        evidence.against.push(
            Finding::error(
                "entropy_injected",
                "Flink's configuration spreads files over random prefixes (s3.entropy.key)",
                "which prefixes there are cannot be known, so that nothing is deleted where this is in use",
            )
            .in_file(directory.clone()),
        );
    }
    for text in &request.stopped {
        let job = Location::parse(text).map_err(|error| error.to_string())?;
        evidence.stopped.insert(job, "--job-stopped".to_owned());
    }
    for address in &request.rest {
        let place = Location::parse(address).map_err(|error| error.to_string())?;
        for job in rest::jobs(storage, &place)? {
            note(&mut evidence, inventory, address, &job);
        }
    }
    if let Some((job, why)) = evidence
        .running
        .iter()
        .find(|(job, _)| evidence.stopped.get(*job).is_some_and(|by| by == "--job-stopped"))
    {
        return Err(format!("--job-stopped {job}: that job runs, says {why}"));
    }
    let ha = inventory.roots.iter().any(|root| root.role == RootRole::HighAvailability);
    evidence.restores_known = request.restores_done || (ha && !request.rest.is_empty());
    Ok(evidence)
}

/// What one job's JobManager says of it.
fn note(evidence: &mut Evidence, inventory: &Inventory, address: &str, job: &rest::RestJob) {
    let said = format!("{address}: {}", job.state);
    let directories = job.checkpoints.iter().filter_map(|place| {
        let place = Location::parse(place).ok()?;
        checkpoint_number(place.file_name()?)?;
        place.parent()
    });
    if job.has_ended() {
        for directory in directories {
            evidence.stopped.entry(directory).or_insert_with(|| said.clone());
        }
        return;
    }
    for directory in directories {
        evidence.running.insert(directory, said.clone());
    }
    // It may not have completed any checkpoint yet: any directory that is called by its id may be its.
    for directory in inventory.objects.directories() {
        let mut above = Some(directory.clone());
        while let Some(place) = above {
            if place.file_name().is_some_and(|name| is_job_id(name) && name == job.id) {
                evidence.running.insert(place, said.clone());
                break;
            }
            above = place.parent();
        }
    }
    for place in job.held.iter().filter_map(|place| Location::parse(place).ok()) {
        evidence.pinned.insert(place, said.clone());
    }
}

/// Compares our clock with those of the stores.
fn clocks(storage: &dyn Storage, inventory: &Inventory) -> Vec<Finding> {
    let mut stores: Vec<Location> = inventory.roots.iter().map(|root| root.location.store_root()).collect();
    stores.sort();
    stores.dedup();
    let mut findings = Vec::new();
    for root in inventory.roots.iter().filter(|root| root.listed) {
        let store = root.location.store_root();
        if !stores.contains(&store) {
            continue;
        }
        stores.retain(|other| *other != store);
        let before = clock_ms();
        let message = match storage.server_time(&root.location) {
            Ok(None) => continue,
            Ok(Some(time)) => {
                // It tells whole seconds, rounded down.
                let apart = (before - time - 1000).max(time - clock_ms());
                if apart <= SKEW_MS {
                    continue;
                }
                format!("the store's clock and ours are {} s apart", apart / 1000)
            }
            Err(error) => format!("the store does not tell what time it is: {error}"),
        };
        findings.push(
            Finding::error(
                "clocks_disagree",
                message,
                "set this machine's clock: ages by the store's clock decide what may be deleted",
            )
            .in_file(store.to_string()),
        );
    }
    findings
}

/// Adds to the evidence which objects were unreferenced long enough.
pub(super) fn with_marks(
    mut evidence: Evidence,
    marks: Option<&Marks>,
    inventory: &Inventory,
    policy: &Policy,
) -> Evidence {
    if let Some(marks) = marks {
        let decisions = crate::prune::decide(inventory, &evidence, policy);
        evidence.long_unreferenced = marks.ripe(inventory, &decisions, evidence.now_ms);
    }
    evidence
}
