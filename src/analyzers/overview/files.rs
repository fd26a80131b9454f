//! The files behind the state: how many, how large, where they stand in Flink's layout.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::types::{FilesSummary, OtherJob, RoleBytes, ScopeBytes, SizeBucket};
use crate::model::{FileRole, Place, Scope, Snapshot};

/// Objects below this size are called small.
const SMALL: u64 = 1 << 20;

/// Upper bounds of the size buckets.
const BOUNDS: [u64; 6] = [16 << 10, 256 << 10, 1 << 20, 16 << 20, 64 << 20, 256 << 20];

/// Sums up the files of a snapshot in a directory of this name, of the job with this id.
pub(super) fn summary(snapshot: &Snapshot, directory: Option<&str>, job_id: Option<&str>) -> FilesSummary {
    let mut out = FilesSummary { small_threshold: SMALL, ..FilesSummary::default() };
    let mut scopes: BTreeMap<Scope, (u64, u64)> = BTreeMap::new();
    let mut roles: BTreeMap<FileRole, (u64, u64)> = BTreeMap::new();
    let mut others: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut sizes = Sizes::default();
    // Segments of one merged file are one object; every other place is one already.
    let mut merged: HashMap<&str, u64> = HashMap::new();
    // Files lie in few directories, and what they tell is asked once of each.
    let mut directories: HashMap<&str, Directory<'_>> = HashMap::new();
    for file in &snapshot.files {
        let add = |to: &mut (u64, u64)| *to = (to.0 + 1, to.1.saturating_add(file.size));
        add(roles.entry(file.role).or_default());
        out.named_more_than_once += u64::from(file.uses > 1);
        let uri = match &file.place {
            Place::Inline { .. } => {
                out.inlined += 1;
                out.inlined_bytes = out.inlined_bytes.saturating_add(file.size);
                add(scopes.entry(Scope::Inlined).or_default());
                continue;
            }
            Place::Empty => continue,
            Place::Relative(_) => {
                out.object_bytes = out.object_bytes.saturating_add(file.size);
                add(scopes.entry(Scope::Exclusive).or_default());
                sizes.add(file.size);
                continue;
            }
            Place::Uri(uri) => {
                sizes.add(file.size);
                &**uri
            }
            Place::Segment { uri, .. } => {
                out.segments += 1;
                let object = merged.entry(uri).or_default();
                *object = object.saturating_add(file.size);
                uri
            }
        };
        out.object_bytes = out.object_bytes.saturating_add(file.size);
        let parent = uri.rsplit_once('/').map_or("", |(parent, _)| parent);
        let place = directories.entry(parent).or_insert_with(|| Directory::of(parent, directory));
        add(scopes.entry(place.scope).or_default());
        if let Some((job, id)) = place.job
            && job_id.is_some_and(|own| own != id)
        {
            add(others.entry(job).or_default());
        }
    }
    for size in merged.into_values() {
        sizes.add(size);
    }
    out.objects = sizes.buckets.iter().map(|b| b.files).sum();
    (out.smallest, out.largest, out.small) = (sizes.smallest, sizes.largest, sizes.small);
    out.by_size = sizes.buckets;
    out.by_scope =
        scopes.into_iter().map(|(scope, (files, bytes))| ScopeBytes { scope, files, bytes }).collect();
    out.by_role = roles
        .into_iter()
        .map(|(role, (files, bytes))| RoleBytes { role: role.name(), files, bytes })
        .collect();
    out.other_jobs = others
        .into_iter()
        .map(|(directory, (files, bytes))| OtherJob { directory: directory.to_owned(), files, bytes })
        .collect();
    out
}

/// Sizes of objects, by bucket.
struct Sizes {
    buckets: Vec<SizeBucket>,
    smallest: Option<u64>,
    largest: Option<u64>,
    small: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
        let buckets = bounds.map(|below| SizeBucket { below, files: 0, bytes: 0 }).collect();
        Self { buckets, smallest: None, largest: None, small: 0 }
    }
}

impl Sizes {
    fn add(&mut self, size: u64) {
        if let Some(bucket) = self.buckets.get_mut(BOUNDS.partition_point(|&bound| bound <= size)) {
            bucket.files += 1;
            bucket.bytes = bucket.bytes.saturating_add(size);
        }
        self.smallest = Some(self.smallest.map_or(size, |smallest| smallest.min(size)));
        self.largest = Some(self.largest.map_or(size, |largest| largest.max(size)));
        self.small += u64::from(size < SMALL);
    }
}

/// What the directory of a recorded place tells.
struct Directory<'a> {
    scope: Scope,
    /// The directory of the job it belongs to, with the job's id.
    job: Option<(&'a str, &'a str)>,
}

impl<'a> Directory<'a> {
    /// Of the directory `path`, for a snapshot in a directory of the name `own`.
    fn of(path: &'a str, own: Option<&str>) -> Self {
        let mut upwards = path.split('/').rev();
        let name = upwards.clone().next();
        let scope = match upwards.find(|name| *name == "shared" || *name == "taskowned") {
            Some("shared") => Scope::Shared,
            Some(_) => Scope::TaskOwned,
            None if name.is_some() && name == own => Scope::Exclusive,
            None => Scope::Elsewhere,
        };
        Self { scope, job: job_directory(path) }
    }
}

/// The directory of the job that a recorded place belongs to, with the job's id.
fn job_directory(uri: &str) -> Option<(&str, &str)> {
    let mut end = 0;
    let mut previous: Option<(&str, usize)> = None;
    for segment in uri.split('/') {
        let is_inside = segment == "shared" || segment == "taskowned" || segment.starts_with("chk-");
        if let Some((id, at)) = previous
            && is_inside
            && id.len() == 32
            && id.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Some((uri.get(..at)?, id));
        }
        end += segment.len();
        previous = Some((segment, end));
        end += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_follows_from_the_recorded_place() {
        let scope = |path| Directory::of(path, Some("chk-7")).scope;
        assert_eq!(scope("file:/d/job/shared"), Scope::Shared);
        assert_eq!(scope("file:/d/job/shared/job_1_op_2"), Scope::Shared);
        assert_eq!(scope("s3://b/job/taskowned"), Scope::TaskOwned);
        assert_eq!(scope("s3://b/job/chk-7"), Scope::Exclusive);
        assert_eq!(scope("s3://b/job/chk-6"), Scope::Elsewhere);
        assert_eq!(scope("s3://b/dstl"), Scope::Elsewhere);
    }

    #[test]
    fn a_job_directory_is_the_one_above_what_flink_makes_in_it() {
        let id = "0123456789abcdef0123456789abcdef";
        let path = format!("file:/data/{id}/shared");
        assert_eq!(job_directory(&path), Some((path.strip_suffix("/shared").unwrap(), id)));
        assert_eq!(job_directory(&format!("file:/data/{id}/other")), None);
        assert_eq!(job_directory("file:/data/shared"), None);
    }

    #[test]
    fn sizes_fall_into_buckets_below_their_bound() {
        let mut sizes = Sizes::default();
        for size in [0, (16 << 10) - 1, 16 << 10, 1 << 40] {
            sizes.add(size);
        }
        let counts: Vec<_> = sizes.buckets.iter().map(|b| b.files).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 1]);
        assert_eq!((sizes.smallest, sizes.largest, sizes.small), (Some(0), Some(1 << 40), 3));
    }
}
