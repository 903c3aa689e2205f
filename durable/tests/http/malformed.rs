//! Requests that cannot be meant: each gets the answer of the original, and none breaks anything.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Request;
use durable::http::{DEFAULT_MAX_BODY_BYTES, HttpOptions};

use crate::server::*;
use crate::world::*;

#[tokio::test]
async fn bodies_are_json_within_limits() {
    let server = Server::memory().await;
    server.ask("POST /orchestrators/collect/runs 9").await;
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    let bodies: [&[u8]; 10] = [
        b"{",
        b"{\"a\":}",
        b"nul",
        b"\xff\xfe1",
        b"\"\xc3\x28\"",
        b"\"\\ud800\"",
        b"1 2",
        b"NaN",
        deep.as_bytes(),
        closed.as_bytes(),
    ];
    let targets =
        ["orchestrators/steps", "instances/runs/raiseEvent/number", "entities/purse/a?op=put"];
    for body in bodies {
        for target in targets {
            let request = Request::post(format!("{BASE}/{target}"))
                .header("content-type", "application/json")
                .body(Body::from(body.to_vec()))
                .unwrap();
            let answer = server.send(request).await;
            assert_eq!(answer.status.as_u16(), 400, "{target} {:?}", &body[..body.len().min(20)]);
        }
    }
    let large = vec![b' '; DEFAULT_MAX_BODY_BYTES + 1];
    for target in targets {
        let request = Request::post(format!("{BASE}/{target}")).body(Body::from(large.clone()));
        assert_eq!(server.send(request.unwrap()).await.status.as_u16(), 413, "{target}");
    }
    // What stands before and around a body does not matter, nor what it calls itself at a start.
    for body in ["\u{feff}[\"x\"]", " [\"x\"]\n", "", "  "] {
        let request = Request::post(format!("{BASE}/orchestrators/steps"))
            .header("content-type", "text/plain")
            .body(Body::from(body));
        assert_eq!(server.send(request.unwrap()).await.status.as_u16(), 202, "{body:?}");
    }
}

/// Never says anything and never ends.
struct Silence;

impl futures_core::Stream for Silence {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::memory().await;
    let request =
        Request::post(format!("{BASE}/orchestrators/steps")).body(Body::from_stream(Silence));
    assert_eq!(server.send(request.unwrap()).await.status.as_u16(), 408);
}

#[tokio::test]
async fn paths_and_queries_may_hold_anything() {
    let server = Server::memory().await;
    server.ask("POST /orchestrators/collect/runs 9").await;
    let odd = [
        "%00",
        "%ff",
        "%zz",
        "%",
        "%%",
        "'%20OR%201=1--",
        "..%2f..%2fetc",
        "%C0%AF",
        "%F0%9F%A6%80",
        "+",
        "{eventName}",
        "%0d%0aX-Injected:%201",
        "a%5Cb",
        "@",
        "@@",
        "@purse@",
        "$",
    ];
    let targets = [
        ("GET", "/instances/{}"),
        ("DELETE", "/instances/{}"),
        ("POST", "/instances/{}/terminate"),
        ("POST", "/instances/{}/restart"),
        ("POST", "/instances/{}/rewind"),
        ("POST", "/instances/{}/raiseEvent/{}"),
        ("POST", "/instances/runs/raiseEvent/{}"),
        ("POST", "/instances/runs/suspend?reason={}"),
        ("POST", "/orchestrators/{}/{}"),
        ("POST", "/orchestrators/steps/{}?version={}"),
        ("GET", "/entities/{}"),
        ("GET", "/entities/{}/{}"),
        ("POST", "/entities/{}/{}?op={}"),
        ("DELETE", "/entities/purse/{}"),
        (
            "GET",
            "/instances?top={}&runtimeStatus={}&createdTimeFrom={}&createdTimeTo={}\
             &instanceIdPrefix={}&showInput={}&taskHub={}&connection={}&code={}",
        ),
        ("DELETE", "/instances?createdTimeFrom={}&runtimeStatus={}"),
        ("GET", "/entities?top={}&fetchState={}&lastOperationTimeFrom={}&lastOperationTimeTo={}"),
        (
            "GET",
            "/instances/runs?showHistory={}&showHistoryOutput={}&returnInternalServerErrorOnFailure={}",
        ),
        ("POST", "/orchestrators/steps?timeout={}&pollingInterval={}"),
        ("PATCH", "/{}"),
    ];
    for text in odd {
        for (method, path) in targets {
            let path = path.replace("{}", text);
            let Ok(uri) = format!("{BASE}{path}").parse::<axum::http::Uri>() else { continue };
            let request = Request::builder().method(method).uri(uri).body(Body::from("[]"));
            let answer = server.send(request.unwrap()).await;
            assert!(!answer.status.is_server_error(), "{method} {path}: {}", answer.line());
            assert_eq!(answer.header("x-injected"), None);
        }
    }
}

#[tokio::test]
async fn what_the_python_library_wraps_is_unwrapped() {
    let agent = ("user-agent", "Python/3.12 aiohttp/3.14.5");
    let line = r#"POST /orchestrators/steps?timeout=60 "[\"x\", \"y\"]""#;
    let server = Server::memory().await;
    assert_eq!(server.ask_with(line, &[agent]).await.line(), r#"200 "x y""#);
    let event = r#"POST /instances/a/raiseEvent/number "7""#;
    server.ask("POST /orchestrators/collect/a 1").await;
    assert_eq!(server.ask_with(event, &[agent]).await.line(), "202");
    assert_eq!(server.until("a", "Completed").await["output"], serde_json::json!([7]));
    // Text that is no JSON stays text, and so does what others send.
    server.ask_with(r#"POST /orchestrators/steps/b "x""#, &[agent]).await;
    assert_eq!(server.ask("GET /instances/b").await.json()["input"], "x");
    server.ask(r#"POST /orchestrators/steps/c "[]""#).await;
    assert_eq!(server.ask("GET /instances/c").await.json()["input"], "[]");
    let plain = Server::with(World::memory(), HttpOptions::new().unwrap_python(false)).await;
    plain.ask_with(r#"POST /orchestrators/steps/d "[]""#, &[agent]).await;
    assert_eq!(plain.ask("GET /instances/d").await.json()["input"], "[]");
}
