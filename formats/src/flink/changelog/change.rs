//! One change.

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::flink::state_meta::StateMetaInfo;

/// What a change does (`StateChangeOperation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Removes a value, a list or a map.
    Clear,
    /// Sets a value or a list.
    Set,
    /// Sets what a state holds, such as the accumulator of an aggregate.
    SetInternal,
    /// Adds to a list or a map.
    Add,
    /// Merges namespaces into another.
    MergeNamespaces,
    /// Adds an element to a list, or timers.
    AddElement,
    /// Puts an entry into a map.
    AddOrUpdateElement,
    /// Removes an entry from a map, or a timer.
    RemoveElement,
    /// Describes a state.
    Metadata,
}

impl Operation {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Clear,
        Self::Set,
        Self::SetInternal,
        Self::Add,
        Self::MergeNamespaces,
        Self::AddElement,
        Self::AddOrUpdateElement,
        Self::RemoveElement,
        Self::Metadata,
    ];

    fn of_code(code: u8, at: u64) -> Result<Self> {
        Self::ALL.get(usize::from(code)).copied().ok_or_else(|| {
            Error::new(ErrorKind::UnknownTag { what: "operation of a change", found: code.into() }, at)
        })
    }

    /// Flink's name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Set => "set",
            Self::SetInternal => "set_internal",
            Self::Add => "add",
            Self::MergeNamespaces => "merge_ns",
            Self::AddElement => "add_element",
            Self::AddOrUpdateElement => "add_or_update_element",
            Self::RemoveElement => "remove_element",
            Self::Metadata => "metadata",
        }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<'a> {
    /// What a state is.
    Metadata(Box<LoggedState>),
    /// A change of a state.
    Data(DataChange<'a>),
}

/// A change of a state's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataChange<'a> {
    /// What it does.
    pub operation: Operation,
    /// The number of the state, as meta data before it gives it.
    pub state: u16,
    /// Key and namespace, unless the state is timers, and what the operation takes.
    pub payload: &'a [u8],
    /// Offset of the payload.
    pub at: u64,
}

/// A state as changes describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedState {
    /// The number that changes name it by.
    pub id: u16,
    /// The state's name.
    pub name: String,
    /// What it is; an error where a serializer snapshot is not known, since nothing says where that ends.
    pub meta: Result<StateMetaInfo>,
}

/// Codes of `StateMetaInfoSnapshot.BackendStateType`, which stand at the end of meta data.
const KEY_VALUE: u8 = 0;
const PRIORITY_QUEUE: u8 = 3;

/// Bytes of a state's number and of the code of its kind.
const TAIL: usize = 3;

impl<'a> Change<'a> {
    /// Parses a change whose first byte has the offset `at`.
    ///
    /// # Errors
    /// An operation or a kind of state that is not known, an end too early.
    pub fn parse(bytes: &'a [u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::at(bytes, at);
        let operation = Operation::of_code(cursor.u8().field("operation")?, at)?;
        if operation == Operation::Metadata {
            return LoggedState::parse(cursor).map(|state| Self::Metadata(Box::new(state))).field("metadata");
        }
        let state = cursor.u16().field("state")?;
        Ok(Self::Data(DataChange { operation, state, payload: cursor.rest(), at: cursor.offset() }))
    }
}

impl LoggedState {
    /// What stands between the description and the number of the state is not read: a TTL and a default value, as
    /// the descriptor of the state had them. Nothing else does, and the number ends the change.
    fn parse(mut cursor: Cursor<'_>) -> Result<Self> {
        let version = cursor.i32().field("version")?;
        let mut body = cursor.sub(cursor.remaining().saturating_sub(TAIL))?;
        let name = body.clone().utf().field("name")?.into_owned();
        let meta = StateMetaInfo::parse(&mut body, version);
        let id = cursor.u16().field("state")?;
        let at = cursor.offset();
        match cursor.u8().field("kind")? {
            KEY_VALUE | PRIORITY_QUEUE => Ok(Self { id, name, meta }),
            found => {
                let kind =
                    ErrorKind::UnknownTag { what: "kind of a state in a changelog", found: found.into() };
                Err(Error::new(kind, at))
            }
        }
    }
}
