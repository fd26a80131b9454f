//! The domain, free of versions and of I/O: what a snapshot is, whichever Flink wrote it.

pub mod details;
pub mod finding;
pub mod inventory;
pub mod layout;
pub mod operator_stream;
pub mod places;
pub mod snapshot;

pub use details::*;
pub use finding::{About, Effect, Finding, Severity};
pub use operator_stream::{CoordinatorBytes, OperatorStream};
pub use places::{Places, Relocation};
pub use snapshot::*;
