//! Which bytes of which files say what the states are, and what is to be made of them.

use super::super::opener::Wanted;
use crate::model::{
    DatabaseFile, DatabaseFileKind, DatabaseHandle, FileId, KeyGroupStream, KeyedContent, KeyedState,
    Operator, OperatorStateHandle, Place, Snapshot, Subtask,
};
use crate::storage::Span;

/// The largest meta file that is read into memory.
pub(in crate::readers) const META_LIMIT: u64 = 1 << 30;

/// The most that is read of the begin of a stream to find its meta data, where no offset tells more.
const HEAD_LIMIT: u64 = 16 << 20;

/// Streams of operator state up to this size are read whole: it costs the same request.
const SMALL_STREAM: u64 = 64 << 10;

/// What is read of a subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All that small files say.
    Whole,
    /// What is needed to find a key: no operator state, and no CURRENT where there is but one MANIFEST.
    Keyed,
    /// Which keyed states there are, and of what types.
    KeyedMeta,
    /// Nothing.
    Nothing,
}

/// Says what is read of a subtask, given the index of its operator.
pub type DepthFn<'a> = &'a dyn Fn(usize, &Subtask) -> Depth;

/// What is to be read and what is to be made of it.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) wanted: Vec<Wanted>,
    pub(super) names: Vec<String>,
    pub(super) jobs: Vec<Job<'a>>,
}

pub(super) enum Job<'a> {
    Database {
        operator: usize,
        subtask: u32,
        state: &'a KeyedState,
        database: &'a DatabaseHandle,
        meta: Option<usize>,
        current: Option<usize>,
        manifests: Vec<(&'a str, usize)>,
        options: Option<usize>,
        depth: Depth,
    },
    Stream {
        operator: usize,
        subtask: u32,
        state: &'a KeyedState,
        canonical: bool,
        head: usize,
    },
    Raw {
        operator: usize,
        subtask: u32,
        state: &'a KeyedState,
        head: Option<usize>,
    },
    Operator {
        operator: usize,
        subtask: u32,
        handle: &'a OperatorStateHandle,
        head: usize,
    },
}

impl<'a> Plan<'a> {
    fn want(&mut self, file: FileId, span: Span, name: impl Into<String>) -> usize {
        self.wanted.push(Wanted { file, span });
        self.names.push(name.into());
        self.wanted.len() - 1
    }

    pub(super) fn operator(
        &mut self,
        snapshot: &'a Snapshot,
        index: usize,
        operator: &'a Operator,
        depth: DepthFn<'_>,
    ) {
        for subtask in &operator.subtasks {
            let depth = depth(index, subtask);
            if depth == Depth::Nothing {
                continue;
            }
            if let Some(state) = &subtask.managed_keyed {
                let mut handles = Vec::new();
                state.walk(&mut |inner| handles.push(inner));
                for state in handles {
                    self.keyed(snapshot, index, subtask.index, state, depth);
                }
            }
            if let Some(state) = &subtask.raw_keyed {
                let mut handles = Vec::new();
                state.walk(&mut |inner| handles.push(inner));
                for state in handles {
                    self.raw(snapshot, index, subtask.index, state);
                }
            }
            if let Some(handle) = subtask.managed_operator.as_ref().filter(|_| depth == Depth::Whole) {
                self.operator_state(snapshot, index, subtask.index, handle);
            }
        }
    }

    fn keyed(
        &mut self,
        snapshot: &'a Snapshot,
        operator: usize,
        subtask: u32,
        state: &'a KeyedState,
        depth: Depth,
    ) {
        match &state.content {
            KeyedContent::Database(database) => self.database(operator, subtask, state, database, depth),
            KeyedContent::Stream(stream) => {
                let size = snapshot.file(stream.stream).map_or(0, |f| f.size);
                let span = Span::Range(0..head_end(stream.offsets.iter().copied().filter(|&o| o > 0), size));
                let head = self.want(stream.stream, span, "the begin of a stream of keyed state");
                self.jobs.push(Job::Stream { operator, subtask, state, canonical: stream.canonical, head });
            }
            _ => {}
        }
    }

    fn database(
        &mut self,
        operator: usize,
        subtask: u32,
        state: &'a KeyedState,
        database: &'a DatabaseHandle,
        depth: Depth,
    ) {
        let full = Span::Full { limit: META_LIMIT };
        let meta = database.meta.map(|id| self.want(id, full.clone(), "the meta data of a keyed backend"));
        let (mut current, mut manifests, mut options) = (None, Vec::new(), None::<(&str, FileId)>);
        let is_manifest = |entry: &&DatabaseFile| entry.kind() == DatabaseFileKind::Manifest;
        let is_plain = depth == Depth::Keyed && database.files.iter().filter(is_manifest).count() == 1;
        for entry in database.files.iter().filter(|_| depth != Depth::KeyedMeta) {
            let Some(id) = entry.file else { continue };
            match entry.kind() {
                DatabaseFileKind::Current if is_plain => {}
                DatabaseFileKind::Current => {
                    current = Some(self.want(id, full.clone(), "the CURRENT file of a database"));
                }
                DatabaseFileKind::Manifest => {
                    let at = self.want(id, full.clone(), "the MANIFEST of a database");
                    manifests.push((&*entry.name, at));
                }
                // Of several the one with the highest number holds; names of equal length sort so.
                DatabaseFileKind::Options
                    if options
                        .is_none_or(|(name, _)| (name.len(), name) < (entry.name.len(), &*entry.name)) =>
                {
                    options = Some((&entry.name, id));
                }
                _ => {}
            }
        }
        let options = options.map(|(_, id)| self.want(id, full, "the OPTIONS file of a database"));
        self.jobs.push(Job::Database {
            operator,
            subtask,
            state,
            database,
            meta,
            current,
            manifests,
            options,
            depth,
        });
    }

    fn raw(&mut self, snapshot: &'a Snapshot, operator: usize, subtask: u32, state: &'a KeyedState) {
        let KeyedContent::Stream(stream) = &state.content else { return };
        let size = snapshot.file(stream.stream).map_or(0, |f| f.size);
        // Here -1 means that the key group has nothing, and 0 is an offset like any other.
        let first = first_raw_group(stream);
        let head = first.map(|start| {
            let end = head_end(stream.offsets.iter().copied().filter(|&o| o > 0), size).max(start);
            let next =
                stream.offsets.iter().filter_map(|&o| u64::try_from(o).ok()).filter(|&o| o > start).min();
            let end = next.unwrap_or(size).min(start.saturating_add(HEAD_LIMIT)).max(end.min(size)).min(size);
            self.want(
                stream.stream,
                Span::Range(start.min(end)..end),
                "the begin of a stream of raw keyed state",
            )
        });
        self.jobs.push(Job::Raw { operator, subtask, state, head });
    }

    fn operator_state(
        &mut self,
        snapshot: &'a Snapshot,
        operator: usize,
        subtask: u32,
        handle: &'a OperatorStateHandle,
    ) {
        let Some(stream) = handle.stream else { return };
        let size = snapshot.file(stream).map_or(0, |f| f.size);
        let inlined = snapshot.file(stream).is_some_and(|f| matches!(f.place, Place::Inline { .. }));
        let end = if size <= SMALL_STREAM || inlined {
            size
        } else {
            head_end(handle.states.iter().flat_map(|s| s.offsets.iter().copied()).filter(|&o| o > 0), size)
        };
        let head = self.want(stream, Span::Range(0..end), "the begin of a stream of operator state");
        self.jobs.push(Job::Operator { operator, subtask, handle, head });
    }
}

/// Where the meta data at the begin of a stream ends: at the first offset that the handle records.
fn head_end(offsets: impl Iterator<Item = i64>, size: u64) -> u64 {
    let first = offsets.filter_map(|o| u64::try_from(o).ok()).min();
    first.unwrap_or(size).min(size).min(HEAD_LIMIT)
}

fn first_raw_group(stream: &KeyGroupStream) -> Option<u64> {
    stream.offsets.iter().filter_map(|&o| u64::try_from(o).ok()).min()
}
