//! From a tree of serializer snapshots to nodes of a [`ValueDecoder`].

use super::kryo::{Kryo, KryoVersion};
use super::sink::Name;
use super::sql::{Sql, SqlRow};
use super::{TOO_DEEP, TOO_LARGE, ValueDecoder};
use crate::flink::avro::Schema;
use crate::flink::serializer::{Basic, Edge, Kind, PojoField, PojoSubclass, SerializerSnapshot};
use crate::flink::walk::StopKind;
use crate::flink::walk::basic::{Shape, shape};
use crate::flink::walk::place::{Maybe, Place, Stops};
use crate::java::mutf8;

/// The name of what follows where nothing says how many parts there are.
pub(super) const REST: &str = "$rest";

/// Index of a node.
pub(super) type Id = u32;

/// How to decode a value or a part of one.
#[derive(Debug)]
pub(super) enum Node {
    Basic(Basic),
    /// The names of the constants.
    Enum(Vec<String>),
    /// Names and ids.
    ScalaEnum(Vec<(String, i32)>),
    /// A flag; the part where it is `present`, else so many bytes.
    Optional {
        present: bool,
        absent: u32,
        inner: Id,
    },
    /// A count and as many elements, which have at least `min` bytes each.
    List {
        element: Id,
        min: u32,
    },
    /// A count, a null mask, and the elements that are not null.
    MaskedList {
        element: Id,
    },
    /// A count and as many entries, which have at least `min` bytes each.
    Map {
        key: Id,
        value: Id,
        min: u32,
    },
    /// A tag, counted from `first`, and the part of that name.
    Choice {
        first: u8,
        arms: Vec<(Name, Id)>,
    },
    /// Parts, one behind the other.
    Object(Vec<(Name, Id)>),
    /// A null mask, in front of it perhaps the kind, and the fields that are not null.
    Row {
        kind: bool,
        fields: Vec<(Name, Id)>,
    },
    Pojo(Box<Pojo>),
    /// An element of a stream, or a record of this type.
    StreamElement(Id),
    /// A length and SQL's binary form.
    Sql(Box<Sql>),
    /// SQL's decimal outside of a row.
    Decimal {
        precision: i32,
        scale: i32,
    },
    /// SQL's timestamp outside of a row, or PyFlink's `java.sql.Timestamp`.
    Timestamp {
        precision: i32,
        python: bool,
    },
    /// A length and digits.
    Digits,
    /// A length and the part.
    Raw(Id),
    /// A length and bytes of which nothing is known.
    Untyped,
    Avro(Box<Schema>),
    Kryo(Box<Kryo>),
    /// A Java serialization stream.
    JavaObject,
    /// The index of a stop.
    Stop(u32),
}

/// A POJO.
#[derive(Debug)]
pub(super) struct Pojo {
    pub(super) fields: Vec<(Name, Id)>,
    /// By tag.
    pub(super) registered: Vec<(String, Id)>,
    /// By class name, which is there in modified UTF-8 too.
    pub(super) others: Vec<(Vec<u8>, String, Id)>,
    /// The stop for a class that is none of these.
    pub(super) unlisted: u32,
}

/// A node, and the bytes that every value of it has at least.
#[derive(Debug, Clone, Copy)]
struct Part {
    id: Id,
    min: u64,
}

#[derive(Debug)]
struct Compiler {
    nodes: Vec<Node>,
    stops: Stops,
    kryo: KryoVersion,
}

pub(super) fn decoder(snapshot: &SerializerSnapshot, kryo: KryoVersion) -> ValueDecoder {
    let mut stops = Stops::default();
    let anywhere = Place::top().with(Maybe::Yes);
    let deep = stops.add(StopKind::TooDeep, &snapshot.class, &anywhere);
    let large = stops.add(StopKind::TooLarge, &snapshot.class, &anywhere);
    debug_assert_eq!((deep, large), (TOO_DEEP, TOO_LARGE));
    let mut compiler = Compiler { nodes: Vec::new(), stops, kryo };
    let root = compiler.node(snapshot, &mut Place::top()).id;
    ValueDecoder { nodes: compiler.nodes, root, stops: compiler.stops.0 }
}

fn at_least(min: u64) -> u32 {
    u32::try_from(min).unwrap_or(u32::MAX)
}

impl Compiler {
    fn add(&mut self, node: Node, min: u64) -> Part {
        self.nodes.push(node);
        Part { id: self.nodes.len() as u32 - 1, min }
    }

    fn basic(&mut self, basic: Basic) -> Part {
        let min = match shape(basic) {
            Shape::Fixed(n) => n.into(),
            Shape::String | Shape::StringValue => 1,
            Shape::BigInteger | Shape::BigDecimal | Shape::Sized(_) | Shape::Strings => 4,
            Shape::Variant => 8,
            Shape::Stop(_) => 0,
        };
        self.add(Node::Basic(basic), min)
    }

    fn stop(&mut self, kind: StopKind, class: &str, place: &Place<'_>) -> Part {
        let stop = self.stops.add(kind, class, place);
        self.add(Node::Stop(stop), 0)
    }

    fn optional(&mut self, present: bool, absent: u32, inner: Part) -> Part {
        let min = 1 + inner.min.min(absent.into());
        self.add(Node::Optional { present, absent, inner: inner.id }, min)
    }

    fn list(&mut self, element: Part) -> Part {
        self.add(Node::List { element: element.id, min: at_least(element.min) }, 4)
    }

    fn map(&mut self, key: Part, value: Part) -> Part {
        let min = at_least(key.min.saturating_add(value.min));
        self.add(Node::Map { key: key.id, value: value.id, min }, 4)
    }

    fn choice(&mut self, first: u8, arms: [(&str, Part); 2]) -> Part {
        let min = 1 + arms.iter().map(|(_, arm)| arm.min).min().unwrap_or(0);
        let arms = arms.into_iter().map(|(name, arm)| (Name::new(name), arm.id)).collect();
        self.add(Node::Choice { first, arms }, min)
    }

    fn object(&mut self, parts: &[(&str, Part)]) -> Part {
        let min = parts.iter().fold(0, |min: u64, (_, part)| min.saturating_add(part.min));
        let parts = parts.iter().map(|(name, part)| (Name::new(name), part.id)).collect();
        self.add(Node::Object(parts), min)
    }

    fn part<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        which: &Edge,
        place: &mut Place<'a>,
        maybe: Maybe,
    ) -> Part {
        let found = node.children().find(|(edge, _)| *edge == which);
        match found {
            Some((edge, child)) => self.child(edge, child, place, maybe),
            None => self.stop(StopKind::Undecodable, &node.class, &place.with(maybe)),
        }
    }

    fn child<'a>(
        &mut self,
        edge: &'a Edge,
        child: &'a SerializerSnapshot,
        place: &mut Place<'a>,
        maybe: Maybe,
    ) -> Part {
        place.within(edge, maybe, |place| self.node(child, place))
    }

    /// All parts, named by `name`.
    fn sequence<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        place: &mut Place<'a>,
        name: impl Fn(&Edge) -> String,
    ) -> Part {
        let mut parts = Vec::new();
        for (edge, child) in node.children() {
            parts.push((name(edge), self.child(edge, child, place, Maybe::No)));
        }
        // Nothing says how many there are.
        if node.length.is_none() {
            parts.push((REST.to_owned(), self.stop(StopKind::Undecodable, &node.class, place)));
        }
        let parts: Vec<_> = parts.iter().map(|(name, part)| (name.as_str(), *part)).collect();
        self.object(&parts)
    }

    fn node<'a>(&mut self, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Part {
        use Maybe::{No, Yes};
        match &node.kind {
            Kind::Basic(Basic::JavaObject) => {
                // Of what it cannot read, it says the class itself.
                self.stops.add(StopKind::JavaObject, &node.class, place);
                self.add(Node::JavaObject, 0)
            }
            Kind::Basic(basic) => match shape(*basic) {
                Shape::Stop(kind) => self.stop(kind, &node.class, place),
                _ => self.basic(*basic),
            },
            Kind::Enum { constants, .. } => self.add(Node::Enum(constants.clone()), 4),
            Kind::ScalaEnum { constants, .. } => self.add(Node::ScalaEnum(constants.clone()), 4),
            Kind::List => {
                let element = self.part(node, &Edge::Element, place, Yes);
                self.list(element)
            }
            Kind::Set => {
                let element = self.part(node, &Edge::Element, place, Yes);
                let element = self.optional(false, 0, element);
                self.list(element)
            }
            Kind::GenericArray { .. } => self.array(&Edge::Component, node, place),
            Kind::Traversable { .. } => self.array(&Edge::Element, node, place),
            Kind::Map | Kind::SortedMap { .. } => {
                let key = self.part(node, &Edge::Key, place, Yes);
                let value = self.part(node, &Edge::Value, place, Yes);
                let value = self.optional(false, 0, value);
                self.map(key, value)
            }
            Kind::NullAwareMap => {
                let key = self.part(node, &Edge::Key, place, Yes);
                let key = self.optional(false, 0, key);
                let value = self.part(node, &Edge::Value, place, Yes);
                let value = self.optional(false, 0, value);
                self.map(key, value)
            }
            Kind::LinkedList { has_null_mask } => {
                let element = self.part(node, &Edge::Element, place, Yes);
                if *has_null_mask {
                    self.add(Node::MaskedList { element: element.id }, 4)
                } else {
                    self.list(element)
                }
            }
            Kind::Either | Kind::ScalaEither => {
                let left = self.part(node, &Edge::Left, place, Yes);
                let right = self.part(node, &Edge::Right, place, Yes);
                self.choice(0, [("right", right), ("left", left)])
            }
            Kind::ScalaTry => {
                let element = self.part(node, &Edge::Element, place, Yes);
                let throwable = self.part(node, &Edge::Part("throwable"), place, Yes);
                self.choice(0, [("failure", throwable), ("success", element)])
            }
            Kind::ScalaOption => {
                let element = self.part(node, &Edge::Element, place, Yes);
                self.optional(true, 0, element)
            }
            Kind::Nullable { padding } => {
                let wrapped = self.part(node, &Edge::Wrapped, place, Yes);
                match u32::try_from(*padding) {
                    Ok(padding) => self.optional(false, padding, wrapped),
                    Err(_) => self.stop(StopKind::Undecodable, &node.class, place),
                }
            }
            Kind::Transparent
            | Kind::TtlAware { .. }
            | Kind::External { .. }
            | Kind::ListView
            | Kind::MapView => self.part(node, &Edge::Wrapped, place, No),
            Kind::RowDataKey => self.part(node, &Edge::Part("row"), place, No),
            Kind::Ttl => {
                let timestamp = self.part(node, &Edge::Timestamp, place, No);
                let value = self.part(node, &Edge::Wrapped, place, No);
                self.object(&[("$ttl", timestamp), ("value", value)])
            }
            Kind::Timer => {
                // With its sign bit flipped.
                let timestamp = self.basic(Basic::SortedLong);
                let key = self.part(node, &Edge::Key, place, No);
                let namespace = self.part(node, &Edge::Namespace, place, No);
                self.object(&[("timestamp", timestamp), ("key", key), ("namespace", namespace)])
            }
            Kind::WindowKey => {
                let window = self.basic(Basic::Long);
                let key = self.part(node, &Edge::Key, place, No);
                self.object(&[("window", window), ("key", key)])
            }
            Kind::Tuple { .. } => self.sequence(node, place, ToString::to_string),
            Kind::CaseClass { .. } => self.sequence(node, place, |edge| match edge {
                Edge::Position(i) => format!("_{}", i + 1),
                edge => edge.to_string(),
            }),
            // Of a row that could not be read to its end, not even the length of the mask is known.
            Kind::Row { .. } | Kind::RowData { python: true, .. } if node.length.is_none() => {
                self.stop(StopKind::Undecodable, &node.class, place)
            }
            Kind::Row { supports_row_kind } => self.row(*supports_row_kind, node, place),
            // PyFlink writes them as it does `Row`.
            Kind::RowData { python: true, .. } => self.row(true, node, place),
            Kind::RowData { types, python: false } => {
                let mut inner = Vec::new();
                for (i, (edge, child)) in node.children().enumerate() {
                    // Raw values are the only ones that their types do not say all about.
                    let raw = types.get(i).is_some_and(Sql::is_raw) && child.kind == Kind::RawValueData;
                    inner.push(raw.then(|| {
                        place.within(edge, Yes, |place| self.part(child, &Edge::Wrapped, place, Yes).id)
                    }));
                }
                let row = SqlRow::of_types(types, |i| inner.get(i).copied().flatten());
                self.add(Node::Sql(Box::new(Sql::Row(row))), 4)
            }
            Kind::ArrayData { element, python: false } => {
                self.add(Node::Sql(Box::new(Sql::Array(Box::new(Sql::of(element, None))))), 4)
            }
            Kind::MapData { key, value, python: false } => {
                let (key, value) = (Sql::of(key, None), Sql::of(value, None));
                self.add(Node::Sql(Box::new(Sql::Map(Box::new(key), Box::new(value)))), 4)
            }
            Kind::BinaryRowData { .. } => {
                self.stops.add(StopKind::Untyped, &node.class, place);
                self.add(Node::Untyped, 4)
            }
            Kind::RawValueData => {
                let inner = self.part(node, &Edge::Wrapped, place, Yes);
                self.add(Node::Raw(inner.id), 4)
            }
            Kind::DecimalData { python: true, .. } => self.add(Node::Digits, 4),
            Kind::DecimalData { precision, scale, python: false } => {
                let min = if *precision <= 18 { 8 } else { 4 };
                self.add(Node::Decimal { precision: *precision, scale: *scale }, min)
            }
            Kind::TimestampData { precision, python } => {
                let min = if *precision <= 3 { 8 } else { 12 };
                self.add(Node::Timestamp { precision: *precision, python: *python }, min)
            }
            Kind::Pojo { class, fields, registered, non_registered } => {
                self.pojo(node, class, (fields, registered, non_registered), place)
            }
            Kind::Avro { schema, .. } => match Schema::parse(schema) {
                Some(schema) => self.add(Node::Avro(Box::new(schema)), 0),
                None => self.stop(StopKind::BadSchema, &node.class, place),
            },
            Kind::StreamElement => {
                let element = self.part(node, &Edge::Element, place, Yes);
                self.add(Node::StreamElement(element.id), 1)
            }
            Kind::BufferEntry => {
                let joined = self.basic(Basic::Boolean);
                let element = self.part(node, &Edge::Element, place, No);
                self.object(&[("hasBeenJoined", joined), ("element", element)])
            }
            Kind::TaggedUnion => {
                let left = self.part(node, &Edge::Left, place, Yes);
                let right = self.part(node, &Edge::Right, place, Yes);
                self.choice(1, [("left", left), ("right", right)])
            }
            Kind::TwoPhaseCommit { supports_null_transaction } => {
                self.two_phase_commit(node, *supports_null_transaction, place)
            }
            Kind::NfaState { supports_previous_timestamp } => {
                self.nfa_state(node, *supports_previous_timestamp, place)
            }
            Kind::Composite { name } => self.composite(name, node, place),
            Kind::Kryo { class, registrations, defaults } => {
                let stop = self.stops.add(StopKind::Kryo, class, place);
                self.add(Node::Kryo(Box::new(Kryo::new(self.kryo, registrations, defaults, stop))), 0)
            }
            Kind::Value { class } | Kind::CopyableValue { class } => self.stop(StopKind::Value, class, place),
            // Containers of PyFlink's own.
            Kind::ArrayData { python: true, .. } | Kind::MapData { python: true, .. } => {
                self.stop(StopKind::Unsupported, &node.class, place)
            }
            Kind::JavaSerialized => self.stop(StopKind::JavaSerialized, &node.class, place),
            Kind::Unknown { error: None, serializer } => {
                let class = serializer.as_ref().unwrap_or(&node.class);
                self.stop(StopKind::UnknownClass, class, place)
            }
            Kind::Unknown { error: Some(_), .. } => self.stop(StopKind::Undecodable, &node.class, place),
        }
    }

    fn row<'a>(&mut self, kind: bool, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Part {
        let mut fields = Vec::new();
        for (edge, child) in node.children() {
            fields.push((Name::new(&edge.to_string()), self.child(edge, child, place, Maybe::Yes).id));
        }
        let bits = fields.len() + if kind { 2 } else { 0 };
        self.add(Node::Row { kind, fields }, bits.div_ceil(8) as u64)
    }

    fn array<'a>(&mut self, which: &Edge, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Part {
        let element = self.part(node, which, place, Maybe::Yes);
        let element = self.optional(true, 0, element);
        self.list(element)
    }

    fn pojo<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        class: &str,
        (fields, registered, others): (&'a [PojoField], &'a [PojoSubclass], &'a [PojoSubclass]),
        place: &mut Place<'a>,
    ) -> Part {
        let mut at = |compiler: &mut Self, child: Option<usize>, class: &str| {
            let found = child.and_then(|child| node.children().nth(child));
            match found {
                Some((edge, child)) => compiler.child(edge, child, place, Maybe::Yes),
                None => compiler.stop(StopKind::Undecodable, class, &place.with(Maybe::Yes)),
            }
            .id
        };
        let fields =
            fields.iter().map(|field| (Name::new(&field.name), at(self, field.child, &node.class))).collect();
        let registered = registered
            .iter()
            .map(|subclass| (subclass.class.clone(), at(self, subclass.child, &subclass.class)))
            .collect();
        let others = others
            .iter()
            .map(|subclass| {
                let id = at(self, subclass.child, &subclass.class);
                (mutf8::encode(&subclass.class), subclass.class.clone(), id)
            })
            .collect();
        let unlisted = self.stops.add(StopKind::UnlistedSubclass, class, &place.with(Maybe::Yes));
        self.add(Node::Pojo(Box::new(Pojo { fields, registered, others, unlisted })), 1)
    }

    /// [bool present] │ transaction, i64 start │ i32 n │ n × { transaction, i64 start } │ bool present, context.
    fn two_phase_commit<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        nullable: bool,
        place: &mut Place<'a>,
    ) -> Part {
        let maybe = if nullable { Maybe::Yes } else { Maybe::No };
        let transaction = self.part(node, &Edge::Part("transaction"), place, maybe);
        let start = self.basic(Basic::Long);
        let holder = self.object(&[("transaction", transaction), ("transactionStartTime", start)]);
        let pending = if nullable { self.optional(true, 0, holder) } else { holder };
        let commits = self.list(holder);
        let context = self.part(node, &Edge::Part("context"), place, Maybe::Yes);
        let context = self.optional(true, 0, context);
        self.object(&[
            ("pendingTransaction", pending),
            ("pendingCommitTransactions", commits),
            ("context", context),
        ])
    }

    /// Partial and completed matches: i32 n │ n × { String state, node, version, i64 start, [i64 previous], bool event
    /// id follows, event id }.
    fn nfa_state<'a>(&mut self, node: &'a SerializerSnapshot, previous: bool, place: &mut Place<'a>) -> Part {
        let state = self.basic(Basic::String);
        let node_id = self.part(node, &Edge::Part("nodeId"), place, Maybe::Yes);
        let version = self.part(node, &Edge::Part("version"), place, Maybe::Yes);
        let time = self.basic(Basic::Long);
        let event = self.part(node, &Edge::Part("eventId"), place, Maybe::Yes);
        let event = self.optional(true, 0, event);
        let mut parts =
            vec![("state", state), ("nodeId", node_id), ("version", version), ("startTimestamp", time)];
        if previous {
            parts.push(("previousTimestamp", time));
        }
        parts.push(("startEventId", event));
        let state = self.object(&parts);
        let states = self.list(state);
        self.object(&[("partialMatches", states), ("completedMatches", states)])
    }

    fn composite<'a>(&mut self, name: &str, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Part {
        let has = |name: &'static str| node.part(&Edge::Part(name)).is_some();
        match name {
            "MultisetNode" | "RowSqnInfo" | "MetaSqnInfo" | "SharedBufferEdge" => {
                self.sequence(node, place, ToString::to_string)
            }
            "CRow" => {
                let row = self.part(node, &Edge::Part("row"), place, Maybe::No);
                let change = self.basic(Basic::Boolean);
                self.object(&[("row", row), ("change", change)])
            }
            "Lockable" => {
                let count = self.basic(Basic::Int);
                let element = self.part(node, &Edge::Part("element"), place, Maybe::No);
                self.object(&[("refCounter", count), ("element", element)])
            }
            "NodeId" => {
                let event = self.part(node, &Edge::Part("eventId"), place, Maybe::Yes);
                let page = self.basic(Basic::String);
                let node = self.object(&[("eventId", event), ("pageName", page)]);
                self.optional(true, 0, node)
            }
            // A list of edges, each since 1.12 with the count of its locks.
            "SharedBufferNode" if has("edge") => {
                let count = self.basic(Basic::Int);
                let edge = self.part(node, &Edge::Part("edge"), place, Maybe::Yes);
                let edge = self.object(&[("refCounter", count), ("element", edge)]);
                let edges = self.list(edge);
                self.object(&[("edges", edges)])
            }
            "SharedBufferNode" => {
                let edges = self.part(node, &Edge::Part("edges"), place, Maybe::No);
                self.object(&[("edges", edges)])
            }
            _ => self.stop(StopKind::Unsupported, &node.class, place),
        }
    }
}
