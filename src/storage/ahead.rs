//! Reads that are announced are made before anybody asks for them.
//!
//! ```text
//! announce ─▶ waiting, in order ─▶ threads: one request each ─▶ arrived ─▶ read
//!                    ▲ room for its bytes?                        │
//!                    └────────── the bytes are handed out ◀───────┘
//! ```
//!
//! An announcement is a hint and never more: [`Within`] is a store like any other, and whatever is read through it is
//! right, announced or not. What nobody announced, or what was not begun yet, is read at once, before all
//! that waits, and no bound on bytes holds it up. So somebody who waits always waits for a request under way or for the
//! next free thread, and threads wait for nothing but the store: it cannot lock up, whatever is announced.

use super::parallel::{caught, estimate};
use super::{
    AfterKey, EachFn, Fetched, InFlight, ListScope, Location, ObjectMeta, PageFn, ReadRequest, Result,
    SchemeClass, Span, Storage,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

/// Reads what was announced to it ahead of time, with threads that [`scoped`](Self::scoped) starts.
///
/// Objects on local disk are read by whoever asks for them, as if this were not there.
#[derive(Debug)]
pub struct ReadAhead<'s> {
    storage: &'s dyn Storage,
    in_flight: InFlight,
    state: Mutex<State>,
    /// There may be something to read.
    work: Condvar,
    /// An answer came, or there are no threads any more.
    arrival: Condvar,
}

/// What is read first: the group, and the place in it.
type Order = (u64, u64);

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<Order, Job>,
    /// Announced, and neither begun nor asked for.
    waiting: BTreeSet<Order>,
    /// Asked for, and not begun.
    urgent: VecDeque<Order>,
    /// Announced and not asked for, by what it is.
    announced: HashMap<ReadRequest, VecDeque<Order>>,
    /// Bytes that are being read, or were and wait to be asked for.
    charged: u64,
    /// The next place in a group.
    next: u64,
    /// How many threads read.
    threads: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Job {
    request: ReadRequest,
    phase: Phase,
    /// Nobody will ask for it.
    is_retired: bool,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Running,
    Arrived(Result<Fetched>),
}

impl<'s> ReadAhead<'s> {
    /// Reads from a store with at most so many requests under way, and holds at most so many bytes that nobody asked for
    /// yet. Nothing is read ahead until there are threads.
    #[must_use]
    pub fn new(storage: &'s dyn Storage, in_flight: InFlight) -> Self {
        Self { storage, in_flight, state: Mutex::default(), work: Condvar::new(), arrival: Condvar::new() }
    }

    /// Whether a location's objects are read ahead: not those on local disk.
    #[must_use]
    pub fn serves(location: &Location) -> bool {
        location.class() != SchemeClass::Local
    }

    /// How many bytes are held, at most, that nobody asked for yet.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.in_flight.bytes
    }

    /// Starts the threads, one for each request that may be under way. They end when what is returned is dropped, as
    /// soon as the requests under way have ended; whatever is read from then on is read by whoever asks.
    pub fn scoped<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Close<'scope, 's> {
        for _ in 0..self.in_flight.requests.max(1) {
            self.lock().threads += 1;
            if thread::Builder::new().spawn_scoped(scope, || self.serve()).is_err() {
                self.lock().threads -= 1;
                break;
            }
        }
        Close(self)
    }

    /// Says what will be read, in the order in which it will be asked for. Groups are read in ascending order. A request
    /// is announced once for each time that it will be asked for.
    pub fn announce(&self, group: u64, requests: impl IntoIterator<Item = ReadRequest>) {
        let mut state = self.lock();
        for request in requests {
            if Self::serves(&request.location) {
                let order = state.add(group, request.clone());
                state.waiting.insert(order);
                state.announced.entry(request).or_default().push_back(order);
            }
        }
        drop(state);
        self.work.notify_one();
    }

    /// The store, for one who asks for what was announced in a group.
    #[must_use]
    pub fn within(&self, group: u64) -> Within<'_> {
        Within { ahead: self, group }
    }

    /// Says that nothing of a group will be asked for any more.
    pub fn retire(&self, group: u64) {
        let mut state = self.lock();
        let orders: Vec<Order> = state.jobs.range((group, 0)..=(group, u64::MAX)).map(|(o, _)| *o).collect();
        for order in orders {
            state.retire(order);
        }
        drop(state);
        self.work.notify_one();
        self.arrival.notify_all();
    }

    /// What a thread does.
    fn serve(&self) {
        while let Some((order, request)) = self.claim() {
            let answer = caught(&|request| self.storage.read(&request.location, &request.span), &request);
            self.lock().arrive(order, answer);
            self.arrival.notify_all();
        }
    }

    /// The next request, once there is one that may be made; none if it is over.
    fn claim(&self) -> Option<(Order, ReadRequest)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(claimed) = state.claim(self.in_flight.bytes) {
                drop(state);
                // Whoever finds something to do wakes the next, so that not all are woken for what only one can have.
                self.work.notify_one();
                return Some(claimed);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for an answer, if there are threads that bring one. None if there are none: the caller is to read himself.
    fn await_answer(&self, group: u64, request: &ReadRequest) -> Option<Result<Fetched>> {
        let mut state = self.lock();
        let order = match state.take_announced(group, request) {
            Some(order) => order,
            None if state.threads == 0 => return None,
            None => {
                let order = state.add(u64::MAX, request.clone());
                state.waiting.insert(order);
                order
            }
        };
        loop {
            let phase = &state.jobs.get(&order)?.phase;
            if let Phase::Arrived(_) = phase {
                let answer = state.remove(order)?;
                drop(state);
                self.work.notify_one();
                return Some(answer);
            }
            if matches!(phase, Phase::Waiting) {
                if state.threads == 0 {
                    state.remove(order);
                    return None;
                }
                if state.waiting.remove(&order) {
                    state.urgent.push_back(order);
                    self.work.notify_one();
                }
            }
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, group: u64, request: ReadRequest) -> Order {
        let order = (group, self.next);
        self.next += 1;
        self.jobs.insert(order, Job { request, phase: Phase::Waiting, is_retired: false });
        order
    }

    /// What was announced for a request and not asked for yet, if anything: in this group, or else in any.
    fn take_announced(&mut self, group: u64, request: &ReadRequest) -> Option<Order> {
        let orders = self.announced.get_mut(request)?;
        let own = orders.iter().position(|order| order.0 == group);
        let order = orders.remove(own.unwrap_or(0));
        if orders.is_empty() {
            self.announced.remove(request);
        }
        order
    }

    /// Takes what is asked for, or else the first that was announced, if there is room for its bytes.
    fn claim(&mut self, limit: u64) -> Option<(Order, ReadRequest)> {
        let order = match self.urgent.pop_front() {
            Some(order) => order,
            None => {
                let order = *self.waiting.first()?;
                let cost = estimate(&self.jobs.get(&order)?.request.span);
                if self.charged > 0 && self.charged.saturating_add(cost) > limit {
                    return None;
                }
                self.waiting.remove(&order);
                order
            }
        };
        let job = self.jobs.get_mut(&order)?;
        job.phase = Phase::Running;
        self.charged = self.charged.saturating_add(estimate(&job.request.span));
        Some((order, job.request.clone()))
    }

    fn arrive(&mut self, order: Order, answer: Result<Fetched>) {
        if let Some(job) = self.jobs.get_mut(&order) {
            job.phase = Phase::Arrived(answer);
            if job.is_retired {
                self.remove(order);
            }
        }
    }

    /// Forgets a job that is not running, and returns its answer, if it has one.
    fn remove(&mut self, order: Order) -> Option<Result<Fetched>> {
        let job = self.jobs.remove(&order)?;
        if !self.waiting.remove(&order) {
            self.urgent.retain(|urgent| *urgent != order);
        }
        match job.phase {
            Phase::Arrived(answer) => {
                self.charged = self.charged.saturating_sub(estimate(&job.request.span));
                Some(answer)
            }
            Phase::Waiting | Phase::Running => None,
        }
    }

    fn retire(&mut self, order: Order) {
        let Some(job) = self.jobs.get_mut(&order) else { return };
        let request = job.request.clone();
        match job.phase {
            Phase::Running => job.is_retired = true,
            Phase::Waiting | Phase::Arrived(_) => drop(self.remove(order)),
        }
        if let Some(orders) = self.announced.get_mut(&request) {
            orders.retain(|announced| *announced != order);
            if orders.is_empty() {
                self.announced.remove(&request);
            }
        }
    }
}

/// A store of which parts are read ahead, as its user sees it.
#[derive(Debug, Clone, Copy)]
pub struct Within<'a> {
    ahead: &'a ReadAhead<'a>,
    group: u64,
}

impl Storage for Within<'_> {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        self.ahead.storage.head(location)
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        if ReadAhead::serves(location) {
            let request = ReadRequest { location: location.clone(), span: span.clone() };
            if let Some(answer) = self.ahead.await_answer(self.group, &request) {
                return answer;
            }
        }
        self.ahead.storage.read(location, span)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        self.ahead.storage.list(directory, scope, page)
    }

    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        self.ahead.storage.list_after(directory, after, page)
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        self.ahead.storage.server_time(location)
    }

    fn read_each(&self, requests: &[ReadRequest], in_flight: InFlight, each: &mut EachFn<'_>) {
        self.ahead.storage.read_each(requests, in_flight, each);
    }
}

/// Ends the threads of a [`ReadAhead`] when it is dropped.
#[derive(Debug)]
pub struct Close<'a, 's>(&'a ReadAhead<'s>);

impl Drop for Close<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        state.threads = 0;
        drop(state);
        self.0.work.notify_all();
        self.0.arrival.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Fault, MemoryStorage, Metered, StorageErrorKind};
    use std::time::{Duration, Instant};

    const OBJECT: &str = "s3://b/k";

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    fn memory(latency_ms: u64) -> Metered<MemoryStorage> {
        let memory = MemoryStorage::new().with_latency(Duration::from_millis(latency_ms));
        memory.put(&at(OBJECT), (0..=255).cycle().take(100_000).collect::<Vec<u8>>());
        Metered::with_log(memory)
    }

    fn pieces(count: u64) -> Vec<ReadRequest> {
        (0..count).map(|n| ReadRequest::range(at(OBJECT), n * 1000..(n + 1) * 1000)).collect()
    }

    fn is_right(request: &ReadRequest, answer: Result<Fetched>) {
        let Span::Range(range) = &request.span else { panic!("a range") };
        let bytes = answer.expect("bytes").bytes;
        assert_eq!(bytes.len() as u64, range.end - range.start);
        assert!(range.clone().zip(&bytes).all(|(at, byte)| at % 256 == u64::from(*byte)));
    }

    #[test]
    fn what_is_announced_is_read_once_and_at_the_same_time() {
        let storage = memory(20);
        let ahead = ReadAhead::new(&storage, InFlight::new(8, 1 << 20));
        let start = Instant::now();
        thread::scope(|scope| {
            let _close = ahead.scoped(scope);
            ahead.announce(0, pieces(32));
            pieces(32).iter().for_each(|request| {
                is_right(request, ahead.within(0).read(&request.location, &request.span))
            });
        });
        assert!(start.elapsed() < Duration::from_millis(32 * 20 / 2), "{:?}", start.elapsed());
        assert_eq!(storage.meter().counts().range, 32);
        assert!((2..=8).contains(&storage.inner().most_in_flight()), "{}", storage.inner().most_in_flight());
        assert_eq!(ahead.lock().charged, 0);
        assert!(ahead.lock().jobs.is_empty() && ahead.lock().announced.is_empty());
    }

    #[test]
    fn bytes_bound_what_nobody_asked_for_and_hold_nobody_up() {
        let storage = memory(1);
        // Room for two pieces with what each is charged besides.
        let ahead = ReadAhead::new(&storage, InFlight::new(8, 2600));
        thread::scope(|scope| {
            let _close = ahead.scoped(scope);
            ahead.announce(3, pieces(10));
            while storage.meter().counts().range < 2 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(50));
            assert_eq!(storage.meter().counts().range, 2);
            // Asked for in another order than was said, and more than was said.
            for request in pieces(20).iter().rev() {
                is_right(request, ahead.within(0).read(&request.location, &request.span));
            }
        });
        assert_eq!(storage.meter().counts().range, 20);
        assert_eq!(ahead.lock().charged, 0);
    }

    #[test]
    fn what_is_retired_is_forgotten_and_makes_room() {
        let storage = memory(1);
        let ahead = ReadAhead::new(&storage, InFlight::new(2, 1300));
        thread::scope(|scope| {
            let _close = ahead.scoped(scope);
            ahead.announce(1, pieces(5));
            ahead.announce(2, [ReadRequest::suffix(at(OBJECT), 7), ReadRequest::full(at("/local"), 1)]);
            ahead.retire(1);
            while !ahead.lock().waiting.is_empty() {
                thread::yield_now();
            }
            ahead.retire(2);
        });
        assert!(storage.meter().take_log().iter().any(|record| record.span == Some(Span::Suffix(7))));
        let state = ahead.lock();
        assert!(state.jobs.is_empty() && state.announced.is_empty() && state.waiting.is_empty());
        assert_eq!(state.charged, 0);
    }

    #[test]
    fn without_threads_it_is_the_store_itself() {
        let storage = memory(0);
        let ahead = ReadAhead::new(&storage, InFlight::default());
        ahead.announce(0, pieces(3));
        pieces(4)
            .iter()
            .for_each(|request| is_right(request, ahead.within(0).read(&request.location, &request.span)));
        thread::scope(|scope| drop(ahead.scoped(scope)));
        ahead.announce(0, pieces(3));
        pieces(3)
            .iter()
            .for_each(|request| is_right(request, ahead.within(0).read(&request.location, &request.span)));
        assert_eq!(storage.meter().counts().range, 7);
    }

    #[test]
    fn failures_reach_the_one_who_asks() {
        let storage = memory(0);
        storage.inner().fail_at(&at(OBJECT), Fault::Fail(StorageErrorKind::Archived));
        let ahead = ReadAhead::new(&storage, InFlight::new(2, 1 << 20));
        thread::scope(|scope| {
            let _close = ahead.scoped(scope);
            ahead.announce(0, pieces(2));
            for request in pieces(4) {
                let error = ahead.within(0).read(&request.location, &request.span).expect_err("archived");
                assert_eq!(
                    (error.kind(), error.location()),
                    (&StorageErrorKind::Archived, &request.location)
                );
            }
        });
        assert_eq!(storage.meter().counts().range, 4);
    }

    /// A store that cannot be read without a panic.
    #[derive(Debug)]
    struct Panics;

    impl Storage for Panics {
        fn head(&self, _: &Location) -> Result<ObjectMeta> {
            panic!("head")
        }

        fn read(&self, _: &Location, _: &Span) -> Result<Fetched> {
            panic!("read")
        }

        fn list(&self, _: &Location, _: ListScope, _: &mut PageFn<'_>) -> Result<()> {
            panic!("list")
        }
    }

    #[test]
    fn a_store_that_panics_is_an_error_and_holds_nobody_up() {
        let ahead = ReadAhead::new(&Panics, InFlight::new(1, 1));
        thread::scope(|scope| {
            let _close = ahead.scoped(scope);
            ahead.announce(0, pieces(2));
            for request in pieces(3) {
                let error = ahead.within(0).read(&request.location, &request.span).expect_err("a panic");
                assert!(error.to_string().contains("panicked"), "{error}");
            }
        });
    }

    #[test]
    fn many_readers_get_their_own_bytes() {
        let storage = memory(0);
        let ahead = ReadAhead::new(&storage, InFlight::new(3, 5000));
        thread::scope(|scope| {
            let _close = ahead.scoped(scope);
            thread::scope(|readers| {
                for group in 0..4 {
                    let ahead = &ahead;
                    readers.spawn(move || {
                        ahead.announce(group, pieces(50));
                        for request in &pieces(60) {
                            is_right(request, ahead.within(group).read(&request.location, &request.span));
                        }
                        ahead.retire(group);
                    });
                }
            });
        });
        // What others announced is theirs.
        assert_eq!(storage.meter().counts().range, 4 * 60);
        assert!(storage.inner().most_in_flight() <= 3);
        assert_eq!(ahead.lock().charged, 0);
        assert!(ahead.lock().jobs.is_empty());
    }
}
