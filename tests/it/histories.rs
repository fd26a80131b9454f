//! Whole storage roots: that they show what the catalogue says, and what high availability keeps of them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use statescope_formats::Limits;
use statescope_formats::flink::ha::{CompletedCheckpoint, PlaceKind, Pointer, Stream};

use super::support::{Fixture, fixture, fixtures, list, neutral, number, roots, text};

fn root(name: &str) -> &'static Fixture {
    roots().iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no root {name:?}"))
}

/// Whether a path of the fixture (`data/…`) is there.
fn is_there(fixture: &Fixture, path: &str) -> bool {
    fixture.dir.join(path).exists()
}

/// All files of checkpoints whose names are in no `_metadata`, as Flink reads it.
fn unnamed(fixture: &Fixture) -> BTreeSet<String> {
    let flink = fixture.flink().to_string();
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let paths = fixture.files().into_iter().map(|(path, _)| path);
    paths
        .filter(|p| !p.starts_with("data/ha/") && name(p) != "_metadata" && !flink.contains(&name(p)))
        .collect()
}

/// All streams with a path that Flink's reader saw in a snapshot.
fn streams(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            if let (Some(place), Some(path)) = (fields.get("where"), fields.get("path")) {
                found.push((text(place).to_owned(), text(path).to_owned()));
            }
            fields.values().for_each(|value| streams(value, found));
        }
        Value::Array(elements) => elements.iter().for_each(|value| streams(value, found)),
        _ => {}
    }
}

/// Where the files of a snapshot are by what Flink reads in `_metadata`, as paths of the fixture.
fn places(fixture: &Fixture, snapshot: &str) -> BTreeSet<String> {
    let flink = fixture.flink();
    let theirs = list(&flink["snapshots"]).iter().find(|s| s["snapshot"] == *snapshot).unwrap();
    let mut found = Vec::new();
    streams(theirs, &mut found);
    let place = |(place, path): (String, String)| match place.as_str() {
        "relative" => format!("{snapshot}/{path}"),
        _ => neutral(&path),
    };
    found.into_iter().map(place).collect()
}

fn jobs(fixture: &Fixture) -> Vec<String> {
    list(&fixture.truth()["jobs"]).iter().map(|job| text(&job["job_id"]).to_owned()).collect()
}

fn below(paths: &BTreeSet<String>, part: &str) -> usize {
    paths.iter().filter(|path| path.contains(part)).count()
}

#[test]
fn pointers_are_what_flink_reads_in_them() {
    let mut seen = 0;
    for fixture in fixtures().iter().chain(roots()) {
        let truth = fixture.truth();
        let Some(pointers) = truth["ha"]["pointers"].as_array() else { continue };
        for theirs in pointers {
            let read = |field: &str| fs::read(fixture.dir.join(text(&theirs[field]))).unwrap();
            let pointer = Pointer::decode(&read("node"), Limits::default()).unwrap();
            let Stream::File { path, size } = &pointer.stream else { panic!("{pointer:?}") };
            assert_eq!(
                (neutral(path).as_str(), *size as u64),
                (text(&theirs["file"]), number(&theirs["file_size"]))
            );
            assert!(!pointer.marked_for_deletion);

            let ours = CompletedCheckpoint::decode(&read("file"), Limits::default()).unwrap();
            assert_eq!(ours.job_id, text(&theirs["job_id"]));
            assert_eq!(ours.checkpoint_id as u64, number(&theirs["checkpoint_id"]));
            assert_eq!(ours.timestamp as u64, number(&theirs["timestamp_ms"]));
            assert_eq!(ours.external_pointer, text(&theirs["external_pointer"]));
            assert_eq!(ours.properties.name, text(&theirs["type"]));
            let Stream::File { path, size } = &ours.metadata else { panic!("{ours:?}") };
            let snapshot = text(&theirs["snapshot"]);
            assert_eq!(neutral(path), format!("{snapshot}/_metadata"));
            assert_eq!(*size as u64, number(&theirs["metadata_size"]));
            let paths: BTreeSet<&str> = ours.places.iter().map(|place| place.path.as_str()).collect();
            let expected: BTreeSet<&str> = list(&theirs["paths"]).iter().map(text).collect();
            assert_eq!(paths, expected);

            // All that it names is there, with its size.
            for place in &ours.places {
                let at = fixture.dir.join(neutral(&place.path));
                let found = fs::metadata(&at).unwrap_or_else(|e| panic!("{}: {e}", at.display()));
                match &place.kind {
                    PlaceKind::File { size } | PlaceKind::Relative { size, .. } => {
                        assert_eq!(found.len(), *size as u64, "{place:?}");
                    }
                    PlaceKind::Segment { start, size } => assert!(found.len() >= (start + size) as u64),
                    PlaceKind::MergingDirectory | PlaceKind::CheckpointDirectory => assert!(found.is_dir()),
                }
            }
            // It names what `_metadata` names; where that is not true, the full paths are right.
            let mut named: BTreeSet<String> = ours.places.iter().map(|place| neutral(&place.path)).collect();
            named.retain(|path| path != snapshot && *path != format!("{snapshot}/_metadata"));
            let in_metadata = places(fixture, snapshot);
            if fixture.name.starts_with("ha-") {
                assert_eq!(named, in_metadata, "{}", fixture.name);
            } else {
                let moved: Vec<_> = in_metadata.difference(&named).collect();
                assert!(!moved.is_empty() && moved.iter().all(|path| !is_there(fixture, path)), "{moved:?}");
                let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
                let names = |paths: &BTreeSet<String>| paths.iter().map(|p| name(p)).collect::<BTreeSet<_>>();
                assert_eq!(names(&named), names(&in_metadata));
            }
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn a_file_that_is_no_checkpoint_of_high_availability_is_an_error() {
    for fixture in fixtures().iter().filter(|f| f.name.starts_with("ha-")) {
        let other = |path: &str| path.starts_with("data/ha/") && !path.contains("completedCheckpoint");
        let others: Vec<_> = fixture.files().into_iter().filter(|(path, _)| other(path)).collect();
        assert!(!others.is_empty());
        for (path, bytes) in others {
            let error = CompletedCheckpoint::decode(&bytes, Limits::default()).unwrap_err();
            assert!(!error.to_string().is_empty(), "{path}");
        }
    }
}

#[test]
fn a_chain_of_claims_uses_files_of_every_job() {
    let fixture = fixture("prune-claim-chain-1.20");
    assert_eq!(unnamed(fixture), BTreeSet::new());
    let newest = places(fixture, &fixture.newest());
    for job in jobs(fixture) {
        assert!(below(&newest, &format!("{job}/shared/")) > 0, "{job}");
    }
    // Of the first job, Flink has left nothing but shared files; of the second, a checkpoint that nobody knows any more.
    let left = fixture.snapshots();
    let of = |job: usize| left.iter().filter(|path| path.contains(&jobs(fixture)[job])).count();
    assert_eq!((of(0), of(1), of(2)), (0, 2, 1), "{left:?}");
}

#[test]
fn after_no_claim_nothing_is_shared() {
    let fixture = fixture("prune-noclaim-2.3");
    assert_eq!(unnamed(fixture), BTreeSet::new());
    let newest = places(fixture, &fixture.newest());
    assert_eq!(below(&newest, &jobs(fixture)[1]), newest.len());
    assert_eq!(fixture.snapshots().len(), 2);
}

#[test]
fn crashes_leave_files_that_nobody_names() {
    let left = unnamed(fixture("prune-crashed-1.20"));
    assert!(below(&left, "/shared/") > 0 && below(&left, "/chk-3/") > 0, "{left:?}");
    assert!(!fixture("prune-crashed-1.20").snapshots().iter().any(|path| path.contains("chk-3")));

    let left = unnamed(fixture("prune-crashed-changelog-1.20"));
    assert!(below(&left, "/taskowned/") > 0, "{left:?}");

    let left = unnamed(fixture("prune-crashed-merging-2.3"));
    assert!(below(&left, "/shared/job_") > 0 && below(&left, "/taskowned/job_") > 0, "{left:?}");

    let torn = fixture("prune-torn-2.3");
    let left = unnamed(torn);
    assert_eq!(below(&left, "/chk-2/._metadata.inprogress."), 1, "{left:?}");
    assert!(below(&left, "/shared/") > 0, "{left:?}");
    assert!(!torn.snapshots().iter().any(|path| path.contains("chk-2")));

    let forst = fixture("prune-crashed-forst-2.3");
    assert!(below(&places(forst, &forst.newest()), "__attempt_0/db/") > 0);
}

#[test]
fn a_claimed_savepoint_is_still_used_and_may_have_lost_files() {
    for (name, has_lost_files) in
        [("prune-claimed-savepoint-2.3", false), ("prune-claimed-savepoint-1.20", true)]
    {
        let root = root(name);
        let snapshots = root.snapshots();
        let savepoint = snapshots.iter().find(|path| path.contains("savepoint-")).unwrap();
        let lost = places(root, savepoint).iter().any(|path| !is_there(root, path));
        assert_eq!(lost, has_lost_files, "{name}");
        // Files of the savepoint that the checkpoint uses are not where its `_metadata` says.
        let newest = places(root, &root.newest());
        let missing: Vec<_> = newest.iter().filter(|path| !is_there(root, path)).collect();
        assert!(!missing.is_empty(), "{name}");
        for path in missing {
            let file = path.rsplit('/').next().unwrap();
            assert!(is_there(root, &format!("{savepoint}/{file}")), "{name}: {path}");
        }
    }
}

#[test]
fn a_cancelled_job_leaves_its_result() {
    let fixture = fixture("ha-2.3");
    let results: Vec<_> =
        fixture.files().into_iter().filter(|(path, _)| path.contains("/job-result-store/")).collect();
    let [(path, bytes)] = &results[..] else { panic!("{}", results.len()) };
    assert!(path.ends_with(&format!("/{}.json", jobs(fixture)[0])), "{path}");
    let result: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(text(&result["result"]["id"]), jobs(fixture)[0]);
}
