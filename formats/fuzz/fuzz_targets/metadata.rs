//! Flink's `_metadata`, and the checkpoint properties at its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Limits;
use statescope_formats::flink::metadata::{CheckpointProperties, Metadata};
use statescope_formats_fuzz::{check, walk};

fuzz_target!(|data: &[u8]| {
    let whole = Metadata::decode(data).is_ok();
    let partial = Metadata::decode_partial(data, Limits::default());
    let Some((metadata, error)) = walk(partial, 0, data.len()) else { return };
    assert_eq!(whole, error.is_none());
    if let Some(error) = &error {
        check(error, 0, data.len());
    } else {
        assert_eq!(metadata.tally.total(), data.len() as u64, "every byte is accounted for");
    }
    if let Some((base, bytes)) = metadata.properties {
        walk(CheckpointProperties::decode(bytes, base), base, bytes.len());
    }
    let few = Limits { max_depth: 2, max_items: 16 };
    if let Some((_, Some(error))) = walk(Metadata::decode_partial(data, few), 0, data.len()) {
        check(&error, 0, data.len());
    }
});
