//! What a verification of all blocks reads, and what it finds.

use super::*;
use crate::analyzers::verify::{DeepRead, effect_of};
use crate::model::{Effect, Finding};
use crate::scan::deep::{DeepVerifier, Subject};
use crate::storage::{Fault, Span, StorageErrorKind};

impl World {
    fn deep_with(&self, verifier: &mut DeepVerifier, threads: usize) -> (DeepRead, Vec<Finding>) {
        let Self { snapshot, details, tables, storage, .. } = self;
        let options = ScanOptions { threads, memory: 1, checksums: true, requests: 4 };
        let subject = Subject { snapshot, details, tables };
        verifier.verify(storage, subject, options, &Progress::default()).expect("it is not stopped")
    }

    fn deep(&self) -> (DeepRead, Vec<Finding>) {
        self.deep_with(&mut DeepVerifier::default(), 1)
    }

    /// Changes what MANIFEST or the tail says of a table, in all handles.
    fn say(&mut self, table: usize, change: impl Fn(&mut Table)) {
        for keyed in &mut self.details.keyed {
            keyed.database.iter_mut().for_each(|database| change(&mut database.tables[table]));
        }
    }

    fn only_code(&self) -> &'static str {
        let (read, findings) = self.deep();
        let [finding] = &findings[..] else { panic!("{findings:#?}") };
        assert!(finding.about.is_some() && finding.part.is_some() && finding.file.is_some(), "{finding:?}");
        assert_eq!(read.files, 1, "{finding:?}");
        finding.code
    }
}

/// A good one, and one whose keys lie behind it.
fn two() -> [Made; 2] {
    [Made::of_groups(0, 6, 5, 50), Made::of_groups(6, 4, 3, 70)]
}

#[test]
fn every_byte_is_read_once_whoever_names_the_table() {
    let [a, b] = [Made::of_groups(0, 6, 5, 50), Made::of_groups(6, 100, 7, 500)];
    let size = |made: &Made| made.bytes.len() as u64;
    let world = World::new("s3://b", &[(&a, 1, size(&a)), (&b, 1, size(&b))], &[(0, 63), (64, 127)]);
    let mut verifier = DeepVerifier::default();
    let (read, findings) = world.deep_with(&mut verifier, 3);
    assert_eq!(findings, []);
    let bytes = (a.bytes.len() + b.bytes.len()) as u64;
    assert_eq!(
        read,
        DeepRead { files: 2, bytes, data_blocks: 106, entries: 30 + 700, ..DeepRead::default() }
    );
    let log = world.storage.meter().take_log();
    for table in [0, 1] {
        let of_table = log.iter().filter(|r| r.location == *world.location(table));
        let mut spans: Vec<_> = of_table.filter_map(|r| r.span.clone()).collect();
        spans.sort_by_key(|span| span.within(u64::MAX).unwrap().start);
        let mut end = 0;
        for span in spans {
            let Span::Range(range) = span else { panic!("{span:?}") };
            assert_eq!(range.start, end, "each byte once, in stretches without gaps");
            end = range.end;
        }
        assert_eq!(end, [&a, &b][table as usize].bytes.len() as u64);
    }
    // What another snapshot names too is not read again.
    let (again, findings) = world.deep_with(&mut verifier, 1);
    assert_eq!((again, findings.len()), (read, 0));
    assert!(world.storage.meter().take_log().is_empty());
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let [a, b] = two();
    for at in 0..a.bytes.len() {
        let world = World::with("s3://b", &[&a, &b]);
        let mut bytes = a.bytes.clone();
        bytes[at] ^= 0x10;
        world.replace(0, bytes);
        let (read, findings) = world.deep();
        let [finding] = &findings[..] else { panic!("{at}: {findings:#?}") };
        assert_eq!((finding.code, finding.effect), ("sst_damaged", None), "{at}: {finding:?}");
        assert_eq!(effect_of(finding.code), Some(Effect::Breaks));
        assert_eq!(read.files, 1, "{at}");
    }
}

#[test]
fn many_places_are_told_as_a_number() {
    let [a, b] = two();
    let world = World::with("s3://b", &[&a, &b]);
    let mut bytes = a.bytes.clone();
    a.blocks.iter().for_each(|(block, _)| bytes[usize::try_from(block.offset).unwrap()] ^= 1);
    world.replace(0, bytes);
    let (read, findings) = world.deep();
    assert_eq!((findings.len(), read.data_blocks), (4, 4), "{findings:#?}");
    assert!(findings[3].message.starts_with("3 more places"), "{findings:#?}");
    assert_eq!(findings[3].effect, Some(Effect::Breaks));
}

#[test]
fn what_the_storage_does_not_hand_out_is_not_damage() {
    let [a, b] = two();
    for (kind, code, effect) in [
        (StorageErrorKind::PermissionDenied, "file_unreadable", None),
        (StorageErrorKind::Timeout, "file_unreadable", None),
        (StorageErrorKind::Archived, "file_archived", None),
        (StorageErrorKind::NotFound, "file_unreadable", Some(Effect::Breaks)),
    ] {
        let world = World::with("s3://b", &[&a, &b]);
        world.storage.inner().fail_at(world.location(0), Fault::Fail(kind.clone()));
        let (_, findings) = world.deep();
        assert_eq!((findings[0].code, findings[0].effect), (code, effect), "{kind:?}: {findings:#?}");
    }
}

#[test]
fn keys_lie_within_the_bounds_and_ascend() {
    let [a, b] = two();
    let moved = |change: &dyn Fn(&mut TableBounds)| {
        let mut world = World::with("s3://b", &[&a, &b]);
        world.say(0, |table| change(table.bounds.as_deref_mut().unwrap()));
        world.only_code()
    };
    assert_eq!(moved(&|bounds| bounds.smallest.user_key.push(0)), "sst_keys_out_of_bounds");
    assert_eq!(moved(&|bounds| bounds.largest.user_key.truncate(2)), "sst_keys_out_of_bounds");
    // Of one user key, an older version comes behind a newer one.
    assert_eq!(moved(&|bounds| bounds.largest.sequence = 8), "sst_keys_out_of_bounds");
    assert_eq!(moved(&|bounds| bounds.largest_sequence = 6), "sst_keys_out_of_bounds");

    let mut keys: Vec<Vec<Vec<u8>>> = vec![vec![vec![0, 1], vec![0, 3]], vec![vec![0, 2], vec![0, 9]]];
    let world = World::with("s3://b", &[&Made::new(&keys, 5), &b]);
    assert_eq!(world.only_code(), "sst_damaged", "over the end of a block");
    assert!(world.deep().1[0].message.contains("keys of a table ascend"));
    keys[1][0] = vec![0, 3];
    let world = World::with("s3://b", &[&Made::new(&keys, 5), &b]);
    assert_eq!(world.only_code(), "sst_damaged", "the same version twice");
}

#[test]
fn there_are_as_many_entries_as_the_properties_say() {
    let [a, b] = two();
    let mut world = World::with("s3://b", &[&a, &b]);
    let said = |world: &mut World, entries| {
        world.say(0, |table| {
            let tail = Arc::make_mut(table.tail.as_mut().unwrap());
            tail.properties.as_mut().unwrap().num_entries = entries;
        });
    };
    said(&mut world, Some(29));
    assert_eq!(world.only_code(), "sst_entries_differ");
    said(&mut world, None);
    assert_eq!(world.deep().1, []);
}

#[test]
fn tables_of_level_0_do_not_overlap_in_keys_and_sequence_numbers() {
    let [a, b] = two();
    let size = |made: &Made| made.bytes.len() as u64;
    let world = World::new("s3://b", &[(&a, 0, size(&a)), (&b, 0, size(&b))], &[(0, 127)]);
    assert_eq!(world.deep().1, [], "they overlap in sequence numbers only");
    let world = World::new("s3://b", &[(&a, 0, size(&a)), (&a, 0, size(&a))], &[(0, 127)]);
    let (_, findings) = world.deep();
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["level_0_order"]);
    let world = World::new("s3://b", &[(&a, 0, size(&a)), (&a, 1, size(&a))], &[(0, 127)]);
    assert_eq!(world.deep().1, [], "another level");
}

#[test]
fn what_cannot_be_read_natively_is_named() {
    let [a, b] = two();
    let mut world = World::with("s3://b", &[&a, &b]);
    world.say(0, |table| table.bounds.as_deref_mut().unwrap().oldest_blob_file = Some(9));
    assert_eq!(world.only_code(), "sst_not_checked");
}

#[test]
fn a_stop_ends_it() {
    let [a, b] = two();
    let world = World::with("s3://b", &[&a, &b]);
    let World { snapshot, details, tables, storage, .. } = &world;
    let progress = Progress::default();
    progress.stop.store(true, Ordering::Relaxed);
    let options = ScanOptions { threads: 1, memory: 1, checksums: true, requests: 4 };
    let subject = Subject { snapshot, details, tables };
    assert!(DeepVerifier::default().verify(storage, subject, options, &progress).is_none());
}
