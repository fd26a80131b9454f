//! A server on loopback that speaks as much of S3, and of what Google Cloud Storage has in its place, as reading, removing, copying and writing take, in this process: objects
//! of memory or files, with latency, small pages, and answers that go wrong. Signatures are not looked at.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The bucket that all objects are in.
pub const BUCKET: &str = "bucket";

/// What time it always is, and the same in milliseconds since 1970.
pub const SERVER_TIME: (&str, i64) = ("Wed, 21 Oct 2015 07:28:30 GMT", 1_445_412_510_000);

/// The headers that a change depends on.
const CHANGE_HEADERS: [&str; 4] =
    ["if-none-match", "x-amz-copy-source", "x-goog-copy-source", "x-goog-if-generation-match"];

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before there is an answer.
    NoAnswer,
    /// The connection ends in the middle of the body.
    BreaksOff,
    /// A status, with a body that says as much.
    Status(u16),
    /// It comes bit by bit.
    Slow,
    /// A body without its last byte, with a length that says so.
    ShortBody,
    /// A body with a byte more, with a length that says so.
    LongBody,
    /// The length says a byte more than there is.
    LengthTooLarge,
    /// The length says a byte less than there is.
    LengthTooSmall,
    /// The range is said to be the one behind it.
    ShiftedRange,
    /// All of the object, whatever was asked for.
    WholeObject,
    /// It is done, and the connection ends before there is an answer.
    Unheard,
    /// Of many objects, each is refused, with this code; of one, the request is done.
    Each(&'static str),
    /// It speaks of an object that nobody asked for.
    Other,
}

/// Decides what goes wrong, given the number of the request, among all and among those that are the same.
pub type Faults = dyn Fn(u64, u64) -> Option<Fault> + Send + Sync;

#[derive(Debug, Clone)]
enum Object {
    Bytes(Arc<[u8]>),
    File(Arc<File>, u64),
}

impl Object {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    fn read(&self, start: u64, end: u64) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes[start as usize..end as usize].to_vec(),
            Self::File(file, _) => {
                let mut bytes = vec![0; (end - start) as usize];
                file.read_exact_at(&mut bytes, start).expect("bytes of a file");
                bytes
            }
        }
    }
}

struct Shared {
    objects: Mutex<BTreeMap<String, (Object, u64)>>,
    /// Parts of objects that are being written.
    uploads: Mutex<BTreeMap<String, BTreeMap<u64, Vec<u8>>>>,
    versioning: Option<String>,
    disregards_conditions: bool,
    latency: Duration,
    page: usize,
    faults: Box<Faults>,
    /// How often each request came, by its hash.
    came: Mutex<HashMap<u64, u64>>,
    requests: AtomicU64,
    bytes: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    is_over: AtomicBool,
}

/// A server that runs until it is dropped.
pub struct ObjectServer {
    shared: Arc<Shared>,
    address: String,
}

/// How a server behaves.
pub struct Behaviour {
    /// Every answer takes this long.
    pub latency: Duration,
    /// Entries of a page of a listing.
    pub page: usize,
    /// What goes wrong.
    pub faults: Box<Faults>,
    /// What it says of versions, empty for nothing; none if that may not be asked.
    pub versioning: Option<String>,
    /// It overwrites whatever it is told not to.
    pub disregards_conditions: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            page: 1000,
            faults: Box::new(|_, _| None),
            versioning: Some(String::new()),
            disregards_conditions: false,
        }
    }
}

impl ObjectServer {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let Behaviour { latency, page, faults, versioning, disregards_conditions } = behaviour;
        let shared = Arc::new(Shared {
            objects: Mutex::default(),
            uploads: Mutex::default(),
            versioning,
            disregards_conditions,
            latency,
            page,
            faults,
            came: Mutex::default(),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let served = Arc::clone(&served);
                // Whatever happens to a connection is the client's to see.
                thread::spawn(move || drop(served.connection(&stream)));
            }
        });
        Self { shared, address }
    }

    /// What `--endpoint` is given.
    pub fn endpoint(&self) -> &str {
        &self.address
    }

    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.insert(key, Object::Bytes(bytes.into()));
    }

    /// Takes all files below a directory for objects with their paths as keys.
    pub fn put_directory(&self, directory: &Path, prefix: &str) {
        let mut todo: Vec<PathBuf> = vec![directory.to_owned()];
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(
                    fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
                );
                continue;
            }
            let name = path.strip_prefix(directory).expect("below it").to_str().expect("a plain name");
            let file = File::open(&path).expect("a file");
            let size = file.metadata().expect("its size").len();
            self.insert(&format!("{prefix}{name}"), Object::File(Arc::new(file), size));
        }
    }

    fn insert(&self, key: &str, object: Object) {
        let mut objects = self.shared.objects.lock().unwrap();
        let version = objects.get(key).map_or(1, |(_, version)| version + 1);
        objects.insert(key.to_owned(), (object, version));
    }

    pub fn remove(&self, key: &str) {
        self.shared.objects.lock().unwrap().remove(key);
    }

    /// How many objects are being written in parts.
    pub fn uploads(&self) -> usize {
        self.shared.uploads.lock().unwrap().len()
    }

    /// Keys and sizes.
    pub fn objects(&self) -> Vec<(String, u64)> {
        let objects = self.shared.objects.lock().unwrap();
        objects.iter().map(|(key, (object, _))| (key.clone(), object.len())).collect()
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies of objects.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    pub fn most_in_flight(&self) -> u64 {
        self.shared.most_in_flight.load(Ordering::Relaxed)
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the one who accepts.
        drop(TcpStream::connect(self.address.trim_start_matches("http://")));
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Request {
    method: String,
    /// Decoded, without the bucket.
    key: String,
    query: BTreeMap<String, String>,
    range: Option<String>,
    /// [`CHANGE_HEADERS`], as far as they are there.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn asks(&self, name: &str) -> bool {
        self.query.contains_key(name)
    }
}

struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
    /// Of a HEAD: the length of the body that is not there.
    length: Option<u64>,
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: "200 OK", headers: String::new(), body: body.into_bytes(), length: None }
    }

    fn error(status: &'static str, code: &str) -> Self {
        let body =
            format!("<Error><Code>{code}</Code><Message>as it was ordered</Message></Error>").into_bytes();
        Self { status, headers: String::new(), body, length: None }
    }
}

impl Shared {
    fn connection(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader)? {
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_in_flight.fetch_max(now, Ordering::Relaxed);
            thread::sleep(self.latency);
            let same = {
                let mut came = self.came.lock().unwrap();
                let mut hasher = DefaultHasher::new();
                request.hash(&mut hasher);
                let count = came.entry(hasher.finish()).or_default();
                std::mem::replace(count, *count + 1)
            };
            let fault = (self.faults)(number, same);
            let done = self.answer(stream, &request, fault);
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            if !done? {
                return stream.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }

    /// Writes the answer. False if the connection is to end.
    fn answer(&self, mut stream: &TcpStream, request: &Request, fault: Option<Fault>) -> io::Result<bool> {
        let range = request.range.as_deref().filter(|_| fault != Some(Fault::WholeObject));
        let mut answer = match fault {
            Some(Fault::NoAnswer) => return Ok(false),
            Some(Fault::Status(500)) => Answer::error("500 Internal Server Error", "InternalError"),
            Some(Fault::Status(503)) => {
                let slow_down = Answer::error("503 Slow Down", "SlowDown");
                Answer { headers: "Retry-After: 0\r\n".to_owned(), ..slow_down }
            }
            Some(Fault::Status(other)) => panic!("{other} is no fault of this server"),
            Some(Fault::Each(code)) if request.asks("delete") => {
                Answer::ok(deleted(request, |key| {
                    format!("<Error><Key>{key}</Key><Code>{code}</Code><Message>as it was ordered</Message></Error>")
                }))
            }
            Some(Fault::Other) if request.asks("delete") => Answer::ok(
                "<DeleteResult><Error><Key>other</Key><Code>c</Code><Message>m</Message></Error></DeleteResult>"
                    .to_owned(),
            ),
            _ if request.asks("list-type") => self.list(&request.query),
            _ => match request.method.as_str() {
                "GET" if request.asks("versioning") => self.versioning(),
                "GET" | "HEAD" => self.object(&request.key, range),
                _ => self.change(request),
            },
        };
        if fault == Some(Fault::Unheard) {
            return Ok(false);
        }
        if fault == Some(Fault::ShiftedRange) {
            answer.headers = shifted(&answer.headers);
        }
        match fault {
            Some(Fault::ShortBody) => drop(answer.body.pop()),
            Some(Fault::LongBody) => answer.body.push(b'x'),
            _ => {}
        }
        let is_head = request.method == "HEAD";
        let length = answer.length.filter(|_| is_head).unwrap_or(answer.body.len() as u64);
        let length = match fault {
            Some(Fault::LengthTooLarge) => length + 1,
            Some(Fault::LengthTooSmall) => length.saturating_sub(1),
            _ => length,
        };
        let date = SERVER_TIME.0;
        let head = format!(
            "HTTP/1.1 {}\r\nDate: {date}\r\n{}Content-Length: {length}\r\n\r\n",
            answer.status, answer.headers
        );
        let mut bytes = head.into_bytes();
        if !is_head {
            bytes.extend_from_slice(&answer.body);
            self.bytes.fetch_add(answer.body.len() as u64, Ordering::Relaxed);
        }
        match fault {
            Some(Fault::BreaksOff) => {
                stream.write_all(
                    &bytes[..bytes.len() - answer.body.len().div_ceil(2) * usize::from(!is_head)],
                )?;
                return Ok(false);
            }
            Some(Fault::Slow) => {
                for piece in bytes.chunks(bytes.len().div_ceil(4)) {
                    stream.write_all(piece)?;
                    thread::sleep(Duration::from_micros(500));
                }
            }
            _ => stream.write_all(&bytes)?,
        }
        Ok(!matches!(fault, Some(Fault::LengthTooLarge | Fault::LengthTooSmall)))
    }

    fn versioning(&self) -> Answer {
        let status = self.versioning.as_ref().map(|status| match status.as_str() {
            "" => String::new(),
            status => format!("<Status>{status}</Status>"),
        });
        match status {
            Some(status) => {
                Answer::ok(format!("<VersioningConfiguration>{status}</VersioningConfiguration>"))
            }
            None => Answer::error("403 Forbidden", "AccessDenied"),
        }
    }

    fn change(&self, request: &Request) -> Answer {
        let Request { method, key, query, headers, body, .. } = request;
        let mut objects = self.objects.lock().unwrap();
        let mut uploads = self.uploads.lock().unwrap();
        let exists = objects.contains_key(key);
        let is_conditional =
            headers.contains_key("if-none-match") || headers.contains_key("x-goog-if-generation-match");
        if is_conditional && exists && !self.disregards_conditions {
            return Answer::error("412 Precondition Failed", "PreconditionFailed");
        }
        let mut put = |object: Object| {
            let version = objects.get(key).map_or(1, |(_, version)| version + 1);
            let tag = format!("{version}-{}", object.len());
            objects.insert(key.to_owned(), (object, version));
            tag
        };
        let copied = headers.get("x-amz-copy-source").or_else(|| headers.get("x-goog-copy-source"));
        match (method.as_str(), copied) {
            ("POST", _) if query.contains_key("delete") => {
                let answer = deleted(request, |key| format!("<Deleted><Key>{key}</Key></Deleted>"));
                elements(&String::from_utf8_lossy(body), "Key")
                    .iter()
                    .for_each(|key| drop(objects.remove(key)));
                Answer::ok(answer)
            }
            ("POST", _) if query.contains_key("uploads") => {
                uploads.insert(key.clone(), BTreeMap::new());
                Answer::ok(
                    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                        .to_owned(),
                )
            }
            ("PUT", _) if query.contains_key("partNumber") => {
                let number = query["partNumber"].parse().unwrap();
                uploads.get_mut(key).unwrap().insert(number, body.clone());
                let mut answer = Answer::ok(String::new());
                answer.headers = format!("ETag: \"{number}\"\r\n");
                answer
            }
            ("POST", _) if query.contains_key("uploadId") => {
                let parts: Vec<_> = uploads.remove(key).unwrap().into_values().collect();
                let tag = put(Object::Bytes(parts.concat().into()));
                Answer::ok(format!(
                    "<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
                ))
            }
            ("DELETE", _) if query.contains_key("uploadId") => {
                uploads.remove(key);
                Answer { status: "204 No Content", ..Answer::ok(String::new()) }
            }
            ("DELETE", _) => match objects.remove(key) {
                Some(_) => Answer { status: "204 No Content", ..Answer::ok(String::new()) },
                None => Answer::error("404 Not Found", "NoSuchKey"),
            },
            ("PUT", Some(source)) => {
                let source = decoded(source);
                let source = source.trim_start_matches('/').strip_prefix(BUCKET).expect("the bucket");
                let Some((object, _)) = objects.get(source.trim_start_matches('/')).cloned() else {
                    return Answer::error("404 Not Found", "NoSuchKey");
                };
                let version = objects.get(key).map_or(1, |(_, version)| version + 1);
                objects.insert(key.to_owned(), (object, version));
                Answer::ok("<CopyObjectResult></CopyObjectResult>".to_owned())
            }
            ("PUT", None) => {
                let mut answer = Answer::ok(String::new());
                answer.headers = format!("ETag: \"{}\"\r\n", put(Object::Bytes(body.as_slice().into())));
                answer
            }
            other => panic!("{other:?} is nothing that this server does"),
        }
    }

    fn object(&self, key: &str, range: Option<&str>) -> Answer {
        let Some((object, version)) = self.objects.lock().unwrap().get(key).cloned() else {
            return Answer::error("404 Not Found", "NoSuchKey");
        };
        let size = object.len();
        let mut headers = format!(
            "ETag: \"{version}-{size}\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nAccept-Ranges: bytes\r\n"
        );
        let Some(range) = range else {
            return Answer { status: "200 OK", headers, body: object.read(0, size), length: Some(size) };
        };
        let (from, to) = range.trim_start_matches("bytes=").split_once('-').expect("a range");
        let (start, end) = match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) => (from, to.saturating_add(1).min(size)),
            (Ok(from), Err(_)) => (from, size),
            (Err(_), suffix) => (size.saturating_sub(suffix.expect("a number")), size),
        };
        if start >= end {
            return Answer::error("416 Requested Range Not Satisfiable", "InvalidRange");
        }
        headers += &format!("Content-Range: bytes {start}-{}/{size}\r\n", end - 1);
        let body = object.read(start, end);
        Answer { status: "206 Partial Content", headers, length: Some(body.len() as u64), body }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (of("prefix"), of("delimiter"));
        let after =
            of(if query.contains_key("continuation-token") { "continuation-token" } else { "start-after" });
        let most = of("max-keys").parse().unwrap_or(self.page).min(self.page);
        let (mut entries, mut count, mut last, mut next) = (String::new(), 0, String::new(), None);
        for (key, (object, version)) in self.objects.lock().unwrap().iter() {
            let Some(name) = key.strip_prefix(prefix) else { continue };
            let directory =
                name.find('/').filter(|_| delimiter == "/").map(|at| format!("{prefix}{}", &name[..=at]));
            let entry = directory.clone().unwrap_or_else(|| key.clone());
            if entry.as_str() <= after || entry == last {
                continue;
            }
            if count == most {
                next = Some(last);
                break;
            }
            entries += &match directory {
                Some(directory) => {
                    format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(&directory))
                }
                None => format!(
                    "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{version}-{}&quot;</ETag><LastModified>2015-10-21T07:28:00Z</LastModified></Contents>",
                    escaped(key),
                    object.len(),
                    object.len()
                ),
            };
            last = entry;
            count += 1;
        }
        let token =
            next.map(|next| format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&next)));
        Answer::ok(format!(
            "<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{count}</KeyCount>{entries}{}</ListBucketResult>",
            token.unwrap_or_default()
        ))
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines[0].split(' ');
    let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded(path);
    let path = path.strip_prefix('/').expect("a path");
    let key = path.strip_prefix(BUCKET).expect("the bucket").trim_start_matches('/').to_owned();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let mut headers: BTreeMap<String, String> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let range = headers.remove("range");
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    headers.retain(|name, _| CHANGE_HEADERS.contains(&name.as_str()));
    Ok(Some(Request { method: method.to_owned(), key, query, range, headers, body }))
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(&more[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).expect("a text")
}

/// What is said of each object that is to be removed, whose key is given as XML writes it.
fn deleted(request: &Request, of: impl Fn(&str) -> String) -> String {
    let keys = elements(&String::from_utf8_lossy(&request.body), "Key");
    format!("<DeleteResult>{}</DeleteResult>", keys.iter().map(|key| of(&escaped(key))).collect::<String>())
}

/// The texts of all elements of a name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&begin).skip(1).map(|rest| rest.split(&end).next().expect("its end"));
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    texts.map(|text| plain.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

/// The same headers with another range.
fn shifted(headers: &str) -> String {
    let one =
        |line: &str| match line.strip_prefix("Content-Range: bytes ").and_then(|rest| rest.split_once('/')) {
            Some((range, size)) => {
                let (from, to) = range.split_once('-').expect("a range");
                let next = |text: &str| text.parse::<u64>().expect("a number") + 1;
                format!("Content-Range: bytes {}-{}/{}\r\n", next(from), next(to), next(size))
            }
            None => format!("{line}\r\n"),
        };
    headers.lines().map(one).collect()
}
