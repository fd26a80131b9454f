//! SQL's `LogicalType`, from the Java object that a snapshot holds.
//!
//! The classes are those of `org.apache.flink.table.types.logical`; only names and values of their fields
//! are used.

use std::fmt::{self, Write as _};

use crate::cursor::Cursor;
use crate::error::Result;
use crate::java::stream::{JavaStream, ObjectRef, Value};

/// Types may nest this deep, and hold this many types in all: references let a short stream describe a
/// huge tree.
const MAX_DEPTH: u32 = 32;
const MAX_TYPES: usize = 20_000;
/// All names together may be this long, in bytes; longer ones are left out.
const MAX_NAMES: usize = 1 << 20;

/// A type of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalType {
    /// The constant of `LogicalTypeRoot`, such as `INTEGER` or `TIMESTAMP_WITHOUT_TIME_ZONE`; empty if
    /// the object is no logical type.
    pub root: String,
    /// Whether `NULL` is allowed.
    pub nullable: bool,
    /// Length of `CHAR`, `VARCHAR`, `BINARY`, `VARBINARY`.
    pub length: Option<i64>,
    /// Digits of `DECIMAL`; digits of the fraction of a second of times.
    pub precision: Option<i64>,
    /// Digits of `DECIMAL` after the point.
    pub scale: Option<i64>,
    /// Class behind `RAW` and structured types.
    pub class: Option<String>,
    /// Elements of an array or multiset, key and value of a map, fields of a row, source of a distinct
    /// type.
    pub fields: Vec<LogicalField>,
}

/// A part of a [`LogicalType`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalField {
    /// Name, of a field of a row or structured type.
    pub name: Option<String>,
    /// Type.
    pub logical_type: LogicalType,
}

impl LogicalType {
    /// Parses a serialization stream that holds a logical type.
    ///
    /// # Errors
    /// Those of [`JavaStream::parse`]. An object that is no logical type has an empty root.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        Ok(Self::of(JavaStream::parse(cursor)?.root()))
    }

    /// From an object.
    #[must_use]
    pub fn of(object: ObjectRef<'_>) -> Self {
        Builder { left: MAX_TYPES, names: MAX_NAMES }.build(Value::Object(object), 0)
    }

    pub(super) fn of_value(value: Value<'_>) -> Self {
        Builder { left: MAX_TYPES, names: MAX_NAMES }.build(value, 0)
    }
}

struct Builder {
    left: usize,
    names: usize,
}

impl Builder {
    fn build(&mut self, value: Value<'_>, depth: u32) -> LogicalType {
        let mut out = LogicalType {
            root: String::new(),
            nullable: true,
            length: None,
            precision: None,
            scale: None,
            class: None,
            fields: Vec::new(),
        };
        let Some(object) = value.object() else { return out };
        if depth >= MAX_DEPTH {
            return out;
        }
        self.left = self.left.saturating_sub(1);
        let integer = |name: &str| object.field(name).and_then(Value::integer);
        let text = |name: &str| object.field(name).and_then(Value::string);
        if let Some(root) = object.field("typeRoot").and_then(Value::enum_constant) {
            root.clone_into(&mut out.root);
        }
        out.nullable = object.field("isNullable").and_then(Value::boolean).unwrap_or(true);
        out.length = integer("length");
        out.precision = integer("precision")
            .or_else(|| integer("fractionalPrecision"))
            .or_else(|| integer("yearPrecision"));
        out.scale = integer("scale");
        let class = ["clazz", "implementationClass"].iter().find_map(|f| object.field(f)?.object());
        out.class = class.map(|class| class.class_name()).or_else(|| text("className")).map(str::to_owned);
        for part in ["elementType", "keyType", "valueType", "sourceType"] {
            if let Some(value @ Value::Object(_)) = object.field(part) {
                out.fields.push(LogicalField { name: None, logical_type: self.build(value, depth + 1) });
            }
        }
        for list in ["fields", "attributes"] {
            let elements = object.field(list).and_then(Value::object).and_then(|list| list.elements());
            let elements = elements.unwrap_or_default();
            // Listing them has a cost of its own.
            self.left = self.left.saturating_sub(elements.len());
            for field in elements {
                let Some(field) = field.object() else { continue };
                let name = field.field("name").and_then(Value::string);
                let name = name.filter(|name| name.len() <= self.names).map(str::to_owned);
                self.names -= name.as_ref().map_or(0, String::len);
                let value = field.field("type").unwrap_or(Value::Null);
                if self.left == 0 {
                    return out;
                }
                out.fields.push(LogicalField { name, logical_type: self.build(value, depth + 1) });
            }
        }
        out
    }
}

/// As Flink prints it: `ROW<``id`` BIGINT NOT NULL, ``name`` VARCHAR(20)>`.
impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, suffix) = match self.root.as_str() {
            "" => ("?", ""),
            "INTEGER" => ("INT", ""),
            "TIME_WITHOUT_TIME_ZONE" => ("TIME", ""),
            "TIMESTAMP_WITHOUT_TIME_ZONE" => ("TIMESTAMP", ""),
            "TIMESTAMP_WITH_TIME_ZONE" => ("TIMESTAMP", " WITH TIME ZONE"),
            "TIMESTAMP_WITH_LOCAL_TIME_ZONE" => ("TIMESTAMP_LTZ", ""),
            "INTERVAL_YEAR_MONTH" => ("INTERVAL YEAR TO MONTH", ""),
            "INTERVAL_DAY_TIME" => ("INTERVAL DAY TO SECOND", ""),
            "DISTINCT_TYPE" => ("DISTINCT", ""),
            "STRUCTURED_TYPE" => ("STRUCTURED", ""),
            root => (root, ""),
        };
        f.write_str(name)?;
        match (self.length, self.precision, self.scale) {
            (Some(length), _, _) => write!(f, "({length})")?,
            (None, Some(precision), Some(scale)) => write!(f, "({precision}, {scale})")?,
            (None, Some(precision), None) => write!(f, "({precision})")?,
            (None, None, _) => {}
        }
        if self.fields.is_empty() {
            if let Some(class) = &self.class {
                write!(f, "('{class}')")?;
            }
        } else {
            f.write_char('<')?;
            for (i, field) in self.fields.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                if let Some(name) = &field.name {
                    write!(f, "`{}` ", name.replace('`', "``"))?;
                }
                field.logical_type.fmt(f)?;
            }
            f.write_char('>')?;
        }
        f.write_str(suffix)?;
        if !self.nullable && !self.root.is_empty() {
            f.write_str(" NOT NULL")?;
        }
        Ok(())
    }
}
