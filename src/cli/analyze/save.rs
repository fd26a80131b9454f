//! The file of `--save`: read before a run, and written while it goes on.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::analyzers::analysis::{Analysis, ReferenceTime};
use crate::cli::Failure;
use crate::scan::ScanPartial;
use crate::scan::saved::{self, Head, Saved};

/// On-disk bytes that are read between two times that the file is written.
const EVERY_BYTES: u64 = 256 << 20;

/// A file that keeps a result.
#[derive(Debug)]
pub(super) struct SaveFile<'s> {
    path: &'s Path,
    /// What it holds from an earlier run.
    saved: Option<Saved>,
    complete: bool,
}

impl<'s> SaveFile<'s> {
    /// Reads what is there. What is no saved result is refused, and stays as it is.
    pub(super) fn open(path: &'s Path) -> Result<Self, Failure> {
        let refused = |why: String| {
            Failure::usage(format!(
                "--save: {} {why}; it is left as it is: name another file",
                path.display()
            ))
        };
        let saved = match fs::read(path) {
            Ok(bytes) => Some(saved::read(&bytes).map_err(|error| refused(error.to_string()))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(refused(format!("cannot be read: {error}"))),
        };
        Ok(Self { path, complete: saved.as_ref().is_some_and(|saved| saved.complete), saved })
    }

    pub(super) fn name(&self) -> std::path::Display<'s> {
        self.path.display()
    }

    /// The reference time of the earlier run.
    pub(super) fn reference_time(&self) -> Option<ReferenceTime> {
        let question = &self.saved.as_ref()?.head.question;
        Some(ReferenceTime { at_ms: question.at_ms, witness: question.witness })
    }

    /// What was read by an earlier run with the same head. If there was none, makes the file: what cannot be written is
    /// said now, and not after hours.
    pub(super) fn begin(mut self, head: &Head) -> Result<(Self, ScanPartial), Failure> {
        match self.saved.take() {
            Some(saved) => match head.differs(&saved.head) {
                Some(why) => Err(Failure::usage(format!(
                    "--save: {} {why}; it is left as it is: name another file",
                    self.name()
                ))),
                None => Ok((self, saved.partial)),
            },
            None => {
                let partial = ScanPartial::default();
                self.part(head, &partial)?;
                Ok((self, partial))
            }
        }
    }

    /// Says that there is nothing left to read.
    pub(super) fn says_all_is_read(&self) {
        eprintln!(
            "statescope: {} holds all of it: no table is read again (without the file, it is)",
            self.name()
        );
    }

    /// Keeps what was read so far.
    pub(super) fn part(&self, head: &Head, partial: &ScanPartial) -> Result<(), Failure> {
        self.write(head, partial, None)
    }

    /// Keeps everything.
    pub(super) fn complete(
        &self,
        head: &Head,
        partial: &ScanPartial,
        result: &Analysis,
    ) -> Result<(), Failure> {
        self.write(head, partial, Some(result))
    }

    /// What is complete already stays as it is.
    fn write(&self, head: &Head, partial: &ScanPartial, result: Option<&Analysis>) -> Result<(), Failure> {
        if self.complete {
            return Ok(());
        }
        self.try_write(head, partial, result)
            .map_err(|error| Failure::failed(format!("--save: {} cannot be written: {error}", self.name())))
    }

    /// Whoever looks sees the file as it was, or as it is: never a part of it.
    fn try_write(&self, head: &Head, partial: &ScanPartial, result: Option<&Analysis>) -> io::Result<()> {
        let mut name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(".part");
        let beside: PathBuf = self.path.with_file_name(name);
        let mut file = BufWriter::new(File::create(&beside)?);
        saved::write(&mut file, head, partial, result)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&beside, self.path)
    }

    /// Keeps what is read while it is read.
    pub(super) fn keep<'k>(&'k self, head: &'k Head) -> Keep<'k> {
        Keep { save: self, head, state: Mutex::default() }
    }
}

/// Writes the file now and then.
#[derive(Debug)]
pub(super) struct Keep<'k> {
    save: &'k SaveFile<'k>,
    head: &'k Head,
    state: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// How much had been read when it was written last.
    bytes: Option<u64>,
    failure: Option<Failure>,
}

impl Keep<'_> {
    /// Writes the file if much was read since. False if it cannot be written.
    pub(super) fn after_split(&self, partial: &ScanPartial) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = partial.bytes.saturating_sub(*state.bytes.get_or_insert(partial.bytes));
        if since >= EVERY_BYTES && state.failure.is_none() {
            state.bytes = Some(partial.bytes);
            state.failure = self.save.part(self.head, partial).err();
        }
        state.failure.is_none()
    }

    /// Why it could not be written.
    pub(super) fn failure(self) -> Option<Failure> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failure
    }
}
