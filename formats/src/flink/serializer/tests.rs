//! Golden files: see `testdata/golden/README.md`.

use std::path::{Path, PathBuf};

use super::*;
use crate::cursor::Cursor;
use crate::error::ErrorKind;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/snapshots")
}

fn all() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for directory in ["1.13", "2.3", "legacy"] {
        for entry in std::fs::read_dir(golden().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{directory}/{}", path.file_name().unwrap().to_string_lossy());
            // Legacy meta data is tested with the meta data.
            if !name.contains("keyed") && !name.contains("operator") {
                files.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    files.sort();
    assert!(files.len() > 50);
    files
}

fn read(name: &str) -> SerializerSnapshot {
    let bytes = std::fs::read(golden().join(name)).unwrap();
    let mut cursor = Cursor::new(&bytes);
    let read = read_proxy(&mut cursor).unwrap();
    assert_eq!(read.stop, None, "{name}");
    assert!(cursor.is_empty(), "{name}");
    read.snapshot
}

#[test]
fn every_golden_file_decodes_to_its_end() {
    for (name, bytes) in all() {
        let mut cursor = Cursor::at(&bytes, 1 << 32);
        let read = read_proxy(&mut cursor).unwrap();
        assert_eq!(read.stop, None, "{name}");
        assert_eq!(cursor.remaining(), 0, "{name}");
        assert_eq!(read.snapshot.opaque_paths(), [], "{name}");
        assert_eq!(read.snapshot.length, Some(bytes.len() as u64 - 4), "{name}");
        assert!(read.snapshot.is_complete(), "{name}");
    }
}

#[test]
fn types_read_like_java() {
    let item =
        "Item{colour: enum Colour, counts: int[], id: Long, name: String, tree: Kryo<java.util.TreeMap>}";
    for (name, expected) in [
        ("map-list", "Map<String, List<Long>>"),
        ("set", "Set<Long>"),
        ("array-list", "List<Long>"),
        ("tuple3", "Tuple3<Long, String, enum Colour>"),
        ("either", "Either<Long, String>"),
        ("nullable-padded", "Long?"),
        ("ttl", "Ttl<String>"),
        ("timer", "Timer<String, GlobalWindow>"),
        ("kryo-treemap", "Kryo<java.util.TreeMap>"),
        ("pojo-item-registered", item),
        ("array-of-pojo", &format!("{item}[]")),
        ("row-named", "Row<Integer, String>"),
        ("two-phase-commit", "TwoPhaseCommitState<String, Void>"),
        ("external", "ROW<INT>"),
        ("decimal-data", "DECIMAL(30, 5)"),
        ("array-data", "ARRAY<VARCHAR(7)>"),
        ("map-data", "MAP<INT, ROW<`flag` BOOLEAN NOT NULL, `we``ird` DOUBLE>>"),
        ("map-view", "MapView<Map<String, Long>>"),
        ("sorted-map", "SortedMap<Long, String>"),
        ("window-key", "WindowKey<BinaryRow(1 fields)>"),
        ("python-row-data", "ROW<INT, VARCHAR(9)>"),
        ("cep-nfa-state", "NFAState<DeweyNumber, NodeId<EventId>, EventId>"),
        ("multiset-row-sqn-info", "RowSqnInfo<Long, Long>"),
        ("basic-variant", "Variant"),
        ("table-count-window", "CountWindow"),
        ("value-serializer", "Value<StringValue>"),
    ] {
        assert_eq!(read(&format!("2.3/{name}")).render(), expected, "{name}");
    }
    assert_eq!(
        read("2.3/row-data").render(),
        "ROW<INT, VARCHAR(2147483647), DECIMAL(10, 2), TIMESTAMP(3), TIMESTAMP_LTZ(6), ARRAY<INT>, \
         MAP<VARCHAR(20), BIGINT>, ROW<`flag` BOOLEAN NOT NULL, `we``ird` DOUBLE>, DATE, VARBINARY(16), \
         CHAR(3), TIME(0), MULTISET<SMALLINT>, INTERVAL YEAR TO MONTH(2), INTERVAL DAY TO SECOND(6), FLOAT, \
         TINYINT, BIGINT NOT NULL>"
    );
    assert_eq!(read("legacy/snapshot-pojo").render(), "P{id: Long, name: String}");
    assert_eq!(read("legacy/snapshot-tuple").render(), "Tuple2<Long, String>");
    assert_eq!(read("legacy/snapshot-kryo").render(), "Kryo<java.util.TreeMap>");
}

#[test]
fn rendering_is_bounded() {
    let order = read("2.3/pojo-order");
    let brief = order.render_with(RenderOptions { max_depth: 1, max_chars: 1000, show_ttl: true });
    assert_eq!(
        brief,
        "Order{attributes: Map<…, …>?, boxed: Integer, item: Item{…}, items: List<…>?, pair: Tuple2<…, …>}"
    );
    assert_eq!(order.render_with(RenderOptions::brief(10)), "Order{att…");
    assert_eq!(read("2.3/ttl").render_with(RenderOptions::brief(80)), "String");
}

#[test]
fn pojos_have_fields_and_subclasses() {
    let item = read("2.3/pojo-item-registered");
    let Kind::Pojo { class, fields, registered, non_registered } = &item.kind else { panic!("{item:?}") };
    assert_eq!(class, "SnapshotGold$Item");
    assert_eq!(fields[2].name, "id");
    assert_eq!(fields[2].declaring_class.as_deref(), Some("SnapshotGold$Item"));
    assert_eq!(item.child(fields[2].child.unwrap()).unwrap().kind, Kind::Basic(Basic::Long));
    assert_eq!((registered[0].class.as_str(), non_registered.len()), ("SnapshotGold$SubItem", 0));
    let kryo = item.kryo_paths();
    assert_eq!((kryo[0].path.as_str(), kryo[0].in_subclass), ("tree", false));
    assert_eq!((kryo[1].path.as_str(), kryo[1].in_subclass), ("<SubItem>.tree", true));
}

#[test]
fn kryo_registrations_are_in_order() {
    let Kind::Kryo { registrations, .. } = read("2.3/kryo-treemap").kind else { panic!() };
    assert!(registrations.iter().any(|r| r.class == "java.util.UUID"));
    let Kind::Kryo { class, registrations, .. } = read("legacy/snapshot-kryo").kind else { panic!() };
    assert_eq!((class.as_str(), registrations.len()), ("java.util.TreeMap", 1));
}

#[test]
fn versions_of_outer_data() {
    let flags = |name: &str| read(name).kind;
    assert_eq!(flags("1.13/row-named"), Kind::Row { supports_row_kind: true });
    assert_eq!(flags("2.3/two-phase-commit-null"), Kind::TwoPhaseCommit { supports_null_transaction: true });
    assert_eq!(flags("1.13/two-phase-commit"), Kind::TwoPhaseCommit { supports_null_transaction: false });
    assert_eq!(flags("2.3/nullable-padded"), Kind::Nullable { padding: 8 });
    assert!(matches!(flags("2.3/timestamp-data"), Kind::TimestampData { precision: 6, python: false }));
}

#[test]
fn ttl_is_found_where_flink_puts_it() {
    assert!(read("2.3/ttl").has_ttl());
    assert!(!read("2.3/map-list").has_ttl());
    assert!(!read("2.3/timer").has_ttl());
}

#[test]
fn every_truncation_is_an_error_inside_the_bytes() {
    for (name, bytes) in all() {
        let step = 1 + bytes.len() / 400;
        for cut in (0..bytes.len()).step_by(step) {
            let mut cursor = Cursor::new(&bytes[..cut]);
            let error = match read_proxy(&mut cursor) {
                Err(error) => error,
                Ok(read) => read.stop.unwrap_or_else(|| panic!("{name} cut at {cut}")).into_error(),
            };
            assert!(error.offset() <= cut as u64, "{name} cut at {cut}: {error}");
        }
    }
}

#[test]
fn no_bit_flip_panics() {
    for (_, mut bytes) in all() {
        let step = 1 + bytes.len() / 80;
        for i in (0..bytes.len()).step_by(step) {
            for bit in 0..8 {
                bytes[i] ^= 1 << bit;
                if let Ok(read) = read_proxy(&mut Cursor::new(&bytes)) {
                    let _ =
                        (read.snapshot.render(), read.snapshot.kryo_paths(), read.snapshot.opaque_paths());
                }
                bytes[i] ^= 1 << bit;
            }
        }
    }
}

/// `utf class | i32 version | payload`.
fn versioned(class: &str, version: i32, payload: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(class.len()).unwrap().to_be_bytes().to_vec();
    out.extend(class.as_bytes());
    out.extend(version.to_be_bytes());
    out.extend(payload);
    out
}

fn utf(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

#[test]
fn an_unknown_class_stops_and_says_where() {
    // Map<String, com.example.Foo>: 000DE704, outer version 1, 001457FD, 1, two nested ones.
    let string = versioned(
        "org.apache.flink.api.common.typeutils.base.StringSerializer$StringSerializerSnapshot",
        3,
        &[],
    );
    let mut payload = vec![0, 0x0d, 0xe7, 4, 0, 0, 0, 1, 0, 0x14, 0x57, 0xfd, 0, 0, 0, 1, 0, 0, 0, 2];
    payload.extend(string);
    let start = payload.len();
    payload.extend(versioned("com.example.FooSerializerSnapshot", 7, b"whatever"));
    let class = "org.apache.flink.api.common.typeutils.base.MapSerializerSnapshot";
    let bytes = versioned(class, 3, &payload);
    let read = read_versioned(&mut Cursor::new(&bytes));
    let stop = read.stop.unwrap();
    assert_eq!(read.snapshot.render(), "Map<String, ?<com.example.FooSerializerSnapshot>, …>");
    assert_eq!(stop.class, "com.example.FooSerializerSnapshot");
    assert_eq!(stop.error, None);
    assert_eq!(stop.offset, (2 + class.len() + 4 + start) as u64);
    assert_eq!(stop.resume_from, (bytes.len() - 8) as u64);
    assert_eq!(read.snapshot.opaque_paths()[0].path, "value");
    assert!(!read.snapshot.is_complete());
}

#[test]
fn a_known_class_of_an_unknown_version_stops() {
    let bytes =
        versioned("org.apache.flink.api.common.typeutils.base.LongSerializer$LongSerializerSnapshot", 9, &[]);
    let stop = read_versioned(&mut Cursor::new(&bytes)).stop.unwrap();
    assert!(matches!(stop.error.unwrap().kind(), ErrorKind::UnknownVersion { found: 9, .. }));
}

#[test]
fn avro_of_all_versions() {
    const CLASS: &str = "org.apache.flink.formats.avro.typeutils.AvroSerializerSnapshot";
    let schema = r#"{"type":"record","name":"User","fields":[]}"#;
    let class = utf("com.example.User");
    let mut sv = vec![u8::try_from(schema.len()).unwrap() + 1];
    sv.extend(schema.as_bytes());
    let framed = [&u32::try_from(schema.len()).unwrap().to_be_bytes(), schema.as_bytes()].concat();
    for (version, payload, name) in [
        (1, utf(schema), None),
        (2, [class.clone(), utf(schema)].concat(), Some("com.example.User")),
        (3, [class.clone(), sv].concat(), Some("com.example.User")),
        (3, [class, framed].concat(), Some("com.example.User")),
    ] {
        let bytes = versioned(CLASS, version, &payload);
        let mut cursor = Cursor::new(&bytes);
        let read = read_versioned(&mut cursor);
        assert_eq!((read.stop, cursor.remaining()), (None, 0));
        assert_eq!(read.snapshot.render(), "Avro<User>");
        assert_eq!(
            read.snapshot.kind,
            Kind::Avro { class: name.map(str::to_owned), schema: schema.to_owned() }
        );
    }
}

#[test]
fn nesting_is_limited() {
    let class = "org.apache.flink.api.common.typeutils.base.ListSerializerSnapshot";
    let mut bytes = Vec::new();
    for _ in 0..200 {
        bytes.extend(versioned(
            class,
            3,
            &[0, 0x0d, 0xe7, 4, 0, 0, 0, 1, 0, 0x14, 0x57, 0xfd, 0, 0, 0, 1, 0, 0, 0, 1],
        ));
    }
    let read = read_versioned(&mut Cursor::new(&bytes));
    assert!(matches!(read.stop.unwrap().error.unwrap().kind(), ErrorKind::LimitExceeded { .. }));
    assert!(read.snapshot.render().starts_with("List<List<List<"));
}
