//! Versions 6 and 7, one thing after the other, with a way around what is not known.

use super::legacy::{self, unknown_version};
use super::recover::{self, Budget};
use super::{
    End, KeyedBackendMeta, KeyedStateType, OperatorBackendMeta, SerializerKey, Skipped, StateKind,
    StateMetaInfo,
};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, PathSegment, Result, ResultExt as _};
use crate::flink::serializer::{SerializerSnapshot, Stop, read_proxy};

/// What stands next.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// The key serializer of a keyed backend.
    KeySerializer,
    /// The number of states of a section: keyed, or lists and then broadcast.
    Count(usize),
    /// A state of a section; how many are left, it included.
    State(usize, usize),
    /// A serializer of a state; how many states are left, it included, and how many serializers.
    Serializer(usize, usize, Box<StateMetaInfo>, usize),
    /// Nothing.
    End,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) key_serializer: Option<SerializerSnapshot>,
    pub(super) sections: [Vec<StateMetaInfo>; 2],
    /// Whole things read so far.
    pub(super) progress: usize,
}

impl Out {
    /// Whether any state was read to its end.
    fn has_states(&self) -> bool {
        self.sections.iter().any(|section| !section.is_empty())
    }
}

/// A snapshot whose end is not known, and what follows it.
#[derive(Debug)]
pub(super) struct Halt {
    pub(super) stop: Stop,
    pub(super) next: At,
    pub(super) state: Option<String>,
    pub(super) serializer: Option<SerializerKey>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How many sections of states there are.
    pub(super) sections: usize,
    pub(super) end: End,
}

pub(super) fn keyed(cursor: &mut Cursor<'_>, end: End) -> Result<KeyedBackendMeta> {
    let offset = cursor.offset();
    let version = cursor.i32().field("version")?;
    if !(1..=6).contains(&version) {
        return Err(unknown_version("keyed backend meta", version, "1 to 6", offset));
    }
    let compressed = version >= 4 && cursor.bool().field("compressed")?;
    if version < 6 {
        return legacy::keyed(version, compressed, cursor);
    }
    let (out, skipped, end, error) = drive(Plan { sections: 1, end }, At::KeySerializer, cursor)?;
    let [states, _] = out.sections;
    let key_serializer = out.key_serializer.unwrap_or_else(|| legacy::missing(offset));
    Ok(KeyedBackendMeta { version, compressed, key_serializer, states, skipped, end, error })
}

pub(super) fn operator(cursor: &mut Cursor<'_>, end: End) -> Result<OperatorBackendMeta> {
    let offset = cursor.offset();
    let version = cursor.i32().field("version")?;
    if !(1..=6).contains(&version) {
        return Err(unknown_version("operator backend meta", version, "1 to 6", offset));
    }
    if version < 5 {
        return legacy::operator(version, cursor);
    }
    let compressed = version >= 6 && cursor.bool().field("compressed")?;
    let (out, skipped, end, error) = drive(Plan { sections: 2, end }, At::Count(0), cursor)?;
    let [states, broadcast_states] = out.sections;
    Ok(OperatorBackendMeta { version, compressed, states, broadcast_states, skipped, end, error })
}

/// One state, with no way around what is not known.
pub(super) fn single_state(cursor: &mut Cursor<'_>) -> Result<StateMetaInfo> {
    let (mut state, count) = state_header(cursor)?;
    for i in 0..count {
        let key = SerializerKey::new(&cursor.utf().index("serializers", i)?);
        let read = read_proxy(cursor).index("serializers", i)?;
        if let Some(stop) = read.stop {
            return Err(stop.into_error()).index("serializers", i);
        }
        state.serializers.push((key, read.snapshot));
    }
    state.length = Some(cursor.offset().saturating_sub(state.offset));
    Ok(state)
}

type Driven = (Out, Vec<Skipped>, Option<u64>, Option<Error>);

/// Reads to the end, skipping what is not known.
fn drive(plan: Plan, start: At, cursor: &mut Cursor<'_>) -> Result<Driven> {
    let (mut out, mut skipped) = (Out::default(), Vec::new());
    let mut at = start;
    let mut budget = Budget::new(cursor.remaining());
    let whole = cursor.clone();
    loop {
        let halt = match run(plan, at, &mut out, cursor) {
            Ok(None) => return Ok((out, skipped, Some(cursor.offset()), None)),
            Ok(Some(halt)) => halt,
            Err(error) if skipped.is_empty() && !out.has_states() => return Err(error),
            Err(error) => return Ok((out, skipped, None, Some(error))),
        };
        let found = recover::way_back(plan, &halt, &whole, &mut budget);
        let Halt { stop, next, state, serializer } = halt;
        skipped.push(Skipped {
            offset: stop.offset,
            length: found.as_ref().map(|at| at.offset().saturating_sub(stop.offset)),
            class: stop.class,
            state: state.clone(),
            serializer: serializer.clone(),
            error: stop.error.clone(),
        });
        match (found, stop.error) {
            (Some(resume), _) => {
                *cursor = resume;
                at = next;
            }
            (None, None) => {
                keep_partial(next, &mut out);
                return Ok((out, skipped, None, None));
            }
            (None, Some(error)) => {
                let label = serializer.map(|s| s.label().to_owned());
                let error = error
                    .within(PathSegment::Named("serializer", label.unwrap_or_else(|| "key".to_owned())))
                    .within(PathSegment::Named("state", state.unwrap_or_default()));
                if !out.has_states() {
                    return Err(error);
                }
                // The states before it are whole; of this one, what was read is kept.
                keep_partial(next, &mut out);
                return Ok((out, skipped, None, Some(error)));
            }
        }
    }
}

/// Keeps a state of which not all was read.
fn keep_partial(at: At, out: &mut Out) {
    if let At::Serializer(section, _, state, _) = at
        && let Some(section) = out.sections.get_mut(section)
    {
        section.push(*state);
    }
}

/// Reads up to the end or to the first snapshot whose end is not known.
pub(super) fn run(plan: Plan, mut at: At, out: &mut Out, cursor: &mut Cursor<'_>) -> Result<Option<Halt>> {
    loop {
        at = match at {
            At::KeySerializer => {
                let read = read_proxy(cursor).field("key_serializer")?;
                out.key_serializer = Some(read.snapshot);
                if let Some(stop) = read.stop {
                    return Ok(Some(Halt { stop, next: At::Count(0), state: None, serializer: None }));
                }
                out.progress += 1;
                At::Count(0)
            }
            At::Count(section) if section >= plan.sections => At::End,
            At::Count(section) => match count(cursor).field("states")? {
                0 => At::Count(section + 1),
                states => At::State(section, states),
            },
            At::State(section, 0) => At::Count(section + 1),
            At::State(section, left) => {
                let index = out.sections.get(section).map_or(0, Vec::len);
                let (state, serializers) = state_header(cursor).index("states", index)?;
                At::Serializer(section, left, Box::new(state), serializers)
            }
            At::Serializer(section, left, mut state, 0) => {
                state.length = Some(cursor.offset().saturating_sub(state.offset));
                if let Some(states) = out.sections.get_mut(section) {
                    states.push(*state);
                }
                out.progress += 1;
                At::State(section, left.saturating_sub(1))
            }
            At::Serializer(section, left, mut state, serializers) => {
                let key = cursor.utf().field("serializer_key").named("state", || state.name.clone())?;
                let key = SerializerKey::new(&key);
                let read = read_proxy(cursor)
                    .named("serializer", || key.label().to_owned())
                    .named("state", || state.name.clone())?;
                state.serializers.push((key.clone(), read.snapshot));
                let name = state.name.clone();
                let next = At::Serializer(section, left, state, serializers.saturating_sub(1));
                if let Some(stop) = read.stop {
                    return Ok(Some(Halt { stop, next, state: Some(name), serializer: Some(key) }));
                }
                out.progress += 1;
                next
            }
            At::End => {
                return match plan.end {
                    End::Eof => cursor.finish().map(|()| None),
                    End::DataAt(_) | End::Unknown => Ok(None),
                };
            }
        };
    }
}

/// The number of states, an `i16`.
pub(super) fn count(cursor: &mut Cursor<'_>) -> Result<usize> {
    let offset = cursor.offset();
    let found = cursor.i16()?;
    cursor.check_count("states", found.into(), 14, offset)
}

/// A state up to its serializers, and how many there are.
pub(super) fn state_header(cursor: &mut Cursor<'_>) -> Result<(StateMetaInfo, usize)> {
    let start = cursor.offset();
    let name = cursor.utf().field("name")?.into_owned();
    let offset = cursor.offset();
    let tag = cursor.i32().field("kind")?;
    let count = cursor.count32("options", 4)?;
    let mut options = Vec::new();
    for i in 0..count {
        let key = cursor.utf().index("options", i)?.into_owned();
        options.push((key, cursor.utf().index("options", i)?.into_owned()));
    }
    let kind = state_kind(tag, &options, offset).named("state", || name.clone())?;
    let serializers = cursor.count32("serializers", 12).named("state", || name.clone())?;
    let state = new_state(name, kind, options, start);
    Ok((state, serializers))
}

/// A state without serializers.
pub(super) fn new_state(
    name: String,
    kind: StateKind,
    options: Vec<(String, String)>,
    offset: u64,
) -> StateMetaInfo {
    let distribution_mode =
        option(&options, "OPERATOR_STATE_DISTRIBUTION_MODE").and_then(super::distribution_mode);
    StateMetaInfo { name, kind, distribution_mode, options, serializers: Vec::new(), offset, length: None }
}

fn option<'a>(options: &'a [(String, String)], key: &str) -> Option<&'a str> {
    options.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
}

/// By ordinal of `BackendStateType`.
pub(super) fn state_kind(tag: i32, options: &[(String, String)], offset: u64) -> Result<StateKind> {
    let keyed = option(options, "KEYED_STATE_TYPE").map_or(KeyedStateType::Unknown, KeyedStateType::new);
    Ok(match tag {
        0 => StateKind::KeyValue(keyed),
        1 => StateKind::Operator,
        2 => StateKind::Broadcast,
        3 => StateKind::PriorityQueue,
        4 => StateKind::KeyValueV2(keyed),
        found => {
            return Err(Error::new(
                ErrorKind::UnknownTag { what: "kind of state", found: found.into() },
                offset,
            ));
        }
    })
}
