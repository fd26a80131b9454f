//! What is known of objects that were asked for, so that nothing is asked for twice.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use statescope_formats::Error as FormatError;
use statescope_formats::rocksdb::tail::TableTail;

use crate::storage::{Fetched, Location, ObjectMeta, StorageError, StorageErrorKind};

/// The tail of a table as it was decoded, or why it was not.
pub type KnownTail = Result<Arc<TableTail>, FormatError>;

/// Sizes of objects, and tails of tables, by where they are. Several snapshots of one job name the same files.
#[derive(Debug, Default)]
pub struct Known {
    /// The size of the whole object, or why it cannot be read.
    objects: HashMap<Location, Result<u64, StorageError>>,
    /// By object, and where in it the table begins.
    tails: HashMap<(Location, u64), KnownTail>,
}

impl Known {
    /// What the storage would answer: errors, and the sizes of objects of which no byte is wanted.
    pub(super) fn answer(
        &self,
        location: &Location,
        size_only: bool,
    ) -> Option<Result<Fetched, StorageError>> {
        match self.objects.get(location)? {
            Ok(size) if size_only => {
                let meta = ObjectMeta { size: *size, last_modified: None, etag: None };
                Some(Ok(Fetched { bytes: Bytes::new(), meta }))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error.clone())),
        }
    }

    /// Notes what an answer says of an object.
    pub(super) fn note(&mut self, location: &Location, answer: &Result<Fetched, StorageError>) {
        let known = match answer {
            Ok(fetched) => Ok(fetched.meta.size),
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
        self.objects.entry(location.clone()).or_insert(known);
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
