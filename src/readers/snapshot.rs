//! Reads a snapshot: `_metadata`, and the small files behind its handles.

use std::collections::HashMap;

use statescope_formats::flink::metadata::Metadata;
use statescope_formats::{Error as FormatError, Limits};

use super::channels::open_channels;
use super::convert::snapshot_from_metadata;
use super::details::{Depth, DepthFn, is_unknown, read_details, read_tails};
use super::discover::{METADATA, MetadataFile};
use super::opener::{Opener, RelocateRule};
use super::source::Source;
use crate::model::{Details, Effect, FileId, Finding, Places, Snapshot};
use crate::storage::{InFlight, Storage};

/// How many bytes of files of in-flight data are kept for whoever reads on.
const CHANNELS_KEPT: u64 = 16 << 20;

/// How a snapshot is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// `--relocate` rules, in order.
    pub relocate: Vec<RelocateRule>,
    /// How much may be under way at once.
    pub in_flight: InFlight,
    /// Whether the tail of every SST is read.
    pub properties: bool,
    /// Whether the files of in-flight data are found, at a request for each.
    pub channels: bool,
}

/// A snapshot that was read.
#[derive(Debug)]
pub struct SnapshotReading {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What the small files say.
    pub details: Details,
    /// Problems with `_metadata` itself.
    pub findings: Vec<Finding>,
    /// Where files were found.
    pub places: Places,
    /// Where the tables are, if their tails were read, and the files of in-flight data, if they were found.
    pub tables: HashMap<FileId, Source>,
}

/// A snapshot of which the small files were read, and more can be.
#[derive(Debug)]
pub struct OpenSnapshot<'s> {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What the small files say; of tables, what MANIFEST says.
    pub details: Details,
    /// Problems with `_metadata` itself.
    pub findings: Vec<Finding>,
    /// Finds and reads its files.
    pub opener: Opener<'s>,
}

impl OpenSnapshot<'_> {
    /// Reads the tails of all tables: one request each, and a second one where the first was too short.
    pub fn read_tails(&mut self) {
        read_tails(&mut self.opener, &self.snapshot, &mut self.details, 0, &|_, _| false, true);
    }

    /// Reads the tails of all tables as [`read_tails`](Self::read_tails) does, and with them what lies before them, as far
    /// as `room` bytes can hold it: [`SnapshotReading::tables`] keep it for whoever reads on. `select` says which states
    /// that will be, given the index of the operator and the state's name.
    pub fn read_ends(&mut self, room: u64, select: &dyn Fn(usize, &str) -> bool) {
        read_tails(&mut self.opener, &self.snapshot, &mut self.details, room, select, true);
    }

    /// As [`read_ends`](Self::read_ends), of no tables but those of the states that are selected.
    pub fn read_ends_of(&mut self, room: u64, select: &dyn Fn(usize, &str) -> bool) {
        read_tails(&mut self.opener, &self.snapshot, &mut self.details, room, select, false);
    }

    /// Finds the files of in-flight data: one request each. Those that are small are read whole, and
    /// [`SnapshotReading::tables`] keep them for whoever reads on.
    pub fn open_channels(&mut self) {
        let findings = open_channels(&mut self.opener, &self.snapshot, CHANNELS_KEPT);
        self.findings.extend(findings);
    }

    /// Reads what was left out of subtasks, as far as `depth` says, instead of what was read before.
    pub fn read_to(&mut self, depth: DepthFn<'_>) {
        self.details = read_details(&mut self.opener, &self.snapshot, true, depth);
    }

    /// Where the files were found that were read so far.
    #[must_use]
    pub fn places(&self) -> Places {
        self.opener.places(self.snapshot.files.len() as u64)
    }

    /// What was read.
    #[must_use]
    pub fn into_reading(self) -> SnapshotReading {
        let places = self.places();
        let Self { snapshot, details, findings, opener } = self;
        SnapshotReading { snapshot, details, findings, places, tables: opener.into_tables() }
    }
}

/// Decodes `_metadata` into the model. A part that cannot be decoded is a finding.
///
/// # Errors
/// The file is no `_metadata` at all, or of an unknown version.
pub fn decode_metadata(file: &MetadataFile) -> Result<(Snapshot, Vec<Finding>), FormatError> {
    let (metadata, error) = Metadata::decode_partial(&file.bytes, Limits::default())?;
    let mut findings = Vec::new();
    if let Some(error) = error {
        let finding = Finding::error(
            "metadata_not_whole",
            format!(
                "_metadata cannot be decoded to its end: {error}; what stands before that place is \
                     shown ({}), whatever follows is missing",
                match metadata.operators.len() {
                    1 => "1 operator".to_owned(),
                    n => format!("{n} operators"),
                }
            ),
            "if the file was copied, copy it again; Flink cannot restore from it as it is",
        )
        .at(error.offset());
        findings.push(if is_unknown(&error) { finding.meaning(Effect::Unknown) } else { finding });
    }
    let snapshot = snapshot_from_metadata(&metadata, file.bytes.len() as u64, &mut findings);
    let name = file.directory.join(METADATA).map_or_else(|_| METADATA.to_owned(), |l| l.to_string());
    for finding in &mut findings {
        finding.file.get_or_insert_with(|| name.clone());
    }
    Ok((snapshot, findings))
}

/// Reads a snapshot whose `_metadata` is at hand.
///
/// # Errors
/// As [`decode_metadata`]; everything else is a finding.
pub fn read_snapshot(
    storage: &dyn Storage,
    file: &MetadataFile,
    options: &ReadOptions,
) -> Result<SnapshotReading, FormatError> {
    let mut open = open(storage, file, options, options.properties, &|_, _| Depth::Whole)?;
    if options.properties {
        open.read_tails();
    }
    if options.channels {
        open.open_channels();
    }
    Ok(open.into_reading())
}

/// Reads a snapshot whose `_metadata` is at hand, but no tail of a table.
///
/// # Errors
/// As [`decode_metadata`]; everything else is a finding.
pub fn open_snapshot<'s>(
    storage: &'s dyn Storage,
    file: &MetadataFile,
    options: &ReadOptions,
) -> Result<OpenSnapshot<'s>, FormatError> {
    open(storage, file, options, true, &|_, _| Depth::Whole)
}

/// Reads as much of a snapshot whose `_metadata` is at hand as `depth` says, but no tail of a table.
///
/// # Errors
/// As [`decode_metadata`]; everything else is a finding.
pub fn open_snapshot_to<'s>(
    storage: &'s dyn Storage,
    file: &MetadataFile,
    options: &ReadOptions,
    depth: DepthFn<'_>,
) -> Result<OpenSnapshot<'s>, FormatError> {
    open(storage, file, options, true, depth)
}

fn open<'s>(
    storage: &'s dyn Storage,
    file: &MetadataFile,
    options: &ReadOptions,
    bounds: bool,
    depth: DepthFn<'_>,
) -> Result<OpenSnapshot<'s>, FormatError> {
    let (snapshot, findings) = decode_metadata(file)?;
    let mut opener = Opener::new(
        storage,
        file.directory.clone(),
        file.bytes.clone(),
        options.relocate.clone(),
        options.in_flight,
    );
    let details = read_details(&mut opener, &snapshot, bounds, depth);
    Ok(OpenSnapshot { snapshot, details, findings, opener })
}
