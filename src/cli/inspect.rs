//! `statescope inspect`.

use std::collections::HashMap;
use std::io::Write;

use clap::Args;

use super::{Common, Exit, Failure, Format, current_dir, output_failure};
use crate::analyzers::overview::{self, Context, Filter};
use crate::analyzers::root::{JobSummary, RootOverview, SnapshotRow};
use crate::model::{Finding, OperatorId, Severity};
use crate::readers::discover::{self, JobDirectory, MetadataFile, Target};
use crate::readers::opener::RelocateRule;
use crate::readers::root;
use crate::readers::snapshot::{ReadOptions, read_snapshot};
use crate::report;
use crate::storage::{Location, Storage, StorageErrorKind, Stores};

/// Say what is in a snapshot, or which snapshots are under a root.
///
/// A snapshot is a chk-N or savepoint directory, its _metadata file, or a job's directory (its newest
/// complete checkpoint). Any other directory is taken for a root, and the jobs and savepoints under it are
/// listed. Only small files are read: _metadata, the backends' meta data, and RocksDB's CURRENT, MANIFEST and
/// OPTIONS; no state. For a root only _metadata is read; --properties, --operator, --state, --uids and
/// --relocate are about one snapshot.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The snapshot or root: a path, or a URI such as file:/flink/checkpoints/…/chk-42
    #[arg(value_name = "SNAPSHOT|ROOT")]
    path: String,
    /// Read the tail of every SST file too: entries, deletions, raw bytes, compression
    #[arg(long)]
    properties: bool,
    /// List all snapshots of a job's directory instead of showing the newest
    #[arg(long)]
    list: bool,
    /// Only operators with this text in their name or uid, or at the begin of their id
    #[arg(long, value_name = "TEXT")]
    operator: Option<String>,
    /// Only states with this text in their name
    #[arg(long, value_name = "TEXT")]
    state: Option<String>,
    /// A file with one uid a line: names the operators of snapshots from before Flink 2.0
    #[arg(long, value_name = "FILE")]
    uids: Option<std::path::PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What was asked for besides the path.
struct Ask {
    rules: Vec<RelocateRule>,
    uids: HashMap<OperatorId, String>,
}

impl Inspect {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        // The error names the address itself, unless it holds what must not be shown.
        let location =
            Location::parse_in(&self.path, &here).map_err(|e| Failure::usage(format!("the path: {e}")))?;
        // What is typed wrongly is said before anything is read.
        let (rules, uids) = (self.common.rules(&here)?, self.uids()?);
        let storage = Stores::local();
        let target = discover::discover(&storage, &location, self.common.in_flight()).map_err(|error| {
            Failure::failed(match error.kind() {
                StorageErrorKind::NotFound => format!("{location}: nothing is there"),
                StorageErrorKind::NotADirectory => {
                    format!("{location} is neither a _metadata file nor a directory")
                }
                // --relocate is about recorded places; it does not stand for this argument.
                StorageErrorKind::Unsupported => format!(
                    "{location}: there is no client for {:?} yet; copy the snapshot to a local disk and give the path \
                     of the copy; where its files are not found by themselves, add --relocate FROM=TO",
                    location.scheme()
                ),
                _ => error.to_string(),
            })
        })?;
        match target {
            Target::Snapshot(file) => self.snapshot(out, &storage, Ask { rules, uids }, &file, None),
            Target::Job(job) if !self.list => self.newest(out, &storage, Ask { rules, uids }, &job),
            Target::Job(job) => {
                let contents = discover::RootContents { jobs: vec![job], ..Default::default() };
                self.root(out, &storage, &location, contents)
            }
            Target::Root(root) => {
                let contents = discover::survey(&storage, root, self.common.in_flight());
                if contents.jobs.is_empty() && contents.savepoints.is_empty() && contents.findings.is_empty()
                {
                    return Err(Failure::failed(format!(
                        "{location}: no checkpoint or savepoint is here or below (a snapshot is a directory with \
                         a file called _metadata)"
                    )));
                }
                self.root(out, &storage, &location, contents)
            }
        }
    }

    fn newest(
        &self,
        out: &mut dyn Write,
        storage: &dyn Storage,
        ask: Ask,
        job: &JobDirectory,
    ) -> Result<Exit, Failure> {
        let Some((number, newest)) = job.newest_by_id() else {
            return Err(Failure::failed(format!(
                "{}: none of its {} chk-N directories holds a _metadata: no checkpoint is complete",
                job.location,
                job.checkpoints.len()
            )));
        };
        let file = discover::read_metadata(storage, &newest.location)
            .map_err(|error| Failure::failed(error.to_string()))?;
        let other = job.newest_elsewhere();
        let finding = other.map(|(other, directory)| {
            Finding::warning(
                "newest_disagree",
                format!(
                    "the newest checkpoint by number is chk-{number}, by completion chk-{other}; chk-{number} is shown"
                ),
                "numbers begin again when a job is submitted anew; copying changes file times",
            )
            .in_file(directory.location.to_string())
        });
        self.snapshot(out, storage, ask, &file, finding)
    }

    fn snapshot(
        &self,
        out: &mut dyn Write,
        storage: &dyn Storage,
        ask: Ask,
        file: &MetadataFile,
        finding: Option<Finding>,
    ) -> Result<Exit, Failure> {
        let options = ReadOptions {
            relocate: ask.rules,
            in_flight: self.common.in_flight(),
            properties: self.properties,
        };
        let now_ms = self.common.now_ms()?;
        let reading = read_snapshot(storage, file, &options).map_err(|error| {
            Failure::failed(format!("{}/_metadata is no Flink snapshot: {error}", file.directory))
        })?;
        let job = file.directory.parent().and_then(|job| job.file_name().map(str::to_owned));
        let context = Context {
            location: file.directory.to_string(),
            directory_name: file.directory.file_name().map(str::to_owned),
            job_id: job.filter(|name| discover::is_job_id(name)),
            modified_ms: file.modified_ms,
            places: reading.places,
            handles: self.common.format == Format::Json,
            filter: Filter { operator: self.operator.clone(), state: self.state.clone() },
            uids: ask.uids,
        };
        let mut findings = reading.findings;
        findings.extend(finding);
        let overview = overview::overview(reading.snapshot, reading.details, findings, context);
        match self.common.format {
            Format::Table => report::overview::write(out, &overview, self.common.layout(), now_ms),
            Format::Json => report::json::write(out, "inspect", "snapshot", &overview),
        }
        .map_err(output_failure)?;
        Ok(exit(&overview.findings))
    }

    fn root(
        &self,
        out: &mut dyn Write,
        storage: &dyn Storage,
        location: &Location,
        contents: discover::RootContents,
    ) -> Result<Exit, Failure> {
        let given = [
            ("--properties", self.properties),
            ("--operator", self.operator.is_some()),
            ("--state", self.state.is_some()),
            ("--uids", self.uids.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!(
                "{option} is about one snapshot, and {location} holds many: name one of them"
            )));
        }
        let now_ms = self.common.now_ms()?;
        let overview = read_root(storage, location, contents, self.common.in_flight(), now_ms);
        match self.common.format {
            Format::Table => report::root::write(out, &overview, self.common.layout()),
            Format::Json => report::json::write(out, "inspect", "root", &overview),
        }
        .map_err(output_failure)?;
        Ok(exit(&overview.findings))
    }

    fn uids(&self) -> Result<HashMap<OperatorId, String>, Failure> {
        let Some(path) = &self.uids else { return Ok(HashMap::new()) };
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::usage(format!("--uids {}: {e}", path.display())))?;
        let uids = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(uids.map(|uid| (OperatorId::from_uid(uid), uid.to_owned())).collect())
    }
}

/// Some input could not be read if any finding says so.
fn exit(findings: &[Finding]) -> Exit {
    if findings.iter().any(|f| f.severity == Severity::Error) { Exit::Partial } else { Exit::Fine }
}

fn read_root(
    storage: &dyn Storage,
    location: &Location,
    contents: discover::RootContents,
    in_flight: crate::storage::InFlight,
    now_ms: i64,
) -> RootOverview {
    let text = |l: &Location| l.to_string();
    let mut findings = contents.findings;
    // All snapshots in one go: first the checkpoints of all jobs, then the savepoints.
    let mut directories = Vec::new();
    for job in &contents.jobs {
        let complete = job.checkpoints.values().rev().filter(|c| c.complete.is_some());
        directories.extend(complete.map(|c| c.location.clone()));
    }
    directories.extend(contents.savepoints.iter().cloned());
    let mut rows = Vec::with_capacity(directories.len());
    root::read_each(storage, &directories, in_flight, &mut |index, result| {
        let directory = directories.get(index).map(text).unwrap_or_default();
        rows.push(match result {
            Ok(read) => {
                findings.extend(read.findings);
                SnapshotRow::new(directory, &read.snapshot, read.modified_ms)
            }
            Err(finding) => {
                findings.push(*finding);
                SnapshotRow::unreadable(directory, None)
            }
        });
    });
    let mut rows = rows.into_iter();
    let jobs = contents
        .jobs
        .iter()
        .map(|job| {
            let complete = job.checkpoints.values().filter(|c| c.complete.is_some()).count();
            JobSummary {
                location: job.location.to_string(),
                job_id: job.job_id.clone(),
                newest_by_id: job.newest_by_id().map(|(_, c)| text(&c.location)),
                newest_by_completion: job
                    .newest_elsewhere()
                    .or_else(|| job.newest_by_id())
                    .map(|(_, c)| text(&c.location)),
                checkpoints: rows.by_ref().take(complete).collect(),
                incomplete: job
                    .checkpoints
                    .values()
                    .filter(|c| c.complete.is_none())
                    .map(|c| text(&c.location))
                    .collect(),
            }
        })
        .collect();
    RootOverview {
        location: location.to_string(),
        now_ms,
        jobs,
        savepoints: rows.collect(),
        not_looked_into: contents.too_deep.iter().map(text).collect(),
        findings,
    }
    .sorted()
}
