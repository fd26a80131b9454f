//! Stand-ins of S3, Google Cloud Storage and Azure, which `tests/servers/run.sh` starts and names in the environment.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use statescope::storage::removal::{Removal, Removed, Removers, Versioning};
use statescope::storage::{Access, AfterKey, Location, Meter, ObjectStorage, SchemeClass, Storage};

use super::{conformance, removal};
use crate::support::{command, files_below, fixture, fixtures};

/// The key that Azurite has for everybody, as its documentation says.
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// One of the servers, with a bucket of its own.
struct Server {
    /// Where the bucket is, as users write it.
    root: Location,
    endpoint: String,
    environment: Vec<(&'static str, &'static str)>,
    arguments: Vec<&'static str>,
    /// None for Google's stand-in, which takes objects in a way of its own only.
    writer: Option<Arc<dyn ObjectStore>>,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn all() -> [Self; 3] {
        // For the clients that write; the others see to it themselves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        [Self::s3(), Self::gcs(), Self::azure()]
    }

    fn s3() -> Self {
        let endpoint = address("STATESCOPE_TEST_S3");
        let writer = AmazonS3Builder::new()
            .with_endpoint(&endpoint)
            .with_allow_http(true)
            .with_bucket_name("flink")
            .with_access_key_id("key")
            .with_secret_access_key("secret");
        let environment = vec![("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let writer: Arc<dyn ObjectStore> = Arc::new(writer.build().unwrap());
        Self::new("s3a://flink", endpoint, environment, vec![], Some(writer))
    }

    fn gcs() -> Self {
        let endpoint = address("STATESCOPE_TEST_GCS");
        Self::new("gs://flink", endpoint, vec![], vec!["--anonymous"], None)
    }

    fn azure() -> Self {
        let endpoint = address("STATESCOPE_TEST_AZURE");
        let writer = MicrosoftAzureBuilder::new()
            .with_endpoint(endpoint.clone())
            .with_allow_http(true)
            .with_account("devstoreaccount1")
            .with_access_key(AZURITE_KEY)
            .with_container_name("flink");
        let writer: Arc<dyn ObjectStore> = Arc::new(writer.build().unwrap());
        let root = "abfss://flink@devstoreaccount1.dfs.core.windows.net";
        Self::new(root, endpoint, vec![("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY)], vec![], Some(writer))
    }

    fn new(
        root: &str,
        endpoint: String,
        environment: Vec<(&'static str, &'static str)>,
        arguments: Vec<&'static str>,
        writer: Option<Arc<dyn ObjectStore>>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { root: Location::parse(root).unwrap(), endpoint, environment, arguments, writer, runtime }
    }

    fn put(&self, location: &Location, bytes: &[u8]) {
        let Some(writer) = &self.writer else {
            let name: String = location.key().bytes().map(|byte| format!("%{byte:02x}")).collect();
            let address =
                format!("{}/upload/storage/v1/b/flink/o?uploadType=media&name={name}", self.endpoint);
            let request = reqwest::Client::new().post(address).body(bytes.to_vec()).send();
            self.runtime.block_on(request).unwrap().error_for_status().unwrap();
            return;
        };
        let path = Path::parse(location.key()).unwrap();
        self.runtime.block_on(writer.put(&path, bytes.to_vec().into())).unwrap();
    }

    fn access(&self) -> Access {
        Access {
            endpoint: Some(self.endpoint.clone()),
            anonymous: self.arguments.contains(&"--anonymous"),
            environment: self.environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            ..Access::default()
        }
    }

    fn storage(&self, access: Access) -> ObjectStorage {
        ObjectStorage::new(access, Arc::new(Meter::new()))
    }
}

fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: use tests/servers/run.sh"))
}

#[test]
#[ignore = "needs the servers of tests/servers/run.sh"]
fn servers_conform() {
    for server in Server::all() {
        let put = |location: &Location, bytes: &[u8]| server.put(location, bytes);
        let root = server.root.join("conformance").unwrap();
        let storage = server.storage(server.access());
        conformance::run(&storage, &root, &put);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let there = storage.server_time(&root).unwrap().unwrap();
        assert!((there - now).abs() < 5000, "{there} {now} of {root}");
        // Google's stand-in disregards where it is to begin.
        let done = storage.list_after(&root, "names", &mut |_| ControlFlow::Break(())).unwrap();
        let can = server.root.class() == SchemeClass::S3;
        assert_eq!(done, if can { AfterKey::Listed } else { AfterKey::Unsupported }, "{root}");
        if server.root.class() == SchemeClass::Gcs {
            // Its stand-in answers with everything, whatever a page may have.
            continue;
        }
        let paged = server.storage(Access { page: Some(3), ..server.access() });
        conformance::run_pages(&paged, &root, &put, 3);
    }
}

/// What is printed of a snapshot, without where it lies and when its files were written.
fn printed(server: &Server, path: &str, prefix: &str, what: &[&str]) -> String {
    let mut command = command();
    command.args(what).arg(path).args(["--format", "json", "--rows", "0"]);
    command.args(["--endpoint", &server.endpoint]).args(&server.arguments);
    let output = command.envs(server.environment.iter().copied()).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 5)),
        "{path}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap().replace(prefix, "PLACE");
    let when = ["\"completed_at_ms\"", "\"modified_ms\""];
    text.lines().filter(|line| !when.iter().any(|when| line.contains(when))).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs the servers of tests/servers/run.sh"]
fn servers_are_removed_from() {
    for server in Server::all() {
        let put = |location: &Location, bytes: &[u8]| server.put(location, bytes);
        let root = server.root.join("removal").unwrap();
        let mut access = server.access();
        if server.root.class() == SchemeClass::Gcs {
            let (name, key) = removal::GOOGLE_ACCOUNT;
            access.anonymous = false;
            access.environment.insert(name.to_owned(), key.to_owned());
        }
        let removers = Removers::all(&access, vec![root.clone()], &Arc::default());
        let storage = server.storage(access);
        match server.root.class() {
            // Its stand-in refuses each PUT, and with it copies and whatever is written.
            SchemeClass::Gcs => removal::run_removals(&removers, &storage, &root, &put),
            _ => removal::run(&removers, &storage, &root, &put),
        }
        // Of a bucket that never kept versions, the stand-in of S3 says so by an element of another name than S3's.
        assert_eq!(removers.versioning(&root).unwrap(), Versioning::Unknown, "{root}");
    }
}

#[test]
#[ignore = "needs the servers of tests/servers/run.sh"]
fn servers_keep_versions_of_what_is_removed() {
    let server = Server { root: Location::parse("s3a://kept").unwrap(), ..Server::s3() };
    let bucket = format!("{}/kept", server.endpoint);
    let ask = |method, query: &str, body: String| {
        let request = reqwest::Client::new().request(method, format!("{bucket}{query}")).body(body);
        let answer = async { request.send().await?.error_for_status()?.text().await };
        server.runtime.block_on(answer).unwrap()
    };
    ask(reqwest::Method::PUT, "", String::new());
    let removers = Removers::all(&server.access(), vec![server.root.clone()], &Arc::default());
    for (status, expected) in [("Enabled", Versioning::On), ("Suspended", Versioning::Suspended)] {
        let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        ask(reqwest::Method::PUT, "?versioning", body);
        assert_eq!(removers.versioning(&server.root).unwrap(), expected);
        if expected == Versioning::On {
            let object = server.root.join("object").unwrap();
            removers.put_new(&object, "x".into()).unwrap();
            assert_eq!(removers.remove_all(&[object]), [Ok(Removed::Removed)]);
            let versions = ask(reqwest::Method::GET, "?versions", String::new());
            assert!(versions.contains("<Version>") && versions.contains("<DeleteMarker>"), "{versions}");
        }
    }
}

#[test]
#[ignore = "needs the servers of tests/servers/run.sh"]
fn servers_give_the_same_reports() {
    let servers = Server::all();
    for fixture in fixtures() {
        let newest = fixture.newest();
        let local = format!("{}/", fixture.dir.display());
        for server in &servers {
            let place = server.root.join(&format!("fixtures/{}", fixture.name)).unwrap();
            for name in files_below(&fixture.dir).into_iter().filter(|name| name.starts_with("data/")) {
                server.put(&place.join(&name).unwrap(), &fs::read(fixture.dir.join(&name)).unwrap());
            }
            let at = ["--at", "1800000000000"];
            let depth = |depth| [&["analyze", "--depth", depth][..], &at].concat();
            let mut commands = vec![vec!["inspect", "--properties"], depth("full"), depth("index")];
            // The base of a changelog is looked for where it was recorded, and that is elsewhere.
            if fixture.truth()["settings"]["state.backend.changelog.enabled"] != "true" {
                commands.push(vec!["verify"]);
            }
            if fixture.name == "inc-2.3" {
                commands.extend([depth("sample"), vec!["verify", "--deep"]]);
            }
            for what in &commands {
                let here = printed(server, &format!("{local}{newest}"), &local, what);
                let there = printed(server, &format!("{place}/{newest}"), &format!("{place}/"), what);
                assert_eq!(there, here, "{} on {}", fixture.name, server.root);
            }
        }
    }
}

#[test]
#[ignore = "needs the servers of tests/servers/run.sh"]
fn servers_are_pruned() {
    let fixture = fixture("savepoint-native-2.3");
    for server in Server::all() {
        let root = server.root.join("pruned").unwrap();
        for name in files_below(&fixture.dir).into_iter().filter(|name| name.starts_with("data/")) {
            server.put(&root.join(&name).unwrap(), &fs::read(fixture.dir.join(&name)).unwrap());
        }
        let job = root.join("data/0123456789abcdef0123456789abcdef").unwrap();
        let orphan = job.join("shared/00000001-1111-2222-3333-444444444444").unwrap();
        let other = job.join("shared/notes.txt").unwrap();
        server.put(&orphan, b"old");
        server.put(&other, b"mine");
        std::thread::sleep(std::time::Duration::from_secs(2));
        let dir = tempfile::tempdir().unwrap();
        let data = root.join("data").unwrap().to_string();
        let run = |args: &[&str]| {
            let mut command = command();
            command.args(args).args(["--endpoint", &server.endpoint]).current_dir(dir.path());
            command.envs(server.environment.iter().copied());
            if server.root.class() == SchemeClass::Gcs {
                let (name, key) = removal::GOOGLE_ACCOUNT;
                command.env(name, key);
            }
            let output = command.output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.code(), told + &String::from_utf8_lossy(&output.stderr))
        };
        let job = job.to_string();
        let plan = ["prune", &data, "--roots-complete", "--job-stopped", &job, "--plan", "plan"];
        let plan = [&plan[..], &["--min-age", "1s", "--unsafe-min-age"]].concat();
        let (code, text) = run(&plan);
        assert!(code == Some(0) && text.contains("3 B in 1 object may be deleted"), "{root}: {text}");
        let (code, text) = run(&["prune", "--apply", "plan"]);
        assert!(code == Some(0) && text.contains("deleted 3 B in 1 object"), "{root}: {text}");
        let storage = server.storage(server.access());
        assert!(storage.head(&orphan).is_err() && storage.head(&other).is_ok(), "{root}");
        let (code, text) = run(&["prune", "--apply", "plan"]);
        assert!(code == Some(0) && text.contains("gone before: 1"), "{root}: {text}");
    }
}
