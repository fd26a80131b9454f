//! Key groups of full streams: meta data, and behind it the bytes of a key group, in pieces and compressed too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::full_snapshot::{
    CanonicalGroup, EmptyGroup, Frame, HeapGroup, HeapLayout, KeyGroupRows, Next, SnappyFrames, Step,
    TimerGroup, extents,
};
use statescope_formats::flink::key::KeyGroupPrefix;
use statescope_formats::flink::state_meta::{End, KeyedBackendMeta, TimerServices};
use statescope_formats::flink::value::KryoVersion;
use statescope_formats_fuzz::{check, touch};

fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::new(data);
    let meta = KeyedBackendMeta::parse(&mut cursor, End::Unknown).ok();
    let rest = cursor.rest();
    let mut plain = Vec::new();
    frames(rest, &mut plain);
    for bytes in [rest, &plain] {
        let group = u32::from(bytes.get(6).copied().unwrap_or(0) & 0x7F);
        rows(&mut CanonicalGroup::new(group, KeyGroupPrefix::One, 3, 0), bytes);
        let Some(meta) = &meta else { continue };
        let layout = HeapLayout::new(1 << 15, meta, KryoVersion::Five);
        rows(&mut HeapGroup::new(&layout, group, 0), bytes);
    }
    let services = TimerServices::parse(&mut Cursor::new(data), |_, _| Ok(false));
    let names: Vec<String> =
        services.into_iter().flat_map(|services| services.services).map(|service| service.name).collect();
    rows(&mut TimerGroup::new(&names, 1, KeyGroupPrefix::One, 0), data);
    let offsets: Vec<i64> = data.chunks_exact(8).map(|b| i64::from_be_bytes(b.try_into().unwrap())).collect();
    for empty in [EmptyGroup::Zero, EmptyGroup::Negative] {
        for extent in extents(&offsets, data.len() as u64, empty).into_iter().flatten().flatten() {
            assert!(extent.start <= extent.end && extent.end <= data.len() as u64);
        }
    }
});

fn frames(bytes: &[u8], out: &mut Vec<u8>) {
    let mut frames = SnappyFrames::new(0, bytes.first() == Some(&1));
    let mut from = 0;
    while from < bytes.len() && out.len() < 1 << 20 {
        let before = out.len();
        match frames.next(&bytes[from..], true, out) {
            Ok(Frame::Stream { taken }) => from += taken,
            Ok(Frame::Chunk { taken, uncompressed }) => {
                assert_eq!(out.len() - before, uncompressed);
                from += taken;
            }
            Ok(Frame::NeedBytes(_)) => unreachable!("nothing follows"),
            Err(error) => return check(&error, 0, bytes.len()),
        }
    }
}

/// All rows of a key group, which gets its bytes in pieces.
fn rows(group: &mut dyn KeyGroupRows, bytes: &[u8]) {
    let (mut from, mut to) = (0, 0);
    loop {
        let Next { step, taken } = match group.next(&bytes[from..to], to == bytes.len()) {
            Ok(next) => next,
            Err(error) => return check(&error, 0, bytes.len()),
        };
        touch(&step);
        match step {
            Step::NeedBytes(n) => {
                assert!(n > to - from && to < bytes.len());
                to = (to + 7).min(bytes.len());
            }
            Step::Stopped(_) => {
                let (mut rows, rest) = (0, &bytes[from..]);
                if group.divide(rest, &mut |_, value| {
                    assert!(value.len() <= rest.len());
                    rows += 1;
                }) {
                    assert!(rows > 0 && rows <= rest.len());
                }
                return;
            }
            Step::End => return,
            Step::Going | Step::State { .. } | Step::Row { .. } => {}
        }
        from += taken;
        assert!(from <= to);
    }
}
