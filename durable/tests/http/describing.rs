//! The description of the API, and its routes, are the same.

use std::collections::BTreeSet;

use durable::http::routes;

use crate::server::*;

#[tokio::test]
async fn every_route_is_described_and_nothing_else_is() {
    let server = Server::memory().await;
    let document = server.ask("GET //openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            described.insert(format!("{} {path} {name}", method.to_uppercase()));
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{name}");
            // Every parameter of the path is described.
            let parameters = operation["parameters"].as_array().unwrap();
            for segment in path.split('/').filter_map(|s| s.strip_prefix('{')) {
                let wanted = segment.trim_end_matches('}');
                assert!(parameters.iter().any(|p| p["name"] == wanted && p["in"] == "path"));
            }
        }
    }
    let rows: BTreeSet<String> = routes()
        .map(|route| {
            let method = route.method.as_ref().map_or("POST", |method| method.as_str());
            format!("{method} {} {}", route.path, route.name)
        })
        .collect();
    assert_eq!(described, rows);
    assert_eq!(rows.len(), 22);
}

#[test]
fn the_page_about_the_api_has_every_route() {
    let page = include_str!("../../../docs/http.md");
    for route in routes() {
        let row = match &route.method {
            Some(method) => format!("| `{method} {}` |", route.path),
            None => format!("| `{}`, any method |", route.path),
        };
        assert!(page.contains(&row), "docs/http.md has no row {row}");
    }
}

#[tokio::test]
async fn every_route_is_reached_through_the_router() {
    let server = Server::memory().await;
    for route in routes() {
        let method = route.method.as_ref().map_or("POST", |method| method.as_str());
        // What no instance and no function is called.
        let path = route.path.replace("{entityKey}", "k").replace(['{', '}'], "");
        let answer = server.ask(&format!("{method} /{path}")).await;
        let is_error = answer.status.is_client_error();
        // An answer of a handler, and not of a router that knows no such path: those for what is
        // unknown have none or another code.
        let unknown = ["GetInstance", "PurgeInstance", "GetEntity", "RaiseEvent"]
            .contains(&route.name)
            || route.path.contains("/{instanceId}/");
        assert!(
            !is_error || answer.status.as_u16() == 400 || unknown,
            "{}: {}",
            route.name,
            answer.line()
        );
        assert!(!answer.status.is_server_error(), "{}: {}", route.name, answer.line());
    }
}

#[tokio::test]
async fn a_server_says_that_it_is_well() {
    let server = Server::memory().await;
    server
        .check(&[
            ("GET //healthz", r#"200 {"status":"ok"}"#),
            ("POST //healthz", "404"),
            ("GET //", "404"),
            ("GET //api", "404"),
        ])
        .await;
}
