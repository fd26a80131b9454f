use super::*;
use crate::storage::ListEntry;
use std::time::Duration;

fn at(path: &Path) -> Location {
    Location::from_local_path(path).expect("a Unicode path")
}

fn listed(directory: &Path, scope: ListScope) -> Vec<String> {
    let root = at(directory);
    let entries = LocalStorage::new().list_all(&root, scope).expect("a listing");
    entries
        .iter()
        .map(|entry| match entry {
            ListEntry::Object(location, _) => location.strip_prefix(&root).expect("below").to_owned(),
            ListEntry::Directory(location) => format!("{}/", location.strip_prefix(&root).expect("below")),
            ListEntry::Unaddressable { directory, name, reason } => {
                format!("{}!{name}: {reason}", directory.strip_prefix(&root).expect("below"))
            }
        })
        .collect()
}

#[test]
fn a_file_tells_its_time_and_a_tag_that_changes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f");
    let file = File::create(&path).expect("a file");
    let storage = LocalStorage::new();
    file.set_modified(UNIX_EPOCH + Duration::from_millis(1_234)).expect("a time");
    let first = storage.head(&at(&path)).expect("a file");
    assert_eq!(first.last_modified, Some(1_234));
    file.set_modified(UNIX_EPOCH - Duration::from_micros(1_500)).expect("a time");
    let second = storage.head(&at(&path)).expect("a file");
    assert_eq!(second.last_modified, Some(-2));
    assert_ne!(first.etag, second.etag);
}

#[test]
fn an_object_elsewhere_is_refused() {
    let s3 = Location::parse("s3://b/k").expect("a location");
    let error = LocalStorage::new().head(&s3).expect_err("not local");
    assert_eq!(*error.kind(), StorageErrorKind::Unsupported);
}

#[test]
fn failures_are_told_apart() {
    let place = at(Path::new("/x"));
    for (from, op, to) in [
        (io::ErrorKind::NotFound, Op::Head, StorageErrorKind::NotFound),
        (io::ErrorKind::PermissionDenied, Op::Full, StorageErrorKind::PermissionDenied),
        (io::ErrorKind::NotADirectory, Op::Range, StorageErrorKind::NotFound),
        (io::ErrorKind::NotADirectory, Op::List, StorageErrorKind::NotADirectory),
        (io::ErrorKind::InvalidData, Op::Full, StorageErrorKind::Other),
    ] {
        assert_eq!(*Failure::from(io::Error::from(from)).at(op, &place).kind(), to);
    }
}

#[test]
fn an_empty_directory_exists() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("empty")).expect("a directory");
    assert_eq!(listed(dir.path(), ListScope::Children), ["empty/"]);
    assert!(listed(dir.path(), ListScope::Recursive).is_empty());
    assert!(listed(&dir.path().join("empty"), ListScope::Children).is_empty());
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn links_are_followed_but_not_in_circles() {
        let dir = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("x"), "there").expect("a file");
        fs::create_dir(dir.path().join("d")).expect("a directory");
        fs::write(dir.path().join("d/f"), "here").expect("a file");
        symlink("..", dir.path().join("d/up")).expect("a link");
        symlink("nowhere", dir.path().join("gone")).expect("a link");
        symlink(outside.path(), dir.path().join("away")).expect("a link");
        symlink(dir.path().join("d"), outside.path().join("back")).expect("a link");
        symlink("d/f", dir.path().join("same")).expect("a link");
        assert_eq!(
            listed(dir.path(), ListScope::Recursive),
            [
                "away/back/f",
                "away/back!up: it is a symbolic link back to a directory above it",
                "away/x",
                "d/f",
                "d!up: it is a symbolic link back to a directory above it",
                "!gone: it is a symbolic link that leads nowhere",
                "same",
            ]
        );
        assert_eq!(
            listed(dir.path(), ListScope::Children),
            ["away/", "d/", "!gone: it is a symbolic link that leads nowhere", "same"]
        );
        let storage = LocalStorage::new();
        let (file, link) = (at(&dir.path().join("d/f")), at(&dir.path().join("same")));
        assert_eq!(storage.read_all(&link, 100).expect("bytes"), "here");
        assert_eq!(storage.head(&file).expect("a file"), storage.head(&link).expect("a file"));
    }

    #[test]
    fn what_is_no_file_is_told_and_not_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let _socket = UnixListener::bind(dir.path().join("socket")).expect("a socket");
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xffname")), "").expect("a file");
        assert_eq!(
            listed(dir.path(), ListScope::Recursive),
            [
                "!bad\u{fffd}name: its name cannot be part of a location",
                "!socket: it is neither a file nor a directory"
            ]
        );
        let error = LocalStorage::new().read_all(&at(&dir.path().join("socket")), 9).expect_err("a socket");
        assert!(error.to_string().contains("neither a file nor a directory"), "{error}");
    }

    #[test]
    fn a_part_that_may_not_be_listed_fails_the_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).expect("a directory");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("permissions");
        // The superuser is let in everywhere; then there is nothing to see here.
        if fs::read_dir(&closed).is_err() {
            let error = LocalStorage::new()
                .list_all(&at(dir.path()), ListScope::Recursive)
                .expect_err("a closed directory");
            assert_eq!(*error.kind(), StorageErrorKind::PermissionDenied);
            assert_eq!(*error.location(), at(&closed));
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("permissions");
    }
}
