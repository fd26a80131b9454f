//! The frame around every snapshot: proxy, class name, version, nested snapshots, and what happens
//! where a class is not known.

use super::class::{self, Layout};
use super::{Edge, Kind, SerializerSnapshot};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};

/// `NestedSerializersSnapshotDelegate.MAGIC_NUMBER`.
const NESTED_MAGIC: u32 = 0x0014_57FD;
/// `TypeSerializerConfigSnapshot.ADAPTER_VERSION`: a serializer stands before the snapshot.
const ADAPTER_VERSION: i32 = 0x7A53_C4F0;

/// A snapshot that was read, perhaps not to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotRead {
    /// What was read.
    pub snapshot: SerializerSnapshot,
    /// Where reading had to stop; then the cursor's place means nothing.
    pub stop: Option<Stop>,
}

/// Where and why reading stopped short of a snapshot's end.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// The snapshot class that is not known, or that could not be decoded; empty if not even that
    /// could be read.
    pub class: String,
    /// Absolute offset of that class name.
    pub offset: u64,
    /// The end of the snapshot lies at this absolute offset or behind it.
    pub resume_from: u64,
    /// Why; `None` for a class that is not known.
    pub error: Option<Error>,
}

impl Stop {
    /// The stop as an error, for callers that have no way around it.
    #[must_use]
    pub fn into_error(self) -> Error {
        let Self { class, offset, error, .. } = self;
        error.unwrap_or_else(|| {
            Error::new(ErrorKind::Unsupported { what: format!("serializer snapshot class {class}") }, offset)
        })
    }
}

/// Reads a snapshot with its outermost frame (`TypeSerializerSnapshotSerializationUtil`, versions 1
/// and 2).
///
/// # Errors
/// [`ErrorKind::UnexpectedEnd`] and [`ErrorKind::UnknownVersion`] of the frame; everything further in is
/// a [`Stop`].
pub fn read_proxy(cursor: &mut Cursor<'_>) -> Result<SnapshotRead> {
    let offset = cursor.offset();
    match cursor.i32().field("proxy_version")? {
        1 | 2 => Ok(read_versioned(cursor)),
        found => {
            let kind = ErrorKind::UnknownVersion {
                what: "serializer snapshot proxy",
                found: found.into(),
                known: "1, 2",
            };
            Err(Error::new(kind, offset))
        }
    }
}

/// Reads a snapshot: class name, version, payload (`TypeSerializerSnapshot.readVersionedSnapshot`).
pub fn read_versioned(cursor: &mut Cursor<'_>) -> SnapshotRead {
    let mut reader = Reader { stop: None };
    let snapshot = reader.versioned(cursor);
    SnapshotRead { snapshot, stop: reader.stop }
}

/// Reads snapshots until one stops it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) stop: Option<Stop>,
}

impl Reader {
    /// One snapshot. Never fails: what cannot be decoded becomes [`Kind::Unknown`] and a stop.
    pub(super) fn versioned(&mut self, cursor: &mut Cursor<'_>) -> SerializerSnapshot {
        let offset = cursor.offset();
        let mut node = SerializerSnapshot {
            class: String::new(),
            version: 0,
            kind: Kind::Unknown { error: None, serializer: None },
            offset,
            length: None,
            children: Vec::new(),
        };
        let mut resume_from = offset;
        let result = cursor.nested(|cursor| {
            node.class = cursor.utf().field("class")?.into_owned();
            node.version = cursor.i32().field("version")?;
            resume_from = cursor.offset();
            let mut serializer = None;
            if node.version == ADAPTER_VERSION {
                serializer = super::serializer_blob(cursor).field("prior_serializer")?;
                node.version = cursor.i32().field("version")?;
                resume_from = cursor.offset();
            }
            let Some(layout) = class::layout(&node.class) else {
                node.kind = Kind::Unknown { error: None, serializer };
                self.stop = Some(Stop { class: node.class.clone(), offset, resume_from, error: None });
                return Ok(());
            };
            match layout {
                Layout::Simple(basic) => {
                    simple(node.version, cursor)?;
                    node.kind = Kind::Basic(basic);
                    Ok(())
                }
                Layout::Composite(composite) => self.composite(composite, &mut node, cursor),
                Layout::Plain(plain) => self.plain(plain, &mut node, cursor),
                Layout::Legacy(legacy) => self.legacy(legacy, &mut node, cursor),
            }
        });
        match result {
            Ok(()) if self.stop.is_none() => {
                node.length = Some(cursor.offset().saturating_sub(offset));
            }
            Ok(()) => {}
            Err(error) => {
                let error = error.within(crate::PathSegment::Named("snapshot", node.class.clone()));
                node.kind = Kind::Unknown { error: Some(error.clone()), serializer: None };
                // A stop further in comes first in the bytes, and explains this error.
                self.stop.get_or_insert_with(|| Stop {
                    class: node.class.clone(),
                    offset,
                    resume_from,
                    error: Some(error),
                });
            }
        }
        node
    }

    /// A child of `node`. Returns whether reading can go on.
    pub(super) fn child(
        &mut self,
        edge: Edge,
        node: &mut SerializerSnapshot,
        cursor: &mut Cursor<'_>,
    ) -> bool {
        let child = self.versioned(cursor);
        node.children.push((edge, child));
        self.stop.is_none()
    }

    /// Nested snapshots with their frame. `expected` is how many there must be.
    pub(super) fn nested(
        &mut self,
        expected: Option<usize>,
        edge: impl Fn(usize) -> Edge,
        node: &mut SerializerSnapshot,
        cursor: &mut Cursor<'_>,
    ) -> Result<()> {
        magic(NESTED_MAGIC, "nested serializer snapshots start with 001457FD", cursor).field("nested")?;
        let offset = cursor.offset();
        let version = cursor.i32().field("nested_version")?;
        if version != 1 {
            return Err(unknown_version("nested serializer snapshots", version, "1", offset));
        }
        let offset = cursor.offset();
        let count = cursor.count32("nested serializer snapshots", 6)?;
        if expected.is_some_and(|expected| expected != count) {
            let rule = "a serializer has as many nested ones as its type has parts";
            return Err(Error::invalid(rule, count.to_string(), offset));
        }
        for i in 0..count {
            if !self.child(edge(i), node, cursor) {
                break;
            }
        }
        Ok(())
    }

    /// Runs a decoder over a frame of known length: a stop inside does not leave it.
    pub(super) fn framed(
        &mut self,
        bytes: &mut Cursor<'_>,
        decode: impl FnOnce(&mut Self, &mut Cursor<'_>) -> SerializerSnapshot,
    ) -> SerializerSnapshot {
        let outer = self.stop.take();
        let mut node = decode(self, bytes);
        if self.stop.is_none()
            && let Err(error) = bytes.finish()
        {
            node.kind = Kind::Unknown { error: Some(error), serializer: None };
        }
        self.stop = outer;
        node
    }
}

/// `SimpleTypeSerializerSnapshot`.
fn simple(version: i32, cursor: &mut Cursor<'_>) -> Result<()> {
    match version {
        3 => Ok(()),
        2 => cursor.utf().field("serializer_class").map(|_| ()),
        found => Err(unknown_version("simple serializer snapshot", found, "2, 3", cursor.offset())),
    }
}

pub(super) fn unknown_version(what: &'static str, found: i32, known: &'static str, offset: u64) -> Error {
    Error::new(ErrorKind::UnknownVersion { what, found: found.into(), known }, offset)
}

pub(super) fn magic(expected: u32, rule: &'static str, cursor: &mut Cursor<'_>) -> Result<()> {
    let offset = cursor.offset();
    let found = cursor.u32()?;
    if found == expected { Ok(()) } else { Err(Error::invalid(rule, format!("{found:08X}"), offset)) }
}
