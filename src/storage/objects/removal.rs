//! Removal, copies and writing.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::client::{HttpConnector, HttpErrorKind, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{
    CopyMode, CopyOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use reqwest::Method;

use super::client::{Client, Clients, LONGEST_PAUSE, looked_at, path_of};
use super::failure::explain;
use super::listing;
use super::watched::{CALL, Call, Connector, Failure, begin_of, broken_off, element, innermost};
use crate::storage::removal::{PART, PartFn, Removal, Removed, RemovedFn, Versioning, parts, whole};
use crate::storage::{
    Access, ListEntry, ListScope, Location, Meter, ObjectMeta, Op, Result, SchemeClass, StorageError,
    StorageErrorKind,
};

/// Changes S3, GCS and Azure. Each bucket's client is made when it is first asked.
#[derive(Debug)]
pub(in crate::storage) struct ObjectRemoval {
    clients: Clients,
}

/// How many objects S3 removes by one request.
const S3_BATCH: usize = 1000;

/// How many objects Azure removes by one request.
const AZURE_BATCH: usize = 256;

/// How many requests for one object each are under way at once.
const SINGLE_REQUESTS: usize = 32;

/// The largest object that S3 copies by one request.
const S3_MOST_COPIED: u64 = 5 << 30;

/// How many parts an object is written in, at most: as many as S3 takes, and some fewer.
const MOST_PARTS: u64 = 9_000;

/// How long it is waited for a copy that the store makes by and by.
const COPY_TIME: Duration = Duration::from_secs(600);

/// How long a signed address is good for: it is used at once.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// What a request for many objects came to, in their order.
type Outcomes = Vec<object_store::Result<Path>>;

impl ObjectRemoval {
    /// Reaches stores as told, and counts what they are asked with `meter`. Asks nobody yet.
    pub(in crate::storage) fn new(access: Access, meter: Arc<Meter>) -> Self {
        Self { clients: Clients::new(access, meter) }
    }

    /// Removes objects of one bucket by requests for many. The index of the first is `begin`.
    fn remove_many(
        &self,
        client: &Client,
        begin: usize,
        locations: &[Location],
        each: &mut RemovedFn<'_>,
    ) -> ControlFlow<()> {
        let batch = if locations.first().is_some_and(|first| first.class() == SchemeClass::Azure) {
            AZURE_BATCH
        } else {
            S3_BATCH
        };
        for (number, batch_of) in locations.chunks(batch).enumerate() {
            for (index, outcome) in self.remove_batch(client, batch_of).into_iter().enumerate() {
                each(begin + number * batch + index, outcome)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Removes objects of one bucket by one request, and asks again for those of which the store says that it could
    /// not now.
    fn remove_batch(&self, client: &Client, locations: &[Location]) -> Vec<Result<Removed>> {
        let mut outcomes = Vec::with_capacity(locations.len());
        let mut open = Vec::with_capacity(locations.len());
        for (location, index) in locations.iter().zip(0..) {
            // Replaced as soon as the store says something.
            let unknown = StorageError::new(StorageErrorKind::Unavailable, Op::Delete, location.clone());
            let path = path_of(Op::Delete, location);
            outcomes.push(Err(path.as_ref().err().cloned().unwrap_or(unknown)));
            open.extend(path.ok().map(|path: Path| (index, location, path)));
        }
        let mut pause = self.clients.access.backoff;
        for tries in 0..=self.clients.access.retries {
            let Some((_, first, _)) = open.first() else { break };
            if tries > 0 {
                self.clients.meter.record_retries(1);
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
            let paths = open.iter().map(|(_, _, path)| path.clone()).collect();
            // What became of the whole request was tried again already.
            let answers = self.ask_to_remove(first, paths).map_err(|error| outcomes_of(&mut open, error));
            let (answers, is_last) = match answers {
                Ok(answers) => {
                    let told = |((_, location, _), answer): (&(usize, &Location, Path), _)| {
                        removed(client, location, answer)
                    };
                    (open.iter().zip(answers).map(told).collect(), false)
                }
                Err(answers) => (answers, true),
            };
            let mut answers = answers.into_iter();
            open.retain(|(index, _, _)| {
                let (Some(outcome), Some(answer)) = (outcomes.get_mut(*index), answers.next()) else {
                    return false;
                };
                *outcome = answer;
                !is_last && outcome.as_ref().is_err_and(|error| error.kind().is_transient())
            });
        }
        outcomes
    }

    /// One request for many objects. An error is one of the whole request.
    fn ask_to_remove(&self, first: &Location, paths: Vec<Path>) -> Result<Outcomes> {
        let count = paths.len();
        let ask = |client: Arc<Client>, _| {
            let paths = paths.clone();
            async move {
                let mut outcomes: Outcomes =
                    client.store.delete_stream(stream::iter(paths).map(Ok).boxed()).collect().await;
                let Some(Err(error)) = outcomes.pop_if(|last| last.is_err()) else { return Ok(outcomes) };
                let is_refused = CALL.with(|call| call.borrow().failure.is_some());
                if outcomes.is_empty() && (count > 1 || is_refused || broken_off(&error).is_some()) {
                    return Err(error);
                }
                outcomes.push(Err(error));
                Ok(outcomes)
            }
        };
        let fail = |message: &str| {
            StorageError::new(StorageErrorKind::Other, Op::Delete, first.clone()).with_message(message)
        };
        // The crate takes it for granted that an answer speaks of the objects that were asked for.
        let answer = catch_unwind(AssertUnwindSafe(|| self.clients.call(Op::Delete, first, ask)));
        let answer = answer.unwrap_or_else(|_| Err(fail("the store speaks of what it was not asked for")));
        let answer = answer.and_then(|outcomes| match outcomes.len() == count {
            true => Ok(outcomes),
            false => Err(fail("the store does not say of each object what became of it")),
        });
        self.clients.record(Op::Delete, first, None, 0, answer.is_err());
        answer
    }

    /// Removes objects of one bucket by a request for each, several at once. The index of the first is `begin`.
    fn remove_singly(
        &self,
        client: &Client,
        begin: usize,
        locations: &[Location],
        each: &mut RemovedFn<'_>,
    ) -> ControlFlow<()> {
        let mut under_way = VecDeque::new();
        let mut rest = locations.iter().zip(begin..);
        let mut flow = ControlFlow::Continue(());
        loop {
            while flow.is_continue()
                && under_way.len() < SINGLE_REQUESTS
                && let Some((location, index)) = rest.next()
            {
                let store = Arc::clone(&client.store);
                let job = path_of(Op::Delete, location)
                    .map(|path| client.runtime.spawn(looked_at(async move { store.delete(&path).await })));
                under_way.push_back((index, location, job));
            }
            let Some((index, location, job)) = under_way.pop_front() else { return flow };
            let outcome = job.and_then(|job| match client.runtime.block_on(job) {
                Ok((answer, call)) => self.removed_singly(client, location, answer, call),
                Err(_) => {
                    let error = StorageError::new(StorageErrorKind::Other, Op::Delete, location.clone());
                    Err(error.with_message("the client panicked"))
                }
            });
            self.clients.record(Op::Delete, location, None, 0, outcome.is_err());
            if flow.is_continue() {
                flow = each(index, outcome);
            }
        }
    }

    fn removed_singly(
        &self,
        client: &Client,
        location: &Location,
        answer: object_store::Result<()>,
        call: Call,
    ) -> Result<Removed> {
        self.clients.meter.record_retries(call.requests.saturating_sub(1));
        let Err(error) = answer else { return Ok(Removed::Removed) };
        let mut answer = Err(explain(Op::Delete, location, &client.identity, &error, call.failure.clone()));
        // The crate does not ask again where it cannot know whether it was heard; here, that does no harm.
        if let Some(Failure::Transport {
            kind: HttpErrorKind::Timeout | HttpErrorKind::Interrupted, ..
        }) = call.failure
        {
            self.clients.meter.record_retries(1);
            let again = |client: Arc<Client>, path: Path| async move { client.store.delete(&path).await };
            answer = self.clients.call(Op::Delete, location, again);
        }
        match answer {
            Ok(()) => Ok(Removed::Removed),
            // With a message, it is the bucket that is not there.
            Err(error) if *error.kind() == StorageErrorKind::NotFound && error.message().is_none() => {
                Ok(Removed::NotThere)
            }
            Err(error) => Err(error),
        }
    }

    fn head(&self, op: Op, location: &Location) -> Result<ObjectMeta> {
        let answer = self.clients.head(op, location);
        self.clients.record(Op::Head, location, None, 0, answer.is_err());
        answer
    }

    /// Refuses a place where something is.
    fn refuse_to_overwrite(&self, op: Op, location: &Location) -> Result<()> {
        match self.head(op, location) {
            Ok(_) => Err(StorageError::new(StorageErrorKind::AlreadyExists, op, location.clone())),
            Err(error) if *error.kind() == StorageErrorKind::NotFound && error.message().is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Has the store copy, and waits until it has.
    fn ask_to_copy(&self, from: &Location, to: &Location, mode: CopyMode) -> Result<ObjectMeta> {
        let source = path_of(Op::Copy, from)?;
        let answer = self.clients.call_and_look(Op::Copy, to, |client, path| {
            let (source, options) = (source.clone(), CopyOptions::new().with_mode(mode));
            async move { client.store.copy_opts(&source, &path, options).await }
        });
        self.clients.record(Op::Copy, to, None, 0, answer.is_err());
        let (_, mut call) = answer.map_err(|error| match error.kind() {
            StorageErrorKind::NotFound => error.about(from.clone()),
            _ => error,
        })?;
        let fail =
            |kind, message: String| Err(StorageError::new(kind, Op::Copy, to.clone()).with_message(message));
        let (mut waited, mut pause) = (Duration::ZERO, self.clients.access.backoff);
        // Azure has begun to copy when it answers, and says of the copy whether it is done.
        loop {
            match call.header("x-ms-copy-status") {
                None | Some("success") => return self.head(Op::Copy, to),
                Some("pending") if waited < COPY_TIME => {
                    std::thread::sleep(pause);
                    waited += pause;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    let look = |client: Arc<Client>, path| async move { client.store.head(&path).await };
                    let answer = self.clients.call_and_look(Op::Copy, to, look);
                    self.clients.record(Op::Head, to, None, 0, answer.is_err());
                    call = answer?.1;
                }
                Some("pending") => {
                    return fail(StorageErrorKind::Timeout, "the store has not done it yet".to_owned());
                }
                Some(other) => return fail(StorageErrorKind::Other, format!("it ended as {other:?}")),
            }
        }
    }

    /// Writes an object in one request.
    fn put_at_once(&self, location: &Location, bytes: &Bytes, mode: &PutMode) -> Result<ObjectMeta> {
        let answer = self.clients.call(Op::Put, location, |client, path| {
            let payload = PutPayload::from(bytes.clone());
            let options = PutOptions::from(mode.clone());
            async move { client.store.put_opts(&path, payload, options).await }
        });
        self.clients.record(Op::Put, location, None, 0, answer.is_err());
        answer?;
        self.head(Op::Put, location)
    }

    /// Writes an object in parts, which are one when the last is there.
    fn put_in_parts(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> Result<()> {
        let begin = |client: Arc<Client>, path| async move { client.store.put_multipart(&path).await };
        let mut upload = self.clients.call(Op::Put, location, begin)?;
        let client = self.clients.client(Op::Put, location)?;
        let explained = |error, call: Call| {
            let failure = call.failure.or_else(|| broken_off(&error));
            explain(Op::Put, location, &client.identity, &error, failure)
        };
        let mut write = || {
            for range in parts(size, MOST_PARTS) {
                let bytes = whole(location, part, range)?;
                let (answer, call) = client.wait(upload.put_part(bytes.into()));
                self.clients.meter.record_retries(call.requests.saturating_sub(1));
                self.clients.record(Op::Put, location, None, 0, answer.is_err());
                answer.map_err(|error| explained(error, call))?;
            }
            let (answer, call) = client.wait(upload.complete());
            answer.map(drop).map_err(|error| explained(error, call))
        };
        let answer = write();
        if answer.is_err() {
            // If that fails, too, the store forgets the parts by its own rules.
            let _ = client.wait(upload.abort());
        }
        answer
    }

    /// What S3 says of a bucket's versions; none if it does not answer that question.
    fn versioning_of_s3(&self, root: &Location) -> Result<Option<Versioning>> {
        let client = self.clients.client(Op::Head, root)?;
        let Some(s3) = &client.s3 else { return Ok(None) };
        let ask = async {
            let options = SignedUrlOptions::new().with_query([("versioning", "")]);
            let url = s3.signed_url_opts(Method::GET, &Path::default(), SIGNED_FOR, &options).await?;
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            let Ok(uri) = url.as_str().parse() else { return Ok(None) };
            *request.uri_mut() = uri;
            let answer = Connector::default().connect(&client.options)?.execute(request).await;
            let Some(answer) = answer.ok().filter(|answer| answer.status().is_success()) else {
                return Ok(None);
            };
            Ok::<_, object_store::Error>(Some(begin_of(answer.into_body()).await))
        };
        let (answer, call) = client.wait(ask);
        self.clients.record(Op::Head, root, None, 0, !matches!(answer, Ok(Some(_))));
        let text = match (answer, call.failure) {
            (Ok(Some(body)), _) => String::from_utf8_lossy(&body).into_owned(),
            // It may not be asked, or another region has to be; the objects tell something, too.
            (Ok(None), None | Some(Failure::Status { .. })) => return Ok(None),
            (Ok(None), failure) => {
                let error = object_store::Error::Generic { store: "S3", source: "no answer".into() };
                return Err(explain(Op::Head, root, &client.identity, &error, failure));
            }
            (Err(error), failure) => {
                return Err(explain(Op::Head, root, &client.identity, &error, failure));
            }
        };
        Ok(match element(&text, "Status").as_deref() {
            Some("Enabled") => Some(Versioning::On),
            Some("Suspended") => Some(Versioning::Suspended),
            None if text.contains("<VersioningConfiguration") => Some(Versioning::Off),
            _ => None,
        })
    }

    /// What the first object below a root shows: one that has a version is kept.
    fn versioning_by_object(&self, root: &Location) -> Result<Versioning> {
        let mut first = None;
        let listed = listing::list(&self.clients, root, ListScope::Recursive, &mut |page| {
            first = page.into_iter().find_map(|entry| match entry {
                ListEntry::Object(location, _) => Some(location),
                _ => None,
            });
            if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match listed {
            Err(error) if *error.kind() != StorageErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let Some(first) = first else { return Ok(Versioning::Unknown) };
        let look = |client: Arc<Client>, path| async move { client.store.head(&path).await };
        let answer = self.clients.call(Op::Head, &first, look);
        self.clients.record(Op::Head, &first, None, 0, answer.is_err());
        // Objects that were written before versions were kept, or while they were not, have none.
        match answer?.version.as_deref() {
            None | Some("" | "null") => Ok(Versioning::Unknown),
            Some(_) => Ok(Versioning::On),
        }
    }
}

/// The same error for each of many.
fn outcomes_of(open: &mut [(usize, &Location, Path)], error: StorageError) -> Vec<Result<Removed>> {
    open.iter().map(|(_, location, _)| Err(error.clone().about((*location).clone()))).collect()
}

/// What became of one object of many.
fn removed(client: &Client, location: &Location, answer: object_store::Result<Path>) -> Result<Removed> {
    match answer {
        Ok(_) => Ok(Removed::Removed),
        Err(object_store::Error::NotFound { .. }) => Ok(Removed::NotThere),
        Err(error) => {
            let failure = failure_of_one(location, &error);
            Err(explain(Op::Delete, location, &client.identity, &error, failure))
        }
    }
}

/// What the store said of one object of many, taken from the crate's words: `… for key KEY: MESSAGE (code: CODE)`, where
/// the code is a name of S3's, or a status of Azure's.
fn failure_of_one(location: &Location, error: &object_store::Error) -> Option<Failure> {
    let text = innermost(error);
    let (text, code) = text.strip_suffix(')')?.rsplit_once(" (code: ")?;
    let (_, message) = text.split_once(&format!("for key {}: ", location.key()))?;
    let by_name = || match code {
        "AccessDenied" => 403,
        "RequestTimeout" => 408,
        "InternalError" => 500,
        "SlowDown" | "ServiceUnavailable" => 503,
        _ => 400,
    };
    let status = code.parse();
    let name = if status.is_ok() { String::new() } else { code.to_owned() };
    let status = status.unwrap_or_else(|_| by_name());
    Some(Failure::Status { status, code: name, message: message.to_owned(), region: None })
}

impl Removal for ObjectRemoval {
    fn remove(&self, locations: &[Location], each: &mut RemovedFn<'_>) {
        let mut begin = 0;
        for bucket in locations.chunk_by(Location::same_store) {
            let Some(first) = bucket.first() else { continue };
            let flow = match self.clients.client(Op::Delete, first) {
                Ok(client) if client.removes_singly => self.remove_singly(&client, begin, bucket, each),
                Ok(client) => self.remove_many(&client, begin, bucket, each),
                Err(error) => bucket.iter().zip(begin..).try_for_each(|(location, index)| {
                    each(index, Err(error.clone().about(location.clone())))
                }),
            };
            if flow.is_break() {
                return;
            }
            begin += bucket.len();
        }
    }

    fn copy(&self, from: &Location, to: &Location) -> Result<ObjectMeta> {
        if !from.same_store(to) {
            let error = StorageError::new(StorageErrorKind::Other, Op::Copy, from.clone());
            return Err(error.with_message(format!("it lies in another bucket than {to}")));
        }
        if to.class() != SchemeClass::S3 {
            return self.ask_to_copy(from, to, CopyMode::Create);
        }
        // Many that speak like S3 disregard the condition.
        self.refuse_to_overwrite(Op::Copy, to)?;
        let (size, limit) = (self.head(Op::Copy, from)?.size, S3_MOST_COPIED);
        if size > limit {
            let kind = StorageErrorKind::TooLarge { size, limit };
            return Err(StorageError::new(kind, Op::Copy, from.clone()));
        }
        match self.ask_to_copy(from, to, CopyMode::Create) {
            // Others refuse it.
            Err(error) if error.message().is_some_and(|said| said.starts_with("NotImplemented")) => {
                self.ask_to_copy(from, to, CopyMode::Overwrite)
            }
            answer => answer,
        }
    }

    fn write_new(&self, location: &Location, size: u64, part: &mut PartFn<'_>) -> Result<ObjectMeta> {
        let is_small = size <= PART;
        if !is_small || location.class() == SchemeClass::S3 {
            self.refuse_to_overwrite(Op::Put, location)?;
        }
        if is_small {
            let bytes = whole(location, part, 0..size)?;
            return self.put_at_once(location, &bytes, &PutMode::Create);
        }
        self.put_in_parts(location, size, part)?;
        self.head(Op::Put, location)
    }

    fn put(&self, location: &Location, bytes: Bytes) -> Result<ObjectMeta> {
        self.put_at_once(location, &bytes, &PutMode::Overwrite)
    }

    fn versioning(&self, root: &Location) -> Result<Versioning> {
        match root.class() {
            // There, every object has something like a version, whether they are kept or not.
            SchemeClass::Gcs => return Ok(Versioning::Unknown),
            SchemeClass::S3 => {
                if let Some(told) = self.versioning_of_s3(root)? {
                    return Ok(told);
                }
            }
            _ => {}
        }
        self.versioning_by_object(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error;

    fn kind_of(text: &str) -> Option<(u16, String, String)> {
        let error = Error::Generic { store: "S3", source: text.into() };
        let location = Location::parse("s3://b/a: (b").expect("a location");
        match failure_of_one(&location, &error)? {
            Failure::Status { status, code, message, .. } => Some((status, code, message)),
            _ => None,
        }
    }

    #[test]
    fn what_is_said_of_one_object_of_many_is_understood() {
        let told = |status, code: &str, message: &str| Some((status, code.to_owned(), message.to_owned()));
        let of_s3 = |code: &str| {
            kind_of(&format!("DeleteObjects request failed for key a: (b: We (do) it: not (code: {code})"))
        };
        assert_eq!(of_s3("AccessDenied"), told(403, "AccessDenied", "We (do) it: not"));
        assert_eq!(of_s3("SlowDown"), told(503, "SlowDown", "We (do) it: not"));
        assert_eq!(of_s3("Odd"), told(400, "Odd", "We (do) it: not"));
        assert_eq!(
            kind_of("Bulk delete request failed for key a: (b: Forbidden (code: 403)"),
            told(403, "", "Forbidden")
        );
        for other in ["", "no", "failed for key other: x (code: 403)", "failed for key a: (b: x (code: 403"] {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }
}
