//! What is known without reading all rows: files, indexes, samples.

use std::io::{self, Write};

use super::{Layout, bytes, count, counted, cut, percent, short, table, wrapped};
use crate::analyzers::analysis::{
    Analysis, Depth, DepthReason, DiskByKeyGroup, Estimate, Estimates, Method, StateAnalysis,
};
use crate::report::units::duration;

/// Beside these figures, the table of states has no room for operators.
const NARROW: u16 = 110;

/// What was read, for the first line.
pub(super) fn read(analysis: &Analysis) -> String {
    let sst = &analysis.totals.sst;
    let files = counted(sst.files, "SST file", "SST files");
    let size = bytes(sst.bytes);
    match analysis.method.depth {
        Depth::Manifest => format!("{size} in {files}, of which none is read"),
        Depth::Index => format!("{size} in {files}, of which ends and indexes are read"),
        _ => format!("{size} in {files}, of which a sample is read"),
    }
}

/// Which depth it is, why, what was not read, and what more would cost; nothing where everything was read as asked.
pub(super) fn depth(out: &mut dyn Write, method: &Method, width: usize) -> io::Result<()> {
    if method.depth == Depth::Full {
        return Ok(());
    }
    let why = match method.depth_reason {
        DepthReason::TooLarge => ", as there is more to read than 20 GB",
        DepthReason::Asked | DepthReason::SmallEnough => "",
    };
    let more =
        method.more.iter().map(|more| format!("--depth {} about {}", more.depth.name(), bytes(more.bytes)));
    let more: Vec<_> = more.collect();
    let more = if more.is_empty() { String::new() } else { format!("; to read: {}", more.join(", ")) };
    let text = format!("depth {}{why}: {} not read{more}", method.depth.name(), bytes(method.not_read_bytes));
    wrapped(out, "  ", &text, width)?;
    let Some(sampling) = &method.sampling else { return Ok(()) };
    let whole = match sampling.whole_states {
        0 => String::new(),
        n => format!(", {} whole", counted(n, "state", "states")),
    };
    let text = format!(
        "sampled: {} in {}{whole}, of a budget of {}; seed {}",
        bytes(sampling.read_bytes),
        counted(sampling.ranges, "range of keys", "ranges of keys"),
        bytes(sampling.budget_bytes),
        sampling.seed,
    );
    wrapped(out, "  ", &text, width)
}

/// The table of states.
pub(super) fn states(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nSTATES, largest on disk first")?;
    let wide = layout.width.is_none_or(|width| width >= NARROW);
    let depth = analysis.method.depth;
    let (index, sample) = (depth == Depth::Index, depth == Depth::Sample);
    let expires = analysis
        .states
        .iter()
        .any(|state| state.estimates.as_ref().is_some_and(|e| e.expired_share.is_some()));
    let columns = [
        ("STATE", false, true),
        ("OPERATOR", false, wide),
        ("ON DISK", true, true),
        ("OF ALL", true, !sample),
        ("FILES", true, true),
        ("LEVELS", false, wide && depth == Depth::Manifest),
        ("ENTRIES", true, index),
        ("TOMBSTONES", true, index),
        ("RAW", true, index && wide),
        ("COMPRESSION", false, index && wide),
        ("LIVE", true, sample),
        ("DEAD", true, sample),
        ("EXPIRED", true, sample && expires),
        ("ROWS", true, sample),
        ("TTL", false, wide),
        ("KRYO", false, wide),
    ];
    let shown: Vec<_> = columns.iter().filter(|column| column.2).map(|c| (c.0, c.1)).collect();
    let all = analysis.totals.sst.bytes;
    let rows = analysis.states.iter().map(|state| {
        let physical = state.physical.unwrap_or_default();
        let sst = state.sst.unwrap_or_default();
        let estimate = |of: fn(&Estimates) -> Option<Estimate>| {
            state.estimates.as_ref().and_then(of).map_or_else(|| "–".to_owned(), |e| interval(&e))
        };
        let levels: Vec<_> =
            state.levels.iter().map(|level| format!("L{} {}", level.level, bytes(level.sst.bytes))).collect();
        let cells = [
            cut(&state.name, 24),
            cut(&state.operator, 14),
            bytes(state.disk.map_or(sst.bytes, |disk| disk.bytes)),
            super::share(sst.bytes, all),
            count(sst.files),
            levels.join(", "),
            short(physical.entries),
            super::share(physical.tombstones.saturating_add(physical.range_deletes), physical.entries),
            bytes(physical.raw_bytes()),
            compression(state),
            estimate(|e| Some(e.live_share)),
            estimate(|e| Some(e.dead_share)),
            estimate(|e| e.expired_share),
            state.estimates.as_ref().map_or_else(|| "–".to_owned(), |e| number(&e.rows, short)),
            super::ttl(state).to_owned(),
            if state.kryo.paths.is_empty() { "–" } else { "yes" }.to_owned(),
        ];
        cells.into_iter().zip(&columns).filter(|(_, column)| column.2).map(|(cell, _)| cell).collect()
    });
    table::write(out, layout, &shown, rows)
}

/// The compressions of a state's files, each once.
fn compression(state: &StateAnalysis) -> String {
    let mut names: Vec<&str> = Vec::new();
    for of_level in &state.compressions {
        if !names.contains(&&*of_level.compression) {
            names.push(&of_level.compression);
        }
    }
    names.join(", ")
}

/// A share with its interval, in as many decimals as tell its ends apart.
fn interval(estimate: &Estimate) -> String {
    let Estimate { value, low, high } = *estimate;
    if low == high {
        return percent(value);
    }
    let decimals = match (high - low) * 100.0 {
        width if width >= 3.0 => 0,
        width if width >= 0.3 => 1,
        _ => 2,
    };
    let of = |share: f64| format!("{:.decimals$}", share * 100.0);
    format!("{} % ({}–{})", of(value), of(low), of(high))
}

/// A number with its interval.
fn number(estimate: &Estimate, text: fn(u64) -> String) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "estimates of sums are whole and not negative"
    )]
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(|n| text(n as u64));
    if low == high { value } else { format!("{value} ({low}–{high})") }
}

/// What a sample says.
pub(super) fn estimates(out: &mut dyn Write, estimates: &Estimates, width: usize) -> io::Result<()> {
    let mut parts = vec![format!("live {}", interval(&estimates.live_share))];
    parts.extend(estimates.expired_share.map(|expired| format!("expired {}", interval(&expired))));
    parts.push(format!("dead {}", interval(&estimates.dead_share)));
    let whole = if estimates.whole { "read whole" } else { "estimates with intervals of 95 %" };
    wrapped(out, "  ", &format!("on disk, {whole}: {}", parts.join(" · ")), width)?;
    let mut parts = vec![
        format!(
            "{} in {} rows, {} entries",
            number(&estimates.bytes, bytes),
            number(&estimates.rows, short),
            number(&estimates.entries, short)
        ),
        format!("tombstones {} of all versions", interval(&estimates.tombstone_share)),
        format!("hidden {}", interval(&estimates.hidden_share)),
    ];
    parts.extend(estimates.kryo_share.map(|kryo| format!("through Kryo {}", interval(&kryo))));
    wrapped(out, "    ", &format!("live: {}", parts.join(" · ")), width)?;
    let Some(ttls) = &estimates.ttl_what_if else { return Ok(()) };
    let ttls: Vec<_> =
        ttls.iter().map(|ttl| format!("{} {}", duration(ttl.ttl_ms), interval(&ttl.share))).collect();
    wrapped(out, "    ", &format!("a TTL would expire: {}", ttls.join(" · ")), width)
}

/// The largest keys, by a sample.
pub(super) fn top_keys(out: &mut dyn Write, estimates: &Estimates, layout: Layout) -> io::Result<()> {
    if estimates.top_keys.is_empty() {
        return Ok(());
    }
    let columns = [("keys of more than 1 % of the live bytes", false), ("key group", true), ("of all", true)];
    let rows = estimates.top_keys.iter().map(|key| {
        let text = key.text.clone().unwrap_or_else(|| format!("0x{}", key.hex));
        vec![cut(&text, 44), key.key_group.to_string(), interval(&key.share)]
    });
    table::write(out, layout, &columns, rows)
}

/// How even it is over key groups.
pub(super) fn key_groups(out: &mut dyn Write, groups: &DiskByKeyGroup, width: usize) -> io::Result<()> {
    let Some(largest) =
        groups.key_groups.iter().max_by_key(|group| (group.bytes, std::cmp::Reverse(group.key_group)))
    else {
        return Ok(());
    };
    let text = format!(
        "on disk by key group, to the {}: the largest ({}) {:.1} × the mean, {} ({} to {}), Gini {:.2}",
        groups.precision,
        largest.key_group,
        groups.max_to_mean,
        bytes(largest.bytes),
        bytes(largest.at_least),
        bytes(largest.at_most),
        groups.gini,
    );
    wrapped(out, "  ", &text, width)
}

/// What the figures mean, and what is missing from them.
pub(super) fn legend(out: &mut dyn Write, analysis: &Analysis, width: usize) -> io::Result<()> {
    let text = match analysis.method.depth {
        Depth::Manifest => {
            "ON DISK = whole SST files, all versions in them, as MANIFEST names them. What is in them was not read: entries, \
             live and dead are not known."
        }
        Depth::Index => {
            "ON DISK = blocks with their index; ENTRIES, TOMBSTONES and RAW are of all versions, as each file's properties \
             count them. Rows were not read: what of it is live, dead or expired is not known."
        }
        _ => {
            "live = what Flink would see after a restore; dead = tombstones, shadowed versions, what lies outside of the key \
             groups; hidden = by a newer version or a tombstone. LIVE, DEAD and EXPIRED are shares of ON DISK: whole SST \
             files. In brackets: where the true value lies with 95 % confidence."
        }
    };
    wrapped(out, "", text, width)
}
