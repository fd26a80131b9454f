//! What high availability keeps of completed checkpoints, and the pointers to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Limits;
use statescope_formats::flink::ha::{CompletedCheckpoint, Pointer};
use statescope_formats_fuzz::walk;

fuzz_target!(|data: &[u8]| {
    for limits in [Limits::default(), Limits { max_depth: 8, max_items: 64 }] {
        walk(CompletedCheckpoint::decode(data, limits), 0, data.len());
        walk(Pointer::decode(data, limits), 0, data.len());
    }
});
