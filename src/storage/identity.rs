//! As whom an object store is asked, and where: the platform's default chain, in its order, behind what the user and
//! Flink's configuration say.

use std::collections::BTreeMap;

use super::access::Access;
use super::{Location, SchemeClass};

/// As whom requests are made.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Where the credentials come from, for messages. Never the credentials.
    pub(super) source: String,
    /// What can be done if they do not serve.
    pub(super) remedy: String,
}

/// How the client of one bucket is made.
pub(super) struct Settings {
    /// Configuration by the names that environment variables have, in lower case.
    pub(super) keys: BTreeMap<String, String>,
    pub(super) endpoint: Option<String>,
    pub(super) allow_http: bool,
    pub(super) identity: Identity,
    /// The region, if it is only a guess.
    pub(super) assumed_region: Option<String>,
}

/// The region that S3 takes for the one that nobody named.
const DEFAULT_REGION: &str = "us-east-1";

/// How the client of a bucket is made.
///
/// # Errors
/// What cannot be used, in words for the user.
pub(super) fn settings(access: &Access, root: &Location) -> Result<Settings, String> {
    match root.class() {
        SchemeClass::S3 => s3(access),
        SchemeClass::Gcs => Ok(gcs(access)),
        SchemeClass::Azure => azure(access, root),
        _ => Ok(web(access)),
    }
}

/// Where the store of a location is reached; empty for the provider's own address.
pub(super) fn endpoint(access: &Access, location: &Location) -> String {
    let settings = settings(access, &location.store_root());
    settings.ok().and_then(|settings| settings.endpoint).unwrap_or_default()
}

fn from_environment(access: &Access, prefix: &str) -> BTreeMap<String, String> {
    let variables =
        access.environment.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
    variables.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

/// Addresses without TLS are asked if the user says so, and where the address itself is one: nobody writes it by mistake.
fn allow_http(access: &Access, endpoint: Option<&str>) -> bool {
    access.allow_http || endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}

fn s3(access: &Access) -> Result<Settings, String> {
    let mut keys = from_environment(access, "AWS_");
    let flink = |names: &[&str]| access.flink.s3(names);
    let profile = Profile::read(access)?;
    let mut source = None;
    if access.anonymous {
        keys.insert("aws_skip_signature".to_owned(), "true".to_owned());
        source = Some("nobody (--anonymous)".to_owned());
    } else if let (Some(key), Some(secret)) =
        (flink(&["access-key", "access.key"]), flink(&["secret-key", "secret.key"]))
    {
        keys.insert("aws_access_key_id".to_owned(), key.to_owned());
        keys.insert("aws_secret_access_key".to_owned(), secret.to_owned());
        keys.remove("aws_session_token");
        if let Some(token) = flink(&["session-token", "session.token"]) {
            keys.insert("aws_session_token".to_owned(), token.to_owned());
        }
        source = Some("s3.access-key of Flink's configuration".to_owned());
    } else if access.variable("AWS_ACCESS_KEY_ID").is_some()
        && access.variable("AWS_SECRET_ACCESS_KEY").is_some()
    {
        source = Some("AWS_ACCESS_KEY_ID of the environment".to_owned());
    } else if access.variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
        && access.variable("AWS_ROLE_ARN").is_some()
    {
        source = Some("the role of AWS_WEB_IDENTITY_TOKEN_FILE".to_owned());
    } else if let Some((key, secret)) = profile.key() {
        keys.insert("aws_access_key_id".to_owned(), key.to_owned());
        keys.insert("aws_secret_access_key".to_owned(), secret.to_owned());
        keys.remove("aws_session_token");
        if let Some(token) = profile.get("aws_session_token") {
            keys.insert("aws_session_token".to_owned(), token.to_owned());
        }
        source = Some(format!("profile {} of ~/.aws", profile.name));
    } else if access.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some()
        || access.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some()
    {
        source = Some("the role of this container".to_owned());
    }
    // Half a key would be refused without a word of where it came from.
    if source.is_none() {
        keys.remove("aws_access_key_id");
        keys.remove("aws_secret_access_key");
    }
    let endpoint = access.endpoint.clone().or_else(|| flink(&["endpoint"]).map(with_scheme)).or_else(|| {
        let of_environment = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
        of_environment.iter().find_map(|name| access.variable(name)).map(str::to_owned)
    });
    let endpoint = endpoint.or_else(|| profile.get("endpoint_url").map(str::to_owned));
    keys.retain(|key, _| !key.starts_with("aws_endpoint"));
    let region = access.region.as_deref().or_else(|| flink(&["endpoint.region", "region"]));
    let region =
        region.or_else(|| access.variable("AWS_REGION")).or_else(|| access.variable("AWS_DEFAULT_REGION"));
    let region = region.or_else(|| profile.get("region"));
    keys.insert("aws_region".to_owned(), region.unwrap_or(DEFAULT_REGION).to_owned());
    // Any other region than the user's is a habit and not a statement about this bucket.
    let assumed_region = access.region.is_none().then(|| region.unwrap_or(DEFAULT_REGION).to_owned());
    let of_flink = flink(&["path.style.access", "path-style-access"]) == Some("true");
    let path_style = access.path_style || of_flink || endpoint.is_some();
    keys.insert("aws_virtual_hosted_style_request".to_owned(), (!path_style).to_string());
    let allow_http = allow_http(access, endpoint.as_deref());
    let nowhere = "no credentials: none in the environment, in ~/.aws, or of this machine's role";
    let identity = Identity {
        source: source.unwrap_or_else(|| nowhere.to_owned()),
        remedy: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, --flink-conf, or --anonymous for a \
                 public bucket"
            .to_owned(),
    };
    Ok(Settings { keys, endpoint, allow_http, identity, assumed_region })
}

fn with_scheme(endpoint: &str) -> String {
    if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") }
}

fn gcs(access: &Access) -> Settings {
    let mut keys = from_environment(access, "GOOGLE_");
    let named = ["google_service_account", "google_service_account_path", "google_service_account_key"];
    let mut source = None;
    if access.anonymous {
        keys.insert("google_skip_signature".to_owned(), "true".to_owned());
        source = Some("nobody (--anonymous)".to_owned());
    } else if let Some(file) = access.flink.get("fs.gs.auth.service.account.json.keyfile") {
        named.iter().for_each(|name| drop(keys.remove(*name)));
        keys.insert("google_service_account_path".to_owned(), file.to_owned());
        source = Some("the service account of Flink's configuration".to_owned());
    } else if named.iter().any(|name| keys.contains_key(*name)) {
        source = Some("GOOGLE_SERVICE_ACCOUNT of the environment".to_owned());
    } else if keys.contains_key("google_application_credentials") {
        source = Some("GOOGLE_APPLICATION_CREDENTIALS of the environment".to_owned());
    }
    let of_environment = access
        .variable("STORAGE_EMULATOR_HOST")
        .map(|host| if host.contains("://") { host.to_owned() } else { format!("http://{host}") });
    let endpoint = access.endpoint.clone().or(of_environment);
    let allow_http = allow_http(access, endpoint.as_deref());
    let identity = Identity {
        source: source.unwrap_or_else(|| "gcloud's application default, or this machine's account".to_owned()),
        remedy: "set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or use --anonymous \
                 for a public bucket"
            .to_owned(),
    };
    Settings { keys, endpoint, allow_http, identity, assumed_region: None }
}

fn azure(access: &Access, root: &Location) -> Result<Settings, String> {
    let (container, host) = root
        .authority()
        .split_once('@')
        .ok_or("write it as abfss://CONTAINER@ACCOUNT.dfs.core.windows.net")?;
    let account = host.split('.').next().unwrap_or(host);
    let mut keys = from_environment(access, "AZURE_");
    keys.insert("azure_container_name".to_owned(), container.to_owned());
    keys.insert("azure_storage_account_name".to_owned(), account.to_owned());
    let of_flink = ["dfs", "blob"].iter().find_map(|kind| {
        access.flink.get(&format!("fs.azure.account.key.{account}.{kind}.core.windows.net"))
    });
    let has = |names: &[&str]| names.iter().any(|name| access.variable(name).is_some());
    let mut source = None;
    if access.anonymous {
        keys.insert("azure_skip_signature".to_owned(), "true".to_owned());
        source = Some("nobody (--anonymous)");
    } else if let Some(key) = of_flink {
        keys.insert("azure_storage_account_key".to_owned(), key.to_owned());
        source = Some("fs.azure.account.key of Flink's configuration");
    } else if has(&["AZURE_STORAGE_TOKEN"]) {
        source = Some("AZURE_STORAGE_TOKEN of the environment");
    } else if has(&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"]) {
        if let Some(key) = access.variable("AZURE_STORAGE_KEY") {
            keys.entry("azure_storage_account_key".to_owned()).or_insert_with(|| key.to_owned());
        }
        source = Some("AZURE_STORAGE_ACCOUNT_KEY of the environment");
    } else if has(&["AZURE_FEDERATED_TOKEN_FILE"]) {
        source = Some("the workload identity of the environment");
    } else if has(&["AZURE_CLIENT_SECRET"]) {
        source = Some("AZURE_CLIENT_ID of the environment");
    } else if has(&["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"]) {
        source = Some("AZURE_STORAGE_SAS_TOKEN of the environment");
    } else if has(&["AZURE_USE_AZURE_CLI"]) {
        source = Some("the login of the az command");
    }
    let endpoint =
        access.endpoint.clone().or_else(|| access.variable("AZURE_STORAGE_ENDPOINT").map(str::to_owned));
    keys.retain(|key, _| !matches!(key.as_str(), "azure_storage_endpoint" | "azure_endpoint"));
    let allow_http = allow_http(access, endpoint.as_deref());
    let identity = Identity {
        source: source.unwrap_or("this machine's managed identity").to_owned(),
        remedy: "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, AZURE_USE_AZURE_CLI=true after `az login`, \
                 or use --anonymous for a public container"
            .to_owned(),
    };
    Ok(Settings { keys, endpoint, allow_http, identity, assumed_region: None })
}

fn web(access: &Access) -> Settings {
    let identity = Identity {
        source: "nobody".to_owned(),
        remedy: "web servers are asked without credentials".to_owned(),
    };
    Settings {
        keys: BTreeMap::new(),
        endpoint: None,
        allow_http: access.allow_http,
        identity,
        assumed_region: None,
    }
}

/// What the files of AWS's tools say of the profile in use.
struct Profile {
    name: String,
    values: BTreeMap<String, String>,
}

impl Profile {
    fn read(access: &Access) -> Result<Self, String> {
        let chosen = access.variable("AWS_PROFILE").or_else(|| access.variable("AWS_DEFAULT_PROFILE"));
        let name = chosen.unwrap_or("default").to_owned();
        let mut values = BTreeMap::new();
        let mut is_there = false;
        for (variable, file, header) in [
            ("AWS_CONFIG_FILE", "config", format!("profile {name}")),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name.clone()),
        ] {
            let path = match (access.variable(variable), &access.home) {
                (Some(path), _) => path.into(),
                (None, Some(home)) => home.join(".aws").join(file),
                (None, None) => continue,
            };
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let section = section(&text, &header).or_else(|| section(&text, &name));
            is_there |= section.is_some();
            values.extend(section.unwrap_or_default());
        }
        match chosen {
            Some(name) if !is_there => Err(format!("there is no profile {name} in ~/.aws (AWS_PROFILE)")),
            _ => Ok(Self { name, values }),
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn key(&self) -> Option<(&str, &str)> {
        Some((self.get("aws_access_key_id")?, self.get("aws_secret_access_key")?))
    }
}

/// The settings below a header of an INI file, as AWS's tools write them; nested ones are left out.
fn section(text: &str, header: &str) -> Option<BTreeMap<String, String>> {
    let mut found = None;
    let mut is_here = false;
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            is_here = name.0.trim() == header;
            if is_here {
                found.get_or_insert_with(BTreeMap::new);
            }
        } else if let (true, false, Some((key, value))) = (is_here, is_nested, line.split_once('=')) {
            let values = found.get_or_insert_with(BTreeMap::new);
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::FlinkConf;

    fn access(environment: &[(&str, &str)], flink: &str) -> Access {
        let environment = environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        Access { environment, flink: FlinkConf::parse(flink), ..Access::default() }
    }

    fn of(access: &Access, place: &str) -> Settings {
        settings(access, &Location::parse(place).expect(place)).expect(place)
    }

    const FLINK: &str = "s3:\n  access-key: flink\n  secret-key: flink-secret\n  endpoint: minio:9000\n";
    const ENVIRONMENT: [(&str, &str); 3] =
        [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "env-secret"), ("AWS_REGION", "eu-west-1")];

    #[test]
    fn what_is_nearer_to_the_user_comes_first() {
        let of_environment = of(&access(&ENVIRONMENT, ""), "s3://b");
        assert_eq!(of_environment.keys["aws_access_key_id"], "env");
        assert_eq!(of_environment.assumed_region.as_deref(), Some("eu-west-1"));
        assert_eq!(of_environment.keys["aws_virtual_hosted_style_request"], "true");

        let of_flink = of(&access(&ENVIRONMENT, FLINK), "s3://b");
        assert_eq!(of_flink.keys["aws_access_key_id"], "flink");
        assert!(of_flink.identity.source.contains("Flink"), "{}", of_flink.identity.source);
        assert_eq!(of_flink.endpoint.as_deref(), Some("https://minio:9000"));
        assert_eq!(of_flink.keys["aws_virtual_hosted_style_request"], "false");

        let anonymous =
            Access { anonymous: true, region: Some("r".to_owned()), ..access(&ENVIRONMENT, FLINK) };
        let anonymous = of(&anonymous, "s3://b");
        assert_eq!(anonymous.keys["aws_skip_signature"], "true");
        assert_eq!(anonymous.keys["aws_region"], "r");
        assert_eq!(anonymous.assumed_region, None);
    }

    #[test]
    fn profiles_are_read_where_the_environment_has_no_key() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join(".aws")).expect("a directory");
        let write =
            |name: &str, text: &str| std::fs::write(home.path().join(".aws").join(name), text).expect(name);
        write(
            "config",
            "[default]\nregion = us-west-2\n[profile work]\nregion=eu-north-1\ns3 =\n  region = no\n",
        );
        write("credentials", "# keys\n[work]\naws_access_key_id = w\naws_secret_access_key=ws\n[default]\n");
        let with = |environment: &[(&str, &str)]| Access {
            home: Some(home.path().to_owned()),
            ..access(environment, "")
        };
        let work = of(
            &with(&[
                ("AWS_PROFILE", "work"),
                ("AWS_ACCESS_KEY_ID", "half"),
                ("AWS_SESSION_TOKEN", "of another key"),
            ]),
            "s3://b",
        );
        assert_eq!((&*work.keys["aws_access_key_id"], &*work.keys["aws_region"]), ("w", "eu-north-1"));
        assert!(!work.keys.contains_key("aws_session_token"));
        assert!(work.identity.source.contains("profile work"), "{}", work.identity.source);
        let default = of(&with(&[]), "s3://b");
        assert!(!default.keys.contains_key("aws_access_key_id"));
        assert_eq!(default.keys["aws_region"], "us-west-2");
        let other =
            settings(&with(&[("AWS_PROFILE", "other")]), &Location::parse("s3://b").expect("a place"));
        assert!(other.err().expect("no such profile").contains("other"));
    }

    #[test]
    fn azure_and_google_have_keys_of_their_own() {
        let flink = "fs.azure.account.key.acc.dfs.core.windows.net: a-key\nfs.gs.auth.service.account.json.keyfile: /f\n";
        let azure = of(
            &access(&[("AZURE_STORAGE_ACCOUNT_KEY", "env")], flink),
            "abfss://c@acc.dfs.core.windows.net/x",
        );
        assert_eq!(azure.keys["azure_storage_account_key"], "a-key");
        assert_eq!(
            (&*azure.keys["azure_container_name"], &*azure.keys["azure_storage_account_name"]),
            ("c", "acc")
        );
        let google = of(&access(&[("STORAGE_EMULATOR_HOST", "localhost:1")], flink), "gs://b");
        assert_eq!(google.keys["google_service_account_path"], "/f");
        assert_eq!((google.endpoint.as_deref(), google.allow_http), (Some("http://localhost:1"), true));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let access = access(&ENVIRONMENT, FLINK);
        let shown = format!("{access:?} {:?}", of(&access, "s3://b").identity);
        assert!(!shown.contains("secret"), "{shown}");
    }
}
