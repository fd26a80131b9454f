//! What states are to connectors, told by their names and serializers; and which connectors Flink no longer has.

use statescope_formats::flink::serializer::{Kind, SerializerSnapshot};
use statescope_formats::flink::state_meta::StateMetaInfo;

/// What a state is to a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Splits of a source's reader.
    Reader,
    /// Positions of `FlinkKafkaConsumer`.
    KafkaConsumer,
    /// Positions of `FlinkKinesisConsumer`.
    KinesisConsumer,
    /// States of a sink's writer.
    Writer,
    /// States of a sink's committer.
    Committer,
    /// Transactions of `FlinkKafkaProducer`.
    KafkaProducer {
        /// Whether there may be no open transaction.
        supports_null: bool,
    },
    /// Transactions of another `TwoPhaseCommitSinkFunction`.
    TwoPhaseCommit,
    /// Transactions of `JdbcXaSinkFunction`.
    XaSink,
    /// Buckets of `StreamingFileSink`.
    Buckets,
    /// Manifests of Iceberg's `FlinkSink`.
    IcebergCommitter,
}

/// Whether any class of a serializer has this text in its name.
fn names(serializer: &SerializerSnapshot, text: &str) -> bool {
    let of_kind = match &serializer.kind {
        Kind::Unknown { serializer: Some(class), .. } => class.contains(text),
        _ => false,
    };
    of_kind || serializer.class.contains(text) || serializer.children().any(|(_, child)| names(child, text))
}

impl Role {
    pub(super) fn of(name: &str, meta: Option<&StateMetaInfo>) -> Option<Self> {
        let serializer = meta.and_then(StateMetaInfo::value_serializer);
        let role = match name {
            "SourceReaderState" => Self::Reader,
            "topic-partition-offset-states" => Self::KafkaConsumer,
            "Kinesis-Stream-Shard-State" => Self::KinesisConsumer,
            "writer_raw_states" => Self::Writer,
            "streaming_committer_raw_states" => Self::Committer,
            "XaSinkState" => Self::XaSink,
            "bucket-states" => Self::Buckets,
            "iceberg-files-committer-state" => Self::IcebergCommitter,
            _ => {
                let serializer = serializer?;
                let Kind::TwoPhaseCommit { supports_null_transaction } = serializer.kind else { return None };
                if names(serializer, "FlinkKafkaProducer") {
                    return Some(Self::KafkaProducer { supports_null: supports_null_transaction });
                }
                return Some(Self::TwoPhaseCommit);
            }
        };
        Some(role)
    }

    /// Whether it belongs to a source.
    pub(super) fn is_source(self) -> bool {
        matches!(self, Self::Reader | Self::KafkaConsumer | Self::KinesisConsumer)
    }

    /// The sink, where the state's name tells it.
    pub(super) fn sink(self) -> Option<&'static str> {
        match self {
            Self::KafkaProducer { .. } => Some("kafka_producer"),
            Self::TwoPhaseCommit => Some("two_phase_commit"),
            Self::XaSink => Some("jdbc_xa"),
            Self::Buckets => Some("files"),
            Self::IcebergCommitter => Some("iceberg"),
            _ => None,
        }
    }
}

/// A connector from before: its class, since when Flink does not have it, and what to do.
pub(super) struct Legacy {
    pub(super) class: &'static str,
    pub(super) remedy: &'static str,
}

/// The connector from before that a state of this name and role belongs to.
pub(super) fn legacy(name: &str, role: Option<Role>) -> Option<Legacy> {
    let (class, remedy) = match (role, name) {
        (Some(Role::KafkaConsumer), _) => (
            "FlinkKafkaConsumer",
            "go over to KafkaSource: give it a uid of its own, have it begin from committed offsets (OffsetsInitializer.committedOffsets) after a savepoint, and drop this state with --allowNonRestoredState",
        ),
        (Some(Role::KinesisConsumer), _) => (
            "FlinkKinesisConsumer",
            "go over to KinesisStreamsSource: its position cannot be taken from this state, so give it a uid of its own, have it begin at the time of the savepoint, and drop this state with --allowNonRestoredState",
        ),
        (Some(Role::KafkaProducer { .. }), _)
        | (None, "next-transactional-id-hint" | "next-transactional-id-hint-v2") => (
            "FlinkKafkaProducer",
            "go over to KafkaSink with a uid and a transactional id prefix of its own, after a stop with a savepoint, which commits what is pending",
        ),
        (Some(Role::XaSink), _) => (
            "JdbcXaSinkFunction",
            "go over to JdbcSink (exactly once) with a uid of its own, after a stop with a savepoint, which commits what is pending",
        ),
        (Some(Role::Buckets), _) => (
            "StreamingFileSink",
            "go over to FileSink with a uid of its own, after a stop with a savepoint, which commits what is pending",
        ),
        (Some(Role::TwoPhaseCommit), _) => (
            "TwoPhaseCommitSinkFunction",
            "go over to a sink of the Sink interface (SupportsCommitter): this class is one of Flink's legacy ones since 2.0",
        ),
        (None, "file-monitoring-state") => {
            ("ContinuousFileMonitoringFunction", "go over to FileSource with a uid of its own")
        }
        (None, "message-acknowledging-source-state") => (
            "MessageAcknowledgingSourceBase",
            "go over to a source of the Source interface, where there is one",
        ),
        _ => return None,
    };
    Some(Legacy { class, remedy })
}
