//! The names that Flink gives to directories and files.

/// The name of the file that makes a directory a complete snapshot.
pub const METADATA: &str = "_metadata";

/// Whether a name is a job id: 32 hex digits.
#[must_use]
pub fn is_job_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The number of a `chk-N` directory.
#[must_use]
pub fn checkpoint_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("chk-")?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Whether a name is one of those that Flink gives to directories inside a job's.
#[must_use]
pub fn is_job_subdirectory(name: &str) -> bool {
    name == "shared" || name == "taskowned" || checkpoint_number(name).is_some()
}
