//! RocksDB's MANIFEST: the replay of a whole one, and single version edits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Cursor;
use statescope_formats::rocksdb::manifest::{Edits, Version, VersionEdit};
use statescope_formats_fuzz::{sealed_log, walk};

fuzz_target!(|data: &[u8]| {
    walk(VersionEdit::decode(Cursor::at(data, 77)), 77, data.len());
    replay(data);
    replay(&sealed_log(data));
});

fn replay(manifest: &[u8]) {
    let mut edits = Edits::new(manifest);
    for edit in edits.by_ref() {
        walk(edit, 0, manifest.len());
    }
    let _ = edits.end();
    let Some(version) = walk(Version::replay(manifest), 0, manifest.len()) else { return };
    for family in version.live_column_families() {
        let files: usize = family.levels().values().map(Vec::len).sum();
        assert_eq!(files, family.files.len(), "every live table is at one level");
    }
    let _ = version.live_files().count();
}
