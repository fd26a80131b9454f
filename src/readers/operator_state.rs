//! Reads operator state: the streams of handles, each with one request, and the states of coordinators.
//!
//! Streams are read in bulk and handed out in batches, so that no more of them is in memory than was asked for. Of a stream that is larger
//! than a batch may be, the begin is read.

use statescope_formats::Error as FormatError;

use super::details::{META_LIMIT, Parts, operator_meta, owner};
use super::discover::MetadataFile;
use super::opener::{Opener, Wanted};
use super::snapshot::{ReadOptions, decode_metadata};
use crate::model::{
    CoordinatorBytes, FileId, Finding, Operator, OperatorStateHandle, OperatorStream, Places, Snapshot,
};
use crate::storage::{Span, Storage};

/// A snapshot whose operator state can be read.
#[derive(Debug)]
pub struct OperatorStates<'s> {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Problems with `_metadata`.
    pub findings: Vec<Finding>,
    opener: Opener<'s>,
}

/// A handle that is to be read.
struct Job<'a> {
    operator: usize,
    subtask: u32,
    is_raw: bool,
    handle: &'a OperatorStateHandle,
    file: FileId,
    size: u64,
}

/// Opens a snapshot whose `_metadata` is at hand. Nothing is read.
///
/// # Errors
/// As [`decode_metadata`].
pub fn open_operator_states<'s>(
    storage: &'s dyn Storage,
    file: &MetadataFile,
    options: &ReadOptions,
) -> Result<OperatorStates<'s>, FormatError> {
    let (snapshot, findings) = decode_metadata(file)?;
    let (directory, metadata) = (file.directory.clone(), file.bytes.clone());
    let opener = Opener::new(storage, directory, metadata, options.relocate.clone(), options.in_flight);
    Ok(OperatorStates { snapshot, findings, opener })
}

impl OperatorStates<'_> {
    /// Where files were found that were read so far.
    #[must_use]
    pub fn places(&self) -> Places {
        self.opener.places(self.snapshot.files.len() as u64)
    }

    /// Reads the states of the coordinators of these operators.
    pub fn coordinators(&mut self, wanted: &dyn Fn(&Operator) -> bool) -> Vec<CoordinatorBytes> {
        let operators = self.snapshot.operators.iter().enumerate().filter(|(_, operator)| wanted(operator));
        let files: Vec<(usize, FileId)> =
            operators.filter_map(|(index, operator)| Some((index, operator.coordinator?))).collect();
        let want = |&(_, file): &(usize, FileId)| Wanted { file, span: Span::Full { limit: META_LIMIT } };
        let wanted: Vec<Wanted> = files.iter().map(want).collect();
        let parts = self.opener.read(&self.snapshot, &wanted);
        let names = vec!["the state of a coordinator".to_owned(); parts.len()];
        let parts = Parts { parts, names };
        let mut read = Vec::with_capacity(files.len());
        for (at, (operator, file)) in files.into_iter().enumerate() {
            let owner = self.snapshot.operators.get(operator).map(super::details::operator_name);
            let part = parts.get(at, &owner.unwrap_or_default(), &mut self.findings);
            let coordinator = part.map(|part| CoordinatorBytes {
                operator,
                file,
                name: part.name.clone(),
                bytes: part.bytes.clone(),
            });
            read.extend(coordinator);
        }
        read
    }

    /// Reads the streams of these operators, in the order of operators and subtasks, and hands them out in batches of
    /// about `memory` bytes. Those that cannot be read are handed out without bytes.
    pub fn streams(
        &mut self,
        wanted: &dyn Fn(&Operator) -> bool,
        memory: u64,
        each: &mut dyn FnMut(&Snapshot, Vec<OperatorStream<'_>>),
    ) {
        let Self { snapshot, findings, opener } = self;
        let mut batch = Vec::new();
        let mut bytes = 0u64;
        for job in jobs(snapshot, wanted) {
            let room = job.size.min(memory);
            if !batch.is_empty() && bytes.saturating_add(room) > memory {
                each(snapshot, read(opener, snapshot, std::mem::take(&mut batch), memory, findings));
                bytes = 0;
            }
            bytes = bytes.saturating_add(room);
            batch.push(job);
        }
        if !batch.is_empty() {
            each(snapshot, read(opener, snapshot, batch, memory, findings));
        }
    }
}

fn jobs<'a>(snapshot: &'a Snapshot, wanted: &dyn Fn(&Operator) -> bool) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for (index, operator) in snapshot.operators.iter().enumerate().filter(|(_, it)| wanted(it)) {
        for subtask in &operator.subtasks {
            for (handle, is_raw) in [(&subtask.managed_operator, false), (&subtask.raw_operator, true)] {
                let Some(handle) = handle else { continue };
                let Some(file) = handle.stream.filter(|_| !handle.states.is_empty()) else { continue };
                let size = snapshot.file(file).map_or(0, |file| file.size);
                jobs.push(Job { operator: index, subtask: subtask.index, is_raw, handle, file, size });
            }
        }
    }
    jobs
}

fn read<'a>(
    opener: &mut Opener<'_>,
    snapshot: &'a Snapshot,
    batch: Vec<Job<'a>>,
    limit: u64,
    findings: &mut Vec<Finding>,
) -> Vec<OperatorStream<'a>> {
    let want = |job: &Job<'_>| Wanted { file: job.file, span: Span::Range(0..job.size.min(limit)) };
    let wanted: Vec<Wanted> = batch.iter().map(want).collect();
    let parts = opener.read(snapshot, &wanted);
    let names = vec!["a stream of operator state".to_owned(); parts.len()];
    let parts = Parts { parts, names };
    let mut streams = Vec::with_capacity(batch.len());
    for (at, job) in batch.into_iter().enumerate() {
        let Job { operator, subtask, is_raw, handle, file, size } = job;
        let owner = snapshot.operators.get(operator).map_or_else(String::new, |o| owner(o, subtask));
        let part = parts.get(at, &owner, findings);
        let meta = part.filter(|_| !is_raw).and_then(|part| operator_meta(handle, part, &owner, findings));
        streams.push(OperatorStream {
            operator,
            subtask,
            is_raw,
            handle,
            file,
            name: part.map(|part| part.name.clone()).unwrap_or_default(),
            size,
            bytes: part.map(|part| part.bytes.clone()),
            meta,
        });
    }
    streams
}
