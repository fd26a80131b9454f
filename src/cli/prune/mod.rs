//! The commands that say what may be deleted: `refs`, `du`, `orphans`, `prune`.

mod apply;
mod du;
mod orphans;
mod plan;
mod progress;
mod refs;
mod scope;

pub(super) use du::Du;
pub(super) use orphans::Orphans;
pub(super) use plan::Prune;
pub(super) use refs::Refs;

use super::{Exit, Failure, Reading};
use crate::prune::Decisions;

/// That the decision was refused: something forbids conclusions.
fn refused(decisions: &Decisions) -> Exit {
    if decisions.blocks.is_empty() { Exit::Fine } else { Exit::Partial }
}

/// What JobManagers or the user said cannot be used.
fn no_evidence(message: String) -> Failure {
    Failure { exit: Exit::Refused, message }
}

/// Fails if nothing at all could be listed: the paths are wrong.
fn some_root(inventory: &crate::model::inventory::Inventory) -> Result<(), Failure> {
    if inventory.roots.iter().any(|root| root.listed) {
        return Ok(());
    }
    let first = inventory.blocks.first().map(|block| block.finding.message.clone());
    Err(Failure::failed(first.unwrap_or_else(|| "no root was given".to_owned())))
}
