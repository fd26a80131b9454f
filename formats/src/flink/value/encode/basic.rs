//! Values of types without parameters.

use serde_json::Value;

use super::{Encode, Encoded, Writer, int, unhex};
use crate::flink::serializer::Basic;
use crate::flink::value::number::{LONGEST, twos_complement};
use crate::flink::value::path::Digits;
use crate::flink::value::sink::Name;
use crate::flink::value::time::{Moment, Temporal, civil};

const DAY_MS: i64 = 86_400_000;
const DAY_NANOS: u64 = 86_400_000_000_000;

/// More digits are more bytes than are decoded.
const MOST_DIGITS: usize = LONGEST * 5 / 2;

/// What is expected where a moment stands.
const MOMENT: &str = "a moment in UTC, such as \"2026-01-31T23:59:59.123Z\"";
const DATE_TIME: &str = "a date and time, such as \"2026-01-31T23:59:59.123\"";
const DATE: &str = "a date, such as \"2026-01-31\"";
const TIME: &str = "a time, such as \"23:59:59.123\"";

impl Encode<'_> {
    pub(super) fn basic(&mut self, basic: Basic, json: &Value, out: &mut Vec<u8>) -> Encoded {
        match basic {
            Basic::Boolean | Basic::BooleanValue => self.boolean(json, out)?,
            Basic::Byte | Basic::ByteValue => out.extend_from_slice(&self.integer::<i8>(json)?.to_be_bytes()),
            Basic::Short | Basic::ShortValue => {
                out.extend_from_slice(&self.integer::<i16>(json)?.to_be_bytes())
            }
            Basic::Int | Basic::IntValue => int(self.integer(json)?, out),
            Basic::Long | Basic::LongValue => self.long(json, out)?,
            Basic::SortedLong => {
                let value = self.integer::<i64>(json)? ^ i64::MIN;
                out.extend_from_slice(&value.to_be_bytes());
            }
            Basic::Float | Basic::FloatValue => out.extend_from_slice(&self.float(json)?.to_be_bytes()),
            Basic::Double | Basic::DoubleValue => out.extend_from_slice(&self.double(json)?.to_be_bytes()),
            Basic::Char | Basic::CharValue => self.character(json, out)?,
            Basic::String => self.string(json, out)?,
            Basic::StringValue => {
                let units = self.units(json)?;
                self.varints(units.len(), &units, json, out)?;
            }
            Basic::BigInteger => match json {
                Value::Null => int(0, out),
                _ => {
                    let (negative, digits, _) = self.decimal(json, Some(0))?;
                    self.big_integer(negative, &digits, json, out)?;
                }
            },
            Basic::BigDecimal => match json {
                Value::Null => int(0, out),
                _ => {
                    let (negative, digits, scale) = self.decimal(json, None)?;
                    self.big_integer(negative, &digits, json, out)?;
                    int(scale, out);
                }
            },
            Basic::Void | Basic::VoidNamespace | Basic::ScalaUnit | Basic::TableNull => {
                self.null(json)?;
                out.push(0);
            }
            Basic::NullValue => self.null(json)?,
            Basic::Tuple0 => {
                self.fields([].iter(), None, json)?;
                out.push(42);
            }
            Basic::GlobalWindow | Basic::TableGlobalWindow => {
                self.fields([].iter(), None, json)?;
                out.push(0);
            }
            Basic::TimeWindow | Basic::TableTimeWindow => self.longs(&["start", "end"], json, out)?,
            Basic::TableCountWindow => self.longs(&["id"], json, out)?,
            Basic::CepEventId => {
                let names = ["id", "timestamp"].map(Name::new);
                let values = self.fields(names.iter(), None, json)?;
                for (name, value) in names.iter().zip(values) {
                    self.field(name, |encode| match name.as_str() {
                        "id" => encode.integer(value).map(|id| int(id, out)),
                        _ => encode.long(value, out),
                    })?;
                }
            }
            Basic::Date | Basic::SqlDate | Basic::SqlTime => {
                let millis = if json.is_null() { i64::MIN } else { self.millis(basic, json)? };
                out.extend_from_slice(&millis.to_be_bytes());
            }
            Basic::SqlTimestamp
            | Basic::Instant
            | Basic::LocalDate
            | Basic::LocalTime
            | Basic::LocalDateTime
                if json.is_null() =>
            {
                out.extend_from_slice(match basic {
                    Basic::SqlTimestamp => &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                    Basic::Instant => &[0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0],
                    Basic::LocalDate => &[0x80, 0, 0, 0, 0x80, 0],
                    Basic::LocalTime => &[0x80, 0x80, 0, 0x80, 0, 0, 0],
                    _ => &[0x80, 0, 0, 0, 0x80, 0, 0x80, 0x80, 0, 0x80, 0, 0, 0],
                });
            }
            Basic::SqlTimestamp => {
                let moment = self.moment(json)?;
                let millis = moment.millis().ok_or_else(|| self.wrong(MOMENT, json))?;
                out.extend_from_slice(&millis.0.to_be_bytes());
                out.extend_from_slice(&moment.nanos.to_be_bytes());
            }
            Basic::Instant => {
                let moment = self.moment(json)?;
                out.extend_from_slice(&moment.seconds.to_be_bytes());
                out.extend_from_slice(&moment.nanos.to_be_bytes());
            }
            Basic::LocalDate => local_date(self.date(json)?, out),
            Basic::LocalTime => local_time(self.time(json)?, out),
            Basic::LocalDateTime => {
                let moment = self.date_time(json)?;
                let of_day = moment.seconds.rem_euclid(DAY_MS / 1000).cast_unsigned();
                local_date(moment.seconds.div_euclid(DAY_MS / 1000), out);
                local_time(of_day * 1_000_000_000 + u64::from(moment.nanos), out);
            }
            Basic::PythonDate => int(self.days(json)?, out),
            Basic::PythonTime => {
                let millis = self.millis(Basic::SqlTime, json)?;
                int(i32::try_from(millis).map_err(|_| self.wrong(TIME, json))?, out);
            }
            Basic::ByteArray | Basic::ByteArrayWrapper | Basic::Bitmap => {
                let bytes = self.hex(json)?;
                self.sized(json, out, |_, out| {
                    out.extend_from_slice(&bytes);
                    Ok(())
                })?;
            }
            Basic::StringData | Basic::PythonString => {
                let text = self.text(json)?;
                self.sized(json, out, |_, out| {
                    out.extend_from_slice(text.as_bytes());
                    Ok(())
                })?;
            }
            Basic::PythonBigDecimal => self.digits(json, out)?,
            Basic::Variant => {
                let [value, metadata] = self.variant(json)?;
                self.count(value.len(), json, out)?;
                self.count(metadata.len(), json, out)?;
                out.extend_from_slice(&value);
                out.extend_from_slice(&metadata);
            }
            Basic::BooleanArray => self.elements(json, out, Self::boolean)?,
            Basic::CharArray => self.elements(json, out, Self::character)?,
            Basic::ShortArray => {
                self.elements(json, out, |encode, json, out| encode.basic(Basic::Short, json, out))?
            }
            Basic::IntArray | Basic::CepDeweyNumber => {
                self.elements(json, out, |encode, json, out| encode.basic(Basic::Int, json, out))?;
            }
            Basic::LongArray => self.elements(json, out, Self::long)?,
            Basic::FloatArray => {
                self.elements(json, out, |encode, json, out| encode.basic(Basic::Float, json, out))?
            }
            Basic::DoubleArray => {
                self.elements(json, out, |encode, json, out| encode.basic(Basic::Double, json, out))?
            }
            Basic::StringArray => self.elements(json, out, Self::string)?,
            Basic::JavaObject | Basic::ScalaNothing => return Err(self.no_encoding(basic.name())),
        }
        Ok(())
    }

    fn null(&self, json: &Value) -> Encoded {
        if json.is_null() { Ok(()) } else { Err(self.wrong("null", json)) }
    }

    pub(super) fn boolean(&mut self, json: &Value, out: &mut Vec<u8>) -> Encoded {
        let value = json.as_bool().ok_or_else(|| self.wrong("true or false", json))?;
        out.push(u8::from(value));
        Ok(())
    }

    /// A whole number of so many bits.
    pub(super) fn integer<T: TryFrom<i64>>(&self, json: &Value) -> Encoded<T> {
        let value = json.as_i64().and_then(|value| T::try_from(value).ok());
        value.ok_or_else(|| self.wrong(format!("a whole number of {} bits", size_of::<T>() * 8), json))
    }

    fn long(&mut self, json: &Value, out: &mut Vec<u8>) -> Encoded {
        out.extend_from_slice(&self.integer::<i64>(json)?.to_be_bytes());
        Ok(())
    }

    /// Fields of 64 bits, one behind the other.
    fn longs(&mut self, names: &[&str], json: &Value, out: &mut Vec<u8>) -> Encoded {
        let names: Vec<_> = names.iter().map(|name| Name::new(name)).collect();
        let values = self.fields(names.iter(), None, json)?;
        names
            .iter()
            .zip(values)
            .try_for_each(|(name, value)| self.field(name, |encode| encode.long(value, out)))
    }

    /// The text of a floating-point number, as it can be parsed.
    fn number(&self, json: &Value) -> Encoded<String> {
        match json {
            // Its digits, so that a number is rounded once.
            Value::Number(number) => Ok(number.to_string()),
            Value::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
                Ok(text.clone())
            }
            _ => Err(self.wrong("a number, \"NaN\", \"Infinity\" or \"-Infinity\"", json)),
        }
    }

    /// The bits of a `float`, as `Float.floatToIntBits` has them.
    pub(super) fn float(&self, json: &Value) -> Encoded<u32> {
        match self.number(json)?.parse::<f32>() {
            Ok(value) if value.is_nan() => Ok(0x7fc0_0000),
            Ok(value) if value.is_finite() || json.is_string() => Ok(value.to_bits()),
            _ => Err(self.wrong("a number of 32 bits", json)),
        }
    }

    /// The bits of a `double`.
    pub(super) fn double(&self, json: &Value) -> Encoded<u64> {
        match self.number(json)?.parse::<f64>() {
            Ok(value) if value.is_nan() => Ok(0x7ff8_0000_0000_0000),
            Ok(value) if value.is_finite() || json.is_string() => Ok(value.to_bits()),
            _ => Err(self.wrong("a number of 64 bits", json)),
        }
    }

    pub(super) fn text<'j>(&self, json: &'j Value) -> Encoded<&'j str> {
        json.as_str().ok_or_else(|| self.wrong("a text", json))
    }

    /// UTF-16 units of a text.
    fn units(&self, json: &Value) -> Encoded<Vec<u16>> {
        if let Value::String(text) = json {
            return Ok(text.encode_utf16().collect());
        }
        let units = super::object_of(json, 1).and_then(|object| unhex(object.get("$utf16")?.as_str()?));
        match units.as_deref().map(<[u8]>::as_chunks::<2>) {
            Some((units, [])) => Ok(units.iter().map(|unit| u16::from_be_bytes(*unit)).collect()),
            _ => Err(self.wrong("a text, or {\"$utf16\": hex}", json)),
        }
    }

    fn character(&mut self, json: &Value, out: &mut Vec<u8>) -> Encoded {
        match self.units(json)?.as_slice() {
            [unit] => out.extend_from_slice(&unit.to_be_bytes()),
            _ => return Err(self.wrong("a text of one UTF-16 unit", json)),
        }
        Ok(())
    }

    /// As `StringValue.writeString` writes it: a varint of the length + 1, 0 for null.
    fn string(&mut self, json: &Value, out: &mut Vec<u8>) -> Encoded {
        if json.is_null() {
            out.push(0);
            return Ok(());
        }
        let units = self.units(json)?;
        self.varints(units.len() + 1, &units, json, out)
    }

    /// A varint of a length, and one of each unit.
    fn varints(&self, length: usize, units: &[u16], json: &Value, out: &mut Vec<u8>) -> Encoded {
        let length = u32::try_from(length).ok().filter(|&length| length <= i32::MAX as u32);
        varint(length.ok_or_else(|| self.wrong("a text of at most 2147483646 UTF-16 units", json))?, out);
        units.iter().for_each(|&unit| varint(unit.into(), out));
        Ok(())
    }

    /// i32 count, and elements.
    fn elements(
        &mut self,
        json: &Value,
        out: &mut Vec<u8>,
        mut each: impl FnMut(&mut Self, &Value, &mut Vec<u8>) -> Encoded,
    ) -> Encoded {
        let elements = self.array(json)?;
        self.count(elements.len(), json, out)?;
        self.each(elements, |encode, element| each(encode, element, out))
    }

    pub(super) fn hex(&self, json: &Value) -> Encoded<Vec<u8>> {
        json.as_str().and_then(unhex).ok_or_else(|| self.wrong("bytes in hex", json))
    }

    /// Value and metadata of a `Variant`.
    pub(super) fn variant(&mut self, json: &Value) -> Encoded<[Vec<u8>; 2]> {
        let names = ["value", "metadata"].map(Name::new);
        let [mut value, mut metadata] = [Vec::new(), Vec::new()];
        let parts = self.fields(names.iter(), None, json)?;
        for ((name, part), to) in names.iter().zip(parts).zip([&mut value, &mut metadata]) {
            *to = self.field(name, |encode| encode.hex(part))?;
        }
        Ok([value, metadata])
    }

    // ---- numbers of any size -------------------------------------------------------------------------

    /// Whether it is negative, the digits without its point, and the scale: that one, if any.
    pub(super) fn decimal(&self, json: &Value, scale: Option<i32>) -> Encoded<(bool, String, i32)> {
        let expected = || match scale {
            Some(0) => format!("a whole number of at most {MOST_DIGITS} digits, such as \"123\""),
            Some(scale) => format!("a number with at most {scale} digits behind its point, such as \"1.5\""),
            None => format!("a number of at most {MOST_DIGITS} digits, such as \"1.50\""),
        };
        let parsed = match json {
            Value::Number(number) if !number.is_f64() => Digits::parse(&number.to_string()),
            Value::String(text) => Digits::parse(text),
            _ => None,
        };
        let parts = parsed.as_ref().and_then(|parsed| {
            let (negative, digits, its_scale) = parsed.parts();
            let zeros = usize::try_from(scale.map_or(0, |scale| i64::from(scale) - its_scale)).ok()?;
            let scale = scale.map_or_else(|| i32::try_from(its_scale).ok(), Some)?;
            // A zero has no more of them.
            let zeros = if digits.is_empty() { 0 } else { zeros };
            if digits.len().saturating_add(zeros) > MOST_DIGITS {
                return None;
            }
            Some((negative, format!("{digits}{}", "0".repeat(zeros)), scale))
        });
        parts.ok_or_else(|| self.wrong(expected(), json))
    }

    /// i32 0 null, 1 ZERO, 2 ONE, 3 TEN, else n + 4 and n bytes.
    fn big_integer(&self, negative: bool, digits: &str, json: &Value, out: &mut Vec<u8>) -> Encoded {
        match digits {
            "" if self.writer == Writer::Usual => int(1, out),
            "1" if self.writer == Writer::Usual && !negative => int(2, out),
            "10" if self.writer == Writer::Usual && !negative => int(3, out),
            _ => {
                let bytes = twos_complement(negative, digits);
                if bytes.len() > LONGEST {
                    return Err(self.wrong(format!("a number of at most {LONGEST} bytes"), json));
                }
                self.count(bytes.len() + 4, json, out)?;
                out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// The digits of a `BigDecimal`, as they stand there.
    pub(super) fn digits(&mut self, json: &Value, out: &mut Vec<u8>) -> Encoded {
        let text = json.as_str().filter(|text| Digits::parse(text).is_some());
        let text = text.ok_or_else(|| self.wrong("a number in a text, such as \"1.50\"", json))?;
        self.sized(json, out, |_, out| {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        })
    }

    // ---- dates and times -----------------------------------------------------------------------------

    fn temporal(json: &Value) -> Option<Temporal> {
        json.as_str().and_then(Temporal::parse)
    }

    pub(super) fn moment(&self, json: &Value) -> Encoded<Moment> {
        match Self::temporal(json) {
            Some(Temporal::Instant(moment)) => Ok(moment),
            _ => Err(self.wrong(MOMENT, json)),
        }
    }

    pub(super) fn date_time(&self, json: &Value) -> Encoded<Moment> {
        match Self::temporal(json) {
            Some(Temporal::DateTime(moment)) => Ok(moment),
            _ => Err(self.wrong(DATE_TIME, json)),
        }
    }

    fn date(&self, json: &Value) -> Encoded<i64> {
        match Self::temporal(json) {
            Some(Temporal::Date(days)) => Ok(days),
            _ => Err(self.wrong(DATE, json)),
        }
    }

    /// Nanoseconds of the day.
    fn time(&self, json: &Value) -> Encoded<u64> {
        match Self::temporal(json) {
            Some(Temporal::Time(nanos, _)) => Ok(nanos),
            _ => Err(self.wrong(TIME, json)),
        }
    }

    /// A date as i32 days since 1970.
    pub(super) fn days(&self, json: &Value) -> Encoded<i32> {
        i32::try_from(self.date(json)?).map_err(|_| self.wrong("a date of days in 32 bits", json))
    }

    /// A time of day as i32 ms; a number is taken as it is.
    pub(super) fn time_millis(&self, json: &Value) -> Encoded<i32> {
        if json.is_number() {
            return self.integer(json);
        }
        let nanos = self.time(json)?;
        let millis = i32::try_from(nanos / 1_000_000).ok().filter(|_| nanos.is_multiple_of(1_000_000));
        millis.ok_or_else(|| self.wrong("a time in whole milliseconds", json))
    }

    /// ms since 1970 of a date or time of `java.util` or `java.sql`.
    fn millis(&self, basic: Basic, json: &Value) -> Encoded<i64> {
        let expected = match basic {
            Basic::SqlDate => format!("{DATE}, or {MOMENT}"),
            Basic::SqlTime => format!("{TIME}, or {MOMENT}"),
            _ => format!("{MOMENT}, in whole milliseconds"),
        };
        let millis = match (basic, Self::temporal(json)) {
            (_, Some(Temporal::Instant(moment))) => {
                moment.millis().filter(|(_, nanos)| *nanos == 0).map(|(millis, _)| millis)
            }
            (Basic::SqlDate, Some(Temporal::Date(days))) => days.checked_mul(DAY_MS),
            (Basic::SqlTime, Some(Temporal::Time(nanos, _))) if nanos.is_multiple_of(1_000_000) => {
                Some((nanos / 1_000_000).cast_signed())
            }
            _ => None,
        };
        // The least number stands for null.
        millis.filter(|&millis| millis != i64::MIN).ok_or_else(|| self.wrong(expected, json))
    }
}

/// A LEB128 varint.
fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// i32 year, u8 month, u8 day.
fn local_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    // Years of dates have no more than 30 bits.
    int(year as i32, out);
    out.extend_from_slice(&[month, day]);
}

/// u8 hour, u8 minute, u8 second, i32 nanoseconds.
fn local_time(nanos: u64, out: &mut Vec<u8>) {
    let seconds = nanos % DAY_NANOS / 1_000_000_000;
    out.extend_from_slice(&[(seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8]);
    int((nanos % 1_000_000_000) as i32, out);
}
