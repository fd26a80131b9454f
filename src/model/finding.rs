//! A problem in data: where it is, which rule is broken, and what to do about it.

use serde::Serialize;

use super::FileId;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something is odd; the figures stand.
    Warning,
    /// Something could not be read; figures are missing.
    Error,
}

/// What something means for who wants to restore from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    Harmless,
    /// Whether it can be restored is not known.
    Unknown,
    /// It cannot be restored as it is.
    Breaks,
}

/// The part of a snapshot that a finding is about, for who draws conclusions from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// A file, and with it every handle that names it.
    File(FileId),
    /// The keyed state of a subtask.
    Subtask {
        /// Index of the operator in the snapshot.
        operator: usize,
        /// The subtask.
        subtask: u32,
    },
}

/// A problem in data. Findings do not stop the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A stable name of the kind of finding.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file, as it was opened, or as it was recorded if it could not be.
    pub file: Option<String>,
    /// The absolute offset in the file, in bytes.
    pub offset: Option<u64>,
    /// Which part of the snapshot is touched, such as an operator and subtask.
    pub part: Option<String>,
    /// What to do.
    pub remedy: String,
    /// What it is about. Not part of the output.
    #[serde(skip)]
    pub about: Option<About>,
    /// What it means for who wants to restore, where its code alone does not tell. Not part of the output.
    #[serde(skip)]
    pub effect: Option<Effect>,
}

impl Finding {
    /// A finding of a severity.
    #[must_use]
    pub fn new(
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            file: None,
            offset: None,
            part: None,
            remedy: remedy.into(),
            about: None,
            effect: None,
        }
    }

    /// Something could not be read.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message, remedy)
    }

    /// Something is odd.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message, remedy)
    }

    /// Something is worth knowing.
    #[must_use]
    pub fn info(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, message, remedy)
    }

    /// The file it lies in.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The offset in the file.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// The part of the snapshot that it touches.
    #[must_use]
    pub fn of(mut self, part: impl Into<String>) -> Self {
        self.part = Some(part.into());
        self
    }

    /// What it is about.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = Some(about);
        self
    }

    /// What it means for who wants to restore, whatever its code means else.
    #[must_use]
    pub fn meaning(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }
}
