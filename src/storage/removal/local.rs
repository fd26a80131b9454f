//! Files of local disk.

use super::{PartFn, Removal, Removed, RemovedFn, Versioning, parts, transfer, whole};
use crate::storage::local::{Failure, meta_of_file, path_for};
use crate::storage::{
    LocalStorage, Location, Meter, Metered, ObjectMeta, Op, Result, StorageError, StorageErrorKind,
};
use bytes::Bytes;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// Removes, copies and writes files of the local file system.
///
/// Files are removed below given roots only. How a root is reached is the user's to say, so there may be symbolic links
/// on the way to it; below it, none is followed, and none removed: what it leads to may be anybody's.
#[derive(Debug)]
pub struct LocalRemoval {
    roots: Vec<Location>,
    meter: Arc<Meter>,
}

/// Parts of a file that is written.
const MOST_PARTS: u64 = u64::MAX;

impl LocalRemoval {
    /// Removes files below these roots, and counts that with `meter`.
    #[must_use]
    pub fn new(roots: Vec<Location>, meter: Arc<Meter>) -> Self {
        Self { roots, meter }
    }

    /// What is at a location below a root, not following a link; none if nothing is.
    fn look(&self, location: &Location) -> Result<Option<(PathBuf, Metadata)>> {
        let fail = |kind| StorageError::new(kind, Op::Delete, location.clone());
        let path = path_for(Op::Delete, location)?;
        let root = self.roots.iter().find(|root| location != *root && location.starts_with(root));
        let (Some(root), Some(parent)) = (root, location.parent()) else {
            let error = fail(StorageErrorKind::PermissionDenied);
            return Err(error.with_message("it does not lie below any root of this run"));
        };
        let seen = || -> io::Result<_> {
            let real_root = fs::canonicalize(path_for(Op::Delete, root).map_err(io::Error::other)?)?;
            let real_parent = fs::canonicalize(path_for(Op::Delete, &parent).map_err(io::Error::other)?)?;
            let below = parent.strip_prefix(root).unwrap_or_default();
            let expected = if below.is_empty() { real_root } else { real_root.join(below) };
            Ok((real_parent == expected, fs::symlink_metadata(&path)?))
        };
        match seen() {
            Ok((true, metadata)) => Ok(Some((path, metadata))),
            Ok((false, _)) => Err(fail(StorageErrorKind::PermissionDenied)
                .with_message(format!("a directory on the way from {root} is a symbolic link"))
                .with_remedy("give the address that it leads to as a root")),
            Err(error) => {
                let error = Failure::from(error).at(Op::Delete, location);
                if *error.kind() == StorageErrorKind::NotFound { Ok(None) } else { Err(error) }
            }
        }
    }

    fn remove_one(&self, location: &Location) -> Result<Removed> {
        let Some((path, metadata)) = self.look(location)? else { return Ok(Removed::NotThere) };
        let fail = |kind| StorageError::new(kind, Op::Delete, location.clone());
        if metadata.is_dir() {
            return Err(fail(StorageErrorKind::IsDirectory));
        }
        if !metadata.is_file() {
            let what =
                if metadata.is_symlink() { "a symbolic link" } else { "neither a file nor a directory" };
            return Err(fail(StorageErrorKind::Other).with_message(format!("it is {what}")));
        }
        done(location, fs::remove_file(path))
    }

    /// Makes a file of what `fill` writes, whole and lasting before it has its name.
    fn make(
        &self,
        location: &Location,
        fill: impl FnOnce(&mut NamedTempFile) -> Result<()>,
        name: impl FnOnce(NamedTempFile, &Path) -> Result<File, tempfile::PersistError>,
    ) -> Result<ObjectMeta> {
        let made = || {
            let path = path_for(Op::Put, location)?;
            let failed = |error: io::Error| Failure::from(error).at(Op::Put, location);
            let directory = path.parent().unwrap_or(&path);
            fs::create_dir_all(directory).map_err(failed)?;
            let mut file = temporary(directory).map_err(failed)?;
            fill(&mut file)?;
            file.as_file().sync_all().map_err(failed)?;
            name(file, &path).map_err(|error| failed(error.error))?;
            synchronize(directory).map_err(failed)?;
            meta_of_file(&path).map_err(|error| error.at(Op::Put, location))
        };
        let answer = made();
        self.meter.record_bare(Op::Put, location, answer.is_err());
        answer
    }
}

/// A file that goes if it is not given a name, with the permissions that files are given by default.
fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".statescope-");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(directory)
}

/// Makes names in a directory last.
fn synchronize(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// What a removal came to. What goes at the same time by another's doing was not there.
fn done(location: &Location, answer: io::Result<()>) -> Result<Removed> {
    let Err(error) = answer else { return Ok(Removed::Removed) };
    let error = Failure::from(error).at(Op::Delete, location);
    if *error.kind() == StorageErrorKind::NotFound { Ok(Removed::NotThere) } else { Err(error) }
}

impl Removal for LocalRemoval {
    fn remove(&self, locations: &[Location], each: &mut RemovedFn<'_>) {
        for (index, location) in locations.iter().enumerate() {
            let outcome = self.remove_one(location);
            self.meter.record_bare(Op::Delete, location, outcome.is_err());
            if each(index, outcome).is_break() {
                return;
            }
        }
    }

    fn remove_directory(&self, directory: &Location) -> Result<Removed> {
        let remove = || match self.look(directory)? {
            None => Ok(Removed::NotThere),
            Some((path, metadata)) if metadata.is_dir() => done(directory, fs::remove_dir(path)),
            Some(_) => Err(StorageError::new(StorageErrorKind::NotADirectory, Op::Delete, directory.clone())),
        };
        let outcome = remove();
        self.meter.record_bare(Op::Delete, directory, outcome.is_err());
        outcome
    }

    fn copy(&self, from: &Location, to: &Location) -> Result<ObjectMeta> {
        let reading = Metered::with_meter(LocalStorage::new(), Arc::clone(&self.meter));
        transfer(&reading, from, |size, part| self.write_new(to, size, part))
    }

    fn write_new(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> Result<ObjectMeta> {
        let fill = |file: &mut NamedTempFile| {
            // Known before all is read; what decides is that the name is not given twice.
            if fs::symlink_metadata(path_for(Op::Put, location)?).is_ok() {
                let kind = StorageErrorKind::AlreadyExists;
                return Err(StorageError::new(kind, Op::Put, location.clone()));
            }
            for range in parts(size, MOST_PARTS) {
                let bytes = whole(location, part, range)?;
                file.write_all(&bytes).map_err(|error| Failure::from(error).at(Op::Put, location))?;
            }
            Ok(())
        };
        self.make(location, fill, |file, path| file.persist_noclobber(path))
    }

    fn put(&self, location: &Location, bytes: Bytes) -> Result<ObjectMeta> {
        let fill = |file: &mut NamedTempFile| {
            file.write_all(&bytes).map_err(|error| Failure::from(error).at(Op::Put, location))
        };
        self.make(location, fill, |file, path| file.persist(path))
    }

    fn versioning(&self, root: &Location) -> Result<Versioning> {
        path_for(Op::Head, root).map(|_| Versioning::Off)
    }
}
