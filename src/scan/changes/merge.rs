//! Live rows of what was materialized, and what changes come to, in one order.

use statescope_formats::rocksdb::data_block::common_prefix;

use super::super::rows::NO_TABLE;
use super::fold::Outcome;
use super::segment::{Outcomes, Reader};
use crate::lsm::LiveSink;

/// What changes come to in a state of a split, while its rows pass by.
pub(in crate::scan) struct Changed {
    reader: Reader,
    /// What stands next.
    next: Option<Outcome>,
    /// What could not be read of it.
    failed: Option<String>,
    /// The begin of the keys of the map that was cleared last.
    cleared: Option<Vec<u8>>,
    /// The key that the sink got last.
    last: Vec<u8>,
    /// What is happening to the row that came last.
    row: Row,
}

/// What becomes of a row of merge operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Kept,
    Replaced,
}

impl Changed {
    pub(super) fn new(outcomes: Outcomes) -> Self {
        let mut changed = Self {
            reader: outcomes.into_reader(),
            next: None,
            failed: None,
            cleared: None,
            last: Vec::new(),
            row: Row::Kept,
        };
        changed.advance();
        changed
    }

    /// Why it could not be read to its end.
    pub(in crate::scan) fn failure(self) -> Option<String> {
        self.failed
    }

    fn advance(&mut self) {
        self.next = self.reader.next().unwrap_or_else(|error| {
            self.failed = Some(format!("a temporary file could not be used: {error}"));
            None
        });
    }

    /// How many bytes a key shares with the one before it.
    fn follow(&mut self, key: &[u8]) -> usize {
        let shared = common_prefix(&self.last, key);
        self.last.truncate(shared);
        self.last.extend_from_slice(key.get(shared..).unwrap_or_default());
        shared
    }

    /// Hands out what stands next, of which nothing was materialized.
    fn hand_out(&mut self, outcome: Outcome, sink: &mut impl LiveSink) {
        let key = std::mem::take(&mut self.reader.key);
        match outcome {
            Outcome::Put | Outcome::Append => {
                let shared = self.follow(&key);
                sink.put(&key, shared, &self.reader.value, NO_TABLE);
            }
            Outcome::Merge => {
                let shared = self.follow(&key);
                sink.not_understood(&key, shared, NO_TABLE);
            }
            Outcome::DeletePrefix => self.cleared = Some(key.clone()),
            Outcome::Delete => {}
        }
        self.reader.key = key;
        self.advance();
    }

    /// Hands out what comes before a key, or all.
    pub(in crate::scan) fn run(&mut self, stop: Option<&[u8]>, sink: &mut impl LiveSink) {
        while let Some(outcome) =
            self.next.filter(|_| stop.is_none_or(|stop| self.reader.key.as_slice() < stop))
        {
            self.hand_out(outcome, sink);
        }
    }

    /// Hands out what comes before a row, and says what becomes of that: `None` if it is as it was.
    fn meet(&mut self, key: &[u8], sink: &mut impl LiveSink) -> Option<Outcome> {
        self.run(Some(key), sink);
        // A map's own key is no row: what was cleared comes before all of its rows.
        while let Some(Outcome::DeletePrefix) = self.next.filter(|_| self.reader.key == key) {
            self.hand_out(Outcome::DeletePrefix, sink);
        }
        match self.next.filter(|_| self.reader.key == key) {
            Some(outcome) => Some(outcome),
            None if self.cleared.as_ref().is_some_and(|prefix| key.starts_with(prefix)) => {
                Some(Outcome::Delete)
            }
            None => None,
        }
    }
}

/// A sink for live rows that does to them what changes did, and hands them on.
pub(in crate::scan) struct Overlaid<'c, S> {
    changed: &'c mut Changed,
    sink: &'c mut S,
}

impl<'c, S: LiveSink> Overlaid<'c, S> {
    pub(in crate::scan) fn new(changed: &'c mut Changed, sink: &'c mut S) -> Self {
        Self { changed, sink }
    }

    /// Does what is to be done to a row of which a change is known. False if what was materialized is part of it, and is
    /// to follow: a row of merge operands has begun.
    fn replace(&mut self, key: &[u8], outcome: Outcome) -> bool {
        let is_next = self.changed.next.is_some() && self.changed.reader.key == key;
        match outcome {
            Outcome::Append => {
                let shared = self.changed.follow(key);
                self.sink.begin(key, shared);
                self.sink.part(&self.changed.reader.value, false, NO_TABLE);
                self.changed.advance();
                false
            }
            _ if is_next => {
                self.changed.hand_out(outcome, self.sink);
                true
            }
            _ => true,
        }
    }
}

impl<S: LiveSink> LiveSink for Overlaid<'_, S> {
    fn put(&mut self, key: &[u8], _: usize, value: &[u8], table: u32) -> u64 {
        let outcome = self.changed.meet(key, self.sink);
        let is_replaced = outcome.is_some_and(|outcome| self.replace(key, outcome));
        self.changed.row = if is_replaced { Row::Replaced } else { Row::Kept };
        match outcome {
            _ if is_replaced => 0,
            None => {
                let shared = self.changed.follow(key);
                self.sink.put(key, shared, value, table)
            }
            Some(_) => {
                let expired = self.sink.part(value, true, table);
                self.sink.end();
                expired
            }
        }
    }

    fn begin(&mut self, key: &[u8], _: usize) {
        let outcome = self.changed.meet(key, self.sink);
        let is_replaced = outcome.is_some_and(|outcome| self.replace(key, outcome));
        self.changed.row = if is_replaced { Row::Replaced } else { Row::Kept };
        if outcome.is_none() {
            let shared = self.changed.follow(key);
            self.sink.begin(key, shared);
        }
    }

    fn part(&mut self, value: &[u8], base: bool, table: u32) -> u64 {
        match self.changed.row {
            Row::Kept => self.sink.part(value, base, table),
            Row::Replaced => 0,
        }
    }

    fn end(&mut self) {
        if self.changed.row == Row::Kept {
            self.sink.end();
        }
    }

    fn not_understood(&mut self, key: &[u8], _: usize, table: u32) {
        match self.changed.meet(key, self.sink) {
            // Nobody knows what it is appended to.
            None | Some(Outcome::Append) => {
                if self.changed.next.is_some() && self.changed.reader.key == key {
                    self.changed.advance();
                }
                let shared = self.changed.follow(key);
                self.sink.not_understood(key, shared, table);
                self.changed.row = Row::Kept;
            }
            Some(outcome) => {
                self.replace(key, outcome);
                self.changed.row = Row::Replaced;
            }
        }
    }

    fn is_replaced(&self) -> bool {
        self.changed.row == Row::Replaced
    }
}
