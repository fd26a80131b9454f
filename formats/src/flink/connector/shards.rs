//! Shards of Kinesis, and of streams of DynamoDB.
//!
//! ```text
//! position               utf type | bool { marker }
//!                        Kinesis: marker = bool { i64 timestamp } | bool { utf sequence number }
//!                        DynamoDB: marker = bool { utf sequence number }
//! Kinesis split v0       utf stream arn | utf shard | position
//!               v1       v0 | i32 n | n × utf parent | utf first hash key | utf last hash key
//!               v2       v1 | bool finished
//! Kinesis enumerator     bool { utf last seen shard } | i32 n | i32 split version | n × { i32 length | split | v1: i32 status }
//! DynamoDB split v0      utf stream arn | utf shard | position | bool { utf parent }
//!                v1      v0 | bool finished
//!                v2      v1 | i32 n | n × { utf shard | utf parent | utf first number | bool { utf last number } }
//! DynamoDB enumerator v0 i32 n | i32 split version | n × { i32 length | split | i32 status } | i64 begin
//! ```
//!
//! Times are in ms since 1970; status as Kafka has it, and 2 finished. Sources: `KinesisShardSplitSerializer`,
//! `KinesisStreamsSourceEnumeratorStateSerializer`, `DynamoDbStreamsShardSplitSerializer`,
//! `DynamoDbStreamsSourceEnumeratorStateSerializer` of flink-connector-aws.

use super::split::{Enumerator, Split};
use super::versioned::{Versioned, check, optional, strings};
use crate::cursor::Cursor;
use crate::error::{Result, ResultExt as _};

/// A shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSplit {
    /// The stream's name as AWS has it.
    pub stream_arn: String,
    /// The shard's id.
    pub shard_id: String,
    /// From where it is read: `TRIM_HORIZON`, `LATEST`, `AT_TIMESTAMP`, `AFTER_SEQUENCE_NUMBER`, `AT_SEQUENCE_NUMBER`.
    pub iterator: String,
    /// The time that `AT_TIMESTAMP` means, in ms since 1970.
    pub timestamp_ms: Option<i64>,
    /// The sequence number that it is read from.
    pub sequence_number: Option<String>,
    /// Shards that it came from.
    pub parents: Vec<String>,
    /// Whether it is read to its end; none where that is not recorded.
    pub finished: Option<bool>,
}

/// Stream, shard, and the type of the position.
fn begin(service: &str, cursor: &mut Cursor<'_>) -> Result<ShardSplit> {
    let offset = cursor.offset();
    let stream_arn = cursor.utf().field("stream_arn")?.into_owned();
    // arn:partition:service:region:account:resource
    let mut parts = stream_arn.split(':');
    let is_one = parts.next() == Some("arn") && parts.nth(1) == Some(service);
    check(is_one, "the name of a stream is an ARN of the service", &stream_arn, offset)?;
    let shard_id = cursor.utf().field("shard_id")?.into_owned();
    let offset = cursor.offset();
    let iterator = cursor.utf().field("shard_iterator_type")?.into_owned();
    let known = ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "AFTER_SEQUENCE_NUMBER", "AT_SEQUENCE_NUMBER"];
    check(known.contains(&iterator.as_str()), "a shard's position is of a known type", &iterator, offset)?;
    Ok(ShardSplit {
        stream_arn,
        shard_id,
        iterator,
        timestamp_ms: None,
        sequence_number: None,
        parents: Vec::new(),
        finished: None,
    })
}

fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    Ok(cursor.utf()?.into_owned())
}

pub(super) fn kinesis_split(split: Versioned<'_>) -> Result<Split> {
    if !matches!(split.version, 0..=2) {
        return split.unknown("a split of Kinesis", "0 to 2");
    }
    split.decode(|cursor| {
        let mut shard = begin("kinesis", cursor)?;
        if cursor.bool().field("has_marker")? {
            shard.timestamp_ms = optional(cursor, Cursor::i64).field("timestamp")?;
            shard.sequence_number = optional(cursor, text).field("sequence_number")?;
        }
        if split.version >= 1 {
            shard.parents = strings("parents", cursor)?;
            let _range = (cursor.utf().field("starting_hash_key")?, cursor.utf().field("ending_hash_key")?);
        }
        if split.version >= 2 {
            shard.finished = Some(cursor.bool().field("finished")?);
        }
        Ok(Split::Kinesis(shard))
    })
}

pub(super) fn dynamodb_split(split: Versioned<'_>) -> Result<Split> {
    if !matches!(split.version, 0..=2) {
        return split.unknown("a split of a stream of DynamoDB", "0 to 2");
    }
    split.decode(|cursor| {
        let mut shard = begin("dynamodb", cursor)?;
        if cursor.bool().field("has_marker")? {
            shard.sequence_number = optional(cursor, text).field("sequence_number")?;
        }
        shard.parents.extend(optional(cursor, text).field("parent")?);
        if split.version >= 1 {
            shard.finished = Some(cursor.bool().field("finished")?);
        }
        if split.version >= 2 {
            for i in 0..cursor.count32("child shards", 7)? {
                let child = (cursor.utf(), cursor.utf(), cursor.utf());
                let _child = (child.0.index("children", i)?, child.1.index("children", i)?, child.2?);
                let _last = optional(cursor, text).index("children", i)?;
            }
        }
        Ok(Split::DynamoDb(shard))
    })
}

pub(super) fn kinesis_enumerator(state: Versioned<'_>) -> Result<Enumerator> {
    if !matches!(state.version, 0 | 1) {
        return state.unknown("the enumerator of the source of Kinesis", "0, 1");
    }
    state.decode(|cursor| {
        let mut enumerator = Enumerator {
            last_seen_shard: optional(cursor, text).field("last_seen_shard")?,
            ..Enumerator::default()
        };
        if state.version == 1 {
            enumerator.with_statuses(cursor, kinesis_split)?;
        } else {
            let count = cursor.count32("splits", 4)?;
            let version = cursor.i32().field("split_version")?;
            for i in 0..count {
                let split = Versioned::sized(version, cursor).and_then(kinesis_split).index("splits", i)?;
                enumerator.unassigned.push(split);
            }
        }
        Ok(enumerator)
    })
}

pub(super) fn dynamodb_enumerator(state: Versioned<'_>) -> Result<Enumerator> {
    if state.version != 0 {
        return state.unknown("the enumerator of the source of streams of DynamoDB", "0");
    }
    state.decode(|cursor| {
        let mut enumerator = Enumerator::default();
        enumerator.with_statuses(cursor, dynamodb_split)?;
        enumerator.start_timestamp_ms = Some(cursor.i64().field("start_timestamp")?);
        Ok(enumerator)
    })
}
