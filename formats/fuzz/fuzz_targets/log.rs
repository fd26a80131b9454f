//! RocksDB's log format, with the checksums as they come and with right ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::rocksdb::log::LogReader;
use statescope_formats_fuzz::{sealed_log, walk};

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&sealed_log(data));
});

fn read(log: &[u8]) {
    let mut reader = LogReader::new(log);
    let mut bytes = 0;
    for record in reader.by_ref() {
        let Some(record) = walk(record, 0, log.len()) else { continue };
        bytes += record.payload.len();
        for position in [0, 1, record.payload.len() / 2, record.payload.len(), usize::MAX] {
            let _ = record.absolute(position);
        }
    }
    assert!(bytes <= log.len(), "more payload than log");
    assert!(reader.next().is_none(), "a record behind the last");
    let _ = reader.end();
}
