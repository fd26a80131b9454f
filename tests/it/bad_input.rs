//! Input that is not what it should be: one clear message, or a finding each, and the rest is still shown.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;
use statescope::storage::{Location, MemoryStorage};

use super::support::{
    Ask, Copy, Dice, Fixture, Run, fixture, fixtures, has_error, list, number, render, text, try_see,
};

/// A fixture with everything in files, as a copy that may be damaged; and its newest snapshot.
fn copy() -> (Copy, String) {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    (fixture.copy(), path)
}

/// It ends with one line on stderr that says this, and prints nothing.
fn refused(run: &Run, says: &[&str]) {
    assert_eq!((run.code, &*run.stdout), (1, ""), "{run:#?}");
    let line = run.stderr.strip_suffix('\n').unwrap();
    assert!(line.starts_with("statescope: ") && !line.contains('\n'), "{run:#?}");
    for says in says {
        assert!(line.contains(says), "{says:?}: {run:#?}");
    }
    assert!(!line.contains("panicked") && !line.contains("os error 2"), "{run:#?}");
}

/// The report is there, but says that something could not be read.
fn partial(run: &Run) {
    assert_eq!((run.code, &*run.stderr), (5, ""), "{run:#?}");
}

fn inspect(copy: &Copy, path: &str, more: &[&str]) -> Run {
    copy.run(&[&["inspect", path, "-o", "json"], more].concat())
}

/// What the undamaged snapshot says.
fn whole(path: &str) -> Value {
    fixture("inc-1.20").copy().run(&["inspect", path, "-o", "json", "--properties"]).json()
}

#[test]
fn a_place_that_holds_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let run = |path: &str| super::support::run_in(&root, &["inspect", path]);
    refused(&run("nowhere"), &["[DIR]/nowhere", "nothing is there"]);
    fs::create_dir(root.join("empty")).unwrap();
    refused(&run("empty"), &["[DIR]/empty", "no checkpoint or savepoint", "_metadata"]);
    fs::write(root.join("file.txt"), "hello").unwrap();
    refused(&run("file.txt"), &["[DIR]/file.txt", "neither a _metadata file nor a directory"]);
    // A directory where the file should be.
    fs::create_dir_all(root.join("odd/_metadata")).unwrap();
    refused(&run("odd"), &["[DIR]/odd", "directory"]);
    refused(&run("odd/_metadata"), &["[DIR]/odd/_metadata", "directory"]);
    // Only attempts.
    fs::create_dir_all(root.join("0123456789abcdef0123456789abcdef/chk-7/")).unwrap();
    fs::create_dir_all(root.join("0123456789abcdef0123456789abcdef/shared/")).unwrap();
    refused(&run("0123456789abcdef0123456789abcdef"), &["no checkpoint is complete"]);
    // A root of which it is known that there is a job, but nothing to restore from.
    let run = super::support::run_in(&root, &["inspect", "."]);
    assert!(run.code == 0 || run.code == 5, "{run:#?}");
    assert!(run.stdout.contains("chk-7") && run.stdout.contains("no complete checkpoint"), "{run:#?}");
}

#[test]
fn a_metadata_that_is_none() {
    let (copy, path) = copy();
    let metadata = copy.path(&path).join("_metadata");
    let good = fs::read(&metadata).unwrap();
    let with = |bytes: &[u8]| {
        fs::write(&metadata, bytes).unwrap();
        copy.run(&["inspect", &path])
    };
    let place = format!("[DIR]/{path}/_metadata");
    refused(&with(b""), &[&place, "offset 0"]);
    refused(&with(b"PK\x03\x04 is no snapshot at all"), &[&place, "0x4960672d", "offset 0"]);
    refused(&with(&good[..3]), &[&place]);
    refused(&with(&good[..4]), &[&place]);
    let version = |version: u32| {
        let mut bytes = good.clone();
        bytes[4..8].copy_from_slice(&version.to_be_bytes());
        with(&bytes)
    };
    refused(&version(99), &[&place, "99", "offset 4"]);
    refused(&version(1), &[&place, "version", "offset 4"]);
    refused(&version(u32::MAX), &[&place, "offset 4"]);
}

#[test]
fn a_metadata_that_is_cut_shows_what_comes_before() {
    let (copy, path) = copy();
    let metadata = copy.path(&path).join("_metadata");
    let good = fs::read(&metadata).unwrap();
    let operators = list(&whole(&path)["operators"]).len();
    let mut shown = Vec::new();
    for percent in [10, 50, 90] {
        let cut = good.len() * percent / 100;
        fs::write(&metadata, &good[..cut]).unwrap();
        let run = inspect(&copy, &path, &[]);
        partial(&run);
        let finding = run.finding("metadata_not_whole");
        assert_eq!(finding["severity"], "error");
        assert_eq!(finding["file"], format!("[DIR]/{path}/_metadata"));
        assert!(number(&finding["offset"]) <= cut as u64, "{finding:#}");
        assert!(text(&finding["remedy"]).contains("copy it again"), "{finding:#}");
        shown.push(list(&run.json()["operators"]).len());
    }
    assert!(shown.is_sorted() && shown[2] > shown[0] && shown[2] <= operators, "{shown:?} of {operators}");
    // The same file by name, and as a table: the first screen says it.
    let run = copy.run(&["inspect", &format!("{path}/_metadata")]);
    assert_eq!(run.code, 5, "{run:#?}");
    assert!(run.stdout.contains("metadata_not_whole") && run.stdout.contains("1 error"), "{run:#?}");
}

#[test]
fn an_unknown_tag_is_named_with_its_place() {
    let (copy, path) = copy();
    let metadata = copy.path(&path).join("_metadata");
    let mut bytes = fs::read(&metadata).unwrap();
    let id = path.rsplit_once('-').unwrap().1.parse::<u64>().unwrap().to_be_bytes();
    // An incremental handle begins with its tag and the checkpoint's id.
    let at = (0..bytes.len() - 9).find(|&at| bytes[at] == 11 && bytes[at + 1..at + 9] == id).unwrap();
    bytes[at] = 99;
    fs::write(&metadata, bytes).unwrap();
    let run = inspect(&copy, &path, &[]);
    partial(&run);
    let finding = run.finding("metadata_not_whole");
    assert!(text(&finding["message"]).contains("99"), "{finding:#}");
    assert_eq!(number(&finding["offset"]), at as u64, "{finding:#}");
}

/// Takes away or spoils one file, and says which finding comes of it.
struct Damage<'a> {
    file: &'a str,
    with: fn(&Path),
    args: &'a [&'a str],
    code: &'a str,
    /// What the finding's message or remedy says.
    says: &'a str,
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn make_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

fn empty(path: &Path) {
    fs::write(path, "").unwrap();
}

fn halve(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// Cuts a log where a record ends: nothing in the file itself tells.
fn cut_behind_an_edit(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let mut at = 0;
    while at < bytes.len() / 2 {
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
    }
    fs::write(path, &bytes[..at]).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

fn flip_in_the_middle(path: &Path) {
    flip(path, usize::try_from(fs::metadata(path).unwrap().len()).unwrap() / 2);
}

fn flip_at_the_begin(path: &Path) {
    flip(path, 0);
}

fn flip_in_the_footer(path: &Path) {
    flip(path, usize::try_from(fs::metadata(path).unwrap().len()).unwrap() - 4);
}

#[test]
fn a_file_that_is_missing_or_spoiled_is_a_finding_and_the_rest_is_shown() {
    let path = fixture("inc-1.20").newest();
    let before = whole(&path);
    let files = ["meta", "CURRENT", "MANIFEST-", "OPTIONS-", "0"]
        .map(|name| fixture("inc-1.20").file_named(&path, name));
    let [meta, current, manifest, options, sst] = files.each_ref().map(String::as_str);
    let props: &[&str] = &["--properties"];
    let damages = [
        Damage { file: meta, with: remove, args: &[], code: "file_missing", says: "--relocate" },
        Damage { file: current, with: remove, args: &[], code: "file_missing", says: "CURRENT" },
        Damage { file: manifest, with: remove, args: &[], code: "file_missing", says: "MANIFEST" },
        Damage { file: options, with: remove, args: &[], code: "file_missing", says: "OPTIONS" },
        Damage { file: sst, with: remove, args: props, code: "file_missing", says: "SST" },
        Damage { file: meta, with: empty, args: &[], code: "file_size_differs", says: "copy it again" },
        Damage { file: meta, with: halve, args: &[], code: "keyed_meta_not_decoded", says: "offset" },
        Damage { file: current, with: empty, args: &[], code: "current_not_decoded", says: "copy it again" },
        Damage {
            file: current,
            with: flip_at_the_begin,
            args: &[],
            code: "current_not_decoded",
            says: "CURRENT",
        },
        Damage { file: manifest, with: empty, args: &[], code: "manifest_cut", says: "holds no edit" },
        Damage { file: manifest, with: halve, args: &[], code: "manifest_cut", says: "ends inside an edit" },
        Damage {
            file: manifest,
            with: cut_behind_an_edit,
            args: &[],
            code: "file_size_differs",
            says: "records",
        },
        Damage {
            file: manifest,
            with: flip_in_the_middle,
            args: &[],
            code: "manifest_not_decoded",
            says: "checksum",
        },
        Damage { file: options, with: empty, args: &[], code: "options_not_decoded", says: "OPTIONS" },
        Damage { file: sst, with: halve, args: props, code: "sst_size_differs", says: "MANIFEST says" },
        Damage { file: sst, with: empty, args: props, code: "sst_size_differs", says: "MANIFEST says" },
        Damage {
            file: sst,
            with: flip_in_the_footer,
            args: props,
            code: "sst_tail_not_decoded",
            says: "SST",
        },
        Damage { file: sst, with: make_directory, args: props, code: "file_unreadable", says: "directory" },
        Damage {
            file: manifest,
            with: make_directory,
            args: &[],
            code: "file_unreadable",
            says: "directory",
        },
    ];
    let problems: Vec<String> = damages
        .par_iter()
        .filter_map(|damage| {
            let (copy, path) = copy();
            (damage.with)(&copy.path(damage.file));
            let run = inspect(&copy, &path, damage.args);
            check_damage(damage, &run, &before).err().map(|problem| {
                let findings = serde_json::from_str::<Value>(&run.stdout).map(|j| j["findings"].clone());
                format!("{} ({}): {problem}: {findings:#?} {}", damage.code, damage.file, run.stderr)
            })
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

fn check_damage(damage: &Damage<'_>, run: &Run, before: &Value) -> Result<(), String> {
    let need = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    need(run.code == 5 && run.stderr.is_empty(), &format!("exit {}", run.code))?;
    let json = run.json();
    let findings = list(&json["findings"]);
    let found: Vec<_> = findings.iter().filter(|f| f["code"] == damage.code).collect();
    need(found.len() == 1, &format!("{} findings of this code", found.len()))?;
    let finding = found[0];
    let name = damage.file.rsplit('/').next().unwrap();
    need(finding["file"].as_str().is_some_and(|f| f.ends_with(name)), "the file is not named")?;
    need(finding["part"].as_str().is_some_and(|p| p.contains("subtask")), "the subtask is not named")?;
    need(!text(&finding["remedy"]).is_empty(), "no remedy")?;
    let said = format!("{} {}", text(&finding["message"]), text(&finding["remedy"]));
    need(said.contains(damage.says), &format!("it does not say {:?}", damage.says))?;
    // One broken file is told of once or twice (what is wrong, and what that means), not all over.
    need(findings.len() <= 2, &format!("{} findings", findings.len()))?;
    // Everything else is there still.
    let names = |json: &Value, list_of: &str| -> Vec<String> {
        let mut names: Vec<_> = list(&json[list_of])
            .iter()
            .map(|s| {
                format!("{} {}", s["operator_id"].as_str().unwrap_or(""), s["id"].as_str().unwrap_or(""))
            })
            .collect();
        names.sort();
        names
    };
    need(names(&json, "operators") == names(before, "operators"), "operators differ")?;
    need(json["totals"]["state_bytes"] == before["totals"]["state_bytes"], "bytes differ")?;
    let left = list(&json["states"]).len();
    let all = list(&before["states"]).len();
    need(left + 30 > all, &format!("{left} of {all} states are left"))
}

#[test]
#[cfg(unix)]
fn a_file_that_may_not_be_read_is_told_as_such() {
    use std::os::unix::fs::PermissionsExt;
    let lock = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let (copy, path) = copy();
    let metadata = copy.path(&path).join("_metadata");
    lock(&metadata);
    if fs::read(&metadata).is_ok() {
        return; // The super-user may read everything; a store's fault stands for it below.
    }
    refused(&copy.run(&["inspect", &path]), &["permission denied"]);
}

#[test]
fn a_store_that_refuses_is_told_as_such() {
    use statescope::storage::{Fault, StorageErrorKind};
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    let manifest = fixture.recorded(&fixture.file_named(&path, "MANIFEST-"));
    for (kind, code, says) in [
        (StorageErrorKind::PermissionDenied, "file_unreadable", "check what the identity in use may read"),
        (StorageErrorKind::Throttled, "file_unreadable", "fewer requests in flight"),
        (StorageErrorKind::Archived, "file_archived", "archive"),
    ] {
        let storage = fixture.in_memory(|p| fixture.recorded(p));
        storage.fail_at(&manifest, Fault::Fail(kind.clone()));
        let seen = try_see(&storage, &fixture.recorded(&path), &Ask::default()).unwrap();
        let findings: Vec<_> = seen.overview.findings.iter().map(|f| (f.code, &f.message)).collect();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].0, code);
        assert!(findings[0].1.contains(&kind.to_string()) && findings[0].1.contains(says), "{findings:#?}");
        // What fails for another reason than that nothing is there is not looked for elsewhere.
        storage.clear_faults();
        storage.fail_at(&fixture.recorded(&path).join("_metadata").unwrap(), Fault::Fail(kind.clone()));
        let message = try_see(&storage, &fixture.recorded(&path), &Ask::default()).unwrap_err();
        assert!(message.contains(&kind.to_string()) && message.contains(says), "{message}");
    }
    // A body that breaks off.
    let storage = fixture.in_memory(|p| fixture.recorded(p));
    storage.fail_at(&manifest, Fault::Short(7));
    let seen = try_see(&storage, &fixture.recorded(&path), &Ask::default()).unwrap();
    assert!(has_error(&seen.overview), "{:#?}", seen.overview.findings);
}

#[test]
fn a_bad_snapshot_under_a_root_does_not_hide_the_others() {
    let (copy, path) = copy();
    fs::write(copy.path(&path).join("_metadata"), "nonsense").unwrap();
    fs::create_dir_all(copy.path("data/savepoint-1/_metadata")).unwrap();
    fs::create_dir_all(copy.path("data/savepoint-2")).unwrap();
    fs::write(copy.path("data/savepoint-2/_metadata"), "").unwrap();
    let run = inspect(&copy, "data", &[]);
    partial(&run);
    let json = run.json();
    let checkpoints = list(&json["jobs"][0]["checkpoints"]);
    assert_eq!(checkpoints.len(), 3, "{json:#}");
    let readable = checkpoints.iter().filter(|c| c["state_bytes"].is_u64()).count();
    assert_eq!(readable, 2, "{json:#}");
    let bad: Vec<_> =
        list(&json["findings"]).iter().filter(|f| f["code"] == "metadata_not_decoded").collect();
    assert_eq!(bad.len(), 2, "{json:#}");
    for finding in bad {
        assert!(finding["file"].is_string() && finding["offset"].is_u64(), "{finding:#}");
    }
    // The newest is the broken one: that is said, and not passed over in silence.
    refused(&copy.run(&["inspect", Path::new(&path).parent().unwrap().to_str().unwrap()]), &["_metadata"]);
}

/// Random damage, of `_metadata` and of everything behind it: a report or one message, and never a panic.
#[test]
fn no_damage_makes_it_panic() {
    // Cheap snapshots get many rounds, large ones few.
    let problems: Vec<String> = fixtures().par_iter().flat_map_iter(damage_all).collect();
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems[..problems.len().min(10)].join("\n")
    );
}

fn damage_all(fixture: &Fixture) -> Vec<String> {
    const ROUNDS: usize = 12;
    let path = fixture.newest();
    let at = fixture.recorded(&path);
    let files: Vec<_> = fixture.files().into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let metadata = files.iter().position(|(p, _)| *p == format!("{path}/_metadata")).unwrap();
    let storage = fixture.in_memory(|p| fixture.recorded(p));
    let seed = fixture.name.bytes().fold(7_u64, |seed, b| seed.wrapping_mul(31).wrapping_add(u64::from(b)));
    let mut dice = Dice::new(seed);
    let mut problems = Vec::new();
    for round in 0..ROUNDS {
        // Half of the rounds damage `_metadata`, on which everything hangs.
        let victims = if round % 2 == 0 {
            vec![metadata]
        } else {
            (0..files.len().div_ceil(4)).map(|_| dice.below(files.len())).filter(|v| *v != metadata).collect()
        };
        let mut told = String::new();
        for &victim in &victims {
            let (name, bytes) = &files[victim];
            let (bytes, how) = damaged(bytes, &mut dice);
            told = format!("{name} {how}");
            storage.put(&fixture.recorded(name), bytes);
        }
        let label = format!("{} round {round}: last of {}: {told}", fixture.name, victims.len());
        match catch_unwind(AssertUnwindSafe(|| one_run(&storage, &at))) {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => problems.push(format!("{label}: {problem}")),
            Err(_) => problems.push(format!("{label}: it panics")),
        }
        for &victim in &victims {
            let (name, bytes) = &files[victim];
            storage.put(&fixture.recorded(name), bytes.clone());
        }
    }
    problems
}

/// What a run in the shell does, without the shell; what ends it is one line.
fn one_run(storage: &MemoryStorage, at: &Location) -> Result<(), String> {
    match try_see(storage, at, &Ask::properties()) {
        Ok(seen) => {
            let (json, table) = render(&seen.overview);
            serde_json::from_str::<Value>(&json).map_err(|e| format!("no JSON: {e}"))?;
            if table.contains('\u{1b}') { Err("the table steers the terminal".to_owned()) } else { Ok(()) }
        }
        Err(message) if message.is_empty() || message.contains('\n') => {
            Err(format!("not one line: {message:?}"))
        }
        Err(_) => Ok(()),
    }
}

fn damaged(bytes: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    let mut bytes = bytes.to_vec();
    let at = dice.below(bytes.len());
    match dice.below(5) {
        0 => {
            bytes.truncate(at);
            (bytes, format!("cut at {at}"))
        }
        1 => {
            bytes[at] = 0xff;
            (bytes, format!("0xff at {at}"))
        }
        2 => {
            // A length that cannot be.
            let end = (at + 4).min(bytes.len());
            bytes[at..end].fill(0x7f);
            (bytes, format!("a hostile length at {at}"))
        }
        3 => {
            let to = dice.below(bytes.len());
            let (from, to) = (at.min(to), at.max(to));
            bytes.drain(from..to);
            (bytes, format!("without {from}..{to}"))
        }
        _ => {
            let bit = dice.below(8);
            bytes[at] ^= 1 << bit;
            (bytes, format!("bit {bit} of {at} flipped"))
        }
    }
}
