//! Cells: ranges of keys of which the indexes are at hand, and their units.

use std::sync::Arc;

use super::super::feed::{Damage, Feed, FeedTable, Reading};
use super::super::plan::{Extent, KeyRange, runs};
use super::super::tables::{BlockList, OpenTable, ScanTable};
use super::super::work::facts;
use super::super::{MissingTable, scan_table};
use super::{Member, Sampler, StateReading, TAIL, TAIL_AT_MOST, UNIT, UNIT_OF_TABLE};
use crate::analyzers::analysis::{AnalysisPartial, Draw, KeyBytes, StateAccumulator, TableFacts, TallyKey};
use crate::lsm::{LiveScan, RangeTombstones, StoredTombstone};
use crate::model::{FileId, Finding, Table};
use crate::readers::details::WantedEnd;
use crate::readers::parallel::each_at_once;

/// A range of key groups of one handle, as MANIFEST tells of it.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) member: usize,
    pub(super) range: KeyRange,
    /// About how many bytes of tables it holds.
    pub(super) size: u64,
    /// Whether it is the first one, or the last, of its member.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl Cell {
    /// All of a member.
    pub(super) fn whole(member: usize, prefix: usize, key_groups: (u32, u32)) -> Self {
        Self { member, range: super::whole(prefix, key_groups), size: 0, is_first: true, is_last: true }
    }
}

/// What is drawn.
#[derive(Debug)]
pub(super) enum Unit {
    /// A range of keys that is read.
    Range(KeyRange),
    /// Bytes outside of the key groups of the handle: of these it is known without reading that they are dead.
    Dead(u64),
}

/// A cell of which the indexes are at hand.
pub(super) struct OpenCell {
    pub(super) member: usize,
    pub(super) tables: Vec<ScanTable>,
    open: Vec<Arc<OpenTable>>,
    lists: Vec<BlockList>,
    facts: Arc<[TableFacts]>,
    tombstones: RangeTombstones,
    pub(super) units: Vec<Unit>,
    /// Bytes of data blocks in its tables, as their properties say, and of the tables.
    pub(super) data: u64,
    pub(super) size: u64,
}

/// What was read of a unit.
#[derive(Debug, Default)]
pub(super) struct UnitRead {
    pub(super) draw: Draw,
    pub(super) damage: Vec<Damage>,
    /// On-disk bytes of data blocks that lie in it, by table of the cell.
    pub(super) stored: Vec<(u32, u64)>,
}

/// What MANIFEST says of where a table's keys lie.
pub(super) fn extent(table: &Table) -> Option<Extent<'_>> {
    Some(Extent { level: table.level, size: table.size, bounds: table.bounds.as_deref()? })
}

/// Whether a table may hold keys of a range.
pub(super) fn overlaps(table: &Table, range: &KeyRange) -> bool {
    table.bounds.as_ref().is_some_and(|bounds| {
        bounds.largest.user_key >= range.low
            && range.high.as_ref().is_none_or(|high| bounds.smallest.user_key < *high)
    })
}

impl<'a> Sampler<'a, '_> {
    /// Reads the indexes of all tables of cells. None if that costs more than is left.
    pub(super) fn open(
        &mut self,
        reading: &StateReading<'_, 'a>,
        cells: &[&Cell],
        unit: u64,
    ) -> Option<Vec<OpenCell>> {
        let members = &reading.stratum.members;
        let held = |cell: &Cell| {
            // What lies outside of the key groups belongs to the cells at both ends.
            let mut range = cell.range.clone();
            if cell.is_first {
                range.low = Vec::new();
            }
            if cell.is_last {
                range.high = None;
            }
            let tables = members.get(cell.member).map(|member| member.tables.as_slice()).unwrap_or_default();
            tables.iter().copied().filter(move |table| overlaps(table, &range)).collect::<Vec<&Table>>()
        };
        let of_cells: Vec<Vec<&Table>> = cells.iter().map(|cell| held(cell)).collect();
        let mut wanted: Vec<WantedEnd> = Vec::new();
        for (cell, tables) in cells.iter().zip(&of_cells) {
            let Some(member) = members.get(cell.member) else { continue };
            wanted.extend(tables.iter().filter_map(|table| {
                let file = table.file.filter(|file| !self.tails.contains_key(file))?;
                Some(WantedEnd {
                    file,
                    owner: member.owner.clone(),
                    size: table.size,
                    length: TAIL,
                    is_kept: false,
                })
            }));
        }
        wanted.sort_by_key(|want| want.file);
        wanted.dedup_by_key(|want| want.file);
        let tails = (wanted.len() as u64).saturating_mul(TAIL_AT_MOST);
        if self.spent.saturating_add(tails) > reading.limit {
            return None;
        }
        self.read_tails(&wanted);

        // Each table once, and only those that are not at hand.
        let mut tables: Vec<Vec<ScanTable>> = Vec::new();
        for (cell, of_cell) in cells.iter().zip(&of_cells) {
            let made = of_cell.iter().filter_map(|table| self.scan_table(members.get(cell.member)?, table));
            tables.push(made.collect());
        }
        let mut closed: Vec<&ScanTable> =
            tables.iter().flatten().filter(|table| !self.opened.contains_key(&table.file)).collect();
        closed.sort_by_key(|table| table.file);
        closed.dedup_by_key(|table| table.file);
        let opening = closed.iter().map(|table| OpenTable::cost(&table.tail));
        // Where an index has partitions, they are read for each cell.
        let listing = tables.iter().flatten().map(|table| OpenTable::partitions_cost(&table.tail));
        let cost = opening.chain(listing).fold(0, u64::saturating_add);
        if self.spent.saturating_add(cost) > reading.limit {
            return None;
        }
        self.spent += cost;
        reading.progress.add(cost.saturating_add(tails));
        let (storage, checksums) = (self.storage, reading.options.checksums);
        let opened = each_at_once(&closed, reading.options.readers, |table| {
            OpenTable::open(storage, table, checksums).map(Arc::new)
        });
        let files: Vec<FileId> = closed.iter().map(|table| table.file).collect();
        self.opened.extend(files.into_iter().zip(opened));

        let cells: Vec<(&Cell, Vec<ScanTable>)> = cells.iter().copied().zip(tables).collect();
        let opened = cells.into_iter().filter_map(|(cell, tables)| {
            Some(self.open_cell(reading, cell, members.get(cell.member)?, tables, unit))
        });
        Some(opened.collect())
    }

    fn scan_table(&mut self, member: &Member<'_>, table: &Table) -> Option<ScanTable> {
        let tail = self.tails.get(&table.file?)?.clone();
        // Why a tail could not be read was told.
        let known = Table { tail: Some(tail?), ..table.clone() };
        match scan_table(self.snapshot, self.opener.table(table.file?), &known) {
            Ok(table) => Some(table),
            Err(missing) => {
                let MissingTable { name, why, size, .. } = *missing;
                if let Some(why) = why
                    && self.told.insert((table.file?, u64::MAX))
                {
                    self.findings.push(
                        Finding::error(
                            "sst_not_analyzed",
                            format!("an SST file is not analyzed: {why}; its {size} bytes are missing from the figures"),
                            "RocksDB itself can read it: statescope materialize, then ldb",
                        )
                        .in_file(&name)
                        .of(member.owner.as_str()),
                    );
                }
                None
            }
        }
    }

    fn open_cell(
        &mut self,
        reading: &StateReading<'_, 'a>,
        cell: &Cell,
        member: &Member<'_>,
        tables: Vec<ScanTable>,
        unit: u64,
    ) -> OpenCell {
        let (storage, checksums) = (self.storage, reading.options.checksums);
        let lists = each_at_once(&tables, reading.options.readers, |table| {
            let open = self.opened.get(&table.file)?;
            let listed = open.clone().and_then(|open| {
                let (low, high) = (&cell.range.low, cell.range.high.as_deref());
                let all = open.blocks(storage, table, &[], None, checksums)?;
                let outside = match self.shared.get(&table.file) {
                    // All of it is told with the first handle.
                    Some((handle, ranges)) if *handle == member.state.handle as usize && cell.is_first => {
                        let inside =
                            ranges.iter().map(|range| all.within(&range.low, range.high.as_deref()).bytes());
                        all.bytes().saturating_sub(inside.fold(0, u64::saturating_add))
                    }
                    Some(_) => 0,
                    None => outside(&all, cell),
                };
                Ok((open, all.within(low, high), outside))
            });
            Some(listed)
        });
        let mut found = OpenCell {
            member: cell.member,
            tables: Vec::new(),
            open: Vec::new(),
            lists: Vec::new(),
            facts: Arc::from([]),
            tombstones: RangeTombstones::new(std::iter::empty()),
            units: Vec::new(),
            data: 0,
            size: 0,
        };
        let mut dead = 0u64;
        for (table, listed) in tables.into_iter().zip(lists) {
            match listed {
                Some(Ok((open, list, outside))) => {
                    dead = dead.saturating_add(outside);
                    found.data = found.data.saturating_add(table.data_bytes().unwrap_or(table.size));
                    found.size = found.size.saturating_add(table.size);
                    found.tables.push(table);
                    found.open.push(open);
                    found.lists.push(list);
                }
                Some(Err(error)) => {
                    self.tell((table.file, table.tail.index.offset), &table.name, member, &error)
                }
                None => {}
            }
        }
        found.facts = facts(&found.tables);
        let stored = found.open.iter().zip(&found.tables).flat_map(|(open, table)| {
            open.range_tombstones.iter().map(|tombstone| StoredTombstone {
                start: &tombstone.start,
                end: &tombstone.end,
                sequence: tombstone.sequence,
                smallest: &table.bounds.smallest,
                largest: &table.bounds.largest,
            })
        });
        found.tombstones = RangeTombstones::new(stored);
        // Where all is read, it is known better then.
        found.cut(cell, unit, if unit == u64::MAX { 0 } else { dead });
        found
    }
}

/// Bytes of blocks that a cell at an end of its member has outside of the key groups.
fn outside(all: &BlockList, cell: &Cell) -> u64 {
    let inside_and_before = all.within(&[], cell.range.high.as_deref()).bytes();
    let inside_and_behind = all.within(&cell.range.low, None).bytes();
    let all = all.bytes();
    let before = if cell.is_first { all.saturating_sub(inside_and_behind) } else { 0 };
    let behind = if cell.is_last { all.saturating_sub(inside_and_before) } else { 0 };
    before.saturating_add(behind)
}

/// The first key behind all that begin with some bytes.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=last)?.to_vec();
    *behind.last_mut()? += 1;
    Some(behind)
}

impl OpenCell {
    /// Cuts the cell into units of about the same bytes of all tables together.
    fn cut(&mut self, cell: &Cell, unit: u64, dead: u64) {
        let unit = unit.max((self.lists.len() as u64).saturating_mul(UNIT_OF_TABLE)).max(UNIT);
        let mut ends: Vec<(&[u8], u64)> = Vec::new();
        for list in &self.lists {
            let sizes =
                list.blocks.iter().map(|block| block.handle.end().saturating_sub(block.handle.offset));
            ends.extend(sizes.enumerate().map(|(at, size)| (list.separator(at), size)));
        }
        ends.sort_unstable();
        let (mut low, mut bytes) = (cell.range.low.clone(), 0u64);
        let mut units = Vec::new();
        for (separator, size) in ends {
            bytes = bytes.saturating_add(size);
            let is_inside = separator >= cell.range.low.as_slice()
                && cell.range.high.as_deref().is_none_or(|high| separator < high);
            if bytes >= unit && is_inside {
                // Keys that are the separator itself belong to its block.
                let high = [separator, &[0]].concat();
                if high > low && cell.range.high.as_ref().is_none_or(|end| high < *end) {
                    let range = KeyRange { low: std::mem::replace(&mut low, high.clone()), high: Some(high) };
                    units.push(Unit::Range(range));
                    bytes = 0;
                }
            }
        }
        units.push(Unit::Range(KeyRange { low, high: cell.range.high.clone() }));
        if dead > 0 {
            let parts = if unit > dead { 1 } else { dead / unit };
            units.extend((0..parts).map(|part| Unit::Dead(dead / parts + u64::from(part < dead % parts))));
        }
        self.units = units;
    }

    /// On-disk bytes of its data blocks. A block that reaches beyond the cell counts as a whole.
    pub(super) fn disk_bytes(&self) -> u64 {
        let dead = self.units.iter().map(|unit| if let Unit::Dead(bytes) = unit { *bytes } else { 0 });
        self.lists.iter().map(BlockList::bytes).chain(dead).fold(0, u64::saturating_add)
    }

    /// On-disk bytes of blocks that hold nothing but rows of a key, and of all that may hold some.
    pub(super) fn extent(&self, key: &KeyBytes) -> (u64, u64) {
        let behind = behind(&key.0);
        let of_lists = self.lists.iter().map(|list| {
            let held = list.within(&key.0, behind.as_deref());
            let ends = held.blocks.first().into_iter().chain(held.blocks.last());
            let ends = ends.map(|block| block.handle.end().saturating_sub(block.handle.offset));
            let all = held.bytes();
            (all.saturating_sub(ends.fold(0, u64::saturating_add)), all)
        });
        of_lists.fold((0, 0), |sum, of| (sum.0.saturating_add(of.0), sum.1.saturating_add(of.1)))
    }

    /// What it costs to read a unit.
    pub(super) fn cost(&self, unit: usize) -> u64 {
        let Some(Unit::Range(range)) = self.units.get(unit) else { return 0 };
        let lists = self.lists.iter().map(|list| list.within(&range.low, range.high.as_deref()).cost());
        lists.fold(0, u64::saturating_add)
    }

    /// Reads a unit.
    pub(super) fn read(&self, reading: Reading<'_>, member: &Member<'_>, range: &KeyRange) -> UnitRead {
        let (low, high) = (&range.low, range.high.as_deref());
        let numbered = self.tables.iter().enumerate();
        let readable: Vec<(u32, &ScanTable)> = numbered
            .filter(|(_, table)| table.overlaps(low, high))
            .filter_map(|(at, table)| Some((u32::try_from(at).ok()?, table)))
            .collect();
        let feeds = runs(&readable).into_iter().map(|run| {
            let tables = run.iter().filter_map(|index| {
                let at = *index as usize;
                let (table, open) = (self.tables.get(at)?, Arc::clone(self.open.get(at)?));
                Some(FeedTable { index: *index, table, open, blocks: self.lists.get(at)?.within(low, high) })
            });
            Feed::new(reading, tables.collect())
        });
        let mut scan = LiveScan::new(feeds.collect(), low, &self.tombstones);
        let mut accumulator = StateAccumulator::new(&member.plan, Arc::clone(&self.facts));
        scan.run(high, &mut accumulator);
        let mut partial = AnalysisPartial::default();
        partial.add_state(member.state.clone(), accumulator.finish());
        let (mut damage, mut stored) = (Vec::new(), Vec::new());
        for mut feed in scan.finish() {
            feed.tell_progress();
            for ((table, compression), tally) in &feed.tallies {
                stored.push((*table, tally.stored_bytes));
                let state = member.state.clone();
                partial.add_tally(TallyKey { state, level: 0, compression: compression.to_string() }, tally);
            }
            damage.append(&mut feed.damage);
        }
        UnitRead { draw: Draw::of(partial), damage, stored }
    }
}
