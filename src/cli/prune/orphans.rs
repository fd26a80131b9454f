//! `statescope orphans`.

use std::io::Write;

use clap::Args;

use super::scope::{Scope, evidence};
use super::{Exit, Failure, Reading, no_evidence, refused, some_root};
use crate::cli::{Format, output_failure};
use crate::prune::{decide, results};
use crate::report;

/// List what no snapshot under some roots needs, by job and reason, with age and size.
///
/// Looks, and deletes nothing. What is too young, unknown or protected is listed apart, with the rule that keeps it and
/// what can be done about that.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 fine · 1 failed · 2 wrong usage · 4 refused · 5 done, but something could not be \
                        listed or read, so that nothing is said to be deletable"
)]
pub(in crate::cli) struct Orphans {
    /// Directories of jobs, or above them
    #[arg(value_name = "ROOT", required = true)]
    roots: Vec<String>,
    #[command(flatten)]
    scope: Scope,
}

impl Orphans {
    pub(in crate::cli) fn reading(&self) -> &Reading {
        &self.scope.common.reading
    }

    pub(in crate::cli) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let request = self.scope.request(&self.roots)?;
        let storage = self.reading().stores()?;
        let inventory = self.scope.inventory(&storage, &request);
        some_root(&inventory)?;
        let evidence = evidence(&storage, &request, &inventory).map_err(no_evidence)?;
        let decisions = decide(&inventory, &evidence, &request.policy());
        let result = results::orphans(&inventory, &decisions, request.roots_complete);
        match self.scope.common.format {
            Format::Table => report::prune::orphans(out, &result, self.scope.common.layout()),
            Format::Json => report::json::write(out, "orphans", "orphans", &result),
        }
        .map_err(output_failure)?;
        Ok(refused(&decisions))
    }
}
