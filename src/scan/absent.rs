//! Leaves out tables that cannot hold a key, as their filters tell.

use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::filter::{Filter, FilterPlace, partition_of};
use statescope_formats::rocksdb::handle::BlockHandle;

use super::tables::{BlockReader, ReadError, ScanTable, read_blocks};
use super::work::facts;
use super::{Scan, ScanOptions};
use crate::readers::parallel::each_at_once;
use crate::storage::Storage;

/// A table, and the keys that it may hold.
struct Question<'s> {
    handle: usize,
    state: usize,
    table: usize,
    of: &'s ScanTable,
    keys: Vec<&'s [u8]>,
}

impl Scan<'_> {
    /// Leaves out tables that hold none of the keys at which splits begin: for scans that are clipped to ranges of one composite
    /// key each. A filter costs a request, a partitioned one another for each key. What cannot be read leaves nothing out.
    pub fn skip_absent(&mut self, storage: &dyn Storage, options: ScanOptions) {
        let mut questions = Vec::new();
        for (at, handle) in self.handles.iter().enumerate() {
            let keys =
                self.splits.iter().filter(|split| split.handle == at).map(|split| &split.range.low[..]);
            for (state_at, state) in handle.states.iter().enumerate() {
                for (table, of) in state.tables.iter().enumerate() {
                    let keys = keys.clone().filter(|key| of.overlaps(key, None) && of.begins_before(key));
                    let question = Question { handle: at, state: state_at, table, of, keys: keys.collect() };
                    questions.push(question);
                }
            }
        }
        let may_hold = each_at_once(&questions, options.requests, |question| {
            may_hold(storage, question.of, &question.keys, options.checksums).unwrap_or(true)
        });
        let absent = questions.iter().zip(may_hold).filter(|(_, may_hold)| !may_hold);
        let absent: Vec<_> = absent.map(|(it, _)| (it.handle, it.state, it.table)).collect();
        for (handle, state, table) in absent.into_iter().rev() {
            let handle = self.handles.get_mut(handle);
            if let Some(state) = handle.and_then(|handle| handle.states.get_mut(state)) {
                state.tables.remove(table);
                state.facts = facts(&state.tables);
            }
        }
    }
}

/// Whether a table may hold any of some keys.
fn may_hold(
    storage: &dyn Storage,
    table: &ScanTable,
    keys: &[&[u8]],
    checksums: bool,
) -> Result<bool, ReadError> {
    if keys.is_empty() {
        return Ok(false);
    }
    // A range tombstone hides keys of other tables, and filters know nothing of it.
    let Ok(place) = FilterPlace::of(&table.tail) else { return Ok(true) };
    if table.tail.range_del().is_some() {
        return Ok(true);
    }
    let mut read =
        BlockReader { tail: &table.tail, checksums, decompressor: Decompressor::new(), buffer: Vec::new() };
    let mut with = |handle: BlockHandle, then: &mut dyn FnMut(&[u8]) -> Result<bool, ReadError>| {
        let stored = read_blocks(storage, table, &[handle])?;
        let (start, bytes) = stored.into_iter().next().unwrap_or_default();
        then(read.block(&bytes, start, handle, "a filter")?)
    };
    let Some(format) = place.partitions else {
        return with(place.handle, &mut |contents| {
            let filter = Filter::decode(contents);
            Ok(keys.iter().any(|key| filter.may_contain(key)))
        });
    };
    let mut partitions = Vec::new();
    with(place.handle, &mut |contents| {
        for key in keys {
            partitions.extend(partition_of(contents, place.handle.offset, format, key)?.map(|it| (*key, it)));
        }
        Ok(true)
    })?;
    for (key, partition) in partitions {
        if with(partition, &mut |contents| Ok(Filter::decode(contents).may_contain(key)))? {
            return Ok(true);
        }
    }
    Ok(false)
}
