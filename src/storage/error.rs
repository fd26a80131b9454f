//! The one error type of all stores: what was asked, where, what went wrong, what can be done.

use super::{Location, Op};
use std::fmt;

/// Result of a store.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why a store did not answer.
///
/// It is displayed as one line. Whoever makes one keeps secrets (keys, tokens, signed addresses) out of it.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: StorageErrorKind,
    op: Op,
    location: Location,
    message: Option<String>,
    remedy: Option<String>,
}

/// What went wrong, as far as a caller would act differently.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// Nothing is there.
    NotFound,
    /// An object was asked for and a directory is there.
    IsDirectory,
    /// A directory was asked for and an object is there.
    NotADirectory,
    /// What was to be made is there already.
    AlreadyExists,
    /// A directory was to be removed that has something in it.
    NotEmpty,
    /// The identity in use may not do this.
    PermissionDenied,
    /// There is no identity, or the store does not accept it.
    Unauthenticated,
    /// The object lies in an archive tier and must be brought back before it can be read.
    Archived,
    /// The store asks to be asked less often, and did so to the last retry.
    Throttled,
    /// No answer in time, to the last retry.
    Timeout,
    /// The store or the way to it failed, to the last retry.
    Unavailable,
    /// There is no client for the location's scheme.
    Unsupported,
    /// The object is larger than the caller is willing to read.
    TooLarge {
        /// Its size.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// Fewer bytes than were asked for.
    ShortRead {
        /// Bytes asked for.
        expected: u64,
        /// Bytes that there are, or that came.
        got: u64,
    },
    /// A range that ends before it begins.
    InvalidRange {
        /// Its begin.
        start: u64,
        /// Its end.
        end: u64,
    },
    /// Anything else; the message says what.
    Other,
}

impl StorageErrorKind {
    /// Whether the same request may succeed later, with nothing changed by the user.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled | Self::Timeout | Self::Unavailable)
    }
}

impl StorageError {
    /// An error of a request.
    #[must_use]
    #[cold]
    pub fn new(kind: StorageErrorKind, op: Op, location: Location) -> Self {
        Self(Box::new(Inner { kind, op, location, message: None, remedy: None }))
    }

    /// Adds what the store itself said.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Replaces the advice that goes with the kind.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// The same of another place.
    #[must_use]
    pub(super) fn about(mut self, location: Location) -> Self {
        self.0.location = location;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &StorageErrorKind {
        &self.0.kind
    }

    /// What was asked.
    #[must_use]
    pub fn op(&self) -> Op {
        self.0.op
    }

    /// Where.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// What the store said, if anything.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// What can be done, if that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let Inner { kind, op, location, remedy, .. } = &*self.0;
        if remedy.is_some() {
            return remedy.clone();
        }
        let advice = match kind {
            StorageErrorKind::NotFound if location.path().contains('%') => {
                "percent escapes are taken literally, as Flink takes them: write the name unescaped"
            }
            StorageErrorKind::PermissionDenied => "check what the identity in use may read",
            StorageErrorKind::Unauthenticated => "check the credentials of this environment",
            StorageErrorKind::Archived => "restore the object from its archive tier first",
            StorageErrorKind::Throttled => "ask again later, or with fewer requests in flight",
            StorageErrorKind::Unsupported if matches!(op, Op::Delete | Op::Copy | Op::Put) => {
                "do it with tools that know that store"
            }
            StorageErrorKind::Unsupported => {
                let root = location.store_root().to_string();
                let from = root.strip_suffix('/').unwrap_or(&root);
                return Some(format!(
                    "copy the files to where they can be read, and say so with --relocate {from}=TO"
                ));
            }
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

impl fmt::Display for StorageErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("nothing is there"),
            Self::IsDirectory => f.write_str("it is a directory"),
            Self::NotADirectory => f.write_str("it is not a directory"),
            Self::AlreadyExists => f.write_str("it is there already"),
            Self::NotEmpty => f.write_str("something is in it"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::Unauthenticated => f.write_str("not authenticated"),
            Self::Archived => f.write_str("the object is archived"),
            Self::Throttled => f.write_str("the store throttles requests"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unavailable => f.write_str("the store is not available"),
            Self::Unsupported => f.write_str("there is no client for its scheme"),
            Self::TooLarge { size, limit } => {
                write!(f, "the object has {size} bytes, more than the limit of {limit}")
            }
            Self::ShortRead { expected, got } => write!(f, "{expected} bytes expected, {got} found"),
            Self::InvalidRange { start, end } => write!(f, "the range {start}..{end} ends before it begins"),
            Self::Other => f.write_str("failed"),
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, op, location, message, .. } = &*self.0;
        let verb = match op {
            Op::Head => "look at",
            Op::Range | Op::Suffix | Op::Full => "read",
            Op::List => "list",
            Op::Delete => "remove",
            Op::Copy => "copy",
            Op::Put => "write",
        };
        write!(f, "cannot {verb} {}: {kind}", one_line(&location.to_string()))?;
        if let Some(message) = message {
            write!(f, ": {}", one_line(message))?;
        }
        if let Some(remedy) = self.remedy() {
            write!(f, "; {}", one_line(&remedy))?;
        }
        Ok(())
    }
}

/// A name or a server's message can hold line breaks and terminal escapes.
fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

impl fmt::Debug for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageError({:?}: {self})", self.0.kind)
    }
}

impl std::error::Error for StorageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: StorageErrorKind, op: Op, at: &str) -> StorageError {
        StorageError::new(kind, op, Location::parse(at).expect(at))
    }

    #[test]
    fn an_error_is_one_line_that_says_what_where_and_what_to_do() {
        assert_eq!(
            error(StorageErrorKind::ShortRead { expected: 10, got: 3 }, Op::Range, "s3a://b/k").to_string(),
            "cannot read s3a://b/k: 10 bytes expected, 3 found"
        );
        assert_eq!(
            error(StorageErrorKind::PermissionDenied, Op::List, "/x\ny")
                .with_message("line\nbreak \u{1b}[31m")
                .with_remedy("ask Ann")
                .to_string(),
            r"cannot list /x\ny: permission denied: line\nbreak \u{1b}[31m; ask Ann"
        );
        assert!(
            error(StorageErrorKind::NotFound, Op::Head, "/my%20dir").to_string().contains("taken literally")
        );
    }

    #[test]
    fn a_foreign_scheme_is_told_how_to_relocate() {
        assert_eq!(
            error(StorageErrorKind::Unsupported, Op::Full, "hdfs://nn:8020/flink/chk-1/_metadata")
                .to_string(),
            "cannot read hdfs://nn:8020/flink/chk-1/_metadata: there is no client for its scheme; \
             copy the files to where they can be read, and say so with --relocate hdfs://nn:8020=TO"
        );
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<StorageError>(), size_of::<usize>());
    }
}
