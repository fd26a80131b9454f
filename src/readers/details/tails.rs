//! The tails of SST files: what their properties say.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use statescope_formats::Error as FormatError;
use statescope_formats::rocksdb::tail::{RECOMMENDED_TAIL_LEN, TableTail, TailStep};

use super::super::opener::{Opener, Part, Wanted};
use super::super::source::Kept;
use super::{not_decoded, owner};
use crate::model::{About, Details, FileId, Finding, Snapshot};
use crate::storage::Span;

/// How many SST tails are held in memory at once.
const TAILS_AT_ONCE: usize = 4096;

/// A table of which the end is wanted.
#[derive(Debug, Clone)]
pub(crate) struct WantedEnd {
    pub(crate) file: FileId,
    /// Who it belongs to, in words.
    pub(crate) owner: String,
    /// Its size, as MANIFEST says.
    pub(crate) size: u64,
    /// How many bytes of its end are read at first.
    pub(crate) length: u64,
    /// Whether what is read is kept, so that nobody need ask for it again.
    pub(crate) is_kept: bool,
}

/// Tables up to this size are read whole where their end is kept: a request costs more than so many bytes do.
const SMALL_TABLE: u64 = 1 << 20;

/// How much is read of a table's end, so that its index is in it: that takes about one percent of the file.
pub(crate) fn end_length(size: u64) -> u64 {
    const ALWAYS: u64 = 8 << 10;
    (size / 80).saturating_add(ALWAYS).min(size)
}

/// The end of a table.
#[derive(Debug)]
pub(crate) struct TableEnd {
    pub(crate) tail: Arc<TableTail>,
    /// The bytes that were read for it.
    pub(crate) bytes: Bytes,
    /// Where in the file they begin.
    pub(crate) offset: u64,
    /// How many bytes were read in all.
    pub(crate) read: u64,
}

/// Reads ends of tables: one request each, and a second one where the first was too short. What cannot be read is a
/// finding.
pub(crate) fn read_ends(
    opener: &mut Opener<'_>,
    snapshot: &Snapshot,
    wanted: &[WantedEnd],
    findings: &mut Vec<Finding>,
) -> Vec<Option<TableEnd>> {
    let mut ends: Vec<Option<TableEnd>> = Vec::new();
    ends.resize_with(wanted.len(), || None);
    let mut round: Vec<(usize, Span, u64)> =
        wanted.iter().enumerate().map(|(at, want)| (at, Span::Suffix(want.length), 0)).collect();
    // Each round asks for more of those files whose end was not enough; the decoder bounds it.
    while !round.is_empty() {
        let parts = round
            .iter()
            .filter_map(|(at, span, _)| Some(Wanted { file: wanted.get(*at)?.file, span: span.clone() }));
        let parts = opener.read(snapshot, &parts.collect::<Vec<_>>());
        let mut next = Vec::new();
        for ((at, span, before), part) in round.into_iter().zip(parts) {
            let Some(WantedEnd { file, owner, size, is_kept, .. }) = wanted.get(at) else { continue };
            let part = match part {
                Ok(part) => part,
                Err(error) => {
                    findings.push(error.finding("an SST file").of(owner.as_str()));
                    continue;
                }
            };
            if matches!(span, Span::Suffix(_)) {
                checked(&part, *size, owner, findings);
            }
            let read = before + part.bytes.len() as u64;
            match TableTail::decode(&part.bytes, part.size) {
                Ok(TailStep::Done(tail)) => {
                    let tail: Arc<TableTail> = Arc::from(tail);
                    opener.note_tail(*file, Ok(Arc::clone(&tail)));
                    if *is_kept {
                        opener.keep(*file, Kept { offset: part.offset, bytes: part.bytes.clone() });
                    }
                    if let Some(slot) = ends.get_mut(at) {
                        *slot = Some(TableEnd { tail, bytes: part.bytes, offset: part.offset, read });
                    }
                }
                Ok(TailStep::NeedBytes { from_offset }) => {
                    next.push((at, Span::Range(from_offset..part.size), read));
                }
                Err(error) => {
                    findings.push(tail_not_decoded(&part, &error, owner));
                    opener.note_tail(*file, Err(error));
                }
            }
        }
        round = next;
    }
    ends
}

/// Reads the tail of every table. Of the states for which `select` answers yes, given the index of the operator and the
/// state's name, as many bytes of ends are kept as there is room for: with the index, or all of a small table.
pub(in crate::readers) fn read_tails(
    opener: &mut Opener<'_>,
    snapshot: &Snapshot,
    details: &mut Details,
    mut room: u64,
    select: &dyn Fn(usize, &str) -> bool,
    all: bool,
) {
    // A table that several handles name is read once.
    let mut wanted: BTreeMap<FileId, WantedEnd> = BTreeMap::new();
    for keyed in &details.keyed {
        let Some(operator) = snapshot.operators.get(keyed.operator) else { continue };
        let Some(database) = &keyed.database else { continue };
        for table in &database.tables {
            let state = database.column_families.get(table.column_family);
            let is_selected = state.is_some_and(|state| select(keyed.operator, state));
            if !all && !is_selected {
                continue;
            }
            let Some(Entry::Vacant(entry)) = table.file.map(|file| wanted.entry(file)) else { continue };
            let mut want = WantedEnd {
                file: *entry.key(),
                owner: owner(operator, keyed.subtask),
                size: table.size,
                length: RECOMMENDED_TAIL_LEN as u64,
                is_kept: false,
            };
            let whole = if table.size <= SMALL_TABLE { table.size } else { end_length(table.size) };
            let length = whole.max(want.length);
            if length <= room && is_selected {
                room -= length;
                (want.length, want.is_kept) = (length, true);
            }
            entry.insert(want);
        }
    }
    let wanted: Vec<_> = wanted.into_values().collect();
    let mut tails: HashMap<FileId, Arc<TableTail>> = HashMap::new();
    // What is known of a table from another snapshot is not read again.
    let mut unknown = Vec::with_capacity(wanted.len());
    for want in wanted {
        let Some((part, tail)) = opener.known_tail(snapshot, want.file) else {
            unknown.push(want);
            continue;
        };
        checked(&part, want.size, &want.owner, &mut details.findings);
        match tail {
            Ok(tail) => {
                tails.insert(want.file, tail);
            }
            Err(error) => details.findings.push(tail_not_decoded(&part, &error, &want.owner)),
        }
    }
    for chunk in unknown.chunks(TAILS_AT_ONCE) {
        let ends = read_ends(opener, snapshot, chunk, &mut details.findings);
        tails.extend(chunk.iter().zip(ends).filter_map(|(want, end)| Some((want.file, end?.tail))));
    }
    for table in details.keyed.iter_mut().filter_map(|k| k.database.as_mut()).flat_map(|d| &mut d.tables) {
        table.tail = table.file.and_then(|file| tails.get(&file)).map(Arc::clone);
    }
}

fn checked(part: &Part, size: u64, owner: &str, findings: &mut Vec<Finding>) {
    if part.size != size {
        findings.push(sst_size_differs(part, size).of(owner));
    }
}

fn tail_not_decoded(part: &Part, error: &FormatError, owner: &str) -> Finding {
    not_decoded("sst_tail_not_decoded", "the tail of an SST file", part, error, owner)
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
    .about(About::File(part.file))
}
