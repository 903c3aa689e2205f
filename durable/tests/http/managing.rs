//! What is done to instances.

use crate::server::*;
use crate::world::*;

on_every_store! {
    async fn messages_are_accepted_while_an_instance_has_not_ended(world: World) {
        let server = Server::start(world).await;
        server.ask("POST /orchestrators/collect/runs 5").await;
        server.ask("POST /orchestrators/collect/done 0").await;
        server.until("done", "Completed").await;
        server.until("runs", "Running").await;
        server.check(&[
            ("POST /instances/runs/raiseEvent/number 1", "202"),
            ("POST /instances/runs/RaiseEvent/unknown {\"a\":[1]}", "202"),
            ("POST /instances/runs/suspend?reason=wait%20a%20bit", "202"),
            ("POST /instances/runs/suspend", "202"),
            ("POST /instances/runs/RESUME", "202"),
            ("POST /instances/done/raiseEvent/number 1", "410"),
            ("POST /instances/done/suspend", "410"),
            ("POST /instances/done/resume", "410"),
            ("POST /instances/done/terminate", "410"),
            ("POST /instances/nothing/raiseEvent/number 1", "404"),
            ("POST /instances/nothing/suspend", "404"),
            ("POST /instances/nothing/resume", "404"),
            ("POST /instances/nothing/terminate", "404"),
            ("POST /instances/@purse@a/terminate", "404"),
            ("POST /instances/runs/raiseEvent/number {", r#"400 {"Message":"Invalid JSON content".."#),
            ("POST /instances/runs/raiseEvent/number", r#"400 {"Message":"Invalid JSON content".."#),
            ("POST /instances/runs/raiseEvent/%00 1", "400 .."),
            ("POST /instances/runs/raiseEvent", "404"),
            ("GET /instances/runs/raiseEvent/number", "404"),
            ("DELETE /instances/runs/suspend", "404"),
            ("POST /instances/runs/terminate?reason=enough", "202"),
        ]).await;
        server.until("runs", "Terminated").await;
    }

    async fn a_rewind_needs_a_failure(world: World) {
        let server = Server::start(world).await;
        server.world.machines.break_down("b");
        server.ask(r#"POST /orchestrators/steps/bad ["a","b"]"#).await;
        server.ask("POST /orchestrators/collect/runs 5").await;
        server.until("bad", "Failed").await;
        server.until("runs", "Running").await;
        server.check(&[
            (
                "POST /instances/runs/rewind?reason=r",
                r#"412 "This orchestration has status Running, but only orchestrations in the \"Failed\" state can be rewound.""#,
            ),
            (
                "POST /instances/nothing/rewind?reason=r",
                r#"404 "No orchestration with instance ID \"nothing\" found.""#,
            ),
            ("GET /instances/bad/rewind", "404"),
        ]).await;
        server.world.machines.repair("b");
        server.check(&[("POST /instances/bad/rewind?reason=fixed", "202")]).await;
        assert_eq!(server.until("bad", "Completed").await["output"], "a b");
    }

    async fn what_has_ended_can_be_purged(world: World) {
        let server = Server::start(world).await;
        for id in ["a", "b", "c", "d"] {
            server.ask(&format!("POST /orchestrators/steps/{id}?timeout=60 []")).await;
        }
        server.ask("POST /orchestrators/collect/runs 5").await;
        server.until("runs", "Running").await;
        server.check(&[
            ("DELETE /instances/a", r#"200 {"instancesDeleted":1}"#),
            ("DELETE /instances/a", "404"),
            ("GET /instances/a", "404"),
            (
                "DELETE /instances/runs",
                r#"412 "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID runs has status Running""#,
            ),
            ("DELETE /instances", r#"400 "Please provide value for 'createdTimeFrom' parameter.""#),
            (
                "DELETE /instances?createdTimeFrom=yesterday",
                r#"400 "Please provide value for 'createdTimeFrom' parameter.""#,
            ),
            ("DELETE /instances?createdTimeFrom=2000-01-01&runtimeStatus=Failed", "404"),
            ("DELETE /instances?createdTimeFrom=2000-01-01&runtimeStatus=Running", "404"),
            ("DELETE /instances?createdTimeFrom=2000-01-01&runtimeStatus=Canceled", "404"),
            ("DELETE /instances?createdTimeFrom=2000-01-01&createdTimeTo=2000-01-02", "404"),
            (
                "DELETE /instances?createdTimeFrom=2000-01-01T00:00:00Z&runtimeStatus=Running,Completed",
                r#"200 {"instancesDeleted":3}"#,
            ),
            ("DELETE /instances?createdTimeFrom=2000-01-01", "404"),
            ("PUT /instances", "404"),
            ("POST /instances", "404"),
        ]).await;
        server.until("runs", "Running").await;
    }

    async fn an_entity_is_purged_with_its_state(world: World) {
        let server = Server::start(world).await;
        server.check(&[
            ("DELETE /instances/@purse@a", r#"200 {"instancesDeleted":0}"#),
            ("POST /entities/Purse/a?op=put 5", "202"),
        ]).await;
        server.until_answer("GET /entities/purse/a", r#"200 {"coins":5}"#).await;
        server.check(&[
            ("DELETE /instances/@purse@a", r#"200 {"instancesDeleted":1}"#),
            ("GET /entities/purse/a", "404"),
            ("GET /instances/@purse@a", "404"),
            ("DELETE /instances/@purse", "404"),
        ]).await;
    }
}

#[tokio::test]
async fn an_event_says_that_it_is_json() {
    let server = Server::memory().await;
    server.ask("POST /orchestrators/collect/a 1").await;
    let line = "POST /instances/a/raiseEvent/number 7";
    let kinds = [
        ("text/plain", 400),
        ("", 400),
        ("application/xml", 400),
        ("Application/JSON; charset=utf-8", 202),
    ];
    for (kind, code) in kinds {
        let answer = server.ask_with(line, &[("content-type", kind)]).await;
        assert_eq!(answer.status.as_u16(), code, "{kind}");
        if code == 400 {
            let text = r#"400 {"Message":"Only application/json request content is supported"}"#;
            assert_eq!(answer.line(), text);
        }
    }
    assert_eq!(server.until("a", "Completed").await["output"], serde_json::json!([7]));
}

#[tokio::test]
async fn there_is_nothing_to_do_for_a_primary() {
    let server = Server::memory().await;
    let table = ["GET", "POST", "PUT", "DELETE"].map(|method| format!("{method} /makeprimary"));
    for line in &table {
        server.check(&[(line, "200")]).await;
    }
}
