//! What a run asked of stores, for people.

use std::time::Duration;

use crate::report::units::{bytes, counted};
use crate::storage::Counts;

/// Lines for stderr. They are measured and differ from run to run, so they are no part of any result.
pub(super) fn told(counts: &Counts, elapsed: Duration) -> String {
    let Counts { head, range, suffix, full, list, remove, copy, put, .. } = *counts;
    let read =
        [(head, "meta data"), (range, "ranges"), (suffix, "tails"), (full, "whole"), (list, "listings")];
    let changed = [(remove, "removals"), (copy, "copies"), (put, "writes")];
    let kinds = read.iter().chain(&changed);
    let kinds: Vec<_> = kinds.filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let mut text = format!("statescope: {}{kinds}", counted(counts.requests(), "request", "requests"));
    for (n, what) in [(counts.failed, "failed"), (counts.retries, "tried again")] {
        if n > 0 {
            text += &format!(", {n} {what}");
        }
    }
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = counts.bytes.saturating_mul(1000) / milliseconds;
    text += &format!("; {} in {:.2} s, {}/s\n", bytes(counts.bytes), elapsed.as_secs_f64(), bytes(rate));
    if counts.kept > 0 {
        let reads = counted(counts.kept, "read", "reads");
        text += &format!("statescope: from the cache: {reads}, {}\n", bytes(counts.kept_bytes));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_is_told() {
        let counts = Counts { head: 1, range: 20, list: 3, retries: 2, bytes: 3 << 20, ..Counts::default() };
        assert_eq!(
            told(&counts, Duration::from_millis(1500)),
            "statescope: 24 requests (1 meta data, 20 ranges, 3 listings), 2 tried again; 3.00 MiB in 1.50 s, 2.00 MiB/s\n"
        );
        let counts = Counts { remove: 1, copy: 2, put: 3, ..Counts::default() };
        let told_of_changes = told(&counts, Duration::ZERO);
        assert!(told_of_changes.contains("6 requests (1 removals, 2 copies, 3 writes)"), "{told_of_changes}");
        let counts = Counts { kept: 1, kept_bytes: 10, ..Counts::default() };
        assert_eq!(
            told(&counts, Duration::ZERO),
            "statescope: 0 requests; 0 B in 0.00 s, 0 B/s\nstatescope: from the cache: 1 read, 10 B\n"
        );
    }
}
