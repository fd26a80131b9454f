//! What Java itself writes: `DataOutput` strings and object serialization streams.

pub mod mutf8;
pub mod stream;
