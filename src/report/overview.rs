//! `inspect SNAPSHOT` for people: what is large comes first.

use std::io::{self, Write};

use super::table::{self, cut, one_line};
use super::units::{age, bytes, count, counted, share, time};
use super::{Layout, channels, places, selection};
use crate::analyzers::overview::{Overview, PropertySums, StateSummary, SubtaskSummary};
use crate::model::{Scope, Severity};

/// Writes an overview; ages are against `now_ms`.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, overview: &Overview, layout: Layout, now_ms: i64) -> io::Result<()> {
    head(out, overview, now_ms)?;
    // What is large is known of states, or only of operators.
    if overview.states.first().is_some_and(|s| s.bytes.is_none()) {
        operators(out, overview, layout)?;
        states(out, overview, layout)?;
    } else {
        states(out, overview, layout)?;
        operators(out, overview, layout)?;
    }
    if filtered(overview) {
        selection::write(out, overview, layout)?;
    }
    if let Some(data) = &overview.in_flight {
        channels::write(out, data, overview.totals.state_bytes, layout)?;
    }
    files(out, overview)?;
    if !overview.findings.is_empty() {
        writeln!(out, "\nFINDINGS: {}", table::tally(&overview.findings))?;
        table::findings(out, &overview.findings, layout.rows)?;
    }
    legend(out, overview)
}

fn head(out: &mut dyn Write, overview: &Overview, now_ms: i64) -> io::Result<()> {
    let (s, t) = (&overview.snapshot, &overview.totals);
    let kind = if s.kind == "unknown" { "snapshot" } else { s.kind };
    let mut about: Vec<&str> = s.format.as_deref().into_iter().collect();
    about.extend(s.backends.iter().copied().filter(|b| s.format.as_deref() != Some(b)));
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    writeln!(
        out,
        "{kind} {}{about}: {} of state, {}, {}, {}",
        s.checkpoint_id,
        bytes(t.state_bytes),
        counted(t.operators as u64, "operator", "operators"),
        counted(t.states as u64, "state", "states"),
        counted(overview.files.objects, "file", "files"),
    )?;
    writeln!(out, "  {}", one_line(&s.location))?;
    match s.completed_at_ms {
        Some(ms) => {
            let ago = if ms > now_ms { "" } else { " ago" };
            writeln!(out, "  completed {}, {}{ago} (file time of _metadata)", time(ms), age(ms, now_ms))?;
        }
        None => writeln!(out, "  completed: unknown, the storage gives no file time")?,
    }
    writeln!(
        out,
        "  _metadata: version {} ({}), {}",
        s.metadata_version,
        s.written_by,
        bytes(s.metadata_bytes)
    )?;
    if let Some(uploaded) = t.uploaded_bytes {
        writeln!(out, "  newly uploaded for this checkpoint: {}", bytes(uploaded))?;
    }
    writeln!(
        out,
        "  TTL: {} of {} · Kryo: {} · findings: {}{}",
        t.states_with_ttl,
        counted(t.states_asked_for_ttl as u64, "user state", "user states"),
        counted(t.states_with_kryo as u64, "state", "states"),
        table::tally(&overview.findings),
        if overview.findings.iter().any(|f| f.severity == Severity::Error) {
            ": the figures are incomplete"
        } else {
            ""
        }
    )
}

fn states(out: &mut dyn Write, overview: &Overview, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nSTATES, largest first")?;
    if overview.states.is_empty() {
        return writeln!(out, "  none{}", if filtered(overview) { " fits the filter" } else { "" });
    }
    let whole = overview.totals.state_bytes;
    let properties = overview.states.iter().any(|s| s.properties.is_some());
    let mut columns = vec![
        ("operator", false),
        ("state", false),
        ("type", false),
        ("TTL", false),
        ("Kryo", false),
        ("bytes", true),
        ("share", true),
    ];
    // A column that would hold nothing but dashes is left out.
    let levels_known = overview.states.iter().any(|s| s.sst_files.is_some());
    let elements_known = overview.states.iter().any(|s| s.elements.is_some());
    if levels_known {
        columns.extend([("levels", false), ("files", true)]);
    }
    if elements_known {
        columns.push(("elements", true));
    }
    if properties {
        columns.extend([("entries", true), ("deletions", true), ("raw", true), ("compression", false)]);
    }
    let rows = overview.states.iter().map(|s| {
        let mut row = vec![
            cut(&s.operator, 32),
            s.name.clone(),
            cut(&s.type_text, 60),
            match s.ttl {
                Some(true) => "yes",
                _ if !s.ttl_asked => "–",
                Some(false) => "no",
                None => "?",
            }
            .to_owned(),
            kryo(s),
            match (s.bytes, s.bytes_at_most) {
                (Some(n), _) => bytes(n),
                (None, Some(bound)) => format!("≤ {}", bytes(bound)),
                (None, None) => "–".to_owned(),
            },
            s.bytes.map_or_else(|| "–".to_owned(), |n| share(n, whole)),
        ];
        if levels_known {
            row.extend([levels(s), s.sst_files.map_or_else(|| "–".to_owned(), count)]);
        }
        if elements_known {
            row.push(s.elements.map_or_else(|| "–".to_owned(), count));
        }
        if properties {
            row.extend(property_cells(s.properties.as_ref()));
        }
        row
    });
    table::write(out, layout, &columns, rows)
}

fn property_cells(properties: Option<&PropertySums>) -> Vec<String> {
    let Some(p) = properties else { return vec!["–".to_owned(); 4] };
    let raw = p.raw_key_bytes.saturating_add(p.raw_value_bytes);
    let compression: Vec<_> = p.compression.iter().map(|c| one_line(&c.name)).collect();
    vec![count(p.entries), count(p.deletions), bytes(raw), compression.join(", ")]
}

fn kryo(state: &StateSummary) -> String {
    match state.kryo.as_slice() {
        // Without a serializer nothing is known: a user's raw state, changes of a changelog, or meta data
        // that could not be read.
        [] if state.opaque.is_empty() && !state.serializers.is_empty() => "no".to_owned(),
        [] => "?".to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" +{}", rest.len()) };
            format!("{}{more}", cut(&first.path, 30))
        }
    }
}

fn levels(state: &StateSummary) -> String {
    let levels: Vec<_> = state.levels.iter().map(|l| format!("L{}:{}", l.level, l.files)).collect();
    if levels.is_empty() { "–".to_owned() } else { levels.join(" ") }
}

fn operators(out: &mut dyn Write, overview: &Overview, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nOPERATORS, largest first")?;
    if overview.operators.is_empty() {
        return writeln!(out, "  none{}", if filtered(overview) { " fits the filter" } else { "" });
    }
    let columns = [
        ("operator", false),
        ("uid", false),
        ("id", false),
        ("par/max", true),
        ("key", false),
        ("bytes", true),
        ("keyed", true),
        ("operator state", true),
        ("in flight", true),
        ("per subtask", true),
        ("files", true),
    ];
    // Operators without anything to show are counted, not listed.
    let (shown, empty): (Vec<_>, Vec<_>) = overview
        .operators
        .iter()
        .partition(|o| o.bytes > 0 || o.states > 0 || o.finished_subtasks > 0 || o.fully_finished);
    let rows = shown.iter().map(|o| {
        let k = &o.by_kind;
        let dash = |n: u64| if n == 0 { "–".to_owned() } else { bytes(n) };
        let mut name = cut(o.name.as_deref().unwrap_or("–"), 32);
        if o.fully_finished {
            name.push_str(" (finished)");
        } else if o.finished_subtasks > 0 {
            name.push_str(&format!(" ({} finished)", o.finished_subtasks));
        }
        vec![
            name,
            match &o.uid {
                Some(uid) => uid.clone(),
                // Since Flink 2.0 a uid that was set is recorded.
                None if overview.snapshot.metadata_version >= 5 => "(none set)".to_owned(),
                None => "–".to_owned(),
            },
            o.id.clone(),
            format!("{}/{}", o.parallelism, o.max_parallelism),
            o.key_type.as_deref().map_or_else(|| "–".to_owned(), |k| cut(k, 30)),
            bytes(o.bytes),
            dash(k.keyed.saturating_add(k.raw_keyed)),
            dash(k.operator.saturating_add(k.raw_operator).saturating_add(k.coordinator)),
            dash(k.in_flight),
            per_subtask(&o.subtasks),
            count(o.files),
        ]
    });
    table::write(out, layout, &columns, rows)?;
    match empty.len() {
        0 => Ok(()),
        n => writeln!(out, "  {} without state", counted(n as u64, "operator", "operators")),
    }
}

/// Smallest and largest subtask.
fn per_subtask(subtasks: &[SubtaskSummary]) -> String {
    let sizes = subtasks.iter().map(|s| s.bytes);
    match (sizes.clone().min(), sizes.max()) {
        (Some(0), Some(0)) | (None, _) | (_, None) => "–".to_owned(),
        (Some(min), Some(max)) if min == max => bytes(max),
        (Some(min), Some(max)) => format!("{} … {}", bytes(min), bytes(max)),
    }
}

fn files(out: &mut dyn Write, overview: &Overview) -> io::Result<()> {
    let f = &overview.files;
    writeln!(out, "\nFILES")?;
    let sizes = match (f.smallest, f.largest) {
        (Some(smallest), Some(largest)) => {
            format!(
                ", {} to {}; {} below {}",
                bytes(smallest),
                bytes(largest),
                count(f.small),
                bytes(f.small_threshold)
            )
        }
        _ => String::new(),
    };
    let objects = counted(f.objects, "object", "objects");
    writeln!(out, "  {objects} with {} of state{sizes}", bytes(f.object_bytes))?;
    let scopes: Vec<_> = f
        .by_scope
        .iter()
        .map(|s| {
            format!("{} {} in {}", scope(s.scope), bytes(s.bytes), counted(s.files, "stream", "streams"))
        })
        .collect();
    if !scopes.is_empty() {
        writeln!(out, "  {}", scopes.join(" · "))?;
    }
    let mut roles: Vec<_> = f.by_role.iter().filter(|r| r.bytes > 0).collect();
    roles.sort_by_key(|r| std::cmp::Reverse(r.bytes));
    let roles: Vec<_> = roles.iter().map(|r| format!("{} {}", role(r.role), bytes(r.bytes))).collect();
    if !roles.is_empty() {
        writeln!(out, "  {}", roles.join(" · "))?;
    }
    if f.segments > 0 {
        let segments = counted(f.segments, "segment", "segments");
        writeln!(out, "  {segments} of merged files: several lie in one object")?;
    }
    for master in &overview.master_states {
        writeln!(out, "  master state of {}: {}", one_line(&master.name), bytes(master.bytes))?;
    }
    for other in &f.other_jobs {
        writeln!(
            out,
            "  of another job: {} in {} below {}",
            bytes(other.bytes),
            counted(other.files, "file", "files"),
            one_line(&other.directory)
        )?;
    }
    let m = &overview.metadata;
    let parts = [
        ("inlined state", m.inlined_state),
        ("paths", m.paths),
        ("key-group offsets", m.key_group_offsets),
        ("operator-state offsets", m.operator_state_offsets),
        ("in-flight handles", m.channel_state),
        ("coordinator state", m.coordinator_state),
        ("master state", m.master_state),
        ("properties", m.properties),
        ("structure", m.structure),
    ];
    let whole = parts.iter().map(|(_, n)| n).sum();
    let mut parts: Vec<_> = parts.into_iter().filter(|(_, n)| *n > 0).collect();
    parts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let parts: Vec<_> = parts.into_iter().map(|(name, n)| format!("{name} {}", share(n, whole))).collect();
    writeln!(out, "  _metadata holds: {}", parts.join(" · "))?;
    places::write(out, &overview.places)
}

/// What the bytes of a role are. Only those of SST files and of operator state belong to single states.
fn role(role: &'static str) -> &'static str {
    match role {
        "sst" => "SST",
        "database_meta" => "CURRENT, MANIFEST and OPTIONS",
        "backend_meta" => "backend meta data",
        "keyed_stream" => "keyed streams",
        "raw_keyed_stream" => "raw keyed streams",
        "operator_stream" => "operator state",
        "channel" => "in-flight data",
        other => other,
    }
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Inlined => "inlined",
        Scope::Exclusive => "exclusive",
        Scope::Shared => "shared",
        Scope::TaskOwned => "task-owned",
        Scope::Elsewhere => "elsewhere",
    }
}

fn legend(out: &mut dyn Write, overview: &Overview) -> io::Result<()> {
    writeln!(
        out,
        "\nbytes: on disk, all versions of entries (physical view); – = not known without reading data; \
         ≤ = together with the operator's other states. levels: L0:3 = 3 SST files in level 0."
    )?;
    writeln!(
        out,
        "TTL yes = entries carry a timestamp (its length is not in a snapshot); – = not asked: timers, windows, \
         operator state. Kryo: where in the serializer tree."
    )?;
    if overview.snapshot.metadata_version < 5 && overview.operators.iter().any(|o| o.uid.is_none()) {
        writeln!(
            out,
            "Before Flink 2.0 a snapshot holds ids of operators only: --uids FILE, with one uid a line, names them."
        )?;
    }
    if overview.states.iter().any(|s| s.sst_files.is_some())
        && overview.states.iter().all(|s| s.properties.is_none())
    {
        writeln!(
            out,
            "No SST was looked at, so whether all exist is not known; --properties reads the tail of each: entries, deletions, raw bytes, compression."
        )?;
    }
    Ok(())
}

fn filtered(overview: &Overview) -> bool {
    overview.filter.operator.is_some() || overview.filter.state.is_some()
}
