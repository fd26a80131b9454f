//! Values of types without parameters.

use super::number::Unscaled;
use super::run::{NAMES, Run};
use super::sink::{ValueSink, Width};
use super::text::{Encoding, Text, Units};
use super::time::{Moment, Temporal, days, nanos_of_day};
use crate::flink::serializer::Basic;
use crate::flink::walk::read::{
    Rule, Step, bad, big_integer, byte, count, int, is_ascii, sized, skip, string_length, units, variant,
};

const DAY_MS: i64 = 86_400_000;

impl<'v, S: ValueSink> Run<'_, 'v, '_, S> {
    pub(super) fn basic(&mut self, basic: Basic, pos: usize) -> Step {
        match basic {
            Basic::Long | Basic::LongValue => {
                let value = self.i64(pos)?;
                self.sink.integer(value, Width::W64);
                Ok(pos + 8)
            }
            Basic::String => self.string(pos),
            Basic::Int | Basic::IntValue => {
                let value = self.i32(pos)?;
                self.sink.integer(value.into(), Width::W32);
                Ok(pos + 4)
            }
            Basic::Double | Basic::DoubleValue => {
                let value = f64::from_be_bytes(self.fixed(pos)?);
                self.sink.double(value);
                Ok(pos + 8)
            }
            Basic::Boolean | Basic::BooleanValue => {
                // As `DataInput.readBoolean` reads it.
                let value = byte(self.bytes, pos)? != 0;
                self.sink.boolean(value);
                Ok(pos + 1)
            }
            Basic::Byte | Basic::ByteValue => {
                let value = byte(self.bytes, pos)? as i8;
                self.sink.integer(value.into(), Width::W8);
                Ok(pos + 1)
            }
            Basic::Short | Basic::ShortValue => {
                let value = i16::from_be_bytes(self.fixed(pos)?);
                self.sink.integer(value.into(), Width::W16);
                Ok(pos + 2)
            }
            Basic::Char | Basic::CharValue => {
                let unit = self.fixed(pos)?;
                self.character(&unit);
                Ok(pos + 2)
            }
            Basic::Float | Basic::FloatValue => {
                let value = f32::from_be_bytes(self.fixed(pos)?);
                self.sink.float(value);
                Ok(pos + 4)
            }
            Basic::SortedLong => {
                let value = self.i64(pos)? ^ i64::MIN;
                self.sink.integer(value, Width::W64);
                Ok(pos + 8)
            }
            Basic::StringValue => {
                let (length, at) = string_length(self.bytes, pos)?;
                self.units(length, pos, at)
            }
            Basic::BigInteger => self.big_integer(pos),
            Basic::BigDecimal => self.big_decimal(pos),
            Basic::Void | Basic::VoidNamespace | Basic::ScalaUnit | Basic::TableNull => self.nothing(pos, 1),
            Basic::NullValue => self.nothing(pos, 0),
            Basic::Tuple0 | Basic::GlobalWindow | Basic::TableGlobalWindow => {
                let end = skip(self.bytes, pos, 1)?;
                self.object(|_| Ok(end))
            }
            Basic::TimeWindow | Basic::TableTimeWindow => {
                let (start, end) = (self.i64(pos)?, self.i64(pos + 8)?);
                self.object(|run| {
                    run.long_field(&NAMES.start, start);
                    run.long_field(&NAMES.end, end);
                    Ok(pos + 16)
                })
            }
            Basic::TableCountWindow => {
                let id = self.i64(pos)?;
                self.object(|run| {
                    run.long_field(&NAMES.id, id);
                    Ok(pos + 8)
                })
            }
            Basic::CepEventId => {
                let (id, timestamp) = (self.i32(pos)?, self.i64(pos + 4)?);
                self.object(|run| {
                    run.int_field(&NAMES.id, id);
                    run.long_field(&NAMES.timestamp, timestamp);
                    Ok(pos + 12)
                })
            }
            Basic::Date | Basic::SqlDate | Basic::SqlTime => {
                let millis = self.i64(pos)?;
                match basic {
                    _ if millis == i64::MIN => self.sink.null(),
                    Basic::SqlDate => self.sql_date(millis),
                    Basic::SqlTime => self.sql_time(millis),
                    _ => self.instant(millis),
                }
                Ok(pos + 8)
            }
            Basic::SqlTimestamp => {
                let (millis, nanos) = (self.i64(pos)?, self.i32(pos + 8)?);
                if millis == i64::MIN {
                    self.sink.null();
                } else if let Some(nanos) = nanos_of_second(nanos) {
                    let moment = Moment { nanos, ..Moment::of_millis(millis, 0, 3) };
                    self.sink.temporal(Temporal::Instant(moment));
                } else {
                    self.skipped(pos, pos + 12, bad(pos + 8, Rule::Time));
                }
                Ok(pos + 12)
            }
            Basic::Instant => {
                let (seconds, nanos) = (self.i64(pos)?, self.i32(pos + 8)?);
                if seconds == i64::MIN {
                    self.sink.null();
                } else if let Some(nanos) = nanos_of_second(nanos) {
                    let instant = Temporal::Instant(Moment { seconds, nanos, digits: 0 });
                    self.temporal(instant, seconds, Width::W64);
                } else {
                    self.skipped(pos, pos + 12, bad(pos + 8, Rule::Time));
                }
                Ok(pos + 12)
            }
            Basic::LocalDate => {
                let bytes: [u8; 6] = self.fixed(pos)?;
                match local_date(bytes) {
                    None => self.sink.null(),
                    Some(Some(days)) => self.sink.temporal(Temporal::Date(days)),
                    Some(None) => {
                        self.skipped(pos, pos + 6, bad(pos, Rule::Date));
                    }
                }
                Ok(pos + 6)
            }
            Basic::LocalTime => {
                let bytes: [u8; 7] = self.fixed(pos)?;
                match (bytes, local_time(bytes)) {
                    ([0x80, ..], _) => self.sink.null(),
                    (_, Some(nanos)) => self.sink.temporal(Temporal::Time(nanos, 0)),
                    (_, None) => {
                        self.skipped(pos, pos + 7, bad(pos, Rule::Time));
                    }
                }
                Ok(pos + 7)
            }
            Basic::LocalDateTime => {
                let (date, time) = (local_date(self.fixed(pos)?), local_time(self.fixed(pos + 6)?));
                match (date, time) {
                    (None, _) => self.sink.null(),
                    (Some(Some(days)), Some(nanos)) => {
                        self.sink.temporal(Temporal::DateTime(Moment::of_day(days, nanos)));
                    }
                    (Some(None), _) => {
                        self.skipped(pos, pos + 13, bad(pos, Rule::Date));
                    }
                    (_, None) => {
                        self.skipped(pos, pos + 13, bad(pos + 6, Rule::Time));
                    }
                }
                Ok(pos + 13)
            }
            Basic::PythonDate => {
                let days = self.i32(pos)?;
                self.sink.temporal(Temporal::Date(days.into()));
                Ok(pos + 4)
            }
            Basic::PythonTime => {
                let millis = self.i32(pos)?;
                self.sql_time(millis.into());
                Ok(pos + 4)
            }
            Basic::ByteArray | Basic::ByteArrayWrapper | Basic::Bitmap => {
                let end = sized(self.bytes, pos, 1)?;
                self.hex(pos + 4..end)
            }
            Basic::StringData | Basic::PythonString => {
                let end = sized(self.bytes, pos, 1)?;
                self.utf8(pos + 4..end)
            }
            Basic::PythonBigDecimal => {
                let end = sized(self.bytes, pos, 1)?;
                self.digits(pos + 4..end)
            }
            Basic::Variant => {
                let end = variant(self.bytes, pos)?;
                let length = usize::try_from(int(self.bytes, pos)?).unwrap_or(0);
                let middle = pos + 8 + length;
                self.variant(pos + 8..middle, middle..end)
            }
            Basic::BooleanArray => self.numbers(pos, |run, [value]: [u8; 1]| run.sink.boolean(value != 0)),
            Basic::CharArray => self.numbers(pos, |run, unit| run.character(&unit)),
            Basic::ShortArray => self.numbers(pos, |run, bytes| {
                run.sink.integer(i16::from_be_bytes(bytes).into(), Width::W16);
            }),
            Basic::IntArray | Basic::CepDeweyNumber => self.numbers(pos, |run, bytes| {
                run.sink.integer(i32::from_be_bytes(bytes).into(), Width::W32);
            }),
            Basic::LongArray => self.numbers(pos, |run, bytes| {
                run.sink.integer(i64::from_be_bytes(bytes), Width::W64);
            }),
            Basic::FloatArray => self.numbers(pos, |run, bytes| run.sink.float(f32::from_be_bytes(bytes))),
            Basic::DoubleArray => self.numbers(pos, |run, bytes| run.sink.double(f64::from_be_bytes(bytes))),
            Basic::StringArray => {
                let n = count(self.bytes, pos, 1)?;
                self.list(|run| {
                    run.times(n, pos + 4, |run, pos| {
                        let end = run.step(pos, 0).and_then(|()| run.string(pos));
                        end.map_err(|halt| run.failed(pos, halt))
                    })
                })
            }
            // Nodes of their own.
            Basic::JavaObject => self.java_object(pos),
            Basic::ScalaNothing => Err(bad(pos, Rule::Tag)),
        }
    }

    fn nothing(&mut self, pos: usize, n: usize) -> Step {
        let end = skip(self.bytes, pos, n)?;
        self.sink.null();
        Ok(end)
    }

    /// i32 n, n units of `N` bytes.
    fn numbers<const N: usize>(&mut self, pos: usize, each: impl Fn(&mut Self, [u8; N])) -> Step {
        let end = sized(self.bytes, pos, N)?;
        let (chunks, _) = self.get(pos + 4..end).as_chunks::<N>();
        self.list(|run| {
            for (i, &chunk) in chunks.iter().enumerate() {
                let at = pos + 4 + i * N;
                run.step(at, 0).map_err(|halt| run.failed(at, halt))?;
                each(run, chunk);
            }
            Ok(end)
        })
    }

    /// As `StringValue.writeString` writes it: a varint of the length + 1, 0 for null, and a varint for each unit.
    #[inline]
    pub(super) fn string(&mut self, pos: usize) -> Step {
        let (length, at) = string_length(self.bytes, pos)?;
        match length.checked_sub(1) {
            Some(length) => self.units(length, pos, at),
            None => {
                self.sink.null();
                Ok(at)
            }
        }
    }

    /// The units of a string that begins at `pos`.
    #[inline]
    fn units(&mut self, n: usize, pos: usize, at: usize) -> Step {
        let ascii = self.bytes.get(at..).and_then(|rest| rest.get(..n)).filter(|units| is_ascii(units));
        if let Some(Ok(text)) = ascii.map(std::str::from_utf8) {
            self.text(Text::Utf8(text), pos)?;
            return Ok(at + n);
        }
        let end = units(self.bytes, at, n)?;
        self.text(Text::Units(Units::new(self.get(at..end), Encoding::Varints)), pos)?;
        Ok(end)
    }

    fn big_integer(&mut self, pos: usize) -> Step {
        let end = big_integer(self.bytes, pos)?;
        match self.unscaled(pos, end)? {
            None => self.sink.null(),
            Some(unscaled) => return self.big(pos, unscaled, 0, end),
        }
        Ok(end)
    }

    fn big_decimal(&mut self, pos: usize) -> Step {
        let end = big_integer(self.bytes, pos)?;
        match self.unscaled(pos, end)? {
            None => self.sink.null(),
            Some(unscaled) => return self.big(pos, unscaled, self.i32(end)?, end + 4),
        }
        Ok(end)
    }

    /// The number of a `BigInteger` that ends at `end`: i32 0 null, 1 ZERO, 2 ONE, 3 TEN, else n + 4 and n bytes.
    fn unscaled(&self, pos: usize, end: usize) -> Step<Option<Unscaled<'v>>> {
        Ok(match int(self.bytes, pos)? {
            0 => None,
            1 => Some(Unscaled::Small(0)),
            2 => Some(Unscaled::Small(1)),
            3 => Some(Unscaled::Small(10)),
            _ => Some(Unscaled::Bytes(self.get(pos + 4..end))),
        })
    }

    /// `java.sql.Date`: a day, if it is a whole one.
    pub(super) fn sql_date(&mut self, millis: i64) {
        if millis % DAY_MS == 0 {
            self.sink.temporal(Temporal::Date(millis / DAY_MS));
        } else {
            self.instant(millis);
        }
    }

    /// `java.sql.Time`: a time, if it is one of the first day.
    pub(super) fn sql_time(&mut self, millis: i64) {
        match u64::try_from(millis) {
            Ok(of_day) if millis < DAY_MS => self.sink.temporal(Temporal::Time(of_day * 1_000_000, 3)),
            _ => self.instant(millis),
        }
    }
}

fn nanos_of_second(nanos: i32) -> Option<u32> {
    u32::try_from(nanos).ok().filter(|&nanos| nanos < 1_000_000_000)
}

/// i32 year, u8 month, u8 day: `None` for a null, `Some(None)` for what is no date.
fn local_date([a, b, c, d, month, day]: [u8; 6]) -> Option<Option<i64>> {
    let year = i32::from_be_bytes([a, b, c, d]);
    (year != i32::MIN).then(|| days(year, month, day))
}

/// u8 hour, u8 minute, u8 second, i32 nanoseconds.
fn local_time([hour, minute, second, a, b, c, d]: [u8; 7]) -> Option<u64> {
    nanos_of_day(hour, minute, second, u32::from_be_bytes([a, b, c, d]))
}
