//! The inventory of some roots: everything that lies there, and what each snapshot among it names.
//!
//! Listings come first, and `_metadata` is read after them. So an object that a listing shows and that no snapshot names
//! was there before any snapshot was read; what a job writes meanwhile is not in the listing, and no conclusion is drawn about it.

mod listing;
mod pointers;
mod references;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::references::{Named, Resolver};
use super::discover::METADATA;
use super::root::{ReadMetadata, read_each};
use crate::model::inventory::{
    Block, Inventory, ListedSnapshot, ObjectId, ObjectTable, Root, RootRole, SnapshotReferences,
};
use crate::model::layout::checkpoint_number;
use crate::model::{Finding, Severity};
use crate::storage::{InFlight, Location, Storage};

/// How an inventory is made.
#[derive(Debug, Clone, Copy)]
pub struct InventoryOptions {
    /// How much may be under way at once.
    pub in_flight: InFlight,
    /// How many threads decode `_metadata`.
    pub threads: NonZeroUsize,
    /// The time when it begins, in milliseconds since 1970.
    pub now_ms: i64,
}

/// How far an inventory is.
#[derive(Debug, Default)]
pub struct InventoryProgress {
    /// Objects that were listed.
    pub objects: AtomicU64,
    /// Snapshots that there are.
    pub snapshots: AtomicU64,
    /// Snapshots of which `_metadata` was read.
    pub read: AtomicU64,
}

/// Lists all that lies under some roots, and reads every `_metadata` there. What cannot be listed or read is a part of the
/// result.
#[must_use]
pub fn inventory(
    storage: &dyn Storage,
    roots: &[(Location, RootRole)],
    options: InventoryOptions,
    progress: &InventoryProgress,
) -> Inventory {
    let mut roots = outermost(roots);
    let mut blocks = Vec::new();
    let objects = listing::list(storage, &mut roots, options.in_flight, &mut blocks, &progress.objects);
    let mut inventory = Inventory {
        roots,
        objects,
        snapshots: Vec::new(),
        pointers: Vec::new(),
        blocks,
        findings: Vec::new(),
        listed_ms: options.now_ms,
    };
    let found: Vec<_> = snapshot_directories(&inventory.objects).collect();
    progress.snapshots.store(found.len() as u64, Ordering::Relaxed);
    let named = read_all(storage, &inventory, &found, options, progress);
    for ((directory, metadata), named) in found.into_iter().zip(named) {
        let checkpoint = checkpoint(&directory);
        let contents = match named {
            Ok(named) => Ok(settle(&mut inventory, &directory, checkpoint.as_ref(), named)),
            Err(finding) => {
                // What it names may lie anywhere.
                inventory.blocks.push(Block { finding: (*finding).clone(), roots: None });
                Err(finding)
            }
        };
        inventory.snapshots.push(ListedSnapshot { directory, metadata, checkpoint, contents });
    }
    pointers::read(storage, &mut inventory, options.in_flight);
    references::mismatches(&mut inventory);
    inventory
}

/// Lists all that lies under some roots, and reads nothing.
///
/// # Errors
/// A root cannot be listed to its end.
pub fn listing_of(
    storage: &dyn Storage,
    roots: &[(Location, RootRole)],
    in_flight: InFlight,
) -> Result<ObjectTable, Box<Finding>> {
    let mut blocks = Vec::new();
    let table = listing::list(storage, &mut outermost(roots), in_flight, &mut blocks, &AtomicU64::new(0));
    match blocks.into_iter().next() {
        Some(block) => Err(Box::new(block.finding)),
        None => Ok(table),
    }
}

/// The job's directory and the number of a `chk-N` directory.
fn checkpoint(directory: &Location) -> Option<(Location, u64)> {
    let number = directory.file_name().and_then(checkpoint_number)?;
    Some((directory.parent()?, number))
}

/// Roots of which none lies in another one of its role, inner ones first: where one of another role lies in one, it decides.
fn outermost(roots: &[(Location, RootRole)]) -> Vec<Root> {
    let mut sorted: Vec<_> = roots.to_vec();
    sorted.sort_by(|a, b| (&a.0, std::cmp::Reverse(a.1)).cmp(&(&b.0, std::cmp::Reverse(b.1))));
    sorted.dedup_by(|a, b| a.0 == b.0);
    let mut kept: Vec<Root> = Vec::new();
    for (location, role) in sorted {
        let covered = kept.iter().any(|root| root.role == role && location.starts_with(&root.location));
        if !covered {
            kept.push(Root { location, role, listed: true });
        }
    }
    kept.sort_by(|a, b| b.location.cmp(&a.location));
    kept
}

/// The directories that hold a `_metadata`.
fn snapshot_directories(objects: &ObjectTable) -> impl Iterator<Item = (Location, ObjectId)> {
    objects.directories().iter().filter_map(|directory| {
        let metadata = objects.find(&directory.join(METADATA).ok()?)?;
        Some((directory.clone(), metadata))
    })
}

/// Reads and resolves all `_metadata`, in order.
fn read_all(
    storage: &dyn Storage,
    inventory: &Inventory,
    found: &[(Location, ObjectId)],
    options: InventoryOptions,
    progress: &InventoryProgress,
) -> Vec<Result<Named, Box<Finding>>> {
    let parts = options.threads.get().min(found.len()).max(1);
    let InFlight { requests, bytes } = options.in_flight;
    let in_flight = InFlight::new(requests.div_ceil(parts), bytes / parts as u64);
    let part = |part: usize| {
        let indexes: Vec<usize> = (part..found.len()).step_by(parts).collect();
        let directories: Vec<Location> =
            indexes.iter().filter_map(|&at| found.get(at)).map(|(directory, _)| directory.clone()).collect();
        let mut resolver = Resolver::new(&inventory.objects, &inventory.roots);
        let mut answers = Vec::with_capacity(directories.len());
        read_each(storage, &directories, in_flight, &mut |at, answer| {
            progress.read.fetch_add(1, Ordering::Relaxed);
            let (Some(directory), Some(&index)) = (directories.get(at), indexes.get(at)) else { return };
            answers.push((index, answer.and_then(|read| decoded(&mut resolver, directory, &read))));
        });
        answers
    };
    let mut answers = thread::scope(|scope| {
        let part = &part;
        let others: Vec<_> =
            (1..parts).map(|n| (n, thread::Builder::new().spawn_scoped(scope, move || part(n)))).collect();
        let mut answers = part(0);
        for (n, thread) in others {
            match thread {
                // A thread that could not be started, or that broke, leaves its part to this one.
                Ok(thread) => answers.extend(thread.join().unwrap_or_else(|_| part(n))),
                Err(_) => answers.extend(part(n)),
            }
        }
        answers
    });
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// What a snapshot names, if all of it is known: what is left out could be anything.
fn decoded(
    resolver: &mut Resolver<'_>,
    directory: &Location,
    read: &ReadMetadata,
) -> Result<Named, Box<Finding>> {
    if let Some(finding) = read.findings.iter().find(|finding| finding.severity == Severity::Error) {
        let mut finding = finding.clone();
        finding.file =
            Some(directory.join(METADATA).map_or_else(|_| directory.to_string(), |l| l.to_string()));
        return Err(Box::new(finding));
    }
    resolver.resolve(directory, &read.snapshot)
}

/// Notes what one snapshot's references mean for all.
fn settle(
    inventory: &mut Inventory,
    directory: &Location,
    checkpoint: Option<&(Location, u64)>,
    named: Named,
) -> SnapshotReferences {
    let own = inventory.root_of(directory);
    let mut touched: Vec<usize> = named.roots.iter().copied().chain(own).collect();
    touched.sort_unstable();
    touched.dedup();
    let mut block = |finding: Finding| {
        inventory.blocks.push(Block { finding, roots: Some(touched.clone()) });
    };
    let file = directory.join(METADATA).map_or_else(|_| directory.to_string(), |l| l.to_string());
    if let Some((example, count)) = &named.outside {
        block(
            Finding::error(
                "reference_leaves_roots",
                format!("a snapshot names {count} file(s) that lie under no root that was given, such as {example}"),
                "give the root that holds them too; if it is gone, nothing is known of who uses these files",
            )
            .in_file(file.clone()),
        );
    }
    if let Some(example) = &named.elsewhere {
        block(
            Finding::error(
                "recorded_elsewhere",
                format!(
                    "a snapshot does not lie where it was written: it names {example} as its own{}",
                    if checkpoint.is_some() { "" } else { " directory" }
                ),
                "a copy, or files spread over random prefixes (entropy injection): which of several places are in use \
                 cannot be told; keep copies out of the roots",
            )
            .in_file(file),
        );
    }
    SnapshotReferences {
        checkpoint_id: named.checkpoint_id,
        kind: named.kind,
        objects: named.objects,
        unlisted: named.unlisted,
        unlisted_places: named.unlisted_places,
    }
}

/// By where they lie, objects that are somebody's. Used to look for places that may be the same.
type ByLoosePath = HashMap<String, Vec<ObjectId>>;
