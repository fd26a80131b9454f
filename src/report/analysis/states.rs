//! One state in detail.

use std::io::{self, Write};

use super::parts::{self, spread};
use super::shallow;
use super::{
    Layout, bytes, count, counted, entries, missing, one_line, percent, share, shares, table, time, width,
    wrapped,
};
use crate::analyzers::analysis::{
    AgeAnalysis, CompressionWhatIf, KryoAnalysis, StateAnalysis, TimerAnalysis, TtlAnalysis, Variant,
};
use crate::report::units::{age, duration};

/// Writes a state.
pub(super) fn write(out: &mut dyn Write, state: &StateAnalysis, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nSTATE {} of {}", one_line(&state.name), one_line(&state.operator))?;
    wrapped(out, "  ", &state.type_text, width(layout))?;
    missing(out, "  ", &state.missing)?;
    sizes(out, state, width(layout))?;
    levels(out, state, layout)?;
    compression(out, state, width(layout))?;
    ttl(out, &state.ttl)?;
    kryo(out, &state.kryo)?;
    if let Some(timers) = &state.timers {
        self::timers(out, timers)?;
    }
    for not in &state.not_walked {
        let what = if not.contradiction { "NOT AS WRITTEN" } else { "not divided" };
        let rows = counted(not.rows, "row", "rows");
        let example = not.example.as_ref().map_or_else(String::new, |example| {
            let sst = example.sst.map_or_else(String::new, |sst| format!(" in {sst:06}.sst"));
            format!(" (such as 0x{}{sst} of subtask {})", example.key_hex, example.subtask)
        });
        wrapped(out, "  ", &format!("{what}: {rows}: {}{example}", not.reason), width(layout))?;
    }
    if let Some(skew) = &state.skew {
        parts::skew(out, skew, width(layout))?;
    }
    if let Some(groups) = &state.disk_by_key_group {
        shallow::key_groups(out, groups, width(layout))?;
    }
    if let Some(keys) = &state.keys {
        parts::keys(out, keys, layout)?;
    }
    if let Some(estimates) = &state.estimates {
        shallow::top_keys(out, estimates, layout)?;
    }
    match &state.compression_what_if {
        Some(what_if) => compression_what_if(out, what_if, layout),
        None => Ok(()),
    }
}

fn sizes(out: &mut dyn Write, state: &StateAnalysis, width: usize) -> io::Result<()> {
    match (&state.disk, &state.physical) {
        (Some(disk), Some(physical)) => writeln!(
            out,
            "  on disk {} in {}{}",
            bytes(disk.bytes),
            counted(physical.files, "file", "files"),
            shares(": ", disk, state.ttl.expired.is_some())
        )?,
        _ => {
            if let Some(sst) = state.sst.filter(|sst| sst.files > 0) {
                writeln!(out, "  {} of {}", counted(sst.files, "SST file", "SST files"), bytes(sst.bytes))?;
            }
        }
    }
    if let Some(streams) = &state.streams {
        let uncompressed = match streams.uncompressed_bytes > streams.bytes {
            false => String::new(),
            true => format!(" ({} uncompressed)", bytes(streams.uncompressed_bytes)),
        };
        let groups = counted(streams.key_groups, "key group", "key groups");
        let expired = state.disk.as_ref().filter(|_| state.ttl.expired.is_some());
        let shares = expired.map_or_else(String::new, |disk| shares(": ", disk, true));
        writeln!(out, "  in streams {}{uncompressed} in {groups}{shares}", bytes(streams.bytes))?;
    }
    if let Some(estimates) = &state.estimates {
        shallow::estimates(out, estimates, width)?;
    }
    if let Some(l) = &state.live {
        writeln!(
            out,
            "  live: {} in {}, {}: {} of keys, {} of values",
            bytes(l.bytes),
            counted(l.rows, "row", "rows"),
            entries(l.entries, l.entries_at_least),
            bytes(l.key_bytes),
            bytes(l.value_bytes)
        )?;
    }
    if let Some(rows) = state.row_bytes.as_ref().and_then(|rows| spread(rows, bytes)) {
        writeln!(out, "    rows of {rows}")?;
    }
    if let Some(elements) = state.element_bytes.as_ref().and_then(|elements| spread(elements, bytes)) {
        writeln!(out, "    list elements of {elements}")?;
    }
    let Some(p) = &state.physical else { return Ok(()) };
    let amplification =
        state.space_amplification.map_or_else(String::new, |n| format!(", {n:.2} × what is live"));
    writeln!(out, "  in the files: {} of all versions{amplification}", bytes(p.raw_bytes()))?;
    let list = |parts: &[(u64, &str)]| {
        let parts = parts.iter().filter(|(n, _)| *n > 0);
        parts.map(|(n, what)| format!("{what} {}", count(*n))).collect::<Vec<_>>().join(" · ")
    };
    let all = list(&[
        (if p.puts.is_none() { p.entries } else { 0 }, "entries"),
        (p.puts.unwrap_or(0), "puts"),
        (p.merges, "merge operands"),
        (p.tombstones, "tombstones"),
        (p.range_deletes, "range tombstones"),
        (p.others.unwrap_or(0), "of other types"),
    ]);
    let dead = list(&[
        (p.shadowed.unwrap_or(0), "shadowed by newer versions"),
        (p.deleted.unwrap_or(0), "hidden by tombstones"),
        (p.clipped.unwrap_or(0), "outside of the key groups"),
    ]);
    if !all.is_empty() {
        let dead = if dead.is_empty() { String::new() } else { format!("; {dead}") };
        wrapped(out, "    ", &format!("{all}{dead}"), width)?;
    }
    Ok(())
}

fn levels(out: &mut dyn Write, state: &StateAnalysis, layout: Layout) -> io::Result<()> {
    if state.levels.is_empty() {
        return Ok(());
    }
    let expired = state.levels.iter().any(|level| level.expired_entries.is_some());
    let rows_read = state.live.is_some();
    let columns = [
        ("level", false, true),
        ("files", true, true),
        ("on disk", true, true),
        ("live", true, rows_read),
        ("dead", true, rows_read),
        ("entries", true, state.physical.is_some()),
        ("tombstones", true, state.physical.is_some()),
        ("shadowed", true, rows_read),
        ("expired", true, expired),
        ("expired entries", true, expired),
        ("when written", true, expired),
    ];
    let shown: Vec<_> = columns.iter().filter(|column| column.2).map(|c| (c.0, c.1)).collect();
    let rows = state.levels.iter().map(|level| {
        let disk = level.disk.unwrap_or_default();
        let physical = level.physical.unwrap_or_default();
        let part = |share: Option<f64>| share.map_or_else(String::new, percent);
        let number = |n: Option<u64>| n.map_or_else(String::new, count);
        let cells = [
            format!("L{}", level.level),
            count(level.sst.files.max(physical.files)),
            bytes(level.disk.map_or(level.sst.bytes, |disk| disk.bytes)),
            part(disk.live_share),
            part(disk.dead_share),
            count(physical.entries),
            count(physical.tombstones.saturating_add(physical.range_deletes)),
            number(physical.shadowed),
            part(disk.expired_share),
            number(level.expired_entries),
            number(level.expired_when_written),
        ];
        cells.into_iter().zip(&columns).filter(|(_, column)| column.2).map(|(cell, _)| cell).collect()
    });
    table::write(out, layout, &shown, rows)
}

fn compression(out: &mut dyn Write, state: &StateAnalysis, width: usize) -> io::Result<()> {
    let parts = state.compressions.iter().filter(|c| c.data_blocks > 0).map(|c| {
        let ratio = match (c.ratio, c.raw_ratio) {
            (Some(ratio), _) => format!(" {ratio:.2} ×"),
            (None, Some(ratio)) => format!(" raw {ratio:.2} ×"),
            (None, None) => String::new(),
        };
        format!("L{} {}{ratio} in {}", c.level, c.compression, counted(c.data_blocks, "block", "blocks"))
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        return Ok(());
    }
    wrapped(out, "  ", &format!("compression: {}", parts.join(" · ")), width)
}

fn ttl(out: &mut dyn Write, ttl: &TtlAnalysis) -> io::Result<()> {
    let Some(ages) = &ttl.ages else {
        return if ttl.asked && ttl.covered == Some(false) {
            writeln!(out, "  TTL: none, entries carry no timestamp")
        } else {
            Ok(())
        };
    };
    if let Some(expired) = &ttl.expired {
        writeln!(
            out,
            "  TTL of {}: {} expired ({}), {} raw{}{}",
            ttl.ttl_ms.map_or_else(String::new, duration),
            entries(expired.entries, false),
            percent(expired.share),
            bytes(expired.bytes),
            expired.disk_bytes.map_or_else(String::new, |n| format!(", {} on disk", bytes(n))),
            expired.when_written.map_or_else(String::new, |n| {
                format!("; {} were expired when a compaction wrote them", count(n))
            })
        )?;
    }
    self::ages(out, ages)
}

fn ages(out: &mut dyn Write, ages: &AgeAnalysis) -> io::Result<()> {
    let text = |ms: u64| age(0, i64::try_from(ms).unwrap_or(i64::MAX));
    if let Some(spread) = spread(&ages.ages_ms, text) {
        writeln!(out, "  ages of {}: {spread}", counted(ages.entries, "entry", "entries"))?;
    }
    let mut odd = Vec::new();
    if ages.without_timestamp > 0 {
        odd.push(format!("{} without a timestamp", count(ages.without_timestamp)));
    }
    if ages.in_future > 0 {
        odd.push(format!("{} later than the reference time", count(ages.in_future)));
    }
    if !odd.is_empty() {
        writeln!(out, "    {}", odd.join(", "))?;
    }
    if ages.entries > 0 {
        let what_if: Vec<_> =
            ages.what_if.iter().map(|w| format!("{} {}", duration(w.ttl_ms), percent(w.share))).collect();
        writeln!(out, "    a TTL would expire: {}", what_if.join(" · "))?;
    }
    Ok(())
}

fn kryo(out: &mut dyn Write, kryo: &KryoAnalysis) -> io::Result<()> {
    if kryo.paths.is_empty() {
        return Ok(());
    }
    let exact = [("keys", kryo.exact_key_bytes), ("values", kryo.exact_value_bytes)];
    let exact: Vec<_> =
        exact.iter().filter_map(|(what, n)| Some(format!("{} in {what}", bytes((*n)?)))).collect();
    let exact =
        if exact.is_empty() { String::new() } else { format!("; Kryo itself wrote {}", exact.join(", ")) };
    let (Some(touched_bytes), Some(touched_rows)) = (kryo.touched_bytes, kryo.touched_rows) else {
        writeln!(out, "  Kryo: some of it passes through it")?;
        return kryo_paths(out, kryo);
    };
    writeln!(
        out,
        "  Kryo: {} of live rows pass through it, in {}{exact}",
        bytes(touched_bytes),
        counted(touched_rows, "row", "rows")
    )?;
    kryo_paths(out, kryo)
}

fn kryo_paths(out: &mut dyn Write, kryo: &KryoAnalysis) -> io::Result<()> {
    for path in &kryo.paths {
        let maybe = if path.in_subclass { " (in a subclass)" } else { "" };
        writeln!(out, "    at {}: {}{maybe}", one_line(&path.path), one_line(&path.class))?;
    }
    Ok(())
}

fn timers(out: &mut dyn Write, timers: &TimerAnalysis) -> io::Result<()> {
    let range = match (timers.earliest_ms, timers.latest_ms) {
        (Some(first), Some(last)) if first == last => format!(", all at {}", time(first)),
        (Some(first), Some(last)) => format!(", {} to {}", time(first), time(last)),
        _ => String::new(),
    };
    writeln!(out, "  {} timers of {} time{range}", count(timers.timers), timers.domain)?;
    let until = if timers.overdue { "overdue" } else { "at or before the reference time" };
    let parts = [
        (timers.until_reference, until),
        (timers.far_future, "more than a year later"),
        (timers.at_end_of_time, "at the end of time"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
    if parts.is_empty() { Ok(()) } else { writeln!(out, "    {}", parts.join(" · ")) }
}

fn compression_what_if(out: &mut dyn Write, what_if: &CompressionWhatIf, layout: Layout) -> io::Result<()> {
    writeln!(
        out,
        "  what if it was compressed otherwise, from {} of its {} on disk:",
        bytes(what_if.sampled.stored_bytes),
        bytes(what_if.stored_bytes)
    )?;
    let columns = [
        ("compression", false),
        ("dictionary", false),
        ("block", true),
        ("expected", true),
        ("of now", true),
    ];
    let rows = what_if.variants.iter().map(|expected| {
        let [name, dictionary, block] = variant(&expected.variant);
        vec![
            name,
            dictionary,
            block,
            bytes(expected.expected_bytes),
            share(expected.expected_bytes, what_if.stored_bytes),
        ]
    });
    table::write(out, layout, &columns, rows)
}

/// Compression, dictionary and size of blocks.
pub(super) fn variant(variant: &Variant) -> [String; 3] {
    let name = variant.level.map_or_else(
        || variant.compression.clone(),
        |level| format!("{} level {level}", variant.compression),
    );
    let dictionary = if variant.dictionary { "yes" } else { "no" };
    [name, dictionary.to_owned(), bytes(variant.block_bytes.into())]
}
