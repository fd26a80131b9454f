//! Keys of Flink's keyed state in RocksDB and ForSt, cut into their parts.
//!
//! ```text
//! state   key group (1 or 2 bytes, big-endian) │ key [│ length] │ namespace [│ length] [│ user key]
//! timer   key group │ i64 timestamp, sign bit flipped │ key │ namespace
//! length  the part's length, little-endian, as few bytes as it needs but at least one
//! ```
//!
//! The user key is that of a map, and runs to the end. Lengths are there where the key's and the namespace's serializer
//! both say that theirs is variable ([`DeclaredLength`]), and say nothing to a reader from the front, who does not know
//! where they begin; a reader from the end does. The key group has 2 bytes where the maximum parallelism is above 128.
//!
//! A key is cut from the front where its serializer can be walked, and lengths are checked. One that cannot (Kryo) is
//! cut from the end, where what follows it has a known length; where more than one cut fits, there is none.
//!
//! Which key group a key belongs to, its hash says: [`KeyHash`].
//!
//! Sources: `SerializedCompositeKeyBuilder`, `CompositeKeySerializationUtils` (`RocksDBKeySerializationUtils` in 1.13),
//! `RocksDBCachingPriorityQueueSet`, `TimerSerializer` of Flink 1.13 to 2.3.

mod hash;

use std::fmt;
use std::ops::Range;

use byteorder::{BigEndian, ByteOrder};

use super::serializer::{Edge, Kind, SerializerSnapshot};
use super::state_meta::{KeyedStateType, StateKind, StateMetaInfo};
use super::walk::{BadValue, DeclaredLength, Walked, Walker};

pub use self::hash::{KeyHash, key_group};

/// How the keys of a column family are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLayout {
    prefix: KeyGroupPrefix,
    timer: bool,
    key: Walker,
    namespace: Walker,
    user_key: Option<Walker>,
    lengths: Lengths,
    /// Where keys begin.
    start: usize,
    /// The length of all namespaces, if they have one and no lengths are there.
    plain_namespace: Option<usize>,
}

/// How many bytes a key group has in front of keys (`CompositeKeySerializationUtils.computeRequiredBytesInKeyGroupPrefix`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyGroupPrefix {
    /// Maximum parallelism to 128.
    One,
    /// Maximum parallelism above.
    Two,
}

/// Whether lengths stand behind key and namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    Absent,
    Present,
    /// A serializer's class is not known: what fits the bytes.
    Unknown,
}

/// The parts of a composite key, as ranges of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCut {
    /// The key group.
    pub key_group: u32,
    /// The key that the stream is keyed by.
    pub key: Range<usize>,
    /// The namespace: a window, or one byte 0 outside of windows.
    pub namespace: Range<usize>,
    /// The user key of a map; of other states, an empty range at the end.
    pub user_key: Range<usize>,
}

/// Key and namespace of a composite key, whatever follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHead {
    /// Where the key ends.
    pub key_end: usize,
    /// Where the namespace ends, with the length behind it if there is one; a user key begins there.
    pub end: Result<usize, UncutReason>,
    /// Whether every composite key that begins with the bytes up to `end` has this key and namespace: they were found
    /// from the front.
    pub from_front: bool,
}

/// A composite key that cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncut {
    /// The key group; `None` where the bytes are too short to have one.
    pub key_group: Option<u32>,
    /// Why.
    pub why: UncutReason,
}

/// Why a composite key cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UncutReason {
    /// The bytes contradict the layout. Offsets are of the composite key.
    Bad(BadValue),
    /// A part cannot be walked, and what is around it does not say where it ends.
    Opaque {
        /// The part.
        part: KeyPart,
        /// Offset in the composite key at which walking stopped.
        at: usize,
        /// Why: an index of [`Walker::stops`] of [`KeyLayout::walker`] of the part.
        stop: usize,
    },
    /// More than one cut fits.
    Several,
}

/// A part of a composite key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// The key that the stream is keyed by.
    Key,
    /// The namespace.
    Namespace,
    /// The user key of a map.
    UserKey,
}

const TIMESTAMP: usize = 8;

/// Bytes that a length may need: Java's have 31 bits.
const LONGEST_LENGTH: usize = 4;

const LEFTOVER: &str = "nothing follows the last part of a key";
const WRONG_LENGTH: &str = "the length behind a part of a key is that part's";
const TOO_SHORT: &str = "a key has all its parts";

type Why<T> = Result<T, UncutReason>;

#[cold]
fn bad(at: usize, rule: &'static str) -> UncutReason {
    UncutReason::Bad(BadValue { at, rule })
}

impl KeyGroupPrefix {
    /// By the operator's maximum parallelism.
    #[must_use]
    pub fn of_max_parallelism(max_parallelism: i32) -> Self {
        if max_parallelism > 128 { Self::Two } else { Self::One }
    }

    /// Number of bytes.
    #[must_use]
    #[inline]
    pub fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The key group that a composite key starts with; `None` if it is too short.
    #[must_use]
    #[inline]
    pub fn key_group(self, composite: &[u8]) -> Option<u32> {
        match self {
            Self::One => composite.first().map(|&group| group.into()),
            Self::Two => composite.first_chunk::<2>().map(|group| u16::from_be_bytes(*group).into()),
        }
    }
}

impl KeyLayout {
    /// Of state other than timers. `user_key` is that of a map, and of nothing else.
    #[must_use]
    pub fn state(
        prefix: KeyGroupPrefix,
        key: &SerializerSnapshot,
        namespace: &SerializerSnapshot,
        user_key: Option<&SerializerSnapshot>,
    ) -> Self {
        let (key, namespace) = (Walker::compile(key), Walker::compile(namespace));
        let lengths = match (key.declared_len(), namespace.declared_len()) {
            (DeclaredLength::Fixed(_), _) | (_, DeclaredLength::Fixed(_)) => Lengths::Absent,
            (DeclaredLength::Variable, DeclaredLength::Variable) => Lengths::Present,
            _ => Lengths::Unknown,
        };
        Self::new(prefix, false, key, namespace, user_key.map(Walker::compile), lengths)
    }

    fn new(
        prefix: KeyGroupPrefix,
        timer: bool,
        key: Walker,
        namespace: Walker,
        user_key: Option<Walker>,
        lengths: Lengths,
    ) -> Self {
        let start = prefix.bytes() + if timer { TIMESTAMP } else { 0 };
        let plain_namespace = namespace.fixed_len().filter(|_| lengths == Lengths::Absent);
        Self { prefix, timer, key, namespace, user_key, lengths, start, plain_namespace }
    }

    /// Of timers, from their serializer; `None` if that is another one, or was not read to its end.
    #[must_use]
    pub fn timer(prefix: KeyGroupPrefix, timer: &SerializerSnapshot) -> Option<Self> {
        if timer.kind != Kind::Timer {
            return None;
        }
        let key = Walker::compile(timer.part(&Edge::Key)?);
        let namespace = Walker::compile(timer.part(&Edge::Namespace)?);
        Some(Self::new(prefix, true, key, namespace, None, Lengths::Absent))
    }

    /// Of a state or timer service, by its meta data, with the serializer of the backend's keys. `None` of operator
    /// state, and where a serializer is missing.
    #[must_use]
    pub fn of_state(prefix: KeyGroupPrefix, key: &SerializerSnapshot, state: &StateMetaInfo) -> Option<Self> {
        match state.kind {
            StateKind::PriorityQueue => Self::timer(prefix, state.value_serializer()?),
            StateKind::Operator | StateKind::Broadcast => None,
            StateKind::KeyValue(keyed) | StateKind::KeyValueV2(keyed) => {
                let user_key = match keyed {
                    KeyedStateType::Unknown => return None,
                    KeyedStateType::Map => Some(state.user_key_serializer()?),
                    _ => None,
                };
                Some(Self::state(prefix, key, state.namespace_serializer()?, user_key))
            }
        }
    }

    /// Steps over a part; `None` of the user key of what is no map.
    #[must_use]
    pub fn walker(&self, part: KeyPart) -> Option<&Walker> {
        match part {
            KeyPart::Key => Some(&self.key),
            KeyPart::Namespace => Some(&self.namespace),
            KeyPart::UserKey => self.user_key.as_ref(),
        }
    }

    /// How many bytes the key group has.
    #[must_use]
    pub fn prefix(&self) -> KeyGroupPrefix {
        self.prefix
    }

    /// Writes the begin of a composite key to an empty buffer: key group, key and namespace, with their lengths where there
    /// are any. A user key follows as it is. Of timers, [`KeyLayout::compose_timer`].
    pub fn compose(&self, key_group: u32, key: &[u8], namespace: &[u8], out: &mut Vec<u8>) {
        self.compose_group(key_group, out);
        for part in [key, namespace] {
            out.extend_from_slice(part);
            if self.lengths == Lengths::Present {
                let length = part.len().to_le_bytes();
                out.extend_from_slice(length.get(..length_len(part.len())).unwrap_or_default());
            }
        }
    }

    /// Writes the composite key of a timer to an empty buffer.
    pub fn compose_timer(
        &self,
        key_group: u32,
        timestamp: i64,
        key: &[u8],
        namespace: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.compose_group(key_group, out);
        out.extend_from_slice(&(timestamp ^ i64::MIN).to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(namespace);
    }

    fn compose_group(&self, key_group: u32, out: &mut Vec<u8>) {
        out.clear();
        let bytes = key_group.to_be_bytes();
        out.extend_from_slice(bytes.get(bytes.len() - self.prefix.bytes()..).unwrap_or_default());
    }

    /// The time of a timer, in ms since 1970; `None` of state, and where the bytes are too short.
    #[must_use]
    #[inline]
    pub fn timestamp(&self, composite: &[u8]) -> Option<i64> {
        let bytes = composite.get(self.prefix.bytes()..)?.first_chunk::<TIMESTAMP>();
        bytes.filter(|_| self.timer).map(|bytes| BigEndian::read_i64(bytes) ^ i64::MIN)
    }

    /// Cuts a composite key into its parts, which cover all of it.
    ///
    /// # Errors
    /// [`Uncut`], with the key group.
    #[inline]
    pub fn cut(&self, composite: &[u8]) -> Result<KeyCut, Uncut> {
        let Some(key_group) = self.prefix.key_group(composite) else {
            return Err(Uncut { key_group: None, why: bad(0, TOO_SHORT) });
        };
        if let Some(namespace) = self.plain_namespace
            && let Some(rest) = composite.get(self.start..)
            && let Walked::End(length) = self.key.walk(rest)
        {
            let key = self.start + length;
            let after_namespace = key + namespace;
            let fits = match (&self.user_key, composite.get(after_namespace..)) {
                (None, Some(rest)) => rest.is_empty(),
                (Some(user_key), Some(rest)) => !matches!(user_key.walk_all(rest), Walked::Bad(_)),
                (_, None) => false,
            };
            if fits {
                return Ok(KeyCut {
                    key_group,
                    key: self.start..key,
                    namespace: key..after_namespace,
                    user_key: after_namespace..composite.len(),
                });
            }
        }
        self.cut_other(composite, key_group)
    }

    /// Where there are lengths, what cannot be walked, or something wrong.
    #[inline(never)]
    fn cut_other(&self, composite: &[u8], key_group: u32) -> Result<KeyCut, Uncut> {
        let parts = match self.lengths {
            Lengths::Absent => self.parts(composite, false),
            Lengths::Present => self.parts(composite, true),
            Lengths::Unknown => self.parts_of_unknown(composite),
        };
        match parts {
            Ok(parts) => Ok(KeyCut {
                key_group,
                key: self.start..parts.key,
                namespace: parts.after_key..parts.namespace,
                user_key: parts.after_namespace..composite.len(),
            }),
            Err(why) => Err(Uncut { key_group: Some(key_group), why }),
        }
    }

    /// Where the namespace begins: what is in front of it (key group, key and its length if there is one) is the same
    /// for all entries of a key, and of no other key. Of a timer, its timestamp is in front of it too.
    ///
    /// # Errors
    /// As [`KeyLayout::cut`]; but what is behind a key that can be walked is not looked at.
    #[inline]
    pub fn key_end(&self, composite: &[u8]) -> Result<usize, Uncut> {
        if self.lengths != Lengths::Unknown
            && let Some(rest) = composite.get(self.start..)
            && let Walked::End(length) = self.key.walk(rest)
        {
            let (end, key_group) = (self.start + length, self.prefix.key_group(composite));
            if self.lengths == Lengths::Absent {
                return Ok(end);
            }
            return after_length(composite, end, length).map_err(|why| Uncut { key_group, why });
        }
        self.cut(composite).map(|cut| cut.namespace.start)
    }

    /// Finds key and namespace. What follows them is looked at only where they cannot be found from the front.
    ///
    /// # Errors
    /// As [`KeyLayout::cut`], where not even the key can be found.
    #[inline]
    pub fn head(&self, composite: &[u8]) -> Result<KeyHead, UncutReason> {
        let start = self.start();
        if self.lengths != Lengths::Unknown
            && let Some(rest) = composite.get(start..)
            && let Walked::End(length) = self.key.walk(rest)
        {
            let key_end = start + length;
            return match self.namespace_end(composite, key_end) {
                Some(end) => Ok(KeyHead { key_end, end, from_front: true }),
                None => {
                    let end = self.cut(composite).map(|cut| cut.user_key.start).map_err(|uncut| uncut.why);
                    Ok(KeyHead { key_end, end, from_front: false })
                }
            };
        }
        match self.cut(composite) {
            Ok(cut) => Ok(KeyHead { key_end: cut.key.end, end: Ok(cut.user_key.start), from_front: false }),
            Err(uncut) => Err(uncut.why),
        }
    }

    /// From the front; `None` where the namespace cannot be walked.
    #[inline]
    fn namespace_end(&self, composite: &[u8], key_end: usize) -> Option<Why<usize>> {
        let lengths = self.lengths == Lengths::Present;
        let after = |end, begin| if lengths { after_length(composite, end, end - begin) } else { Ok(end) };
        let begin = match after(key_end, self.start()) {
            Ok(begin) => begin,
            Err(why) => return Some(Err(why)),
        };
        match self.namespace.walk(composite.get(begin..).unwrap_or_default()) {
            Walked::End(length) => Some(after(begin + length, begin)),
            Walked::Stopped { .. } => None,
            Walked::Bad(found) => Some(Err(bad(begin + found.at, found.rule))),
        }
    }

    /// Where the key begins.
    #[inline]
    fn start(&self) -> usize {
        self.prefix.bytes() + if self.timer { TIMESTAMP } else { 0 }
    }

    /// Both ways, of which one must fit.
    fn parts_of_unknown(&self, composite: &[u8]) -> Why<Parts> {
        match (self.parts(composite, false), self.parts(composite, true)) {
            (Ok(_), Ok(_)) => Err(UncutReason::Several),
            (Ok(parts), Err(UncutReason::Bad(_))) | (Err(UncutReason::Bad(_)), Ok(parts)) => Ok(parts),
            (Err(why), _) | (_, Err(why)) => Err(why),
        }
    }

    /// From the front, as far as parts can be walked.
    fn parts(&self, composite: &[u8], lengths: bool) -> Why<Parts> {
        let start = self.start;
        let rest = composite.get(start..).ok_or_else(|| bad(composite.len(), TOO_SHORT))?;
        let key = match self.key.walk(rest) {
            Walked::End(length) => start + length,
            Walked::Stopped { at, stop } => {
                return self.parts_from_end(composite, lengths, KeyStop { at: start + at, stop });
            }
            Walked::Bad(found) => return Err(bad(start + found.at, found.rule)),
        };
        let after_key = if lengths { after_length(composite, key, key - start)? } else { key };
        let namespace = match self.namespace.walk(composite.get(after_key..).unwrap_or_default()) {
            Walked::End(length) => after_key + length,
            Walked::Stopped { at, stop } => {
                let stopped = UncutReason::Opaque { part: KeyPart::Namespace, at: after_key + at, stop };
                return self.opaque_namespace(composite, lengths, key, after_key, stopped);
            }
            Walked::Bad(found) => return Err(bad(after_key + found.at, found.rule)),
        };
        let after_namespace =
            if lengths { after_length(composite, namespace, namespace - after_key)? } else { namespace };
        self.check_user_key(composite, after_namespace)?;
        Ok(Parts { key, after_key, namespace, after_namespace })
    }

    /// A user key runs to the end, and so it does if it cannot be walked; without one, nothing is there.
    fn check_user_key(&self, composite: &[u8], from: usize) -> Why<()> {
        let rest = composite.get(from..).unwrap_or_default();
        match self.user_key.as_ref().map(|user_key| user_key.walk(rest)) {
            Some(Walked::Stopped { .. }) => Ok(()),
            Some(Walked::End(length)) if length == rest.len() => Ok(()),
            Some(Walked::End(length)) => Err(bad(from + length, LEFTOVER)),
            Some(Walked::Bad(found)) => Err(bad(from + found.at, found.rule)),
            None if rest.is_empty() => Ok(()),
            None => Err(bad(from, LEFTOVER)),
        }
    }

    /// Where a user key of known length begins, or the end.
    fn tail(&self, composite: &[u8], stopped: UncutReason) -> Why<usize> {
        let length = match &self.user_key {
            None => Some(0),
            Some(user_key) => user_key.fixed_len(),
        };
        let length = length.ok_or(stopped)?;
        composite.len().checked_sub(length).ok_or_else(|| bad(composite.len(), TOO_SHORT))
    }

    /// The namespace has what is left between the key and what follows it.
    #[cold]
    fn opaque_namespace(
        &self,
        composite: &[u8],
        lengths: bool,
        key: usize,
        after_key: usize,
        stopped: UncutReason,
    ) -> Why<Parts> {
        let after_namespace = self.tail(composite, stopped)?;
        let namespace = if lengths {
            let mut ends = lengths_before(composite, after_namespace)
                .filter(|&(at, length)| at.checked_sub(length) == Some(after_key));
            ends.next().ok_or_else(|| bad(after_namespace, WRONG_LENGTH))?.0
        } else {
            after_namespace
        };
        match stopped {
            UncutReason::Opaque { at, .. } if at > namespace => Err(bad(at, TOO_SHORT)),
            _ => Ok(Parts { key, after_key, namespace, after_namespace }),
        }
    }

    /// A key that cannot be walked: from the end.
    #[cold]
    fn parts_from_end(&self, composite: &[u8], lengths: bool, stopped: KeyStop) -> Why<Parts> {
        let opaque = UncutReason::Opaque { part: KeyPart::Key, at: stopped.at, stop: stopped.stop };
        let after_namespace = self.tail(composite, opaque)?;
        if !lengths {
            let length = self.namespace.fixed_len().ok_or(opaque)?;
            let key = after_namespace.checked_sub(length).filter(|&key| key >= stopped.at);
            let key = key.ok_or_else(|| bad(composite.len(), TOO_SHORT))?;
            return Ok(Parts { key, after_key: key, namespace: after_namespace, after_namespace });
        }
        let mut found = None;
        for (namespace, length) in lengths_before(composite, after_namespace) {
            let Some(after_key) = namespace.checked_sub(length) else { continue };
            let bytes = composite.get(after_key..namespace).unwrap_or_default();
            if matches!(self.namespace.walk_all(bytes), Walked::Bad(_)) {
                continue;
            }
            for (key, length) in lengths_before(composite, after_key) {
                if key.checked_sub(length) == Some(self.start) && key >= stopped.at {
                    let parts = Parts { key, after_key, namespace, after_namespace };
                    if found.replace(parts).is_some() {
                        return Err(UncutReason::Several);
                    }
                }
            }
        }
        found.ok_or_else(|| bad(after_namespace, WRONG_LENGTH))
    }
}

/// Where the walk of a key stopped.
#[derive(Debug, Clone, Copy)]
struct KeyStop {
    at: usize,
    stop: usize,
}

/// Where parts end.
#[derive(Debug, Clone, Copy)]
struct Parts {
    key: usize,
    after_key: usize,
    namespace: usize,
    after_namespace: usize,
}

/// Bytes of a length.
fn length_len(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(8) as usize
}

/// Behind the length that stands at an offset and must be this one.
#[inline]
fn after_length(composite: &[u8], at: usize, length: usize) -> Why<usize> {
    let n = length_len(length);
    let expected = length.to_le_bytes();
    let found = composite.get(at..).and_then(|rest| rest.get(..n));
    if found.is_some() && found == expected.get(..n) { Ok(at + n) } else { Err(bad(at, WRONG_LENGTH)) }
}

/// Every length that may stand in front of `end`: where it begins, and what it says.
fn lengths_before(composite: &[u8], end: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..=LONGEST_LENGTH).filter_map(move |n| {
        let at = end.checked_sub(n)?;
        let bytes = composite.get(at..end)?;
        let length = bytes.iter().rev().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
        (length_len(length) == n).then_some((at, length))
    })
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Namespace => "namespace",
            Self::UserKey => "user key",
        })
    }
}

impl fmt::Display for UncutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(bad) => bad.fmt(f),
            Self::Opaque { part, at, .. } => {
                write!(f, "the {part} cannot be walked from byte {at} on, and nothing says where it ends")
            }
            Self::Several => f.write_str("more than one cut fits"),
        }
    }
}

#[cfg(test)]
mod tests;
