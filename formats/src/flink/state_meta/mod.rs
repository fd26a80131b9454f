//! The "state meta" of a backend: which states it holds and how they are serialized.
//!
//! It stands alone in the `meta` stream of an incremental checkpoint, and at the start of every full
//! stream and every operator-state stream.
//!
//! ```text
//! keyed      i32 6 | bool compressed | proxy key serializer | i16 n | n * state
//! operator   i32 6 | bool compressed | i16 n | n * state (lists) | i16 m | m * state (broadcast)
//! state      utf name | i32 kind | i32 n | n * { utf option, utf value }
//!            | i32 n | n * { utf serializer key, proxy serializer }
//! ```
//!
//! Sources: `KeyedBackendSerializationProxy` (versions 1 to 6), `OperatorBackendSerializationProxy`
//! (1 to 6), `StateMetaInfoSnapshotReadersWriters` and `LegacyStateMetaInfoReaders` (1 to 7) of
//! flink-runtime 1.13 to 2.3.
//!
//! **Recovery.** Serializer snapshots have no length. Behind one whose class is not known, the reader
//! looks for the next thing it can recognize (the next serializer key, the next state, the end), takes
//! the first place from which everything else decodes, and reports what it skipped.

mod legacy;
mod read;
mod recover;
mod timers;

pub(in crate::flink) use timers::timer_service_head;
pub use timers::{TimerService, TimerServices, Timers};

use super::metadata::DistributionMode;
use super::serializer::{Edge, Kind, KryoPath, OpaquePath, SerializerSnapshot};
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};

/// What is known of where the meta data ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ends with the bytes (the `meta` stream of an incremental handle).
    Eof,
    /// The data, or the stream identifier of compressed data, starts at this absolute offset: the
    /// smallest one that the handle names.
    DataAt(u64),
    /// Not known.
    Unknown,
}

/// Meta data of a keyed backend.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedBackendMeta {
    /// Version of `KeyedBackendSerializationProxy`.
    pub version: i32,
    /// Whether key groups of a full stream are compressed.
    pub compressed: bool,
    /// The serializer of keys.
    pub key_serializer: SerializerSnapshot,
    /// The states; in a full stream, a state's id is its position here.
    pub states: Vec<StateMetaInfo>,
    /// What could not be decoded.
    pub skipped: Vec<Skipped>,
    /// Absolute offset of the first byte behind; `None` if it could not be found.
    pub end: Option<u64>,
    /// Why reading ended early: then states are missing. Those that were read before are kept.
    pub error: Option<Error>,
}

/// Meta data of an operator-state backend.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorBackendMeta {
    /// Version of `OperatorBackendSerializationProxy`.
    pub version: i32,
    /// Whether the data is compressed.
    pub compressed: bool,
    /// List states, split or union.
    pub states: Vec<StateMetaInfo>,
    /// Broadcast states.
    pub broadcast_states: Vec<StateMetaInfo>,
    /// What could not be decoded.
    pub skipped: Vec<Skipped>,
    /// Absolute offset of the first byte behind; `None` if it could not be found.
    pub end: Option<u64>,
    /// Why reading ended early: then states are missing. Those that were read before are kept.
    pub error: Option<Error>,
}

/// A state.
#[derive(Debug, Clone, PartialEq)]
pub struct StateMetaInfo {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: StateKind,
    /// How operator state is redistributed.
    pub distribution_mode: Option<DistributionMode>,
    /// Options as they stand in the file.
    pub options: Vec<(String, String)>,
    /// Serializers in the order of the file.
    pub serializers: Vec<(SerializerKey, SerializerSnapshot)>,
    /// Absolute offset.
    pub offset: u64,
    /// Length in bytes; `None` if its end could not be found.
    pub length: Option<u64>,
}

/// What a state is (`StateMetaInfoSnapshot.BackendStateType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Keyed state.
    KeyValue(KeyedStateType),
    /// Keyed state of the asynchronous state API (since 2.0).
    KeyValueV2(KeyedStateType),
    /// A list of operator state.
    Operator,
    /// Broadcast state.
    Broadcast,
    /// Timers.
    PriorityQueue,
}

/// The type of a keyed state (`StateDescriptor.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyedStateType {
    /// `ValueState`.
    Value,
    /// `ListState`.
    List,
    /// `MapState`.
    Map,
    /// `ReducingState`.
    Reducing,
    /// `AggregatingState`.
    Aggregating,
    /// `FoldingState`.
    Folding,
    /// None given, or one that is not known; see the options.
    Unknown,
}

/// What a serializer of a state is for (`StateMetaInfoSnapshot.CommonSerializerKeys`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SerializerKey {
    /// `KEY_SERIALIZER`: keys of a broadcast state.
    Key,
    /// `NAMESPACE_SERIALIZER`.
    Namespace,
    /// `VALUE_SERIALIZER`.
    Value,
    /// `USER_KEY_SERIALIZER`: map keys of the asynchronous state API.
    UserKey,
    /// Another one.
    Other(String),
}

/// Bytes that could not be decoded and were stepped over.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped {
    /// Absolute offset of the snapshot whose end was not known.
    pub offset: u64,
    /// Bytes stepped over; `None` if no way back was found.
    pub length: Option<u64>,
    /// The snapshot class; empty if not even that could be read.
    pub class: String,
    /// The state; `None` for the key serializer of a keyed backend.
    pub state: Option<String>,
    /// The serializer of that state.
    pub serializer: Option<SerializerKey>,
    /// Why a known class could not be decoded; `None` for a class that is not known.
    pub error: Option<Error>,
}

impl KeyedBackendMeta {
    /// Parses the meta data; the cursor ends behind it. With [`End::Eof`], nothing may follow.
    ///
    /// # Errors
    /// Whatever is wrong outside of serializer snapshots, and inside of one where the bytes end.
    pub fn parse(cursor: &mut Cursor<'_>, end: End) -> Result<Self> {
        read::keyed(cursor, end).field("keyed_backend_meta")
    }

    /// What would be that of a backend of which only changes are known; they do not say what keys are.
    #[must_use]
    pub fn of_changes(key: Option<SerializerSnapshot>, states: Vec<StateMetaInfo>) -> Self {
        Self {
            version: 6,
            compressed: false,
            key_serializer: key.unwrap_or_else(|| legacy::missing(0)),
            states,
            skipped: Vec::new(),
            end: None,
            error: None,
        }
    }
}

impl OperatorBackendMeta {
    /// Parses the meta data; the cursor ends behind it.
    ///
    /// # Errors
    /// Whatever is wrong outside of serializer snapshots, and inside of one where the bytes end.
    pub fn parse(cursor: &mut Cursor<'_>, end: End) -> Result<Self> {
        read::operator(cursor, end).field("operator_backend_meta")
    }

    /// A state by its name: list or broadcast, which share one space of names.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&StateMetaInfo> {
        self.states.iter().chain(&self.broadcast_states).find(|state| state.name == name)
    }
}

impl StateMetaInfo {
    /// Parses one state as changelogs hold it: `meta_version` is that of the state meta info (5 to 7).
    ///
    /// # Errors
    /// Any, and a serializer snapshot that is not known: nothing says where it ends.
    pub fn parse(cursor: &mut Cursor<'_>, meta_version: i32) -> Result<Self> {
        match meta_version {
            6 | 7 => read::single_state(cursor),
            5 => legacy::state_v5(cursor),
            found => Err(legacy::unknown_version("state meta info", found, "5 to 7", cursor.offset())),
        }
    }

    /// Timers, which other backends keep as a state of this name, by the serializer of theirs.
    pub(in crate::flink) fn timers(name: String, serializer: SerializerSnapshot) -> Self {
        Self {
            name,
            kind: StateKind::PriorityQueue,
            distribution_mode: None,
            options: Vec::new(),
            offset: serializer.offset,
            length: None,
            serializers: vec![(SerializerKey::Value, serializer)],
        }
    }

    /// The serializer with this key.
    #[must_use]
    pub fn serializer(&self, key: &SerializerKey) -> Option<&SerializerSnapshot> {
        self.serializers.iter().find(|(k, _)| k == key).map(|(_, snapshot)| snapshot)
    }

    /// The serializer of values; of timers, for timers.
    #[must_use]
    pub fn value_serializer(&self) -> Option<&SerializerSnapshot> {
        self.serializer(&SerializerKey::Value)
    }

    /// The serializer of namespaces.
    #[must_use]
    pub fn namespace_serializer(&self) -> Option<&SerializerSnapshot> {
        self.serializer(&SerializerKey::Namespace)
    }

    /// The serializer of a map's keys, for both APIs.
    #[must_use]
    pub fn user_key_serializer(&self) -> Option<&SerializerSnapshot> {
        self.serializer(&SerializerKey::UserKey).or_else(|| {
            let value = self.value_serializer()?;
            let is_map = matches!(self.kind, StateKind::KeyValue(KeyedStateType::Map));
            if is_map && value.kind == Kind::Map { value.part(&Edge::Key) } else { None }
        })
    }

    /// Whether the state has a time-to-live; `None` where its value serializer could not be decoded.
    #[must_use]
    pub fn has_ttl(&self) -> Option<bool> {
        let value = self.value_serializer()?;
        if value.has_ttl() {
            return Some(true);
        }
        if value.is_opaque() || value.kind == Kind::JavaSerialized { None } else { Some(false) }
    }

    /// Where values pass through Kryo; the first part of a path is `key`, `namespace`, `value` or
    /// `user_key`.
    #[must_use]
    pub fn kryo_paths(&self) -> Vec<KryoPath> {
        let mut found = Vec::new();
        for (key, snapshot) in &self.serializers {
            for mut kryo in snapshot.kryo_paths() {
                kryo.path = key.prefix(&kryo.path);
                found.push(kryo);
            }
        }
        found
    }

    /// What could not be decoded, with paths as in [`StateMetaInfo::kryo_paths`].
    #[must_use]
    pub fn opaque_paths(&self) -> Vec<OpaquePath> {
        let mut found = Vec::new();
        for (key, snapshot) in &self.serializers {
            for mut opaque in snapshot.opaque_paths() {
                opaque.path = key.prefix(&opaque.path);
                found.push(opaque);
            }
        }
        found
    }
}

impl SerializerKey {
    fn new(text: &str) -> Self {
        match text {
            "KEY_SERIALIZER" => Self::Key,
            "NAMESPACE_SERIALIZER" => Self::Namespace,
            "VALUE_SERIALIZER" => Self::Value,
            "USER_KEY_SERIALIZER" => Self::UserKey,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// A short readable name.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Key => "key",
            Self::Namespace => "namespace",
            Self::Value => "value",
            Self::UserKey => "user_key",
            Self::Other(name) => name,
        }
    }

    fn prefix(&self, path: &str) -> String {
        if path.is_empty() { self.label().to_owned() } else { format!("{}.{path}", self.label()) }
    }
}

impl StateKind {
    /// The type of a keyed state.
    #[must_use]
    pub fn keyed(self) -> Option<KeyedStateType> {
        match self {
            Self::KeyValue(keyed) | Self::KeyValueV2(keyed) => Some(keyed),
            Self::Operator | Self::Broadcast | Self::PriorityQueue => None,
        }
    }
}

impl KeyedStateType {
    fn new(text: &str) -> Self {
        match text {
            "VALUE" => Self::Value,
            "LIST" => Self::List,
            "MAP" => Self::Map,
            "REDUCING" => Self::Reducing,
            "AGGREGATING" => Self::Aggregating,
            "FOLDING" => Self::Folding,
            _ => Self::Unknown,
        }
    }
}

/// The mode by the name that the option `OPERATOR_STATE_DISTRIBUTION_MODE` holds.
fn distribution_mode(text: &str) -> Option<DistributionMode> {
    match text {
        "SPLIT_DISTRIBUTE" => Some(DistributionMode::SplitDistribute),
        "UNION" => Some(DistributionMode::Union),
        "BROADCAST" => Some(DistributionMode::Broadcast),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
