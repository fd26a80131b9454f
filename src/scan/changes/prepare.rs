//! Reads the changes of a changelog, and brings what they come to into the order of keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use statescope_formats::Error as FormatError;
use statescope_formats::flink::changelog::{
    Applied, Change, ChangeLayout, DataChange, LoggedState, RowChange, RowChanges,
};
use statescope_formats::flink::key::KeyGroupPrefix;
use statescope_formats::flink::state_meta::KeyedBackendMeta;

use super::fold::{Fold, Mark, Outcome};
use super::segment::{SegmentError, Writer};
use super::{Overlay, Prepared};
use crate::model::{ChangesPart, FileId};
use crate::readers::changelog::{ChangesReading, FoundChange, SetNotRead, Visit, each_change};
use crate::readers::details::is_unknown;
use crate::readers::source::ReadError;
use crate::scan::feed::Reading;
use crate::scan::partial::{ChangesRead, ChangesStopped};
use crate::scan::plan::KeyRange;
use crate::scan::sorter::{SortError, Sorter};
use crate::scan::work::Shared;

/// Bytes of the number of a state in front of composite keys.
const STATE: usize = 4;

/// Takes rows: the number of the state, the composite key, the place in the order of all with what is to be done, and
/// the value.
type RowFn<'a> = &'a mut dyn FnMut(u32, &[u8], Mark, &[u8]) -> Result<(), SortError>;

/// A state as changes name it.
struct Bound {
    name: String,
    /// Its number among those that are scanned.
    number: Option<u32>,
    layout: Option<ChangeLayout>,
}

/// Makes rows of changes.
struct Applier<'o> {
    overlay: &'o Overlay,
    prefix: KeyGroupPrefix,
    bound: HashMap<u16, Bound>,
    rows: RowChanges,
    sequence: u64,
    read: ChangesRead,
}

/// Why applying changes ends early.
enum Halt {
    Format(FormatError),
    Sort(SortError),
    /// It was asked for.
    Stopped,
}

impl From<FormatError> for Halt {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<SortError> for Halt {
    fn from(error: SortError) -> Self {
        Self::Sort(error)
    }
}

impl<'o> Applier<'o> {
    fn new(overlay: &'o Overlay) -> Self {
        Self {
            overlay,
            prefix: KeyGroupPrefix::of_max_parallelism(overlay.max_parallelism),
            bound: HashMap::new(),
            rows: RowChanges::default(),
            sequence: 0,
            read: ChangesRead::default(),
        }
    }

    /// Reads all sets in their order. What cannot be read ends it: what comes behind would be applied to something else.
    /// False if it was stopped.
    fn all(&mut self, reading: Reading<'_>, row: RowFn<'_>) -> Result<bool, SortError> {
        let overlay = self.overlay;
        let sets = &overlay.details.sets;
        let changes =
            ChangesReading { storage: &reading.storage, checksums: reading.checksums, piece: reading.chunk };
        let mut at = 0;
        while let Some(part) = sets.get(at) {
            let (done, file, halt) = match part {
                ChangesPart::Inline(inline) => {
                    let applied = inline.iter().try_for_each(|(key_group, bytes, at)| {
                        let change = FoundChange { set: 0, key_group: *key_group, bytes, at: *at };
                        self.change(change, row)
                    });
                    (1, None, applied.err())
                }
                ChangesPart::Set { file, .. } => {
                    let ranges = together(sets.get(at..).unwrap_or_default(), *file);
                    let known = overlay.details.files.get(file).zip(overlay.sources.get(file));
                    let Some((found, source)) = known else {
                        let message = "the file could not be found or opened".to_owned();
                        self.stop(Some(*file), message, None, sets.len().saturating_sub(at));
                        return Ok(true);
                    };
                    let (mut halt, mut done) = (None, ranges.len());
                    let read = each_change(changes, source, found, &ranges, &mut |change| {
                        if reading.progress.is_stopped() {
                            halt = Some(Halt::Stopped);
                        } else if let Err(error) = self.change(change, row) {
                            (halt, done) = (Some(error), change.set);
                        }
                        if halt.is_some() { Visit::Stop } else { Visit::Next }
                    });
                    if let Err(SetNotRead { set, error }) = read {
                        let left = sets.len().saturating_sub(at.saturating_add(set));
                        let format = match &error {
                            ReadError::Format(error) => Some(error),
                            ReadError::Storage(_) => None,
                        };
                        self.stop(Some(*file), error.to_string(), format, left);
                        return Ok(true);
                    }
                    (done, Some(*file), halt)
                }
            };
            at = at.saturating_add(done);
            match halt {
                None => {}
                Some(Halt::Stopped) => return Ok(false),
                Some(Halt::Sort(error)) => return Err(error),
                Some(Halt::Format(error)) => {
                    let left = sets.len().saturating_sub(at).max(1);
                    self.stop(file, error.to_string(), Some(&error), left);
                    return Ok(true);
                }
            }
        }
        self.read.sets = sets.len() as u64;
        Ok(true)
    }

    fn stop(&mut self, file: Option<FileId>, message: String, error: Option<&FormatError>, left: usize) {
        let sets = self.overlay.details.sets.len();
        self.read.sets = sets.saturating_sub(left) as u64;
        let name = file.and_then(|file| self.overlay.names.get(&file).cloned());
        let file_name = name.unwrap_or_else(|| "_metadata".to_owned());
        self.read.stopped = Some(ChangesStopped {
            message,
            file: file_name,
            at: error.map(FormatError::offset),
            sets: left as u64,
            unknown: error.is_none_or(is_unknown),
        });
    }

    fn change(&mut self, found: FoundChange<'_>, row: RowFn<'_>) -> Result<(), Halt> {
        self.read.changes = self.read.changes.saturating_add(1);
        self.read.bytes = self.read.bytes.saturating_add(found.bytes.len() as u64);
        let change = match Change::parse(found.bytes, found.at)? {
            Change::Metadata(state) => {
                self.bind(*state);
                return Ok(());
            }
            Change::Data(change) => change,
        };
        let Some(key_group) = found.key_group else {
            let rule = "a change without a key group is one of meta data";
            return Err(FormatError::invalid(rule, change.operation.name(), found.at).into());
        };
        let Some(bound) = self.bound.get(&change.state) else {
            let rule = "a change names a state that was described before";
            return Err(FormatError::invalid(rule, change.state.to_string(), found.at).into());
        };
        let groups = &self.overlay.key_groups;
        let is_ours = groups.iter().any(|(first, last)| (*first..=*last).contains(&key_group));
        let Some(number) = bound.number.filter(|_| is_ours) else { return Ok(()) };
        let tally = self.read.states.entry(bound.name.clone()).or_default();
        match applied(self.overlay.details.key.is_some(), bound, &change, key_group, &mut self.rows) {
            Ok(()) => tally.applied(change.operation.name(), found.bytes.len() as u64),
            Err(reason) => {
                tally.not_applied(reason, found.bytes.len() as u64);
                return Ok(());
            }
        }
        for (change, key, value) in self.rows.iter() {
            let outcome = match change {
                RowChange::Put => Outcome::Put,
                RowChange::Delete => Outcome::Delete,
                RowChange::Append => Outcome::Append,
                RowChange::Merge => Outcome::Merge,
                RowChange::DeletePrefix => Outcome::DeletePrefix,
            };
            self.sequence = self.sequence.saturating_add(1);
            row(number, key, Mark { sequence: self.sequence, outcome }, value)?;
        }
        Ok(())
    }

    fn bind(&mut self, state: LoggedState) {
        let LoggedState { id, name, meta } = state;
        let number = self.overlay.states.binary_search(&name).ok().and_then(|at| u32::try_from(at).ok());
        // What cannot be read of a state here may be known from what was materialized.
        let meta = meta.ok().or_else(|| self.overlay.described.get(&name).cloned());
        let none = KeyedBackendMeta::of_changes(self.overlay.details.key.clone(), Vec::new());
        let layout = meta.filter(|_| number.is_some());
        let layout = layout.and_then(|meta| ChangeLayout::new(self.prefix, &none.key_serializer, &meta));
        self.bound.insert(id, Bound { name, number, layout });
    }
}

/// Why a change is not applied that contradicts its state.
pub(in crate::scan) const CONTRADICTS: &str = "they are not what the serializers of the state write";

/// The rows of a change, or why there are none.
fn applied(
    has_key: bool,
    bound: &Bound,
    change: &DataChange<'_>,
    key_group: u32,
    rows: &mut RowChanges,
) -> Result<(), String> {
    let Some(layout) = &bound.layout else {
        return Err("the description of the state could not be decoded".to_owned());
    };
    match layout.rows(change, key_group, rows) {
        Ok(Applied::Rows) => Ok(()),
        Ok(Applied::NotWalked { .. }) if !has_key => {
            Err("nothing was materialized, and without that nothing says what keys are".to_owned())
        }
        Ok(Applied::NotWalked { part, stop }) => {
            let stop = layout.walker(part).and_then(|walker| walker.stops().get(stop));
            let why = stop.map_or_else(|| "of a length that is not known".to_owned(), ToString::to_string);
            Err(format!("the {} is {why}", part.name()))
        }
        Err(_) => Err(CONTRADICTS.to_owned()),
    }
}

/// The sets of one file that follow one another in ascending order.
fn together(parts: &[ChangesPart], of: FileId) -> Vec<std::ops::Range<u64>> {
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for part in parts {
        match part {
            ChangesPart::Set { file, range }
                if *file == of && ranges.last().is_none_or(|last| last.start < range.start) =>
            {
                ranges.push(range.clone());
            }
            _ => break,
        }
    }
    ranges
}

/// Where the rows of a state go: splits that have a part of it, in ascending order.
struct Places {
    /// The begin of each, its end, and its index among the targets.
    ranges: Vec<(KeyRange, usize)>,
}

impl Places {
    fn new(overlay: &Overlay, state: u32) -> Self {
        let whole =
            overlay.states.get(state as usize).is_some_and(|name| overlay.whole_groups.contains(name));
        let range = |range: &KeyRange| {
            if whole { range.of_whole_groups(overlay.prefix) } else { range.clone() }
        };
        let ranges = overlay.targets.iter().enumerate().map(|(at, target)| (range(&target.range), at));
        Self { ranges: ranges.filter(|(range, _)| !range.is_empty()).collect() }
    }

    /// The splits that are to know of a key, or of all keys that begin so.
    fn of(&self, key: &[u8], prefix: bool) -> impl Iterator<Item = usize> + '_ {
        let behind = self.ranges.partition_point(|(range, _)| range.low.as_slice() <= key);
        let first = behind.checked_sub(1).and_then(|at| self.ranges.get(at));
        let first = first.filter(|(range, _)| range.high.as_ref().is_none_or(|high| key < high.as_slice()));
        let begun = key.to_vec();
        let more = self.ranges.get(behind..).unwrap_or_default().iter();
        let more = more.take_while(move |(range, _)| prefix && range.low.starts_with(&begun));
        first.into_iter().chain(more).map(|(_, at)| *at)
    }
}

/// Distributes outcomes, which come in the order of states and keys, over splits.
struct Distributor<'o> {
    overlay: &'o Overlay,
    writers: Vec<Writer>,
    state: u32,
    places: Places,
    room: usize,
    merged: BTreeMap<u32, u64>,
}

impl Distributor<'_> {
    fn take(&mut self, key: &[u8], outcome: Outcome, value: &[u8]) -> Result<(), SegmentError> {
        let (state, key) = key
            .split_first_chunk::<STATE>()
            .map_or((0, key), |(state, key)| (u32::from_be_bytes(*state), key));
        self.go_to(state)?;
        if outcome == Outcome::Merge {
            let merged = self.merged.entry(state).or_default();
            *merged = merged.saturating_add(1);
        }
        for at in self.places.of(key, outcome == Outcome::DeletePrefix) {
            let Some(writer) = self.writers.get_mut(at) else { continue };
            let used = writer.push(key, outcome, value, self.room)?;
            self.room = self.room.saturating_sub(used);
        }
        Ok(())
    }

    /// Ends all states before one.
    fn go_to(&mut self, state: u32) -> Result<(), SegmentError> {
        while self.state < state {
            self.writers.iter_mut().try_for_each(Writer::end_state)?;
            self.state = self.state.saturating_add(1);
            self.places = Places::new(self.overlay, self.state);
        }
        Ok(())
    }
}

impl Overlay {
    /// Reads all changes. `None` if it was stopped.
    pub(super) fn prepare(&self, shared: &Shared<'_>) -> Option<Prepared> {
        let mut applier = Applier::new(self);
        let spill = || shared.spill.map(|spill| spill());
        let mut sorter = Sorter::newest_first(shared.memory / 2, spill());
        let mut bytes = Vec::new();
        let applied = applier.all(shared.reading, &mut |state, key, mark, value| {
            bytes.clear();
            bytes.extend_from_slice(&state.to_be_bytes());
            bytes.extend_from_slice(key);
            let begin = bytes.len();
            bytes.extend_from_slice(&mark.bytes());
            bytes.extend_from_slice(value);
            let (key, value) = bytes.split_at_checked(begin).unwrap_or_default();
            sorter.push(key, value)
        });
        let mut read = applier.read;
        let sorted = match applied {
            Ok(false) => return None,
            Ok(true) => self.distribute(&mut sorter, shared, &mut read),
            Err(error) => Err(error.into()),
        };
        shared.reading.progress.add(self.bytes());
        let splits = sorted.unwrap_or_else(|error| {
            read.failed(self.details.sets.len() as u64, error.to_string());
            HashMap::new()
        });
        Some(Prepared { splits: Mutex::new(splits), read })
    }

    fn distribute(
        &self,
        sorter: &mut Sorter,
        shared: &Shared<'_>,
        read: &mut ChangesRead,
    ) -> Result<HashMap<u32, Vec<super::Outcomes>>, SegmentError> {
        let writer = |_| Writer::new(shared.spill.map(|spill| spill()));
        let mut to = Distributor {
            overlay: self,
            writers: self.targets.iter().map(writer).collect(),
            state: 0,
            places: Places::new(self, 0),
            room: shared.memory / 2,
            merged: BTreeMap::new(),
        };
        let mut fold = Fold::default();
        let mut failed = None;
        sorter.drain(&mut |key, value| {
            if failed.is_some() {
                return;
            }
            let Some((mark, value)) = Mark::cut(value) else { return };
            let mut each = |key: &[u8], outcome, value: &[u8]| to.take(key, outcome, value);
            failed = fold.push(key, mark, value, &mut each).err();
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        fold.end(&mut |key: &[u8], outcome, value: &[u8]| to.take(key, outcome, value))?;
        to.go_to(u32::try_from(self.states.len()).unwrap_or(u32::MAX))?;
        for (state, rows) in &to.merged {
            if let Some(name) = self.states.get(*state as usize) {
                read.states.entry(name.clone()).or_default().merged_rows = *rows;
            }
        }
        let numbers = self.targets.iter().map(|target| target.split);
        let finished = to.writers.into_iter().map(Writer::finish).collect::<Result<Vec<_>, _>>()?;
        Ok(numbers.zip(finished).collect())
    }
}

/// Decodes all changes of a changelog, to verify them.
pub(in crate::scan) fn check(reading: Reading<'_>, overlay: &Overlay) -> ChangesRead {
    let mut applier = Applier::new(overlay);
    // Nothing is sorted, so that nothing of that can fail; whoever asked for the end knows that all is not read.
    let _ = applier.all(reading, &mut |_, _, _, _| Ok(()));
    applier.read
}
