//! `CheckpointProperties`: the Java-serialized tail of `_metadata` since version 4.
//!
//! It is the only evidence in the file of what kind of snapshot it is:
//!
//! ```text
//! org.apache.flink.runtime.checkpoint.CheckpointProperties
//!   boolean discardCancelled, discardFailed, discardFinished, discardSubsumed, discardSuspended
//!   boolean forced, unclaimed
//!   Object  checkpointType
//!     CheckpointType { String name, enum sharingFilesStrategy }
//!     SavepointType  { String name, enum postCheckpointAction, enum formatType }
//!     up to 1.14: enum CheckpointType CHECKPOINT, SAVEPOINT, SAVEPOINT_SUSPEND, SAVEPOINT_TERMINATE
//! ```
//!
//! High availability keeps the same object.

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::java::stream::{JavaStream, ObjectRef, Value};

const CLASS: &str = "org.apache.flink.runtime.checkpoint.CheckpointProperties";

/// What kind of snapshot this is, and when Flink discards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointProperties {
    /// The kind of snapshot.
    pub kind: PropertiesKind,
    /// Flink's own name of the kind, such as `Full Checkpoint`.
    pub name: String,
    /// Which files other snapshots may use: `FORWARD_BACKWARD`, `FORWARD`, `NO_SHARING`.
    pub sharing: Option<String>,
    /// Whether the job gave up its claim on the snapshot.
    pub unclaimed: Option<bool>,
    /// Whether the snapshot was forced.
    pub forced: Option<bool>,
    /// When Flink discards the snapshot: (`cancelled`, …) as the fields are called.
    pub discard: Vec<(String, bool)>,
}

/// The class of the snapshot's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertiesKind {
    /// A checkpoint.
    Checkpoint,
    /// A savepoint.
    Savepoint {
        /// `CANONICAL` or `NATIVE`, where recorded.
        format: Option<String>,
        /// `NONE`, `SUSPEND` or `TERMINATE`, where recorded.
        post_action: Option<String>,
    },
    /// Another class, named.
    Other(String),
}

impl CheckpointProperties {
    /// Decodes the properties, which must end with the bytes; `base` is their offset in `_metadata`.
    ///
    /// # Errors
    /// If the bytes are no Java stream, hold another class, or go on behind it.
    pub fn decode(bytes: &[u8], base: u64) -> Result<Self> {
        let mut cursor = Cursor::at(bytes, base);
        let stream = JavaStream::parse(&mut cursor)?;
        cursor.finish()?;
        Self::of(stream.root(), base)
    }

    /// The properties that an object is; `base` is the offset that an error gets.
    pub(crate) fn of(root: ObjectRef<'_>, base: u64) -> Result<Self> {
        if root.class_name() != CLASS {
            let rule = "CheckpointProperties stand here";
            return Err(Error::invalid(rule, format!("an object of class {:?}", root.class_name()), base));
        }
        let flag = |name| root.field(name).and_then(Value::boolean);
        let discard = root
            .fields()
            .filter_map(|(name, value)| {
                let when = name.strip_prefix("discard")?;
                Some((when.to_lowercase(), value.boolean()?))
            })
            .collect();
        let kind = root.field("checkpointType").and_then(Value::object);
        Ok(Self {
            kind: kind.map_or(PropertiesKind::Other(String::new()), snapshot_kind),
            name: kind
                .and_then(|k| text(k, "name").or_else(|| k.enum_constant().map(str::to_owned)))
                .unwrap_or_default(),
            sharing: kind.and_then(|k| text(k, "sharingFilesStrategy")),
            unclaimed: flag("unclaimed"),
            forced: flag("forced"),
            discard,
        })
    }
}

fn snapshot_kind(object: ObjectRef<'_>) -> PropertiesKind {
    if let Some(constant) = object.enum_constant() {
        return match constant.strip_prefix("SAVEPOINT") {
            Some(rest) => PropertiesKind::Savepoint {
                format: None,
                post_action: rest.strip_prefix('_').map(str::to_owned),
            },
            None => PropertiesKind::Checkpoint,
        };
    }
    let class = object.class_name();
    match class.rsplit(['.', '$']).next() {
        Some("CheckpointType") => PropertiesKind::Checkpoint,
        Some("SavepointType") => PropertiesKind::Savepoint {
            format: text(object, "formatType"),
            post_action: text(object, "postCheckpointAction"),
        },
        _ => PropertiesKind::Other(class.to_owned()),
    }
}

fn text(object: ObjectRef<'_>, field: &str) -> Option<String> {
    let value = object.field(field)?;
    value.string().or_else(|| value.enum_constant()).map(str::to_owned)
}
