//! The tables of a database as its MANIFEST names them, matched with the files that the handle names.

use std::collections::HashMap;
use std::sync::Arc;

use statescope_formats::rocksdb::current::Current;
use statescope_formats::rocksdb::internal_key::{InternalKeyBuf, MAX_SEQUENCE, ValueType};
use statescope_formats::rocksdb::log::LogEnd;
use statescope_formats::rocksdb::manifest::Version;
use statescope_formats::rocksdb::options::Options;

use super::super::opener::Part;
use super::{Parts, not_decoded};
use crate::model::{
    About, DatabaseDetails, DatabaseFileKind, DatabaseHandle, FileId, Finding, Table, TableBounds,
};

/// The MANIFEST that CURRENT names; without a CURRENT, which is a finding, the last one.
pub(in crate::readers) fn manifest_part<'p, 'n>(
    parts: &'p Parts,
    current: Option<usize>,
    manifests: &[(&'n str, usize)],
    owner: &str,
    findings: &mut Vec<Finding>,
) -> Option<(&'n str, &'p Part)> {
    if current.is_none() {
        findings.push(
            Finding::error(
                "current_missing",
                "CURRENT is not among the files of the handle",
                "RocksDB cannot open this database; the snapshot cannot be restored",
            )
            .of(owner),
        );
    }
    let named =
        current.and_then(|at| parts.get(at, owner, findings)).and_then(|part| {
            match Current::decode(&part.bytes) {
                Ok(current) => Some(current.manifest.to_owned()),
                Err(error) => {
                    findings.push(not_decoded("current_not_decoded", "a CURRENT file", part, &error, owner));
                    None
                }
            }
        });
    let chosen = match &named {
        Some(named) => manifests.iter().find(|(name, _)| name == named),
        None => manifests.last(),
    };
    let Some((name, at)) = chosen else {
        let what =
            named.map_or_else(|| "a MANIFEST".to_owned(), |name| format!("{name}, which CURRENT names,"));
        findings.push(
            Finding::error(
                "manifest_missing",
                format!("{what} is not among the files of the handle"),
                "the state of this subtask cannot be told apart by column family; RocksDB cannot open it",
            )
            .of(owner),
        );
        return None;
    };
    parts.get(*at, owner, findings).map(|part| (*name, part))
}

/// The live tables that a MANIFEST names, matched with the files of the handle.
pub(in crate::readers) fn tables(
    part: &Part,
    manifest: &str,
    prefix: usize,
    handle: &DatabaseHandle,
    options: Option<Arc<Options>>,
    owner: &str,
    findings: &mut Vec<Finding>,
) -> Option<DatabaseDetails> {
    let version = match Version::replay(&part.bytes) {
        Ok(version) => version,
        Err(error) => {
            findings.push(not_decoded("manifest_not_decoded", manifest, part, &error, owner));
            return None;
        }
    };
    let cut = cut_at(&version, part.size);
    if let Some((why, offset)) = cut {
        findings.push(
            Finding::error(
                "manifest_cut",
                format!("{manifest} is not whole: {why}; what its last edits say of files is missing"),
                "if the file was copied, copy it again",
            )
            .in_file(&part.name)
            .at(offset)
            .of(owner)
            .about(About::File(part.file)),
        );
    }
    // What else does not fit follows from that, and would only hide it.
    let whole = cut.is_none() && part.size == part.recorded_size;
    let mut by_number: HashMap<u64, Option<FileId>> = HashMap::new();
    for file in &handle.files {
        if let DatabaseFileKind::Sst(number) = file.kind() {
            by_number.insert(number, file.file);
        }
    }
    let mut database = DatabaseDetails { options, ..DatabaseDetails::default() };
    let key_group = |key: &[u8]| {
        let bytes = key.get(..prefix)?;
        Some(bytes.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)))
    };
    let mut missing = Vec::new();
    for family in version.live_column_families() {
        let column_family = database.column_families.len();
        database.column_families.push(family.name.clone());
        if !family.blob_files.is_empty() {
            findings.push(blob_files(&family.name, family.blob_files.len(), part, owner));
        }
        for live in family.files.values() {
            let file = by_number.remove(&live.file.number).flatten();
            if file.is_none() {
                missing.push(format!("{:06}.sst", live.file.number));
            }
            let key_groups = key_group(&live.file.smallest.user_key).zip(last_key_group(
                &live.file.largest,
                prefix,
                &key_group,
            ));
            database.tables.push(Table {
                column_family,
                number: live.file.number,
                level: live.level,
                size: live.file.size,
                key_groups,
                file,
                bounds: Some(Box::new(TableBounds {
                    smallest: live.file.smallest.clone(),
                    largest: live.file.largest.clone(),
                    largest_sequence: live.file.largest_seqno.unwrap_or(MAX_SEQUENCE),
                    oldest_blob_file: live.file.oldest_blob_file_number,
                })),
                tail: None,
            });
        }
    }
    if whole && !missing.is_empty() {
        findings.push(
            Finding::error(
                "manifest_names_more",
                format!("{manifest} names tables that the handle does not list: {}", some_of(&missing)),
                "RocksDB cannot open this database; the snapshot cannot be restored",
            )
            .in_file(&part.name)
            .of(owner)
            .about(About::File(part.file)),
        );
    }
    if whole && !by_number.is_empty() {
        let mut extra: Vec<_> = by_number.into_keys().collect();
        extra.sort_unstable();
        let extra: Vec<_> = extra.into_iter().map(|n| format!("{n:06}.sst")).collect();
        findings.push(
            Finding::warning(
                "manifest_names_fewer",
                format!("the handle lists tables that {manifest} does not name: {}", some_of(&extra)),
                "their bytes are counted for the operator, but for no state",
            )
            .in_file(&part.name)
            .of(owner)
            .about(About::File(part.file)),
        );
    }
    database.tables.sort_by_key(|t| (t.column_family, t.level, t.number));
    Some(database)
}

/// The key group of a table's largest key. Where a range tombstone makes the end, the key is its
/// exclusive bound, which Flink sets to a bare key-group prefix: the last key group is the one before.
fn last_key_group(
    largest: &InternalKeyBuf,
    prefix: usize,
    key_group: &impl Fn(&[u8]) -> Option<u32>,
) -> Option<u32> {
    let last = key_group(&largest.user_key)?;
    let is_bound = largest.value_type == ValueType::RangeDeletion && largest.sequence == MAX_SEQUENCE;
    Some(if is_bound && largest.user_key.len() == prefix { last.saturating_sub(1) } else { last })
}

/// Why a MANIFEST is not whole, and where that shows.
fn cut_at(version: &Version, size: u64) -> Option<(&'static str, u64)> {
    match version.end {
        LogEnd::Truncated { offset } => Some(("it ends inside an edit", offset)),
        LogEnd::Zeros { offset } => Some(("it ends with zeros", offset)),
        LogEnd::Recycled { offset } => Some(("it ends with a record of another file", offset)),
        LogEnd::Damaged { offset } => Some(("its end is damaged", offset)),
        LogEnd::Clean if version.edits_of_incomplete_group > 0 => {
            Some(("it ends inside an atomic group of edits", size))
        }
        LogEnd::Clean if version.edits_applied == 0 => Some(("it holds no edit", size)),
        LogEnd::Clean => None,
    }
}

fn blob_files(family: &str, count: usize, part: &Part, owner: &str) -> Finding {
    Finding::warning(
        "blob_files",
        format!("column family {family:?} has {count} blob files, whose bytes are not counted for the state"),
        "BlobDB is not supported; the figures of this state are too small",
    )
    .in_file(&part.name)
    .of(owner)
    .about(About::File(part.file))
}

/// Up to five names, and how many more there are.
pub(in crate::readers) fn some_of(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
