//! Each rule by itself: what it keeps is named with it in the plan, and goes where the rule does not hold.

use std::collections::BTreeSet;

use statescope::model::inventory::RootRole;
use statescope::prune::execute::AfterAll;
use statescope::prune::{Plan, Request, Rule};
use statescope::storage::Storage as _;

use super::directed::{FLINK, HA, LOG, SAVEPOINTS, checkpoint, greedy, something_to_prune, universe};
use super::flink::{DAY, HOUR, Kind, NewJob, Style, Universe, at};
use super::pruner::{Pruner, Shared, Trouble};

fn planned(shared: &Shared, request: Request) -> Plan {
    Pruner::new(shared, request).plan()
}

/// The rules that a plan names.
fn rules(plan: &Plan) -> BTreeSet<Rule> {
    let objects = plan.kept.iter().map(|class| class.rule);
    objects.chain(plan.snapshots.iter().filter_map(|snapshot| snapshot.rule)).collect()
}

/// What a plan removes, by path.
fn gone(plan: &Plan) -> BTreeSet<&str> {
    plan.candidates.iter().map(|candidate| candidate.url.as_str()).collect()
}

/// A job that ended and left a checkpoint that nobody completed, and what that had uploaded.
fn left(style: Style) -> (Universe, usize) {
    let mut universe = universe();
    let job = universe.start(&NewJob::in_root("s3://b/flink", 1).style(style).retained(5));
    checkpoint(&mut universe, job, 2);
    universe.trigger(job);
    universe.upload(job);
    universe.upload(job);
    universe.early(job);
    universe.run(job);
    universe.abort(job, false);
    (universe, job)
}

fn later(universe: Universe) -> Shared {
    let shared = Shared::new(universe);
    shared.lock().pass(10 * DAY);
    shared
}

#[test]
fn r0_nothing_is_deleted_by_default() {
    let (shared, request) = something_to_prune();
    let plan = planned(&shared, Request { keep: None, savepoints: Vec::new(), ..request.clone() });
    assert!(rules(&plan).contains(&Rule::R0) && plan.snapshots.iter().all(|s| s.kept.is_some()));
    assert!(planned(&shared, request).snapshots.iter().any(|s| s.kept.is_none()));
}

#[test]
fn r1_references_decide_and_all_roots_must_be_known() {
    let (shared, request) = something_to_prune();
    let plan = planned(&shared, Request { roots_complete: false, ..request.clone() });
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R1));
    // What the other job's checkpoints name stays in the directory of the job that ended.
    let plan = planned(&shared, request);
    let universe = shared.lock();
    for snapshot in
        universe.snapshots.iter().filter(|s| universe.has(s) && s.directory.starts_with(&at("s3://b/other")))
    {
        assert!(snapshot.pieces.iter().all(|piece| !gone(&plan).contains(piece.place.to_string().as_str())));
    }
    assert!(rules(&plan).contains(&Rule::R1));
}

#[test]
fn r2_what_cannot_be_read_blocks() {
    let (shared, request) = something_to_prune();
    let metadata = shared.lock().snapshots.last().unwrap().metadata();
    let bytes = shared.lock().storage.read_all(&metadata, 1 << 20).unwrap();
    shared.lock().put(&metadata, bytes[..bytes.len() - 2].to_vec());
    let plan = planned(&shared, request);
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R2));
}

#[test]
fn r3_what_a_job_was_restored_from_stays() {
    let (shared, request) = something_to_prune();
    let plan = planned(&shared, Request { restores_done: false, ..request });
    assert!(rules(&plan).contains(&Rule::R3) && plan.snapshots.iter().all(|s| s.kept.is_some()));
}

#[test]
fn r4_state_changes_of_a_job_that_may_run_stay() {
    let (mut universe, job) = left(Style::Changelog);
    let changes = universe.jobs[job].log.clone().unwrap();
    let shared = later(std::mem::replace(&mut universe, Universe::new(1)));
    let request = greedy(&shared.lock(), &[FLINK, LOG]);
    let plan = planned(&shared, request);
    assert!(rules(&plan).contains(&Rule::R4) && plan.candidates.is_empty());
    shared.lock().end(job, true);
    shared.lock().pass(10 * DAY);
    let request = greedy(&shared.lock(), &[FLINK, LOG]);
    assert!(gone(&planned(&shared, request)).iter().any(|url| at(url).starts_with(&changes)));
}

#[test]
fn r5_what_is_young_stays() {
    let (mut universe, job) = left(Style::Incremental);
    universe.end(job, true);
    universe.pass(20 * HOUR);
    let shared = Shared::new(universe);
    let request = greedy(&shared.lock(), &[FLINK]);
    let plan = planned(&shared, request);
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R5));
    shared.lock().pass(3 * DAY);
    let request = greedy(&shared.lock(), &[FLINK]);
    assert!(!planned(&shared, request).candidates.is_empty());
}

#[test]
fn r6_what_a_live_job_may_come_back_to_stays() {
    let (universe, job) = left(Style::Incremental);
    let shared = later(universe);
    let request = greedy(&shared.lock(), &[FLINK]);
    let plan = planned(&shared, request);
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R6));
    shared.lock().end(job, true);
    shared.lock().pass(10 * DAY);
    let request = greedy(&shared.lock(), &[FLINK]);
    assert!(!planned(&shared, request).candidates.is_empty());
}

#[test]
fn r7_what_a_job_manager_would_recover_stays() {
    let mut universe = universe();
    let job = universe.start(&NewJob::in_root("s3://b/flink", 1).retained(4).ha());
    checkpoint(&mut universe, job, 4);
    universe.crash(job);
    let directory = universe.jobs[job].directory.to_string();
    let shared = later(universe);
    // Whatever is said: the pointers know better.
    let request =
        Request { stopped: vec![directory], restores_done: true, ..greedy(&shared.lock(), &[FLINK, HA]) };
    let plan = planned(&shared, request);
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R7));
}

#[test]
fn r8_savepoints_go_by_name_only() {
    let mut universe = universe();
    let job = universe.start(&NewJob::in_root("s3://b/flink", 1));
    checkpoint(&mut universe, job, 1);
    let savepoint = universe.savepoint(job, Kind::Canonical, true).unwrap();
    universe.end(job, true);
    let directory = universe.snapshots[savepoint].directory.to_string();
    let shared = later(universe);
    let named = greedy(&shared.lock(), &[FLINK, SAVEPOINTS]);
    assert_eq!(named.savepoints, [directory.as_str()]);
    let plan = planned(&shared, Request { savepoints: Vec::new(), ..named.clone() });
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R8));
    assert!(planned(&shared, named).candidates.iter().all(|c| c.url.starts_with(&directory)));
}

#[test]
fn r9_and_r10_files_of_task_managers_and_merged_files_stay_while_a_job_may_run() {
    for (name, rule) in [
        ("taskowned/0b0e1b2c-1111-2222-3333-444444444444", Rule::R9),
        (
            "shared/job_00000000000000000000000000000001_op_00000000000000000000000000000007_0_2/0b0e1b2c-1111-2222-3333-444444444444",
            Rule::R10,
        ),
    ] {
        let (mut universe, job) = left(Style::Merging);
        let place = universe.jobs[job].directory.join_exact(name).unwrap();
        universe.put(&place, b"merged".to_vec());
        let shared = later(universe);
        let request = greedy(&shared.lock(), &[FLINK]);
        let plan = planned(&shared, request);
        assert!(plan.candidates.is_empty() && rules(&plan).contains(&rule), "{name}: {:?}", rules(&plan));
        shared.lock().end(job, true);
        shared.lock().pass(10 * DAY);
        let request = greedy(&shared.lock(), &[FLINK]);
        assert!(gone(&planned(&shared, request)).contains(place.to_string().as_str()), "{name}");
    }
}

#[test]
fn r12_one_object_under_two_names_is_an_error() {
    let (mut universe, job) = left(Style::Incremental);
    universe.end(job, true);
    let shared = later(universe);
    let request = greedy(&shared.lock(), &[FLINK]);
    let plan = planned(&shared, request.clone());
    let orphan = plan.candidates.iter().find(|c| c.url.contains("/shared/")).unwrap().url.clone();
    let other = orphan.replacen("s3://", "gs://", 1);
    let newest = shared.lock().snapshots.len() - 1;
    shared.lock().name_also(newest, at(&other));
    let (_, _, decisions) = Pruner::new(&shared, request.clone()).look();
    let block = decisions.blocks.iter().find(|block| block.finding.code == "reference_mismatch").unwrap();
    assert!(block.finding.message.contains(&other) && block.finding.message.contains(&orphan));
    assert_eq!(Rule::of_finding(block.finding.code), Rule::R12);
    assert_eq!(planned(&shared, request).candidates, []);
}

#[test]
fn r13_what_flink_never_writes_stays() {
    let (mut universe, job) = left(Style::Incremental);
    let place = universe.jobs[job].directory.join_exact("shared/notes.txt").unwrap();
    universe.put(&place, b"mine".to_vec());
    universe.unknown.insert(place.clone());
    universe.end(job, true);
    let shared = later(universe);
    let request = greedy(&shared.lock(), &[FLINK]);
    let plan = planned(&shared, request);
    assert!(rules(&plan).contains(&Rule::R13) && !plan.candidates.is_empty());
    assert!(!gone(&plan).contains(place.to_string().as_str()));
}

#[test]
fn r14_metadata_goes_first_and_its_files_only_after_it() {
    let (shared, request) = something_to_prune();
    let plan = planned(&shared, request);
    let is_metadata = |url: &str| url.ends_with("/_metadata");
    let first_data = plan.candidates.iter().position(|c| !is_metadata(&c.url)).unwrap();
    assert!(first_data > 0 && plan.candidates[first_data..].iter().all(|c| !is_metadata(&c.url)));
    // A snapshot whose `_metadata` became another keeps its files.
    let metadata = at(&plan.candidates[0].url);
    let bytes = shared.lock().storage.read_all(&metadata, 1 << 20).unwrap();
    let time = plan.candidates[0].version.modified_ms;
    shared.lock().storage.put_modified(&metadata, bytes, time);
    let outcome = Pruner::apply(&shared, &plan, Trouble::default()).outcome.unwrap();
    assert!(outcome.kept.iter().any(|kept| kept.reason == AfterAll::Changed), "{outcome:?}");
    shared.lock().demand_all();
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn r15_never_the_newest_never_by_an_old_plan_and_never_most_of_a_root() {
    let (shared, request) = something_to_prune();
    let plan = planned(&shared, request.clone());
    assert!(rules(&plan).contains(&Rule::R15));
    let most = planned(&shared, Request { max_share: 1, ..request });
    let refusals = Pruner::apply(&shared, &most, Trouble::default()).outcome.unwrap_err();
    assert!(refusals.iter().all(|refusal| refusal.rule == Rule::R15 && !refusal.remedy.is_empty()));
    shared.lock().pass(2 * DAY);
    let refusals = Pruner::apply(&shared, &plan, Trouble::default()).outcome.unwrap_err();
    assert!(refusals.iter().any(|refusal| refusal.rule == Rule::R15));
}

#[test]
fn r16_a_clock_that_is_wrong_blocks() {
    let (shared, request) = something_to_prune();
    shared.lock().skew = 2 * HOUR;
    let plan = planned(&shared, request);
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R16));
}

#[test]
fn roles_of_roots_keep_what_is_not_flinks_to_delete() {
    let (mut universe, job) = left(Style::Incremental);
    universe.end(job, true);
    let shared = later(universe);
    let request = greedy(&shared.lock(), &[("s3://b/flink", RootRole::Savepoints)]);
    let plan = planned(&shared, request);
    assert!(plan.candidates.is_empty() && rules(&plan).contains(&Rule::R8));
}
