//! The one error type of all decoders: which rule, which value, where, and under which field.

use std::fmt;

/// Result of a decoder.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes could not be decoded.
///
/// The file's name is not known here; the layer that read the bytes adds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    offset: u64,
    /// Innermost segment first: segments are pushed while the error unwinds.
    path: Vec<PathSegment>,
}

/// One step of the path of fields that leads to an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// A field of a structure.
    Field(&'static str),
    /// An element of a repeated field.
    Index(&'static str, usize),
    /// A part that the bytes themselves name: a state, an operator, a file.
    Named(&'static str, String),
}

/// The rule that was broken, with the value that broke it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes end before the field does.
    UnexpectedEnd {
        /// Bytes the field needs.
        needed: u64,
        /// Bytes that are left.
        remaining: u64,
    },
    /// Bytes are left where the format ends.
    TrailingBytes {
        /// How many.
        count: u64,
    },
    /// A version that this decoder does not know.
    UnknownVersion {
        /// Of what.
        what: &'static str,
        /// The version found.
        found: i64,
        /// The versions that are known, in words.
        known: &'static str,
    },
    /// A tag that this decoder does not know.
    UnknownTag {
        /// Of what.
        what: &'static str,
        /// The tag found.
        found: i64,
    },
    /// A length or count that is negative or larger than what remains allows.
    BadCount {
        /// Of what.
        what: &'static str,
        /// The count found.
        found: i64,
        /// The largest that could be right here.
        max: u64,
    },
    /// A limit of this decoder is exceeded.
    LimitExceeded {
        /// Which limit.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A checksum does not match.
    ChecksumMismatch {
        /// Checksum of what, and which kind.
        what: &'static str,
        /// The checksum that is stored.
        stored: u64,
        /// The checksum of the bytes.
        computed: u64,
    },
    /// A value that the format does not allow here.
    Invalid {
        /// The rule.
        rule: &'static str,
        /// The value found, in words.
        found: String,
    },
    /// Something that exists and is known, but is not decoded.
    Unsupported {
        /// What it is.
        what: String,
    },
}

impl Error {
    /// An error at an absolute offset.
    #[must_use]
    #[cold]
    pub fn new(kind: ErrorKind, offset: u64) -> Self {
        Self(Box::new(Inner { kind, offset, path: Vec::new() }))
    }

    /// A value that the format does not allow.
    #[must_use]
    #[cold]
    pub fn invalid(rule: &'static str, found: impl Into<String>, offset: u64) -> Self {
        Self::new(ErrorKind::Invalid { rule, found: found.into() }, offset)
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The absolute offset of the field that is wrong.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// The path of fields from the outermost to the one that is wrong, such as
    /// `operators[3].subtasks[0].managed_keyed`. Empty for a field at the top.
    #[must_use]
    pub fn path(&self) -> String {
        let mut out = String::new();
        for segment in self.0.path.iter().rev() {
            if !out.is_empty() {
                out.push('.');
            }
            match segment {
                PathSegment::Field(name) => out.push_str(name),
                PathSegment::Index(name, index) => out.push_str(&format!("{name}[{index}]")),
                PathSegment::Named(name, which) => out.push_str(&format!("{name}[{which:?}]")),
            }
        }
        out
    }

    /// Puts a segment in front of the path.
    #[must_use]
    #[cold]
    pub fn within(mut self, segment: PathSegment) -> Self {
        self.0.path.push(segment);
        self
    }
}

/// Adds the path of fields to an error while it unwinds.
pub trait ResultExt: Sized {
    /// The error lies in this field.
    #[must_use]
    fn field(self, name: &'static str) -> Self;
    /// The error lies in this element of a repeated field.
    #[must_use]
    fn index(self, name: &'static str, index: usize) -> Self;
    /// The error lies in the part with this name.
    #[must_use]
    fn named(self, name: &'static str, which: impl FnOnce() -> String) -> Self;
}

impl<T> ResultExt for Result<T> {
    fn field(self, name: &'static str) -> Self {
        self.map_err(|e| e.within(PathSegment::Field(name)))
    }

    fn index(self, name: &'static str, index: usize) -> Self {
        self.map_err(|e| e.within(PathSegment::Index(name, index)))
    }

    fn named(self, name: &'static str, which: impl FnOnce() -> String) -> Self {
        self.map_err(|e| e.within(PathSegment::Named(name, which())))
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd { needed, remaining } => {
                write!(f, "the bytes end too early: {needed} needed, {remaining} left")
            }
            Self::TrailingBytes { count } => write!(f, "{count} bytes are left where the format ends"),
            Self::UnknownVersion { what, found, known } => {
                write!(f, "unknown version {found} of {what} (known: {known})")
            }
            Self::UnknownTag { what, found } => write!(f, "unknown tag {found} of {what}"),
            Self::BadCount { what, found, max } => {
                write!(f, "impossible count or length of {what}: {found} (at most {max} possible here)")
            }
            Self::LimitExceeded { what, limit } => write!(f, "limit exceeded: {what} (limit {limit})"),
            Self::ChecksumMismatch { what, stored, computed } => {
                write!(f, "checksum of {what} does not match: stored {stored:#x}, computed {computed:#x}")
            }
            Self::Invalid { rule, found } => write!(f, "{rule}: found {found}"),
            Self::Unsupported { what } => write!(f, "not supported: {what}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.0.kind, self.0.offset)?;
        if !self.0.path.is_empty() {
            write!(f, " in {}", self.path())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_reads_from_the_outside_in() {
        let result: Result<()> =
            Err(Error::new(ErrorKind::UnknownTag { what: "keyed handle", found: 99 }, 17));
        let error = result
            .field("tag")
            .index("subtasks", 2)
            .named("operators", || "abc".to_owned())
            .expect_err("an error");
        assert_eq!(error.path(), r#"operators["abc"].subtasks[2].tag"#);
        assert_eq!(
            error.to_string(),
            r#"unknown tag 99 of keyed handle at offset 17 in operators["abc"].subtasks[2].tag"#
        );
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
