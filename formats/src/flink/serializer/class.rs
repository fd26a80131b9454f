//! Which snapshot class has which layout.

use super::basic::Basic;

/// How the payload of a snapshot class is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Simple(Basic),
    Composite(Composite),
    Plain(Plain),
    Legacy(Legacy),
}

/// Subclasses of `CompositeTypeSerializerSnapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Composite {
    List,
    Set,
    Map,
    Either,
    GenericArray,
    Tuple,
    Row,
    Nullable,
    Transparent,
    Ttl,
    Timer,
    StreamElement,
    BufferEntry,
    TaggedUnion,
    TwoPhaseCommit,
    RawValueData,
    External,
    LinkedList,
    WindowKey,
    ListView,
    MapView,
    NullAwareMap,
    CaseClass,
    ScalaOption,
    ScalaTry,
    ScalaEither,
    Traversable,
    NfaState,
    /// Without outer data: name and the names of its parts.
    Named(&'static str, &'static [&'static str]),
}

/// Classes with a layout of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Pojo,
    Kryo,
    Enum,
    Avro,
    Value,
    CopyableValue,
    RowData { python: bool },
    BinaryRowData,
    ArrayData { python: bool },
    MapData { python: bool },
    DecimalData { python: bool },
    TimestampData { python: bool },
    SortedMap,
    RowDataKey,
    TtlAware,
    ScalaEnum,
    EitherLegacy,
    GenericArrayLegacy,
}

/// `TypeSerializerConfigSnapshot`s of Flink before 1.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Legacy {
    /// `CompositeTypeSerializerConfigSnapshot` and its subclasses: a resilience block.
    Composite(Composite),
    /// As composite, then the tuple's class as a Java object.
    Tuple,
    /// `GenericTypeSerializerConfigSnapshot`: the class name.
    CopyableValue,
    Value,
    Kryo,
    Pojo,
    Enum,
    ScalaEnum,
    /// `ParameterlessTypeSerializerConfig`: the name of the serializer class.
    Parameterless,
}

/// The layout of a snapshot class, by its full name.
pub(super) fn layout(class: &str) -> Option<Layout> {
    let rest = class.strip_prefix("org.apache.flink.")?;
    if let Some(basic) = Basic::of_snapshot(rest) {
        return Some(Layout::Simple(basic));
    }
    if let Some(composite) = composite(rest) {
        return Some(Layout::Composite(composite));
    }
    plain(rest).map(Layout::Plain).or_else(|| legacy(rest).map(Layout::Legacy))
}

fn composite(rest: &str) -> Option<Composite> {
    use Composite as C;
    const MULTISET: &str = "table.runtime.sequencedmultisetstate.linked.";
    if let Some(name) = rest.strip_prefix(MULTISET) {
        return match name {
            "NodeSerializer$NodeSerializerSnapshot" => Some(C::Named("MultisetNode", &[])),
            "RowSqnInfoSerializer$RowSqnInfoSerializerSnapshot" => {
                Some(C::Named("RowSqnInfo", &["first", "last"]))
            }
            "MetaSqnInfoSerializer$MetaSqnInfoSerializerSnapshot" => {
                Some(C::Named("MetaSqnInfo", &["highest", "size"]))
            }
            _ => None,
        };
    }
    Some(match rest {
        "api.common.typeutils.base.ListSerializerSnapshot" | "runtime.state.ArrayListSerializerSnapshot" => {
            C::List
        }
        "api.common.typeutils.base.SetSerializerSnapshot" => C::Set,
        "api.common.typeutils.base.MapSerializerSnapshot" => C::Map,
        "api.java.typeutils.runtime.JavaEitherSerializerSnapshot" => C::Either,
        "api.common.typeutils.base.GenericArraySerializerSnapshot" => C::GenericArray,
        "api.java.typeutils.runtime.TupleSerializerSnapshot" => C::Tuple,
        "api.java.typeutils.runtime.RowSerializer$RowSerializerSnapshot" => C::Row,
        "api.java.typeutils.runtime.NullableSerializer$NullableSerializerSnapshot" => C::Nullable,
        "api.common.typeutils.SingleThreadAccessCheckingTypeSerializer$SingleThreadAccessCheckingTypeSerializerSnapshot" => {
            C::Transparent
        }
        "runtime.state.ttl.TtlStateFactory$TtlSerializerSnapshot"
        | "runtime.state.v2.ttl.TtlStateFactory$TtlSerializerSnapshot" => C::Ttl,
        "streaming.api.operators.TimerSerializerSnapshot" => C::Timer,
        "streaming.runtime.streamrecord.StreamElementSerializer$StreamElementSerializerSnapshot" => {
            C::StreamElement
        }
        "streaming.api.operators.co.IntervalJoinOperator$BufferEntrySerializerSnapshot" => C::BufferEntry,
        "streaming.api.datastream.CoGroupedStreams$UnionSerializerSnapshot" => C::TaggedUnion,
        "streaming.api.functions.sink.TwoPhaseCommitSinkFunction$StateSerializerSnapshot"
        | "streaming.api.functions.sink.legacy.TwoPhaseCommitSinkFunction$StateSerializerSnapshot" => {
            C::TwoPhaseCommit
        }
        "table.runtime.typeutils.RawValueDataSerializer$RawValueDataSerializerSnapshot" => C::RawValueData,
        "table.runtime.typeutils.ExternalSerializer$ExternalSerializerSnapshot" => C::External,
        "table.runtime.typeutils.LinkedListSerializer$LinkedListSerializerSnapshot" => C::LinkedList,
        "table.runtime.typeutils.WindowKeySerializer$WindowKeySerializerSnapshot" => C::WindowKey,
        "table.dataview.ListViewSerializerSnapshot" => C::ListView,
        "table.dataview.MapViewSerializerSnapshot" => C::MapView,
        "table.dataview.NullAwareMapSerializerSnapshot" => C::NullAwareMap,
        "table.runtime.types.CRowSerializerSnapshot" => C::Named("CRow", &["row"]),
        "api.scala.typeutils.ScalaCaseClassSerializerSnapshot"
        | "api.scala.typeutils.Tuple2CaseClassSerializerSnapshot" => C::CaseClass,
        "api.scala.typeutils.ScalaOptionSerializerSnapshot" => C::ScalaOption,
        "api.scala.typeutils.ScalaTrySerializerSnapshot" => C::ScalaTry,
        "api.scala.typeutils.ScalaEitherSerializerSnapshot" => C::ScalaEither,
        "api.scala.typeutils.TraversableSerializerSnapshot" => C::Traversable,
        "cep.nfa.NFAStateSerializerSnapshot" => C::NfaState,
        "cep.nfa.sharedbuffer.LockableTypeSerializerSnapshot" => C::Named("Lockable", &["element"]),
        "cep.nfa.sharedbuffer.NodeId$NodeIdSerializer$NodeIdSerializerSnapshot" => {
            C::Named("NodeId", &["eventId"])
        }
        "cep.nfa.sharedbuffer.SharedBufferEdge$SharedBufferEdgeSerializer$SharedBufferEdgeSerializerSnapshot" => {
            C::Named("SharedBufferEdge", &["nodeId", "version"])
        }
        "cep.nfa.sharedbuffer.SharedBufferNode$SharedBufferNodeSerializer$SharedBufferNodeSerializerSnapshot" => {
            C::Named("SharedBufferNode", &["edges"])
        }
        "cep.nfa.sharedbuffer.SharedBufferNodeSerializerSnapshotV2" => {
            C::Named("SharedBufferNode", &["edge"])
        }
        "cep.nfa.SharedBuffer$SharedBufferSerializerSnapshot" => {
            C::Named("SharedBuffer", &["key", "value", "version"])
        }
        "cep.nfa.NFA$MigratedNFASerializerSnapshot" => C::Named("NFA", &["event", "sharedBuffer"]),
        _ => return None,
    })
}

fn plain(rest: &str) -> Option<Plain> {
    use Plain as P;
    Some(match rest {
        "api.java.typeutils.runtime.PojoSerializerSnapshot" => P::Pojo,
        "api.java.typeutils.runtime.kryo.KryoSerializerSnapshot" => P::Kryo,
        "api.common.typeutils.base.EnumSerializer$EnumSerializerSnapshot" => P::Enum,
        "formats.avro.typeutils.AvroSerializerSnapshot" => P::Avro,
        "api.java.typeutils.runtime.ValueSerializer$ValueSerializerSnapshot" => P::Value,
        "api.java.typeutils.runtime.CopyableValueSerializer$CopyableValueSerializerSnapshot" => {
            P::CopyableValue
        }
        "table.runtime.typeutils.RowDataSerializer$RowDataSerializerSnapshot" => P::RowData { python: false },
        "table.runtime.typeutils.serializers.python.RowDataSerializer$RowDataSerializerSnapshot" => {
            P::RowData { python: true }
        }
        "table.runtime.typeutils.BinaryRowDataSerializer$BinaryRowDataSerializerSnapshot" => P::BinaryRowData,
        "table.runtime.typeutils.ArrayDataSerializer$ArrayDataSerializerSnapshot" => {
            P::ArrayData { python: false }
        }
        "table.runtime.typeutils.serializers.python.ArrayDataSerializer$ArrayDataSerializerSnapshot" => {
            P::ArrayData { python: true }
        }
        "table.runtime.typeutils.MapDataSerializer$MapDataSerializerSnapshot" => P::MapData { python: false },
        "table.runtime.typeutils.serializers.python.MapDataSerializer$BaseMapSerializerSnapshot" => {
            P::MapData { python: true }
        }
        "table.runtime.typeutils.DecimalDataSerializer$DecimalSerializerSnapshot" => {
            P::DecimalData { python: false }
        }
        "table.runtime.typeutils.serializers.python.DecimalDataSerializer$DecimalSerializerSnapshot" => {
            P::DecimalData { python: true }
        }
        "table.runtime.typeutils.TimestampDataSerializer$TimestampDataSerializerSnapshot" => {
            P::TimestampData { python: false }
        }
        "table.runtime.typeutils.serializers.python.TimestampSerializer$TimestampSerializerSnapshot" => {
            P::TimestampData { python: true }
        }
        "table.runtime.typeutils.SortedMapSerializerSnapshot" => P::SortedMap,
        "table.runtime.sequencedmultisetstate.linked.RowDataKeySerializerSnapshot" => P::RowDataKey,
        "runtime.state.ttl.TtlAwareSerializerSnapshot" => P::TtlAware,
        "api.scala.typeutils.ScalaEnumSerializerSnapshot" => P::ScalaEnum,
        "api.java.typeutils.runtime.EitherSerializerSnapshot" => P::EitherLegacy,
        "api.common.typeutils.base.GenericArraySerializerConfigSnapshot" => P::GenericArrayLegacy,
        _ => return None,
    })
}

fn legacy(rest: &str) -> Option<Legacy> {
    use {Composite as C, Legacy as L};
    Some(match rest {
        "api.common.typeutils.base.CollectionSerializerConfigSnapshot" => L::Composite(C::List),
        "api.common.typeutils.base.MapSerializerConfigSnapshot" => L::Composite(C::Map),
        "api.java.typeutils.runtime.EitherSerializerConfigSnapshot" => L::Composite(C::Either),
        "api.java.typeutils.runtime.TupleSerializerConfigSnapshot" => L::Tuple,
        "streaming.api.operators.TimerSerializer$TimerSerializerConfigSnapshot" => L::Composite(C::Timer),
        "streaming.runtime.streamrecord.StreamElementSerializer$StreamElementSerializerConfigSnapshot" => {
            L::Composite(C::StreamElement)
        }
        "streaming.api.operators.co.IntervalJoinOperator$BufferSerializerConfigSnapshot" => {
            L::Composite(C::BufferEntry)
        }
        "streaming.api.datastream.CoGroupedStreams$UnionSerializerConfigSnapshot" => {
            L::Composite(C::TaggedUnion)
        }
        "api.scala.typeutils.OptionSerializer$OptionSerializerConfigSnapshot"
        | "api.scala.typeutils.ScalaOptionSerializerConfigSnapshot" => L::Composite(C::ScalaOption),
        "api.scala.typeutils.TrySerializer$TrySerializerConfigSnapshot"
        | "api.scala.typeutils.ScalaTrySerializerConfigSnapshot" => L::Composite(C::ScalaTry),
        "api.scala.typeutils.EnumValueSerializer$ScalaEnumSerializerConfigSnapshot" => L::ScalaEnum,
        "table.runtime.types.CRowSerializer$CRowSerializerConfigSnapshot" => {
            L::Composite(C::Named("CRow", &["row"]))
        }
        "api.common.typeutils.ParameterlessTypeSerializerConfig" => L::Parameterless,
        "api.java.typeutils.runtime.CopyableValueSerializer$CopyableValueSerializerConfigSnapshot" => {
            L::CopyableValue
        }
        "api.java.typeutils.runtime.ValueSerializer$ValueSerializerConfigSnapshot" => L::Value,
        "api.java.typeutils.runtime.kryo.KryoSerializer$KryoSerializerConfigSnapshot" => L::Kryo,
        "api.java.typeutils.runtime.PojoSerializer$PojoSerializerConfigSnapshot" => L::Pojo,
        "api.common.typeutils.base.EnumSerializer$EnumSerializerConfigSnapshot" => L::Enum,
        _ => return None,
    })
}
