//! Flink's REST API, as far as it tells which jobs run and which snapshots they hold.
//!
//! `GET /jobs/overview` lists the jobs, `GET /jobs/:id/checkpoints` what is known of each one's checkpoints; both are
//! documented in Flink's "REST API" under v1.

use serde::Deserialize;

use crate::storage::{Location, Storage};

/// The most that an answer may have, in bytes.
const LIMIT: u64 = 64 << 20;

/// A job that a JobManager knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestJob {
    /// Its id.
    pub id: String,
    /// Its state, in Flink's words.
    pub state: String,
    /// Where its complete checkpoints lie, as far as they are remembered.
    pub checkpoints: Vec<String>,
    /// Snapshots that it holds: what it was restored from, its newest checkpoint, its newest savepoint.
    pub held: Vec<String>,
}

impl RestJob {
    /// Whether it ended for good: it will not be restarted or recovered.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "FINISHED" | "CANCELED" | "FAILED")
    }
}

#[derive(Deserialize)]
struct Overview {
    jobs: Vec<JobLine>,
}

#[derive(Deserialize)]
struct JobLine {
    jid: String,
    state: String,
}

#[derive(Deserialize)]
struct Checkpoints {
    latest: Latest,
    history: Vec<Past>,
}

#[derive(Deserialize)]
struct Latest {
    completed: Option<Past>,
    savepoint: Option<Past>,
    restored: Option<Past>,
}

#[derive(Deserialize)]
struct Past {
    external_path: Option<String>,
    status: Option<String>,
}

/// Asks a JobManager for its jobs.
///
/// # Errors
/// It does not answer, or says something else.
pub fn jobs(storage: &dyn Storage, address: &Location) -> Result<Vec<RestJob>, String> {
    let text = get(storage, address, "jobs/overview")?;
    let overview: Overview = parsed(address, "jobs/overview", &text)?;
    let jobs = overview.jobs.into_iter().map(|line| {
        let path = format!("jobs/{}/checkpoints", line.jid);
        let text = get(storage, address, &path)?;
        Ok(job(line, parsed(address, &path, &text)?))
    });
    jobs.collect()
}

fn job(line: JobLine, checkpoints: Checkpoints) -> RestJob {
    let Checkpoints { latest, history } = checkpoints;
    let place = |past: &Option<Past>| past.as_ref().and_then(|past| past.external_path.clone());
    let held = [&latest.restored, &latest.completed, &latest.savepoint];
    let complete = history.iter().filter(|past| past.status.as_deref() == Some("COMPLETED"));
    let complete = complete.filter_map(|past| past.external_path.clone()).chain(place(&latest.completed));
    RestJob {
        checkpoints: complete.collect(),
        held: held.into_iter().filter_map(place).collect(),
        id: line.jid,
        state: line.state,
    }
}

fn get(storage: &dyn Storage, address: &Location, path: &str) -> Result<Vec<u8>, String> {
    let place = address.join(path).map_err(|error| error.to_string())?;
    let bytes = storage.read_all(&place, LIMIT).map_err(|error| error.to_string())?;
    Ok(bytes.to_vec())
}

fn parsed<'a, T: Deserialize<'a>>(address: &Location, path: &str, text: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("{address}/{path} is no answer of Flink's: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    #[test]
    fn jobs_tell_what_they_hold() {
        let storage = MemoryStorage::new();
        let address = at("http://jobmanager:8081");
        storage.put(
            &at("http://jobmanager:8081/jobs/overview"),
            r#"{"jobs":[{"jid":"a1","name":"x","state":"RUNNING","tasks":{}},{"jid":"b2","state":"FINISHED"}]}"#,
        );
        storage.put(
            &at("http://jobmanager:8081/jobs/a1/checkpoints"),
            r#"{"counts":{"restored":1},"latest":{
                "completed":{"id":7,"status":"COMPLETED","external_path":"s3://b/a1/chk-7"},
                "savepoint":null,"failed":null,
                "restored":{"id":3,"is_savepoint":false,"external_path":"s3://b/old/chk-3"}},
              "history":[{"id":8,"status":"IN_PROGRESS"},{"id":6,"status":"COMPLETED","external_path":"s3://b/a1/chk-6"},
                {"id":5,"status":"FAILED"}]}"#,
        );
        let nothing =
            r#"{"latest":{"completed":null,"savepoint":null,"failed":null,"restored":null},"history":[]}"#;
        storage.put(&at("http://jobmanager:8081/jobs/b2/checkpoints"), nothing);
        let jobs = jobs(&storage, &address).expect("an answer");
        assert_eq!(jobs[0].checkpoints, ["s3://b/a1/chk-6", "s3://b/a1/chk-7"]);
        assert_eq!(jobs[0].held, ["s3://b/old/chk-3", "s3://b/a1/chk-7"]);
        assert_eq!(jobs.iter().map(RestJob::has_ended).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn what_does_not_answer_is_an_error() {
        let storage = MemoryStorage::new();
        let address = at("http://jobmanager:8081");
        assert!(jobs(&storage, &address).is_err());
        storage.put(&at("http://jobmanager:8081/jobs/overview"), "<html>");
        assert!(jobs(&storage, &address).is_err_and(|error| error.contains("jobs/overview")));
    }
}
