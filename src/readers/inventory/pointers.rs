//! What a JobManager's high availability points to, found among what was listed.

use std::ops::ControlFlow;

use statescope_formats::Limits;
use statescope_formats::flink::ha::{CompletedCheckpoint, PlaceKind, Stream};

use crate::model::Finding;
use crate::model::inventory::{Block, FileName, Inventory, ObjectId, Pointer};
use crate::readers::discover::METADATA_LIMIT;
use crate::storage::{InFlight, Location, ReadRequest, Storage};

/// How the names of such files begin, wherever they lie.
const PREFIX: &str = "completedCheckpoint";

/// Reads all pointers under the roots. One that cannot be read, or that leads out of the roots, is a block.
pub(super) fn read(storage: &dyn Storage, inventory: &mut Inventory, in_flight: InFlight) {
    let files: Vec<(ObjectId, Location)> = inventory
        .objects
        .iter()
        .filter(|(_, object)| object.name.starts_with(PREFIX))
        .filter_map(|(id, _)| Some((id, inventory.objects.location(id)?)))
        .collect();
    let requests: Vec<_> =
        files.iter().map(|(_, file)| ReadRequest::full(file.clone(), METADATA_LIMIT)).collect();
    let mut decoded = Vec::with_capacity(files.len());
    storage.read_each(&requests, in_flight, &mut |_, answer| {
        decoded.push(match answer {
            Ok(fetched) => CompletedCheckpoint::decode(&fetched.bytes, Limits::default())
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        });
        ControlFlow::Continue(())
    });
    for ((id, file), checkpoint) in files.into_iter().zip(decoded) {
        match checkpoint {
            Ok(checkpoint) => note(inventory, id, &file, &checkpoint),
            Err(message) => {
                let finding = Finding::error(
                    "pointer_not_decoded",
                    format!("what a JobManager would recover from cannot be read: {message}"),
                    "which checkpoint it needs cannot be told; if no cluster uses this file any more, move it out of the \
                     roots",
                );
                inventory.blocks.push(Block { finding: finding.in_file(file.to_string()), roots: None });
            }
        }
    }
}

fn note(inventory: &mut Inventory, id: ObjectId, file: &Location, checkpoint: &CompletedCheckpoint) {
    let mut pointer = Pointer { file: id, snapshot: None, objects: Vec::new(), unlisted: Vec::new() };
    let metadata = match &checkpoint.metadata {
        Stream::File { path, .. } => Location::parse(path).ok().and_then(|metadata| metadata.parent()),
        Stream::Inline { .. } => Location::parse(&checkpoint.external_pointer).ok(),
    };
    let mut outside = None;
    match &metadata {
        Some(directory) if inventory.root_of(directory).is_some() => {}
        Some(directory) => outside = Some(directory.to_string()),
        None => outside = Some(checkpoint.external_pointer.clone()),
    }
    for place in &checkpoint.places {
        if matches!(place.kind, PlaceKind::MergingDirectory | PlaceKind::CheckpointDirectory) {
            continue;
        }
        let Ok(location) = Location::parse(&place.path) else {
            outside.get_or_insert_with(|| place.path.clone());
            continue;
        };
        match inventory.objects.find(&location) {
            Some(object) => pointer.objects.push(object),
            None => pointer.unlisted.extend(location.file_name().map(FileName::new)),
        }
        if inventory.root_of(&location).is_none() {
            outside.get_or_insert_with(|| location.to_string());
        }
    }
    pointer.snapshot = metadata;
    if let Some(example) = outside {
        let finding = Finding::error(
            "pointer_leaves_roots",
            format!(
                "what a JobManager would recover from lies under no root that was given, such as {example}"
            ),
            "give the root that holds it too",
        );
        inventory.blocks.push(Block { finding: finding.in_file(file.to_string()), roots: None });
    } else if let Some(directory) = &pointer.snapshot
        && !inventory.snapshots.iter().any(|snapshot| snapshot.directory == *directory)
    {
        let finding = Finding::warning(
            "pointer_to_nothing",
            format!(
                "a JobManager would recover from {directory}, where no snapshot is: that recovery would fail"
            ),
            "if no cluster uses this file any more, it is a left-over",
        );
        inventory.findings.push(finding.in_file(file.to_string()));
    }
    pointer.objects.sort_unstable();
    pointer.objects.dedup();
    inventory.pointers.push(pointer);
}
