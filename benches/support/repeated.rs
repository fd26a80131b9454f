//! A snapshot that names the databases of another one many times over, each time as if they were other files: a large
//! one without its bytes on disk. `--relocate` leads all copies of a file to the one that is there.
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use statescope::model::{DatabaseFileKind, DatabaseHandle, FileId, KeyedState, Operator, Place, Snapshot};
use statescope::readers::discover;
use statescope::readers::snapshot::decode_metadata;
use statescope::storage::{LocalStorage, Location};
use statescope_formats::flink::metadata::Metadata;

use super::metadata_writer::Out;

/// What was written, and how it is read.
#[derive(Debug)]
pub struct Repeated {
    /// Pairs of `--relocate` and its rule, one for each time.
    pub arguments: Vec<String>,
    /// State handles that it has.
    pub handles: usize,
    /// Bytes of the SST files that they name.
    pub sst_bytes: u64,
}

impl Repeated {
    /// Writes `_metadata` into a directory: the databases of a checkpoint, so many times. Each operator has as many
    /// times its subtasks.
    pub fn write(checkpoint: &Path, times: usize, directory: &Path) -> Self {
        let checkpoint = fs::canonicalize(checkpoint).expect("a checkpoint");
        let place = Location::from_local_path(&checkpoint).expect("a path");
        let file = discover::read_metadata(&LocalStorage::new(), &place).expect("a checkpoint");
        let (snapshot, _) = decode_metadata(&file).expect("a checkpoint");
        let (_, properties) =
            Metadata::decode(&file.bytes).expect("a checkpoint").properties.expect("properties");
        let job = checkpoint.parent().expect("the directory of a job");
        let name = |path: &Path| path.file_name().expect("a name").to_str().expect("a plain name").to_owned();
        let source = Source {
            snapshot: &snapshot,
            metadata: &file.bytes,
            job: name(job),
            checkpoint: name(&checkpoint),
        };

        let databases = |operator: &Operator| {
            operator.subtasks.iter().any(|subtask| {
                subtask.managed_keyed.as_ref().is_some_and(|keyed| !keyed.databases().is_empty())
            })
        };
        let operators: Vec<&Operator> = snapshot.operators.iter().filter(|o| databases(o)).collect();
        let mut made = Self { arguments: Vec::new(), handles: 0, sst_bytes: 0 };
        let mut out = Out::default();
        out.header(6, 1, operators.len());
        for operator in operators {
            let mut subtasks = Out::default();
            let mut count = 0;
            for copy in 0..times {
                for subtask in &operator.subtasks {
                    for (state, database) in subtask.managed_keyed.iter().flat_map(KeyedState::databases) {
                        subtasks.count(count).i32(0).i32(0);
                        source.database(&mut subtasks, state, database, copy);
                        subtasks.null().i32(0).i32(0);
                        made.sst_bytes += source.sst_bytes(database);
                        count += 1;
                    }
                }
            }
            let parallelism = i32::try_from(count).expect("a small number");
            out.operator(6, "", "", operator.id.0, parallelism, operator.max_parallelism).null().count(count);
            out.raw(&subtasks.0);
            made.handles += count;
        }
        out.raw(properties);
        fs::write(directory.join("_metadata"), out.0).expect("_metadata");
        for copy in 0..times {
            let rule = format!("{}={}", root(copy), job.to_str().expect("a plain path"));
            made.arguments.extend(["--relocate".to_owned(), rule]);
        }
        made
    }
}

/// Where the files of a copy are said to lie.
fn root(copy: usize) -> String {
    format!("file:/copies/{copy}")
}

/// The checkpoint that is repeated.
struct Source<'s> {
    snapshot: &'s Snapshot,
    metadata: &'s [u8],
    /// The name of the job's directory.
    job: String,
    /// The name of the checkpoint's directory.
    checkpoint: String,
}

impl Source<'_> {
    fn database(&self, out: &mut Out, state: &KeyedState, database: &DatabaseHandle, copy: usize) {
        let number = |n: u32| i32::try_from(n).expect("a small number");
        let groups = state.key_groups;
        out.incremental_head(1, number(groups.start), number(groups.count), 0);
        self.file(out, database.meta.expect("meta data"), copy);
        for shared in [true, false] {
            let files: Vec<_> = database.files.iter().filter(|file| file.shared == shared).collect();
            out.count(files.len());
            for file in files {
                out.utf(&file.name);
                self.file(out, file.file.expect("a file"), copy);
            }
        }
        out.utf("handle-id");
    }

    fn file(&self, out: &mut Out, id: FileId, copy: usize) {
        let file = self.snapshot.file(id).expect("a file");
        let below = match &file.place {
            Place::Inline { offset, name } => {
                let start = usize::try_from(*offset).expect("an offset");
                let end = start + usize::try_from(file.size).expect("a size");
                out.byte_stream(name, self.metadata.get(start..end).expect("its bytes"));
                return;
            }
            Place::Relative(path) => format!("{}/{path}", self.checkpoint),
            Place::Uri(uri) => {
                let below = uri.split_once(&format!("/{}/", self.job)).expect("a place below the job's").1;
                below.to_owned()
            }
            Place::Segment { .. } | Place::Empty => panic!("parts of files cannot be repeated: {file:?}"),
        };
        out.file(&format!("{}/{below}", root(copy)), i64::try_from(file.size).expect("a size"));
    }

    fn sst_bytes(&self, database: &DatabaseHandle) -> u64 {
        let tables = database.files.iter().filter(|file| matches!(file.kind(), DatabaseFileKind::Sst(_)));
        let files: BTreeSet<FileId> = tables.filter_map(|table| table.file).collect();
        files.into_iter().filter_map(|id| self.snapshot.file(id)).map(|file| file.size).sum()
    }
}
