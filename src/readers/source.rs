//! Where a stream was found, so that more of it can be read without searching.

use std::ops::Range;

use bytes::Bytes;

use crate::storage::{Location, Op, Storage, StorageError, StorageErrorKind};

/// Where the bytes of a state file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In memory: inlined in `_metadata`.
    Memory {
        /// All of them.
        bytes: Bytes,
        /// Where `_metadata` lies, for messages.
        metadata: Location,
    },
    /// In an object.
    Object {
        /// The object.
        location: Location,
        /// Where in the object the stream begins: not 0 for a part of a merged file.
        start: u64,
    },
}

impl Source {
    /// Reads a range of the stream, exactly, in one request.
    ///
    /// # Errors
    /// As [`Storage::read`]; [`StorageErrorKind::ShortRead`] for what is not in memory.
    pub fn read(&self, storage: &dyn Storage, range: Range<u64>) -> Result<Bytes, StorageError> {
        match self {
            Self::Object { location, start } => {
                let moved = start.saturating_add(range.start)..start.saturating_add(range.end);
                storage.read_range(location, moved)
            }
            Self::Memory { bytes, metadata } => {
                let start = usize::try_from(range.start).unwrap_or(usize::MAX);
                let end = usize::try_from(range.end).unwrap_or(usize::MAX);
                if start <= end && end <= bytes.len() {
                    return Ok(bytes.slice(start..end));
                }
                let (expected, got) = (range.end, bytes.len() as u64);
                let kind = StorageErrorKind::ShortRead { expected, got };
                Err(StorageError::new(kind, Op::Range, metadata.clone()))
            }
        }
    }
}
