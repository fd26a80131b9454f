//! Our readings against those of RocksDB's own programs, run now: `ldb` and `sst_dump` must be installed, so
//! these tests are ignored unless asked for. `rocksdb` holds the same against what the programs once said.

use super::live::{LiveView, Naive, Scanned, compare};
use super::support::{Ask, Fixture, Materialized, fixtures, list, materialized, number, see_fixture, text};
use statescope::model::KeyBounds;
use std::path::Path;
use std::process::Command;

fn said(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The newest snapshots of these fixtures, each with its databases as directories that RocksDB knows.
fn databases(wanted: impl Fn(&Fixture) -> bool) -> Vec<(&'static Fixture, String, Vec<Materialized>)> {
    let found = fixtures().iter().filter(|f| f.rocksdb().is_some() && wanted(f));
    found
        .map(|fixture| {
            let path = fixture.newest();
            let made = materialized(fixture, &path);
            (fixture, path, made)
        })
        .collect()
}

#[test]
#[ignore = "needs ldb and sst_dump, of Debian's package rocksdb-tools"]
fn rocksdb_tools_see_the_same_tables() {
    let (mut directories, mut tables) = (0, 0);
    for (fixture, path, made) in databases(|f| f.name.starts_with("inc-")) {
        let seen = see_fixture(fixture, &path, &Ask::properties());
        for database in made {
            let manifest = database.plan.files.iter().find(|f| f.name.starts_with("MANIFEST")).unwrap();
            let manifest = format!("--path={}", manifest.name);
            let dump = said("ldb", &["manifest_dump", "--verbose", &manifest], database.path());
            let states = seen.overview.states.iter().filter(|s| s.operator_id == database.operator);
            let parts = states.flat_map(|s| &s.subtasks).filter(|part| part.subtask == database.subtask);
            for table in parts.flat_map(|part| &part.sst) {
                let number: u64 = table.name.strip_suffix(".sst").unwrap().parse().unwrap();
                let line = format!(" {number}:{}[", table.bytes);
                assert!(dump.contains(&line), "{line} is not in\n{dump}");
                let file = format!("--file={}", table.name);
                let arguments = [file.as_str(), "--show_properties", "--command=none"];
                let said = said("sst_dump", &arguments, database.path());
                let properties = table.properties.as_ref().unwrap();
                for (name, value) in [
                    ("# entries", properties.entries),
                    ("# merge operands", properties.merge_operands),
                    ("raw key size", properties.raw_key_bytes),
                    ("data block size", properties.data_bytes),
                ] {
                    let line = format!("{name}: {value}");
                    assert!(said.contains(&line), "{line} is not in\n{said}");
                }
                tables += 1;
            }
            directories += 1;
        }
    }
    assert!(directories > 20 && tables > 100, "{directories} databases, {tables} tables");
}

/// What `ldb scan` shows.
struct Ldb;

impl LiveView for Ldb {
    fn for_each(
        &self,
        directory: &Path,
        column_family: &str,
        bounds: &KeyBounds,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect::<String>();
        let mut arguments = vec![
            "--db=.".to_owned(),
            "--ignore_unknown_options".to_owned(),
            format!("--column_family={column_family}"),
            "--hex".to_owned(),
            "scan".to_owned(),
            format!("--from=0x{}", hex(&bounds.lower)),
        ];
        arguments.extend(bounds.upper.as_ref().map(|upper| format!("--to=0x{}", hex(upper))));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = said("ldb", &arguments, directory);
        assert!(!said.contains("Failed"), "{column_family}: {said}");
        let bytes = |hex: &str| -> Vec<u8> {
            let hex = hex.strip_prefix("0x").unwrap_or_else(|| panic!("no hex: {hex:?}"));
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        for (key, value) in said.lines().filter_map(|line| line.split_once(" : ")) {
            each(&bytes(key), &bytes(value));
        }
    }
}

/// Every database is one that `ldb` opens, and of every column family it shows the rows that we find. Format
/// versions 0 and 1, which Flink 1.13 wrote, newer releases of RocksDB do not read; this one does.
#[test]
#[ignore = "needs ldb and sst_dump, of Debian's package rocksdb-tools"]
fn rocksdb_tools_open_what_is_materialized_and_see_the_same_rows() {
    let (mut families, mut rows) = (0, 0);
    // The largest fixtures have the same states in more operators; a process for each would take minutes.
    for (fixture, path, made) in databases(|f| !f.name.ends_with("-2.3") || f.name == "inc-2.3") {
        let oracle = fixture.rocksdb().unwrap();
        let handles: Vec<_> = list(&oracle["handles"]).iter().filter(|h| h["snapshot"] == *path).collect();
        for database in made {
            let listed = said("ldb", &["--db=.", "list_column_families"], database.path());
            let handle = handles
                .iter()
                .find(|h| {
                    h["operator"] == *database.operator
                        && number(&h["subtask"]) == u64::from(database.subtask)
                })
                .unwrap();
            for family in list(&handle["column_families"]) {
                let name = text(&family["name"]);
                assert!(listed.contains(name), "{}: {name} is not in {listed}", database.label);
                if list(&family["files"]).is_empty() {
                    continue;
                }
                let mut same = 0;
                for view in [&Naive as &dyn LiveView, &Scanned] {
                    same = compare(view, &Ldb, database.path(), name, &database.bounds)
                        .unwrap_or_else(|difference| panic!("{}: {difference}", database.label));
                }
                assert_eq!(same as u64, number(&family["live_rows"]), "{}: {name}", database.label);
                families += 1;
                rows += same;
            }
        }
    }
    assert!(families > 200 && rows > 5000, "{families} column families, {rows} rows");
}
