//! Where the entries of one key are.

use serde_json::Value;
use statescope_formats::flink::key::{KeyGroupPrefix, KeyHash, KeyLayout, key_group};
use statescope_formats::flink::serializer::{Basic, Kind};
use statescope_formats::flink::state_meta::{KeyedBackendMeta, KeyedStateType, StateKind, StateMetaInfo};
use statescope_formats::flink::value::{KryoVersion, ValueEncoder};

use crate::model::{Details, KeyGroupRange, Operator, Snapshot};

/// A range of composite keys: from the first on, up to the second.
pub type KeyRange = (Vec<u8>, Option<Vec<u8>>);

/// A key that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLookup {
    /// The bytes that serializers write for it.
    pub keys: Vec<Vec<u8>>,
    /// Where its entries are, in ascending order.
    pub ranges: Vec<KeyRange>,
    /// The key groups that they are in, if that is known: else, all are tried.
    pub key_groups: Option<Vec<u32>>,
    /// Where its entries may be if they are not there: the hash of keys may be another one than what their bytes say.
    pub otherwise: Vec<KeyRange>,
    /// Whether each range holds one composite key: filters of tables tell whether it is there.
    pub is_exact: bool,
}

impl KeyLookup {
    /// Of a key of an operator, as text.
    ///
    /// # Errors
    /// The text is no key of the operator's type; or that type is not known.
    pub fn of_text(
        text: &str,
        operator: usize,
        state: &str,
        snapshot: &Snapshot,
        details: &Details,
    ) -> Result<Self, String> {
        let kryo = KryoVersion::of_metadata_version(snapshot.metadata_version);
        let meta = meta_of(operator, details)?;
        let encoder = ValueEncoder::compile(&meta.key_serializer, kryo);
        let keys = match serde_json::from_str::<Value>(text) {
            // What is typed without quotes is a text, if keys are texts.
            Ok(json) => encoder.encodings(&json).or_else(|error| {
                encoder.encodings(&Value::String(text.to_owned())).map_err(|_| error.to_string())
            }),
            Err(error) => encoder
                .encodings(&Value::String(text.to_owned()))
                .map_err(|other| format!("{other}; it is no JSON: {error}")),
        }?;
        Self::of_bytes(keys, operator, state, snapshot, details)
    }

    /// Of a key of an operator, by its bytes.
    ///
    /// # Errors
    /// The type of keys is not known.
    pub fn of_bytes(
        keys: Vec<Vec<u8>>,
        operator: usize,
        state: &str,
        snapshot: &Snapshot,
        details: &Details,
    ) -> Result<Self, String> {
        let kryo = KryoVersion::of_metadata_version(snapshot.metadata_version);
        let meta = meta_of(operator, details)?;
        let operator = snapshot.operators.get(operator).ok_or("there is no such operator")?;
        let info = meta.states.iter().find(|it| it.name == state);
        let is_timer = info.is_some_and(|it| it.kind == StateKind::PriorityQueue);
        let exact = info.and_then(|it| one_row(operator, meta, it));
        let hash = KeyHash::compile(&meta.key_serializer, kryo);
        let most = u32::try_from(operator.max_parallelism).unwrap_or(0);
        let groups: Option<Vec<u32>> =
            keys.iter().map(|key| hash.hash(key).map(|hash| key_group(hash, most))).collect();
        let ranges = |groups: &mut dyn Iterator<Item = u32>, key: &[u8]| -> Vec<KeyRange> {
            let key = if is_timer { &[][..] } else { key };
            let range = |group| match &exact {
                Some(layout) => {
                    let mut low = Vec::new();
                    layout.compose(group, key, VOID_NAMESPACE, &mut low);
                    let high = [&low[..], &[0]].concat();
                    (low, Some(high))
                }
                None => range(operator, group, key),
            };
            groups.map(range).collect()
        };
        let all = || sorted(keys.iter().flat_map(|key| ranges(&mut (0..most), key)).collect());
        let (found, otherwise) = match &groups {
            Some(groups) => {
                let each = keys.iter().zip(groups);
                let found = each.flat_map(|(key, group)| ranges(&mut std::iter::once(*group), key));
                (sorted(found.collect()), if hash.is_certain() { Vec::new() } else { all() })
            }
            None => (all(), Vec::new()),
        };
        Ok(Self { keys, ranges: found, key_groups: groups, otherwise, is_exact: exact.is_some() })
    }
}

/// Leaves out the tables of an operator that hold nothing of these ranges.
pub fn narrow(details: &mut Details, operator: usize, ranges: &[KeyRange]) {
    for keyed in details.keyed.iter_mut().filter(|keyed| keyed.operator == operator) {
        let Some(database) = &mut keyed.database else { continue };
        database.tables.retain(|table| {
            table.bounds.as_ref().is_none_or(|bounds| {
                let (smallest, largest) = (&bounds.smallest.user_key, &bounds.largest.user_key);
                ranges
                    .iter()
                    .any(|(low, high)| largest >= low && high.as_ref().is_none_or(|high| smallest < high))
            })
        });
    }
}

/// Meta data of a handle of an operator: the serializer of keys is the same in all.
fn meta_of(operator: usize, details: &Details) -> Result<&KeyedBackendMeta, &'static str> {
    let mut handles = details.keyed.iter().filter(|keyed| keyed.operator == operator);
    handles.find_map(|keyed| keyed.meta.as_deref()).ok_or("the type of keys is not known")
}

/// What is written where there are no namespaces.
const VOID_NAMESPACE: &[u8] = &[0];

/// The composite keys of a state that has one row for each key, outside of windows.
fn one_row(operator: &Operator, meta: &KeyedBackendMeta, state: &StateMetaInfo) -> Option<KeyLayout> {
    use KeyedStateType::{Aggregating, Folding, List, Reducing, Value};

    let (StateKind::KeyValue(kind) | StateKind::KeyValueV2(kind)) = state.kind else { return None };
    let is_one = matches!(kind, Value | List | Reducing | Aggregating | Folding)
        && state.namespace_serializer()?.kind == Kind::Basic(Basic::VoidNamespace);
    let prefix = KeyGroupPrefix::of_max_parallelism(operator.max_parallelism);
    KeyLayout::of_state(prefix, &meta.key_serializer, state).filter(|_| is_one)
}

/// In ascending order, each key once: ranges lie within one another or apart.
fn sorted(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.sort();
    ranges.dedup_by(|(low, _), (_, end)| end.as_ref().is_none_or(|end| *low < *end));
    ranges
}

/// The composite keys of a key group that begin with a key.
fn range(operator: &Operator, group: u32, key: &[u8]) -> KeyRange {
    let bounds = operator.key_bounds(KeyGroupRange { start: group, count: 1 });
    let low = [&bounds.lower, key].concat();
    let mut high = low.clone();
    while high.len() > bounds.lower.len() {
        match high.last_mut() {
            Some(last) if *last < u8::MAX => {
                *last += 1;
                return (low, Some(high));
            }
            _ => drop(high.pop()),
        }
    }
    (low, bounds.upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OperatorId;

    #[test]
    fn what_lies_in_a_range_is_not_read_twice() {
        let range = |low: &[u8], end: &[u8]| (low.to_vec(), Some(end.to_vec()));
        let (a, within, b) = (range(b"a", b"b"), range(b"ab", b"ac"), range(b"b", b"c"));
        assert_eq!(sorted(vec![b.clone(), within, a.clone(), a.clone()]), [a, b]);
    }

    #[test]
    fn ranges_end_before_the_next_key() {
        let operator = |max_parallelism| Operator {
            id: OperatorId::from_uid("x"),
            name: None,
            uid: None,
            parallelism: 1,
            max_parallelism,
            coordinator: None,
            fully_finished: false,
            subtasks: Vec::new(),
        };
        assert_eq!(range(&operator(128), 5, b"ab"), (b"\x05ab".to_vec(), Some(b"\x05ac".to_vec())));
        assert_eq!(range(&operator(128), 5, b"a\xff"), (b"\x05a\xff".to_vec(), Some(b"\x05b".to_vec())));
        assert_eq!(range(&operator(128), 5, b"\xff\xff"), (b"\x05\xff\xff".to_vec(), Some(vec![6])));
        assert_eq!(range(&operator(128), 127, b"\xff"), (b"\x7f\xff".to_vec(), Some(vec![128])));
        assert_eq!(range(&operator(300), 299, b""), (vec![1, 43], Some(vec![1, 44])));
    }
}
