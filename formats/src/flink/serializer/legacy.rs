//! What Flink wrote before 1.8: serializers as Java objects, and `TypeSerializerConfigSnapshot`s.
//!
//! ```text
//! serializer       i32 1 | i32 length | Java object                (TypeSerializerSerializationProxy)
//! resilience block i32 n | n * { i32 offset of serializer, i32 offset of snapshot } | i32 length | bytes
//!                                                           (writeSerializersAndConfigsWithResilience)
//! ```
//!
//! Checked against the readers and writers of Flink 1.13; the writing releases are 1.2 to 1.7.

use super::basic::Basic;
use super::class::{Composite, Legacy};
use super::plain::{kryo_registration, names, names_and_ids};
use super::read::{Reader, read_proxy, unknown_version};
use super::{Edge, Kind, PojoField, PojoSubclass, SerializerSnapshot, composite};
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};
use crate::java::mutf8;
use crate::java::stream::JavaStream;

/// A serializer as a Java object in its frame; its class, if the object can be parsed.
pub(crate) fn serializer_blob(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    let offset = cursor.offset();
    let version = cursor.i32()?;
    if version != 1 {
        return Err(unknown_version("serializer proxy", version, "1", offset));
    }
    let length = cursor.length32("serializer")?;
    let mut bytes = cursor.sub(length)?;
    Ok(JavaStream::parse(&mut bytes).ok().map(|stream| stream.root().class_name().to_owned()))
}

/// The snapshots of a resilience block; where there is none, the serializer's class stands for it.
pub(crate) fn resilience_block(cursor: &mut Cursor<'_>) -> Result<Vec<SerializerSnapshot>> {
    let count = cursor.count32("resilience block", 8)?;
    let mut offsets = Vec::new();
    for i in 0..count {
        offsets.push((cursor.i32().index("offsets", i)?, cursor.i32().index("offsets", i)?));
    }
    let length = cursor.length32("resilience block")?;
    let bytes = cursor.sub(length)?;
    let mut snapshots = Vec::new();
    for (i, &pair) in offsets.iter().enumerate() {
        let next = offsets.get(i + 1).map(|&(serializer, _)| serializer);
        snapshots.push(framed_pair(&bytes, pair, next).index("serializers", i)?);
    }
    Ok(snapshots)
}

/// A serializer and its snapshot, at offsets into the bytes, which end where the next serializer starts:
/// no byte belongs to two, or nested blocks could be read over and over.
fn framed_pair(
    bytes: &Cursor<'_>,
    (serializer, config): (i32, i32),
    next: Option<i32>,
) -> Result<SerializerSnapshot> {
    match read_proxy(&mut slice(bytes, config, next)?) {
        Ok(read) => Ok(read.snapshot),
        Err(_) => {
            let mut at = slice(bytes, serializer, Some(config))?;
            let offset = at.offset();
            let class = serializer_blob(&mut at)?;
            Ok(java_serialized(class, offset))
        }
    }
}

/// A node for a serializer of which there is nothing but its class.
pub(crate) fn java_serialized(class: Option<String>, offset: u64) -> SerializerSnapshot {
    let class = class.unwrap_or_default();
    let basic = class.strip_prefix("org.apache.flink.").and_then(Basic::of_serializer);
    SerializerSnapshot {
        kind: basic.map_or(Kind::JavaSerialized, Kind::Basic),
        class,
        version: 0,
        offset,
        length: None,
        children: Vec::new(),
    }
}

fn slice<'a>(bytes: &Cursor<'a>, from: i32, to: Option<i32>) -> Result<Cursor<'a>> {
    let mut at = bytes.clone();
    let end = match to {
        Some(to) => usize::try_from(to).ok(),
        None => Some(at.remaining()),
    };
    let from = usize::try_from(from).ok();
    let (Some(from), Some(length)) = (from, from.and_then(|from| end?.checked_sub(from))) else {
        return Err(Error::invalid(
            "offsets of serializers ascend",
            format!("{from:?}, {to:?}"),
            at.offset(),
        ));
    };
    at.skip(from)?;
    at.sub(length)
}

impl Reader {
    /// The nested serializers of a legacy composite.
    pub(super) fn resilient(
        &mut self,
        edge: impl Fn(usize) -> Edge,
        node: &mut SerializerSnapshot,
        cursor: &mut Cursor<'_>,
    ) -> Result<()> {
        let snapshots = resilience_block(cursor).field("nested")?;
        node.children.extend(snapshots.into_iter().enumerate().map(|(i, child)| (edge(i), child)));
        Ok(())
    }

    pub(super) fn legacy(
        &mut self,
        legacy: Legacy,
        node: &mut SerializerSnapshot,
        cursor: &mut Cursor<'_>,
    ) -> Result<()> {
        node.kind = match legacy {
            Legacy::Composite(which) => {
                self.resilient(|i| composite::edge(which, i), node, cursor)?;
                composite::plain_kind(which)
            }
            Legacy::Tuple => {
                self.resilient(|i| composite::edge(Composite::Tuple, i), node, cursor)?;
                let class = JavaStream::parse(cursor).field("tuple_class")?;
                Kind::Tuple { class: class.root().class_name().to_owned() }
            }
            Legacy::CopyableValue => {
                Kind::CopyableValue { class: cursor.utf().field("value_class")?.into_owned() }
            }
            Legacy::Value | Legacy::Kryo => {
                let class = cursor.utf().field("class")?.into_owned();
                let count = cursor.count32("registrations", 8)?;
                let mut registrations = Vec::new();
                for i in 0..count {
                    cursor.utf().index("registrations", i)?;
                    registrations.push(kryo_registration(cursor).index("registrations", i)?);
                }
                if legacy == Legacy::Value {
                    Kind::Value { class }
                } else {
                    Kind::Kryo { class, registrations, defaults: Vec::new() }
                }
            }
            Legacy::Enum => {
                let class = cursor.utf().field("enum_class")?.into_owned();
                if node.version < 2 {
                    let constants = JavaStream::parse(cursor).field("constants")?;
                    let values = constants.root().array().unwrap_or_default();
                    let name = |v: &crate::java::stream::Value<'_>| v.enum_constant().map(str::to_owned);
                    Kind::Enum { class, constants: values.iter().filter_map(name).collect() }
                } else {
                    Kind::Enum { class, constants: names(cursor)? }
                }
            }
            Legacy::ScalaEnum => {
                let class = cursor.utf().field("enum_class")?.into_owned();
                Kind::ScalaEnum { class, constants: names_and_ids(cursor)? }
            }
            Legacy::Parameterless => {
                let class = cursor.utf().field("serializer_class")?.into_owned();
                java_serialized(Some(class), node.offset).kind
            }
            Legacy::Pojo => return legacy_pojo(node, cursor),
        };
        Ok(())
    }
}

/// `PojoSerializerConfigSnapshot`: class | offsets of three lists | bytes, in which the name of a field
/// or class stands before its serializer.
fn legacy_pojo(node: &mut SerializerSnapshot, cursor: &mut Cursor<'_>) -> Result<()> {
    let class = cursor.utf().field("pojo_class")?.into_owned();
    let (mut lists, mut pairs) = (0, Vec::new());
    for name in ["fields", "registered_subclasses", "non_registered_subclasses"] {
        let count = cursor.count32(name, 8)?;
        for i in 0..count {
            pairs.push((lists, (cursor.i32().index(name, i)?, cursor.i32().index(name, i)?)));
        }
        lists += 1;
    }
    let length = cursor.length32("POJO serializers")?;
    let bytes = cursor.sub(length)?;
    let (mut fields, mut registered, mut non_registered) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = 0;
    for (i, &(which, (serializer, config))) in pairs.iter().enumerate() {
        let name = name_before(&slice(&bytes, before, Some(serializer))?)?;
        before = config;
        // The next name stands in the same range, behind the snapshot.
        let next = pairs.get(i + 1).map(|&(_, (serializer, _))| serializer);
        let snapshot =
            framed_pair(&bytes, (serializer, config), next).named("serializer", || name.clone())?;
        let child = Some(node.children.len());
        let edge = match which {
            0 => {
                fields.push(PojoField { name: name.clone(), declaring_class: None, child });
                Edge::Field(name)
            }
            1 => {
                registered.push(PojoSubclass { class: name.clone(), child });
                Edge::RegisteredSubclass(name)
            }
            _ => {
                non_registered.push(PojoSubclass { class: name.clone(), child });
                Edge::NonRegisteredSubclass(name)
            }
        };
        node.children.push((edge, snapshot));
    }
    node.kind = Kind::Pojo { class, fields, registered, non_registered };
    Ok(())
}

/// The `writeUTF` string at the end of the bytes. Names hold no byte 0, so that the nearest length that
/// fits is the right one.
fn name_before(bytes: &Cursor<'_>) -> Result<String> {
    let head = bytes.rest();
    for length in 1..head.len().min(usize::from(u16::MAX)) {
        let Some((rest, text)) = head.split_at_checked(head.len() - length) else { break };
        let Some((_, &[high, low])) = rest.split_last_chunk::<2>() else { break };
        if usize::from(high) << 8 | usize::from(low) == length {
            return Ok(mutf8::decode(text, bytes.offset())?.into_owned());
        }
    }
    Err(Error::invalid("a name stands before a serializer", "none", bytes.offset()))
}
