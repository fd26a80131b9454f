//! Values of any serializer: a snapshot, and behind it the bytes of a value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::serializer::read_versioned;
use statescope_formats::flink::state_meta::{KeyedStateType, StateKind};
use statescope_formats::flink::walk::{Elements, StateValueLayout, Walked, Walker};
use statescope_formats_fuzz::touch;

fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::new(data);
    let read = read_versioned(&mut cursor);
    // Behind what could not be read, a value may stand anywhere.
    let value = if read.stop.is_none() { cursor.rest() } else { data };
    let walker = Walker::compile(&read.snapshot);
    touch(&(walker.stops(), walker.stop(), walker.kryo(), walker.declared_len()));
    check(&walker, walker.walk(value), value);
    if let Walked::End(end) = walker.walk(value) {
        assert!(walker.fixed_len().is_none_or(|n| n == end));
        assert_eq!(walker.walk_all(&value[..end]), Walked::End(end));
        // One byte less is too few, unless nothing was read of it.
        if let Some(last) = end.checked_sub(1) {
            assert!(!matches!(walker.walk(&value[..last]), Walked::End(_)));
        }
    }
    for kind in [KeyedStateType::Value, KeyedStateType::List, KeyedStateType::Map] {
        for kind in [StateKind::KeyValue(kind), StateKind::KeyValueV2(kind)] {
            let Some(layout) = StateValueLayout::compile(kind, &read.snapshot) else { continue };
            let (mut met, mut length) = (0, 0);
            let elements = layout.for_each_element(value, b",", |_, element| {
                met += 1;
                length += element.len();
            });
            assert!(length <= value.len());
            match elements {
                Elements::All { count } | Elements::Bad { count, .. } => assert_eq!(count, met),
                Elements::NotWalked { count, at, stop, .. } => {
                    assert_eq!(count, met);
                    assert!(at <= value.len() && stop < layout.walker().stops().len());
                }
            }
            check(layout.walker(), layout.walk(value, b","), value);
            touch(&(layout.timestamp(value), layout.kryo()));
        }
    }
});

fn check(walker: &Walker, walked: Walked, value: &[u8]) {
    match walked {
        Walked::End(end) => assert!(end <= value.len()),
        Walked::Stopped { at, stop } => {
            assert!(at <= value.len());
            touch(&walker.stops()[stop].to_string());
        }
        Walked::Bad(bad) => assert!(bad.at <= value.len(), "{bad}"),
    }
}
