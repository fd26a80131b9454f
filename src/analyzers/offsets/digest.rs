//! What one stream of operator state holds.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;
use statescope_formats::flink::connector::Versioned;
use statescope_formats::flink::operator_state::{BroadcastEntries, OperatorStatePart, OperatorStateParts};
use statescope_formats::flink::state_meta::{SerializerKey, StateKind, StateMetaInfo};
use statescope_formats::flink::value::{
    Decoded, JsonLimits, JsonSink, KryoVersion, Opaque, OpaqueReason, ValueDecoder, ValueSink as _,
};
use statescope_formats::flink::walk::{StopKind, Walked};
use statescope_formats::{Cursor, Error as FormatError, Result as FormatResult};

use super::roles::Role;
use super::types::{Element, Split, Uncommitted, Writer};
use super::{Question, legacy, sinks};
use crate::analyzers::overview::type_text;
use crate::model::{About, DistributionMode, Effect, Finding, OperatorStatePartitions, OperatorStream};

/// How many damaged elements of a state of a subtask are told one by one.
const TOLD: usize = 3;

/// What one stream holds.
#[derive(Debug)]
pub struct Digest {
    pub(super) operator: usize,
    pub(super) subtask: u32,
    pub(super) states: Vec<StateDigest>,
    pub(super) findings: Vec<Finding>,
}

/// What one stream holds of one state.
#[derive(Debug)]
pub(super) struct StateDigest {
    pub(super) name: String,
    pub(super) is_raw: bool,
    pub(super) mode: DistributionMode,
    pub(super) type_text: String,
    pub(super) role: Option<Role>,
    pub(super) elements: Option<u64>,
    pub(super) bytes: u64,
    pub(super) shown: Vec<Element>,
    pub(super) not_read: u64,
    pub(super) damaged: u64,
    /// Of a broadcast state: the same for copies that hold the same entries, in whatever order.
    pub(super) fingerprint: Option<u64>,
    /// Of a broadcast state: the same for copies with the same bytes.
    pub(super) bytes_hash: Option<u64>,
    /// Entries behind what nobody knows the length of.
    pub(super) not_decoded: u64,
    /// Splits whose connector is still to be found out.
    pub(super) raw_splits: Vec<RawSplit>,
    pub(super) splits: Vec<Split>,
    pub(super) writers: Vec<Writer>,
    pub(super) uncommitted: Vec<Uncommitted>,
    /// The sink that the bytes are recognized as.
    pub(super) sink: Option<&'static str>,
}

/// A split as a reader's state has it.
#[derive(Debug)]
pub(super) struct RawSplit {
    pub(super) subtask: u32,
    pub(super) version: i32,
    pub(super) bytes: Vec<u8>,
    pub(super) offset: u64,
    pub(super) file: String,
}

impl RawSplit {
    pub(super) fn versioned(&self) -> Versioned<'_> {
        Versioned { version: self.version, bytes: &self.bytes, offset: self.offset }
    }
}

/// What is decoded with, and into.
struct Reading<'a> {
    stream: &'a OperatorStream<'a>,
    parts: OperatorStateParts<'a>,
    question: &'a Question,
    kryo: KryoVersion,
    /// Who the stream belongs to, in words.
    owner: &'a str,
}

/// Decodes a stream.
#[must_use]
pub(super) fn digest(
    stream: &OperatorStream<'_>,
    question: &Question,
    kryo: KryoVersion,
    owner: &str,
) -> Digest {
    let reading = Reading { stream, parts: stream.parts(), question, kryo, owner };
    let mut findings = Vec::new();
    let states = stream.handle.states.iter().map(|state| reading.state(state, &mut findings)).collect();
    Digest { operator: stream.operator, subtask: stream.subtask, states, findings }
}

impl Reading<'_> {
    fn state(&self, partitions: &OperatorStatePartitions, findings: &mut Vec<Finding>) -> StateDigest {
        let stream = self.stream;
        let meta = stream.meta.as_ref().and_then(|meta| meta.state(&partitions.name));
        let kind = match partitions.mode {
            DistributionMode::SplitDistribute => "operator_list",
            DistributionMode::Union => "operator_union",
            DistributionMode::Broadcast => "broadcast",
        };
        let bytes = partitions.offsets.iter().map(|&offset| self.parts.stored(offset));
        let mut state = StateDigest {
            name: partitions.name.to_string(),
            is_raw: stream.is_raw,
            mode: partitions.mode,
            type_text: match meta {
                Some(meta) => type_text(meta, kind),
                None if stream.is_raw => "opaque: bytes of the user's function".to_owned(),
                None => "not described".to_owned(),
            },
            role: if stream.is_raw { None } else { Role::of(&partitions.name, meta) },
            elements: Some(partitions.offsets.len() as u64),
            bytes: bytes.fold(0, u64::saturating_add),
            shown: Vec::new(),
            not_read: 0,
            damaged: 0,
            fingerprint: None,
            bytes_hash: None,
            not_decoded: 0,
            raw_splits: Vec::new(),
            splits: Vec::new(),
            writers: Vec::new(),
            uncommitted: Vec::new(),
            sink: None,
        };
        if stream.bytes.is_none() {
            state.not_read = partitions.offsets.len() as u64;
            if partitions.mode == DistributionMode::Broadcast {
                state.elements = None;
            }
            return state;
        }
        let mut errors = Vec::new();
        if partitions.mode == DistributionMode::Broadcast {
            self.broadcast(partitions, meta, &mut state, &mut errors);
        } else {
            self.list(partitions, meta, &mut state, &mut errors);
        }
        self.tell(&state, errors, findings);
        state
    }

    fn part(&self, offset: i64) -> FormatResult<Option<OperatorStatePart<'_>>> {
        self.parts.part(offset, usize::try_from(self.question.memory).unwrap_or(usize::MAX))
    }

    fn list(
        &self,
        partitions: &OperatorStatePartitions,
        meta: Option<&StateMetaInfo>,
        state: &mut StateDigest,
        errors: &mut Vec<FormatError>,
    ) {
        let decoder = meta
            .and_then(StateMetaInfo::value_serializer)
            .map(|serializer| ValueDecoder::compile(serializer, self.kryo));
        for (index, &offset) in partitions.offsets.iter().enumerate() {
            // Of what is not shown, it is enough to know how much there is.
            if state.role.is_none() && index >= self.question.limit {
                break;
            }
            let part = match self.part(offset) {
                Ok(Some(part)) => part,
                Ok(None) => {
                    state.not_read += 1;
                    continue;
                }
                Err(error) => {
                    state.damaged += 1;
                    errors.push(error);
                    continue;
                }
            };
            let result = match state.role {
                None => {
                    self.shown(index, &part, decoder.as_ref(), state, errors);
                    Ok(())
                }
                Some(Role::Reader) => self.split(&part).map(|split| state.raw_splits.push(split)),
                Some(role @ (Role::KafkaConsumer | Role::KinesisConsumer)) => {
                    let split = legacy::split(role, &part, meta, self.kryo, self.stream.subtask);
                    split.map(|split| state.splits.push(split))
                }
                Some(role) => {
                    let decoder = decoder.as_ref();
                    let mut sink =
                        sinks::SinkReading { subtask: self.stream.subtask, question: self.question, state };
                    sink.element(role, &part, meta, decoder)
                }
            };
            if let Err(error) = result {
                state.damaged += 1;
                errors.push(error);
            }
        }
    }

    fn shown(
        &self,
        index: usize,
        part: &OperatorStatePart<'_>,
        decoder: Option<&ValueDecoder>,
        state: &mut StateDigest,
        errors: &mut Vec<FormatError>,
    ) {
        let mut json = Vec::new();
        let limits = self.question.json();
        let opaque = match decoder {
            Some(decoder) => {
                let decoded = decoder.write_json(&part.bytes, &mut json, limits);
                bad(decoded, part.offset, errors, &mut state.damaged);
                decoded.opaque > 0
            }
            None => {
                opaque(&part.bytes, &mut json, limits);
                true
            }
        };
        let (subtask, index) = (self.stream.subtask, index as u64);
        state.shown.push(Element { subtask, index, key: None, value: raw(json), is_opaque: opaque });
    }

    fn split(&self, part: &OperatorStatePart<'_>) -> FormatResult<RawSplit> {
        let split = simple_list_element(part)?;
        Ok(RawSplit {
            subtask: self.stream.subtask,
            version: split.version,
            bytes: split.bytes.to_vec(),
            offset: split.offset,
            file: self.stream.name.clone(),
        })
    }

    fn broadcast(
        &self,
        partitions: &OperatorStatePartitions,
        meta: Option<&StateMetaInfo>,
        state: &mut StateDigest,
        errors: &mut Vec<FormatError>,
    ) {
        state.elements = None;
        let Some(&offset) = partitions.offsets.first() else { return };
        let part = match self.part(offset) {
            Ok(Some(part)) => part,
            Ok(None) => {
                state.not_read = 1;
                return;
            }
            Err(error) => {
                state.damaged = 1;
                errors.push(error);
                return;
            }
        };
        let mut entries = match BroadcastEntries::new(&part) {
            Ok(entries) => entries,
            Err(error) => {
                state.damaged = 1;
                errors.push(error);
                return;
            }
        };
        let count = entries.left();
        state.elements = Some(count);
        let mut hasher = DefaultHasher::new();
        part.bytes.hash(&mut hasher);
        state.bytes_hash = Some(hasher.finish());
        let described = meta.filter(|meta| meta.kind == StateKind::Broadcast);
        let compile = |key: &SerializerKey| {
            let serializer = described.and_then(|meta| meta.serializer(key));
            serializer.map(|serializer| ValueDecoder::compile(serializer, self.kryo))
        };
        let (Some(key), Some(value)) = (compile(&SerializerKey::Key), compile(&SerializerKey::Value)) else {
            state.not_decoded = count;
            return;
        };
        let limits = self.question.json();
        let mut fingerprint = 0u64;
        let mut whole = true;
        for index in 0..count {
            let (mut of_key, mut of_value) = (Vec::new(), Vec::new());
            let offset = entries.rest().1;
            let (mut key_sink, mut value_sink) =
                (JsonSink::new(&mut of_key, limits), JsonSink::new(&mut of_value, limits));
            let Some((decoded, decoded_value)) = entries.next((&key, &value), &mut key_sink, &mut value_sink)
            else {
                break;
            };
            key_sink.finish();
            value_sink.finish();
            let mut hasher = DefaultHasher::new();
            (&of_key, &of_value).hash(&mut hasher);
            fingerprint = fingerprint.wrapping_add(hasher.finish());
            let mut parts = [Some(decoded), decoded_value].into_iter().flatten();
            let opaque = parts.clone().map(|decoded| decoded.opaque).sum::<usize>() > 0;
            whole &= parts.all(|decoded| matches!(decoded.walked, Walked::End(_)));
            for decoded in [Some(decoded), decoded_value].into_iter().flatten() {
                bad(decoded, offset, errors, &mut state.damaged);
            }
            if (index as usize) < self.question.limit {
                let (subtask, key, value) = (self.stream.subtask, raw(of_key), raw(of_value));
                state.shown.push(Element { subtask, index, key, value, is_opaque: opaque });
            }
            if !whole {
                state.not_decoded = count - index - 1;
                break;
            }
        }
        let rest = entries.rest();
        if whole && !rest.0.is_empty() {
            let cursor = Cursor::at(rest.0, rest.1);
            errors.extend(cursor.finish().err());
            state.damaged += 1;
        }
        state.fingerprint = whole.then_some(fingerprint);
    }

    /// What is damaged, and what was left out.
    fn tell(&self, state: &StateDigest, errors: Vec<FormatError>, findings: &mut Vec<Finding>) {
        let stream = self.stream;
        let of =
            |finding: Finding| finding.in_file(&stream.name).of(self.owner).about(About::File(stream.file));
        let remedy = "if the file was copied, copy it again; what else the state holds is shown, as far as it can be read";
        let more = errors.len().saturating_sub(TOLD);
        for error in errors.into_iter().take(TOLD) {
            let message = format!("an element of operator state {:?} cannot be decoded: {error}", state.name);
            let finding =
                of(Finding::error("operator_element_not_decoded", message, remedy)).at(error.offset());
            findings.push(finding.meaning(Effect::Unknown));
        }
        if more > 0 {
            let message =
                format!("{more} more elements of operator state {:?} cannot be decoded", state.name);
            findings.push(of(Finding::error("operator_element_not_decoded", message, remedy)));
        }
        if state.not_read > 0 {
            let message = format!(
                "of operator state {:?}, {} parts lie behind the first {} bytes of a stream of {} and were not read",
                state.name, state.not_read, self.question.memory, stream.size
            );
            let remedy = "give --memory more than the stream has";
            findings.push(
                of(Finding::error("operator_state_not_read", message, remedy)).meaning(Effect::Harmless),
            );
        }
    }
}

/// An element of a list of bytes in which a versioned object stands (`SimpleVersionedListState`).
pub(super) fn simple_list_element<'a>(part: &'a OperatorStatePart<'_>) -> FormatResult<Versioned<'a>> {
    let mut cursor = Cursor::at(&part.bytes, part.offset);
    let bytes = cursor.bytes32("an element's bytes")?;
    cursor.finish()?;
    Versioned::whole(bytes, part.offset.saturating_add(4))
}

/// Takes note of bytes that contradict their serializer.
fn bad(decoded: Decoded, offset: u64, errors: &mut Vec<FormatError>, damaged: &mut u64) {
    if let Walked::Bad(bad) = decoded.walked {
        *damaged += 1;
        errors.push(FormatError::invalid(bad.rule, "other bytes", offset.saturating_add(bad.at as u64)));
    }
}

/// Bytes of which nothing is known, as JSON.
pub(super) fn opaque(bytes: &[u8], json: &mut Vec<u8>, limits: JsonLimits) {
    let mut sink = JsonSink::new(json, limits);
    sink.opaque(&Opaque { bytes, class: None, why: OpaqueReason::Stop(StopKind::UnknownClass) });
    sink.finish();
}

/// JSON that was written before.
pub(super) fn raw(json: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}

/// Bytes as hex, as many as are asked for.
pub(super) fn hex(bytes: &[u8], most: usize) -> Option<String> {
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    let hex = |bytes: &[u8]| bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect();
    (most > 0).then(|| hex(bytes.get(..most).unwrap_or(bytes)))
}

/// Bytes that nobody who is known wrote.
pub(super) fn not_known(bytes: Versioned<'_>, question: &Question) -> super::types::Opaque {
    super::types::Opaque {
        serializer_version: Some(bytes.version),
        bytes: bytes.bytes.len() as u64,
        hex: hex(bytes.bytes, question.opaque),
        error: None,
    }
}
