//! Bytes and listings from wherever Flink left them.
//!
//! [`Storage`] is the one interface through which everything else reads: local disk
//! ([`LocalStorage`]), memory ([`MemoryStorage`], for tests and benches), and whatever store a scheme
//! leads to ([`Stores`]). [`Metered`] counts and logs the requests of any of them, [`Cached`] keeps what was read for
//! later runs, [`ReadAhead`] reads what will be asked for.
//!
//! # The contract
//!
//! * **Synchronous and thread-safe.** A store that works asynchronously hides that behind this
//!   trait. Concurrency is asked for with [`Storage::read_each`] or [`Storage::read_many`], bounded by
//!   [`InFlight`].
//! * **Exact.** Bytes that are returned are the bytes that were asked for, all of them. A body that is too
//!   short, a range that ends behind the object, an object above the caller's limit: each is an error
//!   that says what was expected and what was found, and the last is found before the body is read.
//! * **One call, one request**, but for an empty range or suffix: that costs a `HEAD`, since stores refuse
//!   such ranges. A listing costs one request a page.
//! * **Directories exist by what is in them.** An object store cannot tell an empty directory from none;
//!   where there are directories, or markers for them, an empty one exists.
//! * **A listing is complete or an error**, in ascending order of keys ([`Storage::list`]).
//! * **Errors are for acting on**: [`StorageErrorKind`] says what kind, the text says what, where and
//!   what can be done.
//! * **Read only.** [`Storage`] neither removes nor writes, and no store of it leads to something that does. What does
//!   is [`removal`], apart from all of this.
//!
//! # Example
//!
//! ```
//! use statescope::storage::{InFlight, Location, MemoryStorage, Metered, ReadRequest, Storage};
//!
//! let directory = Location::parse("s3a://bucket/job/chk-1")?;
//! let memory = MemoryStorage::new();
//! memory.put(&directory.join("_metadata")?, "0123456789");
//!
//! let storage = Metered::new(memory);
//! let (tail, size) = storage.read_suffix(&Location::parse("s3://bucket//job/chk-1/_metadata")?, 4)?;
//! assert_eq!((&tail[..], size), (&b"6789"[..], 10));
//!
//! let requests = [ReadRequest::range(directory.join("_metadata")?, 0..2)];
//! for answer in storage.read_many(&requests, InFlight::default()) {
//!     assert_eq!(answer?.bytes, "01");
//! }
//! assert_eq!(storage.meter().counts().requests(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod ahead;
mod buffers;
mod cache;
mod error;
mod flink_conf;
mod identity;
mod local;
mod memory;
mod metered;
mod objects;
mod parallel;
mod request;
mod stores;

pub mod location;
pub mod removal;

pub use access::Access;
pub use ahead::{Close, ReadAhead, Within};
pub use cache::{CacheDirectory, Cached};
pub use error::{Result, StorageError, StorageErrorKind};
pub use flink_conf::FlinkConf;
pub use local::LocalStorage;
pub use location::{Location, LocationError, LocationErrorKind, SchemeClass};
pub use memory::{Fault, MemoryStorage};
pub use metered::{Counts, Meter, Metered, RequestRecord};
pub use objects::ObjectStorage;
pub use request::{
    AfterKey, Fetched, InFlight, ListEntry, ListScope, ObjectMeta, Op, Probe, ReadRequest, Span,
};
pub use stores::Stores;

use bytes::Bytes;
use std::fmt::Debug;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// A place that objects are read from; the [module](self) states the contract.
///
/// An implementation gives [`head`](Self::head), [`read`](Self::read) and [`list`](Self::list), and
/// [`read_each`](Self::read_each) if it knows a better way to have many requests in flight than a
/// thread for each. The other methods are shorthands for these.
pub trait Storage: Debug + Send + Sync {
    /// Size, time and tag of an object.
    ///
    /// # Errors
    /// [`NotFound`](StorageErrorKind::NotFound) if there is no object; a store that knows directories says
    /// [`IsDirectory`](StorageErrorKind::IsDirectory) for one.
    fn head(&self, location: &Location) -> Result<ObjectMeta>;

    /// Reads a part of an object in one request, and says what the object is.
    ///
    /// # Errors
    /// As [`head`](Self::head); [`ShortRead`](StorageErrorKind::ShortRead) if the object or the body ends before
    /// the range does; [`TooLarge`](StorageErrorKind::TooLarge) before more than the limit of
    /// [`Span::Full`] is read.
    fn read(&self, location: &Location, span: &Span) -> Result<Fetched>;

    /// Lists what lies below a directory, page by page, each page one request's answer and none
    /// empty.
    ///
    /// Entries come in ascending order of keys, by bytes, over all pages; a directory's key ends in a
    /// slash. So `a-b` comes before what lies in `a/`, as it does in an object store. A name that
    /// no location can spell is told as [`ListEntry::Unaddressable`], never left out. A zero-size
    /// object that only marks a directory (`a/`) is no entry.
    ///
    /// `Ok` means that the listing went to its end or that `page` broke it off.
    ///
    /// # Errors
    /// [`NotFound`](StorageErrorKind::NotFound) if nothing is there; for an object,
    /// [`NotADirectory`](StorageErrorKind::NotADirectory) or `NotFound`. Any part that cannot be listed fails the
    /// whole, whatever pages were handed out before.
    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()>;

    /// Lists all objects below a directory whose keys are greater than `after`, as [`list`](Self::list) does with
    /// [`ListScope::Recursive`]: ascending, page by page. So several can list one large directory at once, each
    /// from where another will break off.
    ///
    /// `after` is a key relative to the directory, of an object or of none, compared by bytes; if it is empty,
    /// all objects come. Behind it there may be nothing, which is no error, and says nothing about the directory.
    ///
    /// A store that cannot do it says so, at the latest after its first page and before any is handed out; then
    /// [`list`](Self::list) is what remains. That is so for local disk, web servers and Azure, and for a server that
    /// disregards where it is to begin.
    ///
    /// # Errors
    /// As [`list`](Self::list); also if the store lists out of the order of keys, since then whoever breaks off
    /// misses what comes late.
    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        let _ = (directory, after, page);
        Ok(AfterKey::Unsupported)
    }

    /// What time it is by the clock of the store that a location lies in, in milliseconds since 1970; none if that is
    /// this machine's clock. It is the clock that [`ObjectMeta::last_modified`] is of.
    ///
    /// Each call asks anew, with one request ([`Op::List`]), and no cache answers it. Servers tell whole seconds,
    /// rounded down.
    ///
    /// # Errors
    /// The store does not tell, or cannot be asked.
    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        let error = StorageError::new(StorageErrorKind::Other, Op::List, location.clone());
        Err(error.with_message("this store does not tell what time it is"))
    }

    /// Reads many at once and hands out each answer **in the order of the requests**, together with
    /// its index, until all are done or `each` breaks off.
    ///
    /// At most `in_flight.requests` are being read at any time, and what is being read or waits to be
    /// handed out is held near `in_flight.bytes`. One failure does not stop the others. After a break
    /// nothing more is asked for, but what is under way is waited for.
    fn read_each(&self, requests: &[ReadRequest], in_flight: InFlight, each: &mut EachFn<'_>) {
        parallel::read_each(
            &|request| self.read(&request.location, &request.span),
            requests,
            in_flight,
            each,
        );
    }

    /// Reads many at once; answers come in the order of the requests.
    fn read_many(&self, requests: &[ReadRequest], in_flight: InFlight) -> Vec<Result<Fetched>> {
        let mut answers = Vec::with_capacity(requests.len());
        self.read_each(requests, in_flight, &mut |_, answer| {
            answers.push(answer);
            ControlFlow::Continue(())
        });
        answers
    }

    /// Reads a range of bytes, exactly.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_range(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        Ok(self.read(location, &Span::Range(range))?.bytes)
    }

    /// Reads the last `length` bytes, or the whole of a shorter object, and tells the object's size.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_suffix(&self, location: &Location, length: u64) -> Result<(Bytes, u64)> {
        let fetched = self.read(location, &Span::Suffix(length))?;
        Ok((fetched.bytes, fetched.meta.size))
    }

    /// Reads a whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_all(&self, location: &Location, limit: u64) -> Result<Bytes> {
        Ok(self.read(location, &Span::Full { limit })?.bytes)
    }

    /// All entries of a listing.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn list_all(&self, directory: &Location, scope: ListScope) -> Result<Vec<ListEntry>> {
        let mut entries = Vec::new();
        self.list(directory, scope, &mut |page| {
            entries.extend(page);
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    /// What is at a location: an object, a directory or nothing. Costs a `HEAD` and, if there is no
    /// object, one page of a listing.
    ///
    /// # Errors
    /// The store did not answer the question; that nothing is there is no error.
    fn probe(&self, location: &Location) -> Result<Probe> {
        match self.head(location) {
            Ok(meta) => return Ok(Probe::Object(meta)),
            Err(e) if *e.kind() == StorageErrorKind::IsDirectory => return Ok(Probe::Directory),
            Err(e) if *e.kind() == StorageErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match self.list(location, ListScope::Children, &mut |_| ControlFlow::Break(())) {
            Ok(()) => Ok(Probe::Directory),
            Err(e) => match e.kind() {
                StorageErrorKind::NotFound | StorageErrorKind::NotADirectory => Ok(Probe::Nothing),
                _ => Err(e),
            },
        }
    }
}

/// Takes a page of a listing, and says whether to go on.
pub type PageFn<'a> = dyn FnMut(Vec<ListEntry>) -> ControlFlow<()> + 'a;

/// Takes the answer to the request with this index, and says whether to go on.
pub type EachFn<'a> = dyn FnMut(usize, Result<Fetched>) -> ControlFlow<()> + 'a;

/// What only points to a store is that store.
macro_rules! storage_through {
    ($pointer:ty) => {
        impl<S: Storage + ?Sized> Storage for $pointer {
            fn head(&self, location: &Location) -> Result<ObjectMeta> {
                (**self).head(location)
            }

            fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
                (**self).read(location, span)
            }

            fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
                (**self).list(directory, scope, page)
            }

            fn list_after(
                &self,
                directory: &Location,
                after: &str,
                page: &mut PageFn<'_>,
            ) -> Result<AfterKey> {
                (**self).list_after(directory, after, page)
            }

            fn server_time(&self, location: &Location) -> Result<Option<i64>> {
                (**self).server_time(location)
            }

            fn read_each(&self, requests: &[ReadRequest], in_flight: InFlight, each: &mut EachFn<'_>) {
                (**self).read_each(requests, in_flight, each);
            }
        }
    };
}

storage_through!(&S);
storage_through!(Arc<S>);
