//! Java Object Serialization streams, parsed by structure: no class is needed and nothing is executed.
//!
//! Flink embeds such streams where it has no format of its own: `CheckpointProperties` at the end of
//! `_metadata`, SQL `LogicalType`s and comparators inside serializer snapshots, legacy serializers.
//! A stream says by itself where it ends:
//!
//! ```text
//! AC ED 00 05                                  magic, version (java.io.ObjectStreamConstants)
//! 73                                           TC_OBJECT
//!   72 00 01 'P'  00..02  02                   TC_CLASSDESC name serialVersionUID flags  -> handle 0x7E0000
//!      00 01  49 00 01 'x'                     1 field: 'I' x
//!      78 70                                   TC_ENDBLOCKDATA (no annotation), TC_NULL (no super class)
//!                                              -> handle 0x7E0001 for the object
//!   00 00 00 07                                values of all classes, the topmost super class first;
//!                                              a class with writeObject() adds block data and
//!                                              objects up to TC_ENDBLOCKDATA
//! ```
//!
//! Every object and class descriptor gets the next handle, and `TC_REFERENCE` names an earlier one; here
//! both live in arenas and are named by index, so that cycles cost nothing.
//!
//! Two things that Java allows cannot be told from the bytes: `Externalizable` data of protocol version 1
//! (refused) and a `writeObject` that does not write the fields its class descriptor declares (no class
//! that Flink writes does so).

mod collections;
mod parse;

use crate::cursor::Cursor;
use crate::error::Result;

/// `SC_WRITE_METHOD`: the class wrote its data itself and ended it with `TC_ENDBLOCKDATA`.
const SC_WRITE_METHOD: u8 = 0x01;
/// `SC_SERIALIZABLE`.
const SC_SERIALIZABLE: u8 = 0x02;
/// `SC_EXTERNALIZABLE`.
const SC_EXTERNALIZABLE: u8 = 0x04;
/// `SC_BLOCK_DATA`: external data is framed (protocol version 2).
const SC_BLOCK_DATA: u8 = 0x08;
/// `SC_ENUM`.
const SC_ENUM: u8 = 0x10;

/// One serialization stream: its top-level object and all that hangs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct JavaStream {
    classes: Vec<ClassDescriptor>,
    objects: Vec<Object>,
    root: Slot,
}

/// A class as the stream describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassDescriptor {
    /// Binary name, such as `java.util.HashMap$Node` or `[I`.
    pub name: String,
    /// `serialVersionUID`; 0 for enums and proxies.
    pub serial_version_uid: i64,
    /// `SC_*` flags.
    pub flags: u8,
    /// The serializable fields, in the order of their values.
    pub fields: Vec<FieldDescriptor>,
    /// Interfaces of a dynamic proxy class; empty for all others.
    pub interfaces: Vec<String>,
    /// Index of the super class.
    parent: Option<usize>,
    /// Length of the chain of super classes, once they are read.
    chain: Option<u32>,
}

/// A field of a [`ClassDescriptor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDescriptor {
    /// Name.
    pub name: String,
    /// Type as a JVM descriptor: `I`, `Z`, `Ljava/lang/String;`, `[J`.
    pub descriptor: String,
}

/// A value in the arena's terms.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Slot {
    Null,
    Boolean(bool),
    Byte(i8),
    Char(u16),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Object(usize),
}

/// What a handle of the stream may name.
#[derive(Debug, Clone, PartialEq)]
enum Object {
    String(String),
    Instance { class: usize, data: Vec<ClassData> },
    Array { class: usize, elements: Vec<Slot> },
    Bytes { class: usize, bytes: Vec<u8> },
    Enum { class: usize, constant: String },
    Class { class: usize },
    Descriptor { class: usize },
}

/// What one class of an object's hierarchy contributed.
#[derive(Debug, Clone, PartialEq)]
struct ClassData {
    class: usize,
    values: Vec<Slot>,
    annotation: Vec<Content>,
}

/// A piece of what `writeObject` or `writeExternal` wrote.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    Block(Vec<u8>),
    Value(Slot),
}

/// A value of a field, an array or a collection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `boolean`.
    Boolean(bool),
    /// `byte`.
    Byte(i8),
    /// `char`: one UTF-16 unit.
    Char(u16),
    /// `short`.
    Short(i16),
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
    /// A string, enum constant, array, class or any other object.
    Object(ObjectRef<'a>),
}

/// What sort of thing an [`ObjectRef`] points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// `null`, which only a top-level "object" can be.
    Null,
    /// `java.lang.String`.
    String,
    /// An object with fields.
    Instance,
    /// An array.
    Array,
    /// A constant of an enum.
    Enum,
    /// A `java.lang.Class`.
    Class,
    /// A `java.io.ObjectStreamClass`.
    ClassDescriptor,
}

/// A piece of the data that a class wrote beside its fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Annotation<'a> {
    /// Primitive data, as `DataOutput` writes it.
    Block(&'a [u8]),
    /// An object.
    Value(Value<'a>),
}

/// An object of a [`JavaStream`].
#[derive(Clone, Copy)]
pub struct ObjectRef<'a> {
    stream: &'a JavaStream,
    id: Option<usize>,
}

impl JavaStream {
    /// Parses one stream header and one top-level object; ends exactly after it.
    ///
    /// # Errors
    /// Any that the bytes give cause for. The cursor is left where it was.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        let mut ahead = cursor.clone();
        let stream = parse::stream(&mut ahead)?;
        *cursor = ahead;
        Ok(stream)
    }

    /// The top-level object.
    #[must_use]
    pub fn root(&self) -> ObjectRef<'_> {
        match self.root {
            Slot::Object(id) => ObjectRef { stream: self, id: Some(id) },
            _ => ObjectRef { stream: self, id: None },
        }
    }

    /// All class descriptors, in the order of the stream.
    #[must_use]
    pub fn classes(&self) -> &[ClassDescriptor] {
        &self.classes
    }

    /// All objects, in the order in which they begin: strings and class descriptors, too.
    pub fn objects(&self) -> impl Iterator<Item = ObjectRef<'_>> {
        (0..self.objects.len()).map(|id| ObjectRef { stream: self, id: Some(id) })
    }

    fn value(&self, slot: Slot) -> Value<'_> {
        match slot {
            Slot::Null => Value::Null,
            Slot::Boolean(v) => Value::Boolean(v),
            Slot::Byte(v) => Value::Byte(v),
            Slot::Char(v) => Value::Char(v),
            Slot::Short(v) => Value::Short(v),
            Slot::Int(v) => Value::Int(v),
            Slot::Long(v) => Value::Long(v),
            Slot::Float(v) => Value::Float(v),
            Slot::Double(v) => Value::Double(v),
            Slot::Object(id) => Value::Object(ObjectRef { stream: self, id: Some(id) }),
        }
    }
}

impl<'a> ObjectRef<'a> {
    fn object(&self) -> Option<&'a Object> {
        self.id.and_then(|id| self.stream.objects.get(id))
    }

    /// What sort of thing it is.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        match self.object() {
            None => ObjectKind::Null,
            Some(Object::String(_)) => ObjectKind::String,
            Some(Object::Instance { .. }) => ObjectKind::Instance,
            Some(Object::Array { .. } | Object::Bytes { .. }) => ObjectKind::Array,
            Some(Object::Enum { .. }) => ObjectKind::Enum,
            Some(Object::Class { .. }) => ObjectKind::Class,
            Some(Object::Descriptor { .. }) => ObjectKind::ClassDescriptor,
        }
    }

    /// Its class; for a `Class` object, the class that it stands for. `None` for strings and null.
    #[must_use]
    pub fn class(&self) -> Option<&'a ClassDescriptor> {
        let class = match self.object()? {
            Object::String(_) => return None,
            Object::Instance { class, .. }
            | Object::Array { class, .. }
            | Object::Bytes { class, .. }
            | Object::Enum { class, .. }
            | Object::Class { class }
            | Object::Descriptor { class } => *class,
        };
        self.stream.classes.get(class)
    }

    /// The name of its class; empty for null.
    #[must_use]
    pub fn class_name(&self) -> &'a str {
        match self.object() {
            None => "",
            Some(Object::String(_)) => "java.lang.String",
            Some(_) => self.class().map_or("", |class| &class.name),
        }
    }

    /// The names of its class and super classes, its own first.
    #[must_use]
    pub fn class_chain(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        let mut next = self.class();
        while let Some(class) = next {
            names.push(class.name.as_str());
            next = class.parent.and_then(|parent| self.stream.classes.get(parent));
        }
        names
    }

    /// The value of a field, searched from its own class upwards.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Value<'a>> {
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// All fields with their values, those of its own class first.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let stream = self.stream;
        self.data().iter().rev().flat_map(move |data| {
            let fields = stream.classes.get(data.class).map_or(&[][..], |class| &class.fields);
            fields
                .iter()
                .zip(&data.values)
                .map(move |(field, &slot)| (field.name.as_str(), stream.value(slot)))
        })
    }

    /// The content of a string.
    #[must_use]
    pub fn string(&self) -> Option<&'a str> {
        match self.object()? {
            Object::String(text) => Some(text),
            _ => None,
        }
    }

    /// The name of an enum constant.
    #[must_use]
    pub fn enum_constant(&self) -> Option<&'a str> {
        match self.object()? {
            Object::Enum { constant, .. } => Some(constant),
            _ => None,
        }
    }

    /// The content of a `byte[]`.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.object()? {
            Object::Bytes { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The elements of an array other than `byte[]`.
    #[must_use]
    pub fn array(&self) -> Option<Vec<Value<'a>>> {
        match self.object()? {
            Object::Array { elements, .. } => Some(elements.iter().map(|&e| self.stream.value(e)).collect()),
            _ => None,
        }
    }

    /// What the classes of its hierarchy wrote beside their fields, topmost super class first.
    pub fn annotations(&self) -> impl Iterator<Item = Annotation<'a>> + use<'a> {
        let stream = self.stream;
        self.data().iter().flat_map(|data| &data.annotation).map(move |content| match content {
            Content::Block(bytes) => Annotation::Block(bytes),
            Content::Value(slot) => Annotation::Value(stream.value(*slot)),
        })
    }

    fn data(&self) -> &'a [ClassData] {
        match self.object() {
            Some(Object::Instance { data, .. }) => data,
            _ => &[],
        }
    }
}

impl<'a> Value<'a> {
    /// As an object; `None` for primitives and null.
    #[must_use]
    pub fn object(self) -> Option<ObjectRef<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// As a `boolean`.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self {
            Self::Boolean(v) => Some(v),
            _ => None,
        }
    }

    /// As a whole number: `byte`, `short`, `int` or `long`.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self {
            Self::Byte(v) => Some(v.into()),
            Self::Short(v) => Some(v.into()),
            Self::Int(v) => Some(v.into()),
            Self::Long(v) => Some(v),
            _ => None,
        }
    }

    /// As a string.
    #[must_use]
    pub fn string(self) -> Option<&'a str> {
        self.object().and_then(|object| object.string())
    }

    /// As the name of an enum constant.
    #[must_use]
    pub fn enum_constant(self) -> Option<&'a str> {
        self.object().and_then(|object| object.enum_constant())
    }
}

impl PartialEq for ObjectRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.stream, other.stream) && self.id == other.id
    }
}

impl std::fmt::Debug for ObjectRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.string(), self.enum_constant()) {
            (Some(text), _) => write!(f, "{text:?}"),
            (_, Some(constant)) => write!(f, "{}.{constant}", self.class_name()),
            _ => write!(f, "{}@{}", self.class_name(), self.id.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests;
