//! Snapshots that were copied, moved or renamed still open, and it is said where their files were found.

use std::fs;
use std::path::Path;

use statescope::storage::{Location, MemoryStorage};

use super::support::{Ask, Fixture, Seen, fixture, fixtures, list, number, run_in, see, see_fixture, text};

/// Two readings of a snapshot from different places say the same of what is in it.
fn same_contents(a: &Seen, b: &Seen, label: &str) {
    let contents = |seen: &Seen| {
        let o = &seen.overview;
        (
            serde_json::to_value(&o.states).unwrap(),
            serde_json::to_value(&o.operators).unwrap(),
            serde_json::to_value(&o.totals).unwrap(),
        )
    };
    assert!(contents(a) == contents(b), "{label}: the contents differ");
    assert!(b.overview.findings.is_empty(), "{label}: {:#?}", b.overview.findings);
}

/// A store that holds a fixture with its paths changed.
fn moved(fixture: &Fixture, to: impl Fn(&str) -> String) -> MemoryStorage {
    fixture.in_memory(|path| Location::parse(&to(path)).unwrap())
}

#[test]
fn a_copy_of_everything_opens_and_says_where_from() {
    for fixture in fixtures() {
        for path in fixture.snapshots() {
            let label = format!("{}/{path}", fixture.name);
            let ask = Ask::properties();
            let to = |p: &str| format!("s3://backup/2026/{}", p.strip_prefix("data/").unwrap());
            let copy = see(&moved(fixture, to), &Location::parse(&to(&path)).unwrap(), &ask);
            let home = see(&fixture.in_memory(|p| fixture.recorded(p)), &fixture.recorded(&path), &ask);
            same_contents(&home, &copy, &label);
            let (home, copy) = (&home.overview.places, &copy.overview.places);
            assert_eq!(
                (home.recorded_uris, home.relative, home.inlined, home.not_read),
                (copy.relocated, copy.relative, copy.inlined, copy.not_read),
                "{label}"
            );
            assert_eq!((home.relocated, copy.recorded_uris, copy.failed), (0, 0, 0), "{label}");
            // Each recorded directory is told once, with where it lies now and all of its files.
            assert_eq!(copy.relocations.iter().map(|r| r.files).sum::<u64>(), copy.relocated, "{label}");
            for relocation in &copy.relocations {
                let from = super::support::neutral(&relocation.from.replacen("file:///", "file:/", 1));
                assert_eq!(relocation.to, to(&from), "{label}");
            }
        }
    }
}

#[test]
fn a_job_directory_may_be_renamed() {
    for name in ["inc-1.20", "inc-2.3", "inc-1.13", "full-rocksdb-1.20", "file-merging-2.3", "forst-2.3"] {
        let fixture = fixture(name);
        let job = text(&fixture.truth()["job_id"]).to_owned();
        for path in fixture.snapshots() {
            let to = |p: &str| p.replacen(&format!("data/{job}/"), "file:/restore/my-job/", 1);
            let copy = see(&moved(fixture, to), &Location::parse(&to(&path)).unwrap(), &Ask::properties());
            same_contents(&see_fixture(fixture, &path, &Ask::properties()), &copy, &format!("{name}/{path}"));
            assert_eq!(copy.overview.places.failed, 0);
        }
    }
}

#[test]
fn a_savepoint_is_one_directory_that_may_go_anywhere() {
    let mut savepoints = 0;
    for fixture in fixtures() {
        for path in fixture.snapshots().iter().filter(|p| p.contains("/savepoint-")) {
            let storage = MemoryStorage::new();
            let to = Location::parse("gs://bucket/x").unwrap();
            for (p, bytes) in fixture.files() {
                if let Some(below) = p.strip_prefix(&format!("{path}/")) {
                    storage.put(&to.join(below).unwrap(), bytes);
                }
            }
            let copy = see(&storage, &to, &Ask::properties());
            same_contents(&see_fixture(fixture, path, &Ask::properties()), &copy, path);
            assert_eq!(copy.overview.places.relocated, 0, "{path}: nothing in a savepoint is absolute");
            savepoints += 1;
        }
    }
    assert!(savepoints >= 5, "{savepoints}");
}

#[test]
fn by_hand_files_may_lie_where_no_rule_finds_them() {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    // The shared files went elsewhere, under another name.
    let to = |p: &str| {
        if p.contains("/shared/") {
            format!("s3://other/tables/{}", p.rsplit('/').next().unwrap())
        } else {
            format!("s3://backup/{p}")
        }
    };
    let storage = moved(fixture, to);
    let at = Location::parse(&to(&path)).unwrap();
    let lost = see(&storage, &at, &Ask::default());
    assert!(lost.overview.findings.iter().all(|f| f.code == "file_missing"), "{:#?}", lost.overview.findings);
    let missing = &lost.overview.findings[0];
    assert!(missing.remedy.contains("--relocate FROM=TO"), "{missing:#?}");
    assert!(missing.message.contains("looked for at file:/data/flink/inc-1.20/"), "{missing:#?}");

    let job = text(&fixture.truth()["job_id"]).to_owned();
    let rule = |to: &str| (format!("file:/data/flink/inc-1.20/{job}/shared"), to.to_owned());
    let ask = Ask { relocate: vec![rule("s3://other/tables")], ..Ask::properties() };
    let found = see(&storage, &at, &ask);
    same_contents(&see_fixture(fixture, &path, &Ask::properties()), &found, "by hand");
    // The first rule that leads to the file holds; one that leads nowhere hides nothing.
    let ask = Ask { relocate: vec![rule("s3://nowhere"), rule("s3://other/tables")], ..Ask::properties() };
    same_contents(&found, &see(&storage, &at, &ask), "two rules");
}

#[test]
fn what_the_user_says_goes_before_what_is_recorded() {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    let storage = fixture.in_memory(|p| fixture.recorded(p));
    for (p, bytes) in fixture.files() {
        storage.put(&Location::parse(&format!("s3://copy/{p}")).unwrap(), bytes);
    }
    let relocate = vec![("file:/data/flink/inc-1.20".to_owned(), "s3://copy/data".to_owned())];
    let seen = see(&storage, &fixture.recorded(&path), &Ask { relocate, ..Ask::default() });
    let places = &seen.overview.places;
    assert!(places.relocated > 0 && places.recorded_uris == 0, "{places:#?}");
}

#[test]
fn a_claimed_checkpoint_names_the_other_job() {
    let fixture = fixture("claimed-1.20");
    let mut claimed = 0;
    for (path, truth) in fixture.truths() {
        let seen = see_fixture(fixture, &path, &Ask::properties());
        let own = text(&truth["job_id"]);
        let others: Vec<_> = seen.overview.files.other_jobs.iter().map(|o| o.directory.as_str()).collect();
        if own == text(&fixture.truth()["job_id"]) {
            assert!(others.is_empty(), "{path}: {others:?}");
            continue;
        }
        let [other] = others[..] else { panic!("{path}: {others:?}") };
        assert!(other.ends_with(text(&fixture.truth()["job_id"])), "{path}: {other}");
        // Its files are found in the other job's directory, beside this one's.
        assert!(seen.overview.findings.is_empty(), "{path}: {:#?}", seen.overview.findings);
        let to: Vec<_> = seen.overview.places.relocations.iter().map(|r| r.to.as_str()).collect();
        assert!(to.iter().any(|to| to.contains(own)), "{to:?}");
        assert!(to.iter().any(|to| to.contains(text(&fixture.truth()["job_id"]))), "{to:?}");
        claimed += 1;
    }
    assert!(claimed >= 1);
}

#[test]
fn a_claimed_checkpoint_without_the_other_job_says_what_is_missing() {
    let fixture = fixture("claimed-1.20");
    let first = text(&fixture.truth()["job_id"]).to_owned();
    let (path, _) = fixture.truths().into_iter().find(|(_, t)| t["job_id"] != *first).unwrap();
    let storage = MemoryStorage::new();
    let to = |p: &str| Location::parse(&format!("s3://b/{p}")).unwrap();
    for (p, bytes) in fixture.files() {
        if !p.contains(&first) {
            storage.put(&to(&p), bytes);
        }
    }
    let seen = see(&storage, &to(&path), &Ask::properties());
    assert!(!seen.overview.findings.is_empty());
    for finding in &seen.overview.findings {
        assert_eq!(finding.code, "file_missing", "{finding:#?}");
        assert!(finding.file.as_ref().unwrap().contains(&first), "{finding:#?}");
    }
    // Without the tables all else is there.
    assert_eq!(
        seen.overview.states.len(),
        see_fixture(fixture, &path, &Ask::default()).overview.states.len()
    );
}

#[test]
fn two_places_at_once_are_a_finding() {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    // The exclusive files were copied with `_metadata`, the shared ones are where they were.
    let to = |p: &str| {
        if p.contains("/shared/") { fixture.recorded(p).to_string() } else { format!("file:/copy/{p}") }
    };
    let storage = moved(fixture, to);
    let seen = see(&storage, &Location::parse(&to(&path)).unwrap(), &Ask::properties());
    let places = &seen.overview.places;
    assert!(places.recorded_uris > 0, "{places:#?}");
    let mixed: Vec<_> = seen.overview.findings.iter().filter(|f| f.code == "mixed_places").collect();
    assert_eq!(mixed.len(), usize::from(places.relocated > 0), "{:#?}", seen.overview.findings);

    // Some of the shared files were copied, and some are only where they were.
    let tables = see_fixture(fixture, &path, &Ask::default()).tables;
    let stays = &tables[0].place;
    let to = |p: &str| if p == stays { fixture.recorded(p).to_string() } else { format!("file:/copy/{p}") };
    let storage = moved(fixture, to);
    let seen = see(&storage, &Location::parse(&format!("file:/copy/{path}")).unwrap(), &Ask::properties());
    let places = &seen.overview.places;
    assert!(places.relocated > 0 && places.recorded_uris == 1, "{places:#?}");
    let mixed: Vec<_> = seen.overview.findings.iter().filter(|f| f.code == "mixed_places").collect();
    assert_eq!(mixed.len(), 1, "{:#?}", seen.overview.findings);
}

/// The same through the command, on this disk, from a relative path.
#[test]
fn the_command_opens_a_copy_from_wherever_it_stands() {
    let fixture = fixture("inc-1.13");
    let copy = fixture.copy();
    let path = fixture.newest();
    let (job, chk) = path.rsplit_once('/').unwrap();
    let bytes = |run: &super::support::Run| {
        assert_eq!(run.code, 0, "{run:#?}");
        number(&run.json()["totals"]["state_bytes"])
    };
    let expected = bytes(&copy.run(&["inspect", &path, "-o", "json"]));
    let inside = copy.path(job);
    for (dir, arg) in
        [(&*inside, chk), (&*inside, &*format!("./{chk}/")), (&*inside, &*format!("{chk}/_metadata"))]
    {
        assert_eq!(bytes(&run_in(dir, &["inspect", arg, "-o", "json"])), expected, "{arg}");
    }
    let here = copy.root.to_str().unwrap();
    for arg in [format!("{here}/{path}"), format!("file:{here}/{path}"), format!("file://{here}//{path}/")] {
        assert_eq!(bytes(&run_in(Path::new("/"), &["inspect", &arg, "-o", "json"])), expected, "{arg}");
    }
    // The tables went to another directory; --relocate takes relative paths too.
    fs::create_dir(copy.path("elsewhere")).unwrap();
    fs::rename(copy.path(&format!("{job}/shared")), copy.path("elsewhere/tables")).unwrap();
    let ask = ["inspect", &path, "-o", "json", "--properties"];
    let run = copy.run(&ask);
    assert_eq!(run.code, 5, "{run:#?}");
    assert!(run.codes().iter().all(|c| c == "file_missing"), "{:?}", run.codes());
    let rule =
        format!("file:/data/flink/inc-1.13/{}/shared=elsewhere/tables", job.rsplit('/').next().unwrap());
    let run = copy.run(&[&ask[..], &["--relocate", &rule]].concat());
    assert_eq!(bytes(&run), expected);
    let relocations = run.json()["places"]["relocations"].clone();
    assert!(list(&relocations).iter().any(|r| text(&r["to"]) == "[DIR]/elsewhere/tables"), "{relocations:#}");
}
