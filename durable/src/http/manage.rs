//! What is done to instances: events, termination, suspending, rewinding, purging.

use std::time::Duration;

use axum::http::StatusCode;
use durable_store::Status;
use serde_json::Value;

use super::call::Call;
use super::query::filter;
use super::reply::{Answer, Fault, empty, json};
use super::wire::{PurgedBody, status_name};
use crate::{ClientError, EntityAddress, Handle};

/// How long a purge waits for an entity to be deleted.
const ENTITY_PURGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The instance that the path names.
fn instance(call: &Call) -> Handle<Value> {
    call.api.client.orchestration(call.parameter(0))
}

fn reason(call: &Call) -> String {
    call.query.text("reason").unwrap_or_default()
}

/// The answer to a message. An id that no instance can have is one that no instance has.
fn accepted(sent: Result<(), ClientError>) -> Answer {
    match sent {
        Ok(()) => Ok(empty(StatusCode::ACCEPTED)),
        Err(ClientError::InvalidId { .. }) => Err(Fault::Empty(StatusCode::NOT_FOUND)),
        Err(error) => Err(error.into()),
    }
}

/// Raises an event. Whether the instance takes one is said before the body is looked at.
pub(super) async fn raise_event(call: Call) -> Answer {
    let instance = instance(&call);
    if instance.status().await?.status.is_terminal() {
        return Err(Fault::Empty(StatusCode::GONE));
    }
    if !call.says_json() {
        let message = "Only application/json request content is supported".to_owned();
        return Err(Fault::Message(StatusCode::BAD_REQUEST, message));
    }
    let value = call.json().map_err(|error| Fault::json("Invalid JSON content", &error))?;
    accepted(instance.raise_event_text(call.parameter(1), &value).await)
}

/// Ends an instance.
pub(super) async fn terminate(call: Call) -> Answer {
    accepted(instance(&call).terminate(reason(&call)).await)
}

/// Lets an instance wait.
pub(super) async fn suspend(call: Call) -> Answer {
    accepted(instance(&call).suspend(reason(&call)).await)
}

/// Lets an instance go on.
pub(super) async fn resume(call: Call) -> Answer {
    accepted(instance(&call).resume(reason(&call)).await)
}

/// Lets an instance go on from before its failure.
pub(super) async fn rewind(call: Call) -> Answer {
    let id = call.parameter(0);
    match instance(&call).rewind(reason(&call)).await {
        Err(ClientError::NotFound { .. } | ClientError::InvalidId { .. }) => {
            let text = format!("No orchestration with instance ID \"{id}\" found.");
            Err(Fault::Text(StatusCode::NOT_FOUND, text))
        }
        Err(ClientError::NotFailed { status, .. } | ClientError::Ended { status, .. }) => {
            let text = format!(
                "This orchestration has status {}, but only orchestrations in the \"Failed\" state \
                 can be rewound.",
                status_name(status)
            );
            Err(Fault::Text(StatusCode::PRECONDITION_FAILED, text))
        }
        sent => accepted(sent),
    }
}

/// Purges one instance.
pub(super) async fn purge_one(call: Call) -> Answer {
    let id = call.parameter(0);
    if let Some(entity) = entity(id) {
        return purge_entity(&call, &entity).await;
    }
    match instance(&call).purge().await {
        Ok(purged) => Ok(purged_reply(purged.count)),
        Err(ClientError::NotEnded { status, .. }) => {
            let status = status_name(status);
            let text = format!(
                "Only orchestrations in a terminal state can be purged, but the orchestration with \
                 instance ID {id} has status {status}"
            );
            Err(Fault::Text(StatusCode::PRECONDITION_FAILED, text))
        }
        Err(error) => Err(error.into()),
    }
}

/// Deletes an entity and what is stored of it, which needs its worker and waits for its lock.
async fn purge_entity(call: &Call, entity: &EntityAddress) -> Answer {
    let clock = call.api.client.clock();
    let until = clock.now() + ENTITY_PURGE_TIMEOUT;
    tokio::select! {
        biased;
        purged = call.api.client.purge_entity(entity) => Ok(purged_reply(u64::from(purged?))),
        () = clock.sleep_until(until) => {
            let text = "The entity is locked or has no worker: it is deleted as soon as it can be.";
            Err(Fault::Text(StatusCode::PRECONDITION_FAILED, text.to_owned()))
        }
    }
}

/// The entity with this instance id, if it is one of an entity.
fn entity(id: &str) -> Option<EntityAddress> {
    let (name, key) = id.strip_prefix('@')?.split_once('@')?;
    Some(EntityAddress { name: name.to_owned(), key: key.to_owned() })
}

/// Purges what matches and has ended.
pub(super) async fn purge_many(call: Call) -> Answer {
    if call.query.time("createdTimeFrom").is_none() {
        let text = "Please provide value for 'createdTimeFrom' parameter.".to_owned();
        return Err(Fault::Text(StatusCode::BAD_REQUEST, text));
    }
    let mut count = 0;
    if let Some(query) = ended_only(&call) {
        loop {
            let purged = call.api.client.purge(query.clone()).await?;
            count += purged.count;
            if !purged.more {
                break;
            }
        }
    }
    if count == 0 { Err(Fault::Empty(StatusCode::NOT_FOUND)) } else { Ok(purged_reply(count)) }
}

/// The query, without the statuses of what cannot be purged; `None` if nothing can match.
fn ended_only(call: &Call) -> Option<durable_store::InstanceQuery> {
    let mut query = filter(&call.query)?;
    let any = query.statuses.is_empty();
    query.statuses.retain(|status: &Status| status.is_terminal());
    (any || !query.statuses.is_empty()).then_some(query)
}

fn purged_reply(instances_deleted: u64) -> axum::response::Response {
    json(StatusCode::OK, &PurgedBody { instances_deleted })
}

/// What the original does to move to another region. Here every worker of a hub can take over.
#[allow(clippy::unused_async)] // Handlers are.
pub(super) async fn make_primary(_: Call) -> Answer {
    Ok(empty(StatusCode::OK))
}
