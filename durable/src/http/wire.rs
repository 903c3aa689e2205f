//! Bodies, with the names and the forms of the original. None of them is a type of the store.

use durable_store::{InstanceKind, Status, Timestamp};
use serde::Serialize;

use super::history::EventBody;
use crate::{EntityStatus, InstanceStatus, Json};

/// An error. The original has Pascal case here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ErrorBody {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_trace: Option<&'static str>,
}

impl ErrorBody {
    pub(super) fn message(message: String) -> Self {
        Self { message, exception_message: None, exception_type: None, stack_trace: None }
    }

    /// Client libraries read the message of the exception; there is no stack to show.
    pub(super) fn caught(message: String, exception: String, kind: &'static str) -> Self {
        Self {
            message,
            exception_message: Some(exception),
            exception_type: Some(kind),
            stack_trace: Some(""),
        }
    }
}

/// The status of an instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusBody {
    name: String,
    instance_id: String,
    runtime_status: &'static str,
    input: Option<Json>,
    custom_status: Option<Json>,
    output: Option<Json>,
    created_time: String,
    last_updated_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_events: Option<Vec<EventBody>>,
}

impl StatusBody {
    pub(super) fn of(
        status: InstanceStatus,
        show_input: bool,
        history_events: Option<Vec<EventBody>>,
    ) -> Self {
        let is_shown = show_input && status.kind == InstanceKind::Orchestration;
        let failure = status.failure.as_ref().map(|error| error.failure().message.clone());
        Self {
            runtime_status: status_name(status.status),
            input: is_shown.then(|| only_argument(&status.input)),
            output: status.output.or_else(|| failure.as_deref().map(text)),
            created_time: seconds(status.created_at),
            last_updated_time: seconds(status.updated_at),
            custom_status: status.custom_status,
            name: status.name,
            instance_id: status.id,
            history_events,
        }
    }
}

/// An entity in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntityBody {
    entity_id: EntityIdBody,
    last_operation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Json>,
}

#[derive(Debug, Serialize)]
struct EntityIdBody {
    name: String,
    key: String,
}

impl EntityBody {
    pub(super) fn of(entity: EntityStatus, fetch_state: bool) -> Self {
        Self {
            // The original has names in lower case.
            entity_id: EntityIdBody { name: entity.id.name.to_lowercase(), key: entity.id.key },
            last_operation_time: entity.updated_at.to_string(),
            state: entity.state.filter(|_| fetch_state),
        }
    }
}

/// How many instances were purged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PurgedBody {
    pub(super) instances_deleted: u64,
}

/// A status by the original's name.
pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::Running => "Running",
        Status::Suspended => "Suspended",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
        Status::Terminated => "Terminated",
    }
}

/// The input as the original has it: one value. Functions of the original have one argument; several
/// are an array.
pub(super) fn only_argument(arguments: &Json) -> Json {
    match serde_json::from_str::<Vec<Json>>(arguments.as_str()) {
        Ok(mut only) if only.len() == 1 => only.remove(0),
        _ => arguments.clone(),
    }
}

/// Text as JSON.
pub(super) fn text(text: &str) -> Json {
    // Writing text as JSON cannot fail.
    Json::from_text(serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned()))
}

/// A time in whole seconds.
fn seconds(time: Timestamp) -> String {
    const MICROS: i64 = 1_000_000;
    let micros = time.as_micros();
    Timestamp::from_micros(micros - micros.rem_euclid(MICROS)).to_string()
}
