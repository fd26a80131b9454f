//! Estimates with intervals, from samples of clusters.
//!
//! A *draw* is a cluster: one or several ranges of keys, picked at random, whose sums are divided by the probability
//! that they had (Hansen and Hurwitz). Draws are independent of each other and equally distributed, so that the spread
//! between them says how far their mean may be off, whatever happens inside of a cluster. Shares are ratios of such
//! sums; their variance is that of the linearized ratio.
//!
//! The interval of a share is Wilson's, for as many independent observations as would have the same variance (Korn and
//! Graubard), and for Student's quantile in place of the normal one. It stays within 0 and 1, and does not collapse
//! where all draws agree. That of a sum is the ratio's, by the same quantile. Where few draws stand out, so that others
//! like them may have been missed, the side on which they lie is stretched as Hall's transformation says (1992).

use std::collections::BTreeMap;

use super::ages::WHAT_IF_TTL_MS;
use super::key_bytes::KeyBytes;
use super::partial::AnalysisPartial;
use super::types::{Estimate, Estimates, TtlEstimate};

/// What is summed over each draw.
const DISK: usize = 0;
const DISK_LIVE: usize = 1;
const DISK_EXPIRED: usize = 2;
const DISK_DEAD: usize = 3;
const ENTRIES: usize = 4;
const TOMBSTONES: usize = 5;
const HIDDEN: usize = 6;
const LIVE_BYTES: usize = 7;
const LIVE_ROWS: usize = 8;
const LIVE_ENTRIES: usize = 9;
const KRYO_BYTES: usize = 10;
const WITH_TIMESTAMP: usize = 11;
const WHAT_IF: usize = 12;
const MEASURES: usize = WHAT_IF + WHAT_IF_TTL_MS.len();

/// A key is told from this share of the live raw bytes on.
const LARGE_KEY: f64 = 0.01;
/// At most so many keys can have such a share.
const LARGE_KEYS: usize = 100;
/// Of many small keys, some are hit by chance: where nothing else is known, so many draws must agree.
const HITS: usize = 3;

/// The sums over a draw.
#[derive(Debug, Clone, Default)]
pub struct Draw {
    sums: [f64; MEASURES],
    /// Raw live bytes of the largest keys, and of those at the edges.
    keys: BTreeMap<KeyBytes, f64>,
}

impl Draw {
    fn get(&self, measure: usize) -> f64 {
        self.sums.get(measure).copied().unwrap_or(0.0)
    }

    /// On-disk bytes of which it is known, without reading, that all of them are dead.
    #[must_use]
    pub fn dead(bytes: u64) -> Self {
        let mut draw = Self::default();
        (draw.sums[DISK], draw.sums[DISK_DEAD]) = (bytes as f64, bytes as f64);
        draw
    }

    /// What ranges of one state yielded.
    #[must_use]
    pub fn of(partial: AnalysisPartial) -> Self {
        let mut draw = Self::default();
        let sums = &mut draw.sums;
        for tally in partial.tallies.values() {
            sums[DISK] += tally.stored_bytes as f64;
            let (live, expired) =
                (tally.live_stored_bytes, tally.expired_stored_bytes.min(tally.live_stored_bytes));
            sums[DISK_LIVE] += (live - expired) as f64;
            sums[DISK_EXPIRED] += expired as f64;
            sums[DISK_DEAD] += tally.stored_bytes.saturating_sub(live) as f64;
            sums[ENTRIES] += tally.entries() as f64;
            sums[TOMBSTONES] += tally.deletes.saturating_add(tally.single_deletes) as f64;
            sums[HIDDEN] += tally.shadowed.saturating_add(tally.deleted) as f64;
        }
        for state in partial.states.values() {
            sums[LIVE_BYTES] += state.live.bytes() as f64;
            sums[LIVE_ROWS] += state.live.rows as f64;
            sums[LIVE_ENTRIES] += state.live.entries as f64;
            sums[KRYO_BYTES] += state.kryo.touched_bytes as f64;
            if let Some(ages) = &state.ages {
                sums[WITH_TIMESTAMP] += ages.ages.count() as f64;
                for (sum, (_, expired)) in sums[WHAT_IF..].iter_mut().zip(ages.what_if()) {
                    *sum += expired.entries as f64;
                }
            }
        }
        let inside = partial.states.into_values().flat_map(|state| state.keys.by_bytes().to_vec());
        let edges = partial.handles.into_values().flat_map(|handle| handle.edge_keys.into_keys());
        for key in inside.chain(edges) {
            *draw.keys.entry(key.key).or_default() += key.totals.bytes as f64;
        }
        draw
    }

    /// Adds what another range of the same draw yielded.
    pub fn add(&mut self, other: Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, n)| *sum += n);
        for (key, bytes) in other.keys {
            *self.keys.entry(key).or_default() += bytes;
        }
    }

    /// Stands for so many like it.
    #[must_use]
    pub fn times(mut self, weight: f64) -> Self {
        self.sums.iter_mut().for_each(|sum| *sum *= weight);
        self.keys.values_mut().for_each(|bytes| *bytes *= weight);
        self
    }
}

/// A key of which indexes tell where its rows lie.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyExtent {
    /// The beginning of its composite keys.
    pub key: KeyBytes,
    /// On-disk bytes of data blocks that hold nothing else.
    pub at_least: u64,
    /// With those that it shares with its neighbours.
    pub at_most: u64,
}

/// Draws from one state, or all of it.
#[derive(Debug, Clone, Default)]
pub struct StateSample {
    /// Whether the only draw is the whole state.
    whole: bool,
    /// On-disk bytes of data blocks of the state.
    disk_bytes: f64,
    draws: Vec<Draw>,
    /// Where the rows of keys lie that were drawn, if that is known.
    extents: Option<Vec<KeyExtent>>,
}

impl StateSample {
    /// Nothing drawn yet from so many on-disk bytes of data blocks.
    #[must_use]
    pub fn new(disk_bytes: u64) -> Self {
        Self::about(disk_bytes as f64)
    }

    /// The same of a number of bytes that is not known exactly.
    #[must_use]
    pub fn about(disk_bytes: f64) -> Self {
        Self { disk_bytes, ..Self::default() }
    }

    /// A state that was read whole.
    #[must_use]
    pub fn whole(all: Draw) -> Self {
        Self { whole: true, disk_bytes: all.sums[DISK], draws: vec![all], extents: None }
    }

    /// Adds a draw. Keys are left out that have hardly a part in it: no large key is one of these.
    pub fn push(&mut self, mut draw: Draw) {
        const HARDLY: f64 = 64.0;
        let live = draw.get(LIVE_BYTES);
        draw.keys.retain(|_, bytes| *bytes * HARDLY >= live);
        self.draws.push(draw);
    }

    /// The keys that were drawn, and how often.
    #[must_use]
    pub fn keys(&self) -> BTreeMap<&KeyBytes, usize> {
        let mut keys = BTreeMap::new();
        for key in self.draws.iter().flat_map(|draw| draw.keys.keys()) {
            *keys.entry(key).or_default() += 1;
        }
        keys
    }

    /// Tells where the rows lie of all keys that were drawn and may be large.
    pub fn set_extents(&mut self, extents: Vec<KeyExtent>) {
        self.extents = Some(extents);
    }

    /// Whether it was read whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    fn sum(&self, measure: usize) -> f64 {
        self.draws.iter().map(|draw| draw.get(measure)).sum()
    }

    /// What a sum over the draws is to be multiplied with for the whole state.
    fn expansion(&self) -> Option<f64> {
        let disk = self.sum(DISK);
        (disk > 0.0).then(|| self.disk_bytes / disk)
    }

    /// How the expanded sum of a measure varies that adds up to nothing.
    fn spread(&self, of: impl Fn(&Draw) -> f64) -> Option<Spread> {
        if self.whole {
            return Some(Spread { variance: 0.0, cubes: 0.0, freedom: f64::INFINITY });
        }
        let n = self.draws.len() as f64;
        if n < 2.0 {
            return None;
        }
        let expansion = self.expansion()?;
        // Ratios to on-disk bytes: what a draw differs in size alone does not count. Each draw is held against what the
        // others say, as by the jackknife; and as sums are skewed, few draws count as fewer.
        let disk = self.sum(DISK);
        let rate = self.draws.iter().map(&of).sum::<f64>() / disk;
        let (mut squares, mut cubes) = (0.0, 0.0);
        for draw in &self.draws {
            let part = (draw.get(DISK) / disk).min(0.9);
            let residual = (of(draw) - rate * draw.get(DISK)) / (1.0 - part);
            squares += residual.powi(2);
            cubes += residual.powi(3);
        }
        Some(Spread {
            variance: expansion.powi(2) * squares * n / (n - 1.0),
            cubes: expansion.powi(3) * cubes,
            freedom: (n - 1.0) / 2.0,
        })
    }

    /// The keys that seem to hold more than one percent of the raw live bytes, the largest first.
    pub(super) fn top_keys(&self) -> Vec<(KeyBytes, Estimate)> {
        let mut keys: Vec<(KeyBytes, Estimate)> = match &self.extents {
            Some(extents) => extents
                .iter()
                .filter_map(|extent| Some((extent.key.clone(), self.of_extent(extent)?)))
                .collect(),
            None => {
                let often = self.keys().into_iter().filter(|(_, hits)| self.whole || *hits >= HITS);
                let estimated = often.map(|(key, hits)| (key.clone(), self.of_key(key), hits));
                let certain = estimated.filter(|(_, share, _)| share.low >= LARGE_KEY / 2.0);
                certain.map(|(key, share, hits)| (key, self.as_chosen(share, hits))).collect()
            }
        };
        keys.retain(|(_, share)| share.value >= LARGE_KEY);
        keys.sort_by(|a, b| b.1.value.total_cmp(&a.1.value).then(a.0.cmp(&b.0)));
        keys.truncate(LARGE_KEYS);
        keys
    }

    /// The share of a key that is only told since it was drawn so often: some of that may be chance.
    fn as_chosen(&self, share: Estimate, hits: usize) -> Estimate {
        if self.whole {
            return share;
        }
        let hits = hits as f64;
        Estimate { low: share.low * (hits - (HITS as f64 - 1.0)).max(0.0) / hits, ..share }.rounded()
    }

    /// The share of a key by how much of it was drawn.
    fn of_key(&self, key: &KeyBytes) -> Estimate {
        let of_key = |draw: &Draw| draw.keys.get(key).copied().unwrap_or(0.0);
        Ratio::new(&[self], of_key, |draw| draw.get(LIVE_BYTES)).share()
    }

    /// The share of a key by where its rows lie, and by how much is live in draws that hold hardly anything else.
    fn of_extent(&self, extent: &KeyExtent) -> Option<Estimate> {
        const HARDLY_ELSE: f64 = 0.9;
        const ODDER: f64 = 1.3;
        let rate = |draw: &Draw| draw.get(LIVE_BYTES) / draw.get(DISK);
        let full: Vec<&Draw> = self.draws.iter().filter(|draw| draw.get(DISK) > 0.0).collect();
        let own = full.iter().filter(|draw| {
            draw.keys.get(&extent.key).is_some_and(|bytes| *bytes >= HARDLY_ELSE * draw.get(LIVE_BYTES))
        });
        let own: Vec<f64> = own.map(|draw| rate(draw)).collect();
        if own.is_empty() || full.len() < 2 {
            return None;
        }
        let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
        let spread = |rates: &[f64], middle: f64| {
            let squares: f64 = rates.iter().map(|rate| (rate - middle).powi(2)).sum();
            (squares / (rates.len() as f64 - 1.0).max(1.0)).sqrt()
        };
        let (rates, of_key) = (full.iter().map(|draw| rate(draw)).collect::<Vec<f64>>(), mean(&own));
        // Their spread is taken to be no less than that of all draws, and the mean of few to be no better than one of them:
        // what is one key's may be odder than what is anybody's.
        let all = spread(&rates, mean(&rates));
        let own_count = own.len() as f64;
        let half = if own.len() > HITS {
            student((own_count - 1.0) / 2.0) * spread(&own, of_key).max(all) * ODDER / own_count.sqrt()
        } else {
            student((rates.len() as f64 - 1.0) / 2.0) * all * ODDER
        };
        let live =
            Ratio::new(&[self], |draw| draw.get(LIVE_BYTES), |draw| draw.get(DISK)).times(self.disk_bytes);
        let (low, high) = (extent.at_least as f64, extent.at_most as f64);
        let share = |disk: f64, rate: f64, all: f64| {
            if all > 0.0 { (disk * rate / all).clamp(0.0, 1.0) } else { 0.0 }
        };
        let estimate = Estimate {
            value: share(low.midpoint(high), of_key, live.value),
            low: share(low, (of_key - half).max(0.0), live.high),
            high: share(high, of_key + half, live.low.max(1.0)),
        };
        Some(estimate.rounded())
    }
}

/// How a sum varies.
struct Spread {
    variance: f64,
    /// Its third central moment.
    cubes: f64,
    /// Degrees of freedom of the variance.
    freedom: f64,
}

/// The ratio of two sums over states.
struct Ratio {
    value: f64,
    variance: Option<f64>,
    /// Its third central moment over the third power of its deviation.
    skew: f64,
    /// Degrees of freedom of the variance.
    freedom: f64,
    /// How many independent observations there would be, if draws were these.
    observations: f64,
    /// Whether all was read.
    exact: bool,
}

impl Ratio {
    fn new(samples: &[&StateSample], part: impl Fn(&Draw) -> f64, all: impl Fn(&Draw) -> f64) -> Self {
        let (mut parts, mut alls, mut squares) = (0.0, 0.0, 0.0);
        for sample in samples {
            let Some(expansion) = sample.expansion() else { continue };
            let sum: f64 = sample.draws.iter().map(&all).sum::<f64>() * expansion;
            parts += sample.draws.iter().map(&part).sum::<f64>() * expansion;
            alls += sum;
            if !sample.whole {
                squares += sum.powi(2) / sample.draws.len() as f64;
            }
        }
        let value = if alls > 0.0 { parts / alls } else { 0.0 };
        let (mut variance, mut cubes, mut by_freedom) = (Some(0.0), 0.0, 0.0);
        for sample in samples {
            match sample.spread(|draw| part(draw) - value * all(draw)) {
                Some(of_state) => {
                    variance = variance.map(|sum| sum + of_state.variance);
                    cubes += of_state.cubes;
                    by_freedom += of_state.variance.powi(2) / of_state.freedom;
                }
                // With nothing drawn, nothing is known; of what has no bytes, nothing is to be.
                None if sample.disk_bytes > 0.0 => variance = None,
                None => {}
            }
        }
        // Satterthwaite's degrees of freedom of a sum of variances.
        let freedom = match variance {
            Some(sum) if by_freedom > 0.0 => sum.powi(2) / by_freedom,
            _ => {
                samples.iter().map(|sample| sample.draws.len() as f64 - 1.0).fold(0.0, |a, b| a + b.max(0.0))
            }
        };
        Self {
            value,
            variance: variance.filter(|_| alls > 0.0).map(|sum| sum / alls.powi(2)),
            skew: match variance {
                Some(sum) if sum > 0.0 => cubes / sum.powf(1.5),
                _ => 0.0,
            },
            freedom: freedom.max(1.0),
            observations: if squares > 0.0 { alls.powi(2) / squares } else { 0.0 },
            exact: samples.iter().all(|sample| sample.whole),
        }
    }

    /// By how much the lower and the upper side of the interval are stretched, by a quantile.
    fn stretch(&self, quantile: f64) -> (f64, f64) {
        const MOST: f64 = 3.0;
        if self.skew.abs() < 1e-6 {
            return (1.0, 1.0);
        }
        let inverse = |x: f64| 3.0 / self.skew * ((1.0 + self.skew * (x - self.skew / 6.0)).cbrt() - 1.0);
        let side = |x: f64| (inverse(x) / x).clamp(1.0, MOST);
        (side(quantile), side(-quantile))
    }

    /// As a share.
    fn share(&self) -> Estimate {
        let value = self.value.clamp(0.0, 1.0);
        if self.exact {
            return Estimate { value, low: value, high: value }.rounded();
        }
        let Some(variance) = self.variance else { return Estimate { value, low: 0.0, high: 1.0 } };
        let spread = value * (1.0 - value);
        // Where all draws agree, they say no more than so many observations would.
        let size = if spread > 0.0 && variance > 0.0 { spread / variance } else { self.observations };
        if size <= 0.0 {
            return Estimate { value, low: 0.0, high: 1.0 };
        }
        let quantile = student(self.freedom);
        let size = size * (NORMAL / quantile).powi(2);
        let square = NORMAL.powi(2);
        let middle = (value + square / (2.0 * size)) / (1.0 + square / size);
        let half = NORMAL / (1.0 + square / size) * (spread / size + square / (4.0 * size * size)).sqrt();
        let (low, high) = ((middle - half).clamp(0.0, value), (middle + half).clamp(value, 1.0));
        let (below, above) = self.stretch(quantile);
        let (low, high) = (value - (value - low) * below, value + (high - value) * above);
        Estimate { value, low: low.max(0.0), high: high.min(1.0) }.rounded()
    }

    /// As a sum, for so many on-disk bytes.
    fn times(&self, bytes: f64) -> Estimate {
        let value = self.value * bytes;
        let half = match self.variance {
            _ if self.exact => 0.0,
            Some(variance) => student(self.freedom) * variance.sqrt() * bytes,
            None => value,
        };
        Estimate { value: value.round(), low: (value - half).max(0.0).round(), high: (value + half).round() }
    }
}

impl Estimate {
    /// With six digits, as other shares.
    fn rounded(self) -> Self {
        let round = |n: f64| (n * 1e6).round() / 1e6;
        Self { value: round(self.value), low: round(self.low), high: round(self.high) }
    }
}

fn share(samples: &[&StateSample], part: usize, all: usize) -> Estimate {
    Ratio::new(samples, |draw| draw.get(part), |draw| draw.get(all)).share()
}

/// The quantile of the normal distribution for an interval of 95 %.
const NORMAL: f64 = 1.959_964;

/// That of Student's distribution (Abramowitz and Stegun, 26.7.5; below that is exact enough, from a table).
fn student(freedom: f64) -> f64 {
    const SMALL: [f64; 5] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706];
    let small = SMALL.get((freedom.round() as usize).saturating_sub(1));
    if let Some(quantile) = small {
        return *quantile;
    }
    let z = NORMAL;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

/// What a sample of a state says, its largest keys left out.
pub(super) fn of_state(sample: &StateSample, expires: bool, kryo: bool, ages: bool) -> Estimates {
    let mut estimates = of_samples(&[sample], expires, kryo);
    estimates.ttl_what_if = ages.then(|| {
        let ttls = WHAT_IF_TTL_MS.into_iter().zip(WHAT_IF..);
        ttls.map(|(ttl_ms, at)| TtlEstimate { ttl_ms, share: share(&[sample], at, WITH_TIMESTAMP) }).collect()
    });
    estimates
}

/// What samples say of all states; nothing if there is none.
pub(super) fn totals(samples: &[StateSample], expires: bool, kryo: bool) -> Option<Estimates> {
    let all: Vec<&StateSample> = samples.iter().collect();
    (!all.is_empty()).then(|| of_samples(&all, expires, kryo))
}

fn of_samples(samples: &[&StateSample], expires: bool, kryo: bool) -> Estimates {
    let disk_bytes: f64 = samples.iter().map(|sample| sample.disk_bytes).sum();
    let sum = |measure: usize| {
        Ratio::new(samples, |draw| draw.get(measure), |draw| draw.get(DISK)).times(disk_bytes)
    };
    Estimates {
        whole: samples.iter().all(|sample| sample.whole),
        live_share: share(samples, DISK_LIVE, DISK),
        expired_share: expires.then(|| share(samples, DISK_EXPIRED, DISK)),
        dead_share: share(samples, DISK_DEAD, DISK),
        tombstone_share: share(samples, TOMBSTONES, ENTRIES),
        hidden_share: share(samples, HIDDEN, ENTRIES),
        kryo_share: kryo.then(|| share(samples, KRYO_BYTES, LIVE_BYTES)),
        rows: sum(LIVE_ROWS),
        entries: sum(LIVE_ENTRIES),
        bytes: sum(LIVE_BYTES),
        ttl_what_if: None,
        top_keys: Vec::new(),
    }
}

/// Half the width of the widest interval of a share of on-disk bytes, over all samples together.
#[must_use]
pub fn error(samples: &[&StateSample]) -> f64 {
    let widths = [DISK_LIVE, DISK_EXPIRED, DISK_DEAD].map(|measure| {
        let share = share(samples, measure, DISK);
        (share.high - share.low) / 2.0
    });
    widths.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(sums: &[(usize, f64)]) -> Draw {
        let mut draw = Draw::default();
        sums.iter().for_each(|(measure, n)| draw.sums[*measure] = *n);
        draw
    }

    fn sample(disk_bytes: f64, live: &[f64]) -> StateSample {
        let mut sample = StateSample::about(disk_bytes);
        live.iter().for_each(|live| sample.push(draw(&[(DISK, 100.0), (DISK_LIVE, *live)])));
        sample
    }

    #[test]
    fn a_mean_has_the_interval_of_its_spread() {
        let half: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { 100.0 } else { 0.0 }).collect();
        let share = share(&[&sample(1e9, &half)], DISK_LIVE, DISK);
        assert_eq!(share.value, 0.5);
        // As a coin that is tossed a hundred times.
        assert!((share.low - 0.402).abs() < 0.003 && (share.high - 0.598).abs() < 0.003, "{share:?}");
    }

    #[test]
    fn draws_that_agree_are_not_certain() {
        let share = share(&[&sample(1e9, &[0.0; 50])], DISK_LIVE, DISK);
        assert_eq!((share.value, share.low), (0.0, 0.0));
        assert!(share.high > 0.05 && share.high < 0.1, "{share:?}");
    }

    #[test]
    fn what_was_read_whole_is_certain_and_counts_by_its_size() {
        let whole = StateSample::whole(draw(&[(DISK, 300.0), (DISK_LIVE, 300.0)]));
        let estimate = share(&[&whole], DISK_LIVE, DISK);
        assert_eq!((estimate.low, estimate.value, estimate.high), (1.0, 1.0, 1.0));
        let sampled = sample(100.0, &[0.0, 100.0, 0.0, 100.0, 50.0, 50.0]);
        let both = share(&[&whole, &sampled], DISK_LIVE, DISK);
        assert_eq!(both.value, 0.875);
        let alone = share(&[&sampled], DISK_LIVE, DISK);
        let (wide, narrow) = (alone.high - alone.low, both.high - both.low);
        assert!(narrow < wide / 2.0 && narrow > wide / 5.0, "{alone:?} {both:?}");
    }

    #[test]
    fn what_only_a_whole_state_has_leaves_no_gap() {
        let whole = StateSample::whole(draw(&[(DISK, 300.0), (LIVE_BYTES, 300.0)]));
        // All that was drawn of the other is dead.
        let dead = sample(1e6, &[0.0; 20]);
        let kryo = share(&[&whole, &dead], KRYO_BYTES, LIVE_BYTES);
        assert_eq!((kryo.value, kryo.low, kryo.high), (0.0, 0.0, 1.0));
    }

    #[test]
    fn keys_that_hardly_have_a_part_in_a_draw_are_not_held() {
        let mut sample = StateSample::new(1000);
        let mut draw = draw(&[(DISK, 100.0), (LIVE_BYTES, 6400.0)]);
        for (name, bytes) in [("a", 99.0), ("b", 100.0)] {
            draw.keys.insert(KeyBytes::from(name.as_bytes()), bytes);
        }
        sample.push(draw);
        assert_eq!(sample.keys(), BTreeMap::from([(&KeyBytes::from(&b"b"[..]), 1)]));
    }

    #[test]
    fn sums_are_as_large_as_the_state() {
        let mut sample = StateSample::new(10_000);
        for rows in [9.0, 10.0, 11.0, 10.0] {
            sample.push(draw(&[(DISK, 100.0), (LIVE_ROWS, rows)]));
        }
        let rows = of_samples(&[&sample], false, false).rows;
        assert_eq!(rows.value, 1000.0);
        assert!(rows.low > 750.0 && rows.low < 800.0 && rows.high > 1200.0 && rows.high < 1250.0, "{rows:?}");
    }

    #[test]
    fn one_draw_or_none_says_nothing_of_its_error() {
        for live in [&[][..], &[40.0]] {
            let share = share(&[&sample(1e6, live)], DISK_LIVE, DISK);
            assert_eq!((share.low, share.high), (0.0, 1.0));
        }
    }

    #[test]
    fn large_keys_are_told_with_their_share() {
        let (large, small) = (KeyBytes::from(&b"large"[..]), KeyBytes::from(&b"small"[..]));
        let mut sample = StateSample::new(1_000_000);
        for i in 0..200 {
            let mut draw = draw(&[(DISK, 10.0), (LIVE_BYTES, 100.0)]);
            if i % 10 == 0 {
                draw.keys.insert(large.clone(), 100.0);
            }
            if i == 5 {
                draw.keys.insert(small.clone(), 50.0);
            }
            sample.push(draw);
        }
        let keys = sample.top_keys();
        assert_eq!(keys.len(), 1);
        let (key, share) = &keys[0];
        assert_eq!((key, share.value), (&large, 0.1));
        assert!(share.low > 0.05 && share.low < 0.07 && share.high > 0.14 && share.high < 0.16, "{share:?}");

        // Where its rows lie is known better than how often it is drawn.
        let extent = |key: &KeyBytes, at_least, at_most| KeyExtent { key: key.clone(), at_least, at_most };
        sample.set_extents(vec![extent(&large, 79_000, 81_000), extent(&small, 400, 600)]);
        let keys = sample.top_keys();
        assert_eq!(keys.len(), 1);
        let Estimate { value, low, high } = keys[0].1;
        assert_eq!((value, low, high), (0.08, 0.079, 0.081));
    }

    #[test]
    fn quantiles_are_those_of_the_table() {
        for (freedom, expected) in
            [(1.0, 12.706), (5.0, 2.571), (6.0, 2.447), (10.0, 2.228), (30.0, 2.042), (1e9, 1.960)]
        {
            assert!((student(freedom) - expected).abs() < 0.002, "{freedom}: {}", student(freedom));
        }
    }
}
