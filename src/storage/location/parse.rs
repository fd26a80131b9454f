//! From text to [`Location`].

use super::{Location, LocationError, LocationErrorKind, Root, SchemeClass, escape};
use std::borrow::Cow;
use std::sync::Arc;

type Kind = LocationErrorKind;

pub(super) fn parse(text: &str, current_dir: Option<&Location>) -> Result<Location, LocationError> {
    let Some((scheme, rest)) = split_scheme(text) else { return bare(text, current_dir) };
    let (authority, path, slashes) = match rest.strip_prefix("//") {
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            (authority, path, "//")
        }
        None => ("", rest, ""),
    };
    let class = class_of(&scheme);
    let located = root(class, &scheme, authority, path).and_then(|canonical| {
        let path = match class {
            SchemeClass::Http => normalize("", &escape::decode_segments(path)?)?,
            _ => normalize("", path)?,
        };
        // The scheme's own case is kept: it is what the user wrote.
        let scheme_text = text.get(..scheme.len()).unwrap_or(&scheme);
        Ok((canonical, format!("{scheme_text}:{slashes}{authority}"), path))
    });
    let (canonical, spelled, path) = located.map_err(|kind| LocationError::new(kind, text))?;
    let root = Root {
        class,
        scheme: scheme.into(),
        authority: authority.into(),
        spelled: spelled.into(),
        canonical: canonical.into(),
    };
    Ok(Location { root: Arc::new(root), path: path.into() })
}

/// A path without a scheme.
pub(super) fn bare(text: &str, current_dir: Option<&Location>) -> Result<Location, LocationError> {
    let bad = |kind| LocationError::new(kind, text);
    let local = |path: String| Location {
        root: Arc::new(Root {
            class: SchemeClass::Local,
            scheme: "file".into(),
            authority: "".into(),
            spelled: "".into(),
            canonical: "file://".into(),
        }),
        path: path.into(),
    };
    if text.is_empty() {
        return Err(bad(Kind::Empty));
    }
    if has_drive(text) {
        return normalize("", &text.replace('\\', "/")).map(local).map_err(bad);
    }
    if text.starts_with('/') {
        return normalize("", text).map(local).map_err(bad);
    }
    let base = current_dir.ok_or_else(|| bad(Kind::Relative))?;
    Ok(base.at(&normalize(base.key(), text).map_err(bad)?))
}

/// `base` is normalized, without a leading slash, or empty.
pub(super) fn normalize(base: &str, path: &str) -> Result<String, LocationErrorKind> {
    if path.contains('\0') {
        return Err(Kind::Nul);
    }
    let mut out = String::with_capacity(base.len() + path.len() + 2);
    if !base.is_empty() {
        out.push('/');
        out.push_str(base);
    }
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => out.truncate(out.rfind('/').ok_or(Kind::ClimbsAboveRoot)?),
            name => {
                out.push('/');
                out.push_str(name);
            }
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// The scheme in lower case and what follows its colon. A colon later than the first slash, after a
/// drive letter or inside a bare file name begins no scheme.
fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.bytes();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme || has_drive(text) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let follows = rest.starts_with('/') || class_of(&scheme) != SchemeClass::Foreign;
    follows.then_some((scheme, rest))
}

/// `C:/` or `C:\`.
fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

fn class_of(scheme: &str) -> SchemeClass {
    match scheme {
        "file" => SchemeClass::Local,
        "s3" | "s3a" | "s3p" | "s3n" => SchemeClass::S3,
        "gs" => SchemeClass::Gcs,
        "abfs" | "abfss" | "wasb" | "wasbs" => SchemeClass::Azure,
        "http" | "https" => SchemeClass::Http,
        _ => SchemeClass::Foreign,
    }
}

/// Checks scheme, authority and what stands before the path, and gives the canonical root.
fn root(class: SchemeClass, scheme: &str, authority: &str, path: &str) -> Result<String, LocationErrorKind> {
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let may_hold_user = matches!(class, SchemeClass::Azure | SchemeClass::Foreign);
    if user.is_some_and(|user| !may_hold_user || user.contains(':')) {
        return Err(Kind::Credentials);
    }
    if class == SchemeClass::Http && [authority, path].iter().any(|part| part.contains(['?', '#'])) {
        return Err(Kind::Query);
    }
    if authority.contains('\0') {
        return Err(Kind::Nul);
    }
    if !path.is_empty() && !path.starts_with('/') {
        return Err(if class == SchemeClass::Local { Kind::Relative } else { Kind::NoAuthority });
    }
    let needs_authority = !matches!(class, SchemeClass::Local | SchemeClass::Foreign);
    if needs_authority && authority.is_empty() {
        return Err(Kind::NoAuthority);
    }
    Ok(match class {
        SchemeClass::Local if path.is_empty() && authority.is_empty() => return Err(Kind::Empty),
        SchemeClass::Local if authority.is_empty() || authority.eq_ignore_ascii_case("localhost") => {
            "file://".to_owned()
        }
        SchemeClass::Local => return Err(Kind::LocalAuthority),
        SchemeClass::S3 => format!("s3://{authority}"),
        SchemeClass::Gcs => format!("gs://{authority}"),
        SchemeClass::Azure => format!("azure://{}", azure_authority(authority)),
        SchemeClass::Http => format!("{scheme}://{}", http_authority(scheme, authority)),
        SchemeClass::Foreign => format!("{scheme}://{authority}"),
    })
}

/// One account is reached at two hosts, `ACCOUNT.dfs.…` and `ACCOUNT.blob.…`.
fn azure_authority(authority: &str) -> String {
    let Some((container, host)) = authority.split_once('@') else { return authority.to_owned() };
    let host = host.to_ascii_lowercase();
    let account_host: Cow<'_, str> = match host.split_once('.') {
        Some((account, rest)) => match rest.strip_prefix("dfs.").or_else(|| rest.strip_prefix("blob.")) {
            Some(suffix) => format!("{account}.{suffix}").into(),
            None => Cow::Borrowed(&host),
        },
        None => Cow::Borrowed(&host),
    };
    format!("{container}@{account_host}")
}

fn http_authority(scheme: &str, authority: &str) -> String {
    let host = authority.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(default_port).map(str::to_owned).unwrap_or(host)
}
