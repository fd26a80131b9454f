//! `cat` against what the jobs know of their states, and against what `analyze` counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use statescope::analyzers::analysis::{ReferenceTime, Settings, Spill, Witness};
use statescope::analyzers::entries::{EntryPlan, EntryQuestion, KeyLookup, narrow};
use statescope::readers::discover::{Target, discover};
use statescope::readers::snapshot::{SnapshotReading, open_snapshot, read_snapshot};
use statescope::scan::entries::Ask as EntryAsk;
use statescope::scan::{Input, Progress, Scan, ScanOptions};
use statescope::storage::{InFlight, LocalStorage, Metered};
use statescope_formats::rocksdb::properties::IndexType;

use super::support::object_server::{BUCKET, Behaviour, ObjectServer};
use super::support::{Ask, Fixture, fixture, fixtures, list, number, run_in, text};

fn lines(fixture: &Fixture, snapshot: &str, operator: &str, state: &str, more: &[&str]) -> Vec<Value> {
    lines_and_gaps(fixture, snapshot, operator, state, more).0
}

/// And whether it was told that entries are missing.
fn lines_and_gaps(
    fixture: &Fixture,
    snapshot: &str,
    operator: &str,
    state: &str,
    more: &[&str],
) -> (Vec<Value>, bool) {
    let args = [&["cat", snapshot, "--operator", operator, "--state", state][..], more].concat();
    let run = run_in(&fixture.dir, &args);
    let lines = run.stdout.lines().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {args:?}: {e}: {line}", fixture.name))
    });
    let gaps = run.code == 5 && run.stderr.contains("are not read");
    assert!(run.code == 0 || gaps, "{}: {args:?}: {}", fixture.name, run.stderr);
    (lines.collect(), gaps)
}

/// The newest snapshots of fixtures of all kinds.
fn some() -> impl Iterator<Item = (&'static Fixture, String)> {
    let names = [
        "inc-1.20",
        "inc-2.3",
        "inc-1.13",
        "full-rocksdb-1.13",
        "hashmap-2.3",
        "savepoint-canonical-2.3",
        "savepoint-canonical-hashmap-1.20",
        "savepoint-native-1.20",
        "forst-async-2.3",
        "heap-timers-1.20",
        "file-merging-2.3",
        "rescaled-1.20",
        "maxpar-512-2.3",
        "odd-1.20",
        "sql-1.20",
    ];
    names.into_iter().map(|name| (fixture(name), fixture(name).newest()))
}

#[test]
fn each_entry_that_analyze_counts_is_a_line() {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for (fixture, snapshot) in some() {
        let analysis = run_in(&fixture.dir, &["analyze", &snapshot, "-o", "json", "--rows", "0"]).json();
        for state in list(&analysis["states"]) {
            let (operator, name, kind) =
                (text(&state["operator_id"]), text(&state["name"]), text(&state["kind"]));
            let Some(entries) = state["live"]["entries"].as_u64() else { continue };
            let lines = lines(fixture, &snapshot, operator, name, &[]);
            assert_eq!(lines.len() as u64, entries, "{}: {operator} {name}", fixture.name);
            for line in &lines {
                assert!(line["key_group"].is_u64() && line["subtask"].is_u64(), "{line}");
                assert_eq!(line.get("user_key").is_some(), kind == "map", "{line}");
                assert_eq!(line.get("index").is_some(), kind == "list", "{line}");
                assert_eq!(line.get("timestamp_ms").is_some(), kind == "timers", "{line}");
                assert_eq!(line.get("value").is_some(), kind != "timers", "{line}");
            }
            *kinds.entry(kind.to_owned()).or_default() += entries;
        }
    }
    for kind in ["value", "list", "map", "reducing", "aggregating", "timers"] {
        assert!(kinds.get(kind).is_some_and(|entries| *entries > 100), "{kinds:?}");
    }
}

/// Whether a value is what the job says that it is. The job tells tuples and rows as arrays, maps as objects or pairs, and
/// objects of Kryo and `Either` as Java's `toString` does.
fn same(ours: &Value, truth: &Value) -> bool {
    match (ours, truth) {
        (Value::Object(fields), _) if fields.contains_key("$opaque") => {
            let why = fields["why"].as_str().unwrap_or_default();
            why.contains("subclass that the snapshot does not list")
                || truth.as_str().is_some_and(|truth| truth.starts_with("Kryo"))
        }
        (Value::Object(fields), Value::String(truth)) => match fields.iter().next() {
            Some((side, value)) if fields.len() == 1 => {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                *truth.to_lowercase() == format!("{side}({})", value.to_lowercase())
            }
            _ => false,
        },
        (Value::Object(fields), Value::Array(items)) => {
            fields.len() == items.len() && fields.values().zip(items).all(|(ours, truth)| same(ours, truth))
        }
        (Value::Object(fields), Value::Object(truth)) => {
            // What follows Kryo's bytes in a value cannot be decoded.
            let is_whole = !ours.to_string().contains("\"$opaque\"");
            let own = fields.iter().filter(|(name, _)| !name.starts_with('$'));
            let own: BTreeMap<_, _> = own.collect();
            own.iter().all(|(name, ours)| truth.get(*name).is_some_and(|truth| same(ours, truth)))
                && (own.len() == truth.len() || !is_whole)
        }
        (Value::Array(entries), Value::Object(truth)) => {
            let entry = |entry: &Value| {
                let truth = entry["key"].as_str().and_then(|key| truth.get(key));
                truth.is_some_and(|truth| same(&entry["value"], truth))
            };
            entries.len() == truth.len() && entries.iter().all(entry)
        }
        (Value::Array(ours), Value::Array(truth)) => {
            // Sets have no order. Of objects of Kryo, all that follow the first are one with it.
            let is_opaque = ours.iter().any(|value| value.to_string().contains("\"$opaque\""));
            let found = |ours: &Value| truth.iter().any(|truth| same(ours, truth));
            (ours.len() == truth.len() || is_opaque) && ours.iter().all(found)
        }
        (Value::String(hex), Value::Array(bytes)) => {
            let bytes = bytes.iter().map(|byte| format!("{:02x}", byte.as_i64().unwrap() as u8));
            *hex == bytes.collect::<String>()
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => ours == truth,
    }
}

#[test]
fn values_are_those_that_the_job_put_in() {
    let (mut compared, mut backends) = (0u32, 0u32);
    for fixture in fixtures() {
        let (path, truth) = fixture.truths().pop().unwrap();
        if fixture.name.starts_with("prune-") || fixture.name.starts_with("ha-") {
            continue;
        }
        let before = compared;
        for operator in list(&truth["operators"]) {
            for state in list(&operator["keyed_states"]) {
                let samples = state["sample"].as_array().map_or(&[][..], Vec::as_slice);
                let (id, name) = (text(&operator["id"]), text(&state["name"]));
                if samples.is_empty() || fixture.name == "finished-1.20" {
                    continue;
                }
                // In streams of the heap, what cannot be walked has no end.
                let (lines, gaps) = lines_and_gaps(fixture, &path, id, name, &[]);
                assert!(!gaps || fixture.name.contains("hashmap"), "{}: {name}", fixture.name);
                for sample in samples {
                    let what = || format!("{}: {id} {name}: {sample}", fixture.name);
                    let mine: Vec<&Value> =
                        lines.iter().filter(|line| same(&line["key"], &sample["key"])).collect();
                    // A key of Kryo's may be any of these.
                    let is_opaque_key = mine.iter().any(|line| line["key"].get("$opaque").is_some());
                    if is_opaque_key {
                        continue;
                    }
                    if mine.is_empty() && gaps {
                        continue;
                    }
                    compared += 1;
                    if let Some(truth) = sample.get("value") {
                        assert_eq!(mine.len(), 1, "{}", what());
                        assert!(same(&mine[0]["value"], truth), "{} is {}", what(), mine[0]);
                    }
                    for (at, truth) in sample.get("list").map(list).into_iter().flatten().enumerate() {
                        let Some(element) = mine.get(at) else {
                            assert!(
                                mine.iter().any(|line| line["value"].to_string().contains("$opaque")),
                                "{}",
                                what()
                            );
                            break;
                        };
                        assert_eq!(number(&element["index"]), at as u64);
                        assert!(same(&element["value"], truth), "{} is {element}", what());
                    }
                    for pair in sample.get("map").map(list).into_iter().flatten() {
                        let found = mine.iter().find(|line| same(&line["user_key"], &pair[0]));
                        let Some(found) = found else {
                            assert!(gaps, "{}: {pair}", what());
                            continue;
                        };
                        assert!(same(&found["value"], &pair[1]), "{} is {found}", what());
                    }
                    if let Some(size) = sample.get("map_size") {
                        assert!(gaps || mine.len() as u64 == number(size), "{}", what());
                    }
                }
            }
        }
        backends += u32::from(compared > before);
    }
    assert!(compared > 500 && backends > 15, "{compared} of {backends}");
}

#[test]
fn lines_do_not_depend_on_threads_and_limits_cut_them() {
    for (name, operator, state) in [
        ("inc-1.20", "ea08", "m_string_long_ttl"),
        ("hashmap-2.3", "ea08", "l_long"),
        ("inc-2.3", "dad0", "window-contents"),
    ] {
        let fixture = fixture(name);
        let newest = fixture.newest();
        let args = ["cat", &newest, "--operator", operator, "--state", state];
        let all = run_in(&fixture.dir, &[&args[..], &["--threads", "1"]].concat()).stdout;
        assert!(all.lines().count() > 20);
        for threads in ["2", "7"] {
            assert_eq!(run_in(&fixture.dir, &[&args[..], &["--threads", threads]].concat()).stdout, all);
        }
        for limit in [0, 1, 7, 1_000_000] {
            let some = run_in(&fixture.dir, &[&args[..], &["--limit", &limit.to_string()]].concat());
            let expected: String = all.split_inclusive('\n').take(limit).collect();
            assert_eq!((some.code, some.stdout), (0, expected), "{name} {limit}");
        }
    }
}

#[test]
fn filters_leave_what_they_hold_for() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let cat = |operator: &str, state: &str, more: &[&str]| lines(fixture, &newest, operator, state, more);
    let all = cat("ea08", "v_order", &[]);
    let large = cat("ea08", "v_order", &["--where", "value.amount > 300 and value.address.zip != null"]);
    let expected: Vec<_> = all
        .iter()
        .filter(|line| {
            let value = &line["value"];
            value["amount"].as_f64().is_some_and(|amount| amount > 300.0)
        })
        .collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert!(large.iter().all(|line| expected.contains(&line)), "{large:?}");
    let amount = cat("ea08", "v_order", &["--where", "value.amount > 300"]);
    assert_eq!(amount.iter().collect::<Vec<_>>(), expected);
    let keys = [text(&all[0]["key"]), text(&all[1]["key"])];
    let by_key =
        cat("ea08", "v_order", &["--where", &format!("key = '{}' or key = \"{}\"", keys[0], keys[1])]);
    assert_eq!(by_key, all[..2]);
    let key_group = by_key[0]["key_group"].to_string();
    let group = cat("ea08", "v_order", &["--key-group", &key_group]);
    assert!(group.contains(&by_key[0]) && group.len() < all.len());
    assert!(group.iter().all(|line| line["key_group"] == by_key[0]["key_group"]));
    // A string is its length plus one, and its characters.
    let ascii = all.iter().find(|line| text(&line["key"]).is_ascii()).unwrap();
    let key = text(&ascii["key"]);
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    let one = cat("ea08", "v_order", &["--key-hex", &format!("{:02x}{hex}", key.len() + 1)]);
    assert_eq!(one, std::slice::from_ref(ascii));
    // Windows are namespaces.
    let windows = cat("dad0", "window-contents", &["--where", "namespace.start >= 1700000400000"]);
    assert!(windows.iter().all(|line| line["namespace"]["start"].as_i64().unwrap() >= 1_700_000_400_000));
    // What is old enough.
    let aged = cat("ea08", "v_string_ttl", &[]);
    let newest_ms = aged.iter().map(|line| line["ttl_timestamp_ms"].as_i64().unwrap()).max().unwrap();
    let expired =
        |at: i64| cat("ea08", "v_string_ttl", &["--expired-at", &at.to_string(), "--ttl", "1h"]).len();
    assert_eq!(expired(newest_ms + 3_600_000), aged.len());
    assert!(expired(newest_ms + 3_599_999) < aged.len());
    assert_eq!(expired(0), 0);
}

#[test]
fn changes_that_are_not_applied_are_told() {
    let fixture = fixture("changelog-1.20");
    let copy = fixture.copy();
    fs::remove_dir_all(copy.path("data/dstl")).unwrap();
    let run = copy.run(&["cat", &fixture.newest(), "--state", "v_long"]);
    assert!(run.code == 5 && run.stderr.contains("sets of changes that are not applied: 1"), "{run:?}");
    assert!(run.stdout.lines().count() > 10);
}

#[test]
fn changes_of_a_changelog_are_applied_whatever_is_asked_for() {
    let fixture = fixture("changelog-1.20");
    let newest = fixture.newest();
    let cat = |more: &[&str]| {
        let args = [&["cat", &newest, "--operator", "ea08"][..], more].concat();
        let run = run_in(&fixture.dir, &args);
        assert!(run.code == 0, "{more:?}: {run:?}");
        run.stdout
    };
    for state in ["v_long", "l_long", "m_string_long_ttl", "_timer_state/event_user-timers"] {
        let all = cat(&["--state", state]);
        assert!(all.lines().count() > 40, "{state}");
        for more in [&["--threads", "1"][..], &["--threads", "5", "--memory", "1M"]] {
            assert_eq!(cat(&[&["--state", state][..], more].concat()), all, "{state}: {more:?}");
        }
        // One key group, and one key.
        let line: Value = serde_json::from_str(all.lines().nth(7).unwrap()).unwrap();
        for (option, value) in
            [("--key-group", line["key_group"].to_string()), ("--key", line["key"].to_string())]
        {
            let field = if option == "--key" { "key" } else { "key_group" };
            let is_it = |other: &&str| serde_json::from_str::<Value>(other).unwrap()[field] == line[field];
            let expected: Vec<&str> = all.lines().filter(is_it).collect();
            let some = cat(&["--state", state, option, &value]);
            assert_eq!(some.lines().collect::<Vec<_>>(), expected, "{state} {option} {value}");
        }
    }
}

#[test]
fn wrong_usage_is_one_line() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    for (args, code, says) in [
        (&["--state", "nope"][..], 2, "there is no such state; the states are: "),
        (&["--state", "window-contents"], 2, "several operators have such a state"),
        (&["--state", "v_long", "--where", "value >"], 2, "--where: "),
        (&["--state", "v_long", "--key-group", "128"], 2, "128 key groups"),
        (&["--state", "v_long", "--key-hex", "abc"], 2, "two hex digits"),
        (&["--state", "split-list"], 2, "not keyed"),
        (&[], 2, "--state"),
    ] {
        let run = run_in(&fixture.dir, &[&["cat", &newest][..], args].concat());
        assert!(run.code == code && run.stderr.contains(says) && run.stdout.is_empty(), "{args:?}: {run:#?}");
    }
}

#[test]
fn a_key_is_found_by_what_is_printed_of_it() {
    let mut found = BTreeMap::new();
    for (fixture, snapshot) in some() {
        let analysis = run_in(&fixture.dir, &["analyze", &snapshot, "-o", "json", "--rows", "0"]).json();
        let mut kinds = BTreeMap::new();
        for state in list(&analysis["states"]) {
            let (operator, name) = (text(&state["operator_id"]), text(&state["name"]));
            // One state of each kind for each type of keys.
            if kinds.insert((operator, text(&state["kind"])), ()).is_some()
                || state["live"]["entries"].is_null()
            {
                continue;
            }
            let all = lines(fixture, &snapshot, operator, name, &[]);
            for line in [all.first(), all.get(all.len() / 2)].into_iter().flatten() {
                let key = line["key"].to_string();
                if key.contains("$opaque") {
                    continue;
                }
                let args = ["--state", name, "--operator", operator, "--key", &key];
                let run = run_in(&fixture.dir, &[&["cat", &snapshot][..], &args].concat());
                let what = format!("{}: {args:?}: {}", fixture.name, run.stderr);
                // What has no encoding of its own is told.
                if run.code == 2 {
                    assert!(run.stderr.contains("--key-hex"), "{what}");
                    continue;
                }
                let lines: Vec<Value> =
                    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                let expected: Vec<_> =
                    all.iter().filter(|other| other["key"] == line["key"]).cloned().collect();
                assert_eq!(lines, expected, "{what}");
                *found.entry(run.stderr.contains("all were tried")).or_insert(0) += 1;
            }
        }
    }
    assert!(found.get(&false).is_some_and(|found| *found > 100) && found.contains_key(&true), "{found:?}");
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let cat = |key: &str| lines(fixture, &newest, "ea08", "v_order", &["--key", key]);
    // Quotes may be left out.
    assert_eq!(cat("user-1"), cat("\"user-1\""));
    assert_eq!(cat("nobody"), Vec::<Value>::new());
    let wrong =
        run_in(&fixture.dir, &["cat", &newest, "--operator", "441d", "--state", "l_long", "--key", "nobody"]);
    assert!(wrong.code == 2 && wrong.stderr.starts_with("statescope: --key: "), "{wrong:?}");
}

/// How many runs of tables may hold a key of a key group, and whether an index of theirs is partitioned.
fn runs_of(fixture: &Fixture, snapshot: &str, operator: &str, state: &str, line: &Value) -> (u64, bool) {
    let storage = LocalStorage::new();
    let file = match discover(&storage, &fixture.at(snapshot), InFlight::default()).unwrap() {
        Target::Snapshot(file) => file,
        other => panic!("{other:?}"),
    };
    let reading = read_snapshot(&storage, &file, &Ask::properties().options()).unwrap();
    let (group, subtask) = (number(&line["key_group"]), number(&line["subtask"]));
    let (mut level_0, mut levels, mut is_partitioned) = (0, BTreeSet::new(), false);
    for keyed in &reading.details.keyed {
        let is_of_operator = reading.snapshot.operators[keyed.operator].id.to_string() == operator;
        let Some(database) = &keyed.database else { continue };
        if !is_of_operator || u64::from(keyed.subtask) != subtask {
            continue;
        }
        let family = database.column_families.iter().position(|name| name == state).unwrap();
        for table in database.tables.iter().filter(|table| table.column_family == family) {
            let (first, last) = table.key_groups.unwrap();
            if (u64::from(first)..=u64::from(last)).contains(&group) {
                match table.level {
                    0 => level_0 += 1,
                    level => drop(levels.insert(level)),
                }
                let properties = table.tail.as_ref().and_then(|tail| tail.properties.as_ref()).unwrap();
                is_partitioned |= properties.index_type == Some(IndexType::TwoLevelIndexSearch);
            }
        }
    }
    (level_0 + levels.len() as u64, is_partitioned)
}

#[test]
fn a_key_costs_a_few_requests() {
    let (mut asked, mut partitioned, mut skipped) = (0, 0, 0);
    for name in ["inc-1.20", "levels-2.3", "lz4-bloom-1.20", "zstd-partitioned-2.3", "forst-2.3"] {
        let fixture = fixture(name);
        let snapshot = fixture.newest();
        let server = ObjectServer::start(Behaviour::default());
        server.put_directory(&fixture.dir.join("data"), "data/");
        let at = format!("s3://{BUCKET}/{snapshot}");
        let analysis =
            run_in(&fixture.dir, &["analyze", &snapshot, "-o", "json", "--rows", "0", "--depth", "index"]);
        let analysis = analysis.json();
        for state in list(&analysis["states"]) {
            let (operator, state, kind) =
                (text(&state["operator_id"]), text(&state["name"]), text(&state["kind"]));
            let all = lines(fixture, &snapshot, operator, state, &["--limit", "200"]);
            let Some(line) = all.last().filter(|line| {
                ["value", "list", "reducing", "aggregating"].contains(&kind)
                    && line.get("namespace").is_none()
                    && !line["key"].to_string().contains("$opaque")
            }) else {
                continue;
            };
            let (runs, is_partitioned) = runs_of(fixture, &snapshot, operator, state, line);
            let key = line["key"].to_string();
            let cat = |key: &str| {
                let before = server.requests();
                let args = ["cat", &at, "--operator", operator, "--state", state, "--key", key];
                let remote = ["--anonymous", "--endpoint", server.endpoint(), "--memory", "1M"];
                let run = run_in(&fixture.dir, &[&args[..], &remote].concat());
                (run, server.requests() - before)
            };
            let (run, requests) = cat(&key);
            if run.stderr.contains("--key-hex") || run.stderr.contains("all were tried") {
                continue;
            }
            let what = format!("{name} {operator} {state} {key}: {runs} runs, {}", run.stderr);
            assert_eq!(run.code, 0, "{what}");
            let found: Vec<Value> =
                run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let is_key = |other: &&Value| other["key"] == line["key"];
            assert_eq!(
                found.len(),
                lines(fixture, &snapshot, operator, state, &[]).iter().filter(is_key).count(),
                "{what}"
            );
            // Each run that holds it may cost a read of its data.
            let most = 5 + runs * (3 + 1 + 2 * u64::from(is_partitioned));
            assert!(requests <= most, "{what}: {requests} of {most}");
            asked += 1;
            partitioned += u64::from(is_partitioned);
            skipped += u64::from(requests < most);
        }
    }
    assert!(asked > 20 && partitioned > 3 && skipped > 3, "{asked} {partitioned} {skipped}");
}

/// What a key's lookup costs where no table's end is kept: requests for tails, for filters, and for the rest; and how many lines
/// there are, and tables.
fn lookup(fixture: &Fixture, state: &str, key: &str) -> ([usize; 3], u64, usize) {
    let at = fixture.recorded(&fixture.newest());
    let storage = Metered::with_log(fixture.in_memory(|path| fixture.recorded(path)));
    let file = match discover(&storage, &at, InFlight::default()).unwrap() {
        Target::Snapshot(file) => file,
        other => panic!("{other:?}"),
    };
    let mut open = open_snapshot(&storage, &file, &Ask::default().options()).unwrap();
    let operator =
        open.snapshot.operators.iter().position(|it| it.id.to_string().starts_with("ea08")).unwrap();
    let lookup = KeyLookup::of_text(key, operator, state, &open.snapshot, &open.details).unwrap();
    assert!(lookup.is_exact && lookup.otherwise.is_empty() && lookup.ranges.len() == 1, "{lookup:?}");
    narrow(&mut open.details, operator, &lookup.ranges);
    let count = || storage.meter().take_log().len();
    count();
    let select = |index: usize, name: &str| index == operator && name == state;
    open.read_ends_of(0, &select);
    let tails = count();
    let SnapshotReading { snapshot, details, tables, .. } = open.into_reading();
    let settings = Settings::new(ReferenceTime { at_ms: 0, witness: Witness::Clock });
    let input = Input { snapshot: &snapshot, details: &details, tables: &tables, settings: &settings };
    let mut scan = Scan::plan(input, &select);
    scan.clip(&lookup.ranges);
    let options = ScanOptions { threads: 1, memory: 1 << 20, requests: 4, checksums: true };
    scan.skip_absent(&storage, options);
    let filters = count();
    let plan = |keyed| EntryPlan::compile(&snapshot.operators[operator], keyed, state, &snapshot);
    let plans = details.keyed.iter().enumerate().filter(|(_, keyed)| keyed.operator == operator);
    let plans = plans.map(|(handle, keyed)| (handle, plan(keyed))).collect();
    let question = EntryQuestion { keys: lookup.keys.clone(), ..EntryQuestion::default() };
    let ask = EntryAsk { plans: &plans, question: &question, most: u64::MAX };
    let spill = || -> Box<dyn Spill> { unreachable!("nothing is sorted") };
    let printed = scan.entries(&storage, options, &Progress::default(), &spill, ask, &mut |_| true);
    assert_eq!(printed.damage, Vec::<String>::new());
    ([tails, filters, count()], printed.counts.entries, tables.len())
}

#[test]
fn filters_of_tables_spare_their_data() {
    for (name, of_filter) in [("lz4-bloom-1.20", 1), ("zstd-partitioned-2.3", 2)] {
        let fixture = fixture(name);
        let all = lines(fixture, &fixture.newest(), "ea08", "v_long", &[]);
        for line in all.iter().step_by(all.len() / 20) {
            let ([tails, filters, data], entries, tables) =
                lookup(fixture, "v_long", &line["key"].to_string());
            assert_eq!((entries, tails), (1, tables), "{name} {line}");
            assert_eq!(filters, tables * of_filter, "{name} {line}");
            // An index, of a partitioned one a part too, and a block.
            assert!((1 + of_filter..=tables * (1 + of_filter)).contains(&data), "{name} {line}: {data}");
        }
        let mut read = 0;
        for absent in 0..200 {
            let ([.., data], entries, _) = lookup(fixture, "v_long", &format!("\"nobody-{absent}\""));
            assert_eq!(entries, 0);
            read += usize::from(data > 0);
        }
        assert!(read <= 12, "{name}: {read} of 200 keys that are not there had tables read");
    }
}
