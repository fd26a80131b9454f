//! The tails of SST files: what their properties say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use statescope_formats::rocksdb::tail::{RECOMMENDED_TAIL_LEN, TableTail, TailStep};

use super::super::opener::{Opener, Part, Wanted};
use super::{not_decoded, owner};
use crate::model::{Details, FileId, Finding, Snapshot};
use crate::storage::Span;

/// How many SST tails are held in memory at once.
const TAILS_AT_ONCE: usize = 4096;

/// Reads the tail of every table: one request each, and a second one where the first was too short.
pub(super) fn read_tails(opener: &mut Opener<'_>, snapshot: &Snapshot, details: &mut Details) {
    // A table that several handles name is read once.
    let mut owners: BTreeMap<FileId, (String, u64)> = BTreeMap::new();
    for keyed in &details.keyed {
        let Some(operator) = snapshot.operators.get(keyed.operator) else { continue };
        for table in keyed.database.iter().flat_map(|d| &d.tables) {
            if let Some(file) = table.file {
                owners.entry(file).or_insert_with(|| (owner(operator, keyed.subtask), table.size));
            }
        }
    }
    let owners: Vec<_> = owners.into_iter().collect();
    let mut tails: HashMap<FileId, Arc<TableTail>> = HashMap::new();
    for chunk in owners.chunks(TAILS_AT_ONCE) {
        let mut round: Vec<(FileId, Span)> =
            chunk.iter().map(|(file, _)| (*file, Span::Suffix(RECOMMENDED_TAIL_LEN as u64))).collect();
        // Each round asks for more of those files whose tail was not enough; the decoder bounds it.
        while !round.is_empty() {
            let wanted: Vec<_> =
                round.iter().map(|(file, span)| Wanted { file: *file, span: span.clone() }).collect();
            let mut next = Vec::new();
            for ((file, _), part) in round.into_iter().zip(opener.read(snapshot, &wanted)) {
                let (owner, size) = owner_of(chunk, file);
                match part {
                    Ok(part) => match tail(&part, owner, size, &mut details.findings) {
                        Some(TailStep::Done(tail)) => {
                            tails.insert(file, Arc::from(tail));
                        }
                        Some(TailStep::NeedBytes { from_offset }) => {
                            next.push((file, Span::Range(from_offset..part.size)));
                        }
                        None => {}
                    },
                    Err(error) => details.findings.push(error.finding("an SST file").of(owner)),
                }
            }
            round = next;
        }
    }
    for table in details.keyed.iter_mut().filter_map(|k| k.database.as_mut()).flat_map(|d| &mut d.tables) {
        table.tail = table.file.and_then(|file| tails.get(&file)).map(Arc::clone);
    }
}

fn owner_of(chunk: &[(FileId, (String, u64))], file: FileId) -> (&str, u64) {
    chunk
        .binary_search_by_key(&file, |(file, _)| *file)
        .ok()
        .and_then(|at| chunk.get(at))
        .map_or(("", 0), |(_, (owner, size))| (owner, *size))
}

fn tail(part: &Part, owner: &str, size: u64, findings: &mut Vec<Finding>) -> Option<TailStep> {
    if part.size != size {
        findings.push(sst_size_differs(part, size).of(owner));
    }
    match TableTail::decode(&part.bytes, part.size) {
        Ok(step) => Some(step),
        Err(error) => {
            findings.push(not_decoded(
                "sst_tail_not_decoded",
                "the tail of an SST file",
                part,
                &error,
                owner,
            ));
            None
        }
    }
}

/// A table has another size than MANIFEST says.
pub(in crate::readers) fn sst_size_differs(part: &Part, size: u64) -> Finding {
    Finding::error(
        "sst_size_differs",
        format!("an SST file has {} bytes where MANIFEST says {size}", part.size),
        "the file was cut or replaced; the snapshot cannot be restored",
    )
    .in_file(&part.name)
    .at(part.size.min(size))
}
