//! What is asked of a store, and what it answers.

use super::{Location, Result, StorageError, StorageErrorKind};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// The kinds of request that a store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Size, time and tag of an object.
    Head,
    /// A range of bytes.
    Range,
    /// The last bytes.
    Suffix,
    /// A whole object.
    Full,
    /// A page of a listing.
    List,
    /// The removal of objects, of as many as go into one request.
    Delete,
    /// A copy that the store makes.
    Copy,
    /// An object, or a part of one, that is written.
    Put,
}

/// Which bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Span {
    /// From `start` up to, not including, `end`; it must lie within the object.
    Range(Range<u64>),
    /// The last so many bytes; all, if the object is shorter.
    Suffix(u64),
    /// All bytes of an object that has at most `limit`.
    Full {
        /// The largest size that is read.
        limit: u64,
    },
}

impl Span {
    /// Which kind of request asks for this.
    #[must_use]
    pub fn op(&self) -> Op {
        match self {
            Self::Range(_) => Op::Range,
            Self::Suffix(_) => Op::Suffix,
            Self::Full { .. } => Op::Full,
        }
    }

    /// Whether no byte is asked for, so that a store is asked for the object's meta data only.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Range(range) => range.start == range.end,
            Self::Suffix(length) => *length == 0,
            Self::Full { .. } => false,
        }
    }

    /// How many bytes are asked for; of an object that is not that long, at most.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        match self {
            Self::Range(range) => range.end.saturating_sub(range.start),
            Self::Suffix(length) => *length,
            Self::Full { limit } => *limit,
        }
    }

    /// The bytes that answer this in an object of `size` bytes.
    ///
    /// # Errors
    /// The object has no such bytes, or is larger than the limit.
    pub fn within(&self, size: u64) -> Result<Range<u64>, StorageErrorKind> {
        match *self {
            Self::Range(Range { start, end }) if start > end => {
                Err(StorageErrorKind::InvalidRange { start, end })
            }
            Self::Range(Range { start, end }) if end > size => {
                Err(StorageErrorKind::ShortRead { expected: end - start, got: size.saturating_sub(start) })
            }
            Self::Range(Range { start, end }) => Ok(start..end),
            Self::Suffix(length) => Ok(size.saturating_sub(length)..size),
            Self::Full { limit } if size > limit => Err(StorageErrorKind::TooLarge { size, limit }),
            Self::Full { .. } => Ok(0..size),
        }
    }
}

/// One of many reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReadRequest {
    /// The object.
    pub location: Location,
    /// Its bytes.
    pub span: Span,
}

impl ReadRequest {
    /// Asks for a range of bytes.
    #[must_use]
    pub fn range(location: Location, range: Range<u64>) -> Self {
        Self { location, span: Span::Range(range) }
    }

    /// Asks for the last bytes.
    #[must_use]
    pub fn suffix(location: Location, length: u64) -> Self {
        Self { location, span: Span::Suffix(length) }
    }

    /// Asks for a whole object of at most `limit` bytes.
    #[must_use]
    pub fn full(location: Location, limit: u64) -> Self {
        Self { location, span: Span::Full { limit } }
    }
}

/// What a store knows of an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Length in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock, in milliseconds since 1970.
    pub last_modified: Option<i64>,
    /// A text that changes when the object does. Compared, never interpreted.
    pub etag: Option<Arc<str>>,
}

/// Bytes of an object, with what the same answer told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes asked for, all of them.
    pub bytes: Bytes,
    /// The whole object's size, time and tag.
    pub meta: ObjectMeta,
}

impl Fetched {
    /// Accepts a body only if it has exactly the bytes that were asked for.
    ///
    /// Every store passes its answers through here: a proxy or a client library may clip a body
    /// without an error.
    ///
    /// # Errors
    /// The body or the object is too short, the body too long, or the object larger than the limit.
    pub fn checked(location: &Location, span: &Span, bytes: Bytes, meta: ObjectMeta) -> Result<Self> {
        let fail = |kind| StorageError::new(kind, span.op(), location.clone());
        let range = span.within(meta.size).map_err(fail)?;
        let expected = range.end - range.start;
        let got = bytes.len() as u64;
        match got.cmp(&expected) {
            Ordering::Equal => Ok(Self { bytes, meta }),
            Ordering::Less => Err(fail(StorageErrorKind::ShortRead { expected, got })),
            Ordering::Greater => Err(fail(StorageErrorKind::Other)
                .with_message(format!("{got} bytes came where {expected} were asked for"))),
        }
    }
}

/// What is at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An object.
    Object(ObjectMeta),
    /// A directory: something lies below, or the store knows of an empty one.
    Directory,
    /// Neither.
    Nothing,
}

/// How deep a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListScope {
    /// Objects and directories directly in the directory.
    Children,
    /// All objects below, at any depth, and no directories.
    Recursive,
}

/// Whether a store lists from a key on ([`Storage::list_after`](super::Storage::list_after)).
#[must_use = "what was not listed is not empty"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterKey {
    /// It went to the end, or was broken off.
    Listed,
    /// The store cannot do it; no page was handed out.
    Unsupported,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListEntry {
    /// An object.
    Object(Location, ObjectMeta),
    /// A directory; only from [`ListScope::Children`]. An object store can hold an object of the same name.
    Directory(Location),
    /// Something that exists and cannot be read by name. Whoever deletes must not take the listing for
    /// whole without looking at these.
    Unaddressable {
        /// The directory that it was found in.
        directory: Location,
        /// Its name below that directory, as far as it can be shown.
        name: String,
        /// Why it is no object and no directory here.
        reason: &'static str,
    },
}

impl ListEntry {
    /// The location, if there is one.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Object(location, _) | Self::Directory(location) => Some(location),
            Self::Unaddressable { .. } => None,
        }
    }
}

/// How much may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// Requests that are being read; zero counts as one.
    pub requests: usize,
    /// Bytes that are being read or wait to be handed out. A single request may exceed it, alone; a
    /// whole object's size is only known when it arrives.
    pub bytes: u64,
}

impl InFlight {
    /// Bounds for requests and bytes.
    #[must_use]
    pub const fn new(requests: usize, bytes: u64) -> Self {
        Self { requests, bytes }
    }
}

impl Default for InFlight {
    /// Enough to hide the latency of a store, little enough for a small machine.
    fn default() -> Self {
        Self::new(32, 256 << 20)
    }
}
