//! Rows of changes, as RocksDB has them.

use std::ops::Range;

use super::change::{DataChange, Operation};
use crate::error::{Error, ErrorKind, Result};
use crate::flink::full_snapshot::{DELIMITER, EntryLayout, EntryValues, Part};
use crate::flink::key::{KeyGroupPrefix, KeyPart};
use crate::flink::serializer::SerializerSnapshot;
use crate::flink::state_meta::StateMetaInfo;
use crate::flink::walk::{Walked, Walker};

/// How the changes of a state are laid out: compiled once for all of them.
#[derive(Debug)]
pub struct ChangeLayout {
    entry: EntryLayout,
}

/// What a change does to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// The row has this value.
    Put,
    /// There is no such row.
    Delete,
    /// The value is appended to that of the row, behind a delimiter if there is one already.
    Append,
    /// There is no row whose key begins so.
    DeletePrefix,
    /// The row has a value that user code made of it and of the rows that are deleted with it, or it has all of their
    /// elements behind its own. It is there if any of these was.
    Merge,
}

/// Rows that a change concerns, in order.
#[derive(Debug, Default)]
pub struct RowChanges {
    bytes: Vec<u8>,
    rows: Vec<(RowChange, Range<usize>, Range<usize>)>,
}

impl RowChanges {
    /// Each with the composite key and the value.
    pub fn iter(&self) -> impl Iterator<Item = (RowChange, &[u8], &[u8])> {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.rows.iter().map(move |(change, key, value)| (*change, bytes(key), bytes(value)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    fn push(&mut self, change: RowChange, key: [&[u8]; 2], value: [&[u8]; 2]) {
        let mut append = |parts: [&[u8]; 2]| {
            let begin = self.bytes.len();
            parts.into_iter().for_each(|part| self.bytes.extend_from_slice(part));
            begin..self.bytes.len()
        };
        let (key, value) = (append(key), append(value));
        self.rows.push((change, key, value));
    }
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Its rows are known.
    Rows,
    /// They are not, since something has no length and cannot be walked.
    NotWalked {
        /// What it is.
        part: Part,
        /// Why: an index of [`Walker::stops`] of that part's walker.
        stop: usize,
    },
}

enum Halt {
    Stopped(Part, usize),
    Bad(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

type Taking<T> = std::result::Result<T, Halt>;

impl ChangeLayout {
    /// Of a state, with the serializer of the backend's keys. `None` where it is not described well enough.
    #[must_use]
    pub fn new(prefix: KeyGroupPrefix, key: &SerializerSnapshot, state: &StateMetaInfo) -> Option<Self> {
        EntryLayout::new(prefix, key, state).map(|entry| Self { entry })
    }

    /// Steps over a part of a change.
    #[must_use]
    pub fn walker(&self, part: Part) -> Option<&Walker> {
        self.entry.walker(part)
    }

    /// The rows of a change, instead of those in `out`; of one that is [`Applied::NotWalked`], none.
    ///
    /// # Errors
    /// An operation that the state does not have, bytes that contradict the serializers or are too many.
    pub fn rows(&self, change: &DataChange<'_>, key_group: u32, out: &mut RowChanges) -> Result<Applied> {
        out.clear();
        match self.take(change, key_group, out) {
            Ok(()) => Ok(Applied::Rows),
            Err(Halt::Stopped(part, stop)) => {
                out.clear();
                Ok(Applied::NotWalked { part, stop })
            }
            Err(Halt::Bad(error)) => {
                out.clear();
                Err(error)
            }
        }
    }

    fn take(&self, change: &DataChange<'_>, key_group: u32, out: &mut RowChanges) -> Taking<()> {
        let mut payload = Payload { bytes: change.payload, from: 0, at: change.at };
        if matches!(self.entry.values, EntryValues::Timers) {
            self.timers(change.operation, key_group, &mut payload, out)?;
            return payload.end();
        }
        let (key, namespace) = self.scope(change.operation, &mut payload)?;
        let mut composite = Vec::new();
        self.entry.key.compose(key_group, key, namespace, &mut composite);
        match (&self.entry.values, change.operation) {
            (EntryValues::One(_) | EntryValues::List(_), Operation::Clear) => {
                out.push(RowChange::Delete, [&composite, &[]], [&[], &[]]);
            }
            (EntryValues::Map(_), Operation::Clear) => {
                out.push(RowChange::DeletePrefix, [&composite, &[]], [&[], &[]]);
            }
            (EntryValues::One(walker), Operation::Set | Operation::SetInternal) => {
                out.push(RowChange::Put, [&composite, &[]], [payload.last(walker)?, &[]]);
            }
            (EntryValues::List(walker), Operation::AddElement) => {
                out.push(RowChange::Append, [&composite, &[]], [payload.last(walker)?, &[]]);
            }
            (EntryValues::List(walker), Operation::Set | Operation::SetInternal | Operation::Add) => {
                let elements = payload.list(walker)?;
                let change = match (change.operation, elements.is_empty()) {
                    (Operation::Add, true) => None,
                    (Operation::Add, false) => Some(RowChange::Append),
                    (_, true) => Some(RowChange::Delete),
                    (_, false) => Some(RowChange::Put),
                };
                // An element may have no bytes; a list without elements is no row.
                if let Some(change) = change {
                    out.push(change, [&composite, &[]], [elements.bytes(), &[]]);
                }
            }
            (EntryValues::Map(walker), Operation::Add) => {
                let pairs = payload.count("entries of a map")?;
                for _ in 0..pairs {
                    let user_key = payload.part(self.user_key(change)?, Part::UserKey)?;
                    let flag = payload.from;
                    match payload.u8()? {
                        0 => payload.part(walker, Part::Value).map(|_| ())?,
                        1 => {}
                        found => {
                            let at = payload.at.saturating_add(flag as u64);
                            return Err(Error::invalid("a flag is 0 or 1", found.to_string(), at).into());
                        }
                    }
                    let value = payload.bytes.get(flag..payload.from).unwrap_or_default();
                    out.push(RowChange::Put, [&composite, user_key], [value, &[]]);
                }
            }
            (EntryValues::Map(walker), Operation::AddElement | Operation::AddOrUpdateElement) => {
                let user_key = payload.part(self.user_key(change)?, Part::UserKey)?;
                out.push(RowChange::Put, [&composite, user_key], [&[0], payload.last(walker)?]);
            }
            (EntryValues::Map(_), Operation::RemoveElement) => {
                let user_key = payload.last_of(self.user_key(change)?, Part::UserKey)?;
                out.push(RowChange::Delete, [&composite, user_key], [&[], &[]]);
            }
            (EntryValues::One(_) | EntryValues::List(_), Operation::MergeNamespaces) => {
                self.merge(key_group, key, &mut payload, out)?;
            }
            (_, operation) => return Err(unknown(operation, change.at)),
        }
        payload.end()
    }

    /// Key and namespace. What cannot be walked is found where all that follows it has a known length.
    fn scope<'a>(&self, operation: Operation, payload: &mut Payload<'a>) -> Taking<(&'a [u8], &'a [u8])> {
        let [key, namespace] = [KeyPart::Key, KeyPart::Namespace].map(|part| self.entry.key.walker(part));
        let (Some(key), Some(namespace)) = (key, namespace) else { return Ok((&[], &[])) };
        let begin = payload.clone();
        let met =
            payload.part(key, Part::Key).and_then(|key| Ok((key, payload.part(namespace, Part::Namespace)?)));
        let Err(Halt::Stopped(part, stop)) = met else { return met };
        *payload = begin;
        let found = || {
            let rest = payload.bytes.len().checked_sub(self.argument_len(operation)?)?;
            let (scope, _) = payload.bytes.split_at_checked(rest)?;
            match key.walk(scope) {
                Walked::End(end) => scope.split_at_checked(end),
                _ => scope.split_at_checked(scope.len().checked_sub(namespace.fixed_len()?)?),
            }
        };
        let (key, namespace) = found().ok_or(Halt::Stopped(part, stop))?;
        payload.from = key.len().saturating_add(namespace.len());
        Ok((key, namespace))
    }

    /// How many bytes follow key and namespace, where that is always the same.
    fn argument_len(&self, operation: Operation) -> Option<usize> {
        let user_key = || self.entry.key.walker(KeyPart::UserKey).and_then(Walker::fixed_len);
        match (&self.entry.values, operation) {
            (_, Operation::Clear) => Some(0),
            (EntryValues::One(walker), Operation::Set | Operation::SetInternal)
            | (EntryValues::List(walker), Operation::AddElement) => walker.fixed_len(),
            (EntryValues::Map(_), Operation::RemoveElement) => user_key(),
            (EntryValues::Map(walker), Operation::AddElement | Operation::AddOrUpdateElement) => {
                user_key()?.checked_add(walker.fixed_len()?)
            }
            _ => None,
        }
    }

    /// Steps over the keys of a map: whatever is one has them.
    fn user_key(&self, change: &DataChange<'_>) -> Taking<&Walker> {
        self.entry.key.walker(KeyPart::UserKey).ok_or_else(|| unknown(change.operation, change.at))
    }

    /// `MERGE_NS`: what was in the sources is now part of the target.
    fn merge(
        &self,
        key_group: u32,
        key: &[u8],
        payload: &mut Payload<'_>,
        out: &mut RowChanges,
    ) -> Taking<()> {
        let Some(namespace) = self.entry.key.walker(KeyPart::Namespace) else { return Ok(()) };
        let (mut target, mut source) = (Vec::new(), Vec::new());
        self.entry.key.compose(key_group, key, payload.part(namespace, Part::Namespace)?, &mut target);
        let sources = payload.count("namespaces")?;
        for _ in 0..sources {
            self.entry.key.compose(key_group, key, payload.part(namespace, Part::Namespace)?, &mut source);
            if source != target {
                out.push(RowChange::Delete, [&source, &[]], [&[], &[]]);
            }
        }
        if sources > 0 {
            out.push(RowChange::Merge, [&target, &[]], [&[], &[]]);
        }
        Ok(())
    }

    fn timers(
        &self,
        operation: Operation,
        key_group: u32,
        payload: &mut Payload<'_>,
        out: &mut RowChanges,
    ) -> Taking<()> {
        let (change, timers) = match operation {
            Operation::AddElement => (RowChange::Put, payload.count("timers")?),
            Operation::RemoveElement => (RowChange::Delete, 1),
            operation => return Err(unknown(operation, payload.at)),
        };
        let mut composite = Vec::new();
        for _ in 0..timers {
            let timestamp =
                payload.take(size_of::<i64>())?.first_chunk().map_or(0, |b| i64::from_be_bytes(*b));
            let before = payload.from;
            for (part, key_part) in [(Part::Key, KeyPart::Key), (Part::Namespace, KeyPart::Namespace)] {
                let Some(walker) = self.entry.key.walker(key_part) else { continue };
                match payload.part(walker, part) {
                    // The one timer of a change is all that is left.
                    Err(Halt::Stopped(..)) if timers == 1 => payload.from = payload.bytes.len(),
                    met => {
                        met?;
                        continue;
                    }
                }
                break;
            }
            let rest = payload.bytes.get(before..payload.from).unwrap_or_default();
            self.entry.key.compose_timer(key_group, timestamp ^ i64::MIN, rest, &[], &mut composite);
            out.push(change, [&composite, &[]], [&[], &[]]);
        }
        Ok(())
    }
}

#[cold]
fn unknown(operation: Operation, at: u64) -> Halt {
    let rule = "a change of a state is one that states of its kind have";
    Error::invalid(rule, operation.name(), at).into()
}

/// Elements of a list, as a row has them.
struct Elements<'a> {
    count: usize,
    one: &'a [u8],
    joined: Vec<u8>,
}

impl Elements<'_> {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn bytes(&self) -> &[u8] {
        if self.count == 1 { self.one } else { &self.joined }
    }
}

/// What of a change was not taken yet.
#[derive(Clone)]
struct Payload<'a> {
    bytes: &'a [u8],
    from: usize,
    /// Offset of the first byte.
    at: u64,
}

impl<'a> Payload<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Taking<&'a [u8]> {
        let rest = self.rest();
        let Some(bytes) = rest.get(..length) else {
            let kind = ErrorKind::UnexpectedEnd { needed: length as u64, remaining: rest.len() as u64 };
            return Err(Error::new(kind, self.at.saturating_add(self.from as u64)).into());
        };
        self.from = self.from.saturating_add(length);
        Ok(bytes)
    }

    fn u8(&mut self) -> Taking<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// A count of what has at least no bytes: it is not believed before each of them was met.
    fn count(&mut self, what: &'static str) -> Taking<u32> {
        let at = self.at.saturating_add(self.from as u64);
        let found = self.take(4)?.first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes));
        let count = u32::try_from(found).ok().filter(|count| *count as usize <= self.rest().len());
        count.ok_or_else(|| {
            let kind = ErrorKind::BadCount { what, found: found.into(), max: self.rest().len() as u64 };
            Error::new(kind, at).into()
        })
    }

    fn part(&mut self, walker: &Walker, part: Part) -> Taking<&'a [u8]> {
        match walker.walk(self.rest()) {
            Walked::End(length) => self.take(length),
            Walked::Stopped { stop, .. } => Err(Halt::Stopped(part, stop)),
            Walked::Bad(bad) => {
                let at = self.at.saturating_add(self.from.saturating_add(bad.at) as u64);
                Err(Error::invalid(bad.rule, "other bytes", at).into())
            }
        }
    }

    /// What is the last thing of the change: all the rest, even if it cannot be walked.
    fn last_of(&mut self, walker: &Walker, part: Part) -> Taking<&'a [u8]> {
        match self.part(walker, part) {
            Err(Halt::Stopped(..)) => self.take(self.rest().len()),
            met => met,
        }
    }

    fn last(&mut self, walker: &Walker) -> Taking<&'a [u8]> {
        self.last_of(walker, Part::Value)
    }

    /// A list, which is the last thing of the change.
    fn list(&mut self, walker: &Walker) -> Taking<Elements<'a>> {
        let count = self.count("elements of a list")? as usize;
        let mut elements = Elements { count, one: &[], joined: Vec::new() };
        for index in 0..count {
            let is_last = index.saturating_add(1) == count;
            let element = if is_last { self.last(walker)? } else { self.part(walker, Part::Value)? };
            if count == 1 {
                elements.one = element;
                continue;
            }
            if index > 0 {
                elements.joined.push(DELIMITER);
            }
            elements.joined.extend_from_slice(element);
        }
        Ok(elements)
    }

    /// Nothing may be left.
    fn end(&self) -> Taking<()> {
        let rest = self.rest().len();
        if rest == 0 {
            return Ok(());
        }
        let at = self.at.saturating_add(self.from as u64);
        Err(Error::invalid("nothing follows what a change takes", format!("{rest} bytes"), at).into())
    }
}
