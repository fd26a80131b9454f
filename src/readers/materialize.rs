//! The files of a keyed state handle as the database directory that they came from: which handle is meant,
//! whether all of its files are there, and their bytes in pieces.
//!
//! A handle names each file by the name that RocksDB knew it by (`000012.sst`, `CURRENT`, `MANIFEST-000005`,
//! `OPTIONS-000013`); its bytes lie anywhere: below `shared/`, in a segment of a merged file, in `_metadata`.
//! Under those names in one directory they are a database that RocksDB opens. There is no log of writes:
//! Flink flushes before it takes a checkpoint.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

pub use super::details::operator_name;
use super::details::{META_LIMIT, Parts, manifest_part, owner, some_of, sst_size_differs, tables};
use super::opener::{OpenError, Opener, Wanted};
use crate::model::{
    DatabaseFileKind, DatabaseHandle, FileId, Finding, KeyGroupRange, KeyedContent, KeyedState, Operator,
    Severity, Snapshot, Subtask,
};
use crate::storage::Span;

/// How many bytes of a file are asked for at once.
const PIECE: u64 = 8 << 20;

/// How many bytes are asked for, and held, at once.
const PIECES: u64 = 64 << 20;

/// Which database of a snapshot is meant. What is left out must follow from the snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// A part of the operator's name or uid, the begin of its id, or its whole uid, also where that is not
    /// recorded.
    pub operator: Option<&'a str>,
    /// The subtask.
    pub subtask: Option<u32>,
    /// Which of the subtask's databases, from 0: inside a changelog there may be several.
    pub handle: Option<usize>,
}

/// The database that a selection means.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'s> {
    /// The operator.
    pub operator: &'s Operator,
    /// The subtask.
    pub subtask: u32,
    /// The handle.
    pub state: &'s KeyedState,
    /// Its database.
    pub database: &'s DatabaseHandle,
}

/// Why a selection means no database, or more than one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotChosen {
    /// There is none.
    Nothing(String),
    /// There are several.
    Several(String),
}

impl fmt::Display for NotChosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing(why) | Self::Several(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NotChosen {}

/// Finds the one database that a selection means.
///
/// # Errors
/// Nothing fits, what fits keeps its state in no database, or several fit.
pub fn choose<'s>(snapshot: &'s Snapshot, selection: &Selection<'_>) -> Result<Chosen<'s>, NotChosen> {
    let operator = choose_operator(&snapshot.operators, selection.operator)?;
    let name = operator_name(operator);
    let subtask = choose_subtask(operator, &name, selection.subtask)?;
    let databases = databases(subtask);
    let index = match (selection.handle, databases.len()) {
        (None, 0) => {
            let why = without_database(subtask);
            return Err(NotChosen::Nothing(format!("subtask {} of {name} {why}", subtask.index)));
        }
        (None, 1) => 0,
        (Some(index), _) => index,
        (None, count) => {
            let ranges: Vec<_> = databases
                .iter()
                .enumerate()
                .map(|(i, (state, _))| format!("{i}: {}", key_groups(state.key_groups)))
                .collect();
            return Err(NotChosen::Several(format!(
                "subtask {} of {name} has {count} databases ({}): choose one with --handle",
                subtask.index,
                some_of(&ranges)
            )));
        }
    };
    let Some(&(state, database)) = databases.get(index) else {
        return Err(NotChosen::Nothing(format!(
            "subtask {} of {name} has no database {index}: it has {}, numbered from 0",
            subtask.index,
            databases.len()
        )));
    };
    Ok(Chosen { operator, subtask: subtask.index, state, database })
}

fn choose_operator<'s>(operators: &'s [Operator], wanted: Option<&str>) -> Result<&'s Operator, NotChosen> {
    let fits = |operator: &&Operator| {
        let Some(text) = wanted else { return true };
        [&operator.name, &operator.uid].into_iter().flatten().any(|name| name.contains(text))
            || operator.id.to_string().starts_with(text)
            || operator.id == crate::model::OperatorId::from_uid(text)
    };
    let fitting: Vec<&Operator> = operators.iter().filter(fits).collect();
    let with_database: Vec<&Operator> =
        fitting.iter().copied().filter(|o| o.subtasks.iter().any(|s| !databases(s).is_empty())).collect();
    let several = |found: &[&Operator], what: &str| {
        let names: Vec<_> = found.iter().map(|o| operator_name(o)).collect();
        NotChosen::Several(format!(
            "{} operators {what}: choose one with --operator: {}",
            found.len(),
            some_of(&names)
        ))
    };
    match (with_database.as_slice(), fitting.as_slice(), wanted) {
        ([one], _, _) => Ok(one),
        ([], [one], Some(_)) => Ok(one),
        ([], [], Some(text)) => {
            let names: Vec<_> = operators.iter().map(operator_name).collect();
            Err(NotChosen::Nothing(format!(
                "no operator has {text:?} in its name or uid, or at the begin of its id; there are {}",
                some_of(&names)
            )))
        }
        ([], _, _) => {
            let why = fitting
                .iter()
                .flat_map(|operator| &operator.subtasks)
                .find(|s| s.managed_keyed.is_some())
                .map_or("keeps no keyed state at all", without_database);
            let who = wanted.map_or_else(
                || "this snapshot".to_owned(),
                |text| format!("the {} operators that {text:?} fits", fitting.len()),
            );
            Err(NotChosen::Nothing(format!("no RocksDB database is in {who}: the state {why}")))
        }
        (several_found, _, None) => Err(several(several_found, "have databases")),
        (several_found, _, Some(text)) => {
            // A name that is meant in full may be a part of another one.
            let exact: Vec<_> = several_found
                .iter()
                .filter(|o| [&o.name, &o.uid].into_iter().flatten().any(|name| name == text))
                .collect();
            match exact.as_slice() {
                [one] => Ok(one),
                _ => Err(several(several_found, &format!("fit {text:?}"))),
            }
        }
    }
}

fn choose_subtask<'s>(
    operator: &'s Operator,
    name: &str,
    wanted: Option<u32>,
) -> Result<&'s Subtask, NotChosen> {
    let known = |subtasks: &[&Subtask]| {
        let indexes: Vec<_> = subtasks.iter().map(|s| s.index.to_string()).collect();
        some_of(&indexes)
    };
    let all: Vec<&Subtask> = operator.subtasks.iter().collect();
    if let Some(wanted) = wanted {
        return all.iter().copied().find(|s| s.index == wanted).ok_or_else(|| {
            NotChosen::Nothing(format!(
                "{name} has no state of subtask {wanted}; it has {}",
                if all.is_empty() { "none".to_owned() } else { known(&all) }
            ))
        });
    }
    let with_database: Vec<_> = all.iter().copied().filter(|s| !databases(s).is_empty()).collect();
    match (with_database.as_slice(), all.as_slice()) {
        ([one], _) => Ok(one),
        ([], [first, ..]) => {
            let keyed = all.iter().find(|s| s.managed_keyed.is_some()).unwrap_or(first);
            Err(NotChosen::Nothing(format!("{name} {}", without_database(keyed))))
        }
        ([], []) => Err(NotChosen::Nothing(format!("{name} has no state"))),
        (several, _) => Err(NotChosen::Several(format!(
            "{} subtasks of {name} have databases: choose one with --subtask: {}",
            several.len(),
            known(several)
        ))),
    }
}

fn databases(subtask: &Subtask) -> Vec<(&KeyedState, &DatabaseHandle)> {
    subtask.managed_keyed.as_ref().map_or_else(Vec::new, KeyedState::databases)
}

/// What the state of a subtask is kept in that has no database.
fn without_database(subtask: &Subtask) -> &'static str {
    match subtask.managed_keyed.as_ref().map(|state| &state.content) {
        None => "has no keyed state",
        Some(KeyedContent::Stream(stream)) if stream.canonical => {
            "is a canonical savepoint's: a stream of entries and no database"
        }
        Some(KeyedContent::Stream(_)) => {
            "is kept as a stream (the heap backend, or a full snapshot of RocksDB): it has no database"
        }
        Some(
            KeyedContent::Changelog(_)
            | KeyedContent::InlineChanges { .. }
            | KeyedContent::ChangeFiles { .. },
        ) => "is a changelog's, and no materialized part of it is a database",
        Some(KeyedContent::Database(_)) => "has a database",
    }
}

/// Key groups in words.
#[must_use]
pub fn key_groups(range: KeyGroupRange) -> String {
    match range.last() {
        Some(last) => format!("key groups {} to {last}", range.start),
        None => "no key group".to_owned(),
    }
}

/// A database of which every file was found.
#[derive(Debug)]
pub struct Materialization {
    /// Its files; `CURRENT` comes last, so that a directory without it is known to be not whole.
    pub files: Vec<NamedFile>,
    /// Names of its column families, in the order of MANIFEST.
    pub column_families: Vec<String>,
    /// How many live tables there are.
    pub tables: usize,
    /// Their bytes.
    pub table_bytes: u64,
    /// What is odd, and hinders nothing.
    pub findings: Vec<Finding>,
}

/// A file of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Its name in the directory.
    pub name: Arc<str>,
    /// Its bytes.
    pub file: FileId,
    /// How many.
    pub size: u64,
}

/// Some bytes of a file.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The file's name in the directory.
    pub name: &'a str,
    /// Where they begin; 0 begins a new file.
    pub offset: u64,
    /// The bytes; none only where the file is empty.
    pub bytes: &'a [u8],
}

/// Why the bytes of a database did not get where they should.
#[derive(Debug)]
pub enum CopyError {
    /// A file cannot be read.
    Read(OpenError),
    /// A piece cannot be written.
    Write {
        /// The file's name in the directory.
        name: Arc<str>,
        /// Why.
        error: std::io::Error,
    },
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "{} cannot be read: {}", error.recorded, error.message),
            Self::Write { name, error } => write!(f, "{name} cannot be written: {error}"),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_) => None,
            Self::Write { error, .. } => Some(error),
        }
    }
}

impl Materialization {
    /// Finds every file of a database and compares its size with what `_metadata` and MANIFEST say. Costs a
    /// request a file; of tables no byte is read.
    ///
    /// # Errors
    /// All that is missing or does not fit: RocksDB would not open the database.
    pub fn plan(
        opener: &mut Opener<'_>,
        snapshot: &Snapshot,
        chosen: &Chosen<'_>,
    ) -> Result<Self, Vec<Finding>> {
        let owner = owner(chosen.operator, chosen.subtask);
        let (mut findings, mut seen) = (Vec::new(), BTreeSet::new());
        let (mut files, mut wanted, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let (mut current, mut manifests) = (None, Vec::new());
        for entry in &chosen.database.files {
            if let Some(why) = unfit_name(&entry.name, &mut seen) {
                findings.push(
                    Finding::error(
                        "database_file_name",
                        format!("the handle names a file {:?}: {why}", entry.name),
                        "_metadata was not written by Flink, or is damaged",
                    )
                    .of(&owner),
                );
                continue;
            }
            // A null handle: if MANIFEST needs the file, that is told below.
            let Some(file) = entry.file else { continue };
            let at = wanted.len();
            let (span, what) = match entry.kind() {
                DatabaseFileKind::Current => {
                    current = Some(at);
                    (Span::Full { limit: META_LIMIT }, "the CURRENT file of a database")
                }
                DatabaseFileKind::Manifest => {
                    manifests.push((&*entry.name, at));
                    (Span::Full { limit: META_LIMIT }, "the MANIFEST of a database")
                }
                DatabaseFileKind::Options => (Span::Suffix(0), "the OPTIONS file of a database"),
                DatabaseFileKind::Sst(_) => (Span::Suffix(0), "an SST file"),
                DatabaseFileKind::Other => (Span::Suffix(0), "a file of a database"),
            };
            wanted.push(Wanted { file, span });
            names.push(what.to_owned());
            files.push(NamedFile { name: Arc::clone(&entry.name), file, size: 0 });
        }
        let parts = Parts { parts: opener.read(snapshot, &wanted), names };
        for (at, named) in files.iter_mut().enumerate() {
            named.size = parts.get(at, &owner, &mut findings).map_or(0, |part| part.size);
        }
        let manifest = manifest_part(&parts, current, &manifests, &owner, &mut findings);
        let database = manifest.and_then(|(name, part)| {
            let prefix = chosen.operator.key_group_prefix();
            tables(part, name, prefix, chosen.database, None, &owner, &mut findings)
        });
        let database = database.unwrap_or_default();
        let by_file: HashMap<FileId, usize> =
            files.iter().enumerate().map(|(at, named)| (named.file, at)).collect();
        for table in &database.tables {
            let at = table.file.and_then(|file| by_file.get(&file));
            // Another size than the handle's was told above.
            if let Some(Ok(part)) = at.and_then(|at| parts.parts.get(*at))
                && part.size == part.recorded_size
                && part.size != table.size
            {
                findings.push(sst_size_differs(part, table.size).of(&owner));
            }
        }
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(findings);
        }
        files.sort_by(|a, b| (&*a.name == "CURRENT", &a.name).cmp(&(&*b.name == "CURRENT", &b.name)));
        Ok(Self {
            files,
            column_families: database.column_families,
            tables: database.tables.len(),
            table_bytes: database.tables.iter().map(|table| table.size).sum(),
            findings,
        })
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Hands out all bytes, file by file and each from its begin, in pieces of at most 8 MiB; no more than 64 MiB
    /// are held at any time.
    ///
    /// # Errors
    /// The first file that cannot be read or written ends it.
    pub fn copy(
        &self,
        opener: &mut Opener<'_>,
        snapshot: &Snapshot,
        write: &mut dyn FnMut(Piece<'_>) -> std::io::Result<()>,
    ) -> Result<(), CopyError> {
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        let mut flush = |pieces: &mut Vec<(&NamedFile, u64, u64)>| {
            let wanted: Vec<_> = pieces
                .iter()
                .map(|(named, start, end)| Wanted { file: named.file, span: Span::Range(*start..*end) })
                .collect();
            for ((named, start, _), part) in pieces.drain(..).zip(opener.read(snapshot, &wanted)) {
                let part = part.map_err(CopyError::Read)?;
                let piece = Piece { name: &named.name, offset: start, bytes: &part.bytes };
                write(piece).map_err(|error| CopyError::Write { name: Arc::clone(&named.name), error })?;
            }
            Ok(())
        };
        for named in &self.files {
            let mut start = 0_u64;
            loop {
                let end = start.saturating_add(PIECE).min(named.size);
                if bytes + (end - start) > PIECES {
                    flush(&mut pieces)?;
                    bytes = 0;
                }
                pieces.push((named, start, end));
                bytes += end - start;
                start = end;
                if start == named.size {
                    break;
                }
            }
        }
        flush(&mut pieces)
    }
}

/// Why a name cannot be that of a file in the directory. Names are the snapshot's, and not to be trusted: they
/// must not lead out of the directory.
fn unfit_name<'n>(name: &'n str, seen: &mut BTreeSet<&'n str>) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Some("that is no name of a file in a database");
    }
    (!seen.insert(name)).then_some("it names it twice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FileRole, Place, SnapshotKind, StateFile, Tally};
    use crate::storage::{InFlight, Location, MemoryStorage, Metered, Span as Asked};
    use bytes::Bytes;

    /// A file of 70 MiB, a small one in `_metadata`, and an empty one.
    #[test]
    fn files_come_in_pieces_and_in_order() {
        let size = (70 << 20) + 1_u64;
        let large: Vec<u8> = (0..size).map(|n| (n >> 12) as u8).collect();
        let directory = Location::parse("s3://bucket/job/chk-1").unwrap();
        let memory = MemoryStorage::new();
        memory.put(&directory.join("large").unwrap(), large.clone());
        memory.put(&directory.join("empty").unwrap(), "");
        let storage = Metered::with_log(memory);
        let file = |place, size| StateFile { place, size, role: FileRole::Sst, uses: 1 };
        let snapshot = Snapshot {
            metadata_version: 6,
            metadata_bytes: 12,
            checkpoint_id: 1,
            kind: SnapshotKind::Unknown,
            operators: Vec::new(),
            master_states: Vec::new(),
            tally: Tally::default(),
            files: vec![
                file(Place::Relative("large".into()), size),
                file(Place::Relative("empty".into()), 0),
                file(Place::Inline { offset: 4, name: "x".into() }, 5),
            ],
        };
        let metadata = Bytes::from_static(b"0123456789ab");
        let mut opener = Opener::new(&storage, directory, metadata, Vec::new(), InFlight::default());
        let named = |name: &str, id, size| NamedFile { name: name.into(), file: FileId(id), size };
        let plan = Materialization {
            files: vec![named("000001.sst", 0, size), named("empty", 1, 0), named("CURRENT", 2, 5)],
            column_families: Vec::new(),
            tables: 1,
            table_bytes: size,
            findings: Vec::new(),
        };
        assert_eq!(plan.bytes(), size + 5);
        let mut written: Vec<(String, Vec<u8>)> = Vec::new();
        plan.copy(&mut opener, &snapshot, &mut |piece| {
            assert!(piece.bytes.len() as u64 <= PIECE);
            if piece.offset == 0 {
                written.push((piece.name.to_owned(), Vec::new()));
            }
            let (name, bytes) = written.last_mut().unwrap();
            assert_eq!((name.as_str(), bytes.len() as u64), (piece.name, piece.offset));
            bytes.extend(piece.bytes);
            Ok(())
        })
        .unwrap();
        let expected = [("000001.sst", large), ("empty", Vec::new()), ("CURRENT", b"45678".to_vec())];
        assert!(written == expected.map(|(name, bytes)| (name.to_owned(), bytes)));
        let ranges = storage.meter().take_log();
        assert_eq!(ranges.len(), 9 + 1, "pieces of the large file, and the empty one");
        assert!(ranges.iter().all(|r| matches!(&r.span, Some(Asked::Range(r)) if r.end - r.start <= PIECE)));
        // What cannot be written ends it.
        let error = plan.copy(&mut opener, &snapshot, &mut |piece| match piece.name {
            "empty" => Err(std::io::Error::other("the disk is full")),
            _ => Ok(()),
        });
        assert_eq!(error.unwrap_err().to_string(), "empty cannot be written: the disk is full");
    }

    #[test]
    fn names_of_files_stay_in_the_directory() {
        let mut seen = BTreeSet::new();
        for name in ["000012.sst", "CURRENT", "MANIFEST-000005", "OPTIONS-000013", "a_b.blob"] {
            assert_eq!(unfit_name(name, &mut seen), None, "{name}");
        }
        for name in ["", ".", "..", ".x", "a/b", "/a", "a\\b", "a b", "\u{e9}", "000012.sst"] {
            assert!(unfit_name(name, &mut seen).is_some(), "{name}");
        }
    }
}
