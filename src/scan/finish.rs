//! What is known only when everything was read: what lies outside of all handles, and what is missing.

use std::collections::{BTreeMap, BTreeSet};

use statescope_formats::rocksdb::compression::CompressionType;
use statescope_formats::rocksdb::tail::TableTail;

use super::feed::share;
use super::partial::{ChangesRead, ScanPartial, TableRead};
use super::tables::ScanTable;
use super::work::tally_key;
use super::{Handle, Scan, State};
use crate::analyzers::analysis::{AnalysisPartial, PhysicalTally, TallyKey};
use crate::model::{FileId, Finding};
use crate::readers::details::owner;

/// How many places of one table are told.
const PLACES_TOLD: usize = 3;

/// Everything that was read.
#[derive(Debug)]
pub struct Finished {
    /// The figures.
    pub analysis: AnalysisPartial,
    /// What could not be read.
    pub findings: Vec<Finding>,
}

/// A table, wherever handles name it.
struct Seen<'s> {
    handle: &'s Handle,
    state: &'s State,
    table: &'s ScanTable,
    read: TableRead,
    damaged: bool,
    /// Whether all of its keys belong to some handle.
    inside: bool,
}

impl Scan<'_> {
    /// Completes the figures with what no split can know.
    #[must_use]
    pub fn finish(&self, sum: &ScanPartial) -> Finished {
        let mut analysis = sum.analysis.clone();
        let mut findings = Vec::new();
        let mut seen: BTreeMap<FileId, Seen<'_>> = BTreeMap::new();
        for handle in &self.handles {
            for state in &handle.states {
                for (index, table) in (0u32..).zip(&state.tables) {
                    let number = state.table_number(index);
                    let read = sum.tables.get(&(handle.number, number)).copied().unwrap_or_default();
                    let range = (handle.number, number, 0)..=(handle.number, number, u64::MAX);
                    let damaged = sum.damage.range(range).next().is_some();
                    let inside = is_inside(handle, table);
                    let entry = seen.entry(table.file).or_insert_with(|| Seen {
                        handle,
                        state,
                        table,
                        read: TableRead::default(),
                        damaged: false,
                        inside: false,
                    });
                    entry.read.entries = entry.read.entries.saturating_add(read.entries);
                    entry.read.stored_bytes = entry.read.stored_bytes.saturating_add(read.stored_bytes);
                    entry.damaged |= damaged;
                    entry.inside |= inside;
                }
            }
        }
        for seen in seen.values() {
            let (key, tally) = seen.rest();
            analysis.add_tally(key, &tally);
        }
        self.missing(&mut analysis, &mut findings);
        self.damage(sum, &seen, &mut findings);
        self.streams(sum, &mut findings);
        self.changes(sum, &mut analysis, &mut findings);
        Finished { analysis, findings }
    }

    /// Tables of which nothing was read.
    fn missing(&self, analysis: &mut AnalysisPartial, findings: &mut Vec<Finding>) {
        let mut told: BTreeSet<FileId> = BTreeSet::new();
        for handle in &self.handles {
            for state in &handle.states {
                for table in &state.missing {
                    if table.file.is_some_and(|file| !told.insert(file)) {
                        continue;
                    }
                    let tally = PhysicalTally {
                        files: 1,
                        damaged_files: 1,
                        damaged_bytes: table.size,
                        damaged_entries: table.entries.unwrap_or(0),
                        ..PhysicalTally::default()
                    };
                    let key = TallyKey {
                        state: super::work::state_key(handle, state),
                        level: table.level,
                        compression: "unknown".to_owned(),
                    };
                    analysis.add_tally(key, &tally);
                    let Some(why) = &table.why else { continue };
                    findings.push(
                        Finding::error(
                            "sst_not_analyzed",
                            format!(
                                "an SST file of state {:?} is not analyzed: {why}; its {} bytes are missing from the figures",
                                state.name, table.size
                            ),
                            "RocksDB itself can read it: statescope materialize, then ldb",
                        )
                        .in_file(&table.name)
                        .of(self.owner(handle)),
                    );
                }
            }
        }
    }

    /// Places that could not be read.
    fn damage(&self, sum: &ScanPartial, seen: &BTreeMap<FileId, Seen<'_>>, findings: &mut Vec<Finding>) {
        let mut told: BTreeMap<FileId, BTreeSet<u64>> = BTreeMap::new();
        let mut tables: BTreeMap<(u32, u32), (&Handle, &State, &ScanTable)> = BTreeMap::new();
        for handle in &self.handles {
            for state in &handle.states {
                let numbered = (0u32..).zip(&state.tables);
                tables.extend(numbered.map(|(index, table)| {
                    ((handle.number, state.table_number(index)), (handle, state, table))
                }));
            }
        }
        let mut hidden: BTreeMap<FileId, (u64, u64)> = BTreeMap::new();
        for ((handle, table, offset), damage) in &sum.damage {
            let Some(&(handle, state, table)) = tables.get(&(*handle, *table)) else { continue };
            let places = told.entry(table.file).or_default();
            // Handles that share a file see the same damage.
            if !places.insert(*offset) {
                continue;
            }
            if places.len() > PLACES_TOLD {
                let (count, bytes) = hidden.entry(table.file).or_default();
                (*count, *bytes) = (*count + 1, bytes.saturating_add(damage.bytes));
                continue;
            }
            let what = match damage.blocks {
                0 => "its index cannot be read, so that all of it",
                _ => "a block cannot be read, which",
            };
            findings.push(
                Finding::error(
                    "sst_damaged",
                    format!(
                        "an SST file of state {:?} is damaged: {}; {what} ({} bytes) is missing from the figures, and \
                         older versions of its keys may count as live{}",
                        state.name,
                        damage.message,
                        damage.bytes,
                        seen.get(&table.file).map_or_else(String::new, Seen::lost)
                    ),
                    "if the file was copied, copy it again; as it is, Flink fails when it reads these keys",
                )
                .in_file(&table.name)
                .at(damage.at)
                .of(self.owner(handle)),
            );
        }
        for (file, (count, bytes)) in hidden {
            let Some(seen) = seen.get(&file) else { continue };
            findings.push(
                Finding::error(
                    "sst_damaged",
                    format!("{count} more places of this file cannot be read ({bytes} bytes)"),
                    "if the file was copied, copy it again",
                )
                .in_file(&seen.table.name)
                .of(self.owner(seen.handle)),
            );
        }
    }

    /// Key groups of streams that could not be read, or not to their end.
    fn streams(&self, sum: &ScanPartial, findings: &mut Vec<Finding>) {
        for handle in &self.handles {
            let Some(stream) = &handle.stream else { continue };
            let range = (handle.number, 0)..=(handle.number, u32::MAX);
            let found = || sum.streams.range(range.clone()).map(|((_, group), read)| (*group, read));
            let places: Vec<Finding> = found()
                .filter(|(_, read)| read.damaged)
                .map(|(group, read)| {
                    Finding::error(
                        "key_group_damaged",
                        format!(
                            "key group {group} of a stream of keyed state cannot be read to its end: {}; what follows ({} bytes at most) is missing from the figures",
                            read.message, read.bytes
                        ),
                        "if the file was copied, copy it again; as it is, Flink fails when it reads this key group",
                    )
                    .in_file(&stream.name)
                    .at(read.at)
                    .of(self.owner(handle))
                })
                .collect();
            if let Some(more) = places.len().checked_sub(PLACES_TOLD).filter(|more| *more > 0) {
                findings.push(
                    Finding::error(
                        "key_group_damaged",
                        format!("{more} more key groups of this file cannot be read to their end"),
                        "if the file was copied, copy it again",
                    )
                    .in_file(&stream.name)
                    .of(self.owner(handle)),
                );
            }
            findings.extend(places.into_iter().take(PLACES_TOLD));
            let mut undivided: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
            for (_, read) in found().filter(|(_, read)| !read.damaged) {
                let (groups, bytes) = undivided.entry(&read.message).or_default();
                (*groups, *bytes) = (*groups + 1, bytes.saturating_add(read.bytes));
            }
            for (why, (groups, bytes)) in undivided {
                findings.push(
                    Finding::warning(
                        "key_groups_not_divided",
                        format!(
                            "{bytes} bytes in {groups} key groups of a stream of keyed state are in no figure: {why}, and nothing says where the next state begins"
                        ),
                        "a canonical savepoint of the job has the length of each value, and can be analyzed",
                    )
                    .in_file(&stream.name)
                    .of(self.owner(handle)),
                );
            }
        }
    }

    /// What changes of changelogs did, and which of them are not applied.
    fn changes(&self, sum: &ScanPartial, analysis: &mut AnalysisPartial, findings: &mut Vec<Finding>) {
        for (number, read) in &sum.changes {
            let Some(handle) = self.handles.iter().find(|handle| handle.number == *number) else { continue };
            for (state, tally) in &read.states {
                analysis.add_changes(handle.operator_number, state.clone(), tally);
            }
            findings.extend(not_applied(read).map(|finding| finding.of(self.owner(handle))));
        }
    }

    fn owner(&self, handle: &Handle) -> String {
        let keyed = self.input.details.keyed.get(handle.number as usize);
        let operator = self.input.snapshot.operators.get(handle.operator_number as usize);
        operator.zip(keyed).map_or_else(String::new, |(operator, keyed)| owner(operator, keyed.subtask))
    }
}

/// What of a changelog is not applied, if anything is not.
pub(super) fn not_applied(read: &ChangesRead) -> impl Iterator<Item = Finding> + '_ {
    let stopped = read.stopped.iter().map(|stopped| {
        let finding = Finding::error(
            CHANGELOG_NOT_APPLIED,
            format!(
                "sets of changes that are not applied: {}, since {}; figures are those of before them",
                stopped.sets, stopped.message
            ),
            "if the file was copied, copy it again; as it is, Flink cannot restore from it",
        )
        .in_file(&stopped.file);
        match stopped.at {
            Some(at) => finding.at(at),
            None => finding,
        }
    });
    let states = read.states.iter().flat_map(|(state, tally)| {
        let skipped = tally.not_applied.iter().map(move |(reason, not)| {
            Finding::warning(
                CHANGELOG_NOT_APPLIED,
                format!(
                    "{} changes of state {state:?} ({} bytes) are not applied: {reason}",
                    not.changes, not.bytes
                ),
                "figures of the state are older than the snapshot, or lack what was added since its last materialization",
            )
        });
        let merged = (tally.merged_rows > 0).then(|| {
            Finding::warning(
                CHANGELOG_NOT_APPLIED,
                format!(
                    "{} rows of state {state:?} hold what several namespaces were merged to, which changes do not tell",
                    tally.merged_rows
                ),
                "these rows are counted, and their values are not",
            )
        });
        skipped.chain(merged)
    });
    stopped.chain(states)
}

const CHANGELOG_NOT_APPLIED: &str = "changelog_not_applied";

/// Whether all keys of a table are in the key groups of a handle.
fn is_inside(handle: &Handle, table: &ScanTable) -> bool {
    let range = super::plan::KeyRange::of_key_groups(handle.prefix, handle.key_groups.0, handle.key_groups.1);
    let largest = &table.bounds.largest.user_key;
    // The end of a range tombstone is exclusive.
    table.bounds.smallest.user_key >= range.low && range.high.is_none_or(|high| *largest <= high)
}

/// The compression that a table's properties name.
pub(super) fn compression_of(tail: &TableTail) -> CompressionType {
    let name = tail.properties.as_ref().and_then(|p| p.compression.as_deref());
    (0..=7u8)
        .map(CompressionType::from_u8)
        .find(|kind| name.is_some_and(|name| name == kind.name()))
        .unwrap_or(CompressionType::NoCompression)
}

impl Seen<'_> {
    /// What of the file was not in any split: counted once, for the first handle that names it.
    fn rest(&self) -> (TallyKey, PhysicalTally) {
        let table = self.table;
        let compression = compression_of(&table.tail);
        let mut tally =
            PhysicalTally { files: 1, range_deletes: table.range_deletions(), ..PhysicalTally::default() };
        let entries = table.data_entries().unwrap_or(0).saturating_sub(self.read.entries);
        let bytes = table.data_bytes().unwrap_or(0).saturating_sub(self.read.stored_bytes);
        if self.damaged {
            (tally.damaged_files, tally.damaged_bytes) = (1, bytes);
            tally.damaged_entries = if self.inside { entries } else { 0 };
        } else {
            tally.clipped = entries;
            tally.stored_bytes = bytes;
            tally.index_bytes = table.data_bytes().map_or(0, |data| share(table.index_bytes(), bytes, data));
        }
        (tally_key(self.handle, self.state, table, compression), tally)
    }

    fn lost(&self) -> String {
        let entries = self.table.data_entries().map(|all| all.saturating_sub(self.read.entries));
        match entries {
            Some(entries) if self.inside => format!("; in all, {entries} entries of this file are missing"),
            _ => String::new(),
        }
    }
}
