//! Lists of instances, page by page.

use serde_json::Value;

use crate::server::*;
use crate::world::*;

/// The ids of a page, and whether there is more.
async fn ids(server: &Server, query: &str, token: Option<&str>) -> (Vec<String>, Option<String>) {
    let headers: Vec<_> =
        token.map(|token| ("x-ms-continuation-token", token)).into_iter().collect();
    let answer = server.ask_with(&format!("GET /instances?{query}"), &headers).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.line());
    let ids = answer
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|status| {
            assert_eq!(status.get("historyEvents"), None);
            status["instanceId"].as_str().unwrap().to_owned()
        })
        .collect();
    let token = answer.header("x-ms-continuation-token").expect("it is always there");
    (ids, Some(token.to_owned()).filter(|token| !token.is_empty()))
}

on_every_store! {
    async fn pages_hold_everything_once(world: World) {
        let server = Server::start(world).await;
        server.ask("POST /entities/purse/a?op=put 5").await;
        for n in 0..25 {
            server.ask(&format!("POST /orchestrators/steps/i{n:02}?timeout=60 [\"x\"]")).await;
        }
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let (page, next) = ids(&server, "top=10", token.as_deref()).await;
            assert!(page.len() <= 10);
            all.extend(page);
            token = next;
            if token.is_none() { break; }
        }
        all.sort();
        assert_eq!(all, (0..25).map(|n| format!("i{n:02}")).collect::<Vec<_>>());
        let (page, token) = ids(&server, "", None).await;
        assert_eq!((page.len(), token), (25, None), "a page is of 100");
    }

    async fn filters_narrow_a_list(world: World) {
        let server = Server::start(world).await;
        server.world.machines.break_down("bad");
        server.ask(r#"POST /orchestrators/steps/a-done?timeout=60 ["x"]"#).await;
        server.ask(r#"POST /orchestrators/steps/a-failed?timeout=60 ["bad"]"#).await;
        server.world.clock.advance(std::time::Duration::from_hours(1));
        server.ask("POST /orchestrators/collect/b-runs 1").await;
        server.ask("POST /entities/purse/b?op=put 5").await;
        server.until("b-runs", "Running").await;
        let status = server.ask("GET /instances/b-runs").await.json();
        let later = status["createdTime"].as_str().unwrap().to_owned();
        let table = [
            ("", "a-done a-failed b-runs"),
            ("runtimeStatus=Completed", "a-done"),
            ("runtimeStatus=Completed,Failed", "a-done a-failed"),
            ("runtimeStatus=Completed&runtimeStatus=Running", "a-done b-runs"),
            ("runtimeStatus=1", "a-done"),
            ("runtimeStatus=Pending", ""),
            ("runtimeStatus=Canceled", ""),
            ("runtimeStatus=nonsense", "a-done a-failed b-runs"),
            ("runtimeStatus=nonsense,Failed", "a-failed"),
            ("instanceIdPrefix=a-", "a-done a-failed"),
            ("instanceIdPrefix=a-&runtimeStatus=Failed", "a-failed"),
            ("instanceIdPrefix=%25", ""),
            ("instanceIdPrefix=a_", ""),
            ("instanceIdPrefix=@purse@", "@purse@b"),
            (&format!("createdTimeFrom={later}"), "b-runs"),
            // The end belongs to the interval.
            (&format!("createdTimeTo={later}"), "a-done a-failed b-runs"),
            ("createdTimeTo=2030-01-01T00:59:59.9Z", "a-done a-failed"),
            ("createdTimeFrom=2000-01-01&createdTimeTo=2000-01-02", ""),
            ("createdTimeFrom=nonsense", "a-done a-failed b-runs"),
            ("top=0", "a-done a-failed b-runs"),
            ("top=-5", "a-done a-failed b-runs"),
            ("top=many", "a-done a-failed b-runs"),
            ("top=99999999999999", "a-done a-failed b-runs"),
        ];
        for (query, expected) in table {
            let (mut ids, _) = ids(&server, query, None).await;
            ids.sort();
            assert_eq!(ids.join(" "), expected, "{query}");
        }
        let inputs = |list: Value| list.as_array().unwrap().iter().map(|s| s["input"].is_null()).collect::<Vec<_>>();
        assert_eq!(inputs(server.ask("GET /instances").await.json()), [false; 3]);
        assert_eq!(inputs(server.ask("GET /instances?showInput=false").await.json()), [true; 3]);
    }
}

#[tokio::test]
async fn a_token_that_no_list_gave_is_refused() {
    let server = Server::memory().await;
    for path in ["instances", "entities", "entities/purse"] {
        for token in ["x", "p1-", "p1-zz", "'; drop table instances; --", "null"] {
            let headers = [("x-ms-continuation-token", token)];
            let answer = server.ask_with(&format!("GET /{path}"), &headers).await;
            let begin = r#"400 {"Message":"One or more of the arguments submitted is incorrect""#;
            assert!(answer.line().starts_with(begin), "{}", answer.line());
        }
    }
}
