//! Elements in flight as lines of JSON: what `cat --channels` prints.

use statescope_formats::flink::channel::Element;
use statescope_formats::flink::serializer::{Basic, SerializerSnapshot};
pub use statescope_formats::flink::value::JsonLimits;
use statescope_formats::flink::value::{
    JsonSink, KryoVersion, Opaque, OpaqueReason, Text, ValueDecoder, ValueSink,
};
use statescope_formats::flink::walk::{StateValueLayout, StopKind};

use super::ChannelPlace;
use crate::analyzers::overview;
use crate::model::{Details, Snapshot};

/// What records are decoded by. A snapshot does not say it; whoever asks does.
#[derive(Debug)]
pub struct RecordType(ValueDecoder);

impl RecordType {
    /// A basic type, by its name.
    ///
    /// # Errors
    /// There is none of that name: a message with those that there are.
    pub fn of_name(name: &str, snapshot: &Snapshot) -> Result<Self, String> {
        let basic = Basic::of_name(name).ok_or_else(|| {
            let names: Vec<&str> = Basic::ALL.iter().map(|basic| basic.name()).collect();
            format!("{name:?} is no basic type; these are: {}", names.join(", "))
        })?;
        Ok(Self::of_serializer(&SerializerSnapshot::of_basic(basic), snapshot))
    }

    /// The type of the values of a keyed state, or of the elements of its lists. Names are whole.
    ///
    /// # Errors
    /// No state of that name is described, or several are, and by different serializers: a message.
    pub fn of_state(name: &str, snapshot: &Snapshot, details: &Details) -> Result<Self, String> {
        let metas = details.keyed.iter().filter_map(|keyed| keyed.meta.as_deref());
        let states = metas.flat_map(|meta| &meta.states).filter(|state| state.name == name);
        let mut serializers = states.filter_map(StateValueLayout::entry_serializer);
        let first =
            serializers.next().ok_or_else(|| format!("no keyed state {name:?} says what its values are"))?;
        if serializers.any(|other| !is_same(first, other)) {
            return Err(format!(
                "there are several keyed states {name:?}, and their values are of different types"
            ));
        }
        Ok(Self::of_serializer(first, snapshot))
    }

    fn of_serializer(serializer: &SerializerSnapshot, snapshot: &Snapshot) -> Self {
        let kryo = KryoVersion::of_metadata_version(snapshot.metadata_version);
        Self(ValueDecoder::compile(serializer, kryo))
    }
}

/// Whether two serializers are the same, wherever they stand.
fn is_same(a: &SerializerSnapshot, b: &SerializerSnapshot) -> bool {
    let children = || a.children().zip(b.children());
    (&a.class, a.version, &a.kind) == (&b.class, b.version, &b.kind)
        && a.children().len() == b.children().len()
        && children().all(|((edge, child), (other_edge, other))| edge == other_edge && is_same(child, other))
}

/// How many lines there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordsPrinted {
    /// Elements that were written.
    pub elements: u64,
    /// Of these, records that could not be decoded although their type was given.
    pub not_decoded: u64,
}

/// Writes elements of channels as lines.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    snapshot: &'a Snapshot,
    record: Option<&'a RecordType>,
    limits: JsonLimits,
    most: u64,
    lines: Vec<u8>,
    printed: RecordsPrinted,
}

impl<'a> RecordWriter<'a> {
    /// Of a snapshot, with the type of the records if it is known; of so many elements at most.
    #[must_use]
    pub fn new(
        snapshot: &'a Snapshot,
        record: Option<&'a RecordType>,
        limits: JsonLimits,
        most: u64,
    ) -> Self {
        Self { snapshot, record, limits, most, lines: Vec::new(), printed: RecordsPrinted::default() }
    }

    /// The lines that were written since they were cleared.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Forgets the lines, since they were handed on.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// What was written.
    #[must_use]
    pub fn printed(&self) -> RecordsPrinted {
        self.printed
    }

    /// Whether no more elements are wanted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.printed.elements >= self.most
    }

    /// An element that begins at `at` in the bytes of its channel.
    pub fn element(&mut self, place: &ChannelPlace<'_>, at: u64, element: &Element<'_>) {
        let operator = self.snapshot.operators.get(place.operator);
        self.raw("{\"operator\":");
        let name = operator.map(overview::label).unwrap_or_default();
        self.text(&name);
        self.raw(",\"direction\":");
        self.text(place.direction.name());
        self.number("subtask", place.subtask);
        self.number("gate", place.channel.gate);
        self.number("channel", place.channel.channel);
        self.number("at", at);
        self.raw(",\"element\":");
        match *element {
            Element::Record { timestamp, value, length } => {
                self.raw("\"record\"");
                if let Some(timestamp) = timestamp {
                    self.number("timestamp_ms", timestamp);
                }
                self.number("bytes", length);
                self.raw(",\"value\":");
                self.record(value, length);
            }
            Element::Watermark { timestamp, subpartition } => {
                self.raw("\"watermark\"");
                self.number("timestamp_ms", timestamp);
                if let Some(subpartition) = subpartition {
                    self.number("of_subpartition", subpartition);
                }
            }
            Element::LatencyMarker { marked_ms, operator, subtask } => {
                self.raw("\"latency_marker\"");
                self.number("marked_ms", marked_ms);
                self.raw(",\"source_operator_id\":");
                self.text(&operator.to_string());
                self.number("source_subtask", subtask);
            }
            Element::WatermarkStatus { is_idle } => {
                self.raw("\"watermark_status\",\"is_idle\":");
                self.raw(if is_idle { "true" } else { "false" });
            }
            Element::RecordAttributes { is_backlog } => {
                self.raw("\"record_attributes\",\"is_backlog\":");
                self.raw(if is_backlog { "true" } else { "false" });
            }
            Element::GeneralizedWatermark { length } => {
                self.raw("\"generalized_watermark\"");
                self.number("bytes", length);
            }
        }
        self.raw("}\n");
        self.printed.elements += 1;
    }

    fn record(&mut self, value: &[u8], length: u64) {
        let why = match self.record {
            Some(RecordType(decoder)) if value.len() as u64 == length => {
                let decoded = decoder.write_json(value, &mut self.lines, self.limits);
                self.printed.not_decoded += u64::from(decoded.opaque > 0);
                return;
            }
            Some(_) => {
                self.printed.not_decoded += 1;
                StopKind::TooLarge
            }
            None => StopKind::NotTold,
        };
        let mut sink = JsonSink::new(&mut self.lines, self.limits);
        sink.opaque(&Opaque { bytes: value, class: None, why: OpaqueReason::Stop(why) });
        sink.finish();
    }

    fn raw(&mut self, text: &str) {
        self.lines.extend_from_slice(text.as_bytes());
    }

    fn text(&mut self, text: &str) {
        let mut sink = JsonSink::new(&mut self.lines, self.limits);
        sink.text(Text::Utf8(text));
        sink.finish();
    }

    fn number(&mut self, name: &str, number: impl itoa::Integer) {
        self.raw(",\"");
        self.raw(name);
        self.raw("\":");
        self.lines.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}
