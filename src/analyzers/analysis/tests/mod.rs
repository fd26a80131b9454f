mod samples;
mod whole;

use proptest::prelude::*;
use samples::*;

use super::*;

/// Everything that a state's partial says, against the naive account.
fn check(shape: Shape, rows: &[Row], partial: StatePartial) {
    let naive = Naive::new(shape, rows);
    assert_eq!(partial.live, naive.live);
    let mut groups = partial.groups.clone();
    for group in partial.keys.clone().take_edges().groups(1) {
        groups.get_mut(&group).unwrap().keys += 1;
    }
    assert_eq!(groups, naive.groups);
    let keys = partial.keys.complete();
    assert_eq!(keys.keys(), naive.keys.len() as u64);
    let mut totals = KeyTotals::default();
    naive.keys.values().for_each(|key| totals.merge(key));
    assert_eq!(keys.totals(), &totals);
    // There are never more than as many as are kept.
    let mut largest: Vec<_> = naive.keys.iter().collect();
    largest.sort_by(|a, b| (b.1.bytes, a.0).cmp(&(a.1.bytes, b.0)));
    let found: Vec<_> = keys.by_bytes().iter().map(|k| (k.key.0.to_vec(), k.totals)).collect();
    assert_eq!(found, largest.iter().map(|(key, totals)| ((*key).clone(), **totals)).collect::<Vec<_>>());
    largest.sort_by(|a, b| (b.1.entries, a.0).cmp(&(a.1.entries, b.0)));
    let found: Vec<_> = keys.by_entries().iter().map(|k| (k.key.0.to_vec(), k.totals)).collect();
    assert_eq!(found, largest.iter().map(|(key, totals)| ((*key).clone(), **totals)).collect::<Vec<_>>());
    let (by_bytes, by_entries) = keys.distributions();
    assert_eq!(by_bytes.max, naive.keys.values().map(|k| k.bytes).max());
    assert_eq!(by_entries.min, naive.keys.values().map(|k| k.entries).min());
    assert_eq!(by_entries.count, naive.keys.len() as u64);
    if shape != Shape::Timers {
        assert_eq!(partial.pairs + partial.edge_pairs.len() as u64, naive.pairs.len() as u64);
    }
    let sizes = partial.row_bytes.distribution();
    assert_eq!(sizes.count, rows.len() as u64);
    assert_eq!(sizes.min, rows.iter().map(Row::bytes).min());
    assert_eq!(sizes.max, rows.iter().map(Row::bytes).max());
    if shape == Shape::List {
        let elements = rows.iter().flat_map(|row| &row.parts).flat_map(|part| &part.elements);
        let lengths: Vec<_> = elements.map(|(_, bytes)| bytes.len() as u64).collect();
        let sizes = partial.element_bytes.distribution();
        assert_eq!((sizes.count, sizes.max), (lengths.len() as u64, lengths.iter().copied().max()));
    }
    let has_ttl = matches!(shape, Shape::Value | Shape::Map | Shape::List | Shape::KryoList);
    // Of no split at all, nothing is known.
    assert_eq!(partial.ages.is_some(), has_ttl && (partial.ages.is_some() || !rows.is_empty()));
    if let Some(ages) = &partial.ages {
        let times = || naive.times.iter().map(|t| t.0);
        assert_eq!(ages.ages.count(), naive.times.len() as u64);
        assert_eq!(ages.without_timestamp, naive.without_timestamp);
        assert_eq!(ages.range, times().min().zip(times().max()));
        assert_eq!(ages.in_future, times().filter(|time| *time > NOW).count() as u64);
        assert_eq!(ages.what_if().map(|(_, totals)| totals).collect::<Vec<_>>(), naive.what_if);
    }
    assert_eq!(partial.expired, naive.expired);
    let KryoTotals { touched_rows, touched_bytes, key_bytes, value_bytes } = partial.kryo;
    assert_eq!([touched_rows, touched_bytes, key_bytes, value_bytes], naive.kryo);
    if let Some(timers) = &partial.timers {
        let due = || naive.due.iter().copied().filter(|time| *time != i64::MAX);
        assert_eq!(timers.range, due().min().zip(due().max()));
        assert_eq!(timers.at_end_of_time, (naive.due.len() - due().count()) as u64);
        assert_eq!(timers.until_reference, due().filter(|time| *time <= NOW).count() as u64);
        assert_eq!(timers.due_in.count(), due().filter(|time| *time > NOW).count() as u64);
        assert_eq!((timers.key_groups_not_counted, timers.far_future), (0, 0));
    }
    let problems: Vec<_> = partial.not_walked.keys().copied().collect();
    match shape {
        Shape::KryoList if !rows.is_empty() => assert_eq!(problems, [Problem::ElementsNotWalked]),
        Shape::NotDescribed if !rows.is_empty() => assert_eq!(problems, [Problem::KeyNotCut]),
        _ => assert_eq!(problems, []),
    }
}

fn merged(partials: impl IntoIterator<Item = StatePartial>) -> StatePartial {
    partials.into_iter().fold(StatePartial::default(), |mut sum, partial| {
        sum.merge(partial);
        sum
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_figure_is_that_of_the_naive_account(
        seeds in seeds(40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        shape in prop::sample::select(&SHAPES[..]),
        turn in any::<prop::sample::Index>(),
    ) {
        let (plan, rows) = (shape.plan(), rows(shape, &seeds));
        let (whole, expired) = of_split(&plan, &rows);
        prop_assert_eq!(expired, whole.expired.values().map(|level| level.bytes).sum::<u64>());
        check(shape, &rows, whole);

        let parts = splits(&plan, &rows, &cuts);
        let partials: Vec<StatePartial> = parts.iter().map(|part| of_split(&plan, part).0).collect();
        let forward = merged(partials.clone());
        // In another order, and grouped in another way; each saved and loaded before.
        let mut turned: Vec<StatePartial> = partials
            .iter()
            .map(|partial| serde_json::from_str(&serde_json::to_string(partial).unwrap()).unwrap())
            .collect();
        prop_assert_eq!(&turned, &partials);
        turned.reverse();
        let at = turn.index(turned.len().max(1)).min(turned.len());
        let right = merged(turned.split_off(at));
        let grouped = merged([merged(turned), right]);
        prop_assert_eq!(serde_json::to_string(&forward).unwrap(), serde_json::to_string(&grouped).unwrap());
        check(shape, &rows, forward);
    }
}

// ---- keys over states ----------------------------------------------------------------------------------------------

/// Rows of several states of an operator, read side by side in small ranges.
fn lockstep(plan: &StatePlan, states: &[Vec<Row>], ranges: &[Vec<u8>]) -> OperatorPartial {
    let mut accumulators: Vec<_> =
        states.iter().map(|_| StateAccumulator::new(plan, tables()).with_key_totals()).collect();
    let mut operator = OperatorKeys::new(5);
    let mut next = vec![0; states.len()];
    for end in ranges.iter().map(Some).chain([None]) {
        for ((rows, at), accumulator) in states.iter().zip(&mut next).zip(&mut accumulators) {
            while let Some(row) = rows.get(*at).filter(|row| end.is_none_or(|end| row.composite < *end)) {
                let before = at.checked_sub(1).map_or(&[][..], |before| &rows[before].composite);
                push(accumulator, row, shared(before, &row.composite));
                *at += 1;
            }
        }
        operator.end_batch(&mut accumulators.iter_mut().collect::<Vec<_>>());
    }
    operator.finish()
}

proptest! {
    #[test]
    fn keys_of_an_operator_are_those_of_all_its_states(
        seeds in prop::collection::vec(seeds(25), 1..4),
        ends in seeds(6),
        cut in any::<prop::sample::Index>(),
        shape in prop::sample::select(&[Shape::Value, Shape::Map, Shape::List, Shape::Kryo, Shape::Ambiguous][..]),
    ) {
        let plan = shape.plan();
        let states: Vec<_> = seeds.iter().map(|seeds| rows(shape, seeds)).collect();
        let ranges: Vec<_> = rows(shape, &ends).into_iter().map(|row| row.composite).collect();
        let all: Vec<Row> = states.concat();
        let naive = Naive::new(shape, &all);

        let whole = lockstep(&plan, &states, &ranges);
        // The same in two splits.
        let middle = all.get(cut.index(all.len().max(1))).map_or(Vec::new(), |row| row.composite.clone());
        let side = |wanted: bool| -> Vec<Vec<Row>> {
            let on_side = |row: &&Row| (row.composite < middle) == wanted;
            states.iter().map(|rows| rows.iter().filter(on_side).cloned().collect()).collect()
        };
        let mut right = lockstep(&plan, &side(false), &ranges);
        right.merge(lockstep(&plan, &side(true), &ranges));
        for keys in [whole.keys.complete(), right.keys.complete()] {
            prop_assert_eq!(keys.keys(), naive.keys.len() as u64);
            let mut largest: Vec<_> = naive.keys.iter().collect();
            largest.sort_by(|a, b| (b.1.bytes, a.0).cmp(&(a.1.bytes, b.0)));
            let found: Vec<_> = keys.by_bytes().iter().map(|k| (k.key.0.to_vec(), k.totals)).collect();
            let largest: Vec<_> = largest.into_iter().map(|(key, totals)| (key.clone(), *totals)).collect();
            prop_assert_eq!(found, largest);
        }
    }
}

// ---- what contradicts ----------------------------------------------------------------------------------------------

#[test]
fn rows_that_contradict_their_serializers_are_counted_and_shown() {
    let plan = Shape::Value.plan();
    let mut accumulator = StateAccumulator::new(&plan, tables());
    let key = |n: u8| [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[n, 0]].concat();
    let value = [NOW.to_be_bytes(), [0; 8]].concat();
    accumulator.put(&key(1), 0, &value, 0);
    // Something follows the namespace, and the key is that of the row before.
    accumulator.put(&[&key(1)[..], &[9]].concat(), 10, &value, 1);
    // A key of five bytes is none, and neither are those of the rows around it.
    accumulator.put(&[1, 0, 0, 0, 1], 4, &value, 3);
    accumulator.put(&[1, 0, 0, 0, 1, 0, 0, 0, 7, 0], 5, &value, 0);
    // Not even a timestamp.
    accumulator.put(&[1, 0, 0, 0, 1, 0, 0, 0, 8, 0], 8, &[1, 2, 3], 0);
    let partial = accumulator.finish();
    assert_eq!(partial.live.rows, 5);
    assert_eq!(partial.ages.as_ref().unwrap().without_timestamp, 1);
    let keys = &partial.not_walked[&Problem::KeyContradicts];
    assert_eq!((keys.rows, keys.bytes), (2, 11 + 16 + 5 + 16));
    // The second of these lies in the other file, but its key comes first.
    assert_eq!(keys.example, (KeyBytes::from([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9].as_slice()), 8));
    let values = &partial.not_walked[&Problem::ValueContradicts];
    assert_eq!((values.rows, values.example.1), (1, 7));
    let keys = partial.keys.complete();
    assert_eq!((keys.keys(), keys.totals().rows), (3, 4));
    assert_eq!(keys.by_bytes()[0].totals, KeyTotals { rows: 2, entries: 2, bytes: 26 + 27 });
}

#[test]
fn a_row_of_no_key_takes_nothing_from_the_key_around_it() {
    // Two rows of one key in a map, and between them one whose namespace is not what it should be.
    let plan = Shape::Map.plan();
    let mut accumulator = StateAccumulator::new(&plan, tables());
    let row = |rest: &[u8]| [&[1, 2, b'a', 0][..], rest].concat();
    accumulator.put(&row(&[0, 0, 0, 0, 0, 0, 0, 1]), 0, &[1], 0);
    accumulator.put(&row(&[0, 0, 0, 0, 0, 0, 0, 2, 3]), 11, &[1], 0);
    accumulator.put(&row(&[0, 0, 0, 0, 0, 0, 0, 3]), 11, &[1], 0);
    let partial = accumulator.finish();
    assert_eq!(partial.not_walked[&Problem::KeyContradicts].rows, 1);
    assert_eq!((partial.pairs, partial.edge_pairs.len()), (0, 1));
    let keys = partial.keys.complete();
    assert_eq!(keys.totals(), &KeyTotals { rows: 3, entries: 3, bytes: 13 + 14 + 13 });
}

#[test]
fn merge_operands_belong_to_lists_and_values_to_tables() {
    let plan = Shape::Value.plan();
    let mut accumulator = StateAccumulator::new(&plan, tables());
    accumulator.begin(&[1, 0, 0, 0, 0, 0, 0, 0, 1, 0], 0);
    assert_eq!(accumulator.part(&[1, 2], 0) + accumulator.part(&[3], 1) + accumulator.end(), 0);
    accumulator.not_understood(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0], 8, 0);
    let partial = accumulator.finish();
    assert_eq!((partial.live.rows, partial.live.entries, partial.live.value_bytes), (2, 2, 4));
    assert_eq!(partial.not_walked[&Problem::MergeOperands].rows, 1);
    assert_eq!(partial.not_walked[&Problem::ValueNotUnderstood].bytes, 10);
    assert_eq!(partial.keys.complete().keys(), 2);
}

proptest! {
    /// Whatever the bytes are: no panic, and every row is counted.
    #[test]
    fn any_bytes_are_counted(
        rows in prop::collection::btree_map(prop::collection::vec(0u8..4, 0..14), prop::collection::vec(any::<u8>(), 0..12), 0..40),
        shape in prop::sample::select(&SHAPES[..]),
    ) {
        let plan = shape.plan();
        let mut accumulator = StateAccumulator::new(&plan, tables()).with_spill(Box::<Runs>::default()).with_key_totals();
        let mut operator = OperatorKeys::new(3);
        let mut before = &[][..];
        for (at, (key, value)) in rows.iter().enumerate() {
            let shared = shared(before, key);
            if at % 3 == 0 {
                accumulator.begin(key, shared);
                accumulator.part(value, 1);
                accumulator.part(&[], 77);
                accumulator.end();
            } else {
                accumulator.put(key, shared, value, 2);
            }
            before = key;
            operator.end_batch(&mut [&mut accumulator]);
        }
        let partial = accumulator.finish();
        prop_assert_eq!(partial.live.rows, rows.len() as u64);
        let in_groups = partial.groups.values().map(|group| group.rows).sum::<u64>();
        let without_group = rows.keys().filter(|key| key.is_empty()).count() as u64;
        prop_assert_eq!(in_groups + without_group, rows.len() as u64);
        let keys = partial.keys.complete();
        prop_assert!(keys.totals().rows <= rows.len() as u64);
        if shape != Shape::Timers {
            let of_operator = operator.finish().keys.complete();
            prop_assert_eq!(of_operator.totals(), keys.totals());
        }
    }
}
