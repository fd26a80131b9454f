//! MANIFEST: which tables a database consists of (`db/version_edit.{h,cc}`,
//! `db/version_edit_handler.cc`).
//!
//! A MANIFEST is a [log](super::log) whose records are *version edits*; replayed in order they give
//! the [`Version`] in force. An edit is a list of tagged fields:
//!
//! ```text
//! varint32 tag │ field …            until the record ends
//!
//!   1 comparator          slice          100 new file (2)     level, number, size, smallest, largest,
//!   2 log number          varint64                            smallest seqno, largest seqno
//!   3 next file number    varint64       102 new file (3)     … with the path id after the number
//!   4 last sequence       varint64       103 new file (4)     … as 100, then custom fields
//!   5 compact cursor      level, key     200 column family    varint32 id, of the whole edit
//!   6 deleted file        level, number  201 … is added       slice name
//!   7 new file            … as 100,      202 … is dropped
//!     without sequence numbers           203 max column family  varint32
//!   9 previous log number varint64       300 in atomic group  varint32 edits that follow
//!  10 min log to keep     varint64       400 blob file, 401 garbage of one
//!
//! 8192 is a bit: such a tag is followed by a slice, so that an older reader can step over it
//!  8193 db id · 8198 full_history_ts_low · 8199 WAL added · 8200 WALs deleted
//!  8201 persist user-defined timestamps · 8202 subcompaction progress · 8203 MANIFEST size
//!  8194 to 8197 are 400, 401, 8199 and 8200 as 6.x once wrote them: without the slice
//!
//! custom fields of 103:   (varint32 tag │ slice)… │ varint32 1
//!   2 needs compaction · 3 min log to keep (u64 LE) · 4 oldest blob file · 5 oldest ancester time
//!   6 file creation time · 7 file checksum · 8 its function · 9 temperature · 10 min timestamp
//!  11 max timestamp · 12 unique id (16 bytes) · 13 epoch number · 14 compensated range deletion size
//!  15 tail size · 16 timestamps persisted · 17 file open metadata; bit 64: must be known; 65 path id
//! ```
//!
//! Keys are slices that hold an [internal key](super::internal_key). Times are in seconds since 1970.
//! The tag 200 stands *after* the files of its edit, so an edit must be read to its end before its
//! files belong anywhere.

mod edit;
mod file;
mod version;

pub use edit::{BlobFileAddition, BlobFileGarbage, CompactCursor, VersionEdit, WalAddition};
pub use file::{DeletedFile, FileMetaData, NewFile, Temperature, UnreadField};
pub use version::{BlobFile, ColumnFamily, DEFAULT_COLUMN_FAMILY, Edits, LiveFile, Version};
