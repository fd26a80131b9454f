//! `statescope prune --apply`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::progress::Removing;
use super::scope::{Scope, evidence, inventory_of, roots_of, with_marks};
use super::{Exit, Failure};
use crate::cli::analyze::progress::Run;
use crate::cli::verify::broken;
use crate::cli::{Format, clock_ms, current_dir, output_failure};
use crate::model::Effect;
use crate::model::inventory::{Inventory, ObjectTable};
use crate::prune::execute::{ApplyOptions, Entry, Stores, World};
use crate::prune::results::{ApplyResult, BrokenSnapshot};
use crate::prune::{Evidence, Plan, Refusal, Request, Rule};
use crate::readers::inventory::listing_of;
use crate::report;
use crate::storage::{InFlight, Location, Storage};

/// How a plan is executed.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// Execute a plan
    #[arg(long, value_name = "FILE")]
    pub(super) apply: Option<PathBuf>,
    /// Copy what is removed to this place first; it must lie outside of all roots
    #[arg(long, value_name = "URL")]
    quarantine: Option<String>,
    /// Where each removal is written down, before and after [default: the plan's name with .journal]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Remove at most so many objects
    #[arg(long, value_name = "N")]
    max_delete: Option<u64>,
    /// Remove at most so many objects a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

impl Apply {
    pub(super) fn is_used(&self) -> bool {
        self.quarantine.is_some()
            || self.journal.is_some()
            || self.max_delete.is_some()
            || self.rate.is_some()
    }

    pub(super) fn run(&self, file: &Path, scope: &Scope, out: &mut dyn Write) -> Result<Exit, Failure> {
        let wrong = |why: String| Failure::usage(format!("--apply {}: {why}", file.display()));
        let text = fs::read(file).map_err(|e| wrong(e.to_string()))?;
        let plan: Plan = serde_json::from_slice(&text).map_err(|e| wrong(format!("this is no plan: {e}")))?;
        let reading = &scope.common.reading;
        let here = current_dir()?;
        let quarantine = self.quarantine.as_ref().map(|text| reading.location(text, &here)).transpose()?;
        let storage = reading.stores()?;
        let roots: Vec<Location> = roots_of(&plan.request).into_iter().map(|(root, _)| root).collect();
        let stores = Stores::all(&reading.reaching.access()?, roots, &reading.meter);
        let options = ApplyOptions {
            quarantine,
            max_delete: self.max_delete,
            per_second: self.rate,
            in_flight: reading.in_flight(),
        };
        let journal = self.journal.clone().unwrap_or_else(|| {
            let mut name = file.as_os_str().to_owned();
            name.push(".journal");
            PathBuf::from(name)
        });
        let log = fs::OpenOptions::new().create(true).append(true).open(&journal);
        let log = log.map_err(|e| Failure::failed(format!("--journal {}: {e}", journal.display())))?;
        // An interrupt ends it between two batches, so that the journal and what is told are whole.
        let run = Run::begin();
        let mut world = Surroundings {
            storage: &storage,
            request: &plan.request,
            in_flight: reading.in_flight(),
            log,
            run: &run,
            removing: Removing::default(),
        };
        let applied = stores.apply(&plan, &storage, &options, &mut world);
        world.removing.end();
        run.end();
        let result = match applied {
            Err(refusals) => {
                ApplyResult { refusals, journal: journal.display().to_string(), ..ApplyResult::default() }
            }
            Ok(outcome) => {
                let (verified, broken) = verified(&storage, &plan.request, reading.in_flight());
                ApplyResult {
                    refusals: Vec::new(),
                    versioned: stores.versioned(&plan),
                    outcome: Some(outcome),
                    journal: journal.display().to_string(),
                    verified_snapshots: verified,
                    broken_snapshots: broken,
                }
            }
        };
        match scope.common.format {
            Format::Table => report::prune::applied(out, &result, scope.common.layout()),
            Format::Json => report::json::write(out, "prune", "applied", &result),
        }
        .map_err(output_failure)?;
        Ok(exit(&result))
    }
}

fn exit(result: &ApplyResult) -> Exit {
    let Some(outcome) = &result.outcome else { return Exit::Refused };
    if result.broken_snapshots.iter().any(|broken| broken.effect == Effect::Breaks) {
        Exit::Bad
    } else if !outcome.failed.is_empty() || outcome.stopped.is_some() || !result.broken_snapshots.is_empty() {
        Exit::Partial
    } else {
        Exit::Fine
    }
}

/// Verifies what stays.
fn verified(storage: &dyn Storage, request: &Request, in_flight: InFlight) -> (u64, Vec<BrokenSnapshot>) {
    let inventory = inventory_of(storage, request, in_flight);
    let directories: Vec<Location> =
        inventory.snapshots.iter().map(|snapshot| snapshot.directory.clone()).collect();
    let broken = broken(storage, &directories, in_flight).into_iter();
    let broken = broken.map(|(snapshot, effect, problems)| BrokenSnapshot { snapshot, effect, problems });
    (directories.len() as u64, broken.collect())
}

/// What an apply is told of the world.
#[derive(Debug)]
struct Surroundings<'a> {
    storage: &'a dyn Storage,
    request: &'a Request,
    in_flight: InFlight,
    log: File,
    run: &'a Run,
    removing: Removing,
}

impl World for Surroundings<'_> {
    fn now_ms(&self) -> i64 {
        clock_ms()
    }

    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn inventory(&mut self) -> Inventory {
        inventory_of(self.storage, self.request, self.in_flight)
    }

    fn listing(&mut self) -> Result<ObjectTable, Refusal> {
        listing_of(self.storage, &roots_of(self.request), self.in_flight).map_err(|finding| {
            Refusal::new(Rule::R2, finding.file.clone().unwrap_or_default(), finding.message, finding.remedy)
        })
    }

    fn evidence(&mut self, inventory: &Inventory) -> Result<Evidence, Refusal> {
        let evidence = evidence(self.storage, self.request, inventory).map_err(|message| {
            Refusal::new(Rule::R6, "a JobManager", message, "it must answer, or make a plan without it")
        })?;
        Ok(with_marks(evidence, self.request.marks.as_ref(), inventory, &self.request.policy()))
    }

    fn journal(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        self.log.write_all(&lines)?;
        self.log.sync_data()
    }

    fn interrupted(&self) -> bool {
        self.run.is_stopped()
    }

    fn progress(&mut self, done: u64, of: u64) {
        self.removing.tell(done, of);
    }
}
