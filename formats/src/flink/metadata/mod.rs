//! The `_metadata` file of a checkpoint or savepoint, in every version that Flink writes.
//!
//! ```text
//! i32 magic 0x4960672D
//! i32 version
//! i64 checkpoint id
//! i32 n, n × master state { i32 0xC96B1696, i32 length, { i32 version, utf name, bytes32 payload } }
//! i32 n, n × operator state
//!     utf name, utf uid                   version ≥ 5 ("" = absent)
//!     16 bytes id, i32 parallelism, i32 max parallelism
//!     i32 chain length                    version 2
//!     coordinator state (stream handle)   version ≥ 3
//!     i32 n                               n = -1 (version ≥ 3): the operator has finished
//!     n × { i32 index, subtask state }    index < 0 (version ≥ 3): subtask -index-1 has finished
//! checkpoint properties                   version ≥ 4, Java serialized, to the end of the file
//! ```
//!
//! Integers are big-endian. Handle tags do not follow the file's version: every tag is accepted in
//! every version. Specified by Flink's `Checkpoints`, `MetadataV2Serializer` to
//! `MetadataV7Serializer`, `MetadataV2V3SerializerBase` and `ChannelStateHandleSerializer`.

mod decode;
mod handle;
mod properties;
mod tally;

use std::ops::Range;

pub use self::handle::*;
pub use self::properties::{CheckpointProperties, PropertiesKind};
pub use self::tally::Tally;

use self::decode::Decoder;
use super::operator_id::OperatorId;
use crate::cursor::{Cursor, Limits};
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// The first four bytes of every `_metadata` file.
pub const MAGIC: u32 = 0x4960_672d;

const MASTER_STATE_MAGIC: u32 = 0xc96b_1696;
const KNOWN_VERSIONS: &str = "2 to 7";

/// What a `_metadata` file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// The format's version: 2 to 7.
    pub version: i32,
    /// The id of the checkpoint; savepoints count in the same sequence.
    pub checkpoint_id: i64,
    /// State of master hooks.
    pub master_states: Vec<MasterState<'a>>,
    /// The operators, in the order of the file (which is arbitrary).
    pub operators: Vec<OperatorState<'a>>,
    /// The Java-serialized `CheckpointProperties` (version ≥ 4), with where they begin.
    pub properties: Option<(u64, &'a [u8])>,
    /// What the bytes are spent on.
    pub tally: Tally,
}

/// State of a master hook (`MasterState`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterState<'a> {
    /// The version of the hook's serializer.
    pub version: i32,
    /// The hook's name.
    pub name: Text<'a>,
    /// The hook's bytes.
    pub payload: &'a [u8],
}

/// The state of one operator (`OperatorState`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorState<'a> {
    /// The name (version ≥ 5, where set).
    pub name: Option<Text<'a>>,
    /// The uid (version ≥ 5, where set).
    pub uid: Option<Text<'a>>,
    /// The id.
    pub id: OperatorId,
    /// The parallelism.
    pub parallelism: i32,
    /// The number of key groups.
    pub max_parallelism: i32,
    /// State of the operator's coordinator.
    pub coordinator: Option<StreamHandle<'a>>,
    /// Whether the whole operator had finished.
    pub fully_finished: bool,
    /// The subtasks, in the order of the file (which is arbitrary).
    pub subtasks: Vec<SubtaskState<'a>>,
    /// Where the operator lies in the file.
    pub extent: Range<u64>,
}

/// The state of one subtask (`OperatorSubtaskState`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubtaskState<'a> {
    /// The index of the subtask.
    pub index: u32,
    /// Whether the subtask had finished.
    pub finished: bool,
    /// Managed operator state.
    pub managed_operator: Option<Box<OperatorStateHandle<'a>>>,
    /// Raw operator state.
    pub raw_operator: Option<Box<OperatorStateHandle<'a>>>,
    /// Managed keyed state.
    pub managed_keyed: Option<Box<KeyedHandle<'a>>>,
    /// Raw keyed state.
    pub raw_keyed: Option<Box<KeyedHandle<'a>>>,
    /// In-flight data of input channels.
    pub input_channels: Vec<ChannelHandle<'a>>,
    /// In-flight data of result subpartitions.
    pub result_subpartitions: Vec<ChannelHandle<'a>>,
    /// The checkpoint that this subtask's state comes from (version 7).
    pub reference_checkpoint_id: Option<i64>,
}

impl<'a> Metadata<'a> {
    /// Decodes a whole `_metadata` file.
    ///
    /// # Errors
    /// Whatever rule of the format is broken first.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        match Self::decode_partial(bytes, Limits::default())? {
            (metadata, None) => Ok(metadata),
            (_, Some(error)) => Err(error),
        }
    }

    /// Decodes as much of a `_metadata` file as can be decoded: operators that were read before an
    /// error are kept, and the error stands beside them.
    ///
    /// # Errors
    /// What makes the file no checkpoint at all: a wrong magic number, an unknown version, a broken header.
    pub fn decode_partial(bytes: &'a [u8], limits: Limits) -> Result<(Self, Option<Error>)> {
        let mut cursor = Cursor::new(bytes).with_limits(limits);
        let magic = cursor.u32().field("magic")?;
        if magic != MAGIC {
            let rule = "a _metadata file begins with the magic number 0x4960672d";
            return Err(Error::invalid(rule, format!("{magic:#010x}"), 0));
        }
        let version = cursor.i32().field("version")?;
        if !(2..=7).contains(&version) {
            let kind =
                ErrorKind::UnknownVersion { what: "_metadata", found: version.into(), known: KNOWN_VERSIONS };
            return Err(Error::new(kind, 4).within(crate::error::PathSegment::Field("version")));
        }
        let offset = cursor.offset();
        let checkpoint_id = cursor.i64().field("checkpoint_id")?;
        if checkpoint_id < 0 {
            return Err(Error::invalid("a checkpoint id is not negative", checkpoint_id.to_string(), offset));
        }
        let mut metadata = Metadata {
            version,
            checkpoint_id,
            master_states: Vec::new(),
            operators: Vec::new(),
            properties: None,
            tally: Tally::default(),
        };
        let mut decoder = Decoder { cursor, version, tally: Tally::default() };
        let error = metadata.body(&mut decoder).err();
        metadata.tally = decoder.tally;
        let consumed = (bytes.len() - decoder.cursor.remaining()) as u64;
        metadata.tally.structure = consumed.saturating_sub(metadata.tally.total());
        Ok((metadata, error))
    }

    fn body(&mut self, decoder: &mut Decoder<'a>) -> Result<()> {
        let count = decoder.cursor.count32("master states", 18).field("master_states")?;
        for i in 0..count {
            let state = decoder.booked(|t| &mut t.master_state, master_state);
            self.master_states.push(state.index("master_states", i)?);
        }
        let count = decoder.cursor.count32("operator states", 28).field("operators")?;
        for i in 0..count {
            self.operators.push(operator(decoder).index("operators", i)?);
        }
        if self.version >= 4 {
            let offset = decoder.cursor.offset();
            let rest = decoder.cursor.remaining();
            self.properties = Some((offset, decoder.booked(|t| &mut t.properties, |c| c.take(rest))?));
            Ok(())
        } else {
            decoder.cursor.finish()
        }
    }
}

fn master_state<'a>(cursor: &mut Cursor<'a>) -> Result<MasterState<'a>> {
    let offset = cursor.offset();
    let magic = cursor.u32().field("magic")?;
    if magic != MASTER_STATE_MAGIC {
        let rule = "a master state begins with the magic number 0xc96b1696";
        return Err(Error::invalid(rule, format!("{magic:#010x}"), offset));
    }
    let length = cursor.length32("master state")?;
    let mut inner = cursor.sub(length)?;
    let state = MasterState {
        version: inner.i32().field("version")?,
        name: inner.utf().field("name")?,
        payload: inner.bytes32("payload")?,
    };
    inner.finish()?;
    Ok(state)
}

fn operator<'a>(decoder: &mut Decoder<'a>) -> Result<OperatorState<'a>> {
    let start = decoder.cursor.offset();
    let (name, uid) = if decoder.version >= 5 {
        let name = decoder.cursor.utf().field("name")?;
        let uid = decoder.cursor.utf().field("uid")?;
        (Some(name).filter(|s| !s.is_empty()), Some(uid).filter(|s| !s.is_empty()))
    } else {
        (None, None)
    };
    let id = <[u8; 16]>::try_from(decoder.cursor.take(16).field("id")?)
        .map(OperatorId)
        .unwrap_or(OperatorId([0; 16]));
    let mut operator = OperatorState {
        name,
        uid,
        id,
        parallelism: 0,
        max_parallelism: 0,
        coordinator: None,
        fully_finished: false,
        subtasks: Vec::new(),
        extent: start..start,
    };
    operator_body(decoder, &mut operator).named("operator", || id.to_string())?;
    operator.extent.end = decoder.cursor.offset();
    Ok(operator)
}

fn operator_body<'a>(decoder: &mut Decoder<'a>, operator: &mut OperatorState<'a>) -> Result<()> {
    operator.parallelism = decoder.cursor.i32().field("parallelism")?;
    operator.max_parallelism = decoder.cursor.i32().field("max_parallelism")?;
    if decoder.version == 2 {
        decoder.cursor.i32().field("chain_length")?;
    } else {
        let offset = decoder.cursor.offset();
        let inlined = decoder.tally.inlined_state;
        operator.coordinator = decoder.stream().field("coordinator")?;
        let data = decoder.tally.inlined_state - inlined;
        decoder.tally.inlined_state = inlined;
        decoder.tally.coordinator_state = decoder.tally.coordinator_state.saturating_add(data);
        if !matches!(operator.coordinator, None | Some(StreamHandle::ByteStream { .. })) {
            return Err(Error::invalid("coordinator state lies inside _metadata", "a file handle", offset));
        }
    }
    let offset = decoder.cursor.offset();
    let count = decoder.cursor.i32().field("subtasks")?;
    if count < 0 && decoder.version >= 3 {
        operator.fully_finished = true;
        return Ok(());
    }
    let count = decoder.cursor.check_count("subtask states", count.into(), 4, offset)?;
    for i in 0..count {
        operator.subtasks.push(subtask(decoder).index("subtasks", i)?);
    }
    Ok(())
}

fn subtask<'a>(decoder: &mut Decoder<'a>) -> Result<SubtaskState<'a>> {
    let offset = decoder.cursor.offset();
    let recorded = decoder.cursor.i32().field("index")?;
    let mut state = SubtaskState::default();
    if let Ok(index) = u32::try_from(recorded) {
        state.index = index;
    } else if decoder.version >= 3 {
        // Flink writes -index-1, which is the bitwise complement.
        state.index = (!recorded).cast_unsigned();
        state.finished = true;
        return Ok(state);
    } else {
        return Err(Error::invalid("a subtask index is not negative", recorded.to_string(), offset));
    }
    if decoder.version == 2 {
        decoder.cursor.i64().field("duration")?;
        let offset = decoder.cursor.offset();
        let legacy = decoder.cursor.i32().field("legacy_states")?;
        if legacy != 0 {
            let what = format!("{legacy} non-partitioned operator states of Flink 1.1 or older");
            return Err(Error::new(ErrorKind::Unsupported { what }, offset));
        }
    }
    if decoder.cursor.i32().field("has_managed_operator_state")? != 0 {
        state.managed_operator = decoder.operator_state().field("managed_operator")?.map(Box::new);
    }
    if decoder.cursor.i32().field("has_raw_operator_state")? != 0 {
        state.raw_operator = decoder.operator_state().field("raw_operator")?.map(Box::new);
    }
    state.managed_keyed = decoder.keyed().field("managed_keyed")?.map(Box::new);
    state.raw_keyed = decoder.keyed().field("raw_keyed")?.map(Box::new);
    if decoder.version >= 3 {
        state.input_channels = decoder.channels().field("input_channels")?;
        state.result_subpartitions = decoder.channels().field("result_subpartitions")?;
    }
    if decoder.version >= 7 && decoder.cursor.bool().field("has_reference_checkpoint")? {
        state.reference_checkpoint_id = Some(decoder.cursor.i64().field("reference_checkpoint_id")?);
    }
    Ok(state)
}

#[cfg(test)]
mod tests;
