//! Histograms with log-scaled buckets that merge.
//!
//! Below 32 every number has a bucket of its own; above, each power of two is divided into 16. So a bucket is never
//! wider than a 16th of its smallest number.

use serde::{Deserialize, Serialize};

/// Bits of a number that tell buckets of one power of two apart.
const MANTISSA_BITS: u32 = 4;
/// The buckets of 64 bits, rounded up to a power of two so that a masked index needs no check.
const BUCKETS: usize = 1024;

/// The relative error of a quantile: the width of a bucket.
pub const RELATIVE_ERROR: f64 = 1.0 / 16.0;

/// The bucket of a number.
#[inline]
fn bucket(value: u64) -> usize {
    let shift = 63u32.saturating_sub((value | 1).leading_zeros()).saturating_sub(MANTISSA_BITS);
    ((shift as usize) << MANTISSA_BITS) + (value >> shift) as usize
}

/// The smallest and the largest number of a bucket.
fn bounds(bucket: u16) -> (u64, u64) {
    let bucket = u64::from(bucket);
    let shift = (bucket >> MANTISSA_BITS).saturating_sub(1).min(59);
    let low = (bucket - (shift << MANTISSA_BITS)) << shift;
    (low, low + ((1 << shift) - 1))
}

/// Counts numbers. What it counted is a [`Histogram`].
#[derive(Debug)]
pub(super) struct Counter {
    buckets: Box<[u64; BUCKETS]>,
    min: u64,
    max: u64,
}

impl Counter {
    pub(super) fn new() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), min: u64::MAX, max: 0 }
    }

    #[inline]
    pub(super) fn add(&mut self, value: u64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.add_without_range(value);
    }

    /// Adds a number where the smallest and the largest are known otherwise.
    #[inline]
    pub(super) fn add_without_range(&mut self, value: u64) {
        if let Some(count) = self.buckets.get_mut(bucket(value) & (BUCKETS - 1)) {
            *count += 1;
        }
    }

    pub(super) fn finish(&self) -> Histogram {
        self.finish_with_range(self.min, self.max)
    }

    pub(super) fn finish_with_range(&self, min: u64, max: u64) -> Histogram {
        let counts = self.buckets.iter().zip(0u16..).filter(|(count, _)| **count > 0);
        let buckets: Vec<(u16, u64)> = counts.map(|(count, bucket)| (bucket, *count)).collect();
        let any = !buckets.is_empty();
        Histogram { range: any.then_some((min, max)), buckets }
    }
}

/// How many numbers fell into which bucket, with the smallest and the largest of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    range: Option<(u64, u64)>,
    /// Ascending, and none is empty.
    buckets: Vec<(u16, u64)>,
}

impl Histogram {
    /// Adds a number.
    pub(super) fn add(&mut self, value: u64) {
        self.range = Some(self.range.map_or((value, value), |(min, max)| (min.min(value), max.max(value))));
        // Below 1024 for all numbers.
        let bucket = u16::try_from(bucket(value)).unwrap_or(u16::MAX);
        match self.buckets.binary_search_by_key(&bucket, |b| b.0) {
            Ok(at) => {
                if let Some((_, count)) = self.buckets.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
    }

    /// Adds what another one counted. The order and the grouping of merges make no difference.
    pub fn merge(&mut self, other: &Self) {
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.buckets.extend_from_slice(&other.buckets);
        self.buckets.sort_unstable_by_key(|b| b.0);
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
    }

    /// How many numbers were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The number below or at which this many thousandths of all numbers lie: the largest one of its bucket.
    fn quantile(&self, thousandths: u64) -> Option<u64> {
        let (min, max) = self.range?;
        let rank = u128::from(self.count()) * u128::from(thousandths);
        let rank = rank.div_ceil(1000).max(1);
        let mut seen = 0u128;
        for (bucket, count) in &self.buckets {
            seen += u128::from(*count);
            if seen >= rank {
                return Some(bounds(*bucket).1.clamp(min, max));
            }
        }
        Some(max)
    }

    /// What a report shows of it.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        let mut histogram: Vec<HistogramBucket> = Vec::new();
        for (bucket, count) in &self.buckets {
            // Buckets do not reach over powers of two.
            let low = bounds(*bucket).0;
            let from = if low == 0 { 0 } else { 1u64 << (63 - low.leading_zeros()) };
            match histogram.last_mut() {
                Some(last) if last.from == from => last.count = last.count.saturating_add(*count),
                _ => histogram.push(HistogramBucket { from, count: *count }),
            }
        }
        Distribution {
            count: self.count(),
            min: self.range.map(|r| r.0),
            max: self.range.map(|r| r.1),
            p50: self.quantile(500),
            p90: self.quantile(900),
            p99: self.quantile(990),
            p999: self.quantile(999),
            relative_error: RELATIVE_ERROR,
            histogram,
        }
    }
}

/// How numbers are distributed. Count, minimum and maximum are exact.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// How many numbers.
    pub count: u64,
    /// The smallest; absent where there is none, as are all below.
    pub min: Option<u64>,
    /// The largest.
    pub max: Option<u64>,
    /// The median: never too small, and too large by at most `relative_error`, as the other quantiles.
    pub p50: Option<u64>,
    /// Nine of ten are at most this.
    pub p90: Option<u64>,
    /// 99 of 100 are at most this.
    pub p99: Option<u64>,
    /// 999 of 1000 are at most this.
    pub p999: Option<u64>,
    /// By how much a quantile may be too large, as a fraction of it.
    pub relative_error: f64,
    /// How many numbers lie between powers of two; empty ones are left out.
    pub histogram: Vec<HistogramBucket>,
}

/// Numbers from a power of two, or 0, up to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HistogramBucket {
    /// The smallest number of the bucket; it ends below twice that (0 below 1).
    pub from: u64,
    /// How many.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_meet_without_gap_and_are_narrow() {
        let mut expected = 0u64;
        for index in 0..=bucket(u64::MAX) {
            let (low, high) = bounds(u16::try_from(index).unwrap());
            assert_eq!(low, expected, "bucket {index}");
            assert_eq!((bucket(low), bucket(high)), (index, index));
            assert!(high - low <= low / 16, "bucket {index} is {low} to {high}");
            expected = high.wrapping_add(1);
        }
        assert_eq!(expected, 0, "the last one ends with the largest number");
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_numbers(
            mut numbers in proptest::collection::vec(prop_oneof![0u64..100, any::<u64>()], 1..200),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut whole = Counter::new();
            numbers.iter().for_each(|n| whole.add(*n));
            let whole = whole.finish();

            // Divided anywhere, and merged from the end.
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(numbers.len())).collect();
            cuts.extend([0, numbers.len()]);
            cuts.sort_unstable();
            let mut merged = Histogram::default();
            for cut in cuts.windows(2).rev() {
                let mut part = Histogram::default();
                numbers[cut[0]..cut[1]].iter().for_each(|n| part.add(*n));
                part.merge(&merged);
                merged = part;
            }
            prop_assert_eq!(&whole, &merged);

            numbers.sort_unstable();
            let shown = whole.distribution();
            prop_assert_eq!(shown.count, numbers.len() as u64);
            prop_assert_eq!(shown.min, numbers.first().copied());
            prop_assert_eq!(shown.max, numbers.last().copied());
            for (thousandths, found) in [(500, shown.p50), (900, shown.p90), (990, shown.p99), (999, shown.p999)] {
                let exact = numbers[(numbers.len() * thousandths).div_ceil(1000).max(1) - 1];
                let found = found.unwrap();
                prop_assert!(found >= exact && found - exact <= exact / 16, "{} for {}", found, exact);
            }
            for bucket in &shown.histogram {
                let end = if bucket.from == 0 { 0 } else { bucket.from + (bucket.from - 1) };
                let inside = numbers.iter().filter(|n| (bucket.from..=end).contains(n)).count();
                prop_assert_eq!(inside as u64, bucket.count);
            }
        }
    }

    #[test]
    fn nothing_counted_has_no_quantiles() {
        let shown = Counter::new().finish().distribution();
        assert_eq!((shown.count, shown.min, shown.p50, shown.histogram.len()), (0, None, None, 0));
    }
}
