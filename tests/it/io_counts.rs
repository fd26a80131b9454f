//! What is asked of a store, counted to the request.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use statescope::readers::discover::{self, Target};
use statescope::readers::root;
use statescope::storage::{InFlight, Location, MemoryStorage, Metered, Op, RequestRecord, Span, Storage};

use super::support::{Ask, Fixture, Seen, fixture, fixtures, list, see, text};

/// A request: of what, which kind, from where in the object.
type Asked = (String, Op, u64);

fn asked(log: &[RequestRecord]) -> Vec<Asked> {
    let mut asked: Vec<_> = log
        .iter()
        .map(|r| {
            let start = match &r.span {
                Some(Span::Range(range)) => range.start,
                _ => 0,
            };
            (r.location.to_string(), r.op, start)
        })
        .collect();
    asked.sort();
    asked
}

/// Reads a snapshot of a fixture that lies in memory, and says what that took.
fn counted(storage: MemoryStorage, at: &Location, ask: &Ask) -> (Seen, Vec<RequestRecord>) {
    let storage = Metered::with_log(storage);
    let seen = see(&storage, at, ask);
    (seen, storage.meter().take_log())
}

/// The streams that tell what is in a snapshot, as `flink.json` names them, where they were recorded: the
/// meta data of backends, CURRENT, MANIFEST and OPTIONS, the begin of streams. Those in `_metadata` cost
/// nothing.
fn small_files(directory: &Location, snapshot: &Value) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    let mut sets: Vec<(String, u64)> = Vec::new();
    let mut add = |stream: &Value| match text(&stream["where"]) {
        "inline" => {}
        "segment" if stream["path"] == "empty" => {}
        "segment" => {
            found.insert((parsed(&stream["path"]), stream["start"].as_u64().unwrap()));
        }
        "relative" => {
            found.insert((directory.join(text(&stream["path"])).unwrap().to_string(), 0));
        }
        _ => {
            found.insert((parsed(&stream["path"]), 0));
        }
    };
    for subtask in list(&snapshot["operators"]).iter().flat_map(|o| list(&o["subtasks"])) {
        let mut keyed: Vec<&Value> = list(&subtask["managed_keyed"]).iter().collect();
        while let Some(handle) = keyed.pop() {
            match text(&handle["class"]) {
                "IncrementalRemoteKeyedStateHandle" => {
                    add(&handle["meta"]);
                    let files = list(&handle["shared"]).iter().chain(list(&handle["private"]));
                    files.filter(|f| !text(&f["local_path"]).ends_with(".sst")).for_each(&mut add);
                }
                "ChangelogStateBackendHandleImpl" => {
                    keyed.extend(list(&handle["materialized"]));
                    // Of files of changes the first byte, and the begin of each set.
                    for set in list(&handle["deltas"])
                        .iter()
                        .filter_map(|delta| delta["streams"].as_array())
                        .flatten()
                    {
                        sets.push((parsed(&set["stream"]["path"]), set["offset"].as_u64().unwrap()));
                    }
                }
                _ => add(&handle["stream"]),
            }
        }
        list(&subtask["managed_operator"]).iter().for_each(|handle| add(&handle["stream"]));
        let raw = list(&subtask["raw_keyed"]).iter();
        // Raw keyed state of which no key group has anything is not looked at.
        raw.filter(|h| list(&h["offsets"]).iter().any(|o| o.as_i64() >= Some(0)))
            .for_each(|handle| add(&handle["stream"]));
    }
    for (place, offset) in sets {
        found.extend([(place.clone(), 0), (place, offset + 1)]);
    }
    found
}

/// The distinct tables of a snapshot that lie outside `_metadata`, where they were recorded.
fn tables(directory: &Location, snapshot: &Value) -> BTreeMap<(String, u64), u64> {
    let mut found = BTreeMap::new();
    for subtask in list(&snapshot["operators"]).iter().flat_map(|o| list(&o["subtasks"])) {
        let mut keyed: Vec<&Value> = list(&subtask["managed_keyed"]).iter().collect();
        while let Some(handle) = keyed.pop() {
            if let Some(materialized) = handle["materialized"].as_array() {
                keyed.extend(materialized);
            }
            let files = ["shared", "private"].map(|part| handle[part].as_array().into_iter().flatten());
            for file in files.into_iter().flatten().filter(|f| f["where"] != "inline") {
                if text(&file["local_path"]).ends_with(".sst") {
                    let place = match text(&file["where"]) {
                        "relative" => directory.join(text(&file["path"])).unwrap().to_string(),
                        _ => parsed(&file["path"]),
                    };
                    let start = file["start"].as_u64().unwrap_or(0);
                    found.insert((place, start), file["size"].as_u64().unwrap());
                }
            }
        }
    }
    found
}

fn parsed(path: &Value) -> String {
    Location::parse(text(path)).unwrap().to_string()
}

fn flink_snapshots(fixture: &Fixture) -> Vec<(String, Value)> {
    let flink = fixture.flink();
    list(&flink["snapshots"]).iter().map(|s| (text(&s["snapshot"]).to_owned(), s.clone())).collect()
}

#[test]
fn inspect_reads_each_small_file_once_and_no_table() {
    let mut databases = 0;
    for fixture in fixtures() {
        for (path, theirs) in flink_snapshots(fixture) {
            let directory = fixture.recorded(&path);
            let (seen, log) =
                counted(fixture.in_memory(|p| fixture.recorded(p)), &directory, &Ask::default());
            let label = format!("{}/{path}", fixture.name);
            let mut expected = small_files(&directory, &theirs);
            expected.insert((directory.join("_metadata").unwrap().to_string(), 0));
            let ours = asked(&log);
            let places: Vec<_> = ours.iter().map(|(place, _, start)| (place.clone(), *start)).collect();
            assert_eq!(places, expected.into_iter().collect::<Vec<_>>(), "{label}");
            assert!(log.iter().all(|r| !r.failed), "{label}: {log:#?}");
            assert!(ours.iter().all(|(_, op, _)| matches!(op, Op::Full | Op::Range)), "{label}: {ours:#?}");
            let tables = tables(&directory, &theirs);
            databases += usize::from(!tables.is_empty());
            assert!(ours.iter().all(|(p, _, s)| !tables.contains_key(&(p.clone(), *s))), "{label}");
            // What was found where it was recorded is no relocation.
            assert_eq!(seen.overview.places.relocated, 0, "{label}");
        }
    }
    assert!(databases > 15, "{databases}");
}

#[test]
fn properties_cost_one_request_for_each_table_more() {
    for fixture in fixtures() {
        for (path, theirs) in flink_snapshots(fixture) {
            let directory = fixture.recorded(&path);
            let label = format!("{}/{path}", fixture.name);
            let memory = || fixture.in_memory(|p| fixture.recorded(p));
            let (_, without) = counted(memory(), &directory, &Ask::default());
            let (seen, with) = counted(memory(), &directory, &Ask::properties());
            let (without, mut with) = (asked(&without), asked(&with));
            for request in without {
                let at = with.iter().position(|r| *r == request);
                with.remove(at.unwrap_or_else(|| panic!("{label}: {request:?} went away")));
            }
            let tables = tables(&directory, &theirs);
            assert_eq!(with.len(), tables.len(), "{label}: {with:#?}");
            // A segment's tail lies inside the merged file; the first byte asked for lies in the segment.
            let in_table = |(place, op, start): &Asked| match op {
                Op::Suffix => tables.contains_key(&(place.clone(), 0)),
                Op::Range => tables.iter().any(|((p, s), size)| p == place && (*s..s + size).contains(start)),
                _ => false,
            };
            assert!(with.iter().all(in_table), "{label}: {with:#?}");
            let distinct: BTreeSet<_> = with.iter().collect();
            assert_eq!(distinct.len(), with.len(), "{label}: a table is read twice");
            assert!(
                seen.overview
                    .states
                    .iter()
                    .flat_map(|s| &s.subtasks)
                    .flat_map(|s| &s.sst)
                    .all(|t| t.properties.is_some()),
                "{label}"
            );
        }
    }
}

/// The directories of absolute recorded places that inspect reads from.
fn recorded_directories(files: &BTreeSet<(String, u64)>, tables: &BTreeMap<(String, u64), u64>) -> usize {
    let all = files.iter().chain(tables.keys());
    let directories: BTreeSet<_> = all.map(|(place, _)| place.rsplit_once('/').unwrap().0).collect();
    directories.len()
}

#[test]
fn a_moved_snapshot_costs_one_failed_request_for_each_recorded_directory() {
    for fixture in fixtures() {
        for (path, theirs) in flink_snapshots(fixture) {
            // Where files of changes are now, only --relocate tells: they have a base path of their own.
            if theirs.to_string().contains("/dstl/") {
                continue;
            }
            // Another store, and another directory above the job's.
            let moved = |p: &str| {
                let below = p.strip_prefix("data/").unwrap();
                Location::parse(&format!("s3://bucket/backup/of/flink/{below}")).unwrap()
            };
            let label = format!("{}/{path}", fixture.name);
            let ask = Ask::properties();
            let (_, at_home) =
                counted(fixture.in_memory(|p| fixture.recorded(p)), &fixture.recorded(&path), &ask);
            let (seen, log) = counted(fixture.in_memory(moved), &moved(&path), &ask);
            assert!(seen.overview.findings.is_empty(), "{label}: {:#?}", seen.overview.findings);
            let failed: Vec<_> = log.iter().filter(|r| r.failed).collect();
            let directory = fixture.recorded(&path);
            let recorded =
                recorded_directories(&small_files(&directory, &theirs), &tables(&directory, &theirs));
            // What is found of the job itself says nothing right of other jobs.
            let most = recorded + seen.overview.files.other_jobs.len();
            assert!(failed.len() <= most, "{label}: {recorded} recorded directories: {failed:#?}");
            assert_eq!(log.len() - failed.len(), at_home.len(), "{label}: requests that were answered");
            let distinct: BTreeSet<_> = asked(&log).into_iter().collect();
            assert_eq!(distinct.len(), log.len(), "{label}: something is asked twice");
            let places = &seen.overview.places;
            assert_eq!((places.recorded_uris, places.failed), (0, 0), "{label}");
        }
    }
}

#[test]
fn by_hand_a_moved_snapshot_costs_nothing_more() {
    for fixture in fixtures() {
        for path in fixture.snapshots() {
            let moved = |p: &str| {
                let below = p.strip_prefix("data").unwrap();
                Location::parse(&format!("s3://bucket/x{below}")).unwrap()
            };
            let from = format!("file:/data/flink/{}", fixture.name);
            let ask = Ask { relocate: vec![(from, "s3://bucket/x".to_owned())], ..Ask::default() };
            let (_, at_home) = counted(
                fixture.in_memory(|p| fixture.recorded(p)),
                &fixture.recorded(&path),
                &Ask::default(),
            );
            let (_, log) = counted(fixture.in_memory(moved), &moved(&path), &ask);
            assert!(log.iter().all(|r| !r.failed), "{}/{path}: {log:#?}", fixture.name);
            assert_eq!(log.len(), at_home.len(), "{}/{path}", fixture.name);
        }
    }
}

#[test]
fn a_missing_directory_is_not_searched_for_every_file() {
    // All tables of the fixture are gone, with the directory that they lie in.
    let fixture = fixture("inc-1.20");
    let (path, theirs) = flink_snapshots(fixture).remove(0);
    let storage = MemoryStorage::new();
    for (p, bytes) in fixture.files() {
        if !p.contains("/shared/") {
            storage.put(&fixture.recorded(&p), bytes);
        }
    }
    let directory = fixture.recorded(&path);
    let (seen, log) = counted(storage, &directory, &Ask::properties());
    let tables = tables(&directory, &theirs).len();
    let missing: u64 = seen.overview.findings.iter().filter(|f| f.code == "file_missing").count() as u64;
    assert!(missing >= 1, "{:#?}", seen.overview.findings);
    let failed = log.iter().filter(|r| r.failed).count();
    // Each is looked for where it was recorded and beside `_metadata` at the most.
    assert!(failed <= 2 * tables, "{failed} failed requests for {tables} tables");
}

#[test]
fn a_root_costs_a_listing_of_each_directory_and_one_read_of_each_metadata() {
    for fixture in fixtures() {
        let root = fixture.recorded("data");
        let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
        let Target::Root(found) = discover::discover(&storage, &root, InFlight::default()).unwrap() else {
            // The directory of a fixture without a job's own directory is the job's.
            assert!(fixture.name.starts_with("nosubdir"), "{}", fixture.name);
            continue;
        };
        let contents = discover::survey(&storage, found, InFlight::default());
        let mut directories: Vec<_> = contents.savepoints.clone();
        let chk = contents.jobs.iter().flat_map(|j| j.checkpoints.values());
        directories.extend(chk.filter(|c| c.complete.is_some()).map(|c| c.location.clone()));
        let mut read = 0;
        root::read_each(&storage, &directories, InFlight::default(), &mut |_, result| {
            read += usize::from(result.is_ok());
        });
        let label = &fixture.name;
        assert_eq!(read, fixture.snapshots().len(), "{label}");
        let log = storage.meter().take_log();
        let of = |op: Op| log.iter().filter(|r| r.op == op && !r.failed).count();
        let expected: BTreeSet<_> =
            fixture.snapshots().iter().map(|p| fixture.recorded(p).join("_metadata").unwrap()).collect();
        let full: Vec<_> = log.iter().filter(|r| r.op == Op::Full && !r.failed).collect();
        assert_eq!(full.len(), expected.len(), "{label}");
        assert!(full.iter().all(|r| expected.contains(&r.location)), "{label}");
        // Whether a checkpoint is complete takes one look at its `_metadata`; a savepoint's is listed.
        let checkpoints = || contents.jobs.iter().flat_map(|j| j.checkpoints.values());
        let complete = checkpoints().filter(|c| c.complete.is_some()).count();
        assert_eq!(of(Op::Head), complete, "{label}");
        // The path might have been a snapshot, and what a crash left behind a checkpoint.
        let mut not_there = vec![root.join("_metadata").unwrap()];
        let left = checkpoints().filter(|c| c.complete.is_none());
        not_there.extend(left.map(|c| c.location.join("_metadata").unwrap()));
        let failed: Vec<_> = log.iter().filter(|r| r.failed).map(|r| r.location.clone()).collect();
        assert_eq!(failed, not_there, "{label}");
        let listed: Vec<_> = log.iter().filter(|r| r.op == Op::List).map(|r| r.location.clone()).collect();
        let distinct: BTreeSet<_> = listed.iter().collect();
        assert_eq!(listed.len(), distinct.len(), "{label}: listed twice: {listed:#?}");
        assert!(of(Op::Range) + of(Op::Suffix) == 0, "{label}: {log:#?}");
    }
}

#[test]
fn the_newest_of_a_job_costs_one_look_at_each_checkpoint() {
    let fixture = fixture("inc-1.20");
    let job = fixture.recorded(&format!("data/{}", text(&fixture.truth()["job_id"])));
    let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
    let Target::Job(found) = discover::discover(&storage, &job, InFlight::default()).unwrap() else {
        panic!("no job");
    };
    let log = storage.meter().take_log();
    let of = |op: Op| log.iter().filter(|r| r.op == op).count();
    let complete = fixture.snapshots().len();
    assert_eq!(found.checkpoints.len(), complete);
    assert_eq!((of(Op::Full), of(Op::List), of(Op::Head)), (1, 1, complete), "{log:#?}");
    assert_eq!(log.len(), 2 + complete);
    let (number, newest) = found.newest_by_id().unwrap();
    assert!(storage.head(&newest.location.join("_metadata").unwrap()).is_ok(), "chk-{number}");
}

#[test]
fn requests_in_flight_are_bounded() {
    let fixture = fixture("inc-1.20");
    let path = &fixture.snapshots()[0];
    for bound in [1, 4] {
        let storage =
            fixture.in_memory(|p| fixture.recorded(p)).with_latency(std::time::Duration::from_micros(200));
        let ask = Ask { in_flight: Some(bound), ..Ask::properties() };
        see(&storage, &fixture.recorded(path), &ask);
        assert_eq!(storage.most_in_flight(), bound as u64);
    }
}
