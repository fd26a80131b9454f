//! Filters, and indexes of their partitions: a byte that says how long a key is, the key, and the contents of a block.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::rocksdb::filter::{Filter, partition_of};
use statescope_formats::rocksdb::index::IndexFormat;
use statescope_formats::rocksdb::properties::IndexType;
use statescope_formats_fuzz::{touch, walk};

const LIMIT: u64 = 1 << 40;

fuzz_target!(|data: &[u8]| {
    let Some((&length, rest)) = data.split_first() else { return };
    let Some((key, contents)) = rest.split_at_checked(length.into()) else { return };
    for contents in [contents, data] {
        let filter = Filter::decode(contents);
        assert!(filter.may_contain(key) || filter.unknown().is_none());
        assert!(filter.unknown().is_none_or(|why| !why.to_string().is_empty()));
        touch(&filter);
        for user_keys in [false, true] {
            for delta_values in [false, true] {
                let format = IndexFormat {
                    index_type: IndexType::BinarySearch,
                    user_keys,
                    delta_values,
                    limit: LIMIT,
                };
                let found = walk(partition_of(contents, 0, format, key), 0, contents.len());
                assert!(found.flatten().is_none_or(|handle| handle.end() <= LIMIT));
            }
        }
    }
});
