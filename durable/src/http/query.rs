//! Asking: the status of an instance, lists, and whether the server is well.

use axum::http::{StatusCode, header};
use axum::response::Response;
use durable_store::{InstanceKind, InstanceQuery, Status, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

use super::call::{Call, Query};
use super::history::{self, Show};
use super::reply::{Answer, json as json_reply, with_header};
use super::wire::StatusBody;
use crate::Handle;

/// When to ask again about an instance that has not ended, in seconds.
const STATUS_RETRY_AFTER: &str = "5";
/// The header in which the place in a list travels.
pub(super) const CONTINUATION: header::HeaderName =
    header::HeaderName::from_static("x-ms-continuation-token");

/// The status of an instance.
pub(super) async fn status(call: Call) -> Answer {
    let fails = call.query.flag("returnInternalServerErrorOnFailure").unwrap_or(false);
    status_of(&call, call.parameter(0), fails).await
}

/// The same for this instance, whose failure may be shown as one of the server.
pub(super) async fn status_of(call: &Call, id: &str, fails: bool) -> Answer {
    let handle: Handle<Value> = call.api.client.orchestration(id);
    let status = handle.status().await?;
    let show_input = call.query.flag("showInput").unwrap_or(true);
    let mut events = None;
    // What has not begun has no history.
    if call.query.flag("showHistory").unwrap_or(false) && status.status != Status::Pending {
        let output = call.query.flag("showHistoryOutput").unwrap_or(false);
        let show = Show { input: show_input, output };
        events = Some(history::events(&status.name, handle.history().await?, show));
    }
    let now = status.status;
    let body = StatusBody::of(status, show_input, events);
    if !now.is_terminal() {
        let response = json_reply(StatusCode::ACCEPTED, &body);
        let response = with_header(response, header::LOCATION, &call.base.request_url());
        return Ok(with_header(response, header::RETRY_AFTER, STATUS_RETRY_AFTER));
    }
    let is_error = fails && now == Status::Failed;
    let code = if is_error { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    Ok(json_reply(code, &body))
}

/// The orchestrations that are asked for by the times of their creation and their status. `None` if
/// no instance can match.
pub(super) fn filter(query: &Query) -> Option<InstanceQuery> {
    let statuses = query.statuses("runtimeStatus");
    if statuses.as_ref().is_some_and(Vec::is_empty) {
        return None;
    }
    Some(InstanceQuery {
        kind: Some(InstanceKind::Orchestration),
        statuses: statuses.unwrap_or_default(),
        created_from: query.time("createdTimeFrom"),
        created_to: query.time("createdTimeTo").map(just_after),
        ..InstanceQuery::default()
    })
}

/// The original's ends of intervals belong to them; the client's do not.
pub(super) fn just_after(time: Timestamp) -> Timestamp {
    time + Duration::from_micros(1)
}

/// A page of orchestrations. Entities have a list of their own, but are found by their prefix too.
pub(super) async fn list(call: Call) -> Answer {
    let Some(mut query) = filter(&call.query) else {
        return Ok(page::<StatusBody>(&[], None));
    };
    query.id_prefix = call.query.text("instanceIdPrefix").filter(|prefix| !prefix.is_empty());
    if query.id_prefix.as_ref().is_some_and(|prefix| prefix.starts_with('@')) {
        query.kind = Some(InstanceKind::Entity);
    }
    let mut list = call.api.client.list(query);
    if let Some(rows) = call.query.rows("top") {
        list = list.page_rows(rows);
    }
    if let Some(token) = call.continuation() {
        list = list.continue_from(token)?;
    }
    let show_input = call.query.flag("showInput").unwrap_or(true);
    let found = list.next_page().await?.unwrap_or_default();
    let bodies: Vec<StatusBody> =
        found.into_iter().map(|status| StatusBody::of(status, show_input, None)).collect();
    Ok(page(&bodies, list.token()))
}

/// A page of a list, with where it goes on; the header is empty at the end.
pub(super) fn page<T: serde::Serialize>(rows: &[T], token: Option<String>) -> Response {
    let response = json_reply(StatusCode::OK, rows);
    with_header(response, CONTINUATION, &token.unwrap_or_default())
}

/// Whether the store can be reached.
pub(super) async fn health(call: Call) -> Answer {
    let reached = call.api.client.is_reachable().await;
    let (code, text) = if reached {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be reached")
    };
    Ok(json_reply(code, &json!({ "status": text })))
}
