//! Objects of a store in memory, with its faults.

use super::{PART, PartFn, Removal, Removed, RemovedFn, Versioning, parts, whole};
use crate::storage::{
    Location, MemoryStorage, Meter, ObjectMeta, Op, Result, StorageError, StorageErrorKind,
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Changes what is in a [`MemoryStorage`], for tests. What is to go wrong, that store is told; each request that removes
/// objects counts as one there.
#[derive(Debug)]
pub struct MemoryRemoval {
    storage: Arc<MemoryStorage>,
    meter: Arc<Meter>,
    batch: usize,
    versioning: Versioning,
    most_copied: u64,
}

impl MemoryRemoval {
    /// Changes a store, and counts that with `meter`; 1000 objects go into a request that removes.
    #[must_use]
    pub fn new(storage: Arc<MemoryStorage>, meter: Arc<Meter>) -> Self {
        Self { storage, meter, batch: 1000, versioning: Versioning::Off, most_copied: u64::MAX }
    }

    /// Removes so many objects by one request; zero counts as one.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }

    /// Says this about versions. None are kept, whatever it says.
    #[must_use]
    pub fn with_versioning(mut self, versioning: Versioning) -> Self {
        self.versioning = versioning;
        self
    }

    /// Copies no object that is larger.
    #[must_use]
    pub fn with_most_copied(mut self, bytes: u64) -> Self {
        self.most_copied = bytes;
        self
    }

    fn recorded<T>(&self, op: Op, location: &Location, answer: Result<T>) -> Result<T> {
        self.meter.record_bare(op, location, answer.is_err());
        answer
    }
}

impl Removal for MemoryRemoval {
    fn remove(&self, locations: &[Location], each: &mut RemovedFn<'_>) {
        let mut index = 0;
        for batch in locations.chunks(self.batch) {
            let number = self.storage.begin();
            let take = |location: &Location| {
                let was_there = self.storage.take(number, location)?;
                Ok(if was_there { Removed::Removed } else { Removed::NotThere })
            };
            let outcomes: Vec<_> = batch.iter().map(take).collect();
            if let Some(first) = batch.first() {
                self.meter.record_bare(Op::Delete, first, outcomes.iter().all(Result::is_err));
            }
            for outcome in outcomes {
                if each(index, outcome).is_break() {
                    return;
                }
                index += 1;
            }
        }
    }

    fn remove_directory(&self, directory: &Location) -> Result<Removed> {
        let was_there = self.recorded(Op::Delete, directory, self.storage.take_directory(directory))?;
        Ok(if was_there { Removed::Removed } else { Removed::NotThere })
    }

    fn copy(&self, from: &Location, to: &Location) -> Result<ObjectMeta> {
        let copy = || {
            let bytes = self.storage.bytes_of(Op::Copy, from)?;
            let (size, limit) = (bytes.len() as u64, self.most_copied);
            if size > limit {
                let kind = StorageErrorKind::TooLarge { size, limit };
                return Err(StorageError::new(kind, Op::Copy, from.clone()));
            }
            self.storage.write(Op::Copy, to, &bytes, true)
        };
        self.recorded(Op::Copy, to, copy())
    }

    fn write_new(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> Result<ObjectMeta> {
        if self.storage.bytes_of(Op::Put, location).is_ok() {
            let error = StorageError::new(StorageErrorKind::AlreadyExists, Op::Put, location.clone());
            return self.recorded(Op::Put, location, Err(error));
        }
        let mut bytes = BytesMut::new();
        for range in parts(size, size.div_ceil(PART)) {
            bytes.extend_from_slice(&whole(location, part, range)?);
        }
        self.recorded(Op::Put, location, self.storage.write(Op::Put, location, &bytes.freeze(), true))
    }

    fn put(&self, location: &Location, bytes: Bytes) -> Result<ObjectMeta> {
        self.recorded(Op::Put, location, self.storage.write(Op::Put, location, &bytes, false))
    }

    fn versioning(&self, root: &Location) -> Result<Versioning> {
        self.recorded(Op::Head, root, self.storage.request(Op::Head, root))?;
        Ok(self.versioning)
    }
}
