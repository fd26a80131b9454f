//! Databases of all shapes, made by RocksDB from a seed: what overwrites, deletions, merges, range deletions,
//! ingested files, flushes and compactions leave behind, in every format of tables that RocksDB writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::rocksdb::{
    BottommostLevelCompaction, ColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB, FlushOptions,
    IngestExternalFileOptions, Options, Snapshot, SstFileWriter, WriteBatch, WriteOptions,
};

use crate::support::Dice;

/// Keys from here on are written once before they are deleted, so that single deletions may delete them.
const SINGLE: u8 = 0x70;

/// How many key groups keys begin with.
pub const KEY_GROUPS: u8 = 16;

fn pick<'a>(dice: &mut Dice, from: &[&'a str]) -> &'a str {
    from[dice.below(from.len())]
}

fn one_in(dice: &mut Dice, n: usize) -> bool {
    dice.below(n) == 0
}

fn number(dice: &mut Dice, from: usize, to: usize) -> usize {
    from + dice.below(to - from + 1)
}

const COMPRESSIONS: &[&str] = &[
    "kNoCompression",
    "kSnappyCompression",
    "kLZ4Compression",
    "kLZ4HCCompression",
    "kZSTD",
    "kZlibCompression",
    "kBZip2Compression",
];

/// Options of a column family, as RocksDB reads them from text.
fn family_options(dice: &mut Dice) -> String {
    let compression = pick(dice, COMPRESSIONS);
    let align = compression == "kNoCompression" && one_in(dice, 2);
    let bottommost = match (align, dice.below(3)) {
        (false, 0) => pick(dice, COMPRESSIONS),
        _ => "kDisableCompressionOption",
    };
    let index =
        pick(dice, &["kBinarySearch", "kHashSearch", "kTwoLevelIndexSearch", "kBinarySearchWithFirstKey"]);
    let dictionary = if one_in(dice, 2) { 0 } else { 1 << number(dice, 8, 13) };
    let train = if one_in(dice, 2) { 0 } else { dictionary * 8 };
    let codec = format!(
        "{{level=32767;strategy=0;window_bits=-14;enabled=true;max_dict_bytes={dictionary};zstd_max_train_bytes={train}}}"
    );
    let flag = |dice: &mut Dice| one_in(dice, 2);
    let table = [
        // Most real tables have version 5.
        format!("format_version={}", if one_in(dice, 3) { 5 } else { number(dice, 2, 7) }),
        format!("index_type={index}"),
        format!("checksum={}", pick(dice, &["kNoChecksum", "kCRC32c", "kxxHash", "kxxHash64", "kXXH3"])),
        format!("block_size={}", 1 << number(dice, 7, 13)),
        format!("block_restart_interval={}", number(dice, 1, 20)),
        format!("index_block_restart_interval={}", number(dice, 1, 16)),
        format!(
            "data_block_index_type={}",
            pick(dice, &["kDataBlockBinarySearch", "kDataBlockBinaryAndHash"])
        ),
        format!(
            "index_shortening={}",
            pick(dice, &["kNoShortening", "kShortenSeparators", "kShortenSeparatorsAndSuccessor"])
        ),
        format!("enable_index_compression={}", flag(dice)),
        format!("use_delta_encoding={}", !one_in(dice, 4)),
        format!("separate_key_value_in_data_block={}", one_in(dice, 4)),
        format!("block_align={align}"),
        format!("metadata_block_size={}", 1 << number(dice, 7, 12)),
        format!("partition_filters={}", index == "kTwoLevelIndexSearch" && flag(dice)),
        format!("filter_policy={}", pick(dice, &["nullptr", "bloomfilter:10:false", "ribbonfilter:10:-1"])),
    ]
    .join(";");
    let universal = one_in(dice, 4);
    [
        "merge_operator=stringappendtest".to_owned(),
        format!("block_based_table_factory={{{table}}}"),
        format!(
            "prefix_extractor={}",
            if index == "kHashSearch" || flag(dice) { "capped:2" } else { "nullptr" }
        ),
        format!("compression={compression}"),
        format!("compression_opts={codec}"),
        format!("bottommost_compression={bottommost}"),
        format!("bottommost_compression_opts={codec}"),
        format!(
            "compaction_style={}",
            if universal { "kCompactionStyleUniversal" } else { "kCompactionStyleLevel" }
        ),
        format!("num_levels={}", number(dice, 3, 7)),
        format!("write_buffer_size={}", 1 << number(dice, 16, 18)),
        format!("target_file_size_base={}", 1 << number(dice, 12, 16)),
        format!("max_bytes_for_level_base={}", 1 << number(dice, 14, 18)),
        format!("level_compaction_dynamic_level_bytes={}", flag(dice)),
        format!("level0_file_num_compaction_trigger={}", number(dice, 2, 8)),
        format!("disable_auto_compactions={}", flag(dice)),
    ]
    .join(";")
}

fn options(text: &str) -> Options {
    Options::default().get_options_from_string(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A key as Flink would write it, or anything else.
fn key(dice: &mut Dice) -> Vec<u8> {
    let group = dice.below(usize::from(KEY_GROUPS)) as u8;
    match dice.below(8) {
        0 => {
            let length = dice.below(4);
            let mut key = vec![group];
            key.extend((0..length).map(|_| [0, 1, 0x7f, 0xff][dice.below(4)]));
            key
        }
        1 => format!("{}key-{:03}-with-a-long-end", char::from(group), dice.below(200)).into_bytes(),
        2 => vec![group; 1 + dice.below(12)],
        3 if one_in(dice, 100) => vec![group; 3000],
        _ => {
            let mut key = vec![group];
            key.extend((dice.below(120) as u64).to_be_bytes());
            if one_in(dice, 2) {
                key.extend([0, 3, b'u', b'k', b'0' + dice.below(10) as u8]);
            }
            key
        }
    }
}

fn value(dice: &mut Dice) -> Vec<u8> {
    let length = match dice.below(20) {
        0 => 0,
        1 => number(dice, 200, 2000),
        2 if one_in(dice, 20) => number(dice, 10_000, 100_000),
        _ => dice.below(60),
    };
    let random = one_in(dice, 2);
    (0..length).map(|at| if random { dice.below(256) as u8 } else { b"abcabcabd"[at % 9] }).collect()
}

/// A range of keys that are not for single deletions; with whole key groups, as Flink deletes them, or with any.
fn range(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    if one_in(dice, 2) {
        let from = dice.below(usize::from(KEY_GROUPS)) as u8;
        return (vec![from], vec![from + 1 + dice.below(2) as u8]);
    }
    let (a, b) = (key(dice), key(dice));
    if a <= b { (a, b) } else { (b, a) }
}

/// Makes a database in an empty directory. The same seed makes the same entries; what RocksDB's threads make of them
/// may differ. Returns what was chosen, for messages.
pub fn make(directory: &Path, seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let names = &["default", "v_long", "_timer_state/event a:b#\u{e9}"][..number(&mut dice, 1, 3)];
    let families: BTreeMap<&str, String> =
        names.iter().map(|name| (*name, family_options(&mut dice))).collect();
    let mut db_options = Options::default();
    db_options.create_if_missing(true);
    db_options.create_missing_column_families(true);
    let descriptors = families.iter().map(|(name, text)| ColumnFamilyDescriptor::new(*name, options(text)));
    let db = DB::open_cf_descriptors(&db_options, directory, descriptors)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}: {families:#?}"));
    for (name, text) in &families {
        fill(&mut dice, &db, db.cf_handle(name).unwrap(), &options(text), directory);
    }
    db.cancel_all_background_work(true);
    format!("seed {seed}: {families:#?}")
}

fn fill(dice: &mut Dice, db: &DB, family: &ColumnFamily, options: &Options, directory: &Path) {
    let mut write = WriteOptions::default();
    write.disable_wal(true);
    let mut snapshots: Vec<Snapshot<'_>> = Vec::new();
    let mut single = BTreeSet::new();
    let steps = number(dice, 50, 4000);
    for step in 0..steps {
        match dice.below(1000) {
            0..=499 => db.put_cf_opt(family, key(dice), value(dice), &write).unwrap(),
            500..=599 => db.delete_cf_opt(family, key(dice), &write).unwrap(),
            600..=899 => db.merge_cf_opt(family, key(dice), value(dice), &write).unwrap(),
            900..=919 => {
                let (from, to) = range(dice);
                db.delete_range_cf_opt(family, from, to, &write).unwrap();
            }
            920..=969 => {
                let key = [SINGLE + dice.below(4) as u8, dice.below(40) as u8];
                if single.insert(key) {
                    db.put_cf_opt(family, key, value(dice), &write).unwrap();
                } else {
                    single.remove(&key);
                    let mut batch = WriteBatch::default();
                    batch.single_delete_cf(family, key);
                    db.write_opt(batch, &write).unwrap();
                }
            }
            970..=979 => flush(db, family),
            980..=985 => compact(dice, db, family),
            986..=989 => {
                let path = directory.join(format!("ingest-{step}"));
                ingest(dice, db, family, options, &path);
            }
            // What a snapshot sees stays when files are made while it is there.
            990..=995 => snapshots.push(db.snapshot()),
            _ => snapshots.clear(),
        }
    }
    flush(db, family);
}

fn flush(db: &DB, family: &ColumnFamily) {
    let mut wait = FlushOptions::default();
    wait.set_wait(true);
    db.flush_cf_opt(family, &wait).unwrap();
}

fn compact(dice: &mut Dice, db: &DB, family: &ColumnFamily) {
    let mut how = CompactOptions::default();
    how.set_bottommost_level_compaction(match dice.below(2) {
        0 => BottommostLevelCompaction::Skip,
        _ => BottommostLevelCompaction::Force,
    });
    if one_in(dice, 4) {
        how.set_change_level(true);
        how.set_target_level(number(dice, 1, 2) as i32);
    }
    match dice.below(3) {
        0 => db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &how),
        _ => {
            let (from, to) = range(dice);
            db.compact_range_cf_opt(family, Some(from), Some(to), &how);
        }
    }
}

/// A file that is written beside the database and then made a part of it. If it overlaps what is there, its entries
/// all get one new sequence number.
fn ingest(dice: &mut Dice, db: &DB, family: &ColumnFamily, options: &Options, path: &Path) {
    let count = number(dice, 1, 300);
    let keys: BTreeSet<Vec<u8>> = (0..count).map(|_| key(dice)).collect();
    let mut writer = SstFileWriter::create(options);
    writer.open(path).unwrap();
    for key in keys {
        match dice.below(10) {
            0 => writer.delete(key),
            1 => writer.merge(key, value(dice)),
            _ => writer.put(key, value(dice)),
        }
        .unwrap();
    }
    if one_in(dice, 3) {
        let (from, to) = range(dice);
        if from < to {
            writer.delete_range(from, to).unwrap();
        }
    }
    writer.finish().unwrap();
    let mut how = IngestExternalFileOptions::default();
    how.set_move_files(true);
    db.ingest_external_file_cf_opts(family, &how, vec![path]).unwrap();
}
