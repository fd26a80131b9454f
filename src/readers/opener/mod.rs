//! Finds and reads the files of a snapshot, wherever they lie now.
//!
//! A snapshot records absolute URIs, and snapshots get copied. A file is looked for, in this order:
//! where the user says (`--relocate FROM=TO`), where it was recorded, and then at the places that
//! follow from where `_metadata` was found. Nothing is guessed silently: where each file was found
//! is counted, and told. Files of one recorded directory are expected in one place, so only the
//! first of them pays for the search.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::Bytes;

use super::source::Source;
use crate::model::{FileId, FileRole, Finding, Place, Places, Relocation, Snapshot, StateFile};
use crate::storage::{InFlight, Location, ReadRequest, Span, Storage, StorageError, StorageErrorKind};

/// `--relocate FROM=TO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelocateRule {
    /// The recorded prefix.
    pub from: Location,
    /// What stands for it now.
    pub to: Location,
}

/// What is wanted of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The file.
    pub file: FileId,
    /// Which of its bytes; offsets count from the begin of the stream, not of the object.
    pub span: Span,
}

/// Bytes of a state file.
#[derive(Debug, Clone)]
pub struct Part {
    /// The bytes.
    pub bytes: Bytes,
    /// Where in the stream they begin.
    pub offset: u64,
    /// The stream's size as found.
    pub size: u64,
    /// The stream's size as recorded.
    pub recorded_size: u64,
    /// Where they were read, for messages.
    pub name: String,
}

/// Why a file could not be read.
#[derive(Debug, Clone)]
pub struct OpenError {
    /// The file as recorded.
    pub recorded: String,
    /// The last error of the storage, or why the recorded place is none.
    pub message: String,
    /// Whether nothing was there, at none of the places.
    pub missing: bool,
    /// The places that were tried.
    pub tried: Vec<String>,
}

impl OpenError {
    /// The finding that a file cannot be read.
    #[must_use]
    pub fn finding(&self, what: &str) -> Finding {
        if self.missing {
            let tried = match self.tried.as_slice() {
                [] => String::new(),
                tried => format!("; looked for at {}", tried.join(", ")),
            };
            Finding::error(
                "file_missing",
                format!("{what} is missing{tried}"),
                "if files were moved, say where with --relocate FROM=TO; if it is gone, the snapshot cannot be restored",
            )
            .in_file(&self.recorded)
        } else {
            Finding::error(
                "file_unreadable",
                format!("{what} cannot be read: {}", self.message),
                "what it describes is missing from the report; the message says why it cannot be read",
            )
            .in_file(&self.recorded)
        }
    }
}

/// The rule by which a place was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Rule {
    /// `--relocate`, by number.
    ByHand(usize),
    /// As recorded.
    Recorded,
    /// Below the ancestor of `_metadata` at this height whose name stands in the recorded path.
    Aligned(usize),
    /// In the directory of another job beside this job's.
    Sibling,
    /// Below this job's directory, whatever it is called now.
    Tail,
    /// Beside `_metadata`.
    Beside,
}

/// Reads the files of one snapshot and remembers where they were found.
#[derive(Debug)]
pub struct Opener<'s> {
    storage: &'s dyn Storage,
    directory: Location,
    metadata: Bytes,
    rules: Vec<RelocateRule>,
    in_flight: InFlight,
    /// The rule by which the files of a recorded directory were found.
    learned: HashMap<Location, Rule>,
    /// Where files were found: recorded directory, directory found, how many.
    relocations: BTreeMap<(String, String), u64>,
    relative: u64,
    recorded: u64,
    inlined: u64,
    failed: u64,
    read: std::collections::HashSet<FileId>,
    /// Where tables were found: they are read in many parts.
    tables: HashMap<FileId, Source>,
}

struct Item {
    /// Index of the wanted part.
    index: usize,
    /// Whether it is recorded by a path relative to `_metadata`.
    relative: bool,
    /// Whether it was not asked for before.
    first_time: bool,
    /// The table that it is, and where in its object that begins.
    table: Option<(FileId, u64)>,
    recorded: Location,
    candidates: Vec<(Rule, Location)>,
    next: usize,
    span: Span,
    last_error: Option<StorageError>,
}

impl<'s> Opener<'s> {
    /// Opens files of the snapshot whose `_metadata`, with these bytes, lies in `directory`.
    #[must_use]
    pub fn new(
        storage: &'s dyn Storage,
        directory: Location,
        metadata: Bytes,
        rules: Vec<RelocateRule>,
        in_flight: InFlight,
    ) -> Self {
        Self {
            storage,
            directory,
            metadata,
            rules,
            in_flight,
            learned: HashMap::new(),
            relocations: BTreeMap::new(),
            relative: 0,
            recorded: 0,
            inlined: 0,
            failed: 0,
            read: std::collections::HashSet::new(),
            tables: HashMap::new(),
        }
    }

    /// The directory that holds `_metadata`.
    #[must_use]
    pub fn directory(&self) -> &Location {
        &self.directory
    }

    /// Where a table is, if a part of it was read.
    #[must_use]
    pub fn table(&self, file: FileId) -> Option<&Source> {
        self.tables.get(&file)
    }

    /// Where the tables are of which a part was read.
    #[must_use]
    pub fn into_tables(self) -> HashMap<FileId, Source> {
        self.tables
    }

    /// Where files were found, of a snapshot with this many.
    #[must_use]
    pub fn places(&self, files: u64) -> Places {
        let relocations: Vec<_> = self
            .relocations
            .iter()
            .map(|((from, to), files)| Relocation { from: from.clone(), to: to.clone(), files: *files })
            .collect();
        Places {
            relative: self.relative,
            recorded_uris: self.recorded,
            relocated: relocations.iter().map(|r| r.files).sum(),
            inlined: self.inlined,
            failed: self.failed,
            not_read: files.saturating_sub(self.read.len() as u64),
            relocations,
        }
    }

    /// Reads many parts at once; answers come in the order of `wanted`. A part that is wanted twice, as
    /// handles after a rescaling do, is read once.
    pub fn read(&mut self, snapshot: &Snapshot, wanted: &[Wanted]) -> Vec<Result<Part, OpenError>> {
        let mut slots: HashMap<&Wanted, usize> = HashMap::with_capacity(wanted.len());
        let mut distinct = Vec::with_capacity(wanted.len());
        let indexes: Vec<usize> = wanted
            .iter()
            .map(|want| {
                *slots.entry(want).or_insert_with(|| {
                    distinct.push(want);
                    distinct.len() - 1
                })
            })
            .collect();
        let answers = self.read_distinct(snapshot, &distinct);
        if distinct.len() == wanted.len() {
            return answers;
        }
        let lost = || self.failure("a file".to_owned(), "the storage gave no answer".to_owned());
        indexes.into_iter().map(|at| answers.get(at).cloned().unwrap_or_else(|| Err(lost()))).collect()
    }

    fn read_distinct(&mut self, snapshot: &Snapshot, wanted: &[&Wanted]) -> Vec<Result<Part, OpenError>> {
        let mut answers: Vec<Option<Result<Part, OpenError>>> = Vec::new();
        answers.resize_with(wanted.len(), || None);
        let mut pending = Vec::new();
        for (index, want) in wanted.iter().enumerate() {
            let first_time = self.read.insert(want.file);
            let answer = match snapshot.file(want.file) {
                Some(file) => match self.locate(index, want, file, first_time) {
                    Ok(Ok(part)) => Some(Ok(part)),
                    Ok(Err(item)) => {
                        pending.push(item);
                        None
                    }
                    Err(error) => Some(Err(error)),
                },
                None => Some(Err(
                    self.failure("a file without a record".to_owned(), "no such file id".to_owned())
                )),
            };
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
        self.search(pending, &mut answers);
        answers
            .into_iter()
            .zip(wanted)
            .map(|(answer, want)| {
                let answer = answer.unwrap_or_else(|| {
                    Err(self.failure("a file".to_owned(), "the storage gave no answer".to_owned()))
                });
                let answer = answer.map(|part| rebase(snapshot, want, part));
                if answer.is_err() {
                    self.failed += 1;
                }
                answer
            })
            .collect()
    }

    fn failure(&self, recorded: String, message: String) -> OpenError {
        OpenError { recorded, message, missing: false, tried: Vec::new() }
    }

    /// The bytes at once if they lie in `_metadata`, else where to look for them.
    fn locate(
        &mut self,
        index: usize,
        want: &Wanted,
        file: &StateFile,
        first_time: bool,
    ) -> Result<Result<Part, Item>, OpenError> {
        let span = &want.span;
        let is_table = file.role == FileRole::Sst;
        let fail = |this: &Self, message: String| this.failure(file.place.to_string(), message);
        let (recorded, span, own) = match &file.place {
            Place::Inline { offset, .. } => {
                let range = span.within(file.size).map_err(|kind| fail(self, kind.to_string()))?;
                let bytes =
                    slice(&self.metadata, offset.saturating_add(range.start), range.end - range.start)
                        .ok_or_else(|| fail(self, "its bytes do not lie in _metadata".to_owned()))?;
                self.inlined += u64::from(first_time);
                if is_table && let Some(bytes) = slice(&self.metadata, *offset, file.size) {
                    let metadata = self.directory.clone();
                    self.tables.insert(want.file, Source::Memory { bytes, metadata });
                }
                let name = file.place.to_string();
                let (offset, size) = (range.start, file.size);
                return Ok(Ok(Part { bytes, offset, size, recorded_size: size, name }));
            }
            Place::Empty => {
                let name = file.place.to_string();
                return Ok(Ok(Part { bytes: Bytes::new(), offset: 0, size: 0, recorded_size: 0, name }));
            }
            Place::Relative(path) => {
                let at = self.directory.join(path).map_err(|e| fail(self, e.to_string()))?;
                (at, span.clone(), true)
            }
            Place::Uri(uri) => {
                (Location::parse(uri).map_err(|e| fail(self, e.to_string()))?, span.clone(), false)
            }
            Place::Segment { uri, start } => {
                let range = span.within(file.size).map_err(|kind| fail(self, kind.to_string()))?;
                let range = start.saturating_add(range.start)..start.saturating_add(range.end);
                (Location::parse(uri).map_err(|e| fail(self, e.to_string()))?, Span::Range(range), false)
            }
        };
        let candidates =
            if own { vec![(Rule::Recorded, recorded.clone())] } else { self.candidates(&recorded) };
        let start = if let Place::Segment { start, .. } = file.place { start } else { 0 };
        let table = is_table.then_some((want.file, start));
        let (relative, next, last_error) = (own, 0, None);
        Ok(Err(Item { index, relative, first_time, table, recorded, candidates, next, span, last_error }))
    }

    fn candidates(&self, recorded: &Location) -> Vec<(Rule, Location)> {
        let mut found: Vec<(Rule, Location)> = Vec::new();
        let mut add = |rule, location: Option<Location>| {
            if let Some(location) = location
                && !found.iter().any(|(_, known)| *known == location)
            {
                found.push((rule, location));
            }
        };
        for (i, rule) in self.rules.iter().enumerate() {
            add(Rule::ByHand(i), recorded.relocate(&rule.from, &rule.to));
        }
        add(Rule::Recorded, Some(recorded.clone()));
        let segments: Vec<&str> = recorded.segments().collect();
        let tail = |from: usize| segments.get(from..).filter(|s| !s.is_empty()).map(|s| s.join("/"));
        let mut ancestor = Some(self.directory.clone());
        for height in 0..3 {
            let Some(directory) = ancestor else { break };
            if let Some(name) = directory.file_name()
                && let Some(at) = segments.iter().rposition(|s| *s == name)
            {
                add(Rule::Aligned(height), tail(at + 1).and_then(|t| directory.join(&t).ok()));
            }
            ancestor = directory.parent();
        }
        if let Some(job) = self.directory.parent()
            && let Some(at) = segments.iter().rposition(|s| is_job_subdirectory(s))
        {
            let other = at.checked_sub(1).filter(|&i| segments.get(i).is_some_and(|s| is_job_id(s)));
            if let (Some(other), Some(root)) = (other, job.parent()) {
                add(Rule::Sibling, tail(other).and_then(|t| root.join(&t).ok()));
            }
            add(Rule::Tail, tail(at).and_then(|t| job.join(&t).ok()));
        }
        add(Rule::Beside, recorded.file_name().and_then(|name| self.directory.join(name).ok()));
        found
    }

    fn search(&mut self, mut pending: Vec<Item>, answers: &mut [Option<Result<Part, OpenError>>]) {
        let mut lost: std::collections::HashSet<Location> = std::collections::HashSet::new();
        while !pending.is_empty() {
            // Of each directory that is not known yet, one file goes ahead.
            let mut ahead = std::collections::HashSet::new();
            let (mut batch, mut waiting) = (Vec::new(), Vec::new());
            for mut item in pending {
                let Some(directory) = item.recorded.parent() else {
                    batch.push(item);
                    continue;
                };
                if let Some(rule) = self.learned.get(&directory) {
                    if item.next == 0
                        && let Some(at) = item.candidates.iter().position(|(r, _)| r == rule)
                    {
                        let best = item.candidates.remove(at);
                        item.candidates.insert(0, best);
                    }
                    batch.push(item);
                } else if lost.contains(&directory) || ahead.insert(directory) {
                    batch.push(item);
                } else {
                    waiting.push(item);
                }
            }
            let requests: Vec<_> = batch
                .iter()
                .filter_map(|item| {
                    let (_, location) = item.candidates.get(item.next)?;
                    Some(ReadRequest { location: location.clone(), span: item.span.clone() })
                })
                .collect();
            // Those that must look further come first, so that each directory keeps its scout.
            let mut again = Vec::new();
            for (mut item, answer) in batch.into_iter().zip(self.storage.read_many(&requests, self.in_flight))
            {
                match answer {
                    Ok(fetched) => {
                        let Some((rule, location)) = item.candidates.get(item.next) else { continue };
                        self.found(&item, *rule, location);
                        let size = fetched.meta.size;
                        let offset = item.span.within(size).map_or(0, |r| r.start);
                        let (bytes, name) = (fetched.bytes, location.to_string());
                        let part = Part { bytes, offset, size, recorded_size: size, name };
                        if let Some(slot) = answers.get_mut(item.index) {
                            *slot = Some(Ok(part));
                        }
                    }
                    Err(error) => {
                        let asked = item.candidates.get(item.next).map(|(_, location)| location);
                        let is_foreign = asked.is_some_and(|asked| !asked.same_store(&self.directory));
                        let go_on =
                            is_elsewhere(error.kind()) || (is_foreign && is_out_of_reach(error.kind()));
                        // The recorded place is what matters, unless another one says more than that
                        // nothing is there.
                        if item.last_error.is_none() || !go_on {
                            item.last_error = Some(error);
                        }
                        item.next += 1;
                        if go_on && item.next < item.candidates.len() {
                            again.push(item);
                            continue;
                        }
                        lost.extend(item.recorded.parent());
                        if let Some(slot) = answers.get_mut(item.index) {
                            *slot = Some(Err(not_found(&item)));
                        }
                    }
                }
            }
            again.append(&mut waiting);
            pending = again;
        }
    }

    fn found(&mut self, item: &Item, rule: Rule, location: &Location) {
        if let Some((file, start)) = item.table {
            self.tables.entry(file).or_insert_with(|| Source::Object { location: location.clone(), start });
        }
        if item.relative {
            self.relative += u64::from(item.first_time);
            return;
        }
        if let Some(directory) = item.recorded.parent() {
            self.learned.entry(directory).or_insert(rule);
        }
        if !item.first_time {
            return;
        }
        if item.recorded == *location {
            self.recorded += 1;
        } else {
            let text = |l: &Location| l.parent().unwrap_or_else(|| l.clone()).to_string();
            *self.relocations.entry((text(&item.recorded), text(location))).or_default() += 1;
        }
    }
}

fn not_found(item: &Item) -> OpenError {
    let error = item.last_error.as_ref();
    OpenError {
        recorded: item.recorded.to_string(),
        message: error.map(ToString::to_string).unwrap_or_default(),
        missing: error.is_some_and(|e| *e.kind() == StorageErrorKind::NotFound),
        tried: item.candidates.iter().take(item.next).map(|(_, l)| l.to_string()).collect(),
    }
}

/// Whether nothing is known of what lies there: of a snapshot that was copied to another store, the first one may be
/// out of reach, or closed to who reads the copy.
fn is_out_of_reach(kind: &StorageErrorKind) -> bool {
    matches!(
        kind,
        StorageErrorKind::PermissionDenied
            | StorageErrorKind::Unauthenticated
            | StorageErrorKind::Unavailable
            | StorageErrorKind::Timeout
    )
}

/// Whether it is worth looking elsewhere.
fn is_elsewhere(kind: &StorageErrorKind) -> bool {
    matches!(
        kind,
        StorageErrorKind::NotFound
            | StorageErrorKind::Unsupported
            | StorageErrorKind::NotADirectory
            | StorageErrorKind::IsDirectory
    )
}

/// Says what is recorded of the stream, and puts a part of a segment back into the segment's own offsets.
fn rebase(snapshot: &Snapshot, want: &Wanted, mut part: Part) -> Part {
    if let Some(StateFile { place, size, .. }) = snapshot.file(want.file) {
        part.recorded_size = *size;
        if let Place::Segment { .. } = place {
            part.offset = want.span.within(*size).map_or(0, |r| r.start);
            part.size = *size;
        }
    }
    part
}

fn slice(bytes: &Bytes, offset: u64, length: u64) -> Option<Bytes> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let range: Range<usize> = start..end;
    (end <= bytes.len()).then(|| bytes.slice(range))
}

/// Whether a name is one that Flink gives to a directory inside a job's.
pub(crate) fn is_job_subdirectory(name: &str) -> bool {
    name == "shared" || name == "taskowned" || checkpoint_number(name).is_some()
}

/// The number of a `chk-N` directory.
pub(crate) fn checkpoint_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("chk-")?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Whether a name is a job id: 32 hex digits.
pub fn is_job_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
