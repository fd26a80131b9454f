//! `TypeSerializerSnapshot`s: what Flink stores about the types of keys, namespaces and values.
//!
//! ```text
//! proxy      i32 2                                   TypeSerializerSnapshotSerializationUtil (outermost only)
//! versioned  utf snapshot class | i32 version | payload
//! composite  i32 0x000DE704 | i32 outer version | outer payload | nested     (CompositeTypeSerializerSnapshot)
//! nested     i32 0x001457FD | i32 1 | i32 n | n * versioned                 (NestedSerializersSnapshotDelegate)
//! map        i64 0x000004F2C69A3D70 | i32 n | n * { utf | bool [i32 len, key] | bool [i32 len, value] }
//!                                                                            (LinkedOptionalMapSerializer)
//! ```
//!
//! Nothing says how long a payload is: where a class is not known, decoding stops, the tree holds what
//! was read so far, and the caller has to find its way back ([`SnapshotRead::stop`]). Inside of a map's
//! frames (POJO fields, subclasses) a stop stays in its frame.
//!
//! Classes are recognized by their full names, as Flink 1.3 to 2.3 wrote them. Versions: simple ones 2
//! and 3, composites 1 to 3, others as in each decoder; the `TypeSerializerConfigSnapshot`s of Flink
//! before 1.8 are decoded where they can still occur.

mod basic;
mod class;
mod composite;
mod legacy;
mod logical_type;
mod optional_map;
mod paths;
mod plain;
mod read;
mod render;

pub use basic::Basic;
pub(crate) use legacy::{java_serialized, resilience_block, serializer_blob};
pub use logical_type::{LogicalField, LogicalType};
pub(crate) use paths::join;
pub use paths::{KryoPath, OpaquePath};
pub use read::{SnapshotRead, Stop, read_proxy, read_versioned};
pub use render::RenderOptions;

use crate::error::Error;

/// A serializer snapshot with everything nested in it.
#[derive(Debug, Clone, PartialEq)]
pub struct SerializerSnapshot {
    /// Full name of the snapshot class; of the serializer class where there is no snapshot
    /// ([`Kind::JavaSerialized`]).
    pub class: String,
    /// The snapshot's own version.
    pub version: i32,
    /// What it describes.
    pub kind: Kind,
    /// Absolute offset of its class name.
    pub offset: u64,
    /// Bytes from the class name to the end; `None` if it could not be read to its end.
    pub length: Option<u64>,
    children: Vec<(Edge, SerializerSnapshot)>,
}

/// How a nested snapshot belongs to the one it is nested in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Edge {
    /// Keys of a map, or of a timer or broadcast state.
    Key,
    /// Values of a map.
    Value,
    /// Elements of a list, set or other collection.
    Element,
    /// Namespace of a timer.
    Namespace,
    /// The timestamp in front of a TTL value.
    Timestamp,
    /// What a wrapper (nullable, TTL) wraps.
    Wrapped,
    /// Components of an array.
    Component,
    /// The left side.
    Left,
    /// The right side.
    Right,
    /// A field known by its position: `f0` of a tuple, columns of a row.
    Position(usize),
    /// A field of a POJO.
    Field(String),
    /// A subclass that was registered with the `ExecutionConfig`: not part of the declared type.
    RegisteredSubclass(String),
    /// A subclass that was met at runtime: not part of the declared type.
    NonRegisteredSubclass(String),
    /// Any other named part.
    Part(&'static str),
}

/// A field of a POJO, in the order of serialization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PojoField {
    /// Name; for a field that is gone from the class, `missing-field-at-<i>`.
    pub name: String,
    /// The class that declares it; `None` if the field was missing when the snapshot was written.
    pub declaring_class: Option<String>,
    /// Index of its serializer among the children; `None` if none was stored.
    pub child: Option<usize>,
}

/// A subclass of a POJO class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PojoSubclass {
    /// Full class name.
    pub class: String,
    /// Index of its serializer among the children; `None` if none was stored.
    pub child: Option<usize>,
}

/// A class registered with Kryo. The order of registrations gives the class ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KryoRegistration {
    /// Full class name.
    pub class: String,
    /// The serializer registered for it.
    pub serializer: KryoSerializerRef,
}

/// A serializer registered with Kryo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KryoSerializerRef {
    /// None given: Kryo's own choice.
    Unspecified,
    /// By class.
    Class(String),
    /// By an instance of this class.
    Instance(String),
    /// Given, but not stored (the class was missing when the snapshot was written) or not readable.
    Missing,
}

/// What a snapshot describes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A type without parameters.
    Basic(Basic),
    /// `List` (`ListSerializer`, `ArrayListSerializer`): one child, the element.
    List,
    /// `Set`: one child, the element.
    Set,
    /// `Map`: key and value.
    Map,
    /// Flink's `Either`: left and right.
    Either,
    /// `T[]`: one child, the component.
    GenericArray {
        /// Full class name of the component.
        component: String,
    },
    /// `Tuple1` to `Tuple25`: its fields.
    Tuple {
        /// Full class name.
        class: String,
    },
    /// `org.apache.flink.types.Row`: its fields. Their names are not stored.
    Row {
        /// Whether the null mask starts with the two bits of the `RowKind`.
        supports_row_kind: bool,
    },
    /// `NullableSerializer`: one child.
    Nullable {
        /// Bytes written in place of a null value.
        padding: i32,
    },
    /// A wrapper that changes no byte: one child.
    Transparent,
    /// State with a time-to-live: timestamp and value.
    Ttl,
    /// `TtlAwareSerializer` (since 2.0): one child.
    TtlAware {
        /// Whether values have a timestamp.
        enabled: bool,
    },
    /// A timer: key and namespace.
    Timer,
    /// `StreamElement`: one child, the record.
    StreamElement,
    /// Buffer of an interval join: one child, the record.
    BufferEntry,
    /// Tagged union of a co-group: left and right.
    TaggedUnion,
    /// State of a `TwoPhaseCommitSinkFunction`: transaction and context.
    TwoPhaseCommit {
        /// Whether a pending transaction may be absent.
        supports_null_transaction: bool,
    },
    /// A Java enum.
    Enum {
        /// Full class name.
        class: String,
        /// The constants; stored values are indexes of this list.
        constants: Vec<String>,
    },
    /// A POJO; children are fields and subclasses.
    Pojo {
        /// Full class name.
        class: String,
        /// Fields in the order of serialization.
        fields: Vec<PojoField>,
        /// Registered subclasses in the order of their tags.
        registered: Vec<PojoSubclass>,
        /// Subclasses that were met.
        non_registered: Vec<PojoSubclass>,
    },
    /// Anything, by Kryo.
    Kryo {
        /// Full class name of the declared type.
        class: String,
        /// Registered classes in the order of their ids.
        registrations: Vec<KryoRegistration>,
        /// Default serializers: class and serializer.
        defaults: Vec<KryoRegistration>,
    },
    /// Avro.
    Avro {
        /// Full class name of the record; version 1 stored none.
        class: Option<String>,
        /// The writer's schema, as JSON.
        schema: String,
    },
    /// `org.apache.flink.types.Value`.
    Value {
        /// Full class name.
        class: String,
    },
    /// `org.apache.flink.types.CopyableValue`.
    CopyableValue {
        /// Full class name.
        class: String,
    },
    /// SQL's internal row: its fields' serializers.
    RowData {
        /// The fields' types.
        types: Vec<LogicalType>,
        /// Whether it is PyFlink's own serializer, which writes other bytes.
        python: bool,
    },
    /// SQL's internal row in binary form.
    BinaryRowData {
        /// Number of fields.
        fields: i32,
    },
    /// SQL's internal array.
    ArrayData {
        /// Type of elements.
        element: LogicalType,
        /// Whether it is PyFlink's own serializer.
        python: bool,
    },
    /// SQL's internal map.
    MapData {
        /// Type of keys.
        key: LogicalType,
        /// Type of values.
        value: LogicalType,
        /// Whether it is PyFlink's own serializer.
        python: bool,
    },
    /// SQL's internal decimal.
    DecimalData {
        /// Number of digits.
        precision: i32,
        /// Digits after the point.
        scale: i32,
        /// Whether it is PyFlink's own serializer.
        python: bool,
    },
    /// SQL's internal timestamp.
    TimestampData {
        /// Digits of the fraction of a second.
        precision: i32,
        /// Whether it is PyFlink's own serializer.
        python: bool,
    },
    /// SQL's internal raw value: one child.
    RawValueData,
    /// SQL: an external class over an internal serializer: one child.
    External {
        /// The logical type.
        data_type: LogicalType,
        /// The class it is converted to.
        conversion_class: Option<String>,
        /// Whether values come in in their internal form.
        internal_input: bool,
    },
    /// `LinkedList`: one child, the element.
    LinkedList {
        /// Whether elements have a null mask.
        has_null_mask: bool,
    },
    /// SQL: window and key: one child, the key.
    WindowKey,
    /// `SortedMap`: key and value.
    SortedMap {
        /// Class of the comparator.
        comparator: String,
    },
    /// SQL `ListView`: one child, the list.
    ListView,
    /// SQL `MapView`: one child, the map.
    MapView,
    /// SQL map with nulls: key and value.
    NullAwareMap,
    /// SQL: a row as a key of a sequenced multiset: one child, the row.
    RowDataKey,
    /// CEP: state of the pattern's automaton: version, node id and event id.
    NfaState {
        /// Whether a partial match has the time of the event before.
        supports_previous_timestamp: bool,
    },
    /// Another composite of Flink's: its parts (CEP, sequenced multisets, SQL's `CRow`).
    Composite {
        /// Readable name.
        name: &'static str,
    },
    /// Scala case class: its fields.
    CaseClass {
        /// Full class name.
        class: String,
    },
    /// Scala `Option`: one child.
    ScalaOption,
    /// Scala `Try`: element and throwable.
    ScalaTry,
    /// Scala `Either`: left and right.
    ScalaEither,
    /// Scala collection: one child, the element.
    Traversable {
        /// Scala source of the builder.
        builder: String,
    },
    /// Scala `Enumeration`.
    ScalaEnum {
        /// Full class name.
        class: String,
        /// Names and ids of the values; ids are stored.
        constants: Vec<(String, i32)>,
    },
    /// Before Flink 1.3, and where a snapshot could not be written: only the serializer itself, as a
    /// Java object.
    JavaSerialized,
    /// Not known, or not decodable; nothing after it in the same frame is known either.
    Unknown {
        /// Why a known class could not be decoded; `None` for a class that is not known.
        error: Option<Error>,
        /// Class of the serializer, where the class of the snapshot is of the kind that stored it.
        serializer: Option<String>,
    },
}

impl SerializerSnapshot {
    /// What is nested, with the way it belongs here.
    pub fn children(&self) -> impl ExactSizeIterator<Item = (&Edge, &Self)> {
        self.children.iter().map(|(edge, child)| (edge, child))
    }

    /// The serializer of timers of these keys and namespaces, as a `TimerSerializer` writes it where timers are a state.
    pub(in crate::flink) fn timer(key: &Self, namespace: &Self) -> Self {
        Self {
            class: "org.apache.flink.streaming.api.operators.TimerSerializerSnapshot".to_owned(),
            version: 2,
            kind: Kind::Timer,
            offset: key.offset,
            length: None,
            children: vec![(Edge::Key, key.clone()), (Edge::Namespace, namespace.clone())],
        }
    }

    /// The serializer of a basic type, where no snapshot of it is at hand.
    #[must_use]
    pub fn of_basic(basic: Basic) -> Self {
        let class = basic.name().to_owned();
        Self { class, version: 1, kind: Kind::Basic(basic), offset: 0, length: None, children: Vec::new() }
    }

    /// The child at a position.
    #[must_use]
    pub fn child(&self, index: usize) -> Option<&Self> {
        self.children.get(index).map(|(_, child)| child)
    }

    /// The first child with this edge.
    #[must_use]
    pub fn part(&self, edge: &Edge) -> Option<&Self> {
        self.children.iter().find(|(e, _)| e == edge).map(|(_, child)| child)
    }

    /// Whether the class is not known or its content could not be decoded.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        matches!(self.kind, Kind::Unknown { .. })
    }

    /// Whether everything was read, here and in all that is nested.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.length.is_some() && !self.is_opaque() && self.children.iter().all(|(_, c)| c.is_complete())
    }

    /// Whether values of this state carry a TTL timestamp. Looks where Flink puts it: at the top, or
    /// in the elements of a list or the values of a map.
    #[must_use]
    pub fn has_ttl(&self) -> bool {
        match &self.kind {
            Kind::Ttl => true,
            Kind::TtlAware { enabled } => *enabled || self.children.iter().any(|(_, c)| c.has_ttl()),
            Kind::List | Kind::Map | Kind::Transparent | Kind::Nullable { .. } => {
                self.children.iter().any(|(edge, child)| *edge != Edge::Key && child.has_ttl())
            }
            _ => false,
        }
    }
}

impl Edge {
    /// Whether it leads to a type that is not part of the declared type.
    #[must_use]
    pub fn is_subclass(&self) -> bool {
        matches!(self, Self::RegisteredSubclass(_) | Self::NonRegisteredSubclass(_))
    }
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key => f.write_str("key"),
            Self::Value => f.write_str("value"),
            Self::Element => f.write_str("element"),
            Self::Namespace => f.write_str("namespace"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Wrapped => f.write_str("wrapped"),
            Self::Component => f.write_str("component"),
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::Position(i) => write!(f, "f{i}"),
            Self::Field(name) => f.write_str(name),
            Self::RegisteredSubclass(class) | Self::NonRegisteredSubclass(class) => {
                write!(f, "<{}>", render::short(class))
            }
            Self::Part(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
