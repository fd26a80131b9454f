//! Scans of the fixtures: how they are made, and that threads change nothing.

use std::sync::Mutex;

use statescope::analyzers::analysis::{ReferenceTime, Settings, Spill, Witness};
use statescope::readers::discover;
use statescope::readers::snapshot::{SnapshotReading, read_snapshot};
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{LocalStorage, Location, Storage};

use crate::support::{Ask, fixtures};

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
    let options = ScanOptions { threads, memory: 64 << 20, checksums: true };
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
