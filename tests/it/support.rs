//! What the tests share: the fixtures, the way from a place to a report, and the damage that can be done.

pub mod naive;
pub mod object_server;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use statescope::analyzers::overview::{self, Context, Filter, Overview};
use statescope::model::{DatabaseDetails, KeyBounds, KeyedState, OperatorId, Severity, Snapshot, layout};
use statescope::readers::discover::{self, Target};
use statescope::readers::materialize::{Chosen, Materialization, Piece};
use statescope::readers::opener::{Opener, RelocateRule};
use statescope::readers::snapshot::{ReadOptions, SnapshotReading, decode_metadata, read_snapshot};
use statescope::report::{self, Layout};
use statescope::storage::{InFlight, LocalStorage, Location, MemoryStorage, Storage};

/// A directory of `testdata/fixtures`.
#[derive(Debug)]
pub struct Fixture {
    pub name: String,
    pub dir: PathBuf,
}

/// `testdata/fixtures`, and those in the directory that `STATESCOPE_MORE_FIXTURES` names.
static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    let more = std::env::var_os("STATESCOPE_MORE_FIXTURES").map(PathBuf::from);
    let dirs = [testdata().join("fixtures")].into_iter().chain(more);
    let mut found: Vec<Fixture> = dirs.flat_map(|dir| fixtures_in(&dir)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
});

/// `testdata/roots`: like fixtures, but with checkpoints that cannot be restored.
static ROOTS: LazyLock<Vec<Fixture>> = LazyLock::new(|| fixtures_in(&testdata().join("roots")));

fn fixtures_in(dir: &Path) -> Vec<Fixture> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.unwrap()).filter(|e| e.file_type().unwrap().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        found.push(Fixture { name, dir: entry.path() });
    }
    found
}

pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// All fixtures, by name.
pub fn fixtures() -> &'static [Fixture] {
    &FIXTURES
}

/// All of `testdata/roots`, by name.
pub fn roots() -> &'static [Fixture] {
    &ROOTS
}

pub fn fixture(name: &str) -> &'static Fixture {
    fixtures().iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no fixture {name:?}"))
}

fn json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Fixture {
    /// What the job knows.
    pub fn truth(&self) -> Value {
        json(&self.dir.join("truth.json"))
    }

    /// What Flink's own reader says.
    pub fn flink(&self) -> Value {
        json(&self.dir.join("flink.json"))
    }

    /// What `ldb` and `sst_dump` say, where there is a database.
    pub fn rocksdb(&self) -> Option<Value> {
        let path = self.dir.join("rocksdb.json");
        path.exists().then(|| json(&path))
    }

    /// Every directory that holds a `_metadata`, relative to the fixture, sorted.
    pub fn snapshots(&self) -> Vec<String> {
        let files = files_below(&self.dir);
        let mut found: Vec<_> =
            files.iter().filter_map(|f| f.strip_suffix("/_metadata")).map(str::to_owned).collect();
        found.sort();
        found
    }

    /// The snapshots of `truth.json`, each with its path.
    pub fn truths(&self) -> Vec<(String, Value)> {
        list(&self.truth()["snapshots"]).iter().map(|s| (text(&s["path"]).to_owned(), s.clone())).collect()
    }

    /// The path of the snapshot that was completed last; paths themselves are in no order of time.
    pub fn newest(&self) -> String {
        let truths = self.truths();
        truths.into_iter().max_by_key(|(_, truth)| number(&truth["completed_ms"])).unwrap().0
    }

    /// Where a path of the fixture (`data/…`) lies on this disk.
    pub fn at(&self, path: &str) -> Location {
        Location::from_local_path(&self.dir.join(path)).unwrap()
    }

    /// Where a path of the fixture (`data/…`) was when Flink recorded it.
    pub fn recorded(&self, path: &str) -> Location {
        let below = path.strip_prefix("data").unwrap();
        Location::parse(&format!("file:/data/flink/{}{below}", self.name)).unwrap()
    }

    /// All files below `data`, each with its path from the fixture.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> =
            files_below(&self.dir).into_iter().filter(|path| path.starts_with("data/")).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(self.dir.join(&path)).unwrap())).collect()
    }

    /// Where a file lies that the first handle of a snapshot with such a file names by a name that begins so; `meta`
    /// is the meta data of the backend.
    pub fn file_named(&self, path: &str, begin: &str) -> String {
        let flink = self.flink();
        let snapshot = list(&flink["snapshots"]).iter().find(|s| s["snapshot"] == *path).unwrap();
        for subtask in list(&snapshot["operators"]).iter().flat_map(|o| list(&o["subtasks"])) {
            for handle in list(&subtask["managed_keyed"]) {
                let files = list(&handle["shared"]).iter().chain(list(&handle["private"]));
                let named = files.map(|f| (text(&f["local_path"]), f)).chain([("meta", &handle["meta"])]);
                if let Some((_, file)) = named.into_iter().find(|(name, _)| name.starts_with(begin)) {
                    return match text(&file["where"]) {
                        "relative" => format!("{path}/{}", text(&file["path"])),
                        _ => neutral(text(&file["path"])),
                    };
                }
            }
        }
        panic!("no such file in {path}");
    }

    /// A store that holds the files where `place` says.
    pub fn in_memory(&self, place: impl Fn(&str) -> Location) -> MemoryStorage {
        let storage = MemoryStorage::new();
        for (path, bytes) in self.files() {
            storage.put(&place(&path), bytes);
        }
        storage
    }

    /// A copy of `data` in a directory that goes away; files of `_metadata` get the times of the truth.
    pub fn copy(&self) -> Copy {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for (path, bytes) in self.files() {
            let to = root.join(&path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(&to, bytes).unwrap();
        }
        for (path, truth) in self.truths() {
            let completed = truth["completed_ms"].as_u64().unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(completed);
            let metadata = root.join(path).join("_metadata");
            fs::File::options().append(true).open(metadata).unwrap().set_modified(time).unwrap();
        }
        Copy { root, _dir: dir }
    }
}

/// A copy of a fixture.
#[derive(Debug)]
pub struct Copy {
    /// The directory that holds `data`.
    pub root: PathBuf,
    _dir: tempfile::TempDir,
}

impl Copy {
    /// Runs the command in the copy; its own place reads `[DIR]` in what is printed.
    pub fn run(&self, args: &[&str]) -> Run {
        run_in(&self.root, args)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// What the command did.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// The codes of the findings.
    pub fn codes(&self) -> Vec<String> {
        list(&self.json()["findings"]).iter().map(|f| text(&f["code"]).to_owned()).collect()
    }

    /// The only finding with this code.
    pub fn finding(&self, code: &str) -> Value {
        let json = self.json();
        let found: Vec<_> = list(&json["findings"]).iter().filter(|f| f["code"] == code).collect();
        assert_eq!(found.len(), 1, "{code}: {:#?}", json["findings"]);
        found[0].clone()
    }
}

/// The command, to be run somewhere.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_statescope"))
}

pub fn run_in(dir: &Path, args: &[&str]) -> Run {
    let Output { status, stdout, stderr } = command().args(args).current_dir(dir).output().unwrap();
    let here = dir.to_str().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(here, "[DIR]");
    Run { code: status.code().expect("no signal"), stdout: text(stdout), stderr: text(stderr) }
}

/// Paths of all files below a directory, from there on, with slashes.
pub fn files_below(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// How `inspect` is asked.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub properties: bool,
    pub relocate: Vec<(String, String)>,
    pub uids: Vec<String>,
    pub in_flight: Option<usize>,
}

impl Ask {
    pub fn properties() -> Self {
        Self { properties: true, ..Self::default() }
    }

    pub fn options(&self) -> ReadOptions {
        let parse = |text: &String| Location::parse(text).unwrap();
        ReadOptions {
            relocate: self
                .relocate
                .iter()
                .map(|(from, to)| RelocateRule { from: parse(from), to: parse(to) })
                .collect(),
            in_flight: self
                .in_flight
                .map_or_else(InFlight::default, |requests| InFlight { requests, ..InFlight::default() }),
            properties: self.properties,
            channels: false,
        }
    }
}

/// A table of a column family, as the details of a snapshot name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTable {
    pub operator: String,
    pub subtask: u32,
    pub column_family: String,
    pub number: u64,
    /// The place as the fixtures spell it; empty if the handle does not list the table.
    pub place: String,
}

/// A snapshot that was read.
#[derive(Debug)]
pub struct Seen {
    pub snapshot: Snapshot,
    pub overview: Overview,
    pub tables: Vec<NamedTable>,
}

/// What `inspect SNAPSHOT` does, or the one message that it ends with.
pub fn try_see(storage: &dyn Storage, at: &Location, ask: &Ask) -> Result<Seen, String> {
    let file = match discover::discover(storage, at, InFlight::default()) {
        Ok(Target::Snapshot(file)) => file,
        Ok(other) => return Err(format!("no snapshot: {other:?}")),
        Err(error) => return Err(error.to_string()),
    };
    let SnapshotReading { snapshot, details, findings, places, .. } =
        read_snapshot(storage, &file, &ask.options()).map_err(|error| error.to_string())?;
    let directory = file.directory;
    let mut tables = Vec::new();
    for keyed in &details.keyed {
        let Some(DatabaseDetails { tables: all, column_families, .. }) = &keyed.database else { continue };
        for table in all {
            tables.push(NamedTable {
                operator: snapshot.operators[keyed.operator].id.to_string(),
                subtask: keyed.subtask,
                column_family: column_families[table.column_family].clone(),
                number: table.number,
                place: table.file.map_or_else(String::new, |id| place_of(&snapshot, id)),
            });
        }
    }
    let job = directory.parent().and_then(|job| job.file_name().map(str::to_owned));
    let context = Context {
        handles: true,
        location: directory.to_string(),
        directory_name: directory.file_name().map(str::to_owned),
        job_id: job.filter(|name| layout::is_job_id(name)),
        modified_ms: file.modified_ms,
        places,
        filter: Filter::default(),
        channels: None,
        uids: ask.uids.iter().map(|uid| (OperatorId::from_uid(uid), uid.clone())).collect::<HashMap<_, _>>(),
    };
    let overview = overview::overview(snapshot.clone(), details, findings, context);
    Ok(Seen { snapshot, overview, tables })
}

pub fn see(storage: &dyn Storage, at: &Location, ask: &Ask) -> Seen {
    try_see(storage, at, ask).unwrap_or_else(|message| panic!("{at}: {message}"))
}

/// A snapshot of a fixture, read from this disk.
pub fn see_fixture(fixture: &Fixture, path: &str, ask: &Ask) -> Seen {
    see(&LocalStorage::new(), &fixture.at(path), ask)
}

/// The recorded place of a file, with neither the scheme nor the machine's part: `data/…`, `inline:NAME`,
/// `data/…@START+SIZE`, or what is relative to the snapshot: `./…`.
pub fn place_of(snapshot: &Snapshot, id: statescope::model::FileId) -> String {
    use statescope::model::Place;
    let file = snapshot.file(id).unwrap();
    match &file.place {
        Place::Inline { name, .. } => format!("inline:{name}"),
        Place::Relative(path) => format!("./{path}"),
        Place::Uri(uri) => neutral(uri),
        Place::Segment { uri, start } => format!("{}@{start}+{}", neutral(uri), file.size),
        Place::Empty => "empty".to_owned(),
    }
}

/// `file:/data/flink/FIXTURE/…` as `data/…`.
pub fn neutral(uri: &str) -> String {
    let below = uri.strip_prefix("file:/data/flink/").and_then(|below| below.split_once('/'));
    below.map_or_else(|| uri.to_owned(), |(_, below)| format!("data/{below}"))
}

/// A database of a snapshot, in a directory that goes away.
#[derive(Debug)]
pub struct Materialized {
    /// What it is, for messages.
    pub label: String,
    /// The operator's id.
    pub operator: String,
    pub subtask: u32,
    /// The handle's key groups.
    pub bounds: KeyBounds,
    pub plan: Materialization,
    dir: tempfile::TempDir,
}

impl Materialized {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Every database of a snapshot of a fixture, those inside changelogs included.
pub fn materialized(fixture: &Fixture, path: &str) -> Vec<Materialized> {
    let storage = LocalStorage::new();
    let file = discover::read_metadata(&storage, &fixture.at(path)).unwrap();
    let (snapshot, _) = decode_metadata(&file).unwrap();
    let (directory, in_flight) = (file.directory.clone(), InFlight::default());
    let mut opener = Opener::new(&storage, directory, file.bytes.clone(), Vec::new(), in_flight);
    let mut made = Vec::new();
    for operator in &snapshot.operators {
        for subtask in &operator.subtasks {
            for (state, database) in subtask.managed_keyed.iter().flat_map(KeyedState::databases) {
                let chosen = Chosen { operator, subtask: subtask.index, state, database };
                let plan = Materialization::plan(&mut opener, &snapshot, &chosen).unwrap();
                let dir = tempfile::tempdir().unwrap();
                let mut written = |piece: Piece<'_>| {
                    let mut options = fs::File::options();
                    let mut file = options.create(true).append(true).open(dir.path().join(piece.name))?;
                    std::io::Write::write_all(&mut file, piece.bytes)
                };
                plan.copy(&mut opener, &snapshot, &mut written).unwrap();
                made.push(Materialized {
                    label: format!("{}/{path}: {}/{}", fixture.name, operator.id, subtask.index),
                    operator: operator.id.to_string(),
                    subtask: subtask.index,
                    bounds: operator.key_bounds(state.key_groups),
                    plan,
                    dir,
                });
            }
        }
    }
    made
}

/// A report as JSON and as tables: neither may fail.
pub fn render(overview: &Overview) -> (String, String) {
    let (mut json, mut table) = (Vec::new(), Vec::new());
    report::json::write(&mut json, "inspect", "snapshot", overview).unwrap();
    report::overview::write(&mut table, overview, Layout { width: None, rows: usize::MAX }, 0).unwrap();
    (String::from_utf8(json).unwrap(), String::from_utf8(table).unwrap())
}

pub fn has_error(overview: &Overview) -> bool {
    overview.findings.iter().any(|f| f.severity == Severity::Error)
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// All that differs, told at once.
#[derive(Debug, Default)]
pub struct Differences {
    found: Vec<String>,
    checked: u64,
}

impl Differences {
    pub fn same<T: PartialEq + std::fmt::Debug>(&mut self, ours: T, theirs: T, what: impl Fn() -> String) {
        self.checked += 1;
        if ours != theirs {
            self.found.push(format!("{}: we say {ours:?}, they say {theirs:?}", what()));
        }
    }

    pub fn holds(&mut self, holds: bool, what: impl Fn() -> String) {
        self.checked += 1;
        if !holds {
            self.found.push(what());
        }
    }

    /// Fails if anything differs, or if next to nothing was compared.
    pub fn none(self, at_least: u64) {
        let shown: Vec<_> = self.found.iter().take(20).map(String::as_str).collect();
        assert!(self.found.is_empty(), "{} differences:\n{}", self.found.len(), shown.join("\n"));
        assert!(self.checked >= at_least, "only {} comparisons", self.checked);
    }
}

/// Numbers that are the same in every run.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}
