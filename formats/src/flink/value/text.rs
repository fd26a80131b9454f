//! Texts as they stand in values: UTF-8, or UTF-16 units in one of Java's encodings.

/// A text of a value, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub enum Text<'a> {
    /// UTF-8, or ASCII of any encoding.
    Utf8(&'a str),
    /// UTF-16 units, which need not be well-formed: Java's strings may hold lone surrogates.
    Units(Units<'a>),
}

/// UTF-16 units.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    rest: &'a [u8],
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Each a LEB128 varint of 16 bits (`StringValue`).
    Varints,
    /// Each in two bytes, big-endian (`char`).
    BigEndian,
    /// Each in one to three bytes as UTF-8 has them (Kryo, modified UTF-8).
    Utf8Units,
    /// Each in seven bits; the eighth bit of the last one is set (Kryo).
    MarkedAscii,
}

impl<'a> Units<'a> {
    /// Units that a decoder has checked: each ends within the bytes.
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self { rest: bytes, encoding }
    }
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (unit, length) = match (self.encoding, self.rest) {
            (_, []) => return None,
            (Encoding::Varints, &[a @ 0..0x80, ..]) => (a.into(), 1),
            (Encoding::Varints, &[a, b @ 0..0x80, ..]) => (u16::from(a & 0x7f) | u16::from(b) << 7, 2),
            (Encoding::Varints, &[a, b, c, ..]) => {
                (u16::from(a & 0x7f) | u16::from(b & 0x7f) << 7 | u16::from(c) << 14, 3)
            }
            (Encoding::BigEndian, &[a, b, ..]) => (u16::from_be_bytes([a, b]), 2),
            (Encoding::Utf8Units, &[a @ 0..0x80, ..]) => (a.into(), 1),
            (Encoding::Utf8Units, &[a @ 0xc0..0xe0, b, ..]) => {
                (u16::from(a & 0x1f) << 6 | u16::from(b & 0x3f), 2)
            }
            (Encoding::Utf8Units, &[a, b, c, ..]) => {
                (u16::from(a & 0x0f) << 12 | u16::from(b & 0x3f) << 6 | u16::from(c & 0x3f), 3)
            }
            (Encoding::MarkedAscii, &[a, ..]) => (u16::from(a & 0x7f), 1),
            _ => return None,
        };
        self.rest = self.rest.get(length..)?;
        Some(unit)
    }
}

impl<'a> Text<'a> {
    /// Its characters; a lone surrogate as it is.
    pub fn chars(self) -> impl Iterator<Item = Result<char, u16>> + use<'a> {
        let (utf8, units) = match self {
            Self::Utf8(text) => (Some(text), None),
            Self::Units(units) => (None, Some(units)),
        };
        let units = char::decode_utf16(units.into_iter().flatten());
        let units = units.map(|unit| unit.map_err(|lone| lone.unpaired_surrogate()));
        utf8.into_iter().flat_map(str::chars).map(Ok).chain(units)
    }

    /// Its UTF-16 units.
    pub fn units(self) -> impl Iterator<Item = u16> + use<'a> {
        let (utf8, units) = match self {
            Self::Utf8(text) => (Some(text), None),
            Self::Units(units) => (None, Some(units)),
        };
        utf8.into_iter().flat_map(str::encode_utf16).chain(units.into_iter().flatten())
    }

    /// Bytes that it has in the value, or fewer.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Utf8(text) => text.len(),
            Self::Units(units) => units.rest.len(),
        }
    }
}
