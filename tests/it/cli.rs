//! What the command prints, as it stands on a screen. Review changes with `cargo insta review`, or set
//! `INSTA_UPDATE=always`.

use std::io::Read;
use std::process::Stdio;

use super::support::{Copy, Run, command, fixture, run_in, testdata};

/// What a run printed, with how it ended; the place of the copy reads `[DIR]`.
fn shown(args: &[&str], run: &Run) -> String {
    let mut out = format!("$ statescope {}\n", args.join(" "));
    out.push_str(&run.stdout);
    if !run.stderr.is_empty() {
        out.push_str(&format!("--- stderr\n{}", run.stderr));
    }
    if run.code != 0 {
        out.push_str(&format!("--- exit code {}\n", run.code));
    }
    out
}

fn without_fixture(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    shown(args, &run_in(&std::fs::canonicalize(dir.path()).unwrap(), args))
}

/// Runs the command in a copy of a fixture, at a time two days after the snapshot was completed.
fn with_fixture(name: &str, args: &[&str]) -> String {
    let fixture = fixture(name);
    let copy = fixture.copy();
    let newest = fixture.truths().iter().map(|(_, t)| t["completed_ms"].as_i64().unwrap()).max().unwrap();
    run_at(&copy, newest + 2 * 86_400_000, args)
}

fn run_at(copy: &Copy, now_ms: i64, args: &[&str]) -> String {
    let at = now_ms.to_string();
    shown(args, &copy.run(&[args, &["--at", &at]].concat()))
}

/// The path of a fixture's newest snapshot.
fn newest(name: &str) -> String {
    fixture(name).newest()
}

macro_rules! shows {
    ($test:ident, $fixture:literal, $args:expr) => {
        #[test]
        fn $test() {
            let newest = newest($fixture);
            let args: Vec<&str> =
                $args.iter().map(|a: &&str| if *a == "NEWEST" { &*newest } else { a }).collect();
            insta::assert_snapshot!(with_fixture($fixture, &args));
        }
    };
}

shows!(incremental, "inc-2.3", ["inspect", "NEWEST"]);
shows!(incremental_with_properties, "maxpar-512-2.3", ["inspect", "NEWEST", "--properties"]);
shows!(the_oldest_release, "inc-1.13", ["inspect", "NEWEST"]);
shows!(all_in_metadata, "inc-inline-1.20", ["inspect", "NEWEST", "--rows", "3"]);
shows!(a_canonical_savepoint, "savepoint-canonical-1.20", ["inspect", "NEWEST", "--rows", "5"]);
shows!(a_native_savepoint, "savepoint-native-2.3", ["inspect", "NEWEST"]);
shows!(sql, "sql-2.3", ["inspect", "NEWEST"]);
shows!(a_changelog, "changelog-1.20", ["inspect", "NEWEST"]);
shows!(in_flight_data, "unaligned-2.3", ["inspect", "NEWEST"]);
shows!(another_jobs_files, "claimed-1.20", ["inspect", "NEWEST", "--rows", "2"]);
shows!(finished_operators, "finished-1.20", ["inspect", "NEWEST"]);
shows!(merged_files, "file-merging-2.3", ["inspect", "NEWEST", "--rows", "2"]);
shows!(rescaled, "rescaled-1.20", ["inspect", "NEWEST", "--rows", "4"]);
shows!(one_operator, "inc-2.3", ["inspect", "NEWEST", "--operator", "tumbling"]);
shows!(one_state, "inc-2.3", ["inspect", "NEWEST", "--state", "kryo"]);
shows!(a_filter_that_nothing_fits, "inc-2.3", ["inspect", "NEWEST", "--state", "no such state"]);
shows!(a_root, "inc-1.20", ["inspect", "data"]);
shows!(a_root_with_two_jobs, "claimed-1.20", ["inspect", "data"]);
shows!(a_root_with_a_savepoint, "savepoint-native-1.20", ["inspect", "data"]);

shows!(analyzed, "inc-1.20", ["analyze", "NEWEST", "--rows", "4"]);
shows!(
    analyzed_with_a_ttl,
    "sql-1.20",
    ["analyze", "NEWEST", "--ttl", "*=1s", "--ttl", "accState=7d", "--rows", "3"]
);
shows!(
    analyzed_after_a_rescaling,
    "rescaled-1.20",
    ["analyze", "NEWEST", "--operator", "ea08", "--rows", "2", "--top", "3", "--parallelism", "2,3"]
);
shows!(analyzed_heap, "hashmap-2.3", ["analyze", "NEWEST", "--rows", "3"]);
shows!(analyzed_forst, "forst-2.3", ["analyze", "NEWEST", "--state", "window", "--top", "2"]);
shows!(
    analyzed_as_json,
    "sql-1.20",
    [
        "analyze",
        "NEWEST",
        "--state",
        "right-records",
        "--ttl",
        "*=1s",
        "--top",
        "2",
        "--parallelism",
        "4",
        "-o",
        "json"
    ]
);

/// Names of operators and states, 40 lines of 120 characters: the first screen is what is seen first.
#[test]
fn the_first_screen_of_analyze_is_one() {
    for name in ["inc-1.20", "inc-2.3", "sql-2.3", "rescaled-1.20", "hashmap-2.3"] {
        let run = with_fixture(name, &["analyze", &newest(name)]);
        let all: Vec<_> = run.lines().skip(1).collect();
        let end = all.iter().position(|line| line.starts_with("STATE ") || line.starts_with("NOT ANALYZED"));
        assert!(end.is_some_and(|end| end <= 40), "{name}: {end:?}");
        // Places are as long as they are.
        let wide = all[..end.unwrap()].iter().filter(|line| !line.contains("[DIR]"));
        let wide: Vec<_> = wide.filter(|line| line.chars().count() > 120).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
    }
}

#[test]
fn wrong_usage_of_analyze_says_what_is_wrong_and_exits_with_2() {
    let path = newest("inc-1.20");
    let all = [
        &["analyze"][..],
        &["analyze", &path, "--ttl", "7d"],
        &["analyze", &path, "--ttl", "v_order=7"],
        &["analyze", &path, "--ttl", "no_such=7d"],
        &["analyze", &path, "--ttl", "v_order=7d"],
        &["analyze", &path, "--state", "no_such"],
        &["analyze", &path, "--operator", "no_such"],
        &["analyze", &path, "--operator", "ea08", "--state", "no_such"],
        &["analyze", &path, "--memory", "12"],
        &["analyze", &path, "--threads", "0"],
        &["analyze", &path, "--parallelism", "4,0"],
        &["analyze", &path, "--top", "1001"],
        &["analyze", &path, "--at", "yesterday"],
        &["analyze", "data"],
        &["analyze", "nowhere"],
    ]
    .map(|args| shown(args, &fixture("inc-1.20").copy().run(args)))
    .join("\n");
    insta::assert_snapshot!(all);
}

/// What only another build can do, or the engine of reference cannot, is said before anything is read.
#[test]
fn the_engine_of_reference_has_its_limits() {
    let run = run_in(&testdata(), &["analyze", "nowhere", "--engine", "rocksdb", "--save", "file"]);
    let says = if cfg!(feature = "rocksdb") { "--save does not go with" } else { "built without RocksDB" };
    assert!(run.code == 2 && run.stderr.contains(says) && run.stderr.lines().count() == 1, "{run:#?}");
}

#[test]
fn help_of_analyze() {
    insta::assert_snapshot!(without_fixture(&["analyze", "--help"]));
}

#[test]
fn help() {
    insta::assert_snapshot!(without_fixture(&["--help"]));
}

#[test]
fn help_of_inspect() {
    insta::assert_snapshot!(without_fixture(&["inspect", "--help"]));
}

#[test]
fn short_help_of_inspect() {
    insta::assert_snapshot!(without_fixture(&["inspect", "-h"]));
}

#[test]
fn wrong_usage_says_what_is_wrong_and_exits_with_2() {
    let all = [
        &[][..],
        &["inspect"],
        &["inspekt", "x"],
        &["inspect", "x", "--format", "xml"],
        &["inspect", "x", "--in-flight", "0"],
        &["inspect", "x", "--rows", "-1"],
        &["inspect", ""],
    ]
    .map(without_fixture)
    .join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    let path = newest("inc-1.13");
    let address = "s3://user:secret@bucket/x";
    let rule = format!("{address}=data");
    for args in [&["inspect", address][..], &["inspect", &path, "--relocate", &rule]] {
        let run = run_in(&fixture("inc-1.13").dir, args);
        assert_eq!((run.code, &*run.stdout), (2, ""), "{run:#?}");
        assert!(run.stderr.contains("credentials do not belong"), "{run:#?}");
        assert!(!run.stderr.contains("secret"), "{run:#?}");
    }
    let run = run_in(&fixture("inc-1.13").dir, &["inspect", &path, "--relocate", address]);
    assert!(run.code == 2 && run.stderr.contains("FROM=TO") && !run.stderr.contains("secret"), "{run:#?}");
}

#[test]
fn wrong_values_of_options_exit_with_2() {
    let path = newest("inc-1.13");
    let all = [
        &["inspect", &path, "--at", "yesterday"][..],
        &["inspect", &path, "--relocate", "nowhere"],
        &["inspect", &path, "--uids", "no-such-file"],
    ]
    .map(|args| shown(args, &fixture("inc-1.13").copy().run(args)))
    .join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn a_scheme_without_a_client_is_refused_with_advice() {
    let all =
        ["hdfs://nn:8020/flink/chk-1", "oss://b/x"].map(|at| without_fixture(&["inspect", at])).join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn version() {
    let run = without_fixture(&["--version"]);
    assert_eq!(run, format!("$ statescope --version\nstatescope {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn uids_name_operators_of_old_snapshots() {
    let fixture = fixture("inc-1.20");
    let copy = fixture.copy();
    std::fs::write(copy.path("uids.txt"), "  by-string-uid\r\n\n tumbling-uid \nno-such-uid\n").unwrap();
    let path = newest("inc-1.20");
    let now = fixture.truths()[0].1["completed_ms"].as_i64().unwrap();
    insta::assert_snapshot!(run_at(
        &copy,
        now,
        &["inspect", &path, "--uids", "uids.txt", "--operator", "-uid", "--rows", "4"]
    ));
}

#[test]
fn a_job_directory_shows_its_newest_or_lists_them_all() {
    let fixture = fixture("inc-1.20");
    let job = newest("inc-1.20").rsplit_once('/').unwrap().0.to_owned();
    let copy = fixture.copy();
    let newest = copy.run(&["inspect", &job, "-o", "json"]);
    assert_eq!((newest.code, &*newest.stderr), (0, ""));
    let expected = fixture.truths().iter().map(|(_, t)| t["checkpoint_id"].as_i64()).max().unwrap();
    assert_eq!(newest.json()["snapshot"]["checkpoint_id"].as_i64(), expected);
    assert!(newest.codes().is_empty(), "{newest:#?}");
    let listed = copy.run(&["inspect", &job, "--list", "-o", "json"]).json();
    assert_eq!(listed["result"], "root");
    assert_eq!(listed["jobs"][0]["checkpoints"].as_array().unwrap().len(), fixture.snapshots().len());
}

/// `statescope … | head -1`: a reader that goes away is no error, and nobody is told.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let fixture = fixture("inc-1.20");
    for args in [&["-o", "json"][..], &["-o", "json", "--properties"], &["-o", "table", "--rows", "0"]] {
        let mut child = command()
            .args(["inspect", &newest("inc-1.20")])
            .args(args)
            .current_dir(&fixture.dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut first).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

/// Results go to stdout and everything else to stderr, so that what is piped on is clean.
#[test]
fn json_is_one_document_and_nothing_else() {
    for name in ["inc-1.20", "changelog-memory-1.20"] {
        let run = fixture(name).copy().run(&["inspect", &newest(name), "--format", "json"]);
        assert_eq!((run.code, &*run.stderr), (0, ""));
        let json = run.json();
        assert_eq!(json["schema_version"], 1);
        assert_eq!((&json["command"], &json["result"]), (&"inspect".into(), &"snapshot".into()));
        assert!(run.stdout.ends_with("}\n"));
    }
}
