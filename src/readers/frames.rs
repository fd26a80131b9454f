//! Bytes that come in pieces, uncompressed as far as they are there.

use std::collections::VecDeque;

use statescope_formats::Error as FormatError;
use statescope_formats::flink::full_snapshot::{Frame, SnappyFrames};

/// Snappy frames of which the end may not be there yet.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: SnappyFrames,
    raw: Vec<u8>,
    /// Where uncompressed bytes begin that are a stream of their own.
    begins: VecDeque<u64>,
    uncompressed: u64,
}

impl Frames {
    /// Frames whose first byte has this offset.
    pub(crate) fn new(at: u64, verify: bool) -> Self {
        Self {
            frames: SnappyFrames::new(at, verify),
            raw: Vec::new(),
            begins: VecDeque::new(),
            uncompressed: 0,
        }
    }

    /// Takes what follows, and appends what can be uncompressed. `whole` says that nothing follows it.
    pub(crate) fn feed(&mut self, read: &[u8], whole: bool, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.raw.extend_from_slice(read);
        let mut from = 0;
        loop {
            let raw = self.raw.get(from..).unwrap_or_default();
            if raw.is_empty() {
                break;
            }
            match self.frames.next(raw, whole, out)? {
                Frame::NeedBytes(_) => break,
                Frame::Stream { taken } => {
                    self.begins.push_back(self.uncompressed);
                    from = from.saturating_add(taken);
                }
                Frame::Chunk { taken, uncompressed } => {
                    self.uncompressed = self.uncompressed.saturating_add(uncompressed as u64);
                    from = from.saturating_add(taken);
                }
            }
        }
        self.raw.drain(..from);
        Ok(())
    }

    /// Whether all that it took is uncompressed.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The first uncompressed byte behind a place that begins a stream of its own, if it is known already.
    pub(crate) fn begin_behind(&mut self, position: u64) -> Option<u64> {
        while self.begins.front().is_some_and(|begin| *begin <= position) {
            self.begins.pop_front();
        }
        self.begins.front().copied()
    }
}
