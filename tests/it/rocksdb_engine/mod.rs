//! Who says what is live, against RocksDB itself (feature `rocksdb`): on all fixtures, and on databases of all shapes.

mod analyze;
mod random;
#[path = "../../../benches/support/synthetic.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use statescope::model::KeyBounds;
use statescope::reference::Database;
use statescope::storage::{LocalStorage, Location};
use statescope_formats::rocksdb::internal_key::ValueType;
use statescope_formats::rocksdb::tail::{TableTail, TailStep};
use statescope_formats::rocksdb::unsupported::Unsupported;

use synthetic::Synthetic;
use tempfile::TempDir;

use super::live::{LiveView, Naive, Scanned, compare, snapshot, version};
use super::support::{Ask, Dice, fixtures, has_error, materialized, see};

/// RocksDB's own iterator.
#[derive(Debug)]
struct RocksDb;

impl LiveView for RocksDb {
    fn for_each(
        &self,
        directory: &Path,
        column_family: &str,
        bounds: &KeyBounds,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        let database = Database::open(directory).unwrap();
        database.for_each_live(column_family, bounds, each).unwrap();
    }
}

/// Compares all other views of a database with RocksDB's, and returns how many rows there are within these bounds.
fn same(directory: &Path, bounds: &[KeyBounds], label: &str) -> usize {
    let mut rows = 0;
    for family in version(directory).live_column_families().map(|family| &family.name) {
        for bounds in bounds {
            let mut views: Vec<(&str, &dyn LiveView)> = vec![("naive", &Naive)];
            if !bounds.lower.is_empty() {
                views.push(("scanned", &Scanned));
            }
            for (name, view) in views {
                rows += compare(view, &RocksDb, directory, family, bounds)
                    .unwrap_or_else(|difference| panic!("{name}: {difference} in {bounds:?}\n{label}"));
            }
        }
    }
    rows
}

/// Every database of every fixture, within its handle's key groups and without bounds.
#[test]
fn rocksdb_engine_sees_the_same_rows_in_all_fixtures() {
    let (mut databases, mut rows) = (0, 0);
    for fixture in fixtures().iter().filter(|f| f.rocksdb().is_some()) {
        for path in fixture.snapshots() {
            for database in materialized(fixture, &path) {
                if is_too_old(database.path()) {
                    let error = Database::open(database.path())
                        .and_then(|db| db.for_each_live("v_long", &KeyBounds::default(), &mut |_, _| {}));
                    assert!(error.is_err(), "{}: not for this release to read", database.label);
                    continue;
                }
                drop(Database::open(database.path()).unwrap());
                let left: Vec<_> = fs::read_dir(database.path()).unwrap().collect();
                assert_eq!(left.len(), database.plan.files.len(), "{}: it wrote something", database.label);
                let bounds = [database.bounds.clone(), KeyBounds::default()];
                rows += same(database.path(), &bounds, &database.label);
                databases += 1;
            }
        }
    }
    assert!(databases > 100 && rows > 10_000, "{databases} databases, {rows} rows");
}

/// Whether tables have format version 0 or 1.
fn is_too_old(directory: &Path) -> bool {
    tails(directory).iter().any(|tail| tail.footer.format_version < 2)
}

fn tails(directory: &Path) -> Vec<TableTail> {
    let version = version(directory);
    let tails = version.live_files().map(|(_, live)| {
        let bytes = fs::read(directory.join(format!("{:06}.sst", live.file.number))).unwrap();
        match TableTail::decode(&bytes, bytes.len() as u64).unwrap() {
            TailStep::Done(tail) => *tail,
            TailStep::NeedBytes { .. } => panic!("all bytes are there"),
        }
    });
    tails.collect()
}

/// What tables are made of, with how many there are of each.
type Shapes = BTreeMap<String, usize>;

fn note(directory: &Path, shapes: &mut Shapes) {
    let mut seen = |what: String| *shapes.entry(what).or_default() += 1;
    for (_, live) in version(directory).live_files() {
        seen(format!("level {}", live.level.min(2)));
        if live.file.largest.value_type == ValueType::RangeDeletion {
            seen("bounded by a range deletion".to_owned());
        }
    }
    for tail in tails(directory) {
        assert_eq!(Unsupported::of(&tail, None, None), None);
        let properties = tail.properties.as_ref().unwrap();
        seen(format!("format version {}", tail.footer.format_version));
        seen(format!("checksum {:?}", tail.footer.checksum.checksum_type));
        seen(format!("index {:?}", properties.index_type));
        seen(format!("compression {}", properties.compression.as_deref().unwrap_or("?")));
        if tail.compression_dict().is_some() {
            seen("dictionary".to_owned());
        }
        if properties.external_sst_file_version.is_some() {
            seen("ingested".to_owned());
        }
        for (what, count) in [
            ("deletions", properties.num_deletions),
            ("merge operands", properties.num_merge_operands),
            ("range deletions", properties.num_range_deletions),
        ] {
            if count.unwrap_or(0) > 0 {
                seen(what.to_owned());
            }
        }
    }
}

/// In memory where that is possible: RocksDB waits for the disk whenever it makes a file.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Databases of all shapes. `STATESCOPE_SEEDS=FROM..TO` makes others.
#[test]
fn rocksdb_engine_sees_the_same_rows_in_random_databases() {
    let seeds = std::env::var("STATESCOPE_SEEDS").ok();
    let seeds = seeds.as_ref().map_or(0..60, |text| {
        let (from, to) = text.split_once("..").expect("STATESCOPE_SEEDS=FROM..TO");
        from.parse().unwrap()..to.parse().unwrap()
    });
    let all = seeds.end - seeds.start >= 60;
    let (mut shapes, mut rows) = (Shapes::new(), 0);
    for seed in seeds {
        let directory = directory();
        let label = random::make(directory.path(), seed);
        let mut dice = Dice::new(seed);
        let group = dice.below(usize::from(random::KEY_GROUPS)) as u8;
        let some = KeyBounds { lower: vec![group], upper: Some(vec![group + 1 + dice.below(4) as u8]) };
        let all = KeyBounds { lower: vec![0], upper: Some(vec![0x80]) };
        rows += same(directory.path(), &[KeyBounds::default(), all, some], &label);
        note(directory.path(), &mut shapes);
    }
    println!("{rows} rows; {shapes:#?}");
    if all {
        assert!(rows > 10_000, "{rows} rows");
        for (what, kinds) in
            [("format version", 6), ("checksum", 5), ("index", 4), ("compression", 7), ("level", 3)]
        {
            let seen: Vec<_> = shapes.keys().filter(|shape| shape.starts_with(what)).collect();
            assert!(seen.len() >= kinds, "{what}: {seen:?}");
        }
        for what in [
            "dictionary",
            "ingested",
            "deletions",
            "merge operands",
            "range deletions",
            "bounded by a range deletion",
        ] {
            assert!(shapes.get(what).is_some_and(|&count| count >= 10), "{what}: {shapes:#?}");
        }
    }
}

#[test]
fn rocksdb_engine_says_what_is_wrong() {
    let nowhere = tempfile::tempdir().unwrap();
    let error = Database::open(nowhere.path()).unwrap_err().to_string();
    assert!(error.contains("CURRENT") && error.contains(nowhere.path().to_str().unwrap()), "{error}");
    let made = directory();
    random::make(made.path(), 1);
    let database = Database::open(made.path()).unwrap();
    let rows = |family: &str, bounds: &KeyBounds| database.for_each_live(family, bounds, &mut |_, _| {});
    let all = KeyBounds::default();
    assert!(rows("default", &all).unwrap() > 0);
    assert!(rows("no such", &all).unwrap_err().to_string().contains("no such"));
    // Bounds that hold nothing, also the wrong way round.
    for (lower, upper) in [(vec![], vec![]), (vec![3], vec![3]), (vec![5], vec![2])] {
        assert_eq!(rows("default", &KeyBounds { lower, upper: Some(upper) }), Ok(0));
    }
    // A flipped bit in a block is an error and not the end of the rows.
    let mut damaged = 0;
    for (_, live) in version(made.path()).live_files() {
        let path = made.path().join(format!("{:06}.sst", live.file.number));
        let mut bytes = fs::read(&path).unwrap();
        bytes[10] ^= 1;
        fs::write(&path, bytes).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0);
    let database = Database::open(made.path()).unwrap();
    let families = database.column_families().to_vec();
    let errors: Vec<_> = families
        .iter()
        .filter_map(|family| database.for_each_live(family, &all, &mut |_, _| {}).err())
        .map(|error| error.to_string())
        .collect();
    println!("{errors:?}");
    assert!(errors.iter().any(|error| error.contains("mismatch") || error.contains("orrupt")), "{errors:?}");
}

/// What benches measure is a snapshot, and a database of the shape that it is said to have.
#[test]
fn rocksdb_engine_opens_synthetic_snapshots() {
    let cache = directory();
    for (runs, compression) in [(3, "kSnappyCompression"), (7, "kZSTD"), (1, "kNoCompression")] {
        let synthetic = Synthetic { entries: 20_000, runs, compression, checksum: "kXXH3" };
        let directory = synthetic.snapshot(cache.path());
        let made = fs::metadata(directory.join("_metadata")).unwrap().modified().unwrap();
        assert_eq!(synthetic.snapshot(cache.path()), directory);
        assert_eq!(fs::metadata(directory.join("_metadata")).unwrap().modified().unwrap(), made, "made once");
        let at = Location::from_local_path(&directory).unwrap();
        let seen = see(&LocalStorage::new(), &at, &Ask::properties());
        assert!(!has_error(&seen.overview), "{:#?}", seen.overview.findings);
        let state = seen.overview.states.iter().find(|state| state.name == synthetic::STATE).unwrap();
        assert_eq!((state.kind, &*state.type_text), ("map", "MapState<String, List<Long>>"));
        assert_eq!(state.sst_files, Some(runs));
        let properties = state.properties.as_ref().unwrap();
        // All keys, and those that are overwritten or deleted once more.
        let entries = properties.entries;
        assert!((20_000..=22_000).contains(&entries), "{entries} entries");
        assert_eq!(properties.deletions > 0, runs > 1, "{properties:?}");
        let rows = same(&directory, &[KeyBounds::default()], "synthetic");
        assert!(rows > 19_000 && (rows as u64) <= entries, "{rows} rows");
    }
}
