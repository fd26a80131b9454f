//! A sorted run: blocks whose keys ascend, entry by entry.

use statescope_formats::rocksdb::data_block::{Difference, EntryCursor, EntryFault, Next};
use statescope_formats::rocksdb::internal_key::ValueType;

use super::live::LiveSink;

/// Hands out the blocks of one sorted run in order of their keys. A run is a table, or several that do
/// not overlap.
pub trait Blocks {
    /// Goes to the next block that can be read; false after the last one. What cannot be read, it
    /// steps over and remembers.
    fn advance(&mut self) -> bool;

    /// The bytes of the block's entries.
    fn entries(&self) -> &[u8];

    /// The sequence number that holds for all entries of the block's table, if it was ingested.
    fn global_sequence(&self) -> Option<u64>;

    /// The sequence number and type of an entry of these blocks, of what its key says.
    fn trailer(&self, stated: u64) -> u64 {
        self.global_sequence().map_or(stated, |sequence| sequence << 8 | (stated & 0xff))
    }

    /// The number by which rows name the block's table.
    fn table(&self) -> u32;

    /// Called once for each block, after its last entry, or after the last that is in range.
    /// `fault` says why the entries behind could not be read.
    fn done(&mut self, block: &BlockUse, fault: Option<EntryFault>);
}

/// What became of a block's entries. Raw bytes are those of user keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockUse {
    /// Raw bytes of entries before the range that was asked for.
    pub before: u64,
    /// Raw bytes of entries behind the range.
    pub behind: u64,
    /// Entries in range.
    pub entries: u64,
    /// User-key bytes of entries in range.
    pub key_bytes: u64,
    /// Value bytes of entries in range.
    pub value_bytes: u64,
    /// Tombstones among them.
    pub deletions: u64,
    /// Single-delete tombstones among them.
    pub single_deletions: u64,
    /// Merge operands among them.
    pub merges: u64,
    /// Entries of kinds whose value is not understood (blob indexes, wide columns).
    pub not_understood: u64,
    /// Values and operands that a newer value hides.
    pub shadowed: u64,
    /// Values and operands that a newer tombstone, of the key or of a range, deletes.
    pub deleted: u64,
    /// Raw bytes of all that is not part of a live row: tombstones, and what is shadowed or deleted.
    pub dead_bytes: u64,
    /// Raw bytes of live rows that the sink called expired.
    pub expired_bytes: u64,
}

impl BlockUse {
    /// Counts an entry that a sink was given, and knows to be replaced.
    pub(super) fn replaced(&mut self, sink: &impl LiveSink, key: &[u8], value: &[u8]) {
        if sink.is_replaced() {
            self.shadowed += 1;
            self.dead_bytes += (key.len() + value.len()) as u64;
        }
    }

    /// Raw bytes of entries in range.
    #[must_use]
    pub fn raw(&self) -> u64 {
        self.key_bytes + self.value_bytes
    }
}

/// A run with its position.
#[derive(Debug)]
pub(super) struct Run<B> {
    pub(super) blocks: B,
    pub(super) cursor: EntryCursor,
    pub(super) block: BlockUse,
    /// Where its keys were last found among the range tombstones.
    pub(super) near: usize,
    /// Whether the cursor is at an entry.
    pub(super) alive: bool,
}

/// What stepping to the next entry of a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next entry, which differs so from the one before it.
    To(Difference),
    /// There is none.
    End,
}

impl<B: Blocks> Run<B> {
    pub(super) fn new(blocks: B) -> Self {
        let cursor = EntryCursor::new();
        Self { blocks, cursor, block: BlockUse::default(), near: 0, alive: false }
    }

    /// Goes to the first entry of the first block.
    pub(super) fn start(&mut self) -> Step {
        if self.blocks.advance() {
            self.cursor.enter_block();
            self.alive = true;
            self.step()
        } else {
            self.alive = false;
            Step::End
        }
    }

    /// Steps to the next entry, into the next block if need be.
    #[inline]
    pub(super) fn step(&mut self) -> Step {
        match self.cursor.next(self.blocks.entries()) {
            Next::Key(difference) => Step::To(difference),
            Next::End | Next::Fault => self.next_block(),
        }
    }

    /// Leaves the block and goes to the first entry of the next.
    #[inline(never)]
    pub(super) fn next_block(&mut self) -> Step {
        loop {
            self.blocks.done(&self.block, self.cursor.fault());
            self.block = BlockUse::default();
            if !self.blocks.advance() {
                self.alive = false;
                return Step::End;
            }
            self.cursor.enter_block();
            if let Next::Key(difference) = self.cursor.next(self.blocks.entries()) {
                self.alive = true;
                return Step::To(difference);
            }
        }
    }

    /// Counts what is left of the block as behind the range, and leaves it.
    pub(super) fn leave(&mut self) {
        if !self.alive {
            return;
        }
        self.alive = false;
        loop {
            self.block.behind += self.raw_len();
            // A fault is told by those whom the entries concern.
            if matches!(self.cursor.next(self.blocks.entries()), Next::End | Next::Fault) {
                break;
            }
        }
        self.blocks.done(&self.block, None);
        self.block = BlockUse::default();
    }

    pub(super) fn raw_len(&self) -> u64 {
        (self.cursor.key().user_key().len() + self.cursor.value_len()) as u64
    }
}

/// The type of an entry whose trailer is given.
#[inline]
pub(super) fn value_type(trailer: u64) -> Option<ValueType> {
    ValueType::from_u8((trailer & 0xff) as u8)
}
