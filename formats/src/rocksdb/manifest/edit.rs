//! One version edit.

use super::file::{
    CUSTOM_NOT_IGNORABLE, DeletedFile, NewFile, UnreadField, deleted_file, flag, key, new_file, text,
    within_slice,
};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::rocksdb::internal_key::InternalKeyBuf;

/// Tags with this bit may be stepped over: a slice follows.
const SAFE_IGNORE: u32 = 1 << 13;

/// One record of a MANIFEST.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionEdit {
    /// Absolute offset of the record.
    pub offset: u64,
    /// The column family that the edit is about: 0, the default one, if it does not say.
    pub column_family: u32,
    /// The column family is created, with this name.
    pub column_family_add: Option<String>,
    /// The column family is dropped.
    pub column_family_drop: bool,
    /// The largest id that a column family ever had.
    pub max_column_family: Option<u32>,
    /// Identity of the database.
    pub db_id: Option<String>,
    /// Name of the column family's comparator.
    pub comparator: Option<String>,
    /// WALs of the column family with smaller numbers are not needed.
    pub log_number: Option<u64>,
    /// LevelDB's; 0.
    pub prev_log_number: Option<u64>,
    /// The next number for a file.
    pub next_file_number: Option<u64>,
    /// WALs with smaller numbers are not needed by any column family.
    pub min_log_number_to_keep: Option<u64>,
    /// The last sequence number in use.
    pub last_sequence: Option<u64>,
    /// Where compaction of a level goes on.
    pub compact_cursors: Vec<CompactCursor>,
    /// Tables that are no longer part of the column family.
    pub deleted_files: Vec<DeletedFile>,
    /// Tables that are now part of it.
    pub new_files: Vec<NewFile>,
    /// Blob files that are now part of it.
    pub blob_file_additions: Vec<BlobFileAddition>,
    /// Blobs that nothing refers to any more.
    pub blob_file_garbages: Vec<BlobFileGarbage>,
    /// WALs that were created or closed (only with `track_and_verify_wals_in_manifest`).
    pub wal_additions: Vec<WalAddition>,
    /// WALs with smaller numbers are deleted.
    pub wal_deletion: Option<u64>,
    /// The edit is part of a group that takes effect as a whole, and this many more follow.
    pub atomic_group_remaining: Option<u32>,
    /// User-defined timestamps below this one may be gone.
    pub full_history_ts_low: Option<Vec<u8>>,
    /// Whether the column family's tables hold the user-defined timestamps.
    pub persist_user_defined_timestamps: Option<bool>,
    /// Size in bytes that this MANIFEST had when it was begun.
    pub last_compacted_manifest_file_size: Option<u64>,
    /// Fields that may be stepped over and were.
    pub unread: Vec<UnreadField>,
}

/// Where compaction of a level goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactCursor {
    /// The level.
    pub level: u32,
    /// The key.
    pub key: InternalKeyBuf,
}

/// A blob file that is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFileAddition {
    /// Number, as in `000042.blob`.
    pub number: u64,
    /// How many blobs it holds.
    pub total_blob_count: u64,
    /// Their length in bytes, keys and headers included.
    pub total_blob_bytes: u64,
    /// Name of the function that computed the checksum.
    pub checksum_method: Vec<u8>,
    /// Checksum of the file.
    pub checksum_value: Vec<u8>,
}

/// Blobs of a file that nothing refers to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobFileGarbage {
    /// The blob file's number.
    pub number: u64,
    /// How many more blobs are garbage.
    pub garbage_blob_count: u64,
    /// Their length in bytes.
    pub garbage_blob_bytes: u64,
}

/// A WAL that is created or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalAddition {
    /// Its number.
    pub number: u64,
    /// How much of it is synced, in bytes; none when it is created.
    pub synced_size: Option<u64>,
}

impl VersionEdit {
    /// Decodes the payload of one record.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTag`] for a tag that must be known, [`ErrorKind::UnexpectedEnd`],
    /// [`ErrorKind::BadCount`], [`ErrorKind::Invalid`].
    pub fn decode(mut cursor: Cursor<'_>) -> Result<Self> {
        let mut edit = Self { offset: cursor.offset(), ..Self::default() };
        while !cursor.is_empty() {
            let at = cursor.offset();
            let tag = cursor.varint32().field("tag")?;
            edit.field(tag, at, &mut cursor)?;
        }
        Ok(edit)
    }

    fn field(&mut self, tag: u32, at: u64, c: &mut Cursor<'_>) -> Result<()> {
        match tag {
            1 => self.comparator = Some(text(c).field("comparator")?),
            2 => self.log_number = Some(c.varint64().field("log_number")?),
            3 => self.next_file_number = Some(c.varint64().field("next_file_number")?),
            4 => self.last_sequence = Some(c.varint64().field("last_sequence")?),
            5 => {
                let i = self.compact_cursors.len();
                let one = compact_cursor(c).index("compact_cursors", i)?;
                self.compact_cursors.push(one);
            }
            6 => {
                let i = self.deleted_files.len();
                let one = deleted_file(c).index("deleted_files", i)?;
                self.deleted_files.push(one);
            }
            7 | 100 | 102 | 103 => {
                let i = self.new_files.len();
                let one = new_file(tag, c, &mut self.min_log_number_to_keep).index("new_files", i)?;
                self.new_files.push(one);
            }
            9 => self.prev_log_number = Some(c.varint64().field("prev_log_number")?),
            10 => self.min_log_number_to_keep = Some(c.varint64().field("min_log_number_to_keep")?),
            200 => self.column_family = c.varint32().field("column_family")?,
            201 => self.column_family_add = Some(text(c).field("column_family_add")?),
            202 => self.column_family_drop = true,
            203 => self.max_column_family = Some(c.varint32().field("max_column_family")?),
            300 => self.atomic_group_remaining = Some(c.varint32().field("atomic_group_remaining")?),
            400 | 8194 => {
                let i = self.blob_file_additions.len();
                let one = blob_file_addition(c).index("blob_file_additions", i)?;
                self.blob_file_additions.push(one);
            }
            401 | 8195 => {
                let i = self.blob_file_garbages.len();
                let one = blob_file_garbage(c).index("blob_file_garbages", i)?;
                self.blob_file_garbages.push(one);
            }
            8193 => self.db_id = Some(text(c).field("db_id")?),
            8196 | 8199 => {
                let i = self.wal_additions.len();
                let one = if tag == 8196 { wal_addition(c) } else { within_slice(c, wal_addition) };
                self.wal_additions.push(one.index("wal_additions", i)?);
            }
            8197 => self.wal_deletion = Some(c.varint64().field("wal_deletion")?),
            8200 => self.wal_deletion = Some(within_slice(c, |c| c.varint64()).field("wal_deletion")?),
            8198 => {
                let low = c.slice("full_history_ts_low").field("full_history_ts_low")?;
                self.full_history_ts_low = Some(low.to_vec());
            }
            8201 => {
                let flag = within_slice(c, flag).field("persist_user_defined_timestamps")?;
                self.persist_user_defined_timestamps = Some(flag);
            }
            8203 => {
                let size = within_slice(c, |c| c.varint64()).field("last_compacted_manifest_file_size")?;
                self.last_compacted_manifest_file_size = Some(size);
            }
            ignorable if ignorable & SAFE_IGNORE != 0 => {
                let len = c.slice("an ignorable field").named("unread", || tag.to_string())?.len() as u64;
                self.unread.push(UnreadField { tag, len });
            }
            unknown => {
                let kind = ErrorKind::UnknownTag { what: "a version edit", found: unknown.into() };
                return Err(Error::new(kind, at));
            }
        }
        Ok(())
    }
}

fn compact_cursor(c: &mut Cursor<'_>) -> Result<CompactCursor> {
    Ok(CompactCursor { level: c.varint32().field("level")?, key: key(c).field("key")? })
}

fn blob_file_addition(c: &mut Cursor<'_>) -> Result<BlobFileAddition> {
    let number = c.varint64().field("number")?;
    let total_blob_count = c.varint64().field("total_blob_count")?;
    let total_blob_bytes = c.varint64().field("total_blob_bytes")?;
    let checksum_method = c.slice("checksum method").field("checksum_method")?.to_vec();
    let checksum_value = c.slice("checksum value").field("checksum_value")?.to_vec();
    blob_custom_fields(c)?;
    Ok(BlobFileAddition { number, total_blob_count, total_blob_bytes, checksum_method, checksum_value })
}

fn blob_file_garbage(c: &mut Cursor<'_>) -> Result<BlobFileGarbage> {
    let number = c.varint64().field("number")?;
    let garbage_blob_count = c.varint64().field("garbage_blob_count")?;
    let garbage_blob_bytes = c.varint64().field("garbage_blob_bytes")?;
    blob_custom_fields(c)?;
    Ok(BlobFileGarbage { number, garbage_blob_count, garbage_blob_bytes })
}

/// (tag, slice) until tag 0; no tag has a meaning yet (`db/blob/blob_file_addition.cc`).
fn blob_custom_fields(c: &mut Cursor<'_>) -> Result<()> {
    loop {
        let at = c.offset();
        match c.varint32().field("custom_tag")? {
            0 => return Ok(()),
            tag if tag & CUSTOM_NOT_IGNORABLE != 0 => {
                let kind = ErrorKind::UnknownTag { what: "a blob file's custom field", found: tag.into() };
                return Err(Error::new(kind, at));
            }
            _ => c.slice("a custom field").map(|_| ()).field("custom_field")?,
        }
    }
}

/// Number, then (2, synced size) if it is known, then 1 (`db/wal_edit.h`).
fn wal_addition(c: &mut Cursor<'_>) -> Result<WalAddition> {
    let number = c.varint64().field("number")?;
    let mut synced_size = None;
    loop {
        let at = c.offset();
        match c.varint32().field("tag")? {
            1 => return Ok(WalAddition { number, synced_size }),
            2 => synced_size = Some(c.varint64().field("synced_size")?),
            tag => {
                let kind = ErrorKind::UnknownTag { what: "an added WAL", found: tag.into() };
                return Err(Error::new(kind, at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<VersionEdit> {
        VersionEdit::decode(Cursor::at(bytes, 1000))
    }

    #[test]
    fn plain_fields() {
        #[rustfmt::skip]
        let bytes = [
            1, 3, b'c', b'm', b'p',             // comparator
            2, 10, 3, 11, 4, 0x80, 0x01,        // log number, next file number, last sequence 128
            5, 1, 9, b'a', 1, 5, 0, 0, 0, 0, 0, 0,  // compact cursor of level 1
            6, 0, 14,                           // deleted file 14 of level 0
            9, 0, 10, 3,                        // prev log number, min log number to keep
            0xc8, 0x01, 4,                      // 200: column family 4
            0xc9, 0x01, 2, b'c', b'f',          // 201: add
            0xcb, 0x01, 4,                      // 203: max column family
            0xac, 0x02, 6,                      // 300: 6 more in the group
        ];
        let edit = decode(&bytes).unwrap();
        assert_eq!(edit.comparator.as_deref(), Some("cmp"));
        assert_eq!(
            (edit.log_number, edit.next_file_number, edit.last_sequence),
            (Some(10), Some(11), Some(128))
        );
        assert_eq!((edit.compact_cursors[0].level, edit.compact_cursors[0].key.sequence), (1, 5));
        assert_eq!(edit.deleted_files, [DeletedFile { level: 0, number: 14 }]);
        assert_eq!((edit.prev_log_number, edit.min_log_number_to_keep), (Some(0), Some(3)));
        assert_eq!((edit.column_family, edit.column_family_add.as_deref()), (4, Some("cf")));
        assert_eq!((edit.max_column_family, edit.atomic_group_remaining), (Some(4), Some(6)));
        assert!(decode(&[0xca, 0x01]).unwrap().column_family_drop);
        for length in 0..bytes.len() {
            let _ = decode(&bytes[..length]);
        }
    }

    #[test]
    fn blobs_and_wals() {
        #[rustfmt::skip]
        let bytes = [
            0x90, 0x03, 7, 100, 50, 3, b'c', b'r', b'c', 1, 0xff, 5, 1, 0, 0,   // 400, with a custom field
            0x91, 0x03, 7, 2, 9, 0,                     // 401
            0x84, 0x40, 20, 2, 30, 1,                   // 8196: WAL 20, synced 30
            0x87, 0x40, 2, 21, 1,                       // 8199: WAL 21
            0x88, 0x40, 1, 19,                          // 8200: WALs before 19 are deleted
        ];
        let edit = decode(&bytes).unwrap();
        let blob = &edit.blob_file_additions[0];
        assert_eq!((blob.number, blob.total_blob_count, blob.total_blob_bytes), (7, 100, 50));
        let garbage = BlobFileGarbage { number: 7, garbage_blob_count: 2, garbage_blob_bytes: 9 };
        assert_eq!(edit.blob_file_garbages, [garbage]);
        let wals = [
            WalAddition { number: 20, synced_size: Some(30) },
            WalAddition { number: 21, synced_size: None },
        ];
        assert_eq!(edit.wal_additions, wals);
        assert_eq!(edit.wal_deletion, Some(19));
        // The same as 6.x once wrote them.
        assert_eq!(decode(&[0x82, 0x40, 7, 1, 2, 0, 0, 0]).unwrap().blob_file_additions[0].number, 7);
        assert_eq!(decode(&[0x83, 0x40, 7, 1, 2, 0]).unwrap().blob_file_garbages[0].number, 7);
        assert_eq!(decode(&[0x85, 0x40, 19]).unwrap().wal_deletion, Some(19));
    }

    #[test]
    fn ignorable_fields() {
        #[rustfmt::skip]
        let bytes = [
            0x81, 0x40, 2, b'i', b'd',          // 8193: database id
            0x86, 0x40, 1, 0x09,                // 8198: full_history_ts_low
            0x89, 0x40, 1, 0,                   // 8201: timestamps are not persisted
            0x8a, 0x40, 2, 1, 1,                // 8202: stepped over
            0x8b, 0x40, 2, 0x80, 0x01,          // 8203: 128
            0xff, 0x7f, 0,                      // 16383: stepped over
        ];
        let edit = decode(&bytes).unwrap();
        assert_eq!(
            (edit.db_id.as_deref(), edit.full_history_ts_low.as_deref()),
            (Some("id"), Some(&[9][..]))
        );
        assert_eq!(edit.persist_user_defined_timestamps, Some(false));
        assert_eq!(edit.last_compacted_manifest_file_size, Some(128));
        let unread = [UnreadField { tag: 8202, len: 2 }, UnreadField { tag: 16383, len: 0 }];
        assert_eq!(edit.unread, unread);
    }

    #[test]
    fn unknown_tags_have_an_offset() {
        let error = decode(&[2, 10, 11]).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::UnknownTag { what: "a version edit", found: 11 });
        assert_eq!(error.offset(), 1002);
        assert_eq!(decode(&[1, 2, 0xff, 0xfe]).unwrap_err().offset(), 1002);
    }
}
