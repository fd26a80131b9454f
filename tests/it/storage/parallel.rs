//! Reading many at once: the bounds hold, the order holds, and nothing hangs.

use proptest::prelude::*;
use statescope::storage::{
    Fault, Fetched, InFlight, ListScope, Location, MemoryStorage, ObjectMeta, PageFn, ReadRequest, Result,
    Span, Storage, StorageErrorKind,
};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn object(n: usize) -> Location {
    Location::parse(&format!("s3://b/{n:04}")).unwrap()
}

fn filled(count: usize, latency_ms: u64) -> (MemoryStorage, Vec<ReadRequest>) {
    let storage = MemoryStorage::new().with_latency(Duration::from_millis(latency_ms));
    for n in 0..count {
        storage.put(&object(n), vec![u8::try_from(n % 251).unwrap(); 100]);
    }
    (storage, (0..count).map(|n| ReadRequest::full(object(n), 1 << 30)).collect())
}

#[test]
fn many_are_under_way_at_once_but_not_too_many() {
    let (storage, requests) = filled(64, 20);
    storage.read_many(&requests, InFlight::new(16, 1 << 30));
    assert!((2..=16).contains(&storage.most_in_flight()), "{}", storage.most_in_flight());
}

#[test]
fn bytes_bound_what_is_under_way() {
    let (storage, _) = filled(16, 5);
    let requests: Vec<_> = (0..16).map(|n| ReadRequest::range(object(n), 0..100)).collect();
    storage.read_many(&requests, InFlight::new(16, 800));
    // Each is charged its bytes and a little more, so that two fit.
    assert!(storage.most_in_flight() <= 2, "{}", storage.most_in_flight());
}

#[test]
fn breaking_off_stops_the_reading() {
    let (storage, requests) = filled(1000, 1);
    storage.read_each(&requests, InFlight::new(4, 4000), &mut |_, _| ControlFlow::Break(()));
    assert!(storage.requests() < 100, "{}", storage.requests());
}

#[test]
fn one_failure_is_one_answer() {
    let (storage, requests) = filled(10, 0);
    storage.fail_at(&object(3), Fault::Fail(StorageErrorKind::Archived));
    storage.fail_at(&object(4), Fault::Short(1));
    let answers = storage.read_many(&requests, InFlight::new(4, 1 << 20));
    let failed: Vec<_> = answers
        .iter()
        .enumerate()
        .filter_map(|(n, answer)| Some((n, answer.as_ref().err()?.kind().clone())))
        .collect();
    assert_eq!(
        failed,
        [(3, StorageErrorKind::Archived), (4, StorageErrorKind::ShortRead { expected: 100, got: 99 })]
    );
}

#[derive(Debug)]
struct Panics;

impl Storage for Panics {
    fn head(&self, _: &Location) -> Result<ObjectMeta> {
        unreachable!()
    }

    fn read(&self, location: &Location, _: &Span) -> Result<Fetched> {
        panic!("no {location}")
    }

    fn list(&self, _: &Location, _: ListScope, _: &mut PageFn<'_>) -> Result<()> {
        unreachable!()
    }
}

#[test]
fn a_panic_is_an_answer_and_not_a_wait_for_ever() {
    let requests: Vec<_> = (0..8).map(|n| ReadRequest::suffix(object(n), 1)).collect();
    let answers = Panics.read_many(&requests, InFlight::new(3, 1000));
    assert!(answers.iter().all(|a| *a.as_ref().unwrap_err().kind() == StorageErrorKind::Other));

    let (storage, requests) = filled(100, 0);
    let taken = catch_unwind(AssertUnwindSafe(|| {
        storage.read_each(&requests, InFlight::new(3, 1000), &mut |_, _| panic!("the taker"));
    }));
    assert!(taken.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bounds_give_the_same_answers(count in 0_usize..40, requests in 0_usize..12, bytes in 0_u64..3000) {
        let (storage, asked) = filled(count, 0);
        let expected: Vec<_> =
            asked.iter().map(|request| storage.read(&request.location, &request.span)).collect();
        prop_assert_eq!(storage.read_many(&asked, InFlight::new(requests, bytes)), expected);
    }
}
