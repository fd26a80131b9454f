//! `statescope refs`.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;

use super::scope::{Scope, evidence};
use super::{Exit, Failure, Reading, no_evidence, some_root};
use crate::cli::{Format, current_dir, output_failure};
use crate::model::inventory::{Inventory, RootRole};
use crate::model::layout::{METADATA, is_job_subdirectory};
use crate::prune::results::{self, Subject, Verdict};
use crate::prune::{Policy, RequestRoot, decide};
use crate::readers::users::{FileUser, users_of};
use crate::report;
use crate::storage::{Location, Storage};

/// Say who needs a file, a snapshot, or what lies in a job's directory, and whether it may be deleted.
///
/// Of a file, every snapshot that needs it is named, with job, operator and state. Of a directory, the snapshots
/// elsewhere that need something in it. Everything under the roots is listed and every _metadata there is read; that
/// nobody else uses this storage, only you can say (--roots-complete): without it, nothing is deletable.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 deletable · 1 failed · 2 wrong usage · 3 not deletable · 4 refused · 5 cannot tell"
)]
pub(in crate::cli) struct Refs {
    /// A file, a snapshot's directory, or a job's directory
    #[arg(value_name = "PATH")]
    path: String,
    /// Where snapshots lie that may need it (may be repeated) [default: the directory above the job's]
    #[arg(long, value_name = "ROOT")]
    root: Vec<String>,
    #[command(flatten)]
    scope: Scope,
}

impl Refs {
    pub(in crate::cli) fn reading(&self) -> &Reading {
        &self.scope.common.reading
    }

    pub(in crate::cli) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut request = self.scope.request(&self.root)?;
        let location = self.reading().location(&self.path, &current_dir()?)?;
        if self.root.is_empty() {
            let root = RequestRoot { location: root_above(&location).to_string(), role: RootRole::Storage };
            request.roots.push(root);
        }
        let storage = self.reading().stores()?;
        let inventory = self.scope.inventory(&storage, &request);
        some_root(&inventory)?;
        let Some(subject) = results::subject(&inventory, &location) else {
            return Err(Failure::failed(format!(
                "{location}: nothing is there under the roots that were listed"
            )));
        };
        let evidence = evidence(&storage, &request, &inventory).map_err(no_evidence)?;
        let policy = policy(&inventory, &subject, request.policy());
        let decisions = decide(&inventory, &evidence, &policy);
        let mut result = results::refs(&inventory, &decisions, &subject);
        if let Subject::File(_) = subject {
            self.add_states(&storage, &location, &mut result);
        }
        match self.scope.common.format {
            Format::Table => report::prune::refs(out, &result, self.scope.common.layout()),
            Format::Json => report::json::write(out, "refs", "references", &result),
        }
        .map_err(output_failure)?;
        Ok(match result.verdict {
            Verdict::Deletable => Exit::Fine,
            Verdict::NotDeletable => Exit::Bad,
            Verdict::CannotTell => Exit::Partial,
        })
    }

    /// Reads the snapshots that need a file again, to say for which states.
    fn add_states(&self, storage: &dyn Storage, location: &Location, result: &mut results::Refs) {
        let in_flight = self.reading().in_flight();
        for (at, user) in result.needed_by.iter_mut().enumerate() {
            let Ok(directory) = Location::parse(&user.snapshot) else { continue };
            // A table has the same states in all snapshots: the first one tells their names.
            let users = users_of(storage, &directory, location, in_flight, at == 0);
            user.states = users.into_iter().map(told).collect();
        }
        let names = result.needed_by.first().map(|user| user.states.clone()).unwrap_or_default();
        for state in result.needed_by.iter_mut().skip(1).flat_map(|user| &mut user.states) {
            let same = names
                .iter()
                .find(|known| known.operator_id == state.operator_id && known.local_name == state.local_name);
            if let Some(known) = same.filter(|_| state.states.is_empty()) {
                state.states.clone_from(&known.states);
            }
        }
    }
}

fn told(user: FileUser) -> results::UserState {
    let FileUser { operator_id, operator, subtask, role, local_name, states } = user;
    results::UserState { operator_id, operator, subtask, role, local_name, states }
}

/// A policy under which what is asked about would go, if the rules let it.
fn policy(inventory: &Inventory, subject: &Subject, policy: Policy) -> Policy {
    let mut savepoints = BTreeSet::new();
    let keep = match subject {
        Subject::File(_) => None,
        Subject::Snapshot(at) => {
            savepoints.extend(inventory.snapshots.get(*at).map(|snapshot| snapshot.directory.clone()));
            Some(1)
        }
        Subject::Directory(_) => Some(1),
    };
    Policy { keep, savepoints, ..policy }
}

/// The directory above the job's that a path lies in; for what lies in none, the one above it.
fn root_above(location: &Location) -> Location {
    let above = |place: &Location| place.parent().unwrap_or_else(|| place.store_root());
    let mut place = location.clone();
    if place.file_name() == Some(METADATA) {
        place = above(&place);
    }
    let mut job = None;
    let mut next = Some(place.clone());
    while let Some(directory) = next {
        if directory.file_name().is_some_and(is_job_subdirectory) {
            job = directory.parent();
        }
        next = directory.parent();
    }
    match job {
        Some(job) => above(&job),
        None => above(&place),
    }
}
