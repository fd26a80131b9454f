//! `analyze --depth`: what each depth reads, to the request, and that what it says agrees with what reading all says.

use std::collections::BTreeMap;

use serde_json::Value;
use statescope::analyzers::analysis::{
    Analysis, AnalysisPartial, Context, Depth, Estimate, Shallow, Subjects, finish,
};
use statescope::analyzers::overview::{self, overview};
use statescope::readers::discover;
use statescope::readers::snapshot::{OpenSnapshot, open_snapshot};
use statescope::scan::{Progress, SampleOptions, Sampled, Sampler, file_groups, sst_bytes, survey};
use statescope::storage::{LocalStorage, Location, Metered, Op, RequestRecord, Storage};

use super::analyze::{analysis, method};
use super::scan::{read, settings};
use super::support::{Ask, Fixture, fixture, fixtures, run_in, text};

fn open<'s>(storage: &'s dyn Storage, at: &Location) -> OpenSnapshot<'s> {
    let file = discover::read_metadata(storage, at).unwrap();
    open_snapshot(storage, &file, &Ask::default().options()).unwrap()
}

fn result(open: &OpenSnapshot<'_>, depth: Depth, partial: AnalysisPartial, shallow: Shallow) -> Analysis {
    let OpenSnapshot { snapshot, details, .. } = open;
    let context = Context {
        overview: overview(snapshot.clone(), details.clone(), Vec::new(), overview::Context::default()),
        subjects: Subjects::new(snapshot, details),
        method: method(depth, 10),
        settings: settings(),
        shallow,
        findings: Vec::new(),
    };
    finish(partial, context)
}

/// What the end of each table says, and what was asked for.
pub fn index(fixture: &Fixture, path: &str) -> (Analysis, Vec<RequestRecord>) {
    let at = fixture.recorded(path);
    let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
    let mut open = open(&storage, &at);
    let found = survey(&mut open, &|_, _| true, true, 64 << 20, &Progress::default()).unwrap();
    assert_eq!(found.findings, [], "{}/{path}", fixture.name);
    let shallow = Shallow { disk_groups: found.groups, ..Shallow::default() };
    (result(&open, Depth::Index, found.analysis, shallow), storage.meter().take_log())
}

fn sampled(
    storage: &dyn Storage,
    at: &Location,
    seed: u64,
    budget: u64,
    readers: usize,
) -> (Sampled, Analysis) {
    let mut open = open(storage, at);
    let options = SampleOptions { seed, budget, checksums: true, readers };
    let select = |_: usize, _: &str| true;
    let mut found = Sampler::new(&mut open, storage, &select)
        .sample(&settings(), &options, &Progress::default())
        .unwrap();
    let shallow = Shallow { samples: std::mem::take(&mut found.samples), ..Shallow::default() };
    let analysis = result(&open, Depth::Sample, AnalysisPartial::default(), shallow);
    (found, analysis)
}

fn of_tables(log: &[RequestRecord]) -> BTreeMap<String, u64> {
    let mut requests = BTreeMap::new();
    for record in log.iter().filter(|record| record.op == Op::Suffix) {
        *requests.entry(record.location.to_string()).or_default() += 1;
    }
    let ends: Vec<&RequestRecord> = log.iter().filter(|record| record.op == Op::Range).collect();
    for record in ends {
        if let Some(count) = requests.get_mut(&record.location.to_string()) {
            *count += 1;
        }
    }
    requests
}

#[test]
fn the_manifest_alone_asks_for_no_table_and_its_sums_are_those_of_files() {
    let mut tables = 0;
    for fixture in fixtures() {
        for path in fixture.snapshots() {
            let at = fixture.recorded(&path);
            let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
            let open = open(&storage, &at);
            let select = |_: usize, _: &str| true;
            let groups = file_groups(&open.details, &select);
            let all = sst_bytes(&open.details, &select);
            let shallow = Shallow { disk_groups: groups, ..Shallow::default() };
            let analysis = result(&open, Depth::Manifest, AnalysisPartial::default(), shallow);
            let label = format!("{}/{path}", fixture.name);
            assert_eq!(of_tables(&storage.meter().take_log()), BTreeMap::new(), "{label}");
            assert_eq!(analysis.totals.sst.bytes, all, "{label}");
            assert!(analysis.totals.live.is_none() && analysis.totals.disk.is_none(), "{label}");
            for state in &analysis.states {
                let levels: u64 = state.levels.iter().map(|level| level.sst.bytes).sum();
                assert_eq!(levels, state.sst.unwrap().bytes, "{label}: {}", state.name);
                let Some(groups) = &state.disk_by_key_group else { continue };
                let sum: u64 = groups.key_groups.iter().map(|group| group.bytes).sum();
                assert_eq!(sum, state.sst.unwrap().bytes, "{label}: {}", state.name);
                assert!(groups.key_groups.iter().all(|g| g.at_least <= g.bytes && g.bytes <= g.at_most));
                tables += state.sst.unwrap().files;
            }
        }
    }
    assert!(tables > 300, "{tables}");
}

#[test]
fn the_index_costs_two_requests_for_each_table_and_agrees_with_reading_all() {
    let (mut states, mut asked) = (0, 0);
    for fixture in fixtures() {
        for path in fixture.snapshots() {
            let (index, log) = index(fixture, &path);
            let requests = of_tables(&log);
            asked += requests.len();
            let label = format!("{}/{path}", fixture.name);
            assert!(requests.values().all(|count| *count <= 2), "{label}: {requests:?}");

            let full = full(fixture, &path);
            let in_tables = full.states.iter().filter(|state| state.sst.is_some()).count();
            assert_eq!(index.states.len(), in_tables, "{label}");
            for ours in &index.states {
                let whole =
                    full.states.iter().find(|s| s.operator_id == ours.operator_id && s.name == ours.name);
                let (theirs, what) = (whole.unwrap(), format!("{label}: {}", ours.name));
                let (Some(a), Some(b)) = (&ours.physical, &theirs.physical) else { panic!("{what}") };
                assert_eq!(
                    (a.files, a.range_deletes, a.stored_bytes),
                    (b.files, b.range_deletes, b.stored_bytes),
                    "{what}"
                );
                assert_eq!(a.entries, b.entries + b.clipped.unwrap(), "{what}");
                if b.clipped == Some(0) && b.stored_bytes > 0 {
                    // Shares of the index are rounded down where blocks are read.
                    let (index, full) = (ours.disk.unwrap().bytes, theirs.disk.unwrap().bytes);
                    assert!(full <= index && index - full <= 2 * a.files, "{what}: {index} and {full}");
                    let counted = |p: &statescope::analyzers::analysis::Physical| {
                        (p.tombstones, p.merges, p.data_blocks)
                    };
                    assert_eq!(counted(a), counted(b), "{what}");
                    if b.range_deletes == 0 {
                        assert_eq!((a.key_bytes, a.value_bytes), (b.key_bytes, b.value_bytes), "{what}");
                    }
                }
                let unknown = [a.puts, a.shadowed, a.clipped, a.live_raw_bytes, a.uncompressed_bytes];
                assert_eq!(unknown, [None; 5], "{what}");
                assert!(ours.live.is_none() && ours.keys.is_none() && ours.skew.is_none(), "{what}");
                let groups = ours.disk_by_key_group.iter().flat_map(|groups| &groups.key_groups);
                assert_eq!(groups.map(|group| group.bytes).sum::<u64>(), a.stored_bytes, "{what}");
                states += 1;
            }
        }
    }
    assert!(states > 500 && asked > 500, "{states} {asked}");
}

fn full(fixture: &Fixture, path: &str) -> Analysis {
    analysis(&read(&LocalStorage::new(), &fixture.at(path)), settings())
}

/// What a sample that could afford it says is exact.
#[test]
fn small_states_are_sampled_whole_and_agree_with_reading_all() {
    let mut states = 0;
    for fixture in fixtures() {
        let path = fixture.newest();
        let at = fixture.recorded(&path);
        let storage = fixture.in_memory(|p| fixture.recorded(p));
        let (found, sample) = sampled(&storage, &at, 1, 1 << 30, 4);
        assert_eq!(found.findings, [], "{}", fixture.name);
        if fixture.truth()["settings"]["state.backend.changelog.enabled"] == "true" {
            // Only reading all applies the changes of a changelog.
            continue;
        }
        let full = full(fixture, &path);
        for ours in sample.states.iter().filter(|state| state.sst.is_some_and(|sst| sst.files > 0)) {
            let whole = full.states.iter().find(|s| s.operator_id == ours.operator_id && s.name == ours.name);
            let (theirs, what) = (whole.unwrap(), format!("{}: {}", fixture.name, ours.name));
            let estimates = ours.estimates.as_ref().unwrap_or_else(|| panic!("{what}"));
            assert!(estimates.whole, "{what}");
            let exact = |estimate: &Estimate, truth: f64, figure: &str| {
                let Estimate { value, low, high } = *estimate;
                assert!(low == value && value == high, "{what}: {figure}: {estimate:?}");
                assert!(
                    (value - truth).abs() <= 2e-6 * truth.max(1.0),
                    "{what}: {figure}: {value} and {truth}"
                );
            };
            let (live, physical) = (theirs.live.unwrap(), theirs.physical.unwrap());
            let number = |n: u64| n as f64;
            exact(&estimates.rows, number(live.rows), "rows");
            exact(&estimates.entries, number(live.entries), "entries");
            exact(&estimates.bytes, number(live.bytes), "bytes");
            let stored = number(physical.stored_bytes.max(1));
            exact(&estimates.live_share, number(physical.live_stored_bytes.unwrap()) / stored, "live");
            let entries = number((physical.entries - physical.range_deletes).max(1));
            exact(&estimates.tombstone_share, number(physical.tombstones) / entries, "tombstones");
            let hidden = physical.shadowed.unwrap() + physical.deleted.unwrap();
            exact(&estimates.hidden_share, number(hidden) / entries, "hidden");
            let touched = number(theirs.kryo.touched_bytes.unwrap()) / number(live.bytes.max(1));
            if let Some(kryo) = &estimates.kryo_share {
                exact(kryo, touched, "kryo");
            }
            states += 1;
        }
    }
    assert!(states > 250, "{states}");
}

#[test]
fn a_sample_reads_no_more_than_it_may_and_depends_on_its_seed_alone() {
    let fixture = fixture("inc-2.3");
    let at = fixture.recorded(&fixture.newest());
    let (mut seen, mut some) = (Vec::new(), 0);
    for budget in [0, 10_000, 60_000, 120_000, 250_000] {
        for seed in [1, 2] {
            let mut run = |readers: usize| {
                let storage = Metered::with_log(fixture.in_memory(|p| fixture.recorded(p)));
                let before = {
                    let _ = open(&storage, &at);
                    storage.meter().counts().bytes
                };
                let (found, analysis) = sampled(&storage, &at, seed, budget, readers);
                // The small files were read twice: once to know what they cost.
                let spent = storage.meter().counts().bytes - 2 * before;
                assert!(
                    spent <= budget && spent <= found.read_bytes,
                    "{budget}: {spent}, {}",
                    found.read_bytes
                );
                some += found.ranges;
                serde_json::to_string(&(&analysis.states, &analysis.totals)).unwrap()
            };
            let one = run(1);
            assert!(one == run(7), "seed {seed}, {budget} bytes");
            seen.push(one);
        }
    }
    assert!(some > 0);
    // Of too little nothing is known, and it is not said to be nothing.
    let first: Value = serde_json::from_str(&seen[0]).unwrap();
    let share = &first[0][0]["estimates"]["live_share"];
    assert_eq!((&share["low"], &share["high"]), (&0.0.into(), &1.0.into()), "{share}");
}

/// Whatever tables look like, such as with an index in partitions.
#[test]
fn no_budget_is_overdrawn() {
    let mut seen = 0;
    for fixture in fixtures() {
        let at = fixture.recorded(&fixture.newest());
        let small = {
            let storage = Metered::new(fixture.in_memory(|p| fixture.recorded(p)));
            let _ = open(&storage, &at);
            storage.meter().counts().bytes
        };
        for budget in [20_000, 100_000, 300_000] {
            let storage = Metered::new(fixture.in_memory(|p| fixture.recorded(p)));
            let mut open = open(&storage, &at);
            let options = SampleOptions { seed: 3, budget, checksums: true, readers: 2 };
            let mut sampler = Sampler::new(&mut open, &storage, &|_, _| true);
            sampler.newest_seconds(budget);
            let found = sampler.sample(&settings(), &options, &Progress::default()).unwrap();
            let spent = storage.meter().counts().bytes - small;
            assert!(spent <= budget, "{}: {spent} of {budget} bytes", fixture.name);
            assert!(spent <= found.read_bytes, "{}: {spent} and {}", fixture.name, found.read_bytes);
            seen += found.ranges;
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn depths_are_asked_for_and_told() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let run = |args: &[&str]| run_in(&fixture.dir, &[&["analyze", &newest][..], args].concat());
    for (depth, more) in [("manifest", 3), ("index", 2), ("sample", 1), ("full", 0)] {
        let json = run(&["--depth", depth, "-o", "json"]).json();
        let method = &json["method"];
        assert_eq!((text(&method["depth"]), text(&method["depth_reason"])), (depth, "asked"));
        assert_eq!(method["more"].as_array().unwrap().len(), more, "{method}");
        let not_read = method["not_read_bytes"].as_u64().unwrap();
        assert_eq!(not_read == 0, depth != "manifest", "{method}");
        let table = run(&["--depth", depth]).stdout;
        assert_eq!(table.contains("depth "), depth != "full", "{table}");
    }
    assert_eq!(run(&["-o", "json"]).json()["method"]["depth_reason"], "small_enough");
    let seeded = run(&["--depth", "sample", "--seed", "7", "--budget", "2MB", "-o", "json"]).json();
    assert_eq!(seeded["method"]["sampling"]["seed"], 7);
    for (args, message) in [
        (&["--budget", "2%"][..], "--budget goes with --depth sample only"),
        (&["--depth", "full", "--seed", "2"], "--seed goes with --depth sample only"),
        (&["--depth", "index", "--save", "x"], "--save goes with --depth full only"),
        (&["--depth", "sample", "--budget", "1%"], "--budget allows"),
        (&["--depth", "sample", "--budget", "2%", "--error", "1%"], "cannot be used with"),
        (&["--depth", "sample", "--budget", "2"], ""),
    ] {
        let failed = run(args);
        assert_eq!(failed.code, 2, "{args:?}: {failed:?}");
        assert!(failed.stderr.contains(message), "{args:?}: {}", failed.stderr);
    }
    // A sample that can afford it is as exact as is asked for.
    let exact = run(&["--depth", "sample", "--error", "0.1%", "-o", "json"]).json();
    let share = &exact["totals"]["estimates"]["live_share"];
    assert!(share["high"].as_f64().unwrap() - share["low"].as_f64().unwrap() <= 0.002, "{share}");
}

#[test]
fn a_table_that_is_damaged_is_told_at_every_depth() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let cut = |depth: &str| {
        let copy = fixture.copy();
        let json = copy.run(&["inspect", &newest, "-o", "json"]).json();
        let place = text(&json["states"][0]["subtasks"][0]["sst"][0]["place"]).to_owned();
        let file = super::support::files_below(&copy.path("data"))
            .into_iter()
            .find(|path| place.ends_with(path.rsplit('/').next().unwrap()))
            .unwrap();
        let path = copy.path("data").join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        copy.run(&["analyze", &newest, "--depth", depth, "-o", "json"])
    };
    for depth in ["index", "sample", "full"] {
        let run = cut(depth);
        assert_eq!(run.code, 5, "{depth}: {}", run.stderr);
        assert!(run.codes().iter().any(|code| code == "sst_size_differs"), "{depth}: {:?}", run.codes());
    }
    let run = cut("manifest");
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn a_ttl_is_estimated_too() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let at = "2100-01-01T00:00:00Z";
    let args = ["analyze", &newest, "--depth", "sample", "--ttl", "*=1h", "--at", at, "-o", "json"];
    let json = run_in(&fixture.dir, &args).json();
    let with_ttl = json["states"].as_array().unwrap().iter().filter(|state| state["ttl"]["covered"] == true);
    let mut count = 0;
    for state in with_ttl {
        let estimates = &state["estimates"];
        // Keys of lists and the delimiters in them are not expired themselves.
        let live = estimates["live_share"]["value"].as_f64().unwrap();
        assert!(live < 0.2, "{}: {estimates:#}", state["name"]);
        assert!(estimates["expired_share"]["value"].as_f64().unwrap() > 0.0, "{state}");
        assert_eq!(estimates["ttl_what_if"][0]["share"]["low"], 1.0, "{}: {estimates:#}", state["name"]);
        count += 1;
    }
    assert!(count > 0);
}
