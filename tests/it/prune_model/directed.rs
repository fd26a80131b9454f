//! The histories that have to be among the random ones, each by itself.

use statescope::model::inventory::RootRole;
use statescope::prune::{Marks, Orphan, Plan, Reason, Request};

use super::flink::{DAY, HOUR, Kind, Mode, NewJob, Style, Universe, at};
use super::pruner::{Applied, Pruner, Shared, Trouble, request};

pub const FLINK: (&str, RootRole) = ("s3://b/flink", RootRole::Storage);
const OTHER: (&str, RootRole) = ("s3://b/other", RootRole::Storage);
pub const SAVEPOINTS: (&str, RootRole) = ("s3://b/sp", RootRole::Storage);
pub const LOG: (&str, RootRole) = ("s3://b/log", RootRole::Storage);
pub const HA: (&str, RootRole) = ("s3://b/ha", RootRole::HighAvailability);

/// A universe in which something lies under each root that nobody deletes.
pub fn universe() -> Universe {
    let mut universe = Universe::new(7);
    for root in ["flink", "other"] {
        let place = at(&format!("s3://b/{root}/README"));
        universe.put(&place, b"mine".repeat(1000));
        universe.unknown.insert(place);
    }
    universe
}

/// A job that completed some checkpoints.
fn ran(universe: &mut Universe, new: &NewJob, checkpoints: usize) -> usize {
    let job = universe.start(new);
    checkpoint(universe, job, checkpoints);
    job
}

/// Completes checkpoints, whatever dies meanwhile.
pub fn checkpoint(universe: &mut Universe, job: usize, times: usize) {
    for _ in 0..times {
        universe.pass(HOUR);
        universe.trigger(job);
        universe.upload(job);
        universe.upload(job);
        assert!(universe.complete(job).is_some());
        if !universe.jobs[job].is_alive() {
            return;
        }
    }
}

/// The newest snapshot that a job holds.
fn newest(universe: &Universe, job: usize) -> usize {
    *universe.jobs[job].store.last().unwrap()
}

/// All that is said is true: who ended, and whether other jobs hold anything.
fn truth(universe: &Universe, roots: &[(&str, RootRole)]) -> Request {
    let mut request = request(roots);
    let places: Vec<_> = roots.iter().map(|(root, _)| at(root)).collect();
    request.roots_complete = universe.all_under(&places);
    request.restores_done = universe.restores_done();
    request.stopped = universe.ended().iter().map(ToString::to_string).collect();
    request
}

/// Asks for as much as can be asked for.
pub fn greedy(universe: &Universe, roots: &[(&str, RootRole)]) -> Request {
    let savepoints = universe.snapshots.iter().filter(|s| s.kind != Kind::Checkpoint);
    Request {
        keep: Some(1),
        min_age_ms: DAY as u64,
        savepoints: savepoints.map(|s| s.directory.to_string()).collect(),
        ..truth(universe, roots)
    }
}

fn applied(shared: &Shared, request: Request) -> (Plan, Applied) {
    let plan = Pruner::new(shared, request).plan();
    let applied = Pruner::apply(shared, &plan, Trouble::default());
    let mut universe = shared.lock();
    universe.demand_all();
    assert!(universe.violations.is_empty(), "{}", universe.history());
    (plan, applied)
}

/// Everything that may go does, and nothing else. How much that was.
fn pruned(universe: Universe, roots: &[(&str, RootRole)]) -> (Shared, Vec<Reason>) {
    let shared = Shared::new(universe);
    shared.lock().pass(10 * DAY);
    let request = greedy(&shared.lock(), roots);
    let (_, applied) = applied(&shared, request);
    (shared, applied.removed.into_iter().map(|(reason, _)| reason).collect())
}

#[test]
fn retained_more_than_kept_and_high_availability_unseen() {
    // Suspended: it looks as if it had ended, and its JobManager needs all three.
    let mut universe = universe();
    let job = universe.start(&NewJob::in_root("s3://b/flink", 1).retained(3).ha());
    for _ in 0..3 {
        universe.trigger(job);
        universe.complete(job).unwrap();
    }
    universe.crash(job);
    let (shared, removed) = pruned(universe, &[FLINK]);
    assert_eq!(removed, []);
    // Somebody errs, and says that it ended: the pointers know better.
    let mut request = greedy(&shared.lock(), &[FLINK, HA]);
    request.stopped = vec![shared.lock().jobs[job].directory.to_string()];
    let (plan, _) = applied(&shared, request);
    assert_eq!(plan.candidates, []);
    shared.lock().recover(job);
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn two_clusters_in_one_bucket_have_jobs_of_one_id() {
    let mut universe = universe();
    let old = ran(&mut universe, &NewJob::in_root("s3://b/flink", 0).retained(3), 1);
    checkpoint(&mut universe, old, 3);
    universe.end(old, true);
    let live = ran(&mut universe, &NewJob::in_root("s3://b/other", 0), 3);
    universe.pass(5 * DAY);
    checkpoint(&mut universe, live, 2);
    let (shared, removed) = pruned(universe, &[FLINK, OTHER]);
    assert!(removed.contains(&Reason::SnapshotRemoved));
    assert!(shared.lock().jobs[live].is_alive());
}

#[test]
fn an_id_is_used_again_and_numbers_begin_at_1() {
    let mut universe = universe();
    let zero = NewJob::in_root("s3://b/flink", 0).retained(2);
    let first = ran(&mut universe, &zero, 9);
    universe.end(first, true);
    let second = ran(&mut universe, &zero, 3);
    universe.end(second, true);
    // The newest by number is the first job's, the newest by completion the second's: both stay.
    let (shared, _) = pruned(universe, &[FLINK]);
    let universe = shared.lock();
    for number in [3, 9] {
        assert!(
            universe.is_there(&at(&format!("s3://b/flink/{:032x}/chk-{number}/_metadata", 0))),
            "{number}"
        );
    }
}

#[test]
fn an_id_is_used_again_by_a_job_that_runs() {
    let mut universe = universe();
    let zero = NewJob::in_root("s3://b/flink", 0);
    let first = ran(&mut universe, &zero, 2);
    universe.end(first, true);
    universe.start(&zero);
    assert_eq!(pruned(universe, &[FLINK]).1, []);
}

#[test]
fn a_restored_job_has_no_checkpoint_yet() {
    for mode in [Mode::Claim, Mode::NoClaim, Mode::Legacy] {
        for ha in [false, true] {
            let mut universe = universe();
            let old = universe.start(&NewJob::in_root("s3://b/flink", 1).retained(4));
            checkpoint(&mut universe, old, 4);
            // Not the newest, which would stay anyway.
            let source = universe.jobs[old].store[0];
            universe.end(old, true);
            universe.pass(5 * DAY);
            let new = NewJob::in_root("s3://b/other", 2);
            let new = universe.restore(&if ha { new.ha() } else { new }, source, mode);
            // Nobody can say that restores are done, and nobody says it.
            let (shared, removed) = pruned(universe, &[FLINK]);
            assert_eq!(removed, [], "{mode:?}");
            // A JobManager says what it was restored from; high availability holds the rest.
            let mut request = greedy(&shared.lock(), if ha { &[FLINK, HA] } else { &[FLINK] });
            request.rest = vec!["http://jobmanager".to_owned()];
            request.roots_complete = true;
            request.restores_done = !ha;
            applied(&shared, request);
            let mut universe = shared.lock();
            universe.restart(new);
            assert!(universe.violations.is_empty(), "{}", universe.history());
        }
    }
}

#[test]
fn a_chain_of_claims_over_three_jobs() {
    let mut universe = universe();
    let mut last = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 3);
    for id in [2, 3] {
        let source = newest(&universe, last);
        universe.end(last, true);
        let root = if id == 2 { "s3://b/other" } else { "s3://b/flink" };
        last = universe.restore(&NewJob::in_root(root, id), source, Mode::Claim);
        checkpoint(&mut universe, last, 1);
        if !universe.jobs[last].is_alive() {
            universe.recover(last);
        }
    }
    let directories: std::collections::BTreeSet<_> = {
        let pieces = &universe.snapshots[newest(&universe, last)].pieces;
        pieces.iter().filter_map(|piece| piece.place.parent()?.parent()).collect()
    };
    assert!(directories.len() > 1, "it uses no file of those before: {directories:?}");
    let (shared, _) = pruned(universe, &[FLINK, OTHER]);
    let mut universe = shared.lock();
    universe.restart(last);
    checkpoint(&mut universe, last, 2);
    assert!(universe.violations.is_empty(), "{}", universe.history());
}

#[test]
fn a_native_savepoint_is_claimed_and_has_no_metadata_any_more() {
    let mut universe = universe();
    let old = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 1);
    let savepoint = universe.savepoint(old, Kind::Native, true).unwrap();
    universe.end(old, true);
    let new = universe.restore(&NewJob::in_root("s3://b/flink", 2), savepoint, Mode::Claim);
    checkpoint(&mut universe, new, 1);
    let gone = universe.snapshots[savepoint].metadata();
    assert!(!universe.is_there(&gone));
    let left = &universe.snapshots[newest(&universe, new)].pieces;
    assert!(left.iter().any(|piece| piece.place.starts_with(&at("s3://b/sp"))), "{left:?}");
    let (shared, removed) = pruned(universe, &[FLINK, SAVEPOINTS]);
    assert!(removed.iter().all(|reason| matches!(reason, Reason::Orphan(_) | Reason::OnlyRemovedSnapshots)));
    shared.lock().restart(new);
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn a_claimed_savepoint_that_is_in_use_does_not_go_by_name() {
    let mut universe = universe();
    let old = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 1);
    let savepoint = universe.savepoint(old, Kind::Native, true).unwrap();
    universe.end(old, true);
    let new = universe.restore(&NewJob::in_root("s3://b/flink", 2).retained(3), savepoint, Mode::Claim);
    checkpoint(&mut universe, new, 1);
    let (shared, _) = pruned(universe, &[FLINK, SAVEPOINTS]);
    let universe = shared.lock();
    assert!(universe.is_there(&universe.snapshots[savepoint].metadata()));
}

#[test]
fn a_savepoint_goes_by_name_with_all_its_files() {
    let mut universe = universe();
    let job = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 1);
    let savepoint = universe.savepoint(job, Kind::Canonical, true).unwrap();
    let other = universe.savepoint(job, Kind::Native, true).unwrap();
    universe.end(job, true);
    let shared = Shared::new(universe);
    shared.lock().pass(10 * DAY);
    let mut request = greedy(&shared.lock(), &[FLINK, SAVEPOINTS]);
    request.savepoints.truncate(1);
    applied(&shared, request);
    let universe = shared.lock();
    let gone = universe.snapshots[savepoint].clone();
    assert!(!universe.is_there(&gone.metadata()));
    assert!(gone.pieces.iter().all(|piece| !universe.is_there(&piece.place)));
    assert!(universe.is_there(&universe.snapshots[other].metadata()));
}

#[test]
fn a_bucket_was_copied_under_another_prefix() {
    let mut universe = universe();
    let job = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1).retained(3), 3);
    universe.end(job, true);
    universe.copy(job);
    // Only the original is given, and it is not all.
    let shared = Shared::new(universe);
    shared.lock().pass(10 * DAY);
    let request = greedy(&shared.lock(), &[FLINK]);
    assert!(!request.roots_complete);
    assert_eq!(applied(&shared, request).0.candidates, []);
    // Only the copy, or both: what is whose cannot be told.
    for roots in [&[("s3://b/copy", RootRole::Storage)][..], &[FLINK, ("s3://b/copy", RootRole::Storage)]] {
        let mut request = greedy(&shared.lock(), roots);
        request.roots_complete = true;
        let mut pruner = Pruner::new(&shared, request);
        let (_, _, decisions) = pruner.look();
        assert!(!decisions.blocks.is_empty());
        assert_eq!(pruner.plan().candidates, []);
    }
}

#[test]
fn a_root_is_left_out() {
    let mut universe = universe();
    let old = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 2);
    let source = newest(&universe, old);
    universe.end(old, true);
    let new = universe.restore(&NewJob::in_root("s3://b/other", 2), source, Mode::Claim);
    checkpoint(&mut universe, new, 1);
    let shared = Shared::new(universe);
    shared.lock().pass(10 * DAY);
    let request = greedy(&shared.lock(), &[FLINK]);
    assert!(!request.roots_complete);
    assert_eq!(applied(&shared, request).0.candidates, []);
    // The other root alone: its snapshots name files that lie outside.
    let mut request = greedy(&shared.lock(), &[OTHER]);
    request.roots_complete = true;
    assert_eq!(applied(&shared, request).0.candidates, []);
}

#[test]
fn uploads_in_flight_aborted_and_tried_again() {
    let mut universe = universe();
    let job = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 2);
    universe.trigger(job);
    universe.upload(job);
    universe.abort(job, false);
    universe.trigger(job);
    universe.upload(job);
    let shared = Shared::new(universe);
    // Under way: too young, and of a job that did not end.
    let request = greedy(&shared.lock(), &[FLINK]);
    assert_eq!(applied(&shared, request).0.candidates, []);
    let request = greedy(&shared.lock(), &[FLINK]);
    let marks = Pruner::new(&shared, request).mark(&Marks::new(DAY as u64), DAY as u64);
    {
        let mut universe = shared.lock();
        universe.complete(job).unwrap();
        universe.pass(4 * DAY);
    }
    // Marked when they were in flight; completed since: only what the aborted one left may go, two checkpoints later.
    let marked = |shared: &Shared| {
        let request = Request { marks: Some(marks.clone()), ..greedy(&shared.lock(), &[FLINK]) };
        applied(shared, request).1.removed.len()
    };
    assert_eq!(marked(&shared), 0);
    checkpoint(&mut shared.lock(), job, 1);
    shared.lock().pass(DAY);
    assert!(marks.is_empty() || marked(&shared) > 0);
    checkpoint(&mut shared.lock(), job, 1);
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn a_listing_misses_the_newest_objects() {
    for seed in 0..40 {
        let mut universe = universe();
        universe.dice = super::super::support::Dice::new(seed);
        let old = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1), 2);
        if universe.jobs[old].store.is_empty() {
            continue;
        }
        let source = newest(&universe, old);
        universe.end(old, true);
        if !universe.is_there(&universe.snapshots[source].metadata()) {
            continue;
        }
        universe.pass(10 * DAY);
        // While all is listed, another job completes checkpoints and subsumes what it was restored from.
        universe.restore(&NewJob::in_root("s3://b/flink", 2), source, Mode::Claim);
        universe.racing = true;
        let shared = Shared::new(universe);
        for _ in 0..3 {
            let request = greedy(&shared.lock(), &[FLINK]);
            applied(&shared, request);
        }
    }
}

#[test]
fn changelogs_under_a_base_path_of_their_own() {
    let mut universe = universe();
    let live = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1).style(Style::Changelog), 3);
    let ended = ran(&mut universe, &NewJob::in_root("s3://b/flink", 2).style(Style::Changelog), 3);
    universe.early(ended);
    let orphan = universe.jobs[ended].early.last().unwrap().clone();
    universe.end(ended, true);
    // Uploaded early, and named by no checkpoint for days.
    universe.early(live);
    let (shared, removed) = pruned(universe, &[FLINK, LOG]);
    assert!(removed.contains(&Reason::Orphan(Orphan::Changelog)));
    assert!(!shared.lock().is_there(&orphan));
    checkpoint(&mut shared.lock(), live, 1);
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn merged_files_are_shared_by_subtasks_and_checkpoints() {
    let mut universe = universe();
    let live = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1).style(Style::Merging), 5);
    let ended = ran(&mut universe, &NewJob::in_root("s3://b/flink", 2).style(Style::Merging), 5);
    universe.trigger(ended);
    universe.upload(ended);
    universe.upload(ended);
    universe.end(ended, true);
    let (shared, _) = pruned(universe, &[FLINK]);
    checkpoint(&mut shared.lock(), live, 3);
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn working_directories_of_live_and_dead_attempts() {
    let mut universe = universe();
    let live = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1).style(Style::ForSt), 2);
    universe.run(live);
    let ended = ran(&mut universe, &NewJob::in_root("s3://b/flink", 2).style(Style::ForSt), 2);
    universe.restart(ended);
    universe.run(ended);
    universe.end(ended, true);
    let (shared, removed) = pruned(universe, &[FLINK]);
    assert!(removed.contains(&Reason::Orphan(Orphan::Working)));
    shared.lock().trigger(live);
    assert!(shared.lock().complete(live).is_some());
    assert!(shared.lock().violations.is_empty());
}

#[test]
fn clocks_disagree() {
    let mut universe = universe();
    let job = ran(&mut universe, &NewJob::in_root("s3://b/flink", 1).retained(3), 4);
    universe.trigger(job);
    universe.end(job, true);
    for skew in [-5 * DAY, 2 * HOUR] {
        universe.skew = skew;
        universe.put(&at("s3://b/flink/clock"), b"now".to_vec());
        let shared = Shared::new(std::mem::replace(&mut universe, Universe::new(1)));
        shared.lock().pass(10 * DAY);
        let request = greedy(&shared.lock(), &[FLINK]);
        assert_eq!(applied(&shared, request).0.candidates, [], "{skew}");
        universe = std::mem::replace(&mut *shared.lock(), Universe::new(1));
    }
}

/// A job that ended, whose checkpoints but the newest may go, and that left other things behind.
pub fn something_to_prune() -> (Shared, Request) {
    let mut universe = universe();
    let job = universe.start(&NewJob::in_root("s3://b/flink", 1).retained(5));
    checkpoint(&mut universe, job, 5);
    universe.trigger(job);
    universe.upload(job);
    universe.abort(job, false);
    universe.end(job, true);
    let source = newest_of(&universe, "s3://b/flink");
    let new = universe.restore(&NewJob::in_root("s3://b/other", 2), source, Mode::NoClaim);
    checkpoint(&mut universe, new, 2);
    let shared = Shared::new(universe);
    shared.lock().pass(10 * DAY);
    let request = greedy(&shared.lock(), &[FLINK, OTHER]);
    (shared, request)
}

fn newest_of(universe: &Universe, root: &str) -> usize {
    let under = |at_: &usize| universe.snapshots[*at_].directory.starts_with(&at(root));
    (0..universe.snapshots.len()).rfind(under).unwrap()
}

#[test]
fn a_crash_after_each_single_removal() {
    let (shared, request) = something_to_prune();
    let all = applied(&shared, request).0.candidates.len() as u64;
    assert!(all > 5, "{all}");
    for lives in 0..=all {
        let (shared, request) = something_to_prune();
        let plan = Pruner::new(&shared, request.clone()).plan();
        let died = Pruner::apply(&shared, &plan, Trouble { dies: Some(lives), ..Trouble::default() });
        assert_eq!(died.removed.len() as u64, lives);
        shared.lock().demand_all();
        // Again, and the work is done: by the same plan, or by a new one.
        if lives % 2 == 0 {
            Pruner::apply(&shared, &plan, Trouble::default());
        } else {
            applied(&shared, request.clone());
        }
        shared.lock().demand_all();
        assert!(shared.lock().violations.is_empty(), "{}", shared.lock().history());
        let left = Pruner::new(&shared, request).plan().candidates;
        assert_eq!(left, [], "after {lives}");
    }
}
