//! Lists everything under roots, with many requests under way.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::Finding;
use crate::model::inventory::{Block, ObjectTable, ObjectTableBuilder, Root};
use crate::model::layout::is_job_subdirectory;
use crate::readers::parallel::each_at_once;
use crate::storage::{InFlight, ListEntry, ListScope, Location, Storage, StorageError, StorageErrorKind};

/// A part of a listing.
#[derive(Debug, Clone)]
struct Part {
    root: usize,
    directory: Location,
}

/// Lists all roots. A root that cannot be listed to its end is a block.
pub(super) fn list(
    storage: &dyn Storage,
    roots: &mut [Root],
    in_flight: InFlight,
    blocks: &mut Vec<Block>,
    listed: &AtomicU64,
) -> ObjectTable {
    let sink = Sink { builder: Mutex::default(), odd: Mutex::default(), listed };
    let firsts: Vec<_> = roots.iter().enumerate().map(|(root, r)| (root, r.location.clone())).collect();
    let mut failures: Vec<(usize, StorageError)> = Vec::new();
    let mut parts = Vec::new();
    let answers = each_at_once(&firsts, in_flight.requests, |(_, location)| {
        storage.list_all(location, ListScope::Children)
    });
    for ((root, location), answer) in firsts.into_iter().zip(answers) {
        match answer {
            Ok(children) => parts.extend(split(root, location, children, &sink)),
            Err(error) => failures.push((root, error)),
        }
    }
    let answers = each_at_once(&parts, in_flight.requests, |part| {
        storage.list(&part.directory, ListScope::Recursive, &mut |page| {
            sink.take(part.root, page);
            ControlFlow::Continue(())
        })
    });
    for (part, answer) in parts.into_iter().zip(answers) {
        match answer {
            Ok(()) => {}
            // It went away meanwhile, with all that was in it.
            Err(error) if *error.kind() == StorageErrorKind::NotFound => {}
            Err(error) => failures.push((part.root, error)),
        }
    }
    for (root, error) in failures {
        if let Some(root) = roots.get_mut(root) {
            root.listed = false;
            let finding = Finding::error(
                "root_not_listed",
                format!("a root could not be listed to its end: {error}"),
                "snapshots may lie there that name anything, so nothing is deleted anywhere; check the path and the \
                 permission to list it",
            );
            blocks.push(Block { finding: finding.in_file(root.location.to_string()), roots: None });
        }
    }
    let mut odd = sink.odd.into_inner().unwrap_or_else(PoisonError::into_inner);
    odd.sort_by(|a, b| a.1.file.cmp(&b.1.file));
    blocks.extend(odd.into_iter().map(|(root, finding)| Block { finding, roots: Some(vec![root]) }));
    sink.builder.into_inner().unwrap_or_else(PoisonError::into_inner).build()
}

/// What is listed apart. A job's directory is listed at once: a listing of each of its checkpoints costs more requests.
fn split(root: usize, location: Location, children: Vec<ListEntry>, sink: &Sink<'_>) -> Vec<Part> {
    let is_job = children.iter().any(|child| {
        matches!(child, ListEntry::Directory(directory) if directory.file_name().is_some_and(is_job_subdirectory))
    });
    if is_job {
        return vec![Part { root, directory: location }];
    }
    let (directories, others): (Vec<_>, Vec<_>) =
        children.into_iter().partition(|child| matches!(child, ListEntry::Directory(_)));
    sink.take(root, others);
    directories
        .into_iter()
        .filter_map(|child| match child {
            ListEntry::Directory(directory) => Some(Part { root, directory }),
            _ => None,
        })
        .collect()
}

/// Takes what is listed.
#[derive(Debug)]
struct Sink<'p> {
    builder: Mutex<ObjectTableBuilder>,
    odd: Mutex<Vec<(usize, Finding)>>,
    listed: &'p AtomicU64,
}

impl Sink<'_> {
    fn take(&self, root: usize, page: Vec<ListEntry>) {
        self.listed.fetch_add(page.len() as u64, Ordering::Relaxed);
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in page {
            match entry {
                ListEntry::Object(location, meta) => builder.push(&location, meta),
                ListEntry::Directory(_) => {}
                ListEntry::Unaddressable { directory, name, reason } => {
                    let finding = Finding::error(
                        "object_unaddressable",
                        format!("there is something that cannot be asked for by its name {name:?}: {reason}"),
                        "whether a snapshot means it cannot be told; move it out of the root or remove it",
                    );
                    let finding = finding.in_file(format!("{directory}/{name}"));
                    self.odd.lock().unwrap_or_else(PoisonError::into_inner).push((root, finding));
                }
            }
        }
    }
}
