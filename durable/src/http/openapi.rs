//! The description of the API in the form of `OpenAPI` 3.1, made from the table of routes.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::ROUTES;
use super::call::Call;
use super::reply::{Answer, json as json_reply};
use super::route::{Kind, Route};

/// The description, as an answer.
#[allow(clippy::unused_async)] // Handlers are.
pub(super) async fn document(_: Call) -> Answer {
    Ok(json_reply(StatusCode::OK, &describe(ROUTES)))
}

fn describe(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        // A route for every method is described by the one that fits it best.
        let method = route.method.method();
        let method = method.map_or("post".to_owned(), |m| m.as_str().to_lowercase());
        if let Value::Object(methods) = path {
            methods.insert(method, operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "durable",
            "description": "The HTTP API of Durable Functions",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "code": { "type": "apiKey", "in": "query", "name": "code" },
                "key": { "type": "apiKey", "in": "header", "name": "x-functions-key" },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.parameters().map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = route
        .query
        .iter()
        .map(|(name, kind)| json!({ "name": name, "in": "query", "schema": schema(*kind) }));
    let answers: Map<String, Value> = route
        .answers
        .iter()
        .map(|(code, when)| (code.to_string(), json!({ "description": when })))
        .collect();
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": answers,
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "description": body,
            "content": { "application/json": { "schema": {} } },
        });
    }
    if route.guarded {
        // Either of them, or none where none is set.
        operation["security"] = json!([{ "code": [] }, { "key": [] }, {}]);
    }
    operation
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Seconds => json!({ "type": "number" }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
    }
}
