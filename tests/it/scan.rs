//! Scans of the fixtures: how they are made, and that threads change nothing.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use statescope::analyzers::analysis::{ReferenceTime, Settings, Spill, Witness};
use statescope::readers::discover;
use statescope::readers::snapshot::{SnapshotReading, read_snapshot};
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{
    Fetched, ListScope, LocalStorage, Location, ObjectMeta, PageFn, Result, Span, Storage,
};

use crate::support::{Ask, fixture, fixtures};

/// No key group of a fixture has so many timers that they do not fit into memory.
pub struct NoSpill;

impl Spill for NoSpill {
    fn write_run(&mut self, _: &[u8]) -> std::io::Result<()> {
        unreachable!()
    }

    fn take_runs(&mut self) -> std::io::Result<Vec<Box<dyn std::io::Read + Send>>> {
        Ok(Vec::new())
    }
}

pub fn settings() -> Settings {
    Settings::new(ReferenceTime { at_ms: 1_800_000_000_000, witness: Witness::Given })
}

pub fn read(storage: &dyn Storage, at: &Location) -> SnapshotReading {
    let file = discover::read_metadata(storage, at).unwrap();
    read_snapshot(storage, &file, &Ask::properties().options()).unwrap()
}

pub fn scan(
    storage: &dyn Storage,
    reading: &SnapshotReading,
    settings: &Settings,
    threads: usize,
) -> ScanPartial {
    let SnapshotReading { snapshot, details, tables, .. } = reading;
    let scan = Scan::plan(Input { snapshot, details, tables, settings }, &|_, _| true);
    let options = ScanOptions { threads, memory: 64 << 20, requests: 8, checksums: true };
    let sum = Mutex::new(ScanPartial::default());
    assert!(scan.analyze(storage, options, &Progress::default(), &|| Box::new(NoSpill), &sum, &|_| ()));
    sum.into_inner().unwrap()
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let storage = LocalStorage::new();
    for fixture in fixtures() {
        let reading = read(&storage, &fixture.at(&fixture.newest()));
        let one = serde_json::to_string(&scan(&storage, &reading, &settings(), 1)).unwrap();
        for threads in [2, 8] {
            let many = serde_json::to_string(&scan(&storage, &reading, &settings(), threads)).unwrap();
            assert!(one == many, "{} with {threads} threads", fixture.name);
        }
    }
}

/// A disk that remembers how far a scan was whenever something was read of a table.
#[derive(Debug)]
struct Watched {
    disk: LocalStorage,
    progress: Progress,
    seen: Mutex<BTreeSet<u64>>,
    /// Ends the scan when it is this far.
    stop_at: u64,
}

impl Watched {
    fn new(stop_at: u64) -> Self {
        Self { disk: LocalStorage::new(), progress: Progress::default(), seen: Mutex::default(), stop_at }
    }

    fn bytes(&self) -> u64 {
        self.progress.bytes.load(Ordering::Relaxed)
    }
}

impl Storage for Watched {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        self.disk.head(location)
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        self.seen.lock().unwrap().insert(self.bytes());
        self.progress.stop.fetch_or(self.bytes() >= self.stop_at, Ordering::Relaxed);
        self.disk.read(location, span)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        self.disk.list(directory, scope, page)
    }
}

#[test]
fn progress_goes_on_within_splits_up_to_what_was_planned() {
    let (mut compared, mut within) = (0, 0);
    for fixture in fixtures() {
        let reading = read(&LocalStorage::new(), &fixture.at(&fixture.newest()));
        let SnapshotReading { snapshot, details, tables, .. } = &reading;
        let settings = settings();
        // Changes of a changelog are read by whichever split comes first, and so are part of none.
        let mut changelogs: Vec<_> =
            details.keyed.iter().filter_map(|keyed| keyed.changes.as_ref()).collect();
        changelogs.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let changes: u64 = changelogs.iter().map(|changelog| changelog.bytes).sum();
        for threads in [1, 2] {
            let scan = Scan::plan(Input { snapshot, details, tables, settings: &settings }, &|_, _| true);
            let storage = Watched::new(u64::MAX);
            let options = ScanOptions { threads, memory: 64 << 20, requests: 8, checksums: true };
            let (sum, ends) = (Mutex::new(ScanPartial::default()), Mutex::new(BTreeSet::from([0])));
            let each = |_: &ScanPartial| {
                ends.lock().unwrap().insert(storage.bytes());
            };
            assert!(scan.analyze(&storage, options, &storage.progress, &|| Box::new(NoSpill), &sum, &each));
            let sum = sum.into_inner().unwrap();
            assert_eq!(storage.bytes(), sum.bytes + changes, "{}", fixture.name);
            let clipped = scan.finish(&sum).analysis.tallies.values().any(|tally| tally.clipped > 0);
            assert!(sum.damage.is_empty() && sum.bytes + changes <= scan.bytes(), "{}", fixture.name);
            if !clipped && scan.bytes() > 0 {
                assert_eq!(sum.bytes + changes, scan.bytes(), "{}", fixture.name);
                compared += 1;
            }
            let ends = ends.into_inner().unwrap();
            within += storage.seen.into_inner().unwrap().difference(&ends).count();
        }
    }
    assert!(compared > 20 && within > 200, "{compared} {within}");
}

#[test]
fn a_split_is_broken_off_where_it_is() {
    let fixture = fixture("inc-1.20");
    let reading = read(&LocalStorage::new(), &fixture.at(&fixture.newest()));
    let SnapshotReading { snapshot, details, tables, .. } = &reading;
    let settings = settings();
    let scan = Scan::plan(Input { snapshot, details, tables, settings: &settings }, &|_, _| true);
    let storage = Watched::new(1);
    let options = ScanOptions { threads: 1, memory: 64 << 20, requests: 8, checksums: true };
    let sum = Mutex::new(ScanPartial::default());
    assert!(!scan.analyze(&storage, options, &storage.progress, &|| Box::new(NoSpill), &sum, &|_| ()));
    // It had read something, and nothing of that is in the sum.
    assert!(storage.bytes() > 0 && storage.bytes() < scan.bytes() / 10, "{}", storage.bytes());
    assert_eq!(sum.into_inner().unwrap(), ScanPartial::default());
}
