//! Analyzes rows that another reader hands out: the same analyzers over what RocksDB says is live.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use statescope_formats::rocksdb::data_block::common_prefix;

use super::plan::KeyRange;
use super::work::state_key;
use super::{Handle, Progress, Scan, SpillFn};
use crate::analyzers::analysis::{AnalysisPartial, HandleKey, OperatorKeys, StateAccumulator};

/// Key and value.
type Row<'a> = (&'a [u8], &'a [u8]);

/// The live rows of a state, in ascending order of their composite keys.
pub trait LiveRows {
    /// Why rows cannot be read on.
    type Error;

    /// Key and value of the row that it stands at; none behind the last.
    ///
    /// # Errors
    /// The row cannot be read.
    fn current(&self) -> Result<Option<Row<'_>>, Self::Error>;

    /// Goes to the next row.
    fn advance(&mut self);
}

/// What rows name as their table: none.
pub(super) const NO_TABLE: u32 = u32::MAX;

/// A state while its rows pass by.
struct Reader<'a, R> {
    accumulator: StateAccumulator<'a>,
    rows: R,
    /// The key of the last row.
    last: Vec<u8>,
}

impl<R: LiveRows> Reader<'_, R> {
    /// Takes all rows before a key.
    fn run(&mut self, stop: Option<&[u8]>) -> Result<(), R::Error> {
        while let Some((key, value)) = self.rows.current()? {
            if stop.is_some_and(|stop| key >= stop) {
                break;
            }
            self.accumulator.put(key, common_prefix(&self.last, key), value, NO_TABLE);
            self.last.clear();
            self.last.extend_from_slice(key);
            self.rows.advance();
        }
        Ok(())
    }
}

impl Scan<'_> {
    /// The handles with a database that are scanned, by their index in [`Details::keyed`](crate::model::Details::keyed).
    pub fn handles(&self) -> impl Iterator<Item = usize> + '_ {
        self.handles.iter().filter(|handle| handle.stream.is_none()).map(|handle| handle.number as usize)
    }

    /// Analyzes the rows of a handle that `open` hands out, given the name of the column family. `None` if it was
    /// stopped, or is none of the handles.
    ///
    /// # Errors
    /// Rows cannot be read.
    pub fn analyze_rows<R: LiveRows>(
        &self,
        handle: usize,
        open: &mut dyn FnMut(&str) -> Result<R, R::Error>,
        progress: &Progress,
        spill: SpillFn<'_>,
    ) -> Result<Option<AnalysisPartial>, R::Error> {
        let Some(handle) = self.handles.iter().find(|found| found.number as usize == handle) else {
            return Ok(None);
        };
        let mut readers = Vec::new();
        let counting = handle.counting_states();
        for state in &handle.states {
            let mut accumulator = StateAccumulator::new(&state.plan, Arc::default());
            if counting > 1 {
                accumulator = accumulator.with_key_totals();
            }
            if !state.plan.divides_key_groups() {
                accumulator = accumulator.with_spill(spill());
            }
            readers.push(Reader { accumulator, rows: open(&state.name)?, last: Vec::new() });
        }
        let mut operator = (counting > 1).then(|| OperatorKeys::new(self.input.settings.top));
        let (first, last) = handle.key_groups;
        for group in first..=last {
            if progress.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let end = KeyRange::of_key_groups(handle.prefix, group, group).high;
            readers.iter_mut().try_for_each(|reader| reader.run(end.as_deref()))?;
            if let Some(operator) = &mut operator {
                let mut states: Vec<_> = readers.iter_mut().map(|reader| &mut reader.accumulator).collect();
                operator.end_batch(&mut states);
            }
        }
        Ok(Some(partial(handle, readers, operator)))
    }
}

fn partial<R>(
    handle: &Handle,
    readers: Vec<Reader<'_, R>>,
    operator: Option<OperatorKeys>,
) -> AnalysisPartial {
    let mut analysis = AnalysisPartial::default();
    for (state, reader) in handle.states.iter().zip(readers) {
        analysis.add_state(state_key(handle, state), reader.accumulator.finish());
    }
    if let Some(operator) = operator {
        let key = HandleKey { operator: handle.operator_number, handle: handle.number };
        analysis.add_operator(key, operator.finish());
    }
    analysis
}
