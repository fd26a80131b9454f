//! Percent escapes: exact ones for HTTP, and the loose comparison that keeps objects from deletion.

use super::LocationErrorKind;
use super::parse::normalize;
use std::fmt::Write as _;

/// Decodes an HTTP path, segment by segment.
pub(super) fn decode_segments(path: &str) -> Result<String, LocationErrorKind> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            out.push(first);
            continue;
        }
        let (byte, after) = escaped(rest).ok_or(LocationErrorKind::BadEscape)?;
        if matches!(byte, b'/' | 0) {
            return Err(LocationErrorKind::BadEscape);
        }
        out.push(byte);
        rest = after;
    }
    String::from_utf8(out).map_err(|_| LocationErrorKind::BadEscape)
}

/// Escapes a path for HTTP.
pub(super) fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'%'
            | b'?'
            | b'#'
            | b'"'
            | b'<'
            | b'>'
            | b'\\'
            | b'^'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
            | ..=b' '
            | 0x7f.. => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            plain => out.push(char::from(plain)),
        }
    }
    out
}

/// Decodes escapes until none is left, then normalizes. What is no valid escape stays.
pub(super) fn loosen(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        out.push(byte);
        // A decoded byte may end an outer escape (`%2541`), so the end is looked at again. Each
        // round makes the text shorter: the work is linear, whatever the nesting.
        while let Some(decoded) = ending_escape(&out) {
            out.truncate(out.len() - 3);
            out.push(decoded);
        }
    }
    // Bytes that are no text become alike, which keeps more, not less.
    let text = String::from_utf8_lossy(&out).into_owned();
    // What cannot be normalized is compared as it is.
    normalize("", &text).unwrap_or(text)
}

/// The byte that the last three bytes spell, if they are an escape.
fn ending_escape(bytes: &[u8]) -> Option<u8> {
    match bytes.last_chunk::<3>()? {
        [b'%', digits @ ..] => escaped(digits).map(|(byte, _)| byte),
        _ => None,
    }
}

/// The byte that two hexadecimal digits spell, and what follows them.
fn escaped(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = after_percent.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    let byte = u8::try_from(high? * 16 + low?).ok()?;
    Some((byte, rest))
}
