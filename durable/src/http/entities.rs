//! Entities: reading, listing and signalling them.

use axum::http::StatusCode;

use super::call::Call;
use super::query::{just_after, page};
use super::reply::{Answer, Fault, empty, json};
use super::start::unknown_function;
use super::wire::{EntityBody, text};
use crate::json::only_argument;
use crate::{ClientError, EntityAddress, EntityQuery};

/// What stands for the empty key in a path.
const EMPTY_KEY: &str = "$";
/// The operation that deletes an entity.
const DELETE: &str = "delete";

fn address(call: &Call) -> EntityAddress {
    let key = call.parameter(1);
    let key = if key == EMPTY_KEY { "" } else { key };
    EntityAddress { name: call.parameter(0).to_owned(), key: key.to_owned() }
}

/// The state of an entity.
pub(super) async fn read(call: Call) -> Answer {
    let address = address(&call);
    check_name(&address.name)?;
    let state = call.api.client.entity_status(&address).await?.and_then(|status| status.state);
    match state {
        Some(state) => Ok(json(StatusCode::OK, &state)),
        None => Err(Fault::Empty(StatusCode::NOT_FOUND)),
    }
}

/// A name that could reach into keys is refused.
fn check_name(name: &str) -> Result<(), Fault> {
    crate::client::check_entity_name(name).map_err(|reason| Fault::argument(reason.clone(), reason))
}

/// A page of entities.
pub(super) async fn list(call: Call) -> Answer {
    let name = call.parameters.first().cloned();
    name.as_deref().map_or(Ok(()), check_name)?;
    let query = EntityQuery {
        name,
        updated_from: call.query.time("lastOperationTimeFrom"),
        updated_to: call.query.time("lastOperationTimeTo").map(just_after),
        ..EntityQuery::default()
    };
    let mut list = call.api.client.entities(query);
    if let Some(rows) = call.query.rows("top") {
        list = list.page_rows(rows);
    }
    if let Some(token) = call.continuation() {
        list = list.continue_from(token)?;
    }
    let fetch_state = call.query.flag("fetchState").unwrap_or(false);
    let found = list.next_page().await?.unwrap_or_default();
    let bodies: Vec<EntityBody> =
        found.into_iter().map(|entity| EntityBody::of(entity, fetch_state)).collect();
    Ok(page(&bodies, list.token()))
}

/// Signals an operation with the body as its only argument.
pub(super) async fn signal(call: Call) -> Answer {
    let operation = call.query.text("op").unwrap_or_default();
    let argument = match () {
        () if call.body.is_empty() => None,
        () if call.says_json() => Some(call.json().map_err(|error| {
            let message = format!("Could not parse JSON content: {error}");
            Fault::Message(StatusCode::BAD_REQUEST, message)
        })?),
        () => Some(text(&call.text()).to_string()),
    };
    send(&call, &operation, argument.as_deref()).await
}

/// Deletes an entity.
pub(super) async fn delete(call: Call) -> Answer {
    send(&call, DELETE, None).await
}

async fn send(call: &Call, operation: &str, argument: Option<&str>) -> Answer {
    let (client, address) = (&call.api.client, address(call));
    let argument = only_argument(argument);
    match client.signal_entity_with_text(&address, operation, argument).await {
        Ok(()) => Ok(empty(StatusCode::ACCEPTED)),
        Err(ClientError::EntityNotRegistered { name }) => {
            let names = client.registered_names().map(|names| names.1).unwrap_or_default();
            let message = unknown_function("entity", &name, &names);
            Err(Fault::argument(message.clone(), message))
        }
        Err(error @ (ClientError::InvalidId { .. } | ClientError::InvalidArguments { .. })) => {
            Err(Fault::argument(error.to_string(), &error))
        }
        Err(error) => Err(error.into()),
    }
}
