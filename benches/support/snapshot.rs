//! Makes a snapshot of a database directory: `_metadata` and a backend's meta data beside the database's own files.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    missing_docs,
    unreachable_pub
)]

#[path = "../../formats/tests/support/metadata_writer.rs"]
pub mod metadata_writer;
#[path = "repeated.rs"]
pub mod repeated;

use std::fs;
use std::ops::Range;
use std::path::Path;

use metadata_writer::Out;
use statescope::model::{OperatorId, Place};
use statescope::readers::discover;
use statescope::readers::snapshot::decode_metadata;
use statescope::storage::{LocalStorage, Location};
use statescope_formats::Cursor;
use statescope_formats::flink::metadata::Metadata;
use statescope_formats::flink::state_meta::{End, KeyedBackendMeta};

/// What of a real checkpoint is used: the operator's meta data, and the properties at the end of `_metadata`.
#[derive(Debug)]
pub struct Sample {
    operator: OperatorId,
    meta: Vec<u8>,
    properties: Vec<u8>,
    /// Names of the operator's states.
    pub states: Vec<String>,
}

impl Sample {
    /// The operator `by-long` of the fixture `inc-2.3`.
    pub fn read() -> Self {
        let path = "testdata/fixtures/inc-2.3/data/715daedfb29e988102f3da46cd21a820/chk-3";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let place = Location::from_local_path(&path).expect("a path");
        let file = discover::read_metadata(&LocalStorage::new(), &place).expect("the fixture");
        let metadata = Metadata::decode(&file.bytes).expect("a checkpoint");
        let properties = metadata.properties.expect("properties").1.to_vec();
        let (snapshot, _) = decode_metadata(&file).expect("a checkpoint");
        let operator = OperatorId::from_uid("by-long-uid");
        let by_long = snapshot.operators.iter().find(|o| o.id == operator).expect("the operator");
        let databases = by_long.subtasks[0].managed_keyed.as_ref().expect("keyed state").databases();
        let meta = databases[0].1.meta.and_then(|id| snapshot.file(id)).expect("meta data");
        let Place::Relative(name) = &meta.place else { panic!("it lies beside _metadata") };
        let meta = fs::read(path.join(&**name)).expect("meta data");
        let parsed = KeyedBackendMeta::parse(&mut Cursor::new(&meta), End::Eof);
        let states = parsed.expect("meta data").states.iter().map(|state| state.name.clone()).collect();
        Self { operator, meta, properties, states }
    }

    /// Makes a snapshot of one operator with one subtask that has these key groups.
    pub fn write(&self, directory: &Path, max_parallelism: u32, key_groups: Range<u32>) {
        fs::write(directory.join("meta"), &self.meta).expect("meta data");
        let mut files: Vec<(String, i64)> = fs::read_dir(directory)
            .expect("the directory")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let size = entry.metadata().expect("its size").len();
                (entry.file_name().into_string().expect("a name"), i64::try_from(size).expect("a size"))
            })
            .collect();
        files.sort();
        let is_shared = |name: &str| name.ends_with(".sst");
        let is_private =
            |name: &str| name == "CURRENT" || name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-");
        let mut out = Out::default();
        out.header(6, 1, 1);
        let number = |n: u32| i32::try_from(n).expect("a small number");
        let max = number(max_parallelism);
        let (start, count) = (number(key_groups.start), number(key_groups.end - key_groups.start));
        out.operator(6, "by-long", "by-long-uid", self.operator.0, 1, max).null().count(1);
        out.count(0).i32(0).i32(0);
        // All of its files lie beside `_metadata`.
        out.incremental_head(1, start, count, 0);
        out.relative("meta", i64::try_from(self.meta.len()).expect("a size"));
        for wanted in [&is_shared as &dyn Fn(&str) -> bool, &is_private] {
            let list: Vec<_> = files.iter().filter(|(name, _)| wanted(name)).collect();
            out.count(list.len());
            for (name, size) in list {
                out.utf(name).relative(name, *size);
            }
        }
        out.utf("handle-id").null().i32(0).i32(0);
        out.raw(&self.properties);
        fs::write(directory.join("_metadata"), out.0).expect("_metadata");
    }
}
