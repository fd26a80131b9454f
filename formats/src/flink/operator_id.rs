//! Operator ids: 16 bytes, shown as 32 hex digits, and how Flink makes them from a uid.

use std::fmt;
use std::str::FromStr;

/// The id of an operator: 16 raw bytes in the order in which Flink prints them as hex.
///
/// For an operator with a uid it is MurmurHash3 (x64, 128 bits, seed 0) of the uid's UTF-8 bytes,
/// both halves little-endian (`StreamGraphHasherV2`, Guava's `Hashing.murmur3_128(0)`). Without a
/// uid it is a hash of the job's topology and cannot be inverted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorId(pub [u8; 16]);

impl OperatorId {
    /// The id that Flink gives to an operator with this uid.
    #[must_use]
    pub fn from_uid(uid: &str) -> Self {
        let (low, high) = murmur3_x64_128(uid.as_bytes());
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(low.to_le_bytes().into_iter().chain(high.to_le_bytes())) {
            *to = from;
        }
        Self(id)
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OperatorId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("an operator id is 32 hex digits: {text:?}");
        if text.len() != 32 {
            return Err(wrong());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| wrong())?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// MurmurHash3, the 128-bit variant for 64-bit machines, seed 0.
fn murmur3_x64_128(bytes: &[u8]) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    fn mix1(k: u64) -> u64 {
        k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
    }
    fn mix2(k: u64) -> u64 {
        k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
    }
    fn finish(mut k: u64) -> u64 {
        k ^= k >> 33;
        k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
        k ^= k >> 33;
        k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        k ^ (k >> 33)
    }
    fn word(bytes: &[u8]) -> u64 {
        bytes.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
    }

    let (mut h1, mut h2) = (0u64, 0u64);
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        let (first, second) = block.split_at(8);
        h1 ^= mix1(word(first));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(word(second));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let tail = blocks.remainder();
    let (first, second) = tail.split_at(tail.len().min(8));
    h2 ^= mix2(word(second));
    h1 ^= mix1(word(first));

    let length = bytes.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_hashes_as_flink_does() {
        // Read from real snapshots of jobs with these uids.
        assert_eq!(OperatorId::from_uid("op-uid").to_string(), "fdf047b90630d80e3e214b25dfc7754f");
        // Guava's published vectors for murmur3_128.
        assert_eq!(
            OperatorId::from_uid("The quick brown fox jumps over the lazy dog").to_string(),
            "6c1b07bc7bbc4be347939ac4a93c437a"
        );
        assert_eq!(OperatorId::from_uid("").to_string(), "00000000000000000000000000000000");
    }

    #[test]
    fn hex_goes_both_ways() {
        let id = OperatorId::from_uid("x");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("12".parse::<OperatorId>().is_err());
        assert!("zz000000000000000000000000000000".parse::<OperatorId>().is_err());
    }
}
