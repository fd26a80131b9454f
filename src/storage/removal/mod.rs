//! What changes stores: objects are removed, copied and written here, and nowhere else.
//!
//! It stands apart from [`Storage`]: no store that is read from leads here, and only what executes a
//! plan may name this module. [`Removers`] leads to the stores by their schemes, as [`Stores`](super::Stores) does for
//! reading; [`LocalRemoval`] and [`MemoryRemoval`] are two of them, and object stores have theirs.
//!
//! # The contract
//!
//! * **Nothing is overwritten**, but by [`Removal::put`], which is there for that.
//! * **Only what is named goes.** No prefix and no pattern is ever expanded, and no directory removed with what is in it.
//! * **No version is removed.** In a bucket that keeps versions, a removal leaves a marker, and the object can be had back.
//! * **A failure does not say that nothing happened**, if it is one that may pass ([`StorageErrorKind::is_transient`]), or
//!   an [`Other`](StorageErrorKind::Other): the answer may have been lost on its way, or be one that nobody understands.
//!   Whoever must know looks again.
//! * **Nobody is waited for.** How many requests are made in what time is up to the caller.
//! * Requests are counted by a [`Meter`](super::Meter), retries as they are when reading.
//!
//! [`StorageErrorKind::is_transient`]: super::StorageErrorKind::is_transient

mod local;
mod memory;
mod removers;

pub use local::LocalRemoval;
pub use memory::MemoryRemoval;
pub use removers::Removers;

use super::{Location, ObjectMeta, Op, Result, Span, Storage, StorageError, StorageErrorKind};
use bytes::Bytes;
use std::fmt::Debug;
use std::ops::{ControlFlow, Range};

/// A place whose objects can be removed, copied and written; the [module](self) states the contract.
pub trait Removal: Debug + Send + Sync {
    /// Removes objects, each named once, and hands out what became of each **in the order of the locations**, together
    /// with its index, until all are done or `each` breaks off. Stores that can are asked for many at once.
    ///
    /// One failure does not stop the others. After a break no further request is made; what was asked for in the same
    /// request as what was handed out, or at the same time, happens all the same.
    fn remove(&self, locations: &[Location], each: &mut RemovedFn<'_>);

    /// Removes objects, and tells what became of each, in the order of the locations.
    fn remove_all(&self, locations: &[Location]) -> Vec<Result<Removed>> {
        let mut outcomes = Vec::with_capacity(locations.len());
        self.remove(locations, &mut |_, outcome| {
            outcomes.push(outcome);
            ControlFlow::Continue(())
        });
        outcomes
    }

    /// Removes a directory in which nothing is. Object stores have none: there, nothing is done.
    ///
    /// # Errors
    /// [`NotEmpty`](StorageErrorKind::NotEmpty) if something is in it; [`NotADirectory`](StorageErrorKind::NotADirectory)
    /// for an object or a symbolic link.
    fn remove_directory(&self, directory: &Location) -> Result<Removed> {
        let _ = directory;
        Ok(Removed::NotThere)
    }

    /// Copies an object within the store, and tells what the copy is: the store was asked about it afterwards. Whoever
    /// is going to remove the source compares the two.
    ///
    /// # Errors
    /// [`AlreadyExists`](StorageErrorKind::AlreadyExists) if there is an object already;
    /// [`TooLarge`](StorageErrorKind::TooLarge) if the store does not copy an object of that size by itself
    /// ([`Removers`] reads and writes it then).
    fn copy(&self, from: &Location, to: &Location) -> Result<ObjectMeta>;

    /// Writes an object of `size` bytes that is not there yet, asking `part` for its bytes: consecutive ranges from the
    /// first to the last, each of a bounded length. It is there whole, or not at all.
    ///
    /// Object stores refuse by themselves to overwrite one that came meanwhile, if it is written in one request, as all of
    /// at most 16 MiB are; a larger one is looked for before it is written.
    ///
    /// # Errors
    /// [`AlreadyExists`](StorageErrorKind::AlreadyExists) if there is an object already; what `part` says.
    fn write_new(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> Result<ObjectMeta>;

    /// Writes an object that is not there yet.
    ///
    /// # Errors
    /// As [`write_new`](Self::write_new). After a failure that may pass, the object may be there; who wrote it, its bytes
    /// tell.
    fn put_new(&self, location: &Location, bytes: Bytes) -> Result<ObjectMeta> {
        self.write_new(location, bytes.len() as u64, &mut |range| Ok(slice(&bytes, range)))
    }

    /// Writes an object, in place of one that may be there.
    ///
    /// # Errors
    /// It could not be written.
    fn put(&self, location: &Location, bytes: Bytes) -> Result<ObjectMeta>;

    /// Whether the store keeps what is removed or overwritten, in the bucket of a location.
    ///
    /// # Errors
    /// The store could not be asked. That it does not say is no error.
    fn versioning(&self, root: &Location) -> Result<Versioning>;
}

/// Takes what became of the location with this index, and says whether to go on.
pub type RemovedFn<'a> = dyn FnMut(usize, Result<Removed>) -> ControlFlow<()> + 'a;

/// Gives a range of an object's bytes, all of them.
pub type PartFn<'a> = dyn FnMut(Range<u64>) -> Result<Bytes> + 'a;

/// What became of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is not there any more. Some stores (S3) say so, too, of what was not there before.
    Removed,
    /// It was not there.
    NotThere,
}

/// Whether a bucket keeps what is removed or overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It does: a removal frees no bytes until the versions go.
    On,
    /// It did, and keeps those versions; what is written now is not kept.
    Suspended,
    /// It does not: what is removed is gone.
    Off,
    /// The store does not say, or not to this identity.
    Unknown,
}

/// How much of an object is read and written at once.
pub(super) const PART: u64 = 16 << 20;

/// A part of bytes; fewer, where they end.
fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

/// Cuts an object into the parts that it is written in: at most so many, of 16 MiB or more.
pub(super) fn parts(size: u64, most: u64) -> impl Iterator<Item = Range<u64>> {
    // Stores take 10,000 parts and no more.
    let length = PART.max(size.div_ceil(most.max(1)));
    (0..size.div_ceil(length)).map(move |n| n * length..size.min((n + 1) * length))
}

/// Asks for a part, and takes it only if it is whole.
pub(super) fn whole(location: &Location, part: &mut PartFn<'_>, range: Range<u64>) -> Result<Bytes> {
    let (expected, bytes) = (range.end - range.start, part(range)?);
    match bytes.len() as u64 {
        got if got == expected => Ok(bytes),
        got => {
            Err(StorageError::new(StorageErrorKind::ShortRead { expected, got }, Op::Put, location.clone()))
        }
    }
}

/// Reads an object and has it written elsewhere, part by part. One that is replaced meanwhile is an error.
fn transfer(
    storage: &dyn Storage,
    from: &Location,
    write: impl FnOnce(u64, &mut PartFn<'_>) -> Result<ObjectMeta>,
) -> Result<ObjectMeta> {
    let meta = storage.head(from)?;
    write(meta.size, &mut |range| {
        let fetched = storage.read(from, &Span::Range(range))?;
        if fetched.meta.etag != meta.etag || fetched.meta.size != meta.size {
            let error = StorageError::new(StorageErrorKind::Other, Op::Copy, from.clone());
            return Err(error.with_message("it was replaced while it was read"));
        }
        Ok(fetched.bytes)
    })
}

#[cfg(test)]
mod tests;
