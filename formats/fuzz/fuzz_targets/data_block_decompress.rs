//! Stored blocks of every type of compression and format version, with a dictionary and without; and what
//! comes out as a block of entries, which the cursor of scans has to see alike as far as keys ascend. The first
//! byte is the type, the second the format version and whether there is a dictionary; a third byte says how long
//! that is, and it follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::Result;
use statescope_formats::rocksdb::block::{Block, StoredBlock};
use statescope_formats::rocksdb::compression::Decompressor;
use statescope_formats::rocksdb::data_block::{EntryCursor, Next};
use statescope_formats::rocksdb::handle::BlockHandle;
use statescope_formats_fuzz::{check, touch, walk};

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&[tag, how], rest)) = data.split_first_chunk::<2>() else { return };
    let (dictionary, contents) = match rest.split_first() {
        Some((&length, rest)) if how & 0x80 != 0 => rest.split_at(rest.len().min(length.into())),
        _ => (&[][..], rest),
    };
    let version = u32::from(how & 7);
    let handle = BlockHandle { offset: 0, size: contents.len() as u64 };
    let stored = StoredBlock { handle, contents, compression_tag: tag, checksum: 0 };

    let (mut decompressor, mut out) = (Decompressor::with_dictionary(dictionary), Vec::new());
    let first = decompressor.decompress(version, &stored, LIMIT, &mut out);
    let first: Result<Vec<u8>> = first.map(|length| {
        assert!(length <= LIMIT, "{length} bytes");
        out[..length].to_vec()
    });
    // The same again, with a buffer that is full of something else.
    out.fill(0xa5);
    let again = decompressor.contents(version, &stored, LIMIT, &mut out);
    assert_eq!(first.as_deref().ok(), again.ok());
    let Some(contents) = walk(first, 0, contents.len()) else { return };

    let Some(block) = walk(Block::new(&contents, 0), 0, contents.len()) else { return };
    let (mut entries, mut cursor) = (block.entries(), EntryCursor::new());
    cursor.enter_block();
    let mut scanned = !block.has_separated_values();
    loop {
        let step = if scanned { cursor.next(block.entry_bytes()) } else { Next::Fault };
        scanned = !matches!(step, Next::Fault | Next::End);
        match entries.next() {
            Ok(Some(entry)) => {
                touch(&entry);
                assert_ne!(step, Next::End);
                if scanned {
                    let key = [cursor.key().user_key(), &cursor.key().trailer().to_le_bytes()].concat();
                    assert_eq!((&*key, cursor.value(block.entry_bytes())), (entry.key, entry.value));
                }
            }
            Ok(None) => break,
            Err(error) => {
                assert!(matches!(step, Next::Fault), "{step:?}");
                return check(&error, 0, contents.len());
            }
        }
    }
});
