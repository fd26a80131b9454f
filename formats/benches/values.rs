//! How fast values are decoded and written as JSON: a POJO of five fields (long, String, double, int, boolean), and others.
//!
//! `cargo bench -p statescope-formats --bench values`; `-- --smoke` makes everything a thousand times smaller.
#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/support/orders.rs"]
mod orders;

use std::hint::black_box;
use std::time::Instant;

use statescope_formats::Cursor;
use statescope_formats::flink::serializer::read_versioned;
use statescope_formats::flink::value::{JsonLimits, KryoVersion, ValueDecoder};
use statescope_formats::flink::walk::{Walked, Walker};

fn orders(n: u32) -> Vec<Vec<u8>> {
    let order = |i: u32| {
        let mut out = Vec::new();
        orders::order(i, &mut out);
        out
    };
    (0..n).map(order).collect()
}

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let snapshot = orders::order_snapshot();
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
