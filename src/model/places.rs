//! Where the files of a snapshot were found: where they were recorded, or elsewhere.

use serde::Serialize;

/// Where the files that were read were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// Files read beside `_metadata`, as recorded: a copy of the directory keeps them.
    pub relative: u64,
    /// Files read at the absolute place where they were recorded.
    pub recorded_uris: u64,
    /// Files read somewhere else.
    pub relocated: u64,
    /// Files read out of `_metadata`.
    pub inlined: u64,
    /// Files that were looked for and not found or not readable.
    pub failed: u64,
    /// Files that were not looked at: their sizes are as recorded.
    pub not_read: u64,
    /// From where to where.
    pub relocations: Vec<Relocation>,
}

/// A directory that was found elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relocation {
    /// The recorded directory.
    pub from: String,
    /// Where its files were found.
    pub to: String,
    /// How many files were read there.
    pub files: u64,
    /// Whether the user said so.
    pub by_hand: bool,
}
