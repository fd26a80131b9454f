//! What in the figures is worth telling.

use std::collections::HashSet;

use super::partial::Problem;
use super::types::{AnalysisTotals, DiskBytes, OperatorAnalysis, SstFiles, StateAnalysis, TopKey};
use crate::model::{Finding, Severity};

/// Below this, a state is too small to hurt: on-disk bytes, or raw live ones.
const LARGE_BYTES: u64 = 1 << 20;

/// What in the figures is worth telling.
pub(super) fn of(
    totals: &AnalysisTotals,
    states: &[StateAnalysis],
    operators: &[OperatorAnalysis],
    stale: &HashSet<&str>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for state in states {
        let part = format!("state {} of {}", state.name, state.operator);
        let of_state = [
            contradictions(state),
            keys_not_cut(state),
            ttl_not_covered(state, totals),
            mostly_expired(state),
            compaction_filter(state),
            dead(state),
            kryo(state, totals),
            overdue(state),
            far_future(state),
            timers_not_counted(state),
        ];
        found.extend(of_state.into_iter().flatten().map(|finding| finding.of(part.clone())));
    }
    for operator in operators {
        let name = operator.name.as_ref().or(operator.uid.as_ref()).unwrap_or(&operator.id);
        let is_stale = stale.contains(operator.id.as_str());
        let of_operator = [hot_key(operator), skew(operator), is_stale.then(changelog_not_applied)];
        found.extend(of_operator.into_iter().flatten().map(|finding| finding.of(format!("operator {name}"))));
    }
    found
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn contradictions(state: &StateAnalysis) -> Option<Finding> {
    let found: Vec<_> = state.not_walked.iter().filter(|n| n.contradiction).collect();
    let rows = found.iter().fold(0u64, |rows, n| rows.saturating_add(n.rows));
    let first = found.first()?;
    let example = first.example.as_ref().map_or(String::new(), |example| {
        let sst = example.sst.map_or_else(String::new, |sst| format!(" in {sst:06}.sst"));
        format!("; the first is {}{sst} of subtask {}", example.key_hex, example.subtask)
    });
    // Values count as they are; of a key that is not what it should be, nothing can be told.
    let figures_stand = found.iter().all(|n| n.problem == Problem::ValueContradicts);
    let severity = if figures_stand { Severity::Warning } else { Severity::Error };
    Some(Finding::new(
        severity,
        ROWS_CONTRADICT,
        format!("{rows} rows are not what their serializers write: {}{example}", first.reason),
        "figures of keys and entries leave them out; report it with the types of key and value",
    ))
}

/// Rows that are not what their serializers write; an error where figures leave them out.
const ROWS_CONTRADICT: &str = "rows_contradict_serializer";

fn keys_not_cut(state: &StateAnalysis) -> Option<Finding> {
    let cause = state.not_walked.iter().find(|n| n.problem == Problem::KeyNotCut)?;
    Some(Finding::info(
        "keys_not_cut",
        format!(
            "the keys of {} rows cannot be told apart from what follows them: {}",
            cause.rows, cause.reason
        ),
        "sizes and key groups are exact; only figures by key leave these rows out",
    ))
}

fn ttl_not_covered(state: &StateAnalysis, totals: &AnalysisTotals) -> Option<Finding> {
    let on_disk = |disk: Option<DiskBytes>, sst: SstFiles| disk.map_or(sst.bytes, |disk| disk.bytes);
    let (of_state, of_all) =
        (on_disk(state.disk, state.sst.unwrap_or_default()), on_disk(totals.disk, totals.sst));
    let entries = state.live.as_ref().map_or_else(|| "its".to_owned(), |live| format!("{}", live.entries));
    let large = of_state >= LARGE_BYTES && of_state >= of_all / 10;
    let uncovered = state.ttl.asked && state.ttl.covered == Some(false);
    (large && uncovered).then(|| {
        Finding::warning(
            "ttl_not_covered",
            format!("{entries} entries have no time-to-live: nothing but the job removes them"),
            "give the state a StateTtlConfig, or make sure that the job clears it",
        )
    })
}

fn mostly_expired(state: &StateAnalysis) -> Option<Finding> {
    let expired = state.ttl.expired.as_ref()?;
    (expired.share > 0.5 && expired.bytes >= LARGE_BYTES).then(|| {
        Finding::warning(
            "mostly_expired",
            format!("{} of its entries are expired and still on disk", percent(expired.share)),
            "compactions have not met them yet: let RocksDB compact more often, such as with periodic compactions",
        )
    })
}

fn compaction_filter(state: &StateAnalysis) -> Option<Finding> {
    let expired = state.ttl.expired.as_ref()?;
    let when_written = expired.when_written?;
    (when_written >= 1000 && when_written >= expired.entries / 10).then(|| {
        Finding::warning(
            "ttl_filter_idle",
            format!(
                "{when_written} entries were already expired when a compaction wrote the file that they lie in"
            ),
            "the TTL compaction filter does not remove them: enable cleanupInRocksdbCompactFilter, and compare the TTL",
        )
    })
}

fn dead(state: &StateAnalysis) -> Option<Finding> {
    let (bytes, share) = match (&state.disk, &state.estimates) {
        (Some(disk), _) => (disk.bytes, disk.dead_share?),
        // Only what is certain is worth a warning.
        (None, Some(estimates)) => (state.sst.unwrap_or_default().bytes, estimates.dead_share.low),
        (None, None) => return None,
    };
    (share > 0.5 && bytes >= LARGE_BYTES).then(|| {
        Finding::warning(
            "mostly_dead",
            format!(
                "{} of its on-disk bytes are tombstones, shadowed versions or of other key groups",
                percent(share)
            ),
            "compactions lag behind: more background threads or fewer updates help; after a rescaling they catch up",
        )
    })
}

fn kryo(state: &StateAnalysis, totals: &AnalysisTotals) -> Option<Finding> {
    let (touched, live) = (state.kryo.touched_bytes?, totals.live.as_ref()?.bytes);
    let first = state.kryo.paths.first()?;
    (touched >= LARGE_BYTES && touched >= live / 10).then(|| {
        Finding::warning(
            "kryo_share",
            format!("{touched} raw bytes pass through Kryo, first for {} at {}", first.class, first.path),
            "give the type a serializer of Flink's (a POJO, a TypeInfo): Kryo is large, slow and does not evolve",
        )
    })
}

fn overdue(state: &StateAnalysis) -> Option<Finding> {
    let timers = state.timers.as_ref().filter(|timers| timers.overdue)?;
    (timers.until_reference >= 1000 && timers.until_reference >= timers.timers / 10).then(|| {
        Finding::warning(
            "timers_overdue",
            format!("{} processing-time timers are overdue", timers.until_reference),
            "the operator cannot keep up, or did not run: they all fire when the job is restored",
        )
    })
}

fn far_future(state: &StateAnalysis) -> Option<Finding> {
    let timers = state.timers.as_ref().filter(|timers| timers.far_future > 0)?;
    Some(Finding::info(
        "timers_far_future",
        format!("{} timers are due more than a year after the reference time", timers.far_future),
        "look for wrong units or timestamps: what waits for them stays",
    ))
}

fn timers_not_counted(state: &StateAnalysis) -> Option<Finding> {
    let groups = state.keys.as_ref()?.key_groups_not_counted;
    (groups > 0).then(|| {
        Finding::warning(
            "timer_keys_not_counted",
            format!(
                "the keys of timers in {groups} key groups did not fit into memory, nor could they be spilled"
            ),
            "the timers are counted; figures by key leave these key groups out: give it more memory",
        )
    })
}

fn hot_key(operator: &OperatorAnalysis) -> Option<Finding> {
    let keys = operator.keys.as_ref().filter(|keys| keys.keys >= 100)?;
    let TopKey { key_group, hex, text, bytes, share, .. } = keys.top_by_bytes.first()?;
    (*share > 0.05 && *bytes >= LARGE_BYTES).then(|| {
        Finding::warning(
            "hot_key",
            format!(
                "one key of {} holds {} of the bytes: {} in key group {key_group}",
                keys.keys,
                percent(*share),
                text.as_ref().unwrap_or(hex)
            ),
            "no parallelism spreads a single key: salt it, aggregate before keyBy, or look for a default value",
        )
    })
}

fn skew(operator: &OperatorAnalysis) -> Option<Finding> {
    let even = &operator.skew.as_ref()?.subtasks;
    (even.parts > 1 && even.bytes_max_to_mean > 2.0 && even.max_bytes >= LARGE_BYTES).then(|| {
        Finding::warning(
            "subtasks_skewed",
            format!(
                "subtask {} holds {:.1} times as many bytes as subtasks do on average",
                even.largest.unwrap_or(0),
                even.bytes_max_to_mean
            ),
            "compare other parallelisms (--parallelism); a hot key is not spread by any",
        )
    })
}

fn changelog_not_applied() -> Finding {
    Finding::warning(
        "changelog_not_applied",
        "figures are those of the last materialization: the changes since then are not applied",
        "analyze with --depth full and without --engine applies them; their sizes are listed with what is not analyzed",
    )
}
