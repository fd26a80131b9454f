//! Figures in units that people read.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes with a binary unit and three significant digits: `12.3 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = n as f64;
    let mut unit = "B";
    for next in UNITS {
        // What would round up to four digits belongs to the next unit.
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match value {
        v if v < 9.995 => format!("{v:.2} {unit}"),
        v if v < 99.95 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

/// A count with thin groups of three digits: `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 file`, `2 files`.
#[must_use]
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A part of a whole in percent: `12.3 %`. Nothing of nothing is a dash.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if part > 0 && p < 0.05 => "<0.1 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

/// A count of three significant digits: `35.4 M`.
#[must_use]
pub fn short(n: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let (mut value, mut unit) = (n as f64, "");
    for next in [" k", " M", " G", " T", " P", " E"] {
        // What would round up to four digits belongs to the next unit.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    match value {
        v if unit.is_empty() => format!("{v:.0}"),
        v if v < 9.995 => format!("{v:.2}{unit}"),
        v if v < 99.95 => format!("{v:.1}{unit}"),
        v => format!("{v:.0}{unit}"),
    }
}

/// A fraction of 1 in percent without decimals: `12 %`. Neither does something round to nothing, nor nearly all to all.
#[must_use]
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 0.0 && p <= 0.5 => "<1 %".to_owned(),
        p if (99.5..100.0).contains(&p) => ">99 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// A duration in milliseconds, in the largest unit that it is a whole number of: `7 d`, `36 h`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    match units.into_iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", count(ms / unit)),
        None => format!("{} ms", count(ms)),
    }
}

/// A time in milliseconds since 1970, in UTC to the second.
#[must_use]
pub fn time(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{ms} ms since 1970"),
    }
}

/// How long ago a time is, in its largest two units: `3 d 4 h`.
#[must_use]
pub fn age(ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(ms) / 1000;
    if seconds < 0 {
        return "in the future".to_owned();
    }
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_a_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_230, "9.99 KiB"),
            (10_239, "10.0 KiB"),
            (1_023_488, "0.98 MiB"),
            (1 << 20, "1.00 MiB"),
            (123 << 30, "123 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (n, text) in cases {
            assert_eq!(bytes(n), text, "{n}");
        }
    }

    #[test]
    fn counts_have_groups() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "file", "files"), "1 file");
    }

    #[test]
    fn shares_never_round_something_to_nothing() {
        assert_eq!(
            [share(0, 0), share(0, 5), share(1, 100_000), share(1, 3), share(5, 5)],
            ["–", "0.0 %", "<0.1 %", "33.3 %", "100.0 %"]
        );
    }

    #[test]
    fn short_counts_have_three_digits() {
        let all = [0, 7, 999, 1000, 9_995, 12_345, 99_950, 999_499, 999_500, 35_400_000].map(short);
        let expected = ["0", "7", "999", "1.00 k", "10.0 k", "12.3 k", "100 k", "999 k", "1.00 M", "35.4 M"];
        assert_eq!(all, expected);
        assert_eq!(short(u64::MAX), "18.4 E");
    }

    #[test]
    fn percents_say_something_and_not_all() {
        let all = [0.0, 0.000_001, 0.005, 0.126, 0.994, 0.996, 1.0].map(percent);
        assert_eq!(all, ["0 %", "<1 %", "<1 %", "13 %", "99 %", ">99 %", "100 %"]);
    }

    #[test]
    fn durations_have_one_unit() {
        let all = [0, 999, 1000, 90_000, 3_600_000, 129_600_000, 604_800_000].map(duration);
        assert_eq!(all, ["0 ms", "999 ms", "1 s", "90 s", "1 h", "36 h", "7 d"]);
    }

    #[test]
    fn times_are_utc_and_ages_have_two_units() {
        assert_eq!(time(1_795_369_127_216), "2026-11-22 17:38:47 UTC");
        assert_eq!(time(i64::MAX), format!("{} ms since 1970", i64::MAX));
        assert_eq!(
            [age(0, 59_000), age(0, 3_600_000), age(0, 90_000_000), age(5000, 0)],
            ["59 s", "1 h 0 min", "1 d 1 h", "in the future"]
        );
    }
}
