//! What `TypeSerializer.getLength()` returns, of every serializer.
//!
//! Composite keys of RocksDB have lengths in them exactly where the key's and the namespace's serializer both return
//! -1. From the class files of Flink 1.13, 1.20 and 2.3, which agree on what is negative; on windows they do not agree
//! (0 in 1.13, then 8 or 16), which shows where `TupleSerializerBase` adds them up: a part of 0 makes a tuple -1.

use super::basic::{Shape, shape};
use crate::flink::serializer::{Basic, Edge, Kind, SerializerSnapshot};

/// What `TypeSerializer.getLength()` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeclaredLength {
    /// Not negative.
    Fixed(u32),
    /// Negative.
    Variable,
    /// Not known: the class is not, or its releases differ.
    Unknown,
}

use DeclaredLength::{Fixed, Unknown, Variable};

impl DeclaredLength {
    /// `CompositeSerializer`: the sum, unless a part is negative.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Fixed(a), Fixed(b)) => Fixed(a.saturating_add(b)),
            (Variable, _) | (_, Variable) => Variable,
            _ => Unknown,
        }
    }

    /// `TupleSerializerBase`: a part must be positive.
    fn and_positive(self, other: Self) -> Self {
        self.and(if other == Fixed(0) { Variable } else { other })
    }
}

pub(super) fn declared(node: &SerializerSnapshot) -> DeclaredLength {
    let child = |edge: Edge| node.part(&edge).map_or(Unknown, declared);
    match &node.kind {
        Kind::Basic(basic) => of_basic(*basic),
        Kind::Enum { .. } | Kind::ScalaEnum { .. } => Fixed(4),
        Kind::Tuple { .. } | Kind::CaseClass { .. } if node.length.is_none() => Unknown,
        Kind::Tuple { .. } | Kind::CaseClass { .. } => {
            node.children().map(|(_, part)| declared_part(part)).fold(Fixed(0), DeclaredLength::and_positive)
        }
        Kind::Composite { name: "MultisetNode" | "RowSqnInfo" | "MetaSqnInfo" } | Kind::Ttl => {
            if node.length.is_none() {
                return Unknown;
            }
            node.children().map(|(_, part)| declared(part)).fold(Fixed(0), DeclaredLength::and)
        }
        Kind::Nullable { padding } => match u32::try_from(*padding) {
            Ok(padding @ 1..) => Fixed(padding.saturating_add(1)),
            _ => Variable,
        },
        Kind::Transparent | Kind::TtlAware { .. } | Kind::External { .. } => child(Edge::Wrapped),
        Kind::RowDataKey => child(Edge::Part("row")),
        Kind::TimestampData { precision, .. } => Fixed(if *precision <= 3 { 8 } else { 12 }),
        Kind::Timer => Fixed(8).and(child(Edge::Key)).and(child(Edge::Namespace)),
        // `CopyableValue.getBinaryLength()` is up to the class.
        Kind::CopyableValue { .. } | Kind::JavaSerialized | Kind::Unknown { .. } => Unknown,
        Kind::Composite { name: "CRow" } => Variable,
        Kind::List
        | Kind::Set
        | Kind::Map
        | Kind::Either
        | Kind::GenericArray { .. }
        | Kind::Row { .. }
        | Kind::StreamElement
        | Kind::BufferEntry
        | Kind::TaggedUnion
        | Kind::TwoPhaseCommit { .. }
        | Kind::Pojo { .. }
        | Kind::Kryo { .. }
        | Kind::Avro { .. }
        | Kind::Value { .. }
        | Kind::RowData { .. }
        | Kind::BinaryRowData { .. }
        | Kind::ArrayData { .. }
        | Kind::MapData { .. }
        | Kind::DecimalData { .. }
        | Kind::RawValueData
        | Kind::LinkedList { .. }
        | Kind::WindowKey
        | Kind::SortedMap { .. }
        | Kind::ListView
        | Kind::MapView
        | Kind::NullAwareMap
        | Kind::NfaState { .. }
        | Kind::Composite { .. }
        | Kind::ScalaOption
        | Kind::ScalaTry
        | Kind::ScalaEither
        | Kind::Traversable { .. } => Variable,
    }
}

/// A part of a tuple: of windows, releases do not agree on whether it is positive.
fn declared_part(part: &SerializerSnapshot) -> DeclaredLength {
    match part.kind {
        Kind::Basic(
            Basic::TimeWindow
            | Basic::GlobalWindow
            | Basic::TableTimeWindow
            | Basic::TableGlobalWindow
            | Basic::TableCountWindow,
        ) => Unknown,
        _ => declared(part),
    }
}

fn of_basic(basic: Basic) -> DeclaredLength {
    match (basic, shape(basic)) {
        (Basic::VoidNamespace, _) => Fixed(0),
        (_, Shape::Fixed(n)) => Fixed(n),
        _ => Variable,
    }
}
