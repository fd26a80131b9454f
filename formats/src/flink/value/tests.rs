//! Values that real Flink wrote, values of random types against walkers, and edge values by hand.

use super::*;
use crate::flink::walk::tests::{Golden, golden, of};

fn kryo_of(name: &str) -> KryoVersion {
    if name.starts_with("1.") { KryoVersion::Two } else { KryoVersion::Five }
}

fn json(decoder: &ValueDecoder, value: &[u8]) -> (String, Decoded) {
    let mut out = Vec::new();
    let decoded = decoder.write_json(value, &mut out, JsonLimits::default());
    (String::from_utf8(out).unwrap(), decoded)
}

#[test]
fn dump() {
    for Golden { name, snapshot, values, .. } in golden() {
        let decoder = ValueDecoder::compile(&snapshot, kryo_of(&name));
        for value in &values {
            let (text, decoded) = json(&decoder, value);
            println!("{name}: {} {decoded:?}", &text.chars().take(300).collect::<String>());
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
    let _ = of("2.3/list");
}
