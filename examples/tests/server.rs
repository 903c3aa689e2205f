//! The example server as a process: under load, with requests that are none, killed and started
//! again, and told to stop.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::fail;

const BASE: &str = "/runtime/webhooks/durabletask";

/// A server, which is killed at the end of the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(store: &str, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(["--listen", "127.0.0.1:0", "--store", store]).args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.strip_prefix("listening on http://").unwrap().to_owned();
        // Somebody has to read the rest.
        std::thread::spawn(move || lines.count());
        Self { child, address }
    }

    /// What of the process is in memory, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    async fn connect(&self) -> Connection {
        Connection::to(&self.address).await
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// A connection that is kept open between requests.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Asks, and gives the status code and the body.
    async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(request.as_bytes()).await.expect("an answer")
    }

    /// Sends whatever bytes. `None` if the connection is closed without an answer.
    async fn send(&mut self, bytes: &[u8]) -> Option<(u16, String)> {
        self.stream.write_all(bytes).await.ok()?;
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let length: usize = length.unwrap_or(0);
        while self.buffer.len() < length {
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        Some((status, body))
    }
}

/// Half of the connections start instances, half of them ask about those, for a while. Gives how many
/// requests were answered.
async fn load(server: &Server, round: u64, length: Duration) -> u64 {
    const CONNECTIONS: u64 = 200;
    let (over, started, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = server.connect().await;
        let (over, started, answered) = (over.clone(), started.clone(), answered.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(number);
            while !over.load(Ordering::Relaxed) {
                if number % 2 == 0 {
                    let id = started.fetch_add(1, Ordering::Relaxed);
                    let path = format!("{BASE}/orchestrators/Chaining/load-{round}-{id}");
                    let (status, body) = connection.ask("POST", &path, "\"new york\"").await;
                    assert_eq!(status, 202, "{body}");
                } else {
                    let id = random.u64(0..started.load(Ordering::Relaxed).max(1));
                    let path = format!("{BASE}/instances/load-{round}-{id}?showHistory=true");
                    let (status, body) = connection.ask("GET", &path, "").await;
                    // One that is just being started is not there yet.
                    assert!([200, 202, 404].contains(&status), "{status} {body}");
                    assert!(!body.contains("Failed"), "{body}");
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    examples::pause(length).await;
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    // All of them end, and then they are purged.
    let mut connection = server.connect().await;
    for _ in 0..1_200 {
        let open = format!("{BASE}/instances?runtimeStatus=Pending,Running&top=1");
        let (status, body) = connection.ask("GET", &open, "").await;
        assert_eq!(status, 200, "{body}");
        if body == "[]" {
            let all = format!("{BASE}/instances?createdTimeFrom=2000-01-01");
            let (status, body) = connection.ask("DELETE", &all, "").await;
            let purged: Value = serde_json::from_str(&body).unwrap();
            let started = started.load(Ordering::Relaxed);
            assert_eq!((status, purged["instancesDeleted"].as_u64()), (200, Some(started)));
            let answered = answered.load(Ordering::Relaxed);
            println!("{answered} answers, {started} instances, {} KiB", server.memory());
            return answered;
        }
        examples::pause(Duration::from_millis(50)).await;
    }
    panic!("some instances do not end");
}

/// `DURABLE_LOAD_SECONDS=30` makes it a real load.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_fails_and_nothing_is_left_in_memory() {
    /// What a round may leave behind, in KiB: less than what its instances had in memory.
    const GROWTH: u64 = 24 * 1024;
    let seconds = std::env::var("DURABLE_LOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(2));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&format!("sqlite:{}", database(&folder)), &[]);
    // The first round fills caches and pools.
    let mut answers = load(&server, 0, length).await;
    let before = server.memory();
    for round in 1..3 {
        answers += load(&server, round, length).await;
    }
    let after = server.memory();
    println!("{answers} answers in all; {before} KiB after the first round, {after} at the end");
    assert!(after < before + GROWTH, "it grows from {before} to {after} KiB");
}

fn database(folder: &TempDir) -> String {
    folder.path().join("hub.db").display().to_string()
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_harms_nobody() {
    let server = Server::start("memory:", &[]);
    let long = "x".repeat(200_000);
    let path = format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let header = format!("GET /healthz HTTP/1.1\r\nX: {long}\r\n\r\n");
    let headers = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    let table: [(&[u8], Option<u16>); 9] = [
        (b"nonsense\r\n\r\n", Some(400)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Some(400)),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", Some(400)),
        (b"GET /healthz HTTP/1.1\r\nbad header\r\n\r\n", Some(400)),
        (path.as_bytes(), Some(431)),
        (header.as_bytes(), Some(431)),
        (headers.as_bytes(), Some(431)),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", Some(200)),
        (b"GET /healthz HTTP/1.0\r\n\r\n", Some(200)),
    ];
    for (bytes, code) in table {
        let mut connection = server.connect().await;
        let answer = connection.send(bytes).await;
        let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        // One who has not sent everything yet may find the connection closed.
        if let Some((status, _)) = answer {
            assert_eq!(Some(status), code, "{begin}");
        } else {
            assert_ne!(code, Some(200), "{begin}");
        }
    }
    // A body that is announced as too large is not waited for.
    let mut connection = server.connect().await;
    let head = format!(
        "POST {BASE}/orchestrators/Chaining HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: 99999999999\r\n\r\n"
    );
    assert_eq!(connection.send(head.as_bytes()).await.unwrap().0, 413);
    let (status, body) = server.connect().await.ask("GET", "/healthz", "").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn what_was_accepted_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", database(&folder));
    let server = Server::start(&store, &[]);
    let start = format!("{BASE}/orchestrators/ApprovalWorkflow/desk");
    let (status, body) = server.connect().await.ask("POST", &start, "{\"subject\":\"it\"}").await;
    assert_eq!(status, 202, "{body}");
    drop(server);
    let server = Server::start(&store, &[]);
    let mut connection = server.connect().await;
    let event = format!("{BASE}/instances/desk/raiseEvent/ApprovalEvent");
    assert_eq!(connection.ask("POST", &event, "true").await.0, 202);
    for _ in 0..600 {
        let (status, body) = connection.ask("GET", &format!("{BASE}/instances/desk"), "").await;
        if status == 200 {
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["output"], "it: approved");
            return;
        }
        examples::pause(Duration::from_millis(50)).await;
    }
    panic!("it does not end");
}

#[tokio::test]
async fn a_signal_lets_requests_end_and_stops_the_server() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start("memory:", &[]);
        let mut idle = server.connect().await;
        assert_eq!(idle.ask("GET", "/healthz", "").await.0, 200);
        let mut busy = server.connect().await;
        let waiting = tokio::spawn(async move {
            busy.ask("POST", "/api/orchestrators/DoWork?timeout=60", "1").await
        });
        examples::pause(Duration::from_millis(300)).await;
        server.signal(signal);
        assert_eq!(waiting.await.unwrap(), (200, "1".to_owned()), "{signal}");
        assert!(server.child.wait().unwrap().success(), "{signal}");
        assert!(TcpStream::connect(&server.address).await.is_err());
    }
}

#[test]
fn an_address_that_others_can_reach_needs_a_key() {
    let server = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        fail(command.args(arguments).env_remove("DURABLE_HTTP_KEY"))
    };
    assert!(server(&["--listen", "0.0.0.0:0"]).contains("give a key with --key"));
    assert!(server(&["--listen", "[::]:0", "--key", ""]).contains("give a key with --key"));
    assert!(server(&["--store", "mysql://here"]).contains("--store"));
}
