//! The inventory of a large bucket: what `refs`, `du`, `orphans` and `prune` begin with.
//!
//! `cargo bench --bench inventory` makes a million objects and 10,000 snapshots with 100 KB of `_metadata` each, in a store in
//! memory that takes 30 ms for each request and lists 1,000 objects a page, lists and reads all of it with 64 requests in
//! flight, and decides what may go. Promised: under 90 s, and under 1 GB beside the store. Once as a hundred jobs, and once with
//! all files in the `shared` directory of a single one. `--smoke` makes everything a hundred times smaller.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../formats/tests/support/metadata_writer.rs"]
mod metadata_writer;

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metadata_writer::Out;
use peak_alloc::PeakAlloc;
use statescope::model::inventory::RootRole;
use statescope::prune::{Evidence, Policy, Standing, decide};
use statescope::readers::inventory::{InventoryOptions, InventoryProgress, inventory};
use statescope::storage::{InFlight, Location, MemoryStorage};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const LATENCY: Duration = Duration::from_millis(30);
const IN_FLIGHT: usize = 64;
const NOW_MS: i64 = 1_800_000_000_000;

/// A name as Flink gives them.
fn uuid(number: u64) -> String {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-{:04x}-4000-8000-{number:012x}", mixed >> 32, mixed & 0xffff)
}

/// What a bucket holds.
struct Shape {
    jobs: u64,
    /// Checkpoints of each job.
    checkpoints: u64,
    /// Files in `shared` of each job.
    shared: u64,
    /// How many of these each checkpoint names.
    named: u64,
}

/// Returns the store and the bytes of one `_metadata`.
fn bucket(shape: &Shape) -> (MemoryStorage, usize) {
    let storage = MemoryStorage::new().with_latency(LATENCY);
    let old = Some(NOW_MS - 10 * 86_400_000);
    let mut size = 0;
    for job in 0..shape.jobs {
        let directory = Location::parse(&format!("s3://bucket/flink/{job:032x}")).expect("a location");
        let place = |path: &str| directory.join(path).expect("a location");
        for file in 0..shape.shared {
            storage.put_modified(&place(&format!("shared/{}", uuid(job << 24 | file))), "x", old);
        }
        for checkpoint in 0..shape.checkpoints {
            let mut out = Out::default();
            out.header(3, i64::try_from(checkpoint).expect("small"), 1);
            out.operator(3, "", "", [7; 16], 1, 128).null().count(1).count(0).i32(0).i32(0);
            let files: Vec<(String, String)> = (0..shape.named)
                .map(|n| {
                    let file = (checkpoint * shape.named / 2 + n) % shape.shared;
                    (format!("{n:06}.sst"), place(&format!("shared/{}", uuid(job << 24 | file))).to_string())
                })
                .collect();
            let files: Vec<_> =
                files.iter().map(|(name, uri)| (name.as_str(), true, uri.as_str(), 1)).collect();
            let meta = uuid(u64::MAX / 2 - checkpoint);
            out.incremental(1, 0, 128, &meta, &files).null().i32(0).i32(0);
            size = out.0.len();
            storage.put_modified(&place(&format!("chk-{checkpoint}/_metadata")), Bytes::from(out.0), old);
            storage.put_modified(&place(&format!("chk-{checkpoint}/{meta}")), "x", old);
        }
    }
    (storage, size)
}

fn measure(what: &str, shape: &Shape) -> (Duration, f64) {
    let (storage, metadata) = bucket(shape);
    let before = ALLOCATOR.current_usage_as_mb();
    ALLOCATOR.reset_peak_usage();
    let root = (Location::parse("s3://bucket/flink").expect("a location"), RootRole::Storage);
    let options = InventoryOptions {
        in_flight: InFlight { requests: IN_FLIGHT, ..InFlight::default() },
        threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        now_ms: NOW_MS,
    };
    let begin = Instant::now();
    let inventory = inventory(&storage, &[root], options, &InventoryProgress::default());
    let read = begin.elapsed();
    let evidence = Evidence { now_ms: NOW_MS, roots_complete: true, ..Evidence::default() };
    let decisions = decide(&inventory, &evidence, &Policy::default());
    let time = begin.elapsed();
    let peak = ALLOCATOR.peak_usage_as_mb() - before;
    let needed = decisions.standings.iter().filter(|s| matches!(s, Standing::Needed(_))).count();
    assert!(inventory.blocks.is_empty(), "{:#?}", inventory.blocks.first());
    println!(
        "{what}: {} objects, {} snapshots of {} KB, {needed} objects needed: {} requests, {:.1} s ({:.1} s of it to list and \
         read), {peak:.0} MB beside the store",
        inventory.objects.len(),
        inventory.snapshots.len(),
        metadata / 1000,
        storage.requests(),
        time.as_secs_f64(),
        read.as_secs_f64(),
    );
    (time, f64::from(peak))
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let part = if smoke { 10 } else { 1 };
    let named = 750 / part;
    let many = Shape { jobs: 100 / part, checkpoints: 100 / part, shared: 9_800 / part, named };
    let one = Shape { jobs: 1, checkpoints: 10_000 / part / part, shared: 980_000 / part / part, named };
    for (what, shape) in [("a hundred jobs", many), ("one job", one)] {
        let (time, peak) = measure(what, &shape);
        assert!(time < Duration::from_secs(90), "{what}: {time:?}");
        assert!(peak < 1000.0, "{what}: {peak} MB");
    }
}
