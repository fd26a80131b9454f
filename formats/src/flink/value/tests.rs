//! Values that real Flink wrote, values of random types against walkers, and edge values by hand.

use std::path::Path;

use serde_json::Value as Json;

use super::*;
use crate::cursor::Cursor;
use crate::flink::serializer::read_proxy;
use crate::flink::walk::tests::{Golden, golden, of};

fn kryo_of(name: &str) -> KryoVersion {
    if name.starts_with("1.") { KryoVersion::Two } else { KryoVersion::Five }
}

fn json(decoder: &ValueDecoder, value: &[u8]) -> (String, Decoded) {
    let mut out = Vec::new();
    let decoded = decoder.write_json(value, &mut out, JsonLimits::default());
    (String::from_utf8(out).unwrap(), decoded)
}

fn unhex(hex: &Json) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Equal, but for the digits of floating-point numbers, and for the order of fields that `{}` has in any case.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a == b && a.is_sign_negative() == b.is_sign_negative()) || ((a - b) / b).abs() < 1e-7
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A line of a golden file.
struct Line {
    name: String,
    snapshot: SerializerSnapshot,
    /// Bytes, the JSON if there is one, and whether bytes and snapshot do not say so much.
    values: Vec<(Vec<u8>, Option<Json>, bool)>,
}

fn lines(directory: &str, values: &str) -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden").join(directory);
    let mut lines = Vec::new();
    for release in ["1.13", "1.20", "2.3"] {
        let text = std::fs::read_to_string(root.join(format!("{release}.jsonl"))).unwrap();
        for line in text.lines() {
            let line: Json = serde_json::from_str(line).unwrap();
            let name = format!("{release}/{}", line["name"].as_str().unwrap());
            let read = read_proxy(&mut Cursor::new(&unhex(&line["serializer"]))).unwrap();
            assert_eq!(read.stop, None, "{name}");
            let values = line[values].as_array().unwrap().iter().map(|value| {
                let opaque = !value["opaque"].is_null();
                if value["head"].is_null() {
                    return (unhex(&value["hex"]), value.get("json").cloned(), opaque);
                }
                let times = usize::try_from(value["times"].as_u64().unwrap()).unwrap();
                let bytes = [unhex(&value["head"]), unhex(&value["unit"]).repeat(times)].concat();
                let json = match &value["json_unit"] {
                    Json::Array(unit) => {
                        Json::Array(std::iter::repeat_n(unit, times).flatten().cloned().collect())
                    }
                    unit => Json::String(unit.as_str().unwrap().repeat(times)),
                };
                (bytes, Some(json), opaque)
            });
            lines.push(Line { name, values: values.collect(), snapshot: read.snapshot });
        }
    }
    lines
}

#[test]
fn dump() {
    for Golden { name, snapshot, values, .. } in golden() {
        let decoder = ValueDecoder::compile(&snapshot, kryo_of(&name));
        for value in &values {
            let (text, _) = json(&decoder, value);
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
    let _ = of("2.3/list");
}

#[test]
fn values_are_the_json_that_flink_wrote_beside_them() {
    let (mut met, mut differences) = (0, Vec::new());
    for (directory, values) in [("json", "values"), ("keys", "keys")] {
        for Line { name, snapshot, values } in lines(directory, values) {
            let decoder = ValueDecoder::compile(&snapshot, kryo_of(&name));
            for (bytes, expected, opaque) in values {
                let (text, decoded) = json(&decoder, &bytes);
                let found: Json = serde_json::from_str(&text).unwrap();
                met += 1;
                let fits = expected.as_ref().is_none_or(|expected| same(&found, expected));
                let whole = decoded.opaque == 0 && decoded.walked == Walked::End(bytes.len());
                // Its class is a job's, and written by `FieldSerializer`.
                let opaque =
                    opaque || (name == "2.3/pojo-generic" && decoded.opaque > 0) || expected.is_none();
                if !(fits && whole) && (whole || !opaque) {
                    let short = |text: &str| text.chars().take(400).collect::<String>();
                    differences.push(format!(
                        "{directory} {name}: {}\n   found {}\n   expected {} {opaque} {decoded:?}",
                        short(&bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()),
                        short(&text),
                        short(&expected.map_or(String::new(), |json| json.to_string()))
                    ));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{} of {met}:\n{}", differences.len(), differences.join("\n"));
    assert!(met > 1500, "{met}");
}
