//! Buffers that are used again.
//!
//! A scan reads a table in pieces of nearly one size. Fresh memory for them comes from the kernel, page by
//! page and zeroed, and costs a good part of the time that it takes to decode the piece. So each thread
//! keeps a few buffers, which come back when the last `Bytes` of them is dropped.

use std::cell::RefCell;

use bytes::Bytes;

/// Reads that are shorter are served by the allocator; longer ones are rare.
const LENGTHS: std::ops::RangeInclusive<usize> = 32 << 10..=4 << 20;
/// How many bytes a thread keeps in buffers.
const KEPT: usize = 8 << 20;

thread_local! {
    static KEPT_BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of which the first bytes are in use. The rest is what was read before.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// A buffer for so many bytes, with anything in it.
    pub(super) fn new(length: usize) -> Self {
        if !LENGTHS.contains(&length) {
            return Self { memory: vec![0; length], length };
        }
        let kept = KEPT_BUFFERS.try_with(|kept| {
            let mut kept = kept.try_borrow_mut().ok()?;
            let at = kept.iter().rposition(|memory| memory.len() >= length)?;
            Some(kept.swap_remove(at))
        });
        // Rounded up, so that the next one is not too long for it.
        let memory = kept.ok().flatten().unwrap_or_else(|| vec![0; length.next_power_of_two()]);
        Self { memory, length }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.length).unwrap_or_default()
    }

    /// The first bytes of it, as many as were filled.
    pub(super) fn into_bytes(mut self, filled: usize) -> Bytes {
        self.length = self.length.min(filled);
        if LENGTHS.contains(&self.memory.len()) {
            return Bytes::from_owner(self);
        }
        let mut memory = std::mem::take(&mut self.memory);
        memory.truncate(self.length);
        memory.into()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if LENGTHS.contains(&memory.len()) {
            // A thread that ends keeps nothing.
            let _ = KEPT_BUFFERS.try_with(|kept| {
                let mut kept = kept.try_borrow_mut().ok()?;
                kept.push(memory);
                while kept.iter().map(Vec::len).sum::<usize>() > KEPT {
                    kept.remove(0);
                }
                Some(())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_but_never_shows_what_was_in_it() {
        let mut buffer = Buffer::new(100_000);
        buffer.bytes_mut().fill(7);
        let at = buffer.as_ref().as_ptr();
        let bytes = buffer.into_bytes(100_000);
        assert_eq!(bytes, vec![7; 100_000]);
        let part = bytes.slice(5..10);
        drop(bytes);
        // Still in use.
        assert_ne!(Buffer::new(90_000).as_ref().as_ptr(), at);
        drop(part);
        let again = Buffer::new(110_000);
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len()), (at, 110_000));
        assert_eq!(again.into_bytes(10).len(), 10);
        drop((0..9).map(|_| Buffer::new(1 << 20)).collect::<Vec<_>>());
        assert_eq!(KEPT_BUFFERS.with_borrow(|kept| kept.iter().map(Vec::len).sum::<usize>()), KEPT);
        assert_eq!(Buffer::new(10).into_bytes(7), vec![0; 7]);
    }
}
