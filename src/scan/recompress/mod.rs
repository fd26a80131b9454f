//! What other compressions would make of the data: a sample of blocks, compressed in other ways.
//!
//! ```text
//! tables ─▶ slots ─▶ picked by rank, shared out to states ─▶ stretches of blocks ─▶ dictionaries ─▶ every way tried
//! ```
//!
//! A slot is a range of a table's on-disk bytes; the blocks that begin in it are a stretch, long enough to lay its
//! entries into larger blocks. Which slots are taken depends on the numbers of tables and slots alone, so the sample
//! is the same in every run and for any number of threads, and no block is in it twice. States share the sample
//! evenly: what a small one does not need, larger ones get.
//!
//! Nothing of this is done unless it is asked for. It reads the indexes of the tables that have a slot, and one
//! stretch of each slot.

mod codec;
mod layout;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use statescope_formats::rocksdb::block::Block;
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::handle::{BLOCK_TRAILER_LEN, BlockHandle};

use self::codec::{Compressed, TRAIN_BYTES, compress, dictionary};
use self::layout::{Laid, Layout};
use super::feed::share;
use super::tables::{BlockReader, OpenTables, ReadError, ScanTable};
use super::work::state_key;
use super::{Handle, Progress, Scan, ScanOptions, State};
use crate::analyzers::analysis::{
    CompressionSample, SampledBlocks, StateKey, Variant, VariantCost, variants,
};
use crate::model::FileId;
use crate::storage::Storage;

pub(super) use self::layout::put_varint32;

/// Bytes of a stretch: on disk and, unless its first block is larger, uncompressed.
const STRETCH_BYTES: u64 = 256 << 10;

/// Raw bytes of keys and values that a slot is to have: more than its stretch, since blocks have fewer bytes.
const SLOT_RAW_BYTES: u64 = 2 * STRETCH_BYTES;

/// On-disk bytes of a slot, at least; at most, and where nothing is known, as many as a stretch has.
const SMALLEST_SLOT: u64 = 4 << 10;

/// On-disk bytes of the whole sample, which are held.
const SAMPLE_BYTES: u64 = 32 << 20;

/// How many slots are taken.
const SLOTS: usize = (SAMPLE_BYTES / STRETCH_BYTES) as usize;

/// How many slots a state gets before another gets more: one to make a dictionary from, one to measure it on.
const SLOTS_AT_ONCE: usize = 2;

/// The largest block, and the largest dictionary, that are taken. With larger ones, memory would not be bounded.
const LARGEST_BLOCK: u64 = 8 << 20;
const LARGEST_DICTIONARY: usize = 1 << 20;

/// RocksDB makes a new dictionary for each file; a file has about so many bytes (`target_file_size_base`).
const FILE_BYTES: u64 = 64 << 20;

/// Reads a clock that never goes back.
pub type Clock<'a> = &'a (dyn Fn() -> Duration + Sync);

/// A sample, compressed in other ways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recompressed {
    /// What it came to, for each state of which there is a sample. To be added to the figures after the last split,
    /// with [`AnalysisPartial::add_sample`](crate::analyzers::analysis::AnalysisPartial::add_sample).
    pub samples: BTreeMap<StateKey, CompressionSample>,
    /// What each way costs, in the order of [`variants`]. These are measured, and differ from run to run.
    pub costs: Vec<VariantCost>,
    /// Stretches that are missing from the sample: they could not be read, which the scan tells of, or have blocks
    /// of more than 8 MiB.
    pub skipped: u64,
}

/// A range of on-disk bytes of a table.
#[derive(Debug, Clone, Copy)]
struct Slot<'s> {
    handle: &'s Handle,
    state: &'s State,
    table: &'s ScanTable,
    number: u64,
    /// Its length in bytes.
    length: u64,
}

/// Slots by which they are compared: the smallest ones are taken.
type Rank = (u64, FileId, u64);

/// A state of an operator, over all its handles.
#[derive(Default)]
struct Group<'s> {
    /// The slots with the smallest ranks, the largest first.
    slots: BinaryHeap<Ranked<'s>>,
    /// On-disk bytes of data blocks.
    stored_bytes: u64,
    /// How many dictionaries it would have.
    dictionaries: u64,
}

struct Ranked<'s>(Rank, Slot<'s>);

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Ranked<'_> {}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// A slot that is taken.
#[derive(Debug, Clone, Copy)]
struct Taken<'s> {
    slot: Slot<'s>,
    /// The index of its group.
    group: usize,
    /// Which of the group's dictionaries it helps to make; it is measured with the other one.
    half: usize,
}

/// The blocks of a slot as they are stored.
#[derive(Debug)]
struct Stretch<'s> {
    taken: Taken<'s>,
    blocks: Vec<BlockHandle>,
    dictionary: Option<Vec<u8>>,
    bytes: Bytes,
}

/// What is known of a slot before its blocks are read.
type Found = Result<(Vec<BlockHandle>, Option<Vec<u8>>), Skipped>;

/// The blocks of a stretch that were used, and their entries in blocks of other sizes.
type LaidStretch = Result<(SampledBlocks, Vec<Laid>), Skipped>;

/// Why there is no stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Skipped;

impl From<ReadError> for Skipped {
    fn from(_: ReadError) -> Self {
        Self
    }
}

impl Scan<'_> {
    /// Compresses a sample of the data blocks, about 32 MiB of them in all, in every way of [`variants`], and
    /// measures with `clock` how long that takes. The sizes depend neither on the number of threads nor on the clock.
    ///
    /// About 100 MiB of memory are used, and more only for blocks that are larger than usual, up to 8 MiB.
    ///
    /// None if it was stopped.
    pub fn recompress(
        &self,
        storage: &dyn Storage,
        options: ScanOptions,
        progress: &Progress,
        clock: Clock<'_>,
    ) -> Option<Recompressed> {
        let parallel = Parallel { threads: options.threads, progress };
        let groups = self.groups();
        let taken = take(&groups);
        let found = locate(storage, options, &parallel, &taken)?;

        // What is held is bounded, whatever indexes say.
        let (mut skipped, mut room) = (0, SAMPLE_BYTES);
        let mut wanted = Vec::new();
        for (taken, found) in taken.iter().zip(found) {
            let Ok((blocks, dictionary)) = found else {
                skipped += 1;
                continue;
            };
            let Some(range) = extent(&blocks) else { continue };
            let Some(rest) = room.checked_sub(range.end - range.start) else { continue };
            room = rest;
            wanted.push((*taken, blocks, dictionary, range));
        }
        let read = parallel.each(&wanted, |(taken, blocks, dictionary, range)| {
            let bytes = taken.slot.table.source.read(storage, range.clone()).ok()?;
            Some(Stretch { taken: *taken, blocks: blocks.clone(), dictionary: dictionary.clone(), bytes })
        })?;
        skipped += read.iter().filter(|stretch| stretch.is_none()).count() as u64;
        let stretches: Vec<Stretch<'_>> = read.into_iter().flatten().collect();

        let variants = variants();
        let sizes: BTreeSet<u32> = variants.iter().map(|variant| variant.block_bytes).collect();
        let sizes: Vec<u32> = sizes.into_iter().collect();
        let lay = |stretch: &Stretch<'_>, sizes: &[u32]| stretch.lay(options.checksums, sizes);
        let dictionaries = Dictionaries::make(&parallel, &stretches, &sizes, &lay)?;

        let measured = parallel.each(&stretches, |stretch| {
            let (blocks, laid) = lay(stretch, &sizes).ok()?;
            let mut compressed = Vec::with_capacity(variants.len());
            for variant in &variants {
                // All ways together take a while.
                if progress.stop.load(Ordering::Relaxed) {
                    return None;
                }
                let laid = laid.iter().find(|laid| laid.block_bytes == variant.block_bytes)?;
                let dictionary = match variant.dictionary {
                    true => dictionaries.to_measure(&stretch.taken, variant.block_bytes),
                    false => &[],
                };
                let mut sum = compress(laid, variant, dictionary, clock).ok()?;
                if let Some(group) = groups.get(stretch.taken.group).filter(|_| !dictionary.is_empty()) {
                    let one = dictionary.len() as u64 + BLOCK_TRAILER_LEN;
                    let all = one.saturating_mul(group.dictionaries);
                    sum.stored_bytes += share(all, blocks.stored_bytes, group.stored_bytes);
                }
                compressed.push(sum);
            }
            Some((blocks, compressed))
        })?;
        let mut sum = Recompressed { skipped, ..Recompressed::default() };
        let mut totals = vec![Compressed::default(); variants.len()];
        for (stretch, measured) in stretches.iter().zip(measured) {
            let Some((blocks, compressed)) = measured else {
                sum.skipped += 1;
                continue;
            };
            let slot = &stretch.taken.slot;
            let sample = sum.samples.entry(state_key(slot.handle, slot.state)).or_default();
            sample.add_blocks(&blocks);
            for ((variant, one), total) in variants.iter().zip(compressed).zip(&mut totals) {
                sample.add_variant(variant.clone(), one.stored_bytes);
                total.uncompressed_bytes += one.uncompressed_bytes;
                total.compress += one.compress;
                total.decompress += one.decompress;
            }
        }
        if !sum.samples.is_empty() {
            let cost = |(variant, total): (Variant, Compressed)| {
                VariantCost::new(variant, total.uncompressed_bytes, total.compress, total.decompress)
            };
            sum.costs = variants.into_iter().zip(totals).map(cost).collect();
        }
        Some(sum)
    }

    /// The states with their slots, in the order of operators and names.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<(u32, &str), Group<'_>> = BTreeMap::new();
        // Handles may share files.
        let mut seen: BTreeSet<FileId> = BTreeSet::new();
        for handle in &self.handles {
            for state in &handle.states {
                let group = groups.entry((handle.operator_number, &state.name)).or_default();
                for table in state.tables.iter().filter(|table| seen.insert(table.file)) {
                    group.add(handle, state, table);
                }
            }
        }
        groups.into_values().collect()
    }
}

impl<'s> Group<'s> {
    fn add(&mut self, handle: &'s Handle, state: &'s State, table: &'s ScanTable) {
        let bytes = table.data_bytes().unwrap_or(table.size).min(table.size);
        self.stored_bytes = self.stored_bytes.saturating_add(bytes);
        self.dictionaries = self.dictionaries.saturating_add(bytes.div_ceil(FILE_BYTES));
        let length = slot_length(table, bytes);
        for number in 0..bytes.div_ceil(length) {
            let rank = (rank(table.number, number), table.file, number);
            if self.slots.len() >= SLOTS {
                if self.slots.peek().is_some_and(|largest| largest.0 <= rank) {
                    continue;
                }
                self.slots.pop();
            }
            self.slots.push(Ranked(rank, Slot { handle, state, table, number, length }));
        }
    }
}

/// On-disk bytes of a table's slots.
fn slot_length(table: &ScanTable, data_bytes: u64) -> u64 {
    let properties = table.tail.properties.as_ref();
    let raw = properties.and_then(|p| p.raw_key_size?.checked_add(p.raw_value_size?)).filter(|&raw| raw > 0);
    let length = raw.map_or(STRETCH_BYTES, |raw| share(SLOT_RAW_BYTES, data_bytes, raw));
    length.clamp(SMALLEST_SLOT, STRETCH_BYTES)
}

/// A number that looks random, the same in every run (SplitMix64).
fn rank(table: u64, slot: u64) -> u64 {
    let mixed = table.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ slot.wrapping_add(0xD1B5_4A32_D192_ED03);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Shares the sample out: in rounds, beginning with the largest state.
fn take<'s>(groups: &[Group<'s>]) -> Vec<Taken<'s>> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(groups.get(index).map_or(0, |group| group.stored_bytes)));
    let available: Vec<usize> = groups.iter().map(|group| group.slots.len()).collect();
    let counts = share_out(SLOTS, &order, &available);
    let mut taken = Vec::new();
    for ((group, index), count) in groups.iter().zip(0..).zip(counts) {
        let mut slots: Vec<&Ranked<'_>> = group.slots.iter().collect();
        slots.sort();
        for (half, ranked) in (0..count).zip(slots) {
            taken.push(Taken { slot: ranked.1, group: index, half: half % 2 });
        }
    }
    taken
}

/// How many each gets, of so many.
fn share_out(mut left: usize, order: &[usize], available: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; available.len()];
    loop {
        let before = left;
        for &index in order {
            let (Some(count), Some(available)) = (counts.get_mut(index), available.get(index)) else {
                continue;
            };
            let more = SLOTS_AT_ONCE.min(available - *count).min(left);
            *count += more;
            left -= more;
        }
        if left == 0 || left == before {
            return counts;
        }
    }
}

/// Finds the blocks of slots in the indexes of their tables. Each table is opened once.
fn locate(
    storage: &dyn Storage,
    options: ScanOptions,
    parallel: &Parallel<'_>,
    taken: &[Taken<'_>],
) -> Option<Vec<Found>> {
    let mut by_table: BTreeMap<FileId, Vec<usize>> = BTreeMap::new();
    for (index, taken) in taken.iter().enumerate() {
        by_table.entry(taken.slot.table.file).or_default().push(index);
    }
    let by_table: Vec<Vec<usize>> = by_table.into_values().collect();
    let located = parallel.each(&by_table, |indexes| {
        let slots: Vec<&Slot<'_>> = indexes.iter().filter_map(|&i| Some(&taken.get(i)?.slot)).collect();
        blocks_of(storage, options.checksums, &slots)
    })?;
    let mut found: Vec<Found> = vec![Err(Skipped); taken.len()];
    for (indexes, located) in by_table.iter().zip(located) {
        let Ok(located) = located else { continue };
        for (&index, blocks) in indexes.iter().zip(located) {
            if let Some(found) = found.get_mut(index) {
                *found = blocks;
            }
        }
    }
    Some(found)
}

/// The blocks of slots of one table.
fn blocks_of(storage: &dyn Storage, checksums: bool, slots: &[&Slot<'_>]) -> Result<Vec<Found>, Skipped> {
    let Some(first) = slots.first() else { return Ok(Vec::new()) };
    let table = first.table;
    let tables = OpenTables::default();
    let open = tables.open(storage, table, checksums)?;
    let list = open.blocks(storage, table, &[], None, checksums)?;
    if open.dictionary.as_ref().is_some_and(|dictionary| dictionary.len() > LARGEST_DICTIONARY) {
        return Err(Skipped);
    }
    let stretch = |slot: &Slot<'_>| {
        let begin = list.blocks.iter().map(|block| block.handle);
        let within = begin.filter(|handle| handle.offset / slot.length.max(1) == slot.number);
        let mut blocks: Vec<BlockHandle> = Vec::new();
        let mut bytes = 0u64;
        for handle in within {
            bytes = bytes.saturating_add(handle.size);
            // Blocks may be aligned to pages.
            let follows =
                |last: &BlockHandle| handle.offset.checked_sub(last.end()).is_some_and(|gap| gap <= 4096);
            match blocks.last() {
                None if handle.size > LARGEST_BLOCK => return Err(Skipped),
                Some(last) if bytes > STRETCH_BYTES || !follows(last) => break,
                _ => blocks.push(handle),
            }
        }
        Ok((blocks, open.dictionary.clone()))
    };
    Ok(slots.iter().map(|slot| stretch(slot)).collect())
}

/// The bytes from the first block to the end of the last one.
fn extent(blocks: &[BlockHandle]) -> Option<std::ops::Range<u64>> {
    Some(blocks.first()?.offset..blocks.last()?.end())
}

impl Stretch<'_> {
    /// Lays its entries into blocks of several sizes. Also says what the blocks are that were used: they end where
    /// their uncompressed bytes are enough.
    fn lay(&self, checksums: bool, sizes: &[u32]) -> LaidStretch {
        let decompressor = match &self.dictionary {
            Some(dictionary) => Decompressor::with_dictionary(dictionary),
            None => Decompressor::new(),
        };
        let tail = &self.taken.slot.table.tail;
        let mut reader = BlockReader { tail, checksums, decompressor, buffer: Vec::new() };
        let base = self.blocks.first().map_or(0, |handle| handle.offset);
        let (mut sum, mut layout) = (SampledBlocks::default(), Layout::new(sizes));
        for &handle in &self.blocks {
            if sum.uncompressed_bytes >= STRETCH_BYTES {
                break;
            }
            let contents = reader.block(&self.bytes, base, handle, "a data block").map_err(|_| Skipped)?;
            let length = contents.len() as u64;
            if length > LARGEST_BLOCK {
                return Err(Skipped);
            }
            let block = Block::new(contents, handle.offset).map_err(|_| Skipped)?;
            layout.add(&block).map_err(|_| Skipped)?;
            sum.blocks += 1;
            sum.uncompressed_bytes += length;
            sum.stored_bytes += handle.size + BLOCK_TRAILER_LEN;
        }
        Ok((sum, layout.finish()))
    }
}

/// The dictionaries of all states, by group, half and size of blocks.
struct Dictionaries(BTreeMap<(usize, usize, u32), Vec<u8>>);

impl Dictionaries {
    /// Makes those of each state from two halves of its sample.
    fn make(
        parallel: &Parallel<'_>,
        stretches: &[Stretch<'_>],
        sizes: &[u32],
        lay: &(dyn Fn(&Stretch<'_>, &[u32]) -> LaidStretch + Sync),
    ) -> Option<Self> {
        let keys: BTreeSet<(usize, usize)> =
            stretches.iter().map(|stretch| (stretch.taken.group, stretch.taken.half)).collect();
        let keys: Vec<(usize, usize, u32)> = keys
            .iter()
            .flat_map(|&(group, half)| sizes.iter().map(move |&size| (group, half, size)))
            .collect();
        let made = parallel.each(&keys, |&(group, half, size)| {
            let (mut laid, mut bytes) = (Vec::new(), 0);
            let ours = |stretch: &&Stretch<'_>| (stretch.taken.group, stretch.taken.half) == (group, half);
            for stretch in stretches.iter().filter(ours) {
                if bytes >= TRAIN_BYTES as u64 {
                    break;
                }
                let Ok((blocks, one)) = lay(stretch, &[size]) else { continue };
                bytes += blocks.uncompressed_bytes;
                laid.extend(one);
            }
            dictionary(laid.iter().flat_map(Laid::blocks))
        })?;
        Some(Self(keys.into_iter().zip(made).collect()))
    }

    /// The one that is not made from a stretch itself; if the state has but one stretch, the one that is, as for a
    /// small file of RocksDB.
    fn to_measure(&self, taken: &Taken<'_>, block_bytes: u32) -> &[u8] {
        let of_half = |half| self.0.get(&(taken.group, half, block_bytes));
        of_half(1 - taken.half).or_else(|| of_half(taken.half)).map_or(&[], Vec::as_slice)
    }
}

/// Works on many things at once.
struct Parallel<'p> {
    threads: usize,
    progress: &'p Progress,
}

impl Parallel<'_> {
    /// What `work` makes of each, in their order. None if it was stopped.
    fn each<T: Sync, R: Send + Sync>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Option<Vec<R>> {
        let places: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let worker = || {
            while !self.progress.stop.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let (Some(item), Some(place)) = (items.get(at), places.get(at)) else { return };
                place.get_or_init(|| work(item));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(worker);
            }
            worker();
        });
        // What was under way may have ended early.
        if self.progress.stop.load(Ordering::Relaxed) {
            return None;
        }
        places.into_iter().map(OnceLock::into_inner).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_states_leave_their_part_to_others() {
        let share = |left, available: &[usize]| {
            let order: Vec<usize> = (0..available.len()).collect();
            share_out(left, &order, available)
        };
        assert_eq!(share(10, &[100, 1, 100]), [5, 1, 4]);
        assert_eq!(share(10, &[3, 1, 2]), [3, 1, 2]);
        // Two each, or none: with one there is nothing else to make a dictionary from.
        assert_eq!(share(4, &[9, 9, 9]), [2, 2, 0]);
        assert_eq!(share(0, &[9, 9]), [0, 0]);
        assert!(share(9, &[]).is_empty());
        assert_eq!(share_out(2, &[1, 0], &[9, 9]), [0, 2]);
    }

    #[test]
    fn ranks_look_random() {
        let below = |limit: u64| (0..100_000).filter(|&slot| rank(17, slot) < limit).count();
        assert!((9_500..10_500).contains(&below(u64::MAX / 10)), "{}", below(u64::MAX / 10));
        assert!((49_000..51_000).contains(&below(u64::MAX / 2)), "{}", below(u64::MAX / 2));
        assert_ne!(rank(1, 2), rank(2, 1));
    }

    #[test]
    fn work_is_done_in_any_order_and_comes_back_in_its_own() {
        let progress = Progress::default();
        let items: Vec<usize> = (0..1000).collect();
        for threads in [1, 2, 8] {
            let parallel = Parallel { threads, progress: &progress };
            let doubled = parallel.each(&items, |n| n * 2).unwrap();
            assert!(doubled.iter().enumerate().all(|(n, twice)| *twice == 2 * n));
        }
        progress.stop.store(true, Ordering::Relaxed);
        assert_eq!(Parallel { threads: 2, progress: &progress }.each(&items, |n| *n), None);
    }
}
