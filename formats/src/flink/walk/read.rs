//! What walkers and decoders of values read: flags, counts, lengths, strings and null masks, and the rules they keep.
//!
//! Each takes the bytes and an offset in them, and gives what it read with the offset behind it, or the rule that is
//! broken and where.

use byteorder::{BigEndian, ByteOrder};

/// What values keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::flink) enum Rule {
    TooShort,
    Flag,
    Count,
    Length,
    Padding,
    StringLength,
    Character,
    Tag,
    UnionIndex,
    AvroCount,
    PojoFlags,
    SubclassTag,
    Constant,
    Text,
    Date,
    Time,
    RowKind,
    Slot,
    Follows,
    Number,
    KryoNumber,
    KryoString,
    KryoClass,
    KryoReference,
    JavaStream,
}

impl Rule {
    pub(in crate::flink) fn text(self) -> &'static str {
        match self {
            Self::TooShort => "a value does not end before its serializer has read it",
            Self::Flag => "a flag is 0 or 1",
            Self::Count => "a count is not negative, and what it counts has room",
            Self::Length => "a length is not negative, and within the value",
            Self::Padding => "the unused bits of a null mask are 0",
            Self::StringLength => "the length of a string has 32 bits",
            Self::Character => "a character has 16 bits",
            Self::Tag => "a tag is one of those that its serializer writes",
            Self::UnionIndex => "the index of a union is of one of its types",
            Self::AvroCount => "a count of Avro has 64 bits",
            Self::PojoFlags => "the flags of a POJO are 1, 2, 4 or 8",
            Self::SubclassTag => "the tag of a subclass is of one that is registered",
            Self::Constant => "the index of an enum is of one of its constants",
            Self::Text => "text is UTF-8",
            Self::Date => "a date is one of the calendar",
            Self::Time => "a time is one of the day",
            Self::RowKind => "the kind of a row is 0 to 3",
            Self::Slot => "a part of a row lies within the row",
            Self::Follows => "nothing follows a value",
            Self::Number => "the digits of a number are decimal",
            Self::KryoNumber => "a number of Kryo has 32 bits",
            Self::KryoString => "a string of Kryo has units of one to three bytes",
            Self::KryoClass => "a class id of Kryo is of a class that is registered",
            Self::KryoReference => "a reference of Kryo is to an object before it",
            Self::JavaStream => "a Java object is a serialization stream",
        }
    }
}

/// Why a walk ended early, and where. Small, so that a step is returned in registers: offsets have 32 bits, as lengths
/// of values have in RocksDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flink) struct Halt {
    pub(in crate::flink) at: u32,
    pub(in crate::flink) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flink) enum Why {
    Stop(u32),
    Bad(Rule),
}

pub(in crate::flink) type Step<T = usize> = Result<T, Halt>;

#[cold]
pub(in crate::flink) fn bad(at: usize, rule: Rule) -> Halt {
    Halt { at: u32::try_from(at).unwrap_or(u32::MAX), why: Why::Bad(rule) }
}

#[cold]
pub(in crate::flink) fn stop(at: usize, which: u32) -> Halt {
    Halt { at: u32::try_from(at).unwrap_or(u32::MAX), why: Why::Stop(which) }
}

#[inline]
pub(in crate::flink) fn skip(bytes: &[u8], pos: usize, n: usize) -> Step {
    match pos.checked_add(n) {
        Some(end) if end <= bytes.len() => Ok(end),
        _ => Err(bad(pos, Rule::TooShort)),
    }
}

#[inline]
pub(in crate::flink) fn byte(bytes: &[u8], pos: usize) -> Step<u8> {
    bytes.get(pos).copied().ok_or_else(|| bad(pos, Rule::TooShort))
}

#[inline]
pub(in crate::flink) fn flag(bytes: &[u8], pos: usize) -> Step<bool> {
    match byte(bytes, pos)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(bad(pos, Rule::Flag)),
    }
}

#[inline]
pub(in crate::flink) fn int(bytes: &[u8], pos: usize) -> Step<i32> {
    match bytes.get(pos..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(int) => Ok(BigEndian::read_i32(int)),
        None => Err(bad(pos, Rule::TooShort)),
    }
}

/// An i32 that says how many units of `unit` bytes follow: behind them.
#[inline]
pub(in crate::flink) fn sized(bytes: &[u8], pos: usize, unit: usize) -> Step {
    let length = usize::try_from(int(bytes, pos)?).ok().and_then(|n| n.checked_mul(unit));
    let end = length.and_then(|length| (pos + 4).checked_add(length));
    end.filter(|&end| end <= bytes.len()).ok_or_else(|| bad(pos, Rule::Length))
}

/// An i32 count of what has at least `min` bytes each.
#[inline]
pub(in crate::flink) fn count(bytes: &[u8], pos: usize, min: usize) -> Step {
    let n = int(bytes, pos)?;
    let room = bytes.len() - pos - 4;
    match usize::try_from(n) {
        Ok(n) if n.checked_mul(min).is_some_and(|least| least <= room) => Ok(n),
        _ => Err(bad(pos, Rule::Count)),
    }
}

/// A LEB128 varint of at most `bits` bits, and the offset behind it.
#[inline]
pub(in crate::flink) fn varint(bytes: &[u8], pos: usize, bits: u32, rule: Rule) -> Step<(u64, usize)> {
    let mut value = 0u64;
    let (mut shift, mut at) = (0, pos);
    loop {
        let byte = byte(bytes, at)?;
        at += 1;
        let low = u64::from(byte & 0x7f);
        if shift >= bits || (bits - shift < 7 && low >> (bits - shift) != 0) {
            return Err(bad(pos, rule));
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            return Ok((value, at));
        }
        shift += 7;
    }
}

/// The length of a string, as it stands there, and the offset behind it.
#[inline]
pub(in crate::flink) fn string_length(bytes: &[u8], pos: usize) -> Step<(usize, usize)> {
    match bytes.get(pos) {
        Some(&n @ 0..0x80) => Ok((usize::from(n), pos + 1)),
        _ => {
            let (n, at) = varint(bytes, pos, 32, Rule::StringLength)?;
            Ok((usize::try_from(n).unwrap_or(usize::MAX), at))
        }
    }
}

/// Over a string as `StringValue.writeString` writes it.
#[inline]
pub(in crate::flink) fn string(bytes: &[u8], pos: usize) -> Step {
    let (length, pos) = string_length(bytes, pos)?;
    units(bytes, pos, length.saturating_sub(1))
}

/// Over a string as `StringValue.write` writes it.
pub(in crate::flink) fn string_value(bytes: &[u8], pos: usize) -> Step {
    let (length, pos) = string_length(bytes, pos)?;
    units(bytes, pos, length)
}

/// Over UTF-16 units.
#[inline]
pub(in crate::flink) fn units(bytes: &[u8], pos: usize, n: usize) -> Step {
    match bytes.get(pos..).and_then(|rest| rest.get(..n)) {
        Some(units) if is_ascii(units) => Ok(pos + n),
        Some(_) => wide_units(bytes, pos, n),
        None => Err(bad(pos, Rule::Length)),
    }
}

/// Whether all units are of one byte. As `[u8]::is_ascii`, but quick for the few bytes that keys have.
#[inline]
pub(in crate::flink) fn is_ascii(units: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    match (units.first_chunk::<8>(), units.last_chunk::<8>()) {
        // From 8 to 16, the two overlap.
        (Some(first), Some(last)) if units.len() <= 16 => {
            (u64::from_le_bytes(*first) | u64::from_le_bytes(*last)) & HIGH == 0
        }
        (Some(_), Some(last)) => {
            let (chunks, _) = units.as_chunks::<8>();
            chunks.iter().fold(u64::from_le_bytes(*last), |all, chunk| all | u64::from_le_bytes(*chunk))
                & HIGH
                == 0
        }
        _ => match (units.first_chunk::<4>(), units.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH as u32 == 0
            }
            _ => units.iter().fold(0, |all, unit| all | unit) < 0x80,
        },
    }
}

/// Over UTF-16 units of which some have more than a byte.
#[inline(never)]
pub(in crate::flink) fn wide_units(bytes: &[u8], mut pos: usize, n: usize) -> Step {
    for _ in 0..n {
        if byte(bytes, pos)? < 0x80 {
            pos += 1;
        } else {
            pos = varint(bytes, pos, 16, Rule::Character)?.1;
        }
    }
    Ok(pos)
}

/// Over a `BigInteger`.
pub(in crate::flink) fn big_integer(bytes: &[u8], pos: usize) -> Step {
    match int(bytes, pos)? {
        0..=3 => Ok(pos + 4),
        n @ 5.. => match usize::try_from(n - 4) {
            Ok(n) if n <= bytes.len() - pos - 4 => Ok(pos + 4 + n),
            _ => Err(bad(pos, Rule::Length)),
        },
        _ => Err(bad(pos, Rule::Length)),
    }
}

pub(in crate::flink) fn big_decimal(bytes: &[u8], pos: usize) -> Step {
    match int(bytes, pos)? {
        0 => Ok(pos + 4),
        _ => skip(bytes, big_integer(bytes, pos)?, 4),
    }
}

pub(in crate::flink) fn variant(bytes: &[u8], pos: usize) -> Step {
    let (n, m) = (int(bytes, pos)?, int(bytes, pos + 4)?);
    let lengths = usize::try_from(n).ok().zip(usize::try_from(m).ok());
    let end = lengths.and_then(|(n, m)| n.checked_add(m)?.checked_add(pos + 8));
    end.filter(|&end| end <= bytes.len()).ok_or_else(|| bad(pos, Rule::Length))
}

/// A null mask of `n` bits, most significant bit first, and the offset behind it.
pub(in crate::flink) struct Mask<'a> {
    bits: &'a [u8],
    pub(in crate::flink) end: usize,
}

impl<'a> Mask<'a> {
    pub(in crate::flink) fn read(bytes: &'a [u8], pos: usize, n: usize) -> Step<Self> {
        let end = skip(bytes, pos, n.div_ceil(8))?;
        let bits = bytes.get(pos..end).unwrap_or_default();
        // The bits that belong to nothing.
        let unused = (bits.len() * 8 - n) as u32;
        if bits.last().is_some_and(|last| last.trailing_zeros() < unused) {
            return Err(bad(end - 1, Rule::Padding));
        }
        Ok(Self { bits, end })
    }

    #[inline]
    pub(in crate::flink) fn is_null(&self, i: usize) -> bool {
        self.bits.get(i / 8).is_some_and(|byte| byte & (0x80 >> (i % 8)) != 0)
    }
}
