use super::*;
use crate::storage::{MemoryStorage, Metered, StorageErrorKind};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn at(text: &str) -> Location {
    Location::parse(text).expect(text)
}

/// A clock that goes on by a second each time that it is asked.
fn clock() -> SystemTime {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.fetch_add(1, Ordering::Relaxed))
}

type Run<'m> = Cached<Metered<&'m MemoryStorage>>;

/// A run that has this directory for its cache.
fn run<'m>(memory: &'m MemoryStorage, directory: &Path, limit: u64) -> Run<'m> {
    let cache = CacheDirectory::open(directory, limit, clock).expect("a cache");
    let inner = Metered::new(memory);
    let meter = Arc::clone(inner.meter());
    Cached::new(inner, cache, meter, |_| "https://some-secret@host".to_owned())
}

/// What was asked of the store: meta data, ranges of all kinds, and how often the cache served instead.
fn asked(run: &Run<'_>) -> (u64, u64, u64) {
    let counts = run.meter.counts();
    (counts.head, counts.range + counts.suffix + counts.full, counts.kept)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn hundred() -> Vec<u8> {
    (0..100).collect()
}

#[test]
fn another_run_asks_once_whether_the_object_is_the_same() {
    let (memory, directory) = (MemoryStorage::new(), tempfile::tempdir().expect("a directory"));
    let object = at("s3://b/k");
    memory.put(&object, hundred());
    let first = run(&memory, directory.path(), 1 << 20);
    assert_eq!(first.read_suffix(&object, 30).expect("bytes"), (hundred()[70..].to_vec().into(), 100));
    assert_eq!(first.read_range(&object, 0..20).expect("bytes"), &hundred()[..20]);
    assert_eq!(first.read_range(&object, 75..80).expect("bytes"), &hundred()[75..80]);
    assert_eq!(asked(&first), (0, 2, 1));

    let second = run(&memory, directory.path(), 1 << 20);
    assert_eq!(second.read_range(&object, 5..20).expect("bytes"), &hundred()[5..20]);
    assert_eq!(second.read_suffix(&object, 30).expect("bytes").0, &hundred()[70..]);
    assert_eq!(asked(&second), (1, 0, 2));
    // What is not there is read, and then all of it is.
    assert_eq!(second.read_range(&object, 10..75).expect("bytes"), &hundred()[10..75]);
    assert_eq!(second.read_all(&object, 100).expect("bytes"), hundred());
    assert_eq!(asked(&second), (1, 1, 3));
    assert_eq!(second.meter.counts().kept_bytes, 15 + 30 + 100);
}

#[test]
fn an_object_that_was_replaced_or_is_gone_is_noticed() {
    let (memory, directory) = (MemoryStorage::new(), tempfile::tempdir().expect("a directory"));
    let object = at("s3://b/k");
    memory.put(&object, hundred());
    run(&memory, directory.path(), 1 << 20).read_all(&object, 100).expect("bytes");
    memory.put(&object, vec![7; 100]);
    let other = run(&memory, directory.path(), 1 << 20);
    assert_eq!(other.read_range(&object, 0..3).expect("bytes"), &[7; 3][..]);
    assert_eq!(asked(&other), (1, 1, 0));
    let empty = MemoryStorage::new();
    let gone = run(&empty, directory.path(), 1 << 20);
    let error = gone.read_range(&object, 0..3).expect_err("gone");
    assert_eq!(*error.kind(), StorageErrorKind::NotFound);
}

#[test]
fn what_was_damaged_is_read_again() {
    let (memory, directory) = (MemoryStorage::new(), tempfile::tempdir().expect("a directory"));
    let object = at("s3://b/k");
    memory.put(&object, hundred());
    run(&memory, directory.path(), 1 << 20).read_all(&object, 100).expect("bytes");
    let file = files(directory.path()).pop().expect("a file");
    let whole = fs::read(&file).expect("its bytes");
    assert!(!String::from_utf8_lossy(&whole).contains("some-secret"));
    for position in 0..=whole.len() {
        let (cut, flipped) = whole.split_at(position);
        let mut other = whole.clone();
        let damaged = match flipped.first() {
            Some(byte) => {
                other[position] = byte ^ 0x10;
                vec![cut.to_vec(), other]
            }
            None => vec![[&*whole, b"x"].concat()],
        };
        for bytes in damaged {
            fs::write(&file, bytes).expect("written");
            let again = run(&memory, directory.path(), 1 << 20);
            assert_eq!(again.read_range(&object, 0..100).expect("bytes"), hundred(), "{position}");
            assert_eq!(asked(&again), (1, 1, 0), "{position}");
            // What was read takes its place.
            assert_eq!(fs::read(&file).expect("its bytes"), whole);
        }
    }
}

#[test]
fn what_was_used_longest_ago_goes_first_and_nothing_of_others() {
    let (memory, directory) = (MemoryStorage::new(), tempfile::tempdir().expect("a directory"));
    fs::write(directory.path().join("mine"), vec![0; 100_000]).expect("written");
    let objects: Vec<_> = (0..40).map(|n| at(&format!("s3://b/{n}"))).collect();
    objects.iter().for_each(|object| memory.put(object, vec![1; 1000]));
    let used = run(&memory, directory.path(), 20_000);
    for object in &objects {
        used.read_all(object, 1000).expect("bytes");
        used.read_all(&objects[0], 1000).expect("bytes");
        let size: u64 = files(&directory.path().join("statescope-1"))
            .iter()
            .map(|f| fs::metadata(f).expect("a file").len())
            .sum();
        assert!(size <= 20_000, "{size}");
    }
    let later = run(&memory, directory.path(), 20_000);
    [0, 39, 1].iter().for_each(|&n| drop(later.read_all(&objects[n], 1000).expect("bytes")));
    assert_eq!(asked(&later), (2, 1, 2));
    assert!(directory.path().join("mine").exists());
}

#[test]
fn what_has_no_version_is_not_kept() {
    /// A store that says nothing about its objects.
    #[derive(Debug)]
    struct Bare(MemoryStorage, Option<&'static str>, Option<i64>);
    impl Storage for Bare {
        fn head(&self, location: &Location) -> Result<ObjectMeta> {
            let meta = self.0.head(location)?;
            Ok(ObjectMeta { etag: self.1.map(Into::into), last_modified: self.2, ..meta })
        }

        fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
            Ok(Fetched { meta: self.head(location)?, ..self.0.read(location, span)? })
        }

        fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
            self.0.list(directory, scope, page)
        }
    }
    for (tag, time, is_kept) in [
        (None, None, false),
        (Some("W/1"), None, false),
        (Some("W/1"), Some(1), true),
        (Some("1"), None, true),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let bare = Bare(MemoryStorage::new(), tag, time);
        bare.0.put(&at("s3://b/k"), hundred());
        let cache = CacheDirectory::open(directory.path(), 1 << 20, clock).expect("a cache");
        let cached = Cached::new(bare, cache, Arc::default(), |_| String::new());
        cached.read_all(&at("s3://b/k"), 100).expect("bytes");
        assert_eq!(cached.read_range(&at("s3://b/k"), 1..4).expect("bytes"), &[1, 2, 3][..]);
        assert_eq!(cached.meter.counts().kept > 0, is_kept, "{tag:?} {time:?}");
        assert_eq!(!files(directory.path()).is_empty(), is_kept);
    }
}

#[test]
fn many_may_use_it_at_once() {
    let (memory, directory) = (MemoryStorage::new(), tempfile::tempdir().expect("a directory"));
    let objects: Vec<_> = (0..20u8).map(|n| (at(&format!("s3://b/{n}")), vec![n; 500])).collect();
    objects.iter().for_each(|(object, bytes)| memory.put(object, bytes.clone()));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (memory, directory, objects) = (&memory, &directory, &objects);
            scope.spawn(move || {
                // As little room as makes each remove what the others read.
                let run = run(memory, directory.path(), 8000);
                for round in 0..10 {
                    for (n, (object, bytes)) in objects.iter().enumerate() {
                        let start = (n * thread + round) % 400;
                        let got = run.read_range(object, start as u64..start as u64 + 100).expect("bytes");
                        assert_eq!(got, bytes[start..start + 100]);
                    }
                }
            });
        }
    });
}
