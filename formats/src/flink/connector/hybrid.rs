//! A source that goes from one source to the next.
//!
//! ```text
//! split v0         i32 source | utf id | i32 version | i32 length | the split of that source
//!       v1         v0 | bool finished
//! enumerator v0    i32 source | i32 version | i32 length | the enumerator of that source
//! ```
//!
//! Sources: `HybridSourceSplitSerializer`, `HybridSourceEnumeratorStateSerializer` of flink-connector-base 1.14 to 2.3.

use super::split::{Connector, Enumerator, Split};
use super::versioned::Versioned;
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};

/// A split of one of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HybridSplit {
    /// The index of the source, from 0.
    pub source_index: i32,
    /// The split's id.
    pub id: String,
    /// Whether it was read to its end; none before version 1.
    pub finished: Option<bool>,
    /// The version of the split's own serializer.
    pub version: i32,
    /// How many bytes that wrote.
    pub bytes: u64,
    /// What they say, if one can tell what they are.
    pub split: Option<(Connector, Box<Split>)>,
}

fn source_index(cursor: &mut Cursor<'_>) -> Result<i32> {
    let offset = cursor.offset();
    let index = cursor.i32().field("source_index")?;
    // Every connector's bytes would begin with an index, if any would do.
    if (0..1024).contains(&index) {
        return Ok(index);
    }
    Err(Error::invalid("the index of a source is small", index.to_string(), offset))
}

pub(super) fn split(split: Versioned<'_>) -> Result<Split> {
    if !matches!(split.version, 0 | 1) {
        return split.unknown("a split of a hybrid source", "0, 1");
    }
    split.decode(|cursor| {
        let source_index = source_index(cursor)?;
        let id = cursor.utf().field("id")?.into_owned();
        let inner = Versioned::read(cursor).field("split")?;
        let finished = if split.version == 1 { Some(cursor.bool().field("finished")?) } else { None };
        let recognized = Connector::of_split(inner);
        Ok(Split::Hybrid(HybridSplit {
            source_index,
            id,
            finished,
            version: inner.version,
            bytes: inner.bytes.len() as u64,
            split: recognized.map(|(connector, split)| (connector, Box::new(split))),
        }))
    })
}

pub(super) fn enumerator(state: Versioned<'_>) -> Result<Enumerator> {
    if state.version != 0 {
        return state.unknown("the enumerator of a hybrid source", "0");
    }
    state.decode(|cursor| {
        let source_index = source_index(cursor)?;
        let inner = Versioned::read(cursor).field("enumerator")?;
        let recognized = Connector::of_enumerator(inner);
        let mut enumerator = recognized.map(|(_, enumerator)| enumerator).unwrap_or_default();
        enumerator.source_index = Some(source_index);
        Ok(enumerator)
    })
}
