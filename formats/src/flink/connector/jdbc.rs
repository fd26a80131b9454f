//! Transactions of JDBC's sink, which are those of XA.
//!
//! ```text
//! xid                  i32 format | i8 n | n bytes global id | i8 m | m bytes branch
//! committable v1       xid
//! writer state v2      i32 n | n × { i8 length | transaction } | i32 m | m × { i8 length | transaction }    hanging, prepared
//! transaction          16 bytes job id | i32 subtask | i32 subtasks | i64 checkpoint | i32 attempts
//! legacy state         i32 n | n × xid | i32 m | m × { i64 checkpoint | i32 attempts | xid }                hanging, prepared
//! ```
//!
//! The serializers hand out their whole buffer: zeros follow that mean nothing. Ids of the format 202 are those of `JdbcSink`: the global id is the job's id and
//! i32 subtask, the branch i32 subtasks and i64 checkpoint. Sources: `JdbcCommitableSerializer`, `JdbcWriterStateSerializer`, `TransactionId`, `XidSerializer`,
//! `XaSinkStateSerializer` of flink-connector-jdbc 3 and 4.

use super::versioned::Versioned;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XaTransaction {
    /// Its id, as format, global id and branch, in hex with colons between them; of a writer's state, the job's id.
    pub id: String,
    /// The checkpoint that it belongs to, where that is recorded.
    pub checkpoint_id: Option<i64>,
    /// The subtask that began it, where that is recorded.
    pub subtask: Option<i32>,
    /// How often a commit was tried, where that is recorded.
    pub attempts: Option<i32>,
}

/// Transactions that a writer knows of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XaTransactions {
    /// Prepared, to be committed.
    pub prepared: Vec<XaTransaction>,
    /// Found to be left over, to be rolled back.
    pub hanging: Vec<XaTransaction>,
}

/// Bytes as hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// Bytes with a length of one byte.
fn short<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8]> {
    let offset = cursor.offset();
    let found = cursor.i8()?;
    let max = cursor.remaining() as u64;
    let length = usize::try_from(found).ok().filter(|&n| n as u64 <= max);
    let bad = || Error::new(ErrorKind::BadCount { what: "an id's bytes", found: found.into(), max }, offset);
    cursor.take(length.ok_or_else(bad)?)
}

/// Nothing but zeros may follow.
fn zeros(cursor: &mut Cursor<'_>) -> Result<()> {
    let used = cursor.rest().iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if used > 0 {
        return cursor.finish();
    }
    cursor.skip(cursor.remaining())
}

/// The id in words, and what Flink put into it.
fn xid(cursor: &mut Cursor<'_>) -> Result<XaTransaction> {
    let offset = cursor.offset();
    let format = cursor.i32().field("format_id")?;
    let (global, branch) = (short(cursor).field("global_id")?, short(cursor).field("branch")?);
    // XA allows 64 bytes each, and 0 would be no transaction.
    if global.is_empty() || global.len() > 64 || branch.len() > 64 {
        return Err(Error::invalid(
            "the parts of a transaction's id have 1 to 64 bytes",
            hex(global),
            offset,
        ));
    }
    let id = format!("{format}:{}:{}", hex(global), hex(branch));
    let (subtask, checkpoint) = (global.get(16..20), branch.get(4..12));
    let is_flinks = format == 202 && global.len() >= 20 && branch.len() >= 12;
    Ok(XaTransaction {
        id,
        checkpoint_id: checkpoint.filter(|_| is_flinks).and_then(|bytes| Cursor::new(bytes).i64().ok()),
        subtask: subtask.filter(|_| is_flinks).and_then(|bytes| Cursor::new(bytes).i32().ok()),
        attempts: None,
    })
}

fn transaction(cursor: &mut Cursor<'_>) -> Result<XaTransaction> {
    let offset = cursor.offset();
    let mut inner = Cursor::at(short(cursor)?, offset.saturating_add(1));
    let job = hex(inner.take(16).field("job_id")?);
    let (subtask, subtasks) = (inner.i32().field("subtask")?, inner.i32().field("subtasks")?);
    let (checkpoint, attempts) = (inner.i64().field("checkpoint_id")?, inner.i32().field("attempts")?);
    zeros(&mut inner)?;
    Ok(XaTransaction {
        id: format!("{job}:{subtask}:{subtasks}:{checkpoint}"),
        checkpoint_id: Some(checkpoint),
        subtask: Some(subtask),
        attempts: Some(attempts),
    })
}

fn many<'a>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
    one: fn(&mut Cursor<'a>) -> Result<XaTransaction>,
) -> Result<Vec<XaTransaction>> {
    let count = cursor.count32(what, 6)?;
    (0..count).map(|i| one(cursor).index(what, i)).collect()
}

pub(super) fn committable(bytes: Versioned<'_>) -> Result<XaTransaction> {
    if bytes.version != 1 {
        return bytes.unknown("a committable of JDBC", "1");
    }
    bytes.decode(|cursor| {
        let transaction = xid(cursor)?;
        zeros(cursor)?;
        Ok(transaction)
    })
}

pub(super) fn writer_state(state: Versioned<'_>) -> Result<XaTransactions> {
    if state.version != 2 {
        return state.unknown("the state of a writer of JDBC", "2");
    }
    state.decode(|cursor| {
        let hanging = many(cursor, "hanging", transaction)?;
        let prepared = many(cursor, "prepared", transaction)?;
        zeros(cursor)?;
        Ok(XaTransactions { prepared, hanging })
    })
}

/// The state `XaSinkState` of `JdbcXaSinkFunction`: one element.
pub(super) fn legacy_state(cursor: &mut Cursor<'_>) -> Result<XaTransactions> {
    let hanging = many(cursor, "hanging", xid)?;
    let prepared = many(cursor, "prepared", |cursor| {
        let (checkpoint, attempts) = (cursor.i64()?, cursor.i32()?);
        Ok(XaTransaction { checkpoint_id: Some(checkpoint), attempts: Some(attempts), ..xid(cursor)? })
    })?;
    cursor.finish()?;
    Ok(XaTransactions { prepared, hanging })
}
