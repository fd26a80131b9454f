//! The string of a `java.net.URI` as `org.apache.flink.core.fs.Path.toString` shows it.

/// Scheme, authority and path without escapes; `None` if it is not such a URI as a `Path` has: hierarchical, without a
/// query or a fragment, and with escapes that are UTF-8.
///
/// `Path` quotes what may not stand in a URI (`s3://b/50% off?` has the string `s3://b/50%25%20off%3F`), so that the
/// same object has another name in `_metadata`, which holds what `Path.toString` shows.
pub(super) fn decoded(uri: &str) -> Option<String> {
    if uri.contains(['?', '#']) {
        return None;
    }
    let (scheme, rest) = match uri.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
        _ => (None, uri),
    };
    if scheme.is_some() && !rest.starts_with('/') {
        return None;
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (authority, path) = (unescaped(authority)?, unescaped(path)?);
    let mut out = String::with_capacity(uri.len());
    if let Some(scheme) = scheme {
        out.push_str(scheme);
        out.push(':');
    }
    if !authority.is_empty() {
        out.push_str("//");
        out.push_str(&authority);
    }
    // A path of Windows' is shown as it was given: "C:/x" is kept as "/C:/x".
    let drive =
        |path: &str| matches!(path.as_bytes(), [b'/', letter, b':', ..] if letter.is_ascii_alphabetic());
    let skipped = usize::from(scheme.is_none() && authority.is_empty() && drive(&path));
    out.push_str(path.get(skipped..)?);
    Some(out)
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (&[high, low], after) = after.split_first_chunk()?;
            let digit = |digit: u8| char::from(digit).to_digit(16);
            bytes.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn a_path_is_shown_as_flink_shows_it() {
        for (uri, path) in [
            ("file:/data/flink/x", "file:/data/flink/x"),
            ("file:///data", "file:/data"),
            ("s3://bucket/a/b", "s3://bucket/a/b"),
            ("s3://bucket", "s3://bucket"),
            ("hdfs://host:8020/50%25%20off%3F/%C3%BC", "hdfs://host:8020/50% off?/ü"),
            ("s3://b/a:b/ü", "s3://b/a:b/ü"),
            ("/no/scheme:x", "/no/scheme:x"),
            ("/C:/x", "C:/x"),
            ("file:/C:/x", "file:/C:/x"),
            ("relative", "relative"),
        ] {
            assert_eq!(decoded(uri).as_deref(), Some(path), "{uri}");
        }
    }

    #[test]
    fn what_no_path_has_is_refused() {
        for uri in [
            "s3://b/a?x",
            "s3://b/a#x",
            "file:x",
            "s3://b/%",
            "s3://b/%4",
            "s3://b/%zz",
            "s3://b/%C3%28",
            "s3://b/%+1",
        ] {
            assert_eq!(decoded(uri), None, "{uri}");
        }
    }
}
