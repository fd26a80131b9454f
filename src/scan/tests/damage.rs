//! Requests, counted and placed, and what each kind of damage costs.

use super::*;
use crate::model::{Finding, Severity};
use crate::storage::{Fault, Span, StorageErrorKind};

/// The smallest piece that is read from a store, and from this disk at most.
const PIECE: u64 = 64 << 10;

fn spans(read: &Read, location: &Location) -> Vec<(u64, u64)> {
    let of_table = read.log.iter().filter(|request| request.location == *location);
    of_table
        .map(|request| match &request.span {
            Some(Span::Range(range)) => (range.start, range.end),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_table_is_asked_for_its_index_and_then_for_its_data_in_pieces() {
    let (small, large) = (Made::of_groups(0, 3, 4, 100), Made::of_groups(10, 100, 7, 500));
    for place in ["s3://bucket/job", "file:/job"] {
        let world = World::with(place, &[&small, &large]);
        let read = world.scan(1);
        assert_eq!((read.rows, read.finished.findings.len()), (12 + 700, 0));
        let index = |made: &Made| (made.index.offset, made.index.end());
        assert_eq!(spans(&read, world.location(0)), [index(&small), (0, small.data_bytes())]);
        // As many blocks as fit into a piece, one after the other to the end.
        let mut expected = vec![index(&large)];
        for (block, _) in &large.blocks {
            match expected.last_mut() {
                Some((start, end)) if *end == block.offset && block.end() - *start <= PIECE => {
                    *end = block.end()
                }
                _ => expected.push((block.offset, block.end())),
            }
        }
        assert_eq!(expected.len(), 1 + large.data_bytes().div_ceil(PIECE) as usize);
        assert_eq!(spans(&read, world.location(1)), expected);
    }
}

/// The only finding, what is missing, and that all else was counted.
fn damaged(read: &Read, all: u64, missing: (u64, u64)) -> &Finding {
    let [finding] = &read.finished.findings[..] else { panic!("{:#?}", read.finished.findings) };
    let (entries, bytes) = missing;
    let tally = &read.tally;
    assert_eq!(
        (tally.damaged_files, tally.damaged_entries, tally.damaged_bytes),
        (1, entries, bytes),
        "{tally:?}"
    );
    assert_eq!((read.rows, tally.puts, tally.clipped), (all - entries, all - entries, 0), "{tally:?}");
    assert_eq!((finding.code, finding.severity), ("sst_damaged", Severity::Error));
    assert!(
        finding.message.contains(&format!("; in all, {entries} entries of this file are missing")),
        "{finding:?}"
    );
    assert!(finding.part.as_ref().is_some_and(|part| part.contains("subtask 0")), "{finding:?}");
    finding
}

#[test]
fn a_flipped_bit_costs_its_block() {
    let made = [Made::of_groups(0, 6, 5, 50), Made::of_groups(6, 4, 3, 70)];
    let all = made.iter().map(Made::entries).sum();
    for (table, of_table) in (0u32..).zip(&made) {
        for (block, entries) in &of_table.blocks {
            // In the entries, in what names the compression, and in the checksum.
            for at in [block.offset, block.contents_end() - 1, block.contents_end(), block.end() - 1] {
                let world = World::with("s3://b", &[&made[0], &made[1]]);
                let mut bytes = of_table.bytes.clone();
                bytes[usize::try_from(at).unwrap()] ^= 4;
                world.replace(table, bytes);
                let read = world.scan(2);
                let finding = damaged(&read, all, (*entries, block.size + BLOCK_TRAILER_LEN));
                assert_eq!(finding.file.as_deref(), Some(&*world.location(table).to_string()));
                assert_eq!(finding.offset, Some(block.offset), "{at}");
                let says = format!("a block cannot be read, which ({} bytes) is missing", block.size + 5);
                assert!(finding.message.contains(&says), "{finding:?}");
            }
        }
    }
}

#[test]
fn a_table_without_an_index_costs_all_of_it_and_one_request() {
    let made = [Made::of_groups(0, 6, 5, 50), Made::of_groups(6, 4, 3, 70)];
    let all = made.iter().map(Made::entries).sum();
    let gone = |world: &World| {
        let not_found = Fault::Fail(StorageErrorKind::NotFound);
        world.storage.inner().fail_at(world.location(0), not_found);
    };
    let cut = |length: u64| {
        let bytes = made[0].bytes[..usize::try_from(length).unwrap()].to_vec();
        move |world: &World| world.replace(0, bytes.clone())
    };
    let in_index = made[0].index.offset + 3;
    let flipped = |world: &World| {
        let mut bytes = made[0].bytes.clone();
        bytes[usize::try_from(in_index).unwrap()] ^= 4;
        world.replace(0, bytes);
    };
    let breaks: [&dyn Fn(&World); 5] =
        [&gone, &cut(made[0].blocks[3].0.offset), &cut(made[0].index.end() - 1), &cut(0), &flipped];
    for (number, damage) in breaks.iter().enumerate() {
        let world = World::with("s3://b", &[&made[0], &made[1]]);
        damage(&world);
        let read = world.scan(1);
        let finding = damaged(&read, all, (made[0].entries(), made[0].data_bytes()));
        assert_eq!(finding.file.as_deref(), Some(&*world.location(0).to_string()), "{number}");
        let offset = finding.offset.unwrap();
        assert!((made[0].index.offset..=made[0].index.end()).contains(&offset), "{number}: {offset}");
        let says =
            format!("its index cannot be read, so that all of it ({} bytes) is missing", made[0].bytes.len());
        assert!(finding.message.contains(&says), "{number}: {finding:?}");
        assert_eq!(spans(&read, world.location(0)).len(), 1, "{number}");
        assert_eq!(spans(&read, world.location(1)).len(), 2, "{number}");
    }
}

/// An index with right checksums that names what is no data block.
#[test]
fn an_index_that_points_elsewhere_is_not_followed() {
    let made = Made::of_groups(0, 6, 5, 50);
    let other = Made::of_groups(6, 4, 3, 70);
    let all = made.entries() + other.entries();
    let with_index = |change: &dyn Fn(usize, BlockHandle) -> BlockHandle| {
        let mut changed = made.clone();
        changed.bytes.truncate(usize::try_from(made.index.offset).unwrap());
        let mut index = Vec::new();
        for (number, (block, _)) in made.blocks.iter().enumerate() {
            let handle = change(number, *block);
            let value = [varint(handle.offset), varint(handle.size)].concat();
            entry(&mut index, &internal(&[number as u8, b'k', 4]), &value);
        }
        changed.index = store(&mut changed.bytes, index);
        changed
    };
    // Behind the data, far behind the file, and so large that its end is: the index is not believed at all.
    let last = made.blocks[5].0;
    for wrong in [
        BlockHandle { offset: made.index.offset, size: 9 },
        BlockHandle { offset: 1 << 30, size: 9 },
        BlockHandle { size: last.size + 1, ..last },
        BlockHandle { size: (1 << 32) - 1, ..last },
    ] {
        let changed = with_index(&|number, block| if number == 5 { wrong } else { block });
        let world = World::with("s3://b", &[&changed, &other]);
        let read = world.scan(1);
        let finding = damaged(&read, all, (made.entries(), made.data_bytes()));
        let offset = finding.offset.unwrap();
        assert!((changed.index.offset..=changed.index.end()).contains(&offset), "{wrong:?}: {finding:?}");
        assert_eq!(
            spans(&read, world.location(0)),
            [(changed.index.offset, changed.index.end())],
            "{wrong:?}"
        );
    }
    // Within the data, but not at a block: its checksum tells, and the other blocks are read.
    let changed = with_index(&|number, block| match number {
        5 => BlockHandle { offset: block.offset + 1, size: block.size - 1 },
        _ => block,
    });
    let read = World::with("s3://b", &[&changed, &other]).scan(1);
    let finding = damaged(&read, all, (5, last.end() - last.offset));
    assert_eq!(finding.offset, Some(last.offset + 1));
}

#[test]
fn a_request_that_fails_once_costs_one_block() {
    let made = Made::of_groups(0, 6, 5, 50);
    for fault in [Fault::Fail(StorageErrorKind::Unavailable), Fault::Short(1)] {
        let world = World::with("s3://b", &[&made]);
        // The first is for the index.
        world.storage.inner().fail_request(1, fault);
        let read = world.scan(1);
        let (block, entries) = made.blocks[0];
        let finding = damaged(&read, made.entries(), (entries, block.end()));
        assert_eq!(finding.offset, Some(0));
        let expected =
            [(made.index.offset, made.index.end()), (0, made.index.offset), (block.end(), made.index.offset)];
        assert_eq!(spans(&read, world.location(0)), expected);
    }
}

#[test]
fn of_many_places_a_few_are_told_and_the_rest_is_summed() {
    let made = Made::of_groups(0, 8, 5, 50);
    let world = World::with("s3://b", &[&made]);
    let mut bytes = made.bytes.clone();
    let hit = [0, 2, 3, 5, 7];
    hit.iter().for_each(|block| bytes[usize::try_from(made.blocks[*block].0.offset).unwrap()] ^= 1);
    world.replace(0, bytes);
    let read = world.scan(1);
    let offsets: Vec<_> = read.finished.findings.iter().map(|finding| finding.offset).collect();
    let at = |block: usize| Some(made.blocks[block].0.offset);
    assert_eq!(offsets, [at(0), at(2), at(3), None], "{:#?}", read.finished.findings);
    let rest: u64 = [5, 7].iter().map(|block| made.blocks[*block].0.size + BLOCK_TRAILER_LEN).sum();
    assert!(
        read.finished.findings[3]
            .message
            .starts_with(&format!("2 more places of this file cannot be read ({rest} bytes)"))
    );
    let lost: u64 = hit.iter().map(|block| made.blocks[*block].0.size + BLOCK_TRAILER_LEN).sum();
    assert_eq!((read.rows, read.tally.damaged_entries, read.tally.damaged_bytes), (15, 25, lost));
}

/// A block on the border of two splits, of two handles, of both.
#[test]
fn damage_that_several_see_is_told_once() {
    let keys = |block: u8| (0..6u8).map(|n| vec![block * 2 + n / 3, b'k', n]).collect::<Vec<_>>();
    // Every block has two key groups, so that a border lies within one.
    let made = Made::new(&(0..20).map(keys).collect::<Vec<_>>(), 40);
    for (claimed, key_groups) in
        [(1, vec![(0, 20), (21, 127)]), (1 << 30, vec![(0, 127)]), (1 << 30, vec![(0, 8), (9, 127)])]
    {
        for (block, _) in &made.blocks {
            let world = World::new("s3://b", &[(&made, 1, claimed)], &key_groups);
            let mut bytes = made.bytes.clone();
            bytes[usize::try_from(block.offset).unwrap()] ^= 1;
            world.replace(0, bytes);
            let read = world.scan(2);
            let [finding] = &read.finished.findings[..] else { panic!("{:#?}", read.finished.findings) };
            assert_eq!(finding.offset, Some(block.offset));
            let PhysicalTally { damaged_files, damaged_entries, damaged_bytes, puts, .. } = read.tally;
            assert_eq!((damaged_files, puts, read.rows), (1, 114, 114));
            assert_eq!(damaged_bytes, block.end() - block.offset);
            // A handle that does not have all of its keys does not know how many are missing.
            assert!(damaged_entries == 6 || key_groups.len() > 1, "{damaged_entries}");
        }
    }
}
