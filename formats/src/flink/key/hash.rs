//! The key group that Flink assigns a key to, from the key's bytes.
//!
//! ```text
//! key group   murmur(hashCode() of the key) mod maximum parallelism
//! ```
//!
//! A [`KeyHash`] goes over the bytes of a key and computes what `hashCode()` gives for the object that they stand for, where its class says how:
//! Java's for primitives, strings, numbers of any size, dates and times, `List`, `Set`, `Map` and `UUID`; Flink's for its values, tuples, `Row`, `Either`, time
//! windows and SQL's internal types. Enums and arrays hash by identity, so that no key has the same hash twice; what a job's classes do (POJOs, case
//! classes, Avro, most of Kryo) is theirs. These have no hash here.
//!
//! SQL's rows are taken to be `BinaryRowData`, as all keys of SQL's operators are.
//!
//! # `Row`
//!
//! `Row.hashCode()` goes into arrays, lists and maps, where all others hash what they hold by its own hash, and adds 31 to the hash of each other
//! part, rows included (`RowUtils.deepHashCodeRow` of Flink 1.13 and later). A row that was made by names (`Row.withNames()`) has the bytes of one by positions, but another
//! hash, and releases before 1.13 had others. The one by positions is taken, and [`KeyHash::is_certain`] is `false`.
//!
//! Sources: `KeyGroupRangeAssignment`, `MathUtils`, `RowUtils`, `Tuple2`, `TimeWindow`, `BinaryRowData`, `BinaryStringData`, `DecimalData`,
//! `TimestampData`, `MurmurHashUtils` of Flink 1.13, 1.20 and 2.3; the classes of `java.lang`, `java.math`, `java.time` and `java.util` of JDK 17.

use serde_json::Value;

use crate::flink::serializer::{Basic, Edge, Kind, SerializerSnapshot};
use crate::flink::value::{JsonLimits, JsonSink, KryoVersion, ValueDecoder};
use crate::flink::walk::Walked;
use crate::flink::walk::read::{
    Mask, Rule, big_integer, byte, count, flag, int, sized, skip, string_length, varint,
};

/// Computes the hash of keys of a serializer. Compiled once; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct KeyHash {
    plan: Plan,
    certain: bool,
}

/// How to hash what stands at a place, and where it ends.
#[derive(Debug)]
enum Plan {
    Basic(Basic),
    /// A length and SQL's binary form.
    SqlRow,
    Decimal {
        compact: bool,
        scale: i32,
    },
    Timestamp {
        compact: bool,
    },
    Tuple(Vec<Plan>),
    /// A null mask, in front of it perhaps the kind, and the fields that are not null.
    Row {
        kind: bool,
        fields: Vec<Plan>,
    },
    List(Box<Plan>),
    /// Each element has a flag that says whether it is null.
    Set(Box<Plan>),
    /// Each element has a flag that says whether it is there.
    Array(Box<Plan>),
    Map(Box<Plan>, Box<Plan>),
    Either {
        left: Box<Plan>,
        right: Box<Plan>,
    },
    /// A flag that says whether it is null; then so many bytes stand there.
    Nullable {
        padding: usize,
        wrapped: Box<Plan>,
    },
    Kryo(Class, Box<ValueDecoder>),
    /// Nothing says how.
    Unknown,
}

/// A class that Kryo writes, and that has no subclasses.
#[derive(Debug, Clone, Copy)]
enum Class {
    Boolean,
    /// `Byte`, `Short`, `Integer`.
    Integer,
    Long,
    String,
    Uuid,
    YearMonth,
}

impl Class {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "java.lang.Boolean" => Self::Boolean,
            "java.lang.Byte" | "java.lang.Short" | "java.lang.Integer" => Self::Integer,
            "java.lang.Long" => Self::Long,
            "java.lang.String" => Self::String,
            "java.util.UUID" => Self::Uuid,
            "java.time.YearMonth" => Self::YearMonth,
            _ => return None,
        })
    }

    /// Of a value as JSON has it.
    fn hash(self, json: &Value) -> Option<i32> {
        Some(match self {
            Self::Boolean => of_boolean(json.as_bool()?),
            Self::Integer => i32::try_from(json.as_i64()?).ok()?,
            Self::Long => of_long(json.as_i64()?),
            Self::String => json.as_str()?.encode_utf16().fold(0, of_unit),
            Self::Uuid => {
                let digits: String = json.as_str()?.split('-').collect();
                let bits = u128::from_str_radix(&digits, 16).ok()?;
                of_long(((bits >> 64) as u64 ^ bits as u64).cast_signed())
            }
            Self::YearMonth => {
                let (year, month) = json.as_str()?.rsplit_once('-')?;
                year.parse::<i32>().ok()? ^ month.parse::<i32>().ok()? << 27
            }
        })
    }
}

/// The key group of a key with this hash, or 0 if there are none (`KeyGroupRangeAssignment.computeKeyGroupForKeyHash`).
#[must_use]
pub fn key_group(hash: i32, max_parallelism: u32) -> u32 {
    // `MathUtils.murmurHash`: of four bytes, without a seed.
    let mixed = mix(0, hash.cast_unsigned());
    let mixed = finish(mixed, 4).cast_signed();
    mixed.checked_abs().unwrap_or(0).cast_unsigned().checked_rem(max_parallelism).unwrap_or(0)
}

impl KeyHash {
    /// Compiles the serializer of keys. Snapshots do not say which Kryo wrote their values.
    #[must_use]
    pub fn compile(snapshot: &SerializerSnapshot, kryo: KryoVersion) -> Self {
        let mut compiler = Compiler { kryo, certain: true };
        let plan = compiler.plan(snapshot);
        Self { plan, certain: compiler.certain }
    }

    /// What `hashCode()` of a key gives; `None` where its bytes do not tell, or are no key.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> Option<i32> {
        let (hash, end) = Hasher { bytes: key }.value(&self.plan, 0, false)?;
        // There are no keys that are null.
        if end == key.len() { hash } else { None }
    }

    /// Whether no key with the same bytes has another hash. Where this is `false`, a key that is not found in its key group may be
    /// in any other.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.certain
    }
}

struct Compiler {
    kryo: KryoVersion,
    certain: bool,
}

impl Compiler {
    fn part(&mut self, node: &SerializerSnapshot, edge: &Edge) -> Box<Plan> {
        Box::new(node.part(edge).map_or(Plan::Unknown, |part| self.plan(part)))
    }

    /// All parts, if it is known that these are all.
    fn parts(&mut self, node: &SerializerSnapshot) -> Option<Vec<Plan>> {
        node.length?;
        Some(node.children().map(|(_, part)| self.plan(part)).collect())
    }

    fn plan(&mut self, node: &SerializerSnapshot) -> Plan {
        match &node.kind {
            Kind::Basic(basic) => Plan::Basic(*basic),
            Kind::List => Plan::List(self.part(node, &Edge::Element)),
            Kind::Set => Plan::Set(self.part(node, &Edge::Element)),
            Kind::GenericArray { .. } => Plan::Array(self.part(node, &Edge::Component)),
            Kind::Map | Kind::SortedMap { .. } => {
                Plan::Map(self.part(node, &Edge::Key), self.part(node, &Edge::Value))
            }
            Kind::Either => {
                Plan::Either { left: self.part(node, &Edge::Left), right: self.part(node, &Edge::Right) }
            }
            Kind::Tuple { .. } => self.parts(node).map_or(Plan::Unknown, Plan::Tuple),
            Kind::Row { supports_row_kind } => {
                self.certain = false;
                let fields = self.parts(node);
                fields.map_or(Plan::Unknown, |fields| Plan::Row { kind: *supports_row_kind, fields })
            }
            Kind::Nullable { padding } => match usize::try_from(*padding) {
                Ok(padding) => Plan::Nullable { padding, wrapped: self.part(node, &Edge::Wrapped) },
                Err(_) => Plan::Unknown,
            },
            Kind::Transparent | Kind::TtlAware { .. } => *self.part(node, &Edge::Wrapped),
            Kind::RowData { python: false, .. } | Kind::BinaryRowData { .. } => Plan::SqlRow,
            Kind::DecimalData { precision, scale, python: false } => {
                Plan::Decimal { compact: *precision <= 18, scale: *scale }
            }
            Kind::TimestampData { precision, python: false } => Plan::Timestamp { compact: *precision <= 3 },
            Kind::Kryo { class, .. } => match Class::of(class) {
                Some(class) => Plan::Kryo(class, Box::new(ValueDecoder::compile(node, self.kryo))),
                None => Plan::Unknown,
            },
            _ => Plan::Unknown,
        }
    }
}

/// A hash, or `None` for null, and where what has it ends.
type Hashed = Option<(Option<i32>, usize)>;

struct Hasher<'k> {
    bytes: &'k [u8],
}

impl Hasher<'_> {
    /// `deep`: as `Row` hashes its parts.
    fn value(&self, plan: &Plan, pos: usize, deep: bool) -> Hashed {
        // What `Row` does not go into, it hashes as the only element of an array.
        let leaf = |(hash, end): (Option<i32>, usize)| {
            (hash.map(|hash: i32| if deep { hash.wrapping_add(31) } else { hash }), end)
        };
        match plan {
            Plan::Basic(basic) => match elements_of(*basic) {
                Some(Basic::String) if deep => {
                    self.sequence(pos, |pos| self.value(&Plan::Basic(Basic::String), pos, true))
                }
                Some(element) if deep => self.sequence(pos, |pos| self.basic(element, pos)).map(leaf),
                Some(_) => None,
                None => self.basic(*basic, pos).map(leaf),
            },
            Plan::SqlRow => {
                let end = sized(self.bytes, pos, 1).ok()?;
                let row = self.bytes.get(pos + 4..end).filter(|row| row.len().is_multiple_of(4))?;
                Some(leaf((Some(of_bytes(row)), end)))
            }
            Plan::Decimal { compact, scale } => {
                let (digits, end) = if *compact {
                    (self.fixed::<8>(pos)?.to_vec(), pos + 8)
                } else {
                    let end = sized(self.bytes, pos, 1).ok()?;
                    (self.bytes.get(pos + 4..end)?.to_vec(), end)
                };
                Some(leaf((Some(of_decimal(of_big_integer(&digits), *scale)), end)))
            }
            Plan::Timestamp { compact } => {
                let (nanos, end) =
                    if *compact { (0, pos + 8) } else { (int(self.bytes, pos + 8).ok()?, pos + 12) };
                Some(leaf((Some(of_long(self.long(pos)?).wrapping_mul(31).wrapping_add(nanos)), end)))
            }
            Plan::Tuple(fields) => {
                let (mut hash, mut pos) = (0_i32, pos);
                for field in fields {
                    let (its, end) = self.value(field, pos, false)?;
                    (hash, pos) = (hash.wrapping_mul(31).wrapping_add(its.unwrap_or(0)), end);
                }
                Some(leaf((Some(hash), pos)))
            }
            Plan::Row { kind, fields } => self.row(*kind, fields, pos).map(leaf),
            Plan::List(element) => self.sequence(pos, |pos| self.value(element, pos, deep)),
            Plan::Array(element) if deep => self.sequence(pos, |pos| {
                if flag(self.bytes, pos).ok()? {
                    self.value(element, pos + 1, true)
                } else {
                    Some((None, pos + 1))
                }
            }),
            Plan::Array(_) => None,
            Plan::Set(element) => self.sum(pos, 0, |pos| self.nullable(element, 0, pos, false)).map(leaf),
            Plan::Map(key, value) => self.sum(pos, i32::from(deep), |pos| {
                let (key, pos) = self.value(key, pos, deep)?;
                let (value, end) = self.nullable(value, 0, pos, deep)?;
                Some((Some(key.unwrap_or(0) ^ value.unwrap_or(0)), end))
            }),
            Plan::Either { left, right } => {
                let side = if flag(self.bytes, pos).ok()? { left } else { right };
                self.value(side, pos + 1, false).map(leaf)
            }
            Plan::Nullable { padding, wrapped } => self.nullable(wrapped, *padding, pos, deep),
            Plan::Kryo(class, decoder) => self.kryo(*class, decoder, pos).map(leaf),
            Plan::Unknown => None,
        }
    }

    fn nullable(&self, wrapped: &Plan, padding: usize, pos: usize, deep: bool) -> Hashed {
        if flag(self.bytes, pos).ok()? {
            Some((None, skip(self.bytes, pos + 1, padding).ok()?))
        } else {
            self.value(wrapped, pos + 1, deep)
        }
    }

    fn row(&self, kind: bool, fields: &[Plan], pos: usize) -> Hashed {
        let lead = if kind { 2 } else { 0 };
        let mask = Mask::read(self.bytes, pos, lead + fields.len()).ok()?;
        // The lower bit of the kind stands first.
        let kind = if kind { i32::from(mask.is_null(0)) | i32::from(mask.is_null(1)) << 1 } else { 0 };
        let (mut hash, mut pos) = (1_i32, mask.end);
        for (i, field) in fields.iter().enumerate() {
            let (its, end) = if mask.is_null(lead + i) { (None, pos) } else { self.value(field, pos, true)? };
            (hash, pos) = (hash.wrapping_mul(31).wrapping_add(its.unwrap_or(0)), end);
        }
        Some((Some(kind.wrapping_mul(31).wrapping_add(hash)), pos))
    }

    /// i32 n, n elements: as `List.hashCode()` and `Arrays.hashCode()` have it.
    fn sequence(&self, pos: usize, each: impl Fn(usize) -> Hashed) -> Hashed {
        self.fold(pos, 1, |hash, its| hash.wrapping_mul(31).wrapping_add(its), each)
    }

    /// i32 n, n elements: the sum of their hashes.
    fn sum(&self, pos: usize, start: i32, each: impl Fn(usize) -> Hashed) -> Hashed {
        self.fold(pos, start, i32::wrapping_add, each)
    }

    fn fold(
        &self,
        pos: usize,
        start: i32,
        with: impl Fn(i32, i32) -> i32,
        each: impl Fn(usize) -> Hashed,
    ) -> Hashed {
        // Elements that have no bytes have no hash either.
        let n = count(self.bytes, pos, 1).ok()?;
        let (mut hash, mut pos) = (start, pos + 4);
        for _ in 0..n {
            let (its, end) = each(pos)?;
            (hash, pos) = (with(hash, its.unwrap_or(0)), end);
        }
        Some((Some(hash), pos))
    }

    fn kryo(&self, class: Class, decoder: &ValueDecoder, pos: usize) -> Hashed {
        let mut json = Vec::new();
        let mut sink = JsonSink::new(&mut json, JsonLimits::default());
        let decoded = decoder.decode(self.bytes.get(pos..)?, &mut sink);
        sink.finish();
        let Walked::End(length) = decoded.walked else { return None };
        let json = serde_json::from_slice(&json).ok().filter(|_| decoded.opaque == 0)?;
        let hash = if json == Value::Null { None } else { Some(class.hash(&json)?) };
        Some((hash, pos + length))
    }

    fn fixed<const N: usize>(&self, pos: usize) -> Option<[u8; N]> {
        self.bytes.get(pos..)?.first_chunk().copied()
    }

    fn long(&self, pos: usize) -> Option<i64> {
        Some(i64::from_be_bytes(self.fixed(pos)?))
    }

    fn basic(&self, basic: Basic, pos: usize) -> Hashed {
        let (hash, end) = match basic {
            Basic::Boolean => (of_boolean(byte(self.bytes, pos).ok()? != 0), pos + 1),
            Basic::BooleanValue => (i32::from(byte(self.bytes, pos).ok()? != 0), pos + 1),
            Basic::Byte | Basic::ByteValue => (byte(self.bytes, pos).ok()?.cast_signed().into(), pos + 1),
            Basic::Short | Basic::ShortValue => (i16::from_be_bytes(self.fixed(pos)?).into(), pos + 2),
            Basic::Char | Basic::CharValue => (u16::from_be_bytes(self.fixed(pos)?).into(), pos + 2),
            Basic::Int | Basic::IntValue => (int(self.bytes, pos).ok()?, pos + 4),
            Basic::Float | Basic::FloatValue => {
                let value = f32::from_be_bytes(self.fixed(pos)?);
                let bits = if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() };
                (bits.cast_signed(), pos + 4)
            }
            Basic::Long => (of_long(self.long(pos)?), pos + 8),
            Basic::LongValue => (of_long(self.long(pos)?).wrapping_add(43), pos + 8),
            Basic::Double | Basic::DoubleValue => {
                let value = f64::from_be_bytes(self.fixed(pos)?);
                let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
                let more = if basic == Basic::DoubleValue { 31 } else { 0 };
                (of_long(bits.cast_signed()).wrapping_add(more), pos + 8)
            }
            Basic::NullValue => (53, pos),
            Basic::Tuple0 => (0, skip(self.bytes, pos, 1).ok()?),
            Basic::String => {
                let (length, at) = string_length(self.bytes, pos).ok()?;
                let Some(length) = length.checked_sub(1) else { return Some((None, at)) };
                self.units(length, at)?
            }
            Basic::StringValue => {
                let (length, at) = string_length(self.bytes, pos).ok()?;
                self.units(length, at)?
            }
            Basic::BigInteger | Basic::BigDecimal => {
                let end = big_integer(self.bytes, pos).ok()?;
                let hash = match int(self.bytes, pos).ok()? {
                    0 => return Some((None, end)),
                    1 => 0,
                    2 => 1,
                    3 => 10,
                    _ => of_big_integer(self.bytes.get(pos + 4..end)?),
                };
                if basic == Basic::BigInteger {
                    (hash, end)
                } else {
                    (of_decimal(hash, int(self.bytes, end).ok()?), end + 4)
                }
            }
            Basic::Date | Basic::SqlDate | Basic::SqlTime | Basic::SqlTimestamp => {
                let (millis, length) = (self.long(pos)?, if basic == Basic::SqlTimestamp { 12 } else { 8 });
                let end = skip(self.bytes, pos, length).ok()?;
                if millis == i64::MIN {
                    return Some((None, end));
                }
                (of_long(millis), end)
            }
            Basic::Instant => {
                let (seconds, nanos) = (self.long(pos)?, int(self.bytes, pos + 8).ok()?);
                if seconds == i64::MIN {
                    return Some((None, pos + 12));
                }
                (of_long(seconds).wrapping_add(nanos.wrapping_mul(51)), pos + 12)
            }
            Basic::LocalDate => match self.local_date(pos)? {
                None => return Some((None, pos + 6)),
                Some(hash) => (hash, pos + 6),
            },
            Basic::LocalTime => match self.local_time(pos)? {
                None => return Some((None, pos + 7)),
                Some(hash) => (hash, pos + 7),
            },
            Basic::LocalDateTime => match (self.local_date(pos)?, self.local_time(pos + 6)?) {
                (Some(date), Some(time)) => (date ^ time, pos + 13),
                _ => return Some((None, pos + 13)),
            },
            Basic::TimeWindow => {
                let sum = self.long(pos)?.wrapping_add(self.long(pos + 8)?).cast_unsigned();
                // `MathUtils.longToIntWithBitMixing`.
                let mixed = (sum ^ sum >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((mixed ^ mixed >> 31) as i32, pos + 16)
            }
            Basic::StringData => {
                let end = sized(self.bytes, pos, 1).ok()?;
                (of_bytes(self.bytes.get(pos + 4..end)?), end)
            }
            _ => return None,
        };
        Some((Some(hash), end))
    }

    /// The hash of so many UTF-16 units, each a varint, and where they end.
    fn units(&self, n: usize, mut pos: usize) -> Option<(i32, usize)> {
        let mut hash = 0;
        for _ in 0..n {
            let (unit, end) = varint(self.bytes, pos, 16, Rule::Character).ok()?;
            (hash, pos) = (of_unit(hash, unit as u16), end);
        }
        Some((hash, pos))
    }

    /// i32 year, u8 month, u8 day.
    fn local_date(&self, pos: usize) -> Option<Option<i32>> {
        let year = int(self.bytes, pos).ok()?;
        let [month, day] = self.fixed(pos + 4)?;
        let low = (year << 11).wrapping_add(i32::from(month) << 6).wrapping_add(day.into());
        Some((year != i32::MIN).then_some(year & !0x7ff ^ low))
    }

    /// u8 hour, u8 minute, u8 second, i32 nanoseconds.
    fn local_time(&self, pos: usize) -> Option<Option<i32>> {
        let [hour, minute, second] = self.fixed(pos)?;
        let nanos = i64::from(int(self.bytes, pos + 3).ok()?);
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some((hour != 0x80).then(|| of_long(seconds * 1_000_000_000 + nanos)))
    }
}

/// What an array of primitives or strings holds.
fn elements_of(basic: Basic) -> Option<Basic> {
    Some(match basic {
        Basic::BooleanArray => Basic::Boolean,
        Basic::ByteArray => Basic::Byte,
        Basic::CharArray => Basic::Char,
        Basic::ShortArray => Basic::Short,
        Basic::IntArray => Basic::Int,
        Basic::LongArray => Basic::Long,
        Basic::FloatArray => Basic::Float,
        Basic::DoubleArray => Basic::Double,
        Basic::StringArray => Basic::String,
        _ => return None,
    })
}

// ---- Java's hashes -------------------------------------------------------------------------------

fn of_boolean(value: bool) -> i32 {
    if value { 1231 } else { 1237 }
}

/// `Long`.
fn of_long(value: i64) -> i32 {
    (value ^ (value.cast_unsigned() >> 32).cast_signed()) as i32
}

/// `String`, of its UTF-16 units one after the other.
fn of_unit(hash: i32, unit: u16) -> i32 {
    hash.wrapping_mul(31).wrapping_add(unit.into())
}

/// `BigInteger`, of two's complement, big-endian: the words of its magnitude, with its sign.
fn of_big_integer(bytes: &[u8]) -> i32 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let words = magnitude.rchunks(4).rev();
    let words = words.map(|word| word.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)));
    let hash = words.fold(0_u32, |hash, word| hash.wrapping_mul(31).wrapping_add(word)).cast_signed();
    if negative { hash.wrapping_neg() } else { hash }
}

/// `BigDecimal`, of the hash of its digits.
fn of_decimal(unscaled: i32, scale: i32) -> i32 {
    unscaled.wrapping_mul(31).wrapping_add(scale)
}

// ---- Murmur 3 ------------------------------------------------------------------------------------

/// `MurmurHashUtils.hashBytes`: words, little-endian, then single bytes with their signs.
fn of_bytes(bytes: &[u8]) -> i32 {
    const SEED: u32 = 42;
    let (words, rest) = bytes.as_chunks::<4>();
    let hash = words.iter().fold(SEED, |hash, word| mix(hash, u32::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, i32::from(byte.cast_signed()).cast_unsigned()));
    finish(hash, bytes.len() as u32).cast_signed()
}

fn mix(hash: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: u32) -> u32 {
    let hash = hash ^ length;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::cursor::Cursor;
    use crate::flink::serializer::{read_proxy, read_versioned};
    use crate::flink::value::tests::{kryo_of, unhex};
    use crate::flink::walk::tests::naive::{encode, snapshot, tree};

    /// A line of the golden keys: its name, who hashes, the hasher, and its keys.
    fn lines() -> Vec<(String, String, KeyHash, Vec<Value>)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/keys");
        let mut lines = Vec::new();
        for release in ["1.13", "1.20", "2.3"] {
            let text = std::fs::read_to_string(root.join(format!("{release}.jsonl"))).unwrap();
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let name = format!("{release}/{}", line["name"].as_str().unwrap());
                let read = read_proxy(&mut Cursor::new(&unhex(&line["serializer"]))).unwrap();
                let hasher = KeyHash::compile(&read.snapshot, kryo_of(&name));
                let by = line["hash_by"].as_str().unwrap().to_owned();
                lines.push((name, by, hasher, line["keys"].as_array().unwrap().clone()));
            }
        }
        lines
    }

    /// What Kryo says of the classes in these, JSON does not.
    const WITHOUT: [&str; 3] = ["1.20/list-by-kryo", "2.3/list-by-kryo", "2.3/optional-by-kryo"];

    #[test]
    fn hashes_and_key_groups_are_those_of_flink() {
        let (mut met, mut without, mut differences) = (0, Vec::new(), Vec::new());
        for (name, by, hasher, keys) in lines() {
            for key in keys {
                let found = hasher.hash(&unhex(&key["hex"]));
                if by != "built-in" {
                    assert_eq!(found, None, "{name}");
                    continue;
                }
                let Some(hash) = found else {
                    without.push(name.clone());
                    continue;
                };
                met += 1;
                let found = [i64::from(hash), key_group(hash, 128).into(), key_group(hash, 4096).into()];
                let expected =
                    ["hash", "key_group_128", "key_group_4096"].map(|what| key[what].as_i64().unwrap());
                if found != expected {
                    differences.push(format!("{name}: {} {found:?} {expected:?}", key["hex"]));
                }
            }
        }
        without.dedup();
        assert!(differences.is_empty(), "{} of {met}:\n{}", differences.len(), differences.join("\n"));
        assert_eq!(without, WITHOUT);
        assert!(met > 230, "{met}");
    }

    #[test]
    fn rows_are_the_only_ones_that_are_not_certain() {
        for (name, _, hasher, _) in lines() {
            assert_eq!(hasher.is_certain(), !name.contains("/row"), "{name}");
        }
    }

    #[test]
    fn cut_and_longer_keys_have_no_hash() {
        for (name, _, hasher, keys) in lines() {
            for key in keys {
                let key = unhex(&key["hex"]);
                for cut in 0..key.len() {
                    assert_eq!(hasher.hash(&key[..cut]), None, "{name}: {cut} of {key:x?}");
                }
                assert_eq!(hasher.hash(&[key.as_slice(), &[0]].concat()), None, "{name}: {key:x?}");
            }
        }
    }

    #[test]
    fn key_groups_are_within_the_parallelism() {
        for hash in [0, 1, -1, i32::MIN, i32::MAX] {
            for max_parallelism in [1, 2, 128, 32768] {
                assert!(key_group(hash, max_parallelism) < max_parallelism);
            }
            assert_eq!(key_group(hash, 0), 0);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_of_any_type_have_a_hash_or_none(tree in tree(), seed: u64, bytes in prop::collection::vec(0u8..12, 0..60)) {
            let read = read_versioned(&mut Cursor::new(&snapshot(&tree)));
            let hasher = KeyHash::compile(&read.snapshot, KryoVersion::Five);
            let _ = hasher.hash(&bytes);
            let value = encode(&tree, seed);
            for cut in 0..=value.len() {
                let _ = hasher.hash(&value[..cut]);
            }
        }
    }
}
