use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn at(text: &str) -> Location {
    Location::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> LocationErrorKind {
    Location::parse(text).expect_err(text).kind()
}

#[test]
fn many_spellings_are_one_place() {
    let same = [
        &[
            "/data/x",
            "file:/data/x",
            "file:///data/x",
            "FILE:/data//./x/",
            "file://localhost/data/x",
            "/data/y/../x",
        ][..],
        &["s3://b/k/l", "s3a://b/k/l", "s3p://b//k/l/", "s3n://b/k/./l", "S3://b/k/m/../l"],
        &["s3://b", "s3a://b/", "s3://b//", "s3p://b/."],
        &["gs://b/k", "GS://b/k/"],
        &[
            "abfs://c@a.dfs.core.windows.net/k",
            "abfss://c@a.dfs.core.windows.net/k",
            "wasb://c@a.blob.core.windows.net/k",
            "wasbs://c@A.Blob.Core.Windows.Net/k",
        ],
        &["https://host/a%20b", "https://HOST:443/a b", "HTTPS://host//%61%20b"],
        &["hdfs:/x", "hdfs:///x", "HDFS://///x"],
        &["C:\\data\\x", "C:/data/x", "file:/C:/data/x", "file:///C:/data/x"],
    ];
    for spellings in same {
        let set: HashSet<Location> = spellings.iter().map(|text| at(text)).collect();
        assert_eq!(set.len(), 1, "{spellings:?}");
        let canonical: HashSet<String> = spellings.iter().map(|text| at(text).canonical()).collect();
        assert_eq!(canonical.len(), 1, "{spellings:?}");
    }
}

#[test]
fn what_differs_stays_apart() {
    let different = [
        "/a/b",
        "/a/B",
        "/a%2Fb",
        "/a/b c",
        "/a/b%20c",
        "s3://a/b",
        "s3://A/b",
        "gs://a/b",
        "hdfs://a/b",
        "oss://a/b",
        "http://a/b",
        "https://a/b",
        "https://a:8443/b",
        "abfs://a/b",
        "abfs://c@a.dfs.core.windows.net/b",
        "abfs://d@a.dfs.core.windows.net/b",
        "abfs://c@a.dfs.core.chinacloudapi.cn/b",
    ];
    let set: HashSet<Location> = different.iter().map(|text| at(text)).collect();
    assert_eq!(set.len(), different.len());
}

#[test]
fn display_keeps_the_scheme_and_shows_the_normalized_path() {
    for (text, shown) in [
        ("s3a://b//k/./l/", "s3a://b/k/l"),
        ("file:/data/flink/my dir/chk-1", "file:/data/flink/my dir/chk-1"),
        ("file:///x%20y", "file:///x%20y"),
        ("/x//y", "/x/y"),
        ("https://h/a b%25", "https://h/a%20b%25"),
        ("viewfs://c/x", "viewfs://c/x"),
    ] {
        assert_eq!(at(text).to_string(), shown);
    }
}

#[test]
fn escapes_are_literal_save_in_http() {
    assert_eq!(at("file:/my%20dir").path(), "/my%20dir");
    assert_eq!(at("s3://b/a%2Fb").key(), "a%2Fb");
    assert_eq!(at("http://h/my%20dir").path(), "/my dir");
    assert_eq!(at("http://h/a/%2e%2E/b").path(), "/b");
    assert_eq!(at("s3://b/a?b#c").key(), "a?b#c");
}

#[test]
fn the_loose_path_joins_what_could_be_one_object() {
    let loose = |text| at(text).loose_path();
    assert_eq!(loose("s3://b/my%20dir/x"), loose("file:/my dir/x"));
    assert_eq!(loose("s3://b/my%252520dir"), "/my dir");
    assert_eq!(loose("s3://b/a%2F%2e%2Fb"), "/a/b");
    assert_eq!(loose("/100%"), "/100%");
    assert_eq!(loose("/%zz"), "/%zz");
    assert_eq!(loose("/%ff"), "/\u{fffd}");
    assert_ne!(loose("/a"), loose("/b"));
    // Deep nesting costs no more than its length.
    let nested = format!("/%{}41", "25".repeat(200_000));
    assert_eq!(loose(&nested), "/A");
}

#[test]
fn what_names_no_place_is_refused() {
    use LocationErrorKind as Kind;
    for (text, kind) in [
        ("", Kind::Empty),
        ("file:", Kind::Empty),
        ("file:x", Kind::Relative),
        ("x/y", Kind::Relative),
        ("./s3:", Kind::Relative),
        ("chk-1:copy", Kind::Relative),
        ("/..", Kind::ClimbsAboveRoot),
        ("s3://b/../x", Kind::ClimbsAboveRoot),
        ("s3:/b/k", Kind::NoAuthority),
        ("s3:b", Kind::NoAuthority),
        ("s3:///k", Kind::NoAuthority),
        ("https:///k", Kind::NoAuthority),
        ("file://data/x", Kind::LocalAuthority),
        ("/a\0b", Kind::Nul),
        ("http://h/a%2Fb", Kind::BadEscape),
        ("http://h/a%2", Kind::BadEscape),
        ("http://h/%ff", Kind::BadEscape),
    ] {
        assert_eq!(refused(text), kind, "{text:?}");
    }
}

#[test]
fn a_secret_is_refused_and_not_repeated() {
    for text in [
        "s3://AKIA:s3cret@bucket/k",
        "s3://s3cret@bucket/k",
        "https://user:s3cret@host/k",
        "ftp://user:s3cret@host/k",
        "abfs://c:s3cret@a.dfs.core.windows.net/k",
        "https://host/k?sig=s3cret",
        "https://host?sig=s3cret",
        "https://host/k#s3cret",
    ] {
        let error = Location::parse(text).expect_err(text);
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn a_relative_path_is_taken_from_the_directory_given() {
    let here = at("/users/me");
    for (text, path) in [
        ("chk-1", "/users/me/chk-1"),
        (".", "/users/me"),
        ("../x//y", "/users/x/y"),
        ("/abs", "/abs"),
        ("a:b", "/users/me/a:b"),
        ("file:/abs", "/abs"),
    ] {
        assert_eq!(Location::parse_in(text, &here).expect(text), at(path));
    }
    assert_eq!(
        Location::parse_in("../../../x", &here).expect_err("above").kind(),
        LocationErrorKind::ClimbsAboveRoot
    );
}

#[test]
fn a_snapshot_cannot_lead_out_of_its_directory() {
    use LocationErrorKind as Kind;
    let dir = at("s3a://b/job/chk-1");
    assert_eq!(dir.join("f").expect("a file").to_string(), "s3a://b/job/chk-1/f");
    assert_eq!(dir.join("a//./f").expect("a file").to_string(), "s3a://b/job/chk-1/a/f");
    for (text, kind) in [
        ("../f", Kind::LeavesDirectory),
        ("a/../f", Kind::LeavesDirectory),
        ("/f", Kind::NotRelative),
        ("", Kind::Empty),
        (".", Kind::Empty),
        ("./", Kind::Empty),
        ("a\0", Kind::Nul),
    ] {
        assert_eq!(dir.join(text).expect_err(text).kind(), kind, "{text:?}");
    }
}

#[test]
fn a_name_that_cannot_be_spelled_is_no_location() {
    let root = at("s3://b");
    assert_eq!(root.join_exact("a/b").expect("a key"), at("s3://b/a/b"));
    for key in ["", "a//b", "/a", "a/", "a/./b", "..", "a\0"] {
        assert_eq!(root.join_exact(key), None, "{key:?}");
    }
}

#[test]
fn prefixes_end_at_segments() {
    let dir = at("s3://b/a");
    assert_eq!(at("s3p://b/a/x/y").strip_prefix(&dir), Some("x/y"));
    assert_eq!(at("s3p://b/a").strip_prefix(&dir), Some(""));
    assert_eq!(at("s3://b/ab").strip_prefix(&dir), None);
    assert_eq!(at("gs://b/a/x").strip_prefix(&dir), None);
    assert_eq!(at("s3://b/a/x").strip_prefix(&at("s3a://b")), Some("a/x"));
    assert!(at("/x").starts_with(&at("file:/")));
}

#[test]
fn relocation_replaces_a_prefix() {
    let (from, to) = (at("hdfs://nn/flink"), at("/mnt/copy"));
    assert_eq!(at("hdfs://nn/flink/j/chk-1/f").relocate(&from, &to), Some(at("/mnt/copy/j/chk-1/f")));
    assert_eq!(at("hdfs://nn/flink").relocate(&from, &to), Some(to.clone()));
    assert_eq!(at("hdfs://nn/other").relocate(&from, &to), None);
}

#[test]
fn parts_can_be_asked_for() {
    let place = at("wasbs://c@acct.blob.core.windows.net/a/b.sst");
    assert_eq!((place.class(), place.scheme()), (SchemeClass::Azure, "wasbs"));
    assert_eq!(place.authority(), "c@acct.blob.core.windows.net");
    assert_eq!(place.key(), "a/b.sst");
    assert_eq!(place.file_name(), Some("b.sst"));
    assert_eq!(place.parent().and_then(|dir| dir.parent()), Some(place.store_root()));
    assert_eq!(place.store_root().parent(), None);
    assert_eq!(place.store_root().file_name(), None);
}

#[test]
fn parsed_locations_can_share_their_store() {
    let first = at("s3://bucket/a");
    let second = at("s3://bucket/b").sharing(&first);
    assert!(Arc::ptr_eq(&first.root, &second.root));
    let other = at("s3a://bucket/b").sharing(&first);
    assert_eq!(other.to_string(), "s3a://bucket/b");
}

fn any_root() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "file:",
        "file://",
        "s3://b",
        "s3a://b",
        "gs://b",
        "abfss://c@a.dfs.core.windows.net",
        "wasb://c@a.blob.core.windows.net",
        "http://h",
        "https://h:443",
        "hdfs://nn:8020",
        "hdfs:",
    ])
}

/// Names without a slash, dots alone, or what HTTP takes for a query or an escape.
fn any_name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ._:é=+,@-]{1,8}".prop_filter("dots", |name| name != "." && name != "..")
}

fn any_location() -> impl Strategy<Value = Location> {
    (any_root(), prop::collection::vec(any_name(), 0..5))
        .prop_map(|(root, names)| at(&format!("{root}/{}", names.join("/"))))
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC*") {
        if let Ok(location) = Location::parse(&text) {
            let again = at(&location.to_string());
            prop_assert_eq!(&again, &location);
            prop_assert_eq!(again.to_string(), location.to_string());
        }
    }

    #[test]
    fn what_looks_like_a_location_round_trips(text in "(file|s3|s3a|http|https|hdfs|abfs|c)?:?/{0,3}[a-z@.:%20?#\\\\ /]{0,16}") {
        if let Ok(location) = Location::parse(&text) {
            let again = at(&location.to_string());
            prop_assert_eq!(again.canonical(), location.canonical());
        }
    }

    #[test]
    fn noise_in_a_path_changes_nothing(root in any_root(), names in prop::collection::vec(any_name(), 1..5),
        noise in prop::collection::vec(prop::sample::select(vec!["/", "//", "/./", "/x/../"]), 5)) {
        let plain = at(&format!("{root}/{}", names.join("/")));
        let mut noisy = root.to_owned();
        // After `file:` two slashes would begin an authority, as they do for Flink.
        noisy.push('/');
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                noisy.push_str(noise[index]);
            }
            noisy.push_str(name);
        }
        noisy.push('/');
        prop_assert_eq!(at(&noisy), plain);
    }

    #[test]
    fn join_and_parent_are_inverse(dir in any_location(), name in any_name()) {
        let child = dir.join(&name).unwrap();
        prop_assert_eq!(child.parent(), Some(dir.clone()));
        prop_assert_eq!(child.file_name(), Some(name.as_str()));
        prop_assert_eq!(child.strip_prefix(&dir), Some(name.as_str()));
        prop_assert_eq!(dir.join_exact(&name), Some(child.clone()));
        prop_assert!(child.starts_with(&dir) && !dir.starts_with(&child));
        prop_assert!(dir < child);
    }

    #[test]
    fn order_equality_and_canonical_text_agree(a in any_location(), b in any_location()) {
        prop_assert_eq!(a == b, a.canonical() == b.canonical());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    #[test]
    fn join_never_leaves_the_directory(dir in any_location(), relative in "[a./%\\\\:]{0,10}") {
        if let Ok(below) = dir.join(&relative) {
            prop_assert!(below.starts_with(&dir) && below != dir);
        }
    }

    #[test]
    fn loosening_is_idempotent(path in "/[a%2F0e5./]{0,24}") {
        if let Ok(location) = Location::parse(&format!("s3://b{path}")) {
            let loose = location.loose_path();
            prop_assert_eq!(escape::loosen(&loose), loose);
        }
    }
}
