//! Operators: keys over all their states.

use std::io::{self, Write};

use super::{Layout, bytes, entries, one_line, parts, shares};
use crate::analyzers::analysis::{Analysis, OperatorAnalysis};

/// Writes the operators of which there is more to say than of their states.
pub(super) fn write(out: &mut dyn Write, analysis: &Analysis, layout: Layout) -> io::Result<()> {
    let expired = analysis.states.iter().any(|state| state.ttl.expired.is_some());
    let large = analysis
        .operators
        .iter()
        .filter(|operator| operator.states > 1 && super::holds_any(operator.disk, operator.live.as_ref()));
    for operator in large.take(layout.rows) {
        self::operator(out, operator, expired, layout)?;
    }
    Ok(())
}

fn operator(
    out: &mut dyn Write,
    operator: &OperatorAnalysis,
    expired: bool,
    layout: Layout,
) -> io::Result<()> {
    let name = operator.name.as_ref().or(operator.uid.as_ref()).unwrap_or(&operator.id);
    writeln!(out, "\nOPERATOR {} ({}), over {} states", one_line(name), operator.id, operator.states)?;
    writeln!(
        out,
        "  parallelism {} of at most {}, key {}",
        operator.parallelism,
        operator.max_parallelism,
        one_line(operator.key_type.as_deref().unwrap_or("not known"))
    )?;
    if let Some(disk) = &operator.disk {
        writeln!(out, "  on disk {}{}", bytes(disk.bytes), shares(": ", disk, expired))?;
    }
    if let Some(live) = &operator.live {
        writeln!(out, "  live: {} in {}", bytes(live.bytes), entries(live.entries, live.entries_at_least))?;
    }
    if let Some(skew) = &operator.skew {
        parts::skew(out, skew, super::width(layout))?;
    }
    match &operator.keys {
        Some(keys) => parts::keys(out, keys, layout),
        None => Ok(()),
    }
}
