//! Results that are kept in a file, with what is needed to go on where a run stopped.
//!
//! The file is one JSON document. Whoever reads one asks first whether it answers the same question
//! ([`Head::differs`]): partials of different snapshots, plans or settings do not add up.
//!
//! ```text
//! { "statescope_save": 1, "what": "analyze", "head": …, "complete": bool, "partial": …, "result": … }
//! ```

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use twox_hash::xxhash3_128::Hasher;

use super::{Scan, ScanPartial};
use crate::analyzers::analysis::{Settings, Witness};
use crate::analyzers::overview::Filter;

/// The version of these files that is written, and the only one that is read.
pub const SAVE_VERSION: u32 = 1;

const ANALYZE: &str = "analyze";

/// What a saved result is of, and how it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version of the program: another one may divide the work otherwise.
    pub statescope_version: String,
    /// The directory that held `_metadata`. A copy elsewhere is the same snapshot.
    pub location: String,
    /// The checkpoint's id.
    pub checkpoint_id: i64,
    /// XXH3 (128 bits) of `_metadata`, in hex.
    pub metadata_hash: String,
    /// XXH3 (128 bits) of how the work is divided, in hex: other tables at hand, other splits.
    pub plan_hash: String,
    /// What was asked for.
    pub question: Question,
}

/// What was asked for, as far as it changes figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The selection of operators.
    pub operator: Option<String>,
    /// The selection of states.
    pub state: Option<String>,
    /// The reference time in milliseconds since 1970.
    pub at_ms: i64,
    /// How the reference time is known.
    pub witness: Witness,
    /// The TTLs in milliseconds; `null` stands for all states.
    pub ttl: Vec<(Option<String>, u64)>,
    /// How many keys lists of top keys hold.
    pub top: usize,
    /// Other parallelisms to tell the skew for.
    pub parallelisms: Vec<u32>,
    /// Whether checksums are verified.
    pub checksums: bool,
}

impl Question {
    /// What settings ask for.
    #[must_use]
    pub fn new(settings: &Settings, filter: &Filter, checksums: bool) -> Self {
        Self {
            operator: filter.operator.clone(),
            state: filter.state.clone(),
            at_ms: settings.reference_time.at_ms,
            witness: settings.reference_time.witness,
            ttl: settings.ttl.iter().map(|ttl| (ttl.state.clone(), ttl.ttl_ms)).collect(),
            top: settings.top,
            parallelisms: settings.parallelisms.clone(),
            checksums,
        }
    }
}

impl Head {
    /// Of a scan that is planned, of the snapshot whose `_metadata` has these bytes.
    #[must_use]
    pub fn new(scan: &Scan<'_>, location: String, metadata: &[u8], question: Question) -> Self {
        Self {
            statescope_version: env!("CARGO_PKG_VERSION").to_owned(),
            location,
            checkpoint_id: scan.input.snapshot.checkpoint_id,
            metadata_hash: format!("{:032x}", Hasher::oneshot(metadata)),
            plan_hash: scan.plan_hash(),
            question,
        }
    }

    /// Why what was saved with another head is no part of the answer to this one, in words that follow the name of the
    /// file; `None` if it is.
    #[must_use]
    pub fn differs(&self, saved: &Self) -> Option<String> {
        let (ours, theirs) = (&self.question, &saved.question);
        if self.metadata_hash != saved.metadata_hash || self.checkpoint_id != saved.checkpoint_id {
            return Some(format!("is of another snapshot: {} ({})", saved.checkpoint_id, saved.location));
        }
        if self.statescope_version != saved.statescope_version {
            return Some(format!("was made by version {} of statescope", saved.statescope_version));
        }
        let options = [
            (ours.operator != theirs.operator, "--operator"),
            (ours.state != theirs.state, "--state"),
            ((ours.at_ms, ours.witness) != (theirs.at_ms, theirs.witness), "reference time (--at)"),
            (ours.ttl != theirs.ttl, "--ttl"),
            (ours.top != theirs.top, "--top"),
            (ours.parallelisms != theirs.parallelisms, "--parallelism"),
            (ours.checksums != theirs.checksums, "--no-checksums"),
        ];
        if let Some((_, option)) = options.into_iter().find(|(differs, _)| *differs) {
            return Some(format!("was made with another {option}"));
        }
        (self.plan_hash != saved.plan_hash).then(|| {
            "was made when other files of the snapshot could be read, or with other --uids".to_owned()
        })
    }
}

/// A saved result.
#[derive(Debug, Deserialize)]
pub struct Saved {
    /// What it is of.
    pub head: Head,
    /// Whether everything was read.
    pub complete: bool,
    /// What was read so far.
    pub partial: ScanPartial,
    /// The result as it was printed as JSON; absent where it is not complete.
    pub result: Option<Value>,
}

/// Why a file is no saved result.
#[derive(Debug)]
#[non_exhaustive]
pub enum SavedError {
    /// It is not what [`write()`] writes.
    NotSaved(serde_json::Error),
    /// It is of a version that is not known.
    Version(u32),
    /// It is the result of another command.
    What(String),
}

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSaved(error) => write!(f, "is no saved result of statescope: {error}"),
            Self::Version(version) => {
                write!(f, "is a saved result of version {version}; this program knows version {SAVE_VERSION}")
            }
            Self::What(what) => write!(f, "is a saved result of {what:?}, not of {ANALYZE:?}"),
        }
    }
}

impl std::error::Error for SavedError {}

#[derive(Serialize)]
struct Document<'a, R> {
    statescope_save: u32,
    what: &'static str,
    head: &'a Head,
    complete: bool,
    partial: &'a ScanPartial,
    result: Option<&'a R>,
}

/// Writes what was read so far; with the result, if that is everything.
///
/// # Errors
/// The output cannot be written.
pub fn write<R: Serialize>(
    out: &mut dyn Write,
    head: &Head,
    partial: &ScanPartial,
    result: Option<&R>,
) -> io::Result<()> {
    let complete = result.is_some();
    let document = Document { statescope_save: SAVE_VERSION, what: ANALYZE, head, complete, partial, result };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// It is something else, or of a version or command that is not known.
pub fn read(bytes: &[u8]) -> Result<Saved, SavedError> {
    #[derive(Deserialize)]
    struct Kind {
        statescope_save: u32,
        what: String,
    }
    let Kind { statescope_save: version, what } =
        serde_json::from_slice(bytes).map_err(SavedError::NotSaved)?;
    if version != SAVE_VERSION {
        return Err(SavedError::Version(version));
    }
    if what != ANALYZE {
        return Err(SavedError::What(what));
    }
    serde_json::from_slice(bytes).map_err(SavedError::NotSaved)
}

impl Scan<'_> {
    /// A hash of all splits and of what they read.
    fn plan_hash(&self) -> String {
        let mut hash = Hasher::new();
        // Every part has its length before it, so that different plans are different bytes.
        let text = |hash: &mut Hasher, text: &[u8]| {
            hash.write(&(text.len() as u64).to_le_bytes());
            hash.write(text);
        };
        let number = |hash: &mut Hasher, number: u64| hash.write(&number.to_le_bytes());
        for split in &self.splits {
            number(&mut hash, split.number.into());
            number(&mut hash, split.handle as u64);
            text(&mut hash, &split.range.low);
            number(&mut hash, split.range.high.is_some().into());
            text(&mut hash, split.range.high.as_deref().unwrap_or_default());
        }
        for handle in &self.handles {
            number(&mut hash, handle.number.into());
            number(&mut hash, handle.states.len() as u64);
            for state in &handle.states {
                text(&mut hash, state.name.as_bytes());
                number(&mut hash, state.tables.len() as u64);
                number(&mut hash, state.missing.len() as u64);
                for table in &state.tables {
                    number(&mut hash, table.number);
                    number(&mut hash, table.size);
                }
            }
        }
        format!("{:032x}", hash.finish_128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{DamageRead, TableRead};

    fn head() -> Head {
        Head {
            statescope_version: "1.2.3".to_owned(),
            location: "/flink/chk-7".to_owned(),
            checkpoint_id: 7,
            metadata_hash: "ab".to_owned(),
            plan_hash: "cd".to_owned(),
            question: Question {
                operator: None,
                state: Some("s".to_owned()),
                at_ms: 5,
                witness: Witness::NewestSst,
                ttl: vec![(None, 1), (Some("s".to_owned()), 2)],
                top: 10,
                parallelisms: vec![8],
                checksums: true,
            },
        }
    }

    fn partial() -> ScanPartial {
        let mut partial = ScanPartial { bytes: 17, ..ScanPartial::default() };
        partial.done.extend([0, 2]);
        partial.tables.insert((1, 2), TableRead { entries: 3, stored_bytes: 4 });
        let damage = DamageRead { message: "what".to_owned(), at: 1, bytes: 2, blocks: 3 };
        partial.damage.insert((1, 2, 3), damage);
        partial
    }

    #[test]
    fn what_is_written_is_read() {
        for result in [None, Some("result")] {
            let mut bytes = Vec::new();
            write(&mut bytes, &head(), &partial(), result.as_ref()).unwrap();
            let saved = read(&bytes).unwrap();
            assert_eq!((saved.head, saved.partial), (head(), partial()));
            assert_eq!((saved.complete, saved.result), (result.is_some(), result.map(Value::from)));
            // Cut anywhere, it is nothing.
            for length in 0..bytes.len() - 2 {
                assert!(matches!(read(&bytes[..length]), Err(SavedError::NotSaved(_))), "{length}");
            }
        }
    }

    #[test]
    fn other_versions_and_other_commands_are_refused() {
        let error = read(br#"{"statescope_save":2,"what":"analyze","later":[]}"#).unwrap_err();
        assert!(matches!(error, SavedError::Version(2)) && error.to_string().contains("version 2"));
        let error = read(br#"{"statescope_save":1,"what":"other"}"#).unwrap_err();
        assert!(matches!(&error, SavedError::What(what) if what == "other"), "{error}");
        for wrong in ["", "{}", "[]", "nonsense", r#"{"statescope_save":-1,"what":"analyze"}"#] {
            let error = read(wrong.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("is no saved result"), "{error}");
        }
    }

    #[test]
    fn it_is_told_what_differs() {
        assert_eq!(head().differs(&head()), None);
        // A copy is the same snapshot.
        assert_eq!(head().differs(&Head { location: "/elsewhere".to_owned(), ..head() }), None);
        let differs = |change: fn(&mut Head)| {
            let mut other = head();
            change(&mut other);
            head().differs(&other).unwrap()
        };
        assert!(differs(|h| h.metadata_hash.clear()).contains("of another snapshot: 7 (/flink/chk-7)"));
        assert!(differs(|h| h.checkpoint_id = 8).contains("of another snapshot: 8"));
        assert!(differs(|h| h.statescope_version = "9".to_owned()).contains("version 9"));
        assert!(differs(|h| h.plan_hash.clear()).contains("other files"));
        assert!(differs(|h| h.question.operator = Some("x".to_owned())).contains("--operator"));
        assert!(differs(|h| h.question.state = None).contains("--state"));
        assert!(differs(|h| h.question.at_ms = 6).contains("--at"));
        assert!(differs(|h| h.question.witness = Witness::Given).contains("--at"));
        assert!(differs(|h| h.question.ttl.clear()).contains("--ttl"));
        assert!(differs(|h| h.question.top = 11).contains("--top"));
        assert!(differs(|h| h.question.parallelisms.clear()).contains("--parallelism"));
        assert!(differs(|h| h.question.checksums = false).contains("--no-checksums"));
    }
}
