//! Whole commands on a store of this process.

use std::fs;
use std::process::Output;

use crate::support::object_server::{BUCKET, Behaviour, ObjectServer};
use crate::support::{command, fixture};

const FIXTURE: &str = "inc-1.20";

fn server() -> ObjectServer {
    let server = ObjectServer::start(Behaviour::default());
    server.put_directory(&fixture(FIXTURE).dir.join("data"), "data/");
    server
}

fn run(server: &ObjectServer, more: &[&str], path: &str) -> Output {
    let mut command = command();
    command.args([
        "analyze",
        "-o",
        "json",
        "--at",
        "1800000000000",
        "--anonymous",
        "--endpoint",
        server.endpoint(),
    ]);
    let output = command.args(more).arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn newest() -> String {
    format!("s3://{BUCKET}/{}", fixture(FIXTURE).newest())
}

#[test]
fn what_is_kept_costs_one_question_about_each_object() {
    let (server, kept) = (server(), tempfile::tempdir().unwrap());
    let plain = run(&server, &[], &newest());
    assert!(plain.stderr.is_empty());
    let before = (server.requests(), server.bytes());
    let (asked, got) = before;
    let cache = ["--cache", kept.path().to_str().unwrap(), "--stats"];
    let first = run(&server, &cache, &newest());
    assert_eq!(first.stdout, plain.stdout);
    // The tails of small tables hold what is asked for later.
    let (asked, got) = (server.requests() - asked, server.bytes() - got);
    assert!(asked <= before.0 && got <= before.1, "{asked} {got} {before:?}");

    let (so_far, bytes_so_far) = (server.requests(), server.bytes());
    let objects = server.objects().len() as u64;
    let second = run(&server, &cache, &newest());
    assert_eq!(second.stdout, plain.stdout);
    // Listings, and a HEAD for each object that is read; nothing of an object.
    let (asked, got) = (server.requests() - so_far, server.bytes() - bytes_so_far);
    assert!(asked <= objects + 10, "{asked} of {objects}");
    assert!(got < 10_000, "{got}");
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.contains(" meta data") && told.contains("from the cache: "), "{told}");
    assert!(!told.contains("ranges"), "{told}");
    let told = String::from_utf8(first.stderr).unwrap();
    assert!(told.contains(" ranges") && told.contains(" tails"), "{told}");

    // An object that is gone is noticed.
    let (gone, _) = server.objects().into_iter().find(|(key, _)| key.contains("/shared/")).unwrap();
    server.remove(&gone);
    let mut command = command();
    command.args(["analyze", "--anonymous", "--endpoint", server.endpoint()]).args(cache).arg(newest());
    assert_eq!(command.output().unwrap().status.code(), Some(5));
}

#[test]
fn a_cache_that_cannot_be_made_is_said_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = command();
    command.args(["inspect", "s3://bucket/x", "--cache", file.path().to_str().unwrap()]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--cache"));
}

#[test]
fn a_path_as_it_stands_in_flinks_configuration_leads_to_the_snapshot() {
    let server = server();
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("config.yaml");
    let endpoint = server.endpoint();
    fs::write(&conf, format!("s3:\n  endpoint: {endpoint}\n  entropy:\n    key: _entropy_\n")).unwrap();
    let marked = newest().replacen("/data/", "/data/_entropy_/", 1);
    let there = run(&server, &["--flink-conf", conf.to_str().unwrap()], &marked);
    assert_eq!(there.stdout, run(&server, &[], &newest()).stdout);
}
