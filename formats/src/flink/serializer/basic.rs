//! Snapshot classes without content: the type is the class.

macro_rules! basics {
    ($($(#[$doc:meta])* $variant:ident $name:literal: $($class:literal)|+;)*) => {
        /// A type that its serializer's class says all about (subclasses of
        /// `SimpleTypeSerializerSnapshot`). Data layouts: `flink-core …/typeutils/base`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Basic {
            $($(#[$doc])* $variant,)*
        }

        impl Basic {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The type's readable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// By its readable name, whatever the case of its letters.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|basic| basic.name().eq_ignore_ascii_case(name)).copied()
            }

            /// By the name of the serializer class, without `org.apache.flink.`.
            pub(super) fn of_serializer(class: &str) -> Option<Self> {
                match class {
                    $($($class)|+ => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

basics! {
    /// `java.lang.Boolean`.
    Boolean "Boolean": "api.common.typeutils.base.BooleanSerializer";
    /// `org.apache.flink.types.BooleanValue`; as `Boolean`.
    BooleanValue "BooleanValue": "api.common.typeutils.base.BooleanValueSerializer";
    /// `java.lang.Byte`.
    Byte "Byte": "api.common.typeutils.base.ByteSerializer";
    /// `org.apache.flink.types.ByteValue`; as `Byte`.
    ByteValue "ByteValue": "api.common.typeutils.base.ByteValueSerializer";
    /// `java.lang.Character`.
    Char "Character": "api.common.typeutils.base.CharSerializer";
    /// `org.apache.flink.types.CharValue`; as `Character`.
    CharValue "CharValue": "api.common.typeutils.base.CharValueSerializer";
    /// `java.lang.Short`.
    Short "Short": "api.common.typeutils.base.ShortSerializer";
    /// `org.apache.flink.types.ShortValue`; as `Short`.
    ShortValue "ShortValue": "api.common.typeutils.base.ShortValueSerializer";
    /// `java.lang.Integer`.
    Int "Integer": "api.common.typeutils.base.IntSerializer";
    /// `org.apache.flink.types.IntValue`; as `Integer`.
    IntValue "IntValue": "api.common.typeutils.base.IntValueSerializer";
    /// `java.lang.Long`.
    Long "Long": "api.common.typeutils.base.LongSerializer";
    /// `org.apache.flink.types.LongValue`; as `Long`.
    LongValue "LongValue": "api.common.typeutils.base.LongValueSerializer";
    /// `long` with its bytes in sort order (SQL sinks).
    SortedLong "SortedLong": "table.runtime.operators.sink.SortedLongSerializer";
    /// `java.lang.Float`.
    Float "Float": "api.common.typeutils.base.FloatSerializer";
    /// `org.apache.flink.types.FloatValue`; as `Float`.
    FloatValue "FloatValue": "api.common.typeutils.base.FloatValueSerializer";
    /// `java.lang.Double`.
    Double "Double": "api.common.typeutils.base.DoubleSerializer";
    /// `org.apache.flink.types.DoubleValue`; as `Double`.
    DoubleValue "DoubleValue": "api.common.typeutils.base.DoubleValueSerializer";
    /// `java.lang.String`.
    String "String": "api.common.typeutils.base.StringSerializer";
    /// `org.apache.flink.types.StringValue`; as `String`, but with its length, not one more.
    StringValue "StringValue": "api.common.typeutils.base.StringValueSerializer";
    /// `java.math.BigInteger`.
    BigInteger "BigInteger": "api.common.typeutils.base.BigIntSerializer";
    /// `java.math.BigDecimal`.
    BigDecimal "BigDecimal": "api.common.typeutils.base.BigDecSerializer";
    /// `java.util.Date`.
    Date "Date": "api.common.typeutils.base.DateSerializer";
    /// `java.sql.Date`.
    SqlDate "sql.Date": "api.common.typeutils.base.SqlDateSerializer";
    /// `java.sql.Time`.
    SqlTime "sql.Time": "api.common.typeutils.base.SqlTimeSerializer";
    /// `java.sql.Timestamp`.
    SqlTimestamp "sql.Timestamp": "api.common.typeutils.base.SqlTimestampSerializer";
    /// `java.time.Instant`.
    Instant "Instant": "api.common.typeutils.base.InstantSerializer";
    /// `java.time.LocalDate`.
    LocalDate "LocalDate": "api.common.typeutils.base.LocalDateSerializer";
    /// `java.time.LocalTime`.
    LocalTime "LocalTime": "api.common.typeutils.base.LocalTimeSerializer";
    /// `java.time.LocalDateTime`.
    LocalDateTime "LocalDateTime": "api.common.typeutils.base.LocalDateTimeSerializer";
    /// `java.lang.Void`.
    Void "Void": "api.common.typeutils.base.VoidSerializer";
    /// `org.apache.flink.types.NullValue`.
    NullValue "NullValue": "api.common.typeutils.base.NullValueSerializer";
    /// `org.apache.flink.types.variant.Variant` (since 2.1).
    Variant "Variant": "api.common.typeutils.base.VariantSerializer";
    /// `org.apache.flink.types.bitmap.Bitmap` (since 2.3).
    Bitmap "Bitmap": "api.common.typeutils.base.BitmapSerializer";
    /// `boolean[]`.
    BooleanArray "boolean[]": "api.common.typeutils.base.array.BooleanPrimitiveArraySerializer";
    /// `byte[]`.
    ByteArray "byte[]": "api.common.typeutils.base.array.BytePrimitiveArraySerializer";
    /// `char[]`.
    CharArray "char[]": "api.common.typeutils.base.array.CharPrimitiveArraySerializer";
    /// `short[]`.
    ShortArray "short[]": "api.common.typeutils.base.array.ShortPrimitiveArraySerializer";
    /// `int[]`.
    IntArray "int[]": "api.common.typeutils.base.array.IntPrimitiveArraySerializer";
    /// `long[]`.
    LongArray "long[]": "api.common.typeutils.base.array.LongPrimitiveArraySerializer";
    /// `float[]`.
    FloatArray "float[]": "api.common.typeutils.base.array.FloatPrimitiveArraySerializer";
    /// `double[]`.
    DoubleArray "double[]": "api.common.typeutils.base.array.DoublePrimitiveArraySerializer";
    /// `String[]`.
    StringArray "String[]": "api.common.typeutils.base.array.StringArraySerializer";
    /// `Tuple0`.
    Tuple0 "Tuple0": "api.java.typeutils.runtime.Tuple0Serializer";
    /// The namespace of state outside of windows.
    VoidNamespace "VoidNamespace":
        "runtime.state.VoidNamespaceSerializer" | "queryablestate.client.VoidNamespaceSerializer";
    /// Any `Serializable`, as a Java serialization stream.
    JavaObject "Serializable": "runtime.state.JavaSerializer";
    /// A time window of the DataStream API.
    TimeWindow "TimeWindow": "streaming.api.windowing.windows.TimeWindow$Serializer";
    /// The one global window of the DataStream API.
    GlobalWindow "GlobalWindow": "streaming.api.windowing.windows.GlobalWindow$Serializer";
    /// A time window of SQL.
    TableTimeWindow "TimeWindow": "table.runtime.operators.window.TimeWindow$Serializer";
    /// A count window of SQL.
    TableCountWindow "CountWindow": "table.runtime.operators.window.CountWindow$Serializer";
    /// The one global window of SQL.
    TableGlobalWindow "GlobalWindow": "table.runtime.operators.window.GlobalWindow$Serializer";
    /// SQL's internal string.
    StringData "StringData": "table.runtime.typeutils.StringDataSerializer";
    /// SQL's `NULL` type in data views.
    TableNull "Null": "table.dataview.NullSerializer";
    /// `byte[]` as a key in PyFlink state.
    ByteArrayWrapper "ByteArrayWrapper": "streaming.api.utils.ByteArrayWrapperSerializer";
    /// PyFlink: `BigDecimal`.
    PythonBigDecimal "BigDecimal": "table.runtime.typeutils.serializers.python.BigDecSerializer";
    /// PyFlink: `sql.Date`.
    PythonDate "sql.Date": "table.runtime.typeutils.serializers.python.DateSerializer";
    /// PyFlink: `sql.Time`.
    PythonTime "sql.Time": "table.runtime.typeutils.serializers.python.TimeSerializer";
    /// PyFlink: a string in UTF-8.
    PythonString "String": "table.runtime.typeutils.serializers.python.StringSerializer";
    /// `scala.Unit`.
    ScalaUnit "Unit": "api.scala.typeutils.UnitSerializer";
    /// `scala.Nothing`.
    ScalaNothing "Nothing": "api.scala.typeutils.NothingSerializer";
    /// CEP: version of a partial match.
    CepDeweyNumber "DeweyNumber": "cep.nfa.DeweyNumber$DeweyNumberSerializer";
    /// CEP: id of an event.
    CepEventId "EventId": "cep.nfa.sharedbuffer.EventId$EventIdSerializer";
}

impl Basic {
    /// By the name of the snapshot class, without `org.apache.flink.`.
    ///
    /// The snapshot is a nested class named after its serializer (`FooSerializer$FooSerializerSnapshot`),
    /// with a few exceptions.
    pub(super) fn of_snapshot(class: &str) -> Option<Self> {
        if let Some(serializer) = class.strip_suffix("Snapshot")
            && (serializer.ends_with(".Tuple0Serializer") || serializer.ends_with(".NothingSerializer"))
        {
            return Self::of_serializer(serializer);
        }
        let (serializer, nested) = class.rsplit_once('$')?;
        let nested = nested.strip_suffix("Snapshot")?;
        let (_, simple) = serializer.rsplit_once(['.', '$'])?;
        // `TimeWindow$Serializer$TimeWindowSerializerSnapshot`.
        let outer = serializer.strip_suffix("$Serializer").and_then(|s| s.rsplit_once('.'));
        let fits = match outer {
            Some((_, window)) => nested.strip_suffix("Serializer") == Some(window),
            None => nested == simple,
        };
        if fits { Self::of_serializer(serializer) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_recognized_by_their_full_name_only() {
        let of = Basic::of_snapshot;
        assert_eq!(of("api.common.typeutils.base.LongSerializer$LongSerializerSnapshot"), Some(Basic::Long));
        assert_eq!(
            of("streaming.api.windowing.windows.TimeWindow$Serializer$TimeWindowSerializerSnapshot"),
            Some(Basic::TimeWindow)
        );
        assert_eq!(
            of("cep.nfa.DeweyNumber$DeweyNumberSerializer$DeweyNumberSerializerSnapshot"),
            Some(Basic::CepDeweyNumber)
        );
        assert_eq!(of("api.java.typeutils.runtime.Tuple0SerializerSnapshot"), Some(Basic::Tuple0));
        assert_eq!(of("api.common.typeutils.base.LongSerializer$IntSerializerSnapshot"), None);
        assert_eq!(of("com.example.LongSerializer$LongSerializerSnapshot"), None);
        assert_eq!(of("api.common.typeutils.base.LongSerializerSnapshot"), None);
    }
}
