//! Reads key groups: hands their rows to the sinks of their states, and counts the bytes of each.

use std::collections::BTreeSet;

use statescope_formats::Error as FormatError;
use statescope_formats::flink::full_snapshot::{KeyGroupRows, Next, Step, Stopped};
use statescope_formats::flink::walk::StopReason;
use statescope_formats::rocksdb::data_block::common_prefix;

use super::super::changes::{Changed, Overlaid};
use super::super::feed::share;
use super::super::rows::NO_TABLE;
use super::super::sorter::{SortError, Sorter};
use super::super::tables::ReadError;
use super::bytes::{GroupBytes, Pieces};
use super::{Decoder, Group, Kind, Stream};
use crate::analyzers::analysis::{Spill, StreamTally};
use crate::lsm::LiveSink;

/// The most of a key group that is held in memory to find out where the next state begins.
const SEARCHED_BYTES: usize = 16 << 20;

/// How many bytes of a key group tell how it is laid out.
const HEAD: u64 = 6;

/// Why reading ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes are not what they should be, or not there.
    Read(ReadError),
    /// Rows could not be sorted.
    Sort(SortError),
    /// Rows that seemed to come in order do not: all must be sorted.
    NotInOrder,
    /// It was asked for.
    Asked,
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<FormatError> for Stop {
    fn from(error: FormatError) -> Self {
        Self::Read(error.into())
    }
}

impl From<SortError> for Stop {
    fn from(error: SortError) -> Self {
        Self::Sort(error)
    }
}

/// A state while its rows pass by.
pub(super) struct StateRows<S> {
    pub(super) sink: S,
    changed: Option<Changed>,
    /// Whether its rows are to come in the order of their keys.
    in_order: bool,
    last: Vec<u8>,
    /// Raw bytes of the rows of the current key group, and how many of these are expired.
    raw: u64,
    expired: u64,
    pub(super) tally: StreamTally,
}

impl<S: LiveSink> StateRows<S> {
    pub(super) fn new(sink: S, in_order: bool, changed: Option<Changed>) -> Self {
        let in_order = in_order || changed.is_some();
        Self { sink, changed, in_order, last: Vec::new(), raw: 0, expired: 0, tally: StreamTally::default() }
    }

    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) {
        let shared = common_prefix(&self.last, key);
        self.raw = self.raw.saturating_add((key.len() + value.len()) as u64);
        let expired = match &mut self.changed {
            None => self.sink.put(key, shared, value, NO_TABLE),
            Some(changed) => Overlaid::new(changed, &mut self.sink).put(key, shared, value, NO_TABLE),
        };
        self.expired = self.expired.saturating_add(expired);
        self.last.truncate(shared);
        self.last.extend_from_slice(key.get(shared..).unwrap_or_default());
    }
}

impl<S> StateRows<S> {
    /// Whether changes are applied to its rows.
    pub(super) fn is_changed(&self) -> bool {
        self.changed.is_some()
    }

    /// Why what changed could not be read.
    pub(super) fn failure(&mut self) -> Option<String> {
        self.changed.take().and_then(Changed::failure)
    }
}

impl<S: LiveSink> StateRows<S> {
    /// Hands out what changes added before a key, or all of it.
    pub(super) fn catch_up(&mut self, stop: Option<&[u8]>) {
        if let Some(changed) = &mut self.changed {
            changed.run(stop, &mut self.sink);
        }
    }
}

/// Bytes that could not be told apart.
#[derive(Debug, Clone)]
pub(super) struct NotRead {
    /// Index among the states that are scanned; `None` of another one.
    pub(super) state: Option<usize>,
    /// How many entries there are.
    pub(super) entries: u64,
    /// Their bytes, and with them those of whatever lies behind them up to where reading went on.
    pub(super) bytes: u64,
    /// Why, in words.
    pub(super) reason: String,
}

/// What came of a key group.
#[derive(Debug, Default)]
pub(super) struct GroupRead {
    pub(super) not_read: Vec<NotRead>,
    /// States of which something may be missing, among those that are scanned.
    pub(super) missing: BTreeSet<usize>,
}

/// Reads key groups of a stream.
pub(super) struct GroupReader<'s, S> {
    stream: &'s Stream,
    pieces: Pieces<'s>,
    pub(super) states: Vec<StateRows<S>>,
    sorter: Sorter,
    /// Whether rows are to be sorted even if they seem to come in order.
    sort_all: bool,
    /// Whether a stream of which that is not known is of the heap backend.
    is_heap: bool,
}

/// Where reading is within a key group.
struct Place {
    /// The current state of the stream, and where its bytes begin.
    state: Option<(usize, u64)>,
    /// Whether its rows go to the sink as they come.
    direct: bool,
    /// Uncompressed bytes of states that are scanned, and of all.
    bytes: Vec<u64>,
    all: u64,
    /// Bytes of the stream that were decoded.
    consumed: u64,
    /// The states of the stream that were met to their end.
    ended: BTreeSet<usize>,
}

impl<'s, S: LiveSink> GroupReader<'s, S> {
    /// `sort_all` says that rows are not handed on before all of their state and key group are there, even where they seem
    /// to come in order. Otherwise, what does not fit into `memory` is handed on as long as it is in order.
    pub(super) fn new(
        stream: &'s Stream,
        pieces: Pieces<'s>,
        states: Vec<StateRows<S>>,
        memory: usize,
        spill: Option<Box<dyn Spill>>,
        sort_all: bool,
    ) -> Self {
        let sorter = Sorter::new(memory, spill);
        Self { stream, pieces, states, sorter, sort_all, is_heap: false }
    }

    /// Tells the progress, and gives back the states.
    pub(super) fn finish(mut self) -> Vec<StateRows<S>> {
        self.pieces.tell_progress();
        self.states
    }

    /// Reads a key group. What it yielded before something stopped it, the sinks have got.
    pub(super) fn read(&mut self, group: &Group, found: &mut GroupRead) -> Result<(), Stop> {
        let mut place = Place::new(self.states.len());
        let read = self.rows(group, &mut place, found);
        self.sorter.discard();
        if let Err(Stop::Read(_) | Stop::Sort(_)) = &read {
            let all = self.stream.states.iter().enumerate();
            let missing =
                all.filter(|(state, _)| !place.ended.contains(state)).filter_map(|(_, scanned)| *scanned);
            found.missing.extend(missing);
        }
        // Of what was not read to its end, what was read; the rest is missing.
        let all = group.bytes();
        let read_bytes = if read.is_ok() { all } else { place.consumed.min(all) };
        if let Some(state) = found.missing.first().and_then(|at| self.states.get_mut(*at)) {
            state.tally.damaged_bytes = state.tally.damaged_bytes.saturating_add(all - read_bytes);
        }
        // Parts of the key group add up to it.
        let (mut before, mut shared) = (0u64, 0u64);
        for (state, bytes) in self.states.iter_mut().zip(&place.bytes) {
            let (raw, expired) = (std::mem::take(&mut state.raw), std::mem::take(&mut state.expired));
            before = before.saturating_add(*bytes);
            let up_to = share(read_bytes, before, place.all);
            let stored = up_to.saturating_sub(std::mem::replace(&mut shared, up_to));
            state.tally.merge(&StreamTally {
                key_groups: u64::from(*bytes > 0),
                bytes: stored,
                uncompressed_bytes: *bytes,
                expired_bytes: share(stored, expired, raw),
                ..StreamTally::default()
            });
        }
        read
    }

    /// Finds out whether a stream that may be either is one of the heap backend, from one of the key groups that will be
    /// read. There, a key group begins with its number as an `i32`; in a canonical stream, it begins with the id of a state
    /// and the upper half of the length of a key, or as compressed.
    pub(super) fn look<'g>(
        &mut self,
        mut groups: impl Iterator<Item = &'g Group> + Clone,
    ) -> Result<(), ReadError> {
        if !matches!(self.stream.kind, Kind::Unclear(_)) {
            return Ok(());
        }
        // Of key group 0, both may begin alike.
        let telling = groups.clone().find(|group| group.number > 0).or_else(|| groups.next());
        let Some((number, Ok(extent))) = telling.map(|group| (group.number, &group.extent)) else {
            return Ok(());
        };
        let head = self.pieces.head(extent, HEAD)?;
        let (first, behind) = head.split_at_checked(4).unwrap_or_default();
        let state = behind.first_chunk().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        let has_state = self.stream.compressed || state < self.stream.states.len();
        self.is_heap = first == number.to_be_bytes() && (number > 0 || has_state);
        Ok(())
    }

    fn rows(&mut self, group: &Group, place: &mut Place, found: &mut GroupRead) -> Result<(), Stop> {
        let extent = group.extent.clone()?;
        let begin = extent.start;
        let stream = self.stream;
        let heap = stream.heap(self.is_heap);
        let Self { pieces, states, sorter, sort_all, .. } = self;
        let mut bytes = GroupBytes::new(pieces, extent);
        if heap.is_some() {
            let number = bytes.plain(4)?.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            if number != group.number {
                let rule = "a key group of a heap stream begins with its number";
                return Err(FormatError::invalid(rule, number.to_string(), begin).into());
            }
        }
        if stream.compressed {
            bytes.uncompress();
        }
        // Offsets of compressed key groups are of their uncompressed bytes.
        let at = if stream.compressed { 0 } else { begin.saturating_add(bytes.position) };
        let sort_all = *sort_all || heap.is_some();
        let mut sinks = Sinks { stream, states, sorter, sort_all };
        let read = match &mut stream.decoder(heap, group.number, at) {
            Decoder::Canonical(decoder) => run(decoder, &mut bytes, &mut sinks, place, found),
            Decoder::Heap(decoder) => run(decoder, &mut bytes, &mut sinks, place, found),
            Decoder::Timers(decoder) => run(&mut **decoder, &mut bytes, &mut sinks, place, found),
        };
        place.close(&sinks, bytes.position);
        place.consumed = bytes.consumed(begin);
        read
    }
}

impl Place {
    fn new(states: usize) -> Self {
        Self {
            state: None,
            direct: false,
            bytes: vec![0; states],
            all: 0,
            consumed: 0,
            ended: BTreeSet::new(),
        }
    }

    /// Ends the bytes of the current state.
    fn close<S>(&mut self, sinks: &Sinks<'_, '_, S>, position: u64) {
        let Some((state, begin)) = self.state.take() else { return };
        let bytes = position.saturating_sub(begin);
        self.all = self.all.saturating_add(bytes);
        if let Some(sum) = sinks.scanned(state).and_then(|at| self.bytes.get_mut(at)) {
            *sum = sum.saturating_add(bytes);
        }
    }
}

/// Where rows go.
struct Sinks<'a, 's, S> {
    stream: &'s Stream,
    states: &'a mut Vec<StateRows<S>>,
    sorter: &'a mut Sorter,
    sort_all: bool,
}

impl<S> Sinks<'_, '_, S> {
    /// Which of the states that are scanned a state of the stream is.
    fn scanned(&self, state: usize) -> Option<usize> {
        self.stream.states.get(state).copied().flatten()
    }
}

impl<S: LiveSink> Sinks<'_, '_, S> {
    #[inline]
    fn row(&mut self, scanned: usize, direct: &mut bool, key: &[u8], value: &[u8]) -> Result<(), Stop> {
        let Some(state) = self.states.get_mut(scanned) else { return Ok(()) };
        if *direct {
            if state.in_order && *key <= state.last[..] {
                return Err(Stop::NotInOrder);
            }
            state.put(key, value);
            return Ok(());
        }
        let bytes = key.len().saturating_add(value.len());
        if !self.sort_all && self.sorter.is_ascending() && !self.sorter.has_room(bytes) {
            self.sorter.drain(&mut |key, value| state.put(key, value))?;
            *direct = true;
            return self.row(scanned, direct, key, value);
        }
        Ok(self.sorter.push(key, value)?)
    }

    /// Hands out what is not handed out yet.
    fn end(&mut self, scanned: Option<usize>) -> Result<(), Stop> {
        if let Some(state) = scanned.and_then(|at| self.states.get_mut(at)) {
            self.sorter.drain(&mut |key, value| state.put(key, value))?;
        }
        Ok(())
    }
}

fn run<S: LiveSink>(
    decoder: &mut impl KeyGroupRows,
    bytes: &mut GroupBytes<'_, '_>,
    sinks: &mut Sinks<'_, '_, S>,
    place: &mut Place,
    found: &mut GroupRead,
) -> Result<(), Stop> {
    let mut scanned = None;
    loop {
        let Next { step, taken } = decoder.next(bytes.rest(), bytes.is_whole())?;
        match step {
            Step::Row { key, value } => {
                if let Some(scanned) = scanned {
                    sinks.row(scanned, &mut place.direct, key, value)?;
                }
            }
            Step::Going => {}
            Step::NeedBytes(needed) => {
                if bytes.is_stopped() {
                    return Err(Stop::Asked);
                }
                bytes.more(needed)?;
                continue;
            }
            Step::State { state, .. } => {
                end_state(sinks, scanned, place, bytes.position)?;
                if place.ended.contains(&state) {
                    let rule = "a key group holds each state once";
                    return Err(FormatError::invalid(rule, state.to_string(), bytes.position).into());
                }
                place.state = Some((state, bytes.position));
                scanned = sinks.scanned(state);
                // Timers are counted in any order.
                let in_order =
                    scanned.and_then(|at| sinks.states.get(at)).is_some_and(|state| state.in_order);
                place.direct = !in_order;
            }
            Step::Stopped(stopped) => {
                let begin = bytes.position;
                let mut failed = None;
                let mut row = |key: &[u8], value: &[u8]| {
                    if let (Some(scanned), None) = (scanned, &failed) {
                        failed = sinks.row(scanned, &mut place.direct, key, value).err();
                    }
                };
                let gone = go_on(decoder, bytes, &mut row)?;
                if let Some(failed) = failed {
                    return Err(failed);
                }
                let went_on = gone != Gone::ToTheEnd;
                if gone != Gone::Dividing {
                    let reason = reason(sinks.stream, stopped);
                    found.not_read.push(NotRead {
                        state: sinks.scanned(stopped.state),
                        entries: stopped.entries.into(),
                        bytes: bytes.position.saturating_sub(begin),
                        reason,
                    });
                }
                // States that lie in between are not told apart from it; those that were met are whole.
                end_state(sinks, scanned, place, bytes.position)?;
                scanned = None;
                if !went_on {
                    let all = sinks.stream.states.iter().enumerate();
                    let missing = all.filter(|(state, _)| !place.ended.contains(state));
                    found.missing.extend(missing.filter_map(|(_, scanned)| *scanned));
                    return Ok(());
                }
                continue;
            }
            Step::End => {
                bytes.take(taken);
                end_state(sinks, scanned, place, bytes.position)?;
                if !bytes.rest().is_empty() || !bytes.is_whole() {
                    let rule = "nothing follows the last state of a key group";
                    return Err(FormatError::invalid(rule, "more bytes", bytes.position).into());
                }
                return Ok(());
            }
        }
        bytes.take(taken);
    }
}

fn end_state<S: LiveSink>(
    sinks: &mut Sinks<'_, '_, S>,
    scanned: Option<usize>,
    place: &mut Place,
    position: u64,
) -> Result<(), Stop> {
    sinks.end(scanned)?;
    place.ended.extend(place.state.map(|(state, _)| state));
    place.close(sinks, position);
    Ok(())
}

/// How reading went on behind what cannot be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// With the next state; the entries before it were told apart.
    Dividing,
    /// With the next state.
    Behind,
    /// Not at all: nothing behind is read.
    ToTheEnd,
}

/// Goes on behind what cannot be walked: where the next state begins, if that can be known. Entries before it go to `row`, if it is
/// certain where each of them begins.
fn go_on(
    decoder: &mut impl KeyGroupRows,
    bytes: &mut GroupBytes<'_, '_>,
    row: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<Gone, Stop> {
    let mut divided = |decoder: &mut dyn KeyGroupRows, bytes: &GroupBytes<'_, '_>, length: usize| {
        let region = bytes.rest().get(..length).unwrap_or_default();
        if decoder.divide(region, row) { Gone::Dividing } else { Gone::Behind }
    };
    if let Some(length) = bytes.stream_left(SEARCHED_BYTES)? {
        let gone = divided(decoder, bytes, length);
        bytes.take(length);
        decoder.resume(length as u64);
        return Ok(gone);
    }
    if let Some(skipped) = bytes.next_stream()? {
        decoder.resume(skipped);
        return Ok(Gone::Behind);
    }
    bytes.more(SEARCHED_BYTES)?;
    let skipped = if bytes.is_whole() { decoder.find_state(bytes.rest()) } else { None };
    if let Some(skipped) = skipped {
        let gone = divided(decoder, bytes, skipped);
        bytes.take(skipped);
        decoder.resume(skipped as u64);
        return Ok(gone);
    }
    let length = bytes.rest().len();
    if bytes.is_whole() && decoder.is_last() && divided(decoder, bytes, length) == Gone::Dividing {
        bytes.take(length);
        decoder.resume(length as u64);
        return Ok(Gone::Dividing);
    }
    loop {
        bytes.take(bytes.rest().len());
        if bytes.is_whole() {
            return Ok(Gone::ToTheEnd);
        }
        bytes.more(1)?;
    }
}

/// Why something cannot be walked, in words.
fn reason(stream: &Stream, stopped: Stopped) -> String {
    let walker = match &stream.kind {
        Kind::Heap(layout) | Kind::Unclear(layout) => layout.walker(stopped.state, stopped.part),
        Kind::Canonical | Kind::Timers(_) => None,
    };
    let stop: Option<&StopReason> = walker.zip(stopped.stop).and_then(|(walker, at)| walker.stops().get(at));
    let part = stopped.part.name();
    match stop {
        Some(stop) => format!("the {part} is {stop}"),
        None => format!("nothing says where the {part} ends"),
    }
}
