//! What other compressions would make of a state: expected from a sample of its blocks.
//!
//! Whoever reads the blocks compresses them and measures the time that it takes; here, sizes are added up. Times are
//! no part of it: they differ from run to run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sums::sums;

/// A way to compress blocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// The compression, as RocksDB names it.
    pub compression: String,
    /// Its level, where it has levels.
    pub level: Option<i32>,
    /// Whether with a dictionary made from a sample of the blocks.
    pub dictionary: bool,
    /// The uncompressed size of blocks in bytes.
    pub block_bytes: u32,
}

/// Every way that is tried: Snappy, LZ4, and ZSTD at the levels 1, 3 and 9 without and with a dictionary, each with
/// blocks of 4, 16 and 64 KiB.
#[must_use]
pub fn variants() -> Vec<Variant> {
    let codecs = [("Snappy", None), ("LZ4", None), ("ZSTD", Some(1)), ("ZSTD", Some(3)), ("ZSTD", Some(9))];
    let with = |(compression, level): (&str, Option<i32>), dictionary, block_kib: u32| Variant {
        compression: compression.to_owned(),
        level,
        dictionary,
        block_bytes: block_kib << 10,
    };
    let mut variants = Vec::new();
    for codec in codecs {
        for block_kib in [4, 16, 64] {
            variants.push(with(codec, false, block_kib));
            if codec.1.is_some() {
                variants.push(with(codec, true, block_kib));
            }
        }
    }
    variants
}

sums! {
    /// Blocks that were sampled.
    pub struct SampledBlocks {
        /// Blocks.
        blocks,
        /// Their uncompressed bytes.
        uncompressed_bytes,
        /// Their on-disk bytes.
        stored_bytes,
    }
}

/// Sampled blocks, and their size in other ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressionSample {
    /// The blocks as they are.
    pub blocks: SampledBlocks,
    /// What they would be: compressed bytes by way, with the trailer that each block has.
    #[serde(with = "super::pairs")]
    variants: BTreeMap<Variant, u64>,
}

impl CompressionSample {
    /// Adds blocks that were sampled.
    pub fn add_blocks(&mut self, blocks: &SampledBlocks) {
        self.blocks.merge(blocks);
    }

    /// Adds what these blocks are when compressed in a way, in bytes. Every way is added for all blocks or for none.
    pub fn add_variant(&mut self, variant: Variant, stored_bytes: u64) {
        let sum = self.variants.entry(variant).or_default();
        *sum = sum.saturating_add(stored_bytes);
    }

    /// Adds the sample of another split.
    pub fn merge(&mut self, other: Self) {
        self.blocks.merge(&other.blocks);
        for (variant, bytes) in other.variants {
            self.add_variant(variant, bytes);
        }
    }

    /// What is expected of a state with that many on-disk bytes of data blocks.
    #[must_use]
    pub fn expected(&self, stored_bytes: u64) -> CompressionWhatIf {
        let scaled = |sampled: u64| {
            let scaled = u128::from(sampled) * u128::from(stored_bytes);
            let scaled = scaled.checked_div(self.blocks.stored_bytes.into()).unwrap_or(0);
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        let variants = self.variants.iter().map(|(variant, sampled)| {
            let expected = scaled(*sampled);
            VariantExpected {
                variant: variant.clone(),
                sampled_bytes: *sampled,
                expected_bytes: expected,
                saving_bytes: i64::try_from(i128::from(stored_bytes) - i128::from(expected))
                    .unwrap_or(i64::MIN),
            }
        });
        CompressionWhatIf { sampled: self.blocks, stored_bytes, variants: variants.collect() }
    }
}

/// What other compressions would make of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompressionWhatIf {
    /// The blocks that were sampled, as they are.
    pub sampled: SampledBlocks,
    /// On-disk bytes of all data blocks, as they are.
    pub stored_bytes: u64,
    /// By way, in the order of their names.
    pub variants: Vec<VariantExpected>,
}

/// What a compression would make of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariantExpected {
    /// The way.
    #[serde(flatten)]
    pub variant: Variant,
    /// Bytes of the sample.
    pub sampled_bytes: u64,
    /// Expected on-disk bytes of all data blocks.
    pub expected_bytes: u64,
    /// What it would save; negative where it would cost.
    pub saving_bytes: i64,
}

/// What a compression costs in CPU time. It is measured: it differs from run to run and from machine to machine, so
/// it is never compared, and is no part of what is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariantCost {
    /// The way.
    #[serde(flatten)]
    pub variant: Variant,
    /// Uncompressed bytes of all blocks on which it was measured.
    pub uncompressed_bytes: u64,
    /// Nanoseconds of one thread to compress a MiB of uncompressed blocks.
    pub compress_ns_per_mib: u64,
    /// Nanoseconds of one thread to uncompress as many blocks as are a MiB then. Blocks that are not kept compressed
    /// take none.
    pub decompress_ns_per_mib: u64,
}

impl VariantCost {
    /// From what was measured.
    #[must_use]
    pub fn new(variant: Variant, uncompressed_bytes: u64, compress: Duration, decompress: Duration) -> Self {
        let per_mib = |time: Duration| {
            let per_mib = (time.as_nanos() << 20).checked_div(uncompressed_bytes.into()).unwrap_or(0);
            u64::try_from(per_mib).unwrap_or(u64::MAX)
        };
        let (compress_ns_per_mib, decompress_ns_per_mib) = (per_mib(compress), per_mib(decompress));
        Self { variant, uncompressed_bytes, compress_ns_per_mib, decompress_ns_per_mib }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_scaled_to_the_whole() {
        let [snappy, lz4] = [&variants()[0], &variants()[3]].map(Clone::clone);
        let part = |stored_bytes, bytes: u64| {
            let mut sample = CompressionSample::default();
            sample.add_blocks(&SampledBlocks { blocks: 1, uncompressed_bytes: 4096, stored_bytes });
            sample.add_variant(snappy.clone(), bytes);
            sample.add_variant(lz4.clone(), bytes / 2);
            sample
        };
        let (mut ours, theirs) = (part(1000, 1200), part(3000, 3600));
        let mut other_way = theirs.clone();
        other_way.merge(ours.clone());
        ours.merge(theirs);
        assert_eq!(ours, other_way);
        let saved = serde_json::to_string(&ours).unwrap();
        assert_eq!(serde_json::from_str::<CompressionSample>(&saved).unwrap(), ours);

        let expected = ours.expected(40_000);
        let by_name = |name: &str| expected.variants.iter().find(|v| v.variant.compression == name).unwrap();
        assert_eq!((by_name("Snappy").expected_bytes, by_name("Snappy").saving_bytes), (48_000, -8_000));
        assert_eq!((by_name("LZ4").expected_bytes, by_name("LZ4").saving_bytes), (24_000, 16_000));
        assert!(CompressionSample::default().expected(5).variants.is_empty());
    }
    #[test]
    fn costs_are_for_a_mib() {
        let snappy = || variants().remove(0);
        let cost = VariantCost::new(snappy(), 4 << 20, Duration::from_millis(8), Duration::from_millis(2));
        assert_eq!((cost.compress_ns_per_mib, cost.decompress_ns_per_mib), (2_000_000, 500_000));
        let nothing = VariantCost::new(snappy(), 0, Duration::MAX, Duration::ZERO);
        assert_eq!((nothing.compress_ns_per_mib, nothing.decompress_ns_per_mib), (0, 0));
        assert_eq!(
            VariantCost::new(snappy(), 1, Duration::MAX, Duration::ZERO).compress_ns_per_mib,
            u64::MAX
        );
    }
}
