//! What real Flink kept: see `ha/` in `testdata/golden/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::*;
use crate::flink::metadata::PropertiesKind;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/ha").join(file)
}

fn bytes(file: &str) -> Vec<u8> {
    fs::read(golden(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn checkpoint(bytes: &[u8]) -> Result<CompletedCheckpoint> {
    CompletedCheckpoint::decode(bytes, Limits::default())
}

fn pointer(bytes: &[u8]) -> Result<Pointer> {
    Pointer::decode(bytes, Limits::default())
}

/// Those that real Flink wrote, with what it read in them.
fn all() -> Vec<(String, Json)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(golden("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".json") {
            let json = serde_json::from_slice(&bytes(&format!("{name}.json"))).unwrap();
            found.push((name.to_owned(), json));
        }
    }
    assert!(found.len() > 10);
    found
}

/// The same bytes with another name in place of one, which has the same length.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    let mut found = 0;
    for at in 0..=out.len() - from.len() {
        if out[at..].starts_with(from.as_bytes()) {
            out[at..at + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from} is not there");
    out
}

#[test]
fn every_release_and_kind_is_what_flink_reads() {
    for (name, theirs) in all() {
        let ours =
            checkpoint(&bytes(&format!("{name}.checkpoint"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Some(ours.job_id.as_str()), theirs["job_id"].as_str(), "{name}");
        assert_eq!(Some(ours.checkpoint_id), theirs["checkpoint_id"].as_i64(), "{name}");
        assert_eq!(Some(ours.timestamp), theirs["timestamp_ms"].as_i64(), "{name}");
        assert_eq!(Some(ours.external_pointer.as_str()), theirs["external_pointer"].as_str(), "{name}");
        assert_eq!(ours.properties.kind, PropertiesKind::Checkpoint, "{name}");
        assert!(
            ["Checkpoint", "CHECKPOINT", "Full Checkpoint"].contains(&ours.properties.name.as_str()),
            "{name}"
        );
        let size = match &ours.metadata {
            Stream::File { path, size } => {
                assert_eq!(*path, format!("{}/_metadata", ours.external_pointer), "{name}");
                *size
            }
            Stream::Inline { data, .. } => i64::try_from(data.len()).unwrap(),
        };
        assert_eq!(Some(size), theirs["metadata_size"].as_i64(), "{name}");
        let paths: BTreeSet<&str> = ours.places.iter().map(|place| place.path.as_str()).collect();
        let their_paths: BTreeSet<&str> =
            theirs["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
        assert_eq!(paths, their_paths, "{name}");
        for place in &ours.places {
            if let PlaceKind::Relative { relative, .. } = &place.kind {
                assert!(place.path.ends_with(&format!("/{relative}")), "{name}: {place:?}");
            }
        }

        let pointer = pointer(&bytes(&format!("{name}.pointer"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        let Stream::File { path, size } = &pointer.stream else { panic!("{name}: {pointer:?}") };
        assert!(!pointer.marked_for_deletion);
        assert!(
            path.ends_with(theirs["file"].as_str().unwrap().strip_prefix("data").unwrap()),
            "{name}: {path}"
        );
        assert_eq!(Some(*size), theirs["file_size"].as_i64(), "{name}");
    }
}

#[test]
fn kinds_of_places() {
    fn kinds(name: &str) -> (usize, usize, usize, usize, usize) {
        let mut count = (0, 0, 0, 0, 0);
        for place in checkpoint(&bytes(name)).unwrap().places {
            match place.kind {
                PlaceKind::File { .. } => count.0 += 1,
                PlaceKind::Relative { .. } => count.1 += 1,
                PlaceKind::Segment { size, .. } => count.2 += usize::from(size > 0),
                PlaceKind::MergingDirectory => count.3 += 1,
                PlaceKind::CheckpointDirectory => count.4 += 1,
            }
        }
        count
    }
    let (files, relative, segments, directories, own) = kinds("plain-2.0.checkpoint");
    assert!(files > 10 && relative > 3, "{files} {relative}");
    assert_eq!((segments, directories, own), (0, 0, 1));
    for name in ["merging-1.20.checkpoint", "merging-2.3.checkpoint"] {
        let (files, _, segments, directories, own) = kinds(name);
        assert!(files == 1 && segments > 10 && directories > 2, "{name}: {segments} {directories}");
        assert_eq!(own, 1);
    }
    assert_eq!(kinds("jobmanager-1.20.checkpoint"), (1, 0, 0, 0, 1));
}

#[test]
fn pointers_in_config_maps_and_odd_ones() {
    for (name, marked_for_deletion) in [("configmap.pointer", false), ("configmap-marked.pointer", true)] {
        let path = "s3://bucket/ha/completedCheckpoint0123456789ab".to_owned();
        let stream = Stream::File { path, size: 4711 };
        assert_eq!(pointer(&bytes(name)), Ok(Pointer { stream, marked_for_deletion }));
    }
    let stream = Stream::File { path: "hdfs://host:8020/50% off?/ü#%20".to_owned(), size: 1 };
    assert_eq!(pointer(&bytes("odd-path.pointer")), Ok(Pointer { stream, marked_for_deletion: false }));
    let stream = Stream::Inline { name: "name".to_owned(), data: vec![1, 2, 3] };
    assert_eq!(pointer(&bytes("inline.pointer")), Ok(Pointer { stream, marked_for_deletion: false }));
}

#[test]
fn what_is_another_thing_is_said() {
    let (file, node) = (bytes("plain-2.0.checkpoint"), bytes("plain-2.0.pointer"));
    let text = |error: Option<Error>| error.unwrap().to_string();
    let error = text(checkpoint(&node).err());
    assert!(
        error.contains("a completed checkpoint is a CompletedCheckpoint: found an object of class"),
        "{error}"
    );
    assert!(error.contains(RETRIEVABLE), "{error}");
    let error = text(pointer(&file).err());
    assert!(error.contains(CHECKPOINT), "{error}");
    let error = text(checkpoint(&[0xac, 0xed, 0, 5, 0x70]).err());
    assert!(error.contains("found null"), "{error}");
    let error = text(checkpoint(b"{}  ").err());
    assert!(error.contains("starts with AC ED 00 05"), "{error}");
    let mut longer = file;
    longer.push(0x70);
    assert!(matches!(checkpoint(&longer).unwrap_err().kind(), ErrorKind::TrailingBytes { count: 1 }));
    let mut longer = node;
    longer.push(0x70);
    assert!(matches!(pointer(&longer).unwrap_err().kind(), ErrorKind::TrailingBytes { count: 1 }));
}

#[test]
fn an_unknown_class_is_named() {
    let file = bytes("plain-2.0.checkpoint");
    for known in [FILE, RELATIVE, BYTES, "org.apache.flink.runtime.state.IncrementalRemoteKeyedStateHandle"] {
        let other = format!("{}X", &known[..known.len() - 1]);
        let error = checkpoint(&renamed(&file, known, &other)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported { what } if what.contains(&other)), "{error}");
    }
    // A known class is no reason to believe an array of others.
    for (name, known) in [
        ("[B", true),
        ("[[J", true),
        ("[Ljava.lang.Object;", true),
        ("[Lorg.apache.flink.core.fs.Path;", true),
        ("[Lorg.example.Handle;", false),
        ("org.apache.flink.core.fs.PathX", false),
        ("org.apache.flink.runtime.state.PlaceholderStreamStateHandle", false),
    ] {
        assert_eq!(is_known(name), known, "{name}");
    }
}

#[test]
fn a_path_in_an_object_that_has_none_is_an_error() {
    // A known class with the fields of FileStateHandle, which is then no handle any more.
    let file = bytes("heap-1.20.checkpoint");
    let class = "org.apache.flink.runtime.state.KeyGroupsSavepointStateHandle";
    let at = file.windows(FILE.len()).position(|w| w == FILE.as_bytes()).unwrap();
    let mut other = file[..at - 2].to_vec();
    other.extend(u16::try_from(class.len()).unwrap().to_be_bytes());
    other.extend(class.as_bytes());
    other.extend(&file[at + FILE.len()..]);
    let error = checkpoint(&other).unwrap_err().to_string();
    assert!(error.contains("only known handles have paths: found one in field filePath"), "{error}");
}

#[test]
fn a_field_of_another_name_or_type_is_said() {
    let file = bytes("plain-2.0.checkpoint");
    for (from, to, said) in [
        ("filePath", "filePatz", "a Path"),
        ("stateSize", "stateSizf", "a long"),
        ("checkpointID", "checkpointIE", "a long"),
        ("externalPointer", "externalPointez", "a string"),
        ("metadataHandle", "metadataHandlf", "an object"),
        ("relativePath", "relativePatz", "a string"),
        ("lowerPart", "lowerParu", "a long"),
        ("exclusiveCheckpointDir", "exclusiveCheckpointDis", "a Path"),
        ("file:/data", "file:#data", "hierarchical URI"),
    ] {
        let error = checkpoint(&renamed(&file, from, to)).unwrap_err().to_string();
        assert!(error.contains(said), "{from}: {error}");
        if !from.contains(':') {
            assert!(error.contains(to) && error.contains(from), "{from}: {error}");
        }
    }
}

#[test]
fn limits_hold() {
    let few = Limits { max_depth: 4, ..Limits::default() };
    let error = CompletedCheckpoint::decode(&bytes("plain-2.0.checkpoint"), few).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LimitExceeded { .. }), "{error}");
    let few = Limits { max_depth: 1, ..Limits::default() };
    let error = Pointer::decode(&bytes("plain-2.0.pointer"), few).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LimitExceeded { .. }), "{error}");
}

#[test]
fn cut_anywhere_it_is_an_error_in_front_of_the_cut() {
    for name in ["plain-2.0.checkpoint", "merging-2.3.checkpoint"] {
        let whole = bytes(name);
        for cut in 0..whole.len() {
            let error = checkpoint(&whole[..cut]).unwrap_err();
            assert!(error.offset() <= cut as u64, "{name} {cut}: {error}");
        }
    }
    for name in ["plain-2.0.pointer", "configmap.pointer", "inline.pointer"] {
        let whole = bytes(name);
        for cut in 0..whole.len() {
            let error = pointer(&whole[..cut]).unwrap_err();
            assert!(error.offset() <= cut as u64, "{name} {cut}: {error}");
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut file = bytes("plain-2.0.checkpoint");
    for at in 0..file.len() {
        // All bits of the head with its class descriptors, one bit of every other byte of the rest.
        let bits = match at {
            0..1024 => 0..8,
            _ if at % 2 == 0 => at % 8..at % 8 + 1,
            _ => 0..0,
        };
        for bit in bits {
            file[at] ^= 1 << bit;
            let _ = checkpoint(&file);
            file[at] ^= 1 << bit;
        }
    }
    for name in ["configmap.pointer", "odd-path.pointer", "inline.pointer"] {
        let mut node = bytes(name);
        for at in 0..node.len() {
            for bit in 0..8 {
                node[at] ^= 1 << bit;
                let _ = pointer(&node);
                node[at] ^= 1 << bit;
            }
        }
    }
}
