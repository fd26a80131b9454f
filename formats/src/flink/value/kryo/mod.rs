//! Values that Kryo wrote, as far as their bytes say what they are: primitives, strings, and the common classes of `java.util`, `java.time`,
//! `java.math` and `java.sql`.
//!
//! ```text
//! object     class │ [reference] │ content
//! class      varint 0 null │ 1, varint n, the first time string name: the class of that name │ id + 2
//! ids        0 int, 1 String, 2 float, 3 boolean, 4 byte, 5 char, 6 short, 7 long, 8 double, 9 void (Kryo 2)
//!            73 to 84 what Flink registers of Twitter's Chill │ from 85 on what the snapshot lists
//! reference  varint 1 an object that is new │ n + 2 the object n of this value, which is not written again │ 0 null, where there is no class
//!            boxed primitives have none, unless they may be null and have no class; neither have enums in Kryo 5
//! varint     7 bits in each byte, the lowest first; what may be negative is zigzag-encoded
//! string     bytes of ASCII, the last one with its high bit set │ 0x80 + n + 1 in 6 bits, 0x40 and a varint of more, n characters of 1 to 3 bytes
//! Collection Kryo 2: varint n │ n × object
//!            Kryo 5: as lengths of strings, but 0x80 says that all have one class: n + 1, class, [bool nulls], n × { [reference] content }
//! Map        varint n (Kryo 5: n + 1) │ n × { object, object }
//! TreeMap, TreeSet   object comparator, in front of the count in Kryo 2, behind it in Kryo 5
//! arrays     varint n + 1 │ n × element
//! ```
//!
//! Flink 1.x has Kryo 2.24, whose numbers of fixed length are big-endian, Flink 2.x has Kryo 5, whose are little-endian; snapshots do not differ.
//! What is not known, such as what `FieldSerializer` makes of a job's classes, has no length.
//!
//! Sources: `Kryo`, `DefaultClassResolver`, `MapReferenceResolver`, `Output` and the default serializers of Kryo 2.24.0 and 5.6.2; `KryoSerializer`,
//! `KryoUtils`, `FlinkChillPackageRegistrar` of Flink 1.20 and 2.3; `com.twitter.chill.java` 0.7.6.

mod class;
mod read;
mod time;

use std::ops::Range;

pub(super) use self::class::Kryo;
pub use self::class::KryoVersion;

use self::class::{Class, Content};
use self::read::{flagged, string, var32, var64, zigzag32, zigzag64};
use super::TOO_DEEP;
use super::number::Unscaled;
use super::run::{NAMES, Run};
use super::sink::{ValueSink, Width};
use super::text::Text;
use super::time::{Moment, Temporal};
use crate::flink::walk::read::{Rule, Step, bad, byte, skip, stop};

/// What a value had so far.
#[derive(Debug, Default)]
struct Seen {
    objects: Vec<Object>,
    /// How many objects began before the place that is read now: fewer, where one is gone over again.
    count: usize,
    /// Where each name stands, and its class.
    names: Vec<(usize, Class)>,
}

#[derive(Debug, Clone, Copy)]
struct Object {
    content: Content,
    /// Where its content stands.
    pos: usize,
    /// Whether that was gone over to its end.
    whole: bool,
}

impl Seen {
    /// An object that is new, unless it is gone over again: its number.
    fn begins(&mut self, content: Content, pos: usize) -> usize {
        if self.count == self.objects.len() {
            self.objects.push(Object { content, pos, whole: false });
        }
        self.count += 1;
        self.count - 1
    }

    fn ends(&mut self, object: usize) {
        if let Some(object) = self.objects.get_mut(object) {
            object.whole = true;
        }
    }

    /// An object of which nothing is told by itself.
    fn passes(&mut self, content: Content, pos: usize) {
        let object = self.begins(content, pos);
        self.ends(object);
    }
}

/// `Locale.toString` of one without a script and extensions.
pub(super) fn locale(language: &str, country: &str, variant: &str) -> String {
    let mut name = language.to_owned();
    if !country.is_empty() || (!language.is_empty() && !variant.is_empty()) {
        name.push('_');
        name.push_str(country);
    }
    if !variant.is_empty() && !name.is_empty() {
        name.push('_');
        name.push_str(variant);
    }
    name
}

impl<S: ValueSink> Run<'_, '_, '_, S> {
    /// `KryoSerializer.serialize`: `kryo.writeClassAndObject`.
    pub(super) fn kryo(&mut self, kryo: &Kryo, pos: usize, depth: u32) -> Step {
        self.class_and_object(kryo, &mut Seen::default(), pos, depth)
    }

    /// A class and an object of it, which tells what fails.
    fn kryo_object(&mut self, kryo: &Kryo, seen: &mut Seen, pos: usize, depth: u32) -> Step {
        match self.step(pos, depth).and_then(|()| self.class_and_object(kryo, seen, pos, depth)) {
            Ok(end) => Ok(end),
            Err(halt) => Err(self.failed(pos, halt)),
        }
    }

    fn class_and_object(&mut self, kryo: &Kryo, seen: &mut Seen, pos: usize, depth: u32) -> Step {
        let (class, at) = self.kryo_class(kryo, seen, pos)?;
        match class {
            None => {
                self.sink.null();
                Ok(at)
            }
            Some(class) => self.object_of(kryo, seen, &class, false, at, depth),
        }
    }

    /// The class of an object; `None` for null.
    fn kryo_class(&mut self, kryo: &Kryo, seen: &mut Seen, pos: usize) -> Step<(Option<Class>, usize)> {
        let (id, at) = var32(self.bytes, pos)?;
        match id {
            0 => Ok((None, at)),
            1 => {
                let (name, at) = var32(self.bytes, at)?;
                match seen.names.get(name as usize) {
                    Some((place, class)) if *place != pos => Ok((Some(class.clone()), at)),
                    // Where a name stood first, it stands again when that is gone over again.
                    Some((_, class)) => Ok((Some(class.clone()), string(self.bytes, at)?.1)),
                    None if name as usize == seen.names.len() => {
                        let (text, at) = string(self.bytes, at)?;
                        let text = text.ok_or(bad(pos, Rule::KryoClass))?;
                        let text: String =
                            text.chars().map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
                        let class =
                            kryo.content(&text).map_or_else(|| Class::Other(text.into()), Class::Known);
                        seen.names.push((pos, class.clone()));
                        Ok((Some(class), at))
                    }
                    None => Err(bad(pos, Rule::KryoClass)),
                }
            }
            _ => match kryo.class(id - 2) {
                Some(class) => Ok((Some(class), at)),
                // Such as what Scala's API registers.
                None => Err(stop(pos, kryo.stop)),
            },
        }
    }

    /// An object of a class that was read or is known. `nullable` is one that was written with `writeObjectOrNull`.
    fn object_of(
        &mut self,
        kryo: &Kryo,
        seen: &mut Seen,
        class: &Class,
        nullable: bool,
        pos: usize,
        depth: u32,
    ) -> Step {
        let content = match class {
            Class::Known(content) => *content,
            Class::Other(name) => {
                self.class = Some(name.clone());
                return Err(stop(pos, kryo.stop));
            }
        };
        if !nullable && !content.has_references() {
            return self.content(kryo, seen, content, pos, depth);
        }
        let (reference, at) = var32(self.bytes, pos)?;
        match reference {
            0 if nullable => {
                self.sink.null();
                Ok(at)
            }
            1 if !content.has_references() => self.content(kryo, seen, content, at, depth),
            1 => {
                let object = seen.begins(content, at);
                let end = self.content(kryo, seen, content, at, depth)?;
                seen.ends(object);
                Ok(end)
            }
            _ => {
                let index = reference.checked_sub(2).map(|index| index as usize);
                let found = index.and_then(|index| Some((index, *seen.objects.get(index)?)));
                let Some((index, object)) = found else { return Err(bad(pos, Rule::KryoReference)) };
                // One that holds itself.
                if !object.whole {
                    return Ok(self.skipped(pos, at, stop(pos, TOO_DEEP)));
                }
                // What it stands for is told again, from where it is written.
                self.step(object.pos, depth + 1)?;
                let count = std::mem::replace(&mut seen.count, index + 1);
                self.content(kryo, seen, object.content, object.pos, depth + 1)?;
                seen.count = count;
                Ok(at)
            }
        }
    }

    /// A number of 8 bytes: big-endian in Kryo 2, little-endian in Kryo 5.
    fn kryo_fixed<const N: usize>(&self, kryo: &Kryo, pos: usize) -> Step<[u8; N]> {
        let mut bytes: [u8; N] = self.fixed(pos)?;
        if kryo.version == KryoVersion::Five {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn kryo_text(&mut self, pos: usize) -> Step {
        let (text, end) = string(self.bytes, pos)?;
        match text {
            Some(text) => self.text(text, pos)?,
            None => self.sink.null(),
        }
        Ok(end)
    }

    fn content(&mut self, kryo: &Kryo, seen: &mut Seen, content: Content, pos: usize, depth: u32) -> Step {
        let five = kryo.version == KryoVersion::Five;
        match content {
            Content::Int => {
                let (n, end) = var32(self.bytes, pos)?;
                self.sink.integer(zigzag32(n).into(), Width::W32);
                Ok(end)
            }
            Content::Long => {
                let (n, end) = var64(self.bytes, pos)?;
                self.sink.integer(zigzag64(n), Width::W64);
                Ok(end)
            }
            Content::String | Content::Text => self.kryo_text(pos),
            Content::Float => {
                let value = f32::from_be_bytes(self.kryo_fixed(kryo, pos)?);
                self.sink.float(value);
                Ok(pos + 4)
            }
            Content::Double => {
                let value = f64::from_be_bytes(self.kryo_fixed(kryo, pos)?);
                self.sink.double(value);
                Ok(pos + 8)
            }
            Content::Boolean => {
                let value = byte(self.bytes, pos)? == 1;
                self.sink.boolean(value);
                Ok(pos + 1)
            }
            Content::Byte => {
                let value = byte(self.bytes, pos)?.cast_signed();
                self.sink.integer(value.into(), Width::W8);
                Ok(pos + 1)
            }
            Content::Char => {
                let unit: [u8; 2] = self.kryo_fixed(kryo, pos)?;
                self.character(&unit);
                Ok(pos + 2)
            }
            Content::Short => {
                let value = i16::from_be_bytes(self.kryo_fixed(kryo, pos)?);
                self.sink.integer(value.into(), Width::W16);
                Ok(pos + 2)
            }
            Content::Void | Content::Nothing => {
                self.sink.null();
                Ok(pos)
            }
            Content::Bytes => match self.array_length(pos)? {
                None => Ok(pos + 1),
                Some((n, at)) => {
                    let end = skip(self.bytes, at, n)?;
                    self.hex(at..end)
                }
            },
            Content::Booleans | Content::Chars | Content::Shorts | Content::Floats | Content::Doubles => {
                let of = match content {
                    Content::Booleans => Content::Boolean,
                    Content::Chars => Content::Char,
                    Content::Shorts => Content::Short,
                    Content::Floats => Content::Float,
                    _ => Content::Double,
                };
                self.array(kryo, seen, pos, depth, |run, kryo, seen, pos| {
                    run.content(kryo, seen, of, pos, depth)
                })
            }
            Content::Ints | Content::Longs => {
                let of = if content == Content::Ints { Content::Int } else { Content::Long };
                self.array(kryo, seen, pos, depth, |run, kryo, seen, pos| {
                    run.content(kryo, seen, of, pos, depth)
                })
            }
            Content::ObjectsOf(of) => {
                let class = Class::Known(*of);
                self.array(kryo, seen, pos, depth, |run, kryo, seen, pos| {
                    run.object_of(kryo, seen, &class, true, pos, depth + 1)
                })
            }
            Content::Objects => self.array(kryo, seen, pos, depth, |run, kryo, seen, pos| {
                run.class_and_object(kryo, seen, pos, depth + 1)
            }),
            Content::BigInteger | Content::BigDecimal => match self.array_length(pos)? {
                None => Ok(pos + 1),
                Some((n, at)) => {
                    let middle = skip(self.bytes, at, n)?;
                    let (scale, end) = match content {
                        Content::BigInteger => (0, middle),
                        _ => var32(self.bytes, middle).map(|(scale, end)| (zigzag32(scale), end))?,
                    };
                    let unscaled = Unscaled::Bytes(self.get(at..middle));
                    self.big(pos, unscaled, scale, end)
                }
            },
            Content::Date | Content::SqlDate | Content::SqlTime | Content::TimestampAsDate => {
                let (millis, end) = var64(self.bytes, pos)?;
                let millis = millis.cast_signed();
                match content {
                    Content::SqlDate => self.sql_date(millis),
                    Content::SqlTime => self.sql_time(millis),
                    _ => self.instant(millis),
                }
                Ok(end)
            }
            Content::Timestamp => {
                let (millis, at) = var64(self.bytes, pos)?;
                let (nanos, end) = var32(self.bytes, at)?;
                let moment = Moment { nanos, ..Moment::of_millis(millis.cast_signed(), 0, 3) };
                self.moment(Temporal::Instant(moment), pos, end)
            }
            Content::Pattern => {
                let (_, flags) = string(self.bytes, pos)?;
                let (_, end) = var32(self.bytes, flags)?;
                self.kryo_text(pos)?;
                Ok(end)
            }
            Content::Locale => self.locale(pos),
            Content::EmptyList => self.list(|_| Ok(pos)),
            Content::EmptyMap => self.map(|_| Ok(pos)),
            Content::SingletonList => self.list(|run| run.kryo_object(kryo, seen, pos, depth + 1)),
            Content::SingletonMap => self.map(|run| run.kryo_entries(kryo, seen, 1, pos, depth)),
            Content::Optional => self.class_and_object(kryo, seen, pos, depth + 1),
            Content::Collection { nulls } if five => self.collection(kryo, seen, (nulls, false), pos, depth),
            Content::SortedCollection if five => self.collection(kryo, seen, (true, true), pos, depth),
            Content::Collection { .. } | Content::SortedCollection | Content::ArrayWithClass => {
                let pos = match content {
                    Content::SortedCollection => self.comparator(kryo, seen, pos)?,
                    _ => pos,
                };
                let (n, mut at) = self.kryo_count(pos)?;
                if content == Content::ArrayWithClass {
                    at = self.kryo_class(kryo, seen, at)?.1;
                }
                self.list(|run| run.times(n, at, |run, pos| run.kryo_object(kryo, seen, pos, depth + 1)))
            }
            Content::Map | Content::SortedMap => {
                let sorted = content == Content::SortedMap;
                let mut pos = pos;
                if sorted && !five {
                    pos = self.comparator(kryo, seen, pos)?;
                }
                let (mut n, mut at) = self.kryo_count(pos)?;
                if five {
                    let Some(less) = n.checked_sub(1) else {
                        self.sink.null();
                        return Ok(at);
                    };
                    n = less;
                    if sorted {
                        at = self.comparator(kryo, seen, at)?;
                    }
                }
                self.map(|run| run.kryo_entries(kryo, seen, n, at, depth))
            }
            Content::BitSet => {
                let (n, at) = var32(self.bytes, pos)?;
                let end = skip(self.bytes, at, (n as usize).saturating_mul(8))?;
                self.bit_set(kryo, at..end)
            }
            Content::UuidFixed => {
                let (high, low): ([u8; 8], [u8; 8]) =
                    (self.kryo_fixed(kryo, pos)?, self.kryo_fixed(kryo, pos + 8)?);
                self.uuid(u64::from_be_bytes(high), u64::from_be_bytes(low));
                Ok(pos + 16)
            }
            Content::UuidVar => {
                let (high, at) = var64(self.bytes, pos)?;
                let (low, end) = var64(self.bytes, at)?;
                self.uuid(zigzag64(high).cast_unsigned(), zigzag64(low).cast_unsigned());
                Ok(end)
            }
            Content::InetSocketAddress => {
                let (_, at) = string(self.bytes, pos)?;
                let (port, end) = var32(self.bytes, at)?;
                self.object(|run| {
                    run.sink.field(&NAMES.host);
                    run.kryo_text(pos).map_err(|halt| run.failed(pos, halt))?;
                    run.int_field(&NAMES.port, port.cast_signed());
                    Ok(end)
                })
            }
            Content::Time(time) => self.kryo_temporal(kryo, seen, time, pos),
            Content::Java => self.java_object(pos),
        }
    }

    /// The length of an array; `None` for null, which is told.
    fn array_length(&mut self, pos: usize) -> Step<Option<(usize, usize)>> {
        let (n, at) = var32(self.bytes, pos)?;
        match n.checked_sub(1) {
            Some(n) => Ok(Some((n as usize, at))),
            None => {
                self.sink.null();
                Ok(None)
            }
        }
    }

    fn array(
        &mut self,
        kryo: &Kryo,
        seen: &mut Seen,
        pos: usize,
        depth: u32,
        each: impl Fn(&mut Self, &Kryo, &mut Seen, usize) -> Step,
    ) -> Step {
        let Some((n, at)) = self.array_length(pos)? else { return Ok(pos + 1) };
        self.room_for(n, at)?;
        self.list(|run| {
            run.times(n, at, |run, pos| {
                let end = run.step(pos, depth).and_then(|()| each(run, kryo, seen, pos));
                end.map_err(|halt| run.failed(pos, halt))
            })
        })
    }

    /// A count of what has a byte at least.
    fn kryo_count(&self, pos: usize) -> Step<(usize, usize)> {
        let (n, at) = var32(self.bytes, pos)?;
        // One more than there are, in Kryo 5.
        self.room_for((n as usize).saturating_sub(1), at)?;
        Ok((n as usize, at))
    }

    fn room_for(&self, n: usize, at: usize) -> Step<()> {
        if n > self.bytes.len() - at { Err(bad(at, Rule::Count)) } else { Ok(()) }
    }

    /// A comparator, of which nothing is told.
    fn comparator(&mut self, kryo: &Kryo, seen: &mut Seen, pos: usize) -> Step {
        match self.kryo_class(kryo, seen, pos)? {
            (None, at) => Ok(at),
            (Some(Class::Known(Content::Nothing)), at) => match var32(self.bytes, at)? {
                (1, end) => {
                    seen.passes(Content::Nothing, end);
                    Ok(end)
                }
                (_, end) => Ok(end),
            },
            (Some(class), _) => {
                if let Class::Other(name) = class {
                    self.class = Some(name);
                }
                Err(stop(pos, kryo.stop))
            }
        }
    }

    fn kryo_entries(&mut self, kryo: &Kryo, seen: &mut Seen, n: usize, pos: usize, depth: u32) -> Step {
        let mut pos = pos;
        for _ in 0..n {
            pos = self.entry(pos, |run, _, pos| run.kryo_object(kryo, seen, pos, depth + 1))?;
        }
        Ok(pos)
    }

    /// `CollectionSerializer` of Kryo 5.
    fn collection(
        &mut self,
        kryo: &Kryo,
        seen: &mut Seen,
        (nulls, sorted): (bool, bool),
        pos: usize,
        depth: u32,
    ) -> Step {
        let (same_class, n, mut at) = flagged(self.bytes, pos)?;
        let Some(n) = n.checked_sub(1) else {
            self.sink.null();
            return Ok(at);
        };
        if sorted {
            at = self.comparator(kryo, seen, at)?;
        }
        if n == 0 {
            return self.list(|_| Ok(at));
        }
        if !same_class {
            self.room_for(n as usize, at)?;
            return self.list(|run| {
                run.times(n as usize, at, |run, pos| run.kryo_object(kryo, seen, pos, depth + 1))
            });
        }
        let (class, mut at) = self.kryo_class(kryo, seen, at)?;
        let mut nullable = false;
        if class.is_some() && nulls {
            nullable = byte(self.bytes, at)? == 1;
            at += 1;
        }
        self.list(|run| {
            run.times(n as usize, at, |run, pos| {
                let end = run.step(pos, depth + 1).and_then(|()| match &class {
                    Some(class) => run.object_of(kryo, seen, class, nullable, pos, depth + 1),
                    // All are null.
                    None => {
                        run.sink.null();
                        Ok(pos)
                    }
                });
                end.map_err(|halt| run.failed(pos, halt))
            })
        })
    }

    /// Language, country and variant.
    fn locale(&mut self, pos: usize) -> Step {
        let mut end = pos;
        let mut parts: [String; 3] = Default::default();
        for part in &mut parts {
            let (text, at) = string(self.bytes, end)?;
            let chars = text.into_iter().flat_map(Text::chars);
            part.extend(chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            end = at;
        }
        let [language, country, variant] = parts;
        self.sink.text(Text::Utf8(&locale(&language, &country, &variant)));
        Ok(end)
    }

    /// The indexes of bits that are set.
    fn bit_set(&mut self, kryo: &Kryo, words: Range<usize>) -> Step {
        self.list(|run| {
            for (i, pos) in words.clone().step_by(8).enumerate() {
                let word = run.kryo_fixed(kryo, pos).map_err(|halt| run.failed(pos, halt))?;
                let word = u64::from_be_bytes(word);
                for bit in (0..64).filter(|bit| word >> bit & 1 != 0) {
                    run.step(pos, 0).map_err(|halt| run.failed(pos, halt))?;
                    run.sink.integer((i * 64 + bit) as i64, Width::W32);
                }
            }
            Ok(words.end)
        })
    }

    fn uuid(&mut self, high: u64, low: u64) {
        let digits = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        let mut text = [b'-'; 36];
        let places = (0..36).filter(|place| ![8, 13, 18, 23].contains(place));
        let hex = digits.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        for (place, digit) in places.zip(hex) {
            if let (Some(slot), Some(digit)) =
                (text.get_mut(place), b"0123456789abcdef".get(usize::from(digit)))
            {
                *slot = *digit;
            }
        }
        self.sink.text(Text::Utf8(std::str::from_utf8(&text).unwrap_or_default()));
    }

    /// A date or time, unless it is none.
    fn moment(&mut self, temporal: Temporal, pos: usize, end: usize) -> Step {
        if temporal.is_in_range() {
            self.sink.temporal(temporal);
        } else {
            self.skipped(pos, end, bad(pos, Rule::Time));
        }
        Ok(end)
    }
}
