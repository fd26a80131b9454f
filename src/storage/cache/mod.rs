//! Ranges of objects that were read in earlier runs, kept on local disk.
//!
//! An object is known by its address, its tag and its size; without a tag, by size and time of modification; without
//! these, or with a weak tag and no time, it is not kept. What the tag is today, only the store knows: the first question about an object
//! in a run always goes there, as a `HEAD` if something of the object is kept, else as what was asked for. So an object
//! that is gone or was replaced is noticed, and every later range of it costs a request or a file, whatever is there.
//! Listings and answers about what an object is are never kept.
//!
//! What is kept is verified when it is read, and never believed if it is not whole ([`files`]).

mod files;

use self::files::{Files, Key};
use super::{
    AfterKey, Fetched, ListScope, Location, Meter, ObjectMeta, PageFn, ReadAhead, Result, Span, Storage,
};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A directory in which ranges of objects are kept, of a bounded size. Several processes may use it at once.
#[derive(Debug)]
pub struct CacheDirectory(Files);

impl CacheDirectory {
    /// Keeps at most about `limit` bytes below a directory, which is made if it is not there; what was used longest ago
    /// goes first. `clock` tells what is used when.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(directory: &Path, limit: u64, clock: fn() -> SystemTime) -> std::io::Result<Self> {
        Files::open(directory, limit, clock).map(Self)
    }
}

/// A store of which ranges are kept between runs. Objects on local disk are not.
pub struct Cached<S> {
    inner: S,
    files: Files,
    meter: Arc<Meter>,
    /// What tells stores apart that have the same address: where they are reached.
    endpoint: Box<dyn Fn(&Location) -> String + Send + Sync>,
    /// The same, by the root of the store, once it was asked.
    endpoints: Mutex<HashMap<Location, Arc<str>>>,
    known: Mutex<HashMap<Location, Known>>,
}

/// An object that the store was asked about in this run.
#[derive(Debug, Clone)]
struct Known {
    meta: ObjectMeta,
    /// None if it cannot be told from another that replaced it.
    key: Option<Key>,
    /// What is kept, by its begin: the longest.
    kept: BTreeMap<u64, u64>,
}

impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("inner", &self.inner)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Cached<S> {
    /// Keeps what is read of a store, and counts what it saves with `meter`. `endpoint` says where the store of a
    /// location is reached, if there may be several of that address; it is not written down.
    pub fn new(
        inner: S,
        directory: CacheDirectory,
        meter: Arc<Meter>,
        endpoint: impl Fn(&Location) -> String + Send + Sync + 'static,
    ) -> Self {
        let endpoint = Box::new(endpoint);
        let (endpoints, known) = (Mutex::default(), Mutex::default());
        Self { inner, files: directory.0, meter, endpoint, endpoints, known }
    }

    fn endpoint(&self, location: &Location) -> Arc<str> {
        let root = location.store_root();
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(endpoints.entry(root).or_insert_with(|| (self.endpoint)(location).into()))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Location, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an object is, and returns what is known of it.
    fn learn(&self, location: &Location, meta: &ObjectMeta) -> Known {
        let key = self.key(location, meta);
        if let Some(known) = self.known().get(location).filter(|known| known.key == key) {
            return known.clone();
        }
        let kept = key.as_ref().map(|key| self.files.extents(key)).unwrap_or_default();
        let known = Known { meta: meta.clone(), key, kept };
        self.known().insert(location.clone(), known.clone());
        known
    }

    fn key(&self, location: &Location, meta: &ObjectMeta) -> Option<Key> {
        let tag = meta.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        let version = match (tag, meta.last_modified) {
            (Some(tag), _) => format!("tag {tag}"),
            (None, Some(time)) => format!("time {time}"),
            (None, None) => return None,
        };
        Some(Key::new(&self.endpoint(location), &location.canonical(), &version, meta.size))
    }

    /// What is known of an object, if it is worth asking the store about it before it is read.
    fn look_up(&self, location: &Location) -> Option<Known> {
        if let Some(known) = self.known().get(location) {
            return Some(known.clone());
        }
        if !self.files.has_any(&self.endpoint(location), &location.canonical()) {
            return None;
        }
        // If that is refused, reading says why.
        let meta = self.inner.head(location).ok()?;
        Some(self.learn(location, &meta))
    }

    /// A range of an object, put together of what is kept.
    fn kept(&self, location: &Location, known: &Known, range: &Range<u64>) -> Option<Bytes> {
        let key = known.key.as_ref()?;
        let mut parts: Vec<Bytes> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (start, end) = known
                .kept
                .range(..=at)
                .map(|(start, end)| (*start, *end))
                .filter(|(_, end)| *end > at)
                .max_by_key(|(_, end)| *end)?;
            let Some(bytes) = self.files.read(key, start..end) else {
                // It was not whole, or another process has removed it.
                if let Some(known) = self.known().get_mut(location) {
                    known.kept.remove(&start);
                }
                return None;
            };
            let (from, to) = (at - start, end.min(range.end) - start);
            parts.push(bytes.slice(usize::try_from(from).ok()?..usize::try_from(to).ok()?));
            at = end;
        }
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        if parts.len() == 0 {
            return Some(first);
        }
        let mut whole = BytesMut::from(first);
        parts.for_each(|part| whole.extend_from_slice(&part));
        Some(whole.freeze())
    }

    fn keep(&self, location: &Location, span: &Span, fetched: &Fetched) {
        let known = self.learn(location, &fetched.meta);
        let (Some(key), Ok(range)) = (known.key, span.within(fetched.meta.size)) else { return };
        if self.files.write(&key, range.clone(), &fetched.bytes)
            && let Some(known) =
                self.known().get_mut(location).filter(|known| known.key.as_ref() == Some(&key))
        {
            let end = known.kept.entry(range.start).or_insert(range.end);
            *end = range.end.max(*end);
        }
    }
}

impl<S: Storage> Storage for Cached<S> {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        let meta = self.inner.head(location)?;
        if ReadAhead::serves(location) {
            self.learn(location, &meta);
        }
        Ok(meta)
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        if !ReadAhead::serves(location) || span.is_empty() {
            return self.inner.read(location, span);
        }
        if let Some(known) = self.look_up(location)
            && let Ok(range) = span.within(known.meta.size)
            && let Some(bytes) = self.kept(location, &known, &range)
        {
            self.meter.record_kept(bytes.len() as u64);
            return Fetched::checked(location, span, bytes, known.meta);
        }
        let fetched = self.inner.read(location, span)?;
        self.keep(location, span, &fetched);
        Ok(fetched)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        self.inner.list(directory, scope, page)
    }

    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        self.inner.list_after(directory, after, page)
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        self.inner.server_time(location)
    }
}

#[cfg(test)]
mod tests;
