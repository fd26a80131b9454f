//! Compression of blocks: the first byte of a block's trailer says how
//! (`include/rocksdb/compression_type.h`), and what stands in front of the compressed bytes depends on
//! the table's format version (`util/compression.{h,cc}`).
//!
//! | type | format version 0 and 1 | from 2 on | with a dictionary |
//! |---|---|---|---|
//! | Snappy | Snappy's own varint32 size | the same | ignored |
//! | zlib | raw deflate, no size | varint32 size, raw deflate | before the window |
//! | bzip2 | a bzip2 stream, no size | varint32 size, a bzip2 stream | ignored |
//! | LZ4, LZ4HC | `u64` LE size, a block of LZ4 | varint32 size, a block of LZ4 | before the block |
//! | ZSTD | varint32 size, a frame | the same | loaded into the decoder |
//!
//! Sizes are of the uncompressed contents, in bytes. A dictionary (`rocksdb.compression_dict` of the
//! metaindex) is that of the data blocks of its table; index blocks are compressed without.

use std::fmt;

use bzip2::{Decompress as BZip2Decoder, Status as BZip2Status};
use miniz_oxide::inflate::TINFLStatus as InflateStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide as InflateState, decompress as inflate};
use snap::raw::Decoder as SnappyDecoder;
use zstd::bulk::Decompressor as ZstdDecoder;

use super::block::StoredBlock;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// How far deflate may reach back, so as much of a dictionary as it can use.
const DEFLATE_WINDOW: usize = 32 << 10;

/// The first guess at a size that is not stated: this many times the compressed one.
const GUESSED_RATIO: usize = 5;

/// How the contents of a block are compressed.
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

/// Uncompresses the blocks of a table, and keeps what codecs need from block to block.
///
/// After the first blocks nothing is allocated any more, except by bzip2, whose decoders serve once.
#[derive(Default)]
pub struct Decompressor {
    dictionary: Vec<u8>,
    snappy: SnappyDecoder,
    zstd: Option<ZstdDecoder<'static>>,
    inflate: Option<Box<InflateState>>,
    /// The end of the dictionary and what is inflated behind it.
    window: Vec<u8>,
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("dictionary", &self.dictionary.len()).finish_non_exhaustive()
    }
}

impl Decompressor {
    /// For blocks without a dictionary: all blocks that are not data, and the data of most tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For the data blocks of a table whose metaindex names a dictionary, which is the uncompressed
    /// contents of that block. An empty one is none.
    #[must_use]
    pub fn with_dictionary(dictionary: &[u8]) -> Self {
        Self { dictionary: dictionary.to_vec(), ..Self::default() }
    }

    /// The uncompressed contents of a block: its own bytes if it is not compressed, else the beginning
    /// of `out`. Otherwise as [`Decompressor::decompress`].
    ///
    /// # Errors
    /// As [`Decompressor::decompress`].
    #[inline]
    pub fn contents<'b>(
        &mut self,
        format_version: u32,
        stored: &StoredBlock<'b>,
        limit: usize,
        out: &'b mut Vec<u8>,
    ) -> Result<&'b [u8]> {
        if stored.compression() == CompressionType::NoCompression {
            within(stored.contents.len() as u64, limit, stored.handle.offset)?;
            return Ok(stored.contents);
        }
        let length = self.decompress(format_version, stored, limit, out)?;
        Ok(out.get(..length).unwrap_or_default())
    }

    /// Writes the uncompressed contents of a block to the beginning of `out`, and returns their length.
    ///
    /// `out` grows where it must and is never shortened, so that its bytes are not cleared for every
    /// block. What is longer than `limit` bytes is refused before anything is allocated for it.
    /// `format_version` is the footer's. The checksum is not verified here.
    ///
    /// # Errors
    /// At the block's offset: [`ErrorKind::LimitExceeded`]; [`ErrorKind::BadCount`] for a size that so
    /// few compressed bytes cannot give; [`ErrorKind::Invalid`] for bytes that the codec refuses, or
    /// that give another size than the stated one; [`ErrorKind::Unsupported`] for XPRESS and for types
    /// of an application's own; as [`Cursor::varint32`] for the size.
    pub fn decompress(
        &mut self,
        format_version: u32,
        stored: &StoredBlock<'_>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        let job = Job { compression: stored.compression(), at: stored.handle.offset, limit };
        let bytes = stored.contents;
        match job.compression {
            CompressionType::NoCompression => {
                job.room(bytes.len() as u64, u64::MAX, 0, out)?.copy_from_slice(bytes);
                Ok(bytes.len())
            }
            CompressionType::Snappy => {
                let stated = snap::raw::decompress_len(bytes).map_err(|e| job.refused(&e))?;
                // A copy of 64 bytes takes 3.
                let to = job.room(stated as u64, 22 * bytes.len() as u64, 0, out)?;
                let length = self.snappy.decompress(bytes, to).map_err(|e| job.refused(&e))?;
                job.same(stated, length)
            }
            CompressionType::Lz4 | CompressionType::Lz4Hc => {
                let mut cursor = Cursor::at(bytes, job.at);
                let stated =
                    if format_version < 2 { cursor.u64_le() } else { cursor.varint32().map(u64::from) };
                let (stated, bytes) = (stated.field("uncompressed_size")?, cursor.rest());
                // Every further byte of a length adds 255. The decoder checks every length and offset against both
                // buffers; that it is compiled without `safe-decode` makes it copy whole words.
                let to = job.room(stated, 255 * bytes.len() as u64, 0, out)?;
                let length = match self.dictionary.as_slice() {
                    [] => lz4_flex::block::decompress_into(bytes, to),
                    dictionary => lz4_flex::block::decompress_into_with_dict(bytes, to, dictionary),
                };
                job.same(to.len(), length.map_err(|e| job.refused(&e))?)
            }
            CompressionType::Zstd => {
                let (stated, bytes) = size_before(bytes, job.at)?;
                // A block of 128 KiB takes 4 bytes.
                let to = job.room(stated, (32 << 10) * bytes.len() as u64, 0, out)?;
                let decoder = match &mut self.zstd {
                    Some(decoder) => decoder,
                    none => {
                        let new = ZstdDecoder::with_dictionary(&self.dictionary);
                        none.insert(new.map_err(|e| job.refused(&e))?)
                    }
                };
                let length = decoder.decompress_to_buffer(bytes, to).map_err(|e| job.refused(&e))?;
                job.same(to.len(), length)
            }
            CompressionType::Zlib if format_version < 2 => self.zlib(&job, None, bytes, out),
            CompressionType::Zlib => {
                let (stated, bytes) = size_before(bytes, job.at)?;
                self.zlib(&job, Some(stated), bytes, out)
            }
            CompressionType::BZip2 if format_version < 2 => bzip2(&job, None, bytes, out),
            CompressionType::BZip2 => {
                let (stated, bytes) = size_before(bytes, job.at)?;
                bzip2(&job, Some(stated), bytes, out)
            }
            CompressionType::Xpress | CompressionType::Other(_) => {
                let what = format!("a block compressed with {}", job.compression);
                Err(Error::new(ErrorKind::Unsupported { what }, job.at))
            }
        }
    }

    fn zlib(&mut self, job: &Job, stated: Option<u64>, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let state = self.inflate.get_or_insert_default();
        state.init();
        let step = |input: &[u8], to: &mut [u8], at: usize| match inflate(
            state,
            input,
            to,
            at,
            TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        ) {
            (InflateStatus::Done, read, written) => Ok((read, written, true)),
            (InflateStatus::HasMoreOutput, read, written) => Ok((read, written, false)),
            (other, ..) => Err(job.refused(&format_args!("{other:?}"))),
        };
        // 258 bytes take 2 bits.
        let most = 1032 * bytes.len() as u64;
        if self.dictionary.is_empty() {
            return job.stream(stated, bytes, most, 0, out, step);
        }
        // What it reaches back to must stand in front of what it writes.
        let start = self.dictionary.len().saturating_sub(DEFLATE_WINDOW);
        let before = self.dictionary.get(start..).unwrap_or_default();
        job.room(0, u64::MAX, before.len(), &mut self.window)?.copy_from_slice(before);
        let length = job.stream(stated, bytes, most, before.len(), &mut self.window, step)?;
        let written = self.window.get(before.len()..).and_then(|rest| rest.get(..length));
        job.room(length as u64, u64::MAX, 0, out)?.copy_from_slice(written.unwrap_or_default());
        Ok(length)
    }
}

fn bzip2(job: &Job, stated: Option<u64>, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize> {
    let mut decoder = BZip2Decoder::new(false);
    let (mut read, mut written) = (0, 0);
    // A few bytes may stand for 45 MB: only the limit bounds it.
    job.stream(stated, bytes, u64::MAX, 0, out, |input, to, at| {
        let to = to.get_mut(at..).unwrap_or_default();
        let status = decoder.decompress(input, to).map_err(|e| job.refused(&e))?;
        // Both are counts of this one block's bytes.
        let before = (read, written);
        (read, written) = (decoder.total_in() as usize, decoder.total_out() as usize);
        Ok((read - before.0, written - before.1, status == BZip2Status::StreamEnd))
    })
}

/// The uncompressed size that stands in front, and what it stands in front of.
fn size_before(bytes: &[u8], at: u64) -> Result<(u64, &[u8])> {
    let mut cursor = Cursor::at(bytes, at);
    let stated = cursor.varint32().field("uncompressed_size")?;
    Ok((stated.into(), cursor.rest()))
}

fn within(size: u64, limit: usize, at: u64) -> Result<()> {
    let limit = limit as u64;
    if size <= limit {
        return Ok(());
    }
    let what = "uncompressed size of a block";
    Err(Error::new(ErrorKind::LimitExceeded { what, limit }, at))
}

/// One block to uncompress.
struct Job {
    compression: CompressionType,
    at: u64,
    limit: usize,
}

impl Job {
    #[cold]
    fn refused(&self, why: &dyn fmt::Display) -> Error {
        let rule = "the contents of a block are compressed as its type says";
        Error::invalid(rule, format!("{}: {why}", self.compression), self.at)
    }

    fn same(&self, stated: usize, found: usize) -> Result<usize> {
        if stated == found {
            return Ok(found);
        }
        let rule = "the contents of a block have the uncompressed size that is stated";
        Err(Error::invalid(rule, format!("{}: {stated} stated, {found} found", self.compression), self.at))
    }

    /// The first `start` bytes of `out` and as many more as a block of this size needs. `most` is what
    /// the compressed bytes can give.
    fn room<'o>(&self, size: u64, most: u64, start: usize, out: &'o mut Vec<u8>) -> Result<&'o mut [u8]> {
        within(size, self.limit, self.at)?;
        match usize::try_from(size).ok().and_then(|size| start.checked_add(size)) {
            Some(end) if size <= most => {
                if out.len() < end {
                    out.resize(end, 0);
                }
                Ok(out.get_mut(..end).unwrap_or_default())
            }
            _ => {
                let found = i64::try_from(size).unwrap_or(i64::MAX);
                let what = "uncompressed bytes of a block";
                Err(Error::new(ErrorKind::BadCount { what, found, max: most }, self.at))
            }
        }
    }

    /// Drives a codec that goes as far as there is input and room: with just the stated size, or with
    /// ever more room. `step` is given the rest of the input, the output and where in it to go on, and
    /// says how much it read and wrote, and whether that was all.
    fn stream(
        &self,
        stated: Option<u64>,
        mut input: &[u8],
        most: u64,
        start: usize,
        out: &mut Vec<u8>,
        mut step: impl FnMut(&[u8], &mut [u8], usize) -> Result<(usize, usize, bool)>,
    ) -> Result<usize> {
        let guess = input.len().saturating_mul(GUESSED_RATIO).max(out.len().saturating_sub(start));
        let (mut size, most) = match stated {
            Some(stated) => (stated, most),
            None => (guess.min(self.limit) as u64, u64::MAX),
        };
        let mut at = start;
        loop {
            let to = self.room(size, most, start, out)?;
            let (read, written, ended) = step(input, to, at)?;
            input = input.get(read..).unwrap_or_default();
            at += written;
            let (room, length) = (to.len() - start, at - start);
            if ended {
                if !input.is_empty() {
                    return Err(self.refused(&format_args!("{} bytes behind the end", input.len())));
                }
                return self.same(if stated.is_some() { room } else { length }, length);
            }
            if length < room {
                return Err(self.refused(&"the bytes end too early"));
            }
            if stated.is_some() {
                return Err(self.refused(&format_args!("more than the {room} bytes that are stated")));
            }
            within(size.saturating_add(1), self.limit, self.at)?;
            size = size.saturating_mul(2).clamp(1, self.limit as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::rocksdb::handle::BlockHandle;

    const ALL: [u8; 7] = [0, 1, 2, 3, 4, 5, 7];
    const AT: u64 = 1000;

    fn stored(tag: u8, contents: &[u8]) -> StoredBlock<'_> {
        let handle = BlockHandle { offset: AT, size: contents.len() as u64 };
        StoredBlock { handle, contents, compression_tag: tag, checksum: 0 }
    }

    fn varint(mut value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    /// What RocksDB would write, with the codecs' own compressors.
    fn compress(version: u32, tag: u8, data: &[u8], dictionary: &[u8]) -> Vec<u8> {
        let size = match (tag, version) {
            (0 | 1, _) | (2 | 3, 0 | 1) => vec![],
            (4 | 5, 0 | 1) => (data.len() as u64).to_le_bytes().to_vec(),
            _ => varint(data.len()),
        };
        let bytes = match tag {
            0 => data.to_vec(),
            1 => snap::raw::Encoder::new().compress_vec(data).unwrap(),
            2 => miniz_oxide::deflate::compress_to_vec(data, 6),
            3 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            4 | 5 if dictionary.is_empty() => lz4_flex::block::compress(data),
            4 | 5 => lz4_flex::block::compress_with_dict(data, dictionary),
            7 => zstd::bulk::Compressor::with_dictionary(3, dictionary).unwrap().compress(data).unwrap(),
            _ => unreachable!(),
        };
        [size, bytes].concat()
    }

    fn decompress(version: u32, tag: u8, contents: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let length = Decompressor::new().decompress(version, &stored(tag, contents), limit, &mut out)?;
        Ok(out[..length].to_vec())
    }

    fn sample() -> Vec<u8> {
        (0..3000u32).flat_map(|i| [(i / 7) as u8, (i % 13) as u8, b'k', (i >> 4) as u8]).collect()
    }

    #[test]
    fn tags_have_names() {
        let names: Vec<_> = (0..=8).map(|t| CompressionType::from_u8(t).to_string()).collect();
        assert_eq!(
            names,
            ["NoCompression", "Snappy", "Zlib", "BZip2", "LZ4", "LZ4HC", "Xpress", "ZSTD", "Other(0x08)"]
        );
    }

    #[test]
    fn every_type_in_every_version_with_one_decompressor() {
        let mut decompressor = Decompressor::new();
        let mut out = Vec::new();
        for version in 0..=7 {
            for data in [sample(), b"tiny".to_vec(), vec![], vec![7; 100_000]] {
                for tag in ALL {
                    let compressed = compress(version, tag, &data, &[]);
                    let block = stored(tag, &compressed);
                    let length = decompressor.decompress(version, &block, data.len(), &mut out).unwrap();
                    assert_eq!(&out[..length], data, "version {version}, tag {tag}");
                    let mut other = Vec::new();
                    let contents = decompressor.contents(version, &block, data.len(), &mut other).unwrap();
                    assert_eq!(contents, data);
                    assert!(tag != 0 || other.is_empty());
                    if !data.is_empty() {
                        let refused = decompressor.decompress(version, &block, data.len() - 1, &mut out);
                        assert!(
                            matches!(refused.unwrap_err().kind(), ErrorKind::LimitExceeded { .. }),
                            "version {version}, tag {tag}"
                        );
                    }
                }
            }
        }
        assert!(out.len() <= 200_000, "{}", out.len());
    }

    #[test]
    fn dictionaries() {
        let dictionary: Vec<u8> = (0..70_000u32).map(|i| (u64::from(i).pow(2) >> 7) as u8).collect();
        let data = [&dictionary[100..300], b"and", &dictionary[69_000..69_900]].concat();
        for tag in [4, 5, 7] {
            let compressed = compress(5, tag, &data, &dictionary);
            assert!(compressed.len() < data.len() / 2, "{tag}");
            assert_ne!(decompress(5, tag, &compressed, 10_000).ok(), Some(data.clone()), "{tag}");
            let mut out = Vec::new();
            let mut with = Decompressor::with_dictionary(&dictionary);
            for _ in 0..2 {
                assert_eq!(with.contents(5, &stored(tag, &compressed), 10_000, &mut out), Ok(&data[..]));
            }
        }
        // Snappy and bzip2 know no dictionaries: RocksDB stores one, and compresses without.
        for tag in [1, 3] {
            let compressed = compress(5, tag, &data, &[]);
            let mut out = Vec::new();
            let mut with = Decompressor::with_dictionary(&dictionary);
            assert_eq!(with.contents(5, &stored(tag, &compressed), 10_000, &mut out), Ok(&data[..]));
        }
    }

    /// Deflate with fixed codes: ten bytes from five bytes back, and the end.
    const TEN_FROM_FIVE_BACK: [u8; 3] = [0b0100_0011, 0b0001_0000, 0];

    #[test]
    fn deflate_reaches_back_into_its_dictionary() {
        let mut out = Vec::new();
        let sized = [&[10], &TEN_FROM_FIVE_BACK[..]].concat();
        for (version, bytes) in [(0, &TEN_FROM_FIVE_BACK[..]), (2, &sized)] {
            let block = stored(2, bytes);
            for dictionary in [&b"hello"[..], b"a longer one, hello", &[&[1; 100_000][..], b"hello"].concat()]
            {
                let mut with = Decompressor::with_dictionary(dictionary);
                for _ in 0..2 {
                    assert_eq!(with.contents(version, &block, 100, &mut out), Ok(&b"hellohello"[..]));
                }
            }
            assert!(
                Decompressor::with_dictionary(b"hell").decompress(version, &block, 100, &mut out).is_err()
            );
            assert!(Decompressor::new().decompress(version, &block, 100, &mut out).is_err());
        }
    }

    #[test]
    fn sizes_are_not_believed() {
        let huge = [&[0xff, 0xff, 0xff, 0xff, 0x0f], &[1, 2, 3, 4][..]].concat();
        for tag in [1, 2, 4, 5, 7] {
            let error = decompress(5, tag, &huge, usize::MAX).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::BadCount { .. }), "{tag}: {error}");
            let error = decompress(5, tag, &huge, 1 << 20).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::LimitExceeded { limit: 1_048_576, .. }), "{tag}");
            assert_eq!(error.offset(), AT);
        }
        let error = decompress(1, 4, &[0xff; 20], usize::MAX).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadCount { found: i64::MAX, .. }), "{error}");
        // What is stated is neither more nor less than what is there.
        let data = sample();
        for tag in [2, 3, 4, 7] {
            let good = compress(5, tag, &data, &[]);
            let bytes = &good[varint(data.len()).len()..];
            for stated in [0, 1, data.len() - 1, data.len() + 1] {
                let error = decompress(5, tag, &[&varint(stated), bytes].concat(), 1 << 20).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{tag}: {error}");
            }
        }
    }

    #[test]
    fn others_are_named() {
        for (tag, name) in [(6, "Xpress"), (0x80, "Other(0x80)"), (9, "Other(0x09)")] {
            let error = decompress(7, tag, &[1, 2, 3], 100).unwrap_err();
            assert_eq!(
                error.kind(),
                &ErrorKind::Unsupported { what: format!("a block compressed with {name}") }
            );
        }
    }

    #[test]
    fn cut_and_damaged_blocks() {
        let data = &sample()[..700];
        for version in [0, 1, 2, 7] {
            for tag in &ALL[1..] {
                let mut bytes = compress(version, *tag, data, &[]);
                for length in 0..bytes.len() {
                    let error = decompress(version, *tag, &bytes[..length], 10_000).unwrap_err();
                    assert!((AT..=AT + length as u64).contains(&error.offset()), "{tag}: {error}");
                }
                for bit in 0..bytes.len() * 8 {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    if let Ok(damaged) = decompress(version, *tag, &bytes, 10_000) {
                        assert!(damaged.len() <= 10_000, "version {version}, {tag}");
                    }
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                bytes.push(0);
                assert!(decompress(version, *tag, &bytes, 10_000).is_err(), "version {version}, {tag}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_codecs_compress(
            pieces in prop::collection::vec(("[ab]{0,40}", 0..30usize), 0..40),
            version in 0..8u32,
            at in 0..ALL.len(),
        ) {
            let data: Vec<u8> = pieces.iter().flat_map(|(text, n)| text.repeat(*n).into_bytes()).collect();
            let compressed = compress(version, ALL[at], &data, &[]);
            prop_assert_eq!(decompress(version, ALL[at], &compressed, 1 << 20), Ok(data));
        }

        #[test]
        fn any_bytes_are_an_error_or_not(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            version in 0..8u32,
            tag in 0..10u8,
            dictionary in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut out = Vec::new();
            let mut decompressor = Decompressor::with_dictionary(&dictionary);
            if let Ok(length) = decompressor.decompress(version, &stored(tag, &bytes), 10_000, &mut out) {
                prop_assert!(length <= 10_000 && length <= out.len());
            }
        }
    }
}
