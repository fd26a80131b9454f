//! A store in memory, for tests and benches: any scheme, latency, small pages, and faults on demand.

use super::{
    AfterKey, Fetched, ListEntry, ListScope, Location, ObjectMeta, Op, PageFn, Result, Span, Storage,
    StorageError, StorageErrorKind,
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

/// Objects in memory. It behaves like an object store: directories are what keys have in common.
#[derive(Debug)]
pub struct MemoryStorage {
    /// By canonical location; a key that ends in a slash marks an empty directory.
    entries: RwLock<BTreeMap<String, Entry>>,
    faults: Mutex<Faults>,
    latency: Duration,
    page_size: usize,
    lists_after: bool,
    server_time: Mutex<Option<i64>>,
    requests: AtomicU64,
    changes: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
}

#[derive(Debug, Clone)]
struct Entry {
    location: Location,
    bytes: Bytes,
    meta: ObjectMeta,
}

impl Entry {
    /// An object in place of another, whose tag it does not have.
    fn new(location: &Location, bytes: Bytes, last_modified: Option<i64>, old: Option<&ObjectMeta>) -> Self {
        let version = old.and_then(|old| old.etag.as_deref()?.parse::<u64>().ok()).unwrap_or(0);
        let etag = Some((version + 1).to_string().into());
        let meta = ObjectMeta { size: bytes.len() as u64, last_modified, etag };
        Self { location: location.clone(), bytes, meta }
    }
}

#[derive(Debug, Default)]
struct Faults {
    at_location: HashMap<Location, Fault>,
    at_request: HashMap<u64, Fault>,
    /// From so many requests on.
    from_request: Option<(u64, Fault)>,
    /// From so many changes on.
    from_change: Option<(u64, Fault)>,
}

impl Faults {
    /// What goes wrong with a request of this number, once there were so many changes, if anything does.
    fn of(&self, request: u64, changes: u64) -> Option<&Fault> {
        let from = |fault: &Option<(u64, Fault)>, now| fault.as_ref().is_some_and(|(from, _)| now >= *from);
        let lasting = [(&self.from_request, request), (&self.from_change, changes)];
        let lasting = lasting.into_iter().find(|(fault, now)| from(fault, *now));
        let lasting = lasting.and_then(|(fault, _)| fault.as_ref().map(|(_, fault)| fault));
        self.at_request.get(&request).or(lasting)
    }
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails.
    Fail(StorageErrorKind),
    /// Its body lacks the last so many bytes.
    Short(u64),
    /// It is done, and its answer is lost.
    Unheard(StorageErrorKind),
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStorage {
    /// An empty store that answers at once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: RwLock::default(),
            faults: Mutex::default(),
            latency: Duration::ZERO,
            page_size: 1000,
            lists_after: true,
            server_time: Mutex::default(),
            requests: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
        }
    }

    /// Lets every request, and every page of a listing, take this long.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Lists so many entries a page; zero counts as one.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size.max(1);
        self
    }

    /// Is a store that cannot list from a key on.
    #[must_use]
    pub fn without_list_after(mut self) -> Self {
        self.lists_after = false;
        self
    }

    /// Has a clock of its own, that stands still at a time in milliseconds since 1970; or none, which is so unless
    /// it is set.
    pub fn set_server_time(&self, time: Option<i64>) {
        *self.server_time.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Puts an object, replacing one that is there.
    pub fn put(&self, location: &Location, bytes: impl Into<Bytes>) {
        self.put_modified(location, bytes, None);
    }

    /// Puts an object that was last modified at a time, in milliseconds since 1970.
    pub fn put_modified(&self, location: &Location, bytes: impl Into<Bytes>, last_modified: Option<i64>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let key = location.canonical();
        let old = entries.get(&key).map(|old| &old.meta);
        let entry = Entry::new(location, bytes.into(), last_modified, old);
        entries.insert(key, entry);
    }

    /// Makes an empty directory exist.
    pub fn put_directory(&self, location: &Location) {
        let entry = Entry {
            location: location.clone(),
            bytes: Bytes::new(),
            meta: ObjectMeta { size: 0, last_modified: None, etag: None },
        };
        self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(directory_key(location), entry);
    }

    /// Lets every request for a location go wrong.
    pub fn fail_at(&self, location: &Location, fault: Fault) {
        self.faults().at_location.insert(location.clone(), fault);
    }

    /// Lets the n-th request go wrong, counted from 0 over all kinds since the store was made.
    pub fn fail_request(&self, n: u64, fault: Fault) {
        self.faults().at_request.insert(n, fault);
    }

    /// Lets the n-th request and all behind it go wrong, counted as by [`fail_request`](Self::fail_request).
    pub fn fail_requests_from(&self, n: u64, fault: Fault) {
        self.faults().from_request = Some((n, fault));
    }

    /// Lets everything go wrong as soon as so many changes were made: objects removed, copied or written, but not with
    /// [`put`](Self::put). With many in one request, those that are behind the n-th are not made any more: it is as if
    /// who changes had died there.
    pub fn fail_from_change(&self, n: u64, fault: Fault) {
        self.faults().from_change = Some((n, fault));
    }

    /// Lets nothing go wrong any more.
    pub fn clear_faults(&self) {
        *self.faults() = Faults::default();
    }

    /// Requests so far; each page of a listing is one.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Changes so far: objects removed, copied or written, but not with [`put`](Self::put).
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// The most requests that were under way at one time.
    #[must_use]
    pub fn most_in_flight(&self) -> u64 {
        self.most_in_flight.load(Ordering::Relaxed)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, waits, and gives its number.
    pub(super) fn begin(&self) -> u64 {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(now, Ordering::Relaxed);
        if !self.latency.is_zero() {
            thread::sleep(self.latency);
        }
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        number
    }

    /// What goes wrong with the part of a request that is about a location.
    fn fault(&self, number: u64, location: &Location) -> Option<Fault> {
        let faults = self.faults();
        faults.of(number, self.changes()).or_else(|| faults.at_location.get(location)).cloned()
    }

    /// Makes a request that reads, and gives the number of bytes that its body lacks.
    pub(super) fn request(&self, op: Op, location: &Location) -> Result<u64> {
        let number = self.begin();
        match self.fault(number, location) {
            None => Ok(0),
            Some(Fault::Short(by)) => Ok(by),
            Some(Fault::Fail(kind) | Fault::Unheard(kind)) => Err(injected(kind, op, location)),
        }
    }

    /// Makes a change, the part of a request of this number that is about a location. `change` tells whether it was one.
    fn change<T>(
        &self,
        number: u64,
        op: Op,
        location: &Location,
        change: impl FnOnce(&mut BTreeMap<String, Entry>) -> Result<(bool, T)>,
    ) -> Result<T> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let fault = self.fault(number, location);
        if let Some(Fault::Fail(kind)) = fault {
            return Err(injected(kind, op, location));
        }
        let (is_change, answer) = change(&mut entries)?;
        self.changes.fetch_add(u64::from(is_change), Ordering::Relaxed);
        match fault {
            Some(Fault::Unheard(kind)) => Err(injected(kind, op, location)),
            _ => Ok(answer),
        }
    }

    /// Takes an object away, in a request of this number. False if it was not there.
    pub(super) fn take(&self, number: u64, location: &Location) -> Result<bool> {
        self.change(number, Op::Delete, location, |entries| {
            let was_there = entries.remove(&location.canonical()).is_some();
            Ok((was_there, was_there))
        })
    }

    /// Takes an empty directory away. False if it was not there.
    pub(super) fn take_directory(&self, location: &Location) -> Result<bool> {
        let fail = |kind| Err(StorageError::new(kind, Op::Delete, location.clone()));
        self.change(self.begin(), Op::Delete, location, |entries| {
            if entries.contains_key(&location.canonical()) {
                return fail(StorageErrorKind::NotADirectory);
            }
            let key = directory_key(location);
            let behind = first_from(entries, &format!("{key}\0"));
            if behind.is_some_and(|(found, _)| found.starts_with(&key)) {
                return fail(StorageErrorKind::NotEmpty);
            }
            let was_there = entries.remove(&key).is_some();
            Ok((was_there, was_there))
        })
    }

    /// Writes an object; if it is to be new, only where there is none.
    pub(super) fn write(
        &self,
        op: Op,
        location: &Location,
        bytes: &Bytes,
        is_new: bool,
    ) -> Result<ObjectMeta> {
        self.change(self.begin(), op, location, |entries| {
            let old = entries.get(&location.canonical()).map(|old| &old.meta);
            if is_new && old.is_some() {
                return Err(StorageError::new(StorageErrorKind::AlreadyExists, op, location.clone()));
            }
            let time = *self.server_time.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = Entry::new(location, bytes.clone(), time, old);
            let meta = entry.meta.clone();
            entries.insert(location.canonical(), entry);
            Ok((true, meta))
        })
    }

    /// The bytes of an object, without a request: what a store copies by itself.
    pub(super) fn bytes_of(&self, op: Op, location: &Location) -> Result<Bytes> {
        Ok(self.entry(op, location)?.bytes)
    }

    fn entry(&self, op: Op, location: &Location) -> Result<Entry> {
        let entries = self.entries();
        if let Some(entry) = entries.get(&location.canonical()) {
            return Ok(entry.clone());
        }
        let key = directory_key(location);
        let is_directory = first_from(&entries, &key).is_some_and(|(found, _)| found.starts_with(&key));
        let kind = if is_directory { StorageErrorKind::IsDirectory } else { StorageErrorKind::NotFound };
        Err(StorageError::new(kind, op, location.clone()))
    }

    /// Hands out the pages of entries whose keys are not below `from`.
    fn pages(
        &self,
        directory: &Location,
        scope: ListScope,
        from: String,
        page: &mut PageFn<'_>,
    ) -> Result<()> {
        let mut after = Some(from);
        while let Some(from) = after {
            self.request(Op::List, directory)?;
            let (entries, next) = self.page(directory, scope, &from)?;
            after = next;
            if !entries.is_empty() && page(entries).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A page of entries whose keys are not below `after`, and the key to go on from.
    fn page(
        &self,
        directory: &Location,
        scope: ListScope,
        after: &str,
    ) -> Result<(Vec<ListEntry>, Option<String>)> {
        let prefix = directory_key(directory);
        let entries = self.entries();
        let mut page = Vec::new();
        let mut found = false;
        let mut next = after.to_owned();
        while let Some((key, entry)) = first_from(&entries, &next).filter(|(key, _)| key.starts_with(&prefix))
        {
            found = true;
            if page.len() == self.page_size {
                return Ok((page, Some(next)));
            }
            let name = key.get(prefix.len()..).unwrap_or_default();
            match (scope, name.split_once('/')) {
                (ListScope::Children, Some((child, _))) => {
                    page.extend(directory.join_exact(child).map(ListEntry::Directory));
                    // '0' is the byte after '/': what lies in the directory is skipped.
                    next = format!("{prefix}{child}0");
                    continue;
                }
                // The marker of an empty directory.
                _ if key.ends_with('/') => {}
                _ => page.push(ListEntry::Object(entry.location.clone(), entry.meta.clone())),
            }
            next = format!("{key}\0");
        }
        let fail = |kind| Err(StorageError::new(kind, Op::List, directory.clone()));
        if found || after != prefix {
            Ok((page, None))
        } else if entries.contains_key(&directory.canonical()) {
            fail(StorageErrorKind::NotADirectory)
        } else {
            fail(StorageErrorKind::NotFound)
        }
    }
}

impl Storage for MemoryStorage {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        self.request(Op::Head, location)?;
        Ok(self.entry(Op::Head, location)?.meta)
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        let missing = self.request(span.op(), location)?;
        let Entry { bytes, meta, .. } = self.entry(span.op(), location)?;
        let range =
            span.within(meta.size).map_err(|kind| StorageError::new(kind, span.op(), location.clone()))?;
        let end = range.end.saturating_sub(missing).max(range.start);
        // Within the object, whose length is a usize.
        let body = bytes.slice(range.start as usize..end as usize);
        Fetched::checked(location, span, body, meta)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        self.pages(directory, scope, directory_key(directory), page)
    }

    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        if !self.lists_after {
            return Ok(AfterKey::Unsupported);
        }
        let from = format!("{}{after}\0", directory_key(directory));
        self.pages(directory, ListScope::Recursive, from, page).map(|()| AfterKey::Listed)
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        let time = *self.server_time.lock().unwrap_or_else(PoisonError::into_inner);
        if time.is_some() {
            self.request(Op::List, location)?;
        }
        Ok(time)
    }
}

fn injected(kind: StorageErrorKind, op: Op, location: &Location) -> StorageError {
    StorageError::new(kind, op, location.clone()).with_message("injected")
}

fn directory_key(location: &Location) -> String {
    let mut key = location.canonical();
    if !location.is_root() {
        key.push('/');
    }
    key
}

/// The first entry whose key is not below `key`.
fn first_from<'a>(entries: &'a BTreeMap<String, Entry>, key: &str) -> Option<(&'a String, &'a Entry)> {
    entries.range::<str, _>((Bound::Included(key), Bound::Unbounded)).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    fn kind<T: std::fmt::Debug>(answer: Result<T>) -> StorageErrorKind {
        answer.expect_err("a fault").kind().clone()
    }

    #[test]
    fn faults_come_where_they_were_ordered() {
        let storage = MemoryStorage::new();
        let (good, bad) = (at("s3://b/good"), at("s3://b/bad"));
        storage.put(&good, "0123456789");
        storage.put(&bad, "0123456789");
        storage.fail_at(&bad, Fault::Fail(StorageErrorKind::PermissionDenied));
        assert_eq!(kind(storage.head(&bad)), StorageErrorKind::PermissionDenied);
        storage.fail_at(&bad, Fault::Short(3));
        let short = StorageErrorKind::ShortRead { expected: 4, got: 1 };
        assert_eq!(kind(storage.read_range(&bad, 2..6)), short);
        storage.fail_request(3, Fault::Fail(StorageErrorKind::Throttled));
        assert_eq!(storage.requests(), 2);
        assert!(storage.head(&good).is_ok());
        assert_eq!(kind(storage.head(&good)), StorageErrorKind::Throttled);
        assert!(storage.head(&good).is_ok());
        storage.clear_faults();
        assert!(storage.read_all(&bad, 10).is_ok());
    }

    #[test]
    fn a_listing_fails_at_the_page_that_fails() {
        let storage = MemoryStorage::new().with_page_size(2);
        for name in 0..5 {
            storage.put(&at(&format!("s3://b/d/{name}")), "");
        }
        storage.fail_request(1, Fault::Fail(StorageErrorKind::Timeout));
        let mut seen = 0;
        let answer = storage.list(&at("s3://b/d"), ListScope::Recursive, &mut |page| {
            seen += page.len();
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!((kind(answer), seen), (StorageErrorKind::Timeout, 2));
    }

    #[test]
    fn a_new_object_has_a_new_tag() {
        let storage = MemoryStorage::new();
        let object = at("s3://b/k");
        storage.put(&object, "a");
        let before = storage.head(&object).expect("an object");
        storage.put_modified(&object, "b", Some(7));
        let after = storage.head(&object).expect("an object");
        assert_ne!(before.etag, after.etag);
        assert_eq!(after.last_modified, Some(7));
    }
}
