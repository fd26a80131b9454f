//! Footers: the last bytes of a table (`table/format.h`, `table/format.cc`, `Footer`).
//!
//! ```text
//! format version 0, 48 bytes          1 to 5, 53 bytes              6 and 7, 53 bytes
//!                                     u8 checksum type              u8 checksum type
//! metaindex handle │ index handle     metaindex handle │ index      4 bytes 3e 00 7a 00
//! (varints, zeros up to 40 bytes)     (varints, zeros up to 40)     u32 checksum of the footer
//!                                                                   u32 base context checksum
//!                                                                   u32 size of the metaindex
//!                                                                   16 bytes unused
//!                                                                   u64 must be zero
//!                                     u32 format version            u32 format version
//! u64 db4775248b80fb57                u64 88e241b785f4cff7          u64 88e241b785f4cff7
//! ```
//!
//! All integers are little-endian. From version 6 on, the metaindex ends where the footer begins, and
//! the index is named by the metaindex (`rocksdb.index`). The footer's checksum is computed with its
//! own four bytes as zeros, and has the footer's offset as context.
//!
//! Which release reads which: 0 and 1 up to 10.x, 2 since 3.10, 3 since 5.15, 4 since 5.16, 5 since
//! 6.6, 6 since 8.6, 7 since 10.4. Flink 1.13 writes 0, Flink 1.20 and 2.3 (also with ForSt) write 5.

use byteorder::{ByteOrder, LittleEndian};

use super::checksum::{BlockChecksum, ChecksumType, context_modifier};
use super::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// Length of the longest footer: as much of a file's end as [`Footer::decode`] needs.
pub const MAX_FOOTER_LEN: usize = 53;

/// Length of the shortest footer, so of the shortest table.
pub const MIN_FOOTER_LEN: usize = 48;

/// The magic number of block-based tables of format version 1 and later.
pub const BLOCK_BASED_MAGIC: u64 = 0x88e2_41b7_85f4_cff7;

/// The magic number of block-based tables of format version 0.
pub const LEGACY_BLOCK_BASED_MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// The newest format version that is decoded.
pub const LATEST_FORMAT_VERSION: u32 = 7;

const EXTENDED_MAGIC: [u8; 4] = [0x3e, 0x00, 0x7a, 0x00];
const MAGIC_LEN: usize = 8;
/// Two handles of two varint64 of at most ten bytes each.
const HANDLES_LEN: usize = 40;
/// Where in a footer of version 6 or later its own checksum stands.
const OWN_CHECKSUM: std::ops::Range<usize> = 5..9;

/// The footer of a block-based table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Absolute offset of its first byte.
    pub offset: u64,
    /// 0 to 7; decides about encodings all over the table.
    pub format_version: u32,
    /// How blocks are checked.
    pub checksum: BlockChecksum,
    /// Where the metaindex lies.
    pub metaindex: BlockHandle,
    /// Where the index (of a partitioned index: its top level) lies; from version 6 on the metaindex
    /// says that.
    pub index: Option<BlockHandle>,
}

impl Footer {
    /// Decodes the footer from the last bytes of a file, of which the first has the absolute offset
    /// `base`. [`MAX_FOOTER_LEN`] bytes are enough.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`] for too few bytes, [`ErrorKind::Unsupported`] for the other table
    /// formats of RocksDB, [`ErrorKind::Invalid`] for a magic number that is none of its,
    /// [`ErrorKind::UnknownVersion`], [`ErrorKind::UnknownTag`], [`ErrorKind::ChecksumMismatch`].
    pub fn decode(tail: &[u8], base: u64) -> Result<Self> {
        decode(tail, base).field("footer")
    }
}

fn decode(tail: &[u8], base: u64) -> Result<Footer> {
    let end = base.saturating_add(tail.len() as u64);
    let last = |n: usize| -> Result<(&[u8], u64)> {
        let start = tail.len().checked_sub(n);
        let bytes = start.and_then(|at| tail.get(at..)).ok_or_else(|| {
            let kind = ErrorKind::UnexpectedEnd { needed: n as u64, remaining: tail.len() as u64 };
            Error::new(kind, base)
        })?;
        Ok((bytes, end - n as u64))
    };

    let (bytes, at) = last(MAGIC_LEN)?;
    match LittleEndian::read_u64(bytes) {
        BLOCK_BASED_MAGIC => {
            let (bytes, at) = last(MAX_FOOTER_LEN)?;
            decode_current(bytes, at)
        }
        LEGACY_BLOCK_BASED_MAGIC => {
            let (bytes, at) = last(MIN_FOOTER_LEN)?;
            let checksum = BlockChecksum { checksum_type: ChecksumType::Crc32c, base_context_checksum: 0 };
            let mut cursor = Cursor::at(bytes, at);
            let (metaindex, index) = handles(&mut cursor, at)?;
            Ok(Footer { offset: at, format_version: 0, checksum, metaindex, index: Some(index) })
        }
        0x8242_2296_63bf_9564 | 0x4f34_18eb_7a8f_13b8 => Err(unsupported("a plain table", at)),
        0x9267_89d0_c5f1_7873 => Err(unsupported("a cuckoo table", at)),
        other => Err(Error::invalid(
            "the last eight bytes are the magic number of a RocksDB table",
            format!("{other:#018x}"),
            at,
        )),
    }
}

/// The 53 bytes of versions 1 and later, the first of which has the absolute offset `at`.
fn decode_current(bytes: &[u8], at: u64) -> Result<Footer> {
    let mut cursor = Cursor::at(bytes, at);
    let checksum_type = cursor.u8()?;
    let mut middle = cursor.sub(HANDLES_LEN)?;
    let version_at = cursor.offset();
    let format_version = cursor.u32_le()?;
    if !(1..=LATEST_FORMAT_VERSION).contains(&format_version) {
        let found = format_version.into();
        let kind = ErrorKind::UnknownVersion { what: "a block-based table", found, known: "0 to 7" };
        return Err(Error::new(kind, version_at)).field("format_version");
    }
    let checksum_type = ChecksumType::from_u8(checksum_type).ok_or_else(|| {
        let kind = ErrorKind::UnknownTag { what: "checksum type", found: checksum_type.into() };
        Error::new(kind, at)
    })?;
    if format_version < 6 {
        let (metaindex, index) = handles(&mut middle, at)?;
        let checksum = BlockChecksum { checksum_type, base_context_checksum: 0 };
        return Ok(Footer { offset: at, format_version, checksum, metaindex, index: Some(index) });
    }

    let magic_at = middle.offset();
    let extended = middle.take(EXTENDED_MAGIC.len())?;
    if extended != EXTENDED_MAGIC {
        let rule = "a footer of version 6 or later has the extended magic number 3e 00 7a 00";
        return Err(Error::invalid(rule, format!("{extended:02x?}"), magic_at));
    }
    let checksum_at = middle.offset();
    let stored = middle.u32_le()?;
    let context_at = middle.offset();
    let base_context_checksum = middle.u32_le()?;
    if base_context_checksum == 0 {
        return Err(Error::invalid("a base context checksum is not 0", "0", context_at));
    }
    let mut blanked = [0; MAX_FOOTER_LEN];
    for (to, (i, from)) in blanked.iter_mut().zip(bytes.iter().enumerate()) {
        *to = if OWN_CHECKSUM.contains(&i) { 0 } else { *from };
    }
    let computed = checksum_type.compute(&blanked).wrapping_add(context_modifier(base_context_checksum, at));
    if computed != stored {
        let (stored, computed) = (stored.into(), computed.into());
        let kind = ErrorKind::ChecksumMismatch { what: "the footer", stored, computed };
        return Err(Error::new(kind, checksum_at));
    }
    let size_at = middle.offset();
    let size = u64::from(middle.u32_le()?);
    let Some(offset) = at.checked_sub(BLOCK_TRAILER_LEN).and_then(|end| end.checked_sub(size)) else {
        let rule = "the metaindex and its trailer lie in front of the footer";
        return Err(Error::invalid(rule, format!("size {size}"), size_at)).field("metaindex");
    };
    middle.skip(16)?;
    let reserved_at = middle.offset();
    let reserved = middle.u64_le()?;
    if reserved != 0 {
        return Err(unsupported("a feature of a RocksDB newer than 11", reserved_at));
    }
    let checksum = BlockChecksum { checksum_type, base_context_checksum };
    let metaindex = BlockHandle { offset, size };
    Ok(Footer { offset: at, format_version, checksum, metaindex, index: None })
}

/// The two handles of versions 0 to 5; both blocks lie in front of the footer.
fn handles(cursor: &mut Cursor<'_>, footer: u64) -> Result<(BlockHandle, BlockHandle)> {
    let mut one = |name| {
        let at = cursor.offset();
        BlockHandle::decode(cursor)
            .and_then(|handle| handle.check_within(footer, at).map(|()| handle))
            .field(name)
    };
    Ok((one("metaindex")?, one("index")?))
}

fn unsupported(what: &str, at: u64) -> Error {
    Error::new(ErrorKind::Unsupported { what: what.to_owned() }, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// metaindex at 300 size 40, index at 200 size 90.
    fn version_5(version: u8, checksum: u8) -> Vec<u8> {
        let mut bytes = vec![checksum, 0xac, 0x02, 0x28, 0xc8, 0x01, 0x5a];
        bytes.resize(41, 0);
        bytes.extend([version, 0, 0, 0]);
        bytes.extend(BLOCK_BASED_MAGIC.to_le_bytes());
        bytes
    }

    fn version_6(offset: u64, metaindex_size: u32) -> Vec<u8> {
        let mut bytes = vec![4, 0x3e, 0x00, 0x7a, 0x00, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];
        bytes.extend(metaindex_size.to_le_bytes());
        bytes.resize(41, 0);
        bytes.extend([6, 0, 0, 0]);
        bytes.extend(BLOCK_BASED_MAGIC.to_le_bytes());
        let sum = ChecksumType::Xxh3.compute(&bytes).wrapping_add(context_modifier(0x1234_5678, offset));
        bytes[5..9].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn versions_1_to_5_hold_two_handles() {
        for version in 1..=5 {
            let footer = Footer::decode(&version_5(version, 4), 345).unwrap();
            assert_eq!(footer.format_version, u32::from(version));
            assert_eq!((footer.offset, footer.checksum.checksum_type), (345, ChecksumType::Xxh3));
            assert_eq!(footer.metaindex, BlockHandle { offset: 300, size: 40 });
            assert_eq!(footer.index, Some(BlockHandle { offset: 200, size: 90 }));
        }
    }

    #[test]
    fn version_0_has_its_own_magic_and_crc32c() {
        let mut bytes = vec![0xac, 0x02, 0x28, 0xc8, 0x01, 0x5a];
        bytes.resize(40, 0);
        bytes.extend(LEGACY_BLOCK_BASED_MAGIC.to_le_bytes());
        let footer = Footer::decode(&bytes, 345).unwrap();
        assert_eq!((footer.format_version, footer.checksum.checksum_type), (0, ChecksumType::Crc32c));
        assert_eq!(footer.metaindex, BlockHandle { offset: 300, size: 40 });
    }

    #[test]
    fn version_6_says_only_how_long_the_metaindex_is() {
        let bytes = version_6(1000, 95);
        let footer = Footer::decode(&bytes, 1000).unwrap();
        assert_eq!(footer.metaindex, BlockHandle { offset: 900, size: 95 });
        assert_eq!((footer.index, footer.checksum.base_context_checksum), (None, 0x1234_5678));
        // What stands in front of it does not matter, the place where it stands does.
        let longer = [&[7; 20], &bytes[..]].concat();
        assert_eq!(Footer::decode(&longer, 980), Ok(footer));
        let error = Footer::decode(&bytes, 1001).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ChecksumMismatch { .. }), "{error}");
        let error = Footer::decode(&version_6(99, 95), 99).unwrap_err();
        assert_eq!((error.path().as_str(), error.offset()), ("footer.metaindex", 112));
    }

    #[test]
    fn every_flipped_bit_of_a_version_6_footer_is_noticed() {
        let good = version_6(1000, 95);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Versions 2 and 4 have no checksum here: that of the metaindex is what catches these.
            let older = matches!(bytes[41], 2 | 4);
            assert!(Footer::decode(&bytes, 1000).is_err() || older, "bit {bit}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        for (magic, name) in [(0x8242_2296_63bf_9564_u64, "plain"), (0x9267_89d0_c5f1_7873, "cuckoo")] {
            let mut bytes = vec![0; 45];
            bytes.extend(magic.to_le_bytes());
            assert!(Footer::decode(&bytes, 0).unwrap_err().to_string().contains(name));
        }
        let error = Footer::decode(&[0; 53], 10).unwrap_err();
        assert_eq!((error.offset(), error.path().as_str()), (55, "footer"));
    }

    #[test]
    fn bad_values_are_errors_with_a_place() {
        let error = Footer::decode(&version_5(8, 1), 345).unwrap_err();
        assert_eq!((error.offset(), error.path().as_str()), (345 + 41, "footer.format_version"));
        assert_eq!(Footer::decode(&version_5(5, 9), 345).unwrap_err().offset(), 345);
        // The metaindex would reach into the footer.
        assert_eq!(Footer::decode(&version_5(5, 1), 344).unwrap_err().path(), "footer.metaindex");
        for length in 0..53 {
            let bytes = version_5(5, 1);
            assert!(Footer::decode(&bytes[53 - length..], 0).is_err());
        }
    }
}
