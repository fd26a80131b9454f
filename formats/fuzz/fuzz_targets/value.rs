//! Values of any serializer, decoded, and encoded again: a snapshot, and behind it the bytes of a value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::flink::serializer::read_versioned;
use statescope_formats::flink::value::{
    JsonLimits, JsonSink, KryoVersion, PathSink, PathStep, ValueDecoder, ValueEncoder, ValuePath,
};
use statescope_formats::flink::walk::{Walked, Walker};
use statescope_formats_fuzz::touch;

/// Small, so that what they cut is met.
const LIMITS: JsonLimits = JsonLimits { value: 1 << 16, opaque: 64 };

fuzz_target!(|data: &[u8]| {
    let mut cursor = Cursor::new(data);
    let read = read_versioned(&mut cursor);
    // Behind what could not be read, a value may stand anywhere.
    let value = if read.stop.is_none() { cursor.rest() } else { data };
    let walker = Walker::compile(&read.snapshot);
    for kryo in [KryoVersion::Two, KryoVersion::Five] {
        let decoder = ValueDecoder::compile(&read.snapshot, kryo);
        let mut out = Vec::new();
        let mut sink = JsonSink::new(&mut out, LIMITS);
        let decoded = decoder.decode(value, &mut sink);
        sink.finish();
        let json = is_json(&out);
        if let Some(json) = json.filter(|_| decoded.opaque == 0) {
            for bytes in ValueEncoder::compile(&read.snapshot, kryo).encodings(&json).unwrap_or_default() {
                let mut again = Vec::new();
                let decoded = decoder.write_json(&bytes, &mut again, JsonLimits::default());
                // With fewer bytes, a value may have fewer parts.
                if !matches!(decoded.walked, Walked::Stopped { .. }) {
                    assert_eq!(is_json(&again), Some(json.clone()));
                }
            }
        }
        match decoded.walked {
            Walked::End(end) => {
                assert!(end <= value.len());
                if let Walked::End(walked) = walker.walk(value) {
                    assert_eq!(end, walked);
                }
            }
            Walked::Stopped { at, stop } => {
                assert!(at <= value.len() && decoded.opaque > 0);
                touch(&decoder.stops()[stop].to_string());
            }
            Walked::Bad(bad) => assert!(bad.at <= value.len() && decoded.opaque > 0, "{bad}"),
        }
        out.clear();
        decoder.write_json(value, &mut out, LIMITS);
        is_json(&out);
    }
    let field = |name: &str| PathStep::Field(name.to_owned());
    let paths = [
        ValuePath::new(vec![]),
        ValuePath::new(vec![field("f0")]),
        ValuePath::new(vec![field("value"), PathStep::Index(1)]),
        ValuePath::new(vec![PathStep::Index(0), field("key")]),
    ];
    let mut sink = PathSink::new(&paths);
    ValueDecoder::compile(&read.snapshot, KryoVersion::Five).decode(value, &mut sink);
    touch(&sink.found());
});

/// Text that nests as JSON does: brackets that fit one another, and strings between quotes. What nests no deeper than a parser goes is parsed,
/// too.
fn is_json(out: &[u8]) -> Option<serde_json::Value> {
    let text = std::str::from_utf8(out).expect("JSON is UTF-8");
    let (mut open, mut deepest) = (Vec::new(), 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' => open.push(b']'),
            b'{' => open.push(b'}'),
            b']' | b'}' => assert_eq!(open.pop(), Some(byte), "{text}"),
            b'"' => loop {
                match bytes.next().expect("a string ends") {
                    b'"' => break,
                    b'\\' => drop(bytes.next()),
                    _ => {}
                }
            },
            _ => {}
        }
        deepest = deepest.max(open.len());
    }
    assert!(open.is_empty(), "{text}");
    (deepest < 120).then(|| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
}
