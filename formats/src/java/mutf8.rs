//! Java's modified UTF-8, as `DataOutput.writeUTF` writes it.
//!
//! It differs from UTF-8 in two ways: U+0000 is `C0 80`, and a supplementary character is two
//! surrogates of three bytes each. (`java.io.DataInput`, "Modified UTF-8".)

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::error::{Error, Result};

const RULE: &str = "a string is modified UTF-8";

/// Decodes modified UTF-8; `base` is the absolute offset of the first byte.
///
/// Plain ASCII is borrowed. A surrogate without its partner, which Java allows and Unicode does
/// not, is shown as the six characters `\uD83D`.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] for a byte that cannot stand where it stands.
pub fn decode(bytes: &[u8], base: u64) -> Result<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && bytes.is_ascii()
    {
        return Ok(Cow::Borrowed(text));
    }
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, _)) = rest.split_first() {
        let offset = base.saturating_add((bytes.len() - rest.len()) as u64);
        let continuation = |i: usize| match rest.get(i) {
            Some(b) if b & 0xc0 == 0x80 => Ok(u16::from(b & 0x3f)),
            Some(b) => Err(Error::invalid(RULE, format!("byte {b:#04x}"), offset + i as u64)),
            None => Err(Error::invalid(RULE, "the end inside a character", offset)),
        };
        let (unit, length) = match first {
            0x00..=0x7f => (u16::from(first), 1),
            0xc0..=0xdf => (u16::from(first & 0x1f) << 6 | continuation(1)?, 2),
            0xe0..=0xef => (u16::from(first & 0x0f) << 12 | continuation(1)? << 6 | continuation(2)?, 3),
            _ => return Err(Error::invalid(RULE, format!("byte {first:#04x}"), offset)),
        };
        units.push(unit);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(Cow::Owned(text_of(units)))
}

/// UTF-16 units as text, a surrogate without its partner as in [`decode`].
pub(crate) fn text_of(units: Vec<u16>) -> String {
    let mut out = String::with_capacity(units.len());
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(c) => out.push(c),
            Err(lone) => {
                let _ = write!(out, "\\u{:04X}", lone.unpaired_surrogate());
            }
        }
    }
    out
}

/// Encodes as modified UTF-8.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        let continuation = |shift: u16| 0x80 | (unit >> shift & 0x3f) as u8;
        match unit {
            1..=0x7f => out.push(unit as u8),
            0 | 0x80..=0x7ff => out.extend([0xc0 | (unit >> 6) as u8, continuation(0)]),
            _ => out.extend([0xe0 | (unit >> 12) as u8, continuation(6), continuation(0)]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_borrowed() {
        assert!(matches!(decode(b"word-count", 0), Ok(Cow::Borrowed("word-count"))));
    }

    #[test]
    fn zero_supplementary_and_lone_surrogates() {
        assert_eq!(decode(&[0xc0, 0x80], 0).unwrap(), "\0");
        assert_eq!(decode(&[0xc3, 0xa9, 0xe4, 0xb8, 0xad], 0).unwrap(), "é中");
        assert_eq!(decode(&[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], 0).unwrap(), "😀");
        assert_eq!(decode(&[b'a', 0xed, 0xa0, 0xbd], 0).unwrap(), "a\\uD83D");
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for text in ["", "word-count", "\0", "é中", "a😀\u{7ff}\u{800}\u{ffff}"] {
            assert_eq!(decode(&encode(text), 0).unwrap(), text);
        }
        assert_eq!(encode("\0é中😀"), b"\xc0\x80\xc3\xa9\xe4\xb8\xad\xed\xa0\xbd\xed\xb8\x80");
    }

    #[test]
    fn bad_bytes_have_an_offset() {
        assert_eq!(decode(&[b'a', 0xff], 40).unwrap_err().offset(), 41);
        assert_eq!(decode(&[b'a', 0xe4, 0x20], 40).unwrap_err().offset(), 42);
        assert_eq!(decode(&[b'a', 0xc3], 40).unwrap_err().offset(), 41);
    }
}
