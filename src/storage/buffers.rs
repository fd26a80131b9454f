//! Large buffers are used again: the memory of a new one must be mapped and zeroed by the system, which costs more than
//! to fill it.
//!
//! All threads share them, unlike those for local disk (`local/buffers`), which each thread keeps for itself: of what is
//! read ahead, who drops the bytes is not who reads the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// From this size on, buffers are used again; sizes are rounded up to its multiples, so that one fits the next piece.
const LARGE: usize = 256 << 10;

/// Bytes that are held for nobody, at most.
const MOST_FREE: usize = 16 << 20;

/// A buffer that is given back when it is dropped.
struct Lent {
    buffer: Vec<u8>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// An empty buffer with room for so many bytes, as far as that is believed.
    pub(in crate::storage) fn take(&self, length: u64) -> Vec<u8> {
        const BELIEVED: u64 = 64 << 20;
        let length = usize::try_from(length.min(BELIEVED)).unwrap_or(0);
        if length < LARGE {
            return Vec::with_capacity(length);
        }
        let fits = |free: &Vec<u8>| (length..=length.saturating_mul(2)).contains(&free.capacity());
        let mut free = lock(&self.free);
        if let Some(at) = free.iter().position(fits) {
            return free.swap_remove(at);
        }
        drop(free);
        Vec::with_capacity(length.next_multiple_of(LARGE))
    }

    /// Bytes of a buffer, which comes back when nobody uses them any more.
    pub(in crate::storage) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < LARGE {
            return buffer.into();
        }
        Bytes::from_owner(Lent { buffer, free: Arc::clone(&self.free) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut free = lock(&self.free);
        let held: usize = free.iter().map(Vec::capacity).sum();
        if held.saturating_add(buffer.capacity()) <= MOST_FREE {
            free.push(buffer);
        }
    }
}

fn lock(free: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(buffers: &Buffers) -> Vec<usize> {
        lock(&buffers.free).iter().map(Vec::capacity).collect()
    }

    #[test]
    fn a_large_buffer_is_used_again_when_its_last_bytes_are_dropped() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(300_000);
        assert_eq!(buffer.capacity(), 2 * LARGE);
        buffer.extend_from_slice(b"0123456789");
        let (place, bytes) = (buffer.as_ptr(), buffers.lend(buffer));
        let part = bytes.slice(3..5);
        drop(bytes);
        assert_eq!((&part[..], held(&buffers)), (&b"34"[..], vec![]));
        drop(part);
        assert_eq!(held(&buffers), [2 * LARGE]);
        let again = buffers.take(400_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(held(&buffers).is_empty());
    }

    #[test]
    fn what_is_held_is_bounded_and_fits() {
        let buffers = Buffers::default();
        let lent: Vec<Bytes> = (0..10).map(|_| buffers.lend(buffers.take(4 << 20))).collect();
        drop(lent);
        assert_eq!(held(&buffers), [4 << 20; 4]);
        // One that is far too large is left for others.
        assert_eq!(buffers.take(1 << 20).capacity(), 1 << 20);
        assert_eq!(held(&buffers).len(), 4);
        // Little ones, and lengths that are no length, are nothing to hold.
        drop(buffers.lend(buffers.take(1000)));
        assert!(buffers.take(u64::MAX).capacity() <= 64 << 20);
        assert_eq!(held(&buffers).len(), 4);
    }
}
