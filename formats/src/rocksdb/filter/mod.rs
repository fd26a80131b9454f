//! Filters: whether a table can hold a key (`table/block_based/filter_policy.cc`, `partitioned_filter_block.cc`, `util/bloom_impl.h`).
//!
//! ```text
//! full filter     bits, in lines of 64 bytes │ trailer of 5 bytes
//!   new Bloom     0xFF │ u8 0 │ u8 probes (1 to 30) │ 0 0              format version 5 and later
//!   legacy Bloom  u8 probes (1 to 127) │ u32 number of lines           before; lines have the length of the writer's cache lines
//!   Ribbon        0xFE │ …
//!   no bytes      no keys
//! partitioned     an index block: keys, and handles of full filters
//! ```
//!
//! All of them are by the same policy, whose name stands in the metaindex. New Bloom: the lower half of a hash of 64 bits chooses the line, as a share of all;
//! the upper half, multiplied by 0x9E3779B9 again and again, chooses the bits, by its highest 9 bits. Legacy Bloom: a hash of 32 bits chooses the line, as a remainder,
//! and the bits, with itself rotated added again and again. The keys are user keys.
//!
//! A filter that is not known or damaged may contain everything, and says why: [`Filter::unknown`]. It knows nothing of range deletions.

mod hash;

use std::fmt;

use super::handle::BlockHandle;
use super::index::{IndexBlock, IndexFormat};
use super::properties::{FilterKind, IndexType};
use super::tail::TableTail;
use crate::error::{Error, Result};

use self::hash::{bloom_hash, hash64};

/// The policy of all filters that RocksDB itself writes.
const BUILTIN: &str = "rocksdb.BuiltinBloomFilter";
/// Bytes behind the bits.
const TRAILER: usize = 5;
/// Bytes of a line of the new Bloom filter.
const LINE: usize = 64;

/// Where a table's filter lies that tells of user keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterPlace {
    /// The filter; of a partitioned one, its index.
    pub handle: BlockHandle,
    /// How the index of a partitioned filter is encoded; `None` for one that is not.
    pub partitions: Option<IndexFormat>,
}

impl FilterPlace {
    /// Where the filter of a table lies.
    ///
    /// # Errors
    /// [`UnknownFilter`] if there is none, or none of which it is known what it says of user keys.
    pub fn of(tail: &TableTail) -> std::result::Result<Self, UnknownFilter> {
        let (kind, policy, handle) = tail.filter().ok_or(UnknownFilter::Absent)?;
        if policy != BUILTIN {
            return Err(UnknownFilter::Policy);
        }
        // Where nothing is said, whole keys are in it.
        if tail.properties.as_ref().and_then(|properties| properties.whole_key_filtering) == Some(false) {
            return Err(UnknownFilter::Prefixes);
        }
        let partitions = match kind {
            FilterKind::Full => None,
            FilterKind::Partitioned => {
                let format = IndexFormat::of(tail).map_err(UnknownFilter::Index)?;
                // All that it names stands before it, and is no index.
                Some(IndexFormat { index_type: IndexType::BinarySearch, limit: handle.offset, ..format })
            }
            FilterKind::BlockBased => return Err(UnknownFilter::BlockBased),
        };
        Ok(Self { handle, partitions })
    }
}

/// The partition of a filter that a user key would be in; `None` if there are none. `contents` are those of the filter's index, uncompressed; errors count from
/// `base`.
///
/// # Errors
/// As [`IndexBlock::new`] and [`IndexBlock::seek`].
pub fn partition_of(
    contents: &[u8],
    base: u64,
    format: IndexFormat,
    user_key: &[u8],
) -> Result<Option<BlockHandle>> {
    let index = IndexBlock::new(contents, base, format)?;
    if let Some(entry) = index.seek(user_key)?.next()? {
        return Ok(Some(entry.handle));
    }
    // What is behind all of them, RocksDB looks for in the last one.
    let (mut entries, mut last) = (index.entries(), None);
    while let Some(entry) = entries.next()? {
        last = Some(entry.handle);
    }
    Ok(last)
}

/// The filter of a table, or a partition of one.
#[derive(Debug, Clone)]
pub struct Filter<'a>(Kind<'a>);

#[derive(Debug, Clone)]
enum Kind<'a> {
    /// There are no keys.
    Empty,
    Bloom {
        lines: &'a [[u8; LINE]],
        probes: u8,
    },
    LegacyBloom {
        bits: &'a [u8],
        lines: u32,
        /// Bytes of a line, a power of two.
        line: u32,
        probes: u8,
    },
    Unknown(UnknownFilter),
}

/// Why nothing is known of which keys are in a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownFilter {
    /// There is none.
    Absent,
    /// It is not RocksDB's own.
    Policy,
    /// It is of prefixes of keys alone.
    Prefixes,
    /// It is one for every two KiB of data.
    BlockBased,
    /// How its index is encoded cannot be known.
    Index(Error),
    /// It is a Ribbon filter.
    Ribbon,
    /// Its trailer is none that RocksDB writes.
    Trailer,
    /// Its bits are not as many as its trailer says.
    Length,
}

impl fmt::Display for UnknownFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "the table has no filter",
            Self::Policy => "the filter is by a policy that is not RocksDB's",
            Self::Prefixes => "the filter holds prefixes of keys only",
            Self::BlockBased => "the filter is one for every two KiB of data",
            Self::Index(error) => {
                return write!(f, "the index of the filter's partitions is not known: {error}");
            }
            Self::Ribbon => "the filter is a Ribbon filter",
            Self::Trailer => "the filter's trailer is not known",
            Self::Length => "the filter's length is not the one that its trailer says",
        })
    }
}

impl std::error::Error for UnknownFilter {}

impl<'a> Filter<'a> {
    /// Reads the end of a filter's contents. They are never compressed, and their checksum is not verified here.
    #[must_use]
    pub fn decode(contents: &'a [u8]) -> Self {
        Self(Self::kind(contents).unwrap_or_else(Kind::Unknown))
    }

    fn kind(contents: &'a [u8]) -> std::result::Result<Kind<'a>, UnknownFilter> {
        if contents.is_empty() {
            return Ok(Kind::Empty);
        }
        let Some((bits, trailer)) = contents.split_last_chunk::<TRAILER>() else {
            return Err(UnknownFilter::Trailer);
        };
        match *trailer {
            [0xff, 0, probes @ 1..=30, 0, 0] => match bits.as_chunks::<LINE>() {
                ([], []) => Ok(Kind::Empty),
                (lines, []) if u32::try_from(lines.len()).is_ok() => Ok(Kind::Bloom { lines, probes }),
                _ => Err(UnknownFilter::Length),
            },
            [0xfe, ..] => Err(UnknownFilter::Ribbon),
            [probes @ 1..=127, lines @ ..] => {
                let lines = u32::from_le_bytes(lines);
                if lines == 0 && bits.is_empty() {
                    return Ok(Kind::Empty);
                }
                let length = u32::try_from(bits.len()).map_err(|_| UnknownFilter::Length)?;
                let line = length.checked_div(lines).filter(|line| line.is_power_of_two());
                // With more bits in a line, their number has no room beside that of the line.
                match line.filter(|line| line * lines == length && *line <= 1 << 28) {
                    Some(line) => Ok(Kind::LegacyBloom { bits, lines, line, probes }),
                    None => Err(UnknownFilter::Length),
                }
            }
            _ => Err(UnknownFilter::Trailer),
        }
    }

    /// Whether a user key may be among those that were added; `false` if it is certainly not.
    #[must_use]
    pub fn may_contain(&self, user_key: &[u8]) -> bool {
        match &self.0 {
            Kind::Empty => false,
            Kind::Bloom { lines, probes } => {
                let hash = hash64(user_key);
                let share = (u64::from(hash as u32) * lines.len() as u64) >> 32;
                let Some(line) = lines.get(share as usize) else { return true };
                let mut bits = (hash >> 32) as u32;
                (0..*probes).all(|_| {
                    let found = bit(line, bits >> 23);
                    bits = bits.wrapping_mul(0x9e37_79b9);
                    found
                })
            }
            Kind::LegacyBloom { bits, lines, line, probes } => {
                let mut hash = bloom_hash(user_key);
                let delta = hash.rotate_right(17);
                let start = hash.checked_rem(*lines).unwrap_or(0) * line;
                let Some(in_line) = bits.get(start as usize..) else { return true };
                (0..*probes).all(|_| {
                    let found = bit(in_line, hash & (line * 8 - 1));
                    hash = hash.wrapping_add(delta);
                    found
                })
            }
            Kind::Unknown(_) => true,
        }
    }

    /// Why it may contain everything, if it is not known what it contains.
    #[must_use]
    pub fn unknown(&self) -> Option<&UnknownFilter> {
        match &self.0 {
            Kind::Unknown(why) => Some(why),
            _ => None,
        }
    }
}

/// A bit, counted from the least significant one of the first byte.
fn bit(bits: &[u8], at: u32) -> bool {
    bits.get(at as usize / 8).is_none_or(|byte| byte >> (at % 8) & 1 != 0)
}

#[cfg(test)]
mod tests;
