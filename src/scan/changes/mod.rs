//! Applies the changes of changelogs to what was materialized before them.
//!
//! ```text
//! sets of changes ─▶ rows (formats) ─▶ Sorter: by state and key, newest first ─▶ one outcome for each key (fold)
//!                 ─▶ split by split, in memory or in temporary files ─▶ Overlaid: between live view and accumulators
//! ```
//!
//! Changes of a changelog are decoded once, by the first split that needs them, whichever handles were materialized. In
//! the order of keys, each key has one outcome: a value, nothing, what is appended, or that only user code knows. A map that
//! was cleared is an outcome too, of all keys that begin so, and comes before them. So [`Overlaid`] goes over
//! both in step, and holds no more than one outcome in memory.

mod fold;
mod merge;
mod prepare;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use statescope_formats::flink::state_meta::StateMetaInfo;

pub(super) use self::merge::{Changed, Overlaid};
pub(super) use self::prepare::{CONTRADICTS, check};
use self::segment::Outcomes;
use super::partial::ChangesRead;
use super::plan::KeyRange;
use super::work::{Shared, Split};
use super::{Handle, Input};
use crate::model::{ChangesDetails, ChangesPart, Details, FileId, Snapshot};
use crate::readers::source::Source;

/// The changes of a changelog, for all handles that were materialized of it.
#[derive(Debug)]
pub(super) struct Overlay {
    details: Arc<ChangesDetails>,
    sources: HashMap<FileId, Source>,
    /// What files are called in messages.
    names: HashMap<FileId, String>,
    /// The number of its first handle.
    number: u32,
    prefix: usize,
    max_parallelism: i32,
    key_groups: Vec<(u32, u32)>,
    /// The states that are scanned, in ascending order of their names.
    states: Vec<String>,
    /// Those of them whose key groups are not divided among splits.
    whole_groups: HashSet<String>,
    /// What is known of states without changes.
    described: HashMap<String, StateMetaInfo>,
    /// Where rows go, in ascending order of their keys; which begin and end elsewhere for timers.
    targets: Vec<Target>,
    prepared: OnceLock<Option<Prepared>>,
}

/// A split that takes rows.
#[derive(Debug, Clone)]
struct Target {
    split: u32,
    range: KeyRange,
}

/// What changes come to.
#[derive(Debug, Default)]
struct Prepared {
    /// By number of the split, one for each state.
    splits: Mutex<HashMap<u32, Vec<Outcomes>>>,
    read: ChangesRead,
}

/// What changes come to in a split.
#[derive(Debug)]
pub(super) struct OfSplit {
    /// By state.
    outcomes: HashMap<String, Outcomes>,
    /// What was read of the changelog.
    pub(super) read: ChangesRead,
    /// The number of its first handle.
    pub(super) number: u32,
}

impl OfSplit {
    /// The outcomes of a state.
    pub(super) fn take(&mut self, state: &str) -> Changed {
        Changed::new(self.outcomes.remove(state).unwrap_or_default())
    }
}

impl Overlay {
    /// The changes of the handles that are scanned: for each of them, where it has any.
    pub(super) fn plan(input: &Input<'_>, handles: &mut [Handle]) {
        let mut known: Vec<(Arc<ChangesDetails>, Vec<usize>)> = Vec::new();
        for (index, handle) in handles.iter().enumerate() {
            let keyed = input.details.keyed.get(handle.number as usize);
            let Some(changes) = keyed.and_then(|keyed| keyed.changes.as_ref()) else { continue };
            match known.iter_mut().find(|(known, _)| Arc::ptr_eq(known, changes)) {
                Some((_, of)) => of.push(index),
                None => known.push((Arc::clone(changes), vec![index])),
            }
        }
        for (details, of) in known {
            let of_these = || of.iter().filter_map(|index| handles.get(*index));
            let states = || of_these().flat_map(|handle| &handle.states);
            let whole = states().filter(|state| !state.plan.divides_key_groups());
            let Some(overlay) = Self::new(input.snapshot, input.details, input.tables, &details, |name| {
                states().any(|state| state.name == name)
            }) else {
                continue;
            };
            let whole_groups = whole.map(|state| state.name.clone()).collect();
            let overlay = Arc::new(Self { whole_groups, ..overlay });
            for index in of {
                if let Some(handle) = handles.get_mut(index) {
                    handle.overlay = Some(Arc::clone(&overlay));
                }
            }
        }
    }

    /// The changes of a changelog, for whoever wants to know of all states.
    pub(super) fn of_all(
        snapshot: &Snapshot,
        details: &Details,
        tables: &HashMap<FileId, Source>,
        changes: &Arc<ChangesDetails>,
    ) -> Option<Self> {
        Self::new(snapshot, details, tables, changes, |_| true)
    }

    /// Of the states with these names.
    fn new(
        snapshot: &Snapshot,
        details: &Details,
        tables: &HashMap<FileId, Source>,
        changes: &Arc<ChangesDetails>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let keyed = (0u32..).zip(&details.keyed);
        let parts: Vec<_> = keyed
            .filter(|(_, keyed)| keyed.changes.as_ref().is_some_and(|of| Arc::ptr_eq(of, changes)))
            .collect();
        let (number, first) = parts.first()?;
        let operator = snapshot.operators.get(first.operator)?;
        let metas = parts.iter().filter_map(|(_, keyed)| keyed.meta.as_ref());
        let described: HashMap<String, StateMetaInfo> =
            metas.flat_map(|meta| &meta.states).map(|state| (state.name.clone(), state.clone())).collect();
        let logged = changes.states.iter().map(|state| &state.name);
        let states: BTreeSet<String> =
            described.keys().chain(logged).filter(|name| is_wanted(name)).cloned().collect();
        let files: BTreeSet<FileId> = changes
            .sets
            .iter()
            .filter_map(|part| match part {
                ChangesPart::Set { file, .. } => Some(*file),
                ChangesPart::Inline(_) => None,
            })
            .collect();
        let name = |file: &FileId| match tables.get(file) {
            Some(Source::Object { location, .. }) => location.to_string(),
            _ => snapshot.file(*file).map_or_else(String::new, |file| file.place.to_string()),
        };
        Some(Self {
            details: Arc::clone(changes),
            sources: files.iter().filter_map(|file| Some((*file, tables.get(file)?.clone()))).collect(),
            names: files.iter().map(|file| (*file, name(file))).collect(),
            number: *number,
            prefix: operator.key_group_prefix(),
            max_parallelism: operator.max_parallelism,
            key_groups: parts
                .iter()
                .filter_map(|(_, keyed)| Some((keyed.key_groups.start, keyed.key_groups.last()?)))
                .collect(),
            states: states.into_iter().collect(),
            whole_groups: HashSet::new(),
            described,
            targets: Vec::new(),
            prepared: OnceLock::new(),
        })
    }

    /// Whether it is of these changes.
    pub(super) fn is_of(&self, changes: &Arc<ChangesDetails>) -> bool {
        Arc::ptr_eq(&self.details, changes)
    }

    /// The file that is called so in messages.
    pub(super) fn file(&self, name: &str) -> Option<FileId> {
        self.names.iter().find(|(_, known)| *known == name).map(|(file, _)| *file)
    }

    /// The same with the splits that will ask for theirs.
    pub(super) fn for_splits(handles: &mut [Handle], splits: &[Split]) {
        let mut made: HashMap<u32, Arc<Self>> = HashMap::new();
        let numbers: Vec<Option<u32>> =
            handles.iter().map(|handle| Some(handle.overlay.as_ref()?.number)).collect();
        for handle in handles.iter_mut() {
            let Some(old) = handle.overlay.take() else { continue };
            let overlay = made.entry(old.number).or_insert_with(|| {
                let of = |split: &&Split| numbers.get(split.handle).copied().flatten() == Some(old.number);
                let mut targets: Vec<Target> = splits
                    .iter()
                    .filter(of)
                    .map(|split| Target { split: split.number, range: split.range.clone() })
                    .collect();
                targets.sort_by(|a, b| a.range.low.cmp(&b.range.low));
                Arc::new(Self {
                    details: Arc::clone(&old.details),
                    sources: old.sources.clone(),
                    names: old.names.clone(),
                    number: old.number,
                    prefix: old.prefix,
                    max_parallelism: old.max_parallelism,
                    key_groups: old.key_groups.clone(),
                    states: old.states.clone(),
                    whole_groups: old.whole_groups.clone(),
                    described: old.described.clone(),
                    targets,
                    prepared: OnceLock::new(),
                })
            });
            handle.overlay = Some(Arc::clone(overlay));
        }
    }

    /// The number of its first handle.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Bytes of changes, uncompressed.
    pub(super) fn bytes(&self) -> u64 {
        self.details.bytes
    }

    /// What was read of it, if any split needed it.
    pub(super) fn read(&self) -> Option<&ChangesRead> {
        self.prepared.get()?.as_ref().map(|prepared| &prepared.read)
    }

    /// What changes come to in a split. `None` if it was stopped.
    pub(super) fn of_split(&self, shared: &Shared<'_>, split: u32) -> Option<OfSplit> {
        let prepared = self.prepared.get_or_init(|| self.prepare(shared)).as_ref()?;
        let outcomes = prepared.splits.lock().unwrap_or_else(PoisonError::into_inner).remove(&split);
        let outcomes = self.states.iter().cloned().zip(outcomes.unwrap_or_default()).collect();
        Some(OfSplit { outcomes, read: prepared.read.clone(), number: self.number })
    }
}
