//! The files of a cache: the one place beside `prune` that writes and removes files, and only those that it made.
//!
//! ```text
//! DIR/statescope-1/ab/cdef…/0123…-START-LENGTH     hash of the address · hash of the version · the range
//!
//! ┌────────────────────────┬───────────┬───────────────────────┬────────────┬──────────────────────────────────────┐
//! │ "statescope cache 1\n" │ u32 LE: n │ n bytes: the key      │ the bytes  │ 16 bytes LE: XXH3-128 of all before  │
//! └────────────────────────┴───────────┴───────────────────────┴────────────┴──────────────────────────────────────┘
//! ```
//!
//! The key is a text with the address, the version, the size and the begin of the range; the endpoint is in it as a hash
//! only. A file is written under another name and then renamed, so that it is whole or not there; one that was damaged
//! since is noticed by its length, its checksum or its key, and removed.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use twox_hash::XxHash3_128;

const MAGIC: &[u8] = b"statescope cache 1\n";
const CHECKSUM: usize = 16;

/// The directory in the user's one that all files lie in: nothing else there is ever touched.
const OURS: &str = "statescope-1";

/// How files begin that are being written. Those that are left by a process that was killed go after a day.
const PART: &str = "part-";
const PART_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// An object, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Names of the directories.
    object: (String, String),
    version: String,
    /// What is written into each file.
    text: String,
}

impl Key {
    pub(super) fn new(endpoint: &str, address: &str, version: &str, size: u64) -> Self {
        let text = format!("{}\n{address}\n{version}\n{size}\n", hash(endpoint));
        let version = hash(&text).chars().take(16).collect();
        Self { object: directories(endpoint, address), version, text }
    }
}

fn hash(text: &str) -> String {
    format!("{:032x}", XxHash3_128::oneshot(text.as_bytes()))
}

fn directories(endpoint: &str, address: &str) -> (String, String) {
    let all = hash(&format!("{endpoint}\n{address}"));
    let (first, rest) = all.split_at_checked(2).unwrap_or((&all, ""));
    (first.to_owned(), rest.to_owned())
}

#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    limit: u64,
    clock: fn() -> SystemTime,
    /// What was written since it was last looked how much there is.
    written: AtomicU64,
    tidying: Mutex<bool>,
    /// Nothing is written any more: the disk may be full.
    is_refused: AtomicBool,
}

impl Files {
    pub(super) fn open(directory: &Path, limit: u64, clock: fn() -> SystemTime) -> io::Result<Self> {
        let directory = directory.join(OURS);
        make(&directory)?;
        let (written, tidying, is_refused) = (AtomicU64::new(0), Mutex::new(false), AtomicBool::new(false));
        Ok(Self { directory, limit, clock, written, tidying, is_refused })
    }

    fn of(&self, (first, rest): &(String, String)) -> PathBuf {
        self.directory.join(first).join(rest)
    }

    fn path(&self, key: &Key, range: &Range<u64>) -> PathBuf {
        let name = format!("{}-{}-{}", key.version, range.start, range.end.saturating_sub(range.start));
        self.of(&key.object).join(name)
    }

    /// Whether anything of an object is kept, of whichever version.
    pub(super) fn has_any(&self, endpoint: &str, address: &str) -> bool {
        fs::read_dir(self.of(&directories(endpoint, address)))
            .is_ok_and(|mut entries| entries.next().is_some())
    }

    /// What is kept of a version, by its begin: the longest.
    pub(super) fn extents(&self, key: &Key) -> BTreeMap<u64, u64> {
        let mut found = BTreeMap::new();
        let entries = fs::read_dir(self.of(&key.object)).into_iter().flatten().filter_map(Result::ok);
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            let range = name.strip_prefix(&key.version).and_then(|rest| rest.strip_prefix('-'));
            let Some((start, length)) = range.and_then(|range| range.split_once('-')) else { continue };
            let (Ok(start), Ok(length)) = (start.parse::<u64>(), length.parse::<u64>()) else { continue };
            let Some(end) = start.checked_add(length) else { continue };
            let longest = found.entry(start).or_insert(end);
            *longest = end.max(*longest);
        }
        found
    }

    /// The bytes of a range, if they are kept as one. What is not whole is removed.
    pub(super) fn read(&self, key: &Key, range: Range<u64>) -> Option<Bytes> {
        let path = self.path(key, &range);
        let mut file = File::open(&path).ok()?;
        let head = head(key, range.start);
        let body = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let length = head.len().checked_add(body)?.checked_add(CHECKSUM)?;
        let mut bytes = Vec::new();
        let is_whole = file.metadata().is_ok_and(|metadata| metadata.len() == length as u64)
            && file.read_to_end(&mut bytes).is_ok_and(|read| read == length)
            && bytes.split_last_chunk::<CHECKSUM>().is_some_and(|(all, checksum)| {
                all.starts_with(&head) && XxHash3_128::oneshot(all) == u128::from_le_bytes(*checksum)
            });
        if !is_whole {
            // If it cannot be removed, it will not be believed the next time either.
            let _ = fs::remove_file(&path);
            return None;
        }
        // What is used stays. Where times cannot be set, what is written stays.
        let _ = file.set_modified((self.clock)());
        Some(Bytes::from(bytes).slice(head.len()..head.len() + body))
    }

    /// Keeps a range. False if it could not.
    pub(super) fn write(&self, key: &Key, range: Range<u64>, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        if length > self.limit / 8 || self.is_refused.load(Ordering::Relaxed) {
            return false;
        }
        self.make_room(length);
        let path = self.path(key, &range);
        // Another process may remove the directory when it finds it empty.
        let written = self
            .try_write(key, range.start, bytes, &path)
            .or_else(|_| self.try_write(key, range.start, bytes, &path));
        if written.is_err() {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        written.is_ok()
    }

    fn try_write(&self, key: &Key, start: u64, bytes: &[u8], path: &Path) -> io::Result<()> {
        let directory = self.of(&key.object);
        make(&directory)?;
        let mut file = tempfile::Builder::new().prefix(PART).tempfile_in(&directory)?;
        let head = head(key, start);
        let mut hasher = XxHash3_128::new();
        for part in [&*head, bytes] {
            hasher.write(part);
            file.write_all(part)?;
        }
        file.write_all(&hasher.finish_128().to_le_bytes())?;
        file.as_file().set_modified((self.clock)())?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Removes what was used longest ago, if there is more than may be. It is looked when the first bytes are written, and
    /// again when an eighth of the limit was.
    fn make_room(&self, length: u64) {
        let written = self.written.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        let Ok(mut has_looked) = self.tidying.try_lock() else { return };
        if *has_looked && written < self.limit / 8 {
            return;
        }
        *has_looked = true;
        self.written.store(0, Ordering::Relaxed);
        let mut all = self.all();
        let mut sum: u64 = all.iter().map(|(_, size, _)| size).sum();
        // With room for what is written before it is looked again.
        let most = self.limit - self.limit / 8;
        if sum.saturating_add(length) <= most {
            return;
        }
        all.sort();
        for (_, size, path) in all {
            if sum.saturating_add(length) <= most {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                sum -= size;
                // It stays if something is left in it.
                let _ = path.parent().map(fs::remove_dir);
            }
        }
    }

    /// All files that were made here: when each was last used, and its size. Those that were never finished go.
    fn all(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let below = |path: &Path| fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let mut all = Vec::new();
        for first in below(&self.directory) {
            for object in below(&first.path()) {
                for entry in below(&object.path()) {
                    let Ok(metadata) = entry.metadata() else { continue };
                    let Ok(used) = metadata.modified() else { continue };
                    let is_part = entry.file_name().to_string_lossy().starts_with(PART);
                    let age = (self.clock)().duration_since(used).unwrap_or_default();
                    if is_part && age > PART_AGE {
                        let _ = fs::remove_file(entry.path());
                    } else if metadata.is_file() && !is_part {
                        all.push((used, metadata.len(), entry.path()));
                    }
                }
            }
        }
        all
    }
}

fn head(key: &Key, start: u64) -> Vec<u8> {
    let text = format!("{}{start}\n", key.text);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [MAGIC, &length.to_le_bytes(), text.as_bytes()].concat()
}

/// Makes a directory for nobody but the user: what is kept may be anybody's data.
fn make(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
