//! Block handles: where in a table a block lies (`table/format.h`, `BlockHandle`).
//!
//! ```text
//! varint64 offset │ varint64 size        size without the 5 bytes of the block's trailer
//! ```

use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt};

/// Length of what follows the contents of every block of a block-based table: the compression type
/// (one byte) and the checksum (`u32`).
pub const BLOCK_TRAILER_LEN: u64 = 5;

/// Where a block lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHandle {
    /// Absolute offset of the first byte.
    pub offset: u64,
    /// Length in bytes as stored, without the trailer.
    pub size: u64,
}

impl BlockHandle {
    /// Decodes a handle.
    ///
    /// # Errors
    /// As [`Cursor::varint64`]; [`crate::ErrorKind::Invalid`] if the end lies beyond 64 bits.
    #[inline]
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self> {
        let at = cursor.offset();
        let offset = cursor.varint64().field("offset")?;
        let size = cursor.varint64().field("size")?;
        let handle = Self { offset, size };
        if offset.checked_add(size).and_then(|end| end.checked_add(BLOCK_TRAILER_LEN)).is_none() {
            return Err(Error::invalid("a block ends before 2^64", format!("{handle:?}"), at));
        }
        Ok(handle)
    }

    /// Whether it points nowhere: RocksDB writes offset 0 and size 0 for a block that is not there.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.offset == 0 && self.size == 0
    }

    /// Absolute offset of the first byte after the contents.
    #[must_use]
    pub fn contents_end(self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// Absolute offset of the first byte after the trailer.
    #[must_use]
    pub fn end(self) -> u64 {
        self.contents_end().saturating_add(BLOCK_TRAILER_LEN)
    }

    /// Checks that the block ends, trailer included, no later than `limit`; `at` is where the handle
    /// was read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`].
    pub fn check_within(self, limit: u64, at: u64) -> Result<()> {
        if self.end() <= limit {
            return Ok(());
        }
        let found = format!("offset {}, size {}, limit {limit}", self.offset, self.size);
        Err(Error::invalid("a block and its trailer end before what follows them", found, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_varints() {
        let mut cursor = Cursor::at(&[0x80, 0x01, 0x05], 7);
        let handle = BlockHandle::decode(&mut cursor).unwrap();
        assert_eq!(handle, BlockHandle { offset: 128, size: 5 });
        assert_eq!((handle.contents_end(), handle.end(), handle.is_null()), (133, 138, false));
        assert!(handle.check_within(138, 7).is_ok());
        assert_eq!(handle.check_within(137, 7).unwrap_err().offset(), 7);
    }

    #[test]
    fn an_end_beyond_64_bits_is_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.extend([0x01, 0x01]);
        assert_eq!(BlockHandle::decode(&mut Cursor::new(&bytes)).unwrap_err().offset(), 0);
    }
}
