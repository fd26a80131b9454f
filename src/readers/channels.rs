//! Finds the files of in-flight data, and reads their begin.

use statescope_formats::flink::channel::{HEADER, check_version};

use super::details::is_unknown;
use super::opener::{Opener, Wanted};
use super::source::Kept;
use crate::model::{About, Effect, FileId, FileRole, Finding, Snapshot};
use crate::storage::Span;

/// Reads the begin of each file of in-flight data: one request each. As far as `room` bytes can hold them, files are read whole, and kept.
pub(super) fn open_channels(opener: &mut Opener<'_>, snapshot: &Snapshot, mut room: u64) -> Vec<Finding> {
    let files = (0..).map(FileId).zip(&snapshot.files).filter(|(_, file)| file.role == FileRole::Channel);
    let wanted: Vec<Wanted> = files
        .map(|(id, file)| {
            let is_kept = file.size <= room;
            room -= if is_kept { file.size } else { 0 };
            let end = if is_kept { file.size } else { HEADER.min(file.size) };
            Wanted { file: id, span: Span::Range(0..end) }
        })
        .collect();
    let mut findings = Vec::new();
    for part in opener.read(snapshot, &wanted) {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                findings.push(error.finding("a file of in-flight data"));
                continue;
            }
        };
        if let Err(error) = check_version(&part.bytes) {
            let message = format!("a file of in-flight data cannot be read: {error}");
            let remedy = "if the file was copied, copy it again; as it is, Flink fails when it restores these channels";
            let finding = Finding::error("channel_file_not_decoded", message, remedy).at(error.offset());
            let finding = finding.in_file(&part.name).about(About::File(part.file));
            findings.push(if is_unknown(&error) { finding.meaning(Effect::Unknown) } else { finding });
            opener.forget(part.file);
            continue;
        }
        opener.keep(part.file, Kept { offset: 0, bytes: part.bytes });
    }
    findings
}
