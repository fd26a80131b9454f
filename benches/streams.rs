//! How fast streams of key groups are read, against what it costs to uncompress them, and how fast `cat` prints: all in one
//! process, on the same files, from the page cache.
//!
//! `cargo bench --bench streams`; `--entries N` makes states of so many entries (10,000,000), `--smoke` small ones, `--rounds N`
//! measures N times (3); the best counts; `--only heap` measures rows of one of them, for a profiler. Snapshots have one state, a POJO of five fields by a Long, and lie where Cargo keeps
//! temporary files of benches.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../formats/tests/support/metadata_writer.rs"]
mod metadata_writer;
#[path = "../formats/tests/support/orders.rs"]
mod orders;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use metadata_writer::Out;
use orders::{order, order_snapshot, simple, utf};
use peak_alloc::PeakAlloc;
use statescope::analyzers::analysis::{ReferenceTime, Settings, Spill, Witness};
use statescope::analyzers::entries::{EntryPlan, EntryQuestion};
use statescope::lsm::LiveSink;
use statescope::readers::discover;
use statescope::readers::snapshot::{ReadOptions, SnapshotReading, read_snapshot};
use statescope::scan::entries::Ask;
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{LocalStorage, Location};
use statescope_formats::flink::key::key_group;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const KEY_GROUPS: u32 = 128;

/// What is written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What savepoints are, from every backend.
    Canonical,
    /// What the HashMap backend writes: not in the order of keys.
    Heap,
}

/// Meta data of a backend of one state, `orders`.
fn backend(compressed: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(6_i32.to_be_bytes());
    out.push(compressed.into());
    out.extend(2_i32.to_be_bytes());
    out.extend(simple("LongSerializer"));
    out.extend(1_i16.to_be_bytes());
    utf(&mut out, "orders");
    out.extend([0_i32, 1].map(i32::to_be_bytes).concat());
    utf(&mut out, "KEYED_STATE_TYPE");
    utf(&mut out, "VALUE");
    out.extend(2_i32.to_be_bytes());
    let mut namespace = Vec::new();
    utf(
        &mut namespace,
        "org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot",
    );
    namespace.extend(3_i32.to_be_bytes());
    for (key, snapshot) in [("NAMESPACE_SERIALIZER", namespace), ("VALUE_SERIALIZER", order_snapshot())] {
        utf(&mut out, key);
        out.extend(2_i32.to_be_bytes());
        out.extend(snapshot);
    }
    out
}

/// A key group's bytes, uncompressed; what comes before them is never compressed.
fn group(kind: Kind, group: u32, keys: &[u32], out: &mut Vec<u8>) -> Vec<u8> {
    let prefix = u8::try_from(group).expect("one byte");
    let mut value = Vec::new();
    out.extend(0_u16.to_be_bytes());
    match kind {
        Kind::Canonical => {
            for (at, key) in keys.iter().enumerate() {
                let is_last = at + 1 == keys.len();
                out.extend(10_i32.to_be_bytes());
                out.push(prefix | if is_last { 0x80 } else { 0 });
                out.extend(u64::from(*key).to_be_bytes());
                out.push(0);
                value.clear();
                order(*key, &mut value);
                out.extend(u32::try_from(value.len()).expect("a small value").to_be_bytes());
                out.extend(&value);
                if is_last {
                    out.extend([0xff, 0xff]);
                }
            }
            Vec::new()
        }
        Kind::Heap => {
            out.extend(u32::try_from(keys.len()).expect("a count").to_be_bytes());
            let step = (keys.len() / 2).max(1) | 1;
            // In an order that is none.
            for at in 0..keys.len() {
                let key = keys[at.wrapping_mul(step) % keys.len()];
                out.push(0);
                out.extend(u64::from(key).to_be_bytes());
                order(key, out);
            }
            group.to_be_bytes().to_vec()
        }
    }
}

/// Writes a snapshot, and returns how many bytes its stream has, and had before compression.
fn write(directory: &Path, kind: Kind, compressed: bool, entries: u32) -> (u64, u64) {
    fs::create_dir_all(directory).expect("a directory");
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); KEY_GROUPS as usize];
    for key in 0..entries {
        // Java's hash of a small Long is its value.
        let at = key_group(key.cast_signed(), KEY_GROUPS);
        groups[at as usize].push(key);
    }
    let mut file = std::io::BufWriter::new(fs::File::create(directory.join("state")).expect("a file"));
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        file.write_all(bytes).expect("bytes written");
        at += bytes.len() as u64;
        at
    };
    let mut end = put(&backend(compressed));
    let (mut offsets, mut raw) = (Vec::new(), end);
    for (number, keys) in (0..).zip(&groups) {
        offsets.push(i64::try_from(end).expect("an offset"));
        let mut bytes = Vec::new();
        let before = group(kind, number, keys, &mut bytes);
        raw += (before.len() + bytes.len()) as u64;
        put(&before);
        if compressed {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(&bytes).expect("bytes compressed");
            bytes = encoder.into_inner().expect("bytes compressed");
        }
        end = put(&bytes);
    }
    let mut out = Out::default();
    let max = KEY_GROUPS.cast_signed();
    out.header(6, 1, 1).operator(6, "orders", "orders-uid", [7; 16], 1, max).null().count(1);
    out.count(0).i32(0).i32(0);
    let tag = if kind == Kind::Canonical { 7 } else { 12 };
    out.key_groups(tag, 0, &offsets).relative("state", i64::try_from(end).expect("a size"));
    if tag == 12 {
        out.utf("0f0e0d0c-0b0a-0908-0706-050403020100");
    }
    out.null().i32(0).i32(0);
    fs::write(directory.join("_metadata"), out.0).expect("_metadata");
    (end, raw)
}

/// Counts rows: the least that a sink can do.
#[derive(Debug, Default)]
struct Count {
    rows: u64,
}

impl LiveSink for Count {
    fn put(&mut self, _key: &[u8], _shared: usize, _value: &[u8], _table: u32) -> u64 {
        self.rows += 1;
        0
    }

    fn begin(&mut self, _key: &[u8], _shared: usize) {
        self.rows += 1;
    }

    fn part(&mut self, _value: &[u8], _base: bool, _table: u32) -> u64 {
        0
    }

    fn end(&mut self) {}

    fn not_understood(&mut self, _key: &[u8], _shared: usize, _table: u32) {}
}

/// What does not fit into memory, in a temporary file for each run.
#[derive(Default)]
struct Files(Vec<fs::File>);

impl Spill for Files {
    fn write_run(&mut self, run: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::tempfile()?;
        file.write_all(run)?;
        self.0.push(file);
        Ok(())
    }

    fn take_runs(&mut self) -> std::io::Result<Vec<Box<dyn Read + Send>>> {
        let mut runs: Vec<Box<dyn Read + Send>> = Vec::new();
        for mut file in self.0.drain(..) {
            std::io::Seek::rewind(&mut file)?;
            runs.push(Box::new(std::io::BufReader::new(file)));
        }
        Ok(runs)
    }
}

fn spill() -> Box<dyn Spill> {
    Box::new(Files::default())
}

struct Bench {
    reading: SnapshotReading,
    rounds: usize,
}

impl Bench {
    fn open(directory: &Path, rounds: usize) -> Self {
        let place = Location::from_local_path(directory).expect("a path");
        let storage = LocalStorage::new();
        let file = discover::read_metadata(&storage, &place).expect("_metadata");
        let options = ReadOptions { properties: true, ..ReadOptions::default() };
        let reading = read_snapshot(&storage, &file, &options).expect("a snapshot");
        assert!(reading.details.findings.is_empty(), "{:?}", reading.details.findings);
        Self { reading, rounds }
    }

    /// The best time of some rounds, in seconds.
    fn best(&self, mut work: impl FnMut()) -> f64 {
        let times = (0..self.rounds).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::MAX, f64::min)
    }

    fn scan(&self, work: impl FnOnce(&Scan<'_>)) {
        let settings = Settings::new(ReferenceTime { at_ms: 0, witness: Witness::Clock });
        let SnapshotReading { snapshot, details, tables, .. } = &self.reading;
        work(&Scan::plan(Input { snapshot, details, tables, settings: &settings }, &|_, _| true));
    }

    fn options(threads: usize) -> ScanOptions {
        ScanOptions { threads, memory: 64 << 20, requests: 4, checksums: true }
    }

    fn rows(&self, threads: usize, entries: u32) -> f64 {
        self.best(|| {
            self.scan(|scan| {
                let rows = Mutex::new(0);
                let damage = scan.rows(
                    &LocalStorage::new(),
                    Self::options(threads),
                    &Progress::default(),
                    &spill,
                    &|_| Count::default(),
                    &|sink| *rows.lock().expect("no panic") += sink.rows,
                );
                assert_eq!((damage, rows.into_inner().expect("no panic")), (Vec::new(), entries.into()));
            });
        })
    }

    fn analyze(&self, threads: usize) -> f64 {
        self.best(|| {
            self.scan(|scan| {
                let sum = Mutex::new(ScanPartial::default());
                let options = Self::options(threads);
                let progress = Progress::default();
                assert!(scan.analyze(&LocalStorage::new(), options, &progress, &spill, &sum, &|_| ()));
            });
        })
    }

    /// Prints all entries; returns the time, and how many bytes that was.
    fn cat(&self, threads: usize, entries: u32) -> (f64, u64) {
        let mut bytes = 0;
        let time = self.best(|| {
            self.scan(|scan| {
                let SnapshotReading { snapshot, details, .. } = &self.reading;
                let operator = snapshot.operators.first().expect("an operator");
                let plan = |keyed| EntryPlan::compile(operator, keyed, "orders", snapshot);
                let plans: HashMap<usize, EntryPlan> =
                    details.keyed.iter().enumerate().map(|(at, keyed)| (at, plan(keyed))).collect();
                let ask = Ask { plans: &plans, question: &EntryQuestion::default(), most: u64::MAX };
                bytes = 0;
                let printed = scan.entries(
                    &LocalStorage::new(),
                    Self::options(threads),
                    &Progress::default(),
                    &spill,
                    ask,
                    &mut |lines| {
                        bytes += lines.len() as u64;
                        true
                    },
                );
                let counts = (printed.counts.entries, printed.counts.opaque);
                assert_eq!((counts, printed.damage), ((entries.into(), 0), Vec::new()));
            });
        });
        (time, bytes)
    }
}

/// Reads a file in pieces; and uncompresses what is compressed.
fn uncompress(bench: &Bench, path: &Path, compressed: bool) -> f64 {
    let head = backend(compressed).len();
    let keyed = bench.reading.details.keyed.first().and_then(|keyed| keyed.stream.as_ref());
    let offsets = &keyed.expect("a stream").offsets;
    let heap = if path.to_string_lossy().contains("heap") { 4 } else { 0 };
    bench.best(|| {
        let mut file = fs::File::open(path).expect("the stream");
        let mut buffer = vec![0; 128 << 10];
        let size = file.metadata().expect("its size").len();
        let mut piece = vec![0; head];
        file.read_exact(&mut piece).expect("the meta data");
        let ends = offsets.iter().skip(1).map(|at| at.cast_unsigned()).chain([size]);
        for (start, end) in offsets.iter().map(|at| at.cast_unsigned()).zip(ends) {
            let mut rest = (&mut file).take(end - start);
            if compressed {
                rest.read_exact(&mut buffer[..heap]).expect("the key group");
                let mut frames =
                    snap::read::FrameDecoder::new(std::io::BufReader::with_capacity(128 << 10, rest));
                while frames.read(&mut buffer).expect("frames") > 0 {}
            } else {
                while rest.read(&mut buffer).expect("bytes") > 0 {}
            }
        }
    })
}

fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn number(name: &str) -> Option<u32> {
    argument(name).map(|n| n.parse().expect("a number"))
}

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let entries = number("--entries").unwrap_or(if smoke { 20_000 } else { 10_000_000 });
    let rounds = number("--rounds").unwrap_or(if smoke { 1 } else { 3 }) as usize;
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("streams");
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    for (name, kind, compressed) in [
        ("canonical", Kind::Canonical, false),
        ("canonical-snappy", Kind::Canonical, true),
        ("heap", Kind::Heap, false),
        ("heap-snappy", Kind::Heap, true),
    ] {
        if argument("--only").is_some_and(|only| only != name) {
            continue;
        }
        let directory = directory.join(name);
        let (stored, raw) = write(&directory, kind, compressed, entries);
        let bench = Bench::open(&directory, rounds);
        println!(
            "\n{name}: {entries} entries, {:.0} MB, {:.0} MB uncompressed",
            megabytes(stored),
            megabytes(raw)
        );
        let least = uncompress(&bench, &directory.join("state"), compressed);
        println!(
            "  read{}: {:.0} MB/s uncompressed",
            if compressed { " and uncompressed" } else { "" },
            megabytes(raw) / least
        );
        let tell = |what: &str, time: f64| {
            println!(
                "  {what}: {:.0} MB/s, {:.2} M entries/s, {:.2} x the time of reading",
                megabytes(raw) / time,
                f64::from(entries) / time / 1e6,
                time / least
            );
        };
        tell("rows, 1 thread", bench.rows(1, entries));
        if argument("--only").is_some() {
            continue;
        }
        tell("analyze, 1 thread", bench.analyze(1));
        tell("analyze, 2 threads", bench.analyze(2));
        ALLOCATOR.reset_peak_usage();
        let (time, bytes) = bench.cat(1, entries);
        let peak = ALLOCATOR.peak_usage();
        tell(
            &format!(
                "cat, 1 thread, {:.0} MB of lines, {:.0} MB of memory",
                megabytes(bytes),
                megabytes(peak as u64)
            ),
            time,
        );
        fs::remove_dir_all(&directory).expect("it is removed");
    }
}
