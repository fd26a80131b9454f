//! How object stores are reached and as whom: what a user, Flink's configuration and the environment say, as
//! plain texts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::flink_conf::FlinkConf;

/// What decides how object stores are reached.
///
/// What the user says comes first, then Flink's configuration, then the environment. Nothing here asks the process for
/// anything: whoever makes one gives the environment.
#[derive(Clone)]
pub struct Access {
    /// The address of the store, if not the provider's own (`--endpoint`).
    pub endpoint: Option<String>,
    /// The region of the buckets (`--region`).
    pub region: Option<String>,
    /// Buckets are part of the path, not of the host (`--path-style`).
    pub path_style: bool,
    /// Addresses without TLS may be asked (`--allow-http`).
    pub allow_http: bool,
    /// Requests are not signed (`--anonymous`).
    pub anonymous: bool,
    /// Flink's configuration (`--flink-conf`).
    pub flink: FlinkConf,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// The user's home directory, where profiles lie.
    pub home: Option<PathBuf>,
    /// How long a connection may take, and how long a body may stand still.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: usize,
    /// How long the first pause before a retry is, at most.
    pub backoff: Duration,
    /// How many entries a page of a listing has, if fewer than the store would give.
    pub page: Option<usize>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: false,
            allow_http: false,
            anonymous: false,
            flink: FlinkConf::default(),
            environment: BTreeMap::new(),
            home: None,
            timeout: Duration::from_secs(30),
            retries: 8,
            backoff: Duration::from_millis(100),
            page: None,
        }
    }
}

/// Secrets are in it: only what is none is shown.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("anonymous", &self.anonymous)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// A variable of the environment, if it is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
