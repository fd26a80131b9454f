//! Snappy's framing format, as Flink compresses snapshots.
//!
//! ```text
//! stream   FF 06 00 00 "sNaPpY" | n × chunk          several follow one another without anything in between
//! chunk    u8 type | u24 n, little-endian | n bytes
//! 0        u32 checksum, little-endian | Snappy's bytes of at most 64 KiB
//! 1        u32 checksum, little-endian | at most 64 KiB as they are
//! 80..FE   to be stepped over
//! ```
//!
//! The checksum is a masked CRC-32C of the uncompressed bytes. Sources: `framing_format.txt` of Snappy, `SnappyFramed` of
//! snappy-java, `SnappyStreamCompressionDecorator` of Flink.

use snap::raw::{Decoder, decompress_len};

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::rocksdb::checksum::ChecksumType;

const IDENTIFIER: &[u8] = b"sNaPpY";
const HEADER: usize = 4;
const CHECKSUM: usize = 4;
/// The most that a chunk has uncompressed.
const LARGEST_CHUNK: usize = 64 << 10;

/// What stands next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// So many bytes are needed from here on.
    NeedBytes(usize),
    /// A stream begins.
    Stream {
        /// How many bytes that took.
        taken: usize,
    },
    /// A chunk, which was uncompressed.
    Chunk {
        /// How many bytes it has.
        taken: usize,
        /// How many it has uncompressed.
        uncompressed: usize,
    },
}

/// Uncompresses frames that it is fed with.
#[derive(Debug)]
pub struct SnappyFrames {
    at: u64,
    begun: bool,
    verify: bool,
}

impl SnappyFrames {
    /// Frames whose first byte has this absolute offset.
    #[must_use]
    pub fn new(at: u64, verify: bool) -> Self {
        Self { at, begun: false, verify }
    }

    /// Frames in the midst of a stream whose identifier is not at hand.
    #[must_use]
    pub fn within(at: u64, verify: bool) -> Self {
        Self { begun: true, ..Self::new(at, verify) }
    }

    /// The absolute offset of the next frame.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Takes the frame at the begin of `bytes`, which follow what was taken before, and appends what it holds to `out`.
    /// `whole` says that nothing follows the bytes; that there are none left is up to the caller.
    ///
    /// # Errors
    /// What contradicts the format, a checksum that does not match, an end inside of a frame.
    pub fn next(&mut self, bytes: &[u8], whole: bool, out: &mut Vec<u8>) -> Result<Frame> {
        let mut cursor = Cursor::at(bytes, self.at);
        let (kind, length) = match bytes.first_chunk::<HEADER>() {
            Some([kind, a, b, c]) => (*kind, u32::from_le_bytes([*a, *b, *c, 0]) as usize),
            None if whole => return cursor.take(HEADER).map(|_| Frame::NeedBytes(HEADER)),
            None => return Ok(Frame::NeedBytes(HEADER)),
        };
        let taken = HEADER.saturating_add(length);
        if bytes.len() < taken && !whole {
            return Ok(Frame::NeedBytes(taken));
        }
        cursor.skip(HEADER)?;
        let contents = cursor.take(length)?;
        let frame = match kind {
            0xFF if contents == IDENTIFIER => {
                self.begun = true;
                Frame::Stream { taken }
            }
            0xFF => return Err(self.wrong("a stream of Snappy frames begins with sNaPpY", kind)),
            _ if !self.begun => {
                return Err(self.wrong("a stream of Snappy frames begins with its identifier", kind));
            }
            0 | 1 => {
                let uncompressed = self.chunk(kind == 0, contents, out)?;
                Frame::Chunk { taken, uncompressed }
            }
            0x80.. => Frame::Chunk { taken, uncompressed: 0 },
            _ => {
                let kind = ErrorKind::UnknownTag { what: "a chunk of Snappy frames", found: kind.into() };
                return Err(Error::new(kind, self.at));
            }
        };
        self.at = self.at.saturating_add(taken as u64);
        Ok(frame)
    }

    #[cold]
    fn wrong(&self, rule: &'static str, found: u8) -> Error {
        Error::invalid(rule, format!("a chunk of type {found:02X}"), self.at)
    }

    /// Appends the uncompressed bytes of a chunk, and returns how many they are.
    fn chunk(&self, compressed: bool, contents: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let data_at = self.at.saturating_add((HEADER + CHECKSUM) as u64);
        let mut cursor = Cursor::at(contents, self.at.saturating_add(HEADER as u64));
        let stored = cursor.u32_le()?;
        let data = cursor.rest();
        let refused =
            |error: snap::Error| Error::invalid("Snappy's bytes uncompress", error.to_string(), data_at);
        let length = if compressed { decompress_len(data).map_err(refused)? } else { data.len() };
        if length > LARGEST_CHUNK {
            let kind = ErrorKind::LimitExceeded {
                what: "uncompressed bytes of a chunk of Snappy frames",
                limit: LARGEST_CHUNK as u64,
            };
            return Err(Error::new(kind, data_at));
        }
        let from = out.len();
        if compressed {
            out.resize(from.saturating_add(length), 0);
            let into = out.get_mut(from..).unwrap_or_default();
            let written = Decoder::new().decompress(data, into).map_err(refused);
            if written != Ok(length) {
                out.truncate(from);
                let written = written?;
                let rule = "Snappy's bytes are as many as they say";
                return Err(Error::invalid(rule, written.to_string(), data_at));
            }
        } else {
            out.extend_from_slice(data);
        }
        if self.verify {
            let computed = ChecksumType::Crc32c.compute(out.get(from..).unwrap_or_default());
            if computed != stored {
                out.truncate(from);
                let kind = ErrorKind::ChecksumMismatch {
                    what: "CRC-32C of a chunk of Snappy frames",
                    stored: stored.into(),
                    computed: computed.into(),
                };
                return Err(Error::new(kind, self.at.saturating_add(HEADER as u64)));
            }
        }
        Ok(length)
    }
}
