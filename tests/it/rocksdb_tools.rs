//! Our readings against those of RocksDB's own programs, run now: `ldb` and `sst_dump` must be installed, so
//! these tests are ignored unless asked for. `rocksdb` holds the same against what the programs once said.

use crate::support::{Ask, fixtures, see_fixture};
use statescope::model::{KeyedState, Place};
use std::fs;
use std::path::Path;
use std::process::Command;

fn said(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Each database of these snapshots, made into a directory that RocksDB knows.
#[test]
#[ignore = "needs ldb and sst_dump, of Debian's package rocksdb-tools"]
fn rocksdb_tools_see_the_same_tables() {
    let (mut databases, mut tables) = (0, 0);
    for fixture in fixtures().iter().filter(|f| f.name.starts_with("inc-") && !f.name.contains("inline")) {
        let path = fixture.snapshots().pop().unwrap();
        let seen = see_fixture(fixture, &path, &Ask { properties: true, ..Ask::default() });
        for operator in &seen.snapshot.operators {
            for subtask in &operator.subtasks {
                for (_, database) in subtask.managed_keyed.iter().flat_map(KeyedState::databases) {
                    let directory = tempfile::tempdir().unwrap();
                    let mut manifest = String::new();
                    for file in &database.files {
                        let Place::Uri(uri) = &seen.snapshot.file(file.file.unwrap()).unwrap().place else {
                            panic!("a file by URI")
                        };
                        let job = path.rsplit_once('/').unwrap().0;
                        let from = fixture.dir.join(job).join("shared").join(uri.rsplit('/').next().unwrap());
                        fs::copy(from, directory.path().join(&*file.name)).unwrap();
                        if file.name.starts_with("MANIFEST") {
                            manifest = format!("--path={}", file.name);
                        }
                    }
                    let dump = said("ldb", &["manifest_dump", "--verbose", &manifest], directory.path());
                    let states = &seen.overview.states;
                    let ours = states.iter().filter(|s| s.operator_id == operator.id.to_string());
                    let parts = ours.flat_map(|s| &s.subtasks).filter(|part| part.subtask == subtask.index);
                    for table in parts.flat_map(|part| &part.sst) {
                        let number: u64 = table.name.strip_suffix(".sst").unwrap().parse().unwrap();
                        let line = format!(" {number}:{}[", table.bytes);
                        assert!(dump.contains(&line), "{line} is not in\n{dump}");
                        let file = format!("--file={}", table.name);
                        let arguments = [file.as_str(), "--show_properties", "--command=none"];
                        let said = said("sst_dump", &arguments, directory.path());
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
                    databases += 1;
                }
            }
        }
    }
    assert!(databases > 20 && tables > 100, "{databases} databases, {tables} tables");
}
