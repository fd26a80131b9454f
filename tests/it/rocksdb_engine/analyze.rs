//! `analyze --engine rocksdb`: the same report, but for what only files tell.

use serde_json::Value;

use crate::support::{Fixture, Run, fixtures, run_in};

/// Findings that rest on what lies in files.
const OF_FILES: [&str; 3] = ["mostly_dead", "ttl_filter_idle", "ttl_not_covered"];

/// Makes absent what RocksDB's iterators do not tell, and puts states and operators in the order of their names: their
/// sizes on disk are part of that.
///
/// Where some lists can only be divided between merge operands, RocksDB, which joins these, leaves smaller lower bounds of
/// entries; then figures of entries are left out too.
fn comparable(report: &mut Value) {
    without_files(report);
    if report["totals"]["live"]["entries_at_least"] == true {
        without_entries(report);
    }
}

fn without_entries(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "entries"
                    | "entries_by_key"
                    | "top_by_entries"
                    | "entries_max_to_mean"
                    | "entries_gini" => {
                        *value = Value::Null;
                    }
                    _ => without_entries(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_entries),
        _ => {}
    }
}

fn without_files(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "disk"
                    | "physical"
                    | "space_amplification"
                    | "disk_bytes"
                    | "when_written"
                    | "sst"
                    | "ttl_asked_disk_bytes"
                    | "ttl_covered_disk_bytes" => *value = Value::Null,
                    "levels" | "compressions" => *value = Value::Array(Vec::new()),
                    "engine" => *value = Value::Null,
                    _ => without_files(value),
                }
            }
            for name in ["states", "operators"] {
                if let Some(Value::Array(values)) = fields.get_mut(name) {
                    values.sort_by_key(|value| {
                        ["operator_id", "id", "name"].map(|name| value[name].as_str().map(str::to_owned))
                    });
                }
            }
            if let Some(Value::Array(findings)) = fields.get_mut("findings") {
                findings.retain(|finding| !OF_FILES.contains(&finding["code"].as_str().unwrap()));
                findings.sort_by_key(|finding| format!("{} {}", finding["code"], finding["part"]));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_files),
        _ => {}
    }
}

fn analyze(fixture: &Fixture, path: &str, engine: &str) -> Run {
    let options = ["--format", "json", "--ttl", "*=1h", "--parallelism", "3,16", "--top", "25"];
    let arguments: Vec<_> = ["analyze", path, "--engine", engine].into_iter().chain(options).collect();
    run_in(&fixture.dir, &arguments)
}

/// Whether changes of a changelog are part of it.
fn has_changes(report: &Value) -> bool {
    report["states"].as_array().unwrap().iter().any(|state| !state["changes"].is_null())
}

/// Whether states were read from streams, such as timers in raw keyed state.
fn has_streams(report: &Value) -> bool {
    report["states"].as_array().unwrap().iter().any(|state| !state["streams"].is_null())
}

#[test]
fn rocksdb_engine_makes_the_same_report_of_all_fixtures() {
    let (mut reports, mut exact, mut rows) = (0, 0, 0);
    for fixture in fixtures().iter().filter(|fixture| fixture.rocksdb().is_some()) {
        for path in fixture.snapshots() {
            let native = analyze(fixture, &path, "native");
            let theirs = analyze(fixture, &path, "rocksdb");
            assert_eq!(native.code, 0, "{native:#?}");
            if theirs.code != 0 {
                // What Flink 1.13 wrote is too old for this release.
                assert!(theirs.stderr.contains("RocksDB does not read it"), "{theirs:#?}");
                assert!(theirs.stderr.contains("SST format"), "{theirs:#?}");
                continue;
            }
            let (mut native, mut theirs) = (native.json(), theirs.json());
            if has_streams(&native) {
                // RocksDB has no part in them; what it does not read is listed.
                let reasons = |report: &Value| report["not_analyzed"].to_string();
                assert!(
                    !has_streams(&theirs) && reasons(&theirs).contains("not_rocksdb"),
                    "{path}: {theirs:#?}"
                );
                assert!(!reasons(&native).contains("not_rocksdb"), "{path}");
                continue;
            }
            if has_changes(&native) {
                // Nor in changes.
                assert!(!has_changes(&theirs), "{path}: {theirs:#?}");
                continue;
            }
            assert_eq!(theirs["method"]["engine"], "rocksdb");
            assert_eq!(theirs["totals"]["disk"], Value::Null);
            rows += native["totals"]["live"]["rows"].as_u64().unwrap();
            exact += usize::from(native["totals"]["live"]["entries_at_least"] == false);
            comparable(&mut native);
            comparable(&mut theirs);
            let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
            let (ours, theirs) = (text(&native), text(&theirs));
            let differs = ours.lines().zip(theirs.lines()).enumerate().find(|(_, (a, b))| a != b);
            assert!(ours == theirs, "{} {}: {differs:#?}", fixture.name, path);
            reports += 1;
        }
    }
    assert!(reports > 20 && exact > 10 && rows > 10_000, "{reports} reports, {exact} exact, {rows} rows");
}
