//! What a whole `analyze` takes from an object store, compared with the longer of the same from local disk and a plain
//! download of the same objects.
//!
//! `cargo bench --bench network -- SNAPSHOT…` takes checkpoints, each a `chk-N` directory of a job's directory; `--smoke`
//! takes a fixture. The store is a server on loopback in this process that answers range requests from the files, so
//! that it costs as little as a store can; its own work and the loopback's are part of every figure but the first.
//! A second round adds 30 ms to every answer.
//!
//! `--endpoint URL` asks another S3 server instead, such as moto, in whose bucket `bucket` the job's
//! directory lies already, with the credentials of the environment.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../tests/it/support/object_server.rs"]
mod object_server;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use object_server::{BUCKET, Behaviour, ObjectServer};
use statescope::storage::{Access, Location, Meter, ObjectStorage, Storage};

/// What is promised of the ratio without latency.
const PROMISED: f64 = 1.15;

/// How many requests are under way at once, in an analysis and in a download.
const REQUESTS: usize = 32;

/// Bytes of a request of the download.
const PART: u64 = 8 << 20;

/// Says to a process that it is the program: its arguments are the program's.
const PROGRAM: &str = "STATESCOPE_BENCH_PROGRAM";

/// Analyzes a snapshot with the command line, in a process of its own. Returns what it printed, without where it was.
fn analyze(place: &str, more: &[&str]) -> (Duration, String) {
    let start = Instant::now();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(PROGRAM, "1").args(["analyze", "-o", "json", "--at", "1800000000000"]).args(more).arg(place);
    command.args(["--in-flight", &REQUESTS.to_string()]);
    let output = command.stdin(Stdio::null()).output().expect("a process");
    let time = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("a text");
    let root = place.trim_end_matches('/').rsplit_once('/').expect("a job's directory").0;
    let root = root.rsplit_once('/').expect("a root").0;
    let text = text.replace(root, "PLACE");
    let when = ["\"completed_at_ms\"", "\"modified_ms\""];
    (
        time,
        text.lines()
            .filter(|line| !when.iter().any(|when| line.contains(when)))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

/// Reads all objects, so many parts at once, and drops them.
fn download(endpoint: &str, anonymous: bool, objects: Vec<(String, u64)>) -> Duration {
    let environment = std::env::vars().collect();
    let access = Access { endpoint: Some(endpoint.to_owned()), anonymous, environment, ..Access::default() };
    let storage = ObjectStorage::new(access, Arc::new(Meter::new()));
    let parts = |(key, size): (String, u64)| {
        let location = Location::parse(&format!("s3://{BUCKET}/{key}")).expect("a place");
        let starts = (0..size).step_by(usize::try_from(PART).expect("a small number"));
        starts.map(move |start| (location.clone(), start..(start + PART).min(size))).collect::<Vec<_>>()
    };
    let parts: Vec<_> = objects.into_iter().flat_map(parts).collect();
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..REQUESTS {
            scope.spawn(|| {
                while let Some((location, range)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    storage.read_range(location, range.clone()).expect("bytes");
                }
            });
        }
    });
    start.elapsed()
}

fn measure(path: &Path, latency: Duration, rounds: usize, asserts: bool, endpoint: Option<&str>) {
    let path = path.canonicalize().expect("a checkpoint");
    let job = path.parent().expect("a job's directory");
    let name = job.file_name().and_then(|name| name.to_str()).expect("a plain name");
    let server = ObjectServer::start(Behaviour { latency, ..Behaviour::default() });
    server.put_directory(job, &format!("{name}/"));
    let bytes: u64 = server.objects().iter().map(|(_, size)| size).sum();
    let chk = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
    let there = format!("s3://{BUCKET}/{name}/{chk}");
    let anonymous = endpoint.is_none();
    let endpoint = endpoint.unwrap_or(server.endpoint());
    let reach = [&["--endpoint", endpoint][..], if anonymous { &["--anonymous"] } else { &[] }].concat();
    let [mut local, mut remote, mut plain] = [Duration::MAX; 3];
    let mut asked = 0;
    // In turns, since the machine is not always as fast.
    for _ in 0..rounds {
        let (time, here) = analyze(path.to_str().expect("a plain path"), &[]);
        local = local.min(time);
        plain = plain.min(download(endpoint, anonymous, server.objects()));
        let before = server.requests();
        let (time, report) = analyze(&there, &reach);
        asked = server.requests() - before;
        remote = remote.min(time);
        assert_eq!(report, here, "the same files have another report");
    }
    let ratio = remote.as_secs_f64() / local.max(plain).as_secs_f64();
    println!(
        "{chk}, {:.1} MB, {} ms a request: local {:.2} s, download {:.2} s, from the store {:.2} s in {asked} requests: {ratio:.2} ×",
        bytes as f64 / 1e6,
        latency.as_millis(),
        local.as_secs_f64(),
        plain.as_secs_f64(),
        remote.as_secs_f64()
    );
    assert!(!asserts || ratio <= PROMISED, "at most {PROMISED} × is promised");
}

fn main() -> std::process::ExitCode {
    if std::env::var_os(PROGRAM).is_some() {
        return statescope::cli::run().into();
    }
    let (mut smoke, mut rounds, mut paths, mut endpoint) = (false, 3, Vec::new(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" | "--test" => smoke = true,
            "--bench" => {}
            "--endpoint" => endpoint = arguments.next(),
            "--rounds" => rounds = arguments.next().and_then(|n| n.parse().ok()).expect("a number"),
            path => paths.push(PathBuf::from(path)),
        }
    }
    if smoke {
        let fixture = "testdata/fixtures/inc-1.20/data/5d2540f5e7217808104f10b37e4524bc/chk-4";
        paths.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture));
        rounds = 1;
    }
    assert!(!paths.is_empty(), "name a checkpoint: a chk-N directory");
    for path in &paths {
        measure(path, Duration::ZERO, rounds, !smoke, endpoint.as_deref());
        if endpoint.is_none() {
            measure(path, Duration::from_millis(30), rounds, false, None);
        }
    }
    std::process::ExitCode::SUCCESS
}
