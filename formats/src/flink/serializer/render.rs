//! A snapshot as a type that a Java programmer can read.

use std::fmt::Write as _;

use super::{Edge, Kind, SerializerSnapshot};

/// How much of a type to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Types nested deeper are `…`.
    pub max_depth: usize,
    /// A longer text is cut to this many characters, the last one `…`.
    pub max_chars: usize,
    /// Whether TTL is shown as `Ttl<…>` around the value.
    pub show_ttl: bool,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { max_depth: 64, max_chars: 4096, show_ttl: true }
    }
}

impl RenderOptions {
    /// For a column of a table.
    #[must_use]
    pub fn brief(max_chars: usize) -> Self {
        Self { max_depth: 4, max_chars, show_ttl: false }
    }
}

impl SerializerSnapshot {
    /// The whole type, such as `Map<String, OrderPojo{id: Long, name: String?}>`.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_with(RenderOptions::default())
    }

    /// The type with bounds.
    #[must_use]
    pub fn render_with(&self, options: RenderOptions) -> String {
        let mut renderer =
            Renderer { out: String::new(), options, budget: options.max_chars.saturating_mul(4) };
        renderer.node(self, 0);
        cut(renderer.out, options.max_chars)
    }
}

fn cut(text: String, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text,
        Some(_) => {
            let mut out: String = text.chars().take(max_chars.saturating_sub(1)).collect();
            out.push('…');
            out
        }
    }
}

/// A class name without its package; nested classes without their outer ones.
pub(super) fn short(class: &str) -> &str {
    let name = class.rsplit('.').next().unwrap_or(class);
    name.rsplit('$').find(|part| !part.is_empty()).unwrap_or(name)
}

struct Renderer {
    out: String,
    options: RenderOptions,
    /// Bytes after which nothing more is added.
    budget: usize,
}

impl Renderer {
    fn text(&mut self, text: &str) {
        if self.out.len() < self.budget {
            self.out.push_str(text);
        }
    }

    fn node(&mut self, node: &SerializerSnapshot, depth: usize) {
        if depth > self.options.max_depth || self.out.len() >= self.budget {
            return self.text("…");
        }
        match &node.kind {
            Kind::Basic(basic) => self.text(basic.name()),
            Kind::List => self.generic("List", node, depth),
            Kind::Set => self.generic("Set", node, depth),
            Kind::Map => self.generic("Map", node, depth),
            Kind::Either | Kind::ScalaEither => self.generic("Either", node, depth),
            Kind::GenericArray { component } => {
                match node.children.first() {
                    Some((_, child)) => self.node(child, depth + 1),
                    None => self.text(short(component)),
                }
                self.text("[]");
            }
            Kind::Tuple { class } | Kind::CaseClass { class } => self.generic(short(class), node, depth),
            Kind::Row { .. } => self.generic("Row", node, depth),
            Kind::Nullable { .. } => {
                self.wrapped(node, depth);
                self.text("?");
            }
            Kind::Transparent | Kind::External { .. } => self.wrapped(node, depth),
            Kind::Ttl => self.ttl(node, depth),
            Kind::TtlAware { enabled } => {
                if *enabled {
                    self.ttl(node, depth)
                } else {
                    self.wrapped(node, depth)
                }
            }
            Kind::Timer => self.generic("Timer", node, depth),
            Kind::StreamElement => self.generic("StreamElement", node, depth),
            Kind::BufferEntry => self.generic("BufferEntry", node, depth),
            Kind::TaggedUnion => self.generic("TaggedUnion", node, depth),
            Kind::TwoPhaseCommit { .. } => self.generic("TwoPhaseCommitState", node, depth),
            Kind::Enum { class, .. } | Kind::ScalaEnum { class, .. } => {
                self.text("enum ");
                self.text(short(class));
            }
            Kind::Pojo { class, .. } => self.pojo(class, node, depth),
            Kind::Kryo { class, .. } => self.named("Kryo<", class),
            Kind::Avro { class, schema } => match class {
                Some(class) => self.named("Avro<", short(class)),
                None => self.named("Avro<", &avro_name(schema)),
            },
            Kind::Value { class } | Kind::CopyableValue { class } => self.named("Value<", short(class)),
            Kind::RowData { types, .. } => {
                self.text("ROW<");
                for (i, logical_type) in types.iter().enumerate() {
                    self.separate(i);
                    self.text(&logical_type.to_string());
                }
                self.text(">");
            }
            Kind::BinaryRowData { fields } => self.format(format_args!("BinaryRow({fields} fields)")),
            Kind::ArrayData { element, .. } => self.format(format_args!("ARRAY<{element}>")),
            Kind::MapData { key, value, .. } => self.format(format_args!("MAP<{key}, {value}>")),
            Kind::DecimalData { precision, scale, .. } => {
                self.format(format_args!("DECIMAL({precision}, {scale})"));
            }
            Kind::TimestampData { precision, .. } => self.format(format_args!("TIMESTAMP({precision})")),
            Kind::RawValueData => self.generic("RAW", node, depth),
            Kind::LinkedList { .. } => self.generic("LinkedList", node, depth),
            Kind::WindowKey => self.generic("WindowKey", node, depth),
            Kind::SortedMap { .. } => self.generic("SortedMap", node, depth),
            Kind::ListView => self.generic("ListView", node, depth),
            Kind::MapView => self.generic("MapView", node, depth),
            Kind::NullAwareMap => self.generic("Map", node, depth),
            Kind::RowDataKey => self.generic("RowDataKey", node, depth),
            Kind::NfaState { .. } => self.generic("NFAState", node, depth),
            Kind::Composite { name } => self.generic(name, node, depth),
            Kind::ScalaOption => self.generic("Option", node, depth),
            Kind::ScalaTry => match node.children.first() {
                Some((_, element)) => {
                    self.text("Try<");
                    self.node(element, depth + 1);
                    self.text(">");
                }
                None => self.text("Try"),
            },
            Kind::Traversable { .. } => self.generic("Traversable", node, depth),
            Kind::JavaSerialized => self.named("?<", &node.class),
            Kind::Unknown { .. } => self.named("?<", &node.class),
        }
    }

    fn format(&mut self, arguments: std::fmt::Arguments<'_>) {
        if self.out.len() < self.budget {
            let _ = self.out.write_fmt(arguments);
        }
    }

    fn named(&mut self, open: &str, name: &str) {
        self.text(open);
        self.text(name);
        self.text(">");
    }

    fn separate(&mut self, i: usize) {
        if i > 0 {
            self.text(", ");
        }
    }

    fn wrapped(&mut self, node: &SerializerSnapshot, depth: usize) {
        match node.part(&Edge::Wrapped) {
            Some(child) => self.node(child, depth),
            None => self.text("?"),
        }
    }

    fn ttl(&mut self, node: &SerializerSnapshot, depth: usize) {
        if self.options.show_ttl {
            self.text("Ttl<");
        }
        self.wrapped(node, depth);
        if self.options.show_ttl {
            self.text(">");
        }
    }

    fn generic(&mut self, name: &str, node: &SerializerSnapshot, depth: usize) {
        self.text(name);
        if node.children.is_empty() {
            return;
        }
        self.text("<");
        for (i, (_, child)) in node.children.iter().enumerate() {
            self.separate(i);
            self.node(child, depth + 1);
        }
        if node.length.is_none() && node.children.last().is_some_and(|(_, child)| !child.is_complete()) {
            // Reading stopped in the last child: there may be more.
            self.text(", …");
        }
        self.text(">");
    }

    fn pojo(&mut self, class: &str, node: &SerializerSnapshot, depth: usize) {
        self.text(short(class));
        self.text("{");
        if depth >= self.options.max_depth {
            self.text("…");
        } else if let Kind::Pojo { fields, .. } = &node.kind {
            for (i, field) in fields.iter().enumerate() {
                self.separate(i);
                self.text(&field.name);
                self.text(": ");
                match field.child.and_then(|child| node.child(child)) {
                    Some(child) => self.node(child, depth + 1),
                    None => self.text("?"),
                }
            }
        }
        self.text("}");
    }
}

/// The record's name, from the schema's text.
fn avro_name(schema: &str) -> String {
    let name = schema.split_once("\"name\":\"").and_then(|(_, rest)| rest.split('"').next());
    name.unwrap_or("schema").to_owned()
}
