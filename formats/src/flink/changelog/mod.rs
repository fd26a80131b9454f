//! Changes of keyed state since its last materialization: files of changes (DSTL) and changes inside of `_metadata`.
//!
//! ```text
//! file      u8 compressed │ sets, one behind the other; where compressed is 1, as Snappy frames
//! set       i32 n │ n × group                at the offset that a handle records, in uncompressed bytes behind the first
//! group     i32 n │ i32 key group │ n × change           key group -1: meta data, before all others
//! change    i32 n │ n bytes: u8 operation │ …
//! meta data u8 8 │ i32 version │ state meta info │ of key-value state: u8 TTL │ [Java object] │ u8 default │ [value]
//!           │ u16 state │ u8 0 key-value, 3 timers
//! data      u8 operation │ u16 state │ of key-value state: key, namespace │ what the operation takes
//! ```
//!
//! | operation | takes | state |
//! |---|---|---|
//! | 0 `CLEAR` | nothing | all but timers |
//! | 1 `SET`, 2 `SET_INTERNAL` | value, `i32 n │ n × element` | value, reducing, aggregating; list |
//! | 3 `ADD` | `i32 n │ n × element`, `i32 n │ n × { user key, u8 null, value }` | list; map |
//! | 4 `MERGE_NS` | target namespace, `i32 n │ n × namespace` | list, reducing, aggregating |
//! | 5 `ADD_ELEMENT` | element; `i32 n │ n × timer` | list; timers |
//! | 5, 6 `ADD_OR_UPDATE_ELEMENT` | user key, value | map |
//! | 7 `REMOVE_ELEMENT` | user key; timer | map; timers |
//!
//! A state's number is what the last meta data says that came before, in all handles of one changelog. Values are as the
//! state's serializer writes them, so that a list is one value here; [`ChangeLayout`] makes rows of them as RocksDB has
//! them, like those of [`full_snapshot`](super::full_snapshot).
//!
//! Sources: `StateChangeFormat`, `ChangelogStreamWrapper`, `StateChangeOperation`, `AbstractStateChangeLogger`,
//! `KvStateChangeLoggerImpl`, `PriorityQueueStateChangeLoggerImpl`, `ChangelogBackendLogApplier` and the appliers it calls,
//! of Flink 1.15 to 2.3.

mod change;
mod layout;
mod set;
#[cfg(test)]
mod tests;

pub use change::{Change, DataChange, LoggedState, Operation};
pub use layout::{Applied, ChangeLayout, RowChange, RowChanges};
pub use set::{ChangeSet, SetStep, is_compressed};
