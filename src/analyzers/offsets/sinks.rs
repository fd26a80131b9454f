//! What sinks keep: writers, committables, transactions.

use serde_json::Value;
use statescope_formats::flink::connector::legacy::{ProducerTransaction, producer_state, xa_sink_state};
use statescope_formats::flink::connector::{
    Committable, Committables, FileBucket, PartFile, Versioned, WriterState, XaTransaction, XaTransactions,
};
use statescope_formats::flink::operator_state::OperatorStatePart;
use statescope_formats::flink::state_meta::StateMetaInfo;
use statescope_formats::flink::value::ValueDecoder;
use statescope_formats::flink::walk::Walked;
use statescope_formats::{Error as FormatError, Result as FormatResult};

use super::Question;
use super::digest::{StateDigest, hex, not_known, raw, simple_list_element};
use super::roles::Role;
use super::types::{Opaque, Uncommitted, Writer, WriterTransaction};

/// What an element of a sink's state is added to.
pub(super) struct SinkReading<'a> {
    pub(super) subtask: u32,
    pub(super) question: &'a Question,
    pub(super) state: &'a mut StateDigest,
}

impl SinkReading<'_> {
    pub(super) fn element(
        &mut self,
        role: Role,
        part: &OperatorStatePart<'_>,
        meta: Option<&StateMetaInfo>,
        decoder: Option<&ValueDecoder>,
    ) -> FormatResult<()> {
        match role {
            Role::Writer | Role::Buckets => self.writer(simple_list_element(part)?),
            Role::Committer => self.committer(simple_list_element(part)?)?,
            Role::KafkaProducer { supports_null } => self.producer(part, supports_null)?,
            Role::TwoPhaseCommit => self.transactions(part, decoder)?,
            Role::XaSink => self.xa(&xa_sink_state(&part.bytes, part.offset)?),
            Role::IcebergCommitter => self.manifests(part, meta, decoder)?,
            Role::Reader | Role::KafkaConsumer | Role::KinesisConsumer => {}
        }
        Ok(())
    }

    fn nothing(&self, state: &'static str) -> Uncommitted {
        Uncommitted {
            subtask: self.subtask,
            writer: None,
            checkpoint_id: None,
            state,
            retries: None,
            name: None,
            text: None,
            written_bytes: None,
            begun_ms: None,
            age_ms: None,
            value: None,
            opaque: None,
        }
    }

    /// Age against the time of the snapshot.
    fn begun(&self, begun_ms: i64) -> (Option<i64>, Option<i64>) {
        (Some(begun_ms), self.question.at_ms.map(|at| at.saturating_sub(begun_ms)))
    }

    fn writer(&mut self, state: Versioned<'_>) {
        let mut writer = Writer { subtask: self.subtask, ..Writer::default() };
        match WriterState::recognize(state) {
            None => writer.opaque = Some(not_known(state, self.question)),
            Some(known) => {
                self.state.sink = Some(known.sink());
                match known {
                    WriterState::Kafka(kafka) => {
                        let owned = kafka.owned.filter(|(subtask, ..)| *subtask >= 0);
                        writer.text = owned.map(|(subtask, subtasks, how)| {
                            format!("owns subtask {subtask} of {subtasks} ({how})")
                        });
                        let transaction = |(name, checkpoint)| WriterTransaction {
                            name,
                            checkpoint_id: Some(checkpoint),
                            state: "precommitted",
                        };
                        writer.transactions = kafka.precommitted.into_iter().map(transaction).collect();
                        writer.name = Some(kafka.prefix);
                    }
                    WriterState::File(bucket) => self.file_bucket(bucket, &mut writer),
                    WriterState::Xa(xa) => {
                        for (transactions, state) in [(xa.prepared, "prepared"), (xa.hanging, "hanging")] {
                            let transaction = |xa: XaTransaction| WriterTransaction {
                                name: xa.id,
                                checkpoint_id: xa.checkpoint_id,
                                state,
                            };
                            writer.transactions.extend(transactions.into_iter().map(transaction));
                        }
                    }
                    WriterState::Buffered { requests, bytes } => {
                        writer.text = Some(format!("{requests} requests not sent ({bytes} bytes)"));
                    }
                }
            }
        }
        self.state.writers.push(writer);
    }

    fn file_bucket(&mut self, bucket: FileBucket, writer: &mut Writer) {
        writer.name = Some(bucket.path);
        if let Some(file) = bucket.in_progress {
            writer.begun_ms = Some(bucket.created_ms);
            let size = file.size.map_or_else(String::new, |size| format!(", {size} bytes"));
            let place = file.temporary_path.or(file.path).unwrap_or_else(|| "a file".to_owned());
            writer.text = Some(format!("in progress: {place}{size}"));
        }
        for (checkpoint, file) in bucket.pending {
            let uncommitted = self.file(file, "pending");
            self.state.uncommitted.push(Uncommitted { checkpoint_id: Some(checkpoint), ..uncommitted });
        }
    }

    fn file(&self, file: PartFile, state: &'static str) -> Uncommitted {
        Uncommitted {
            name: file.path,
            text: file.temporary_path.map(|path| format!("now {path}")),
            written_bytes: file.size,
            ..self.nothing(state)
        }
    }

    fn committer(&mut self, state: Versioned<'_>) -> FormatResult<()> {
        let committables = Committables::parse(state)?;
        for checkpoint in committables.checkpoints {
            for subtask in checkpoint.subtasks {
                for request in subtask.requests {
                    let known = self.committable(request.committable, request.state);
                    self.state.uncommitted.push(Uncommitted {
                        writer: subtask.subtask,
                        checkpoint_id: Some(checkpoint.checkpoint_id),
                        retries: Some(request.retries),
                        ..known
                    });
                }
            }
        }
        for committable in committables.legacy {
            let known = self.committable(committable, "received");
            self.state.uncommitted.push(known);
        }
        for committable in committables.global {
            let known = self.committable(committable, "global");
            self.state.uncommitted.push(known);
        }
        Ok(())
    }

    fn committable(&mut self, bytes: Versioned<'_>, state: &'static str) -> Uncommitted {
        let nothing = self.nothing(state);
        let Some(known) = Committable::recognize(bytes) else {
            return Uncommitted { opaque: Some(not_known(bytes, self.question)), ..nothing };
        };
        self.state.sink = Some(known.sink());
        match known {
            Committable::Kafka(kafka) => Uncommitted {
                name: Some(kafka.transactional_id),
                text: Some(format!("producer {}, epoch {}", kafka.producer_id, kafka.epoch)),
                ..nothing
            },
            Committable::File(file) => match (file.pending, file.to_clean_up, file.compacted) {
                (Some(pending), ..) => self.file(pending, state),
                (None, Some(open), _) => {
                    let file = self.file(open, state);
                    Uncommitted { text: Some("to be removed".to_owned()), ..file }
                }
                (None, None, path) => {
                    Uncommitted { name: path, text: Some("compacted, to be removed".to_owned()), ..nothing }
                }
            },
            Committable::Iceberg(iceberg) => Uncommitted {
                checkpoint_id: Some(iceberg.checkpoint_id),
                name: Some(format!("job {}, operator {}", iceberg.job_id, iceberg.operator_id)),
                text: Some(format!("{} bytes of manifests", iceberg.manifest_bytes)),
                ..nothing
            },
            Committable::Xa(xa) => xa_transaction(xa, nothing),
        }
    }

    fn xa(&mut self, xa: &XaTransactions) {
        for (transactions, state) in [(&xa.prepared, "prepared"), (&xa.hanging, "hanging")] {
            for transaction in transactions {
                let uncommitted = xa_transaction(transaction.clone(), self.nothing(state));
                self.state.uncommitted.push(uncommitted);
            }
        }
    }

    fn producer(&mut self, part: &OperatorStatePart<'_>, supports_null: bool) -> FormatResult<()> {
        let state = producer_state(&part.bytes, part.offset, supports_null)?;
        let open = state.open.into_iter().map(|transaction| (transaction, "open"));
        let to_commit = state.to_commit.into_iter().map(|transaction| (transaction, "pending_commit"));
        for (transaction, state) in open.chain(to_commit) {
            let ProducerTransaction { transactional_id, producer_id, epoch, begun_ms } = transaction;
            // Without exactly-once there is a transaction, too, but nothing to commit.
            if transactional_id.is_none() {
                continue;
            }
            let (begun_ms, age_ms) = self.begun(begun_ms);
            let text = Some(format!("producer {producer_id}, epoch {epoch}"));
            let nothing = self.nothing(state);
            self.state.uncommitted.push(Uncommitted {
                name: transactional_id,
                text,
                begun_ms,
                age_ms,
                ..nothing
            });
        }
        Ok(())
    }

    /// Elements of a `TwoPhaseCommitSinkFunction`, by its serializers.
    fn transactions(
        &mut self,
        part: &OperatorStatePart<'_>,
        decoder: Option<&ValueDecoder>,
    ) -> FormatResult<()> {
        let Some((fields, walked)) = self.decoded(part, decoder)? else { return Ok(()) };
        let open = fields.get("pendingTransaction").into_iter().map(|transaction| (transaction, "open"));
        let pending = fields.get("pendingCommitTransactions").and_then(Value::as_array);
        let pending = pending.into_iter().flatten().map(|transaction| (transaction, "pending_commit"));
        // What has no length hides what follows.
        let is_whole = matches!(walked, Walked::End(_));
        let is_opaque =
            |holder: &Value| holder.get("transaction").is_none_or(|it| it.get("$opaque").is_some());
        let told =
            open.chain(pending).filter(|(holder, _)| holder.is_object() && (is_whole || !is_opaque(holder)));
        for (holder, state) in told {
            let begun = holder.get("transactionStartTime").and_then(Value::as_i64);
            let (begun_ms, age_ms) = begun.map_or((None, None), |begun| self.begun(begun));
            let transaction = holder.get("transaction").map(Value::to_string).unwrap_or_default();
            let name = holder.get("transaction").and_then(Value::as_str).map(str::to_owned);
            let (value, nothing) = (raw(transaction.into_bytes()), self.nothing(state));
            self.state.uncommitted.push(Uncommitted { name, begun_ms, age_ms, value, ..nothing });
        }
        if !is_whole {
            let error = "how long its transactions are is not known";
            let opaque = Opaque {
                serializer_version: None,
                bytes: part.bytes.len() as u64,
                hex: hex(&part.bytes, self.question.opaque),
                error: Some(error.to_owned()),
            };
            let nothing = self.nothing("unknown");
            self.state.uncommitted.push(Uncommitted { opaque: Some(opaque), ..nothing });
        }
        Ok(())
    }

    fn decoded(
        &self,
        part: &OperatorStatePart<'_>,
        decoder: Option<&ValueDecoder>,
    ) -> FormatResult<Option<(Value, Walked)>> {
        let Some(decoder) = decoder else { return Ok(None) };
        let mut json = Vec::new();
        let decoded = decoder.write_json(&part.bytes, &mut json, self.question.json());
        if let Walked::Bad(bad) = decoded.walked {
            let at = part.offset.saturating_add(bad.at as u64);
            return Err(FormatError::invalid(bad.rule, "other bytes", at));
        }
        Ok(Some((serde_json::from_slice(&json).unwrap_or_default(), decoded.walked)))
    }

    /// A map from checkpoints to what they wrote.
    fn manifests(
        &mut self,
        part: &OperatorStatePart<'_>,
        meta: Option<&StateMetaInfo>,
        decoder: Option<&ValueDecoder>,
    ) -> FormatResult<()> {
        let decoded = self.decoded(part, decoder.filter(|_| meta.is_some()))?;
        let entries = decoded.as_ref().and_then(|(value, _)| value.as_array());
        for entry in entries.into_iter().flatten() {
            let bytes = entry.get("value").and_then(Value::as_str).map_or(0, |hex| hex.len() / 2);
            let uncommitted = Uncommitted {
                checkpoint_id: entry.get("key").and_then(Value::as_i64),
                text: Some(format!("{bytes} bytes of manifests")),
                ..self.nothing("pending_commit")
            };
            self.state.uncommitted.push(uncommitted);
        }
        Ok(())
    }
}

fn xa_transaction(xa: XaTransaction, nothing: Uncommitted) -> Uncommitted {
    Uncommitted {
        writer: xa.subtask,
        checkpoint_id: xa.checkpoint_id,
        retries: xa.attempts,
        name: Some(xa.id),
        ..nothing
    }
}
