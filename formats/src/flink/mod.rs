//! What Apache Flink writes: `_metadata`, state handles, backend meta data, serializer snapshots, what high availability keeps, and how to find the
//! parts of keys and values.

mod avro;
pub mod changelog;
pub mod channel;
pub mod connector;
pub mod full_snapshot;
pub mod ha;
pub mod key;
pub mod metadata;
pub mod operator_id;
pub mod operator_state;
pub mod serializer;
pub mod state_meta;
pub mod value;
pub mod walk;
