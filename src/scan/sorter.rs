//! Rows, such as those of one state in one key group, handed out in the order of their keys.
//!
//! They are kept in memory, up to a bound; what does not fit is written out sorted, and merged in the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufReader, Read};

use statescope_formats::rocksdb::data_block::common_prefix;

use crate::analyzers::analysis::Spill;

/// A row in memory: where its key begins, and how long key and value are.
#[derive(Debug, Clone, Copy)]
struct Row {
    start: usize,
    key: usize,
    value: usize,
}

/// Sorts rows.
pub(in crate::scan) struct Sorter {
    memory: usize,
    arena: Vec<u8>,
    rows: Vec<Row>,
    /// Whether all rows in memory came in order.
    ascending: bool,
    /// How many bytes all keys in memory begin with in common.
    common: usize,
    spill: Option<Box<dyn Spill>>,
    spilled: bool,
    /// Whether rows with the same key come out in the reverse of the order in which they came.
    newest_first: bool,
}

/// What keeps rows from being sorted.
#[derive(Debug)]
pub(in crate::scan) enum SortError {
    /// They need more memory than they may have, and there is nowhere else.
    NoRoom,
    Io(io::Error),
}

impl From<io::Error> for SortError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Sorter {
    /// Keeps about so many bytes in memory.
    pub(in crate::scan) fn new(memory: usize, spill: Option<Box<dyn Spill>>) -> Self {
        Self {
            memory,
            arena: Vec::new(),
            rows: Vec::new(),
            ascending: true,
            common: 0,
            spill,
            spilled: false,
            newest_first: false,
        }
    }

    /// As [`Sorter::new`]; of rows with the same key, the one that came last is handed out first. Otherwise, they are
    /// handed out as they came.
    pub(in crate::scan) fn newest_first(memory: usize, spill: Option<Box<dyn Spill>>) -> Self {
        Self { newest_first: true, ..Self::new(memory, spill) }
    }

    fn key(&self, row: Row) -> &[u8] {
        self.arena.get(row.start..row.start + row.key).unwrap_or_default()
    }

    fn value(&self, row: Row) -> &[u8] {
        let start = row.start + row.key;
        self.arena.get(start..start + row.value).unwrap_or_default()
    }

    /// Whether there is room for another row of so many bytes.
    pub(in crate::scan) fn has_room(&self, bytes: usize) -> bool {
        // Sorting takes as much again for each row, and eight bytes.
        let used = self.arena.len() + self.rows.len() * (3 * size_of::<Row>());
        self.rows.is_empty() || used.saturating_add(bytes) <= self.memory
    }

    /// Whether all rows so far came in order, and are in memory.
    pub(in crate::scan) fn is_ascending(&self) -> bool {
        self.ascending && !self.spilled
    }

    /// Takes a row; first writes out what there is, if there is no room for it.
    pub(in crate::scan) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), SortError> {
        if !self.has_room(key.len() + value.len()) {
            self.write_out()?;
        }
        if self.ascending && self.rows.last().is_some_and(|last| self.key(*last) >= key) {
            self.ascending = false;
        }
        self.common = match self.rows.first() {
            Some(first) => self.common.min(common_prefix(self.key(*first), key)),
            None => key.len(),
        };
        self.rows.push(Row { start: self.arena.len(), key: key.len(), value: value.len() });
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        Ok(())
    }

    /// Keys are compared by eight bytes in which they differ, and only where those are alike by all: that way, most comparisons
    /// need not look at the keys.
    fn sort(&mut self) {
        if self.ascending {
            return;
        }
        let Self { rows, arena, common, .. } = self;
        if self.newest_first {
            rows.reverse();
        }
        let key = |row: &Row| arena.get(row.start..row.start + row.key).unwrap_or_default();
        let head = |row: &Row| {
            let mut head = [0; 8];
            let differing = key(row).get(*common..).unwrap_or_default();
            head.iter_mut().zip(differing).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(head)
        };
        let mut headed: Vec<(u64, Row)> = rows.iter().map(|row| (head(row), *row)).collect();
        headed.sort_by(|(a, row), (b, other)| a.cmp(b).then_with(|| key(row).cmp(key(other))));
        rows.clear();
        rows.extend(headed.into_iter().map(|(_, row)| row));
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.rows.clear();
        self.ascending = true;
    }

    fn write_out(&mut self) -> Result<(), SortError> {
        self.sort();
        let mut run = Vec::with_capacity(self.arena.len() + self.rows.len() * 8);
        for row in &self.rows {
            // Parts of rows have 31 bits of length in Flink.
            for length in [row.key, row.value] {
                run.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
            }
            run.extend_from_slice(self.key(*row));
            run.extend_from_slice(self.value(*row));
        }
        self.spill.as_mut().ok_or(SortError::NoRoom)?.write_run(&run)?;
        self.spilled = true;
        self.clear();
        Ok(())
    }

    /// Hands out all rows in the order of their keys, and is empty then.
    pub(in crate::scan) fn drain(&mut self, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), SortError> {
        if !self.spilled {
            self.sort();
            self.rows.iter().for_each(|at| row(self.key(*at), self.value(*at)));
            self.clear();
            return Ok(());
        }
        if !self.rows.is_empty() {
            self.write_out()?;
        }
        self.spilled = false;
        let runs = self.spill.as_mut().ok_or(SortError::NoRoom)?.take_runs()?;
        let mut runs: Vec<_> = runs.into_iter().map(BufReader::new).collect();
        // Of equal keys, that of the run that was written first comes first, or that of the last.
        if self.newest_first {
            runs.reverse();
        }
        let mut heads = BinaryHeap::new();
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(read(run)?.map(|(key, value)| Reverse((key, index, value))));
        }
        while let Some(Reverse((key, index, value))) = heads.pop() {
            row(&key, &value);
            if let Some(run) = runs.get_mut(index) {
                heads.extend(read(run)?.map(|(key, value)| Reverse((key, index, value))));
            }
        }
        Ok(())
    }

    /// Forgets all rows.
    pub(in crate::scan) fn discard(&mut self) {
        self.clear();
        if std::mem::take(&mut self.spilled)
            && let Some(spill) = &mut self.spill
        {
            // What is given back and dropped is gone.
            drop(spill.take_runs());
        }
    }
}

/// A row of a run: `u32 key length | u32 value length | key | value`, little-endian.
fn read(run: &mut impl Read) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut lengths = [0; 8];
    // Nothing at all is the end; a part of a length is not.
    if run.read(&mut lengths[..1])? == 0 {
        return Ok(None);
    }
    run.read_exact(&mut lengths[1..])?;
    let [a, b, c, d, e, f, g, h] = lengths;
    let mut part = |length: u32| {
        let mut bytes = Vec::new();
        let read = run.by_ref().take(length.into()).read_to_end(&mut bytes)?;
        if read as u64 == u64::from(length) { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    };
    let part: &mut dyn FnMut(u32) -> io::Result<Vec<u8>> = &mut part;
    let key = part(u32::from_le_bytes([a, b, c, d]))?;
    Ok(Some((key, part(u32::from_le_bytes([e, f, g, h]))?)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    /// Keeps runs in memory.
    #[derive(Debug, Clone, Default)]
    struct Runs(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Spill for Runs {
        fn write_run(&mut self, run: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap().push(run.to_vec());
            Ok(())
        }

        fn take_runs(&mut self) -> io::Result<Vec<Box<dyn Read + Send>>> {
            let runs = std::mem::take(&mut *self.0.lock().unwrap()).into_iter();
            Ok(runs.map(|run| Box::new(io::Cursor::new(run)) as Box<dyn Read + Send>).collect())
        }
    }

    type Rows = Vec<(Vec<u8>, Vec<u8>)>;

    fn drained(sorter: &mut Sorter) -> Rows {
        let mut rows = Vec::new();
        sorter.drain(&mut |key, value| rows.push((key.to_vec(), value.to_vec()))).unwrap();
        rows
    }

    proptest! {
        #[test]
        fn rows_come_sorted_whatever_the_memory(
            rows in prop::collection::btree_map(prop::collection::vec(0u8..4, 0..4), prop::collection::vec(0u8.., 0..9), 0..60),
            seed in 0usize..60,
            memory in 0usize..400,
        ) {
            let sorted: Rows = rows.into_iter().collect();
            let mut mixed = sorted.clone();
            mixed.rotate_left(seed.min(sorted.len()));
            let spill = Runs::default();
            let mut sorter = Sorter::new(memory, Some(Box::new(spill.clone())));
            // It is of use again, whether it was drained or discarded.
            for discard in [false, true, false] {
                mixed.iter().for_each(|(key, value)| sorter.push(key, value).unwrap());
                if discard {
                    sorter.discard();
                    prop_assert_eq!(drained(&mut sorter), Rows::new());
                } else {
                    prop_assert_eq!(drained(&mut sorter), sorted.clone());
                }
                prop_assert!(spill.0.lock().unwrap().is_empty() && sorter.is_ascending());
            }
        }
    }

    proptest! {
        #[test]
        fn of_one_key_the_newest_comes_first(
            rows in prop::collection::vec((prop::collection::vec(0u8..2, 0..3), 0u8..), 0..60),
            memory in 0usize..400,
        ) {
            let mut sorter = Sorter::newest_first(memory, Some(Box::new(Runs::default())));
            rows.iter().for_each(|(key, value)| sorter.push(key, &[*value]).unwrap());
            let mut expected: Rows = rows.into_iter().rev().map(|(key, value)| (key, vec![value])).collect();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(drained(&mut sorter), expected);
        }
    }

    #[test]
    fn without_a_place_what_does_not_fit_is_an_error() {
        let mut sorter = Sorter::new(40, None);
        assert!(sorter.push(&[1; 30], &[]).is_ok() && !sorter.has_room(1));
        assert!(matches!(sorter.push(&[2; 30], &[]), Err(SortError::NoRoom)));
    }

    #[test]
    fn a_run_that_was_cut_is_no_shorter_run() {
        let run = [&[1, 0, 0, 0, 2, 0, 0, 0][..], b"kvv"].concat();
        assert_eq!(read(&mut &run[..]).unwrap(), Some((b"k".to_vec(), b"vv".to_vec())));
        assert_eq!(read(&mut &run[..0]).unwrap(), None);
        for length in 1..run.len() {
            assert!(read(&mut &run[..length]).is_err(), "{length}");
        }
    }
}
