use std::sync::Arc;

use super::*;
use crate::model::{
    About, DatabaseDetails, DatabaseFile, DatabaseHandle, FileRole, KeyGroupRange, KeyGroupStream,
    KeyedContent, KeyedDetails, KeyedLayout, KeyedState, Operator, OperatorId, SnapshotKind, StateFile,
    Subtask, Table, Tally,
};

fn file(name: &str, role: FileRole, size: u64) -> StateFile {
    StateFile { place: Place::Uri(name.into()), size, role, uses: 1 }
}

/// Two subtasks of one operator share a table, and each has a MANIFEST; another operator has a stream.
fn snapshot() -> Snapshot {
    let named = |name: &str, id| DatabaseFile { name: Arc::from(name), shared: true, file: Some(FileId(id)) };
    let database = |manifest, start| KeyedState {
        key_groups: KeyGroupRange { start, count: 64 },
        content: KeyedContent::Database(DatabaseHandle {
            checkpoint_id: 7,
            backend_id: Arc::from("backend"),
            uploaded_bytes: None,
            meta: None,
            files: vec![named("000001.sst", 0), named("MANIFEST-000004", manifest)],
        }),
    };
    let stream = KeyedState {
        key_groups: KeyGroupRange { start: 0, count: 128 },
        content: KeyedContent::Stream(KeyGroupStream {
            canonical: false,
            offsets: Box::new([0]),
            stream: FileId(3),
        }),
    };
    let subtask = |index, state| Subtask { index, managed_keyed: Some(state), ..Subtask::default() };
    let operator = |uid: &str, subtasks| Operator {
        id: OperatorId::from_uid(uid),
        name: Some(uid.to_owned()),
        uid: None,
        parallelism: 2,
        max_parallelism: 128,
        coordinator: None,
        fully_finished: false,
        subtasks,
    };
    Snapshot {
        metadata_version: 6,
        metadata_bytes: 100,
        checkpoint_id: 7,
        kind: SnapshotKind::Unknown,
        operators: vec![
            operator("windows", vec![subtask(0, database(1, 0)), subtask(1, database(2, 64))]),
            operator("heap", vec![subtask(0, stream)]),
        ],
        master_states: Vec::new(),
        tally: Tally::default(),
        files: vec![
            file("shared/a", FileRole::Sst, 1000),
            file("m0", FileRole::DatabaseMeta, 10),
            file("m1", FileRole::DatabaseMeta, 10),
            file("s", FileRole::KeyedStream, 500),
        ],
    }
}

fn details() -> Details {
    let keyed = |subtask, start| KeyedDetails {
        operator: 0,
        subtask,
        key_groups: KeyGroupRange { start, count: 64 },
        layout: KeyedLayout::Database,
        meta: None,
        raw_timers: None,
        stream: None,
        changes: None,
        only_in_changes: Vec::new(),
        database: Some(DatabaseDetails {
            tables: vec![Table {
                column_family: 0,
                number: 1,
                level: 1,
                size: 1000,
                key_groups: Some((10, 70)),
                file: Some(FileId(0)),
                bounds: None,
                tail: None,
            }],
            column_families: vec!["sums".to_owned()],
            options: None,
        }),
    };
    Details { keyed: vec![keyed(0, 0), keyed(1, 64)], ..Details::default() }
}

fn verified(findings: Vec<Finding>) -> SnapshotVerification {
    let (snapshot, details) = (snapshot(), details());
    verify(Evidence {
        location: "s3://b/job/chk-7".to_owned(),
        modified_ms: Some(5),
        snapshot: &snapshot,
        details: &details,
        places: Places::default(),
        findings,
        deep: None,
    })
}

fn finding(code: &'static str, id: u32) -> Finding {
    Finding::error(code, "x", "y").about(About::File(FileId(id)))
}

#[test]
fn nothing_wrong_is_restorable() {
    let good = verified(Vec::new());
    assert_eq!(good.verdict, Verdict::Restorable);
    assert!(good.lost.is_empty() && good.findings.is_empty());
    let files = FilesChecked { named: 4, bytes: 1520, inlined: 0, good: 4 };
    assert_eq!(good.files, Some(files));
    let tables = good.tables.unwrap();
    assert_eq!((tables.files, tables.bytes, tables.tails), (1, 1000, 0));
    let kinds: Vec<_> = good.not_checked.iter().map(|n| (n.kind, n.files, n.bytes)).collect();
    assert_eq!(kinds, [("sst_blocks", 1, 1000), ("keyed_streams", 1, 500)]);
}

#[test]
fn each_class_of_problem_has_its_verdict() {
    for (code, effect) in EFFECTS {
        assert_eq!(effect_of(code), Some(*effect), "{code} is there twice");
        let result = verified(vec![finding(code, 3)]);
        assert_eq!(result.verdict, Verdict::from(*effect), "{code}");
        assert_eq!(result.findings[0].effect, *effect, "{code}");
        let harmless = *effect == Effect::Harmless;
        assert_eq!(result.lost.is_empty(), harmless, "{code}");
        assert_eq!(result.files.unwrap().good, if harmless { 4 } else { 3 }, "{code}");
    }
    assert_eq!(effect_of("no_such_code"), None);
    assert_eq!(verified(vec![finding("no_such_code", 3)]).verdict, Verdict::CannotTell);
}

#[test]
fn the_worst_counts_and_stands_first() {
    let all = ["mixed_places", "file_unreadable", "file_missing"].map(|code| finding(code, 0));
    let result = verified(all.to_vec());
    assert_eq!(result.verdict, Verdict::NotRestorable);
    let codes: Vec<_> = result.findings.iter().map(|problem| problem.finding.code).collect();
    assert_eq!(codes, ["file_missing", "file_unreadable", "mixed_places"]);
    // What says itself what it means is believed.
    let odd = finding("file_unreadable", 0).meaning(Effect::Breaks);
    assert_eq!(verified(vec![odd]).verdict, Verdict::NotRestorable);
    let unknown = finding("sst_tail_not_decoded", 0).meaning(Effect::Unknown);
    assert_eq!(verified(vec![unknown]).verdict, Verdict::CannotTell);
}

#[test]
fn a_lost_table_is_told_by_state_and_key_groups() {
    let result = verified(vec![finding("file_missing", 0)]);
    let [loss] = result.lost.as_slice() else { panic!("{:#?}", result.lost) };
    assert_eq!(
        (loss.operator.as_str(), loss.kind, loss.state.as_deref()),
        ("windows", "keyed", Some("sums"))
    );
    // The table reaches over both handles; its bytes count once.
    assert_eq!(
        (loss.subtasks.as_slice(), loss.key_groups.as_slice(), loss.bytes),
        (&[0, 1][..], &[(10, 70)][..], 1000)
    );
    assert_eq!(result.findings[0].lost, result.lost);
}

#[test]
fn without_a_manifest_all_of_the_handle_is_lost() {
    let result = verified(vec![finding("file_missing", 2)]);
    let [loss] = result.lost.as_slice() else { panic!("{:#?}", result.lost) };
    assert_eq!((loss.state.as_deref(), loss.bytes), (None, 1000));
    assert_eq!((loss.subtasks.as_slice(), loss.key_groups.as_slice()), (&[1][..], &[(64, 127)][..]));
    // The same told of the subtask.
    let about = About::Subtask { operator: 0, subtask: 1 };
    let told = verified(vec![Finding::error("manifest_missing", "x", "y").about(about)]);
    assert_eq!(told.lost, result.lost);
}

#[test]
fn the_same_of_several_handles_is_told_once() {
    let twice = vec![finding("file_missing", 0).of("one"), finding("file_missing", 0).of("other")];
    let result = verified(twice);
    assert_eq!(result.findings.len(), 1);
    assert_eq!(result.findings[0].finding.part.as_deref(), Some("one and 1 more"));
    // The same of different parts is not.
    let of =
        |subtask| Finding::error("manifest_missing", "x", "y").about(About::Subtask { operator: 0, subtask });
    assert_eq!(verified(vec![of(0), of(1)]).findings.len(), 2);
}

fn row(location: &str, id: i64, completed_ms: i64, verdict: Verdict) -> SnapshotVerification {
    let mut row = verified(Vec::new());
    row.snapshot.location = location.to_owned();
    row.snapshot.checkpoint_id = Some(id);
    row.snapshot.completed_at_ms = Some(completed_ms);
    row.verdict = verdict;
    row
}

#[test]
fn the_newest_good_one_is_named_by_number_and_by_completion() {
    let of = |rows: Vec<SnapshotVerification>| {
        let all = verification("job".to_owned(), false, rows, Vec::new(), Vec::new());
        (all.verdict, all.newest_restorable_by_id, all.newest_restorable_by_completion)
    };
    let some = |name: &str| Some(name.to_owned());
    let (good, bad, unknown) = (Verdict::Restorable, Verdict::NotRestorable, Verdict::CannotTell);
    assert_eq!(
        of(vec![row("c", 3, 900_000, bad), row("b", 2, 600_000, good), row("a", 1, 300_000, good)]),
        (bad, some("b"), some("b"))
    );
    // Numbers began again.
    assert_eq!(of(vec![row("b", 2, 0, good), row("a", 1, 60_001, good)]), (good, some("b"), some("a")));
    assert_eq!(of(vec![row("b", 2, 0, good), row("a", 1, 60_000, good)]).2, some("b"));
    assert_eq!(of(vec![row("b", 2, 0, unknown)]), (unknown, None, None));
    assert_eq!(of(vec![row("b", 2, 0, unknown), row("a", 1, 0, bad)]).0, bad);
    assert_eq!(of(Vec::new()).0, unknown);
}

#[test]
fn a_metadata_that_cannot_be_read_is_a_verdict() {
    let of = |finding| verify_unreadable("chk-1".to_owned(), None, finding).verdict;
    assert_eq!(of(Finding::error("metadata_not_decoded", "x", "y")), Verdict::NotRestorable);
    assert_eq!(of(Finding::error("metadata_unreadable", "x", "y")), Verdict::CannotTell);
}
