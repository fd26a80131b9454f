//! `statescope analyze`.

mod arguments;
mod depth;
pub(super) mod progress;
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

use self::arguments::{budget, error_share, ttl_argument};
use self::depth::{Budget, Decided, DepthArgument};
use self::progress::{Meter, Run};
use self::save::SaveFile;
use super::sizes::byte_size;
use super::spill::SpillFile;
use super::{Common, Exit, Failure, Format, Reading, Selection, current_dir, exit, output_failure};
use crate::analyzers::analysis::{
    Analysis, AnalysisPartial, Context, Depth, Engine, Method, ReferenceTime, Sampling, Settings, Shallow,
    Subjects, TtlArgument, VariantCost, Witness, error as estimate_error, finish,
};
use crate::analyzers::overview::{self, Overview};
use crate::model::{Details, Finding};
use crate::readers::discover::MetadataFile;
use crate::readers::snapshot::{OpenSnapshot, ReadOptions, SnapshotReading, open_snapshot};
use crate::scan::saved::{Head, Question};
use crate::scan::{Finished, Input, SampleOptions, Sampler, Scan, ScanOptions, ScanPartial, SelectFn};
use crate::storage::{ReadAhead, SchemeClass, Storage, Stores};
use crate::{report, scan};

/// Say what is live, dead and expired in a snapshot's keyed state, and which keys are large.
///
/// Reads everything once, as Flink would after a restore: of SST files the newest versions, merges applied, deleted entries left
/// out, clipped to the key groups; of canonical savepoints, checkpoints of the heap backend and timers in raw keyed state all key groups. --depth
/// reads less of SST files, and says less. Operator state, raw state of the user and the changes of a changelog are listed with
/// their size and not analyzed. How long a TTL is stands in no snapshot: --ttl says it; without it, ages and a what-if table are shown.
#[derive(Debug, Args)]
#[command(mut_arg("rows", |rows| rows.default_value("10")))]
pub(super) struct Analyze {
    /// The snapshot: a chk-N or savepoint directory, its _metadata, or a job's directory (its newest checkpoint)
    #[arg(value_name = "SNAPSHOT")]
    path: String,
    #[command(flatten)]
    selection: Selection,
    /// How much to read [default: full up to 20 GB, index above]
    #[arg(long, value_enum, value_name = "DEPTH")]
    depth: Option<DepthArgument>,
    /// What --depth sample may read in all: 2%, 500M, 2G, or 2GB [default: 2%, but at least 16M]
    #[arg(long, value_name = "SIZE", value_parser = budget, conflicts_with = "error")]
    budget: Option<Budget>,
    /// Have --depth sample read until the shares of all on-disk bytes are known this well: 2% is two points up and down
    #[arg(long, value_name = "SHARE", value_parser = error_share)]
    error: Option<f64>,
    /// What the random choices of --depth sample follow from [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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

/// What was learned without reading all rows.
struct Shallowly {
    analysis: AnalysisPartial,
    shallow: Shallow,
    method: Method,
    settings: Settings,
    findings: Vec<Finding>,
}

impl Analyze {
    pub(super) fn reading(&self) -> &Reading {
        &self.common.reading
    }

    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let location = self.common.reading.location(&self.path, &here)?;
        // What is typed wrongly is said before anything is read.
        self.check_engine()?;
        self.check_depth()?;
        let reading = &self.common.reading;
        let (rules, uids) = (reading.rules(&here)?, self.selection.uids()?);
        let at_ms = self.at.as_deref().map(super::time).transpose()?;
        let save = self.save.as_deref().map(SaveFile::open).transpose()?;
        let storage = reading.stores()?;
        let (file, newest) = super::snapshot(&storage, &self.path, &location, reading.in_flight())?;
        let options =
            ReadOptions { relocate: rules.clone(), in_flight: reading.in_flight(), ..ReadOptions::default() };
        let mut open =
            open_snapshot(&storage, &file, &options).map_err(|error| super::no_snapshot(&file, &error))?;
        let overview = |open: &OpenSnapshot<'_>| {
            let context = super::context(&file, open.places(), self.selection.filter(), uids.clone(), false);
            let findings = open.findings.iter().cloned().chain(newest.clone()).collect();
            overview::overview(open.snapshot.clone(), open.details.clone(), findings, context)
        };
        let before = overview(&open);
        self.check(&before)?;
        let selected: HashSet<(String, String)> =
            before.states.iter().map(|s| (s.operator_id.clone(), s.name.clone())).collect();
        let ids: Vec<String> =
            open.snapshot.operators.iter().map(|operator| operator.id.to_string()).collect();
        let select = |operator: usize, state: &str| {
            ids.get(operator).is_some_and(|id| selected.contains(&(id.clone(), state.to_owned())))
        };
        let decided = self.decide(&open.details, &select)?;
        let subjects = Subjects::new(&open.snapshot, &open.details);
        let run = Run::begin();
        if decided.depth != Depth::Full {
            let settings = self.settings(&file, None, at_ms);
            let shallow = self.shallow(&mut open, &storage, &select, &decided, settings, &run)?;
            run.end();
            let mut overview = before;
            overview.places = open.places();
            let Shallowly { analysis, shallow, method, settings, findings } = shallow;
            let context = Context { overview, subjects, method, settings, shallow, findings };
            return self.report(out, &finish(analysis, context), &[]);
        }
        if self.engine == EngineArgument::Native && ReadAhead::serves(open.opener.directory()) {
            open.read_ends(self.options().kept(), &select);
        } else {
            open.read_tails();
        }
        let overview = overview(&open);
        let SnapshotReading { snapshot, details, tables, .. } = open.into_reading();
        let mut settings = self.settings(&file, newest_sst_seconds(&details), at_ms);
        if let Some(saved) = save.as_ref().and_then(SaveFile::reference_time)
            && settings.reference_time.witness == Witness::Clock
        {
            settings.reference_time = saved;
        }
        let input = Input { snapshot: &snapshot, details: &details, tables: &tables, settings: &settings };
        let scan = Scan::plan(input, &select);
        let question = Question::new(&settings, &overview.filter, !self.no_checksums);
        let head = Head::new(&scan, overview.snapshot.location.clone(), &file.bytes, question);
        let (save, mut partial) = match save {
            Some(save) => save.begin(&head).map(|(save, partial)| (Some(save), partial))?,
            None => (None, ScanPartial::default()),
        };
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
            subjects,
            method: self.method(&decided, 0, None),
            settings: settings.clone(),
            shallow: Shallow::default(),
            findings: finished.findings,
        };
        let analysis = finish(finished.analysis, context);
        if let Some(save) = &save {
            save.complete(&head, &partial, &analysis)?;
        }
        self.report(out, &analysis, &costs)
    }

    /// What is known without reading all rows.
    fn shallow(
        &self,
        open: &mut OpenSnapshot<'_>,
        storage: &Stores,
        select: SelectFn<'_>,
        decided: &Decided,
        settings: Settings,
        run: &Run,
    ) -> Result<Shallowly, Failure> {
        match decided.depth {
            // There is nothing to be read for it.
            Depth::Manifest | Depth::Full => {
                let disk_groups = scan::file_groups(&open.details, select);
                Ok(Shallowly {
                    analysis: AnalysisPartial::default(),
                    shallow: Shallow { disk_groups, ..Shallow::default() },
                    method: self.method(decided, decided.all_bytes(), None),
                    settings,
                    findings: Vec::new(),
                })
            }
            Depth::Index => {
                let meter = Meter::begin(run, scan::index_bytes(&open.details, select), 0);
                let found = scan::survey(open, select, !self.no_checksums, self.memory, run.progress());
                meter.end();
                let found = found.ok_or_else(|| Failure::failed("interrupted"))?;
                let not_read = decided.all_bytes().saturating_sub(found.read_bytes);
                Ok(Shallowly {
                    analysis: found.analysis,
                    shallow: Shallow { disk_groups: found.groups, ..Shallow::default() },
                    method: self.method(decided, not_read, None),
                    settings,
                    findings: found.findings,
                })
            }
            Depth::Sample => self.sample(open, storage, select, decided, settings, run),
        }
    }

    /// Reads a sample: once, or until the error is as small as was asked for.
    fn sample(
        &self,
        open: &mut OpenSnapshot<'_>,
        storage: &Stores,
        select: SelectFn<'_>,
        decided: &Decided,
        settings: Settings,
        run: &Run,
    ) -> Result<Shallowly, Failure> {
        // The small files of the snapshot are part of what is read.
        let small = storage.meter().counts().bytes;
        let mut allowed = decided.sample;
        if self.budget.is_some() && small >= allowed {
            return Err(Failure::usage(format!(
                "--budget allows {allowed} bytes, and the small files of this snapshot have {small}: allow more, or \
                 take --depth manifest, which reads no more than these"
            )));
        }
        let seed = self.seed.unwrap_or(1);
        let local = open.opener.directory().class() == SchemeClass::Local;
        let readers = if local { self.threads() } else { usize::from(self.common.reading.in_flight) };
        let mut sampler = Sampler::new(open, storage, select);
        let newest = sampler.newest_seconds(allowed.saturating_sub(small));
        let settings = match newest.filter(|_| settings.reference_time.witness != Witness::Given) {
            Some(newest) => {
                let reference =
                    ReferenceTime::choose(None, Some(newest), None, settings.reference_time.at_ms);
                Settings { reference_time: reference, ..settings }
            }
            None => settings,
        };
        let meter = Meter::begin(run, allowed, 0);
        let sampled = loop {
            let budget = if self.budget.is_some() { allowed.saturating_sub(small) } else { allowed };
            let options = SampleOptions { seed, budget, checksums: !self.no_checksums, readers };
            let sampled = sampler.sample(&settings, &options, run.progress());
            let sampled = sampled.ok_or_else(|| Failure::failed("interrupted"))?;
            let error = estimate_error(&sampled.samples.values().collect::<Vec<_>>());
            let Some(wanted) = self.error.filter(|wanted| error > *wanted) else { break sampled };
            if allowed >= decided.sst_bytes.saturating_mul(2) {
                break sampled;
            }
            allowed = more(allowed, error / wanted);
        };
        meter.end();
        let sampling = Sampling {
            seed,
            budget_bytes: allowed,
            read_bytes: sampled.read_bytes,
            ranges: sampled.ranges,
            whole_states: sampled.whole_states,
        };
        let not_read = decided.all_bytes().saturating_sub(sampled.read_bytes);
        Ok(Shallowly {
            analysis: AnalysisPartial::default(),
            shallow: Shallow { samples: sampled.samples, ..Shallow::default() },
            method: self.method(decided, not_read, Some(sampling)),
            settings,
            findings: sampled.findings,
        })
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

    fn settings(&self, file: &MetadataFile, newest: Option<u64>, at_ms: Option<i64>) -> Settings {
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

    fn method(&self, decided: &Decided, not_read_bytes: u64, sampling: Option<Sampling>) -> Method {
        let engine = match self.engine {
            EngineArgument::Native => Engine::Native,
            EngineArgument::Rocksdb => Engine::Rocksdb,
        };
        Method {
            depth: decided.depth,
            depth_reason: decided.reason,
            sst_bytes: decided.sst_bytes,
            stream_bytes: decided.stream_bytes,
            not_read_bytes,
            more: decided.more(),
            sampling,
            engine,
            checksums: !self.no_checksums,
            top: usize::from(self.top),
        }
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
        ScanOptions {
            threads: self.threads(),
            memory: self.memory,
            requests: self.common.reading.in_flight().requests,
            checksums: !self.no_checksums,
        }
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

/// A budget that makes an error smaller by some factor: errors shrink with the root of what is read.
fn more(budget: u64, factor: f64) -> u64 {
    const STEPS: f64 = 16.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 1 to 16")]
    let times = (factor * factor * 1.2).clamp(1.5, STEPS).ceil() as u64;
    budget.saturating_mul(times)
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
