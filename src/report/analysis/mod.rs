//! `analyze SNAPSHOT` for people: the first screen answers, details follow, the largest state first.

mod operators;
mod parts;
mod shallow;
mod states;

use std::io::{self, Write};

use super::Layout;
use super::table::{self, cut, one_line, wrapped};
use super::units::{bytes, count, counted, percent, share, short, time};
use crate::analyzers::analysis::{
    Analysis, DiskBytes, LiveFigures, Missing, StateAnalysis, VariantCost, Witness,
};
use crate::model::{Finding, Severity};

/// How many kinds of findings the first screen shows.
const WORST: usize = 3;
/// The width that text is laid out for where there is no terminal.
const WIDTH: u16 = 120;
/// Below this, the table of states has fewer columns.
const NARROW: u16 = 110;

/// Writes an analysis.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    head(out, analysis, layout)?;
    if analysis.totals.live.is_some() || analysis.states.is_empty() {
        states(out, analysis, layout)?;
    } else {
        shallow::states(out, analysis, layout)?;
    }
    worst_findings(out, analysis, layout)?;
    legend(out, analysis, layout)?;
    for state in analysis
        .states
        .iter()
        .filter(|s| s.sst.is_some_and(|sst| sst.files > 0) || holds_any(s.disk, s.live.as_ref()))
        .take(layout.rows)
    {
        states::write(out, state, layout)?;
    }
    operators::write(out, analysis, layout)?;
    not_analyzed(out, analysis, layout)?;
    if analysis.findings.len() > 1 {
        writeln!(out, "\nALL FINDINGS: {}", table::tally(&analysis.findings))?;
        table::findings(out, &analysis.findings, layout.rows)?;
    }
    Ok(())
}

/// Writes what other compressions cost, as it was measured; nothing where nothing was.
///
/// # Errors
/// The output cannot be written.
pub fn write_costs(out: &mut dyn Write, costs: &[VariantCost], layout: Layout) -> io::Result<()> {
    if costs.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nCOST of compression, measured on one core of this machine")?;
    let columns =
        [("compression", false), ("dictionary", false), ("block", true), ("write", true), ("read", true)];
    let micros = |ns: u64| format!("{} µs/MiB", count(ns / 1000));
    let rows = costs.iter().map(|cost| {
        let [name, dictionary, block] = states::variant(&cost.variant);
        vec![name, dictionary, block, micros(cost.compress_ns_per_mib), micros(cost.decompress_ns_per_mib)]
    });
    table::write(out, layout, &columns, rows)
}

/// Whether there is anything to tell in detail.
fn holds_any(disk: Option<DiskBytes>, live: Option<&LiveFigures>) -> bool {
    disk.map_or(live.is_some_and(|live| live.rows > 0), |disk| disk.bytes > 0)
}

fn width(layout: Layout) -> usize {
    usize::from(layout.width.unwrap_or(WIDTH))
}

fn head(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    let (s, t) = (&analysis.snapshot, &analysis.totals);
    let kind = if s.kind == "unknown" { "snapshot" } else { s.kind };
    let about = if s.backends.is_empty() { String::new() } else { format!(" ({})", s.backends.join(", ")) };
    let filtered =
        if analysis.filter.operator.is_some() || analysis.filter.state.is_some() { " selected" } else { "" };
    let read = match (&t.disk, &t.physical) {
        (Some(disk), physical) if t.live.is_some() => {
            let files = physical.map(|physical| counted(physical.files, "SST file", "SST files"));
            let streams = analysis.states.iter().any(|state| state.streams.is_some());
            let streams = streams.then(|| "streams".to_owned());
            let places: Vec<String> = files.into_iter().chain(streams).collect();
            format!("{} on disk in {}, read once", bytes(disk.bytes), places.join(" and "))
        }
        _ if t.live.is_some() => "by RocksDB's iterators, which see what is live and nothing else".to_owned(),
        _ => shallow::read(analysis),
    };
    writeln!(
        out,
        "{kind} {}{about}: {} {filtered}{} analyzed, {read}",
        s.checkpoint_id,
        count(t.states as u64),
        if t.states == 1 { "state" } else { "states" },
    )?;
    writeln!(out, "  {}", one_line(&s.location))?;
    shallow::depth(out, &analysis.method, width(layout))?;
    let expired = analysis.states.iter().any(|state| state.ttl.expired.is_some());
    match &t.disk {
        Some(disk) if disk.bytes > 0 && disk.live_bytes.is_some() => {
            writeln!(out, "  on disk: {}", shares("", disk, expired))?;
        }
        _ => {}
    }
    if let Some(estimates) = &t.estimates {
        shallow::estimates(out, estimates, width(layout))?;
    }
    if let Some(live) = t.live.as_ref().filter(|live| holds_any(t.disk, Some(live))) {
        let files = t.physical.map_or_else(String::new, |physical| {
            let entries = counted(physical.entries, "entry", "entries");
            format!("; in the files: {} of all versions in {entries}", bytes(physical.raw_bytes()))
        });
        writeln!(
            out,
            "  live: {} in {}, {}{files}",
            bytes(live.bytes),
            counted(live.rows, "row", "rows"),
            entries(live.entries, live.entries_at_least),
        )?;
    }
    let (reference, witness) =
        (time(analysis.reference_time.at_ms), witness(analysis.reference_time.witness));
    match (t.ttl_asked_disk_bytes, t.ttl_covered_disk_bytes) {
        (Some(asked @ 1..), Some(covered)) => {
            let covered = share(covered, asked);
            writeln!(
                out,
                "  TTL: {covered} of user state on disk has one; ages are against {reference} ({witness})"
            )?;
        }
        (None, _) if t.live.is_some_and(|live| live.rows > 0) => {
            writeln!(out, "  ages are against {reference} ({witness})")?
        }
        _ => {}
    }
    missing(out, "  ", &t.missing)?;
    if !analysis.not_analyzed.is_empty() {
        let states = counted(analysis.not_analyzed.len() as u64, "state", "states");
        let size = match t.not_analyzed_bytes {
            0 => String::new(),
            n => format!(" with {} known of", bytes(n)),
        };
        writeln!(out, "  not analyzed: {states}{size}, listed below")?;
    }
    Ok(())
}

/// What on-disk bytes are spent on, behind some text; nothing where that is not known.
fn shares(before: &str, disk: &DiskBytes, expired: bool) -> String {
    let part = |name: &str, n: Option<u64>, share: Option<f64>| {
        Some(format!("{name} {} ({})", percent(share?), bytes(n?)))
    };
    let parts = [
        part("live", disk.live_bytes, disk.live_share),
        part("expired", disk.expired_bytes, disk.expired_share).filter(|_| expired),
        part("dead", disk.dead_bytes, disk.dead_share),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("{before}{}", parts.join(" · ")) }
}

fn entries(entries: u64, at_least: bool) -> String {
    format!("{}{}", if at_least { "at least " } else { "" }, counted(entries, "entry", "entries"))
}

fn missing(out: &mut dyn Write, indent: &str, missing: &Missing) -> io::Result<()> {
    if *missing == Missing::default() {
        return Ok(());
    }
    let mut parts = vec![bytes(missing.bytes)];
    if missing.blocks > 0 {
        parts.push(counted(missing.blocks, "block", "blocks"));
    }
    if missing.entries > 0 {
        parts.push(counted(missing.entries, "entry", "entries"));
    }
    let mut places = Vec::new();
    if missing.key_groups > 0 {
        places.push(counted(missing.key_groups, "key group", "key groups"));
    }
    if missing.files > 0 {
        places.push(counted(missing.files, "file", "files"));
    }
    writeln!(
        out,
        "{indent}MISSING from all figures, as it could not be read: {} of {}",
        parts.join(", "),
        places.join(" and "),
    )
}

fn witness(witness: Witness) -> &'static str {
    match witness {
        Witness::Given => "given",
        Witness::NewestSst => "of the newest SST",
        Witness::MetadataFileTime => "file time of _metadata",
        Witness::Clock => "now",
    }
}

fn states(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    if analysis.states.is_empty() {
        let why = if analysis.method.stream_bytes > 0 {
            "Nothing is known yet: the states lie in streams of key groups, which --depth full reads"
        } else {
            "Nothing to analyze: there is no keyed state"
        };
        return writeln!(out, "\n{why}");
    }
    let on_disk = analysis.totals.disk.is_some();
    writeln!(out, "\nSTATES, largest {} first", if on_disk { "on disk" } else { "live" })?;
    let wide = layout.width.is_none_or(|width| width >= NARROW);
    let columns = [
        ("STATE", false, true),
        ("OPERATOR", false, wide),
        ("ON DISK", true, on_disk),
        ("LIVE", true, on_disk),
        ("DEAD", true, on_disk),
        ("EXPIRED", true, on_disk),
        ("LIVE BYTES", true, !on_disk),
        ("ROWS", true, wide),
        ("ENTRIES", true, true),
        ("KEYS", true, true),
        ("TTL", false, wide),
        ("KRYO", false, wide),
    ];
    let shown: Vec<_> = columns.iter().filter(|column| column.2).map(|c| (c.0, c.1)).collect();
    let rows = analysis.states.iter().map(|state| {
        let (d, l) = (state.disk.unwrap_or_default(), state.live.unwrap_or_default());
        let of = |share: Option<f64>| share.filter(|_| d.bytes > 0).map_or_else(|| "–".to_owned(), percent);
        let cells = [
            cut(&state.name, 24),
            cut(&state.operator, 14),
            bytes(d.bytes),
            of(d.live_share),
            of(d.dead_share),
            expired(state, &d),
            bytes(l.bytes),
            short(l.rows),
            format!("{}{}", if l.entries_at_least { "≥" } else { "" }, short(l.entries)),
            if l.rows == 0 || l.keys > 0 { short(l.keys) } else { "?".to_owned() },
            ttl(state).to_owned(),
            if state.kryo.paths.is_empty() { "–" } else { "yes" }.to_owned(),
        ];
        cells.into_iter().zip(&columns).filter(|(_, column)| column.2).map(|(cell, _)| cell).collect()
    });
    table::write(out, layout, &shown, rows)
}

/// The share of a state that is expired: not known without a TTL, and not asked where nothing can expire.
fn expired(state: &StateAnalysis, disk: &DiskBytes) -> String {
    match (&state.ttl.expired, state.ttl.covered) {
        (Some(_), _) => disk.expired_share.map_or_else(String::new, percent),
        (None, Some(true)) => "?".to_owned(),
        (None, _) => "–".to_owned(),
    }
}

fn ttl(state: &StateAnalysis) -> &'static str {
    match state.ttl.covered {
        Some(true) => "yes",
        _ if !state.ttl.asked => "–",
        Some(false) => "no",
        None => "?",
    }
}

fn worst_findings(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    let findings = &analysis.findings;
    if findings.is_empty() {
        return writeln!(out, "\nFINDINGS: none");
    }
    writeln!(out, "\nFINDINGS: {}", table::tally(findings))?;
    let width = width(layout);
    // Of each kind the first: they come worst first.
    let mut kinds: Vec<(&Finding, u64)> = Vec::new();
    for finding in findings {
        match kinds.iter_mut().find(|(first, _)| first.code == finding.code) {
            Some((_, count)) => *count += 1,
            None => kinds.push((finding, 1)),
        }
    }
    for (Finding { severity, code, message, part, remedy, .. }, of_kind) in kinds.iter().take(WORST) {
        let severity = match severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
        };
        let part = part.as_ref().map_or_else(String::new, |part| format!("{part}: "));
        let more = match of_kind - 1 {
            0 => String::new(),
            more => format!(" (and {} more of this kind)", count(more)),
        };
        wrapped(out, "  ", &format!("{severity} {code}: {part}{message}{more}"), width)?;
        wrapped(out, "    ", &format!("remedy: {remedy}"), width)?;
    }
    match kinds.len().saturating_sub(WORST) {
        0 => Ok(()),
        more => writeln!(out, "  … and {}, at the end", counted(more as u64, "more kind", "more kinds")),
    }
}

fn legend(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    if analysis.states.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let width = width(layout);
    if analysis.totals.live.is_none() {
        return shallow::legend(out, analysis, width);
    }
    let text = "live = what Flink would see after a restore; dead = tombstones, shadowed versions, what lies outside of \
                the key groups; row = what a scan of RocksDB yields; entry = a value, list element, map entry or timer; \
                key = of keyBy. LIVE, DEAD and EXPIRED are shares of ON DISK: compressed bytes, those of all versions.";
    if analysis.totals.disk.is_none() {
        let text = "live = what Flink would see after a restore; row = what a scan of RocksDB yields; entry = a value, list \
                    element, map entry or timer; key = of keyBy. LIVE BYTES are raw: not compressed, composite keys with values.";
        return wrapped(out, "", text, width);
    }
    wrapped(out, "", text, width)?;
    if analysis.states.iter().any(|state| state.ttl.expired.is_some()) {
        let text = "With --ttl, LIVE leaves out what is EXPIRED; rows, entries and raw bytes that are called live hold it, as \
                    Flink reads it until a compaction or an access removes it.";
        wrapped(out, "", text, width)?;
    }
    let without = analysis.states.iter().any(|s| s.ttl.covered == Some(true) && s.ttl.expired.is_none());
    if without {
        let text = "EXPIRED ? = entries carry timestamps, but how long the TTL is stands in no snapshot: --ttl STATE=7d.";
        wrapped(out, "", text, width)?;
    }
    Ok(())
}

fn not_analyzed(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    if analysis.not_analyzed.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nNOT ANALYZED, largest first")?;
    let columns = [("STATE", false), ("OPERATOR", false), ("KIND", false), ("BYTES", true), ("WHY", false)];
    let rows = analysis.not_analyzed.iter().map(|state| {
        let size = match (state.bytes, state.bytes_at_most) {
            (Some(n), _) => bytes(n),
            (None, Some(bound)) => format!("≤ {}", bytes(bound)),
            (None, None) => "–".to_owned(),
        };
        vec![
            cut(&state.name, 32),
            cut(&state.operator, 16),
            state.kind.to_owned(),
            size,
            state.reason.to_owned(),
        ]
    });
    table::write(out, layout, &columns, rows)?;
    let mut told: Vec<&str> = Vec::new();
    for state in &analysis.not_analyzed {
        if !told.contains(&state.reason) {
            told.push(state.reason);
            wrapped(out, "  ", &format!("{}: {}", state.reason, state.explanation), width(layout))?;
        }
    }
    Ok(())
}
