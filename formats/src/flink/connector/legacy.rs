//! List states of connectors that Flink no longer has.
//!
//! ```text
//! FlinkKafkaConsumer   topic-partition-offset-states: Kryo { cachedHash, partition, topic } | i64 offset
//! FlinkKinesisConsumer Kinesis-Stream-Shard-State: a POJO | Kryo { cachedHash, sequenceNumber, subSequenceNumber }
//! FlinkKafkaProducer   state: [bool] { transaction | i64 begun } | i32 n | n × { transaction | i64 begun } | bool { i32 m | m × utf id }
//!                      transaction: bool { utf transactional id } | i64 producer | i16 epoch
//! Kryo object          varint class + 2 | varint 1 | int field | … as FieldSerializer of Kryo 2 writes them: in the order of names
//! ```
//!
//! Kryo's bytes say neither which class they are of nor which fields it has; but both classes keep a hash of their other fields, so that one knows whether they are these. Times are in ms since
//! 1970. Sources: `FlinkKafkaConsumerBase`, `KafkaTopicPartition`, `FlinkKafkaProducer` of flink-connector-kafka 3, `KinesisStateUtil`, `SequenceNumber` of flink-connector-aws 4, `FieldSerializer` of Kryo 2.24.

use std::borrow::Cow;

use super::jdbc::{self, XaTransactions};
use super::versioned::optional;
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};
use crate::java::mutf8;

/// Where a consumer of a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the last record that was read, or one of the consumer's own: see [`consumer_offset_name`].
    pub offset: i64,
}

/// The name of an offset that is none (`KafkaTopicPartitionStateSentinel`).
#[must_use]
pub fn consumer_offset_name(offset: i64) -> Option<&'static str> {
    match offset {
        -915_623_761_776 => Some("not_set"),
        -915_623_761_775 => Some("earliest"),
        -915_623_761_774 => Some("latest"),
        -915_623_761_773 => Some("group_offset"),
        _ => None,
    }
}

/// How far a shard was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceNumber {
    /// The number, or a name of the consumer's own, such as `SENTINEL_TRIM_HORIZON`.
    pub sequence_number: String,
    /// The record within an aggregated one; -1 if it is not aggregated.
    pub sub_sequence_number: i64,
}

/// A transaction of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerTransaction {
    /// The transactional id; none without exactly-once.
    pub transactional_id: Option<String>,
    /// The producer's id; -1 if it has none.
    pub producer_id: i64,
    /// Its epoch; -1 if it has none.
    pub epoch: i16,
    /// When it was begun, in ms since 1970.
    pub begun_ms: i64,
}

/// An element of the state of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    /// The transaction that was open when the checkpoint was taken.
    pub open: Option<ProducerTransaction>,
    /// Those that are to be committed.
    pub to_commit: Vec<ProducerTransaction>,
}

/// `java.lang.String.hashCode`.
fn hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// A varint of 32 bits, of which the lowest bit is the sign.
fn signed(cursor: &mut Cursor<'_>) -> Result<i32> {
    let n = cursor.varint32()?;
    Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
}

/// As [`signed`], of 64 bits: eight bytes of 7 bits, and a ninth of 8.
fn signed_long(cursor: &mut Cursor<'_>) -> Result<i64> {
    let mut n = 0u64;
    for i in 0..9 {
        let byte = cursor.u8()?;
        if i == 8 {
            n |= u64::from(byte) << 56;
            break;
        }
        n |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
}

/// A string as Kryo's `Output.writeString` writes it: ASCII with the last byte marked, or a count and UTF-8 of each UTF-16 unit.
fn string(cursor: &mut Cursor<'_>) -> Result<String> {
    let rest = cursor.rest();
    let offset = cursor.offset();
    let first = rest.first().copied().unwrap_or_default();
    if first & 0x80 == 0 && !rest.is_empty() {
        let length = rest.iter().position(|byte| byte & 0x80 != 0).map_or(rest.len(), |last| last + 1);
        let text = cursor.take(length)?.iter().map(|byte| char::from(byte & 0x7f));
        return Ok(text.collect());
    }
    // One more than the units: 0 is null. Six bits with a flag of their own, then seven a byte.
    let mut count = u32::from(cursor.u8()? & 0x7f);
    if count & 0x40 != 0 {
        count = (count & 0x3f) | cursor.varint32()?.checked_shl(6).unwrap_or_default();
    }
    let Some(count) = count.checked_sub(1) else {
        return Err(Error::invalid("a name is not null", "null", offset));
    };
    let count = cursor.check_count("characters", count.into(), 1, offset)?;
    let mut length = 0usize;
    for _ in 0..count {
        length += match cursor.rest().get(length) {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            _ => 1,
        };
    }
    let base = cursor.offset();
    let bytes = cursor.take(length)?;
    Ok(mutf8::decode(bytes, base)?.into_owned())
}

/// A string that may be referred to, as Kryo has it where references are on.
fn referable(cursor: &mut Cursor<'_>) -> Result<String> {
    begin_object(cursor)?;
    string(cursor)
}

/// That an object is here for the first time.
fn begin_object(cursor: &mut Cursor<'_>) -> Result<()> {
    let offset = cursor.offset();
    match cursor.varint32()? {
        1 => Ok(()),
        other => Err(Error::invalid("an object is here for the first time (1)", other.to_string(), offset)),
    }
}

/// The class of an object, and that it is here for the first time.
fn begin_class(cursor: &mut Cursor<'_>) -> Result<()> {
    let offset = cursor.offset();
    if cursor.varint32()? < 2 {
        return Err(Error::invalid("the class of an object is registered", "a name or null", offset));
    }
    begin_object(cursor)
}

/// Decodes with strings that may be referred to, and else without: what Kryo does depends on how a class is built.
fn either<T>(bytes: &[u8], offset: u64, read: impl Fn(&mut Cursor<'_>, Read) -> Result<T>) -> Result<T> {
    let attempt = |text: Read| {
        let mut cursor = Cursor::at(bytes, offset);
        let value = read(&mut cursor, text)?;
        cursor.finish()?;
        Ok(value)
    };
    attempt(referable).or_else(|error| attempt(string).map_err(|_: Error| error))
}

/// How strings are read.
type Read = fn(&mut Cursor<'_>) -> Result<String>;

const NOT_ITS_HASH: &str = "the hash that an object keeps is that of its fields";

/// Decodes an element of `topic-partition-offset-states`.
///
/// # Errors
/// It is none, or damaged.
pub fn consumed_partition(bytes: &[u8], offset: u64) -> Result<ConsumedPartition> {
    either(bytes, offset, |cursor, text| {
        begin_class(cursor).field("partition")?;
        let at = cursor.offset();
        let (cached, partition) = (signed(cursor)?, signed(cursor)?);
        let topic = text(cursor).field("topic")?;
        if hash(&topic).wrapping_mul(31).wrapping_add(partition) != cached {
            return Err(Error::invalid(NOT_ITS_HASH, cached.to_string(), at));
        }
        Ok(ConsumedPartition { topic, partition, offset: cursor.i64().field("offset")? })
    })
}

/// Decodes the second field of an element of `Kinesis-Stream-Shard-State`.
///
/// # Errors
/// It is none, or damaged.
pub fn sequence_number(bytes: &[u8], offset: u64) -> Result<SequenceNumber> {
    either(bytes, offset, |cursor, text| {
        begin_class(cursor).field("sequence_number")?;
        let at = cursor.offset();
        let cached = signed(cursor)?;
        let sequence_number = text(cursor).field("sequence_number")?;
        let sub_sequence_number = signed_long(cursor).field("sub_sequence_number")?;
        let folded = (sub_sequence_number ^ (sub_sequence_number.cast_unsigned() >> 32).cast_signed()) as i32;
        if hash(&sequence_number).wrapping_add(folded).wrapping_mul(37) != cached {
            return Err(Error::invalid(NOT_ITS_HASH, cached.to_string(), at));
        }
        Ok(SequenceNumber { sequence_number, sub_sequence_number })
    })
}

fn transaction(cursor: &mut Cursor<'_>) -> Result<ProducerTransaction> {
    let transactional_id = optional(cursor, Cursor::utf).field("transactional_id")?.map(Cow::into_owned);
    Ok(ProducerTransaction {
        transactional_id,
        producer_id: cursor.i64().field("producer_id")?,
        epoch: cursor.i16().field("epoch")?,
        begun_ms: cursor.i64().field("begun")?,
    })
}

/// Decodes an element of the state of `FlinkKafkaProducer`.
///
/// # Errors
/// It is none, or damaged.
pub fn producer_state(bytes: &[u8], offset: u64, supports_null: bool) -> Result<ProducerState> {
    let mut cursor = Cursor::at(bytes, offset);
    let open = if supports_null {
        optional(&mut cursor, transaction).field("pending_transaction")?
    } else {
        Some(transaction(&mut cursor).field("pending_transaction")?)
    };
    let count = cursor.count32("transactions to be committed", 19)?;
    let to_commit =
        (0..count).map(|i| transaction(&mut cursor).index("to_commit", i)).collect::<Result<_>>()?;
    if cursor.bool().field("has_context")? {
        let _ids = super::versioned::strings("transactional ids", &mut cursor)?;
    }
    cursor.finish()?;
    Ok(ProducerState { open, to_commit })
}

/// Decodes an element of `XaSinkState`, the state of `JdbcXaSinkFunction`.
///
/// # Errors
/// It is none, or damaged.
pub fn xa_sink_state(bytes: &[u8], offset: u64) -> Result<XaTransactions> {
    jdbc::legacy_state(&mut Cursor::at(bytes, offset))
}
