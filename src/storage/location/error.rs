//! Why a text is no location.

use std::fmt;

/// Why a text is no location. The text is shown, save where it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationError {
    kind: LocationErrorKind,
    text: Option<String>,
}

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationErrorKind {
    /// There is nothing that could name a place.
    Empty,
    /// A relative path where an absolute place is needed.
    Relative,
    /// An absolute path where a relative one is needed.
    NotRelative,
    /// A `..` that climbs above the root.
    ClimbsAboveRoot,
    /// A `..` in a path that must stay below its directory.
    LeavesDirectory,
    /// A scheme that needs a bucket, container or host, without one.
    NoAuthority,
    /// `file://data/x`: a slash is missing, so that `data` is taken for a host.
    LocalAuthority,
    /// A user or a password inside the address.
    Credentials,
    /// A query or fragment in an `http(s):` address, such as a signature.
    Query,
    /// An escape in an `http(s):` address that is not valid, or that stands for a slash.
    BadEscape,
    /// A NUL character.
    Nul,
    /// A path of this machine that is not Unicode.
    NotUnicode,
}

impl LocationError {
    pub(super) fn new(kind: LocationErrorKind, text: impl Into<String>) -> Self {
        let secret = matches!(kind, LocationErrorKind::Credentials | LocationErrorKind::Query);
        Self { kind, text: if secret { None } else { Some(text.into()) } }
    }

    /// The rule that was broken.
    #[must_use]
    pub fn kind(&self) -> LocationErrorKind {
        self.kind
    }
}

impl fmt::Display for LocationErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it names nothing",
            Self::Relative => "it is relative; give an absolute path or a URI",
            Self::NotRelative => "it must be relative to its directory",
            Self::ClimbsAboveRoot => "its '..' climb above the root",
            Self::LeavesDirectory => "its '..' may lead out of its directory",
            Self::NoAuthority => "the bucket, container or host is missing (SCHEME://NAME/PATH)",
            Self::LocalAuthority => {
                "a local path names no host; a slash may be missing (file:///PATH or file:/PATH)"
            }
            Self::Credentials => "credentials do not belong into an address; give them to the store instead",
            Self::Query => "a query or fragment (signed addresses) is not supported",
            Self::BadEscape => "it holds a percent escape that is invalid or stands for a slash or NUL",
            Self::Nul => "it holds a NUL character",
            Self::NotUnicode => "it is not Unicode",
        })
    }
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{text:?} is no location: {}", self.kind),
            None => write!(f, "the address (not repeated here) is no location: {}", self.kind),
        }
    }
}

impl std::error::Error for LocationError {}
