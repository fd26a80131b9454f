//! Reads state handles; `super` reads what holds them.

use super::handle::*;
use super::tally::Tally;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// A cursor that keeps account of what the bytes are spent on.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) version: i32,
    pub(super) tally: Tally,
}

impl<'a> Decoder<'a> {
    /// Runs `read` and books the bytes it consumed.
    pub(super) fn booked<T>(
        &mut self,
        purpose: fn(&mut Tally) -> &mut u64,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T>,
    ) -> Result<T> {
        let before = self.cursor.remaining();
        let result = read(&mut self.cursor);
        let consumed = before.saturating_sub(self.cursor.remaining()) as u64;
        let booked = purpose(&mut self.tally);
        *booked = booked.saturating_add(consumed);
        result
    }

    fn path(&mut self) -> Result<Text<'a>> {
        self.booked(|t| &mut t.paths, Cursor::utf)
    }

    fn offsets(&mut self, what: &'static str, purpose: fn(&mut Tally) -> &mut u64) -> Result<Offsets<'a>> {
        let count = self.cursor.count32(what, 8)?;
        self.booked(purpose, |c| c.take(count.saturating_mul(8)).map(Offsets))
    }

    /// A size or position: never negative.
    fn size(&mut self, what: &'static str) -> Result<i64> {
        let offset = self.cursor.offset();
        match self.cursor.i64().field(what)? {
            n if n >= 0 => Ok(n),
            n => Err(Error::invalid("a size is not negative", n.to_string(), offset)
                .within(crate::error::PathSegment::Field(what))),
        }
    }

    fn key_group_range(&mut self) -> Result<KeyGroupRange> {
        let offset = self.cursor.offset();
        let (start, count) = (self.cursor.i32()?, self.cursor.i32()?);
        match (u32::try_from(start), u32::try_from(count)) {
            (Ok(start), Ok(count)) if start.checked_add(count).is_some_and(|end| end <= MAX_KEY_GROUPS) => {
                Ok(KeyGroupRange { start, count })
            }
            _ => Err(Error::invalid(
                "key groups lie below 32768",
                format!("start {start}, count {count}"),
                offset,
            )),
        }
    }

    /// `serializeStreamStateHandle`: one tag byte, then the handle; `None` for the null tag.
    pub(super) fn stream(&mut self) -> Result<Option<StreamHandle<'a>>> {
        let offset = self.cursor.offset();
        let handle = match self.cursor.u8()? {
            0 => return Ok(None),
            1 => {
                let name = self.path().field("handle_name")?;
                let (data, at) = self
                    .booked(
                        |t| &mut t.inlined_state,
                        |c| {
                            let data = c.bytes32("inlined state")?;
                            Ok((data, c.offset().saturating_sub(data.len() as u64)))
                        },
                    )
                    .field("data")?;
                StreamHandle::ByteStream { name, data, offset: at }
            }
            2 => {
                let size = self.size("size")?;
                StreamHandle::File { size, path: self.path().field("path")? }
            }
            3 => {
                let handle = self.deeper(|d| d.key_groups_handle(false))?;
                StreamHandle::KeyGroups(Box::new(handle))
            }
            6 => {
                let path = self.path().field("path")?;
                StreamHandle::Relative { path, size: self.size("size")? }
            }
            15 => {
                let start = self.size("start")?;
                let size = self.size("size")?;
                let at = self.cursor.offset();
                let scope = match self.cursor.i32().field("scope")? {
                    0 => SegmentScope::Exclusive,
                    1 => SegmentScope::Shared,
                    found => {
                        let kind = ErrorKind::UnknownTag { what: "scope of a segment", found: found.into() };
                        return Err(Error::new(kind, at));
                    }
                };
                let path = self.path().field("path")?;
                StreamHandle::Segment {
                    start,
                    size,
                    scope,
                    path,
                    logical_id: self.path().field("logical_id")?,
                }
            }
            16 => StreamHandle::EmptySegment,
            found => {
                let kind = ErrorKind::UnknownTag { what: "stream state handle", found: found.into() };
                return Err(Error::new(kind, offset));
            }
        };
        Ok(Some(handle))
    }

    fn required_stream(&mut self) -> Result<StreamHandle<'a>> {
        let offset = self.cursor.offset();
        self.stream()
            .field("stream")?
            .ok_or_else(|| Error::invalid("the stream of this handle is not null", "a null handle", offset))
    }

    fn key_groups_handle(&mut self, with_id: bool) -> Result<KeyGroupsHandle<'a>> {
        let offset = self.cursor.offset();
        let key_groups = self.key_group_range().field("key_groups")?;
        let count = self.cursor.check_count("key-group offsets", key_groups.count.into(), 8, offset)?;
        let offsets = self
            .booked(|t| &mut t.key_group_offsets, |c| c.take(count.saturating_mul(8)).map(Offsets))
            .field("offsets")?;
        let stream = self.required_stream()?;
        let id = if with_id { Some(self.cursor.utf().field("id")?) } else { None };
        Ok(KeyGroupsHandle { key_groups, offsets, stream, id })
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        // The cursor keeps the depth; it is lent out for the check and taken back for the work.
        self.cursor.descend()?;
        let result = read(self);
        self.cursor.ascend();
        result
    }

    /// `serializeKeyedStateHandle`: one tag byte, then the handle; `None` for the null tag.
    pub(super) fn keyed(&mut self) -> Result<Option<KeyedHandle<'a>>> {
        let offset = self.cursor.offset();
        let tag = self.cursor.i8()?;
        self.deeper(|d| d.keyed_after_tag(tag, offset))
    }

    fn keyed_after_tag(&mut self, tag: i8, offset: u64) -> Result<Option<KeyedHandle<'a>>> {
        Ok(Some(match tag {
            0 => return Ok(None),
            3 => KeyedHandle::KeyGroups(self.key_groups_handle(false)?),
            12 => KeyedHandle::KeyGroups(self.key_groups_handle(true)?),
            7 => KeyedHandle::SavepointKeyGroups(self.key_groups_handle(false)?),
            5 => KeyedHandle::Incremental(self.incremental(false)?),
            11 => KeyedHandle::Incremental(self.incremental(true)?),
            8 => KeyedHandle::Changelog(self.changelog(false)?),
            14 => KeyedHandle::Changelog(self.changelog(true)?),
            9 => KeyedHandle::ChangelogBytes(self.changelog_bytes()?),
            10 => KeyedHandle::ChangelogFiles(self.changelog_files(false)?),
            13 => KeyedHandle::ChangelogFiles(self.changelog_files(true)?),
            found => {
                let kind = ErrorKind::UnknownTag { what: "keyed state handle", found: found.into() };
                return Err(Error::new(kind, offset));
            }
        }))
    }

    fn incremental(&mut self, second_version: bool) -> Result<IncrementalHandle<'a>> {
        let checkpoint_id = self.cursor.i64().field("checkpoint_id")?;
        let backend_id = self.cursor.utf().field("backend_id")?;
        let key_groups = self.key_group_range().field("key_groups")?;
        let checkpointed_size =
            if second_version { Some(self.cursor.i64().field("checkpointed_size")?) } else { None };
        let meta = self.stream().field("meta")?;
        let shared = self.named_streams("shared")?;
        let private = self.named_streams("private")?;
        let id = if second_version { Some(self.cursor.utf().field("id")?) } else { None };
        Ok(IncrementalHandle {
            checkpoint_id,
            backend_id,
            key_groups,
            checkpointed_size,
            meta,
            shared,
            private,
            id,
        })
    }

    fn named_streams(&mut self, what: &'static str) -> Result<Vec<NamedStream<'a>>> {
        let count = self.cursor.count32("files", 3).field(what)?;
        let mut files = Vec::with_capacity(count);
        for i in 0..count {
            let local_path = self.path().field("local_path").index(what, i)?;
            let stream = self.stream().index(what, i)?;
            files.push(NamedStream { local_path, stream });
        }
        Ok(files)
    }

    fn changelog(&mut self, second_version: bool) -> Result<ChangelogHandle<'a>> {
        let key_groups = self.key_group_range().field("key_groups")?;
        let checkpointed_size = self.cursor.i64().field("checkpointed_size")?;
        let materialized = self.keyed_list("materialized")?;
        let deltas = self.keyed_list("deltas")?;
        let materialization_id = self.cursor.i64().field("materialization_id")?;
        let checkpoint_id =
            if second_version { Some(self.cursor.i64().field("checkpoint_id")?) } else { None };
        let id = self.cursor.utf().field("id")?;
        Ok(ChangelogHandle {
            key_groups,
            checkpointed_size,
            materialized,
            deltas,
            materialization_id,
            checkpoint_id,
            id,
        })
    }

    fn keyed_list(&mut self, what: &'static str) -> Result<Vec<KeyedHandle<'a>>> {
        let count = self.cursor.count32("keyed state handles", 1).field(what)?;
        let mut handles = Vec::new();
        for i in 0..count {
            handles.extend(self.keyed().index(what, i)?);
        }
        Ok(handles)
    }

    fn changelog_bytes(&mut self) -> Result<ChangelogBytesHandle<'a>> {
        let key_groups = self.key_group_range().field("key_groups")?;
        let from_sqn = self.cursor.i64().field("from_sqn")?;
        let to_sqn = self.cursor.i64().field("to_sqn")?;
        let count = self.cursor.count32("changes", 8).field("changes")?;
        let mut changes = Vec::with_capacity(count);
        for i in 0..count {
            let key_group = self.cursor.i32().field("key_group").index("changes", i)?;
            let data = self.booked(|t| &mut t.inlined_state, |c| c.bytes32("change")).index("changes", i)?;
            let offset = self.cursor.offset().saturating_sub(data.len() as u64);
            changes.push(Change { key_group, data, offset });
        }
        let id = self.cursor.utf().field("id")?;
        Ok(ChangelogBytesHandle { key_groups, from_sqn, to_sqn, changes, id })
    }

    fn changelog_files(&mut self, second_version: bool) -> Result<ChangelogFilesHandle<'a>> {
        let key_groups = self.key_group_range().field("key_groups")?;
        let count = self.cursor.count32("changelog files", 9).field("streams")?;
        let mut streams = Vec::with_capacity(count);
        for i in 0..count {
            let offset = self.cursor.i64().field("offset").index("streams", i)?;
            streams.push((offset, self.stream().index("streams", i)?));
        }
        let size = self.cursor.i64().field("size")?;
        let checkpointed_size = self.cursor.i64().field("checkpointed_size")?;
        let id = self.cursor.utf().field("id")?;
        let storage = if second_version { Some(self.cursor.utf().field("storage")?) } else { None };
        Ok(ChangelogFilesHandle { key_groups, streams, size, checkpointed_size, id, storage })
    }

    /// `serializeOperatorStateHandle`: one tag byte, then the handle; `None` for the null tag.
    pub(super) fn operator_state(&mut self) -> Result<Option<OperatorStateHandle<'a>>> {
        let offset = self.cursor.offset();
        let merged = match self.cursor.u8()? {
            0 => return Ok(None),
            4 => false,
            17 => true,
            found => {
                let kind = ErrorKind::UnknownTag { what: "operator state handle", found: found.into() };
                return Err(Error::new(kind, offset));
            }
        };
        let count = self.cursor.count32("operator states", 7).field("states")?;
        let mut states = Vec::with_capacity(count);
        for i in 0..count {
            states.push(self.operator_state_partitions().index("states", i)?);
        }
        let merging = if merged {
            Some(MergingDirectories {
                task_owned: self.path().field("task_owned_dir")?,
                shared: self.path().field("shared_dir")?,
                is_empty: self.cursor.bool().field("is_empty")?,
            })
        } else {
            None
        };
        let stream = self.stream().field("stream")?;
        Ok(Some(OperatorStateHandle { states, stream, merging }))
    }

    fn operator_state_partitions(&mut self) -> Result<OperatorStatePartitions<'a>> {
        let name = self.booked(|t| &mut t.operator_state_offsets, Cursor::utf).field("name")?;
        let offset = self.cursor.offset();
        let mode = match self.cursor.u8().field("mode")? {
            0 => DistributionMode::SplitDistribute,
            1 => DistributionMode::Union,
            2 => DistributionMode::Broadcast,
            found => {
                let kind = ErrorKind::UnknownTag { what: "distribution mode", found: found.into() };
                return Err(Error::new(kind, offset));
            }
        };
        let offsets =
            self.offsets("partition offsets", |t| &mut t.operator_state_offsets).field("offsets")?;
        Ok(OperatorStatePartitions { name, mode, offsets })
    }

    /// The list of channel state handles of one direction.
    pub(super) fn channels(&mut self) -> Result<Vec<ChannelHandle<'a>>> {
        let count = self.cursor.count32("channel state handles", 17)?;
        let mut handles = Vec::with_capacity(count);
        for i in 0..count {
            handles.push(self.channel().index("handles", i)?);
        }
        Ok(handles)
    }

    /// `ChannelStateHandleSerializer`: untagged before version 6, tagged since.
    fn channel(&mut self) -> Result<ChannelHandle<'a>> {
        let offset = self.cursor.offset();
        let tag = if self.version >= 6 { self.cursor.u8()? } else { 1 };
        match tag {
            1 | 2 => {
                let subtask = self.cursor.i32().field("subtask")?;
                let (gate, channel) = (self.cursor.i32()?, self.cursor.i32()?);
                let offsets = self.offsets("buffer offsets", |t| &mut t.channel_state).field("offsets")?;
                let size = self.size("size")?;
                let stream = self.stream().field("stream")?;
                let channels = vec![Channel { gate, channel, size, offsets }];
                Ok(ChannelHandle { subtask, size, channels, merged: false, stream })
            }
            3 | 4 => {
                let subtask = self.cursor.i32().field("subtask")?;
                let size = self.size("size")?;
                let stream = self.stream().field("stream")?;
                let length = self.cursor.length32("merged channel offsets")?;
                let mut blob = self.booked(|t| &mut t.channel_state, |c| c.sub(length))?;
                let channels = merged_channels(&mut blob).field("merged_channels")?;
                Ok(ChannelHandle { subtask, size, channels, merged: true, stream })
            }
            found => {
                let kind = ErrorKind::UnknownTag { what: "channel state handle", found: found.into() };
                Err(Error::new(kind, offset))
            }
        }
    }
}

/// Flink's upper bound of the max parallelism (`KeyGroupRangeAssignment.UPPER_BOUND_MAX_PARALLELISM`).
const MAX_KEY_GROUPS: u32 = 1 << 15;

fn merged_channels<'a>(blob: &mut Cursor<'a>) -> Result<Vec<Channel<'a>>> {
    let count = blob.count32("merged channels", 20)?;
    let mut channels = Vec::with_capacity(count);
    for i in 0..count {
        let mut one = || {
            let (gate, channel) = (blob.i32()?, blob.i32()?);
            let size = blob.i64()?;
            let count = blob.count32("buffer offsets", 8)?;
            let offsets = Offsets(blob.take(count.saturating_mul(8))?);
            Ok(Channel { gate, channel, size, offsets })
        };
        channels.push(one().index("channels", i)?);
    }
    blob.finish()?;
    Ok(channels)
}
