//! Keys in readable form, where their serializer is a simple one.

use statescope_formats::flink::serializer::{Basic, Kind, SerializerSnapshot};

/// What a serialized key says; `None` where its serializer is none of the simple ones, or the bytes are not its.
pub(super) fn readable(serializer: &SerializerSnapshot, key: &[u8]) -> Option<String> {
    let Kind::Basic(basic) = serializer.kind else { return None };
    match basic {
        Basic::String | Basic::StringValue => string(key),
        Basic::Boolean | Basic::BooleanValue => match key {
            [0] => Some("false".to_owned()),
            [1] => Some("true".to_owned()),
            _ => None,
        },
        Basic::Byte | Basic::ByteValue => Some(i8::from_be_bytes(key.try_into().ok()?).to_string()),
        Basic::Short | Basic::ShortValue => Some(i16::from_be_bytes(key.try_into().ok()?).to_string()),
        Basic::Int | Basic::IntValue => Some(i32::from_be_bytes(key.try_into().ok()?).to_string()),
        Basic::Long | Basic::LongValue => Some(i64::from_be_bytes(key.try_into().ok()?).to_string()),
        _ => None,
    }
}

/// A string of Flink's `StringValue`: its length in UTF-16 units and one, and the units, each as a number of seven bits
/// a byte, low ones first.
fn string(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    let length = number(&mut rest)?.checked_sub(1)?;
    let mut units = Vec::new();
    while !rest.is_empty() {
        units.push(u16::try_from(number(&mut rest)?).ok()?);
    }
    let is_whole = u64::from(length) == units.len() as u64;
    is_whole.then(|| String::from_utf16(&units).ok()).flatten()
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let mut number = 0u32;
    for shift in (0..32).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_as_flink_writes_them() {
        assert_eq!(string(&[4, b'k', b'e', b'y']).unwrap(), "key");
        assert_eq!(string(&[1]).unwrap(), "");
        // é is one unit of two bytes, 中 one of three, and 😀 are two units.
        assert_eq!(string(&[2, 0xe9, 0x01]).unwrap(), "é");
        assert_eq!(string(&[2, 0xad, 0x9c, 0x01]).unwrap(), "中");
        assert_eq!(string(&[3, 0xbd, 0xb0, 0x03, 0x80, 0xbc, 0x03]).unwrap(), "😀");
        for wrong in
            [&[][..], &[0], &[3, b'a'], &[2, b'a', b'b'], &[2, 0x80], &[0xff; 9], &[2, 0xbd, 0xb0, 0x03]]
        {
            assert_eq!(string(wrong), None, "{wrong:?}");
        }
    }
}
