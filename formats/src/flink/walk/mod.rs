//! How to step over one value of any serializer, without building it.
//!
//! A [`Walker`] is compiled once from a [`SerializerSnapshot`] and then walks millions of values: it allocates nothing,
//! and does no more than find where the value ends. Values have no length of their own in Flink's encodings, and most
//! lie in a row with others: keys before namespaces, elements of lists.
//!
//! ```text
//! fixed        Boolean, Byte, Void, VoidNamespace, GlobalWindow, Tuple0, NULL, Unit 1 │ Short, Character 2
//!              Integer, Float, Enum, Scala Enumeration 4 │ LocalDate 6 │ LocalTime 7
//!              Long, Double, Date, sql.Date, sql.Time, CountWindow 8 │ sql.Timestamp, Instant, EventId 12
//!              LocalDateTime 13 │ TimeWindow 16 │ NullValue 0
//!              TIMESTAMP 8 (precision to 3), else 12 │ DECIMAL 8 (precision to 18)
//! String       varint n + 1 (0: null) │ n × varint UTF-16 unit                  StringValue: n, not n + 1
//! BigInteger   i32 0 null, 1 ZERO, 2 ONE, 3 TEN, else n + 4 │ n bytes          BigDecimal: the same │ i32 scale
//! arrays       i32 n │ n × primitive, or String │ T[]: n × { bool present, value }
//! List         i32 n │ n × value                       Set: n × { bool null, value }
//! Map          i32 n │ n × { key, bool null, value }   NullAwareMap: the key has a flag too
//! LinkedList   i32 n │ [mask of n bits] │ values that are not null
//! Tuple, case class, TTL, Timer, multiset nodes        their parts
//! Nullable     bool null │ value, or as many bytes as its padding has
//! Either       bool left │ value        Option: bool some        Try: bool success
//! Row          mask of n bits, in front of them 2 of the RowKind │ fields that are not null
//! POJO         u8 1 null │ 2, n × { bool null, field } │ 4, utf class, subclass │ 8, u8 tag, subclass
//! SQL          rows, arrays, maps, strings, raw values, DECIMAL (precision from 19): i32 n │ n bytes
//! Variant      i32 n │ i32 m │ n + m bytes             Bitmap: i32 n │ n bytes
//! Avro         int, float, enum, index of a union 4; long, double 8; boolean 1; fixed n; bytes, string: i32 n, n bytes
//!              array, map: { varint n │ n × item } until n = 0
//! ```
//!
//! Masks start with the most significant bit. Sources: the serializers' `serialize` of Flink 1.13, 1.20 and 2.3;
//! `flink-avro …/DataOutputEncoder` and `DataInputDecoder`.
//!
//! Where a value passes through Kryo, or through a class that is not known, nothing says where it ends: there a walk
//! stops ([`StopReason`]).

mod avro;
pub(super) mod basic;
mod compile;
mod declared;
pub(super) mod place;
pub(super) mod program;
pub(super) mod read;
mod state_value;

use std::fmt;

pub use declared::DeclaredLength;
pub use state_value::{Elements, StateValueLayout};

use self::program::{Block, Program};
use self::read::{Halt, Rule, Why};
use super::serializer::SerializerSnapshot;

/// Steps over the values of a serializer. Compiled once; cheap to share behind an `Arc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walker {
    way: Way,
    program: Program,
    stops: Vec<StopReason>,
    declared: DeclaredLength,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Fixed(usize),
    String,
    Program(Block),
}

/// What came of stepping over a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// The value has this many bytes.
    End(usize),
    /// From some place on, nothing can be known.
    Stopped {
        /// Offset in the bytes at which it begins.
        at: usize,
        /// Why: an index of [`Walker::stops`].
        stop: usize,
    },
    /// The bytes contradict the serializer.
    Bad(BadValue),
}

/// Bytes that no value of their serializer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadValue {
    /// Offset in the bytes at which it shows.
    pub at: usize,
    /// The rule that is broken.
    pub rule: &'static str,
}

/// A place of a serializer at which a walk stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReason {
    /// Path in the tree of serializers, such as `items.element`; empty for the top.
    pub path: String,
    /// Why.
    pub kind: StopKind,
    /// The class that is concerned: of the value, where it is known; else of the serializer or its snapshot.
    pub class: String,
    /// Whether every value gets there. Never [`Touch::Never`].
    pub when: Touch,
}

/// Why a walk stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopKind {
    /// Kryo: its bytes have no length and depend on the job's classes.
    Kryo,
    /// Java serialization of the value.
    JavaObject,
    /// All that is known of the serializer is a Java object.
    JavaSerialized,
    /// The class of the snapshot is not known.
    UnknownClass,
    /// A snapshot that is not there, or that could not be decoded.
    Undecodable,
    /// A `Value` or `CopyableValue`, which writes itself.
    Value,
    /// The schema of Avro values is not one.
    BadSchema,
    /// A serializer whose encoding is not known for certain.
    Unsupported,
    /// A value of a subclass that is not in the snapshot: only the data can tell.
    UnlistedSubclass,
    /// A value of a recursive type that nests deeper than any real one: only the data can tell.
    TooDeep,
    /// A value that is larger, or has more parts, than may be written out: only the data can tell, and only decoding
    /// values meets it.
    TooLarge,
    /// Records in flight, of which a snapshot does not say what type they are: only decoding values meets it.
    NotTold,
    /// The types of what has a length of its own are not stored: only decoding values meets it.
    Untyped,
}

/// Whether values pass through something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touch {
    /// No value does.
    Never,
    /// Some may: what is optional, an element, or in a subclass.
    Maybe,
    /// Every value does.
    Always,
}

impl Walker {
    /// Compiles a snapshot. What cannot be walked becomes a stop.
    #[must_use]
    pub fn compile(snapshot: &SerializerSnapshot) -> Self {
        compile::walker(snapshot)
    }

    /// The length of every value, if all have the same; also the length of one that is not walked but has it.
    #[must_use]
    pub fn fixed_len(&self) -> Option<usize> {
        match self.way {
            Way::Fixed(n) => Some(n),
            Way::String | Way::Program(_) => None,
        }
    }

    /// What `TypeSerializer.getLength()` returns, on which the layout of composite keys depends. Not always the length
    /// of the bytes: `VoidNamespace` has one byte and says 0.
    #[must_use]
    pub fn declared_len(&self) -> DeclaredLength {
        self.declared
    }

    /// Steps over one value at the start of `bytes`; what follows it does not matter.
    ///
    /// What has a fixed length is not looked at: the index of an enum, a boolean.
    #[must_use]
    #[inline]
    pub fn walk(&self, bytes: &[u8]) -> Walked {
        let step = match self.way {
            Way::Fixed(n) if n <= bytes.len() => return Walked::End(n),
            Way::Fixed(_) => return Walked::Bad(BadValue { at: 0, rule: Rule::TooShort.text() }),
            Way::String => read::string(bytes, 0),
            Way::Program(block) => self.program.run(bytes, block, 0, 0),
        };
        match step {
            Ok(end) => Walked::End(end),
            Err(halt) => halt.into(),
        }
    }

    /// Steps over one value that the bytes consist of: something behind it is [`Walked::Bad`].
    #[must_use]
    #[inline]
    pub fn walk_all(&self, bytes: &[u8]) -> Walked {
        match self.walk(bytes) {
            Walked::End(end) if end != bytes.len() => {
                Walked::Bad(BadValue { at: end, rule: Rule::Follows.text() })
            }
            walked => walked,
        }
    }

    /// Everything at which a walk may stop.
    #[must_use]
    pub fn stops(&self) -> &[StopReason] {
        &self.stops
    }

    /// The first thing that the snapshot itself says cannot be walked, one that every value meets before one that only
    /// some do. Not what only data can tell ([`StopKind::UnlistedSubclass`], [`StopKind::TooDeep`]).
    #[must_use]
    pub fn stop(&self) -> Option<&StopReason> {
        let told = || self.stops.iter().filter(|stop| !stop.kind.told_by_data());
        told().find(|stop| stop.when == Touch::Always).or_else(|| told().next())
    }

    /// Whether values pass through Kryo.
    #[must_use]
    pub fn kryo(&self) -> Touch {
        let kryo = self.stops.iter().filter(|stop| stop.kind == StopKind::Kryo);
        kryo.map(|stop| stop.when).max().unwrap_or(Touch::Never)
    }
}

impl StopKind {
    fn told_by_data(self) -> bool {
        matches!(self, Self::UnlistedSubclass | Self::TooDeep | Self::TooLarge)
    }

    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Kryo => "serialized by Kryo",
            Self::JavaObject => "serialized by Java",
            Self::JavaSerialized => "a serializer of which only a Java object is known",
            Self::UnknownClass => "a serializer whose class is not known",
            Self::Undecodable => "a serializer snapshot that is missing or could not be decoded",
            Self::Value => "a Value, which writes itself",
            Self::BadSchema => "an Avro schema that could not be read",
            Self::Unsupported => "a serializer whose encoding is not known for certain",
            Self::UnlistedSubclass => "a subclass that the snapshot does not list",
            Self::TooDeep => "a value that nests too deep",
            Self::TooLarge => "a value that is too large to be written out",
            Self::NotTold => "a type that is not in a snapshot",
            Self::Untyped => "a serializer snapshot that does not say which types its fields have",
        }
    }
}

impl From<Halt> for Walked {
    #[cold]
    fn from(halt: Halt) -> Self {
        match halt.why {
            Why::Stop(stop) => Self::Stopped { at: halt.at as usize, stop: stop as usize },
            Why::Bad(rule) => Self::Bad(BadValue { at: halt.at as usize, rule: rule.text() }),
        }
    }
}

impl BadValue {
    /// Whether it may be that the bytes are not all there, so that more of them are no contradiction.
    #[must_use]
    pub fn may_be_cut(&self) -> bool {
        [Rule::TooShort, Rule::Count, Rule::Length].iter().any(|rule| rule.text() == self.rule)
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.rule, self.at)
    }
}

impl fmt::Display for StopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.class)?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
