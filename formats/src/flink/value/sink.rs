//! What a decoder tells of a value, piece by piece.

use super::number::Decimal;
use super::text::Text;
use super::time::Temporal;
use crate::flink::walk::{BadValue, StopKind};

/// Takes a value apart as it is decoded.
///
/// Objects, lists and maps are always ended; each field is followed by its value. What a sink does not override, it is
/// not interested in.
pub trait ValueSink {
    /// Bytes that it still takes. Where there are none left, the rest of the value is told as opaque.
    fn room(&self) -> usize {
        usize::MAX
    }
    /// A null.
    fn null(&mut self);
    /// A boolean.
    fn boolean(&mut self, value: bool);
    /// A whole number of at most 64 bits.
    fn integer(&mut self, value: i64, width: Width);
    /// A `float`.
    fn float(&mut self, value: f32);
    /// A `double`.
    fn double(&mut self, value: f64);
    /// A number of any size.
    fn decimal(&mut self, value: Decimal<'_>);
    /// A date, time or instant.
    fn temporal(&mut self, value: Temporal);
    /// A string, character or name of a constant.
    fn text(&mut self, value: Text<'_>);
    /// Bytes.
    fn bytes(&mut self, value: &[u8]);
    /// What could not be decoded.
    fn opaque(&mut self, value: &Opaque<'_>);
    /// An object begins; fields follow.
    fn begin_object(&mut self);
    /// A field of the object; its value follows.
    fn field(&mut self, name: &Name);
    /// The object ends.
    fn end_object(&mut self);
    /// A list begins; its elements follow.
    fn begin_list(&mut self);
    /// The list ends.
    fn end_list(&mut self);
    /// A map begins; entries follow.
    fn begin_map(&mut self);
    /// An entry of the map; its key follows.
    fn begin_entry(&mut self);
    /// The value of the entry follows.
    fn entry_value(&mut self);
    /// The entry ends. One whose key could not be decoded has no value.
    fn end_entry(&mut self);
    /// The map ends.
    fn end_map(&mut self);
}

/// How many bits a whole number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// 8: `byte`, `TINYINT`.
    W8,
    /// 16: `short`, `SMALLINT`.
    W16,
    /// 32: `int`.
    W32,
    /// 64: `long`, `BIGINT`.
    W64,
}

/// The name of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name as a JSON string, and a colon.
    json: Box<[u8]>,
    text: Box<str>,
}

impl Name {
    /// Names a field.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut json = Vec::with_capacity(text.len() + 3);
        super::json::string(text, &mut json);
        json.push(b':');
        Self { json: json.into(), text: text.into() }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As a JSON string, with a colon behind it.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        &self.json
    }
}

/// Bytes that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque<'a> {
    /// All of them.
    pub bytes: &'a [u8],
    /// Class of what they hold, where the bytes or the snapshot tell it.
    pub class: Option<&'a str>,
    /// Why.
    pub why: OpaqueReason,
}

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpaqueReason {
    /// Nothing says what they mean.
    Stop(StopKind),
    /// They contradict their serializer. The offset is that in the bytes that the decoder was given.
    Bad(BadValue),
}
