//! The tail of RocksDB's tables, driven as a reader drives it, and the blocks it is made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::checksum::{BlockChecksum, ChecksumType};
use statescope_formats::rocksdb::handle::BlockHandle;
use statescope_formats::rocksdb::internal_key::InternalKey;
use statescope_formats::rocksdb::properties::{MetaIndex, TableProperties};
use statescope_formats::rocksdb::tail::{TableTail, TailStep};
use statescope_formats_fuzz::{touch, walk};

fuzz_target!(|data: &[u8]| {
    for first in [data.len(), data.len() / 2, 53, 0] {
        tail(data, first);
    }
    block(data);
});

fn tail(file: &[u8], first: usize) {
    let mut from = file.len().saturating_sub(first);
    loop {
        match walk(TableTail::decode(&file[from..], file.len() as u64), 0, file.len()) {
            Some(TailStep::NeedBytes { from_offset }) => {
                assert!(from_offset < from as u64, "a step that asks for no more");
                from = from_offset as usize;
            }
            Some(TailStep::Done(tail)) => {
                touch(&(tail.filter(), tail.range_del(), tail.compression_dict()));
                if let Some(properties) = &tail.properties {
                    touch(&properties.seqno_to_time());
                }
                return;
            }
            None => return,
        }
    }
}

fn block(contents: &[u8]) {
    if let Some(block) = walk(Block::new(contents, 0), 0, contents.len()) {
        for index in 0..=block.restart_count() {
            assert!(block.restart(index).is_none_or(|at| at <= contents.len()));
        }
        let mut entries = block.entries();
        loop {
            match entries.next() {
                Ok(Some(entry)) => {
                    touch(&entry);
                    walk(InternalKey::decode(entry.key, entry.offset), entry.offset, entry.key.len());
                }
                Ok(None) => break,
                Err(error) => {
                    statescope_formats_fuzz::check(&error, 0, contents.len());
                    assert!(matches!(entries.next(), Ok(None)), "an entry behind an error");
                    break;
                }
            }
        }
    }
    // As a metaindex and as properties, without a checksum in the way.
    let handle = BlockHandle { offset: 0, size: contents.len() as u64 };
    let stored = StoredBlock { handle, contents, compression_tag: 0, checksum: 0 };
    let unchecked = BlockChecksum { checksum_type: ChecksumType::NoChecksum, base_context_checksum: 0 };
    walk(MetaIndex::decode(&stored, 1 << 20), 0, contents.len());
    if let Some(properties) = walk(TableProperties::decode(&stored, unchecked), 0, contents.len()) {
        touch(&properties.seqno_to_time());
    }
}
