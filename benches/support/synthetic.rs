//! Large snapshots made through RocksDB, with Flink's key layout: what is measured where no real checkpoint is at hand
//! (feature `rocksdb`). Each is a directory that is a snapshot (`_metadata`, the backend's meta data) and, at the same
//! time, the database that RocksDB opens.
//!
//! The state is `m_string_listlong`, a `MapState<String, List<Long>>` under Long keys, of the operator `by-long` of the
//! fixture `inc-2.3`, whose meta data describes it:
//!
//! ```text
//! key:    u8 key group │ i64 BE key │ 00 (VoidNamespace) │ varint length + 1, chars: the user key    20 to 29 bytes
//! value:  00 (not null) │ i32 BE count │ i64 BE × count                                                13 to 37 bytes
//! ```
//!
//! Every run holds keys from all over the range: each key is in one run by chance, every twentieth is overwritten in
//! another one, every hundredth deleted by the last. One key in the middle has a fiftieth of all entries.
#![allow(clippy::expect_used, missing_docs, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};

use super::snapshot::Sample;
use ::rocksdb::{ColumnFamilyDescriptor, DB, MemtableFactory, Options, WriteBatch, WriteOptions};

/// The state that has the entries; the others of the operator are empty.
pub const STATE: &str = "m_string_listlong";

const MAX_PARALLELISM: u32 = 128;

/// What is made.
#[derive(Debug, Clone, Copy)]
pub struct Synthetic {
    /// Entries in all runs together, about.
    pub entries: u64,
    /// Sorted runs, each a table of level 0.
    pub runs: u64,
    /// RocksDB's name: `kSnappyCompression`, `kLZ4Compression`, `kZSTD`, `kNoCompression`.
    pub compression: &'static str,
    /// RocksDB's name: `kXXH3`, which its newer releases use, or `kCRC32c` as the older ones.
    pub checksum: &'static str,
}

impl Synthetic {
    /// Its directory below `cache`; made there if it is not yet.
    pub fn snapshot(&self, cache: &Path) -> PathBuf {
        let Self { entries, runs, compression, checksum } = self;
        let directory = cache.join(format!("{entries}-{runs}-{compression}-{checksum}")).join("chk-1");
        if !directory.join("_metadata").exists() {
            if directory.exists() {
                fs::remove_dir_all(&directory).expect("what was broken off can be removed");
            }
            fs::create_dir_all(&directory).expect("a directory");
            self.make(&directory);
        }
        directory
    }

    fn make(&self, directory: &Path) {
        let sample = Sample::read();
        let mut db_options = Options::default();
        db_options.create_if_missing(true);
        db_options.create_missing_column_families(true);
        db_options.set_allow_concurrent_memtable_write(false);
        let names = std::iter::once("default").chain(sample.states.iter().map(String::as_str));
        let descriptors = names.map(|name| ColumnFamilyDescriptor::new(name, self.family_options()));
        let db = DB::open_cf_descriptors(&db_options, directory, descriptors).expect("a database");
        let family = db.cf_handle(STATE).expect("the state");
        let keys = Keys::of(self.entries);
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for run in 0..self.runs {
            let mut batch = WriteBatch::default();
            keys.for_each(&mut |number, group, long, user_key| {
                let dice = mix(number);
                let home = dice % self.runs;
                let overwritten =
                    self.runs > 1 && (dice / 1000).is_multiple_of(20) && (home + 1) % self.runs == run;
                let last = run + 1 == self.runs;
                let deleted = last && home != run && (dice / 100_000).is_multiple_of(100);
                if home != run && !overwritten && !deleted {
                    return;
                }
                composite_key(&mut key, group, long, user_key);
                if deleted {
                    batch.delete_cf(family, &key);
                } else {
                    list(&mut value, mix(dice ^ run));
                    batch.put_cf(family, &key, &value);
                }
                if batch.len() == 1000 {
                    db.write_opt(std::mem::take(&mut batch), &write).expect("a batch");
                }
            });
            db.write_opt(batch, &write).expect("a batch");
            db.flush_cf(family).expect("a flush");
        }
        db.cancel_all_background_work(true);
        drop(db);
        sample.write(directory, MAX_PARALLELISM, 0..MAX_PARALLELISM);
    }

    fn family_options(&self) -> Options {
        let Self { compression, checksum, .. } = self;
        let table = format!("block_based_table_factory={{format_version=5;checksum={checksum}}}");
        let text = format!("merge_operator=stringappendtest;compression={compression};{table}");
        let mut options = Options::default().get_options_from_string(text).expect("options");
        // One table for each run, whatever its size, and all of them stay.
        options.set_memtable_factory(MemtableFactory::Vector);
        options.set_write_buffer_size(8 << 30);
        options.set_disable_auto_compactions(true);
        options.set_level_zero_slowdown_writes_trigger(1000);
        options.set_level_zero_stop_writes_trigger(1000);
        options
    }
}

/// Numbers without a pattern.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The key group of a Long key, as Flink's `KeyGroupRangeAssignment` finds it.
fn key_group(key: u64) -> u8 {
    // `Long.hashCode`, then one round of murmur over it with its finish (`MathUtils.murmurHash`).
    let mut code = ((key ^ (key >> 32)) as u32).wrapping_mul(0xcc9e_2d51).rotate_left(15);
    code = code.wrapping_mul(0x1b87_3593).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    code ^= 4;
    code = (code ^ (code >> 16)).wrapping_mul(0x85eb_ca6b);
    code = (code ^ (code >> 13)).wrapping_mul(0xc2b2_ae35);
    code ^= code >> 16;
    let code = match code.cast_signed() {
        i32::MIN => 0,
        code => code.unsigned_abs(),
    };
    (code % MAX_PARALLELISM) as u8
}

/// All keys, in the order of the database.
struct Keys {
    /// Key group, key, and how many user keys it has.
    keys: Vec<(u8, u64, u64)>,
}

impl Keys {
    fn of(entries: u64) -> Self {
        let hot = entries / 50;
        let mut keys = Vec::new();
        let mut left = entries - hot;
        for key in 0.. {
            if left == 0 {
                break;
            }
            let user_keys = (1 + mix(key) % 15).min(left);
            left -= user_keys;
            keys.push((key_group(key), key, user_keys));
        }
        let middle = keys.len() / 2;
        if let Some(key) = keys.get_mut(middle) {
            key.2 += hot;
        }
        keys.sort_unstable();
        Self { keys }
    }

    /// Number, key group, key and user key of each.
    fn for_each(&self, each: &mut dyn FnMut(u64, u8, u64, &str)) {
        let mut number = 0;
        let mut user_key = String::new();
        for &(group, key, user_keys) in &self.keys {
            for n in 0..user_keys {
                use std::fmt::Write;
                user_key.clear();
                // A key's user keys are all as long, so that their numbers are in order.
                let width = 6 + key as usize % 9;
                write!(user_key, "uk{n:0width$}").expect("text");
                each(number, group, key, &user_key);
                number += 1;
            }
        }
    }
}

fn composite_key(out: &mut Vec<u8>, group: u8, key: u64, user_key: &str) {
    out.clear();
    out.push(group);
    out.extend(key.to_be_bytes());
    out.push(0);
    out.push(u8::try_from(user_key.len() + 1).expect("a short text"));
    out.extend(user_key.as_bytes());
}

fn list(out: &mut Vec<u8>, dice: u64) {
    out.clear();
    out.push(0);
    let count = 1 + (dice % 4) as u32;
    out.extend(count.to_be_bytes());
    for n in 0..u64::from(count) {
        // As times are, mostly: the high bytes repeat.
        out.extend((1_700_000_000_000 + mix(dice ^ n) % 1_000_000).to_be_bytes());
    }
}
