//! The state handles of a subtask with every file they name, for the complete output.

use std::collections::BTreeSet;

use super::types::{HandleFile, HandleSummary};
use crate::model::{
    ChannelState, FileId, KeyedContent, KeyedState, OperatorStateHandle, Snapshot, StateFile, Subtask,
};

/// All handles of a subtask, those inside changelogs included.
pub(super) fn of_subtask(snapshot: &Snapshot, subtask: &Subtask) -> Vec<HandleSummary> {
    let mut out = Vec::new();
    for (kind, state) in [("managed_keyed", &subtask.managed_keyed), ("raw_keyed", &subtask.raw_keyed)] {
        if let Some(state) = state {
            state.walk(&mut |inner| out.push(keyed(snapshot, kind, inner)));
        }
    }
    for (kind, handle) in
        [("managed_operator", &subtask.managed_operator), ("raw_operator", &subtask.raw_operator)]
    {
        if let Some(handle) = handle {
            out.push(operator_state(snapshot, kind, handle));
        }
    }
    for (kind, channels) in
        [("input_channel", &subtask.input_channels), ("result_subpartition", &subtask.result_subpartitions)]
    {
        out.extend(channels.iter().map(|c| channel(snapshot, kind, c)));
    }
    out
}

fn keyed(snapshot: &Snapshot, kind: &'static str, state: &KeyedState) -> HandleSummary {
    let mut out = HandleSummary {
        kind,
        layout: Some(super::build::layout(state)),
        key_groups: state.key_groups.last().map(|last| (state.key_groups.start, last)),
        ..HandleSummary::default()
    };
    match &state.content {
        KeyedContent::Database(db) => {
            out.checkpoint_id = Some(db.checkpoint_id);
            out.backend_id = Some(db.backend_id.to_string());
            out.uploaded_bytes = db.uploaded_bytes;
            out.files.extend(db.meta.and_then(|id| file(snapshot, id, None, None)));
            for entry in &db.files {
                let name = Some(entry.name.to_string());
                match entry.file {
                    Some(id) => out.files.extend(file(snapshot, id, name, Some(entry.shared))),
                    None => out.null_files.push(entry.name.to_string()),
                }
            }
        }
        KeyedContent::Stream(stream) => out.files.extend(file(snapshot, stream.stream, None, None)),
        KeyedContent::Changelog(log) => {
            out.materialization_id = Some(log.materialization_id);
            let files: BTreeSet<FileId> = log.materialized.iter().flat_map(KeyedState::files).collect();
            let sizes = files.into_iter().filter_map(|id| Some(snapshot.file(id)?.size));
            out.materialized_bytes = Some(sizes.fold(0, u64::saturating_add));
        }
        KeyedContent::InlineChanges { changes, bytes } => {
            out.changes = Some(changes.len() as u64);
            out.bytes = Some(*bytes);
        }
        KeyedContent::ChangeFiles { files, bytes, storage } => {
            out.bytes = u64::try_from(*bytes).ok();
            out.changelog_storage.clone_from(storage);
            out.change_sets = Some(files.len() as u64);
            out.files.extend(files.iter().filter_map(|(_, id)| file(snapshot, *id, None, None)));
        }
    }
    out
}

fn operator_state(snapshot: &Snapshot, kind: &'static str, handle: &OperatorStateHandle) -> HandleSummary {
    HandleSummary {
        kind,
        files: handle.stream.and_then(|id| file(snapshot, id, None, None)).into_iter().collect(),
        ..HandleSummary::default()
    }
}

fn channel(snapshot: &Snapshot, kind: &'static str, channel: &ChannelState) -> HandleSummary {
    HandleSummary {
        kind,
        bytes: Some(channel.bytes),
        channels: Some(channel.channels.len() as u64),
        buffers: Some(channel.buffers()),
        files: channel.stream.and_then(|id| file(snapshot, id, None, None)).into_iter().collect(),
        ..HandleSummary::default()
    }
}

fn file(snapshot: &Snapshot, id: FileId, name: Option<String>, shared: Option<bool>) -> Option<HandleFile> {
    let StateFile { place, size, role, uses } = snapshot.file(id)?;
    Some(HandleFile {
        role: role.name(),
        name,
        place: place.to_string(),
        bytes: *size,
        in_shared_list: shared,
        named_by: *uses,
    })
}
