//! How to step over values of types without parameters.

use super::StopKind;
use crate::flink::serializer::Basic;

/// The encoding of a [`Basic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flink) enum Shape {
    Fixed(u32),
    String,
    StringValue,
    BigInteger,
    BigDecimal,
    Variant,
    /// i32 n, n units of so many bytes.
    Sized(u32),
    /// i32 n, n strings.
    Strings,
    Stop(StopKind),
}

pub(in crate::flink) fn shape(basic: Basic) -> Shape {
    match basic {
        Basic::NullValue => Shape::Fixed(0),
        Basic::Boolean
        | Basic::BooleanValue
        | Basic::Byte
        | Basic::ByteValue
        | Basic::Void
        | Basic::VoidNamespace
        | Basic::Tuple0
        | Basic::ScalaUnit
        | Basic::GlobalWindow
        | Basic::TableGlobalWindow
        | Basic::TableNull => Shape::Fixed(1),
        Basic::Short | Basic::ShortValue | Basic::Char | Basic::CharValue => Shape::Fixed(2),
        Basic::Int
        | Basic::IntValue
        | Basic::Float
        | Basic::FloatValue
        | Basic::PythonDate
        | Basic::PythonTime => Shape::Fixed(4),
        Basic::LocalDate => Shape::Fixed(6),
        Basic::LocalTime => Shape::Fixed(7),
        Basic::Long
        | Basic::LongValue
        | Basic::SortedLong
        | Basic::Double
        | Basic::DoubleValue
        | Basic::Date
        | Basic::SqlDate
        | Basic::SqlTime
        | Basic::TableCountWindow => Shape::Fixed(8),
        Basic::SqlTimestamp | Basic::Instant | Basic::CepEventId => Shape::Fixed(12),
        Basic::LocalDateTime => Shape::Fixed(13),
        Basic::TimeWindow | Basic::TableTimeWindow => Shape::Fixed(16),
        Basic::String => Shape::String,
        Basic::StringValue => Shape::StringValue,
        Basic::BigInteger => Shape::BigInteger,
        Basic::BigDecimal => Shape::BigDecimal,
        Basic::Variant => Shape::Variant,
        Basic::BooleanArray
        | Basic::ByteArray
        | Basic::Bitmap
        | Basic::StringData
        | Basic::ByteArrayWrapper
        | Basic::PythonBigDecimal
        | Basic::PythonString => Shape::Sized(1),
        Basic::CharArray | Basic::ShortArray => Shape::Sized(2),
        Basic::IntArray | Basic::FloatArray | Basic::CepDeweyNumber => Shape::Sized(4),
        Basic::LongArray | Basic::DoubleArray => Shape::Sized(8),
        Basic::StringArray => Shape::Strings,
        Basic::JavaObject => Shape::Stop(StopKind::JavaObject),
        // There is no value of it.
        Basic::ScalaNothing => Shape::Stop(StopKind::Unsupported),
    }
}
