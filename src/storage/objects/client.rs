//! The clients of buckets: made when they are first asked, as the settings say, and asked here.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3CopyIfNotExists};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpErrorKind;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::list::PaginatedListStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::Runtime;

use super::failure::explain;
use super::watched::{CALL, Call, Connector, Failure, broken_off, innermost};
use crate::storage::identity::{self, Identity, Settings};
use crate::storage::{
    Access, Location, Meter, ObjectMeta, Op, RequestRecord, Result, SchemeClass, Span, StorageError,
    StorageErrorKind,
};

/// The clients of all buckets.
pub(super) struct Clients {
    pub(super) access: Access,
    pub(super) meter: Arc<Meter>,
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
pub(super) struct Client {
    pub(super) runtime: Arc<Runtime>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) pages: Option<Arc<dyn PaginatedListStore>>,
    /// S3, where requests are signed, for those that the crate does not make.
    pub(super) s3: Option<Arc<AmazonS3>>,
    /// How they are made.
    pub(super) options: ClientOptions,
    /// Whether objects are removed by a request for each, since the store knows none for many.
    pub(super) removes_singly: bool,
    pub(super) identity: Identity,
    /// The region that requests are signed for, if nobody said it.
    assumed_region: Option<String>,
}

/// How long it is waited before something is tried again, at most.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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

/// What a future comes to, and what its requests did.
pub(super) async fn looked_at<F: Future>(future: F) -> (F::Output, Call) {
    let looking = async {
        let output = future.await;
        (output, CALL.with(RefCell::take))
    };
    CALL.scope(RefCell::default(), looking).await
}

impl Client {
    /// Waits for a future.
    pub(super) fn wait<F: Future>(&self, future: F) -> (F::Output, Call) {
        self.runtime.block_on(looked_at(future))
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Clients {
    /// Reaches stores as told, and counts what they are asked with `meter`. Asks nobody yet.
    pub(super) fn new(access: Access, meter: Arc<Meter>) -> Self {
        Self { access, meter, made: Mutex::default() }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self, op: Op, location: &Location) -> Result<Arc<Client>> {
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
        let (connector, client_options) = (Connector::default(), options.clone());
        let mut s3 = None;
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
                // As a PUT is made conditional, so is a copy, which is one. Some stores have a header of their own.
                let builder = match keys.contains_key("aws_copy_if_not_exists") {
                    true => builder,
                    false => builder.with_copy_if_not_exists(S3CopyIfNotExists::Header(
                        "if-none-match".to_owned(),
                        "*".to_owned(),
                    )),
                };
                let store = Arc::new(builder.with_bucket_name(root.authority()).build()?);
                s3 = (!is_on(keys, "aws_skip_signature")).then(|| Arc::clone(&store));
                (store.clone(), Some(store))
            }
        };
        let (store, pages) = store;
        let removes_singly = root.class() == SchemeClass::Gcs || is_on(keys, "aws_disable_bulk_delete");
        let options = client_options;
        Ok(Client { runtime, store, pages, s3, options, removes_singly, identity, assumed_region })
    }

    /// Makes a call, and says what went wrong in the words of the store. A bucket that turns out to lie in
    /// another region than assumed is asked there.
    pub(super) fn call<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        op: Op,
        location: &Location,
        call: impl Fn(Arc<Client>, Path) -> F,
    ) -> Result<T> {
        self.call_and_look(op, location, call).map(|(value, _)| value)
    }

    /// The same, for one who wants to know what the requests came to, too.
    pub(super) fn call_and_look<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        op: Op,
        location: &Location,
        call: impl Fn(Arc<Client>, Path) -> F,
    ) -> Result<(T, Call)> {
        let path = path_of(op, location)?;
        let mut client = self.client(op, location)?;
        let (mut tries, mut pause) = (0, self.access.backoff);
        loop {
            let (result, made) = client.wait(call(Arc::clone(&client), path.clone()));
            self.meter.record_retries(made.requests.saturating_sub(1));
            let error = match result {
                Ok(value) => return Ok((value, made)),
                Err(error) => error,
            };
            let body = made.failure.is_none().then(|| broken_off(&error)).flatten();
            // The client reads on where the body of an object broke off, but not where that of a listing did. Nor does it
            // ask again to remove something, if it cannot know whether it was heard; that does no harm.
            let is_lost = match (op, &made.failure) {
                (Op::List, _) => body.is_some(),
                (
                    Op::Delete,
                    Some(Failure::Transport {
                        kind: HttpErrorKind::Timeout | HttpErrorKind::Interrupted,
                        ..
                    }),
                ) => true,
                (Op::Delete, _) => body.is_some(),
                _ => false,
            };
            if is_lost && tries < self.access.retries {
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

    /// Size, time and tag of an object, asked for by whatever is to be done.
    pub(super) fn head(&self, op: Op, location: &Location) -> Result<ObjectMeta> {
        let meta = self.call(op, location, |client, path| async move { client.store.head(&path).await })?;
        Ok(meta_of(&meta))
    }

    /// Counts a request.
    pub(super) fn record(
        &self,
        op: Op,
        location: &Location,
        span: Option<&Span>,
        bytes: usize,
        failed: bool,
    ) {
        let (location, span, bytes) = (location.clone(), span.cloned(), bytes as u64);
        self.meter.record(RequestRecord { op, location, span, bytes, failed });
    }
}

fn is_on(keys: &BTreeMap<String, String>, key: &str) -> bool {
    keys.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
}

/// The name that an object has in its store.
pub(super) fn path_of(op: Op, location: &Location) -> Result<Path> {
    Path::parse(location.key()).map_err(|_| {
        let why = "object stores have no names with control characters";
        StorageError::new(StorageErrorKind::Other, op, location.clone()).with_message(why)
    })
}

pub(super) fn meta_of(meta: &object_store::ObjectMeta) -> ObjectMeta {
    // Listings of Azure have none of the quotes that answers have.
    let etag = meta.e_tag.as_deref().map(|tag| Arc::from(tag.trim_matches('"')));
    ObjectMeta { size: meta.size, last_modified: Some(meta.last_modified.timestamp_millis()), etag }
}
