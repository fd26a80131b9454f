//! In-flight data of unaligned checkpoints: files of channel state, and the stream of elements in the buffers of a channel.
//!
//! ```text
//! i32 0                                the version
//! chunks, at the offsets of handles
//!     i32 n, n bytes                   one network buffer, or what a task had left of one
//! ```
//!
//! Integers are big-endian. Several subtasks write one file, so chunks of many channels come one after the other; the offsets of a
//! channel are in the order of delivery. Specified by Flink's `ChannelStateSerializerImpl` and `ChannelStateCheckpointWriter`; the same since 1.11.
//!
//! The bytes of a channel's chunks, one after the other, are the stream that its receiver reads:
//!
//! ```text
//! i32 n (≥ 1)
//! u8 tag, n - 1 bytes
//!     0  i64 timestamp, record         StreamRecord with a timestamp, in milliseconds; the record by its own serializer
//!     1  record                        StreamRecord without one
//!     2  i64 timestamp                 Watermark
//!     3  i64 time, 16 bytes id, i32    LatencyMarker: when, of which operator and subtask
//!     4  i32 0 or -1                   WatermarkStatus: active or idle
//!     5  u8 0 or 1                     RecordAttributes (≥ 1.19): whether records are backlog
//!     6  i32 subpartition, i64 time    Watermark of one subpartition (≥ 1.19)
//!     7  utf class, bytes              GeneralizedWatermark (≥ 2.0)
//! ```
//!
//! Specified by `RecordWriter`, `SpanningWrapper` and `StreamElementSerializer`. Events such as barriers are never in it. An element
//! may span buffers.
//!
//! # Where a channel begins and ends
//!
//! Of an input channel, the task first writes what its deserializer has not used up, the part of an element that it has
//! with its length included, and then the buffers that came before the barrier (`getUnconsumedBuffer`, `ChannelStatePersister`). So an input channel
//! begins with an element, and may end inside of one. A result subpartition ends with an element, since a barrier is put behind whole ones; it may
//! begin inside of one, whose begin the receiver has. Nothing in a snapshot says which subpartition leads to which channel, so the two parts cannot be
//! put together; [`find_begin`] finds the first whole element.
//!
//! The type of records is not in a snapshot.

mod begin;
mod element;
#[cfg(test)]
mod tests;

pub use begin::{Begin, find_begin};
pub use element::{Element, ElementReader, Tail};

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};

/// Bytes before the first chunk.
pub const HEADER: u64 = 4;

/// Bytes before the data of a chunk.
pub const CHUNK_HEADER: u64 = 4;

/// Checks the version at the begin of a file.
///
/// # Errors
/// It is not 0, or there are not so many bytes.
pub fn check_version(bytes: &[u8]) -> Result<()> {
    match Cursor::new(bytes).i32()? {
        0 => Ok(()),
        found => {
            let kind =
                ErrorKind::UnknownVersion { what: "channel state file", found: found.into(), known: "0" };
            Err(Error::new(kind, 0))
        }
    }
}

/// The length of the data of the chunk that begins at `offset` with these bytes; `room` is what follows its length in the file.
///
/// # Errors
/// It is negative or more than there is room for, or there are not so many bytes.
pub fn chunk_length(bytes: &[u8], offset: u64, room: u64) -> Result<u64> {
    let found = Cursor::at(bytes, offset).i32()?;
    match u64::try_from(found) {
        Ok(length) if length <= room => Ok(length),
        _ => {
            let kind =
                ErrorKind::BadCount { what: "length of a network buffer", found: found.into(), max: room };
            Err(Error::new(kind, offset))
        }
    }
}
