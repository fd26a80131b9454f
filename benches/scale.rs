//! Large snapshots at the depths that are meant for them.
//!
//! `cargo bench --bench scale` makes the `_metadata` of 2,000 handles with 160,000 SST files of 64 MB (10 TB), each with a
//! MANIFEST of the size that real ones have, in a store in memory that takes 30 ms for each request, and analyzes it
//! at `--depth manifest` with 256 requests in flight. Promised: under 60 s, and under 1 GB.
//!
//! `cargo bench --bench scale -- SNAPSHOT` also reads the ends of a real snapshot's files at `--depth index`, from memory and
//! on one core. Promised: 300 MB of index a second. `--smoke` makes everything a hundred times smaller.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../formats/tests/support/metadata_writer.rs"]
mod metadata_writer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metadata_writer::Out;
use peak_alloc::PeakAlloc;
use statescope::analyzers::analysis::{
    AnalysisPartial, Context, Depth, DepthReason, Engine, Method, ReferenceTime, Settings, Shallow, Subjects,
    Witness, finish,
};
use statescope::analyzers::overview::{self, overview};
use statescope::readers::discover::{self, MetadataFile, Target};
use statescope::readers::snapshot::{OpenSnapshot, ReadOptions, open_snapshot};
use statescope::report::{self, Layout};
use statescope::scan::{Progress, file_groups, sst_bytes, survey};
use statescope::storage::{InFlight, LocalStorage, Location, MemoryStorage, Metered, Storage};
use statescope_formats::rocksdb::checksum::ChecksumType;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SST_BYTES: u64 = 64 << 20;
const LATENCY: Duration = Duration::from_millis(30);
const IN_FLIGHT: usize = 256;

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n as u8 & 0x7f) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn slice(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A MANIFEST that names live files of several column families and levels, and three times as many that are gone.
fn manifest(files: u64, first_group: u32, groups: u32) -> Vec<u8> {
    const FAMILIES: [&str; 4] = ["default", "orders", "sessions", "_timer_state/event_window-timers"];
    let mut records = Vec::new();
    let mut edit = Vec::new();
    varint(&mut edit, 1);
    slice(&mut edit, b"leveldb.BytewiseComparator");
    records.push(edit);
    for (id, name) in (1u64..).zip(&FAMILIES[1..]) {
        let mut edit = Vec::new();
        varint(&mut edit, 200);
        varint(&mut edit, id);
        varint(&mut edit, 201);
        slice(&mut edit, name.as_bytes());
        varint(&mut edit, 1);
        slice(&mut edit, b"leveldb.BytewiseComparator");
        records.push(edit);
    }
    let key = |at: u64, of: u64, sequence: u64| {
        let group = u64::from(first_group) + u64::from(groups) * at / of.max(1);
        let group = u16::try_from(group).expect("a key group").to_be_bytes();
        let text = format!("customer-{:08}-{:06}", at.wrapping_mul(2_654_435_761) % 100_000_000, at);
        [&group[..], text.as_bytes(), &(sequence << 8 | 1).to_le_bytes()].concat()
    };
    let new_file = |edit: &mut Vec<u8>, number: u64, level: u64, at: u64| {
        varint(edit, 103);
        varint(edit, level);
        varint(edit, number);
        varint(edit, SST_BYTES);
        slice(edit, &key(at, files, number * 1000));
        slice(edit, &key(at + 1, files + 1, number * 1000 + 999));
        varint(edit, number * 1000);
        varint(edit, number * 1000 + 999);
        // When it was made, and what it is made of.
        for (tag, value) in [(6u64, 1_700_000_000u64), (5, 1_700_000_100)] {
            varint(edit, tag);
            let mut bytes = Vec::new();
            varint(&mut bytes, value);
            slice(edit, &bytes);
        }
        varint(edit, 1);
    };
    let family_of = |number: u64| if number.is_multiple_of(16) { 2 + number / 16 % 2 } else { 1 };
    for gone in 0..3 * files {
        for deleted in [false, true] {
            let number = files + gone;
            let mut edit = Vec::new();
            varint(&mut edit, 200);
            varint(&mut edit, family_of(number));
            if deleted {
                varint(&mut edit, 6);
                varint(&mut edit, 0);
                varint(&mut edit, number);
            } else {
                new_file(&mut edit, number, 0, gone % files);
            }
            records.push(edit);
        }
    }
    for number in 0..files {
        let mut edit = Vec::new();
        varint(&mut edit, 200);
        varint(&mut edit, family_of(number));
        new_file(&mut edit, number, 1 + u64::from(number % 10 > 0), number);
        records.push(edit);
    }
    log(&records)
}

/// Records as RocksDB's log format keeps them, cut where blocks of 32 KiB end.
fn log(records: &[Vec<u8>]) -> Vec<u8> {
    const BLOCK: usize = 32 << 10;
    const HEADER: usize = 7;
    let mut out = Vec::new();
    for record in records {
        let (mut rest, mut first) = (&record[..], true);
        loop {
            let room = BLOCK - out.len() % BLOCK;
            if room < HEADER {
                out.resize(out.len() + room, 0);
                continue;
            }
            let (part, behind) = rest.split_at(rest.len().min(room - HEADER));
            let kind = match (first, behind.is_empty()) {
                (true, true) => 1u8,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            let crc = ChecksumType::Crc32c.compute(&[&[kind], part].concat());
            out.extend_from_slice(&crc.to_le_bytes());
            out.extend_from_slice(&u16::try_from(part.len()).expect("a part of a block").to_le_bytes());
            out.push(kind);
            out.extend_from_slice(part);
            (rest, first) = (behind, false);
            if rest.is_empty() {
                break;
            }
        }
    }
    out
}

/// The meta data of a real backend, whose states are as many as need be.
fn backend() -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden/state_meta/keyed-zoo-2.3");
    Bytes::from(std::fs::read(path).expect("a golden sample"))
}

fn large(handles: usize, files: u64) -> (MemoryStorage, MetadataFile) {
    const JOB: &str = "s3://bucket/flink/0123456789abcdef0123456789abcdef";
    let directory = Location::parse(&format!("{JOB}/chk-42")).expect("a location");
    let mut file = MetadataFile { directory, bytes: Bytes::new(), modified_ms: Some(0) };
    let storage = MemoryStorage::new().with_latency(LATENCY);
    let groups = 32_768 / u32::try_from(handles).expect("not too many");
    let options = Bytes::from(vec![b'#'; 30_000]);
    let mut out = Out::default();
    out.header(6, 42, 1);
    let parallelism = i32::try_from(handles).expect("not too many");
    out.operator(6, "large", "", [7; 16], parallelism, 32_768).null().count(handles);
    for subtask in 0..handles {
        out.count(subtask);
        out.i32(0).i32(0);
        let at = |what: &str| format!("{JOB}/shared/{subtask:05}-{what}-4d5f-bb5f-9d4a5a78b22f");
        let put =
            |what: &str, bytes: Bytes| storage.put(&Location::parse(&at(what)).expect("a location"), bytes);
        let first = u32::try_from(subtask).expect("not too many") * groups;
        let manifest = manifest(files, first, groups);
        let mut named: Vec<(String, bool, String, i64)> =
            (0..files).map(|n| (format!("{n:06}.sst"), true, at(&format!("sst{n}")), 64 << 20)).collect();
        for (file, bytes) in [
            ("CURRENT", Bytes::from_static(b"MANIFEST-000004\n")),
            ("MANIFEST-000004", Bytes::from(manifest)),
            ("OPTIONS-000007", options.clone()),
        ] {
            named.push((file.to_owned(), false, at(file), i64::try_from(bytes.len()).expect("small")));
            put(file, bytes);
        }
        let meta = at("meta");
        let beside = meta.rsplit_once('/').map_or("", |(_, name)| name);
        storage.put(&file.directory.join(beside).expect("a location"), backend());
        let named: Vec<_> = named.iter().map(|(a, b, c, d)| (a.as_str(), *b, c.as_str(), *d)).collect();
        out.incremental(
            42,
            i32::try_from(first).expect("small"),
            i32::try_from(groups).expect("small"),
            &meta,
            &named,
        );
        out.null().i32(0).i32(0);
    }
    file.bytes = Bytes::from(out.0);
    (storage, file)
}

fn context(open: OpenSnapshot<'_>, depth: Depth, sst_bytes: u64, shallow: Shallow) -> Context {
    let subjects = Subjects::new(&open.snapshot, &open.details);
    let reference = ReferenceTime { at_ms: 0, witness: Witness::Given };
    let OpenSnapshot { snapshot, details, findings, .. } = open;
    Context {
        overview: overview(snapshot, details, findings, overview::Context::default()),
        subjects,
        method: Method {
            depth,
            depth_reason: DepthReason::TooLarge,
            sst_bytes,
            stream_bytes: 0,
            not_read_bytes: sst_bytes,
            more: Vec::new(),
            sampling: None,
            engine: Engine::Native,
            checksums: true,
            top: 10,
        },
        settings: Settings::new(reference),
        shallow,
        findings: Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn at_depth_manifest(smoke: bool) {
    let (handles, files) = if smoke { (20, 80) } else { (2_000, 80) };
    let (storage, file) = large(handles, files);
    let storage = Metered::new(storage);
    let base = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let start = Instant::now();
    let in_flight = InFlight { requests: IN_FLIGHT, ..InFlight::default() };
    let options = ReadOptions { in_flight, ..ReadOptions::default() };
    let open = open_snapshot(&storage, &file, &options).expect("a snapshot");
    let select = |_: usize, _: &str| true;
    let all = sst_bytes(&open.details, &select);
    let shallow = Shallow { disk_groups: file_groups(&open.details, &select), ..Shallow::default() };
    let read = start.elapsed();
    let analysis = finish(AnalysisPartial::default(), context(open, Depth::Manifest, all, shallow));
    let mut page = Vec::new();
    report::analysis::write(&mut page, &analysis, Layout { width: None, rows: 25 }).expect("a page");
    let time = start.elapsed();
    let peak = ALLOCATOR.peak_usage().saturating_sub(base);
    let counts = storage.meter().counts();
    assert_eq!(analysis.totals.sst.files, handles as u64 * files, "{:#?}", analysis.findings);
    assert_eq!(counts.suffix + counts.range, 0, "no table is asked for anything");
    println!(
        "depth manifest: {} SST files of {:.1} TB in {handles} handles, {} requests of 30 ms, {:.1} MB: {:.1} s read, {:.1} s in all, peak {:.0} MB",
        analysis.totals.sst.files,
        analysis.totals.sst.bytes as f64 / 1e12,
        counts.requests(),
        counts.bytes as f64 / 1e6,
        read.as_secs_f64(),
        time.as_secs_f64(),
        peak as f64 / 1e6,
    );
    if !smoke {
        assert!(time < Duration::from_secs(60), "the promise is a minute");
        assert!(peak < 1_000_000_000, "the promise is 1 GB");
    }
}

/// Copies the small files and the ends of tables into memory, with nothing before.
fn in_memory(file: &MetadataFile) -> MemoryStorage {
    let disk = Metered::with_log(LocalStorage::new());
    let mut open = open_snapshot(&disk, file, &ReadOptions::default()).expect("a snapshot");
    survey(&mut open, &|_, _| true, true, 1 << 30, &Progress::default()).expect("not stopped");
    let memory = MemoryStorage::new();
    for record in disk.meter().take_log().into_iter().filter(|record| !record.failed) {
        let whole = disk.read_all(&record.location, 1 << 30).expect("a file");
        memory.put(&record.location, whole);
    }
    memory
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn at_depth_index(path: &Path, smoke: bool) {
    let location = Location::from_local_path(&std::path::absolute(path).expect("a path")).expect("a path");
    let file =
        match discover::discover(&LocalStorage::new(), &location, InFlight::default()).expect("a snapshot") {
            Target::Snapshot(file) => file,
            Target::Job(job) => {
                let newest = job.newest_by_id().expect("a complete checkpoint").1;
                discover::read_metadata(&LocalStorage::new(), &newest.location).expect("a checkpoint")
            }
            Target::Root(root) => panic!("{} holds no snapshot", root.location),
        };
    let memory = in_memory(&file);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let mut best = f64::MAX;
    let (mut index, mut read) = (0, 0);
    for _ in 0..if smoke { 1 } else { 20 } {
        let mut open = open_snapshot(&memory, &file, &ReadOptions::default()).expect("a snapshot");
        let start = Instant::now();
        let found = one.install(|| survey(&mut open, &|_, _| true, true, 1 << 30, &Progress::default()));
        best = best.min(start.elapsed().as_secs_f64());
        let found = found.expect("not stopped");
        index = found.analysis.tallies.values().map(|tally| tally.index_bytes).sum::<u64>();
        read = found.read_bytes;
    }
    println!(
        "depth index: {:.1} MB of index, {:.1} MB read: {:.1} ms on one core, {:.0} MB of index a second",
        index as f64 / 1e6,
        read as f64 / 1e6,
        best * 1e3,
        index as f64 / 1e6 / best,
    );
}

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    at_depth_manifest(smoke);
    let given = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map(PathBuf::from);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fixtures/inc-2.3/data");
    let jobs = || std::fs::read_dir(&fixture).expect("a fixture").filter_map(Result::ok);
    let path = given.or_else(|| jobs().map(|entry| entry.path()).find(|path| path.is_dir()));
    at_depth_index(&path.expect("a snapshot"), smoke);
}
