//! Avro's schemas (Apache Avro 1.11, "Schema Declaration"), as far as they say how values are encoded and what they mean.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::value::Name;

/// A schema: types that name one another by their index, since records may hold themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    types: Vec<AvroType>,
    root: usize,
}

/// A type of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AvroType {
    Null,
    Boolean,
    Int(Option<Logical>),
    Long(Option<Logical>),
    Float,
    Double,
    Bytes(Option<Logical>),
    String,
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Enum(Vec<String>),
    Fixed(u32, Option<Logical>),
    Record {
        /// Full name.
        name: String,
        fields: Vec<(Name, usize)>,
    },
}

/// What a value means beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    LocalTimestampMillis,
    LocalTimestampMicros,
    LocalTimestampNanos,
    Decimal { scale: i32 },
}

impl Schema {
    /// `None` for what is no schema.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let schema: Value = serde_json::from_str(text).ok()?;
        let mut parser = Parser { types: Vec::new(), named: HashMap::new() };
        let root = parser.schema(&schema, "")?;
        Some(Self { types: parser.types, root })
    }

    pub(super) fn root(&self) -> usize {
        self.root
    }

    pub(super) fn get(&self, index: usize) -> &AvroType {
        // Indexes are the parser's own.
        self.types.get(index).unwrap_or(&AvroType::Null)
    }
}

struct Parser {
    types: Vec<AvroType>,
    /// By full name.
    named: HashMap<String, usize>,
}

impl Parser {
    fn add(&mut self, new: AvroType) -> usize {
        self.types.push(new);
        self.types.len() - 1
    }

    fn schema(&mut self, schema: &Value, namespace: &str) -> Option<usize> {
        match schema {
            Value::String(name) => self.name(name, None, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => match object.get("type")? {
                Value::String(name) => self.declared(name, object, namespace),
                // `{"type": {"type": "array", …}}`.
                nested => self.schema(nested, namespace),
            },
            _ => None,
        }
    }

    fn declared(&mut self, name: &str, object: &Map<String, Value>, namespace: &str) -> Option<usize> {
        match name {
            "array" => {
                let items = self.schema(object.get("items")?, namespace)?;
                Some(self.add(AvroType::Array(items)))
            }
            "map" => {
                let values = self.schema(object.get("values")?, namespace)?;
                Some(self.add(AvroType::Map(values)))
            }
            "enum" => {
                let (name, _) = full_name(object, namespace)?;
                let symbols = object.get("symbols").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let symbols = symbols.iter().map(|symbol| symbol.as_str().unwrap_or_default().to_owned());
                let symbols = AvroType::Enum(symbols.collect());
                self.define(name, symbols)
            }
            "fixed" => {
                let (name, _) = full_name(object, namespace)?;
                let size = object.get("size")?.as_u64().and_then(|n| i32::try_from(n).ok())?.unsigned_abs();
                self.define(name, AvroType::Fixed(size, logical(object)))
            }
            "record" | "error" => self.record(object, namespace),
            _ => self.name(name, logical(object), namespace),
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Option<usize> {
        let (name, namespace) = full_name(object, namespace)?;
        let which = self.define(name.clone(), AvroType::Null)?;
        let mut fields = Vec::new();
        for field in object.get("fields")?.as_array()? {
            let index = self.schema(field.get("type")?, &namespace)?;
            fields.push((Name::new(field.get("name").and_then(Value::as_str).unwrap_or_default()), index));
        }
        *self.types.get_mut(which)? = AvroType::Record { name, fields };
        Some(which)
    }

    /// A name is declared once.
    fn define(&mut self, name: String, new: AvroType) -> Option<usize> {
        let index = self.add(new);
        self.named.insert(name, index).is_none().then_some(index)
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Option<usize> {
        let mut indexes = Vec::new();
        for branch in branches {
            indexes.push(self.schema(branch, namespace)?);
        }
        (!indexes.is_empty()).then(|| self.add(AvroType::Union(indexes)))
    }

    fn name(&mut self, name: &str, logical: Option<Logical>, namespace: &str) -> Option<usize> {
        let primitive = match name {
            "null" => AvroType::Null,
            "boolean" => AvroType::Boolean,
            "int" => AvroType::Int(logical),
            "long" => AvroType::Long(logical),
            "float" => AvroType::Float,
            "double" => AvroType::Double,
            "bytes" => AvroType::Bytes(logical),
            "string" => AvroType::String,
            _ => {
                return self.named.get(&qualified(name, namespace)).or_else(|| self.named.get(name)).copied();
            }
        };
        Some(self.add(primitive))
    }
}

/// One that is not known, or does not fit its type, is ignored, as Avro does.
fn logical(object: &Map<String, Value>) -> Option<Logical> {
    let (kind, logical) = (object.get("type")?.as_str()?, object.get("logicalType")?.as_str()?);
    match (kind, logical) {
        ("int", "date") => Some(Logical::Date),
        ("int", "time-millis") => Some(Logical::TimeMillis),
        ("long", "time-micros") => Some(Logical::TimeMicros),
        ("long", "timestamp-millis") => Some(Logical::TimestampMillis),
        ("long", "timestamp-micros") => Some(Logical::TimestampMicros),
        ("long", "timestamp-nanos") => Some(Logical::TimestampNanos),
        ("long", "local-timestamp-millis") => Some(Logical::LocalTimestampMillis),
        ("long", "local-timestamp-micros") => Some(Logical::LocalTimestampMicros),
        ("long", "local-timestamp-nanos") => Some(Logical::LocalTimestampNanos),
        ("bytes" | "fixed", "decimal") => {
            let integer = |value: &Value| value.as_i64().and_then(|n| i32::try_from(n).ok());
            let precision = object.get("precision").and_then(integer)?;
            let scale = object.get("scale").map_or(Some(0), integer)?;
            (precision > 0 && (0..=precision).contains(&scale)).then_some(Logical::Decimal { scale })
        }
        _ => None,
    }
}

/// A declared name with its namespace, and the namespace for what is inside.
fn full_name(object: &Map<String, Value>, namespace: &str) -> Option<(String, String)> {
    let name = object.get("name")?.as_str()?;
    let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let full = qualified(name, namespace);
    let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    Some((full, namespace))
}

fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}
