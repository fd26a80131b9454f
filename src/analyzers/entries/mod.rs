//! Entries of a keyed state as lines of JSON: what `cat` prints.

mod filter;
mod lookup;

use statescope_formats::flink::key::{KeyGroupPrefix, KeyLayout};
use statescope_formats::flink::serializer::{Basic, Edge, Kind, SerializerSnapshot};
use statescope_formats::flink::state_meta::StateKind;
use statescope_formats::flink::value::{
    JsonLimits, JsonSink, KryoVersion, Opaque, OpaqueReason, ValueDecoder, ValueSink,
};
use statescope_formats::flink::walk::{BadValue, StateValueLayout, StopKind, Walked};

pub use self::filter::EntryFilter;
use self::filter::{Bytes, Numbers};
pub use self::lookup::{KeyLookup, KeyRange, narrow};
use super::analysis::delimiter_of;
use crate::model::{KeyedDetails, Operator, Snapshot};

/// What of a state is asked for.
#[derive(Debug, Clone, Default)]
pub struct EntryQuestion {
    /// Only entries for which this holds.
    pub filter: Option<EntryFilter>,
    /// Only entries of these keys, by their bytes; of all, if there are none.
    pub keys: Vec<Vec<u8>>,
    /// Only entries whose TTL timestamp is not later than this.
    pub expired_until: Option<i64>,
    /// How much is written of a value.
    pub limits: JsonLimits,
}

/// How the rows of a state become lines: compiled once for each handle.
#[derive(Debug)]
pub struct EntryPlan {
    prefix: KeyGroupPrefix,
    layout: Option<KeyLayout>,
    values: Option<StateValueLayout>,
    key: Option<ValueDecoder>,
    /// None where there are no namespaces.
    namespace: Option<ValueDecoder>,
    user_key: Option<ValueDecoder>,
    entry: Option<ValueDecoder>,
    kind: Rows,
    delimiter: Vec<u8>,
    subtask: u32,
}

/// What a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Value,
    List,
    Map,
    Timer,
}

impl EntryPlan {
    /// Of a state of a handle. What its meta data does not describe is opaque.
    #[must_use]
    pub fn compile(operator: &Operator, details: &KeyedDetails, name: &str, snapshot: &Snapshot) -> Self {
        let kryo = KryoVersion::of_metadata_version(snapshot.metadata_version);
        let decoder = |snapshot: &SerializerSnapshot| ValueDecoder::compile(snapshot, kryo);
        let mut plan = Self {
            prefix: KeyGroupPrefix::of_max_parallelism(operator.max_parallelism),
            layout: None,
            values: None,
            key: None,
            namespace: None,
            user_key: None,
            entry: None,
            kind: Rows::Value,
            delimiter: delimiter_of(details, name),
            subtask: details.subtask,
        };
        let Some(meta) = details.meta.as_deref() else { return plan };
        let Some(state) = meta.states.iter().find(|state| state.name == name) else { return plan };
        plan.layout = KeyLayout::of_state(plan.prefix, &meta.key_serializer, state);
        plan.values = StateValueLayout::of_state(state);
        let is_timer = state.kind == StateKind::PriorityQueue;
        let timer = state.value_serializer().filter(|_| is_timer);
        let (key, namespace) = match timer {
            Some(timer) => (timer.part(&Edge::Key), timer.part(&Edge::Namespace)),
            None => (Some(&meta.key_serializer), state.namespace_serializer()),
        };
        let user_key = state.user_key_serializer();
        plan.kind = match &plan.values {
            _ if is_timer => Rows::Timer,
            Some(values) if values.is_list() => Rows::List,
            Some(_) if user_key.is_some() => Rows::Map,
            _ => Rows::Value,
        };
        let is_void = |snapshot: &&SerializerSnapshot| snapshot.kind != Kind::Basic(Basic::VoidNamespace);
        plan.key = key.map(decoder);
        plan.namespace = namespace.filter(is_void).map(decoder);
        plan.user_key = user_key.filter(|_| plan.kind == Rows::Map).map(decoder);
        plan.entry = StateValueLayout::entry_serializer(state).filter(|_| !is_timer).map(decoder);
        plan
    }

    /// Whether values have TTL timestamps.
    fn has_ttl(&self) -> bool {
        self.values.as_ref().is_some_and(StateValueLayout::has_ttl)
    }
}

/// How many entries there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EntryCounts {
    /// Entries that were written.
    pub entries: u64,
    /// Of these, entries of which some part could not be decoded.
    pub opaque: u64,
}

/// Writes the rows of a state as lines.
#[derive(Debug)]
pub struct EntryWriter<'p> {
    plan: &'p EntryPlan,
    question: &'p EntryQuestion,
    lines: Vec<u8>,
    /// What was written since the lines were taken.
    counts: EntryCounts,
    /// The parts of a row's key as the first fields of its lines, and the bytes that they were made of.
    head: Vec<u8>,
    head_of: Vec<u8>,
    head_key: usize,
    head_is_opaque: bool,
    /// The key of a row that has begun.
    key: Vec<u8>,
    /// Its parts, newest first; the buffers of others behind them.
    parts: Vec<Vec<u8>>,
    part_count: usize,
}

/// A row's key, cut.
struct Row<'a> {
    key_group: Option<u32>,
    /// All up to the end of the namespace.
    head: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    namespace: Option<&'a [u8]>,
    user_key: Option<&'a [u8]>,
    timestamp: Option<i64>,
}

const NOT_DECODED: OpaqueReason = OpaqueReason::Stop(StopKind::Undecodable);

impl<'p> EntryWriter<'p> {
    /// Of a state.
    #[must_use]
    pub fn new(plan: &'p EntryPlan, question: &'p EntryQuestion) -> Self {
        Self {
            plan,
            question,
            lines: Vec::new(),
            counts: EntryCounts::default(),
            head: Vec::new(),
            head_of: Vec::new(),
            head_key: 0,
            head_is_opaque: false,
            key: Vec::new(),
            parts: Vec::new(),
            part_count: 0,
        }
    }

    /// The lines since they were taken last.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Takes the lines, and how many entries they are.
    pub fn take(&mut self) -> (Vec<u8>, EntryCounts) {
        let room = Vec::with_capacity(self.lines.capacity());
        (std::mem::replace(&mut self.lines, room), std::mem::take(&mut self.counts))
    }

    /// A row with one value.
    pub fn put(&mut self, composite: &[u8], value: &[u8]) {
        let Some(row) = self.row(composite) else { return };
        match self.plan.kind {
            Rows::Value => self.value(&row, value),
            Rows::Map => self.map_value(&row, value),
            Rows::List => drop(self.list(&row, value, 0)),
            Rows::Timer => self.timer(&row),
        }
    }

    /// A row that consists of parts begins.
    pub fn begin(&mut self, composite: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(composite);
        self.part_count = 0;
    }

    /// A part of it, newest first.
    pub fn part(&mut self, value: &[u8]) {
        if self.part_count == self.parts.len() {
            self.parts.push(Vec::new());
        }
        if let Some(part) = self.parts.get_mut(self.part_count) {
            part.clear();
            part.extend_from_slice(value);
        }
        self.part_count += 1;
    }

    /// It is complete.
    pub fn end(&mut self) {
        let (key, parts) = (std::mem::take(&mut self.key), std::mem::take(&mut self.parts));
        if let Some(row) = self.row(&key) {
            let mut index = 0;
            for part in parts.iter().take(self.part_count).rev() {
                match self.plan.kind {
                    Rows::List => index = self.list(&row, part, index),
                    _ => self.not_decoded(&row, part),
                }
            }
        }
        (self.key, self.parts) = (key, parts);
    }

    /// A row whose value is of a kind that is not understood.
    pub fn not_understood(&mut self, composite: &[u8]) {
        if let Some(row) = self.row(composite) {
            self.not_decoded(&row, &[]);
        }
    }

    /// Cuts a row's key, and writes its parts; none if another key is asked for.
    fn row<'a>(&mut self, composite: &'a [u8]) -> Option<Row<'a>> {
        let plan = self.plan;
        let cut = match &plan.layout {
            Some(layout) => layout.cut(composite).map_err(|uncut| uncut.key_group),
            None => Err(plan.prefix.key_group(composite)),
        };
        let timestamp = plan.layout.as_ref().and_then(|layout| layout.timestamp(composite));
        let row = match cut {
            Ok(cut) => Row {
                key_group: Some(cut.key_group),
                head: composite.get(..cut.namespace.end),
                key: composite.get(cut.key),
                namespace: composite.get(cut.namespace),
                user_key: composite.get(cut.user_key),
                timestamp,
            },
            Err(key_group) => {
                Row { key_group, head: None, key: None, namespace: None, user_key: None, timestamp }
            }
        };
        let keys = &self.question.keys;
        if !keys.is_empty() && !row.key.is_some_and(|key| keys.iter().any(|asked| asked == key)) {
            return None;
        }
        // Rows of a key and namespace follow one another.
        let same = row.head.is_some()
            && row.head == Some(&self.head_of[..])
            && row.key.map(<[u8]>::len) == Some(self.head_key);
        if !same {
            self.head_of.clear();
            self.head_of.extend_from_slice(row.head.unwrap_or_default());
            self.head_key = row.key.map_or(0, <[u8]>::len);
            self.head.clear();
            self.head_is_opaque = false;
            self.write_head(&row, composite);
        }
        Some(row)
    }

    fn write_head(&mut self, row: &Row<'_>, composite: &[u8]) {
        let limits = self.question.limits;
        self.head.extend_from_slice(b"{\"key\":");
        let Some(key) = row.key else {
            // Nothing says where its parts end.
            opaque(&mut self.head, composite, NOT_DECODED, limits);
            self.head_is_opaque = true;
            return;
        };
        self.head_is_opaque |= part(&mut self.head, key, self.plan.key.as_ref(), limits);
        if let (Some(decoder), Some(namespace)) = (&self.plan.namespace, row.namespace) {
            self.head.extend_from_slice(b",\"namespace\":");
            self.head_is_opaque |= part(&mut self.head, namespace, Some(decoder), limits);
        }
    }

    fn numbers(&self, row: &Row<'_>, index: Option<u64>, ttl_timestamp: Option<i64>) -> Numbers {
        Numbers {
            index,
            timestamp: row.timestamp,
            ttl_timestamp,
            key_group: row.key_group,
            subtask: self.plan.subtask,
        }
    }

    /// Whether an entry is asked for.
    fn is_asked(&self, row: &Row<'_>, value: Bytes<'_>, numbers: &Numbers) -> bool {
        if let Some(until) = self.question.expired_until
            && numbers.ttl_timestamp.is_none_or(|timestamp| timestamp > until)
        {
            return false;
        }
        let Some(filter) = &self.question.filter else { return true };
        let parts = [
            row.key.zip(self.plan.key.as_ref()),
            row.namespace.zip(self.plan.namespace.as_ref()),
            row.user_key.zip(self.plan.user_key.as_ref()),
            value,
        ];
        filter.holds(parts, numbers)
    }

    /// Begins a line, to where its value comes. Whether a part of it is opaque.
    fn begin_line(&mut self, row: &Row<'_>, index: Option<u64>) -> bool {
        self.lines.extend_from_slice(&self.head);
        let mut is_opaque = self.head_is_opaque;
        if let (Some(decoder), Some(user_key)) = (&self.plan.user_key, row.user_key) {
            self.lines.extend_from_slice(b",\"user_key\":");
            is_opaque |= part(&mut self.lines, user_key, Some(decoder), self.question.limits);
        }
        if let Some(index) = index {
            self.number(",\"index\":", index);
        }
        is_opaque
    }

    fn end_line(&mut self, numbers: &Numbers, is_opaque: bool) {
        if let Some(timestamp) = numbers.ttl_timestamp {
            self.number(",\"ttl_timestamp_ms\":", timestamp);
        }
        if let Some(key_group) = numbers.key_group {
            self.number(",\"key_group\":", key_group);
        }
        self.number(",\"subtask\":", numbers.subtask);
        self.lines.extend_from_slice(b"}\n");
        self.counts.entries += 1;
        self.counts.opaque += u64::from(is_opaque);
    }

    fn number(&mut self, name: &str, number: impl itoa::Integer) {
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A value, with its timestamp in front of it if there are any.
    fn value(&mut self, row: &Row<'_>, value: &[u8]) {
        let (timestamp, value) = match self.plan.has_ttl().then(|| value.split_first_chunk::<8>()) {
            Some(Some((timestamp, value))) => (Some(i64::from_be_bytes(*timestamp)), value),
            // Too short to have one.
            Some(None) => return self.bad(row, value, 0, "a value has all its parts"),
            None => (None, value),
        };
        self.entry(row, value, timestamp);
    }

    fn entry(&mut self, row: &Row<'_>, value: &[u8], timestamp: Option<i64>) {
        let numbers = self.numbers(row, None, timestamp);
        if !self.is_asked(row, self.plan.entry.as_ref().map(|decoder| (value, decoder)), &numbers) {
            return;
        }
        let mut is_opaque = self.begin_line(row, None);
        self.lines.extend_from_slice(b",\"value\":");
        is_opaque |= part(&mut self.lines, value, self.plan.entry.as_ref(), self.question.limits);
        self.end_line(&numbers, is_opaque);
    }

    /// A map's value: a flag, and what is not null.
    fn map_value(&mut self, row: &Row<'_>, value: &[u8]) {
        match value.split_first() {
            Some((0, value)) => self.value(row, value),
            Some((1, _)) => {
                let numbers = self.numbers(row, None, None);
                if self.is_asked(row, None, &numbers) {
                    let is_opaque = self.begin_line(row, None);
                    self.lines.extend_from_slice(b",\"value\":null");
                    self.end_line(&numbers, is_opaque);
                }
            }
            _ => self.bad(row, value, 0, "a value of a map is 1 and perhaps a null, or 0 and the value"),
        }
    }

    /// Elements, from a number on; what the next one has is returned.
    fn list(&mut self, row: &Row<'_>, value: &[u8], first: u64) -> u64 {
        let plan = self.plan;
        let Some(decoder) = &plan.entry else {
            self.not_decoded(row, value);
            return first + 1;
        };
        let (mut index, mut rest) = (first, value);
        while !rest.is_empty() {
            let (timestamp, element) = match plan.has_ttl().then(|| rest.split_first_chunk::<8>()) {
                Some(Some((timestamp, element))) => (Some(i64::from_be_bytes(*timestamp)), element),
                Some(None) => {
                    self.bad(row, rest, 0, "an element has all its parts");
                    return index + 1;
                }
                None => (None, rest),
            };
            let numbers = self.numbers(row, Some(index), timestamp);
            let is_asked = self.is_asked(row, Some((element, decoder)), &numbers);
            let start = self.lines.len();
            let mut is_opaque = self.begin_line(row, Some(index));
            self.lines.extend_from_slice(b",\"value\":");
            let mut sink = JsonSink::new(&mut self.lines, self.question.limits);
            let decoded = decoder.decode(element, &mut sink);
            sink.finish();
            is_opaque |= decoded.opaque > 0;
            if is_asked {
                self.end_line(&numbers, is_opaque);
            } else {
                self.lines.truncate(start);
            }
            index += 1;
            let Walked::End(end) = decoded.walked else { return index };
            rest = element.get(end..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match rest.strip_prefix(&plan.delimiter[..]) {
                // As Flink does, a delimiter at the end is taken for none. Elements without bytes end nowhere.
                Some(behind) if behind.len() < rest.len() || end > 0 => rest = behind,
                _ => {
                    self.bad(row, rest, 0, "a delimiter stands between elements of a list");
                    return index + 1;
                }
            }
        }
        index
    }

    fn timer(&mut self, row: &Row<'_>) {
        let numbers = self.numbers(row, None, None);
        if self.is_asked(row, None, &numbers) {
            let is_opaque = self.begin_line(row, None);
            if let Some(timestamp) = row.timestamp {
                self.number(",\"timestamp_ms\":", timestamp);
            }
            self.end_line(&numbers, is_opaque);
        }
    }

    /// What contradicts its layout.
    fn bad(&mut self, row: &Row<'_>, bytes: &[u8], at: usize, rule: &'static str) {
        self.opaque_value(row, bytes, OpaqueReason::Bad(BadValue { at, rule }));
    }

    /// What nothing says how to decode.
    fn not_decoded(&mut self, row: &Row<'_>, bytes: &[u8]) {
        self.opaque_value(row, bytes, NOT_DECODED);
    }

    fn opaque_value(&mut self, row: &Row<'_>, bytes: &[u8], why: OpaqueReason) {
        let numbers = self.numbers(row, None, None);
        if self.is_asked(row, None, &numbers) {
            self.begin_line(row, None);
            self.lines.extend_from_slice(b",\"value\":");
            opaque(&mut self.lines, bytes, why, self.question.limits);
            self.end_line(&numbers, true);
        }
    }
}

/// Writes a part, which the bytes consist of. Whether something of it is opaque.
fn part(out: &mut Vec<u8>, bytes: &[u8], decoder: Option<&ValueDecoder>, limits: JsonLimits) -> bool {
    match decoder {
        Some(decoder) => decoder.write_json(bytes, out, limits).opaque > 0,
        None => {
            opaque(out, bytes, NOT_DECODED, limits);
            true
        }
    }
}

fn opaque(out: &mut Vec<u8>, bytes: &[u8], why: OpaqueReason, limits: JsonLimits) {
    let mut sink = JsonSink::new(out, limits);
    sink.opaque(&Opaque { bytes, class: None, why });
    sink.finish();
}
