//! Readers drive the pure decoders with storage and build the model.

pub mod changelog;
mod channels;
mod convert;
pub mod details;
pub mod discover;
pub(crate) mod frames;
pub mod inventory;
pub mod materialize;
pub mod opener;
pub mod operator_state;
pub(crate) mod parallel;
pub mod rest;
pub mod root;
pub mod snapshot;
pub mod source;
pub mod users;
pub mod verify;
