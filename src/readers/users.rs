//! For what a snapshot needs a file: which operators, subtasks and states.

use std::collections::BTreeSet;

use super::discover::read_metadata;
use super::snapshot::{ReadOptions, decode_metadata, open_snapshot};
use crate::model::{
    Details, FileId, KeyedContent, KeyedState, Operator, OperatorStateHandle, Place, Snapshot,
};
use crate::storage::{InFlight, Location, Storage};

/// A use of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileUser {
    /// The operator's id.
    pub operator_id: String,
    /// The operator's name, or its uid, if recorded.
    pub operator: Option<String>,
    /// The subtask; absent for a coordinator.
    pub subtask: Option<u32>,
    /// What the file is to it.
    pub role: &'static str,
    /// The name under which a database knows the file.
    pub local_name: Option<String>,
    /// The names of the states in it, as far as they are known.
    pub states: Vec<String>,
}

/// For what the snapshot in a directory needs a file; nothing if the snapshot cannot be read any more. With `states`, the
/// small files behind its handles are read, which tell what is in a database's tables.
#[must_use]
pub fn users_of(
    storage: &dyn Storage,
    directory: &Location,
    file: &Location,
    in_flight: InFlight,
    states: bool,
) -> Vec<FileUser> {
    let Ok(metadata) = read_metadata(storage, directory) else { return Vec::new() };
    let opened = |metadata| {
        let options = ReadOptions { relocate: Vec::new(), in_flight, ..ReadOptions::default() };
        let opened = open_snapshot(storage, metadata, &options).ok()?;
        Some((opened.snapshot, Some(opened.details)))
    };
    let read = if states {
        opened(&metadata)
    } else {
        decode_metadata(&metadata).ok().map(|(snapshot, _)| (snapshot, None))
    };
    let Some((snapshot, details)) = read else { return Vec::new() };
    let ids: BTreeSet<FileId> = (0..)
        .zip(&snapshot.files)
        .filter(|(_, candidate)| is_at(&candidate.place, directory, file))
        .map(|(at, _)| FileId(at))
        .collect();
    let mut users = Users { snapshot: &snapshot, details: details.as_ref(), ids, found: BTreeSet::new() };
    for (at, operator) in snapshot.operators.iter().enumerate() {
        users.operator(at, operator);
    }
    users.found.into_iter().collect()
}

fn is_at(place: &Place, directory: &Location, file: &Location) -> bool {
    let location = match place {
        Place::Inline { .. } | Place::Empty => return false,
        Place::Relative(path) => directory.join(path),
        Place::Uri(uri) | Place::Segment { uri, .. } => Location::parse(uri),
    };
    location.is_ok_and(|location| location == *file)
}

struct Users<'a> {
    snapshot: &'a Snapshot,
    details: Option<&'a Details>,
    ids: BTreeSet<FileId>,
    found: BTreeSet<FileUser>,
}

impl Users<'_> {
    fn operator(&mut self, at: usize, operator: &Operator) {
        if let Some(id) = operator.coordinator {
            self.file(operator, None, id, None, Vec::new());
        }
        for subtask in &operator.subtasks {
            let index = Some(subtask.index);
            for keyed in subtask.managed_keyed.iter().chain(&subtask.raw_keyed) {
                self.keyed(at, operator, subtask.index, keyed);
            }
            for handle in subtask.managed_operator.iter().chain(&subtask.raw_operator) {
                self.operator_state(operator, subtask.index, handle);
            }
            let channels = subtask.input_channels.iter().chain(&subtask.result_subpartitions);
            for id in channels.filter_map(|channel| channel.stream) {
                self.file(operator, index, id, None, Vec::new());
            }
        }
    }

    fn operator_state(&mut self, operator: &Operator, subtask: u32, handle: &OperatorStateHandle) {
        if let Some(id) = handle.stream {
            let states = handle.states.iter().map(|state| state.name.to_string()).collect();
            self.file(operator, Some(subtask), id, None, states);
        }
    }

    fn keyed(&mut self, at: usize, operator: &Operator, subtask: u32, keyed: &KeyedState) {
        let mut named: Vec<(FileId, Option<String>)> = Vec::new();
        keyed.walk(&mut |state| {
            if let KeyedContent::Database(database) = &state.content {
                named.extend(database.meta.map(|id| (id, None)));
                let files = database.files.iter();
                named.extend(files.filter_map(|file| Some((file.file?, Some(file.name.to_string())))));
            }
        });
        let in_databases: BTreeSet<FileId> = named.iter().map(|(id, _)| *id).collect();
        named.extend(keyed.files().into_iter().filter(|id| !in_databases.contains(id)).map(|id| (id, None)));
        for (id, name) in named {
            if self.ids.contains(&id) {
                let states = self.states(at, subtask, id);
                self.file(operator, Some(subtask), id, name, states);
            }
        }
    }

    /// The states in a file of a keyed handle.
    fn states(&self, operator: usize, subtask: u32, id: FileId) -> Vec<String> {
        let keyed = self.details.iter().flat_map(|details| &details.keyed);
        let mut names = BTreeSet::new();
        for keyed in keyed.filter(|keyed| keyed.operator == operator && keyed.subtask == subtask) {
            let Some(database) = &keyed.database else { continue };
            for table in database.tables.iter().filter(|table| table.file == Some(id)) {
                names.extend(database.column_families.get(table.column_family).cloned());
            }
        }
        names.into_iter().collect()
    }

    fn file(
        &mut self,
        operator: &Operator,
        subtask: Option<u32>,
        id: FileId,
        local_name: Option<String>,
        states: Vec<String>,
    ) {
        let Some(file) = self.snapshot.file(id).filter(|_| self.ids.contains(&id)) else { return };
        let role = file.role.name();
        self.found.insert(FileUser {
            operator_id: operator.id.to_string(),
            operator: operator.name.clone().or_else(|| operator.uid.clone()),
            subtask,
            role,
            local_name,
            states,
        });
    }
}
