//! What committers of sinks keep: committables that were not committed when the checkpoint was taken.
//!
//! ```text
//! collector v1     magic | list of committables                                       (sinks of Flink 1.14 and older)
//!           v2     magic | list of checkpoints                                        magic: B91F252C
//! global    v1     magic | list of global committables
//!           v2     B91F252B | bool { list of global committables } | collector with its version and length
//! checkpoint v0    i64 checkpoint | list of subtasks
//!            v1    i64 checkpoint | i32 subtasks that write | list of subtasks        (since 1.20)
//! subtask    v0    list of requests | i32 committables | i32 drained | i32 failed
//!            v1    i32 subtask | list of requests | i32 committables | i32 drained | i32 failed
//!            v2    i32 subtask | list of requests | i32 committables | i32 failed     (2.x)
//! request    v0    committable with its version and length | i32 retries | i32 state
//! ```
//!
//! Lists are those of [`Versioned`]. State: 0 received, 1 to be tried again, 2 failed, 3 committed. Sources:
//! `CommittableCollectorSerializer`, `GlobalCommitterSerializer`, `SinkV1CommittableDeserializer`, `CommitRequestState` of Flink 1.15 to 2.3.

use super::versioned::{Versioned, magic};
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};

const COLLECTOR: u32 = 0xB91F_252C;
const GLOBAL: u32 = 0xB91F_252B;
const RULE: &str = "the state of a committer begins with B91F252C or B91F252B";

/// What a committer keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committables<'a> {
    /// What was written up to each checkpoint.
    pub checkpoints: Vec<CheckpointCommittables<'a>>,
    /// What a sink of Flink 1.14 or older left: no checkpoint is recorded.
    pub legacy: Vec<Versioned<'a>>,
    /// Committables of a global committer.
    pub global: Vec<Versioned<'a>>,
}

/// What was written up to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointCommittables<'a> {
    /// The checkpoint.
    pub checkpoint_id: i64,
    /// How many subtasks write; none before Flink 1.20.
    pub writers: Option<i32>,
    /// By subtask of the writer.
    pub subtasks: Vec<SubtaskCommittables<'a>>,
}

/// What a subtask wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtaskCommittables<'a> {
    /// The writer's subtask; none before Flink 1.20.
    pub subtask: Option<i32>,
    /// How many committables it wrote in all.
    pub committables: i32,
    /// How many of them failed for good.
    pub failed: i32,
    /// Those that are not committed.
    pub requests: Vec<CommitRequest<'a>>,
}

/// A committable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitRequest<'a> {
    /// What the sink's serializer wrote.
    pub committable: Versioned<'a>,
    /// How often it was tried again.
    pub retries: i32,
    /// Where it stands: `received`, `retry`, `failed`, `committed`.
    pub state: &'static str,
}

impl<'a> Committables<'a> {
    /// Decodes the state of a committer or of a global committer.
    ///
    /// # Errors
    /// It is none, of a version that is not known, or damaged.
    pub fn parse(state: Versioned<'a>) -> Result<Self> {
        let is_global = state.bytes.starts_with(&GLOBAL.to_be_bytes());
        match state.version {
            1 => state.decode(|cursor| {
                magic(COLLECTOR, RULE, cursor)?;
                Ok(Self { legacy: Versioned::list(cursor).field("committables")?, ..Self::default() })
            }),
            2 if is_global => state.decode(global),
            2 => state.decode(|cursor| {
                magic(COLLECTOR, RULE, cursor)?;
                collector(cursor)
            }),
            _ => state.unknown("the state of a committer", "1, 2"),
        }
    }
}

fn global<'a>(cursor: &mut Cursor<'a>) -> Result<Committables<'a>> {
    magic(GLOBAL, RULE, cursor)?;
    let global =
        if cursor.bool()? { Versioned::list(cursor).field("global_committables")? } else { Vec::new() };
    let inner = Versioned::read(cursor).field("collector")?;
    // A global committer is in no other one.
    let inner = inner.decode(|cursor| {
        magic(COLLECTOR, RULE, cursor)?;
        match inner.version {
            2 => collector(cursor),
            _ => inner.unknown("the state of a committer", "2"),
        }
    })?;
    Ok(Committables { global, ..inner })
}

fn collector<'a>(cursor: &mut Cursor<'a>) -> Result<Committables<'a>> {
    let list = Versioned::list(cursor).field("checkpoints")?;
    let checkpoints = list.iter().enumerate().map(|(i, one)| checkpoint(*one).index("checkpoints", i));
    Ok(Committables { checkpoints: checkpoints.collect::<Result<_>>()?, ..Committables::default() })
}

fn checkpoint(one: Versioned<'_>) -> Result<CheckpointCommittables<'_>> {
    if !matches!(one.version, 0 | 1) {
        return one.unknown("committables of a checkpoint", "0, 1");
    }
    one.decode(|cursor| {
        let checkpoint_id = cursor.i64().field("checkpoint_id")?;
        let writers = if one.version == 1 { Some(cursor.i32().field("subtasks")?) } else { None };
        let list = Versioned::list(cursor).field("subtasks")?;
        let subtasks = list.iter().enumerate().map(|(i, one)| subtask(*one).index("subtasks", i));
        Ok(CheckpointCommittables { checkpoint_id, writers, subtasks: subtasks.collect::<Result<_>>()? })
    })
}

fn subtask(one: Versioned<'_>) -> Result<SubtaskCommittables<'_>> {
    if !matches!(one.version, 0..=2) {
        return one.unknown("committables of a subtask", "0 to 2");
    }
    one.decode(|cursor| {
        let subtask = if one.version >= 1 { Some(cursor.i32().field("subtask")?) } else { None };
        let list = Versioned::list(cursor).field("requests")?;
        let requests = list.iter().enumerate().map(|(i, one)| request(*one).index("requests", i));
        let requests = requests.collect::<Result<_>>()?;
        let committables = cursor.i32().field("committables")?;
        if one.version < 2 {
            let _drained = cursor.i32().field("drained")?;
        }
        Ok(SubtaskCommittables { subtask, committables, failed: cursor.i32().field("failed")?, requests })
    })
}

fn request(one: Versioned<'_>) -> Result<CommitRequest<'_>> {
    if one.version != 0 {
        return one.unknown("a commit request", "0");
    }
    one.decode(|cursor| {
        let committable = Versioned::read(cursor).field("committable")?;
        let retries = cursor.i32().field("retries")?;
        let offset = cursor.offset();
        let state = match cursor.i32().field("state")? {
            0 => "received",
            1 => "retry",
            2 => "failed",
            3 => "committed",
            other => {
                return Err(Error::invalid(
                    "the state of a committable is 0 to 3",
                    other.to_string(),
                    offset,
                ));
            }
        };
        Ok(CommitRequest { committable, retries, state })
    })
}
