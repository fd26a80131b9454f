//! Lays entries into blocks of other sizes.
//!
//! Blocks end, and keys are shortened, as RocksDB's `FlushBlockBySizePolicy` and `BlockBuilder` do it
//! (`table/block_based/flush_block_policy.cc`, `block_builder.cc`) with their defaults: a restart at every 16th
//! entry, a block is not filled up if it is filled to more than 90 % and the next entry would exceed it, no hash
//! index, values behind their keys.

use statescope_formats::rocksdb::block::Block;

/// Entries from one restart to the next.
const RESTART_INTERVAL: u32 = 16;

/// To how much of its size a block is filled before it may end early, in percent.
const FILLED_PERCENT: usize = 90;

/// Raw bytes of keys and values that may be laid anew: prefixes that entries share can stand for any number.
const MOST_RAW_BYTES: usize = 256 << 20;

/// Bytes that blocks of one size may come to: restarts that were far apart, or hostile, make more of them.
const MOST_LAID_BYTES: usize = 32 << 20;

/// Blocks of one size, one behind the other.
#[derive(Debug)]
pub(super) struct Laid {
    /// The size at which a block ends, in bytes.
    pub(super) block_bytes: u32,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Laid {
    /// The uncompressed contents of each block.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| self.bytes.get(begin..*end).unwrap_or_default())
    }
}

/// Why entries are not laid anew.
#[derive(Debug)]
pub(super) enum Refused {
    /// The block is damaged.
    Damaged,
    /// They would take too much memory or time.
    TooLarge,
}

/// Lays the same entries into blocks of several sizes.
#[derive(Debug)]
pub(super) struct Layout {
    builders: Vec<Builder>,
    last_key: Vec<u8>,
    raw_bytes: usize,
}

impl Layout {
    pub(super) fn new(block_sizes: &[u32]) -> Self {
        let builders = block_sizes.iter().map(|&block_bytes| Builder::new(block_bytes)).collect();
        Self { builders, last_key: Vec::new(), raw_bytes: 0 }
    }

    /// Adds the entries of a block. After an error, the layout is of no use.
    pub(super) fn add(&mut self, block: &Block<'_>) -> Result<(), Refused> {
        let mut entries = block.entries();
        while let Some(entry) = entries.next().map_err(|_| Refused::Damaged)? {
            self.raw_bytes = self.raw_bytes.saturating_add(entry.key.len()).saturating_add(entry.value.len());
            if self.raw_bytes > MOST_RAW_BYTES {
                return Err(Refused::TooLarge);
            }
            let shared = self.last_key.iter().zip(entry.key).take_while(|(a, b)| a == b).count();
            for builder in &mut self.builders {
                builder.add(entry.key, shared, entry.value);
                if builder.laid.bytes.len() > MOST_LAID_BYTES {
                    return Err(Refused::TooLarge);
                }
            }
            self.last_key.truncate(shared);
            self.last_key.extend_from_slice(entry.key.get(shared..).unwrap_or_default());
        }
        Ok(())
    }

    /// The blocks, by size as it was asked for.
    pub(super) fn finish(self) -> Vec<Laid> {
        let finished = self.builders.into_iter().map(|mut builder| {
            builder.end_block();
            builder.laid
        });
        finished.collect()
    }
}

/// Builds blocks of one size.
#[derive(Debug)]
struct Builder {
    laid: Laid,
    /// Where the block begins that is built.
    begin: usize,
    restarts: Vec<u32>,
    /// Entries since the last restart.
    counter: u32,
}

impl Builder {
    fn new(block_bytes: u32) -> Self {
        let laid = Laid { block_bytes, bytes: Vec::new(), ends: Vec::new() };
        Self { laid, begin: 0, restarts: Vec::new(), counter: 0 }
    }

    /// The size of the block if it ended here.
    fn size(&self) -> usize {
        self.laid.bytes.len() - self.begin + 4 * self.restarts.len() + 4
    }

    /// Whether the block is to end before this entry.
    fn is_full(&self, key: usize, value: usize) -> bool {
        let (size, block) = (self.size(), self.laid.block_bytes as usize);
        if self.restarts.is_empty() || size >= block {
            return size >= block && !self.restarts.is_empty();
        }
        // RocksDB's own estimate: it takes the whole key, and 4 bytes for the length of what is shared.
        let restart = if self.counter >= RESTART_INTERVAL { 4 } else { 0 };
        let after = size + key + value + restart + 4 + varint32_len(key) + varint32_len(value);
        size > (block * FILLED_PERCENT).div_ceil(100) && after > block
    }

    fn add(&mut self, key: &[u8], shared: usize, value: &[u8]) {
        if self.is_full(key.len(), value.len()) {
            self.end_block();
        }
        let mut shared = shared;
        if self.restarts.is_empty() || self.counter >= RESTART_INTERVAL {
            self.restarts.push(u32::try_from(self.laid.bytes.len() - self.begin).unwrap_or(u32::MAX));
            (self.counter, shared) = (0, 0);
        }
        self.counter += 1;
        let unshared = key.get(shared..).unwrap_or_default();
        for length in [shared, unshared.len(), value.len()] {
            put_varint32(&mut self.laid.bytes, length);
        }
        self.laid.bytes.extend_from_slice(unshared);
        self.laid.bytes.extend_from_slice(value);
    }

    fn end_block(&mut self) {
        if self.restarts.is_empty() {
            return;
        }
        let count = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX);
        for number in self.restarts.drain(..).chain([count]) {
            self.laid.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.begin = self.laid.bytes.len();
        self.laid.ends.push(self.begin);
    }
}

/// Appends a number as RocksDB's `PutVarint32` does: 7 bits in each byte, the lowest first.
pub(in crate::scan) fn put_varint32(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The bytes that such a number takes.
fn varint32_len(number: usize) -> usize {
    (number.checked_ilog2().unwrap_or(0) / 7 + 1) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entry = (Vec<u8>, Vec<u8>);

    fn entries(contents: &[u8]) -> Vec<Entry> {
        let mut entries = Block::new(contents, 0).unwrap().entries();
        let mut all = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            all.push((entry.key.to_vec(), entry.value.to_vec()));
        }
        all
    }

    /// Lays entries into blocks, and these again.
    fn lay(entries: &[Entry], first: u32, sizes: &[u32]) -> (Laid, Vec<Laid>) {
        let mut builder = Builder::new(first);
        let mut last: &[u8] = &[];
        for (key, value) in entries {
            builder.add(key, last.iter().zip(key).take_while(|(a, b)| a == b).count(), value);
            last = key;
        }
        builder.end_block();
        let mut layout = Layout::new(sizes);
        for block in builder.laid.blocks() {
            layout.add(&Block::new(block, 0).unwrap()).unwrap();
        }
        (builder.laid, layout.finish())
    }

    #[test]
    fn varints_are_as_long_as_is_said() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, 0xffff_ffff] {
            let mut bytes = Vec::new();
            put_varint32(&mut bytes, number);
            assert_eq!(bytes.len(), varint32_len(number), "{number:#x}");
        }
    }

    #[test]
    fn restarts_lie_at_every_16th_entry() {
        let all: Vec<Entry> = (0..40u8).map(|n| (vec![b'k', n], vec![n])).collect();
        let (_, laid) = lay(&all, 4096, &[4096]);
        let blocks: Vec<&[u8]> = laid[0].blocks().collect();
        // 16 entries: one whole key, and 15 that share a byte.
        let run = 6 + 15 * 5;
        assert_eq!(blocks.len(), 1);
        let block = Block::new(blocks[0], 0).unwrap();
        assert_eq!(
            (0..4).map(|n| block.restart(n)).collect::<Vec<_>>(),
            [Some(0), Some(run), Some(2 * run), None]
        );
        assert_eq!(entries(blocks[0]), all);
    }

    #[test]
    fn a_block_ends_before_it_is_exceeded_only_if_it_is_filled_by_nine_tenths() {
        let entry = |n: u8, value: usize| (vec![n], vec![0; value]);
        let counts = |all: &[Entry]| {
            let (_, laid) = lay(all, 4096, &[4096]);
            laid[0].blocks().map(|block| entries(block).len()).collect::<Vec<_>>()
        };
        // A value of 3674 bytes makes a block of 3687, which is 90 % of 4096 rounded up: not more than that.
        assert_eq!(counts(&[entry(0, 3674), entry(1, 1000)]), [2]);
        assert_eq!(counts(&[entry(0, 3675), entry(1, 1000)]), [1, 1]);
        assert_eq!(counts(&[entry(0, 3675), entry(1, 10), entry(2, 1000)]), [2, 1]);
        // What is larger than a block has one of its own.
        assert_eq!(counts(&[entry(0, 9000), entry(1, 10)]), [1, 1]);
        assert_eq!(counts(&[]), [0usize; 0]);
    }

    #[test]
    fn what_shared_prefixes_stand_for_is_bounded() {
        // One key of a MiB, and a thousand times the same: 3 bytes each.
        let mut contents = Vec::new();
        for length in [0, 1 << 20, 0] {
            put_varint32(&mut contents, length);
        }
        contents.resize(contents.len() + (1 << 20), b'k');
        for _ in 0..1000 {
            for length in [1 << 20, 0, 0] {
                put_varint32(&mut contents, length);
            }
        }
        contents.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
        let mut layout = Layout::new(&[4096, 65536]);
        assert!(matches!(layout.add(&Block::new(&contents, 0).unwrap()), Err(Refused::TooLarge)));
        assert!(layout.builders.iter().all(|b| b.laid.bytes.len() <= MOST_LAID_BYTES + (2 << 20)));
    }

    #[test]
    fn damage_is_refused() {
        let contents = [0, 9, 0, b'k', 0, 0, 0, 0, 1, 0, 0, 0];
        let refused = Layout::new(&[4096]).add(&Block::new(&contents, 7).unwrap());
        assert!(matches!(refused, Err(Refused::Damaged)), "{refused:?}");
    }

    proptest! {
        #[test]
        fn entries_stay_as_they_are(
            all in prop::collection::vec((prop::collection::vec(0..3u8, 0..40), prop::collection::vec(0..9u8, 0..300)), 0..200),
            size in 16..5000u32,
        ) {
            let (first, again) = lay(&all, size, &[size, 1 << 16]);
            // A block of the same size is the same.
            prop_assert_eq!(first.blocks().collect::<Vec<_>>(), again[0].blocks().collect::<Vec<_>>());
            for laid in &again {
                let found: Vec<Entry> = laid.blocks().flat_map(entries).collect();
                prop_assert_eq!(&found, &all);
            }
        }
    }
}
