//! Range-deletion blocks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::rocksdb::range_del::RangeTombstone;
use statescope_formats_fuzz::walk;

fuzz_target!(|data: &[u8]| {
    let own = walk(RangeTombstone::decode_all(data, 0, None), 0, data.len());
    let given = walk(RangeTombstone::decode_all(data, 0, Some(7)), 0, data.len());
    assert_eq!(own.map(|own| own.len()), given.as_ref().map(Vec::len));
    assert!(given.into_iter().flatten().all(|tombstone| tombstone.sequence == 7));
});
