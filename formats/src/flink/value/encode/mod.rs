//! From JSON to the bytes that a serializer writes: what a lookup by key needs.
//!
//! The inverse of what stands in [the module's documentation](super), driven by the nodes that a [`ValueDecoder`] is compiled to. Objects
//! have all their fields, in any order, nulls included, and no others; `$kind` may be left out, and an `Option` that holds a null is none.
//! Numbers of any size and `DECIMAL`s may be whole numbers too, and a `DECIMAL` may have fewer digits behind its point than its type.
//!
//! Floating-point numbers are those that are next to the digits: this crate turns on `float_roundtrip` of `serde_json`, without which parsing is
//! off by a bit at times.
//!
//! Some values have more than one encoding ([`ValueEncoder::encodings`]):
//!
//! * `BigInteger`, and the digits of `BigDecimal`: 0, 1 and 10 have short forms for the constants of the class, which
//!   `BigIntSerializer` knows by reference; others that are as large have the form that all numbers have.
//! * A row of SQL: for a null in a column of `DECIMAL` with more than 18 digits or `TIMESTAMP` with more than 3, code that Flink generates (which
//!   makes keys) reserves room that `RowDataSerializer` does not.
//!
//! Where nothing can list them (Kryo, Avro, Java's serialization, rows of which no types are known), it is an error.

mod basic;
mod error;
mod sql;

use std::fmt::Display;

use serde_json::{Map, Value};

use super::compile::{Id, Node, Pojo, REST};
use super::kryo::KryoVersion;
use super::sink::Name;
use super::{ValueDecoder, compile};
use crate::flink::serializer::SerializerSnapshot;

use self::error::describe;
pub use self::error::{EncodeError, EncodeProblem};

/// Encodes values of a serializer. Compiled once; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct ValueEncoder {
    layout: ValueDecoder,
}

/// Who wrote what has two encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Numbers are the constants of their class; serializers wrote rows.
    Usual,
    /// Numbers were made otherwise; generated code wrote rows.
    Other,
}

type Encoded<T = ()> = Result<T, EncodeError>;

/// The state of encoding one value.
struct Encode<'e> {
    layout: &'e ValueDecoder,
    writer: Writer,
    path: String,
}

impl ValueEncoder {
    /// Compiles a snapshot. What has no encoding is told when a value gets there.
    #[must_use]
    pub fn compile(snapshot: &SerializerSnapshot, kryo: KryoVersion) -> Self {
        Self { layout: compile::decoder(snapshot, kryo) }
    }

    /// Appends the bytes that the serializer writes, the usual ones where there are others.
    ///
    /// # Errors
    /// JSON that is no value of the type, or a type of which JSON does not say all. Then nothing is appended.
    pub fn encode(&self, json: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_as(Writer::Usual, json, out)
    }

    /// All encodings of a value, the usual one first: one or two. (With several parts that have two each, only those are
    /// listed where all parts are by the same writer.)
    ///
    /// # Errors
    /// As [`ValueEncoder::encode`].
    pub fn encodings(&self, json: &Value) -> Result<Vec<Vec<u8>>, EncodeError> {
        let (mut usual, mut other) = (Vec::new(), Vec::new());
        self.encode_as(Writer::Usual, json, &mut usual)?;
        self.encode_as(Writer::Other, json, &mut other)?;
        Ok(if usual == other { vec![usual] } else { vec![usual, other] })
    }

    fn encode_as(&self, writer: Writer, json: &Value, out: &mut Vec<u8>) -> Encoded {
        let start = out.len();
        let encoded =
            Encode { layout: &self.layout, writer, path: String::new() }.node(self.layout.root, json, out);
        if encoded.is_err() {
            out.truncate(start);
        }
        encoded
    }
}

/// i32, big-endian.
fn int(value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Bytes that hex digits say, whichever case they have.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

impl<'e> Encode<'e> {
    fn node(&mut self, id: Id, json: &Value, out: &mut Vec<u8>) -> Encoded {
        let layout: &'e ValueDecoder = self.layout;
        let Some(node) = layout.node(id) else { return Err(self.no_encoding("a node that is not there")) };
        match node {
            Node::Basic(basic) => self.basic(*basic, json, out),
            Node::Enum(constants) => {
                let index = self.constant(json, constants.iter())?;
                self.count(index, json, out)
            }
            Node::ScalaEnum(constants) => {
                let index = self.constant(json, constants.iter().map(|(name, _)| name))?;
                int(constants.get(index).map_or(0, |(_, id)| *id), out);
                Ok(())
            }
            Node::Optional { present, absent, inner } => {
                if json.is_null() {
                    out.push(u8::from(!present));
                    out.resize(out.len() + *absent as usize, 0);
                    return Ok(());
                }
                out.push(u8::from(*present));
                self.node(*inner, json, out)
            }
            Node::List { element, .. } => {
                let elements = self.array(json)?;
                self.count(elements.len(), json, out)?;
                self.each(elements, |encode, value| encode.node(*element, value, out))
            }
            Node::MaskedList { element } => {
                let elements = self.array(json)?;
                self.count(elements.len(), json, out)?;
                mask(elements.iter().map(Value::is_null), out);
                self.each(
                    elements,
                    |encode, value| {
                        if value.is_null() { Ok(()) } else { encode.node(*element, value, out) }
                    },
                )
            }
            Node::Map { key, value, .. } => {
                let entries = self.array(json)?;
                self.count(entries.len(), json, out)?;
                self.each(entries, |encode, entry| {
                    let (its_key, its_value) = encode.entry(entry)?;
                    encode.within(".key", |encode| encode.node(*key, its_key, out))?;
                    encode.within(".value", |encode| encode.node(*value, its_value, out))
                })
            }
            Node::Choice { first, arms } => self.choice(*first, arms, json, out),
            Node::Object(parts) => {
                if let Some((_, rest)) = parts.last().filter(|(name, _)| name.as_str() == REST) {
                    return self.node(*rest, json, out);
                }
                let values = self.fields(parts.iter().map(|(name, _)| name), None, json)?;
                parts.iter().zip(values).try_for_each(|((name, part), value)| {
                    self.field(name, |encode| encode.node(*part, value, out))
                })
            }
            Node::Row { kind, fields } => self.row(*kind, fields, json, out),
            Node::Pojo(pojo) => self.pojo(pojo, json, out),
            Node::Sql(sql) => self.sql_value(sql, json, out),
            Node::Decimal { precision, scale } => self.sql_decimal(*precision, *scale, json, out),
            Node::Timestamp { precision, python } => self.sql_timestamp(*precision, *python, json, out),
            Node::Digits => self.digits(json, out),
            Node::Raw(inner) => self.sized(json, out, |encode, out| encode.node(*inner, json, out)),
            Node::StreamElement(_) => Err(self.no_encoding("an element of a stream is no key")),
            Node::Untyped => Err(self.no_encoding("the types of a row's fields are not known")),
            Node::Avro(_) => Err(self.no_encoding("Avro's values have several encodings")),
            Node::Kryo(_) => Err(self.no_encoding("Kryo's values have several encodings")),
            Node::JavaObject => Err(self.no_encoding("Java's serialized objects have several encodings")),
            Node::Stop(which) => {
                let stop = layout.stops.get(*which as usize);
                Err(self.no_encoding(
                    &stop.map_or_else(String::new, |stop| format!("{} ({})", stop.kind.text(), stop.class)),
                ))
            }
        }
    }

    // ---- errors, and where they are ------------------------------------------------------------------

    fn problem(&self, problem: EncodeProblem) -> EncodeError {
        EncodeError { path: self.path.clone(), problem }
    }

    fn wrong(&self, expected: impl Into<String>, found: &Value) -> EncodeError {
        self.problem(EncodeProblem::Mismatch { expected: expected.into(), found: describe(found) })
    }

    fn no_encoding(&self, what: &str) -> EncodeError {
        self.problem(EncodeProblem::NoEncoding(what.to_owned()))
    }

    /// Goes to a part, and back.
    fn within<T>(&mut self, step: impl Display, part: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.path.len();
        self.path.push_str(&step.to_string());
        let result = part(self);
        self.path.truncate(outer);
        result
    }

    fn field<T>(&mut self, name: &Name, part: impl FnOnce(&mut Self) -> T) -> T {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.within(format_args!("{dot}{}", name.as_str()), part)
    }

    // ---- what holds parts ----------------------------------------------------------------------------

    fn array<'j>(&self, json: &'j Value) -> Encoded<&'j [Value]> {
        json.as_array().map(Vec::as_slice).ok_or_else(|| self.wrong("an array", json))
    }

    fn each<'j>(
        &mut self,
        elements: &'j [Value],
        mut each: impl FnMut(&mut Self, &'j Value) -> Encoded,
    ) -> Encoded {
        elements
            .iter()
            .enumerate()
            .try_for_each(|(i, element)| self.within(format_args!("[{i}]"), |encode| each(encode, element)))
    }

    /// The key and the value of an entry of a map.
    fn entry<'j>(&self, json: &'j Value) -> Encoded<(&'j Value, &'j Value)> {
        let entry = object_of(json, 2).and_then(|entry| entry.get("key").zip(entry.get("value")));
        entry.ok_or_else(|| self.wrong("an entry, {\"key\": …, \"value\": …}", json))
    }

    /// The values of fields, in the order of their names. Of others, there is at most `besides`.
    fn fields<'j, 'n>(
        &self,
        names: impl Iterator<Item = &'n Name> + Clone,
        besides: Option<&str>,
        json: &'j Value,
    ) -> Encoded<Vec<&'j Value>> {
        let expected = || {
            let names: Vec<_> = names.clone().map(Name::as_str).collect();
            if names.is_empty() {
                "an object without fields".to_owned()
            } else {
                format!("an object of {}", names.join(", "))
            }
        };
        let Some(object) = json.as_object() else { return Err(self.wrong(expected(), json)) };
        let values: Option<Vec<_>> = names.clone().map(|name| object.get(name.as_str())).collect();
        let others = besides.is_some_and(|name| object.contains_key(name));
        match values {
            Some(values) if values.len() + usize::from(others) == object.len() => Ok(values),
            _ => Err(self.wrong(expected(), json)),
        }
    }

    /// The number of a row's kind.
    fn row_kind(&self, json: &Value) -> Encoded<u8> {
        let Some(kind) = json.get("$kind") else { return Ok(0) };
        let known = ["+I", "-U", "+U", "-D"].iter().zip(0..).find(|(name, _)| kind == *name);
        known.map(|(_, number)| number).ok_or_else(|| self.wrong("a $kind of +I, -U, +U or -D", kind))
    }

    fn row(&mut self, kind: bool, fields: &[(Name, Id)], json: &Value, out: &mut Vec<u8>) -> Encoded {
        let values = self.fields(fields.iter().map(|(name, _)| name), kind.then_some("$kind"), json)?;
        let nulls = values.iter().map(|value| value.is_null());
        if kind {
            // The lower bit stands first.
            let kind = self.row_kind(json)?;
            mask([kind & 1 != 0, kind & 2 != 0].into_iter().chain(nulls), out);
        } else {
            mask(nulls, out);
        }
        fields
            .iter()
            .zip(values)
            .filter(|(_, value)| !value.is_null())
            .try_for_each(|((name, field), value)| self.field(name, |encode| encode.node(*field, value, out)))
    }

    fn choice(&mut self, first: u8, arms: &[(Name, Id)], json: &Value, out: &mut Vec<u8>) -> Encoded {
        let found = object_of(json, 1).and_then(|object| {
            arms.iter()
                .zip(first..)
                .find_map(|((name, arm), tag)| Some((tag, name, *arm, object.get(name.as_str())?)))
        });
        let Some((tag, name, arm, value)) = found else {
            let names: Vec<_> = arms.iter().map(|(name, _)| name.as_str()).collect();
            return Err(self.wrong(format!("an object of either {}", names.join(" or ")), json));
        };
        out.push(tag);
        self.field(name, |encode| encode.node(arm, value, out))
    }

    fn pojo(&mut self, pojo: &Pojo, json: &Value, out: &mut Vec<u8>) -> Encoded {
        if json.is_null() {
            out.push(1);
            return Ok(());
        }
        let Some(class) = json.get("$class") else { return self.pojo_fields(pojo, None, json, out) };
        let registered = pojo.registered.iter().zip(0..=u8::MAX).find(|((name, _), _)| class == name);
        let id = if let Some(((_, id), tag)) = registered {
            out.extend_from_slice(&[8, tag]);
            *id
        } else if let Some((utf, _, id)) = pojo.others.iter().find(|(_, name, _)| class == name) {
            let length =
                u16::try_from(utf.len()).map_err(|_| self.wrong("a class name of 65535 bytes", class))?;
            out.push(4);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(utf);
            *id
        } else {
            return Err(self.wrong("a $class of those that the serializer lists", class));
        };
        match self.layout.node(id) {
            Some(Node::Pojo(pojo)) => self.pojo_fields(pojo, Some("$class"), json, out),
            _ => {
                let value = object_of(json, 2).and_then(|object| object.get("value"));
                let value = value.ok_or_else(|| self.wrong("an object of $class and value", json))?;
                self.within(".value", |encode| encode.node(id, value, out))
            }
        }
    }

    fn pojo_fields(
        &mut self,
        pojo: &Pojo,
        besides: Option<&str>,
        json: &Value,
        out: &mut Vec<u8>,
    ) -> Encoded {
        let values = self.fields(pojo.fields.iter().map(|(name, _)| name), besides, json)?;
        out.push(2);
        pojo.fields.iter().zip(values).try_for_each(|((name, field), value)| {
            out.push(u8::from(value.is_null()));
            if value.is_null() { Ok(()) } else { self.field(name, |encode| encode.node(*field, value, out)) }
        })
    }

    // ---- leaves --------------------------------------------------------------------------------------

    /// The index of a constant.
    fn constant<'n>(&self, json: &Value, names: impl Iterator<Item = &'n String> + Clone) -> Encoded<usize> {
        let index = json.as_str().and_then(|name| names.clone().position(|constant| constant == name));
        index.ok_or_else(|| {
            let names: Vec<_> = names.take(20).map(String::as_str).collect();
            self.wrong(format!("one of {}", names.join(", ")), json)
        })
    }

    /// i32 count or length of what `json` holds.
    fn count(&self, n: usize, json: &Value, out: &mut Vec<u8>) -> Encoded {
        int(i32::try_from(n).map_err(|_| self.wrong("no more than 2147483647 parts or bytes", json))?, out);
        Ok(())
    }

    /// What has its length in front of it.
    fn sized(
        &mut self,
        json: &Value,
        out: &mut Vec<u8>,
        inside: impl FnOnce(&mut Self, &mut Vec<u8>) -> Encoded,
    ) -> Encoded {
        let mut bytes = Vec::new();
        inside(self, &mut bytes)?;
        self.count(bytes.len(), json, out)?;
        out.extend_from_slice(&bytes);
        Ok(())
    }
}

/// A null mask, most significant bit first.
fn mask(nulls: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let start = out.len();
    for (i, null) in nulls.enumerate() {
        if i % 8 == 0 {
            out.push(0);
        }
        if let Some(byte) = out.get_mut(start + i / 8) {
            *byte |= u8::from(null) << (7 - i % 8);
        }
    }
}

/// The fields of an object, if it is one with so many.
fn object_of(json: &Value, n: usize) -> Option<&Map<String, Value>> {
    json.as_object().filter(|object| object.len() == n)
}
