//! statescope reads what Apache Flink left on storage: checkpoints, savepoints and the RocksDB
//! files in them, without a JVM, a cluster or user classes.

pub mod analyzers;
pub mod cli;
pub mod lsm;
pub mod model;
pub mod prune;
pub mod readers;
#[cfg(feature = "rocksdb")]
pub mod reference;
pub mod report;
pub mod scan;
pub mod storage;
