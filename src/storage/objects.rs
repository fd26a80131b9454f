//! Object stores and web servers, through the crate `object_store`: the one file that names it, and the
//! only one with something asynchronous in it.
//!
//! Every HTTP request passes through [`Watched`], which counts it and keeps what the server said about a failure. So
//! retries are counted, and messages are made of the store's own code and text, never of signed addresses.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService, ReqwestConnector,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use tokio::runtime::Runtime;

use super::access::Access;
use super::identity::{self, Identity, Settings};
use super::metered::Meter;
use super::{
    Fetched, ListEntry, ListScope, Location, ObjectMeta, Op, PageFn, RequestRecord, Result, SchemeClass,
    Span, Storage, StorageError, StorageErrorKind,
};

/// Reads S3, GCS, Azure and web servers. Each bucket's client is made when it is first asked.
pub struct ObjectStorage {
    access: Access,
    meter: Arc<Meter>,
    made: Mutex<Made>,
}

/// What is made when it is needed first.
#[derive(Default)]
struct Made {
    runtime: Option<Arc<Runtime>>,
    /// By the canonical address of what they are for.
    clients: HashMap<String, Arc<Client>>,
}

/// The client of one bucket, container or host.
struct Client {
    runtime: Arc<Runtime>,
    store: Arc<dyn ObjectStore>,
    pages: Option<Arc<dyn PaginatedListStore>>,
    identity: Identity,
    /// The region that requests are signed for, if nobody said it.
    assumed_region: Option<String>,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage").field("access", &self.access).finish_non_exhaustive()
    }
}

tokio::task_local! {
    /// What the requests of the call under way came to.
    static CALL: RefCell<Call>;
}

#[derive(Debug, Default)]
struct Call {
    requests: u64,
    failure: Option<Failure>,
}

/// What is known of the last request that failed.
#[derive(Debug, Clone)]
enum Failure {
    /// The server said no.
    Status { status: u16, code: String, message: String, region: Option<String> },
    /// There was no answer.
    Transport { kind: HttpErrorKind, message: String },
    /// The machine has no service that hands out credentials.
    NoMetadataService,
}

/// Makes clients that are [`Watched`].
#[derive(Debug, Default)]
struct Connector {
    no_metadata_service: Arc<AtomicBool>,
}

/// A client whose requests are counted, and whose failures are remembered for messages.
#[derive(Debug)]
struct Watched {
    client: HttpClient,
    no_metadata_service: Arc<AtomicBool>,
    /// Whether any connection came about, and how many did not.
    is_reached: AtomicBool,
    not_reached: AtomicU32,
}

/// How often it is tried to reach a host that never was.
const MAX_NOT_REACHED: u32 = 2;

/// How long it is waited before a listing is tried again, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How much of a failure's body is looked at.
const MAX_ERROR_BODY: usize = 64 << 10;

/// Hosts that hand out credentials to those who run in a cloud.
const METADATA_HOSTS: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        let no_metadata_service = Arc::clone(&self.no_metadata_service);
        let (is_reached, not_reached) = (AtomicBool::new(false), AtomicU32::new(0));
        Ok(HttpClient::new(Watched { client, no_metadata_service, is_reached, not_reached }))
    }
}

#[async_trait::async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let is_metadata = request.uri().host().is_some_and(|host| METADATA_HOSTS.contains(&host));
        if is_metadata && self.no_metadata_service.load(Ordering::Relaxed) {
            return Err(no_metadata_service());
        }
        // A snapshot that was copied from a store that is out of reach names it in many places.
        let is_out_of_reach = || {
            !self.is_reached.load(Ordering::Relaxed)
                && self.not_reached.load(Ordering::Relaxed) >= MAX_NOT_REACHED
        };
        if is_out_of_reach() {
            let message = "it cannot be reached, as was found before".to_owned();
            note(|call| call.failure = Some(Failure::Transport { kind: HttpErrorKind::Connect, message }));
            return Err(final_error("out of reach"));
        }
        if !is_metadata {
            note(|call| call.requests += 1);
        }
        match self.client.execute(request).await {
            Err(_) if is_metadata => {
                // It answers at once or not at all.
                self.no_metadata_service.store(true, Ordering::Relaxed);
                Err(no_metadata_service())
            }
            Err(error) => {
                let (kind, message) = (error.kind(), innermost(&error));
                note(|call| call.failure = Some(Failure::Transport { kind, message }));
                if kind == HttpErrorKind::Connect {
                    self.not_reached.fetch_add(1, Ordering::Relaxed);
                }
                Err(if is_out_of_reach() { final_error("out of reach") } else { error })
            }
            Ok(response) if response.status().is_success() => {
                self.is_reached.store(true, Ordering::Relaxed);
                note(|call| call.failure = None);
                Ok(response)
            }
            Ok(response) => {
                self.is_reached.store(true, Ordering::Relaxed);
                let (parts, body) = response.into_parts();
                let region = parts.headers.get("x-amz-bucket-region").and_then(|r| r.to_str().ok());
                let region = region.map(str::to_owned);
                let code = parts.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
                let code = code.map(str::to_owned);
                let body = begin_of(body).await;
                let text = String::from_utf8_lossy(&body);
                let failure = Failure::Status {
                    status: parts.status.as_u16(),
                    code: code.or_else(|| element(&text, "Code")).unwrap_or_default(),
                    message: element(&text, "Message").unwrap_or_default(),
                    region: region.or_else(|| element(&text, "Region")),
                };
                note(|call| call.failure = Some(failure));
                Ok(HttpResponse::from_parts(parts, body.into()))
            }
        }
    }
}

/// The begin of a failure's body. The rest, should it have no end, is never read.
async fn begin_of(body: HttpResponseBody) -> Bytes {
    let mut parts = body.bytes_stream();
    let mut begin = Vec::new();
    while begin.len() < MAX_ERROR_BODY {
        match poll_fn(|context| parts.as_mut().poll_next(context)).await {
            Some(Ok(part)) => begin.extend_from_slice(&part),
            Some(Err(_)) | None => break,
        }
    }
    begin.truncate(MAX_ERROR_BODY);
    begin.into()
}

/// Adds to what is known of the call under way. Requests outside of one (tokens that are renewed) are nobody's.
fn note(note: impl FnOnce(&mut Call)) {
    let _ = CALL.try_with(|call| note(&mut call.borrow_mut()));
}

fn no_metadata_service() -> HttpError {
    note(|call| call.failure = Some(Failure::NoMetadataService));
    final_error("no metadata service")
}

/// An error of a kind that is not tried again.
fn final_error(message: &str) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(message))
}

/// The text of the first element of this name, in the little XML that stores send with errors.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

/// What was wrong with a body, if that is what an error is about: the answer's head had been fine.
fn broken_off(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let mut inner = Some(error);
    while let Some(error) = inner {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(Failure::Transport { kind: http.kind(), message: innermost(http) });
        }
        inner = error.source();
    }
    None
}

/// The innermost reason: the outer ones only say that a request failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// A builder with what all have in common; there is no trait of them.
macro_rules! configured {
    ($builder:ty, $options:ident, $retry:ident, $connector:ident, $keys:ident) => {{
        let builder = <$builder>::new().with_client_options($options).with_retry($retry);
        // Variables that the crate does not know are other programs' own.
        let known = $keys.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value)));
        known.fold(builder.with_http_connector($connector), |builder, (key, value)| {
            builder.with_config(key, value)
        })
    }};
}

/// The threads that wait for answers; whoever asks blocks.
fn start() -> std::io::Result<Runtime> {
    // The second to install one is told so, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).thread_name("storage").build()
}

impl ObjectStorage {
    /// Reaches stores as told, and counts what they are asked with `meter`. Asks nobody yet.
    #[must_use]
    pub fn new(access: Access, meter: Arc<Meter>) -> Self {
        Self { access, meter, made: Mutex::default() }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, op: Op, location: &Location) -> Result<Arc<Client>> {
        let root = location.store_root();
        let mut made = self.made();
        if let Some(client) = made.clients.get(&root.canonical()) {
            return Ok(Arc::clone(client));
        }
        let runtime = match &made.runtime {
            Some(runtime) => Arc::clone(runtime),
            None => {
                let runtime = start().map_err(|error| {
                    let new = StorageError::new(StorageErrorKind::Other, op, location.clone());
                    new.with_message(format!("no thread for requests: {error}"))
                })?;
                Arc::clone(made.runtime.insert(Arc::new(runtime)))
            }
        };
        let client = Arc::new(self.connect(op, &root, runtime, None)?);
        made.clients.insert(root.canonical(), Arc::clone(&client));
        Ok(client)
    }

    /// A client as the settings say, but for the region, if one is given.
    fn connect(
        &self,
        op: Op,
        root: &Location,
        runtime: Arc<Runtime>,
        region: Option<&str>,
    ) -> Result<Client> {
        let unusable = |message: String| {
            StorageError::new(StorageErrorKind::Other, op, root.clone()).with_message(message)
        };
        let mut settings = identity::settings(&self.access, root).map_err(unusable)?;
        if let Some(region) = region {
            settings.keys.insert("aws_region".to_owned(), region.to_owned());
        }
        self.build(&settings, root, runtime).map_err(|error| unusable(innermost(&error)))
    }

    fn build(
        &self,
        settings: &Settings,
        root: &Location,
        runtime: Arc<Runtime>,
    ) -> object_store::Result<Client> {
        let access = &self.access;
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: access.backoff, ..BackoffConfig::default() },
            max_retries: access.retries,
            ..RetryConfig::default()
        };
        let options = ClientOptions::new()
            .with_connect_timeout(access.timeout)
            .with_read_timeout(access.timeout)
            .with_timeout_disabled()
            .with_pool_max_idle_per_host(512)
            .with_allow_http(settings.allow_http);
        let connector = Connector::default();
        let Settings { keys, .. } = settings;
        let (identity, assumed_region) = (settings.identity.clone(), settings.assumed_region.clone());
        let store: (Arc<dyn ObjectStore>, Option<Arc<dyn PaginatedListStore>>) = match root.class() {
            SchemeClass::Gcs => {
                let builder = configured!(GoogleCloudStorageBuilder, options, retry, connector, keys);
                let builder = match &settings.endpoint {
                    Some(endpoint) => builder.with_base_url(endpoint),
                    None => builder,
                };
                let store = Arc::new(builder.with_bucket_name(root.authority()).build()?);
                (store.clone(), Some(store))
            }
            SchemeClass::Azure => {
                let builder = configured!(MicrosoftAzureBuilder, options, retry, connector, keys);
                let builder = match &settings.endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint.clone()),
                    None => builder,
                };
                let store = Arc::new(builder.build()?);
                (store.clone(), Some(store))
            }
            SchemeClass::Http => {
                let builder = HttpBuilder::new().with_url(root.to_string()).with_retry(retry);
                let options = options.with_config(ClientConfigKey::AllowHttp, "true");
                let builder = builder.with_client_options(options).with_http_connector(connector);
                (Arc::new(builder.build()?), None)
            }
            _ => {
                let builder = configured!(AmazonS3Builder, options, retry, connector, keys);
                let builder = match &settings.endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint),
                    None => builder,
                };
                let store = Arc::new(builder.with_bucket_name(root.authority()).build()?);
                (store.clone(), Some(store))
            }
        };
        let (store, pages) = store;
        Ok(Client { runtime, store, pages, identity, assumed_region })
    }

    /// Makes a call, and says what went wrong in the words of the store. A bucket that turns out to lie in
    /// another region than assumed is asked there.
    fn call<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        op: Op,
        location: &Location,
        call: impl Fn(Arc<Client>, Path) -> F,
    ) -> Result<T> {
        let path = Path::parse(location.key()).map_err(|_| {
            let why = "object stores have no names with control characters";
            StorageError::new(StorageErrorKind::Other, op, location.clone()).with_message(why)
        })?;
        let mut client = self.client(op, location)?;
        let (mut tries, mut pause) = (0, self.access.backoff);
        loop {
            let future = call(Arc::clone(&client), path.clone());
            let (result, made) = client.runtime.block_on(CALL.scope(RefCell::default(), async {
                let result = future.await;
                (result, CALL.with(RefCell::take))
            }));
            self.meter.record_retries(made.requests.saturating_sub(1));
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let body = made.failure.is_none().then(|| broken_off(&error)).flatten();
            // The client reads on where the body of an object broke off, but not where that of a listing did.
            if op == Op::List && body.is_some() && tries < self.access.retries {
                tries += 1;
                self.meter.record_retries(1);
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                continue;
            }
            let failure = made.failure.or(body);
            if let Some(Failure::Status { status: 301 | 307 | 400 | 403, region: Some(region), .. }) =
                &failure
                && client.assumed_region.as_ref().is_some_and(|assumed| assumed != region)
            {
                let root = location.store_root();
                let mut moved = self.connect(op, &root, Arc::clone(&client.runtime), Some(region))?;
                moved.assumed_region = None;
                client = Arc::new(moved);
                self.made().clients.insert(root.canonical(), Arc::clone(&client));
                self.meter.record_retries(1);
                continue;
            }
            return Err(explain(op, location, &client.identity, &error, failure));
        }
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
                    match self.head_of(span.op(), location).map(|meta| span.within(meta.size)) {
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
        let meta = self.head_of(span.op(), location)?;
        let range = span.within(meta.size);
        let range = range.map_err(|kind| StorageError::new(kind, span.op(), location.clone()))?;
        if range.is_empty() {
            return Fetched::checked(location, span, Bytes::new(), meta);
        }
        self.part(location, span, Some(GetRange::Bounded(range)))
    }

    fn part(&self, location: &Location, span: &Span, range: Option<GetRange>) -> Result<Fetched> {
        let answer = self.call(span.op(), location, |client, path| {
            let options = GetOptions { range: range.clone(), ..GetOptions::default() };
            async move {
                let answer = client.store.get_opts(&path, options).await?;
                let meta = meta_of(&answer.meta);
                // Before the body is read: it may be larger than is wanted.
                Ok(match span.within(meta.size) {
                    Ok(_) => Ok((answer.bytes().await?, meta)),
                    Err(kind) => Err(kind),
                })
            }
        })?;
        match answer {
            Ok((bytes, meta)) => Fetched::checked(location, span, bytes, meta),
            Err(kind) => Err(StorageError::new(kind, span.op(), location.clone())),
        }
    }

    fn head_of(&self, op: Op, location: &Location) -> Result<ObjectMeta> {
        let meta = self.call(op, location, |client, path| async move { client.store.head(&path).await })?;
        Ok(meta_of(&meta))
    }

    fn record(&self, op: Op, location: &Location, span: Option<&Span>, bytes: usize, failed: bool) {
        let (location, span, bytes) = (location.clone(), span.cloned(), bytes as u64);
        self.meter.record(RequestRecord { op, location, span, bytes, failed });
    }
}

impl Storage for ObjectStorage {
    fn head(&self, location: &Location) -> Result<ObjectMeta> {
        let answer = self.head_of(Op::Head, location);
        self.record(Op::Head, location, None, 0, answer.is_err());
        answer
    }

    fn read(&self, location: &Location, span: &Span) -> Result<Fetched> {
        if span.is_empty() {
            let answer = self
                .head_of(span.op(), location)
                .and_then(|meta| Fetched::checked(location, span, Bytes::new(), meta));
            self.record(Op::Head, location, Some(span), 0, answer.is_err());
            return answer;
        }
        let mut heads = 0;
        let result = self.get(location, span, &mut heads);
        (0..heads).for_each(|_| self.record(Op::Head, location, None, 0, false));
        let bytes = result.as_ref().map_or(0, |fetched| fetched.bytes.len());
        self.record(span.op(), location, Some(span), bytes, result.is_err());
        result
    }

    fn list(&self, directory: &Location, scope: ListScope, page: &mut PageFn<'_>) -> Result<()> {
        let prefix = if directory.is_root() { String::new() } else { format!("{}/", directory.key()) };
        let (mut exists, mut token) = (directory.is_root(), None);
        // An object without bytes may be the mark of a directory: what comes next tells.
        let mut held = None;
        // Accounts with hierarchical namespaces list in an order of their own.
        let mut unordered = (directory.class() == SchemeClass::Azure).then(Vec::new);
        loop {
            let answer = self.call(Op::List, directory, |client, _| {
                let delimiter = (scope == ListScope::Children).then(|| "/".into());
                let page_token = token.clone();
                let (prefix, max_keys) = (prefix.clone(), self.access.page);
                async move {
                    let Some(pages) = &client.pages else { return Ok(None) };
                    let options =
                        PaginatedListOptions { delimiter, page_token, max_keys, ..Default::default() };
                    let prefix = (!prefix.is_empty()).then_some(prefix.as_str());
                    pages.list_paginated(prefix, options).await.map(Some)
                }
            });
            self.record(Op::List, directory, None, 0, answer.is_err());
            let Some(answer) = answer? else {
                let error = StorageError::new(StorageErrorKind::Unsupported, Op::List, directory.clone());
                return Err(error
                    .with_message("a web server cannot be asked what it has")
                    .with_remedy("give the address of a snapshot's directory or _metadata"));
            };
            let mut entries = Vec::with_capacity(answer.result.objects.len());
            let mut objects = answer.result.objects.iter().peekable();
            let mut prefixes = answer.result.common_prefixes.iter().peekable();
            loop {
                // Both ascend; a directory's key has a slash behind it.
                let is_directory = match (objects.peek(), prefixes.peek()) {
                    (None, None) => break,
                    (object, Some(prefix)) => {
                        let key = format!("{prefix}/");
                        object.is_none_or(|object| object.location.as_ref() > key.as_str())
                    }
                    (Some(_), None) => false,
                };
                exists = true;
                let (raw, object) = if is_directory {
                    (prefixes.next().map(AsRef::as_ref), None)
                } else {
                    let object = objects.next();
                    (object.map(|object| object.location.as_ref()), object.map(meta_of))
                };
                let raw = raw.unwrap_or_default();
                let name = raw.strip_prefix(&prefix);
                if name.is_none() && object.as_ref().is_some_and(|meta| meta.size == 0) {
                    // The mark of the directory itself.
                    continue;
                }
                let Some(location) = name.and_then(|name| directory.join_exact(name)) else {
                    let reason = "its name holds what no address can";
                    let (directory, name) = (directory.clone(), name.unwrap_or(raw).to_owned());
                    entries.push(ListEntry::Unaddressable { directory, name, reason });
                    continue;
                };
                if let Some((mark, meta)) = held.take()
                    && !(location != mark && location.starts_with(&mark))
                {
                    entries.push(ListEntry::Object(mark, meta));
                }
                match object {
                    None => entries.push(ListEntry::Directory(location)),
                    Some(meta) if meta.size == 0 && scope == ListScope::Recursive => {
                        held = Some((location, meta));
                    }
                    Some(meta) => entries.push(ListEntry::Object(location, meta)),
                }
            }
            if answer.page_token.is_some() && answer.page_token == token {
                let error = StorageError::new(StorageErrorKind::Other, Op::List, directory.clone());
                return Err(error.with_message("the store gives the same page again"));
            }
            token = answer.page_token;
            if token.is_none()
                && let Some((location, meta)) = held.take()
            {
                entries.push(ListEntry::Object(location, meta));
            }
            match &mut unordered {
                Some(all) => all.extend(entries),
                None if !entries.is_empty() && page(entries).is_break() => return Ok(()),
                None => {}
            }
            if token.is_none() {
                break;
            }
        }
        if let Some(mut all) = unordered {
            all.sort_by_cached_key(key_of);
            while !all.is_empty() {
                let rest = all.split_off(all.len().min(self.access.page.unwrap_or(5000)));
                if page(std::mem::replace(&mut all, rest)).is_break() {
                    break;
                }
            }
        }
        if exists {
            return Ok(());
        }
        Err(StorageError::new(StorageErrorKind::NotFound, Op::List, directory.clone()))
    }
}

/// What a listing is ordered by.
fn key_of(entry: &ListEntry) -> String {
    match entry {
        ListEntry::Object(location, _) => location.path().to_owned(),
        ListEntry::Directory(location) => format!("{}/", location.path()),
        ListEntry::Unaddressable { directory, name, .. } => format!("{}/{name}", directory.path()),
    }
}

fn meta_of(meta: &object_store::ObjectMeta) -> ObjectMeta {
    // Listings of Azure have none of the quotes that answers have.
    let etag = meta.e_tag.as_deref().map(|tag| Arc::from(tag.trim_matches('"')));
    ObjectMeta { size: meta.size, last_modified: Some(meta.last_modified.timestamp_millis()), etag }
}

/// An error of the crate as one of ours.
fn explain(
    op: Op,
    location: &Location,
    identity: &Identity,
    error: &object_store::Error,
    failure: Option<Failure>,
) -> StorageError {
    let new = |kind| StorageError::new(kind, op, location.clone());
    let who = || format!("as {}", identity.source);
    match failure {
        Some(Failure::NoMetadataService) => {
            new(StorageErrorKind::Unauthenticated).with_message(who()).with_remedy(identity.remedy.clone())
        }
        Some(Failure::Transport { kind, message }) => {
            let kind = match kind {
                HttpErrorKind::Timeout => StorageErrorKind::Timeout,
                _ => StorageErrorKind::Unavailable,
            };
            new(kind).with_message(message)
        }
        Some(Failure::Status { status, code, message, region }) => {
            let said = [code.as_str(), message.as_str()].into_iter().filter(|part| !part.is_empty());
            let said = said.collect::<Vec<_>>().join(": ");
            let said = if said.is_empty() { format!("HTTP status {status}") } else { said };
            let kind = match (status, code.as_str()) {
                (_, "InvalidObjectState" | "BlobArchived" | "BlobBeingRehydrated") => {
                    StorageErrorKind::Archived
                }
                (404, "NoSuchBucket" | "ContainerNotFound") => {
                    return new(StorageErrorKind::NotFound)
                        .with_message(said)
                        .with_remedy("check the name of the bucket, and --endpoint");
                }
                (404, _) => return new(StorageErrorKind::NotFound),
                (
                    401 | 403,
                    "InvalidAccessKeyId"
                    | "SignatureDoesNotMatch"
                    | "ExpiredToken"
                    | "InvalidToken"
                    | "RequestTimeTooSkewed"
                    | "AuthenticationFailed"
                    | "InvalidAuthenticationInfo",
                )
                | (401, _) => StorageErrorKind::Unauthenticated,
                (301 | 307 | 400, _) if region.is_some() => {
                    let region = region.unwrap_or_default();
                    return new(StorageErrorKind::Other)
                        .with_message(format!("the bucket lies in the region {region}"))
                        .with_remedy(format!("use --region {region}"));
                }
                (403, _) => StorageErrorKind::PermissionDenied,
                (429, _) | (503, "SlowDown" | "ServerBusy" | "TooManyRequests") => {
                    StorageErrorKind::Throttled
                }
                (408, _) => StorageErrorKind::Timeout,
                (500..=599, _) => StorageErrorKind::Unavailable,
                _ => StorageErrorKind::Other,
            };
            match kind {
                StorageErrorKind::Unauthenticated | StorageErrorKind::PermissionDenied => {
                    let remedy = format!("check what that identity may read; {}", identity.remedy);
                    new(kind).with_message(format!("{said}, {}", who())).with_remedy(remedy)
                }
                _ => new(kind).with_message(said),
            }
        }
        None => match error {
            object_store::Error::NotFound { .. } => new(StorageErrorKind::NotFound),
            object_store::Error::InvalidPath { .. } => new(StorageErrorKind::Other)
                .with_message("there is an object here whose name holds an empty segment or a dot segment"),
            other => new(StorageErrorKind::Other).with_message(innermost(other)),
        },
    }
}
