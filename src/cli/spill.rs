//! What does not fit into memory goes to temporary files that have no name: whatever happens, nothing stays behind.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::analyzers::analysis::Spill;

/// Runs one behind the other in a temporary file. It is made when the first run comes.
#[derive(Debug)]
pub(super) struct SpillFile {
    directory: PathBuf,
    file: Option<File>,
    /// Where each run ends.
    ends: Vec<u64>,
}

impl SpillFile {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf(), file: None, ends: Vec::new() }
    }
}

impl Spill for SpillFile {
    fn write_run(&mut self, run: &[u8]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.directory)?,
        };
        let begin = self.ends.last().copied().unwrap_or(0);
        // A run that was written in part is overwritten by the next.
        file.seek(SeekFrom::Start(begin))?;
        file.write_all(run)?;
        self.ends.push(begin + run.len() as u64);
        self.file = Some(file);
        Ok(())
    }

    fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
        let ends = std::mem::take(&mut self.ends);
        let Some(file) = self.file.take() else { return Ok(Vec::new()) };
        let file = Arc::new(Mutex::new(file));
        let mut begin = 0;
        let runs = ends.into_iter().map(|end| {
            let run = Run { file: Arc::clone(&file), at: std::mem::replace(&mut begin, end), end };
            Box::new(run) as Box<dyn Read + Send>
        });
        Ok(runs.collect())
    }
}

/// A run in a file that all runs share.
#[derive(Debug)]
struct Run {
    file: Arc<Mutex<File>>,
    at: u64,
    end: u64,
}

impl Read for Run {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = (&mut *file).take(self.end - self.at).read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(runs: Vec<Box<dyn Read + Send>>) -> Vec<Vec<u8>> {
        let read = |mut run: Box<dyn Read + Send>| {
            let mut bytes = Vec::new();
            run.read_to_end(&mut bytes).unwrap();
            bytes
        };
        runs.into_iter().map(read).collect()
    }

    #[test]
    fn runs_come_back_as_they_were_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let mut spill = SpillFile::new(directory.path());
        assert!(spill.take_runs().unwrap().is_empty());
        let runs: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; usize::from(n) * 1000]).collect();
        for _ in 0..2 {
            runs.iter().for_each(|run| spill.write_run(run).unwrap());
            let mut taken = spill.take_runs().unwrap();
            // In turns, as a merge reads them.
            let mut first = [vec![0; 7], vec![0; 7]];
            taken[3].read_exact(&mut first[0]).unwrap();
            taken[5].read_exact(&mut first[1]).unwrap();
            let left = all(taken);
            assert_eq!([&first[0][..], &left[3]].concat(), runs[3]);
            assert_eq!([&first[1][..], &left[5]].concat(), runs[5]);
            assert_eq!((&left[..3], &left[6..]), (&runs[..3], &runs[6..]));
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_directory_there_is_no_place() {
        let directory = tempfile::tempdir().unwrap();
        assert!(SpillFile::new(&directory.path().join("none")).write_run(b"run").is_err());
    }
}
