//! What a selection (`--operator`, `--state`) shows besides the overview: every subtask, and of states
//! the tree of serializers.

use std::io::{self, Write};

use super::Layout;
use super::table::{self, one_line};
use super::units::{bytes, count};
use crate::analyzers::overview::{LevelBytes, OperatorSummary, Overview, SerializerNode, StateSummary};

/// Writes the selected operators by subtask, and the selected states one by one.
pub(super) fn write(out: &mut dyn Write, overview: &Overview, layout: Layout) -> io::Result<()> {
    for operator in overview.operators.iter().take(layout.rows) {
        subtasks(out, operator, layout)?;
    }
    if overview.filter.state.is_some() {
        for state in overview.states.iter().take(layout.rows) {
            self::state(out, state, layout)?;
        }
    }
    Ok(())
}

fn subtasks(out: &mut dyn Write, operator: &OperatorSummary, layout: Layout) -> io::Result<()> {
    if operator.subtasks.is_empty() {
        return Ok(());
    }
    let name = operator.name.as_deref().or(operator.uid.as_deref()).unwrap_or("operator");
    writeln!(out, "\nSUBTASKS of {} ({})", one_line(name), operator.id)?;
    let columns = [
        ("subtask", true),
        ("key groups", false),
        ("layout", false),
        ("bytes", true),
        ("keyed", true),
        ("operator state", true),
        ("in flight", true),
        ("files", true),
    ];
    let rows = operator.subtasks.iter().map(|s| {
        let k = &s.by_kind;
        let dash = |n: u64| if n == 0 { "–".to_owned() } else { bytes(n) };
        vec![
            format!("{}{}", s.subtask, if s.finished { " (finished)" } else { "" }),
            range(s.key_groups),
            s.keyed_layout.unwrap_or("–").to_owned(),
            bytes(s.bytes),
            dash(k.keyed.saturating_add(k.raw_keyed)),
            dash(k.operator.saturating_add(k.raw_operator)),
            dash(k.in_flight),
            count(s.files),
        ]
    });
    table::write(out, layout, &columns, rows)
}

fn state(out: &mut dyn Write, state: &StateSummary, layout: Layout) -> io::Result<()> {
    writeln!(out, "\nSTATE {} of {}", one_line(&state.name), one_line(&state.operator))?;
    writeln!(out, "  {}", one_line(&state.type_text))?;
    for kryo in &state.kryo {
        let maybe = if kryo.in_subclass { " (in a subclass)" } else { "" };
        writeln!(out, "  Kryo at {}: {}{maybe}", one_line(&kryo.path), one_line(&kryo.class))?;
    }
    for opaque in &state.opaque {
        writeln!(out, "  not decoded at {}: {}", one_line(&opaque.path), one_line(&opaque.class))?;
    }
    if let Some(options) = &state.options {
        for (name, value) in [
            ("compaction filter", &options.compaction_filter_factory),
            ("merge operator", &options.merge_operator),
            ("compression", &options.compression),
            ("compaction", &options.compaction_style),
        ] {
            if let Some(value) = value {
                writeln!(out, "  {name}: {}", one_line(value))?;
            }
        }
    }
    for serializer in &state.serializers {
        writeln!(out, "  {} serializer", one_line(&serializer.role))?;
        node(out, &serializer.tree, "", 2)?;
    }
    if state.subtasks.is_empty() {
        return Ok(());
    }
    let columns = [
        ("subtask", true),
        ("key groups", false),
        ("in its files", false),
        ("bytes", true),
        ("files", true),
        ("levels", false),
        ("elements", true),
    ];
    let rows = state.subtasks.iter().map(|s| {
        let dash = |n: Option<u64>, text: fn(u64) -> String| n.map_or_else(|| "–".to_owned(), text);
        vec![
            s.subtask.to_string(),
            range(s.key_groups),
            range(s.key_groups_in_files),
            dash(s.bytes, bytes),
            dash(s.files, count),
            levels(&s.levels),
            dash(s.elements, count),
        ]
    });
    table::write(out, layout, &columns, rows)
}

fn node(out: &mut dyn Write, node: &SerializerNode, edge: &str, depth: usize) -> io::Result<()> {
    let indent = "  ".repeat(depth);
    let edge = if edge.is_empty() { String::new() } else { format!("{}: ", one_line(edge)) };
    let class = node.snapshot_class.rsplit('.').next().unwrap_or(&node.snapshot_class);
    writeln!(out, "{indent}{edge}{}  [{} version {}]", one_line(&node.text), one_line(class), node.version)?;
    for child in &node.children {
        self::node(out, &child.node, &child.edge, depth + 1)?;
    }
    Ok(())
}

fn range(groups: Option<(u32, u32)>) -> String {
    groups.map_or_else(|| "–".to_owned(), |(first, last)| format!("{first} … {last}"))
}

/// Files by level with their bytes: `L0: 3 (1.2 MiB)`.
fn levels(levels: &[LevelBytes]) -> String {
    let levels: Vec<_> =
        levels.iter().map(|l| format!("L{}: {} ({})", l.level, l.files, bytes(l.bytes))).collect();
    if levels.is_empty() { "–".to_owned() } else { levels.join(", ") }
}
