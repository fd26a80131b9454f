//! `CompositeTypeSerializerSnapshot` and its subclasses: some data of their own, then nested snapshots.
//!
//! ```text
//! version 3       i32 0x000DE704 | i32 outer version | outer data | nested
//! version 1, 2    outer data of that version | nested                       (Flink 1.7 and 1.8)
//! ```

use super::class::Composite;
use super::read::{Reader, magic, unknown_version};
use super::{Edge, Kind, LogicalType, SerializerSnapshot};
use crate::cursor::Cursor;
use crate::error::{Result, ResultExt as _};
use crate::java::stream::JavaStream;

/// `CompositeTypeSerializerSnapshot.MAGIC_NUMBER`.
const COMPOSITE_MAGIC: u32 = 0x000D_E704;

impl Reader {
    pub(super) fn composite(
        &mut self,
        composite: Composite,
        node: &mut SerializerSnapshot,
        cursor: &mut Cursor<'_>,
    ) -> Result<()> {
        let outer = match node.version {
            1 | 2 => node.version,
            3 => {
                magic(COMPOSITE_MAGIC, "a composite serializer snapshot starts with 000DE704", cursor)?;
                cursor.i32().field("outer_version")?
            }
            found => {
                return Err(unknown_version(
                    "composite serializer snapshot",
                    found,
                    "1 to 3",
                    cursor.offset(),
                ));
            }
        };
        node.kind = outer_data(composite, outer, cursor)?;
        self.nested(parts(composite), |i| edge(composite, i), node, cursor)
    }
}

/// The data between the outer version and the nested snapshots. Outer versions are those of
/// Flink 1.7 to 2.3.
fn outer_data(composite: Composite, version: i32, cursor: &mut Cursor<'_>) -> Result<Kind> {
    let offset = cursor.offset();
    let range = |max: i32, known: &'static str| {
        if (0..=max).contains(&version) {
            Ok(())
        } else {
            Err(unknown_version("outer serializer snapshot", version, known, offset))
        }
    };
    Ok(match composite {
        Composite::GenericArray => {
            range(1, "1")?;
            Kind::GenericArray { component: cursor.utf().field("component_class")?.into_owned() }
        }
        Composite::Tuple => {
            range(2, "1, 2")?;
            Kind::Tuple { class: cursor.utf().field("tuple_class")?.into_owned() }
        }
        Composite::CaseClass => {
            range(2, "1, 2")?;
            Kind::CaseClass { class: cursor.utf().field("case_class")?.into_owned() }
        }
        Composite::Traversable => {
            range(2, "1, 2")?;
            Kind::Traversable { builder: cursor.utf().field("builder")?.into_owned() }
        }
        Composite::Row => {
            range(4, "1 to 4")?;
            let supports_row_kind = match version {
                4 => cursor.bool().field("supports_row_kind")?,
                _ => version == 3,
            };
            Kind::Row { supports_row_kind }
        }
        Composite::Nullable => {
            range(2, "1, 2")?;
            Kind::Nullable { padding: cursor.i32().field("null_padding_length")? }
        }
        Composite::TwoPhaseCommit => {
            range(4, "1 to 4")?;
            let supports_null_transaction = match version {
                4 => cursor.bool().field("supports_null_transaction")?,
                _ => version == 3,
            };
            Kind::TwoPhaseCommit { supports_null_transaction }
        }
        Composite::LinkedList => {
            range(3, "1 to 3")?;
            let has_null_mask = match version {
                3 => cursor.bool().field("has_null_mask")?,
                _ => version == 2,
            };
            Kind::LinkedList { has_null_mask }
        }
        Composite::External => {
            range(1, "1")?;
            let stream = JavaStream::parse(cursor).field("data_type")?;
            let logical = stream.root().field("logicalType");
            let class = stream.root().field("conversionClass").and_then(|v| v.object());
            Kind::External {
                data_type: LogicalType::of_value(logical.unwrap_or(crate::java::stream::Value::Null)),
                conversion_class: class.map(|class| class.class_name().to_owned()),
                internal_input: cursor.bool().field("is_internal_input")?,
            }
        }
        Composite::NfaState => {
            range(2, "1, 2")?;
            let supports_previous_timestamp =
                version == 2 && cursor.bool().field("supports_previous_timestamp")?;
            Kind::NfaState { supports_previous_timestamp }
        }
        Composite::Named(name, _) => {
            range(2, "0 to 2")?;
            Kind::Composite { name }
        }
        _ => {
            range(2, "0 to 2")?;
            plain_kind(composite)
        }
    })
}

/// Those without data of their own.
pub(super) fn plain_kind(composite: Composite) -> Kind {
    match composite {
        Composite::List => Kind::List,
        Composite::Set => Kind::Set,
        Composite::Map => Kind::Map,
        Composite::Either => Kind::Either,
        Composite::Transparent => Kind::Transparent,
        Composite::Ttl => Kind::Ttl,
        Composite::Timer => Kind::Timer,
        Composite::StreamElement => Kind::StreamElement,
        Composite::BufferEntry => Kind::BufferEntry,
        Composite::TaggedUnion => Kind::TaggedUnion,
        Composite::RawValueData => Kind::RawValueData,
        Composite::WindowKey => Kind::WindowKey,
        Composite::ListView => Kind::ListView,
        Composite::MapView => Kind::MapView,
        Composite::NullAwareMap => Kind::NullAwareMap,
        Composite::ScalaOption => Kind::ScalaOption,
        Composite::ScalaTry => Kind::ScalaTry,
        Composite::ScalaEither => Kind::ScalaEither,
        Composite::Named(name, _) => Kind::Composite { name },
        // These have data; only a caller that read none gets here.
        Composite::GenericArray
        | Composite::Tuple
        | Composite::Row
        | Composite::Nullable
        | Composite::TwoPhaseCommit
        | Composite::External
        | Composite::LinkedList
        | Composite::CaseClass
        | Composite::Traversable
        | Composite::NfaState => Kind::Unknown { error: None, serializer: None },
    }
}

/// How many nested snapshots there are, where that is fixed.
fn parts(composite: Composite) -> Option<usize> {
    match composite {
        Composite::Tuple | Composite::Row | Composite::CaseClass => None,
        Composite::Named(_, []) => None,
        Composite::Named(_, names) => Some(names.len()),
        Composite::NfaState => Some(3),
        Composite::Map
        | Composite::Either
        | Composite::Ttl
        | Composite::Timer
        | Composite::TaggedUnion
        | Composite::TwoPhaseCommit
        | Composite::NullAwareMap
        | Composite::ScalaTry
        | Composite::ScalaEither => Some(2),
        _ => Some(1),
    }
}

pub(super) fn edge(composite: Composite, i: usize) -> Edge {
    let pick = |first: Edge, second: Edge| if i == 0 { first } else { second };
    match composite {
        Composite::List
        | Composite::Set
        | Composite::LinkedList
        | Composite::Traversable
        | Composite::StreamElement
        | Composite::BufferEntry => Edge::Element,
        Composite::Map | Composite::NullAwareMap => pick(Edge::Key, Edge::Value),
        Composite::Either | Composite::TaggedUnion | Composite::ScalaEither => pick(Edge::Left, Edge::Right),
        Composite::GenericArray => Edge::Component,
        Composite::Tuple | Composite::Row | Composite::CaseClass => Edge::Position(i),
        Composite::Ttl => pick(Edge::Timestamp, Edge::Wrapped),
        Composite::Timer => pick(Edge::Key, Edge::Namespace),
        Composite::TwoPhaseCommit => pick(Edge::Part("transaction"), Edge::Part("context")),
        Composite::WindowKey => Edge::Key,
        Composite::ScalaTry => pick(Edge::Element, Edge::Part("throwable")),
        Composite::ScalaOption => Edge::Element,
        Composite::Nullable
        | Composite::Transparent
        | Composite::RawValueData
        | Composite::External
        | Composite::ListView
        | Composite::MapView => Edge::Wrapped,
        Composite::NfaState => Edge::Part(["version", "nodeId", "eventId"].get(i).copied().unwrap_or("part")),
        Composite::Named(_, names) => match names.get(i) {
            Some(&name) => Edge::Part(name),
            None => Edge::Position(i),
        },
    }
}
