//! Values that real Flink wrote, values of random types against walkers, and edge values by hand.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::cursor::Cursor;
use crate::flink::serializer::{read_proxy, read_versioned};
use crate::flink::walk::tests::naive::{Tree, encode, snapshot, tree};
use crate::flink::walk::tests::{Golden, golden, of};
use crate::flink::walk::{StopKind, Walker};

pub(in crate::flink) fn kryo_of(name: &str) -> KryoVersion {
    if name.starts_with("1.") { KryoVersion::Two } else { KryoVersion::Five }
}

fn json(decoder: &ValueDecoder, value: &[u8]) -> (String, Decoded) {
    let mut out = Vec::new();
    let decoded = decoder.write_json(value, &mut out, JsonLimits::default());
    (String::from_utf8(out).unwrap(), decoded)
}

pub(in crate::flink) fn unhex(hex: &Json) -> Vec<u8> {
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

// ---- walkers -------------------------------------------------------------------------------------

/// Decodes to valid JSON, and ends where a walker does.
fn agrees(decoder: &ValueDecoder, walker: &Walker, value: &[u8], what: &str) -> (Json, Decoded) {
    let mut out = b"before".to_vec();
    let mut sink = JsonSink::new(&mut out, JsonLimits { value: 1 << 16, ..JsonLimits::default() });
    let decoded = decoder.decode(value, &mut sink);
    sink.finish();
    let text = String::from_utf8(out.split_off(6)).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{what}: {value:x?}: {e}: {text}"));
    let shown: String = text.chars().take(400).collect();
    let about = || format!("{what}: {value:x?}: {decoded:?}: {shown}");
    match (walker.walk(value), decoded.walked) {
        (Walked::End(a), Walked::End(b)) => assert_eq!(a, b, "{}", about()),
        (Walked::Bad(bad), Walked::Bad(_) | Walked::Stopped { .. }) => assert!(bad.at <= value.len()),
        // A walker does not look at the flag of what has the same length in any case.
        (Walked::End(_), Walked::Bad(bad)) => assert_eq!(bad.rule, "a flag is 0 or 1", "{}", about()),
        // It does not go over what has no bytes.
        (Walked::End(_), Walked::Stopped { stop, .. }) => {
            assert_eq!(decoder.stops()[stop].kind, StopKind::TooLarge, "{}", about());
        }
        // What has no length, but can be read.
        (Walked::Stopped { at, .. }, Walked::End(end)) => {
            assert!(at <= end && end <= value.len(), "{}", about())
        }
        (Walked::Stopped { .. }, Walked::Stopped { .. } | Walked::Bad(_)) => {}
        (walked, _) => panic!("{}, but walked {walked:?}", about()),
    }
    match decoded.walked {
        Walked::End(end) => assert!(end <= value.len()),
        Walked::Stopped { at, stop } => {
            assert!(at <= value.len() && stop < decoder.stops().len(), "{}", about());
            assert!(decoded.opaque > 0);
        }
        Walked::Bad(bad) => assert!(bad.at <= value.len() && decoded.opaque > 0, "{}", about()),
    }
    assert!(text.matches("\"$opaque\":").count() >= decoded.opaque, "{}", about());
    (json, decoded)
}

/// Every snapshot of the golden files, with its values.
fn all() -> impl Iterator<Item = (String, SerializerSnapshot, Vec<Vec<u8>>)> {
    let golden = golden().into_iter().map(|Golden { name, snapshot, values, .. }| (name, snapshot, values));
    let lines =
        [("json", "values"), ("keys", "keys")].into_iter().flat_map(|(directory, key)| lines(directory, key));
    let lines = lines.map(|Line { name, snapshot, values }| {
        (name, snapshot, values.into_iter().map(|(bytes, ..)| bytes).collect())
    });
    golden.chain(lines)
}

#[test]
fn cut_values_are_told_as_far_as_they_go() {
    for (name, snapshot, values) in all() {
        let (decoder, walker) =
            (ValueDecoder::compile(&snapshot, kryo_of(&name)), Walker::compile(&snapshot));
        for value in values.iter().filter(|value| value.len() < 400) {
            let (_, whole) = agrees(&decoder, &walker, value, &name);
            for cut in 0..value.len() {
                let (_, decoded) = agrees(&decoder, &walker, &value[..cut], &name);
                assert!(
                    whole.walked != Walked::End(value.len()) || decoded.opaque > 0,
                    "{name}: {cut} of {value:x?}"
                );
            }
        }
    }
}

#[test]
fn other_bytes_are_valid_json_too() {
    for (name, snapshot, values) in all() {
        let (decoder, walker) =
            (ValueDecoder::compile(&snapshot, kryo_of(&name)), Walker::compile(&snapshot));
        for value in values.iter().filter(|value| value.len() < 200).take(5) {
            for bit in 0..value.len() * 8 {
                let mut flipped = value.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                agrees(&decoder, &walker, &flipped, &name);
            }
            for byte in 0..value.len() {
                for other in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut changed = value.clone();
                    changed[byte] = other;
                    agrees(&decoder, &walker, &changed, &name);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_of_random_types_are_decoded_to_their_end(tree in tree(), seed: u64, tail in any::<[u8; 3]>()) {
        let read = read_versioned(&mut Cursor::new(&snapshot(&tree)));
        let (decoder, walker) =
            (ValueDecoder::compile(&read.snapshot, KryoVersion::Five), Walker::compile(&read.snapshot));
        let value = encode(&tree, seed);
        let followed = [value.as_slice(), &tail].concat();
        let (_, decoded) = agrees(&decoder, &walker, &followed, "random");
        prop_assert_eq!(decoded.walked, Walked::End(value.len()));
        for cut in 0..value.len() {
            agrees(&decoder, &walker, &value[..cut], "random");
        }
    }

    #[test]
    fn random_bytes_of_random_types_are_valid_json(tree in tree(), bytes in prop::collection::vec(0u8..12, 0..60)) {
        let read = read_versioned(&mut Cursor::new(&snapshot(&tree)));
        let decoder = ValueDecoder::compile(&read.snapshot, KryoVersion::Two);
        agrees(&decoder, &Walker::compile(&read.snapshot), &bytes, "random");
    }
}

// ---- from JSON to bytes --------------------------------------------------------------------------

/// In the names of types of which JSON does not say all.
const NO_ENCODING: [&str; 4] = ["kryo", "pojo-generic", "pojo-with-collections", "stream-element"];

#[test]
fn json_becomes_the_bytes_that_flink_wrote() {
    let (mut encoded, mut differences, mut none) = (0, Vec::new(), [0; NO_ENCODING.len()]);
    for (directory, values) in [("json", "values"), ("keys", "keys")] {
        for Line { name, snapshot, values } in lines(directory, values) {
            let encoder = ValueEncoder::compile(&snapshot, kryo_of(&name));
            for (bytes, json, opaque) in values {
                let Some(json) = json.filter(|_| !opaque) else { continue };
                let mut found = b"before".to_vec();
                match encoder.encode(&json, &mut found) {
                    Ok(()) if found.split_off(6) == bytes => {
                        encoded += 1;
                        assert_eq!(encoder.encodings(&json).unwrap()[0], bytes, "{name}");
                    }
                    Err(EncodeError { problem: EncodeProblem::NoEncoding(_), .. })
                        if NO_ENCODING.iter().any(|part| name.contains(part)) =>
                    {
                        NO_ENCODING
                            .iter()
                            .zip(&mut none)
                            .for_each(|(part, n)| *n += usize::from(name.contains(part)));
                    }
                    other => {
                        differences.push(format!("{directory} {name}: {bytes:x?} of {json:.300} {other:?}"))
                    }
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
    assert!(encoded > 1250, "{encoded}");
    assert!(none.iter().all(|&n| n > 0), "{none:?}");
}

proptest! {
    #[test]
    fn what_is_decoded_is_encoded_to_what_decodes_to_it(tree in tree(), seed: u64) {
        let read = read_versioned(&mut Cursor::new(&snapshot(&tree)));
        let decoder = ValueDecoder::compile(&read.snapshot, KryoVersion::Five);
        let encoder = ValueEncoder::compile(&read.snapshot, KryoVersion::Five);
        let (text, decoded) = json(&decoder, &encode(&tree, seed));
        if decoded.opaque == 0 {
            let value: Json = serde_json::from_str(&text).unwrap();
            for bytes in encoder.encodings(&value).unwrap() {
                let (again, decoded) = json(&decoder, &bytes);
                prop_assert_eq!(decoded, Decoded { walked: Walked::End(bytes.len()), opaque: 0 });
                prop_assert_eq!(&again, &text);
            }
        }
    }

    #[test]
    fn other_json_is_an_error_and_appends_nothing(tree in tree(), other in tree(), seed: u64) {
        let read = |tree: &Tree| read_versioned(&mut Cursor::new(&snapshot(tree))).snapshot;
        let (text, _) = json(&ValueDecoder::compile(&read(&other), KryoVersion::Five), &encode(&other, seed));
        let value: Json = serde_json::from_str(&text).unwrap();
        let mut out = b"before".to_vec();
        let encoded = ValueEncoder::compile(&read(&tree), KryoVersion::Five).encode(&value, &mut out);
        prop_assert!(encoded.is_ok() || out == b"before");
    }
}

fn encoder_of(tree: &Tree) -> ValueEncoder {
    ValueEncoder::compile(&read_versioned(&mut Cursor::new(&snapshot(tree))).snapshot, KryoVersion::Five)
}

#[test]
fn numbers_are_those_next_to_their_digits() {
    let bytes = |tree: &Tree, text: &str| {
        let mut out = Vec::new();
        encoder_of(tree).encode(&serde_json::from_str(text).unwrap(), &mut out).unwrap();
        out
    };
    let double = |text: &str| bytes(&Tree::Fixed("Double", 8), text);
    assert_eq!(double("4.9920287210194345e-307"), 4.9920287210194345e-307_f64.to_be_bytes());
    assert_eq!(double("9007199254740993"), 9_007_199_254_740_992_f64.to_be_bytes());
    // Half a bit above a number of 32 bits, and a bit of 64 more.
    assert_eq!(bytes(&Tree::Fixed("Float", 4), "1.00000005960464500"), 1.000_000_1_f32.to_be_bytes());
}

#[test]
fn numbers_that_constants_stand_for_have_two_encodings() {
    let encoder = encoder_of(&Tree::Tuple(vec![Tree::BigInteger, Tree::BigDecimal]));
    let all = |f0: &str, f1: &str| encoder.encodings(&serde_json::json!({"f0": f0, "f1": f1})).unwrap();
    assert_eq!(
        all("10", "0.1"),
        [[0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1].as_slice(), &[0, 0, 0, 5, 10, 0, 0, 0, 5, 1, 0, 0, 0, 1],]
    );
    assert_eq!(all("-1", "2E+2147483648"), [[0, 0, 0, 5, 0xff, 0, 0, 0, 5, 2, 0x80, 0, 0, 0]]);
}

#[test]
fn nulls_of_large_columns_have_two_encodings() {
    let Line { snapshot, values, .. } =
        lines("json", "values").into_iter().find(|line| line.name == "2.3/sql-row-timestamp-9").unwrap();
    let (bytes, json, _) =
        values.into_iter().find(|(_, json, _)| json.as_ref().unwrap()["f1"].is_null()).unwrap();
    let encodings = ValueEncoder::compile(&snapshot, KryoVersion::Five).encodings(&json.unwrap()).unwrap();
    assert_eq!(encodings.len(), 2);
    assert_eq!(encodings[0], bytes);
    // The slot of `f1` has the offset of 8 bytes that nothing is in; what follows stands behind them.
    assert_eq!(encodings[1][4 + 16..4 + 24], [0, 0, 0, 0, 32, 0, 0, 0]);
    assert_eq!(encodings[1].len(), bytes.len() + 8);
}

#[test]
fn what_does_not_fit_says_where_and_why() {
    let int = || Tree::Fixed("Int", 4);
    let fails =
        |tree: &Tree, json: Json| encoder_of(tree).encode(&json, &mut Vec::new()).unwrap_err().to_string();
    let pojo = Tree::Pojo(vec![int(), Tree::List(Tree::String.into())]);
    for (json, expected) in [
        (
            serde_json::json!({"f0": "x", "f1": []}),
            "f0: expected a whole number of 32 bits, found the text \"x\"",
        ),
        (
            serde_json::json!({"f0": 1.5, "f1": []}),
            "f0: expected a whole number of 32 bits, found the number 1.5",
        ),
        (
            serde_json::json!({"f0": 2_147_483_648_i64, "f1": []}),
            "f0: expected a whole number of 32 bits, found the number 2147483648",
        ),
        (
            serde_json::json!({"f0": 1, "f1": ["a", [1]]}),
            "f1[1]: expected a text, or {\"$utf16\": hex}, found an array of 1",
        ),
        (serde_json::json!({"f0": 1}), "expected an object of f0, f1, found an object of f0"),
        (
            serde_json::json!({"f0": 1, "f1": [], "x": 0}),
            "expected an object of f0, f1, found an object of f0, f1, x",
        ),
        (
            serde_json::json!({"$class": "a.B", "f0": 1, "f1": []}),
            "expected a $class of those that the serializer lists, found the text \"a.B\"",
        ),
    ] {
        assert_eq!(fails(&pojo, json), expected);
    }
    let map = Tree::Map(Tree::Enum.into(), Tree::BigInteger.into());
    assert!(
        fails(&map, serde_json::json!([{"key": "X", "value": null}]))
            .starts_with("[0].key: expected one of ")
    );
    assert_eq!(
        fails(&Tree::Row(true, vec![int()]), serde_json::json!({"$kind": "I", "f0": 1})),
        "expected a $kind of +I, -U, +U or -D, found the text \"I\""
    );
    assert_eq!(
        fails(&Tree::Opaque("com.example.Mine"), 1.into()),
        "JSON does not say which bytes it has: a serializer whose class is not known (com.example.Mine); \
         give the bytes in hex (--key-hex)"
    );
    let large = "1".repeat(30_000);
    let found = fails(&Tree::BigInteger, large.into());
    assert!(found.len() < 160, "{found}");
}

// ---- what is opaque ------------------------------------------------------------------------------

fn of_tree(tree: &Tree) -> ValueDecoder {
    ValueDecoder::compile(&read_versioned(&mut Cursor::new(&snapshot(tree))).snapshot, KryoVersion::Five)
}

fn text_of(tree: &Tree, value: &[u8]) -> (String, Decoded) {
    json(&of_tree(tree), value)
}

#[test]
fn a_bad_part_is_opaque_and_says_where_and_why() {
    let list = Tree::List(Tree::String.into());
    let lies = [&[0, 0, 0, 9][..], b"\x02a"].concat();
    let (text, decoded) = text_of(&list, &lies);
    let rule = "a count is not negative, and what it counts has room";
    assert_eq!(text, format!(r#"{{"$opaque":"000000090261","bytes":6,"error":"{rule}","at":0}}"#));
    assert_eq!(decoded, Decoded { walked: Walked::Bad(BadValue { at: 0, rule }), opaque: 1 });
    // A string past its end, in the second element.
    let (text, _) = text_of(&list, b"\0\0\0\x02\x02a\x05bc");
    let rule = "a length is not negative, and within the value";
    assert_eq!(text, format!(r#"["a",{{"$opaque":"056263","bytes":3,"error":"{rule}","at":7}}]"#));
    let pojo = Tree::Pojo(vec![Tree::Fixed("Int", 4), list]);
    let (text, decoded) = text_of(&pojo, b"\x02\0\0\0\0\x05\0\0\0\0\x01\x09");
    let opaque = format!(r#"{{"$opaque":"09","bytes":1,"error":"{rule}","at":12}}"#);
    assert_eq!(text, format!(r#"{{"f0":5,"f1":[{opaque}],"$incomplete":true}}"#));
    assert_eq!(decoded.opaque, 1);
    // A constant that is not there has a length: what follows is decoded.
    let (text, decoded) =
        text_of(&Tree::Tuple(vec![Tree::Enum, Tree::Fixed("Int", 4)]), b"\0\0\0\x07\0\0\0\x01");
    let rule = "the index of an enum is of one of its constants";
    assert_eq!(
        text,
        format!(r#"{{"f0":{{"$opaque":"00000007","bytes":4,"error":"{rule}","at":0}},"f1":1}}"#)
    );
    assert_eq!(decoded, Decoded { walked: Walked::End(8), opaque: 1 });
}

#[test]
fn what_follows_a_value_makes_all_of_it_opaque() {
    let (text, decoded) = text_of(&Tree::Fixed("Int", 4), b"\0\0\0\x01x");
    let rule = "nothing follows a value";
    assert_eq!(text, format!(r#"{{"$opaque":"0000000178","bytes":5,"error":"{rule}","at":4}}"#));
    assert_eq!(decoded.walked, Walked::Bad(BadValue { at: 4, rule }));
}

#[test]
fn opaque_bytes_are_shown_up_to_a_limit() {
    let decoder = of_tree(&Tree::Opaque("com.example.Mine"));
    let mut out = Vec::new();
    decoder.write_json(&[0xab; 9], &mut out, JsonLimits { opaque: 2, ..JsonLimits::default() });
    let text = String::from_utf8(out).unwrap();
    let why = "a serializer whose class is not known";
    assert_eq!(
        text,
        format!(
            r#"{{"$opaque":"abab","bytes":9,"truncated":true,"class":"com.example.Mine","why":"{why}"}}"#
        )
    );
}

#[test]
fn large_values_are_cut() {
    let limits = JsonLimits { value: 100, opaque: 4 };
    let why = StopKind::TooLarge;
    for (tree, value) in [
        (Tree::String, [&[0x80, 0x02][..], &[b'x'; 255]].concat()),
        (Tree::Bytes, [&[0, 0, 1, 0][..], &[1; 256]].concat()),
        (Tree::List(Tree::Fixed("Long", 8).into()), [&[0, 0, 1, 0][..], &[1; 2048]].concat()),
        (Tree::List(Tree::Fixed("NullValue", 0).into()), vec![0x7f, 0xff, 0xff, 0xff]),
    ] {
        let mut out = Vec::new();
        let decoder = of_tree(&tree);
        let decoded = decoder.write_json(&value, &mut out, limits);
        let Walked::Stopped { stop, .. } = decoded.walked else { panic!("{decoded:?}") };
        assert_eq!(decoder.stops()[stop].kind, why);
        assert!(out.len() < 300, "{}", out.len());
        serde_json::from_slice::<Json>(&out).unwrap();
    }
    // Without a limit of the sink, there is one of the parts that have no bytes.
    let list = of_tree(&Tree::List(Tree::List(Tree::Fixed("NullValue", 0).into()).into()));
    let value = [[0, 0, 0, 2], [0x7f; 4], [0x7f; 4]].concat();
    let decoded = list.decode(&value, &mut JsonSink::new(&mut Vec::new(), JsonLimits::default()));
    assert!(matches!(decoded.walked, Walked::Stopped { .. }), "{decoded:?}");
}

#[test]
fn strings_that_are_no_utf16_are_hex() {
    let (text, _) = text_of(&Tree::String, &[3, b'a', 0xbd, 0xb0, 0x03]);
    assert_eq!(text, r#"{"$utf16":"0061d83d"}"#);
    let (text, _) = text_of(&Tree::String, b"\x08\"\\\n\r\t\x01\x7f");
    assert_eq!(text, r#""\"\\\n\r\t\u0001""#);
}

#[test]
fn recursive_avro_ends() {
    let schema = r#"{"type": "record", "name": "Node", "fields": [
        {"name": "value", "type": "int"}, {"name": "next", "type": ["null", "Node"]}]}"#;
    let decoder = of_tree(&Tree::Avro(schema.to_owned()));
    let list = |n: usize| {
        let mut value = [[0, 0, 0, 7], [0, 0, 0, 1]].concat().repeat(n);
        value.extend([0, 0, 0, 7, 0, 0, 0, 0]);
        value
    };
    assert_eq!(json(&decoder, &list(1)).0, r#"{"value":7,"next":{"value":7,"next":null}}"#);
    assert_eq!(json(&decoder, &list(100)).1.walked, Walked::End(808));
    let (text, decoded) = json(&decoder, &list(2000));
    let Walked::Stopped { stop, .. } = decoded.walked else { panic!("{decoded:?}") };
    assert_eq!(decoder.stops()[stop].kind, StopKind::TooDeep);
    assert!(
        text.contains(r#""why":"a value that nests too deep"}"#) && text.ends_with(r#","$incomplete":true}"#),
        "{text}"
    );
    // Records without bytes that hold records twice.
    let mut schema = r#"{"type": "record", "name": "R0", "fields": []}"#.to_owned();
    for i in 1..40 {
        schema = format!(
            r#"{{"type": "record", "name": "R{i}", "fields": [{{"name": "a", "type": {schema}}}, {{"name": "b", "type": "R{}"}}]}}"#,
            i - 1
        );
    }
    let (_, decoded) = json(&of_tree(&Tree::Avro(schema)), &[]);
    assert!(matches!(decoded.walked, Walked::Stopped { .. }), "{decoded:?}");
}

#[test]
fn avro_is_decoded_with_its_names_and_logical_types() {
    let schema = r#"{"type": "record", "name": "a.Order", "fields": [
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "time", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}},
        {"name": "md5", "type": {"type": "fixed", "name": "MD5", "size": 2}},
        {"name": "map", "type": {"type": "map", "values": "double"}},
        {"name": "one", "type": ["null", {"type": "record", "name": "A", "fields": []}, {"type": "record", "name": "B",
            "fields": [{"name": "x", "type": "boolean"}]}]},
        {"name": "items", "type": {"type": "array", "items": "string"}}]}"#;
    let value = [
        [0, 0, 0, 2, 0xff, 0x85].as_slice(),
        &[0, 0, 0, 31],
        &1_000_001_i64.to_be_bytes(),
        &(-1_i64).to_be_bytes(),
        &[0, 0, 0, 1],
        &[0, 0, 0, 1],
        &[0xab, 0xcd],
        &[1, 0, 0, 0, 1, b'k'],
        &1.5_f64.to_be_bytes(),
        &[0],
        &[0, 0, 0, 2, 1],
        &[1, 0, 0, 0, 1, b'i', 0],
    ]
    .concat();
    let (text, decoded) = text_of(&Tree::Avro(schema.to_owned()), &value);
    assert_eq!(decoded, Decoded { walked: Walked::End(value.len()), opaque: 0 });
    assert_eq!(
        text,
        concat!(
            r#"{"price":"-1.23","day":"1970-02-01","at":"1970-01-01T00:00:01.000001Z","#,
            r#""local":"1969-12-31T23:59:59.999","time":"00:00:00.001","colour":"BLUE","md5":"abcd","#,
            r#""map":[{"key":"k","value":1.5}],"one":{"$class":"a.B","x":true},"items":["i"]}"#
        )
    );
}

#[test]
fn a_subclass_that_is_not_listed_says_its_class() {
    let golden = of("2.3/pojo");
    let decoder = ValueDecoder::compile(&golden.snapshot, KryoVersion::Five);
    let (text, decoded) = json(&decoder, b"\x04\0\x05a.Sub\x02\0");
    let why = "a subclass that the snapshot does not list";
    assert_eq!(
        text,
        format!(r#"{{"$opaque":"040005612e5375620200","bytes":10,"class":"a.Sub","why":"{why}"}}"#)
    );
    assert!(matches!(decoded.walked, Walked::Stopped { at: 8, .. }), "{decoded:?}");
}

// ---- paths ---------------------------------------------------------------------------------------

#[test]
fn paths_pick_what_is_there() {
    let int = || Tree::Fixed("Int", 4);
    let tree = Tree::Tuple(vec![
        int(),
        Tree::Pojo(vec![Tree::String, Tree::List(int().into())]),
        Tree::Map(Tree::String.into(), int().into()),
        Tree::Map(int().into(), Tree::BigDecimal.into()),
        Tree::Bytes,
    ]);
    let value = [
        &[0, 0, 0, 7][..],
        b"\x02\0\x03ab\0\0\0\0\x02\0\0\0\x05\0\0\0\x06",
        b"\0\0\0\x02\x02k\0\0\0\0\x08\x02n\x01",
        b"\0\0\0\x01\0\0\0\x09\0\0\0\0\x05\x7b\0\0\0\x02",
        b"\0\0\0\x01\xfe",
    ]
    .concat();
    let decoder = of_tree(&tree);
    let paths: Vec<_> = [
        "f0", "f1.f0", "f1.f1[1]", "f1.f1[2]", "f2.k", "f2.n", "f2.z", "f3.9", "f4", "f1", "", "f1.f0.x",
        "f9", "f0[0]",
    ]
    .iter()
    .map(|path| ValuePath::parse(path).unwrap())
    .collect();
    let mut sink = PathSink::new(&paths);
    for _ in 0..2 {
        sink.clear();
        assert_eq!(decoder.decode(&value, &mut sink).walked, Walked::End(value.len()));
        let text = |text: &str| Scalar::Text(text.to_owned());
        assert_eq!(
            sink.found(),
            [
                Scalar::Integer(7),
                text("ab"),
                Scalar::Integer(6),
                Scalar::Missing,
                Scalar::Integer(8),
                Scalar::Null,
                Scalar::Missing,
                Scalar::Decimal(Digits::parse("1.23").unwrap()),
                text("fe"),
                Scalar::Other,
                Scalar::Other,
                Scalar::Missing,
                Scalar::Missing,
                Scalar::Missing,
            ]
        );
    }
    // The value itself.
    let paths = [ValuePath::parse("").unwrap()];
    let mut sink = PathSink::new(&paths);
    of_tree(&int()).decode(&[0, 0, 0, 9], &mut sink);
    assert_eq!(sink.found(), [Scalar::Integer(9)]);
}
