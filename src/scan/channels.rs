//! Reads in-flight data: the buffers of all channels, file by file, and the elements in them.
//!
//! A file holds buffers of many channels, one after the other. It is read once, in pieces, and each channel has a reader of its own that
//! goes on where the channel's last buffer ended; so memory is bounded by a piece for each thread and by what readers hold of elements that span
//! buffers. A channel whose first byte does not begin an element is read once more, to find out where the first one begins.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use statescope_formats::Error as FormatError;
use statescope_formats::flink::channel::{
    CHUNK_HEADER, Element, ElementReader, HEADER, Tail, chunk_length, find_begin,
};

use super::tables::ReadError;
use super::{LARGEST_CHUNK, Progress, SMALLEST_CHUNK, ScanOptions};
use crate::analyzers::channels::{
    BeginsWith, ChannelPlace, ChannelRead, Direction, RecordWriter, RecordsPrinted, channels,
};
use crate::model::{About, Effect, FileId, Finding, Operator, Snapshot};
use crate::readers::details::owner;
use crate::readers::opener::unreadable;
use crate::readers::parallel::each_at_once;
use crate::readers::source::Source;
use crate::storage::Storage;

/// How many bytes of a channel are looked through for the begin of an element.
const SEARCHED: u64 = 16 << 20;

/// So many elements from the first byte on are no accident: a channel that fails behind them is damaged.
const ENOUGH: u64 = 8;

/// From this version of `_metadata` on, which comes after Flink 2.3, tasks write in-flight data before all that was restored is used up.
const WRITES_WHILE_RESTORING: i32 = 7;

/// What was read of in-flight data.
#[derive(Debug, Default)]
pub struct ChannelsRead {
    /// Of each channel, in the order of [`channels`].
    pub channels: Vec<ChannelRead>,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
}

/// A file, and whose buffers are in it.
struct ChannelFile<'a> {
    name: String,
    file: FileId,
    size: u64,
    source: Source,
    /// Indices of its channels among all.
    channels: Vec<usize>,
    places: &'a [ChannelPlace<'a>],
}

/// What is wrong with a channel.
enum Problem {
    /// It cannot be read: where, and why.
    Read(u64, ReadError),
    /// Its elements: where in its file, and why; whether Flink cannot read them either.
    Elements(u64, FormatError, bool),
}

/// Bytes of in-flight data that [`read_channels`] reads, nearly.
#[must_use]
pub fn channel_bytes(snapshot: &Snapshot) -> u64 {
    channels(snapshot).map(|place| place.channel.bytes).fold(0, u64::saturating_add)
}

/// Reads the buffers of all channels of the operators that are selected. None if it was stopped.
pub fn read_channels(
    storage: &dyn Storage,
    snapshot: &Snapshot,
    tables: &HashMap<FileId, Source>,
    options: ScanOptions,
    progress: &Progress,
    selected: &dyn Fn(&Operator) -> bool,
) -> Option<ChannelsRead> {
    let places: Vec<ChannelPlace<'_>> = channels(snapshot).collect();
    let files = files(snapshot, tables, &places, selected);
    let piece = piece(options);
    let searches_input = snapshot.metadata_version >= WRITES_WHILE_RESTORING;
    let read =
        each_at_once(&files, options.threads, |file| file.read(storage, piece, progress, searches_input));
    if progress.is_stopped() {
        return None;
    }
    let mut out = ChannelsRead::default();
    out.channels.resize(places.len(), ChannelRead::default());
    // A channel without buffers has been read.
    for (read, place) in out.channels.iter_mut().zip(&places) {
        if place.channel.offsets.is_empty() {
            *read = ChannelRead { begins: BeginsWith::Element, tail: Some(Tail::Whole), ..*read };
        }
    }
    for (file, read) in files.iter().zip(read) {
        for (&index, (channel, problem)) in file.channels.iter().zip(read) {
            if let Some(place) = places.get(index) {
                out.findings.extend(problem.and_then(|problem| file.finding(snapshot, place, problem)));
            }
            if let Some(slot) = out.channels.get_mut(index) {
                *slot = channel;
            }
        }
    }
    Some(out)
}

/// Writes the elements of channels as lines, of each channel in the order of delivery, and hands them on until it is told to stop. Channels must have been read
/// before, as is told by `read`. What a store fails to read now is returned.
pub fn write_channels(
    storage: &dyn Storage,
    snapshot: &Snapshot,
    tables: &HashMap<FileId, Source>,
    options: ScanOptions,
    read: &[ChannelRead],
    mut writer: RecordWriter<'_>,
    out: &mut dyn FnMut(&[u8]) -> bool,
) -> (RecordsPrinted, Vec<Finding>) {
    /// Bytes of lines that are handed on at once.
    const LINES: usize = 64 << 10;
    let places: Vec<ChannelPlace<'_>> = channels(snapshot).collect();
    // Half of the memory is for records that span buffers.
    let keep = usize::try_from(options.memory / 2).unwrap_or(usize::MAX);
    let progress = Progress::default();
    let mut findings = Vec::new();
    for file in files(snapshot, tables, &places, &|_| true) {
        let leading = |index: &usize| {
            let read = read.get(*index).filter(|read| read.begins != BeginsWith::Unknown);
            read.map(|read| read.leading_bytes)
        };
        let leading: Vec<Option<u64>> = file.channels.iter().map(leading).collect();
        let mut going = !writer.is_full();
        let reading = Pass { storage, piece: piece(options), keep, progress: &progress, leading: &leading };
        let ends = file.pass(reading, None, &mut |channel, at, element| {
            let place = file.channels.get(channel).and_then(|index| places.get(*index));
            let (true, Some(place)) = (going, place) else { return going };
            writer.element(place, at, &element);
            if writer.lines().len() >= LINES {
                going = out(writer.lines());
                writer.clear();
            }
            going &= !writer.is_full();
            going
        });
        going &= writer.lines().is_empty() || out(writer.lines());
        writer.clear();
        if !going || writer.is_full() {
            break;
        }
        // What else is wrong was found when they were read.
        for (channel, end) in ends.into_iter().enumerate() {
            if let (Some(place), Some((at, error @ ReadError::Storage(_)))) =
                (file.place(channel), end.problem)
            {
                findings.extend(file.finding(snapshot, place, Problem::Read(at, error)));
            }
        }
    }
    (writer.printed(), findings)
}

fn piece(options: ScanOptions) -> u64 {
    (options.memory / 2 / (options.threads.max(1) as u64)).clamp(SMALLEST_CHUNK, LARGEST_CHUNK)
}

fn files<'a>(
    snapshot: &Snapshot,
    tables: &HashMap<FileId, Source>,
    places: &'a [ChannelPlace<'a>],
    selected: &dyn Fn(&Operator) -> bool,
) -> Vec<ChannelFile<'a>> {
    let mut by_file: BTreeMap<FileId, Vec<usize>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        let operator = snapshot.operators.get(place.operator).filter(|operator| selected(operator));
        if let (Some(file), Some(_), false) = (place.file, operator, place.channel.offsets.is_empty()) {
            by_file.entry(file).or_default().push(index);
        }
    }
    let files = by_file.into_iter().filter_map(|(id, channels)| {
        let (file, source) = (snapshot.file(id)?, tables.get(&id)?);
        let name = match source {
            Source::Object { location, .. } => location.to_string(),
            Source::Memory { .. } => file.place.to_string(),
        };
        Some(ChannelFile { name, file: id, size: file.size, source: source.clone(), channels, places })
    });
    files.collect()
}

/// How a file is gone over.
#[derive(Clone, Copy)]
struct Pass<'p> {
    storage: &'p dyn Storage,
    /// Bytes that are read at once.
    piece: u64,
    /// Bytes that are kept of records that span buffers, of all channels together.
    keep: usize,
    progress: &'p Progress,
    /// Of each channel of the file, how many bytes come before its first whole element; none of one whose elements are not read.
    leading: &'p [Option<u64>],
}

/// A channel while its file is gone over.
struct Going {
    /// None once its elements cannot be read, or if they are not to be.
    reader: Option<ElementReader>,
    /// Bytes before its first whole element that did not come yet.
    skip: u64,
    /// Bytes of its buffers so far.
    bytes: u64,
    /// Where its buffers begin: in its bytes, and in the file.
    begins: Vec<(u64, u64)>,
    /// Buffers that did not come yet.
    missing: usize,
    /// Whether what follows cannot be read.
    is_cut: bool,
    /// What went wrong, and where in the file.
    problem: Option<(u64, ReadError)>,
}

impl Going {
    /// The place in the file of a place in the channel's bytes.
    fn place(&self, at: u64) -> u64 {
        let index = self.begins.partition_point(|(begin, _)| *begin <= at);
        let before = index.checked_sub(1).and_then(|index| self.begins.get(index));
        before.map_or(0, |(begin, place)| place.saturating_add(at - begin))
    }

    /// Its buffers cannot be read any more.
    fn cut(&mut self, at: u64, error: ReadError) {
        self.problem = Some((at, error));
        self.is_cut = true;
    }

    /// Its elements cannot be read any more.
    fn fails(&mut self, error: FormatError) {
        self.problem = Some((self.place(error.offset()), error.into()));
        self.reader = None;
    }

    /// Whether all its buffers came.
    fn is_whole(&self) -> bool {
        self.missing == 0 && !self.is_cut
    }
}

/// Takes an element: the channel's number in its file, where it begins in the channel's bytes, and says whether to go on.
type Tell<'t> = &'t mut dyn FnMut(usize, u64, Element<'_>) -> bool;

impl ChannelFile<'_> {
    fn place(&self, channel: usize) -> Option<&ChannelPlace<'_>> {
        self.channels.get(channel).and_then(|index| self.places.get(*index))
    }

    /// Reads all its channels.
    ///
    /// `searches_input` says that input channels too may begin inside of an element.
    fn read(
        &self,
        storage: &dyn Storage,
        piece: u64,
        progress: &Progress,
        searches_input: bool,
    ) -> Vec<(ChannelRead, Option<Problem>)> {
        let leading = vec![Some(0); self.channels.len()];
        let mut read = vec![ChannelRead::default(); self.channels.len()];
        let pass = Pass { storage, piece, keep: 0, progress, leading: &leading };
        let ends = self.pass(pass, None, &mut |channel, _, element| {
            if let Some(read) = read.get_mut(channel) {
                read.elements.add(&element);
            }
            !progress.is_stopped()
        });
        let channels = read.into_iter().zip(ends).enumerate();
        let channels = channels.map(|(channel, (read, mut end))| {
            let read = ChannelRead { bytes: end.bytes, begins: BeginsWith::Element, ..read };
            if !end.is_whole() {
                return (read, end.problem.map(|(at, why)| Problem::Read(at, why)));
            }
            let is_input = self.place(channel).is_some_and(|place| place.direction == Direction::Input);
            let is_sure = read.elements.count() >= ENOUGH;
            match (end.problem.take(), end.reader.as_ref().map(ElementReader::end)) {
                (None, Some(tail)) if is_input || tail == Tail::Whole => {
                    (ChannelRead { tail: Some(tail), ..read }, None)
                }
                (None, Some(Tail::Inside { bytes, .. })) if is_sure => {
                    let at = end.place(end.bytes.saturating_sub(bytes));
                    let rule = "a subpartition ends with an element";
                    let error = FormatError::invalid(rule, format!("{bytes} bytes of one"), at);
                    (read, Some(Problem::Elements(at, error, false)))
                }
                (Some((at, ReadError::Format(error))), _) if is_sure || is_input && !searches_input => {
                    (read, Some(Problem::Elements(at, error, true)))
                }
                (problem, _) => self.search(channel, pass, read.bytes, is_input, problem),
            }
        });
        channels.collect()
    }

    /// Finds where the first whole element of a channel begins, and reads it from there.
    fn search(
        &self,
        channel: usize,
        pass: Pass<'_>,
        bytes: u64,
        is_input: bool,
        problem: Option<(u64, ReadError)>,
    ) -> (ChannelRead, Option<Problem>) {
        let not_understood = ChannelRead { bytes, tail: Some(Tail::Whole), ..ChannelRead::default() };
        let is_all = bytes <= SEARCHED;
        let bytes = self.bytes(channel, pass);
        let found = find_begin(&bytes, is_all && !is_input);
        if let Some(begin) = found {
            let mut read = ChannelRead {
                begins: BeginsWith::PartOfElement,
                leading_bytes: begin.leading as u64,
                ..not_understood
            };
            let leading: Vec<Option<u64>> = (0..self.channels.len())
                .map(|other| (other == channel).then_some(begin.leading as u64))
                .collect();
            let again = self.pass(Pass { leading: &leading, ..pass }, Some(channel), &mut |_, _, element| {
                read.elements.add(&element);
                true
            });
            let tail = again.get(channel).and_then(|going| Some(going.reader.as_ref()?.end()));
            if let Some(tail) = tail.filter(|tail| is_input || *tail == Tail::Whole) {
                return (ChannelRead { tail: Some(tail), ..read }, None);
            }
        }
        let problem = match problem {
            Some((at, ReadError::Format(error))) if is_input => Some(Problem::Elements(at, error, false)),
            // All of it may be inside of one element.
            _ => None,
        };
        (not_understood, problem)
    }

    /// The first bytes of a channel.
    fn bytes(&self, channel: usize, pass: Pass<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut window = Window::new(self, pass);
        let offsets = self.place(channel).map_or(&[][..], |place| &place.channel.offsets);
        for offset in offsets.iter().filter_map(|offset| u64::try_from(*offset).ok()) {
            let Ok(length) = window.chunk(offset, HEADER) else { break };
            let (mut at, end) =
                (offset.saturating_add(CHUNK_HEADER), offset.saturating_add(CHUNK_HEADER + length));
            while at < end {
                let Ok(bytes) = window.read(at, end) else { return out };
                at = at.saturating_add(bytes.len() as u64);
                out.extend_from_slice(&bytes);
                if out.len() as u64 >= SEARCHED {
                    return out;
                }
            }
        }
        out
    }

    /// Goes over the buffers of its channels, or of one of them, and tells their elements.
    fn pass(&self, pass: Pass<'_>, only: Option<usize>, tell: Tell<'_>) -> Vec<Going> {
        let mut chunks: Vec<(i64, usize)> = Vec::new();
        let mut going: Vec<Going> = Vec::with_capacity(self.channels.len());
        for (channel, leading) in (0..self.channels.len()).zip(pass.leading) {
            let place = self.place(channel).filter(|_| only.is_none_or(|only| only == channel));
            let offsets = place.map_or(&[][..], |place| &place.channel.offsets);
            chunks.extend(offsets.iter().map(|offset| (*offset, channel)));
            let mut state = Going {
                reader: leading.map(|leading| ElementReader::new(leading, pass.keep)),
                skip: leading.unwrap_or(0),
                bytes: 0,
                begins: Vec::new(),
                missing: offsets.len(),
                is_cut: false,
                problem: None,
            };
            if let Some(pair) = offsets.windows(2).find(|pair| pair.first() >= pair.last()) {
                let at = pair.last().map_or(0, |at| u64::try_from(*at).unwrap_or(0));
                let rule = "buffers of a channel lie in the order of delivery";
                state.cut(at, FormatError::invalid(rule, "another order", at).into());
            }
            going.push(state);
        }
        chunks.sort_unstable();
        let mut window = Window::new(self, pass);
        let (mut end, mut held) = (HEADER, 0_usize);
        for (offset, channel) in chunks {
            let Some(state) = going.get_mut(channel) else { continue };
            if state.is_cut {
                continue;
            }
            if pass.progress.is_stopped() {
                break;
            }
            let begin = u64::try_from(offset).unwrap_or(0);
            let length = match window.chunk(begin, end) {
                Ok(length) => length,
                Err(error) => {
                    // What one channel's buffers are called does not say where those of others are; that a store fails does.
                    let is_storage = matches!(error, ReadError::Storage(_));
                    state.cut(begin, error);
                    if is_storage {
                        break;
                    }
                    continue;
                }
            };
            let mut at = begin.saturating_add(CHUNK_HEADER);
            end = at.saturating_add(length);
            state.begins.push((state.bytes, at));
            while at < end {
                let bytes = match window.read(at, end) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        state.cut(at, error);
                        return going;
                    }
                };
                at = at.saturating_add(bytes.len() as u64);
                state.bytes = state.bytes.saturating_add(bytes.len() as u64);
                let skipped = usize::try_from(state.skip).unwrap_or(usize::MAX).min(bytes.len());
                state.skip -= skipped as u64;
                let Some(reader) = &mut state.reader else { continue };
                let before = reader.held();
                let mut goes_on = true;
                let fed = reader.feed(bytes.get(skipped..).unwrap_or_default(), &mut |at, element| {
                    goes_on = goes_on && tell(channel, at, element);
                });
                held = held.saturating_sub(before).saturating_add(reader.held());
                if held > pass.keep.max(1 << 20) {
                    held = held.saturating_sub(reader.held());
                    reader.forget();
                    held = held.saturating_add(reader.held());
                }
                if let Err(error) = fed {
                    state.fails(error);
                }
                if !goes_on {
                    return going;
                }
            }
            state.missing -= 1;
        }
        going
    }

    /// What is wrong with a channel, in words.
    fn finding(&self, snapshot: &Snapshot, place: &ChannelPlace<'_>, problem: Problem) -> Option<Finding> {
        let operator = snapshot.operators.get(place.operator)?;
        let channel = match place.direction {
            Direction::Input => {
                format!("channel {} of input gate {}", place.channel.channel, place.channel.gate)
            }
            Direction::Output => {
                format!("subpartition {} of result partition {}", place.channel.channel, place.channel.gate)
            }
        };
        let remedy =
            "if the file was copied, copy it again; as it is, Flink fails when it restores this channel";
        let finding = match problem {
            Problem::Read(at, ReadError::Storage(error)) => {
                let what = format!("in-flight data of {channel}");
                unreadable(&what, Some(error.kind()), &error.to_string()).at(at)
            }
            Problem::Read(at, ReadError::Format(error)) => {
                let message = format!("the buffers of {channel} cannot be read: {error}");
                Finding::error("channel_damaged", message, remedy).at(at)
            }
            Problem::Elements(at, error, is_sure) => {
                let message = format!("the buffers of {channel} do not hold what a channel does: {error}");
                let finding = Finding::error("channel_damaged", message, remedy).at(at);
                if is_sure { finding } else { finding.meaning(Effect::Unknown) }
            }
        };
        Some(finding.in_file(&self.name).of(owner(operator, place.subtask)).about(About::File(self.file)))
    }
}

/// The bytes of a file, in pieces.
struct Window<'w> {
    file: &'w ChannelFile<'w>,
    pass: Pass<'w>,
    bytes: Bytes,
    at: u64,
}

impl<'w> Window<'w> {
    fn new(file: &'w ChannelFile<'w>, pass: Pass<'w>) -> Self {
        Self { file, pass, bytes: Bytes::new(), at: 0 }
    }

    /// What lies at an offset before some other: at least a byte.
    fn read(&mut self, at: u64, end: u64) -> Result<Bytes, ReadError> {
        if !(self.at..self.at.saturating_add(self.bytes.len() as u64)).contains(&at) {
            let most = self.file.source.piece(self.pass.piece).max(1);
            let to = at.saturating_add(most).min(self.file.size).max(at.saturating_add(1));
            self.bytes = Bytes::new();
            self.bytes = self.file.source.read(self.pass.storage, at..to)?;
            self.at = at;
            self.pass.progress.bytes.fetch_add(to - at, Ordering::Relaxed);
        }
        let from = usize::try_from(at.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let to = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(if from < to { self.bytes.slice(from..to) } else { Bytes::new() })
    }

    /// The length of the data of a buffer, which must not begin before `end`.
    fn chunk(&mut self, begin: u64, end: u64) -> Result<u64, ReadError> {
        if begin < end {
            let rule = "buffers do not overlap, and lie behind the version";
            return Err(FormatError::invalid(rule, format!("one at {begin}, before {end}"), begin).into());
        }
        let data = begin.saturating_add(CHUNK_HEADER);
        if data > self.file.size {
            let rule = "buffers lie in their file";
            return Err(
                FormatError::invalid(rule, format!("one at {begin} of {}", self.file.size), begin).into()
            );
        }
        let mut length = Vec::new();
        while length.len() < CHUNK_HEADER as usize {
            length.extend_from_slice(&self.read(begin.saturating_add(length.len() as u64), data)?);
        }
        Ok(chunk_length(&length, begin, self.file.size - data)?)
    }
}
