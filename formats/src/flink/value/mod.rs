//! Values of every serializer, decoded by the serializer's snapshot alone.

mod avro;
mod basic;
mod compile;
mod java;
mod json;
mod kryo;
mod kryo_time;
mod number;
mod path;
mod run;
mod sink;
mod sql;
mod text;
mod time;

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
mod tests;
