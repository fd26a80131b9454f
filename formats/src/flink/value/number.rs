//! Numbers of any size, in decimal.

/// Longer numbers are not written in decimal, which takes time that grows with the square of the length.
pub(super) const LONGEST: usize = 8 << 10;

/// Digits behind the point that are written out; with more, a number that is small is written with an exponent.
const MOST_ZEROS: i32 = 1000;

/// `BigInteger`, `BigDecimal` or `DECIMAL`: the unscaled number, divided by 10 to the power of the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// The number without its point.
    pub unscaled: Unscaled<'a>,
    /// Digits behind the point; zeros behind the number where it is negative.
    pub scale: i32,
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unscaled<'a> {
    /// One of 64 bits.
    Small(i64),
    /// Two's complement, big-endian; no bytes are 0.
    Bytes(&'a [u8]),
}

impl Unscaled<'_> {
    /// Digits with a sign, if it needs no more than 128 bits.
    #[must_use]
    pub fn small(&self) -> Option<i128> {
        match *self {
            Self::Small(n) => Some(n.into()),
            Self::Bytes(bytes) if bytes.len() <= 16 => {
                let sign = bytes.first().map_or(0, |first| i128::from(*first as i8 >> 7));
                Some(bytes.iter().fold(sign, |n, &byte| n << 8 | i128::from(byte)))
            }
            Self::Bytes(_) => None,
        }
    }

    /// The digits, and whether it is negative.
    fn digits(&self, out: &mut Vec<u8>) -> bool {
        if let Some(n) = self.small() {
            out.extend_from_slice(itoa::Buffer::new().format(n.unsigned_abs()).as_bytes());
            return n < 0;
        }
        let Self::Bytes(bytes) = *self else { return false };
        let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let flip = if negative { 0xff } else { 0 };
        // Least significant limb first.
        let mut limbs: Vec<u64> = bytes
            .rchunks(4)
            .map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(byte ^ flip)))
            .collect();
        if negative {
            // The top limb may have less than 32 bits, but what is flipped is below that: a carry fits.
            for limb in &mut limbs {
                *limb += 1;
                if *limb >> 32 == 0 {
                    break;
                }
                *limb = 0;
            }
        }
        let mut groups = Vec::new();
        while !limbs.is_empty() {
            let mut rest = 0;
            for limb in limbs.iter_mut().rev() {
                let n = rest << 32 | *limb;
                *limb = n / 1_000_000_000;
                rest = n % 1_000_000_000;
            }
            groups.push(rest);
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
        }
        let start = out.len();
        for group in groups.iter().rev() {
            let mut buffer = itoa::Buffer::new();
            let text = buffer.format(*group);
            if out.len() > start {
                out.extend(std::iter::repeat_n(b'0', 9 - text.len()));
            }
            out.extend_from_slice(text.as_bytes());
        }
        negative
    }
}

impl Decimal<'_> {
    /// Writes it exactly: `123`, `1.230`, or as `BigDecimal.toString` does with an exponent (`1.23E+7`) where the scale is negative
    /// or large.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let negative = self.unscaled.digits(out);
        let digits = (out.len() - start) as i64;
        let scale = i64::from(self.scale);
        let exponent = digits - 1 - scale;
        if (0..=MOST_ZEROS).contains(&self.scale) || (self.scale > 0 && exponent >= -6) {
            if scale > 0 {
                let zeros = (scale + 1 - digits).max(0) as usize;
                out.splice(start..start, std::iter::repeat_n(b'0', zeros));
                out.insert(out.len() - scale as usize, b'.');
            }
        } else {
            if digits > 1 {
                out.insert(start + 1, b'.');
            }
            if exponent != 0 {
                out.push(b'E');
                if exponent > 0 {
                    out.push(b'+');
                }
                out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
            }
        }
        if negative {
            out.insert(start, b'-');
        }
    }
}

/// A whole number as [`Unscaled::Bytes`] has it, in as few bytes as it needs: as `BigInteger.toByteArray` does. `digits` are decimal.
pub(super) fn twos_complement(negative: bool, digits: &str) -> Vec<u8> {
    // Least significant limb first.
    let mut limbs: Vec<u32> = Vec::new();
    for group in digits.as_bytes().chunks(9) {
        let digit = |byte: &u8| u64::from(byte.wrapping_sub(b'0'));
        let (mut carry, scale) =
            group.iter().fold((0, 1), |(n, scale), byte| (n * 10 + digit(byte), scale * 10));
        for limb in &mut limbs {
            let wide = u64::from(*limb) * scale + carry;
            *limb = wide as u32;
            carry = wide >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let mut bytes = vec![0];
    bytes.extend(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()));
    let sign = if negative { 0xff } else { 0 };
    let mut carry = negative;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (*byte ^ sign).overflowing_add(u8::from(carry));
    }
    let redundant =
        |pair: &&[u8]| matches!(pair, [first, next] if *first == sign && (next ^ sign) & 0x80 == 0);
    let redundant = bytes.windows(2).take_while(redundant).count();
    bytes.drain(..redundant);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unscaled: Unscaled<'_>, scale: i32) -> String {
        let mut out = Vec::new();
        Decimal { unscaled, scale }.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_point_stands_where_the_scale_says() {
        let small = Unscaled::Small;
        assert_eq!(text(small(0), 0), "0");
        assert_eq!(text(small(12345), 2), "123.45");
        assert_eq!(text(small(-5), 3), "-0.005");
        assert_eq!(text(small(0), 2), "0.00");
        assert_eq!(text(small(123), -7), "1.23E+9");
        assert_eq!(text(small(-1), -100), "-1E+100");
        assert_eq!(text(small(5), 1001), "5E-1001");
        assert_eq!(text(small(i64::MIN), 0), "-9223372036854775808");
        assert_eq!(text(small(1), i32::MIN), "1E+2147483648");
    }

    #[test]
    fn numbers_of_any_length_are_exact() {
        let bytes = |bytes: &[u8]| text(Unscaled::Bytes(bytes), 0);
        assert_eq!(bytes(&[]), "0");
        assert_eq!(bytes(&[0xff]), "-1");
        assert_eq!(bytes(&[0x80]), "-128");
        assert_eq!(bytes(&[0x80; 1]), "-128");
        let power = |n: usize| [&[1][..], &vec![0; n]].concat();
        assert_eq!(bytes(&power(16)), "340282366920938463463374607431768211456");
        assert_eq!(bytes(&power(17)), "87112285931760246646623899502532662132736");
        let negative = [&[0xff][..], &[0; 17]].concat();
        assert_eq!(bytes(&negative), "-87112285931760246646623899502532662132736");
        let minimum = [&[0x80][..], &[0; 16]].concat();
        assert_eq!(bytes(&minimum), "-43556142965880123323311949751266331066368");
        assert_eq!(bytes(&[&[0; 20][..], &[5]].concat()), "5");
        assert_eq!(bytes(&[0; 20]), "0");
        assert_eq!(bytes(&[0xff; 20]), "-1");
    }

    #[test]
    fn digits_become_as_few_bytes_as_they_need() {
        for (negative, digits, expected) in [
            (false, "", &[0][..]),
            (false, "0", &[0]),
            (false, "127", &[0x7f]),
            (false, "128", &[0, 0x80]),
            (true, "1", &[0xff]),
            (true, "128", &[0x80]),
            (true, "129", &[0xff, 0x7f]),
            (true, "256", &[0xff, 0]),
            (false, "4294967296", &[1, 0, 0, 0, 0]),
            (true, "4294967296", &[0xff, 0, 0, 0, 0]),
        ] {
            let bytes = twos_complement(negative, digits);
            assert_eq!(bytes, expected, "{digits}");
            let sign = if negative { "-" } else { "" };
            let digits = if digits.is_empty() { "0" } else { digits };
            assert_eq!(text(Unscaled::Bytes(&bytes), 0), format!("{sign}{digits}"));
        }
    }
}
