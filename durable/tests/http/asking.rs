//! The status of an instance, and its history in the form of the original.

use serde_json::{Value, json};

use crate::server::*;
use crate::world::*;

on_every_store! {
    async fn a_status_has_all_its_keys_and_the_code_of_its_state(world: World) {
        let server = Server::start(world).await;
        server.world.machines.break_down("bad");
        server.ask(r#"POST /orchestrators/steps/done ["x"]"#).await;
        server.ask(r#"POST /orchestrators/steps/failed ["bad"]"#).await;
        server.ask("POST /orchestrators/collect/runs 2").await;
        server.ask("POST /orchestrators/collect/ended 2").await;
        server.ask("POST /orchestrators/collect/waits 2").await;
        server.ask("POST /instances/runs/raiseEvent/number 7").await;
        server.ask("POST /instances/ended/terminate?reason=no%20more").await;
        server.ask("POST /instances/waits/suspend?reason=later").await;
        server.until("done", "Completed").await;
        server.until("failed", "Failed").await;
        server.until("ended", "Terminated").await;
        server.until("waits", "Suspended").await;
        while server.until("runs", "Running").await["customStatus"] == Value::Null {
            server.world.drive(settle()).await;
        }
        let table = [
            ("done", 200, "steps", "Completed", json!(["x"]), Value::Null, json!("x")),
            ("failed", 200, "steps", "Failed", json!(["bad"]), Value::Null, json!("`work` failed: the bad is broken")),
            ("runs", 202, "collect", "Running", json!(2), json!(7), Value::Null),
            ("ended", 200, "collect", "Terminated", json!(2), Value::Null, json!("no more")),
            ("waits", 202, "collect", "Suspended", json!(2), Value::Null, Value::Null),
        ];
        for (id, code, name, status, input, custom, output) in table {
            let line = format!("GET /instances/{id}?taskHub=Other&connection=Else");
            let answer = server.ask(&line).await;
            let mut body = answer.json();
            let times = ["createdTime", "lastUpdatedTime"].map(|key| {
                let time = body.as_object_mut().unwrap().remove(key).unwrap();
                time.as_str().unwrap().to_owned()
            });
            assert!(times.iter().all(|t| t.len() == 20 && t.ends_with('Z')), "{times:?}");
            let expected = json!({
                "name": name, "instanceId": id, "runtimeStatus": status, "input": input,
                "customStatus": custom, "output": output,
            });
            assert_eq!((answer.status.as_u16(), &body), (code, &expected));
            let url = format!(
                "http://localhost:7071{BASE}/instances/{id}?taskHub=Other&connection=Else"
            );
            let asked_again = (code == 202).then_some((url.as_str(), "5"));
            let headers = answer.header("location").zip(answer.header("retry-after"));
            assert_eq!(headers, asked_again);
        }
        let failed = server.ask("GET /instances/failed?returnInternalServerErrorOnFailure=true").await;
        assert_eq!((failed.status.as_u16(), failed.json()["runtimeStatus"].clone()), (500, json!("Failed")));
        let done = server.ask("GET /instances/done?returnInternalServerErrorOnFailure=true").await;
        assert_eq!(done.status.as_u16(), 200);
        let hidden = server.ask("GET /instances/done?showInput=False").await.json();
        assert_eq!((&hidden["input"], &hidden["output"]), (&Value::Null, &json!("x")));
        server.check(&[
            ("GET /instances/nothing", "404"),
            ("GET /instances/nothing?showHistory=true", "404"),
            ("GET /instances/%00", "404"),
            ("POST /instances/done", "404"),
            ("PUT /instances/done", "404"),
            ("HEAD /instances/done", "404"),
            ("GET /instances/done/terminate", "404"),
            ("GET /instances/done/else", "404"),
        ]).await;
    }

    async fn a_history_has_the_form_of_the_original(world: World) {
        let server = Server::start(world).await;
        server.world.machines.break_down("bad");
        server.ask(r#"POST /orchestrators/steps/a ["x","bad"]"#).await;
        server.until("a", "Failed").await;
        let all = "showHistory=true&showHistoryOutput=true";
        let events = history(&server, "a", all).await;
        let failure = json!({
            "ErrorType": "anyhow::Error", "ErrorMessage": "the bad is broken", "StackTrace": null,
            "InnerFailure": null, "IsNonRetriable": false,
        });
        assert_eq!(events[..3], [
            json!({ "EventType": "ExecutionStarted", "FunctionName": "steps", "Input": ["x", "bad"] }),
            json!({ "EventType": "TaskCompleted", "FunctionName": "work", "Input": "x", "Result": "x" }),
            json!({
                "EventType": "TaskFailed", "FunctionName": "work", "Input": "bad",
                "Reason": "the bad is broken", "Details": "", "FailureDetails": failure,
            }),
        ]);
        assert_eq!(events[3]["EventType"], "ExecutionCompleted");
        assert_eq!(events[3]["OrchestrationStatus"], "Failed");
        assert_eq!(events[3]["Result"], "`work` failed: the bad is broken");
        // Nothing of inputs and outputs unless they are wanted.
        let bare = history(&server, "a", "showHistory=true&showInput=false").await;
        assert_eq!(bare[1], json!({ "EventType": "TaskCompleted", "FunctionName": "work" }));
        assert_eq!(server.ask("GET /instances/a").await.json().get("historyEvents"), None);
    }

    async fn a_history_of_children_and_entities(world: World) {
        let server = Server::start(world).await;
        server.ask("POST /entities/purse/mine?op=put 5").await;
        server.until_answer("GET /entities/purse/mine", r#"200 {"coins":5}"#).await;
        server.ask("POST /orchestrators/spender/a?timeout=60 3").await;
        server.ask("POST /orchestrators/named_child/b 1").await;
        server.until("depth-0", "Running").await;
        let all = "showHistory=true&showHistoryOutput=true";
        let spender = history(&server, "a", all).await;
        assert_eq!(spender[2..4], [
            json!({ "EventType": "EventSent", "InstanceId": "@purse@mine", "Name": "spend" }),
            json!({ "EventType": "EventRaised", "Name": "spend", "Input": 2 }),
        ]);
        server.until("b", "Running").await;
        let parent = history(&server, "b", all).await;
        assert_eq!(parent[1], json!({
            "EventType": "SubOrchestrationInstanceCreated", "InstanceId": "depth-0", "Name": "named_child",
        }));
        server.until("leaf", "Running").await;
        server.ask("POST /instances/leaf/raiseEvent/number 7").await;
        server.until("b", "Completed").await;
        let parent = history(&server, "b", all).await;
        assert_eq!(parent[1..], [
            json!({
                "EventType": "SubOrchestrationInstanceCompleted", "FunctionName": "named_child", "Result": 7,
            }),
            json!({ "EventType": "ExecutionCompleted", "OrchestrationStatus": "Completed", "Result": 7 }),
        ]);
    }

    async fn a_history_of_waiting_and_of_what_is_under_way(world: World) {
        let server = Server::start(world).await;
        server.ask("POST /orchestrators/counts_down/timers?timeout=60 1").await;
        server.ask("POST /orchestrators/forever/hangs \"it\"").await;
        server.ask("POST /orchestrators/collect/events 2").await;
        server.ask("POST /instances/events/raiseEvent/number 7").await;
        server.ask("POST /instances/events/suspend?reason=s").await;
        server.until("events", "Suspended").await;
        server.ask("POST /instances/events/resume?reason=r").await;
        server.until("events", "Running").await;
        server.ask("POST /instances/events/terminate?reason=t").await;
        server.until("events", "Terminated").await;
        let all = "showHistory=true&showHistoryOutput=true";
        let kinds = |events: &[Value]| {
            events.iter().map(|e| e["EventType"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let timers = server.ask(&format!("GET /instances/timers?{all}")).await.json();
        let timers = timers["historyEvents"].as_array().unwrap();
        let expected = ["ExecutionStarted", "TimerCreated", "TimerFired", "ExecutionCompleted"];
        assert_eq!(kinds(timers), expected);
        assert_eq!(timers[1]["FireAt"], timers[2]["FireAt"]);
        assert!(timers[1]["FireAt"].is_string());
        server.until("hangs", "Running").await;
        let hangs = history(&server, "hangs", all).await;
        assert_eq!(hangs[1], json!({ "EventType": "TaskScheduled", "Name": "hang", "Input": "it" }));
        let events = history(&server, "events", all).await;
        assert_eq!(events[1..], [
            json!({ "EventType": "EventRaised", "Name": "number", "Input": 7 }),
            json!({ "EventType": "ExecutionSuspended", "Reason": "s" }),
            json!({ "EventType": "ExecutionResumed", "Reason": "r" }),
            json!({ "EventType": "ExecutionTerminated", "Input": "t" }),
            json!({ "EventType": "ExecutionCompleted", "OrchestrationStatus": "Terminated", "Result": "t" }),
        ]);
    }
}

/// The events without their times, which must be there.
async fn history(server: &Server, id: &str, query: &str) -> Vec<Value> {
    let status = server.ask(&format!("GET /instances/{id}?{query}")).await.json();
    let mut events = status["historyEvents"].as_array().unwrap().clone();
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        assert!(event.remove("Timestamp").unwrap().is_string());
        let kind = event["EventType"].as_str().unwrap().to_owned();
        let is_end = kind.ends_with("Completed") || kind.ends_with("Failed");
        let has_end = is_end && (kind.starts_with("Task") || kind.starts_with("Sub"));
        assert_eq!(event.remove("ScheduledTime").is_some(), has_end, "{kind}");
    }
    events
}

#[tokio::test]
async fn what_has_not_begun_is_pending_and_has_no_history() {
    let world = World::memory();
    // Nobody works here.
    let router = durable::http::router(world.client(), durable::http::HttpOptions::new());
    let worker = World::memory().worker().await;
    let server = Server { world, worker, router };
    server.ask("POST /orchestrators/steps/a []").await;
    let answer = server.ask("GET /instances/a?showHistory=true").await;
    assert_eq!(answer.status.as_u16(), 202);
    assert_eq!(answer.json()["runtimeStatus"], "Pending");
    assert_eq!(answer.json().get("historyEvents"), None);
    // Without a worker in the process every name may be one that another worker knows.
    assert_eq!(server.ask("POST /orchestrators/unknown").await.status.as_u16(), 202);
}
