//! Which classes Kryo writes how, and what their ids are.

use std::borrow::Cow;

use super::time::JavaTime;
use crate::flink::serializer::{KryoRegistration, KryoSerializerRef};

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
pub(in crate::flink::value) struct Kryo {
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    Known(Content),
    /// A class of which no more is known than its name.
    Other(Cow<'static, str>),
}

impl Kryo {
    pub(in crate::flink::value) fn new(
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
    pub(super) fn content(&self, class: &str) -> Option<Content> {
        // A job's serializer of an interface may be the one that is taken.
        let (package, _) = class.rsplit_once('.').unwrap_or_default();
        let overridden = self.overridden.iter().any(|other| {
            other == class
                || (!package.is_empty()
                    && other.strip_prefix(package).is_some_and(|rest| rest.starts_with('.')))
        });
        if overridden { None } else { default_content(class, self.version) }
    }

    pub(super) fn class(&self, id: u32) -> Option<Class> {
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
    pub(super) fn has_references(self) -> bool {
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
