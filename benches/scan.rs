//! How fast snapshots are scanned, against what it costs to uncompress their blocks and, with the feature `rocksdb`,
//! against RocksDB's own iterator: all in one process, on the same files, from the page cache, with checksums.
//!
//! `cargo bench --bench scan -- SNAPSHOT…` measures snapshots, such as one that `testdata/gen/make-large.sh` made;
//! with `--features rocksdb` and no snapshot, it makes large ones through RocksDB and keeps them where Cargo keeps
//! temporary files of benches. `--smoke` makes them a hundred times smaller, or takes a fixture; `--rounds N` measures
//! N times (3); the best counts. `--only live` measures nothing else, for a profiler.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[cfg(feature = "rocksdb")]
#[path = "support/snapshot.rs"]
mod snapshot;
#[cfg(feature = "rocksdb")]
#[path = "support/synthetic.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use statescope::analyzers::analysis::{ReferenceTime, Settings, Spill, Witness};
use statescope::lsm::LiveSink;
use statescope::model::Table;
use statescope::readers::discover::{self, Target};
use statescope::readers::snapshot::{ReadOptions, SnapshotReading, read_snapshot};
use statescope::readers::source::Source;
use statescope::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use statescope::storage::{InFlight, LocalStorage, Location, Storage};
use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::data_block::{EntryCursor, Next};
use statescope_formats::rocksdb::index::{IndexBlock, IndexFormat};

const LIMIT: usize = 1 << 30;

/// Counts rows and their bytes: the least that a sink can do.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    rows: u64,
    bytes: u64,
}

impl LiveSink for Count {
    fn put(&mut self, key: &[u8], _shared: usize, value: &[u8], _table: u32) -> u64 {
        self.rows += 1;
        self.bytes += (key.len() + value.len()) as u64;
        0
    }

    fn begin(&mut self, key: &[u8], _shared: usize) {
        self.rows += 1;
        self.bytes += key.len() as u64;
    }

    fn part(&mut self, value: &[u8], _base: bool, _table: u32) -> u64 {
        self.bytes += value.len() as u64;
        0
    }

    fn end(&mut self) {}

    fn not_understood(&mut self, _key: &[u8], _shared: usize, _table: u32) {}
}

/// Keys of timers do not outgrow memory here.
struct NoSpill;

impl Spill for NoSpill {
    fn write_run(&mut self, _run: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn take_runs(&mut self) -> std::io::Result<Vec<Box<dyn std::io::Read + Send>>> {
        Ok(Vec::new())
    }
}

fn open(path: &Path) -> SnapshotReading {
    let location = Location::from_local_path(&std::path::absolute(path).expect("a path")).expect("a path");
    let storage = LocalStorage::new();
    let file = match discover::discover(&storage, &location, InFlight::default()).expect("a snapshot") {
        Target::Snapshot(file) => file,
        Target::Job(job) => {
            let newest = job.newest_by_id().expect("a complete checkpoint").1;
            discover::read_metadata(&storage, &newest.location).expect("a checkpoint")
        }
        Target::Root(root) => panic!("{} holds no snapshot", root.location),
    };
    let options = ReadOptions { properties: true, ..ReadOptions::default() };
    read_snapshot(&storage, &file, &options).expect("a snapshot")
}

/// Uncompresses all data blocks; walks over their entries and verifies checksums, if asked to.
fn physical(reading: &SnapshotReading, threads: usize, walk: bool) -> u64 {
    let databases = reading.details.keyed.iter().filter_map(|keyed| keyed.database.as_ref());
    let tables: Vec<&Table> = databases.flat_map(|database| &database.tables).collect();
    let (next, entries) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let (mut buffer, mut index_buffer) = (Vec::new(), Vec::new());
        while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (Some(file), Some(tail)) = (table.file, &table.tail) else { continue };
            let Some(Source::Object { location, start, .. }) = reading.tables.get(&file) else { continue };
            let storage = LocalStorage::new();
            let format = IndexFormat::of(tail).expect("an index");
            let version = tail.footer.format_version;
            let read = |from: u64, to: u64| {
                storage.read_range(location, start + from..start + to).expect("bytes of a table")
            };
            let index_bytes = read(tail.index.offset, tail.index.end());
            let stored = StoredBlock::cut(&index_bytes, tail.index.offset, tail.index).expect("a block");
            let index =
                Decompressor::new().contents(version, &stored, LIMIT, &mut index_buffer).map(<[u8]>::to_vec);
            let index = index.expect("an index");
            let mut handles = Vec::new();
            let mut blocks = IndexBlock::new(&index, 0, format).expect("an index").entries();
            while let Some(entry) = blocks.next().expect("an entry") {
                handles.push(entry.handle);
            }
            assert!(!format.is_partitioned(), "what is compared here has one index block a table");
            let (mut decompressor, mut cursor) = (Decompressor::new(), EntryCursor::new());
            let (mut chunk, mut chunk_at) = (bytes::Bytes::new(), 0);
            for (at, handle) in handles.iter().enumerate() {
                if handle.end() > chunk_at + chunk.len() as u64 {
                    let until = handle.offset + (128 << 10);
                    let rest = handles.iter().skip(at).take_while(|h| h.end() <= until);
                    drop(std::mem::take(&mut chunk));
                    chunk = read(handle.offset, rest.last().unwrap_or(handle).end());
                    chunk_at = handle.offset;
                }
                let stored = StoredBlock::cut(&chunk, chunk_at, *handle).expect("a block");
                if walk {
                    stored.verify(tail.footer.checksum, "a data block").expect("a whole block");
                }
                let contents = decompressor.contents(version, &stored, LIMIT, &mut buffer).expect("a block");
                let mut count = 0;
                if walk {
                    let block = Block::new(contents, 0).expect("a block");
                    cursor.enter_block();
                    let entries = block.entry_bytes();
                    if let Next::Key(difference) = cursor.next(entries) {
                        cursor.take_while(difference, entries, |_, _, _| {
                            count += 1;
                            true
                        });
                    }
                }
                entries.fetch_add(count, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    entries.into_inner() as u64
}

fn options(threads: usize) -> ScanOptions {
    ScanOptions { threads, memory: 256 << 20, requests: 8, checksums: true }
}

fn live(scan: &Scan<'_>, threads: usize) -> Count {
    let sum = Mutex::new(Count::default());
    let spill = || -> Box<dyn Spill> { Box::new(NoSpill) };
    let lost = scan.rows(
        &LocalStorage::new(),
        options(threads),
        &Progress::default(),
        &spill,
        &|_| Count::default(),
        &|count| {
            let mut sum = sum.lock().expect("no panic");
            sum.rows += count.rows;
            sum.bytes += count.bytes;
        },
    );
    assert!(lost.is_empty(), "{lost:?}");
    sum.into_inner().expect("no panic")
}

fn analyze(scan: &Scan<'_>, threads: usize) -> u64 {
    let sum = Mutex::new(ScanPartial::default());
    let spill = || -> Box<dyn Spill> { Box::new(NoSpill) };
    let storage = LocalStorage::new();
    assert!(scan.analyze(&storage, options(threads), &Progress::default(), &spill, &sum, &|_| ()));
    sum.into_inner().expect("no panic").analysis.states.values().map(|state| state.live.rows).sum()
}

/// The databases of a snapshot, put together for RocksDB, with the keys of each that are the handle's.
#[cfg(feature = "rocksdb")]
mod engine {
    use std::path::Path;

    use statescope::model::{KeyBounds, KeyedState};
    use statescope::readers::discover;
    use statescope::readers::materialize::{Chosen, Materialization, Piece};
    use statescope::readers::opener::Opener;
    use statescope::readers::snapshot::decode_metadata;
    use statescope::reference::Database;
    use statescope::storage::{InFlight, LocalStorage, Location};

    #[derive(Debug)]
    pub(super) struct Databases {
        databases: Vec<(Database, KeyBounds)>,
        _directories: Vec<tempfile::TempDir>,
    }

    impl Databases {
        pub(super) fn new(directory: &Path) -> Self {
            let storage = LocalStorage::new();
            let location = Location::from_local_path(directory).expect("a path");
            let file = discover::read_metadata(&storage, &location).expect("a snapshot");
            let (snapshot, _) = decode_metadata(&file).expect("a snapshot");
            let mut opener = Opener::new(
                &storage,
                file.directory.clone(),
                file.bytes.clone(),
                vec![],
                InFlight::default(),
            );
            let (mut databases, mut directories) = (Vec::new(), Vec::new());
            for operator in &snapshot.operators {
                for subtask in &operator.subtasks {
                    for (state, database) in subtask.managed_keyed.iter().flat_map(KeyedState::databases) {
                        let chosen = Chosen { operator, subtask: subtask.index, state, database };
                        let plan =
                            Materialization::plan(&mut opener, &snapshot, &chosen).expect("a database");
                        let target = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
                        let mut write = |piece: Piece<'_>| {
                            let mut file = std::fs::File::options();
                            let mut file =
                                file.create(true).append(true).open(target.path().join(piece.name))?;
                            std::io::Write::write_all(&mut file, piece.bytes)
                        };
                        plan.copy(&mut opener, &snapshot, &mut write).expect("a copy");
                        let open = Database::open(target.path()).expect("a database");
                        databases.push((open, operator.key_bounds(state.key_groups)));
                        directories.push(target);
                    }
                }
            }
            Self { databases, _directories: directories }
        }

        /// Rows and their bytes.
        pub(super) fn live(&self) -> (u64, u64) {
            let (mut rows, mut bytes) = (0, 0);
            for (database, bounds) in &self.databases {
                for family in database.column_families() {
                    let mut each = |key: &[u8], value: &[u8]| bytes += (key.len() + value.len()) as u64;
                    rows += database.for_each_live(family, bounds, &mut each).expect("rows");
                }
            }
            (rows, bytes)
        }
    }
}

/// The best time of each thing that is measured, in seconds.
#[derive(Default)]
struct Times {
    best: BTreeMap<&'static str, f64>,
    /// What is measured, if not all is.
    only: Option<String>,
}

impl Times {
    fn measure<T: Default>(&mut self, what: &'static str, run: impl FnOnce() -> T) -> T {
        if self.only.as_ref().is_some_and(|only| only != what) {
            return T::default();
        }
        let start = Instant::now();
        let result = run();
        let time = start.elapsed().as_secs_f64();
        let best = self.best.entry(what).or_insert(f64::INFINITY);
        *best = best.min(time);
        result
    }

    fn of(&self, what: &str) -> f64 {
        self.best.get(what).copied().unwrap_or(f64::NAN)
    }
}

fn measure(name: &str, path: &Path, rounds: usize, only: Option<&str>) {
    let reading = open(path);
    let settings = Settings::new(ReferenceTime { at_ms: 1_900_000_000_000, witness: Witness::Given });
    let SnapshotReading { snapshot, details, tables, .. } = &reading;
    let scan = Scan::plan(Input { snapshot, details, tables, settings: &settings }, &|_, _| true);
    #[cfg(feature = "rocksdb")]
    let databases = engine::Databases::new(path);
    let mut times = Times { only: only.map(str::to_owned), ..Times::default() };
    let (mut entries, mut rows) = (0, Count::default());
    // In turns, so that whatever else the machine does hits all alike.
    for _ in 0..rounds {
        times.measure("uncompress", || physical(&reading, 1, false));
        entries = times.measure("walk", || physical(&reading, 1, true));
        rows = times.measure("live", || live(&scan, 1));
        let analyzed = times.measure("analyze", || analyze(&scan, 1));
        assert!(only.is_some() || analyzed == rows.rows);
        #[cfg(feature = "rocksdb")]
        {
            let (theirs, bytes) = times.measure("rocksdb", || databases.live());
            assert!(only.is_some() || theirs == rows.rows);
            // Delimiters between operands are no part of what is handed out here.
            assert!(only.is_some() || bytes >= rows.bytes);
        }
        times.measure("uncompress 2", || physical(&reading, 2, false));
        times.measure("live 2", || live(&scan, 2));
        times.measure("analyze 2", || analyze(&scan, 2));
    }
    println!(
        "\n{name}: {} bytes, {entries} entries, {} rows, {} splits",
        scan.bytes(),
        rows.rows,
        scan.splits()
    );
    for (what, time) in &times.best {
        println!("  {what:14} {time:8.3} s  {:6.1} ns/row", time * 1e9 / rows.rows.max(1) as f64);
    }
    if only.is_some() {
        return;
    }
    let ratio = |a: &str, b: &str| times.of(a) / times.of(b);
    println!("  walk with checksums / uncompress: {:.2}", ratio("walk", "uncompress"));
    println!("  analyze / live:                   {:.2}", ratio("analyze", "live"));
    println!(
        "  two threads: uncompress {:.2} ×, live {:.2} ×, analyze {:.2} ×",
        ratio("uncompress", "uncompress 2"),
        ratio("live", "live 2"),
        ratio("analyze", "analyze 2")
    );
    if cfg!(feature = "rocksdb") {
        println!("  RocksDB's iterator / live:        {:.2}", ratio("rocksdb", "live"));
        println!("  RocksDB's iterator / analyze:     {:.2}", ratio("rocksdb", "analyze"));
    }
}

fn main() {
    let mut rounds = 3;
    let (mut smoke, mut only, mut paths) = (false, None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" | "--test" => (smoke, rounds) = (true, 1),
            "--bench" => {}
            "--rounds" => rounds = arguments.next().and_then(|n| n.parse().ok()).expect("a number of rounds"),
            "--only" => only = arguments.next(),
            path => paths.push(PathBuf::from(path)),
        }
    }
    if !paths.is_empty() {
        paths.iter().for_each(|path| measure(&path.display().to_string(), path, rounds, only.as_deref()));
        return;
    }
    #[cfg(not(feature = "rocksdb"))]
    {
        assert!(smoke, "name a snapshot, or use --features rocksdb to have large ones made");
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fixtures/levels-2.3/data");
        let job = std::fs::read_dir(fixture).expect("the fixture").next().expect("a job").expect("a job");
        measure("levels-2.3", &job.path(), rounds, only.as_deref());
    }
    #[cfg(feature = "rocksdb")]
    {
        let entries = if smoke { 80_000 } else { 8_000_000 };
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scan");
        for (runs, compression) in
            [(3, "kSnappyCompression"), (3, "kLZ4Compression"), (7, "kZSTD"), (3, "kNoCompression")]
        {
            let synthetic = synthetic::Synthetic { entries, runs, compression, checksum: "kXXH3" };
            measure(
                &format!("{runs} runs, {compression}"),
                &synthetic.snapshot(&cache),
                rounds,
                only.as_deref(),
            );
        }
    }
}
