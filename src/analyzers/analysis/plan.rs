//! What is known of a state before its rows are read: compiled once, and asked for every row.

use std::ops::Range;

use statescope_formats::flink::key::{KeyGroupPrefix, KeyLayout, KeyPart, UncutReason};
use statescope_formats::flink::serializer::{Edge, Kind, SerializerSnapshot};
use statescope_formats::flink::state_meta::{KeyedBackendMeta, StateKind, StateMetaInfo};
use statescope_formats::flink::walk::{StateValueLayout, StopKind, Touch, Walked, Walker};

use super::partial::Problem;
use super::timers::DEFAULT_TIMER_MEMORY;
use super::types::ReferenceTime;
use crate::model::{KeyedDetails, Operator};

/// What an analysis is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The time that ages are counted against.
    pub reference_time: ReferenceTime,
    /// How many keys each list of top keys is to hold.
    pub top: usize,
    /// The TTLs that were given.
    pub ttl: Vec<TtlArgument>,
    /// Other parallelisms to tell the skew for.
    pub parallelisms: Vec<u32>,
    /// Bytes of memory for the keys of one key group of timers.
    pub timer_memory: usize,
}

impl Settings {
    /// The settings that hold where nothing else is asked for.
    #[must_use]
    pub fn new(reference_time: ReferenceTime) -> Self {
        Self {
            reference_time,
            top: 10,
            ttl: Vec::new(),
            parallelisms: Vec::new(),
            timer_memory: DEFAULT_TIMER_MEMORY,
        }
    }

    /// The TTL of a state in milliseconds: the last that names it, else the last for all.
    #[must_use]
    pub fn ttl_of(&self, state: &str) -> Option<u64> {
        let last = |name: Option<&str>| self.ttl.iter().rev().find(|ttl| ttl.state.as_deref() == name);
        last(Some(state)).or_else(|| last(None)).map(|ttl| ttl.ttl_ms)
    }
}

/// `--ttl STATE=7d` or `--ttl *=7d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TtlArgument {
    /// The state; `None` for all.
    pub state: Option<String>,
    /// The TTL in milliseconds.
    pub ttl_ms: u64,
}

/// A TTL, with Flink's rule (`TtlUtils.expired`): expired is what is at least that old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ttl(i64);

impl Ttl {
    fn new(ms: u64) -> Self {
        Self(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// At a time, what is as old as this is expired.
    pub(super) fn until(self, now: i64) -> i64 {
        now.saturating_sub(self.0)
    }
}

/// A state of a keyed state handle, as its rows are to be read.
#[derive(Debug)]
pub struct StatePlan {
    prefix: KeyGroupPrefix,
    /// How composite keys are cut; `None` where nothing is known of them but the key group.
    layout: Option<KeyLayout>,
    /// In words, for each stop of the key, the namespace and the user key.
    reasons: [Vec<String>; 3],
    /// Bytes behind key and namespace, where all rows have the same.
    user_key_len: Option<usize>,
    values: Values,
    has_timestamps: bool,
    kryo: Option<KryoPlan>,
    delimiter: Vec<u8>,
    ttl: Option<Ttl>,
    reference_ms: i64,
    top: usize,
    timer_memory: usize,
}

/// What is to be done with values.
#[derive(Debug)]
pub(super) enum Values {
    /// Nothing: each is one entry, of which nothing more is asked.
    Plain,
    /// Each is one entry.
    One(OnePlan),
    /// Each is a list.
    List(ListPlan),
    /// The entry is in the key.
    Timers,
}

/// A value that is one entry.
#[derive(Debug)]
pub(super) struct OnePlan {
    /// Whether it begins with a byte that says whether it is null.
    pub(super) null_flag: bool,
    /// Where its timestamp stands.
    pub(super) timestamp_at: Option<usize>,
    /// The length of a value that is not null, if all have the same.
    pub(super) len: Option<usize>,
    /// Where it passes through Kryo.
    pub(super) kryo: Touches,
    /// Where Kryo's bytes begin, if they reach to its end.
    pub(super) kryo_from: Option<usize>,
}

/// A value that is a list.
#[derive(Debug)]
pub(super) struct ListPlan {
    pub(super) layout: StateValueLayout,
    pub(super) delimiter: Vec<u8>,
    pub(super) kryo: Touch,
    reasons: Vec<String>,
}

impl ListPlan {
    /// Whether a walk stops there because of Kryo.
    pub(super) fn is_kryo(&self, stop: usize) -> bool {
        self.layout.walker().stops().get(stop).is_some_and(|stop| stop.kind == StopKind::Kryo)
    }

    /// Why a walk stops there.
    pub(super) fn reason(&self, stop: usize) -> &str {
        self.reasons.get(stop).map_or("", String::as_str)
    }
}

/// Whether bytes pass through Kryo.
#[derive(Debug)]
pub(super) enum Touches {
    Never,
    Always,
    /// It depends: they must be walked, from this byte on.
    Maybe(Walker, usize),
}

impl Touches {
    fn new(walker: &Walker, from: usize) -> Self {
        match walker.kryo() {
            Touch::Never => Self::Never,
            Touch::Maybe => Self::Maybe(walker.clone(), from),
            Touch::Always => Self::Always,
        }
    }

    fn any(&self) -> bool {
        !matches!(self, Self::Never)
    }

    /// What does not need a look.
    pub(super) fn always(&self) -> bool {
        matches!(self, Self::Always)
    }

    pub(super) fn touches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Maybe(walker, from) => match walker.walk(bytes.get(*from..).unwrap_or_default()) {
                Walked::Stopped { stop, .. } => {
                    walker.stops().get(stop).is_some_and(|stop| stop.kind == StopKind::Kryo)
                }
                Walked::End(_) | Walked::Bad(_) => false,
            },
        }
    }
}

/// Where rows pass through Kryo.
#[derive(Debug)]
pub(super) struct KryoPlan {
    pub(super) key: Touches,
    /// Whether keys are nothing but Kryo's bytes.
    pub(super) is_key: bool,
    pub(super) in_namespace: bool,
    pub(super) user_key: Touches,
    /// Whether user keys are nothing but Kryo's bytes.
    pub(super) is_user_key: bool,
}

/// What keeps a row, or a part of it, from being divided, and why in words.
pub(super) type Cause<'p> = (Problem, &'p str);

/// Where the parts of a composite key end.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut<'p> {
    /// Where the key ends.
    pub(super) key: Option<usize>,
    /// Where key and namespace end.
    pub(super) pair: Option<usize>,
    /// Whether all composite keys that begin with `pair` bytes are cut like this.
    pub(super) stable: bool,
    /// What keeps it from being cut.
    pub(super) problem: Option<Cause<'p>>,
}

impl StatePlan {
    /// Compiles a state of a handle: the one that is called like the column family.
    #[must_use]
    pub fn compile(
        operator: &Operator,
        details: &KeyedDetails,
        column_family: &str,
        settings: &Settings,
    ) -> Self {
        Self::new(
            KeyGroupPrefix::of_max_parallelism(operator.max_parallelism),
            details.meta.as_deref(),
            column_family,
            delimiter_of(details, column_family),
            settings,
        )
    }

    /// As [`StatePlan::compile`], from what it needs.
    #[must_use]
    pub(super) fn new(
        prefix: KeyGroupPrefix,
        meta: Option<&KeyedBackendMeta>,
        name: &str,
        delimiter: Vec<u8>,
        settings: &Settings,
    ) -> Self {
        let state = meta.and_then(|meta| meta.states.iter().find(|state| state.name == name));
        let layout = meta
            .zip(state)
            .and_then(|(meta, state)| KeyLayout::of_state(prefix, &meta.key_serializer, state));
        let value = state.and_then(StateValueLayout::of_state);
        let reasons = |part| match layout.as_ref().and_then(|layout| layout.walker(part)) {
            Some(walker) => walker.stops().iter().map(ToString::to_string).collect(),
            None => Vec::new(),
        };
        let is_timers = state.is_some_and(|state| state.kind == StateKind::PriorityQueue);
        let has_timestamps = !is_timers && value.as_ref().is_some_and(StateValueLayout::has_ttl);
        let ttl = settings.ttl_of(name).filter(|_| has_timestamps).map(Ttl::new);
        let values = match (state, value) {
            _ if is_timers => Values::Timers,
            (Some(_), Some(layout)) if layout.is_list() => {
                let reasons = layout.walker().stops().iter().map(ToString::to_string).collect();
                let kryo = layout.kryo();
                Values::List(ListPlan { layout, delimiter: delimiter.clone(), kryo, reasons })
            }
            (Some(state), Some(layout)) => one(state, &layout),
            _ => Values::Plain,
        };
        let user_key_len = layout.as_ref().and_then(|layout| match layout.walker(KeyPart::UserKey) {
            Some(walker) => walker.fixed_len(),
            None => Some(0),
        });
        let key = meta.map(|meta| &meta.key_serializer);
        let kryo = layout.as_ref().map(|layout| kryo_plan(layout, key, state));
        let in_value = match &values {
            Values::One(one) => one.kryo.any(),
            Values::List(list) => list.kryo != Touch::Never,
            Values::Plain | Values::Timers => false,
        };
        Self {
            prefix,
            reasons: [KeyPart::Key, KeyPart::Namespace, KeyPart::UserKey].map(reasons),
            user_key_len,
            layout,
            values,
            has_timestamps,
            kryo: kryo.filter(|kryo| in_value || kryo.key.any() || kryo.user_key.any() || kryo.in_namespace),
            delimiter,
            ttl,
            reference_ms: settings.reference_time.at_ms,
            top: settings.top,
            timer_memory: settings.timer_memory,
        }
    }

    /// Whether a split may begin and end within a key group. Timers of a key are spread over their key group, and are
    /// counted in one place.
    #[must_use]
    pub fn divides_key_groups(&self) -> bool {
        !matches!(self.values, Values::Timers)
    }

    /// Whether what each key holds is known as rows go by, so that the state is part of the operator's keys.
    #[must_use]
    pub fn counts_keys(&self) -> bool {
        self.layout.is_some() && self.divides_key_groups()
    }

    /// Whether rows that are made of several parts are expected: the state is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.values, Values::List(_))
    }

    /// What stands between the parts of a merged row.
    #[must_use]
    pub fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    pub(super) fn prefix(&self) -> usize {
        self.prefix.bytes()
    }

    pub(super) fn group(&self, composite: &[u8]) -> Option<u32> {
        self.prefix.key_group(composite)
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    pub(super) fn has_timestamps(&self) -> bool {
        self.has_timestamps
    }

    pub(super) fn kryo(&self) -> Option<&KryoPlan> {
        self.kryo.as_ref()
    }

    pub(super) fn ttl(&self) -> Option<Ttl> {
        self.ttl
    }

    pub(super) fn reference_ms(&self) -> i64 {
        self.reference_ms
    }

    pub(super) fn top(&self) -> usize {
        self.top
    }

    pub(super) fn timer_memory(&self) -> usize {
        self.timer_memory
    }

    /// The length of composite keys with this much for key and namespace, if all have the same.
    #[inline]
    pub(super) fn row_len(&self, pair: usize) -> Option<usize> {
        self.user_key_len.map(|user_key| pair.saturating_add(user_key))
    }

    /// Where key and namespace end in the composite key of a row.
    #[inline]
    pub(super) fn cut(&self, composite: &[u8]) -> Cut<'_> {
        let Some(layout) = &self.layout else {
            return Cut { problem: Some((Problem::KeyNotCut, NOT_DESCRIBED)), ..Cut::default() };
        };
        match layout.head(composite) {
            Ok(head) => Cut {
                key: Some(head.key_end),
                pair: head.end.ok(),
                stable: head.from_front,
                problem: head.end.err().map(|why| self.problem(why, Problem::NamespaceNotCut)),
            },
            Err(why) => Cut { problem: Some(self.problem(why, Problem::KeyNotCut)), ..Cut::default() },
        }
    }

    #[cold]
    fn problem(&self, why: UncutReason, not_cut: Problem) -> Cause<'_> {
        match why {
            UncutReason::Bad(bad) => (Problem::KeyContradicts, bad.rule),
            UncutReason::Several => (not_cut, SEVERAL),
            UncutReason::Opaque { part, stop, .. } => {
                let [key, namespace, user_key] = &self.reasons;
                let reasons = match part {
                    KeyPart::Key => key,
                    KeyPart::Namespace => namespace,
                    KeyPart::UserKey => user_key,
                };
                (not_cut, reasons.get(stop).map_or("", String::as_str))
            }
        }
    }

    /// The time of a timer.
    pub(super) fn timer_time(&self, composite: &[u8]) -> Option<i64> {
        self.layout.as_ref()?.timestamp(composite)
    }

    /// Where the key of a timer lies.
    pub(super) fn timer_key(&self, composite: &[u8]) -> Result<Range<usize>, Cause<'_>> {
        let layout = self.layout.as_ref().ok_or((Problem::KeyNotCut, NOT_DESCRIBED))?;
        layout.cut(composite).map(|cut| cut.key).map_err(|uncut| self.problem(uncut.why, Problem::KeyNotCut))
    }
}

const NOT_DESCRIBED: &str = "no meta data describes the state, or it could not be decoded";
const SEVERAL: &str = "more than one way to cut the composite key fits";

/// A value that is one entry; plain where nothing of it is to be looked at.
fn one(state: &StateMetaInfo, layout: &StateValueLayout) -> Values {
    let null_flag = state.user_key_serializer().is_some();
    let flag = usize::from(null_flag);
    let value = state.value_serializer().map(|value| match value.kind {
        Kind::Map if null_flag && matches!(state.kind, StateKind::KeyValue(_)) => {
            value.part(&Edge::Value).unwrap_or(value)
        }
        _ => value,
    });
    let timestamp = if layout.has_ttl() { size_of::<i64>() } else { 0 };
    let plan = OnePlan {
        null_flag,
        timestamp_at: layout.timestamp_offset(),
        len: layout.walker().fixed_len().map(|len| len.saturating_add(flag)),
        kryo: Touches::new(layout.walker(), flag),
        kryo_from: value.is_some_and(is_kryo).then_some(flag + timestamp),
    };
    let is_plain = plan.timestamp_at.is_none() && plan.len.is_none() && !plan.kryo.any();
    if is_plain { Values::Plain } else { Values::One(plan) }
}

fn kryo_plan(
    layout: &KeyLayout,
    key: Option<&SerializerSnapshot>,
    state: Option<&StateMetaInfo>,
) -> KryoPlan {
    let touches = |part| layout.walker(part).map_or(Touches::Never, |walker| Touches::new(walker, 0));
    KryoPlan {
        key: touches(KeyPart::Key),
        is_key: key.is_some_and(is_kryo),
        in_namespace: touches(KeyPart::Namespace).always(),
        user_key: touches(KeyPart::UserKey),
        is_user_key: state.and_then(StateMetaInfo::user_key_serializer).is_some_and(is_kryo),
    }
}

/// Whether a value is nothing but Kryo's bytes, behind a timestamp if it has one.
fn is_kryo(mut serializer: &SerializerSnapshot) -> bool {
    while matches!(serializer.kind, Kind::Transparent | Kind::TtlAware { .. } | Kind::Ttl) {
        match serializer.part(&Edge::Wrapped) {
            Some(wrapped) => serializer = wrapped,
            None => return false,
        }
    }
    matches!(serializer.kind, Kind::Kryo { .. })
}

/// What stands between the parts of a merged row of a column family.
pub(in crate::analyzers) fn delimiter_of(details: &KeyedDetails, column_family: &str) -> Vec<u8> {
    let options = details.database.as_ref().and_then(|database| database.options.as_deref());
    let options = options.and_then(|options| options.column_family(column_family));
    delimiter(options.and_then(|family| family.raw.get("merge_operator")))
}

/// The delimiter of a merge operator as OPTIONS have it, such as `{id=StringAppendTESTOperator;delimiter=,;}`; Flink's,
/// where they do not say.
fn delimiter(merge_operator: Option<&str>) -> Vec<u8> {
    const FLINK: &str = ",";
    let fields = merge_operator.and_then(|text| text.strip_prefix('{')).unwrap_or_default();
    let named = fields.split(';').find_map(|field| field.trim().strip_prefix("delimiter="));
    named.filter(|delimiter| !delimiter.is_empty()).unwrap_or(FLINK).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_read_from_options() {
        let of = |text: Option<&str>| String::from_utf8(delimiter(text)).unwrap();
        assert_eq!(of(None), ",");
        assert_eq!(of(Some("nullptr")), ",");
        assert_eq!(of(Some("StringAppendTESTOperator")), ",");
        assert_eq!(of(Some("{id=StringAppendTESTOperator;delimiter=,;}")), ",");
        assert_eq!(of(Some("{id=StringAppendOperator; delimiter=--;}")), "--");
    }

    #[test]
    fn expired_is_what_is_as_old_as_the_ttl() {
        assert_eq!(Ttl::new(10).until(100), 90);
        assert_eq!(Ttl::new(u64::MAX).until(100), 100 - i64::MAX);
        assert_eq!(Ttl::new(u64::MAX).until(-100), i64::MIN);
    }
}
