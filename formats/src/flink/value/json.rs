//! Values as JSON.

use super::number::Decimal;
use super::sink::{Name, Opaque, OpaqueReason, ValueSink, Width};
use super::text::Text;
use super::time::Temporal;

/// What JSON may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Bytes of one value, about: from there on, the rest of a value is opaque.
    pub value: usize,
    /// Bytes of an opaque part that are written, two hex digits each.
    pub opaque: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { value: 64 << 20, opaque: 1 << 10 }
    }
}

/// Writes one value as JSON.
#[derive(Debug)]
pub struct JsonSink<'a> {
    out: &'a mut Vec<u8>,
    /// Length of `out` from which on the value has no room.
    end: usize,
    opaque: usize,
}

impl<'a> JsonSink<'a> {
    /// Appends to `out`. [`JsonSink::finish`] must be called when the value is decoded.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, limits: JsonLimits) -> Self {
        let end = out.len().saturating_add(limits.value);
        Self { out, end, opaque: limits.opaque }
    }

    /// Ends the value.
    pub fn finish(self) {
        // Each value has a comma behind it, which the last one does not need.
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
    }

    #[inline]
    fn close(&mut self, bracket: u8) {
        match self.out.last_mut() {
            Some(last @ b',') => *last = bracket,
            _ => self.out.push(bracket),
        }
        self.out.push(b',');
    }

    /// An integer that is no value, but part of one.
    fn number(&mut self, n: usize) {
        self.out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    /// Something between quotes that needs no escapes.
    fn quoted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'"');
        write(self.out);
        self.out.extend_from_slice(b"\",");
    }

    fn not_finite(&mut self, value: f64) {
        let text = match value {
            f64::INFINITY => "\"Infinity\",",
            f64::NEG_INFINITY => "\"-Infinity\",",
            _ => "\"NaN\",",
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    fn units(&mut self, text: Text<'_>) {
        let start = self.out.len();
        self.out.push(b'"');
        for character in text.chars() {
            let Ok(character) = character else {
                self.out.truncate(start);
                return self.lone_surrogates(text);
            };
            escaped(character.encode_utf8(&mut [0; 4]), self.out);
        }
        self.out.extend_from_slice(b"\",");
    }

    /// What is not well-formed, in hex.
    #[cold]
    fn lone_surrogates(&mut self, text: Text<'_>) {
        self.out.extend_from_slice(b"{\"$utf16\":\"");
        for unit in text.units() {
            hex(&unit.to_be_bytes(), self.out);
        }
        self.out.extend_from_slice(b"\"},");
    }
}

impl ValueSink for JsonSink<'_> {
    #[inline]
    fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }

    #[inline]
    fn null(&mut self) {
        self.out.extend_from_slice(b"null,");
    }

    #[inline]
    fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true," } else { b"false," });
    }

    #[inline]
    fn integer(&mut self, value: i64, _: Width) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.out.push(b',');
    }

    fn float(&mut self, value: f32) {
        if !value.is_finite() {
            return self.not_finite(value.into());
        }
        self.out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        self.out.push(b',');
    }

    #[inline]
    fn double(&mut self, value: f64) {
        if !value.is_finite() {
            return self.not_finite(value);
        }
        self.out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        self.out.push(b',');
    }

    fn decimal(&mut self, value: Decimal<'_>) {
        self.quoted(|out| value.write(out));
    }

    fn temporal(&mut self, value: Temporal) {
        self.quoted(|out| value.write(out));
    }

    #[inline]
    fn text(&mut self, value: Text<'_>) {
        match value {
            Text::Utf8(text) => {
                string(text, self.out);
                self.out.push(b',');
            }
            Text::Units(_) => self.units(value),
        }
    }

    fn bytes(&mut self, value: &[u8]) {
        self.quoted(|out| hex(value, out));
    }

    fn opaque(&mut self, value: &Opaque<'_>) {
        let shown = value.bytes.get(..self.opaque).unwrap_or(value.bytes);
        self.out.extend_from_slice(b"{\"$opaque\":");
        self.quoted(|out| hex(shown, out));
        self.out.extend_from_slice(b"\"bytes\":");
        self.number(value.bytes.len());
        if shown.len() < value.bytes.len() {
            self.out.extend_from_slice(b",\"truncated\":true");
        }
        if let Some(class) = value.class {
            self.out.extend_from_slice(b",\"class\":");
            string(class, self.out);
        }
        match value.why {
            OpaqueReason::Stop(kind) => {
                self.out.extend_from_slice(b",\"why\":");
                string(kind.text(), self.out);
            }
            OpaqueReason::Bad(bad) => {
                self.out.extend_from_slice(b",\"error\":");
                string(bad.rule, self.out);
                self.out.extend_from_slice(b",\"at\":");
                self.number(bad.at);
            }
        }
        self.out.extend_from_slice(b"},");
    }

    #[inline]
    fn begin_object(&mut self) {
        self.out.push(b'{');
    }

    #[inline]
    fn field(&mut self, name: &Name) {
        self.out.extend_from_slice(name.as_json());
    }

    #[inline]
    fn end_object(&mut self) {
        self.close(b'}');
    }

    #[inline]
    fn begin_list(&mut self) {
        self.out.push(b'[');
    }

    #[inline]
    fn end_list(&mut self) {
        self.close(b']');
    }

    fn begin_map(&mut self) {
        self.begin_list();
    }

    fn begin_entry(&mut self) {
        self.out.extend_from_slice(b"{\"key\":");
    }

    fn entry_value(&mut self) {
        self.out.extend_from_slice(b"\"value\":");
    }

    fn end_entry(&mut self) {
        self.end_object();
    }

    fn end_map(&mut self) {
        self.end_list();
    }
}

/// A JSON string.
#[inline]
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// The inside of a JSON string.
#[inline]
fn escaped(text: &str, out: &mut Vec<u8>) {
    // Without a branch in the loop, this is done for many bytes at once.
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !text.bytes().fold(false, |any, byte| any | special(byte)) {
        return out.extend_from_slice(text.as_bytes());
    }
    escape(text, out);
}

#[inline(never)]
fn escape(text: &str, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                hex(&[byte], out);
            }
            _ => out.push(byte),
        }
    }
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + (n - 10) };
    out.reserve(bytes.len() * 2);
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]));
}
