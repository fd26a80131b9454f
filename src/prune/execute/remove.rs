//! Removes what was confirmed, batch by batch.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use super::again::{Confirmed, Doomed, Kept};
use super::{AfterAll, ApplyOptions, Entry, FailedRemoval, Outcome, Stopped, World};
use crate::prune::Version;
use crate::storage::removal::{Removal, Removed};
use crate::storage::{
    Fetched, Location, ObjectMeta, ReadRequest, Result as StorageResult, Storage, StorageErrorKind,
};

/// How many objects are removed between two looks at the journal.
const BATCH: usize = 1000;

/// How long a look at an object lasts, in milliseconds: after that, it is looked at again.
const LOOK_LASTS_MS: i64 = 60_000;

/// How many batches may fail altogether, one after the other.
const FAILED_BATCHES: u32 = 3;

pub(super) struct Remover<'a> {
    storage: &'a dyn Storage,
    removal: &'a dyn Removal,
    options: &'a ApplyOptions,
    world: &'a mut dyn World,
    outcome: Outcome,
    looked_ms: i64,
    of: u64,
    failed_batches: u32,
    /// Objects of the plan that are another now.
    changed: Kept,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Removed,
    Gone,
    Changed,
    Failed(String),
}

impl<'a> Remover<'a> {
    pub(super) fn new(
        storage: &'a dyn Storage,
        removal: &'a dyn Removal,
        options: &'a ApplyOptions,
        world: &'a mut dyn World,
        outcome: Outcome,
        confirmed: &Confirmed,
    ) -> Self {
        let of = (confirmed.metadata.len() + confirmed.data.len()) as u64;
        Self {
            storage,
            removal,
            options,
            world,
            outcome,
            looked_ms: confirmed.looked_ms,
            of,
            failed_batches: 0,
            changed: Kept::default(),
        }
    }

    /// Removes the `_metadata` of snapshots, and then what only those needed that are really gone.
    pub(super) fn all(&mut self, confirmed: &Confirmed) {
        let mut gone: HashSet<usize> = HashSet::new();
        let metadata: Vec<_> = confirmed.metadata.iter().enumerate().collect();
        self.batches(&metadata, true, &mut |at| {
            gone.insert(at);
        });
        let (free, held): (Vec<_>, Vec<_>) = confirmed
            .data
            .iter()
            .enumerate()
            .partition(|(_, doomed)| doomed.after.iter().all(|snapshot| gone.contains(snapshot)));
        if self.outcome.stopped.is_none() {
            for (_, doomed) in &held {
                self.changed.add(AfterAll::SnapshotStays, &doomed.location.to_string());
            }
        } else {
            self.outcome.not_reached += held.len() as u64;
        }
        self.batches(&free, false, &mut |_| {});
        if self.outcome.stopped.is_none() {
            for directory in &confirmed.directories {
                // One that is not empty stays; object stores have none.
                let _ = self.removal.remove_directory(directory);
            }
        }
    }

    /// What came of it.
    pub(super) fn end(mut self, kept: Kept) -> Outcome {
        let mut all = kept.list();
        all.extend(self.changed.list());
        let objects = all.iter().map(|kept| kept.objects).sum();
        self.outcome.kept = all;
        let entry = Entry::End {
            at_ms: self.world.now_ms(),
            removed: self.outcome.removed_objects,
            failed: self.outcome.failed.len() as u64,
            kept: objects,
        };
        if self.world.journal(&[entry]).is_err() && self.outcome.stopped.is_none() {
            self.outcome.stopped = Some(Stopped::Journal);
        }
        self.outcome
    }

    fn batches(&mut self, doomed: &[(usize, &Doomed)], confirm: bool, gone: &mut dyn FnMut(usize)) {
        let mut rest = doomed;
        while !rest.is_empty() {
            let room = self.room();
            if room == 0 || self.outcome.stopped.is_some() {
                self.outcome.not_reached += rest.len() as u64;
                return;
            }
            let (batch, others) = rest.split_at(rest.len().min(room));
            rest = others;
            let begin = self.world.now_ms();
            let fates = self.batch(batch, confirm);
            for ((at, doomed), fate) in batch.iter().zip(&fates) {
                self.count(doomed, fate);
                if matches!(fate, Fate::Removed | Fate::Gone) {
                    gone(*at);
                }
            }
            let failed = fates.iter().all(|fate| matches!(fate, Fate::Failed(_)));
            self.failed_batches = if failed { self.failed_batches + 1 } else { 0 };
            if self.failed_batches >= FAILED_BATCHES {
                self.outcome.stopped = Some(Stopped::Failures);
            }
            let done = self.outcome.removed_objects + self.outcome.failed.len() as u64;
            self.world.progress(done, self.of);
            self.slow_down(batch.len(), begin);
        }
    }

    /// How many objects the next batch may have.
    fn room(&mut self) -> usize {
        if self.outcome.stopped.is_none() && self.world.interrupted() {
            self.outcome.stopped = Some(Stopped::Interrupted);
        }
        let most = self
            .options
            .max_delete
            .map_or(u64::MAX, |most| most.saturating_sub(self.outcome.removed_objects));
        if most == 0 && self.outcome.stopped.is_none() {
            self.outcome.stopped = Some(Stopped::MaxDelete);
        }
        // A bounded rate is kept within a second, not by a thousand at once.
        let rate = self.options.per_second.map_or(usize::MAX, |rate| rate.max(1) as usize);
        BATCH.min(rate).min(usize::try_from(most).unwrap_or(usize::MAX))
    }

    fn slow_down(&self, removed: usize, begin_ms: i64) {
        let Some(rate) = self.options.per_second else { return };
        let due = removed as u64 * 1000 / u64::from(rate.max(1));
        let took = u64::try_from(self.world.now_ms().saturating_sub(begin_ms)).unwrap_or(0);
        if due > took {
            self.world.wait(Duration::from_millis(due - took));
        }
    }

    fn count(&mut self, doomed: &Doomed, fate: &Fate) {
        match fate {
            Fate::Removed => {
                self.outcome.removed_objects += 1;
                self.outcome.removed_bytes += doomed.version.size;
            }
            Fate::Gone => self.outcome.gone_objects += 1,
            Fate::Changed => self.changed.add(AfterAll::Changed, &doomed.location.to_string()),
            Fate::Failed(message) => self
                .outcome
                .failed
                .push(FailedRemoval { url: doomed.location.to_string(), message: message.clone() }),
        }
    }

    /// Looks at the objects again, copies them if they are to be kept elsewhere, and removes them.
    fn batch(&mut self, batch: &[(usize, &Doomed)], confirm: bool) -> Vec<Fate> {
        let mut fates: Vec<Option<Fate>> = vec![None; batch.len()];
        if self.world.now_ms().saturating_sub(self.looked_ms) > LOOK_LASTS_MS || confirm {
            self.look_again(batch, &mut fates);
        }
        if self.tell(batch, &fates).is_err() {
            self.outcome.stopped = Some(Stopped::Journal);
            return fates.into_iter().map(|fate| fate.unwrap_or_else(not_removed)).collect();
        }
        if self.options.quarantine.is_some() {
            self.copy_away(batch, &mut fates);
        }
        let open: Vec<usize> = (0..batch.len()).filter(|&at| matches!(fates.get(at), Some(None))).collect();
        let locations: Vec<Location> =
            open.iter().filter_map(|&at| batch.get(at)).map(|(_, doomed)| doomed.location.clone()).collect();
        self.removal.remove(&locations, &mut |at, outcome| {
            if let Some(fate) = open.get(at).and_then(|&at| fates.get_mut(at)) {
                *fate = Some(match outcome {
                    Ok(Removed::Removed) => Fate::Removed,
                    Ok(Removed::NotThere) => Fate::Gone,
                    Err(error) => Fate::Failed(error.to_string()),
                });
            }
            ControlFlow::Continue(())
        });
        self.look_after(batch, &open, confirm, &mut fates);
        let fates: Vec<Fate> = fates.into_iter().map(|fate| fate.unwrap_or_else(not_removed)).collect();
        if self.tell_fates(batch, &fates).is_err() {
            self.outcome.stopped = Some(Stopped::Journal);
        }
        fates
    }

    fn heads(&self, batch: &[(usize, &Doomed)]) -> Vec<StorageResult<Fetched>> {
        // A suffix of no bytes is answered from the object's meta data alone.
        let requests: Vec<_> =
            batch.iter().map(|(_, doomed)| ReadRequest::suffix(doomed.location.clone(), 0)).collect();
        self.storage.read_many(&requests, self.options.in_flight)
    }

    fn look_again(&self, batch: &[(usize, &Doomed)], fates: &mut [Option<Fate>]) {
        for (((_, doomed), answer), fate) in batch.iter().zip(self.heads(batch)).zip(fates) {
            *fate = match answer {
                Ok(fetched) if doomed.version.is(&version(&fetched.meta)) => None,
                Ok(_) => Some(Fate::Changed),
                Err(error) if *error.kind() == StorageErrorKind::NotFound => Some(Fate::Gone),
                Err(error) => Some(Fate::Failed(error.to_string())),
            };
        }
    }

    /// Looks once more at what was asked to be removed and was not, as it may be gone for all that: an answer was lost, or
    /// another apply removed it. Of `_metadata`, also at what seems to be gone: a snapshot that may be there after all keeps
    /// its files.
    fn look_after(
        &self,
        batch: &[(usize, &Doomed)],
        asked: &[usize],
        confirm: bool,
        fates: &mut [Option<Fate>],
    ) {
        let unclear = |at: &usize| match fates.get(*at) {
            Some(Some(Fate::Failed(_))) => asked.binary_search(at).is_ok(),
            Some(Some(Fate::Removed | Fate::Gone)) => confirm,
            _ => false,
        };
        let looked: Vec<usize> = (0..batch.len()).filter(unclear).collect();
        let doomed: Vec<_> = looked.iter().filter_map(|&at| batch.get(at)).copied().collect();
        for (answer, at) in self.heads(&doomed).into_iter().zip(looked) {
            let Some(fate) = fates.get_mut(at) else { continue };
            let failed = matches!(fate, Some(Fate::Failed(_)));
            let message = match answer {
                Err(error) if *error.kind() == StorageErrorKind::NotFound => {
                    if failed {
                        *fate = Some(Fate::Removed);
                    }
                    continue;
                }
                _ if failed => continue,
                Err(error) => format!("nobody knows whether it is gone: {error}"),
                Ok(_) => "it is still there after its removal".to_owned(),
            };
            *fate = Some(Fate::Failed(message));
        }
    }

    fn copy_away(&self, batch: &[(usize, &Doomed)], fates: &mut [Option<Fate>]) {
        let Some(quarantine) = &self.options.quarantine else { return };
        let (storage, removal) = (self.storage, self.removal);
        let threads = self.options.in_flight.requests.clamp(1, 32);
        let length = batch.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            for (batch, fates) in batch.chunks(length).zip(fates.chunks_mut(length)) {
                let work = move || {
                    for ((_, doomed), fate) in batch.iter().zip(fates) {
                        if fate.is_none()
                            && let Err(message) = copy_one(storage, removal, quarantine, doomed)
                        {
                            *fate = Some(Fate::Failed(message));
                        }
                    }
                };
                scope.spawn(work);
            }
        });
    }
}

impl Remover<'_> {
    /// Writes down what is about to be removed.
    fn tell(&mut self, batch: &[(usize, &Doomed)], fates: &[Option<Fate>]) -> std::io::Result<()> {
        let open = batch.iter().zip(fates).filter(|(_, fate)| fate.is_none());
        let quarantine = self.options.quarantine.as_ref();
        let entries: Vec<_> = open
            .map(|((_, doomed), _)| Entry::Removing {
                url: doomed.location.to_string(),
                version: doomed.version.clone(),
                reason: doomed.reason,
                quarantine: quarantine
                    .and_then(|quarantine| quarantined(quarantine, &doomed.location))
                    .map(|to| to.to_string()),
            })
            .collect();
        self.world.journal(&entries)
    }

    /// Writes down what became of them.
    fn tell_fates(&mut self, batch: &[(usize, &Doomed)], fates: &[Fate]) -> std::io::Result<()> {
        let at_ms = self.world.now_ms();
        let entries: Vec<_> = batch
            .iter()
            .zip(fates)
            .map(|((_, doomed), fate)| {
                let url = doomed.location.to_string();
                match fate {
                    Fate::Removed => Entry::Removed { url, at_ms },
                    Fate::Gone => Entry::Gone { url },
                    Fate::Changed => Entry::Failed { url, message: "it is another object now".to_owned() },
                    Fate::Failed(message) => Entry::Failed { url, message: message.clone() },
                }
            })
            .collect();
        self.world.journal(&entries)
    }
}

/// Copies an object to the quarantine, and makes sure that it is there.
fn copy_one(
    storage: &dyn Storage,
    removal: &dyn Removal,
    quarantine: &Location,
    doomed: &Doomed,
) -> Result<(), String> {
    let to = quarantined(quarantine, &doomed.location)
        .ok_or_else(|| "the quarantine has no place for its name".to_owned())?;
    let copy = match removal.copy(&doomed.location, &to) {
        Ok(copy) => copy,
        // An earlier apply may have copied it and ended before it removed it.
        Err(error) if *error.kind() == StorageErrorKind::AlreadyExists => {
            storage.head(&to).map_err(|error| format!("it could not be copied away: {error}"))?
        }
        Err(error) => return Err(format!("it could not be copied away: {error}")),
    };
    if copy.size != doomed.version.size || !tags_agree(copy.etag.as_deref(), doomed.version.etag.as_deref()) {
        return Err(format!("its copy at {to} is not the same"));
    }
    Ok(())
}

fn not_removed() -> Fate {
    Fate::Failed("it was not come to".to_owned())
}

fn version(meta: &ObjectMeta) -> Version {
    Version { size: meta.size, modified_ms: meta.last_modified, etag: meta.etag.clone() }
}

/// Where an object is kept in the quarantine: below its scheme, its bucket and its path.
fn quarantined(quarantine: &Location, location: &Location) -> Option<Location> {
    let authority = if location.authority().is_empty() { "local" } else { location.authority() };
    quarantine.join_exact(&format!("{}/{authority}/{}", location.scheme(), location.key()))
}

/// Whether the tags of an object and its copy speak against them being the same. Only MD5 sums do: other tags tell when,
/// where or in how many parts an object was written.
fn tags_agree(a: Option<&str>, b: Option<&str>) -> bool {
    let sum = |tag: Option<&str>| {
        let bare = tag?.trim_matches('"').to_ascii_lowercase();
        (bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(bare)
    };
    match (sum(a), sum(b)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}
