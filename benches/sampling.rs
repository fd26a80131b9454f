//! Whether samples are honest: how often the true value of a figure lies in the interval that `analyze --depth sample`
//! states for it, over many seeds; and how wide the intervals are.
//!
//! `cargo bench --bench sampling -- SNAPSHOT [--seeds 200] [--budget 2]`; the budget is in percent. The snapshot is read whole
//! once, for the true values. Fails if intervals of 95 % hold less than 93 % of the true values, or less than 88 % for
//! any one figure. `--smoke` takes a small fixture and a few seeds, and asks for nothing.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use statescope::analyzers::analysis::{
    Analysis, AnalysisPartial, Context, Depth, DepthReason, Engine, Estimate, Estimates, Method,
    ReferenceTime, Settings, Shallow, Spill, StateAnalysis, Subjects, TtlArgument, Witness, finish,
};
use statescope::analyzers::overview::{self, overview};
use statescope::readers::discover::{self, MetadataFile, Target};
use statescope::readers::snapshot::{OpenSnapshot, ReadOptions, SnapshotReading, open_snapshot};
use statescope::scan::{Input, Progress, SampleOptions, Sampler, Scan, ScanOptions, ScanPartial, sst_bytes};
use statescope::storage::{InFlight, LocalStorage, Location, Metered};

/// A place for timers that do not fit, of which there are none here.
#[derive(Debug)]
struct NoSpill;

impl Spill for NoSpill {
    fn write_run(&mut self, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::Error::other("no place"))
    }

    fn take_runs(&mut self) -> std::io::Result<Vec<Box<dyn std::io::Read + Send>>> {
        Ok(Vec::new())
    }
}

fn file(path: &Path) -> MetadataFile {
    let location = Location::from_local_path(&std::path::absolute(path).expect("a path")).expect("a path");
    let storage = LocalStorage::new();
    match discover::discover(&storage, &location, InFlight::default()).expect("a snapshot") {
        Target::Snapshot(file) => file,
        Target::Job(job) => {
            let newest = job.newest_by_id().expect("a complete checkpoint").1;
            discover::read_metadata(&storage, &newest.location).expect("a checkpoint")
        }
        Target::Root(root) => panic!("{} holds no snapshot", root.location),
    }
}

fn context(open: &OpenSnapshot<'_>, settings: &Settings, depth: Depth, shallow: Shallow) -> Context {
    let OpenSnapshot { snapshot, details, .. } = open;
    let context = overview::Context { places: open.places(), ..overview::Context::default() };
    Context {
        overview: overview(snapshot.clone(), details.clone(), Vec::new(), context),
        subjects: Subjects::new(snapshot, details),
        method: Method {
            depth,
            depth_reason: DepthReason::Asked,
            sst_bytes: 0,
            stream_bytes: 0,
            not_read_bytes: 0,
            more: Vec::new(),
            sampling: None,
            engine: Engine::Native,
            checksums: true,
            top: settings.top,
        },
        settings: settings.clone(),
        shallow,
        findings: Vec::new(),
    }
}

fn full(file: &MetadataFile, settings: &Settings) -> Analysis {
    let storage = LocalStorage::new();
    let mut open = open_snapshot(&storage, file, &ReadOptions::default()).expect("a snapshot");
    open.read_tails();
    let context = context(&open, settings, Depth::Full, Shallow::default());
    let SnapshotReading { snapshot, details, tables, .. } = open.into_reading();
    let input = Input { snapshot: &snapshot, details: &details, tables: &tables, settings };
    let scan = Scan::plan(input, &|_, _| true);
    let options = ScanOptions { threads: 2, memory: 128 << 20, checksums: true, requests: 8 };
    let sum = Mutex::new(ScanPartial::default());
    let spill = || Box::new(NoSpill) as Box<_>;
    scan.analyze(&storage, options, &Progress::default(), &spill, &sum, &|_| {});
    finish(scan.finish(&sum.into_inner().expect("no panic")).analysis, context)
}

/// A sample, and how many bytes were read for it in all, of how many that were allowed.
fn sampled(file: &MetadataFile, settings: &Settings, share: f64, seed: u64) -> (Analysis, u64, u64) {
    let storage = Metered::new(LocalStorage::new());
    let mut open = open_snapshot(&storage, file, &ReadOptions::default()).expect("a snapshot");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let allowed = (sst_bytes(&open.details, &|_, _| true) as f64 * share) as u64;
    let small = storage.meter().counts().bytes + file.bytes.len() as u64;
    let options = SampleOptions { seed, budget: allowed.saturating_sub(small), checksums: true, readers: 2 };
    let found = Sampler::new(&mut open, &storage, &|_, _| true)
        .sample(settings, &options, &Progress::default())
        .expect("not stopped");
    let shallow = Shallow { samples: found.samples, ..Shallow::default() };
    let context = context(&open, settings, Depth::Sample, shallow);
    let read = storage.meter().counts().bytes + file.bytes.len() as u64;
    (finish(AnalysisPartial::default(), context), read, allowed)
}

#[derive(Debug, Default)]
struct Figure {
    held: u32,
    all: u32,
    width: f64,
}

type Figures = BTreeMap<String, Figure>;

fn count(figures: &mut Figures, name: String, truth: f64, estimate: &Estimate) {
    if estimate.low == estimate.high {
        // It was read whole: a different matter, which tests look at.
        return;
    }
    let figure = figures.entry(name).or_default();
    let rounding = truth.abs() * 1e-9 + 2e-6;
    figure.all += 1;
    figure.held += u32::from(estimate.low <= truth + rounding && truth <= estimate.high + rounding);
    figure.width += estimate.high - estimate.low;
}

#[allow(clippy::cast_precision_loss)]
fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// The figures of a state, or of all of them together.
#[allow(clippy::cast_precision_loss)]
fn compare(figures: &mut Figures, name: &str, truth: &Truth, estimates: &Estimates) {
    let mut check = |figure: &str, truth: f64, estimate: Option<&Estimate>| {
        if let Some(estimate) = estimate {
            count(figures, format!("{name}: {figure}"), truth, estimate);
        }
    };
    check("live", truth.disk[0], Some(&estimates.live_share));
    check("expired", truth.disk[1], estimates.expired_share.as_ref());
    check("dead", truth.disk[2], Some(&estimates.dead_share));
    check("tombstones", truth.tombstones, Some(&estimates.tombstone_share));
    check("hidden", truth.hidden, Some(&estimates.hidden_share));
    check("kryo", truth.kryo, estimates.kryo_share.as_ref());
    check("rows", truth.live[0] as f64, Some(&estimates.rows));
    check("entries", truth.live[1] as f64, Some(&estimates.entries));
    check("bytes", truth.live[2] as f64, Some(&estimates.bytes));
    for ttl in estimates.ttl_what_if.iter().flatten() {
        let truth = truth.ttl.get(&ttl.ttl_ms).copied().unwrap_or(0.0);
        check(&format!("older than {} h", ttl.ttl_ms / 3_600_000), truth, Some(&ttl.share));
    }
    for key in &estimates.top_keys {
        // Of those that are not among the largest it is known that they are smaller.
        let truth = truth.keys.get(&key.hex).copied().unwrap_or(truth.smallest_key);
        check("keys of more than 1 %", truth, Some(&key.share));
    }
}

#[derive(Debug, Default)]
struct Truth {
    disk: [f64; 3],
    tombstones: f64,
    hidden: f64,
    kryo: f64,
    live: [u64; 3],
    ttl: HashMap<u64, f64>,
    keys: HashMap<String, f64>,
    smallest_key: f64,
}

fn truth(state: &StateAnalysis) -> Truth {
    let (disk, live, physical) = (
        state.disk.expect("all is read"),
        state.live.expect("all is read"),
        state.physical.expect("all is read"),
    );
    let entries = physical.entries - physical.range_deletes;
    let keys = state.keys.as_ref().expect("all is read");
    let hidden = physical.shadowed.unwrap_or(0) + physical.deleted.unwrap_or(0);
    let what_if = state.ttl.ages.iter().flat_map(|ages| &ages.what_if);
    let of_live = |bytes: u64| share(bytes, live.bytes);
    Truth {
        disk: [disk.live_share, disk.expired_share, disk.dead_share].map(|share| share.expect("all is read")),
        tombstones: share(physical.tombstones, entries),
        hidden: share(hidden, entries),
        kryo: of_live(state.kryo.touched_bytes.unwrap_or(0)),
        live: [live.rows, live.entries, live.bytes],
        ttl: what_if.map(|ttl| (ttl.ttl_ms, ttl.share)).collect(),
        keys: keys.top_by_bytes.iter().map(|key| (key.hex.clone(), of_live(key.bytes))).collect(),
        smallest_key: keys.top_by_bytes.last().map_or(0.0, |key| of_live(key.bytes)),
    }
}

fn truth_of_all(analysis: &Analysis) -> Truth {
    let t = &analysis.totals;
    let (disk, live, physical) =
        (t.disk.expect("all is read"), t.live.expect("all is read"), t.physical.expect("all is read"));
    let entries = physical.entries - physical.range_deletes;
    let kryo = analysis.states.iter().filter_map(|state| state.kryo.touched_bytes).sum();
    Truth {
        disk: [disk.live_share, disk.expired_share, disk.dead_share].map(|share| share.expect("all is read")),
        tombstones: share(physical.tombstones, entries),
        hidden: share(physical.shadowed.unwrap_or(0) + physical.deleted.unwrap_or(0), entries),
        kryo: share(kryo, live.bytes),
        live: [live.rows, live.entries, live.bytes],
        ..Truth::default()
    }
}

fn main() -> ExitCode {
    let (mut path, mut seeds, mut percent, mut smoke) = (None, 200u64, 2.0f64, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "--smoke" => smoke = true,
            "--seeds" => seeds = args.next().expect("a number").parse().expect("a number of seeds"),
            "--budget" => percent = args.next().expect("percent").parse().expect("a number of percent"),
            other => path = Some(PathBuf::from(other)),
        }
    }
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/fixtures/inc-2.3/data");
    if path.is_none() {
        (seeds, percent) = (5, 60.0);
        let job = std::fs::read_dir(&fixture).expect("a fixture").filter_map(Result::ok);
        path = job.map(|entry| entry.path()).find(|path| path.is_dir());
    }
    let file = file(&path.expect("a snapshot"));
    let at_ms = file.modified_ms.unwrap_or(0);
    let settings = |ttl: Vec<TtlArgument>| {
        let reference = ReferenceTime { at_ms, witness: Witness::Given };
        Settings { top: 100, ttl, ..Settings::new(reference) }
    };
    // A TTL that about half of the entries are older than.
    let first = full(&file, &settings(Vec::new()));
    let ages = first.states.iter().find_map(|state| state.ttl.ages.as_ref()?.ages_ms.p50);
    let ttl = ages.map(|ttl_ms| TtlArgument { state: None, ttl_ms: ttl_ms.max(1) });
    let settings = settings(ttl.into_iter().collect());
    let truth_analysis = full(&file, &settings);
    let truths: HashMap<(&str, &str), Truth> =
        truth_analysis.states.iter().map(|s| ((&*s.operator_id, &*s.name), truth(s))).collect();
    let all = truth_of_all(&truth_analysis);

    let mut figures = Figures::new();
    let (mut most, mut allowed) = (0, 0);
    for seed in 1..=seeds {
        let (analysis, read, budget) = sampled(&file, &settings, percent / 100.0, seed);
        (most, allowed) = (most.max(read), budget);
        assert!(read <= budget || smoke, "seed {seed} read {read} of {budget} bytes");
        if let Some(estimates) = &analysis.totals.estimates {
            compare(&mut figures, "all states", &all, estimates);
        }
        for state in &analysis.states {
            let (Some(estimates), Some(truth)) =
                (&state.estimates, truths.get(&(&*state.operator_id, &*state.name)))
            else {
                continue;
            };
            compare(&mut figures, &state.name, truth, estimates);
        }
    }
    println!("{seeds} seeds, at most {most} bytes read of {allowed} allowed");
    let (mut sum, mut worst, mut count) = (0.0, 1.0f64, 0u32);
    for (name, figure) in &figures {
        let held = f64::from(figure.held) / f64::from(figure.all);
        println!(
            "{:6.1} %  {:5} times  mean width {:.6}  {name}",
            held * 100.0,
            figure.all,
            figure.width / f64::from(figure.all)
        );
        // What is seldom stated says nothing by itself, and is part of the mean.
        if u64::from(figure.all) >= seeds / 2 {
            worst = worst.min(held);
        }
        (sum, count) = (sum + held, count + 1);
    }
    let mean = sum / f64::from(count.max(1));
    println!("intervals of 95 % hold {:.1} % on average, {:.1} % at worst", mean * 100.0, worst * 100.0);
    if !smoke && (mean < 0.93 || worst < 0.88) {
        println!("that is less than 93 % and 88 %");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
