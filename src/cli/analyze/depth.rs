//! How much of a snapshot is read.

use clap::ValueEnum;

use super::Analyze;
use crate::analyzers::analysis::{Depth, DepthCost, DepthReason};
use crate::cli::Failure;
use crate::model::Details;
use crate::scan::{SelectFn, index_bytes, sst_bytes, stream_bytes};

/// Up to so many bytes of SST files and streams, everything is read without being asked.
const FULL_UP_TO: u64 = 20_000_000_000;

/// What a sample may read if nothing else is said: a share of all, but not less than this.
const SAMPLE_PERCENT: u64 = 2;
const SAMPLE_AT_LEAST: u64 = 16 << 20;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DepthArgument {
    /// No SST file: bytes by state, level, subtask and key group, as MANIFEST tells
    Manifest,
    /// The end of each SST file, about 1 %: entries, tombstones, compression
    Index,
    /// Random ranges of keys: what is live, dead and expired, as estimates with intervals
    Sample,
    /// Everything, once: exact
    Full,
}

impl From<DepthArgument> for Depth {
    fn from(argument: DepthArgument) -> Self {
        match argument {
            DepthArgument::Manifest => Self::Manifest,
            DepthArgument::Index => Self::Index,
            DepthArgument::Sample => Self::Sample,
            DepthArgument::Full => Self::Full,
        }
    }
}

/// How much a sample may read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Budget {
    /// A share of the bytes of the SST files.
    Share(f64),
    Bytes(u64),
}

impl Budget {
    pub(super) fn bytes(self, sst_bytes: u64) -> u64 {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of at most 1 of a number of bytes, rounded down"
            )]
            Self::Share(share) => (sst_bytes as f64 * share) as u64,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The depth that was decided on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decided {
    pub(super) depth: Depth,
    pub(super) reason: DepthReason,
    /// Bytes of the SST files of the states that are analyzed.
    pub(super) sst_bytes: u64,
    /// Bytes of their streams, which are read at the depth `full` only.
    pub(super) stream_bytes: u64,
    /// What other depths cost.
    index: u64,
    pub(super) sample: u64,
}

impl Decided {
    /// Bytes of all that can be read.
    pub(super) fn all_bytes(&self) -> u64 {
        self.sst_bytes.saturating_add(self.stream_bytes)
    }

    /// What the depths cost that read more.
    pub(super) fn more(&self) -> Vec<DepthCost> {
        let sample = self.sample.min(self.sst_bytes);
        let costs = [(Depth::Index, self.index), (Depth::Sample, sample), (Depth::Full, self.all_bytes())];
        // What lies in streams, only the last of them reads.
        let is_more = |depth: Depth| depth > self.depth && (depth == Depth::Full || self.sst_bytes > 0);
        let more = costs.into_iter().filter(|(depth, _)| is_more(*depth));
        more.map(|(depth, bytes)| DepthCost { depth, bytes }).collect()
    }
}

impl Analyze {
    /// What was asked for, before anything is read.
    pub(super) fn check_depth(&self) -> Result<(), Failure> {
        let sampling = [
            ("--budget", self.budget.is_some()),
            ("--error", self.error.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        let wrong =
            |option: &str, depth| Err(Failure::usage(format!("{option} goes with --depth {depth} only")));
        if self.depth != Some(DepthArgument::Sample)
            && let Some((option, _)) = sampling.iter().find(|(_, given)| *given)
        {
            return wrong(option, "sample");
        }
        let rows = [
            ("--save", self.save.is_some()),
            ("--what-if", self.what_if.is_some()),
            ("--parallelism", !self.parallelism.is_empty()),
            ("--engine rocksdb", self.engine == super::EngineArgument::Rocksdb),
        ];
        if self.depth.is_some_and(|depth| depth != DepthArgument::Full)
            && let Some((option, _)) = rows.iter().find(|(_, given)| *given)
        {
            return wrong(option, "full");
        }
        Ok(())
    }

    /// The depth that was asked for; else everything, unless that is too much.
    pub(super) fn decide(&self, details: &Details, select: SelectFn<'_>) -> Result<Decided, Failure> {
        let (sst_bytes, index) = (sst_bytes(details, select), index_bytes(details, select));
        let stream_bytes = stream_bytes(details, select);
        let default = (sst_bytes / 100).saturating_mul(SAMPLE_PERCENT).max(SAMPLE_AT_LEAST);
        let sample = self.budget.map_or(default, |budget| budget.bytes(sst_bytes));
        let decided = |depth, reason| Decided { depth, reason, sst_bytes, stream_bytes, index, sample };
        if let Some(depth) = self.depth {
            return Ok(decided(depth.into(), DepthReason::Asked));
        }
        let needs_rows = self.save.is_some() || self.what_if.is_some() || !self.parallelism.is_empty();
        let needs_rows = needs_rows || self.engine == super::EngineArgument::Rocksdb;
        let all_bytes = sst_bytes.saturating_add(stream_bytes);
        match all_bytes <= FULL_UP_TO {
            true => Ok(decided(Depth::Full, DepthReason::SmallEnough)),
            false if needs_rows => Err(Failure::usage(format!(
                "what is asked for needs all rows, and there are {} GB to read: say --depth full, or leave out \
                 --save, --what-if, --parallelism and --engine",
                all_bytes / 1_000_000_000
            ))),
            false => Ok(decided(Depth::Index, DepthReason::TooLarge)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::model::{DatabaseDetails, FileId, KeyGroupRange, KeyedDetails, KeyedLayout, Table};

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        analyze: Analyze,
    }

    fn parsed(args: &[&str]) -> Analyze {
        Program::try_parse_from([&["analyze", "chk-1"][..], args].concat()).unwrap().analyze
    }

    /// Two handles that name the same table.
    fn details(size: u64) -> Details {
        let table = Table {
            column_family: 0,
            number: 1,
            level: 1,
            size,
            key_groups: None,
            file: Some(FileId(1)),
            bounds: None,
            tail: None,
        };
        let keyed = |subtask: u32| KeyedDetails {
            operator: 0,
            subtask,
            key_groups: KeyGroupRange { start: subtask, count: 1 },
            layout: KeyedLayout::Database,
            meta: None,
            raw_timers: None,
            stream: None,
            changes: None,
            only_in_changes: Vec::new(),
            database: Some(DatabaseDetails {
                tables: vec![table.clone()],
                column_families: vec!["state".to_owned()],
                options: None,
            }),
        };
        Details { keyed: vec![keyed(0), keyed(1)], ..Details::default() }
    }

    #[test]
    fn all_is_read_up_to_20_gb_and_the_index_above() {
        let decide = |args: &[&str], size: u64| parsed(args).decide(&details(size), &|_, _| true);
        let depth = |args: &[&str], size| decide(args, size).map(|d| (d.depth, d.reason)).unwrap();
        assert_eq!(depth(&[], 20_000_000_000), (Depth::Full, DepthReason::SmallEnough));
        assert_eq!(depth(&[], 20_000_000_001), (Depth::Index, DepthReason::TooLarge));
        assert_eq!(depth(&["--depth", "full"], 1 << 50), (Depth::Full, DepthReason::Asked));
        assert_eq!(depth(&["--depth", "manifest"], 1), (Depth::Manifest, DepthReason::Asked));
        // What needs all rows is not silently left out.
        for args in [&["--save", "f"][..], &["--what-if", "compression"], &["--parallelism", "8"]] {
            let failure = decide(args, 1 << 40).unwrap_err();
            assert!(failure.message.contains("--depth full"), "{}", failure.message);
            assert_eq!(depth(args, 1 << 30).0, Depth::Full);
        }
    }

    #[test]
    fn more_costs_what_the_other_depths_read() {
        let decided = parsed(&[]).decide(&details(100_000_000_000), &|_, _| true).unwrap();
        assert_eq!(decided.sst_bytes, 100_000_000_000);
        let more: Vec<_> = decided.more().iter().map(|cost| (cost.depth, cost.bytes)).collect();
        assert_eq!(more, [(Depth::Sample, 2_000_000_000), (Depth::Full, 100_000_000_000)]);
        let small = parsed(&["--depth", "manifest"]).decide(&details(1 << 20), &|_, _| true).unwrap();
        let more: Vec<_> = small.more().iter().map(|cost| cost.depth).collect();
        assert_eq!(more, [Depth::Index, Depth::Sample, Depth::Full]);
        assert_eq!(small.more()[1].bytes, 1 << 20);
    }
}
