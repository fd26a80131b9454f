//! The command line: arguments and glue, one file for each command.

mod inspect;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::readers::opener::RelocateRule;
use crate::report::Layout;
use crate::storage::{InFlight, Location};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is fine.
    Fine = 0,
    /// It failed.
    Failed = 1,
    /// It was called wrongly.
    Usage = 2,
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
    after_help = "Exit codes: 0 fine · 1 failed · 2 wrong usage · 5 done, but some input could not be read"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people.
    Table,
    /// One JSON document, complete.
    Json,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Common {
    /// How to print the result
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How many rows of each table to show; 0 shows all
    #[arg(long, default_value_t = 25, value_name = "N")]
    rows: usize,
    /// Recorded places that begin with FROM lie below TO now (may be repeated)
    #[arg(long, value_name = "FROM=TO")]
    relocate: Vec<String>,
    /// How many requests may be under way at once
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,
    /// The time that ages are counted against, in milliseconds since 1970 or as RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Common {
    fn layout(&self) -> Layout {
        let width = io::stdout().is_terminal().then(|| terminal_size::terminal_size().map(|(w, _)| w.0));
        Layout { width: width.flatten(), rows: if self.rows == 0 { usize::MAX } else { self.rows } }
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

    fn now_ms(&self) -> Result<i64, Failure> {
        let Some(text) = &self.at else { return Ok(jiff::Timestamp::now().as_millisecond()) };
        if let Ok(ms) = text.parse() {
            return Ok(ms);
        }
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|e| Failure::usage(format!("--at {text:?} is no time: {e}")))
    }
}

/// The directory that relative paths are taken from.
fn current_dir() -> Result<Location, Failure> {
    let dir = std::env::current_dir().map_err(|e| Failure::failed(format!("no current directory: {e}")))?;
    Location::from_local_path(&dir).map_err(|e| Failure::failed(format!("the current directory: {e}")))
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
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = match &cli.command {
        Command::Inspect(inspect) => inspect.run(&mut out),
    };
    let result = result.and_then(|exit| out.flush().map(|()| exit).map_err(output_failure));
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
