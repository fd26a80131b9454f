//! Positions of consumers from before FLIP-27.

use statescope_formats::flink::connector::legacy::{
    consumed_partition, consumer_offset_name, sequence_number,
};
use statescope_formats::flink::operator_state::OperatorStatePart;
use statescope_formats::flink::serializer::Edge;
use statescope_formats::flink::state_meta::StateMetaInfo;
use statescope_formats::flink::value::{JsonLimits, JsonSink, KryoVersion, ValueDecoder};
use statescope_formats::flink::walk::Walked;
use statescope_formats::{Error as FormatError, ErrorKind, Result as FormatResult};

use super::roles::Role;
use super::types::{Details, Kafka, Shard, Split};

/// Decodes an element of a consumer's state.
pub(super) fn split(
    role: Role,
    part: &OperatorStatePart<'_>,
    meta: Option<&StateMetaInfo>,
    kryo: KryoVersion,
    subtask: u32,
) -> FormatResult<Split> {
    if role == Role::KinesisConsumer { shard(part, meta, kryo, subtask) } else { partition(part, subtask) }
}

fn partition(part: &OperatorStatePart<'_>, subtask: u32) -> FormatResult<Split> {
    let found = consumed_partition(&part.bytes, part.offset)?;
    let name = consumer_offset_name(found.offset);
    let position = match name {
        Some(name) => name.to_owned(),
        None => format!("behind offset {}", found.offset),
    };
    let kafka = Kafka {
        cluster: None,
        topic: found.topic.clone(),
        partition: found.partition,
        offset: Some(found.offset),
        offset_name: name,
        stop_offset: None,
        stop_offset_name: None,
        retained_until_ms: None,
    };
    Ok(Split {
        subtask: Some(subtask),
        name: Some(format!("{}-{}", found.topic, found.partition)),
        position: Some(position),
        end: None,
        finished: None,
        details: Details { kafka: Some(kafka), ..Details::default() },
    })
}

fn shard(
    part: &OperatorStatePart<'_>,
    meta: Option<&StateMetaInfo>,
    kryo: KryoVersion,
    subtask: u32,
) -> FormatResult<Split> {
    let serializer = meta.and_then(StateMetaInfo::value_serializer);
    let serializer = serializer.and_then(|tuple| tuple.part(&Edge::Position(0))).ok_or_else(|| {
        let what = "shards without the serializer of their meta data".to_owned();
        FormatError::new(ErrorKind::Unsupported { what }, part.offset)
    })?;
    let mut json = Vec::new();
    let mut sink = JsonSink::new(&mut json, JsonLimits::default());
    let decoded = ValueDecoder::compile(serializer, kryo).decode(&part.bytes, &mut sink);
    sink.finish();
    let length = match decoded.walked {
        Walked::End(length) => length,
        Walked::Stopped { at, .. } => {
            let what = "meta data of a shard that has parts of unknown length".to_owned();
            return Err(FormatError::new(
                ErrorKind::Unsupported { what },
                part.offset.saturating_add(at as u64),
            ));
        }
        Walked::Bad(bad) => {
            let at = part.offset.saturating_add(bad.at as u64);
            return Err(FormatError::invalid(bad.rule, "other bytes", at));
        }
    };
    let rest = part.bytes.get(length..).unwrap_or_default();
    let number = sequence_number(rest, part.offset.saturating_add(length as u64))?;
    let fields: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
    let field = |name: &str| fields.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let (stream, shard) = (field("streamName").unwrap_or_default(), field("shardId").unwrap_or_default());
    let parents = [field("parentShardId"), field("adjacentParentShardId")];
    let aggregated = match number.sub_sequence_number {
        -1 => String::new(),
        n => format!(", record {n} of it"),
    };
    Ok(Split {
        subtask: Some(subtask),
        name: Some(format!("{stream} {shard}")),
        position: Some(format!("behind {}{aggregated}", number.sequence_number)),
        end: field("endingSequenceNumber"),
        finished: Some(number.sequence_number == "SENTINEL_SHARD_ENDING_SEQUENCE_NUM"),
        details: Details {
            shard: Some(Shard {
                stream,
                shard,
                iterator: None,
                timestamp_ms: None,
                sequence_number: Some(number.sequence_number),
                sub_sequence_number: Some(number.sub_sequence_number),
                parents: parents.into_iter().flatten().collect(),
            }),
            ..Details::default()
        },
    })
}
