//! Starting, waiting, restarting.

use serde_json::{Value, json};

use crate::server::*;
use crate::world::*;

const URL: &str = "http://localhost:7071/runtime/webhooks/durabletask";
const QUERY: &str = "taskHub=DurableFunctionsHub&connection=Storage";

fn management(id: &str) -> Value {
    let of = |rest: &str| format!("{URL}/instances/{id}{rest}{QUERY}");
    json!({
        "id": id,
        "statusQueryGetUri": of("?"),
        "sendEventPostUri": of("/raiseEvent/{eventName}?"),
        "terminatePostUri": of("/terminate?reason={text}&"),
        "rewindPostUri": of("/rewind?reason={text}&"),
        "purgeHistoryDeleteUri": of("?"),
        "restartPostUri": of("/restart?"),
        "suspendPostUri": of("/suspend?reason={text}&"),
        "resumePostUri": of("/resume?reason={text}&"),
    })
}

on_every_store! {
    async fn a_start_says_where_to_ask(world: World) {
        let server = Server::start(world).await;
        let started = server.ask(r#"POST /orchestrators/steps/a ["x","y"]"#).await;
        assert_eq!((started.status.as_u16(), started.json()), (202, management("a")));
        assert_eq!(started.header("location").unwrap(), format!("{URL}/instances/a?{QUERY}"));
        assert_eq!(started.header("retry-after"), Some("10"));
        assert_eq!(started.header("content-type"), Some("application/json; charset=utf-8"));
        let status = server.until("a", "Completed").await;
        assert_eq!(status["input"], json!(["x", "y"]));
        assert_eq!(status["output"], "x y");
        // The paths of the examples of the pattern.
        let started = server.ask(r#"POST //api/orchestrators/steps/b ["x"]"#).await;
        assert_eq!((started.status.as_u16(), started.json()), (202, management("b")));
        let started = server.ask(r#"POST //api/orchestrators/steps ["x"]"#).await.json();
        let id = started["id"].as_str().unwrap().to_owned();
        assert_eq!((id.len(), started), (32, management(&id)));
        server.until(&id, "Completed").await;
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_as_the_original_does() {
    let server = Server::memory().await;
    server.ask("POST /orchestrators/collect/taken 1").await;
    server.until("taken", "Running").await;
    let unknown = "The function 'nothing' doesn't exist, is disabled, or is not an orchestrator \
                   function. Additional info: The following are the known orchestrator functions: \
                   'collect', 'counts_down', ";
    server
        .check(&[
            ("POST /orchestrators/nothing", &format!(r#"400 {{"Message":"{unknown}.."#)),
            ("POST /orchestrators/steps {", r#"400 {"Message":"Invalid JSON content","Exc.."#),
            ("POST /orchestrators/steps 'x'", r#"400 {"Message":"Invalid JSON content","Exc.."#),
            ("POST /orchestrators/steps/@a []", r#"400 {"Message":"the instance id \"@a\" .."#),
            ("POST /orchestrators/steps/a%23 []", r#"400 {"Message":"the instance id .."#),
            ("POST /orchestrators/steps/a%0A []", r#"400 {"Message":"the instance id .."#),
            ("POST /orchestrators/steps/a%00 []", r#"400 {"Message":"the instance id .."#),
            ("POST /orchestrators/steps/a/b []", "404"),
            ("POST /orchestrators []", "404"),
            ("GET /orchestrators/steps", "404"),
            ("PUT /orchestrators/steps", "404"),
            (
                "POST /orchestrators/collect/taken 1",
                r#"409 {"Message":"An Orchestration instance with the status Running already exists."}"#,
            ),
        ])
        .await;
    // The client library for Python reads this.
    let error = server.ask("POST /orchestrators/nothing").await.json();
    assert!(error["ExceptionMessage"].as_str().unwrap().starts_with(unknown));
    let long = format!("POST /orchestrators/steps/{} []", "x".repeat(257));
    assert_eq!(server.ask(&long).await.status.as_u16(), 400);
    let long = format!("POST /orchestrators/steps?version={} []", "x".repeat(300));
    assert_eq!(server.ask(&long).await.status.as_u16(), 400);
}

#[tokio::test]
async fn the_body_is_the_only_argument() {
    let server = Server::memory().await;
    server
        .check(&[
            // An array is one argument, too.
            (r#"POST /orchestrators/steps/a?timeout=60 ["x"]"#, r#"200 "x""#),
            ("POST /orchestrators/steps/b?timeout=60 []", r#"200 """#),
            ("POST /orchestrators/counts_down/c?timeout=60 2", "200 2"),
        ])
        .await;
    let moment = server.ask("POST /orchestrators/moment?timeout=60&version=2").await.json();
    assert_eq!(moment[1], "2");
    // Numbers that no double holds.
    let input = "[12345678901234567890123]";
    server.ask(&format!("POST /orchestrators/steps/big {input}")).await;
    let status = server.ask("GET /instances/big").await;
    assert!(status.line().contains(r#""input":[12345678901234567890123]"#), "{}", status.line());
    // No body is no argument, or `null` where one is wanted.
    server.ask("POST /orchestrators/moment/none").await;
    assert_eq!(server.until("none", "Completed").await["input"], Value::Null);
}

on_every_store! {
    async fn a_wait_gives_the_result_or_says_where_to_ask(world: World) {
        let server = Server::start(world).await;
        server.world.machines.break_down("bad");
        server.check(&[
            (r#"POST /orchestrators/steps/a?timeout=10&pollingInterval=1 ["x"]"#, r#"200 "x""#),
            ("POST /orchestrators/counts_down/b?timeout=5.5&pollingInterval=1 3", "200 3"),
            (
                "POST /orchestrators/counts_down/c?timeout=2&pollingInterval=0.5 100",
                r#"202 {"id":"c","statusQueryGetUri":"http://localhost:7071/.."#,
            ),
            ("POST /orchestrators/collect/d?timeout=0&pollingInterval=0 1", r#"202 {"id":"d".."#),
            ("POST /orchestrators/collect/e?timeout=-3&pollingInterval=1 1", r#"202 {"id":"e".."#),
            ("POST /orchestrators/collect/f?timeout=soon 1", r#"202 {"id":"f".."#),
            // A failure is the answer of the status.
            (
                r#"POST /orchestrators/steps/g?timeout=10&pollingInterval=1 ["bad"]"#,
                r#"200 {"name":"steps","instanceId":"g","runtimeStatus":"Failed".."#,
            ),
        ]).await;
    }

    async fn a_restart_has_the_same_input(world: World) {
        let server = Server::start(world).await;
        server.ask("POST /orchestrators/collect/runs 1").await;
        server.ask("POST /orchestrators/counts_down/ran 2").await;
        server.until("ran", "Completed").await;
        server.check(&[
            ("POST /instances/ran/restart?restartWithNewInstanceId=false&timeout=60", "200 2"),
            ("POST /instances/ran/restart?restartWithNewInstanceId=false", r#"202 {"id":"ran".."#),
            (
                "POST /instances/runs/restart?restartWithNewInstanceId=false",
                r#"409 {"Message":"A non-terminal instance with this instance ID already exists.".."#,
            ),
            (
                "POST /instances/nothing/restart",
                r#"400 {"Message":"InstanceId does not match a valid orchestration instance.".."#,
            ),
            ("GET /instances/ran/restart", "404"),
        ]).await;
        let again = server.ask("POST /instances/ran/restart").await.json();
        let id = again["id"].as_str().unwrap();
        assert_ne!(id, "ran");
        assert_eq!(server.until(id, "Completed").await["input"], 2);
    }
}
