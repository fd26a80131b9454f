//! In-flight data: a channel's elements, whole and in pieces, and where the first whole one begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::flink::channel::{ElementReader, check_version, chunk_length, find_begin};
use statescope_formats_fuzz::{check, touch};

fuzz_target!(|data: &[u8]| {
    touch(&check_version(data));
    // Files of channel state are seeds: behind the version and the length of the first chunk, its elements follow.
    for channel in [data, data.get(8..).unwrap_or_default()] {
        if let Err(error) = chunk_length(channel, 0, 100) {
            check(&error, 0, channel.len());
        }
        let whole = elements(channel, channel.len().max(1));
        let pieces = elements(channel, 7);
        assert_eq!(whole, pieces);
        touch(&find_begin(channel, false));
        if let Some(begin) = find_begin(channel, true) {
            let rest = &channel[begin.leading..];
            assert!(elements(rest, rest.len()).1.is_none());
        }
    }
});

/// How many there are, and where it goes wrong.
fn elements(bytes: &[u8], piece: usize) -> (usize, Option<u64>) {
    let mut reader = ElementReader::new(0, 64);
    let mut told = 0;
    for part in bytes.chunks(piece) {
        let read = reader.feed(part, &mut |at, element| {
            assert!(at < bytes.len() as u64);
            touch(&element);
            told += 1;
        });
        assert!(reader.held() <= 64 + 29);
        if let Err(error) = read {
            check(&error, 0, bytes.len());
            return (told, Some(error.offset()));
        }
    }
    touch(&reader.end());
    (told, None)
}
