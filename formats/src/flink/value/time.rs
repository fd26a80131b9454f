//! Dates and times as `java.time` prints them: the proleptic Gregorian calendar, years of four digits or more.

/// A day in seconds.
const DAY: i64 = 86_400;
/// `Instant.MIN` and `Instant.MAX`, in seconds since 1970.
const INSTANTS: std::ops::RangeInclusive<i64> = -31_557_014_167_219_200..=31_556_889_864_403_199;
/// `LocalDate.MIN` and `LocalDate.MAX`, in days since 1970.
const DATES: std::ops::RangeInclusive<i64> = -365_243_219_162..=365_241_780_471;

/// A date, a time of day, both, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporal {
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds of the day, and the digits of the fraction that are written at least: 0, 3, 6 or 9.
    Time(u64, u8),
    /// A date with a time of day, without a time zone.
    DateTime(Moment),
    /// A moment in UTC.
    Instant(Moment),
}

/// Seconds and nanoseconds since 1970-01-01T00:00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds of the second, below 1,000,000,000.
    pub nanos: u32,
    /// Digits of the fraction that are written at least: 0, 3, 6 or 9.
    pub digits: u8,
}

impl Moment {
    /// From ms since 1970, and nanoseconds of the millisecond.
    pub(super) fn of_millis(millis: i64, nanos: u32, digits: u8) -> Self {
        let nanos = millis.rem_euclid(1000) as u32 * 1_000_000 + nanos;
        Self { seconds: millis.div_euclid(1000), nanos, digits }
    }

    /// ms since 1970, if 64 bits are enough for them, and nanoseconds of the millisecond.
    pub(super) fn millis(&self) -> Option<(i64, u32)> {
        // Of the earliest ones, the seconds alone have no room.
        let millis = i128::from(self.seconds) * 1000 + i128::from(self.nanos / 1_000_000);
        Some((i64::try_from(millis).ok()?, self.nanos % 1_000_000))
    }

    /// From a day since 1970 and nanoseconds of the day.
    pub(super) fn of_day(days: i64, nanos: u64) -> Self {
        let seconds = days * DAY + (nanos / 1_000_000_000) as i64;
        Self { seconds, nanos: (nanos % 1_000_000_000) as u32, digits: 0 }
    }

    /// From units of which a second has so many.
    pub(super) fn of_units(units: i64, per_second: i64) -> Self {
        let nanos = units.rem_euclid(per_second) * (1_000_000_000 / per_second);
        Self { seconds: units.div_euclid(per_second), nanos: nanos as u32, digits: 0 }
    }
}

impl Temporal {
    /// Whether `java.time` has it.
    #[must_use]
    pub fn is_in_range(&self) -> bool {
        match self {
            Self::Date(days) => DATES.contains(days),
            Self::Time(nanos, _) => *nanos < DAY as u64 * 1_000_000_000,
            Self::DateTime(moment) | Self::Instant(moment) => {
                INSTANTS.contains(&moment.seconds) && moment.nanos < 1_000_000_000
            }
        }
    }

    /// Reads what [`Temporal::write`] writes, with one to nine digits in fractions, if `java.time` has it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed = match (text.strip_suffix('Z'), text.contains('T'), text.contains(':')) {
            (Some(moment), ..) => Self::Instant(parse_moment(moment)?),
            (None, true, _) => Self::DateTime(parse_moment(text)?),
            (None, false, true) => Self::Time(parse_time(text)?, 0),
            (None, false, false) => Self::Date(parse_date(text)?),
        };
        parsed.is_in_range().then_some(parsed)
    }

    /// Writes it as ISO 8601 has it, such as `2026-01-31T23:59:59.123Z`.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Date(days) => date(days, out),
            Self::Time(nanos, digits) => {
                time((nanos / 1_000_000_000) as i64, (nanos % 1_000_000_000) as u32, digits, out);
            }
            Self::DateTime(moment) => date_time(moment, out),
            Self::Instant(moment) => {
                date_time(moment, out);
                out.push(b'Z');
            }
        }
    }
}

fn date_time(moment: Moment, out: &mut Vec<u8>) {
    date(moment.seconds.div_euclid(DAY), out);
    out.push(b'T');
    time(moment.seconds.rem_euclid(DAY), moment.nanos, moment.digits, out);
}

fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    match year {
        ..0 => out.push(b'-'),
        10_000.. => out.push(b'+'),
        _ => {}
    }
    digits(year.unsigned_abs(), 4, out);
    out.push(b'-');
    digits(month.into(), 2, out);
    out.push(b'-');
    digits(day.into(), 2, out);
}

fn time(seconds: i64, nanos: u32, at_least: u8, out: &mut Vec<u8>) {
    let seconds = seconds as u64;
    digits(seconds / 3600, 2, out);
    out.push(b':');
    digits(seconds / 60 % 60, 2, out);
    out.push(b':');
    digits(seconds % 60, 2, out);
    let (fraction, width) = match nanos {
        0 => (0, 0),
        _ if nanos.is_multiple_of(1_000_000) => (nanos / 1_000_000, 3),
        _ if nanos.is_multiple_of(1000) => (nanos / 1000, 6),
        _ => (nanos, 9),
    };
    let (mut fraction, mut width) = (u64::from(fraction), width);
    while width < at_least {
        fraction *= 1000;
        width += 3;
    }
    if width > 0 {
        out.push(b'.');
        digits(fraction, width.into(), out);
    }
}

/// A number with zeros in front.
pub(super) fn digits(n: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(n);
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

/// Year, month and day of a day since 1970. (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".)
pub(super) fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * month + 2) / 5 + 1) as u8;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day)
}

/// The day since 1970 of a date; `None` for one that `LocalDate` does not have.
pub(super) fn days(year: i32, month: u8, day: u8) -> Option<i64> {
    day_of(year.into(), month, day).filter(|days| DATES.contains(days))
}

/// The day since 1970 of a date; `None` for one that the calendar does not have, and for years that no `Instant` has.
fn day_of(year: i64, month: u8, day: u8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > last || !(-1_000_000_000..=1_000_000_000).contains(&year) {
        return None;
    }
    let (month, day) = (i64::from(month), i64::from(day));
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    Some(era * 146_097 + of_era - 719_468)
}

/// Digits and nothing else, as many as fit.
fn parse_digits<T: std::str::FromStr>(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<T> {
    let fits = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// A date with four digits or more of a year, a sign in front of them where it has one: the day since 1970.
fn parse_date(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (date, day) = unsigned.rsplit_once('-')?;
    let (year, month) = date.rsplit_once('-')?;
    let year: i64 = parse_digits(year, 4..=10)?;
    day_of(if negative { -year } else { year }, parse_digits(month, 2..=2)?, parse_digits(day, 2..=2)?)
}

/// A time of day: its nanoseconds.
fn parse_time(text: &str) -> Option<u64> {
    let (whole, nanos) = match text.split_once('.') {
        Some((whole, fraction)) => {
            let nanos: u32 = parse_digits(fraction, 1..=9)?;
            (whole, nanos * 10_u32.pow(9 - fraction.len() as u32))
        }
        None => (text, 0),
    };
    let mut parts = whole.split(':').map(|part| parse_digits::<u8>(part, 2..=2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() { None } else { nanos_of_day(hour, minute, second, nanos) }
}

fn parse_moment(text: &str) -> Option<Moment> {
    let (date, time) = text.split_once('T')?;
    let (days, of_day) = (parse_date(date)?, parse_time(time)?);
    Some(Moment::of_day(days, of_day))
}

/// Nanoseconds of the day; `None` for what is no time of day.
pub(super) fn nanos_of_day(hour: u8, minute: u8, second: u8, nano: u32) -> Option<u64> {
    let fits = hour < 24 && minute < 60 && second < 60 && nano < 1_000_000_000;
    let seconds = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    fits.then(|| seconds * 1_000_000_000 + u64::from(nano))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(temporal: Temporal) -> String {
        let mut out = Vec::new();
        temporal.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn moment(seconds: i64, nanos: u32, digits: u8) -> Moment {
        Moment { seconds, nanos, digits }
    }

    #[test]
    fn dates_are_those_of_java_time() {
        for (date, expected) in [
            ((1970, 1, 1), "1970-01-01"),
            ((1969, 12, 31), "1969-12-31"),
            ((2000, 2, 29), "2000-02-29"),
            ((0, 1, 1), "0000-01-01"),
            ((-1, 3, 1), "-0001-03-01"),
            ((10_000, 1, 1), "+10000-01-01"),
            ((999_999_999, 12, 31), "+999999999-12-31"),
            ((-999_999_999, 1, 1), "-999999999-01-01"),
        ] {
            let days = days(date.0, date.1, date.2).unwrap();
            assert_eq!(text(Temporal::Date(days)), expected);
            assert_eq!(civil(days), (date.0.into(), date.1, date.2));
            assert!(Temporal::Date(days).is_in_range());
        }
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(999_999_999, 12, 31), Some(*DATES.end()));
        assert_eq!(days(-999_999_999, 1, 1), Some(*DATES.start()));
        for none in [(1900, 2, 29), (2001, 2, 29), (2001, 4, 31), (2001, 0, 1), (2001, 13, 1), (2001, 1, 0)] {
            assert_eq!(days(none.0, none.1, none.2), None, "{none:?}");
        }
    }

    #[test]
    fn fractions_have_digits_in_groups_of_three() {
        let second = 1_000_000_000;
        assert_eq!(text(Temporal::Time(0, 0)), "00:00:00");
        assert_eq!(text(Temporal::Time(0, 3)), "00:00:00.000");
        assert_eq!(text(Temporal::Time(86_399 * second + 999_999_999, 0)), "23:59:59.999999999");
        assert_eq!(text(Temporal::Time(43_200 * second + 1_000, 0)), "12:00:00.000001");
        assert_eq!(text(Temporal::Instant(moment(-1, 500_000_000, 0))), "1969-12-31T23:59:59.500Z");
        assert_eq!(text(Temporal::DateTime(moment(0, 0, 0))), "1970-01-01T00:00:00");
        assert_eq!(text(Temporal::Instant(Moment::of_millis(-1, 5, 3))), "1969-12-31T23:59:59.999000005Z");
        let end = Temporal::Instant(moment(*INSTANTS.end(), 999_999_999, 0));
        assert_eq!(text(end), "+1000000000-12-31T23:59:59.999999999Z");
        let start = Temporal::Instant(moment(*INSTANTS.start(), 0, 0));
        assert_eq!(text(start), "-1000000000-01-01T00:00:00Z");
        assert_eq!(nanos_of_day(24, 0, 0, 0), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let ends =
            [*INSTANTS.start(), *INSTANTS.end(), 0, -1, 1, 951_782_400, -62_167_219_201, 1_700_000_000];
        for seconds in ends {
            for nanos in [0, 1, 1000, 999_000_000, 123_456_789] {
                let instant = Temporal::Instant(moment(seconds, nanos, 0));
                assert_eq!(Temporal::parse(&text(instant)), Some(instant));
            }
        }
        for temporal in [
            Temporal::Date(*DATES.start()),
            Temporal::Date(*DATES.end()),
            Temporal::Date(-719_529),
            Temporal::Time(0, 0),
            Temporal::Time(86_399_999_999_999, 0),
            Temporal::DateTime(moment(-1, 500_000_000, 0)),
        ] {
            assert_eq!(Temporal::parse(&text(temporal)), Some(temporal));
        }
        assert_eq!(Temporal::parse("00:00:00.5"), Some(Temporal::Time(500_000_000, 0)));
        for none in [
            "",
            "Z",
            "T",
            ":",
            "-",
            "1970-1-1",
            "1970-02-30",
            "970-01-01",
            "1970-01-01T",
            "24:00:00",
            "00:00",
            "00:00:60",
            "00:00:00.",
            "00:00:00.1234567890",
            "00:00:00:00",
            "1970-01-01 00:00:00",
            "+1000000001-01-01",
            "--1970-01-01",
            "12345678901-01-01",
            "1970-01-01T00:00:00ZZ",
            "\u{661}970-01-01",
        ] {
            assert_eq!(Temporal::parse(none), None, "{none}");
        }
    }
}
