//! What a snapshot needs and what was not looked into.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::{
    ChannelState, DatabaseFileKind, Details, FileId, KeyedContent, KeyedState, Operator, Snapshot, Subtask,
};

/// Contents that nothing was checked of, but that the files are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotChecked {
    /// What kind of contents.
    pub kind: &'static str,
    /// In how many files, each counted once; those inside `_metadata` too.
    pub files: u64,
    /// Their bytes as recorded; of changes and in-flight data this snapshot's own part.
    pub bytes: u64,
    /// What it is, in words.
    pub what: &'static str,
}

/// The kinds, in the order in which they are told.
const KINDS: [(&str, &str); 11] = [
    ("sst_blocks", "blocks of SST files; --deep reads them"),
    ("keyed_streams", "entries in streams of keyed state; --deep reads them"),
    ("canonical_streams", "entries in streams of a canonical savepoint; --deep reads them"),
    ("raw_keyed", "raw keyed state; --deep reads timers"),
    ("operator", "elements of operator state"),
    ("raw_operator", "raw operator state"),
    ("changes", "changes of a changelog; --deep decodes them"),
    ("in_flight", "in-flight data; --deep reads it"),
    ("coordinator", "state of operator coordinators"),
    ("master", "state of master hooks"),
    ("other_database_files", "files of databases that are no tables, and not CURRENT, MANIFEST or OPTIONS"),
];

#[derive(Default)]
struct Sums<'a> {
    by_kind: BTreeMap<&'a str, (u64, u64)>,
    seen: BTreeSet<FileId>,
    /// Whether what `--deep` reads was read.
    deep: bool,
}

impl Sums<'_> {
    fn add(&mut self, kind: &'static str, files: u64, bytes: u64) {
        let (all_files, all_bytes) = self.by_kind.entry(kind).or_default();
        *all_files += files;
        *all_bytes = all_bytes.saturating_add(bytes);
    }

    /// A file that counts with its own size.
    fn file(&mut self, snapshot: &Snapshot, kind: &'static str, file: FileId) {
        if self.seen.insert(file) {
            self.add(kind, 1, snapshot.file(file).map_or(0, |file| file.size));
        }
    }

    /// A file of which several handles have parts.
    fn part(&mut self, kind: &'static str, file: Option<FileId>, bytes: u64) {
        let is_new = file.is_some_and(|file| self.seen.insert(file));
        self.add(kind, u64::from(is_new), bytes);
    }

    fn keyed(&mut self, snapshot: &Snapshot, state: &KeyedState, raw: bool) {
        state.walk(&mut |inner| match &inner.content {
            KeyedContent::Database(database) => {
                let others = database.files.iter().filter(|f| f.kind() == DatabaseFileKind::Other);
                for file in others.filter_map(|other| other.file) {
                    self.file(snapshot, "other_database_files", file);
                }
            }
            KeyedContent::Stream(stream) => {
                let kind = match (raw, stream.canonical) {
                    (true, _) => "raw_keyed",
                    (false, true) => "canonical_streams",
                    (false, false) => "keyed_streams",
                };
                self.file(snapshot, kind, stream.stream);
            }
            KeyedContent::InlineChanges { bytes, .. } => self.part("changes", None, *bytes),
            KeyedContent::ChangeFiles { files, bytes, .. } => {
                for (_, file) in files {
                    self.part("changes", Some(*file), 0);
                }
                self.part("changes", None, u64::try_from(*bytes).unwrap_or(0));
            }
            KeyedContent::Changelog(_) => {}
        });
    }

    fn subtask(&mut self, snapshot: &Snapshot, subtask: &Subtask) {
        for (state, raw) in [(&subtask.managed_keyed, false), (&subtask.raw_keyed, true)] {
            state.iter().for_each(|state| self.keyed(snapshot, state, raw));
        }
        let operator = [(&subtask.managed_operator, "operator"), (&subtask.raw_operator, "raw_operator")];
        for (handle, kind) in operator {
            if let Some(stream) = handle.as_ref().and_then(|handle| handle.stream) {
                self.file(snapshot, kind, stream);
            }
        }
        if self.deep {
            return;
        }
        for ChannelState { stream, bytes, .. } in
            subtask.input_channels.iter().chain(&subtask.result_subpartitions)
        {
            self.part("in_flight", *stream, *bytes);
        }
    }

    fn operator(&mut self, snapshot: &Snapshot, operator: &Operator) {
        if let Some(file) = operator.coordinator {
            self.file(snapshot, "coordinator", file);
        }
        for subtask in &operator.subtasks {
            self.subtask(snapshot, subtask);
        }
    }
}

/// What nothing was checked of; of tables and streams that can be read too, unless they were.
pub(super) fn not_checked(snapshot: &Snapshot, details: &Details, deep: bool) -> Vec<NotChecked> {
    let mut sums = Sums { deep, ..Sums::default() };
    if deep {
        let described = details.keyed.iter().filter(|keyed| keyed.meta.is_some());
        sums.seen.extend(described.filter_map(|keyed| keyed.stream.as_ref()).map(|stream| stream.file));
    }
    for operator in &snapshot.operators {
        sums.operator(snapshot, operator);
    }
    for master in &snapshot.master_states {
        sums.add("master", 0, master.bytes);
    }
    if !deep {
        let databases = details.keyed.iter().filter_map(|keyed| keyed.database.as_ref());
        for file in databases.flat_map(|database| &database.tables).filter_map(|table| table.file) {
            sums.file(snapshot, "sst_blocks", file);
        }
    }
    if deep {
        sums.by_kind.remove("changes");
    }
    let kinds = KINDS.iter().filter_map(|&(kind, what)| {
        let &(files, bytes) = sums.by_kind.get(kind)?;
        Some(NotChecked { kind, files, bytes, what })
    });
    kinds.filter(|kind| kind.files > 0 || kind.bytes > 0).collect()
}
