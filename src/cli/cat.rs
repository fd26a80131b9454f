//! `statescope cat`.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::num::NonZeroUsize;

use clap::Args;

use super::sizes::{byte_size, duration};
use super::spill::SpillFile;
use super::{Exit, Failure, Reading, Selection, channels, current_dir, output_failure};
use crate::analyzers::analysis::{ReferenceTime, Settings, Witness};
use crate::analyzers::channels::JsonLimits;
use crate::analyzers::entries::{EntryFilter, EntryPlan, EntryQuestion, KeyLookup, KeyRange, narrow};
use crate::analyzers::overview::{self, Filter, Overview, StateSummary};
use crate::model::{Details, Finding, KeyGroupRange, KeyedDetails, OperatorId, Severity, Snapshot, Subtask};
use crate::readers::details::{Depth, DepthFn};
use crate::readers::discover::MetadataFile;
use crate::readers::opener::RelocateRule;
use crate::readers::snapshot::{OpenSnapshot, ReadOptions, SnapshotReading, open_snapshot_to, read_snapshot};
use crate::scan::entries::{Ask, Printed};
use crate::scan::{Input, Progress, Scan, ScanOptions, ScanPartial};
use crate::storage::Storage;

/// Print the entries of a keyed state as JSON lines.
///
/// A line holds the key, the namespace (a window), a map's user key or a list's index, the value, its TTL timestamp, the key group
/// and the subtask, decoded by the serializers that the snapshot describes; docs/json.md says how each type is written. What cannot be
/// decoded is told as {"$opaque": hex}. Lines are in the order of subtasks and keys' bytes.
#[derive(Debug, Args)]
#[command(
    mut_arg("state", |state| state.required_unless_present("channels").conflicts_with("channels").value_name("NAME").help("The state, by its whole name")),
    mut_arg("operator", |operator| operator.help("The operator: a part of its name or uid, or the begin of its id; needed where several have such a state"))
)]
pub(super) struct Cat {
    /// The snapshot: a chk-N or savepoint directory, its _metadata, or a job's directory (its newest checkpoint)
    #[arg(value_name = "SNAPSHOT")]
    path: String,
    #[command(flatten)]
    selection: Selection,
    /// Print the elements of the in-flight data of an unaligned checkpoint instead: records, watermarks, and what else was in buffers
    #[arg(long, conflicts_with_all = ["key", "key_hex", "key_group", "filter", "expired_at"])]
    channels: bool,
    /// The type of records in flight, which is not in a snapshot: a basic one, such as String or Long
    #[arg(long, value_name = "TYPE", requires = "channels", conflicts_with = "record_like")]
    record_type: Option<String>,
    /// The keyed state whose values, or whose lists' elements, are of the type of records in flight
    #[arg(long, value_name = "STATE", requires = "channels")]
    record_like: Option<String>,
    /// Only entries of this key, as JSON as it is printed; quotes around a text may be left out. Where the key says which key
    /// group it is in, only that is read
    #[arg(long, value_name = "JSON", conflicts_with = "key_hex", allow_hyphen_values = true)]
    key: Option<String>,
    /// Only entries of this key, by the bytes of its serializer
    #[arg(long, value_name = "HEX", value_parser = hex)]
    key_hex: Option<Bytes>,
    /// Only entries of this key group
    #[arg(long, value_name = "N", conflicts_with_all = ["key", "key_hex"])]
    key_group: Option<u32>,
    /// Only entries for which this holds: 'value.amount > 100 and key.f0 = "a"'; parts are key, namespace, user_key, value, index,
    /// timestamp_ms, ttl_timestamp_ms, key_group and subtask
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
    /// At most so many entries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only entries that are expired at this time, in milliseconds since 1970 or as RFC 3339, by --ttl
    #[arg(long, value_name = "TIME", requires = "ttl")]
    expired_at: Option<String>,
    /// The state's TTL: 90s, 15m, 6h, 7d
    #[arg(long, value_name = "7d", value_parser = duration, requires = "expired_at")]
    ttl: Option<u64>,
    /// How many bytes of what cannot be decoded are printed
    #[arg(long, default_value_t = 1024, value_name = "N")]
    opaque: usize,
    /// How many threads decode [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// About how much memory to use, such as 256M or 1G; what does not fit goes to temporary files
    #[arg(long, default_value = "64M", value_name = "BYTES", value_parser = byte_size)]
    memory: u64,
    /// Do not verify the checksums of blocks
    #[arg(long)]
    no_checksums: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Bytes that were typed as hex.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

fn hex(text: &str) -> Result<Bytes, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.map(Bytes).ok_or_else(|| "two hex digits for each byte are expected".to_owned())
}

impl Cat {
    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn run(&self, out: &mut (dyn Write + Send)) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let location = self.reading.location(&self.path, &here)?;
        // What is typed wrongly is said before anything is read.
        let mut question = self.question()?;
        let (rules, uids) = (self.reading.rules(&here)?, self.selection.uids()?);
        let storage = self.reading.stores()?;
        let (file, _) = super::snapshot(&storage, &self.path, &location, self.reading.in_flight())?;
        if self.channels {
            return self.in_flight(out, &storage, &file, rules, uids);
        }
        let options =
            ReadOptions { relocate: rules, in_flight: self.reading.in_flight(), ..ReadOptions::default() };
        let opened = |depth: DepthFn<'_>| {
            open_snapshot_to(&storage, &file, &options, depth)
                .map_err(|error| super::no_snapshot(&file, &error))
        };
        let state = self.selection.state.as_deref().unwrap_or_default();
        let overview = |open: &OpenSnapshot<'_>| {
            let filter = Filter { state: None, ..self.selection.filter() };
            let context = super::context(&file, open.places(), filter, uids.clone(), false);
            overview::overview(open.snapshot.clone(), open.details.clone(), Vec::new(), context)
        };
        let is_part = self.key.is_some() || self.key_hex.is_some() || self.key_group.is_some();
        // Of a part, no more is read than what tells where it is.
        let mut open = opened(if is_part { &nothing } else { &whole })?;
        if is_part {
            let operators: HashSet<String> = overview(&open).operators.into_iter().map(|it| it.id).collect();
            let ids: Vec<String> = open.snapshot.operators.iter().map(|it| it.id.to_string()).collect();
            open.read_to(&|index, subtask| {
                let is_asked = ids.get(index).is_some_and(|id| operators.contains(id));
                if is_asked { first_meta(subtask) } else { Depth::Nothing }
            });
        }
        let operator = match chosen(&overview(&open), &open.snapshot, state) {
            // States that a subtask never used are not in its meta data.
            Err(_) if is_part => {
                open.read_to(&whole);
                chosen(&overview(&open), &open.snapshot, state)?
            }
            chosen => chosen?,
        };
        let lookup = self.lookup(operator, state, &open.snapshot, &open.details)?;
        let mut part = None;
        if let Some(lookup) = &lookup {
            question.keys.clone_from(&lookup.keys);
            let (ranges, key_groups) = (lookup.ranges.clone(), lookup.key_groups.clone());
            part = Some(Part { ranges, key_groups, is_exact: lookup.is_exact });
        } else if let Some(group) = self.key_group {
            let range = key_group_range(&open.snapshot, operator, group)?;
            part = Some(Part { ranges: vec![range], key_groups: Some(vec![group]), is_exact: false });
        }
        let target = Target { storage: &storage, operator, state, question: &question };
        let Some(part) = part else { return self.print(open, target, None, out).end() };
        open.read_to(&|index, subtask| part.depth(index == operator, subtask));
        let printed = self.print(open, target, Some(&part), out);
        let Some(lookup) = lookup else { return printed.end() };
        if printed.printed.counts.entries == 0 && printed.failure.is_none() && !lookup.otherwise.is_empty() {
            let part = Part { ranges: lookup.otherwise, key_groups: None, is_exact: lookup.is_exact };
            let open = opened(&|index, subtask| part.depth(index == operator, subtask))?;
            return self.print(open, target, Some(&part), out).end();
        }
        if lookup.key_groups.is_none() {
            eprintln!(
                "statescope: bytes of keys of this type do not say which key group they are in; all were tried"
            );
        }
        printed.end()
    }

    /// Prints in-flight data.
    fn in_flight(
        &self,
        out: &mut (dyn Write + Send),
        storage: &dyn Storage,
        file: &MetadataFile,
        relocate: Vec<RelocateRule>,
        uids: HashMap<OperatorId, String>,
    ) -> Result<Exit, Failure> {
        let options = ReadOptions {
            relocate,
            in_flight: self.reading.in_flight(),
            channels: true,
            ..ReadOptions::default()
        };
        let reading =
            read_snapshot(storage, file, &options).map_err(|error| super::no_snapshot(file, &error))?;
        let limits = JsonLimits { opaque: self.opaque, ..JsonLimits::default() };
        let ask = channels::Ask {
            operator: self.selection.operator.as_deref(),
            record_type: self.record_type.as_deref(),
            record_like: self.record_like.as_deref(),
            most: self.limit.unwrap_or(u64::MAX),
            limits,
        };
        channels::print(out, storage, reading, uids, self.options(), &ask)
    }

    fn question(&self) -> Result<EntryQuestion, Failure> {
        let filter = self.filter.as_deref().map(EntryFilter::parse).transpose();
        let filter = filter.map_err(|wrong| Failure::usage(format!("--where: {wrong}")))?;
        let at_ms = self.expired_at.as_deref().map(super::time).transpose()?;
        let ttl_ms = self.ttl.map(|ttl| i64::try_from(ttl).unwrap_or(i64::MAX));
        let mut question = EntryQuestion {
            filter,
            expired_until: at_ms.zip(ttl_ms).map(|(at, ttl)| at.saturating_sub(ttl)),
            ..EntryQuestion::default()
        };
        question.limits.opaque = self.opaque;
        Ok(question)
    }

    fn options(&self) -> ScanOptions {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        ScanOptions {
            threads: self.threads.map_or_else(cores, usize::from),
            memory: self.memory,
            requests: self.reading.in_flight().requests,
            checksums: !self.no_checksums,
        }
    }

    /// The key that is asked for, and where it is.
    fn lookup(
        &self,
        operator: usize,
        state: &str,
        snapshot: &Snapshot,
        details: &Details,
    ) -> Result<Option<KeyLookup>, Failure> {
        let wrong = |option: &'static str| move |why| Failure::usage(format!("{option}: {why}"));
        if let Some(text) = &self.key {
            let lookup = KeyLookup::of_text(text, operator, state, snapshot, details);
            return lookup.map(Some).map_err(wrong("--key"));
        }
        let Some(Bytes(key)) = &self.key_hex else { return Ok(None) };
        let lookup = KeyLookup::of_bytes(vec![key.clone()], operator, state, snapshot, details);
        lookup.map(Some).map_err(wrong("--key-hex"))
    }

    /// Prints a state, or a part of it.
    fn print(
        &self,
        mut open: OpenSnapshot<'_>,
        target: Target<'_>,
        part: Option<&Part>,
        out: &mut (dyn Write + Send),
    ) -> End {
        let Target { storage, operator, state, question } = target;
        if let Some(part) = part {
            narrow(&mut open.details, operator, &part.ranges);
        }
        let select = |index: usize, name: &str| index == operator && name == state;
        open.read_ends_of(self.options().kept(), &select);
        let mut findings = std::mem::take(&mut open.findings);
        let SnapshotReading { snapshot, details, tables, .. } = open.into_reading();
        findings.extend(details.findings.iter().cloned());
        let settings = Settings::new(ReferenceTime { at_ms: 0, witness: Witness::Clock });
        let input = Input { snapshot: &snapshot, details: &details, tables: &tables, settings: &settings };
        let mut scan = Scan::plan(input, &select);
        findings.extend(scan.finish(&ScanPartial::default()).findings);
        if let Some(part) = part {
            scan.clip(&part.ranges);
            if part.is_exact {
                scan.skip_absent(storage, self.options());
            }
        }
        let plan = |keyed: &KeyedDetails| {
            snapshot.operators.get(operator).map(|it| EntryPlan::compile(it, keyed, state, &snapshot))
        };
        let of_operator = details.keyed.iter().enumerate().filter(|(_, keyed)| keyed.operator == operator);
        let plans: HashMap<usize, EntryPlan> =
            of_operator.filter_map(|(handle, keyed)| Some((handle, plan(keyed)?))).collect();
        let directory = std::env::temp_dir();
        let spill = || Box::new(SpillFile::new(&directory)) as Box<_>;
        let mut failure = None;
        let mut lines = |lines: &[u8]| match out.write_all(lines) {
            Ok(()) => true,
            Err(error) => {
                failure = Some(error);
                false
            }
        };
        let ask = Ask { plans: &plans, question, most: self.limit.unwrap_or(u64::MAX) };
        let progress = Progress::default();
        let printed = scan.entries(storage, self.options(), &progress, &spill, ask, &mut lines);
        End { printed, findings, failure }
    }
}

/// What is printed.
#[derive(Clone, Copy)]
struct Target<'a> {
    storage: &'a dyn Storage,
    operator: usize,
    state: &'a str,
    question: &'a EntryQuestion,
}

/// A part of a state.
struct Part {
    ranges: Vec<KeyRange>,
    /// The key groups that it is in, if that is known.
    key_groups: Option<Vec<u32>>,
    /// Whether each range is that of one composite key.
    is_exact: bool,
}

impl Part {
    /// How much is read of a subtask of the operator, or of another.
    fn depth(&self, is_of_operator: bool, subtask: &Subtask) -> Depth {
        let mut handles = subtask.managed_keyed.iter().chain(&subtask.raw_keyed);
        let may_hold = |groups: &Vec<u32>| {
            handles.any(|handle| groups.iter().any(|group| handle.key_groups.contains(*group)))
        };
        let is_read = is_of_operator && self.key_groups.as_ref().is_none_or(may_hold);
        if is_read { Depth::Keyed } else { Depth::Nothing }
    }
}

fn nothing(_: usize, _: &Subtask) -> Depth {
    Depth::Nothing
}

fn whole(_: usize, _: &Subtask) -> Depth {
    Depth::Whole
}

/// Meta data of the first subtask, which is that of all others, mostly.
fn first_meta(subtask: &Subtask) -> Depth {
    if subtask.index == 0 { Depth::KeyedMeta } else { Depth::Nothing }
}

/// What came of it.
struct End {
    printed: Printed,
    findings: Vec<Finding>,
    failure: Option<io::Error>,
}

impl End {
    fn end(self) -> Result<Exit, Failure> {
        match self.failure {
            Some(error) => Err(output_failure(error)),
            None => Ok(tell(&self.printed, &self.findings)),
        }
    }
}

/// The composite keys of a key group.
fn key_group_range(snapshot: &Snapshot, operator: usize, key_group: u32) -> Result<KeyRange, Failure> {
    let operator = snapshot.operators.get(operator);
    let operator = operator.ok_or_else(|| Failure::failed("there is no such operator"))?;
    let most = u32::try_from(operator.max_parallelism).unwrap_or(0);
    if key_group >= most {
        return Err(Failure::usage(format!("--key-group: the operator has {most} key groups, from 0")));
    }
    let bounds = operator.key_bounds(KeyGroupRange { start: key_group, count: 1 });
    Ok((bounds.lower, bounds.upper))
}

/// Kinds of states that are printed.
const KEYED: [&str; 9] =
    ["value", "list", "map", "reducing", "aggregating", "folding", "timers", "keyed", "not_described"];

/// The one operator that has a keyed state of this name.
fn chosen(overview: &Overview, snapshot: &Snapshot, name: &str) -> Result<usize, Failure> {
    let mut states: Vec<_> = overview.states.iter().filter(|state| state.name == name).collect();
    states.dedup_by(|a, b| a.operator_id == b.operator_id);
    match states.as_slice() {
        [] => {
            let mut names: Vec<&str> = overview.states.iter().map(|state| state.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let which = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
            Err(Failure::usage(format!("--state {name:?}: there is no such state; the states are: {which}")))
        }
        [state] if !KEYED.contains(&state.kind) => Err(Failure::usage(format!(
            "--state {name:?}: it is not keyed, but of the kind {}; cat prints keyed state and timers",
            state.kind
        ))),
        [state] => {
            let at = snapshot.operators.iter().position(|o| o.id.to_string() == state.operator_id);
            at.ok_or_else(|| Failure::failed("the operator of the state is not in the snapshot"))
        }
        several => {
            let named = |state: &&StateSummary| format!("{} ({})", state.operator, state.operator_id);
            let operators: Vec<String> = several.iter().map(named).collect();
            Err(Failure::usage(format!(
                "--state {name:?}: several operators have such a state, name one with --operator: {}",
                operators.join(", ")
            )))
        }
    }
}

/// Says on stderr what is missing, and what that means for the exit code.
fn tell(printed: &Printed, findings: &[Finding]) -> Exit {
    let lost = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut exit = Exit::Fine;
    for finding in lost {
        let file = finding.file.as_ref().map_or_else(String::new, |file| format!("{file}: "));
        eprintln!("statescope: {file}{}; {}", finding.message, finding.remedy);
        exit = Exit::Partial;
    }
    for damage in &printed.damage {
        eprintln!("statescope: {damage}");
        exit = Exit::Partial;
    }
    if printed.counts.opaque > 0 {
        eprintln!(
            "statescope: of {} entries, {} have parts that could not be decoded ($opaque)",
            printed.counts.entries, printed.counts.opaque
        );
    }
    exit
}
