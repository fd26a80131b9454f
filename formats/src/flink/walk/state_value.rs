//! Values of keyed state as RocksDB holds them: what is an entry in them, and where TTL timestamps stand.
//!
//! ```text
//! VALUE, REDUCING, AGGREGATING   [i64 timestamp] value
//! LIST                           element │ n × { delimiter, element }         element: [i64 timestamp] value
//! MAP                            bool null │ [i64 timestamp] value; of null, nothing (to 1.19: what is written for null)
//! timers                         nothing
//! ```
//!
//! The timestamp is the time of the last access in ms since 1970, and there where the serializer is a `TtlSerializer`.
//! Lists are what RocksDB's merge operator makes of appends: elements joined by its delimiter.
//! (`RocksDB{Value,List,Map}State`, `ListDelimitedSerializer`, `TtlStateFactory` of Flink 1.13 to 2.3; ForSt's states of
//! 2.x write the same.)

use byteorder::{BigEndian, ByteOrder};

use super::read::Rule;
use super::{BadValue, Touch, Walked, Walker};
use crate::flink::serializer::{Edge, Kind, SerializerSnapshot};
use crate::flink::state_meta::{KeyedStateType, StateKind, StateMetaInfo};

/// How the values of a state are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateValueLayout {
    shape: Shape,
    /// Of a value, a list's element, a map's value; with its timestamp.
    walker: Walker,
    ttl: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Value,
    List,
    Map,
    Timer,
}

/// What came of going over the entries of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// All were met.
    All {
        /// How many.
        count: u64,
    },
    /// From some element on, nothing can be known.
    NotWalked {
        /// How many were met before it. There is at least one more.
        count: u64,
        /// Offset in the value at which walking stopped.
        at: usize,
        /// Why: an index of [`Walker::stops`] of [`StateValueLayout::walker`].
        stop: usize,
        /// The timestamp of the element that could not be walked.
        timestamp: Option<i64>,
    },
    /// The value contradicts its serializer.
    Bad {
        /// How many were met before.
        count: u64,
        /// Where and how.
        bad: BadValue,
    },
}

const TIMESTAMP: usize = 8;

impl StateValueLayout {
    /// The layout of a keyed state's or timer's values; `None` of operator state, and where the state's type is not
    /// known.
    #[must_use]
    pub fn of_state(state: &StateMetaInfo) -> Option<Self> {
        Self::compile(state.kind, state.value_serializer()?)
    }

    /// As [`StateValueLayout::of_state`], from the state's kind and its `VALUE_SERIALIZER`.
    #[must_use]
    pub fn compile(kind: StateKind, value: &SerializerSnapshot) -> Option<Self> {
        let (shape, inner) = entry_of(kind, value)?;
        Some(Self { shape, walker: Walker::compile(inner), ttl: inner.kind == Kind::Ttl })
    }

    /// The serializer of an entry without its timestamp: of a value, a list's element, a map's value. `None` as
    /// [`StateValueLayout::of_state`].
    #[must_use]
    pub fn entry_serializer(state: &StateMetaInfo) -> Option<&SerializerSnapshot> {
        let (_, inner) = entry_of(state.kind, state.value_serializer()?)?;
        if inner.kind == Kind::Ttl { inner.part(&Edge::Wrapped) } else { Some(inner) }
    }

    /// Steps over a value, a list's element or a map's value, each with its timestamp.
    #[must_use]
    pub fn walker(&self) -> &Walker {
        &self.walker
    }

    /// Whether values have TTL timestamps.
    #[must_use]
    pub fn has_ttl(&self) -> bool {
        self.ttl
    }

    /// Whether it is a list, so that a value has any number of entries. All others have one.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.shape == Shape::List
    }

    /// Where the timestamp stands in every value that has one: there is one in each, but in null values of maps. `None`
    /// without TTL, and for lists, which have one in each element.
    #[must_use]
    pub fn timestamp_offset(&self) -> Option<usize> {
        match self.shape {
            Shape::Value if self.ttl => Some(0),
            Shape::Map if self.ttl => Some(1),
            _ => None,
        }
    }

    /// The timestamp of a value; of a list, that of its first element. `None` without TTL, for a null value of a map,
    /// and where the value is too short to have one.
    #[must_use]
    #[inline]
    pub fn timestamp(&self, value: &[u8]) -> Option<i64> {
        match self.shape {
            _ if !self.ttl => None,
            Shape::Map => value.split_first().filter(|&(&null, _)| null == 0).and_then(|(_, v)| timestamp(v)),
            Shape::Value | Shape::List => timestamp(value),
            Shape::Timer => None,
        }
    }

    /// Whether values pass through Kryo.
    #[must_use]
    pub fn kryo(&self) -> Touch {
        match (self.shape, self.walker.kryo()) {
            (Shape::Timer, _) => Touch::Never,
            // A value of a map may be null.
            (Shape::Map, Touch::Always) => Touch::Maybe,
            (_, touch) => touch,
        }
    }

    /// Calls for each entry of a value, with its timestamp and its bytes, which the timestamp and a map's null flag are
    /// part of. Elements of lists are walked; a value that is one entry is not ([`StateValueLayout::walk`]).
    ///
    /// `delimiter` is that of the merge operator, `,` wherever Flink wrote it. As Flink does, a delimiter at the end is
    /// taken for none.
    #[inline]
    pub fn for_each_element<'a>(
        &self,
        value: &'a [u8],
        delimiter: &[u8],
        mut each: impl FnMut(Option<i64>, &'a [u8]),
    ) -> Elements {
        match self.shape {
            Shape::List => return self.for_each_of_list(value, delimiter, each),
            Shape::Timer => {
                if !value.is_empty() {
                    return bad_at(0, 0, "the value of a timer is empty");
                }
                each(None, value);
            }
            Shape::Map => match value.split_first() {
                Some((0, rest)) => {
                    let timestamp = timestamp(rest).filter(|_| self.ttl);
                    if self.ttl && timestamp.is_none() {
                        return bad_at(0, 1, Rule::TooShort.text());
                    }
                    each(timestamp, value);
                }
                Some((1, null)) if self.is_null(null) => each(None, value),
                _ => return bad_at(0, 0, NULL_FLAG),
            },
            Shape::Value => {
                let timestamp = timestamp(value).filter(|_| self.ttl);
                if self.ttl && timestamp.is_none() {
                    return bad_at(0, 0, Rule::TooShort.text());
                }
                each(timestamp, value);
            }
        }
        Elements::All { count: 1 }
    }

    fn for_each_of_list<'a>(
        &self,
        value: &'a [u8],
        delimiter: &[u8],
        mut each: impl FnMut(Option<i64>, &'a [u8]),
    ) -> Elements {
        let (mut count, mut at) = (0, 0);
        let mut rest = value;
        while !rest.is_empty() {
            let timestamp = timestamp(rest).filter(|_| self.ttl);
            let length = match self.walker.walk(rest) {
                Walked::End(length) => length,
                Walked::Stopped { at: stopped, stop } => {
                    return Elements::NotWalked { count, at: at + stopped, stop, timestamp };
                }
                Walked::Bad(bad) => return bad_at(count, at + bad.at, bad.rule),
            };
            let Some((element, behind)) = rest.split_at_checked(length) else { break };
            count += 1;
            each(timestamp, element);
            at += length;
            rest = behind;
            if !rest.is_empty() {
                match rest.strip_prefix(delimiter) {
                    // An empty delimiter may stand behind an empty element forever.
                    Some(behind) if behind.len() < rest.len() || length > 0 => rest = behind,
                    _ => return bad_at(count, at, "a delimiter stands between elements of a list"),
                }
                at += delimiter.len();
            }
        }
        Elements::All { count }
    }

    /// What stands behind the flag of a null value. Flink to 1.19 has the serializer write it all the same, if that
    /// takes a null.
    fn is_null(&self, null: &[u8]) -> bool {
        null.is_empty() || !matches!(self.walker.walk_all(null), Walked::Bad(_))
    }

    /// Steps over a whole value, all its entries included: [`Walked::End`] is its length.
    #[must_use]
    pub fn walk(&self, value: &[u8], delimiter: &[u8]) -> Walked {
        match self.shape {
            Shape::Value => self.walker.walk_all(value),
            Shape::Map => match value.split_first() {
                Some((0, rest)) => match self.walker.walk_all(rest) {
                    Walked::End(end) => Walked::End(end + 1),
                    Walked::Stopped { at, stop } => Walked::Stopped { at: at + 1, stop },
                    Walked::Bad(bad) => Walked::Bad(BadValue { at: bad.at + 1, ..bad }),
                },
                Some((1, null)) if self.is_null(null) => Walked::End(value.len()),
                _ => Walked::Bad(BadValue { at: 0, rule: NULL_FLAG }),
            },
            Shape::List | Shape::Timer => match self.for_each_element(value, delimiter, |_, _| {}) {
                Elements::All { .. } => Walked::End(value.len()),
                Elements::NotWalked { at, stop, .. } => Walked::Stopped { at, stop },
                Elements::Bad { bad, .. } => Walked::Bad(bad),
            },
        }
    }
}

const NULL_FLAG: &str = "a value of a map is 1 and perhaps a null, or 0 and the value";

/// How the values of a state are laid out, and the serializer of their entries, with the timestamp.
fn entry_of(kind: StateKind, value: &SerializerSnapshot) -> Option<(Shape, &SerializerSnapshot)> {
    let (shape, part) = match kind {
        StateKind::PriorityQueue => (Shape::Timer, None),
        StateKind::Operator | StateKind::Broadcast => return None,
        StateKind::KeyValue(KeyedStateType::List) => (Shape::List, Some((Kind::List, Edge::Element))),
        StateKind::KeyValue(KeyedStateType::Map) => (Shape::Map, Some((Kind::Map, Edge::Value))),
        // The asynchronous API keeps the serializer of elements, or of a map's values.
        StateKind::KeyValueV2(KeyedStateType::List) => (Shape::List, None),
        StateKind::KeyValueV2(KeyedStateType::Map) => (Shape::Map, None),
        StateKind::KeyValue(keyed) | StateKind::KeyValueV2(keyed) => match keyed {
            KeyedStateType::Unknown => return None,
            _ => (Shape::Value, None),
        },
    };
    let mut inner = unwrap(value);
    if let Some((kind, edge)) = part
        && inner.kind == kind
    {
        inner = inner.part(&edge)?;
    }
    Some((shape, unwrap(inner)))
}

/// What is in wrappers that change no byte.
fn unwrap(mut node: &SerializerSnapshot) -> &SerializerSnapshot {
    while matches!(node.kind, Kind::Transparent | Kind::TtlAware { .. }) {
        match node.part(&Edge::Wrapped) {
            Some(child) => node = child,
            None => break,
        }
    }
    node
}

#[inline]
fn timestamp(value: &[u8]) -> Option<i64> {
    value.first_chunk::<TIMESTAMP>().map(|bytes| BigEndian::read_i64(bytes))
}

#[cold]
fn bad_at(count: u64, at: usize, rule: &'static str) -> Elements {
    Elements::Bad { count, bad: BadValue { at, rule } }
}
