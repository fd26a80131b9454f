//! What a snapshot names, found among what was listed.

use std::collections::HashMap;

use super::ByLoosePath;
use crate::model::inventory::{Block, FileName, Inventory, ObjectId, ObjectTable, Root, uuid};
use crate::model::layout::{METADATA, checkpoint_number, is_job_id};
use crate::model::{Finding, Place, Snapshot, SnapshotKind};
use crate::storage::Location;

/// How many places without an object are kept of a snapshot.
const EXAMPLES: usize = 3;

/// What a snapshot names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) checkpoint_id: i64,
    pub(super) kind: SnapshotKind,
    pub(super) objects: Vec<ObjectId>,
    pub(super) unlisted: Vec<FileName>,
    pub(super) unlisted_places: Vec<String>,
    /// The roots under which it names something.
    pub(super) roots: Vec<usize>,
    /// A place under no root, and how many there are.
    pub(super) outside: Option<(String, u64)>,
    /// A place that it calls its own, and that is not.
    pub(super) elsewhere: Option<String>,
}

/// A directory that snapshots name files in.
#[derive(Debug, Clone)]
struct Directory {
    location: Location,
    root: Option<usize>,
}

/// Finds what snapshots name. Directories are parsed once.
#[derive(Debug)]
pub(super) struct Resolver<'i> {
    objects: &'i ObjectTable,
    roots: &'i [Root],
    directories: HashMap<Box<str>, Directory>,
}

/// How many parsed directories are kept: snapshots name few, but each `chk-N` is another one.
const MOST_DIRECTORIES: usize = 4096;

impl<'i> Resolver<'i> {
    pub(super) fn new(objects: &'i ObjectTable, roots: &'i [Root]) -> Self {
        Self { objects, roots, directories: HashMap::new() }
    }

    /// What a snapshot in `directory` names.
    ///
    /// # Errors
    /// It names something that cannot be told apart.
    pub(super) fn resolve(
        &mut self,
        directory: &Location,
        snapshot: &Snapshot,
    ) -> Result<Named, Box<Finding>> {
        let mut named = Named {
            checkpoint_id: snapshot.checkpoint_id,
            kind: snapshot.kind.clone(),
            objects: Vec::with_capacity(snapshot.files.len()),
            unlisted: Vec::new(),
            unlisted_places: Vec::new(),
            roots: Vec::new(),
            outside: None,
            elsewhere: None,
        };
        let own = Own::of(directory);
        for file in &snapshot.files {
            let (location, root) = match &file.place {
                Place::Inline { .. } | Place::Empty => continue,
                Place::Relative(path) => match directory.join(path) {
                    Ok(location) => {
                        let root = self.root_of(&location);
                        (location, root)
                    }
                    Err(error) => return Err(no_place(directory, path, &error.to_string())),
                },
                Place::Uri(uri) | Place::Segment { uri, .. } => {
                    let place = self.place(uri).map_err(|error| no_place(directory, uri, &error))?;
                    if named.elsewhere.is_none() && !own.agrees(&place.0) {
                        named.elsewhere = Some(place.0.to_string());
                    }
                    place
                }
            };
            self.note(&mut named, &location, root);
        }
        named.objects.sort_unstable();
        named.objects.dedup();
        named.unlisted.sort_unstable();
        named.unlisted.dedup();
        Ok(named)
    }

    fn note(&self, named: &mut Named, location: &Location, root: Option<usize>) {
        if let Some(root) = root
            && !named.roots.contains(&root)
        {
            named.roots.push(root);
        }
        if let Some(id) = self.objects.find(location) {
            named.objects.push(id);
            return;
        }
        if let Some(name) = location.file_name() {
            named.unlisted.push(FileName::new(name));
        }
        if named.unlisted_places.len() < EXAMPLES {
            named.unlisted_places.push(location.to_string());
        }
        if root.is_none() {
            let outside = named.outside.get_or_insert_with(|| (location.to_string(), 0));
            outside.1 += 1;
        }
    }

    fn root_of(&self, location: &Location) -> Option<usize> {
        self.roots.iter().position(|root| location.starts_with(&root.location))
    }

    /// Where a URI leads, and under which root.
    fn place(&mut self, uri: &str) -> Result<(Location, Option<usize>), String> {
        // A UUID means the same in every spelling of a path, so that only its directory needs to be parsed.
        if let Some((directory, name)) = uri.rsplit_once('/')
            && uuid(name).is_some()
        {
            if let Some(known) = self.directories.get(directory)
                && let Some(location) = known.location.join_exact(name)
            {
                return Ok((location, known.root));
            }
            if let Ok(location) = Location::parse(directory)
                && let Some(found) = location.join_exact(name)
            {
                if self.directories.len() >= MOST_DIRECTORIES {
                    self.directories.clear();
                }
                let root = self.root_of(&location);
                self.directories.insert(directory.into(), Directory { location, root });
                return Ok((found, root));
            }
        }
        let location = Location::parse(uri).map_err(|error| error.to_string())?;
        let root = self.root_of(&location);
        Ok((location, root))
    }
}

/// That a snapshot names something that has no place.
fn no_place(directory: &Location, text: &str, error: &str) -> Box<Finding> {
    let file = directory.join(METADATA).map_or_else(|_| directory.to_string(), |l| l.to_string());
    Box::new(
        Finding::error(
            "reference_unusable",
            format!("a snapshot names a file by {text:?}, which is no place: {error}"),
            "what it means cannot be told, so nothing that it could mean is deleted",
        )
        .in_file(file),
    )
}

/// The directories that only this snapshot's own files can lie in.
#[derive(Debug)]
struct Own {
    /// The snapshot's directory and its name, if that is `chk-N`.
    checkpoint: Option<(Location, Box<str>)>,
    /// The job's directory and its id.
    job: Option<(Location, Box<str>)>,
}

impl Own {
    fn of(directory: &Location) -> Self {
        let name = directory.file_name().filter(|name| checkpoint_number(name).is_some());
        let job = name.and_then(|_| directory.parent());
        let id = job.as_ref().and_then(|job| job.file_name()).filter(|name| is_job_id(name)).map(Box::from);
        Self { checkpoint: name.map(|name| (directory.clone(), name.into())), job: job.zip(id) }
    }

    /// Whether a place that calls itself this job's or this checkpoint's is.
    fn agrees(&self, location: &Location) -> bool {
        let named = |name: &str| location.segments().any(|segment| segment == name);
        // A changelog has a base path of its own, with directories that are called by jobs' ids: `BASE/JOBID/dstl`.
        let is_changelog = location.segments().rev().nth(1) == Some("dstl");
        if let Some((job, id)) = &self.job
            && !location.starts_with(job)
            && !is_changelog
            && named(id)
        {
            return false;
        }
        match &self.checkpoint {
            Some((directory, name)) => {
                location.starts_with(directory) || location.segments().rev().nth(1) != Some(name)
            }
            None => true,
        }
    }
}

/// Notes references without an object that may mean an object that was listed under another name: another scheme, another
/// authority, other escapes.
pub(super) fn mismatches(inventory: &mut Inventory) {
    let mut wanted: HashMap<String, (String, usize)> = HashMap::new();
    for (at, snapshot) in inventory.snapshots.iter().enumerate() {
        let Ok(references) = &snapshot.contents else { continue };
        for place in &references.unlisted_places {
            if let Ok(location) = Location::parse(place) {
                wanted.entry(location.loose_path()).or_insert_with(|| (place.clone(), at));
            }
        }
    }
    if wanted.is_empty() {
        return;
    }
    let mut found = ByLoosePath::new();
    for (id, _) in inventory.objects.iter() {
        let Some(location) = inventory.objects.location(id) else { continue };
        let loose = location.loose_path();
        if wanted.contains_key(&loose) {
            found.entry(loose).or_default().push(id);
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort();
    for (loose, ids) in found {
        let Some((place, at)) = wanted.get(&loose) else { continue };
        let Some(snapshot) = inventory.snapshots.get(*at) else { continue };
        for location in ids.iter().filter_map(|id| inventory.objects.location(*id)) {
            let roots = [inventory.root_of(&snapshot.directory), inventory.root_of(&location)];
            let file = snapshot.directory.join(METADATA).unwrap_or_else(|_| snapshot.directory.clone());
            let finding = Finding::error(
                "reference_mismatch",
                format!(
                    "a snapshot names {place}, and what looks like the same file was listed as {location}"
                ),
                "give roots in the scheme and with the authority that Flink was configured with",
            );
            inventory.blocks.push(Block {
                finding: finding.in_file(file.to_string()),
                roots: Some(roots.into_iter().flatten().collect()),
            });
        }
    }
}
