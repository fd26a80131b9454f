//! Tables, and what findings look like.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::model::{Finding, Severity};

/// A line under the titles, and nothing else: rows can be cut and pasted.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new(' ', '─', ' ', ' '));

/// How output is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The width of the terminal; `None` where there is none, and lines are as long as they need.
    pub width: Option<u16>,
    /// How many rows of a table are shown.
    pub rows: usize,
}

/// A column's title, and whether it holds figures.
pub(super) type Column = (&'static str, bool);

/// Writes a table of at most `layout.rows` rows, and says how many are left out.
pub(super) fn write(
    out: &mut dyn Write,
    layout: Layout,
    columns: &[Column],
    rows: impl ExactSizeIterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(STYLE);
    match layout.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(columns.iter().map(|(title, _)| Cell::new(title)));
    let left_out = rows.len().saturating_sub(layout.rows);
    for row in rows.take(layout.rows) {
        table.add_row(row.into_iter().map(|text| Cell::new(one_line(&text))));
    }
    for (index, (_, figures)) in columns.iter().enumerate() {
        if *figures && let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    if left_out > 0 {
        writeln!(out, "  … and {left_out} more (--rows 0 shows all)")?;
    }
    Ok(())
}

/// How many findings of one kind are shown in full.
const OF_A_KIND: usize = 3;

/// Writes findings, the worst first. Of many of one kind, the first few are shown and the others counted:
/// a directory that is missing is as many findings as it had files.
pub(super) fn findings(out: &mut dyn Write, findings: &[Finding], rows: usize) -> io::Result<()> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    let mut shown = 0;
    for finding in findings {
        let at = kinds.iter().position(|(code, _)| *code == finding.code);
        let count = match at.and_then(|at| kinds.get_mut(at)) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                kinds.push((finding.code, 1));
                1
            }
        };
        if shown >= rows || (count > OF_A_KIND && rows != usize::MAX) {
            continue;
        }
        shown += 1;
        let severity = match finding.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
        };
        writeln!(out, "  {severity} {}: {}", finding.code, one_line(&finding.message))?;
        let place = match (&finding.file, finding.offset) {
            (Some(file), Some(offset)) => Some(format!("{file}, offset {offset}")),
            (Some(file), None) => Some(file.clone()),
            (None, _) => None,
        };
        for (what, text) in [("in", place.as_ref()), ("of", finding.part.as_ref())] {
            if let Some(text) = text {
                writeln!(out, "    {what} {}", one_line(text))?;
            }
        }
        writeln!(out, "    remedy: {}", finding.remedy)?;
    }
    let left_out = findings.len().saturating_sub(shown);
    if left_out > 0 {
        let kinds: Vec<_> = kinds.iter().map(|(code, count)| format!("{count} {code}")).collect();
        writeln!(out, "  … and {left_out} more (--rows 0 shows all); in all: {}", kinds.join(", "))?;
    }
    Ok(())
}

/// How many findings of each severity there are: `2 errors, 1 warning`.
pub(super) fn tally(findings: &[Finding]) -> String {
    let mut parts = Vec::new();
    for (severity, one, many) in [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Info, "note", "notes"),
    ] {
        let n = findings.iter().filter(|f| f.severity == severity).count() as u64;
        if n > 0 {
            parts.push(super::units::counted(n, one, many));
        }
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// Names come from files: line breaks and terminal escapes are shown, not obeyed.
pub(super) fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// The last segment of a location.
pub(super) fn name(location: &str) -> String {
    one_line(location.rsplit('/').next().unwrap_or(location))
}

/// Writes text in lines of a width, all with an indent, and all but the first with two more blanks.
pub(super) fn wrapped(out: &mut dyn Write, indent: &str, text: &str, width: usize) -> io::Result<()> {
    let text = one_line(text);
    let mut line = indent.to_owned();
    let (mut used, mut begin) = (indent.chars().count(), true);
    for word in text.split(' ') {
        let length = word.chars().count();
        if !begin && used + 1 + length > width {
            writeln!(out, "{line}")?;
            line = format!("{indent}  ");
            (used, begin) = (indent.chars().count() + 2, true);
        }
        if !begin {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
        begin = false;
    }
    writeln!(out, "{line}")
}

/// Text cut to a number of characters.
pub(super) fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let lines = |text: &str, width| {
            let mut out = Vec::new();
            wrapped(&mut out, " ", text, width).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(lines("aa bb cc", 9), " aa bb cc\n");
        assert_eq!(lines("aa bb cc", 8), " aa bb\n   cc\n");
        assert_eq!(lines("aaaaaaaa bb", 4), " aaaaaaaa\n   bb\n");
        assert_eq!(lines("", 4), " \n");
    }

    #[test]
    fn a_long_table_says_what_it_leaves_out() {
        let mut out = Vec::new();
        let rows = (0..5).map(|i| vec![i.to_string()]).collect::<Vec<_>>();
        write(&mut out, Layout { width: None, rows: 2 }, &[("n", true)], rows.into_iter()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("… and 3 more"), "{text}");
        assert!(text.contains('1') && !text.contains('2'), "{text}");
    }
}
