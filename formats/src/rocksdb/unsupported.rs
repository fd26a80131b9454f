//! Tables and entries that RocksDB can read and whose live entries are not worked out here: they are
//! named, so that nothing is counted that is not understood.
//!
//! | what | how it is known |
//! |---|---|
//! | an order other than bytewise | the comparator's name, in MANIFEST and properties |
//! | user-defined timestamps | the comparator's name ends with `.u64ts` (`util/comparator.cc`) |
//! | compression of the application's own | `rocksdb.compression` of format version 7: the manager, the types |
//! | an index of an unknown type | `rocksdb.block.based.table.index.type` |
//! | values in blob files | the MANIFEST's oldest blob file of the table; `rocksdb.embedded.blob.stats` |
//!
//! Plain and cuckoo tables already fail at their [footer](super::footer). What a single entry can be,
//! [`unsupported_entry`] says.

use std::fmt;

use super::compression::CompressionType;
use super::internal_key::ValueType;
use super::properties::IndexType;
use super::tail::TableTail;

const BYTEWISE: &str = "leveldb.BytewiseComparator";
const REVERSE_BYTEWISE: &str = "rocksdb.ReverseBytewiseComparator";
const TIMESTAMPS: &str = ".u64ts";
/// The manager of the built-in types of compression.
const BUILT_IN: &str = "BuiltinV2";
const EMBEDDED_BLOBS: &[u8] = b"rocksdb.embedded.blob.stats";

/// Why the live entries of a table are not worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsupported {
    /// Keys are sorted backwards.
    ReverseComparator,
    /// Keys end with timestamps of the application; the comparator's name.
    UserTimestamps(String),
    /// Keys are sorted by the application; the comparator's name.
    Comparator(String),
    /// Blocks are compressed by the application, or with XPRESS; what the property says.
    Compression(String),
    /// The index is of this type.
    IndexType(u32),
    /// Values lie in blob files, or in the table but outside of its blocks.
    Blobs,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReverseComparator => write!(f, "keys in reverse order ({REVERSE_BYTEWISE})"),
            Self::UserTimestamps(name) => write!(f, "keys with user-defined timestamps ({name})"),
            Self::Comparator(name) => write!(f, "keys in the order of the comparator {name}"),
            Self::Compression(name) => write!(f, "blocks compressed with {name}"),
            Self::IndexType(code) => write!(f, "an index of type {code}"),
            Self::Blobs => f.write_str("values in blob files"),
        }
    }
}

impl Unsupported {
    /// Why the live entries of a table are not worked out; none if they are.
    ///
    /// `comparator` is that of the column family in the MANIFEST, `oldest_blob_file` the MANIFEST's
    /// `oldest_blob_file_number` of the table; none where there is no MANIFEST or it does not say.
    #[must_use]
    pub fn of(tail: &TableTail, comparator: Option<&str>, oldest_blob_file: Option<u64>) -> Option<Self> {
        let properties = tail.properties.as_ref();
        let compression = properties.and_then(|p| p.compression.as_deref());
        let of_index = properties.and_then(|p| match p.index_type {
            Some(IndexType::Other(code)) => Some(Self::IndexType(code)),
            _ => None,
        });
        let has_blobs = oldest_blob_file.is_some_and(|number| number != 0)
            || properties.is_some_and(|p| p.others.contains_key(EMBEDDED_BLOBS));
        comparator
            .and_then(of_comparator)
            .or_else(|| properties?.comparator.as_deref().and_then(of_comparator))
            .or_else(|| of_compression(compression?, tail.footer.format_version))
            .or(of_index)
            .or_else(|| has_blobs.then_some(Self::Blobs))
    }
}

fn of_comparator(name: &str) -> Option<Unsupported> {
    match name {
        BYTEWISE => None,
        REVERSE_BYTEWISE => Some(Unsupported::ReverseComparator),
        _ if name.ends_with(TIMESTAMPS) => Some(Unsupported::UserTimestamps(name.to_owned())),
        _ => Some(Unsupported::Comparator(name.to_owned())),
    }
}

/// From format version 7 on, the property is `manager;types in hex, two digits each;…`; without
/// compression, the manager's name is empty.
fn of_compression(property: &str, format_version: u32) -> Option<Unsupported> {
    let known = if format_version < 7 {
        // Every other name is of a type that is read, or of none: then no block is compressed.
        property != CompressionType::Xpress.name()
    } else {
        let mut fields = property.split(';');
        let manager = fields.next().unwrap_or_default();
        let types = fields.next().unwrap_or_default().as_bytes();
        (manager.is_empty() || manager == BUILT_IN)
            && types.len().is_multiple_of(2)
            && types.chunks(2).all(|digits| {
                let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'));
                digits.and_then(|d| u8::from_str_radix(d, 16).ok()).is_some_and(|tag| {
                    !matches!(
                        CompressionType::from_u8(tag),
                        CompressionType::Xpress | CompressionType::Other(_)
                    )
                })
            })
    };
    (!known).then(|| Unsupported::Compression(property.to_owned()))
}

/// Why an entry of this type is not worked out; none if it is.
#[must_use]
pub fn unsupported_entry(value_type: ValueType) -> Option<&'static str> {
    match value_type {
        ValueType::Value | ValueType::Merge | ValueType::Deletion | ValueType::SingleDeletion => None,
        ValueType::BlobIndex => Some("a value in a blob file"),
        ValueType::WideColumnEntity => Some("an entity of several columns"),
        ValueType::DeletionWithTimestamp => Some("a deletion at a user-defined timestamp"),
        ValueType::ValuePreferredSeqno => Some("a value with a preferred sequence number"),
        _ => Some("a type that never stands in a data block"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocksdb::properties::TableProperties;
    use crate::rocksdb::tail::bare as tail;

    #[test]
    fn comparators() {
        let of = |name: &str| {
            let properties = TableProperties { comparator: Some(name.to_owned()), ..Default::default() };
            let by_table = Unsupported::of(&tail(5, properties), Some(BYTEWISE), None);
            let by_manifest = Unsupported::of(&tail(5, TableProperties::default()), Some(name), None);
            assert_eq!(by_table, by_manifest);
            by_table.map(|unsupported| unsupported.to_string())
        };
        assert_eq!(of(BYTEWISE), None);
        assert_eq!(
            of(REVERSE_BYTEWISE).as_deref(),
            Some("keys in reverse order (rocksdb.ReverseBytewiseComparator)")
        );
        assert_eq!(
            of("leveldb.BytewiseComparator.u64ts").as_deref(),
            Some("keys with user-defined timestamps (leveldb.BytewiseComparator.u64ts)")
        );
        assert_eq!(of("mine").as_deref(), Some("keys in the order of the comparator mine"));
    }

    #[test]
    fn compression() {
        let of = |version, name: &str| {
            let properties = TableProperties { compression: Some(name.to_owned()), ..Default::default() };
            Unsupported::of(&tail(version, properties), None, None)
        };
        for name in ["Snappy", "", "ZSTDNotFinal"] {
            assert_eq!(of(6, name), None, "{name}");
        }
        for name in [";;", "BuiltinV2;;", "BuiltinV2;0407;more", ";40;"] {
            assert_eq!(of(7, name), None, "{name}");
        }
        assert_eq!(of(6, "Xpress"), Some(Unsupported::Compression("Xpress".to_owned())));
        let unknown = ["BuiltinV2;06;", "BuiltinV2;80;", "BuiltinV2;7;", "BuiltinV2;+7;", "BuiltinV2;é;"];
        for name in ["Mine;80;", "Mine;;", "Snappy"].iter().chain(&unknown) {
            assert_eq!(of(7, name), Some(Unsupported::Compression((*name).to_owned())), "{name}");
        }
    }

    #[test]
    fn indexes_and_blobs() {
        let mut properties = TableProperties { index_type: Some(IndexType::Other(9)), ..Default::default() };
        assert_eq!(
            Unsupported::of(&tail(5, properties.clone()), None, None),
            Some(Unsupported::IndexType(9))
        );
        properties.index_type = Some(IndexType::HashSearch);
        let plain = tail(5, properties.clone());
        assert_eq!(Unsupported::of(&plain, None, Some(0)), None);
        assert_eq!(Unsupported::of(&plain, None, Some(3)), Some(Unsupported::Blobs));
        properties.others.insert(EMBEDDED_BLOBS.to_vec(), vec![]);
        assert_eq!(Unsupported::of(&tail(7, properties), None, None), Some(Unsupported::Blobs));
        assert_eq!(Unsupported::of(&TableTail { properties: None, ..plain }, None, None), None);
    }

    #[test]
    fn entries() {
        let supported: Vec<_> = (0..=u8::MAX)
            .filter_map(ValueType::from_u8)
            .filter(|&kind| unsupported_entry(kind).is_none())
            .collect();
        assert_eq!(
            supported,
            [ValueType::Deletion, ValueType::Value, ValueType::Merge, ValueType::SingleDeletion]
        );
        assert!(supported.iter().all(|kind| kind.is_in_data_blocks()));
    }
}
