//! Reads one split: all selected states of a handle over one range of composite keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use statescope_formats::rocksdb::compression::CompressionType;

use super::changes::{Changed, OfSplit, Overlaid};
use super::feed::{Damage, Feed, FeedTable, Reading, share};
use super::partial::{DamageRead, ScanPartial};
use super::plan::{KeyRange, runs};
use super::stream::StreamSplit;
use super::tables::{BlockList, OpenTables, ReadError, ScanTable};
use super::{Handle, SpillFn, State};
use crate::analyzers::analysis::{HandleKey, OperatorKeys, StateAccumulator, StateKey, TableFacts, TallyKey};
use crate::lsm::{LiveScan, LiveSink, RangeTombstones, StoredTombstone};
use crate::storage::ReadAhead;

/// On-disk bytes of the largest state between two points at which the states of an operator meet.
const BATCH_BYTES: u64 = 1 << 20;

/// What all splits share.
pub(super) struct Shared<'a> {
    pub(super) reading: Reading<'a>,
    /// What reads ahead, if any of the tables is worth it.
    pub(super) ahead: Option<&'a ReadAhead<'a>>,
    pub(super) open: OpenTables,
    pub(super) top: usize,
    /// Bytes of memory for what of one key group must be there at the same time.
    pub(super) memory: usize,
    /// Where keys and rows go that do not fit into memory.
    pub(super) spill: Option<SpillFn<'a>>,
}

impl<'a> Shared<'a> {
    /// How a split reads.
    pub(super) fn reading_of(&self, split: u64) -> Reading<'a> {
        let storage = self.ahead.map(|ahead| ahead.within(split));
        Reading { storage: storage.unwrap_or(self.reading.storage), ..self.reading }
    }
}

/// A split.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) number: u32,
    /// Index of the handle among those that are scanned.
    pub(super) handle: usize,
    pub(super) range: KeyRange,
}

impl LiveSink for StateAccumulator<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], shared: usize, value: &[u8], table: u32) -> u64 {
        Self::put(self, key, shared, value, table)
    }

    fn begin(&mut self, key: &[u8], shared: usize) {
        Self::begin(self, key, shared);
    }

    fn part(&mut self, value: &[u8], _base: bool, table: u32) -> u64 {
        Self::part(self, value, table)
    }

    fn end(&mut self) {
        // What of it is expired besides its parts has no place among the blocks.
        Self::end(self);
    }

    fn not_understood(&mut self, key: &[u8], shared: usize, table: u32) {
        Self::not_understood(self, key, shared, table);
    }
}

/// What a split reads of a state.
#[derive(Debug)]
struct OpenState<'a> {
    state: &'a State,
    range: KeyRange,
    tombstones: RangeTombstones,
    runs: Vec<Feed<'a>>,
}

/// A split that is open: what it reads, and what of it cannot be read.
#[derive(Debug)]
pub(super) struct OpenSplit<'a> {
    states: Vec<OpenState<'a>>,
    damage: Vec<(&'a State, Damage)>,
    stops: Stops,
    /// On-disk bytes that are read ahead of being decoded.
    pub(super) ahead: u64,
}

/// A state while it is analyzed.
struct Reader<'a, 't> {
    state: &'a State,
    scan: LiveScan<'t, Feed<'a>>,
    changed: Option<Changed>,
    accumulator: StateAccumulator<'a>,
}

impl<'a, 't> Reader<'a, 't> {
    fn new(open: &'t mut OpenState<'a>, changes: Option<&mut OfSplit>) -> Self {
        let OpenState { state, range, tombstones, runs } = open;
        let state = *state;
        Self {
            state,
            scan: LiveScan::new(std::mem::take(runs), &range.low, tombstones),
            changed: changes.map(|changes| changes.take(&state.name)),
            accumulator: StateAccumulator::new(&state.plan, Arc::clone(&state.facts)),
        }
    }

    fn run(&mut self, stop: Option<&[u8]>) {
        run(&mut self.scan, self.changed.as_mut(), stop, &mut self.accumulator);
    }
}

/// Hands out all rows before a key, or all, as changes have left them.
fn run<S: LiveSink>(
    scan: &mut LiveScan<'_, Feed<'_>>,
    changed: Option<&mut Changed>,
    stop: Option<&[u8]>,
    sink: &mut S,
) {
    match changed {
        None => scan.run(stop, sink),
        Some(changed) => {
            scan.run(stop, &mut Overlaid::new(changed, sink));
            changed.run(stop, sink);
        }
    }
}

impl Split {
    /// What it is if its handle is a stream.
    fn stream<'a>(&self, handle: &'a Handle) -> Option<StreamSplit<'a>> {
        let stream = handle.stream.as_ref()?;
        Some(StreamSplit { handle, stream, range: self.range.clone() })
    }

    /// The tables of a state that the split reads.
    pub(super) fn tables<'s>(&self, handle: &Handle, state: &'s State) -> Vec<(u32, &'s ScanTable)> {
        let range = self.range_of(handle, state);
        let (low, high) = (&range.low, range.high.as_deref());
        let numbered = state.tables.iter().enumerate();
        let numbered = numbered.filter_map(|(i, table)| Some((u32::try_from(i).ok()?, table)));
        numbered.filter(|(_, table)| table.overlaps(low, high)).collect()
    }

    fn range_of(&self, handle: &Handle, state: &State) -> KeyRange {
        if state.plan.divides_key_groups() {
            self.range.clone()
        } else {
            self.range.of_whole_groups(handle.prefix)
        }
    }

    /// Opens what it reads, state by state. What takes its time is announced: the indexes first, then the data in the
    /// order in which it is decoded, if `lockstep` says that states of an operator are read at the same time.
    pub(super) fn prepare<'a>(
        &self,
        shared: &Shared<'a>,
        handle: &'a Handle,
        lockstep: bool,
    ) -> OpenSplit<'a> {
        let mut open =
            OpenSplit { states: Vec::new(), damage: Vec::new(), stops: Stops::default(), ahead: 0 };
        if let Some(stream) = self.stream(handle) {
            if let Some(ahead) = shared.ahead {
                let pieces = stream.pieces(shared, self.group());
                open.ahead = pieces.bytes();
                ahead.announce(self.group(), pieces.announced());
            }
            return open;
        }
        self.announce_indexes(shared, handle);
        for state in &handle.states {
            let range = self.range_of(handle, state);
            let (damage, stops) = (&mut open.damage, &mut open.stops);
            let (tombstones, runs) = self.open(shared, handle, state, &range, damage, stops);
            open.states.push(OpenState { state, range, tombstones, runs });
        }
        self.announce_data(shared, &mut open, lockstep);
        open
    }

    fn announce_indexes(&self, shared: &Shared<'_>, handle: &Handle) {
        let Some(ahead) = shared.ahead else { return };
        let of_state = |state| self.tables(handle, state).into_iter().map(|(_, table)| table);
        let tables: Vec<&ScanTable> = handle.states.iter().flat_map(of_state).collect();
        shared.open.announce(ahead, self.group(), &tables);
        let Reading { storage, checksums, .. } = shared.reading_of(self.group());
        for state in &handle.states {
            let range = self.range_of(handle, state);
            for (_, table) in self.tables(handle, state) {
                if table.has_partitioned_index()
                    && let Ok(open) = shared.open.open(&storage, table, checksums)
                {
                    ahead.announce(self.group(), open.partitions(table, &range.low, range.high.as_deref()));
                }
            }
        }
    }

    fn announce_data(&self, shared: &Shared<'_>, open: &mut OpenSplit<'_>, lockstep: bool) {
        let Some(ahead) = shared.ahead else { return };
        let mut all = Vec::new();
        for (number, OpenState { state, range, runs, .. }) in open.states.iter().enumerate() {
            // Those that are not read at the same time are read one after the other.
            let turn = match (lockstep, state.plan.divides_key_groups()) {
                (true, true) => 0,
                (true, false) => number.saturating_add(1),
                (false, _) => number,
            };
            let pieces = runs.iter().flat_map(|run| run.announced(&range.low));
            all.extend(pieces.map(|(key, request)| (turn, key, request)));
        }
        // In the order of their keys; pieces of a run stay in theirs.
        all.sort_by(|(turn, key, _), (other_turn, other_key, _)| (turn, key).cmp(&(other_turn, other_key)));
        let bytes = all.iter().map(|(.., request)| request.span.wanted());
        open.ahead = bytes.fold(0, u64::saturating_add);
        ahead.announce(self.group(), all.into_iter().map(|(.., request)| request));
    }

    /// Its place among what is read ahead.
    fn group(&self) -> u64 {
        self.number.into()
    }

    /// Says that its tables are not needed any more.
    fn close(&self, shared: &Shared<'_>, handle: &Handle) {
        for state in &handle.states {
            for (_, table) in self.tables(handle, state) {
                shared.open.done(table.file);
            }
        }
        if let Some(ahead) = shared.ahead {
            ahead.retire(self.group());
        }
    }

    /// Hands the live rows of each state to a sink of its own. Returns what could not be read.
    pub(super) fn rows<'a, S: LiveSink>(
        &self,
        shared: &Shared<'a>,
        handle: &'a Handle,
        open: OpenSplit<'a>,
        sink: &dyn Fn(&'a Handle, &'a State) -> S,
        done: &dyn Fn(S),
    ) -> Vec<String> {
        let Ok(mut changes) = self.changes(shared, handle) else { return Vec::new() };
        if let Some(stream) = self.stream(handle) {
            let lost = stream.rows(shared, self.group(), changes, sink, done);
            self.close(shared, handle);
            return lost;
        }
        let OpenSplit { states, mut damage, .. } = open;
        let mut lost = Vec::new();
        for open in states {
            let mut sink = sink(handle, open.state);
            let mut scan = LiveScan::new(open.runs, &open.range.low, &open.tombstones);
            let mut changed = changes.as_mut().map(|changes| changes.take(&open.state.name));
            run(&mut scan, changed.as_mut(), open.range.high.as_deref(), &mut sink);
            lost.extend(changed.and_then(Changed::failure));
            damage.extend(
                scan.finish().into_iter().flat_map(|feed| feed.damage).map(|found| (open.state, found)),
            );
            done(sink);
        }
        self.close(shared, handle);
        lost.extend(damage.into_iter().map(|(_, found)| found.error.to_string()));
        lost
    }

    /// What changes come to, if there are any.
    ///
    /// # Errors
    /// It was stopped.
    fn changes(&self, shared: &Shared<'_>, handle: &Handle) -> Result<Option<OfSplit>, Stopped> {
        let Some(overlay) = &handle.overlay else { return Ok(None) };
        overlay.of_split(shared, self.number).map(Some).ok_or(Stopped)
    }

    /// Analyzes it. None if it was stopped.
    pub(super) fn analyze<'a>(
        &self,
        shared: &Shared<'a>,
        handle: &'a Handle,
        open: OpenSplit<'a>,
    ) -> Option<ScanPartial> {
        let mut partial = ScanPartial { done: BTreeSet::from([self.number]), ..ScanPartial::default() };
        let mut changes = self.changes(shared, handle).ok()?;
        if let Some(stream) = self.stream(handle) {
            let partial = stream.analyze(shared, self.group(), changes, partial);
            self.close(shared, handle);
            return partial;
        }
        let OpenSplit { states: mut open, damage, stops, .. } = open;
        let counting = handle.counting_states();
        // Timers are not in the order of keys. Each of their states may need all the memory that there is for keys of
        // timers, so they are read one after the other.
        let (keyed, timers): (Vec<_>, Vec<_>) =
            open.iter_mut().partition(|open| open.state.plan.divides_key_groups());
        let mut readers: Vec<Reader<'_, '_>> = keyed
            .into_iter()
            .map(|open| {
                let mut reader = Reader::new(open, changes.as_mut());
                if counting > 1 {
                    reader.accumulator = reader.accumulator.with_key_totals();
                }
                reader
            })
            .collect();

        let mut operator = (counting > 1).then(|| OperatorKeys::new(shared.top));
        let stops = match &changes {
            _ if counting <= 1 => Vec::new(),
            // How much changes come to between them is not known.
            Some(_) if stops.keys.is_empty() => self.range.key_groups_begin(handle.prefix, handle.key_groups),
            _ => stops.keys,
        };
        let is_stopped = || shared.reading.progress.stop.load(Ordering::Relaxed);
        for stop in stops.iter().map(Some).chain([None]) {
            if is_stopped() {
                return None;
            }
            for reader in &mut readers {
                let end = stop.or(self.range.high.as_ref()).map(Vec::as_slice);
                reader.run(end);
            }
            if let Some(operator) = &mut operator {
                let mut states: Vec<_> = readers.iter_mut().map(|reader| &mut reader.accumulator).collect();
                operator.end_batch(&mut states);
            }
        }
        for reader in readers {
            self.end(handle, reader, &mut partial);
        }
        for open in timers {
            let mut reader = Reader::new(open, changes.as_mut());
            if let Some(spill) = shared.spill {
                reader.accumulator = reader.accumulator.with_spill(spill());
            }
            let end = self.range_of(handle, reader.state).high;
            reader.run(end.as_deref());
            self.end(handle, reader, &mut partial);
        }
        if is_stopped() {
            // Feeds may have ended early.
            return None;
        }
        if let Some(operator) = operator {
            let key = HandleKey { operator: handle.operator_number, handle: handle.number };
            partial.analysis.add_operator(key, operator.finish());
        }
        for (state, found) in damage {
            add_damage(handle, state, &found, &mut partial);
        }
        partial.add_changes(changes);
        self.close(shared, handle);
        Some(partial)
    }

    /// Adds what a state yielded.
    fn end(&self, handle: &Handle, reader: Reader<'_, '_>, partial: &mut ScanPartial) {
        let Reader { state, scan, changed, accumulator } = reader;
        if let Some(failure) = changed.and_then(Changed::failure) {
            partial.not_changed(handle, failure);
        }
        partial.analysis.add_state(state_key(handle, state), accumulator.finish());
        for mut feed in scan.finish() {
            feed.tell_progress();
            self.count(handle, state, feed, partial);
        }
    }

    /// Opens what the split reads of a state.
    fn open<'a>(
        &self,
        shared: &Shared<'a>,
        handle: &Handle,
        state: &'a State,
        range: &KeyRange,
        damage: &mut Vec<(&'a State, Damage)>,
        stops: &mut Stops,
    ) -> (RangeTombstones, Vec<Feed<'a>>) {
        let reading = shared.reading_of(self.group());
        let Reading { storage, checksums, .. } = reading;
        let (low, high) = (&range.low, range.high.as_deref());
        let mut opened = BTreeMap::new();
        let mut readable = Vec::new();
        for (index, table) in self.tables(handle, state) {
            let lists = shared.open.open(&storage, table, checksums).and_then(|open| {
                let blocks = open.blocks(&storage, table, low, high, checksums)?;
                Ok((open, blocks))
            });
            match lists {
                Ok((open, blocks)) => {
                    stops.offer(&blocks);
                    readable.push((index, table));
                    opened.insert(index, (table, open, blocks));
                }
                Err(error) => {
                    let (offset, bytes) = (table.tail.index.offset, table.size);
                    damage.push((state, Damage { table: index, offset, bytes, blocks: 0, error }));
                }
            }
        }
        let stored = opened.values().flat_map(|(table, open, _)| {
            open.range_tombstones.iter().map(|tombstone| StoredTombstone {
                start: &tombstone.start,
                end: &tombstone.end,
                sequence: tombstone.sequence,
                smallest: &table.bounds.smallest,
                largest: &table.bounds.largest,
            })
        });
        let tombstones = RangeTombstones::new(stored);
        let feeds = runs(&readable).into_iter().map(|run| {
            let tables = run.iter().filter_map(|index| {
                let (table, open, blocks) = opened.remove(index)?;
                Some(FeedTable { index: *index, table, open, blocks })
            });
            Feed::new(reading, tables.collect())
        });
        (tombstones, feeds.collect())
    }

    /// Counts what a feed has read.
    fn count(&self, handle: &Handle, state: &State, feed: Feed<'_>, partial: &mut ScanPartial) {
        for ((index, compression), tally) in &feed.tallies {
            let Some(table) = state.tables.get(*index as usize) else { continue };
            let mut tally = *tally;
            if let Some(data) = table.data_bytes() {
                tally.index_bytes = share(table.index_bytes(), tally.stored_bytes, data);
            }
            partial.bytes = partial.bytes.saturating_add(tally.stored_bytes);
            let read = partial.tables.entry((handle.number, state.table_number(*index))).or_default();
            read.entries = read.entries.saturating_add(tally.entries());
            read.stored_bytes = read.stored_bytes.saturating_add(tally.stored_bytes);
            partial.analysis.add_tally(tally_key(handle, state, table, *compression), &tally);
        }
        for found in &feed.damage {
            add_damage(handle, state, found, partial);
        }
    }
}

/// Reading was stopped.
#[derive(Debug)]
struct Stopped;

impl ScanPartial {
    /// Adds what was read of a changelog.
    pub(super) fn add_changes(&mut self, changes: Option<OfSplit>) {
        self.merge_changes(changes.map(|changes| (changes.number, changes.read)));
    }

    /// Says that what the changes of a handle come to could not be read again.
    pub(super) fn not_changed(&mut self, handle: &Handle, failure: String) {
        let Some(overlay) = &handle.overlay else { return };
        self.changes.entry(overlay.number()).or_default().failed(0, failure);
    }
}

pub(super) fn state_key(handle: &Handle, state: &State) -> StateKey {
    StateKey { operator: handle.operator_number, handle: handle.number, state: state.name.clone() }
}

pub(super) fn tally_key(
    handle: &Handle,
    state: &State,
    table: &ScanTable,
    compression: CompressionType,
) -> TallyKey {
    TallyKey { state: state_key(handle, state), level: table.level, compression: compression.to_string() }
}

fn add_damage(handle: &Handle, state: &State, found: &Damage, partial: &mut ScanPartial) {
    let (message, at) = match &found.error {
        ReadError::Storage(error) => (error.to_string(), found.offset),
        ReadError::Format(error) => (error.to_string(), error.offset()),
    };
    let key = (handle.number, state.table_number(found.table), found.offset);
    partial.damage.insert(key, DamageRead { message, at, bytes: found.bytes, blocks: found.blocks });
}

/// Where the states of an operator meet: keys at which about as many bytes of its largest tables lie between.
#[derive(Debug, Default)]
struct Stops {
    /// Of the tables that are read, the largest part.
    largest: u64,
    keys: Vec<Vec<u8>>,
}

impl Stops {
    fn offer(&mut self, blocks: &BlockList) {
        let bytes: u64 = blocks.blocks.iter().map(|block| block.handle.size).sum();
        if bytes <= self.largest {
            return;
        }
        self.largest = bytes;
        self.keys.clear();
        let mut since = 0;
        for (index, block) in blocks.blocks.iter().enumerate() {
            since += block.handle.size;
            if since >= BATCH_BYTES {
                since = 0;
                self.keys.push(blocks.separator(index).to_vec());
            }
        }
    }
}

/// What is known of a table that rows name.
pub(super) fn facts(tables: &[ScanTable]) -> Arc<[TableFacts]> {
    tables
        .iter()
        .map(|table| {
            let properties = table.tail.properties.as_ref();
            let times = properties.map(|p| (p.file_creation_time, p.creation_time));
            let (file, oldest) = times.unwrap_or((None, None));
            TableFacts {
                number: table.number,
                level: table.level,
                creation_time: file.filter(|&t| t > 0).or(oldest).unwrap_or(0),
            }
        })
        .collect()
}
