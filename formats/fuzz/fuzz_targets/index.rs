//! Index blocks, in every encoding: gone over, and sought in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Error;
use statescope_formats::rocksdb::index::{IndexBlock, IndexEntries, IndexFormat};
use statescope_formats::rocksdb::properties::IndexType;
use statescope_formats_fuzz::{check, touch, walk};

const LIMIT: u64 = 1 << 40;

fuzz_target!(|data: &[u8]| {
    for user_keys in [false, true] {
        for delta_values in [false, true] {
            for index_type in [IndexType::BinarySearch, IndexType::BinarySearchWithFirstKey] {
                index(data, IndexFormat { index_type, user_keys, delta_values, limit: LIMIT });
            }
        }
    }
});

fn index(contents: &[u8], format: IndexFormat) {
    let Some(block) = walk(IndexBlock::new(contents, 0, format), 0, contents.len()) else { return };
    let keys = go(block.entries(), format, contents.len());
    for key in keys.iter().map(Vec::as_slice).take(8).chain([&b""[..], &[0xff; 4]]) {
        match block.seek(key) {
            Ok(entries) => {
                let found = go(entries, format, contents.len());
                assert!(found.first().is_none_or(|first| first.as_slice() >= key));
            }
            Err(error) => check(&error, 0, contents.len()),
        }
    }
}

/// The separators of what is left.
fn go(mut entries: IndexEntries<'_>, format: IndexFormat, length: usize) -> Vec<Vec<u8>> {
    let (mut keys, mut end) = (Vec::new(), 0);
    let failed: Option<Error> = loop {
        match entries.next() {
            Ok(Some(entry)) => {
                touch(&entry);
                assert!(end <= entry.handle.offset && entry.handle.end() <= LIMIT);
                assert_eq!(entry.trailer.is_none(), format.user_keys);
                assert_eq!(entry.first_key.is_some(), format.has_first_keys());
                end = entry.handle.end();
                keys.push(entry.separator.to_vec());
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Some(error) = failed {
        check(&error, 0, length);
        assert!(matches!(entries.next(), Ok(None)), "an entry behind an error");
    }
    keys
}
