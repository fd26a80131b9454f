//! Reads every key group of streams, all in-flight data, and every block of tables, to verify them: checksums, compression, the order of keys, the bounds that MANIFEST
//! records, and that there are as many entries as the properties say.
//!
//! A table costs a request for its index, one for its filter, and one for each stretch of data blocks. Its footer,
//! metaindex and properties were verified with its tail. Tables are read in parallel; memory is bounded by what is
//! read at once and by an index for each thread.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use statescope_formats::rocksdb::data_block::{EntryCursor, Next};
use statescope_formats::rocksdb::internal_key::{InternalKeyBuf, MAX_SEQUENCE, ValueType};

use super::changes::{self, CONTRADICTS, Overlay};
use super::channels::{channel_bytes, read_channels};
use super::feed::{Feed, FeedTable, Reading};
use super::partial::ChangesRead;
use super::stream::{self, CheckedStream, Stream};
use super::tables::{OpenTable, ReadError, ScanTable, verify_others};
use super::{LARGEST_CHUNK, Progress, SMALLEST_CHUNK, ScanOptions, scan_table};
use crate::analyzers::verify::DeepRead;
use crate::lsm::{BlockUse, Blocks};
use crate::model::{About, Details, Effect, FileId, Finding, Snapshot};
use crate::readers::details::{is_unknown, owner};
use crate::readers::opener::unreadable;
use crate::readers::parallel::each_at_once;
use crate::readers::source::Source;
use crate::storage::{Location, ReadAhead, Storage};

/// How many places of one table are told.
const PLACES_TOLD: usize = 3;

/// Verifies the tables of snapshots one after the other; one that several name is read once.
#[derive(Debug, Default)]
pub struct DeepVerifier {
    /// By object, where in it the table begins, and the global sequence number that MANIFEST gives it.
    known: HashMap<(Location, u64, Option<u64>), Arc<Checked>>,
}

/// A snapshot whose small files and tails were read.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// What its small files say, the tails of tables included.
    pub details: &'a Details,
    /// Where its tables are.
    pub tables: &'a HashMap<FileId, Source>,
}

/// What a table turned out to hold.
#[derive(Debug, Default)]
struct Checked {
    damage: Vec<(u64, ReadError)>,
    /// Data blocks that could be read.
    blocks: u64,
    /// Entries that are no range tombstones.
    entries: u64,
    tombstones: u64,
    /// The first and the last of the entries.
    ends: Option<(InternalKeyBuf, InternalKeyBuf)>,
    /// The smallest and the largest sequence number of entries and range tombstones.
    sequences: Option<(u64, u64)>,
}

impl Checked {
    fn sequence(&mut self, sequence: u64) {
        let (low, high) = self.sequences.get_or_insert((sequence, sequence));
        *low = sequence.min(*low);
        *high = sequence.max(*high);
    }
}

/// A table of a handle.
struct Named<'a> {
    /// Index in [`Details::keyed`].
    keyed: usize,
    column_family: usize,
    owner: &'a str,
    family: &'a str,
    table: ScanTable,
}

impl DeepVerifier {
    /// On-disk bytes of the data blocks that [`verify`](Self::verify) is to read, nearly.
    #[must_use]
    pub fn bytes(&self, subject: Subject<'_>) -> u64 {
        let mut seen = HashSet::new();
        let owners = owners(subject);
        let named = named(subject, &owners, &mut Vec::new());
        let tables = named.iter().map(|named| &named.table).filter(|table| self.known(table).is_none());
        let tables = tables.filter(|table| seen.insert(table.file));
        let tables = tables.map(|table| table.data_bytes().unwrap_or(table.size));
        let streams = streams(subject);
        tables
            .chain(streams.iter().map(|(_, _, stream)| stream.bytes()))
            .chain([channel_bytes(subject.snapshot)])
            .fold(0, u64::saturating_add)
    }

    /// Reads all tables of a snapshot, and says what is wrong with them and how much is right. None if it was
    /// stopped.
    pub fn verify(
        &mut self,
        storage: &dyn Storage,
        subject: Subject<'_>,
        options: ScanOptions,
        progress: &Progress,
    ) -> Option<(DeepRead, Vec<Finding>)> {
        let mut findings = Vec::new();
        let owners: Vec<String> = owners(subject);
        let named = named(subject, &owners, &mut findings);
        let mut seen = HashSet::new();
        let todo: Vec<&Named<'_>> =
            named.iter().filter(|n| seen.insert(n.table.file) && self.known(&n.table).is_none()).collect();
        let chunk = options.memory / 2 / (options.threads.max(1) as u64);
        // Each thread reads a table of its own, and there are as many as may ask at once.
        let direct = ReadAhead::new(storage, options.in_flight());
        let reading = Reading {
            storage: direct.within(0),
            ahead: chunk.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            checksums: options.checksums,
            chunk: chunk.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            progress,
        };
        let checked = each_at_once(&todo, options.threads, |named| Arc::new(check(reading, &named.table)));
        let streams = streams(subject);
        let checked_streams =
            each_at_once(&streams, options.threads, |(_, _, stream)| stream::check(reading, stream));
        let changes = changes(subject);
        let checked_changes =
            each_at_once(&changes, options.threads, |(overlay, _)| changes::check(reading, overlay));
        if progress.stop.load(Ordering::Relaxed) {
            return None;
        }
        let channels =
            read_channels(storage, subject.snapshot, subject.tables, options, progress, &|_| true)?;
        let mut by_file: HashMap<FileId, Arc<Checked>> = HashMap::new();
        for (named, checked) in todo.iter().zip(checked) {
            if let Some(key) = key(&named.table) {
                self.known.insert(key, Arc::clone(&checked));
            }
            by_file.insert(named.table.file, checked);
        }
        for named in &named {
            if let Some(known) = self.known(&named.table) {
                by_file.entry(named.table.file).or_insert(known);
            }
        }
        let mut read = judge(&named, &by_file, &mut findings);
        for ((keyed, file, stream), checked) in streams.iter().zip(checked_streams) {
            let owner = owners.get(*keyed).map_or("", String::as_str);
            key_groups(stream, *file, owner, &checked, &mut findings);
            read.streams += u64::from(checked.damage.is_empty());
            read.key_groups += checked.key_groups;
            read.rows += checked.rows;
            read.stream_bytes = read.stream_bytes.saturating_add(checked.bytes);
        }
        for (overlay, checked, owner) in
            changes.iter().zip(checked_changes).map(|((overlay, keyed), checked)| {
                (overlay, checked, owners.get(*keyed).map_or("", String::as_str))
            })
        {
            read.changelogs += u64::from(checked.stopped.is_none());
            read.change_sets = read.change_sets.saturating_add(checked.sets);
            read.changes = read.changes.saturating_add(checked.changes);
            read.change_bytes = read.change_bytes.saturating_add(checked.bytes);
            findings.extend(changes_damage(overlay, &checked).map(|finding| finding.of(owner)));
        }
        for channel in channels.channels.iter().filter(|channel| channel.tail.is_some()) {
            read.channels += 1;
            read.channel_bytes = read.channel_bytes.saturating_add(channel.bytes);
            read.channel_elements += channel.elements.count();
        }
        findings.extend(channels.findings);
        Some((read, findings))
    }

    fn known(&self, table: &ScanTable) -> Option<Arc<Checked>> {
        self.known.get(&key(table)?).cloned()
    }
}

/// What makes a table the same in another snapshot.
fn key(table: &ScanTable) -> Option<(Location, u64, Option<u64>)> {
    match &table.source {
        Source::Object { location, start, .. } => Some((location.clone(), *start, table.global_sequence)),
        Source::Memory { .. } => None,
    }
}

fn owners(subject: Subject<'_>) -> Vec<String> {
    let operators = &subject.snapshot.operators;
    let keyed = subject.details.keyed.iter();
    let owners = keyed.map(|keyed| operators.get(keyed.operator).map(|o| owner(o, keyed.subtask)));
    owners.map(Option::unwrap_or_default).collect()
}

/// The tables of all handles; those that cannot be read are findings, unless that was told before.
fn named<'a>(subject: Subject<'a>, owners: &'a [String], findings: &mut Vec<Finding>) -> Vec<Named<'a>> {
    let mut named = Vec::new();
    for (index, (keyed, owner)) in subject.details.keyed.iter().zip(owners).enumerate() {
        let Some(database) = &keyed.database else { continue };
        for table in &database.tables {
            let family = database.column_families.get(table.column_family).map_or("", String::as_str);
            let source = table.file.and_then(|file| subject.tables.get(&file));
            match scan_table(subject.snapshot, source, table) {
                Ok(scanned) => named.push(Named {
                    keyed: index,
                    column_family: table.column_family,
                    owner,
                    family,
                    table: scanned,
                }),
                Err(missing) => {
                    let (Some(why), Some(file)) = (missing.why, missing.file) else { continue };
                    findings.push(
                        Finding::error(
                            "sst_not_checked",
                            format!("the blocks of an SST file of state {family:?} were not verified: {why}"),
                            "RocksDB itself can read it: statescope materialize, then ldb",
                        )
                        .in_file(missing.name)
                        .of(owner)
                        .about(About::File(file)),
                    );
                }
            }
        }
    }
    named
}

/// The streams of all handles, each with the index of its handle in [`Details::keyed`].
fn streams(subject: Subject<'_>) -> Vec<(usize, FileId, Stream)> {
    let Subject { snapshot, details, tables } = subject;
    let keyed = details.keyed.iter().enumerate();
    let streams = keyed.filter_map(|(index, keyed)| {
        let operator = snapshot.operators.get(keyed.operator)?;
        let stream = Stream::new(snapshot, tables, operator, keyed, &mut |_| Some(0))?;
        Some((index, keyed.stream.as_ref()?.file, stream))
    });
    streams.collect()
}

/// The changes of all changelogs, each with the index of a handle of it in [`Details::keyed`].
fn changes(subject: Subject<'_>) -> Vec<(Overlay, usize)> {
    let Subject { snapshot, details, tables } = subject;
    let mut found: Vec<(Overlay, usize)> = Vec::new();
    for (index, keyed) in details.keyed.iter().enumerate() {
        let Some(changes) = &keyed.changes else { continue };
        if found.iter().all(|(known, _)| !known.is_of(changes)) {
            found.extend(Overlay::of_all(snapshot, details, tables, changes).map(|overlay| (overlay, index)));
        }
    }
    found
}

/// What is wrong with the changes of a changelog.
fn changes_damage<'c>(overlay: &'c Overlay, checked: &'c ChangesRead) -> impl Iterator<Item = Finding> + 'c {
    let stopped = checked.stopped.iter().map(move |stopped| {
        let message =
            format!("sets of changes that cannot be decoded: {}, since {}", stopped.sets, stopped.message);
        let remedy = "if the file was copied, copy it again; as it is, Flink cannot restore from it";
        let finding = Finding::error("changelog_damaged", message, remedy).in_file(&stopped.file);
        let finding = match overlay.file(&stopped.file) {
            Some(file) => finding.about(About::File(file)),
            None => finding,
        };
        let finding = if stopped.unknown { finding.meaning(Effect::Unknown) } else { finding };
        match stopped.at {
            Some(at) => finding.at(at),
            None => finding,
        }
    });
    let states = checked.states.iter().filter_map(|(state, tally)| {
        let contradicts = tally.not_applied.get(CONTRADICTS)?;
        Some(
            Finding::error(
                "changelog_damaged",
                format!(
                    "{} changes of state {state:?} ({} bytes) are not what its serializers write",
                    contradicts.changes, contradicts.bytes
                ),
                "if the file was copied, copy it again; as it is, Flink may not restore from it",
            )
            .meaning(Effect::Unknown),
        )
    });
    stopped.chain(states)
}

/// What is wrong with the key groups of a stream.
fn key_groups(
    stream: &Stream,
    file: FileId,
    owner: &str,
    checked: &CheckedStream,
    findings: &mut Vec<Finding>,
) {
    let remedy = "if the file was copied, copy it again; as it is, Flink fails when it reads this key group";
    let of = |finding: Finding| finding.in_file(&stream.name).of(owner).about(About::File(file));
    for (group, begin, error) in checked.damage.iter().take(PLACES_TOLD) {
        findings.push(match error {
            ReadError::Storage(error) => {
                let what = format!("key group {group} of a stream of keyed state");
                of(unreadable(&what, Some(error.kind()), &error.to_string()).at(*begin))
            }
            ReadError::Format(error) => {
                let message = format!(
                    "key group {group} of a stream of keyed state cannot be read to its end: {error}"
                );
                let finding = of(Finding::error("key_group_damaged", message, remedy)).at(*begin);
                if is_unknown(error) { finding.meaning(Effect::Unknown) } else { finding }
            }
        });
    }
    let more = checked.damage.len().saturating_sub(PLACES_TOLD);
    if more > 0 {
        let message = format!("{more} more key groups of this file cannot be read to their end");
        findings.push(of(Finding::error("key_group_damaged", message, remedy)));
    }
}

/// Reads all blocks of a table.
fn check(reading: Reading<'_>, table: &ScanTable) -> Checked {
    let mut checked = Checked::default();
    let (storage, checksums) = (&reading.storage as &dyn Storage, reading.checksums);
    if let Err(error) = verify_others(storage, table) {
        checked.damage.push((table.tail.index.offset, error));
    }
    let opened = OpenTable::open(storage, table, checksums).and_then(|open| {
        let blocks = open.blocks(storage, table, &[], None, checksums)?;
        Ok((open, blocks))
    });
    let (open, blocks) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            checked.damage.push((table.tail.index.offset, error));
            return checked;
        }
    };
    checked.tombstones = open.range_tombstones.len() as u64;
    open.range_tombstones.iter().for_each(|tombstone| checked.sequence(tombstone.sequence));
    let mut feed = Feed::new(reading, vec![FeedTable { index: 0, table, open: Arc::new(open), blocks }]);
    let mut cursor = EntryCursor::new();
    while feed.advance() {
        cursor.enter_block();
        entries(&mut feed, &mut cursor, &mut checked);
        feed.done(&BlockUse::default(), cursor.fault());
    }
    feed.tell_progress();
    checked.blocks = feed.tallies.values().map(|tally| tally.data_blocks).sum();
    checked.damage.extend(feed.damage.into_iter().map(|damage| (damage.offset, damage.error)));
    checked
}

/// Goes over the entries of a block; the cursor sees to it that they ascend.
fn entries(feed: &mut Feed<'_>, cursor: &mut EntryCursor, checked: &mut Checked) {
    while let Next::Key(_) = cursor.next(feed.entries()) {
        let trailer = feed.trailer(cursor.key().trailer());
        checked.entries += 1;
        checked.sequence(trailer >> 8);
        if checked.ends.is_none()
            && let Some(first) = internal_key(cursor, trailer)
        {
            checked.ends = Some((first.clone(), first));
        }
    }
    // The cursor is at the last entry still.
    if let Some((_, last)) = &mut checked.ends
        && let Some(key) = internal_key(cursor, feed.trailer(cursor.key().trailer()))
    {
        *last = key;
    }
}

fn internal_key(cursor: &EntryCursor, trailer: u64) -> Option<InternalKeyBuf> {
    let value_type = ValueType::from_u8((trailer & 0xff) as u8)?;
    Some(InternalKeyBuf { user_key: cursor.key().user_key().to_vec(), sequence: trailer >> 8, value_type })
}

/// Compares what tables hold with what is said of them.
fn judge(
    named: &[Named<'_>],
    by_file: &HashMap<FileId, Arc<Checked>>,
    findings: &mut Vec<Finding>,
) -> DeepRead {
    let mut files: BTreeMap<FileId, (bool, &ScanTable)> = BTreeMap::new();
    let mut level_0: BTreeMap<(usize, usize), Vec<(&Named<'_>, &Checked)>> = BTreeMap::new();
    for named in named {
        let Some(checked) = by_file.get(&named.table.file) else { continue };
        let before = findings.len();
        damage(named, checked, findings);
        if checked.damage.is_empty() {
            bounds(named, checked, findings);
            counts(named, checked, findings);
        }
        let (good, _) = files.entry(named.table.file).or_insert((true, &named.table));
        *good &= findings.len() == before;
        if named.table.level == 0 {
            level_0.entry((named.keyed, named.column_family)).or_default().push((named, checked));
        }
    }
    level_0.into_values().for_each(|tables| order(tables, findings));
    let mut read = DeepRead::default();
    for (file, (good, table)) in files {
        let Some(checked) = by_file.get(&file) else { continue };
        read.data_blocks += checked.blocks;
        read.entries += checked.entries + checked.tombstones;
        if good {
            read.files += 1;
            read.bytes = read.bytes.saturating_add(table.tail.file_size);
        }
    }
    read
}

impl Named<'_> {
    fn finding(&self, code: &'static str, message: String) -> Finding {
        let remedy = "if the file was copied, copy it again; as it is, Flink fails or loses state when it reads these keys";
        self.of(Finding::error(code, message, remedy))
    }

    fn of(&self, finding: Finding) -> Finding {
        finding.in_file(&self.table.name).of(self.owner).about(About::File(self.table.file))
    }
}

fn damage(named: &Named<'_>, checked: &Checked, findings: &mut Vec<Finding>) {
    let what = format!("an SST file of state {:?}", named.family);
    for (offset, error) in checked.damage.iter().take(PLACES_TOLD) {
        findings.push(match error {
            ReadError::Storage(error) => {
                named.of(unreadable(&what, Some(error.kind()), &error.to_string()).at(*offset))
            }
            ReadError::Format(error) => {
                let finding =
                    named.finding("sst_damaged", format!("{what} is damaged: {error}")).at(error.offset());
                if is_unknown(error) { finding.meaning(Effect::Unknown) } else { finding }
            }
        });
    }
    let more = checked.damage.len().saturating_sub(PLACES_TOLD);
    if more > 0 {
        let rest = checked.damage.iter().skip(PLACES_TOLD);
        let known = |error: &ReadError| matches!(error, ReadError::Format(error) if !is_unknown(error));
        let effect = if rest.map(|(_, error)| error).any(known) { Effect::Breaks } else { Effect::Unknown };
        let message = format!("{more} more places of this file cannot be read");
        findings.push(named.finding("sst_damaged", message).meaning(effect));
    }
}

fn bounds(named: &Named<'_>, checked: &Checked, findings: &mut Vec<Finding>) {
    let bounds = &named.table.bounds;
    if let Some((first, last)) = &checked.ends
        && (first.as_key() < bounds.smallest.as_key() || last.as_key() > bounds.largest.as_key())
    {
        findings.push(named.finding(
            "sst_keys_out_of_bounds",
            format!(
                "an SST file of state {:?} has keys from {first:?} to {last:?}, where MANIFEST says {:?} to {:?}",
                named.family, bounds.smallest, bounds.largest
            ),
        ));
    }
    if let Some((_, largest)) = checked.sequences
        && largest > bounds.largest_sequence
    {
        findings.push(named.finding(
            "sst_keys_out_of_bounds",
            format!(
                "an SST file of state {:?} has the sequence number {largest}, where MANIFEST says that {} is the largest",
                named.family, bounds.largest_sequence
            ),
        ));
    }
}

fn counts(named: &Named<'_>, checked: &Checked, findings: &mut Vec<Finding>) {
    let Some(said) = named.table.tail.properties.as_ref().and_then(|p| p.num_entries) else { return };
    // RocksDB 5.17 does not count range tombstones.
    if ![checked.entries, checked.entries + checked.tombstones].contains(&said) {
        findings.push(named.finding(
            "sst_entries_differ",
            format!(
                "an SST file of state {:?} has {} entries and {} range tombstones, where its properties say {said}",
                named.family, checked.entries, checked.tombstones
            ),
        ));
    }
}

/// Tables of level 0 come from one memtable after the other: those that overlap in keys do not in sequence numbers.
fn order(mut tables: Vec<(&Named<'_>, &Checked)>, findings: &mut Vec<Finding>) {
    tables.sort_by(|(a, _), (b, _)| a.table.bounds.smallest.as_key().cmp(&b.table.bounds.smallest.as_key()));
    let mut open: Vec<(&Named<'_>, (u64, u64))> = Vec::new();
    for (named, checked) in tables {
        let Some(sequences) = checked.sequences else { continue };
        let smallest = &named.table.bounds.smallest.user_key;
        open.retain(|(before, _)| {
            let largest = &before.table.bounds.largest;
            // The end of a range tombstone is exclusive.
            let is_bound = largest.value_type == ValueType::RangeDeletion && largest.sequence == MAX_SEQUENCE;
            largest.user_key > *smallest || (largest.user_key == *smallest && !is_bound)
        });
        let overlaps = |other: &(u64, u64)| sequences.0 <= other.1 && other.0 <= sequences.1;
        if let Some((before, other)) = open.iter().find(|(_, other)| overlaps(other)) {
            findings.push(named.of(Finding::error(
                "level_0_order",
                format!(
                    "{:06}.sst and {:06}.sst, both in level 0 of state {:?}, overlap in keys and in sequence numbers ({} to {}, \
                     {} to {}): which of them is newer is not known",
                    before.table.number, named.table.number, named.family, other.0, other.1, sequences.0, sequences.1
                ),
                "some versions of RocksDB refuse to open such a database: restore it once to be sure",
            )));
        }
        open.push((named, sequences));
    }
}
