//! Tables in version edits, and the fields that all edits are made of.

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::rocksdb::internal_key::{InternalKey, InternalKeyBuf};

/// Custom fields with this bit must be known.
pub(super) const CUSTOM_NOT_IGNORABLE: u32 = 1 << 6;
const CUSTOM_END: u32 = 1;

/// A field that was stepped over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadField {
    /// Its tag.
    pub tag: u32,
    /// Length of its contents in bytes.
    pub len: u64,
}

/// A table that is taken out of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedFile {
    /// The level.
    pub level: u32,
    /// The table's number.
    pub number: u64,
}

/// A table that is put into a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The level.
    pub level: u32,
    /// The table.
    pub file: FileMetaData,
}

/// What a MANIFEST knows about a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMetaData {
    /// Number, as in `000042.sst`.
    pub number: u64,
    /// Which of the database's `db_paths` it lies in.
    pub path_id: u32,
    /// Length in bytes.
    pub size: u64,
    /// The smallest key, range deletions included.
    pub smallest: InternalKeyBuf,
    /// The largest key. If it is the end of a range deletion, which is exclusive, its sequence number
    /// is the largest possible.
    pub largest: InternalKeyBuf,
    /// The smallest sequence number; unknown to the oldest kind of entry (tag 7).
    pub smallest_seqno: Option<u64>,
    /// The largest sequence number.
    pub largest_seqno: Option<u64>,
    /// RocksDB was asked to compact it.
    pub marked_for_compaction: bool,
    /// The temperature it was written with.
    pub temperature: Temperature,
    /// The oldest blob file it refers to.
    pub oldest_blob_file_number: Option<u64>,
    /// When its oldest data came in: seconds since 1970. (RocksDB spells it so.)
    pub oldest_ancester_time: Option<u64>,
    /// When it was written: seconds since 1970.
    pub file_creation_time: Option<u64>,
    /// Order in which it was flushed or ingested; of a compaction's output the smallest of its inputs.
    pub epoch_number: Option<u64>,
    /// Checksum of the whole file.
    pub checksum: Option<Vec<u8>>,
    /// Name of the function that computed it.
    pub checksum_func_name: Option<String>,
    /// Identity: two 64-bit halves.
    pub unique_id: Option<[u64; 2]>,
    /// Estimated bytes below it that its range deletions cover.
    pub compensated_range_deletion_size: Option<u64>,
    /// Bytes from the end of the data blocks to the end of the file.
    pub tail_size: Option<u64>,
    /// Whether it holds the user-defined timestamps of its keys.
    pub user_defined_timestamps_persisted: bool,
    /// The smallest user-defined timestamp.
    pub min_timestamp: Option<Vec<u8>>,
    /// The largest user-defined timestamp.
    pub max_timestamp: Option<Vec<u8>>,
    /// What the file system wants to be given when the file is opened.
    pub file_open_metadata: Option<Vec<u8>>,
    /// Custom fields that may be stepped over and were.
    pub unread: Vec<UnreadField>,
}

/// Where a file is meant to lie (`include/rocksdb/types.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temperature {
    /// Nothing was said.
    #[default]
    Unknown,
    /// Hot.
    Hot,
    /// Warm.
    Warm,
    /// Cool.
    Cool,
    /// Cold.
    Cold,
    /// Ice.
    Ice,
    /// One that this decoder does not know; RocksDB treats it as unknown.
    Other(u8),
}

pub(super) fn new_file(
    tag: u32,
    c: &mut Cursor<'_>,
    min_log_number_to_keep: &mut Option<u64>,
) -> Result<NewFile> {
    let level = c.varint32().field("level")?;
    let number = c.varint64().field("number")?;
    let path_id = if tag == 102 { c.varint32().field("path_id")? } else { 0 };
    let size = c.varint64().field("size")?;
    let smallest = key(c).field("smallest")?;
    let largest = key(c).field("largest")?;
    let mut file = FileMetaData {
        number,
        path_id,
        size,
        smallest,
        largest,
        smallest_seqno: None,
        largest_seqno: None,
        marked_for_compaction: false,
        temperature: Temperature::Unknown,
        oldest_blob_file_number: None,
        oldest_ancester_time: None,
        file_creation_time: None,
        epoch_number: None,
        checksum: None,
        checksum_func_name: None,
        unique_id: None,
        compensated_range_deletion_size: None,
        tail_size: None,
        user_defined_timestamps_persisted: true,
        min_timestamp: None,
        max_timestamp: None,
        file_open_metadata: None,
        unread: Vec::new(),
    };
    if tag != 7 {
        file.smallest_seqno = Some(c.varint64().field("smallest_seqno")?);
        file.largest_seqno = Some(c.varint64().field("largest_seqno")?);
    }
    if tag == 103 {
        loop {
            let at = c.offset();
            let custom = c.varint32().field("custom_tag")?;
            if custom == CUSTOM_END {
                break;
            }
            let length = c.slice("a custom field").field("custom_field")?;
            let value = Cursor::at(length, c.offset().saturating_sub(length.len() as u64));
            custom_field(custom, at, value, &mut file, min_log_number_to_keep)?;
        }
    }
    Ok(NewFile { level, file })
}

fn custom_field(
    tag: u32,
    at: u64,
    mut c: Cursor<'_>,
    file: &mut FileMetaData,
    min_log_number_to_keep: &mut Option<u64>,
) -> Result<()> {
    // Zero stands for "unknown" where a time or a number is meant.
    let known = |value: u64| (value != 0).then_some(value);
    match tag {
        2 => file.marked_for_compaction = flag(&mut c).field("marked_for_compaction")?,
        // A hack of RocksDB's: it concerns the edit, and stands here since old readers step over it.
        3 => *min_log_number_to_keep = Some(c.u64_le().field("min_log_number_to_keep")?),
        4 => file.oldest_blob_file_number = known(c.varint64().field("oldest_blob_file_number")?),
        5 => file.oldest_ancester_time = known(c.varint64().field("oldest_ancester_time")?),
        6 => file.file_creation_time = known(c.varint64().field("file_creation_time")?),
        7 => file.checksum = Some(c.rest().to_vec()),
        8 => file.checksum_func_name = Some(utf8(c.rest(), c.offset()).field("checksum_func_name")?),
        9 => {
            file.temperature = match one_byte(&mut c).field("temperature")? {
                0x00 => Temperature::Unknown,
                0x04 => Temperature::Hot,
                0x08 => Temperature::Warm,
                0x0a => Temperature::Cool,
                0x0c => Temperature::Cold,
                0x10 => Temperature::Ice,
                other => Temperature::Other(other),
            };
        }
        10 => file.min_timestamp = Some(c.rest().to_vec()),
        11 => file.max_timestamp = Some(c.rest().to_vec()),
        12 => {
            let mut id = || Ok([c.u64_le()?, c.u64_le()?]);
            file.unique_id = Some(id().field("unique_id")?);
            c.finish().field("unique_id")?;
        }
        13 => file.epoch_number = known(c.varint64().field("epoch_number")?),
        14 => {
            let size = c.varint64().field("compensated_range_deletion_size")?;
            file.compensated_range_deletion_size = Some(size);
        }
        15 => file.tail_size = known(c.varint64().field("tail_size")?),
        16 => {
            let flag = flag(&mut c).field("user_defined_timestamps_persisted")?;
            file.user_defined_timestamps_persisted = flag;
        }
        17 => file.file_open_metadata = Some(c.rest().to_vec()),
        65 => file.path_id = one_byte(&mut c).field("path_id")?.into(),
        unknown if unknown & CUSTOM_NOT_IGNORABLE != 0 => {
            let kind = ErrorKind::UnknownTag { what: "a new file's custom field", found: unknown.into() };
            return Err(Error::new(kind, at));
        }
        _ => file.unread.push(UnreadField { tag, len: c.remaining() as u64 }),
    }
    Ok(())
}

pub(super) fn deleted_file(c: &mut Cursor<'_>) -> Result<DeletedFile> {
    Ok(DeletedFile { level: c.varint32().field("level")?, number: c.varint64().field("number")? })
}

pub(super) fn within_slice<T>(
    c: &mut Cursor<'_>,
    decode: impl FnOnce(&mut Cursor<'_>) -> Result<T>,
) -> Result<T> {
    let bytes = c.slice("a field")?;
    decode(&mut Cursor::at(bytes, c.offset().saturating_sub(bytes.len() as u64)))
}

fn one_byte(c: &mut Cursor<'_>) -> Result<u8> {
    let value = c.u8()?;
    c.finish()?;
    Ok(value)
}

/// RocksDB takes every byte but 1 for "no".
pub(super) fn flag(c: &mut Cursor<'_>) -> Result<bool> {
    Ok(one_byte(c)? == 1)
}

pub(super) fn key(c: &mut Cursor<'_>) -> Result<InternalKeyBuf> {
    let bytes = c.slice("an internal key")?;
    Ok(InternalKey::decode(bytes, c.offset().saturating_sub(bytes.len() as u64))?.to_buf())
}

pub(super) fn text(c: &mut Cursor<'_>) -> Result<String> {
    let bytes = c.slice("a name")?;
    utf8(bytes, c.offset().saturating_sub(bytes.len() as u64))
}

fn utf8(bytes: &[u8], at: u64) -> Result<String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|_| Error::invalid("a name is UTF-8", bytes.escape_ascii().to_string(), at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocksdb::internal_key::ValueType;
    use crate::rocksdb::manifest::VersionEdit;

    fn decode(bytes: &[u8]) -> Result<VersionEdit> {
        VersionEdit::decode(Cursor::at(bytes, 1000))
    }

    #[rustfmt::skip]
    const KEY_A: [u8; 10] = [9, b'a', 1, 5, 0, 0, 0, 0, 0, 0]; // 'a' seq 5 Value
    #[rustfmt::skip]
    const KEY_B: [u8; 10] = [9, b'b', 2, 7, 0, 0, 0, 0, 0, 0]; // 'b' seq 7 Merge

    /// tag, level 2, number 42, [path id], size 300, keys, [seqnos 5 and 7].
    fn new_file(tag: u8, custom: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![tag, 2, 42];
        bytes.extend((tag == 102).then_some(3));
        bytes.extend([0xac, 0x02]);
        bytes.extend(KEY_A);
        bytes.extend(KEY_B);
        bytes.extend((tag != 7).then_some([5, 7]).into_iter().flatten());
        bytes.extend(custom.concat());
        bytes.extend((tag == 103).then_some(1));
        bytes
    }

    #[test]
    fn all_kinds_of_new_files() {
        for tag in [7, 100, 102, 103] {
            let edit = decode(&new_file(tag, &[])).unwrap();
            let [NewFile { level: 2, file }] = edit.new_files.as_slice() else { panic!("{edit:?}") };
            assert_eq!((file.number, file.size), (42, 300), "{tag}");
            assert_eq!(
                (file.smallest.user_key.as_slice(), file.smallest.value_type),
                (&b"a"[..], ValueType::Value)
            );
            assert_eq!((file.largest.sequence, file.largest.value_type), (7, ValueType::Merge));
            assert_eq!(file.path_id, if tag == 102 { 3 } else { 0 });
            assert_eq!(
                (file.smallest_seqno, file.largest_seqno),
                if tag == 7 { (None, None) } else { (Some(5), Some(7)) }
            );
        }
    }

    #[test]
    fn all_custom_fields() {
        #[rustfmt::skip]
        let fields: [&[u8]; 18] = [
            &[2, 1, 1], &[3, 8, 9, 0, 0, 0, 0, 0, 0, 0], &[4, 1, 33], &[5, 1, 100], &[6, 1, 101],
            &[7, 2, 0xde, 0xad], &[8, 3, b'c', b'r', b'c'], &[9, 1, 0x0c], &[10, 1, 0xaa], &[11, 1, 0xbb],
            &[12, 16, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], &[13, 1, 77], &[14, 1, 44],
            &[15, 1, 55], &[16, 1, 0], &[17, 1, 0xcc], &[65, 1, 2],
            &[30, 3, 1, 1, 1],      // unknown, and it may be
        ];
        let edit = decode(&new_file(103, &fields)).unwrap();
        let file = &edit.new_files[0].file;
        assert_eq!((file.marked_for_compaction, edit.min_log_number_to_keep), (true, Some(9)));
        assert_eq!((file.oldest_blob_file_number, file.oldest_ancester_time), (Some(33), Some(100)));
        assert_eq!((file.file_creation_time, file.temperature), (Some(101), Temperature::Cold));
        assert_eq!(
            (file.checksum.as_deref(), file.checksum_func_name.as_deref()),
            (Some(&[0xde, 0xad][..]), Some("crc"))
        );
        assert_eq!(
            (file.min_timestamp.as_deref(), file.max_timestamp.as_deref()),
            (Some(&[0xaa][..]), Some(&[0xbb][..]))
        );
        assert_eq!((file.unique_id, file.epoch_number), (Some([1, 2]), Some(77)));
        assert_eq!((file.compensated_range_deletion_size, file.tail_size), (Some(44), Some(55)));
        assert_eq!((file.user_defined_timestamps_persisted, file.path_id), (false, 2));
        assert_eq!(file.file_open_metadata.as_deref(), Some(&[0xcc][..]));
        assert_eq!(file.unread, [UnreadField { tag: 30, len: 3 }]);
        // What follows them is read on.
        let joined = [new_file(103, &fields), vec![2, 10]].concat();
        assert_eq!(decode(&joined).unwrap().log_number, Some(10));
    }

    #[test]
    fn custom_fields_that_must_be_known() {
        let error = decode(&new_file(103, &[&[66, 1, 0]])).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::UnknownTag { what: "a new file's custom field", found: 66 });
        assert_eq!((error.offset(), error.path().as_str()), (1000 + 27, "new_files[0]"));
        let error = decode(&new_file(103, &[&[13, 1, 0x80]])).unwrap_err();
        assert_eq!((error.offset(), error.path().as_str()), (1000 + 29, "new_files[0].epoch_number"));
        assert_eq!(decode(&new_file(103, &[&[12, 1, 0]])).unwrap_err().path(), "new_files[0].unique_id");
        assert_eq!(
            decode(&new_file(103, &[&[2, 2, 1, 1]])).unwrap_err().path(),
            "new_files[0].marked_for_compaction"
        );
    }
}
