//! A key group of the heap backend.

use std::ops::Range;

use super::{KeyGroupRows, Next, Part, Step, Stopped, Taking, Window, answer};
use crate::error::{Error, Result};
use crate::flink::key::{KeyGroupPrefix, KeyHash, KeyLayout, KeyPart, key_group};
use crate::flink::serializer::SerializerSnapshot;
use crate::flink::state_meta::{KeyedBackendMeta, StateKind, StateMetaInfo};
use crate::flink::value::KryoVersion;
use crate::flink::walk::{BadValue, StateValueLayout, Walked, Walker};

/// What stands between the elements of a list in a row, as RocksDB's merge operator has it in Flink.
pub(in crate::flink) const DELIMITER: u8 = b',';

/// Bytes of a state's id and the number of its entries.
const HEADER: usize = 6;

/// Bytes that may be looked at in any case.
const LEAST_WORK: usize = 64 << 10;

/// How often the bytes behind what cannot be walked are looked at, at most, until the next state is found.
const WORK: usize = 16;

/// How the entries of a heap backend are laid out: compiled once for all its key groups.
#[derive(Debug)]
pub struct HeapLayout {
    states: Vec<Option<EntryLayout>>,
    /// In which key group a key is, where its bytes tell.
    hash: KeyHash,
    max_parallelism: u32,
}

/// How the entries of a state are laid out as its serializers write them, whole values in one.
#[derive(Debug)]
pub(in crate::flink) struct EntryLayout {
    pub(in crate::flink) key: KeyLayout,
    pub(in crate::flink) values: EntryValues,
}

/// What the values of a state are.
#[derive(Debug)]
pub(in crate::flink) enum EntryValues {
    /// A value, as it is.
    One(Walker),
    /// i32 n, n elements.
    List(Walker),
    /// i32 n, n × { user key, bool null, value }.
    Map(Walker),
    /// i64 flipped timestamp, key, namespace; no value.
    Timers,
}

impl HeapLayout {
    /// Of a backend, by its meta data. States that are not described well enough are not walked.
    #[must_use]
    pub fn new(max_parallelism: i32, meta: &KeyedBackendMeta, kryo: KryoVersion) -> Self {
        let prefix = KeyGroupPrefix::of_max_parallelism(max_parallelism);
        let states = meta.states.iter().map(|state| EntryLayout::new(prefix, &meta.key_serializer, state));
        Self {
            states: states.collect(),
            hash: KeyHash::compile(&meta.key_serializer, kryo),
            max_parallelism: u32::try_from(max_parallelism).unwrap_or(0),
        }
    }

    /// Steps over a part of entries of a state; `None` where the state is not described, and of a part that it has not.
    #[must_use]
    pub fn walker(&self, state: usize, part: Part) -> Option<&Walker> {
        self.states.get(state)?.as_ref()?.walker(part)
    }
}

impl EntryLayout {
    /// Of a state, with the serializer of the backend's keys. `None` where it is not described well enough.
    pub(in crate::flink) fn new(
        prefix: KeyGroupPrefix,
        key: &SerializerSnapshot,
        state: &StateMetaInfo,
    ) -> Option<Self> {
        let key = KeyLayout::of_state(prefix, key, state)?;
        let value = StateValueLayout::of_state(state)?;
        let is_map = key.walker(KeyPart::UserKey).is_some();
        let walker = value.walker().clone();
        let values = match state.kind {
            StateKind::PriorityQueue => EntryValues::Timers,
            _ if value.is_list() => EntryValues::List(walker),
            _ if is_map => EntryValues::Map(walker),
            _ => EntryValues::One(walker),
        };
        Some(Self { key, values })
    }

    /// Steps over a part of entries; `None` of a part that they have not.
    pub(in crate::flink) fn walker(&self, part: Part) -> Option<&Walker> {
        match (part, &self.values) {
            (Part::Key, _) => self.key.walker(KeyPart::Key),
            (Part::Namespace, _) => self.key.walker(KeyPart::Namespace),
            (Part::UserKey, _) => self.key.walker(KeyPart::UserKey),
            (
                Part::Value,
                EntryValues::One(walker) | EntryValues::List(walker) | EntryValues::Map(walker),
            ) => Some(walker),
            (Part::Value, EntryValues::Timers) => None,
        }
    }
}

/// Hands out what a key group of a heap backend holds, as rows that RocksDB would have: in no order.
///
/// The `i32` key group at the begin of the stream, which is never compressed, is not part of what it is fed with.
#[derive(Debug, Clone)]
pub struct HeapGroup<'l> {
    layout: &'l HeapLayout,
    key_group: u32,
    at: u64,
    /// Which states were met.
    met: Vec<bool>,
    /// Which of the others may be without entries, since what says so was stepped over.
    empty: Vec<bool>,
    expects: Expects,
    state: usize,
    /// Entries of the state that are still to come, the current one left out.
    entries: u32,
    /// The composite key; of a map, the begin of it.
    key: Vec<u8>,
    /// Where the user key begins in `key`.
    head: usize,
    value: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    State,
    Entry,
    /// So many elements of a list.
    Elements(u32),
    /// So many entries of a map.
    Pairs(u32),
    Nothing,
}

impl<'l> HeapGroup<'l> {
    /// A key group whose first byte is said to have the offset `at`.
    #[must_use]
    pub fn new(layout: &'l HeapLayout, key_group: u32, at: u64) -> Self {
        Self {
            layout,
            key_group,
            at,
            met: vec![false; layout.states.len()],
            empty: vec![false; layout.states.len()],
            expects: Expects::State,
            state: 0,
            entries: 0,
            key: Vec::new(),
            head: 0,
            value: Vec::new(),
        }
    }

    /// Where a state begins from which on everything can be read, up to the end: each state once, and between them only
    /// what cannot be walked. With it, the states that stand there without entries just before: six bytes 0 are that too,
    /// so that they are not taken for it, but need not come later. `told` says whether entries that could be walked tell
    /// that reading is in its place; `work` is how many bytes may be looked at.
    fn find(&self, bytes: &[u8], told: bool, work: &mut usize) -> Option<(usize, Vec<bool>)> {
        for at in 0..bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let (state, entries) = self.header(rest)?;
            *work = work.checked_sub(1)?;
            if self.met.get(state).is_none_or(|met| *met) || entries > rest.len() {
                continue;
            }
            let mut trial = self.clone();
            trial.resume(at as u64);
            if entries == 0 {
                if trial.ends_empty(rest) {
                    return Some((at, self.empty.clone()));
                }
                continue;
            }
            let mut before = at;
            while let Some(earlier) = before.checked_sub(HEADER)
                && let Some((state, 0)) = self.header(bytes.get(earlier..).unwrap_or_default())
                && let Some(empty) = trial.empty.get_mut(state)
            {
                *empty = true;
                before = earlier;
            }
            let empty = trial.empty.clone();
            if trial.fits(rest, told, work) {
                return Some((at, empty));
            }
        }
        None
    }

    /// Where entries of a state may begin in bytes, up to so many places and one: wherever namespace and key stand of which the
    /// hash is that of the key group, and what follows begins as a value does; none, if that takes too much work. With each, where the key begins and where it ends.
    fn begins(&self, state: &EntryLayout, bytes: &[u8], most: usize) -> Vec<[usize; 3]> {
        let mut begins = Vec::new();
        let Some((namespace, key)) = state.walker(Part::Namespace).zip(state.walker(Part::Key)) else {
            return begins;
        };
        // Lengths that lie lead far, from any place.
        let mut work = bytes.len().saturating_mul(WORK).max(LEAST_WORK);
        let mut walk = |walker: &Walker, from: usize| {
            let walked = walker.walk(bytes.get(from..).unwrap_or_default());
            let (Walked::End(far) | Walked::Stopped { at: far, .. } | Walked::Bad(BadValue { at: far, .. })) =
                walked;
            work = work.checked_sub(far.saturating_add(1))?;
            Some(walked)
        };
        for begin in 0..bytes.len() {
            let Some(walked) = walk(namespace, begin) else { return Vec::new() };
            let Walked::End(length) = walked else { continue };
            let key_begin = begin.saturating_add(length);
            let Some(walked) = walk(key, key_begin) else { return Vec::new() };
            let Walked::End(key_length) = walked else { continue };
            let key_end = key_begin.saturating_add(key_length);
            let hash = self.layout.hash.hash(bytes.get(key_begin..key_end).unwrap_or_default());
            if hash.is_none_or(|hash| key_group(hash, self.layout.max_parallelism) != self.key_group) {
                continue;
            }
            let Some(walked) = state.walker(Part::Value).map_or(Some(Walked::End(0)), |it| walk(it, key_end))
            else {
                return Vec::new();
            };
            if !matches!(walked, Walked::Bad(_)) {
                begins.push([begin, key_begin, key_end]);
            }
            if begins.len() > most {
                break;
            }
        }
        begins
    }

    /// The id of a state and the number of its entries, as they stand at the begin of bytes; the largest number for none.
    fn header(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let [a, b, c, d, e, f] = *bytes.first_chunk::<HEADER>()?;
        let entries = usize::try_from(i32::from_be_bytes([c, d, e, f])).unwrap_or(usize::MAX);
        Some((usize::from(u16::from_be_bytes([a, b])), entries))
    }

    /// Whether what follows is all states that are missing, each without entries.
    fn ends_empty(mut self, bytes: &[u8]) -> bool {
        let (states, rest) = bytes.as_chunks::<HEADER>();
        for state in states {
            match self.header(state) {
                Some((state, 0)) => match self.met.get_mut(state).filter(|met| !**met) {
                    Some(met) => *met = true,
                    None => return false,
                },
                _ => return false,
            }
        }
        rest.is_empty() && self.is_all()
    }

    /// Whether no state is missing.
    fn is_all(&self) -> bool {
        self.met.iter().zip(&self.empty).all(|(met, empty)| *met || *empty)
    }

    /// Whether what begins with a state is all that is missing.
    fn fits(mut self, bytes: &[u8], mut told: bool, work: &mut usize) -> bool {
        let mut from = 0usize;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let Ok(Next { step, taken }) = self.next(rest, true) else { return false };
            if matches!(step, Step::Stopped(_)) {
                let all = self.met.iter().all(|met| *met);
                return if all { told } else { self.find(rest, told, work).is_some() };
            }
            match step {
                Step::End => return from.saturating_add(taken) == bytes.len(),
                Step::NeedBytes(_) | Step::Stopped(_) => return false,
                Step::Row { .. } => told = true,
                Step::Going | Step::State { .. } => {}
            }
            from = from.saturating_add(taken);
            match work.checked_sub(taken.saturating_add(1)) {
                Some(rest) => *work = rest,
                None => return false,
            }
        }
    }

    fn take(&mut self, window: Window<'_>) -> Taking<(Found, usize)> {
        let (found, taken) = match self.expects {
            Expects::Nothing => (Found::End, 0),
            Expects::State
                if self.met.iter().all(|met| *met)
                    || (window.whole && window.bytes.is_empty() && self.is_all()) =>
            {
                self.expects = Expects::Nothing;
                (Found::End, 0)
            }
            Expects::State => self.begin_state(window)?,
            Expects::Entry => self.entry(window)?,
            Expects::Elements(n) => self.element(window, n)?,
            Expects::Pairs(n) => self.pair(window, n)?,
        };
        self.at = self.at.saturating_add(taken as u64);
        Ok((found, taken))
    }

    fn begin_state(&mut self, window: Window<'_>) -> Taking<(Found, usize)> {
        let state = window.state(self.met.len())?;
        let entries = window.length("entries of a state", 2)?;
        match self.met.get_mut(state) {
            Some(met) if !*met => *met = true,
            _ => {
                let rule = "a key group holds each state once";
                return Err(Error::invalid(rule, state.to_string(), window.at).into());
            }
        }
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        (self.state, self.entries) = (state, entries);
        self.next_entry();
        Ok((Found::State(entries), HEADER))
    }

    /// Namespace and key of an entry, and its value where that is one.
    fn entry(&mut self, window: Window<'_>) -> Taking<(Found, usize)> {
        let Some(state) = self.layout.states.get(self.state).and_then(Option::as_ref) else {
            return Ok((Found::Stopped(Part::Value, None), 0));
        };
        let timer = matches!(state.values, EntryValues::Timers);
        let start = if timer { size_of::<i64>() } else { 0 };
        let timestamp = window.first(start)?;
        let [first, second] = if timer {
            [(Part::Key, KeyPart::Key), (Part::Namespace, KeyPart::Namespace)]
        } else {
            [(Part::Namespace, KeyPart::Namespace), (Part::Key, KeyPart::Key)]
        };
        let mut ends = [start; 3];
        for (at, (part, key_part)) in [first, second].into_iter().enumerate() {
            let Some(walker) = state.key.walker(key_part) else { continue };
            let from = ends.get(at).copied().unwrap_or(start);
            match walk(walker, &window, from)? {
                Met::End(end) => ends.iter_mut().skip(at + 1).for_each(|place| *place = end),
                Met::Stopped(stop) => return Ok((Found::Stopped(part, Some(stop)), 0)),
            }
        }
        let [_, middle, end] = ends;
        let one = window.bytes.get(start..middle).unwrap_or_default();
        let other = window.bytes.get(middle..end).unwrap_or_default();
        match &state.values {
            EntryValues::Timers => {
                let flipped = timestamp.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
                state.key.compose_timer(self.key_group, flipped ^ i64::MIN, one, other, &mut self.key);
                self.next_entry();
                Ok((Found::Row(end..end), end))
            }
            EntryValues::One(walker) => {
                let value = match walk(walker, &window, end)? {
                    Met::End(value) => value,
                    Met::Stopped(stop) => return Ok((Found::Stopped(Part::Value, Some(stop)), 0)),
                };
                state.key.compose(self.key_group, other, one, &mut self.key);
                self.next_entry();
                Ok((Found::Row(end..value), value))
            }
            EntryValues::List(_) | EntryValues::Map(_) => {
                let is_list = matches!(state.values, EntryValues::List(_));
                let what = if is_list { "elements of a list" } else { "entries of a map" };
                let count = u32::try_from(window.length(what, end)?).unwrap_or(u32::MAX);
                state.key.compose(self.key_group, other, one, &mut self.key);
                self.head = self.key.len();
                self.value.clear();
                self.expects = if is_list { Expects::Elements(count) } else { Expects::Pairs(count) };
                Ok((Found::Going, end.saturating_add(4)))
            }
        }
    }

    /// The next of so many elements of a list.
    fn element(&mut self, window: Window<'_>, elements: u32) -> Taking<(Found, usize)> {
        let Some(rest) = elements.checked_sub(1) else {
            self.next_entry();
            return Ok((Found::List, 0));
        };
        let layout = self.layout;
        let Some(walker) = layout.walker(self.state, Part::Value) else {
            return Ok((Found::Stopped(Part::Value, None), 0));
        };
        let end = match walk(walker, &window, 0)? {
            Met::End(end) => end,
            Met::Stopped(stop) => return Ok((Found::Stopped(Part::Value, Some(stop)), 0)),
        };
        self.value.extend_from_slice(window.bytes.get(..end).unwrap_or_default());
        if rest > 0 {
            self.value.push(DELIMITER);
        }
        self.expects = Expects::Elements(rest);
        Ok((Found::Going, end))
    }

    /// The next of so many entries of a map.
    fn pair(&mut self, window: Window<'_>, pairs: u32) -> Taking<(Found, usize)> {
        let Some(rest) = pairs.checked_sub(1) else {
            self.next_entry();
            return Ok((Found::Going, 0));
        };
        let layout = self.layout;
        let walkers = layout.walker(self.state, Part::UserKey).zip(layout.walker(self.state, Part::Value));
        let Some((user_key, value)) = walkers else { return Ok((Found::Stopped(Part::Value, None), 0)) };
        let flag = match walk(user_key, &window, 0)? {
            Met::End(end) => end,
            Met::Stopped(stop) => return Ok((Found::Stopped(Part::UserKey, Some(stop)), 0)),
        };
        let behind = flag.saturating_add(1);
        let end = match window.first(behind)?.last() {
            Some(0) => match walk(value, &window, behind)? {
                Met::End(end) => end,
                Met::Stopped(stop) => return Ok((Found::Stopped(Part::Value, Some(stop)), 0)),
            },
            Some(1) => behind,
            other => {
                let at = window.at.saturating_add(flag as u64);
                let found = other.map_or_else(String::new, u8::to_string);
                return Err(Error::invalid("a flag is 0 or 1", found, at).into());
            }
        };
        self.key.truncate(self.head);
        self.key.extend_from_slice(window.bytes.get(..flag).unwrap_or_default());
        self.expects = Expects::Pairs(rest);
        Ok((Found::Row(flag..end), end))
    }

    fn next_entry(&mut self) {
        match self.entries.checked_sub(1) {
            Some(rest) => (self.entries, self.expects) = (rest, Expects::Entry),
            None => self.expects = Expects::State,
        }
    }
}

/// What was found; the composite key of a row is in [`HeapGroup::key`].
enum Found {
    State(u32),
    Going,
    /// A row, whose value lies there.
    Row(Range<usize>),
    /// A row, whose value is in [`HeapGroup::value`].
    List,
    Stopped(Part, Option<usize>),
    End,
}

impl KeyGroupRows for HeapGroup<'_> {
    #[inline]
    fn next<'b>(&'b mut self, bytes: &'b [u8], whole: bool) -> Result<Next<'b>> {
        let at = self.at;
        let taken = self.take(Window { bytes, whole, at });
        let state = self.state;
        answer(taken.map(|(found, taken)| {
            let step = match found {
                Found::State(entries) => Step::State { state, entries: Some(entries) },
                Found::Going => Step::Going,
                Found::Row(value) => {
                    Step::Row { key: &self.key, value: bytes.get(value).unwrap_or_default() }
                }
                Found::List => Step::Row { key: &self.key, value: &self.value },
                Found::Stopped(part, stop) => {
                    let entries = self.entries.saturating_add(1);
                    Step::Stopped(Stopped { state, entries, part, stop })
                }
                Found::End => Step::End,
            };
            Next { step, taken }
        }))
    }

    fn find_state(&mut self, bytes: &[u8]) -> Option<usize> {
        let (at, empty) = self.find(bytes, false, &mut bytes.len().saturating_mul(WORK).max(LEAST_WORK))?;
        self.empty = empty;
        Some(at)
    }

    /// Wherever an entry begins, its key stands, which is in this key group, and then a value. So if there are no more places where that
    /// could be so than there are entries, these are the places.
    fn divide(&mut self, bytes: &[u8], row: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        let Some(state) = self.layout.states.get(self.state).and_then(Option::as_ref) else { return false };
        if self.expects != Expects::Entry
            || !matches!(state.values, EntryValues::One(_))
            || !self.layout.hash.is_certain()
        {
            return false;
        }
        let entries = usize::try_from(self.entries).unwrap_or(usize::MAX).saturating_add(1);
        let begins = self.begins(state, bytes, entries);
        if begins.len() != entries || begins.first().is_none_or(|[begin, ..]| *begin > 0) {
            return false;
        }
        let ends = begins.iter().skip(1).map(|[begin, ..]| *begin).chain([bytes.len()]);
        // A key within a key is none: entries do not overlap.
        if begins.iter().zip(ends.clone()).any(|([_, _, key_end], end)| *key_end > end) {
            return false;
        }
        for ([begin, key_begin, key_end], end) in begins.iter().zip(ends) {
            let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
            state.key.compose(
                self.key_group,
                part(*key_begin, *key_end),
                part(*begin, *key_begin),
                &mut self.key,
            );
            row(&self.key, part(*key_end, end));
        }
        true
    }

    fn is_last(&self) -> bool {
        self.met.iter().all(|met| *met)
    }

    fn resume(&mut self, skipped: u64) {
        self.at = self.at.saturating_add(skipped);
        (self.expects, self.entries) = (Expects::State, 0);
    }
}

/// Where a part ends, or that it cannot be walked.
enum Met {
    End(usize),
    Stopped(usize),
}

fn walk(walker: &Walker, window: &Window<'_>, from: usize) -> Taking<Met> {
    match walker.walk(window.bytes.get(from..).unwrap_or_default()) {
        Walked::End(length) => Ok(Met::End(from.saturating_add(length))),
        Walked::Stopped { stop, .. } => Ok(Met::Stopped(stop)),
        Walked::Bad(bad) => Err(window.bad(from, bad)),
    }
}
