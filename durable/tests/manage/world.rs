//! The programs that the tests manage, and a world to run them in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use durable::prelude::*;
use durable::store::{Batch, InstanceChange, MemoryStore, Message, SqliteStore, Store};
use durable::{
    Client, ClientError, Clock, Handle, HistoryEvent, Status, VirtualClock, Worker, WorkerBuilder,
};
use serde::{Deserialize, Serialize};

use crate::watched::Watched;

/// Farther away than time can pass by itself while a slow disk is waited for.
pub const FAR: Duration = Duration::from_hours(24 * 365);

/// What works and what is broken, and how often each thing was tried.
#[derive(Debug, Clone, Default)]
pub struct Machines {
    broken: Arc<Mutex<BTreeSet<String>>>,
    tries: Arc<Mutex<BTreeMap<String, u32>>>,
    cancelled: Arc<Mutex<BTreeSet<String>>>,
}

impl Machines {
    pub fn break_down(&self, name: &str) {
        self.broken.lock().unwrap().insert(name.to_owned());
    }

    pub fn repair(&self, name: &str) {
        self.broken.lock().unwrap().remove(name);
    }

    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.lock().unwrap().contains(name)
    }

    pub fn tries(&self, name: &str) -> u32 {
        self.tries.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    pub fn was_cancelled(&self, name: &str) -> bool {
        self.cancelled.lock().unwrap().contains(name)
    }
}

/// A hub with a clock that stands still until a test lets time pass.
pub struct World {
    pub store: Arc<dyn Store>,
    pub clock: VirtualClock,
    pub machines: Machines,
    pub resident: Option<usize>,
    /// The calls of the store that are open.
    pub open: Arc<AtomicUsize>,
    /// Kept until the world ends.
    #[allow(dead_code)]
    pub directory: Option<tempfile::TempDir>,
}

impl World {
    pub fn of(store: Arc<dyn Store>) -> Self {
        let (clock, machines) = (VirtualClock::new(), Machines::default());
        let (store, open) = Watched::over(store);
        Self { store, clock, machines, resident: None, open, directory: None }
    }

    pub fn memory() -> Self {
        Self::of(Arc::new(MemoryStore::with_partitions(4)))
    }

    /// The same, with every turn from saved bytes.
    pub fn restored() -> Self {
        Self { resident: Some(0), ..Self::memory() }
    }

    pub async fn sqlite() -> Self {
        Self::sqlite_with(4).await
    }

    pub async fn sqlite_with(partitions: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.db");
        let store = SqliteStore::options(path).partitions(partitions).open().await.unwrap();
        Self { directory: Some(directory), ..Self::of(Arc::new(store)) }
    }

    pub fn bare_builder(&self) -> WorkerBuilder {
        let builder = Worker::builder(self.store.clone())
            .worker_id("worker")
            .clock(self.clock.clone())
            .data(self.machines.clone());
        match self.resident {
            Some(count) => builder.resident_instances(count),
            None => builder,
        }
    }

    pub fn builder(&self) -> WorkerBuilder {
        self.bare_builder()
            .orchestrator(steps)
            .orchestrator(collect)
            .orchestrator(fan)
            .orchestrator(family)
            .orchestrator(named_child)
            .orchestrator(moment)
            .orchestrator(forever)
            .orchestrator(spender)
            .orchestrator(counts_down)
            .orchestrator(mixed)
            .orchestrator(picky)
            .orchestrator(heavy)
            .orchestrator(moment_two)
            .activity(work)
            .activity(hang)
            .entity::<Purse>()
    }

    pub async fn worker(&self) -> Worker {
        self.builder().start().await.unwrap()
    }

    /// A client in another process, as it were.
    pub fn client(&self) -> Client {
        Client::with_clock(self.store.clone(), self.clock.clone())
    }

    /// Runs a future while time passes, in small steps, and none while the store works.
    pub async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        const STEP: Duration = Duration::from_millis(50);
        const YIELDS: usize = 64;
        let mut future = std::pin::pin!(future);
        loop {
            for _ in 0..YIELDS {
                let poll = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
                if let Poll::Ready(output) = poll.await {
                    return output;
                }
                tokio::task::yield_now().await;
            }
            std::thread::yield_now();
            if self.open.load(Ordering::Relaxed) == 0 {
                self.clock.advance(STEP);
            }
        }
    }

    /// Waits until an instance has a status.
    pub async fn until<T>(&self, handle: &Handle<T>, wanted: Status) {
        self.drive(async {
            while handle.status().await.unwrap().status != wanted {
                self.clock.sleep_until(self.now() + Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Waits until an instance says this about itself, as JSON text.
    pub async fn until_says<T>(&self, handle: &Handle<T>, wanted: &str) {
        self.drive(async {
            loop {
                let status = handle.status().await.unwrap();
                if status.custom_status.as_ref().is_some_and(|said| said.as_str() == wanted) {
                    return;
                }
                assert!(!status.status.is_terminal(), "it has ended: {status:?}");
                self.clock.sleep_until(self.now() + Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// What happened to an instance, without the turns.
    pub async fn events<T>(&self, handle: &Handle<T>) -> Vec<HistoryEvent> {
        let history = self.drive(handle.history()).await.unwrap();
        history.into_iter().flat_map(|turn| turn.events).collect()
    }

    /// Waits until an instance is blocked, and gives the reason.
    pub async fn blocked<T>(&self, handle: &Handle<T>) -> String {
        self.drive(async {
            loop {
                let status = handle.status().await.unwrap();
                assert!(!status.status.is_terminal(), "it has ended: {status:?}");
                if let Some(reason) = status.blocked {
                    return reason;
                }
                self.clock.sleep_until(self.now() + Duration::from_millis(10)).await;
            }
        })
        .await
    }

    /// The text of the failure of an instance that fails.
    pub async fn failure<T>(&self, handle: &Handle<T>) -> String
    where
        T: durable::ReturnValue + std::fmt::Debug,
    {
        match self.drive(handle.result()).await {
            Err(ClientError::Task(error)) => error.to_string(),
            other => panic!("not a failure: {other:?}"),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Completes when so much time has passed.
    pub async fn pass(&self, length: Duration) {
        self.clock.sleep_until(self.now() + length).await;
    }

    /// Changes what is stored as the state of an instance. No worker may be there.
    pub async fn edit_state(&self, id: &str, edit: impl Fn(&str) -> String) {
        let now = self.now() + FAR;
        let leases = self.store.acquire_leases("test", 4, &[], now, now).await.unwrap();
        for lease in &leases {
            for stored in self.store.load_instances(lease, &[id.to_owned()]).await.unwrap() {
                let record = stored.record;
                let change = InstanceChange {
                    no: record.no,
                    create: None,
                    renew: None,
                    status: record.status,
                    blocked: None,
                    busy: false,
                    state: record.state.map(|state| edit(&state).into()),
                    custom_status: None,
                    output: None,
                    updated_at: record.updated_at,
                    finished_at: record.finished_at,
                    put_side: Vec::new(),
                    delete_side: Vec::new(),
                    clear_side: false,
                    history: Vec::new(),
                    forget_history_before: None,
                };
                let batch = Batch { instances: vec![change], ..Batch::default() };
                self.store.commit(lease, batch).await.unwrap();
            }
        }
        self.store.release_leases(&leases).await.unwrap();
    }

    /// What is scheduled in any partition. No worker may be there.
    pub async fn scheduled(&self) -> Vec<Message> {
        let mut scheduled = Vec::new();
        let later = self.now() + FAR;
        for lease in self.store.acquire_leases("test", 4, &[], later, later + FAR).await.unwrap() {
            scheduled
                .extend(self.store.poll(&lease, Timestamp::MAX, 1_000).await.unwrap().scheduled);
        }
        scheduled
    }
}

/// Lets everything run that can, without time.
pub async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

/// One test for each way to run it.
macro_rules! on_every_store {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn run($world: World) $body

                #[tokio::test]
                async fn memory() {
                    run(World::memory()).await;
                }

                #[tokio::test]
                async fn restored() {
                    run(World::restored()).await;
                }

                #[tokio::test]
                async fn sqlite() {
                    run(World::sqlite().await).await;
                }
            }
        )*
    };
}

#[derive(Debug, thiserror::Error)]
#[error("the {name} is broken")]
pub struct Broken {
    name: String,
}

/// Gives its name back, unless that is broken.
#[activity]
pub async fn work(ctx: &ActivityContext, name: String) -> anyhow::Result<String> {
    let machines = ctx.data::<Machines>()?;
    *machines.tries.lock().unwrap().entry(name.clone()).or_default() += 1;
    if machines.is_broken(&name) {
        return Err(Broken { name }.into());
    }
    Ok(name)
}

/// Never ends by itself.
#[activity]
pub async fn hang(ctx: &ActivityContext, name: String) -> anyhow::Result<()> {
    let machines = ctx.data::<Machines>()?;
    *machines.tries.lock().unwrap().entry(name.clone()).or_default() += 1;
    ctx.cancelled().await;
    machines.cancelled.lock().unwrap().insert(name);
    Ok(())
}

/// Does one thing after the other.
#[orchestrator]
pub async fn steps(names: Vec<String>) -> Result<String, TaskError> {
    let mut done = Vec::new();
    for name in names {
        done.push(work(name).await?);
    }
    Ok(done.join(" "))
}

pub fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Collects so many numbers from events.
#[orchestrator]
pub async fn collect(ctx: &OrchestrationContext, count: usize) -> Result<Vec<u32>, TaskError> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let number = ctx.wait_for_event::<u32>("number").await?;
        ctx.set_custom_status(number);
        numbers.push(number);
    }
    Ok(numbers)
}

/// Does everything at once.
#[orchestrator]
pub async fn fan(names: Vec<String>) -> Result<String, TaskError> {
    let done: Vec<String> = try_join_all(names.into_iter().map(work)).await?;
    Ok(done.join(" "))
}

/// Lets children do it, each the same.
#[orchestrator]
pub async fn family(children: usize, names: Vec<String>) -> Result<String, TaskError> {
    let calls = (0..children).map(|_| steps(names.clone())).collect::<Vec<_>>();
    let done: Vec<String> = try_join_all(calls).await?;
    Ok(done.join(", "))
}

/// Lets a child of a certain id collect a number, or a grandchild, by depth.
#[orchestrator]
pub async fn named_child(depth: u32) -> Result<u32, TaskError> {
    if depth == 0 {
        let numbers = collect(1).instance_id("leaf").await?;
        return Ok(numbers[0]);
    }
    named_child(depth - 1).instance_id(format!("depth-{}", depth - 1)).tag("depth", "x").await
}

/// The time of its first turn, and what it is.
#[orchestrator]
pub async fn moment(ctx: &OrchestrationContext) -> (Timestamp, String) {
    (ctx.now(), ctx.version())
}

/// Hangs in an activity.
#[orchestrator]
pub async fn forever(name: String) -> Result<(), TaskError> {
    hang(name).await
}

/// Sleeps so many times for a second.
#[orchestrator]
pub async fn counts_down(ctx: &OrchestrationContext, from: u32) -> u32 {
    let mut left = from;
    while left > 0 {
        ctx.sleep(Duration::from_secs(1)).await;
        left -= 1;
    }
    from
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Purse {
    coins: i64,
}

#[entity]
impl Purse {
    pub fn put(&mut self, coins: i64) -> i64 {
        self.coins += coins;
        self.coins
    }

    pub fn spend(&mut self, coins: i64) -> Result<i64, Broken> {
        if coins > self.coins {
            return Err(Broken { name: "purse".to_owned() });
        }
        self.coins -= coins;
        Ok(self.coins)
    }
}

/// Spends what may not be there.
#[orchestrator]
pub async fn spender(ctx: &OrchestrationContext, coins: i64) -> Result<i64, TaskError> {
    let prepared = work("purse maker".to_owned()).await?;
    let left = ctx.entity::<Purse>("mine").spend(coins).await?;
    Ok(left + i64::from(prepared.is_empty()))
}

/// Waits for several things at once: a timer, an event that is buffered, and work that may fail.
#[orchestrator]
pub async fn mixed(ctx: &OrchestrationContext, name: String) -> Result<String, TaskError> {
    let began = ctx.now();
    let nap = ctx.spawn(ctx.sleep(Duration::from_mins(1)));
    let number = ctx.spawn(ctx.wait_for_event::<u32>("number"));
    ctx.wait_for_event::<()>("go").await?;
    let name = work(name).await?;
    let first = number.await?;
    let second = ctx.wait_for_event::<u32>("number").await?;
    let third = ctx.wait_for_event::<u32>("number").await?;
    nap.await?;
    let slept = ctx.now().saturating_since(began).as_secs().min(60);
    Ok(format!("{name} {first} {second} {third} {slept}"))
}

#[derive(Debug, thiserror::Error)]
pub enum Picky {
    #[error("no name")]
    NoName,
    #[error("not {0}")]
    Not(u32),
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Fails by itself.
#[orchestrator]
pub async fn picky(ctx: &OrchestrationContext, name: String) -> Result<u32, Picky> {
    if name.is_empty() {
        return Err(Picky::NoName);
    }
    work(name).await?;
    let number = ctx.wait_for_event::<u32>("number").await?;
    if number == 1 { Err(Picky::Not(number)) } else { Ok(number) }
}

/// Carries much from event to event, until one is 0.
#[orchestrator]
pub async fn heavy(ctx: &OrchestrationContext, size: usize) -> Result<u32, Picky> {
    let ballast = "x".repeat(size);
    let mut count = 0;
    loop {
        let number = ctx.wait_for_event::<u32>("number").await?;
        count += 1;
        if number == 0 {
            return Err(Picky::Not(count));
        }
        if ballast.is_empty() {
            return Ok(count);
        }
    }
}

/// The same as [`moment`], of another version.
#[orchestrator(name = "moment", version = "2")]
pub async fn moment_two(ctx: &OrchestrationContext) -> (Timestamp, String) {
    (ctx.now(), ctx.version())
}
