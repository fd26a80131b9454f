//! Cuts what decoders read out of the files that contain it: `cut_seeds FROM TO`.
//!
//! Files are seeds as they are. But serializer snapshots stand in the middle of other files, and Java streams
//! too: for each place where one begins, the bytes from there on become a file in TO. Places that begin
//! alike are taken once.

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const JAVA_STREAM: &[u8] = &[0xac, 0xed, 0, 5];
const CLASS_NAME: &[u8] = b"org.apache.flink.";
const TIMERS: &[u8] = &[0xf1, 0xcd, 0x85, 0x9f];
/// Before a class name: the proxy's version (4 bytes) and the name's length (2 bytes).
const BEFORE_NAME: usize = 6;
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
    let mut seen = HashSet::new();
    for file in files {
        let bytes = fs::read(file)?;
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            let cut = if rest.starts_with(JAVA_STREAM) || rest.starts_with(TIMERS) {
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
    println!("{} pieces", seen.len());
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
