//! Sets of changes, fed with pieces.

use crate::error::{Error, ErrorKind, Result};

/// What the first byte of a file of changes says.
///
/// # Errors
/// It is neither 0 nor 1.
pub fn is_compressed(flag: u8) -> Result<bool> {
    match flag {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Error::invalid("the first byte of a file of changes is 0 or 1", found.to_string(), 0)),
    }
}

/// What stands next in a set of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetStep<'b> {
    /// So many bytes are needed from here on, at least; what is there is not enough.
    NeedBytes(usize),
    /// The head of the set or of a group was read.
    Going,
    /// A change.
    Change {
        /// The key group; `None` of a change of meta data.
        key_group: Option<u32>,
        /// The change, without its length.
        change: &'b [u8],
    },
    /// The set ends here.
    End,
}

/// Hands out the changes of a set.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    at: u64,
    /// Groups that are still to come; `None` before the head was read.
    groups: Option<u32>,
    /// Changes of the group that are still to come.
    left: u32,
    key_group: Option<u32>,
}

impl ChangeSet {
    /// A set whose first byte is said to have the offset `at`.
    #[must_use]
    pub fn new(at: u64) -> Self {
        Self { at, groups: None, left: 0, key_group: None }
    }

    /// The offset of what comes next.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// What stands at the begin of `bytes`, which follow what was taken before, and how many bytes it took. `whole` says
    /// that nothing follows them.
    ///
    /// # Errors
    /// A negative count or length, a key group that is none, an end too early.
    pub fn next<'b>(&mut self, bytes: &'b [u8], whole: bool) -> Result<(SetStep<'b>, usize)> {
        let need = |needed: usize| {
            if whole {
                let kind = ErrorKind::UnexpectedEnd { needed: needed as u64, remaining: bytes.len() as u64 };
                return Err(Error::new(kind, self.at));
            }
            Ok((SetStep::NeedBytes(needed), 0))
        };
        let (step, taken) = match (self.groups, self.left) {
            (None, _) => {
                let Some(head) = bytes.first_chunk() else { return need(4) };
                self.groups = Some(self.count("groups of changes", *head, 0)?);
                (SetStep::Going, 4)
            }
            (Some(0), 0) => (SetStep::End, 0),
            (Some(groups), 0) => {
                let Some([count, key_group]) = head(bytes) else { return need(8) };
                self.left = self.count("changes", count, 0)?;
                self.key_group = match i32::from_be_bytes(key_group) {
                    -1 => None,
                    found => Some(u32::try_from(found).ok().filter(|group| *group < KEY_GROUPS).ok_or_else(
                        || {
                            let rule = "a key group is -1, or one of at most 32768";
                            Error::invalid(rule, found.to_string(), self.at.saturating_add(4))
                        },
                    )?),
                };
                self.groups = Some(groups - 1);
                (SetStep::Going, 8)
            }
            (Some(_), left) => {
                let Some(length) = bytes.first_chunk() else { return need(4) };
                let length = self.count("bytes of a change", *length, 0)? as usize;
                let end = length.saturating_add(4);
                let Some(change) = bytes.get(4..end) else { return need(end) };
                self.left = left - 1;
                (SetStep::Change { key_group: self.key_group, change }, end)
            }
        };
        self.at = self.at.saturating_add(taken as u64);
        Ok((step, taken))
    }

    fn count(&self, what: &'static str, bytes: [u8; 4], from: u64) -> Result<u32> {
        let found = i32::from_be_bytes(bytes);
        u32::try_from(found).map_err(|_| {
            let kind = ErrorKind::BadCount { what, found: found.into(), max: i32::MAX as u64 };
            Error::new(kind, self.at.saturating_add(from))
        })
    }
}

/// The most key groups that an operator may have.
const KEY_GROUPS: u32 = 1 << 15;

fn head(bytes: &[u8]) -> Option<[[u8; 4]; 2]> {
    let (first, second) = bytes.first_chunk::<8>()?.split_at_checked(4)?;
    Some([first.try_into().ok()?, second.try_into().ok()?])
}
