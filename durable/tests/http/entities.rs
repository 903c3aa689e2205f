//! Entities: read, listed, signalled by their names.

use serde_json::{Value, json};

use crate::server::*;
use crate::world::*;

on_every_store! {
    async fn entities_are_signalled_and_read(world: World) {
        let server = Server::start(world).await;
        server.check(&[
            ("GET /entities/Purse/a", "404"),
            ("POST /entities/Purse/a?op=put 5", "202"),
            ("POST /entities/PURSE/a?op=put 2", "202"),
            // Nobody hears of an operation that fails or is unknown.
            ("POST /entities/purse/a?op=spend 100", "202"),
            ("POST /entities/purse/a?op=nothing 100", "202"),
            ("POST /entities/purse/a 100", "202"),
            ("POST /entities/purse/$?op=put 1", "202"),
        ]).await;
        server.until_answer("GET /entities/purse/$", r#"200 {"coins":1}"#).await;
        server.until_answer("GET /entities/purse/a", r#"200 {"coins":7}"#).await;
        server.check(&[
            ("GET /entities/purse/a", r#"200 {"coins":7}"#),
            ("GET /entities/purse/A", "404"),
            ("GET /entities/purse/$", r#"200 {"coins":1}"#),
            ("DELETE /entities/purse/a", "202"),
            ("POST /entities/purse/$?op=delete", "202"),
        ]).await;
        server.until_answer("GET /entities/purse/$", "404").await;
        server.until_answer("GET /entities/purse/a", "404").await;
        server.check(&[
            ("GET /entities/purse/a", "404"),
            ("GET /entities/purse/$", "404"),
            ("PUT /entities/purse/a", "404"),
            ("POST /entities", "404"),
            ("GET /entities/purse/a/b", "404"),
        ]).await;
    }

    async fn entities_are_listed(world: World) {
        let server = Server::start(world).await;
        for key in ["a", "b", "c"] {
            server.ask(&format!("POST /entities/Purse/{key}?op=put 5")).await;
        }
        server.ask("POST /orchestrators/collect/runs 1").await;
        for key in ["a", "b", "c"] {
            server.until_answer(&format!("GET /entities/purse/{key}"), r#"200 {"coins":5}"#).await;
        }
        let all = server.ask("GET /entities").await;
        assert_eq!(all.header("x-ms-continuation-token"), Some(""));
        let mut keys = Vec::new();
        for entity in all.json().as_array().unwrap() {
            assert_eq!(entity.get("state"), None);
            assert!(entity["lastOperationTime"].is_string());
            assert_eq!(entity["entityId"]["name"], "purse");
            keys.push(entity["entityId"]["key"].as_str().unwrap().to_owned());
        }
        keys.sort();
        assert_eq!(keys, ["a", "b", "c"]);
        let with_state = server.ask("GET /entities/PURSE?fetchState=true").await.json();
        let states: Vec<&Value> = with_state.as_array().unwrap().iter().map(|e| &e["state"]).collect();
        assert_eq!(states, [&json!({ "coins": 5 }); 3]);
        let count = async |query: &str| {
            let list = server.ask(&format!("GET /entities?{query}")).await.json();
            list.as_array().unwrap().len()
        };
        assert_eq!(count("lastOperationTimeTo=2000-01-01").await, 0);
        assert_eq!(count("lastOperationTimeFrom=2000-01-01").await, 3);
        assert_eq!(server.ask("GET /entities/other").await.line(), "200 []");
        // Page by page.
        let (mut seen, mut token) = (0, String::new());
        loop {
            let headers = [("x-ms-continuation-token", token.as_str())];
            let page = server.ask_with("GET /entities?top=2", &headers).await;
            seen += page.json().as_array().unwrap().len();
            page.header("x-ms-continuation-token").unwrap().clone_into(&mut token);
            if token.is_empty() { break; }
        }
        assert_eq!(seen, 3);
    }
}

#[tokio::test]
async fn what_no_entity_can_be_is_refused() {
    let server = Server::memory().await;
    let unknown = r#"400 {"Message":"The function 'nothing' doesn't exist, is disabled, or is not an entity function. Additional info: The following are the known entity functions: 'purse'.""#;
    server
        .check(&[
            ("POST /entities/nothing/a?op=put 1", &format!("{unknown}..")),
            ("GET /entities/nothing/a", "404"),
            ("POST /entities/a@b/c?op=put 1", "400 .."),
            ("GET /entities/a@b/c", "400 .."),
            ("GET /entities/a@b", "400 .."),
            ("POST /entities/purse/a%23?op=put 1", "400 .."),
            (
                "POST /entities/purse/a?op=put {",
                r#"400 {"Message":"Could not parse JSON content: .."#,
            ),
        ])
        .await;
    let long = format!("POST /entities/purse/{}?op=put 1", "x".repeat(300));
    assert_eq!(server.ask(&long).await.status.as_u16(), 400);
    // What is not JSON is text, which this operation cannot take.
    let text = [("content-type", "text/plain")];
    assert_eq!(server.ask_with("POST /entities/purse/a?op=put {", &text).await.line(), "202");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_of_the_server() {
    let server = Server::memory().await;
    server.ask("POST /entities/purse/a?op=put 5").await;
    server.until_answer("GET /entities/purse/a", r#"200 {"coins":5}"#).await;
    let Server { world, worker, .. } = server;
    world.drive(worker.shutdown()).await;
    world.edit_state("@purse@a", |_| "{".to_owned()).await;
    // The worker of another world: nobody works here.
    let router = durable::http::router(world.client(), durable::http::HttpOptions::new());
    let server = Server { router, worker: World::memory().worker().await, world };
    let text = r#"500 {"Message":"Something went wrong while processing your request","ExceptionMessage":"the log of the server says more","ExceptionType":"System.Exception","StackTrace":""}"#;
    server
        .check(&[
            ("GET /entities/purse/a", text),
            // Nobody deletes it.
            ("DELETE /instances/@purse@a", r#"412 "The entity is locked or has no worker: .."#),
        ])
        .await;
}
