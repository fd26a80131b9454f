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

use std::borrow::Cow;
use std::ops::Range;

use super::TOO_DEEP;
use super::kryo_time::JavaTime;
use super::number::Unscaled;
use super::run::{NAMES, Run};
use super::sink::{ValueSink, Width};
use super::text::{Encoding, Text, Units};
use super::time::{Moment, Temporal};
use crate::flink::serializer::{KryoRegistration, KryoSerializerRef};
use crate::flink::walk::read::{Rule, Step, bad, byte, skip, stop, varint};

/// The major version of Kryo that wrote values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KryoVersion {
    /// 2.24, of Flink 1.x.
    Two,
    /// 5.6, of Flink 2.x.
    Five,
}

impl KryoVersion {
    /// By the version of the `_metadata` of a snapshot: Flink 2.0 began to write version 5.
    #[must_use]
    pub fn of_metadata_version(version: i32) -> Self {
        if version < 5 { Self::Two } else { Self::Five }
    }
}

/// Serializers that leave it to Java.
const JAVA: [&str; 2] = [
    "com.esotericsoftware.kryo.serializers.JavaSerializer",
    "org.apache.flink.api.java.typeutils.runtime.kryo.JavaSerializer",
];

/// The first id of what a snapshot lists.
const FIRST_REGISTERED: u32 = 85;
/// The first id of Chill's classes.
const FIRST_CHILL: u32 = 73;

/// What a job registered.
#[derive(Debug)]
pub(super) struct Kryo {
    pub(super) version: KryoVersion,
    /// By id.
    registered: Vec<(String, Option<Content>)>,
    /// Classes that have default serializers of the job's.
    overridden: Vec<String>,
    /// The stop for what is not known.
    pub(super) stop: u32,
}

/// How the content of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Int,
    String,
    Float,
    Boolean,
    Byte,
    Char,
    Short,
    Long,
    Double,
    Void,
    Bytes,
    Chars,
    Shorts,
    Ints,
    Longs,
    Floats,
    Doubles,
    Booleans,
    /// Objects with their classes.
    Objects,
    /// Objects of a final class.
    ObjectsOf(&'static Content),
    BigInteger,
    BigDecimal,
    Date,
    SqlDate,
    SqlTime,
    /// `java.sql.Timestamp` by `DateSerializer`: without nanoseconds.
    TimestampAsDate,
    Timestamp,
    /// One string.
    Text,
    /// `Pattern` of Kryo 5: a string and flags.
    Pattern,
    Locale,
    EmptyList,
    EmptyMap,
    SingletonList,
    SingletonMap,
    Collection {
        /// Whether Kryo 5 writes whether there are nulls.
        nulls: bool,
    },
    SortedCollection,
    /// `Arrays$ArrayList` by Chill: a count, the class of elements, objects.
    ArrayWithClass,
    Map,
    SortedMap,
    BitSet,
    /// Two numbers of variable length.
    UuidVar,
    /// Two numbers of fixed length.
    UuidFixed,
    InetSocketAddress,
    Optional,
    Time(JavaTime),
    /// By Java serialization.
    Java,
    /// No content.
    Nothing,
}

/// What a value had so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    Known(Content),
    /// A class of which no more is known than its name.
    Other(Cow<'static, str>),
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
    pub(super) fn passes(&mut self, content: Content, pos: usize) {
        let object = self.begins(content, pos);
        self.ends(object);
    }
}

impl Kryo {
    pub(super) fn new(
        version: KryoVersion,
        registrations: &[KryoRegistration],
        defaults: &[KryoRegistration],
        stop: u32,
    ) -> Self {
        let overridden: Vec<_> = defaults.iter().map(|default| default.class.clone()).collect();
        let mut kryo = Self { version, registered: Vec::new(), overridden, stop };
        for registration in registrations {
            let content = match registration.serializer {
                KryoSerializerRef::Unspecified => kryo.content(&registration.class),
                KryoSerializerRef::Class(ref serializer) if JAVA.contains(&serializer.as_str()) => {
                    Some(Content::Java)
                }
                _ => None,
            };
            kryo.registered.push((registration.class.clone(), content));
        }
        kryo
    }

    /// How Kryo writes a class that has no serializer of its own.
    fn content(&self, class: &str) -> Option<Content> {
        // A job's serializer of an interface may be the one that is taken.
        let (package, _) = class.rsplit_once('.').unwrap_or_default();
        let overridden = self.overridden.iter().any(|other| {
            other == class
                || (!package.is_empty()
                    && other.strip_prefix(package).is_some_and(|rest| rest.starts_with('.')))
        });
        if overridden { None } else { default_content(class, self.version) }
    }

    fn class(&self, id: u32) -> Option<Class> {
        const PRIMITIVES: [Content; 10] = [
            Content::Int,
            Content::String,
            Content::Float,
            Content::Boolean,
            Content::Byte,
            Content::Char,
            Content::Short,
            Content::Long,
            Content::Double,
            Content::Void,
        ];
        let five = self.version == KryoVersion::Five;
        if let Some(content) = PRIMITIVES.get(id as usize) {
            return (*content != Content::Void || !five).then_some(Class::Known(*content));
        }
        if let Some((class, content)) =
            id.checked_sub(FIRST_REGISTERED).and_then(|i| self.registered.get(i as usize))
        {
            return Some(content.map_or_else(|| Class::Other(class.clone().into()), Class::Known));
        }
        Some(Class::Known(match id.checked_sub(FIRST_CHILL)? {
            0 if five => Content::Collection { nulls: true },
            0 => Content::ArrayWithClass,
            1 => Content::BitSet,
            2 => Content::SortedCollection,
            3 if five => Content::Pattern,
            3 | 7 => Content::Text,
            4 => Content::SqlDate,
            5 => Content::SqlTime,
            6 => Content::Timestamp,
            8 => Content::InetSocketAddress,
            9 if five => Content::UuidFixed,
            9 => Content::UuidVar,
            10 if five => Content::Locale,
            10 | 11 => Content::Java,
            _ => return None,
        }))
    }
}

/// `Kryo.getDefaultSerializer`.
fn default_content(class: &str, version: KryoVersion) -> Option<Content> {
    use Content as C;
    let five = version == KryoVersion::Five;
    Some(match class {
        "int" | "java.lang.Integer" => C::Int,
        "java.lang.String" => C::String,
        "float" | "java.lang.Float" => C::Float,
        "boolean" | "java.lang.Boolean" => C::Boolean,
        "byte" | "java.lang.Byte" => C::Byte,
        "char" | "java.lang.Character" => C::Char,
        "short" | "java.lang.Short" => C::Short,
        "long" | "java.lang.Long" => C::Long,
        "double" | "java.lang.Double" => C::Double,
        "[B" => C::Bytes,
        "[C" => C::Chars,
        "[S" => C::Shorts,
        "[I" => C::Ints,
        "[J" => C::Longs,
        "[F" => C::Floats,
        "[D" => C::Doubles,
        "[Z" => C::Booleans,
        "[Ljava.lang.String;" => C::ObjectsOf(&C::String),
        "[Ljava.lang.Integer;" => C::ObjectsOf(&C::Int),
        "[Ljava.lang.Long;" => C::ObjectsOf(&C::Long),
        "[Ljava.lang.Double;" => C::ObjectsOf(&C::Double),
        "[Ljava.lang.Float;" => C::ObjectsOf(&C::Float),
        "[Ljava.lang.Short;" => C::ObjectsOf(&C::Short),
        "[Ljava.lang.Byte;" => C::ObjectsOf(&C::Byte),
        "[Ljava.lang.Character;" => C::ObjectsOf(&C::Char),
        "[Ljava.lang.Boolean;" => C::ObjectsOf(&C::Boolean),
        "[[B" => C::ObjectsOf(&C::Bytes),
        "[[I" => C::ObjectsOf(&C::Ints),
        "[[J" => C::ObjectsOf(&C::Longs),
        "[[F" => C::ObjectsOf(&C::Floats),
        "[[D" => C::ObjectsOf(&C::Doubles),
        "[[Ljava.lang.String;" => C::ObjectsOf(&C::ObjectsOf(&C::String)),
        "[Ljava.lang.Object;"
        | "[Ljava.math.BigDecimal;"
        | "[Ljava.math.BigInteger;"
        | "[Ljava.util.Date;" => C::Objects,
        "java.math.BigInteger" => C::BigInteger,
        "java.math.BigDecimal" => C::BigDecimal,
        "java.util.Date" => C::Date,
        "java.sql.Date" => C::SqlDate,
        "java.sql.Time" => C::SqlTime,
        "java.sql.Timestamp" => C::TimestampAsDate,
        "java.util.Currency"
        | "java.lang.StringBuffer"
        | "java.lang.StringBuilder"
        | "sun.util.calendar.ZoneInfo" => C::Text,
        "java.net.URL" if five => C::Text,
        "java.util.Locale" => C::Locale,
        "java.util.Collections$EmptyList" | "java.util.Collections$EmptySet" => C::EmptyList,
        "java.util.Collections$EmptyMap" => C::EmptyMap,
        "java.util.Collections$SingletonList" | "java.util.Collections$SingletonSet" => C::SingletonList,
        "java.util.Collections$SingletonMap" => C::SingletonMap,
        "java.util.TreeSet" => C::SortedCollection,
        "java.util.PriorityQueue" if five => C::SortedCollection,
        "java.util.ArrayList"
        | "java.util.LinkedList"
        | "java.util.ArrayDeque"
        | "java.util.HashSet"
        | "java.util.LinkedHashSet"
        | "java.util.PriorityQueue"
        | "java.util.Vector"
        | "java.util.Stack"
        | "java.util.Arrays$ArrayList"
        | "java.util.Collections$CopiesList"
        | "java.util.Collections$SynchronizedCollection"
        | "java.util.Collections$SynchronizedList"
        | "java.util.Collections$SynchronizedRandomAccessList"
        | "java.util.Collections$SynchronizedSet"
        | "java.util.Collections$UnmodifiableCollection"
        | "java.util.Collections$UnmodifiableList"
        | "java.util.Collections$UnmodifiableRandomAccessList"
        | "java.util.Collections$UnmodifiableSet"
        | "java.util.concurrent.ConcurrentLinkedDeque"
        | "java.util.concurrent.ConcurrentLinkedQueue"
        | "java.util.concurrent.ConcurrentSkipListSet"
        | "java.util.concurrent.CopyOnWriteArrayList"
        | "java.util.concurrent.CopyOnWriteArraySet" => C::Collection { nulls: true },
        "java.util.ImmutableCollections$List12"
        | "java.util.ImmutableCollections$ListN"
        | "java.util.ImmutableCollections$Set12"
        | "java.util.ImmutableCollections$SetN"
        | "java.util.ImmutableCollections$SubList" => C::Collection { nulls: !five },
        "java.util.TreeMap" => C::SortedMap,
        "java.util.concurrent.ConcurrentSkipListMap" if five => C::SortedMap,
        "java.util.HashMap"
        | "java.util.LinkedHashMap"
        | "java.util.Hashtable"
        | "java.util.IdentityHashMap"
        | "java.util.WeakHashMap"
        | "java.util.Collections$SynchronizedMap"
        | "java.util.Collections$UnmodifiableMap"
        | "java.util.ImmutableCollections$Map1"
        | "java.util.ImmutableCollections$MapN"
        | "java.util.concurrent.ConcurrentHashMap"
        | "java.util.concurrent.ConcurrentSkipListMap" => C::Map,
        "java.util.BitSet" if five => C::BitSet,
        // Its only field holds any object.
        "java.util.Optional" => C::Optional,
        "java.util.Collections$ReverseComparator" | "java.lang.String$CaseInsensitiveComparator" => {
            C::Nothing
        }
        // Flink's default for every `Throwable`.
        _ if class.starts_with("java.") && (class.ends_with("Exception") || class.ends_with("Error")) => {
            C::Java
        }
        _ => return JavaTime::of_class(class).map(C::Time),
    })
}

impl Content {
    /// Whether objects are told apart by references.
    fn has_references(self) -> bool {
        !matches!(
            self,
            Self::Int
                | Self::Float
                | Self::Boolean
                | Self::Byte
                | Self::Char
                | Self::Short
                | Self::Long
                | Self::Double
                | Self::Void
        )
    }
}

/// A varint of 32 bits.
pub(super) fn var32(bytes: &[u8], pos: usize) -> Step<(u32, usize)> {
    let (value, end) = varint(bytes, pos, 32, Rule::KryoNumber)?;
    Ok((value as u32, end))
}

/// A varint of 64 bits: eight bytes of 7 bits, and a ninth of 8.
pub(super) fn var64(bytes: &[u8], pos: usize) -> Step<(u64, usize)> {
    let mut value = 0;
    for i in 0..9 {
        let next = byte(bytes, pos + i)?;
        if i == 8 {
            value |= u64::from(next) << 56;
            break;
        }
        value |= u64::from(next & 0x7f) << (7 * i);
        if next & 0x80 == 0 {
            return Ok((value, pos + i + 1));
        }
    }
    Ok((value, pos + 9))
}

pub(super) fn zigzag32(n: u32) -> i32 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

pub(super) fn zigzag64(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

/// The first byte's high bit, and the number of its other bits and what follows.
fn flagged(bytes: &[u8], pos: usize) -> Step<(bool, u32, usize)> {
    let first = byte(bytes, pos)?;
    let (flag, low) = (first & 0x80 != 0, u32::from(first & 0x3f));
    if first & 0x40 == 0 {
        return Ok((flag, low, pos + 1));
    }
    let (high, end) = varint(bytes, pos + 1, 26, Rule::KryoNumber)?;
    Ok((flag, low | (high as u32) << 6, end))
}

/// A string; `None` for null.
pub(super) fn string(bytes: &[u8], pos: usize) -> Step<(Option<Text<'_>>, usize)> {
    let first = byte(bytes, pos)?;
    if first & 0x80 == 0 {
        let rest = bytes.get(pos..).unwrap_or_default();
        let length = rest.iter().position(|byte| byte & 0x80 != 0).map(|last| last + 1);
        let Some(ascii) = length.and_then(|length| rest.get(..length)) else {
            return Err(bad(pos, Rule::TooShort));
        };
        let text = Text::Units(Units::new(ascii, Encoding::MarkedAscii));
        return Ok((Some(text), pos + ascii.len()));
    }
    let (_, n, start) = flagged(bytes, pos)?;
    let Some(n) = n.checked_sub(1) else { return Ok((None, start)) };
    let mut end = start;
    for _ in 0..n {
        // The first byte says how many there are.
        end = skip(
            bytes,
            end,
            match byte(bytes, end)? {
                0..0x80 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => return Err(bad(end, Rule::KryoString)),
            },
        )?;
    }
    let units = bytes.get(start..end).unwrap_or_default();
    let text = match std::str::from_utf8(units) {
        Ok(text) if text.is_ascii() => Text::Utf8(text),
        _ => Text::Units(Units::new(units, Encoding::Utf8Units)),
    };
    Ok((Some(text), end))
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
    pub(super) fn kryo_class(
        &mut self,
        kryo: &Kryo,
        seen: &mut Seen,
        pos: usize,
    ) -> Step<(Option<Class>, usize)> {
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
