//! The range-deletion block of a table (`db/dbformat.h`, `RangeTombstone`;
//! `db/range_tombstone_fragmenter.cc`): a [block](super::block) of
//!
//! ```text
//! key:    internal key of type RangeDeletion: the first user key that is deleted, and when
//! value:  the first user key behind it that is not
//! ```
//!
//! Ranges may overlap, and reach beyond the table's other keys; RocksDB lets them delete nothing beyond
//! the boundaries that the MANIFEST gives the table.

use super::block::Block;
use super::internal_key::{InternalKey, ValueType};
use crate::error::{Error, Result, ResultExt};

/// A deletion of all keys in a range, for versions that are older than it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeTombstone {
    /// The first user key of the range.
    pub start: Vec<u8>,
    /// The first user key behind the range. If it is not behind `start`, nothing is deleted.
    pub end: Vec<u8>,
    /// What has a smaller sequence number is deleted.
    pub sequence: u64,
}

impl RangeTombstone {
    /// Decodes the uncompressed contents of a range-deletion block: its tombstones as they stand there.
    ///
    /// `base` is what errors count from: the block's offset in the file, exact where the block is not
    /// compressed. `global_sequence` is that of the table, see
    /// [`TableTail::global_sequence`](super::tail::TableTail::global_sequence).
    ///
    /// # Errors
    /// As [`Block::new`] and [`Entries::next`](super::block::Entries::next); at the entry's offset, as
    /// [`InternalKey::decode`], and [`crate::ErrorKind::Invalid`] for an entry of another type.
    pub fn decode_all(contents: &[u8], base: u64, global_sequence: Option<u64>) -> Result<Vec<Self>> {
        let mut tombstones = Vec::new();
        let mut entries = Block::new(contents, base)?.entries();
        while let Some(entry) = entries.next()? {
            let index = tombstones.len();
            // Its key is put together from several places: the entry is where it can be found.
            let key = InternalKey::decode(entry.key, entry.offset)
                .map_err(|error| Error::new(error.kind().clone(), entry.offset))
                .index("entries", index)?;
            if key.value_type != ValueType::RangeDeletion {
                let rule = "a range-deletion block holds range deletions";
                return Err(Error::invalid(rule, key.value_type.name(), entry.offset))
                    .index("entries", index);
            }
            tombstones.push(Self {
                start: key.user_key.to_vec(),
                end: entry.value.to_vec(),
                sequence: global_sequence.unwrap_or(key.sequence),
            });
        }
        Ok(tombstones)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    #[rustfmt::skip]
    const TWO: [u8; 40] = [
        0, 9, 1, b'a', 0x0f, 7, 0, 0, 0, 0, 0, 0, b'c',       // a to c, sequence 7
        0, 10, 2, b'b', b'b', 0x0f, 5, 0, 0, 0, 0, 0, 0, b'b', b'c', // bb to bc, sequence 5
        0, 0, 0, 0,  13, 0, 0, 0,                             // restarts
        2, 0, 0, 0,
    ];

    fn tombstone(start: &str, end: &str, sequence: u64) -> RangeTombstone {
        RangeTombstone { start: start.into(), end: end.into(), sequence }
    }

    #[test]
    fn ranges_and_when_they_were_deleted() {
        let expected = vec![tombstone("a", "c", 7), tombstone("bb", "bc", 5)];
        assert_eq!(RangeTombstone::decode_all(&TWO, 100, None), Ok(expected));
        let expected = vec![tombstone("a", "c", 9), tombstone("bb", "bc", 9)];
        assert_eq!(RangeTombstone::decode_all(&TWO, 100, Some(9)), Ok(expected));
        assert_eq!(RangeTombstone::decode_all(&[0, 0, 0, 0, 1, 0, 0, 0], 100, None), Ok(vec![]));
    }

    #[test]
    fn other_entries_are_errors() {
        let mut bytes = TWO;
        bytes[18] = 1;
        let error = RangeTombstone::decode_all(&bytes, 100, None).unwrap_err();
        assert_eq!((error.offset(), error.path().as_str()), (113, "entries[1]"));
        bytes[18] = 0x7f;
        let error = RangeTombstone::decode_all(&bytes, 100, None).unwrap_err();
        assert_eq!(error.offset(), 113);
        assert!(matches!(error.kind(), ErrorKind::UnknownTag { found: 0x7f, .. }));
        let short = [0, 1, 1, b'a', b'b', 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(RangeTombstone::decode_all(&short, 100, None).unwrap_err().offset(), 100);
    }

    #[test]
    fn cut_and_damaged_blocks() {
        let mut bytes = TWO;
        for length in 0..TWO.len() {
            if let Err(error) = RangeTombstone::decode_all(&bytes[..length], 100, None) {
                assert!((100..=100 + length as u64).contains(&error.offset()), "{error}");
            }
        }
        for bit in 0..TWO.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Err(error) = RangeTombstone::decode_all(&bytes, 100, None) {
                assert!((100..=100 + TWO.len() as u64).contains(&error.offset()), "{error}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = RangeTombstone::decode_all(&bytes, 0, None);
        }
    }
}
