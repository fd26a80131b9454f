//! `statescope du`.

use std::io::Write;

use clap::Args;

use super::scope::{Scope, evidence};
use super::{Exit, Failure, Reading, no_evidence, refused, some_root};
use crate::cli::{Format, output_failure};
use crate::prune::{decide, results};
use crate::report;

/// Say which bytes belong to which job and snapshot: what is freed if one goes, what it shares, what nobody needs.
///
/// Lists everything under the roots and reads every _metadata there. A file that several snapshots name counts once in
/// totals; what a snapshot would free counts only what no other one names.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 fine · 1 failed · 2 wrong usage · 5 done, but something could not be listed or read"
)]
pub(in crate::cli) struct Du {
    /// Directories of jobs, or above them
    #[arg(value_name = "ROOT", required = true)]
    roots: Vec<String>,
    #[command(flatten)]
    scope: Scope,
}

impl Du {
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
        let result = results::du(&inventory, &decisions);
        match self.scope.common.format {
            Format::Table => report::prune::du(out, &result, self.scope.common.layout()),
            Format::Json => report::json::write(out, "du", "usage", &result),
        }
        .map_err(output_failure)?;
        Ok(refused(&decisions))
    }
}
