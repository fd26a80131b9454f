//! Durations and sizes as people type them.

use crate::analyzers::analysis::TtlArgument;

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
fn duration_ms(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(number)? {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|ms| *ms > 0)
}

/// `STATE=7d` or `*=7d`.
pub(super) fn ttl_argument(text: &str) -> Result<TtlArgument, String> {
    // Names of states may hold the sign.
    let (state, duration) = text.rsplit_once('=').ok_or("write it as STATE=7d, or *=7d for all states")?;
    let ttl_ms = duration_ms(duration)
        .ok_or_else(|| format!("{duration:?} is no duration: write it as 90s, 15m, 6h or 7d"))?;
    match state {
        "" => Err("write the name of a state before the =, or * for all".to_owned()),
        "*" => Ok(TtlArgument { state: None, ttl_ms }),
        name => Ok(TtlArgument { state: Some(name.to_owned()), ttl_ms }),
    }
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
        let good = ["90s", "15m", "6h", "7d"].map(|text| duration_ms(text).unwrap());
        assert_eq!(good, [90_000, 900_000, 21_600_000, 604_800_000]);
        for wrong in ["", "7", "d", "0d", "-1d", "1w", "1D", "7dd", "99999999999999999d", "é"] {
            assert_eq!(duration_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_ttl_names_its_state() {
        let of = |state: Option<&str>, ttl_ms| TtlArgument { state: state.map(str::to_owned), ttl_ms };
        assert_eq!(ttl_argument("*=1s"), Ok(of(None, 1000)));
        assert_eq!(ttl_argument("a=b=2s"), Ok(of(Some("a=b"), 2000)));
        for (wrong, says) in [("7d", "STATE=7d"), ("=7d", "name"), ("s=7", "no duration"), ("", "STATE=7d")] {
            assert!(ttl_argument(wrong).unwrap_err().contains(says), "{wrong}");
        }
    }
}
