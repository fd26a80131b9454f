//! One state of one handle while its rows pass by: the hot path.
//!
//! What changes with every row is counted at once and costs an addition; what changes with the key, the namespace or
//! the key group is a difference of these sums, taken when they change. `shared`, the length of what a row's composite
//! key has in common with the one before, tells without a look at the bytes that they did not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use statescope_formats::flink::walk::{Elements as Met, Touch};

use super::ages::{Ages, Expired, Expiry};
use super::histogram::Counter;
use super::key_bytes::KeyBytes;
use super::keys::{KeyCounter, KeyTotals};
use super::operator::KeyRun;
use super::partial::{GroupTotals, KryoTotals, LiveTotals, NotWalkedTotals, Problem, StatePartial};
use super::plan::{Cause, KryoPlan, ListPlan, OnePlan, StatePlan, Values};
use super::spill::Spill;
use super::timers::{Due, TimerKeys};

/// What is known of an SST file that a row lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableFacts {
    /// The number in its name.
    pub number: u64,
    /// The level.
    pub level: u32,
    /// When it was written, in seconds since 1970 (`rocksdb.file.creation.time`); 0 if that is not known.
    pub creation_time: u64,
}

/// How many bytes of an example's key are kept.
const EXAMPLE_BYTES: usize = 64;

/// Accumulates the live rows of one state of one handle, within one split: a range of composite keys.
///
/// Rows come in ascending order of their composite keys, each by [`put`](Self::put), or by [`begin`](Self::begin),
/// [`part`](Self::part) for each of its parts, and [`end`](Self::end). Splits of timers must begin and end between key
/// groups ([`StatePlan::divides_key_groups`]).
#[derive(Debug)]
pub struct StateAccumulator<'p> {
    plan: &'p StatePlan,
    tables: Arc<[TableFacts]>,
    live: LiveTotals,
    row_bytes: Counter,
    element_bytes: Counter,
    /// A row that shares this many bytes with the one before it has the same key and namespace.
    same_until: usize,
    /// The length of composite keys with the current key and namespace, where there is only one.
    expected_len: Option<usize>,
    group: Option<u32>,
    /// The sums at the beginning of the key group.
    group_base: LiveTotals,
    group_keys: u64,
    groups: BTreeMap<u32, GroupTotals>,
    /// The current key with its key group, followed by its namespace.
    current: Vec<u8>,
    key: Option<Open>,
    pair: Option<Place>,
    any_pair: bool,
    pairs: u64,
    edge_pairs: BTreeSet<KeyBytes>,
    /// The sums before the last row, if that row belongs to no key.
    astray: Option<LiveTotals>,
    /// Whether the last row belongs to no key, so that `shared` says nothing of `current`.
    strayed: bool,
    keys: KeyCounter,
    run: Option<KeyRun>,
    ages: Ages,
    without_timestamp: u64,
    expiry: Option<Expiry>,
    kryo: KryoTotals,
    due: Due,
    timer_keys: TimerKeys,
    merged: Merged<'p>,
    not_walked: BTreeMap<Problem, NotWalkedTotals>,
}

/// The key of the last row.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Its end in `current`.
    end: usize,
    /// The sums before its first row, and those of rows in between that belong to no key.
    base: LiveTotals,
    /// What of it was given to the keys of the operator already.
    given: KeyTotals,
    /// Whether it passes through Kryo.
    kryo: bool,
}

/// Where something lies in a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning: the split before may have a part of it.
    Edge,
    /// Not at the beginning.
    Inside,
}

/// A row that comes in parts.
#[derive(Debug, Default)]
struct Merged<'p> {
    /// The composite key.
    key: Vec<u8>,
    /// Bytes of its parts and the delimiters between them.
    value_bytes: u64,
    parts: u64,
    /// The table of the newest part.
    newest: u32,
    list: ListSums<'p>,
    /// What keeps the key from being cut.
    problem: Option<Cause<'p>>,
}

/// What the elements of a list, or of a part of one, add up to.
#[derive(Debug, Clone, Copy, Default)]
struct ListSums<'p> {
    elements: u64,
    expired: u64,
    expired_bytes: u64,
    kryo: bool,
    /// The first thing that kept it from being divided.
    problem: Option<Cause<'p>>,
}

impl ListSums<'_> {
    fn add(&mut self, other: Self) {
        self.elements += other.elements;
        self.expired += other.expired;
        self.expired_bytes += other.expired_bytes;
        self.kryo |= other.kryo;
        self.problem = self.problem.or(other.problem);
    }

    /// Whether every element is known, and expired.
    fn is_expired(&self) -> bool {
        self.elements > 0 && self.expired == self.elements && self.problem.is_none()
    }
}

impl<'p> StateAccumulator<'p> {
    /// Begins a split. `tables` are indexed by what rows name as their table.
    #[must_use]
    pub fn new(plan: &'p StatePlan, tables: Arc<[TableFacts]>) -> Self {
        let reference_ms = plan.reference_ms();
        let expiry = plan.ttl().map(|ttl| Expiry::new(ttl, reference_ms, &tables));
        Self {
            plan,
            tables,
            live: LiveTotals::default(),
            row_bytes: Counter::new(),
            element_bytes: Counter::new(),
            same_until: usize::MAX,
            expected_len: None,
            group: None,
            group_base: LiveTotals::default(),
            group_keys: 0,
            groups: BTreeMap::new(),
            current: Vec::new(),
            key: None,
            pair: None,
            any_pair: false,
            pairs: 0,
            edge_pairs: BTreeSet::new(),
            astray: None,
            strayed: false,
            keys: KeyCounter::new(plan.top()),
            run: None,
            ages: Ages::new(reference_ms),
            without_timestamp: 0,
            expiry,
            kryo: KryoTotals::default(),
            due: Due::new(reference_ms),
            timer_keys: TimerKeys::new(plan.timer_memory()),
            merged: Merged::default(),
            not_walked: BTreeMap::new(),
        }
    }

    /// Where the keys of timers go that do not fit into memory. Without it, the keys of such a key group are not
    /// counted, and the result says so.
    #[must_use]
    pub fn with_spill(mut self, spill: Box<dyn Spill>) -> Self {
        self.timer_keys.spill_to(spill);
        self
    }

    /// Also collects what each key holds, for the keys of the operator
    /// ([`OperatorKeys::end_batch`](super::OperatorKeys::end_batch)).
    #[must_use]
    pub fn with_key_totals(mut self) -> Self {
        self.run = self.plan.counts_keys().then(|| KeyRun::new(usize::MAX, None));
        self
    }

    /// As [`with_key_totals`](Self::with_key_totals), where batches may be large: what needs more memory goes elsewhere.
    #[must_use]
    pub fn with_spilled_key_totals(mut self, memory: usize, spill: Option<Box<dyn Spill>>) -> Self {
        self.run = self.plan.counts_keys().then(|| KeyRun::new(memory, spill));
        self
    }

    /// A live row with one plain value. `shared` is how many bytes its composite key has in common with the row before
    /// it, exactly; 0 for the first row.
    ///
    /// Returns the raw bytes of it that are expired.
    #[inline]
    pub fn put(&mut self, key: &[u8], shared: usize, value: &[u8], table: u32) -> u64 {
        let bytes = (key.len() + value.len()) as u64;
        if shared < self.same_until
            && let Some((problem, reason)) = self.enter(key, shared)
        {
            self.not_walked(problem, reason, key, bytes, table);
        }
        self.row(key, value.len() as u64, table);
        let plan = self.plan;
        let (touched, expired) = match plan.values() {
            Values::Plain => {
                self.live.entries += 1;
                (false, 0)
            }
            Values::One(one) => self.one(one, key, value, table),
            Values::List(list) => {
                let sums = self.list(list, value, table);
                (sums.kryo, self.end_list(sums, key, bytes, table))
            }
            Values::Timers => {
                self.timer(key, bytes, table);
                (false, 0)
            }
        };
        if let Some(kryo) = plan.kryo() {
            self.touch(kryo, key, touched, bytes);
        }
        expired
    }

    /// Begins a live row that is made of several parts: merge operands, the newest first, and the base value last.
    pub fn begin(&mut self, key: &[u8], shared: usize) {
        self.merged.key.clear();
        self.merged.key.extend_from_slice(key);
        (self.merged.value_bytes, self.merged.parts, self.merged.list) = (0, 0, ListSums::default());
        self.merged.problem = if shared < self.same_until { self.enter(key, shared) } else { None };
    }

    /// A part of the row: elements of a list, joined by delimiters.
    ///
    /// Returns the raw bytes of it that are expired.
    pub fn part(&mut self, value: &[u8], table: u32) -> u64 {
        if self.merged.parts == 0 {
            self.merged.newest = table;
        } else {
            self.merged.value_bytes += self.plan.delimiter().len() as u64;
        }
        self.merged.parts += 1;
        self.merged.value_bytes += value.len() as u64;
        let Values::List(list) = self.plan.values() else { return 0 };
        let sums = self.list(list, value, table);
        self.merged.list.add(sums);
        sums.expired_bytes
    }

    /// Ends the row.
    ///
    /// Returns the raw bytes of it that are expired besides those of its parts: its key and the delimiters, where all
    /// elements are expired. They belong to the table of its newest part.
    pub fn end(&mut self) -> u64 {
        let merged = std::mem::take(&mut self.merged);
        let (key, table) = (merged.key.as_slice(), merged.newest);
        let bytes = key.len() as u64 + merged.value_bytes;
        if let Some((problem, reason)) = merged.problem {
            self.not_walked(problem, reason, key, bytes, table);
        }
        self.row(key, merged.value_bytes, table);
        let mut rest = 0;
        if let Values::List(_) = self.plan.values() {
            self.live.entries += merged.list.elements;
            if let Some((problem, reason)) = merged.list.problem {
                self.not_walked(problem, reason, key, bytes, table);
            }
            if merged.list.is_expired() {
                rest = bytes - merged.list.expired_bytes;
                self.expire_row(rest, table);
            }
        } else {
            self.not_walked(Problem::MergeOperands, NO_LIST, key, bytes, table);
            self.live.entries += 1;
            self.without_timestamp += 1;
        }
        if let Some(kryo) = self.plan.kryo() {
            self.touch(kryo, key, merged.list.kryo, bytes);
        }
        // Its memory serves the next row.
        self.merged.key = merged.key;
        rest
    }

    /// A live row whose value is of a kind that is not understood: it counts without its value, as one entry.
    pub fn not_understood(&mut self, key: &[u8], shared: usize, table: u32) {
        let bytes = key.len() as u64;
        if shared < self.same_until
            && let Some((problem, reason)) = self.enter(key, shared)
        {
            self.not_walked(problem, reason, key, bytes, table);
        }
        self.row(key, 0, table);
        self.live.entries += 1;
        self.without_timestamp += 1;
        self.not_walked(Problem::ValueNotUnderstood, NO_PLAIN_VALUE, key, bytes, table);
    }

    /// Ends a key group before the next one begins: what its keys need of memory is free then.
    pub fn end_key_group(&mut self) {
        self.settle();
        self.close_pair(Place::Inside);
        self.close_key(Place::Inside);
        self.close_group();
    }

    /// Rows of a key group that could not be told apart from what follows them: they are in no other figure.
    pub fn not_read(&mut self, prefix: &[u8], reason: &str, rows: u64, bytes: u64) {
        let example = (KeyBytes::from(prefix), 0);
        let totals = NotWalkedTotals { reason: reason.to_owned(), rows, bytes, example };
        match self.not_walked.entry(Problem::RowsNotRead) {
            Entry::Occupied(mut known) => known.get_mut().merge(totals),
            Entry::Vacant(place) => {
                place.insert(totals);
            }
        }
    }

    /// Gives what keys hold to the operator's keys: the current one as far as it is known.
    pub(super) fn take_run(&mut self) -> Option<&mut KeyRun> {
        self.settle();
        let sums = self.key_sums();
        let run = self.run.as_mut()?;
        if let (Some(open), Some(sums)) = (&mut self.key, sums) {
            run.push(self.current.get(..open.end).unwrap_or_default(), sums.less(&open.given));
            open.given = sums;
        }
        Some(run)
    }

    /// Ends the split.
    #[must_use]
    pub fn finish(mut self) -> StatePartial {
        self.settle();
        self.close_pair(Place::Edge);
        self.close_key(Place::Edge);
        self.close_group();
        let is_timers = matches!(self.plan.values(), Values::Timers);
        StatePartial {
            live: self.live,
            row_bytes: self.row_bytes.finish(),
            element_bytes: self.element_bytes.finish(),
            keys: self.keys.finish(),
            pairs: self.pairs,
            edge_pairs: self.edge_pairs,
            groups: self.groups,
            ages: self.plan.has_timestamps().then(|| self.ages.finish(self.without_timestamp)),
            expired: self.expiry.map(Expiry::finish).unwrap_or_default(),
            kryo: self.kryo,
            timers: is_timers.then(|| self.due.finish(self.timer_keys.key_groups_not_counted())),
            not_walked: self.not_walked,
        }
    }

    // ---- every row -----------------------------------------------------------------------------------------------

    #[inline]
    fn row(&mut self, key: &[u8], value_bytes: u64, table: u32) {
        let key_bytes = key.len() as u64;
        if self.expected_len.is_some_and(|expected| expected != key.len()) {
            self.not_walked(Problem::KeyContradicts, OTHER_LENGTH, key, key_bytes + value_bytes, table);
        }
        self.live.rows += 1;
        self.live.key_bytes += key_bytes;
        self.live.value_bytes += value_bytes;
        self.row_bytes.add(key_bytes + value_bytes);
    }

    /// A value that is one entry: whether it passes through Kryo, and how much of the row is expired.
    #[inline]
    fn one(&mut self, one: &OnePlan, key: &[u8], value: &[u8], table: u32) -> (bool, u64) {
        self.live.entries += 1;
        let bytes = (key.len() + value.len()) as u64;
        let is_null = one.null_flag && value == [1];
        if one.len.is_some_and(|len| len != value.len()) && !is_null {
            self.not_walked(Problem::ValueContradicts, OTHER_LENGTH_OF_VALUE, key, bytes, table);
        }
        let mut expired = 0;
        if let Some(at) = one.timestamp_at {
            match value.get(at..).and_then(<[u8]>::first_chunk) {
                Some(timestamp) => {
                    expired = self.stamp(i64::from_be_bytes(*timestamp), bytes, true, table).bytes;
                }
                None => {
                    self.without_timestamp += 1;
                    if !is_null && one.len.is_none() {
                        self.not_walked(Problem::ValueContradicts, NO_TIMESTAMP, key, bytes, table);
                    }
                }
            }
        }
        let touched = !is_null && one.kryo.touches(value);
        if touched && let Some(from) = one.kryo_from {
            self.kryo.value_bytes += value.len().saturating_sub(from) as u64;
        }
        (touched, expired)
    }

    /// The elements of a list, or of a part of one.
    fn list(&mut self, list: &'p ListPlan, value: &[u8], table: u32) -> ListSums<'p> {
        let mut sums = ListSums::default();
        let stamped = list.layout.has_ttl();
        let met = list.layout.for_each_element(value, &list.delimiter, |timestamp, element| {
            let bytes = element.len() as u64;
            self.element_bytes.add(bytes);
            if let Some(timestamp) = timestamp {
                let expired = self.stamp(timestamp, bytes, false, table);
                sums.expired += expired.entries;
                sums.expired_bytes += expired.bytes;
            }
        });
        match met {
            Met::All { count } => {
                sums.elements = count;
                sums.kryo = count > 0 && list.kryo == Touch::Always;
            }
            Met::NotWalked { count, stop, timestamp, .. } => {
                // Of the rest, there is one element at least, and its timestamp.
                sums.elements = count + 1;
                sums.kryo = list.is_kryo(stop);
                sums.problem = Some((Problem::ElementsNotWalked, list.reason(stop)));
                match timestamp {
                    Some(timestamp) => sums.expired += self.stamp(timestamp, 0, false, table).entries,
                    None => self.without_timestamp += u64::from(stamped),
                }
            }
            Met::Bad { count, bad } => {
                sums.elements = count + 1;
                sums.kryo = list.kryo == Touch::Always;
                sums.problem = Some((Problem::ElementsContradict, bad.rule));
                self.without_timestamp += u64::from(stamped);
            }
        }
        sums
    }

    /// Ends a list that came in one piece: how much of the row is expired.
    fn end_list(&mut self, sums: ListSums<'p>, key: &[u8], bytes: u64, table: u32) -> u64 {
        self.live.entries += sums.elements;
        if let Some((problem, reason)) = sums.problem {
            self.not_walked(problem, reason, key, bytes, table);
        }
        if !sums.is_expired() {
            return sums.expired_bytes;
        }
        self.expire_row(bytes - sums.expired_bytes, table);
        bytes
    }

    /// All entries of a list are expired: so is the rest of its row.
    fn expire_row(&mut self, rest: u64, table: u32) {
        if let Some(expiry) = &mut self.expiry {
            expiry.add_row(rest, table);
        }
    }

    fn timer(&mut self, key: &[u8], bytes: u64, table: u32) {
        self.live.entries += 1;
        let plan = self.plan;
        if let Some(time) = plan.timer_time(key) {
            self.due.add(time);
        }
        match plan.timer_key(key) {
            Ok(range) => {
                self.current.clear();
                self.current.extend_from_slice(key.get(..plan.prefix()).unwrap_or_default());
                self.current.extend_from_slice(key.get(range).unwrap_or_default());
                self.timer_keys.add(&self.current, bytes);
            }
            Err((problem, reason)) => self.not_walked(problem, reason, key, bytes, table),
        }
    }

    /// Counts the timestamp of an entry.
    #[inline]
    fn stamp(&mut self, timestamp: i64, bytes: u64, is_row: bool, table: u32) -> Expired {
        self.ages.add(timestamp, bytes);
        match &mut self.expiry {
            Some(expiry) => expiry.add(timestamp, bytes, is_row, table),
            None => Expired::default(),
        }
    }

    #[cold]
    fn touch(&mut self, kryo: &KryoPlan, key: &[u8], value: bool, bytes: u64) {
        let in_key = self.key.map_or(kryo.key.always(), |open| open.kryo);
        let user_key = self.pair.and_then(|_| key.get(self.current.len()..));
        let in_user_key = user_key.map_or(kryo.user_key.always(), |user_key| kryo.user_key.touches(user_key));
        if in_key || in_user_key || kryo.in_namespace || value {
            self.kryo.touched_rows += 1;
            self.kryo.touched_bytes += bytes;
        }
        if let Some(open) = self.key
            && kryo.is_key
        {
            self.kryo.key_bytes += open.end.saturating_sub(self.plan.prefix()) as u64;
        }
        if let Some(user_key) = user_key
            && kryo.is_user_key
        {
            self.kryo.value_bytes += user_key.len() as u64;
        }
    }

    #[cold]
    fn not_walked(&mut self, problem: Problem, reason: &str, key: &[u8], bytes: u64, table: u32) {
        let sst = self.tables.get(table as usize).map_or(0, |facts| facts.number);
        let row = NotWalkedTotals {
            reason: reason.to_owned(),
            rows: 1,
            bytes,
            example: (KeyBytes::from(key.get(..EXAMPLE_BYTES).unwrap_or(key)), sst),
        };
        match self.not_walked.entry(problem) {
            Entry::Occupied(mut totals) => totals.get_mut().merge(row),
            Entry::Vacant(place) => {
                place.insert(row);
            }
        }
    }

    // ---- where the key, the namespace or the key group changes -----------------------------------------------------

    /// A row that may have another key or namespace than the one before. Returns what keeps it from being cut.
    #[inline]
    fn enter(&mut self, key: &[u8], shared: usize) -> Option<Cause<'p>> {
        let plan = self.plan;
        self.settle();
        let compare = std::mem::take(&mut self.strayed);
        if shared < plan.prefix() || self.group.is_none() {
            self.enter_group(key);
        }
        if matches!(plan.values(), Values::Timers) {
            // Each has another time, and is cut where its key is counted.
            self.same_until = plan.prefix();
            return None;
        }
        let cut = plan.cut(key);
        let Some(end) = cut.key.filter(|end| *end <= key.len()) else {
            (self.astray, self.strayed) = (Some(self.live), true);
            (self.expected_len, self.same_until) = (None, usize::MAX);
            return cut.problem;
        };
        // How much of `current` this row begins with: `shared`, if that is of the row before. More is not asked for.
        let common = if compare { common_prefix(&self.current, key) } else { shared };
        let same_key = self.key.as_ref().is_some_and(|open| open.end == end && common >= end);
        let pair = cut.pair.filter(|pair| (end..=key.len()).contains(pair));
        let same_pair = same_key && self.pair.is_some() && pair == Some(self.current.len());
        if !(same_pair && common >= self.current.len()) {
            self.close_pair(Place::Inside);
            if !same_key {
                self.close_key(Place::Inside);
            }
            self.current.clear();
            self.current.extend_from_slice(key.get(..pair.unwrap_or(end)).unwrap_or(key));
            if !same_key {
                self.open_key(end);
            }
            if pair.is_some() {
                self.pair = Some(if self.any_pair { Place::Inside } else { Place::Edge });
                self.any_pair = true;
            }
        }
        (self.expected_len, self.same_until) = match pair {
            Some(pair) => (plan.row_len(pair), if cut.stable { pair } else { usize::MAX }),
            None => (None, usize::MAX),
        };
        cut.problem
    }

    /// What a row that belongs to no key added is none of the current key's.
    #[inline]
    fn settle(&mut self) {
        if let Some(before) = self.astray.take()
            && let Some(open) = &mut self.key
        {
            open.base.merge(&self.live.less(&before));
        }
    }

    #[cold]
    fn enter_group(&mut self, key: &[u8]) {
        let group = self.plan.group(key);
        if group != self.group {
            self.close_pair(Place::Inside);
            self.close_key(Place::Inside);
            self.close_group();
            (self.group, self.group_base) = (group, self.live);
        }
    }

    fn close_group(&mut self) {
        if matches!(self.plan.values(), Values::Timers) {
            self.group_keys += self.timer_keys.end_group(&mut self.keys);
        }
        let sums = self.live.less(&self.group_base);
        if let Some(group) = self.group.take() {
            let totals = GroupTotals {
                rows: sums.rows,
                entries: sums.entries,
                bytes: sums.bytes(),
                keys: std::mem::take(&mut self.group_keys),
            };
            self.groups.entry(group).or_default().merge(&totals);
        }
    }

    /// The beginning of `current` is the key of the next row.
    #[inline]
    fn open_key(&mut self, end: usize) {
        let kryo = self.plan.kryo().is_some_and(|kryo| {
            let key = self.current.get(self.plan.prefix()..end);
            kryo.key.touches(key.unwrap_or_default())
        });
        self.key = Some(Open { end, base: self.live, given: KeyTotals::default(), kryo });
    }

    /// What the current key adds up to.
    fn key_sums(&self) -> Option<KeyTotals> {
        let sums = self.live.less(&self.key?.base);
        Some(KeyTotals { rows: sums.rows, entries: sums.entries, bytes: sums.bytes() })
    }

    #[inline]
    fn close_key(&mut self, next: Place) {
        let (Some(totals), Some(open)) = (self.key_sums(), self.key.take()) else { return };
        let key = self.current.get(..open.end).unwrap_or_default();
        let is_whole = self.keys.close(key, &totals, next == Place::Edge);
        self.group_keys += u64::from(is_whole);
        if let Some(run) = &mut self.run {
            run.push(key, totals.less(&open.given));
        }
    }

    #[inline]
    fn close_pair(&mut self, next: Place) {
        match self.pair.take() {
            Some(Place::Inside) if next == Place::Inside => self.pairs += 1,
            Some(_) => {
                self.edge_pairs.insert(KeyBytes::from(self.current.as_slice()));
            }
            None => {}
        }
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

const OTHER_LENGTH: &str = "the composite key is longer or shorter than what its serializers write";
const OTHER_LENGTH_OF_VALUE: &str = "the value is longer or shorter than what its serializer writes";
const NO_TIMESTAMP: &str = "it is too short to hold a timestamp";
const NO_PLAIN_VALUE: &str =
    "the value is no plain one: it lies elsewhere, has columns, or is what only user code merges";
const NO_LIST: &str = "merge operands in a state that is no list";
