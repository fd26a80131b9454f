//! Composite keys: the snapshots of key and namespace, or of a timer, a byte that chooses, perhaps the snapshot of a
//! user key, and a key, whose hash is asked for, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::key::{KeyGroupPrefix, KeyHash, KeyLayout, key_group};
use statescope_formats::flink::serializer::{SerializerSnapshot, read_versioned};
use statescope_formats::flink::value::KryoVersion;
use statescope_formats_fuzz::touch;

fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::new(data);
    let Some(key) = snapshot(&mut cursor) else { return };
    let is_timer = KeyLayout::timer(KeyGroupPrefix::One, &key).is_some();
    let namespace = if is_timer { None } else { snapshot(&mut cursor) };
    let Ok(choice) = cursor.u8() else { return };
    let prefix = if choice & 1 == 0 { KeyGroupPrefix::One } else { KeyGroupPrefix::Two };
    let user_key = if choice & 2 == 0 { None } else { snapshot(&mut cursor) };
    let layout = match namespace {
        Some(namespace) => Some(KeyLayout::state(prefix, &key, &namespace, user_key.as_ref())),
        None => KeyLayout::timer(prefix, &key),
    };
    let Some(layout) = layout else { return };
    let composite = cursor.rest();
    let end = layout.key_end(composite);
    match layout.cut(composite) {
        Ok(cut) => {
            assert_eq!(end, Ok(cut.namespace.start));
            assert!(cut.key.start <= cut.key.end && cut.key.end <= cut.namespace.start);
            assert!(cut.namespace.end <= cut.user_key.start && cut.user_key.end == composite.len());
            touch(&(composite[cut.key].len(), composite[cut.namespace].len(), composite[cut.user_key].len()));
        }
        Err(uncut) => touch(&(uncut.why.to_string(), uncut.key_group)),
    }
    assert!(end.is_err() || end.is_ok_and(|end| end <= composite.len()));
    touch(&layout.timestamp(composite));
    for kryo in [KryoVersion::Two, KryoVersion::Five] {
        let hash = KeyHash::compile(&key, kryo).hash(composite);
        assert!(hash.is_none_or(|hash| key_group(hash, 128) < 128));
    }
});

/// A snapshot that can be read, so that the next one can be.
fn snapshot(cursor: &mut Cursor<'_>) -> Option<SerializerSnapshot> {
    let read = read_versioned(cursor);
    read.stop.is_none().then_some(read.snapshot)
}
