//! Reads the `_metadata` of many snapshots, one after the other handed out and let go.

use std::ops::ControlFlow;

use statescope_formats::Error as FormatError;

use super::details::is_unknown;
use super::discover::{METADATA, METADATA_LIMIT, MetadataFile};
use super::snapshot::decode_metadata;
use crate::model::{Effect, Finding, Snapshot};
use crate::storage::{InFlight, Location, ReadRequest, Storage, StorageError, StorageErrorKind};

/// The `_metadata` of a snapshot, read and decoded.
#[derive(Debug)]
pub struct ReadMetadata {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// When `_metadata` was last modified, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// Parts that could not be decoded.
    pub findings: Vec<Finding>,
}

/// Reads the snapshots in these directories and hands out each with its index, in order.
pub fn read_each(
    storage: &dyn Storage,
    directories: &[Location],
    in_flight: InFlight,
    each: &mut dyn FnMut(usize, Result<ReadMetadata, Box<Finding>>),
) {
    let requests: Vec<_> = directories
        .iter()
        .map(|d| ReadRequest::full(d.join(METADATA).unwrap_or_else(|_| d.clone()), METADATA_LIMIT))
        .collect();
    storage.read_each(&requests, in_flight, &mut |index, answer| {
        let result = match answer {
            Ok(fetched) => {
                let directory = directories.get(index).cloned();
                let modified_ms = fetched.meta.last_modified;
                directory.map(|directory| {
                    let file = MetadataFile { directory, bytes: fetched.bytes, modified_ms };
                    decode(&file)
                })
            }
            Err(error) => Some(Err(Box::new(metadata_unreadable(&error)))),
        };
        if let Some(result) = result {
            each(index, result);
        }
        ControlFlow::Continue(())
    });
}

fn decode(file: &MetadataFile) -> Result<ReadMetadata, Box<Finding>> {
    match decode_metadata(file) {
        Ok((snapshot, findings)) => Ok(ReadMetadata { snapshot, modified_ms: file.modified_ms, findings }),
        Err(error) => Err(Box::new(metadata_not_decoded(file, &error))),
    }
}

/// That a `_metadata` cannot be read.
#[must_use]
pub fn metadata_unreadable(error: &StorageError) -> Finding {
    let finding = Finding::error(
        "metadata_unreadable",
        format!("the _metadata of a snapshot cannot be read: {error}"),
        "the others are shown; the message says why this one cannot be read",
    )
    .in_file(error.location().to_string());
    match error.kind() {
        // Nothing can read it as it is.
        StorageErrorKind::Archived | StorageErrorKind::IsDirectory => finding.meaning(Effect::Breaks),
        _ => finding,
    }
}

/// That a `_metadata` is none, or of a version that is not known.
#[must_use]
pub fn metadata_not_decoded(file: &MetadataFile, error: &FormatError) -> Finding {
    let at = file.directory.join(METADATA).map_or_else(|_| METADATA.to_owned(), |l| l.to_string());
    let finding = Finding::error(
        "metadata_not_decoded",
        format!("a _metadata file cannot be decoded: {error}"),
        "if the file was copied, copy it again; Flink cannot restore from it as it is",
    )
    .in_file(at)
    .at(error.offset());
    if is_unknown(error) { finding.meaning(Effect::Unknown) } else { finding }
}
