//! `refs`, `du`, `orphans`, `prune`: real storage roots, mounted at the places that their snapshots record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use statescope::model::inventory::{Inventory, ObjectTable, RootRole};
use statescope::prune::execute::{AfterAll, ApplyOptions, Entry, World, apply};
use statescope::prune::{
    Decisions, Evidence, Keep, Orphan, Plan, Policy, Reason, Refusal, Request, RequestRoot, Rule,
    SnapshotKeep, SnapshotStanding, Standing, decide,
};
use statescope::readers::inventory::{InventoryOptions, InventoryProgress, inventory, listing_of};
use statescope::storage::removal::MemoryRemoval;
use statescope::storage::{InFlight, Location, MemoryStorage, Storage};

use super::support::{Fixture, command, fixture, roots};

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 1_800_000_000_000;

fn at(text: &str) -> Location {
    Location::parse(text).expect(text)
}

/// A fixture's files where its snapshots say that they are, ten days old.
fn mounted(fixture: &Fixture) -> Arc<MemoryStorage> {
    let storage = MemoryStorage::new();
    storage.set_server_time(Some(NOW_MS));
    for (path, bytes) in fixture.files() {
        if let Some(rest) = path.strip_prefix("data/") {
            let place = at(&format!("/data/flink/{}/{rest}", fixture.name));
            storage.put_modified(&place, bytes, Some(NOW_MS - 10 * DAY_MS));
        }
    }
    Arc::new(storage)
}

/// Where it is mounted, and what lies there.
fn request(fixture: &Fixture) -> Request {
    let root = format!("/data/flink/{}", fixture.name);
    let mut roots = vec![RequestRoot { location: root.clone(), role: RootRole::Storage }];
    if fixture.dir.join("data/ha").exists() {
        roots.push(RequestRoot { location: format!("{root}/ha"), role: RootRole::HighAvailability });
    }
    Request {
        roots,
        roots_complete: true,
        restores_done: true,
        stopped: Vec::new(),
        rest: Vec::new(),
        keep: None,
        older_than_ms: None,
        min_age_ms: Policy::DEFAULT_MIN_AGE_MS,
        savepoints: Vec::new(),
        num_retained: None,
        marks: None,
        entropy: None,
        max_share: 80,
    }
}

fn roots_of(request: &Request) -> Vec<(Location, RootRole)> {
    request.roots.iter().map(|root| (at(&root.location), root.role)).collect()
}

fn inventory_of(storage: &dyn Storage, request: &Request) -> Inventory {
    let threads = NonZeroUsize::new(2).unwrap();
    let options = InventoryOptions { in_flight: InFlight::default(), threads, now_ms: NOW_MS };
    inventory(storage, &roots_of(request), options, &InventoryProgress::default())
}

/// What is known, if all jobs are said to have ended that have a directory.
fn evidence(inventory: &Inventory, request: &Request) -> Evidence {
    let mut evidence = Evidence {
        now_ms: NOW_MS,
        roots_complete: request.roots_complete,
        restores_known: request.restores_done,
        ..Evidence::default()
    };
    for job in decide(inventory, &evidence, &request.policy()).jobs {
        evidence.stopped.insert(job.directory, "the test".to_owned());
    }
    evidence
}

fn decided(storage: &MemoryStorage, request: &Request) -> (Inventory, Evidence, Decisions) {
    let inventory = inventory_of(storage, request);
    let evidence = evidence(&inventory, request);
    let decisions = decide(&inventory, &evidence, &request.policy());
    (inventory, evidence, decisions)
}

/// Objects by what becomes of them, below the root.
fn objects(inventory: &Inventory, decisions: &Decisions, is: impl Fn(Standing) -> bool) -> BTreeSet<String> {
    let all = inventory.objects.iter().zip(&decisions.standings);
    all.filter(|(_, standing)| is(**standing))
        .map(|((id, _), _)| inventory.objects.location(id).unwrap().path().to_owned())
        .collect()
}

/// Files whose names stand in no `_metadata`, as Flink reads it.
fn unnamed(fixture: &Fixture) -> BTreeSet<String> {
    let flink = fixture.flink().to_string();
    let paths = fixture.files().into_iter().map(|(path, _)| path);
    paths
        .filter(|path| {
            let name = path.rsplit('/').next().unwrap();
            path.starts_with("data/")
                && !path.starts_with("data/ha/")
                && name != "_metadata"
                && !flink.contains(name)
        })
        .map(|path| format!("/data/flink/{}/{}", fixture.name, path.strip_prefix("data/").unwrap()))
        .collect()
}

/// Whole storage roots that real clusters left, in order of names.
fn real_roots() -> Vec<&'static Fixture> {
    let names = [
        "changelog-1.20",
        "claimed-1.20",
        "file-merging-1.20",
        "file-merging-2.3",
        "forst-async-2.3",
        "ha-1.20",
        "ha-2.3",
        "noclaim-2.3",
        "nosubdir-1.20",
        "prune-claim-chain-1.20",
        "prune-crashed-1.20",
        "prune-crashed-changelog-1.20",
        "prune-crashed-forst-2.3",
        "prune-crashed-merging-2.3",
        "prune-noclaim-2.3",
        "prune-torn-2.3",
        "savepoint-canonical-2.3",
        "savepoint-native-2.3",
    ];
    names.iter().map(|name| fixture(name)).chain(roots()).collect()
}

#[test]
fn orphans_are_exactly_what_flink_names_nowhere() {
    let mut found = BTreeMap::new();
    for fixture in real_roots() {
        let storage = mounted(fixture);
        let (inventory, _, decisions) = decided(&storage, &request(fixture));
        let blocks: Vec<_> = decisions.blocks.iter().map(|block| &block.finding).collect();
        assert!(blocks.is_empty(), "{}: {blocks:#?}", fixture.name);
        let orphans = objects(&inventory, &decisions, |standing| matches!(standing, Standing::Orphaned(_)));
        let unnamed = unnamed(fixture);
        let jobs_with_pointers: BTreeSet<_> = inventory
            .pointers
            .iter()
            .filter_map(|pointer| pointer.snapshot.as_ref()?.parent())
            .map(|job| job.path().to_owned())
            .collect();
        let expected: BTreeSet<_> = unnamed
            .into_iter()
            // A JobManager would recover that job: whatever is said, it has not ended.
            .filter(|path| !jobs_with_pointers.iter().any(|job| path.starts_with(&format!("{job}/"))))
            .collect();
        assert_eq!(orphans, expected, "{}", fixture.name);
        found.insert(fixture.name.clone(), orphans.len());
    }
    assert!(found["prune-crashed-1.20"] > 0 && found["prune-torn-2.3"] > 0, "{found:?}");
    assert_eq!(found["claimed-1.20"], 0);
}

#[test]
fn without_evidence_nothing_goes() {
    for fixture in real_roots() {
        let storage = mounted(fixture);
        let all = Request { keep: Some(1), ..request(fixture) };
        let (inventory, evidence, _) = decided(&storage, &all);
        let goes = |evidence: &Evidence, request: &Request| {
            let decisions = decide(&inventory, evidence, &request.policy());
            objects(&inventory, &decisions, |standing| {
                matches!(standing, Standing::Orphaned(_) | Standing::Removed)
            })
        };
        let nothing = BTreeSet::new();
        let name = &fixture.name;
        assert_eq!(goes(&Evidence { roots_complete: false, ..evidence.clone() }, &all), nothing, "{name}");
        assert_eq!(goes(&Evidence { stopped: BTreeMap::new(), ..evidence.clone() }, &all), nothing, "{name}");
        let young = Request { min_age_ms: u64::MAX, ..all.clone() };
        assert_eq!(goes(&evidence, &young), nothing, "{name}");
        let ahead = Evidence { now_ms: NOW_MS - 20 * DAY_MS, ..evidence.clone() };
        assert_eq!(goes(&ahead, &all), nothing, "{name}: clocks");
    }
}

#[test]
fn one_metadata_that_cannot_be_read_blocks_everything() {
    let fixture = fixture("prune-crashed-1.20");
    let storage = mounted(fixture);
    let request = request(fixture);
    let (inventory, ..) = decided(&storage, &request);
    let metadata = inventory.objects.location(inventory.snapshots[0].metadata).unwrap();
    let bytes = storage.read_all(&metadata, 1 << 20).unwrap();
    for broken in [bytes.slice(..bytes.len() - 3), bytes.slice(..0)] {
        storage.put_modified(&metadata, broken, Some(NOW_MS - 10 * DAY_MS));
        let (inventory, _, decisions) = decided(&storage, &request);
        let orphans = objects(&inventory, &decisions, |standing| matches!(standing, Standing::Orphaned(_)));
        assert_eq!(orphans, BTreeSet::new());
        let rule = decisions.standings.iter().find_map(|standing| match standing {
            Standing::Protected(Orphan::Shared, keep) => Some(keep.rule(&decisions.blocks)),
            _ => None,
        });
        assert_eq!(rule, Some(Rule::R2));
        assert!(matches!(decisions.snapshots[0], SnapshotStanding::Kept(SnapshotKeep::Unread)));
    }
}

#[test]
fn a_copy_of_a_bucket_blocks_what_it_touches() {
    let fixture = fixture("prune-crashed-1.20");
    let original = mounted(fixture);
    let copy = MemoryStorage::new();
    for entry in original.list_all(&at("/data/flink"), statescope::storage::ListScope::Recursive).unwrap() {
        let place = entry.location().unwrap();
        let to = at(&place.path().replace("/data/flink", "/copy"));
        copy.put_modified(&to, original.read_all(place, 1 << 24).unwrap(), Some(NOW_MS - 10 * DAY_MS));
    }
    let root = RequestRoot { location: "/copy".to_owned(), role: RootRole::Storage };
    let (inventory, _, decisions) = decided(&copy, &Request { roots: vec![root], ..request(fixture) });
    let codes: BTreeSet<_> = decisions.blocks.iter().map(|block| block.finding.code).collect();
    assert_eq!(codes, BTreeSet::from(["recorded_elsewhere", "reference_leaves_roots"]));
    let goes = objects(&inventory, &decisions, |standing| matches!(standing, Standing::Orphaned(_)));
    assert_eq!(goes, BTreeSet::new());
    // What the copy's metadata names elsewhere is kept by its name.
    let by_name =
        objects(&inventory, &decisions, |standing| standing == Standing::Needed(Keep::ReferencedByName));
    assert!(!by_name.is_empty());
}

/// A world in which only the test changes anything.
#[derive(Debug)]
struct Quiet {
    storage: Arc<MemoryStorage>,
    request: Request,
    journal: Vec<Entry>,
}

impl World for Quiet {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    fn wait(&self, _: Duration) {}

    fn inventory(&mut self) -> Inventory {
        inventory_of(&*self.storage, &self.request)
    }

    fn listing(&mut self) -> Result<ObjectTable, Refusal> {
        listing_of(&*self.storage, &roots_of(&self.request), InFlight::default())
            .map_err(|finding| Refusal::new(Rule::R2, "", finding.message, ""))
    }

    fn evidence(&mut self, inventory: &Inventory) -> Result<Evidence, Refusal> {
        Ok(evidence(inventory, &self.request))
    }

    fn journal(&mut self, entries: &[Entry]) -> std::io::Result<()> {
        self.journal.extend_from_slice(entries);
        Ok(())
    }

    fn interrupted(&self) -> bool {
        false
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn plan_of(storage: &MemoryStorage, request: &Request) -> Plan {
    let (inventory, evidence, decisions) = decided(storage, request);
    Plan::new(&inventory, &decisions, &evidence, request.clone())
}

fn removal(storage: &Arc<MemoryStorage>) -> MemoryRemoval {
    MemoryRemoval::new(Arc::clone(storage), Arc::default())
}

fn paths(storage: &MemoryStorage) -> BTreeSet<String> {
    let entries = storage.list_all(&at("/"), statescope::storage::ListScope::Recursive).unwrap();
    entries.iter().map(|entry| entry.location().unwrap().path().to_owned()).collect()
}

#[test]
fn an_apply_removes_the_plan_and_nothing_else_and_twice_is_once() {
    let mut reasons = BTreeSet::new();
    for fixture in real_roots() {
        let storage = mounted(fixture);
        let request = Request { keep: Some(1), max_share: 100, ..request(fixture) };
        let plan = plan_of(&storage, &request);
        reasons.extend(plan.candidates.iter().map(|candidate| candidate.reason));
        let before = paths(&storage);
        let mut world = Quiet { storage: Arc::clone(&storage), request, journal: Vec::new() };
        let removal = removal(&storage);
        let options = ApplyOptions::default();
        let outcome = apply(&plan, &*storage, &removal, &options, &mut world).expect(&fixture.name);
        assert_eq!(outcome.removed_objects, plan.candidates.len() as u64, "{}: {outcome:#?}", fixture.name);
        assert!(outcome.kept.is_empty() && outcome.failed.is_empty() && outcome.stopped.is_none());
        let planned: BTreeSet<_> =
            plan.candidates.iter().map(|candidate| at(&candidate.url).path().to_owned()).collect();
        let after = paths(&storage);
        assert_eq!(after, before.difference(&planned).cloned().collect(), "{}", fixture.name);
        // Before and after each.
        let told = |is: fn(&Entry) -> bool| world.journal.iter().filter(|entry| is(entry)).count();
        assert_eq!(told(|entry| matches!(entry, Entry::Removing { .. })), planned.len());
        assert_eq!(told(|entry| matches!(entry, Entry::Removed { .. })), planned.len());
        // Snapshots that stay are whole, as far as they were.
        let (inventory, ..) = decided(&storage, &world.request);
        let lost = inventory.snapshots.iter().any(|snapshot| {
            let references = snapshot.contents.as_ref().unwrap();
            !references.unlisted.is_empty()
        });
        assert!(!lost || roots().iter().any(|root| root.name == fixture.name), "{}", fixture.name);
        if !lost {
            verified_deep(&storage, &inventory, &fixture.name);
        }
        let again = apply(&plan, &*storage, &removal, &options, &mut world).expect("again");
        assert_eq!((again.removed_objects, again.gone_objects), (0, plan.candidates.len() as u64));
    }
    let orphan = |reason: &Reason| matches!(reason, Reason::Orphan(Orphan::Shared));
    assert!(reasons.iter().any(orphan) && reasons.contains(&Reason::SnapshotRemoved), "{reasons:?}");
    assert!(reasons.contains(&Reason::OnlyRemovedSnapshots), "{reasons:?}");
}

/// Every block of every file of the snapshots that are left is as it was written.
fn verified_deep(storage: &MemoryStorage, inventory: &Inventory, fixture: &str) {
    let dir = tempfile::tempdir().unwrap();
    let here = |path: &str| dir.path().join(path.trim_start_matches('/'));
    for path in paths(storage) {
        fs::create_dir_all(here(&path).parent().unwrap()).unwrap();
        fs::write(here(&path), storage.read_all(&at(&path), 1 << 24).unwrap()).unwrap();
    }
    let relocate = format!("/data/flink={}", here("/data/flink").display());
    for snapshot in &inventory.snapshots {
        let mut command = command();
        command.args(["verify", "--deep", "--relocate", &relocate]).arg(here(snapshot.directory.path()));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{fixture}: {}: {text}", snapshot.directory);
    }
}

#[test]
fn what_changed_since_the_plan_stays() {
    let fixture = fixture("prune-crashed-1.20");
    let storage = mounted(fixture);
    let request = request(fixture);
    let plan = plan_of(&storage, &request);
    let first = at(&plan.candidates[0].url);
    let mut world = Quiet { storage: Arc::clone(&storage), request, journal: Vec::new() };
    storage.put_modified(&first, "another", Some(NOW_MS - 9 * DAY_MS));
    let outcome = apply(&plan, &*storage, &removal(&storage), &ApplyOptions::default(), &mut world).unwrap();
    assert_eq!(
        outcome.kept.iter().map(|kept| (kept.reason, kept.objects)).collect::<Vec<_>>(),
        [(AfterAll::Changed, 1)]
    );
    assert!(storage.head(&first).is_ok());
    // A job that writes has not ended.
    let storage = mounted(fixture);
    world.storage = Arc::clone(&storage);
    let job = at(plan.candidates[0].job.as_ref().unwrap());
    storage.put_modified(
        &job.join("shared/00000000-1111-2222-3333-444444444444").unwrap(),
        "x",
        Some(NOW_MS + 1),
    );
    let outcome = apply(&plan, &*storage, &removal(&storage), &ApplyOptions::default(), &mut world).unwrap();
    assert_eq!(outcome.removed_objects, 0, "{outcome:#?}");
    assert!(outcome.kept.iter().all(|kept| kept.reason == AfterAll::JobChanged));
}

#[test]
fn plans_that_are_old_changed_or_take_too_much_are_refused() {
    let fixture = fixture("prune-crashed-1.20");
    let storage = mounted(fixture);
    let request = Request { max_share: 1, ..request(fixture) };
    let plan = plan_of(&storage, &request);
    let rules = |plan: &Plan, now| plan.refusals(now).iter().map(|refusal| refusal.rule).collect::<Vec<_>>();
    assert_eq!(rules(&plan, NOW_MS), [Rule::R15]);
    let plan = plan_of(&storage, &Request { max_share: 80, ..request });
    assert_eq!(rules(&plan, NOW_MS), []);
    assert_eq!(rules(&plan, NOW_MS + DAY_MS + 1), [Rule::R15]);
    let mut changed = plan.clone();
    changed.candidates.truncate(1);
    assert_eq!(rules(&changed, NOW_MS), [Rule::R0]);
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn a_crash_after_each_deletion_leaves_snapshots_whole() {
    use statescope::storage::{Fault, StorageErrorKind};
    let fixture = fixture("claimed-1.20");
    // Two more checkpoints of the first job would be needed to remove one: the second job's is named a savepoint's copy.
    let request = Request { keep: Some(1), max_share: 100, ..request(fixture) };
    let storage = mounted(fixture);
    let job = inventory_of(&*storage, &request).snapshots[0].checkpoint.clone().unwrap();
    // The same checkpoint under a higher number makes the first one removable.
    let place = |text: &str| at(&text.replace(&format!("chk-{}", job.1), "chk-9"));
    let with_more = || {
        let storage = mounted(fixture);
        let directory = job.0.join(&format!("chk-{}", job.1)).unwrap();
        let entries = storage.list_all(&directory, statescope::storage::ListScope::Recursive).unwrap();
        for entry in entries {
            let from = entry.location().unwrap();
            let bytes = storage.read_all(from, 1 << 24).unwrap();
            storage.put_modified(&place(from.path()), bytes, Some(NOW_MS - 9 * DAY_MS));
        }
        storage
    };
    let storage = with_more();
    let plan = plan_of(&storage, &request);
    for deletions in 0..plan.candidates.len() as u64 {
        let storage = with_more();
        let mut world =
            Quiet { storage: Arc::clone(&storage), request: request.clone(), journal: Vec::new() };
        storage.fail_from_change(storage.changes() + deletions, Fault::Fail(StorageErrorKind::Unavailable));
        let _ = apply(&plan, &*storage, &removal(&storage), &ApplyOptions::default(), &mut world);
        storage.clear_faults();
        let inventory = inventory_of(&*storage, &request);
        for snapshot in &inventory.snapshots {
            assert!(snapshot.contents.as_ref().unwrap().unlisted.is_empty(), "after {deletions} deletions");
        }
        let outcome =
            apply(&plan, &*storage, &removal(&storage), &ApplyOptions::default(), &mut world).unwrap();
        assert_eq!(outcome.removed_objects + outcome.gone_objects, plan.candidates.len() as u64);
    }
}

// ---- the command line ----------------------------------------------------------------------------

const JOB: &str = "0123456789abcdef0123456789abcdef";

/// A native savepoint, whose files are recorded relative to it, and a job's directory with nothing but orphans.
struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fixture = fixture("savepoint-native-2.3");
        for (path, bytes) in fixture.files().into_iter().filter(|(path, _)| path.starts_with("data/")) {
            put(&dir.path().join(path), &bytes, 10);
        }
        let job = dir.path().join("data").join(JOB);
        put(&job.join("shared/00000001-1111-2222-3333-444444444444"), b"old", 10);
        put(&job.join("shared/00000002-1111-2222-3333-444444444444"), b"young", 0);
        put(&job.join("shared/notes.txt"), b"mine", 10);
        put(&job.join("chk-3/00000003-1111-2222-3333-444444444444"), b"left", 10);
        Self { dir }
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command: Command = command();
        let output = command.args(args).current_dir(self.dir.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    }

    fn json(&self, args: &[&str]) -> Value {
        let (_, text) = self.run(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
    }

    fn savepoint(&self) -> String {
        let entries = fs::read_dir(self.dir.path().join("data")).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        format!("data/{}", names.find(|name| name.starts_with("savepoint-")).unwrap())
    }

    fn job(&self) -> PathBuf {
        self.dir.path().join("data").join(JOB)
    }
}

fn put(path: &Path, bytes: &[u8], days: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let time = SystemTime::now() - Duration::from_secs(days * 86_400);
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Documents of all results, for the test of their documentation.
pub fn documents() -> Vec<Value> {
    let scratch = Scratch::new();
    let savepoint = scratch.savepoint();
    let table = fixture("savepoint-native-2.3").rocksdb().unwrap().to_string();
    let entries = fs::read_dir(scratch.dir.path().join(&savepoint)).unwrap();
    let mut files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let table = files.find(|name| table.contains(name.as_str())).unwrap();
    let job = format!("data/{JOB}");
    let mut documents = vec![
        scratch.json(&["refs", &savepoint]),
        scratch.json(&["refs", &format!("{savepoint}/{table}"), "--root", "data"]),
        scratch.json(&["du", "data"]),
        scratch.json(&["orphans", "data"]),
        scratch.json(&["prune", "data", "--roots-complete", "--job-stopped", &job, "--plan", "plan"]),
    ];
    put(&scratch.job().join("chk-3/00000003-1111-2222-3333-444444444444"), b"again", 10);
    documents.push(scratch.json(&["prune", "--apply", "plan"]));
    // In place, fixtures are copies: blocks, and what others need.
    let claimed = fixture("claimed-1.20");
    let output = |args: &[&str]| {
        let output = command().args(args).args(["-o", "json"]).current_dir(&claimed.dir).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    documents.push(output(&["du", "data"]));
    let plan: Value = output(&["prune", "data", "--max-share", "1"]);
    documents.push(plan);
    let crashed = fixture("inc-1.20");
    let du = command().args(["du", "data", "-o", "json"]).current_dir(&crashed.dir).output().unwrap();
    documents.push(serde_json::from_slice(&du.stdout).unwrap());
    documents
}

#[test]
fn prune_plans_and_applies() {
    let scratch = Scratch::new();
    let job = format!("data/{JOB}");
    let plan = ["prune", "data", "--roots-complete", "--job-stopped", &job, "--plan", "plan"];
    // Without evidence: nothing.
    assert_eq!(scratch.json(&["prune", "data"])["plan"]["candidates"].as_array().unwrap().len(), 0);
    let (code, text) = scratch.run(&plan);
    assert!(code == 0 && text.contains("7 B in 2 objects may be deleted"), "{text}");
    let (code, text) = scratch.run(&["prune", "--apply", "plan"]);
    assert!(
        code == 0 && text.contains("deleted 7 B in 2 objects") && text.contains("all are whole"),
        "{text}"
    );
    assert!(!scratch.job().join("chk-3").exists(), "an empty chk-N goes with what was in it");
    assert!(scratch.job().join("shared/notes.txt").exists());
    let journal = fs::read_to_string(scratch.dir.path().join("plan.journal")).unwrap();
    assert_eq!(journal.lines().count(), 6, "{journal}");
    assert_eq!(scratch.run(&["verify", &scratch.savepoint()]).0, 0);
}

#[test]
fn quarantine_keeps_what_is_deleted() {
    let scratch = Scratch::new();
    let job = format!("data/{JOB}");
    scratch.run(&["prune", "data", "--roots-complete", "--job-stopped", &job, "--plan", "plan"]);
    assert_eq!(scratch.run(&["prune", "--apply", "plan", "--quarantine", "data/kept"]).0, 4);
    let (code, text) = scratch.run(&["prune", "--apply", "plan", "--quarantine", "kept"]);
    assert_eq!(code, 0, "{text}");
    let kept = super::support::files_below(&scratch.dir.path().join("kept"));
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().any(|path| path.ends_with("shared/00000001-1111-2222-3333-444444444444")));
}

#[test]
fn r11_random_prefixes_that_lie_elsewhere_forbid_everything() {
    let scratch = Scratch::new();
    let conf = "s3.entropy.key: _entropy_\nstate.checkpoints.dir: s3://bucket/_entropy_/checkpoints\n";
    fs::write(scratch.dir.path().join("config.yaml"), conf).unwrap();
    let job = format!("data/{JOB}");
    let plan = ["prune", "data", "--roots-complete", "--job-stopped", &job];
    assert_eq!(scratch.json(&plan)["plan"]["candidates"].as_array().unwrap().len(), 2);
    let plan = scratch.json(&[&plan[..], &["--flink-conf", "config.yaml"]].concat());
    assert_eq!(plan["plan"]["candidates"].as_array().unwrap().len(), 0);
    let kept = plan["plan"]["kept"].as_array().unwrap();
    assert!(kept.iter().any(|class| class["rule"] == "R11"), "{kept:#?}");
}

#[test]
fn wrong_usage_is_refused_before_anything_is_read() {
    let scratch = Scratch::new();
    for (args, says) in [
        (&["prune"][..], "ROOT"),
        (&["prune", "data", "--min-age", "1h"], "--unsafe-min-age"),
        (&["orphans", "data", "--relocate", "a=b"], "nothing is relocated"),
        (&["du", "data", "--cache", "c"], "cache"),
        (&["prune", "data", "--rate", "3"], "--apply"),
        (&["prune", "--apply", "nowhere"], "nowhere"),
        (&["prune", "--apply", "plan", "--keep", "1"], "as it is"),
        (&["prune", "data", "--job-stopped", "data/other"], "no job's directory"),
    ] {
        let (code, text) = scratch.run(args);
        assert!(code == 2 && text.contains(says), "{args:?}: {code}: {text}");
    }
    assert_eq!(scratch.run(&["orphans", "nowhere"]).0, 1);
}

#[test]
fn refs_answers_by_its_exit_code() {
    let scratch = Scratch::new();
    let job = format!("data/{JOB}");
    let old = format!("{job}/shared/00000001-1111-2222-3333-444444444444");
    let savepoint = scratch.savepoint();
    let all = ["--root", "data", "--roots-complete", "--job-stopped", &job];
    let code = |args: &[&str]| scratch.run(&[&["refs"][..], args].concat()).0;
    assert_eq!(code(&[&[old.as_str()][..], &all[..]].concat()), 0);
    assert_eq!(code(&[old.as_str(), "--root", "data"]), 3);
    assert_eq!(code(&[old.as_str(), "--root", "data", "--job-stopped", &job]), 5);
    assert_eq!(code(&[&[format!("{job}/shared/notes.txt").as_str()][..], &all[..]].concat()), 3);
    assert_eq!(code(&[savepoint.as_str()]), 5);
    assert_eq!(code(&[&[savepoint.as_str(), "--restores-done"][..], &all[..]].concat()), 0);
    assert_eq!(code(&["data/nothing", "--root", "data"]), 1);
}
