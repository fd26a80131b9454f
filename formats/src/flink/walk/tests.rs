//! Values that real Flink wrote (`testdata/golden/values`), and values of random types against naive encoders.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;
use crate::flink::serializer::{Kind, read_proxy, read_versioned};
use crate::flink::state_meta::{KeyedStateType, StateKind};

pub(in crate::flink) mod naive;

use naive::{Tree, encode, snapshot, tree};

// ---- what Flink wrote ----------------------------------------------------------------------------

pub(in crate::flink) struct Golden {
    pub(in crate::flink) name: String,
    length: i32,
    pub(in crate::flink) snapshot: SerializerSnapshot,
    pub(in crate::flink) values: Vec<Vec<u8>>,
}

fn golden_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/values");
    let mut files = Vec::new();
    for release in std::fs::read_dir(root).unwrap() {
        files.extend(std::fs::read_dir(release.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    assert!(files.len() > 130);
    files
}

pub(in crate::flink) fn golden() -> Vec<Golden> {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let mut cursor = Cursor::new(&bytes);
        let length = cursor.i32().unwrap();
        let n = cursor.length32("snapshot").unwrap();
        let read = read_proxy(&mut cursor.sub(n).unwrap()).unwrap();
        let values = (0..cursor.i32().unwrap()).map(|_| cursor.bytes32("value").unwrap().to_vec()).collect();
        cursor.finish().unwrap();
        let release = path.parent().unwrap().file_name().unwrap().to_string_lossy();
        let name = format!("{release}/{}", path.file_name().unwrap().to_string_lossy());
        assert_eq!(read.stop, None, "{name}");
        Golden { name, length, snapshot: read.snapshot, values }
    };
    golden_files().into_iter().map(read).collect()
}

pub(in crate::flink) fn of(name: &str) -> Golden {
    golden().into_iter().find(|golden| golden.name == name).unwrap()
}

/// Those that nothing can walk, with the number of their values that stop.
fn stops(name: &str) -> Option<(StopKind, usize)> {
    Some(match name.split_once('/').unwrap().1 {
        "kryo" | "tuple-kryo" | "pojo-kryo" => (StopKind::Kryo, 1),
        "java-object" => (StopKind::JavaObject, 1),
        "copyable-value" => (StopKind::Value, 1),
        "python-array-data" => (StopKind::Unsupported, 1),
        "python-row-data" => (StopKind::Unsupported, 3),
        _ => return None,
    })
}

#[test]
fn every_value_that_flink_wrote_is_walked_to_its_end() {
    let mut walked = 0;
    for Golden { name, snapshot, values, .. } in golden() {
        let walker = Walker::compile(&snapshot);
        let mut stopped = Vec::new();
        for value in &values {
            assert!(walker.fixed_len().is_none_or(|n| n == value.len()), "{name}: {value:x?}");
            let followed = [value.as_slice(), &[0, 1, 2, 0xff]].concat();
            match walker.walk(&followed) {
                Walked::Stopped { stop, .. } => stopped.push(walker.stops()[stop].kind),
                end => {
                    assert_eq!(end, Walked::End(value.len()), "{name}: {value:x?}");
                    assert_eq!(walker.walk_all(value), end, "{name}: {value:x?}");
                    assert!(value.is_empty() || matches!(walker.walk_all(&followed), Walked::Bad(_)));
                }
            }
            for cut in 0..value.len() {
                let walked = walker.walk(&value[..cut]);
                assert!(!matches!(walked, Walked::End(_)), "{name}: {cut} of {value:x?}: {walked:?}");
            }
            walked += 1;
        }
        let expected = stops(&name).map_or(Vec::new(), |(kind, n)| vec![kind; n]);
        assert_eq!(stopped, expected, "{name}");
        assert_eq!(walker.stop().is_some(), !expected.is_empty(), "{name}");
    }
    assert!(walked > 200, "{walked}");
}

#[test]
fn the_declared_length_is_what_flink_says() {
    let mut not_known = Vec::new();
    for Golden { name, length, snapshot, .. } in golden() {
        match Walker::compile(&snapshot).declared_len() {
            DeclaredLength::Variable => assert!(length < 0, "{name}: {length}"),
            // Windows said 0 in 1.13.
            DeclaredLength::Fixed(_) if name.contains("-window") && length == 0 => {}
            DeclaredLength::Fixed(n) => assert_eq!(i64::from(n), i64::from(length), "{name}"),
            DeclaredLength::Unknown => not_known.push(name),
        }
    }
    assert_eq!(not_known, ["1.13/tuple-of-windows", "2.3/copyable-value", "2.3/tuple-of-windows"]);
}

#[test]
fn what_has_a_declared_length_and_can_be_walked_has_a_fixed_one() {
    for Golden { name, snapshot, .. } in golden() {
        let walker = Walker::compile(&snapshot);
        if matches!(walker.declared_len(), DeclaredLength::Fixed(_)) {
            assert!(walker.fixed_len().is_some(), "{name}");
        }
    }
}

#[test]
fn stops_say_what_and_where() {
    let walker = Walker::compile(&of("2.3/pojo-kryo").snapshot);
    let told: Vec<_> =
        walker.stops().iter().map(|s| (s.path.as_str(), s.kind, s.class.as_str(), s.when)).collect();
    assert_eq!(
        told,
        [
            ("tree", StopKind::Kryo, "java.util.TreeMap", Touch::Maybe),
            ("", StopKind::UnlistedSubclass, "ValueGold$WithKryo", Touch::Maybe)
        ]
    );
    assert_eq!(walker.stop(), walker.stops().first());
    assert_eq!(walker.stop().unwrap().to_string(), "serialized by Kryo: java.util.TreeMap at tree");
    assert_eq!(walker.kryo(), Touch::Maybe);
    let walker = Walker::compile(&of("2.3/tuple-kryo").snapshot);
    assert_eq!((walker.kryo(), walker.stop().unwrap().path.as_str()), (Touch::Always, "f1"));
    let walker = Walker::compile(&of("2.3/pojo").snapshot);
    assert_eq!((walker.kryo(), walker.stop()), (Touch::Never, None));
    assert_eq!(walker.stops().last().unwrap().kind, StopKind::UnlistedSubclass);
}

#[test]
fn a_subclass_that_is_not_listed_stops() {
    let walker = Walker::compile(&of("2.3/pojo").snapshot);
    let walked = walker.walk(b"\x04\x00\x01X\x02");
    let Walked::Stopped { at: 4, stop } = walked else { panic!("{walked:?}") };
    assert_eq!(walker.stops()[stop].kind, StopKind::UnlistedSubclass);
    assert!(matches!(walker.walk(&[8, 1]), Walked::Bad(BadValue { at: 1, .. })), "one is registered");
    assert!(matches!(walker.walk(&[6]), Walked::Bad(BadValue { at: 0, .. })));
}

#[test]
fn a_count_of_what_has_no_bytes_costs_nothing() {
    let walker = Walker::compile(&of("2.3/list-of-nothing").snapshot);
    assert_eq!(walker.walk(&[0x7f, 0xff, 0xff, 0xff]), Walked::End(4));
}

#[test]
fn counts_and_lengths_are_not_believed() {
    for name in ["list", "map", "strings", "longs", "row-data", "linked-list", "set", "generic-array"] {
        let walker = Walker::compile(&of(&format!("2.3/{name}")).snapshot);
        for count in [[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0x80, 0, 0, 0]] {
            let bytes = [count.as_slice(), &[1; 20]].concat();
            assert!(matches!(walker.walk(&bytes), Walked::Bad(BadValue { at: 0, .. })), "{name}");
        }
    }
    let walker = Walker::compile(&of("2.3/string").snapshot);
    assert!(matches!(walker.walk(&[0xff, 0xff, 0xff, 0xff, 0x0f, b'a']), Walked::Bad(_)));
    assert!(matches!(walker.walk(&[0xff, 0xff, 0xff, 0xff, 0x1f, b'a']), Walked::Bad(_)), "33 bits");
    assert!(matches!(walker.walk(&[2, 0xff, 0xff, 0x04]), Walked::Bad(_)), "17 bits");
}

#[test]
fn a_step_is_two_words_wide() {
    assert_eq!(size_of::<Result<usize, Halt>>(), 2 * size_of::<usize>());
}

// ---- snapshots that could not be read ------------------------------------------------------------

#[test]
fn what_was_not_read_to_its_end_is_walked_as_far_as_it_is_known() {
    let unknown = Tree::Opaque("com.example.Mine");
    let walker = |tree: Tree| Walker::compile(&read_versioned(&mut Cursor::new(&snapshot(&tree))).snapshot);
    // A list of unknown elements that is empty says nothing of the fields behind it.
    let tuple = walker(Tree::Tuple(vec![Tree::Fixed("Long", 8), Tree::List(unknown.clone().into())]));
    let value = [0; 12];
    let walked = tuple.walk(&value);
    let Walked::Stopped { at: 12, stop } = walked else { panic!("{walked:?}") };
    assert_eq!(tuple.stops()[stop].kind, StopKind::Undecodable);
    assert_eq!(tuple.declared_len(), DeclaredLength::Unknown);
    let kinds = |walker: &Walker| walker.stops().iter().map(|s| (s.kind, s.when)).collect::<Vec<_>>();
    assert_eq!(
        kinds(&tuple),
        [(StopKind::UnknownClass, Touch::Maybe), (StopKind::Undecodable, Touch::Always)]
    );
    // The length of a row's mask is not known.
    let row = walker(Tree::Row(true, vec![unknown.clone()]));
    assert_eq!(kinds(&row), [(StopKind::Undecodable, Touch::Always)]);
    assert_eq!(row.walk(&value), Walked::Stopped { at: 0, stop: 0 });
    // Of a map with unknown keys, the values are not known either.
    let map = walker(Tree::Map(unknown.clone().into(), Tree::String.into()));
    assert_eq!(map.walk(&value), Walked::End(4), "an empty map");
    assert_eq!(map.walk(&[0, 0, 0, 1, 0]), Walked::Stopped { at: 4, stop: 0 });
    // In a POJO, snapshots have frames.
    let pojo = walker(Tree::Pojo(vec![unknown, Tree::Fixed("Int", 4)]));
    assert_eq!(pojo.walk(&[2, 1, 0, 0, 0, 0, 5]), Walked::End(7));
    assert_eq!(pojo.walk(&[2, 0, 0, 0, 0, 0, 5]), Walked::Stopped { at: 2, stop: 0 });
}

// ---- Avro ----------------------------------------------------------------------------------------

fn avro(schema: &str) -> Walker {
    let tree = Tree::Avro(schema.to_owned());
    Walker::compile(&read_versioned(&mut Cursor::new(&snapshot(&tree))).snapshot)
}

#[test]
fn avro_is_flinks_own_encoding() {
    let walker = avro(
        r#"{"type": "record", "name": "a.Order", "doc": "x", "fields": [
            {"name": "id", "type": "long"},
            {"name": "note", "type": ["null", "string"], "default": null},
            {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED"]}},
            {"name": "md5", "type": {"type": "fixed", "name": "b.MD5", "size": 3}},
            {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
                {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4}},
                {"name": "again", "type": ["null", "Colour", "b.MD5", "a.Order"]}]}}},
            {"name": "map", "type": {"type": "map", "values": "double"}},
            {"name": "flag", "type": {"type": "boolean"}}]}"#,
    );
    let value = [
        [0; 8].as_slice(),
        &[0, 0, 0, 1, 0, 0, 0, 2, b'h', b'i'],
        &[0, 0, 0, 0],
        b"md5",
        // Two items: the second holds an MD5.
        &[2, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, b'm', b'd', b'5', 0],
        // An entry, in a block of its own, and an end.
        &[1, 0, 0, 0, 1, b'k', 1, 2, 3, 4, 5, 6, 7, 8, 0],
        &[1],
    ]
    .concat();
    assert_eq!(walker.walk_all(&value), Walked::End(value.len()));
    assert_eq!((walker.stop(), walker.kryo()), (None, Touch::Never));
    for cut in 0..value.len() {
        assert!(matches!(walker.walk(&value[..cut]), Walked::Bad(_)), "{cut}");
    }
    assert!(matches!(walker.walk(&[&value[..8], &[0, 0, 0, 2]].concat()), Walked::Bad(_)), "no third branch");
    assert_eq!(avro(r#""long""#).fixed_len(), Some(8));
    assert_eq!(avro(r#"{"type": "fixed", "name": "F", "size": 16}"#).fixed_len(), Some(16));
}

#[test]
fn recursive_avro_nests_as_deep_as_is_walked() {
    let walker = avro(
        r#"{"type": "record", "name": "Node", "namespace": "x.y", "fields": [
            {"name": "value", "type": "int"}, {"name": "next", "type": ["null", "Node"]}]}"#,
    );
    let list = |n: usize| {
        let mut value = [[0, 0, 0, 7], [0, 0, 0, 1]].concat().repeat(n);
        value.extend([0, 0, 0, 7, 0, 0, 0, 0]);
        value
    };
    assert_eq!(walker.walk_all(&list(100)), Walked::End(808));
    let walked = walker.walk_all(&list(2000));
    let Walked::Stopped { stop, .. } = walked else { panic!("{walked:?}") };
    assert_eq!(walker.stops()[stop].kind, StopKind::TooDeep);
    assert_eq!(walker.stop(), None, "only data can tell");
    // Two records that hold one another have no values at all.
    let walker = avro(
        r#"{"type": "record", "name": "A", "fields": [{"name": "b", "type":
            {"type": "record", "name": "B", "fields": [{"name": "a", "type": "A"}, {"name": "c", "type": "A"}]}}]}"#,
    );
    assert!(matches!(walker.walk(&[0; 99]), Walked::Stopped { .. }));
}

#[test]
fn records_that_hold_records_twice_are_not_walked_twice_for_nothing() {
    let mut schema = r#"{"type": "record", "name": "R0", "fields": []}"#.to_owned();
    for i in 1..40 {
        schema = format!(
            r#"{{"type": "record", "name": "R{i}", "fields": [{{"name": "a", "type": {schema}}}, {{"name": "b", "type": "R{}"}}]}}"#,
            i - 1
        );
    }
    assert_eq!(avro(&schema).fixed_len(), Some(0));
    let walker = avro(&schema.replacen("[]", r#"[{"name": "s", "type": "string"}]"#, 1));
    assert!(matches!(walker.walk(&[0; 1000]), Walked::Bad(_)));
}

#[test]
fn what_is_no_schema_stops() {
    for schema in
        ["{", "{}", r#"{"type": "nothing"}"#, r#"["null", "Missing"]"#, "[]", "3", r#"{"type": "array"}"#]
    {
        let walker = avro(schema);
        let kind = walker.stop().map(|stop| stop.kind);
        assert!(matches!(kind, Some(StopKind::BadSchema | StopKind::Undecodable)), "{schema}: {kind:?}");
    }
}

// ---- random types --------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_of_random_types_are_walked_to_their_end(tree in tree(), seed: u64, tail in any::<[u8; 3]>()) {
        let read = read_versioned(&mut Cursor::new(&snapshot(&tree)));
        prop_assert_eq!(&read.stop, &None);
        let walker = Walker::compile(&read.snapshot);
        let value = encode(&tree, seed);
        let followed = [value.as_slice(), &tail].concat();
        prop_assert_eq!(walker.walk(&followed), Walked::End(value.len()), "{:?}: {:x?}", tree, value);
        prop_assert!(walker.fixed_len().is_none_or(|n| n == value.len()));
        for cut in 0..value.len() {
            let walked = walker.walk(&value[..cut]);
            prop_assert!(matches!(walked, Walked::Bad(BadValue { at, .. }) if at <= cut), "{cut}: {walked:?}");
        }
    }

    #[test]
    fn other_bytes_never_end_behind_themselves(tree in tree(), bytes in prop::collection::vec(0u8..12, 0..60)) {
        let walker = Walker::compile(&read_versioned(&mut Cursor::new(&snapshot(&tree))).snapshot);
        match walker.walk(&bytes) {
            Walked::End(end) => prop_assert!(end <= bytes.len()),
            Walked::Stopped { at, stop } => prop_assert!(at <= bytes.len() && stop < walker.stops().len()),
            Walked::Bad(bad) => prop_assert!(bad.at <= bytes.len()),
        }
    }
}

// ---- values of states ----------------------------------------------------------------------------

fn layout(kind: KeyedStateType, v2: bool, tree: &Tree) -> StateValueLayout {
    let kind = if v2 { StateKind::KeyValueV2(kind) } else { StateKind::KeyValue(kind) };
    let read = read_versioned(&mut Cursor::new(&snapshot(tree)));
    StateValueLayout::compile(kind, &read.snapshot).unwrap()
}

type Entry = (Option<i64>, Vec<u8>);

fn entries(layout: &StateValueLayout, value: &[u8]) -> (Elements, Vec<Entry>) {
    let mut met = Vec::new();
    let elements = layout.for_each_element(value, b",", |timestamp, e| met.push((timestamp, e.to_vec())));
    (elements, met)
}

fn ttl(tree: Tree) -> Tree {
    Tree::Ttl(tree.into())
}

#[test]
fn a_value_is_one_entry() {
    use KeyedStateType::{Aggregating, Reducing, Value};
    for kind in [Value, Reducing, Aggregating] {
        let plain = layout(kind, false, &Tree::String);
        assert_eq!(
            entries(&plain, b"\x03ab"),
            (Elements::All { count: 1 }, vec![(None, b"\x03ab".to_vec())])
        );
        assert_eq!(
            (plain.timestamp_offset(), plain.timestamp(&[0; 9]), plain.has_ttl()),
            (None, None, false)
        );
        let with_ttl = layout(kind, true, &ttl(Tree::String));
        let value = b"\0\0\0\0\0\0\0\x05\x01";
        assert_eq!(entries(&with_ttl, value), (Elements::All { count: 1 }, vec![(Some(5), value.to_vec())]));
        assert_eq!((with_ttl.timestamp_offset(), with_ttl.timestamp(value)), (Some(0), Some(5)));
        assert!(
            matches!(entries(&with_ttl, &value[..7]), (Elements::Bad { count: 0, .. }, met) if met.is_empty())
        );
        assert_eq!(with_ttl.walk(value, b","), Walked::End(9));
    }
}

#[test]
fn a_map_has_a_flag_before_its_timestamp_and_null_has_none() {
    let map = Tree::Map(Tree::String.into(), ttl(Tree::Fixed("Int", 4)).into());
    for layout in [
        layout(KeyedStateType::Map, false, &map),
        layout(KeyedStateType::Map, true, &ttl(Tree::Fixed("Int", 4))),
    ] {
        let value = b"\0\0\0\0\0\0\0\0\x05\0\0\0\x01";
        assert_eq!(entries(&layout, value), (Elements::All { count: 1 }, vec![(Some(5), value.to_vec())]));
        assert_eq!((layout.timestamp_offset(), layout.timestamp(value)), (Some(1), Some(5)));
        assert_eq!(layout.walk(value, b","), Walked::End(13));
        assert_eq!(entries(&layout, &[1]), (Elements::All { count: 1 }, vec![(None, vec![1])]));
        assert_eq!((layout.timestamp(&[1]), layout.walk(&[1], b",")), (None, Walked::End(1)));
        for bad in [[].as_slice(), &[2], &[1, 0], &[0, 0]] {
            assert!(matches!(entries(&layout, bad).0, Elements::Bad { count: 0, .. }), "{bad:?}");
            assert!(matches!(layout.walk(bad, b","), Walked::Bad(_)), "{bad:?}");
        }
    }
}

#[test]
fn a_null_of_a_map_may_be_written_by_its_serializer() {
    let layout = layout(KeyedStateType::Map, false, &Tree::Map(Tree::String.into(), Tree::String.into()));
    for null in [[1].as_slice(), &[1, 0]] {
        assert_eq!(entries(&layout, null), (Elements::All { count: 1 }, vec![(None, null.to_vec())]));
        assert_eq!(layout.walk(null, b","), Walked::End(null.len()));
    }
    assert!(matches!(layout.walk(&[1, 0, 0], b","), Walked::Bad(_)));
}

#[test]
fn a_list_is_joined_by_delimiters_with_a_timestamp_in_each_element() {
    let element = b"\0\0\0\0\0\0\0,\x03,,".as_slice();
    let joined = [element, b",", element].concat();
    for layout in [
        layout(KeyedStateType::List, false, &Tree::List(ttl(Tree::String).into())),
        layout(KeyedStateType::List, true, &ttl(Tree::String)),
    ] {
        assert!(layout.is_list() && layout.has_ttl());
        let expected = vec![(Some(44), element.to_vec()); 2];
        assert_eq!(entries(&layout, &joined), (Elements::All { count: 2 }, expected.clone()));
        assert_eq!((layout.timestamp_offset(), layout.timestamp(&joined)), (None, Some(44)));
        assert_eq!(entries(&layout, b""), (Elements::All { count: 0 }, vec![]));
        assert_eq!(layout.walk(&joined, b","), Walked::End(joined.len()));
        // As Flink reads it.
        let ended = [joined.as_slice(), b","].concat();
        assert_eq!(entries(&layout, &ended), (Elements::All { count: 2 }, expected));
        let other = [element, b";", element].concat();
        assert!(matches!(
            entries(&layout, &other).0,
            Elements::Bad { count: 1, bad: BadValue { at: 11, .. } }
        ));
        let short = &joined[..joined.len() - 1];
        assert!(matches!(
            entries(&layout, short).0,
            Elements::Bad { count: 1, bad: BadValue { at: 21, .. } }
        ));
    }
}

#[test]
fn elements_without_bytes_end() {
    let layout = layout(KeyedStateType::List, true, &Tree::Fixed("NullValue", 0));
    assert_eq!(entries(&layout, b",,").0, Elements::All { count: 2 }, "as Flink reads them");
    assert!(matches!(layout.for_each_element(b"x", b"", |_, _| {}), Elements::Bad { .. }));
}

#[test]
fn a_list_that_cannot_be_walked_says_what_is_known() {
    let kryo = of("2.3/kryo");
    let layout =
        StateValueLayout::compile(StateKind::KeyValueV2(KeyedStateType::List), &kryo.snapshot).unwrap();
    let expected = Elements::NotWalked { count: 0, at: 0, stop: 0, timestamp: None };
    assert_eq!(entries(&layout, &kryo.values[0]), (expected, vec![]));
    assert_eq!(layout.kryo(), Touch::Always);
    let pojo = of("2.3/pojo-kryo");
    let layout =
        StateValueLayout::compile(StateKind::KeyValueV2(KeyedStateType::List), &pojo.snapshot).unwrap();
    let joined = [pojo.values[0].as_slice(), b",", &pojo.values[1]].concat();
    let (elements, met) = entries(&layout, &joined);
    assert!(matches!(elements, Elements::NotWalked { count: 1, .. }), "{elements:?}");
    assert_eq!(met, [(None, pojo.values[0].clone())]);
}

#[test]
fn timers_have_no_values_and_operator_state_no_layout() {
    let timer = of("2.3/timer");
    let layout = StateValueLayout::compile(StateKind::PriorityQueue, &timer.snapshot).unwrap();
    assert_eq!(entries(&layout, b""), (Elements::All { count: 1 }, vec![(None, vec![])]));
    assert!(matches!(layout.walk(b"x", b","), Walked::Bad(_)));
    assert_eq!(layout.kryo(), Touch::Never);
    for kind in [StateKind::Operator, StateKind::Broadcast, StateKind::KeyValue(KeyedStateType::Unknown)] {
        assert_eq!(StateValueLayout::compile(kind, &timer.snapshot), None);
    }
    assert_eq!(timer.snapshot.kind, Kind::Timer);
}
