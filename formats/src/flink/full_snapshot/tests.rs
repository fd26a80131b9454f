//! Key groups as Flink writes them, fed whole, byte by byte, cut, and with flipped bits.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;
use crate::flink::key::{KeyGroupPrefix, KeyHash, key_group};
use crate::flink::state_meta::{End, KeyedBackendMeta, StateKind, TimerServices};
use crate::flink::value::KryoVersion;

const PREFIX: KeyGroupPrefix = KeyGroupPrefix::One;
const GROUP: u32 = 7;

/// What a decoder handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Out {
    rows: Vec<(usize, Vec<u8>, Vec<u8>)>,
    states: Vec<(usize, Option<u32>)>,
    stopped: Option<(usize, u32, Part)>,
}

/// Feeds a decoder with so many bytes more whenever it needs some.
fn drive(group: &mut dyn KeyGroupRows, bytes: &[u8], piece: usize) -> Result<Out> {
    let (mut out, mut from, mut to) = (Out::default(), 0, 0);
    loop {
        let Next { step, taken } = group.next(&bytes[from..to], to == bytes.len())?;
        assert!(taken <= to - from);
        match step {
            Step::NeedBytes(n) => {
                assert!(to < bytes.len() && n > to - from, "{n} of {}", to - from);
                to = (to + piece).min(bytes.len());
            }
            Step::Going => {}
            Step::State { state, entries } => out.states.push((state, entries)),
            Step::Row { key, value } => {
                let state = out.states.last().unwrap().0;
                out.rows.push((state, key.to_vec(), value.to_vec()));
            }
            Step::Stopped(stopped) => {
                out.stopped = Some((stopped.state, stopped.entries, stopped.part));
                return Ok(out);
            }
            Step::End => {
                let after = group.next(&[], true)?;
                assert_eq!((after.step, after.taken), (Step::End, 0));
                if from + taken == bytes.len() {
                    return Ok(out);
                }
                return Err(Error::invalid("all is read", "not", from as u64));
            }
        }
        from += taken;
    }
}

/// Whole and in pieces it is the same; cut or flipped, never a panic, and no error behind the end.
fn check(make: &dyn Fn() -> Box<dyn KeyGroupRows>, bytes: &[u8]) -> Out {
    let whole = drive(&mut *make(), bytes, bytes.len()).unwrap();
    for piece in [1, 3, 17] {
        assert_eq!(drive(&mut *make(), bytes, piece).unwrap(), whole);
    }
    for end in 0..bytes.len() {
        if let Err(error) = drive(&mut *make(), &bytes[..end], 5) {
            assert!(error.offset() <= end as u64, "{error}");
        } else {
            assert!(whole.stopped.is_some(), "cut at {end}");
        }
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            if let Err(error) = drive(&mut *make(), &flipped, 1 << 10) {
                assert!(error.offset() <= bytes.len() as u64, "{error}");
            }
        }
    }
    whole
}

// ---- canonical ----------------------------------------------------------------------------------

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// A key group as `FullSnapshotAsyncWriter` writes it.
fn canonical(states: &[(u16, Rows)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, (state, rows)) in states.iter().enumerate() {
        if at == 0 {
            bytes.extend(state.to_be_bytes());
        }
        for (number, (key, value)) in rows.iter().enumerate() {
            let mut key = key.clone();
            if number + 1 == rows.len() {
                key[0] |= 0x80;
            }
            for part in [&key, value] {
                bytes.extend(i32::try_from(part.len()).unwrap().to_be_bytes());
                bytes.extend(part);
            }
        }
        bytes.extend(states.get(at + 1).map_or(0xFFFF, |next| next.0).to_be_bytes());
    }
    bytes
}

fn of_canonical(bytes: &[u8]) -> Result<Out> {
    drive(&mut CanonicalGroup::new(GROUP, PREFIX, 4, 0), bytes, 11)
}

proptest! {
    #[test]
    fn canonical_rows_are_those_that_were_written(
        states in prop::collection::vec(
            (0u16..4, prop::collection::vec((prop::collection::vec(0u8.., 0..9), prop::collection::vec(0u8.., 0..9)), 1..4)),
            1..4,
        ),
    ) {
        let states: Vec<_> = states
            .into_iter()
            .map(|(state, rows)| {
                let rows = rows.into_iter().map(|(key, value)| ([&[GROUP as u8], &key[..]].concat(), value));
                (state, rows.collect::<Vec<_>>())
            })
            .collect();
        let bytes = canonical(&states);
        let out = check(&|| Box::new(CanonicalGroup::new(GROUP, PREFIX, 4, 0)), &bytes);
        let rows: Vec<_> = states
            .iter()
            .flat_map(|(state, rows)| rows.iter().map(|(k, v)| (usize::from(*state), k.clone(), v.clone())))
            .collect();
        prop_assert_eq!(out.rows, rows);
        let expected: Vec<_> = states.iter().map(|(state, _)| (usize::from(*state), None)).collect();
        prop_assert_eq!(out.states, expected);
    }
}

#[test]
fn hostile_canonical_bytes_are_errors() {
    let row = (vec![GROUP as u8, 1], vec![2]);
    let good = canonical(&[(1, vec![row])]);
    assert!(of_canonical(&good).is_ok());
    for (at, byte, rule) in [
        (1, 9, "the id of a state"),
        (2, 0x80, "bytes of a key"),
        (6, 0x88, "a key begins with its key group"),
        (8, 0xFF, "bytes of a value"),
        (14, 0x00, "the id of a state"),
        (5, 0, "bytes of a value"),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let error = of_canonical(&bytes).unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
    }
    assert!(of_canonical(&[&good[..], &[0]].concat()).is_err());
    // A length of 2 GB is no reason to have so much memory.
    let mut group = CanonicalGroup::new(GROUP, PREFIX, 4, 0);
    let bytes = [0, 1, 0x7F, 0xFF, 0xFF, 0xFF, GROUP as u8];
    assert_eq!(group.next(&bytes, false).unwrap().taken, 2);
    assert!(
        matches!(group.next(&bytes[2..], false).unwrap().step, Step::NeedBytes(n) if n > i32::MAX as usize)
    );
    assert!(group.next(&bytes[2..], true).is_err());
}

// ---- heap ---------------------------------------------------------------------------------------

const BASE: &str = "org.apache.flink.api.common.typeutils.base.";

fn utf(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn versioned(class: &str, version: i32, payload: &[u8]) -> Vec<u8> {
    [&utf(class)[..], &version.to_be_bytes(), payload].concat()
}

fn basic(name: &str) -> Vec<u8> {
    versioned(&format!("{BASE}{name}Serializer${name}SerializerSnapshot"), 3, &[])
}

fn void_namespace() -> Vec<u8> {
    versioned(
        "org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot",
        3,
        &[],
    )
}

fn kryo() -> Vec<u8> {
    let empty = [0x0000_04F2_C69A_3D70_u64.to_be_bytes().as_slice(), &[0; 4]].concat();
    let payload = [utf("java.X"), empty.repeat(3)].concat();
    versioned("org.apache.flink.api.java.typeutils.runtime.kryo.KryoSerializerSnapshot", 2, &payload)
}

/// A composite snapshot of outer version `outer`.
fn composite(class: &str, outer: i32, nested: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for number in [0x000D_E704, outer, 0x0014_57FD, 1, i32::try_from(nested.len()).unwrap()] {
        payload.extend(number.to_be_bytes());
    }
    nested.iter().for_each(|snapshot| payload.extend(snapshot));
    versioned(class, 3, &payload)
}

fn list(element: Vec<u8>) -> Vec<u8> {
    composite(&format!("{BASE}ListSerializerSnapshot"), 1, &[element])
}

fn map(key: Vec<u8>, value: Vec<u8>) -> Vec<u8> {
    composite(&format!("{BASE}MapSerializerSnapshot"), 1, &[key, value])
}

fn timer() -> Vec<u8> {
    let class = "org.apache.flink.streaming.api.operators.TimerSerializerSnapshot";
    composite(class, 2, &[basic("String"), void_namespace()])
}

/// Meta data of a backend with String keys.
fn meta(states: &[(&str, Option<&str>, Vec<u8>)]) -> KeyedBackendMeta {
    let mut bytes = [&6i32.to_be_bytes()[..], &[0], &2i32.to_be_bytes(), &basic("String")].concat();
    bytes.extend(i16::try_from(states.len()).unwrap().to_be_bytes());
    for (name, kind, value) in states {
        bytes.extend(utf(name));
        bytes.extend(if kind.is_some() { 0i32 } else { 3 }.to_be_bytes());
        bytes.extend(i32::from(kind.is_some()).to_be_bytes());
        if let Some(kind) = kind {
            bytes.extend([utf("KEYED_STATE_TYPE"), utf(kind)].concat());
        }
        let namespace = kind.map(|_| ("NAMESPACE_SERIALIZER", void_namespace()));
        let all: Vec<_> = namespace.into_iter().chain([("VALUE_SERIALIZER", value.clone())]).collect();
        bytes.extend(i32::try_from(all.len()).unwrap().to_be_bytes());
        for (key, snapshot) in all {
            bytes.extend([utf(key), 2i32.to_be_bytes().to_vec(), snapshot].concat());
        }
    }
    KeyedBackendMeta::parse(&mut Cursor::new(&bytes), End::Eof).unwrap()
}

fn zoo() -> KeyedBackendMeta {
    meta(&[
        ("value", Some("VALUE"), basic("Long")),
        ("list", Some("LIST"), list(basic("Int"))),
        ("map", Some("MAP"), map(basic("Int"), basic("String"))),
        ("timers", None, timer()),
        ("kryo", Some("VALUE"), kryo()),
    ])
}

/// Entries of a state: the chunk that `StateTable`'s writer writes.
fn chunk(state: u16, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = state.to_be_bytes().to_vec();
    bytes.extend(i32::try_from(entries.len()).unwrap().to_be_bytes());
    entries.iter().for_each(|entry| bytes.extend(entry));
    bytes
}

/// Namespace, key `a`, state.
fn entry(state: &[u8]) -> Vec<u8> {
    [&[0, 2, b'a'][..], state].concat()
}

fn group_of(states: usize) -> (HeapLayout, Vec<u8>) {
    let mut meta = zoo();
    meta.states.truncate(states);
    let long = entry(&5i64.to_be_bytes());
    let two = entry(&[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    let none = entry(&[0; 4]);
    let pairs = entry(&[0, 0, 0, 2, 0, 0, 0, 1, 0, 2, b'x', 0, 0, 0, 2, 1]);
    let timer = [&(3i64 ^ i64::MIN).to_be_bytes()[..], &[2, b'a', 0]].concat();
    let mut bytes = chunk(2, &[pairs, none.clone()]);
    bytes.extend(chunk(0, &[long]));
    bytes.extend(chunk(3, &[timer]));
    bytes.extend(chunk(1, &[two, none]));
    (HeapLayout::new(128, &meta, KryoVersion::Two), bytes)
}

#[test]
fn entries_of_a_heap_are_rows_as_rocksdb_has_them() {
    let (layout, bytes) = group_of(4);
    let out = {
        let layout: &'static HeapLayout = Box::leak(Box::new(layout));
        check(&|| Box::new(HeapGroup::new(layout, GROUP, 0)), &bytes)
    };
    let group = GROUP as u8;
    let head = [group, 2, b'a', 0];
    let row = |state: usize, key: &[u8], value: &[u8]| (state, [&head[..], key].concat(), value.to_vec());
    let mut expected = vec![row(2, &[0, 0, 0, 1], &[0, 2, b'x']), row(2, &[0, 0, 0, 2], &[1])];
    expected.push(row(0, &[], &5i64.to_be_bytes()));
    let mut timer = vec![group];
    timer.extend((3i64 ^ i64::MIN).to_be_bytes());
    timer.extend([2, b'a', 0]);
    expected.push((3, timer, Vec::new()));
    expected.push(row(1, &[], &[0, 0, 0, 1, b',', 0, 0, 0, 2]));
    expected.push(row(1, &[], &[]));
    assert_eq!(out.rows, expected);
    assert_eq!(out.states, [(2, Some(2)), (0, Some(1)), (3, Some(1)), (1, Some(2))]);
}

#[test]
fn what_kryo_wrote_stops_a_heap_which_goes_on_behind_it() {
    let (layout, rest) = group_of(5);
    let opaque = chunk(4, &[entry(b"kryo"), entry(b"more")]);
    let bytes = [&opaque[..], &rest].concat();
    let mut group = HeapGroup::new(&layout, GROUP, 0);
    let out = drive(&mut group, &bytes, 4).unwrap();
    assert_eq!((out.rows.len(), out.stopped), (0, Some((4, 2, Part::Value))));
    assert_eq!(layout.walker(4, Part::Value).unwrap().stops().len(), 1);
    // It is found where everything else can be read from there.
    assert_eq!(group.find_state(&bytes[6..]), Some(opaque.len() - 6));
    assert_eq!(group.find_state(&bytes[6..bytes.len() - 1]), None);
    assert_eq!(group.find_state(&opaque[6..]), None);
    group.resume(opaque.len() as u64 - 6);
    let out = drive(&mut group, &rest, rest.len()).unwrap();
    assert_eq!((out.rows.len(), out.stopped), (6, None));
}

#[test]
fn entries_that_cannot_be_walked_are_told_apart_by_their_keys() {
    let (layout, _) = group_of(5);
    let hash = KeyHash::compile(&zoo().key_serializer, KryoVersion::Two);
    let keys = (0..4000).map(|n| [&[5][..], format!("k{n:03}").as_bytes()].concat());
    let keys: Vec<_> = keys.filter(|key| key_group(hash.hash(key).unwrap(), 128) == GROUP).take(9).collect();
    let values: Vec<Vec<u8>> =
        (0..9u8).map(|n| vec![0xfe, n, 0, 1, 9][..usize::from(n % 3) + 2].to_vec()).collect();
    let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| [&[0][..], key, value].concat();
    let entries: Vec<_> = keys.iter().zip(&values).map(entry).collect();
    let divided = |entries: &[Vec<u8>], count: usize| {
        let bytes = [&4u16.to_be_bytes()[..], &(count as i32).to_be_bytes(), &entries.concat()].concat();
        let mut group = HeapGroup::new(&layout, GROUP, 0);
        assert_eq!(drive(&mut group, &bytes, 4).unwrap().stopped, Some((4, count as u32, Part::Value)));
        let mut rows = Vec::new();
        let is_divided =
            group.divide(&entries.concat(), &mut |key, value| rows.push((key.to_vec(), value.to_vec())));
        assert_eq!(is_divided, !rows.is_empty());
        rows
    };
    let row = |key: &Vec<u8>, value: &Vec<u8>| ([&[GROUP as u8], &key[..], &[0]].concat(), value.clone());
    let expected: Vec<_> = keys.iter().zip(&values).map(|(key, value)| row(key, value)).collect();
    assert_eq!(divided(&entries, 9), expected);
    // With more or fewer places than entries, it is not certain where they are.
    assert_eq!(divided(&entries, 8), []);
    assert_eq!(divided(&entries, 10), []);
    // A value that holds what looks like an entry.
    let mut odd = entries.clone();
    odd[3].extend([&[0][..], &keys[7]].concat());
    assert_eq!(divided(&odd, 9), []);
    // A key that is not of this key group.
    let mut wrong = entries;
    *wrong[2].last_mut().unwrap() = 0;
    wrong[4][2] ^= 1;
    assert_eq!(divided(&wrong, 9), []);
}

#[test]
fn zeros_before_a_state_are_not_taken_for_one() {
    let (layout, _) = group_of(5);
    let (long, timer) =
        (entry(&5i64.to_be_bytes()), [&(3i64 ^ i64::MIN).to_be_bytes()[..], &[2, b'a', 0]].concat());
    // What Kryo wrote ends as an empty state 0 would look, and what it wrote then ends before the real one.
    let opaque = chunk(4, &[entry(&[7, 0, 0, 0, 0, 0, 0])]);
    let behind = [chunk(1, &[entry(&[0; 4])]), chunk(3, &[timer]), chunk(2, &[]), chunk(0, &[long])].concat();
    let bytes = [opaque.clone(), behind.clone()].concat();
    let mut group = HeapGroup::new(&layout, GROUP, 0);
    assert!(drive(&mut group, &bytes, 4).unwrap().stopped.is_some());
    let skipped = opaque.len() - 6;
    assert_eq!(group.find_state(&bytes[6..]), Some(skipped));
    group.resume(skipped as u64);
    let out = drive(&mut group, &behind, behind.len()).unwrap();
    assert_eq!(out.states, [(1, Some(1)), (3, Some(1)), (2, Some(0)), (0, Some(1))]);
    // States without entries that really stand there are stepped over with it.
    let bytes =
        [opaque.clone(), chunk(0, &[]), chunk(2, &[]), chunk(1, &[entry(&[0; 4])]), chunk(3, &[])].concat();
    let mut group = HeapGroup::new(&layout, GROUP, 0);
    assert!(drive(&mut group, &bytes, 4).unwrap().stopped.is_some());
    assert_eq!(group.find_state(&bytes[6..]), Some(skipped + 12));
    group.resume(skipped as u64 + 12);
    let out = drive(&mut group, &bytes[6 + skipped + 12..], 100).unwrap();
    assert_eq!((out.rows.len(), out.states), (1, vec![(1, Some(1)), (3, Some(0))]));
}

#[test]
fn hostile_heaps_are_errors() {
    let (layout, bytes) = group_of(4);
    let of = |bytes: &[u8]| drive(&mut HeapGroup::new(&layout, GROUP, 0), bytes, 9).unwrap_err().to_string();
    let twice = [&bytes[..bytes.len() - 21], &chunk(0, &[])].concat();
    for (bytes, rule) in [
        ([&bytes[..], &[0]].concat(), "all is read"),
        (chunk(9, &[]), "the id of a state"),
        ([0, 0, 0xFF, 0, 0, 0].to_vec(), "entries of a state"),
        ([chunk(0, &[]), chunk(0, &[])].concat(), "each state once"),
        (chunk(2, &[entry(&[0, 0, 0, 1, 0, 0, 0, 1, 7])]), "a flag is 0 or 1"),
        (chunk(1, &[entry(&[0xFF; 4])]), "elements of a list"),
        (twice, "UnexpectedEnd"),
    ] {
        let error = of(&bytes);
        assert!(error.contains(rule) || rule == "UnexpectedEnd", "{error}");
    }
}

// ---- raw timers ---------------------------------------------------------------------------------

#[test]
fn timers_of_raw_keyed_state_are_rows_as_rocksdb_has_them() {
    let mut bytes = [0xF1, 0xCD, 0x85, 0x9F].to_vec();
    bytes.extend([2i32, 2].map(i32::to_be_bytes).concat());
    for name in ["one", "two"] {
        bytes.extend([utf(name), basic("String"), void_namespace()].concat());
        bytes.extend(1i32.to_be_bytes());
        bytes.extend([&[2, b'a', 0][..], &(-5i64).to_be_bytes()].concat());
        bytes.extend(0i32.to_be_bytes());
    }
    let names: &'static [String] = Box::leak(Box::new(["two".to_owned(), "one".to_owned()]));
    let out = check(&|| Box::new(TimerGroup::new(names, GROUP, PREFIX, 0)), &bytes);
    let mut key = vec![GROUP as u8];
    key.extend((-5i64 ^ i64::MIN).to_be_bytes());
    key.extend([2, b'a', 0]);
    assert_eq!(out.rows, [(2, key.clone(), vec![]), (0, key, vec![])]);
    assert_eq!(out.states, [(2, Some(1)), (3, Some(0)), (0, Some(1)), (1, Some(0))]);
    let mut group = TimerGroup::new(&names[..1], GROUP, PREFIX, 0);
    assert!(drive(&mut group, &bytes, 64).unwrap_err().to_string().contains("all key groups"));
    let services = TimerServices::parse(&mut Cursor::new(&bytes), |_, cursor| {
        cursor.skip(if cursor.rest()[0] == 2 { 2 } else { 1 }).map(|()| true)
    });
    let backend = timer_backend(&services.unwrap()).unwrap();
    let state = &backend.states[3];
    assert_eq!((state.name.as_str(), state.kind), ("_timer_state/processing_two", StateKind::PriorityQueue));
    assert_eq!(state.value_serializer().unwrap().render(), "Timer<String, VoidNamespace>");
}

// ---- Snappy -------------------------------------------------------------------------------------

fn framed(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.into_inner().unwrap()
}

fn unframed(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, u64)> {
    let (mut frames, mut out, mut streams) = (SnappyFrames::new(0, true), Vec::new(), 0);
    let (mut from, mut to) = (0, 0);
    while from < bytes.len() {
        let before = out.len();
        match frames.next(&bytes[from..to], to == bytes.len(), &mut out)? {
            Frame::NeedBytes(n) => {
                assert!(n > to - from && to < bytes.len());
                to = (to + piece).min(bytes.len());
                continue;
            }
            Frame::Stream { taken } => (from, streams) = (from + taken, streams + 1),
            Frame::Chunk { taken, uncompressed } => {
                assert_eq!(out.len() - before, uncompressed);
                from += taken;
            }
        }
        assert_eq!(frames.offset(), from as u64);
    }
    Ok((out, streams))
}

#[test]
fn snappy_frames_give_back_what_was_compressed() {
    let text: Vec<u8> = (0..200_000u32).map(|n| (n / 7 % 251) as u8).collect();
    let random: Vec<u8> = (0..70_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let bytes = [framed(&text), framed(&random), vec![0xFE, 2, 0, 0, 9, 9]].concat();
    for piece in [1000, bytes.len()] {
        assert_eq!(unframed(&bytes, piece).unwrap(), ([&text[..], &random].concat(), 2));
    }
    let small = framed(b"abc abc abc abc abc abc abc abc abc abc abc abc");
    for end in 1..small.len() {
        match unframed(&small[..end], 1) {
            Ok((out, _)) => assert!(end == 10 && out.is_empty()),
            Err(error) => assert!(error.offset() <= end as u64),
        }
    }
    for at in 0..small.len() {
        for bit in 0..8 {
            let mut flipped = small.clone();
            flipped[at] ^= 1 << bit;
            // A chunk that becomes one to be stepped over says nothing of what it has.
            let stepped_over = at == 10 && bit == 7;
            assert!(unframed(&flipped, 64).is_err() || stepped_over, "{at} {bit}");
        }
    }
}

// ---- offsets ------------------------------------------------------------------------------------

#[test]
fn a_key_group_ends_where_the_next_one_begins() {
    let of = |offsets: &[i64], size, empty| -> Vec<Option<Range<u64>>> {
        extents(offsets, size, empty).into_iter().map(|extent| extent.map(|e| e.unwrap_or(9..9))).collect()
    };
    let zero = EmptyGroup::Zero;
    assert_eq!(of(&[5, 0, 20, -1], 30, zero), [Some(5..20), None, Some(20..30), None]);
    assert_eq!(of(&[20, 5], 30, zero), [Some(20..30), Some(5..20)]);
    assert_eq!(of(&[0, -1, 7, 7], 9, EmptyGroup::Negative), [Some(0..7), None, Some(7..7), Some(7..9)]);
    assert_eq!(of(&[5, 40], 30, zero), [Some(5..30), Some(9..9)]);
    assert_eq!(of(&[i64::MAX, i64::MIN], 30, zero), [Some(9..9), None]);
}
