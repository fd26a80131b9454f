//! `statescope analyze`.

mod arguments;
mod progress;
#[cfg(feature = "rocksdb")]
mod reference;
mod save;

use std::collections::HashSet;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::{Args, ValueEnum};

use self::arguments::{byte_size, ttl_argument};
use self::progress::{Meter, Run};
use self::save::SaveFile;
use super::spill::SpillFile;
use super::{Common, Exit, Failure, Format, Selection, current_dir, exit, output_failure};
use crate::analyzers::analysis::{
    Analysis, Context, Engine, Method, ReferenceTime, Settings, Subjects, TtlArgument, VariantCost, Witness,
    finish,
};
use crate::analyzers::overview::{self, Overview};
use crate::model::Details;
use crate::readers::discover::MetadataFile;
use crate::readers::snapshot::{ReadOptions, SnapshotReading, read_snapshot};
use crate::report;
use crate::scan::saved::{Head, Question};
use crate::scan::{Finished, Input, Scan, ScanOptions, ScanPartial};
use crate::storage::Storage;

/// Say what is live, dead and expired in a snapshot's RocksDB state, and which keys are large.
///
/// Reads every SST file once, as Flink would after a restore: newest versions, merges applied, deleted entries left
/// out, clipped to the key groups. State that is not in RocksDB files (heap, canonical savepoints, operator state,
/// changes of a changelog) is listed with its size and not analyzed. How long a TTL is stands in no snapshot: --ttl
/// says it; without it, ages and a what-if table are shown.
#[derive(Debug, Args)]
#[command(mut_arg("rows", |rows| rows.default_value("10")))]
pub(super) struct Analyze {
    /// The snapshot: a chk-N or savepoint directory, its _metadata, or a job's directory (its newest checkpoint)
    #[arg(value_name = "SNAPSHOT")]
    path: String,
    #[command(flatten)]
    selection: Selection,
    /// How many keys each list of top keys holds
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1000))]
    top: u16,
    /// The TTL of a state, or of all with *: 90s, 15m, 6h, 7d (may be repeated; the last that fits counts)
    #[arg(long, value_name = "STATE=7d", value_parser = ttl_argument)]
    ttl: Vec<TtlArgument>,
    /// Tell how even the state would be over other numbers of subtasks
    #[arg(long, value_name = "8,16", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=32768))]
    parallelism: Vec<u32>,
    /// Compress a sample of the blocks in other ways too, and tell what that would save and cost
    #[arg(long, value_enum, value_name = "WHAT")]
    what_if: Option<WhatIf>,
    /// How many threads decode [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// About how much memory to use, such as 256M or 1G; what does not fit goes to temporary files
    #[arg(long, default_value = "128M", value_name = "BYTES", value_parser = byte_size)]
    memory: u64,
    /// What reads the live view; rocksdb is there to compare with: it copies each database to a temporary directory
    #[arg(long, value_enum, default_value_t = EngineArgument::Native, value_name = "ENGINE")]
    engine: EngineArgument,
    /// Do not verify the checksums of blocks
    #[arg(long)]
    no_checksums: bool,
    /// Keep the result in a file, while it is made too: run again, an interrupted run goes on where it stopped
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// The time that ages are counted against, in milliseconds since 1970 or as RFC 3339 [default: the time of the
    /// newest SST file]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// What else is to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhatIf {
    /// Snappy, LZ4 and ZSTD, with blocks of 4 to 64 KiB, with and without a dictionary.
    Compression,
}

/// What reads the live view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineArgument {
    /// Our own reader of SST files.
    Native,
    /// RocksDB's iterators, in a build with the feature `rocksdb`.
    Rocksdb,
}

impl Analyze {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let location = super::location(&self.path, &here)?;
        // What is typed wrongly is said before anything is read.
        self.check_engine()?;
        let reading = &self.common.reading;
        let (rules, uids) = (reading.rules(&here)?, self.selection.uids()?);
        let at_ms = self.at.as_deref().map(super::time).transpose()?;
        let save = self.save.as_deref().map(SaveFile::open).transpose()?;
        let storage = reading.stores()?;
        let (file, newest) = super::snapshot(&storage, &self.path, &location, reading.in_flight())?;
        let options =
            ReadOptions { relocate: rules.clone(), in_flight: reading.in_flight(), properties: true };
        let SnapshotReading { snapshot, details, findings, places, tables } =
            read_snapshot(&storage, &file, &options).map_err(|error| super::no_snapshot(&file, &error))?;
        let context = super::context(&file, places, self.selection.filter(), uids, false);
        let findings = findings.into_iter().chain(newest).collect();
        let overview = overview::overview(snapshot.clone(), details.clone(), findings, context);
        self.check(&overview)?;

        let mut settings = self.settings(&file, &details, at_ms);
        if let Some(saved) = save.as_ref().and_then(SaveFile::reference_time)
            && settings.reference_time.witness == Witness::Clock
        {
            settings.reference_time = saved;
        }
        let selected: HashSet<_> = overview.states.iter().map(|s| (&*s.operator_id, &*s.name)).collect();
        let ids: Vec<String> = snapshot.operators.iter().map(|operator| operator.id.to_string()).collect();
        let select = |operator: usize, state: &str| {
            ids.get(operator).is_some_and(|id| selected.contains(&(&**id, state)))
        };
        let input = Input { snapshot: &snapshot, details: &details, tables: &tables, settings: &settings };
        let scan = Scan::plan(input, &select);
        let question = Question::new(&settings, &overview.filter, !self.no_checksums);
        let head = Head::new(&scan, overview.snapshot.location.clone(), &file.bytes, question);
        let (save, mut partial) = match save {
            Some(save) => save.begin(&head).map(|(save, partial)| (Some(save), partial))?,
            None => (None, ScanPartial::default()),
        };
        let run = Run::begin();
        let mut finished = match self.engine {
            EngineArgument::Native => {
                partial = self.read(&scan, &storage, &run, save.as_ref(), &head, partial)?;
                scan.finish(&partial)
            }
            #[cfg(feature = "rocksdb")]
            EngineArgument::Rocksdb => {
                let (file, snapshot, details) = (&file, &snapshot, &details);
                let subject = reference::Subject { storage: &storage, file, rules, snapshot, details };
                Finished { analysis: subject.analyze(self, &scan, &run)?, findings: Vec::new() }
            }
            #[cfg(not(feature = "rocksdb"))]
            EngineArgument::Rocksdb => return Err(without_rocksdb()),
        };
        let costs = match self.what_if {
            Some(WhatIf::Compression) => {
                let costs = self.recompress(&scan, &storage, &run, &mut finished);
                costs.ok_or_else(|| interrupted(save.as_ref(), &head, &partial))?
            }
            None => Vec::new(),
        };
        run.end();
        let context = Context {
            overview,
            subjects: Subjects::new(&snapshot, &details),
            method: self.method(),
            settings: settings.clone(),
            findings: finished.findings,
        };
        let analysis = finish(finished.analysis, context);
        if let Some(save) = &save {
            save.complete(&head, &partial, &analysis)?;
        }
        self.report(out, &analysis, &costs)
    }

    /// What the engine of reference does not do.
    fn check_engine(&self) -> Result<(), Failure> {
        if self.engine == EngineArgument::Native {
            return Ok(());
        }
        if cfg!(not(feature = "rocksdb")) {
            return Err(without_rocksdb());
        }
        let options = [
            ("--save", self.save.is_some()),
            ("--what-if", self.what_if.is_some()),
            ("--no-checksums", self.no_checksums),
        ];
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::usage(format!(
                "{option} does not go with --engine rocksdb, which only hands out live rows"
            ))),
            None => Ok(()),
        }
    }

    /// What was asked for, where that only shows when the snapshot was read.
    fn check(&self, overview: &Overview) -> Result<(), Failure> {
        let Selection { operator, state, .. } = &self.selection;
        let given = [("--operator", operator), ("--state", state)];
        let given: Vec<_> = given
            .iter()
            .filter_map(|(option, text)| Some(format!("{option} {:?}", text.as_ref()?)))
            .collect();
        if overview.states.is_empty() && !given.is_empty() {
            return Err(Failure::usage(format!(
                "no state of this snapshot fits {}: `statescope inspect` shows what is there",
                given.join(" and ")
            )));
        }
        for name in self.ttl.iter().filter_map(|ttl| ttl.state.as_ref()) {
            let mut states = overview.states.iter().filter(|state| state.name == *name).peekable();
            if states.peek().is_none() {
                return Err(Failure::usage(format!(
                    "--ttl: no state that is analyzed is called {name:?}: `statescope inspect` shows what is there"
                )));
            }
            if states.all(|state| state.ttl != Some(true)) {
                return Err(Failure::usage(format!(
                    "--ttl: the entries of state {name:?} carry no timestamps, so that nothing of it can expire"
                )));
            }
        }
        Ok(())
    }

    fn settings(&self, file: &MetadataFile, details: &Details, at_ms: Option<i64>) -> Settings {
        let newest = newest_sst_seconds(details);
        let reference = ReferenceTime::choose(at_ms, newest, file.modified_ms, super::clock_ms());
        // A quarter of the memory, over all threads.
        let timers = self.memory / 4 / self.threads() as u64;
        Settings {
            top: usize::from(self.top),
            ttl: self.ttl.clone(),
            parallelisms: self.parallelism.clone(),
            timer_memory: usize::try_from(timers).unwrap_or(usize::MAX),
            ..Settings::new(reference)
        }
    }

    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(cores, usize::from)
    }

    fn method(&self) -> Method {
        let engine = match self.engine {
            EngineArgument::Native => Engine::Native,
            EngineArgument::Rocksdb => Engine::Rocksdb,
        };
        Method { depth: "full", engine, checksums: !self.no_checksums, top: usize::from(self.top) }
    }

    /// Reads all splits but those of which `partial` has what an earlier run read.
    fn read(
        &self,
        scan: &Scan<'_>,
        storage: &dyn Storage,
        run: &Run,
        save: Option<&SaveFile<'_>>,
        head: &Head,
        partial: ScanPartial,
    ) -> Result<ScanPartial, Failure> {
        if partial.done.len() == scan.splits() {
            if let Some(save) = save.filter(|_| scan.splits() > 0) {
                save.says_all_is_read();
            }
            return Ok(partial);
        }
        let directory = std::env::temp_dir();
        let meter = Meter::begin(run, scan.bytes(), partial.bytes);
        let sum = Mutex::new(partial);
        let saving = save.map(|save| save.keep(head));
        let each = |partial: &ScanPartial| {
            if saving.as_ref().is_some_and(|saving| !saving.after_split(partial)) {
                run.stop();
            }
        };
        let spill = || Box::new(SpillFile::new(&directory)) as Box<_>;
        let whole = scan.analyze(storage, self.options(), run.progress(), &spill, &sum, &each);
        meter.end();
        let partial = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        match saving.and_then(save::Keep::failure) {
            Some(failure) => Err(failure),
            None if whole => Ok(partial),
            None => Err(interrupted(save, head, &partial)),
        }
    }

    fn options(&self) -> ScanOptions {
        ScanOptions { threads: self.threads(), memory: self.memory, checksums: !self.no_checksums }
    }

    /// Adds a sample that is compressed in other ways to the figures. Returns what each way costs; nothing if it was
    /// interrupted.
    fn recompress(
        &self,
        scan: &Scan<'_>,
        storage: &dyn Storage,
        run: &Run,
        finished: &mut Finished,
    ) -> Option<Vec<VariantCost>> {
        let begin = Instant::now();
        let clock = || begin.elapsed();
        let found = scan.recompress(storage, self.options(), run.progress(), &clock)?;
        for (state, sample) in found.samples {
            finished.analysis.add_sample(state, sample);
        }
        Some(found.costs)
    }

    fn report(
        &self,
        out: &mut dyn Write,
        analysis: &Analysis,
        costs: &[VariantCost],
    ) -> Result<Exit, Failure> {
        let layout = self.common.layout();
        match self.common.format {
            // What was measured is for people only: JSON is the same in every run.
            Format::Table => report::analysis::write(out, analysis, layout)
                .and_then(|()| report::analysis::write_costs(out, costs, layout)),
            Format::Json => report::json::write(out, "analyze", "analysis", analysis),
        }
        .map_err(output_failure)?;
        Ok(exit(&analysis.findings))
    }
}

/// Ends a run that was interrupted: keeps what was read, if that was asked for.
fn interrupted(save: Option<&SaveFile<'_>>, head: &Head, partial: &ScanPartial) -> Failure {
    let Some(save) = save else { return Failure::failed("interrupted") };
    if let Err(failure) = save.part(head, partial) {
        return failure;
    }
    Failure::failed(format!(
        "interrupted; the same command goes on where it stopped, as {} keeps what was read",
        save.name()
    ))
}

fn without_rocksdb() -> Failure {
    Failure::usage(
        "--engine rocksdb: this program was built without RocksDB; build it with --features rocksdb",
    )
}

/// When the newest SST file was made, as it says itself.
fn newest_sst_seconds(details: &Details) -> Option<u64> {
    let databases = details.keyed.iter().filter_map(|keyed| keyed.database.as_ref());
    let tails = databases.flat_map(|database| &database.tables).filter_map(|table| table.tail.as_ref());
    let properties = tails.filter_map(|tail| tail.properties.as_ref());
    properties.filter_map(|p| p.file_creation_time.filter(|time| *time > 0).or(p.creation_time)).max()
}
