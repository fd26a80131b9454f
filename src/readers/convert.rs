//! The one conversion from Flink's wire structures into the model.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use statescope_formats::flink::metadata as wire;

use crate::model::{
    Changelog, Channel, ChannelState, DatabaseFile, DatabaseFileKind, DatabaseHandle, FileId, FileRole,
    Finding, InlineChange, KeyGroupStream, KeyedContent, KeyedState, MasterState, Operator,
    OperatorStateHandle, OperatorStatePartitions, Place, Snapshot, SnapshotKind, StateFile, Subtask,
};

/// Builds the model of a snapshot from its decoded `_metadata` of `metadata_bytes` bytes.
///
/// What is odd but does not hide anything becomes a finding.
#[must_use]
pub(super) fn snapshot_from_metadata(
    metadata: &wire::Metadata<'_>,
    metadata_bytes: u64,
    findings: &mut Vec<Finding>,
) -> Snapshot {
    let mut builder = Builder::default();
    let mut operators: Vec<_> = metadata.operators.iter().map(|o| builder.operator(o)).collect();
    operators.sort_by_key(|o| o.id);
    findings.append(&mut builder.findings);
    Snapshot {
        metadata_version: metadata.version,
        metadata_bytes,
        checkpoint_id: metadata.checkpoint_id,
        kind: kind(metadata, findings),
        operators,
        master_states: metadata
            .master_states
            .iter()
            .map(|m| MasterState {
                name: m.name.to_string(),
                version: m.version,
                bytes: m.payload.len() as u64,
            })
            .collect(),
        tally: metadata.tally,
        files: builder.files,
    }
}

fn kind(metadata: &wire::Metadata<'_>, findings: &mut Vec<Finding>) -> SnapshotKind {
    let Some((offset, bytes)) = metadata.properties else { return SnapshotKind::Unknown };
    match wire::CheckpointProperties::decode(bytes, offset) {
        Ok(properties) => match properties.kind {
            wire::PropertiesKind::Checkpoint => {
                SnapshotKind::Checkpoint { name: properties.name, sharing: properties.sharing }
            }
            wire::PropertiesKind::Savepoint { format, .. } => {
                SnapshotKind::Savepoint { name: properties.name, format }
            }
            wire::PropertiesKind::Other(class) => {
                findings.push(
                    Finding::warning(
                        "unknown_snapshot_type",
                        format!("the snapshot's type is of a class that is not known: {class:?}"),
                        "everything else is read; please report the Flink version that wrote it",
                    )
                    .at(offset),
                );
                SnapshotKind::Unknown
            }
        },
        Err(error) => {
            findings.push(
                Finding::error(
                    "properties_not_decoded",
                    format!("the checkpoint properties at the end of _metadata cannot be decoded: {error}"),
                    "the kind of snapshot stays unknown; if the file was copied, copy it again",
                )
                .at(error.offset()),
            );
            SnapshotKind::Unknown
        }
    }
}

#[derive(Default)]
struct Builder {
    files: Vec<StateFile>,
    /// Files by what makes them the same one; the key is the file itself.
    known: HashTable<FileId>,
    hasher: DefaultHashBuilder,
    names: HashMap<String, Arc<str>>,
    findings: Vec<Finding>,
}

impl Builder {
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(name);
        self.names.insert(name.to_owned(), Arc::clone(&new));
        new
    }

    /// The id of a stream. The same object named twice is one file.
    fn file(&mut self, stream: &wire::StreamHandle<'_>, role: FileRole) -> FileId {
        let (place, size) = match stream {
            wire::StreamHandle::ByteStream { name, data, offset } => {
                (Place::Inline { offset: *offset, name: name.as_ref().into() }, data.len() as u64)
            }
            wire::StreamHandle::File { path, size } => (Place::Uri(path.as_ref().into()), unsigned(*size)),
            wire::StreamHandle::Relative { path, size } => {
                (Place::Relative(path.as_ref().into()), unsigned(*size))
            }
            wire::StreamHandle::Segment { start, size, path, .. } => {
                (Place::Segment { uri: path.as_ref().into(), start: unsigned(*start) }, unsigned(*size))
            }
            // A key-group stream used as a plain stream: the bytes are those of the stream inside.
            wire::StreamHandle::KeyGroups(inner) => return self.file(&inner.stream, role),
            wire::StreamHandle::EmptySegment => (Place::Empty, 0),
        };
        // Segments of one file may begin at the same place only if they are the same segment;
        // the size tells two apart that a broken file gives the same start.
        let exact = matches!(place, Place::Segment { .. });
        let same = |file: &StateFile| file.place == place && (!exact || file.size == size);
        let hash = self.hasher.hash_one(&place);
        let found = self.known.find(hash, |id| self.files.get(id.0 as usize).is_some_and(same)).copied();
        if let Some(id) = found {
            self.use_again(id, size, role);
            return id;
        }
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(StateFile { place, size, role, uses: 1 });
        let (files, hasher) = (&self.files, &self.hasher);
        self.known.insert_unique(hash, id, |id| {
            files.get(id.0 as usize).map_or(0, |file| hasher.hash_one(&file.place))
        });
        id
    }

    fn use_again(&mut self, id: FileId, size: u64, role: FileRole) {
        let Some(file) = self.files.get_mut(id.0 as usize) else { return };
        file.uses = file.uses.saturating_add(1);
        if file.size != size && role != FileRole::Channel && role != FileRole::Changelog {
            self.findings.push(
                Finding::warning(
                    "sizes_disagree",
                    format!("two handles name this file with different sizes: {} and {size}", file.size),
                    "the larger one is counted; at least one of the handles is wrong",
                )
                .in_file(file.place.to_string()),
            );
        }
        file.size = file.size.max(size);
    }

    fn operator(&mut self, operator: &wire::OperatorState<'_>) -> Operator {
        let mut subtasks: Vec<_> = operator.subtasks.iter().map(|s| self.subtask(s)).collect();
        subtasks.sort_by_key(|s| s.index);
        Operator {
            id: operator.id,
            name: operator.name.as_deref().map(str::to_owned),
            uid: operator.uid.as_deref().map(str::to_owned),
            parallelism: operator.parallelism,
            max_parallelism: operator.max_parallelism,
            coordinator: operator.coordinator.as_ref().map(|c| self.file(c, FileRole::Coordinator)),
            fully_finished: operator.fully_finished,
            subtasks,
        }
    }

    fn subtask(&mut self, subtask: &wire::SubtaskState<'_>) -> Subtask {
        let keyed = |builder: &mut Self, handle: &Option<Box<wire::KeyedHandle<'_>>>, role| {
            handle.as_deref().map(|h| builder.keyed(h, role))
        };
        Subtask {
            index: subtask.index,
            finished: subtask.finished,
            managed_keyed: keyed(self, &subtask.managed_keyed, FileRole::KeyedStream),
            raw_keyed: keyed(self, &subtask.raw_keyed, FileRole::RawKeyedStream),
            managed_operator: subtask.managed_operator.as_deref().map(|h| self.operator_state(h)),
            raw_operator: subtask.raw_operator.as_deref().map(|h| self.operator_state(h)),
            input_channels: subtask.input_channels.iter().map(|c| self.channel(c)).collect(),
            result_subpartitions: subtask.result_subpartitions.iter().map(|c| self.channel(c)).collect(),
            reference_checkpoint_id: subtask.reference_checkpoint_id,
        }
    }

    fn keyed(&mut self, handle: &wire::KeyedHandle<'_>, role: FileRole) -> KeyedState {
        let content = match handle {
            wire::KeyedHandle::KeyGroups(h) => self.stream(h, false, role),
            wire::KeyedHandle::SavepointKeyGroups(h) => self.stream(h, true, role),
            wire::KeyedHandle::Incremental(h) => KeyedContent::Database(self.database(h)),
            wire::KeyedHandle::Changelog(h) => KeyedContent::Changelog(Changelog {
                materialized: h.materialized.iter().map(|inner| self.keyed(inner, role)).collect(),
                deltas: h.deltas.iter().map(|inner| self.keyed(inner, role)).collect(),
                materialization_id: h.materialization_id,
            }),
            wire::KeyedHandle::ChangelogBytes(h) => KeyedContent::InlineChanges {
                changes: h
                    .changes
                    .iter()
                    .map(|change| InlineChange {
                        key_group: change.key_group,
                        offset: change.offset,
                        length: u32::try_from(change.data.len()).unwrap_or(u32::MAX),
                    })
                    .collect(),
                bytes: h.changes.iter().map(|c| c.data.len() as u64).sum(),
            },
            wire::KeyedHandle::ChangelogFiles(h) => KeyedContent::ChangeFiles {
                files: h
                    .streams
                    .iter()
                    .filter_map(|(at, s)| Some((*at, self.file(s.as_ref()?, FileRole::Changelog))))
                    .collect(),
                bytes: h.size,
                storage: h.storage.as_deref().map(str::to_owned),
            },
        };
        KeyedState { key_groups: handle.key_groups(), content }
    }

    fn stream(
        &mut self,
        handle: &wire::KeyGroupsHandle<'_>,
        canonical: bool,
        role: FileRole,
    ) -> KeyedContent {
        KeyedContent::Stream(KeyGroupStream {
            canonical,
            offsets: handle.offsets.iter().collect(),
            stream: self.file(&handle.stream, role),
        })
    }

    fn database(&mut self, handle: &wire::IncrementalHandle<'_>) -> DatabaseHandle {
        let mut files = Vec::with_capacity(handle.shared.len() + handle.private.len());
        for (list, shared) in [(&handle.shared, true), (&handle.private, false)] {
            for entry in list {
                let mut file = DatabaseFile { name: self.name(&entry.local_path), shared, file: None };
                let role = match file.kind() {
                    DatabaseFileKind::Sst(_) => FileRole::Sst,
                    _ => FileRole::DatabaseMeta,
                };
                file.file = entry.stream.as_ref().map(|s| self.file(s, role));
                files.push(file);
            }
        }
        DatabaseHandle {
            checkpoint_id: handle.checkpoint_id,
            backend_id: self.name(&handle.backend_id),
            uploaded_bytes: handle.checkpointed_size.and_then(|n| u64::try_from(n).ok()),
            meta: handle.meta.as_ref().map(|m| self.file(m, FileRole::BackendMeta)),
            files,
        }
    }

    fn operator_state(&mut self, handle: &wire::OperatorStateHandle<'_>) -> OperatorStateHandle {
        let states = handle
            .states
            .iter()
            .map(|s| OperatorStatePartitions {
                name: self.name(&s.name),
                mode: s.mode,
                offsets: s.offsets.iter().collect(),
            })
            .collect();
        let stream = handle.stream.as_ref().filter(|s| !matches!(s, wire::StreamHandle::EmptySegment));
        OperatorStateHandle { states, stream: stream.map(|s| self.file(s, FileRole::OperatorStream)) }
    }

    fn channel(&mut self, handle: &wire::ChannelHandle<'_>) -> ChannelState {
        let channels = handle.channels.iter().map(|channel| Channel {
            gate: channel.gate,
            channel: channel.channel,
            bytes: unsigned(channel.size),
            offsets: channel.offsets.iter().collect(),
        });
        ChannelState {
            channels: channels.collect(),
            bytes: unsigned(handle.size),
            stream: handle.stream.as_ref().map(|s| self.file(s, FileRole::Channel)),
        }
    }
}

fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
