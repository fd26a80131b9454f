//! Our model of `_metadata` against what Flink's own reader of the same release says of every handle.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use statescope::model::{
    ChannelState, DatabaseHandle, DistributionMode, FileId, KeyedContent, KeyedState, OperatorStateHandle,
    Place, Snapshot, SnapshotKind,
};

use super::support::{Ask, Differences, Seen, fixtures, list, number, see_fixture, text};

#[test]
fn every_handle_is_what_flink_reads() {
    let mut differences = Differences::default();
    for fixture in fixtures() {
        for theirs in list(&fixture.flink()["snapshots"]) {
            let path = text(&theirs["snapshot"]);
            let seen = see_fixture(fixture, path, &Ask::default());
            let mut comparison = Comparison {
                label: format!("{}/{path}", fixture.name),
                snapshot: &seen.snapshot,
                differences: &mut differences,
            };
            comparison.snapshot(theirs, &seen);
        }
    }
    differences.none(10_000);
}

struct Comparison<'a> {
    label: String,
    snapshot: &'a Snapshot,
    differences: &'a mut Differences,
}

impl Comparison<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, ours: T, theirs: T, what: &str) {
        let label = &self.label;
        self.differences.same(ours, theirs, || format!("{label}: {what}"));
    }

    /// Compares a part, whose name goes before what is said of it.
    fn within(&mut self, part: &str, compare: impl FnOnce(&mut Comparison<'_>)) {
        let label = format!("{}: {part}", self.label);
        compare(&mut Comparison { label, snapshot: self.snapshot, differences: self.differences });
    }

    fn snapshot(&mut self, theirs: &Value, seen: &Seen) {
        let ours = &seen.snapshot;
        self.same(
            i64::from(ours.metadata_version),
            theirs["metadata_version"].as_i64().unwrap(),
            "metadata version",
        );
        self.same(ours.checkpoint_id, theirs["checkpoint_id"].as_i64().unwrap(), "checkpoint id");
        self.same(ours.master_states.len() as u64, number(&theirs["master_states"]), "master states");
        let properties = &theirs["properties"];
        let (name, savepoint, sharing, format) = match &ours.kind {
            SnapshotKind::Checkpoint { name, sharing } => (Some(name), Some(false), sharing.as_ref(), None),
            SnapshotKind::Savepoint { name, format } => (Some(name), Some(true), None, format.as_ref()),
            SnapshotKind::Unknown => (None, None, None, None),
        };
        self.same(name.map(String::as_str), properties["type"].as_str(), "type");
        self.same(savepoint, properties["savepoint"].as_bool(), "is a savepoint");
        if savepoint == Some(false) {
            self.same(sharing.map(String::as_str), properties["sharing"].as_str(), "sharing");
        }
        self.same(format.map(String::as_str), properties["format"].as_str(), "format");

        let ids: Vec<_> = ours.operators.iter().map(|o| o.id.to_string()).collect();
        let their_ids: Vec<_> =
            list(&theirs["operators"]).iter().map(|o| text(&o["id"]).to_owned()).collect();
        self.same(ids, their_ids, "operators");
        for (index, theirs) in list(&theirs["operators"]).iter().enumerate() {
            self.within(text(&theirs["id"]), |it| it.operator(index, theirs, seen));
        }
        // Flink counts a stream for every handle that names it, we count it once; a changelog's file and
        // in-flight data are counted by their handles on both sides.
        let mut streams = BTreeMap::new();
        let mut by_handle = 0;
        for operator in list(&theirs["operators"]) {
            if let Some(size) = operator["coordinator"]["size"].as_u64() {
                by_handle += size; // Coordinators' bytes lie in `_metadata`, each its own.
            }
            for subtask in list(&operator["subtasks"]) {
                distinct(subtask, &mut streams, &mut by_handle);
            }
        }
        let total = streams.values().sum::<u64>() + by_handle;
        self.same(seen.overview.totals.state_bytes, total, "bytes of state");
        let objects: BTreeSet<_> = streams_of(theirs)
            .into_iter()
            .filter(|s| s["where"] != "inline" && s["path"] != "empty")
            .map(|s| text(&s["path"]))
            .collect();
        self.same(seen.overview.files.objects, objects.len() as u64, "objects");
    }

    fn operator(&mut self, index: usize, theirs: &Value, seen: &Seen) {
        let Some(ours) = self.snapshot.operators.get(index) else { return };
        self.same(ours.name.as_deref(), theirs["name"].as_str(), "name");
        self.same(ours.uid.as_deref(), theirs["uid"].as_str(), "uid");
        let figures = [ours.parallelism, ours.max_parallelism].map(i64::from);
        let expected = ["parallelism", "max_parallelism"].map(|f| theirs[f].as_i64().unwrap());
        self.same(figures, expected, "parallelism, max parallelism");
        self.same(Some(ours.fully_finished), theirs["fully_finished"].as_bool(), "fully finished");
        let size = ours.coordinator.and_then(|f| self.snapshot.file(f)).map(|f| f.size);
        self.same(size, theirs["coordinator"]["size"].as_u64(), "coordinator");
        let summary = seen.overview.operators.iter().find(|o| o.id == text(&theirs["id"])).unwrap();
        self.same(summary.coordinator_bytes, size, "coordinator in the overview");

        let indices: Vec<_> = ours.subtasks.iter().map(|s| u64::from(s.index)).collect();
        let expected: Vec<_> = list(&theirs["subtasks"]).iter().map(|s| number(&s["subtask"])).collect();
        self.same(indices, expected, "subtasks");
        for (ours, theirs) in ours.subtasks.iter().zip(list(&theirs["subtasks"])) {
            let summary = summary.subtasks.iter().find(|s| s.subtask == ours.index).unwrap();
            self.within(&format!("subtask {}", ours.index), |it| {
                it.same(Some(ours.finished), theirs["finished"].as_bool(), "finished");
                it.same(summary.finished, ours.finished, "finished in the overview");
                it.keyed("managed keyed", ours.managed_keyed.as_ref(), &theirs["managed_keyed"]);
                it.keyed("raw keyed", ours.raw_keyed.as_ref(), &theirs["raw_keyed"]);
                it.operator_state(
                    "managed operator",
                    ours.managed_operator.as_ref(),
                    &theirs["managed_operator"],
                );
                it.operator_state("raw operator", ours.raw_operator.as_ref(), &theirs["raw_operator"]);
                it.channels("input channels", &ours.input_channels, &theirs["input_channels"]);
                it.channels(
                    "result subpartitions",
                    &ours.result_subpartitions,
                    &theirs["result_subpartitions"],
                );
                it.same(summary.bytes, number(&theirs["state_size"]), "bytes");
            });
        }
    }

    fn keyed(&mut self, part: &str, ours: Option<&KeyedState>, theirs: &Value) {
        let theirs = list(theirs);
        self.same(usize::from(ours.is_some()), theirs.len(), part);
        if let (Some(ours), [theirs]) = (ours, theirs) {
            self.within(part, |it| it.keyed_handle(ours, theirs));
        }
    }

    fn keyed_handle(&mut self, ours: &KeyedState, theirs: &Value) {
        let range = (Some(u64::from(ours.key_groups.start)), ours.key_groups.last().map(u64::from));
        self.same(range, (theirs["start"].as_u64(), theirs["end"].as_u64()), "key groups");
        let class = match &ours.content {
            KeyedContent::Database(_) => "IncrementalRemoteKeyedStateHandle",
            KeyedContent::Stream(stream) if stream.canonical => "KeyGroupsSavepointStateHandle",
            KeyedContent::Stream(_) => "KeyGroupsStateHandle",
            KeyedContent::Changelog(_) => "ChangelogStateBackendHandleImpl",
            KeyedContent::InlineChanges { .. } => "InMemoryChangelogStateHandle",
            KeyedContent::ChangeFiles { .. } => "ChangelogStateHandleStreamImpl",
        };
        self.same(class, text(&theirs["class"]), "class");
        match &ours.content {
            KeyedContent::Database(database) => self.database(database, theirs),
            KeyedContent::Stream(stream) => {
                self.same(stream.offsets.to_vec(), offsets(&theirs["offsets"]), "offsets");
                self.stream(Some(stream.stream), &theirs["stream"], "stream");
            }
            KeyedContent::Changelog(log) => {
                self.same(Some(log.materialization_id), theirs["materializationid"].as_i64(), "id");
                for (part, ours) in [("materialized", &log.materialized), ("deltas", &log.deltas)] {
                    let theirs = list(&theirs[part]);
                    self.same(ours.len(), theirs.len(), part);
                    for (ours, theirs) in ours.iter().zip(theirs) {
                        self.within(part, |it| it.keyed_handle(ours, theirs));
                    }
                }
            }
            KeyedContent::InlineChanges { bytes, .. } => {
                self.same(*bytes, number(&theirs["state_size"]), "bytes");
            }
            KeyedContent::ChangeFiles { files, bytes, storage } => {
                self.same(Some(*bytes), theirs["state_size"].as_i64(), "bytes");
                self.same(storage.as_deref(), theirs["storageidentifier"].as_str(), "storage");
                let theirs = list(&theirs["streams"]);
                self.same(files.len(), theirs.len(), "streams");
                for ((offset, file), theirs) in files.iter().zip(theirs) {
                    self.same(Some(*offset), theirs["offset"].as_i64(), "offset");
                    self.stream(Some(*file), &theirs["stream"], "stream");
                }
            }
        }
    }

    fn database(&mut self, ours: &DatabaseHandle, theirs: &Value) {
        self.same(Some(ours.checkpoint_id), theirs["checkpoint_id"].as_i64(), "checkpoint id");
        self.same(&*ours.backend_id, text(&theirs["backend_id"]), "backend id");
        self.same(ours.uploaded_bytes, theirs["checkpointed_size"].as_u64(), "uploaded bytes");
        self.stream(ours.meta, &theirs["meta"], "meta");
        for (part, shared) in [("shared", true), ("private", false)] {
            let mut ours: Vec<_> = ours.files.iter().filter(|f| f.shared == shared).collect();
            let mut theirs: Vec<_> = list(&theirs[part]).iter().collect();
            ours.sort_by_key(|f| &f.name);
            theirs.sort_by_key(|f| text(&f["local_path"]));
            let names: Vec<_> = ours.iter().map(|f| &*f.name).collect();
            let expected: Vec<_> = theirs.iter().map(|f| text(&f["local_path"])).collect();
            self.same(names, expected, part);
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                self.stream(ours.file, theirs, &ours.name);
            }
        }
    }

    fn stream(&mut self, ours: Option<FileId>, theirs: &Value, what: &str) {
        let Some(file) = ours.and_then(|id| self.snapshot.file(id)) else {
            return self.same(true, theirs.is_null(), &format!("{what}: no stream"));
        };
        self.same(file.size, number(&theirs["size"]), &format!("{what}: size"));
        let path = || Some(text(&theirs["path"]));
        let (expected, ours) = match (&file.place, text(&theirs["where"])) {
            (Place::Inline { name, .. }, "inline") => (theirs["name"].as_str(), Some(&**name)),
            (Place::Relative(relative), "relative") => (path(), Some(&**relative)),
            (Place::Uri(uri), "absolute") => (path(), Some(&**uri)),
            (Place::Segment { uri, start }, "segment") => {
                self.same(Some(*start), theirs["start"].as_u64(), &format!("{what}: start"));
                (path(), Some(&**uri))
            }
            (Place::Empty, "segment") => (path(), Some("empty")),
            (place, theirs) => {
                return self.same(format!("{place:?}"), theirs.to_owned(), &format!("{what}: place"));
            }
        };
        self.same(ours, expected, &format!("{what}: place"));
    }

    fn operator_state(&mut self, part: &str, ours: Option<&OperatorStateHandle>, theirs: &Value) {
        let theirs = list(theirs);
        self.same(usize::from(ours.is_some()), theirs.len(), part);
        let (Some(ours), [theirs]) = (ours, theirs) else { return };
        self.within(part, |it| {
            let mut states: Vec<_> =
                ours.states.iter().map(|s| (s.name.to_string(), mode(s.mode), s.offsets.to_vec())).collect();
            let mut expected: Vec<_> = list(&theirs["states"])
                .iter()
                .map(|s| (text(&s["name"]).to_owned(), text(&s["mode"]), offsets(&s["offsets"])))
                .collect();
            states.sort();
            expected.sort();
            it.same(states, expected, "states");
            match ours.stream {
                // No stream at all stands for the empty segment of merged files.
                None => it.same(Some("empty"), theirs["stream"]["path"].as_str(), "no stream"),
                stream => it.stream(stream, &theirs["stream"], "stream"),
            }
        });
    }

    fn channels(&mut self, part: &str, ours: &[ChannelState], theirs: &Value) {
        let theirs = list(theirs);
        self.same(ours.len(), theirs.len(), part);
        for (ours, theirs) in ours.iter().zip(theirs) {
            self.within(part, |it| {
                let (channels, buffers) = match theirs["infos"].as_str() {
                    None => (1, list(&theirs["offsets"]).len() as u64),
                    Some(infos) => {
                        let channels = infos.matches("Info{").count();
                        (channels, merged_buffers(text(&theirs["serialized_offsets"])))
                    }
                };
                it.same(ours.channels.len(), channels, "channels");
                it.same(ours.buffers(), buffers, "buffers");
                it.same(ours.bytes, number(&theirs["state_size"]), "bytes");
                it.stream(ours.stream, &theirs["stream"], "stream");
            });
        }
    }
}

fn mode(mode: DistributionMode) -> &'static str {
    match mode {
        DistributionMode::SplitDistribute => "SPLIT_DISTRIBUTE",
        DistributionMode::Union => "UNION",
        DistributionMode::Broadcast => "BROADCAST",
    }
}

fn offsets(theirs: &Value) -> Vec<i64> {
    list(theirs).iter().map(|o| o.as_i64().unwrap()).collect()
}

/// How many buffers a merged channel handle has: its offsets are a count of channels, and for each two
/// indices, a size, a count of offsets and the offsets.
fn merged_buffers(hex: &str) -> u64 {
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
    let int = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut buffers) = (4, 0);
    for _ in 0..int(0) {
        let count = int(at + 16);
        buffers += u64::from(count);
        at += 20 + 8 * count as usize;
    }
    assert_eq!(at, bytes.len());
    buffers
}

/// All streams below a value.
fn streams_of(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(streams_of).collect(),
        Value::Object(fields) if fields.contains_key("where") => vec![value],
        Value::Object(fields) => fields.values().flat_map(streams_of).collect(),
        _ => Vec::new(),
    }
}

/// The streams of a subtask by place, and the bytes that only handles tell.
fn distinct(subtask: &Value, streams: &mut BTreeMap<String, u64>, by_handle: &mut u64) {
    for part in ["input_channels", "result_subpartitions"] {
        *by_handle += list(&subtask[part]).iter().map(|c| number(&c["state_size"])).sum::<u64>();
    }
    let mut keyed: Vec<&Value> = Vec::new();
    for part in ["managed_keyed", "raw_keyed"] {
        keyed.extend(list(&subtask[part]));
    }
    let mut plain: Vec<&Value> = list(&subtask["managed_operator"]).iter().collect();
    plain.extend(list(&subtask["raw_operator"]));
    while let Some(handle) = keyed.pop() {
        if handle["class"] == "ChangelogStateBackendHandleImpl" {
            keyed.extend(list(&handle["materialized"]));
            *by_handle += list(&handle["deltas"]).iter().map(|d| number(&d["state_size"])).sum::<u64>();
        } else {
            plain.push(handle);
        }
    }
    for stream in plain.into_iter().flat_map(streams_of) {
        let key = ["where", "path", "name", "start"].map(|f| stream[f].to_string()).join(" ");
        streams.insert(key, number(&stream["size"]));
    }
}
