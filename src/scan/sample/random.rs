//! Random choices that follow from a seed, the same on every machine and in every version.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// Of a seed, and of a name of what is chosen, so that one choice does not depend on how many were made elsewhere.
    pub(super) fn new(seed: u64, name: &[u8]) -> Self {
        // FNV-1a: any function that tells names apart will do.
        let hash = name.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Self(seed);
        random.0 = random.next() ^ hash;
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, each equally likely but for less than one in 2^32 where `end` is below that; 0 for none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// So many different numbers below `end`, or all of them, in random order.
    pub(super) fn distinct(&mut self, count: usize, end: usize) -> Vec<usize> {
        // The first steps of a shuffle of all numbers, of which only those are kept that moved.
        let mut moved = std::collections::HashMap::new();
        (0..count.min(end))
            .map(|at| {
                let other = at + usize::try_from(self.below((end - at) as u64)).unwrap_or(0);
                let chosen = moved.get(&other).copied().unwrap_or(other);
                let here = moved.get(&at).copied().unwrap_or(at);
                moved.insert(other, here);
                chosen
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut random = Random(1234567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        // The published test vector.
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
        let mut a = Random::new(1, b"a");
        let mut b = Random::new(1, b"b");
        assert_ne!(a.next(), b.next());
    }

    #[test]
    fn distinct_numbers_are_a_random_part() {
        let mut random = Random::new(7, b"test");
        let mut counts = [0u32; 10];
        for _ in 0..3000 {
            let chosen = random.distinct(4, 10);
            let mut sorted = chosen.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!((chosen.len(), sorted.len()), (4, 4));
            chosen.iter().for_each(|n| counts[*n] += 1);
        }
        // 1200 each, with a standard deviation of 27.
        assert!(counts.iter().all(|n| n.abs_diff(1200) < 135), "{counts:?}");
        let mut all = random.distinct(20, 10);
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
}
