//! From a tree of serializer snapshots to a [`Program`].

use super::basic::{Shape, shape};
use super::place::{Maybe, Place, Stops};
use super::program::{Arms, Block, MAX_DEPTH, Op, Pojo, Program};
use super::{StopKind, Walker, Way, avro, declared};
use crate::flink::serializer::{Edge, Kind, PojoField, PojoSubclass, SerializerSnapshot};
use crate::java::mutf8;

/// The steps over one value, before they have a place in the program.
#[derive(Debug, Clone, Default)]
pub(super) struct Code {
    pub(super) ops: Vec<Op>,
    /// Bytes that every value has at least.
    pub(super) min: u64,
    /// How deep blocks nest in it.
    pub(super) nesting: u32,
}

impl Code {
    pub(super) fn skip(n: u32) -> Self {
        let ops = if n == 0 { Vec::new() } else { vec![Op::Skip(n)] };
        Self { ops, min: n.into(), nesting: 0 }
    }

    pub(super) fn op(op: Op, min: u64) -> Self {
        Self { ops: vec![op], min, nesting: 0 }
    }

    /// One that holds blocks.
    pub(super) fn over(op: Op, min: u64, nesting: u32) -> Self {
        Self { ops: vec![op], min, nesting: nesting.saturating_add(1) }
    }

    /// What every value has, if all have the same length.
    pub(super) fn fixed(&self) -> Option<u32> {
        match *self.ops.as_slice() {
            [] => Some(0),
            [Op::Skip(n)] => Some(n),
            _ => None,
        }
    }

    pub(super) fn then(mut self, next: Self) -> Self {
        for op in next.ops {
            match (self.ops.last_mut(), op) {
                (Some(Op::Skip(n)), Op::Skip(m)) if n.checked_add(m).is_some() => *n += m,
                _ => self.ops.push(op),
            }
        }
        self.min = self.min.saturating_add(next.min);
        self.nesting = self.nesting.max(next.nesting);
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct Compiler {
    pub(super) program: Program,
    stops: Stops,
    /// Whether blocks may nest deeper than is walked.
    pub(super) too_deep: bool,
}

pub(super) fn walker(snapshot: &SerializerSnapshot) -> Walker {
    let mut compiler = Compiler::default();
    let code = compiler.node(snapshot, &mut Place::top());
    let way = match *code.ops.as_slice() {
        [] => Way::Fixed(0),
        [Op::Skip(n)] => Way::Fixed(n as usize),
        [Op::String] => Way::String,
        _ => Way::Program(compiler.block(&code)),
    };
    if compiler.too_deep || code.nesting >= MAX_DEPTH {
        let place = Place::top().with(Maybe::Yes);
        compiler.program.too_deep = compiler.stops.add(StopKind::TooDeep, &snapshot.class, &place);
    }
    let Compiler { program, stops, .. } = compiler;
    Walker { way, program, stops: stops.0, declared: declared::declared(snapshot) }
}

/// A count as a field of an operation: it is a lower bound there.
fn at_least(min: u64) -> u32 {
    u32::try_from(min).unwrap_or(u32::MAX)
}

impl Compiler {
    pub(super) fn block(&mut self, code: &Code) -> Block {
        let start = self.program.ops.len() as u32;
        self.program.ops.extend_from_slice(&code.ops);
        Block { start, end: self.program.ops.len() as u32 }
    }

    pub(super) fn arms(&mut self, codes: &[Code]) -> Arms {
        let blocks: Vec<_> = codes.iter().map(|code| self.block(code)).collect();
        let start = self.program.arms.len() as u32;
        self.program.arms.extend(blocks);
        Arms { start, end: self.program.arms.len() as u32 }
    }

    fn stop(&mut self, kind: StopKind, class: &str, place: &Place<'_>) -> Code {
        Code::op(Op::Stop(self.stops.add(kind, class, place)), 0)
    }

    /// i32 n, n times the code.
    pub(super) fn repeat(&mut self, code: &Code) -> Code {
        let body = self.block(code);
        Code::over(Op::Repeat { body, min: at_least(code.min) }, 4, code.nesting)
    }

    /// Blocks of Avro.
    pub(super) fn blocks(&mut self, code: &Code) -> Code {
        let body = self.block(code);
        Code::over(Op::Blocks { body, min: at_least(code.min) }, 1, code.nesting)
    }

    /// A boolean, and the code where it is `present`.
    fn optional(&mut self, present: bool, absent: u32, code: &Code) -> Code {
        // Both of the same length: nothing depends on the flag.
        if code.fixed() == Some(absent) {
            return Code::skip(1).then(Code::skip(absent));
        }
        let body = self.block(code);
        let min = 1 + code.min.min(absent.into());
        Code::over(Op::Optional { present, absent, body }, min, code.nesting)
    }

    /// u8 tag, and the code that has it.
    fn choice(&mut self, first: u8, codes: &[Code]) -> Code {
        let min = 1 + codes.iter().map(|code| code.min).min().unwrap_or(0);
        let nesting = codes.iter().map(|code| code.nesting).max().unwrap_or(0);
        let arms = self.arms(codes);
        Code::over(Op::Choice { first, arms }, min, nesting)
    }

    /// A mask, and the codes whose bits are 0.
    fn masked(&mut self, lead: u8, codes: &[Code]) -> Code {
        let bytes = (usize::from(lead) + codes.len()).div_ceil(8) as u64;
        if bytes == 0 {
            return Code::default();
        }
        let nesting = codes.iter().map(|code| code.nesting).max().unwrap_or(0);
        let arms = self.arms(codes);
        Code::over(Op::Masked { lead, arms }, bytes, nesting)
    }

    /// A part that every value has, if it has the whole.
    fn part<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        which: &Edge,
        place: &mut Place<'a>,
        maybe: Maybe,
    ) -> Code {
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
    ) -> Code {
        place.within(edge, maybe, |place| self.node(child, place))
    }

    /// All parts, in their order.
    fn sequence<'a>(&mut self, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Code {
        let mut code = Code::default();
        for (edge, child) in node.children() {
            code = code.then(self.child(edge, child, place, Maybe::No));
        }
        // Nothing says how many there are.
        if node.length.is_none() {
            code = code.then(self.stop(StopKind::Undecodable, &node.class, place));
        }
        code
    }

    fn node<'a>(&mut self, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Code {
        use Maybe::{No, Yes};
        match &node.kind {
            Kind::Basic(basic) => match shape(*basic) {
                Shape::Fixed(n) => Code::skip(n),
                Shape::String => Code::op(Op::String, 1),
                Shape::StringValue => Code::op(Op::StringValue, 1),
                Shape::BigInteger => Code::op(Op::BigInteger, 4),
                Shape::BigDecimal => Code::op(Op::BigDecimal, 4),
                Shape::Variant => Code::op(Op::Variant, 8),
                Shape::Sized(unit) => Code::op(Op::Sized(unit), 4),
                Shape::Strings => self.repeat(&Code::op(Op::String, 1)),
                Shape::Stop(kind) => self.stop(kind, &node.class, place),
            },
            Kind::Enum { .. } | Kind::ScalaEnum { .. } => Code::skip(4),
            Kind::List => {
                let element = self.part(node, &Edge::Element, place, Yes);
                self.repeat(&element)
            }
            Kind::Set => {
                let element = self.part(node, &Edge::Element, place, Yes);
                let element = self.optional(false, 0, &element);
                self.repeat(&element)
            }
            Kind::GenericArray { .. } => self.array(&Edge::Component, node, place),
            Kind::Traversable { .. } => self.array(&Edge::Element, node, place),
            Kind::Map | Kind::SortedMap { .. } => {
                let key = self.part(node, &Edge::Key, place, Yes);
                let value = self.part(node, &Edge::Value, place, Yes);
                let value = self.optional(false, 0, &value);
                self.repeat(&key.then(value))
            }
            Kind::NullAwareMap => {
                let key = self.part(node, &Edge::Key, place, Yes);
                let key = self.optional(false, 0, &key);
                let value = self.part(node, &Edge::Value, place, Yes);
                let value = self.optional(false, 0, &value);
                self.repeat(&key.then(value))
            }
            Kind::LinkedList { has_null_mask } => {
                let element = self.part(node, &Edge::Element, place, Yes);
                if *has_null_mask {
                    let body = self.block(&element);
                    Code::over(Op::MaskedRepeat { body }, 4, element.nesting)
                } else {
                    self.repeat(&element)
                }
            }
            Kind::Either | Kind::ScalaEither => {
                let left = self.part(node, &Edge::Left, place, Yes);
                let right = self.part(node, &Edge::Right, place, Yes);
                self.choice(0, &[right, left])
            }
            Kind::ScalaTry => {
                let element = self.part(node, &Edge::Element, place, Yes);
                let throwable = self.part(node, &Edge::Part("throwable"), place, Yes);
                self.choice(0, &[throwable, element])
            }
            Kind::ScalaOption => {
                let element = self.part(node, &Edge::Element, place, Yes);
                self.optional(true, 0, &element)
            }
            Kind::Nullable { padding } => {
                let wrapped = self.part(node, &Edge::Wrapped, place, Yes);
                match u32::try_from(*padding) {
                    Ok(padding) => self.optional(false, padding, &wrapped),
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
                timestamp.then(self.part(node, &Edge::Wrapped, place, No))
            }
            Kind::Timer => {
                let key = self.part(node, &Edge::Key, place, No);
                Code::skip(8).then(key).then(self.part(node, &Edge::Namespace, place, No))
            }
            Kind::WindowKey => Code::skip(8).then(self.part(node, &Edge::Key, place, No)),
            Kind::Tuple { .. } | Kind::CaseClass { .. } => self.sequence(node, place),
            // Of a row that could not be read to its end, not even the length of the mask is known.
            Kind::Row { .. } if node.length.is_none() => self.stop(StopKind::Undecodable, &node.class, place),
            Kind::Row { supports_row_kind } => {
                let lead = if *supports_row_kind { 2 } else { 0 };
                let fields: Vec<_> =
                    node.children().map(|(edge, child)| self.child(edge, child, place, Yes)).collect();
                self.masked(lead, &fields)
            }
            Kind::RowData { python: false, .. }
            | Kind::BinaryRowData { .. }
            | Kind::ArrayData { python: false, .. }
            | Kind::MapData { python: false, .. }
            | Kind::RawValueData
            | Kind::DecimalData { python: true, .. } => Code::op(Op::Sized(1), 4),
            Kind::DecimalData { precision, python: false, .. } => {
                if *precision <= 18 {
                    Code::skip(8)
                } else {
                    Code::op(Op::Sized(1), 4)
                }
            }
            Kind::TimestampData { precision, .. } => Code::skip(if *precision <= 3 { 8 } else { 12 }),
            Kind::Pojo { fields, registered, non_registered, .. } => {
                self.pojo(node, fields, registered, non_registered, place)
            }
            Kind::Avro { schema, .. } => match avro::compile(self, schema) {
                Some(code) => code,
                None => self.stop(StopKind::BadSchema, &node.class, place),
            },
            Kind::StreamElement => self.stream_element(node, place),
            Kind::BufferEntry => Code::skip(1).then(self.part(node, &Edge::Element, place, No)),
            Kind::TaggedUnion => {
                let left = self.part(node, &Edge::Left, place, Yes);
                let right = self.part(node, &Edge::Right, place, Yes);
                self.choice(1, &[left, right])
            }
            Kind::TwoPhaseCommit { supports_null_transaction } => {
                self.two_phase_commit(node, *supports_null_transaction, place)
            }
            Kind::NfaState { supports_previous_timestamp } => {
                self.nfa_state(node, *supports_previous_timestamp, place)
            }
            Kind::Composite { name } => self.composite(name, node, place),
            Kind::Kryo { class, .. } => self.stop(StopKind::Kryo, class, place),
            Kind::Value { class } | Kind::CopyableValue { class } => self.stop(StopKind::Value, class, place),
            // Containers of PyFlink's own.
            Kind::RowData { python: true, .. }
            | Kind::ArrayData { python: true, .. }
            | Kind::MapData { python: true, .. } => self.stop(StopKind::Unsupported, &node.class, place),
            Kind::JavaSerialized => self.stop(StopKind::JavaSerialized, &node.class, place),
            Kind::Unknown { error: None, serializer } => {
                let class = serializer.as_ref().unwrap_or(&node.class);
                self.stop(StopKind::UnknownClass, class, place)
            }
            Kind::Unknown { error: Some(_), .. } => self.stop(StopKind::Undecodable, &node.class, place),
        }
    }

    fn array<'a>(&mut self, which: &Edge, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Code {
        let element = self.part(node, which, place, Maybe::Yes);
        let element = self.optional(true, 0, &element);
        self.repeat(&element)
    }

    fn pojo<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        fields: &'a [PojoField],
        registered: &'a [PojoSubclass],
        others: &'a [PojoSubclass],
        place: &mut Place<'a>,
    ) -> Code {
        let mut at = |compiler: &mut Self, child: Option<usize>, class: &str| {
            let found = child.and_then(|child| node.children().nth(child));
            match found {
                Some((edge, child)) => compiler.child(edge, child, place, Maybe::Yes),
                None => compiler.stop(StopKind::Undecodable, class, &place.with(Maybe::Yes)),
            }
        };
        let mut code = Code::default();
        for field in fields {
            let field = at(self, field.child, &node.class);
            code = code.then(self.optional(false, 0, &field));
        }
        let mut nesting = code.nesting;
        let fields = self.block(&code);
        let mut subclass = |compiler: &mut Self, subclass: &PojoSubclass| {
            let code = at(compiler, subclass.child, &subclass.class);
            nesting = nesting.max(code.nesting);
            compiler.block(&code)
        };
        let registered = registered.iter().map(|class| subclass(self, class)).collect();
        let others =
            others.iter().map(|class| (mutf8::encode(&class.class), subclass(self, class))).collect();
        let Kind::Pojo { class, .. } = &node.kind else { return Code::default() };
        let unlisted = self.stops.add(StopKind::UnlistedSubclass, class, &place.with(Maybe::Yes));
        self.program.pojos.push(Pojo { fields, registered, others, unlisted });
        Code::over(Op::Pojo(self.program.pojos.len() as u32 - 1), 1, nesting)
    }

    /// u8 0 with a timestamp │ 1 without │ 2 watermark │ 3 latency marker │ 4 status │ 5 attributes │ 6 watermark of a
    /// subpartition.
    fn stream_element<'a>(&mut self, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Code {
        let element = self.part(node, &Edge::Element, place, Maybe::Yes);
        let stamped = Code::skip(8).then(element.clone());
        let others = [8, 28, 4, 1, 12].map(Code::skip);
        self.choice(0, &[[stamped, element].as_slice(), &others].concat())
    }

    /// [bool present] │ transaction, i64 start │ i32 n │ n × { transaction, i64 start } │ bool present, context.
    fn two_phase_commit<'a>(
        &mut self,
        node: &'a SerializerSnapshot,
        nullable: bool,
        place: &mut Place<'a>,
    ) -> Code {
        let maybe = if nullable { Maybe::Yes } else { Maybe::No };
        let transaction = self.part(node, &Edge::Part("transaction"), place, maybe).then(Code::skip(8));
        let pending = if nullable { self.optional(true, 0, &transaction) } else { transaction.clone() };
        let context = self.part(node, &Edge::Part("context"), place, Maybe::Yes);
        let context = self.optional(true, 0, &context);
        pending.then(self.repeat(&transaction)).then(context)
    }

    /// Partial and completed matches: i32 n │ n × { String state, node, version, i64 start, [i64 previous], bool event
    /// id follows, event id }.
    fn nfa_state<'a>(&mut self, node: &'a SerializerSnapshot, previous: bool, place: &mut Place<'a>) -> Code {
        let node_id = self.part(node, &Edge::Part("nodeId"), place, Maybe::Yes);
        let version = self.part(node, &Edge::Part("version"), place, Maybe::Yes);
        let event = self.part(node, &Edge::Part("eventId"), place, Maybe::Yes);
        let event = self.optional(true, 0, &event);
        let times = Code::skip(if previous { 16 } else { 8 });
        let state = Code::op(Op::String, 1).then(node_id).then(version).then(times).then(event);
        let states = self.repeat(&state);
        states.clone().then(states)
    }

    fn composite<'a>(&mut self, name: &str, node: &'a SerializerSnapshot, place: &mut Place<'a>) -> Code {
        let has = |name: &'static str| node.part(&Edge::Part(name)).is_some();
        match name {
            "MultisetNode" | "RowSqnInfo" | "MetaSqnInfo" | "SharedBufferEdge" => self.sequence(node, place),
            "CRow" => self.part(node, &Edge::Part("row"), place, Maybe::No).then(Code::skip(1)),
            // The count of its locks.
            "Lockable" => Code::skip(4).then(self.part(node, &Edge::Part("element"), place, Maybe::No)),
            "NodeId" => {
                let event = self.part(node, &Edge::Part("eventId"), place, Maybe::Yes);
                self.optional(true, 0, &event.then(Code::op(Op::String, 1)))
            }
            // A list of edges, each since 1.12 with the count of its locks.
            "SharedBufferNode" if has("edge") => {
                let edge = self.part(node, &Edge::Part("edge"), place, Maybe::Yes);
                self.repeat(&Code::skip(4).then(edge))
            }
            "SharedBufferNode" => self.part(node, &Edge::Part("edges"), place, Maybe::No),
            _ => self.stop(StopKind::Unsupported, &node.class, place),
        }
    }
}
