//! `inspect ROOT` for people: one table of jobs with their checkpoints, one of savepoints.

use std::io::{self, Write};

use super::Layout;
use super::table::{self, name, one_line};
use super::units::{age, bytes, count, counted, time};
use crate::analyzers::root::{JobSummary, RootOverview, SnapshotRow};

const COLUMNS: [table::Column; 8] = [
    ("snapshot", false),
    ("kind", false),
    ("id", true),
    ("state", true),
    ("objects", true),
    ("_metadata", true),
    ("completed (file time)", false),
    ("age", true),
];

/// Writes what lies under a root.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, root: &RootOverview, layout: Layout) -> io::Result<()> {
    let checkpoints: usize = root.jobs.iter().map(|j| j.checkpoints.len()).sum();
    writeln!(
        out,
        "{}: {}, {}, {}; findings: {}",
        one_line(&root.location),
        counted(root.jobs.len() as u64, "job", "jobs"),
        counted(checkpoints as u64, "complete checkpoint", "complete checkpoints"),
        counted(root.savepoints.len() as u64, "savepoint or copy", "savepoints or copies"),
        table::tally(&root.findings)
    )?;
    for job in root.jobs.iter().take(layout.rows) {
        self::job(out, root, job, layout)?;
    }
    let left_out = root.jobs.len().saturating_sub(layout.rows);
    if left_out > 0 {
        writeln!(out, "\n… and {left_out} more jobs (--rows 0 shows all)")?;
    }
    if !root.savepoints.is_empty() {
        writeln!(out, "\nSAVEPOINTS AND COPIES, newest first")?;
        let rows: Vec<_> = root.savepoints.iter().map(|s| row(root, s, String::new())).collect();
        table::write(out, layout, &COLUMNS, rows.into_iter())?;
    }
    for directory in &root.not_looked_into {
        writeln!(out, "\nnot looked into, too deep: {}", one_line(directory))?;
    }
    if !root.findings.is_empty() {
        writeln!(out, "\nFINDINGS: {}", table::tally(&root.findings))?;
        table::findings(out, &root.findings, layout.rows)?;
    }
    writeln!(
        out,
        "\nstate = bytes that the snapshot names; files shared with other snapshots count in each. \
         inspect SNAPSHOT shows what is in one."
    )
}

fn job(out: &mut dyn Write, root: &RootOverview, job: &JobSummary, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nJOB {}", job.job_id.as_deref().unwrap_or("(directory is not called by a job id)"))?;
    writeln!(out, "  {}", one_line(&job.location))?;
    let mut rows = Vec::new();
    for checkpoint in &job.checkpoints {
        let by_id = job.newest_by_id.as_ref() == Some(&checkpoint.location);
        let by_completion = job.newest_by_completion.as_ref() == Some(&checkpoint.location);
        let mark = match (by_id, by_completion) {
            (true, true) => " ← newest",
            (true, false) => " ← newest by id",
            (false, true) => " ← newest by completion",
            (false, false) => "",
        };
        rows.push(row(root, checkpoint, mark.to_owned()));
    }
    if rows.is_empty() {
        writeln!(out, "  no complete checkpoint")?;
    } else {
        table::write(out, layout, &COLUMNS, rows.into_iter())?;
    }
    if !job.incomplete.is_empty() {
        let names: Vec<_> = job.incomplete.iter().map(|d| name(d)).collect();
        writeln!(out, "  without _metadata (being written, or given up): {}", names.join(", "))?;
    }
    Ok(())
}

fn row(root: &RootOverview, s: &SnapshotRow, mark: String) -> Vec<String> {
    let kind = match &s.format {
        Some(format) => format!("{}, {format}", s.kind),
        None => s.kind.to_owned(),
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    vec![
        format!("{}{mark}", name(&s.location)),
        kind,
        or_dash(s.checkpoint_id.map(|id| id.to_string())),
        or_dash(s.state_bytes.map(bytes)),
        or_dash(s.objects.map(count)),
        or_dash(s.metadata_bytes.map(bytes)),
        or_dash(s.completed_at_ms.map(time)),
        or_dash(s.completed_at_ms.map(|ms| age(ms, root.now_ms))),
    ]
}
