//! Directories of the local file system, listed in the order of an object store's keys.

use super::{Failure, NOT_A_FILE, meta_of};
use crate::storage::{ListEntry, ListScope, Location, Op, PageFn, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

/// Entries a page. Nothing is saved by more; fewer would only be more calls.
const PAGE: usize = 1000;

pub(super) fn list(
    path: PathBuf,
    directory: &Location,
    scope: ListScope,
    page: &mut PageFn<'_>,
) -> Result<()> {
    let mut entries = Vec::new();
    let real = fs::canonicalize(&path).map_err(|e| Failure::from(e).at(Op::List, directory))?;
    let mut open = vec![Open::read(path, real, directory.clone())?];
    while let Some(current) = open.last_mut() {
        let Some(child) = current.children.next() else {
            open.pop();
            continue;
        };
        let unaddressable = |reason| ListEntry::Unaddressable {
            directory: current.location.clone(),
            name: child.name.clone(),
            reason,
        };
        let located = if child.exact { current.location.join_exact(&child.name) } else { None };
        match (located, child.what) {
            (None, _) => entries.push(unaddressable("its name cannot be part of a location")),
            (_, What::Nothing(reason)) => entries.push(unaddressable(reason)),
            (Some(location), What::File(metadata)) => {
                entries.push(ListEntry::Object(location, meta_of(&metadata)));
            }
            (Some(location), What::Directory { .. }) if scope == ListScope::Children => {
                entries.push(ListEntry::Directory(location));
            }
            (Some(location), What::Directory { is_link }) => {
                let path = current.path.join(&child.name);
                let real = match is_link {
                    false => current.real.join(&child.name),
                    true => match fs::canonicalize(&path) {
                        Ok(real) => real,
                        Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                        Err(e) => return Err(Failure::from(e).at(Op::List, &location)),
                    },
                };
                if is_link && open.iter().any(|above| above.real.starts_with(&real)) {
                    let directory = location.parent().unwrap_or(location);
                    let reason = "it is a symbolic link back to a directory above it";
                    entries.push(ListEntry::Unaddressable { directory, name: child.name, reason });
                } else {
                    match Open::read(path, real, location) {
                        Ok(below) => open.push(below),
                        // It was removed while this was listed.
                        Err(e) if *e.kind() == crate::storage::StorageErrorKind::NotFound => {}
                        Err(e) => return Err(e),
                    }
                }
            }
        }
        if entries.len() >= PAGE && page(std::mem::take(&mut entries)).is_break() {
            return Ok(());
        }
    }
    if !entries.is_empty() {
        // It is the last page: whether to go on is no question any more.
        let _ = page(entries);
    }
    Ok(())
}

/// A directory whose children are being listed.
struct Open {
    path: PathBuf,
    /// Where it really is, to recognize a circle of links.
    real: PathBuf,
    location: Location,
    children: vec::IntoIter<Child>,
}

struct Child {
    name: String,
    /// Whether the name is what the file system has.
    exact: bool,
    what: What,
}

enum What {
    File(fs::Metadata),
    Directory { is_link: bool },
    Nothing(&'static str),
}

impl Open {
    fn read(path: PathBuf, real: PathBuf, location: Location) -> Result<Self> {
        let mut children = children(&path).map_err(|e| Failure::from(e).at(Op::List, &location))?;
        children.sort_by(|a, b| a.key().cmp(b.key()));
        Ok(Self { path, real, location, children: children.into_iter() })
    }
}

impl Child {
    /// What an object store would call it: a directory's key ends in a slash.
    fn key(&self) -> impl Iterator<Item = u8> {
        let slash = matches!(self.what, What::Directory { .. }).then_some(b'/');
        self.name.bytes().chain(slash)
    }
}

fn children(path: &Path) -> io::Result<Vec<Child>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let what = match what(&entry) {
            Ok(what) => what,
            // It was removed while this was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let (name, exact) = match name.into_string() {
            Ok(name) => (name, true),
            Err(name) => (name.to_string_lossy().into_owned(), false),
        };
        children.push(Child { name, exact, what });
    }
    Ok(children)
}

fn what(entry: &fs::DirEntry) -> io::Result<What> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        return Ok(What::Directory { is_link: false });
    }
    if kind.is_file() {
        return entry.metadata().map(What::File);
    }
    if !kind.is_symlink() {
        return Ok(What::Nothing(NOT_A_FILE));
    }
    Ok(match fs::metadata(entry.path()) {
        Ok(metadata) if metadata.is_dir() => What::Directory { is_link: true },
        Ok(metadata) if metadata.is_file() => What::File(metadata),
        Ok(_) => What::Nothing(NOT_A_FILE),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(e),
        Err(_) => What::Nothing("it is a symbolic link that leads nowhere"),
    })
}
