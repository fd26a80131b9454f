use super::*;

#[path = "../../../tests/support/metadata_writer.rs"]
mod writer;
use writer::Out;

const ID: [u8; 16] = [0xab; 16];

/// One file with every tag that may stand in it.
fn every_tag(version: i32) -> Vec<u8> {
    let mut out = Out::default();
    out.i32(0x4960_672d).i32(version).i64(42).i32(1).master_header("hook", b"xyz").i32(3);

    out.operator(version, "Keyed", "keyed-uid", ID, 2, 128);
    if version >= 3 {
        out.byte_stream("coordinator", b"12345");
    }
    out.i32(2);
    for index in 0..2 {
        out.i32(index);
        if version == 2 {
            out.i64(-1).i32(0);
        }
        // Managed operator state in a file, raw operator state in a segment.
        out.i32(1).operator_state(&[("list", 0, &[10, 20, 30]), ("u", 1, &[40]), ("b", 2, &[50])]);
        out.relative("op-file", 60);
        out.i32(1).u8(17).operator_states(&[("_default_", 0, &[0])]).utf("taskowned").utf("shared").u8(0);
        out.segment("file:/d/taskowned/m", 100, 20, 0);
        // Managed keyed state: a changelog over everything.
        out.u8(14).i32(0).i32(2).i64(5).i32(4);
        out.incremental(
            41,
            0,
            2,
            "meta",
            &[("000001.sst", true, "file:/d/shared/a", 1000), ("CURRENT", false, "file:/d/shared/c", 16)],
        );
        out.u8(5).i64(40).utf("not a uuid").i32(0).i32(2).byte_stream("inline", b"meta").i32(1);
        out.utf("000002.sst").null().i32(0);
        out.key_groups(12, 0, &[7, 9]).file("file:/d/full", 99).utf("id");
        out.key_groups(3, 0, &[7, 9]).u8(16);
        out.i32(3);
        out.u8(9).i32(0).i32(2).i64(1).i64(2).i32(1).i32(-1).bytes32(b"chg").utf("id");
        out.u8(10).i32(0).i32(2).i32(1).i64(3).file("file:/d/dstl/x", 5).i64(5).i64(5).utf("id");
        out.u8(13).i32(0).i32(2).i32(0).i64(5).i64(5).utf("id").utf("filesystem");
        out.i64(6).i64(40).utf("changelog-id");
        // Raw keyed state: a savepoint handle over a stream that is itself of key groups.
        out.key_groups(7, 0, &[-1, 0]).key_groups(3, 0, &[1, 2]).file("file:/d/raw", 3);
        if version >= 3 {
            out.i32(1);
            if version >= 6 {
                out.u8(1);
            }
            out.i32(index).i32(0).i32(1).i32(2).i64(4).i64(8).i64(12).relative("channels", 30);
            if version >= 6 {
                let mut blob = Out::default();
                blob.i32(1).i32(0).i32(3).i64(12).i32(1).i64(4);
                out.i32(1).u8(4).i32(index).i64(12).relative("merged", 30).bytes32(&blob.0);
            } else {
                out.i32(0);
            }
        }
        if version == 7 {
            out.u8(1).i64(39);
        }
    }

    out.operator(version, "", "", [1; 16], 1, 128);
    if version >= 3 {
        out.null().i32(-1);
    } else {
        out.i32(0);
    }

    out.operator(version, "Half", "", [2; 16], 2, 128);
    if version >= 3 {
        out.null().i32(1).i32(-2);
    } else {
        out.i32(0);
    }
    if version >= 4 {
        out.raw(&[0xac, 0xed, 0, 5, 0x70]);
    }
    out.0
}

#[test]
fn every_version_and_tag_decodes() {
    for version in 2..=7 {
        let bytes = every_tag(version);
        let metadata = Metadata::decode(&bytes).unwrap();
        assert_eq!((metadata.version, metadata.checkpoint_id), (version, 42));
        assert_eq!(metadata.tally.total(), bytes.len() as u64, "every byte is booked");
        assert_eq!(
            (metadata.master_states[0].name.as_ref(), metadata.master_states[0].payload),
            ("hook", &b"xyz"[..])
        );
        let [keyed, finished, half] = &metadata.operators[..] else { panic!("three operators") };
        assert_eq!((keyed.parallelism, keyed.max_parallelism, keyed.id), (2, 128, OperatorId(ID)));
        assert_eq!(keyed.uid.as_deref(), (version >= 5).then_some("keyed-uid"));
        assert_eq!(keyed.coordinator.is_some(), version >= 3);
        assert_eq!(finished.fully_finished, version >= 3);
        assert_eq!((finished.name.as_ref(), finished.uid.as_ref()), (None, None), "empty means absent");
        if version >= 3 {
            assert_eq!((half.subtasks[0].index, half.subtasks[0].finished), (1, true));
            assert_eq!(metadata.tally.coordinator_state, 4 + 5);
        }

        let subtask = &keyed.subtasks[1];
        assert_eq!(subtask.index, 1);
        let managed = subtask.managed_operator.as_ref().unwrap();
        let modes: Vec<_> =
            managed.states.iter().map(|s| (s.name.as_ref(), s.mode, s.offsets.len())).collect();
        assert_eq!(
            modes,
            [
                ("list", DistributionMode::SplitDistribute, 3),
                ("u", DistributionMode::Union, 1),
                ("b", DistributionMode::Broadcast, 1)
            ]
        );
        assert_eq!(managed.states[0].offsets.iter().collect::<Vec<_>>(), [10, 20, 30]);
        let raw = subtask.raw_operator.as_ref().unwrap();
        assert!(raw.merging.as_ref().is_some_and(|m| m.shared == "shared" && !m.is_empty));
        assert!(matches!(raw.stream, Some(StreamHandle::Segment { start: 100, size: 20, .. })));

        let Some(KeyedHandle::Changelog(log)) = subtask.managed_keyed.as_deref() else {
            panic!("a changelog")
        };
        let [KeyedHandle::Incremental(new), KeyedHandle::Incremental(old), KeyedHandle::KeyGroups(full), _] =
            &log.materialized[..]
        else {
            panic!("the materialized handles")
        };
        assert_eq!((new.checkpoint_id, new.checkpointed_size), (41, Some(77)));
        assert_eq!(new.shared[0].local_path, "000001.sst");
        assert_eq!(new.shared[0].stream.as_ref().unwrap().recorded_size(), 1000);
        assert_eq!((old.backend_id.as_ref(), old.checkpointed_size), ("not a uuid", None));
        let Some(StreamHandle::ByteStream { data, offset, .. }) = &old.meta else { panic!("inlined") };
        assert_eq!(&bytes[usize::try_from(*offset).unwrap()..][..4], *data, "the offset points at the data");
        assert_eq!(full.offsets.get(1), Some(9));
        assert_eq!(log.deltas.len(), 3);
        assert_eq!((log.materialization_id, log.checkpoint_id), (6, Some(40)));

        if version >= 3 {
            let channel = &subtask.input_channels[0];
            assert_eq!((channel.subtask, channel.size, channel.channels[0].offsets.len()), (1, 12, 2));
        }
        if version >= 6 {
            assert!(subtask.result_subpartitions[0].merged);
            assert_eq!(subtask.result_subpartitions[0].channels[0].channel, 3);
        }
        assert_eq!(subtask.reference_checkpoint_id, (version == 7).then_some(39));
        assert_eq!(metadata.properties.map(|p| p.1.len()), (version >= 4).then_some(5));
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_keeps_what_came_before() {
    for version in [2, 3, 6, 7] {
        let bytes = every_tag(version);
        let end = if version >= 4 { bytes.len() - 5 } else { bytes.len() };
        for cut in 0..end {
            match Metadata::decode_partial(&bytes[..cut], Limits::default()) {
                Err(error) => assert!(cut < 16 && error.offset() <= cut as u64),
                Ok((partial, error)) => {
                    let error = error.unwrap_or_else(|| panic!("version {version} cut at {cut} decodes"));
                    assert!(error.offset() <= cut as u64, "{error}");
                    assert!(partial.operators.iter().all(|o| o.extent.end <= cut as u64));
                }
            }
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    for version in [2, 3, 6, 7] {
        let mut bytes = every_tag(version);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let _ = Metadata::decode_partial(&bytes, Limits::default());
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let text = |bytes: &[u8]| Metadata::decode(bytes).unwrap_err().to_string();
    assert!(text(b"PK\x03\x04rest").contains("magic number 0x4960672d: found 0x504b0304"));
    assert!(text(b"").contains("the bytes end too early"));
    let mut future = Out::default();
    future.header(8, 1, 0);
    assert_eq!(text(&future.0), "unknown version 8 of _metadata (known: 2 to 7) at offset 4 in version");
    let mut old = Out::default();
    old.header(1, 1, 0);
    assert!(text(&old.0).contains("unknown version 1"));
}

#[test]
fn an_unknown_tag_is_named_with_its_offset_and_place() {
    let mut out = Out::default();
    out.header(3, 1, 1).operator(3, "", "", ID, 1, 128).null().i32(1).i32(0).i32(0).i32(0);
    let at = out.0.len();
    out.u8(99);
    let error = Metadata::decode(&out.0).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::UnknownTag { what: "keyed state handle", found: 99 });
    assert_eq!(error.offset(), at as u64);
    assert!(error.path().ends_with(".subtasks[0].managed_keyed"), "{}", error.path());
    assert!(error.path().contains("abababab"), "{}", error.path());
}

#[test]
fn hostile_counts_allocate_nothing() {
    let mut out = Out::default();
    out.i32(0x4960_672d).i32(3).i64(1).i32(0).i32(i32::MAX);
    assert!(matches!(Metadata::decode(&out.0).unwrap_err().kind(), ErrorKind::BadCount { .. }));
    let mut out = Out::default();
    out.header(3, 1, 1).operator(3, "", "", ID, 1, 128).null().i32(1).i32(0).i32(0).i32(0);
    out.u8(12).i32(0).i32(32768);
    assert!(matches!(Metadata::decode(&out.0).unwrap_err().kind(), ErrorKind::BadCount { .. }));
}

#[test]
fn endless_nesting_ends_at_the_limit() {
    let mut out = Out::default();
    out.header(3, 1, 1).operator(3, "", "", ID, 1, 128).null().i32(1).i32(0).i32(0).i32(0);
    for _ in 0..100_000 {
        out.u8(14).i32(0).i32(1).i64(0).i32(1);
    }
    assert!(matches!(
        Metadata::decode(&out.0).unwrap_err().kind(),
        ErrorKind::LimitExceeded { what: "nesting depth", .. }
    ));
    let mut out = Out::default();
    out.header(3, 1, 1).operator(3, "", "", ID, 1, 128).null().i32(1).i32(0).i32(0).i32(0);
    for _ in 0..100_000 {
        out.key_groups(3, 0, &[]);
    }
    assert!(matches!(
        Metadata::decode(&out.0).unwrap_err().kind(),
        ErrorKind::LimitExceeded { what: "nesting depth", .. }
    ));
}
