//! How much memory a whole `analyze` needs at its peak, however large the snapshot is.
//!
//! `cargo bench --bench memory -- SNAPSHOT…` analyzes checkpoints, each a `chk-N` directory; `--times 1,20` names their
//! databases so many times over, as so many files, so that a large snapshot needs no large disk. `--smoke` takes a
//! fixture.
//!
//! Each analysis is the whole command line in a process of its own, with two threads and everything else as it is by
//! default. Its memory is what its allocator has handed out at the peak; beside it stands how much of it was ever
//! resident, with the program itself, where the system tells.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, missing_docs)]

#[path = "support/snapshot.rs"]
mod snapshot;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use snapshot::repeated::Repeated;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is promised, for two threads.
const PROMISED: u64 = 256 << 20;

/// Says to a process that it is the one to be measured: its arguments are the program's.
const MEASURED: &str = "STATESCOPE_BENCH_MEASURED";

/// What a process measured of itself.
struct Peak {
    allocated: u64,
    /// Unknown on systems without `/proc`.
    resident: Option<u64>,
}

/// The program itself; then tells the peak as its last line.
fn measured() -> ExitCode {
    let exit = statescope::cli::run();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    let resident = resident.map_or(0, |kib| kib.trim().parse::<u64>().expect("a number") << 10);
    eprintln!("{} {resident}", ALLOCATOR.peak_usage());
    exit.into()
}

/// Analyzes a snapshot in a process of its own.
fn analyze(snapshot: &Path, more: &[String]) -> (Peak, Duration) {
    let start = Instant::now();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(MEASURED, "1").args(["analyze", "--threads", "2"]).args(more).arg(snapshot);
    let output = command.stdin(Stdio::null()).output().expect("a process");
    let time = start.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let (allocated, resident) =
        errors.lines().last().and_then(|last| last.split_once(' ')).expect("what it measured");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let resident = Some(number(resident)).filter(|resident| *resident > 0);
    (Peak { allocated: number(allocated), resident }, time)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn measure(path: &Path, times: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let made = Repeated::write(path, times, directory.path());
    let (peak, time) = analyze(directory.path(), &made.arguments);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let resident =
        peak.resident.map_or_else(String::new, |bytes| format!(" ({:.1} MiB resident)", mib(bytes)));
    println!(
        "{}, {times} ×: {:.3} GB of SST files in {} handles: {:.1} MiB at the peak{resident}, {:.2} s",
        path.display(),
        made.sst_bytes as f64 / 1e9,
        made.handles,
        mib(peak.allocated),
        time.as_secs_f64()
    );
    assert!(peak.allocated.max(peak.resident.unwrap_or(0)) <= PROMISED, "{PROMISED} bytes are promised");
}

fn main() -> ExitCode {
    if std::env::var_os(MEASURED).is_some() {
        return measured();
    }
    let (mut smoke, mut times, mut paths) = (false, vec![1], Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" | "--test" => smoke = true,
            "--bench" => {}
            "--times" => {
                let numbers = arguments.next().expect("numbers");
                times = numbers.split(',').map(|n| n.parse().expect("a number")).collect();
            }
            path => paths.push(PathBuf::from(path)),
        }
    }
    if smoke {
        let fixture = "testdata/fixtures/inc-1.20/data/5d2540f5e7217808104f10b37e4524bc/chk-4";
        paths.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture));
        times = vec![1, 20];
    }
    assert!(!paths.is_empty(), "name a checkpoint: a chk-N directory");
    for path in &paths {
        times.iter().for_each(|&times| measure(path, times));
    }
    ExitCode::SUCCESS
}
