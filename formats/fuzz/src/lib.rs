//! What the fuzz targets share: a cap on single allocations, the rules every error keeps, and walks over
//! decoded structures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::{self, Debug, Write};

use statescope_formats::Error;
use statescope_formats::flink::serializer::{RenderOptions, SerializerSnapshot};
use statescope_formats::java::stream::{Annotation, JavaStream, Value};
use statescope_formats::rocksdb::checksum::ChecksumType;

/// Inputs are at most 64 KiB (`run.sh`): who allocates this much at once has believed a count.
const LARGEST_ALLOCATION: usize = 32 << 20;

#[global_allocator]
static CAPPED: Capped = Capped;

struct Capped;

// SAFETY: everything is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Capped {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        cap(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        cap(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        cap(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn cap(size: usize) {
    if size > LARGEST_ALLOCATION {
        // An unwinding allocator is undefined behaviour: abort, which libFuzzer reports as a crash.
        eprintln!("one allocation of {size} bytes");
        std::process::abort();
    }
}

/// Walks a result: every field of a structure through its `Debug`, every error through its text.
///
/// An error may point at the end of the input, never behind it.
pub fn walk<T: Debug>(result: Result<T, Error>, base: u64, length: usize) -> Option<T> {
    match result {
        Ok(value) => {
            touch(&value);
            Some(value)
        }
        Err(error) => {
            check(&error, base, length);
            None
        }
    }
}

/// What holds of every error.
pub fn check(error: &Error, base: u64, length: usize) {
    let end = base.saturating_add(length as u64);
    assert!((base..=end).contains(&error.offset()), "{error}: the input is {base}..{end}");
    touch(error);
    assert!(!error.to_string().is_empty());
}

/// Reads every field of a structure.
pub fn touch(value: &impl Debug) {
    struct Nowhere;
    impl Write for Nowhere {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            Ok(())
        }
    }
    let _ = write!(Nowhere, "{value:?}");
}

/// Walks a Java stream as its users do: fields, elements, entries and annotations, a bounded number of steps
/// since objects may refer to one another in circles.
pub fn walk_java(stream: &JavaStream) {
    touch(stream);
    touch(&stream.classes());
    let mut open = vec![stream.root()];
    for _ in 0..10_000 {
        let Some(object) = open.pop() else { break };
        touch(&(object.kind(), object.class_name(), object.class_chain(), object.bytes()));
        let mut values: Vec<Value<'_>> = object.fields().map(|(_, value)| value).collect();
        values.extend(object.array().unwrap_or_default());
        values.extend(object.elements().unwrap_or_default());
        for (key, value) in object.entries().unwrap_or_default() {
            values.extend([key, value]);
        }
        for annotation in object.annotations() {
            match annotation {
                Annotation::Block(block) => touch(&block.len()),
                Annotation::Value(value) => values.push(value),
            }
        }
        for value in values {
            touch(&(value.boolean(), value.integer(), value.string(), value.enum_constant()));
            open.extend(value.object());
        }
    }
}

/// Walks a serializer snapshot: all that can be asked of it, and all it is made of.
pub fn walk_state(name: &str, snapshot: &SerializerSnapshot, length: usize) {
    touch(&(name, snapshot.render(), snapshot.render_with(RenderOptions::brief(40))));
    touch(&(snapshot.kryo_paths(), snapshot.opaque_paths(), snapshot.has_ttl(), snapshot.is_complete()));
    let mut open = vec![snapshot];
    while let Some(snapshot) = open.pop() {
        let end = snapshot.offset.saturating_add(snapshot.length.unwrap_or(0));
        assert!(end <= length as u64, "{} ends at {end} of {length}", snapshot.class);
        for (index, (edge, child)) in snapshot.children().enumerate() {
            assert_eq!(snapshot.child(index), Some(child));
            touch(&edge.to_string());
            open.push(child);
        }
    }
}

/// The same log with every fragment's checksum made right, so that what lies behind checksums is reached.
pub fn sealed_log(data: &[u8]) -> Vec<u8> {
    let mut log = data.to_vec();
    for block in log.chunks_mut(32 << 10) {
        let mut rest = block;
        while let Some((header, after)) = rest.split_first_chunk_mut::<7>() {
            let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
            // Recyclable fragments (types 5 to 8) have the log's number, 4 bytes, in their header too.
            let length = if (5..=8).contains(&header[6]) { length + 4 } else { length };
            let Some((payload, next)) = after.split_at_mut_checked(length) else { break };
            let summed: Vec<u8> = [&header[6..], payload].concat();
            let crc = ChecksumType::Crc32c.compute(&summed);
            header[..4].copy_from_slice(&crc.to_le_bytes());
            rest = next;
        }
    }
    log
}
