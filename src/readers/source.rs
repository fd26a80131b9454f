//! Where a stream was found, so that more of it can be read without searching.

use std::ops::Range;

use bytes::Bytes;

use crate::storage::{
    Location, Op, ReadAhead, ReadRequest, SchemeClass, Storage, StorageError, StorageErrorKind,
};

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

/// What is read from the page cache is to be decoded while it is still in the processor's own.
const LOCAL_PIECE: u64 = 128 << 10;

impl Source {
    /// How many bytes are best read at once, up to some number, where all are to be read one after the other.
    #[must_use]
    pub fn piece(&self, most: u64) -> u64 {
        match self {
            Self::Object { location, .. } if location.class() == SchemeClass::Local => most.min(LOCAL_PIECE),
            _ => most,
        }
    }

    /// Whether it is worth announcing what will be read of it.
    #[must_use]
    pub fn is_read_ahead(&self) -> bool {
        matches!(self, Self::Object { location, .. } if ReadAhead::serves(location))
    }

    /// What [`read`](Self::read) asks a store for; nothing of what is in memory.
    #[must_use]
    pub fn request(&self, range: Range<u64>) -> Option<ReadRequest> {
        let Self::Object { location, start } = self else { return None };
        let moved = start.saturating_add(range.start)..start.saturating_add(range.end);
        Some(ReadRequest::range(location.clone(), moved))
    }

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
