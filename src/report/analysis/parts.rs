//! What states and operators have in common: keys, and how even they are.

use std::io::{self, Write};

use super::{Layout, bytes, count, counted, cut, percent, table, wrapped};
use crate::analyzers::analysis::{Distribution, Evenness, KeyAnalysis, SkewAnalysis, TopKey};

/// Smallest, median and largest of a distribution; nothing where there is nothing.
pub(super) fn spread(distribution: &Distribution, text: fn(u64) -> String) -> Option<String> {
    let Distribution { min, p50, p99, max, .. } = *distribution;
    let (min, p50, p99, max) = (min?, p50?, p99?, max?);
    if min == max {
        return Some(format!("{} each", text(min)));
    }
    Some(format!("{} to {}, median {}, 99 % up to {}", text(min), text(max), text(p50), text(p99)))
}

/// Writes what is known of keys, with the largest.
pub(super) fn keys(out: &mut dyn Write, keys: &KeyAnalysis, layout: Layout) -> io::Result<()> {
    if keys.keys > 0 {
        let sizes = spread(&keys.bytes_by_key, bytes).unwrap_or_default();
        writeln!(out, "  keys: {}, of {sizes}", counted(keys.keys, "key", "keys"))?;
        if keys.keys > 1 {
            let h = &keys.heavy_hitters;
            writeln!(
                out,
                "    the largest holds {}, the ten largest {}, the hundred largest {}; {} of more than 1 %",
                percent(h.top_1_share),
                percent(h.top_10_share),
                percent(h.top_100_share),
                counted(h.keys_over_1_percent, "key", "keys"),
            )?;
        }
    }
    if keys.rows_not_cut > 0 {
        let rows = counted(keys.rows_not_cut, "row", "rows");
        writeln!(out, "    {rows} could not be divided into keys, and are not in these figures")?;
    }
    if keys.key_groups_not_counted > 0 {
        let groups = counted(keys.key_groups_not_counted, "key group", "key groups");
        writeln!(out, "    the keys of {groups} did not fit into memory, and are not in these figures")?;
    }
    if keys.top_by_bytes.is_empty() {
        return Ok(());
    }
    largest(out, "largest keys by bytes", &keys.top_by_bytes, layout)?;
    let same =
        keys.top_by_bytes.iter().map(|key| &key.hex).eq(keys.top_by_entries.iter().map(|key| &key.hex));
    // The same keys in the same order are told once, and keys with equal numbers have no order.
    let equal = keys.entries_by_key.min == keys.entries_by_key.max;
    if same || equal { Ok(()) } else { largest(out, "largest keys by entries", &keys.top_by_entries, layout) }
}

fn largest(out: &mut dyn Write, title: &'static str, keys: &[TopKey], layout: Layout) -> io::Result<()> {
    let columns = [
        (title, false),
        ("key group", true),
        ("rows", true),
        ("entries", true),
        ("bytes", true),
        ("of all", true),
    ];
    let rows = keys.iter().map(|key| {
        vec![
            cut(&key.text.clone().unwrap_or_else(|| format!("0x{}", key.hex)), 44),
            key.key_group.to_string(),
            count(key.rows),
            count(key.entries),
            bytes(key.bytes),
            percent(key.share),
        ]
    });
    table::write(out, layout, &columns, rows)
}

/// Writes how even it is.
pub(super) fn skew(out: &mut dyn Write, skew: &SkewAnalysis, width: usize) -> io::Result<()> {
    if skew.by_key_group.is_empty() {
        return Ok(());
    }
    let subtasks = evenness(&skew.subtasks, "subtask", "subtasks");
    let key_groups = evenness(&skew.key_groups, "key group", "key groups");
    wrapped(out, "  ", &format!("skew: {subtasks}; {key_groups}"), width)?;
    for other in &skew.what_if {
        writeln!(
            out,
            "    at parallelism {}: {}",
            other.parallelism,
            evenness(&other.evenness, "subtask", "subtasks")
        )?;
    }
    Ok(())
}

fn evenness(even: &Evenness, one: &str, many: &str) -> String {
    let parts = counted(even.parts, one, many);
    let Some(largest) = even.largest.filter(|_| even.parts > 1) else { return parts };
    let empty = if even.empty > 0 { format!(", {} empty", count(even.empty)) } else { String::new() };
    format!(
        "{parts}{empty}, the largest ({largest}) {:.1} × the mean, Gini {:.2}",
        even.bytes_max_to_mean, even.bytes_gini
    )
}
