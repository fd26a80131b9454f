//! Splits of files.
//!
//! ```text
//! split v1         utf id | path | i64 offset | i64 length | i64 modified | i64 size | i32 n | n × utf host | bool { i64 offset | i64 records }
//!                  1.13 and older: without modified and size
//! path             bool null?  1: string scheme | string user | string host | i32 port | string path | string query | string fragment
//!                  the flag is true where there is a path; string: bool { StringValue }
//! pending v1       u32 DEADBEEF | u32 split version | u32 n | u32 m | n × { u32 length | split } | m × { u32 length | UTF-8 path }
//!                  all of them little-endian
//! ```
//!
//! Times are in ms since 1970. Sources: `FileSourceSplitSerializer`, `PendingSplitsCheckpointSerializer` of flink-connector-files 1.13 to 2.3, `Path` of flink-core.

use super::split::{Enumerator, Split};
use super::versioned::{Versioned, check, optional, strings};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::java::mutf8;

const MAGIC: u32 = 0xDEAD_BEEF;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSplit {
    /// The split's id.
    pub id: String,
    /// The file, as a URI or path.
    pub path: String,
    /// Where the part begins.
    pub offset: i64,
    /// Its length in bytes.
    pub length: i64,
    /// When the file was modified, in ms since 1970; none before Flink 1.14.
    pub modified_ms: Option<i64>,
    /// The size of the file; none before Flink 1.14.
    pub file_size: Option<i64>,
    /// Where it is read on: an offset, or -1 if the format has none, and how many records are passed over from there on. None if it was not begun.
    pub position: Option<(i64, i64)>,
}

pub(super) fn split(split: Versioned<'_>) -> Result<Split> {
    if split.version != 1 {
        return split.unknown("a split of files", "1");
    }
    let with_times = split.decode(|cursor| file(cursor, true));
    // The version was not raised when fields were added.
    match with_times.or_else(|error| split.decode(|cursor| file(cursor, false)).map_err(|_| error)) {
        Ok(file) => Ok(Split::File(file)),
        Err(error) => Err(error),
    }
}

fn file(cursor: &mut Cursor<'_>, with_times: bool) -> Result<FileSplit> {
    let id = cursor.utf().field("id")?.into_owned();
    let at = cursor.offset();
    let path = path(cursor).field("path")?;
    let path = path.ok_or_else(|| Error::invalid("a split has a path", "none", at))?;
    let at = cursor.offset();
    let (offset, length) = (cursor.i64().field("offset")?, cursor.i64().field("length")?);
    check(offset >= 0 && length >= 0, "offsets and lengths are not negative", offset.min(length), at)?;
    let (modified_ms, file_size) = match with_times {
        true => (Some(cursor.i64().field("modified")?), Some(cursor.i64().field("file_size")?)),
        false => (None, None),
    };
    let _hosts = strings("hosts", cursor)?;
    let position = optional(cursor, |cursor| Ok((cursor.i64()?, cursor.i64()?))).field("position")?;
    Ok(FileSplit { id, path, offset, length, modified_ms, file_size, position })
}

/// A path as it is written for people.
fn path(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if !cursor.bool()? {
        return Ok(None);
    }
    let mut text = String::new();
    if let Some(scheme) = string(cursor).field("scheme")? {
        text.push_str(&scheme);
        text.push(':');
    }
    // Who may read it is no part of where it is.
    let _user = string(cursor).field("user")?;
    let host = string(cursor).field("host")?;
    let port = cursor.i32().field("port")?;
    if let Some(host) = host {
        text.push_str("//");
        text.push_str(&host);
        if port >= 0 {
            text.push_str(&format!(":{port}"));
        }
    }
    text.push_str(&string(cursor).field("path")?.unwrap_or_default());
    let (query, fragment) = (string(cursor).field("query")?, string(cursor).field("fragment")?);
    for (mark, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            text.push(mark);
            text.push_str(&part);
        }
    }
    Ok(Some(text))
}

/// A string that may be null, as `StringUtils.writeNullableString` writes it.
fn string(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    optional(cursor, |cursor| {
        let offset = cursor.offset();
        // One more than the units; 0 stands for null.
        let Some(length) = cursor.varint32()?.checked_sub(1) else { return Ok(String::new()) };
        let length = cursor.check_count("characters", length.into(), 1, offset)?;
        let unit = |cursor: &mut Cursor<'_>| -> Result<u16> {
            let offset = cursor.offset();
            let unit = cursor.varint32()?;
            u16::try_from(unit)
                .map_err(|_| Error::invalid("a character has 16 bits", unit.to_string(), offset))
        };
        let units = (0..length).map(|_| unit(cursor)).collect::<Result<Vec<u16>>>()?;
        Ok(mutf8::text_of(units))
    })
}

pub(super) fn enumerator(state: Versioned<'_>) -> Result<Enumerator> {
    if state.version != 1 {
        return state.unknown("pending splits of files", "1");
    }
    state.decode(|cursor| {
        let offset = cursor.offset();
        let found = cursor.u32_le()?;
        check(found == MAGIC, "pending splits of files begin with DEADBEEF", format!("{found:08X}"), offset)?;
        let version = cursor.u32_le()?.cast_signed();
        let (splits, paths) = (count(cursor)?, count(cursor)?);
        let mut enumerator = Enumerator::default();
        for i in 0..splits {
            let offset = cursor.offset().saturating_add(4);
            let read = sized(cursor).and_then(|bytes| split(Versioned { version, bytes, offset }));
            enumerator.unassigned.push(read.index("splits", i)?);
        }
        for i in 0..paths {
            let path = sized(cursor).index("processed_paths", i)?;
            enumerator.processed_paths.push(String::from_utf8_lossy(path).into_owned());
        }
        Ok(enumerator)
    })
}

fn count(cursor: &mut Cursor<'_>) -> Result<usize> {
    let offset = cursor.offset();
    let found = cursor.u32_le()?;
    cursor.check_count("pending splits and paths", found.into(), 4, offset)
}

fn sized<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8]> {
    let offset = cursor.offset();
    let (found, max) = (cursor.u32_le()?, cursor.remaining() as u64);
    let bad =
        || Error::new(ErrorKind::BadCount { what: "serialized bytes", found: found.into(), max }, offset);
    let length = usize::try_from(found).ok().filter(|&n| n as u64 <= max).ok_or_else(bad)?;
    cursor.take(length)
}
