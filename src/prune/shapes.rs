//! What Flink names its files: only what has one of these shapes is ever a candidate for deletion.
//!
//! | shape | what it is | Flink | rules |
//! |---|---|---|---|
//! | `chk-N/_metadata` | makes a checkpoint complete | 1.3 – 2.x | R6, R7, R14, R15 |
//! | `chk-N/UUID` | state of this checkpoint alone | 1.3 – 2.x | R1, R5, R6 |
//! | `chk-N/._metadata.inprogress.UUID` | a `_metadata` that was being written | 1.12 – 2.x | R5, R6 |
//! | `shared/UUID` | state that several checkpoints use | 1.3 – 2.x | R1, R5, R6 |
//! | `taskowned/UUID` | what task managers own: changelogs | 1.5 – 2.x | R1, R4, R9 |
//! | `shared/job_…_op_…/UUID` | merged files of one subtask | 1.20 – 2.x | R1, R6, R10 |
//! | `taskowned/job_…_tm_…/UUID` | merged files of a task manager | 1.20 – 2.x | R1, R6, R9, R10 |
//! | `shared/op_…__attempt_N/db/UUID` | the working directory of a ForSt database | 2.0 – 2.x | R1, R6 |
//! | `JOBID/dstl/UUID` | state changes, under the changelog's base path | 1.15 – 2.x | R1, R4 |
//!
//! Each but the last stands below a job's directory: `ROOT/JOBID`, or `ROOT` itself without the level of job ids
//! (`state.checkpoints.create-subdir: false`). The same names were found in the fixtures of 1.13 to 2.3.

use crate::model::inventory::uuid;
use crate::model::layout::{METADATA, checkpoint_number, is_job_id};
use crate::storage::Location;

/// What a directory is to Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirectoryShape {
    /// `chk-N`.
    Checkpoint(u64),
    /// `shared`.
    Shared,
    /// `taskowned`.
    TaskOwned,
    /// `shared/job_…`.
    MergedShared,
    /// `taskowned/job_…`.
    MergedTaskOwned,
    /// `shared/op_…__attempt_N/db`.
    Working,
    /// `JOBID/dstl`.
    Changelog,
    /// Any other.
    Other,
}

/// What a file is to Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `_metadata` of a checkpoint or savepoint.
    Metadata,
    /// `chk-N/._metadata.inprogress.UUID`.
    MetadataInProgress,
    /// `chk-N/UUID`.
    Exclusive,
    /// `shared/UUID`.
    Shared,
    /// `taskowned/UUID`.
    TaskOwned,
    /// `shared/job_…/UUID`.
    MergedShared,
    /// `taskowned/job_…/UUID`.
    MergedTaskOwned,
    /// `shared/op_…__attempt_N/db/UUID`.
    Working,
    /// `JOBID/dstl/UUID`.
    Changelog,
    /// A file in the directory of a savepoint.
    Savepoint,
    /// Any other.
    Other,
}

/// What a directory is, and in which job's directory it lies.
#[must_use]
pub fn directory_shape(directory: &Location) -> (DirectoryShape, Option<Location>) {
    let name = directory.file_name().unwrap_or_default();
    let above = directory.parent();
    let above_name = above.as_ref().and_then(Location::file_name).unwrap_or_default();
    let two_above = || above.as_ref().and_then(Location::parent);
    if let Some(number) = checkpoint_number(name) {
        return (DirectoryShape::Checkpoint(number), above);
    }
    match (above_name, name) {
        (_, "shared") => (DirectoryShape::Shared, above),
        (_, "taskowned") => (DirectoryShape::TaskOwned, above),
        (_, "dstl") if is_job_id(above_name) => (DirectoryShape::Changelog, above),
        ("shared", _) if is_merged(name, "_op_") => (DirectoryShape::MergedShared, two_above()),
        ("taskowned", _) if is_merged(name, "_tm_") => (DirectoryShape::MergedTaskOwned, two_above()),
        (_, "db") if is_attempt(above_name) => {
            let shared = two_above();
            match shared.as_ref().map(|shared| (shared.file_name(), shared.parent())) {
                Some((Some("shared"), job @ Some(_))) => (DirectoryShape::Working, job),
                _ => (DirectoryShape::Other, None),
            }
        }
        _ => (DirectoryShape::Other, None),
    }
}

/// What a file is that lies in a directory of this shape.
#[must_use]
pub fn shape(directory: DirectoryShape, name: &str) -> Shape {
    if name == METADATA {
        return Shape::Metadata;
    }
    if let Some(unique) = name.strip_prefix("._metadata.inprogress.") {
        let is_in_progress = matches!(directory, DirectoryShape::Checkpoint(_)) && uuid(unique).is_some();
        return if is_in_progress { Shape::MetadataInProgress } else { Shape::Other };
    }
    if uuid(name).is_none() {
        return Shape::Other;
    }
    match directory {
        DirectoryShape::Checkpoint(_) => Shape::Exclusive,
        DirectoryShape::Shared => Shape::Shared,
        DirectoryShape::TaskOwned => Shape::TaskOwned,
        DirectoryShape::MergedShared => Shape::MergedShared,
        DirectoryShape::MergedTaskOwned => Shape::MergedTaskOwned,
        DirectoryShape::Working => Shape::Working,
        DirectoryShape::Changelog => Shape::Changelog,
        DirectoryShape::Other => Shape::Other,
    }
}

/// `job_JOBID_op_…` or `job_JOBID_tm_…`.
fn is_merged(name: &str, of: &str) -> bool {
    let rest = name.strip_prefix("job_").and_then(|rest| rest.split_once(of));
    rest.is_some_and(|(job, rest)| is_job_id(job) && !rest.is_empty())
}

/// `op_…__attempt_N`.
fn is_attempt(name: &str) -> bool {
    let rest = name.strip_prefix("op_").and_then(|rest| rest.rsplit_once("__attempt_"));
    rest.is_some_and(|(operator, number)| {
        !operator.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "0123456789abcdef0123456789abcdef";
    const FILE: &str = "00000000-1111-2222-3333-444444444444";

    fn of(place: &str) -> (Shape, Option<String>) {
        let location = Location::parse(&format!("s3://b/{place}")).expect(place);
        let (directory, job) = directory_shape(&location.parent().expect("a directory"));
        (shape(directory, location.file_name().expect("a name")), job.map(|job| job.key().to_owned()))
    }

    #[test]
    fn what_flink_writes_is_known() {
        for (place, expected) in [
            ("chk-7/_metadata", Shape::Metadata),
            (&format!("chk-7/{FILE}"), Shape::Exclusive),
            (&format!("chk-7/._metadata.inprogress.{FILE}"), Shape::MetadataInProgress),
            (&format!("shared/{FILE}"), Shape::Shared),
            (&format!("taskowned/{FILE}"), Shape::TaskOwned),
            (&format!("shared/job_{JOB}_op_{JOB}_0_2/{FILE}"), Shape::MergedShared),
            (&format!("taskowned/job_{JOB}_tm_a-b/{FILE}"), Shape::MergedTaskOwned),
            (&format!("shared/op_KeyedProcess_{JOB}__1_2__attempt_0/db/{FILE}"), Shape::Working),
        ] {
            for job in [format!("flink/{JOB}"), "without/id".to_owned()] {
                assert_eq!(of(&format!("{job}/{place}")), (expected, Some(job.clone())), "{place}");
            }
        }
        assert_eq!(of(&format!("log/{JOB}/dstl/{FILE}")), (Shape::Changelog, Some(format!("log/{JOB}"))));
    }

    #[test]
    fn nothing_else_is() {
        for place in [
            "chk-7/part-0000.parquet",
            "chk-7/._metadata.inprogress.1",
            &format!("shared/._metadata.inprogress.{FILE}"),
            &format!("chk-x/{FILE}"),
            &format!("chk-/{FILE}.tmp"),
            &format!("shared/x/{FILE}"),
            &format!("shared/job_1_op_2/{FILE}"),
            &format!("taskowned/job_{JOB}_op_{JOB}_0_2/{FILE}"),
            &format!("shared/op_x__attempt_0/{FILE}"),
            &format!("shared/op_x__attempt_/db/{FILE}"),
            &format!("other/op_x__attempt_0/db/{FILE}"),
            &format!("x/dstl/{FILE}"),
            &format!("data/{FILE}"),
            &format!("shared/{}", FILE.replace('4', "A")),
        ] {
            assert_eq!(of(&format!("flink/{JOB}/{place}")).0, Shape::Other, "{place}");
        }
    }
}
