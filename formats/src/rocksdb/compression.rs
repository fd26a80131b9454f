//! The compression type: the first byte of a block's trailer (`include/rocksdb/compression_type.h`).

use std::fmt;

/// How the contents of a block are compressed.
///
/// From table format version 2 on, every type but Snappy puts a varint32 with the uncompressed size
/// in front of the compressed bytes (`util/compression.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompressionType {
    /// As it is.
    NoCompression,
    /// Snappy's raw format.
    Snappy,
    /// zlib, normally raw deflate.
    Zlib,
    /// bzip2.
    BZip2,
    /// LZ4's block format.
    Lz4,
    /// The same as [`CompressionType::Lz4`], compressed with more effort.
    Lz4Hc,
    /// Windows only.
    Xpress,
    /// Zstandard.
    Zstd,
    /// What a custom compression manager of the application writes (0x80 and up), or a value that
    /// no release has given a meaning.
    Other(u8),
}

impl CompressionType {
    /// The type that a trailer's byte stands for. 0x40 was Zstandard before its format was final.
    #[must_use]
    pub fn from_u8(tag: u8) -> Self {
        match tag {
            0 => Self::NoCompression,
            1 => Self::Snappy,
            2 => Self::Zlib,
            3 => Self::BZip2,
            4 => Self::Lz4,
            5 => Self::Lz4Hc,
            6 => Self::Xpress,
            7 | 0x40 => Self::Zstd,
            other => Self::Other(other),
        }
    }

    /// RocksDB's name of it, as the property `rocksdb.compression` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCompression => "NoCompression",
            Self::Snappy => "Snappy",
            Self::Zlib => "Zlib",
            Self::BZip2 => "BZip2",
            Self::Lz4 => "LZ4",
            Self::Lz4Hc => "LZ4HC",
            Self::Xpress => "Xpress",
            Self::Zstd => "ZSTD",
            Self::Other(_) => "Other",
        }
    }
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(tag) => write!(f, "Other({tag:#04x})"),
            known => f.write_str(known.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_names() {
        let names: Vec<_> = (0..=8).map(|t| CompressionType::from_u8(t).to_string()).collect();
        assert_eq!(
            names,
            ["NoCompression", "Snappy", "Zlib", "BZip2", "LZ4", "LZ4HC", "Xpress", "ZSTD", "Other(0x08)"]
        );
    }
}
