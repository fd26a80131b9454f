//! Numbers and strings as Kryo's `Output` writes them.

use crate::flink::value::text::{Encoding, Text, Units};
use crate::flink::walk::read::{Rule, Step, bad, byte, skip, varint};

/// A varint of 32 bits.
pub(super) fn var32(bytes: &[u8], pos: usize) -> Step<(u32, usize)> {
    let (value, end) = varint(bytes, pos, 32, Rule::KryoNumber)?;
    Ok((value as u32, end))
}

/// A varint of 64 bits: eight bytes of 7 bits, and a ninth of 8.
pub(super) fn var64(bytes: &[u8], pos: usize) -> Step<(u64, usize)> {
    let mut value = 0;
    for i in 0..9 {
        let next = byte(bytes, pos + i)?;
        if i == 8 {
            value |= u64::from(next) << 56;
            break;
        }
        value |= u64::from(next & 0x7f) << (7 * i);
        if next & 0x80 == 0 {
            return Ok((value, pos + i + 1));
        }
    }
    Ok((value, pos + 9))
}

pub(super) fn zigzag32(n: u32) -> i32 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

pub(super) fn zigzag64(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

/// The first byte's high bit, and the number of its other bits and what follows.
pub(super) fn flagged(bytes: &[u8], pos: usize) -> Step<(bool, u32, usize)> {
    let first = byte(bytes, pos)?;
    let (flag, low) = (first & 0x80 != 0, u32::from(first & 0x3f));
    if first & 0x40 == 0 {
        return Ok((flag, low, pos + 1));
    }
    let (high, end) = varint(bytes, pos + 1, 26, Rule::KryoNumber)?;
    Ok((flag, low | (high as u32) << 6, end))
}

/// A string; `None` for null.
pub(super) fn string(bytes: &[u8], pos: usize) -> Step<(Option<Text<'_>>, usize)> {
    let first = byte(bytes, pos)?;
    if first & 0x80 == 0 {
        let rest = bytes.get(pos..).unwrap_or_default();
        let length = rest.iter().position(|byte| byte & 0x80 != 0).map(|last| last + 1);
        let Some(ascii) = length.and_then(|length| rest.get(..length)) else {
            return Err(bad(pos, Rule::TooShort));
        };
        let text = Text::Units(Units::new(ascii, Encoding::MarkedAscii));
        return Ok((Some(text), pos + ascii.len()));
    }
    let (_, n, start) = flagged(bytes, pos)?;
    let Some(n) = n.checked_sub(1) else { return Ok((None, start)) };
    let mut end = start;
    for _ in 0..n {
        // The first byte says how many there are.
        end = skip(
            bytes,
            end,
            match byte(bytes, end)? {
                0..0x80 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => return Err(bad(end, Rule::KryoString)),
            },
        )?;
    }
    let units = bytes.get(start..end).unwrap_or_default();
    let text = match std::str::from_utf8(units) {
        Ok(text) if text.is_ascii() => Text::Utf8(text),
        _ => Text::Units(Units::new(units, Encoding::Utf8Units)),
    };
    Ok((Some(text), end))
}
