//! Counts what a store is asked, so that what a command costs can be shown and tested.

use super::{
    AfterKey, EachFn, Fetched, InFlight, ListScope, Location, ObjectMeta, Op, PageFn, ReadRequest, Result,
    Span, Storage,
};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A store whose requests are counted by a [`Meter`].
#[derive(Debug, Clone)]
pub struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
}

/// Counts requests and, if it was made to, remembers each of them. One meter can serve many stores.
#[derive(Debug, Default)]
pub struct Meter {
    head: AtomicU64,
    range: AtomicU64,
    suffix: AtomicU64,
    full: AtomicU64,
    list: AtomicU64,
    remove: AtomicU64,
    copy: AtomicU64,
    put: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    kept_bytes: AtomicU64,
    log: Option<Mutex<Vec<RequestRecord>>>,
}

/// What a meter has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests for meta data only.
    pub head: u64,
    /// Requests for a range.
    pub range: u64,
    /// Requests for the last bytes.
    pub suffix: u64,
    /// Requests for whole objects.
    pub full: u64,
    /// Pages of listings.
    pub list: u64,
    /// Requests that remove objects, each as many as go into one.
    pub remove: u64,
    /// Copies that stores made.
    pub copy: u64,
    /// Objects, or parts of them, that were written.
    pub put: u64,
    /// How many of all these failed.
    pub failed: u64,
    /// How often one of all these was tried again.
    pub retries: u64,
    /// Bytes of objects that were returned.
    pub bytes: u64,
    /// Reads that cost no request, since what they asked for was kept from an earlier one.
    pub kept: u64,
    /// Bytes that these returned.
    pub kept_bytes: u64,
}

impl Counts {
    /// All requests, failed ones included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        let Self { head, range, suffix, full, list, remove, copy, put, .. } = self;
        head + range + suffix + full + list + remove + copy + put
    }
}

/// One request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Which kind.
    pub op: Op,
    /// Of what.
    pub location: Location,
    /// Which bytes were asked for, if any.
    pub span: Option<Span>,
    /// How many bytes came.
    pub bytes: u64,
    /// Whether it failed.
    pub failed: bool,
}

impl Meter {
    /// A meter that counts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A meter that counts and remembers every request. For tests: its memory grows with each.
    #[must_use]
    pub fn with_log() -> Self {
        Self { log: Some(Mutex::default()), ..Self::default() }
    }

    /// Notes a request. Public for stores that know better than a caller what they ask for: a client
    /// that needs two requests for one call notes both, and is not wrapped.
    pub fn record(&self, record: RequestRecord) {
        let counter = match record.op {
            Op::Head => &self.head,
            Op::Range => &self.range,
            Op::Suffix => &self.suffix,
            Op::Full => &self.full,
            Op::List => &self.list,
            Op::Delete => &self.remove,
            Op::Copy => &self.copy,
            Op::Put => &self.put,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(record.bytes, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(record.failed), Ordering::Relaxed);
        if let Some(log) = &self.log {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
    }

    /// Notes that a request was tried again so often.
    pub fn record_retries(&self, retries: u64) {
        self.retries.fetch_add(retries, Ordering::Relaxed);
    }

    /// Notes that so many bytes were kept, so that no request was made.
    pub(super) fn record_kept(&self, bytes: u64) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.kept_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            head: of(&self.head),
            range: of(&self.range),
            suffix: of(&self.suffix),
            full: of(&self.full),
            list: of(&self.list),
            remove: of(&self.remove),
            copy: of(&self.copy),
            put: of(&self.put),
            failed: of(&self.failed),
            retries: of(&self.retries),
            bytes: of(&self.bytes),
            kept: of(&self.kept),
            kept_bytes: of(&self.kept_bytes),
        }
    }

    /// Takes the requests that were remembered since the last time, in the order they ended. Empty
    /// for a meter without a log.
    #[must_use]
    pub fn take_log(&self) -> Vec<RequestRecord> {
        let log = self.log.as_ref().map(|log| log.lock().unwrap_or_else(PoisonError::into_inner));
        log.map(|mut log| std::mem::take(&mut *log)).unwrap_or_default()
    }

    fn record_read(&self, location: &Location, span: &Span, answer: &Result<Fetched>) {
        self.record(RequestRecord {
            // A store is asked for no bytes at all by a request for meta data.
            op: if span.is_empty() { Op::Head } else { span.op() },
            location: location.clone(),
            span: Some(span.clone()),
            bytes: answer.as_ref().map_or(0, |fetched| fetched.bytes.len() as u64),
            failed: answer.is_err(),
        });
    }

    /// Notes a request that has no bytes.
    pub(super) fn record_bare(&self, op: Op, location: &Location, failed: bool) {
        self.record(RequestRecord { op, location: location.clone(), span: None, bytes: 0, failed });
    }
}

impl<S> Metered<S> {
    /// Counts with a meter of its own.
    pub fn new(inner: S) -> Self {
        Self::with_meter(inner, Arc::new(Meter::new()))
    }

    /// Counts and remembers every request, with a meter of its own.
    pub fn with_log(inner: S) -> Self {
        Self::with_meter(inner, Arc::new(Meter::with_log()))
    }

    /// Counts with a meter that others may count with too.
    pub fn with_meter(inner: S, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }

    /// The meter.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The store that is counted.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn count_pages(
        &self,
        directory: &Location,
        page: &mut PageFn<'_>,
        list: impl FnOnce(&mut PageFn<'_>) -> Result<AfterKey>,
    ) -> Result<AfterKey> {
        let mut pages = 0_u64;
        let answer = list(&mut |entries| {
            pages += 1;
            self.meter.record_bare(Op::List, directory, false);
            page(entries)
        });
        // A failure is a request of its own, and so is the answer that there is nothing.
        if answer.as_ref().map_or(true, |done| pages == 0 && *done == AfterKey::Listed) {
            self.meter.record_bare(Op::List, directory, answer.is_err());
        }
        answer
    }
}

impl<S: Storage> Storage for Metered<S> {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        let answer = self.inner.head(location);
        self.meter.record_bare(Op::Head, location, answer.is_err());
        answer
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        let answer = self.inner.read(location, span);
        self.meter.record_read(location, span, &answer);
        answer
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        let list = |page: &mut PageFn<'_>| self.inner.list(directory, scope, page);
        self.count_pages(directory, page, |page| list(page).map(|()| AfterKey::Listed)).map(drop)
    }

    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        self.count_pages(directory, page, |page| self.inner.list_after(directory, after, page))
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        let answer = self.inner.server_time(location);
        // A look at this machine's clock is no request.
        if !matches!(answer, Ok(None)) {
            self.meter.record_bare(Op::List, location, answer.is_err());
        }
        answer
    }

    fn read_each(&self, requests: &[ReadRequest], in_flight: InFlight, each: &mut EachFn<'_>) {
        // The store's own way to have many in flight is kept, so requests that were made but whose
        // answers were never handed out, because `each` broke off, are not counted.
        self.inner.read_each(requests, in_flight, &mut |index, answer| {
            match requests.get(index) {
                Some(request) => self.meter.record_read(&request.location, &request.span, &answer),
                None => return ControlFlow::Break(()),
            }
            each(index, answer)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn every_request_is_counted_and_remembered() {
        let root = Location::parse("s3://b").expect("a location");
        let object = root.join("k").expect("a location");
        let memory = MemoryStorage::new().with_page_size(2);
        for name in ["k", "l", "m"] {
            memory.put(&root.join(name).expect("a location"), "0123456789");
        }
        let storage = Metered::with_log(memory);
        storage.head(&object).expect("an object");
        storage.read_range(&object, 2..5).expect("bytes");
        storage.read_range(&object, 5..5).expect("nothing");
        storage.read_suffix(&object, 4).expect("bytes");
        storage.read_all(&object, 100).expect("bytes");
        storage.read_all(&object, 9).expect_err("too large");
        assert_eq!(storage.list_all(&root, ListScope::Children).expect("a listing").len(), 3);
        storage.list_all(&object, ListScope::Children).expect_err("no directory");
        let requests = [ReadRequest::suffix(object.clone(), 1), ReadRequest::range(object.clone(), 0..2)];
        storage.read_many(&requests, InFlight::default());
        assert_eq!(
            storage.meter().counts(),
            Counts {
                head: 2,
                range: 2,
                suffix: 2,
                full: 2,
                list: 3,
                failed: 2,
                bytes: 3 + 4 + 10 + 1 + 2,
                ..Counts::default()
            }
        );
        let log = storage.meter().take_log();
        assert_eq!(log.len(), 11);
        assert_eq!(
            log[1],
            RequestRecord {
                op: Op::Range,
                location: object,
                span: Some(Span::Range(2..5)),
                bytes: 3,
                failed: false
            }
        );
        assert!(storage.meter().take_log().is_empty());
    }
}
