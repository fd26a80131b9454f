//! The memory of a whole `analyze`. `benches/memory.rs` measures it with large snapshots.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Read;
use std::process::Stdio;

use super::live::snapshot::repeated::Repeated;
use super::support::{command, fixture};

/// Bytes that were resident at the peak of an analysis of a snapshot with so many times the databases of the largest
/// fixture; and how many handles these are.
fn peak(times: usize) -> (u64, u64) {
    let fixture = fixture("inc-1.20");
    let directory = tempfile::tempdir().unwrap();
    let made = Repeated::write(&fixture.dir.join(fixture.newest()), times, directory.path());
    let mut child = command()
        .args(["analyze", "-o", "json", "--threads", "2"])
        .args(&made.arguments)
        .arg(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    // When the result comes, all that takes memory is done. It is longer than the pipe, so the process is still there.
    output.read_exact(&mut [0]).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
    output.read_to_end(&mut Vec::new()).unwrap();
    assert!(child.wait().unwrap().success());
    (peak.trim().parse::<u64>().unwrap() << 10, made.handles as u64)
}

#[test]
fn handles_cost_little_more_than_their_names() {
    let (one, few) = peak(1);
    let (many, handles) = peak(100);
    assert!(handles >= 1000, "{handles}");
    // Each has 18 files and 6 states: their names, sizes, bounds and properties are kept, and a few sums of each state.
    // Were lists of top keys and histograms kept, it would be twice as much.
    let each = many.saturating_sub(one) / (handles - few);
    assert!(each < 200 << 10, "{each} bytes for each of {handles} handles");
}
