//! `offsets` for people: where the job would read on, what is not committed, then lists.

use std::io::{self, Write};

use super::table::{self, cut, one_line};
use super::units::{bytes, count, counted, duration, time};
use super::{Layout, places};
use crate::analyzers::offsets::{Element, Offsets, Opaque, Sink, Source, Split, State, Uncommitted};
use crate::model::Severity;

/// How long a text of a value may get.
const VALUE_CHARS: usize = 100;
/// How long it may get what is not committed.
const WHAT_CHARS: usize = 140;

/// Writes what was found out.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, offsets: &Offsets, layout: Layout) -> io::Result<()> {
    head(out, offsets)?;
    positions(out, offsets, layout)?;
    uncommitted(out, offsets, layout)?;
    if !offsets.findings.is_empty() {
        writeln!(out, "\nFINDINGS: {}", table::tally(&offsets.findings))?;
        table::findings(out, &offsets.findings, layout.rows)?;
    }
    states(out, offsets, layout)?;
    elements(out, offsets, layout)
}

fn head(out: &mut dyn Write, offsets: &Offsets) -> io::Result<()> {
    let (s, t) = (&offsets.snapshot, &offsets.totals);
    let kind = if s.kind == "unknown" { "snapshot" } else { s.kind };
    let id = s.checkpoint_id.map_or_else(String::new, |id| format!(" {id}"));
    writeln!(
        out,
        "{kind}{id}: {} to read on, {} not assigned, {} uncommitted",
        counted(t.splits, "split", "splits"),
        count(t.unassigned_splits),
        count(t.uncommitted)
    )?;
    writeln!(out, "  {}", one_line(&s.location))?;
    if let Some(ms) = s.completed_at_ms {
        writeln!(out, "  completed {} (file time of _metadata)", time(ms))?;
    }
    writeln!(
        out,
        "  {} with operator state, {} of {} in {} · findings: {}{}",
        counted(t.operators, "operator", "operators"),
        counted(t.elements, "element", "elements"),
        bytes(t.bytes),
        counted(t.states, "state", "states"),
        table::tally(&offsets.findings),
        if offsets.findings.iter().any(|f| f.severity == Severity::Error) {
            ": something is missing"
        } else {
            ""
        }
    )?;
    places::write(out, &offsets.places)
}

fn dash(text: Option<&str>) -> String {
    text.map_or_else(|| "–".to_owned(), one_line)
}

/// What is known of bytes that nobody decodes.
fn unknown(opaque: &Opaque) -> String {
    let version = opaque.serializer_version.map_or_else(String::new, |n| format!(" of version {n}"));
    let error = opaque.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let hex = opaque.hex.as_ref().map_or_else(String::new, |hex| format!(" {hex}"));
    format!("not known: {}{version}{error}{hex}", bytes(opaque.bytes))
}

const POSITIONS: [table::Column; 6] = [
    ("source", false),
    ("connector", false),
    ("subtask", true),
    ("split", false),
    ("reads on at", false),
    ("ends at", false),
];

fn positions(out: &mut dyn Write, offsets: &Offsets, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nWHERE IT WOULD READ ON")?;
    if offsets.sources.is_empty() {
        return writeln!(out, "  no source keeps its position in operator state");
    }
    let mut rows = Vec::new();
    for source in &offsets.sources {
        let row = |split: &Split, whose: &str| split_row(source, split, whose);
        rows.extend(source.splits.iter().map(|split| {
            let subtask = split.subtask.map_or_else(|| "–".to_owned(), |subtask| subtask.to_string());
            row(split, &subtask)
        }));
        let enumerator = source.enumerator.as_ref();
        rows.extend(enumerator.iter().flat_map(|it| &it.unassigned).map(|split| row(split, "nobody")));
    }
    table::write(out, layout, &POSITIONS, rows.into_iter())?;
    for source in &offsets.sources {
        enumerator(out, source)?;
    }
    Ok(())
}

fn split_row(source: &Source, split: &Split, whose: &str) -> Vec<String> {
    let opaque = split.details.opaque.as_ref().map(unknown);
    let position = match (&split.position, split.finished) {
        (_, Some(true)) => Some("finished".to_owned()),
        (position, _) => position.clone().or(opaque),
    };
    vec![
        cut(&one_line(&source.operator), 40),
        dash(source.connector),
        whose.to_owned(),
        dash(split.name.as_deref()),
        dash(position.as_deref()),
        dash(split.end.as_deref()),
    ]
}

fn enumerator(out: &mut dyn Write, source: &Source) -> io::Result<()> {
    let Some(enumerator) = &source.enumerator else { return Ok(()) };
    let mut parts = Vec::new();
    match &enumerator.opaque {
        Some(opaque) => parts.push(unknown(opaque)),
        None => {
            parts.push(format!("{} assigned", count(enumerator.assigned.len() as u64)));
            parts.push(format!("{} not assigned", count(enumerator.unassigned.len() as u64)));
        }
    }
    if !enumerator.finished.is_empty() {
        parts.push(format!("{} finished", count(enumerator.finished.len() as u64)));
    }
    if enumerator.discovered == Some(false) {
        parts.push("the first discovery of partitions is not done".to_owned());
    }
    if enumerator.processed_files > 0 {
        parts.push(counted(enumerator.processed_files, "file seen", "files seen"));
    }
    if let Some(shard) = &enumerator.last_seen_shard {
        parts.push(format!("last shard seen: {}", one_line(shard)));
    }
    if let Some(index) = enumerator.source_index {
        parts.push(format!("at source {index}"));
    }
    writeln!(out, "  enumerator of {}: {}", one_line(&source.operator), parts.join(" · "))
}

const UNCOMMITTED: [table::Column; 8] = [
    ("sink", false),
    ("kind", false),
    ("checkpoint", true),
    ("subtask", true),
    ("state", false),
    ("what", false),
    ("bytes", true),
    ("begun", false),
];

fn uncommitted(out: &mut dyn Write, offsets: &Offsets, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nUNCOMMITTED")?;
    if offsets.sinks.is_empty() {
        return writeln!(out, "  no sink keeps operator state");
    }
    let rows: Vec<_> = offsets
        .sinks
        .iter()
        .flat_map(|sink| sink.uncommitted.iter().map(|what| uncommitted_row(sink, what)))
        .collect();
    if rows.is_empty() {
        writeln!(out, "  nothing")?;
    } else {
        table::write(out, layout, &UNCOMMITTED, rows.into_iter())?;
    }
    for sink in &offsets.sinks {
        writers(out, sink, layout)?;
    }
    Ok(())
}

fn uncommitted_row(sink: &Sink, what: &Uncommitted) -> Vec<String> {
    let value = what.value.as_ref().map(|value| cut(value.get(), VALUE_CHARS));
    let mut parts: Vec<String> = what.name.iter().cloned().collect();
    parts.extend(if parts.is_empty() { value } else { None });
    parts.extend(what.text.clone());
    parts.extend(what.opaque.as_ref().map(unknown));
    let begun = what.begun_ms.map(|ms| match what.age_ms.and_then(|age| u64::try_from(age).ok()) {
        Some(age) => format!("{}, {} before", time(ms), duration(age / 1000 * 1000)),
        None => time(ms),
    });
    let number = |n: Option<i64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    vec![
        cut(&one_line(&sink.operator), 40),
        dash(sink.sink),
        number(what.checkpoint_id),
        what.writer.map_or_else(|| what.subtask.to_string(), |writer| writer.to_string()),
        match what.retries {
            Some(n) if n > 0 => format!("{}, tried {n} times", what.state),
            _ => what.state.to_owned(),
        },
        cut(&one_line(&parts.join(", ")), WHAT_CHARS),
        what.written_bytes.and_then(|n| u64::try_from(n).ok()).map_or_else(|| "–".to_owned(), bytes),
        dash(begun.as_deref()),
    ]
}

fn writers(out: &mut dyn Write, sink: &Sink, layout: Layout) -> io::Result<()> {
    let name = one_line(&sink.operator);
    for writer in sink.writers.iter().take(layout.rows) {
        let mut parts: Vec<String> = writer.name.iter().map(|name| one_line(name)).collect();
        parts.extend(writer.text.as_ref().map(|text| one_line(text)));
        if let Some(ms) = writer.begun_ms {
            parts.push(format!("begun {}", time(ms)));
        }
        if !writer.transactions.is_empty() {
            parts.push(counted(writer.transactions.len() as u64, "transaction", "transactions"));
        }
        parts.extend(writer.opaque.as_ref().map(unknown));
        writeln!(out, "  writer of {name}, subtask {}: {}", writer.subtask, parts.join(" · "))?;
    }
    let left_out = sink.writers.len().saturating_sub(layout.rows);
    if left_out > 0 {
        writeln!(out, "  … and {left_out} more writers (--rows 0 shows all)")?;
    }
    Ok(())
}

const STATES: [table::Column; 9] = [
    ("operator", false),
    ("state", false),
    ("mode", false),
    ("type", false),
    ("of a", false),
    ("elements", true),
    ("bytes", true),
    ("subtasks", true),
    ("copies", false),
];

fn states(out: &mut dyn Write, offsets: &Offsets, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nSTATES")?;
    if offsets.states.is_empty() {
        let filtered = if offsets.operator_filter.is_some() { " fits the filter" } else { "" };
        return writeln!(out, "  none{filtered}");
    }
    let row = |state: &State| {
        vec![
            cut(&one_line(&state.operator), 40),
            one_line(&state.name),
            state.mode.unwrap_or(state.kind).to_owned(),
            cut(&state.type_text, 60),
            dash(state.role),
            state.elements.map_or_else(|| "–".to_owned(), count),
            bytes(state.bytes),
            count(state.subtasks.len() as u64),
            match state.copies_agree {
                Some(true) => "agree".to_owned(),
                Some(false) => "DIFFER".to_owned(),
                None => "–".to_owned(),
            },
        ]
    };
    let rows: Vec<_> = offsets.states.iter().map(row).collect();
    table::write(out, layout, &STATES, rows.into_iter())
}

fn elements(out: &mut dyn Write, offsets: &Offsets, layout: Layout) -> io::Result<()> {
    for state in offsets.states.iter().filter(|state| !state.shown.is_empty()).take(layout.rows) {
        writeln!(out, "\n{} of {}", one_line(&state.name), one_line(&state.operator))?;
        for element in &state.shown {
            writeln!(out, "  {}", one_line(&element_text(element)))?;
        }
        let left_out = state.elements.unwrap_or(0).saturating_sub(state.shown.len() as u64);
        if left_out > state.not_decoded {
            writeln!(out, "  … and {} more (--limit shows more)", count(left_out - state.not_decoded))?;
        }
        if state.not_decoded > 0 {
            writeln!(
                out,
                "  … and {} that cannot be decoded: nothing says where what is before them ends",
                count(state.not_decoded)
            )?;
        }
    }
    Ok(())
}

fn element_text(element: &Element) -> String {
    let value = |value: &Option<Box<serde_json::value::RawValue>>| {
        value.as_ref().map_or_else(|| "–".to_owned(), |value| cut(value.get(), VALUE_CHARS))
    };
    match &element.key {
        Some(_) => format!("{} = {}", value(&element.key), value(&element.value)),
        None => format!("subtask {}, {}: {}", element.subtask, element.index, value(&element.value)),
    }
}
