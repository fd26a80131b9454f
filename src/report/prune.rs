//! `refs`, `du`, `orphans` and `prune` for people.

use std::io::{self, Write};

use super::Layout;
use super::table::{self, one_line};
use super::units::{age, bytes, count, counted, time};
use crate::model::Effect;
use crate::model::inventory::RootRole;
use crate::prune::execute::{AfterAll, Stopped};
use crate::prune::results::{
    Amount, ApplyResult, Du, KeptPart, Orphans, PlanResult, Refs, RootSummary, SnapshotUsage, SubjectKind,
    Verdict,
};
use crate::prune::{Reason, Refusal};

fn dash() -> String {
    "–".to_owned()
}

fn amount(amount: Amount) -> String {
    format!("{} in {}", bytes(amount.bytes), counted(amount.objects, "object", "objects"))
}

/// Writes who needs a file or a directory.
///
/// # Errors
/// The output cannot be written.
pub fn refs(out: &mut dyn Write, refs: &Refs, layout: Layout) -> io::Result<()> {
    let kind = match refs.kind {
        SubjectKind::File => "file",
        SubjectKind::Snapshot => "snapshot",
        SubjectKind::Job => "job's directory",
        SubjectKind::Directory => "directory",
    };
    let verdict = match refs.verdict {
        Verdict::Deletable => "DELETABLE",
        Verdict::NotDeletable => "NOT DELETABLE",
        Verdict::CannotTell => "CANNOT TELL",
    };
    writeln!(out, "{verdict}: {} ({kind}, {})", one_line(&refs.location), amount(refs.all))?;
    kept(out, &refs.kept, layout)?;
    if refs.users > 0 {
        let whom = if refs.kind == SubjectKind::File { "" } else { " ELSEWHERE" };
        writeln!(out, "\nNEEDED BY {}{whom}", counted(refs.users, "SNAPSHOT", "SNAPSHOTS"))?;
        let rows: Vec<_> = refs
            .needed_by
            .iter()
            .map(|user| {
                let id = user.checkpoint_id.map_or_else(dash, |id| id.to_string());
                vec![user.snapshot.clone(), id, count(user.files)]
            })
            .collect();
        table::write(out, layout, &[("snapshot", false), ("id", true), ("files", true)], rows.into_iter())?;
        let states: Vec<_> = refs.needed_by.iter().flat_map(|user| &user.states).collect();
        let mut distinct: Vec<_> = states
            .iter()
            .map(|state| {
                vec![
                    state.operator.clone().unwrap_or_else(|| state.operator_id.clone()),
                    state.subtask.map_or_else(dash, |subtask| subtask.to_string()),
                    state.role.to_owned(),
                    state.local_name.clone().unwrap_or_else(dash),
                    if state.states.is_empty() { dash() } else { state.states.join(", ") },
                ]
            })
            .collect();
        distinct.sort();
        distinct.dedup();
        if !distinct.is_empty() {
            writeln!(out, "\nFOR")?;
            let columns =
                [("operator", false), ("subtask", true), ("as", false), ("file", false), ("states", false)];
            table::write(out, layout, &columns, distinct.into_iter())?;
        }
    }
    if !refs.files.is_empty() {
        writeln!(out, "\nFILES IN IT THAT OTHERS NEED")?;
        let rows: Vec<_> = refs
            .files
            .iter()
            .map(|file| vec![file.url.clone(), bytes(file.bytes), count(file.users), file.user.clone()])
            .collect();
        let columns = [("file", false), ("size", true), ("snapshots", true), ("such as", false)];
        table::write(out, layout, &columns, rows.into_iter())?;
    }
    problems(out, &refs.findings, layout)
}

/// What stays, and why.
fn kept(out: &mut dyn Write, kept: &[KeptPart], layout: Layout) -> io::Result<()> {
    for part in kept.iter().take(layout.rows) {
        let how_much =
            if part.amount.objects == 0 { String::new() } else { format!(" ({})", amount(part.amount)) };
        writeln!(out, "  kept, {:?}{how_much}: {}", part.rule, part.why)?;
        if let Some(remedy) = part.remedy {
            writeln!(out, "    {remedy}")?;
        }
    }
    Ok(())
}

fn problems(out: &mut dyn Write, findings: &[crate::model::Finding], layout: Layout) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nFINDINGS: {}", table::tally(findings))?;
    table::findings(out, findings, layout.rows)
}

fn roots(out: &mut dyn Write, roots: &[RootSummary], layout: Layout) -> io::Result<()> {
    let rows: Vec<_> = roots
        .iter()
        .map(|root| {
            let role = match root.role {
                RootRole::Storage => "",
                RootRole::Savepoints => " (savepoints)",
                RootRole::HighAvailability => " (high availability)",
            };
            let unread = match root.unread_snapshots {
                0 => String::new(),
                n => format!(", {n} unread"),
            };
            vec![
                format!("{}{role}{}", root.location, if root.listed { "" } else { " NOT LISTED" }),
                format!("{}{unread}", count(root.snapshots)),
                count(root.all.objects),
                bytes(root.all.bytes),
                bytes(root.needed.bytes),
                bytes(root.orphaned.bytes),
                bytes(root.protected.bytes),
            ]
        })
        .collect();
    let columns = [
        ("root", false),
        ("snapshots", true),
        ("objects", true),
        ("bytes", true),
        ("needed", true),
        ("may go", true),
        ("unneeded, but kept", true),
    ];
    table::write(out, layout, &columns, rows.into_iter())
}

/// Writes what no snapshot needs.
///
/// # Errors
/// The output cannot be written.
pub fn orphans(out: &mut dyn Write, orphans: &Orphans, layout: Layout) -> io::Result<()> {
    let sum = |of: fn(&RootSummary) -> Amount| {
        orphans.roots.iter().map(of).fold(Amount::default(), |sum, one| Amount {
            objects: sum.objects + one.objects,
            bytes: sum.bytes.saturating_add(one.bytes),
        })
    };
    writeln!(
        out,
        "no snapshot needs {}; of these, nothing speaks against deleting {}",
        amount(Amount {
            objects: sum(|root| root.orphaned).objects + sum(|root| root.protected).objects,
            bytes: sum(|root| root.orphaned).bytes.saturating_add(sum(|root| root.protected).bytes),
        }),
        amount(sum(|root| root.orphaned)),
    )?;
    roots(out, &orphans.roots, layout)?;
    for (title, is_kept) in [("MAY GO", false), ("NEEDED BY NO SNAPSHOT, BUT KEPT", true)] {
        let groups: Vec<_> = orphans.groups.iter().filter(|group| group.kept.is_some() == is_kept).collect();
        if groups.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        let rows: Vec<_> = groups
            .iter()
            .map(|group| {
                let old = |ms: Option<i64>| ms.map_or_else(dash, |ms| age(ms, orphans.listed_at_ms));
                let mut row = vec![
                    group.job.clone().unwrap_or_else(|| format!("in no job, such as {}", group.example)),
                    group.kind.what().to_owned(),
                    count(group.amount.objects),
                    bytes(group.amount.bytes),
                    old(group.oldest_ms),
                    old(group.youngest_ms),
                ];
                if let (Some(rule), Some(why)) = (group.rule, group.why) {
                    row.push(format!("{rule:?}: {why}"));
                }
                row
            })
            .collect();
        let mut columns = vec![
            ("job", false),
            ("what", false),
            ("objects", true),
            ("bytes", true),
            ("oldest", true),
            ("youngest", true),
        ];
        if is_kept {
            columns.push(("kept by", false));
        }
        table::write(out, layout, &columns, rows.into_iter())?;
    }
    let mut remedies: Vec<_> = orphans.groups.iter().filter_map(|group| group.remedy).collect();
    remedies.sort_unstable();
    remedies.dedup();
    if !remedies.is_empty() {
        writeln!(out)?;
        for remedy in remedies {
            writeln!(out, "  · {remedy}")?;
        }
    }
    problems(out, &orphans.findings, layout)?;
    if !orphans.roots_complete {
        writeln!(
            out,
            "\nThis is what no snapshot under these roots needs. Snapshots elsewhere may: only who knows all of them can \
             say --roots-complete."
        )?;
    }
    Ok(())
}

/// Writes which bytes belong to whom.
///
/// # Errors
/// The output cannot be written.
pub fn du(out: &mut dyn Write, du: &Du, layout: Layout) -> io::Result<()> {
    roots(out, &du.roots, layout)?;
    const COLUMNS: [table::Column; 6] = [
        ("snapshot", false),
        ("completed", false),
        ("all", true),
        ("freed if it goes", true),
        ("shared", true),
        ("missing files", true),
    ];
    for job in du.jobs.iter().take(layout.rows) {
        writeln!(out, "\nJOB {}: {}", one_line(&job.job), amount(job.all))?;
        for (what, of) in
            [("needed by no snapshot", job.orphaned), ("none of what Flink writes", job.unknown)]
        {
            if of.objects > 0 {
                writeln!(out, "  {what}: {}", amount(of))?;
            }
        }
        if job.checkpoints.is_empty() {
            writeln!(out, "  no complete checkpoint")?;
        } else {
            table::write(
                out,
                layout,
                &COLUMNS,
                job.checkpoints.iter().map(usage).collect::<Vec<_>>().into_iter(),
            )?;
        }
        for keeping in job.keeping_last.iter().take(layout.rows) {
            writeln!(out, "  keeping the last {} would free {}", keeping.checkpoints, amount(keeping.freed))?;
        }
    }
    let left_out = du.jobs.len().saturating_sub(layout.rows);
    if left_out > 0 {
        writeln!(out, "\n… and {left_out} more jobs (--rows 0 shows all)")?;
    }
    if !du.savepoints.is_empty() {
        writeln!(out, "\nSAVEPOINTS AND COPIES")?;
        table::write(out, layout, &COLUMNS, du.savepoints.iter().map(usage).collect::<Vec<_>>().into_iter())?;
    }
    problems(out, &du.findings, layout)
}

fn usage(usage: &SnapshotUsage) -> Vec<String> {
    vec![
        usage.snapshot.clone(),
        usage.completed_at_ms.map_or_else(dash, time),
        bytes(usage.all.bytes),
        bytes(usage.exclusive.bytes),
        bytes(usage.shared.bytes),
        if usage.missing_files == 0 { dash() } else { count(usage.missing_files) },
    ]
}

fn refusals(out: &mut dyn Write, refusals: &[Refusal]) -> io::Result<()> {
    for refusal in refusals {
        writeln!(out, "  {:?} {}: {}", refusal.rule, one_line(&refusal.object), one_line(&refusal.message))?;
        writeln!(out, "    {}", refusal.remedy)?;
    }
    Ok(())
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::SnapshotRemoved => "_metadata of a checkpoint or savepoint that goes",
        Reason::OnlyRemovedSnapshots => "only snapshots that go name it",
        Reason::Orphan(orphan) => orphan.what(),
    }
}

/// Writes what a plan comes to.
///
/// # Errors
/// The output cannot be written.
pub fn plan(out: &mut dyn Write, result: &PlanResult, layout: Layout) -> io::Result<()> {
    let all = Amount { objects: result.plan.candidates.len() as u64, bytes: result.plan.candidate_bytes() };
    match (result.refusals.as_slice(), all.objects) {
        ([], 0) => writeln!(out, "nothing is to be deleted")?,
        ([], _) => writeln!(out, "{} may be deleted", amount(all))?,
        (_, _) => {
            writeln!(out, "REFUSED: {} would be deleted", amount(all))?;
            refusals(out, &result.refusals)?;
        }
    }
    roots(out, &result.roots, layout)?;
    if !result.candidates.is_empty() {
        writeln!(out, "\nMAY GO")?;
        let rows: Vec<_> = result
            .candidates
            .iter()
            .map(|group| {
                vec![
                    group.job.clone().unwrap_or_else(|| group.example.clone()),
                    reason(group.reason).to_owned(),
                    count(group.amount.objects),
                    bytes(group.amount.bytes),
                    group.youngest_ms.map_or_else(dash, |ms| age(ms, result.plan.listed_ms)),
                ]
            })
            .collect();
        let columns =
            [("job", false), ("what", false), ("objects", true), ("bytes", true), ("youngest", true)];
        table::write(out, layout, &columns, rows.into_iter())?;
    }
    if !result.snapshots.is_empty() {
        writeln!(out, "\nSNAPSHOTS")?;
        let rows: Vec<_> = result
            .snapshots
            .iter()
            .map(|group| {
                let fate = match (group.rule, group.why) {
                    (Some(rule), Some(why)) => format!("kept, {rule:?}: {why}"),
                    _ => "goes".to_owned(),
                };
                vec![count(group.snapshots), fate, group.example.clone()]
            })
            .collect();
        table::write(out, layout, &[("snapshots", true), ("", false), ("such as", false)], rows.into_iter())?;
    }
    if !result.kept.is_empty() {
        writeln!(out, "\nKEPT")?;
        let rows: Vec<_> = result
            .kept
            .iter()
            .map(|part| {
                let why = format!("{:?}: {}", part.rule, part.why);
                vec![count(part.amount.objects), bytes(part.amount.bytes), why]
            })
            .collect();
        table::write(out, layout, &[("objects", true), ("bytes", true), ("why", false)], rows.into_iter())?;
    }
    let remedies = result.kept.iter().map(|part| part.remedy);
    let mut remedies: Vec<_> =
        remedies.chain(result.snapshots.iter().map(|group| group.remedy)).flatten().collect();
    remedies.sort_unstable();
    remedies.dedup();
    if !remedies.is_empty() {
        writeln!(out)?;
        for remedy in remedies {
            writeln!(out, "  · {remedy}")?;
        }
    }
    let findings: Vec<_> = result.blocks.iter().chain(&result.findings).cloned().collect();
    problems(out, &findings, layout)?;
    if let Some(marked) = result.marked {
        writeln!(out, "\n{} marked", counted(marked, "object is", "objects are"))?;
    }
    let end = match (result.written, all.objects) {
        (true, _) => "The plan is written; it can be executed for a day: prune --apply FILE",
        (false, 0) => return Ok(()),
        (false, _) => "Nothing was deleted. --plan FILE writes the plan, which --apply FILE executes.",
    };
    writeln!(out, "\n{end}")
}

/// Writes what came of a plan.
///
/// # Errors
/// The output cannot be written.
pub fn applied(out: &mut dyn Write, result: &ApplyResult, layout: Layout) -> io::Result<()> {
    let Some(outcome) = &result.outcome else {
        writeln!(out, "REFUSED: nothing was deleted")?;
        return refusals(out, &result.refusals);
    };
    writeln!(
        out,
        "deleted {}; gone before: {}; kept after all: {}; failed: {}; not come to: {}",
        amount(Amount { objects: outcome.removed_objects, bytes: outcome.removed_bytes }),
        count(outcome.gone_objects),
        count(outcome.kept.iter().map(|kept| kept.objects).sum()),
        count(outcome.failed.len() as u64),
        count(outcome.not_reached),
    )?;
    if let Some(stopped) = outcome.stopped {
        let why = match stopped {
            Stopped::MaxDelete => {
                "as many were deleted as --max-delete allows; apply the plan again to go on"
            }
            Stopped::Interrupted => "interrupted; apply the plan again to go on",
            Stopped::Journal => "the journal cannot be written, and nothing is deleted without",
            Stopped::Failures => "nothing could be deleted any more; the failures say why",
        };
        writeln!(out, "ended early: {why}")?;
    }
    if !outcome.kept.is_empty() {
        writeln!(out, "\nKEPT AFTER ALL")?;
        let rows: Vec<_> = outcome
            .kept
            .iter()
            .map(|kept| {
                let why = match kept.reason {
                    AfterAll::Changed => "it is another object than when it was planned".to_owned(),
                    AfterAll::Rule(keep) => keep.why().to_owned(),
                    AfterAll::JobChanged => "its job, or one that uses its files, wrote something".to_owned(),
                    AfterAll::SnapshotStays => "a snapshot that names it is still there".to_owned(),
                    AfterAll::NoAddress => "its address cannot be read".to_owned(),
                };
                vec![count(kept.objects), why, kept.example.clone()]
            })
            .collect();
        table::write(
            out,
            layout,
            &[("objects", true), ("why", false), ("such as", false)],
            rows.into_iter(),
        )?;
    }
    if !outcome.failed.is_empty() {
        writeln!(out, "\nFAILED")?;
        let rows: Vec<_> =
            outcome.failed.iter().map(|failed| vec![failed.url.clone(), failed.message.clone()]).collect();
        table::write(out, layout, &[("object", false), ("why", false)], rows.into_iter())?;
    }
    for store in &result.versioned {
        writeln!(out, "\n{store} keeps versions: bytes are freed there when its rules let the versions go")?;
    }
    let broken = result.broken_snapshots.len() as u64;
    writeln!(
        out,
        "\nverified {} that stay: {}",
        counted(result.verified_snapshots, "snapshot", "snapshots"),
        if broken == 0 { "all are whole".to_owned() } else { format!("{broken} not known to be whole") }
    )?;
    for snapshot in result.broken_snapshots.iter().take(layout.rows) {
        let effect = match snapshot.effect {
            Effect::Breaks => "NOT RESTORABLE",
            Effect::Unknown | Effect::Harmless => "CANNOT TELL",
        };
        writeln!(out, "  {effect} {}", one_line(&snapshot.snapshot))?;
        for problem in snapshot.problems.iter().take(3) {
            writeln!(out, "    {}", one_line(problem))?;
        }
    }
    writeln!(out, "each deletion is written down in {}", one_line(&result.journal))
}
