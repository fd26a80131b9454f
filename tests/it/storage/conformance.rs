//! What every store must do. One suite, run against each: whoever adds a store adds a test that
//! calls [`run`] and [`run_pages`].

use statescope::storage::{
    AfterKey, InFlight, ListEntry, ListScope, Location, Metered, Op, Probe, ReadRequest, Span, Storage,
    StorageErrorKind as Kind,
};
use std::ops::ControlFlow;

/// Puts an object into the store, by whatever means the test has.
pub(crate) type Put<'a> = dyn Fn(&Location, &[u8]) + 'a;

/// Runs the whole suite in an empty, writable directory.
pub(crate) fn run(storage: &dyn Storage, root: &Location, put: &Put<'_>) {
    heads(storage, &sub(root, "heads"), put);
    ranges(storage, &sub(root, "ranges"), put);
    suffixes(storage, &sub(root, "suffixes"), put);
    wholes(storage, &sub(root, "wholes"), put);
    many(storage, &sub(root, "many"), put);
    listings(storage, &sub(root, "listings"), put);
    names(storage, &sub(root, "names"), put);
    listings_after_a_key(storage, &sub(root, "after"), put);
    times(storage, root);
    probes(storage, &sub(root, "probes"), put);
    one_call_is_one_request(storage, &sub(root, "requests"), put);
}

/// A listing longer than a page of the store, which has at most `page` entries.
pub(crate) fn run_pages(storage: &dyn Storage, root: &Location, put: &Put<'_>, page: usize) {
    let dir = sub(root, "pages");
    let count = 2 * page + 1;
    for n in 0..count {
        put(&sub(&dir, &format!("{n:06}/object")), b"");
    }
    put(&sub(root, "pages-beside"), b"");
    pages_after_a_key(storage, &dir, count, page);
    for (scope, tail) in [(ListScope::Children, ""), (ListScope::Recursive, "/object")] {
        let mut found = Vec::new();
        let mut pages = 0;
        storage
            .list(&dir, scope, &mut |page| {
                assert!(!page.is_empty(), "an empty page");
                pages += 1;
                found.extend(page.iter().map(|entry| entry.location().unwrap().clone()));
                ControlFlow::Continue(())
            })
            .unwrap();
        let expected: Vec<_> = (0..count).map(|n| sub(&dir, &format!("{n:06}{tail}"))).collect();
        assert_eq!(found, expected, "{scope:?}");
        assert!(pages >= 3, "{count} entries came in {pages} pages");

        let mut seen = 0;
        let broken_off = storage.list(&dir, scope, &mut |_| {
            seen += 1;
            ControlFlow::Break(())
        });
        assert!(broken_off.is_ok());
        assert_eq!(seen, 1, "a listing went on after it was broken off");
    }
}

fn heads(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let object = sub(dir, "object");
    put(&object, b"0123456789");
    assert_eq!(storage.head(&object).unwrap().size, 10);
    let same = Location::parse(&object.to_string()).unwrap();
    assert_eq!(storage.head(&same).unwrap(), storage.head(&object).unwrap());

    put(&sub(dir, "empty"), b"");
    assert_eq!(storage.head(&sub(dir, "empty")).unwrap().size, 0);

    for missing in ["missing", "object/below", "missing/below", "objec", "object2"] {
        let missing = sub(dir, missing);
        let error = storage.head(&missing).unwrap_err();
        assert_eq!(*error.kind(), Kind::NotFound, "{error}");
        assert_eq!(*error.location(), missing);
        assert!(error.to_string().contains(&missing.to_string()), "{error}");
        assert_eq!(*storage.read_range(&missing, 0..1).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(*storage.read_suffix(&missing, 1).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(*storage.read_all(&missing, 1).unwrap_err().kind(), Kind::NotFound);
    }
    for answer in [storage.head(dir).err(), storage.read_all(dir, 100).err()] {
        let error = answer.expect("a directory is no object");
        assert!(matches!(error.kind(), Kind::NotFound | Kind::IsDirectory), "{error}");
    }
}

fn ranges(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let object = sub(dir, "object");
    let bytes = b"0123456789";
    put(&object, bytes);
    for start in 0..=10_usize {
        for end in start..=10 {
            let got = storage.read_range(&object, start as u64..end as u64).unwrap();
            assert_eq!(got, &bytes[start..end], "{start}..{end}");
        }
    }
    for (range, expected, got) in
        [(0..11, 11, 10), (8..20, 12, 2), (10..11, 1, 0), (15..20, 5, 0), (11..11, 0, 0)]
    {
        let error = storage.read_range(&object, range.clone()).expect_err("a short object");
        assert_eq!(*error.kind(), Kind::ShortRead { expected, got }, "{range:?}: {error}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let error = storage.read_range(&object, 5..3).unwrap_err();
    assert_eq!(*error.kind(), Kind::InvalidRange { start: 5, end: 3 });
    assert!(storage.read_range(&object, 0..u64::MAX).is_err());
    let fetched = storage.read(&object, &Span::Range(1..2)).unwrap();
    assert_eq!(fetched.meta.size, 10);
}

fn suffixes(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let (object, empty) = (sub(dir, "object"), sub(dir, "empty"));
    put(&object, b"0123456789");
    put(&empty, b"");
    for (length, expected) in [(0, ""), (1, "9"), (9, "123456789"), (10, "0123456789"), (1000, "0123456789")]
    {
        assert_eq!(storage.read_suffix(&object, length).unwrap(), (expected.into(), 10), "{length}");
    }
    for length in [0, 1, u64::MAX] {
        assert_eq!(storage.read_suffix(&empty, length).unwrap(), ("".into(), 0), "{length}");
    }
    assert_eq!(storage.read_suffix(&object, u64::MAX).unwrap().1, 10);
}

fn wholes(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let (object, empty) = (sub(dir, "object"), sub(dir, "empty"));
    put(&object, b"0123456789");
    put(&empty, b"");
    assert_eq!(storage.read_all(&object, 10).unwrap(), "0123456789");
    assert_eq!(storage.read_all(&object, u64::MAX).unwrap(), "0123456789");
    assert_eq!(storage.read_all(&empty, 0).unwrap(), "");
    let error = storage.read_all(&object, 9).unwrap_err();
    assert_eq!(*error.kind(), Kind::TooLarge { size: 10, limit: 9 });
}

fn many(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let objects: Vec<_> = (0..20).map(|n| sub(dir, &format!("{n:02}"))).collect();
    for (n, object) in objects.iter().enumerate() {
        if n != 7 {
            put(object, format!("object {n:02}").as_bytes());
        }
    }
    let requests: Vec<_> =
        objects.iter().rev().cycle().take(50).map(|object| ReadRequest::suffix(object.clone(), 2)).collect();
    for in_flight in [InFlight::new(0, 0), InFlight::new(1, 1), InFlight::new(7, 600), InFlight::default()] {
        let answers = storage.read_many(&requests, in_flight);
        assert_eq!(answers.len(), requests.len());
        for (request, answer) in requests.iter().zip(answers) {
            match (request.location.file_name(), answer) {
                (Some("07"), answer) => {
                    let error = answer.unwrap_err();
                    assert_eq!((error.kind(), error.location()), (&Kind::NotFound, &request.location));
                }
                (name, answer) => assert_eq!(answer.unwrap().bytes, name.unwrap()),
            }
        }
        let mut seen = Vec::new();
        storage.read_each(&requests, in_flight, &mut |index, _| {
            seen.push(index);
            if index == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, (0..=10).collect::<Vec<_>>());
    }
    assert!(storage.read_many(&[], InFlight::default()).is_empty());
}

fn listings(storage: &dyn Storage, root: &Location, put: &Put<'_>) {
    let dir = sub(root, "dir");
    // '-' and '.' come before '/', '0' after it: a directory's place is that of its key.
    let names = ["a-b", "a.c", "a/x", "a/y/z", "a0", "b/_metadata", "z", "é"];
    for name in names {
        put(&sub(&dir, name), name.as_bytes());
    }
    put(&sub(root, "dir-beside/x"), b"");
    put(&sub(root, "dir2"), b"");

    let all = storage.list_all(&dir, ListScope::Recursive).unwrap();
    let found: Vec<_> = all
        .iter()
        .map(|entry| match entry {
            ListEntry::Object(location, meta) => {
                let name = location.strip_prefix(&dir).unwrap();
                assert_eq!(meta.size, name.len() as u64, "{name}");
                let head = storage.head(location).unwrap();
                assert_eq!((meta.size, &meta.etag), (head.size, &head.etag), "{name}");
                name
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, names);
    assert!(all.is_sorted_by_key(|entry| entry.location().unwrap()));

    let children = storage.list_all(&dir, ListScope::Children).unwrap();
    let found: Vec<_> = children
        .iter()
        .map(|entry| match entry {
            ListEntry::Object(location, _) => location.strip_prefix(&dir).unwrap().to_owned(),
            ListEntry::Directory(location) => format!("{}/", location.strip_prefix(&dir).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, ["a-b", "a.c", "a/", "a0", "b/", "z", "é"]);

    for missing in ["missing", "dir/a/y/z/deeper", "di", "dir/_metadata"] {
        let missing = sub(root, missing);
        for scope in [ListScope::Children, ListScope::Recursive] {
            let error = storage.list_all(&missing, scope).unwrap_err();
            assert!(matches!(error.kind(), Kind::NotFound | Kind::NotADirectory), "{error}");
            assert_eq!(*error.location(), missing);
        }
    }
    let error = storage.list_all(&sub(root, "dir2"), ListScope::Children).unwrap_err();
    assert!(matches!(error.kind(), Kind::NotFound | Kind::NotADirectory), "{error}");
}

/// The names that come behind a key, or none if the store cannot tell.
fn names_after(storage: &dyn Storage, dir: &Location, after: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let done = storage.list_after(dir, after, &mut |page| {
        assert!(!page.is_empty(), "an empty page");
        found.extend(page.iter().map(|entry| match entry {
            ListEntry::Object(location, _) => location.strip_prefix(dir).unwrap().to_owned(),
            other => panic!("{other:?}"),
        }));
        ControlFlow::Continue(())
    });
    match done.unwrap() {
        AfterKey::Listed => Some(found),
        AfterKey::Unsupported => {
            assert!(found.is_empty(), "pages of a store that cannot");
            None
        }
    }
}

fn listings_after_a_key(storage: &dyn Storage, root: &Location, put: &Put<'_>) {
    let dir = sub(root, "dir");
    let names = ["a-b", "a.c", "a/x", "a/y/z", "a0", "b/_metadata", "z", "é"];
    for name in names {
        put(&sub(&dir, name), name.as_bytes());
    }
    put(&sub(root, "dir-beside/x"), b"");
    put(&sub(root, "dir2"), b"");
    for after in
        ["", "a", "a-b", "a-c", "a/", "a/x", "a/y", "a/y/z", "a/z", "a0", "b/_m", "y", "z", "zz", "é"]
    {
        let expected: Vec<_> = names.into_iter().filter(|name| *name > after).collect();
        if let Some(found) = names_after(storage, &dir, after) {
            assert_eq!(found, expected, "behind {after:?}");
        }
    }
    // What is not there is not found out.
    if let Some(found) = names_after(storage, &sub(root, "missing"), "a") {
        assert!(found.is_empty(), "{found:?}");
    }
}

/// Behind each key a listing of several pages begins, and it can be broken off.
fn pages_after_a_key(storage: &dyn Storage, dir: &Location, count: usize, page: usize) {
    for first in [0, page / 2, page + 1] {
        let expected: Vec<_> = (first + 1..count).map(|n| format!("{n:06}/object")).collect();
        let Some(found) = names_after(storage, dir, &format!("{first:06}/object")) else { continue };
        assert_eq!(found, expected);
        let mut seen = 0;
        let done = storage.list_after(dir, &format!("{first:06}"), &mut |page| {
            seen += 1;
            assert_eq!(*page[0].location().unwrap(), sub(dir, &format!("{first:06}/object")));
            ControlFlow::Break(())
        });
        assert_eq!((done.unwrap(), seen), (AfterKey::Listed, 1));
    }
}

/// The time is that of nobody, or of the store; asking costs a request then.
fn times(storage: &dyn Storage, root: &Location) {
    let metered = Metered::with_log(storage);
    let time = metered.server_time(root).unwrap();
    let requests: Vec<_> = metered.meter().take_log().iter().map(|record| record.op).collect();
    assert_eq!(requests, vec![Op::List; usize::from(time.is_some())]);
}

/// Names that an escaping too many or too few would break.
fn names(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let mut names = [
        "my dir/f",
        "50%",
        "%20",
        "a%2Fb",
        "a+b",
        "a&b=c",
        "a#b",
        "日本",
        "~tilde",
        "(x)[y]{z}",
        "'q'",
        "=",
        "...",
    ];
    names.sort_unstable();
    for name in names {
        put(&sub(dir, name), name.as_bytes());
    }
    for name in names {
        assert_eq!(storage.read_all(&sub(dir, name), 100).unwrap(), name, "{name:?}");
    }
    let found = storage.list_all(dir, ListScope::Recursive).unwrap();
    let found: Vec<_> =
        found.iter().map(|entry| entry.location().unwrap().strip_prefix(dir).unwrap()).collect();
    assert_eq!(found, names);
}

fn probes(storage: &dyn Storage, root: &Location, put: &Put<'_>) {
    put(&sub(root, "chk-1/_metadata"), b"meta");
    let is_object = |probe| matches!(probe, Probe::Object(meta) if meta.size == 4);
    assert!(is_object(storage.probe(&sub(root, "chk-1/_metadata")).unwrap()));
    assert_eq!(storage.probe(&sub(root, "chk-1")).unwrap(), Probe::Directory);
    assert_eq!(storage.probe(root).unwrap(), Probe::Directory);
    for nothing in ["chk-2", "chk", "chk-1/_metadata/below"] {
        assert_eq!(storage.probe(&sub(root, nothing)).unwrap(), Probe::Nothing, "{nothing}");
    }
}

fn one_call_is_one_request(storage: &dyn Storage, dir: &Location, put: &Put<'_>) {
    let object = sub(dir, "object");
    put(&object, b"0123456789");
    let metered = Metered::with_log(storage);
    metered.head(&object).unwrap();
    metered.read_range(&object, 0..4).unwrap();
    metered.read_suffix(&object, 4).unwrap();
    metered.read_all(&object, 10).unwrap();
    metered.read_range(&object, 3..3).unwrap();
    metered.list_all(dir, ListScope::Recursive).unwrap();
    let log = metered.meter().take_log();
    let ops: Vec<_> = log.iter().map(|record| record.op).collect();
    assert_eq!(ops, [Op::Head, Op::Range, Op::Suffix, Op::Full, Op::Head, Op::List]);
    assert!(log.iter().all(|record| !record.failed && record.location.starts_with(dir)));
    assert_eq!(metered.meter().counts().bytes, 18);
}

fn sub(dir: &Location, name: &str) -> Location {
    dir.join(name).unwrap()
}
