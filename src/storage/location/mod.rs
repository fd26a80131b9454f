//! Where an object or a directory is: one canonical address for its many spellings.
//!
//! A [`Location`] is a scheme class, an authority and a normalized absolute path. Two locations are
//! equal when they are the same place in the same store, however they were spelled:
//!
//! | spelled | the same as |
//! |---|---|
//! | `s3a://b/k`, `s3p://b/k`, `S3://b//k/` | `s3://b/k` |
//! | `/data/x`, `file:/data/./x`, `file://localhost/data/x` | `file:///data/x` |
//! | `abfss://c@a.dfs.core.windows.net/k`, `wasb://c@A.blob.core.windows.net/k` | `abfs://c@a.dfs.core.windows.net/k` |
//! | `HTTPS://Host:443/a%62` | `https://host/ab` |
//!
//! # Rules
//!
//! They follow `org.apache.flink.core.fs.Path`, since that wrote what is read here.
//!
//! * Repeated and trailing slashes and `.` are removed. `..` is resolved in the text, as Flink does,
//!   without looking at symbolic links; one that climbs above the root is refused. A path that is
//!   *relative to a snapshot* ([`Location::join`]) may hold no `..` at all.
//! * **Percent escapes are taken literally**, except in `http(s):`. Flink records paths unescaped and
//!   takes a `%` in a path for a percent sign, so `file:/my%20dir` and `file:/my dir` are two
//!   directories to Flink, on local disk and in a bucket. HTTP's paths are escaped by definition: they
//!   are decoded when parsed and escaped when displayed; an escaped slash is refused.
//! * For deletion that exactness is not enough (another tool may have escaped what Flink had not):
//!   [`Location::loose_path`] makes equal whatever could be the same object, and a match there means
//!   *keep*. It is never used to read.
//! * The scheme and the host parts of an authority are compared without case; a bucket's name is not.
//! * Credentials in an address are refused, and the refusal does not repeat them.
//! * A bare path begins at the file system's root. One that does not is made absolute with
//!   [`Location::parse_in`] and a directory that the caller gives; nothing here asks the process.
//! * An unknown scheme is kept as [`SchemeClass::Foreign`], so that reports can name it; a store
//!   refuses it.
//!
//! [`Display`](fmt::Display) keeps the scheme and authority as spelled, and shows the normalized path; what it shows
//! parses to an equal location. Order is by canonical store, then by the bytes of the path: the order
//! in which object stores list.

mod error;
mod escape;
mod parse;

#[cfg(test)]
mod tests;

pub use error::{LocationError, LocationErrorKind};

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

/// Which kind of store a location lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemeClass {
    /// The local file system: a bare path or `file:`.
    Local,
    /// S3 and what speaks like it: `s3:`, `s3a:`, `s3p:`, `s3n:`.
    S3,
    /// Google Cloud Storage: `gs:`.
    Gcs,
    /// Azure Blob Storage and Data Lake: `abfs:`, `abfss:`, `wasb:`, `wasbs:`.
    Azure,
    /// A plain web server, read-only: `http:`, `https:`.
    Http,
    /// Any other scheme, such as `hdfs:` or `oss:`. Known by name, read by no store here.
    Foreign,
}

/// The address of an object or a directory; see the [module](self) for its rules.
///
/// A clone costs two reference counts, and locations made from one another by [`join`](Self::join) or
/// [`parent`](Self::parent) share their store's part.
#[derive(Clone)]
pub struct Location {
    root: Arc<Root>,
    /// `/` or `/a/b`: no empty segment, no dot segment, no trailing slash.
    path: Arc<str>,
}

/// The part that all locations of one store have in common.
#[derive(Debug, PartialEq, Eq)]
struct Root {
    class: SchemeClass,
    /// Lower case; `file` for a bare path.
    scheme: Box<str>,
    authority: Box<str>,
    /// What was written before the path.
    spelled: Box<str>,
    /// What decides equality.
    canonical: Box<str>,
}

impl Location {
    /// Parses an absolute location: a URI as Flink writes it, or a bare absolute path.
    ///
    /// # Errors
    /// The text names no absolute place; the error says why.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        parse::parse(text, None)
    }

    /// Parses a location that a user typed: a bare relative path is taken from `current_dir`.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse), save that a relative path is none.
    pub fn parse_in(text: &str, current_dir: &Self) -> Result<Self, LocationError> {
        parse::parse(text, Some(current_dir))
    }

    /// The location of an absolute path of this machine.
    ///
    /// # Errors
    /// The path is relative, or is not Unicode.
    pub fn from_local_path(path: &Path) -> Result<Self, LocationError> {
        match path.to_str() {
            Some(text) => parse::bare(text, None),
            None => Err(LocationError::new(LocationErrorKind::NotUnicode, path.to_string_lossy())),
        }
    }

    /// Which kind of store this lies in.
    #[must_use]
    pub fn class(&self) -> SchemeClass {
        self.root.class
    }

    /// The scheme in lower case; `file` for a bare path.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.root.scheme
    }

    /// The authority as spelled: a bucket, `container@account.host`, a host. Empty for local disk.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.root.authority
    }

    /// The normalized path, beginning with a slash: `/` or `/a/b`. Literal, never escaped.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path without its leading slash: an object store's key. Empty at the root.
    #[must_use]
    pub fn key(&self) -> &str {
        self.path.strip_prefix('/').unwrap_or(&self.path)
    }

    /// The segments of the path from the root down; none at the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.path.split('/').filter(|segment| !segment.is_empty())
    }

    /// Whether this is the root of its store.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.path == "/"
    }

    /// The last segment; none at the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.segments().next_back()
    }

    /// The directory that holds this; none at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let (above, _) = self.path.rsplit_once('/')?;
        Some(self.at(if above.is_empty() { "/" } else { above }))
    }

    /// The root of the store that this lies in.
    #[must_use]
    pub fn store_root(&self) -> Self {
        self.at("/")
    }

    /// What `relative` names below this directory. For paths that a snapshot holds, which may be
    /// hostile: nothing that is absolute, empty or holds `..` is followed.
    ///
    /// # Errors
    /// `relative` does not name something below this.
    pub fn join(&self, relative: &str) -> Result<Self, LocationError> {
        let bad = |kind| Err(LocationError::new(kind, relative));
        if relative.starts_with('/') {
            return bad(LocationErrorKind::NotRelative);
        }
        if relative.split('/').any(|segment| segment == "..") {
            return bad(LocationErrorKind::LeavesDirectory);
        }
        match parse::normalize(self.key(), relative) {
            Ok(path) if path.len() > self.path.len() => Ok(self.at(&path)),
            Ok(_) => bad(LocationErrorKind::Empty),
            Err(kind) => bad(kind),
        }
    }

    /// What a store calls `name` below this directory, or nothing if no location can spell it: a name
    /// with an empty or dot segment, such as the key `a//b`, would be read as another object's.
    #[must_use]
    pub fn join_exact(&self, name: &str) -> Option<Self> {
        let addressable =
            !name.contains('\0') && name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        addressable.then(|| {
            if self.is_root() {
                self.at(&format!("/{name}"))
            } else {
                self.at(&format!("{}/{name}", self.path))
            }
        })
    }

    /// The path of this below `directory`, without a leading slash; empty if they are equal; none if
    /// this does not lie there.
    #[must_use]
    pub fn strip_prefix(&self, directory: &Self) -> Option<&str> {
        if !self.same_store(directory) {
            return None;
        }
        if directory.is_root() {
            return Some(self.key());
        }
        let rest = self.path.strip_prefix(&*directory.path)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// Whether this is `directory` or lies below it.
    #[must_use]
    pub fn starts_with(&self, directory: &Self) -> bool {
        self.strip_prefix(directory).is_some()
    }

    /// This location with `from` replaced by `to`; none if this does not lie below `from`.
    #[must_use]
    pub fn relocate(&self, from: &Self, to: &Self) -> Option<Self> {
        match self.strip_prefix(from)? {
            "" => Some(to.clone()),
            rest => to.join_exact(rest),
        }
    }

    /// Whether both lie in one store: same class, same authority.
    #[must_use]
    pub fn same_store(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root) || self.root.canonical == other.root.canonical
    }

    /// The canonical spelling: one text for all equal locations. It names the class of the store
    /// (`azure:`), so it is a key to compare and store by, not an address to open.
    #[must_use]
    pub fn canonical(&self) -> String {
        format!("{}{}", self.root.canonical, self.path)
    }

    /// The path under which whatever *could* be the same object is equal: percent escapes are decoded
    /// until none is left, then slashes and dots are normalized; store and authority are left out.
    ///
    /// Only for the question whether something must be kept: two different objects can share it.
    #[must_use]
    pub fn loose_path(&self) -> String {
        escape::loosen(&self.path)
    }

    /// This location, sharing the store's part with `other` if both are spelled alike. Saves memory
    /// where many locations are parsed one by one.
    #[must_use]
    pub fn sharing(self, other: &Self) -> Self {
        if self.root == other.root { Self { root: Arc::clone(&other.root), path: self.path } } else { self }
    }

    fn at(&self, path: &str) -> Self {
        Self { root: Arc::clone(&self.root), path: path.into() }
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.same_store(other)
    }
}

impl Eq for Location {}

impl Hash for Location {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.root.canonical.hash(state);
        self.path.hash(state);
    }
}

impl Ord for Location {
    fn cmp(&self, other: &Self) -> Ordering {
        let store = if Arc::ptr_eq(&self.root, &other.root) {
            Ordering::Equal
        } else {
            self.root.canonical.cmp(&other.root.canonical)
        };
        store.then_with(|| self.path.cmp(&other.path))
    }
}

impl PartialOrd for Location {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root.spelled)?;
        match self.class() {
            SchemeClass::Http => f.write_str(&escape::encode(&self.path)),
            _ => f.write_str(&self.path),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl std::str::FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        Self::parse(text)
    }
}
