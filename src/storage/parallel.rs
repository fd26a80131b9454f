//! Many blocking reads at once: threads in, answers out in order, bounded by number and by bytes.

use super::{EachFn, Fetched, InFlight, ReadRequest, Result, Span, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(super) type ReadFn<'a> = dyn Fn(&ReadRequest) -> Result<Fetched> + Sync + 'a;

/// What a whole object is charged before its size is known, if its limit is higher.
const UNKNOWN_SIZE: u64 = 1 << 20;

/// What every answer is charged besides its bytes, so that many tiny ones do not pile up.
const OVERHEAD: u64 = 256;

pub(super) fn read_each(
    read: &ReadFn<'_>,
    requests: &[ReadRequest],
    in_flight: InFlight,
    each: &mut EachFn<'_>,
) {
    let workers = in_flight.requests.min(requests.len());
    if workers <= 1 {
        return one_by_one(read, requests, each);
    }
    let queue = Queue {
        requests,
        limit: in_flight.bytes,
        state: Mutex::new(State { next: 0, charged: 0, arrived: BTreeMap::new(), stopped: false }),
        room: Condvar::new(),
        arrival: Condvar::new(),
    };
    thread::scope(|scope| {
        // Workers must be told to stop even if `each` panics: the scope waits for them.
        let _stop = StopOnDrop(&queue);
        let started = (0..workers)
            .filter(|_| thread::Builder::new().spawn_scoped(scope, || queue.work(read)).is_ok())
            .count();
        if started == 0 {
            return one_by_one(read, requests, each);
        }
        for index in 0..requests.len() {
            if each(index, queue.take(index)).is_break() {
                return;
            }
        }
    });
}

fn one_by_one(read: &ReadFn<'_>, requests: &[ReadRequest], each: &mut EachFn<'_>) {
    for (index, request) in requests.iter().enumerate() {
        if each(index, read(request)).is_break() {
            return;
        }
    }
}

struct Queue<'a> {
    requests: &'a [ReadRequest],
    limit: u64,
    state: Mutex<State>,
    /// Something was handed out: there may be room for another request.
    room: Condvar,
    /// An answer arrived.
    arrival: Condvar,
}

struct State {
    /// The request that is read next. They are claimed in order, so the one that is handed out next
    /// has always been claimed before any that wait for room.
    next: usize,
    /// Bytes that are being read or wait to be handed out.
    charged: u64,
    /// Answers that wait, with their charge.
    arrived: BTreeMap<usize, (u64, Result<Fetched>)>,
    stopped: bool,
}

impl Queue<'_> {
    fn work(&self, read: &ReadFn<'_>) {
        while let Some((index, request, estimate)) = self.claim() {
            let answer = caught(read, request);
            let actual = OVERHEAD + answer.as_ref().map_or(0, |fetched| fetched.bytes.len() as u64);
            let mut state = self.lock();
            state.charged = state.charged.saturating_sub(estimate).saturating_add(actual);
            state.arrived.insert(index, (actual, answer));
            drop(state);
            self.arrival.notify_one();
            self.room.notify_one();
        }
    }

    /// The next request, once there is room for it; none if all are claimed or nobody waits any more.
    fn claim(&self) -> Option<(usize, &ReadRequest, u64)> {
        let mut state = self.lock();
        loop {
            let index = state.next;
            let request = self.requests.get(index).filter(|_| !state.stopped)?;
            let estimate = estimate(&request.span);
            if state.charged == 0 || state.charged.saturating_add(estimate) <= self.limit {
                state.next += 1;
                state.charged = state.charged.saturating_add(estimate);
                drop(state);
                // One wake-up may make room for several; each that finds some wakes the next, so that
                // hundreds of waiting workers are not woken for room that only one can have.
                self.room.notify_one();
                return Some((index, request, estimate));
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for an answer and takes it.
    fn take(&self, index: usize) -> Result<Fetched> {
        let mut state = self.lock();
        loop {
            if let Some((charge, answer)) = state.arrived.remove(&index) {
                state.charged = state.charged.saturating_sub(charge);
                drop(state);
                self.room.notify_one();
                return answer;
            }
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads; a panic is an error. The one who waits for this answer must get one, whatever the store does.
pub(super) fn caught(read: &ReadFn<'_>, request: &ReadRequest) -> Result<Fetched> {
    catch_unwind(AssertUnwindSafe(|| read(request))).unwrap_or_else(|_| {
        let error = StorageError::new(StorageErrorKind::Other, request.span.op(), request.location.clone());
        Err(error.with_message("the store panicked"))
    })
}

/// What a request is charged before its answer is there.
pub(super) fn estimate(span: &Span) -> u64 {
    let bytes = match span {
        Span::Full { limit } => (*limit).min(UNKNOWN_SIZE),
        span => span.wanted(),
    };
    bytes.saturating_add(OVERHEAD)
}

struct StopOnDrop<'a, 'b>(&'a Queue<'b>);

impl Drop for StopOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.room.notify_all();
    }
}
