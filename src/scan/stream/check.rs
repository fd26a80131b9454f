//! Reads all key groups of a stream, to verify them.

use super::super::feed::Reading;
use super::super::tables::ReadError;
use super::Stream;
use super::bytes::Pieces;
use super::read::{GroupRead, GroupReader, StateRows, Stop};
use crate::lsm::LiveSink;

/// What key groups turned out to hold.
#[derive(Debug, Default)]
pub(in crate::scan) struct CheckedStream {
    /// Key groups that cannot be read to their end, each with the place where it begins.
    pub(in crate::scan) damage: Vec<(u32, u64, ReadError)>,
    pub(in crate::scan) key_groups: u64,
    pub(in crate::scan) rows: u64,
    pub(in crate::scan) bytes: u64,
}

/// Counts rows.
struct Count(u64);

impl LiveSink for Count {
    fn put(&mut self, _key: &[u8], _shared: usize, _value: &[u8], _table: u32) -> u64 {
        self.0 += 1;
        0
    }

    fn begin(&mut self, _key: &[u8], _shared: usize) {}

    fn part(&mut self, _value: &[u8], _base: bool, _table: u32) -> u64 {
        0
    }

    fn end(&mut self) {}

    fn not_understood(&mut self, _key: &[u8], _shared: usize, _table: u32) {}
}

/// Decodes every key group to its end. All states of the stream count as the first that is scanned.
pub(in crate::scan) fn check(reading: Reading<'_>, stream: &Stream) -> CheckedStream {
    let mut checked = CheckedStream::default();
    let pieces = Pieces::new(reading, stream, stream.groups.iter());
    // Rows may come in any order.
    let states = vec![StateRows::new(Count(0), false, None)];
    let mut reader = GroupReader::new(stream, pieces, states, 0, None, false);
    // Where that fails, so does what follows.
    let _ = reader.look(stream.groups.iter());
    for group in &stream.groups {
        let begin = group.extent.as_ref().map_or(0, |extent| extent.start);
        match reader.read(group, &mut GroupRead::default()) {
            Ok(()) => {
                checked.key_groups += 1;
                checked.bytes = checked.bytes.saturating_add(group.bytes());
            }
            Err(Stop::Read(error)) => checked.damage.push((group.number, begin, error)),
            // Nothing is sorted; whoever asked for the end knows that all is not read.
            Err(Stop::Sort(_) | Stop::NotInOrder | Stop::Asked) => break,
        }
    }
    checked.rows = reader.finish().iter().map(|state| state.sink.0).sum();
    checked
}
