//! What sinks of files keep: `FileSink`, and `StreamingFileSink` before it.
//!
//! ```text
//! bucket v1        1E764B79 | bucket id | utf path | i64 created | bool { recoverable } | i32 version | i32 n | n × { i64 checkpoint | i32 m | m × { i32 length | recoverable } }
//!        v2        as v1, with files in place of recoverables
//!        v3        1E764B79 | bucket id | utf path | i64 created | bool { file in progress }
//! committable v1   1E765C80 | bool { pending file } | bool { file in progress }
//!             v2   1E765C80 | utf bucket id | bool { pending file } | bool { file in progress } | bool { utf path }
//! in progress v1   B3A4073D | recoverable
//!             v2   B3A4073D | bool { utf path } | recoverable
//! pending v1       2C853C89 | recoverable
//!         v2       2C853C89 | bool { utf path } | i64 size | recoverable
//! recoverable v1   u32 1E744B57 | u64 offset | u32 n | u32 m | n bytes path | m bytes temporary path      all of them little-endian
//! ```
//!
//! Bucket ids, files, and recoverables where no length stands before them, have their version and length. Bucket ids are UTF-8 if they are
//! strings; a recoverable is as above on local disk, and the file system's own else. Times are in ms since 1970. Sources:
//! `FileWriterBucketStateSerializer`, `FileSinkCommittableSerializer` of flink-connector-files, `OutputStreamBasedPartFileWriter`, `BucketStateSerializer` of flink-streaming-java,
//! `LocalRecoverableSerializer` of flink-core 1.13 to 2.3.

use super::versioned::{Versioned, check, magic, optional};
use crate::cursor::Cursor;
use crate::error::{Result, ResultExt as _};

const BUCKET: u32 = 0x1E76_4B79;
const COMMITTABLE: u32 = 0x1E76_5C80;
const IN_PROGRESS: u32 = 0xB3A4_073D;
const PENDING: u32 = 0x2C85_3C89;
const LOCAL: u32 = 0x1E74_4B57;

/// A bucket that is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBucket {
    /// The bucket's id; none if it is not a string.
    pub id: Option<String>,
    /// Its directory.
    pub path: String,
    /// When the file in progress was begun, in ms since 1970; the largest `long` if there is none.
    pub created_ms: i64,
    /// The file in progress.
    pub in_progress: Option<PartFile>,
    /// Files that are pending, each with its checkpoint (before version 3).
    pub pending: Vec<(i64, PartFile)>,
}

/// A file that is to be committed, or to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCommittable {
    /// The bucket's id; none before version 2.
    pub bucket: Option<String>,
    /// The file to be committed.
    pub pending: Option<PartFile>,
    /// A file in progress to be removed.
    pub to_clean_up: Option<PartFile>,
    /// A file that compaction has made superfluous.
    pub compacted: Option<String>,
}

/// A part of what a sink wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartFile {
    /// The file that it becomes.
    pub path: Option<String>,
    /// The file that it is now; known on local disk only.
    pub temporary_path: Option<String>,
    /// Its size in bytes, as far as it counts for the checkpoint.
    pub size: Option<i64>,
    /// The version of the recoverable's serializer.
    pub recoverable_version: i32,
    /// Bytes of the recoverable.
    pub recoverable_bytes: u64,
}

fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    Ok(cursor.utf()?.into_owned())
}

/// The recoverable of a file, on local disk or elsewhere.
fn recoverable(bytes: Versioned<'_>) -> PartFile {
    let part = PartFile {
        recoverable_version: bytes.version,
        recoverable_bytes: bytes.bytes.len() as u64,
        ..PartFile::default()
    };
    let local = bytes.decode(|cursor| {
        let offset = cursor.offset();
        let found = cursor.u32_le()?;
        check(found == LOCAL, "a local recoverable begins with 1E744B57", found, offset)?;
        let size = cursor.u64_le()?;
        let (n, m) = (cursor.u32_le()?, cursor.u32_le()?);
        let mut text = |n: u32| {
            let bytes = cursor.take(usize::try_from(n).unwrap_or(usize::MAX))?;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        Ok((i64::try_from(size).ok(), text(n)?, text(m)?))
    });
    match local {
        Ok((size, path, temporary)) if bytes.version == 1 => {
            PartFile { path: Some(path), temporary_path: Some(temporary), size, ..part }
        }
        _ => part,
    }
}

fn in_progress(file: Versioned<'_>) -> Result<PartFile> {
    if !matches!(file.version, 1 | 2) {
        return file.unknown("a file in progress", "1, 2");
    }
    file.decode(|cursor| {
        magic(IN_PROGRESS, "a file in progress begins with B3A4073D", cursor)?;
        let path = if file.version == 2 { optional(cursor, text).field("path")? } else { None };
        let part = recoverable(Versioned::read(cursor).field("recoverable")?);
        Ok(PartFile { path: path.or(part.path), ..part })
    })
}

fn pending(file: Versioned<'_>) -> Result<PartFile> {
    if !matches!(file.version, 1 | 2) {
        return file.unknown("a pending file", "1, 2");
    }
    file.decode(|cursor| {
        magic(PENDING, "a pending file begins with 2C853C89", cursor)?;
        let (path, size) = match file.version {
            2 => (optional(cursor, text).field("path")?, Some(cursor.i64().field("size")?)),
            _ => (None, None),
        };
        let part = recoverable(Versioned::read(cursor).field("recoverable")?);
        Ok(PartFile { path: path.or(part.path), size: size.filter(|&n| n >= 0).or(part.size), ..part })
    })
}

/// A file with its version and length.
fn file(cursor: &mut Cursor<'_>, decode: fn(Versioned<'_>) -> Result<PartFile>) -> Result<PartFile> {
    Versioned::read(cursor).and_then(decode)
}

pub(super) fn bucket(state: Versioned<'_>) -> Result<FileBucket> {
    if !matches!(state.version, 1..=3) {
        return state.unknown("a bucket of files", "1 to 3");
    }
    state.decode(|cursor| {
        magic(BUCKET, "a bucket of files begins with 1E764B79", cursor)?;
        let id = Versioned::read(cursor).field("bucket_id")?;
        let id = std::str::from_utf8(id.bytes).ok().map(str::to_owned);
        let path = cursor.utf().field("path")?.into_owned();
        let created_ms = cursor.i64().field("created")?;
        let of_version = |bytes: Versioned<'_>, decode: fn(Versioned<'_>) -> Result<PartFile>| {
            if state.version == 1 { Ok(recoverable(bytes)) } else { decode(bytes) }
        };
        let in_progress = optional(cursor, |cursor| of_version(Versioned::read(cursor)?, in_progress));
        let mut bucket = FileBucket {
            id,
            path,
            created_ms,
            in_progress: in_progress.field("in_progress")?,
            pending: Vec::new(),
        };
        if state.version < 3 {
            let version = cursor.i32().field("pending_version")?;
            for i in 0..cursor.count32("checkpoints", 12)? {
                let checkpoint = cursor.i64().index("checkpoints", i)?;
                for j in 0..cursor.count32("pending files", 4)? {
                    let file = Versioned::sized(version, cursor).and_then(|bytes| of_version(bytes, pending));
                    bucket.pending.push((checkpoint, file.index("pending", j)?));
                }
            }
        }
        Ok(bucket)
    })
}

pub(super) fn committable(bytes: Versioned<'_>) -> Result<FileCommittable> {
    if !matches!(bytes.version, 1 | 2) {
        return bytes.unknown("a committable of files", "1, 2");
    }
    bytes.decode(|cursor| {
        magic(COMMITTABLE, "a committable of files begins with 1E765C80", cursor)?;
        let bucket = if bytes.version == 2 { Some(text(cursor).field("bucket_id")?) } else { None };
        let pending = optional(cursor, |cursor| file(cursor, pending)).field("pending")?;
        let to_clean_up = optional(cursor, |cursor| file(cursor, in_progress)).field("in_progress")?;
        let compacted = if bytes.version == 2 { optional(cursor, text).field("compacted")? } else { None };
        Ok(FileCommittable { bucket, pending, to_clean_up, compacted })
    })
}
