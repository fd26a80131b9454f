//! Keys put together as Flink does, of serializers with and without a fixed length, walkable and not.

use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;
use crate::flink::serializer::read_versioned;

// ---- serializers, as their snapshots -------------------------------------------------------------

const BASE: &str = "org.apache.flink.api.common.typeutils.base.";

/// Types of keys, namespaces and user keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Long,
    String,
    TimeWindow,
    VoidNamespace,
    Kryo,
    /// A class that nobody knows.
    Unknown,
}

fn snapshot(of: Type) -> SerializerSnapshot {
    let (class, version, payload) = match of {
        Type::Long => (format!("{BASE}LongSerializer$LongSerializerSnapshot"), 3_i32, vec![]),
        Type::String => (format!("{BASE}StringSerializer$StringSerializerSnapshot"), 3, vec![]),
        Type::TimeWindow => (
            "org.apache.flink.streaming.api.windowing.windows.TimeWindow$Serializer$TimeWindowSerializerSnapshot"
                .to_owned(),
            3,
            vec![],
        ),
        Type::VoidNamespace => (
            "org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot".to_owned(),
            3,
            vec![],
        ),
        Type::Kryo => {
            let empty = [0x0000_04F2_C69A_3D70_u64.to_be_bytes().as_slice(), &[0; 4]].concat();
            let payload = [b"\0\x06java.X".as_slice(), &empty.repeat(3)].concat();
            ("org.apache.flink.api.java.typeutils.runtime.kryo.KryoSerializerSnapshot".to_owned(), 2, payload)
        }
        Type::Unknown => ("com.example.MineSnapshot".to_owned(), 1, vec![]),
    };
    let mut bytes = (class.len() as u16).to_be_bytes().to_vec();
    bytes.extend(class.as_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(payload);
    read_versioned(&mut Cursor::new(&bytes)).snapshot
}

fn layout(prefix: KeyGroupPrefix, key: Type, namespace: Type, user_key: Option<Type>) -> KeyLayout {
    let user_key = user_key.map(snapshot);
    KeyLayout::state(prefix, &snapshot(key), &snapshot(namespace), user_key.as_ref())
}

// ---- keys, as Flink builds them ------------------------------------------------------------------

/// `CompositeKeySerializationUtils.writeVariableIntBytes`.
fn length(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        out.push(n as u8);
        n >>= 8;
        if n == 0 {
            return out;
        }
    }
}

/// A composite key and where its parts lie.
fn build(
    prefix: KeyGroupPrefix,
    key: &[u8],
    namespace: &[u8],
    user_key: &[u8],
    lengths: bool,
) -> (Vec<u8>, KeyCut) {
    let mut out = match prefix {
        KeyGroupPrefix::One => vec![7],
        KeyGroupPrefix::Two => vec![1, 7],
    };
    let key_group = if prefix == KeyGroupPrefix::One { 7 } else { 263 };
    let mut part = |bytes: &[u8], lengths: bool| {
        let start = out.len();
        out.extend(bytes);
        let range = start..out.len();
        if lengths {
            out.extend(length(bytes.len()));
        }
        range
    };
    let (key, namespace) = (part(key, lengths), part(namespace, lengths));
    let user_key = part(user_key, false);
    (out, KeyCut { key_group, key, namespace, user_key })
}

fn ascii(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut n = text.len() + 1;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend(text.as_bytes());
    out
}

const BOTH: [KeyGroupPrefix; 2] = [KeyGroupPrefix::One, KeyGroupPrefix::Two];

fn uncut(layout: &KeyLayout, composite: &[u8]) -> UncutReason {
    layout.cut(composite).unwrap_err().why
}

#[test]
fn key_groups_have_two_bytes_above_128() {
    assert_eq!(KeyGroupPrefix::of_max_parallelism(128), KeyGroupPrefix::One);
    assert_eq!(KeyGroupPrefix::of_max_parallelism(129), KeyGroupPrefix::Two);
    assert_eq!(KeyGroupPrefix::Two.key_group(&[1, 2, 3]), Some(258));
    assert_eq!(KeyGroupPrefix::Two.key_group(&[1]), None);
}

#[test]
fn namespaces_of_fixed_length_need_no_lengths() {
    for prefix in BOTH {
        for (namespace, bytes) in [(Type::VoidNamespace, vec![0]), (Type::TimeWindow, vec![3; 16])] {
            for (key, key_bytes) in
                [(Type::Long, vec![1; 8]), (Type::String, ascii("")), (Type::String, ascii("abc"))]
            {
                let plain = layout(prefix, key, namespace, None);
                let (composite, expected) = build(prefix, &key_bytes, &bytes, &[], false);
                assert_eq!(plain.cut(&composite), Ok(expected.clone()));
                assert_eq!(plain.key_end(&composite), Ok(expected.key.end));
                let map = layout(prefix, key, namespace, Some(Type::String));
                let (composite, expected) = build(prefix, &key_bytes, &bytes, &ascii("user"), false);
                assert_eq!(map.cut(&composite), Ok(expected));
                assert!(matches!(uncut(&plain, &composite), UncutReason::Bad(bad) if bad.rule == LEFTOVER));
            }
        }
    }
}

#[test]
fn variable_keys_and_namespaces_have_lengths_that_are_checked() {
    for prefix in BOTH {
        let of = layout(prefix, Type::String, Type::String, None);
        for n in [0, 1, 100, 254, 255, 256, 300, 70_000] {
            let (key, namespace) = (ascii(&"k".repeat(n)), ascii(&"n".repeat(300 - n.min(300))));
            let (mut composite, expected) = build(prefix, &key, &namespace, &[], true);
            assert_eq!(of.cut(&composite), Ok(expected.clone()), "{n}");
            assert_eq!(of.key_end(&composite), Ok(expected.namespace.start), "{n}");
            composite[expected.key.end] ^= 1;
            assert!(matches!(uncut(&of, &composite), UncutReason::Bad(bad) if bad.at == expected.key.end));
            assert!(of.key_end(&composite).is_err());
        }
        let map = layout(prefix, Type::String, Type::String, Some(Type::Kryo));
        let (composite, expected) = build(prefix, &ascii("key"), &ascii("ns"), &[9; 9], true);
        assert_eq!(map.cut(&composite), Ok(expected), "a user key of any bytes");
    }
}

#[test]
fn lengths_are_little_endian_and_minimal() {
    for n in [0, 1, 255, 256, 258, 65_535, 65_536, 1 << 24] {
        let bytes = length(n);
        assert_eq!(length_len(n), bytes.len(), "{n}");
        assert_eq!(after_length(&bytes, 0, n), Ok(bytes.len()));
        assert!(lengths_before(&bytes, bytes.len()).any(|found| found == (0, n)));
    }
    assert_eq!(length(258), [2, 1]);
    // A longer form of 5 is none.
    assert_eq!(lengths_before(&[5, 0], 2).collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn keys_that_cannot_be_walked_are_cut_from_the_end() {
    let key = [1, 0, 2, 0, 3];
    for prefix in BOTH {
        // A namespace of fixed length, and no user key or one of fixed length.
        for (namespace, bytes) in [(Type::VoidNamespace, vec![0]), (Type::TimeWindow, vec![3; 16])] {
            for (user_key, user_bytes) in [(None, vec![]), (Some(Type::Long), vec![5; 8])] {
                let of = layout(prefix, Type::Kryo, namespace, user_key);
                let (composite, expected) = build(prefix, &key, &bytes, &user_bytes, false);
                assert_eq!(of.cut(&composite), Ok(expected.clone()));
                assert_eq!(of.key_end(&composite), Ok(expected.namespace.start));
            }
            let of = layout(prefix, Type::Kryo, namespace, Some(Type::String));
            let (composite, _) = build(prefix, &key, &bytes, &ascii("x"), false);
            let at = prefix.bytes();
            assert_eq!(uncut(&of, &composite), UncutReason::Opaque { part: KeyPart::Key, at, stop: 0 });
            assert!(of.cut(&composite).unwrap_err().key_group.is_some());
        }
        // Lengths.
        let of = layout(prefix, Type::Kryo, Type::String, None);
        let (composite, expected) = build(prefix, &key, &ascii("namespace"), &[], true);
        assert_eq!(of.cut(&composite), Ok(expected.clone()));
        assert_eq!(of.key_end(&composite), Ok(expected.namespace.start));
        let of = layout(prefix, Type::Kryo, Type::Kryo, Some(Type::Long));
        let (composite, expected) = build(prefix, &key, &[8, 8, 8], &[1; 8], true);
        assert_eq!(of.cut(&composite), Ok(expected));
        let (composite, _) = build(prefix, &key, &[8, 8, 8], &[1; 8], false);
        assert!(matches!(uncut(&of, &composite), UncutReason::Bad(bad) if bad.rule == WRONG_LENGTH));
    }
}

#[test]
fn namespaces_that_cannot_be_walked_have_what_is_left() {
    for prefix in BOTH {
        for (key, bytes, lengths) in [(Type::Long, vec![1; 8], false), (Type::String, ascii("key"), true)] {
            for (user_key, user_bytes) in [(None, vec![]), (Some(Type::Long), vec![5; 8])] {
                let of = layout(prefix, key, Type::Kryo, user_key);
                let (composite, expected) = build(prefix, &bytes, &[4, 4, 4], &user_bytes, lengths);
                assert_eq!(of.cut(&composite), Ok(expected));
            }
            let of = layout(prefix, key, Type::Kryo, Some(Type::String));
            let (composite, _) = build(prefix, &bytes, &[4, 4, 4], &ascii("u"), lengths);
            let why = uncut(&of, &composite);
            assert!(matches!(why, UncutReason::Opaque { part: KeyPart::Namespace, .. }), "{why:?}");
        }
    }
}

#[test]
fn where_more_than_one_cut_fits_there_is_none() {
    let prefix = KeyGroupPrefix::One;
    let of = layout(prefix, Type::Kryo, Type::Kryo, None);
    // A namespace of 256 bytes that end like the length of a key of 258.
    let namespace = [[8; 254].as_slice(), &[2, 1]].concat();
    let (composite, _) = build(prefix, &[9; 3], &namespace, &[], true);
    let (other, _) = build(prefix, &composite[1..259], &[0], &[], true);
    assert_eq!(composite, other);
    assert_eq!(of.cut(&composite), Err(Uncut { key_group: Some(7), why: UncutReason::Several }));
    // A namespace that can be walked is only one of them.
    let of = layout(prefix, Type::Kryo, Type::String, None);
    let (composite, expected) = build(prefix, &[9; 3], &ascii(&"\u{1}".repeat(254)), &[], true);
    assert_eq!(of.cut(&composite), Ok(expected));
}

#[test]
fn of_a_class_that_is_not_known_what_fits_is_taken() {
    let prefix = KeyGroupPrefix::One;
    // One that declares a length makes the other's irrelevant.
    let of = layout(prefix, Type::Unknown, Type::VoidNamespace, None);
    let (composite, expected) = build(prefix, &[1, 2, 3], &[0], &[], false);
    assert_eq!(of.cut(&composite), Ok(expected));
    // Without lengths: with them, that behind the key would not fit.
    let of = layout(prefix, Type::String, Type::Unknown, None);
    let (composite, expected) = build(prefix, &ascii("abc"), &[9, 9], &[], false);
    assert_eq!(of.cut(&composite), Ok(expected.clone()));
    assert_eq!(of.key_end(&composite), Ok(expected.namespace.start));
    // With lengths that fit, it may have none, and be longer.
    let (composite, _) = build(prefix, &ascii("abc"), &[9, 9], &[], true);
    assert_eq!(uncut(&of, &composite), UncutReason::Several);
    let of = layout(prefix, Type::Unknown, Type::String, None);
    assert!(matches!(uncut(&of, &composite), UncutReason::Opaque { part: KeyPart::Key, .. }));
}

#[test]
fn timers_have_their_time_in_front() {
    let timer = |key: Type, namespace: Type| {
        let mut bytes = Vec::new();
        let class = "org.apache.flink.streaming.api.operators.TimerSerializerSnapshot";
        bytes.extend((class.len() as u16).to_be_bytes());
        bytes.extend(class.as_bytes());
        bytes.extend([0, 0, 0, 3, 0, 0x0D, 0xE7, 4, 0, 0, 0, 2, 0, 0x14, 0x57, 0xFD, 0, 0, 0, 1, 0, 0, 0, 2]);
        for part in [key, namespace] {
            let class = snapshot(part).class;
            bytes.extend((class.len() as u16).to_be_bytes());
            bytes.extend(class.as_bytes());
            bytes.extend([0, 0, 0, 3]);
        }
        let read = read_versioned(&mut Cursor::new(&bytes));
        assert_eq!(read.stop, None);
        KeyLayout::timer(KeyGroupPrefix::One, &read.snapshot).unwrap()
    };
    let time = (-5i64 ^ i64::MIN).to_be_bytes();
    let composite = [&[7], time.as_slice(), &ascii("key"), &[0]].concat();
    let of = timer(Type::String, Type::VoidNamespace);
    let expected = KeyCut { key_group: 7, key: 9..13, namespace: 13..14, user_key: 14..14 };
    assert_eq!(of.cut(&composite), Ok(expected));
    assert_eq!((of.timestamp(&composite), of.key_end(&composite)), (Some(-5), Ok(13)));
    // No lengths, ever.
    let composite = [&[7], time.as_slice(), &ascii("key"), &ascii("ns")].concat();
    let of = timer(Type::String, Type::String);
    assert_eq!(of.cut(&composite).map(|cut| cut.namespace), Ok(13..16));
    assert_eq!(KeyLayout::timer(KeyGroupPrefix::One, &snapshot(Type::String)), None);
    assert_eq!(layout(KeyGroupPrefix::One, Type::Long, Type::Long, None).timestamp(&composite), None);
    for cut in 0..composite.len() {
        assert!(matches!(of.cut(&composite[..cut]), Err(Uncut { why: UncutReason::Bad(_), .. })), "{cut}");
    }
}

#[test]
fn key_and_namespace_do_not_depend_on_what_follows() {
    let of = layout(KeyGroupPrefix::One, Type::String, Type::String, Some(Type::Long));
    let (composite, expected) = build(KeyGroupPrefix::One, &ascii("key"), &ascii("ns"), &[0; 8], true);
    let head = KeyHead { key_end: expected.key.end, end: Ok(expected.user_key.start), from_front: true };
    for length in expected.user_key.start..=composite.len() {
        assert_eq!(of.head(&composite[..length]), Ok(head), "{length}");
    }
    // The length behind the namespace is gone; the key is still known. Without its end, nothing is.
    let cut = of.head(&composite[..expected.user_key.start - 1]).unwrap();
    assert_eq!(cut.key_end, expected.key.end);
    assert!(matches!(cut.end, Err(UncutReason::Bad(_))));
    assert!(matches!(of.head(&composite[..expected.key.end - 1]), Err(UncutReason::Bad(_))));
    // From the end, what follows is asked for.
    let of = layout(KeyGroupPrefix::One, Type::Kryo, Type::Long, None);
    let (composite, expected) = build(KeyGroupPrefix::One, &[1, 2, 3], &[0; 8], &[], false);
    let head = KeyHead { key_end: expected.key.end, end: Ok(composite.len()), from_front: false };
    assert_eq!(of.head(&composite), Ok(head));
}

#[test]
fn what_is_too_short_has_at_most_a_key_group() {
    let of = layout(KeyGroupPrefix::Two, Type::Long, Type::VoidNamespace, None);
    assert_eq!(of.cut(&[1]).unwrap_err().key_group, None);
    assert_eq!(of.cut(&[1, 2, 3]).unwrap_err().key_group, Some(258));
    assert!(of.key_end(&[]).is_err());
    assert_eq!(of.key_end(&[0; 10]), Ok(10), "what is behind is not looked at");
    assert!(of.cut(&[0; 10]).is_err());
}

fn any_type() -> impl Strategy<Value = Type> {
    use Type::*;
    prop::sample::select(&[Long, String, TimeWindow, VoidNamespace, Kryo, Unknown][..])
}

/// Bytes of a value; of what cannot be walked, any.
fn bytes(of: Type, any: &[u8]) -> Vec<u8> {
    match of {
        Type::Long => vec![any.len() as u8; 8],
        Type::TimeWindow => vec![any.len() as u8; 16],
        Type::VoidNamespace => vec![0],
        Type::String => ascii(&"x".repeat(any.len())),
        Type::Kryo | Type::Unknown => any.to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A cut is the one that the key was built of, or there is none; and where nothing is opaque, there is one.
    #[test]
    fn keys_are_cut_as_they_were_built(
        key in any_type(), namespace in any_type(), user_key in prop::option::of(any_type()), two: bool,
        a in prop::collection::vec(0u8..5, 0..300), b in prop::collection::vec(0u8..5, 0..8),
        c in prop::collection::vec(0u8..5, 0..8)
    ) {
        let prefix = if two { KeyGroupPrefix::Two } else { KeyGroupPrefix::One };
        let of = layout(prefix, key, namespace, user_key);
        let variable = |of| matches!(of, Type::String | Type::Kryo | Type::Unknown);
        let lengths = variable(key) && variable(namespace);
        let user_bytes = user_key.map_or(vec![], |user_key| bytes(user_key, &c));
        let (composite, expected) = build(prefix, &bytes(key, &a), &bytes(namespace, &b), &user_bytes, lengths);
        let opaque = [Some(key), Some(namespace)].iter().flatten().any(|t| matches!(t, Type::Kryo | Type::Unknown));
        match of.cut(&composite) {
            Ok(cut) => {
                prop_assert_eq!(&cut, &expected);
                prop_assert_eq!(of.key_end(&composite), Ok(expected.namespace.start));
                let head = of.head(&composite).unwrap();
                prop_assert_eq!((head.key_end, head.end), (expected.key.end, Ok(expected.user_key.start)));
            }
            Err(uncut) => {
                // Then a key that can be walked is known without the rest.
                if let Ok(head) = of.head(&composite) {
                    prop_assert_eq!((head.key_end, head.end), (expected.key.end, Err(uncut.why)));
                }
                prop_assert!(opaque, "{:?}", uncut);
                prop_assert!(!matches!(uncut.why, UncutReason::Bad(_)), "{:?}", uncut);
                prop_assert_eq!(uncut.key_group, Some(expected.key_group));
            }
        }
    }

    #[test]
    fn other_bytes_are_covered_or_uncut(
        key in any_type(), namespace in any_type(), user_key in prop::option::of(any_type()),
        composite in prop::collection::vec(0u8..6, 0..40)
    ) {
        let of = layout(KeyGroupPrefix::One, key, namespace, user_key);
        if let Ok(cut) = of.cut(&composite) {
            prop_assert!(cut.key.start == 1 && cut.key.start <= cut.key.end && cut.key.end <= cut.namespace.start);
            prop_assert!(cut.namespace.start <= cut.namespace.end && cut.namespace.end <= cut.user_key.start);
            prop_assert_eq!(cut.user_key.end, composite.len());
        }
        if let Ok(end) = of.key_end(&composite) {
            prop_assert!(end <= composite.len());
        }
    }
}
