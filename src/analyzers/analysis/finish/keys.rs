//! Keys and skew of a state or an operator.

use std::collections::BTreeMap;

use super::Operator;
use crate::analyzers::analysis::key_bytes::hex;
use crate::analyzers::analysis::key_text;
use crate::analyzers::analysis::keys::{KeyOf, KeysPartial};
use crate::analyzers::analysis::partial::GroupTotals;
use crate::analyzers::analysis::plan::Settings;
use crate::analyzers::analysis::skew::{self, ratio};
use crate::analyzers::analysis::types::{HeavyHitters, KeyAnalysis, KeyGroupAnalysis, SkewAnalysis, TopKey};

pub(super) fn key_analysis(
    keys: &KeysPartial,
    operator: &Operator,
    top: usize,
    rows_not_cut: u64,
    key_groups_not_counted: u64,
) -> KeyAnalysis {
    let all = keys.totals().bytes;
    let shown = |largest: &[KeyOf]| largest.iter().take(top).map(|key| top_key(key, operator, all)).collect();
    let share = |count: usize| {
        let sum =
            keys.by_bytes().iter().take(count).fold(0u64, |sum, key| sum.saturating_add(key.totals.bytes));
        ratio(sum, all)
    };
    // No more than a hundred keys can have more than a percent, and that many are kept.
    let over =
        keys.by_bytes().iter().filter(|key| u128::from(key.totals.bytes) * 100 > u128::from(all)).count();
    let (bytes_by_key, entries_by_key) = keys.distributions();
    KeyAnalysis {
        keys: keys.keys(),
        rows_not_cut,
        bytes_by_key,
        entries_by_key,
        top_by_bytes: shown(keys.by_bytes()),
        top_by_entries: shown(keys.by_entries()),
        heavy_hitters: HeavyHitters {
            top_1_share: share(1),
            top_10_share: share(10),
            top_100_share: share(100),
            keys_over_1_percent: over as u64,
        },
        key_groups_not_counted,
    }
}

/// Key group, hex and readable form of a composite key's beginning.
pub(super) fn readable_key(key: &[u8], operator: &Operator) -> (u32, String, Option<String>) {
    let (group, serialized) = key.split_at_checked(operator.prefix).unwrap_or_default();
    let key_group = group.iter().fold(0, |group, byte| group << 8 | u32::from(*byte));
    let text = operator.key.as_ref().and_then(|key| key_text::readable(key, serialized));
    (key_group, hex(serialized), text)
}

fn top_key(key: &KeyOf, operator: &Operator, all: u64) -> TopKey {
    let (key_group, hex, text) = readable_key(&key.key.0, operator);
    TopKey {
        key_group,
        hex,
        text,
        rows: key.totals.rows,
        entries: key.totals.entries,
        bytes: key.totals.bytes,
        share: ratio(key.totals.bytes, all),
    }
}

pub(super) fn skew_analysis(
    groups: &BTreeMap<u32, GroupTotals>,
    operator: &Operator,
    settings: &Settings,
    with_keys: bool,
) -> SkewAnalysis {
    SkewAnalysis {
        key_groups: skew::evenness(groups, operator.max_parallelism.into()),
        subtasks: skew::of_subtasks(groups, operator.parallelism, operator.max_parallelism),
        by_key_group: groups
            .iter()
            .map(|(key_group, totals)| KeyGroupAnalysis {
                key_group: *key_group,
                rows: totals.rows,
                entries: totals.entries,
                keys: with_keys.then_some(totals.keys),
                bytes: totals.bytes,
            })
            .collect(),
        what_if: skew::what_if(groups, &settings.parallelisms, operator.max_parallelism),
    }
}
