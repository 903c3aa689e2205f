//! How many turns and sends a second a backend stores, by batch size and by the number of partitions
//! that commit at once. A turn here is a new state of 200 bytes and one history row.
//!
//! ```sh
//! cargo run --release -p durable-store --example turns -- /path/on/the/disk/to/measure
//! scripts/postgres bash -c 'cargo run --release -p durable-store --features postgres \
//!     --example turns -- "$DURABLE_TEST_POSTGRES_URL"'
//! ```
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use durable_store::{
    Batch, Condition, Envelope, InstanceChange, InstanceKind, InstanceNo, Lease, Message,
    NewInstance, SqliteStore, Status, Store, Timestamp,
};

/// How long each line of the table is measured.
const DURATION: Duration = Duration::from_millis(1500);

#[tokio::main]
async fn main() {
    let place = std::env::args().nth(1);
    #[cfg(feature = "postgres")]
    if let Some(url) = place.as_deref().filter(|place| place.starts_with("postgres")) {
        let store = durable_store::PostgresStore::connect(url).await.unwrap();
        measure(Arc::new(store.clone())).await;
        store.close().await;
        return;
    }
    let directory = match place {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let store = SqliteStore::open(directory.path().join("hub.db")).await.unwrap();
    measure(Arc::new(store.clone())).await;
    store.close().await.unwrap();
}

async fn measure(store: Arc<dyn Store>) {
    let now = Timestamp::default();
    let leases = store.acquire_leases("bench", u16::MAX, &[], now, Timestamp::MAX).await.unwrap();
    println!("{:>6} {:>6} {:>12} {:>12}", "lanes", "batch", "turns/s", "ms/commit");
    for lanes in [1, 4] {
        for batch in [1, 10, 100, 500] {
            turns(&store, &leases[..lanes], batch).await;
        }
    }
    println!("{:>6} {:>6} {:>12}", "tasks", "batch", "sends/s");
    for (tasks, batch) in [(1, 1), (64, 1), (4, 100)] {
        sends(&store, &leases, tasks, batch).await;
    }
}

async fn turns(store: &Arc<dyn Store>, lanes: &[Lease], batch: i64) {
    let mut tasks = tokio::task::JoinSet::new();
    for lease in lanes {
        let (store, lease) = (store.clone(), lease.clone());
        let first = store.reserve_numbers(u32::try_from(batch).unwrap()).await.unwrap();
        let numbers: Vec<_> =
            (first..first + batch).map(|n| InstanceNo::new(lease.partition, n)).collect();
        let created = numbers.iter().map(|no| change(*no, 0)).collect();
        store.commit(&lease, Batch { instances: created, ..Batch::default() }).await.unwrap();
        tasks.spawn(async move {
            let (start, mut turn) = (Instant::now(), 0);
            while start.elapsed() < DURATION {
                turn += 1;
                let instances = numbers.iter().map(|no| change(*no, turn)).collect();
                store.commit(&lease, Batch { instances, ..Batch::default() }).await.unwrap();
            }
            (turn, start.elapsed())
        });
    }
    let done = tasks.join_all().await;
    let rate: f64 = done.iter().map(|(turns, took)| *turns as f64 / took.as_secs_f64()).sum();
    let latency = 1000.0 * lanes.len() as f64 / rate;
    println!("{:>6} {batch:>6} {:>12.0} {latency:>12.3}", lanes.len(), rate * batch as f64);
}

fn change(no: InstanceNo, turn: i64) -> InstanceChange {
    let create = (turn == 0).then(|| {
        Box::new(NewInstance {
            no,
            id: format!("instance-{}", no.0),
            kind: InstanceKind::Orchestration,
            name: "chain".to_owned(),
            version: String::new(),
            parent: None,
            request: format!("request-{}", no.0),
            created_at: Timestamp::default(),
            starts_at: None,
            tags: durable_store::Tags::new(),
            input: "{}".into(),
        })
    });
    InstanceChange {
        no,
        create,
        renew: None,
        status: Status::Running,
        blocked: None,
        busy: true,
        state: Some(format!("{{\"step\":{turn},\"text\":\"{}\"}}", "x".repeat(180)).into()),
        custom_status: None,
        output: None,
        updated_at: Timestamp::from_micros(turn),
        finished_at: None,
        put_side: Vec::new(),
        delete_side: Vec::new(),
        clear_side: false,
        history: vec![(turn, "[{\"completed\":{\"task\":1,\"result\":\"hello\"}}]".into())],
        forget_history_before: None,
    }
}

async fn sends(store: &Arc<dyn Store>, leases: &[Lease], senders: usize, batch: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..senders {
        let store = store.clone();
        let partition = leases[sender % leases.len()].partition;
        tasks.spawn(async move {
            let (start, mut sent) = (Instant::now(), 0);
            while start.elapsed() < DURATION {
                let envelopes = (0..batch).map(|n| Envelope {
                    message: Message {
                        id: format!("{senders}/{sender}/{}", sent + n),
                        partition,
                        target: "target".to_owned(),
                        due_at: None,
                        body: "{\"event\":\"approved\"}".into(),
                    },
                    condition: Condition::None,
                });
                store.send(envelopes.collect(), Timestamp::default()).await.unwrap();
                sent += batch;
            }
            sent as f64 / start.elapsed().as_secs_f64()
        });
    }
    let rate: f64 = tasks.join_all().await.into_iter().sum();
    println!("{senders:>6} {batch:>6} {rate:>12.0}");
}
