//! Where a stream was found, so that more of it can be read without searching.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use statescope_formats::Error as FormatError;

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
        /// Bytes of the stream that were read before and need not be asked for again.
        kept: Option<Kept>,
    },
}

/// Bytes of a stream that are in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where in the stream they begin.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}

impl Kept {
    /// A range of the stream, if all of it is here.
    fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.offset)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.offset)?).ok()?;
        (start <= end && end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
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
        let Self::Object { location, start, kept } = self else { return None };
        if kept.as_ref().is_some_and(|kept| kept.slice(&range).is_some()) {
            return None;
        }
        let moved = start.saturating_add(range.start)..start.saturating_add(range.end);
        Some(ReadRequest::range(location.clone(), moved))
    }

    /// How many bytes of a stream of this size a store is asked for.
    #[must_use]
    pub fn missing(&self, size: u64) -> u64 {
        match self {
            Self::Memory { .. } => 0,
            Self::Object { kept: Some(kept), .. } => kept.offset.min(size),
            Self::Object { kept: None, .. } => size,
        }
    }

    /// Reads a range of the stream, exactly, in one request, or in none if it is in memory.
    ///
    /// # Errors
    /// As [`Storage::read`]; [`StorageErrorKind::ShortRead`] for what is not in memory.
    pub fn read(&self, storage: &dyn Storage, range: Range<u64>) -> Result<Bytes, StorageError> {
        match self {
            Self::Object { location, start, kept } => {
                if let Some(bytes) = kept.as_ref().and_then(|kept| kept.slice(&range)) {
                    return Ok(bytes);
                }
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

/// Why bytes cannot be used.
#[derive(Debug, Clone)]
pub enum ReadError {
    /// They cannot be read.
    Storage(StorageError),
    /// They are not what they should be.
    Format(FormatError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Format(error) => error.fmt(f),
        }
    }
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<FormatError> for ReadError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{MemoryStorage, Metered};

    #[test]
    fn what_is_kept_is_not_asked_for() {
        let location = Location::parse("s3://bucket/merged").expect("a place");
        let storage = Metered::with_log(MemoryStorage::new());
        storage.inner().put(&location, "..0123456789");
        let kept = Some(Kept { offset: 6, bytes: Bytes::from_static(b"6789") });
        let source = Source::Object { location: location.clone(), start: 2, kept };
        let read = |range| source.read(&storage, range).expect("bytes");
        for (range, bytes) in [(6..10, "6789"), (7..9, "78"), (10..10, "")] {
            assert_eq!((read(range.clone()), source.request(range)), (bytes.into(), None));
        }
        assert!(storage.meter().take_log().is_empty());
        // What reaches beyond it is asked for as if nothing were kept.
        assert_eq!((&read(5..8)[..], &read(0..6)[..]), (&b"567"[..], &b"012345"[..]));
        assert_eq!(source.request(5..8), Some(ReadRequest::range(location, 7..10)));
        assert!(source.read(&storage, 9..11).is_err());
        assert_eq!(storage.meter().take_log().len(), 3);
        assert_eq!((source.missing(10), source.missing(4)), (6, 4));
    }
}
