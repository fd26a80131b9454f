//! Goes over one value, and tells a sink what it finds.
//!
//! Whoever reads a part either tells the sink all of it, or fails before it told anything; then [`Run::value`] tells the
//! rest of the bytes as opaque, and the failure goes up through all that is open, each of which ends.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::compile::{Id, Node, Pojo};
use super::number::{Decimal, LONGEST, Unscaled};
use super::sink::{Name, Opaque, OpaqueReason, ValueSink, Width};
use super::text::{Encoding, Text, Units};
use super::time::{Moment, Temporal};
use super::{TOO_DEEP, TOO_LARGE, ValueDecoder};
use crate::flink::walk::program::MAX_DEPTH;
use crate::flink::walk::read::{Halt, Mask, Rule, Step, Why, bad, byte, count, flag, int, sized, skip, stop};
use crate::flink::walk::{BadValue, StopKind};

/// Parts that a value may have besides those that have bytes of their own.
const FREE_STEPS: u64 = 1 << 16;
/// Parts that a byte may make, in all that nests around it.
const STEPS_PER_BYTE: u64 = 1 << 7;

/// Names that no serializer stores.
pub(super) struct Names {
    pub(super) incomplete: Name,
    pub(super) class: Name,
    pub(super) kind: Name,
    pub(super) value: Name,
    pub(super) record: Name,
    pub(super) timestamp: Name,
    pub(super) watermark: Name,
    pub(super) subpartition: Name,
    pub(super) latency_marker: Name,
    pub(super) marked_time: Name,
    pub(super) operator_id: Name,
    pub(super) subtask_index: Name,
    pub(super) stream_status: Name,
    pub(super) record_attributes: Name,
    pub(super) backlog: Name,
    pub(super) start: Name,
    pub(super) end: Name,
    pub(super) id: Name,
    pub(super) metadata: Name,
    pub(super) host: Name,
    pub(super) port: Name,
}

pub(super) static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    incomplete: Name::new("$incomplete"),
    class: Name::new("$class"),
    kind: Name::new("$kind"),
    value: Name::new("value"),
    record: Name::new("record"),
    timestamp: Name::new("timestamp"),
    watermark: Name::new("watermark"),
    subpartition: Name::new("subpartition"),
    latency_marker: Name::new("latency_marker"),
    marked_time: Name::new("marked_time"),
    operator_id: Name::new("operator_id"),
    subtask_index: Name::new("subtask_index"),
    stream_status: Name::new("stream_status"),
    record_attributes: Name::new("record_attributes"),
    backlog: Name::new("backlog"),
    start: Name::new("start"),
    end: Name::new("end"),
    id: Name::new("id"),
    metadata: Name::new("metadata"),
    host: Name::new("host"),
    port: Name::new("port"),
});

/// A part of a map's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryPart {
    Key,
    Value,
}

/// The state of going over one value.
pub(super) struct Run<'d, 'v, 's, S> {
    pub(super) decoder: &'d ValueDecoder,
    /// Up to the end of what is decoded.
    pub(super) bytes: &'v [u8],
    pub(super) sink: &'s mut S,
    /// Parts that it may still have.
    pub(super) steps: u64,
    /// Parts told as opaque.
    opaque: usize,
    /// Whether the sink was told of the failure that goes up.
    told: bool,
    /// The class of what failed, if the bytes tell it.
    pub(super) class: Option<Cow<'v, str>>,
    /// Objects, lists and maps that are open.
    open: u32,
}

impl<'d, 'v, 's, S: ValueSink> Run<'d, 'v, 's, S> {
    pub(super) fn new(decoder: &'d ValueDecoder, bytes: &'v [u8], sink: &'s mut S) -> Self {
        let steps = (bytes.len() as u64).saturating_mul(STEPS_PER_BYTE).saturating_add(FREE_STEPS);
        Self { decoder, bytes, sink, steps, opaque: 0, told: false, class: None, open: 0 }
    }

    pub(super) fn opaque(&self) -> usize {
        self.opaque
    }

    /// Decodes a part: the offset behind it.
    #[inline]
    pub(super) fn value(&mut self, id: Id, pos: usize, depth: u32) -> Step {
        match self.node(id, pos, depth) {
            Ok(end) => Ok(end),
            Err(halt) => Err(self.failed(pos, halt)),
        }
    }

    /// Tells that the bytes from `pos` on could not be decoded, unless that was told.
    #[cold]
    pub(super) fn failed(&mut self, pos: usize, halt: Halt) -> Halt {
        if !self.told {
            self.told = true;
            self.tell(pos, self.bytes.len(), halt);
        }
        halt
    }

    fn tell(&mut self, from: usize, to: usize, halt: Halt) {
        let class = self.class.take();
        let (why, class) = match halt.why {
            Why::Bad(rule) => {
                (OpaqueReason::Bad(BadValue { at: halt.at as usize, rule: rule.text() }), class.as_deref())
            }
            Why::Stop(which) => {
                let stop = self.decoder.stops.get(which as usize);
                let kind = stop.map_or(StopKind::TooDeep, |stop| stop.kind);
                let stored = stop.map(|stop| stop.class.as_str()).filter(|_| which > TOO_LARGE);
                (OpaqueReason::Stop(kind), class.as_deref().or(stored))
            }
        };
        let bytes = self.bytes.get(from..to).unwrap_or_default();
        self.sink.opaque(&Opaque { bytes, class, why });
        self.opaque += 1;
    }

    /// Tells a part of known length as opaque, and goes on behind it.
    #[cold]
    pub(super) fn skipped(&mut self, from: usize, to: usize, halt: Halt) -> usize {
        self.tell(from, to, halt);
        to
    }

    /// As [`Run::skipped`], for a reason that the decoder has no place for.
    pub(super) fn skipped_as(
        &mut self,
        from: usize,
        to: usize,
        class: Option<&str>,
        kind: StopKind,
    ) -> usize {
        let bytes = self.bytes.get(from..to).unwrap_or_default();
        self.tell_opaque(&Opaque { bytes, class, why: OpaqueReason::Stop(kind) });
        to
    }

    pub(super) fn tell_opaque(&mut self, opaque: &Opaque<'_>) {
        self.sink.opaque(opaque);
        self.opaque += 1;
    }

    /// One part more.
    #[inline]
    pub(super) fn step(&mut self, pos: usize, depth: u32) -> Step<()> {
        if depth > MAX_DEPTH {
            return Err(stop(pos, TOO_DEEP));
        }
        match self.steps.checked_sub(1) {
            Some(left) if self.sink.room() > 0 => {
                self.steps = left;
                Ok(())
            }
            _ => Err(stop(pos, TOO_LARGE)),
        }
    }

    fn node(&mut self, id: Id, pos: usize, depth: u32) -> Step {
        self.step(pos, depth)?;
        let decoder = self.decoder;
        let Some(node) = decoder.node(id) else { return Err(stop(pos, TOO_DEEP)) };
        match node {
            Node::Basic(basic) => self.basic(*basic, pos),
            Node::Optional { present, absent, inner } => {
                if flag(self.bytes, pos)? == *present {
                    self.value(*inner, pos + 1, depth + 1)
                } else {
                    let end = skip(self.bytes, pos + 1, *absent as usize)?;
                    self.sink.null();
                    Ok(end)
                }
            }
            Node::Pojo(pojo) => self.pojo(pojo, None, pos, depth),
            Node::Object(parts) => self.object(|run| run.parts(parts, pos, depth)),
            Node::List { element, min } => {
                let n = count(self.bytes, pos, *min as usize)?;
                self.list(|run| run.times(n, pos + 4, |run, pos| run.value(*element, pos, depth + 1)))
            }
            Node::Map { key, value, min } => {
                let n = count(self.bytes, pos, *min as usize)?;
                self.map(|run| {
                    run.times(n, pos + 4, |run, pos| {
                        run.entry(pos, |run, part, pos| {
                            run.value(if part == EntryPart::Key { *key } else { *value }, pos, depth + 1)
                        })
                    })
                })
            }
            Node::MaskedList { element } => self.masked_list(*element, pos, depth),
            Node::Row { kind, fields } => self.row(*kind, fields, pos, depth),
            Node::Choice { first, arms } => self.choice(*first, arms, pos, depth),
            Node::Enum(constants) => {
                let index = int(self.bytes, pos)?;
                let constant = usize::try_from(index).ok().and_then(|index| constants.get(index));
                self.constant(constant, pos)
            }
            Node::ScalaEnum(constants) => {
                let id = int(self.bytes, pos)?;
                let constant = constants.iter().find(|(_, its)| *its == id).map(|(name, _)| name);
                self.constant(constant, pos)
            }
            Node::StreamElement(record) => self.stream_element(*record, pos, depth),
            Node::Sql(sql) => {
                let end = sized(self.bytes, pos, 1)?;
                self.sql_value(sql, pos + 4..end, depth)?;
                Ok(end)
            }
            Node::Decimal { precision, scale } => self.sql_decimal(*precision, *scale, pos),
            Node::Timestamp { precision, python } => self.sql_timestamp(*precision, *python, pos),
            Node::Digits => {
                let end = sized(self.bytes, pos, 1)?;
                self.digits(pos + 4..end)
            }
            Node::Raw(inner) => {
                let end = sized(self.bytes, pos, 1)?;
                self.raw(*inner, pos + 4..end, depth)
            }
            Node::Untyped => {
                let end = sized(self.bytes, pos, 1)?;
                Ok(self.skipped_as(pos, end, None, StopKind::Untyped))
            }
            Node::Avro(schema) => self.avro(schema, schema.root(), false, pos, depth),
            Node::Kryo(kryo) => self.kryo(kryo, pos, depth),
            Node::JavaObject => self.java_object(pos),
            Node::Stop(which) => Err(stop(pos, *which)),
        }
    }

    // ---- what is open, and its end -------------------------------------------------------------------

    pub(super) fn object(&mut self, inside: impl FnOnce(&mut Self) -> Step) -> Step {
        self.sink.begin_object();
        self.open += 1;
        let end = inside(self);
        self.open -= 1;
        if end.is_err() && self.open == 0 {
            self.sink.field(&NAMES.incomplete);
            self.sink.boolean(true);
        }
        self.sink.end_object();
        end
    }

    pub(super) fn list(&mut self, inside: impl FnOnce(&mut Self) -> Step) -> Step {
        self.sink.begin_list();
        self.open += 1;
        let end = inside(self);
        self.open -= 1;
        self.sink.end_list();
        end
    }

    pub(super) fn map(&mut self, inside: impl FnOnce(&mut Self) -> Step) -> Step {
        self.sink.begin_map();
        self.open += 1;
        let end = inside(self);
        self.open -= 1;
        self.sink.end_map();
        end
    }

    /// An entry of a map: `part` is asked for the key, then for the value behind it.
    pub(super) fn entry(
        &mut self,
        pos: usize,
        mut part: impl FnMut(&mut Self, EntryPart, usize) -> Step,
    ) -> Step {
        self.sink.begin_entry();
        self.open += 1;
        let mut end = part(self, EntryPart::Key, pos);
        if let Ok(pos) = end {
            self.sink.entry_value();
            end = part(self, EntryPart::Value, pos);
        }
        self.open -= 1;
        self.sink.end_entry();
        end
    }

    #[inline]
    pub(super) fn times(
        &mut self,
        n: usize,
        mut pos: usize,
        mut each: impl FnMut(&mut Self, usize) -> Step,
    ) -> Step {
        for _ in 0..n {
            pos = each(self, pos)?;
        }
        Ok(pos)
    }

    /// Fields in a row.
    fn parts(&mut self, parts: &[(Name, Id)], mut pos: usize, depth: u32) -> Step {
        for (name, part) in parts {
            self.sink.field(name);
            pos = self.value(*part, pos, depth + 1)?;
        }
        Ok(pos)
    }

    // ---- parts ---------------------------------------------------------------------------------------

    /// `PojoSerializer`: u8 flags: 1 null │ 2 fields │ 4 `utf` class, subclass │ 8 u8 tag, subclass.
    fn pojo(&mut self, pojo: &Pojo, class: Option<&str>, pos: usize, depth: u32) -> Step {
        match byte(self.bytes, pos)? {
            1 => {
                self.sink.null();
                Ok(pos + 1)
            }
            2 => self.object(|run| {
                if let Some(class) = class {
                    run.sink.field(&NAMES.class);
                    run.sink.text(Text::Utf8(class));
                }
                let mut pos = pos + 1;
                for (name, field) in &pojo.fields {
                    run.sink.field(name);
                    pos = match flag(run.bytes, pos) {
                        Ok(false) => run.value(*field, pos + 1, depth + 1)?,
                        Ok(true) => {
                            run.sink.null();
                            pos + 1
                        }
                        Err(halt) => return Err(run.failed(pos, halt)),
                    };
                }
                Ok(pos)
            }),
            4 => {
                let length =
                    usize::from(byte(self.bytes, pos + 1)?) << 8 | usize::from(byte(self.bytes, pos + 2)?);
                let end = skip(self.bytes, pos + 3, length)?;
                let name = self.bytes.get(pos + 3..end).unwrap_or_default();
                match pojo.others.iter().find(|(class, ..)| class == name) {
                    Some((_, class, id)) => self.subclass(class, *id, end, depth),
                    None => {
                        self.class = crate::java::mutf8::decode(name, 0).ok();
                        Err(stop(end, pojo.unlisted))
                    }
                }
            }
            8 => match pojo.registered.get(usize::from(byte(self.bytes, pos + 1)?)) {
                Some((class, id)) => self.subclass(class, *id, pos + 2, depth),
                None => Err(bad(pos + 1, Rule::SubclassTag)),
            },
            _ => Err(bad(pos, Rule::PojoFlags)),
        }
    }

    fn subclass(&mut self, class: &str, id: Id, pos: usize, depth: u32) -> Step {
        self.step(pos, depth + 1)?;
        match self.decoder.node(id) {
            Some(Node::Pojo(pojo)) => self.pojo(pojo, Some(class), pos, depth + 1),
            // By another serializer: it may not be an object.
            _ => self.object(|run| {
                run.sink.field(&NAMES.class);
                run.sink.text(Text::Utf8(class));
                run.sink.field(&NAMES.value);
                run.value(id, pos, depth + 1)
            }),
        }
    }

    fn row(&mut self, kind: bool, fields: &[(Name, Id)], pos: usize, depth: u32) -> Step {
        let lead = if kind { 2 } else { 0 };
        let mask = Mask::read(self.bytes, pos, lead + fields.len())?;
        self.object(|run| {
            if kind {
                // The lower bit stands first.
                run.row_kind(u8::from(mask.is_null(0)) | u8::from(mask.is_null(1)) << 1);
            }
            let mut pos = mask.end;
            for (i, (name, field)) in fields.iter().enumerate() {
                run.sink.field(name);
                if mask.is_null(lead + i) {
                    run.sink.null();
                } else {
                    pos = run.value(*field, pos, depth + 1)?;
                }
            }
            Ok(pos)
        })
    }

    /// The kind of a row, unless it is an insertion, as all are that are no changes.
    pub(super) fn row_kind(&mut self, kind: u8) {
        let kind = match kind {
            1 => "-U",
            2 => "+U",
            3 => "-D",
            _ => return,
        };
        self.sink.field(&NAMES.kind);
        self.sink.text(Text::Utf8(kind));
    }

    fn masked_list(&mut self, element: Id, pos: usize, depth: u32) -> Step {
        let n = count(self.bytes, pos, 0)?;
        if n.div_ceil(8) > self.bytes.len() - pos - 4 {
            return Err(bad(pos, Rule::Count));
        }
        let mask = Mask::read(self.bytes, pos + 4, n)?;
        self.list(|run| {
            let mut pos = mask.end;
            for i in 0..n {
                if mask.is_null(i) {
                    if let Err(halt) = run.step(pos, depth) {
                        return Err(run.failed(pos, halt));
                    }
                    run.sink.null();
                } else {
                    pos = run.value(element, pos, depth + 1)?;
                }
            }
            Ok(pos)
        })
    }

    fn choice(&mut self, first: u8, arms: &[(Name, Id)], pos: usize, depth: u32) -> Step {
        let arm = usize::from(byte(self.bytes, pos)?).checked_sub(usize::from(first));
        let Some((name, arm)) = arm.and_then(|arm| arms.get(arm)) else { return Err(bad(pos, Rule::Tag)) };
        self.object(|run| {
            run.sink.field(name);
            run.value(*arm, pos + 1, depth + 1)
        })
    }

    pub(super) fn constant(&mut self, constant: Option<&String>, pos: usize) -> Step {
        match constant {
            Some(name) => self.sink.text(Text::Utf8(name)),
            None => {
                self.skipped(pos, pos + 4, bad(pos, Rule::Constant));
            }
        }
        Ok(pos + 4)
    }

    /// `StreamElementSerializer`: u8 0 i64 timestamp, record │ 1 record │ 2 i64 watermark │ 3 i64 marked time, i64 lower
    /// and i64 upper half of the operator's id, i32 subtask │ 4 i32 status │ 5 u8 attributes │ 6 i32 subpartition, i64
    /// watermark.
    fn stream_element(&mut self, record: Id, pos: usize, depth: u32) -> Step {
        let tag = byte(self.bytes, pos)?;
        let pos = pos + 1;
        match tag {
            0 => {
                let timestamp = self.i64(pos)?;
                self.object(|run| {
                    run.sink.field(&NAMES.record);
                    let end = run.value(record, pos + 8, depth + 1)?;
                    run.long_field(&NAMES.timestamp, timestamp);
                    Ok(end)
                })
            }
            1 => self.object(|run| {
                run.sink.field(&NAMES.record);
                run.value(record, pos, depth + 1)
            }),
            2 => {
                let watermark = self.i64(pos)?;
                self.object(|run| {
                    run.long_field(&NAMES.watermark, watermark);
                    Ok(pos + 8)
                })
            }
            3 => {
                let (marked, subtask) = (self.i64(pos)?, self.i32(pos + 24)?);
                let id: [u8; 16] = self.fixed(pos + 8)?;
                self.object(|run| {
                    run.sink.field(&NAMES.latency_marker);
                    run.object(|run| {
                        run.long_field(&NAMES.marked_time, marked);
                        run.sink.field(&NAMES.operator_id);
                        run.sink.bytes(&id);
                        run.int_field(&NAMES.subtask_index, subtask);
                        Ok(pos + 28)
                    })
                })
            }
            4 => {
                let status = self.i32(pos)?;
                self.object(|run| {
                    run.int_field(&NAMES.stream_status, status);
                    Ok(pos + 4)
                })
            }
            5 => {
                let backlog = byte(self.bytes, pos)? != 0;
                self.object(|run| {
                    run.sink.field(&NAMES.record_attributes);
                    run.object(|run| {
                        run.sink.field(&NAMES.backlog);
                        run.sink.boolean(backlog);
                        Ok(pos + 1)
                    })
                })
            }
            6 => {
                let (subpartition, watermark) = (self.i32(pos)?, self.i64(pos + 4)?);
                self.object(|run| {
                    run.long_field(&NAMES.watermark, watermark);
                    run.int_field(&NAMES.subpartition, subpartition);
                    Ok(pos + 12)
                })
            }
            _ => Err(bad(pos - 1, Rule::Tag)),
        }
    }

    pub(super) fn long_field(&mut self, name: &Name, value: i64) {
        self.sink.field(name);
        self.sink.integer(value, Width::W64);
    }

    pub(super) fn int_field(&mut self, name: &Name, value: i32) {
        self.sink.field(name);
        self.sink.integer(value.into(), Width::W32);
    }

    // ---- bytes ---------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn fixed<const N: usize>(&self, pos: usize) -> Step<[u8; N]> {
        match self.bytes.get(pos..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(bytes) => Ok(*bytes),
            None => Err(bad(pos.min(self.bytes.len()), Rule::TooShort)),
        }
    }

    #[inline]
    pub(super) fn i32(&self, pos: usize) -> Step<i32> {
        Ok(i32::from_be_bytes(self.fixed(pos)?))
    }

    #[inline]
    pub(super) fn i64(&self, pos: usize) -> Step<i64> {
        Ok(i64::from_be_bytes(self.fixed(pos)?))
    }

    pub(super) fn get(&self, range: std::ops::Range<usize>) -> &'v [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    // ---- leaves with rules of their own --------------------------------------------------------------

    /// A text, if there is room for it.
    #[inline]
    pub(super) fn text(&mut self, text: Text<'v>, pos: usize) -> Step<()> {
        if text.len() > self.sink.room() {
            return Err(stop(pos, TOO_LARGE));
        }
        self.sink.text(text);
        Ok(())
    }

    /// UTF-8; what is not is opaque.
    pub(super) fn utf8(&mut self, range: std::ops::Range<usize>) -> Step {
        match std::str::from_utf8(self.get(range.clone())) {
            Ok(text) => {
                self.text(Text::Utf8(text), range.start)?;
                Ok(range.end)
            }
            Err(error) => {
                let halt = bad(range.start + error.valid_up_to(), Rule::Text);
                Ok(self.skipped(range.start, range.end, halt))
            }
        }
    }

    pub(super) fn hex(&mut self, range: std::ops::Range<usize>) -> Step {
        let bytes = self.get(range.clone());
        if bytes.len() > self.sink.room() {
            return Err(stop(range.start, TOO_LARGE));
        }
        self.sink.bytes(bytes);
        Ok(range.end)
    }

    /// A number of a value that begins at `pos` and ends at `end`.
    pub(super) fn big(&mut self, pos: usize, unscaled: Unscaled<'_>, scale: i32, end: usize) -> Step {
        if matches!(unscaled, Unscaled::Bytes(bytes) if bytes.len() > LONGEST) {
            return Ok(self.skipped(pos, end, stop(pos, TOO_LARGE)));
        }
        self.sink.decimal(Decimal { unscaled, scale });
        Ok(end)
    }

    /// The digits of a `BigDecimal`, as PyFlink writes them.
    pub(super) fn digits(&mut self, range: std::ops::Range<usize>) -> Step {
        let bytes = self.get(range.clone());
        let decimal = |byte: &u8| byte.is_ascii_digit() || b"+-.Ee".contains(byte);
        match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.is_empty() && bytes.iter().all(decimal) => {
                self.text(Text::Utf8(text), range.start)?;
                Ok(range.end)
            }
            _ => Ok(self.skipped(range.start, range.end, bad(range.start, Rule::Number))),
        }
    }

    /// A date or time; what `java.time` does not have is told as the number that it was made of.
    pub(super) fn temporal(&mut self, temporal: Temporal, raw: i64, width: Width) {
        if temporal.is_in_range() {
            self.sink.temporal(temporal);
        } else {
            self.sink.integer(raw, width);
        }
    }

    /// An instant of ms since 1970.
    pub(super) fn instant(&mut self, millis: i64) {
        self.sink.temporal(Temporal::Instant(Moment::of_millis(millis, 0, 3)));
    }

    /// One UTF-16 unit.
    pub(super) fn character(&mut self, unit: &[u8; 2]) {
        self.sink.text(Text::Units(Units::new(unit, Encoding::BigEndian)));
    }
}
