//! What every store must do that objects are removed from: one suite, run against each, and what holds for some.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use statescope::storage::removal::{LocalRemoval, MemoryRemoval, Removal, Removed, Removers, Versioning};
use statescope::storage::{
    Access, Counts, Fault as MemoryFault, ListScope, LocalStorage, Location, MemoryStorage, Meter,
    ObjectStorage, Op, SchemeClass, Storage, StorageError, StorageErrorKind as Kind,
};

use super::put_file;
use crate::support::object_server::{BUCKET, Behaviour, Fault, Faults, ObjectServer};

/// Puts an object into the store, by whatever means the test has.
type Put<'a> = dyn Fn(&Location, &[u8]) + 'a;

/// Runs the suite in an empty, writable directory.
pub(crate) fn run(removal: &dyn Removal, storage: &dyn Storage, root: &Location, put: &Put<'_>) {
    run_removals(removal, storage, root, put);
    copies(removal, storage, &sub(root, "copies"), put);
    writes(removal, storage, &sub(root, "writes"));
    assert_eq!(removal.remove_directory(&sub(root, "no directory")).unwrap(), Removed::NotThere);
}

/// The part of the suite in which objects are removed.
pub(crate) fn run_removals(removal: &dyn Removal, storage: &dyn Storage, root: &Location, put: &Put<'_>) {
    removes(removal, storage, &sub(root, "removes"), put);
    many(removal, storage, &sub(root, "many"), put, 70);
}

/// An account of Google's as a client wants it that changes something, for a server that does not look at it.
pub(crate) const GOOGLE_ACCOUNT: (&str, &str) = (
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    r#"{"client_email":"a@b","private_key":"p","private_key_id":"i","disable_oauth":true}"#,
);

fn sub(dir: &Location, name: &str) -> Location {
    dir.join(name).unwrap()
}

fn names(storage: &dyn Storage, dir: &Location) -> Vec<String> {
    let entries = match storage.list_all(dir, ListScope::Recursive) {
        Err(error) if *error.kind() == Kind::NotFound => Vec::new(),
        entries => entries.unwrap(),
    };
    entries.iter().map(|entry| entry.location().unwrap().strip_prefix(dir).unwrap().to_owned()).collect()
}

fn kind<T: std::fmt::Debug>(answer: Result<T, StorageError>) -> Kind {
    answer.unwrap_err().kind().clone()
}

fn removes(removal: &dyn Removal, storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let odd = ["50%", "%20", "a b/c", "a&b=c", "a#b", "日本", "(x)[y]{z}", "'q'", "..."];
    let stay = ["50", " ", "a b/cc", "a b/d/e", "a", "...."];
    odd.iter().chain(&stay).for_each(|name| put(&sub(dir, name), name.as_bytes()));
    let locations: Vec<_> = odd.iter().map(|name| sub(dir, name)).collect();
    let mut indexes = Vec::new();
    removal.remove(&locations, &mut |index, outcome| {
        assert_eq!(outcome.unwrap(), Removed::Removed, "{}", odd[index]);
        indexes.push(index);
        ControlFlow::Continue(())
    });
    assert_eq!(indexes, (0..odd.len()).collect::<Vec<_>>());
    let mut left = stay;
    left.sort_unstable();
    assert_eq!(names(storage, dir), left);

    // What is not there is no failure, and neither are those beside it. A directory is none of it.
    let some = ["missing", "a", "a b/d", "a b/cc/below", "50"].map(|name| sub(dir, name));
    let outcomes = removal.remove_all(&some);
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match (index, outcome) {
            (1 | 4, outcome) => assert_eq!(outcome.unwrap(), Removed::Removed),
            (2, Err(error)) => assert_eq!(*error.kind(), Kind::IsDirectory, "{error}"),
            // S3 says of everything that it is not there any more.
            (_, outcome) => drop(outcome.unwrap()),
        }
    }
    assert_eq!(names(storage, dir), [" ", "....", "a b/cc", "a b/d/e"]);
    removal.remove(&[], &mut |_, _| unreachable!());
}

fn many(removal: &dyn Removal, storage: &dyn Storage, dir: &Location, put: &Put<'_>, count: usize) {
    let all: Vec<_> = (0..count).map(|n| sub(dir, &format!("{n:05}"))).collect();
    all.iter().for_each(|location| put(location, b"x"));
    let (gone, kept) = all.split_at(count - 5);
    let mut seen = 0;
    removal.remove(gone, &mut |index, outcome| {
        outcome.unwrap();
        assert_eq!(index, seen);
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(seen, 3, "it went on after it was broken off");
    let left = names(storage, dir).len();
    assert!((kept.len()..=count - 3).contains(&left), "{left}");
    assert!(removal.remove_all(gone).into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(names(storage, dir).len(), kept.len());
}

fn copies(removal: &dyn Removal, storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let (from, to) = (sub(dir, "from %20/+ö"), sub(dir, "new/to %20/+ö"));
    put(&from, b"0123456789");
    let copied = removal.copy(&from, &to).unwrap();
    assert_eq!(copied, storage.head(&to).unwrap());
    assert_eq!(copied.size, 10);
    assert_eq!(storage.read_all(&to, 10).unwrap(), "0123456789");
    assert_eq!(storage.read_all(&from, 10).unwrap(), "0123456789");

    let other = sub(dir, "other");
    put(&other, b"other");
    assert_eq!(kind(removal.copy(&from, &other)), Kind::AlreadyExists);
    assert_eq!(kind(removal.copy(&from, &from)), Kind::AlreadyExists);
    assert_eq!(storage.read_all(&other, 10).unwrap(), "other");
    let error = removal.copy(&sub(dir, "missing"), &sub(dir, "copy")).unwrap_err();
    assert_eq!((error.kind(), error.location()), (&Kind::NotFound, &sub(dir, "missing")), "{error}");
    assert_eq!(kind(storage.head(&sub(dir, "copy"))), Kind::NotFound);
    put(&sub(dir, "empty"), b"");
    assert_eq!(removal.copy(&sub(dir, "empty"), &sub(dir, "empty copy")).unwrap().size, 0);
}

fn writes(removal: &dyn Removal, storage: &dyn Storage, dir: &Location) {
    let object = sub(dir, "journal");
    let written = removal.put_new(&object, Bytes::from_static(b"one")).unwrap();
    assert_eq!(written, storage.head(&object).unwrap());
    assert_eq!(kind(removal.put_new(&object, Bytes::from_static(b"two"))), Kind::AlreadyExists);
    assert_eq!(storage.read_all(&object, 10).unwrap(), "one");
    assert_eq!(removal.put(&object, Bytes::from_static(b"three")).unwrap().size, 5);
    assert_eq!(storage.read_all(&object, 10).unwrap(), "three");
    assert_eq!(removal.put(&sub(dir, "new"), Bytes::new()).unwrap().size, 0);

    // More than one part, in order.
    let (large, size) = (sub(dir, "large"), (16 << 20) + 7);
    let mut next = 0;
    let mut part = |range: std::ops::Range<u64>| {
        assert!(range.start == next && range.end - range.start <= 16 << 20, "{range:?}");
        next = range.end;
        Ok(vec![1 + (range.start >> 24) as u8; (range.end - range.start) as usize].into())
    };
    assert_eq!(removal.write_new(&large, size, &mut part).unwrap().size, size);
    let middle = storage.read_range(&large, (16 << 20) - 2..(16 << 20) + 2).unwrap();
    assert_eq!(middle, [1, 1, 2, 2].as_slice());
    assert_eq!(storage.read_suffix(&large, 1).unwrap(), ([2].as_slice().into(), size));
    assert_eq!(kind(removal.write_new(&large, size, &mut |_| unreachable!())), Kind::AlreadyExists);

    // What cannot be read to its end is not there.
    for size in [5, size] {
        let cut = sub(dir, "cut");
        let short = |range: std::ops::Range<u64>| Ok(vec![0; (range.end - range.start) as usize - 1].into());
        assert!(matches!(kind(removal.write_new(&cut, size, &mut { short })), Kind::ShortRead { .. }));
        let fails = |range: std::ops::Range<u64>| match range.start {
            0 if size > 5 => Ok(vec![0; range.end as usize].into()),
            _ => Err(StorageError::new(Kind::Timeout, Op::Range, cut.clone())),
        };
        assert_eq!(kind(removal.write_new(&cut, size, &mut { fails })), Kind::Timeout);
        assert_eq!(kind(storage.head(&cut)), Kind::NotFound);
    }
    removal.remove_all(&[large]);
}

// ---- local disk ----------------------------------------------------------------------------------

fn local(dir: &std::path::Path) -> (LocalRemoval, Location, Arc<Meter>) {
    let (root, meter) = (Location::from_local_path(dir).unwrap(), Arc::new(Meter::with_log()));
    (LocalRemoval::new(vec![root.clone()], Arc::clone(&meter)), root, meter)
}

#[test]
fn local_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let (removal, root, meter) = local(dir.path());
    run(&removal, &LocalStorage::new(), &root, &put_file);
    assert_eq!(removal.versioning(&root).unwrap(), Versioning::Off);
    let counts = meter.counts();
    assert!(counts.remove > 70 && counts.put >= 5 && counts.copy == 0, "{counts:?}");
    let left: Vec<_> = names(&LocalStorage::new(), &root);
    assert!(!left.iter().any(|name| name.contains(".statescope-")), "{left:?}");
}

#[test]
fn a_directory_goes_only_when_nothing_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (removal, root, _) = local(dir.path());
    let (full, file) = (sub(&root, "full"), sub(&root, "full/file"));
    put_file(&file, b"x");
    assert_eq!(kind(removal.remove_directory(&full)), Kind::NotEmpty);
    assert_eq!(kind(removal.remove_directory(&file)), Kind::NotADirectory);
    assert_eq!(kind(removal.remove_directory(&root)), Kind::PermissionDenied);
    assert_eq!(removal.remove_all(&[file]), [Ok(Removed::Removed)]);
    assert!(dir.path().join("full").is_dir());
    assert_eq!(removal.remove_directory(&full).unwrap(), Removed::Removed);
    assert_eq!(removal.remove_directory(&full).unwrap(), Removed::NotThere);
}

#[cfg(unix)]
#[test]
fn no_link_is_followed_out_of_a_root_and_none_is_removed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(dir.path().join("root/own")).unwrap();
    for file in [outside.path().join("x"), outside.path().join("y"), dir.path().join("root/own/file")] {
        fs::write(file, "precious").unwrap();
    }
    symlink(outside.path(), dir.path().join("root/away")).unwrap();
    symlink(outside.path().join("y"), dir.path().join("root/link")).unwrap();
    symlink("own", dir.path().join("root/beside")).unwrap();
    // The way to a root is the user's own.
    symlink(dir.path().join("root"), dir.path().join("entry")).unwrap();
    for entry in ["root", "entry"] {
        let (removal, root, _) = local(&dir.path().join(entry));
        let outcomes =
            removal.remove_all(&["away/x", "link", "beside/file", "away"].map(|name| sub(&root, name)));
        let said: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap_err().to_string()).collect();
        for (said, why) in said.iter().zip([
            "on the way from",
            "it is a symbolic link",
            "on the way from",
            "it is a symbolic link",
        ]) {
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(kind(removal.remove_directory(&sub(&root, "away"))), Kind::NotADirectory);
        let beside = [
            sub(&root.parent().unwrap(), "entry2"),
            Location::from_local_path(outside.path()).unwrap().join("x").unwrap(),
            root.clone(),
        ];
        for outcome in removal.remove_all(&beside) {
            assert_eq!(kind(outcome), Kind::PermissionDenied);
        }
    }
    let (removal, root, _) = local(&dir.path().join("entry"));
    let written = removal.put_new(&sub(&root, "own/new"), Bytes::from_static(b"x")).unwrap();
    assert_eq!(written.size, 1);
    let permissions = fs::metadata(dir.path().join("root/own/new")).unwrap().permissions();
    assert_ne!(permissions.mode() & 0o044, 0, "others may not read it: {permissions:?}");
    assert_eq!(removal.remove_all(&[sub(&root, "own/file")]), [Ok(Removed::Removed)]);
    // A link leads to something, even if that is nowhere: it is not written through.
    symlink(outside.path().join("new"), dir.path().join("root/dangling")).unwrap();
    assert_eq!(kind(removal.put_new(&sub(&root, "dangling"), Bytes::new())), Kind::AlreadyExists);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
    for file in ["x", "y"] {
        assert_eq!(fs::read_to_string(outside.path().join(file)).unwrap(), "precious");
    }
}

// ---- memory --------------------------------------------------------------------------------------

#[test]
fn memory_conforms_under_every_scheme() {
    for root in ["/data", "s3a://bucket/x", "gs://bucket", "abfss://c@account.dfs.core.windows.net/x"] {
        let (root, memory) = (Location::parse(root).unwrap(), Arc::new(MemoryStorage::new()));
        let removal = MemoryRemoval::new(Arc::clone(&memory), Arc::default()).with_batch(7);
        let put = |location: &Location, bytes: &[u8]| memory.put(location, bytes.to_vec());
        run(&removal, &memory, &root, &put);
        // What removes is led to by schemes, like what reads; and reads and writes where a store does not copy by itself.
        for most_copied in [u64::MAX, 4] {
            let memory = Arc::new(MemoryStorage::new());
            let put = |location: &Location, bytes: &[u8]| memory.put(location, bytes.to_vec());
            let removal =
                MemoryRemoval::new(Arc::clone(&memory), Arc::default()).with_most_copied(most_copied);
            let removers =
                Removers::new(memory.clone(), vec![root.clone()]).with(root.class(), Arc::new(removal));
            run(&removers, &memory, &root, &put);
        }
    }
}

/// A store with as many objects, what removes them, and where they are.
fn memory(count: usize, batch: usize) -> (Arc<MemoryStorage>, MemoryRemoval, Vec<Location>) {
    let memory = Arc::new(MemoryStorage::new());
    let all: Vec<_> = (0..count).map(|n| Location::parse(&format!("s3://b/{n:03}")).unwrap()).collect();
    all.iter().for_each(|location| memory.put(location, "x"));
    (Arc::clone(&memory), MemoryRemoval::new(memory, Arc::default()).with_batch(batch), all)
}

#[test]
fn whoever_removes_can_die_after_each_single_object() {
    for batch in [1, 4, 100] {
        for n in 0..=10 {
            let (storage, removal, all) = memory(10, batch);
            storage.fail_from_change(n, MemoryFault::Fail(Kind::Unavailable));
            let outcomes = removal.remove_all(&all);
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64, n);
            assert_eq!(storage.changes(), n);
            assert!(storage.head(&all[0]).is_err());
            storage.clear_faults();
            let root = all[0].store_root();
            assert_eq!(names(&storage, &root).len() as u64, 10 - n);
            let again = removal.remove_all(&all);
            let there = again.iter().filter(|outcome| **outcome == Ok(Removed::Removed)).count() as u64;
            assert_eq!(there, 10 - n);
        }
    }
}

#[test]
fn faults_come_where_they_were_ordered() {
    let (storage, removal, all) = memory(6, 2);
    storage.fail_at(&all[1], MemoryFault::Fail(Kind::PermissionDenied));
    storage.fail_at(&all[2], MemoryFault::Unheard(Kind::Timeout));
    storage.fail_request(2, MemoryFault::Fail(Kind::Throttled));
    let kinds: Vec<_> =
        removal.remove_all(&all).into_iter().map(|o| o.err().map(|e| e.kind().clone())).collect();
    let expected = [
        None,
        Some(Kind::PermissionDenied),
        Some(Kind::Timeout),
        None,
        Some(Kind::Throttled),
        Some(Kind::Throttled),
    ];
    assert_eq!(kinds, expected);
    storage.clear_faults();
    assert_eq!(names(&storage, &all[0].store_root()), ["001", "004", "005"]);
    storage.fail_requests_from(storage.requests() + 1, MemoryFault::Fail(Kind::Unavailable));
    assert!(storage.head(&all[1]).is_ok());
    assert_eq!(kind(storage.head(&all[1])), Kind::Unavailable);
    assert_eq!(kind(removal.copy(&all[1], &all[0])), Kind::Unavailable);
    assert_eq!(kind(removal.put(&all[1], Bytes::new())), Kind::Unavailable);
    assert_eq!(kind(removal.versioning(&all[1])), Kind::Unavailable);
}

#[test]
fn an_empty_directory_in_memory_goes() {
    let (storage, removal, all) = memory(1, 1);
    let directory = Location::parse("s3://b/d").unwrap();
    storage.put_directory(&directory);
    storage.put(&sub(&directory, "x"), "x");
    assert_eq!(kind(removal.remove_directory(&directory)), Kind::NotEmpty);
    assert_eq!(kind(removal.remove_directory(&all[0])), Kind::NotADirectory);
    removal.remove_all(&[sub(&directory, "x")]);
    assert_eq!(removal.remove_directory(&directory).unwrap(), Removed::Removed);
    assert_eq!(removal.remove_directory(&directory).unwrap(), Removed::NotThere);
    let removal = removal.with_versioning(Versioning::On);
    assert_eq!(removal.versioning(&directory).unwrap(), Versioning::On);
}

// ---- all stores of a run -------------------------------------------------------------------------

#[test]
fn nothing_is_removed_but_below_the_roots() {
    let memory = Arc::new(MemoryStorage::new());
    let at = |text: &str| Location::parse(text).unwrap();
    let all = [
        "s3://b/root/x",
        "s3://b/roo",
        "s3a://b/root/y",
        "gs://b/root/x",
        "s3://b/root",
        "hdfs://nn/x",
        "s3://b/root/z",
    ]
    .map(at);
    all.iter().for_each(|location| memory.put(location, "x"));
    let removal = Arc::new(MemoryRemoval::new(Arc::clone(&memory), Arc::default()));
    let roots = vec![at("s3://b/root"), at("hdfs://nn")];
    let removers = Removers::new(memory.clone(), roots)
        .with(SchemeClass::S3, removal.clone())
        .with(SchemeClass::Gcs, removal);
    let outcomes: Vec<_> =
        removers.remove_all(&all).into_iter().map(|o| o.map_err(|e| e.kind().clone())).collect();
    let (removed, denied) = (Ok(Removed::Removed), Err(Kind::PermissionDenied));
    let expected = [
        removed.clone(),
        denied.clone(),
        removed.clone(),
        denied.clone(),
        denied,
        Err(Kind::Unsupported),
        removed,
    ];
    assert_eq!(outcomes, expected);
    let mut seen = 0;
    removers.remove(&all, &mut |index, _| {
        seen = index;
        if index == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(seen, 2);
    assert_eq!(kind(removers.put(&at("s3://b/roo"), Bytes::new())), Kind::PermissionDenied);
    assert_eq!(kind(removers.remove_directory(&at("s3://b/root"))), Kind::PermissionDenied);
    // What is written may lie elsewhere, since nothing is overwritten.
    assert!(removers.put_new(&at("s3://c/quarantine"), Bytes::new()).is_ok());
    assert!(removers.copy(&at("s3://b/roo"), &at("s3://b/elsewhere")).is_ok());
    let error = removers.copy(&at("s3://b/roo"), &at("hdfs://nn/x")).unwrap_err();
    assert!(
        error.to_string().contains("cannot copy") && !error.to_string().contains("--relocate"),
        "{error}"
    );
}

#[test]
fn what_lies_in_another_store_is_read_and_written() {
    let (dir, server) = (tempfile::tempdir().unwrap(), server(Box::new(|_, _| None)));
    server.put("dir/object", b"0123456789");
    let meter = Arc::new(Meter::new());
    let quarantine = Location::from_local_path(dir.path()).unwrap();
    let removers = Removers::all(&access(&server), vec![root()], &meter);
    let (there, here) = (sub(&root(), "object"), sub(&quarantine, "a/object"));
    assert_eq!(removers.copy(&there, &here).unwrap().size, 10);
    assert_eq!(fs::read(dir.path().join("a/object")).unwrap(), b"0123456789");
    assert_eq!(kind(removers.copy(&there, &here)), Kind::AlreadyExists);
    assert_eq!(removers.copy(&here, &sub(&root(), "back")).unwrap().size, 10);
    assert_eq!(
        removers.remove_all(&[there, here.clone()]).into_iter().map(|o| o.is_ok()).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(server.objects(), [("dir/back".to_owned(), 10)]);
    assert_eq!(removers.versioning(&root()).unwrap(), Versioning::Unknown);
    assert_eq!(removers.versioning(&here).unwrap(), Versioning::Off);

    // One that is replaced while it is read is not copied.
    let memory = Arc::new(MemoryStorage::new());
    let at = |text: &str| Location::parse(text).unwrap();
    memory.put(&at("gs://b/x"), vec![0; 40 << 20]);
    let replaced = Replaced(Arc::clone(&memory));
    let removal = MemoryRemoval::new(Arc::clone(&memory), Arc::default());
    let removers = Removers::new(Arc::new(replaced), vec![]).with(SchemeClass::S3, Arc::new(removal));
    let error = removers.copy(&at("gs://b/x"), &at("s3://b/x")).unwrap_err();
    assert!(error.to_string().contains("replaced while it was read"), "{error}");
    assert_eq!(kind(memory.head(&at("s3://b/x"))), Kind::NotFound);
}

/// A store of which each object is another after it was read.
#[derive(Debug)]
struct Replaced(Arc<MemoryStorage>);

impl Storage for Replaced {
    fn head(&self, location: &Location) -> Result<statescope::storage::ObjectMeta, StorageError> {
        self.0.head(location)
    }

    fn read(
        &self,
        location: &Location,
        span: &statescope::storage::Span,
    ) -> Result<statescope::storage::Fetched, StorageError> {
        let fetched = self.0.read(location, span)?;
        self.0.put(location, vec![0; fetched.meta.size as usize]);
        Ok(fetched)
    }

    fn list(
        &self,
        directory: &Location,
        scope: ListScope,
        page: &mut statescope::storage::PageFn<'_>,
    ) -> Result<(), StorageError> {
        self.0.list(directory, scope, page)
    }
}

// ---- object stores -------------------------------------------------------------------------------

fn access(server: &ObjectServer) -> Access {
    Access {
        endpoint: Some(server.endpoint().to_owned()),
        anonymous: true,
        backoff: Duration::from_micros(100),
        timeout: Duration::from_secs(5),
        retries: 4,
        ..Access::default()
    }
}

fn server(faults: Box<Faults>) -> ObjectServer {
    ObjectServer::start(Behaviour { faults, ..Behaviour::default() })
}

fn root() -> Location {
    Location::parse(&format!("s3://{BUCKET}/dir")).unwrap()
}

fn removers(server: &ObjectServer) -> (Removers, Arc<Meter>) {
    let meter = Arc::new(Meter::with_log());
    (Removers::all(&access(server), vec![root()], &meter), meter)
}

fn conforms(server: &ObjectServer) -> Counts {
    conforms_at(server, &access(server), &root())
}

fn conforms_at(server: &ObjectServer, access: &Access, root: &Location) -> Counts {
    let meter = Arc::new(Meter::new());
    let removers = Removers::all(access, vec![root.clone()], &meter);
    let storage = ObjectStorage::new(access.clone(), Arc::default());
    run(&removers, &storage, root, &|location, bytes| server.put(location.key(), bytes));
    assert_eq!(server.uploads(), 0, "something was begun and not ended");
    meter.counts()
}

#[test]
fn an_object_store_conforms() {
    let counts = conforms(&server(Box::new(|_, _| None)));
    // One request for many objects, but for the ends of copies and writes.
    assert!((4..=7).contains(&counts.remove), "{counts:?}");
    assert_eq!(counts.retries, 0);
    conforms(&ObjectServer::start(Behaviour { disregards_conditions: true, ..Behaviour::default() }));
}

#[test]
fn google_cloud_storage_conforms() {
    let root = Location::parse(&format!("gs://{BUCKET}/dir")).unwrap();
    let (name, key) = GOOGLE_ACCOUNT;
    let environment: std::collections::BTreeMap<_, _> = [(name.to_owned(), key.to_owned())].into();
    for fault in [None, Some(Fault::Status(503))] {
        let server = server(Box::new(move |_, same| fault.filter(|_| same == 0)));
        let access = Access { anonymous: false, environment: environment.clone(), ..access(&server) };
        let counts = conforms_at(&server, &access, &root);
        assert!(counts.remove > 70, "{counts:?}");
        assert_eq!(counts.retries > 0, fault.is_some(), "{counts:?}");
        assert_eq!(
            Removers::all(&access, vec![], &Arc::default()).versioning(&root),
            Ok(Versioning::Unknown)
        );
    }
}

#[test]
fn what_goes_wrong_now_and_then_is_not_noticed() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Each("SlowDown"),
        Fault::Each("InternalError"),
        Fault::Each("ServiceUnavailable"),
        Fault::Slow,
    ] {
        let counts = conforms(&server(Box::new(move |_, same| (same == 0).then_some(fault))));
        assert_eq!(counts.retries > 0, fault != Fault::Slow, "{fault:?}");
    }
}

/// Objects in a server, and where they are.
fn objects(server: &ObjectServer, count: usize) -> Vec<Location> {
    let all: Vec<_> = (0..count).map(|n| sub(&root(), &format!("{n:05}"))).collect();
    all.iter().for_each(|location| server.put(location.key(), b"x"));
    all
}

#[test]
fn a_request_removes_a_thousand_objects() {
    let server = server(Box::new(|_, _| None));
    let all = objects(&server, 2500);
    let (removers, meter) = removers(&server);
    assert!(removers.remove_all(&all).into_iter().all(|outcome| outcome == Ok(Removed::Removed)));
    assert_eq!(meter.counts(), Counts { remove: 3, ..Counts::default() });
    assert!(server.objects().is_empty());
}

#[test]
fn stores_that_know_no_such_request_are_asked_for_each() {
    let server = ObjectServer::start(Behaviour { latency: Duration::from_millis(2), ..Behaviour::default() });
    let mut all = objects(&server, 150);
    all.insert(100, sub(&root(), "missing"));
    let environment = [("AWS_DISABLE_BULK_DELETE".to_owned(), "true".to_owned())].into();
    let meter = Arc::new(Meter::new());
    let removers = Removers::all(&Access { environment, ..access(&server) }, vec![root()], &meter);
    for (index, outcome) in removers.remove_all(&all).into_iter().enumerate() {
        let expected = if index == 100 { Removed::NotThere } else { Removed::Removed };
        assert_eq!(outcome.unwrap(), expected);
    }
    assert_eq!(meter.counts(), Counts { remove: 151, ..Counts::default() });
    assert!((2..=32).contains(&server.most_in_flight()), "{}", server.most_in_flight());
    let storage = ObjectStorage::new(access(&server), Arc::default());
    many(
        &removers,
        &storage,
        &sub(&root(), "many"),
        &|location, bytes| server.put(location.key(), bytes),
        100,
    );
}

#[test]
fn what_always_goes_wrong_is_said_of_each_object() {
    for (fault, expected, is_gone) in [
        (Fault::Status(500), Kind::Unavailable, false),
        (Fault::Status(503), Kind::Throttled, false),
        (Fault::NoAnswer, Kind::Unavailable, false),
        (Fault::Unheard, Kind::Unavailable, true),
        (Fault::BreaksOff, Kind::Unavailable, true),
        (Fault::Each("AccessDenied"), Kind::PermissionDenied, false),
        (Fault::Each("SlowDown"), Kind::Throttled, false),
        (Fault::Each("ServiceUnavailable"), Kind::Unavailable, false),
        (Fault::Each("Odd"), Kind::Other, false),
        // What cannot be understood is done all the same.
        (Fault::ShortBody, Kind::Other, true),
        (Fault::Other, Kind::Other, false),
    ] {
        for count in [1, 3] {
            let server = server(Box::new(move |_, _| Some(fault)));
            let all = objects(&server, count);
            let (removers, meter) = removers(&server);
            for (location, outcome) in all.iter().zip(removers.remove_all(&all)) {
                let error = outcome.unwrap_err();
                assert_eq!((error.kind(), error.location()), (&expected, location), "{fault:?}: {error}");
                assert_eq!(error.op(), Op::Delete);
                if fault == Fault::Other {
                    assert!(error.to_string().contains("what it was not asked for"), "{error}");
                }
            }
            assert_eq!(server.objects().is_empty(), is_gone, "{fault:?}");
            assert!(server.requests() <= 30, "{fault:?}: {} {:?}", server.requests(), meter.counts());
        }
    }
}

#[test]
fn what_a_bucket_says_of_versions_is_told() {
    for (says, expected) in [
        (Some("Enabled"), Versioning::On),
        (Some("Suspended"), Versioning::Suspended),
        (Some(""), Versioning::Off),
        (Some("Odd"), Versioning::Unknown),
        (None, Versioning::Unknown),
    ] {
        let versioning = says.map(str::to_owned);
        let server = ObjectServer::start(Behaviour { versioning, ..Behaviour::default() });
        server.put("dir/x", b"x");
        let key = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let environment = key.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let access = Access { anonymous: false, environment, ..access(&server) };
        let removers = Removers::all(&access, vec![], &Arc::default());
        assert_eq!(removers.versioning(&root()).unwrap(), expected, "{says:?}");
    }
    let server = server(Box::new(|_, _| Some(Fault::NoAnswer)));
    assert_eq!(kind(removers(&server).0.versioning(&root())), Kind::Unavailable);
}
