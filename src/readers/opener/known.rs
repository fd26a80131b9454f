//! What is known of objects that were asked for, so that nothing is asked for twice.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use statescope_formats::Error as FormatError;
use statescope_formats::rocksdb::tail::TableTail;

use crate::storage::{Fetched, Location, ObjectMeta, ReadRequest, Span, StorageError, StorageErrorKind};

/// The tail of a table as it was decoded, or why it was not.
pub type KnownTail = Result<Arc<TableTail>, FormatError>;

/// Sizes of objects, tails of tables, and small files, by where they are. Several snapshots of one job name the same
/// files.
#[derive(Debug, Default)]
pub struct Known {
    /// Small files and begins of streams: the materialized part of a changelog is that of many snapshots.
    small: HashMap<ReadRequest, Fetched>,
    /// How many more bytes of them are kept.
    room: u64,
    /// The size of the whole object, or why it cannot be read.
    objects: HashMap<Location, Result<u64, StorageError>>,
    /// By object, and where in it the table begins.
    tails: HashMap<(Location, u64), KnownTail>,
}

impl Known {
    /// Knows nothing yet, and will keep so many bytes of small files.
    #[must_use]
    pub fn keeping(bytes: u64) -> Self {
        Self { room: bytes, ..Self::default() }
    }

    /// What the storage would answer: errors, small files, and the sizes of objects of which no byte is wanted.
    pub(super) fn answer(
        &self,
        request: &ReadRequest,
        size_only: bool,
    ) -> Option<Result<Fetched, StorageError>> {
        match self.objects.get(&request.location)? {
            Ok(size) if size_only => {
                let meta = ObjectMeta { size: *size, last_modified: None, etag: None };
                Some(Ok(Fetched { bytes: Bytes::new(), meta }))
            }
            Ok(_) => self.small.get(request).cloned().map(Ok),
            Err(error) => Some(Err(error.clone())),
        }
    }

    /// Notes what an answer says of an object.
    pub(super) fn note(&mut self, request: &ReadRequest, answer: &Result<Fetched, StorageError>) {
        let known = match answer {
            Ok(fetched) => {
                let bytes = fetched.bytes.len() as u64;
                // Tails are kept as what they say.
                if !matches!(request.span, Span::Suffix(_)) && bytes <= self.room {
                    self.room -= bytes;
                    self.small.insert(request.clone(), fetched.clone());
                }
                Ok(fetched.meta.size)
            }
            // What is wrong with a request says nothing of the next one.
            Err(error)
                if matches!(
                    error.kind(),
                    StorageErrorKind::ShortRead { .. }
                        | StorageErrorKind::TooLarge { .. }
                        | StorageErrorKind::InvalidRange { .. }
                        | StorageErrorKind::Other
                ) =>
            {
                return;
            }
            Err(error) => Err(error.clone()),
        };
        self.objects.entry(request.location.clone()).or_insert(known);
    }

    /// What is known of an object.
    pub(super) fn object(&self, location: &Location) -> Option<&Result<u64, StorageError>> {
        self.objects.get(location)
    }

    /// The tail of the table that begins at a place in an object.
    pub(super) fn tail(&self, location: &Location, start: u64) -> Option<&KnownTail> {
        self.tails.get(&(location.clone(), start))
    }

    /// Notes a tail.
    pub(super) fn note_tail(&mut self, location: Location, start: u64, tail: KnownTail) {
        self.tails.insert((location, start), tail);
    }
}
