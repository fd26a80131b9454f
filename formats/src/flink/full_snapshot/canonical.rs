//! A key group of a canonical savepoint, or of a full checkpoint of RocksDB before 1.16.

use super::{KeyGroupRows, Next, Step, Taking, Window, answer};
use crate::error::{Error, Result};
use crate::flink::key::KeyGroupPrefix;

/// `FullSnapshotUtil.END_OF_KEY_GROUP_MARK`.
const END_OF_KEY_GROUP: u16 = 0xFFFF;

/// `FullSnapshotUtil.FIRST_BIT_IN_BYTE_MASK`: in the first byte of a key, says that the id of a state follows the value.
const META_DATA_FOLLOWS: u8 = 0x80;

/// Hands out the rows of a key group of a canonical stream. Whether they ascend depends on who wrote them: RocksDB's do,
/// state by state; those of a heap do not.
#[derive(Debug)]
pub struct CanonicalGroup {
    key_group: u32,
    prefix: KeyGroupPrefix,
    states: usize,
    at: u64,
    expects: Expects,
    /// The key of the last row of a state, without its mark.
    key: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// The id of the first state.
    First,
    Row,
    /// The id of the next state, or the end.
    Mark,
    Nothing,
}

impl CanonicalGroup {
    /// A key group of a stream with so many states, whose first byte is said to have the offset `at`.
    #[must_use]
    pub fn new(key_group: u32, prefix: KeyGroupPrefix, states: usize, at: u64) -> Self {
        Self { key_group, prefix, states, at, expects: Expects::First, key: Vec::new() }
    }

    fn take<'b>(&'b mut self, window: Window<'b>) -> Taking<Next<'b>> {
        let next = match self.expects {
            Expects::Nothing => return Ok(Next { step: Step::End, taken: 0 }),
            Expects::Mark if window.first(2)? == END_OF_KEY_GROUP.to_be_bytes() => {
                self.expects = Expects::Nothing;
                Next { step: Step::End, taken: 2 }
            }
            Expects::First | Expects::Mark => {
                let state = window.state(self.states)?;
                self.expects = Expects::Row;
                Next { step: Step::State { state, entries: None }, taken: 2 }
            }
            Expects::Row => {
                let key_end = window.length("bytes of a key", 0)?.saturating_add(4);
                let value_end = window.length("bytes of a value", key_end)?.saturating_add(key_end + 4);
                let row = window.first(value_end)?;
                let key = row.get(4..key_end).unwrap_or_default();
                let value = row.get(key_end + 4..).unwrap_or_default();
                let marked = key.first().is_some_and(|first| first & META_DATA_FOLLOWS != 0);
                let key = if marked {
                    self.expects = Expects::Mark;
                    self.key.clear();
                    self.key.extend_from_slice(key);
                    self.key.iter_mut().take(1).for_each(|first| *first &= !META_DATA_FOLLOWS);
                    self.key.as_slice()
                } else {
                    key
                };
                if self.prefix.key_group(key) != Some(self.key_group) {
                    let found =
                        self.prefix.key_group(key).map_or("none".to_owned(), |group| group.to_string());
                    let rule = "a key begins with its key group";
                    return Err(Error::invalid(rule, found, window.at.saturating_add(4)).into());
                }
                Next { step: Step::Row { key, value }, taken: value_end }
            }
        };
        self.at = self.at.saturating_add(next.taken as u64);
        Ok(next)
    }
}

impl KeyGroupRows for CanonicalGroup {
    #[inline]
    fn next<'b>(&'b mut self, bytes: &'b [u8], whole: bool) -> Result<Next<'b>> {
        let at = self.at;
        answer(self.take(Window { bytes, whole, at }))
    }

    fn find_state(&mut self, _bytes: &[u8]) -> Option<usize> {
        None
    }

    fn divide(&mut self, _bytes: &[u8], _row: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        false
    }

    fn is_last(&self) -> bool {
        false
    }

    fn resume(&mut self, skipped: u64) {
        self.at = self.at.saturating_add(skipped);
    }
}
