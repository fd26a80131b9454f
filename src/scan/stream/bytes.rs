//! The bytes of key groups, in pieces as they are asked for, uncompressed.

use std::ops::Range;

use ::bytes::Bytes;
use statescope_formats::{Error as FormatError, ErrorKind};

use super::super::feed::Reading;
use super::super::tables::ReadError;
use super::{Group, Stream};
use crate::readers::frames::Frames;
use crate::storage::ReadRequest;

/// Bytes that are handed on at once.
const STEP: u64 = 128 << 10;

/// The pieces in which the bytes of some key groups are asked for.
#[derive(Debug)]
pub(in crate::scan) struct Pieces<'s> {
    reading: Reading<'s>,
    stream: &'s Stream,
    pieces: Vec<Range<u64>>,
    current: Bytes,
    at: u64,
    /// Bytes that were read and are not part of the progress yet.
    untold: u64,
}

impl<'s> Pieces<'s> {
    /// Of these key groups of a stream.
    pub(in crate::scan) fn new<'g>(
        reading: Reading<'s>,
        stream: &'s Stream,
        groups: impl Iterator<Item = &'g Group>,
    ) -> Self {
        let most = reading.piece(&stream.source).max(1);
        let mut extents: Vec<Range<u64>> = groups
            .filter_map(|group| group.extent.clone().ok())
            .filter(|extent| !extent.is_empty())
            .collect();
        extents.sort_unstable_by_key(|extent| extent.start);
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for extent in extents {
            match stretches.last_mut() {
                Some(last) if last.end >= extent.start => last.end = last.end.max(extent.end),
                _ => stretches.push(extent),
            }
        }
        let mut pieces = Vec::new();
        for Range { mut start, end } in stretches {
            while start < end {
                let next = start.saturating_add(most).min(end);
                pieces.push(start..next);
                start = next;
            }
        }
        Self { reading, stream, pieces, current: Bytes::new(), at: 0, untold: 0 }
    }

    /// What will be asked for, in order.
    pub(in crate::scan) fn announced(&self) -> impl Iterator<Item = ReadRequest> {
        self.pieces.iter().filter_map(|piece| self.stream.source.request(piece.clone()))
    }

    /// Bytes of all pieces.
    pub(in crate::scan) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.end - piece.start).fold(0, u64::saturating_add)
    }

    /// What lies at an offset: up to an end, or less.
    fn read(&mut self, at: u64, end: u64) -> Result<Bytes, ReadError> {
        let current = self.at..self.at.saturating_add(self.current.len() as u64);
        if !current.contains(&at) {
            let index = self.pieces.partition_point(|piece| piece.end <= at);
            let Some(piece) = self.pieces.get(index).filter(|piece| piece.contains(&at)).cloned() else {
                return Ok(Bytes::new());
            };
            self.current = Bytes::new();
            self.tell_progress();
            self.current = self.stream.source.read(&self.reading.storage, piece.clone())?;
            self.at = piece.start;
        }
        let from = usize::try_from(at.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let to = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.current.len());
        Ok(if from < to { self.current.slice(from..to) } else { Bytes::new() })
    }

    /// The first bytes of a key group: so many, or less.
    pub(super) fn head(&mut self, extent: &Range<u64>, bytes: u64) -> Result<Vec<u8>, ReadError> {
        let (mut at, end) = (extent.start, extent.end.min(extent.start.saturating_add(bytes)));
        let mut head = Vec::new();
        while at < end {
            let read = self.read(at, end)?;
            if read.is_empty() {
                break;
            }
            at = at.saturating_add(read.len() as u64);
            head.extend_from_slice(&read);
        }
        Ok(head)
    }

    /// Counts bytes that were decoded.
    pub(super) fn count(&mut self, bytes: u64) {
        self.untold = self.untold.saturating_add(bytes);
    }

    /// Adds what was decoded to the progress.
    pub(super) fn tell_progress(&mut self) {
        self.reading.tell_progress(&mut self.untold);
    }

    fn is_stopped(&self) -> bool {
        self.reading.progress.is_stopped()
    }
}

/// The uncompressed bytes of one key group, as far as they are there.
pub(super) struct GroupBytes<'p, 's> {
    pieces: &'p mut Pieces<'s>,
    /// What was not asked for yet.
    rest: Range<u64>,
    frames: Option<Frames>,
    buffer: Vec<u8>,
    /// How much of `buffer` was taken.
    taken: usize,
    /// Uncompressed bytes that were taken.
    pub(super) position: u64,
}

impl<'p, 's> GroupBytes<'p, 's> {
    pub(super) fn new(pieces: &'p mut Pieces<'s>, extent: Range<u64>) -> Self {
        Self { pieces, rest: extent, frames: None, buffer: Vec::new(), taken: 0, position: 0 }
    }

    /// From here on, bytes are compressed: nothing behind what was taken may have been asked for.
    pub(super) fn uncompress(&mut self) {
        self.frames = Some(Frames::new(self.rest.start, self.pieces.reading.checksums));
        self.position = 0;
    }

    /// Whether reading is to end early.
    pub(super) fn is_stopped(&self) -> bool {
        self.pieces.is_stopped()
    }

    /// What is there and was not taken.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Whether nothing follows what is there.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_empty() && self.frames.as_ref().is_none_or(Frames::is_empty)
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes).min(self.buffer.len());
        self.position = self.position.saturating_add(bytes as u64);
    }

    /// Takes exactly so many bytes as they are, before any other.
    pub(super) fn plain(&mut self, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let mut head = Vec::new();
        while head.len() < bytes {
            let missing = (bytes - head.len()) as u64;
            let end = self.rest.start.saturating_add(missing).min(self.rest.end);
            let read = self.pieces.read(self.rest.start, end)?;
            if read.is_empty() {
                let kind = ErrorKind::UnexpectedEnd { needed: bytes as u64, remaining: head.len() as u64 };
                return Err(FormatError::new(kind, self.rest.start).into());
            }
            self.took(read.len());
            head.extend_from_slice(&read);
        }
        self.position = self.position.saturating_add(bytes as u64);
        Ok(head)
    }

    /// Bytes that were asked for of a key group that begins there.
    pub(super) fn consumed(&self, begin: u64) -> u64 {
        self.rest.start.saturating_sub(begin)
    }

    fn took(&mut self, bytes: usize) {
        self.rest.start = self.rest.start.saturating_add(bytes as u64);
        self.pieces.count(bytes as u64);
    }

    /// Has at least so many bytes there, or all.
    pub(super) fn more(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        // What is asked for by a length that lies is not there: memory grows with what is read.
        while self.buffer.len() < bytes && !self.is_whole() {
            self.fill()?;
        }
        Ok(())
    }

    /// Reads on.
    fn fill(&mut self) -> Result<(), ReadError> {
        let read =
            self.pieces.read(self.rest.start, self.rest.end.min(self.rest.start.saturating_add(STEP)))?;
        if read.is_empty() && !self.rest.is_empty() {
            let (needed, remaining) = (self.rest.end - self.rest.start, 0);
            return Err(
                FormatError::new(ErrorKind::UnexpectedEnd { needed, remaining }, self.rest.start).into()
            );
        }
        self.took(read.len());
        match &mut self.frames {
            Some(frames) => frames.feed(&read, self.rest.is_empty(), &mut self.buffer)?,
            None => self.buffer.extend_from_slice(&read),
        }
        Ok(())
    }

    /// How many uncompressed bytes lie before the begin of the next compressed stream, if one begins within so many; they are there
    /// then. `None` also if nothing is compressed.
    pub(super) fn stream_left(&mut self, most: usize) -> Result<Option<usize>, ReadError> {
        loop {
            let position = self.position;
            let Some(frames) = &mut self.frames else { return Ok(None) };
            let next = frames.begin_behind(position).map(|next| next.saturating_sub(position));
            let there = self.rest().len();
            match next.and_then(|next| usize::try_from(next).ok()).filter(|next| *next <= there) {
                Some(next) => return Ok(Some(next)),
                None if self.is_whole() || there >= most => return Ok(None),
                None => self.more(there.saturating_add(1))?,
            }
        }
    }

    /// Goes on where the next compressed stream begins; `None` if none does, or nothing is compressed. Returns how many
    /// uncompressed bytes lie before it.
    pub(super) fn next_stream(&mut self) -> Result<Option<u64>, ReadError> {
        let mut skipped = 0;
        loop {
            let Some(frames) = &mut self.frames else { return Ok(None) };
            let next = frames.begin_behind(self.position);
            let there = self.rest().len();
            let ahead =
                next.map(|next| usize::try_from(next.saturating_sub(self.position)).unwrap_or(usize::MAX));
            match ahead.filter(|ahead| *ahead <= there) {
                Some(ahead) => {
                    self.take(ahead);
                    return Ok(Some(skipped + ahead as u64));
                }
                None if self.is_whole() => return Ok(None),
                None => {
                    self.take(there);
                    skipped += there as u64;
                    self.more(1)?;
                }
            }
        }
    }
}
