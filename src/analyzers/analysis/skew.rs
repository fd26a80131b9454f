//! How even parts are.

use std::collections::BTreeMap;

use super::partial::GroupTotals;
use super::types::{Evenness, ParallelismWhatIf};

/// Six digits of a fraction: enough for people, and the same wherever it is computed.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    ratio_wide(part.into(), whole.into())
}

fn ratio_wide(part: u128, whole: u128) -> f64 {
    const DIGITS: u128 = 1_000_000;
    let (scaled, half) = (part.saturating_mul(DIGITS), whole / 2);
    let rounded = scaled.saturating_add(half).checked_div(whole).unwrap_or(0);
    // Fractions of this size have no use for more than 53 bits.
    rounded as f64 / DIGITS as f64
}

/// The subtask that Flink gives a key group to (`KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup`).
pub(super) fn subtask_of(key_group: u32, parallelism: u32, max_parallelism: u32) -> u32 {
    let subtask = u64::from(key_group) * u64::from(parallelism);
    u32::try_from(subtask / u64::from(max_parallelism.max(1))).unwrap_or(u32::MAX)
}

/// How even key groups are when they are dealt to that many subtasks.
pub(super) fn of_subtasks(
    groups: &BTreeMap<u32, GroupTotals>,
    parallelism: u32,
    max_parallelism: u32,
) -> Evenness {
    let mut subtasks: BTreeMap<u32, GroupTotals> = BTreeMap::new();
    for (group, totals) in groups {
        subtasks.entry(subtask_of(*group, parallelism, max_parallelism)).or_default().merge(totals);
    }
    evenness(&subtasks, parallelism.into())
}

/// The same for several parallelisms; more subtasks than key groups are none of Flink's.
pub(super) fn what_if(
    groups: &BTreeMap<u32, GroupTotals>,
    parallelisms: &[u32],
    max_parallelism: u32,
) -> Vec<ParallelismWhatIf> {
    let possible = parallelisms.iter().copied().filter(|p| (1..=max_parallelism).contains(p));
    let at = |parallelism| {
        let evenness = of_subtasks(groups, parallelism, max_parallelism);
        ParallelismWhatIf { parallelism, evenness }
    };
    possible.map(at).collect()
}

/// How even parts are, of which the missing ones are empty.
pub(super) fn evenness(parts: &BTreeMap<u32, GroupTotals>, count: u64) -> Evenness {
    let count = count.max(parts.len() as u64);
    let largest = parts.iter().min_by_key(|(part, totals)| (std::cmp::Reverse(totals.bytes), **part));
    let bytes = Spread::of(parts.values().map(|totals| totals.bytes), count);
    let entries = Spread::of(parts.values().map(|totals| totals.entries), count);
    Evenness {
        parts: count,
        empty: count - parts.values().filter(|totals| totals.rows > 0).count() as u64,
        max_bytes: largest.map_or(0, |(_, totals)| totals.bytes),
        largest: largest.filter(|(_, totals)| totals.bytes > 0).map(|(part, _)| u64::from(*part)),
        bytes_max_to_mean: bytes.max_to_mean,
        entries_max_to_mean: entries.max_to_mean,
        bytes_gini: bytes.gini,
        entries_gini: entries.gini,
    }
}

struct Spread {
    max_to_mean: f64,
    gini: f64,
}

impl Spread {
    /// Of so many numbers, of which these are not zero.
    fn of(numbers: impl Iterator<Item = u64>, count: u64) -> Self {
        let mut sorted: Vec<u64> = numbers.filter(|n| *n > 0).collect();
        sorted.sort_unstable();
        let sum: u128 = sorted.iter().map(|n| u128::from(*n)).sum();
        let max = sorted.last().copied().unwrap_or(0);
        let count = u128::from(count);
        // With ranks from 1, of which zeros have the first: (2 Σ rank × number − (count + 1) × sum) / (count × sum).
        let zeros = count.saturating_sub(sorted.len() as u128);
        let ranked = sorted.iter().zip(1u128..).fold(0u128, |total, (number, rank)| {
            total.saturating_add((zeros + rank).saturating_mul(u128::from(*number)))
        });
        let above = ranked.saturating_mul(2).saturating_sub(sum.saturating_mul(count + 1));
        let whole = count.saturating_mul(sum);
        Self {
            max_to_mean: ratio_wide(u128::from(max).saturating_mul(count), sum),
            gini: ratio_wide(above, whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(bytes: &[u64]) -> BTreeMap<u32, GroupTotals> {
        let totals = |bytes: u64| GroupTotals { rows: u64::from(bytes > 0), entries: bytes, bytes, keys: 0 };
        bytes.iter().zip(0..).filter(|(b, _)| **b > 0).map(|(b, part)| (part, totals(*b))).collect()
    }

    #[test]
    fn fractions_have_six_digits() {
        assert_eq!(
            [ratio(1, 3), ratio(2, 3), ratio(0, 5), ratio(5, 0), ratio(7, 2)],
            [0.333333, 0.666667, 0.0, 0.0, 3.5]
        );
        assert_eq!(ratio(u64::MAX, u64::MAX), 1.0);
    }

    #[test]
    fn even_and_uneven_parts() {
        let even = evenness(&parts(&[5, 5, 5, 5]), 4);
        assert_eq!((even.bytes_max_to_mean, even.bytes_gini, even.empty), (1.0, 0.0, 0));
        let one = evenness(&parts(&[0, 0, 8, 0]), 4);
        assert_eq!((one.bytes_max_to_mean, one.bytes_gini), (4.0, 0.75));
        assert_eq!((one.empty, one.max_bytes, one.largest), (3, 8, Some(2)));
        let none = evenness(&BTreeMap::new(), 4);
        assert_eq!((none.bytes_max_to_mean, none.bytes_gini, none.empty, none.largest), (0.0, 0.0, 4, None));
    }

    #[test]
    fn key_groups_are_dealt_as_flink_does() {
        // Two subtasks have the key groups 0 to 63 and 64 to 127 of 128.
        assert_eq!([0, 63, 64, 127].map(|g| subtask_of(g, 2, 128)), [0, 0, 1, 1]);
        // Three: 0 to 42, 43 to 85, 86 to 127.
        assert_eq!([42, 43, 85, 86, 127].map(|g| subtask_of(g, 3, 128)), [0, 1, 1, 2, 2]);
        let groups = parts(&[1, 2, 3, 4]);
        let shown = what_if(&groups, &[0, 2, 4, 5], 4);
        assert_eq!(shown.iter().map(|p| p.parallelism).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(shown[0].evenness.max_bytes, 7);
        assert_eq!(shown[0].evenness.bytes_max_to_mean, 1.4);
    }

    proptest! {
        #[test]
        fn gini_is_the_mean_difference(numbers in proptest::collection::vec(0u64..1000, 1..40)) {
            let shown = evenness(&parts(&numbers), numbers.len() as u64);
            let differences: u64 = numbers.iter().flat_map(|a| numbers.iter().map(move |b| a.abs_diff(*b))).sum();
            let sum: u64 = numbers.iter().sum();
            let gini = if sum == 0 { 0.0 } else { differences as f64 / (2 * numbers.len() as u64 * sum) as f64 };
            prop_assert!((shown.bytes_gini - gini).abs() < 0.000_001, "{} and {}", shown.bytes_gini, gini);
        }
    }
}
