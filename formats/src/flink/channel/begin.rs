//! Finds the first whole element of a channel that begins inside of one.

use super::element::{LENGTH, decode, element_length};

/// How many elements must follow one another up to the end of bytes that are not all of a channel, or that end inside of an element.
const ENOUGH: u32 = 8;

/// Where the first whole element of a channel begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Bytes before it.
    pub leading: usize,
}

/// The first place in the bytes of a channel from which elements follow one another to the end.
///
/// The bytes of a record may look like elements, so what is found is likely and not certain. `ends_whole` says that the bytes are all of
/// the channel, and that it ends with an element; else, 8 elements are asked for, of which the last may not be at its end. What this costs grows with
/// the number of bytes and not faster.
#[must_use]
pub fn find_begin(bytes: &[u8], ends_whole: bool) -> Option<Begin> {
    // Places from which nothing was found to lead to the end. A place that leads to one of them is not tried further.
    let mut dead = vec![0_u8; bytes.len().div_ceil(8)];
    for leading in 0..bytes.len() {
        if leads_to_end(bytes, leading, ends_whole, &mut dead) {
            return Some(Begin { leading });
        }
    }
    None
}

fn leads_to_end(bytes: &[u8], from: usize, ends_whole: bool, dead: &mut [u8]) -> bool {
    let (mut at, mut elements) = (from, 0_u32);
    loop {
        if at == bytes.len() {
            return ends_whole || elements >= ENOUGH;
        }
        let bit = 1_u8 << (at % 8);
        match dead.get_mut(at / 8) {
            Some(marks) if *marks & bit == 0 => *marks |= bit,
            _ => return false,
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let Some((length, element)) = rest.split_first_chunk::<LENGTH>() else {
            return !ends_whole && elements >= ENOUGH;
        };
        let Ok(length) = element_length(*length, at as u64) else { return false };
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(whole) = element.get(..size) else {
            // Its end is not there.
            return !ends_whole && elements >= ENOUGH;
        };
        if decode(whole, length, at as u64).is_err() {
            return false;
        }
        at = at.saturating_add(LENGTH).saturating_add(size);
        elements += 1;
    }
}
