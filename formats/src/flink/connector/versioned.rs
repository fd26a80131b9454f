//! `SimpleVersionedSerialization`: what connectors put around the bytes of their own serializers.
//!
//! ```text
//! one      i32 version | i32 n | n bytes
//! list     i32 version | i32 count | count × { i32 n | n bytes }
//! ```
//!
//! Sources: `SimpleVersionedSerialization` of flink-core 1.13 to 2.3.

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};

/// What a serializer wrote, and the version that it said it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioned<'a> {
    /// The serializer's version.
    pub version: i32,
    /// What it wrote.
    pub bytes: &'a [u8],
    /// The absolute offset of the first of these bytes.
    pub offset: u64,
}

impl<'a> Versioned<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// Bytes that end too early, a length that cannot be.
    pub fn read(cursor: &mut Cursor<'a>) -> Result<Self> {
        let version = cursor.i32().field("version")?;
        Self::sized(version, cursor)
    }

    /// Reads one that the bytes consist of.
    ///
    /// # Errors
    /// As [`Versioned::read`], and bytes that are left.
    pub fn whole(bytes: &'a [u8], offset: u64) -> Result<Self> {
        let mut cursor = Cursor::at(bytes, offset);
        let read = Self::read(&mut cursor)?;
        cursor.finish()?;
        Ok(read)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Bytes that end too early, a count or length that cannot be.
    pub fn list(cursor: &mut Cursor<'a>) -> Result<Vec<Self>> {
        let version = cursor.i32().field("version")?;
        let count = cursor.count32("versioned objects", 4)?;
        (0..count).map(|i| Self::sized(version, cursor).index("objects", i)).collect()
    }

    /// A length and as many bytes, of a version that stands elsewhere.
    ///
    /// # Errors
    /// Bytes that end too early, a length that cannot be.
    pub(super) fn sized(version: i32, cursor: &mut Cursor<'a>) -> Result<Self> {
        let length = cursor.length32("serialized bytes")?;
        let offset = cursor.offset();
        Ok(Self { version, bytes: cursor.take(length)?, offset })
    }

    /// Decodes all of the bytes.
    pub(super) fn decode<T>(&self, decode: impl FnOnce(&mut Cursor<'a>) -> Result<T>) -> Result<T> {
        let mut cursor = Cursor::at(self.bytes, self.offset);
        let decoded = decode(&mut cursor)?;
        cursor.finish()?;
        Ok(decoded)
    }

    /// That its version is none of these.
    #[cold]
    pub(super) fn unknown<T>(&self, what: &'static str, known: &'static str) -> Result<T> {
        let kind = ErrorKind::UnknownVersion { what, found: self.version.into(), known };
        Err(Error::new(kind, self.offset))
    }
}

/// A magic number.
pub(super) fn magic(expected: u32, rule: &'static str, cursor: &mut Cursor<'_>) -> Result<()> {
    let offset = cursor.offset();
    match cursor.u32()? {
        found if found == expected => Ok(()),
        found => Err(Error::invalid(rule, format!("{found:08X}"), offset)),
    }
}

/// A boolean, and behind it, if it is true, what it says is there.
pub(super) fn optional<'a, T>(
    cursor: &mut Cursor<'a>,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T>,
) -> Result<Option<T>> {
    if cursor.bool()? { read(cursor).map(Some) } else { Ok(None) }
}

/// A count and as many strings.
pub(super) fn strings(what: &'static str, cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    let count = cursor.count32(what, 2)?;
    (0..count).map(|i| Ok(cursor.utf().index(what, i)?.into_owned())).collect()
}

/// A rule that a value must keep.
pub(super) fn check(holds: bool, rule: &'static str, found: impl ToString, offset: u64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(rule, found.to_string(), offset)) }
}
