//! What high availability keeps about completed checkpoints: the files `completedCheckpoint…` of the HA storage,
//! and the pointers to them in ZooKeeper's nodes and Kubernetes' ConfigMaps.
//!
//! On recovery Flink reads these, and fails if any checkpoint that they name is gone (FLINK-22502); it does not list
//! checkpoint directories. For each completed checkpoint there is
//!
//! ```text
//! <high-availability.storageDir>/<cluster-id>/completedCheckpoint<12 hex digits>     a CompletedCheckpoint
//! ZooKeeper: <root>/<cluster-id>/jobs/<job id>/checkpoints/<checkpoint id, 19 digits>  its pointer
//!            <root>/<cluster-id>/checkpoints/<job id>/<checkpoint id, 19 digits>       the same up to 1.14
//! Kubernetes: key checkpointID-<checkpoint id, 19 digits> of the job's ConfigMap       its pointer, in base64
//! ```
//!
//! (`FileSystemStateStorageHelper`, `ZooKeeperStateHandleStore`, `KubernetesStateHandleStore`). Both are Java
//! serialization streams of one object and nothing behind it (`InstantiationUtil.serializeObject`). A pointer:
//!
//! ```text
//! AC ED 00 05 73                                           magic, version, TC_OBJECT
//!   72 00 3B org.apache.flink.runtime.state.RetrievableStreamStateHandle … 1 field
//!   73 72 00 39 …state.filesystem.FileStateHandle …        wrappedStreamStateHandle
//!      00 00 00 00 00 00 2B A2                             stateSize: of completedCheckpoint…, bytes
//!      73 72 00 1D org.apache.flink.core.fs.Path …         filePath
//!         73 72 00 0C java.net.URI … 74 00 41 "file:/…"    its uri's string, and TC_ENDBLOCKDATA
//! ```
//!
//! In a ConfigMap a `KubernetesStateHandleStore$StateHandleWithDeleteMarker { inner, markedForDeletion }` may be around
//! it. A completed checkpoint, with what it has had in all releases from 1.13 to 2.3 (class descriptors say which fields there
//! are and in what order; `serialVersionUID`s are not looked at):
//!
//! ```text
//! org.apache.flink.runtime.checkpoint.CompletedCheckpoint
//!   long   checkpointID, timestamp                         the latter in milliseconds since 1970
//!   long   duration (1.13), completionTimestamp (later)
//!   String externalPointer                                 the directory of _metadata, as Flink shows it
//!   JobID  job { long lowerPart, upperPart }               shown as hex, the lower part first
//!   StreamStateHandle metadataHandle                       where _metadata is
//!   CheckpointProperties props, restoredProps (later)
//!   CompletedCheckpointStorageLocation storageLocation
//!     FsCompletedCheckpointStorageLocation { Path exclusiveCheckpointDir, FileStateHandle metadataFileHandle,
//!                                            String externalPointer }
//!   Map<OperatorID, OperatorState> operatorStates          all state handles, as objects
//!   Collection<MasterState> masterHookStates
//! ```
//!
//! So it names every file of the checkpoint again, and unlike `_metadata` with the full path of each: that of a
//! `RelativeFileStateHandle`, too. The two may disagree: the first checkpoints after a native savepoint was claimed have
//! handles whose relative paths lead nowhere from their own directory (FLINK-39964), but whose full paths are right.
//!
//! A `Path` is its `java.net.URI`, whose string has `%XX` for what may not stand in a URI; what is returned here is what
//! `Path.toString` shows, as it stands in `_metadata`.
//!
//! Whoever deletes relies on it that no file was overlooked. So a class of Flink's (or anybody's) that is not known is an error, and so
//! is a path in an object that is not known to have one.

use crate::cursor::{Cursor, Limits};
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::flink::metadata::CheckpointProperties;
use crate::java::stream::{JavaStream, ObjectKind, ObjectRef, Value};

mod classes;
mod uri;

use classes::is_known;

const CHECKPOINT: &str = "org.apache.flink.runtime.checkpoint.CompletedCheckpoint";
const RETRIEVABLE: &str = "org.apache.flink.runtime.state.RetrievableStreamStateHandle";
const DELETE_MARKER: &str =
    "org.apache.flink.kubernetes.highavailability.KubernetesStateHandleStore$StateHandleWithDeleteMarker";
const ABSTRACT_ID: &str = "org.apache.flink.util.AbstractID";
const PATH: &str = "org.apache.flink.core.fs.Path";
const URI: &str = "java.net.URI";
const FILE: &str = "org.apache.flink.runtime.state.filesystem.FileStateHandle";
const RELATIVE: &str = "org.apache.flink.runtime.state.filesystem.RelativeFileStateHandle";
const SEGMENT: &str = "org.apache.flink.runtime.state.filemerging.SegmentFileStateHandle";
const EMPTY_SEGMENT: &str = "org.apache.flink.runtime.state.filemerging.EmptySegmentFileStateHandle";
const DIRECTORY: &str = "org.apache.flink.runtime.state.filemerging.DirectoryStreamStateHandle";
const LOCATION: &str = "org.apache.flink.runtime.state.filesystem.FsCompletedCheckpointStorageLocation";
const BYTES: &str = "org.apache.flink.runtime.state.memory.ByteStreamStateHandle";

/// The content of a file `completedCheckpoint…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedCheckpoint {
    /// The job, 32 hex digits as Flink shows them.
    pub job_id: String,
    /// The checkpoint's number.
    pub checkpoint_id: i64,
    /// When it was triggered, milliseconds since 1970.
    pub timestamp: i64,
    /// Where Flink says that it is: the directory of its `_metadata`. Not a path if the checkpoint is not addressable.
    pub external_pointer: String,
    /// Its `_metadata`.
    pub metadata: Stream,
    /// What kind of snapshot it is, and when Flink discards it.
    pub properties: CheckpointProperties,
    /// Every place that it names, `_metadata` among them, in the order of the stream. Several handles may name one place.
    pub places: Vec<Place>,
}

/// What stands in a ZooKeeper node or, in base64, in a ConfigMap: where a `completedCheckpoint…` (or another thing that
/// high availability keeps) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Where it is.
    pub stream: Stream,
    /// Whether Flink was about to remove it; in ConfigMaps only.
    pub marked_for_deletion: bool,
}

/// A stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// `FileStateHandle`: an object of its own.
    File {
        /// Its URI.
        path: String,
        /// Its size in bytes, as recorded.
        size: i64,
    },
    /// `ByteStreamStateHandle`: the bytes lie in this file itself.
    Inline {
        /// The path that the object would have had; there is none.
        name: String,
        /// The bytes.
        data: Vec<u8>,
    },
}

/// A place on storage that a checkpoint names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The full URI.
    pub path: String,
    /// What it names there.
    pub kind: PlaceKind,
}

/// What a [`Place`] names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceKind {
    /// `FileStateHandle`: a whole object.
    File {
        /// Its size in bytes, as recorded.
        size: i64,
    },
    /// `RelativeFileStateHandle`: a whole object that `_metadata` names by the last part of its path only.
    Relative {
        /// What `_metadata` says.
        relative: String,
        /// Its size in bytes, as recorded.
        size: i64,
    },
    /// `SegmentFileStateHandle`: a part of an object that others may have parts of (FLIP-306).
    Segment {
        /// Where the part begins.
        start: i64,
        /// How long it is, in bytes.
        size: i64,
    },
    /// `DirectoryStreamStateHandle`: a directory of merged files, which Flink manages (FLIP-306).
    MergingDirectory,
    /// `FsCompletedCheckpointStorageLocation`: the checkpoint's own directory, which Flink deletes with it.
    CheckpointDirectory,
}

impl CompletedCheckpoint {
    /// Decodes a whole file.
    ///
    /// # Errors
    /// If the bytes are no Java stream, go on behind it, hold anything but a completed checkpoint, or one with parts that
    /// are not known. Errors about what objects are like, not about bytes, have the offset of the object at the top: 0.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self> {
        let stream = parse(bytes, limits)?;
        let root = Shape::of(stream.root(), CHECKPOINT, "a completed checkpoint is a CompletedCheckpoint")?;
        let mut places = Vec::new();
        for object in stream.objects() {
            place(object, &mut places).named("object", || object.class_name().to_owned())?;
        }
        Ok(Self {
            job_id: id(root.object("job")?).field("job")?,
            checkpoint_id: root.long("checkpointID")?,
            timestamp: root.long("timestamp")?,
            external_pointer: root.string("externalPointer")?,
            metadata: Stream::of(root.object("metadataHandle")?).field("metadataHandle")?,
            properties: CheckpointProperties::of(root.object("props")?, 0).field("props")?,
            places,
        })
    }
}

impl Pointer {
    /// Decodes the whole content of a node, or of a ConfigMap's entry after base64.
    ///
    /// # Errors
    /// As [`CompletedCheckpoint::decode`].
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self> {
        let stream = parse(bytes, limits)?;
        let (mut root, mut marked_for_deletion) = (stream.root(), false);
        if root.class_name() == DELETE_MARKER {
            let marker = Shape { object: root };
            marked_for_deletion = marker.get("markedForDeletion", "a boolean", Value::boolean)?;
            root = marker.object("inner")?;
        }
        let rule = "a pointer is a RetrievableStreamStateHandle";
        let handle = Shape::of(root, RETRIEVABLE, rule)?.object("wrappedStreamStateHandle")?;
        let stream = Stream::of(handle).field("wrappedStreamStateHandle")?;
        Ok(Self { stream, marked_for_deletion })
    }
}

/// The one object that the bytes are, all of whose classes are known.
fn parse(bytes: &[u8], limits: Limits) -> Result<JavaStream> {
    let mut cursor = Cursor::new(bytes).with_limits(limits);
    let stream = JavaStream::parse(&mut cursor)?;
    cursor.finish()?;
    match stream.classes().iter().find(|class| !is_known(&class.name)) {
        None => Ok(stream),
        Some(class) => {
            let what = format!("class {:?} in what high availability keeps", class.name);
            Err(Error::new(ErrorKind::Unsupported { what }, 0))
        }
    }
}

impl Stream {
    fn of(object: ObjectRef<'_>) -> Result<Self> {
        let shape = Shape { object };
        match object.class_name() {
            BYTES => {
                let data = shape.get("data", "a byte[]", |value| value.object()?.bytes())?.to_vec();
                Ok(Self::Inline { name: shape.string("handleName")?, data })
            }
            // A relative one has the full path as well.
            FILE | RELATIVE => {
                Ok(Self::File { path: shape.path("filePath")?, size: shape.long("stateSize")? })
            }
            _ => Err(wrong("a stream is a file or inlined", object.class_name())),
        }
    }
}

/// Adds what an object names on storage.
fn place(object: ObjectRef<'_>, places: &mut Vec<Place>) -> Result<()> {
    if object.kind() != ObjectKind::Instance {
        return Ok(());
    }
    let shape = Shape { object };
    let (field, kind) = match object.class_name() {
        FILE => ("filePath", PlaceKind::File { size: shape.long("stateSize")? }),
        RELATIVE => {
            let relative = shape.string("relativePath")?;
            ("filePath", PlaceKind::Relative { relative, size: shape.long("stateSize")? })
        }
        SEGMENT => {
            let (start, size) = (shape.long("startPos")?, shape.long("stateSize")?);
            ("filePath", PlaceKind::Segment { start, size })
        }
        // Its path is a word that stands for no file.
        EMPTY_SEGMENT => return Ok(()),
        DIRECTORY => ("directory", PlaceKind::MergingDirectory),
        LOCATION => ("exclusiveCheckpointDir", PlaceKind::CheckpointDirectory),
        _ => {
            let named =
                |value: Value<'_>| value.object().is_some_and(|o| [PATH, URI].contains(&o.class_name()));
            return match object.fields().find(|&(_, value)| named(value)) {
                Some((name, _)) if object.class_name() != PATH => {
                    Err(wrong("only known handles have paths", &format!("one in field {name}")))
                }
                _ => Ok(()),
            };
        }
    };
    places.push(Place { path: shape.path(field)?, kind });
    Ok(())
}

/// An id's 32 hex digits, as `AbstractID.toString` shows it.
fn id(object: ObjectRef<'_>) -> Result<String> {
    let shape = Shape { object };
    if !object.class_chain().contains(&ABSTRACT_ID) {
        return Err(wrong("an id is an AbstractID", object.class_name()));
    }
    Ok(format!("{:016x}{:016x}", shape.long("lowerPart")?, shape.long("upperPart")?))
}

/// An object whose fields must be there, and of a certain type.
#[derive(Clone, Copy)]
struct Shape<'a> {
    object: ObjectRef<'a>,
}

impl<'a> Shape<'a> {
    fn of(object: ObjectRef<'a>, class: &str, rule: &'static str) -> Result<Self> {
        match object.class_name() {
            name if name == class => Ok(Self { object }),
            "" => Err(wrong(rule, "null")),
            name => Err(wrong(rule, &format!("an object of class {name:?}"))),
        }
    }

    fn get<T>(
        self,
        field: &'static str,
        what: &'static str,
        take: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<T> {
        let value = self.object.field(field);
        value
            .and_then(take)
            .ok_or_else(|| {
                let found = match value {
                    None => {
                        let fields: Vec<&str> = self.object.fields().map(|(name, _)| name).collect();
                        format!("a {} with fields {fields:?}", self.object.class_name())
                    }
                    Some(value) => format!("{value:?}"),
                };
                wrong(what, &found)
            })
            .field(field)
    }

    fn long(self, field: &'static str) -> Result<i64> {
        self.get(field, "a long", Value::integer)
    }

    fn string(self, field: &'static str) -> Result<String> {
        self.get(field, "a string", |value| value.string().map(str::to_owned))
    }

    fn object(self, field: &'static str) -> Result<ObjectRef<'a>> {
        self.get(field, "an object", Value::object)
    }

    /// What `Path.toString` would show of a `Path`.
    fn path(self, field: &'static str) -> Result<String> {
        let text = self.get(field, "a Path", |value| {
            let path = value.object().filter(|path| path.class_name() == PATH)?;
            let uri = path.field("uri")?.object().filter(|uri| uri.class_name() == URI)?;
            uri.field("string")?.string()
        })?;
        uri::decoded(text)
            .ok_or_else(|| wrong("a path is a hierarchical URI without query, whose escapes are UTF-8", text))
            .field(field)
    }
}

/// An error about an object: the stream says of none where it begins.
fn wrong(rule: &'static str, found: &str) -> Error {
    Error::invalid(rule, found, 0)
}

#[cfg(test)]
mod tests;
