//! How fast a `_metadata` with 100,000 state handles opens and renders, and how much memory it takes;
//! and the same with the small files behind every handle, from memory.
//!
//! `cargo bench --bench inspect`; `-- --smoke` makes everything a hundred times smaller.
#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

#[path = "../formats/tests/support/metadata_writer.rs"]
mod metadata_writer;

use std::time::{Duration, Instant};

use bytes::Bytes;
use metadata_writer::Out;
use peak_alloc::PeakAlloc;
use statescope::analyzers::overview::{self, Context};
use statescope::model::Details;
use statescope::readers::discover::MetadataFile;
use statescope::readers::snapshot::{ReadOptions, decode_metadata, read_snapshot};
use statescope::report::{self, Layout};
use statescope::storage::{Location, MemoryStorage};
use statescope_formats::rocksdb::manifest::Version;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SUBTASKS: usize = 500;

/// Operators with keyed and operator state in every subtask: two state handles each.
fn metadata(handles: usize, ssts: &[u64]) -> Vec<u8> {
    let operators = (handles / 2).div_ceil(SUBTASKS);
    let mut out = Out::default();
    out.header(6, 42, operators);
    for operator in 0..operators {
        let mut id = [7; 16];
        id[..8].copy_from_slice(&(operator as u64).to_be_bytes());
        out.operator(6, &format!("operator-{operator}"), "", id, 500, 32768).null().count(SUBTASKS);
        for subtask in 0..SUBTASKS {
            out.count(subtask);
            let name = |what: &str| {
                format!(
                    "s3://bucket/flink/0123456789abcdef0123456789abcdef/shared/{operator:04}-{subtask:04}-{what}-b2f7-9b1c6f0b2d11"
                )
            };
            out.i32(1).operator_state(&[("source-offsets", 0, &[100, 200, 300])]).relative(&name("op"), 4096);
            out.i32(0);
            let mut files: Vec<(String, bool, String, i64)> = ssts
                .iter()
                .map(|n| (format!("{n:06}.sst"), true, name(&format!("sst{n}")), 64 << 20))
                .collect();
            for (file, size) in [("CURRENT", 16), ("MANIFEST-000004", 30_000), ("OPTIONS-000007", 30_000)] {
                files.push((file.to_owned(), false, name(file), size));
            }
            let files: Vec<_> = files.iter().map(|(a, b, c, d)| (a.as_str(), *b, c.as_str(), *d)).collect();
            let start = i32::try_from(subtask * 65).expect("a small number");
            out.incremental(42, start, 65, &name("meta"), &files);
            out.null().i32(0).i32(0);
        }
    }
    out.0
}

fn opened(file: &MetadataFile) -> String {
    let (snapshot, findings) = decode_metadata(file).expect("a snapshot");
    let overview = overview::overview(snapshot, Details::default(), findings, Context::default());
    let mut out = Vec::new();
    let layout = Layout { width: None, rows: 25 };
    report::overview::write(&mut out, &overview, layout, 0).expect("a page");
    String::from_utf8(out).expect("text")
}

fn best_of(n: usize, mut run: impl FnMut()) -> Duration {
    (0..n)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn report_row(what: &str, bytes: usize, handles: usize, time: Duration, peak: usize, base: usize) {
    println!(
        "{what}: {handles} state handles, {:.1} MB of _metadata: {:.0} ms, {:.0} MB/s, peak {:.0} MB besides the file",
        bytes as f64 / 1e6,
        time.as_secs_f64() * 1e3,
        bytes as f64 / 1e6 / time.as_secs_f64(),
        peak.saturating_sub(base) as f64 / 1e6
    );
}

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let handles = if smoke { 1_000 } else { 100_000 };
    let directory =
        Location::parse("s3://bucket/flink/0123456789abcdef0123456789abcdef/chk-42").expect("a location");
    for ssts in [1, 8] {
        let bytes = metadata(handles, &(0..ssts).collect::<Vec<_>>());
        let size = bytes.len();
        let file =
            MetadataFile { directory: directory.clone(), bytes: Bytes::from(bytes), modified_ms: Some(0) };
        let base = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let page = opened(&file);
        let peak = ALLOCATOR.peak_usage();
        assert!(page.contains("checkpoint") || page.contains("snapshot"), "{page}");
        let time = best_of(3, || drop(opened(&file)));
        report_row(&format!("open and render, {ssts} SST a handle"), size, handles, time, peak, base);
        if !smoke && ssts == 1 {
            assert!(time < Duration::from_secs(1), "the promise is one second");
            assert!(peak + size < 300_000_000, "the promise is 300 MB, the file included");
        }
    }
    small_files(if smoke { 1_000 } else { 20_000 }, &directory);
}

/// The whole of `inspect` where each handle has its own small files.
fn small_files(handles: usize, directory: &Location) {
    let (meta, manifest) = samples();
    let version = Version::replay(&manifest).expect("a MANIFEST");
    let ssts: Vec<u64> = version.live_files().map(|(_, live)| live.file.number).collect();
    let bytes = metadata(handles, &ssts);
    let size = bytes.len();
    let storage = MemoryStorage::new();
    for operator in 0..(handles / 2).div_ceil(SUBTASKS) {
        for subtask in 0..SUBTASKS {
            let at = |what: &str| {
                Location::parse(&format!("s3://bucket/flink/0123456789abcdef0123456789abcdef/shared/{operator:04}-{subtask:04}-{what}-b2f7-9b1c6f0b2d11"))
                    .expect("a location")
            };
            storage.put(
                &directory.join(at("meta").file_name().expect("a name")).expect("a location"),
                meta.clone(),
            );
            storage.put(&at("CURRENT"), Bytes::from_static(b"MANIFEST-000004\n"));
            storage.put(&at("MANIFEST-000004"), manifest.clone());
        }
    }
    let file = MetadataFile { directory: directory.clone(), bytes: Bytes::from(bytes), modified_ms: Some(0) };
    let base = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let start = Instant::now();
    let reading = read_snapshot(&storage, &file, &ReadOptions::default()).expect("a snapshot");
    let time = start.elapsed();
    let peak = ALLOCATOR.peak_usage();
    assert_eq!(reading.details.keyed.len(), handles / 2);
    report_row(
        &format!("with meta data and MANIFEST of every handle, {} SST each", ssts.len()),
        size,
        handles,
        time,
        peak,
        base,
    );
}

/// Meta data and a MANIFEST from a real checkpoint.
fn samples() -> (Bytes, Bytes) {
    let read = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden").join(name);
        Bytes::from(std::fs::read(&path).expect("a golden sample"))
    };
    (read("state_meta/keyed-zoo-2.3"), read("rocksdb/rocksdb-8.10/MANIFEST-000005"))
}
