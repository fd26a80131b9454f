//! What of the state is lost with a file: whose it is, and how much.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::effects::effect;
use crate::analyzers::overview::label;
use crate::model::{
    About, DatabaseFileKind, Details, Effect, FileId, Finding, KeyGroupRange, KeyedContent, KeyedState,
    Operator, Snapshot,
};

/// Some state that is lost: what lies in the broken file itself or, where a whole handle cannot be used without it,
/// all of the handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The operator's id.
    pub operator_id: String,
    /// The operator's name, uid or id: the first that is known.
    pub operator: String,
    /// What kind of state it is: `keyed`, `raw_keyed`, `operator`, `raw_operator`, `in_flight`, `coordinator`.
    pub kind: &'static str,
    /// The state, where it is known that only one is touched; else all of the handles may be.
    pub state: Option<String>,
    /// The subtasks; none for state of a coordinator.
    pub subtasks: Vec<u32>,
    /// The key groups, for keyed state: ranges, both ends inclusive, ascending and apart.
    pub key_groups: Vec<(u32, u32)>,
    /// Bytes as recorded, each file counted once; of changes and in-flight data this snapshot's own part.
    pub bytes: u64,
}

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Whose {
    operator: usize,
    kind: &'static str,
    state: Option<String>,
}

/// One use of a file by a handle.
#[derive(Debug, Clone)]
struct Use {
    whose: Whose,
    subtask: Option<u32>,
    key_groups: Option<(u32, u32)>,
    /// The files whose contents are lost, each with its bytes.
    contents: Vec<(FileId, u64)>,
}

/// What is lost with each file that is broken or not known.
#[derive(Debug)]
pub(super) struct Losses<'a> {
    snapshot: &'a Snapshot,
    uses: BTreeMap<About, Vec<Use>>,
}

/// The states that lie in tables: by operator, subtask and file.
type States<'a> = HashMap<(usize, u32, FileId), (&'a str, Option<(u32, u32)>)>;

impl<'a> Losses<'a> {
    /// Finds out whose the files are that these findings are about.
    pub(super) fn of(snapshot: &'a Snapshot, details: &'a Details, findings: &[Finding]) -> Self {
        let lost = findings.iter().filter(|finding| effect(finding) != Effect::Harmless);
        let uses = lost.filter_map(|finding| Some((finding.about?, Vec::new()))).collect();
        let mut losses = Self { snapshot, uses };
        if losses.uses.is_empty() {
            return losses;
        }
        let states = states(details);
        for (index, operator) in snapshot.operators.iter().enumerate() {
            losses.operator(index, operator, &states);
        }
        losses
    }

    /// What is lost by one finding.
    pub(super) fn by(&self, finding: &Finding) -> Vec<Loss> {
        finding.about.and_then(|about| self.uses.get(&about)).map_or_else(Vec::new, |uses| self.total(uses))
    }

    /// What is lost by all of them.
    pub(super) fn sum(&self) -> Vec<Loss> {
        let mut losses = self.total(self.uses.values().flatten());
        losses.sort_by_key(|loss| std::cmp::Reverse(loss.bytes));
        losses
    }

    fn total<'u>(&self, uses: impl IntoIterator<Item = &'u Use>) -> Vec<Loss> {
        let mut groups: BTreeMap<&Whose, Vec<&Use>> = BTreeMap::new();
        for used in uses {
            groups.entry(&used.whose).or_default().push(used);
        }
        let losses = groups.into_iter().filter_map(|(whose, uses)| {
            let operator = self.snapshot.operators.get(whose.operator)?;
            let contents: BTreeMap<FileId, u64> =
                uses.iter().flat_map(|u| u.contents.iter().copied()).collect();
            let subtasks: BTreeSet<u32> = uses.iter().filter_map(|used| used.subtask).collect();
            Some(Loss {
                operator_id: operator.id.to_string(),
                operator: label(operator),
                kind: whose.kind,
                state: whose.state.clone(),
                subtasks: subtasks.into_iter().collect(),
                key_groups: joined(uses.iter().filter_map(|used| used.key_groups).collect()),
                bytes: contents.into_values().fold(0, u64::saturating_add),
            })
        });
        losses.collect()
    }

    fn add(&mut self, about: About, used: impl FnOnce() -> Use) {
        if let Some(uses) = self.uses.get_mut(&about) {
            uses.push(used());
        }
    }

    fn size(&self, file: FileId) -> u64 {
        self.snapshot.file(file).map_or(0, |file| file.size)
    }

    fn operator(&mut self, index: usize, operator: &'a Operator, states: &States<'_>) {
        let whose = |kind| Whose { operator: index, kind, state: None };
        if let Some(file) = operator.coordinator {
            let contents = vec![(file, self.size(file))];
            let whose = whose("coordinator");
            self.add(About::File(file), || Use { whose, subtask: None, key_groups: None, contents });
        }
        for subtask in &operator.subtasks {
            for (state, kind) in [(&subtask.managed_keyed, "keyed"), (&subtask.raw_keyed, "raw_keyed")] {
                let mut handles = Vec::new();
                state.iter().for_each(|state| state.walk(&mut |inner| handles.push(inner)));
                for handle in handles {
                    self.keyed(&whose(kind), subtask.index, handle, states);
                }
            }
            let operator_state =
                [(&subtask.managed_operator, "operator"), (&subtask.raw_operator, "raw_operator")];
            let streams = operator_state.into_iter().filter_map(|(handle, kind)| {
                let file = handle.as_ref()?.stream?;
                Some((file, kind, self.size(file)))
            });
            let channels = subtask.input_channels.iter().chain(&subtask.result_subpartitions);
            let channels = channels.filter_map(|channel| Some((channel.stream?, "in_flight", channel.bytes)));
            for (file, kind, bytes) in streams.chain(channels).collect::<Vec<_>>() {
                self.add(About::File(file), || Use {
                    whose: whose(kind),
                    subtask: Some(subtask.index),
                    key_groups: None,
                    contents: vec![(file, bytes)],
                });
            }
        }
    }

    fn keyed(&mut self, whose: &Whose, subtask: u32, handle: &KeyedState, states: &States<'_>) {
        let key_groups = range(handle.key_groups);
        let used = |contents| Use { whose: whose.clone(), subtask: Some(subtask), key_groups, contents };
        match &handle.content {
            KeyedContent::Database(database) => {
                let tables =
                    || database.files.iter().filter(|f| matches!(f.kind(), DatabaseFileKind::Sst(_)));
                let all = |losses: &Self| {
                    let files = tables().filter_map(|table| table.file);
                    used(files.map(|file| (file, losses.size(file))).collect())
                };
                let others = database.files.iter().filter(|f| !matches!(f.kind(), DatabaseFileKind::Sst(_)));
                let others = others.filter_map(|other| other.file).chain(database.meta).map(About::File);
                let whole = About::Subtask { operator: whose.operator, subtask };
                for about in
                    others.chain([whole]).filter(|about| self.uses.contains_key(about)).collect::<Vec<_>>()
                {
                    let used = all(self);
                    self.add(about, || used);
                }
                for file in tables().filter_map(|table| table.file) {
                    let contents = vec![(file, self.size(file))];
                    let state = states.get(&(whose.operator, subtask, file));
                    self.add(About::File(file), || {
                        let mut used = used(contents);
                        if let Some((state, of_table)) = state {
                            used.whose.state = Some((*state).to_owned());
                            used.key_groups = common(key_groups, *of_table);
                        }
                        used
                    });
                }
            }
            KeyedContent::Stream(stream) => {
                let contents = vec![(stream.stream, self.size(stream.stream))];
                self.add(About::File(stream.stream), || used(contents));
            }
            KeyedContent::ChangeFiles { files, bytes, .. } => {
                let bytes = u64::try_from(*bytes).unwrap_or(0);
                for (_, file) in files {
                    // How the bytes are spread over several files is not recorded.
                    self.add(About::File(*file), || used(vec![(*file, bytes)]));
                }
            }
            KeyedContent::Changelog(_) | KeyedContent::InlineChanges { .. } => {}
        }
    }
}

fn states(details: &Details) -> States<'_> {
    let mut states = States::new();
    for keyed in &details.keyed {
        let Some(database) = &keyed.database else { continue };
        for table in &database.tables {
            if let (Some(file), Some(name)) = (table.file, database.column_families.get(table.column_family))
            {
                states.insert((keyed.operator, keyed.subtask, file), (name, table.key_groups));
            }
        }
    }
    states
}

fn range(key_groups: KeyGroupRange) -> Option<(u32, u32)> {
    Some((key_groups.start, key_groups.last()?))
}

/// The part of a handle's key groups that a table has; all of them where the table does not say.
fn common(handle: Option<(u32, u32)>, table: Option<(u32, u32)>) -> Option<(u32, u32)> {
    let handle = handle?;
    let Some(table) = table else { return Some(handle) };
    let both = (handle.0.max(table.0), handle.1.min(table.1));
    (both.0 <= both.1).then_some(both)
}

/// Ranges in order, those that touch joined.
fn joined(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        assert_eq!(joined(vec![(5, 9), (0, 3), (4, 4), (11, 12)]), [(0, 9), (11, 12)]);
        assert_eq!(joined(vec![(0, u32::MAX), (7, 8)]), [(0, u32::MAX)]);
        assert!(joined(Vec::new()).is_empty());
    }

    #[test]
    fn a_table_has_its_part_of_the_handle() {
        assert_eq!(common(Some((4, 9)), Some((0, 5))), Some((4, 5)));
        assert_eq!(common(Some((4, 9)), Some((0, 3))), None);
        assert_eq!(common(Some((4, 9)), None), Some((4, 9)));
        assert_eq!(common(None, Some((0, 3))), None);
    }
}
