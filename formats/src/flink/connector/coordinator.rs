//! The state of a `SourceCoordinator`, which is inside `_metadata`.
//!
//! ```text
//! v1     i32 1 | i32 enumerator version | i32 n | n bytes of the enumerator
//! v0     i32 0 | as v1, and behind it which splits were assigned since the last checkpoint
//! ```
//!
//! Coordinators of other operators write what they like. Sources: `SourceCoordinator`, `SourceCoordinatorSerdeUtils` of flink-runtime 1.13 to 2.3.

use super::versioned::Versioned;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};

/// What a source's coordinator keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoordinatorState<'a> {
    /// The coordinator's version.
    pub version: i32,
    /// The state of the enumerator.
    pub enumerator: Versioned<'a>,
}

impl<'a> CoordinatorState<'a> {
    /// Decodes all of the bytes.
    ///
    /// # Errors
    /// It is none of a source, or damaged.
    pub fn parse(bytes: &'a [u8], offset: u64) -> Result<Self> {
        let mut cursor = Cursor::at(bytes, offset);
        let version = cursor.i32().field("coordinator_version")?;
        if !matches!(version, 0 | 1) {
            let kind = ErrorKind::UnknownVersion {
                what: "the state of a source's coordinator",
                found: version.into(),
                known: "0, 1",
            };
            return Err(Error::new(kind, offset));
        }
        let enumerator = Versioned::read(&mut cursor).field("enumerator")?;
        if version == 1 {
            cursor.finish()?;
        }
        Ok(Self { version, enumerator })
    }
}
