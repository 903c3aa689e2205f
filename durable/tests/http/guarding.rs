//! Who is answered, and how answers name the server.

use durable::http::HttpOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::*;
use crate::world::*;

async fn server(options: HttpOptions) -> Server {
    Server::with(World::memory(), options).await
}

#[tokio::test]
async fn a_key_is_needed_where_there_is_one() {
    let server = server(HttpOptions::new().key("a&b c")).await;
    let coded = "GET /instances?code=a%26b%20c";
    let table = [
        ("GET /instances", None, 401),
        ("GET /instances?code=", None, 401),
        ("GET /instances?code=a", None, 401),
        ("GET /instances?code=a%26b%20d", None, 401),
        (coded, None, 200),
        ("GET /instances", Some("a&b c"), 200),
        ("GET /instances", Some("a"), 401),
        // The header is the one that counts.
        (coded, Some("a"), 401),
        ("POST //api/orchestrators/steps []", None, 401),
        ("GET //openapi.json", None, 401),
        ("GET //healthz", None, 200),
        ("GET /nothing", None, 404),
    ];
    for (line, key, code) in table {
        let headers: Vec<_> = key.map(|key| ("x-functions-key", key)).into_iter().collect();
        let answer = server.ask_with(line, &headers).await;
        assert_eq!(answer.status.as_u16(), code, "{line} {key:?}");
        assert!(code != 401 || answer.body.is_empty());
    }
    // A host of any name, and what is told to ask with.
    let headers = [("host", "jobs.example.com"), ("x-functions-key", "a&b c")];
    let started = server.ask_with("POST /orchestrators/collect/a 1", &headers).await.json();
    let url = started["statusQueryGetUri"].as_str().unwrap();
    assert_eq!(
        url,
        "http://jobs.example.com/runtime/webhooks/durabletask/instances/a\
         ?taskHub=DurableFunctionsHub&connection=Storage&code=a%26b%20c"
    );
    let again = format!("GET /{}", url.strip_prefix("http://jobs.example.com").unwrap());
    assert_eq!(server.ask(&again).await.status.as_u16(), 202);
}

#[tokio::test]
async fn without_a_key_only_this_machine_is_answered() {
    let local = server(HttpOptions::new()).await;
    let open = server(HttpOptions::new().without_key()).await;
    let table: [(&[(&str, &str)], u16); 7] = [
        (&[], 200),
        (&[("host", "127.0.0.1:7071")], 200),
        (&[("host", "[::1]")], 200),
        // A name that a page made point to this machine.
        (&[("host", "rebound.example.com")], 403),
        // A page that the browser shows.
        (&[("origin", "https://example.com")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", "http://localhost:7071")], 200),
    ];
    for (headers, code) in table {
        // One host, not two.
        let mut request = axum::http::Request::get(format!("{BASE}/instances"));
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:7071");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = || {
            let mut copy = axum::http::Request::get(format!("{BASE}/instances"));
            *copy.headers_mut().unwrap() = request.headers_ref().unwrap().clone();
            copy.body(axum::body::Body::empty()).unwrap()
        };
        assert_eq!(local.send(request()).await.status.as_u16(), code, "{headers:?}");
        assert_eq!(open.send(request()).await.status.as_u16(), 200, "{headers:?}");
    }
    // Nothing is said to pages of other servers.
    let answer = local.ask("GET /instances").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(local.ask("OPTIONS /instances").await.status.as_u16(), 404);
}

#[tokio::test]
async fn answers_name_the_server_as_it_is_known() {
    let forwarded = [("x-forwarded-host", "jobs.example.com"), ("x-forwarded-proto", "https")];
    let begin = async |options: HttpOptions, headers: &[(&str, &str)]| {
        let server = server(options.without_key()).await;
        let started = server.ask_with("POST /orchestrators/collect/a%20b 1", headers).await.json();
        let url = started["statusQueryGetUri"].as_str().unwrap().to_owned();
        url.split_once('?').unwrap().0.replace("/runtime/webhooks/durabletask", "..")
    };
    let plain = HttpOptions::new;
    assert_eq!(begin(plain(), &forwarded).await, "http://localhost:7071../instances/a%20b");
    let proxied = plain().use_forwarded_host(true);
    assert_eq!(
        begin(proxied.clone(), &forwarded).await,
        "https://jobs.example.com../instances/a%20b"
    );
    let bad = [("x-forwarded-host", "a b/c"), ("x-forwarded-proto", "gopher")];
    assert_eq!(begin(proxied, &bad).await, "http://localhost:7071../instances/a%20b");
    let public = plain().public_url("https://public.example.com/");
    assert_eq!(begin(public, &forwarded).await, "https://public.example.com../instances/a%20b");
}

#[tokio::test]
async fn the_router_can_be_part_of_another_one() {
    let mut server = Server::memory().await;
    let hello = axum::routing::get(async || "hello");
    server.router = axum::Router::new()
        .route("/hello", hello)
        .nest("/jobs", server.router)
        .merge(durable::http::router(server.worker.client(), HttpOptions::new()));
    assert_eq!(server.ask("GET //hello").await.line(), "200 hello");
    let started = server.ask(&format!("POST //jobs{BASE}/orchestrators/collect/a 1")).await.json();
    let url = started["statusQueryGetUri"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("http://localhost:7071/jobs{BASE}/instances/a?")), "{url}");
    let asked = server.ask(&format!("GET //jobs{BASE}/instances/a")).await;
    assert_eq!(asked.status.as_u16(), 202);
    assert_eq!(
        asked.header("location"),
        Some(&*format!("http://localhost:7071/jobs{BASE}/instances/a"))
    );
    assert_eq!(server.ask("GET /instances/a").await.status.as_u16(), 202);
}

/// The status code of a request over a real connection.
async fn code(port: u16, path: &str) -> u16 {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_address_that_others_can_reach_answers_nobody_without_a_key() {
    let table = [
        ("127.0.0.1:0", HttpOptions::new(), 200),
        ("0.0.0.0:0", HttpOptions::new(), 401),
        ("0.0.0.0:0", HttpOptions::new().key("k"), 200),
        ("0.0.0.0:0", HttpOptions::new().without_key(), 200),
    ];
    for (address, options, expected) in table {
        let server = Server::with(World::memory(), options).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = durable::http::serve(listener, server.router.clone(), async {
            stopped.await.unwrap();
        });
        let asking = async {
            let got = code(port, &format!("{BASE}/instances?code=k")).await;
            assert_eq!(got, expected, "{address}");
            assert_eq!(code(port, "/healthz").await, 200);
            stop.send(()).unwrap();
        };
        let (served, ()) = tokio::join!(server.world.drive(serving), asking);
        served.unwrap();
    }
}
