//! `statescope inspect`.

use std::collections::HashMap;
use std::io::Write;

use clap::Args;

use super::{Common, Exit, Failure, Format, Reading, Selection, current_dir, exit, output_failure};
use crate::analyzers::overview;
use crate::analyzers::root::{JobSummary, RootOverview, SnapshotRow};
use crate::model::{Finding, OperatorId};
use crate::readers::discover::{self, MetadataFile, Target};
use crate::readers::opener::RelocateRule;
use crate::readers::root;
use crate::readers::snapshot::{ReadOptions, read_snapshot};
use crate::report;
use crate::scan::Progress;
use crate::scan::channels::read_channels;
use crate::storage::{Location, Storage};

/// Say what is in a snapshot, or which snapshots are under a root.
///
/// A snapshot is a chk-N or savepoint directory, its _metadata file, or a job's directory (its newest
/// complete checkpoint). Any other directory is taken for a root, and the jobs and savepoints under it are
/// listed. Only small files are read: _metadata, the backends' meta data, and RocksDB's CURRENT, MANIFEST and
/// OPTIONS; no state. For a root only _metadata is read; --properties, --channels, --operator, --state, --uids and
/// --relocate are about one snapshot.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The snapshot or root: a path, or a URI such as file:/flink/checkpoints/…/chk-42
    #[arg(value_name = "SNAPSHOT|ROOT")]
    path: String,
    /// Read the tail of every SST file too: entries, deletions, raw bytes, compression
    #[arg(long)]
    properties: bool,
    /// Read the in-flight data of an unaligned checkpoint too: records, watermarks, the largest channels
    #[arg(long)]
    channels: bool,
    /// List all snapshots of a job's directory instead of showing the newest
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    common: Common,
    /// The time that ages are counted against, in milliseconds since 1970 or as RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// What was asked for besides the path.
struct Ask {
    rules: Vec<RelocateRule>,
    uids: HashMap<OperatorId, String>,
}

impl Inspect {
    pub(super) fn reading(&self) -> &Reading {
        &self.common.reading
    }

    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let location = self.common.reading.location(&self.path, &here)?;
        // What is typed wrongly is said before anything is read.
        let (rules, uids) = (self.common.reading.rules(&here)?, self.selection.uids()?);
        let storage = self.common.reading.stores()?;
        let target = super::target(&storage, &location, self.common.reading.in_flight())?;
        match target {
            Target::Snapshot(file) => self.snapshot(out, &storage, Ask { rules, uids }, &file, None),
            Target::Job(job) if !self.list => {
                let (file, finding) = super::newest(&storage, &job)?;
                self.snapshot(out, &storage, Ask { rules, uids }, &file, finding)
            }
            Target::Job(job) => {
                let contents = discover::RootContents { jobs: vec![job], ..Default::default() };
                self.root(out, &storage, &location, contents)
            }
            Target::Root(root) => {
                let contents = discover::survey(&storage, root, self.common.reading.in_flight());
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
            in_flight: self.common.reading.in_flight(),
            properties: self.properties,
            channels: self.channels,
        };
        let now_ms = self.now_ms()?;
        let reading =
            read_snapshot(storage, file, &options).map_err(|error| super::no_snapshot(file, &error))?;
        let handles = self.common.format == Format::Json;
        let mut context = super::context(file, reading.places, self.selection.filter(), ask.uids, handles);
        let mut findings = reading.findings;
        findings.extend(finding);
        if self.channels {
            let options = super::channel_options(self.common.reading.in_flight());
            let (snapshot, tables, progress) = (&reading.snapshot, &reading.tables, Progress::default());
            let read = read_channels(storage, snapshot, tables, options, &progress, &|_| true);
            let read = read.unwrap_or_default();
            findings.extend(read.findings);
            context.channels = Some(read.channels);
        }
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
            ("--channels", self.channels),
            ("--operator", self.selection.operator.is_some()),
            ("--state", self.selection.state.is_some()),
            ("--uids", self.selection.uids.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!(
                "{option} is about one snapshot, and {location} holds many: name one of them"
            )));
        }
        let now_ms = self.now_ms()?;
        let overview = read_root(storage, location, contents, self.common.reading.in_flight(), now_ms);
        match self.common.format {
            Format::Table => report::root::write(out, &overview, self.common.layout()),
            Format::Json => report::json::write(out, "inspect", "root", &overview),
        }
        .map_err(output_failure)?;
        Ok(exit(&overview.findings))
    }

    fn now_ms(&self) -> Result<i64, Failure> {
        self.at.as_deref().map_or_else(|| Ok(super::clock_ms()), super::time)
    }
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
