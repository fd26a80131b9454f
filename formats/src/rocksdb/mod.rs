//! What RocksDB writes: the small files that describe a database, and the tail of its tables.
//!
//! ```text
//! CURRENT ──names──▶ MANIFEST-n ──log records──▶ VersionEdits ──replay──▶ Version: live tables
//! OPTIONS-n          what each column family was configured with
//! n.sst    [data blocks…][filter][index][dictionary][range deletions][properties][metaindex][footer]
//!                                                                    └────── TableTail ──────────┘
//! ```
//!
//! * [`current`], [`log`], [`manifest`], [`options`]: the files that describe a database.
//! * [`tail`] drives [`footer`], [`properties`] (with the metaindex) over the end of a table.
//! * [`index`]: where a table's data blocks lie; [`filter`]: which keys it does not hold; [`range_del`]: the ranges of keys it deletes;
//!   [`unsupported`]: what is not read.
//! * [`block`], [`checksum`], [`compression`], [`handle`], [`internal_key`]: what every block of a
//!   table shares.
//! * [`data_block`]: the entries of data blocks, for those who read all of them.
//!
//! RocksDB writes fixed-width integers little-endian, and most others as LEB128 varints; a *slice*
//! is a varint32 length and that many bytes. Facts are from RocksDB's own source, `main` after 11.8,
//! compared with 5.17.2 (Flink up to 1.13), 6.20.3 (Flink 1.14 to 1.20) and 8.10.0 (Flink 2.x, and
//! the fork ForSt); each module names the file it follows.

pub mod block;
pub mod checksum;
pub mod compression;
pub mod current;
pub mod data_block;
pub mod filter;
pub mod footer;
pub mod handle;
pub mod index;
pub mod internal_key;
pub mod log;
pub mod manifest;
pub mod options;
pub mod properties;
pub mod range_del;
pub mod tail;
pub mod unsupported;

#[cfg(test)]
mod samples;
