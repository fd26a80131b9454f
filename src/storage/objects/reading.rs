//! Reading.

use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimeParser;
use object_store::list::PaginatedListOptions;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt};

use super::client::{Clients, meta_of};
use super::listing;
use crate::storage::buffers::Buffers;
use crate::storage::{
    Access, AfterKey, Fetched, ListScope, Location, Meter, ObjectMeta, Op, PageFn, Result, SchemeClass, Span,
    Storage, StorageError, StorageErrorKind,
};

/// Reads S3, GCS, Azure and web servers. Each bucket's client is made when it is first asked.
pub struct ObjectStorage {
    clients: Clients,
    buffers: Buffers,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage").field("access", &self.clients.access).finish_non_exhaustive()
    }
}

impl ObjectStorage {
    /// Reaches stores as told, and counts what they are asked with `meter`. Asks nobody yet.
    #[must_use]
    pub fn new(access: Access, meter: Arc<Meter>) -> Self {
        Self { clients: Clients::new(access, meter), buffers: Buffers::default() }
    }

    fn get(&self, location: &Location, span: &Span, heads: &mut u64) -> Result<Fetched> {
        let fail = |kind| StorageError::new(kind, span.op(), location.clone());
        match span {
            Span::Range(Range { start, end }) if start > end => {
                Err(fail(StorageErrorKind::InvalidRange { start: *start, end: *end }))
            }
            Span::Range(range) => match self.part(location, span, Some(GetRange::Bounded(range.clone()))) {
                // If the object ends before the range begins, how long it is belongs into the message.
                Err(error) if *error.kind() == StorageErrorKind::Other => {
                    *heads += 1;
                    match self.clients.head(span.op(), location).map(|meta| span.within(meta.size)) {
                        Ok(Err(kind)) => Err(fail(kind)),
                        _ => Err(error),
                    }
                }
                answer => answer,
            },
            Span::Full { .. } => self.part(location, span, None),
            // Azure knows no suffixes.
            Span::Suffix(_) if location.class() == SchemeClass::Azure => self.suffix(location, span, heads),
            Span::Suffix(length) => match self.part(location, span, Some(GetRange::Suffix(*length))) {
                // An empty object has no last bytes, and some servers answer with no part if all is asked for.
                Err(error) if *error.kind() == StorageErrorKind::Other => {
                    self.suffix(location, span, heads).map_err(|_| error)
                }
                answer => answer,
            },
        }
    }

    /// The last bytes, by asking for the size first.
    fn suffix(&self, location: &Location, span: &Span, heads: &mut u64) -> Result<Fetched> {
        *heads += 1;
        let meta = self.clients.head(span.op(), location)?;
        let range = span.within(meta.size);
        let range = range.map_err(|kind| StorageError::new(kind, span.op(), location.clone()))?;
        if range.is_empty() {
            return Fetched::checked(location, span, Bytes::new(), meta);
        }
        self.part(location, span, Some(GetRange::Bounded(range)))
    }

    fn part(&self, location: &Location, span: &Span, range: Option<GetRange>) -> Result<Fetched> {
        let answer = self.clients.call(span.op(), location, |client, path| {
            let options = GetOptions { range: range.clone(), ..GetOptions::default() };
            async move {
                let answer = client.store.get_opts(&path, options).await?;
                let meta = meta_of(&answer.meta);
                // Before the body is read: it may be larger than is wanted.
                Ok(match span.within(meta.size) {
                    Ok(_) => Ok((body(&self.buffers, answer).await?, meta)),
                    Err(kind) => Err(kind),
                })
            }
        })?;
        match answer {
            Ok((bytes, meta)) => Fetched::checked(location, span, bytes, meta),
            Err(kind) => Err(StorageError::new(kind, span.op(), location.clone())),
        }
    }
}

impl Storage for ObjectStorage {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        let answer = self.clients.head(Op::Head, location);
        self.clients.record(Op::Head, location, None, 0, answer.is_err());
        answer
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        if span.is_empty() {
            let answer = self
                .clients
                .head(span.op(), location)
                .and_then(|meta| Fetched::checked(location, span, Bytes::new(), meta));
            self.clients.record(Op::Head, location, Some(span), 0, answer.is_err());
            return answer;
        }
        let mut heads = 0;
        let result = self.get(location, span, &mut heads);
        (0..heads).for_each(|_| self.clients.record(Op::Head, location, None, 0, false));
        let bytes = result.as_ref().map_or(0, |fetched| fetched.bytes.len());
        self.clients.record(span.op(), location, Some(span), bytes, result.is_err());
        result
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        listing::list(&self.clients, directory, scope, page)
    }

    fn list_after(&self, directory: &Location, after: &str, page: &mut PageFn<'_>) -> Result<AfterKey> {
        listing::list_after(&self.clients, directory, after, page)
    }

    fn server_time(&self, location: &Location) -> Result<Option<i64>> {
        let (op, max_keys) = (Op::List, Some(1));
        let answer = self.clients.call_and_look(op, location, |client, path| async move {
            let Some(pages) = &client.pages else {
                return client.store.head(&path).await.map(drop);
            };
            let options = PaginatedListOptions { max_keys, ..Default::default() };
            let prefix = (!path.as_ref().is_empty()).then(|| path.as_ref());
            pages.list_paginated(prefix, options).await.map(drop)
        });
        self.clients.record(op, location, None, 0, answer.is_err());
        let ((), call) = answer?;
        let fail = |message: String| {
            let new = StorageError::new(StorageErrorKind::Other, op, location.clone()).with_message(message);
            Err(new.with_remedy("ages cannot be told without the clock of the store"))
        };
        if let Some(age) = call.header("age").filter(|age| *age != "0") {
            return fail(format!("the answer was kept by a proxy for {age} seconds, and its time with it"));
        }
        let date = call.header("date").unwrap_or_default();
        match DateTimeParser::new().parse_timestamp(date) {
            Ok(time) => Ok(Some(time.as_millisecond())),
            Err(_) => fail(format!("its answer does not say what time it is (Date: {date:?})")),
        }
    }
}

/// All of a body, in one piece.
async fn body(buffers: &Buffers, answer: GetResult) -> object_store::Result<Bytes> {
    let length = answer.range.end.saturating_sub(answer.range.start);
    let mut parts = answer.into_stream();
    let mut next = async || poll_fn(|context| parts.as_mut().poll_next(context)).await.transpose();
    let Some(first) = next().await? else { return Ok(Bytes::new()) };
    let Some(second) = next().await? else { return Ok(first) };
    let mut buffer = buffers.take(length);
    buffer.extend_from_slice(&first);
    buffer.extend_from_slice(&second);
    while let Some(part) = next().await? {
        buffer.extend_from_slice(&part);
    }
    Ok(buffers.lend(buffer))
}
