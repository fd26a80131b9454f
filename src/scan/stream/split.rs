//! Splits of streams: ranges of key groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::changes::OfSplit;
use super::super::partial::{ScanPartial, StreamRead};
use super::super::plan::KeyRange;
use super::super::sorter::SortError;
use super::super::tables::ReadError;
use super::super::work::{Shared, state_key};
use super::super::{Handle, State};
use super::bytes::Pieces;
use super::read::{GroupRead, GroupReader, NotRead, StateRows, Stop};
use super::{Group, Stream};
use crate::analyzers::analysis::{HandleKey, OperatorKeys, StateAccumulator, StreamTally};
use crate::lsm::LiveSink;

/// A key group whose turn it is.
enum Begun<'a> {
    Group(&'a Group),
    /// Of which the stream has nothing.
    Changes(u32),
}

impl Begun<'_> {
    fn number(&self) -> u32 {
        match self {
            Self::Group(group) => group.number,
            Self::Changes(number) => *number,
        }
    }
}

/// A split of a stream.
pub(in crate::scan) struct StreamSplit<'a> {
    pub(in crate::scan) handle: &'a Handle,
    pub(in crate::scan) stream: &'a Stream,
    pub(in crate::scan) range: KeyRange,
}

impl<'a> StreamSplit<'a> {
    /// What it asks for.
    pub(in crate::scan) fn pieces(&self, shared: &Shared<'a>, group: u64) -> Pieces<'a> {
        Pieces::new(shared.reading_of(group), self.stream, self.stream.groups_in(&self.range))
    }

    fn groups(&self) -> impl Iterator<Item = &'a Group> + Clone {
        self.stream.groups_in(&self.range)
    }

    /// Analyzes it. None if it was stopped.
    pub(in crate::scan) fn analyze(
        &self,
        shared: &Shared<'a>,
        group: u64,
        changes: Option<OfSplit>,
        partial: ScanPartial,
    ) -> Option<ScanPartial> {
        if changes.is_some() {
            return self.analyze_as(shared, group, changes, partial, true).ok();
        }
        // Rows that seem to come in order and then do not are rare, and nothing else tells: then all is read again.
        match self.analyze_as(shared, group, None, partial.clone(), false) {
            Err(Stop::NotInOrder) => self.analyze_as(shared, group, None, partial, true).ok(),
            done => done.ok(),
        }
    }

    fn analyze_as(
        &self,
        shared: &Shared<'a>,
        split: u64,
        mut changes: Option<OfSplit>,
        mut partial: ScanPartial,
        sort_all: bool,
    ) -> Result<ScanPartial, Stop> {
        let (handle, spill) = (self.handle, shared.spill);
        let counting = handle.counting_states();
        // What sorts, what counts timers and what keeps the keys of an operator are there at the same time.
        let memory = shared.memory / 3;
        let states = handle.states.iter().map(|state| {
            let mut accumulator = StateAccumulator::new(&state.plan, Arc::default());
            if !state.plan.divides_key_groups() {
                if let Some(spill) = spill {
                    accumulator = accumulator.with_spill(spill());
                }
            } else if counting > 1 {
                let memory = memory / counting;
                accumulator = accumulator.with_spilled_key_totals(memory, spill.map(|spill| spill()));
            }
            let changed = changes.as_mut().map(|changes| changes.take(&state.name));
            StateRows::new(accumulator, state.plan.divides_key_groups(), changed)
        });
        let spill_of_sorter = spill.map(|spill| spill());
        let pieces = self.pieces(shared, split);
        let mut reader =
            GroupReader::new(self.stream, pieces, states.collect(), memory, spill_of_sorter, sort_all);
        // Where that fails, so does what follows.
        let _ = reader.look(self.groups());
        let mut operator = (counting > 1).then(|| OperatorKeys::new(shared.top));
        let begun = self.begun(&reader.states);
        for begun in begun {
            let group = match begun {
                Begun::Group(group) => group,
                Begun::Changes(number) => {
                    self.end_group(number, &mut reader, &mut operator);
                    continue;
                }
            };
            let mut found = GroupRead::default();
            match reader.read(group, &mut found) {
                Ok(()) => {}
                Err(stop @ (Stop::NotInOrder | Stop::Asked)) => return Err(stop),
                Err(Stop::Read(error)) => self.damaged(group, &error, &mut partial),
                Err(Stop::Sort(error)) => self.not_sorted(group, &error, &mut partial),
            }
            self.count(group, found, &mut reader, &mut partial);
            self.end_group(group.number, &mut reader, &mut operator);
            partial.bytes = partial.bytes.saturating_add(group.bytes());
        }
        for (state, mut rows) in handle.states.iter().zip(reader.finish()) {
            if let Some(failure) = rows.failure() {
                partial.not_changed(handle, failure);
            }
            partial.analysis.add_stream(state_key(handle, state), &rows.tally);
            partial.analysis.add_state(state_key(handle, state), rows.sink.finish());
        }
        if let Some(operator) = operator {
            let key = HandleKey { operator: handle.operator_number, handle: handle.number };
            partial.analysis.add_operator(key, operator.finish());
        }
        partial.add_changes(changes);
        Ok(partial)
    }

    /// The key groups that are read, and between them those that only changes may have.
    fn begun<S>(&self, states: &[StateRows<S>]) -> Vec<Begun<'a>> {
        let mut begun: Vec<Begun<'a>> = self.groups().map(Begun::Group).collect();
        if states.iter().any(StateRows::is_changed) {
            let prefix = self.handle.prefix;
            let (first, last) = self.handle.key_groups;
            let here = (first..=last).filter(|number| {
                !self.range.and(&KeyRange::of_key_groups(prefix, *number, *number)).is_empty()
            });
            let read: BTreeSet<u32> = self.groups().map(|group| group.number).collect();
            begun.extend(here.filter(|number| !read.contains(number)).map(Begun::Changes));
            begun.sort_by_key(Begun::number);
        }
        begun
    }

    fn end_group(
        &self,
        number: u32,
        reader: &mut GroupReader<'_, StateAccumulator<'_>>,
        operator: &mut Option<OperatorKeys>,
    ) {
        let end = KeyRange::of_key_groups(self.handle.prefix, number, number).high;
        reader.states.iter_mut().for_each(|state| {
            state.catch_up(end.as_deref());
            state.sink.end_key_group();
        });
        if let Some(operator) = operator {
            let mut states: Vec<_> = reader.states.iter_mut().map(|state| &mut state.sink).collect();
            operator.end_batch(&mut states);
        }
    }

    /// Counts what of a key group could not be read.
    fn count(
        &self,
        group: &Group,
        found: GroupRead,
        reader: &mut GroupReader<'_, StateAccumulator<'_>>,
        partial: &mut ScanPartial,
    ) {
        let prefix = KeyRange::of_key_groups(self.handle.prefix, group.number, group.number).low;
        for state in &found.missing {
            if let Some(state) = reader.states.get_mut(*state) {
                state.tally.merge(&StreamTally { damaged_key_groups: 1, ..StreamTally::default() });
            }
        }
        let behind = !found.missing.is_empty();
        for NotRead { state, entries, bytes, reason } in found.not_read {
            if let Some(state) = state.and_then(|at| reader.states.get_mut(at)) {
                state.sink.not_read(&prefix, &reason, entries, bytes);
            }
            if behind {
                let read =
                    partial.streams.entry((self.handle.number, group.number)).or_insert_with(|| StreamRead {
                        message: reason,
                        at: group.extent.as_ref().map_or(0, |extent| extent.start),
                        bytes,
                        damaged: false,
                    });
                read.bytes = read.bytes.max(bytes);
            }
        }
    }

    fn damaged(&self, group: &Group, error: &ReadError, partial: &mut ScanPartial) {
        let begin = group.extent.as_ref().map_or(0, |extent| extent.start);
        let (message, at) = match error {
            ReadError::Storage(error) => (error.to_string(), begin),
            ReadError::Format(error) if self.stream.compressed => (error.to_string(), begin),
            ReadError::Format(error) => (error.to_string(), error.offset()),
        };
        let read = StreamRead { message, at, bytes: group.bytes(), damaged: true };
        partial.streams.insert((self.handle.number, group.number), read);
    }

    fn not_sorted(&self, group: &Group, error: &SortError, partial: &mut ScanPartial) {
        let message = match error {
            SortError::NoRoom => "its rows do not fit into memory, and there is nowhere else".to_owned(),
            SortError::Io(error) => format!("a temporary file could not be used: {error}"),
        };
        let at = group.extent.as_ref().map_or(0, |extent| extent.start);
        let read = StreamRead { message, at, bytes: group.bytes(), damaged: true };
        partial.streams.insert((self.handle.number, group.number), read);
    }

    /// Hands the rows of each state to a sink of its own, in the order of their keys. Returns what could not be read.
    pub(in crate::scan) fn rows<S: LiveSink>(
        &self,
        shared: &Shared<'a>,
        split: u64,
        mut changes: Option<OfSplit>,
        sink: &dyn Fn(&'a Handle, &'a State) -> S,
        done: &dyn Fn(S),
    ) -> Vec<String> {
        let states = self.handle.states.iter().map(|state| {
            let changed = changes.as_mut().map(|changes| changes.take(&state.name));
            StateRows::new(sink(self.handle, state), true, changed)
        });
        let spill = shared.spill.map(|spill| spill());
        let pieces = self.pieces(shared, split);
        let mut reader = GroupReader::new(self.stream, pieces, states.collect(), shared.memory, spill, true);
        // Where that fails, so does what follows.
        let _ = reader.look(self.groups());
        let mut partial = ScanPartial::default();
        let mut lost = Vec::new();
        for group in self.groups() {
            let mut found = GroupRead::default();
            match reader.read(group, &mut found) {
                Ok(()) => {}
                Err(Stop::Read(error)) => self.damaged(group, &error, &mut partial),
                Err(Stop::Sort(error)) => self.not_sorted(group, &error, &mut partial),
                Err(Stop::NotInOrder | Stop::Asked) => break,
            }
            lost.extend(found.not_read.into_iter().filter(|not| not.state.is_some()).map(|not| {
                format!("{} entries of key group {} are not read: {}", not.entries, group.number, not.reason)
            }));
        }
        lost.extend(
            partial
                .streams
                .into_values()
                .map(|read| format!("{} is damaged: {}", self.stream.name, read.message)),
        );
        for mut state in reader.finish() {
            state.catch_up(self.range.high.as_deref());
            lost.extend(state.failure());
            done(state.sink);
        }
        lost
    }
}
