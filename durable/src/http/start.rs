//! Starting orchestrations, and waiting for them a while.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::Response;
use durable_store::Status;
use serde_json::Value;

use super::call::Call;
use super::query::status_of;
use super::reply::{Answer, Fault, json, with_header};
use super::wire::status_name;
use crate::{ClientError, Handle};

/// The longest wait for the end of an orchestration that a request can ask for; longer ones are
/// shortened. It is how long the original's load balancer lets a request wait.
pub const MAX_WAIT: Duration = Duration::from_secs(230);
/// When to ask about what was started, in seconds.
const START_RETRY_AFTER: &str = "10";

/// Starts the orchestration of a registered name with the body as its only argument.
pub(super) async fn start(call: Call) -> Answer {
    let input = call.input().map_err(|error| Fault::json("Invalid JSON content", &error))?;
    let name = call.parameter(0).to_owned();
    let mut start = call.api.client.start_with_text(name.clone(), input.as_deref());
    if let Some(id) = call.parameters.get(1) {
        start = start.instance_id(id);
    }
    if let Some(version) = call.query.text("version") {
        start = start.version(version);
    }
    match start.await {
        Ok(handle) => check_or_wait(&call, handle).await,
        Err(ClientError::AlreadyExists { status, .. }) => {
            let status = status_name(status);
            let message =
                format!("An Orchestration instance with the status {status} already exists.");
            Err(Fault::Message(StatusCode::CONFLICT, message))
        }
        Err(ClientError::NotRegistered { .. }) => {
            let names = call.api.client.registered_names().map(|names| names.0);
            let message = unknown_function("orchestrator", &name, &names.unwrap_or_default());
            Err(Fault::argument(message.clone(), message))
        }
        Err(
            error @ (ClientError::InvalidId { .. }
            | ClientError::InvalidOption { .. }
            | ClientError::InvalidArguments { .. }),
        ) => Err(Fault::argument(error.to_string(), &error)),
        Err(error) => Err(error.into()),
    }
}

/// Starts an instance once more.
pub(super) async fn restart(call: Call) -> Answer {
    let handle: Handle<Value> = call.api.client.orchestration(call.parameter(0));
    let mut restart = handle.restart();
    if call.query.flag("restartWithNewInstanceId").unwrap_or(true) {
        restart = restart.with_new_id();
    }
    match restart.await {
        Ok(handle) => check_or_wait(&call, handle).await,
        Err(error @ (ClientError::NotFound { .. } | ClientError::NotRegistered { .. })) => {
            let message = "InstanceId does not match a valid orchestration instance.";
            Err(Fault::argument(message, &error))
        }
        Err(error @ ClientError::AlreadyExists { .. }) => Err(Fault::Caught {
            status: StatusCode::CONFLICT,
            message: "A non-terminal instance with this instance ID already exists.".to_owned(),
            exception: error.to_string(),
            kind: "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
        }),
        Err(error) => Err(error.into()),
    }
}

/// Where to ask about what was started, or its result if it comes within the time to wait. As with
/// those stores of the original that can wait without polling, the time to wait is enough: the
/// polling interval is read by nobody.
async fn check_or_wait(call: &Call, handle: Handle<Value>) -> Answer {
    let Some(timeout) = call.query.seconds("timeout") else {
        return Ok(check_status(call, handle.id()));
    };
    match handle.result().timeout(timeout.min(MAX_WAIT)).await {
        Err(ClientError::TimedOut { .. } | ClientError::NotFound { .. }) => {
            return Ok(check_status(call, handle.id()));
        }
        Err(error @ ClientError::Store(_)) => return Err(error.into()),
        // It has ended; the row says how.
        _ => {}
    }
    let status = handle.status().await?;
    match status.status {
        Status::Completed => {
            Ok(json(StatusCode::OK, &status.output.unwrap_or_else(crate::Json::null)))
        }
        _ => {
            let fails = call.query.flag("returnInternalServerErrorOnFailure").unwrap_or(false);
            status_of(call, handle.id(), fails).await
        }
    }
}

/// The answer that an instance was started, with where to ask about it.
fn check_status(call: &Call, id: &str) -> Response {
    let urls = call.base.management(&call.api.options, id);
    let response = json(StatusCode::ACCEPTED, &urls);
    let response = with_header(response, header::LOCATION, &urls.status_query_get_uri);
    with_header(response, header::RETRY_AFTER, START_RETRY_AFTER)
}

/// What the original says of a name that it does not know.
pub(super) fn unknown_function(kind: &str, name: &str, known: &[&str]) -> String {
    let known = match known {
        [] => format!("No {kind} functions are currently registered!"),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
            let names = names.join(", ");
            format!("The following are the known {kind} functions: {names}.")
        }
    };
    format!(
        "The function '{name}' doesn't exist, is disabled, or is not an {kind} function. \
         Additional info: {known}"
    )
}
