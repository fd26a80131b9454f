//! RocksDB's `OPTIONS`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::rocksdb::options::Options;
use statescope_formats_fuzz::{touch, walk};

fuzz_target!(|data: &[u8]| {
    let Some(options) = walk(Options::decode(data), 0, data.len()) else { return };
    touch(&(options.rocksdb_version(), options.options_file_version()));
    for family in &options.column_families {
        assert!(options.column_family(&family.name).is_some());
        touch(&(family.comparator(), family.merge_operator(), family.num_levels(), family.ttl()));
        touch(&(family.compression(), family.compression_per_level(), family.bottommost_compression()));
        touch(&(
            family.compaction_filter_factory(),
            family.target_file_size_base(),
            family.write_buffer_size(),
        ));
        if let Some(table) = &family.table {
            touch(&(table.block_size(), table.index_type(), table.filter_policy(), table.format_version()));
        }
    }
});
