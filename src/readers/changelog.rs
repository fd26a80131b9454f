//! Reads files of changes (DSTL).
//!
//! What is not compressed is read from where a set begins; of a compressed file, everything before it has to be
//! uncompressed, so that sets of one file are read in one go. Memory is bounded by a piece and the largest change.

use std::ops::Range;

use statescope_formats::flink::changelog::{ChangeSet, SetStep};
use statescope_formats::{Error as FormatError, ErrorKind};

use super::frames::Frames;
use super::source::{ReadError, Source};
use crate::model::ChangesFile;
use crate::storage::Storage;

/// How files of changes are read.
#[derive(Debug, Clone, Copy)]
pub struct ChangesReading<'s> {
    /// Where from.
    pub storage: &'s dyn Storage,
    /// Whether checksums of frames are verified.
    pub checksums: bool,
    /// How many bytes are read at once.
    pub piece: u64,
}

/// What is to be done after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// The next change.
    Next,
    /// The next set: the rest of this one is not wanted.
    NextSet,
    /// Nothing more.
    Stop,
}

/// A set of changes that could not be read to its end.
#[derive(Debug)]
pub struct SetNotRead {
    /// Index of the set among those that were asked for.
    pub set: usize,
    /// Why. Offsets are of uncompressed bytes behind the first of the file where that is compressed, else of the file.
    pub error: ReadError,
}

/// A change of a set.
#[derive(Debug, Clone, Copy)]
pub struct FoundChange<'b> {
    /// Index of the set among those that were asked for.
    pub set: usize,
    /// The key group; `None` of meta data.
    pub key_group: Option<u32>,
    /// The change.
    pub bytes: &'b [u8],
    /// Where it begins.
    pub at: u64,
}

/// Calls for all changes of some sets of a file, which are in ascending order of their offsets. `sets` are ranges of
/// uncompressed bytes behind the first of the file; a set may end earlier. Returns how many bytes were read.
///
/// # Errors
/// What cannot be read, contradicts the format, or ends too early.
pub fn each_change(
    reading: ChangesReading<'_>,
    source: &Source,
    file: &ChangesFile,
    sets: &[Range<u64>],
    visit: &mut dyn FnMut(FoundChange<'_>) -> Visit,
) -> Result<u64, SetNotRead> {
    let mut bytes = Bytes::new(reading, source, file);
    for (index, range) in sets.iter().enumerate() {
        let failed = |error| SetNotRead { set: index, error };
        bytes.go_to(range).map_err(failed)?;
        let mut set = ChangeSet::new(bytes.offset());
        loop {
            let (step, taken) = set.next(bytes.rest(), bytes.is_whole()).map_err(|e| failed(e.into()))?;
            match step {
                SetStep::NeedBytes(needed) => bytes.more(needed).map_err(failed)?,
                SetStep::Going => {}
                SetStep::Change { key_group, change } => {
                    let length = change.len() as u64;
                    let at = set.offset().saturating_sub(length);
                    match visit(FoundChange { set: index, key_group, bytes: change, at }) {
                        Visit::Next => {}
                        Visit::NextSet => break,
                        Visit::Stop => return Ok(bytes.read),
                    }
                }
                SetStep::End => break,
            }
            bytes.take(taken);
        }
    }
    Ok(bytes.read)
}

/// The uncompressed bytes of a file, from some place on.
struct Bytes<'f> {
    reading: ChangesReading<'f>,
    source: &'f Source,
    compressed: bool,
    /// Of the file, what was not read yet.
    rest: Range<u64>,
    size: u64,
    frames: Option<Frames>,
    buffer: Vec<u8>,
    taken: usize,
    /// Uncompressed bytes before those that were not taken.
    position: u64,
    read: u64,
}

impl<'f> Bytes<'f> {
    fn new(reading: ChangesReading<'f>, source: &'f Source, file: &ChangesFile) -> Self {
        let frames = file.compressed.then(|| Frames::new(1, reading.checksums));
        Self {
            reading,
            source,
            compressed: file.compressed,
            rest: 1..file.size.max(1),
            size: file.size,
            frames,
            buffer: Vec::new(),
            taken: 0,
            position: 0,
            read: 0,
        }
    }

    /// The offset of what comes next, for messages.
    fn offset(&self) -> u64 {
        self.position.saturating_add(u64::from(!self.compressed))
    }

    fn go_to(&mut self, range: &Range<u64>) -> Result<(), ReadError> {
        if self.compressed {
            if range.start < self.position {
                let (frames, reading) = (Frames::new(1, self.reading.checksums), self.reading);
                (self.frames, self.reading) = (Some(frames), reading);
                (self.rest, self.position, self.taken) = (1..self.size.max(1), 0, 0);
                self.buffer.clear();
            }
            while self.position < range.start {
                let ahead = range.start.saturating_sub(self.position);
                let there = self.rest().len().min(usize::try_from(ahead).unwrap_or(usize::MAX));
                self.take(there);
                if self.position < range.start {
                    if self.is_whole() {
                        return Err(self.behind_the_end(range.start).into());
                    }
                    self.more(1)?;
                }
            }
            return Ok(());
        }
        let start = range.start.saturating_add(1);
        if start > self.size {
            return Err(self.behind_the_end(range.start).into());
        }
        // What was read already may reach on: sets often follow one another.
        let known = self.position..=self.position.saturating_add(self.rest().len() as u64);
        if known.contains(&range.start) {
            let ahead = range.start.saturating_sub(self.position);
            self.take(usize::try_from(ahead).unwrap_or(usize::MAX));
        } else {
            (self.rest.start, self.position, self.taken) = (start, range.start, 0);
            self.buffer.clear();
        }
        self.rest.end = range.end.saturating_add(1).min(self.size).max(self.rest.start);
        Ok(())
    }

    #[cold]
    fn behind_the_end(&self, start: u64) -> FormatError {
        let rule = "a set of changes begins within its file";
        FormatError::invalid(rule, format!("offset {start} of {} bytes", self.size), self.offset())
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    fn is_whole(&self) -> bool {
        self.rest.is_empty() && self.frames.as_ref().is_none_or(Frames::is_empty)
    }

    fn take(&mut self, bytes: usize) {
        let bytes = bytes.min(self.rest().len());
        self.taken = self.taken.saturating_add(bytes);
        self.position = self.position.saturating_add(bytes as u64);
    }

    /// Has at least so many bytes there, or all.
    fn more(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        // What is asked for by a length that lies is not there: memory grows with what is read.
        while self.buffer.len() < bytes && !self.is_whole() {
            let end = self.rest.start.saturating_add(self.reading.piece.max(1)).min(self.rest.end);
            let read = self.source.read(self.reading.storage, self.rest.start..end)?;
            if read.is_empty() && !self.rest.is_empty() {
                let needed = self.rest.end.saturating_sub(self.rest.start);
                let kind = ErrorKind::UnexpectedEnd { needed, remaining: 0 };
                return Err(FormatError::new(kind, self.rest.start).into());
            }
            self.rest.start = self.rest.start.saturating_add(read.len() as u64);
            self.read = self.read.saturating_add(read.len() as u64);
            match &mut self.frames {
                Some(frames) => frames.feed(&read, self.rest.is_empty(), &mut self.buffer)?,
                None => self.buffer.extend_from_slice(&read),
            }
        }
        Ok(())
    }
}
