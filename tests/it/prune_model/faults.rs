//! Every single request goes wrong once: nothing wrong is removed, and what happened is told.

use statescope::prune::execute::{AfterAll, Entry, Outcome};
use statescope::prune::{Plan, Refusal, Rule};
use statescope::storage::{Fault, Storage as _, StorageErrorKind};

use super::directed::something_to_prune;
use super::flink::{DAY, at};
use super::pruner::{Applied, Pruner, Shared, Trouble};

const TIMEOUT: Fault = Fault::Fail(StorageErrorKind::Timeout);

/// Nothing is wrong.
fn fine(shared: &Shared) {
    let mut universe = shared.lock();
    universe.storage.clear_faults();
    universe.demand_all();
    assert!(universe.violations.is_empty(), "{}", universe.history());
}

/// Everything in the store, by its tags.
fn all(shared: &Shared) -> Vec<String> {
    let universe = shared.lock();
    let scope = statescope::storage::ListScope::Recursive;
    let entries = universe.storage.list_all(&at("s3://b"), scope).unwrap();
    entries.into_iter().map(|entry| format!("{entry:?}")).collect()
}

#[test]
fn each_request_of_a_plan_fails() {
    let (shared, request) = something_to_prune();
    let before = shared.lock().storage.requests();
    let good = Pruner::new(&shared, request).plan();
    let requests = shared.lock().storage.requests() - before;
    assert!(requests > 10 && !good.candidates.is_empty());
    for failing in 0..requests {
        let (shared, request) = something_to_prune();
        let at = shared.lock().storage.requests() + failing;
        shared.lock().storage.fail_request(at, TIMEOUT);
        let mut pruner = Pruner::new(&shared, request);
        let (_, _, decisions) = pruner.look();
        let block = decisions.blocks.first().unwrap_or_else(|| panic!("request {failing} failed unnoticed"));
        let told = &block.finding;
        assert!(!told.remedy.is_empty() && told.file.is_some(), "{told:?}");
        assert!(
            decisions.standings.iter().all(|standing| matches!(
                standing,
                statescope::prune::Standing::Needed(_) | statescope::prune::Standing::Protected(..)
            )),
            "request {failing}: {decisions:?}"
        );
    }
}

#[test]
fn each_page_and_each_metadata_comes_short() {
    let (shared, request) = something_to_prune();
    let before = shared.lock().storage.requests();
    Pruner::new(&shared, request).plan();
    let requests = shared.lock().storage.requests() - before;
    for short in 0..requests {
        let (shared, request) = something_to_prune();
        let good = Pruner::new(&shared, request.clone()).plan();
        let at = shared.lock().storage.requests() + short;
        shared.lock().storage.fail_request(at, Fault::Short(3));
        let plan = Pruner::new(&shared, request).plan();
        // A page has no length that it could lack; bytes of _metadata do.
        assert!(plan.candidates.is_empty() || plan.candidates == good.candidates, "request {short}");
    }
}

fn refused(applied: &Applied) -> Vec<Refusal> {
    applied.outcome.as_ref().err().cloned().unwrap_or_default()
}

fn outcome(applied: &Applied) -> &Outcome {
    applied.outcome.as_ref().unwrap_or_else(|refusals| panic!("{refusals:?}"))
}

fn planned() -> (Shared, Plan) {
    let (shared, request) = something_to_prune();
    let plan = Pruner::new(&shared, request).plan();
    (shared, plan)
}

/// Each object of a plan is counted once.
fn adds_up(plan: &Plan, outcome: &Outcome) {
    let kept: u64 = outcome.kept.iter().map(|kept| kept.objects).sum();
    let sum = outcome.removed_objects
        + outcome.gone_objects
        + kept
        + outcome.failed.len() as u64
        + outcome.not_reached;
    assert_eq!(sum, plan.candidates.len() as u64, "{outcome:?}");
}

#[test]
fn each_request_of_an_apply_fails() {
    let (shared, plan) = planned();
    let before = shared.lock().storage.requests();
    adds_up(&plan, outcome(&Pruner::apply(&shared, &plan, Trouble::default())));
    let requests = shared.lock().storage.requests() - before;
    let mut kinds = [0u32; 3];
    for failing in 0..requests {
        for lost in [false, true] {
            let (shared, plan) = planned();
            let untouched = all(&shared);
            let at = shared.lock().storage.requests() + failing;
            let kind = StorageErrorKind::Timeout;
            shared.lock().storage.fail_request(at, if lost { Fault::Unheard(kind) } else { TIMEOUT });
            let applied = Pruner::apply(&shared, &plan, Trouble::default());
            shared.lock().storage.clear_faults();
            match &applied.outcome {
                Err(refusals) => {
                    kinds[0] += 1;
                    assert!(refusals.iter().all(|refusal| !refusal.remedy.is_empty()));
                    assert_eq!(all(&shared), untouched, "request {failing}");
                }
                Ok(outcome) => {
                    adds_up(&plan, outcome);
                    kinds[if outcome.removed_objects == 0 { 1 } else { 2 }] += 1;
                    let is_named = !outcome.failed.is_empty() || !outcome.kept.is_empty();
                    assert!(
                        is_named || *outcome == Outcome { ..whole(&plan) },
                        "request {failing}: {outcome:?}"
                    );
                }
            }
            fine(&shared);
            // Another apply finishes the work.
            Pruner::apply(&shared, &plan, Trouble::default());
            fine(&shared);
            let left = Pruner::new(&shared, plan.request.clone()).plan().candidates;
            assert_eq!(left, [], "request {failing}");
        }
    }
    assert!(kinds.iter().all(|&times| times > 0), "{kinds:?}");
}

/// All was removed.
fn whole(plan: &Plan) -> Outcome {
    Outcome {
        removed_objects: plan.candidates.len() as u64,
        removed_bytes: plan.candidate_bytes(),
        ..Outcome::default()
    }
}

#[test]
fn a_listing_that_is_cut_short_aborts() {
    let (shared, plan) = planned();
    let from = shared.lock().storage.requests() + 2;
    shared.lock().storage.fail_requests_from(from, TIMEOUT);
    let applied = Pruner::apply(&shared, &plan, Trouble::default());
    assert!(refused(&applied).iter().any(|refusal| refusal.rule == Rule::R2), "{applied:?}");
    assert_eq!(applied.removed, []);
    fine(&shared);
}

#[test]
fn an_object_that_changes_is_kept() {
    let (_, plan) = planned();
    for candidate in &plan.candidates {
        let (shared, plan) = planned();
        let place = at(&candidate.url);
        // The same bytes at the same time: only the tag tells.
        let bytes = shared.lock().storage.read_all(&place, 1 << 20).unwrap();
        shared.lock().storage.put_modified(&place, bytes, candidate.version.modified_ms);
        let applied = Pruner::apply(&shared, &plan, Trouble::default());
        assert!(shared.lock().is_there(&place));
        let outcome = outcome(&applied);
        assert!(outcome.kept.iter().any(|kept| kept.reason == AfterAll::Changed), "{outcome:?}");
        adds_up(&plan, outcome);
        fine(&shared);
    }
}

#[test]
fn applied_twice() {
    let (shared, plan) = planned();
    assert_eq!(outcome(&Pruner::apply(&shared, &plan, Trouble::default())), &whole(&plan));
    let after = all(&shared);
    let again = Pruner::apply(&shared, &plan, Trouble::default());
    let outcome = outcome(&again);
    assert_eq!((outcome.removed_objects, outcome.gone_objects), (0, plan.candidates.len() as u64));
    assert_eq!(all(&shared), after);
    fine(&shared);
}

#[test]
fn two_prunes_at_once() {
    let (_, plan) = planned();
    for at in 0..plan.candidates.len() as u64 {
        let (shared, plan) = planned();
        let other = {
            let (shared, plan) = (shared.clone(), plan.clone());
            move || drop(Pruner::apply(&shared, &plan, Trouble::default()))
        };
        let trouble = Trouble { meanwhile: Some((at, Box::new(other))), ..Trouble::default() };
        adds_up(&plan, outcome(&Pruner::apply(&shared, &plan, trouble)));
        fine(&shared);
        let left = Pruner::new(&shared, plan.request.clone()).plan().candidates;
        assert_eq!(left, [], "at {at}");
    }
}

#[test]
fn the_journal_cannot_be_written() {
    for good in 0..6 {
        let (shared, plan) = planned();
        let applied = Pruner::apply(&shared, &plan, Trouble { journal: Some(good), ..Trouble::default() });
        adds_up(&plan, outcome(&applied));
        // What was removed stands in the journal before it goes.
        let told = applied.entries.iter().filter(|entry| matches!(entry, Entry::Removing { .. })).count();
        assert!(told >= applied.removed.len(), "after {good}");
        fine(&shared);
    }
}

#[test]
fn an_old_plan_is_not_executed() {
    let (shared, plan) = planned();
    shared.lock().pass(2 * DAY);
    let applied = Pruner::apply(&shared, &plan, Trouble::default());
    assert!(refused(&applied).iter().any(|refusal| refusal.rule == Rule::R15));
    assert_eq!(applied.removed, []);
}
