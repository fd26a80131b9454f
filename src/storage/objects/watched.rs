//! The HTTP client below all others: it counts requests, and keeps what the server said.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService, ReqwestConnector,
};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

tokio::task_local! {
    /// What the requests of the call under way came to.
    pub(super) static CALL: RefCell<Call>;
}

/// What the requests of a call came to.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) requests: u64,
    pub(super) failure: Option<Failure>,
    /// The headers of the last answer that was none of a failure.
    pub(super) headers: HeaderMap,
}

impl Call {
    /// A header of the last answer, if it is a text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What is known of the last request that failed.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The server said no.
    Status { status: u16, code: String, message: String, region: Option<String> },
    /// There was no answer.
    Transport { kind: HttpErrorKind, message: String },
    /// The machine has no service that hands out credentials.
    NoMetadataService,
}

/// Makes clients that are [`Watched`].
#[derive(Debug, Default)]
pub(super) struct Connector {
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

/// How much of a body is looked at that is to be short.
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
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
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
                note(|call| {
                    call.failure = None;
                    call.headers.clone_from(response.headers());
                });
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
                if parts.status == StatusCode::NOT_IMPLEMENTED {
                    return Err(final_error("not implemented"));
                }
                Ok(HttpResponse::from_parts(parts, body.into()))
            }
        }
    }
}

/// The begin of a body that is to be short. The rest, should it have no end, is never read.
pub(super) async fn begin_of(body: HttpResponseBody) -> Bytes {
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
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

/// What was wrong with a body, if that is what an error is about: the answer's head had been fine.
pub(super) fn broken_off(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
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
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
