//! The programs that the tests run, and a world to run them in.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use durable::prelude::*;
use durable::store::{MemoryStore, Store};
use durable::testing::FaultyStore;
use durable::{Client, Clock, VirtualClock, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};

/// How often each activity began, by whatever it calls itself.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counts {
    pub fn add(&self, name: impl Into<String>) {
        *self.0.lock().unwrap().entry(name.into()).or_default() += 1;
    }

    pub fn of(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

/// Lets activities wait until the test lets them go.
#[derive(Debug, Clone)]
pub struct Gate(Arc<tokio::sync::Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }
}

impl Gate {
    pub fn open(&self) {
        self.0.add_permits(tokio::sync::Semaphore::MAX_PERMITS / 2);
    }

    pub async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// A hub with a clock that stands still until a test lets time pass.
pub struct World {
    pub memory: Arc<MemoryStore>,
    pub store: Arc<dyn Store>,
    pub clock: VirtualClock,
    pub counts: Counts,
    pub gate: Gate,
}

impl World {
    pub fn new() -> Self {
        Self::with_partitions(4)
    }

    pub fn with_partitions(partitions: u16) -> Self {
        let memory = Arc::new(MemoryStore::with_partitions(partitions));
        Self {
            store: memory.clone(),
            memory,
            clock: VirtualClock::new(),
            counts: Counts::default(),
            gate: Gate::default(),
        }
    }

    /// The same, with something between the worker and its store.
    pub fn with(mut self, wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        self.store = wrap(self.memory.clone());
        self
    }

    /// The same, with a store between them that fails as it is told.
    pub fn faulty(self) -> (Self, Arc<FaultyStore>) {
        let faulty = Arc::new(FaultyStore::new(self.memory.clone()));
        let store: Arc<dyn Store> = faulty.clone();
        (self.with(|_| store), faulty)
    }

    pub fn builder(&self) -> WorkerBuilder {
        let builder = programs(Worker::builder(self.store.clone()));
        self.told(builder)
    }

    pub fn bare_builder(&self) -> WorkerBuilder {
        self.told(Worker::builder(self.store.clone()))
    }

    /// What every worker of this world is told.
    fn told(&self, builder: WorkerBuilder) -> WorkerBuilder {
        builder
            .worker_id("worker")
            .clock(self.clock.clone())
            .data(self.counts.clone())
            .data(self.gate.clone())
    }

    pub async fn worker(&self) -> Worker {
        self.builder().start().await.unwrap()
    }

    /// A client in another process, as it were.
    pub fn stranger(&self) -> Client {
        Client::with_clock(self.memory.clone(), self.clock.clone())
    }

    /// Runs a future while time passes.
    pub async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        self.clock.drive(future).await
    }

    /// The same, if the future ends at all.
    pub async fn drive_to_end<T>(&self, future: impl Future<Output = T>) -> T {
        let late = self.clock.sleep_until(self.now() + Duration::from_mins(5));
        let future = Box::pin(future);
        self.drive(async {
            tokio::select! {
                biased;
                output = future => output,
                () = late => panic!("it does not end"),
            }
        })
        .await
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Lets everything else run.
pub async fn settle(yields: usize) {
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
}

/// Runs a future to its end that waits for nobody, as none does that uses the memory store alone.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(tokio::task::unconstrained(future)).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Everything that the tests run, with data of its own.
pub fn programs(builder: WorkerBuilder) -> WorkerBuilder {
    builder
        .orchestrator(chain)
        .orchestrator(fan_out)
        .orchestrator(nap)
        .orchestrator(approval)
        .orchestrator(family)
        .orchestrator(shopping)
        .orchestrator(careless)
        .orchestrator(gated)
        .orchestrator(gated_fan_out)
        .activity(add_one)
        .activity(refuse)
        .activity(explode)
        .activity(wait_at_gate)
        .entity::<Counter>()
        .data(Counts::default())
        .data(Gate::default())
}

#[activity]
pub async fn add_one(ctx: &ActivityContext, n: u64) -> Result<u64, durable::MissingData> {
    ctx.data::<Counts>()?.add(format!("add_one {n}"));
    Ok(n + 1)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("refused because of {reason}")]
pub struct Refusal {
    pub reason: String,
}

#[activity]
pub async fn refuse(reason: String) -> Result<u64, Refusal> {
    Err(Refusal { reason })
}

#[activity]
pub async fn explode(text: String) -> u64 {
    panic!("{text}")
}

#[activity]
pub async fn unknown_to_the_worker() -> u64 {
    1
}

#[activity]
pub async fn wait_at_gate(
    ctx: &ActivityContext,
    name: String,
) -> Result<u32, durable::MissingData> {
    ctx.data::<Counts>()?.add(name);
    ctx.data::<Gate>()?.pass().await;
    Ok(ctx.attempt())
}

#[orchestrator]
pub async fn chain(steps: u64) -> Result<u64, TaskError> {
    let mut n = 0;
    while n < steps {
        n = add_one(n).await?;
    }
    Ok(n)
}

#[orchestrator]
pub async fn fan_out(width: u64) -> Result<u64, TaskError> {
    let ones: Vec<u64> = try_join_all((0..width).map(add_one)).await?;
    Ok(ones.into_iter().sum())
}

#[orchestrator]
pub async fn nap(ctx: &OrchestrationContext, secs: Vec<u64>) -> Timestamp {
    for length in secs {
        ctx.sleep(Duration::from_secs(length)).await;
    }
    ctx.now()
}

#[orchestrator]
pub async fn approval(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let first = ctx.wait_for_event::<String>("name").await?;
    let second = ctx.wait_for_event::<String>("name").await?;
    let go = ctx.wait_for_event::<bool>("go").await?;
    Ok(format!("{first} {second} {go}"))
}

#[orchestrator]
pub async fn family(children: u64) -> Result<u64, TaskError> {
    let sums = try_join_all((0..children).map(chain)).await?;
    Ok(sums.into_iter().sum())
}

#[orchestrator]
pub async fn careless(kind: String) -> Result<u64, TaskError> {
    assert!(kind != "panic", "the orchestrator gave up");
    if kind == "error" {
        return refuse("the weather".to_owned()).await;
    }
    if kind == "explode" {
        return explode("boom".to_owned()).await;
    }
    unknown_to_the_worker().await
}

#[orchestrator]
pub async fn gated(name: String) -> Result<u32, TaskError> {
    let attempt = wait_at_gate(name).await?;
    add_one(1).await?;
    Ok(attempt)
}

/// So many activities that wait at the gate, at once. Gives how many came through.
#[orchestrator]
pub async fn gated_fan_out(width: u32) -> Result<u32, TaskError> {
    let names = (0..width).map(|n| format!("gate {n}"));
    let attempts: Vec<u32> = try_join_all(names.map(wait_at_gate)).await?;
    Ok(u32::try_from(attempts.len()).unwrap_or(u32::MAX))
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    pub value: i64,
}

#[entity]
impl Counter {
    pub fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.value
    }

    pub fn get(&self) -> i64 {
        self.value
    }

    pub fn take(&mut self, amount: i64) -> Result<i64, Refusal> {
        self.value -= amount;
        if self.value < 0 {
            return Err(Refusal { reason: "too little".to_owned() });
        }
        Ok(self.value)
    }

    pub fn spoil(&mut self) {
        self.value = 1_000_000;
        panic!("spoilt");
    }
}

#[orchestrator]
pub async fn shopping(ctx: &OrchestrationContext, key: String) -> Result<i64, TaskError> {
    let counter = ctx.entity::<Counter>(key);
    counter.add(100).signal();
    let left = counter.take(30).await?;
    if counter.take(1_000).await.is_ok() {
        return Ok(-1);
    }
    Ok(left + counter.get().await?)
}
