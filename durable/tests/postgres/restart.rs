//! A server that dies and comes back under load: workers and clients go on by themselves.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::load::Load;
use crate::{Hub, SHORT_LEASE};

/// Runs a server of its own; the one that all tests share must not stop.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres");

/// A server whose processes can be killed. It ends with the test.
struct Server {
    script: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    fn start() -> Self {
        // What it said is durable has to be so: nothing is left out for speed.
        let mut script = Command::new(SCRIPT).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let url = lines.next().unwrap_or_else(|| panic!("{SCRIPT} gave no server")).unwrap();
        Self { script, lines, url }
    }

    fn signal(&self, name: &str) {
        let id = self.script.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Stops it as a crash would, and starts it.
    fn restart(&mut self) {
        self.signal("HUP");
        assert_eq!(self.lines.next().unwrap().unwrap(), self.url);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("TERM");
        // Nothing is to be made of it.
        let _ = self.script.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_go_on_when_the_server_was_restarted_under_load() {
    let mut server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let hub = Hub { url: server.url.clone(), ..Hub::new() };
    let one = hub.builder("one").await.lease_length(SHORT_LEASE).start().await.unwrap();
    let two = hub.builder("two").await.lease_length(SHORT_LEASE).start().await.unwrap();
    let mut load = Load::start(&hub.stranger().await);
    for _ in 0..3 {
        load.goes_on(10).await;
        server = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        })
        .await
        .unwrap();
    }
    load.goes_on(20).await;
    load.ends().await;
    let turns = [one.metrics().turns, two.metrics().turns];
    assert!(turns.iter().all(|turns| *turns > 0), "both had something to do: {turns:?}");
    one.shutdown().await;
    two.shutdown().await;
}
