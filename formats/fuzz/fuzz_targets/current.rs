//! RocksDB's `CURRENT`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::rocksdb::current::Current;
use statescope_formats_fuzz::walk;

fuzz_target!(|data: &[u8]| {
    walk(Current::decode(data), 0, data.len());
});
