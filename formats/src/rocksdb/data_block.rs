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
    /// An entry, and in what its user key differs from the one before.
    Key(Difference),
    /// What follows cannot be read: [`EntryCursor::fault`] says why.
    Fault,
}

/// In what a key differs from another one, which is smaller or the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// How many bytes both begin with. All of them, if they are the same.
    pub shared: usize,
    /// The two bytes of the greater key behind those, as [`CursorKey::pair`].
    pub pair: u16,
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
    place: Place,
    /// Whether any entry was read.
    started: bool,
    fault: Option<EntryFault>,
}

/// Where a cursor is. Kept apart from what has an address, so that loops have it in registers.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Of the user key; eight more bytes belong to the internal key once there is one.
    len: usize,
    /// Behind the entry.
    position: usize,
    /// Of the value, which ends at `position`.
    value_len: usize,
}

/// The key of the entry that a cursor is at.
#[derive(Debug, Clone, Copy)]
pub struct CursorKey<'a> {
    /// With the trailer, so that there is room for a word behind each byte of the user key.
    internal: &'a [u8],
}

impl<'a> CursorKey<'a> {
    #[inline]
    fn new(buffer: &'a [u8], len: usize) -> Self {
        Self { internal: buffer.get(..len + TRAILER_LEN).unwrap_or_default() }
    }

    /// The user key.
    #[must_use]
    #[inline]
    pub fn user_key(&self) -> &'a [u8] {
        self.internal.split_last_chunk::<TRAILER_LEN>().map_or(&[], |(user_key, _)| user_key)
    }

    /// Sequence number and type, as the key's last eight bytes pack them.
    #[must_use]
    #[inline]
    pub fn trailer(&self) -> u64 {
        self.internal.last_chunk::<TRAILER_LEN>().map_or(0, |trailer| u64::from_le_bytes(*trailer))
    }

    /// The user key's two bytes from `from` on, as a big-endian number that is padded with zeros.
    #[must_use]
    #[inline]
    pub fn pair(&self, from: usize) -> u16 {
        let Some(bytes) = self.internal.get(from..).and_then(<[u8]>::first_chunk::<2>) else { return 0 };
        let mask = match self.user_key().len().saturating_sub(from) {
            0 => 0,
            1 => 0xff00,
            _ => 0xffff,
        };
        u16::from_be_bytes(*bytes) & mask
    }

    /// In what it differs from a smaller key that it shares so many bytes with.
    #[must_use]
    #[inline]
    pub fn difference(&self, shared: usize) -> Difference {
        Difference { shared, pair: self.pair(shared) }
    }

    /// The order of two user keys that share at least so many bytes, and how many these are; `None` for the order
    /// if one of the keys begins with the other, or they are equal.
    #[must_use]
    #[inline]
    pub fn compare(&self, other: &Self, shared: usize) -> (Option<Ordering>, usize) {
        let len = self.user_key().len().min(other.user_key().len());
        let mut at = shared;
        while at < len {
            let word = |of: &Self| of.internal.get(at..).and_then(<[u8]>::first_chunk::<8>).copied();
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
}

impl Place {
    /// The next entry in the ordinary case: three lengths of one byte, and a short new part of the key whose first
    /// byte is greater than before, so that the prefix is neither longer nor out of order, and the key is another one.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the innermost loop of a scan")]
    fn ordinary_next<'e>(&mut self, entries: &'e [u8], buffer: &mut [u8]) -> Option<(Difference, &'e [u8])> {
        let (&[shared, unshared, value_len], rest) =
            entries.get(self.position..)?.split_first_chunk::<3>()?;
        let suffix = rest.first_chunk::<CHUNK>()?;
        let (shared, unshared, value_len) =
            (usize::from(shared), usize::from(unshared), usize::from(value_len));
        if (shared | value_len) < 0x80
            && (TRAILER_LEN + 1..=CHUNK).contains(&unshared)
            // At the begin of a block nothing is shared.
            && self.position != 0
            && shared < self.len
            && let Some(value) = rest.get(unshared..unshared + value_len)
            && let Some(to) = buffer.get_mut(shared..).and_then(<[u8]>::first_chunk_mut::<CHUNK>)
            && to[0] < suffix[0]
        {
            let mask = if unshared == TRAILER_LEN + 1 { 0xff00 } else { 0xffff };
            let pair = u16::from_be_bytes(*suffix.first_chunk::<2>()?) & mask;
            // A copy of constant length is a few instructions; what it copies too much is not part of the key.
            *to = *suffix;
            self.len = shared + unshared - TRAILER_LEN;
            self.position += 3 + unshared + value_len;
            self.value_len = value_len;
            return Some((Difference { shared, pair }, value));
        }
        None
    }

    #[inline]
    fn value<'a>(&self, entries: &'a [u8]) -> &'a [u8] {
        entries.get(self.position.wrapping_sub(self.value_len)..self.position).unwrap_or_default()
    }
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
        Self { buffer: vec![0; 256], place: Place::default(), started: false, fault: None }
    }

    /// Goes to the begin of the block that follows the last one. The last key is kept, so that the
    /// first entry of the new block is compared with it.
    #[inline]
    pub fn enter_block(&mut self) {
        self.place = Place { len: self.place.len, ..Place::default() };
        self.fault = None;
    }

    /// Why the last block cannot be read to its end.
    #[must_use]
    pub fn fault(&self) -> Option<EntryFault> {
        self.fault
    }

    /// The key of the entry.
    #[must_use]
    #[inline]
    pub fn key(&self) -> CursorKey<'_> {
        CursorKey::new(&self.buffer, self.place.len)
    }

    /// The value of the entry, given the block.
    #[must_use]
    #[inline]
    pub fn value<'a>(&self, entries: &'a [u8]) -> &'a [u8] {
        self.place.value(entries)
    }

    /// The length of the value.
    #[must_use]
    #[inline]
    pub fn value_len(&self) -> usize {
        self.place.value_len
    }

    /// Steps to the next entry of the block whose entries are given, without restarts and what
    /// follows them ([`super::block::Block::entry_bytes`]). Behind a [`Next::Fault`] nothing of the block is
    /// known; the entries before stand.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the innermost loop of a scan")]
    pub fn next(&mut self, entries: &[u8]) -> Next {
        match self.place.ordinary_next(entries, &mut self.buffer) {
            Some((difference, _)) => Next::Key(difference),
            None => self.unusual_next(entries),
        }
    }

    /// Hands out the entry that it is at, with key and value and in what it differs from the one before, and those
    /// behind it as [`next`](Self::next) finds them, until one is not taken: the cursor is at that one then.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the innermost loop of a scan")]
    pub fn take_while(
        &mut self,
        mut difference: Difference,
        entries: &[u8],
        mut take: impl FnMut(Difference, CursorKey<'_>, &[u8]) -> bool,
    ) -> Next {
        let mut place = self.place;
        let mut value = place.value(entries);
        // One call, so that it is compiled into the loop.
        while take(difference, CursorKey::new(&self.buffer, place.len), value) {
            if let Some(next) = place.ordinary_next(entries, &mut self.buffer) {
                (difference, value) = next;
                continue;
            }
            self.place = place;
            match self.unusual_next(entries) {
                Next::Key(next) => difference = next,
                last => return last,
            }
            place = self.place;
            value = place.value(entries);
        }
        self.place = place;
        Next::Key(difference)
    }

    /// The end of the block, begins of blocks and restarts, where nothing is shared in the encoding, long keys and
    /// values, versions of one key, and whatever is wrong.
    #[inline(never)]
    fn unusual_next(&mut self, entries: &[u8]) -> Next {
        let rest = entries.get(self.place.position..).unwrap_or_default();
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
            Ok(common) => {
                let position = entries.len() - rest.len() + unshared + value_len;
                self.place = Place { len: shared + unshared - TRAILER_LEN, position, value_len };
                self.copy(shared, suffix);
                Next::Key(self.key().difference(common))
            }
            Err(rule) => self.set_fault(rule),
        }
    }

    /// Copies the end of a key, and makes room for it.
    fn copy(&mut self, shared: usize, suffix: &[u8]) {
        let len = self.place.len + TRAILER_LEN;
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
        self.fault = Some(EntryFault { at: self.place.position, rule });
        Next::Fault
    }

    /// Compares the new key with the one before: how many bytes both user keys begin with.
    fn compare_with_last(&mut self, shared: usize, suffix: &[u8]) -> Result<usize, &'static str> {
        // Also false at the begin of a block.
        if shared > 0 && (shared > self.place.len + TRAILER_LEN || self.place.position == 0) {
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
            return Ok(0);
        }
        let new_len = key_len - TRAILER_LEN;
        let old = self.key().user_key();
        let mut common = shared.min(new_len).min(old.len());
        if common == shared {
            let new_rest = suffix.get(..new_len - shared).unwrap_or_default();
            common += common_prefix(old.get(shared..).unwrap_or_default(), new_rest);
        }
        if common == new_len && common == old.len() {
            return if self.new_trailer(shared, suffix) < self.key().trailer() {
                Ok(common)
            } else {
                Err("versions of a key are ordered by descending sequence number")
            };
        }
        let byte = |at: usize| match at.checked_sub(shared) {
            Some(at) => suffix.get(at),
            None => self.buffer.get(at),
        };
        let ascending = common == old.len() || (common < new_len && old.get(common) < byte(common));
        if ascending { Ok(common) } else { Err("keys of a table ascend") }
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
                let byte = |at| user_key.get(at).copied().unwrap_or(0);
                let pair = |from| u16::from_be_bytes([byte(from), byte(from + 1)]);
                let difference = Difference { shared: common, pair: pair(common) };
                assert_eq!(cursor.next(block), Next::Key(difference));
                let seen = cursor.key();
                assert_eq!((seen.user_key(), cursor.value(block)), (user_key, &**value));
                assert_eq!(cursor.value_len(), value.len());
                assert_eq!(seen.trailer().to_le_bytes(), trailer);
                (0..=user_key.len()).for_each(|from| assert_eq!(seen.pair(from), pair(from)));
                before = Some(user_key.to_vec());
            }
            assert_eq!(cursor.next(block), if whole { Next::End } else { Next::Fault });
            assert_eq!(cursor.fault().is_some(), !whole);
            if !whole {
                return;
            }
        }
    }

    /// Walks over blocks step by step and in runs of `take`, and sees the same.
    fn compare_taking(blocks: &[Vec<u8>], take: &[usize]) {
        let (mut steps, mut runs, mut lengths) =
            (EntryCursor::new(), EntryCursor::new(), take.iter().cycle());
        for block in blocks {
            steps.enter_block();
            runs.enter_block();
            let mut next = steps.next(block);
            assert_eq!(runs.next(block), next);
            while let Next::Key(first) = next {
                let mut left = *lengths.next().unwrap();
                let last = runs.take_while(first, block, |difference, key, value| {
                    assert_eq!(next, Next::Key(difference));
                    let expected = (steps.key().user_key(), steps.key().trailer(), steps.value(block));
                    assert_eq!((key.user_key(), key.trailer(), value), expected);
                    let taken = left > 0;
                    if taken {
                        next = steps.next(block);
                        left -= 1;
                    }
                    taken
                });
                assert_eq!(last, next);
                assert_eq!((runs.fault(), runs.value_len()), (steps.fault(), steps.value_len()));
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
        fn as_a_naive_one(
            entries in entries(),
            block_len in 1usize..30,
            restart_interval in 1usize..20,
            take in vec(1usize..9, 1..5),
        ) {
            let blocks = entries.chunks(block_len).map(|chunk| encode(chunk, restart_interval));
            let blocks: Vec<_> = blocks.collect();
            compare(&blocks);
            compare_taking(&blocks, &take);
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
            let cut = [block[..cut].to_vec(), block[cut..].to_vec()];
            compare(&[block]);
            compare(&cut);
            compare_taking(&cut, &[3, 1]);
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
            let (order, shared) = at(&a).key().compare(&at(&b).key(), common.saturating_sub(less));
            let prefix = common == a.len() || common == b.len();
            prop_assert_eq!((order, shared), ((!prefix).then(|| a.cmp(&b)), common));
        }
    }
}
