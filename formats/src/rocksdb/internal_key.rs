//! Internal keys: what RocksDB stores where the user stored a key (`db/dbformat.h`).
//!
//! ```text
//! user key … │ u64 LE: sequence number << 8 | value type
//! ```
//!
//! Keys sort by user key ascending, then by sequence number descending, then by type descending, so
//! that the newest version of a key comes first. With user-defined timestamps, which Flink does not
//! use, the timestamp is the end of the user key.

use std::cmp::Ordering;
use std::fmt;

use byteorder::{ByteOrder, LittleEndian};

use crate::error::{Error, ErrorKind, Result};

/// Length of what follows the user key.
pub const TRAILER_LEN: usize = 8;

/// The largest sequence number: 56 bits.
pub const MAX_SEQUENCE: u64 = (1 << 56) - 1;

macro_rules! value_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The type of an entry: the lowest byte of an internal key's trailer.
        ///
        /// Those that RocksDB marks "WAL only" never stand in a table; they are named so that an
        /// error about one can say what it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ValueType {
            $($(#[$doc])* $name = $code,)*
        }

        impl ValueType {
            /// The type that a byte stands for.
            #[must_use]
            pub fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// RocksDB's name without its `kType`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

value_types! {
    /// The key is deleted.
    Deletion = 0x00,
    /// A value.
    Value = 0x01,
    /// A merge operand.
    Merge = 0x02,
    /// WAL only.
    LogData = 0x03,
    /// WAL only.
    ColumnFamilyDeletion = 0x04,
    /// WAL only.
    ColumnFamilyValue = 0x05,
    /// WAL only.
    ColumnFamilyMerge = 0x06,
    /// The key, written exactly once before, is deleted.
    SingleDeletion = 0x07,
    /// WAL only.
    ColumnFamilySingleDeletion = 0x08,
    /// WAL only.
    BeginPrepareXid = 0x09,
    /// WAL only.
    EndPrepareXid = 0x0a,
    /// WAL only.
    CommitXid = 0x0b,
    /// WAL only.
    RollbackXid = 0x0c,
    /// WAL only.
    Noop = 0x0d,
    /// WAL only.
    ColumnFamilyRangeDeletion = 0x0e,
    /// The range from this key (inclusive) to the value (exclusive) is deleted; stands in the
    /// range-deletion block, and in the file boundaries of a MANIFEST.
    RangeDeletion = 0x0f,
    /// WAL only.
    ColumnFamilyBlobIndex = 0x10,
    /// The value is a reference into a blob file.
    BlobIndex = 0x11,
    /// WAL only.
    BeginPersistedPrepareXid = 0x12,
    /// WAL only.
    BeginUnprepareXid = 0x13,
    /// The key is deleted at a user-defined timestamp.
    DeletionWithTimestamp = 0x14,
    /// WAL only.
    CommitXidAndTimestamp = 0x15,
    /// The value is an entity of several named columns.
    WideColumnEntity = 0x16,
    /// WAL only.
    ColumnFamilyWideColumnEntity = 0x17,
    /// A value followed by its preferred sequence number (`TimedPut`).
    ValuePreferredSeqno = 0x18,
    /// WAL only.
    ColumnFamilyValuePreferredSeqno = 0x19,
    /// No entry: in a MANIFEST, the begin of a table at which a range tombstone was truncated. It is the
    /// number behind the last type, and so this in 11.8; 0x18 in 8.10.
    MaxValid = 0x1a,
}

impl ValueType {
    /// Whether an entry of a data block may have this type.
    #[must_use]
    pub fn is_in_data_blocks(self) -> bool {
        matches!(
            self,
            Self::Deletion
                | Self::Value
                | Self::Merge
                | Self::SingleDeletion
                | Self::BlobIndex
                | Self::DeletionWithTimestamp
                | Self::WideColumnEntity
                | Self::ValuePreferredSeqno
        )
    }
}

/// An internal key, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InternalKey<'a> {
    /// The key that the user wrote.
    pub user_key: &'a [u8],
    /// When it was written; 0 where compaction knows that no one can see the difference.
    pub sequence: u64,
    /// What was written.
    pub value_type: ValueType,
}

impl<'a> InternalKey<'a> {
    /// Decodes an internal key whose first byte has the absolute offset `base`.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`] if it is shorter than its trailer, [`ErrorKind::UnknownTag`].
    #[inline]
    pub fn decode(bytes: &'a [u8], base: u64) -> Result<Self> {
        let Some((user_key, trailer)) = bytes.split_last_chunk::<TRAILER_LEN>() else {
            let kind = ErrorKind::UnexpectedEnd { needed: TRAILER_LEN as u64, remaining: bytes.len() as u64 };
            return Err(Error::new(kind, base));
        };
        let packed = LittleEndian::read_u64(trailer);
        let code = packed.to_le_bytes().first().copied().unwrap_or_default();
        match ValueType::from_u8(code) {
            Some(value_type) => Ok(Self { user_key, sequence: packed >> 8, value_type }),
            None => Err(Error::new(
                ErrorKind::UnknownTag { what: "an internal key's value type", found: code.into() },
                base.saturating_add(user_key.len() as u64),
            )),
        }
    }

    /// The same key, owned.
    #[must_use]
    pub fn to_buf(self) -> InternalKeyBuf {
        InternalKeyBuf {
            user_key: self.user_key.to_vec(),
            sequence: self.sequence,
            value_type: self.value_type,
        }
    }
}

/// An internal key, owned.
#[derive(Clone, PartialEq, Eq)]
pub struct InternalKeyBuf {
    /// The key that the user wrote.
    pub user_key: Vec<u8>,
    /// When it was written.
    pub sequence: u64,
    /// What was written.
    pub value_type: ValueType,
}

/// The order of tables: by user key, and the newest version of a key first.
impl Ord for InternalKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let version = |key: &Self| (key.sequence, key.value_type as u8);
        self.user_key.cmp(other.user_key).then_with(|| version(other).cmp(&version(self)))
    }
}

impl PartialOrd for InternalKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl InternalKeyBuf {
    /// The same key, borrowed.
    #[must_use]
    pub fn as_key(&self) -> InternalKey<'_> {
        InternalKey { user_key: &self.user_key, sequence: self.sequence, value_type: self.value_type }
    }
}

impl fmt::Debug for InternalKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' seq:{} {}", self.user_key.escape_ascii(), self.sequence, self.value_type.name())
    }
}

impl fmt::Debug for InternalKeyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_key().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_is_sequence_and_type() {
        //           user key    type  sequence 0x2a
        let bytes = [b'k', b'1', 0x02, 0x2a, 0, 0, 0, 0, 0, 0];
        let key = InternalKey::decode(&bytes, 100).unwrap();
        assert_eq!((key.user_key, key.sequence, key.value_type), (&b"k1"[..], 42, ValueType::Merge));
        assert_eq!(format!("{key:?}"), "'k1' seq:42 Merge");
        assert_eq!(key.to_buf().as_key(), key);
    }

    #[test]
    fn an_empty_user_key_and_the_largest_sequence() {
        let bytes = [0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let key = InternalKey::decode(&bytes, 0).unwrap();
        assert_eq!(
            (key.user_key, key.sequence, key.value_type),
            (&b""[..], MAX_SEQUENCE, ValueType::RangeDeletion)
        );
    }

    #[test]
    fn short_keys_and_unknown_types_are_errors() {
        assert_eq!(InternalKey::decode(&[1; 7], 9).unwrap_err().offset(), 9);
        let error = InternalKey::decode(&[b'a', 0x1b, 0, 0, 0, 0, 0, 0, 0], 9).unwrap_err();
        assert_eq!(
            (error.offset(), matches!(error.kind(), ErrorKind::UnknownTag { found: 27, .. })),
            (10, true)
        );
    }

    /// As RocksDB 11.8 writes it where a range tombstone begins in the middle of a table's boundaries.
    #[test]
    fn the_begin_of_a_truncated_range_tombstone_is_no_entry() {
        let key = InternalKey::decode(&[b'a', 0x1a, 7, 0, 0, 0, 0, 0, 0], 0).unwrap();
        assert_eq!((key.sequence, key.value_type), (7, ValueType::MaxValid));
        assert!(!key.value_type.is_in_data_blocks());
    }

    #[test]
    fn codes_and_types_agree() {
        for code in 0..=u8::MAX {
            assert!(ValueType::from_u8(code).is_none_or(|t| t as u8 == code));
        }
        assert_eq!((0..=u8::MAX).filter_map(ValueType::from_u8).filter(|t| t.is_in_data_blocks()).count(), 8);
    }
}
