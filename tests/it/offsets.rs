//! `offsets` against what the jobs know of their sources, sinks and lists.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use serde_json::Value;
use statescope::analyzers::offsets::{Collector, Context, Question};
use statescope::readers::discover;
use statescope::readers::operator_state::open_operator_states;
use statescope::readers::snapshot::ReadOptions;
use statescope::storage::{LocalStorage, Location, Metered};

use super::support::{Differences, Run, command, fixture, fixtures, list, number, run_in, text};

fn shown(args: &[&str], run: &Run) -> String {
    format!("$ statescope {}\n{}{}--- exit code {}\n", args.join(" "), run.stdout, run.stderr, run.code)
}

fn json(name: &str, more: &[&str]) -> Value {
    let (fixture, newest) = (fixture(name), fixture(name).newest());
    let args = [&["offsets", &newest, "-o", "json"][..], more].concat();
    let run = run_in(&fixture.dir, &args);
    assert!(run.code == 0, "{name}: {}", run.stderr);
    run.json()
}

/// The states of an operator by name.
fn states<'a>(offsets: &'a Value, id: &str) -> BTreeMap<&'a str, &'a Value> {
    let states = list(&offsets["states"]).iter().filter(|state| state["operator_id"] == id);
    states.map(|state| (text(&state["name"]), state)).collect()
}

#[test]
fn elements_are_those_of_the_job_in_every_snapshot() {
    let mut differences = Differences::default();
    for fixture in fixtures() {
        for (snapshot, truth) in fixture.truths() {
            let run = run_in(&fixture.dir, &["offsets", &snapshot, "-o", "json"]);
            let label = format!("{}/{snapshot}", fixture.name);
            assert_eq!(run.code, 0, "{label}: {}\n{}", run.stderr, run.stdout);
            let offsets = run.json();
            for state in list(&offsets["states"]) {
                let of_subtasks: u64 =
                    list(&state["subtasks"]).iter().filter_map(|it| it["elements"].as_u64()).sum();
                let copies = list(&state["subtasks"]).len().max(1) as u64;
                let expected = state["elements"].as_u64().unwrap_or(0)
                    * if state["mode"] == "broadcast" { copies } else { 1 };
                differences.same(of_subtasks, expected, || format!("{label}: {state}: subtasks"));
                differences.holds(state["copies_agree"] != false, || format!("{label}: {state}: copies"));
                differences.same(number(&state["damaged"]), 0, || format!("{label}: {state}: damage"));
            }
            for operator in list(&truth["operators"]) {
                let (id, ends) = (text(&operator["id"]), !operator["ends"].is_null());
                let ours = states(&offsets, id);
                for state in list(&operator["operator_states"]).iter().filter(|_| !ends) {
                    let name = text(&state["name"]);
                    let what = || format!("{label}: {id}: {name}");
                    let mode = text(&state["mode"]).to_lowercase();
                    let found = ours.get(name).map(|ours| (&ours["mode"], &ours["elements"]));
                    differences.same(found, Some((&mode.into(), &state["elements"])), what);
                }
                for state in list(&operator["broadcast_states"]) {
                    let name = text(&state["name"]);
                    let what = || format!("{label}: {id}: {name}");
                    let Some(ours) = ours.get(name) else {
                        differences.holds(false, what);
                        continue;
                    };
                    differences.same(&ours["elements"], &state["entries"], what);
                    // The first in the order of texts; not all need be shown.
                    let mut keys = list(&ours["shown"]).iter().map(|entry| match &entry["key"] {
                        Value::String(key) => key.clone(),
                        key => key.to_string(),
                    });
                    let all = number(&ours["elements"]) == list(&ours["shown"]).len() as u64;
                    differences.holds(!all || keys.any(|key| key == text(&state["first_key"])), what);
                }
                if operator["coordinator_state"] == true && !ends {
                    let source = list(&offsets["sources"]).iter().find(|it| it["operator_id"] == id);
                    let is_there = source.is_some_and(|source| source["enumerator"].is_object());
                    differences.holds(is_there, || format!("{label}: {id}: enumerator"));
                }
            }
        }
    }
    differences.none(1000);
}

#[test]
fn values_of_lists_and_broadcast_states_are_shown() {
    let offsets = json("inc-2.3", &["--limit", "1000"]);
    let all: BTreeMap<&str, &Value> =
        list(&offsets["states"]).iter().map(|state| (text(&state["name"]), state)).collect();
    let texts: BTreeMap<i64, &str> = list(&all["rules-texts"]["shown"])
        .iter()
        .map(|entry| (entry["key"].as_i64().unwrap(), text(&entry["value"])))
        .collect();
    assert_eq!(texts.len() as u64, number(&all["rules-texts"]["elements"]));
    assert!(texts.iter().all(|(key, value)| *value == format!("text-{key}")), "{texts:?}");
    assert_eq!(all["rules-texts"]["copies_agree"], true);
    let split = list(&all["split-list"]["shown"]);
    assert_eq!(split.len() as u64, number(&all["split-list"]["elements"]));
    for element in split {
        assert_eq!(text(&element["value"]["f1"]), format!("split-{}", element["value"]["f0"]));
    }
    let union = list(&all["union-list"]["shown"]);
    let subtasks: Vec<u64> = union.iter().map(|element| number(&element["subtask"])).collect();
    assert!(subtasks.is_sorted() && subtasks.contains(&1), "{subtasks:?}");
    let few = json("inc-2.3", &["--limit", "3"]);
    assert!(list(&few["states"]).iter().all(|state| list(&state["shown"]).len() <= 3));
    // Compressed ones hold the same.
    let compressed = json("hashmap-compressed-1.20", &["--limit", "1000"]);
    let texts = list(&compressed["states"]).iter().find(|state| state["name"] == "rules-texts").unwrap();
    assert_eq!(list(&texts["shown"]).len() as u64, number(&texts["elements"]));
    let raw = json("odd-1.20", &["--opaque", "100"]);
    let raw = list(&raw["states"]).iter().find(|state| state["kind"] == "raw").unwrap();
    assert_eq!(text(&raw["shown"][1]["value"]["$opaque"]), hex(b"raw partition 1"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_nobody_recognizes_is_told_with_its_size() {
    let offsets = json("inc-2.3", &["--opaque", "16"]);
    let sources = list(&offsets["sources"]);
    let events = sources.iter().find(|source| source["operator"] == "Source: events").unwrap();
    assert_eq!((&events["connector"], &events["state"]), (&Value::Null, &"SourceReaderState".into()));
    let opaque = &events["splits"][0]["opaque"];
    assert_eq!((number(&opaque["serializer_version"]), number(&opaque["bytes"])), (3, 24));
    assert_eq!(text(&opaque["hex"]), hex(b"\0\x0eevents-split-0"));
    let enumerator = &events["enumerator"];
    assert_eq!(
        (enumerator["is_decoded"].as_bool(), number(&enumerator["serializer_version"])),
        (Some(false), 2)
    );
    assert_eq!(text(&enumerator["opaque"]["hex"]), hex(b"assigned=1"));
    let offsets = json("inc-2.3", &[]);
    assert!(offsets["sources"][0]["splits"][0]["opaque"]["hex"].is_null());
}

/// What the job saw, against where Flink's own sources and sinks are.
#[test]
fn positions_and_transactions_are_those_of_the_job() {
    for name in ["connectors-1.20", "connectors-2.3"] {
        let (_, truth) = fixture(name).truths().pop().unwrap();
        let offsets = json(name, &[]);
        let of = |list_of: &str, name: &str| -> (Value, Value) {
            let truth = list(&truth["operators"]).iter().find(|it| it["name"] == name).unwrap();
            let ours = list(&offsets[list_of]).iter().find(|it| it["operator_id"] == truth["id"]).unwrap();
            (truth.clone(), ours.clone())
        };
        for (source, end) in [("Source: numbers", 1_000_000), ("Source: generated", 499_999)] {
            let (truth, ours) = of("sources", source);
            let last: i64 = text(&truth["last_seen"]).parse().unwrap();
            assert_eq!(
                (&ours["connector"], &ours["evidence"]),
                (&"number_sequence".into(), &"layout".into())
            );
            let split = &ours["splits"][0];
            assert_eq!(split["numbers"]["from"].as_i64(), Some(last + 1), "{name}: {source}");
            assert_eq!(split["numbers"]["to"].as_i64(), Some(end));
            assert_eq!(ours["enumerator"]["is_decoded"], true);
        }
        let (seen, ours) = of("sources", "Source: lines");
        let (file, line) = text(&seen["last_seen"]).split_once(' ').unwrap();
        assert_eq!(ours["connector"], "files");
        let split = &ours["splits"][0]["file"];
        assert!(text(&split["path"]).ends_with(&format!("/in/{file}.txt")), "{split}");
        assert_eq!(number(&split["records_after"]), line.parse::<u64>().unwrap() + 1);
        let waiting = list(&ours["enumerator"]["unassigned"]);
        assert!(waiting.iter().all(|split| split["position"] == "byte 0 (not begun)"), "{waiting:?}");
        assert!(!waiting.is_empty());

        let (told, ours) = of("sinks", "Sink: two-phase");
        let uncommitted = |state: &str| -> Vec<&Value> {
            list(&ours["uncommitted"])
                .iter()
                .filter(|it| it["state"] == state)
                .map(|it| &it["name"])
                .collect()
        };
        assert_eq!(uncommitted("open"), [&told["transactions"]["open"]]);
        assert_eq!(
            uncommitted("pending_commit"),
            list(&told["transactions"]["pending_commit"]).iter().collect::<Vec<_>>()
        );
        assert!(list(&ours["uncommitted"]).iter().all(|it| it["begun_ms"].is_i64()));
        let (_, writer) = of("sinks", "open: Writer");
        assert_eq!(writer["sink"], "files");
        assert!(text(&writer["writers"][0]["text"]).starts_with("in progress: "), "{writer}");
        let committers: Vec<&Value> = list(&offsets["sinks"])
            .iter()
            .filter(|sink| sink["states"][0] == "streaming_committer_raw_states")
            .collect();
        let pending = committers.iter().flat_map(|sink| list(&sink["uncommitted"]));
        let pending: Vec<_> = pending.filter(|it| it["written_bytes"].as_i64() > Some(0)).collect();
        assert!(!pending.is_empty());
        for file in pending {
            assert_eq!(
                (&file["checkpoint_id"], &file["state"]),
                (&truth["checkpoint_id"], &"received".into())
            );
            assert!(text(&file["name"]).contains("/part-"), "{file}");
        }
        assert_eq!(number(&offsets["totals"]["opaque_uncommitted"]), 0);
    }
}

#[test]
fn connectors_from_before_are_named_and_decoded() {
    let (dir, newest) = (&fixture("connectors-1.20").dir, fixture("connectors-1.20").newest());
    let offsets = json("connectors-1.20", &[]);
    let source = |connector: &str| {
        list(&offsets["sources"]).iter().find(|source| source["connector"] == connector).unwrap()
    };
    let kafka: Vec<_> = list(&source("kafka_consumer")["splits"])
        .iter()
        .map(|split| (text(&split["name"]), split["kafka"]["offset"].as_i64().unwrap(), &split["position"]))
        .collect();
    let expected = [("orders-0", 0), ("orders-1", 1000), ("orders-2", 2000), ("p-0", -915_623_761_775)];
    assert_eq!(kafka.iter().map(|(name, offset, _)| (*name, *offset)).collect::<Vec<_>>(), expected);
    assert_eq!(*kafka[3].2, "earliest");
    let shards: Vec<_> = list(&source("kinesis_consumer")["splits"])
        .iter()
        .map(|split| (text(&split["shard"]["shard"]), text(&split["shard"]["sequence_number"])))
        .collect();
    assert_eq!(shards[0], ("shardId-000000000000", "SENTINEL_TRIM_HORIZON"));
    assert_eq!(shards[1].1, "49590338271490256608559692538361571095921575989136588898");
    let legacy = list(&offsets["findings"]).iter().filter(|it| it["code"] == "legacy_connector").count();
    assert_eq!(legacy, 3);
    let exit = |what: &str, args: &[&str]| {
        let args = [&["offsets", &newest, "--fail-on", what][..], args].concat();
        run_in(dir, &args).code
    };
    assert_eq!((exit("legacy-connector", &[]), exit("uncommitted", &[]), exit("opaque", &[])), (3, 3, 0));
    assert_eq!(exit("uncommitted", &["--operator", "c0d9287eb56f1997a3c65940818e3e54"]), 0);
    let inc = fixture("inc-2.3");
    assert_eq!(run_in(&inc.dir, &["offsets", &inc.newest(), "--fail-on", "opaque"]).code, 3);
}

#[test]
fn each_handle_costs_one_request() {
    for name in ["inc-1.20", "inc-inline-1.20", "file-merging-2.3", "levels-2.3", "hashmap-compressed-1.20"] {
        let fixture = fixture(name);
        let at = |path: &str| fixture.recorded(path);
        let storage = Metered::with_log(fixture.in_memory(at));
        let directory: Location = fixture.recorded(&fixture.newest());
        let file = discover::read_metadata(&storage, &directory).unwrap();
        let mut open = open_operator_states(&storage, &file, &ReadOptions::default()).unwrap();
        drop(storage.meter().take_log());
        let mut handles = 0;
        open.coordinators(&|_| true);
        open.streams(&|_| true, 1000, &mut |snapshot, streams| {
            let outside = |stream: &&statescope::model::OperatorStream<'_>| {
                use statescope::model::Place;
                assert!(stream.bytes.is_some());
                !matches!(snapshot.file(stream.file).unwrap().place, Place::Inline { .. } | Place::Empty)
            };
            handles += streams.iter().filter(outside).count();
        });
        assert!(handles > 0 || name == "inc-inline-1.20", "{name}");
        assert_eq!(storage.meter().take_log().len(), handles, "{name}");
    }
}

/// A length and the bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Bytes with the version of their serializer.
fn versioned(version: u32, bytes: &[u8]) -> Vec<u8> {
    [&version.to_be_bytes()[..], &sized(bytes)].concat()
}

fn utf(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// As `KafkaPartitionSplitSerializer` writes it.
fn partition(partition: u32, start: i64, stop: i64) -> Vec<u8> {
    let (start, stop) = (start.to_be_bytes(), stop.to_be_bytes());
    [utf("orders"), partition.to_be_bytes().to_vec(), start.to_vec(), stop.to_vec()].concat()
}

/// Kafka's connector is not at hand: its bytes are built by hand from its serializers' sources, and put into streams that Flink wrote, in the place of what
/// other connectors keep there.
#[test]
fn what_kafkas_source_and_sink_keep_is_told() {
    let fixture = fixture("connectors-1.20");
    let storage = LocalStorage::new();
    let file = discover::read_metadata(&storage, &fixture.at(&fixture.newest())).unwrap();
    let mut open = open_operator_states(&storage, &file, &ReadOptions::default()).unwrap();
    let question = Question { limit: 10, opaque: 0, at_ms: None, memory: 1 << 20 };
    let committable = [&3u16.to_be_bytes()[..], &4000i64.to_be_bytes(), &utf("orders-0-7")].concat();
    let zero = 0u32.to_be_bytes();
    let request = sized(&[&versioned(1, &committable)[..], &zero, &zero].concat());
    let one = |version: u32| [version.to_be_bytes(), 1u32.to_be_bytes()].concat();
    let subtask = sized(&[&zero[..], &one(0), &request, &one(0)[4..], &zero].concat());
    let checkpoint = sized(&[&7i64.to_be_bytes()[..], &one(0)[4..], &one(2), &subtask].concat());
    let collector = [&[0xb9, 0x1f, 0x25, 0x2c][..], &one(1), &checkpoint].concat();
    let enumerator = [2u32.to_be_bytes(), zero].concat();
    let enumerator = [enumerator, sized(&partition(0, 41, i64::MIN)), zero.to_vec()].concat();
    let unassigned = 1u32.to_be_bytes();
    let enumerator = [&enumerator[..], &sized(&partition(1, -2, -1)), &unassigned, &[1]].concat();
    let finish = |reversed: bool, open: &mut statescope::readers::operator_state::OperatorStates<'_>| {
        let mut collector_of = Collector::new(question);
        let mut digests = Vec::new();
        let mut source = 0;
        open.streams(&|_| true, question.memory, &mut |snapshot, streams| {
            for mut stream in streams {
                let state = &stream.handle.states[0];
                let element = match &*state.name {
                    "SourceReaderState" if source == 0 => {
                        source = stream.operator;
                        versioned(0, &partition(0, i64::MAX, i64::MIN))
                    }
                    "streaming_committer_raw_states" => versioned(2, &collector),
                    "writer_raw_states" => versioned(1, &utf("orders")),
                    _ => continue,
                };
                let begin = usize::try_from(state.offsets[0]).unwrap();
                let bytes = [&stream.bytes.unwrap()[..begin], &sized(&element)].concat();
                stream.size = bytes.len() as u64;
                stream.bytes = Some(bytes.into());
                digests.push(Collector::digest(&question, snapshot, &stream));
            }
        });
        if reversed {
            digests.reverse();
        }
        digests.into_iter().for_each(|digest| collector_of.add(digest));
        let mut coordinator =
            open.coordinators(&|_| true).into_iter().find(|it| it.operator == source).unwrap();
        coordinator.bytes = [&1u32.to_be_bytes()[..], &versioned(3, &enumerator)].concat().into();
        collector_of.add_coordinator(coordinator);
        let context = Context { location: "x".to_owned(), ..Context::default() };
        let offsets = collector_of.finish(&open.snapshot, Vec::new(), context);
        assert!(offsets.findings.is_empty(), "{:?}", offsets.findings);
        serde_json::to_value(&offsets).unwrap()
    };
    let offsets = finish(false, &mut open);
    let kafka = &offsets["sources"][0];
    assert_eq!((&kafka["connector"], &kafka["evidence"]), (&"kafka".into(), &"layout".into()));
    let split = &kafka["splits"][0];
    assert_eq!((text(&split["name"]), text(&split["position"])), ("orders-0", "9223372036854775807"));
    assert_eq!((split["kafka"]["offset"].as_i64(), &split["end"]), (Some(i64::MAX), &Value::Null));
    let waiting = &kafka["enumerator"]["unassigned"][0];
    assert_eq!((text(&waiting["position"]), text(&waiting["end"])), ("earliest", "latest"));
    assert_eq!(waiting["kafka"]["offset"].as_i64(), Some(-2));
    assert_eq!(kafka["enumerator"]["discovered"], true);
    let sinks = list(&offsets["sinks"]);
    assert!(sinks.iter().all(|sink| sink["sink"] == "kafka"), "{sinks:?}");
    let committer = sinks.iter().find(|sink| sink["writers"] == Value::Array(Vec::new())).unwrap();
    let transaction = &committer["uncommitted"][0];
    assert_eq!((text(&transaction["name"]), transaction["checkpoint_id"].as_i64()), ("orders-0-7", Some(7)));
    assert_eq!(text(&transaction["text"]), "producer 4000, epoch 3");
    let writer = sinks.iter().find(|sink| sink["states"][0] == "writer_raw_states").unwrap();
    assert_eq!(text(&writer["writers"][0]["name"]), "orders");
    assert_eq!(finish(true, &mut open), offsets);
}

#[test]
fn what_does_not_fit_into_memory_is_said() {
    let fixture = fixture("levels-2.3");
    let storage = LocalStorage::new();
    let file = discover::read_metadata(&storage, &fixture.at(&fixture.newest())).unwrap();
    let mut open = open_operator_states(&storage, &file, &ReadOptions::default()).unwrap();
    let question = Question { limit: 2000, opaque: 0, at_ms: None, memory: 4096 };
    let mut collector = Collector::new(question);
    open.streams(&|_| true, question.memory, &mut |snapshot, streams| {
        let bytes: usize =
            streams.iter().filter_map(|stream| stream.bytes.as_ref()).map(|bytes| bytes.len()).sum();
        assert!(bytes <= 4096, "{bytes}");
        streams.iter().for_each(|stream| collector.add(Collector::digest(&question, snapshot, stream)));
    });
    let offsets = collector.finish(&open.snapshot, Vec::new(), Context::default());
    assert!(offsets.findings.iter().all(|finding| finding.code == "operator_state_not_read"));
    assert!(!offsets.findings.is_empty());
    let split = offsets.states.iter().find(|state| state.name == "split-list").unwrap();
    assert_eq!(split.elements, Some(1500));
    assert_eq!(split.shown.len() as u64 + split.not_read, 1500);
    assert!(split.not_read > 0 && !split.shown.is_empty(), "{}", split.not_read);
}

#[test]
fn damage_costs_what_is_damaged() {
    let fixture = fixture("connectors-1.20");
    let newest = fixture.newest();
    let whole = json("connectors-1.20", &[]);
    let mut damaged = 0;
    for (path, bytes) in
        fixture.files().iter().filter(|(path, _)| !path.ends_with("_metadata") && path.starts_with(&newest))
    {
        let copy = fixture.copy();
        let mut bytes = bytes.clone();
        // In the last element of the stream.
        let at = bytes.len() - 10;
        bytes[at] ^= 0x40;
        fs::write(copy.path(path), &bytes).unwrap();
        let run = copy.run(&["offsets", &newest, "-o", "json"]);
        assert!(matches!(run.code, 0 | 5), "{path}: {}", run.stderr);
        let found = run.json();
        assert_eq!(found["totals"]["states"], whole["totals"]["states"], "{path}");
        if run.code == 5 {
            damaged += 1;
            let finding = list(&found["findings"]).iter().find(|it| it["severity"] == "error").unwrap();
            assert!(
                text(&finding["file"]).ends_with(path.as_str()) && finding["offset"].is_u64(),
                "{finding}"
            );
        }
        fs::write(copy.path(path), &bytes[..20]).unwrap();
        let run = copy.run(&["offsets", &newest]);
        assert_eq!(run.code, 5, "{path}: cut");
        fs::remove_file(copy.path(path)).unwrap();
        let run = copy.run(&["offsets", &newest, "-o", "json"]);
        assert_eq!(
            (run.code, run.codes().contains(&"file_missing".to_owned())),
            (5, true),
            "{path}: removed"
        );
    }
    assert!(damaged >= 2, "{damaged}");
}

#[test]
fn copies_of_a_broadcast_state_that_differ_are_told() {
    let fixture = fixture("inc-2.3");
    let newest = fixture.newest();
    let copy = fixture.copy();
    let (path, mut bytes) = fixture
        .files()
        .into_iter()
        .find(|(path, bytes)| path.starts_with(&newest) && bytes.windows(6).any(|it| it == b"text-3"))
        .unwrap();
    let at = bytes.windows(6).position(|it| it == b"text-3").unwrap();
    bytes[at + 5] = b'9';
    fs::write(copy.path(&path), bytes).unwrap();
    let run = copy.run(&["offsets", &newest, "-o", "json"]);
    assert_eq!(run.code, 0);
    assert!(text(&run.finding("broadcast_copies_differ")["message"]).contains("rules-texts"));
    let offsets = run.json();
    let differs: Vec<_> = list(&offsets["states"])
        .iter()
        .filter(|it| it["copies_agree"] == false)
        .map(|it| &it["name"])
        .collect();
    assert_eq!(differs, ["rules-texts"]);
}

#[test]
fn help() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_in(&fs::canonicalize(dir.path()).unwrap(), &["offsets", "--help"]);
    insta::assert_snapshot!(shown(&["offsets", "--help"], &run));
}

#[test]
fn sources_sinks_and_lists_in_tables() {
    for (name, fixture_name) in
        [("flinks_connectors", "connectors-1.20"), ("lists_and_broadcast_states", "inc-2.3")]
    {
        let fixture = fixture(fixture_name);
        let (newest, copy) = (fixture.newest(), fixture.copy());
        let args = ["offsets", &newest, "--limit", "3"];
        insta::assert_snapshot!(name, shown(&args, &copy.run(&args)));
    }
}

#[test]
fn one_operator_and_none() {
    let offsets = json("inc-2.3", &["--operator", "op-lists"]);
    assert_eq!(list(&offsets["states"]).len(), 2);
    assert_eq!(offsets["operator_filter"], "op-lists");
    let fixture = fixture("inc-2.3");
    let run = run_in(&fixture.dir, &["offsets", &fixture.newest(), "--operator", "nobody"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("none fits the filter"), "{}", run.stdout);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let fixture = fixture("inc-1.20");
    let mut child = command()
        .args(["offsets", &fixture.newest(), "-o", "json", "--limit", "1000"])
        .current_dir(&fixture.dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
