//! The worker on a `PostgreSQL` server, with the real clock: every kind of step, workers that die,
//! several workers on one hub, in this process and in others, and a server that is restarted. Needs
//! a server: `scripts/postgres --fast cargo test ..`.
#![cfg(feature = "postgres")]
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

#[path = "worker/programs.rs"]
#[allow(dead_code)] // Its world has the memory store.
mod programs;

#[path = "postgres/load.rs"]
mod load;
#[path = "postgres/processes.rs"]
mod processes;
#[path = "postgres/restart.rs"]
mod restart;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durable::store::{InstanceQuery, PostgresStore, Store};
use durable::{Client, Timestamp, Worker, WorkerBuilder};
use sqlx::{AssertSqlSafe, Connection, Executor};

use programs::*;

const URL: &str = "DURABLE_TEST_POSTGRES_URL";
/// A result that takes longer is not coming.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often connections are cut.
const CUT_INTERVAL: Duration = Duration::from_millis(40);
/// The shortest lease that a worker takes.
const SHORT_LEASE: Duration = Duration::from_secs(1);

/// A hub of its own for each test.
struct Hub {
    url: String,
    schema: String,
    counts: Counts,
    gate: Gate,
}

impl Hub {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var(URL).unwrap_or_else(|_| {
            panic!(
                "these tests need a PostgreSQL server: run `scripts/postgres --fast cargo test \
                 --all-features`, or set {URL} to the URL of a database that can be spoilt"
            )
        });
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("test_worker_{}_{next}", std::process::id());
        Self { url, schema, counts: Counts::default(), gate: Gate::default() }
    }

    /// A store as another process would open it.
    async fn store(&self) -> PostgresStore {
        let options = PostgresStore::options(self.url.clone()).schema(&self.schema);
        options.max_connections(6).open().await.unwrap()
    }

    async fn builder(&self, id: &str) -> WorkerBuilder {
        programs(Worker::builder(self.store().await))
            .worker_id(id)
            .data(self.counts.clone())
            .data(self.gate.clone())
    }

    async fn worker(&self, id: &str) -> Worker {
        self.builder(id).await.start().await.unwrap()
    }

    /// A client in another process, as it were.
    async fn stranger(&self) -> Client {
        Client::new(self.store().await)
    }
}

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future.into_future()).await.unwrap()
}

/// Everything at once: a chain, a fan-out, children, timers, events, an entity.
async fn scenario(client: Client) -> String {
    let chain = client.start(chain(20)).await.unwrap();
    let fan = client.start(fan_out(300)).await.unwrap();
    let family = client.start(family(10)).await.unwrap();
    let nap = client.start(nap(vec![0, 1])).await.unwrap();
    let shop = client.start(shopping("shop".to_owned())).await.unwrap();
    let approval = client.start(approval()).await.unwrap();
    for name in ["Ann", "Bob"] {
        approval.raise_event("name", name.to_owned()).await.unwrap();
    }
    approval.raise_event("go", true).await.unwrap();
    let counter = client.entity::<Counter>("till");
    counter.add(1).signal().await.unwrap();
    let mut total = 0;
    for _ in 0..3 {
        total = soon(counter.add(10)).await.unwrap();
    }
    soon(nap.result()).await.unwrap();
    format!(
        "{} {} {} {} {} {total}",
        soon(chain.result()).await.unwrap(),
        soon(fan.result()).await.unwrap(),
        soon(family.result()).await.unwrap(),
        soon(shop.result()).await.unwrap(),
        soon(approval.result()).await.unwrap(),
    )
}

const EXPECTED: &str = "20 45150 45 140 Ann Bob true 31";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_step_on_one_worker() {
    let hub = Hub::new();
    let worker = hub.worker("only").await;
    assert_eq!(scenario(worker.client()).await, EXPECTED);
    worker.shutdown().await;
    let client = hub.stranger().await;
    assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 6 + 10 + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_a_hub_and_serve_clients_elsewhere() {
    let hub = Hub::new();
    // The first would take all that is there, so half of it belongs to the second beforehand.
    let store = hub.store().await;
    let now = Timestamp::from_micros(0);
    let held = store.acquire_leases("two", 4, &[], now, Timestamp::MAX).await.unwrap();
    assert_eq!(held.len(), 4);
    let one = hub.worker("one").await;
    let two = hub.worker("two").await;
    assert_eq!(scenario(hub.stranger().await).await, EXPECTED);
    let commits = [one.metrics().commits, two.metrics().commits];
    assert!(commits.iter().all(|commits| *commits > 0), "both had something to do: {commits:?}");
    one.shutdown().await;
    assert_eq!(scenario_again(&hub).await, 7);
    two.shutdown().await;
}

/// A chain that is started after one worker has left.
async fn scenario_again(hub: &Hub) -> u64 {
    let client = hub.stranger().await;
    let mut handles = Vec::new();
    for n in 0..16 {
        handles.push(client.start(chain(7).instance_id(format!("late-{n}"))).await.unwrap());
    }
    let mut results = std::collections::BTreeSet::new();
    for handle in handles {
        results.insert(soon(handle.result()).await.unwrap());
    }
    assert_eq!(results.len(), 1);
    results.pop_first().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_died_is_followed_by_another() {
    let hub = Hub::new();
    let first = hub.builder("first").await.lease_length(SHORT_LEASE).start().await.unwrap();
    let client = hub.stranger().await;
    let gated = client.start(gated("g".to_owned())).await.unwrap();
    let waiting = client.start(approval()).await.unwrap();
    soon(gated.wait_for_start()).await.unwrap();
    soon(waiting.wait_for_start()).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while hub.counts.of("g") == 0 {
        ticks.tick().await;
    }
    // It gives nothing back.
    drop(first);
    waiting.raise_event("name", "Ann".to_owned()).await.unwrap();
    let second = hub.worker("second").await;
    while hub.counts.of("g") < 2 {
        ticks.tick().await;
    }
    hub.gate.open();
    // The attempt that was lost counts, and what came after it ran once.
    assert_eq!(soon(gated.result()).await.unwrap(), 2);
    assert_eq!(hub.counts.of("add_one 1"), 1);
    waiting.raise_event("name", "Bob".to_owned()).await.unwrap();
    waiting.raise_event("go", true).await.unwrap();
    assert_eq!(soon(waiting.result()).await.unwrap(), "Ann Bob true");
    second.shutdown().await;
}

/// Cuts every connection that a hub is used through, again and again.
async fn cut_all(url: String, schema: String) {
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND query LIKE '%\"{schema}\".%'"
    );
    let mut ticks = tokio::time::interval(CUT_INTERVAL);
    loop {
        ticks.tick().await;
        connection.execute(AssertSqlSafe(cut.clone())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_again_and_again_lose_nothing() {
    let hub = Hub::new();
    let worker = hub.worker("only").await;
    // Whoever opens a store is told of a cut, and opens it again; only later are cuts its own affair.
    let client = hub.stranger().await;
    let cutting = tokio::spawn(cut_all(hub.url.clone(), hub.schema.clone()));
    for _ in 0..3 {
        let result = soon(client.start(fan_out(100)).await.unwrap().result()).await.unwrap();
        assert_eq!(result, 5050);
        let result = soon(client.start(chain(30)).await.unwrap().result()).await.unwrap();
        assert_eq!(result, 30);
    }
    cutting.abort();
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_enough() {
    let hub = Hub::new();
    let worker =
        programs(Worker::builder(durable::connect(&hub.url).await.unwrap())).start().await.unwrap();
    let client = Client::new(durable::connect(&hub.url).await.unwrap());
    assert_eq!(soon(client.start(chain(3)).await.unwrap().result()).await.unwrap(), 3);
    worker.shutdown().await;
}
