//! `verify` for people: what can be restored, then what is wrong.

use std::io::{self, Write};

use super::table::{self, cut, name, one_line};
use super::units::{bytes, count, counted, time};
use super::{Layout, places};
use crate::analyzers::verify::{
    Loss, NotChecked, SnapshotVerification, TablesChecked, Verdict, Verification,
};
use crate::model::{Effect, Finding};

/// Writes what was found out.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, result: &Verification, layout: Layout) -> io::Result<()> {
    if let ([one], true, true) =
        (result.snapshots.as_slice(), result.incomplete.is_empty(), result.findings.is_empty())
        && one.snapshot.location == result.location
    {
        return self::one(out, result, one, layout);
    }
    newest(out, result)?;
    let of = |verdict| result.snapshots.iter().filter(|s| s.verdict == verdict).count() as u64;
    writeln!(out, "  {}", one_line(&result.location))?;
    writeln!(
        out,
        "  {}: {} restorable, {} not restorable, {} of which one cannot tell",
        counted(result.snapshots.len() as u64, "complete snapshot", "complete snapshots"),
        of(Verdict::Restorable),
        of(Verdict::NotRestorable),
        of(Verdict::CannotTell)
    )?;
    writeln!(out)?;
    snapshots(out, result, layout)?;
    if !result.incomplete.is_empty() {
        let names: Vec<_> = result.incomplete.iter().map(|directory| name(directory)).collect();
        writeln!(out, "  without _metadata (being written, or given up): {}", names.join(", "))?;
    }
    let findings: Vec<Finding> = result.findings.iter().map(|problem| problem.finding.clone()).collect();
    if !findings.is_empty() {
        writeln!(out)?;
        table::findings(out, &findings, layout.rows)?;
    }
    let bad = result.snapshots.iter().filter(|s| s.verdict != Verdict::Restorable || !s.findings.is_empty());
    for snapshot in bad.take(layout.rows) {
        writeln!(
            out,
            "\n{} {}",
            verdict(snapshot.verdict).to_uppercase(),
            name(&snapshot.snapshot.location)
        )?;
        about(out, snapshot)?;
        problems(out, snapshot, layout)?;
    }
    legend(out, result)
}

fn one(
    out: &mut dyn Write,
    result: &Verification,
    snapshot: &SnapshotVerification,
    layout: Layout,
) -> io::Result<()> {
    let row = &snapshot.snapshot;
    let id = row.checkpoint_id.map_or_else(String::new, |id| format!(" {id}"));
    let kind = if row.kind == "unknown" { "snapshot" } else { row.kind };
    writeln!(out, "{}: {kind}{id}", verdict(snapshot.verdict).to_uppercase())?;
    writeln!(out, "  {}", one_line(&row.location))?;
    if let Some(ms) = row.completed_at_ms {
        writeln!(out, "  completed {} (file time of _metadata)", time(ms))?;
    }
    about(out, snapshot)?;
    problems(out, snapshot, layout)?;
    legend(out, result)
}

/// Answers the first question that one has of a job.
fn newest(out: &mut dyn Write, result: &Verification) -> io::Result<()> {
    let find = |location: &Option<String>| {
        let location = location.as_ref()?;
        result.snapshots.iter().find(|s| s.snapshot.location == *location).map(|s| &s.snapshot)
    };
    let by_id = find(&result.newest_restorable_by_id);
    let Some(by_id) = by_id else { return writeln!(out, "NO SNAPSHOT IS KNOWN TO BE RESTORABLE") };
    let text = |row: &crate::analyzers::root::SnapshotRow| {
        let completed =
            row.completed_at_ms.map_or_else(String::new, |ms| format!(", completed {}", time(ms)));
        format!("{}{completed}", name(&row.location))
    };
    writeln!(out, "newest restorable: {}", text(by_id))?;
    match find(&result.newest_restorable_by_completion) {
        Some(other) if other.location != by_id.location => {
            writeln!(out, "newest restorable by completion: {}", text(other))
        }
        _ => Ok(()),
    }
}

const COLUMNS: [table::Column; 9] = [
    ("snapshot", false),
    ("verdict", false),
    ("kind", false),
    ("id", true),
    ("completed (file time)", false),
    ("files", true),
    ("bytes", true),
    ("problems", true),
    ("lost", true),
];

fn snapshots(out: &mut dyn Write, result: &Verification, layout: Layout) -> io::Result<()> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let rows = result.snapshots.iter().map(|s| {
        let problems = s.findings.iter().filter(|problem| problem.effect != Effect::Harmless).count() as u64;
        let by_id = result.newest_restorable_by_id.as_ref() == Some(&s.snapshot.location);
        vec![
            format!("{}{}", name(&s.snapshot.location), if by_id { " ← newest good" } else { "" }),
            verdict(s.verdict).to_owned(),
            s.snapshot.kind.to_owned(),
            or_dash(s.snapshot.checkpoint_id.map(|id| id.to_string())),
            or_dash(s.snapshot.completed_at_ms.map(time)),
            or_dash(s.files.map(|files| count(files.named))),
            or_dash(s.files.map(|files| bytes(files.bytes))),
            if problems == 0 { "–".to_owned() } else { count(problems) },
            lost_bytes(&s.lost),
        ]
    });
    table::write(out, layout, &COLUMNS, rows)
}

/// Losses of all states of a handle hold those of its single states.
fn lost_bytes(lost: &[Loss]) -> String {
    match lost.iter().map(|loss| loss.bytes).max() {
        None => "–".to_owned(),
        Some(most) if lost.len() == 1 => bytes(most),
        Some(most) => format!("≥ {}", bytes(most)),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Restorable => "restorable",
        Verdict::NotRestorable => "not restorable",
        Verdict::CannotTell => "cannot tell",
    }
}

fn about(out: &mut dyn Write, snapshot: &SnapshotVerification) -> io::Result<()> {
    if let Some(files) = &snapshot.files {
        writeln!(
            out,
            "  {} with {}, {} of them inside _metadata: {}",
            counted(files.named, "file", "files"),
            bytes(files.bytes),
            count(files.inlined),
            if files.good == files.named {
                "all good".to_owned()
            } else {
                format!("{} good", count(files.good))
            }
        )?;
    }
    if let Some(tables) = snapshot.tables.as_ref().filter(|tables| tables.files > 0) {
        self::tables(out, tables)?;
    }
    if let Some(deep) = snapshot.tables.and_then(|tables| tables.deep).filter(|deep| deep.change_sets > 0) {
        writeln!(
            out,
            "  {} ({}): {} in {} can be decoded",
            counted(deep.changelogs, "changelog", "changelogs"),
            bytes(deep.change_bytes),
            counted(deep.changes, "change", "changes"),
            counted(deep.change_sets, "set", "sets"),
        )?;
    }
    if let Some(deep) = snapshot.tables.and_then(|tables| tables.deep).filter(|deep| deep.key_groups > 0) {
        writeln!(
            out,
            "  {} of keyed state with {} read key group by key group ({}, {})",
            counted(deep.streams, "stream", "streams"),
            bytes(deep.stream_bytes),
            counted(deep.key_groups, "key group", "key groups"),
            counted(deep.rows, "row", "rows"),
        )?;
    }
    if let Some(deep) = snapshot.tables.and_then(|tables| tables.deep).filter(|deep| deep.channels > 0) {
        writeln!(
            out,
            "  {} with {} in flight read buffer by buffer ({})",
            counted(deep.channels, "channel", "channels"),
            bytes(deep.channel_bytes),
            counted(deep.channel_elements, "element", "elements"),
        )?;
    }
    if let Some(places) = &snapshot.places {
        places::write(out, places)?;
    }
    let parts: Vec<_> = snapshot.not_checked.iter().map(not_checked).collect();
    if parts.is_empty() {
        return Ok(());
    }
    writeln!(out, "  not checked:")?;
    parts.iter().try_for_each(|part| writeln!(out, "    {part}"))
}

fn tables(out: &mut dyn Write, tables: &TablesChecked) -> io::Result<()> {
    let tails = if tables.tails == tables.files { "all".to_owned() } else { count(tables.tails) };
    write!(
        out,
        "  {} with {}: footer and properties of {tails} decoded",
        counted(tables.files, "SST file", "SST files"),
        bytes(tables.bytes)
    )?;
    match &tables.deep {
        Some(deep) => writeln!(
            out,
            "; {} verified block by block ({}, {})",
            if deep.files == tables.files { "all".to_owned() } else { count(deep.files) },
            counted(deep.data_blocks, "data block", "data blocks"),
            counted(deep.entries, "entry", "entries")
        ),
        None => writeln!(out),
    }
}

fn not_checked(part: &NotChecked) -> String {
    let files = match part.files {
        0 => String::new(),
        files => format!(" in {}", counted(files, "file", "files")),
    };
    format!("{}: {}{files}", part.what, bytes(part.bytes))
}

fn problems(out: &mut dyn Write, snapshot: &SnapshotVerification, layout: Layout) -> io::Result<()> {
    for (effect, title) in [
        (Effect::Breaks, "BROKEN"),
        (Effect::Unknown, "NOT KNOWN"),
        (Effect::Harmless, "NOTES (they stand against nothing)"),
    ] {
        let of_effect = snapshot.findings.iter().filter(|problem| problem.effect == effect);
        let findings: Vec<Finding> = of_effect.map(|problem| problem.finding.clone()).collect();
        if !findings.is_empty() {
            writeln!(out, "\n{title}: {}", counted(findings.len() as u64, "problem", "problems"))?;
            table::findings(out, &findings, layout.rows)?;
        }
    }
    if snapshot.lost.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWHAT IS TOUCHED, largest first")?;
    let columns = [
        ("operator", false),
        ("kind", false),
        ("state", false),
        ("subtasks", false),
        ("key groups", false),
        ("bytes", true),
    ];
    let rows = snapshot.lost.iter().map(|loss| {
        let ranges = loss.key_groups.iter();
        let ranges: Vec<_> = ranges.map(|(first, last)| format!("{first}–{last}")).collect();
        let subtasks: Vec<_> = loss.subtasks.iter().map(u32::to_string).collect();
        let dash = |text: String| if text.is_empty() { "–".to_owned() } else { cut(&text, 40) };
        vec![
            cut(&loss.operator, 32),
            loss.kind.replace('_', " "),
            loss.state.clone().unwrap_or_else(|| "all of the handle".to_owned()),
            dash(subtasks.join(", ")),
            dash(ranges.join(", ")),
            bytes(loss.bytes),
        ]
    });
    table::write(out, layout, &columns, rows)
}

fn legend(out: &mut dyn Write, result: &Verification) -> io::Result<()> {
    writeln!(
        out,
        "\nrestorable = nothing that was looked at stands against it{}.\n\
         Whether the job's code fits the state is not asked.",
        if result.deep { "" } else { "; --deep reads every block of the SST files too" }
    )
}
