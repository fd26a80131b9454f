//! Prune against a model of Flink: random histories of many jobs, played in a store in memory.
//!
//! [`flink`] writes, names and deletes files as Flink does, and knows what each job needs; it was written from Flink's
//! behaviour, not from what prunes. [`pruner`] prunes with evidence that is true, and is watched: each single removal is
//! judged when it happens. [`random`] lets everything happen in any order, also while a prune lists, reads and removes.
//!
//! Some thousand histories are played in the default suite. For more, in release and on several threads:
//!
//! ```text
//! STATESCOPE_HISTORIES=100000 cargo test --release --locked --test it -- --ignored --nocapture prune_model
//! ```
//!
//! `STATESCOPE_HISTORIES=FIRST..END` plays histories by their seeds; a failure prints the seed and all that happened.

mod directed;
mod faults;
mod flink;
mod pruner;
mod random;
mod rules;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use random::{Counts, play};

/// Plays histories on all cores.
fn play_all(seeds: Range<u64>) -> Counts {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new((Counts::new(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut counts = Counts::new();
                let mut failures: Vec<String> = Vec::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Err(failure) = play(seed, &mut counts) {
                        failures.push(failure);
                    }
                }
                let mut all = all.lock().unwrap();
                for (what, count) in counts {
                    *all.0.entry(what).or_default() += count;
                }
                all.1.extend(failures);
            });
        }
    });
    let (counts, mut failures) = all.into_inner().unwrap();
    // The shortest history says the most.
    failures.sort_by_key(String::len);
    let firsts: Vec<_> = failures.iter().filter_map(|failure| failure.lines().next()).take(20).collect();
    assert!(
        failures.is_empty(),
        "{} histories went wrong:\n{}\n\n{}",
        failures.len(),
        firsts.join("\n"),
        failures[0]
    );
    counts
}

/// What has to happen, how often in a thousand histories.
const OFTEN: [(&str, u64); 14] = [
    ("plans with candidates", 400),
    ("applies", 500),
    ("applies that died half way", 30),
    ("refused applies: R6", 30),
    ("removed: marked, of a job that did not end", 40),
    ("removed: snapshots", 60),
    ("removed: files of such snapshots", 80),
    ("removed: abandoned chk-N", 80),
    ("removed: abandoned _metadata", 80),
    ("removed: shared orphans", 100),
    ("removed: merged orphans", 40),
    ("removed: working files", 150),
    ("removed: state changes", 50),
    ("savepoints gone by name", 50),
];

fn all_happened(counts: &Counts, histories: u64) {
    for (what, least) in OFTEN {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= least * histories / 1000, "{what}: only {count} times; {counts:#?}");
    }
}

#[test]
fn nothing_that_is_needed_is_removed() {
    const HISTORIES: u64 = 2000;
    all_happened(&play_all(0..HISTORIES), HISTORIES);
}

#[test]
#[ignore = "takes long; the module says how to run it"]
fn nothing_that_is_needed_is_removed_in_many_histories() {
    let text = std::env::var("STATESCOPE_HISTORIES").unwrap_or_else(|_| "100000".to_owned());
    let (first, end) = text.split_once("..").unwrap_or(("0", &text));
    let seeds: Range<u64> = first.parse().unwrap()..end.parse().unwrap();
    let (histories, counts) = (seeds.end - seeds.start, play_all(seeds));
    println!("{histories} histories: {counts:#?}");
    if histories >= 1000 {
        all_happened(&counts, histories);
    }
}
