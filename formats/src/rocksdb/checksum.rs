//! Checksums of blocks and footers (`table/format.cc`, `util/crc32c.h`).
//!
//! ```text
//! block contents … │ u8 compression type │ u32 LE checksum of (contents, compression type)
//! ```
//!
//! | type | checksum of contents and compression type |
//! |---|---|
//! | 0 none | 0 |
//! | 1 CRC32c | crc32c, *masked*: rotated right by 15, plus 0xa282ead8 |
//! | 2 xxHash | XXH32 with seed 0 |
//! | 3 xxHash64 | low 32 bits of XXH64 with seed 0 |
//! | 4 XXH3 | low 32 bits of XXH3-64 of all *but the last* byte, xor last byte × 0x6b9083d9 |
//!
//! From format version 6 on, a number that depends on the file and on the block's offset is added,
//! so that a block in the wrong place or of another file does not pass
//! (`ChecksumModifierForContext`).

use std::hash::Hasher;

use crc_fast::CrcAlgorithm;
use twox_hash::{XxHash3_64, XxHash32, XxHash64};

use crate::error::{Error, ErrorKind, Result};

const MASK_DELTA: u32 = 0xa282_ead8;
const LAST_BYTE_PRIME: u32 = 0x6b90_83d9;

/// The kind of checksum of a table: one for the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChecksumType {
    /// None: zero is stored.
    NoChecksum = 0,
    /// CRC32c, masked. The default before 6.27, so of Flink 1.x.
    Crc32c = 1,
    /// XXH32.
    XxHash = 2,
    /// The low half of XXH64.
    XxHash64 = 3,
    /// The low half of XXH3-64. The default since 6.27, so of Flink 2.x.
    Xxh3 = 4,
}

impl ChecksumType {
    /// The type that a footer's byte stands for.
    #[must_use]
    pub fn from_u8(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::NoChecksum),
            1 => Some(Self::Crc32c),
            2 => Some(Self::XxHash),
            3 => Some(Self::XxHash64),
            4 => Some(Self::Xxh3),
            _ => None,
        }
    }

    /// RocksDB's name, as OPTIONS files have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChecksum => "kNoChecksum",
            Self::Crc32c => "kCRC32c",
            Self::XxHash => "kxxHash",
            Self::XxHash64 => "kxxHash64",
            Self::Xxh3 => "kXXH3",
        }
    }

    /// The checksum of some bytes.
    #[must_use]
    pub fn compute(self, data: &[u8]) -> u32 {
        match self {
            Self::NoChecksum => 0,
            Self::Crc32c => mask_crc32c(low_half(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, data))),
            Self::XxHash => XxHash32::oneshot(0, data),
            Self::XxHash64 => low_half(XxHash64::oneshot(0, data)),
            Self::Xxh3 => match data.split_last() {
                Some((&last, head)) => xxh3_and_last(head, last),
                None => 0,
            },
        }
    }

    /// The checksum of some bytes followed by one more, without joining them.
    #[must_use]
    pub fn compute_with_last_byte(self, data: &[u8], last: u8) -> u32 {
        match self {
            Self::NoChecksum => 0,
            Self::Crc32c => {
                let mut state = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
                state.update(data);
                state.update(&[last]);
                mask_crc32c(low_half(state.finalize()))
            }
            Self::XxHash => {
                let mut state = XxHash32::with_seed(0);
                state.write(data);
                state.write(&[last]);
                state.finish_32()
            }
            Self::XxHash64 => {
                let mut state = XxHash64::with_seed(0);
                state.write(data);
                state.write(&[last]);
                low_half(state.finish())
            }
            Self::Xxh3 => xxh3_and_last(data, last),
        }
    }
}

/// A CRC32c as RocksDB stores it, so that the CRC of bytes that hold a CRC does not degenerate.
#[must_use]
pub fn mask_crc32c(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK_DELTA)
}

/// What format version 6 and later add to the checksum of what lies at `offset` of a file with this
/// base context checksum; 0 where the base is 0, which stands for no context.
#[must_use]
pub fn context_modifier(base_context_checksum: u32, offset: u64) -> u32 {
    if base_context_checksum == 0 {
        return 0;
    }
    base_context_checksum ^ low_half(offset).wrapping_add(low_half(offset >> 32))
}

fn xxh3_and_last(head: &[u8], last: u8) -> u32 {
    low_half(XxHash3_64::oneshot(head)) ^ u32::from(last).wrapping_mul(LAST_BYTE_PRIME)
}

fn low_half(value: u64) -> u32 {
    (value & u64::from(u32::MAX)) as u32
}

/// How the blocks of one table are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockChecksum {
    /// The kind of checksum.
    pub checksum_type: ChecksumType,
    /// The file's share of the context, 0 before format version 6.
    pub base_context_checksum: u32,
}

impl BlockChecksum {
    /// The checksum of a block: its stored contents, its compression type, and its place.
    #[must_use]
    pub fn compute(self, contents: &[u8], compression_tag: u8, offset: u64) -> u32 {
        self.checksum_type
            .compute_with_last_byte(contents, compression_tag)
            .wrapping_add(context_modifier(self.base_context_checksum, offset))
    }

    /// Checks a block that lies at `offset` against the checksum in its trailer.
    ///
    /// # Errors
    /// [`ErrorKind::ChecksumMismatch`] at the block's offset.
    pub fn verify(
        self,
        what: &'static str,
        contents: &[u8],
        compression_tag: u8,
        stored: u32,
        offset: u64,
    ) -> Result<()> {
        let computed = self.compute(contents, compression_tag, offset);
        if computed == stored {
            return Ok(());
        }
        let kind = ErrorKind::ChecksumMismatch { what, stored: stored.into(), computed: computed.into() };
        Err(Error::new(kind, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ChecksumType; 5] = [
        ChecksumType::NoChecksum,
        ChecksumType::Crc32c,
        ChecksumType::XxHash,
        ChecksumType::XxHash64,
        ChecksumType::Xxh3,
    ];

    #[test]
    fn crc32c_of_rfc_3720_masked() {
        // RFC 3720 B.4: 32 bytes of zeroes have the CRC 0x8a9136aa.
        assert_eq!(ChecksumType::Crc32c.compute(&[0; 32]), mask_crc32c(0x8a91_36aa));
        assert_eq!(mask_crc32c(0x8a91_36aa), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn one_byte_more_is_the_same_as_one_byte_joined() {
        let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
        for length in [1, 2, 16, 17, 240, 241, 600] {
            let (&last, head) = bytes[..length].split_last().unwrap();
            for kind in ALL {
                assert_eq!(
                    kind.compute(&bytes[..length]),
                    kind.compute_with_last_byte(head, last),
                    "{kind:?}"
                );
            }
        }
    }

    #[test]
    fn the_context_depends_on_base_and_place() {
        assert_eq!(context_modifier(0, 77), 0);
        assert_eq!(context_modifier(0x1234_5678, 0), 0x1234_5678);
        assert_eq!(context_modifier(0x1234_5678, 0x1_0000_0002), 0x1234_5678 ^ 3);
        // Their sum is taken modulo 2^32.
        assert_eq!(context_modifier(1, 0xffff_ffff_0000_0001), 1);
    }

    #[test]
    fn a_mismatch_shows_both() {
        let check = BlockChecksum { checksum_type: ChecksumType::XxHash, base_context_checksum: 0 };
        let stored = check.compute(b"block", 0, 5);
        assert!(check.verify("a block", b"block", 0, stored, 5).is_ok());
        let error = check.verify("a block", b"block", 1, stored, 5).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ChecksumMismatch { .. }));
        assert_eq!(error.offset(), 5);
    }

    #[test]
    fn codes_and_types_agree() {
        for kind in ALL {
            assert_eq!(ChecksumType::from_u8(kind as u8), Some(kind));
        }
        assert_eq!(ChecksumType::from_u8(5), None);
    }
}
