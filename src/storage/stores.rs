//! The store that a location's scheme leads to.

use super::{
    Access, AfterKey, CacheDirectory, Cached, EachFn, Fetched, InFlight, ListScope, LocalStorage, Location,
    Meter, Metered, ObjectMeta, ObjectStorage, Op, PageFn, ReadRequest, Result, SchemeClass, Span, Storage,
    StorageError, StorageErrorKind, identity, parallel,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All stores of a run: each location is read from the store of its [`SchemeClass`], and every
/// request is counted by one [`Meter`]. A class without a store is refused, with a message that says how
/// to relocate.
#[derive(Debug, Clone)]
pub struct Stores {
    by_class: BTreeMap<SchemeClass, Arc<dyn Storage>>,
    meter: Arc<Meter>,
}

impl Stores {
    /// No store yet, counting with `meter`.
    #[must_use]
    pub fn new(meter: Arc<Meter>) -> Self {
        Self { by_class: BTreeMap::new(), meter }
    }

    /// Local disk, and every store that there is a client for, reached as told, and counted by `meter`. What is read of
    /// these is kept in `cache`, if there is one.
    #[must_use]
    pub fn all(access: Access, cache: Option<CacheDirectory>, meter: Arc<Meter>) -> Self {
        let mut stores =
            Self::new(Arc::clone(&meter)).with(SchemeClass::Local, Arc::new(LocalStorage::new()));
        let objects = ObjectStorage::new(access.clone(), Arc::clone(&meter));
        let objects: Arc<dyn Storage> = match cache {
            Some(cache) => {
                let endpoint = move |location: &Location| identity::endpoint(&access, location);
                Arc::new(Cached::new(objects, cache, meter, endpoint))
            }
            None => Arc::new(objects),
        };
        for class in [SchemeClass::S3, SchemeClass::Gcs, SchemeClass::Azure, SchemeClass::Http] {
            stores.by_class.insert(class, Arc::clone(&objects));
        }
        stores
    }

    /// Local disk only, with a meter of its own.
    #[must_use]
    pub fn local() -> Self {
        Self::new(Arc::default()).with(SchemeClass::Local, Arc::new(LocalStorage::new()))
    }

    /// Reads the locations of a class from a store.
    #[must_use]
    pub fn with(mut self, class: SchemeClass, storage: Arc<dyn Storage>) -> Self {
        self.by_class.insert(class, Arc::new(Metered::with_meter(storage, Arc::clone(&self.meter))));
        self
    }

    /// What counts the requests to all these stores.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    fn of(&self, location: &Location, op: Op) -> Result<&Arc<dyn Storage>> {
        self.by_class
            .get(&location.class())
            .ok_or_else(|| StorageError::new(StorageErrorKind::Unsupported, op, location.clone()))
    }
}

impl Storage for Stores {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        self.of(location, Op::Head)?.head(location)
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        self.of(location, span.op())?.read(location, span)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        self.of(directory, Op::List)?.list(directory, scope, page)
    }

    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        self.of(directory, Op::List)?.list_after(directory, after, page)
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        self.of(location, Op::List)?.server_time(location)
    }

    fn read_each(&self, requests: &[ReadRequest], in_flight: InFlight, each: &mut EachFn<'_>) {
        let first = requests.first().map(|request| request.location.class());
        let one_store = first
            .filter(|class| requests.iter().all(|request| request.location.class() == *class))
            .and_then(|class| self.by_class.get(&class));
        match one_store {
            Some(store) => store.read_each(requests, in_flight, each),
            // A mix of stores is rare (part of a snapshot is relocated): threads will do.
            None => parallel::read_each(
                &|request| self.read(&request.location, &request.span),
                requests,
                in_flight,
                each,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    #[test]
    fn the_scheme_leads_to_the_store() {
        let (s3, gcs) = (MemoryStorage::new(), MemoryStorage::new());
        s3.put(&at("s3://b/k"), "one");
        gcs.put(&at("gs://b/k"), "three");
        let stores = Stores::new(Arc::default())
            .with(SchemeClass::S3, Arc::new(s3))
            .with(SchemeClass::Gcs, Arc::new(gcs));
        assert_eq!(stores.head(&at("s3a://b/k")).expect("an object").size, 3);
        assert_eq!(stores.head(&at("gs://b/k")).expect("an object").size, 5);
        let requests = ["s3p://b/k", "hdfs://nn/k", "gs://b/k", "/k"].map(|t| ReadRequest::full(at(t), 10));
        let answers = stores.read_many(&requests, InFlight::default());
        assert_eq!(answers[0].as_ref().expect("bytes").bytes, "one");
        assert_eq!(answers[2].as_ref().expect("bytes").bytes, "three");
        for refused in [&answers[1], &answers[3]] {
            let error = refused.as_ref().expect_err("no client");
            assert_eq!(*error.kind(), StorageErrorKind::Unsupported);
            assert!(error.to_string().contains("--relocate"), "{error}");
        }
        assert_eq!(stores.meter().counts().full, 2);
    }
}
