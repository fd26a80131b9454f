//! Snapshots with a layout of their own: POJO, Kryo, enums, Avro, SQL.

use super::class::Plain;
use super::optional_map::{self, Entry};
use super::read::{Reader, unknown_version};
use super::{
    Edge, Kind, KryoRegistration, KryoSerializerRef, LogicalType, PojoField, PojoSubclass, SerializerSnapshot,
};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::java::stream::JavaStream;

impl Reader {
    pub(super) fn plain(
        &mut self,
        plain: Plain,
        node: &mut SerializerSnapshot,
        cursor: &mut Cursor<'_>,
    ) -> Result<()> {
        known_version(plain, node.version, cursor.offset())?;
        node.kind = match plain {
            Plain::Pojo => return self.pojo(node, cursor),
            Plain::Kryo => kryo(cursor)?,
            Plain::Enum => {
                let class = cursor.utf().field("enum_class")?.into_owned();
                Kind::Enum { class, constants: names(cursor)? }
            }
            Plain::ScalaEnum => {
                let class = cursor.utf().field("enum_class")?.into_owned();
                Kind::ScalaEnum { class, constants: names_and_ids(cursor)? }
            }
            Plain::Avro => avro(node.version, cursor)?,
            Plain::Value => Kind::Value { class: cursor.utf().field("value_class")?.into_owned() },
            Plain::CopyableValue => {
                Kind::CopyableValue { class: cursor.utf().field("value_class")?.into_owned() }
            }
            Plain::RowData { python } => {
                let count = cursor.count32("row fields", 5)?;
                let mut types = Vec::new();
                for i in 0..count {
                    types.push(LogicalType::parse(cursor).index("types", i)?);
                }
                node.kind = Kind::RowData { types, python };
                return self.nested(Some(count), Edge::Position, node, cursor);
            }
            Plain::BinaryRowData => Kind::BinaryRowData { fields: cursor.i32().field("num_fields")? },
            Plain::ArrayData { python } => {
                let element = LogicalType::parse(cursor).field("element_type")?;
                JavaStream::parse(cursor).field("element_serializer")?;
                Kind::ArrayData { element, python }
            }
            Plain::MapData { python } => {
                let key = LogicalType::parse(cursor).field("key_type")?;
                let value = LogicalType::parse(cursor).field("value_type")?;
                JavaStream::parse(cursor).field("key_serializer")?;
                JavaStream::parse(cursor).field("value_serializer")?;
                Kind::MapData { key, value, python }
            }
            Plain::DecimalData { python } => {
                let precision = cursor.i32().field("precision")?;
                Kind::DecimalData { precision, scale: cursor.i32().field("scale")?, python }
            }
            Plain::TimestampData { python } => {
                Kind::TimestampData { precision: cursor.i32().field("precision")?, python }
            }
            Plain::SortedMap => {
                let comparator = JavaStream::parse(cursor).field("comparator")?;
                node.kind = Kind::SortedMap { comparator: comparator.root().class_name().to_owned() };
                return self.nested(Some(2), key_value, node, cursor);
            }
            Plain::RowDataKey => {
                cursor.bytes32("equaliser").field("equaliser")?;
                cursor.bytes32("hash function").field("hash_function")?;
                node.kind = Kind::RowDataKey;
                self.child(Edge::Part("row"), node, cursor);
                return Ok(());
            }
            Plain::TtlAware => {
                node.kind = Kind::TtlAware { enabled: cursor.bool().field("is_ttl_enabled")? };
                self.child(Edge::Wrapped, node, cursor);
                return Ok(());
            }
            Plain::EitherLegacy => {
                node.kind = Kind::Either;
                let edge = |i| if i == 0 { Edge::Left } else { Edge::Right };
                if node.version == 1 {
                    return self.resilient(edge, node, cursor);
                }
                return self.nested(Some(2), edge, node, cursor);
            }
            Plain::GenericArrayLegacy => {
                if node.version == 1 {
                    self.resilient(|_| Edge::Component, node, cursor)?;
                    let class = JavaStream::parse(cursor).field("component_class")?;
                    node.kind = Kind::GenericArray { component: class.root().class_name().to_owned() };
                    return Ok(());
                }
                let component = cursor.utf().field("component_class")?.into_owned();
                node.kind = Kind::GenericArray { component };
                return self.nested(Some(1), |_| Edge::Component, node, cursor);
            }
        };
        Ok(())
    }

    /// `PojoSerializerSnapshotData`: class | fields | registered subclasses | other subclasses.
    fn pojo(&mut self, node: &mut SerializerSnapshot, cursor: &mut Cursor<'_>) -> Result<()> {
        let class = cursor.utf().field("pojo_class")?.into_owned();
        let mut fields = Vec::new();
        for Entry { name, key, value } in optional_map::read(cursor).field("fields")? {
            let mut declaring_class = None;
            let mut field = name.clone();
            if let Some(mut key) = key {
                declaring_class = Some(key.utf().field("declaring_class")?.into_owned());
                field = key.utf().field("field_name")?.into_owned();
                key.finish()?;
            }
            let child = self.frame(Edge::Field(field.clone()), value, node);
            fields.push(PojoField { name: field, declaring_class, child });
        }
        let mut registered = Vec::new();
        for Entry { name: class, value, .. } in optional_map::read(cursor).field("registered_subclasses")? {
            let child = self.frame(Edge::RegisteredSubclass(class.clone()), value, node);
            registered.push(PojoSubclass { class, child });
        }
        let mut non_registered = Vec::new();
        for Entry { name: class, value, .. } in
            optional_map::read(cursor).field("non_registered_subclasses")?
        {
            let child = self.frame(Edge::NonRegisteredSubclass(class.clone()), value, node);
            non_registered.push(PojoSubclass { class, child });
        }
        node.kind = Kind::Pojo { class, fields, registered, non_registered };
        Ok(())
    }

    /// A snapshot in a frame of its own. Returns its index among the children.
    pub(super) fn frame(
        &mut self,
        edge: Edge,
        bytes: Option<Cursor<'_>>,
        node: &mut SerializerSnapshot,
    ) -> Option<usize> {
        let child = self.framed(&mut bytes?, |reader, cursor| reader.versioned(cursor));
        node.children.push((edge, child));
        Some(node.children.len() - 1)
    }
}

fn known_version(plain: Plain, version: i32, offset: u64) -> Result<()> {
    let (versions, known) = match plain {
        Plain::Pojo | Plain::Kryo | Plain::Value | Plain::CopyableValue => (2..=2, "2"),
        Plain::Enum | Plain::ScalaEnum | Plain::BinaryRowData | Plain::SortedMap => (3..=3, "3"),
        Plain::Avro => (1..=3, "1 to 3"),
        // 1.9's serializers of these wrote the same under version 3; PyFlink's counts from 1.
        Plain::RowData { .. } | Plain::DecimalData { python: false } => (3..=3, "3"),
        Plain::ArrayData { python } | Plain::MapData { python } => {
            if python {
                (1..=1, "1")
            } else {
                (3..=3, "3")
            }
        }
        Plain::DecimalData { python: true } | Plain::TimestampData { .. } | Plain::TtlAware => (1..=1, "1"),
        Plain::RowDataKey => (0..=0, "0"),
        Plain::EitherLegacy | Plain::GenericArrayLegacy => (1..=2, "1, 2"),
    };
    if versions.contains(&version) {
        Ok(())
    } else {
        Err(unknown_version("serializer snapshot", version, known, offset))
    }
}

pub(super) fn key_value(i: usize) -> Edge {
    if i == 0 { Edge::Key } else { Edge::Value }
}

pub(super) fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    let count = cursor.count32("enum constants", 2)?;
    let mut constants = Vec::new();
    for i in 0..count {
        constants.push(cursor.utf().index("constants", i)?.into_owned());
    }
    Ok(constants)
}

pub(super) fn names_and_ids(cursor: &mut Cursor<'_>) -> Result<Vec<(String, i32)>> {
    let count = cursor.count32("enum constants", 6)?;
    let mut constants = Vec::new();
    for i in 0..count {
        let name = cursor.utf().index("constants", i)?.into_owned();
        constants.push((name, cursor.i32().index("constants", i)?));
    }
    Ok(constants)
}

/// `KryoSerializerSnapshotData`: class | registrations | default serializers | their classes.
fn kryo(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let class = cursor.utf().field("kryo_class")?.into_owned();
    let mut registrations = Vec::new();
    for Entry { name, value, .. } in optional_map::read(cursor).field("registrations")? {
        registrations.push(match value {
            None => KryoRegistration { class: name, serializer: KryoSerializerRef::Missing },
            Some(mut value) => {
                let found = kryo_registration(&mut value).field("registration")?;
                value.finish()?;
                found
            }
        });
    }
    let mut defaults = Vec::new();
    for Entry { name: class, value, .. } in optional_map::read(cursor).field("default_serializers")? {
        // An instance that cannot be parsed stays in its frame.
        let serializer = match value.and_then(|mut value| JavaStream::parse(&mut value).ok()) {
            Some(stream) => KryoSerializerRef::Instance(stream.root().class_name().to_owned()),
            None => KryoSerializerRef::Missing,
        };
        defaults.push(KryoRegistration { class, serializer });
    }
    for Entry { name: class, value, .. } in optional_map::read(cursor).field("default_serializer_classes")? {
        let serializer = match value {
            Some(mut value) => KryoSerializerRef::Class(value.utf().field("serializer_class")?.into_owned()),
            None => KryoSerializerRef::Missing,
        };
        defaults.push(KryoRegistration { class, serializer });
    }
    Ok(Kind::Kryo { class, registrations, defaults })
}

/// `KryoRegistrationUtil`: class | i32 kind | serializer.
pub(super) fn kryo_registration(cursor: &mut Cursor<'_>) -> Result<KryoRegistration> {
    let class = cursor.utf().field("class")?.into_owned();
    let offset = cursor.offset();
    let serializer = match cursor.i32().field("serializer_definition_type")? {
        0 => KryoSerializerRef::Unspecified,
        1 => KryoSerializerRef::Class(cursor.utf().field("serializer_class")?.into_owned()),
        2 => {
            let stream = JavaStream::parse(cursor).field("serializer")?;
            KryoSerializerRef::Instance(stream.root().class_name().to_owned())
        }
        found => {
            let kind = ErrorKind::UnknownTag { what: "Kryo serializer definition", found: found.into() };
            return Err(Error::new(kind, offset));
        }
    };
    Ok(KryoRegistration { class, serializer })
}

/// Version 1: schema; 2: class and schema, both at most 65535 bytes; 3: class, and a schema of any length.
fn avro(version: i32, cursor: &mut Cursor<'_>) -> Result<Kind> {
    if version == 1 {
        return Ok(Kind::Avro { class: None, schema: cursor.utf().field("schema")?.into_owned() });
    }
    let class = Some(cursor.utf().field("runtime_class")?.into_owned());
    let schema = match (version, cursor.rest().first()) {
        (2, _) => cursor.utf().field("schema")?.into_owned(),
        // As a length and UTF-8. A `StringValue` that starts with 0 would be null.
        (_, Some(0)) => {
            let offset = cursor.offset();
            let bytes = cursor.bytes32("Avro schema").field("schema")?;
            let text = std::str::from_utf8(bytes);
            text.map_err(|e| Error::invalid("an Avro schema is UTF-8", e.to_string(), offset))?.to_owned()
        }
        _ => string_value(cursor).field("schema")?,
    };
    let offset = cursor.offset();
    if !schema.trim_start().starts_with(['{', '[', '"']) {
        let found: String = schema.chars().take(40).collect();
        return Err(Error::invalid("an Avro schema is JSON", found, offset));
    }
    Ok(Kind::Avro { class, schema })
}

/// `StringValue.writeString`: length + 1, then UTF-16 units, each as a varint.
fn string_value(cursor: &mut Cursor<'_>) -> Result<String> {
    let offset = cursor.offset();
    let length = cursor.varint32()?;
    let count = cursor.check_count("string", i64::from(length) - 1, 1, offset)?;
    let mut units = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = cursor.offset();
        let unit = cursor.varint32()?;
        units.push(
            u16::try_from(unit)
                .map_err(|_| Error::invalid("a character has 16 bits", unit.to_string(), offset))?,
        );
    }
    Ok(String::from_utf16_lossy(&units))
}
