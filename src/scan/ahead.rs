//! Splits are opened before a worker takes them: where an answer takes its time, nobody is to wait for it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many splits are opened at the same time: each waits for the indexes of its tables, which are asked for all at
/// once.
pub(super) const OPENERS: usize = 8;

/// How many splits are open, at most, that no worker has taken.
const MOST: usize = 32;

/// Things that are made in order, ahead of those who take them in order.
#[derive(Debug)]
pub(super) struct MadeAhead<T> {
    count: usize,
    /// What all that waits may weigh together; one that is heavier waits alone.
    limit: u64,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// What is made next.
    next: usize,
    entries: BTreeMap<usize, Entry<T>>,
    weight: u64,
    is_closed: bool,
}

#[derive(Debug)]
enum Entry<T> {
    Begun,
    Made(T, u64),
}

impl<T> MadeAhead<T> {
    pub(super) fn new(count: usize, limit: u64) -> Self {
        let state = State { next: 0, entries: BTreeMap::new(), weight: 0, is_closed: false };
        Self { count, limit, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Makes one after the other until all are made or taken, or nobody takes any more. Many threads may do that.
    pub(super) fn make(&self, make: &dyn Fn(usize) -> Option<(T, u64)>) {
        while let Some(begun) = self.begin() {
            let made = make(begun.index);
            begun.end(made);
        }
    }

    /// Takes one; waits if it is being made. None if it was not begun: who takes it makes it himself.
    pub(super) fn take(&self, index: usize) -> Option<T> {
        let mut state = self.lock();
        state.next = state.next.max(index.saturating_add(1));
        while matches!(state.entries.get(&index)?, Entry::Begun) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(Entry::Made(made, weight)) = state.entries.remove(&index) else { return None };
        state.weight = state.weight.saturating_sub(weight);
        drop(state);
        self.changed.notify_all();
        Some(made)
    }

    /// Says that nobody takes any more, when it is dropped.
    pub(super) fn closing(&self) -> Closing<'_, T> {
        Closing(self)
    }

    fn begin(&self) -> Option<Begun<'_, T>> {
        let mut state = self.lock();
        loop {
            if state.is_closed || state.next >= self.count {
                return None;
            }
            if state.entries.is_empty() || (state.entries.len() < MOST && state.weight < self.limit) {
                let index = state.next;
                state.next += 1;
                state.entries.insert(index, Entry::Begun);
                return Some(Begun { of: self, index });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends those who make things ahead.
pub(super) struct Closing<'a, T>(&'a MadeAhead<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// One that is being made. Whatever happens to it, whoever waits is told.
struct Begun<'a, T> {
    of: &'a MadeAhead<T>,
    index: usize,
}

impl<T> Begun<'_, T> {
    fn end(self, made: Option<(T, u64)>) {
        let Some((made, weight)) = made else { return };
        let mut state = self.of.lock();
        state.weight = state.weight.saturating_add(weight);
        state.entries.insert(self.index, Entry::Made(made, weight));
    }
}

impl<T> Drop for Begun<'_, T> {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        if matches!(state.entries.get(&self.index), Some(Entry::Begun)) {
            state.entries.remove(&self.index);
        }
        drop(state);
        self.of.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn each_is_made_once_and_taken_by_one() {
        let (made, open, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let ahead = MadeAhead::new(200, 10);
        let make = |index: usize| {
            made.fetch_add(1, Ordering::Relaxed);
            most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            (index, 5)
        };
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(|| ahead.make(&|index| Some(make(index))))));
            thread::scope(|workers| {
                for _ in 0..4 {
                    workers.spawn(|| {
                        loop {
                            let index = next.fetch_add(1, Ordering::Relaxed);
                            if index >= 200 {
                                break;
                            }
                            let found = ahead.take(index).unwrap_or_else(|| make(index).0);
                            open.fetch_sub(1, Ordering::Relaxed);
                            assert_eq!(found, index);
                        }
                    });
                }
            });
            drop(ahead.closing());
        });
        assert_eq!(made.load(Ordering::Relaxed), 200);
        // Two that are heavy enough, those that are being made meanwhile, and those that workers have.
        assert!(most.load(Ordering::Relaxed) <= 2 + 3 + 4, "{most:?}");
    }

    #[test]
    fn what_cannot_be_made_ahead_is_left_to_who_takes_it() {
        let ahead: MadeAhead<usize> = MadeAhead::new(3, 1);
        let broken = catch_unwind(AssertUnwindSafe(|| {
            ahead.make(&|index| if index == 0 { None } else { panic!("broken") });
        }));
        assert!(broken.is_err());
        assert_eq!((ahead.take(0), ahead.take(1), ahead.take(2)), (None, None, None));
    }
}
