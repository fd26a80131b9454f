//! The version that a MANIFEST's edits give when they are applied in order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::edit::{BlobFileAddition, CompactCursor, VersionEdit};
use super::file::FileMetaData;
use crate::cursor::Cursor;
use crate::error::{Error, PathSegment, Result, ResultExt};
use crate::rocksdb::log::{LogEnd, LogReader, LogRecord};

/// Name of the column family 0, which every database has and no edit creates.
pub const DEFAULT_COLUMN_FAMILY: &str = "default";

/// Reads a MANIFEST edit by edit.
#[derive(Debug, Clone)]
pub struct Edits<'a> {
    log: LogReader<'a>,
    index: usize,
    failed: bool,
}

impl<'a> Edits<'a> {
    /// The edits of a whole MANIFEST.
    #[must_use]
    pub fn new(manifest: &'a [u8]) -> Self {
        Self { log: LogReader::new(manifest), index: 0, failed: false }
    }

    /// How the log ended; none before the last edit has been asked for.
    #[must_use]
    pub fn end(&self) -> Option<LogEnd> {
        self.log.end()
    }
}

impl Iterator for Edits<'_> {
    type Item = Result<VersionEdit>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let result = self.log.next()?.and_then(|record| decode(&record)).index("edits", index);
        self.failed = result.is_err();
        Some(result)
    }
}

/// Decodes a record; its offsets become those in the file, also where it is in fragments.
fn decode(record: &LogRecord<'_>) -> Result<VersionEdit> {
    match VersionEdit::decode(Cursor::new(&record.payload)) {
        Ok(mut edit) => {
            edit.offset = record.offset;
            Ok(edit)
        }
        Err(error) => {
            let position = usize::try_from(error.offset()).unwrap_or(usize::MAX);
            let path = error.path();
            let moved = Error::new(error.kind().clone(), record.absolute(position));
            Err(if path.is_empty() { moved } else { moved.within(PathSegment::Named("field", path)) })
        }
    }
}

/// What a database consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Column families by id, those that were dropped included.
    pub column_families: BTreeMap<u32, ColumnFamily>,
    /// Identity of the database, if `write_dbid_to_manifest` is on.
    pub db_id: Option<String>,
    /// The last sequence number in use. It may exceed those of all live files.
    pub last_sequence: Option<u64>,
    /// The next number for a file.
    pub next_file_number: Option<u64>,
    /// The largest of the column families' log numbers that an edit has set.
    pub log_number: Option<u64>,
    /// LevelDB's; 0.
    pub prev_log_number: Option<u64>,
    /// WALs with smaller numbers are not needed.
    pub min_log_number_to_keep: Option<u64>,
    /// The largest id that a column family ever had.
    pub max_column_family: Option<u32>,
    /// WALs that are tracked, with how much of each is synced, in bytes.
    pub wals: BTreeMap<u64, Option<u64>>,
    /// How many edits were applied.
    pub edits_applied: u64,
    /// How many edits at the end belong to an atomic group that is not complete; they do not count.
    pub edits_of_incomplete_group: u64,
    /// How many fields this decoder did not know and was allowed to step over.
    pub unread_fields: u64,
    /// How the log ended.
    pub end: LogEnd,
}

/// A column family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFamily {
    /// Its id, never used again after it is dropped.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Name of its comparator.
    pub comparator: Option<String>,
    /// Whether it was dropped. Then it has no files.
    pub dropped: bool,
    /// WALs with smaller numbers hold nothing of it that is not in its files.
    pub log_number: Option<u64>,
    /// Its tables by number.
    pub files: BTreeMap<u64, LiveFile>,
    /// Its blob files by number. One is live as long as a table refers to it.
    pub blob_files: BTreeMap<u64, BlobFile>,
    /// Where compaction of each level goes on.
    pub compact_cursors: Vec<CompactCursor>,
    /// User-defined timestamps below this one may be gone.
    pub full_history_ts_low: Option<Vec<u8>>,
    /// Whether its tables hold the user-defined timestamps.
    pub persist_user_defined_timestamps: Option<bool>,
}

/// A table of a column family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// The level it is in.
    pub level: u32,
    /// The table.
    pub file: FileMetaData,
}

/// A blob file of a column family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFile {
    /// What was said when it was added.
    pub addition: BlobFileAddition,
    /// How many of its blobs are garbage.
    pub garbage_blob_count: u64,
    /// Their length in bytes.
    pub garbage_blob_bytes: u64,
}

impl ColumnFamily {
    fn new(id: u32, name: String) -> Self {
        Self {
            id,
            name,
            comparator: None,
            dropped: false,
            log_number: None,
            files: BTreeMap::new(),
            blob_files: BTreeMap::new(),
            compact_cursors: Vec::new(),
            full_history_ts_low: None,
            persist_user_defined_timestamps: None,
        }
    }

    /// The tables level by level. In level 0, where ranges overlap, the newest comes first: by
    /// largest sequence number, then by number. In the others they are ordered by smallest user key
    /// in byte order, which is their order if the comparator is the bytewise one.
    #[must_use]
    pub fn levels(&self) -> BTreeMap<u32, Vec<&FileMetaData>> {
        let mut levels: BTreeMap<u32, Vec<&FileMetaData>> = BTreeMap::new();
        for live in self.files.values() {
            levels.entry(live.level).or_default().push(&live.file);
        }
        for (&level, files) in &mut levels {
            if level == 0 {
                files.sort_by_key(|file| Reverse((file.largest_seqno, file.number)));
            } else {
                files.sort_by(|a, b| a.smallest.user_key.cmp(&b.smallest.user_key));
            }
        }
        levels
    }
}

impl Version {
    /// Replays a whole MANIFEST.
    ///
    /// An end in the middle of a record or of an atomic group is no error, as it is none for
    /// RocksDB: see [`Version::end`] and [`Version::edits_of_incomplete_group`].
    ///
    /// # Errors
    /// What [`Edits`] returns, and [`crate::ErrorKind::Invalid`] for an edit that does not fit what
    /// stands before it: it takes out a file that is not there, adds one that is, or is about a
    /// column family that does not exist.
    pub fn replay(manifest: &[u8]) -> Result<Self> {
        let mut version = Self::empty();
        let mut group: Vec<(usize, VersionEdit)> = Vec::new();
        let mut edits = Edits::new(manifest);
        for (index, edit) in edits.by_ref().enumerate() {
            let edit = edit?;
            version.unread_fields += edit.unread.len() as u64;
            version.unread_fields += edit.new_files.iter().map(|f| f.file.unread.len() as u64).sum::<u64>();
            let before = group.last().map(|(_, edit)| edit.atomic_group_remaining);
            let fits = match before {
                None => true,
                Some(before) => edit.atomic_group_remaining.is_some_and(|n| n.checked_add(1) == before),
            };
            if !fits {
                let found = format!("{:?} after {before:?}", edit.atomic_group_remaining);
                let rule = "an atomic group counts its remaining edits down";
                return Err(Error::invalid(rule, found, edit.offset)).index("edits", index);
            }
            match edit.atomic_group_remaining {
                None => version.apply(edit).index("edits", index)?,
                Some(0) => {
                    group.push((index, edit));
                    for (index, edit) in group.drain(..) {
                        version.apply(edit).index("edits", index)?;
                    }
                }
                Some(_) => group.push((index, edit)),
            }
        }
        version.edits_of_incomplete_group = group.len() as u64;
        version.end = edits.end().unwrap_or(LogEnd::Clean);
        Ok(version)
    }

    /// The column families that are not dropped.
    pub fn live_column_families(&self) -> impl Iterator<Item = &ColumnFamily> {
        self.column_families.values().filter(|cf| !cf.dropped)
    }

    /// All live tables with their column family and level.
    pub fn live_files(&self) -> impl Iterator<Item = (&ColumnFamily, &LiveFile)> {
        self.live_column_families().flat_map(|cf| cf.files.values().map(move |file| (cf, file)))
    }

    fn empty() -> Self {
        let default = ColumnFamily::new(0, DEFAULT_COLUMN_FAMILY.to_owned());
        Self {
            column_families: BTreeMap::from([(0, default)]),
            db_id: None,
            last_sequence: None,
            next_file_number: None,
            log_number: None,
            prev_log_number: None,
            min_log_number_to_keep: None,
            max_column_family: None,
            wals: BTreeMap::new(),
            edits_applied: 0,
            edits_of_incomplete_group: 0,
            unread_fields: 0,
            end: LogEnd::Clean,
        }
    }

    fn apply(&mut self, edit: VersionEdit) -> Result<()> {
        let (at, id) = (edit.offset, edit.column_family);
        if let Some(name) = edit.column_family_add {
            if self.column_families.contains_key(&id) {
                let found = format!("id {id}, name {name:?}");
                return Err(Error::invalid("a column family is added once", found, at));
            }
            self.column_families.insert(id, ColumnFamily::new(id, name));
        }
        let Some(cf) = self.column_families.get_mut(&id).filter(|cf| !cf.dropped) else {
            let rule = "an edit is about a column family that exists and is not dropped";
            return Err(Error::invalid(rule, format!("id {id}"), at));
        };
        if edit.column_family_drop {
            cf.dropped = true;
            cf.files.clear();
            cf.blob_files.clear();
        }
        for gone in edit.deleted_files {
            match cf.files.remove(&gone.number) {
                Some(file) if file.level == gone.level => {}
                other => {
                    let is = other.map_or("not there".to_owned(), |f| format!("in level {}", f.level));
                    let found = format!("file {} of level {}, which is {is}", gone.number, gone.level);
                    let rule = "a file that is taken out is in its level";
                    return Err(Error::invalid(rule, found, at)).field("deleted_files");
                }
            }
        }
        for new in edit.new_files {
            let number = new.file.number;
            let live = LiveFile { level: new.level, file: new.file };
            if let Some(old) = cf.files.insert(number, live) {
                let found = format!("file {number}, which is in level {}", old.level);
                let rule = "a file that is added is in no level";
                return Err(Error::invalid(rule, found, at)).field("new_files");
            }
        }
        for addition in edit.blob_file_additions {
            let file = BlobFile { addition, garbage_blob_count: 0, garbage_blob_bytes: 0 };
            cf.blob_files.insert(file.addition.number, file);
        }
        for garbage in edit.blob_file_garbages {
            let Some(file) = cf.blob_files.get_mut(&garbage.number) else {
                let found = format!("blob file {}", garbage.number);
                let rule = "garbage is of a blob file that was added";
                return Err(Error::invalid(rule, found, at)).field("blob_file_garbages");
            };
            file.garbage_blob_count = file.garbage_blob_count.saturating_add(garbage.garbage_blob_count);
            file.garbage_blob_bytes = file.garbage_blob_bytes.saturating_add(garbage.garbage_blob_bytes);
        }
        for cursor in edit.compact_cursors {
            cf.compact_cursors.retain(|old| old.level != cursor.level);
            cf.compact_cursors.push(cursor);
        }
        // RocksDB ignores a log number that goes back.
        if let Some(number) = edit.log_number
            && cf.log_number.is_none_or(|old| old <= number)
        {
            cf.log_number = Some(number);
            self.log_number = self.log_number.max(Some(number));
        }
        cf.comparator = edit.comparator.or(cf.comparator.take());
        cf.full_history_ts_low = edit.full_history_ts_low.or(cf.full_history_ts_low.take());
        cf.persist_user_defined_timestamps =
            edit.persist_user_defined_timestamps.or(cf.persist_user_defined_timestamps);

        if let Some(number) = edit.wal_deletion {
            self.wals = self.wals.split_off(&number);
        }
        for wal in edit.wal_additions {
            let synced = self.wals.entry(wal.number).or_default();
            *synced = (*synced).max(wal.synced_size);
        }
        self.db_id = edit.db_id.or(self.db_id.take());
        self.last_sequence = edit.last_sequence.or(self.last_sequence);
        self.next_file_number = edit.next_file_number.or(self.next_file_number);
        self.prev_log_number = edit.prev_log_number.or(self.prev_log_number);
        self.min_log_number_to_keep = self.min_log_number_to_keep.max(edit.min_log_number_to_keep);
        self.max_column_family = edit.max_column_family.or(self.max_column_family);
        self.edits_applied += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::rocksdb::log::tests::fragment;

    fn manifest(edits: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        edits.iter().for_each(|edit| fragment(&mut out, 1, None, edit));
        out
    }

    /// File `number` in `level`, one entry of the key 'a'.
    fn add(level: u8, number: u8, rest: &[u8]) -> Vec<u8> {
        let key = [9, b'a', 1, number, 0, 0, 0, 0, 0, 0];
        [&[100, level, number, 1][..], &key, &key, &[number, number], rest].concat()
    }

    const IN_1: [u8; 3] = [0xc8, 0x01, 1];
    const ADD_1: [u8; 6] = [0xc8, 0x01, 1, 0xc9, 0x01, 0];
    const DROP_1: [u8; 5] = [0xc8, 0x01, 1, 0xca, 0x01];

    #[test]
    fn the_column_family_stands_after_its_files() {
        let version = Version::replay(&manifest(&[&ADD_1, &add(0, 7, &IN_1), &add(0, 8, &[])])).unwrap();
        let files: Vec<_> = version.live_files().map(|(cf, live)| (cf.id, live.file.number)).collect();
        assert_eq!(files, [(0, 8), (1, 7)]);
    }

    #[test]
    fn a_file_moves_within_one_edit() {
        // The deletion takes effect first, wherever it stands.
        let moved = add(3, 7, &[6, 0, 7]);
        let version = Version::replay(&manifest(&[&add(0, 7, &[]), &moved])).unwrap();
        assert_eq!(version.column_families[&0].files[&7].level, 3);
    }

    #[test]
    fn a_dropped_column_family_has_no_files() {
        let version = Version::replay(&manifest(&[&ADD_1, &add(0, 7, &IN_1), &DROP_1])).unwrap();
        assert_eq!((version.live_files().count(), version.column_families[&1].dropped), (0, true));
        let error = Version::replay(&manifest(&[&ADD_1, &DROP_1, &add(0, 7, &IN_1)])).unwrap_err();
        assert_eq!(error.path(), "edits[2]");
    }

    #[test]
    fn edits_that_do_not_fit() {
        let twice = [ADD_1.as_slice(), &ADD_1];
        let unknown = add(0, 7, &IN_1);
        let wrong_level = [6, 1, 7];
        let cases: [(&[&[u8]], &str); 6] = [
            (&twice, "edits[1]"),
            (&[&unknown], "edits[0]"),
            (&[&[6, 0, 7]], "edits[0].deleted_files"),
            (&[&add(0, 7, &[]), &wrong_level], "edits[1].deleted_files"),
            (&[&add(0, 7, &[]), &add(1, 7, &[])], "edits[1].new_files"),
            (&[&[0x91, 0x03, 7, 2, 9, 0]], "edits[0].blob_file_garbages"),
        ];
        for (edits, path) in cases {
            let error = Version::replay(&manifest(edits)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
            assert_eq!(error.path(), path);
        }
    }

    #[test]
    fn level_0_is_ordered_by_age_and_others_by_key() {
        let edits = [add(0, 7, &[]), add(0, 9, &[]), add(0, 8, &[]), add(2, 3, &[])];
        let version = Version::replay(&manifest(&edits.each_ref().map(Vec::as_slice))).unwrap();
        let levels = version.column_families[&0].levels();
        assert_eq!(levels[&0].iter().map(|f| f.number).collect::<Vec<_>>(), [9, 8, 7]);
        assert_eq!(levels.keys().copied().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn counters_go_where_rocksdb_lets_them() {
        // Log number 9 then 4; min log number to keep 6 then 5; last sequence 10 then 11.
        let version = Version::replay(&manifest(&[&[2, 9, 10, 6, 4, 10], &[2, 4, 10, 5, 4, 11]])).unwrap();
        assert_eq!((version.log_number, version.min_log_number_to_keep), (Some(9), Some(6)));
        assert_eq!((version.last_sequence, version.column_families[&0].log_number), (Some(11), Some(9)));
    }

    #[test]
    fn wals_are_tracked() {
        let add = |number, synced: &[u8]| [&[0x84, 0x40, number][..], synced, &[1]].concat();
        let edits = [add(3, &[]), add(4, &[]), add(4, &[2, 50]), vec![0x85, 0x40, 4]];
        let version = Version::replay(&manifest(&edits.each_ref().map(Vec::as_slice))).unwrap();
        assert_eq!(version.wals, BTreeMap::from([(4, Some(50))]));
    }

    #[test]
    fn offsets_count_across_the_fragments_of_a_record() {
        let mut bytes = Vec::new();
        // 40000 bytes of ignorable field, then a tag that is unknown.
        let payload = [&[0xff, 0x7f, 0xc0, 0xb8, 0x02][..], &vec![0; 40_000], &[11]].concat();
        let room = crate::rocksdb::log::BLOCK_LEN - 7;
        fragment(&mut bytes, 2, None, &payload[..room]);
        fragment(&mut bytes, 4, None, &payload[room..]);
        let error = Version::replay(&bytes).unwrap_err();
        assert_eq!(error.offset(), bytes.len() as u64 - 1);
        assert_eq!(error.path(), "edits[0]");
    }
}
