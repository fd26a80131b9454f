//! Meta data of a keyed backend.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::state_meta::{End, KeyedBackendMeta};
use statescope_formats_fuzz::{check, walk, walk_state};

fuzz_target!(|data: &[u8]| {
    for end in [End::Eof, End::Unknown, End::DataAt(data.len() as u64 / 2)] {
        let mut cursor = Cursor::new(data);
        let Some(meta) = walk(KeyedBackendMeta::parse(&mut cursor, end), 0, data.len()) else { continue };
        walk_state("keys", &meta.key_serializer, data.len());
        for state in &meta.states {
            for (_, serializer) in &state.serializers {
                walk_state(&state.name, serializer, data.len());
            }
            statescope_formats_fuzz::touch(&(state.has_ttl(), state.kryo_paths(), state.opaque_paths()));
        }
        if let Some(error) = &meta.error {
            check(error, 0, data.len());
        }
        assert!(meta.end.is_none_or(|end| end <= data.len() as u64));
        if meta.error.is_some() {
            let kept = !meta.skipped.is_empty() || !meta.states.is_empty();
            assert!(kept, "an error is only tolerated behind something that was read");
            assert_eq!(meta.end, None);
        }
    }
});
