//! Objects on local disk.

use self::buffers::Buffer;
use super::{
    Fetched, ListScope, Location, ObjectMeta, Op, PageFn, Result, SchemeClass, Span, Storage, StorageError,
    StorageErrorKind,
};
use bytes::Bytes;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

mod buffers;
mod listing;

/// The local file system.
///
/// Symbolic links are followed: what they lead to is read, and listed under the link's path. One
/// file can so have several locations; its [`etag`](ObjectMeta::etag) (device, inode, size and time)
/// tells where that matters. Sockets, pipes and devices are no objects and are never opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalStorage;

impl LocalStorage {
    /// The local file system.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// The path of a location on this machine; none if it lies elsewhere.
    #[must_use]
    pub fn path_of(location: &Location) -> Option<PathBuf> {
        let path = location.path();
        let path = if cfg!(windows) { path.strip_prefix('/').unwrap_or(path) } else { path };
        (location.class() == SchemeClass::Local).then(|| PathBuf::from(path))
    }
}

impl Storage for LocalStorage {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        let path = path_for(Op::Head, location)?;
        meta_of_file(&path).map_err(|e| e.at(Op::Head, location))
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        let path = path_for(span.op(), location)?;
        let (bytes, meta) = read(&path, span).map_err(|e| e.at(span.op(), location))?;
        Fetched::checked(location, span, bytes, meta)
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        listing::list(path_for(Op::List, directory)?, directory, scope, page)
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        path_for(Op::List, location).map(|_| None)
    }
}

pub(super) fn path_for(op: Op, location: &Location) -> Result<PathBuf> {
    LocalStorage::path_of(location)
        .ok_or_else(|| StorageError::new(StorageErrorKind::Unsupported, op, location.clone()))
}

fn read(path: &Path, span: &Span) -> Result<(Bytes, ObjectMeta), Failure> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let before = meta_of_file(path)?;
    if span.is_empty() {
        span.within(before.size)?;
        return Ok((Bytes::new(), before));
    }
    let file = File::open(path)?;
    // What was opened counts, should it have been replaced meanwhile.
    let meta = meta_of(&file.metadata()?);
    let range = span.within(meta.size)?;
    let length = range.end - range.start;
    // The file has this many bytes, so what is allocated is bounded by what is there.
    let mut buffer = Buffer::new(usize::try_from(length).map_err(|_| too_large(length))?);
    let got = read_at(&file, buffer.bytes_mut(), range.start)?;
    Ok((buffer.into_bytes(got), meta))
}

fn too_large(size: u64) -> StorageErrorKind {
    StorageErrorKind::TooLarge { size, limit: usize::MAX as u64 }
}

/// Fills the buffer from an offset, and tells how much of it the file could fill.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_some_at(file, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

pub(super) fn meta_of_file(path: &Path) -> Result<ObjectMeta, Failure> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(StorageErrorKind::IsDirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other(NOT_A_FILE).into());
    }
    Ok(meta_of(&metadata))
}

const NOT_A_FILE: &str = "it is neither a file nor a directory";

fn meta_of(metadata: &Metadata) -> ObjectMeta {
    let modified = metadata.modified().ok().and_then(|time| match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).ok(),
        // A time within a millisecond before 1970 is in the millisecond before it.
        Err(before) => i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).ok().map(|ms| -ms),
    });
    ObjectMeta { size: metadata.len(), last_modified: modified, etag: etag_of(metadata).map(Into::into) }
}

#[cfg(unix)]
fn etag_of(metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.size());
    Some(format!("{device:x}-{inode:x}-{size:x}-{}.{:09}", metadata.mtime(), metadata.mtime_nsec()))
}

#[cfg(not(unix))]
fn etag_of(_: &Metadata) -> Option<String> {
    None
}

/// What went wrong, before it is said where.
#[derive(Debug)]
pub(super) enum Failure {
    Kind(StorageErrorKind),
    Io(io::Error),
}

impl From<StorageErrorKind> for Failure {
    fn from(kind: StorageErrorKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Failure {
    #[cold]
    pub(super) fn at(self, op: Op, location: &Location) -> StorageError {
        let error = match self {
            Self::Kind(kind) => return StorageError::new(kind, op, location.clone()),
            Self::Io(error) => error,
        };
        let kind = match error.kind() {
            io::ErrorKind::NotFound => StorageErrorKind::NotFound,
            // A path that leads through a file leads nowhere.
            io::ErrorKind::NotADirectory if op != Op::List => StorageErrorKind::NotFound,
            io::ErrorKind::NotADirectory => StorageErrorKind::NotADirectory,
            io::ErrorKind::IsADirectory => StorageErrorKind::IsDirectory,
            io::ErrorKind::AlreadyExists => StorageErrorKind::AlreadyExists,
            io::ErrorKind::DirectoryNotEmpty => StorageErrorKind::NotEmpty,
            io::ErrorKind::PermissionDenied => StorageErrorKind::PermissionDenied,
            io::ErrorKind::TimedOut => StorageErrorKind::Timeout,
            io::ErrorKind::StaleNetworkFileHandle => StorageErrorKind::Unavailable,
            _ => StorageErrorKind::Other,
        };
        let says_more = !matches!(kind, StorageErrorKind::NotFound | StorageErrorKind::PermissionDenied);
        let failed = StorageError::new(kind, op, location.clone());
        if says_more { failed.with_message(error.to_string()) } else { failed }
    }
}

#[cfg(test)]
mod tests;
