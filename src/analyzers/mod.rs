//! Pure accumulators: facts in, figures out. Nothing here reads or prints.

pub mod analysis;
pub mod channels;
pub mod entries;
pub mod offsets;
pub mod overview;
pub mod root;
pub mod verify;
