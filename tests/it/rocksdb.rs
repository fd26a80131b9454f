//! What MANIFEST and the tails of tables say, against `ldb manifest_dump` and `sst_dump --show_properties`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use statescope::analyzers::overview::{SstProperties, StateSummary};

use super::support::{Ask, Differences, Seen, fixtures, list, number, see_fixture, text};

/// A column family of an operator.
type Family = (String, String);

/// Compares every snapshot that has databases: with its handles, and the properties of tables by place.
fn compare(
    ask: &Ask,
    at_least: u64,
    check: impl Fn(&mut Differences, &str, &[&Value], &Value, &Seen),
) -> usize {
    let mut differences = Differences::default();
    let mut snapshots = 0;
    for fixture in fixtures() {
        let Some(oracle) = fixture.rocksdb() else { continue };
        for path in fixture.snapshots() {
            let handles: Vec<_> =
                list(&oracle["handles"]).iter().filter(|h| h["snapshot"] == *path).collect();
            if handles.is_empty() {
                continue;
            }
            let seen = see_fixture(fixture, &path, ask);
            let label = format!("{}/{path}", fixture.name);
            check(&mut differences, &label, &handles, &oracle["ssts"], &seen);
            snapshots += 1;
        }
    }
    differences.none(at_least);
    snapshots
}

/// The key group that an internal key in hex begins with.
fn key_group(key: &str, prefix: usize) -> u32 {
    u32::from_str_radix(&key[..2 * prefix], 16).unwrap()
}

/// The end of a range tombstone is exclusive, and Flink's ends are bare key groups.
fn last_key_group(key: &str, prefix: usize) -> u32 {
    let is_bound = key[2 * prefix..].eq_ignore_ascii_case("0fffffffffffffff");
    key_group(key, prefix) - u32::from(is_bound)
}

fn state<'a>(seen: &'a Seen, operator: &str, family: &str) -> Option<&'a StateSummary> {
    // Raw keyed state and the changes of a changelog have other kinds and no tables.
    seen.overview
        .states
        .iter()
        .find(|s| s.operator_id == operator && s.name == family && s.sst_files.is_some())
}

#[test]
fn tables_lie_where_ldb_says() {
    let snapshots = compare(&Ask::default(), 4000, |differences, label, handles, _, seen| {
        let mut ours_in_all = 0;
        for handle in handles {
            let (operator, subtask) = (text(&handle["operator"]), number(&handle["subtask"]));
            let prefix = seen
                .snapshot
                .operators
                .iter()
                .find(|o| o.id.to_string() == operator)
                .unwrap()
                .key_group_prefix();
            for family in list(&handle["column_families"]) {
                let (name, files) = (text(&family["name"]), list(&family["files"]));
                let what = || format!("{label}: {operator}/{subtask}: {name}");
                let Some(ours) = state(seen, operator, name) else {
                    // Flink keeps nothing in the column family that every database has.
                    differences.holds(name == "default" && files.is_empty(), || {
                        format!("{}: no such state", what())
                    });
                    continue;
                };
                let part = ours.subtasks.iter().find(|s| u64::from(s.subtask) == subtask);
                let Some(part) = part else {
                    differences.holds(false, || format!("{}: no such subtask", what()));
                    continue;
                };
                let mut tables: Vec<_> = part
                    .sst
                    .iter()
                    .map(|t| (t.name.clone(), u64::from(t.level), t.bytes, t.key_groups))
                    .collect();
                let mut expected: Vec<_> = files
                    .iter()
                    .map(|f| {
                        let smallest = key_group(text(&f["smallest"]), prefix);
                        let largest = last_key_group(text(&f["largest"]), prefix);
                        let file = format!("{:06}.sst", number(&f["number"]));
                        (file, number(&f["level"]), number(&f["size"]), Some((smallest, largest)))
                    })
                    .collect();
                tables.sort();
                expected.sort();
                ours_in_all += tables.len();
                let bytes: u64 = expected.iter().map(|f| f.2).sum();
                let count = expected.len() as u64;
                let groups = expected.iter().filter_map(|f| f.3).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
                let mut levels: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
                for (_, level, size, _) in &expected {
                    let sum = levels.entry(*level).or_default();
                    *sum = (sum.0 + 1, sum.1 + size);
                }
                differences.same(tables, expected, || format!("{}: tables", what()));
                differences.same((part.bytes, part.files), (Some(bytes), Some(count)), what);
                differences.same(part.key_groups_in_files, groups, || format!("{}: key groups", what()));
                let range = (number(&handle["start"]), number(&handle["end"]));
                let ours = part.key_groups.map(|(a, b)| (u64::from(a), u64::from(b)));
                differences.same(ours, Some(range), || format!("{}: key groups of the handle", what()));
                let ours: BTreeMap<_, _> =
                    part.levels.iter().map(|l| (u64::from(l.level), (l.files, l.bytes))).collect();
                differences.same(ours, levels, || format!("{}: levels", what()));
            }
        }
        // And nothing that is not there.
        let shown: usize =
            seen.overview.states.iter().flat_map(|s| &s.subtasks).map(|part| part.sst.len()).sum();
        differences.same(shown, ours_in_all, || format!("{label}: tables in all"));
        differences.same(shown, seen.tables.len(), || format!("{label}: tables of the details"));
    });
    assert!(snapshots > 15, "{snapshots}");
}

/// The files of each column family over all handles; one that several handles name is there once.
fn distinct<'a>(handles: &[&'a Value]) -> BTreeMap<Family, BTreeMap<&'a str, &'a Value>> {
    let mut families: BTreeMap<Family, BTreeMap<&str, &Value>> = BTreeMap::new();
    for handle in handles {
        for family in list(&handle["column_families"]) {
            let key = (text(&handle["operator"]).to_owned(), text(&family["name"]).to_owned());
            let files = families.entry(key).or_default();
            files.extend(list(&family["files"]).iter().map(|f| (text(&f["sst"]), f)));
        }
    }
    families
}

#[test]
fn sums_of_a_state_count_a_shared_table_once() {
    compare(&Ask::default(), 500, |differences, label, handles, _, seen| {
        for ((operator, name), files) in distinct(handles) {
            let Some(ours) = state(seen, &operator, &name) else { continue };
            let what = || format!("{label}: {operator}: {name}");
            let bytes: u64 = files.values().map(|f| number(&f["size"])).sum();
            differences.same((ours.bytes, ours.sst_files), (Some(bytes), Some(files.len() as u64)), what);
            let mut levels: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for file in files.values() {
                let sum = levels.entry(number(&file["level"])).or_default();
                *sum = (sum.0 + 1, sum.1 + number(&file["size"]));
            }
            let ours: BTreeMap<_, _> =
                ours.levels.iter().map(|l| (u64::from(l.level), (l.files, l.bytes))).collect();
            differences.same(ours, levels, || format!("{}: levels", what()));
        }
    });
}

#[test]
fn tables_are_in_the_files_that_the_handle_says() {
    compare(&Ask::default(), 500, |differences, label, handles, _, seen| {
        let path = label.split_once('/').unwrap().1;
        let ours: BTreeSet<_> = seen
            .tables
            .iter()
            .map(|t| {
                let place = t.place.strip_prefix("./").map(|relative| format!("{path}/{relative}"));
                // An inlined handle is called by a path that does not exist.
                let inline = t.place.strip_prefix("inline:").and_then(|name| name.rsplit('/').next());
                let place = place.or(inline.map(|name| format!("inline:{name}")));
                let place = place.unwrap_or_else(|| t.place.clone());
                (t.operator.clone(), u64::from(t.subtask), t.column_family.clone(), t.number, place)
            })
            .collect();
        let mut theirs = BTreeSet::new();
        for handle in handles {
            for family in list(&handle["column_families"]) {
                for file in list(&family["files"]) {
                    theirs.insert((
                        text(&handle["operator"]).to_owned(),
                        number(&handle["subtask"]),
                        text(&family["name"]).to_owned(),
                        number(&file["number"]),
                        text(&file["sst"]).to_owned(),
                    ));
                }
            }
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            differences.same(ours, theirs, || format!("{label}: a table"));
        }
        differences.same(ours.len(), theirs.len(), || format!("{label}: tables"));
    });
}

#[test]
fn properties_are_what_sst_dump_shows() {
    let ask = Ask::properties();
    compare(&ask, 5000, |differences, label, handles, ssts, seen| {
        for handle in handles {
            let (operator, subtask) = (text(&handle["operator"]), number(&handle["subtask"]));
            for family in list(&handle["column_families"]) {
                let name = text(&family["name"]);
                for file in list(&family["files"]) {
                    let number_of = number(&file["number"]);
                    let what = || format!("{label}: {operator}/{subtask}: {name}: {number_of:06}.sst");
                    let table = state(seen, operator, name)
                        .and_then(|s| s.subtasks.iter().find(|p| u64::from(p.subtask) == subtask))
                        .and_then(|p| p.sst.iter().find(|t| t.name == format!("{number_of:06}.sst")));
                    let Some(ours) = table.and_then(|t| t.properties.as_ref()) else {
                        differences.holds(false, || format!("{}: no properties", what()));
                        continue;
                    };
                    let theirs = &ssts[text(&file["sst"])];
                    assert!(theirs.is_object(), "{}: sst_dump says nothing of it", what());
                    same_properties(differences, ours, theirs, &what);
                    differences.same(name, text(&theirs["column_family"]), || format!("{}: family", what()));
                }
            }
        }
        for ((operator, name), files) in distinct(handles) {
            let Some(ours) = state(seen, &operator, &name) else { continue };
            let sum = |field: &str| files.keys().map(|sst| figure(&ssts[*sst], field)).sum::<u64>();
            let Some(sums) = &ours.properties else {
                differences.holds(files.is_empty(), || format!("{label}: {operator}: {name}: no sums"));
                continue;
            };
            let ours = [
                sums.files,
                sums.entries,
                sums.deletions,
                sums.merge_operands,
                sums.range_deletions,
                sums.raw_key_bytes,
                sums.raw_value_bytes,
                sums.data_bytes,
                sums.index_bytes,
                sums.filter_bytes,
            ];
            let theirs = [
                files.len() as u64,
                sum("entries"),
                sum("deletions"),
                sum("merge_operands"),
                sum("range_deletions"),
                sum("raw_key_size"),
                sum("raw_value_size"),
                sum("data_size"),
                sum("index_size"),
                sum("filter_size"),
            ];
            differences.same(ours, theirs, || format!("{label}: {operator}: {name}: sums"));
            let by_compression: u64 = sums.compression.iter().map(|c| c.files).sum();
            differences.same(by_compression, sums.files, || format!("{label}: {operator}: {name}: files"));
        }
    });
}

/// A figure of the tools, which leave out what is 0.
fn figure(theirs: &Value, field: &str) -> u64 {
    theirs.get(field).map_or(0, number)
}

fn same_properties(
    differences: &mut Differences,
    ours: &SstProperties,
    theirs: &Value,
    what: &impl Fn() -> String,
) {
    for (field, ours) in [
        ("entries", ours.entries),
        ("deletions", ours.deletions),
        ("merge_operands", ours.merge_operands),
        ("range_deletions", ours.range_deletions),
        ("raw_key_size", ours.raw_key_bytes),
        ("raw_value_size", ours.raw_value_bytes),
        ("data_size", ours.data_bytes),
        ("index_size", ours.index_bytes),
        ("filter_size", ours.filter_bytes),
        ("data_blocks", ours.data_blocks),
        ("file_creation_time", ours.file_creation_time),
    ] {
        differences.same(ours, figure(theirs, field), || format!("{}: {field}", what()));
    }
    differences.same(&*ours.compression, text(&theirs["compression"]), || format!("{}: compression", what()));
}

/// The fixtures must show what the tests above are about.
#[test]
fn the_databases_are_of_many_shapes() {
    let (mut levels, mut compressions, mut figures) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for oracle in fixtures().iter().filter_map(super::support::Fixture::rocksdb) {
        for handle in list(&oracle["handles"]) {
            for file in list(&handle["column_families"]).iter().flat_map(|f| list(&f["files"])) {
                levels.insert(number(&file["level"]));
            }
        }
        for properties in oracle["ssts"].as_object().unwrap().values() {
            compressions.insert(text(&properties["compression"]).to_owned());
            figures.extend(properties.as_object().unwrap().keys().cloned());
        }
    }
    assert!(levels.len() >= 3, "{levels:?}");
    for wanted in ["Snappy", "LZ4", "ZSTD"] {
        assert!(compressions.iter().any(|c| c == wanted), "{wanted}: {compressions:?}");
    }
    for wanted in ["deletions", "merge_operands", "range_deletions", "filter_size"] {
        assert!(figures.contains(wanted), "{wanted}: {figures:?}");
    }
}
