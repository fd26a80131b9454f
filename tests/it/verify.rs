//! Whether a snapshot can be restored: good ones, broken ones, and what is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use rayon::prelude::*;
use serde_json::Value;
use statescope::analyzers::verify::{
    Evidence, SnapshotVerification, Verdict, effect_of, verification, verify,
};
use statescope::model::{Effect, Place};
use statescope::readers::discover;
use statescope::readers::opener::RelocateRule;
use statescope::readers::snapshot::ReadOptions;
use statescope::readers::verify::Verifier;
use statescope::report::{self, Layout};
use statescope::scan::deep::{DeepVerifier, Subject};
use statescope::scan::{Progress, ScanOptions};
use statescope::storage::{
    Fault, InFlight, Location, MemoryStorage, Metered, Op, RequestRecord, Span, Storage, StorageErrorKind,
};

use super::support::{
    Ask, Copy, Dice, Fixture, Run, command, fixture, fixtures, list, number, run_in, see, see_fixture, text,
};

/// Verifies snapshots one after the other, as a job's directory is.
struct Session<'s> {
    storage: &'s dyn Storage,
    small: Verifier<'s>,
    deep: Option<DeepVerifier>,
}

impl<'s> Session<'s> {
    fn new(storage: &'s dyn Storage, deep: bool, relocate: Vec<RelocateRule>) -> Self {
        let options =
            ReadOptions { relocate, in_flight: InFlight::default(), properties: true, channels: deep };
        Self {
            storage,
            small: Verifier::new(storage, options, 1 << 20),
            deep: deep.then(DeepVerifier::default),
        }
    }

    fn verify(&mut self, at: &Location) -> SnapshotVerification {
        let file = discover::read_metadata(self.storage, at).unwrap();
        let reading = self.small.read(&file).unwrap();
        let mut findings = reading.findings;
        let deep = self.deep.as_mut().map(|deep| {
            let subject =
                Subject { snapshot: &reading.snapshot, details: &reading.details, tables: &reading.tables };
            let options = ScanOptions { threads: 2, memory: 1 << 20, checksums: true, requests: 4 };
            let verified = deep.verify(self.storage, subject, options, &Progress::default());
            let (read, found) = verified.expect("it is not stopped");
            findings.extend(found);
            read
        });
        verify(Evidence {
            location: file.directory.to_string(),
            modified_ms: None,
            snapshot: &reading.snapshot,
            details: &reading.details,
            places: reading.places,
            findings,
            deep,
        })
    }
}

fn verified(storage: &dyn Storage, at: &Location, deep: bool) -> SnapshotVerification {
    Session::new(storage, deep, Vec::new()).verify(at)
}

/// A fixture where Flink recorded it.
fn at_home(fixture: &Fixture) -> MemoryStorage {
    fixture.in_memory(|path| fixture.recorded(path))
}

fn codes(verified: &SnapshotVerification) -> Vec<&'static str> {
    verified.findings.iter().map(|problem| problem.finding.code).collect()
}

// ---- good snapshots ------------------------------------------------------------------------------

#[test]
fn every_fixture_is_restorable() {
    let tables: u64 = fixtures()
        .par_iter()
        .map(|fixture| {
            let storage = at_home(fixture);
            let mut tables = 0;
            for path in fixture.snapshots() {
                let at = fixture.recorded(&path);
                let label = format!("{}/{path}", fixture.name);
                let shallow = verified(&storage, &at, false);
                let deep = verified(&storage, &at, true);
                for result in [&shallow, &deep] {
                    assert_eq!(result.verdict, Verdict::Restorable, "{label}: {:#?}", result.findings);
                    let files = result.files.unwrap();
                    assert_eq!((files.good, result.lost.len()), (files.named, 0), "{label}");
                    let places = result.places.as_ref().unwrap();
                    assert_eq!((places.failed, places.relocated), (0, 0), "{label}: {places:#?}");
                    let found = places.relative + places.recorded_uris + places.inlined;
                    assert_eq!(found, files.named, "{label}: {places:#?}");
                }
                let of = shallow.tables.unwrap();
                assert_eq!((of.tails, of.deep), (of.files, None), "{label}");
                let read = deep.tables.unwrap().deep.unwrap();
                assert_eq!((read.files, read.bytes), (of.files, of.bytes), "{label}");
                // What was not looked into is the same but for the tables' blocks.
                let kinds = |result: &SnapshotVerification| -> Vec<&str> {
                    result.not_checked.iter().map(|part| part.kind).collect()
                };
                let read_deep =
                    ["sst_blocks", "keyed_streams", "canonical_streams", "raw_keyed", "changes", "in_flight"];
                let rest = |result| -> Vec<&str> {
                    kinds(result).into_iter().filter(|kind| !read_deep.contains(kind)).collect()
                };
                assert_eq!(rest(&shallow), rest(&deep), "{label}");
                let streams = |result| kinds(result).iter().any(|kind| kind.ends_with("_streams"));
                assert!(!streams(&deep), "{label}");
                if streams(&shallow) {
                    assert!(
                        read.key_groups > 0 && read.rows > 0 && read.stream_bytes > 0,
                        "{label}: {read:?}"
                    );
                }
                assert_eq!(kinds(&shallow).contains(&"sst_blocks"), of.files > 0, "{label}");
                tables += read.files;
            }
            tables
        })
        .sum();
    assert!(tables > 1000, "{tables}");
}

#[test]
fn what_is_not_decoded_is_named() {
    let kinds = |name: &str| -> Vec<&'static str> {
        let fixture = fixture(name);
        let result = verified(&at_home(fixture), &fixture.recorded(&fixture.newest()), true);
        result.not_checked.iter().map(|part| part.kind).collect()
    };
    for (name, kind) in [("odd-1.20", "raw_keyed"), ("inc-2.3", "coordinator"), ("inc-2.3", "operator")] {
        assert!(kinds(name).contains(&kind), "{name}: {:?}", kinds(name));
    }
}

#[test]
fn changes_of_changelogs_are_decoded() {
    for name in ["changelog-1.15", "changelog-1.20", "changelog-memory-1.20"] {
        let fixture = fixture(name);
        let at = fixture.recorded(&fixture.newest());
        let deep = |storage: &MemoryStorage| {
            let result = verified(storage, &at, true);
            let deep = result.tables.and_then(|tables| tables.deep);
            (result.verdict, deep.unwrap(), result.findings)
        };
        let storage = at_home(fixture);
        let (verdict, read, findings) = deep(&storage);
        assert!(verdict == Verdict::Restorable && findings.is_empty(), "{name}: {findings:#?}");
        assert!(read.changes > 200 && read.change_sets >= 2 && read.changelogs > 1, "{name}: {read:?}");
        assert!(verified(&storage, &at, false).not_checked.iter().any(|part| part.kind == "changes"));
        // The one that the newest snapshot names.
        let name_of = |place: &Place| matches!(place, Place::Uri(uri) if uri.contains("/dstl/"));
        let files = see_fixture(fixture, &fixture.newest(), &Ask::default()).snapshot.files;
        let Some(Place::Uri(uri)) = files.into_iter().map(|file| file.place).find(name_of) else { continue };
        let place = Location::parse(&uri).unwrap();
        let whole = storage.read_all(&place, 1 << 20).unwrap();
        // Cut, another operation, and a length that lies.
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            storage.put(&place, whole.slice(..cut));
            let (verdict, _, findings) = deep(&storage);
            let codes: BTreeSet<_> = findings.iter().map(|problem| problem.finding.code).collect();
            assert_eq!(verdict, Verdict::NotRestorable, "{name}: cut at {cut}: {findings:#?}");
            assert!(codes.iter().any(|code| code.starts_with("changelog_")), "{name}: {codes:?}");
        }
    }
}

#[test]
fn the_command_says_so_for_copies_too() {
    fixtures().par_iter().for_each(|fixture| {
        let rule = format!("file:/data/flink/{}=data", fixture.name);
        let path = fixture.newest();
        for more in [&[][..], &["--deep"], &["--deep", "--threads", "1", "--memory", "1M"]] {
            let args = [&["verify", &path, "-o", "json", "--relocate", &rule], more].concat();
            let run = run_in(&fixture.dir, &args);
            assert_eq!((run.code, &*run.stderr), (0, ""), "{}: {run:#?}", fixture.name);
            let json = run.json();
            assert_eq!(json["verdict"], "restorable");
            assert_eq!(json["deep"], !more.is_empty());
            assert_eq!(json["newest_restorable_by_id"], json["location"]);
            // Where the files were found is told, and that the user said so.
            let places = &json["snapshots"][0]["places"];
            let by_hand = list(&places["relocations"]).iter().all(|relocation| relocation["by_hand"] == true);
            assert!(by_hand && number(&places["recorded_uris"]) == 0, "{}: {places:#}", fixture.name);
        }
    });
}

// ---- what is asked for ---------------------------------------------------------------------------

/// Which kind of request, of what, from where to where.
fn asked(log: &[RequestRecord]) -> BTreeMap<(String, String), usize> {
    let mut asked = BTreeMap::new();
    for request in log {
        let what = format!("{:?} {:?}", request.op, request.span);
        *asked.entry((request.location.to_string(), what)).or_default() += 1;
    }
    asked
}

/// What `inspect --properties` asks for, and one more request for each object that it does not read.
#[test]
fn every_object_is_asked_for_once() {
    let mut more = 0;
    for fixture in fixtures() {
        for path in fixture.snapshots() {
            let label = format!("{}/{path}", fixture.name);
            let at = fixture.recorded(&path);
            let storage = Metered::with_log(at_home(fixture));
            let seen = see(&storage, &at, &Ask::properties());
            let inspected = storage.meter().take_log();
            verified(&storage, &at, false);
            let log = storage.meter().take_log();
            assert!(log.iter().all(|request| !request.failed), "{label}: {log:#?}");

            let mut expected = asked(&inspected);
            let read: BTreeSet<String> = inspected.iter().map(|r| r.location.to_string()).collect();
            let objects: BTreeSet<String> = seen
                .snapshot
                .files
                .iter()
                .filter_map(|file| match &file.place {
                    Place::Uri(uri) | Place::Segment { uri, .. } => Some(Location::parse(uri).unwrap()),
                    Place::Relative(path) => Some(at.join(path).unwrap()),
                    Place::Inline { .. } | Place::Empty => None,
                })
                .map(|location| location.to_string())
                .collect();
            for object in objects.difference(&read) {
                let first_byte = format!("{:?} {:?}", Op::Range, Some(Span::Range(0..1)));
                expected.insert((object.clone(), first_byte), 1);
                more += 1;
            }
            assert_eq!(asked(&log), expected, "{label}");
        }
    }
    assert!(more > 3, "{more}");
}

#[test]
fn snapshots_that_share_files_ask_for_them_once() {
    for fixture in fixtures().iter().filter(|fixture| fixture.snapshots().len() > 1) {
        for deep in [false, true] {
            let storage = Metered::with_log(at_home(fixture));
            let mut session = Session::new(&storage, deep, Vec::new());
            let alone: Vec<_> = fixture
                .snapshots()
                .iter()
                .map(|path| verified(storage.inner(), &fixture.recorded(path), deep))
                .collect();
            for (path, alone) in fixture.snapshots().iter().zip(alone) {
                let together = session.verify(&fixture.recorded(path));
                // What is known already changes no answer.
                let json = |result: &SnapshotVerification| serde_json::to_value(result).unwrap();
                assert_eq!(json(&together), json(&alone), "{}/{path}", fixture.name);
            }
            let log = storage.meter().take_log();
            let twice: Vec<_> = asked(&log).into_iter().filter(|(_, times)| *times > 1).collect();
            assert!(twice.is_empty(), "{}: {twice:#?}", fixture.name);
        }
    }
}

#[test]
fn deep_reads_every_byte_of_a_table_once() {
    for name in ["inc-1.13", "inc-1.20", "zstd-partitioned-2.3", "lz4-bloom-1.20", "file-merging-2.3"] {
        let fixture = fixture(name);
        let at = fixture.recorded(&fixture.newest());
        let storage = Metered::with_log(at_home(fixture));
        let shallow = verified(&storage, &at, false);
        let without = asked(&storage.meter().take_log());
        verified(&storage, &at, true);
        let log = storage.meter().take_log();
        let deep: Vec<_> = {
            let mut left = without;
            let is_new = |request: &&RequestRecord| {
                let key = (request.location.to_string(), format!("{:?} {:?}", request.op, request.span));
                match left.get_mut(&key).filter(|times| **times > 0) {
                    Some(times) => {
                        *times -= 1;
                        false
                    }
                    None => true,
                }
            };
            log.iter().filter(is_new).collect()
        };
        let mut bytes = 0;
        let mut ends: BTreeMap<String, BTreeSet<(u64, u64)>> = BTreeMap::new();
        for request in deep {
            let Some(Span::Range(range)) = &request.span else { panic!("{request:?}") };
            bytes += range.end - range.start;
            let is_new =
                ends.entry(request.location.to_string()).or_default().insert((range.start, range.end));
            assert!(is_new, "{name}: {request:?}");
        }
        for spans in ends.values() {
            let spans: Vec<_> = spans.iter().collect();
            assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{name}: {spans:?}");
        }
        // All but what the tail says: properties, metaindex and footer.
        let of = shallow.tables.unwrap();
        let left = of.bytes - bytes;
        assert!(
            left > of.files * 500 && left < of.files * 1300,
            "{name}: {left} of {} in {}",
            of.bytes,
            of.files
        );
    }
}

// ---- broken snapshots ----------------------------------------------------------------------------

/// Damages a store, and says what comes of it.
struct Case {
    what: &'static str,
    damage: Box<dyn Fn(&MemoryStorage) + Sync>,
    deep: bool,
    verdict: Verdict,
    code: &'static str,
}

/// Puts the bytes of an object after a change.
fn change(storage: &MemoryStorage, at: &Location, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = storage.read_all(at, u64::MAX).unwrap().to_vec();
    change(&mut bytes);
    storage.put(at, bytes);
}

fn without(fixture: &Fixture, storage: &MemoryStorage, gone: &Location) {
    for (path, _) in fixture.files() {
        let at = fixture.recorded(&path);
        if at == *gone {
            storage.fail_at(&at, Fault::Fail(StorageErrorKind::NotFound));
        }
    }
}

#[test]
fn each_class_of_problem_leads_to_its_verdict() {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    let file = |name: &str| fixture.recorded(&fixture.file_named(&path, name));
    let [meta, current, manifest, options, sst] = ["meta", "CURRENT", "MANIFEST-", "OPTIONS-", "0"].map(file);
    let fail = |at: &Location, kind: StorageErrorKind| {
        let at = at.clone();
        Box::new(move |storage: &MemoryStorage| storage.fail_at(&at, Fault::Fail(kind.clone()))) as Box<_>
    };
    let changed = |at: &Location, change_bytes: fn(&mut Vec<u8>)| {
        let at = at.clone();
        Box::new(move |storage: &MemoryStorage| change(storage, &at, change_bytes)) as Box<_>
    };
    let halved = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let grown = |bytes: &mut Vec<u8>| bytes.push(0);
    let flipped_footer = |bytes: &mut Vec<u8>| *bytes.iter_mut().nth_back(3).unwrap() ^= 0x40;
    let flipped_data = |bytes: &mut Vec<u8>| bytes[3] ^= 0x40;
    let flipped_middle = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    };
    let (good, bad, unknown) = (Verdict::Restorable, Verdict::NotRestorable, Verdict::CannotTell);
    use StorageErrorKind::{Archived, IsDirectory, NotFound, PermissionDenied, Timeout, Unauthenticated};
    let case = |what, damage, deep, verdict, code| Case { what, damage, deep, verdict, code };
    let cases = [
        case("a missing table", fail(&sst, NotFound), false, bad, "file_missing"),
        case("a table in an archive", fail(&sst, Archived), false, bad, "file_archived"),
        case("a table that may not be read", fail(&sst, PermissionDenied), false, unknown, "file_unreadable"),
        case("no identity", fail(&sst, Unauthenticated), false, unknown, "file_unreadable"),
        case("no answer", fail(&manifest, Timeout), false, unknown, "file_unreadable"),
        case("a directory for a file", fail(&sst, IsDirectory), false, bad, "file_unreadable"),
        case("a cut table", changed(&sst, halved), false, bad, "sst_size_differs"),
        case("a grown table", changed(&sst, grown), false, bad, "sst_size_differs"),
        case("an empty table", changed(&sst, Vec::clear), false, bad, "sst_size_differs"),
        case("a flipped bit in a footer", changed(&sst, flipped_footer), false, bad, "sst_tail_not_decoded"),
        case("a flipped bit in data, not looked for", changed(&sst, flipped_data), false, good, ""),
        case("a flipped bit in data", changed(&sst, flipped_data), true, bad, "sst_damaged"),
        case("a missing MANIFEST", fail(&manifest, NotFound), false, bad, "file_missing"),
        case("a cut MANIFEST", changed(&manifest, halved), false, bad, "manifest_cut"),
        case("a damaged MANIFEST", changed(&manifest, flipped_middle), false, bad, "manifest_not_decoded"),
        case("a missing CURRENT", fail(&current, NotFound), false, bad, "file_missing"),
        case(
            "a CURRENT that names another MANIFEST",
            changed(&current, |bytes| *bytes = b"MANIFEST-999999\n".to_vec()),
            false,
            bad,
            "manifest_missing",
        ),
        case("an empty CURRENT", changed(&current, Vec::clear), false, bad, "current_not_decoded"),
        case("a missing OPTIONS", fail(&options, NotFound), false, bad, "file_missing"),
        case(
            "a damaged OPTIONS",
            changed(&options, |bytes| bytes[0..9].fill(0xff)),
            false,
            good,
            "options_not_decoded",
        ),
        case("missing meta data", fail(&meta, NotFound), false, bad, "file_missing"),
        case("cut meta data", changed(&meta, halved), false, bad, "keyed_meta_not_decoded"),
        case("grown meta data", changed(&meta, grown), false, bad, "file_size_differs"),
    ];
    cases.par_iter().for_each(|case| {
        let storage = at_home(fixture);
        (case.damage)(&storage);
        let result = verified(&storage, &fixture.recorded(&path), case.deep);
        let (what, found) = (case.what, codes(&result));
        assert_eq!(result.verdict, case.verdict, "{what}: {:#?}", result.findings);
        assert!(case.code.is_empty() || found.contains(&case.code), "{what}: {found:?}");
        let hurt = case.verdict != good;
        // What is wrong is told once or twice (the file, and what that means), with what is lost by it.
        assert!(found.len() <= 2 && hurt != result.lost.is_empty(), "{what}: {:#?}", result.findings);
        for problem in result.findings.iter().filter(|problem| problem.effect != Effect::Harmless) {
            assert!(problem.finding.file.is_some() || problem.finding.part.is_some(), "{what}: {problem:#?}");
            let [loss] = problem.lost.as_slice() else { panic!("{what}: {:#?}", problem.lost) };
            assert!(loss.bytes > 0 && !loss.subtasks.is_empty(), "{what}: {loss:#?}");
            assert!(!loss.key_groups.is_empty() && loss.kind == "keyed", "{what}: {loss:#?}");
            // Of a table, it is known which state it is.
            let is_table = problem.finding.message.contains("an SST file");
            let is_table = is_table || problem.finding.code.starts_with("sst_");
            assert_eq!(loss.state.is_some(), is_table, "{what}: {loss:#?}");
        }
    });
}

/// The handle and the MANIFEST disagree on which tables there are.
#[test]
fn a_manifest_that_names_another_table() {
    let fixture = fixture("inc-1.20");
    let at = fixture.recorded(&fixture.newest());
    let storage = at_home(fixture);
    change(&storage, &at.join("_metadata").unwrap(), |bytes| {
        let is_name = |window: &[u8]| window[..6].iter().all(u8::is_ascii_digit) && window[6..] == *b".sst";
        let name = bytes.windows(10).position(is_name).unwrap();
        bytes[name] = b'9';
    });
    let result = verified(&storage, &at, false);
    assert_eq!(result.verdict, Verdict::NotRestorable);
    assert_eq!(codes(&result), ["manifest_names_more", "manifest_names_fewer"], "{:#?}", result.findings);
    let [broken, harmless] = result.findings.as_slice() else { panic!() };
    assert_eq!((broken.effect, harmless.effect), (Effect::Breaks, Effect::Harmless));
    assert_eq!((broken.lost.len(), harmless.lost.len()), (1, 0));
    assert_eq!(broken.lost[0].state, None, "without its MANIFEST, all of the handle is lost");
}

#[test]
fn handles_of_other_kinds_are_asked_for_too() {
    let gone = |name: &str, of_file: &dyn Fn(&str) -> bool| {
        let fixture = fixture(name);
        let at = fixture.recorded(&fixture.newest());
        let seen = see(&at_home(fixture), &at, &Ask::default());
        let places = seen.snapshot.files.iter().filter_map(|file| match &file.place {
            Place::Uri(uri) | Place::Segment { uri, .. } => Some(Location::parse(uri).unwrap()),
            Place::Relative(path) => Some(at.join(path).unwrap()),
            _ => None,
        });
        let victim = places.into_iter().find(|place| of_file(&place.to_string())).unwrap();
        let storage = at_home(fixture);
        without(fixture, &storage, &victim);
        let result = verified(&storage, &at, false);
        assert_eq!(result.verdict, Verdict::NotRestorable, "{name}: {victim}: {:#?}", result.findings);
        let told = result.findings.iter().any(|problem| {
            problem.finding.code == "file_missing" && problem.finding.file == Some(victim.to_string())
        });
        assert!(told, "{name}: {victim}: {:#?}", result.findings);
        let kinds: BTreeSet<_> = result.lost.iter().map(|loss| loss.kind).collect();
        assert!(!kinds.is_empty(), "{name}: {victim}");
        kinds
    };
    let any = |_: &str| true;
    assert_eq!(gone("changelog-1.20", &|at| at.contains("/dstl/")), BTreeSet::from(["keyed"]));
    assert!(gone("inc-1.20", &|at| at.contains("/shared/")).contains("keyed"));
    assert!(gone("hashmap-2.3", &any).len() == 1);
    assert!(gone("heap-timers-1.20", &any).len() == 1);
    assert!(!gone("unaligned-1.20", &any).is_empty());
    // A file of several segments is missed by all that have one.
    assert!(!gone("file-merging-2.3", &any).is_empty());
}

#[test]
fn a_segment_behind_the_end_of_its_object() {
    let mut cut = 0;
    for name in ["file-merging-1.20", "file-merging-2.3"] {
        let fixture = fixture(name);
        let at = fixture.recorded(&fixture.newest());
        let seen = see(&at_home(fixture), &at, &Ask::default());
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for file in &seen.snapshot.files {
            if let Place::Segment { uri, start } = &file.place {
                let end = ends.entry(uri.to_string()).or_default();
                *end = (*end).max(start + file.size);
            }
        }
        for (uri, end) in ends.iter().take(4) {
            let object = Location::parse(uri).unwrap();
            let storage = at_home(fixture);
            change(&storage, &object, |bytes| bytes.truncate(usize::try_from(end - 1).unwrap()));
            let result = verified(&storage, &at, false);
            assert_eq!(result.verdict, Verdict::NotRestorable, "{uri}: {:#?}", result.findings);
            let told = result.findings.iter().any(|problem| {
                problem.finding.code == "file_size_differs"
                    && problem.finding.file == Some(object.to_string())
                    && problem
                        .finding
                        .message
                        .contains(&format!("ends at byte {end} of an object that has {}", end - 1))
            });
            assert!(told, "{uri}: {:#?}", result.findings);
            // A longer object has other segments.
            let storage = at_home(fixture);
            change(&storage, &object, |bytes| bytes.extend([0; 100]));
            assert_eq!(verified(&storage, &at, false).verdict, Verdict::Restorable, "{uri}");
            cut += 1;
        }
    }
    assert!(cut >= 4, "{cut}");
}

/// What no client can be asked for may be good.
#[test]
fn a_scheme_without_a_client_leaves_it_open() {
    let fixture = fixture("inc-1.20");
    let copy = fixture.copy();
    let path = fixture.newest();
    let metadata = copy.path(&path).join("_metadata");
    let bytes = fs::read(&metadata).unwrap();
    // The same length, so that the text before it still fits.
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("file:/data/flink/inc-1.20/"));
    let mut changed = bytes.clone();
    let (from, to) = (b"file:/data/flink/", b"hdfs:/data/flink/");
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            changed[at..at + to.len()].copy_from_slice(to);
        }
    }
    fs::write(&metadata, changed).unwrap();
    let job = path.rsplit_once('/').unwrap().0;
    fs::rename(copy.path(&format!("{job}/shared")), copy.path("elsewhere")).unwrap();
    let run = copy.run(&["verify", &path, "-o", "json"]);
    assert_eq!((run.code, &*run.stderr), (5, ""), "{run:#?}");
    let json = run.json();
    assert_eq!(json["verdict"], "cannot_tell");
    assert_eq!(json["newest_restorable_by_id"], Value::Null);
    let findings = list(&json["snapshots"][0]["findings"]);
    assert!(
        findings.iter().all(|finding| finding["code"] == "file_unreadable" && finding["effect"] == "unknown")
    );
    assert!(
        text_of(&findings[0]).contains("--relocate hdfs:=TO") || text_of(&findings[0]).contains("no client")
    );
    // Where they are now, it can be told.
    let id = job.rsplit('/').next().unwrap();
    let rule = format!("hdfs:/data/flink/inc-1.20/{id}/shared=elsewhere");
    let run = copy.run(&["verify", &path, "-o", "json", "--relocate", &rule]);
    assert_eq!(run.code, 0, "{run:#?}");
}

fn text_of(finding: &Value) -> &str {
    text(&finding["message"])
}

#[test]
fn files_in_two_places_are_a_note() {
    let fixture = fixture("inc-1.20");
    let path = fixture.newest();
    let stays = fixture.file_named(&path, "0");
    let to = |p: &str| {
        if p == stays { fixture.recorded(p) } else { Location::parse(&format!("file:/copy/{p}")).unwrap() }
    };
    let storage = fixture.in_memory(to);
    let result = verified(&storage, &to(&path), false);
    assert_eq!((result.verdict, codes(&result)), (Verdict::Restorable, vec!["mixed_places"]));
    let places = result.places.unwrap();
    assert!(places.recorded_uris == 1 && places.relocated > 0, "{places:#?}");
    assert!(places.relocations.iter().all(|relocation| !relocation.by_hand), "{places:#?}");
}

/// Wherever a bit is flipped in a table, with all of its filters and partitions, it is found.
#[test]
fn no_flipped_bit_of_a_table_is_missed() {
    for (name, step) in [("zstd-partitioned-2.3", 97), ("lz4-bloom-1.20", 61), ("inc-1.13", 61)] {
        let fixture = fixture(name);
        let path = fixture.newest();
        let at = fixture.recorded(&path);
        let files = fixture.files();
        let seen = see(&at_home(fixture), &at, &Ask::default());
        let of_snapshot = |path: &String| seen.tables.iter().any(|table| table.place == *path);
        let tables = files.iter().filter(|(path, _)| of_snapshot(path));
        let (largest, bytes) = tables.max_by_key(|(_, bytes)| bytes.len()).unwrap();
        // The padding of a footer means nothing.
        let footer = bytes.len() - 53;
        let places = (0..bytes.len()).step_by(step);
        let places: Vec<usize> = places.filter(|&place| place < footer || bytes[place] != 0).collect();
        places.par_iter().for_each(|&place| {
            let storage = at_home(fixture);
            change(&storage, &fixture.recorded(largest), |bytes| bytes[place] ^= 0x04);
            let result = verified(&storage, &at, true);
            assert_ne!(result.verdict, Verdict::Restorable, "{name}: byte {place} of {}", bytes.len());
        });
    }
}

/// Random damage: a verdict, and never a panic; what is damaged for sure is not called good.
#[test]
fn no_damage_makes_it_panic() {
    fixtures().par_iter().for_each(|fixture| {
        let path = fixture.newest();
        let at = fixture.recorded(&path);
        let storage = at_home(fixture);
        let files: Vec<_> = fixture.files().into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        let mut dice = Dice::new(fixture.name.len() as u64);
        for round in 0..8 {
            let (name, bytes) = &files[dice.below(files.len())];
            let mut damaged = bytes.clone();
            let place = dice.below(bytes.len());
            match round % 3 {
                0 => damaged.truncate(place),
                1 => damaged[place] ^= 1 << dice.below(8),
                _ => {
                    let end = (place + 8).min(damaged.len());
                    damaged[place..end].fill(0x7f);
                }
            }
            storage.put(&fixture.recorded(name), damaged);
            let file = discover::read_metadata(&storage, &at).unwrap();
            let mut session = Session::new(&storage, true, Vec::new());
            if session.small.read(&file).is_ok() {
                let result = session.verify(&at);
                let all = verification("x".to_owned(), true, vec![result], Vec::new(), Vec::new());
                let mut out = Vec::new();
                report::verify::write(&mut out, &all, Layout { width: None, rows: usize::MAX }).unwrap();
                assert!(!String::from_utf8(out).unwrap().contains('\u{1b}'));
            }
            storage.put(&fixture.recorded(name), bytes.clone());
        }
    });
}

// ---- the directory of a job ----------------------------------------------------------------------

/// A copy of a job with three checkpoints, of which the newest lacks a table that the others do not have.
fn one_of_three_is_bad() -> (Copy, String) {
    let fixture = fixture("inc-1.20");
    let copy = fixture.copy();
    let newest = fixture.newest();
    let tables = |path: &str| -> BTreeSet<String> {
        let seen = see_fixture(fixture, path, &Ask::default());
        seen.tables.into_iter().map(|table| table.place).collect()
    };
    let others: BTreeSet<String> =
        fixture.snapshots().iter().filter(|path| **path != newest).flat_map(|path| tables(path)).collect();
    let own = tables(&newest);
    let victim = own.difference(&others).next().expect("a table of its own");
    fs::remove_file(copy.path(victim)).unwrap();
    (copy, newest.rsplit_once('/').unwrap().0.to_owned())
}

#[test]
fn a_job_names_its_newest_good_snapshot() {
    let (copy, job) = one_of_three_is_bad();
    fs::create_dir(copy.path(&format!("{job}/chk-9"))).unwrap();
    let run = copy.run(&["verify", &job, "-o", "json"]);
    assert_eq!((run.code, &*run.stderr), (3, ""), "{run:#?}");
    let json = run.json();
    assert_eq!((&json["command"], &json["result"]), (&"verify".into(), &"verification".into()));
    let snapshots = list(&json["snapshots"]);
    let verdicts: Vec<_> = snapshots.iter().map(|s| text(&s["verdict"])).collect();
    assert_eq!(verdicts, ["not_restorable", "restorable", "restorable"]);
    let ids: Vec<_> = snapshots.iter().map(|s| number(&s["snapshot"]["checkpoint_id"])).collect();
    assert_eq!(ids, [4, 3, 2]);
    assert_eq!(json["newest_restorable_by_id"], format!("[DIR]/{job}/chk-3"));
    assert_eq!(json["newest_restorable_by_completion"], json["newest_restorable_by_id"]);
    assert_eq!(list(&json["incomplete"]), [Value::from(format!("[DIR]/{job}/chk-9"))]);
    let [finding] = list(&snapshots[0]["findings"]) else { panic!("{json:#}") };
    assert_eq!((&finding["code"], &finding["effect"]), (&"file_missing".into(), &"breaks".into()));
    assert_eq!(list(&finding["lost"]), list(&snapshots[0]["lost"]));
}

#[test]
fn a_metadata_that_is_none_is_a_bad_snapshot_of_its_job() {
    let fixture = fixture("inc-1.20");
    let newest = fixture.newest();
    let job = newest.rsplit_once('/').unwrap().0;
    let copy = fixture.copy();
    fs::write(copy.path(&newest).join("_metadata"), "nonsense").unwrap();
    // A savepoint of the job in its directory, and what is none.
    fs::create_dir_all(copy.path(&format!("{job}/savepoint-1"))).unwrap();
    fs::write(copy.path(&format!("{job}/savepoint-1/_metadata")), "").unwrap();
    fs::create_dir_all(copy.path(&format!("{job}/notes"))).unwrap();
    let run = copy.run(&["verify", job, "-o", "json"]);
    assert_eq!(run.code, 3, "{run:#?}");
    let json = run.json();
    let snapshots: Vec<_> = list(&json["snapshots"])
        .iter()
        .map(|s| (text(&s["snapshot"]["location"]).rsplit('/').next().unwrap(), text(&s["verdict"])))
        .collect();
    assert_eq!(
        snapshots,
        [
            ("chk-4", "not_restorable"),
            ("chk-3", "restorable"),
            ("chk-2", "restorable"),
            ("savepoint-1", "not_restorable")
        ]
    );
    let first = &json["snapshots"][0];
    assert_eq!(first["findings"][0]["code"], "metadata_not_decoded");
    assert_eq!(
        (&first["files"], &first["tables"], &first["places"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    // By itself, the same; of a version that is not known, one cannot tell.
    let run = copy.run(&["verify", &newest]);
    assert_eq!(run.code, 3, "{run:#?}");
    let metadata = copy.path(&newest).join("_metadata");
    let mut bytes = fs::read(fixture.dir.join(&newest).join("_metadata")).unwrap();
    bytes[4..8].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&metadata, bytes).unwrap();
    assert_eq!(copy.run(&["verify", &newest]).code, 5);
}

// ---- the command ---------------------------------------------------------------------------------

fn shown(args: &[&str], run: &Run) -> String {
    format!("$ statescope {}\n{}{}--- exit code {}\n", args.join(" "), run.stdout, run.stderr, run.code)
}

#[test]
fn help() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_in(&fs::canonicalize(dir.path()).unwrap(), &["verify", "--help"]);
    insta::assert_snapshot!(shown(&["verify", "--help"], &run));
}

#[test]
fn a_good_snapshot() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let copy = fixture.copy();
    let args = ["verify", &newest, "--deep"];
    insta::assert_snapshot!("a_good_snapshot", shown(&args, &copy.run(&args)));
    let args = ["verify", &newest, "-o", "json"];
    insta::assert_snapshot!("a_good_snapshot_as_json", shown(&args, &copy.run(&args)));
}

#[test]
fn a_bad_job() {
    let (copy, job) = one_of_three_is_bad();
    let args = ["verify", &job];
    insta::assert_snapshot!("a_bad_job", shown(&args, &copy.run(&args)));
    let newest = fixture("inc-1.20").newest();
    let args = ["verify", &newest, "-o", "json"];
    insta::assert_snapshot!("a_bad_snapshot_as_json", shown(&args, &copy.run(&args)));
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let refused = |path: &str, says: &str| {
        let run = run_in(&root, &["verify", path]);
        assert_eq!((run.code, &*run.stdout), (1, ""), "{run:#?}");
        assert!(run.stderr.contains(says), "{says:?}: {run:#?}");
    };
    refused("nowhere", "nothing is there");
    fs::create_dir(root.join("empty")).unwrap();
    refused("empty", "neither a snapshot nor the directory of a job");
    fs::create_dir_all(root.join("job/chk-1")).unwrap();
    refused("job", "no checkpoint is complete");
    refused("hdfs://nn/flink/chk-1", "no client");
    for args in [&["verify"][..], &["verify", "x", "--threads", "0"], &["verify", "x", "--memory", "1K"]] {
        let run = run_in(&root, args);
        assert_eq!((run.code, &*run.stdout), (2, ""), "{run:#?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let fixture = fixture("inc-1.20");
    for format in ["json", "table"] {
        let mut child = command()
            .args(["verify", &fixture.newest(), "-o", format])
            .current_dir(&fixture.dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {output:?}");
    }
}

/// What readers and scans find has its place in the one table that says what it means.
#[test]
fn every_code_has_a_meaning() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<String> = super::support::files_below(&root);
    // Figures of an analysis are no evidence.
    files.retain(|file| {
        let is_evidence =
            ["readers/", "cli/", "scan/deep.rs", "scan/channels.rs"].iter().any(|of| file.starts_with(of));
        // What forbids deletion says nothing about a restore.
        let is_of_prune = file.starts_with("readers/inventory/") || file.starts_with("cli/prune/");
        let is_evidence = is_evidence && !is_of_prune;
        is_evidence || file == "analyzers/overview/build.rs"
    });
    let mut seen = BTreeSet::new();
    for file in files {
        for code in super::json_docs::codes(&fs::read_to_string(root.join(&file)).unwrap()) {
            assert!(effect_of(code).is_some(), "{code} of {file} is not in the table of effects");
            seen.insert(code.to_owned());
        }
    }
    let listed: BTreeSet<String> =
        statescope::analyzers::verify::EFFECTS.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(seen, listed);
}
