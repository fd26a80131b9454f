//! Timers in raw keyed state: heap timers of the RocksDB backend, and of ForSt's asynchronous operators.
//!
//! ```text
//! per key group  F1 CD 85 9F | i32 2 | i32 n
//!                | n * { utf service | versioned key serializer | versioned namespace serializer
//!                      | i32 e | e * timer (event time) | i32 p | p * timer (processing time) }
//! timer          key | namespace | i64 timestamp in milliseconds
//! ```
//!
//! Source: `InternalTimerServiceSerializationProxy`, `InternalTimersSnapshotReaderWriters` (flink-runtime,
//! since 1.7; checked 1.20 and 2.3). Custom raw keyed state has a format of its own and starts otherwise.

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::flink::serializer::{SerializerSnapshot, read_versioned};

/// `PostVersionedIOReadableWritable.VERSIONED_IDENTIFIER`.
const VERSIONED_IDENTIFIER: u32 = 0xF1CD_859F;

/// The timer services of one key group.
#[derive(Debug, Clone, PartialEq)]
pub struct TimerServices {
    /// The services that could be read.
    pub services: Vec<TimerService>,
    /// How many there are.
    pub count: usize,
    /// Why not all could be read.
    pub error: Option<Error>,
}

/// A timer service.
#[derive(Debug, Clone, PartialEq)]
pub struct TimerService {
    /// Name, such as `user-timers`.
    pub name: String,
    /// Serializer of keys.
    pub key_serializer: SerializerSnapshot,
    /// Serializer of namespaces.
    pub namespace_serializer: SerializerSnapshot,
    /// Event-time timers; `None` if they could not be reached.
    pub event: Option<Timers>,
    /// Processing-time timers; `None` if they could not be reached.
    pub processing: Option<Timers>,
}

/// Timers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How many.
    pub count: usize,
    /// Absolute offset of the first.
    pub offset: u64,
    /// Bytes of all of them; `None` if they could not be stepped over.
    pub length: Option<u64>,
    /// Earliest and latest timestamp, in milliseconds.
    pub range: Option<(i64, i64)>,
}

impl TimerServices {
    /// Parses the timers of one key group.
    ///
    /// `skip` steps over one value of a serializer and says whether it could.
    ///
    /// # Errors
    /// Where the bytes are no timers of version 2. What is wrong further in is in
    /// [`TimerServices::error`].
    pub fn parse(
        cursor: &mut Cursor<'_>,
        mut skip: impl FnMut(&SerializerSnapshot, &mut Cursor<'_>) -> Result<bool>,
    ) -> Result<Self> {
        let count = timer_service_head(cursor)?;
        let mut out = Self { services: Vec::new(), count, error: None };
        for i in 0..count {
            match service(cursor, &mut out.services, &mut skip).index("services", i) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    out.error = Some(error);
                    break;
                }
            }
        }
        Ok(out)
    }
}

/// Parses what stands in front of the services of a key group, and returns how many there are.
///
/// # Errors
/// Where the bytes are no timers of version 2.
pub(in crate::flink) fn timer_service_head(cursor: &mut Cursor<'_>) -> Result<usize> {
    let offset = cursor.offset();
    let identifier = cursor.u32().field("identifier")?;
    if identifier != VERSIONED_IDENTIFIER {
        let rule = "versioned timers start with F1CD859F";
        return Err(Error::invalid(rule, format!("{identifier:08X}"), offset)).field("identifier");
    }
    let offset = cursor.offset();
    let version = cursor.i32().field("version")?;
    if version != 2 {
        let kind = ErrorKind::UnknownVersion { what: "timer services", found: version.into(), known: "2" };
        return Err(Error::new(kind, offset));
    }
    cursor.count32("timer services", 22)
}

impl TimerService {
    /// Parses what stands in front of the timers of a service.
    ///
    /// # Errors
    /// Any, and a serializer snapshot that is not known: nothing says where it ends.
    pub(in crate::flink) fn parse_head(cursor: &mut Cursor<'_>) -> Result<Self> {
        let (service, stop) = head(cursor)?;
        match stop {
            Some(error) => Err(error),
            None => Ok(service),
        }
    }
}

/// What stands in front of the timers of a service, and why it could not be read to its end.
fn head(cursor: &mut Cursor<'_>) -> Result<(TimerService, Option<Error>)> {
    let name = cursor.utf().field("name")?.into_owned();
    let key = read_versioned(cursor);
    if let Some(stop) = key.stop {
        return Err(stop.into_error()).field("key_serializer");
    }
    let namespace = read_versioned(cursor);
    let service = TimerService {
        name,
        key_serializer: key.snapshot,
        namespace_serializer: namespace.snapshot,
        event: None,
        processing: None,
    };
    let stop = namespace.stop.map(|stop| Err::<(), _>(stop.into_error()).field("namespace_serializer"));
    Ok((service, stop.and_then(Result::err)))
}

/// Reads a service. Returns whether its end was reached.
fn service(
    cursor: &mut Cursor<'_>,
    services: &mut Vec<TimerService>,
    skip: &mut impl FnMut(&SerializerSnapshot, &mut Cursor<'_>) -> Result<bool>,
) -> Result<bool> {
    let (service, stop) = head(cursor)?;
    services.push(service);
    if let Some(error) = stop {
        return Err(error);
    }
    let Some(service) = services.last_mut() else { return Ok(false) };
    for event in [true, false] {
        let (key, namespace) = (&service.key_serializer, &service.namespace_serializer);
        let field = if event { "event_timers" } else { "processing_timers" };
        let timers =
            timers(cursor, |cursor| Ok(skip(key, cursor)? && skip(namespace, cursor)?)).field(field)?;
        let whole = timers.length.is_some();
        if event {
            service.event = Some(timers);
        } else {
            service.processing = Some(timers);
        }
        if !whole {
            return Ok(false);
        }
    }
    Ok(true)
}

fn timers(cursor: &mut Cursor<'_>, mut skip: impl FnMut(&mut Cursor<'_>) -> Result<bool>) -> Result<Timers> {
    let count = cursor.count32("timers", 8)?;
    let offset = cursor.offset();
    let mut timers = Timers { count, offset, length: None, range: None };
    for i in 0..count {
        if !skip(cursor).index("timers", i)? {
            return Ok(timers);
        }
        let at = cursor.i64().index("timers", i)?;
        timers.range = Some(timers.range.map_or((at, at), |(low, high)| (low.min(at), high.max(at))));
    }
    timers.length = Some(cursor.offset().saturating_sub(offset));
    Ok(timers)
}
