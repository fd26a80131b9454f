//! Streams of keyed state with an offset for each key group: canonical savepoints, checkpoints of the heap backend, full
//! checkpoints of RocksDB before 1.16, and timers in raw keyed state.
//!
//! ```text
//! stream       meta data (KeyedBackendMeta) | one part for each key group, at the offset that the handle records
//! canonical    u16 state | n × { i32 k, k bytes key, i32 v, v bytes value } | u16 state | … | u16 FFFF
//!              key: as RocksDB has it; bit 7 of its first byte says that a u16 follows behind the value
//! heap         i32 key group | n × { u16 state | i32 m | m × { namespace, key, state } or m × timer }
//! raw timers   F1CD859F | i32 2 | i32 n | n × { service | i32 m | m × timer | i32 p | p × timer }
//!              timer: key, namespace, i64 timestamp (heap: i64 flipped timestamp, key, namespace)
//! ```
//!
//! Offset 0 says that a key group of a canonical stream is empty; in raw keyed state, -1 does. Where the meta data says so,
//! each key group of a canonical stream, and each state of each key group of a heap stream, is a Snappy stream of its own
//! ([`SnappyFrames`]).
//!
//! All decoders here are fed with pieces: [`KeyGroupRows::next`] says what stands at the begin of the bytes, or how many
//! it needs. They hand out **rows as RocksDB has them**, whatever the backend: the map of a heap is a row for each of its
//! entries, its list one row with elements behind one another, its timer a row without a value. This is also what
//! Flink makes of it in a canonical savepoint.
//!
//! Sources: `FullSnapshotAsyncWriter`, `FullSnapshotRestoreOperation`, `FullSnapshotUtil`, `HeapSnapshotStrategy`,
//! `StateTableByKeyGroupReaders`, `HeapPriorityQueueSnapshotRestoreWrapper`, `KeyGroupPartitioner`,
//! `InternalTimersSnapshotReaderWriters` of Flink 1.13 to 2.3.

mod canonical;
mod heap;
mod snappy;
mod timers;

use std::ops::Range;

pub use canonical::CanonicalGroup;
pub(in crate::flink) use heap::{DELIMITER, EntryLayout, EntryValues};
pub use heap::{HeapGroup, HeapLayout};
pub use snappy::{Frame, SnappyFrames};
pub use timers::{TimerGroup, timer_backend};

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::flink::walk::BadValue;

/// What a decoder of a key group found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next<'b> {
    /// What it is.
    pub step: Step<'b>,
    /// How many bytes it took: the next call begins behind them.
    pub taken: usize,
}

/// What stands next in a key group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'b> {
    /// So many bytes are needed from here on, at least; what is there is not enough.
    NeedBytes(usize),
    /// A part of something that takes several steps was read.
    Going,
    /// Rows of this state follow.
    State {
        /// Its index among the states of the meta data; of raw timers, [`TimerGroup`] says.
        state: usize,
        /// How many entries there are, where that is written in front of them. A map is one.
        entries: Option<u32>,
    },
    /// A row.
    Row {
        /// Composite key, as RocksDB has it.
        key: &'b [u8],
        /// Value, as RocksDB has it.
        value: &'b [u8],
    },
    /// From here on nothing can be known: what stands there has no length, and cannot be walked.
    Stopped(Stopped),
    /// The key group ends here.
    End,
}

/// Why the rest of a key group cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// The state.
    pub state: usize,
    /// How many of its entries were not read, that one included.
    pub entries: u32,
    /// What cannot be walked.
    pub part: Part,
    /// Why: an index of [`Walker::stops`](crate::flink::walk::Walker::stops) of that part's walker; `None` where the state
    /// is not described.
    pub stop: Option<usize>,
}

/// A part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The key.
    Key,
    /// The namespace.
    Namespace,
    /// The key of a map's entry.
    UserKey,
    /// The value, or the element of a list.
    Value,
}

impl Part {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Namespace => "namespace",
            Self::UserKey => "user key",
            Self::Value => "value",
        }
    }
}

/// Hands out the rows of one key group.
pub trait KeyGroupRows {
    /// What stands at the begin of `bytes`, which follow what was taken before. `whole` says that nothing follows them.
    ///
    /// # Errors
    /// What contradicts the format, and an end too early. Offsets count from where the decoder was told that the key group
    /// begins; of compressed ones, they are of the uncompressed bytes.
    fn next<'b>(&'b mut self, bytes: &'b [u8], whole: bool) -> Result<Next<'b>>;

    /// After [`Step::Stopped`]: where another state begins in the bytes from there on to the end of the key group. It is
    /// the first place from which everything else can be read. `None` if there is none, or it cannot be known.
    fn find_state(&mut self, bytes: &[u8]) -> Option<usize>;

    /// After [`Step::Stopped`]: hands out key and value of the entries that are left of the state, which are all of `bytes`,
    /// and says so; unless it is not certain where each of them begins.
    fn divide(&mut self, bytes: &[u8], row: &mut dyn FnMut(&[u8], &[u8])) -> bool;

    /// After [`Step::Stopped`]: whether that state is the last one of the key group.
    fn is_last(&self) -> bool;

    /// After [`Step::Stopped`]: goes on so many bytes further, where another state begins.
    fn resume(&mut self, skipped: u64);
}

/// How offsets say that a key group has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyGroup {
    /// 0, as meta data stands there (and anything negative).
    Zero,
    /// -1; 0 is an offset like any other.
    Negative,
}

/// Where the key groups of a stream of so many bytes lie, in the order of the offsets: each ends where the next one begins.
/// `None` of an empty one; an error where an offset lies behind the end.
#[must_use]
pub fn extents(offsets: &[i64], size: u64, empty: EmptyGroup) -> Vec<Option<Result<Range<u64>>>> {
    let begin = |offset: i64| {
        let begin = u64::try_from(offset).ok()?;
        (begin > 0 || empty == EmptyGroup::Negative).then_some(begin)
    };
    let mut sorted: Vec<(u64, usize)> =
        offsets.iter().enumerate().filter_map(|(at, offset)| Some((begin(*offset)?, at))).collect();
    sorted.sort_unstable();
    let mut all: Vec<Option<Result<Range<u64>>>> = Vec::new();
    all.resize_with(offsets.len(), || None);
    for (index, (start, at)) in sorted.iter().enumerate() {
        let end = sorted.get(index + 1).map_or(size, |(next, _)| (*next).min(size));
        let extent = if *start > size {
            let rule = "the offset of a key group lies within its stream";
            Err(Error::invalid(rule, start.to_string(), size))
        } else {
            Ok(*start..end)
        };
        if let Some(place) = all.get_mut(*at) {
            *place = Some(extent);
        }
    }
    all
}

/// The bytes in front of a decoder, and where they stand.
#[derive(Debug, Clone, Copy)]
struct Window<'b> {
    bytes: &'b [u8],
    whole: bool,
    /// The offset of the first byte.
    at: u64,
}

/// What a decoder could do with a [`Window`].
#[derive(Debug)]
enum Halt {
    /// So many bytes are needed.
    Need(usize),
    Bad(Error),
}

type Taking<T> = std::result::Result<T, Halt>;

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

impl<'b> Window<'b> {
    fn cursor(&self) -> Cursor<'b> {
        Cursor::at(self.bytes, self.at)
    }

    /// The first so many bytes.
    fn first(&self, length: usize) -> Taking<&'b [u8]> {
        match self.bytes.get(..length) {
            Some(bytes) => Ok(bytes),
            None => Err(self.need(length, self.bytes.len())),
        }
    }

    /// Asks for so many bytes; `met` is how far those that are there go.
    fn need(&self, length: usize, met: usize) -> Halt {
        if !self.whole {
            return Halt::Need(length);
        }
        let remaining = self.bytes.len() as u64;
        let kind = ErrorKind::UnexpectedEnd { needed: length as u64, remaining };
        Halt::Bad(Error::new(kind, self.at.saturating_add(met as u64)))
    }

    /// What a parser says that may have met the end of the bytes: then more are needed.
    fn cut(&self, error: Error) -> Halt {
        let may_be_cut = matches!(error.kind(), ErrorKind::UnexpectedEnd { .. } | ErrorKind::BadCount { .. });
        if may_be_cut && !self.whole {
            return Halt::Need(self.bytes.len().saturating_mul(2).max(64));
        }
        Halt::Bad(error)
    }

    fn i32(&self, from: usize) -> Taking<i32> {
        let bytes = self.bytes.get(from..).and_then(<[u8]>::first_chunk);
        bytes
            .map(|bytes| i32::from_be_bytes(*bytes))
            .ok_or_else(|| self.need(from.saturating_add(size_of::<i32>()), from.min(self.bytes.len())))
    }

    /// A length or count that is not negative.
    fn length(&self, what: &'static str, from: usize) -> Taking<usize> {
        let found = self.i32(from)?;
        usize::try_from(found).map_err(|_| {
            let kind = ErrorKind::BadCount { what, found: found.into(), max: i32::MAX as u64 };
            Halt::Bad(Error::new(kind, self.at.saturating_add(from as u64)))
        })
    }

    /// What a walk says of bytes from some place on: more are needed, or they contradict their serializer.
    fn bad(&self, from: usize, bad: BadValue) -> Halt {
        if bad.may_be_cut() && !self.whole {
            // How much is missing is not known: what is walked again is no more than what was walked in all.
            return Halt::Need(self.bytes.len().saturating_mul(2).max(from.saturating_add(64)));
        }
        let at = self.at.saturating_add(from.saturating_add(bad.at) as u64);
        Halt::Bad(Error::invalid(bad.rule, "other bytes", at))
    }

    /// An index of a state that there is.
    fn state(&self, states: usize) -> Taking<usize> {
        let state = usize::from(u16::from_be_bytes(*self.first(2)?.first_chunk().unwrap_or(&[0; 2])));
        if state >= states {
            let rule = "the id of a state is one of those that the meta data describes";
            return Err(Error::invalid(rule, state.to_string(), self.at).into());
        }
        Ok(state)
    }
}

/// The answer to a call: what was found, or that more is needed.
fn answer(taken: Taking<Next<'_>>) -> Result<Next<'_>> {
    match taken {
        Ok(next) => Ok(next),
        Err(Halt::Need(bytes)) => Ok(Next { step: Step::NeedBytes(bytes), taken: 0 }),
        Err(Halt::Bad(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
