//! What Apache Flink writes: `_metadata`, state handles, backend meta data, serializer snapshots.

pub mod metadata;
pub mod operator_id;
pub mod serializer;
pub mod state_meta;
