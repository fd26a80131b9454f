//! In-flight data for people: by operator and direction, and the largest channels.

use std::io::{self, Write};

use super::Layout;
use super::table::{self, cut};
use super::units::{bytes, count, counted, share, time};
use crate::analyzers::channels::{BeginsWith, ChannelInFlight, Elements, InFlightData, OperatorInFlight};

/// Writes in-flight data of a snapshot with so many bytes of state.
///
/// # Errors
/// The output cannot be written.
pub(super) fn write(
    out: &mut dyn Write,
    data: &InFlightData,
    state_bytes: u64,
    layout: Layout,
) -> io::Result<()> {
    if data.channels == 0 {
        return writeln!(out, "\nIN FLIGHT\n  none");
    }
    writeln!(
        out,
        "\nIN FLIGHT: {} ({} of all state) in {} of {}: {}",
        bytes(data.bytes),
        share(data.bytes, state_bytes),
        counted(data.buffers, "buffer", "buffers"),
        counted(data.channels, "channel", "channels"),
        counted(data.elements.records, "whole record", "whole records"),
    )?;
    let columns = [
        ("operator", false),
        ("direction", false),
        ("channel", false),
        ("bytes", true),
        ("buffers", true),
        ("records", true),
        ("oldest record", false),
        ("watermarks", true),
        ("oldest watermark", false),
        ("other", true),
        ("begins, ends", false),
    ];
    let rows = data.operators.iter().flat_map(|operator| {
        let whole = std::iter::once(of_operator(operator));
        whole.chain(operator.largest.iter().map(|channel| of_channel(operator, channel)))
    });
    table::write(out, layout, &columns, rows.collect::<Vec<_>>().into_iter())?;
    if data.channels_not_read > 0 {
        let channels = counted(data.channels_not_read, "channel", "channels");
        writeln!(out, "  {channels} could not be read to the end: their elements are missing here")?;
    }
    if data.channels_not_understood > 0 {
        let channels = counted(data.channels_not_understood, "channel", "channels");
        writeln!(
            out,
            "  of {channels} it is not known where the first whole element begins: their elements are missing here"
        )?;
    }
    writeln!(
        out,
        "input = buffers that a task had not read yet, output = buffers that it had not sent; channel: subtask/gate/channel of input, \
         subtask/partition/subpartition of output. Types of records are not in a snapshot: cat --channels decodes them."
    )
}

fn of_operator(operator: &OperatorInFlight) -> Vec<String> {
    let name = cut(&operator.operator, 32);
    let channels = counted(operator.channels, "channel", "channels");
    let mut row = vec![
        name,
        operator.direction.name().to_owned(),
        channels,
        bytes(operator.bytes),
        count(operator.buffers),
    ];
    row.extend(elements(&operator.elements));
    row.push("–".to_owned());
    row
}

fn of_channel(operator: &OperatorInFlight, channel: &ChannelInFlight) -> Vec<String> {
    let place = format!("{}/{}/{}", channel.subtask, channel.gate, channel.channel);
    let mut row = vec![
        cut(&operator.operator, 32),
        operator.direction.name().to_owned(),
        place,
        bytes(channel.bytes),
        count(channel.buffers),
    ];
    row.extend(elements(&channel.elements));
    row.push(match (channel.is_read, channel.begins) {
        (false, _) => "not read".to_owned(),
        (true, BeginsWith::Unknown) => "not known".to_owned(),
        (true, _) => {
            let part = |n: u64| if n == 0 { "whole".to_owned() } else { format!("{} of one", bytes(n)) };
            format!("{}, {}", part(channel.leading_bytes), part(channel.trailing_bytes))
        }
    });
    row
}

fn elements(elements: &Elements) -> [String; 5] {
    let at = |ms: Option<i64>| ms.map_or_else(|| "–".to_owned(), time);
    let Elements { latency_markers, watermark_statuses, record_attributes, generalized_watermarks, .. } =
        elements;
    [
        count(elements.records),
        at(elements.oldest_timestamp_ms),
        count(elements.watermarks),
        at(elements.oldest_watermark_ms),
        count(latency_markers + watermark_statuses + record_attributes + generalized_watermarks),
    ]
}
