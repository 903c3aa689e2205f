//! An instance as clients see it.

use durable_store::{InstanceKind, InstanceRecord, Status, Tags, Timestamp};

use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};
use crate::json::Json;

/// What is stored about an instance.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// Orchestration or entity.
    pub kind: InstanceKind,
    /// The registered name.
    pub name: String,
    /// The version it stays on, empty for none.
    pub version: String,
    /// The id of the orchestration that waits for it, if one does.
    pub parent: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// The name of the state that it waits in; empty for an entity, and before the first turn.
    pub state: String,
    /// The saved state, as JSON text.
    pub saved: Option<String>,
    /// Why the worker that has its partition cannot continue it, if so: its program or its version
    /// is not registered there, its version is not for that worker, or what was saved does not fit.
    /// It is left untouched, with its messages, until a worker that can has the partition.
    pub blocked: Option<String>,
    /// What it last said about itself.
    pub custom_status: Option<Json>,
    /// The arguments, as an array, or `null` for none.
    pub input: Json,
    /// The result, if it completed.
    pub output: Option<Json>,
    /// Why it failed or was terminated, if it did.
    pub failure: Option<TaskError>,
    /// Its labels.
    pub tags: Tags,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first turn was to run, if not at once.
    pub starts_at: Option<Timestamp>,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When it ended, if it did.
    pub finished_at: Option<Timestamp>,
}

impl InstanceStatus {
    pub(crate) fn of(record: InstanceRecord) -> Self {
        let failure = failure(&record);
        let completed = record.status == Status::Completed;
        Self {
            state: record.state.as_deref().map(state_name).unwrap_or_default(),
            saved: record.state.map(|text| text.to_string()),
            custom_status: record.custom_status.map(Json::from_text),
            input: Json::from_text(record.input),
            output: record.output.filter(|_| completed).map(Json::from_text),
            failure,
            id: record.id,
            kind: record.kind,
            name: record.name,
            version: record.version,
            parent: record.parent,
            status: record.status,
            blocked: record.blocked,
            tags: record.tags,
            created_at: record.created_at,
            starts_at: record.starts_at,
            updated_at: record.updated_at,
            finished_at: record.finished_at,
        }
    }
}

/// How the instance of a record failed, if it did.
pub(super) fn failure(record: &InstanceRecord) -> Option<TaskError> {
    if !matches!(record.status, Status::Failed | Status::Terminated) {
        return None;
    }
    let failure = record.output.as_deref().map(serde_json::from_str::<TaskFailure>);
    let failure = match failure {
        Some(Ok(failure)) => failure,
        Some(Err(error)) => unknown_failure(format!("the saved failure is not readable: {error}")),
        None => unknown_failure("no failure was saved".to_owned()),
    };
    Some(TaskError::of_task(failure, &record.name))
}

fn unknown_failure(message: String) -> TaskFailure {
    TaskFailure::new(TaskErrorKind::Failed, Failure::new("Unknown", message))
}

/// The name of the state in a saved one. An entity has the user's state there, which is not text.
fn state_name(saved: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        state: String,
    }
    serde_json::from_str::<Named>(saved).map(|named| named.state).unwrap_or_default()
}
