//! Serializer snapshots, with and without the frame of the outermost one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::serializer::{SnapshotRead, read_proxy, read_versioned};
use statescope_formats_fuzz::{check, touch, walk, walk_state};

fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::new(data);
    if let Some(read) = walk(read_proxy(&mut cursor), 0, data.len()) {
        both(&read, data.len());
    }
    both(&read_versioned(&mut Cursor::new(data)), data.len());
});

fn both(read: &SnapshotRead, length: usize) {
    walk_state("outermost", &read.snapshot, length);
    touch(read);
    match &read.stop {
        None => assert!(read.snapshot.length.is_some()),
        Some(stop) => {
            if let Some(error) = &stop.error {
                check(error, 0, length);
            }
            assert!(stop.offset <= length as u64 && stop.resume_from <= length as u64, "{stop:?}");
        }
    }
}
