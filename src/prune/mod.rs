//! Who needs which file, what nobody needs, and what may be deleted.
//!
//! Everything here but `execute` is pure: facts in, conclusions out, and no clock, store or environment in reach. The
//! facts are an [`Inventory`](crate::model::inventory::Inventory), and [`Evidence`] of what storage cannot tell. [`decide()`]
//! gives every object and every snapshot a [`Standing`] with its reason; [`Plan`] is what is written to a file, and all
//! that an apply gets to know.
//!
//! When in doubt, an object is kept, and the reason says why. Each reason names its [`Rule`].

mod decide;
mod evidence;
pub mod execute;
mod marks;
mod plan;
pub mod results;
mod rules;
pub mod shapes;
mod words;

pub use decide::{Decisions, Job, Keep, Orphan, SnapshotKeep, SnapshotStanding, Standing, decide};
pub use evidence::{Evidence, Policy};
pub use marks::Marks;
pub use plan::{
    Candidate, DEFAULT_MAX_SHARE, KeptClass, PLAN_EXPIRES_MS, PLAN_VERSION, Plan, PlanRoot, PlanSnapshot,
    Reason, Refusal, Request, RequestRoot, Version,
};
pub use rules::Rule;
