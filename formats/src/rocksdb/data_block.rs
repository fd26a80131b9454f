//! The entries of data blocks, one after the other, for those who read all of them.
//!
//! This is the innermost loop of a scan. [`EntryCursor`] rebuilds keys in place, tells for every
//! entry how many bytes its user key shares with the one before (which the prefix compression of
//! blocks gives nearly for free, and which makes merging and grouping cheap), and checks the order.
//! It holds no reference to the block, so that it can live beside the buffer.
//!
//! The encoding is that of [`super::block`]; keys are [internal keys](super::internal_key).

use std::cmp::Ordering;

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
    /// Of the user key; eight more bytes belong to the internal key once there is one.
    len: usize,
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
const CHUNK: usize = 32;
/// Longer keys than this are refused; RocksDB's own limit is 8 MiB for a user key.
const MAX_KEY_LEN: usize = 64 << 20;

impl EntryCursor {
    /// A cursor before the first entry of a first block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; 256],
            len: 0,
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
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The length of the user key.
    #[must_use]
    #[inline]
    pub fn user_key_len(&self) -> usize {
        self.len
    }

    /// The user key's two bytes from `from` on, as a big-endian number that is padded with zeros.
    #[must_use]
    #[inline]
    pub fn pair(&self, from: usize) -> u16 {
        let Some(bytes) = self.buffer.get(from..).and_then(<[u8]>::first_chunk::<2>) else { return 0 };
        let mask = match self.len.wrapping_sub(from) {
            0 => 0,
            1 => 0xff00,
            _ => 0xffff,
        };
        u16::from_be_bytes(*bytes) & mask
    }

    /// The order of two user keys that share at least so many bytes, and how many these are; `None` for the order
    /// if one of the keys begins with the other, or they are equal.
    #[must_use]
    #[inline]
    pub fn compare(&self, other: &Self, shared: usize) -> (Option<Ordering>, usize) {
        let len = self.len.min(other.len);
        let mut at = shared;
        while at < len {
            // Behind each key there is room for a word.
            let word = |of: &Self| of.buffer.get(at..).and_then(<[u8]>::first_chunk::<8>).copied();
            let (Some(x), Some(y)) = (word(self), word(other)) else { break };
            let (x, y) = (u64::from_be_bytes(x), u64::from_be_bytes(y));
            if x != y {
                let common = at + (x ^ y).leading_zeros() as usize / 8;
                return if common < len { (Some(x.cmp(&y)), common) } else { (None, len) };
            }
            at += 8;
        }
        (None, len)
    }

    /// Sequence number and type, as the key's last eight bytes pack them.
    #[must_use]
    #[inline]
    pub fn trailer(&self) -> u64 {
        self.buffer
            .get(self.len..)
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
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the innermost loop of a scan")]
    pub fn next(&mut self, entries: &[u8]) -> Next {
        // The ordinary case: three lengths of one byte, and a short new part of the key whose first byte is greater
        // than before, so that the prefix is neither longer nor out of order, and the key is another one.
        if let Some(rest) = entries.get(self.position..)
            && let Some((&[shared, unshared, value_len], suffix)) = rest.split_first_chunk::<3>()
            && let Some(suffix) = suffix.first_chunk::<CHUNK>()
        {
            let (shared, unshared, value_len) =
                (usize::from(shared), usize::from(unshared), usize::from(value_len));
            if (shared | value_len) < 0x80
                && (TRAILER_LEN + 1..=CHUNK).contains(&unshared)
                && shared < self.ordinary
                && unshared + value_len <= rest.len() - 3
                && let Some(to) = self.buffer.get_mut(shared..).and_then(<[u8]>::first_chunk_mut::<CHUNK>)
                && to[0] < suffix[0]
            {
                // A copy of constant length is a few instructions; what it copies too much is not part of the key.
                *to = *suffix;
                self.len = shared + unshared - TRAILER_LEN;
                self.ordinary = self.len;
                self.value_at = self.position + 3 + unshared;
                self.position = self.value_at + value_len;
                return Next::Key(shared);
            }
        }
        self.unusual_next(entries)
    }

    /// The end of the block, begins of blocks and restarts, where nothing is shared in the encoding, long keys and
    /// values, versions of one key, and whatever is wrong.
    #[inline(never)]
    fn unusual_next(&mut self, entries: &[u8]) -> Next {
        let rest = entries.get(self.position..).unwrap_or_default();
        let (lengths, rest) = match *rest {
            [] => return Next::End,
            [shared, unshared, value_len, ref rest @ ..] if (shared | unshared | value_len) < 0x80 => {
                ((usize::from(shared), usize::from(unshared), usize::from(value_len)), rest)
            }
            _ => match long_header(rest) {
                Ok(header) => header,
                Err(rule) => return self.set_fault(rule),
            },
        };
        let (shared, unshared, value_len) = lengths;
        let (Some(suffix), true) = (rest.get(..unshared), unshared.saturating_add(value_len) <= rest.len())
        else {
            return self.set_fault("an entry ends inside of its block");
        };
        match self.compare_with_last(shared, suffix) {
            Ok(next) => {
                self.len = shared + unshared - TRAILER_LEN;
                self.ordinary = self.len;
                self.value_at = entries.len() - rest.len() + unshared;
                self.position = self.value_at + value_len;
                self.copy(shared, suffix);
                next
            }
            Err(rule) => self.set_fault(rule),
        }
    }

    /// Copies the end of a key, and makes room for it.
    fn copy(&mut self, shared: usize, suffix: &[u8]) {
        let len = self.len + TRAILER_LEN;
        if self.buffer.len() < len + CHUNK {
            self.buffer.resize((len + CHUNK).next_power_of_two(), 0);
        }
        if let Some(to) = self.buffer.get_mut(shared..len) {
            to.copy_from_slice(suffix);
        }
    }

    #[cold]
    #[inline(never)]
    fn set_fault(&mut self, rule: &'static str) -> Next {
        self.fault = Some(EntryFault { at: self.position, rule });
        Next::Fault
    }

    /// Compares the new key with the one before.
    fn compare_with_last(&mut self, shared: usize, suffix: &[u8]) -> Result<Next, &'static str> {
        // Also false at the begin of a block.
        if shared > 0 && (shared > self.len + TRAILER_LEN || self.position == 0) {
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
    let len = a.len().min(b.len());
    let (a, b) = (a.get(..len).unwrap_or_default(), b.get(..len).unwrap_or_default());
    let different = |x: &[u8; 8], y: &[u8; 8]| {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        (difference != 0).then(|| difference.trailing_zeros() as usize / 8)
    };
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    for (at, (x, y)) in a_words.iter().zip(b_words).enumerate() {
        if let Some(more) = different(x, y) {
            return 8 * at + more;
        }
    }
    match (a.last_chunk(), b.last_chunk()) {
        // What overlaps with the last word is equal.
        (Some(x), Some(y)) => different(x, y).map_or(len, |more| len - 8 + more),
        _ => a.iter().zip(b).take_while(|(x, y)| x == y).count(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::rocksdb::internal_key::{InternalKeyBuf, ValueType};

    fn varint(out: &mut Vec<u8>, mut value: usize) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    /// Entries as RocksDB's `BlockBuilder` writes them: whole keys at restarts, which are every so many.
    fn encode(entries: &[(InternalKeyBuf, Vec<u8>)], restart_interval: usize) -> Vec<u8> {
        let (mut out, mut before) = (Vec::new(), Vec::new());
        for (at, (key, value)) in entries.iter().enumerate() {
            let key = [&*key.user_key, &(key.sequence << 8 | key.value_type as u64).to_le_bytes()].concat();
            let shared = if at % restart_interval == 0 { 0 } else { naive_common(&before, &key) };
            [shared, key.len() - shared, value.len()].into_iter().for_each(|n| varint(&mut out, n));
            out.extend(&key[shared..]);
            out.extend(value);
            before = key;
        }
        out
    }

    fn naive_common(a: &[u8], b: &[u8]) -> usize {
        a.iter().zip(b).take_while(|(x, y)| x == y).count()
    }

    type Pair = (Vec<u8>, Vec<u8>);

    /// Decodes as the format says, with vectors: keys and values, and whether all is well up to the end.
    fn naive(entries: &[u8], last: &mut Option<Vec<u8>>) -> (Vec<Pair>, bool) {
        let (mut found, mut rest) = (Vec::new(), entries);
        let mut first = true;
        while !rest.is_empty() {
            let Ok(((shared, unshared, value_len), behind)) = long_header(rest) else {
                return (found, false);
            };
            let before = last.clone().unwrap_or_default();
            if unshared + value_len > behind.len() || shared > if first { 0 } else { before.len() } {
                return (found, false);
            }
            let key = [&before[..shared], &behind[..unshared]].concat();
            let user = |key: &[u8]| key.len().checked_sub(TRAILER_LEN);
            let Some(len) = user(&key) else { return (found, false) };
            let trailer = |key: &[u8]| u64::from_le_bytes(*key.last_chunk().unwrap());
            if let Some(before_len) = user(&before).filter(|_| last.is_some()) {
                let order = before[..before_len].cmp(&key[..len]).then(trailer(&key).cmp(&trailer(&before)));
                if order != Ordering::Less {
                    return (found, false);
                }
            }
            found.push((key.clone(), behind[unshared..unshared + value_len].to_vec()));
            (*last, rest, first) = (Some(key), &behind[unshared + value_len..], false);
        }
        (found, true)
    }

    /// Walks over blocks that follow one another, and holds what is seen against the naive view.
    fn compare(blocks: &[Vec<u8>]) {
        let (mut cursor, mut last) = (EntryCursor::new(), None);
        let mut before: Option<Vec<u8>> = None;
        for block in blocks {
            let (expected, whole) = naive(block, &mut last);
            cursor.enter_block();
            for (key, value) in &expected {
                let (user_key, trailer) = key.split_at(key.len() - TRAILER_LEN);
                let common = before.as_ref().map_or(0, |before| naive_common(before, user_key));
                let same = before.as_deref() == Some(user_key);
                let next = if same { Next::Same } else { Next::Key(common) };
                assert_eq!(cursor.next(block), next);
                assert_eq!((cursor.user_key(), cursor.value(block)), (user_key, &**value));
                assert_eq!((cursor.user_key_len(), cursor.value_len()), (user_key.len(), value.len()));
                assert_eq!(cursor.trailer().to_le_bytes(), trailer);
                for from in 0..=user_key.len() {
                    let byte = |at| user_key.get(at).copied().unwrap_or(0);
                    assert_eq!(cursor.pair(from).to_be_bytes(), [byte(from), byte(from + 1)]);
                }
                before = Some(user_key.to_vec());
            }
            assert_eq!(cursor.next(block), if whole { Next::End } else { Next::Fault });
            assert_eq!(cursor.fault().is_some(), !whole);
            if !whole {
                return;
            }
        }
    }

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let prefix = prop_oneof![Just(vec![]), Just(vec![7; 40]), Just(vec![9; 130]), Just(vec![9; 300])];
        let tail = vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..5);
        (prefix, tail).prop_map(|(prefix, tail)| [prefix, tail].concat())
    }

    fn entries() -> impl Strategy<Value = Vec<(InternalKeyBuf, Vec<u8>)>> {
        let key = (keys(), 1u64..4).prop_map(|(user_key, sequence)| InternalKeyBuf {
            user_key,
            sequence,
            value_type: ValueType::Value,
        });
        let value = prop_oneof![8 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..300)];
        vec((key, value), 0..60).prop_map(|mut entries| {
            entries.sort_by(|(a, _), (b, _)| a.user_key.cmp(&b.user_key).then(b.sequence.cmp(&a.sequence)));
            entries.dedup_by(|(a, _), (b, _)| a == b);
            entries
        })
    }

    proptest! {
        #[test]
        fn as_a_naive_one(entries in entries(), block_len in 1usize..30, restart_interval in 1usize..20) {
            compare(&entries.chunks(block_len).map(|chunk| encode(chunk, restart_interval)).collect::<Vec<_>>());
        }

        #[test]
        fn as_a_naive_one_where_bytes_are_wrong(
            entries in entries(),
            restart_interval in 1usize..20,
            wrong in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut block = encode(&entries, restart_interval);
            for (at, byte) in wrong {
                if !block.is_empty() {
                    let at = at.index(block.len());
                    block[at] = byte;
                }
            }
            let cut = cut.index(block.len() + 1);
            compare(&[block.clone()]);
            compare(&[block[..cut].to_vec(), block[cut..].to_vec()]);
        }

        #[test]
        fn keys_are_compared_as_slices(a in keys(), b in keys(), less in 0usize..400) {
            let at = |key: &[u8]| {
                let mut cursor = EntryCursor::new();
                let key = InternalKeyBuf { user_key: key.to_vec(), sequence: 1, value_type: ValueType::Value };
                cursor.next(&encode(&[(key, vec![])], 1));
                cursor
            };
            let common = naive_common(&a, &b);
            prop_assert_eq!(common_prefix(&a, &b), common);
            let (order, shared) = at(&a).compare(&at(&b), common.saturating_sub(less));
            let prefix = common == a.len() || common == b.len();
            prop_assert_eq!((order, shared), ((!prefix).then(|| a.cmp(&b)), common));
        }
    }
}
