//! Lists everything under roots, with many requests under way.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::model::Finding;
use crate::model::inventory::{Block, ObjectTable, ObjectTableBuilder, Root};
use crate::model::layout::is_job_subdirectory;
use crate::readers::parallel::each_at_once;
use crate::storage::{
    AfterKey, InFlight, ListEntry, ListScope, Location, Storage, StorageError, StorageErrorKind,
};

/// A part of a listing: a directory, or a range of the keys in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    root: usize,
    directory: Location,
    /// Keys, relative to the directory, that are greater.
    after: String,
    /// And not greater than this one, if there is one.
    until: Option<String>,
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
            Ok(children) => parts.extend(ranges(root, &location, children)),
            Err(error) => failures.push((root, error)),
        }
    }
    failures.extend(Queue::new(parts, in_flight.requests).work(storage, &sink));
    failures.sort_by_key(|(root, _)| *root);
    failures.dedup_by_key(|(root, _)| *root);
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
    odd.dedup();
    blocks.extend(odd.into_iter().map(|(root, finding)| Block { finding, roots: Some(vec![root]) }));
    sink.builder.into_inner().unwrap_or_else(PoisonError::into_inner).build()
}

/// How many ranges a directory is cut into by the names of what lies in it.
const RANGES: usize = 128;

/// The ranges of a root's keys, cut between what lies directly in it.
fn ranges(root: usize, directory: &Location, children: Vec<ListEntry>) -> Vec<Part> {
    let names = children.iter().filter_map(|child| match child {
        ListEntry::Directory(place) | ListEntry::Object(place, _) => place.file_name().map(str::to_owned),
        ListEntry::Unaddressable { .. } => None,
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    let step = names.len().div_ceil(RANGES).max(1);
    // What begins with a name comes behind it, so each range begins with all of its first name.
    let cuts: Vec<String> = names.into_iter().step_by(step).skip(1).collect();
    let begins = std::iter::once(String::new()).chain(cuts.iter().cloned());
    let ends = cuts.iter().cloned().map(Some).chain(std::iter::once(None));
    begins.zip(ends).map(|(after, until)| Part { root, directory: directory.clone(), after, until }).collect()
}

/// Parts that wait for a thread; those that turn out to be large are cut.
#[derive(Debug)]
struct Queue {
    threads: usize,
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug)]
struct Waiting {
    parts: Vec<Part>,
    /// How many are being listed.
    active: usize,
    /// Stores that list whole directories only, by the root: each of these is listed once.
    whole: Vec<usize>,
    failures: Vec<(usize, StorageError)>,
}

impl Queue {
    fn new(parts: Vec<Part>, threads: usize) -> Self {
        let state = Waiting { parts, active: 0, whole: Vec::new(), failures: Vec::new() };
        Self { threads: threads.max(1), state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists all parts. Returns what could not be listed.
    fn work(self, storage: &dyn Storage, sink: &Sink<'_>) -> Vec<(usize, StorageError)> {
        thread::scope(|scope| {
            for _ in 1..self.threads {
                // A thread that cannot be started leaves its share to the others.
                let _ = thread::Builder::new().spawn_scoped(scope, || self.list(storage, sink));
            }
            self.list(storage, sink);
        });
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failures
    }

    fn list(&self, storage: &dyn Storage, sink: &Sink<'_>) {
        while let Some(part) = self.next() {
            // However it ends, the others are told.
            let ended = Ended { queue: self };
            let answer = self.list_part(storage, sink, &part);
            if let Err(error) = answer
                // It went away meanwhile, with all that was in it.
                && *error.kind() != StorageErrorKind::NotFound
            {
                self.lock().failures.push((part.root, error));
            }
            drop(ended);
        }
    }

    fn next(&self) -> Option<Part> {
        let mut state = self.lock();
        loop {
            if let Some(part) = state.parts.pop() {
                state.active += 1;
                return Some(part);
            }
            if state.active == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, parts: impl IntoIterator<Item = Part>) {
        self.lock().parts.extend(parts);
        self.changed.notify_all();
    }

    fn list_part(&self, storage: &dyn Storage, sink: &Sink<'_>, part: &Part) -> Result<(), StorageError> {
        let mut until = part.until.clone();
        let answer = storage.list_after(&part.directory, &part.after, &mut |page| {
            let key = |entry: &ListEntry| key_below(entry, &part.directory);
            if let Some((at, cuts)) = page
                .first()
                .and_then(key)
                .zip(page.last().and_then(key))
                .and_then(|(first, last)| cut(&first, &last, page.len(), until.as_deref()))
            {
                let begins = cuts.iter().cloned();
                let ends = cuts.iter().skip(1).cloned().map(Some).chain(std::iter::once(until.take()));
                let parts = begins.zip(ends).map(|(after, until)| Part { after, until, ..part.clone() });
                self.add(parts);
                until = Some(at);
            }
            let Some(end) = &until else {
                sink.take(part.root, page);
                return ControlFlow::Continue(());
            };
            let whole = page.len();
            let inside: Vec<_> =
                page.into_iter().take_while(|entry| key(entry).is_none_or(|key| key <= *end)).collect();
            let is_over = inside.len() < whole;
            sink.take(part.root, inside);
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if answer == AfterKey::Listed {
            return Ok(());
        }
        {
            let mut state = self.lock();
            if state.whole.contains(&part.root) {
                return Ok(());
            }
            state.whole.push(part.root);
        }
        self.list_whole(storage, sink, part)
    }

    /// Where a store lists whole directories only: each directory in the root by itself. A job's directory is listed at
    /// once: listings of each of its checkpoints cost more requests.
    fn list_whole(&self, storage: &dyn Storage, sink: &Sink<'_>, part: &Part) -> Result<(), StorageError> {
        let children = storage.list_all(&part.directory, ListScope::Children)?;
        let directories = children.iter().filter_map(|child| match child {
            ListEntry::Directory(directory) => Some(directory.clone()),
            _ => None,
        });
        let directories: Vec<Location> = directories.collect();
        let is_job = |directory: &Location| directory.file_name().is_some_and(is_job_subdirectory);
        let lists = if directories.iter().any(is_job) {
            vec![part.directory.clone()]
        } else {
            let others = children.into_iter().filter(|child| !matches!(child, ListEntry::Directory(_)));
            sink.take(part.root, others.collect());
            directories
        };
        let answers = each_at_once(&lists, self.threads, |directory| {
            storage.list(directory, ListScope::Recursive, &mut |page| {
                sink.take(part.root, page);
                ControlFlow::Continue(())
            })
        });
        let gone = |error: &StorageError| *error.kind() == StorageErrorKind::NotFound;
        answers.into_iter().filter_map(Result::err).find(|error| !gone(error)).map_or(Ok(()), Err)
    }
}

/// Says that a part is listed, when it is dropped.
struct Ended<'q> {
    queue: &'q Queue,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.queue.lock().active -= 1;
        self.queue.changed.notify_all();
    }
}

/// The key of an entry below a directory.
fn key_below(entry: &ListEntry, directory: &Location) -> Option<String> {
    match entry {
        ListEntry::Object(location, _) => location.strip_prefix(directory).map(str::to_owned),
        ListEntry::Directory(_) | ListEntry::Unaddressable { .. } => None,
    }
}

/// How many pages a part should have, at least, to be worth a request of its own.
const PAGES: u64 = 2;

/// How many parts one is cut into at most.
const CUTS: u64 = 64;

/// Cuts what follows a page if much does, judged by how far the page got: names of Flink's files are random hex digits.
/// Returns where the part at hand ends, which is where the first of the others begins, and where these begin.
fn cut(first: &str, last: &str, entries: usize, until: Option<&str>) -> Option<(String, Vec<String>)> {
    let (directory, name) = last.rsplit_once('/')?;
    let first = first.strip_prefix(directory)?.strip_prefix('/')?;
    let (from, to) = (hex(first)?, hex(name)?);
    let end_of_directory = 1u64 << 32;
    // A part may end in this directory, or behind it.
    let inside = until.and_then(|until| until.strip_prefix(directory)?.strip_prefix('/').and_then(hex));
    let end = inside.unwrap_or(end_of_directory);
    let (done, rest) = (to.checked_sub(from).filter(|done| *done > 0)?, end.checked_sub(to)?);
    let entries = entries as u64;
    let pages = rest / done;
    let parts = (pages / PAGES).min(CUTS);
    if parts < 2 || entries < 100 {
        return None;
    }
    let at = |part: u64| format!("{directory}/{:08x}", to + rest / parts * part);
    let mut cuts: Vec<String> = (1..parts).map(at).collect();
    if inside.is_none() {
        // Behind all hex digits: the rest of the directory, and what lies behind it.
        cuts.push(format!("{directory}/g"));
    }
    Some((cuts.first()?.clone(), cuts))
}

/// The first eight hex digits of a name.
fn hex(name: &str) -> Option<u64> {
    let digits = name.get(..8)?;
    let plain = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if digits.bytes().all(plain) { u64::from_str_radix(digits, 16).ok() } else { None }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::RootRole;
    use crate::storage::{Fault, MemoryStorage};

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    /// A job with many files in `shared`, whose names are spread evenly, and others beside, before and behind them.
    fn bucket(shared: u64) -> (MemoryStorage, u64) {
        let storage = MemoryStorage::new().with_page_size(100);
        let mut count = 0;
        let mut put = |place: String| {
            storage.put(&at(&format!("s3://b/root/{place}")), "x");
            count += 1;
        };
        for n in 0..shared {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            put(format!("job/shared/{:08x}-0000-0000-0000-{:012x}", mixed >> 32, n));
        }
        for n in 0..300 {
            put(format!("job/chk-{n}/_metadata"));
            put(format!("other-{n}/x"));
        }
        for odd in [
            "job/shared/zzz",
            "job/shared/ffffffff",
            "job/shared/00000000",
            "job/shared/g",
            "job/shared/gg/x",
            "z",
        ] {
            put(odd.to_owned());
        }
        (storage, count)
    }

    fn listed(storage: &MemoryStorage, requests: usize) -> (ObjectTable, Vec<Block>) {
        let root = Root { location: at("s3://b/root"), role: RootRole::Storage, listed: true };
        let mut blocks = Vec::new();
        let in_flight = InFlight::new(requests, 1 << 20);
        (list(storage, &mut [root], in_flight, &mut blocks, &AtomicU64::new(0)), blocks)
    }

    #[test]
    fn whatever_is_cut_each_object_is_listed_once() {
        for shared in [0, 50, 150, 5_000] {
            for requests in [1, 4, 32] {
                let (storage, count) = bucket(shared);
                let (table, blocks) = listed(&storage, requests);
                assert_eq!((table.len() as u64, blocks.len()), (count, 0), "{shared} {requests}");
                let serial = storage.without_list_after();
                assert_eq!(listed(&serial, requests).0.len() as u64, count, "{shared} {requests}");
            }
        }
    }

    #[test]
    fn a_large_directory_costs_few_more_requests_than_it_has_pages() {
        let (storage, count) = bucket(20_000);
        let before = storage.requests();
        listed(&storage, 32);
        let (requests, pages) = (storage.requests() - before, count / 100);
        assert!(requests < pages * 2, "{requests} requests for {pages} pages");
    }

    #[test]
    fn a_page_that_fails_is_a_block() {
        let (storage, _) = bucket(500);
        listed(&storage, 1);
        let all = storage.requests();
        for request in 0..all {
            let (storage, _) = bucket(500);
            storage.fail_request(request, Fault::Fail(StorageErrorKind::PermissionDenied));
            let (_, blocks) = listed(&storage, 1);
            assert_eq!(blocks.len(), 1, "request {request} of {all}");
            assert!(blocks[0].roots.is_none() && blocks[0].finding.code == "root_not_listed");
        }
    }

    #[test]
    fn parts_are_cut_where_much_follows() {
        let name = |x: u32| format!("job/shared/{x:08x}-1");
        // A tenth of the directory in a page of a thousand: nine more.
        let (end, cuts) = cut(&name(0), &name(0x1999_9999), 1000, None).expect("a cut");
        assert_eq!(cuts.len(), 4);
        assert_eq!(end, cuts[0]);
        assert_eq!(cuts[3], "job/shared/g");
        assert!(cuts.is_sorted());
        assert_eq!(cut(&name(0), &name(0xc000_0000), 1000, None), None);
        assert_eq!(cut(&name(0), &name(0x1999_9999), 1000, Some("job/shared/20000000")), None);
        assert_eq!(cut("job/chk-1/_metadata", &name(0x1999_9999), 1000, None), None);
        assert_eq!(cut(&name(0), "job/shared/readme.txt", 1000, None), None);
        assert_eq!(cut("x", "y", 1000, None), None);
    }
}
