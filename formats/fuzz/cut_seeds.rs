//! Cuts what decoders read out of the files that contain it: `cut_seeds FROM TO`.
//!
//! Files are seeds as they are. But serializer snapshots stand in the middle of other files, and Java streams
//! too: for each place where one begins, the bytes from there on become a file in TO. Places that begin
//! alike are taken once.
//!
//! Of tables, the first data block becomes a file, with its type of compression and the format version in
//! front; so do the index, if it is not compressed, the filter and the range deletions. Blocks of one kind, version and
//! compression whose sizes are alike are taken once.

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const JAVA_STREAM: &[u8] = &[0xac, 0xed, 0, 5];
const CLASS_NAME: &[u8] = b"org.apache.flink.";
const TIMERS: &[u8] = &[0xf1, 0xcd, 0x85, 0x9f];
/// What committers of sinks, writers of files, and what they commit begin with.
const SINKS: [&[u8]; 3] = [&[0xb9, 0x1f, 0x25, 0x2c], &[0x1e, 0x76, 0x4b, 0x79], &[0x1e, 0x76, 0x5c, 0x80]];
/// Before a class name: the proxy's version (4 bytes) and the name's length (2 bytes).
const BEFORE_NAME: usize = 6;
const TABLES: [[u8; 8]; 2] =
    [0x88e2_41b7_85f4_cff7_u64.to_le_bytes(), 0xdb47_7524_8b80_fb57_u64.to_le_bytes()];
const LONGEST: usize = 4096;
const TOLD_APART_BY: usize = 160;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: cut_seeds FROM TO".into());
    };
    fs::create_dir_all(&to)?;
    let mut files = Vec::new();
    collect(&from, &mut files)?;
    files.sort();
    let (mut seen, mut kinds) = (HashSet::new(), HashSet::new());
    for file in files {
        let bytes = fs::read(file)?;
        for (name, tag, version, block) in blocks(&bytes).unwrap_or_default() {
            if kinds.insert((name, tag, version, block.len().ilog2())) {
                let name = format!("block-{:05}-{name}", kinds.len());
                fs::write(to.join(name), block)?;
            }
        }
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            let sinks = SINKS.iter().any(|magic| rest.starts_with(magic));
            let cut = if rest.starts_with(JAVA_STREAM) || rest.starts_with(TIMERS) || sinks {
                rest
            } else if rest.get(BEFORE_NAME..).is_some_and(|name| name.starts_with(CLASS_NAME)) {
                rest
            } else {
                continue;
            };
            let cut = &cut[..cut.len().min(LONGEST)];
            if seen.insert(cut[..cut.len().min(TOLD_APART_BY)].to_vec()) {
                fs::write(to.join(format!("{:05}", seen.len())), cut)?;
                // The same snapshot without the proxy around it.
                if cut.starts_with(&[0, 0, 0]) && cut.len() > 4 {
                    fs::write(to.join(format!("{:05}-versioned", seen.len())), &cut[4..])?;
                }
            }
        }
    }
    println!("{} pieces, {} blocks", seen.len(), kinds.len());
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The kind of a block, its type of compression, the table's format version, and the seed.
type Block = (&'static str, u8, u8, Vec<u8>);

/// The blocks of a table that are worth a file; none if it is no table.
fn blocks(file: &[u8]) -> Option<Vec<Block>> {
    let is_old = TABLES.iter().position(|magic| file.ends_with(magic))? == 1;
    let footer = file.get(file.len().checked_sub(if is_old { 49 } else { 53 })?..)?;
    let version = if is_old { 0 } else { *footer.get(41)? };
    let (metaindex, mut index) = if version < 6 {
        let mut at = &footer[1..];
        (handle(&mut at)?, handle(&mut at))
    } else {
        let size = u32::from_le_bytes(*footer.get(13..)?.first_chunk::<4>()?) as usize;
        (((file.len() - footer.len()).checked_sub(size + 5)?, size), None)
    };
    let mut found = Vec::new();

    let (_, contents) = stored(file, metaindex)?;
    let (rest, restarts) = contents.split_last_chunk::<4>()?;
    let mut at = rest.get(..rest.len().checked_sub(4 * u32::from_le_bytes(*restarts) as usize)?)?;
    while !at.is_empty() {
        // Names are whole.
        let (_shared, length, _value) = (varint(&mut at)?, varint(&mut at)?, varint(&mut at)?);
        let (name, value) = at.split_at_checked(length)?;
        at = value;
        let handle = handle(&mut at)?;
        match name {
            b"rocksdb.index" => index = Some(handle),
            b"rocksdb.range_del" => {
                let (tag, contents) = stored(file, handle)?;
                found.push(("range_del", tag, version, contents.to_vec()));
            }
            _ if name.starts_with(b"fullfilter.") => {
                // In front of it, the length of a key, and a key.
                let (tag, contents) = stored(file, handle)?;
                found.push(("filter", tag, version, [b"\x03key", contents].concat()));
            }
            _ => {}
        }
    }

    let (tag, contents) = stored(file, index?)?;
    if tag == 0 {
        found.push(("index", tag, version, contents.to_vec()));
        // Its first entry names the first data block, with the length of the value in front or without.
        for has_length in [true, false] {
            let mut at = contents;
            let (_shared, unshared) = (varint(&mut at)?, varint(&mut at)?);
            if has_length {
                varint(&mut at)?;
            }
            let Some((0, size)) = at.get(unshared..).and_then(|mut value| handle(&mut value)) else {
                continue;
            };
            if let Some((tag @ 0..=7, contents)) = stored(file, (0, size)) {
                found.push(("data", tag, version, [&[tag, version], contents].concat()));
                break;
            }
        }
    }
    Some(found)
}

fn varint(at: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = at.split_first()?;
        *at = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn handle(at: &mut &[u8]) -> Option<(usize, usize)> {
    Some((varint(at)?, varint(at)?))
}

/// A block's type of compression and its contents.
fn stored(file: &[u8], (offset, size): (usize, usize)) -> Option<(u8, &[u8])> {
    let (contents, trailer) = file.get(offset..)?.split_at_checked(size)?;
    Some((*trailer.first()?, contents))
}
