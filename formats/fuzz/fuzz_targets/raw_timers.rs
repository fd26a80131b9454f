//! Timers of one key group in raw keyed state.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::state_meta::TimerServices;
use statescope_formats_fuzz::{check, walk, walk_state};

fuzz_target!(|data: &[u8]| {
    // Values of a serializer: of some fixed length, none at all, or of a length that is not known.
    for step in [Some(8), Some(0), None] {
        let mut cursor = Cursor::new(data);
        let timers = TimerServices::parse(&mut cursor, |_, cursor| match step {
            Some(length) => cursor.skip(length).map(|()| true),
            None => Ok(false),
        });
        let Some(timers) = walk(timers, 0, data.len()) else { continue };
        assert!(timers.services.len() <= timers.count);
        if let Some(error) = &timers.error {
            check(error, 0, data.len());
        }
        for service in &timers.services {
            walk_state(&service.name, &service.key_serializer, data.len());
            walk_state(&service.name, &service.namespace_serializer, data.len());
        }
    }
});
