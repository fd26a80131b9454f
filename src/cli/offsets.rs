//! `statescope offsets`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rayon::prelude::*;

use super::sizes::byte_size;
use super::{Common, Exit, Failure, Format, Reading, current_dir, exit, output_failure};
use crate::analyzers::offsets::{self as analyzer, Collector, Context, Question, is_meant, name_operators};
use crate::readers::operator_state::open_operator_states;
use crate::readers::snapshot::ReadOptions;
use crate::report;

/// Say where a job would read on, and what is not committed.
///
/// Operator state as data: splits of sources with their positions, and what enumerators have not assigned; transactions and committables
/// of sinks; elements of lists, unions and broadcast states, decoded by the serializers that the snapshot describes. Connectors are
/// recognized by what they wrote; what nobody recognizes is told with its size.
#[derive(Debug, Args)]
pub(super) struct Offsets {
    /// The snapshot: a chk-N or savepoint directory, its _metadata, or a job's directory (its newest checkpoint)
    #[arg(value_name = "SNAPSHOT")]
    path: String,
    /// Only operators with this text in their name or uid, or at the begin of their id
    #[arg(long, value_name = "TEXT")]
    operator: Option<String>,
    /// A file with one uid a line: names the operators of snapshots from before Flink 2.0
    #[arg(long, value_name = "FILE")]
    uids: Option<PathBuf>,
    /// How many elements of each list or broadcast state to decode
    #[arg(long, default_value_t = 10, value_name = "N")]
    limit: usize,
    /// How many bytes of what cannot be decoded are printed, in hex
    #[arg(long, default_value_t = 0, value_name = "N")]
    opaque: usize,
    /// The time that ages are counted against, in milliseconds since 1970 or as RFC 3339 [default: when the snapshot was completed]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Exit with 3 if there is such a thing (may be repeated)
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// About how much memory to use, such as 256M or 1G; of a stream that is larger, the begin is read
    #[arg(long, default_value = "256M", value_name = "BYTES", value_parser = byte_size)]
    memory: u64,
    #[command(flatten)]
    common: Common,
}

/// What `--fail-on` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A connector that Flink no longer has
    LegacyConnector,
    /// Something that is not committed
    Uncommitted,
    /// A split or something uncommitted that nobody can tell
    Opaque,
}

impl FailOn {
    fn is_there(self, offsets: &analyzer::Offsets) -> bool {
        match self {
            Self::LegacyConnector => offsets.findings.iter().any(|it| it.code == "legacy_connector"),
            Self::Uncommitted => offsets.totals.uncommitted > 0,
            Self::Opaque => offsets.totals.opaque_splits > 0 || offsets.totals.opaque_uncommitted > 0,
        }
    }
}

impl Offsets {
    pub(super) fn reading(&self) -> &Reading {
        &self.common.reading
    }

    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let reading = &self.common.reading;
        let location = reading.location(&self.path, &here)?;
        // What is typed wrongly is said before anything is read.
        let (rules, uids) = (reading.rules(&here)?, super::uids(self.uids.as_deref())?);
        let at_ms = self.at.as_deref().map(super::time).transpose()?;
        let storage = reading.stores()?;
        let (file, finding) = super::snapshot(&storage, &self.path, &location, reading.in_flight())?;
        let options =
            ReadOptions { relocate: rules, in_flight: reading.in_flight(), ..ReadOptions::default() };
        let mut open = open_operator_states(&storage, &file, &options)
            .map_err(|error| super::no_snapshot(&file, &error))?;
        name_operators(&mut open.snapshot, &uids);
        let question = Question {
            limit: self.limit,
            opaque: self.opaque,
            at_ms: at_ms.or(file.modified_ms),
            memory: self.memory,
        };
        let text = self.operator.as_deref();
        let mut collector = Collector::new(question);
        for coordinator in open.coordinators(&|operator| is_meant(operator, text)) {
            collector.add_coordinator(coordinator);
        }
        open.streams(&|operator| is_meant(operator, text), self.memory, &mut |snapshot, streams| {
            let digests: Vec<_> =
                streams.par_iter().map(|stream| Collector::digest(&question, snapshot, stream)).collect();
            digests.into_iter().for_each(|digest| collector.add(digest));
        });
        let places = open.places();
        let mut findings = std::mem::take(&mut open.findings);
        findings.extend(finding);
        let context = Context {
            location: file.directory.to_string(),
            modified_ms: file.modified_ms,
            operator: self.operator.clone(),
            places,
        };
        let offsets = collector.finish(&open.snapshot, findings, context);
        match self.common.format {
            Format::Table => report::offsets::write(out, &offsets, self.common.layout()),
            Format::Json => report::json::write(out, "offsets", "offsets", &offsets),
        }
        .map_err(output_failure)?;
        Ok(match exit(&offsets.findings) {
            Exit::Fine if self.fail_on.iter().any(|what| what.is_there(&offsets)) => Exit::Bad,
            exit => exit,
        })
    }
}
