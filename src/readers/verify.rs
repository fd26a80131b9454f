//! Asks for every file that a snapshot needs: that it is there, can be read, and has the right size.
//!
//! | kind of handle | what is right |
//! |---|---|
//! | a file, absolute or relative | the object has the recorded size |
//! | a segment of a merged file | it ends no later than the object |
//! | a file of a changelog | the object is there: the recorded size is that of the uncompressed changes |
//! | bytes in `_metadata`, an empty segment | there is no object to ask for |
//!
//! What is read anyway gives the size by the same request; of every other object one byte is read, since meta data
//! says nothing of an object in an archive. No object is asked for twice, however many handles, segments or snapshots
//! name it.

use std::collections::{BTreeMap, HashSet};

use statescope_formats::Error as FormatError;

use super::channels::open_channels;
use super::details::{Depth, owner, read_details, read_tails};
use super::discover::MetadataFile;
use super::opener::{Holder, Known, Opener};
use super::snapshot::{ReadOptions, SnapshotReading, decode_metadata};
use crate::model::{
    About, Details, FileId, FileRole, Finding, KeyedContent, KeyedState, Operator, Place, Snapshot,
    StateFile, Subtask, Table,
};
use crate::storage::Storage;

/// Verifies snapshots one after the other, and remembers what it asked for.
#[derive(Debug)]
pub struct Verifier<'s> {
    storage: &'s dyn Storage,
    options: ReadOptions,
    known: Known,
}

impl<'s> Verifier<'s> {
    /// Begins. The tails of all tables are read, whatever the options say. Up to `keep` bytes of small files are held
    /// for snapshots that name them again.
    #[must_use]
    pub fn new(storage: &'s dyn Storage, options: ReadOptions, keep: u64) -> Self {
        Self { storage, options, known: Known::keeping(keep) }
    }

    /// Reads a snapshot whose `_metadata` is at hand, and asks for all of its files. What is wrong is among the
    /// findings of the reading and of its details.
    ///
    /// # Errors
    /// As [`decode_metadata`].
    pub fn read(&mut self, file: &MetadataFile) -> Result<SnapshotReading, FormatError> {
        let (snapshot, mut findings) = decode_metadata(file)?;
        let known = std::mem::take(&mut self.known);
        let (directory, bytes) = (file.directory.clone(), file.bytes.clone());
        let ReadOptions { relocate, in_flight, .. } = &self.options;
        let mut opener =
            Opener::new(self.storage, directory, bytes, relocate.clone(), *in_flight).with_known(known);
        let mut details = read_details(&mut opener, &snapshot, true, &|_, _| Depth::Whole);
        read_tails(&mut opener, &snapshot, &mut details, 0, &|_, _| false, true);
        if self.options.channels {
            findings.extend(open_channels(&mut opener, &snapshot, 0));
        }
        ask_for_all(&mut opener, &snapshot, &details, &mut findings);
        handles(&snapshot, &mut findings);
        levels(&snapshot, &details, &mut findings);
        let places = opener.places(snapshot.files.len() as u64);
        self.known = opener.take_known();
        Ok(SnapshotReading { snapshot, details, findings, places, tables: opener.into_tables() })
    }
}

/// Asks for what was not read.
fn ask_for_all(opener: &mut Opener<'_>, snapshot: &Snapshot, details: &Details, findings: &mut Vec<Finding>) {
    // Why a file could not be opened, or that its size is wrong, may be told already.
    let told = |code: &str| {
        let found = details.findings.iter().chain(&*findings).filter(|finding| finding.code == code);
        found.filter_map(|finding| finding.about).collect::<HashSet<_>>()
    };
    let size_told = [told("file_size_differs"), told("sst_size_differs")];
    let failure_told = [told("file_missing"), told("file_archived"), told("file_unreadable")];
    let files: Vec<FileId> = (0..).map(FileId).take(snapshot.files.len()).collect();
    for (id, holder) in files.iter().zip(opener.holders(snapshot, &files)) {
        let Some(file) = snapshot.file(*id) else { continue };
        let about = About::File(*id);
        match holder {
            Err(_) if failure_told.iter().any(|told| told.contains(&about)) => {}
            Err(error) => findings.push(error.finding(name(file.role))),
            Ok(_) if size_told.iter().any(|told| told.contains(&about)) => {}
            Ok(holder) => findings.extend(wrong_size(file, &holder).map(|finding| finding.about(about))),
        }
    }
}

fn name(role: FileRole) -> &'static str {
    match role {
        FileRole::Sst => "an SST file",
        FileRole::DatabaseMeta => "a file of a database",
        FileRole::BackendMeta => "the meta data of a keyed backend",
        FileRole::KeyedStream => "a stream of keyed state",
        FileRole::RawKeyedStream => "a stream of raw keyed state",
        FileRole::Changelog => "a file of a changelog",
        FileRole::OperatorStream => "a stream of operator state",
        FileRole::Channel => "a file of in-flight data",
        FileRole::Coordinator => "the state of an operator's coordinator",
    }
}

fn wrong_size(file: &StateFile, holder: &Holder) -> Option<Finding> {
    let what = name(file.role);
    let (size, recorded) = (holder.size, file.size);
    let message = match file.place {
        Place::Inline { .. } | Place::Empty => return None,
        _ if file.role == FileRole::Changelog => return None,
        Place::Segment { .. } => {
            let end = holder.start.saturating_add(recorded);
            if end <= size {
                return None;
            }
            format!("{what} ends at byte {end} of an object that has {size}")
        }
        Place::Uri(_) | Place::Relative(_) if size == recorded => return None,
        Place::Uri(_) | Place::Relative(_) => {
            format!("{what} has {size} bytes where _metadata records {recorded}")
        }
    };
    let remedy = "the file was cut or replaced: if it was copied, copy it again; as it is, the snapshot cannot be restored";
    Some(
        Finding::error("file_size_differs", message, remedy)
            .in_file(&holder.name)
            .at(size.min(holder.start.saturating_add(recorded))),
    )
}

/// What handles must have and what their offsets must be.
fn handles(snapshot: &Snapshot, findings: &mut Vec<Finding>) {
    for (index, operator) in snapshot.operators.iter().enumerate() {
        for subtask in &operator.subtasks {
            for state in subtask.managed_keyed.iter().chain(&subtask.raw_keyed) {
                state.walk(&mut |inner| keyed_handle(snapshot, index, operator, subtask, inner, findings));
            }
            for handle in subtask.managed_operator.iter().chain(&subtask.raw_operator) {
                let Some(stream) = handle.stream else { continue };
                let offsets = handle.states.iter().flat_map(|state| state.offsets.iter().copied());
                findings.extend(behind_end(snapshot, stream, offsets, operator, subtask));
            }
        }
    }
}

fn keyed_handle(
    snapshot: &Snapshot,
    index: usize,
    operator: &Operator,
    subtask: &Subtask,
    state: &KeyedState,
    findings: &mut Vec<Finding>,
) {
    match &state.content {
        KeyedContent::Database(database) if database.meta.is_none() => findings.push(
            Finding::error(
                "backend_meta_missing",
                "the handle of a database names no meta data of its backend",
                "_metadata was not written by Flink, or is damaged; the snapshot cannot be restored",
            )
            .of(owner(operator, subtask.index))
            .about(About::Subtask { operator: index, subtask: subtask.index }),
        ),
        KeyedContent::Stream(stream) => {
            let offsets = stream.offsets.iter().copied();
            findings.extend(behind_end(snapshot, stream.stream, offsets, operator, subtask));
        }
        _ => {}
    }
}

/// Offsets in a stream that lie behind its end.
fn behind_end(
    snapshot: &Snapshot,
    stream: FileId,
    offsets: impl Iterator<Item = i64>,
    operator: &Operator,
    subtask: &Subtask,
) -> Option<Finding> {
    let file = snapshot.file(stream)?;
    let largest = offsets.filter_map(|offset| u64::try_from(offset).ok()).max()?;
    (largest > file.size).then(|| {
        Finding::error(
            "offset_behind_end",
            format!("a handle names offset {largest} of a stream that it says has {} bytes", file.size),
            "_metadata was not written by Flink, or is damaged; the snapshot cannot be restored",
        )
        .in_file(file.place.to_string())
        .at(largest)
        .of(owner(operator, subtask.index))
        .about(About::File(stream))
    })
}

/// Tables of a level other than 0 that overlap, as MANIFEST says: RocksDB refuses to open such a database
/// (`VersionBuilder::CheckConsistency`), and would miss keys if it did not.
fn levels(snapshot: &Snapshot, details: &Details, findings: &mut Vec<Finding>) {
    for keyed in &details.keyed {
        let (Some(database), Some(operator)) = (&keyed.database, snapshot.operators.get(keyed.operator))
        else {
            continue;
        };
        let mut levels: BTreeMap<(usize, u32), Vec<&Table>> = BTreeMap::new();
        for table in database.tables.iter().filter(|table| table.level > 0) {
            levels.entry((table.column_family, table.level)).or_default().push(table);
        }
        for ((family, level), mut tables) in levels {
            tables.sort_by(|a, b| smallest(a).cmp(&smallest(b)));
            for (before, after) in tables.iter().zip(tables.iter().skip(1)) {
                let (Some(a), Some(b)) = (&before.bounds, &after.bounds) else { continue };
                if a.largest.as_key() < b.smallest.as_key() {
                    continue;
                }
                let family = database.column_families.get(family).map_or("", String::as_str);
                let finding = Finding::error(
                    "levels_overlap",
                    format!(
                        "in level {level} of column family {family:?}, {:06}.sst ends behind the begin of {:06}.sst",
                        before.number, after.number
                    ),
                    "RocksDB cannot open this database; the snapshot cannot be restored",
                );
                let finding = finding.of(owner(operator, keyed.subtask));
                findings.push(match after.file {
                    Some(file) => finding.about(About::File(file)),
                    None => finding,
                });
            }
        }
    }
}

fn smallest(table: &Table) -> Option<statescope_formats::rocksdb::internal_key::InternalKey<'_>> {
    table.bounds.as_ref().map(|bounds| bounds.smallest.as_key())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use statescope_formats::rocksdb::internal_key::{InternalKeyBuf, MAX_SEQUENCE, ValueType};

    use super::*;
    use crate::model::{
        DatabaseDetails, DatabaseHandle, KeyGroupRange, KeyGroupStream, KeyedDetails, KeyedLayout,
        OperatorId, OperatorStateHandle, OperatorStatePartitions, SnapshotKind, TableBounds, Tally,
    };

    fn snapshot(state: Option<KeyedContent>, operator_offsets: Option<i64>) -> Snapshot {
        let key_groups = KeyGroupRange { start: 0, count: 128 };
        let handle = |offset: i64| OperatorStateHandle {
            states: vec![OperatorStatePartitions {
                name: Arc::from("list"),
                mode: crate::model::DistributionMode::SplitDistribute,
                offsets: Box::new([offset]),
            }],
            stream: Some(FileId(0)),
        };
        let subtask = Subtask {
            managed_keyed: state.map(|content| KeyedState { key_groups, content }),
            managed_operator: operator_offsets.map(handle),
            ..Subtask::default()
        };
        let operator = Operator {
            id: OperatorId::from_uid("x"),
            name: None,
            uid: None,
            parallelism: 1,
            max_parallelism: 128,
            coordinator: None,
            fully_finished: false,
            subtasks: vec![subtask],
        };
        let stream = StateFile {
            place: Place::Uri("s3://b/stream".into()),
            size: 100,
            role: FileRole::KeyedStream,
            uses: 1,
        };
        Snapshot {
            metadata_version: 6,
            metadata_bytes: 0,
            checkpoint_id: 1,
            kind: SnapshotKind::Unknown,
            operators: vec![operator],
            master_states: Vec::new(),
            tally: Tally::default(),
            files: vec![stream],
        }
    }

    fn of_handles(state: Option<KeyedContent>, operator_offsets: Option<i64>) -> Vec<&'static str> {
        let mut findings = Vec::new();
        handles(&snapshot(state, operator_offsets), &mut findings);
        assert!(findings.iter().all(|finding| finding.about.is_some() && finding.part.is_some()));
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn offsets_lie_in_their_streams() {
        let stream = |offsets: &[i64]| {
            let offsets = offsets.into();
            Some(KeyedContent::Stream(KeyGroupStream { canonical: false, offsets, stream: FileId(0) }))
        };
        // -1 says that there is nothing; at the end nothing may follow.
        assert!(of_handles(stream(&[-1, 0, 100]), Some(100)).is_empty());
        assert_eq!(of_handles(stream(&[0, 101]), None), ["offset_behind_end"]);
        assert_eq!(of_handles(None, Some(i64::MAX)), ["offset_behind_end"]);
    }

    #[test]
    fn a_database_has_meta_data() {
        let database = |meta| {
            Some(KeyedContent::Database(DatabaseHandle {
                checkpoint_id: 1,
                backend_id: Arc::from("backend"),
                uploaded_bytes: None,
                meta,
                files: Vec::new(),
            }))
        };
        assert!(of_handles(database(Some(FileId(0))), None).is_empty());
        assert_eq!(of_handles(database(None), None), ["backend_meta_missing"]);
    }

    /// How many overlaps there are among tables of a level, which begin and end with these keys.
    fn overlaps(tables: &[(u32, InternalKeyBuf, InternalKeyBuf)]) -> usize {
        let table =
            |(number, (level, smallest, largest)): (u64, &(u32, InternalKeyBuf, InternalKeyBuf))| Table {
                column_family: 0,
                number,
                level: *level,
                size: 1,
                key_groups: None,
                file: Some(FileId(0)),
                bounds: Some(Box::new(TableBounds {
                    smallest: smallest.clone(),
                    largest: largest.clone(),
                    largest_sequence: 9,
                    oldest_blob_file: None,
                })),
                tail: None,
            };
        let keyed = KeyedDetails {
            operator: 0,
            subtask: 0,
            key_groups: KeyGroupRange { start: 0, count: 128 },
            layout: KeyedLayout::Database,
            meta: None,
            raw_timers: None,
            stream: None,
            changes: None,
            only_in_changes: Vec::new(),
            database: Some(DatabaseDetails {
                tables: (1..).zip(tables).map(table).collect(),
                column_families: vec!["state".to_owned()],
                options: None,
            }),
        };
        let (mut findings, details) = (Vec::new(), Details { keyed: vec![keyed], ..Details::default() });
        levels(&snapshot(None, None), &details, &mut findings);
        assert!(findings.iter().all(|finding| finding.code == "levels_overlap" && finding.about.is_some()));
        findings.len()
    }

    #[test]
    fn tables_of_a_level_do_not_overlap() {
        let key = |user_key: &str, sequence| InternalKeyBuf {
            user_key: user_key.into(),
            sequence,
            value_type: ValueType::Value,
        };
        let bound = |user_key: &str| InternalKeyBuf {
            value_type: ValueType::RangeDeletion,
            ..key(user_key, MAX_SEQUENCE)
        };
        let (a, m, z) = (key("a", 5), key("m", 5), key("z", 5));
        assert_eq!(overlaps(&[(1, m.clone(), z.clone()), (1, a.clone(), key("l", 5))]), 0);
        assert_eq!(overlaps(&[(1, m.clone(), z.clone()), (1, a.clone(), key("n", 5))]), 1);
        assert_eq!(overlaps(&[(1, m.clone(), z.clone()), (1, a.clone(), m.clone())]), 1, "the same version");
        assert_eq!(overlaps(&[(1, m.clone(), z.clone()), (1, a.clone(), key("m", 6))]), 0, "a newer version");
        assert_eq!(overlaps(&[(1, m.clone(), z.clone()), (1, a.clone(), bound("m"))]), 0, "an exclusive end");
        assert_eq!(overlaps(&[(0, m.clone(), z.clone()), (0, a.clone(), z.clone())]), 0, "level 0");
        assert_eq!(overlaps(&[(1, m, z.clone()), (2, a, z)]), 0, "different levels");
    }
}
