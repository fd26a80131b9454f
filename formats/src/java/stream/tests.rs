use super::*;
use crate::error::ErrorKind;

/// Written by `testdata/gen/golden/JserGold.java`.
const EVERYTHING: &[u8] = include_bytes!("../../../../testdata/golden/jser/everything.bin");

/// `new P()` with `int x = 7`, `class P implements Serializable`.
const P: &[u8] = &[
    0xac, 0xed, 0x00, 0x05, // magic, version
    0x73, // TC_OBJECT
    0x72, 0x00, 0x01, b'P', // TC_CLASSDESC "P"
    0, 0, 0, 0, 0, 0, 0, 2, // serialVersionUID
    0x02, 0x00, 0x01, // SC_SERIALIZABLE, one field
    b'I', 0x00, 0x01, b'x', // int x
    0x78, 0x70, // no annotation, no super class
    0x00, 0x00, 0x00, 0x07, // x
];

fn parse(bytes: &[u8]) -> Result<JavaStream> {
    let mut cursor = Cursor::new(bytes);
    let stream = JavaStream::parse(&mut cursor)?;
    cursor.finish()?;
    Ok(stream)
}

fn strings(values: Option<Vec<Value<'_>>>) -> Vec<String> {
    values.unwrap().iter().map(|v| v.string().unwrap().to_owned()).collect()
}

#[test]
fn it_ends_exactly_after_the_object() {
    let mut bytes = P.to_vec();
    bytes.extend([0xac, 0xed]);
    let mut cursor = Cursor::at(&bytes, 1000);
    let stream = JavaStream::parse(&mut cursor).unwrap();
    assert_eq!(cursor.offset(), 1000 + P.len() as u64);
    assert_eq!(stream.root().class_name(), "P");
    assert_eq!(stream.root().field("x"), Some(Value::Int(7)));
    assert_eq!(stream.root().field("y"), None);
    assert_eq!(stream.classes()[0].serial_version_uid, 2);
}

#[test]
fn fields_of_every_type() {
    let stream = parse(EVERYTHING).unwrap();
    let root = stream.root();
    let field = |name: &str| root.field(name).unwrap_or_else(|| panic!("{name}"));
    let object = |name: &str| field(name).object().unwrap_or_else(|| panic!("{name}"));
    assert_eq!(root.class_chain(), ["JserGold$Thing", "JserGold$Base"]);
    assert_eq!(field("same"), Value::Int(2));
    assert_eq!(field("baseName").string(), Some("base"));
    assert_eq!(field("z"), Value::Boolean(true));
    assert_eq!(field("b"), Value::Byte(-3));
    assert_eq!(field("c"), Value::Char(0xe9));
    assert_eq!(field("s").integer(), Some(-4));
    assert_eq!(field("j"), Value::Long(i64::MIN));
    assert_eq!(field("f"), Value::Float(1.5));
    assert_eq!(field("d"), Value::Double(-0.25));
    assert_eq!(field("name").string(), Some("th\0ing😀"));
    assert_eq!(field("again"), field("name"));
    assert_eq!(field("nul"), Value::Null);
    assert_eq!(field("self"), Value::Object(root));
    assert_eq!(object("ints").array().unwrap(), [Value::Int(1), Value::Int(2), Value::Int(3)]);
    assert_eq!(object("bytes").bytes(), Some(&[1, 2][..]));
    assert_eq!(object("flags").array().unwrap(), [Value::Boolean(true), Value::Boolean(false)]);
    assert_eq!(object("strings").array().unwrap()[1], Value::Null);
    assert_eq!(field("red").enum_constant(), Some("RED"));
    assert_eq!(object("green").class_name(), "JserGold$Colour");
    assert_eq!((object("cls").kind(), object("cls").class_name()), (ObjectKind::Class, "JserGold$Colour"));
    assert_eq!(object("prim").class_name(), "int");
    assert_eq!(object("lam").field("implMethodName").unwrap().string(), Some("length"));
    assert_eq!(object("proxy").class().unwrap().interfaces, ["java.util.Comparator", "java.io.Serializable"]);
    assert_eq!(object("proxy").field("h").unwrap().object().unwrap().field("h"), Some(Value::Int(6)));
    // java.time.Ser: Externalizable, protocol 2: one block.
    assert!(matches!(object("date").annotations().next(), Some(Annotation::Block([3, ..]))));
}

#[test]
fn custom_data_is_kept_in_order() {
    let stream = parse(EVERYTHING).unwrap();
    let custom = stream.root().field("custom").unwrap().object().unwrap();
    assert_eq!(custom.field("x"), Some(Value::Int(5)));
    let parts: Vec<_> = custom.annotations().collect();
    assert_eq!(parts[0], Annotation::Block(&[0, 2, b'h', b'i']));
    assert!(matches!(parts[1], Annotation::Value(v) if v.enum_constant() == Some("RED")));
    assert_eq!(parts[2], Annotation::Block(&[0, 0, 0, 0, 0, 0, 0, 1]));
    let ext = stream.root().field("ext").unwrap().object().unwrap();
    let parts: Vec<_> = ext.annotations().collect();
    assert_eq!(parts[0], Annotation::Block(&[0, 0, 0, 9]));
    assert!(matches!(parts[2], Annotation::Block(block) if block.len() == 300));
}

#[test]
fn collections_of_java_util() {
    let stream = parse(EVERYTHING).unwrap();
    let object = |name: &str| stream.root().field(name).and_then(Value::object).unwrap();
    let list = object("list").elements().unwrap();
    assert_eq!(list[0].string(), Some("x"));
    assert_eq!(list[1].object().unwrap().field("value"), Some(Value::Int(7)));
    for (name, expected) in [
        ("unmod", &["u1", "u2"][..]),
        ("of", &["o1", "o2", "o3"]),
        ("arr", &["q"]),
        ("empty", &[]),
        ("single", &["one"]),
        ("linked", &["l1", "l2"]),
        ("dq", &["d1"]),
        ("vec", &["v1"]),
        ("tset", &["t1", "t2"]),
    ] {
        assert_eq!(strings(object(name).elements()), expected, "{name}");
    }
    assert_eq!(object("set").elements().unwrap().len(), 1);
    let map = object("map").entries().unwrap();
    assert_eq!((map.len(), map[0].0.string(), map[1].0), (2, Some("k1"), Value::Null));
    assert_eq!(map[1].1, Value::Object(stream.root()));
    assert_eq!(object("tree").entries().unwrap()[0].1.string(), Some("v"));
    assert_eq!(object("mapOf").entries().unwrap()[0].0.string(), Some("mk"));
    assert_eq!(object("mapOf").elements(), None);
    assert_eq!(object("list").entries(), None);
}

#[test]
fn every_truncation_is_an_error_inside_the_bytes() {
    for cut in 0..EVERYTHING.len() {
        let error = parse(&EVERYTHING[..cut]).unwrap_err();
        assert!(error.offset() <= cut as u64, "{cut}: {error}");
    }
}

#[test]
fn no_bit_flip_panics() {
    let mut bytes = EVERYTHING.to_vec();
    for i in 0..bytes.len() {
        for bit in [i % 8, (i + 3) % 8] {
            bytes[i] ^= 1 << bit;
            if let Ok(stream) = parse(&bytes) {
                for (_, value) in stream.root().fields() {
                    if let Value::Object(object) = value {
                        let _ = (object.elements(), object.entries(), format!("{object:?}"));
                    }
                }
            }
            bytes[i] ^= 1 << bit;
        }
    }
}

#[test]
fn hostile_streams_are_refused() {
    // A class whose super class is itself (handle 0x7E0000).
    let mut bytes = P[..P.len() - 5].to_vec();
    bytes.extend([0x71, 0x00, 0x7e, 0x00, 0x00, 0, 0, 0, 7]);
    assert!(matches!(parse(&bytes).unwrap_err().kind(), ErrorKind::LimitExceeded { .. }));
    // Arrays in arrays without end.
    let mut bytes = vec![0xac, 0xed, 0, 5];
    bytes.extend([0x75, 0x72, 0, 2, b'[', b'[', 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0x78, 0x70, 0, 0, 0, 1]);
    for _ in 0..1000 {
        bytes.extend([0x75, 0x71, 0, 0x7e, 0, 0, 0, 0, 0, 1]);
    }
    assert!(matches!(parse(&bytes).unwrap_err().kind(), ErrorKind::LimitExceeded { .. }));
    // 2^31 - 1 elements.
    let bytes = [&bytes[..23], &[0x7f, 0xff, 0xff, 0xff]].concat();
    assert!(matches!(parse(&bytes).unwrap_err().kind(), ErrorKind::BadCount { .. }));
    // Not a stream.
    assert!(matches!(parse(b"PK\x03\x04").unwrap_err().kind(), ErrorKind::Invalid { .. }));
    // Externalizable of protocol 1: flags 0x04.
    let mut bytes = P.to_vec();
    bytes[17] = 0x04;
    assert!(matches!(parse(&bytes).unwrap_err().kind(), ErrorKind::Unsupported { .. }));
}

#[test]
fn a_failed_parse_leaves_the_cursor() {
    let mut cursor = Cursor::new(&P[..20]);
    assert!(JavaStream::parse(&mut cursor).is_err());
    assert_eq!(cursor.offset(), 0);
}

#[test]
fn a_top_level_null() {
    let stream = parse(&[0xac, 0xed, 0, 5, 0x70]).unwrap();
    assert_eq!(stream.root().kind(), ObjectKind::Null);
    assert_eq!(stream.root().class_name(), "");
}
