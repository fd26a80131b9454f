//! What is known of tables without reading their data: from MANIFEST alone, or from the end of each file.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rayon::prelude::*;
use statescope_formats::Error as FormatError;
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};
use statescope_formats::rocksdb::index::{IndexBlock, IndexFormat};
use statescope_formats::rocksdb::tail::TableTail;

use super::finish::compression_of;
use super::tables::{BlockReader, check_size};
use super::{Progress, SelectFn};
use crate::analyzers::analysis::{AnalysisPartial, DiskGroups, PhysicalTally, StateKey, TallyKey};
use crate::model::{Details, Finding, KeyedDetails, Snapshot, Table};
use crate::readers::details::{TableEnd, WantedEnd, end_length, owner, read_ends};
use crate::readers::opener::Wanted;
use crate::readers::snapshot::OpenSnapshot;
use crate::storage::Span;

/// By state: the index of its operator in the snapshot, and its name.
pub type ByState<T> = BTreeMap<(u32, String), T>;

/// A table of a state that is analyzed.
pub(super) struct Chosen<'d> {
    /// Index of the handle in [`Details::keyed`].
    pub(super) handle: usize,
    pub(super) keyed: &'d KeyedDetails,
    pub(super) state: &'d str,
    pub(super) table: &'d Table,
}

/// All tables of the states that are selected, as often as handles name them.
pub(super) fn chosen<'d>(details: &'d Details, select: SelectFn<'d>) -> impl Iterator<Item = Chosen<'d>> {
    details.keyed.iter().enumerate().flat_map(move |(handle, keyed)| {
        keyed.database.iter().flat_map(move |database| {
            database.tables.iter().filter_map(move |table| {
                let state = database.column_families.get(table.column_family)?;
                select(keyed.operator, state).then_some(Chosen { handle, keyed, state, table })
            })
        })
    })
}

/// The same, each file for the first handle that names it.
fn chosen_once<'d>(details: &'d Details, select: SelectFn<'d>) -> impl Iterator<Item = Chosen<'d>> {
    let mut seen = BTreeSet::new();
    chosen(details, select).filter(move |chosen| chosen.table.file.is_none_or(|file| seen.insert(file)))
}

/// Bytes of the SST files of the states that are selected, each file once.
#[must_use]
pub fn sst_bytes(details: &Details, select: SelectFn<'_>) -> u64 {
    chosen_once(details, select).map(|chosen| chosen.table.size).fold(0, u64::saturating_add)
}

/// Bytes of the streams of the states that are selected, each with all that it holds.
#[must_use]
pub fn stream_bytes(details: &Details, select: SelectFn<'_>) -> u64 {
    let selected = details.keyed.iter().filter(|keyed| {
        keyed.meta.iter().flat_map(|meta| &meta.states).any(|state| select(keyed.operator, &state.name))
    });
    let streams = selected.filter_map(|keyed| keyed.stream.as_ref());
    streams.map(|stream| stream.size).fold(0, u64::saturating_add)
}

/// How much the depth `index` reads of tables, nearly.
#[must_use]
pub fn index_bytes(details: &Details, select: SelectFn<'_>) -> u64 {
    chosen_once(details, select).map(|chosen| end_length(chosen.table.size)).fold(0, u64::saturating_add)
}

/// On-disk bytes by key group, to the file, as MANIFEST tells.
#[must_use]
pub fn file_groups(details: &Details, select: SelectFn<'_>) -> ByState<DiskGroups> {
    let mut groups: ByState<DiskGroups> = BTreeMap::new();
    for Chosen { keyed, state, table, .. } in chosen_once(details, select) {
        let Some((first, last)) = table.key_groups else { continue };
        let operator = u32::try_from(keyed.operator).unwrap_or(u32::MAX);
        let of_state = groups.entry((operator, state.to_owned())).or_insert_with(DiskGroups::of_files);
        of_state.add(first, last, table.size);
    }
    groups
}

/// An index of so many bytes is read, and one of a quarter of its file.
const LARGEST_INDEX: u64 = 64 << 20;

/// What ends of tables say.
#[derive(Debug, Default)]
pub struct Survey {
    /// What properties count: physical figures only.
    pub analysis: AnalysisPartial,
    /// On-disk bytes of data blocks by key group, to the block.
    pub groups: ByState<DiskGroups>,
    /// What could not be read.
    pub findings: Vec<Finding>,
    /// Bytes of tables that were read.
    pub read_bytes: u64,
    /// When the newest table was made, in seconds since 1970, as it says itself.
    pub newest_seconds: Option<u64>,
}

/// A table that is surveyed: for the first handle that names it.
struct Subject {
    want: WantedEnd,
    state: StateKey,
    level: u32,
    prefix: usize,
    key_groups: Option<(u32, u32)>,
}

/// What was read of a table.
struct Read<'s> {
    subject: &'s Subject,
    name: String,
    end: Option<TableEnd>,
    /// More of its index, which ends where the end begins.
    more: Option<(u64, Bytes)>,
}

/// Reads the end of every table of the states that are selected: one request for each, and a second one where its
/// index is larger than expected. False if it was stopped.
pub fn survey(
    open: &mut OpenSnapshot<'_>,
    select: SelectFn<'_>,
    checksums: bool,
    memory: u64,
    progress: &Progress,
) -> Option<Survey> {
    let subjects = subjects(&open.snapshot, &open.details, select);
    let mut survey = Survey::default();
    // What is read of some tables is decoded while the next ones are read.
    let mut before: Vec<Read<'_>> = Vec::new();
    for chunk in chunks(&subjects, memory / 4) {
        if progress.is_stopped() {
            return None;
        }
        let reads = std::thread::scope(|scope| {
            let decoding = scope.spawn(|| decode(&before, checksums));
            let reads = read(open, chunk, &mut survey.findings);
            match decoding.join() {
                Ok(decoded) => survey.add(decoded),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            reads
        });
        let bytes: u64 = reads.iter().map(Read::bytes).sum();
        progress.add(bytes);
        survey.read_bytes = survey.read_bytes.saturating_add(bytes);
        before = reads;
    }
    survey.add(decode(&before, checksums));
    Some(survey)
}

fn subjects(snapshot: &Snapshot, details: &Details, select: SelectFn<'_>) -> Vec<Subject> {
    let subject = |chosen: Chosen<'_>| {
        let Chosen { handle, keyed, state, table } = chosen;
        let operator = snapshot.operators.get(keyed.operator)?;
        let file = table.file?;
        Some(Subject {
            want: WantedEnd {
                file,
                owner: owner(operator, keyed.subtask),
                size: table.size,
                length: end_length(table.size),
                is_kept: false,
            },
            state: StateKey {
                operator: u32::try_from(keyed.operator).unwrap_or(u32::MAX),
                handle: u32::try_from(handle).unwrap_or(u32::MAX),
                state: state.to_owned(),
            },
            level: table.level,
            prefix: operator.key_group_prefix(),
            key_groups: table.key_groups,
        })
    };
    chosen_once(details, select).filter_map(subject).collect()
}

/// As many tables as are read at once.
fn chunks(subjects: &[Subject], most: u64) -> Vec<&[Subject]> {
    const MOST: usize = 4096;
    let mut chunks = Vec::new();
    let (mut rest, mut bytes, mut count) = (subjects, 0u64, 0usize);
    for subject in subjects {
        if count > 0 && (count >= MOST || bytes.saturating_add(subject.want.length) > most) {
            let (chunk, behind) = rest.split_at(count);
            chunks.push(chunk);
            (rest, bytes, count) = (behind, 0, 0);
        }
        (bytes, count) = (bytes.saturating_add(subject.want.length), count + 1);
    }
    chunks.push(rest);
    chunks
}

fn read<'s>(
    open: &mut OpenSnapshot<'_>,
    subjects: &'s [Subject],
    findings: &mut Vec<Finding>,
) -> Vec<Read<'s>> {
    let wanted: Vec<WantedEnd> = subjects.iter().map(|subject| subject.want.clone()).collect();
    let ends = read_ends(&mut open.opener, &open.snapshot, &wanted, findings);
    let mut reads: Vec<Read<'s>> = subjects
        .iter()
        .zip(ends)
        .map(|(subject, end)| {
            let file = open.snapshot.file(subject.want.file);
            let name = file.map_or_else(String::new, |file| file.place.to_string());
            Read { subject, name, end, more: None }
        })
        .collect();
    let (mut indexes, mut wanted) = (Vec::new(), Vec::new());
    for (at, read) in reads.iter().enumerate() {
        let Some(end) = &read.end else { continue };
        let start = index_start(&end.tail);
        // More than any index is not believed: what is not read of it is told when it is decoded.
        let most = LARGEST_INDEX.max(read.subject.want.size / 4);
        if start < end.offset && end.offset - start <= most {
            indexes.push(at);
            wanted.push(Wanted { file: read.subject.want.file, span: Span::Range(start..end.offset) });
        }
    }
    for (at, part) in indexes.into_iter().zip(open.opener.read(&open.snapshot, &wanted)) {
        let Some(read) = reads.get_mut(at) else { continue };
        match part {
            Ok(part) => read.more = Some((part.offset, part.bytes)),
            Err(error) => {
                findings.push(error.finding("the index of an SST file").of(read.subject.want.owner.as_str()));
                read.end = None;
            }
        }
    }
    reads
}

/// Where the index begins. Partitions lie before their top level, and the size that properties tell is of all.
fn index_start(tail: &TableTail) -> u64 {
    let size = tail.properties.as_ref().and_then(|p| p.index_size).unwrap_or(0);
    match IndexFormat::of(tail) {
        Ok(format) if format.is_partitioned() => tail.index.offset.saturating_sub(size),
        _ => tail.index.offset,
    }
}

impl Read<'_> {
    fn bytes(&self) -> u64 {
        let more = self.more.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        self.end.as_ref().map_or(0, |end| end.read).saturating_add(more)
    }

    fn tally_key(&self, compression: &str) -> TallyKey {
        let (state, level) = (self.subject.state.clone(), self.subject.level);
        TallyKey { state, level, compression: compression.to_owned() }
    }

    /// Adds what is known of the table.
    fn survey(&self, buffers: &mut Buffers, survey: &mut Survey) {
        let Some(end) = &self.end else {
            return self.missing(survey);
        };
        let tail = &*end.tail;
        let Some(tally) = tally(tail) else {
            survey.findings.push(
                Finding::warning(
                    "sst_without_properties",
                    "an SST file does not say what it holds: its entries are missing from the figures",
                    "--depth full counts them",
                )
                .in_file(&self.name)
                .of(self.subject.want.owner.as_str()),
            );
            return self.missing(survey);
        };
        survey.analysis.add_tally(self.tally_key(&compression_of(tail).to_string()), &tally);
        let made = tail
            .properties
            .as_ref()
            .and_then(|p| p.file_creation_time.filter(|t| *t > 0).or(p.creation_time));
        survey.newest_seconds = survey.newest_seconds.max(made);
        let Some(bounds) = self.subject.key_groups else { return };
        let mut groups = Groups::new(self.subject.prefix, bounds);
        if let Err(error) = self.blocks(buffers, &mut groups) {
            survey.findings.push(
                Finding::error(
                    "sst_damaged",
                    format!("the index of an SST file cannot be read: {error}; its bytes are divided among its key groups"),
                    "if the file was copied, copy it again; as it is, Flink fails when it reads these keys",
                )
                .in_file(&self.name)
                .at(error.offset())
                .of(self.subject.want.owner.as_str()),
            );
            groups = Groups::new(self.subject.prefix, bounds);
            groups.done.add(bounds.0, bounds.1, tally.stored_bytes);
        }
        let place = (self.subject.state.operator, self.subject.state.state.clone());
        survey.groups.entry(place).or_insert_with(DiskGroups::of_blocks).merge(&groups.finish());
    }

    fn missing(&self, survey: &mut Survey) {
        let tally = PhysicalTally {
            files: 1,
            damaged_files: 1,
            damaged_bytes: self.subject.want.size,
            ..PhysicalTally::default()
        };
        survey.analysis.add_tally(self.tally_key("unknown"), &tally);
    }

    fn blocks(&self, buffers: &mut Buffers, groups: &mut Groups) -> Result<(), FormatError> {
        let Some(TableEnd { tail, bytes, offset, .. }) = &self.end else { return Ok(()) };
        let joined;
        // An index that reaches into both parts is put together.
        let (start, bytes) = match &self.more {
            Some((start, more)) => {
                joined = [&more[..], &bytes[..]].concat();
                (*start, &joined[..])
            }
            None => (*offset, &bytes[..]),
        };
        let format = IndexFormat::of(tail)?;
        let mut read = BlockReader {
            tail,
            checksums: buffers.checksums,
            decompressor: Decompressor::new(),
            buffer: std::mem::take(&mut buffers.block),
        };
        let mut block = |handle: BlockHandle, what, each: &mut dyn FnMut(&[u8], BlockHandle)| {
            check_size(handle)?;
            let contents = read.block(bytes, start, handle, what)?;
            let mut entries = IndexBlock::new(contents, handle.offset, format)?.entries();
            while let Some(entry) = entries.next()? {
                each(entry.separator, entry.handle);
            }
            Ok::<(), FormatError>(())
        };
        let mut partitions = Vec::new();
        let is_partitioned = format.is_partitioned();
        block(tail.index, "an index block", &mut |separator, handle| {
            if is_partitioned { partitions.push(handle) } else { groups.add(separator, handle) }
        })?;
        for handle in partitions {
            block(handle, "a partition of the index", &mut |separator, handle| {
                groups.add(separator, handle)
            })?;
        }
        buffers.block = read.buffer;
        Ok(())
    }
}

/// What properties say of a table; nothing where they do not.
fn tally(tail: &TableTail) -> Option<PhysicalTally> {
    let p = tail.properties.as_ref()?;
    let entries = p.num_entries?;
    let range_deletes = p.num_range_deletions.unwrap_or(0);
    let deletes = p.num_deletions.unwrap_or(0).saturating_sub(range_deletes);
    let merges = p.num_merge_operands.unwrap_or(0);
    const TRAILER: u64 = 8;
    Some(PhysicalTally {
        files: 1,
        puts: entries.saturating_sub(range_deletes).saturating_sub(deletes).saturating_sub(merges),
        deletes,
        merges,
        range_deletes,
        key_bytes: p.raw_key_size.unwrap_or(0).saturating_sub(entries.saturating_mul(TRAILER)),
        value_bytes: p.raw_value_size.unwrap_or(0),
        data_blocks: p.num_data_blocks.unwrap_or(0),
        stored_bytes: p.data_size.unwrap_or(0),
        index_bytes: p.index_size.unwrap_or(0).saturating_add(p.filter_size.unwrap_or(0)),
        ..PhysicalTally::default()
    })
}

/// Divides the blocks of a table among key groups. Blocks come in order, and most in the group of the one before.
struct Groups {
    prefix: usize,
    last: u32,
    done: DiskGroups,
    /// Groups and bytes of blocks that are not in `done` yet.
    run: (u32, u32, u64),
}

impl Groups {
    fn new(prefix: usize, (first, last): (u32, u32)) -> Self {
        Self { prefix, last, done: DiskGroups::of_blocks(), run: (first, first, 0) }
    }

    fn add(&mut self, separator: &[u8], handle: BlockHandle) {
        let bytes = handle.size.saturating_add(BLOCK_TRAILER_LEN);
        let (first, last, sum) = self.run;
        let group =
            separator.iter().take(self.prefix).fold(0u32, |group, byte| group << 8 | u32::from(*byte));
        // No key is a bare prefix: what is not behind it lies before its key group.
        let is_bare = separator.len() <= self.prefix;
        let end = if is_bare { group.saturating_sub(1) } else { group }.min(self.last).max(last);
        if (first, last) == (end, end) {
            self.run.2 = sum.saturating_add(bytes);
            return;
        }
        // The block may begin in the key group that the one before ended in.
        self.done.add(first, last, sum);
        self.done.add(last, end, bytes);
        self.run = (end, end, 0);
    }

    fn finish(mut self) -> DiskGroups {
        let (first, last, sum) = self.run;
        if sum > 0 {
            self.done.add(first, last, sum);
        }
        self.done
    }
}

/// What is used again from table to table.
struct Buffers {
    checksums: bool,
    block: Vec<u8>,
}

fn decode(reads: &[Read<'_>], checksums: bool) -> Survey {
    let new = || (Buffers { checksums, block: Vec::new() }, Survey::default());
    let decoded = reads.par_iter().fold(new, |(mut buffers, mut survey), read| {
        read.survey(&mut buffers, &mut survey);
        (buffers, survey)
    });
    let mut survey = decoded.map(|(_, survey)| survey).reduce(Survey::default, |mut a, b| {
        a.add(b);
        a
    });
    // In whichever order they came.
    survey.findings.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
    survey
}

impl Survey {
    fn add(&mut self, other: Self) {
        self.analysis.merge(other.analysis);
        for (state, groups) in other.groups {
            self.groups.entry(state).or_default().merge(&groups);
        }
        self.findings.extend(other.findings);
        self.newest_seconds = self.newest_seconds.max(other.newest_seconds);
    }
}
