//! Which timers a job has set after so many events, worked out from the plan of events alone, as `testdata/gen` has it.

use std::collections::{BTreeMap, BTreeSet};

/// The time of event 0; one comes every second.
const BEGIN: i64 = 1_700_000_000_000;
/// Where timers of the user lie, but for those just before 0.
const FAR: i64 = 4_102_444_800_000;
/// Milliseconds of a tumbling window, of one in SQL, and of the gap between sessions.
const TUMBLE: i64 = 600_000;
const SQL_TUMBLE: i64 = 120_000;
const GAP: i64 = 3_000;
/// How many keys there are, and how many in SQL.
const KEYS: u64 = 60;
const SQL_KEYS: u64 = 40;

/// The key of an event; keys of all types are made of this number, one to one.
fn key(event: u64, keys: u64) -> u64 {
    if event.is_multiple_of(4) {
        return 0;
    }
    let x = event.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 1) % keys
}

/// The timers of an operator, each with its key and its time, after so many events.
pub(super) fn timers(operator: &str, domain: &str, events: u64) -> BTreeSet<(u64, i64)> {
    let is_sql = operator.starts_with("WindowAggregate");
    let keys = if is_sql { SQL_KEYS } else { KEYS };
    let keyed = (0..events).map(|event| (key(event, keys), event.cast_signed()));
    let is_window = is_sql || matches!(operator, "sessions" | "tumbling" | "tumbling-list");
    match (domain, operator) {
        ("processing", _) if is_window => BTreeSet::new(),
        ("event", "sessions") => ends_of_sessions(keyed),
        ("event", "tumbling" | "tumbling-list") => ends_of_windows(keyed, TUMBLE),
        ("event", _) if is_sql => ends_of_windows(keyed, SQL_TUMBLE),
        // Of the asynchronous API; none of them is deleted.
        ("event", "async") => keyed.filter(|(_, n)| n % 5 == 0).map(|(key, n)| (key, FAR + n)).collect(),
        ("event", _) => {
            // Those far ahead are deleted again at some events.
            let far =
                keyed.clone().filter(|(_, n)| n % 5 == 0 && n % 40 != 20).map(|(key, n)| (key, FAR + n));
            far.chain(keyed.filter(|(_, n)| n % 35 == 0).map(|(key, n)| (key, -1 - n % 10))).collect()
        }
        ("processing", _) => keyed.filter(|(_, n)| n % 7 == 0).map(|(key, n)| (key, FAR + n % 50)).collect(),
        other => panic!("{other:?}"),
    }
}

/// The last milliseconds of the windows that events lie in.
fn ends_of_windows(keyed: impl Iterator<Item = (u64, i64)>, length: i64) -> BTreeSet<(u64, i64)> {
    keyed.map(|(key, n)| (key, ((BEGIN + n * 1000) / length + 1) * length - 1)).collect()
}

/// The last milliseconds of sessions: an event that comes within the gap, or just at its end, prolongs one.
fn ends_of_sessions(keyed: impl Iterator<Item = (u64, i64)>) -> BTreeSet<(u64, i64)> {
    let mut ends: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for (key, n) in keyed {
        let (time, of_key) = (BEGIN + n * 1000, ends.entry(key).or_default());
        if of_key.last().is_some_and(|end| time <= *end) {
            of_key.pop();
        }
        of_key.push(time + GAP);
    }
    ends.into_iter().flat_map(|(key, ends)| ends.into_iter().map(move |end| (key, end - 1))).collect()
}
