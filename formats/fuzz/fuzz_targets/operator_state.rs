//! A stream of operator state: its meta data, its parts, and the entries of its broadcast states.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::operator_state::{BroadcastEntries, OperatorStateParts};
use statescope_formats::flink::state_meta::{End, OperatorBackendMeta, SerializerKey};
use statescope_formats::flink::value::{JsonLimits, JsonSink, KryoVersion, ValueDecoder};
use statescope_formats_fuzz::{check, touch};

/// Uncompressed bytes of a part.
const LARGEST: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    // Where parts begin is not in the stream.
    let Some((&[a, b, c], stream)) = data.split_first_chunk() else { return };
    let Ok(meta) = OperatorBackendMeta::parse(&mut Cursor::new(stream), End::Unknown) else { return };
    let begin = i64::try_from(meta.end.unwrap_or(0)).unwrap();
    let offsets = [begin, begin + i64::from(a), begin + i64::from(b) * 4, i64::from(c) - 1];
    let whole = if c & 1 == 0 { stream } else { &stream[..stream.len() / 2] };
    let parts = OperatorStateParts::new(whole, stream.len() as u64, meta.compressed, offsets.into_iter());
    let serializers = meta.states.iter().chain(&meta.broadcast_states).flat_map(|state| {
        let of = |key| state.serializer(&key).map(|it| ValueDecoder::compile(it, KryoVersion::Two));
        of(SerializerKey::Key).zip(of(SerializerKey::Value))
    });
    let decoders: Vec<_> = serializers.take(4).collect();
    for offset in offsets {
        assert!(parts.stored(offset) <= stream.len() as u64);
        let part = match parts.part(offset, LARGEST) {
            Ok(Some(part)) => part,
            Ok(None) => continue,
            Err(error) => {
                check(&error, 0, stream.len());
                continue;
            }
        };
        assert!(part.bytes.len() <= LARGEST);
        for (key, value) in &decoders {
            let Ok(mut entries) = BroadcastEntries::new(&part) else { continue };
            let limits = JsonLimits { value: 1 << 12, opaque: 16 };
            for _ in 0..64 {
                let (mut of_key, mut of_value) = (Vec::new(), Vec::new());
                let (mut keys, mut values) =
                    (JsonSink::new(&mut of_key, limits), JsonSink::new(&mut of_value, limits));
                let Some(decoded) = entries.next((key, value), &mut keys, &mut values) else { break };
                touch(&decoded);
            }
            touch(&entries.rest());
        }
    }
});
