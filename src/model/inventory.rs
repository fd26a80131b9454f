//! What lies under some roots, and which snapshot names what of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Finding, SnapshotKind};
use crate::storage::{Location, ObjectMeta};

/// All objects under some roots, all snapshots among them, and what each of these names.
#[derive(Debug)]
pub struct Inventory {
    /// The roots, inner ones first: a place belongs to the first that it lies under.
    pub roots: Vec<Root>,
    /// The objects.
    pub objects: ObjectTable,
    /// The snapshots, by where they lie.
    pub snapshots: Vec<ListedSnapshot>,
    /// What the store of a JobManager's high availability points to.
    pub pointers: Vec<Pointer>,
    /// Why no conclusion is drawn about objects under some of the roots.
    pub blocks: Vec<Block>,
    /// Other problems in the data.
    pub findings: Vec<Finding>,
    /// When the listing began, in milliseconds since 1970.
    pub listed_ms: i64,
}

/// A directory that everything below was listed of.
#[derive(Debug, Clone)]
pub struct Root {
    /// The directory.
    pub location: Location,
    /// What it was given as.
    pub role: RootRole,
    /// Whether the listing went to its end.
    pub listed: bool,
}

/// What a root is to who gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootRole {
    /// Jobs' checkpoints, and what else lies there.
    Storage,
    /// Savepoints: whatever lies there is kept.
    Savepoints,
    /// The directory of high availability: whatever lies there is kept, and it points to checkpoints.
    HighAvailability,
}

/// An index into an [`ObjectTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

/// An object, without its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Index of its directory.
    pub directory: u32,
    /// Its name in the directory.
    pub name: Box<str>,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// The store's tag of it.
    pub etag: Option<Arc<str>>,
}

/// Objects, sorted by where they lie. A directory's text is held once.
#[derive(Debug, Default)]
pub struct ObjectTable {
    directories: Vec<Location>,
    /// Of each directory, where its objects begin.
    begins: Vec<u32>,
    objects: Vec<Object>,
    by_directory: HashMap<Location, u32>,
}

/// Collects objects in any order.
#[derive(Debug, Default)]
pub struct ObjectTableBuilder {
    directories: Vec<Location>,
    known: HashMap<Location, u32>,
    last: Option<u32>,
    objects: Vec<Object>,
}

impl ObjectTableBuilder {
    /// Adds an object.
    pub fn push(&mut self, location: &Location, meta: ObjectMeta) {
        let Some(name) = location.file_name() else { return };
        let is_in = |directory: &Location| {
            location.strip_prefix(directory).is_some_and(|rest| rest.len() == name.len())
        };
        let last = self.last.filter(|&last| self.directories.get(last as usize).is_some_and(is_in));
        let directory = match last {
            Some(directory) => directory,
            None => {
                let Some(parent) = location.parent() else { return };
                let next = u32::try_from(self.directories.len()).unwrap_or(u32::MAX);
                let directory = *self.known.entry(parent.clone()).or_insert(next);
                if directory == next {
                    self.directories.push(parent);
                }
                directory
            }
        };
        self.last = Some(directory);
        let ObjectMeta { size, last_modified, etag, .. } = meta;
        self.objects.push(Object { directory, name: name.into(), size, modified_ms: last_modified, etag });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The table. An object that was added twice is in it once.
    #[must_use]
    pub fn build(self) -> ObjectTable {
        let Self { directories, known, mut objects, .. } = self;
        let mut order: Vec<u32> = (0..).take(directories.len()).collect();
        order.sort_by(|a, b| directories.get(*a as usize).cmp(&directories.get(*b as usize)));
        let mut rank = vec![0; directories.len()];
        for (place, &directory) in (0..).zip(&order) {
            if let Some(rank) = rank.get_mut(directory as usize) {
                *rank = place;
            }
        }
        let new_index = |old: u32| rank.get(old as usize).copied().unwrap_or(old);
        for object in &mut objects {
            object.directory = new_index(object.directory);
        }
        objects.sort_unstable_by(|a, b| (a.directory, &a.name).cmp(&(b.directory, &b.name)));
        objects.dedup_by(|a, b| a.directory == b.directory && a.name == b.name);
        objects.shrink_to_fit();
        let by_directory: HashMap<_, _> =
            known.into_iter().map(|(location, old)| (location, new_index(old))).collect();
        let mut sorted = directories;
        sorted.sort();
        let mut begins = Vec::with_capacity(sorted.len() + 1);
        for (at, object) in (0u32..).zip(&objects) {
            while begins.len() <= object.directory as usize {
                begins.push(at);
            }
        }
        begins.resize(sorted.len() + 1, u32::try_from(objects.len()).unwrap_or(u32::MAX));
        ObjectTable { directories: sorted, begins, objects, by_directory }
    }
}

impl ObjectTable {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All objects, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ObjectId, &Object)> {
        self.objects.iter().enumerate().map(|(at, object)| (id(at), object))
    }

    /// An object.
    #[must_use]
    pub fn get(&self, id: ObjectId) -> Option<&Object> {
        self.objects.get(id.0 as usize)
    }

    /// Where an object lies.
    #[must_use]
    pub fn location(&self, id: ObjectId) -> Option<Location> {
        let object = self.get(id)?;
        self.directory(object)?.join_exact(&object.name)
    }

    /// The directory of an object.
    #[must_use]
    pub fn directory(&self, object: &Object) -> Option<&Location> {
        self.directories.get(object.directory as usize)
    }

    /// All directories that hold objects themselves, in order.
    #[must_use]
    pub fn directories(&self) -> &[Location] {
        &self.directories
    }

    /// The objects of a directory, by its index.
    pub fn in_directory(&self, directory: usize) -> impl Iterator<Item = (ObjectId, &Object)> {
        let begin = self.begins.get(directory).map_or(0, |&at| at as usize);
        let end = self.begins.get(directory + 1).map_or(begin, |&at| at as usize);
        let objects = self.objects.get(begin..end).unwrap_or_default();
        objects.iter().enumerate().map(move |(at, object)| (id(begin + at), object))
    }

    /// Finds an object by where it lies.
    #[must_use]
    pub fn find(&self, location: &Location) -> Option<ObjectId> {
        let directory = *self.by_directory.get(&location.parent()?)?;
        self.find_in(directory, location.file_name()?)
    }

    fn find_in(&self, directory: u32, name: &str) -> Option<ObjectId> {
        let begin = *self.begins.get(directory as usize)? as usize;
        let end = *self.begins.get(directory as usize + 1)? as usize;
        let objects = self.objects.get(begin..end)?;
        let at = objects.binary_search_by(|object| (*object.name).cmp(name)).ok()?;
        Some(id(begin + at))
    }
}

fn id(at: usize) -> ObjectId {
    ObjectId(u32::try_from(at).unwrap_or(u32::MAX))
}

/// A directory with a `_metadata`.
#[derive(Debug)]
pub struct ListedSnapshot {
    /// The directory.
    pub directory: Location,
    /// Its `_metadata`.
    pub metadata: ObjectId,
    /// Its job's directory and its number, if it is called `chk-N`.
    pub checkpoint: Option<(Location, u64)>,
    /// What `_metadata` says.
    pub contents: Result<SnapshotReferences, Box<Finding>>,
}

/// What a snapshot names.
#[derive(Debug)]
pub struct SnapshotReferences {
    /// The id of the checkpoint.
    pub checkpoint_id: i64,
    /// What kind of snapshot it is.
    pub kind: SnapshotKind,
    /// Objects that it names, in order, `_metadata` not among them.
    pub objects: Vec<ObjectId>,
    /// The file names of what it names where no object was listed.
    pub unlisted: Vec<FileName>,
    /// Some of the places where no object was listed.
    pub unlisted_places: Vec<String>,
}

/// The name of a file without its directory. Flink's are UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileName {
    /// A UUID in lower case, as Flink writes it.
    Uuid(u128),
    /// Any other.
    Other(Box<str>),
}

impl FileName {
    /// The name in the form in which names are compared.
    #[must_use]
    pub fn new(name: &str) -> Self {
        uuid(name).map_or_else(|| Self::Other(name.into()), Self::Uuid)
    }
}

/// The number that a UUID in Java's spelling (lower case, with hyphens) stands for.
#[must_use]
pub fn uuid(name: &str) -> Option<u128> {
    if name.len() != 36 {
        return None;
    }
    let mut number = 0u128;
    for (at, byte) in name.bytes().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number)
}

/// A checkpoint that a JobManager would recover from.
#[derive(Debug)]
pub struct Pointer {
    /// The file that says so.
    pub file: ObjectId,
    /// The checkpoint's directory, if it is told.
    pub snapshot: Option<Location>,
    /// Objects that the file names itself.
    pub objects: Vec<ObjectId>,
    /// The file names of what it names where no object was listed.
    pub unlisted: Vec<FileName>,
}

/// Why no conclusion is drawn about objects.
#[derive(Debug, Clone)]
pub struct Block {
    /// What is wrong, with which object, and what to do.
    pub finding: Finding,
    /// Under which roots; all, if `None`.
    pub roots: Option<Vec<usize>>,
}

impl Block {
    /// Whether it is about objects under this root.
    #[must_use]
    pub fn touches(&self, root: usize) -> bool {
        self.roots.as_ref().is_none_or(|roots| roots.contains(&root))
    }
}

impl Inventory {
    /// The root that a place lies under.
    #[must_use]
    pub fn root_of(&self, location: &Location) -> Option<usize> {
        self.roots.iter().position(|root| location.starts_with(&root.location))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    #[test]
    fn objects_are_found_wherever_they_were_added() {
        let mut builder = ObjectTableBuilder::default();
        let meta = |size| ObjectMeta { size, last_modified: None, etag: None };
        let places =
            ["s3://b/j/shared/b", "s3://b/j/chk-1/x", "s3://b/j/shared/a", "s3://b/top", "gs://b/j/shared/a"];
        for (size, place) in (0..).zip(places) {
            builder.push(&at(place), meta(size));
        }
        builder.push(&at("s3a://b/j/shared/a"), meta(2));
        let table = builder.build();
        assert_eq!(table.len(), 5);
        for (size, place) in (0..).zip(places) {
            let id = table.find(&at(place)).expect(place);
            assert_eq!(table.get(id).map(|o| o.size), Some(size), "{place}");
            assert_eq!(table.location(id), Some(at(place)));
        }
        for missing in ["s3://b/j/shared/c", "s3://b/j/shared", "s3://b/j", "s3://c/top", "s3://b"] {
            assert_eq!(table.find(&at(missing)), None, "{missing}");
        }
        let per_directory: Vec<_> =
            (0..table.directories().len()).map(|d| table.in_directory(d).count()).collect();
        assert_eq!(per_directory.iter().sum::<usize>(), 5);
        assert!(per_directory.iter().all(|&n| n > 0));
        assert!(ObjectTableBuilder::default().build().find(&at("s3://b/k")).is_none());
    }

    #[test]
    fn only_javas_spelling_is_a_uuid() {
        assert_eq!(uuid("00000000-0000-0000-0000-00000000001f"), Some(31));
        for other in
            ["00000000-0000-0000-0000-00000000001F", "00000000x0000-0000-0000-00000000001f", "", "1-2-3-4-5"]
        {
            assert_eq!(uuid(other), None, "{other}");
            assert_eq!(FileName::new(other), FileName::Other(other.into()));
        }
    }
}
