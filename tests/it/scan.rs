//! Scans of the fixtures against what their jobs know.

use std::collections::BTreeMap;
use std::sync::Mutex;

use statescope::analyzers::analysis::{ReferenceTime, Settings, Spill, Witness};
use statescope::readers::discover;
use statescope::readers::snapshot::{SnapshotReading, read_snapshot};
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{LocalStorage, Location, Storage};

use crate::support::{Ask, fixtures, list, number, text};

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
fn rows_and_entries_are_those_of_the_job() {
    let storage = LocalStorage::new();
    let mut compared = 0;
    for fixture in fixtures() {
        for (path, truth) in fixture.truths() {
            let reading = read(&storage, &fixture.at(&path));
            let is_database = |operator| {
                let mut handles = reading.details.keyed.iter().filter(|k| k.operator == operator);
                handles.all(|k| k.database.is_some() || k.raw_timers.is_some())
            };
            let partial = scan(&storage, &reading, &settings(), 2);
            assert!(partial.damage.is_empty(), "{} {path}: {:?}", fixture.name, partial.damage);
            let mut found: BTreeMap<(String, &str), (u64, u64, bool)> = BTreeMap::new();
            for (key, state) in &partial.analysis.states {
                let operator = &reading.snapshot.operators[key.operator as usize];
                let sum = found.entry((operator.id.to_string(), &key.state)).or_default();
                sum.0 += state.live.rows;
                sum.1 += state.live.entries;
                sum.2 |= !state.not_walked.is_empty();
            }
            let changed = reading.snapshot.operators.iter().flat_map(|o| &o.subtasks).any(|s| {
                s.managed_keyed.as_ref().is_some_and(|k| {
                    matches!(&k.content, statescope::model::KeyedContent::Changelog(log) if !log.deltas.is_empty())
                })
            });
            if changed {
                continue;
            }
            for operator in list(&truth["operators"]) {
                let id = text(&operator["id"]);
                let Some(index) = reading.snapshot.operators.iter().position(|o| o.id.to_string() == id)
                else {
                    continue;
                };
                if !is_database(index) {
                    continue;
                }
                for state in list(&operator["keyed_states"]) {
                    let name = text(&state["name"]);
                    let (rows, entries, opaque) =
                        found.get(&(id.to_owned(), name)).copied().unwrap_or_default();
                    let what = format!("{} {path} {id} {name}", fixture.name);
                    assert_eq!(rows, number(&state["rows"]), "rows of {what}");
                    // Lists of what cannot be divided: Kryo's elements.
                    assert!(!opaque || state["kryo"] == true, "{what}");
                    let known = number(&state["entries"]);
                    assert!(
                        entries == known || (opaque && entries < known),
                        "{entries} of {known} entries of {what}"
                    );
                    compared += 1;
                }
                for timers in list(&operator["timers"]) {
                    let name = text(&timers["name"]);
                    if let Some((rows, entries, _)) = found.get(&(id.to_owned(), name)) {
                        assert_eq!((*rows, *entries), (number(&timers["count"]), *rows), "{name}");
                    }
                }
            }
        }
    }
    assert!(compared > 150, "{compared}");
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
