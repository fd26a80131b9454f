//! Durations and shares as people type them.

use super::depth::Budget;
use crate::analyzers::analysis::TtlArgument;
use crate::cli::sizes;

/// `2%`, `500M`, `2GB`: a share of the SST files, or bytes; units of two letters are powers of 1000.
pub(super) fn budget(text: &str) -> Result<Budget, String> {
    if let Some(percent) = text.strip_suffix('%') {
        return share(percent).map(Budget::Share);
    }
    let wrong = || "write it as 2%, 500M or 2GB".to_owned();
    let units = [("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let units =
        units.into_iter().chain([("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40), ("", 1)]);
    let found = units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let (number, size): (&str, u64) = found.ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(size) {
        Some(0) | None => Err(wrong()),
        Some(bytes) => Ok(Budget::Bytes(bytes)),
    }
}

/// `2%`: how far an estimate may be off.
pub(super) fn error_share(text: &str) -> Result<f64, String> {
    share(text.strip_suffix('%').ok_or("write it as 2%")?)
}

/// A number of percent, more than 0 and at most 100, as a share.
fn share(percent: &str) -> Result<f64, String> {
    let percent: f64 = percent.parse().map_err(|_| "write it as 2%".to_owned())?;
    if percent > 0.0 && percent <= 100.0 {
        Ok(percent / 100.0)
    } else {
        Err("more than 0% and at most 100%".to_owned())
    }
}

/// `STATE=7d` or `*=7d`.
pub(super) fn ttl_argument(text: &str) -> Result<TtlArgument, String> {
    // Names of states may hold the sign.
    let (state, duration) = text.rsplit_once('=').ok_or("write it as STATE=7d, or *=7d for all states")?;
    let ttl_ms = sizes::duration(duration)?;
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
    fn budgets_are_shares_or_bytes() {
        assert_eq!(budget("2%"), Ok(Budget::Share(0.02)));
        assert_eq!(budget("0.5%"), Ok(Budget::Share(0.005)));
        let bytes = ["2GB", "2G", "500M", "7", "1TB"].map(|text| budget(text).unwrap());
        let expected = [2_000_000_000, 2 << 30, 500 << 20, 7, 1_000_000_000_000].map(Budget::Bytes);
        assert_eq!(bytes, expected);
        for wrong in ["", "%", "0%", "101%", "-1%", "nan%", "0", "2X", "G", "1.5G", "99999999999999999999G"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
        assert_eq!(error_share("1%"), Ok(0.01));
        assert!(error_share("0.01").is_err());
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
