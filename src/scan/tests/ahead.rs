//! What is read ahead, of tables that lie where answers take their time.

use std::time::{Duration, Instant};

use super::*;
use crate::readers::source::Kept;
use crate::storage::Span;

/// Tables that are each a split, with several pieces, in two overlapping levels.
fn tables() -> Vec<Made> {
    let upper = (0..12).map(|n| Made::of_groups(n * 10, 10, 40, 400));
    let lower = (0..6).map(|n| Made::of_groups(n * 20, 20, 30, 400));
    upper.chain(lower).collect()
}

fn world(place: &str) -> World {
    let made = tables();
    let made: Vec<_> =
        made.iter().zip(0..).map(|(made, n)| (made, if n < 12 { 1 } else { 2 }, 40 << 20)).collect();
    World::new(place, &made, &[(0, 59), (60, 127)])
}

/// What was asked for, in an order of its own.
fn asked(read: &Read) -> Vec<(String, Span)> {
    let span = |record: &RequestRecord| (record.location.path().to_owned(), record.span.clone().unwrap());
    let mut all: Vec<_> = read.log.iter().map(span).collect();
    all.sort_by_key(|(path, span)| (path.clone(), format!("{span:?}")));
    all
}

#[test]
fn what_is_read_and_what_comes_of_it_is_the_same_as_without() {
    let here = world("file:/job").scan(1);
    assert!(here.splits > 10, "{}", here.splits);
    assert!(here.log.len() > 5 * here.splits, "{}", here.log.len());
    for (threads, requests, memory) in [(1, 1, 1), (2, 2, 1), (3, 16, 1 << 20), (1, 64, 2 << 20)] {
        let there =
            world("s3://bucket/job").scan_with(ScanOptions { threads, memory, requests, checksums: true });
        assert_eq!(asked(&there), asked(&here), "{threads} {requests} {memory}");
        assert_eq!((there.rows, there.tally), (here.rows, here.tally));
        assert_eq!(there.finished.analysis, here.finished.analysis);
    }
    // With more memory, pieces are larger, and so fewer.
    let there = world("s3://bucket/job").scan_with(ScanOptions {
        threads: 1,
        memory: 1 << 30,
        requests: 8,
        checksums: true,
    });
    assert!(there.log.len() < here.log.len() * 3 / 4, "{} of {}", there.log.len(), here.log.len());
    assert_eq!(there.finished.analysis, here.finished.analysis);
}

#[test]
fn ends_that_are_kept_are_not_asked_for() {
    let mut kept = world("s3://bucket/job");
    let options = ScanOptions { threads: 2, memory: 1 << 20, requests: 8, checksums: true };
    let without = kept.scan_with(options);
    let mut of_ends = 0;
    for (made, number) in tables().into_iter().zip(0..) {
        let Some(Source::Object { kept, location, .. }) = kept.tables.get_mut(&FileId(number)) else {
            panic!("an object");
        };
        let offset = made.tail().index.offset;
        let of_index = |record: &&RequestRecord| {
            record.location == *location
                && matches!(&record.span, Some(Span::Range(range)) if range.start >= offset)
        };
        of_ends += without.log.iter().filter(of_index).count();
        let bytes = made.bytes[usize::try_from(offset).unwrap()..].to_vec().into();
        *kept = Some(Kept { offset, bytes });
    }
    assert_eq!(of_ends, 18);
    let with = kept.scan_with(options);
    assert_eq!(with.log.len(), without.log.len() - of_ends);
    assert_eq!(with.finished.analysis, without.finished.analysis);
}

#[test]
fn nobody_waits_for_one_answer_after_the_other() {
    let mut world = world("s3://bucket/job");
    let latency = Duration::from_millis(25);
    let slow = MemoryStorage::new().with_latency(latency);
    tables().into_iter().zip(0..).for_each(|(made, n)| slow.put(world.location(n), made.bytes));
    world.storage = Metered::with_log(slow);
    let start = Instant::now();
    let read = world.scan_with(ScanOptions { threads: 1, memory: 2 << 20, requests: 16, checksums: true });
    let one_by_one = u32::try_from(read.log.len()).unwrap() * latency;
    assert!(start.elapsed() < one_by_one / 2, "{:?} of {one_by_one:?}", start.elapsed());
    assert_eq!(read.finished.findings.len(), 0);
    let most = world.storage.inner().most_in_flight();
    assert!((4..=16).contains(&most), "{most}");
}

#[test]
fn a_scan_that_is_stopped_asks_for_no_more() {
    let world = world("s3://bucket/job");
    let World { snapshot, details, tables, settings, storage } = &world;
    let scan = Scan::plan(Input { snapshot, details, tables, settings }, &|_, _| true);
    let options = ScanOptions { threads: 2, memory: 1 << 20, requests: 2, checksums: true };
    let (sum, progress) = (Mutex::new(ScanPartial::default()), Progress::default());
    let whole = scan.analyze(storage, options, &progress, &|| panic!("no timers"), &sum, &|_| {
        progress.stop.store(true, Ordering::Relaxed);
    });
    assert!(!whole);
    let (asked, all) = (storage.meter().counts().requests(), world.scan(1).log.len() as u64);
    assert!(asked < all / 2, "{asked} of {all}");
}
