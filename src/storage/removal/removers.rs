//! The store that a location's scheme leads to, and the limits that are put on all of them.

use super::{LocalRemoval, PartFn, Removal, Removed, RemovedFn, Versioning, transfer};
use crate::storage::objects::ObjectRemoval;
use crate::storage::{
    Access, Location, Meter, ObjectMeta, Op, Result, SchemeClass, Storage, StorageError, StorageErrorKind,
    Stores,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All places whose objects can be removed in a run: each location by the store of its [`SchemeClass`].
///
/// It is limited to the roots that it was given: nothing that does not lie below one of them is removed, whatever is asked
/// for. What is copied and written may lie elsewhere, since nothing is overwritten; [`put`](Removal::put) may not.
#[derive(Debug)]
pub struct Removers {
    by_class: BTreeMap<SchemeClass, Arc<dyn Removal>>,
    /// For copies from one store to another.
    reading: Arc<dyn Storage>,
    roots: Vec<Location>,
}

impl Removers {
    /// No store yet; objects are removed below `roots` only, and read from `reading` where they are copied from one
    /// store to another. That is no [`Cached`](crate::storage::Cached): what is copied is what is there.
    #[must_use]
    pub fn new(reading: Arc<dyn Storage>, roots: Vec<Location>) -> Self {
        Self { by_class: BTreeMap::new(), reading, roots }
    }

    /// Local disk and all object stores, reached as told, and counted by `meter`; objects are removed below `roots` only.
    #[must_use]
    pub fn all(access: &Access, roots: Vec<Location>, meter: &Arc<Meter>) -> Self {
        let reading = Arc::new(Stores::all(access.clone(), None, Arc::clone(meter)));
        let local = LocalRemoval::new(roots.clone(), Arc::clone(meter));
        let objects = Arc::new(ObjectRemoval::new(access.clone(), Arc::clone(meter)));
        let mut removers = Self::new(reading, roots).with(SchemeClass::Local, Arc::new(local));
        for class in [SchemeClass::S3, SchemeClass::Gcs, SchemeClass::Azure] {
            removers = removers.with(class, objects.clone());
        }
        removers
    }

    /// Removes the locations of a class in a store.
    #[must_use]
    pub fn with(mut self, class: SchemeClass, removal: Arc<dyn Removal>) -> Self {
        self.by_class.insert(class, removal);
        self
    }

    fn of(&self, op: Op, location: &Location) -> Result<&Arc<dyn Removal>> {
        self.by_class
            .get(&location.class())
            .ok_or_else(|| StorageError::new(StorageErrorKind::Unsupported, op, location.clone()))
    }

    /// The store of a location that may be removed or replaced.
    fn within(&self, op: Op, location: &Location) -> Result<&Arc<dyn Removal>> {
        if self.roots.iter().any(|root| location != root && location.starts_with(root)) {
            return self.of(op, location);
        }
        let error = StorageError::new(StorageErrorKind::PermissionDenied, op, location.clone());
        Err(error
            .with_message("it does not lie below any root of this run")
            .with_remedy("name its root, too"))
    }
}

impl Removal for Removers {
    fn remove(&self, locations: &[Location], each: &mut RemovedFn<'_>) {
        let mut begin = 0;
        while let Some(first) = locations.get(begin) {
            let rest = locations.get(begin..).unwrap_or_default();
            let removal = match self.within(Op::Delete, first) {
                Ok(removal) => removal,
                Err(error) => {
                    if each(begin, Err(error)).is_break() {
                        return;
                    }
                    begin += 1;
                    continue;
                }
            };
            let is_alike = |location: &&Location| {
                location.class() == first.class() && self.within(Op::Delete, location).is_ok()
            };
            let count = rest.iter().take_while(is_alike).count();
            let mut is_over = false;
            removal.remove(rest.get(..count).unwrap_or_default(), &mut |index, outcome| {
                let flow = each(begin + index, outcome);
                is_over = flow.is_break();
                flow
            });
            if is_over {
                return;
            }
            begin += count;
        }
    }

    fn remove_directory(&self, directory: &Location) -> Result<Removed> {
        self.within(Op::Delete, directory)?.remove_directory(directory)
    }

    fn copy(&self, from: &Location, to: &Location) -> Result<ObjectMeta> {
        let removal = self.of(Op::Copy, to)?;
        if from.same_store(to) {
            match removal.copy(from, to) {
                Err(error) if matches!(error.kind(), StorageErrorKind::TooLarge { .. }) => {}
                answer => return answer,
            }
        }
        transfer(&self.reading, from, |size, part| removal.write_new(to, size, part))
    }

    fn write_new(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> Result<ObjectMeta> {
        self.of(Op::Put, location)?.write_new(location, size, part)
    }

    fn put(&self, location: &Location, bytes: Bytes) -> Result<ObjectMeta> {
        self.within(Op::Put, location)?.put(location, bytes)
    }

    fn versioning(&self, root: &Location) -> Result<Versioning> {
        self.of(Op::Head, root)?.versioning(root)
    }
}
