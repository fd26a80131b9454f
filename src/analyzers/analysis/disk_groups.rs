//! On-disk bytes by key group, where rows are not read.

use std::collections::BTreeMap;

use super::partial::GroupTotals;
use super::skew;
use super::types::{DiskByKeyGroup, KeyGroupDisk};

/// On-disk bytes of pieces, each of which lies in one key group or in several that follow one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskGroups {
    /// Whether the pieces are blocks; else they are files.
    blocks: bool,
    by_group: BTreeMap<u32, Bounds>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bounds {
    alone: u64,
    /// Its part of pieces that it has with others.
    part: u64,
    /// These pieces, whole.
    shared: u64,
}

impl DiskGroups {
    /// Nothing yet, to be told of files.
    #[must_use]
    pub fn of_files() -> Self {
        Self::default()
    }

    /// Nothing yet, to be told of blocks.
    #[must_use]
    pub fn of_blocks() -> Self {
        Self { blocks: true, ..Self::default() }
    }

    /// Adds a piece that lies in the key groups from `first` to `last`.
    pub fn add(&mut self, first: u32, last: u32, bytes: u64) {
        if first >= last {
            let bounds = self.by_group.entry(first).or_default();
            bounds.alone = bounds.alone.saturating_add(bytes);
            return;
        }
        let parts = u64::from(last - first) + 1;
        for (group, index) in (first..=last).zip(0u64..) {
            let bounds = self.by_group.entry(group).or_default();
            // The first ones get what does not divide.
            let part = bytes / parts + u64::from(index < bytes % parts);
            bounds.part = bounds.part.saturating_add(part);
            bounds.shared = bounds.shared.saturating_add(bytes);
        }
    }

    /// Adds pieces of the same kind.
    pub fn merge(&mut self, other: &Self) {
        self.blocks |= other.blocks;
        for (group, more) in &other.by_group {
            let ours = self.by_group.entry(*group).or_default();
            ours.alone = ours.alone.saturating_add(more.alone);
            ours.part = ours.part.saturating_add(more.part);
            ours.shared = ours.shared.saturating_add(more.shared);
        }
    }

    /// As it is reported, of so many key groups.
    pub(super) fn report(&self, groups: u32) -> DiskByKeyGroup {
        let key_groups: Vec<KeyGroupDisk> = self
            .by_group
            .iter()
            .map(|(key_group, bounds)| KeyGroupDisk {
                key_group: *key_group,
                bytes: bounds.alone.saturating_add(bounds.part),
                at_least: bounds.alone,
                at_most: bounds.alone.saturating_add(bounds.shared),
            })
            .collect();
        let totals = key_groups.iter().map(|group| {
            (group.key_group, GroupTotals { rows: 1, bytes: group.bytes, ..GroupTotals::default() })
        });
        let even = skew::evenness(&totals.collect(), groups.into());
        let precision = if self.blocks { "block" } else { "file" };
        DiskByKeyGroup { precision, max_to_mean: even.bytes_max_to_mean, gini: even.bytes_gini, key_groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_what_lies_in_several_groups() {
        let mut groups = DiskGroups::of_blocks();
        groups.add(3, 3, 100);
        groups.add(3, 5, 10);
        let mut more = DiskGroups::of_blocks();
        more.add(5, 5, 7);
        groups.merge(&more);
        let report = groups.report(4);
        let group =
            |key_group, bytes, at_least, at_most| KeyGroupDisk { key_group, bytes, at_least, at_most };
        let expected = [group(3, 104, 100, 110), group(4, 3, 0, 10), group(5, 10, 7, 17)];
        assert_eq!(report.key_groups, expected);
        assert_eq!((report.precision, report.max_to_mean), ("block", 3.555556));
        let sum: u64 = report.key_groups.iter().map(|g| g.bytes).sum();
        assert_eq!(sum, 117);
    }
}
