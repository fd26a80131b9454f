//! `java.time` in Kryo's values.
//!
//! ```text
//!                 Kryo 2 (fields by name; what is an object has a reference in front)    Kryo 5
//! LocalDate       i16 day, i16 month, zigzag year                                         varint year, u8 month, u8 day
//! LocalTime       u8 hour, u8 minute, zigzag nanos, u8 second                             hour, minute, second, varint nanos; where all behind are 0, the
//!                                                                                         last one is inverted and the end
//! LocalDateTime   date, time                                                              date, time
//! Instant         zigzag nanos, zigzag seconds                                            varint seconds, varint nanos
//! Duration        zigzag nanos, zigzag seconds                                            i64 seconds, varint nanos
//! Period          zigzag days, months, years                                              varint years, months, days
//! ZoneOffset      zigzag seconds                                                          i8 quarters of an hour, or 127 and i32 seconds
//! ZoneRegion      string                                                                  string
//! OffsetTime      offset, time                                                            time, offset
//! OffsetDateTime  date and time, offset                                                   date, time, offset
//! ZonedDateTime   date and time, offset, class and zone                                   date, time, string zone
//! Year            zigzag year                                                             varint year
//! YearMonth       zigzag month, zigzag year                                               varint year, u8 month
//! MonthDay        zigzag day, zigzag month                                                u8 month, u8 day
//! ```

use super::Seen;
use super::class::{Class, Content, Kryo, KryoVersion};
use super::read::{string, var32, var64, zigzag32, zigzag64};
use crate::flink::value::run::Run;
use crate::flink::value::sink::{ValueSink, Width};
use crate::flink::value::text::Text;
use crate::flink::value::time::{Moment, Temporal, days, digits, nanos_of_day};
use crate::flink::walk::read::{Rule, Step, bad, byte, stop};

/// A class of `java.time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JavaTime {
    Duration,
    Instant,
    LocalDate,
    LocalTime,
    LocalDateTime,
    MonthDay,
    OffsetDateTime,
    OffsetTime,
    Period,
    Year,
    YearMonth,
    ZoneOffset,
    ZoneRegion,
    ZonedDateTime,
}

impl JavaTime {
    pub(super) fn of_class(class: &str) -> Option<Self> {
        Some(match class.strip_prefix("java.time.")? {
            "Duration" => Self::Duration,
            "Instant" => Self::Instant,
            "LocalDate" => Self::LocalDate,
            "LocalTime" => Self::LocalTime,
            "LocalDateTime" => Self::LocalDateTime,
            "MonthDay" => Self::MonthDay,
            "OffsetDateTime" => Self::OffsetDateTime,
            "OffsetTime" => Self::OffsetTime,
            "Period" => Self::Period,
            "Year" => Self::Year,
            "YearMonth" => Self::YearMonth,
            "ZoneOffset" => Self::ZoneOffset,
            "ZoneRegion" => Self::ZoneRegion,
            "ZonedDateTime" => Self::ZonedDateTime,
            _ => return None,
        })
    }
}

/// Reads what a value of `java.time` is made of, one behind the other.
struct Parts<'r, 'v> {
    bytes: &'v [u8],
    pos: usize,
    kryo: &'r Kryo,
    seen: &'r mut Seen,
}

impl<'v> Parts<'_, 'v> {
    fn is_five(&self) -> bool {
        self.kryo.version == KryoVersion::Five
    }

    fn byte(&mut self) -> Step<u8> {
        let byte = byte(self.bytes, self.pos)?;
        self.pos += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Step<i32> {
        let (value, end) = var32(self.bytes, self.pos)?;
        self.pos = end;
        Ok(value.cast_signed())
    }

    fn varlong(&mut self) -> Step<u64> {
        let (value, end) = var64(self.bytes, self.pos)?;
        self.pos = end;
        Ok(value)
    }

    /// A number that may be negative, of a field in Kryo 2.
    fn zigzag(&mut self) -> Step<i32> {
        Ok(zigzag32(self.varint()?.cast_unsigned()))
    }

    /// As Kryo 5 writes an `int` that is hardly ever negative, and Kryo 2 any.
    fn int(&mut self) -> Step<i32> {
        if self.is_five() { self.varint() } else { self.zigzag() }
    }

    /// Month or day of the classes that have no more: a byte in Kryo 5, a field in Kryo 2.
    fn small(&mut self) -> Step<u8> {
        if self.is_five() { self.byte() } else { Ok(u8::try_from(self.zigzag()?).unwrap_or(u8::MAX)) }
    }

    fn short(&mut self) -> Step<u8> {
        let short = u16::from_be_bytes([self.byte()?, self.byte()?]);
        Ok(u8::try_from(short).unwrap_or(u8::MAX))
    }

    fn string(&mut self) -> Step<String> {
        let (text, end) = string(self.bytes, self.pos)?;
        self.pos = end;
        Ok(text.map_or_else(String::new, |text| {
            text.chars().map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }))
    }

    /// In Kryo 2, what is in front of a field that is an object. One that stands elsewhere is not followed.
    fn reference(&mut self, of: Content) -> Step<()> {
        if self.is_five() {
            return Ok(());
        }
        let pos = self.pos;
        match self.varint()? {
            1 => {
                self.seen.passes(of, self.pos);
                Ok(())
            }
            _ => Err(stop(pos, self.kryo.stop)),
        }
    }

    /// Days since 1970.
    fn date(&mut self) -> Step<i64> {
        let pos = self.pos;
        let date = if self.is_five() {
            let year = self.varint()?;
            days(year, self.byte()?, self.byte()?)
        } else {
            let (day, month) = (self.short()?, self.short()?);
            days(self.zigzag()?, month, day)
        };
        date.ok_or(bad(pos, Rule::Date))
    }

    /// Nanoseconds of the day.
    fn time(&mut self) -> Step<u64> {
        let pos = self.pos;
        let time = if self.is_five() {
            let mut parts = [0; 3];
            let mut ended = false;
            for part in &mut parts {
                if !ended {
                    let next = self.byte()?;
                    ended = next & 0x80 != 0;
                    *part = if ended { !next } else { next };
                }
            }
            let nanos = if ended { 0 } else { self.varint()? };
            let [hour, minute, second] = parts;
            nanos_of_day(hour, minute, second, nanos.cast_unsigned())
        } else {
            let (hour, minute, nanos) = (self.byte()?, self.byte()?, self.zigzag()?);
            nanos_of_day(hour, minute, self.byte()?, nanos.cast_unsigned())
        };
        time.ok_or(bad(pos, Rule::Time))
    }

    fn date_time(&mut self) -> Step<Temporal> {
        self.reference(Content::Time(JavaTime::LocalDate))?;
        let days = self.date()?;
        self.reference(Content::Time(JavaTime::LocalTime))?;
        let nanos = self.time()?;
        let seconds = days * 86_400 + (nanos / 1_000_000_000) as i64;
        Ok(Temporal::DateTime(Moment { seconds, nanos: (nanos % 1_000_000_000) as u32, digits: 0 }))
    }

    /// Seconds east of Greenwich.
    fn offset(&mut self) -> Step<i32> {
        if !self.is_five() {
            return self.zigzag();
        }
        match self.byte()?.cast_signed() {
            127 => Ok(i32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?])),
            quarters => Ok(i32::from(quarters) * 900),
        }
    }

    /// Seconds and nanoseconds of an instant or duration.
    fn seconds(&mut self, fixed: bool) -> Step<(i64, u32)> {
        let pos = self.pos;
        let (seconds, nanos) = if !self.is_five() {
            let nanos = self.zigzag()?;
            (zigzag64(self.varlong()?), nanos)
        } else if fixed {
            let mut bytes = [0; 8];
            for byte in &mut bytes {
                *byte = self.byte()?;
            }
            (i64::from_le_bytes(bytes), self.varint()?)
        } else {
            (self.varlong()?.cast_signed(), self.varint()?)
        };
        match u32::try_from(nanos) {
            Ok(nanos @ 0..1_000_000_000) => Ok((seconds, nanos)),
            _ => Err(bad(pos, Rule::Time)),
        }
    }
}

impl<'v, S: ValueSink> Run<'_, 'v, '_, S> {
    pub(super) fn kryo_temporal(&mut self, kryo: &Kryo, seen: &mut Seen, time: JavaTime, pos: usize) -> Step {
        let mut parts = Parts { bytes: self.bytes, pos, kryo, seen };
        let mut text = Vec::new();
        match time {
            JavaTime::LocalDate => {
                let date = Temporal::Date(parts.date()?);
                self.sink.temporal(date);
            }
            JavaTime::LocalTime => {
                let time = Temporal::Time(parts.time()?, 0);
                self.sink.temporal(time);
            }
            JavaTime::LocalDateTime => {
                let date_time = parts.date_time()?;
                self.sink.temporal(date_time);
            }
            JavaTime::Instant => {
                let (seconds, nanos) = parts.seconds(false)?;
                let instant = Temporal::Instant(Moment { seconds, nanos, digits: 0 });
                self.temporal(instant, seconds, Width::W64);
            }
            JavaTime::Year => {
                let year = parts.int()?;
                self.sink.integer(year.into(), Width::W32);
            }
            JavaTime::Duration => {
                let (seconds, nanos) = parts.seconds(true)?;
                duration(seconds, nanos, &mut text);
            }
            JavaTime::Period => {
                let (a, b, c) = (parts.int()?, parts.int()?, parts.int()?);
                if parts.is_five() { period([a, b, c], &mut text) } else { period([c, b, a], &mut text) }
            }
            JavaTime::ZoneOffset => offset(parts.offset()?, &mut text),
            JavaTime::ZoneRegion => {
                parts.reference(Content::String)?;
                text = parts.string()?.into_bytes();
            }
            JavaTime::OffsetTime if parts.is_five() => {
                Temporal::Time(parts.time()?, 0).write(&mut text);
                offset(parts.offset()?, &mut text);
            }
            JavaTime::OffsetTime => {
                parts.reference(Content::Time(JavaTime::ZoneOffset))?;
                let seconds = parts.offset()?;
                parts.reference(Content::Time(JavaTime::LocalTime))?;
                Temporal::Time(parts.time()?, 0).write(&mut text);
                offset(seconds, &mut text);
            }
            JavaTime::OffsetDateTime => {
                parts.reference(Content::Time(JavaTime::LocalDateTime))?;
                parts.date_time()?.write(&mut text);
                parts.reference(Content::Time(JavaTime::ZoneOffset))?;
                offset(parts.offset()?, &mut text);
            }
            JavaTime::ZonedDateTime if parts.is_five() => {
                parts.date_time()?.write(&mut text);
                let zone = parts.string()?;
                // That of an offset is the offset; that of a region is not written.
                match zone.as_bytes() {
                    [b'Z'] | [b'+' | b'-', ..] => text.extend_from_slice(zone.as_bytes()),
                    _ => bracketed(&zone, &mut text),
                }
            }
            JavaTime::ZonedDateTime => {
                parts.reference(Content::Time(JavaTime::LocalDateTime))?;
                parts.date_time()?.write(&mut text);
                parts.reference(Content::Time(JavaTime::ZoneOffset))?;
                offset(parts.offset()?, &mut text);
                let pos = parts.pos;
                let (class, at) = self.kryo_class(kryo, parts.seen, pos)?;
                parts.pos = at;
                match class {
                    Some(Class::Known(content @ Content::Time(JavaTime::ZoneRegion))) => {
                        parts.reference(content)?;
                        parts.reference(Content::String)?;
                        let zone = parts.string()?;
                        bracketed(&zone, &mut text);
                    }
                    // The offset that was there before.
                    Some(Class::Known(Content::Time(JavaTime::ZoneOffset))) if parts.varint()? > 1 => {}
                    _ => return Err(stop(pos, kryo.stop)),
                }
            }
            JavaTime::YearMonth => {
                let (year, month) = if parts.is_five() {
                    (parts.varint()?, parts.byte()?)
                } else {
                    let month = parts.small()?;
                    (parts.zigzag()?, month)
                };
                days(year, month, 1).ok_or(bad(pos, Rule::Date))?;
                if year < 0 {
                    text.push(b'-');
                }
                digits(year.unsigned_abs().into(), 4, &mut text);
                text.push(b'-');
                digits(month.into(), 2, &mut text);
            }
            JavaTime::MonthDay => {
                let (first, second) = (parts.small()?, parts.small()?);
                let (month, day) = if parts.is_five() { (first, second) } else { (second, first) };
                // A leap year has all.
                days(2000, month, day).ok_or(bad(pos, Rule::Date))?;
                text.extend_from_slice(b"--");
                digits(month.into(), 2, &mut text);
                text.push(b'-');
                digits(day.into(), 2, &mut text);
            }
        }
        let end = parts.pos;
        if let (false, Ok(text)) = (text.is_empty(), std::str::from_utf8(&text)) {
            self.sink.text(Text::Utf8(text));
        } else if time == JavaTime::ZoneRegion {
            self.sink.text(Text::Utf8(""));
        }
        Ok(end)
    }
}

fn bracketed(zone: &str, out: &mut Vec<u8>) {
    out.push(b'[');
    out.extend_from_slice(zone.as_bytes());
    out.push(b']');
}

/// `ZoneOffset.toString`.
fn offset(seconds: i32, out: &mut Vec<u8>) {
    if seconds == 0 {
        return out.push(b'Z');
    }
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let seconds = u64::from(seconds.unsigned_abs());
    digits(seconds / 3600, 2, out);
    out.push(b':');
    digits(seconds / 60 % 60, 2, out);
    if !seconds.is_multiple_of(60) {
        out.push(b':');
        digits(seconds % 60, 2, out);
    }
}

fn number(n: i64, unit: u8, out: &mut Vec<u8>) {
    if n != 0 {
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        out.push(unit);
    }
}

/// `Period.toString`.
fn period([years, months, days]: [i32; 3], out: &mut Vec<u8>) {
    out.push(b'P');
    number(years.into(), b'Y', out);
    number(months.into(), b'M', out);
    number(days.into(), b'D', out);
    if out.len() == 1 {
        out.extend_from_slice(b"0D");
    }
}

/// `Duration.toString`.
fn duration(seconds: i64, nanos: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"PT");
    // Nanoseconds count upwards also below zero.
    let below = seconds < 0 && nanos > 0;
    let whole = if below { seconds + 1 } else { seconds };
    number(whole / 3600, b'H', out);
    number(whole / 60 % 60, b'M', out);
    let left = whole % 60;
    if left == 0 && nanos == 0 && out.len() > 2 {
        return;
    }
    if below && left == 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(left).as_bytes());
    if nanos > 0 {
        out.push(b'.');
        digits(u64::from(if below { 1_000_000_000 - nanos } else { nanos }), 9, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'S');
}
