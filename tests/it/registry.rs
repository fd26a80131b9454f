//! Every fixture is whole, is in the catalogue, and says what is in all of its snapshots.

use std::fs;

use super::support::{fixtures, list, roots, testdata, text};

/// The names in the first column of a section of the catalogue.
fn named_in(section: &str) -> Vec<String> {
    let readme = fs::read_to_string(testdata().join("README.md")).unwrap();
    let section = readme.split(section).nth(1).unwrap().split("\n## ").next().unwrap();
    // A row begins with one name or several: | `inc-1.20`, `inc-2.3` | …; `-2.3` is short for the same name
    // with another release.
    let mut named = Vec::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let mut first = "";
        for name in row.split(" |").next().unwrap().split(", ").map(|n| n.trim_matches('`')) {
            if let Some(release) = name.strip_prefix('-') {
                let stem = first.rsplit_once('-').unwrap().0;
                named.push(format!("{stem}-{release}"));
            } else {
                first = name;
                named.push(name.to_owned());
            }
        }
    }
    named.sort();
    named
}

#[test]
fn every_fixture_is_in_the_catalogue_and_every_name_there_is_a_fixture() {
    for (section, present) in [("## Catalogue", fixtures()), ("## Roots", roots())] {
        let mut present: Vec<_> = present.iter().map(|f| f.name.clone()).collect();
        present.sort();
        assert_eq!(present, named_in(section), "the directories, and the names in testdata/README.md");
        assert!(!present.is_empty());
    }
}

#[test]
fn all_accounts_of_a_fixture_speak_of_the_same_snapshots() {
    for fixture in fixtures().iter().chain(roots()) {
        let name = &fixture.name;
        let truth = fixture.truth();
        assert_eq!(text(&truth["fixture"]), name);
        let on_disk = fixture.snapshots();
        assert!(!on_disk.is_empty(), "{name}");
        let mut in_truth: Vec<_> = fixture.truths().into_iter().map(|(path, _)| path).collect();
        in_truth.sort();
        assert_eq!(on_disk, in_truth, "{name}: truth.json");
        let flink = fixture.flink();
        let mut in_flink: Vec<_> =
            list(&flink["snapshots"]).iter().map(|s| text(&s["snapshot"]).to_owned()).collect();
        in_flink.sort();
        assert_eq!(on_disk, in_flink, "{name}: flink.json");
        // A database is there exactly where the oracle of databases speaks.
        let incremental = flink.to_string().contains("\"IncrementalRemoteKeyedStateHandle\"");
        assert_eq!(fixture.rocksdb().is_some(), incremental, "{name}: rocksdb.json");
    }
}

/// Fixtures must not tell whose machine they were made on.
#[test]
fn no_fixture_names_the_place_where_it_was_made() {
    let here = env!("CARGO_MANIFEST_DIR");
    for fixture in fixtures().iter().chain(roots()) {
        for (path, bytes) in fixture.files() {
            let tops = ["home", "root"].map(|top| format!("/{top}/"));
            for needle in [here.as_bytes(), tops[0].as_bytes(), tops[1].as_bytes()] {
                assert!(
                    !bytes.windows(needle.len()).any(|window| window == needle),
                    "{}/{path} holds {:?}",
                    fixture.name,
                    String::from_utf8_lossy(needle)
                );
            }
        }
    }
}
