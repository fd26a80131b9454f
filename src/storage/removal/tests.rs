use super::*;

#[test]
fn an_object_is_cut_into_parts_that_stores_take() {
    #![allow(clippy::single_range_in_vec_init)]
    let cut = |size, most| parts(size, most).collect::<Vec<_>>();
    assert_eq!(cut(0, 10), []);
    assert_eq!(cut(1, 10), [0..1]);
    assert_eq!(cut(PART, 10), [0..PART]);
    assert_eq!(cut(PART + 1, 10), [0..PART, PART..PART + 1]);
    let size = 5 << 40;
    let all = cut(size, 9_000);
    assert!(all.len() <= 9_000 && all.first().is_some_and(|first| first.start == 0));
    assert!(all.iter().zip(all.iter().skip(1)).all(|(one, next)| one.end == next.start));
    assert_eq!(all.last().map(|last| last.end), Some(size));
}

#[test]
fn a_part_that_is_not_whole_is_none() {
    let location = Location::parse("s3://b/k").expect("a location");
    let of = |bytes: &'static str| whole(&location, &mut |_| Ok(Bytes::from(bytes)), 2..5);
    assert_eq!(of("abc").expect("bytes"), "abc");
    for (bytes, got) in [("ab", 2), ("abcd", 4)] {
        let error = of(bytes).expect_err("another number of bytes");
        assert_eq!(*error.kind(), StorageErrorKind::ShortRead { expected: 3, got });
    }
    let bytes = Bytes::from("0123");
    assert_eq!((slice(&bytes, 1..3), slice(&bytes, 3..9)), (Bytes::from("12"), Bytes::from("3")));
    assert_eq!((slice(&bytes, 7..9), slice(&bytes, 0..0)), (Bytes::new(), Bytes::new()));
}
