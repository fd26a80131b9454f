//! Renders results, and computes nothing: tables for people, JSON for programs.

pub mod analysis;
mod channels;
pub mod json;
pub mod offsets;
pub mod overview;
mod places;
pub mod prune;
pub mod root;
mod selection;
mod table;
pub use table::Layout;
pub mod units;
pub mod verify;
