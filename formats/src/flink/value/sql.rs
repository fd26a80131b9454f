//! SQL's values in their binary form.
//!
//! ```text
//! row     null bits, in words of 8 bytes: the first byte is the RowKind, field i has bit i + 8 │ n × slot of 8 bytes │ variable part
//! array   i32 n │ null bits, in words of 4 bytes │ n × slot of 1, 2, 4 or 8 bytes │ variable part
//! map     i32 length of the array of keys │ array of keys │ array of values
//! slot    BOOLEAN, TINYINT 1 │ SMALLINT 2 │ INT, FLOAT, DATE (days), TIME (ms), INTERVAL YEAR TO MONTH (months) 4
//!         BIGINT, DOUBLE, DECIMAL (precision to 18, unscaled), TIMESTAMP (precision to 3, ms), INTERVAL DAY TO SECOND (ms) 8
//!         CHAR, VARCHAR, BINARY, VARBINARY of up to 7 bytes: the bytes; the last byte of the slot is 0x80 + length
//!         else offset << 32 + length of a part in the variable part; DECIMAL: unscaled, big-endian; TIMESTAMP: ms there, and
//!         the nanoseconds of the ms in place of the length
//! ```
//!
//! Bits are counted from the least significant one of the first byte. All is little-endian but the digits of DECIMAL. Offsets are those in the row or
//! array. Sources: `BinaryRowData`, `BinaryArrayData`, `BinaryRowWriter`, `BinarySegmentUtils`, `DecimalDataSerializer`,
//! `TimestampDataSerializer` of Flink 1.13 and 2.3.

use std::ops::Range;

use super::TOO_LARGE;
use super::compile::Id;
use super::number::{Decimal, Unscaled};
use super::run::{EntryPart, NAMES, Run};
use super::sink::{Name, Opaque, ValueSink, Width};
use super::text::Text;
use super::time::{Moment, Temporal};
use crate::flink::serializer::LogicalType;
use crate::flink::walk::StopKind;
use crate::flink::walk::read::{Halt, Rule, Step, Why, bad, sized};

/// A type of SQL.
#[derive(Debug)]
pub(super) enum Sql {
    Boolean,
    TinyInt,
    SmallInt,
    /// `INT`, and months.
    Int,
    /// `BIGINT`, and ms of intervals.
    BigInt,
    Float,
    Double,
    Text,
    Bytes,
    Decimal {
        precision: i32,
        scale: i32,
    },
    Date,
    Time,
    Timestamp {
        precision: i64,
        zoned: bool,
    },
    Array(Box<Sql>),
    Map(Box<Sql>, Box<Sql>),
    Row(SqlRow),
    /// The bytes of a serializer, where that is known.
    Raw {
        class: Option<String>,
        inner: Option<Id>,
    },
    Variant,
    Null,
    /// One that has no known binary form.
    Unknown,
}

/// The fields of a row.
#[derive(Debug)]
pub(super) struct SqlRow {
    pub(super) fields: Vec<(Name, Sql)>,
}

impl SqlRow {
    pub(super) fn of_types(types: &[LogicalType], raw: impl Fn(usize) -> Option<Id>) -> Self {
        let field = |(i, of): (usize, &LogicalType)| (Name::new(&format!("f{i}")), Sql::of(of, raw(i)));
        Self { fields: types.iter().enumerate().map(field).collect() }
    }

    /// Bytes of the null bits, and of them with all slots.
    pub(super) fn fixed(&self) -> (usize, usize) {
        let n = self.fields.len();
        let bits = (n + 8).div_ceil(64) * 8;
        (bits, bits + n * 8)
    }
}

impl Sql {
    pub(super) fn is_raw(of: &LogicalType) -> bool {
        of.root == "RAW"
    }

    /// `raw` is the serializer of raw values.
    pub(super) fn of(of: &LogicalType, raw: Option<Id>) -> Self {
        let part =
            |i: usize| of.fields.get(i).map_or(Self::Unknown, |field| Self::of(&field.logical_type, None));
        match of.root.as_str() {
            "BOOLEAN" => Self::Boolean,
            "TINYINT" => Self::TinyInt,
            "SMALLINT" => Self::SmallInt,
            "INTEGER" | "INTERVAL_YEAR_MONTH" => Self::Int,
            "BIGINT" | "INTERVAL_DAY_TIME" => Self::BigInt,
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "CHAR" | "VARCHAR" => Self::Text,
            "BINARY" | "VARBINARY" | "BITMAP" => Self::Bytes,
            "DECIMAL" => {
                let digits = |n: Option<i64>| n.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
                Self::Decimal { precision: digits(of.precision), scale: digits(of.scale) }
            }
            "DATE" => Self::Date,
            "TIME_WITHOUT_TIME_ZONE" => Self::Time,
            "TIMESTAMP_WITHOUT_TIME_ZONE" => {
                Self::Timestamp { precision: of.precision.unwrap_or(6), zoned: false }
            }
            "TIMESTAMP_WITH_LOCAL_TIME_ZONE" => {
                Self::Timestamp { precision: of.precision.unwrap_or(6), zoned: true }
            }
            "ARRAY" => Self::Array(Box::new(part(0))),
            "MAP" => Self::Map(Box::new(part(0)), Box::new(part(1))),
            "MULTISET" => Self::Map(Box::new(part(0)), Box::new(Self::Int)),
            "ROW" | "STRUCTURED_TYPE" => {
                let fields = of.fields.iter().enumerate().map(|(i, field)| {
                    let name = field.name.as_deref().map_or_else(|| Name::new(&format!("f{i}")), Name::new);
                    (name, Self::of(&field.logical_type, None))
                });
                Self::Row(SqlRow { fields: fields.collect() })
            }
            "DISTINCT_TYPE" => part(0),
            "RAW" => Self::Raw { class: of.class.clone(), inner: raw },
            "VARIANT" => Self::Variant,
            "NULL" => Self::Null,
            _ => Self::Unknown,
        }
    }

    /// `BinaryArrayData.calculateFixLengthPartSize`.
    pub(super) fn slot(&self) -> usize {
        match self {
            Self::Boolean | Self::TinyInt => 1,
            Self::SmallInt => 2,
            Self::Int | Self::Float | Self::Date | Self::Time => 4,
            _ => 8,
        }
    }
}

/// Bits from the least significant one of the first byte.
fn bit(bits: &[u8], i: usize) -> bool {
    bits.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 != 0)
}

impl<'v, S: ValueSink> Run<'_, 'v, '_, S> {
    /// What has its length in front of it: a row, an array or a map. If it cannot be decoded, what follows it can.
    pub(super) fn sql_value(&mut self, sql: &Sql, range: Range<usize>, depth: u32) -> Step<()> {
        let told = match sql {
            Sql::Row(row) => self.sql_row(row, range.clone(), depth),
            Sql::Array(element) => self.sql_array(element, range.clone(), depth),
            Sql::Map(key, value) => self.sql_map(key, value, range.clone(), depth),
            _ => Err(bad(range.start, Rule::Slot)),
        };
        match told {
            Err(halt @ Halt { why: Why::Bad(_), .. }) => {
                self.skipped(range.start, range.end, halt);
                Ok(())
            }
            told => told,
        }
    }

    /// Whoever returns a broken rule has told nothing; anything else that fails is told.
    fn sql_row(&mut self, row: &SqlRow, range: Range<usize>, depth: u32) -> Step<()> {
        self.step(range.start, depth).map_err(|halt| self.failed(range.start, halt))?;
        let (bits, fixed) = row.fixed();
        let kind = match self.get(range.clone()).first() {
            Some(&kind) if fixed <= range.len() => kind,
            _ => return Err(bad(range.start, Rule::TooShort)),
        };
        if kind > 3 {
            return Err(bad(range.start, Rule::RowKind));
        }
        let nulls = self.get(range.start..range.start + bits);
        let end = self.object(|run| {
            run.row_kind(kind);
            for (i, (name, sql)) in row.fields.iter().enumerate() {
                run.sink.field(name);
                if bit(nulls, i + 8) {
                    run.sink.null();
                } else {
                    run.sql_slot(sql, range.start + bits + i * 8, &range, depth + 1)?;
                }
            }
            Ok(range.end)
        });
        end.map(|_| ())
    }

    /// Where the elements of an array stand, and which are null.
    fn sql_elements(&self, element: &Sql, range: &Range<usize>) -> Step<SqlElements<'v>> {
        let short = bad(range.start, Rule::TooShort);
        let count = self.get(range.clone()).first_chunk::<4>().ok_or(short)?;
        let count = usize::try_from(i32::from_le_bytes(*count)).map_err(|_| bad(range.start, Rule::Count))?;
        let header = 4 + count.div_ceil(32) * 4;
        let slots = count.checked_mul(element.slot()).and_then(|slots| slots.checked_add(header));
        if slots.is_none_or(|slots| slots > range.len()) {
            return Err(bad(range.start, Rule::Count));
        }
        let first = range.start + header;
        Ok(SqlElements { count, nulls: self.get(range.start + 4..first), first })
    }

    fn sql_array(&mut self, element: &Sql, range: Range<usize>, depth: u32) -> Step<()> {
        let elements = self.sql_elements(element, &range)?;
        let end = self.list(|run| {
            for i in 0..elements.count {
                run.sql_element(element, &elements, i, &range, depth)?;
            }
            Ok(range.end)
        });
        end.map(|_| ())
    }

    fn sql_element(
        &mut self,
        element: &Sql,
        elements: &SqlElements<'v>,
        i: usize,
        range: &Range<usize>,
        depth: u32,
    ) -> Step<()> {
        let slot = elements.first + i * element.slot();
        self.step(slot, depth).map_err(|halt| self.failed(slot, halt))?;
        if bit(elements.nulls, i) {
            self.sink.null();
            Ok(())
        } else {
            self.sql_slot(element, slot, range, depth + 1)
        }
    }

    fn sql_map(&mut self, key: &Sql, value: &Sql, range: Range<usize>, depth: u32) -> Step<()> {
        let short = bad(range.start, Rule::TooShort);
        let length = self.get(range.clone()).first_chunk::<4>().ok_or(short)?;
        let length = usize::try_from(i32::from_le_bytes(*length)).ok();
        let middle = length.and_then(|length| (range.start + 4).checked_add(length));
        let middle = middle.filter(|&middle| middle <= range.end).ok_or(bad(range.start, Rule::Length))?;
        let (keys, values) = (range.start + 4..middle, middle..range.end);
        let (all_keys, all_values) = (self.sql_elements(key, &keys)?, self.sql_elements(value, &values)?);
        if all_keys.count != all_values.count {
            return Err(bad(middle, Rule::Count));
        }
        let end = self.map(|run| {
            for i in 0..all_keys.count {
                run.entry(range.start, |run, part, _| {
                    let (sql, all, within) = match part {
                        EntryPart::Key => (key, &all_keys, &keys),
                        EntryPart::Value => (value, &all_values, &values),
                    };
                    run.sql_element(sql, all, i, within, depth)?;
                    Ok(within.end)
                })?;
            }
            Ok(range.end)
        });
        end.map(|_| ())
    }

    /// A value in its slot, of the row or array at `range`. Fails only where the whole value does.
    fn sql_slot(&mut self, sql: &Sql, pos: usize, range: &Range<usize>, depth: u32) -> Step<()> {
        let told = self.step(pos, depth).and_then(|()| self.sql_in_slot(sql, pos, range, depth));
        match told {
            Err(halt @ Halt { why: Why::Bad(_), .. }) => {
                self.skipped(pos, pos + sql.slot(), halt);
                Ok(())
            }
            Err(halt) => Err(self.failed(pos, halt)),
            Ok(()) => Ok(()),
        }
    }

    fn sql_in_slot(&mut self, sql: &Sql, pos: usize, range: &Range<usize>, depth: u32) -> Step<()> {
        match sql {
            Sql::Boolean => {
                let [value] = self.fixed(pos)?;
                self.sink.boolean(value != 0);
            }
            Sql::TinyInt => {
                let value = i8::from_le_bytes(self.fixed(pos)?);
                self.sink.integer(value.into(), Width::W8);
            }
            Sql::SmallInt => {
                let value = i16::from_le_bytes(self.fixed(pos)?);
                self.sink.integer(value.into(), Width::W16);
            }
            Sql::Int => {
                let value = i32::from_le_bytes(self.fixed(pos)?);
                self.sink.integer(value.into(), Width::W32);
            }
            Sql::BigInt => {
                let value = i64::from_le_bytes(self.fixed(pos)?);
                self.sink.integer(value, Width::W64);
            }
            Sql::Float => {
                let value = f32::from_le_bytes(self.fixed(pos)?);
                self.sink.float(value);
            }
            Sql::Double => {
                let value = f64::from_le_bytes(self.fixed(pos)?);
                self.sink.double(value);
            }
            Sql::Date => {
                let days = i32::from_le_bytes(self.fixed(pos)?);
                self.sink.temporal(Temporal::Date(days.into()));
            }
            Sql::Time => {
                let millis = i32::from_le_bytes(self.fixed(pos)?);
                self.sql_time_of_day(millis);
            }
            Sql::Decimal { precision, scale } if *precision <= 18 => {
                let unscaled = Unscaled::Small(i64::from_le_bytes(self.fixed(pos)?));
                self.sink.decimal(Decimal { unscaled, scale: *scale });
            }
            Sql::Decimal { scale, .. } => {
                let part = self.sql_part(pos, range, false)?;
                self.big(part.start, Unscaled::Bytes(self.get(part.clone())), *scale, part.end)?;
            }
            Sql::Timestamp { precision, zoned } => {
                let (millis, nanos) = if *precision <= 3 {
                    (i64::from_le_bytes(self.fixed(pos)?), 0)
                } else {
                    let [nanos, offset] = self.sql_halves(pos)?;
                    let at = (range.start as u64 + u64::from(offset)) as usize;
                    if at.checked_add(8).is_none_or(|end| end > range.end) {
                        return Err(bad(pos, Rule::Slot));
                    }
                    (i64::from_le_bytes(self.fixed(at)?), nanos)
                };
                self.sql_moment(millis, nanos, *zoned, 0).map_err(|rule| bad(pos, rule))?;
            }
            Sql::Text => {
                let part = self.sql_part(pos, range, true)?;
                self.utf8(part)?;
            }
            Sql::Bytes => {
                let part = self.sql_part(pos, range, true)?;
                self.hex(part)?;
            }
            Sql::Array(_) | Sql::Map(..) | Sql::Row(_) => {
                let part = self.sql_part(pos, range, false)?;
                self.sql_value(sql, part, depth)?;
            }
            Sql::Raw { inner: Some(inner), .. } => {
                let part = self.sql_part(pos, range, false)?;
                self.raw(*inner, part, depth)?;
            }
            Sql::Raw { class, inner: None } => {
                let part = self.sql_part(pos, range, false)?;
                self.skipped_as(part.start, part.end, class.as_deref(), StopKind::JavaSerialized);
            }
            Sql::Variant => {
                let part = self.sql_part(pos, range, false)?;
                let length = self.get(part.clone()).first_chunk::<4>();
                let length = length.and_then(|length| usize::try_from(i32::from_le_bytes(*length)).ok());
                let middle = length.and_then(|length| (part.start + 4).checked_add(length));
                let middle = middle.filter(|&middle| middle <= part.end).ok_or(bad(pos, Rule::Length))?;
                self.variant(part.start + 4..middle, middle..part.end)?;
            }
            Sql::Null => self.sink.null(),
            Sql::Unknown => {
                self.skipped_as(pos, pos + 8, None, StopKind::Unsupported);
            }
        }
        Ok(())
    }

    /// The lower and the upper half of a slot.
    fn sql_halves(&self, pos: usize) -> Step<[u32; 2]> {
        let [a, b, c, d, e, f, g, h] = self.fixed(pos)?;
        Ok([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])])
    }

    /// Where the bytes of a slot are: in the variable part, or, where that may be, in the slot itself.
    fn sql_part(&self, pos: usize, range: &Range<usize>, inline: bool) -> Step<Range<usize>> {
        let [length, offset] = self.sql_halves(pos)?;
        if inline && offset >> 31 != 0 {
            let length = (offset >> 24 & 0x7f) as usize;
            return if length <= 7 { Ok(pos..pos + length) } else { Err(bad(pos, Rule::Slot)) };
        }
        let start = range.start as u64 + u64::from(offset);
        let end = start + u64::from(length);
        if end > range.end as u64 {
            return Err(bad(pos, Rule::Slot));
        }
        Ok(start as usize..end as usize)
    }

    /// A time of day in ms.
    fn sql_time_of_day(&mut self, millis: i32) {
        let nanos = u64::try_from(millis).map_or(u64::MAX, |millis| millis * 1_000_000);
        self.temporal(Temporal::Time(nanos, 0), millis.into(), Width::W32);
    }

    fn sql_moment(&mut self, millis: i64, nanos: u32, zoned: bool, digits: u8) -> Result<(), Rule> {
        if nanos >= 1_000_000 {
            return Err(Rule::Time);
        }
        let moment = Moment::of_millis(millis, nanos, digits);
        self.sink.temporal(if zoned { Temporal::Instant(moment) } else { Temporal::DateTime(moment) });
        Ok(())
    }

    /// `DecimalDataSerializer`: i64 unscaled, or i32 n and n bytes.
    pub(super) fn sql_decimal(&mut self, precision: i32, scale: i32, pos: usize) -> Step {
        if precision <= 18 {
            let unscaled = Unscaled::Small(self.i64(pos)?);
            self.sink.decimal(Decimal { unscaled, scale });
            return Ok(pos + 8);
        }
        let end = sized(self.bytes, pos, 1)?;
        self.big(pos, Unscaled::Bytes(self.get(pos + 4..end)), scale, end)
    }

    /// `TimestampDataSerializer`: i64 ms, and from precision 4 on i32 nanoseconds of the ms.
    pub(super) fn sql_timestamp(&mut self, precision: i32, python: bool, pos: usize) -> Step {
        let millis = self.i64(pos)?;
        let (nanos, end) = if precision <= 3 { (0, pos + 8) } else { (self.i32(pos + 8)?, pos + 12) };
        let digits = if python { 3 } else { 0 };
        if self.sql_moment(millis, nanos.cast_unsigned(), python, digits).is_err() {
            self.skipped(pos, end, bad(pos + 8, Rule::Time));
        }
        Ok(end)
    }

    /// The bytes that a serializer wrote, and nothing else. What they do not fit is opaque.
    pub(super) fn raw(&mut self, inner: Id, range: Range<usize>, depth: u32) -> Step {
        let whole = self.bytes;
        self.bytes = whole.get(..range.end).unwrap_or_default();
        // Nothing that does not fit is told in parts: it is gone over once without telling.
        let fits = self.quietly(|quiet| quiet.value(inner, range.start, depth + 1));
        let told = match fits {
            Ok(end) if end == range.end => self.value(inner, range.start, depth + 1),
            Ok(end) => Ok(self.skipped(range.start, range.end, bad(end, Rule::Follows))),
            Err(halt) => Ok(self.skipped(range.start, range.end, halt)),
        };
        self.bytes = whole;
        told
    }

    /// A `Variant`, as it is: its value and its metadata.
    pub(super) fn variant(&mut self, value: Range<usize>, metadata: Range<usize>) -> Step {
        if value.len().saturating_add(metadata.len()) > self.sink.room() {
            return Err(crate::flink::walk::read::stop(value.start, TOO_LARGE));
        }
        self.object(|run| {
            run.sink.field(&NAMES.value);
            run.sink.bytes(run.get(value));
            run.sink.field(&NAMES.metadata);
            run.sink.bytes(run.get(metadata.clone()));
            Ok(metadata.end)
        })
    }

    /// Goes over a part without telling anybody.
    fn quietly(&mut self, over: impl FnOnce(&mut Run<'_, 'v, '_, Nobody>) -> Step) -> Step {
        let mut nobody = Nobody;
        let mut quiet = Run::new(self.decoder, self.bytes, &mut nobody);
        quiet.steps = self.steps;
        let end = over(&mut quiet);
        self.steps = quiet.steps;
        end
    }
}

/// The elements of an array.
struct SqlElements<'v> {
    count: usize,
    nulls: &'v [u8],
    /// Where the first slot is.
    first: usize,
}

/// A sink that is not interested in anything.
struct Nobody;

impl ValueSink for Nobody {
    fn null(&mut self) {}
    fn boolean(&mut self, _: bool) {}
    fn integer(&mut self, _: i64, _: Width) {}
    fn float(&mut self, _: f32) {}
    fn double(&mut self, _: f64) {}
    fn decimal(&mut self, _: Decimal<'_>) {}
    fn temporal(&mut self, _: Temporal) {}
    fn text(&mut self, _: Text<'_>) {}
    fn bytes(&mut self, _: &[u8]) {}
    fn opaque(&mut self, _: &Opaque<'_>) {}
    fn begin_object(&mut self) {}
    fn field(&mut self, _: &Name) {}
    fn end_object(&mut self) {}
    fn begin_list(&mut self) {}
    fn end_list(&mut self) {}
    fn begin_map(&mut self) {}
    fn begin_entry(&mut self) {}
    fn entry_value(&mut self) {}
    fn end_entry(&mut self) {}
    fn end_map(&mut self) {}
}
