//! `analyze`: going on where a run stopped, damage, threads, and what it asks of a store.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use serde_json::{Value, json};
use statescope::analyzers::analysis::{
    Analysis, Context, Depth, DepthReason, Engine, Method, Settings, Shallow, Subjects, finish,
};
use statescope::analyzers::overview::{self, overview};
use statescope::model::Table;
use statescope::readers::discover::read_metadata;
use statescope::readers::snapshot::{ReadOptions, SnapshotReading, open_snapshot};
use statescope::readers::source::Source;
use statescope::report::{self, Layout};
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{LocalStorage, Location, Metered, Op};

use super::scan::{NoSpill, read, scan, settings};
use super::support::{Copy, Fixture, Run, command, fixture, fixtures, list, number, text};

/// The reference time of [`settings`].
const AT: &str = "1800000000000";

fn analyze(copy: &Copy, path: &str, more: &[&str]) -> Run {
    let at: &[&str] = if more.contains(&"--at") { &[] } else { &["--at", AT] };
    copy.run(&[&["analyze", path, "-o", "json"], at, more].concat())
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a run had read when it was interrupted after so many splits; and how many there are.
fn interrupted(reading: &SnapshotReading, splits: usize) -> (ScanPartial, usize) {
    let SnapshotReading { snapshot, details, tables, .. } = reading;
    let settings = settings();
    let scan = Scan::plan(Input { snapshot, details, tables, settings: &settings }, &|_, _| true);
    let (sum, progress) = (Mutex::new(ScanPartial::default()), Progress::default());
    let options = ScanOptions { threads: 1, memory: 64 << 20, requests: 8, checksums: true };
    if splits > 0 {
        scan.analyze(&LocalStorage::new(), options, &progress, &|| Box::new(NoSpill), &sum, &|partial| {
            progress.stop.fetch_or(partial.done.len() >= splits, Ordering::Relaxed);
        });
    }
    (sum.into_inner().unwrap(), scan.splits())
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() {
    for name in ["inc-1.20", "rescaled-1.20", "changelog-1.20"] {
        let (fixture, path) = (fixture(name), fixture(name).newest());
        let copy = fixture.copy();
        let expected = analyze(&copy, &path, &[]);
        let kept = analyze(&copy, &path, &["--save", "kept"]);
        assert_eq!((kept.code, &kept.stdout, &*kept.stderr), (expected.code, &expected.stdout, ""));
        let whole = fs::read(copy.path("kept")).unwrap();
        let mut saved = json_of(&copy.path("kept"));
        assert_eq!((&saved["complete"], &saved["statescope_save"]), (&json!(true), &json!(1)));
        assert_eq!(saved["result"]["states"], expected.json()["states"], "{name}");

        let at = Location::from_local_path(&copy.path(&path)).unwrap();
        let reading = read(&LocalStorage::new(), &at);
        let splits = interrupted(&reading, 0).1;
        assert!(splits > 1, "{name}: {splits} splits");
        for stopped_after in [0, 1, splits / 2, splits - 1] {
            let (partial, _) = interrupted(&reading, stopped_after);
            assert_eq!(partial.done.len(), stopped_after);
            saved["partial"] = serde_json::to_value(&partial).unwrap();
            (saved["complete"], saved["result"]) = (json!(false), Value::Null);
            fs::write(copy.path("begun"), saved.to_string()).unwrap();
            let run = analyze(&copy, &path, &["--save", "begun"]);
            assert_eq!((run.code, &*run.stderr), (expected.code, ""), "{name} {stopped_after}");
            assert!(run.stdout == expected.stdout, "{name} after {stopped_after} of {splits} splits");
            assert!(fs::read(copy.path("begun")).unwrap() == whole, "{name} after {stopped_after}");
        }
        assert!(!copy.path("begun.part").exists() && !copy.path("kept.part").exists());
    }
}

#[test]
fn a_complete_result_is_not_read_again() {
    let (fixture, path) = (fixture("inc-1.20"), fixture("inc-1.20").newest());
    let copy = fixture.copy();
    let first = analyze(&copy, &path, &["--save", "kept"]);
    let before = fs::read(copy.path("kept")).unwrap();
    // Nobody looks at the data of tables any more.
    for file in super::support::files_below(&copy.root) {
        let mut bytes = fs::read(copy.path(&file)).unwrap();
        if bytes.ends_with(&0x88e2_41b7_85f4_cff7_u64.to_le_bytes()) {
            bytes[3] ^= 1;
            fs::write(copy.path(&file), bytes).unwrap();
        }
    }
    assert_eq!(analyze(&copy, &path, &[]).code, 5);
    let again = analyze(&copy, &path, &["--save", "kept"]);
    assert_eq!((again.code, &again.stdout), (0, &first.stdout));
    assert!(again.stderr.contains("kept holds all of it"), "{again:#?}");
    assert!(fs::read(copy.path("kept")).unwrap() == before);
}

#[test]
fn a_saved_result_of_something_else_is_refused_and_stays() {
    let fixture = fixture("inc-1.20");
    let (copy, path) = (fixture.copy(), fixture.newest());
    let other = fixture.snapshots().into_iter().find(|other| *other != path).unwrap();
    analyze(&copy, &path, &["--save", "kept"]);
    let good = fs::read(copy.path("kept")).unwrap();
    let refused = |path: &str, more: &[&str], says: &str| {
        let before = fs::read(copy.path("kept")).unwrap();
        let run = analyze(&copy, path, &[&["--save", "kept"], more].concat());
        assert_eq!((run.code, &*run.stdout), (2, ""), "{run:#?}");
        assert!(run.stderr.contains(says) && run.stderr.lines().count() == 1, "{says}: {run:#?}");
        assert!(run.stderr.contains("left as it is"), "{run:#?}");
        assert!(fs::read(copy.path("kept")).unwrap() == before);
    };
    refused(&other, &[], "another snapshot");
    refused(&path, &["--top", "3"], "--top");
    refused(&path, &["--ttl", "*=7d"], "--ttl");
    refused(&path, &["--at", "5"], "--at");
    refused(&path, &["--parallelism", "8"], "--parallelism");
    refused(&path, &["--no-checksums"], "--no-checksums");
    refused(&path, &["--state", "v_"], "--state");
    fs::write(copy.path("kept"), String::from_utf8(good.clone()).unwrap().replacen(":1,", ":2,", 1)).unwrap();
    refused(&path, &[], "version 2");
    fs::write(copy.path("kept"), &good[..good.len() / 2]).unwrap();
    refused(&path, &[], "no saved result");
    fs::write(copy.path("kept"), "{}").unwrap();
    refused(&path, &[], "no saved result");
    // Where nothing can be written, that is said before anything is read.
    let run = analyze(&copy, &path, &["--save", "no/such/directory"]);
    assert_eq!((run.code, &*run.stdout), (1, ""));
    assert!(run.stderr.contains("cannot be written"), "{run:#?}");
}

/// Whether changes of a changelog are part of a fixture.
fn has_changes(fixture: &Fixture) -> bool {
    fixture.truth()["settings"]["state.backend.changelog.enabled"] == "true"
}

#[test]
fn the_output_does_not_depend_on_threads() {
    let differ: Vec<_> = fixtures()
        .par_iter()
        .filter(|fixture| {
            let path = fixture.newest();
            // Files of changes lie where nobody looks unasked.
            let rule = format!("file:/data/flink/{}/dstl=data/dstl", fixture.name);
            let relocate = if has_changes(fixture) { &["--relocate", &*rule][..] } else { &[] };
            let run = |threads: &str| {
                let args = ["analyze", &path, "-o", "json", "--ttl", "*=1s", "--parallelism", "3,16"];
                let args = [&args[..], relocate, &["--threads", threads, "--memory", "1M"]].concat();
                let output = command().args(args).current_dir(&fixture.dir).output().unwrap();
                assert!(output.status.success(), "{}: {output:?}", fixture.name);
                output.stdout
            };
            let one = run("1");
            run("2") != one || run("8") != one
        })
        .map(|fixture| &fixture.name)
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
}

/// The path of the largest SST of a fixture's newest snapshot, and its state.
fn largest_table(fixture: &Fixture, copy: &Copy) -> (String, Table) {
    let at = Location::from_local_path(&copy.path(&fixture.newest())).unwrap();
    let reading = read(&LocalStorage::new(), &at);
    let databases = reading.details.keyed.iter().filter_map(|keyed| keyed.database.as_ref());
    let table = databases.flat_map(|db| &db.tables).max_by_key(|table| table.size).unwrap().clone();
    let Some(Source::Object { location, .. }) = reading.tables.get(&table.file.unwrap()) else {
        panic!("{table:?}")
    };
    (LocalStorage::path_of(location).unwrap().to_str().unwrap().to_owned(), table)
}

#[test]
fn damage_of_a_table_costs_what_lies_in_it_and_nothing_else() {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    let whole = analyze(&fixture.copy(), &path, &[]).json();
    type Break = fn(&Path);
    let damages: [(&str, Break, &str); 4] = [
        ("a bit of its first block", |path| flip(path, 9), "sst_damaged"),
        (
            "its second half is gone",
            |path| {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            "sst_size_differs",
        ),
        ("it is gone", |path| fs::remove_file(path).unwrap(), "file_missing"),
        (
            "a bit of its footer",
            |path| {
                let length = usize::try_from(fs::metadata(path).unwrap().len()).unwrap();
                flip(path, length - 4);
            },
            "sst_tail_not_decoded",
        ),
    ];
    for (what, damage, code) in damages {
        let copy = fixture.copy();
        let (file, table) = largest_table(fixture, &copy);
        damage(Path::new(&file));
        let run = analyze(&copy, &path, &[]);
        assert_eq!((run.code, &*run.stderr), (5, ""), "{what}: {run:#?}");
        let finding = run.finding(code);
        let name = file.rsplit('/').next().unwrap();
        assert!(text(&finding["file"]).ends_with(name), "{what}: {finding:#}");
        assert!(text(&finding["part"]).contains("subtask"), "{what}: {finding:#}");
        if code == "sst_damaged" {
            assert_eq!(number(&finding["offset"]), 0, "{finding:#}");
            assert!(text(&finding["message"]).contains("entries of this file are missing"), "{finding:#}");
        }
        let after = run.json();
        let states = list(&whole["states"]).iter();
        let mut touched = Vec::new();
        for state in states {
            let same = |other: &&Value| {
                (&other["operator_id"], &other["name"]) == (&state["operator_id"], &state["name"])
            };
            let now = list(&after["states"]).iter().find(same).unwrap_or_else(|| panic!("{what}: {state:#}"));
            if now != state {
                touched.push(now);
            }
        }
        assert_eq!(touched.len(), 1, "{what}");
        let missing = &touched[0]["missing"];
        assert_eq!(number(&missing["files"]), 1, "{what}: {missing:#}");
        let bytes = number(&missing["bytes"]);
        assert!(bytes > 0 && bytes <= table.size, "{what}: {bytes} of {}", table.size);
        assert_eq!(after["totals"]["missing"], *missing, "{what}");
        // As a table, the first screen says it.
        let run = copy.run(&["analyze", &path]);
        assert_eq!(run.code, 5);
        let first: Vec<_> = run.stdout.lines().take(40).collect();
        assert!(first.iter().any(|line| line.contains("MISSING from all figures")), "{what}: {first:#?}");
        assert!(first.iter().any(|line| line.contains(code)), "{what}: {first:#?}");
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn without_checksums_the_figures_are_the_same() {
    let fixture = fixture("inc-1.20");
    let copy = fixture.copy();
    let run = analyze(&copy, &fixture.newest(), &["--no-checksums"]);
    let checked = analyze(&copy, &fixture.newest(), &[]).json();
    assert_eq!(run.json()["method"]["checksums"], false);
    assert_eq!(run.json()["states"], checked["states"]);
}

#[test]
fn a_table_costs_one_request_for_its_index_and_one_for_each_stretch_of_data() {
    for (name, of_each) in [("inc-1.20", 2), ("sql-1.20", 2), ("savepoint-native-2.3", 2)] {
        let fixture = fixture(name);
        let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
        let reading = read(&storage, &fixture.recorded(&fixture.newest()));
        let _ = storage.meter().take_log();
        let partial = scan(&storage, &reading, &settings(), 2);
        assert!(partial.damage.is_empty());
        let log = storage.meter().take_log();
        assert!(log.iter().all(|r| r.op == Op::Range && !r.failed), "{name}: {log:#?}");
        // Tables inside of _metadata cost nothing.
        let objects =
            reading.tables.values().filter(|source| matches!(source, Source::Object { .. })).count();
        assert!(objects > 10, "{name}");
        assert_eq!(log.len(), of_each * objects, "{name}");
    }
}

#[test]
fn what_was_read_with_the_tails_of_tables_is_not_asked_for_again() {
    for name in ["inc-1.20", "sql-1.20", "savepoint-native-2.3", "file-merging-1.20"] {
        let fixture = fixture(name);
        let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
        let at = fixture.recorded(&fixture.newest());
        let expected = serde_json::to_string(&scan(&storage, &read(&storage, &at), &settings(), 1)).unwrap();
        let file = read_metadata(&storage, &at).unwrap();
        let tables = |reading: &SnapshotReading| -> Vec<u64> {
            let objects = reading.tables.iter().filter(|(_, source)| matches!(source, Source::Object { .. }));
            objects.map(|(file, _)| reading.snapshot.file(*file).unwrap().size).collect()
        };
        for (room, select) in [(64 << 20, true), (100_000, true), (64 << 20, false)] {
            let mut open = open_snapshot(&storage, &file, &ReadOptions::default()).unwrap();
            let _ = storage.meter().take_log();
            open.read_ends(room, &|_, _| select);
            let tails = storage.meter().take_log();
            let reading = open.into_reading();
            let sizes = tables(&reading);
            assert!(sizes.len() > 3, "{name}");
            assert_eq!(tails.len(), sizes.len(), "{name}: one request for each tail");
            let read: u64 = tails.iter().map(|request| request.bytes).sum();
            let whole: u64 = sizes.iter().sum();
            let least: u64 = sizes.iter().map(|size| size.min(&4096)).sum();
            let mut asked = Vec::new();
            for threads in [1, 4] {
                let _ = storage.meter().take_log();
                let partial = scan(&storage, &reading, &settings(), threads);
                assert!(expected == serde_json::to_string(&partial).unwrap(), "{name} {room} {select}");
                asked.push(storage.meter().take_log().len());
            }
            assert_eq!(asked[0], asked[1], "{name} {room} {select}");
            match (room, select) {
                (_, false) => assert_eq!((read, asked[0]), (least, 2 * sizes.len()), "{name}"),
                (100_000, _) => {
                    assert!(read <= least + 100_000 && asked[0] < 2 * sizes.len(), "{name} {read}");
                    assert!(whole < 100_000 || asked[0] > 0, "{name}");
                }
                _ => assert_eq!((read, asked[0]), (whole, 0), "{name}"),
            }
        }
    }
}

#[test]
fn other_compressions_are_tried_where_that_is_asked_for() {
    let fixture = fixture("sql-1.20");
    let (copy, path) = (fixture.copy(), fixture.newest());
    let tried = |run: &Run| -> usize {
        let json = run.json();
        let states = list(&json["states"]).iter();
        states.filter(|state| !state["compression_what_if"].is_null()).count()
    };
    assert_eq!(tried(&analyze(&copy, &path, &[])), 0);
    let run = analyze(&copy, &path, &["--what-if", "compression", "--threads", "1"]);
    assert!(run.code == 0 && tried(&run) > 3, "{run:#?}");
    let again = analyze(&copy, &path, &["--what-if", "compression", "--threads", "8"]);
    assert!(run.stdout == again.stdout, "what was measured is no part of it");
    let table = copy.run(&["analyze", &path, "--what-if", "compression", "--rows", "0"]);
    assert!(
        table.stdout.contains("COST of compression") && table.stdout.contains("ZSTD level 3"),
        "{table:#?}"
    );
}

/// How figures of a depth are made.
pub fn method(depth: Depth, top: usize) -> Method {
    Method {
        depth,
        depth_reason: DepthReason::Asked,
        sst_bytes: 0,
        stream_bytes: 0,
        not_read_bytes: 0,
        more: Vec::new(),
        sampling: None,
        engine: Engine::Native,
        checksums: true,
        top,
    }
}

/// What the command makes of a snapshot on this disk.
pub fn analysis(reading: &SnapshotReading, settings: Settings) -> Analysis {
    let partial = scan(&LocalStorage::new(), reading, &settings, 2);
    let SnapshotReading { snapshot, details, tables, .. } = reading;
    let input = Input { snapshot, details, tables, settings: &settings };
    let finished = Scan::plan(input, &|_, _| true).finish(&partial);
    let context = Context {
        overview: overview(snapshot.clone(), details.clone(), Vec::new(), overview::Context::default()),
        subjects: Subjects::new(snapshot, details),
        method: method(Depth::Full, settings.top),
        settings,
        shallow: Shallow::default(),
        findings: finished.findings,
    };
    finish(finished.analysis, context)
}

#[test]
fn a_narrow_terminal_shows_fewer_columns_and_no_long_line() {
    for (name, columns) in [("inc-2.3", 7), ("inc-1.20", 7), ("sql-2.3", 7)] {
        let reading = read(&LocalStorage::new(), &fixture(name).at(&fixture(name).newest()));
        let analysis = analysis(&reading, settings());
        let text = |width| {
            let mut out = Vec::new();
            report::analysis::write(&mut out, &analysis, Layout { width: Some(width), rows: 10 }).unwrap();
            String::from_utf8(out).unwrap()
        };
        let narrow = text(80);
        let title = narrow.lines().find(|line| line.trim_start().starts_with("STATE ")).unwrap();
        assert_eq!(title.replace("ON DISK", "DISK").split_whitespace().count(), columns, "{title}");
        let screen: Vec<_> = narrow.lines().take_while(|line| !line.starts_with("STATE ")).collect();
        // What is above the table is as long as its places and figures are.
        let long: Vec<_> = screen.iter().skip(6).filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{name}: {long:#?}");
        let wide = text(120);
        assert!(wide.lines().any(|line| line.contains("KRYO")) && !narrow.contains("KRYO"));
    }
}

/// Whatever a table holds: a report, and never a panic.
#[test]
fn no_damage_of_tables_makes_it_panic() {
    let problems: Vec<String> =
        ["inc-1.20", "sql-1.20", "zstd-partitioned-2.3", "lz4-bloom-1.20", "rescaled-1.20"]
            .par_iter()
            .flat_map_iter(|name| {
                let fixture = fixture(name);
                let mut dice = super::support::Dice::new(name.len() as u64);
                (0..4).filter_map(move |round| {
                    let (copy, path) = (fixture.copy(), fixture.newest());
                    for file in super::support::files_below(&copy.root) {
                        let mut bytes = fs::read(copy.path(&file)).unwrap();
                        if bytes.ends_with(&0x88e2_41b7_85f4_cff7_u64.to_le_bytes()) {
                            let at = dice.below(bytes.len());
                            bytes[at] ^= 1 << dice.below(8);
                            fs::write(copy.path(&file), bytes).unwrap();
                        }
                    }
                    let run = analyze(&copy, &path, if round % 2 == 0 { &[] } else { &["--no-checksums"] });
                    let told = !run.stderr.contains("panicked") && matches!(run.code, 0 | 5);
                    (!told).then(|| format!("{name} round {round}: {} {}", run.code, run.stderr))
                })
            })
            .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}
