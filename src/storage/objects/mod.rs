//! Object stores and web servers, through the crate `object_store`: the one directory whose files name it, and the
//! only one with something asynchronous in it.
//!
//! Every HTTP request passes through [`watched`], which counts it and keeps what the server said about a failure. So
//! retries are counted, and messages are made of the store's own code and text, never of signed addresses.

mod client;
mod failure;
mod listing;
mod reading;
mod removal;
mod watched;

pub use reading::ObjectStorage;
pub(super) use removal::ObjectRemoval;
