//! Flink's configuration file, as far as it says how stores are reached: `config.yaml` (YAML, nested or with dotted
//! keys) and the older `flink-conf.yaml` (lines of `key: value`, whatever the value holds).

use std::collections::BTreeMap;
use std::fmt;

use yaml_rust2::{Yaml, YamlLoader};

use super::{Location, SchemeClass};

/// Options by their dotted keys.
#[derive(Clone, Default)]
pub struct FlinkConf {
    options: BTreeMap<String, String>,
}

/// Secrets are in it.
impl fmt::Debug for FlinkConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlinkConf").field("options", &self.options.len()).finish_non_exhaustive()
    }
}

impl FlinkConf {
    /// Reads the text of a configuration file of either kind. What is no YAML is read as Flink before 1.19 did,
    /// line by line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut options = BTreeMap::new();
        match YamlLoader::load_from_str(text) {
            Ok(documents) if matches!(documents.first(), Some(Yaml::Hash(_)) | None) => {
                documents.iter().for_each(|document| flatten("", document, &mut options));
            }
            _ => options.extend(text.lines().filter_map(|line| {
                let line = line.split('#').next()?.trim();
                let (key, value) = line.split_once(": ")?;
                Some((key.trim().to_owned(), value.trim().to_owned()))
            })),
        }
        Self { options }
    }

    /// The value of an option, if it is set and not empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// An option of S3, under any of its names behind any of the prefixes that Flink's file systems pass on.
    #[must_use]
    pub fn s3(&self, names: &[&str]) -> Option<&str> {
        let prefixes = ["s3.", "s3a.", "fs.s3a.", "presto.s3.", "s3p.", "fs.s3."];
        prefixes
            .iter()
            .flat_map(|prefix| names.iter().map(move |name| (prefix, name)))
            .find_map(|(prefix, name)| self.get(&format!("{prefix}{name}")))
    }
}

impl FlinkConf {
    /// Where Flink puts `_metadata` of what is configured to lie at a location: without the first `s3.entropy.key` in its
    /// path, as `org.apache.flink.core.fs.EntropyInjector` removes it. (In the paths of data files it becomes
    /// random characters, and these are recorded as they are.) Any other location is what it is.
    #[must_use]
    pub fn without_entropy(&self, location: Location) -> Location {
        let marker = self.get("s3.entropy.key").filter(|_| location.class() == SchemeClass::S3);
        let Some((before, after)) = marker.and_then(|marker| location.path().split_once(marker)) else {
            return location;
        };
        let root = location.store_root();
        // The slashes around it become one.
        let rest = format!("{before}{after}");
        root.join(rest.trim_start_matches('/')).unwrap_or(root)
    }
}

/// Adds what lies in a value under its dotted keys. Lists are of no use here.
fn flatten(prefix: &str, value: &Yaml, options: &mut BTreeMap<String, String>) {
    let text = match value {
        Yaml::Hash(entries) => {
            for (key, value) in entries {
                let Some(key) = scalar(key) else { continue };
                let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&key, value, options);
            }
            return;
        }
        value => scalar(value),
    };
    if let Some(text) = text {
        options.insert(prefix.to_owned(), text);
    }
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_entropy_is_removed_as_flink_removes_it() {
        let conf = FlinkConf::parse("s3.entropy.key: _entropy_\n");
        let without = |text: &str| conf.without_entropy(Location::parse(text).expect(text)).to_string();
        for (configured, lies_at) in [
            ("s3://b/_entropy_/checkpoints", "s3://b/checkpoints"),
            ("s3a://b/flink/_entropy_/job/chk-1/_metadata", "s3a://b/flink/job/chk-1/_metadata"),
            ("s3p://b/flink/_entropy_", "s3p://b/flink"),
            ("s3://b/x-_entropy_-y/z", "s3://b/x--y/z"),
            // Only the first.
            ("s3://b/_entropy_/_entropy_/a", "s3://b/_entropy_/a"),
            ("s3://b/_entropy_", "s3://b/"),
            ("s3://_entropy_/a", "s3://_entropy_/a"),
            ("gs://b/_entropy_/a", "gs://b/_entropy_/a"),
            ("/data/_entropy_/a", "/data/_entropy_/a"),
            ("s3://b/a", "s3://b/a"),
        ] {
            assert_eq!(without(configured), lies_at, "{configured}");
        }
        let none = FlinkConf::default();
        let place = Location::parse("s3://b/_entropy_/a").expect("a place");
        assert_eq!(none.without_entropy(place.clone()), place);
    }

    #[test]
    fn both_kinds_of_files_say_the_same() {
        let nested = "s3:\n  endpoint: http://minio:9000\n  path:\n    style:\n      access: true\n  access-key: 'k'\n";
        let flat = "s3.endpoint: http://minio:9000\ns3.path.style.access: true # yes\ns3.access-key: k\n";
        let old = "# not YAML\ns3.endpoint: http://minio:9000\ns3.path.style.access: true\ns3.access-key: k\n\
                   env.java.opts: *x: [\n";
        for text in [nested, flat, old] {
            let conf = FlinkConf::parse(text);
            assert_eq!(conf.s3(&["endpoint"]), Some("http://minio:9000"), "{text}");
            assert_eq!(conf.get("s3.path.style.access"), Some("true"), "{text}");
            assert_eq!(conf.s3(&["access.key", "access-key"]), Some("k"), "{text}");
            assert_eq!(conf.get("s3.region"), None);
        }
        assert_eq!(FlinkConf::parse("").get("x"), None);
        assert_eq!(FlinkConf::parse("- a\n- b").get("a"), None);
        assert_eq!(FlinkConf::parse("fs.s3a.secret.key: s").s3(&["secret.key"]), Some("s"));
    }
}
