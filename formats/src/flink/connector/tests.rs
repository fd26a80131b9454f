//! Bytes of connectors, built by hand from their serializers' sources, unless a test says who wrote them.

use super::legacy::{ConsumedPartition, consumed_partition, producer_state, sequence_number, xa_sink_state};
use super::*;
use crate::error::{Error, Result};
use crate::java::mutf8;

/// Bytes in the making.
#[derive(Default, Clone)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn new() -> Self {
        Self::default()
    }
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn i16(self, n: i16) -> Self {
        self.raw(&n.to_be_bytes())
    }
    fn i32(self, n: i32) -> Self {
        self.raw(&n.to_be_bytes())
    }
    fn u32(self, n: u32) -> Self {
        self.raw(&n.to_be_bytes())
    }
    fn i64(self, n: i64) -> Self {
        self.raw(&n.to_be_bytes())
    }
    fn bool(self, flag: bool) -> Self {
        self.raw(&[flag.into()])
    }
    fn utf(self, text: &str) -> Self {
        let bytes = mutf8::encode(text);
        self.raw(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).raw(&bytes)
    }
    /// A length and the bytes.
    fn sized(self, bytes: &Self) -> Self {
        self.i32(i32::try_from(bytes.0.len()).unwrap()).raw(&bytes.0)
    }
    /// A list of one version.
    fn list(self, version: i32, items: &[Self]) -> Self {
        let begin = self.i32(version).i32(i32::try_from(items.len()).unwrap());
        items.iter().fold(begin, |bytes, item| bytes.sized(item))
    }
    /// As `StringUtils.writeNullableString` does, ASCII only.
    fn nullable(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.bool(true).raw(&[u8::try_from(text.len() + 1).unwrap()]).raw(text.as_bytes()),
            None => self.bool(false),
        }
    }
    fn of(&self, version: i32) -> Versioned<'_> {
        Versioned { version, bytes: &self.0, offset: 1000 }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn kafka(topic: &str, partition: i32, start: i64, stop: i64) -> Bytes {
    Bytes::new().utf(topic).i32(partition).i64(start).i64(stop)
}

fn kafka_split(topic: &str, partition: i32, start: Option<i64>, stop: Option<i64>) -> Split {
    let topic = topic.to_owned();
    Split::Kafka(KafkaSplit { cluster: None, topic, partition, start, stop, retained_until_ms: None })
}

fn shard() -> Bytes {
    let begin = Bytes::new().utf("arn:aws:kinesis:eu-west-1:1:stream/s").utf("shardId-000000000001");
    begin.utf("AFTER_SEQUENCE_NUMBER").bool(true).bool(false).bool(true).utf("4959")
}

fn file(times: bool) -> Bytes {
    let path = Bytes::new().utf("0000000001").bool(true).nullable(Some("s3")).nullable(None);
    let path =
        path.nullable(Some("bucket")).i32(-1).nullable(Some("/in/a.csv")).nullable(None).nullable(None);
    let bytes = path.i64(100).i64(5000);
    let bytes = if times { bytes.i64(1_700_000_000_000).i64(9000) } else { bytes };
    bytes.i32(1).utf("localhost").bool(true).i64(-1).i64(42)
}

fn numbers(id: &str, from: i64, to: i64) -> Bytes {
    Bytes::new().utf(id).i64(from).i64(to)
}

fn iceberg(version: i32) -> Bytes {
    let bytes = Bytes::new().i32(1).i64(77).i32(2);
    ["{\"data-file\":1}", "{}"].iter().fold(bytes, |bytes, task| match version {
        2 => bytes.utf(task),
        _ => bytes.sized(&Bytes::new().raw(task.as_bytes())),
    })
}

/// A split of each connector in each of its versions, and whose it is.
fn splits() -> Vec<(Connector, i32, Bytes)> {
    use Connector as C;
    let kinesis_1 = shard().i32(1).utf("shardId-000000000000").utf("0").utf("340282");
    let kinesis = kinesis_1.clone().bool(true);
    let begin = Bytes::new().utf("arn:aws:dynamodb:eu-west-1:1:table/t/stream/1").utf("shardId-1");
    let dynamodb = begin.utf("TRIM_HORIZON").bool(true).bool(true).utf("7").bool(true).utf("shardId-0");
    let dynamodb_1 = dynamodb.clone().bool(false);
    let dynamodb_2 = dynamodb_1.clone().i32(1).utf("shardId-2").utf("shardId-1").utf("1").bool(false);
    let inner = kafka("orders", 3, 41, i64::MIN);
    let hybrid = Bytes::new().i32(1).utf("orders-3").i32(0).sized(&inner);
    let dynamic = Bytes::new().utf("cluster-a").i32(0).raw(&inner.0);
    let retained = Bytes::new().utf("cluster-a").bool(true).i64(5).i32(0).raw(&inner.0);
    vec![
        (C::Kafka, 0, inner),
        (C::DynamicKafka, 1, dynamic),
        (C::DynamicKafka, 2, retained),
        (C::Kinesis, 0, shard()),
        (C::Kinesis, 1, kinesis_1),
        (C::Kinesis, 2, kinesis),
        (C::DynamoDbStreams, 0, dynamodb),
        (C::DynamoDbStreams, 1, dynamodb_1),
        (C::DynamoDbStreams, 2, dynamodb_2),
        (C::Files, 1, file(true)),
        (C::Files, 1, file(false)),
        (C::Numbers, 1, numbers("2", 17, 1000)),
        (C::Hybrid, 0, hybrid.clone()),
        (C::Hybrid, 1, hybrid.bool(false)),
        (C::Iceberg, 2, iceberg(2)),
        (C::Iceberg, 3, iceberg(3)),
    ]
}

#[test]
fn each_split_is_recognized_as_its_connectors() {
    for (connector, version, bytes) in splits() {
        let split = bytes.of(version);
        assert_eq!(Connector::of_splits([split].into_iter()), Some(connector), "{connector:?} {version}");
        connector.split(split).unwrap();
    }
    assert_eq!(Connector::of_splits(std::iter::empty()), None);
    let unknown = Bytes::new().utf("events-split-0").i64(150);
    assert_eq!(Connector::of_splits([unknown.of(3)].into_iter()), None);
}

#[test]
fn damaged_splits_do_not_hide_whose_they_are() {
    let good = kafka("orders", 3, 41, i64::MIN);
    let bad = Bytes::new().raw(&good.0[..good.0.len() - 1]);
    let splits = [bad.of(0), good.of(0), bad.of(0)];
    assert_eq!(Connector::of_splits(splits.into_iter()), Some(Connector::Kafka));
    assert!(Connector::Kafka.split(bad.of(0)).unwrap_err().offset() >= 1000);
}

#[test]
fn offsets_of_kafka_are_told_apart() {
    let split = |start, stop| Connector::Kafka.split(kafka("t", 0, start, stop).of(0)).unwrap();
    assert_eq!(split(7, i64::MIN), kafka_split("t", 0, Some(7), None));
    assert_eq!(split(-2, -1), kafka_split("t", 0, Some(-2), Some(-1)));
    assert_eq!(split(i64::MIN, -3), kafka_split("t", 0, None, Some(-3)));
    let names: Vec<_> = [-1, -2, -3, 0].into_iter().map(kafka_offset_name).collect();
    assert_eq!(names, [Some("latest"), Some("earliest"), Some("committed"), None]);
    for (topic, partition, start) in [("", 0, 0), ("a b", 0, 0), ("t", -1, 0), ("t", 0, -4)] {
        Connector::Kafka.split(kafka(topic, partition, start, 0).of(0)).unwrap_err();
    }
}

#[test]
fn positions_in_files_shards_and_hybrids() {
    let split = |i: usize| {
        let (connector, version, bytes) = splits().swap_remove(i);
        connector.split(bytes.of(version)).unwrap()
    };
    let expected = FileSplit {
        id: "0000000001".to_owned(),
        path: "s3://bucket/in/a.csv".to_owned(),
        offset: 100,
        length: 5000,
        modified_ms: Some(1_700_000_000_000),
        file_size: Some(9000),
        position: Some((-1, 42)),
    };
    assert_eq!(split(9), Split::File(expected.clone()));
    assert_eq!(split(10), Split::File(FileSplit { modified_ms: None, file_size: None, ..expected }));
    let Split::Kinesis(shard) = split(5) else { panic!() };
    assert_eq!((shard.sequence_number.as_deref(), shard.finished), (Some("4959"), Some(true)));
    assert_eq!(shard.parents, ["shardId-000000000000"]);
    let Split::DynamoDb(shard) = split(8) else { panic!() };
    assert_eq!((shard.iterator.as_str(), shard.finished), ("TRIM_HORIZON", Some(false)));
    let Split::Hybrid(hybrid) = split(13) else { panic!() };
    assert_eq!((hybrid.source_index, hybrid.finished), (1, Some(false)));
    let inner = kafka_split("orders", 3, Some(41), None);
    assert_eq!(hybrid.split, Some((Connector::Kafka, Box::new(inner))));
    let Split::Iceberg(iceberg) = split(15) else { panic!() };
    assert_eq!((iceberg.file_offset, iceberg.record_offset, iceberg.tasks.len()), (1, 77, 2));
}

/// An enumerator of each connector in each of its versions.
fn enumerators() -> Vec<(Connector, i32, Bytes)> {
    use Connector as C;
    let split = kafka("orders", 3, 41, i64::MIN);
    let listed = Bytes::new().i32(1).utf("orders").i32(3);
    let files = Bytes::new().raw(&0xDEAD_BEEFu32.to_le_bytes()).raw(&1u32.to_le_bytes());
    let files = files.raw(&1u32.to_le_bytes()).raw(&1u32.to_le_bytes());
    let files = files.raw(&u32::try_from(file(true).0.len()).unwrap().to_le_bytes()).raw(&file(true).0);
    let files = files.raw(&9u32.to_le_bytes()).raw(b"/in/b.csv");
    let (_, _, dynamodb) = splits().swap_remove(8);
    vec![
        (C::Kafka, 0, Bytes::new().i32(1).i32(0).i32(0).i32(1).sized(&split)),
        (C::Kafka, 1, listed.clone()),
        (C::Kafka, 2, listed.i32(1).bool(false)),
        (C::Kafka, 3, Bytes::new().i32(2).i32(0).sized(&split).i32(0).sized(&split).i32(1).bool(true)),
        (C::Kinesis, 0, Bytes::new().bool(false).i32(1).i32(0).sized(&shard())),
        (C::Kinesis, 1, Bytes::new().bool(true).utf("shardId-1").i32(1).i32(0).sized(&shard()).i32(0)),
        (C::DynamoDbStreams, 0, Bytes::new().i32(1).i32(2).sized(&dynamodb).i32(2).i64(1_700_000_000_000)),
        (C::Files, 1, files),
        (C::Numbers, 1, Bytes::new().i32(1).raw(&numbers("1", 1, 9).0)),
    ]
}

#[test]
fn each_enumerator_is_recognized_as_its_connectors() {
    let counts: Vec<_> = enumerators()
        .iter()
        .map(|(connector, version, bytes)| {
            let (found, state) = Connector::of_enumerator(bytes.of(*version)).unwrap();
            assert_eq!(found, *connector);
            (state.assigned.len(), state.unassigned.len(), state.finished.len())
        })
        .collect();
    let expected =
        [(1, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 0)];
    assert_eq!(counts, expected);
    // Nothing in it tells whose it is.
    assert_eq!(Connector::of_enumerator(Bytes::new().i32(0).of(1)), None);
    let empty = Connector::Kafka.enumerator(Bytes::new().i32(0).of(1)).unwrap().unwrap();
    assert_eq!(empty, Enumerator { discovered: Some(true), ..Enumerator::default() });
    let hybrid = Bytes::new().i32(1).i32(1).sized(&Bytes::new().i32(1).utf("orders").i32(3));
    let hybrid = Connector::Hybrid.enumerator(hybrid.of(0)).unwrap().unwrap();
    assert_eq!((hybrid.source_index, hybrid.assigned.len()), (Some(1), 1));
}

#[test]
fn a_coordinator_holds_an_enumerator() {
    let bytes = Bytes::new().i32(1).i32(3).sized(&Bytes::new().raw(b"abc"));
    let state = CoordinatorState::parse(&bytes.0, 50).unwrap();
    assert_eq!(state.enumerator, Versioned { version: 3, bytes: b"abc", offset: 62 });
    let longer = bytes.clone().i32(0);
    assert_eq!(CoordinatorState::parse(&longer.0, 50).unwrap_err().offset(), 65);
    let mut old = longer;
    old.0[3] = 0;
    assert_eq!(CoordinatorState::parse(&old.0, 50).unwrap().version, 0);
    old.0[3] = 2;
    CoordinatorState::parse(&old.0, 50).unwrap_err();
}

fn request(committable: &Bytes, version: i32, retries: i32, state: i32) -> Bytes {
    Bytes::new().i32(version).sized(committable).i32(retries).i32(state)
}

/// The state of a committer of Flink 1.15, 1.20 and 2.x.
fn collectors(committable: &Bytes, version: i32) -> [Bytes; 3] {
    let requests = [request(committable, version, 0, 0), request(committable, version, 2, 1)];
    let list = Bytes::new().list(0, &requests);
    let subtasks = [
        list.clone().i32(2).i32(0).i32(1),
        Bytes::new().i32(5).raw(&list.0).i32(2).i32(0).i32(1),
        Bytes::new().i32(5).raw(&list.0).i32(2).i32(1),
    ];
    let mut version = -1;
    subtasks.map(|subtask| {
        version += 1;
        let begin = if version == 0 { Bytes::new().i64(9) } else { Bytes::new().i64(9).i32(2) };
        let checkpoint = begin.list(version, &[subtask]);
        Bytes::new().u32(0xB91F_252C).list(version.min(1), &[checkpoint])
    })
}

fn kafka_committable() -> Bytes {
    Bytes::new().i16(3).i64(4000).utf("sink-0-9")
}

#[test]
fn committables_of_all_versions() {
    let committable = kafka_committable();
    for (i, bytes) in collectors(&committable, 1).iter().enumerate() {
        let state = Committables::parse(bytes.of(2)).unwrap();
        let [checkpoint] = state.checkpoints.as_slice() else { panic!() };
        assert_eq!((checkpoint.checkpoint_id, checkpoint.writers), (9, (i > 0).then_some(2)));
        let [subtask] = checkpoint.subtasks.as_slice() else { panic!() };
        assert_eq!((subtask.subtask, subtask.committables, subtask.failed), ((i > 0).then_some(5), 2, 1));
        let requests: Vec<_> = subtask.requests.iter().map(|r| (r.retries, r.state)).collect();
        assert_eq!(requests, [(0, "received"), (2, "retry")]);
        let transactional_id = "sink-0-9".to_owned();
        let kafka = KafkaCommittable { producer_id: 4000, epoch: 3, transactional_id };
        let recognized = Committable::recognize(subtask.requests[0].committable);
        assert_eq!(recognized, Some(Committable::Kafka(kafka)));
        let global = Bytes::new().u32(0xB91F_252B).bool(true).list(4, &[Bytes::new().raw(b"g")]);
        let global = global.i32(2).sized(bytes);
        let state = Committables::parse(global.of(2)).unwrap();
        assert_eq!((state.global.len(), state.checkpoints.len()), (1, 1));
    }
    let old = Bytes::new().u32(0xB91F_252C).list(1, &[committable]);
    assert_eq!(Committables::parse(old.of(1)).unwrap().legacy.len(), 1);
    Committables::parse(old.of(3)).unwrap_err();
    Committables::parse(old.of(2)).unwrap_err();
}

fn local(path: &str, size: u64) -> Bytes {
    let temporary = format!("{path}.inprogress");
    let bytes = Bytes::new().raw(&0x1E74_4B57u32.to_le_bytes()).raw(&size.to_le_bytes());
    let bytes = bytes.raw(&u32::try_from(path.len()).unwrap().to_le_bytes());
    let bytes = bytes.raw(&u32::try_from(temporary.len()).unwrap().to_le_bytes());
    bytes.raw(path.as_bytes()).raw(temporary.as_bytes())
}

fn in_progress(version: i32) -> Bytes {
    let bytes = Bytes::new().u32(0xB3A4_073D);
    let bytes = if version == 2 { bytes.bool(true).utf("/out/b/part-0") } else { bytes };
    bytes.i32(1).sized(&local("/out/b/part-0", 12))
}

fn pending(version: i32) -> Bytes {
    let bytes = Bytes::new().u32(0x2C85_3C89);
    let bytes = if version == 2 { bytes.bool(false).i64(-1) } else { bytes };
    bytes.i32(1).sized(&local("/out/b/part-1", 34))
}

fn bucket(version: i32) -> Bytes {
    let bytes = Bytes::new().u32(0x1E76_4B79).i32(1).sized(&Bytes::new().raw(b"b"));
    let bytes = bytes.utf("/out/b").i64(1_700_000_000_000).bool(true);
    let (open, done) = match version {
        1 => (Bytes::new().i32(1).sized(&local("/out/b/part-0", 12)), local("/out/b/part-1", 34)),
        2 => (Bytes::new().i32(1).sized(&in_progress(1)), pending(1)),
        _ => return bytes.i32(2).sized(&in_progress(2)),
    };
    bytes.raw(&open.0).i32(1).i32(1).i64(8).i32(1).sized(&done)
}

#[test]
fn sinks_of_files() {
    for version in 1..=3 {
        let state = bucket(version);
        let Some(WriterState::File(bucket)) = WriterState::recognize(state.of(version)) else {
            panic!("{version}")
        };
        assert_eq!((bucket.id.as_deref(), bucket.path.as_str()), (Some("b"), "/out/b"));
        let open = bucket.in_progress.unwrap();
        assert_eq!((open.path.as_deref(), open.size), (Some("/out/b/part-0"), Some(12)));
        let done: Vec<_> = bucket.pending.iter().map(|(cp, part)| (*cp, part.size)).collect();
        assert_eq!(done, if version < 3 { vec![(8, Some(34))] } else { Vec::new() });
    }
    for version in 1..=2 {
        let bytes = committable_of_files(version);
        let Some(Committable::File(file)) = Committable::recognize(bytes.of(version)) else { panic!() };
        assert_eq!(file.pending.unwrap().path.as_deref(), Some("/out/b/part-1"));
        assert!(file.to_clean_up.is_none());
        assert_eq!(file.compacted.as_deref(), (version == 2).then_some("/out/b/old"));
    }
}

fn committable_of_files(version: i32) -> Bytes {
    let bytes = Bytes::new().u32(0x1E76_5C80);
    let bytes = if version == 2 { bytes.utf("b") } else { bytes };
    let bytes = bytes.bool(true).i32(version).sized(&pending(version)).bool(false);
    if version == 2 { bytes.bool(true).utf("/out/b/old") } else { bytes }
}

fn xid() -> Bytes {
    let global = Bytes::new().raw(&[7; 16]).i32(2);
    let branch = Bytes::new().i32(4).i64(99);
    Bytes::new().i32(202).raw(&[20]).raw(&global.0).raw(&[12]).raw(&branch.0)
}

/// What `TransactionId.serialize` hands out, with its buffer's zeros.
fn transaction() -> Bytes {
    let bytes = Bytes::new().raw(&[7; 16]).i32(2).i32(4).i64(99).i32(1).raw(&[0; 32]);
    Bytes::new().raw(&[u8::try_from(bytes.0.len()).unwrap()]).raw(&bytes.0)
}

fn iceberg_committable() -> Bytes {
    Bytes::new().utf(&"a".repeat(32)).utf(&"b".repeat(32)).i64(9).sized(&Bytes::new().raw(&[1; 40]))
}

#[test]
fn sinks_of_kafka_jdbc_and_iceberg() {
    let Some(Committable::Iceberg(iceberg)) = Committable::recognize(iceberg_committable().of(1)) else {
        panic!()
    };
    assert_eq!((iceberg.checkpoint_id, iceberg.manifest_bytes), (9, 40));
    let with_zeros = xid().raw(&[0; 9]);
    let Some(Committable::Xa(xa)) = Committable::recognize(with_zeros.of(1)) else { panic!() };
    assert_eq!((xa.checkpoint_id, xa.subtask), (Some(99), Some(2)));
    assert!(xa.id.starts_with("202:0707"), "{}", xa.id);
    let state = Bytes::new().i32(0).i32(1).raw(&transaction().0).raw(&[0; 5]);
    let Some(WriterState::Xa(state)) = WriterState::recognize(state.of(2)) else { panic!() };
    assert_eq!((state.hanging.len(), state.prepared[0].checkpoint_id), (0, Some(99)));
    let legacy = Bytes::new().i32(1).raw(&xid().0).i32(1).i64(98).i32(3).raw(&xid().0);
    let state = xa_sink_state(&legacy.0, 0).unwrap();
    assert_eq!((state.hanging.len(), state.prepared[0].attempts), (1, Some(3)));
    let writer = Bytes::new().utf("sink").i32(1).i32(4).i32(1).i32(1).utf("sink-1-9").i64(9);
    let Some(WriterState::Kafka(state)) = WriterState::recognize(writer.of(2)) else { panic!() };
    assert_eq!(state.owned, Some((1, 4, "explicit_by_writer_state")));
    assert_eq!(state.precommitted, [("sink-1-9".to_owned(), 9)]);
    let writer = Bytes::new().utf("sink");
    assert!(matches!(WriterState::recognize(writer.of(1)), Some(WriterState::Kafka(_))));
    let buffered = Bytes::new().i64(-1).i32(2).i64(3).raw(b"abc").i64(1).raw(b"d");
    let expected = WriterState::Buffered { requests: 2, bytes: 20 };
    assert_eq!(WriterState::recognize(buffered.of(1)), Some(expected));
    assert_eq!(WriterState::recognize(Bytes::new().i32(7).of(1)), None);
}

/// What Flink 1.13 and 1.20's `KryoSerializer` wrote for a class with the name and the fields of the connector's own.
const CONSUMED: [(&str, &str, i32, i64); 3] = [
    ("5701839998ff0806016f72646572f30000000000000029", "orders", 3, 41),
    ("5701fe2e000182610000000000000029", "a", 0, 41),
    (
        "57018dedbbb607f2c00101c70174747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474747474ffffff2ad0922891",
        "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt",
        12345,
        -915_623_761_775,
    ),
];

/// As [`CONSUMED`].
const SEQUENCES: [(&str, &str, i64); 2] = [
    (
        "5701badab7af070134393539303333383237313439303235363630383535393639323533383336313537313039353932313537353938393133363538383839b801",
        "49590338271490256608559692538361571095921575989136588898",
        -1,
    ),
    (
        "5701fbc6b3f7020153454e54494e454c5f5452494d5f484f52495a4fce8098dc9334",
        "SENTINEL_TRIM_HORIZON",
        7_000_000_000,
    ),
];

#[test]
fn states_of_connectors_from_before_that_kryo_wrote() {
    for (hex, topic, partition, offset) in CONSUMED {
        let topic = topic.to_owned();
        let expected = ConsumedPartition { topic, partition, offset };
        assert_eq!(consumed_partition(&unhex(hex), 0).unwrap(), expected);
    }
    assert_eq!(legacy::consumer_offset_name(CONSUMED[2].3), Some("earliest"));
    for (hex, number, sub_sequence_number) in SEQUENCES {
        let found = sequence_number(&unhex(hex), 0).unwrap();
        assert_eq!(
            (found.sequence_number.as_str(), found.sub_sequence_number),
            (number, sub_sequence_number)
        );
    }
    // Another class with the same types has another hash.
    let mut bytes = unhex(CONSUMED[0].0);
    bytes[7] ^= 2;
    assert!(consumed_partition(&bytes, 0).unwrap_err().to_string().contains("hash"));
}

fn producer(supports_null: bool) -> Bytes {
    let transaction = Bytes::new().bool(true).utf("sink-7").i64(4000).i16(2).i64(1_700_000_000_000);
    let begin = if supports_null { Bytes::new().bool(true) } else { Bytes::new() };
    let begin = begin.raw(&transaction.0).i32(1).bool(false).i64(-1).i16(-1).i64(5);
    begin.bool(true).i32(1).utf("sink-7")
}

#[test]
fn transactions_of_the_producer_from_before() {
    for supports_null in [false, true] {
        let state = producer_state(&producer(supports_null).0, 0, supports_null).unwrap();
        let open = state.open.unwrap();
        assert_eq!((open.transactional_id.as_deref(), open.begun_ms), (Some("sink-7"), 1_700_000_000_000));
        assert_eq!((state.to_commit.len(), state.to_commit[0].producer_id), (1, -1));
    }
    let nothing = Bytes::new().bool(false).i32(0).bool(false);
    assert_eq!(producer_state(&nothing.0, 0, true).unwrap().open, None);
}

type Decode = fn(&[u8]) -> Result<()>;

/// Bytes, and who decodes them.
type Case = (Vec<u8>, Box<dyn Fn(&[u8]) -> Result<()>>);

/// Everything above.
fn everything() -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    fn at(version: i32, bytes: &[u8]) -> Versioned<'_> {
        Versioned { version, bytes, offset: 0 }
    }
    for (connector, version, bytes) in splits() {
        all.push((bytes.0, Box::new(move |bytes| connector.split(at(version, bytes)).map(drop))));
    }
    for (connector, version, bytes) in enumerators() {
        let decode = move |bytes: &[u8]| connector.enumerator(at(version, bytes)).unwrap().map(drop);
        all.push((bytes.0, Box::new(decode)));
    }
    for bytes in collectors(&kafka_committable(), 1) {
        all.push((bytes.0, Box::new(move |bytes| Committables::parse(at(2, bytes)).map(drop))));
    }
    let states: [(Bytes, Decode); 4] = [
        (producer(true), |bytes| producer_state(bytes, 0, true).map(drop)),
        (Bytes(unhex(CONSUMED[0].0)), |bytes| consumed_partition(bytes, 0).map(drop)),
        (Bytes(unhex(SEQUENCES[1].0)), |bytes| sequence_number(bytes, 0).map(drop)),
        (Bytes::new().i32(0).i32(1).i64(98).i32(3).raw(&xid().0), |bytes| xa_sink_state(bytes, 0).map(drop)),
    ];
    for (bytes, decode) in states {
        all.push((bytes.0, Box::new(decode)));
    }
    all
}

#[test]
fn what_is_cut_is_an_error_within_what_is_left() {
    for (bytes, decode) in everything() {
        decode(&bytes).unwrap();
        for end in 0..bytes.len() {
            let result = decode(&bytes[..end]);
            // Without its last fields, a split may be one of an older version.
            let Err(error) = result else { panic!("cut at {end} of {}: {bytes:02x?}", bytes.len()) };
            assert!(error.offset() <= end as u64, "{error}: cut at {end}");
        }
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    let sinks: Vec<Bytes> =
        [bucket(1), bucket(3), committable_of_files(2), kafka_committable(), xid(), iceberg_committable()]
            .into();
    for (bytes, decode) in everything() {
        for i in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[i / 8] ^= 1 << (i % 8);
            let checked = |error: Error| assert!(error.offset() <= bytes.len() as u64, "{error}");
            let _ = decode(&flipped).map_err(checked);
        }
    }
    for bytes in sinks {
        for i in 0..bytes.0.len() * 8 {
            let mut flipped = bytes.clone();
            flipped.0[i / 8] ^= 1 << (i % 8);
            for version in 0..4 {
                let _ = Committable::recognize(flipped.of(version));
                let _ = WriterState::recognize(flipped.of(version));
            }
        }
    }
}
