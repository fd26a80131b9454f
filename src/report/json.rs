//! JSON output: an interface, versioned and described in `docs/json.md`.

use std::io::{self, Write};

use serde::Serialize;

/// The version of the JSON output. It changes when a field goes away or changes its meaning; new
/// fields may come at any time.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema_version: u32,
    statescope_version: &'static str,
    command: &'a str,
    result: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes a result of a command, with the kind of result it is.
///
/// # Errors
/// The output cannot be written.
pub fn write<T: Serialize>(out: &mut dyn Write, command: &str, result: &str, body: &T) -> io::Result<()> {
    let envelope = Envelope {
        schema_version: SCHEMA_VERSION,
        statescope_version: env!("CARGO_PKG_VERSION"),
        command,
        result,
        body,
    };
    serde_json::to_writer_pretty(&mut *out, &envelope)?;
    out.write_all(b"\n")
}
