//! Splits and enumerators, as they are told.

use statescope_formats::flink::connector::{
    Connector, CoordinatorState, Enumerator, Split as Decoded, Versioned, kafka_offset_name,
};

use super::Question;
use super::digest::{RawSplit, hex, not_known};
use super::types::{Details, EnumeratorState, File, Hybrid, Iceberg, Kafka, Numbers, Opaque, Shard, Split};
use crate::model::{CoordinatorBytes, Effect, Finding};

/// Decodes the splits of a source. Those that its connector would not read are opaque, and findings.
pub(super) fn splits(
    raw: &[RawSplit],
    connector: Option<Connector>,
    question: &Question,
    owner: &str,
    findings: &mut Vec<Finding>,
) -> Vec<Split> {
    let split = |raw: &RawSplit| {
        let Some(connector) = connector else {
            return opaque(Some(raw.subtask), not_known(raw.versioned(), question));
        };
        match connector.split(raw.versioned()) {
            Ok(split) => told(Some(raw.subtask), split),
            Err(error) => {
                findings.push(
                    Finding::error(
                        "split_not_decoded",
                        format!("a split of {} cannot be decoded: {error}", connector.name()),
                        "if the file was copied, copy it again; where this split is read on is not told",
                    )
                    .in_file(&raw.file)
                    .at(error.offset())
                    .of(owner)
                    .meaning(Effect::Unknown),
                );
                let error = Some(error.to_string());
                opaque(Some(raw.subtask), Opaque { error, ..not_known(raw.versioned(), question) })
            }
        }
    };
    raw.iter().map(split).collect()
}

fn opaque(subtask: Option<u32>, opaque: Opaque) -> Split {
    let details = Details { opaque: Some(opaque), ..Details::default() };
    Split { subtask, name: None, position: None, end: None, finished: None, details }
}

/// An offset of Kafka in words.
fn offset(offset: i64) -> String {
    kafka_offset_name(offset).map_or_else(|| offset.to_string(), str::to_owned)
}

fn told(subtask: Option<u32>, split: Decoded) -> Split {
    let named = |name: String, position: Option<String>, end: Option<String>, details: Details| Split {
        subtask,
        name: Some(name),
        position,
        end,
        finished: None,
        details,
    };
    match split {
        Decoded::Kafka(kafka) => {
            let cluster = kafka.cluster.as_ref().map_or_else(String::new, |cluster| format!("{cluster} "));
            let name = format!("{cluster}{}-{}", kafka.topic, kafka.partition);
            let (position, end) = (kafka.start.map(offset), kafka.stop.map(offset));
            let details = Kafka {
                cluster: kafka.cluster,
                topic: kafka.topic,
                partition: kafka.partition,
                offset: kafka.start,
                offset_name: kafka.start.and_then(kafka_offset_name),
                stop_offset: kafka.stop,
                stop_offset_name: kafka.stop.and_then(kafka_offset_name),
                retained_until_ms: kafka.retained_until_ms,
            };
            named(name, position, end, Details { kafka: Some(details), ..Details::default() })
        }
        Decoded::Kinesis(shard) | Decoded::DynamoDb(shard) => {
            let stream = shard.stream_arn.rsplit(':').next().unwrap_or_default();
            let name = format!("{stream} {}", shard.shard_id);
            let marker = shard.sequence_number.clone();
            let marker = marker.or_else(|| shard.timestamp_ms.map(|ms| format!("{ms} ms since 1970")));
            let position = match marker {
                Some(marker) => format!("{} {marker}", shard.iterator),
                None => shard.iterator.clone(),
            };
            let finished = shard.finished;
            let details = Shard {
                stream: shard.stream_arn,
                shard: shard.shard_id,
                iterator: Some(shard.iterator),
                timestamp_ms: shard.timestamp_ms,
                sequence_number: shard.sequence_number,
                sub_sequence_number: None,
                parents: shard.parents,
            };
            let details = Details { shard: Some(details), ..Details::default() };
            Split { finished, ..named(name, Some(position), None, details) }
        }
        Decoded::File(file) => {
            let position = match file.position {
                None => format!("byte {} (not begun)", file.offset),
                Some((-1, records)) => format!("behind {records} records"),
                Some((offset, 0)) => format!("byte {offset}"),
                Some((offset, records)) => format!("{records} records behind byte {offset}"),
            };
            let end = format!("byte {}", file.offset.saturating_add(file.length));
            let name = file.path.clone();
            let details = File {
                id: file.id,
                path: file.path,
                offset: file.offset,
                length: file.length,
                file_size: file.file_size,
                modified_ms: file.modified_ms,
                read_offset: file.position.map(|(offset, _)| offset).filter(|&offset| offset != -1),
                records_after: file.position.map(|(_, records)| records),
            };
            named(name, Some(position), Some(end), Details { file: Some(details), ..Details::default() })
        }
        Decoded::Numbers(numbers) => {
            let finished = Some(numbers.from > numbers.to);
            let (position, end) = (numbers.from.to_string(), numbers.to.to_string());
            let name = format!("split {}", numbers.id);
            let details = Numbers { id: numbers.id, from: numbers.from, to: numbers.to };
            let details = Details { numbers: Some(details), ..Details::default() };
            Split { finished, ..named(name, Some(position), Some(end), details) }
        }
        Decoded::Iceberg(iceberg) => {
            let files = iceberg.tasks.len() as u64;
            let position =
                format!("record {} of file {} of {files}", iceberg.record_offset, iceberg.file_offset);
            let details =
                Iceberg { file_offset: iceberg.file_offset, record_offset: iceberg.record_offset, files };
            let details = Details { iceberg: Some(details), ..Details::default() };
            named(format!("{files} files"), Some(position), None, details)
        }
        Decoded::Hybrid(hybrid) => {
            let (connector, inner) = match hybrid.split {
                Some((connector, split)) => (Some(connector.name()), told(subtask, *split)),
                None => {
                    let (serializer_version, bytes) = (Some(hybrid.version), hybrid.bytes);
                    (None, opaque(subtask, Opaque { serializer_version, bytes, hex: None, error: None }))
                }
            };
            let details = Hybrid { source_index: hybrid.source_index, id: hybrid.id.clone(), connector };
            Split {
                name: inner.name.or(Some(hybrid.id)),
                finished: hybrid.finished.or(inner.finished),
                details: Details { hybrid: Some(details), ..inner.details },
                ..inner
            }
        }
    }
}

/// Whose enumerator this is, if no split tells.
pub(super) fn connector_of(state: Versioned<'_>) -> Option<Connector> {
    Connector::of_enumerator(state).map(|(connector, _)| connector)
}

/// Tells what an enumerator keeps.
pub(super) fn enumerator(
    coordinator: &CoordinatorBytes,
    state: &CoordinatorState<'_>,
    connector: Option<Connector>,
    question: &Question,
    owner: &str,
    findings: &mut Vec<Finding>,
) -> EnumeratorState {
    let bytes = state.enumerator;
    let decoded = connector.and_then(|connector| connector.enumerator(bytes));
    let (known, error) = match decoded {
        Some(Ok(known)) => (Some(known), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    if let Some(error) = &error {
        findings.push(
            Finding::error(
                "enumerator_not_decoded",
                format!("the state of an enumerator cannot be decoded: {error}"),
                "if _metadata was copied, copy it again; which splits are not assigned is not told",
            )
            .in_file(&coordinator.name)
            .at(error.offset())
            .of(owner)
            .meaning(Effect::Unknown),
        );
    }
    let is_decoded = known.is_some();
    let opaque = (!is_decoded).then(|| Opaque {
        serializer_version: Some(bytes.version),
        bytes: bytes.bytes.len() as u64,
        hex: hex(bytes.bytes, question.opaque),
        error: error.map(|error| error.to_string()),
    });
    let Enumerator {
        assigned,
        unassigned,
        finished,
        discovered,
        processed_paths,
        last_seen_shard,
        start_timestamp_ms,
        source_index,
    } = known.unwrap_or_default();
    let list = |splits: Vec<Decoded>| splits.into_iter().map(|split| told(None, split)).collect();
    EnumeratorState {
        coordinator_version: state.version,
        serializer_version: bytes.version,
        bytes: bytes.bytes.len() as u64,
        is_decoded,
        opaque,
        assigned: list(assigned),
        unassigned: list(unassigned),
        finished: list(finished),
        discovered,
        processed_files: processed_paths.len() as u64,
        last_seen_shard,
        start_timestamp_ms,
        source_index,
    }
}
