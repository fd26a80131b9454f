//! The one door to bytes: a bounds-checked cursor that knows its absolute offset.

use std::borrow::Cow;

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use crate::error::{Error, ErrorKind, Result};
use crate::java::mutf8;

/// Bounds on what a decoder builds from bytes it does not trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep structures may nest (handles in handles, serializers in serializers).
    pub max_depth: u32,
    /// How many repeated elements one decoding may build in all.
    pub max_items: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 64, max_items: 100_000_000 }
    }
}

/// A cursor over bytes read from an absolute offset of a file.
///
/// Integers without a suffix are big-endian, as Java's `DataOutput` writes them; `_le` ones are
/// little-endian, as RocksDB writes them. A failed read leaves the cursor where it was.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    data: &'a [u8],
    pos: usize,
    base: u64,
    depth: u32,
    items: u64,
    limits: Limits,
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident -> $ty:ty = $read:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`ErrorKind::UnexpectedEnd`].
        #[inline]
        pub fn $name(&mut self) -> Result<$ty> {
            let bytes = self.take(size_of::<$ty>())?;
            Ok($read(bytes))
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// A cursor over a whole file, or over bytes whose first has the absolute offset 0.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self::at(data, 0)
    }

    /// A cursor over bytes whose first has the absolute offset `base`.
    #[must_use]
    pub fn at(data: &'a [u8], base: u64) -> Self {
        Self { data, pos: 0, base, depth: 0, items: 0, limits: Limits::default() }
    }

    /// The same cursor with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The absolute offset of the next byte.
    #[must_use]
    #[inline]
    pub fn offset(&self) -> u64 {
        self.base.saturating_add(self.pos as u64)
    }

    /// How many bytes are left.
    #[must_use]
    #[inline]
    pub fn remaining(&self) -> usize {
        self.data.len().saturating_sub(self.pos)
    }

    /// Whether no byte is left.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// What is left, not consumed.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.pos..).unwrap_or_default()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`].
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.rest().get(..n) {
            Some(bytes) => {
                self.pos += n;
                Ok(bytes)
            }
            None => {
                Err(self
                    .error(ErrorKind::UnexpectedEnd { needed: n as u64, remaining: self.remaining() as u64 }))
            }
        }
    }

    /// Steps over the next `n` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`].
    #[inline]
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.take(n).map(|_| ())
    }

    /// A cursor over the next `n` bytes, which this one steps over. Limits carry over.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`].
    pub fn sub(&mut self, n: usize) -> Result<Cursor<'a>> {
        let base = self.offset();
        let data = self.take(n)?;
        Ok(Cursor { data, pos: 0, base, depth: self.depth, items: self.items, limits: self.limits })
    }

    fixed! {
        /// One unsigned byte.
        u8 -> u8 = |b: &[u8]| b.first().copied().unwrap_or_default();
        /// One signed byte.
        i8 -> i8 = |b: &[u8]| b.first().copied().unwrap_or_default().cast_signed();
        /// A big-endian `u16`.
        u16 -> u16 = BigEndian::read_u16;
        /// A big-endian `i16`.
        i16 -> i16 = BigEndian::read_i16;
        /// A big-endian `u32`.
        u32 -> u32 = BigEndian::read_u32;
        /// A big-endian `i32`.
        i32 -> i32 = BigEndian::read_i32;
        /// A big-endian `u64`.
        u64 -> u64 = BigEndian::read_u64;
        /// A big-endian `i64`.
        i64 -> i64 = BigEndian::read_i64;
        /// A big-endian IEEE-754 `f32`.
        f32 -> f32 = BigEndian::read_f32;
        /// A big-endian IEEE-754 `f64`.
        f64 -> f64 = BigEndian::read_f64;
        /// A little-endian `u32`.
        u32_le -> u32 = LittleEndian::read_u32;
        /// A little-endian `u64`.
        u64_le -> u64 = LittleEndian::read_u64;
    }

    /// A Java boolean: one byte, 0 or 1.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], and [`ErrorKind::Invalid`] for any other byte: Java writes no
    /// other, so one means that the reader has lost its place.
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        let offset = self.offset();
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => {
                self.pos -= 1;
                Err(Error::invalid("a boolean is 0 or 1", other.to_string(), offset))
            }
        }
    }

    /// A Java `writeUTF` string: `u16` byte length, then modified UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], and [`ErrorKind::Invalid`] for bytes that are no modified UTF-8.
    pub fn utf(&mut self) -> Result<Cow<'a, str>> {
        let start = self.pos;
        let length = usize::from(self.u16()?);
        let base = self.offset();
        let result = self.take(length).and_then(|bytes| mutf8::decode(bytes, base));
        if result.is_err() {
            self.pos = start;
        }
        result
    }

    /// An `i32` length, then that many bytes.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::BadCount`].
    pub fn bytes32(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let start = self.pos;
        let result = self.length32(what).and_then(|n| self.take(n));
        if result.is_err() {
            self.pos = start;
        }
        result
    }

    /// An `i32` length in bytes that does not exceed what remains.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::BadCount`].
    pub fn length32(&mut self, what: &'static str) -> Result<usize> {
        let offset = self.offset();
        let found = self.i32()?;
        let max = self.remaining() as u64;
        match usize::try_from(found) {
            Ok(n) if n as u64 <= max => Ok(n),
            _ => Err(Error::new(ErrorKind::BadCount { what, found: found.into(), max }, offset)),
        }
    }

    /// An `i32` count of elements of at least `min_bytes` bytes each.
    ///
    /// # Errors
    /// As [`Cursor::check_count`].
    pub fn count32(&mut self, what: &'static str, min_bytes: usize) -> Result<usize> {
        let offset = self.offset();
        let found = self.i32()?;
        self.check_count(what, found.into(), min_bytes, offset)
    }

    /// Checks a count of elements of at least `min_bytes` (taken as 1 if 0) bytes each against what
    /// remains and against [`Limits::max_items`]; `offset` is where the count was read.
    ///
    /// # Errors
    /// [`ErrorKind::BadCount`], [`ErrorKind::LimitExceeded`].
    pub fn check_count(
        &mut self,
        what: &'static str,
        found: i64,
        min_bytes: usize,
        offset: u64,
    ) -> Result<usize> {
        let max = (self.remaining() / min_bytes.max(1)) as u64;
        let Some(count) = u64::try_from(found).ok().filter(|&n| n <= max) else {
            return Err(Error::new(ErrorKind::BadCount { what, found, max }, offset));
        };
        self.items = self.items.saturating_add(count);
        if self.items > self.limits.max_items {
            let limit = self.limits.max_items;
            return Err(Error::new(ErrorKind::LimitExceeded { what: "number of elements", limit }, offset));
        }
        usize::try_from(count).map_err(|_| Error::new(ErrorKind::BadCount { what, found, max }, offset))
    }

    /// Runs a decoder one level deeper.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] beyond [`Limits::max_depth`], and whatever the decoder returns.
    pub fn nested<T>(&mut self, decode: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.descend()?;
        let result = decode(self);
        self.ascend();
        result
    }

    /// Goes one level deeper, for a decoder that owns the cursor; [`Cursor::ascend`] ends it.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] beyond [`Limits::max_depth`].
    pub fn descend(&mut self) -> Result<()> {
        if self.depth >= self.limits.max_depth {
            let limit = u64::from(self.limits.max_depth);
            return Err(self.error(ErrorKind::LimitExceeded { what: "nesting depth", limit }));
        }
        self.depth += 1;
        Ok(())
    }

    /// Comes back from [`Cursor::descend`].
    pub fn ascend(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// A LEB128 varint of at most 32 bits, as RocksDB's `PutVarint32` writes it.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::Invalid`] for one that is too long or too large.
    #[inline]
    pub fn varint32(&mut self) -> Result<u32> {
        let offset = self.offset();
        let value = self.varint64()?;
        u32::try_from(value).map_err(|_| Error::invalid("a varint32 has 32 bits", value.to_string(), offset))
    }

    /// A LEB128 varint of at most 64 bits, as RocksDB's `PutVarint64` writes it.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::Invalid`] for one that is too long or too large.
    #[inline]
    pub fn varint64(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (i, &byte) in self.rest().iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && byte > 1 {
                break;
            }
            value |= bits << (7 * i);
            if byte & 0x80 == 0 {
                self.pos += i + 1;
                return Ok(value);
            }
        }
        let remaining = self.remaining() as u64;
        if remaining < 10 {
            return Err(self.error(ErrorKind::UnexpectedEnd { needed: remaining + 1, remaining }));
        }
        Err(Error::invalid("a varint64 has 64 bits", "a longer one", self.offset()))
    }

    /// A varint32 length, then that many bytes: RocksDB's length-prefixed slice.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`], [`ErrorKind::BadCount`], [`ErrorKind::Invalid`].
    pub fn slice(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let (start, offset) = (self.pos, self.offset());
        let length = self.varint32()?;
        let max = self.remaining() as u64;
        match usize::try_from(length) {
            Ok(n) if n as u64 <= max => self.take(n),
            _ => {
                self.pos = start;
                Err(Error::new(ErrorKind::BadCount { what, found: length.into(), max }, offset))
            }
        }
    }

    /// Ends the decoding: nothing may be left.
    ///
    /// # Errors
    /// [`ErrorKind::TrailingBytes`].
    pub fn finish(&self) -> Result<()> {
        match self.remaining() as u64 {
            0 => Ok(()),
            count => Err(self.error(ErrorKind::TrailingBytes { count })),
        }
    }

    /// An error at the cursor's absolute offset.
    #[must_use]
    #[cold]
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_big_endian_and_offsets_absolute() {
        let bytes = [0, 0, 1, 2, 0xff, 0xfe, 7];
        let mut cursor = Cursor::at(&bytes, 100);
        assert_eq!(cursor.i32(), Ok(0x102));
        assert_eq!(cursor.offset(), 104);
        assert_eq!(cursor.i16(), Ok(-2));
        let error = cursor.i64().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::UnexpectedEnd { needed: 8, remaining: 1 });
        assert_eq!(error.offset(), 106);
        assert_eq!(cursor.u8(), Ok(7));
        assert_eq!(cursor.finish(), Ok(()));
    }

    #[test]
    fn a_boolean_is_zero_or_one() {
        let mut cursor = Cursor::new(&[1, 0, 2]);
        assert_eq!((cursor.bool(), cursor.bool()), (Ok(true), Ok(false)));
        assert_eq!(cursor.bool().unwrap_err().offset(), 2);
        assert_eq!(cursor.remaining(), 1);
    }

    #[test]
    fn counts_are_checked_against_what_remains() {
        let bytes = [0x7f, 0xff, 0xff, 0xff, 0, 0];
        let error = Cursor::new(&bytes).count32("things", 2).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::BadCount { what: "things", found: 0x7fff_ffff, max: 1 });
        let error = Cursor::new(&[0xff; 8]).count32("things", 0).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::BadCount { what: "things", found: -1, max: 4 });
    }

    #[test]
    fn depth_and_items_are_limited() {
        fn dive(cursor: &mut Cursor<'_>) -> Result<()> {
            cursor.nested(dive)
        }
        let mut cursor = Cursor::new(&[]);
        assert!(matches!(dive(&mut cursor).unwrap_err().kind(), ErrorKind::LimitExceeded { limit: 64, .. }));
        let limits = Limits { max_items: 3, ..Limits::default() };
        let mut cursor = Cursor::new(&[0, 0, 0, 4, 1, 2, 3, 4]).with_limits(limits);
        assert!(matches!(
            cursor.count32("x", 1).unwrap_err().kind(),
            ErrorKind::LimitExceeded { limit: 3, .. }
        ));
    }

    #[test]
    fn varints_up_to_64_bits() {
        let mut bytes = vec![0x7f, 0x80, 0x01];
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.varint64(), Ok(127));
        assert_eq!(cursor.varint32(), Ok(128));
        assert_eq!(cursor.clone().varint64(), Ok(u64::MAX));
        assert!(matches!(cursor.varint32().unwrap_err().kind(), ErrorKind::Invalid { .. }));
        assert!(matches!(Cursor::new(&[0xff; 10]).varint64().unwrap_err().kind(), ErrorKind::Invalid { .. }));
        assert!(matches!(
            Cursor::new(&[0xff; 3]).varint64().unwrap_err().kind(),
            ErrorKind::UnexpectedEnd { .. }
        ));
    }

    #[test]
    fn a_sub_cursor_is_bounded_and_keeps_the_offset() {
        let mut cursor = Cursor::at(&[0, 1, 2, 3], 10);
        cursor.skip(1).unwrap();
        let mut sub = cursor.sub(2).unwrap();
        assert_eq!((sub.offset(), sub.u16(), sub.is_empty()), (11, Ok(0x0102), true));
        assert_eq!(cursor.u8(), Ok(3));
    }
}
