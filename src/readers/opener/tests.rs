use super::*;
use crate::model::{FileRole, SnapshotKind, Tally};
use crate::storage::{MemoryStorage, Metered};

const JOB: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn at(text: &str) -> Location {
    Location::parse(text).unwrap()
}

fn file(place: Place, size: u64) -> StateFile {
    StateFile { place, size, role: FileRole::Sst, uses: 1 }
}

fn uri(text: &str) -> StateFile {
    file(Place::Uri(text.into()), 3)
}

fn snapshot(files: Vec<StateFile>) -> Snapshot {
    Snapshot {
        metadata_version: 6,
        metadata_bytes: 0,
        checkpoint_id: 1,
        kind: SnapshotKind::Unknown,
        operators: Vec::new(),
        master_states: Vec::new(),
        tally: Tally::default(),
        files,
    }
}

fn all(snapshot: &Snapshot) -> Vec<Wanted> {
    (0..snapshot.files.len())
        .map(|i| Wanted { file: FileId(u32::try_from(i).unwrap()), span: Span::Full { limit: 100 } })
        .collect()
}

fn opener<'s>(storage: &'s dyn Storage, directory: &str, rules: &[(&str, &str)]) -> Opener<'s> {
    let rules = rules.iter().map(|(from, to)| RelocateRule { from: at(from), to: at(to) }).collect();
    Opener::new(storage, at(directory), Bytes::from_static(b"..inlined.."), rules, InFlight::default())
}

#[test]
fn inlined_bytes_come_out_of_metadata_without_a_request() {
    let storage = Metered::new(MemoryStorage::new());
    let snapshot =
        snapshot(vec![file(Place::Inline { offset: 2, name: "a/path".into() }, 7), file(Place::Empty, 0)]);
    let mut opener = opener(&storage, "s3://b/chk-1", &[]);
    let parts = opener.read(&snapshot, &all(&snapshot));
    assert_eq!(parts[0].as_ref().unwrap().bytes, "inlined");
    assert!(parts[1].as_ref().unwrap().bytes.is_empty());
    let beyond = Wanted { file: FileId(0), span: Span::Range(5..9) };
    assert!(opener.read(&snapshot, &[beyond])[0].is_err());
    assert_eq!(storage.meter().counts().requests(), 0);
    assert_eq!(opener.places(2).inlined, 1);
}

#[test]
fn an_inlined_handle_that_reaches_behind_metadata_is_an_error() {
    let storage = MemoryStorage::new();
    let snapshot = snapshot(vec![file(Place::Inline { offset: u64::MAX, name: "x".into() }, 7)]);
    assert!(opener(&storage, "s3://b/chk-1", &[]).read(&snapshot, &all(&snapshot))[0].is_err());
}

#[test]
fn segments_are_read_out_of_their_physical_file() {
    let storage = MemoryStorage::new();
    storage.put(&at("s3://b/merged"), Bytes::from_static(b"0123456789"));
    let snapshot = snapshot(vec![file(Place::Segment { uri: "s3://b/merged".into(), start: 4 }, 3)]);
    let mut opener = opener(&storage, "s3://b/chk-1", &[]);
    let part = opener.read(&snapshot, &all(&snapshot)).remove(0).unwrap();
    assert_eq!((part.bytes.as_ref(), part.offset, part.size), (&b"456"[..], 0, 3));
    let tail = Wanted { file: FileId(0), span: Span::Suffix(2) };
    let part = opener.read(&snapshot, &[tail]).remove(0).unwrap();
    assert_eq!((part.bytes.as_ref(), part.offset, part.size), (&b"56"[..], 1, 3));
}

#[test]
fn one_file_of_each_directory_goes_ahead_and_the_others_follow() {
    let storage = Metered::new(MemoryStorage::new());
    let files: Vec<_> = (0..50).map(|i| uri(&format!("s3://old/flink/{JOB}/shared/{i}"))).collect();
    for i in 0..50 {
        storage.inner().put(&at(&format!("s3://new/copy/{JOB}/shared/{i}")), Bytes::from_static(b"abc"));
    }
    let snapshot = snapshot(files);
    let mut opener = opener(&storage, &format!("s3://new/copy/{JOB}/chk-7"), &[]);
    assert!(opener.read(&snapshot, &all(&snapshot)).iter().all(Result::is_ok));
    let counts = storage.meter().counts();
    assert_eq!((counts.requests(), counts.failed), (51, 1), "one look at the recorded place, then 50 reads");
    let places = opener.places(60);
    assert_eq!((places.relocated, places.recorded_uris, places.not_read), (50, 0, 10));
    assert_eq!(places.relocations.len(), 1);
    assert_eq!(places.relocations[0].from, format!("s3://old/flink/{JOB}/shared"));
}

#[test]
fn a_part_that_is_wanted_twice_is_read_once() {
    let storage = Metered::new(MemoryStorage::new());
    storage.inner().put(&at("s3://b/x"), Bytes::from_static(b"abc"));
    let snapshot = snapshot(vec![uri("s3://b/x")]);
    let wanted = [all(&snapshot), all(&snapshot)].concat();
    let parts = opener(&storage, "s3://b/chk-1", &[]).read(&snapshot, &wanted);
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(Result::is_ok));
    assert_eq!(storage.meter().counts().requests(), 1);
}

#[test]
fn other_jobs_lie_beside_this_one_and_directories_may_be_renamed() {
    let storage = MemoryStorage::new();
    let found = |recorded: &str, now: &str, directory: &str| {
        storage.put(&at(now), Bytes::from_static(b"abc"));
        let snapshot = snapshot(vec![uri(recorded)]);
        let part = opener(&storage, directory, &[]).read(&snapshot, &all(&snapshot)).remove(0);
        part.map(|p| p.name).map_err(|e| e.tried)
    };
    // A file of a job that was claimed, in a copy of both jobs.
    let now = format!("s3://n/x/{OTHER}/shared/u");
    assert_eq!(found(&format!("s3://o/{OTHER}/shared/u"), &now, &format!("s3://n/x/{JOB}/chk-1")), Ok(now));
    // The job's directory has another name now.
    let now = "s3://n/renamed/taskowned/u".to_owned();
    assert_eq!(found(&format!("s3://o/{JOB}/taskowned/u"), &now, "s3://n/renamed/chk-1"), Ok(now));
    // Changes that lie beside the jobs.
    let now = format!("s3://n/x/log/{JOB}/dstl/u");
    assert_eq!(found(&format!("s3://o/y/log/{JOB}/dstl/u"), &now, &format!("s3://n/x/{JOB}/chk-1")), Ok(now));
    // Without a level for the job.
    let now = "s3://n/all/shared/v".to_owned();
    assert_eq!(found("s3://o/flink/shared/v", &now, "s3://n/all/chk-1"), Ok(now));
    // An old savepoint that records its own files by URI.
    let now = "s3://n/savepoint-1-copy/u".to_owned();
    assert_eq!(found("s3://o/savepoint-1/u", &now, "s3://n/savepoint-1-copy"), Ok(now));
}

#[test]
fn what_the_user_says_comes_first() {
    let storage = Metered::new(MemoryStorage::new());
    for place in ["s3://recorded/shared/u", "s3://said/shared/u"] {
        storage.inner().put(&at(place), Bytes::from_static(b"abc"));
    }
    let snapshot = snapshot(vec![uri("s3://recorded/shared/u")]);
    let mut opener = opener(&storage, "s3://n/chk-1", &[("s3://recorded", "s3://said")]);
    let part = opener.read(&snapshot, &all(&snapshot)).remove(0).unwrap();
    assert_eq!(part.name, "s3://said/shared/u");
    assert_eq!(storage.meter().counts().requests(), 1);
}

#[test]
fn a_missing_file_says_where_it_was_looked_for_and_hides_no_other() {
    let storage = MemoryStorage::new();
    storage.put(&at(&format!("s3://new/{JOB}/shared/here")), Bytes::from_static(b"abc"));
    let snapshot = snapshot(vec![
        uri(&format!("s3://old/{JOB}/shared/gone")),
        uri(&format!("s3://old/{JOB}/shared/here")),
        uri(&format!("s3://old/{JOB}/shared/gone-too")),
    ]);
    let mut opener = opener(&storage, &format!("s3://new/{JOB}/chk-1"), &[]);
    let parts = opener.read(&snapshot, &all(&snapshot));
    let gone = parts[0].as_ref().unwrap_err();
    assert_eq!(gone.kind, Some(StorageErrorKind::NotFound));
    assert_eq!(
        gone.tried.first().unwrap(),
        &format!("s3://old/{JOB}/shared/gone"),
        "the recorded place first"
    );
    assert!(gone.tried.contains(&format!("s3://new/{JOB}/shared/gone")));
    assert!(parts[1].is_ok() && parts[2].is_err());
    assert_eq!(opener.places(3).failed, 2);
}

#[test]
fn a_denied_file_of_the_same_store_is_not_looked_for_elsewhere() {
    let storage = MemoryStorage::new();
    storage.put(&at("s3://new/old/shared/u"), Bytes::from_static(b"abc"));
    storage.fail_at(
        &at("s3://new/old/shared/u"),
        crate::storage::Fault::Fail(StorageErrorKind::PermissionDenied),
    );
    let snapshot = snapshot(vec![uri("s3://new/old/shared/u")]);
    let error =
        opener(&storage, "s3://new/chk-1", &[]).read(&snapshot, &all(&snapshot)).remove(0).unwrap_err();
    assert!(error.kind != Some(StorageErrorKind::NotFound) && error.tried.len() == 1, "{error:?}");
    assert!(error.message.contains("permission denied"), "{}", error.message);
}

#[test]
fn a_copy_is_read_where_its_first_store_cannot_be_asked() {
    use crate::storage::{Fault, StorageErrorKind as Kind};
    for kind in [Kind::PermissionDenied, Kind::Unauthenticated, Kind::Unavailable, Kind::Timeout] {
        let storage = MemoryStorage::new();
        storage.put(&at("file:/copy/job/shared/u"), "here");
        storage.fail_at(&at("s3://first/job/shared/u"), Fault::Fail(kind.clone()));
        let snapshot = snapshot(vec![uri("s3://first/job/shared/u")]);
        let mut opener = opener(&storage, "file:/copy/job/chk-1", &[]);
        let parts = opener.read(&snapshot, &all(&snapshot));
        assert_eq!(parts[0].as_ref().expect("the copy").bytes, "here", "{kind:?}");
    }
}

#[test]
fn hostile_places_lead_nowhere() {
    let storage = MemoryStorage::new();
    storage.put(&at("s3://b/secret"), Bytes::from_static(b"abc"));
    let places = ["../secret", "/secret", "a/../../secret", ""].map(|p| file(Place::Relative(p.into()), 3));
    let mut files = places.to_vec();
    files.push(uri("s3://user:password@b/secret"));
    let snapshot = snapshot(files);
    let parts = opener(&storage, "s3://b/job/chk-1", &[]).read(&snapshot, &all(&snapshot));
    assert!(parts.iter().all(Result::is_err));
    assert!(parts.iter().all(|p| !p.as_ref().unwrap_err().message.contains("password")));
}

#[test]
fn segments_of_one_object_share_a_request_and_nothing_is_asked_for_twice() {
    let memory = MemoryStorage::new();
    memory.put(&at("s3://b/job/shared/merged"), "0123456789");
    memory.put(&at("s3://b/job/shared/empty"), "");
    memory.put(&at("s3://b/job/shared/cut"), "");
    let storage = Metered::with_log(memory);
    let segment = |start, size| file(Place::Segment { uri: "s3://b/job/shared/merged".into(), start }, size);
    let files = vec![
        segment(0, 4),
        segment(4, 60),
        file(Place::Uri("s3://b/job/shared/empty".into()), 0),
        file(Place::Uri("s3://b/job/shared/cut".into()), 7),
        file(Place::Uri("s3://b/job/shared/gone".into()), 7),
        file(Place::Inline { offset: 2, name: "x".into() }, 7),
        file(Place::Empty, 0),
    ];
    let snapshot = snapshot(files);
    let ids: Vec<FileId> = (0..7).map(FileId).collect();
    let opener_of = opener;
    let mut opener = opener_of(&storage, "s3://b/job/chk-1", &[]).with_known(Known::default());
    let ask = |opener: &mut Opener<'_>| -> Vec<Option<(u64, u64)>> {
        let holders = opener.holders(&snapshot, &ids);
        holders.into_iter().map(|holder| holder.ok().map(|holder| (holder.size, holder.start))).collect()
    };
    let expected =
        [Some((10, 0)), Some((10, 4)), Some((0, 0)), Some((0, 0)), None, Some((7, 0)), Some((0, 0))];
    assert_eq!(ask(&mut opener), expected);
    let places = opener.places(7);
    assert_eq!((places.recorded_uris, places.inlined, places.failed), (4, 1, 1), "{places:?}");
    let log = storage.meter().take_log();
    let of = |name: &str| log.iter().filter(|r| r.location.to_string().ends_with(name)).count();
    assert_eq!((of("merged"), of("empty")), (1, 1), "{log:#?}");
    // The byte that should be there is asked for, and then the size.
    assert_eq!(of("cut"), 2, "{log:#?}");
    // What is known is not asked for again: not for sizes, and not where nothing is.
    assert_eq!(ask(&mut opener), expected);
    assert_eq!(opener.places(7), places);
    let known = opener.take_known();
    let mut again = opener_of(&storage, "s3://b/job/chk-2", &[]).with_known(known);
    assert_eq!(ask(&mut again), expected);
    let log = storage.meter().take_log();
    // Only the new snapshot's own directory may have what is gone.
    let asked: Vec<_> = log.iter().map(|request| request.location.to_string()).collect();
    assert_eq!(asked, ["s3://b/job/chk-2/gone"]);
}
