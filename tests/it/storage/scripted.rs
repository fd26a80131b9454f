//! What a client makes of what servers say: answers that are written here, one for each request.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use statescope::storage::{
    Access, AfterKey, Counts, ListEntry, ListScope, Location, Meter, ObjectStorage, Storage,
    StorageErrorKind as Kind,
};

/// Gives these answers, each on a connection of its own, and says which requests came: their first lines and ranges.
fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
            let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let range = lines.iter().find(|line| line.to_ascii_lowercase().starts_with("range:"));
            requests.push(format!("{} {}", lines[0], range.map_or("", String::as_str)));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    });
    (address, server)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let headers = format!("{headers}Connection: close\r\nContent-Length: {}\r\n", body.len());
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

fn error(status: &str, code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>the &amp; message</Message></Error>");
    answer(status, "", &body)
}

fn part(range: &str, body: &str) -> String {
    let times = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nETag: \"tag\"\r\n";
    answer("206 Partial Content", &format!("{times}Content-Range: bytes {range}/10\r\n"), body)
}

fn storage(endpoint: String, region: Option<&str>) -> (ObjectStorage, Arc<Meter>) {
    let environment = [("AWS_ACCESS_KEY_ID", "some-key"), ("AWS_SECRET_ACCESS_KEY", "top-secret")];
    let access = Access {
        endpoint: Some(endpoint),
        region: region.map(str::to_owned),
        environment: environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        backoff: Duration::from_millis(1),
        timeout: Duration::from_secs(5),
        retries: 3,
        ..Access::default()
    };
    let meter = Arc::new(Meter::new());
    (ObjectStorage::new(access, Arc::clone(&meter)), meter)
}

fn object() -> Location {
    Location::parse("s3://bucket/a b/object").unwrap()
}

#[test]
fn what_is_throttled_is_asked_again() {
    let slow = error("503 Slow Down", "SlowDown");
    let (endpoint, server) = serve(vec![slow.clone(), slow, part("2-5", "cdef")]);
    let (storage, meter) = storage(endpoint, None);
    assert_eq!(storage.read_range(&object(), 2..6).unwrap(), "cdef");
    assert_eq!(meter.counts(), Counts { range: 1, retries: 2, bytes: 4, ..Counts::default() });
    let requests = server.join().unwrap();
    assert_eq!(requests, vec!["GET /bucket/a%20b/object HTTP/1.1 range: bytes=2-5"; 3]);
}

#[test]
fn a_body_that_breaks_off_is_read_on() {
    let cut = part("2-5", "cdef").replace("cdef", "cd");
    let (endpoint, server) = serve(vec![cut, part("4-5", "ef")]);
    let (storage, meter) = storage(endpoint, None);
    assert_eq!(storage.read_range(&object(), 2..6).unwrap(), "cdef");
    assert_eq!(meter.counts(), Counts { range: 1, retries: 1, bytes: 4, ..Counts::default() });
    assert!(server.join().unwrap()[1].ends_with("bytes=4-5"));
}

#[test]
fn failures_name_what_the_store_said_and_who_asked() {
    for (status, code, kind, said) in [
        ("403 Forbidden", "AccessDenied", Kind::PermissionDenied, "as AWS_ACCESS_KEY_ID of the environment"),
        ("403 Forbidden", "ExpiredToken", Kind::Unauthenticated, "ExpiredToken: the & message"),
        ("403 Forbidden", "InvalidObjectState", Kind::Archived, "restore the object"),
        ("404 Not Found", "NoSuchKey", Kind::NotFound, "nothing is there"),
        ("404 Not Found", "NoSuchBucket", Kind::NotFound, "check the name of the bucket"),
        ("400 Bad Request", "Odd", Kind::Other, "Odd: the & message"),
    ] {
        // A request that is merely refused is looked into once more: the object may be too short.
        let answers = if kind == Kind::Other { 2 } else { 1 };
        let (endpoint, server) = serve(vec![error(status, code); answers]);
        let error = storage(endpoint, None).0.read_range(&object(), 0..4).unwrap_err();
        assert_eq!(*error.kind(), kind, "{code}: {error}");
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("s3://bucket/a b/object"), "{code}: {text}");
        assert!(!text.contains("top-secret") && !text.contains("some-key"), "{text}");
        server.join().unwrap();
    }
}

#[test]
fn a_bucket_in_another_region_is_asked_there_unless_the_user_said_which() {
    let moved = answer("301 Moved Permanently", "x-amz-bucket-region: eu-central-1\r\n", "");
    let (endpoint, server) = serve(vec![moved.clone(), part("2-5", "cdef"), part("2-5", "cdef")]);
    let (found, meter) = storage(endpoint, None);
    for _ in 0..2 {
        assert_eq!(found.read_range(&object(), 2..6).unwrap(), "cdef");
    }
    assert_eq!(meter.counts(), Counts { range: 2, retries: 1, bytes: 8, ..Counts::default() });
    server.join().unwrap();

    let (endpoint, server) = serve(vec![moved.clone(), moved]);
    let error = storage(endpoint, Some("us-east-1")).0.read_range(&object(), 0..4).unwrap_err();
    assert!(error.to_string().contains("--region eu-central-1"), "{error}");
    server.join().unwrap();
}

fn entry(key: &str, size: u64) -> String {
    format!(
        "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2015-10-21T07:28:00Z</LastModified></Contents>"
    )
}

fn page(entries: &[String], token: &str) -> String {
    let head = "<ListBucketResult><Name>bucket</Name><KeyCount>1</KeyCount>";
    answer("200 OK", "", &format!("{head}{}{token}</ListBucketResult>", entries.concat()))
}

const TOKEN: &str = "<NextContinuationToken>t</NextContinuationToken>";

#[test]
fn a_store_that_lists_from_elsewhere_than_it_was_told_is_found_out() {
    let directory = Location::parse("s3://bucket/d").unwrap();
    let list = |answers: Vec<String>| {
        let (endpoint, server) = serve(answers);
        let mut found = Vec::new();
        let done = storage(endpoint, None).0.list_after(&directory, "c", &mut |page| {
            found.extend(page.iter().map(|entry| entry.location().unwrap().key().to_owned()));
            ControlFlow::Continue(())
        });
        (done, found, server.join().unwrap())
    };
    let all = |names: &[(&str, u64)]| names.iter().map(|(name, size)| entry(name, *size)).collect::<Vec<_>>();
    // The key itself, if a store takes it in, and marks of directories, whose keys end in a slash, are none of its objects.
    let right = page(&all(&[("d/c", 1), ("d/d-x", 1), ("d/d/", 0), ("d/d/e", 1)]), "");
    let (done, found, asked) = list(vec![right]);
    assert_eq!(done.unwrap(), AfterKey::Listed);
    assert_eq!(found, ["d/d-x", "d/d/e"]);
    assert!(asked[0].contains("start-after=d%2Fc") && asked[0].contains("prefix=d%2F"), "{asked:?}");

    for disregards in [[("d/a", 1), ("d/d", 1)], [("d/e", 1), ("d/d", 1)]] {
        let (done, found, _) = list(vec![page(&all(&disregards), "")]);
        assert_eq!((done.unwrap(), found.len()), (AfterKey::Unsupported, 0));
    }
    let (done, found, _) = list(vec![page(&all(&[("d/f", 1)]), TOKEN), page(&all(&[("d/e", 1)]), "")]);
    assert!(done.unwrap_err().to_string().contains("lists d/e out of the order of keys"));
    assert_eq!(found, ["d/f"]);
}

#[test]
fn the_time_is_the_servers_and_a_new_one() {
    let at = |headers: &str| {
        let (endpoint, server) = serve(vec![
            page(&[], "").replace("HTTP/1.1 200 OK\r\n", &format!("HTTP/1.1 200 OK\r\n{headers}")),
        ]);
        let time = storage(endpoint, None).0.server_time(&object());
        assert!(server.join().unwrap()[0].contains("max-keys=1"));
        time
    };
    let date = "Date: Wed, 21 Oct 2015 07:28:30 GMT\r\n";
    assert_eq!(at(date).unwrap(), Some(1_445_412_510_000));
    assert_eq!(at(&format!("{date}Age: 0\r\n")).unwrap(), Some(1_445_412_510_000));
    assert!(
        at(&format!("{date}Age: 7\r\n")).unwrap_err().to_string().contains("kept by a proxy for 7 seconds")
    );
    for bad in ["", "Date: yesterday\r\n", "Date: \r\n"] {
        assert!(at(bad).unwrap_err().to_string().contains("does not say what time it is"), "{bad:?}");
    }
}

#[test]
fn what_a_listing_says_besides_its_objects_is_not_lost() {
    // The mark of the directory, that of one below it, an empty object, and one that is called like the directory.
    let all = [entry("d/", 0), entry("d/e/", 0), entry("d/e/f", 3), entry("d/g", 0)];
    let (endpoint, server) = serve(vec![page(&all, "")]);
    let directory = Location::parse("s3://bucket/d").unwrap();
    let list = |endpoint| storage(endpoint, None).0.list_all(&directory, ListScope::Recursive);
    let names = |entries: Vec<ListEntry>| -> Vec<String> {
        entries.iter().map(|entry| entry.location().map_or("?".to_owned(), ToString::to_string)).collect()
    };
    assert_eq!(names(list(endpoint).unwrap()), ["s3://bucket/d/e/f", "s3://bucket/d/g"]);
    server.join().unwrap();

    let (endpoint, server) = serve(vec![page(&[entry("d/", 7), entry("d/x", 1)], "")]);
    assert_eq!(names(list(endpoint).unwrap()), ["?", "s3://bucket/d/x"]);
    server.join().unwrap();

    let (endpoint, server) = serve(vec![page(&all, TOKEN), page(&all, TOKEN)]);
    assert!(list(endpoint).unwrap_err().to_string().contains("the same page again"));
    server.join().unwrap();
}

#[test]
fn a_store_that_nobody_runs_is_not_available() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (storage, meter) = storage(endpoint, None);
    let error = storage.head(&object()).unwrap_err();
    assert_eq!(*error.kind(), Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    // It is tried twice, and then no more: a snapshot may name thousands of objects there.
    assert_eq!(meter.counts(), Counts { head: 1, failed: 1, retries: 1, ..Counts::default() });
    let error = storage.head(&object()).unwrap_err();
    assert_eq!(*error.kind(), Kind::Unavailable, "{error}");
    assert_eq!(meter.counts(), Counts { head: 2, failed: 2, retries: 1, ..Counts::default() });
}
