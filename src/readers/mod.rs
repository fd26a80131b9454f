//! Readers drive the pure decoders with storage and build the model.

mod convert;
pub mod details;
pub mod discover;
pub mod materialize;
pub mod opener;
pub(crate) mod parallel;
pub mod root;
pub mod snapshot;
pub mod source;
pub mod verify;
