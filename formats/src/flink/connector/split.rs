//! Splits and enumerators of all sources that are known.
//!
//! Nothing says which source wrote a split: the bytes stand behind a version, and their class is nowhere. They are taken for those of a
//! connector if its serializer would read all of them and nothing in them breaks its rules, and if that is so for no other connector.

use super::files::{self, FileSplit};
use super::hybrid::{self, HybridSplit};
use super::iceberg::{self, IcebergSplit};
use super::kafka::{self, KafkaSplit};
use super::sequence::{self, NumberSplit};
use super::shards::{self, ShardSplit};
use super::versioned::Versioned;
use crate::cursor::Cursor;
use crate::error::{Error, Result, ResultExt as _};

/// Who writes splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connector {
    /// `KafkaSource`.
    Kafka,
    /// `DynamicKafkaSource`.
    DynamicKafka,
    /// `KinesisStreamsSource`.
    Kinesis,
    /// `DynamoDbStreamsSource`.
    DynamoDbStreams,
    /// `FileSource`.
    Files,
    /// `NumberSequenceSource`, `DataGeneratorSource`.
    Numbers,
    /// `HybridSource`.
    Hybrid,
    /// `IcebergSource`.
    Iceberg,
}

/// A split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// A partition of Kafka.
    Kafka(KafkaSplit),
    /// A shard of Kinesis.
    Kinesis(ShardSplit),
    /// A shard of a stream of DynamoDB.
    DynamoDb(ShardSplit),
    /// A part of a file.
    File(FileSplit),
    /// A part of a sequence of numbers.
    Numbers(NumberSplit),
    /// A split of one of several sources.
    Hybrid(HybridSplit),
    /// Data files of Iceberg.
    Iceberg(IcebergSplit),
}

/// What the enumerator of a source remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enumerator {
    /// Splits that readers have, or had.
    pub assigned: Vec<Split>,
    /// Splits that nobody reads yet.
    pub unassigned: Vec<Split>,
    /// Splits that were read to their end.
    pub finished: Vec<Split>,
    /// Whether all partitions were discovered once.
    pub discovered: Option<bool>,
    /// Files that were made into splits.
    pub processed_paths: Vec<String>,
    /// The shard that was discovered last.
    pub last_seen_shard: Option<String>,
    /// When the source began, in ms since 1970.
    pub start_timestamp_ms: Option<i64>,
    /// Index of the source that a hybrid source is at.
    pub source_index: Option<i32>,
}

impl Enumerator {
    pub(super) fn add(&mut self, split: Split, assigned: bool) {
        if assigned { self.assigned.push(split) } else { self.unassigned.push(split) }
    }

    /// A count, a version, and as many splits with their lengths and statuses.
    pub(super) fn with_statuses<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        decode: fn(Versioned<'a>) -> Result<Split>,
    ) -> Result<()> {
        let count = cursor.count32("splits", 8)?;
        let version = cursor.i32().field("split_version")?;
        for i in 0..count {
            let split = Versioned::sized(version, cursor).and_then(decode).index("splits", i)?;
            let offset = cursor.offset();
            match cursor.i32().index("statuses", i)? {
                0 => self.assigned.push(split),
                1 => self.unassigned.push(split),
                2 => self.finished.push(split),
                other => {
                    let rule = "the status of a split is 0 (assigned), 1 (not assigned) or 2 (finished)";
                    return Err(Error::invalid(rule, other.to_string(), offset));
                }
            }
        }
        Ok(())
    }

    /// Whether it holds anything by which one could tell whose it is.
    fn is_telling(&self) -> bool {
        let lists = [&self.assigned, &self.unassigned, &self.finished];
        lists.iter().any(|splits| !splits.is_empty())
            || !self.processed_paths.is_empty()
            || self.last_seen_shard.is_some()
    }
}

impl Connector {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Kafka,
        Self::DynamicKafka,
        Self::Kinesis,
        Self::DynamoDbStreams,
        Self::Files,
        Self::Numbers,
        Self::Hybrid,
        Self::Iceberg,
    ];

    /// Its name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::DynamicKafka => "dynamic_kafka",
            Self::Kinesis => "kinesis",
            Self::DynamoDbStreams => "dynamodb_streams",
            Self::Files => "files",
            Self::Numbers => "number_sequence",
            Self::Hybrid => "hybrid",
            Self::Iceberg => "iceberg",
        }
    }

    /// Decodes a split as this one's.
    ///
    /// # Errors
    /// It is none, or damaged.
    pub fn split(self, split: Versioned<'_>) -> Result<Split> {
        match self {
            Self::Kafka => kafka::split(split),
            Self::DynamicKafka => kafka::dynamic_split(split),
            Self::Kinesis => shards::kinesis_split(split),
            Self::DynamoDbStreams => shards::dynamodb_split(split),
            Self::Files => files::split(split),
            Self::Numbers => sequence::split(split),
            Self::Hybrid => hybrid::split(split),
            Self::Iceberg => iceberg::split(split),
        }
    }

    /// Decodes the state of an enumerator as this one's; none if that is not known.
    ///
    /// # Errors
    /// It is none, or damaged.
    pub fn enumerator(self, state: Versioned<'_>) -> Option<Result<Enumerator>> {
        Some(match self {
            Self::Kafka => kafka::enumerator(state),
            Self::Kinesis => shards::kinesis_enumerator(state),
            Self::DynamoDbStreams => shards::dynamodb_enumerator(state),
            Self::Files => files::enumerator(state),
            Self::Numbers => sequence::enumerator(state),
            Self::Hybrid => hybrid::enumerator(state),
            Self::DynamicKafka | Self::Iceberg => return None,
        })
    }

    /// Whose splits these are: of those whose serializer reads any of them, the only one that reads most. Damaged ones do not count against it.
    #[must_use]
    pub fn of_splits<'a>(splits: impl Iterator<Item = Versioned<'a>> + Clone) -> Option<Self> {
        let read = |connector: &Self| {
            let connector = *connector;
            (splits.clone().filter(|split| connector.split(*split).is_ok()).count(), connector)
        };
        only_best(Self::ALL.iter().map(read))
    }

    /// Whose split this is, and what it says.
    #[must_use]
    pub fn of_split(split: Versioned<'_>) -> Option<(Self, Split)> {
        // A hybrid source in a hybrid source would nest without end.
        let read = |&connector: &Self| (usize::from(connector.split(split).is_ok()), connector);
        let connector = only_best(Self::ALL.iter().filter(|c| **c != Self::Hybrid).map(read))?;
        Some((connector, connector.split(split).ok()?))
    }

    /// Whose enumerator this is, and what it says. One without any split may be anyone's.
    #[must_use]
    pub fn of_enumerator(state: Versioned<'_>) -> Option<(Self, Enumerator)> {
        let read = |&connector: &Self| {
            let decoded = connector.enumerator(state).and_then(Result::ok);
            (usize::from(decoded.is_some_and(|decoded| decoded.is_telling())), connector)
        };
        let connector = only_best(Self::ALL.iter().filter(|c| **c != Self::Hybrid).map(read))?;
        Some((connector, connector.enumerator(state)?.ok()?))
    }
}

/// The one with the highest count, if it is not 0 and only one has it.
fn only_best(counts: impl Iterator<Item = (usize, Connector)>) -> Option<Connector> {
    let mut best = (0, None);
    for (count, connector) in counts {
        if count > best.0 {
            best = (count, Some(connector));
        } else if count == best.0 {
            best.1 = None;
        }
    }
    best.1
}
