//! Compresses blocks as RocksDB does (`util/compression.h`, `util/compression.cc`).
//!
//! Snappy carries the uncompressed size itself; in front of LZ4 and ZSTD it stands as a varint32. Snappy and LZ4 are
//! the ports to Rust, of which the sizes are nearly those of the originals; ZSTD is the original.

use std::io;
use std::time::Duration;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use statescope_formats::rocksdb::block::StoredBlock;
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;

use super::Clock;
use super::layout::{Laid, put_varint32};
use crate::analyzers::analysis::Variant;

/// The largest dictionary, in bytes (`max_dict_bytes`).
const DICTIONARY_BYTES: usize = 16 << 10;

/// From how many bytes it is made, at most (`zstd_max_train_bytes`).
pub(super) const TRAIN_BYTES: usize = 100 * DICTIONARY_BYTES;

/// The level that RocksDB takes for ZSTD unless another is configured.
const ZSTD_LEVEL: i32 = 3;

/// The longest varint32.
const SIZE_BYTES: usize = 5;

/// A `format_version` in which uncompressed sizes stand as a varint32 in front of compressed bytes, as in all since 2.
const FORMAT_VERSION: u32 = 5;

/// Makes a dictionary from blocks, as RocksDB does it for each file. It has no bytes if that is not possible.
pub(super) fn dictionary<'b>(blocks: impl Iterator<Item = &'b [u8]>) -> Vec<u8> {
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    for block in blocks {
        if bytes.len() + block.len() > TRAIN_BYTES {
            break;
        }
        bytes.extend_from_slice(block);
        sizes.push(block.len());
    }
    // Too few blocks, or such that have nothing in common: RocksDB goes without a dictionary then.
    zstd::dict::from_continuous(&bytes, &sizes, DICTIONARY_BYTES).unwrap_or_default()
}

/// What blocks came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Compressed {
    /// On-disk bytes with trailers.
    pub(super) stored_bytes: u64,
    /// Uncompressed bytes.
    pub(super) uncompressed_bytes: u64,
    /// Time to compress all of them.
    pub(super) compress: Duration,
    /// Time to uncompress those that are kept compressed.
    pub(super) decompress: Duration,
}

/// Compresses blocks in a way, with this dictionary if it has bytes, and uncompresses them.
///
/// # Errors
/// If a codec fails, as when it gets no memory.
pub(super) fn compress(
    laid: &Laid,
    variant: &Variant,
    dictionary: &[u8],
    clock: Clock<'_>,
) -> io::Result<Compressed> {
    let level = variant.level.unwrap_or(ZSTD_LEVEL);
    let prepared = match dictionary {
        [] => None,
        dictionary => Some(EncoderDictionary::try_copy(dictionary, level)?),
    };
    let mut encoder = match (variant.compression.as_str(), &prepared) {
        ("Snappy", _) => Encoder::Snappy(Box::new(snap::raw::Encoder::new())),
        ("LZ4", _) => Encoder::Lz4(CompressTable::default()),
        (_, None) => Encoder::Zstd(Compressor::new(level)?),
        (_, Some(prepared)) => Encoder::Zstd(Compressor::with_prepared_dictionary(prepared)?),
    };
    let mut decoder = Decompressor::with_dictionary(dictionary);
    let mut packed = vec![0; laid.blocks().map(|block| encoder.room(block.len())).sum()];
    let mut unpacked = Vec::new();

    // Once for nothing, so that no time is taken for memory that is used again and again.
    if let Some(block) = laid.blocks().next() {
        let length = encoder.compress(block, &mut packed)?;
        encoder.decompress(
            packed.get(..length).unwrap_or_default(),
            block.len(),
            &mut decoder,
            &mut unpacked,
        )?;
    }

    let begin = clock();
    let (mut ends, mut end) = (Vec::new(), 0);
    for block in laid.blocks() {
        end += encoder.compress(block, packed.get_mut(end..).unwrap_or_default())?;
        ends.push(end);
    }
    let compressed = clock();
    let (mut stored, mut uncompressed, mut at) = (0, 0, 0);
    for (block, end) in laid.blocks().zip(ends) {
        let bytes = packed.get(at..end).unwrap_or_default();
        at = end;
        let is_kept = is_kept(bytes.len(), block.len());
        if is_kept {
            encoder.decompress(bytes, block.len(), &mut decoder, &mut unpacked)?;
        }
        stored += if is_kept { bytes.len() } else { block.len() } as u64 + BLOCK_TRAILER_LEN;
        uncompressed += block.len() as u64;
    }
    Ok(Compressed {
        stored_bytes: stored,
        uncompressed_bytes: uncompressed,
        compress: compressed.saturating_sub(begin),
        decompress: clock().saturating_sub(compressed),
    })
}

/// Whether RocksDB keeps a block compressed: if that saves an eighth.
fn is_kept(compressed: usize, uncompressed: usize) -> bool {
    compressed <= uncompressed - uncompressed.div_ceil(8)
}

enum Encoder<'d> {
    Snappy(Box<snap::raw::Encoder>),
    Lz4(CompressTable),
    Zstd(Compressor<'d>),
}

impl Encoder<'_> {
    /// The byte that says in a block's trailer how it is compressed.
    fn tag(&self) -> u8 {
        match self {
            Self::Snappy(_) => 1,
            Self::Lz4(_) => 4,
            Self::Zstd(_) => 7,
        }
    }

    /// How much room so many bytes need.
    fn room(&self, length: usize) -> usize {
        match self {
            Self::Snappy(_) => snap::raw::max_compress_len(length),
            Self::Lz4(_) => SIZE_BYTES + get_maximum_output_size(length),
            Self::Zstd(_) => SIZE_BYTES + zstd::zstd_safe::compress_bound(length),
        }
    }

    /// Writes a compressed block to the beginning of `out`, and returns its length.
    fn compress(&mut self, block: &[u8], out: &mut [u8]) -> io::Result<usize> {
        if let Self::Snappy(encoder) = self {
            return encoder.compress(block, out).map_err(io::Error::other);
        }
        let mut size = Vec::with_capacity(SIZE_BYTES);
        put_varint32(&mut size, block.len());
        let (front, out) = out.split_at_mut_checked(size.len()).ok_or(io::ErrorKind::WriteZero)?;
        front.copy_from_slice(&size);
        let length = match self {
            Self::Lz4(table) => compress_into_with_table(block, out, table).map_err(io::Error::other)?,
            Self::Zstd(compressor) => compressor.compress_to_buffer(block, out)?,
            Self::Snappy(_) => 0,
        };
        Ok(size.len() + length)
    }

    /// Uncompresses a block that was so long.
    fn decompress(
        &self,
        contents: &[u8],
        length: usize,
        decoder: &mut Decompressor,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let handle = BlockHandle { offset: 0, size: contents.len() as u64 };
        let stored = StoredBlock { handle, contents, compression_tag: self.tag(), checksum: 0 };
        decoder.decompress(FORMAT_VERSION, &stored, length, out).map_err(io::Error::other)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statescope_formats::rocksdb::block::Block;

    use super::super::layout::Layout;
    use super::*;
    use crate::analyzers::analysis::variants;

    /// Blocks of keys that have a common beginning; values are noise or words.
    fn laid(noise: bool, entries: u32, block_bytes: u32) -> Laid {
        let mut contents = Vec::new();
        let mut seed = 1u64;
        for n in 0..entries {
            let mut value = Vec::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let word = ["apple", "pear", "quince", "medlar"][(seed >> 62) as usize];
                if noise { value.extend(seed.to_be_bytes()) } else { value.extend(word.as_bytes()) }
            }
            let key = n.to_be_bytes();
            for length in [0, key.len(), value.len()] {
                put_varint32(&mut contents, length);
            }
            contents.extend(key);
            contents.extend(value);
        }
        contents.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
        let mut layout = Layout::new(&[block_bytes]);
        layout.add(&Block::new(&contents, 0).unwrap()).unwrap();
        layout.finish().remove(0)
    }

    #[test]
    fn every_way_compresses_and_the_time_is_what_the_clock_says() {
        for variant in variants() {
            let laid = laid(false, 3000, variant.block_bytes);
            let dictionary = if variant.dictionary { dictionary(laid.blocks()) } else { Vec::new() };
            let ticks = std::sync::atomic::AtomicU64::new(0);
            let clock = || Duration::from_secs(1 << ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            let found = compress(&laid, &variant, &dictionary, &clock).unwrap();
            let uncompressed: usize = laid.blocks().map(<[u8]>::len).sum();
            assert_eq!(found.uncompressed_bytes, uncompressed as u64, "{variant:?}");
            assert!(found.stored_bytes < uncompressed as u64 * 3 / 4, "{variant:?} {found:?}");
            assert_eq!((found.compress.as_secs(), found.decompress.as_secs()), (1, 2), "{variant:?}");
        }
    }

    #[test]
    fn what_does_not_compress_is_stored_as_it_is() {
        for variant in variants() {
            let laid = laid(true, 1000, variant.block_bytes);
            let found = compress(&laid, &variant, &[], &|| Duration::ZERO).unwrap();
            let blocks = laid.blocks().map(|block| block.len() as u64 + BLOCK_TRAILER_LEN);
            assert_eq!(found.stored_bytes, blocks.sum::<u64>(), "{variant:?}");
        }
        assert!(is_kept(7, 8) && !is_kept(8, 8) && is_kept(13, 15) && !is_kept(14, 15) && is_kept(0, 0));
    }

    #[test]
    fn a_dictionary_helps_small_blocks() {
        let (laid, other) = (laid(false, 3000, 4096), laid(false, 500, 4096));
        let made = dictionary(laid.blocks());
        assert!(!made.is_empty() && made.len() <= DICTIONARY_BYTES);
        let variant = variants().into_iter().find(|v| v.dictionary && v.block_bytes == 4096).unwrap();
        let size =
            |dictionary| compress(&other, &variant, dictionary, &|| Duration::ZERO).unwrap().stored_bytes;
        assert!(size(&made) < size(&[]), "{} {}", size(&made), size(&[]));
        // Too little to make one from.
        assert!(dictionary([].into_iter()).is_empty());
        assert!(dictionary([&b"apple"[..]].into_iter()).is_empty());
    }

    #[test]
    fn nothing_comes_to_nothing() {
        let none = Layout::new(&[4096]).finish().remove(0);
        for variant in variants() {
            let found = compress(&none, &variant, &[], &|| Duration::ZERO).unwrap();
            assert_eq!(found, Compressed::default(), "{variant:?}");
        }
    }
}
