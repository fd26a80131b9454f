//! The way back behind a snapshot whose end is not known.
//!
//! Behind it stands something that can be recognized: the next serializer of the state (its key and the
//! snapshot proxy's version), the next state (a name, a kind, options and a first serializer key that all
//! fit), a number of states and the first of them, or the end. Every place where such a thing stands is
//! a candidate; from each, the rest is decoded on trial. The first from which everything decodes wins;
//! else the first from which decoding gets to another snapshot that is not known; else the one that
//! gets farthest. The work of all trials together is bounded.

use super::read::{At, Halt, Out, Plan, count, run, state_header};
use super::{End, SerializerKey, StateMetaInfo};
use crate::cursor::Cursor;
use crate::error::ErrorKind;

/// More candidates are not tried for one stop.
const MAX_CANDIDATES: usize = 8;
/// So few bytes are no more than the end: a count of no further states. Where the bytes of a snapshot
/// ended too early, they are believed to be cut off instead.
const END_BYTES: usize = 2;
/// Longer names of states are not believed in a search.
const MAX_NAME: usize = 4096;
/// Start of a framed Snappy stream.
const SNAPPY_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Bytes that all searches and trials of one parse may read.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(size: usize) -> Self {
        Self(size.saturating_mul(16).saturating_add(1 << 20))
    }

    fn spend(&mut self, bytes: usize) -> bool {
        self.0 = self.0.saturating_sub(bytes.max(1));
        self.0 > 0
    }
}

/// How a trial ended; better ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Failed(usize),
    Halted,
    Complete,
}

/// A cursor at the place where decoding can go on with `halt.next`.
pub(super) fn way_back<'a>(
    plan: Plan,
    halt: &Halt,
    whole: &Cursor<'a>,
    budget: &mut Budget,
) -> Option<Cursor<'a>> {
    let mut best: Option<(Verdict, Cursor<'a>)> = None;
    let mut from = whole.clone();
    let distance = halt.stop.resume_from.checked_sub(whole.offset())?;
    from.skip(usize::try_from(distance).ok()?).ok()?;
    let truncated = halt.stop.error.as_ref().is_some_and(|error| match error.kind() {
        ErrorKind::UnexpectedEnd { .. } => true,
        ErrorKind::BadCount { found, .. } => *found >= 0,
        _ => false,
    });
    let expected = expected(plan, &halt.next);
    let mut tried = 0;
    let mut place = from;
    loop {
        let at_end = place.remaining() <= END_BYTES;
        if !(truncated && at_end) && is_candidate(plan, expected, &place) {
            let verdict = trial(plan, halt, &place, budget);
            if verdict == Verdict::Complete {
                return Some(place);
            }
            if best.as_ref().is_none_or(|(found, _)| verdict > *found) {
                best = Some((verdict, place.clone()));
            }
            tried += 1;
        }
        if tried >= MAX_CANDIDATES || !budget.spend(1) || place.skip(1).is_err() {
            break;
        }
    }
    best.filter(|(verdict, _)| *verdict != Verdict::Failed(0)).map(|(_, place)| place)
}

/// Decodes the rest from a place.
fn trial(plan: Plan, halt: &Halt, place: &Cursor<'_>, budget: &mut Budget) -> Verdict {
    let mut cursor = place.clone();
    let mut out = Out::default();
    let result = run(plan, halt.next.clone(), &mut out, &mut cursor);
    let read = cursor.offset().saturating_sub(place.offset());
    budget.spend(usize::try_from(read).unwrap_or(usize::MAX));
    match result {
        Ok(None) => Verdict::Complete,
        Ok(Some(next)) if looks_like_a_class(&next.stop.class) => Verdict::Halted,
        Ok(Some(_)) | Err(_) => Verdict::Failed(out.progress),
    }
}

fn looks_like_a_class(name: &str) -> bool {
    name.contains('.') && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '$' | '-'))
}

/// What has to stand at a candidate.
#[derive(Debug, Clone, Copy)]
enum Expected<'a> {
    Serializer(&'a StateMetaInfo),
    State,
    Count,
    End,
}

/// The first thing that has bytes.
fn expected(plan: Plan, next: &At) -> Expected<'_> {
    let section = match next {
        At::Serializer(_, _, state, 1..) => return Expected::Serializer(state),
        At::Serializer(_, 2.., _, 0) | At::State(_, 1..) => return Expected::State,
        At::Serializer(section, _, _, 0) | At::State(section, 0) => section + 1,
        At::Count(section) => *section,
        At::KeySerializer | At::End => return Expected::End,
    };
    if section < plan.sections { Expected::Count } else { Expected::End }
}

fn is_candidate(plan: Plan, expected: Expected<'_>, place: &Cursor<'_>) -> bool {
    match expected {
        Expected::Serializer(state) => is_serializer(place, Some(state)),
        Expected::State => is_state(place),
        Expected::Count => is_count(plan, place),
        Expected::End => is_end(plan, place),
    }
}

/// A serializer key that the state does not have yet, and the version of a snapshot proxy.
fn is_serializer(place: &Cursor<'_>, state: Option<&StateMetaInfo>) -> bool {
    let rest = place.rest();
    // Length, the text, i32 1 or 2.
    let Some((&[0, length], text)) = rest.split_first_chunk::<2>() else { return false };
    let Some((text, behind)) = text.split_at_checked(length.into()) else { return false };
    let key = match text {
        b"KEY_SERIALIZER" => SerializerKey::Key,
        b"NAMESPACE_SERIALIZER" => SerializerKey::Namespace,
        b"VALUE_SERIALIZER" => SerializerKey::Value,
        b"USER_KEY_SERIALIZER" => SerializerKey::UserKey,
        _ => return false,
    };
    matches!(behind.first_chunk::<4>(), Some([0, 0, 0, 1 | 2]))
        && state.is_none_or(|state| state.serializers.iter().all(|(k, _)| *k != key))
}

/// A whole state header with nothing strange in it.
fn is_state(place: &Cursor<'_>) -> bool {
    let rest = place.rest();
    let Some((&[high, low], text)) = rest.split_first_chunk::<2>() else { return false };
    let length = usize::from(high) << 8 | usize::from(low);
    let Some((text, behind)) = text.split_at_checked(length) else { return false };
    if length == 0
        || length > MAX_NAME
        || !matches!(behind.first_chunk::<8>(), Some([0, 0, 0, 0..=4, 0, 0, 0, 0..=4]))
    {
        return false;
    }
    // (A kind, then few options: or a search would read thousands at every place.)
    // A name that runs over other fields holds the high bytes of their lengths.
    if text.iter().any(|byte| *byte < 0x20) {
        return false;
    }
    let mut cursor = place.clone();
    let Ok((state, serializers)) = state_header(&mut cursor) else { return false };
    let known = ["KEYED_STATE_TYPE", "OPERATOR_STATE_DISTRIBUTION_MODE"];
    (1..=4).contains(&serializers)
        && state.options.iter().all(|(key, _)| known.contains(&key.as_str()))
        && is_serializer(&cursor, None)
}

fn is_count(plan: Plan, place: &Cursor<'_>) -> bool {
    let mut cursor = place.clone();
    match count(&mut cursor) {
        // Two zeros are everywhere.
        Ok(0) => plan.end != End::Unknown && is_end(plan, &cursor),
        Ok(_) => is_state(&cursor),
        Err(_) => false,
    }
}

fn is_end(plan: Plan, place: &Cursor<'_>) -> bool {
    match plan.end {
        End::Eof => place.is_empty(),
        End::DataAt(offset) => {
            place.offset() == offset
                || place.rest().starts_with(SNAPPY_IDENTIFIER)
                    && place.offset().saturating_add(SNAPPY_IDENTIFIER.len() as u64) == offset
        }
        End::Unknown => false,
    }
}
