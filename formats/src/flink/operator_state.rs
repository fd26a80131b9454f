//! Streams of operator state: lists, unions and broadcast maps of one subtask.
//!
//! ```text
//! stream       meta data (OperatorBackendMeta) | [stream identifier of Snappy's frames] | n × part
//! part         where the handle says that it begins; of a list and a union one element, of a broadcast state all of it
//! broadcast    i32 n | n × { key, value }
//! ```
//!
//! A part reaches to the next one that the handle names, or to the stream's end. If the meta data says that the state is compressed (since Flink 1.18), a part is a number of whole
//! frames of one stream of Snappy ([`SnappyFrames`]), whose identifier stands behind the meta data only. Raw operator state has neither meta
//! data nor frames. Sources: `OperatorStateBackendSnapshotStrategy`, `CompressibleFSDataOutputStream`, `PartitionableListState`, `HeapBroadcastState` of flink-runtime 1.13 to 2.3.

use std::borrow::Cow;

use super::full_snapshot::{Frame, SnappyFrames};
use super::value::{Decoded, ValueDecoder, ValueSink};
use super::walk::Walked;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};

/// Cuts the bytes of a stream into parts.
#[derive(Debug)]
pub struct OperatorStateParts<'a> {
    /// The stream, as far as it was read.
    bytes: &'a [u8],
    /// Bytes of the whole stream.
    size: u64,
    compressed: bool,
    /// Where parts begin, and the end, in order.
    bounds: Vec<u64>,
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStatePart<'a> {
    /// Its bytes, uncompressed.
    pub bytes: Cow<'a, [u8]>,
    /// The absolute offset of the first of them; 0 if they were compressed.
    pub offset: u64,
}

impl<'a> OperatorStateParts<'a> {
    /// Parts of a stream of this size, of which `bytes` is the begin or all, with the offsets of all parts as the handle records them.
    #[must_use]
    pub fn new(bytes: &'a [u8], size: u64, compressed: bool, offsets: impl Iterator<Item = i64>) -> Self {
        let within = |offset| u64::try_from(offset).ok().filter(|&offset| offset <= size);
        let mut bounds: Vec<u64> = offsets.filter_map(within).collect();
        bounds.push(size);
        bounds.sort_unstable();
        bounds.dedup();
        Self { bytes, size, compressed, bounds }
    }

    /// How many bytes of the stream the part takes that begins here.
    #[must_use]
    pub fn stored(&self, offset: i64) -> u64 {
        let Ok(begin) = u64::try_from(offset) else { return 0 };
        let next = self.bounds.get(self.bounds.partition_point(|&bound| bound <= begin));
        next.map_or(0, |next| next - begin)
    }

    /// The part that begins here, of which there are at most `limit` bytes; none if it was not read to its end.
    ///
    /// # Errors
    /// An offset that is not in the stream, frames that cannot be uncompressed, too many bytes.
    pub fn part(&self, offset: i64, limit: usize) -> Result<Option<OperatorStatePart<'a>>> {
        let begin = u64::try_from(offset).ok().filter(|&begin| begin <= self.size);
        let begin = begin.ok_or_else(|| {
            let rule = "a part begins within its stream";
            Error::invalid(rule, offset.to_string(), u64::try_from(offset).unwrap_or(0).min(self.size))
        })?;
        let place = usize::try_from(begin).ok().zip(usize::try_from(self.stored(offset)).ok());
        let bytes = place.and_then(|(at, length)| self.bytes.get(at..at.checked_add(length)?));
        let Some(bytes) = bytes else { return Ok(None) };
        if self.compressed {
            let bytes = Cow::Owned(uncompress(bytes, begin, limit)?);
            return Ok(Some(OperatorStatePart { bytes, offset: 0 }));
        }
        if bytes.len() > limit {
            return Err(too_large(limit, begin));
        }
        Ok(Some(OperatorStatePart { bytes: Cow::Borrowed(bytes), offset: begin }))
    }
}

#[cold]
fn too_large(limit: usize, offset: u64) -> Error {
    Error::new(ErrorKind::LimitExceeded { what: "bytes of one part", limit: limit as u64 }, offset)
}

fn uncompress(mut bytes: &[u8], offset: u64, limit: usize) -> Result<Vec<u8>> {
    let mut frames = SnappyFrames::within(offset, true);
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let taken = match frames.next(bytes, true, &mut out)? {
            // Everything is there, so that this is an end inside of a frame.
            Frame::NeedBytes(needed) => return Cursor::at(bytes, frames.offset()).take(needed).map(|_| out),
            Frame::Stream { taken } | Frame::Chunk { taken, .. } => taken,
        };
        if out.len() > limit {
            return Err(too_large(limit, offset));
        }
        bytes = bytes.get(taken..).unwrap_or_default();
    }
    Ok(out)
}

/// Goes over the entries of a broadcast state.
#[derive(Debug)]
pub struct BroadcastEntries<'a> {
    rest: &'a [u8],
    offset: u64,
    left: u64,
}

impl<'a> BroadcastEntries<'a> {
    /// Of a part.
    ///
    /// # Errors
    /// Bytes that end too early, a count that cannot be.
    pub fn new(part: &'a OperatorStatePart<'_>) -> Result<Self> {
        let mut cursor = Cursor::at(&part.bytes, part.offset);
        let left = cursor.count32("entries of a broadcast state", 0)? as u64;
        Ok(Self { rest: cursor.rest(), offset: cursor.offset(), left })
    }

    /// How many entries are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Bytes that are left, and where they begin.
    #[must_use]
    pub fn rest(&self) -> (&'a [u8], u64) {
        (self.rest, self.offset)
    }

    /// Tells the key and the value of the next entry, and returns how the decoders fared. None behind the last one. What could not be gone over to its
    /// end ends the entries.
    pub fn next(
        &mut self,
        decoders: (&ValueDecoder, &ValueDecoder),
        key: &mut impl ValueSink,
        value: &mut impl ValueSink,
    ) -> Option<(Decoded, Option<Decoded>)> {
        self.left = self.left.checked_sub(1)?;
        let decoded = decoders.0.decode(self.rest, key);
        if !self.step(decoded) {
            return Some((decoded, None));
        }
        let of_value = decoders.1.decode(self.rest, value);
        self.step(of_value);
        Some((decoded, Some(of_value)))
    }

    fn step(&mut self, decoded: Decoded) -> bool {
        match decoded.walked {
            Walked::End(length) => {
                self.rest = self.rest.get(length..).unwrap_or_default();
                self.offset = self.offset.saturating_add(length as u64);
                true
            }
            Walked::Stopped { .. } | Walked::Bad(_) => {
                self.left = 0;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use snap::raw::Encoder;

    use super::*;
    use crate::rocksdb::checksum::ChecksumType;

    fn frame(bytes: &[u8]) -> Vec<u8> {
        let packed = Encoder::new().compress_vec(bytes).unwrap();
        let length = u32::try_from(packed.len() + 4).unwrap();
        let checksum = ChecksumType::Crc32c.compute(bytes);
        [&[0][..], &length.to_le_bytes()[..3], &checksum.to_le_bytes(), &packed].concat()
    }

    #[test]
    fn a_part_reaches_to_the_next_one() {
        let bytes = b"metaaaabbbbbb";
        let parts = OperatorStateParts::new(bytes, 13, false, [7, 4].into_iter());
        let part = |offset| parts.part(offset, 100).unwrap().map(|part| part.bytes.into_owned());
        assert_eq!((part(4), part(7)), (Some(b"aaa".to_vec()), Some(b"bbbbbb".to_vec())));
        assert_eq!((parts.stored(4), parts.stored(7), parts.stored(-1), parts.stored(13)), (3, 6, 0, 0));
        // An offset that is not in the stream bounds nothing.
        let beyond = OperatorStateParts::new(bytes, 13, false, [7, i64::MAX].into_iter());
        assert_eq!((beyond.stored(7), beyond.stored(i64::MAX)), (6, 0));
        parts.part(14, 100).unwrap_err();
        parts.part(-1, 100).unwrap_err();
        parts.part(7, 5).unwrap_err();
        // Only the begin was read.
        let parts = OperatorStateParts::new(&bytes[..8], 13, false, [7, 4].into_iter());
        assert!(parts.part(4, 100).unwrap().is_some());
        assert_eq!(parts.part(7, 100), Ok(None));
    }

    #[test]
    fn a_compressed_part_is_frames_without_an_identifier() {
        let (first, second) = (frame(&[7; 1000]), [frame(b"one"), frame(b"two")].concat());
        let bytes = [&b"meta\xff\x06\x00\x00sNaPpY"[..], &first, &second].concat();
        let at = 14 + i64::try_from(first.len()).unwrap();
        let parts = OperatorStateParts::new(&bytes, bytes.len() as u64, true, [14, at].into_iter());
        assert_eq!(*parts.part(14, 1000).unwrap().unwrap().bytes, [7; 1000]);
        assert_eq!(*parts.part(at, 1000).unwrap().unwrap().bytes, *b"onetwo");
        parts.part(14, 999).unwrap_err();
        for end in 15..14 + first.len() {
            let cut = OperatorStateParts::new(&bytes[..end], end as u64, true, [14].into_iter());
            assert!(cut.part(14, 1000).unwrap_err().offset() <= end as u64);
        }
    }
}
