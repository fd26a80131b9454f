//! Golden files: see `testdata/golden/README.md`.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden").join(name)).unwrap()
}

fn keyed(bytes: &[u8]) -> Result<KeyedBackendMeta> {
    KeyedBackendMeta::parse(&mut Cursor::new(bytes), End::Eof)
}

/// Name, and all serializers as text.
fn lines(states: &[StateMetaInfo]) -> Vec<(String, Vec<String>)> {
    let line = |s: &StateMetaInfo| {
        let serializers = s.serializers.iter().map(|(k, v)| format!("{}: {}", k.label(), v.render()));
        (s.name.clone(), serializers.collect())
    };
    states.iter().map(line).collect()
}

/// Offsets of the snapshot classes' names, and their lengths.
fn classes(bytes: &[u8]) -> Vec<(usize, usize)> {
    let prefix = b"org.apache.flink.";
    (2..bytes.len())
        .filter(|&i| bytes[i..].starts_with(prefix))
        .map(|i| (i, usize::from(bytes[i - 2]) << 8 | usize::from(bytes[i - 1])))
        .filter(|&(i, length)| i + length <= bytes.len() && bytes[i..i + length].ends_with(b"Snapshot"))
        .collect()
}

#[test]
fn keyed_meta_of_a_checkpoint() {
    let bytes = golden("state_meta/keyed-zoo-2.3");
    let meta = keyed(&bytes).unwrap();
    assert_eq!((meta.version, meta.compressed, meta.end), (6, false, Some(bytes.len() as u64)));
    assert_eq!(meta.key_serializer.render(), "Long");
    assert_eq!((meta.skipped.len(), meta.states.len()), (0, 15));
    let first = &meta.states[0];
    assert_eq!((first.name.as_str(), first.kind), ("v_list", StateKind::KeyValue(KeyedStateType::Value)));
    assert_eq!((first.offset, first.length), (97, Some(366)));
    assert_eq!(first.value_serializer().unwrap().render(), "List<String>");
    assert_eq!(first.namespace_serializer().unwrap().render(), "VoidNamespace");
    assert_eq!((first.has_ttl(), meta.states[1].has_ttl()), (Some(false), Some(true)));
    let map = meta.states.iter().find(|s| s.name == "m_enum_long").unwrap();
    assert_eq!(map.user_key_serializer().unwrap().render(), "enum Color");
    let kryo = meta.states.iter().find(|s| s.name == "v_listkryo").unwrap().kryo_paths();
    assert_eq!((kryo[0].path.as_str(), kryo[0].class.as_str()), ("value.element", "Zoo$KryoThing"));
    assert_eq!(meta.states[14].kind, StateKind::PriorityQueue);
    assert_eq!(meta.states[14].value_serializer().unwrap().render(), "Timer<Long, VoidNamespace>");
    let whole: u64 = meta.states.iter().map(|s| s.length.unwrap()).sum();
    assert_eq!(whole + 97, bytes.len() as u64);
}

#[test]
fn operator_meta_ends_where_data_starts() {
    let bytes = golden("state_meta/operator-broadcast-2.3");
    for end in [End::Unknown, End::DataAt(1745)] {
        let mut cursor = Cursor::new(&bytes);
        let meta = OperatorBackendMeta::parse(&mut cursor, end).unwrap();
        assert_eq!((cursor.offset(), meta.end), (1745, Some(1745)));
        assert_eq!((meta.states.len(), meta.broadcast_states.len()), (0, 2));
        let rules = meta.state("rules-texts").unwrap();
        assert_eq!(rules.kind, StateKind::Broadcast);
        assert_eq!(rules.distribution_mode, Some(DistributionMode::Broadcast));
        assert_eq!(rules.serializer(&SerializerKey::Key).unwrap().render(), "Long");
    }
    let bytes = golden("state_meta/operator-lists-2.3");
    let meta = OperatorBackendMeta::parse(&mut Cursor::new(&bytes), End::Unknown).unwrap();
    let modes: Vec<_> = meta.states.iter().map(|s| s.distribution_mode.unwrap()).collect();
    assert_eq!(modes, [DistributionMode::Union, DistributionMode::SplitDistribute]);
}

#[test]
fn legacy_versions() {
    let meta = keyed(&golden("snapshots/legacy/keyed-v2")).unwrap();
    assert_eq!(meta.key_serializer.render(), "String");
    // Version 2 has only the serializers themselves; of the tuple's, nothing but its class is known.
    let serializers = &lines(&meta.states)[0].1;
    assert_eq!(serializers[0], "namespace: VoidNamespace");
    assert_eq!(serializers[1], "value: ?<org.apache.flink.api.java.typeutils.runtime.TupleSerializer>");
    let meta = keyed(&golden("snapshots/legacy/keyed-v4")).unwrap();
    assert!(meta.compressed);
    assert_eq!(lines(&meta.states)[0].1, ["namespace: VoidNamespace", "value: List<Long>"]);
    assert_eq!(meta.states[0].kind, StateKind::KeyValue(KeyedStateType::List));
    let meta = keyed(&golden("snapshots/legacy/keyed-v5")).unwrap();
    assert_eq!(lines(&meta.states)[0].1, ["namespace: VoidNamespace", "value: List<Long>"]);
    let bytes = golden("snapshots/legacy/operator-v3");
    let mut cursor = Cursor::new(&bytes);
    let meta = OperatorBackendMeta::parse(&mut cursor, End::Unknown).unwrap();
    assert!(cursor.is_empty());
    assert_eq!(meta.states[0].distribution_mode, Some(DistributionMode::Union));
    assert_eq!(lines(&meta.broadcast_states)[0].1, ["key: String", "value: Long"]);
}

#[test]
fn one_unknown_class_hides_no_other_state() {
    for file in ["state_meta/keyed-zoo-2.3", "state_meta/keyed-zoo-1.13"] {
        let bytes = golden(file);
        let expected = lines(&keyed(&bytes).unwrap().states);
        for (at, length) in classes(&bytes) {
            let mut changed = bytes.clone();
            changed[at + length - 1] = b'X';
            let meta = keyed(&changed).unwrap();
            let found = lines(&meta.states);
            assert_eq!(meta.error, None);
            assert_eq!(meta.end, Some(bytes.len() as u64));
            assert_eq!(found.len(), expected.len(), "{file} {at}");
            let hit = |s: &&StateMetaInfo| s.offset < at as u64 && (at as u64) < s.offset + s.length.unwrap();
            let hit = meta.states.iter().find(hit).map(|s| s.name.clone());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.0, expected.0, "{file} {at}");
                assert_eq!(found.1.len(), expected.1.len(), "{file} {at}");
                if hit.as_ref() != Some(&found.0) {
                    assert_eq!(found, expected, "{file} {at}");
                }
            }
            // Inside a POJO's frames, nothing needs to be skipped.
            assert!(meta.skipped.len() <= 1);
            for skipped in &meta.skipped {
                assert_eq!((skipped.offset, &skipped.state), (at as u64 - 2, &hit));
                assert!(skipped.class.ends_with('X') && skipped.length.is_some());
            }
        }
    }
}

#[test]
fn many_unknown_classes_hide_no_other_state() {
    let bytes = golden("state_meta/keyed-zoo-2.3");
    let expected = lines(&keyed(&bytes).unwrap().states);
    // All namespaces, all strings, all lists, all timers, and everything but timers.
    for part in [&b"VoidNamespace"[..], b"StringSer", b"ListSer", b"TimerSer", b"Serializer"] {
        let mut changed = bytes.clone();
        let mut count = 0;
        for (at, length) in classes(&bytes) {
            if bytes[at..at + length].windows(part.len()).any(|w| w == part) {
                changed[at + length - 1] = b'X';
                count += 1;
            }
        }
        let meta = keyed(&changed).unwrap();
        let names: Vec<_> = meta.states.iter().map(|s| s.name.clone()).collect();
        assert!(count > 1);
        assert_eq!(names, expected.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        assert_eq!((meta.error, meta.end), (None, Some(bytes.len() as u64)));
        assert!(meta.states.iter().all(|s| s.length.is_some()));
    }
}

#[test]
fn an_unknown_class_in_operator_state() {
    for (file, end, states) in [("operator-broadcast-2.3", 1745, 2), ("operator-lists-2.3", 587, 2)] {
        let bytes = golden(&format!("state_meta/{file}"));
        for (at, length) in classes(&bytes).into_iter().filter(|&(at, _)| at < end) {
            let mut changed = bytes.clone();
            changed[at + length - 1] = b'X';
            let mut cursor = Cursor::new(&changed);
            let meta = OperatorBackendMeta::parse(&mut cursor, End::DataAt(end as u64)).unwrap();
            assert_eq!(meta.states.len() + meta.broadcast_states.len(), states);
            assert_eq!((meta.end, cursor.offset()), (Some(end as u64), end as u64));
            // Without knowing where the data starts, only the end of the last one is lost.
            let meta = OperatorBackendMeta::parse(&mut Cursor::new(&changed), End::Unknown).unwrap();
            assert_eq!(meta.states.len() + meta.broadcast_states.len(), states, "{file} {at}");
        }
    }
}

#[test]
fn a_class_that_lies_about_its_content_is_skipped_too() {
    let bytes = golden("state_meta/keyed-zoo-2.3");
    let expected = keyed(&bytes).unwrap();
    // The magic number of each composite.
    let magics = (0..bytes.len()).filter(|&i| bytes[i..].starts_with(&[0, 0x0d, 0xe7, 4]));
    for at in magics {
        let mut changed = bytes.clone();
        changed[at + 3] = 5;
        let meta = keyed(&changed).unwrap();
        assert_eq!(meta.states.len(), expected.states.len());
        assert!(meta.skipped.iter().all(|s| s.error.is_some()));
    }
}

#[test]
fn every_truncation_is_an_error_inside_the_bytes() {
    let bytes = golden("state_meta/keyed-zoo-1.13");
    let whole = keyed(&bytes).unwrap().states;
    let mut most = 0;
    for cut in (0..bytes.len()).step_by(3) {
        let error = match keyed(&bytes[..cut]) {
            Err(error) => error,
            // The states before the cut are kept.
            Ok(meta) => {
                let before = whole.iter().take_while(|s| s.offset + s.length.unwrap() <= cut as u64).count();
                assert!(before > 0, "{cut}");
                assert_eq!(meta.states[..before], whole[..before], "{cut}");
                most = most.max(before);
                meta.error.unwrap_or_else(|| panic!("cut at {cut} without an error"))
            }
        };
        assert!(error.offset() <= cut as u64, "{cut}: {error}");
    }
    assert_eq!(most, whole.len() - 1);
    let bytes = golden("state_meta/operator-broadcast-2.3");
    for cut in 0..1745 {
        let error = match OperatorBackendMeta::parse(&mut Cursor::new(&bytes[..cut]), End::Unknown) {
            Err(error) => error,
            Ok(meta) => meta.error.unwrap_or_else(|| panic!("cut at {cut} without an error")),
        };
        assert!(error.offset() <= cut as u64, "{cut}: {error}");
    }
    for version in 2..=5 {
        let Some(bytes) =
            [None, None, Some("keyed-v2"), Some("operator-v3"), Some("keyed-v4"), Some("keyed-v5")][version]
                .map(|name| golden(&format!("snapshots/legacy/{name}")))
        else {
            continue;
        };
        for cut in 0..bytes.len() {
            let cursor = &mut Cursor::new(&bytes[..cut]);
            let error = if version == 3 {
                OperatorBackendMeta::parse(cursor, End::Unknown).unwrap_err()
            } else {
                KeyedBackendMeta::parse(cursor, End::Eof).unwrap_err()
            };
            assert!(error.offset() <= cut as u64, "{cut}: {error}");
        }
    }
}

#[test]
fn no_bit_flip_panics() {
    for file in ["state_meta/keyed-zoo-1.13", "snapshots/legacy/keyed-v5", "snapshots/legacy/operator-v3"] {
        let mut bytes = golden(file);
        for i in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
            for bit in 0..8 {
                bytes[i] ^= 1 << bit;
                let _ = keyed(&bytes);
                let _ = OperatorBackendMeta::parse(&mut Cursor::new(&bytes), End::Unknown);
                bytes[i] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn searches_are_bounded() {
    // States without end, each with an unknown class, and no bytes to come back to in between.
    let mut state = Vec::new();
    state.extend(*b"\0\x01s\0\0\0\0\0\0\0\0\0\0\0\x01\0\x10VALUE_SERIALIZER\0\0\0\x02\0\x05a.Foo\0\0\0\x01");
    let mut bytes = b"\0\0\0\x06\0\0\0\0\x02\0\x05a.Key\0\0\0\x01\x02\0".to_vec();
    for _ in 0..0x200 {
        bytes.extend(&state);
    }
    let meta = keyed(&bytes).unwrap();
    assert_eq!((meta.states.len(), meta.skipped.len()), (0x200, 0x201));
    // The same, but the last state is cut off.
    bytes.truncate(bytes.len() - 30);
    let meta = keyed(&bytes);
    assert!(meta.is_ok_and(|m| m.end.is_none()));
}

#[test]
fn timers_of_raw_keyed_state() {
    let class = b"org.apache.flink.api.common.typeutils.base.LongSerializer$LongSerializerSnapshot";
    let void = b"org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot";
    let mut bytes = vec![0xf1, 0xcd, 0x85, 0x9f, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, b't'];
    for class in [&class[..], &void[..]] {
        bytes.extend(u16::try_from(class.len()).unwrap().to_be_bytes());
        bytes.extend(class);
        bytes.extend([0, 0, 0, 3]);
    }
    bytes.extend([0, 0, 0, 2]); // two event-time timers: key, namespace, timestamp
    for at in [5i64, -3] {
        bytes.extend(7i64.to_be_bytes());
        bytes.push(0);
        bytes.extend(at.to_be_bytes());
    }
    bytes.extend([0, 0, 0, 0]);
    let skip = |s: &SerializerSnapshot, c: &mut Cursor<'_>| {
        c.skip(if s.render() == "Long" { 8 } else { 1 }).map(|()| true)
    };
    let mut cursor = Cursor::new(&bytes);
    let services = TimerServices::parse(&mut cursor, skip).unwrap();
    assert!(cursor.is_empty());
    let service = &services.services[0];
    assert_eq!(service.event.unwrap().range, Some((-3, 5)));
    assert_eq!((service.event.unwrap().length, service.processing.unwrap().count), (Some(34), 0));
    // Without a way over the values, the count is known at least.
    let services = TimerServices::parse(&mut Cursor::new(&bytes), |_, _| Ok(false)).unwrap();
    assert_eq!(services.services[0].event.unwrap().count, 2);
    assert_eq!(services.services[0].processing, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any payload behind an unknown class, as long as it does not contain meta data itself.
    #[test]
    fn any_unknown_payload_is_stepped_over(
        which in 0usize..100,
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = golden("state_meta/keyed-zoo-2.3");
        let expected = keyed(&bytes).unwrap();
        // A state's value serializer: unknown class, any version, any payload.
        let states: Vec<_> = expected.states.iter().collect();
        let state = states[which % states.len()];
        let (key, snapshot) = &state.serializers[0];
        let start = usize::try_from(snapshot.offset).unwrap();
        let end = start + usize::try_from(snapshot.length.unwrap()).unwrap();
        let mut changed = bytes[..start].to_vec();
        changed.extend(b"\0\x0fcom.example.Foo\0\0\0\x01");
        changed.extend(&payload);
        changed.extend(&bytes[end..]);
        let meta = keyed(&changed).unwrap();
        prop_assert_eq!(meta.states.len(), expected.states.len());
        prop_assert_eq!(&meta.skipped[0].serializer, &Some(key.clone()));
        prop_assert_eq!(meta.skipped[0].length, Some(21 + payload.len() as u64));
        for (found, expected) in meta.states.iter().zip(&expected.states) {
            prop_assert_eq!(&found.name, &expected.name);
            prop_assert_eq!(found.serializers.len(), expected.serializers.len());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = keyed(&bytes);
        let _ = OperatorBackendMeta::parse(&mut Cursor::new(&bytes), End::Unknown);
        let _ = StateMetaInfo::parse(&mut Cursor::new(&bytes), 7);
    }
}
