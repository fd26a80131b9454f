//! `statescope materialize`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Reading, current_dir, output_failure, shell};
use crate::model::Finding;
use crate::readers::discover::MetadataFile;
use crate::readers::materialize::{Chosen, CopyError, Materialization, NotChosen, Piece, Selection, choose};
use crate::readers::materialize::{key_groups, operator_name};
use crate::readers::opener::Opener;
use crate::readers::snapshot::decode_metadata;
use crate::report::units::{bytes, counted};
use crate::storage::Storage;

/// Make a directory of one subtask's database that RocksDB and ldb open.
///
/// Copies the SST files, CURRENT, MANIFEST and OPTIONS of a keyed state handle into a directory, under the names
/// that RocksDB knew them by, wherever they lie: in files, in segments of merged files, or inside _metadata.
/// Before anything is written, every file is found and its size compared with what _metadata and MANIFEST say.
/// --operator, --subtask and --handle may be left out where there is no choice.
#[derive(Debug, Args)]
pub(super) struct Materialize {
    /// The snapshot: a chk-N or savepoint directory, its _metadata, or a job's directory (its newest checkpoint)
    #[arg(value_name = "SNAPSHOT")]
    path: String,
    /// The directory to make; it must be empty, or not there yet
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: PathBuf,
    /// The operator: a part of its name or uid, the begin of its id, or the whole uid where none is recorded
    #[arg(long, value_name = "TEXT")]
    operator: Option<String>,
    /// The subtask, from 0
    #[arg(long, value_name = "N")]
    subtask: Option<u32>,
    /// Which database of the subtask, from 0: after a rescaling, a changelog may hold several
    #[arg(long, value_name = "N")]
    handle: Option<usize>,
    #[command(flatten)]
    reading: Reading,
}

impl Materialize {
    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let here = current_dir()?;
        let location = self.reading.location(&self.path, &here)?;
        let rules = self.reading.rules(&here)?;
        let storage = self.reading.stores()?;
        let (file, _) = super::snapshot(&storage, &self.path, &location, self.reading.in_flight())?;
        let (snapshot, _) = decode_metadata(&file).map_err(|error| super::no_snapshot(&file, &error))?;
        let selection =
            Selection { operator: self.operator.as_deref(), subtask: self.subtask, handle: self.handle };
        let chosen = choose(&snapshot, &selection).map_err(|error| match error {
            NotChosen::Nothing(why) => Failure::failed(why),
            NotChosen::Several(why) => Failure::usage(why),
        })?;
        let mut opener = self.opener(&storage, &file, rules);
        let plan = Materialization::plan(&mut opener, &snapshot, &chosen).map_err(|f| refusal(&f))?;
        self.prepare()?;
        plan.copy(&mut opener, &snapshot, &mut self.writer()).map_err(|error| self.broken_off(&error))?;
        self.told(out, &chosen, &plan).map_err(output_failure)?;
        Ok(Exit::Fine)
    }

    fn opener<'s>(
        &self,
        storage: &'s dyn Storage,
        file: &MetadataFile,
        rules: Vec<crate::readers::opener::RelocateRule>,
    ) -> Opener<'s> {
        Opener::new(storage, file.directory.clone(), file.bytes.clone(), rules, self.reading.in_flight())
    }

    /// Makes the directory, or accepts it if it is empty.
    fn prepare(&self) -> Result<(), Failure> {
        let output = self.output.display();
        let failed = |error: io::Error| Failure::failed(format!("{output} cannot be made: {error}"));
        match fs::read_dir(&self.output) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(Failure::failed(format!(
                    "{output} is not empty, and nothing is overwritten: name another directory"
                ))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.output).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes pieces one behind the other into the files that they name.
    fn writer(&self) -> impl FnMut(Piece<'_>) -> io::Result<()> {
        let mut open: Option<File> = None;
        move |piece| {
            if piece.offset == 0 {
                open = Some(File::create_new(self.output.join(piece.name))?);
            }
            match &mut open {
                Some(file) => file.write_all(piece.bytes),
                None => Err(io::Error::other("its begin was not written")),
            }
        }
    }

    fn broken_off(&self, error: &CopyError) -> Failure {
        Failure::failed(format!(
            "{error}; {} is not whole (it has no CURRENT): remove it and try again",
            self.output.display()
        ))
    }

    fn told(&self, out: &mut dyn Write, chosen: &Chosen<'_>, plan: &Materialization) -> io::Result<()> {
        let directory = shell(&self.output.display().to_string());
        writeln!(
            out,
            "{}: the database of {}, subtask {}, {}",
            self.output.display(),
            operator_name(chosen.operator),
            chosen.subtask,
            key_groups(chosen.state.key_groups)
        )?;
        let families = plan.column_families.len() as u64;
        writeln!(
            out,
            "  {} with {} in {}; {} with {}",
            counted(plan.tables as u64, "table", "tables"),
            bytes(plan.table_bytes),
            counted(families, "column family", "column families"),
            counted(plan.files.len() as u64, "file", "files"),
            bytes(plan.bytes())
        )?;
        for finding in &plan.findings {
            writeln!(out, "  {}: {}", finding.code, finding.message)?;
        }
        let family =
            plan.column_families.iter().find(|name| *name != "default").map_or("default", String::as_str);
        let bounds = chosen.operator.key_bounds(chosen.state.key_groups);
        let upper = bounds.upper.map_or_else(String::new, |upper| format!(" --to={}", hex(&upper)));
        writeln!(out, "\nLook into it with RocksDB's own program:")?;
        writeln!(out, "  ldb --db={directory} list_column_families")?;
        // The options of Flink 2 are unknown to the ldb of many a distribution.
        writeln!(
            out,
            "  ldb --db={directory} --ignore_unknown_options --column_family={} --hex scan --from={}{upper} --max_keys=10",
            shell(family),
            hex(&bounds.lower)
        )
    }
}

/// Bytes as `ldb --hex` takes them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02X}"))
}

/// One line of what hinders: the first finding, and how many more there are.
fn refusal(findings: &[Finding]) -> Failure {
    let errors: Vec<_> = findings.iter().filter(|f| f.severity == crate::model::Severity::Error).collect();
    let Some(first) = errors.first() else {
        return Failure::failed("the database is not whole");
    };
    let file = first.file.as_ref().map_or_else(String::new, |file| format!("{file}: "));
    let more = match errors.len() {
        1 => String::new(),
        n => format!(" (and {} more)", counted(n as u64 - 1, "problem", "problems")),
    };
    Failure::failed(format!("{file}{}{more}: nothing was written; {}", first.message, first.remedy))
}
