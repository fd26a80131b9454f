//! A store that answers wrongly: whatever it does, what comes is right or an error, and what can be tried again is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use statescope::storage::{
    Access, AfterKey, Counts, InFlight, ListScope, Location, Meter, ObjectStorage, ReadRequest, Result, Span,
    Storage, StorageErrorKind as Kind,
};

use super::conformance;
use crate::support::object_server::{BUCKET, Behaviour, Fault, Faults, ObjectServer, SERVER_TIME};

fn storage(server: &ObjectServer) -> (ObjectStorage, Arc<Meter>) {
    let access = Access {
        endpoint: Some(server.endpoint().to_owned()),
        anonymous: true,
        backoff: Duration::from_micros(100),
        timeout: Duration::from_secs(5),
        retries: 8,
        ..Access::default()
    };
    let meter = Arc::new(Meter::with_log());
    (ObjectStorage::new(access, Arc::clone(&meter)), meter)
}

fn server(faults: Box<Faults>) -> ObjectServer {
    ObjectServer::start(Behaviour { faults, page: 3, ..Behaviour::default() })
}

fn root() -> Location {
    Location::parse(&format!("s3://{BUCKET}/dir")).unwrap()
}

fn conforms(faults: Box<Faults>) -> Arc<Meter> {
    let server = server(faults);
    let (storage, meter) = storage(&server);
    let put = |location: &Location, bytes: &[u8]| server.put(location.key(), bytes);
    conformance::run(&storage, &root(), &put);
    conformance::run_pages(&storage, &root().join("more").unwrap(), &put, 3);
    meter
}

#[test]
fn the_server_of_these_tests_conforms() {
    let meter = conforms(Box::new(|_, _| None));
    assert_eq!(meter.counts().retries, 0);
    let server = server(Box::new(|_, _| None));
    let (storage, meter) = storage(&server);
    assert_eq!(storage.list_after(&root(), "a", &mut |_| unreachable!()).unwrap(), AfterKey::Listed);
    assert_eq!(storage.server_time(&root()).unwrap(), Some(SERVER_TIME.1));
    assert_eq!(meter.counts(), Counts { list: 2, ..Counts::default() });
}

#[test]
fn what_goes_wrong_now_and_then_is_not_noticed() {
    let all = [Fault::NoAnswer, Fault::BreaksOff, Fault::Status(500), Fault::Status(503), Fault::Slow];
    for fault in all {
        let meter = conforms(Box::new(move |_, same| (same % 4 == 0).then_some(fault)));
        assert_eq!(meter.counts().retries > 0, fault != Fault::Slow, "{fault:?}");
    }
    conforms(Box::new(move |number, same| all.get(number as usize % 5).copied().filter(|_| same % 3 == 0)));
}

/// Every way to ask; each answer is what it is to be, or an error.
fn ask_everything(storage: &dyn Storage, fault: Fault) -> (usize, usize) {
    let object = root().join("object").unwrap();
    let truth: Vec<u8> = (0..100).collect();
    let (mut right, mut failed) = (0, 0);
    let mut check = |what: &str, answer: Result<Vec<u8>>, expected: &[u8]| match answer {
        Ok(bytes) => {
            assert_eq!(bytes, expected, "{fault:?}: {what}");
            right += 1;
        }
        Err(error) => {
            assert!(!matches!(error.kind(), Kind::NotFound), "{fault:?}: {what}: {error}");
            failed += 1;
        }
    };
    for range in [0..100, 0..1, 99..100, 10..60] {
        let bytes = storage.read_range(&object, range.clone()).map(|bytes| bytes.to_vec());
        check("range", bytes, &truth[range.start as usize..range.end as usize]);
    }
    for length in [1, 40, 100, 1000] {
        let answer = storage.read_suffix(&object, length);
        let expected = &truth[100 - length.min(100) as usize..];
        check("suffix", answer.map(|(bytes, _)| bytes.to_vec()), expected);
    }
    // Where a range was asked for, an answer says how long the object is; else, what is said to be the whole is.
    if ![Fault::ShortBody, Fault::LongBody, Fault::LengthTooSmall].contains(&fault) {
        check("whole", storage.read_all(&object, 1000).map(|bytes| bytes.to_vec()), &truth);
    }
    let requests = [ReadRequest::range(object.clone(), 5..25), ReadRequest::suffix(object.clone(), 3)];
    let mut answers = storage.read_many(&requests, InFlight::default()).into_iter();
    check("first of many", answers.next().unwrap().map(|fetched| fetched.bytes.to_vec()), &truth[5..25]);
    check("second of many", answers.next().unwrap().map(|fetched| fetched.bytes.to_vec()), &truth[97..]);
    for scope in [ListScope::Children, ListScope::Recursive] {
        let names = storage.list_all(&root(), scope).map(|entries| {
            let names: Vec<_> =
                entries.iter().map(|entry| entry.location().unwrap().key().to_owned()).collect();
            names.join(" ").into_bytes()
        });
        check("list", names, b"dir/a dir/b dir/c dir/d dir/object");
    }
    (right, failed)
}

#[test]
fn what_always_goes_wrong_is_an_error_and_never_other_bytes() {
    for fault in [
        Fault::NoAnswer,
        Fault::BreaksOff,
        Fault::Status(500),
        Fault::Status(503),
        Fault::Slow,
        Fault::ShortBody,
        Fault::LongBody,
        Fault::LengthTooLarge,
        Fault::LengthTooSmall,
        Fault::ShiftedRange,
        Fault::WholeObject,
    ] {
        let server = server(Box::new(move |_, _| Some(fault)));
        server.put("dir/object", &(0..100).collect::<Vec<u8>>());
        ["a", "b", "c", "d"].iter().for_each(|name| server.put(&format!("dir/{name}"), b"x"));
        let (storage, meter) = storage(&server);
        let start = Instant::now();
        let (right, failed) = ask_everything(&storage, fault);
        let asked = meter.counts();
        // Each call is tried at most so often, and some look once more how long the object is.
        assert!(
            server.requests() <= (asked.requests() + 13) * 10,
            "{fault:?}: {} {asked:?}",
            server.requests()
        );
        assert!(start.elapsed() < Duration::from_secs(20), "{fault:?}: {:?}", start.elapsed());
        match fault {
            Fault::Slow => assert_eq!(failed, 0),
            Fault::NoAnswer | Fault::Status(_) => assert_eq!(right, 0, "{fault:?}"),
            _ => assert!(failed > 0, "{fault:?}: {right} right"),
        }
    }
}

#[test]
fn the_body_of_an_error_is_not_read_without_end() {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let written = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(stream.try_clone().unwrap())
            .lines()
            .take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
            .count();
        let error = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        let head = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n";
        write!(stream, "{head}\r\n{:x}\r\n{error}\r\n", error.len()).unwrap();
        let mut written = 0;
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while written < 64 << 20 && stream.write_all(chunk.as_bytes()).is_ok() {
            written += chunk.len();
        }
        written
    });
    let access = Access { endpoint: Some(endpoint), anonymous: true, retries: 0, ..Access::default() };
    let storage = ObjectStorage::new(access, Arc::default());
    let error = storage.read(&root(), &Span::Range(0..10)).unwrap_err();
    assert_eq!(*error.kind(), Kind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("AccessDenied: no"), "{error}");
    drop(storage);
    assert!(written.join().unwrap() < 32 << 20);
}
