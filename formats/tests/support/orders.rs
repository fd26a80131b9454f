//! Writes POJOs of five fields (double, int, long, String, boolean), and what a serializer's snapshot says of them.
#![allow(clippy::expect_used, clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

pub const BASE: &str = "org.apache.flink.api.common.typeutils.base.";

pub fn utf(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
    out.extend(text.as_bytes());
}

pub fn simple(serializer: &str) -> Vec<u8> {
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

pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len() + 1).expect("a short text"));
    out.extend(text.as_bytes());
}

/// The snapshot of orders.
pub fn order_snapshot() -> Vec<u8> {
    pojo(&[
        ("amount", "DoubleSerializer"),
        ("count", "IntSerializer"),
        ("id", "LongSerializer"),
        ("name", "StringSerializer"),
        ("paid", "BooleanSerializer"),
    ])
}

/// An order, at the end of what is there.
pub fn order(i: u32, out: &mut Vec<u8>) {
    out.extend([2, 0]);
    out.extend((f64::from(i) * 1.37).to_be_bytes());
    out.push(0);
    out.extend(i.to_be_bytes());
    out.push(0);
    out.extend((1_700_000_000_000 + i64::from(i) * 977).to_be_bytes());
    out.push(0);
    string(&format!("customer-{i:07}"), out);
    out.extend([0, u8::from(i.is_multiple_of(3))]);
}
