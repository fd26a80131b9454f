//! Java's object serialization streams, and the checkpoint properties that are one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::metadata::CheckpointProperties;
use statescope_formats::java::stream::JavaStream;
use statescope_formats_fuzz::{walk, walk_java};

fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::at(data, 9);
    let before = cursor.offset();
    match walk(JavaStream::parse(&mut cursor), 9, data.len()) {
        Some(stream) => walk_java(&stream),
        None => assert_eq!(cursor.offset(), before, "a failed parse leaves the cursor"),
    }
    walk(CheckpointProperties::decode(data, 9), 9, data.len());
});
