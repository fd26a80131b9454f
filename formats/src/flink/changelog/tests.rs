use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::flink::full_snapshot::Part;
use crate::flink::key::KeyGroupPrefix;
use crate::flink::serializer::SerializerSnapshot;
use crate::flink::state_meta::StateMetaInfo;
use crate::{Cursor, Error};

/// Changes of a file that Flink 1.20 wrote: key group, change, offset.
const FILE: &[u8] = include_bytes!(
    "../../../../testdata/fixtures/changelog-1.20/data/dstl/39e94d737015cb3b5f787289ca1a6eb0/dstl/5af98a5d-866b-4d11-a68a-a0ac3be93aeb"
);

type Found = Vec<(Option<u32>, Vec<u8>, u64)>;

/// All changes of a set that gets its bytes in pieces, and where it ends.
fn set(bytes: &[u8], at: u64, piece: usize) -> Result<(Found, usize), Error> {
    let (mut set, mut found, mut from, mut to) = (ChangeSet::new(at), Vec::new(), 0, 0);
    loop {
        let (step, taken) = set.next(&bytes[from..to], to == bytes.len())?;
        match step {
            SetStep::NeedBytes(needed) => {
                assert!(needed > to - from && to < bytes.len());
                to = to.saturating_add(piece).min(bytes.len());
            }
            SetStep::Going => {}
            SetStep::Change { key_group, change } => {
                let at = set.offset() - change.len() as u64;
                found.push((key_group, change.to_vec(), at));
            }
            SetStep::End => return Ok((found, from)),
        }
        from += taken;
        assert!(from <= to);
    }
}

fn sets(file: &[u8]) -> Vec<Found> {
    assert!(!is_compressed(file[0]).unwrap());
    let (mut from, mut all) = (1, Vec::new());
    while from < file.len() {
        let (found, length) = set(&file[from..], from as u64, usize::MAX).unwrap();
        all.push(found);
        from += length;
    }
    all
}

fn logged(found: &Found) -> Vec<LoggedState> {
    let meta = found.iter().filter(|(key_group, ..)| key_group.is_none());
    meta.map(|(_, bytes, at)| match Change::parse(bytes, *at).unwrap() {
        Change::Metadata(state) => *state,
        Change::Data(change) => panic!("{change:?}"),
    })
    .collect()
}

/// The serializer of keys, as timers have it.
fn key_of(states: &[LoggedState]) -> SerializerSnapshot {
    use crate::flink::serializer::Edge;
    let of = |state: &LoggedState| state.meta.as_ref().unwrap().value_serializer()?.part(&Edge::Key).cloned();
    states.iter().filter(|state| state.name.starts_with("_timer_state/")).find_map(of).unwrap()
}

#[test]
fn sets_that_flink_wrote_are_read_whatever_the_pieces() {
    let all = sets(FILE);
    assert_eq!(all.len(), 4);
    let mut from = 1;
    for found in &all {
        for piece in [1, 7, 4096] {
            let (again, length) = set(&FILE[from..], from as u64, piece).unwrap();
            assert_eq!(&again, found);
            assert!(from + length <= FILE.len());
        }
        from += set(&FILE[from..], from as u64, usize::MAX).unwrap().1;
        for (_, change, at) in found {
            assert_eq!(&FILE[*at as usize..][..change.len()], &change[..]);
        }
        let states = logged(found);
        assert!(!states.is_empty() && states.iter().all(|state| state.meta.is_ok()), "{states:?}");
        let first_data = found.iter().position(|(key_group, ..)| key_group.is_some()).unwrap();
        assert_eq!(first_data, states.len());
    }
}

#[test]
fn all_changes_that_flink_wrote_become_rows() {
    let mut counts = std::collections::BTreeMap::new();
    for found in sets(FILE) {
        let states = logged(&found);
        let key = key_of(&states);
        let layouts: Vec<_> = states
            .iter()
            .map(|state| {
                let meta = state.meta.as_ref().unwrap();
                (state.id, ChangeLayout::new(KeyGroupPrefix::One, &key, meta).unwrap())
            })
            .collect();
        let mut rows = RowChanges::default();
        for (key_group, bytes, at) in &found {
            let Change::Data(change) = Change::parse(bytes, *at).unwrap() else { continue };
            let (_, layout) = layouts.iter().find(|(id, _)| *id == change.state).unwrap();
            assert_eq!(layout.rows(&change, key_group.unwrap(), &mut rows), Ok(Applied::Rows), "{change:?}");
            for (_, row, _) in rows.iter() {
                assert_eq!(u32::from(row[0]), key_group.unwrap());
            }
            *counts.entry(change.operation.name()).or_insert(0) += 1;
            // Whatever is cut or flipped, nothing is read behind the end.
            for cut in 0..change.payload.len() {
                let cut = DataChange { payload: &change.payload[..cut], ..change };
                if let Err(error) = layout.rows(&cut, 0, &mut rows) {
                    assert!(error.offset() <= change.at + cut.payload.len() as u64, "{error}");
                    assert!(rows.is_empty());
                }
            }
        }
    }
    for operation in
        ["clear", "set", "set_internal", "add", "add_element", "add_or_update_element", "remove_element"]
    {
        assert!(counts.contains_key(operation), "{counts:?}");
    }
}

fn metadata(
    state: u16,
    kind: u8,
    name: &str,
    options: &[(&str, &str)],
    serializers: &[(&str, &[u8])],
) -> Vec<u8> {
    let utf = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let mut out = vec![8, 0, 0, 0, 7];
    utf(&mut out, name);
    out.extend_from_slice(&i32::from(kind).to_be_bytes());
    out.extend_from_slice(&(options.len() as i32).to_be_bytes());
    for (key, value) in options {
        utf(&mut out, key);
        utf(&mut out, value);
    }
    out.extend_from_slice(&(serializers.len() as i32).to_be_bytes());
    for (key, bytes) in serializers {
        utf(&mut out, key);
        out.extend_from_slice(bytes);
    }
    if kind == 0 {
        out.extend_from_slice(&[0, 0]);
    }
    out.extend_from_slice(&state.to_be_bytes());
    out.push(kind);
    out
}

fn simple(class: &str) -> Vec<u8> {
    let name = format!("org.apache.flink.{class}");
    let mut out = vec![0, 0, 0, 2];
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&3i32.to_be_bytes());
    out
}

fn snapshot(bytes: &[u8]) -> SerializerSnapshot {
    let value: &[(&str, &[u8])] = &[("VALUE_SERIALIZER", bytes)];
    let change = metadata(0, 0, "key", &[("KEYED_STATE_TYPE", "VALUE")], value);
    let Ok(Change::Metadata(state)) = Change::parse(&change, 0) else { panic!("meta data") };
    state.meta.unwrap().value_serializer().unwrap().clone()
}

const LONG: &str = "api.common.typeutils.base.LongSerializer$LongSerializerSnapshot";
const WINDOW: &str = "streaming.api.windowing.windows.TimeWindow$Serializer$TimeWindowSerializerSnapshot";

/// A reducing state of longs in windows, keyed by longs.
fn reducing() -> (ChangeLayout, StateMetaInfo) {
    let (long, window) = (simple(LONG), simple(WINDOW));
    let change = metadata(
        5,
        0,
        "sums",
        &[("KEYED_STATE_TYPE", "REDUCING")],
        &[("VALUE_SERIALIZER", &long), ("NAMESPACE_SERIALIZER", &window)],
    );
    let Ok(Change::Metadata(state)) = Change::parse(&change, 0) else { panic!("meta data") };
    assert_eq!((state.id, &*state.name), (5, "sums"));
    let meta = state.meta.unwrap();
    (ChangeLayout::new(KeyGroupPrefix::One, &snapshot(&long), &meta).unwrap(), meta)
}

#[test]
fn merged_namespaces_are_deleted_and_their_target_is_not_known() {
    let (layout, _) = reducing();
    let window = |from: u8| [[0, 0, 0, 0, 0, 0, 0, from], [0, 0, 0, 0, 0, 0, 0, from + 9]].concat();
    let mut payload = [7u64.to_be_bytes().to_vec(), window(1), window(1)].concat();
    payload.extend_from_slice(&3i32.to_be_bytes());
    for from in [2, 1, 3] {
        payload.extend_from_slice(&window(from));
    }
    let change = DataChange { operation: Operation::MergeNamespaces, state: 5, payload: &payload, at: 3 };
    let mut rows = RowChanges::default();
    assert_eq!(layout.rows(&change, 4, &mut rows), Ok(Applied::Rows));
    let row = |from| [vec![4], 7u64.to_be_bytes().to_vec(), window(from)].concat();
    let found: Vec<_> = rows.iter().map(|(change, key, value)| (change, key.to_vec(), value.len())).collect();
    assert_eq!(
        found,
        [(RowChange::Delete, row(2), 0), (RowChange::Delete, row(3), 0), (RowChange::Merge, row(1), 0)]
    );
    // A change that a state of its kind has not, and one with something behind it.
    for (operation, payload) in [
        (Operation::RemoveElement, payload.clone()),
        (Operation::MergeNamespaces, [&payload[..], &[0]].concat()),
        (Operation::Clear, [&payload[..24], &[0]].concat()),
    ] {
        let change = DataChange { operation, state: 5, payload: &payload, at: 3 };
        let error = layout.rows(&change, 4, &mut rows).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
    }
}

#[test]
fn keys_without_a_length_are_found_from_the_end() {
    let (_, meta) = reducing();
    let unknown = crate::flink::state_meta::KeyedBackendMeta::of_changes(None, Vec::new()).key_serializer;
    let layout = ChangeLayout::new(KeyGroupPrefix::One, &unknown, &meta).unwrap();
    let payload: Vec<u8> = (0..40).collect();
    let mut rows = RowChanges::default();
    let mut apply = |operation, length: usize| {
        let change = DataChange { operation, state: 5, payload: &payload[..length], at: 3 };
        let applied = layout.rows(&change, 4, &mut rows).unwrap();
        (
            applied,
            rows.iter()
                .map(|(change, key, value)| (change, key.to_vec(), value.to_vec()))
                .collect::<Vec<_>>(),
        )
    };
    let key = |length: usize| [&[4], &payload[..length]].concat();
    assert_eq!(apply(Operation::Clear, 19), (Applied::Rows, vec![(RowChange::Delete, key(19), vec![])]));
    let value = payload[19..27].to_vec();
    assert_eq!(apply(Operation::Set, 27), (Applied::Rows, vec![(RowChange::Put, key(19), value)]));
    let (applied, rows) = apply(Operation::MergeNamespaces, 40);
    assert!(matches!(applied, Applied::NotWalked { part: Part::Key, .. }) && rows.is_empty());
}

#[test]
fn what_no_writer_writes_is_refused() {
    assert!(is_compressed(1).unwrap() && is_compressed(2).is_err());
    for (bytes, at) in [
        // A negative number of groups, of changes, of bytes; key groups that are none.
        (&[0xFF, 0, 0, 0][..], 0),
        (&[0, 0, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0, 0], 4),
        (&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0xFF, 0, 0, 0], 12),
        (&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0x80, 0], 8),
        (&[0, 0, 0, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE], 8),
        // Lengths and counts that are not there.
        (&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0x7F, 0, 0, 0], 12),
        (&[0x7F, 0, 0, 0, 0, 0, 0, 0], 4),
    ] {
        let error = set(bytes, 0, 3).unwrap_err();
        assert_eq!(error.offset(), at, "{bytes:x?}: {error}");
    }
    assert_eq!(set(&[0, 0, 0, 0, 9], 0, 1).unwrap(), (Vec::new(), 4));
    assert_eq!(set(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 0, 1).unwrap(), (Vec::new(), 12));
    for change in [&[9, 0, 0][..], &[], &[1, 0], &[8, 0, 0, 0, 7], &[8]] {
        assert!(Change::parse(change, 0).is_err(), "{change:?}");
    }
    let unknown = metadata(1, 0, "s", &[], &[("VALUE_SERIALIZER", &simple("Unknown"))]);
    let Ok(Change::Metadata(state)) = Change::parse(&unknown, 0) else { panic!("meta data") };
    assert!(state.meta.is_err() && state.name == "s" && state.id == 1);
    let mut kind = unknown;
    *kind.last_mut().unwrap() = 2;
    assert!(Change::parse(&kind, 0).is_err());
}

proptest! {
    #[test]
    fn flipped_bits_and_cuts_are_no_panic(at in 1usize..9000, bit in 0u8..8, cut in 0usize..9000) {
        let mut bytes = FILE.to_vec();
        bytes[at] ^= 1 << bit;
        for bytes in [&bytes[1..], &bytes[1..1 + cut]] {
            if let Ok((found, _)) = set(bytes, 0, 512) {
                for (_, change, at) in &found {
                    let _ = Change::parse(change, *at);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_rows_or_refused(payload in prop::collection::vec(0u8..4, 0..64), operation in 0usize..8) {
        let (layout, _) = reducing();
        let change = DataChange { operation: Operation::ALL[operation], state: 5, payload: &payload, at: 9 };
        let mut rows = RowChanges::default();
        if let Err(error) = layout.rows(&change, 3, &mut rows) {
            prop_assert!(error.offset() >= 9 && error.offset() <= 9 + payload.len() as u64);
        }
    }
}

#[test]
fn every_cut_of_a_description_is_an_error() {
    let found = sets(FILE).swap_remove(0);
    let (_, bytes, _) = found.iter().find(|(key_group, ..)| key_group.is_none()).unwrap();
    for cut in 0..bytes.len() {
        match Change::parse(&bytes[..cut], 0) {
            Ok(Change::Metadata(state)) => {
                let meta = state.meta.as_ref();
                assert!(meta.is_err() || cut >= bytes.len() - 4, "{cut} of {}", bytes.len());
            }
            Ok(Change::Data(change)) => panic!("{change:?}"),
            Err(error) => assert!(error.offset() <= cut as u64),
        }
    }
    let mut cursor = Cursor::new(&bytes[5..]);
    assert!(StateMetaInfo::parse(&mut cursor, 7).is_ok());
}
