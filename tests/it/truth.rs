//! What we say of a snapshot against what the job that wrote it knows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use statescope::analyzers::overview::{Overview, StateSummary};

use super::support::{Ask, Differences, Fixture, Seen, fixtures, list, number, see_fixture, text};

/// Runs a comparison for every snapshot of every fixture.
fn compare(at_least: u64, ask: &Ask, check: impl Fn(&mut Differences, &Fixture, &str, &Value, &Seen)) {
    let mut differences = Differences::default();
    for fixture in fixtures() {
        for (path, truth) in fixture.truths() {
            let seen = see_fixture(fixture, &path, ask);
            let label = format!("{}/{path}", fixture.name);
            check(&mut differences, fixture, &label, &truth, &seen);
        }
    }
    differences.none(at_least);
}

/// An operator's part of the truth, and what of it is not to be found in a snapshot without reading state.
struct Known<'a> {
    id: &'a str,
    truth: &'a Value,
    /// The operator's keyed state lies only in a change log.
    in_changes_only: bool,
}

fn states_of<'a>(overview: &'a Overview, id: &str) -> Vec<&'a StateSummary> {
    overview.states.iter().filter(|s| s.operator_id == id).collect()
}

fn named<'a>(overview: &'a Overview, id: &str, name: &str) -> Option<&'a StateSummary> {
    overview.states.iter().find(|s| s.operator_id == id && s.name == name)
}

fn operators<'a>(truth: &'a Value, seen: &Seen) -> Vec<Known<'a>> {
    list(&truth["operators"])
        .iter()
        .map(|truth| {
            let id = text(&truth["id"]);
            Known { id, truth, in_changes_only: lies_in_changes_only(seen, id) }
        })
        .collect()
}

/// Whether subtasks of an operator have ended; what they held is gone then.
fn has_ended(seen: &Seen, id: &str) -> bool {
    let operator = seen.overview.operators.iter().find(|o| o.id == id);
    operator.is_some_and(|o| o.fully_finished || o.finished_subtasks > 0)
}

fn lies_in_changes_only(seen: &Seen, id: &str) -> bool {
    use statescope::model::KeyedContent;
    let operator = seen.snapshot.operators.iter().find(|o| o.id.to_string() == id);
    let handles: Vec<_> =
        operator.into_iter().flat_map(|o| &o.subtasks).filter_map(|s| s.managed_keyed.as_ref()).collect();
    !handles.is_empty()
        && handles
            .iter()
            .all(|h| matches!(&h.content, KeyedContent::Changelog(log) if log.materialized.is_empty()))
}

#[test]
fn nothing_is_found_wrong_with_what_flink_wrote() {
    compare(30, &Ask::properties(), |differences, _, label, _, seen| {
        differences
            .holds(seen.overview.findings.is_empty(), || format!("{label}: {:#?}", seen.overview.findings));
    });
}

#[test]
fn snapshots_are_of_the_kind_that_was_taken() {
    compare(150, &Ask::default(), |differences, fixture, label, truth, seen| {
        let says = &seen.overview.snapshot;
        let what = |field: &'static str| move || format!("{label}: {field}");
        differences.same(says.checkpoint_id, truth["checkpoint_id"].as_i64().unwrap(), what("checkpoint id"));
        // Before version 4 `_metadata` does not say what it is.
        let kind = if says.metadata_version >= 4 { text(&truth["kind"]) } else { "unknown" };
        differences.same(says.kind, kind, what("kind"));
        // The format shows in keyed state, and not in changes that nothing was materialized of.
        let keyed = list(&truth["operators"]).iter().any(|o| !list(&o["keyed_states"]).is_empty());
        let all_in_changes = operators(truth, seen).iter().any(|k| k.in_changes_only);
        let format = (keyed && !all_in_changes).then(|| text(&truth["format"]));
        differences.same(says.format.as_deref(), format, what("format"));
        let in_job_directory = truth["kind"] == "checkpoint" && !fixture.name.starts_with("nosubdir");
        let job_id = in_job_directory.then(|| text(&truth["job_id"]));
        differences.same(says.job_id.as_deref(), job_id, what("job id"));
        let release = text(&fixture.truth()["flink_version"]).to_owned();
        let version = match release.split('.').take(2).collect::<Vec<_>>()[..] {
            ["1", "13" | "15"] => 3,
            ["1", "20"] => 4,
            ["2", "0"] => 5,
            ["2", "3"] => 6,
            _ => panic!("which version of _metadata does {release} write?"),
        };
        differences.same(says.metadata_version, version, what("metadata version"));
        let backend = match (text(&truth["format"]), text(&fixture.truth()["state_backend"])) {
            _ if !keyed => None,
            _ if fixture.truth()["settings"]["state.backend.changelog.enabled"] == "true" => {
                Some("changelog")
            }
            ("canonical", _) => Some("canonical"),
            (_, "hashmap") => Some("heap_or_full_stream"),
            ("full", "rocksdb") if version < 4 => Some("heap_or_full_stream"),
            (_, "rocksdb") => Some("rocksdb"),
            (_, "forst") => Some("forst"),
            other => panic!("{other:?}"),
        };
        differences.same(says.backends.clone(), backend.into_iter().collect(), what("backends"));
    });
}

#[test]
fn operators_are_those_of_the_job() {
    compare(1000, &Ask::default(), |differences, _, label, truth, seen| {
        let ours: BTreeSet<_> = seen.overview.operators.iter().map(|o| o.id.as_str()).collect();
        let theirs: BTreeSet<_> = operators(truth, seen).iter().map(|k| k.id).collect();
        differences.same(ours, theirs, || format!("{label}: operators"));
        let recorded = seen.overview.snapshot.metadata_version >= 5;
        for Known { id, truth, .. } in operators(truth, seen) {
            let Some(ours) = seen.overview.operators.iter().find(|o| o.id == id) else { continue };
            let what = |field: &'static str| move || format!("{label}: {id}: {field}");
            let field = |name: &str| truth[name].as_str().filter(|_| recorded);
            differences.same(ours.name.as_deref(), field("name"), what("name"));
            differences.same(ours.uid.as_deref(), field("uid"), what("uid"));
            differences.same(ours.uid_evidence, field("uid").map(|_| "recorded"), what("uid evidence"));
            let figures = [ours.parallelism, ours.max_parallelism].map(i64::from);
            let expected = ["parallelism", "max_parallelism"].map(|f| truth[f].as_i64().unwrap());
            differences.same(figures, expected, what("parallelism, max parallelism"));
            if !has_ended(seen, id) {
                let coordinator = Some(ours.coordinator_bytes.is_some());
                differences.same(
                    coordinator,
                    truth["coordinator_state"].as_bool(),
                    what("coordinator state"),
                );
            }
        }
    });
}

#[test]
fn states_are_those_of_the_job() {
    compare(300, &Ask::default(), |differences, _, label, truth, seen| {
        for known in operators(truth, seen) {
            let Known { id, truth, .. } = &known;
            let mut theirs: BTreeMap<String, &str> = BTreeMap::new();
            for state in list(&truth["keyed_states"]) {
                theirs.insert(text(&state["name"]).to_owned(), keyed_kind(text(&state["kind"])));
            }
            for timers in list(&truth["timers"]) {
                // Changes say nothing of a state that never had any.
                if !known.in_changes_only || number(&timers["count"]) > 0 {
                    theirs.insert(text(&timers["name"]).to_owned(), "timers");
                }
            }
            if seen.overview.snapshot.backends == ["changelog"] && !list(&truth["keyed_states"]).is_empty() {
                theirs.insert("changelog".to_owned(), "changes");
            }
            for state in list(&truth["operator_states"]) {
                let kind = match text(&state["mode"]) {
                    "SPLIT_DISTRIBUTE" => "operator_list",
                    "UNION" => "operator_union",
                    mode => panic!("{mode}"),
                };
                theirs.insert(text(&state["name"]).to_owned(), kind);
            }
            for state in list(&truth["broadcast_states"]) {
                theirs.insert(text(&state["name"]).to_owned(), "broadcast");
            }
            if truth["raw_key_groups"].is_u64() {
                theirs.insert("raw keyed state".to_owned(), "raw_keyed");
            }
            if truth["raw_operator_partitions"].is_u64() {
                theirs.insert("_default_".to_owned(), "raw_operator");
            }
            let mut ours: BTreeMap<String, &str> = BTreeMap::new();
            for state in states_of(&seen.overview, id) {
                // Timers on the heap stand in raw keyed state: one service for both domains.
                if state.kind == "timers" && !state.name.starts_with("_timer_state/") {
                    for domain in ["event", "processing"] {
                        ours.insert(format!("_timer_state/{domain}_{}", state.name), "timers");
                    }
                } else {
                    ours.insert(state.name.clone(), state.kind);
                }
            }
            if truth["partly_known"] == true {
                ours.retain(|name, _| theirs.contains_key(name));
            }
            if has_ended(seen, id) {
                theirs.retain(|name, _| ours.contains_key(name));
                differences.holds(truth["ends"].is_string(), || format!("{label}: {id} has not ended"));
            }
            differences.same(ours, theirs, || format!("{label}: {}: states", text(&truth["name"])));
        }
    });
}

fn keyed_kind(kind: &str) -> &'static str {
    match kind {
        "VALUE" => "value",
        "LIST" => "list",
        "MAP" => "map",
        "REDUCING" => "reducing",
        "AGGREGATING" => "aggregating",
        kind => panic!("{kind}"),
    }
}

#[test]
fn ttl_and_kryo_are_told_of_each_state() {
    compare(1000, &Ask::default(), |differences, _, label, truth, seen| {
        // Whether a value passes through Kryo, by the states whose key does not.
        let mut kryo_values: BTreeMap<&str, bool> = BTreeMap::new();
        for state in list(&truth["operators"]).iter().flat_map(|o| list(&o["keyed_states"])) {
            if text(&state["key_type"]) != "KryoKey" {
                kryo_values.insert(text(&state["value_type"]), state["kryo"].as_bool().unwrap());
            }
        }
        for Known { id, truth, .. } in operators(truth, seen) {
            let states = list(&truth["keyed_states"]);
            let kryo_key = states.iter().any(|s| text(&s["key_type"]) == "KryoKey");
            for state in states {
                let name = text(&state["name"]);
                let Some(ours) = named(&seen.overview, id, name) else { continue };
                let what = |field: &'static str| move || format!("{label}: {id}: {name}: {field}");
                differences.same(ours.ttl, state["ttl"].as_bool(), what("TTL"));
                // What lies in a window goes with it; SQL's windows have their end as a namespace.
                let in_window = matches!(text(&state["namespace_type"]), "TimeWindow" | "Long");
                let of_user = !in_window && name != "merging-window-set";
                differences.same(ours.ttl_asked, of_user, what("asked for a TTL"));
                differences.same(Some(!ours.kryo.is_empty()), state["kryo"].as_bool(), what("Kryo at all"));
                // A key of the operator is told apart from what the state itself holds.
                let (by_key, in_state): (Vec<_>, Vec<_>) =
                    ours.kryo.iter().partition(|k| k.path == "key_by" || k.path.starts_with("key_by."));
                differences.same(!by_key.is_empty(), kryo_key, what("Kryo by the key"));
                if let Some(&kryo) = kryo_values.get(text(&state["value_type"])) {
                    differences.same(!in_state.is_empty(), kryo, what("Kryo in the state"));
                }
                differences
                    .holds(ours.kryo.iter().all(|k| !k.class.is_empty()), what("Kryo without a class"));
                differences.holds(ours.opaque.is_empty(), what("not decoded"));
            }
            // Nobody asks timers and operator state for a TTL.
            for ours in states_of(&seen.overview, id) {
                let asked = states.iter().any(|s| text(&s["name"]) == ours.name);
                if !asked && ours.kind != "not_described" && truth["partly_known"] != true {
                    differences.same(ours.ttl, None, || format!("{label}: {id}: {}: TTL", ours.name));
                }
                if ours.kind == "timers" {
                    differences.same(!ours.kryo.is_empty(), kryo_key, || {
                        format!("{label}: {id}: {}: Kryo", ours.name)
                    });
                }
            }
        }
        let ttl = seen.overview.states.iter().filter(|s| s.ttl == Some(true) && s.ttl_asked).count();
        differences.same(seen.overview.totals.states_with_ttl, ttl, || format!("{label}: states with TTL"));
        let asked = seen.overview.states.iter().filter(|s| s.ttl_asked).count();
        differences.same(seen.overview.totals.states_asked_for_ttl, asked, || format!("{label}: asked"));
    });
}

/// A type as the truth writes it: without fields, and no word of how it is serialized.
fn plain(text: &str) -> String {
    let mut text = without_fields(text).replace("enum ", "").replace('?', "");
    while let Some(start) = text.find("Kryo<") {
        let class = text[start + 5..].split('>').next().unwrap().to_owned();
        let simple = class.rsplit(['.', '$']).next().unwrap();
        text = text.replacen(&format!("Kryo<{class}>"), simple, 1);
    }
    text
}

/// A type of the truth as we write it: a row without the names of its fields, and a set that goes through
/// Kryo without its elements, which no serializer tells.
fn expected_type(theirs: &str, kryo: bool) -> String {
    let theirs = if kryo { theirs.replace("Set<String>", "Set") } else { theirs.to_owned() };
    let Some((before, rest)) = theirs.split_once("Row(") else { return theirs };
    let (fields, after) = rest.split_once(')').unwrap();
    let types: Vec<_> = fields.split(", ").map(|field| field.split(' ').nth(1).unwrap()).collect();
    format!("{before}Row<{}>{after}", types.join(", "))
}

fn without_fields(text: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn types_read_as_the_user_declared_them() {
    compare(300, &Ask::default(), |differences, fixture, label, truth, seen| {
        if fixture.name.starts_with("sql") {
            return; // SQL's types are the planner's, and its values are rows.
        }
        for Known { id, truth, .. } in operators(truth, seen) {
            for state in list(&truth["keyed_states"]) {
                let (name, kind) = (text(&state["name"]), text(&state["kind"]));
                let Some(ours) = named(&seen.overview, id, name) else { continue };
                let key = text(&state["key_type"]);
                let value = expected_type(text(&state["value_type"]), state["kryo"] == true);
                let expected = match kind {
                    "VALUE" => format!("ValueState<{value}>"),
                    "REDUCING" => format!("ReducingState<{value}>"),
                    "AGGREGATING" => format!("AggregatingState<{value}>"),
                    "LIST" => value.replacen("List<", "ListState<", 1),
                    "MAP" => value.replacen("Map<", "MapState<", 1),
                    kind => panic!("{kind}"),
                };
                let what = |field: &'static str| move || format!("{label}: {id}: {name}: {field}");
                differences.same(plain(&ours.type_text), expected, what("type"));
                let key_by = ours.serializers.iter().find(|s| s.role == "key_by");
                let ours = key_by.map(|s| plain(&s.text));
                differences.same(ours.as_deref(), Some(key), what("key"));
            }
        }
    });
}

#[test]
fn elements_of_operator_state_are_counted() {
    compare(80, &Ask::default(), |differences, _, label, truth, seen| {
        for Known { id, truth, .. } in operators(truth, seen) {
            let lists = list(&truth["operator_states"]).iter().map(|s| (s, "elements"));
            let maps = list(&truth["broadcast_states"]).iter().map(|s| (s, "entries"));
            for (state, field) in lists.chain(maps) {
                let name = text(&state["name"]);
                let ours = named(&seen.overview, id, name).and_then(|s| s.elements);
                // A compressed broadcast state cannot be counted without reading it.
                let expected = Some(number(&state[field]));
                if field == "entries" && ours.is_none() && label.contains("compressed") {
                    continue;
                }
                let what = || format!("{label}: {id}: {name}: elements");
                if has_ended(seen, id) {
                    differences.holds(ours <= expected, what);
                } else {
                    differences.same(ours, expected, what);
                }
            }
            if let Some(expected) = truth["raw_operator_partitions"].as_u64() {
                let ours = named(&seen.overview, id, "_default_").and_then(|s| s.elements);
                differences.same(ours, Some(expected), || format!("{label}: {id}: raw operator state"));
            }
            if let Some(expected) = truth["raw_key_groups"].as_u64() {
                differences.same(raw_key_groups(seen, id), expected, || format!("{label}: {id}: raw groups"));
            }
        }
    });
}

/// How many key groups of an operator's raw keyed state have anything.
fn raw_key_groups(seen: &Seen, id: &str) -> u64 {
    use statescope::model::KeyedContent;
    let operator = seen.snapshot.operators.iter().find(|o| o.id.to_string() == id).unwrap();
    let mut groups = 0;
    for state in operator.subtasks.iter().filter_map(|s| s.raw_keyed.as_ref()) {
        if let KeyedContent::Stream(stream) = &state.content {
            groups += stream.offsets.iter().filter(|&&o| o >= 0).count() as u64;
        }
    }
    groups
}

#[test]
fn what_has_ended_is_told() {
    let mut ended = 0;
    for fixture in fixtures() {
        let truths = fixture.truths();
        let (path, truth) = truths.iter().max_by_key(|(_, t)| number(&t["checkpoint_id"])).unwrap();
        for operator in list(&truth["operators"]) {
            let Some(ends) = operator["ends"].as_str() else { continue };
            let seen = see_fixture(fixture, path, &Ask::default());
            let ours = seen.overview.operators.iter().find(|o| o.id == operator["id"]).unwrap();
            let parallelism = usize::try_from(ours.parallelism).unwrap();
            ended += 1;
            match ends {
                "full" => {
                    assert!(ours.fully_finished || ours.finished_subtasks == parallelism, "{path}: {ours:#?}")
                }
                "partial" => assert!(
                    !ours.fully_finished && (1..parallelism).contains(&ours.finished_subtasks),
                    "{path}: {ours:#?}"
                ),
                other => panic!("{other}"),
            }
        }
    }
    assert!(ended >= 4);
}

#[test]
fn records_in_flight_show_as_bytes_in_flight() {
    let (mut with, mut without) = (0, 0);
    for fixture in fixtures() {
        for (path, truth) in fixture.truths() {
            let records: u64 =
                list(&truth["operators"]).iter().filter_map(|o| o["records_in_flight"].as_u64()).sum();
            let seen = see_fixture(fixture, &path, &Ask::default());
            let bytes = seen.overview.totals.by_kind.in_flight;
            assert_eq!(bytes > 0, records > 0, "{}/{path}: {bytes} bytes, {records} records", fixture.name);
            if records > 0 { with += 1 } else { without += 1 }
        }
    }
    assert!(with >= 2 && without >= 20, "{with} with, {without} without");
}

#[test]
fn uids_name_the_operators_of_old_snapshots() {
    let mut differences = Differences::default();
    for fixture in fixtures() {
        for (path, truth) in fixture.truths() {
            let operators = list(&truth["operators"]);
            let uids = operators.iter().filter_map(|o| o["uid"].as_str()).map(str::to_owned);
            let ask = Ask { uids: uids.chain(["no-such-uid".to_owned()]).collect(), ..Ask::default() };
            let seen = see_fixture(fixture, &path, &ask);
            let recorded = seen.overview.snapshot.metadata_version >= 5;
            for truth in operators {
                let id = text(&truth["id"]);
                let ours = seen.overview.operators.iter().find(|o| o.id == id).unwrap();
                let label = || format!("{}/{path}: {id}", fixture.name);
                differences.same(ours.uid.as_deref(), truth["uid"].as_str(), label);
                let evidence = if recorded { "recorded" } else { "matched" };
                differences.same(ours.uid_evidence, truth["uid"].as_str().map(|_| evidence), label);
                // States are labelled by the uid where no name is known.
                if let (false, Some(uid)) = (recorded, truth["uid"].as_str()) {
                    let states = states_of(&seen.overview, id);
                    differences.holds(states.iter().all(|s| s.operator == uid), label);
                }
            }
        }
    }
    differences.none(900);
}
