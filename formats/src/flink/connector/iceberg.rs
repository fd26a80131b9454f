//! What Iceberg's source and sink keep, as far as it is not their own metadata.
//!
//! ```text
//! split v2         i32 file | i64 record | i32 n | n × utf task
//!       v3         i32 file | i64 record | i32 n | n × { i32 length | modified UTF-8 task }
//! committable v1   utf job id | utf operator id | i64 checkpoint | i32 n | n bytes: the manifests' addresses
//! ```
//!
//! Tasks are JSON. Version 1 of splits is a Java stream. Sources: `IcebergSourceSplit`, `IcebergCommittableSerializer` of iceberg-flink.

use super::split::Split;
use super::versioned::{Versioned, check};
use crate::cursor::Cursor;
use crate::error::{Result, ResultExt as _};
use crate::java::mutf8;

/// Data files that are read one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcebergSplit {
    /// Index of the file in which it is read on.
    pub file_offset: i32,
    /// How many of its records are passed over.
    pub record_offset: i64,
    /// The tasks, as JSON.
    pub tasks: Vec<String>,
}

/// What one checkpoint wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcebergCommittable {
    /// The job's id.
    pub job_id: String,
    /// The operator's id.
    pub operator_id: String,
    /// The checkpoint.
    pub checkpoint_id: i64,
    /// Bytes of the manifests' description.
    pub manifest_bytes: u64,
}

pub(super) fn split(split: Versioned<'_>) -> Result<Split> {
    if !matches!(split.version, 2 | 3) {
        return split.unknown("a split of Iceberg", "2, 3");
    }
    split.decode(|cursor| {
        let offset = cursor.offset();
        let (file_offset, record_offset) = (cursor.i32()?, cursor.i64()?);
        check(file_offset >= 0 && record_offset >= 0, "positions are not negative", file_offset, offset)?;
        let count = cursor.count32("tasks", 2)?;
        let task = |i, cursor: &mut Cursor<'_>| -> Result<String> {
            let offset = cursor.offset();
            let text = if split.version == 2 {
                cursor.utf().index("tasks", i)?.into_owned()
            } else {
                let length = cursor.length32("a task")?;
                let base = cursor.offset();
                mutf8::decode(cursor.take(length)?, base).index("tasks", i)?.into_owned()
            };
            check(text.starts_with('{'), "a task is JSON", &text, offset)?;
            Ok(text)
        };
        let tasks = (0..count).map(|i| task(i, cursor)).collect::<Result<Vec<_>>>()?;
        Ok(Split::Iceberg(IcebergSplit { file_offset, record_offset, tasks }))
    })
}

pub(super) fn committable(bytes: Versioned<'_>) -> Result<IcebergCommittable> {
    if bytes.version != 1 {
        return bytes.unknown("a committable of Iceberg", "1");
    }
    bytes.decode(|cursor| {
        let job_id = cursor.utf().field("job_id")?.into_owned();
        let operator_id = cursor.utf().field("operator_id")?.into_owned();
        let checkpoint_id = cursor.i64().field("checkpoint_id")?;
        let manifest_bytes = cursor.bytes32("manifests")?.len() as u64;
        Ok(IcebergCommittable { job_id, operator_id, checkpoint_id, manifest_bytes })
    })
}
