//! Where in a tree of snapshots a compiler is, and the places at which nothing more can be known.

use super::{StopKind, StopReason, Touch};
use crate::flink::serializer::{Edge, join};

/// Where in the tree, and whether every value gets there.
#[derive(Debug, Clone)]
pub(in crate::flink) struct Place<'a> {
    path: Vec<&'a Edge>,
    always: bool,
}

/// Whether a part may be absent where the whole is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flink) enum Maybe {
    No,
    Yes,
}

impl<'a> Place<'a> {
    /// The whole value.
    pub(in crate::flink) fn top() -> Self {
        Self { path: Vec::new(), always: true }
    }

    /// The same place, for a part that may be absent.
    pub(in crate::flink) fn with(&self, maybe: Maybe) -> Self {
        Self { path: self.path.clone(), always: self.always && maybe == Maybe::No }
    }

    /// Goes to a part, and back.
    pub(in crate::flink) fn within<T>(
        &mut self,
        edge: &'a Edge,
        maybe: Maybe,
        visit: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = self.always;
        self.always &= maybe == Maybe::No;
        self.path.push(edge);
        let result = visit(self);
        self.path.pop();
        self.always = outer;
        result
    }
}

/// Where walks and decoding may stop.
#[derive(Debug, Default)]
pub(in crate::flink) struct Stops(pub(in crate::flink) Vec<StopReason>);

impl Stops {
    /// Adds a reason: its index.
    pub(in crate::flink) fn add(&mut self, kind: StopKind, class: &str, place: &Place<'_>) -> u32 {
        let when = if place.always { Touch::Always } else { Touch::Maybe };
        let (path, class) = (join(&place.path), class.to_owned());
        self.0.push(StopReason { path, kind, class, when });
        self.0.len() as u32 - 1
    }
}
