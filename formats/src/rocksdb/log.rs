//! The log format of MANIFEST and WAL files (`db/log_format.h`, `db/log_reader.cc`).
//!
//! A file is blocks of 32 KiB. A record is one fragment, or several of which each ends its block:
//!
//! ```text
//! u32 checksum │ u16 length │ u8 type │ [u32 log number, of recyclable types] │ payload
//! type: 1 full · 2 first · 3 middle · 4 last, and recyclable: 5 full · 6 first · 7 middle · 8 last
//! ```
//!
//! All integers are little-endian; the checksum is a masked CRC32c from the type byte on. Fewer than
//! seven bytes at the end of a block are padding. Type 0 with length 0 is space that was allocated
//! and not yet written.
//!
//! A file may end in the middle of a record, if its writer died or was copied while it wrote: that is
//! not damage, and [`LogReader::end`] tells it apart. A checksum that does not match is damage. Only
//! WALs hold the types 9 (compression), 10 and 11 (timestamp sizes), which are not decoded, and 130
//! and 131 (about the WAL before), which may be stepped over like every type from 128 on.

use std::borrow::Cow;

use super::checksum::ChecksumType;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};

/// Length of a block.
pub const BLOCK_LEN: usize = 32 * 1024;

const HEADER_LEN: usize = 7;
const RECYCLABLE_HEADER_LEN: usize = 11;

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Absolute offset of the header of the first fragment.
    pub offset: u64,
    /// The payload: borrowed if the record is one fragment.
    pub payload: Cow<'a, [u8]>,
    /// Where in the payload each fragment begins, and at which absolute offset.
    fragments: Vec<(usize, u64)>,
}

impl LogRecord<'_> {
    /// The absolute offset of a byte of the payload.
    #[must_use]
    pub fn absolute(&self, position: usize) -> u64 {
        let at = self.fragments.partition_point(|&(start, _)| start <= position);
        match at.checked_sub(1).and_then(|i| self.fragments.get(i)) {
            Some(&(start, offset)) => offset.saturating_add((position - start) as u64),
            None => self.offset,
        }
    }
}

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// After a whole record.
    Clean,
    /// With zeros: space that was allocated and not written.
    Zeros {
        /// Where they begin.
        offset: u64,
    },
    /// In the middle of a record, as a file does that was being written: the record is lost, what
    /// stands in front of it is whole.
    Truncated {
        /// Where the record begins.
        offset: u64,
    },
    /// With a record of the log that used the file before (recyclable types only).
    Recycled {
        /// Where the old record begins.
        offset: u64,
    },
    /// With the error that was returned: what follows was not read.
    Damaged {
        /// The error's offset.
        offset: u64,
    },
}

/// Reads a log's records.
#[derive(Debug, Clone)]
pub struct LogReader<'a> {
    data: &'a [u8],
    pos: usize,
    log_number: Option<u32>,
    end: Option<LogEnd>,
}

/// One physical record.
enum Fragment<'a> {
    Data { part: Part, payload: &'a [u8], header: usize, start: usize },
    Ignored,
    Zeros { header: usize },
    End(LogEnd),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Full,
    First,
    Middle,
    Last,
}

impl<'a> LogReader<'a> {
    /// A reader of a whole file.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0, log_number: None, end: None }
    }

    /// How the log ended; none before the last record has been asked for.
    #[must_use]
    pub fn end(&self) -> Option<LogEnd> {
        self.end
    }

    fn next_record(&mut self) -> Result<Option<LogRecord<'a>>> {
        let mut open: Option<LogRecord<'a>> = None;
        let mut zeros: Option<usize> = None;
        loop {
            let fragment = self.next_fragment()?;
            if let (Fragment::Data { header, .. }, Some(at), Some(_)) = (&fragment, zeros, &open) {
                let found = format!("more data at {header}");
                return Err(Error::invalid("zeros in a record end the log", found, at as u64));
            }
            let (part, payload, header, start) = match fragment {
                Fragment::Data { part, payload, header, start } => (part, payload, header, start),
                Fragment::Ignored => continue,
                Fragment::Zeros { header } => {
                    zeros = zeros.or(Some(header));
                    continue;
                }
                Fragment::End(end) => {
                    self.end = Some(match (open, end, zeros) {
                        (
                            Some(record),
                            LogEnd::Clean | LogEnd::Truncated { .. } | LogEnd::Recycled { .. },
                            _,
                        ) => LogEnd::Truncated { offset: record.offset },
                        (None, LogEnd::Clean | LogEnd::Truncated { .. }, Some(at)) => {
                            LogEnd::Zeros { offset: at as u64 }
                        }
                        (_, end, _) => end,
                    });
                    return Ok(None);
                }
            };
            zeros = None;
            // Early writers could end a block with an empty first fragment and then begin anew.
            let pending = open.as_ref().is_some_and(|record| !record.payload.is_empty());
            match part {
                Part::Full | Part::First if pending => {
                    return Err(Error::invalid(
                        "a record's first fragment is followed by its middle or last",
                        format!("type {}", if part == Part::Full { "full" } else { "first" }),
                        header as u64,
                    ));
                }
                Part::Full => {
                    return Ok(Some(LogRecord {
                        offset: header as u64,
                        payload: Cow::Borrowed(payload),
                        fragments: vec![(0, start as u64)],
                    }));
                }
                Part::First => {
                    open = Some(LogRecord {
                        offset: header as u64,
                        payload: Cow::Owned(payload.to_vec()),
                        fragments: vec![(0, start as u64)],
                    });
                }
                Part::Middle | Part::Last => {
                    let Some(mut record) = open.take() else {
                        let found = if part == Part::Last { "type last" } else { "type middle" };
                        let rule = "a record begins with type full or first";
                        return Err(Error::invalid(rule, found, header as u64));
                    };
                    record.fragments.push((record.payload.len(), start as u64));
                    record.payload.to_mut().extend_from_slice(payload);
                    if part == Part::Last {
                        return Ok(Some(record));
                    }
                    open = Some(record);
                }
            }
        }
    }

    fn next_fragment(&mut self) -> Result<Fragment<'a>> {
        let mut block_left = BLOCK_LEN - self.pos % BLOCK_LEN;
        if block_left < HEADER_LEN {
            self.pos = self.pos.saturating_add(block_left).min(self.data.len());
            block_left = BLOCK_LEN;
        }
        let header = self.pos;
        let rest = self.data.get(header..).unwrap_or_default();
        let last_block = rest.len() < block_left;
        let rest = rest.get(..block_left).unwrap_or(rest);
        if rest.is_empty() {
            return Ok(Fragment::End(LogEnd::Clean));
        }
        let truncated = Ok(Fragment::End(LogEnd::Truncated { offset: header as u64 }));
        if rest.len() < HEADER_LEN {
            return truncated;
        }
        if rest.iter().take(HEADER_LEN).all(|&b| b == 0) {
            if let Some(at) = rest.iter().position(|&b| b != 0) {
                let rule = "what follows a header of zeros is zeros up to the end of its block";
                let found = format!("byte {:#04x}", rest.get(at).copied().unwrap_or_default());
                return Err(Error::invalid(rule, found, (header + at) as u64));
            }
            self.pos += rest.len();
            return Ok(Fragment::Zeros { header });
        }
        let mut cursor = Cursor::at(rest, header as u64);
        let stored = cursor.u32_le()?;
        let length = usize::from(cursor.u8()?) | usize::from(cursor.u8()?) << 8;
        let kind = cursor.u8()?;
        let recyclable = matches!(kind, 5..=8 | 11 | 131);
        let header_len = if recyclable { RECYCLABLE_HEADER_LEN } else { HEADER_LEN };
        let Some(bytes) = rest.get(..header_len + length) else {
            if last_block {
                return truncated;
            }
            let found = format!("length {length}, {block_left} bytes left");
            return Err(Error::invalid("a fragment ends within its block", found, header as u64));
        };
        if recyclable {
            let number = cursor.u32_le()?;
            if *self.log_number.get_or_insert(number) != number {
                return Ok(Fragment::End(LogEnd::Recycled { offset: header as u64 }));
            }
        }
        let computed = ChecksumType::Crc32c.compute(bytes.get(6..).unwrap_or_default());
        if computed != stored {
            let (stored, computed) = (stored.into(), computed.into());
            let kind = ErrorKind::ChecksumMismatch { what: "a log record", stored, computed };
            return Err(Error::new(kind, header as u64));
        }
        let part = match kind {
            1 | 5 => Part::Full,
            2 | 6 => Part::First,
            3 | 7 => Part::Middle,
            4 | 8 => Part::Last,
            9 => return Err(unsupported("a compressed log (record type 9)", header)),
            10 | 11 => {
                return Err(unsupported(
                    "a log with user-defined timestamp sizes (record type 10 or 11)",
                    header,
                ));
            }
            128.. => {
                self.pos += bytes.len();
                return Ok(Fragment::Ignored);
            }
            other => {
                let kind = ErrorKind::UnknownTag { what: "log record type", found: other.into() };
                return Err(Error::new(kind, (header + 6) as u64));
            }
        };
        self.pos += bytes.len();
        let payload = bytes.get(header_len..).unwrap_or_default();
        Ok(Fragment::Data { part, payload, header, start: header + header_len })
    }
}

impl<'a> Iterator for LogReader<'a> {
    type Item = Result<LogRecord<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.end.is_some() {
            return None;
        }
        let result = self.next_record();
        if let Err(error) = &result {
            self.end = Some(LogEnd::Damaged { offset: error.offset() });
        }
        result.transpose()
    }
}

fn unsupported(what: &str, header: usize) -> Error {
    Error::new(ErrorKind::Unsupported { what: what.to_owned() }, header as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Appends one fragment.
    pub(crate) fn fragment(out: &mut Vec<u8>, kind: u8, log_number: Option<u32>, payload: &[u8]) {
        let mut body = vec![kind];
        body.extend(log_number.iter().flat_map(|n| n.to_le_bytes()));
        body.extend(payload);
        out.extend(ChecksumType::Crc32c.compute(&body).to_le_bytes());
        out.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
        out.extend(body);
    }

    type Records = Vec<(u64, Vec<u8>)>;

    fn read(bytes: &[u8]) -> (Records, Option<Error>, Option<LogEnd>) {
        let mut reader = LogReader::new(bytes);
        let (mut records, mut error) = (Vec::new(), None);
        for record in reader.by_ref() {
            match record {
                Ok(record) => records.push((record.offset, record.payload.into_owned())),
                Err(e) => error = Some(e),
            }
        }
        (records, error, reader.end())
    }

    /// "one", then a record of 40000 bytes over two blocks, then "three".
    fn three() -> (Vec<u8>, Vec<u8>) {
        let mut bytes = Vec::new();
        fragment(&mut bytes, 1, None, b"one");
        let long: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
        let room = BLOCK_LEN - bytes.len() - HEADER_LEN;
        fragment(&mut bytes, 2, None, &long[..room]);
        fragment(&mut bytes, 4, None, &long[room..]);
        fragment(&mut bytes, 1, None, b"three");
        (bytes, long)
    }

    #[test]
    fn records_in_one_and_in_several_fragments() {
        let (bytes, long) = three();
        let (records, error, end) = read(&bytes);
        let third = (bytes.len() - 12) as u64;
        assert_eq!(records, vec![(0, b"one".to_vec()), (10, long.clone()), (third, b"three".to_vec())]);
        assert_eq!((error, end), (None, Some(LogEnd::Clean)));
        let record = LogReader::new(&bytes).nth(1).unwrap().unwrap();
        for position in [0, 1, 32_000, 32_750, 32_751, 32_752, 39_999] {
            let at = usize::try_from(record.absolute(position)).unwrap();
            assert_eq!(bytes[at], long[position], "{position}");
        }
    }

    #[test]
    fn the_end_of_a_block_is_padded() {
        let mut bytes = Vec::new();
        fragment(&mut bytes, 1, None, &vec![7; BLOCK_LEN - HEADER_LEN - 6]);
        bytes.extend([0; 6]);
        fragment(&mut bytes, 1, None, b"next");
        let (records, error, end) = read(&bytes);
        assert_eq!((records[1].0, records[1].1.as_slice()), (BLOCK_LEN as u64, &b"next"[..]));
        assert_eq!((error, end), (None, Some(LogEnd::Clean)));
    }

    #[test]
    fn truncation_anywhere_loses_only_the_last_record() {
        let (bytes, long) = three();
        let whole = [10, 40_000 + 10 + 14, bytes.len()];
        let lengths = (0..60).chain(32_700..32_800).chain(40_000..bytes.len());
        for length in lengths {
            let (records, error, end) = read(&bytes[..length]);
            assert_eq!(error, None, "{length}");
            assert_eq!(records.len(), whole.iter().filter(|&&w| w <= length).count(), "{length}");
            let clean = length == 0 || whole.contains(&length);
            assert_eq!(end == Some(LogEnd::Clean), clean, "{length} {end:?}");
        }
        assert_eq!(read(&bytes[..35_000]).2, Some(LogEnd::Truncated { offset: 10 }));
        assert_eq!(long.len(), 40_000);
    }

    #[test]
    fn every_flipped_bit_is_an_error_or_a_shorter_log() {
        let mut good = Vec::new();
        fragment(&mut good, 1, None, b"first");
        fragment(&mut good, 1, None, b"second");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (records, error, end) = read(&bytes);
            assert!(error.is_some() || records.len() < 2, "bit {bit}");
            assert_ne!(end, Some(LogEnd::Clean), "bit {bit}");
        }
    }

    #[test]
    fn a_damaged_record_has_an_offset() {
        let (mut bytes, _) = three();
        bytes[33_000] ^= 1;
        let (records, error, end) = read(&bytes);
        assert_eq!((records.len(), error.unwrap().offset()), (1, 32_768));
        assert_eq!(end, Some(LogEnd::Damaged { offset: 32_768 }));
    }

    #[test]
    fn zeros_at_the_end_are_not_damage() {
        let (mut bytes, _) = three();
        let end = bytes.len();
        bytes.resize(end + 100_000, 0);
        let (records, error, tail) = read(&bytes);
        assert_eq!((records.len(), error, tail), (3, None, Some(LogEnd::Zeros { offset: end as u64 })));
        // Cut inside the long record, and filled up with zeros.
        let mut bytes = three().0;
        bytes.truncate(32_768);
        bytes.resize(70_000, 0);
        assert_eq!(read(&bytes).2, Some(LogEnd::Truncated { offset: 10 }));
        bytes[50_000] = 1;
        assert_eq!(read(&bytes).1.unwrap().offset(), 50_000);
    }

    #[test]
    fn a_recycled_file_ends_at_the_old_records() {
        let mut bytes = Vec::new();
        fragment(&mut bytes, 6, Some(9), b"ne");
        fragment(&mut bytes, 8, Some(9), b"w");
        let old = bytes.len() as u64;
        fragment(&mut bytes, 5, Some(8), b"old");
        let (records, error, end) = read(&bytes);
        assert_eq!(records, vec![(0, b"new".to_vec())]);
        assert_eq!((error, end), (None, Some(LogEnd::Recycled { offset: old })));
    }

    #[test]
    fn other_types_are_named_or_stepped_over() {
        for kind in [9, 10, 11] {
            let mut bytes = Vec::new();
            fragment(&mut bytes, kind, (kind == 11).then_some(1), b"x");
            assert!(matches!(read(&bytes).1.unwrap().kind(), ErrorKind::Unsupported { .. }), "{kind}");
        }
        let mut bytes = Vec::new();
        fragment(&mut bytes, 130, None, b"about the log before");
        fragment(&mut bytes, 1, None, b"one");
        assert_eq!(read(&bytes).0.len(), 1);
        let mut bytes = Vec::new();
        fragment(&mut bytes, 77, None, b"");
        assert_eq!(read(&bytes).1.unwrap().offset(), 6);
    }

    #[test]
    fn fragments_out_of_order_are_errors() {
        for kinds in [[3, 4], [4, 1], [2, 1], [2, 2]] {
            let mut bytes = Vec::new();
            kinds.iter().for_each(|&kind| fragment(&mut bytes, kind, None, b"x"));
            assert!(read(&bytes).1.is_some(), "{kinds:?}");
        }
        let mut bytes = Vec::new();
        fragment(&mut bytes, 2, None, b"");
        fragment(&mut bytes, 1, None, b"one");
        assert_eq!(read(&bytes).0, vec![(7, b"one".to_vec())]);
    }
}
