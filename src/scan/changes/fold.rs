//! What several changes of a key come to.

/// What is to become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has a value.
    Put,
    /// There is none.
    Delete,
    /// Something is appended to it.
    Append,
    /// It was made by user code of what is not known.
    Merge,
    /// No row is there whose key begins so, but for those that outcomes behind this one put there.
    DeletePrefix,
}

impl Outcome {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Put => 0,
            Self::Delete => 1,
            Self::Append => 2,
            Self::Merge => 3,
            Self::DeletePrefix => 4,
        }
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Put, Self::Delete, Self::Append, Self::Merge, Self::DeletePrefix]
            .get(usize::from(code))
            .copied()
    }
}

/// Where a change is in the order of all, and what it does: what the sorter has for a value begins so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    pub(super) outcome: Outcome,
}

impl Mark {
    pub(super) const BYTES: usize = 9;

    pub(super) fn bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [self.outcome.code(); Self::BYTES];
        if let Some(to) = bytes.first_chunk_mut::<8>() {
            *to = self.sequence.to_be_bytes();
        }
        bytes
    }

    /// The mark and the value behind it.
    pub(super) fn cut(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (sequence, rest) = bytes.split_first_chunk::<8>()?;
        let (code, value) = rest.split_first()?;
        let mark = Self { sequence: u64::from_be_bytes(*sequence), outcome: Outcome::of_code(*code)? };
        Some((mark, value))
    }
}

/// Makes one outcome of all changes of a key, which come newest first; keys come in ascending order.
#[derive(Debug, Default)]
pub(super) struct Fold {
    key: Vec<u8>,
    /// What is known of the key so far; none before its first change.
    found: Option<Outcome>,
    /// The value, or what is appended: parts as they were appended, newest first.
    parts: Vec<Vec<u8>>,
    /// Whether older changes of the key are of no matter.
    closed: bool,
    /// The map that was cleared last: the begin of its keys, and when.
    cleared: Option<(Vec<u8>, u64)>,
}

/// Takes a key, its outcome and the value.
pub(super) type OutcomeFn<'a, E> = &'a mut dyn FnMut(&[u8], Outcome, &[u8]) -> Result<(), E>;

impl Fold {
    /// Takes the next change.
    pub(super) fn push<E>(
        &mut self,
        key: &[u8],
        mark: Mark,
        value: &[u8],
        each: OutcomeFn<'_, E>,
    ) -> Result<(), E> {
        if self.found.is_none() || key != self.key {
            self.end(each)?;
            self.key.clear();
            self.key.extend_from_slice(key);
            self.closed = false;
        }
        if self.closed {
            return Ok(());
        }
        // What a map had before it was cleared is gone, in whatever was materialized too.
        let is_gone =
            |(prefix, at): &(Vec<u8>, u64)| key.starts_with(prefix) && mark.sequence < *at && *prefix != key;
        if self.cleared.as_ref().is_some_and(is_gone) {
            self.closed = true;
            return Ok(());
        }
        match mark.outcome {
            Outcome::DeletePrefix => {
                self.cleared = Some((key.to_vec(), mark.sequence));
                (self.found, self.closed) = (Some(Outcome::DeletePrefix), true);
            }
            Outcome::Append => {
                self.parts.push(value.to_vec());
                self.found = Some(Outcome::Append);
            }
            Outcome::Put => {
                self.parts.push(value.to_vec());
                (self.found, self.closed) = (Some(Outcome::Put), true);
            }
            // What was appended later is all there is.
            Outcome::Delete => {
                let found = if self.parts.is_empty() { Outcome::Delete } else { Outcome::Put };
                (self.found, self.closed) = (Some(found), true);
            }
            Outcome::Merge => {
                self.parts.clear();
                (self.found, self.closed) = (Some(Outcome::Merge), true);
            }
        }
        Ok(())
    }

    /// Ends the last key.
    pub(super) fn end<E>(&mut self, each: OutcomeFn<'_, E>) -> Result<(), E> {
        let Some(outcome) = self.found.take() else { return Ok(()) };
        let parts = std::mem::take(&mut self.parts);
        match parts.as_slice() {
            [one] => each(&self.key, outcome, one),
            several => {
                let oldest_first: Vec<&[u8]> = several.iter().rev().map(Vec::as_slice).collect();
                each(&self.key, outcome, &oldest_first.join(&DELIMITER))
            }
        }
    }
}

/// What RocksDB's merge operator puts between elements of a list in Flink.
const DELIMITER: u8 = b',';

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(changes: &[(&str, u64, Outcome, &str)]) -> Vec<(String, Outcome, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (mut fold, mut found) = (Fold::default(), Vec::new());
        let mut each = |key: &[u8], outcome, value: &[u8]| {
            found.push((text(key), outcome, text(value)));
            Ok::<_, ()>(())
        };
        for (key, sequence, outcome, value) in changes {
            let mark = Mark { sequence: *sequence, outcome: *outcome };
            assert_eq!(Mark::cut(&mark.bytes()), Some((mark, &[][..])));
            fold.push(key.as_bytes(), mark, value.as_bytes(), &mut each).unwrap();
        }
        fold.end(&mut each).unwrap();
        found
    }

    #[test]
    fn the_newest_change_of_a_key_decides() {
        use Outcome::{Append, Delete, DeletePrefix, Merge, Put};
        let of = |key: &str, outcome, value: &str| (key.to_owned(), outcome, value.to_owned());
        assert_eq!(
            folded(&[
                ("a", 9, Put, "new"),
                ("a", 8, Delete, ""),
                ("b", 7, Delete, ""),
                ("b", 6, Put, "old"),
                ("c", 5, Append, "3"),
                ("c", 4, Append, "2"),
                ("d", 5, Append, "3"),
                ("d", 4, Put, "1,2"),
                ("d", 3, Append, "0"),
                ("e", 5, Append, "3"),
                ("e", 4, Delete, ""),
                ("f", 5, Append, "3"),
                ("f", 4, Merge, ""),
                ("g", 5, Put, "3"),
                ("g", 4, Merge, ""),
                ("m", 9, DeletePrefix, ""),
                ("m", 2, DeletePrefix, ""),
                ("m1", 8, Put, "gone"),
                ("m2", 10, Put, "there"),
                ("m2", 1, Put, "gone"),
                ("m3", 11, Delete, ""),
                ("n", 1, Put, "there"),
            ]),
            [
                of("a", Put, "new"),
                of("b", Delete, ""),
                of("c", Append, "2,3"),
                of("d", Put, "1,2,3"),
                of("e", Put, "3"),
                of("f", Merge, ""),
                of("g", Put, "3"),
                of("m", DeletePrefix, ""),
                of("m2", Put, "there"),
                of("m3", Delete, ""),
                of("n", Put, "there"),
            ]
        );
    }
}
