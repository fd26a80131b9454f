//! Outcomes of one state in one split, in memory or in a temporary file.
//!
//! ```text
//! u8 outcome │ u32 key length │ u32 value length │ key │ value       little-endian
//! ```

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};

use super::fold::Outcome;
use crate::analyzers::analysis::Spill;
use crate::scan::sorter::SortError;

/// So many bytes go to a temporary file at once.
const CHUNK: usize = 256 << 10;

/// Why outcomes cannot be written or read.
#[derive(Debug)]
pub(in crate::scan) enum SegmentError {
    /// There is no room for them in memory, and nowhere else.
    NoRoom,
    /// The temporary file.
    Io(io::Error),
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("changes do not fit into memory, and there is nowhere else"),
            Self::Io(error) => write!(f, "a temporary file could not be used: {error}"),
        }
    }
}

impl From<SortError> for SegmentError {
    fn from(error: SortError) -> Self {
        match error {
            SortError::NoRoom => Self::NoRoom,
            SortError::Io(error) => Self::Io(error),
        }
    }
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The outcomes of a state in a split, to be read once.
#[derive(Default)]
pub(in crate::scan) struct Outcomes {
    runs: Vec<Box<dyn Read + Send>>,
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("runs", &self.runs.len()).finish()
    }
}

impl Outcomes {
    /// Reads them one after the other.
    pub(super) fn into_reader(self) -> Reader {
        let mut runs = self.runs;
        runs.reverse();
        Reader { current: None, runs, key: Vec::new(), value: Vec::new() }
    }
}

/// Writes the outcomes of the states of one split.
pub(super) struct Writer {
    spill: Option<Box<dyn Spill>>,
    buffer: Vec<u8>,
    /// How many runs each state has that ended.
    ended: Vec<Ended>,
    /// Runs that were written of the current state.
    runs: usize,
    /// Whether there was no room for some of them.
    is_over: bool,
}

struct Ended {
    runs: usize,
    memory: Vec<u8>,
}

impl Writer {
    pub(super) fn new(spill: Option<Box<dyn Spill>>) -> Self {
        Self { spill, buffer: Vec::new(), ended: Vec::new(), runs: 0, is_over: false }
    }

    /// Takes an outcome; returns how many more bytes of memory that needs, of so many that there are.
    pub(super) fn push(
        &mut self,
        key: &[u8],
        outcome: Outcome,
        value: &[u8],
        room: usize,
    ) -> Result<usize, SegmentError> {
        let before = self.buffer.len();
        self.buffer.push(outcome.code());
        for part in [key, value] {
            // Parts of rows have 31 bits of length in Flink.
            let length = u32::try_from(part.len()).map_err(|_| SegmentError::NoRoom)?;
            self.buffer.extend_from_slice(&length.to_le_bytes());
        }
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        let more = self.buffer.len().saturating_sub(before);
        if more <= room {
            return Ok(more);
        }
        self.is_over = true;
        if self.buffer.len() >= CHUNK {
            self.write_out()?;
        }
        Ok(0)
    }

    fn write_out(&mut self) -> Result<(), SegmentError> {
        self.spill.as_mut().ok_or(SegmentError::NoRoom)?.write_run(&self.buffer)?;
        self.runs = self.runs.saturating_add(1);
        self.buffer = Vec::new();
        Ok(())
    }

    /// Ends a state.
    pub(super) fn end_state(&mut self) -> Result<(), SegmentError> {
        if std::mem::take(&mut self.is_over) && !self.buffer.is_empty() {
            self.write_out()?;
        }
        let memory = std::mem::take(&mut self.buffer);
        self.ended.push(Ended { runs: std::mem::take(&mut self.runs), memory });
        Ok(())
    }

    /// Gives back what was written of each state.
    pub(super) fn finish(self) -> Result<Vec<Outcomes>, SegmentError> {
        let Self { spill, ended, .. } = self;
        let runs = spill.map(|mut spill| spill.take_runs()).transpose()?.unwrap_or_default();
        let mut runs = runs.into_iter();
        let states = ended.into_iter().map(|Ended { runs: count, memory }| {
            let mut of_state: Vec<Box<dyn Read + Send>> = runs.by_ref().take(count).collect();
            if !memory.is_empty() {
                of_state.push(Box::new(Cursor::new(memory)));
            }
            Outcomes { runs: of_state }
        });
        Ok(states.collect())
    }
}

/// Reads outcomes, one after the other.
pub(super) struct Reader {
    current: Option<BufReader<Box<dyn Read + Send>>>,
    /// Those that follow, the next one last.
    runs: Vec<Box<dyn Read + Send>>,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Reader {
    /// Goes to the next one; none behind the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Outcome>> {
        loop {
            if let Some(run) = &mut self.current
                && let Some(outcome) = read(run, &mut self.key, &mut self.value)?
            {
                return Ok(Some(outcome));
            }
            match self.runs.pop() {
                Some(run) => self.current = Some(BufReader::new(run)),
                None => return Ok(None),
            }
        }
    }
}

fn read(run: &mut impl Read, key: &mut Vec<u8>, value: &mut Vec<u8>) -> io::Result<Option<Outcome>> {
    let mut code = [0];
    // Nothing at all is the end; a part of an outcome is not.
    if run.read(&mut code)? == 0 {
        return Ok(None);
    }
    let outcome = Outcome::of_code(code[0]).ok_or(io::ErrorKind::InvalidData)?;
    let mut lengths = [[0; 4]; 2];
    for length in &mut lengths {
        run.read_exact(length)?;
    }
    for (length, part) in lengths.into_iter().zip([key, value]) {
        let length = u64::from(u32::from_le_bytes(length));
        part.clear();
        if run.by_ref().take(length).read_to_end(part)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(outcome))
}
