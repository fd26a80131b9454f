//! Every row of every database that Flink wrote: cut and walked to its end, and as many as the job says.

use std::collections::{BTreeMap, BTreeSet};

use statescope_formats::flink::key::{KeyGroupPrefix, KeyLayout, KeyPart, Uncut, UncutReason};
use statescope_formats::flink::state_meta::StateKind;
use statescope_formats::flink::walk::{Elements, StateValueLayout, StopKind, Touch, Walked};

use super::support::naive::{Database, Rows, databases};
use super::support::{Differences, fixtures, list, number, text};

/// What the rows of a state hold.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    rows: u64,
    /// `None` where lists could not be walked.
    entries: Option<u64>,
    /// `None` where keys could not be cut.
    keys: Option<u64>,
    timestamps: u64,
    /// Values of a subclass that no snapshot lists.
    unlisted: u64,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            entries: self.entries.zip(other.entries).map(|(a, b)| a + b),
            keys: self.keys.zip(other.keys).map(|(a, b)| a + b),
            timestamps: self.timestamps + other.timestamps,
            unlisted: self.unlisted + other.unlisted,
        }
    }
}

/// Everything there is to hold of the rows of a state in one database.
fn count(database: &Database, name: &str, rows: &Rows, what: &str) -> Counts {
    let state = database.meta.states.iter().find(|state| state.name == name);
    let state = state.unwrap_or_else(|| panic!("{what}: no such state"));
    let prefix = KeyGroupPrefix::of_max_parallelism(database.max_parallelism);
    let keys = KeyLayout::of_state(prefix, &database.meta.key_serializer, state).unwrap();
    let values = StateValueLayout::of_state(state).unwrap();
    let mut counts = Counts { rows: 0, entries: Some(0), keys: Some(0), ..Counts::default() };
    let mut distinct = BTreeSet::new();
    for (composite, value) in rows {
        counts.rows += 1;
        match keys.cut(composite) {
            Ok(cut) => {
                assert!(database.key_groups.contains(cut.key_group), "{what}");
                let start = if state.kind == StateKind::PriorityQueue { 8 } else { 0 } + prefix.bytes();
                assert_eq!(cut.key.start, start, "{what}: {composite:x?}");
                assert_eq!(cut.user_key.end, composite.len(), "{what}");
                assert_eq!(keys.key_end(composite), Ok(cut.namespace.start), "{what}");
                let parts = [
                    (KeyPart::Key, cut.key),
                    (KeyPart::Namespace, cut.namespace),
                    (KeyPart::UserKey, cut.user_key),
                ];
                for (part, range) in &parts {
                    let Some(walker) = keys.walker(*part) else { continue };
                    match walker.walk_all(&composite[range.clone()]) {
                        Walked::End(_) => {}
                        Walked::Stopped { stop, .. } => {
                            assert_eq!(walker.stops()[stop].kind, StopKind::Kryo, "{what}");
                        }
                        Walked::Bad(bad) => panic!("{what}: {part}: {bad}: {composite:x?}"),
                    }
                }
                distinct.insert((cut.key_group, composite[parts[0].1.clone()].to_vec()));
            }
            // A Kryo key in front of a user key of any length.
            Err(Uncut { why: UncutReason::Opaque { part: KeyPart::Key, stop, .. }, key_group: Some(_) }) => {
                assert_eq!(keys.walker(KeyPart::Key).unwrap().stops()[stop].kind, StopKind::Kryo, "{what}");
                assert_eq!(keys.walker(KeyPart::UserKey).unwrap().fixed_len(), None, "{what}");
                counts.keys = None;
            }
            Err(uncut) => panic!("{what}: {uncut:?}: {composite:x?}"),
        }
        match values.walk(value, b",") {
            Walked::End(end) => assert_eq!(end, value.len(), "{what}: {value:x?}"),
            Walked::Stopped { stop, .. } => match values.walker().stops()[stop].kind {
                StopKind::Kryo => assert_ne!(values.kryo(), Touch::Never, "{what}"),
                StopKind::UnlistedSubclass => counts.unlisted += 1,
                other => panic!("{what}: {other:?}"),
            },
            Walked::Bad(bad) => panic!("{what}: {bad}: {value:x?}"),
        }
        let mut timestamps = 0;
        let elements =
            values.for_each_element(value, b",", |timestamp, _| timestamps += u64::from(timestamp.is_some()));
        counts.timestamps += timestamps;
        match elements {
            Elements::All { count } => counts.entries = counts.entries.map(|entries| entries + count),
            Elements::NotWalked { .. } => counts.entries = None,
            Elements::Bad { bad, .. } => panic!("{what}: {bad}"),
        }
    }
    counts.keys = counts.keys.map(|_| distinct.len() as u64);
    counts
}

#[test]
fn every_row_is_cut_and_walked_to_its_end_and_counts_are_the_jobs() {
    let mut differences = Differences::default();
    let (mut not_counted, mut not_cut, mut unlisted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for fixture in fixtures() {
        for (path, truth) in fixture.truths() {
            let databases = databases(fixture, &path);
            let mut ours: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
            let mut in_changelog = false;
            for database in &databases {
                in_changelog |= database.in_changelog;
                for (name, rows) in database.column_families.iter().filter(|(name, _)| *name != "default") {
                    let what = format!("{}/{path}: {}: {name}", fixture.name, database.operator);
                    let counts = count(database, name, rows, &what);
                    ours.entry((&database.operator, name))
                        .and_modify(|before| *before = before.and(counts))
                        .or_insert(counts);
                }
            }
            // A changelog's database is of its last materialization.
            if in_changelog || databases.is_empty() {
                continue;
            }
            for operator in list(&truth["operators"]).iter().filter(|operator| operator["ends"].is_null()) {
                for state in list(&operator["keyed_states"]) {
                    let (id, name) = (text(&operator["id"]), text(&state["name"]));
                    let what = |figure: &'static str| {
                        move || format!("{}: {name}: {figure}", text(&operator["name"]))
                    };
                    let Some(counts) = ours.get(&(id, name)) else {
                        differences.holds(number(&state["rows"]) == 0, what("no column family"));
                        continue;
                    };
                    let label = || format!("{}/{path}", fixture.name);
                    let say = |figure: &'static str| move || format!("{}: {}", label(), what(figure)());
                    differences.same(counts.rows, number(&state["rows"]), say("rows"));
                    match counts.entries {
                        Some(entries) => {
                            differences.same(entries, number(&state["entries"]), say("entries"));
                            let with = if state["ttl"] == true { entries } else { 0 };
                            // Null values of maps have none.
                            let nulls = text(&state["value_type"]).contains("nullable");
                            differences.holds(counts.timestamps == with || nulls, say("timestamps"));
                        }
                        None => drop(not_counted.insert(format!("{} {name}", fixture.name))),
                    }
                    match counts.keys {
                        Some(keys) => differences.same(keys, number(&state["keys"]), say("keys")),
                        None => drop(not_cut.insert(format!("{} {name}", fixture.name))),
                    }
                    if counts.unlisted > 0 {
                        unlisted.insert(format!("{} {name} {}", fixture.name, counts.unlisted));
                    }
                }
                for timer in list(&operator["timers"]) {
                    let (id, name) = (text(&operator["id"]), text(&timer["name"]));
                    let Some(counts) = ours.get(&(id, name)) else { continue };
                    let what = || format!("{}/{path}: {id}: {name}", fixture.name);
                    differences.same(counts.rows, number(&timer["count"]), what);
                }
            }
        }
    }
    // By design: elements that Kryo wrote have no length.
    assert!(
        not_counted.len() >= 2 && not_counted.iter().all(|state| state.ends_with(" l_kryo")),
        "{not_counted:?}"
    );
    assert!(not_cut.is_empty(), "{not_cut:?}");
    // Snapshots of the asynchronous API do not list the subclasses that another thread's serializer met.
    let asynchronous =
        |state: &String| ["forst-async-", "prune-crashed-forst-"].iter().any(|name| state.starts_with(name));
    assert!(unlisted.iter().all(asynchronous), "{unlisted:?}");
    differences.none(1000);
}

#[test]
fn the_naive_live_view_has_as_many_rows_as_rocksdb_says() {
    let mut differences = Differences::default();
    for fixture in fixtures() {
        let Some(rocksdb) = fixture.rocksdb() else { continue };
        let mut theirs: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        for handle in list(&rocksdb["handles"]) {
            for family in list(&handle["column_families"]) {
                let of = |value: &serde_json::Value| text(value).to_owned();
                let key = (of(&handle["snapshot"]), of(&handle["operator"]), of(&family["name"]));
                *theirs.entry(key).or_default() += number(&family["live_rows"]);
            }
        }
        let mut ours: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        for path in fixture.snapshots() {
            for database in databases(fixture, &path) {
                for (name, rows) in &database.column_families {
                    let key = (path.clone(), database.operator.clone(), name.clone());
                    *ours.entry(key).or_default() += rows.len() as u64;
                }
            }
        }
        differences.same(ours, theirs, || fixture.name.clone());
    }
    differences.none(20);
}
