//! Channels as a naive writer makes them, whole, in pieces, cut, and with flipped bits.

use proptest::prelude::*;

use super::*;
use crate::flink::operator_id::OperatorId;

/// An element that owns its record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Record(Option<i64>, Vec<u8>),
    Watermark(i64, Option<i32>),
    Latency(i64, [u8; 16], i32),
    Status(bool),
    Attributes(bool),
    Generalized(String, Vec<u8>),
}

impl Owned {
    fn bytes(&self) -> Vec<u8> {
        let body = match self {
            Self::Record(Some(at), value) => [&[0], &at.to_be_bytes()[..], value].concat(),
            Self::Record(None, value) => [&[1], &value[..]].concat(),
            Self::Watermark(at, None) => [&[2], &at.to_be_bytes()[..]].concat(),
            Self::Latency(at, id, subtask) => {
                [&[3], &at.to_be_bytes()[..], id, &subtask.to_be_bytes()].concat()
            }
            Self::Status(is_idle) => [&[4], &(-i32::from(*is_idle)).to_be_bytes()[..]].concat(),
            Self::Attributes(is_backlog) => vec![5, u8::from(*is_backlog)],
            Self::Watermark(at, Some(of)) => [&[6], &of.to_be_bytes()[..], &at.to_be_bytes()].concat(),
            Self::Generalized(class, rest) => {
                let length = u16::try_from(class.len()).unwrap();
                [&[7], &length.to_be_bytes()[..], class.as_bytes(), rest].concat()
            }
        };
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    fn is(&self, element: Element<'_>) -> bool {
        match (self, element) {
            (Self::Record(at, record), Element::Record { timestamp, value, length }) => {
                *at == timestamp && record == value && record.len() as u64 == length
            }
            (Self::Watermark(at, of), Element::Watermark { timestamp, subpartition }) => {
                (*at, *of) == (timestamp, subpartition)
            }
            (Self::Latency(at, id, of), Element::LatencyMarker { marked_ms, operator, subtask }) => {
                (*at, OperatorId(*id), *of) == (marked_ms, operator, subtask)
            }
            (Self::Status(idle), Element::WatermarkStatus { is_idle }) => *idle == is_idle,
            (Self::Attributes(backlog), Element::RecordAttributes { is_backlog }) => *backlog == is_backlog,
            (Self::Generalized(class, rest), Element::GeneralizedWatermark { length }) => {
                (2 + class.len() + rest.len()) as u64 == length
            }
            _ => false,
        }
    }
}

fn element() -> impl Strategy<Value = Owned> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..70);
    prop_oneof![
        4 => (any::<Option<i64>>(), bytes()).prop_map(|(at, value)| Owned::Record(at, value)),
        1 => (any::<i64>(), any::<Option<i32>>()).prop_map(|(at, of)| Owned::Watermark(at, of)),
        1 => (any::<i64>(), any::<[u8; 16]>(), any::<i32>()).prop_map(|(at, id, of)| Owned::Latency(at, id, of)),
        1 => any::<bool>().prop_map(Owned::Status),
        1 => any::<bool>().prop_map(Owned::Attributes),
        1 => ("[a-z.]{0,20}", bytes()).prop_map(|(class, rest)| Owned::Generalized(class, rest)),
    ]
}

fn stream(elements: &[Owned]) -> Vec<u8> {
    elements.iter().flat_map(Owned::bytes).collect()
}

/// What a reader tells of bytes that come in pieces of these lengths, in turn; the last one returns what is wrong.
fn read(bytes: &[u8], pieces: &[usize], keep: usize) -> (Vec<(u64, String)>, Tail, Option<Error>) {
    let (mut reader, mut told, mut rest) = (ElementReader::new(0, keep), Vec::new(), bytes);
    let mut error = None;
    for piece in pieces.iter().cycle() {
        let (part, behind) = rest.split_at((*piece).clamp(1, rest.len().max(1)).min(rest.len()));
        error = reader.feed(part, &mut |at, element| told.push((at, format!("{element:?}")))).err();
        rest = behind;
        if rest.is_empty() || error.is_some() {
            break;
        }
    }
    (told, reader.end(), error)
}

proptest! {
    #[test]
    fn what_is_written_is_read(elements in proptest::collection::vec(element(), 0..20), piece in 1_usize..90, cut in any::<prop::sample::Index>()) {
        let bytes = stream(&elements);
        let (mut reader, mut expected, mut at) = (ElementReader::new(0, 1 << 20), elements.iter(), 0);
        for part in bytes.chunks(piece) {
            reader.feed(part, &mut |begin, found| {
                let next = expected.next().unwrap();
                assert!(next.is(found), "{next:?} {found:?}");
                assert_eq!(begin, at);
                at += next.bytes().len() as u64;
            }).unwrap();
        }
        prop_assert!(expected.next().is_none());
        prop_assert_eq!(reader.end(), Tail::Whole);
        prop_assert_eq!(reader.held(), 0);

        // Cut, it has a part of one.
        let cut = cut.index(bytes.len() + 1);
        let (told, tail, error) = read(&bytes[..cut], &[piece], 0);
        prop_assert!(error.is_none());
        let (mut end, mut whole) = (0, 0);
        for element in &elements {
            if end + element.bytes().len() > cut { break; }
            end += element.bytes().len();
            whole += 1;
        }
        prop_assert_eq!(told.len(), whole);
        let of = (cut - end >= 4).then(|| elements[whole].bytes().len() as u64);
        let inside = Tail::Inside { bytes: (cut - end) as u64, of };
        prop_assert_eq!(tail, if end == cut { Tail::Whole } else { inside });
    }

    #[test]
    fn flipped_bits_are_errors_or_other_elements(elements in proptest::collection::vec(element(), 1..9), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = stream(&elements);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let whole = read(&bytes, &[usize::MAX], 16);
        for pieces in [&[1][..], &[3, 40], &[17]] {
            let (told, tail, error) = read(&bytes, pieces, 1 << 20);
            // Where pieces end only decides how early it is seen that something is wrong.
            prop_assert_eq!(&told, &read(&bytes, &[usize::MAX], 1 << 20).0);
            prop_assert_eq!(error.as_ref().map(Error::offset), whole.2.as_ref().map(Error::offset));
            if error.is_none() {
                prop_assert_eq!(tail, whole.1);
            }
        }
        if let Some(error) = whole.2 {
            prop_assert!(error.offset() <= bytes.len() as u64);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
        let _ = read(&bytes, &[piece], 8);
        for ends_whole in [false, true] {
            if let Some(begin) = find_begin(&bytes, ends_whole) {
                prop_assert!(begin.leading < bytes.len());
            }
        }
    }

    #[test]
    fn the_first_whole_element_is_found(first in proptest::collection::vec(200_u8.., 12..60), elements in proptest::collection::vec(element(), 1..12), cut in 1_usize..16) {
        // No byte of the first record is one of a length that is possible here.
        let bytes = stream(&[&[Owned::Record(None, first.clone())], &elements[..]].concat());
        let cut = cut.min(first.len());
        let begin = find_begin(&bytes[5 + first.len() - cut..], true).unwrap();
        prop_assert_eq!(begin.leading, cut);
        prop_assert_eq!(find_begin(&bytes, true), Some(Begin { leading: 0 }));
    }
}

#[test]
fn what_is_not_kept_is_counted() {
    let bytes = Owned::Record(Some(7), vec![9; 500]).bytes();
    let element = |keep, pieces: &[usize], forget| {
        let (mut reader, mut found, mut rest) = (ElementReader::new(10, keep), Vec::new(), &bytes[..]);
        for piece in pieces {
            let (part, behind) = rest.split_at(*piece);
            reader
                .feed(part, &mut |at, element| match element {
                    Element::Record { timestamp, value, length } => {
                        found.push((at, timestamp, value.len(), length));
                    }
                    other => panic!("{other:?}"),
                })
                .unwrap();
            if forget {
                reader.forget();
            }
            rest = behind;
        }
        found
    };
    assert_eq!(element(0, &[513], false), [(10, Some(7), 500, 500)], "it lies in one piece");
    assert_eq!(element(0, &[300, 213], false), [(10, Some(7), 20, 500)]);
    assert_eq!(element(100, &[2, 300, 211], false), [(10, Some(7), 120, 500)]);
    assert_eq!(element(1000, &[2, 300, 211], false), [(10, Some(7), 500, 500)]);
    assert_eq!(element(1000, &[2, 300, 211], true), [(10, Some(7), 20, 500)], "forgotten");
}

#[test]
fn what_flink_does_not_write_is_an_error() {
    let error = |bytes: &[u8]| {
        let (told, _, error) = read(bytes, &[1], 100);
        assert!(told.is_empty());
        let error = error.unwrap();
        (error.offset(), error.to_string())
    };
    let wrong = |bytes: &[u8], offset, text: &str| {
        let (at, message) = error(bytes);
        assert!(at == offset && message.contains(text), "{at} {message}");
    };
    wrong(&[0, 0, 0, 0], 0, "a length of 0");
    wrong(&[255, 255, 255, 255], 0, "a length of -1");
    wrong(&[0, 0, 0, 1, 8], 4, "element of a channel");
    wrong(&[0, 0, 0, 2, 2, 0], 0, "8");
    wrong(&[0, 0, 0, 1, 0], 5, "");
    wrong(&[0, 0, 0, 5, 4, 0, 0, 0, 1], 0, "watermark status");
    wrong(&[0, 0, 0, 2, 5, 2], 5, "");
    wrong(&[0, 0, 0, 2, 7, 2], 5, "");
}

#[test]
fn a_few_elements_do_not_show_where_a_long_channel_begins() {
    let elements = vec![Owned::Record(None, vec![200; 30]); 12];
    let bytes = stream(&elements);
    let open = &bytes[3..bytes.len() - 5];
    assert_eq!(find_begin(open, false), Some(Begin { leading: 32 }));
    assert_eq!(find_begin(open, true), None, "it does not end with an element");
    assert_eq!(find_begin(&open[..200], false), None);
    assert_eq!(find_begin(&[], true), None);
}

#[test]
fn chunks_lie_in_their_files() {
    assert_eq!(chunk_length(&[0, 0, 1, 0], 4, 256), Ok(256));
    assert_eq!(chunk_length(&[0, 0, 1, 0], 4, 255).unwrap_err().offset(), 4);
    assert!(chunk_length(&[255, 255, 255, 255], 4, 255).is_err());
    assert!(chunk_length(&[0, 0, 1], 4, 255).is_err());
    assert_eq!(check_version(&[0, 0, 0, 0, 9]), Ok(()));
    assert!(check_version(&[0, 0, 0, 1]).is_err() && check_version(&[0, 0, 0]).is_err());
}

#[test]
fn finding_the_begin_costs_as_much_as_there_are_bytes() {
    // Each place leads on to the same long chain, which does not end.
    let mut bytes: Vec<u8> = [0, 0, 0, 1, 1].repeat(200_000);
    bytes.extend([0, 0, 0, 9]);
    assert_eq!(find_begin(&bytes, true), None);
}
