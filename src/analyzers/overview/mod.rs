//! What a snapshot holds: the figures of `inspect`.
//!
//! Everything is a figure of the *physical* view: bytes of files as recorded, tables as MANIFEST
//! names them. No data is read for it.

mod build;
mod files;
mod handles;
mod serializers;
mod states;
mod types;

pub use build::{Context, format, overview, size};
pub(super) use build::{grouped, match_uids, relocation_finding};
pub(super) use serializers::type_text;
pub(super) use states::label;
pub use types::*;
