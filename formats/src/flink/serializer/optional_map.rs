//! `LinkedOptionalMapSerializer`: a map whose keys and values are framed and may be missing.
//!
//! ```text
//! i64 0x000004F2C69A3D70 | i32 n | n * { utf key name
//!                                      | bool | [i32 length, key]
//!                                      | bool | [i32 length, value] }
//! ```
//!
//! A key or value is missing when its class could not be loaded while the snapshot was written.

use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};

const MAGIC: u64 = 0x0000_04F2_C69A_3D70;

/// An entry: the frames are cursors over exactly their bytes.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: String,
    pub(super) key: Option<Cursor<'a>>,
    pub(super) value: Option<Cursor<'a>>,
}

pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Entry<'a>>> {
    let offset = cursor.offset();
    let magic = cursor.u64()?;
    if magic != MAGIC {
        let rule = "an optional map starts with 000004F2C69A3D70";
        return Err(Error::invalid(rule, format!("{magic:016X}"), offset));
    }
    let count = cursor.count32("optional map", 4)?;
    let mut entries = Vec::new();
    for i in 0..count {
        entries.push(entry(cursor).index("entries", i)?);
    }
    Ok(entries)
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let name = cursor.utf().field("name")?.into_owned();
    let key = frame(cursor).field("key")?;
    let value = frame(cursor).field("value")?;
    Ok(Entry { name, key, value })
}

fn frame<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cursor<'a>>> {
    if !cursor.bool()? {
        return Ok(None);
    }
    let length = cursor.length32("frame")?;
    cursor.sub(length).map(Some)
}
