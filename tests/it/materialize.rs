//! `statescope materialize`: the directory holds what the handle names, byte for byte, or is not made at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use statescope_formats::rocksdb::current::Current;
use statescope_formats::rocksdb::manifest::Version;

use super::support::{Copy, Run, command, fixture, fixtures, list, materialized, number, run_in, text};

/// The copy of a fixture, and the path of its newest snapshot.
fn copy(name: &str) -> (Copy, String) {
    let fixture = fixture(name);
    (fixture.copy(), fixture.newest())
}

fn run(copy: &Copy, path: &str, more: &[&str]) -> Run {
    copy.run(&[&["materialize", path, "-o", "out"], more].concat())
}

/// What a run printed, with how it ended.
fn shown(args: &[&str], run: &Run) -> String {
    let stderr = if run.stderr.is_empty() { String::new() } else { format!("--- stderr\n{}", run.stderr) };
    let code = if run.code == 0 { String::new() } else { format!("--- exit code {}\n", run.code) };
    format!("$ statescope materialize {}\n{}{stderr}{code}", args.join(" "), run.stdout)
}

/// It ends with one line that says this, and no directory was made.
fn refused(copy: &Copy, run: &Run, code: i32, says: &[&str]) {
    assert_eq!((run.code, &*run.stdout), (code, ""), "{run:#?}");
    assert_eq!(run.stderr.matches('\n').count(), 1, "{run:#?}");
    for says in says {
        assert!(run.stderr.contains(says), "{says:?}: {run:#?}");
    }
    assert!(!copy.path("out").exists(), "{run:#?}");
}

#[test]
fn help() {
    let here = std::env::temp_dir();
    insta::assert_snapshot!(shown(&["--help"], &run_in(&here, &["materialize", "--help"])));
}

#[test]
fn it_says_what_was_made_and_how_to_open_it() {
    let all = [
        ("rescaled-1.20", &["--operator", "by-string-uid", "--subtask", "1"][..]),
        ("inc-inline-1.20", &["--operator", "d670eab6", "--subtask", "0"]),
        ("maxpar-512-2.3", &["--operator", "tumbling", "--subtask", "0"]),
    ]
    .map(|(name, more)| {
        let (copy, path) = copy(name);
        shown(&[&[&*path, "-o", "out"], more].concat(), &run(&copy, &path, more))
    })
    .join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn a_choice_is_asked_for_in_one_line() {
    let all = [
        ("inc-2.3", &[][..]),
        ("inc-2.3", &["--operator", "by-string"]),
        ("inc-2.3", &["--operator", "by-"]),
        ("inc-2.3", &["--operator", "no such operator"]),
        ("inc-2.3", &["--operator", "by-string", "--subtask", "7"]),
        ("inc-2.3", &["--operator", "by-string", "--subtask", "0", "--handle", "1"]),
        ("inc-2.3", &["--operator", "events"]),
        ("hashmap-2.3", &["--operator", "by-string"]),
        ("savepoint-canonical-1.20", &[]),
        ("changelog-memory-1.20", &["--operator", "by-string-uid", "--subtask", "0"]),
        ("full-rocksdb-1.20", &["--operator", "by-string-uid"]),
    ]
    .map(|(name, more)| {
        let (copy, path) = copy(name);
        let run = run(&copy, &path, more);
        assert!([1, 2].contains(&run.code) && !copy.path("out").exists(), "{run:#?}");
        shown(&[&[name], more].concat(), &run)
    })
    .join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn a_root_is_no_snapshot_and_a_job_is_its_newest() {
    let (copy, path) = copy("inc-1.13");
    refused(&copy, &run(&copy, "data", &[]), 1, &["is no snapshot", "statescope inspect data"]);
    let job = path.rsplit_once('/').unwrap().0;
    let run = run(&copy, job, &["--operator", "by-string-uid", "--subtask", "0"]);
    assert_eq!(run.code, 0, "{run:#?}");
}

/// The bytes of a handle's file, as `flink.json` says where they are.
fn bytes_of(fixture: &Path, snapshot: &str, file: &Value) -> Option<Vec<u8>> {
    let path = match text(&file["where"]) {
        "relative" => format!("{snapshot}/{}", text(&file["path"])),
        "inline" => return None,
        _ => super::support::neutral(text(&file["path"])),
    };
    let bytes = fs::read(fixture.join(path)).unwrap();
    Some(match file.get("start").and_then(Value::as_u64) {
        Some(start) => bytes[start as usize..][..number(&file["size"]) as usize].to_vec(),
        None => bytes,
    })
}

/// Every database of every fixture: the files that Flink says its handle has, byte for byte.
#[test]
fn every_database_is_what_its_handle_names() {
    let (mut databases, mut compared, mut inlined) = (0, 0, 0);
    for fixture in fixtures().iter().filter(|f| f.rocksdb().is_some()) {
        let (flink, rocksdb) = (fixture.flink(), fixture.rocksdb().unwrap());
        for snapshot in list(&flink["snapshots"]) {
            let path = text(&snapshot["snapshot"]);
            let mut handles = Vec::new();
            for operator in list(&snapshot["operators"]) {
                for subtask in list(&operator["subtasks"]) {
                    let outer = list(&subtask["managed_keyed"]).iter();
                    let inner = outer.clone().filter_map(|h| h.get("materialized")).flat_map(list);
                    let incremental =
                        |h: &&Value| text(&h["class"]).starts_with("IncrementalRemoteKeyedState");
                    handles.extend(outer.chain(inner).filter(incremental));
                }
            }
            let made = materialized(fixture, path);
            assert_eq!(made.len(), handles.len(), "{}: {path}", fixture.name);
            for (made, handle) in made.iter().zip(handles) {
                let files = || list(&handle["shared"]).iter().chain(list(&handle["private"]));
                let expected: BTreeSet<_> =
                    files().map(|file| text(&file["local_path"]).to_owned()).collect();
                let found: BTreeSet<_> = super::support::files_below(made.path()).into_iter().collect();
                assert_eq!(found, expected, "{}", made.label);
                for file in files() {
                    let name = text(&file["local_path"]);
                    let ours = fs::read(made.path().join(name)).unwrap();
                    match bytes_of(&fixture.dir, path, file) {
                        Some(theirs) => {
                            assert!(ours == theirs, "{}: {name}", made.label);
                            compared += 1;
                        }
                        None => {
                            assert_eq!(ours.len() as u64, number(&file["size"]), "{}: {name}", made.label);
                            inlined += 1;
                        }
                    }
                }
                let current = fs::read(made.path().join("CURRENT")).unwrap();
                let manifest = Current::decode(&current).unwrap().manifest.to_owned();
                let manifest = fs::read(made.path().join(manifest)).unwrap();
                let version = Version::replay(&manifest).unwrap();
                for (_, live) in version.live_files() {
                    let table = made.path().join(format!("{:06}.sst", live.file.number));
                    assert_eq!(fs::metadata(table).unwrap().len(), live.file.size, "{}", made.label);
                }
                let oracle = list(&rocksdb["handles"]).iter().find(|h| {
                    h["snapshot"] == *path
                        && h["operator"] == *made.operator
                        && number(&h["subtask"]) == u64::from(made.subtask)
                });
                let families = list(&oracle.unwrap()["column_families"]).iter();
                let families: BTreeSet<_> = families.map(|f| text(&f["name"])).collect();
                let ours: BTreeSet<_> = made.plan.column_families.iter().map(String::as_str).collect();
                assert_eq!(ours, families, "{}", made.label);
                databases += 1;
            }
        }
    }
    assert!(databases > 100 && compared > 1000 && inlined > 50, "{databases}, {compared}, {inlined}");
}

#[test]
fn a_directory_that_holds_something_is_left_alone() {
    let (copy, path) = copy("inc-1.13");
    let more = ["--operator", "by-string-uid", "--subtask", "0"];
    fs::create_dir(copy.path("out")).unwrap();
    assert_eq!(run(&copy, &path, &more).code, 0, "an empty directory is as good as none");
    let before = super::support::files_below(&copy.path("out"));
    let again = run(&copy, &path, &more);
    assert_eq!((again.code, &*again.stdout), (1, ""));
    assert!(again.stderr.contains("out is not empty"), "{again:#?}");
    assert_eq!(super::support::files_below(&copy.path("out")), before);
    fs::write(copy.path("file"), "").unwrap();
    let args = ["materialize", &path, "-o", "file", "--operator", "by-string-uid", "--subtask", "0"];
    let onto_file = copy.run(&args);
    assert!(onto_file.code == 1 && onto_file.stderr.contains("file cannot be made"), "{onto_file:#?}");
}

/// Where the first subtask's files of this name lie in the copy.
fn place_of(fixture_name: &str, path: &str, local: &str) -> String {
    let flink = fixture(fixture_name).flink();
    let snapshot = list(&flink["snapshots"]).iter().find(|s| s["snapshot"] == *path).unwrap();
    let subtasks = list(&snapshot["operators"]).iter().flat_map(|o| list(&o["subtasks"]));
    let handles = subtasks.flat_map(|s| list(&s["managed_keyed"]));
    let mut files = handles.flat_map(|h| list(&h["shared"]).iter().chain(list(&h["private"])));
    let file = files.find(|f| text(&f["local_path"]).starts_with(local)).unwrap();
    super::support::neutral(text(&file["path"]))
}

#[test]
fn what_is_not_whole_is_not_made() {
    let name = "inc-1.13";
    let flink = fixture(name).flink();
    let first = list(&flink["snapshots"][0]["operators"])
        .iter()
        .find(|o| !list(&o["subtasks"]).iter().all(|s| list(&s["managed_keyed"]).is_empty()))
        .unwrap();
    let (operator, subtask) = (text(&first["id"]), list(&first["subtasks"])[0]["subtask"].to_string());
    let more = ["--operator", operator, "--subtask", &subtask];
    let damaged = |local: &str, damage: &dyn Fn(&Path)| {
        let (copy, path) = copy(name);
        let place = place_of(name, &path, local);
        damage(&copy.path(&place));
        let run = run(&copy, &path, &more);
        (copy, run, place.rsplit_once('/').unwrap().1.to_owned())
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    };
    for (local, says) in
        [("CURRENT", "CURRENT"), ("MANIFEST", "MANIFEST"), ("OPTIONS", "OPTIONS"), ("0", "SST")]
    {
        let (copy, run, file) = damaged(local, &remove);
        refused(&copy, &run, 1, &[says, "is missing", &file, "nothing was written"]);
        let (copy, run, file) = damaged(local, &cut);
        refused(&copy, &run, 1, &[says, "bytes where _metadata records", &file, "nothing was written"]);
    }
    let (copy, run, _) = damaged("MANIFEST", &|path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[4] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    refused(&copy, &run, 1, &["MANIFEST", "nothing was written"]);
    let (copy, run, _) = damaged("CURRENT", &|path| fs::write(path, "MANIFEST-999999\n").unwrap());
    refused(&copy, &run, 1, &["MANIFEST-999999", "not among the files", "nothing was written"]);
}

/// Names of files are the snapshot's: none leads out of the directory.
#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (copy, path) = copy("inc-1.13");
    let metadata = copy.path(&path).join("_metadata");
    let good = fs::read(&metadata).unwrap();
    let at = good.windows(4).position(|w| w == b".sst").unwrap() - 6;
    for evil in ["../../.sst", "/tmp/x.sst", ".hidden.so", "aa\\b\\c.sst", "aa\nb\nc.sst"] {
        let mut bytes = good.clone();
        bytes[at..at + 10].copy_from_slice(evil.as_bytes());
        fs::write(&metadata, &bytes).unwrap();
        let mut refusals = 0;
        for operator in ["ea08ddbb", "f62d26c8"] {
            for subtask in ["0", "1"] {
                let run = run(&copy, &path, &["--operator", operator, "--subtask", subtask]);
                if run.code != 0 {
                    refused(&copy, &run, 1, &["no name of a file in a database", "nothing was written"]);
                    refusals += 1;
                }
                let _ = fs::remove_dir_all(copy.path("out"));
            }
        }
        assert_eq!(refusals, 1, "{evil:?}");
    }
    // One name for two files.
    let names: Vec<usize> =
        good.windows(4).enumerate().filter(|(_, w)| *w == b".sst").map(|(at, _)| at - 6).collect();
    let mut bytes = good.clone();
    let first = good[names[0]..names[0] + 10].to_vec();
    bytes[names[1]..names[1] + 10].copy_from_slice(&first);
    fs::write(&metadata, &bytes).unwrap();
    let runs = ["ea08ddbb", "f62d26c8"].map(|operator| {
        let run = run(&copy, &path, &["--operator", operator, "--subtask", "0"]);
        let _ = fs::remove_dir_all(copy.path("out"));
        run
    });
    assert!(runs.iter().any(|run| run.code == 1 && run.stderr.contains("twice")), "{runs:#?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (copy, path) = copy("inc-1.13");
    let mut child = command()
        .args(["materialize", &path, "-o", "out", "--operator", "by-string-uid", "--subtask", "0"])
        .current_dir(&copy.root)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(copy.path("out/CURRENT").exists());
}
