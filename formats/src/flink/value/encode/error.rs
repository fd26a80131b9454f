//! Why JSON is no value of a type.

use std::fmt;

use serde_json::Value;

/// Why no bytes can be made of JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError {
    /// Where in the JSON, such as `f0.name` or `items[2].key`; empty for all of it.
    pub path: String,
    /// Why.
    pub problem: EncodeProblem,
}

/// Why no bytes can be made of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeProblem {
    /// It is not of the type that stands there.
    Mismatch {
        /// What is expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// Values of what stands there have several encodings, or none that is known: why, and the class where there is one.
    NoEncoding(String),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        match &self.problem {
            EncodeProblem::Mismatch { expected, found } => write!(f, "expected {expected}, found {found}"),
            EncodeProblem::NoEncoding(what) => {
                write!(f, "JSON does not say which bytes it has: {what}; give the bytes in hex (--key-hex)")
            }
        }
    }
}

impl std::error::Error for EncodeError {}

/// What stands there, in a few words.
pub(super) fn describe(json: &Value) -> String {
    const SHOWN: usize = 40;
    match json {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let shown: String = text.chars().take(SHOWN).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            format!("the text {}{more}", Value::String(shown))
        }
        Value::Array(elements) => format!("an array of {}", elements.len()),
        Value::Object(fields) if fields.is_empty() => "an object without fields".to_owned(),
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().take(8).map(String::as_str).collect();
            let more = if names.len() < fields.len() { ", …" } else { "" };
            format!("an object of {}{more}", names.join(", "))
        }
    }
}
