//! The workloads. Each has a worker and clients in this process, and says what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use durable::store::Store;
use durable::{Client, Worker};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fleet::Fleet;
use super::measure::{Latencies, Report, Stopwatch, rss_mb};
use super::programs::{Counter, Gate, chain, deep, fan_out, nap, parked, register, slow_fan_out};
use super::{Options, Workload};

/// Steps of an orchestration of the workload `chain`.
const CHAIN_STEPS: u64 = 5;

/// What a workload came to, before the worker's part is added.
struct Outcome {
    params: Value,
    wall: Duration,
    n: u64,
    activities: u64,
    latencies: Latencies,
    steps: Option<u64>,
    more: Value,
}

impl Outcome {
    fn new(params: Value, wall: Duration, n: u64) -> Self {
        let (latencies, more) = (Latencies::default(), Value::Null);
        Self { params, wall, n, activities: 0, latencies, steps: None, more }
    }
}

/// Runs the workload that was asked for.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Report> {
    let store = durable::connect(&options.store).await?;
    if options.workload == Workload::Recover {
        return run_recover(store, options).await;
    }
    let fleet = Fleet::start(options, store).await?;
    let client = fleet.client();
    let (workload, outcome) = match options.workload {
        Workload::Chain => ("chain", run_chain(&client, options).await?),
        Workload::Fanout => ("fanout", run_fan_out(&client, options).await?),
        Workload::Loop => ("loop", run_loop(&client, options).await?),
        Workload::EntitySignals => ("entity-signals", run_signals(&client, options).await?),
        Workload::EntityCalls => ("entity-calls", run_calls(&client, options).await?),
        Workload::Timers => ("timers", run_timers(&client, options).await?),
        Workload::Start => ("start", run_starts(&client, options).await?),
        Workload::Parked => ("parked", run_parked(&client, options).await?),
        Workload::Recover | Workload::Entity | Workload::Workers => {
            unreachable!("it was run already, or stands for several runs")
        }
    };
    let mut metrics = fleet.metrics();
    let elsewhere = fleet.stop().await?;
    let Outcome { mut params, wall, n, activities, latencies, steps, mut more } = outcome;
    if let Some(workers) = options.workers {
        params["workers"] = json!(workers);
        metrics.commits = elsewhere.iter().map(|ran| ran.commits).sum();
        metrics.rows = elsewhere.iter().map(|ran| ran.rows).sum();
        more["ran"] = json!(elsewhere);
    }
    Ok(Report { workload, params, wall, n, activities, latencies, steps, metrics, more })
}

/// Does something again and again, so many at once, until the time is over.
async fn closed_loop<F>(
    options: &Options,
    work: impl Fn(u64) -> F + Clone + Send + 'static,
) -> anyhow::Result<(Duration, Latencies)>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let (start, limit) = (Stopwatch::start(), Duration::from_secs(options.seconds));
    let mut tasks = JoinSet::new();
    for number in 0..options.concurrency {
        let work = work.clone();
        tasks.spawn(async move {
            let mut latencies = Latencies::default();
            while start.elapsed() < limit {
                let one = Stopwatch::start();
                work(number).await?;
                latencies.add(one.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(latencies) = tasks.join_next().await {
        all.extend(latencies??);
    }
    Ok((start.elapsed(), all))
}

/// Does so many things, at most so many of them at once.
async fn each<F>(
    count: u64,
    concurrency: u64,
    work: impl Fn(u64) -> F + Clone + Send + 'static,
) -> anyhow::Result<Latencies>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..concurrency.min(count) {
        let (work, next) = (work.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut latencies = Latencies::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(latencies);
                }
                let one = Stopwatch::start();
                work(number).await?;
                latencies.add(one.elapsed());
            }
        });
    }
    let mut all = Latencies::default();
    while let Some(latencies) = tasks.join_next().await {
        all.extend(latencies??);
    }
    Ok(all)
}

async fn run_chain(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let client = client.clone();
    let (wall, latencies) = closed_loop(options, move |_| {
        let client = client.clone();
        async move {
            client.start(chain(CHAIN_STEPS)).await?.result().await?;
            Ok(())
        }
    })
    .await?;
    let n = latencies.len();
    let params = json!({ "concurrency": options.concurrency, "seconds": options.seconds });
    Ok(Outcome { activities: n * CHAIN_STEPS, latencies, ..Outcome::new(params, wall, n) })
}

async fn run_fan_out(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let width = options.n.unwrap_or(10_000);
    let start = Stopwatch::start();
    let sum = match options.pause_ms {
        0 => client.start(fan_out(width)).await?.result().await?,
        millis => client.start(slow_fan_out(width, millis)).await?.result().await?,
    };
    let wall = start.elapsed();
    ensure!(sum == width * width.saturating_sub(1) / 2, "the sum is wrong: {sum}");
    let params = json!({ "n": width, "pause_ms": options.pause_ms });
    Ok(Outcome { activities: width, ..Outcome::new(params, wall, 1) })
}

async fn run_loop(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let steps = options.n.unwrap_or(5_000);
    let start = Stopwatch::start();
    client.start(chain(steps)).await?.result().await?;
    let wall = start.elapsed();
    let outcome = Outcome::new(json!({ "n": steps }), wall, 1);
    Ok(Outcome { activities: steps, steps: Some(steps), ..outcome })
}

async fn run_signals(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let (count, keys) = (options.n.unwrap_or(100_000), options.keys);
    let start = Stopwatch::start();
    let sender = client.clone();
    let latencies = each(count, options.concurrency, move |number| {
        let counter = sender.entity::<Counter>((number % keys).to_string());
        async move { Ok(counter.add(1).signal().await?) }
    })
    .await?;
    let sent = start.elapsed();
    // A call stands behind the signals: when it is answered, they have taken effect.
    let mut sum = 0;
    for key in 0..keys {
        sum += client.entity::<Counter>(key.to_string()).add(0).await?;
    }
    let wall = start.elapsed();
    ensure!(sum == count, "{sum} of {count} signals took effect");
    let params = json!({ "n": count, "keys": keys, "concurrency": options.concurrency });
    let more = json!({ "sent_s": super::measure::rounded(sent.as_secs_f64()) });
    Ok(Outcome { latencies, more, ..Outcome::new(params, wall, count) })
}

async fn run_calls(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let keys = options.keys;
    let client = client.clone();
    let turn = Arc::new(AtomicU64::new(0));
    let (wall, latencies) = closed_loop(options, move |_| {
        let number = turn.fetch_add(1, Ordering::Relaxed);
        let counter = client.entity::<Counter>((number % keys).to_string());
        async move {
            counter.add(1).await?;
            Ok(())
        }
    })
    .await?;
    let params = json!({
        "keys": keys, "concurrency": options.concurrency, "seconds": options.seconds,
    });
    let n = latencies.len();
    Ok(Outcome { latencies, ..Outcome::new(params, wall, n) })
}

async fn run_timers(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let count = options.n.unwrap_or(10_000);
    let start = Stopwatch::start();
    let starts = Arc::new(Semaphore::new(usize::try_from(options.concurrency)?));
    let mut naps = JoinSet::new();
    for _ in 0..count {
        let (client, starts) = (client.clone(), Arc::clone(&starts));
        naps.spawn(async move {
            let permit = starts.acquire_owned().await?;
            // Boxed: what it needs is not part of every task that waits.
            let handle = Box::pin(client.start(nap()).into_future()).await?;
            drop(permit);
            let started = start.elapsed();
            handle.result().await?;
            anyhow::Ok(started)
        });
    }
    let mut started = Duration::ZERO;
    while let Some(nap) = naps.join_next().await {
        started = started.max(nap??);
    }
    let wall = start.elapsed();
    let params = json!({ "n": count, "concurrency": options.concurrency });
    let more = json!({ "started_s": super::measure::rounded(started.as_secs_f64()) });
    Ok(Outcome { more, ..Outcome::new(params, wall, count) })
}

async fn run_starts(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let count = options.n.unwrap_or(10_000);
    let start = Stopwatch::start();
    let client = client.clone();
    let latencies = each(count, options.concurrency, move |_| {
        let client = client.clone();
        async move {
            client.start(parked()).await?;
            Ok(())
        }
    })
    .await?;
    let wall = start.elapsed();
    let params = json!({ "n": count, "concurrency": options.concurrency });
    Ok(Outcome { latencies, ..Outcome::new(params, wall, count) })
}

async fn run_parked(client: &Client, options: &Options) -> anyhow::Result<Outcome> {
    let count = options.n.unwrap_or(100_000);
    let starter = client.clone();
    each(count, options.concurrency, move |number| {
        let client = starter.clone();
        async move {
            client.start(parked().instance_id(format!("p{number}"))).await?;
            Ok(())
        }
    })
    .await?;
    client.orchestration::<u64>(format!("p{}", count - 1)).wait_for_start().await?;
    let parked_rss = rss_mb()?;
    let start = Stopwatch::start();
    let raiser = client.clone();
    let latencies = each(count, options.concurrency, move |number| {
        let handle = raiser.orchestration::<u64>(format!("p{number}"));
        async move {
            handle.raise_event("go", number).await?;
            Ok(())
        }
    })
    .await?;
    for number in 0..count {
        client.orchestration::<u64>(format!("p{number}")).result().await?;
    }
    let wall = start.elapsed();
    let params = json!({ "n": count, "concurrency": options.concurrency });
    let more = json!({ "parked_rss_mb": parked_rss });
    Ok(Outcome { latencies, more, ..Outcome::new(params, wall, count) })
}

/// How deep the orchestrations are when their worker dies, and how many steps are left then.
const DEEP_STEPS: u64 = 50;

async fn run_recover(store: Arc<dyn Store>, options: &Options) -> anyhow::Result<Report> {
    let count = options.n.unwrap_or(1_000);
    let start_worker = async |is_open| {
        let gate = Gate { is_open, waiting: Arc::default() };
        let builder = register(Worker::builder(store.clone()))
            .worker_id("bench")
            .check_determinism(false)
            .max_concurrent_activities(usize::try_from(count)?.max(1))
            .data(gate.clone());
        anyhow::Ok((builder.start().await?, gate.waiting))
    };
    let (first, waiting) = start_worker(false).await?;
    let client = first.client();
    each(count, options.concurrency, move |number| {
        let client = client.clone();
        async move {
            client.start(deep(DEEP_STEPS).instance_id(format!("deep-{number}"))).await?;
            Ok(())
        }
    })
    .await?;
    while waiting.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
    }
    // As a crash would: nothing is handed over.
    drop(first);
    let start = Stopwatch::start();
    let (second, _) = start_worker(true).await?;
    for number in 0..count {
        second.client().orchestration::<u64>(format!("deep-{number}")).result().await?;
    }
    let wall = start.elapsed();
    let metrics = second.metrics();
    second.shutdown().await;
    let (workload, latencies, more) = ("recover", Latencies::default(), Value::Null);
    let params = json!({ "n": count, "steps": DEEP_STEPS });
    Ok(Report {
        workload,
        params,
        wall,
        n: count,
        activities: count * DEEP_STEPS,
        latencies,
        steps: None,
        metrics,
        more,
    })
}
