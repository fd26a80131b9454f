//! Operator state as it was read: the stream of one handle, or the state of a coordinator.

use std::sync::Arc;

use bytes::Bytes;
use statescope_formats::flink::operator_state::OperatorStateParts;
use statescope_formats::flink::state_meta::OperatorBackendMeta;

use super::{FileId, OperatorStateHandle};

/// A stream of operator state.
#[derive(Debug, Clone)]
pub struct OperatorStream<'a> {
    /// Index of the operator in the snapshot.
    pub operator: usize,
    /// The subtask.
    pub subtask: u32,
    /// Whether it is raw operator state, which has no meta data.
    pub is_raw: bool,
    /// The handle.
    pub handle: &'a OperatorStateHandle,
    /// The file.
    pub file: FileId,
    /// Where it was read, for messages.
    pub name: String,
    /// Its size in bytes, as recorded.
    pub size: u64,
    /// Its bytes, or as many of them as there was room for; none if it could not be read.
    pub bytes: Option<Bytes>,
    /// Its meta data, if that could be decoded.
    pub meta: Option<Arc<OperatorBackendMeta>>,
}

impl OperatorStream<'_> {
    /// Cuts it into parts.
    #[must_use]
    pub fn parts(&self) -> OperatorStateParts<'_> {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        let compressed = self.meta.as_ref().is_some_and(|meta| meta.compressed);
        let offsets = self.handle.states.iter().flat_map(|state| state.offsets.iter().copied());
        OperatorStateParts::new(bytes, self.size, compressed, offsets)
    }
}

/// The state of a coordinator.
#[derive(Debug, Clone)]
pub struct CoordinatorBytes {
    /// Index of the operator in the snapshot.
    pub operator: usize,
    /// The file.
    pub file: FileId,
    /// Where it was read, for messages.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}
