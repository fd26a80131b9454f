//! The decoders against files of real RocksDB, and against what `ldb` and `sst_dump` print about
//! them; then against the same files cut and damaged. See the samples' README.

use proptest::prelude::*;

use super::block::Block;
use super::checksum::ChecksumType;
use super::current::Current;
use super::footer::{BLOCK_BASED_MAGIC, Footer};
use super::internal_key::InternalKeyBuf;
use super::log::LogEnd;
use super::manifest::{Edits, Version, VersionEdit};
use super::options::Options;
use super::properties::{FilterKind, IndexType, TableProperties};
use super::tail::{RECOMMENDED_TAIL_LEN, TableTail, TailStep};
use crate::Cursor;
use crate::error::Result;

macro_rules! sample {
    ($($path:literal),*) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/rocksdb/" $(, $path)*)).as_slice()
    };
}

macro_rules! tables {
    ($($name:literal),* $(,)?) => {
        [$(($name, sample!("tables/", $name, ".sst"), sample!("tables/", $name, ".txt"))),*]
    };
}

const TABLES: [(&str, &[u8], &[u8]); 14] = tables![
    "5.17-v0-crc32c",
    "5.17-v1-xxhash",
    "5.17-v2-crc32c",
    "5.17-v3-none",
    "6.20-v4-xxhash64",
    "6.20-v5-crc32c",
    "6.20-v5-ingested",
    "8.10-v5-ingested",
    "8.10-v5-xxh3",
    "8.10-v6-crc32c",
    "8.10-v6-none",
    "8.10-v6-xxh3",
    "8.10-v6-xxhash64",
    "forst-8.10-v5-xxh3",
];

const MANIFESTS: [(&str, &[u8], &[u8]); 4] = [
    ("5.17", sample!("rocksdb-5.17/MANIFEST-000006"), sample!("rocksdb-5.17/manifest_dump.txt")),
    ("6.20", sample!("rocksdb-6.20/MANIFEST-000004"), sample!("rocksdb-6.20/manifest_dump.txt")),
    ("8.10", sample!("rocksdb-8.10/MANIFEST-000005"), sample!("rocksdb-8.10/manifest_dump.txt")),
    ("atomic", sample!("atomic-8.10/MANIFEST-000005"), sample!("atomic-8.10/manifest_dump.txt")),
];

/// Drives the decoder as a reader would, and counts the reads.
fn read(file: &[u8], first: usize) -> Result<(TableTail, usize)> {
    let mut from = file.len().saturating_sub(first);
    for reads in 1.. {
        match TableTail::decode(&file[from..], file.len() as u64)? {
            TailStep::Done(tail) => return Ok((*tail, reads)),
            TailStep::NeedBytes { from_offset } => {
                let next = usize::try_from(from_offset).unwrap();
                assert!(next < from, "a step that asks for no more");
                from = next;
            }
        }
    }
    unreachable!()
}

fn table(name: &str) -> TableTail {
    let (_, file, _) = TABLES.iter().find(|(n, ..)| *n == name).unwrap();
    read(file, RECOMMENDED_TAIL_LEN).unwrap().0
}

/// The line that `sst_dump` prints under this name.
fn shown(p: &TableProperties, name: &str) -> Option<String> {
    let number = |n: Option<u64>| Some(n.unwrap_or(0).to_string());
    let text = |t: &Option<String>| Some(t.clone().unwrap_or_default());
    match name {
        "# data blocks" => number(p.num_data_blocks),
        "# entries" => number(p.num_entries),
        "# deletions" => number(p.num_deletions),
        "# merge operands" => number(p.num_merge_operands),
        "# range deletions" => number(p.num_range_deletions),
        "raw key size" => number(p.raw_key_size),
        "raw value size" => number(p.raw_value_size),
        "data block size" => number(p.data_size),
        "index size" => number(p.index_size),
        "# index partitions" => number(p.index_partitions),
        "top-level index size" => number(p.top_level_index_size),
        "filter block size" => number(p.filter_size),
        "# entries for filter" => number(p.num_filter_entries),
        "filter policy name" => text(&p.filter_policy),
        "prefix extractor name" => text(&p.prefix_extractor),
        "column family ID" => number(p.column_family_id.filter(|&id| id != 0x7fff_ffff)),
        "column family name" => text(&p.column_family_name),
        "comparator name" => text(&p.comparator),
        "merge operator name" => text(&p.merge_operator),
        "property collectors names" => text(&p.property_collectors),
        "SST file compression algo" => text(&p.compression),
        "SST file compression options" => text(&p.compression_options),
        "creation time" => number(p.creation_time),
        "time stamp of earliest key" => number(p.oldest_key_time),
        "file creation time" => number(p.file_creation_time),
        "DB identity" => text(&p.db_id),
        "DB session identity" => text(&p.db_session_id),
        "DB host id" => text(&p.db_host_id),
        "original file number" => number(p.original_file_number),
        _ => {
            let flags = (p.index_key_is_user_key.unwrap_or(0), p.index_value_is_delta_encoded.unwrap_or(0));
            let index = format!("index block size (user-key? {}, delta-value? {})", flags.0, flags.1);
            (name == index).then(|| number(p.index_size)).flatten()
        }
    }
}

#[test]
fn properties_are_what_sst_dump_shows() {
    for (name, file, expected) in TABLES {
        let (tail, _) = read(file, RECOMMENDED_TAIL_LEN).unwrap();
        let properties = tail.properties.unwrap();
        let mut lines = 0;
        for line in std::str::from_utf8(expected).unwrap().lines() {
            let (key, value) = line.trim_start().split_once(": ").unwrap_or((line.trim(), ""));
            let value = if value == "N/A" { "" } else { value };
            let ours = shown(&properties, key).unwrap_or_else(|| panic!("{name}: no {key}"));
            // What sst_dump shows as "N/A" is no column family for ours too.
            let ours = if key == "column family ID" && value.is_empty() { "" } else { ours.trim() };
            assert_eq!(ours, value.trim(), "{name}: {key}");
            lines += 1;
        }
        assert!(lines >= 15, "{name}");
        assert!(properties.malformed.is_empty(), "{name}");
    }
}

#[test]
fn one_read_is_enough_and_a_short_one_is_made_up_for() {
    for (name, file, _) in TABLES {
        let (whole, reads) = read(file, file.len()).unwrap();
        assert_eq!(reads, 1, "{name}");
        assert_eq!(read(file, RECOMMENDED_TAIL_LEN).unwrap(), (whole.clone(), 1), "{name}");
        for first in 0..file.len() {
            let (tail, reads) = read(file, first).unwrap();
            assert_eq!(tail, whole, "{name} {first}");
            assert!(reads <= 2, "{name} {first}");
        }
        let start = whole.metaindex.properties().unwrap().offset;
        assert!(file.len() as u64 - start < RECOMMENDED_TAIL_LEN as u64 / 2, "{name}");
    }
}

#[test]
fn blocks_lie_in_the_order_in_which_they_are_written() {
    for (name, file, _) in TABLES {
        let (tail, _) = read(file, RECOMMENDED_TAIL_LEN).unwrap();
        let properties = tail.properties.as_ref().unwrap();
        let data_end = properties.data_size.unwrap();
        assert!(properties.tail_start_offset.is_none_or(|start| start == data_end), "{name}");
        let filter = tail.filter().map(|(_, _, handle)| handle);
        let order = [filter, Some(tail.index), tail.range_del(), tail.metaindex.properties()];
        let mut end = data_end;
        for handle in order.into_iter().flatten() {
            assert!(end <= handle.offset, "{name}");
            end = handle.end();
        }
        assert_eq!(tail.footer.metaindex.offset, end, "{name}");
        assert_eq!(
            (tail.footer.metaindex.end(), tail.compression_dict()),
            (tail.footer.offset, None),
            "{name}"
        );
    }
}

#[test]
fn versions_checksums_indexes_and_filters() {
    let footer = |name| {
        let footer = table(name).footer;
        (footer.format_version, footer.checksum.checksum_type, footer.checksum.base_context_checksum != 0)
    };
    assert_eq!(footer("5.17-v0-crc32c"), (0, ChecksumType::Crc32c, false));
    assert_eq!(footer("5.17-v1-xxhash"), (1, ChecksumType::XxHash, false));
    assert_eq!(footer("5.17-v3-none"), (3, ChecksumType::NoChecksum, false));
    assert_eq!(footer("6.20-v4-xxhash64"), (4, ChecksumType::XxHash64, false));
    assert_eq!(footer("8.10-v5-xxh3"), (5, ChecksumType::Xxh3, false));
    assert_eq!(footer("8.10-v6-crc32c"), (6, ChecksumType::Crc32c, true));
    assert_eq!(footer("8.10-v6-none"), (6, ChecksumType::NoChecksum, true));
    assert_eq!(footer("8.10-v6-xxhash64"), (6, ChecksumType::XxHash64, true));

    let index = |name| table(name).properties.unwrap().index_type.unwrap();
    assert_eq!(index("5.17-v3-none"), IndexType::HashSearch);
    assert_eq!(index("6.20-v4-xxhash64"), IndexType::BinarySearchWithFirstKey);
    assert_eq!(index("6.20-v5-crc32c"), IndexType::BinarySearch);
    assert_eq!(index("8.10-v6-xxh3"), IndexType::TwoLevelIndexSearch);

    let filter = |name: &str| table(name).filter().map(|(kind, policy, _)| (kind, policy.to_owned()));
    let bloom = "rocksdb.BuiltinBloomFilter".to_owned();
    assert_eq!(filter("5.17-v2-crc32c"), None);
    assert_eq!(filter("6.20-v5-crc32c"), Some((FilterKind::Full, bloom.clone())));
    assert_eq!(filter("forst-8.10-v5-xxh3"), Some((FilterKind::Partitioned, bloom)));
    assert!(table("5.17-v3-none").metaindex.blocks.contains_key("rocksdb.hashindex.prefixes"));
}

#[test]
fn a_global_sequence_number_may_be_written_later() {
    for name in ["6.20-v5-ingested", "8.10-v5-ingested"] {
        let properties = table(name).properties.unwrap();
        assert_eq!(properties.external_sst_file_version, Some(2), "{name}");
        assert_eq!(properties.external_sst_file_global_seqno, Some(11), "{name}");
        assert_eq!(properties.db_id.as_deref(), Some("SST Writer"), "{name}");
    }
}

#[test]
fn flipped_bits_of_a_table_are_noticed() {
    for (name, file, _) in TABLES {
        let (tail, _) = read(file, file.len()).unwrap();
        let start = usize::try_from(tail.metaindex.properties().unwrap().offset).unwrap();
        let footer = usize::try_from(tail.footer.offset).unwrap();
        let checked = tail.footer.checksum.checksum_type != ChecksumType::NoChecksum;
        let mut bytes = file.to_vec();
        for bit in start * 8..file.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let result = TableTail::decode(&bytes, file.len() as u64);
            // An ingested file's sequence number is covered by no checksum, a footer of version 5 and
            // older neither.
            if checked && bit / 8 < footer && !name.ends_with("ingested") {
                assert!(result.is_err(), "{name} bit {bit}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_table_cut_anywhere_is_an_error() {
    for (name, file, _) in TABLES {
        for length in 0..file.len() {
            assert!(TableTail::decode(&file[..length], length as u64).is_err(), "{name} {length}");
            // Bytes that are not those of the end.
            let _ = TableTail::decode(&file[..length], file.len() as u64);
        }
        assert!(TableTail::decode(file, file.len() as u64 - 1).is_err());
    }
}

fn hex(key: &InternalKeyBuf) -> String {
    let user_key: String = key.user_key.iter().map(|b| format!("{b:02X}")).collect();
    format!("'{user_key}' seq:{}, type:{}", key.sequence, key.value_type as u8)
}

#[test]
fn versions_are_what_ldb_shows() {
    for (name, manifest, expected) in MANIFESTS {
        let version = Version::replay(manifest).unwrap();
        assert_eq!((version.end, version.unread_fields), (LogEnd::Clean, 0), "{name}");
        let expected = std::str::from_utf8(expected).unwrap();
        let with_keys = expected.contains("seq:");
        let mut lines = Vec::new();
        for cf in version.live_column_families() {
            let (id, name) = (cf.id, &cf.name);
            lines.push(format!("--------------- Column family \"{name}\"  (ID {id}) --------------"));
            for (level, files) in cf.levels() {
                lines.push(format!("--- level {level}"));
                for f in files {
                    let seqnos = (f.smallest_seqno.unwrap(), f.largest_seqno.unwrap());
                    let mut line = format!(" {}:{}[{} .. {}]", f.number, f.size, seqnos.0, seqnos.1);
                    if with_keys {
                        line += &format!("[{} .. {}]", hex(&f.smallest), hex(&f.largest));
                    }
                    lines.push(line);
                }
            }
        }
        let (ours, shown): (Vec<_>, Vec<_>) = (lines, expected.lines().collect());
        let (last, shown) = shown.split_last().unwrap();
        assert_eq!(ours, shown, "{name}");
        // ldb counts one file for itself.
        let counters = format!(
            "next_file_number {} last_sequence {}  prev_log_number {} max_column_family {} min_log_number_to_keep {}",
            version.next_file_number.unwrap() + 1,
            version.last_sequence.unwrap(),
            version.prev_log_number.unwrap(),
            version.max_column_family.or(version.column_families.keys().last().copied()).unwrap(),
            version.min_log_number_to_keep.unwrap_or(0),
        );
        assert_eq!(counters, last.trim_end(), "{name}");
    }
}

#[test]
fn what_8_10_says_of_a_table() {
    let version = Version::replay(MANIFESTS[2].1).unwrap();
    assert_eq!((version.edits_applied, version.db_id.as_deref()), (19, None));
    assert!(version.column_families[&3].dropped && version.column_families[&3].name == "gone");
    let words = &version.column_families[&1];
    assert_eq!(words.name, "word-count: é # \\ \"x\"");
    assert_eq!(words.comparator.as_deref(), Some("leveldb.BytewiseComparator"));
    assert_eq!(words.persist_user_defined_timestamps, Some(true));
    let file = &words.files[&14].file;
    assert_eq!(file.oldest_ancester_time, Some(1_795_367_312));
    assert_eq!(file.file_creation_time, Some(1_795_367_312));
    assert_eq!(file.unique_id, Some([564_530_469_259_923_912, 17_096_168_516_051_591_456]));
    assert_eq!((file.epoch_number, file.tail_size), (Some(1), Some(5007 - 3884)));
    assert!(!file.marked_for_compaction && file.user_defined_timestamps_persisted);
}

#[test]
fn an_atomic_group_counts_as_a_whole() {
    let (_, manifest, _) = MANIFESTS[3];
    let version = Version::replay(manifest).unwrap();
    assert_eq!(version.db_id.as_deref(), Some("d16cd2f4-7596-489e-b75c-0400341e94e0"));
    let groups: Vec<_> = Edits::new(manifest)
        .map(|edit| edit.unwrap())
        .filter(|edit| edit.atomic_group_remaining.is_some())
        .map(|edit| (edit.offset, edit.atomic_group_remaining.unwrap(), edit.new_files.len()))
        .collect();
    // One edit for each of two column families, and one for the number of the WAL to keep.
    assert_eq!(groups.len(), 150);
    assert_eq!(
        groups[..3].iter().map(|&(_, n, files)| (n, files)).collect::<Vec<_>>(),
        [(2, 1), (1, 1), (0, 0)]
    );
    // Cut inside the first group: none of its edits counts.
    let cut = usize::try_from(groups[2].0).unwrap();
    let half = Version::replay(&manifest[..cut]).unwrap();
    assert_eq!((half.edits_of_incomplete_group, half.live_files().count()), (2, 0));
    // Without its last edit, what follows does not fit.
    let next = usize::try_from(groups[3].0).unwrap();
    let without = [&manifest[..cut], &manifest[next..next + 400]].concat();
    assert!(Version::replay(&without).unwrap_err().to_string().contains("atomic group"));
}

#[test]
fn a_manifest_cut_anywhere_is_a_shorter_one() {
    for (name, manifest, _) in &MANIFESTS[..3] {
        let mut last = 0;
        for length in 0..manifest.len() {
            let version = Version::replay(&manifest[..length]).unwrap();
            assert!(version.edits_applied >= last, "{name} {length}");
            last = version.edits_applied;
            assert!(matches!(version.end, LogEnd::Clean | LogEnd::Truncated { .. }), "{name} {length}");
        }
    }
}

#[test]
fn a_manifest_with_a_flipped_bit_is_an_error_or_cut() {
    for (name, manifest, _) in &MANIFESTS[..3] {
        let good = Version::replay(manifest).unwrap();
        let mut bytes = manifest.to_vec();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(version) = Version::replay(&bytes) {
                assert!(version.edits_applied < good.edits_applied, "{name} bit {bit}");
                assert!(matches!(version.end, LogEnd::Truncated { .. }), "{name} bit {bit}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Behind a checksum that matches, any bytes may stand: they are an edit or an error.
#[test]
fn damaged_edits_do_not_panic() {
    for (_, manifest, _) in &MANIFESTS[..3] {
        for record in super::log::LogReader::new(manifest) {
            let mut payload = record.unwrap().payload.into_owned();
            for bit in 0..payload.len() * 8 {
                payload[bit / 8] ^= 1 << (bit % 8);
                let _ = VersionEdit::decode(Cursor::new(&payload));
                payload[bit / 8] ^= 1 << (bit % 8);
            }
            for length in 0..payload.len() {
                let _ = VersionEdit::decode(Cursor::new(&payload[..length]));
            }
        }
    }
}

#[test]
fn current_names_the_manifest() {
    assert_eq!(Current::decode(sample!("rocksdb-5.17/CURRENT")).unwrap().number, 6);
    assert_eq!(Current::decode(sample!("rocksdb-6.20/CURRENT")).unwrap().number, 4);
    assert_eq!(Current::decode(sample!("rocksdb-8.10/CURRENT")).unwrap().manifest, "MANIFEST-000005");
}

#[test]
fn options_of_5_17_and_8_10() {
    let old = Options::decode(sample!("rocksdb-5.17/OPTIONS-000019")).unwrap();
    let new = Options::decode(sample!("rocksdb-8.10/OPTIONS-000020")).unwrap();
    assert_eq!((old.rocksdb_version(), new.rocksdb_version()), (Some("5.17.2"), Some("8.10.0")));
    for options in [&old, &new] {
        assert!(options.unknown.is_empty(), "{:?}", options.unknown);
        let names: Vec<_> = options.column_families.iter().map(|cf| cf.name.as_str()).collect();
        assert_eq!(names, ["default", "word-count: é # \\ \"x\"", "_timer_state/event_user-timers"]);
        let cf = &options.column_families[1];
        assert_eq!(cf.comparator(), Some("leveldb.BytewiseComparator"));
        assert_eq!(cf.merge_operator(), Some("StringAppendTESTOperator"));
        assert_eq!((cf.compaction_filter_factory(), cf.num_levels()), (None, Some(7)));
        assert_eq!(cf.compression(), Some("kSnappyCompression"));
        assert_eq!(cf.bottommost_compression(), Some("kDisableCompressionOption"));
        assert_eq!(cf.target_file_size_base(), Some(64 << 20));
        assert_eq!(cf.write_buffer_size(), Some(64 << 20));
        assert_eq!(cf.compaction_style(), Some("kCompactionStyleLevel"));
        assert_eq!(cf.table_factory(), Some("BlockBasedTable"));
        let table = cf.table.as_ref().unwrap();
        assert_eq!((table.factory.as_str(), table.filter_policy()), ("BlockBasedTable", None));
        assert_eq!((table.block_size(), table.index_type()), (Some(4096), Some("kBinarySearch")));
    }
    let table = |options: &Options| options.column_families[0].table.clone().unwrap();
    assert_eq!((table(&old).format_version(), table(&new).format_version()), (Some(2), Some(5)));
    assert_eq!((table(&old).checksum(), table(&new).checksum()), (Some("kCRC32c"), Some("kXXH3")));
    let cf = &new.column_families[0];
    assert_eq!((cf.ttl(), cf.periodic_compaction_seconds()), (Some(2_592_000), Some(0)));
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_not(bytes in prop::collection::vec(any::<u8>(), 0..400), base in any::<u64>()) {
        let _ = Current::decode(&bytes);
        let _ = Options::decode(&bytes);
        let _ = Version::replay(&bytes);
        let _ = VersionEdit::decode(Cursor::at(&bytes, base));
        let _ = Footer::decode(&bytes, base);
        let _ = TableTail::decode(&bytes, base);
        if let Ok(block) = Block::new(&bytes, base) {
            let mut entries = block.entries();
            while let Ok(Some(_)) = entries.next() {}
            for index in 0..=block.restart_count() {
                let _ = block.restart(index);
            }
        }
    }

    #[test]
    fn any_bytes_before_a_magic_number(mut bytes in prop::collection::vec(any::<u8>(), 45..400), version in 0..9u32, more in any::<u64>()) {
        let at = bytes.len() - 12;
        bytes[at..at + 4].copy_from_slice(&version.to_le_bytes());
        bytes[at + 4..].copy_from_slice(&BLOCK_BASED_MAGIC.to_le_bytes());
        let size = bytes.len() as u64;
        let _ = TableTail::decode(&bytes, size);
        if let Ok(TailStep::NeedBytes { from_offset }) = TableTail::decode(&bytes, size.saturating_add(more)) {
            prop_assert!(from_offset < size.saturating_add(more) - size);
        }
    }

    #[test]
    fn any_lines_are_options(text in "(\\[(Version|DBOptions|CFOptions|TableOptions/X)( \"[a#\\\\]*\")?\\]\n|[a-c#= ]{0,6}\n){0,12}") {
        let _ = Options::decode(text.as_bytes());
    }
}
