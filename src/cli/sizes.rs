//! Sizes as people type them.

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
}
