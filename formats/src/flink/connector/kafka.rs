//! What Kafka's source and sink keep.
//!
//! ```text
//! split v0             utf topic | i32 partition | i64 start | i64 stop
//! dynamic split        utf cluster | v2: bool { i64 retained until } | i32 split version | split
//! enumerator v0        i32 n | i32 split version | n × { i32 subtask | i32 m | m × { i32 length | split } }
//!            v1        i32 n | n × { utf topic | i32 partition }
//!            v2        i32 n | n × { utf topic | i32 partition | i32 status } | bool discovered
//!            v3        i32 n | i32 split version | n × { i32 length | split | i32 status } | bool discovered
//! writer state v1      utf prefix
//!              v2      utf prefix | i32 subtask | i32 subtasks | i32 ownership | i32 n | n × { utf id | i64 checkpoint }
//! committable v1       i16 epoch | i64 producer | utf transactional id
//! ```
//!
//! Offsets: -1 the latest, -2 the earliest, -3 the one committed to Kafka; as stop, the smallest `long` is none, as start it is one that the
//! enumerator did not record. Status: 0 assigned, 1 not assigned. Times are in ms since 1970. Sources: `KafkaPartitionSplitSerializer`,
//! `KafkaSourceEnumStateSerializer`, `DynamicKafkaSourceSplitSerializer`, `KafkaWriterStateSerializer`, `KafkaCommittableSerializer` of
//! flink-connector-kafka; `SerdeUtils` of flink-connector-base (enumerator v0).

use super::split::{Enumerator, Split};
use super::versioned::{Versioned, check, optional};
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};

/// No offset.
const NONE: i64 = i64::MIN;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSplit {
    /// The cluster, of a dynamic source.
    pub cluster: Option<String>,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset that is read; see [`kafka_offset_name`]. None where an enumerator did not record it.
    pub start: Option<i64>,
    /// The offset before which reading ends; none if it does not.
    pub stop: Option<i64>,
    /// Until when a dynamic source keeps it though its cluster is gone, in ms since 1970.
    pub retained_until_ms: Option<i64>,
}

/// The name of an offset that is none, but stands for one that is asked for when reading begins.
#[must_use]
pub fn kafka_offset_name(offset: i64) -> Option<&'static str> {
    match offset {
        -1 => Some("latest"),
        -2 => Some("earliest"),
        -3 => Some("committed"),
        _ => None,
    }
}

/// What a writer of the sink keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaWriterState {
    /// With what its transactional ids begin.
    pub prefix: String,
    /// The subtask whose transactions it owns, of all that there were, and how ownership is told. None before version 2.
    pub owned: Option<(i32, i32, &'static str)>,
    /// Transactions that are precommitted: ids, and the checkpoints that they belong to.
    pub precommitted: Vec<(String, i64)>,
}

/// A transaction that is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaCommittable {
    /// The producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The transactional id.
    pub transactional_id: String,
}

fn topic(cursor: &mut Cursor<'_>) -> Result<String> {
    let offset = cursor.offset();
    let topic = cursor.utf().field("topic")?.into_owned();
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let holds = (1..=249).contains(&topic.len()) && topic.chars().all(legal);
    check(holds, "a topic has 1 to 249 letters, digits, dots, underscores and dashes", &topic, offset)?;
    Ok(topic)
}

fn partition(cursor: &mut Cursor<'_>) -> Result<i32> {
    let offset = cursor.offset();
    let partition = cursor.i32().field("partition")?;
    check(partition >= 0, "a partition is not negative", partition, offset)?;
    Ok(partition)
}

fn offset(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    let at = cursor.offset();
    let offset = cursor.i64()?;
    check(offset >= -3 || offset == NONE, "an offset of Kafka is not below -3", offset, at)?;
    Ok((offset != NONE).then_some(offset))
}

fn partition_split(cursor: &mut Cursor<'_>) -> Result<KafkaSplit> {
    Ok(KafkaSplit {
        cluster: None,
        topic: topic(cursor)?,
        partition: partition(cursor)?,
        start: offset(cursor).field("starting_offset")?,
        stop: offset(cursor).field("stopping_offset")?,
        retained_until_ms: None,
    })
}

fn decode_split(split: Versioned<'_>) -> Result<KafkaSplit> {
    match split.version {
        0 => split.decode(partition_split),
        _ => split.unknown("a split of Kafka", "0"),
    }
}

pub(super) fn split(split: Versioned<'_>) -> Result<Split> {
    decode_split(split).map(Split::Kafka)
}

pub(super) fn dynamic_split(split: Versioned<'_>) -> Result<Split> {
    if !matches!(split.version, 1 | 2) {
        return split.unknown("a split of Kafka's dynamic source", "1, 2");
    }
    split.decode(|cursor| {
        let cluster = cursor.utf().field("cluster")?.into_owned();
        let retained_until_ms = if split.version == 2 { optional(cursor, Cursor::i64)? } else { None };
        let version = cursor.i32().field("split_version")?;
        let offset = cursor.offset();
        let inner = Versioned { version, bytes: cursor.take(cursor.remaining())?, offset };
        Ok(Split::Kafka(KafkaSplit { cluster: Some(cluster), retained_until_ms, ..decode_split(inner)? }))
    })
}

pub(super) fn enumerator(state: Versioned<'_>) -> Result<Enumerator> {
    state.decode(|cursor| match state.version {
        0 => assignments(cursor),
        1 => listed(cursor, false),
        2 => listed(cursor, true),
        3 => with_splits(cursor),
        _ => state.unknown("the enumerator of Kafka's source", "0 to 3"),
    })
}

fn assignments(cursor: &mut Cursor<'_>) -> Result<Enumerator> {
    let mut enumerator = Enumerator { discovered: Some(true), ..Enumerator::default() };
    let subtasks = cursor.count32("subtasks", 8)?;
    let version = cursor.i32().field("split_version")?;
    for i in 0..subtasks {
        let _subtask = cursor.i32().index("subtasks", i)?;
        for j in 0..cursor.count32("splits", 4)? {
            let split = Versioned::sized(version, cursor).and_then(decode_split).index("splits", j)?;
            enumerator.assigned.push(Split::Kafka(split));
        }
    }
    Ok(enumerator)
}

fn listed(cursor: &mut Cursor<'_>, with_status: bool) -> Result<Enumerator> {
    let mut enumerator = Enumerator::default();
    for i in 0..cursor.count32("partitions", 6)? {
        let split = KafkaSplit {
            cluster: None,
            topic: topic(cursor).index("partitions", i)?,
            partition: partition(cursor).index("partitions", i)?,
            start: None,
            stop: None,
            retained_until_ms: None,
        };
        let assigned = !with_status || is_assigned(cursor).index("partitions", i)?;
        enumerator.add(Split::Kafka(split), assigned);
    }
    enumerator.discovered = Some(!with_status || cursor.bool().field("initial_discovery_finished")?);
    Ok(enumerator)
}

fn with_splits(cursor: &mut Cursor<'_>) -> Result<Enumerator> {
    let mut enumerator = Enumerator::default();
    enumerator.with_statuses(cursor, split)?;
    enumerator.discovered = Some(cursor.bool().field("initial_discovery_finished")?);
    Ok(enumerator)
}

/// The status of a partition.
fn is_assigned(cursor: &mut Cursor<'_>) -> Result<bool> {
    let offset = cursor.offset();
    match cursor.i32().field("status")? {
        0 => Ok(true),
        1 => Ok(false),
        other => {
            let rule = "the status of a partition is 0 (assigned) or 1 (not assigned)";
            Err(Error::invalid(rule, other.to_string(), offset))
        }
    }
}

pub(super) fn writer_state(state: Versioned<'_>) -> Result<KafkaWriterState> {
    if !matches!(state.version, 1 | 2) {
        return state.unknown("the state of a writer to Kafka", "1, 2");
    }
    state.decode(|cursor| {
        let prefix = cursor.utf().field("transactional_id_prefix")?.into_owned();
        if state.version == 1 {
            return Ok(KafkaWriterState { prefix, owned: None, precommitted: Vec::new() });
        }
        let (subtask, subtasks) = (cursor.i32()?, cursor.i32()?);
        let offset = cursor.offset();
        let ownership = match cursor.i32().field("ownership")? {
            0 => "implicit_by_subtask_id",
            1 => "explicit_by_writer_state",
            other => return Err(Error::invalid("ownership is 0 or 1", other.to_string(), offset)),
        };
        let count = cursor.count32("precommitted transactions", 10)?;
        let transaction = |i| -> Result<_> {
            let id = cursor.utf().index("precommitted", i)?.into_owned();
            Ok((id, cursor.i64().index("precommitted", i)?))
        };
        let precommitted = (0..count).map(transaction).collect::<Result<_>>()?;
        Ok(KafkaWriterState { prefix, owned: Some((subtask, subtasks, ownership)), precommitted })
    })
}

pub(super) fn committable(bytes: Versioned<'_>) -> Result<KafkaCommittable> {
    if bytes.version != 1 {
        return bytes.unknown("a committable of Kafka", "1");
    }
    bytes.decode(|cursor| {
        let offset = cursor.offset();
        let (epoch, producer_id) = (cursor.i16()?, cursor.i64()?);
        check(
            epoch >= -1 && producer_id >= -1,
            "epochs and ids of producers are not below -1",
            producer_id,
            offset,
        )?;
        Ok(KafkaCommittable {
            producer_id,
            epoch,
            transactional_id: cursor.utf().field("transactional_id")?.into_owned(),
        })
    })
}
