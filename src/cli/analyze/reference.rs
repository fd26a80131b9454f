//! `analyze --engine rocksdb`: the rows of RocksDB's own iterators.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::progress::Run;
use super::{Analyze, Failure};
use crate::analyzers::analysis::{AnalysisPartial, Spill};
use crate::cli::spill::SpillFile;
use crate::model::{Details, KeyedLayout, KeyedState, Snapshot};
use crate::readers::discover::MetadataFile;
use crate::readers::materialize::{Chosen, Materialization, Piece};
use crate::readers::opener::{Opener, RelocateRule};
use crate::reference::{Database, ReferenceError, Rows};
use crate::scan::{LiveRows, Scan};
use crate::storage::Storage;

impl LiveRows for Rows<'_> {
    type Error = ReferenceError;

    fn current(&self) -> Result<Option<(&[u8], &[u8])>, ReferenceError> {
        Rows::current(self)
    }

    fn advance(&mut self) {
        Rows::advance(self);
    }
}

/// What RocksDB is to read.
pub(super) struct Subject<'s> {
    pub(super) storage: &'s dyn Storage,
    pub(super) file: &'s MetadataFile,
    pub(super) rules: Vec<RelocateRule>,
    pub(super) snapshot: &'s Snapshot,
    pub(super) details: &'s Details,
}

impl Subject<'_> {
    /// The databases, by their index among the keyed handles: these are in the order of the snapshot.
    fn databases(&self) -> Vec<(usize, Chosen<'_>)> {
        let found = self.snapshot.operators.iter().flat_map(|operator| {
            operator.subtasks.iter().flat_map(move |subtask| {
                let databases = subtask.managed_keyed.iter().flat_map(KeyedState::databases);
                let subtask = subtask.index;
                databases.map(move |(state, database)| Chosen { operator, subtask, state, database })
            })
        });
        let keyed = self.details.keyed.iter().enumerate();
        let numbers = keyed.filter(|(_, keyed)| keyed.layout == KeyedLayout::Database).map(|(at, _)| at);
        numbers.zip(found).collect()
    }

    /// Copies a database to where RocksDB can open it.
    fn materialize(&self, analyze: &Analyze, chosen: &Chosen<'_>) -> Result<TempDir, Failure> {
        let in_flight = analyze.common.reading.in_flight();
        let (directory, bytes) = (self.file.directory.clone(), self.file.bytes.clone());
        let mut opener = Opener::new(self.storage, directory, bytes, self.rules.clone(), in_flight);
        let plan = Materialization::plan(&mut opener, self.snapshot, chosen).map_err(|findings| {
            let first = findings.first().map_or_else(String::new, |finding| finding.message.clone());
            Failure::failed(format!(
                "--engine rocksdb needs every file: {first}; the native engine tells what is missing and goes on"
            ))
        })?;
        let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("a copy for RocksDB: {error}"));
        let target = TempDir::new().map_err(|error| failed(&error))?;
        let mut write = |piece: Piece<'_>| {
            let path = target.path().join(piece.name);
            let mut file = File::options().create(true).append(true).open(path)?;
            file.write_all(piece.bytes)
        };
        plan.copy(&mut opener, self.snapshot, &mut write).map_err(|error| failed(&error))?;
        Ok(target)
    }

    /// Analyzes all handles of a scan, one after the other.
    pub(super) fn analyze(
        &self,
        analyze: &Analyze,
        scan: &Scan<'_>,
        run: &Run,
    ) -> Result<AnalysisPartial, Failure> {
        let mut sum = AnalysisPartial::default();
        let temporary = std::env::temp_dir();
        let spill = || Box::new(SpillFile::new(&temporary)) as Box<dyn Spill>;
        let wanted: Vec<usize> = scan.handles().collect();
        for (at, chosen) in self.databases() {
            if !wanted.contains(&at) {
                continue;
            }
            let directory = self.materialize(analyze, &chosen)?;
            let bounds = chosen.operator.key_bounds(chosen.state.key_groups);
            let database = open(directory.path())?;
            let mut rows = |name: &str| database.rows(name, &bounds);
            let found = scan.analyze_rows(at, &mut rows, run.progress(), &spill).map_err(|e| refusal(&e))?;
            sum.merge(found.ok_or_else(|| Failure::failed("interrupted"))?);
        }
        Ok(sum)
    }
}

fn open(directory: &Path) -> Result<Database, Failure> {
    Database::open(directory).map_err(|error| refusal(&error))
}

fn refusal(error: &ReferenceError) -> Failure {
    Failure::failed(format!("RocksDB does not read it: {error}: the native engine may"))
}
