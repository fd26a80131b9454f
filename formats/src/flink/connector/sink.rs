//! Committables and states of writers of all sinks that are known.
//!
//! As with splits, nothing says which sink wrote them; they are recognized in the same way.
//!
//! ```text
//! async writer     i64 -1 | i32 n | n × { i64 size | request }                 what was buffered and not sent; requests are the sink's own
//! ```
//!
//! Source of that: `AsyncSinkWriterStateSerializer` of flink-connector-base 1.15 to 2.3.

use super::file_sink::{self, FileBucket, FileCommittable};
use super::iceberg::{self, IcebergCommittable};
use super::jdbc::{self, XaTransaction, XaTransactions};
use super::kafka::{self, KafkaCommittable, KafkaWriterState};
use super::versioned::{Versioned, check};
use crate::cursor::Cursor;
use crate::error::Result;

/// What is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committable {
    /// A transaction of Kafka.
    Kafka(KafkaCommittable),
    /// A file.
    File(FileCommittable),
    /// Manifests of Iceberg.
    Iceberg(IcebergCommittable),
    /// A transaction of XA.
    Xa(XaTransaction),
}

/// What a writer keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterState {
    /// A writer to Kafka.
    Kafka(KafkaWriterState),
    /// A bucket of files.
    File(FileBucket),
    /// A writer of JDBC's sink.
    Xa(XaTransactions),
    /// Requests that were not sent, and how many bytes they have.
    Buffered {
        /// How many.
        requests: u64,
        /// Their bytes, with a size for each.
        bytes: u64,
    },
}

impl Committable {
    /// Decodes a committable, if exactly one sink's serializer would read it.
    #[must_use]
    pub fn recognize(bytes: Versioned<'_>) -> Option<Self> {
        only([
            kafka::committable(bytes).map(Self::Kafka),
            file_sink::committable(bytes).map(Self::File),
            iceberg::committable(bytes).map(Self::Iceberg),
            jdbc::committable(bytes).map(Self::Xa),
        ])
    }

    /// The name of the sink in output.
    #[must_use]
    pub fn sink(&self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::File(_) => "files",
            Self::Iceberg(_) => "iceberg",
            Self::Xa(_) => "jdbc_xa",
        }
    }
}

impl WriterState {
    /// Decodes the state of a writer, if exactly one sink's serializer would read it.
    #[must_use]
    pub fn recognize(state: Versioned<'_>) -> Option<Self> {
        only([
            kafka::writer_state(state).map(Self::Kafka),
            file_sink::bucket(state).map(Self::File),
            jdbc::writer_state(state).map(Self::Xa),
            buffered(state),
        ])
    }

    /// The name of the sink in output.
    #[must_use]
    pub fn sink(&self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::File(_) => "files",
            Self::Xa(_) => "jdbc_xa",
            Self::Buffered { .. } => "async",
        }
    }
}

fn buffered(state: Versioned<'_>) -> Result<WriterState> {
    let mut cursor = Cursor::at(state.bytes, state.offset);
    let found = cursor.i64()?;
    check(found == -1, "the state of an asynchronous writer begins with -1", found, state.offset)?;
    let requests = cursor.count32("requests", 8)? as u64;
    let bytes = cursor.remaining() as u64;
    check(requests > 0 || bytes == 0, "without requests nothing follows", bytes, cursor.offset())?;
    Ok(WriterState::Buffered { requests, bytes })
}

/// The only one that could be read.
fn only<T, const N: usize>(candidates: [Result<T>; N]) -> Option<T> {
    let mut read = candidates.into_iter().filter_map(Result::ok);
    let first = read.next()?;
    read.next().is_none().then_some(first)
}
