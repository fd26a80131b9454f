//! The integration tests: one binary, one module for each subject.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]

mod bad_input;
mod cli;
mod determinism;
mod flink;
mod house;
mod io_counts;
mod json_docs;
mod registry;
mod relocation;
mod rocksdb;
mod rocksdb_tools;
mod storage;
mod support;
mod truth;
