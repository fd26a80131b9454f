//! Sizes and durations as people type them.

/// `256M`, `1G`, `65536`: bytes, with K, M and G for powers of 1024.
pub(super) fn byte_size(text: &str) -> Result<u64, String> {
    const SMALLEST: u64 = 1 << 20;
    let number = text.strip_suffix(['K', 'M', 'G']).unwrap_or(text);
    let shift = match text.strip_prefix(number) {
        Some("K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        _ => 0,
    };
    let number: u64 = number.parse().map_err(|_| "write it as 256M or 1G".to_owned())?;
    let size = number.checked_mul(1 << shift).ok_or("that is more than any machine has")?;
    if size < SMALLEST { Err("at least 1M is needed".to_owned()) } else { Ok(size) }
}

/// `7d`, `6h`, `15m`, `90s` in milliseconds.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(number) {
        Some("s") => Some(1000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        Some("d") => Some(86_400_000),
        _ => None,
    };
    let ms = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit)).filter(|ms| *ms > 0);
    ms.ok_or_else(|| format!("{text:?} is no duration: write it as 90s, 15m, 6h or 7d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let good = ["256M", "1G", "2097152", "1024K"].map(|text| byte_size(text).unwrap());
        assert_eq!(good, [256 << 20, 1 << 30, 2 << 20, 1 << 20]);
        for wrong in ["", "M", "256MB", "-1M", "1.5G", "1T", "18446744073709551615G", "1023K", "0"] {
            assert!(byte_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        let good = ["90s", "15m", "6h", "7d"].map(|text| duration(text).unwrap());
        assert_eq!(good, [90_000, 900_000, 21_600_000, 604_800_000]);
        for wrong in ["", "7", "d", "0d", "-1d", "1w", "1D", "7dd", "99999999999999999d", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
