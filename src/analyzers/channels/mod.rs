//! In-flight data of an unaligned checkpoint: how much there is, where, and of what.
//!
//! Bytes and buffers are what `_metadata` says; elements are counted as the buffers are read.

mod lines;

use std::collections::BTreeMap;

use serde::Serialize;
use statescope_formats::flink::channel::{Element, Tail};

pub use self::lines::{JsonLimits, RecordType, RecordWriter, RecordsPrinted};
use crate::analyzers::overview;
use crate::model::{Channel, FileId, Operator, Snapshot};

/// How many channels of an operator and direction are listed.
const LISTED: usize = 20;

/// Which side of an exchange wrote a channel's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The receiver: a channel of an input gate.
    Input,
    /// The sender: a subpartition of a result partition.
    Output,
}

impl Direction {
    /// As it stands in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// A channel with in-flight data, and where they are.
#[derive(Debug, Clone, Copy)]
pub struct ChannelPlace<'a> {
    /// Index of the operator.
    pub operator: usize,
    /// The subtask.
    pub subtask: u32,
    /// Whose data they are.
    pub direction: Direction,
    /// The channel.
    pub channel: &'a Channel,
    /// The file; none for a null handle.
    pub file: Option<FileId>,
}

/// All channels with in-flight data, in the order of operators, subtasks, directions and handles.
pub fn channels(snapshot: &Snapshot) -> impl Iterator<Item = ChannelPlace<'_>> {
    let subtasks = snapshot
        .operators
        .iter()
        .enumerate()
        .flat_map(|(index, operator)| operator.subtasks.iter().map(move |subtask| (index, subtask)));
    subtasks.flat_map(|(operator, subtask)| {
        let input = subtask.input_channels.iter().map(|handle| (Direction::Input, handle));
        let output = subtask.result_subpartitions.iter().map(|handle| (Direction::Output, handle));
        input.chain(output).flat_map(move |(direction, handle)| {
            handle.channels.iter().map(move |channel| ChannelPlace {
                operator,
                subtask: subtask.index,
                direction,
                channel,
                file: handle.stream,
            })
        })
    })
}

/// Elements of channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Elements {
    /// Whole records.
    pub records: u64,
    /// Their bytes by their own serializer: without length, tag and timestamp.
    pub record_bytes: u64,
    /// Bytes of the largest of them.
    pub largest_record: Option<u64>,
    /// Records with a timestamp.
    pub records_with_timestamp: u64,
    /// The oldest timestamp of a record, in milliseconds.
    pub oldest_timestamp_ms: Option<i64>,
    /// The newest timestamp of a record, in milliseconds.
    pub newest_timestamp_ms: Option<i64>,
    /// Watermarks.
    pub watermarks: u64,
    /// The oldest watermark, in milliseconds.
    pub oldest_watermark_ms: Option<i64>,
    /// The newest watermark, in milliseconds; the largest number there is says that no record follows.
    pub newest_watermark_ms: Option<i64>,
    /// Latency markers.
    pub latency_markers: u64,
    /// Watermark statuses: a source became idle, or active again.
    pub watermark_statuses: u64,
    /// Record attributes: records become a backlog, or are none any more.
    pub record_attributes: u64,
    /// Watermarks of other kinds (`GeneralizedWatermark`).
    pub generalized_watermarks: u64,
}

impl Elements {
    /// Counts an element.
    pub fn add(&mut self, element: &Element<'_>) {
        match *element {
            Element::Record { timestamp, length, .. } => {
                self.records += 1;
                self.record_bytes = self.record_bytes.saturating_add(length);
                self.largest_record = self.largest_record.max(Some(length));
                self.records_with_timestamp += u64::from(timestamp.is_some());
                self.oldest_timestamp_ms = oldest(self.oldest_timestamp_ms, timestamp);
                self.newest_timestamp_ms = self.newest_timestamp_ms.max(timestamp);
            }
            Element::Watermark { timestamp, .. } => {
                self.watermarks += 1;
                self.oldest_watermark_ms = oldest(self.oldest_watermark_ms, Some(timestamp));
                self.newest_watermark_ms = self.newest_watermark_ms.max(Some(timestamp));
            }
            Element::LatencyMarker { .. } => self.latency_markers += 1,
            Element::WatermarkStatus { .. } => self.watermark_statuses += 1,
            Element::RecordAttributes { .. } => self.record_attributes += 1,
            Element::GeneralizedWatermark { .. } => self.generalized_watermarks += 1,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.records
            + self.watermarks
            + self.latency_markers
            + self.watermark_statuses
            + self.record_attributes
            + self.generalized_watermarks
    }

    /// Adds those of another channel.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.record_bytes = self.record_bytes.saturating_add(other.record_bytes);
        self.largest_record = self.largest_record.max(other.largest_record);
        self.records_with_timestamp += other.records_with_timestamp;
        self.oldest_timestamp_ms = oldest(self.oldest_timestamp_ms, other.oldest_timestamp_ms);
        self.newest_timestamp_ms = self.newest_timestamp_ms.max(other.newest_timestamp_ms);
        self.watermarks += other.watermarks;
        self.oldest_watermark_ms = oldest(self.oldest_watermark_ms, other.oldest_watermark_ms);
        self.newest_watermark_ms = self.newest_watermark_ms.max(other.newest_watermark_ms);
        self.latency_markers += other.latency_markers;
        self.watermark_statuses += other.watermark_statuses;
        self.record_attributes += other.record_attributes;
        self.generalized_watermarks += other.generalized_watermarks;
    }
}

fn oldest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// Where a channel begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BeginsWith {
    /// With a whole element: lengths and tags lead from its first byte to its end.
    Element,
    /// Inside of an element, whose begin the receiver has. Where the first whole one begins was found by lengths and tags; that is likely, not certain.
    PartOfElement,
    /// Not known: its elements are not counted.
    #[default]
    Unknown,
}

/// What was read of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelRead {
    /// Bytes of its buffers that were read, their lengths aside.
    pub bytes: u64,
    /// Where it begins.
    pub begins: BeginsWith,
    /// Bytes before the first whole element.
    pub leading_bytes: u64,
    /// How it ends, if all of it could be read.
    pub tail: Option<Tail>,
    /// Its whole elements.
    pub elements: Elements,
}

/// In-flight data of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct InFlightData {
    /// Bytes of all channels: buffers with the four bytes of their lengths.
    pub bytes: u64,
    /// Channels with data.
    pub channels: u64,
    /// Buffers.
    pub buffers: u64,
    /// Channels of which not all could be read.
    pub channels_not_read: u64,
    /// Channels of which it is not known where elements begin.
    pub channels_not_understood: u64,
    /// Elements of all channels.
    pub elements: Elements,
    /// By operator and direction, largest first.
    pub operators: Vec<OperatorInFlight>,
}

/// In-flight data of one direction of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorInFlight {
    /// What the operator is called.
    pub operator: String,
    /// Its id, in hex.
    pub operator_id: String,
    /// Whose data they are.
    pub direction: Direction,
    /// Bytes, with the four bytes of each buffer's length.
    pub bytes: u64,
    /// Channels with data.
    pub channels: u64,
    /// Buffers.
    pub buffers: u64,
    /// Elements of its channels.
    pub elements: Elements,
    /// Its largest channels, 20 at most.
    pub largest: Vec<ChannelInFlight>,
}

/// In-flight data of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelInFlight {
    /// The subtask.
    pub subtask: u32,
    /// The input gate, or the result partition.
    pub gate: i32,
    /// The channel of the gate, or the subpartition.
    pub channel: i32,
    /// Bytes, with the four bytes of each buffer's length.
    pub bytes: u64,
    /// Buffers.
    pub buffers: u64,
    /// Whether all of it could be read.
    pub is_read: bool,
    /// Where it begins.
    pub begins: BeginsWith,
    /// Bytes before the first whole element.
    pub leading_bytes: u64,
    /// Bytes behind the last whole element.
    pub trailing_bytes: u64,
    /// Bytes that the element has that is not at its end, its length included, if that is there.
    pub trailing_element_bytes: Option<u64>,
    /// Its whole elements.
    pub elements: Elements,
}

/// Adds up what was read of channels, which come in the order of [`channels`].
#[must_use]
pub fn in_flight(
    snapshot: &Snapshot,
    read: &[ChannelRead],
    selected: &dyn Fn(&Operator) -> bool,
) -> InFlightData {
    let mut sum = InFlightData::default();
    let mut operators: BTreeMap<(usize, Direction), OperatorInFlight> = BTreeMap::new();
    for (place, read) in channels(snapshot).zip(read) {
        let Some(operator) = snapshot.operators.get(place.operator).filter(|operator| selected(operator))
        else {
            continue;
        };
        let (bytes, buffers) = (place.channel.bytes, place.channel.offsets.len() as u64);
        sum.bytes = sum.bytes.saturating_add(bytes);
        sum.channels += 1;
        sum.buffers += buffers;
        sum.channels_not_read += u64::from(read.tail.is_none());
        sum.channels_not_understood += u64::from(read.tail.is_some() && read.begins == BeginsWith::Unknown);
        sum.elements.merge(&read.elements);
        let group = operators.entry((place.operator, place.direction)).or_insert_with(|| OperatorInFlight {
            operator: overview::label(operator),
            operator_id: operator.id.to_string(),
            direction: place.direction,
            bytes: 0,
            channels: 0,
            buffers: 0,
            elements: Elements::default(),
            largest: Vec::new(),
        });
        group.bytes = group.bytes.saturating_add(bytes);
        group.channels += 1;
        group.buffers += buffers;
        group.elements.merge(&read.elements);
        group.largest.push(of_channel(&place, read));
        if group.largest.len() >= 2 * LISTED {
            largest(&mut group.largest);
        }
    }
    sum.operators = operators.into_values().collect();
    sum.operators.iter_mut().for_each(|group| largest(&mut group.largest));
    sum.operators
        .sort_by(|a, b| (b.bytes, &a.operator_id, a.direction).cmp(&(a.bytes, &b.operator_id, b.direction)));
    sum
}

fn of_channel(place: &ChannelPlace<'_>, read: &ChannelRead) -> ChannelInFlight {
    let (trailing_bytes, trailing_element_bytes) = match read.tail {
        Some(Tail::Inside { bytes, of }) => (bytes, of),
        Some(Tail::Whole) | None => (0, None),
    };
    ChannelInFlight {
        subtask: place.subtask,
        gate: place.channel.gate,
        channel: place.channel.channel,
        bytes: place.channel.bytes,
        buffers: place.channel.offsets.len() as u64,
        is_read: read.tail.is_some(),
        begins: read.begins,
        leading_bytes: read.leading_bytes,
        trailing_bytes,
        trailing_element_bytes,
        elements: read.elements,
    }
}

fn largest(channels: &mut Vec<ChannelInFlight>) {
    channels.sort_by(|a, b| {
        (b.bytes, a.subtask, a.gate, a.channel).cmp(&(a.bytes, b.subtask, b.gate, b.channel))
    });
    channels.truncate(LISTED);
}
