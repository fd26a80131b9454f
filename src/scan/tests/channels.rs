//! Channels as a naive writer puts them into files, whatever lies where.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::channels::{read_channels, write_channels};
use super::*;
use crate::analyzers::channels::{BeginsWith, ChannelRead, JsonLimits, RecordWriter};
use crate::model::{Channel, ChannelState, Finding, Subtask};

/// A channel: whether it is of the output, what it begins with, its records, and how large its buffers are.
type MadeChannel = (bool, Vec<u8>, Vec<Vec<u8>>, usize);

fn made() -> impl Strategy<Value = Vec<MadeChannel>> {
    let records = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..14);
    // No byte of the rest of a record is one of a length that is possible here.
    let rest = prop_oneof![Just(Vec::new()), proptest::collection::vec(200_u8.., 1..40)];
    proptest::collection::vec((any::<bool>(), rest, records, 1_usize..120), 1..6)
}

fn stream(records: &[Vec<u8>]) -> Vec<u8> {
    let record = |record: &Vec<u8>| {
        let length = u32::try_from(record.len() + 1).unwrap().to_be_bytes();
        [&length[..], &[1], record].concat()
    };
    records.iter().flat_map(record).collect()
}

/// One file with the buffers of all channels in turn, and the snapshot that names it.
fn world(
    channels: &[MadeChannel],
    kept: bool,
) -> (Snapshot, HashMap<FileId, Source>, Metered<MemoryStorage>) {
    let mut file = vec![0; 4];
    let mut offsets: Vec<Vec<i64>> = vec![Vec::new(); channels.len()];
    let streams: Vec<Vec<u8>> =
        channels.iter().map(|(_, rest, records, _)| [&rest[..], &stream(records)].concat()).collect();
    let mut buffers: Vec<_> =
        streams.iter().zip(channels).map(|(bytes, (_, _, _, size))| bytes.chunks(*size)).collect();
    let mut going = true;
    while going {
        going = false;
        for (buffers, offsets) in buffers.iter_mut().zip(&mut offsets) {
            let Some(buffer) = buffers.next() else { continue };
            offsets.push(i64::try_from(file.len()).unwrap());
            file.extend(u32::try_from(buffer.len()).unwrap().to_be_bytes());
            file.extend_from_slice(buffer);
            going = true;
        }
    }
    let mut subtask = Subtask::default();
    for (number, ((is_output, ..), offsets)) in (0..).zip(channels.iter().zip(offsets)) {
        let channel = Channel { gate: 0, channel: number, bytes: 0, offsets: offsets.into() };
        let handle = ChannelState { channels: vec![channel], bytes: 0, stream: Some(FileId(0)) };
        let list = if *is_output { &mut subtask.result_subpartitions } else { &mut subtask.input_channels };
        list.push(handle);
    }
    let operator = Operator {
        id: OperatorId::from_uid("x"),
        name: None,
        uid: None,
        parallelism: 1,
        max_parallelism: 128,
        coordinator: None,
        fully_finished: false,
        subtasks: vec![subtask],
    };
    let size = file.len() as u64;
    let location = Location::parse("s3://b/channels").unwrap();
    let storage = Metered::with_log(MemoryStorage::new());
    storage.inner().put(&location, file.clone());
    let bytes = Bytes::from(file);
    let kept = kept.then(|| crate::readers::source::Kept { offset: 0, bytes });
    let source = Source::Object { location, start: 0, kept };
    let snapshot = Snapshot {
        metadata_version: 6,
        metadata_bytes: 0,
        checkpoint_id: 1,
        kind: SnapshotKind::Unknown,
        operators: vec![operator],
        master_states: Vec::new(),
        tally: Tally::default(),
        files: vec![StateFile {
            place: Place::Uri("s3://b/channels".into()),
            size,
            role: FileRole::Channel,
            uses: 1,
        }],
    };
    (snapshot, HashMap::from([(FileId(0), source)]), storage)
}

const OPTIONS: ScanOptions = ScanOptions { threads: 1, memory: 1, checksums: true, requests: 1 };

fn read(
    world: &(Snapshot, HashMap<FileId, Source>, Metered<MemoryStorage>),
) -> (Vec<ChannelRead>, Vec<Finding>) {
    let (snapshot, tables, storage) = world;
    let read = read_channels(storage, snapshot, tables, OPTIONS, &Progress::default(), &|_| true).unwrap();
    (read.channels, read.findings)
}

proptest! {
    #[test]
    fn records_are_counted_wherever_buffers_end(channels in made()) {
        // What flows into a task begins with an element.
        let channels: Vec<MadeChannel> = channels
            .into_iter()
            .map(|(is_output, rest, records, size)| (is_output, if is_output { rest } else { Vec::new() }, records, size))
            .collect();
        let world = world(&channels, false);
        let (found, findings) = read(&world);
        prop_assert!(findings.is_empty(), "{findings:#?}");
        let requests = world.2.meter().take_log().len();
        // Inputs come first.
        let inputs = channels.iter().filter(|channel| !channel.0);
        let in_order: Vec<_> = inputs.chain(channels.iter().filter(|channel| channel.0)).collect();
        let again = in_order.iter().filter(|channel| !channel.1.is_empty()).count();
        prop_assert!(again > 0 || requests <= 1, "{requests} for one file");
        let mut lines = 0;
        for (found, (_, rest, records, _)) in found.iter().zip(&in_order) {
            if rest.is_empty() || !records.is_empty() {
                prop_assert_eq!(found.leading_bytes, rest.len() as u64);
                prop_assert_eq!(found.elements.records, records.len() as u64);
                prop_assert_eq!(found.elements.record_bytes, records.iter().map(|r| r.len() as u64).sum::<u64>());
                prop_assert_eq!(found.begins == BeginsWith::Element, rest.is_empty());
                lines += records.len();
            } else {
                // It may be the end of an element, or nothing of the kind.
                prop_assert_eq!((found.begins, found.elements.records), (BeginsWith::Unknown, 0));
            }
            prop_assert!(found.tail.is_some());
        }
        let (snapshot, tables, storage) = &world;
        let limits = JsonLimits::default();
        let writer = RecordWriter::new(snapshot, None, limits, u64::MAX);
        let mut text = Vec::new();
        let options = ScanOptions { memory: 1 << 20, ..OPTIONS };
        let (printed, findings) = write_channels(storage, snapshot, tables, options, &found, writer, &mut |new| {
            text.extend_from_slice(new);
            true
        });
        prop_assert!(findings.is_empty());
        prop_assert_eq!(printed.elements, lines as u64);
        prop_assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), lines);
        let text = String::from_utf8(text).unwrap();
        for record in in_order.iter().filter(|c| c.1.is_empty() || !c.2.is_empty()).flat_map(|c| &c.2) {
            let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
            let value = format!("{{\"$opaque\":\"{hex}\",\"bytes\":{}", record.len());
            prop_assert!(text.contains(&value), "{}", value);
        }
    }

    #[test]
    fn a_file_with_wrong_bytes_is_read(channels in made(), at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<bool>()) {
        let (snapshot, tables, storage) = world(&channels, false);
        let location = Location::parse("s3://b/channels").unwrap();
        let mut bytes = storage.inner().read_range(&location, 0..snapshot.files[0].size).unwrap().to_vec();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        storage.inner().put(&location, bytes);
        let (found, _) = read(&(snapshot, tables, storage));
        prop_assert!(found.iter().all(|found| found.elements.count() < 10_000));
    }
}

#[test]
fn what_is_kept_is_not_asked_for() {
    let channels = vec![(false, Vec::new(), vec![vec![7; 50]; 20], 64)];
    let world = world(&channels, true);
    let (found, findings) = read(&world);
    assert!(findings.is_empty() && found[0].elements.records == 20);
    assert!(world.2.meter().take_log().is_empty());
}

#[test]
fn buffers_that_cannot_be_are_findings() {
    let channels =
        vec![(false, Vec::new(), vec![vec![7; 50]; 20], 200), (true, Vec::new(), vec![vec![8; 9]; 9], 30)];
    for change in [
        (|offsets: &mut [i64]| offsets.swap(0, 1)) as fn(&mut [i64]),
        |offsets| offsets[1] = offsets[0],
        |offsets| offsets[1] = offsets[0] + 1,
        |offsets| offsets[0] = -1,
        |offsets| offsets[0] = 3,
        |offsets| *offsets.last_mut().unwrap() = i64::MAX,
    ] {
        let mut world = world(&channels, false);
        change(&mut world.0.operators[0].subtasks[0].input_channels[0].channels[0].offsets);
        let (found, findings) = read(&world);
        let [finding] = &findings[..] else { panic!("{findings:#?}") };
        assert_eq!(finding.code, "channel_damaged");
        assert!(finding.about.is_some() && finding.part.is_some() && finding.file.is_some(), "{finding:?}");
        assert_eq!(found[0].tail, None);
        assert_eq!((found[1].elements.records, found[1].tail.is_some()), (9, true), "the other is read");
    }
}
