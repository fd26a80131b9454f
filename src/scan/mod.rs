//! Reads the tables of a snapshot once, in parallel, and feeds the analyzers.
//!
//! ```text
//! handles ─▶ splits (plan) ─▶ workers: blocks (feed) ─▶ live view (lsm) ─▶ accumulators ─▶ partials ─▶ merged
//! ```
//!
//! A split is a range of composite keys of one handle, over all its states; splits do not depend on the number of
//! threads, and what they yield merges in any order, so neither does the result. Each table costs a request for its
//! tail (when the snapshot is read), one for its index, and one for each stretch of data blocks; what was read with the
//! tail and kept ([`ScanOptions::kept`]) costs none. Memory is bounded by what is read at once, not by the size of the
//! state.
//!
//! Where an answer takes its time, that is, anywhere but on local disk, splits are opened before workers take them
//! (`ahead`), and their indexes and data are announced to a [`ReadAhead`], in the order in which they will be decoded.
//! What is read, and what comes of it, is the same.

mod absent;
mod ahead;
mod changes;
pub mod channels;
pub mod deep;
pub mod entries;
mod feed;
mod finish;
mod partial;
mod plan;
mod recompress;
mod rows;
mod sample;
pub mod saved;
mod sorter;
mod stream;
mod survey;
mod tables;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use statescope_formats::rocksdb::unsupported::Unsupported;

use self::ahead::{MadeAhead, OPENERS};
use self::changes::Overlay;
use self::feed::Reading;
pub use self::finish::Finished;
pub use self::partial::{ChangesRead, ChangesStopped, DamageRead, ScanPartial, StreamRead, TableRead};
use self::plan::{Extent, KeyRange, SPLIT_BYTES, even_ranges, largest_part, ranges, runs};
pub use self::recompress::{Clock, Recompressed};
pub use self::rows::LiveRows;
pub use self::sample::{SampleOptions, Sampled, Sampler};
use self::stream::Stream;
pub use self::survey::{ByState, Survey, file_groups, index_bytes, sst_bytes, stream_bytes, survey};
use self::tables::{OpenTables, ScanTable};
use self::work::{OpenSplit, Shared, Split, facts};
use crate::analyzers::analysis::{Settings, Spill, StatePlan, TableFacts};
use crate::lsm::LiveSink;
use crate::model::{DatabaseDetails, Details, FileId, KeyedDetails, KeyedLayout, Operator, Snapshot, Table};
use crate::readers::source::Source;
use crate::storage::{InFlight, ReadAhead, Storage};

/// Says which states are meant, given the index of the operator and the state's name.
pub type SelectFn<'a> = &'a dyn Fn(usize, &str) -> bool;

/// What is scanned.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// What its small files say, the tails of tables included.
    pub details: &'a Details,
    /// Where its tables are.
    pub tables: &'a HashMap<FileId, Source>,
    /// What the analysis is asked for.
    pub settings: &'a Settings,
}

/// How it is scanned. Only what is read depends on `checksums`; nothing else changes the result.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions {
    /// How many threads decode.
    pub threads: usize,
    /// About how much memory is used, in bytes: a quarter for what is read ahead, a quarter for what is decoded, an eighth
    /// for ends of tables; the rest is the analyzers'. On local disk, far less is used.
    pub memory: u64,
    /// How many requests may be under way at once, local disk aside.
    pub requests: usize,
    /// Whether checksums of blocks are verified.
    pub checksums: bool,
}

impl ScanOptions {
    /// How many bytes of the ends of tables are worth keeping until they are decoded.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.memory / 8
    }

    /// What may be under way ahead of being decoded.
    fn in_flight(&self) -> InFlight {
        InFlight::new(self.requests, self.memory / 4)
    }
}

/// A keyed state handle with the states that are scanned.
#[derive(Debug)]
struct Handle {
    /// Index in [`Details::keyed`].
    number: u32,
    operator_number: u32,
    prefix: usize,
    key_groups: (u32, u32),
    states: Vec<State>,
    /// The stream that holds its states, if they are not in tables.
    stream: Option<Stream>,
    /// What changed since, if it was materialized for a changelog.
    overlay: Option<Arc<Overlay>>,
}

impl Handle {
    /// How many of its states count keys.
    fn counting_states(&self) -> usize {
        self.states.iter().filter(|state| state.plan.counts_keys()).count()
    }
}

/// A column family of a handle.
#[derive(Debug)]
struct State {
    name: String,
    plan: StatePlan,
    tables: Vec<ScanTable>,
    facts: Arc<[TableFacts]>,
    /// The number of the first table among those of the handle.
    first_table: u32,
    /// Tables of which nothing is read.
    missing: Vec<MissingTable>,
}

/// A table of which nothing is read.
#[derive(Debug)]
struct MissingTable {
    file: Option<FileId>,
    level: u32,
    size: u64,
    entries: Option<u64>,
    name: String,
    /// Why, where no finding says it yet.
    why: Option<String>,
}

impl State {
    fn without_tables(name: String, plan: StatePlan) -> Self {
        Self { name, plan, tables: Vec::new(), facts: Arc::default(), first_table: 0, missing: Vec::new() }
    }

    fn table_number(&self, table: u32) -> u32 {
        self.first_table.saturating_add(table)
    }
}

/// Which rows a sink is given.
#[derive(Debug, Clone, Copy)]
pub struct RowsOf<'a> {
    /// Index of the handle in [`Details::keyed`].
    pub handle: usize,
    /// Name of the state.
    pub state: &'a str,
    /// Number of the split, counted from 0.
    pub split: usize,
}

/// A scan that is planned.
#[derive(Debug)]
pub struct Scan<'a> {
    input: Input<'a>,
    handles: Vec<Handle>,
    splits: Vec<Split>,
}

/// How far a scan is.
#[derive(Debug, Default)]
pub struct Progress {
    /// On-disk bytes of data blocks that were read; goes on within splits. In the end, what [`Scan::bytes`] says, unless
    /// there is damage, or files hold more than the key groups of their handles.
    pub bytes: AtomicU64,
    /// Set it to make the scan end early.
    pub stop: AtomicBool,
}

impl Progress {
    /// Whether it is to end early.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl<'a> Scan<'a> {
    /// Plans the scan of all states for which `select` answers yes, given the index of the operator and the state's
    /// name. Nothing is read.
    #[must_use]
    pub fn plan(input: Input<'a>, select: SelectFn<'_>) -> Self {
        let mut handles = Vec::new();
        let mut splits = Vec::new();
        for (number, keyed) in input.details.keyed.iter().enumerate() {
            let Some(handle) = handle(&input, number, keyed, select) else { continue };
            let ranges = match &handle.stream {
                Some(stream) => stream.ranges(handle.key_groups, SPLIT_BYTES),
                None => {
                    let tables: Vec<Extent<'_>> =
                        handle.states.iter().flat_map(|state| &state.tables).map(ScanTable::extent).collect();
                    if keyed.layout == KeyedLayout::Changes {
                        let bytes = keyed.changes.as_ref().map_or(0, |changes| changes.bytes);
                        even_ranges(bytes, handle.prefix, handle.key_groups, SPLIT_BYTES)
                    } else {
                        ranges(&tables, handle.prefix, handle.key_groups, SPLIT_BYTES)
                    }
                }
            };
            for range in ranges {
                let number = u32::try_from(splits.len()).unwrap_or(u32::MAX);
                splits.push(Split { number, handle: handles.len(), range });
            }
            handles.push(handle);
        }
        Overlay::plan(&input, &mut handles);
        Overlay::for_splits(&mut handles, &splits);
        Self { input, handles, splits }
    }

    /// The changelogs whose changes are applied, each once, by the number of its first handle.
    fn overlays(&self) -> BTreeMap<u32, &Overlay> {
        let overlays = self.handles.iter().filter_map(|handle| handle.overlay.as_deref());
        overlays.map(|overlay| (overlay.number(), overlay)).collect()
    }

    /// How many splits there are.
    #[must_use]
    pub fn splits(&self) -> usize {
        self.splits.len()
    }

    /// On-disk bytes of all data blocks and key groups that are to be read, nearly.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let tables = self.handles.iter().flat_map(|h| &h.states).flat_map(|s| &s.tables);
        let tables = tables.map(|table| table.data_bytes().unwrap_or(table.size));
        let streams = self.handles.iter().filter_map(|handle| handle.stream.as_ref()).map(Stream::bytes);
        let changes = self.overlays().into_values().map(Overlay::bytes);
        tables.chain(streams).chain(changes).fold(0, u64::saturating_add)
    }

    /// Analyzes all splits that are not done yet. `each` is given the sum after every split.
    ///
    /// False if it was stopped.
    pub fn analyze(
        &self,
        storage: &dyn Storage,
        options: ScanOptions,
        progress: &Progress,
        spill: SpillFn<'_>,
        sum: &Mutex<ScanPartial>,
        each: &(dyn Fn(&ScanPartial) + Sync),
    ) -> bool {
        let done = sum.lock().unwrap_or_else(PoisonError::into_inner).done.clone();
        let todo: Vec<&Split> = self.splits.iter().filter(|split| !done.contains(&split.number)).collect();
        let storage = ReadAhead::new(storage, options.in_flight());
        let shared = self.shared(&storage, options, progress, spill, &todo);
        self.each_split(&todo, options.threads, &shared, true, &|split, handle, open| {
            let Some(partial) = split.analyze(&shared, handle, open) else { return false };
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.merge(partial);
            each(&sum);
            true
        });
        !progress.is_stopped()
    }

    /// Leaves out what lies outside of some ranges of composite keys, which are in ascending order and do not overlap. Of
    /// streams, whole key groups are read.
    pub fn clip(&mut self, ranges: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let mut splits = Vec::new();
        for split in &self.splits {
            let Some(handle) = self.handles.get(split.handle) else { continue };
            let mut last: Option<KeyRange> = None;
            for (low, high) in ranges {
                let asked = KeyRange { low: low.clone(), high: high.clone() };
                let asked = if handle.stream.is_some() { asked.around(handle.prefix) } else { asked };
                let range = split.range.and(&asked);
                if range.is_empty() || last.as_ref() == Some(&range) {
                    continue;
                }
                last = Some(range.clone());
                let number = u32::try_from(splits.len()).unwrap_or(u32::MAX);
                splits.push(Split { number, handle: split.handle, range });
            }
        }
        self.splits = splits;
        Overlay::for_splits(&mut self.handles, &self.splits);
    }

    /// Hands all live rows to sinks: one for each state of each split, of which the rows come in ascending order of
    /// their composite keys; splits are in order of handles and keys. `done` gets the sink back. `spill` makes places for
    /// rows of streams that do not come in order and do not fit into memory: those are sorted key group by key group.
    ///
    /// Returns what could not be read.
    pub fn rows<S: LiveSink>(
        &self,
        storage: &dyn Storage,
        options: ScanOptions,
        progress: &Progress,
        spill: SpillFn<'_>,
        sink: &(dyn Fn(RowsOf<'_>) -> S + Sync),
        done: &(dyn Fn(S) + Sync),
    ) -> Vec<String> {
        let todo: Vec<&Split> = self.splits.iter().collect();
        let storage = ReadAhead::new(storage, options.in_flight());
        let shared = self.shared(&storage, options, progress, spill, &todo);
        let damage = Mutex::new(Vec::new());
        self.each_split(&todo, options.threads, &shared, false, &|split, handle, open| {
            let make = |handle: &Handle, state: &State| {
                sink(RowsOf {
                    handle: handle.number as usize,
                    state: &state.name,
                    split: split.number as usize,
                })
            };
            let found = split.rows(&shared, handle, open, &make, &|sink| done(sink));
            damage.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            true
        });
        let mut damage = damage.into_inner().unwrap_or_else(PoisonError::into_inner);
        let read = self.overlays().into_values().filter_map(Overlay::read);
        damage.extend(read.flat_map(finish::not_applied).map(|finding| {
            let file = finding.file.map_or_else(String::new, |file| format!("{file}: "));
            format!("{file}{}", finding.message)
        }));
        damage
    }

    fn shared<'s>(
        &'s self,
        storage: &'s ReadAhead<'s>,
        options: ScanOptions,
        progress: &'s Progress,
        spill: SpillFn<'s>,
        todo: &[&Split],
    ) -> Shared<'s> {
        let open = OpenTables::default();
        // Half of the memory is for what is read ahead of being decoded. What is announced shares it with the pieces that
        // are being decoded, one for each run.
        let threads = options.threads.min(todo.len()).max(1);
        let of_a_thread = options.memory / 2 / (threads as u64);
        let mut ahead = options.in_flight().bytes / PIECES_AHEAD;
        let (mut most_tables, mut is_ahead) = (1, false);
        for split in todo {
            let Some(handle) = self.handles.get(split.handle) else { continue };
            let (mut of_split, mut runs_ahead) = (0, Vec::new());
            if let Some(stream) = handle.stream.as_ref().filter(|stream| stream.source.is_read_ahead()) {
                is_ahead = true;
                runs_ahead.push(stream.bytes_in(&split.range));
            }
            for state in &handle.states {
                let tables = split.tables(handle, state);
                tables.iter().for_each(|(_, table)| open.expect(table.file));
                of_split += tables.len() as u64;
                if tables.iter().any(|(_, table)| table.source.is_read_ahead()) {
                    is_ahead = true;
                    runs_ahead.extend(runs(&tables).iter().map(|run| {
                        let asked =
                            |at: &u32| state.tables.get(*at as usize).map_or(0, ScanTable::asked_bytes);
                        run.iter().map(asked).max().unwrap_or(0)
                    }));
                }
            }
            most_tables = most_tables.max(of_split);
            ahead = ahead.min(largest_part(runs_ahead, of_a_thread / 2));
        }
        let reading = Reading {
            storage: storage.within(0),
            checksums: options.checksums,
            chunk: (of_a_thread / most_tables).clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            ahead: ahead.clamp(SMALLEST_CHUNK, LARGEST_AHEAD),
            progress,
        };
        let ahead = is_ahead.then_some(storage);
        let Settings { top, timer_memory: memory, .. } = *self.input.settings;
        Shared { reading, ahead, open, top, memory, spill: Some(spill) }
    }

    /// Calls `work` for all splits, in order but in parallel, until it says no.
    fn each_split<'s>(
        &'s self,
        todo: &[&Split],
        threads: usize,
        shared: &Shared<'s>,
        lockstep: bool,
        work: &(dyn Fn(&Split, &'s Handle, OpenSplit<'s>) -> bool + Sync),
    ) {
        let (next, stop) = (AtomicUsize::new(0), &shared.reading.progress.stop);
        let limit = shared.ahead.map_or(0, ReadAhead::bytes);
        let open = MadeAhead::new(if shared.ahead.is_some() { todo.len() } else { 0 }, limit);
        let prepare = |split: &Split| {
            let handle = self.handles.get(split.handle)?;
            Some((handle, split.prepare(shared, handle, lockstep)))
        };
        let make = |index: usize| {
            let made = prepare(todo.get(index).filter(|_| !stop.load(Ordering::Relaxed))?)?;
            let weight = made.1.ahead;
            Some((made, weight))
        };
        let worker = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(split) = todo.get(index) else { return };
                let ready = open.take(index).or_else(|| prepare(split));
                if ready.is_some_and(|(handle, ready)| !work(split, handle, ready)) {
                    return;
                }
            }
        };
        std::thread::scope(|fetching| {
            let _close = shared.ahead.map(|ahead| ahead.scoped(fetching));
            std::thread::scope(|opening| {
                let _close = open.closing();
                for _ in 0..OPENERS.min(todo.len()) {
                    let is_wanted = shared.ahead.is_some();
                    // Whoever takes a split that nobody opened opens it.
                    let _ = is_wanted
                        .then(|| std::thread::Builder::new().spawn_scoped(opening, || open.make(&make)));
                }
                std::thread::scope(|working| {
                    for _ in 1..threads {
                        working.spawn(worker);
                    }
                    worker();
                });
            });
        });
    }
}

/// Makes a place for what does not fit into memory, for each split that may need one.
pub type SpillFn<'a> = &'a (dyn Fn() -> Box<dyn Spill> + Sync);

/// Bytes that are read at once, at least and at most.
const SMALLEST_CHUNK: u64 = 64 << 10;
const LARGEST_CHUNK: u64 = 1 << 20;
const LARGEST_AHEAD: u64 = 8 << 20;

/// How many pieces are under way, at least, where memory is the bound.
const PIECES_AHEAD: u64 = 8;

fn handle(input: &Input<'_>, number: usize, keyed: &KeyedDetails, select: SelectFn<'_>) -> Option<Handle> {
    let operator = input.snapshot.operators.get(keyed.operator)?;
    if let Some((stream, plans)) = Stream::plan(input, operator, keyed, select) {
        let states = plans.into_iter().map(|(name, plan)| State::without_tables(name, plan));
        let states = states.chain(only_in_changes(input, operator, keyed, select)).collect();
        return handle_of(number, operator, keyed, states, Some(stream));
    }
    let empty = DatabaseDetails::default();
    let database = match &keyed.database {
        Some(database) => database,
        // Of a stream, nothing else is wanted, or it cannot be read.
        None if keyed.only_in_changes.is_empty() => return None,
        None => &empty,
    };
    let mut states = Vec::new();
    let mut first_table = 0u32;
    for (family, name) in database.column_families.iter().enumerate() {
        if !select(keyed.operator, name) {
            continue;
        }
        let (mut tables, mut missing) = (Vec::new(), Vec::new());
        for table in database.tables.iter().filter(|table| table.column_family == family) {
            match scan_table(input.snapshot, table.file.and_then(|file| input.tables.get(&file)), table) {
                Ok(table) => tables.push(table),
                Err(table) => missing.push(*table),
            }
        }
        if tables.is_empty()
            && missing.is_empty()
            && keyed.meta.as_ref().is_none_or(|m| m.states.iter().all(|s| s.name != *name))
        {
            // The column family that every database has.
            continue;
        }
        let plan = StatePlan::compile(operator, keyed, name, input.settings);
        let facts = facts(&tables);
        let count = u32::try_from(tables.len()).unwrap_or(u32::MAX);
        states.push(State { name: name.clone(), plan, tables, facts, first_table, missing });
        first_table = first_table.saturating_add(count);
    }
    states.extend(only_in_changes(input, operator, keyed, select));
    if states.is_empty() {
        return None;
    }
    handle_of(number, operator, keyed, states, None)
}

/// The states that are selected and of which nothing was materialized.
fn only_in_changes(
    input: &Input<'_>,
    operator: &Operator,
    keyed: &KeyedDetails,
    select: SelectFn<'_>,
) -> Vec<State> {
    let selected = keyed.only_in_changes.iter().filter(|name| select(keyed.operator, name));
    let state = |name: &String| {
        State::without_tables(name.clone(), StatePlan::compile(operator, keyed, name, input.settings))
    };
    selected.map(state).collect()
}

fn handle_of(
    number: usize,
    operator: &Operator,
    keyed: &KeyedDetails,
    states: Vec<State>,
    stream: Option<Stream>,
) -> Option<Handle> {
    let range = keyed.key_groups;
    let last = range.last()?;
    Some(Handle {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        operator_number: u32::try_from(keyed.operator).unwrap_or(u32::MAX),
        prefix: operator.key_group_prefix(),
        key_groups: (range.start, last),
        states,
        stream,
        overlay: None,
    })
}

fn scan_table(
    snapshot: &Snapshot,
    source: Option<&Source>,
    table: &Table,
) -> Result<ScanTable, Box<MissingTable>> {
    let name = || {
        let file = table.file.and_then(|file| snapshot.file(file));
        file.map_or_else(|| format!("{:06}.sst", table.number), |file| file.place.to_string())
    };
    let missing = |why: Option<String>| {
        let entries = table.tail.as_ref().and_then(|tail| tail.properties.as_ref()?.num_entries);
        Box::new(MissingTable {
            file: table.file,
            level: table.level,
            size: table.size,
            entries,
            name: name(),
            why,
        })
    };
    let (Some(file), Some(tail), Some(bounds)) = (table.file, &table.tail, &table.bounds) else {
        // Why it could not be opened is told where that was tried.
        return Err(missing(None));
    };
    if let Some(unsupported) = Unsupported::of(tail, None, bounds.oldest_blob_file) {
        return Err(missing(Some(unsupported.to_string())));
    }
    let Some(source) = source else { return Err(missing(None)) };
    let global_sequence = match tail.global_sequence(Some(bounds.largest_sequence)) {
        Ok(global_sequence) => global_sequence,
        Err(error) => return Err(missing(Some(error.to_string()))),
    };
    let name = match source {
        Source::Object { location, .. } => location.to_string(),
        Source::Memory { .. } => name(),
    };
    Ok(ScanTable {
        file,
        source: source.clone(),
        name,
        number: table.number,
        level: table.level,
        size: table.size,
        bounds: (**bounds).clone(),
        tail: Arc::clone(tail),
        global_sequence,
    })
}
