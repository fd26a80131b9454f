//! SQL's values in their binary form, as `BinaryRowWriter` and `BinaryArrayWriter` lay them out: what is variable, in the order of
//! fields, each part padded with zeros to 8 bytes.

use serde_json::Value;

use super::{Encode, Encoded, Writer};
use crate::flink::value::number::twos_complement;
use crate::flink::value::sql::{Sql, SqlRow};

/// Room that a large `DECIMAL` has in any case.
const DECIMAL_BYTES: usize = 16;
/// Most digits of a `DECIMAL`.
const MOST_DIGITS: i32 = 38;

/// A row or array that is written.
struct Binary {
    bytes: Vec<u8>,
}

impl Binary {
    /// Puts bytes where a slot or a bit is.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(slot) = self.bytes.get_mut(at..at + bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    }

    /// Sets a bit, counted from the least significant one of the byte at `start`.
    fn set(&mut self, start: usize, bit: usize) {
        if let Some(byte) = self.bytes.get_mut(start + bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }

    /// Appends a part of the variable part, and puts its offset beside what stands in place of a length. `false` where
    /// 31 bits are not enough.
    fn part(&mut self, slot: usize, word: usize, part: &[u8]) -> bool {
        let offset = i32::try_from(self.bytes.len()).ok();
        let Some((offset, word)) = offset.zip(i32::try_from(word).ok()) else { return false };
        self.put(slot, &word.to_le_bytes());
        self.put(slot + 4, &offset.to_le_bytes());
        self.bytes.extend_from_slice(part);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        true
    }
}

impl Encode<'_> {
    /// A length, and a row, an array or a map.
    pub(super) fn sql_value(&mut self, sql: &Sql, json: &Value, out: &mut Vec<u8>) -> Encoded {
        let generated = self.writer == Writer::Other;
        self.sized(json, out, |encode, out| {
            out.extend_from_slice(&match sql {
                Sql::Row(row) => encode.sql_row(row, generated, json)?,
                _ => encode.sql_nested(sql, json)?,
            });
            Ok(())
        })
    }

    fn sql_nested(&mut self, sql: &Sql, json: &Value) -> Encoded<Vec<u8>> {
        match sql {
            Sql::Row(row) => self.sql_row(row, false, json),
            Sql::Array(element) => {
                let elements: Vec<_> = self.array(json)?.iter().collect();
                self.sql_array(element, &elements, "", json)
            }
            Sql::Map(key, value) => {
                let mut entries = (Vec::new(), Vec::new());
                let all = self.array(json)?;
                self.each(all, |encode, entry| {
                    encode.entry(entry).map(|(key, value)| {
                        entries.0.push(key);
                        entries.1.push(value);
                    })
                })?;
                let keys = self.sql_array(key, &entries.0, ".key", json)?;
                let length = i32::try_from(keys.len()).map_err(|_| self.too_large(json))?;
                let values = self.sql_array(value, &entries.1, ".value", json)?;
                Ok([&length.to_le_bytes(), keys.as_slice(), &values].concat())
            }
            _ => Err(self.no_encoding("a type of SQL that has no known form")),
        }
    }

    fn too_large(&self, json: &Value) -> super::EncodeError {
        self.wrong("a value of at most 2147483647 bytes", json)
    }

    /// `generated`: whether nulls have the room that generated code reserves.
    fn sql_row(&mut self, row: &SqlRow, generated: bool, json: &Value) -> Encoded<Vec<u8>> {
        let (bits, fixed) = row.fixed();
        let values = self.fields(row.fields.iter().map(|(name, _)| name), Some("$kind"), json)?;
        let mut binary = Binary { bytes: vec![0; fixed] };
        binary.put(0, &[self.row_kind(json)?]);
        for (i, ((name, sql), value)) in row.fields.iter().zip(values).enumerate() {
            let slot = bits + i * 8;
            if !value.is_null() {
                self.field(name, |encode| encode.sql_slot(sql, slot, &mut binary, value))?;
                continue;
            }
            binary.set(0, i + 8);
            let room: &[u8] = match sql {
                Sql::Decimal { precision: 19.., .. } => &[0; DECIMAL_BYTES],
                Sql::Timestamp { precision: 4.., .. } => &[0; 8],
                _ => continue,
            };
            if generated && !binary.part(slot, 0, room) {
                return Err(self.too_large(json));
            }
        }
        Ok(binary.bytes)
    }

    /// `part` says which part of each element it is, for errors.
    fn sql_array(
        &mut self,
        element: &Sql,
        elements: &[&Value],
        part: &str,
        json: &Value,
    ) -> Encoded<Vec<u8>> {
        let count = i32::try_from(elements.len()).map_err(|_| self.too_large(json))?;
        let header = 4 + elements.len().div_ceil(32) * 4;
        let fixed = (header + elements.len() * element.slot()).next_multiple_of(8);
        let mut binary = Binary { bytes: vec![0; fixed] };
        binary.put(0, &count.to_le_bytes());
        for (i, value) in elements.iter().enumerate() {
            if value.is_null() {
                binary.set(4, i);
            } else {
                let slot = header + i * element.slot();
                self.within(format_args!("[{i}]{part}"), |encode| {
                    encode.sql_slot(element, slot, &mut binary, value)
                })?;
            }
        }
        Ok(binary.bytes)
    }

    /// A value that is not null, in its slot.
    fn sql_slot(&mut self, sql: &Sql, slot: usize, binary: &mut Binary, json: &Value) -> Encoded {
        let fits = match sql {
            Sql::Boolean => {
                let mut byte = Vec::new();
                self.boolean(json, &mut byte)?;
                binary.put(slot, &byte);
                true
            }
            Sql::TinyInt => {
                binary.put(slot, &self.integer::<i8>(json)?.to_le_bytes());
                true
            }
            Sql::SmallInt => {
                binary.put(slot, &self.integer::<i16>(json)?.to_le_bytes());
                true
            }
            Sql::Int => {
                binary.put(slot, &self.integer::<i32>(json)?.to_le_bytes());
                true
            }
            Sql::BigInt => {
                binary.put(slot, &self.integer::<i64>(json)?.to_le_bytes());
                true
            }
            Sql::Float => {
                binary.put(slot, &self.float(json)?.to_le_bytes());
                true
            }
            Sql::Double => {
                binary.put(slot, &self.double(json)?.to_le_bytes());
                true
            }
            Sql::Date => {
                binary.put(slot, &self.days(json)?.to_le_bytes());
                true
            }
            Sql::Time => {
                binary.put(slot, &self.time_millis(json)?.to_le_bytes());
                true
            }
            Sql::Decimal { precision, scale } => match self.sql_unscaled(*precision, *scale, json)? {
                Unscaled::Small(unscaled) => {
                    binary.put(slot, &unscaled.to_le_bytes());
                    true
                }
                Unscaled::Large(bytes) => {
                    let length = bytes.len();
                    let mut padded = bytes;
                    padded.resize(DECIMAL_BYTES, 0);
                    binary.part(slot, length, &padded)
                }
            },
            Sql::Timestamp { precision, zoned } => {
                let (millis, nanos) = self.sql_moment(*precision, *zoned, json)?;
                if *precision <= 3 {
                    binary.put(slot, &millis.to_le_bytes());
                    true
                } else {
                    binary.part(slot, nanos as usize, &millis.to_le_bytes())
                }
            }
            Sql::Text => sql_bytes(binary, slot, self.text(json)?.as_bytes()),
            Sql::Bytes => sql_bytes(binary, slot, &self.hex(json)?),
            Sql::Array(_) | Sql::Map(..) | Sql::Row(_) => {
                let nested = self.sql_nested(sql, json)?;
                binary.part(slot, nested.len(), &nested)
            }
            Sql::Raw { inner: Some(inner), .. } => {
                let mut raw = Vec::new();
                self.node(*inner, json, &mut raw)?;
                binary.part(slot, raw.len(), &raw)
            }
            Sql::Variant => {
                let [value, metadata] = self.variant(json)?;
                let length = i32::try_from(value.len()).map_err(|_| self.too_large(json))?;
                let part = [&length.to_le_bytes(), value.as_slice(), &metadata].concat();
                binary.part(slot, part.len(), &part)
            }
            Sql::Null => return Err(self.wrong("null", json)),
            Sql::Raw { inner: None, .. } | Sql::Unknown => {
                return Err(self.no_encoding("a type of SQL that has no known form"));
            }
        };
        if fits { Ok(()) } else { Err(self.too_large(json)) }
    }

    /// A `DECIMAL` without its point.
    fn sql_unscaled(&self, precision: i32, scale: i32, json: &Value) -> Encoded<Unscaled> {
        let (negative, digits, _) = self.decimal(json, Some(scale))?;
        let most = usize::try_from(precision).ok().filter(|_| (1..=MOST_DIGITS).contains(&precision));
        if most.is_none_or(|most| digits.len() > most) {
            return Err(self.wrong(format!("a number of at most {precision} digits"), json));
        }
        if precision > 18 {
            return Ok(Unscaled::Large(twos_complement(negative, &digits)));
        }
        // 18 digits have room in 64 bits.
        let magnitude = digits.parse().unwrap_or(0_i64);
        Ok(Unscaled::Small(if negative { -magnitude } else { magnitude }))
    }

    /// `DecimalDataSerializer`: i64 unscaled, or i32 n and n bytes.
    pub(super) fn sql_decimal(
        &mut self,
        precision: i32,
        scale: i32,
        json: &Value,
        out: &mut Vec<u8>,
    ) -> Encoded {
        match self.sql_unscaled(precision, scale, json)? {
            Unscaled::Small(unscaled) => out.extend_from_slice(&unscaled.to_be_bytes()),
            Unscaled::Large(bytes) => {
                self.count(bytes.len(), json, out)?;
                out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// ms since 1970, and nanoseconds of the ms, none up to a precision of 3.
    fn sql_moment(&self, precision: i64, zoned: bool, json: &Value) -> Encoded<(i64, u32)> {
        let moment = if zoned { self.moment(json) } else { self.date_time(json) }?;
        let fits = moment.millis().filter(|(_, nanos)| precision > 3 || *nanos == 0);
        fits.ok_or_else(|| self.wrong("a time whose milliseconds since 1970 have 64 bits, and no nanoseconds up to a precision of 3", json))
    }

    /// `TimestampDataSerializer`: i64 ms, and from precision 4 on i32 nanoseconds of the ms.
    pub(super) fn sql_timestamp(
        &mut self,
        precision: i32,
        zoned: bool,
        json: &Value,
        out: &mut Vec<u8>,
    ) -> Encoded {
        let (millis, nanos) = self.sql_moment(precision.into(), zoned, json)?;
        out.extend_from_slice(&millis.to_be_bytes());
        if precision > 3 {
            out.extend_from_slice(&nanos.to_be_bytes());
        }
        Ok(())
    }
}

/// A `DECIMAL` without its point.
enum Unscaled {
    Small(i64),
    Large(Vec<u8>),
}

/// Bytes: up to 7 of them in the slot itself, whose last byte is 0x80 + length.
fn sql_bytes(binary: &mut Binary, slot: usize, bytes: &[u8]) -> bool {
    if bytes.len() > 7 {
        return binary.part(slot, bytes.len(), bytes);
    }
    binary.put(slot, bytes);
    binary.put(slot + 7, &[0x80 | bytes.len() as u8]);
    true
}
