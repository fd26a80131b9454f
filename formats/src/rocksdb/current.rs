//! `CURRENT`: the name of the MANIFEST that is in force (`file/filename.cc`, `SetCurrentFile`).
//!
//! ```text
//! MANIFEST-000004\n
//! ```

use crate::error::{Error, Result};

/// What a CURRENT file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current<'a> {
    /// The file's name, such as `MANIFEST-000004`.
    pub manifest: &'a str,
    /// Its number.
    pub number: u64,
}

impl<'a> Current<'a> {
    /// Decodes a CURRENT file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`]: RocksDB, too, refuses a file that does not end with a newline,
    /// since it may be half written.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let invalid = |rule| {
            let shown = bytes.get(..64).unwrap_or(bytes).escape_ascii();
            Error::invalid(rule, format!("\"{shown}\" ({} bytes)", bytes.len()), 0)
        };
        let Some((b'\n', name)) = bytes.split_last() else {
            return Err(invalid("CURRENT ends with a newline"));
        };
        let rule = "CURRENT holds MANIFEST-, a number and a newline";
        let manifest = std::str::from_utf8(name).map_err(|_| invalid(rule))?;
        let digits = manifest.strip_prefix("MANIFEST-").ok_or_else(|| invalid(rule))?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid(rule));
        }
        let number = digits.parse().map_err(|_| invalid(rule))?;
        Ok(Self { manifest, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_newline() {
        let current = Current::decode(b"MANIFEST-000004\n").unwrap();
        assert_eq!(current, Current { manifest: "MANIFEST-000004", number: 4 });
        assert_eq!(Current::decode(b"MANIFEST-12345678\n").unwrap().number, 12_345_678);
    }

    #[test]
    fn anything_else_is_refused() {
        let bad: [&[u8]; 8] = [
            b"",
            b"\n",
            b"MANIFEST-000004",
            b"MANIFEST-\n",
            b"MANIFEST-+4\n",
            b"manifest-4\n",
            b"MANIFEST-000004\n\n",
            b"MANIFEST-99999999999999999999\n",
        ];
        for bytes in bad {
            assert!(Current::decode(bytes).is_err(), "{bytes:?}");
        }
        assert!(Current::decode(&[0xff, b'\n']).is_err());
    }
}
