//! `statescope verify`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;

use clap::Args;

use super::analyze::progress::{Meter, Run};
use super::sizes::byte_size;
use super::{Common, Exit, Failure, Format, Reading, current_dir, output_failure, shell};
use crate::analyzers::verify::{
    Evidence, SnapshotVerification, Verdict, Verification, verification, verify, verify_unreadable,
};
use crate::model::{Effect, Finding};
use crate::readers::discover::{self, JobDirectory, METADATA, MetadataFile, Target};
use crate::readers::root::{metadata_not_decoded, metadata_unreadable};
use crate::readers::snapshot::{ReadOptions, SnapshotReading};
use crate::readers::verify::Verifier;
use crate::report;
use crate::scan::ScanOptions;
use crate::scan::deep::{DeepVerifier, Subject};
use crate::storage::{InFlight, Location, SchemeClass, Storage, StorageError, StorageErrorKind};

/// Say whether a snapshot can be restored: whether every file that it needs is there, readable and whole.
///
/// Asks for every file that any handle names, compares its size, and decodes the backends' meta data, RocksDB's
/// CURRENT and MANIFEST, and the tail of every SST file; what MANIFEST names and what is there must agree. Of SST
/// files, --deep reads and verifies every block too. Of a job's directory, all complete checkpoints and the savepoints
/// in it are verified, and the newest good one is named; a file that several of them share is asked for once. What is
/// not looked into is named. Nothing is relocated silently: where files were found is a part of the report.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 restorable · 1 failed · 2 wrong usage · 3 not restorable · 5 cannot tell; of a job's \
                  directory: 0 if all its snapshots are restorable, 3 if any is not"
)]
pub(super) struct Verify {
    /// The snapshot: a chk-N or savepoint directory, its _metadata, or a job's directory (all its snapshots)
    #[arg(value_name = "SNAPSHOT|JOB")]
    path: String,
    /// Read every block of every SST file: checksums, order of keys, bounds and numbers of entries
    #[arg(long)]
    deep: bool,
    /// How many SST files --deep reads at once [default: one for each core; more from object stores, up to --in-flight]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// About how much memory --deep uses, such as 256M or 1G
    #[arg(long, default_value = "128M", value_name = "BYTES", value_parser = byte_size)]
    memory: u64,
    #[command(flatten)]
    common: Common,
}

/// How many bytes of small files are held for the other snapshots of a job.
const KEPT: u64 = 64 << 20;

/// What several snapshots are verified with.
struct Session<'s> {
    storage: &'s dyn Storage,
    small: Verifier<'s>,
    deep: Option<(DeepVerifier, ScanOptions, Run)>,
}

impl Verify {
    pub(super) fn reading(&self) -> &Reading {
        &self.common.reading
    }

    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let location = self.common.reading.location(&self.path, &here)?;
        // What is typed wrongly is said before anything is read.
        let reading = &self.common.reading;
        let relocate = reading.rules(&here)?;
        let storage = reading.stores()?;
        let target = match discover::discover(&storage, &location, reading.in_flight()) {
            Ok(target) => Ok(target),
            Err(error) if is_closed(&error) => Err(error),
            Err(error) => return Err(super::no_target(&location, &error)),
        };
        let options =
            ReadOptions { relocate, in_flight: reading.in_flight(), properties: true, channels: self.deep };
        let keep = if matches!(target, Ok(Target::Job(_))) { KEPT } else { 0 };
        let mut session = Session {
            storage: &storage,
            small: Verifier::new(&storage, options, keep),
            deep: self.deep.then(|| (DeepVerifier::default(), self.options(&location), Run::begin())),
        };
        let result = match target {
            Err(error) => {
                let directory = error.location().parent().unwrap_or_else(|| location.clone());
                let verified = unreadable(&directory, &error);
                verification(directory.to_string(), self.deep, vec![verified], Vec::new(), Vec::new())
            }
            Ok(Target::Snapshot(file)) => {
                let verified = session.snapshot(&file)?;
                let location = file.directory.to_string();
                verification(location, self.deep, vec![verified], Vec::new(), Vec::new())
            }
            Ok(Target::Job(job)) => self.job(&mut session, &job)?,
            Ok(Target::Root(_)) => {
                return Err(Failure::failed(format!(
                    "{location} is neither a snapshot nor the directory of a job; `statescope inspect {}` lists the \
                     jobs and savepoints below it",
                    shell(&self.path)
                )));
            }
        };
        match self.common.format {
            Format::Table => report::verify::write(out, &result, self.common.layout()),
            Format::Json => report::json::write(out, "verify", "verification", &result),
        }
        .map_err(output_failure)?;
        Ok(match result.verdict {
            Verdict::Restorable => Exit::Fine,
            Verdict::NotRestorable => Exit::Bad,
            Verdict::CannotTell => Exit::Partial,
        })
    }

    fn options(&self, location: &Location) -> ScanOptions {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = if location.class() == SchemeClass::Local {
            cores
        } else {
            // Most of the time, a thread waits for an answer.
            cores.max(usize::from(self.common.reading.in_flight))
        };
        let threads = self.threads.map_or(most, usize::from);
        let requests = usize::from(self.common.reading.in_flight);
        ScanOptions { threads, memory: self.memory, checksums: true, requests }
    }

    /// All complete checkpoints of a job, highest number first, and the savepoints in its directory.
    fn job(&self, session: &mut Session<'_>, job: &JobDirectory) -> Result<Verification, Failure> {
        let complete = job.checkpoints.values().rev().filter(|checkpoint| checkpoint.complete.is_some());
        let mut snapshots = Vec::new();
        for directory in complete.map(|checkpoint| &checkpoint.location) {
            snapshots.push(match discover::read_metadata(session.storage, directory) {
                Ok(file) => session.snapshot(&file)?,
                Err(error) => unreadable(directory, &error),
            });
        }
        for directory in &job.others {
            match discover::read_metadata(session.storage, directory) {
                Ok(file) => snapshots.push(session.snapshot(&file)?),
                // Not a savepoint.
                Err(error) if *error.kind() == StorageErrorKind::NotFound => {}
                Err(error) => snapshots.push(unreadable(directory, &error)),
            }
        }
        if snapshots.is_empty() {
            return Err(super::no_complete_checkpoint(job));
        }
        let incomplete = job.checkpoints.values().filter(|checkpoint| checkpoint.complete.is_none());
        let incomplete = incomplete.map(|checkpoint| checkpoint.location.to_string()).collect();
        let findings = super::newest_disagree(job, "").into_iter().collect();
        Ok(verification(job.location.to_string(), self.deep, snapshots, incomplete, findings))
    }
}

/// Which of these snapshots are not known to be restorable, and why: their files are asked for, and small ones are read.
pub(super) fn broken(
    storage: &dyn Storage,
    directories: &[Location],
    in_flight: InFlight,
) -> Vec<(String, Effect, Vec<String>)> {
    let options = ReadOptions { relocate: Vec::new(), in_flight, ..ReadOptions::default() };
    let mut session = Session { storage, small: Verifier::new(storage, options, KEPT), deep: None };
    let mut broken = Vec::new();
    for directory in directories {
        let verified = match discover::read_metadata(storage, directory) {
            // Without --deep, nothing interrupts it.
            Ok(file) => session.snapshot(&file).ok(),
            Err(error) => Some(unreadable(directory, &error)),
        };
        let Some(verified) = verified else { continue };
        let effect = match verified.verdict {
            Verdict::Restorable => continue,
            Verdict::NotRestorable => Effect::Breaks,
            Verdict::CannotTell => Effect::Unknown,
        };
        let problems = verified.findings.iter().map(|problem| problem.finding.message.clone()).collect();
        broken.push((directory.to_string(), effect, problems));
    }
    broken
}

impl Session<'_> {
    fn snapshot(&mut self, file: &MetadataFile) -> Result<SnapshotVerification, Failure> {
        let location = file.directory.to_string();
        let reading = match self.small.read(file) {
            Ok(reading) => reading,
            Err(error) => {
                let finding = metadata_not_decoded(file, &error);
                return Ok(verify_unreadable(location, file.modified_ms, finding));
            }
        };
        let SnapshotReading { snapshot, details, mut findings, places, tables } = reading;
        let mut read = None;
        if let Some((deep, options, run)) = &mut self.deep {
            let subject = Subject { snapshot: &snapshot, details: &details, tables: &tables };
            let before = run.progress().bytes.load(Ordering::Relaxed);
            let meter = Meter::begin(run, before.saturating_add(deep.bytes(subject)), 0);
            let verified = deep.verify(self.storage, subject, *options, run.progress());
            meter.end();
            let (deep, found) = verified.ok_or_else(|| Failure::failed("interrupted"))?;
            findings.extend::<Vec<Finding>>(found);
            read = Some(deep);
        }
        Ok(verify(Evidence {
            location,
            modified_ms: file.modified_ms,
            snapshot: &snapshot,
            details: &details,
            places,
            findings,
            deep: read,
        }))
    }
}

/// Whether there is a `_metadata`, or may be, that cannot be read.
fn is_closed(error: &StorageError) -> bool {
    error.location().file_name() == Some(METADATA)
        && !matches!(
            error.kind(),
            StorageErrorKind::NotFound
                | StorageErrorKind::NotADirectory
                | StorageErrorKind::IsDirectory
                | StorageErrorKind::Unsupported
        )
}

/// A snapshot of which `_metadata` cannot be read.
fn unreadable(directory: &Location, error: &StorageError) -> SnapshotVerification {
    verify_unreadable(directory.to_string(), None, metadata_unreadable(error))
}
