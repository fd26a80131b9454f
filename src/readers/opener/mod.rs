//! Finds and reads the files of a snapshot, wherever they lie now.
//!
//! A snapshot records absolute URIs, and snapshots get copied. A file is looked for, in this order:
//! where the user says (`--relocate FROM=TO`), where it was recorded, and then at the places that
//! follow from where `_metadata` was found. Nothing is guessed silently: where each file was found
//! is counted, and told. Files of one recorded directory are expected in one place, so only the
//! first of them pays for the search.

mod known;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;

use super::source::{Kept, Source};
use crate::model::layout::{is_job_id, is_job_subdirectory};
use crate::model::{About, Effect, FileId, Finding, Place, Places, Relocation, Snapshot, StateFile};
use crate::storage::{
    Fetched, InFlight, Location, ReadRequest, Span, Storage, StorageError, StorageErrorKind,
};
pub use known::{Known, KnownTail};

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
    /// The file.
    pub file: FileId,
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
    /// The file.
    pub file: FileId,
    /// The file as recorded.
    pub recorded: String,
    /// The last error of the storage, or why the recorded place is none.
    pub message: String,
    /// What the last error of the storage was, if it was asked.
    pub kind: Option<StorageErrorKind>,
    /// The places that were tried.
    pub tried: Vec<String>,
}

impl OpenError {
    /// The finding that a file cannot be read.
    #[must_use]
    pub fn finding(&self, what: &str) -> Finding {
        let finding = match &self.kind {
            Some(StorageErrorKind::NotFound) => {
                let tried = match self.tried.as_slice() {
                    [] => String::new(),
                    tried => format!("; looked for at {}", tried.join(", ")),
                };
                Finding::error(
                    "file_missing",
                    format!("{what} is missing{tried}"),
                    "if files were moved, say where with --relocate FROM=TO; if it is gone, the snapshot cannot be restored",
                )
            }
            kind => unreadable(what, kind.as_ref(), &self.message),
        };
        finding.in_file(&self.recorded).about(About::File(self.file))
    }
}

/// The finding that something is there, or may be, and cannot be read.
pub(crate) fn unreadable(what: &str, kind: Option<&StorageErrorKind>, message: &str) -> Finding {
    let message = format!("{what} cannot be read: {message}");
    match kind {
        Some(StorageErrorKind::Archived) => Finding::error(
            "file_archived",
            message,
            "restore the object from its archive tier: until then, nothing can read it",
        ),
        kind => {
            let finding = Finding::error(
                "file_unreadable",
                message,
                "what it describes is missing from the report; the message says why it cannot be read",
            );
            match kind {
                // That nothing is there, or something else, is an answer.
                Some(
                    StorageErrorKind::NotFound
                    | StorageErrorKind::IsDirectory
                    | StorageErrorKind::NotADirectory,
                ) => finding.meaning(Effect::Breaks),
                _ => finding,
            }
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
    /// In a directory of jobs beside this job's directory, as those of changes are.
    Nested,
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
    /// Where files were found: recorded directory, directory found, whether by hand; how many.
    relocations: BTreeMap<(String, String, bool), u64>,
    relative: u64,
    recorded: u64,
    inlined: u64,
    failed: HashSet<FileId>,
    read: HashSet<FileId>,
    /// Where tables and streams of keyed state were found: they are read in many parts.
    tables: HashMap<FileId, Source>,
    /// What is known of objects, if that is to be remembered.
    known: Option<Known>,
}

/// The object that holds a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The size of the whole object; of a file in `_metadata` or without bytes, its own.
    pub size: u64,
    /// Where in the object the file begins.
    pub start: u64,
    /// Where it was found, for messages.
    pub name: String,
}

/// What is known of the object that holds a file before any is asked for.
enum Held {
    Known(Result<Holder, OpenError>),
    By {
        /// Index of the item that asks for it.
        item: usize,
        /// Where in the object the file begins.
        start: u64,
    },
}

struct Item {
    /// Index of the wanted part.
    index: usize,
    file: FileId,
    /// Whether it is recorded by a path relative to `_metadata`.
    relative: bool,
    /// How many files it is asked for that were not asked for before.
    new_files: u64,
    /// Whether only the size of the object is wanted, and that it can be read.
    size_only: bool,
    /// The table or stream that it is, and where in its object that begins.
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
            failed: HashSet::new(),
            read: HashSet::new(),
            tables: HashMap::new(),
            known: None,
        }
    }

    /// Asks for nothing that is known already, and remembers what it learns.
    #[must_use]
    pub fn with_known(mut self, known: Known) -> Self {
        self.known = Some(known);
        self
    }

    /// What it remembers; it remembers nothing more.
    pub fn take_known(&mut self) -> Known {
        self.known.take().unwrap_or_default()
    }

    /// The directory that holds `_metadata`.
    #[must_use]
    pub fn directory(&self) -> &Location {
        &self.directory
    }

    /// Where its files are read from.
    pub(super) fn storage(&self) -> &'s dyn Storage {
        self.storage
    }

    /// How many requests may be under way at once.
    pub(super) fn requests(&self) -> usize {
        self.in_flight.requests
    }

    /// Bytes that lie in `_metadata`.
    pub(super) fn inlined(&self, offset: u64, length: u64) -> Option<Bytes> {
        slice(&self.metadata, offset, length)
    }

    /// Where a table is, if a part of it was read.
    #[must_use]
    pub fn table(&self, file: FileId) -> Option<&Source> {
        self.tables.get(&file)
    }

    /// Keeps bytes of a table that were read, for whoever reads on from where it is.
    pub(super) fn keep(&mut self, file: FileId, part: Kept) {
        if let Some(Source::Object { kept, .. }) = self.tables.get_mut(&file) {
            *kept = Some(part);
        }
    }

    /// Nobody is to read on in a file.
    pub(super) fn forget(&mut self, file: FileId) {
        self.tables.remove(&file);
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
            .map(|((from, to, by_hand), files)| Relocation {
                from: from.clone(),
                to: to.clone(),
                files: *files,
                by_hand: *by_hand,
            })
            .collect();
        Places {
            relative: self.relative,
            recorded_uris: self.recorded,
            relocated: relocations.iter().map(|r| r.files).sum(),
            inlined: self.inlined,
            failed: self.failed.len() as u64,
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
        indexes
            .into_iter()
            .zip(wanted)
            .map(|(at, want)| answers.get(at).cloned().unwrap_or_else(|| Err(no_answer(want.file))))
            .collect()
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
                None => Some(Err(no_record(want.file))),
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
                let answer = answer.unwrap_or_else(|| Err(no_answer(want.file)));
                let answer = answer.map(|part| rebase(snapshot, want, part));
                if answer.is_err() {
                    self.failed.insert(want.file);
                }
                answer
            })
            .collect()
    }

    /// Finds the objects that hold these files, and makes sure that they can be read: each object costs one request,
    /// however many files it holds, and none if it is known. Answers come in the order of `files`.
    pub fn holders(&mut self, snapshot: &Snapshot, files: &[FileId]) -> Vec<Result<Holder, OpenError>> {
        let mut slots: HashMap<Location, usize> = HashMap::new();
        let mut items: Vec<Item> = Vec::new();
        let held: Vec<Held> = files
            .iter()
            .map(|&id| {
                let first_time = self.read.insert(id);
                let Some(file) = snapshot.file(id) else { return Held::Known(Err(no_record(id))) };
                let want = Wanted { file: id, span: Span::Suffix(0) };
                let mut item = match self.locate(items.len(), &want, file, first_time) {
                    Ok(Ok(part)) => {
                        return Held::Known(Ok(Holder { size: part.size, start: 0, name: part.name }));
                    }
                    Ok(Err(item)) => item,
                    Err(error) => return Held::Known(Err(error)),
                };
                let start = if let Place::Segment { start, .. } = file.place { start } else { 0 };
                // A byte that was read proves more than meta data does: it may lie in an archive.
                let has_bytes = start.saturating_add(file.size) > 0;
                (item.size_only, item.table) = (true, None);
                item.span = if has_bytes { Span::Range(0..1) } else { Span::Suffix(0) };
                let at = *slots.entry(item.recorded.clone()).or_insert(items.len());
                match items.get_mut(at) {
                    Some(known) => {
                        known.new_files += item.new_files;
                        if has_bytes {
                            known.span = item.span;
                        }
                    }
                    None => items.push(item),
                }
                Held::By { item: at, start }
            })
            .collect();
        let mut answers: Vec<Option<Result<Part, OpenError>>> = Vec::new();
        answers.resize_with(items.len(), || None);
        self.search(items, &mut answers);
        let holders = held.into_iter().zip(files).map(|(held, &id)| {
            let holder = match held {
                Held::Known(holder) => holder,
                Held::By { item, start } => match answers.get(item).and_then(Option::as_ref) {
                    Some(Ok(part)) => Ok(Holder { size: part.size, start, name: part.name.clone() }),
                    Some(Err(error)) => Err(OpenError { file: id, ..error.clone() }),
                    None => Err(no_answer(id)),
                },
            };
            if holder.is_err() {
                self.failed.insert(id);
            }
            holder
        });
        holders.collect()
    }

    /// The tail of a table, if where the table lies and its tail are known. The part has no bytes.
    pub(super) fn known_tail(&mut self, snapshot: &Snapshot, id: FileId) -> Option<(Part, KnownTail)> {
        let file = snapshot.file(id)?;
        if self.known.is_none() || matches!(file.place, Place::Inline { .. } | Place::Empty) {
            return None;
        }
        let first_time = !self.read.contains(&id);
        let want = Wanted { file: id, span: Span::Suffix(0) };
        let Ok(Err(mut item)) = self.locate(0, &want, file, first_time) else { return None };
        self.prefer_learned(&mut item);
        let known = self.known.as_ref()?;
        let (_, start) = item.table?;
        let (rule, location, size) = item.candidates.iter().find_map(|(rule, location)| {
            match known.object(location) {
                Some(Ok(size)) => Some(Some((*rule, location.clone(), *size))),
                Some(Err(error)) if self.goes_on(location, error) => None,
                // It must be asked.
                _ => Some(None),
            }
        })??;
        let tail = known.tail(&location, start)?.clone();
        let size = if matches!(file.place, Place::Segment { .. }) { file.size } else { size };
        self.read.insert(id);
        self.found(&item, rule, &location);
        let part = Part {
            file: id,
            bytes: Bytes::new(),
            offset: size,
            size,
            recorded_size: file.size,
            name: location.to_string(),
        };
        Some((part, tail))
    }

    /// Remembers the tail of a table that was read.
    pub(super) fn note_tail(&mut self, id: FileId, tail: KnownTail) {
        if let Some(known) = &mut self.known
            && let Some(Source::Object { location, start, .. }) = self.tables.get(&id)
        {
            known.note_tail(location.clone(), *start, tail);
        }
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
        let is_table = file.role.is_read_in_parts();
        let fail = |message: String| failure(want.file, file.place.to_string(), message);
        let (recorded, span, own) = match &file.place {
            Place::Inline { offset, .. } => {
                let range = span.within(file.size).map_err(|kind| fail(kind.to_string()))?;
                let bytes =
                    slice(&self.metadata, offset.saturating_add(range.start), range.end - range.start)
                        .ok_or_else(|| fail("its bytes do not lie in _metadata".to_owned()))?;
                self.inlined += u64::from(first_time);
                if is_table && let Some(bytes) = slice(&self.metadata, *offset, file.size) {
                    let metadata = self.directory.clone();
                    self.tables.insert(want.file, Source::Memory { bytes, metadata });
                }
                let name = file.place.to_string();
                let (offset, size) = (range.start, file.size);
                return Ok(Ok(Part { file: want.file, bytes, offset, size, recorded_size: size, name }));
            }
            Place::Empty => {
                let (bytes, name) = (Bytes::new(), file.place.to_string());
                return Ok(Ok(Part { file: want.file, bytes, offset: 0, size: 0, recorded_size: 0, name }));
            }
            Place::Relative(path) => {
                let at = self.directory.join(path).map_err(|e| fail(e.to_string()))?;
                (at, span.clone(), true)
            }
            Place::Uri(uri) => (Location::parse(uri).map_err(|e| fail(e.to_string()))?, span.clone(), false),
            Place::Segment { uri, start } => {
                let range = span.within(file.size).map_err(|kind| fail(kind.to_string()))?;
                let range = start.saturating_add(range.start)..start.saturating_add(range.end);
                (Location::parse(uri).map_err(|e| fail(e.to_string()))?, Span::Range(range), false)
            }
        };
        let candidates =
            if own { vec![(Rule::Recorded, recorded.clone())] } else { self.candidates(&recorded) };
        let start = if let Place::Segment { start, .. } = file.place { start } else { 0 };
        let table = is_table.then_some((want.file, start));
        Ok(Err(Item {
            index,
            file: want.file,
            relative: own,
            new_files: u64::from(first_time),
            size_only: false,
            table,
            recorded,
            candidates,
            next: 0,
            span,
            last_error: None,
        }))
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
            && let Some(at) = segments.iter().rposition(|s| is_job_subdirectory(s) || *s == "dstl")
        {
            let other = at.checked_sub(1).filter(|&i| segments.get(i).is_some_and(|s| is_job_id(s)));
            if let Some(root) = job.parent() {
                let below = |from: Option<usize>| from.and_then(tail).and_then(|t| root.join(&t).ok());
                add(Rule::Sibling, below(other));
                // Since 1.16 there is a level for the job.
                let base = other.map_or(Some(at), |other| other.checked_sub(1));
                add(Rule::Nested, below(base.filter(|_| segments.get(at) == Some(&"dstl"))));
            }
            add(Rule::Tail, tail(at).and_then(|t| job.join(&t).ok()));
        }
        add(Rule::Beside, recorded.file_name().and_then(|name| self.directory.join(name).ok()));
        found
    }

    /// Puts the candidate first that led to other files of the same directory.
    fn prefer_learned(&self, item: &mut Item) {
        if let Some(rule) = item.recorded.parent().and_then(|directory| self.learned.get(&directory))
            && let Some(at) = item.candidates.iter().position(|(r, _)| r == rule)
        {
            let best = item.candidates.remove(at);
            item.candidates.insert(0, best);
        }
    }

    /// Whether, after this error, it is worth looking elsewhere.
    fn goes_on(&self, asked: &Location, error: &StorageError) -> bool {
        is_elsewhere(error.kind()) || (!asked.same_store(&self.directory) && is_out_of_reach(error.kind()))
    }

    /// Asks for the next candidate of each item, but for what is known; answers come in the order of the items.
    fn ask(&mut self, batch: &[Item]) -> Vec<Result<Fetched, StorageError>> {
        let mut requests = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for item in batch {
            let Some((_, location)) = item.candidates.get(item.next) else { continue };
            let request = ReadRequest { location: location.clone(), span: item.span.clone() };
            let answer = self.known.as_ref().and_then(|known| known.answer(&request, item.size_only));
            if answer.is_none() {
                requests.push(request);
            }
            answers.push((answer, item.size_only));
        }
        let fresh = self.storage.read_many(&requests, self.in_flight);
        let mut fresh = requests.iter().zip(fresh);
        let answers = answers.into_iter().filter_map(|(answer, size_only)| {
            if answer.is_some() {
                return answer;
            }
            let (request, mut answer) = fresh.next()?;
            if size_only
                && let Err(error) = &answer
                && matches!(error.kind(), StorageErrorKind::ShortRead { .. })
                && let Ok(empty) = self.storage.read(&request.location, &Span::Suffix(0))
                && empty.meta.size == 0
            {
                answer = Ok(empty);
            }
            if let Some(known) = &mut self.known {
                known.note(request, &answer);
            }
            Some(answer)
        });
        answers.collect()
    }

    fn search(&mut self, mut pending: Vec<Item>, answers: &mut [Option<Result<Part, OpenError>>]) {
        let mut lost: HashSet<Location> = HashSet::new();
        while !pending.is_empty() {
            // Of each directory that is not known yet, one file goes ahead.
            let mut ahead = HashSet::new();
            let (mut batch, mut waiting) = (Vec::new(), Vec::new());
            for mut item in pending {
                let Some(directory) = item.recorded.parent() else {
                    batch.push(item);
                    continue;
                };
                if self.learned.contains_key(&directory) {
                    if item.next == 0 {
                        self.prefer_learned(&mut item);
                    }
                    batch.push(item);
                } else if lost.contains(&directory) || ahead.insert(directory) {
                    batch.push(item);
                } else {
                    waiting.push(item);
                }
            }
            let asked = self.ask(&batch);
            // Those that must look further come first, so that each directory keeps its scout.
            let mut again = Vec::new();
            for (mut item, answer) in batch.into_iter().zip(asked) {
                match answer {
                    Ok(fetched) => {
                        let Some((rule, location)) = item.candidates.get(item.next) else { continue };
                        self.found(&item, *rule, location);
                        let size = fetched.meta.size;
                        let offset = item.span.within(size).map_or(0, |r| r.start);
                        let (bytes, name) = (fetched.bytes, location.to_string());
                        let part = Part { file: item.file, bytes, offset, size, recorded_size: size, name };
                        if let Some(slot) = answers.get_mut(item.index) {
                            *slot = Some(Ok(part));
                        }
                    }
                    Err(error) => {
                        let asked = item.candidates.get(item.next).map(|(_, location)| location);
                        let go_on = asked.is_some_and(|asked| self.goes_on(asked, &error));
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
            let source = || Source::Object { location: location.clone(), start, kept: None };
            self.tables.entry(file).or_insert_with(source);
        }
        if item.relative {
            self.relative += item.new_files;
            return;
        }
        if let Some(directory) = item.recorded.parent() {
            self.learned.entry(directory).or_insert(rule);
        }
        if item.new_files == 0 {
            return;
        }
        if item.recorded == *location {
            self.recorded += item.new_files;
        } else {
            let text = |l: &Location| l.parent().unwrap_or_else(|| l.clone()).to_string();
            let by_hand = matches!(rule, Rule::ByHand(_));
            let relocation = (text(&item.recorded), text(location), by_hand);
            *self.relocations.entry(relocation).or_default() += item.new_files;
        }
    }
}

fn not_found(item: &Item) -> OpenError {
    let error = item.last_error.as_ref();
    OpenError {
        file: item.file,
        recorded: item.recorded.to_string(),
        message: error.map(ToString::to_string).unwrap_or_default(),
        kind: error.map(|e| e.kind().clone()),
        tried: item.candidates.iter().take(item.next).map(|(_, l)| l.to_string()).collect(),
    }
}

fn failure(file: FileId, recorded: String, message: String) -> OpenError {
    OpenError { file, recorded, message, kind: None, tried: Vec::new() }
}

fn no_answer(file: FileId) -> OpenError {
    failure(file, "a file".to_owned(), "the storage gave no answer".to_owned())
}

fn no_record(file: FileId) -> OpenError {
    failure(file, "a file without a record".to_owned(), "no such file id".to_owned())
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

#[cfg(test)]
mod tests;
