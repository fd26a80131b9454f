//! The entries of data blocks, one after the other, for those who read all of them.
//!
//! This is the innermost loop of a scan. [`EntryCursor`] rebuilds keys in place, tells for every
//! entry how many bytes its user key shares with the one before (which the prefix compression of
//! blocks gives nearly for free, and which makes merging and grouping cheap), and checks the order.
//! It holds no reference to the block, so that it can live beside the buffer.
//!
//! The encoding is that of [`super::block`]; keys are [internal keys](super::internal_key).

use super::internal_key::TRAILER_LEN;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind};

/// What [`EntryCursor::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The block has no more entries.
    End,
    /// A greater user key than the one before, which shares this many bytes with it.
    Key(usize),
    /// The same user key as before.
    Same,
    /// What follows cannot be read: [`EntryCursor::fault`] says why.
    Fault,
}

/// Why entries cannot be read on. What stands before is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryFault {
    /// Where in the block the entry begins.
    pub at: usize,
    /// Which rule is broken.
    pub rule: &'static str,
}

impl EntryFault {
    /// The error, for a block that lies at this offset of its file.
    #[must_use]
    pub fn error(&self, block_offset: u64) -> Error {
        let found = format!("an entry that breaks it, {} bytes into the block", self.at);
        Error::new(ErrorKind::Invalid { rule: self.rule, found }, block_offset)
    }
}

/// Goes over entries; lives longer than any block.
#[derive(Debug, Clone)]
pub struct EntryCursor {
    /// The key in its first bytes, then room, so that copies may be longer than needed.
    buffer: Vec<u8>,
    key_len: usize,
    position: usize,
    /// Where in the block the value begins; it ends at `position`.
    value_at: usize,
    /// How many bytes the next key may share for the ordinary case: fewer than the user key has; none at the
    /// begin of a block.
    ordinary: usize,
    /// Whether any entry was read.
    started: bool,
    fault: Option<EntryFault>,
}

impl Default for EntryCursor {
    fn default() -> Self {
        Self::new()
    }
}

/// How many bytes an entry shares with the key before, how many more its key has, and how many its value.
type Lengths = (usize, usize, usize);

/// How much is copied at once.
const CHUNK: usize = 16;
/// Longer keys than this are refused; RocksDB's own limit is 8 MiB for a user key.
const MAX_KEY_LEN: usize = 64 << 20;

impl EntryCursor {
    /// A cursor before the first entry of a first block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; 256],
            key_len: 0,
            position: 0,
            value_at: 0,
            ordinary: 0,
            started: false,
            fault: None,
        }
    }

    /// Goes to the begin of the block that follows the last one. The last key is kept, so that the
    /// first entry of the new block is compared with it.
    #[inline]
    pub fn enter_block(&mut self) {
        (self.position, self.value_at) = (0, 0);
        (self.ordinary, self.fault) = (0, None);
    }

    /// Why the last block cannot be read to its end.
    #[must_use]
    pub fn fault(&self) -> Option<EntryFault> {
        self.fault
    }

    /// The user key of the entry.
    #[must_use]
    #[inline]
    pub fn user_key(&self) -> &[u8] {
        self.buffer.get(..self.key_len.saturating_sub(TRAILER_LEN)).unwrap_or_default()
    }

    /// The length of the user key.
    #[must_use]
    #[inline]
    pub fn user_key_len(&self) -> usize {
        self.key_len.saturating_sub(TRAILER_LEN)
    }

    /// The user key's up to eight bytes from `from` on, as a big-endian number that is padded with
    /// zeros: of two keys that are equal before `from`, the smaller number tells the smaller key,
    /// unless they are equal.
    #[must_use]
    #[inline]
    pub fn window(&self, from: usize) -> u64 {
        let end = self.key_len.saturating_sub(TRAILER_LEN);
        let Some(bytes) = self.buffer.get(from..).and_then(<[u8]>::first_chunk::<8>) else { return 0 };
        let window = u64::from_be_bytes(*bytes);
        match end.saturating_sub(from) {
            0 => 0,
            n @ 1..8 => window & (u64::MAX << (64 - 8 * n)),
            _ => window,
        }
    }

    /// Sequence number and type, as the key's last eight bytes pack them.
    #[must_use]
    #[inline]
    pub fn trailer(&self) -> u64 {
        self.buffer
            .get(self.user_key_len()..)
            .and_then(<[u8]>::first_chunk::<TRAILER_LEN>)
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The value, given the block.
    #[must_use]
    #[inline]
    pub fn value<'a>(&self, entries: &'a [u8]) -> &'a [u8] {
        entries.get(self.value_at..self.position).unwrap_or_default()
    }

    /// The length of the value.
    #[must_use]
    #[inline]
    pub fn value_len(&self) -> usize {
        self.position.saturating_sub(self.value_at)
    }

    /// Steps to the next entry of the block whose entries are given, without restarts and what
    /// follows them ([`super::block::Block::entry_bytes`]). Behind a [`Next::Fault`] nothing of the block is
    /// known; the entries before stand.
    #[inline]
    pub fn next(&mut self, entries: &[u8]) -> Next {
        let rest = entries.get(self.position..).unwrap_or_default();
        // Nearly always three lengths of one byte.
        if let Some((&[shared, unshared, value_len], rest)) = rest.split_first_chunk::<3>()
            && (shared | unshared | value_len) < 0x80
        {
            let lengths = (usize::from(shared), usize::from(unshared), usize::from(value_len));
            return self.entry(lengths, rest, entries.len());
        }
        self.unusual_next(rest, entries.len())
    }

    /// An entry of which the lengths are known, and what follows these up to the end of the block's entries.
    #[inline]
    fn entry(&mut self, (shared, unshared, value_len): Lengths, rest: &[u8], block_len: usize) -> Next {
        let (Some(suffix), true) = (rest.get(..unshared), unshared.saturating_add(value_len) <= rest.len())
        else {
            return self.set_fault("an entry ends inside of its block");
        };
        // The ordinary case: behind the shared prefix, the first byte is greater than before, so the prefix
        // is neither longer nor out of order, and the key is another one.
        let ordinary = shared < self.ordinary
            && unshared > TRAILER_LEN
            && self.buffer.get(shared).is_some_and(|old| suffix.first().is_some_and(|new| old < new));
        let next = if ordinary {
            Next::Key(shared)
        } else {
            match self.compare(shared, suffix) {
                Ok(next) => next,
                Err(rule) => return self.set_fault(rule),
            }
        };
        self.key_len = shared + unshared;
        self.ordinary = self.key_len - TRAILER_LEN;
        self.value_at = block_len - rest.len() + unshared;
        self.position = self.value_at + value_len;
        // Copies of constant length are a few instructions; what they copy too much is not part of the key.
        if unshared <= CHUNK
            && let Some(from) = rest.first_chunk::<CHUNK>()
            && let Some(to) = self.buffer.get_mut(shared..).and_then(<[u8]>::first_chunk_mut::<CHUNK>)
        {
            *to = *from;
        } else {
            self.copy(shared, suffix);
        }
        next
    }

    /// Copies the end of a key, and makes room for it.
    #[inline(never)]
    fn copy(&mut self, shared: usize, suffix: &[u8]) {
        if self.buffer.len() < self.key_len + CHUNK {
            self.buffer.resize((self.key_len + CHUNK).next_power_of_two(), 0);
        }
        if let Some(to) = self.buffer.get_mut(shared..self.key_len) {
            to.copy_from_slice(suffix);
        }
    }

    /// The end of the block, and lengths of several bytes.
    #[cold]
    #[inline(never)]
    fn unusual_next(&mut self, rest: &[u8], block_len: usize) -> Next {
        if rest.is_empty() {
            return Next::End;
        }
        match long_header(rest) {
            Ok((lengths, rest)) => self.entry(lengths, rest, block_len),
            Err(rule) => self.set_fault(rule),
        }
    }

    #[cold]
    #[inline(never)]
    fn set_fault(&mut self, rule: &'static str) -> Next {
        self.fault = Some(EntryFault { at: self.position, rule });
        Next::Fault
    }

    /// Compares the new key with the one before: begins of blocks and restarts, where nothing is shared
    /// in the encoding, versions of one key, and whatever is wrong.
    #[inline(never)]
    fn compare(&mut self, shared: usize, suffix: &[u8]) -> Result<Next, &'static str> {
        // Also false at the begin of a block.
        if shared > 0 && (shared > self.key_len || self.position == 0) {
            return Err("a key shares no more bytes than the key before it has");
        }
        let key_len = shared + suffix.len();
        if key_len < TRAILER_LEN {
            return Err("an internal key has at least eight bytes");
        }
        if key_len > MAX_KEY_LEN {
            return Err("a key has at most 64 MiB");
        }
        if !self.started {
            self.started = true;
            return Ok(Next::Key(0));
        }
        let new_len = key_len - TRAILER_LEN;
        let old = self.user_key();
        let mut common = shared.min(new_len).min(old.len());
        if common == shared {
            let new_rest = suffix.get(..new_len - shared).unwrap_or_default();
            common += common_prefix(old.get(shared..).unwrap_or_default(), new_rest);
        }
        if common == new_len && common == old.len() {
            return if self.new_trailer(shared, suffix) < self.trailer() {
                Ok(Next::Same)
            } else {
                Err("versions of a key are ordered by descending sequence number")
            };
        }
        let byte = |at: usize| match at.checked_sub(shared) {
            Some(at) => suffix.get(at),
            None => self.buffer.get(at),
        };
        let ascending = common == old.len() || (common < new_len && old.get(common) < byte(common));
        if ascending { Ok(Next::Key(common)) } else { Err("keys of a table ascend") }
    }

    /// The trailer of a key that is not yet set.
    fn new_trailer(&self, shared: usize, suffix: &[u8]) -> u64 {
        let key_len = shared + suffix.len();
        let mut bytes = [0; TRAILER_LEN];
        for (at, to) in (key_len.saturating_sub(TRAILER_LEN)..).zip(&mut bytes) {
            let byte = at.checked_sub(shared).map_or_else(|| self.buffer.get(at), |at| suffix.get(at));
            *to = byte.copied().unwrap_or_default();
        }
        u64::from_le_bytes(bytes)
    }
}

/// Lengths of any size, and what follows them.
fn long_header(rest: &[u8]) -> Result<(Lengths, &[u8]), &'static str> {
    let mut cursor = Cursor::new(rest);
    let mut length = || {
        let length = cursor.varint32().map_err(|_| "lengths are varints of 32 bits")?;
        usize::try_from(length).map_err(|_| "a length fits into memory")
    };
    let lengths = (length()?, length()?, length()?);
    Ok((lengths, cursor.rest()))
}

/// How many bytes two strings have in common at their begin.
#[must_use]
#[inline]
pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let mut common = 0;
    for (x, y) in a_words.iter().zip(b_words) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return common + difference.trailing_zeros() as usize / 8;
        }
        common += 8;
    }
    let rest = |s| <[u8]>::get(s, common..).unwrap_or_default();
    common + rest(a).iter().zip(rest(b)).take_while(|(x, y)| x == y).count()
}
