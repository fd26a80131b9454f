//! Reads a sample: small random ranges of keys, each across all tables that may hold it, so that what is live can be told
//! from what is dead.
//!
//! Each state has its own part of the budget, the larger ones more. A state that its part pays for is read whole. Else
//! its *units* are ranges of keys that hold about the same bytes of all tables together, as their indexes tell:
//!
//! * Where indexes leave enough of the part over, all are read, and units are drawn from all alike.
//! * Else *cells* are drawn, ranges of key groups of one handle that hold as much as a table does, by their size as
//!   MANIFEST tells it and with replacement. Of a cell, the indexes of its tables are read, and some of its units.
//!
//! In both cases draws are independent and equally distributed, which is all that the
//! [intervals](crate::analyzers::analysis::StateSample) ask for. What will be read is known before it is read, down to
//! the byte: from sizes in MANIFEST, from tails, and from indexes. So the budget holds, and neither it nor the number of
//! threads makes the result depend on anything but the seed.

mod cells;
mod random;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use statescope_formats::rocksdb::tail::{RECOMMENDED_TAIL_LEN, TableTail};

use self::cells::{Cell, OpenCell, Unit, UnitRead};
use self::random::Random;
use super::plan::{KeyRange, bytes_before, ranges};
use super::survey::{ByState, chosen};
use super::tables::{OpenTable, ReadError};
use super::{Progress, SelectFn};
use crate::analyzers::analysis::{Draw, KeyExtent, Settings, StateKey, StatePlan, StateSample};
use crate::model::{Details, FileId, Finding, Snapshot, Table};
use crate::readers::details::{WantedEnd, owner, read_ends};
use crate::readers::opener::Opener;
use crate::readers::parallel::each_at_once;
use crate::readers::snapshot::OpenSnapshot;
use crate::storage::{InFlight, ReadAhead, Storage};

/// How a sample is read.
#[derive(Debug, Clone, Copy)]
pub struct SampleOptions {
    /// What the random choices follow from.
    pub seed: u64,
    /// How many bytes of tables may be read.
    pub budget: u64,
    /// Whether checksums of blocks are verified.
    pub checksums: bool,
    /// How many ranges are read at once.
    pub readers: usize,
}

/// A sample.
#[derive(Debug, Default)]
pub struct Sampled {
    /// What was drawn of each state.
    pub samples: ByState<StateSample>,
    /// What could not be read.
    pub findings: Vec<Finding>,
    /// Bytes of tables that were read.
    pub read_bytes: u64,
    /// Ranges of keys that were read.
    pub ranges: u64,
    /// States that were read whole.
    pub whole_states: u64,
}

/// About how much of a file its index takes: one part in so many.
const INDEX_PART: u64 = 100;
/// What opening a table costs besides its index.
const TAIL: u64 = RECOMMENDED_TAIL_LEN as u64;
/// Bytes of a unit, at least, and for each table that holds a part of it: of each, a block more is read.
const UNIT: u64 = 16 << 10;
const UNIT_OF_TABLE: u64 = 4 << 10;
/// Bytes of a cell.
const CELL: u64 = 64 << 20;
/// A state is only drawn from as a whole if it has no more bytes than this, since where its blocks lie is held in memory.
const DRAWN_WHOLE: u64 = 3 << 30;
/// Cells are opened so many at a time.
const CELLS_AT_ONCE: usize = 8;
/// The most units of a cell, and the fewest cells that are worth having more than one unit of each.
const UNITS_OF_CELL: u64 = 64;
const FEW_CELLS: u64 = 16;
/// A state that costs so many times its part is read whole, if that is no more than one in so many of what is left.
const WHOLE_PARTS: u64 = 3;
const WHOLE_OF_ALL: u64 = 12;
/// More draws than this make no estimate better that anybody looks at.
const MOST_DRAWS: usize = 20_000;
/// Indexes that are held for cells to come.
const INDEXES_HELD: u64 = 64 << 20;
/// A key that has less than one part in so many of the on-disk bytes is not among the large ones.
const SMALL_KEY: u64 = 1000;
/// A tail that does not fit costs as much again.
const TAIL_AT_MOST: u64 = 2 * TAIL;
/// One part in so many of the budget may be spent to know when the newest table was made.
const PART_FOR_TIME: u64 = 16;
/// Handles whose newest tables are asked for their time.
const HANDLES_ASKED: usize = 64;

/// The tables of one state in one handle.
struct Member<'d> {
    state: StateKey,
    prefix: usize,
    key_groups: (u32, u32),
    tables: Vec<&'d Table>,
    plan: StatePlan,
    owner: String,
}

/// One state in all handles.
struct Stratum<'d> {
    place: (u32, String),
    /// Bytes of its tables, each once.
    size: u64,
    members: Vec<Member<'d>>,
}

/// Reads samples of a snapshot.
pub struct Sampler<'a, 's> {
    snapshot: &'a Snapshot,
    details: &'a Details,
    opener: &'a mut Opener<'s>,
    storage: &'a dyn Storage,
    select: SelectFn<'a>,
    /// Tails that were read; none where that failed.
    tails: HashMap<FileId, Option<Arc<TableTail>>>,
    /// Tables that were opened for the state that is read.
    opened: HashMap<FileId, Result<Arc<OpenTable>, ReadError>>,
    /// Files that several handles name: the first of these, and the key groups of all.
    shared: HashMap<FileId, (usize, Vec<KeyRange>)>,
    spent: u64,
    findings: Vec<Finding>,
    told: HashSet<(FileId, u64)>,
    ranges: u64,
}

impl fmt::Debug for Sampler<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler")
            .field("spent", &self.spent)
            .field("ranges", &self.ranges)
            .finish_non_exhaustive()
    }
}

impl<'a, 's> Sampler<'a, 's> {
    /// Of the states of a snapshot that are selected.
    pub fn new(open: &'a mut OpenSnapshot<'s>, storage: &'a dyn Storage, select: SelectFn<'a>) -> Self {
        let OpenSnapshot { snapshot, details, opener, .. } = open;
        let mut shared: HashMap<FileId, (usize, Vec<KeyRange>)> = HashMap::new();
        for chosen in chosen(details, select) {
            let (Some(file), Some(last)) = (chosen.table.file, chosen.keyed.key_groups.last()) else {
                continue;
            };
            let prefix = snapshot.operators.get(chosen.keyed.operator).map_or(1, |of| of.key_group_prefix());
            let range = KeyRange::of_key_groups(prefix, chosen.keyed.key_groups.start, last);
            shared.entry(file).or_insert_with(|| (chosen.handle, Vec::new())).1.push(range);
        }
        shared.retain(|_, (_, ranges)| ranges.len() > 1);
        Self {
            snapshot,
            details,
            opener,
            storage,
            select,
            tails: HashMap::new(),
            opened: HashMap::new(),
            shared,
            spent: 0,
            findings: Vec::new(),
            told: HashSet::new(),
            ranges: 0,
        }
    }

    /// When the newest table was made, in seconds since 1970, as it says itself. At most some tables are asked: of each
    /// handle the one with the highest number, of many handles some, and no more than a small part of the budget pays for.
    pub fn newest_seconds(&mut self, budget: u64) -> Option<u64> {
        let mut newest: BTreeMap<usize, (u64, WantedEnd)> = BTreeMap::new();
        for chosen in chosen(self.details, self.select) {
            let Some(want) = self.want(chosen.table, chosen.keyed.operator, chosen.keyed.subtask) else {
                continue;
            };
            let number = chosen.table.number;
            let of_handle = newest.entry(chosen.handle).or_insert_with(|| (number, want.clone()));
            if of_handle.0 < number {
                *of_handle = (number, want);
            }
        }
        let affordable = usize::try_from(budget / PART_FOR_TIME / TAIL_AT_MOST).unwrap_or(usize::MAX);
        let most = HANDLES_ASKED.min(affordable);
        if most == 0 {
            return None;
        }
        let step = newest.len().div_ceil(most).max(1);
        let asked: Vec<WantedEnd> = newest.into_values().step_by(step).map(|(_, want)| want).collect();
        self.read_tails(&asked);
        let tails = asked.iter().filter_map(|want| self.tails.get(&want.file)?.as_ref());
        let properties = tails.filter_map(|tail| tail.properties.as_ref());
        properties.filter_map(|p| p.file_creation_time.filter(|time| *time > 0).or(p.creation_time)).max()
    }

    /// Reads a sample. None if it was stopped.
    pub fn sample(
        &mut self,
        settings: &Settings,
        options: &SampleOptions,
        progress: &Progress,
    ) -> Option<Sampled> {
        let mut strata = self.strata(settings);
        strata.sort_by(|a, b| (a.size, &a.place).cmp(&(b.size, &b.place)));
        let mut sampled = Sampled::default();
        let mut bytes: u64 = strata.iter().map(|stratum| stratum.size).fold(0, u64::saturating_add);
        for (at, stratum) in strata.iter().enumerate() {
            // What small states leave over goes to the larger ones.
            let left = options.budget.saturating_sub(self.spent);
            let states = (strata.len() - at) as u64;
            let by_size = super::feed::share(left / 5 * 4, stratum.size, bytes.max(1));
            let part = if states == 1 { left } else { by_size.saturating_add(left / 5 / states) };
            bytes = bytes.saturating_sub(stratum.size);
            self.opened.clear();
            let reading = StateReading { stratum, options, limit: self.spent.saturating_add(part), progress };
            let (sample, whole) = self.state(reading);
            if progress.is_stopped() {
                return None;
            }
            sampled.whole_states += u64::from(whole);
            sampled.samples.insert(stratum.place.clone(), sample);
        }
        // Each is told once, however often a sample is read.
        sampled.findings.clone_from(&self.findings);
        (sampled.read_bytes, sampled.ranges) = (self.spent, self.ranges);
        Some(sampled)
    }

    fn strata(&self, settings: &Settings) -> Vec<Stratum<'a>> {
        let mut members: BTreeMap<(u32, String), BTreeMap<usize, Member<'a>>> = BTreeMap::new();
        for chosen in chosen(self.details, self.select) {
            let Some(operator) = self.snapshot.operators.get(chosen.keyed.operator) else { continue };
            let Some(last) = chosen.keyed.key_groups.last() else { continue };
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let place = (number(chosen.keyed.operator), chosen.state.to_owned());
            let of_state = members.entry(place).or_default();
            let member = of_state.entry(chosen.handle).or_insert_with(|| Member {
                state: StateKey {
                    operator: number(chosen.keyed.operator),
                    handle: number(chosen.handle),
                    state: chosen.state.to_owned(),
                },
                prefix: operator.key_group_prefix(),
                key_groups: (chosen.keyed.key_groups.start, last),
                tables: Vec::new(),
                plan: StatePlan::compile(operator, chosen.keyed, chosen.state, settings),
                owner: owner(operator, chosen.keyed.subtask),
            });
            // What cannot be opened was told where that was tried.
            if chosen.table.file.is_some() && chosen.table.bounds.is_some() {
                member.tables.push(chosen.table);
            }
        }
        let strata = members.into_iter().map(|(place, members)| {
            let members: Vec<Member<'a>> = members.into_values().collect();
            let mut seen = BTreeSet::new();
            let tables = members.iter().flat_map(|member| &member.tables);
            let size = tables.filter(|table| seen.insert(table.file)).map(|table| table.size);
            Stratum { place, size: size.fold(0, u64::saturating_add), members }
        });
        strata.collect()
    }

    fn want(&self, table: &Table, operator: usize, subtask: u32) -> Option<WantedEnd> {
        let operator = self.snapshot.operators.get(operator)?;
        Some(WantedEnd {
            file: table.file?,
            owner: owner(operator, subtask),
            size: table.size,
            length: TAIL,
            is_kept: false,
        })
    }

    /// Reads tails that were not read yet.
    fn read_tails(&mut self, wanted: &[WantedEnd]) {
        let mut seen = HashSet::new();
        let wanted: Vec<WantedEnd> = wanted
            .iter()
            .filter(|want| !self.tails.contains_key(&want.file) && seen.insert(want.file))
            .cloned()
            .collect();
        let ends = read_ends(self.opener, self.snapshot, &wanted, &mut self.findings);
        for (want, end) in wanted.into_iter().zip(ends) {
            self.spent = self.spent.saturating_add(end.as_ref().map_or(0, |end| end.read));
            self.tails.insert(want.file, end.map(|end| end.tail));
        }
    }

    /// Reads a sample of one state, or all of it.
    fn state(&mut self, mut reading: StateReading<'_, 'a>) -> (StateSample, bool) {
        let Stratum { size, members, .. } = reading.stratum;
        let tables: u64 = members.iter().map(|member| member.tables.len() as u64).sum();
        let part = reading.limit.saturating_sub(self.spent);
        let whole = size.saturating_add(tables.saturating_mul(2 * TAIL));
        // Of a state that has hardly more units than are drawn, a single odd one that is missed spoils the estimate.
        let left = reading.options.budget.saturating_sub(self.spent);
        let affordable = part.saturating_mul(WHOLE_PARTS).min(left / WHOLE_OF_ALL).max(part);
        if whole <= affordable {
            reading.limit = self.spent.saturating_add(affordable);
        }
        if whole <= affordable
            && let Some(sample) = self.drawn_from_all(&reading, u64::MAX)
        {
            return (sample, true);
        }
        let indexes = (size / INDEX_PART).saturating_add(tables.saturating_mul(TAIL));
        if indexes <= part / 5 * 4
            && *size <= DRAWN_WHOLE
            && let Some(sample) = self.drawn_from_all(&reading, UNIT)
        {
            let whole = sample.is_whole();
            return (sample, whole);
        }
        (self.drawn_from_cells(&reading), false)
    }

    /// Draws from all units of a state. None if its indexes alone cost more than there is.
    fn drawn_from_all(&mut self, reading: &StateReading<'_, 'a>, unit: u64) -> Option<StateSample> {
        let members = &reading.stratum.members;
        let cells: Vec<Cell> = members
            .iter()
            .enumerate()
            .map(|(member, of)| Cell::whole(member, of.prefix, of.key_groups))
            .collect();
        let cells: Vec<&Cell> = cells.iter().collect();
        let opened = self.open(reading, &cells, unit)?;
        let disk_bytes: u64 = opened.iter().map(OpenCell::disk_bytes).fold(0, u64::saturating_add);
        let places = opened
            .iter()
            .enumerate()
            .flat_map(|(cell, open)| (0..open.units.len()).map(move |unit| (cell, unit)));
        let places: Vec<(usize, usize)> = places.collect();
        let mut random = reading.random();
        let most = if unit == u64::MAX { places.len() } else { MOST_DRAWS };
        let (mut chosen, mut stopped) = (Vec::new(), false);
        for at in random.distinct(most, places.len()) {
            let Some((cell, unit)) = places.get(at).copied() else { continue };
            let Some(open) = opened.get(cell) else { continue };
            let cost = open.cost(unit);
            if self.spent.saturating_add(cost) > reading.limit {
                stopped = true;
                break;
            }
            self.spent += cost;
            chosen.push((open, unit));
        }
        let (draws, held) = self.read(reading, &chosen);
        if !stopped && chosen.len() == places.len() {
            let mut all = Draw::default();
            draws.into_iter().for_each(|draw| all.add(draw));
            if unit == u64::MAX {
                all.add(Draw::dead(outside_of_all(&opened, &held)));
            }
            return Some(StateSample::whole(all));
        }
        let mut sample = StateSample::new(disk_bytes);
        draws.into_iter().for_each(|draw| sample.push(draw));
        let extents = sample.keys().into_keys().filter_map(|key| {
            // A key belongs to one key group, and that to one handle.
            let extents = opened.iter().map(|open| open.extent(key));
            let (at_least, at_most) = extents.fold((0u64, 0u64), |sum, of| (sum.0 + of.0, sum.1 + of.1));
            let may_be_large = at_most.saturating_mul(SMALL_KEY) >= disk_bytes;
            may_be_large.then(|| KeyExtent { key: key.clone(), at_least, at_most })
        });
        let extents = extents.collect();
        sample.set_extents(extents);
        Some(sample)
    }

    /// Draws cells, and units from each.
    fn drawn_from_cells(&mut self, reading: &StateReading<'_, 'a>) -> StateSample {
        let population = Population::new(&reading.stratum.members);
        let mut random = reading.random();
        let part = reading.limit.saturating_sub(self.spent);
        let units = population.units_of_cell(part);
        let mut draws: Vec<Draw> = Vec::new();
        let (mut data, mut sizes) = (0u64, 0u64);
        let mut at_once = CELLS_AT_ONCE;
        while draws.len() < MOST_DRAWS && !reading.progress.is_stopped() {
            let before = random.clone();
            let drawn: Vec<usize> = (0..at_once).map(|_| population.draw(&mut random)).collect();
            let cells: Vec<&Cell> = drawn.iter().filter_map(|at| population.cells.get(*at)).collect();
            let Some(opened) = self.open(reading, &cells, UNIT) else {
                // The last ones may fit one by one.
                if at_once == 1 {
                    break;
                }
                (at_once, random) = (1, before);
                continue;
            };
            let mut chosen = Vec::new();
            let mut ends = Vec::new();
            for (cell, open) in cells.iter().zip(&opened) {
                let some = random.distinct(usize::try_from(units).unwrap_or(1), open.units.len());
                let cost = some.iter().map(|unit| open.cost(*unit)).fold(0, u64::saturating_add);
                if self.spent.saturating_add(cost) > reading.limit {
                    break;
                }
                self.spent += cost;
                let weight = match some.len() {
                    0 => 0.0,
                    some => {
                        open.units.len() as f64 / some as f64 / (cell.size as f64 / population.size as f64)
                    }
                };
                chosen.extend(some.into_iter().map(|unit| (open, unit)));
                ends.push((chosen.len(), weight));
                (data, sizes) = (data.saturating_add(open.data), sizes.saturating_add(open.size));
            }
            let mut read = self.read(reading, &chosen).0.into_iter();
            let mut begin = 0;
            for (end, weight) in &ends {
                let mut draw = Draw::default();
                read.by_ref().take(end - begin).for_each(|unit| draw.add(unit));
                draws.push(draw.times(*weight));
                begin = *end;
            }
            if ends.len() < opened.len() {
                break;
            }
            if self.opened.values().flatten().map(|open| open.memory()).sum::<u64>() > INDEXES_HELD {
                self.opened.clear();
            }
        }
        // How much of its files is data, the tables that were opened tell.
        let share = if sizes > 0 { data as f64 / sizes as f64 } else { 1.0 };
        let mut sample = StateSample::about(reading.stratum.size as f64 * share);
        draws.into_iter().for_each(|draw| sample.push(draw));
        sample
    }

    /// Reads units, several at a time; they come back in order, with how many on-disk bytes of each file they hold.
    fn read(&mut self, reading: &StateReading<'_, 'a>, units: &[(&OpenCell, usize)]) -> (Vec<Draw>, Held) {
        // Units are small, and several are read at once: there is nothing to be read ahead.
        let direct = ReadAhead::new(self.storage, InFlight::default());
        let feed = super::feed::Reading {
            storage: direct.within(0),
            ahead: super::LARGEST_CHUNK,
            checksums: reading.options.checksums,
            chunk: super::LARGEST_CHUNK,
            progress: reading.progress,
        };
        let members = &reading.stratum.members;
        let read = each_at_once(units, reading.options.readers, |(open, unit)| {
            match (open.units.get(*unit), members.get(open.member)) {
                (Some(Unit::Range(range)), Some(member)) => open.read(feed, member, range),
                (Some(Unit::Dead(bytes)), _) => UnitRead { draw: Draw::dead(*bytes), ..UnitRead::default() },
                _ => UnitRead::default(),
            }
        });
        let read_ranges =
            units.iter().filter(|(open, unit)| matches!(open.units.get(*unit), Some(Unit::Range(_))));
        self.ranges += read_ranges.count() as u64;
        let (mut draws, mut held) = (Vec::with_capacity(read.len()), Held::new());
        for ((open, _), UnitRead { draw, damage, stored }) in units.iter().zip(read) {
            for (table, bytes) in stored {
                if let Some(table) = open.tables.get(table as usize) {
                    *held.entry(table.file).or_default() += bytes;
                }
            }
            for found in damage {
                let Some(table) = open.tables.get(found.table as usize) else { continue };
                let at = (table.file, found.offset);
                if let Some(member) = members.get(open.member) {
                    self.tell(at, &table.name, member, &found.error);
                }
            }
            draws.push(draw);
        }
        (draws, held)
    }

    fn tell(&mut self, at: (FileId, u64), name: &str, member: &Member<'_>, error: &ReadError) {
        if !self.told.insert(at) {
            return;
        }
        let offset = match error {
            ReadError::Format(error) => error.offset(),
            ReadError::Storage(_) => at.1,
        };
        self.findings.push(
            Finding::error(
                "sst_damaged",
                format!(
                    "an SST file of state {:?} is damaged: {error}; the estimates leave out what was to be read there",
                    member.state.state
                ),
                "statescope verify --deep finds all that is damaged; if the file was copied, copy it again",
            )
            .in_file(name)
            .at(offset)
            .of(member.owner.as_str()),
        );
    }
}

/// On-disk bytes of data blocks that were read, by file.
type Held = BTreeMap<FileId, u64>;

/// What of the files is in no handle's key groups, where all of these were read.
fn outside_of_all(opened: &[OpenCell], held: &Held) -> u64 {
    let mut data: BTreeMap<FileId, u64> = BTreeMap::new();
    for table in opened.iter().flat_map(|open| &open.tables) {
        data.insert(table.file, table.data_bytes().unwrap_or(0));
    }
    let outside = data.iter().map(|(file, bytes)| bytes.saturating_sub(held.get(file).copied().unwrap_or(0)));
    outside.fold(0, u64::saturating_add)
}

/// How one state is read.
#[derive(Clone, Copy)]
struct StateReading<'r, 'd> {
    stratum: &'r Stratum<'d>,
    options: &'r SampleOptions,
    /// What may be spent in all when it is done.
    limit: u64,
    progress: &'r Progress,
}

impl StateReading<'_, '_> {
    fn random(&self) -> Random {
        let (operator, state) = &self.stratum.place;
        let name = [&operator.to_be_bytes()[..], state.as_bytes()].concat();
        Random::new(self.options.seed, &name)
    }
}

/// The cells of a state.
struct Population {
    cells: Vec<Cell>,
    /// The sizes of the cells up to each, and of all.
    ends: Vec<u64>,
    size: u64,
    /// What it costs to open one of them, on average, and to read one of its units.
    open_cost: u64,
    unit_cost: u64,
}

impl Population {
    fn new(members: &[Member<'_>]) -> Self {
        let mut cells = Vec::new();
        let (mut tables, mut sizes) = (0u64, 0u64);
        for (number, member) in members.iter().enumerate() {
            let extents: Vec<_> = member.tables.iter().filter_map(|table| cells::extent(table)).collect();
            let before = |key: &[u8]| extents.iter().map(|table| bytes_before(table, key)).sum::<u64>();
            let all = extents.iter().map(|table| table.size).sum::<u64>();
            let ranges = ranges(&extents, member.prefix, member.key_groups, CELL);
            let last = ranges.len().saturating_sub(1);
            for (at, range) in ranges.into_iter().enumerate() {
                // What lies before the first key group goes with the first cell, and so on.
                let from = if at == 0 { 0 } else { before(&range.low) };
                let to = range.high.as_ref().filter(|_| at < last).map_or(all, |high| before(high));
                let held = member.tables.iter().filter(|table| cells::overlaps(table, &range));
                for table in held {
                    (tables, sizes) = (tables + 1, sizes.saturating_add(table.size));
                }
                let size = to.saturating_sub(from).max(1);
                cells.push(Cell { member: number, range, size, is_first: at == 0, is_last: at == last });
            }
        }
        let mut size = 0u64;
        let ends = cells.iter().map(|cell| {
            size = size.saturating_add(cell.size);
            size
        });
        let ends = ends.collect();
        let count = (cells.len() as u64).max(1);
        let open_cost = (sizes / INDEX_PART).saturating_add(tables.saturating_mul(TAIL)) / count;
        let unit_cost = UNIT.saturating_add(tables / count * UNIT_OF_TABLE);
        Self { cells, ends, size, open_cost, unit_cost }
    }

    /// A cell, by its size.
    fn draw(&self, random: &mut Random) -> usize {
        let at = random.below(self.size);
        self.ends.partition_point(|end| *end <= at)
    }

    /// How many units to read of each cell: the more, the more it costs to open one, as long as there are enough cells.
    fn units_of_cell(&self, part: u64) -> u64 {
        // Units of one cell are taken to differ eight times as much as cells do.
        let best = (self.open_cost.saturating_mul(8) / self.unit_cost.max(1)).isqrt().clamp(1, UNITS_OF_CELL);
        let most = (part / FEW_CELLS).saturating_sub(self.open_cost) / self.unit_cost.max(1);
        best.min(most.max(1))
    }
}

/// The key range of whole key groups.
fn whole(prefix: usize, (first, last): (u32, u32)) -> KeyRange {
    KeyRange::of_key_groups(prefix, first, last)
}
