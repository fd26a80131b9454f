//! The command line: arguments and glue, one file for each command.

mod analyze;
mod cat;
mod channels;
mod inspect;
mod materialize;
mod offsets;
mod prune;
mod sizes;
mod spill;
mod stats;
mod verify;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::sizes::byte_size;
use crate::analyzers::overview::{Context, Filter};
use crate::model::{Finding, OperatorId, Places, Severity, layout};
use crate::readers::discover::{self, JobDirectory, MetadataFile, Target};
use crate::readers::opener::RelocateRule;
use crate::report::Layout;
use crate::scan::ScanOptions;
use crate::storage::{
    Access, CacheDirectory, FlinkConf, InFlight, Location, Meter, Storage, StorageError, StorageErrorKind,
    Stores,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is fine.
    Fine = 0,
    /// It failed.
    Failed = 1,
    /// It was called wrongly.
    Usage = 2,
    /// It is done, and what was asked after is not good.
    Bad = 3,
    /// It was refused for safety.
    Refused = 4,
    /// It is done, but some input could not be read.
    Partial = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended without a result.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }
}

/// Reads what Apache Flink left on storage: checkpoints, savepoints and the RocksDB files in them.
#[derive(Debug, Parser)]
#[command(name = "statescope", version, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 fine · 1 failed · 2 wrong usage · 3 not restorable (verify), not deletable (refs), there is what --fail-on names (offsets) · 4 refused for safety · 5 done, but some input could not be read"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
    Analyze(analyze::Analyze),
    Cat(cat::Cat),
    Offsets(offsets::Offsets),
    Materialize(materialize::Materialize),
    Verify(verify::Verify),
    Refs(prune::Refs),
    Du(prune::Du),
    Orphans(prune::Orphans),
    Prune(prune::Prune),
}

impl Command {
    fn reading(&self) -> &Reading {
        match self {
            Self::Inspect(inspect) => inspect.reading(),
            Self::Analyze(analyze) => analyze.reading(),
            Self::Cat(cat) => cat.reading(),
            Self::Offsets(offsets) => offsets.reading(),
            Self::Materialize(materialize) => materialize.reading(),
            Self::Verify(verify) => verify.reading(),
            Self::Refs(refs) => refs.reading(),
            Self::Du(du) => du.reading(),
            Self::Orphans(orphans) => orphans.reading(),
            Self::Prune(prune) => prune.reading(),
        }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people.
    Table,
    /// One JSON document, complete.
    Json,
}

/// Where files lie, and how they are read.
#[derive(Debug, Args)]
struct Reading {
    /// Recorded places that begin with FROM lie below TO now (may be repeated)
    #[arg(long, value_name = "FROM=TO")]
    relocate: Vec<String>,
    /// How many requests may be under way at once
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,
    /// Tell on stderr, when all is done, what was asked of stores and how fast it came
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    reaching: Reaching,
    /// Counts what is asked.
    #[arg(skip)]
    meter: Arc<Meter>,
}

/// The heading of the options of [`Reaching`].
const STORES: &str = "Object stores";

/// How object stores are reached.
#[derive(Debug, Args)]
struct Reaching {
    /// The address of the store, if not the provider's own
    #[arg(long, help_heading = STORES, value_name = "URL")]
    endpoint: Option<String>,
    /// The region of the bucket
    #[arg(long, help_heading = STORES, value_name = "NAME")]
    region: Option<String>,
    /// Name buckets in the path, not in the host
    #[arg(long, help_heading = STORES)]
    path_style: bool,
    /// Ask addresses without TLS
    #[arg(long, help_heading = STORES)]
    allow_http: bool,
    /// Ask without credentials
    #[arg(long, help_heading = STORES)]
    anonymous: bool,
    /// Flink's config.yaml or flink-conf.yaml, for its s3.*, fs.gs.* and fs.azure.* options
    #[arg(long, help_heading = STORES, value_name = "FILE")]
    flink_conf: Option<PathBuf>,
    /// Keep what is read of objects in a directory, for later runs: each object is still asked for once, to know that
    /// it is the same
    #[arg(long, help_heading = STORES, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// How large that directory may get; what was used longest ago goes first
    #[arg(long, help_heading = STORES, default_value = "10G", value_name = "BYTES", value_parser = byte_size)]
    cache_size: u64,
}

/// Options of every command that reports.
#[derive(Debug, Args)]
struct Common {
    /// How to print the result
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How many rows of each table to show; 0 shows all
    #[arg(long, default_value_t = 25, value_name = "N")]
    rows: usize,
    #[command(flatten)]
    reading: Reading,
}

/// Which part of a snapshot is meant, and what its operators are called.
#[derive(Debug, Args)]
struct Selection {
    /// Only operators with this text in their name or uid, or at the begin of their id
    #[arg(long, value_name = "TEXT")]
    operator: Option<String>,
    /// Only states with this text in their name
    #[arg(long, value_name = "TEXT")]
    state: Option<String>,
    /// A file with one uid a line: names the operators of snapshots from before Flink 2.0
    #[arg(long, value_name = "FILE")]
    uids: Option<PathBuf>,
}

impl Reaching {
    fn flink(&self) -> Result<FlinkConf, Failure> {
        let Some(path) = &self.flink_conf else { return Ok(FlinkConf::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::usage(format!("--flink-conf {}: {e}", path.display())))?;
        Ok(FlinkConf::parse(&text))
    }

    fn access(&self) -> Result<Access, Failure> {
        Ok(Access {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            allow_http: self.allow_http,
            anonymous: self.anonymous,
            flink: self.flink()?,
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            home: std::env::home_dir(),
            ..Access::default()
        })
    }
}

impl Reading {
    fn stores(&self) -> Result<Stores, Failure> {
        let Reaching { cache, cache_size, .. } = &self.reaching;
        let open = |directory: &PathBuf| {
            CacheDirectory::open(directory, *cache_size, SystemTime::now)
                .map_err(|error| Failure::usage(format!("--cache {}: {error}", directory.display())))
        };
        let cache = cache.as_ref().map(open).transpose()?;
        Ok(Stores::all(self.reaching.access()?, cache, Arc::clone(&self.meter)))
    }

    /// The place that a user typed, be it as it stands in Flink's configuration.
    fn location(&self, path: &str, here: &Location) -> Result<Location, Failure> {
        // The error names the address itself, unless it holds what must not be shown.
        let typed = Location::parse_in(path, here).map_err(|e| Failure::usage(format!("the path: {e}")))?;
        Ok(self.reaching.flink()?.without_entropy(typed))
    }

    fn in_flight(&self) -> InFlight {
        InFlight { requests: usize::from(self.in_flight), ..InFlight::default() }
    }

    fn rules(&self, here: &Location) -> Result<Vec<RelocateRule>, Failure> {
        self.relocate
            .iter()
            .map(|text| {
                // The text is not repeated: there may be credentials in it.
                let wrong = |why: String| Failure::usage(format!("--relocate: {why}"));
                let (from, to) =
                    text.split_once('=').ok_or_else(|| wrong("write it as FROM=TO".to_owned()))?;
                let parse = |text: &str| Location::parse_in(text, here).map_err(|e| wrong(e.to_string()));
                Ok(RelocateRule { from: parse(from)?, to: parse(to)? })
            })
            .collect()
    }
}

impl Common {
    fn layout(&self) -> Layout {
        let width = io::stdout().is_terminal().then(|| terminal_size::terminal_size().map(|(w, _)| w.0));
        Layout { width: width.flatten(), rows: if self.rows == 0 { usize::MAX } else { self.rows } }
    }
}

impl Selection {
    fn filter(&self) -> Filter {
        Filter { operator: self.operator.clone(), state: self.state.clone() }
    }

    fn uids(&self) -> Result<HashMap<OperatorId, String>, Failure> {
        uids(self.uids.as_deref())
    }
}

/// The uids of `--uids`, by the operator ids that they give.
fn uids(path: Option<&Path>) -> Result<HashMap<OperatorId, String>, Failure> {
    let Some(path) = path else { return Ok(HashMap::new()) };
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("--uids {}: {e}", path.display())))?;
    let uids = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(uids.map(|uid| (OperatorId::from_uid(uid), uid.to_owned())).collect())
}

/// The time of `--at` in milliseconds since 1970.
fn time(text: &str) -> Result<i64, Failure> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|e| Failure::usage(format!("--at {text:?} is no time: {e}")))
}

fn clock_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The directory that relative paths are taken from.
fn current_dir() -> Result<Location, Failure> {
    let dir = std::env::current_dir().map_err(|e| Failure::failed(format!("no current directory: {e}")))?;
    Location::from_local_path(&dir).map_err(|e| Failure::failed(format!("the current directory: {e}")))
}

/// What a place is: a snapshot, a job's directory, or a root.
fn target(storage: &dyn Storage, location: &Location, in_flight: InFlight) -> Result<Target, Failure> {
    discover::discover(storage, location, in_flight).map_err(|error| no_target(location, &error))
}

/// That nothing can be found out about a place.
fn no_target(location: &Location, error: &StorageError) -> Failure {
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
}

/// The one snapshot that a path leads to, with what is worth knowing about the choice.
fn snapshot(
    storage: &dyn Storage,
    path: &str,
    location: &Location,
    in_flight: InFlight,
) -> Result<(MetadataFile, Option<Finding>), Failure> {
    match target(storage, location, in_flight)? {
        Target::Snapshot(file) => Ok((file, None)),
        Target::Job(job) => newest(storage, &job),
        Target::Root(_) => Err(Failure::failed(format!(
            "{location} is no snapshot; `statescope inspect {}` lists those below it",
            shell(path)
        ))),
    }
}

/// The newest complete checkpoint of a job by number.
fn newest(storage: &dyn Storage, job: &JobDirectory) -> Result<(MetadataFile, Option<Finding>), Failure> {
    let Some((number, newest)) = job.newest_by_id() else { return Err(no_complete_checkpoint(job)) };
    let file = discover::read_metadata(storage, &newest.location)
        .map_err(|error| Failure::failed(error.to_string()))?;
    Ok((file, newest_disagree(job, &format!("; chk-{number} is shown"))))
}

fn no_complete_checkpoint(job: &JobDirectory) -> Failure {
    Failure::failed(format!(
        "{}: none of its {} chk-N directories holds a _metadata: no checkpoint is complete",
        job.location,
        job.checkpoints.len()
    ))
}

/// That the newest checkpoint of a job by number is not the newest by completion, and what comes of that.
fn newest_disagree(job: &JobDirectory, therefore: &str) -> Option<Finding> {
    let ((number, _), (other, directory)) = (job.newest_by_id()?, job.newest_elsewhere()?);
    let finding = Finding::warning(
        "newest_disagree",
        format!("the newest checkpoint by number is chk-{number}, by completion chk-{other}{therefore}"),
        "numbers begin again when a job is submitted anew; copying changes file times",
    );
    Some(finding.in_file(directory.location.to_string()))
}

/// What is known of a snapshot besides its contents.
fn context(
    file: &MetadataFile,
    places: Places,
    filter: Filter,
    uids: HashMap<OperatorId, String>,
    handles: bool,
) -> Context {
    let job = file.directory.parent().and_then(|job| job.file_name().map(str::to_owned));
    Context {
        location: file.directory.to_string(),
        directory_name: file.directory.file_name().map(str::to_owned),
        job_id: job.filter(|name| layout::is_job_id(name)),
        modified_ms: file.modified_ms,
        places,
        handles,
        filter,
        channels: None,
        uids,
    }
}

/// How in-flight data are read where nothing is said of threads and memory.
fn channel_options(in_flight: InFlight) -> ScanOptions {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    ScanOptions { threads, memory: 64 << 20, checksums: true, requests: in_flight.requests }
}

/// Some input could not be read if any finding says so.
fn exit(findings: &[Finding]) -> Exit {
    if findings.iter().any(|f| f.severity == Severity::Error) { Exit::Partial } else { Exit::Fine }
}

/// A word as a shell takes it.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// That a `_metadata` is none.
fn no_snapshot(file: &MetadataFile, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("{}/_metadata is no Flink snapshot: {error}", file.directory))
}

/// Runs the command that the process was called with.
#[must_use]
pub fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; if nobody reads them, that is none either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Fine };
        }
    };
    let begin = Instant::now();
    let mut out = io::BufWriter::new(io::stdout());
    let result = match &cli.command {
        Command::Inspect(inspect) => inspect.run(&mut out),
        Command::Analyze(analyze) => analyze.run(&mut out),
        Command::Cat(cat) => cat.run(&mut out),
        Command::Offsets(offsets) => offsets.run(&mut out),
        Command::Materialize(materialize) => materialize.run(&mut out),
        Command::Verify(verify) => verify.run(&mut out),
        Command::Refs(refs) => refs.run(&mut out),
        Command::Du(du) => du.run(&mut out),
        Command::Orphans(orphans) => orphans.run(&mut out),
        Command::Prune(prune) => prune.run(&mut out),
    };
    let result = result.and_then(|exit| out.flush().map(|()| exit).map_err(output_failure));
    let reading = cli.command.reading();
    if reading.stats {
        eprint!("{}", stats::told(&reading.meter.counts(), begin.elapsed()));
    }
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            // A reader that has seen enough (`| head`) is no failure; the exit says so, and no text.
            if !failure.message.is_empty() {
                eprintln!("statescope: {}", failure.message);
            }
            failure.exit
        }
    }
}

/// What an error of writing the result means.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn output_failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure { exit: Exit::Fine, message: String::new() },
        _ => Failure::failed(format!("the result cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::shell;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(shell("_timer_state/a-b"), "_timer_state/a-b");
        assert_eq!(shell("it's $1"), r"'it'\''s $1'");
        assert_eq!(shell(""), "''");
    }
}
