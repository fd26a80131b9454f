//! Versions before Flink 1.7. Their serializers are framed, so that nothing needs to be searched.
//!
//! ```text
//! keyed 1, 2     blob key | i16 n | n * { i32 type, utf name, blob namespace, blob value }
//! keyed 3, 4     [bool compressed] | block key | i16 n | n * { i32 type, utf name, block }
//! keyed 5        bool compressed | block key | i16 n | n * state 5
//! operator 1     i16 n | n * { utf name, i8 mode, Java object }
//! operator 2, 3  i16 n | n * { utf name, i8 mode, block }, in 3 the same again for broadcast states
//! operator 4     i16 n | n * state 5 | i16 m | m * state 5
//! state 5        utf name | i32 kind | options | i32 n | n * utf key | block
//! ```
//!
//! `blob` and `block` are the serializer and the resilience block of `serializer::legacy`. Read by
//! `LegacyStateMetaInfoReaders` and `StateMetaInfoSnapshotReadersWriters$V5ReaderImpl` up to Flink 1.16.

use super::read::{count, new_state, state_kind};
use super::{KeyedBackendMeta, KeyedStateType, OperatorBackendMeta, SerializerKey, StateKind, StateMetaInfo};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::flink::serializer::{SerializerSnapshot, java_serialized, resilience_block, serializer_blob};
use crate::java::stream::JavaStream;

pub(super) fn unknown_version(what: &'static str, found: i32, known: &'static str, offset: u64) -> Error {
    Error::new(ErrorKind::UnknownVersion { what, found: found.into(), known }, offset)
}

/// Stands for a serializer that is not there.
pub(super) fn missing(offset: u64) -> SerializerSnapshot {
    java_serialized(None, offset)
}

pub(super) fn keyed(version: i32, compressed: bool, cursor: &mut Cursor<'_>) -> Result<KeyedBackendMeta> {
    let key_serializer = if version >= 3 {
        let offset = cursor.offset();
        let block = resilience_block(cursor).field("key_serializer")?;
        block.into_iter().next().unwrap_or_else(|| missing(offset))
    } else {
        blob(cursor).field("key_serializer")?
    };
    let count = count(cursor).field("states")?;
    let mut states = Vec::new();
    for i in 0..count {
        let state = match version {
            5 => state_v5(cursor),
            _ => keyed_state(version, cursor),
        };
        states.push(state.index("states", i)?);
    }
    let end = Some(cursor.offset());
    Ok(KeyedBackendMeta {
        version,
        compressed,
        key_serializer,
        states,
        skipped: Vec::new(),
        end,
        error: None,
    })
}

pub(super) fn operator(version: i32, cursor: &mut Cursor<'_>) -> Result<OperatorBackendMeta> {
    let mut sections = [Vec::new(), Vec::new()];
    for section in sections.iter_mut().take(if version >= 3 { 2 } else { 1 }) {
        let count = count(cursor).field("states")?;
        for i in 0..count {
            let state = match version {
                4 => state_v5(cursor),
                _ => operator_state(version, cursor),
            };
            section.push(state.index("states", i)?);
        }
    }
    let [states, broadcast_states] = sections;
    let end = Some(cursor.offset());
    let skipped = Vec::new();
    Ok(OperatorBackendMeta {
        version,
        compressed: false,
        states,
        broadcast_states,
        skipped,
        end,
        error: None,
    })
}

fn blob(cursor: &mut Cursor<'_>) -> Result<SerializerSnapshot> {
    let offset = cursor.offset();
    Ok(java_serialized(serializer_blob(cursor)?, offset))
}

/// State meta info version 5.
pub(super) fn state_v5(cursor: &mut Cursor<'_>) -> Result<StateMetaInfo> {
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
    let kind = state_kind(tag, &options, offset)?;
    let count = cursor.count32("serializers", 2)?;
    let mut keys = Vec::new();
    for i in 0..count {
        keys.push(SerializerKey::new(&cursor.utf().index("serializers", i)?));
    }
    let block = resilience_block(cursor).named("state", || name.clone())?;
    let mut state = new_state(name, kind, options, start);
    finish(&mut state, keys.into_iter().zip(block), cursor);
    Ok(state)
}

/// By ordinal of `StateDescriptor.Type`.
fn keyed_state(version: i32, cursor: &mut Cursor<'_>) -> Result<StateMetaInfo> {
    let start = cursor.offset();
    let keyed = match cursor.i32().field("type")? {
        0 => KeyedStateType::Unknown,
        1 => KeyedStateType::Value,
        2 => KeyedStateType::List,
        3 => KeyedStateType::Reducing,
        4 => KeyedStateType::Folding,
        5 => KeyedStateType::Aggregating,
        6 => KeyedStateType::Map,
        found => {
            let kind = ErrorKind::UnknownTag { what: "type of keyed state", found: found.into() };
            return Err(Error::new(kind, start)).field("type");
        }
    };
    let name = cursor.utf().field("name")?.into_owned();
    let serializers = if version >= 3 {
        resilience_block(cursor).named("state", || name.clone())?
    } else {
        vec![blob(cursor).field("namespace")?, blob(cursor).field("value")?]
    };
    let mut state = new_state(name, StateKind::KeyValue(keyed), Vec::new(), start);
    finish(&mut state, [SerializerKey::Namespace, SerializerKey::Value].into_iter().zip(serializers), cursor);
    Ok(state)
}

fn operator_state(version: i32, cursor: &mut Cursor<'_>) -> Result<StateMetaInfo> {
    let start = cursor.offset();
    let name = cursor.utf().field("name")?.into_owned();
    let offset = cursor.offset();
    let mode = match cursor.u8().field("mode")? {
        0 => "SPLIT_DISTRIBUTE",
        1 => "UNION",
        2 => "BROADCAST",
        found => {
            let kind = ErrorKind::UnknownTag { what: "distribution mode", found: found.into() };
            return Err(Error::new(kind, offset)).field("mode");
        }
    };
    let options = vec![("OPERATOR_STATE_DISTRIBUTION_MODE".to_owned(), mode.to_owned())];
    let serializers = if version >= 2 {
        resilience_block(cursor).named("state", || name.clone())?
    } else {
        let offset = cursor.offset();
        let stream = JavaStream::parse(cursor).named("state", || name.clone())?;
        vec![java_serialized(Some(stream.root().class_name().to_owned()), offset)]
    };
    let (kind, keys) = match serializers.len() {
        1 => (StateKind::Operator, &[SerializerKey::Value][..]),
        _ => (StateKind::Broadcast, &[SerializerKey::Key, SerializerKey::Value][..]),
    };
    let mut state = new_state(name, kind, options, start);
    finish(&mut state, keys.iter().cloned().zip(serializers), cursor);
    Ok(state)
}

fn finish(
    state: &mut StateMetaInfo,
    serializers: impl Iterator<Item = (SerializerKey, SerializerSnapshot)>,
    cursor: &Cursor<'_>,
) {
    state.serializers.extend(serializers);
    state.length = Some(cursor.offset().saturating_sub(state.offset));
}
