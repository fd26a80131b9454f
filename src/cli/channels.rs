//! `statescope cat --channels`.

use std::collections::HashMap;
use std::io::Write;

use super::{Exit, Failure, output_failure};
use crate::analyzers::channels::{BeginsWith, JsonLimits, RecordType, RecordWriter, channels};
use crate::analyzers::overview::Filter;
use crate::model::{OperatorId, Severity};
use crate::readers::snapshot::SnapshotReading;
use crate::scan::channels::{read_channels, write_channels};
use crate::scan::{Progress, ScanOptions};
use crate::storage::Storage;

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) operator: Option<&'a str>,
    pub(super) record_type: Option<&'a str>,
    pub(super) record_like: Option<&'a str>,
    /// At most so many elements.
    pub(super) most: u64,
    pub(super) limits: JsonLimits,
}

/// Prints the elements of channels as JSON lines.
pub(super) fn print(
    out: &mut dyn Write,
    storage: &dyn Storage,
    reading: SnapshotReading,
    uids: HashMap<OperatorId, String>,
    options: ScanOptions,
    ask: &Ask<'_>,
) -> Result<Exit, Failure> {
    let SnapshotReading { mut snapshot, details, mut findings, tables, .. } = reading;
    for operator in snapshot.operators.iter_mut().filter(|operator| operator.uid.is_none()) {
        operator.uid = uids.get(&operator.id).cloned();
    }
    let record = match (ask.record_type, ask.record_like) {
        (Some(name), _) => Some(
            RecordType::of_name(name, &snapshot)
                .map_err(|why| Failure::usage(format!("--record-type: {why}")))?,
        ),
        (None, Some(state)) => Some(
            RecordType::of_state(state, &snapshot, &details)
                .map_err(|why| Failure::usage(format!("--record-like: {why}")))?,
        ),
        (None, None) => None,
    };
    let filter = Filter { operator: ask.operator.map(str::to_owned), state: None };
    let selected = |operator: &_| filter.fits_operator(operator);
    let read = read_channels(storage, &snapshot, &tables, options, &Progress::default(), &selected);
    let read = read.unwrap_or_default();
    findings.extend(read.findings);
    let mut failure = None;
    let writer = RecordWriter::new(&snapshot, record.as_ref(), ask.limits, ask.most);
    let (printed, missed) =
        write_channels(storage, &snapshot, &tables, options, &read.channels, writer, &mut |lines| {
            failure = out.write_all(lines).err();
            failure.is_none()
        });
    if let Some(error) = failure {
        return Err(output_failure(error));
    }
    findings.extend(missed);
    let mut exit = Exit::Fine;
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        let file = finding.file.as_ref().map_or_else(String::new, |file| format!("{file}: "));
        eprintln!("statescope: {file}{}; {}", finding.message, finding.remedy);
        exit = Exit::Partial;
    }
    let unknown = channels(&snapshot).zip(&read.channels).filter(|(place, read)| {
        let operator = snapshot.operators.get(place.operator);
        operator.is_some_and(selected) && read.tail.is_some() && read.begins == BeginsWith::Unknown
    });
    let unknown = unknown.count();
    if unknown > 0 {
        eprintln!(
            "statescope: of {unknown} channels it is not known where the first whole element begins; their elements are not printed"
        );
        exit = Exit::Partial;
    }
    if printed.not_decoded > 0 {
        eprintln!(
            "statescope: of {} elements, {} are records that could not be decoded as this type",
            printed.elements, printed.not_decoded
        );
    }
    Ok(exit)
}
