//! What does not fit into memory is written elsewhere, and read again.

use std::io::{self, Read};

use super::keys::KeyTotals;

/// Takes what does not fit into memory, until it is read again: files, in the program.
pub trait Spill: Send {
    /// Keeps a run of bytes.
    ///
    /// # Errors
    /// Whatever keeps it from being written.
    fn write_run(&mut self, run: &[u8]) -> io::Result<()>;

    /// Gives back all runs that were written since the last call, each to be read once from its beginning.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>>;
}

/// A key with what it holds: `u64 length | key | u64 rows | u64 entries | u64 bytes`, little-endian.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SpilledKey {
    pub(super) key: Vec<u8>,
    pub(super) totals: KeyTotals,
}

impl Ord for SpilledKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let of = |one: &Self| (one.totals.rows, one.totals.entries, one.totals.bytes);
        self.key.cmp(&other.key).then_with(|| of(self).cmp(&of(other)))
    }
}

impl PartialOrd for SpilledKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl SpilledKey {
    pub(super) fn write(&self, run: &mut Vec<u8>) {
        run.extend_from_slice(&(self.key.len() as u64).to_le_bytes());
        run.extend_from_slice(&self.key);
        for number in [self.totals.rows, self.totals.entries, self.totals.bytes] {
            run.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// The next key of a run; `None` at its end.
    pub(super) fn read(run: &mut impl Read) -> io::Result<Option<Self>> {
        let mut number = [0; 8];
        // Nothing at all is the end; a part of a length is not.
        if run.read(&mut number[..1])? == 0 {
            return Ok(None);
        }
        run.read_exact(&mut number[1..])?;
        let length = u64::from_le_bytes(number);
        let mut key = Vec::new();
        if run.take(length).read_to_end(&mut key)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut next = || run.read_exact(&mut number).map(|()| u64::from_le_bytes(number));
        Ok(Some(Self { key, totals: KeyTotals { rows: next()?, entries: next()?, bytes: next()? } }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_cut_is_no_shorter_run() {
        let mut run = Vec::new();
        SpilledKey { key: b"key".to_vec(), totals: KeyTotals { rows: 1, entries: 1, bytes: 2 } }
            .write(&mut run);
        for length in 1..run.len() {
            assert!(SpilledKey::read(&mut &run[..length]).is_err(), "{length}");
        }
        assert_eq!(SpilledKey::read(&mut &run[..]).unwrap().unwrap().key, b"key");
        assert_eq!(SpilledKey::read(&mut &run[..0]).unwrap(), None);
    }
}
