//! What sources and sinks keep in operator state and in the state of their coordinators: where they read on, and what is not committed.
//!
//! [`Versioned`] is what Flink puts around a connector's own bytes; [`CoordinatorState`] holds the enumerator of a source, [`Committables`] what a committer keeps.
//! [`Connector`], [`Committable`] and [`WriterState`] decode the connectors' bytes. Their classes are recorded nowhere, so they are recognized by what they hold; what nobody
//! recognizes stays opaque. [`legacy`] has the list states of connectors from before these interfaces.

mod committables;
mod coordinator;
mod file_sink;
mod files;
mod hybrid;
mod iceberg;
mod jdbc;
mod kafka;
pub mod legacy;
mod sequence;
mod shards;
mod sink;
mod split;
mod versioned;

pub use committables::{CheckpointCommittables, CommitRequest, Committables, SubtaskCommittables};
pub use coordinator::CoordinatorState;
pub use file_sink::{FileBucket, FileCommittable, PartFile};
pub use files::FileSplit;
pub use hybrid::HybridSplit;
pub use iceberg::{IcebergCommittable, IcebergSplit};
pub use jdbc::{XaTransaction, XaTransactions};
pub use kafka::{KafkaCommittable, KafkaSplit, KafkaWriterState, kafka_offset_name};
pub use sequence::NumberSplit;
pub use shards::ShardSplit;
pub use sink::{Committable, WriterState};
pub use split::{Connector, Enumerator, Split};
pub use versioned::Versioned;

#[cfg(test)]
mod tests;
