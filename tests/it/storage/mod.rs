//! Stores: one conformance suite for all of them, and what holds for reading many at once.

mod commands;
mod conformance;
mod faulty;
mod parallel;
mod removal;
mod scripted;
mod servers;

use statescope::storage::{
    AfterKey, CacheDirectory, Cached, LocalStorage, Location, MemoryStorage, SchemeClass, Storage, Stores,
};
use std::fs;
use std::sync::Arc;

fn put_file(location: &Location, bytes: &[u8]) {
    let path = LocalStorage::path_of(location).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn local_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let root = Location::from_local_path(dir.path()).unwrap();
    conformance::run(&LocalStorage::new(), &root, &put_file);
    conformance::run_pages(&LocalStorage::new(), &root, &put_file, 1000);
}

#[test]
fn the_router_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let root = Location::parse(&format!("file://{}", dir.path().to_str().unwrap())).unwrap();
    conformance::run(&Stores::local(), &root, &put_file);
}

#[test]
fn memory_conforms_under_every_scheme() {
    for (root, time) in [
        ("/data", None),
        ("s3a://bucket", Some(7)),
        ("gs://bucket/a/b", None),
        ("abfss://c@account.dfs.core.windows.net/x", None),
        ("https://host/x", None),
        ("hdfs://nn/flink", Some(-1)),
    ] {
        let root = Location::parse(root).unwrap();
        let memory = Arc::new(MemoryStorage::new().with_page_size(3));
        let put = |location: &Location, bytes: &[u8]| memory.put(location, bytes.to_vec());
        conformance::run_pages(&memory, &root, &put, 3);
        let unable = MemoryStorage::new().without_list_after();
        conformance::run(&unable, &root, &|location, bytes| unable.put(location, bytes.to_vec()));
        assert_eq!(unable.list_after(&root, "", &mut |_| unreachable!()).unwrap(), AfterKey::Unsupported);
        let unpaged = Arc::new(MemoryStorage::new());
        unpaged.set_server_time(time);
        assert_eq!(unpaged.server_time(&root).unwrap(), time);
        let put = |location: &Location, bytes: &[u8]| unpaged.put(location, bytes.to_vec());
        conformance::run(&unpaged, &root, &put);
        let routed = Stores::new(Arc::default()).with(root.class(), unpaged.clone());
        conformance::run(&routed, &root.join("routed").unwrap(), &put);
    }
}

#[test]
fn a_cache_conforms_when_it_is_new_and_when_it_is_not() {
    let (memory, kept) = (Arc::new(MemoryStorage::new()), tempfile::tempdir().unwrap());
    let put = |location: &Location, bytes: &[u8]| memory.put(location, bytes.to_vec());
    for run in 0..3 {
        let cache = CacheDirectory::open(kept.path(), 1 << 20, std::time::SystemTime::now).unwrap();
        let cached = Cached::new(memory.clone(), cache, Arc::default(), |_| String::new());
        let root = Location::parse("s3a://bucket/job").unwrap();
        // Putting an object again makes another of it: the second time, nothing is as it was.
        let put: &conformance::Put<'_> = if run < 2 { &put } else { &|_, _| () };
        conformance::run(&cached, &root, put);
        let paged = Location::parse(&format!("gs://bucket/{run}")).unwrap();
        conformance::run_pages(
            &cached,
            &paged,
            &|location, bytes| memory.put(location, bytes.to_vec()),
            1000,
        );
    }
}

#[test]
fn an_empty_directory_in_memory_exists() {
    use statescope::storage::{ListEntry, ListScope, Probe};
    let memory = MemoryStorage::new();
    let root = Location::parse("s3://b").unwrap();
    let empty = root.join("job/empty").unwrap();
    memory.put_directory(&empty);
    assert_eq!(memory.probe(&empty).unwrap(), Probe::Directory);
    assert!(memory.list_all(&empty, ListScope::Recursive).unwrap().is_empty());
    assert_eq!(
        memory.list_all(&root.join("job").unwrap(), ListScope::Children).unwrap(),
        [ListEntry::Directory(empty)]
    );
    assert_eq!(root.class(), SchemeClass::S3);
}
