//! Where in a tree something lies, as a path of fields.

use super::{Edge, Kind, SerializerSnapshot};

/// A place where values pass through Kryo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KryoPath {
    /// Path such as `items.element`; empty for the top.
    pub path: String,
    /// The declared class that Kryo serializes.
    pub class: String,
    /// Whether it lies in a subclass only, so that values may or may not contain it.
    pub in_subclass: bool,
}

/// A place that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaquePath {
    /// Path such as `items.element`; empty for the top.
    pub path: String,
    /// The snapshot's class.
    pub class: String,
}

impl SerializerSnapshot {
    /// All places where values pass through Kryo.
    #[must_use]
    pub fn kryo_paths(&self) -> Vec<KryoPath> {
        let mut found = Vec::new();
        self.visit(&mut Vec::new(), &mut |path, node| {
            if let Kind::Kryo { class, .. } = &node.kind {
                let in_subclass = path.iter().any(|edge| edge.is_subclass());
                found.push(KryoPath { path: join(path), class: class.clone(), in_subclass });
            }
        });
        found
    }

    /// All places that could not be decoded.
    #[must_use]
    pub fn opaque_paths(&self) -> Vec<OpaquePath> {
        let mut found = Vec::new();
        self.visit(&mut Vec::new(), &mut |path, node| {
            if matches!(node.kind, Kind::Unknown { .. } | Kind::JavaSerialized) {
                found.push(OpaquePath { path: join(path), class: node.class.clone() });
            }
        });
        found
    }

    /// Calls for every node, parents first, with the edges that lead to it. Trees are never deeper than
    /// [`crate::Limits::max_depth`].
    fn visit<'a>(&'a self, path: &mut Vec<&'a Edge>, found: &mut impl FnMut(&[&Edge], &Self)) {
        found(path, self);
        for (edge, child) in &self.children {
            path.push(edge);
            child.visit(path, found);
            path.pop();
        }
    }
}

/// Wrappers are left out: they are no part of the user's type.
pub(crate) fn join(path: &[&Edge]) -> String {
    let mut out = String::new();
    for edge in path {
        if **edge != Edge::Wrapped {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&edge.to_string());
        }
    }
    out
}
