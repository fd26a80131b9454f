//! Executes a plan: the only code that deletes.
//!
//! A plan is a permission, not an order. Everything is listed, read and decided again, with the same rules, and only what
//! the plan names *and* the new decision lets go is removed, if it is the same object still:
//!
//! ```text
//! plan ─▶ refusals ─▶ list, read, decide again ─▶ list again: did a snapshot come or change? ─▶ _metadata of snapshots
//!                                                                                                that go, confirmed
//!         verify what stays ◀─ journal ◀─ data, in batches, each object looked at again ◀───────┘
//! ```
//!
//! At any point, what was removed is nothing that a snapshot needs whose `_metadata` is there. So a crash leaves every
//! snapshot whole, and another apply of the same plan, or of a new one, finishes the work; two at once do each other's.

mod again;
mod journal;
mod remove;

pub use journal::Entry;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use self::remove::Remover;
use super::{Evidence, Keep, Plan, Refusal, Rule};
use crate::model::inventory::{Inventory, ObjectTable};
use crate::storage::removal::{Removal, Removers, Versioning};
use crate::storage::{Access, InFlight, Location, Meter, Storage};

/// How a plan is executed.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
    /// Where copies are kept of what is removed.
    pub quarantine: Option<Location>,
    /// How many objects are removed at most.
    pub max_delete: Option<u64>,
    /// How many objects are removed a second at most.
    pub per_second: Option<u32>,
    /// How much may be under way at once.
    pub in_flight: InFlight,
}

/// What an apply needs of those who call it: facts, and a place for its journal.
pub trait World: Debug {
    /// The time, in milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Waits.
    fn wait(&self, time: Duration);

    /// Lists and reads all roots of the plan anew.
    fn inventory(&mut self) -> Inventory;

    /// Lists all roots of the plan anew, and reads nothing.
    ///
    /// # Errors
    /// A root could not be listed to its end.
    fn listing(&mut self) -> Result<ObjectTable, Refusal>;

    /// What is known now besides what lies on storage.
    ///
    /// # Errors
    /// Who is to be asked did not answer.
    fn evidence(&mut self, inventory: &Inventory) -> Result<Evidence, Refusal>;

    /// Writes lines of the journal. They are to be on disk when this returns.
    ///
    /// # Errors
    /// They are not.
    fn journal(&mut self, entries: &[Entry]) -> io::Result<()>;

    /// Whether to end before the next batch.
    fn interrupted(&self) -> bool;

    /// Tells how far it is: objects, of how many.
    fn progress(&mut self, done: u64, of: u64);
}

/// What came of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Objects that were removed.
    pub removed_objects: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Objects of the plan that were gone already.
    pub gone_objects: u64,
    /// Objects of the plan that stay, and why.
    pub kept: Vec<KeptAfterAll>,
    /// Objects that could not be removed.
    pub failed: Vec<FailedRemoval>,
    /// Objects of the plan that were not come to.
    pub not_reached: u64,
    /// Why the rest was not come to.
    pub stopped: Option<Stopped>,
}

/// Objects of a plan that stay for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptAfterAll {
    /// Why.
    pub reason: AfterAll,
    /// How many.
    pub objects: u64,
    /// One of them.
    pub example: String,
}

/// Why an object of a plan stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterAll {
    /// It is another one than when it was planned.
    Changed,
    /// The rules keep it now.
    Rule(Keep),
    /// Its job wrote something, or a snapshot that may use it came or changed.
    JobChanged,
    /// It belongs to a snapshot that stays.
    SnapshotStays,
    /// Its address cannot be read.
    NoAddress,
}

/// An object that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedRemoval {
    /// Where it is.
    pub url: String,
    /// Why.
    pub message: String,
}

/// Why an apply ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// As many objects were removed as allowed.
    MaxDelete,
    /// The user interrupted it.
    Interrupted,
    /// The journal could not be written.
    Journal,
    /// Too many removals failed one after the other.
    Failures,
}

/// The stores that things are removed from.
#[derive(Debug)]
pub struct Stores(Removers);

impl Stores {
    /// Local disk and all stores that there is a client for; nothing outside of the roots is removed. Requests are counted
    /// by `meter`.
    #[must_use]
    pub fn all(access: &Access, roots: Vec<Location>, meter: &Arc<Meter>) -> Self {
        Self(Removers::all(access, roots, meter))
    }

    /// Executes a plan, as [`apply`] does.
    ///
    /// # Errors
    /// As [`apply`].
    pub fn apply(
        &self,
        plan: &Plan,
        storage: &dyn Storage,
        options: &ApplyOptions,
        world: &mut dyn World,
    ) -> Result<Outcome, Vec<Refusal>> {
        apply(plan, storage, &self.0, options, world)
    }

    /// The stores of a plan that keep versions of what is removed.
    #[must_use]
    pub fn versioned(&self, plan: &Plan) -> Vec<String> {
        let roots = plan.request.roots.iter().filter_map(|root| Location::parse(&root.location).ok());
        let mut stores: Vec<Location> = roots.map(|root| root.store_root()).collect();
        stores.sort();
        stores.dedup();
        stores.retain(|store| matches!(self.0.versioning(store), Ok(Versioning::On | Versioning::Suspended)));
        stores.iter().map(ToString::to_string).collect()
    }
}

/// Executes a plan.
///
/// # Errors
/// The plan, or what is found now, forbids all of it. Nothing was removed.
pub fn apply(
    plan: &Plan,
    storage: &dyn Storage,
    removal: &dyn Removal,
    options: &ApplyOptions,
    world: &mut dyn World,
) -> Result<Outcome, Vec<Refusal>> {
    let refusals = plan.refusals(world.now_ms());
    if !refusals.is_empty() {
        return Err(refusals);
    }
    if let Some(refusal) = quarantine_refused(plan, options) {
        return Err(vec![refusal]);
    }
    let confirmed = again::confirm(plan, world)?;
    let begin = Entry::Begin {
        at_ms: world.now_ms(),
        plan: plan.digest.clone(),
        candidates: plan.candidates.len() as u64,
    };
    let mut outcome = Outcome { gone_objects: confirmed.gone, ..Outcome::default() };
    if world.journal(&[begin]).is_err() {
        outcome.stopped = Some(Stopped::Journal);
        outcome.not_reached = (confirmed.metadata.len() + confirmed.data.len()) as u64;
        return Ok(outcome);
    }
    let mut remover = Remover::new(storage, removal, options, world, outcome, &confirmed);
    remover.all(&confirmed);
    Ok(remover.end(confirmed.kept))
}

/// A quarantine among what is pruned would be pruned, or taken for state.
fn quarantine_refused(plan: &Plan, options: &ApplyOptions) -> Option<Refusal> {
    let quarantine = options.quarantine.as_ref()?;
    let overlaps = |root: &Location| quarantine.starts_with(root) || root.starts_with(quarantine);
    let roots = plan.request.roots.iter().filter_map(|root| Location::parse(&root.location).ok());
    let root = roots.into_iter().find(overlaps)?;
    Some(Refusal::new(
        Rule::R0,
        quarantine.to_string(),
        format!("the quarantine and the root {root} overlap"),
        "give a place outside of all roots",
    ))
}
