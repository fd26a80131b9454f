//! Values of every serializer, decoded by the serializer's snapshot alone.
//!
//! A [`ValueDecoder`] is compiled once from a [`SerializerSnapshot`]; it goes over a value and calls a [`ValueSink`] for each part. It
//! builds nothing, so that what a value costs is what its sink makes of it: [`JsonSink`] writes JSON, [`PathSink`] picks what filters
//! compare. How bytes are laid out stands with [`walk`](super::walk), whose rules and functions a decoder uses, and in the modules here, for what walkers
//! step over as a whole: SQL's binary rows, Kryo.
//!
//! A [`ValueEncoder`] goes the other way: from such JSON to bytes, as a lookup by key needs them.
//!
//! # What cannot be decoded
//!
//! It is told as [`Opaque`]. Where its length is known (a constant that is not in the enum, a row of SQL that is broken), what follows it is
//! decoded. Else it covers the rest of the bytes, all that is open ends, and [`Decoded::walked`] says where and why: as a walk does,
//! though decoding goes on where a walk stops and bytes say more than snapshots do (Kryo, Java's streams).
//!
//! What bytes may cost is bounded: values nest 256 deep; parts that have no bytes, or that several refer to, are counted; a sink says how much room it
//! has ([`ValueSink::room`]), as [`JsonSink`] does by [`JsonLimits`]. Beyond that, the rest of a value is opaque.
//!
//! # JSON
//!
//! Whole numbers have all digits, and floating-point ones those that tell them apart; NaN and infinities are strings. Numbers of any size are
//! strings, in plain digits unless the scale is negative or large. Texts are strings, or `{"$utf16": hex}` if they are no valid UTF-16; bytes
//! are hex. Lists and arrays are arrays, maps arrays of `{"key", "value"}`. Dates and times are as ISO 8601 and `java.time` have them. Objects have
//! names of fields where these are stored, and `f0`, `f1`, … (`_1`, … of Scala's products) where not. What begins with `$` is no field: `$class` of a
//! subclass, `$kind` of a row that is no insertion, `$ttl`, `$incomplete` where the outermost object ends early. What is opaque is
//! `{"$opaque": hex, "bytes": n}`, with `truncated`, `class`, and either `why` or `error` and `at`.

mod avro;
mod basic;
mod compile;
mod encode;
mod java;
mod json;
mod kryo;
mod number;
mod path;
mod run;
mod sink;
mod sql;
mod text;
mod time;

pub use encode::{EncodeError, EncodeProblem, ValueEncoder};
pub use json::{JsonLimits, JsonSink};
pub use kryo::KryoVersion;
pub use number::{Decimal, Unscaled};
pub use path::{BadValuePath, Digits, MAX_PATHS, PathSink, PathStep, Scalar, ValuePath};
pub use sink::{Name, Opaque, OpaqueReason, ValueSink, Width};
pub use text::{Text, Units};
pub use time::{Moment, Temporal};

use self::compile::{Id, Node};
use self::run::Run;
use super::serializer::SerializerSnapshot;
use super::walk::{BadValue, StopReason, Walked};

/// The stop for what nests too deep.
const TOO_DEEP: u32 = 0;
/// The stop for what has too many parts, or for which a sink has no room.
const TOO_LARGE: u32 = 1;

/// Decodes the values of a serializer. Compiled once; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct ValueDecoder {
    nodes: Vec<Node>,
    root: Id,
    stops: Vec<StopReason>,
}

/// What came of decoding a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// How far it went, as a walk does. Where that is not [`Walked::End`], all that follows was told to the sink as opaque.
    pub walked: Walked,
    /// Parts that were told as opaque, the one at which decoding stopped included. Others have a known length, and what
    /// follows them was decoded.
    pub opaque: usize,
}

impl ValueDecoder {
    /// Compiles a snapshot. What cannot be decoded becomes a stop. Snapshots do not say which Kryo wrote their values.
    #[must_use]
    pub fn compile(snapshot: &SerializerSnapshot, kryo: KryoVersion) -> Self {
        compile::decoder(snapshot, kryo)
    }

    /// Everything at which decoding may stop.
    #[must_use]
    pub fn stops(&self) -> &[StopReason] {
        &self.stops
    }

    /// Decodes one value at the start of `bytes`; what follows it does not matter, unless nothing says where the value ends.
    #[inline]
    pub fn decode(&self, bytes: &[u8], sink: &mut impl ValueSink) -> Decoded {
        let mut run = Run::new(self, bytes, sink);
        let walked = run.value(self.root, 0, 0).map_or_else(Walked::from, Walked::End);
        Decoded { walked, opaque: run.opaque() }
    }

    /// Appends a value that the bytes consist of as JSON. If something follows it, all of them are opaque.
    pub fn write_json(&self, bytes: &[u8], out: &mut Vec<u8>, limits: JsonLimits) -> Decoded {
        let start = out.len();
        let mut sink = JsonSink::new(out, limits);
        let mut decoded = self.decode(bytes, &mut sink);
        sink.finish();
        if let Walked::End(at) = decoded.walked
            && at < bytes.len()
        {
            let bad = BadValue { at, rule: super::walk::read::Rule::Follows.text() };
            out.truncate(start);
            let mut sink = JsonSink::new(out, limits);
            sink.opaque(&Opaque { bytes, class: None, why: OpaqueReason::Bad(bad) });
            sink.finish();
            decoded = Decoded { walked: Walked::Bad(bad), opaque: 1 };
        }
        decoded
    }

    fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id as usize)
    }
}

#[cfg(test)]
pub(in crate::flink) mod tests;
