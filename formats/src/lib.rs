//! Pure decoders for what Apache Flink and RocksDB leave on storage: bytes in, structs out.
//!
//! Nothing here does I/O, reads a clock, starts a thread or logs. Every decoder takes bytes and the
//! absolute offset they were read from, and returns a structure or an [`Error`] that names the rule
//! that was broken, the value found, the absolute offset and the path of fields that led there.
//! No length or count from the bytes is believed before it has been checked against what remains
//! and against [`Limits`].
//!
//! * [`java`]: Java's `DataOutput` strings and object serialization streams.
//! * [`flink`]: `_metadata`, state handles, backend meta data, serializer snapshots; keys and values of keyed state.
//! * [`rocksdb`]: MANIFEST, CURRENT, OPTIONS, and the blocks of block-based tables.
#![forbid(unsafe_code)]

mod cursor;
mod error;

pub mod flink;
pub mod java;
pub mod rocksdb;

pub use cursor::{Cursor, Limits};
pub use error::{Error, ErrorKind, PathSegment, Result, ResultExt};
