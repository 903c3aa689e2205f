//! Workers in processes of their own, which are killed, stopped and woken while there is work.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use durable::store::Store;
use durable::{Clock, SystemClock, Timestamp};

use crate::load::{LOOK_INTERVAL, Load};
use crate::programs::gated_fan_out;
use crate::{Hub, soon};

/// The hub that a worker's process works for, and the worker's identity.
const SCHEMA: &str = "DURABLE_TEST_SCHEMA";
const WORKER: &str = "DURABLE_TEST_WORKER";
/// Set if the gate of its activities is open.
const OPEN: &str = "DURABLE_TEST_OPEN";
/// Activities that such a process runs at once.
const PLACES: usize = 4;
/// How long a worker that says nothing is waited for.
const LEASE: Duration = Duration::from_secs(2);

/// Not a test of its own: what the processes run, until their input ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests of processes"]
async fn worker_process() {
    let (Ok(schema), Ok(id)) = (std::env::var(SCHEMA), std::env::var(WORKER)) else { return };
    let hub = Hub { schema, ..Hub::new() };
    if std::env::var(OPEN).is_ok() {
        hub.gate.open();
    }
    let builder = hub.builder(&id).await.lease_length(LEASE).max_concurrent_activities(PLACES);
    let worker = builder.start().await.unwrap();
    println!("\nready");
    let input = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(input).await.unwrap().unwrap();
    worker.shutdown().await;
}

/// A worker's process. Killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(hub: &Hub, id: &str) -> Self {
        Self::start_with(hub, id, |command| command)
    }

    fn start_with(hub: &Hub, id: &str, with: fn(&mut Command) -> &mut Command) -> Self {
        let mut child = with(&mut Command::new(std::env::current_exe().unwrap()))
            .args(["processes::worker_process", "--exact", "--ignored", "--nocapture"])
            .env(SCHEMA, &hub.schema)
            .env(WORKER, id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"), "{id} did not start");
        // Somebody has to read the rest.
        std::thread::spawn(move || lines.count());
        Self(child)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Stops in good order.
    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the workers hold so many partitions, the most first, and says how long it took.
async fn until_held(store: &dyn Store, wanted: &[u16], what: &str) {
    let began = SystemClock.now();
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    soon(async {
        loop {
            let peers = store.check_in("observer", SystemClock.now(), Timestamp::MIN).await;
            let mut held: Vec<u16> = peers.unwrap().iter().map(|peer| peer.partitions).collect();
            held.sort_by_key(|held| std::cmp::Reverse(*held));
            if held == wanted {
                return;
            }
            ticks.tick().await;
        }
    })
    .await;
    println!("{what}: {:?}", SystemClock.now().saturating_since(began));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_workers_is_killed_in_the_middle_of_its_work() {
    let hub = Hub::new();
    let store = hub.store().await;
    let killed = Process::start(&hub, "killed");
    let (one, two) = (Process::start(&hub, "one"), Process::start(&hub, "two"));
    until_held(&store, &[3, 3, 2], "three shares").await;
    let mut load = Load::start(&hub.stranger().await);
    load.goes_on(20).await;
    killed.signal("KILL");
    until_held(&store, &[4, 4], "after the kill").await;
    load.goes_on(20).await;
    // And one comes, and one goes, in good order.
    let three = Process::start(&hub, "three");
    until_held(&store, &[3, 3, 2], "a third share").await;
    load.goes_on(20).await;
    one.end();
    until_held(&store, &[4, 4], "after the end").await;
    load.goes_on(20).await;
    load.ends().await;
    two.end();
    three.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_sleeps_past_its_lease_harms_nothing_and_works_again() {
    let hub = Hub::new();
    let store = hub.store().await;
    let sleeper = Process::start(&hub, "sleeper");
    let (one, two) = (Process::start(&hub, "one"), Process::start(&hub, "two"));
    until_held(&store, &[3, 3, 2], "three shares").await;
    let mut load = Load::start(&hub.stranger().await);
    for _ in 0..2 {
        load.goes_on(10).await;
        // Turns, commits and activities are under way, and go on when others have its partitions.
        sleeper.signal("STOP");
        until_held(&store, &[4, 4], "while it sleeps").await;
        load.goes_on(10).await;
        sleeper.signal("CONT");
        until_held(&store, &[3, 3, 2], "after it woke").await;
    }
    one.end();
    two.end();
    until_held(&store, &[8], "alone").await;
    load.goes_on(20).await;
    load.ends().await;
    sleeper.end();
}

/// Fan-outs of instances whose owners run nothing to its end: others do it for them, of which one is
/// killed in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_is_done_by_all_workers_though_one_is_killed() {
    // So many that each worker has some of them in its partitions.
    const FANS: u32 = 40;
    const WIDTH: u32 = 50;
    let hub = Hub::new();
    let store = hub.store().await;
    let killed = Process::start(&hub, "killed");
    let helper = Process::start_with(&hub, "helper", |command| command.env(OPEN, "yes"));
    let owner = hub.builder("owner").await.lease_length(LEASE).max_concurrent_activities(PLACES);
    let owner = owner.start().await.unwrap();
    until_held(&store, &[3, 3, 2], "three shares").await;
    let client = hub.stranger().await;
    let mut handles = Vec::new();
    for n in 0..FANS {
        let start = gated_fan_out(WIDTH).instance_id(format!("fan-{n}"));
        handles.push(soon(client.start(start)).await.unwrap());
    }
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    soon(async {
        while owner.metrics().offered == 0 {
            ticks.tick().await;
        }
    })
    .await;
    // What it has claimed is lost with it, and what it owns is begun again.
    drop(killed);
    until_held(&store, &[4, 4], "after the kill").await;
    hub.gate.open();
    for handle in handles {
        assert_eq!(soon(handle.result()).await.unwrap(), WIDTH);
    }
    let here: u32 = (0..WIDTH).map(|n| hub.counts.of(&format!("gate {n}"))).sum();
    assert!(here < FANS * WIDTH, "{here}");
    println!("{here} of {} were begun here, {:?}", FANS * WIDTH, owner.metrics());
    helper.end();
    owner.shutdown().await;
}
