//! How fast values are decoded and written as JSON: a POJO of five fields (long, String, double, int, boolean), and others.
//!
//! `cargo bench -p statescope-formats --bench values`; `-- --smoke` makes everything a thousand times smaller.
#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use statescope_formats::Cursor;
use statescope_formats::flink::serializer::read_versioned;
use statescope_formats::flink::value::{JsonLimits, KryoVersion, ValueDecoder};
use statescope_formats::flink::walk::{Walked, Walker};

const BASE: &str = "org.apache.flink.api.common.typeutils.base.";

fn utf(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
    out.extend(text.as_bytes());
}

fn simple(serializer: &str) -> Vec<u8> {
    let mut out = Vec::new();
    utf(&mut out, &format!("{BASE}{serializer}${serializer}Snapshot"));
    out.extend(3_i32.to_be_bytes());
    out
}

/// `LinkedOptionalMapSerializer`.
fn optional_map(entries: &[(&str, Vec<u8>)], out: &mut Vec<u8>) {
    out.extend(0x0000_04F2_C69A_3D70_u64.to_be_bytes());
    out.extend(u32::try_from(entries.len()).expect("a few").to_be_bytes());
    for (name, value) in entries {
        utf(out, name);
        let mut key = Vec::new();
        utf(&mut key, "com.example.Order");
        utf(&mut key, name);
        for frame in [&key, value] {
            out.push(1);
            out.extend(u32::try_from(frame.len()).expect("a short frame").to_be_bytes());
            out.extend(frame);
        }
    }
}

/// The snapshot of a POJO.
fn pojo(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    utf(&mut out, "org.apache.flink.api.java.typeutils.runtime.PojoSerializerSnapshot");
    out.extend(2_i32.to_be_bytes());
    utf(&mut out, "com.example.Order");
    let fields: Vec<_> = fields.iter().map(|(name, serializer)| (*name, simple(serializer))).collect();
    optional_map(&fields, &mut out);
    optional_map(&[], &mut out);
    optional_map(&[], &mut out);
    out
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len() + 1).expect("a short text"));
    out.extend(text.as_bytes());
}

fn orders(n: u32) -> Vec<Vec<u8>> {
    let order = |i: u32| {
        let mut out = vec![2, 0];
        out.extend((f64::from(i) * 1.37).to_be_bytes());
        out.push(0);
        out.extend(i.to_be_bytes());
        out.push(0);
        out.extend((1_700_000_000_000 + i64::from(i) * 977).to_be_bytes());
        out.push(0);
        string(&format!("customer-{i:07}"), &mut out);
        out.extend([0, u8::from(i.is_multiple_of(3))]);
        out
    };
    (0..n).map(order).collect()
}

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let snapshot = pojo(&[
        ("amount", "DoubleSerializer"),
        ("count", "IntSerializer"),
        ("id", "LongSerializer"),
        ("name", "StringSerializer"),
        ("paid", "BooleanSerializer"),
    ]);
    let read = read_versioned(&mut Cursor::new(&snapshot));
    assert_eq!(read.stop, None);
    let decoder = ValueDecoder::compile(&read.snapshot, KryoVersion::Five);
    let walker = Walker::compile(&read.snapshot);
    let values = orders(if smoke { 100 } else { 100_000 });
    let rounds = if smoke { 1 } else { 20 };

    let mut out = Vec::new();
    decoder.write_json(values.last().expect("a value"), &mut out, JsonLimits::default());
    println!("{}", String::from_utf8_lossy(&out));
    let mut best = f64::MAX;
    let mut written = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        written = 0;
        for value in &values {
            out.clear();
            let decoded = decoder.write_json(value, &mut out, JsonLimits::default());
            assert_eq!(decoded.walked, Walked::End(value.len()));
            written += black_box(&out).len();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let n = u32::try_from(values.len()).map_or(0.0, f64::from);
    println!(
        "POJO of five fields as JSON: {:.2} M values/s, {} bytes each",
        n / best / 1e6,
        written / values.len()
    );
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        for value in &values {
            assert_eq!(black_box(walker.walk(value)), Walked::End(value.len()));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("the same, stepped over: {:.2} M values/s", n / best / 1e6);
}
