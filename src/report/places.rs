//! Where the files of a snapshot were found, for people.

use std::io::{self, Write};

use super::table::one_line;
use super::units::{count, counted};
use crate::model::Places;

/// Writes where files were found, and how many were not.
pub(super) fn write(out: &mut dyn Write, p: &Places) -> io::Result<()> {
    let mut places = Vec::new();
    for (n, what) in [
        (p.relative, "beside _metadata"),
        (p.recorded_uris, "where they were recorded"),
        (p.inlined, "inside _metadata"),
        (p.relocated, "elsewhere"),
    ] {
        if n > 0 {
            places.push(format!("{} {what}", count(n)));
        }
    }
    if !places.is_empty() {
        writeln!(out, "  files read: {}", places.join(" · "))?;
    }
    for r in &p.relocations {
        writeln!(
            out,
            "    {} recorded below {} read below {}{}",
            counted(r.files, "file", "files"),
            one_line(&r.from),
            one_line(&r.to),
            if r.by_hand { " (--relocate)" } else { "" }
        )?;
    }
    if p.failed > 0 {
        writeln!(out, "  looked for and not found or not readable: {}", counted(p.failed, "file", "files"))?;
    }
    if p.not_read > 0 {
        writeln!(out, "  not looked at: {}, sizes as recorded", counted(p.not_read, "file", "files"))?;
    }
    Ok(())
}
