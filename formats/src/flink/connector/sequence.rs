//! Parts of a sequence of numbers: `NumberSequenceSource`, and `DataGeneratorSource`, which counts by one.
//!
//! ```text
//! split v1         utf id | i64 from | i64 to
//! enumerator v1    i32 n | n × split                     what was not assigned yet
//! ```
//!
//! Sources: `NumberSequenceSource` of flink-core 1.13 to 2.3, `DataGeneratorSource` of flink-connector-datagen.

use super::split::{Enumerator, Split};
use super::versioned::{Versioned, check};
use crate::cursor::Cursor;
use crate::error::{Result, ResultExt as _};

/// A part of a sequence of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSplit {
    /// The split's id.
    pub id: String,
    /// The next number.
    pub from: i64,
    /// The last one.
    pub to: i64,
}

fn numbers(cursor: &mut Cursor<'_>) -> Result<Split> {
    let offset = cursor.offset();
    let id = cursor.utf().field("id")?.into_owned();
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    check(is_number, "the id of a part of a sequence is a number", &id, offset)?;
    let offset = cursor.offset();
    let (from, to) = (cursor.i64().field("from")?, cursor.i64().field("to")?);
    check(from <= to.saturating_add(1), "a sequence does not end before it begins", to, offset)?;
    Ok(Split::Numbers(NumberSplit { id, from, to }))
}

pub(super) fn split(split: Versioned<'_>) -> Result<Split> {
    match split.version {
        1 => split.decode(numbers),
        _ => split.unknown("a part of a sequence", "1"),
    }
}

pub(super) fn enumerator(state: Versioned<'_>) -> Result<Enumerator> {
    if state.version != 1 {
        return state.unknown("the enumerator of a sequence", "1");
    }
    state.decode(|cursor| {
        let count = cursor.count32("splits", 18)?;
        let unassigned = (0..count).map(|i| numbers(cursor).index("splits", i)).collect::<Result<_>>()?;
        Ok(Enumerator { unassigned, ..Enumerator::default() })
    })
}
