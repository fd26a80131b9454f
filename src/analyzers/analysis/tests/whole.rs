//! From rows to the result.

use proptest::prelude::*;
use serde_json::Value;
use statescope_formats::flink::metadata::{DistributionMode, Tally};

use super::samples::*;
use crate::analyzers::analysis::*;
use crate::analyzers::overview::{self, overview};
use crate::model::{
    DatabaseDetails, DatabaseFile, DatabaseHandle, Details, FileId, FileRole, Finding, KeyGroupRange,
    KeyedContent, KeyedDetails, KeyedLayout, KeyedState, Operator, OperatorId, OperatorStateHandle,
    OperatorStatePartitions, Place, Snapshot, SnapshotKind, StateFile, Subtask, Table,
};

/// One operator with two subtasks, each with a database of one state, and some operator state beside it.
fn snapshot(shape: Shape) -> (Snapshot, Details) {
    let file =
        |size, role| StateFile { place: Place::Uri(format!("file:/f/{size}").into()), size, role, uses: 1 };
    let subtask = |index: u32| {
        let table =
            DatabaseFile { name: format!("{index:06}.sst").into(), shared: true, file: Some(FileId(index)) };
        let database = DatabaseHandle {
            checkpoint_id: 1,
            backend_id: "backend".into(),
            uploaded_bytes: None,
            meta: None,
            files: vec![table],
        };
        let content = KeyedContent::Database(database);
        let operator_state = OperatorStateHandle {
            states: vec![OperatorStatePartitions {
                name: STATE.into(),
                mode: DistributionMode::Union,
                offsets: Box::new([0]),
            }],
            stream: Some(FileId(2)),
        };
        Subtask {
            index,
            managed_keyed: Some(KeyedState { key_groups: key_groups(index), content }),
            managed_operator: (index == 0).then_some(operator_state),
            ..Subtask::default()
        }
    };
    let operator = Operator {
        id: OperatorId([7; 16]),
        name: Some("Count".to_owned()),
        uid: None,
        parallelism: 2,
        max_parallelism: 4,
        coordinator: None,
        fully_finished: false,
        subtasks: vec![subtask(0), subtask(1)],
    };
    let snapshot = Snapshot {
        metadata_version: 6,
        metadata_bytes: 0,
        checkpoint_id: 1,
        kind: SnapshotKind::Unknown,
        operators: vec![operator],
        master_states: Vec::new(),
        tally: Tally::default(),
        files: vec![file(1000, FileRole::Sst), file(1001, FileRole::Sst), file(5, FileRole::OperatorStream)],
    };
    let keyed = |subtask: u32| KeyedDetails {
        operator: 0,
        subtask,
        key_groups: key_groups(subtask),
        layout: KeyedLayout::Database,
        meta: Some(shape.meta().into()),
        raw_timers: None,
        stream: None,
        changes: None,
        only_in_changes: Vec::new(),
        database: Some(DatabaseDetails {
            tables: vec![Table {
                column_family: 1,
                number: subtask.into(),
                level: 0,
                size: 1000 + u64::from(subtask),
                key_groups: None,
                file: Some(FileId(subtask)),
                bounds: None,
                tail: None,
            }],
            column_families: vec!["default".to_owned(), shape.name().to_owned()],
            options: None,
        }),
    };
    let details = Details { keyed: vec![keyed(0), keyed(1)], ..Details::default() };
    (snapshot, details)
}

fn key_groups(subtask: u32) -> KeyGroupRange {
    KeyGroupRange { start: 2 * subtask, count: 2 }
}

/// Analyzes rows that are divided into such splits.
fn analyze(shape: Shape, rows: &[Row], cuts: &[prop::sample::Index], backwards: bool) -> Analysis {
    let (snapshot, details) = snapshot(shape);
    let subjects = Subjects::new(&snapshot, &details);
    let mut partials = Vec::new();
    for handle in [0u32, 1] {
        let keyed = &details.keyed[handle as usize];
        let plan = StatePlan::compile(&snapshot.operators[0], keyed, shape.name(), &settings());
        let here: Vec<Row> = rows.iter().filter(|row| u32::from(row.group) / 2 == handle).cloned().collect();
        let key = StateKey { operator: 0, handle, state: shape.name().to_owned() };
        for split in splits(&plan, &here, cuts) {
            let mut partial = AnalysisPartial::default();
            partial.add_state(key.clone(), of_split(&plan, split).0);
            let bytes = split.iter().map(Row::bytes).sum::<u64>();
            let tally = PhysicalTally {
                puts: split.len() as u64,
                key_bytes: 2 * bytes,
                stored_bytes: bytes,
                index_bytes: bytes,
                live_raw_bytes: bytes,
                live_stored_bytes: bytes / 2 * 2,
                uncompressed_bytes: 3 * bytes,
                ..PhysicalTally::default()
            };
            let tally_key = TallyKey { state: key.clone(), level: handle, compression: "Snappy".to_owned() };
            partial.add_tally(tally_key, &tally);
            partials.push(partial);
        }
    }
    if backwards {
        partials.reverse();
    }
    let mut merged = AnalysisPartial::default();
    for partial in partials {
        let saved = serde_json::to_string(&partial).unwrap();
        merged.merge(serde_json::from_str(&saved).unwrap());
    }
    let context = Context {
        overview: overview(snapshot, details, Vec::new(), overview::Context::default()),
        subjects,
        method: Method {
            depth: Depth::Full,
            depth_reason: DepthReason::Asked,
            sst_bytes: 0,
            stream_bytes: 0,
            not_read_bytes: 0,
            more: Vec::new(),
            sampling: None,
            engine: Engine::Native,
            checksums: true,
            top: 5,
        },
        settings: settings(),
        shallow: Shallow::default(),
        findings: vec![Finding::info("mixed_places", "read", "none")],
    };
    finish(merged, context)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_result_does_not_depend_on_the_splits(
        seeds in seeds(40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        shape in prop::sample::select(&SHAPES[..]),
    ) {
        let rows = rows(shape, &seeds);
        let whole = serde_json::to_string_pretty(&analyze(shape, &rows, &[], false)).unwrap();
        for backwards in [false, true] {
            let divided = serde_json::to_string_pretty(&analyze(shape, &rows, &cuts, backwards)).unwrap();
            // Halved blocks are another thing than the whole ones.
            let same = |text: &str| -> Vec<String> {
                let told = |line: &&str| !line.contains("live_stored") && !line.contains("_share") && !line.contains("live_bytes") && !line.contains("dead_bytes");
                text.lines().filter(told).map(str::to_owned).collect()
            };
            prop_assert_eq!(same(&whole), same(&divided));
        }
    }
}

fn seed(group: u8, key: u8, user_key: u8, time: i64) -> Seed {
    (group, key, 0, user_key, vec![(1, 2, time)])
}

#[test]
fn a_small_case_counted_by_hand() {
    // Three keys in the key groups 0, 2 and 2; the largest has three entries of which two are expired.
    let old = NOW - TTL;
    let seeds = [
        seed(0, 0, 0, NOW),
        seed(2, 1, 0, NOW),
        seed(2, 3, 0, old),
        seed(2, 3, 1, old),
        seed(2, 3, 2, NOW - 1),
    ];
    let analysis = analyze(Shape::Map, &rows(Shape::Map, &seeds), &[], false);
    let json: Value = serde_json::to_value(&analysis).unwrap();
    let state = &json["states"][0];
    assert_eq!(analysis.states.len(), 1);
    // Key group, string with its length, namespace, user key; null flag, timestamp, string of two.
    let bytes = [1 + 1 + 1 + 8, 1 + 2 + 1 + 8, 1 + 4 + 1 + 8].map(|key: u64| key + 1 + 8 + 3);
    let all = bytes[0] + bytes[1] + 3 * bytes[2];
    assert_eq!(state["live"]["bytes"], all);
    assert_eq!(state["live"]["keys"], 3);
    assert_eq!(state["live"]["key_namespaces"], 3);
    assert_eq!(state["live"]["entries"], 5);
    let top = &state["keys"]["top_by_bytes"][0];
    assert_eq!(
        (&top["key_group"], &top["hex"], &top["text"]),
        (&2.into(), &"04646464".into(), &"ddd".into())
    );
    assert_eq!((&top["bytes"], &top["entries"]), (&(3 * bytes[2]).into(), &3.into()));
    assert_eq!(top["share"].as_f64().unwrap(), ((3 * bytes[2]) as f64 / all as f64 * 1e6).round() / 1e6);
    assert_eq!(state["keys"]["heavy_hitters"]["keys_over_1_percent"], 3);
    // On disk: half of the raw bytes are blocks, and half of these are their index.
    let blocks = [bytes[0], all - bytes[0]];
    let live: u64 = blocks.iter().map(|b| b / 2 * 2 * 2).sum();
    assert_eq!(state["disk"]["bytes"], 2 * all);
    assert_eq!(state["disk"]["live_bytes"], live);
    assert_eq!(state["space_amplification"], 2.0);
    assert_eq!(state["compressions"][1]["ratio"], 3.0);
    let ttl = &state["ttl"];
    assert_eq!((&ttl["asked"], &ttl["covered"], &ttl["ttl_ms"]), (&true.into(), &true.into(), &TTL.into()));
    assert_eq!(ttl["expired"]["entries"], 2);
    assert_eq!(ttl["expired"]["share"], 0.4);
    assert_eq!(ttl["expired"]["bytes"], 2 * bytes[2]);
    assert_eq!(ttl["ages"]["what_if"][1]["entries"], 2);
    assert_eq!(ttl["ages"]["what_if"][2]["entries"], 0);
    assert_eq!(ttl["ages"]["oldest_ms"], old);
    // Of four key groups, two are empty; subtask 0 has one entry of five.
    let skew = &state["skew"];
    assert_eq!((&skew["key_groups"]["empty"], &skew["key_groups"]["largest"]), (&2.into(), &2.into()));
    assert_eq!(skew["subtasks"]["entries_max_to_mean"], 1.6);
    assert_eq!(skew["by_key_group"][1]["keys"], 2);
    assert_eq!(skew["what_if"][1]["evenness"]["parts"], 3);
    assert_eq!(state["subtasks"][1]["key_groups"], serde_json::json!([2, 3]));
    assert_eq!(state["subtasks"][0]["entries"], 1);
    // The operator's keys are those of its only state.
    let operator = &json["operators"][0];
    assert_eq!(operator["keys"]["top_by_entries"], state["keys"]["top_by_entries"]);
    assert_eq!(operator["live"]["keys"], 3);
    assert_eq!(operator["key_type"], "String");
    let not_analyzed = &analysis.not_analyzed[0];
    assert_eq!(
        (not_analyzed.reason, not_analyzed.bytes, &*not_analyzed.name),
        ("operator_state", Some(5), STATE)
    );
    assert_eq!(analysis.totals.not_analyzed_bytes, 5);
    assert_eq!(analysis.totals.ttl_covered_disk_bytes, Some(2 * all));
    assert_eq!(analysis.findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["mixed_places"]);
}

#[test]
fn the_first_known_reference_time_is_taken_and_named() {
    let choose = |given, sst, metadata| {
        let chosen = ReferenceTime::choose(given, sst, metadata, 9);
        (chosen.at_ms, chosen.witness)
    };
    assert_eq!(choose(Some(5), Some(7), Some(8)), (5, Witness::Given));
    assert_eq!(choose(None, Some(7), Some(8)), (7999, Witness::NewestSst));
    assert_eq!(choose(None, Some(0), Some(8)), (8, Witness::MetadataFileTime));
    assert_eq!(choose(None, None, None), (9, Witness::Clock));
    assert_eq!(choose(None, Some(u64::MAX), None).0, i64::MAX);
}

#[test]
fn a_ttl_is_that_of_the_state_or_of_all() {
    let mut settings = settings();
    let ttl = |state: Option<&str>, ttl_ms| TtlArgument { state: state.map(str::to_owned), ttl_ms };
    settings.ttl = vec![ttl(Some("a"), 1), ttl(None, 2), ttl(Some("a"), 3), ttl(None, 4)];
    assert_eq!((settings.ttl_of("a"), settings.ttl_of("b")), (Some(3), Some(4)));
    settings.ttl.clear();
    assert_eq!(settings.ttl_of("a"), None);
}
