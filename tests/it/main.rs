//! The integration tests: one binary, one module for each subject.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]

mod analyze;
mod bad_input;
mod cat;
mod channels;
mod cli;
mod depths;
mod determinism;
mod figures;
mod flink;
mod histories;
mod house;
mod io_counts;
mod json_docs;
mod live;
mod materialize;
mod memory;
mod offsets;
mod prune;
mod prune_model;
mod recompress;
mod registry;
mod relocation;
mod rocksdb;
#[cfg(feature = "rocksdb")]
mod rocksdb_engine;
mod rocksdb_tools;
mod scan;
mod storage;
mod streams;
mod support;
mod tables;
mod truth;
mod verify;
mod walkers;
