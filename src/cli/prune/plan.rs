//! `statescope prune`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::scope::{Scope, evidence, with_marks};
use super::{Exit, Failure, Reading, apply, no_evidence, some_root};
use crate::cli::sizes::duration;
use crate::cli::{Format, clock_ms, current_dir, output_failure};
use crate::model::Severity;
use crate::prune::{
    DEFAULT_MAX_SHARE, Decisions, Marks, Plan, Request, decide,
    results::{PlanResult, plan_result},
};
use crate::report;

/// Clean up what no recoverable snapshot needs: plan first, look at the plan, apply it.
///
/// Without --apply, nothing is deleted. Candidates are orphans, in directories of jobs that are shown to have ended; whole
/// checkpoints of such jobs only with --keep or --older-than, savepoints only by name. For a job that runs, mark first
/// (--mark), and plan with the marks (--marked) a day and two checkpoints later. A plan lists every object with its size,
/// time and tag, and the reason; it lasts a day. Its execution lists and reads everything again, and removes only what
/// is the same still and what the rules still let go.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 fine · 1 failed · 2 wrong usage · 3 applied, but a snapshot that stays is not whole · \
                        4 refused for safety · 5 done in part"
)]
pub(in crate::cli) struct Prune {
    /// Directories of jobs, or above them
    #[arg(value_name = "ROOT", required_unless_present = "apply", conflicts_with = "apply")]
    roots: Vec<String>,
    /// Let whole checkpoints of jobs that ended go, but for the newest N by number and by completion [default: 3 with
    /// --older-than]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Let whole checkpoints of jobs that ended go that are older
    #[arg(long, value_name = "AGE", value_parser = duration)]
    older_than: Option<u64>,
    /// Let a savepoint go, by its directory (may be repeated)
    #[arg(long, value_name = "URL")]
    delete_savepoint: Vec<String>,
    /// The share of a root's bytes that a plan may take, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = DEFAULT_MAX_SHARE, value_parser = clap::value_parser!(u8).range(1..=100))]
    max_share: u8,
    /// Write the plan to a file
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Note in a file what is unreferenced in directories of jobs that may run; what it holds already keeps its time
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    mark: Option<PathBuf>,
    /// Plan with such a file: what was marked a time of grace and two completed checkpoints ago may go
    #[arg(long, value_name = "FILE")]
    marked: Option<PathBuf>,
    /// How long something must have been marked
    #[arg(long, default_value = "1d", value_name = "AGE", value_parser = duration)]
    grace: u64,
    #[command(flatten)]
    apply: apply::Apply,
    #[command(flatten)]
    scope: Scope,
}

impl Prune {
    pub(in crate::cli) fn reading(&self) -> &Reading {
        &self.scope.common.reading
    }

    pub(in crate::cli) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        if let Some(file) = &self.apply.apply {
            if self.widens() {
                return Err(Failure::usage(
                    "--apply: a plan is executed as it is; only --quarantine, --journal, --max-delete and --rate go with it",
                ));
            }
            return self.apply.run(file, &self.scope, out);
        }
        if self.apply.is_used() {
            return Err(Failure::usage("--quarantine, --journal, --max-delete and --rate go with --apply"));
        }
        let request = self.request()?;
        let storage = self.reading().stores()?;
        let inventory = self.scope.inventory(&storage, &request);
        some_root(&inventory)?;
        let evidence = evidence(&storage, &request, &inventory).map_err(no_evidence)?;
        let policy = request.policy();
        let evidence = with_marks(evidence, request.marks.as_ref(), &inventory, &policy);
        let decisions = decide(&inventory, &evidence, &policy);
        for job in evidence.stopped.keys() {
            if evidence.stopped.get(job).is_some_and(|by| by == "--job-stopped")
                && !decisions.jobs.iter().any(|known| known.directory == *job)
            {
                return Err(Failure::usage(format!(
                    "--job-stopped {job}: there is no job's directory there"
                )));
            }
        }
        let plan = Plan::new(&inventory, &decisions, &evidence, request);
        let refusals = plan.refusals(clock_ms());
        let marked = match &self.mark {
            Some(file) => Some(self.note(file, &inventory, &decisions)?),
            None => None,
        };
        let mut written = false;
        if let Some(file) = &self.plan
            && refusals.is_empty()
        {
            let text = serde_json::to_vec_pretty(&plan).map_err(|e| Failure::failed(e.to_string()))?;
            write_whole(file, &text)
                .map_err(|e| Failure::failed(format!("--plan {}: {e}", file.display())))?;
            written = true;
        }
        let refused = !refusals.is_empty();
        let result = plan_result(&inventory, &decisions, plan, refusals, written, marked);
        match self.scope.common.format {
            Format::Table => report::prune::plan(out, &result, self.scope.common.layout()),
            Format::Json => report::json::write(out, "prune", "plan", &result),
        }
        .map_err(output_failure)?;
        Ok(exit(&result, refused))
    }

    /// Whether anything is given that asks for more than a plan says.
    fn widens(&self) -> bool {
        self.keep.is_some()
            || self.older_than.is_some()
            || !self.delete_savepoint.is_empty()
            || self.plan.is_some()
            || self.mark.is_some()
            || self.marked.is_some()
            || self.max_share != DEFAULT_MAX_SHARE
            || self.scope.is_used()
    }

    fn request(&self) -> Result<Request, Failure> {
        let here = current_dir()?;
        let savepoints = self.delete_savepoint.iter();
        let savepoints = savepoints.map(|text| self.reading().location(text, &here).map(|l| l.to_string()));
        Ok(Request {
            keep: self.keep,
            older_than_ms: self.older_than,
            savepoints: savepoints.collect::<Result<_, _>>()?,
            max_share: self.max_share,
            marks: self.marked.as_deref().map(read_marks).transpose()?,
            ..self.scope.request(&self.roots)?
        })
    }

    /// Notes what is unreferenced; says how many objects are marked.
    fn note(
        &self,
        file: &Path,
        inventory: &crate::model::inventory::Inventory,
        decisions: &Decisions,
    ) -> Result<u64, Failure> {
        let known = if file.exists() { read_marks(file)? } else { Marks::new(self.grace) };
        let marks = known.noting(inventory, decisions, self.grace, clock_ms());
        let text = serde_json::to_vec_pretty(&marks).map_err(|e| Failure::failed(e.to_string()))?;
        write_whole(file, &text).map_err(|e| Failure::failed(format!("--mark {}: {e}", file.display())))?;
        Ok(marks.len() as u64)
    }
}

fn exit(result: &PlanResult, refused: bool) -> Exit {
    if refused || !result.blocks.is_empty() {
        Exit::Refused
    } else if result.findings.iter().any(|finding| finding.severity == Severity::Error) {
        Exit::Partial
    } else {
        Exit::Fine
    }
}

fn read_marks(file: &Path) -> Result<Marks, Failure> {
    let wrong = |why: String| Failure::usage(format!("{}: {why}", file.display()));
    let text = fs::read(file).map_err(|e| wrong(e.to_string()))?;
    let marks: Marks =
        serde_json::from_slice(&text).map_err(|e| wrong(format!("these are no marks: {e}")))?;
    if marks.is_known() { Ok(marks) } else { Err(wrong("marks of another version".to_owned())) }
}

/// Writes a file that is there whole, or not at all.
fn write_whole(file: &Path, text: &[u8]) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(text)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}
