//! Streams of key groups: what is asked for, what is spilled, and what becomes of damage.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use statescope::analyzers::analysis::{Settings, Spill};
use statescope::model::KeyedLayout;
use statescope::readers::discover;
use statescope::readers::snapshot::{ReadOptions, SnapshotReading, open_snapshot};
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{Location, MemoryStorage, Metered, Op, RequestRecord, Span, Storage};

use super::scan::settings;
use super::support::{Fixture, fixture};

/// Fixtures whose keyed state, or a part of it, lies in streams.
const STREAMS: [&str; 7] = [
    "full-rocksdb-1.13",
    "hashmap-2.3",
    "hashmap-compressed-1.20",
    "heap-timers-1.20",
    "savepoint-canonical-1.20",
    "savepoint-canonical-2.3",
    "savepoint-canonical-hashmap-1.20",
];

/// Runs in memory, and how many there were.
#[derive(Debug, Clone, Default)]
struct Runs {
    runs: Arc<Mutex<Vec<Vec<u8>>>>,
    count: Arc<Mutex<usize>>,
}

impl Spill for Runs {
    fn write_run(&mut self, run: &[u8]) -> io::Result<()> {
        *self.count.lock().unwrap() += 1;
        self.runs.lock().unwrap().push(run.to_vec());
        Ok(())
    }

    fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
        let runs = std::mem::take(&mut *self.runs.lock().unwrap()).into_iter();
        Ok(runs.map(|run| Box::new(io::Cursor::new(run)) as Box<dyn Read + Send>).collect())
    }
}

fn read(storage: &dyn Storage, at: &Location) -> SnapshotReading {
    let file = discover::read_metadata(storage, at).unwrap();
    let mut open = open_snapshot(storage, &file, &ReadOptions::default()).unwrap();
    open.read_tails();
    open.into_reading()
}

/// Everything that a scan yields, and how often something was spilled.
fn scanned(
    storage: &dyn Storage,
    reading: &SnapshotReading,
    settings: &Settings,
    memory: u64,
) -> (ScanPartial, usize) {
    let SnapshotReading { snapshot, details, tables, .. } = reading;
    let scan = Scan::plan(Input { snapshot, details, tables, settings }, &|_, _| true);
    let options = ScanOptions { threads: 2, memory, requests: 4, checksums: true };
    let (sum, count) = (Mutex::new(ScanPartial::default()), Arc::new(Mutex::new(0)));
    let spill = || -> Box<dyn Spill> { Box::new(Runs { runs: Arc::default(), count: Arc::clone(&count) }) };
    assert!(scan.analyze(storage, options, &Progress::default(), &spill, &sum, &|_| ()));
    let spilled = *count.lock().unwrap();
    (sum.into_inner().unwrap(), spilled)
}

fn newest(fixture: &Fixture) -> Location {
    fixture.recorded(&fixture.newest())
}

/// The bytes that were asked for of each object.
fn ranges(log: &[RequestRecord]) -> BTreeMap<String, Vec<Range<u64>>> {
    let mut all: BTreeMap<String, Vec<Range<u64>>> = BTreeMap::new();
    for record in log.iter().filter(|record| record.op == Op::Range) {
        if let Some(Span::Range(range)) = &record.span {
            all.entry(record.location.to_string()).or_default().push(range.clone());
        }
    }
    all
}

#[test]
fn each_byte_of_a_stream_is_asked_for_once() {
    let mut streams = 0;
    for name in STREAMS {
        let fixture = fixture(name);
        let storage = Metered::with_log(fixture.in_memory(|path| fixture.recorded(path)));
        let reading = read(&storage, &newest(fixture));
        scanned(&storage, &reading, &settings(), 64 << 20);
        let asked = ranges(&storage.meter().take_log());
        for keyed in reading.details.keyed.iter().filter(|keyed| keyed.meta.is_some()) {
            let Some(stream) = &keyed.stream else { continue };
            let place = match &reading.tables[&stream.file] {
                statescope::readers::source::Source::Object { location, start: 0, .. } => {
                    location.to_string()
                }
                _ => continue,
            };
            let mut ranges = asked[&place].clone();
            ranges.sort_by_key(|range| range.start);
            if keyed.layout == KeyedLayout::Raw {
                // What its first key group begins with tells that it is timers.
                ranges.remove(0);
            }
            assert!(ranges.windows(2).all(|w| w[0].end <= w[1].start), "{name}: {ranges:?}");
            // The meta data, and the key groups in one stretch.
            assert!(ranges.len() <= 2, "{name}: {ranges:?}");
            assert_eq!(ranges.last().unwrap().end, stream.size, "{name}");
            streams += 1;
        }
    }
    assert!(streams > 20, "{streams}");
}

#[test]
fn memory_changes_nothing_but_what_is_spilled() {
    let mut spills = 0;
    for name in STREAMS {
        let fixture = fixture(name);
        let storage = fixture.in_memory(|path| fixture.recorded(path));
        let reading = read(&storage, &newest(fixture));
        let (whole, none) = scanned(&storage, &reading, &settings(), 64 << 20);
        assert_eq!(none, 0, "{name}");
        for timer_memory in [0, 100, 1000] {
            let settings = Settings { timer_memory, ..settings() };
            let (small, spilled) = scanned(&storage, &reading, &settings, 1 << 20);
            assert!(small == whole, "{name} with {timer_memory}");
            spills += spilled;
        }
    }
    assert!(spills > 1000, "{spills}");
}

/// The fixture with one byte of every stream flipped, at a part of its length.
fn spoiled(fixture: &Fixture, reading: &SnapshotReading, at: f64) -> MemoryStorage {
    let storage = fixture.in_memory(|path| fixture.recorded(path));
    for keyed in &reading.details.keyed {
        let Some(stream) = keyed.stream.as_ref().filter(|_| keyed.meta.is_some()) else { continue };
        let statescope::readers::source::Source::Object { location, .. } = &reading.tables[&stream.file]
        else {
            continue;
        };
        let first = stream.offsets.iter().filter(|offset| **offset > 0).min().map_or(0, |at| *at as u64);
        let mut bytes = storage.read(location, &Span::Full { limit: u64::MAX }).unwrap().bytes.to_vec();
        let place = first + ((stream.size - first) as f64 * at) as u64;
        bytes[place as usize] ^= 0x10;
        storage.put(location, bytes);
    }
    storage
}

#[test]
fn damage_costs_a_key_group_and_is_told() {
    let mut told = 0;
    for name in STREAMS {
        let fixture = fixture(name);
        let home = fixture.in_memory(|path| fixture.recorded(path));
        let reading = read(&home, &newest(fixture));
        let (whole, _) = scanned(&home, &reading, &settings(), 64 << 20);
        for at in [0.2, 0.5, 0.9] {
            let storage = spoiled(fixture, &reading, at);
            let reading = read(&storage, &newest(fixture));
            let settings = settings();
            let (partial, _) = scanned(&storage, &reading, &settings, 64 << 20);
            let SnapshotReading { snapshot, details, tables, .. } = &reading;
            let input = Input { snapshot, details, tables, settings: &settings };
            let finished = Scan::plan(input, &|_, _| true).finish(&partial);
            let damaged = partial.streams.values().filter(|read| read.damaged).count();
            let findings =
                finished.findings.iter().filter(|finding| finding.code == "key_group_damaged").count();
            assert_eq!(damaged, findings, "{name}: {:#?}", finished.findings);
            told += damaged;
            // Of other key groups, nothing is lost.
            let groups = |partial: &ScanPartial| -> u64 {
                partial.analysis.states.values().map(|state| state.groups.len() as u64).sum()
            };
            let lost: u64 = partial.analysis.streams.values().map(|tally| tally.damaged_key_groups).sum();
            assert!(groups(&partial) + lost >= groups(&whole), "{name} at {at}");
        }
    }
    assert!(told > 20, "{told}");
}
