//! Finds out what a path is that a user has at hand: a snapshot, a job's directory, or a root.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::parallel::each_at_once;
use crate::model::Finding;
pub use crate::model::layout::METADATA;
use crate::model::layout::{checkpoint_number, is_job_id, is_job_subdirectory};
use crate::storage::{
    Fetched, InFlight, ListEntry, ListScope, Location, ReadRequest, Span, Storage, StorageError,
    StorageErrorKind,
};

/// The largest `_metadata` that is read into memory.
pub const METADATA_LIMIT: u64 = 4 << 30;

/// How many levels of directories are listed, the root's own included.
const ROOT_DEPTH: u32 = 6;

/// A `_metadata` file that was read.
#[derive(Debug, Clone)]
pub struct MetadataFile {
    /// The directory that holds it.
    pub directory: Location,
    /// The bytes.
    pub bytes: Bytes,
    /// When it was last modified, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
}

/// What a path turned out to be.
#[derive(Debug)]
pub enum Target {
    /// A snapshot.
    Snapshot(MetadataFile),
    /// The directory of a job.
    Job(JobDirectory),
    /// A directory above jobs and savepoints.
    Root(RootDirectory),
}

/// A directory above jobs and savepoints.
#[derive(Debug, Clone)]
pub struct RootDirectory {
    /// The directory.
    pub location: Location,
    /// What lies directly in it: it was listed to find out what it is.
    children: Vec<ListEntry>,
}

/// The directory of a job and the checkpoints in it.
#[derive(Debug, Clone)]
pub struct JobDirectory {
    /// The directory.
    pub location: Location,
    /// The job id, if the directory is called by one.
    pub job_id: Option<String>,
    /// The checkpoints, by number.
    pub checkpoints: BTreeMap<u64, CheckpointDirectory>,
    /// Directories in it that Flink does not make inside a job's: savepoints may be among them.
    pub others: Vec<Location>,
}

/// A `chk-N` directory.
#[derive(Debug, Clone)]
pub struct CheckpointDirectory {
    /// The directory.
    pub location: Location,
    /// Its `_metadata`: the time of its last change. `None` if there is none: the checkpoint is being
    /// written, or was given up.
    pub complete: Option<Option<i64>>,
}

impl JobDirectory {
    /// The newest complete checkpoint by number.
    #[must_use]
    pub fn newest_by_id(&self) -> Option<(u64, &CheckpointDirectory)> {
        self.checkpoints.iter().rev().map(|(n, c)| (*n, c)).find(|(_, c)| c.complete.is_some())
    }

    /// The newest checkpoint by completion, if it is another one than that by number, and newer by more than
    /// what copying files in another order makes.
    #[must_use]
    pub fn newest_elsewhere(&self) -> Option<(u64, &CheckpointDirectory)> {
        const COPYING_MS: i64 = 60_000;
        let (number, by_id) = self.newest_by_id()?;
        let (other, by_completion) = self.newest_by_completion()?;
        let later = by_completion.complete??.saturating_sub(by_id.complete??);
        (other != number && later > COPYING_MS).then_some((other, by_completion))
    }

    /// The newest complete checkpoint by the time its `_metadata` was written; of equal ones the one
    /// with the higher number. `None` if no time is known.
    #[must_use]
    pub fn newest_by_completion(&self) -> Option<(u64, &CheckpointDirectory)> {
        self.checkpoints
            .iter()
            .filter_map(|(n, c)| Some((c.complete??, *n, c)))
            .max_by_key(|(time, n, _)| (*time, *n))
            .map(|(_, n, c)| (n, c))
    }
}

/// Finds out what a path is. A snapshot costs one request, anything else a few more.
///
/// # Errors
/// Nothing is there, or the storage does not answer.
pub fn discover(
    storage: &dyn Storage,
    location: &Location,
    in_flight: InFlight,
) -> Result<Target, StorageError> {
    if location.file_name() == Some(METADATA) {
        let directory = location.parent().unwrap_or_else(|| location.store_root());
        return Ok(Target::Snapshot(read_metadata(storage, &directory)?));
    }
    match read_metadata(storage, location) {
        Ok(file) => return Ok(Target::Snapshot(file)),
        Err(e) if matches!(e.kind(), StorageErrorKind::NotFound | StorageErrorKind::NotADirectory) => {}
        Err(e) => return Err(e),
    }
    let children = storage.list_all(location, ListScope::Children)?;
    let job = job_directory(storage, location, &children, in_flight)?;
    Ok(if job.checkpoints.is_empty() {
        Target::Root(RootDirectory { location: location.clone(), children })
    } else {
        Target::Job(job)
    })
}

/// Reads the `_metadata` of a snapshot's directory.
///
/// # Errors
/// It is not there or cannot be read.
pub fn read_metadata(storage: &dyn Storage, directory: &Location) -> Result<MetadataFile, StorageError> {
    let file = metadata_location(directory);
    let fetched = storage.read(&file, &Span::Full { limit: METADATA_LIMIT })?;
    Ok(metadata_file(directory.clone(), fetched))
}

fn metadata_location(directory: &Location) -> Location {
    directory.join(METADATA).unwrap_or_else(|_| directory.clone())
}

fn metadata_file(directory: Location, fetched: Fetched) -> MetadataFile {
    MetadataFile { directory, bytes: fetched.bytes, modified_ms: fetched.meta.last_modified }
}

/// The checkpoints among the children of a directory, each looked at with one request.
fn job_directory(
    storage: &dyn Storage,
    location: &Location,
    children: &[ListEntry],
    in_flight: InFlight,
) -> Result<JobDirectory, StorageError> {
    let (mut numbered, mut others) = (Vec::new(), Vec::new());
    for child in children {
        let ListEntry::Directory(directory) = child else { continue };
        match directory.file_name().and_then(checkpoint_number) {
            Some(number) => numbered.push((number, directory.clone())),
            None => others.extend(Some(directory).filter(|d| is_worth_a_look(d)).cloned()),
        }
    }
    // A suffix of no bytes is answered from the object's meta data alone.
    let requests: Vec<_> =
        numbered.iter().map(|(_, d)| ReadRequest::suffix(metadata_location(d), 0)).collect();
    let mut checkpoints = BTreeMap::new();
    for ((number, location), answer) in numbered.into_iter().zip(storage.read_many(&requests, in_flight)) {
        let complete = match answer {
            Ok(fetched) => Some(fetched.meta.last_modified),
            Err(e) if *e.kind() == StorageErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        checkpoints.insert(number, CheckpointDirectory { location, complete });
    }
    let job_id = location.file_name().filter(|name| is_job_id(name)).map(str::to_owned);
    Ok(JobDirectory { location: location.clone(), job_id, checkpoints, others })
}

/// Everything that was found under a root.
#[derive(Debug, Default)]
pub struct RootContents {
    /// Job directories.
    pub jobs: Vec<JobDirectory>,
    /// Directories that hold a `_metadata` and are no `chk-N`: savepoints.
    pub savepoints: Vec<Location>,
    /// What could not be listed.
    pub findings: Vec<Finding>,
    /// Whether directories were left out because they lie too deep.
    pub too_deep: Vec<Location>,
}

/// Finds the job directories and savepoints under a root, by listing directories level by level.
#[must_use]
pub fn survey(storage: &dyn Storage, root: RootDirectory, in_flight: InFlight) -> RootContents {
    let mut contents = RootContents::default();
    let mut level = vec![root.location];
    let mut known = Some(vec![Ok(root.children)]);
    for _ in 0..ROOT_DEPTH {
        if level.is_empty() {
            break;
        }
        let listings = known.take().unwrap_or_else(|| list_many(storage, &level, in_flight));
        let mut next = Vec::new();
        for (directory, listing) in level.into_iter().zip(listings) {
            let children = match listing {
                Ok(children) => children,
                Err(error) => {
                    contents.findings.push(not_listed(&directory, &error));
                    continue;
                }
            };
            if children.iter().any(is_metadata) {
                contents.savepoints.push(directory);
                continue;
            }
            match job_directory(storage, &directory, &children, in_flight) {
                Ok(job) if is_job(&job, &children) => contents.jobs.push(job),
                Ok(_) => next.extend(children.into_iter().filter_map(|c| match c {
                    ListEntry::Directory(location) => Some(location).filter(is_worth_a_look),
                    _ => None,
                })),
                Err(error) => contents.findings.push(not_listed(&directory, &error)),
            }
        }
        level = next;
    }
    contents.too_deep = level;
    contents
}

/// Whether jobs or savepoints may lie below: not in what Flink makes inside a job, nor in hidden directories.
fn is_worth_a_look(directory: &Location) -> bool {
    !directory.file_name().is_some_and(|name| is_job_subdirectory(name) || name.starts_with('.'))
}

fn is_metadata(entry: &ListEntry) -> bool {
    matches!(entry, ListEntry::Object(location, _) if location.file_name() == Some(METADATA))
}

/// A job's directory has checkpoints, or is called by a job id and has what Flink makes in one.
fn is_job(job: &JobDirectory, children: &[ListEntry]) -> bool {
    let has =
        |name| children.iter().any(|c| matches!(c, ListEntry::Directory(d) if d.file_name() == Some(name)));
    !job.checkpoints.is_empty() || (job.job_id.is_some() && (has("shared") || has("taskowned")))
}

fn not_listed(directory: &Location, error: &StorageError) -> Finding {
    Finding::error(
        "directory_not_listed",
        format!("a directory could not be listed, so what lies in it is not shown: {error}"),
        "check the permission to list it",
    )
    .in_file(directory.to_string())
}

/// Lists directories side by side.
fn list_many(
    storage: &dyn Storage,
    directories: &[Location],
    in_flight: InFlight,
) -> Vec<Result<Vec<ListEntry>, StorageError>> {
    each_at_once(directories, in_flight.requests, |directory| {
        storage.list_all(directory, ListScope::Children)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    const JOB: &str = "0123456789abcdef0123456789abcdef";

    fn at(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    fn job(storage: &MemoryStorage, directory: &str, checkpoints: &[(u64, i64)]) {
        for (number, time) in checkpoints {
            let file = at(&format!("{directory}/chk-{number}/{METADATA}"));
            storage.put_modified(&file, Bytes::from_static(b"x"), Some(*time));
        }
    }

    #[test]
    fn jobs_are_found_five_levels_below_a_root_and_no_deeper() {
        let storage = MemoryStorage::new();
        job(&storage, &format!("s3://b/1/2/3/4/{JOB}"), &[(1, 0)]);
        job(&storage, &format!("s3://b/1/2/3/4/5/{JOB}"), &[(1, 0)]);
        job(&storage, &format!("s3://b/.hidden/{JOB}"), &[(1, 0)]);
        storage.put(&at("s3://b/savepoint-1/_metadata"), Bytes::from_static(b"x"));
        let Ok(Target::Root(root)) = discover(&storage, &at("s3://b"), InFlight::default()) else {
            panic!("a root")
        };
        let contents = survey(&storage, root, InFlight::default());
        let jobs: Vec<_> = contents.jobs.iter().map(|j| j.location.to_string()).collect();
        assert_eq!(jobs, [format!("s3://b/1/2/3/4/{JOB}")]);
        assert_eq!(contents.savepoints, [at("s3://b/savepoint-1")]);
        assert_eq!(contents.too_deep, [at(&format!("s3://b/1/2/3/4/5/{JOB}"))]);
    }

    #[test]
    fn newest_by_completion_counts_beyond_what_copying_makes() {
        let newest = |times: &[(u64, i64)]| {
            let storage = MemoryStorage::new();
            job(&storage, "s3://b/job", times);
            let Ok(Target::Job(job)) = discover(&storage, &at("s3://b/job"), InFlight::default()) else {
                panic!("a job")
            };
            (job.newest_by_id().unwrap().0, job.newest_elsewhere().map(|(number, _)| number))
        };
        assert_eq!(newest(&[(1, 0), (9, 500_000)]), (9, None));
        assert_eq!(newest(&[(1, 60_000), (9, 0)]), (9, None));
        assert_eq!(newest(&[(1, 60_001), (9, 0)]), (9, Some(1)));
    }
}
