//! The elements of a channel, from bytes that come in pieces.

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::flink::operator_id::OperatorId;

/// The most bytes of an element of constant size: those of a latency marker.
const LARGEST_HEAD: usize = 29;

/// Bytes of an element's length.
pub(super) const LENGTH: usize = 4;

/// An element of a channel (`StreamElement`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// Tags 0 and 1, `StreamRecord`.
    Record {
        /// The timestamp in milliseconds, if it has one.
        timestamp: Option<i64>,
        /// The record by its serializer, or as much of it as is kept.
        value: &'a [u8],
        /// Bytes of the record.
        length: u64,
    },
    /// Tags 2 and 6, `Watermark`.
    Watermark {
        /// Its time in milliseconds.
        timestamp: i64,
        /// The subpartition that it is of (tag 6).
        subpartition: Option<i32>,
    },
    /// Tag 3, `LatencyMarker`.
    LatencyMarker {
        /// When it was made, in milliseconds since 1970.
        marked_ms: i64,
        /// The source that made it.
        operator: OperatorId,
        /// The subtask of that source.
        subtask: i32,
    },
    /// Tag 4, `WatermarkStatus` (`StreamStatus` before 1.14).
    WatermarkStatus {
        /// Whether no watermarks are to be waited for.
        is_idle: bool,
    },
    /// Tag 5, `RecordAttributes`.
    RecordAttributes {
        /// Whether the records that follow are a backlog.
        is_backlog: bool,
    },
    /// Tag 7, `GeneralizedWatermark`.
    GeneralizedWatermark {
        /// Bytes of it, its class's name included.
        length: u64,
    },
}

/// Reads the elements of a channel.
///
/// Of records, the bytes that lie in one piece are handed out as they are; of those that do not, up to a number of bytes is copied.
#[derive(Debug)]
pub struct ElementReader {
    /// Bytes of a record that are kept, its tag and timestamp aside.
    keep: usize,
    /// Where in the channel's bytes the next one is.
    at: u64,
    /// Where the element begins that is not at its end.
    begin: u64,
    /// Its length, if that is complete.
    length: Option<u64>,
    /// As much of its length, or of it, as is there and kept.
    buffer: Vec<u8>,
    /// How many of its bytes are there.
    seen: u64,
}

/// How a channel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// With an element.
    Whole,
    /// Inside of one.
    Inside {
        /// Bytes of it that are there, its length included.
        bytes: u64,
        /// Bytes that it has, its length included, if that is there.
        of: Option<u64>,
    },
}

impl ElementReader {
    /// Of the bytes of a channel from `at` on, where an element begins. Of a record that does not lie in one piece, `keep` bytes are kept.
    #[must_use]
    pub fn new(at: u64, keep: usize) -> Self {
        Self { keep, at, begin: at, length: None, buffer: Vec::new(), seen: 0 }
    }

    /// Bytes of memory that hold a part of an element.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Keeps no more of the element that is not at its end than it must.
    pub fn forget(&mut self) {
        if self.length.is_some() {
            self.buffer.truncate(LARGEST_HEAD);
            self.buffer.shrink_to_fit();
        }
    }

    /// Takes what follows, and calls `tell` for each element that ends in it, with where in the channel's bytes it begins.
    ///
    /// # Errors
    /// What `StreamElementSerializer` does not write. Offsets count the channel's bytes; nothing can be read behind it.
    pub fn feed(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(u64, Element<'_>)) -> Result<()> {
        while !bytes.is_empty() {
            let Some(length) = self.length else {
                bytes = self.take_length(bytes)?;
                continue;
            };
            let missing = usize::try_from(length.saturating_sub(self.seen)).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(missing.min(bytes.len()));
            bytes = rest;
            self.at = self.at.saturating_add(part.len() as u64);
            if part.len() == missing && self.seen == 0 {
                tell(self.begin, decode(part, length, self.begin)?);
                self.next();
                continue;
            }
            self.seen = self.seen.saturating_add(part.len() as u64);
            let room = self.keep.saturating_add(LARGEST_HEAD).saturating_sub(self.buffer.len());
            // What was forgotten stays so.
            if self.seen - part.len() as u64 == self.buffer.len() as u64 {
                self.buffer.extend_from_slice(part.get(..room).unwrap_or(part));
            }
            // What is wrong is told before all of it is there.
            if self.buffer.len() >= LARGEST_HEAD || self.seen == length {
                let element = decode(&self.buffer, length, self.begin)?;
                if self.seen == length {
                    tell(self.begin, element);
                    self.next();
                }
            }
        }
        Ok(())
    }

    /// How the channel ends, if nothing follows.
    #[must_use]
    pub fn end(&self) -> Tail {
        match (self.length, self.buffer.len()) {
            (None, 0) => Tail::Whole,
            (None, there) => Tail::Inside { bytes: there as u64, of: None },
            (Some(length), _) => {
                let whole = LENGTH as u64;
                Tail::Inside { bytes: whole + self.seen, of: Some(whole + length) }
            }
        }
    }

    fn next(&mut self) {
        self.begin = self.at;
        self.length = None;
        self.buffer.clear();
        self.seen = 0;
    }

    /// Takes bytes of a length, and returns what follows.
    fn take_length<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let missing = LENGTH - self.buffer.len().min(LENGTH);
        let (part, rest) = bytes.split_at(missing.min(bytes.len()));
        self.buffer.extend_from_slice(part);
        self.at = self.at.saturating_add(part.len() as u64);
        if let Some(length) = self.buffer.first_chunk::<LENGTH>() {
            self.length = Some(element_length(*length, self.begin)?);
            self.buffer.clear();
        }
        Ok(rest)
    }
}

/// The length of an element that begins at `at`.
pub(super) fn element_length(bytes: [u8; LENGTH], at: u64) -> Result<u64> {
    let found = i32::from_be_bytes(bytes);
    match u64::try_from(found) {
        Ok(length) if length > 0 => Ok(length),
        _ => {
            let rule = "an element of a channel has a tag at least";
            Err(Error::invalid(rule, format!("a length of {found}"), at))
        }
    }
}

/// Decodes an element of this length, of which as much is there as is kept, but all of what has a constant size; it begins with its length at `begin`.
pub(super) fn decode(bytes: &[u8], length: u64, begin: u64) -> Result<Element<'_>> {
    let mut cursor = Cursor::at(bytes, begin.saturating_add(LENGTH as u64));
    let tag = cursor.u8()?;
    let rest = length.saturating_sub(1);
    let exactly = |size: u64| {
        if rest == size {
            return Ok(());
        }
        let rule = "an element of a channel has the length of its kind";
        Err(Error::invalid(rule, format!("{rest} bytes behind tag {tag}, not {size}"), begin))
    };
    Ok(match tag {
        0 => {
            let timestamp = cursor.i64()?;
            Element::Record {
                timestamp: Some(timestamp),
                value: cursor.rest(),
                length: rest.saturating_sub(8),
            }
        }
        1 => Element::Record { timestamp: None, value: cursor.rest(), length: rest },
        2 => {
            exactly(8)?;
            Element::Watermark { timestamp: cursor.i64()?, subpartition: None }
        }
        3 => {
            exactly(28)?;
            let marked_ms = cursor.i64()?;
            let id = u128::from(cursor.u64()?) << 64 | u128::from(cursor.u64()?);
            let operator = OperatorId(id.to_be_bytes());
            Element::LatencyMarker { marked_ms, operator, subtask: cursor.i32()? }
        }
        4 => {
            exactly(4)?;
            match cursor.i32()? {
                0 => Element::WatermarkStatus { is_idle: false },
                -1 => Element::WatermarkStatus { is_idle: true },
                found => {
                    let rule = "a watermark status is 0 or -1";
                    return Err(Error::invalid(rule, found.to_string(), begin));
                }
            }
        }
        5 => {
            exactly(1)?;
            Element::RecordAttributes { is_backlog: cursor.bool()? }
        }
        6 => {
            exactly(12)?;
            let subpartition = Some(cursor.i32()?);
            Element::Watermark { timestamp: cursor.i64()?, subpartition }
        }
        7 => {
            cursor.u16()?;
            Element::GeneralizedWatermark { length: rest }
        }
        found => {
            let kind = ErrorKind::UnknownTag { what: "element of a channel", found: found.into() };
            return Err(Error::new(kind, begin.saturating_add(LENGTH as u64)));
        }
    })
}
