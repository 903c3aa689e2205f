//! Programs as users write them, run by a real worker on every embedded store: the plain case, the
//! failure, and what the caller sees of it.

#![allow(clippy::unwrap_used, clippy::duration_suboptimal_units)] // A test may panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durable::prelude::*;
use durable::store::{MemoryStore, SqliteStore, Status, Store};
use durable::{
    Client, ClientError, Clock as _, TaskErrorKind, VirtualClock, Worker, WorkerBuilder,
};
use serde::{Deserialize, Serialize};

// --- programs -----------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    total: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
enum PaymentError {
    #[error("the card was declined for {amount}")]
    Declined { amount: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("no connection")]
struct Broken {
    #[source]
    source: std::io::Error,
}

#[activity]
async fn charge(order: Order) -> Result<String, PaymentError> {
    if order.total > 1000 {
        return Err(PaymentError::Declined { amount: order.total });
    }
    Ok(format!("receipt-{}", order.id))
}

#[activity]
async fn breaks(deep: bool) -> Result<(), Broken> {
    let _ = deep;
    Err(Broken { source: std::io::Error::other("the cable is cut") })
}

#[activity(name = "Boom")]
async fn boom(n: u32) -> u32 {
    assert!(n > 100, "boom {n}");
    n
}

#[activity]
async fn double(n: u64) -> u64 {
    n * 2
}

#[activity]
async fn greet(ctx: &ActivityContext, name: String) -> anyhow::Result<String> {
    let greeting = ctx.data::<Greeting>()?;
    Ok(format!("{} {name} from {} try {}", greeting.0, ctx.instance_id(), ctx.attempt()))
}

struct Greeting(&'static str);

struct Payments {
    prefix: String,
    refunds: Arc<AtomicU32>,
}

#[activity]
impl Payments {
    async fn refund(&self, receipt: String) -> Result<String, PaymentError> {
        self.refunds.fetch_add(1, Ordering::SeqCst);
        Ok(self.describe(&receipt))
    }

    #[activity(name = "audit-payment")]
    async fn audit(&self, ctx: &ActivityContext, id: u64) -> anyhow::Result<String> {
        Ok(format!("{}{id} {}", self.prefix, ctx.name()))
    }

    fn describe(&self, receipt: &str) -> String {
        format!("{}{receipt}", self.prefix)
    }
}

#[derive(Debug, thiserror::Error)]
enum CheckoutError {
    #[error("the checkout failed")]
    Task(#[from] TaskError),
    #[error("nothing to pay")]
    Nothing,
}

#[orchestrator]
async fn checkout(order: Order) -> Result<String, CheckoutError> {
    if order.total == 0 {
        return Err(CheckoutError::Nothing);
    }
    let receipt = charge(order.clone()).await?;
    let refunded = Payments::refund(receipt).await?;
    let audited = Payments::audit(order.id).await?;
    Ok(format!("{refunded} {audited}"))
}

#[orchestrator]
async fn recovers(order: Order) -> String {
    match charge(order).await {
        Ok(receipt) => receipt,
        Err(error) => match error.downcast::<PaymentError>() {
            Some(PaymentError::Declined { amount }) => format!("declined {amount}"),
            None => "unknown".to_owned(),
        },
    }
}

#[orchestrator]
async fn sources() -> Result<(), TaskError> {
    breaks(true).await
}

#[orchestrator]
async fn panics(in_activity: bool) -> Result<u32, TaskError> {
    if in_activity {
        return boom(7).await;
    }
    panic!("the orchestrator itself");
}

#[orchestrator]
async fn fan_out(count: u64) -> Result<u64, TaskError> {
    let doubled: Vec<u64> = try_join_all((0..count).map(double)).await?;
    let (a, b) = try_join!(double(1), double(2))?;
    let (c, d) = join!(double(3), boom(1));
    let failed = d.is_err();
    Ok(doubled.iter().sum::<u64>() + a + b + c? + u64::from(failed))
}

#[orchestrator]
async fn spawns(ctx: &OrchestrationContext) -> Result<u64, TaskError> {
    let first = ctx.spawn(double(10));
    let second = ctx.spawn(double(20));
    let middle = double(1).await?;
    Ok(second.await? + first.await? + middle)
}

#[orchestrator]
async fn parent(ctx: &OrchestrationContext, n: u64) -> Result<String, TaskError> {
    let sum = fan_out(n).await?;
    let error = checkout(Order { id: 1, total: 5000 }).await.unwrap_err();
    let id = ctx.instance_id();
    let is_child = child_name().await?.starts_with(&id);
    Ok(format!("{sum} {:?} {is_child}", error.kind()))
}

#[orchestrator]
async fn child_name(ctx: &OrchestrationContext) -> String {
    assert!(ctx.parent().is_some());
    ctx.instance_id()
}

const APPROVAL: Event<bool> = Event::new("Approval");

#[orchestrator]
async fn approval(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    ctx.set_custom_status("waiting");
    let approved = ctx.wait_for_event(APPROVAL).await?;
    let count = ctx.wait_for_event::<u32>("Count").await;
    Ok(format!(
        "{approved} {}",
        count.map_or_else(|e| format!("{:?}", e.kind()), |n| n.to_string())
    ))
}

#[orchestrator]
async fn sleeper(ctx: &OrchestrationContext, days: u64) -> Timestamp {
    for _ in 0..days {
        ctx.sleep(Duration::from_secs(24 * 3600)).await;
    }
    ctx.sleep(Duration::ZERO).await;
    ctx.now()
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counter {
    value: i64,
    history: Vec<i64>,
}

#[entity]
impl Counter {
    fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.history.push(amount);
        self.value
    }

    fn take(&mut self, amount: i64) -> Result<i64, PaymentError> {
        self.value -= amount;
        self.history.clear();
        if self.value < 0 {
            return Err(PaymentError::Declined { amount: amount.unsigned_abs() });
        }
        Ok(self.value)
    }

    fn explode(&mut self) {
        self.value = 999;
        panic!("entity {}", self.value);
    }

    fn forward(&mut self, ctx: &EntityContext, to: String) -> String {
        ctx.entity::<Counter>(to).add(self.value).signal();
        ctx.key().to_owned()
    }

    fn get(&self) -> i64 {
        self.value
    }
}

#[orchestrator]
async fn uses_entity(ctx: &OrchestrationContext, key: String) -> Result<String, TaskError> {
    let counter = ctx.entity::<Counter>(&key);
    let absent = counter.state().await?.is_none();
    counter.add(5).signal();
    let total = counter.add(2).await?;
    let refused = counter.take(100).await.unwrap_err();
    let exploded = counter.explode().await.unwrap_err();
    let key = counter.forward("other".to_owned()).await?;
    let state = counter.state().await?;
    Ok(format!(
        "{absent} {total} {:?} {:?} {key} {state:?}",
        refused.downcast::<PaymentError>(),
        exploded.kind(),
    ))
}

/// Runs until it is told that nobody wants its result.
#[activity]
async fn until_cancelled(ctx: &ActivityContext, name: String) -> anyhow::Result<()> {
    let heard = ctx.data::<Heard>()?;
    heard.begun.notify_one();
    ctx.cancelled().await;
    heard.names.lock().unwrap().push(name);
    heard.ended.notify_one();
    Ok(())
}

#[derive(Default, Clone)]
struct Heard {
    begun: Arc<tokio::sync::Notify>,
    ended: Arc<tokio::sync::Notify>,
    names: Arc<std::sync::Mutex<Vec<String>>>,
}

#[orchestrator]
async fn races(ctx: &OrchestrationContext, name: String) -> Result<String, TaskError> {
    let (won, doubled) = join!(
        async {
            select! {
                answer = ctx.wait_for_event::<u64>("Answer") => answer,
                lost = until_cancelled(name.clone()) => lost.map(|()| 0),
            }
        },
        async {
            let mut n = 1;
            while n < 5 {
                n = double(n).await?;
            }
            Ok::<u64, TaskError>(n)
        },
    );
    Ok(format!("{name} {} {}", won?, doubled?))
}

// --- running them ---------------------------------------------------------------------------------

fn builder(store: Arc<dyn Store>) -> WorkerBuilder {
    Worker::builder(store)
        .orchestrator(checkout)
        .orchestrator(recovers)
        .orchestrator(sources)
        .orchestrator(panics)
        .orchestrator(fan_out)
        .orchestrator(spawns)
        .orchestrator(parent)
        .orchestrator(child_name)
        .orchestrator(approval)
        .orchestrator(sleeper)
        .orchestrator(uses_entity)
        .orchestrator(races)
        .activity(until_cancelled)
        .activity(charge)
        .activity(breaks)
        .activity(boom)
        .activity(double)
        .activity(greet)
        .activities(Payments { prefix: "pay-".to_owned(), refunds: Arc::default() })
        .entity::<Counter>()
        .data(Greeting("hello"))
        .data(Heard::default())
}

#[tokio::test]
async fn an_activity_that_lost_a_race_gets_its_signal() {
    let heard = Heard::default();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = builder(store).data(heard.clone()).start().await.unwrap();
    let handle = worker.client().start(races("loser".to_owned())).await.unwrap();
    heard.begun.notified().await;
    handle.raise_event("Answer", 1_u64).await.unwrap();
    handle.result().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), heard.ended.notified()).await;
    assert!(ended.is_ok(), "it does not hear that it has lost");
    assert_eq!(*heard.names.lock().unwrap(), ["loser"]);
    worker.shutdown().await;
}

/// One test of a program for each embedded store.
macro_rules! on_every_store {
    ($($(#[$meta:meta])* async fn $name:ident($client:ident: Client) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn run($client: Client) $body

                #[tokio::test]
                async fn memory() {
                    let worker = builder(Arc::new(MemoryStore::new())).start().await.unwrap();
                    run(worker.client()).await;
                    worker.shutdown().await;
                }

                #[tokio::test]
                async fn sqlite() {
                    let folder = tempfile::tempdir().unwrap();
                    let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
                    let worker = builder(Arc::new(store)).start().await.unwrap();
                    run(worker.client()).await;
                    worker.shutdown().await;
                }
            }
        )*
    };
}

fn task_error<T: std::fmt::Debug>(result: Result<T, ClientError>) -> TaskError {
    match result {
        Err(ClientError::Task(error)) => error,
        other => panic!("expected a failed task, found {other:?}"),
    }
}

on_every_store! {
    async fn a_chain_runs_through_functions_and_methods(client: Client) {
        let order = Order { id: 42, total: 10 };
        let handle = client.start(checkout(order).instance_id("order-42")).await.unwrap();
        assert_eq!(handle.id(), "order-42");
        assert_eq!(handle.result().await.unwrap(), "pay-receipt-42 pay-42 audit-payment");
        assert_eq!(handle.status().await.unwrap().status, Status::Completed);
    }

    async fn an_error_keeps_its_type_message_and_data(client: Client) {
        let order = Order { id: 1, total: 2000 };
        let error = task_error(client.start(checkout(order.clone())).await.unwrap().result().await);
        assert_eq!(error.kind(), TaskErrorKind::Failed);
        assert!(error.failure().error_type.ends_with("CheckoutError"), "{error:?}");
        assert_eq!(error.failure().message, "the checkout failed");
        assert_eq!(error.failure().sources, ["`charge` failed: the card was declined for 2000"]);
        let text = client.start(recovers(order)).await.unwrap().result().await.unwrap();
        assert_eq!(text, "declined 2000");
        let none = Order { id: 1, total: 0 };
        let error = task_error(client.start(checkout(none)).await.unwrap().result().await);
        assert_eq!(error.failure().message, "nothing to pay");
    }

    async fn a_source_chain_arrives_whole(client: Client) {
        let error = task_error(client.start(sources()).await.unwrap().result().await);
        let inner: TaskError = error.downcast().unwrap();
        assert!(inner.failure().error_type.ends_with("Broken"));
        assert_eq!(inner.failure().sources, ["the cable is cut"]);
        let source = std::error::Error::source(&inner).unwrap();
        assert_eq!(source.to_string(), "the cable is cut");
    }

    async fn a_panic_is_a_failure_and_the_worker_lives_on(client: Client) {
        let error = task_error(client.start(panics(true)).await.unwrap().result().await);
        let inner: TaskError = error.downcast().unwrap();
        assert_eq!(inner.kind(), TaskErrorKind::Panicked);
        assert_eq!((inner.task(), inner.failure().message.as_str()), ("Boom", "boom 7"));
        let error = task_error(client.start(panics(false)).await.unwrap().result().await);
        assert_eq!(error.kind(), TaskErrorKind::Panicked);
        assert_eq!(error.failure().message, "the orchestrator itself");
        let order = Order { id: 1, total: 1 };
        client.start(checkout(order)).await.unwrap().result().await.unwrap();
    }

    async fn fan_out_gives_every_result_in_order(client: Client) {
        let count = 300;
        let sum = client.start(fan_out(count)).await.unwrap().result().await.unwrap();
        assert_eq!(sum, count * (count - 1) + 2 + 4 + 6 + 1);
        assert_eq!(client.start(fan_out(0)).await.unwrap().result().await.unwrap(), 13);
        assert_eq!(client.start(spawns()).await.unwrap().result().await.unwrap(), 62);
    }

    async fn children_give_results_and_failures(client: Client) {
        let handle = client.start(parent(3).instance_id("p")).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "19 Failed true");
        let query =
            durable::InstanceQuery { parent: Some("p".to_owned()), ..Default::default() };
        assert!(client.count(&query).await.unwrap() > 0);
    }

    async fn events_are_buffered_in_order_and_typed(client: Client) {
        let handle = client.start(approval().instance_id("a")).await.unwrap();
        // Both come before the second is waited for.
        handle.raise_event("Count", "not a number").await.unwrap();
        handle.raise_event(APPROVAL, true).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "true Payload");
        let ended = handle.raise_event(APPROVAL, true).await.unwrap_err();
        assert!(ended.to_string().contains('a'), "{ended}");
        let unknown = client.orchestration::<()>("nobody").raise_event(APPROVAL, true).await;
        assert!(matches!(unknown, Err(ClientError::NotFound { .. })), "{unknown:?}");
    }

    async fn the_saved_state_is_legible(client: Client) {
        let handle = client.start(approval()).await.unwrap();
        handle.wait_for_start().await.unwrap();
        let status = handle.status().await.unwrap();
        assert_eq!(status.state, "AwaitEventApproval");
        let saved: serde_json::Value = serde_json::from_str(&status.saved.unwrap()).unwrap();
        assert_eq!(saved["state"], "AwaitEventApproval");
        assert_eq!(saved["locals"], serde_json::json!({}));
        assert_eq!(status.custom_status.unwrap().decode::<String>().unwrap(), "waiting");
        handle.raise_event(APPROVAL, false).await.unwrap();
        handle.raise_event("Count", 3).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "false 3");
    }

    async fn entities_are_transactions(client: Client) {
        let handle = client.start(uses_entity("mine".to_owned())).await.unwrap();
        assert_eq!(
            handle.result().await.unwrap(),
            "true 7 Some(Declined { amount: 100 }) Panicked mine \
             Some(Counter { value: 7, history: [5, 2] })"
        );
        let mine = client.entity::<Counter>("mine");
        assert_eq!(mine.get().await.unwrap(), 7);
        let error = task_error(mine.take(50).await);
        assert_eq!(error.downcast(), Some(PaymentError::Declined { amount: 50 }));
        assert_eq!(task_error(mine.explode().await).kind(), TaskErrorKind::Panicked);
        mine.add(1).signal().await.unwrap();
        assert_eq!(mine.get().await.unwrap(), 8);
        assert_eq!(mine.state().await.unwrap().unwrap().value, 8);
        assert!(client.entity::<Counter>("absent").state().await.unwrap().is_none());
    }

    async fn wrong_uses_say_what_is_wrong(client: Client) {
        let order = || Order { id: 1, total: 1 };
        client.start(approval().instance_id("taken")).await.unwrap();
        let again = client.start(approval().instance_id("taken")).await;
        assert!(matches!(again, Err(ClientError::AlreadyExists { .. })), "{again:?}");
        for id in ["", "@entity", "a/b", "a\nb", &"x".repeat(300)] {
            let refused = client.start(checkout(order()).instance_id(id)).await;
            assert!(refused.is_err(), "{id:?}");
        }
        let unknown = client.orchestration::<String>("nobody").result().await;
        assert!(matches!(unknown, Err(ClientError::NotFound { .. })), "{unknown:?}");
        let unregistered = client.start(not_registered()).await.unwrap_err();
        assert!(unregistered.to_string().contains("not_registered"), "{unregistered}");
        let wrong = client.start_by_name("checkout", serde_json::json!([{"id": "x"}])).await;
        let error = task_error(wrong.unwrap().result().await);
        assert_eq!(error.kind(), TaskErrorKind::Payload);
        assert!(error.to_string().contains("id"), "{error}");
    }

    async fn branches_race_and_the_loser_hears_of_it(client: Client) {
        let handle = client.start(races("r".to_owned())).await.unwrap();
        handle.wait_for_start().await.unwrap();
        handle.raise_event("Answer", 5_u64).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "r 5 8");
        let history = handle.history().await.unwrap();
        let cancelled = history.iter().flat_map(|turn| &turn.events).any(|event| {
            matches!(event, durable::HistoryEvent::ActivityCancelled { .. })
        });
        assert!(cancelled, "{history:?}");
    }

    async fn a_terminated_orchestration_ends_with_the_reason(client: Client) {
        let handle = client.start(approval()).await.unwrap();
        handle.terminate("no longer needed").await.unwrap();
        let error = task_error(handle.result().await);
        assert_eq!(error.kind(), TaskErrorKind::Terminated);
        assert_eq!(error.failure().message, "no longer needed");
    }
}

#[orchestrator]
async fn not_registered() -> u32 {
    1
}

#[tokio::test]
async fn timers_of_days_fire_in_virtual_time() {
    let clock = VirtualClock::new();
    let worker = builder(Arc::new(MemoryStore::new())).clock(clock.clone()).start().await.unwrap();
    let begin = clock.now();
    let handle = worker.client().start(sleeper(3)).await.unwrap();
    let result = handle.result();
    tokio::pin!(result);
    let end = loop {
        tokio::select! {
            biased;
            end = &mut result => break end.unwrap(),
            () = tokio::task::yield_now() => clock.advance(Duration::from_secs(600)),
        }
    };
    assert!(end >= begin + Duration::from_secs(3 * 24 * 3600), "{begin} {end}");
    worker.shutdown().await;
}

#[tokio::test]
async fn bodies_stay_callable_without_a_worker() {
    let order = Order { id: 3, total: 5 };
    assert_eq!(charge::body(order).await.unwrap(), "receipt-3");
    let refunds = Arc::new(AtomicU32::new(0));
    let payments = Payments { prefix: "p".to_owned(), refunds: Arc::clone(&refunds) };
    assert_eq!(payments.refund("r".to_owned()).await.unwrap(), "pr");
    assert_eq!(refunds.load(Ordering::SeqCst), 1);
    let mut counter = Counter::default();
    assert_eq!(counter.add(5), 5);
}

#[tokio::test]
async fn data_that_the_worker_was_not_given_is_named() {
    #[orchestrator]
    async fn greets(name: String) -> Result<String, TaskError> {
        greet(name).await
    }
    let worker = Worker::builder(MemoryStore::new())
        .orchestrator(greets)
        .activity(greet)
        .start()
        .await
        .unwrap();
    let result = worker.client().start(greets("Ada".to_owned())).await.unwrap().result().await;
    let error: TaskError = task_error(result).downcast().unwrap();
    assert!(error.failure().message.contains("Greeting"), "{error}");
    assert!(error.failure().message.contains(".data(..)"), "{error}");
    worker.shutdown().await;
}

#[tokio::test]
async fn an_unknown_activity_fails_the_call_and_says_the_remedy() {
    #[orchestrator]
    async fn calls_unknown() -> Result<u64, TaskError> {
        double(1).await
    }
    let worker =
        Worker::builder(MemoryStore::new()).orchestrator(calls_unknown).start().await.unwrap();
    let result = worker.client().start(calls_unknown()).await.unwrap().result().await;
    let error: TaskError = task_error(result).downcast().unwrap();
    assert_eq!(error.kind(), TaskErrorKind::NotRegistered);
    assert!(error.to_string().contains(".activity("), "{error}");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_name_registered_twice_is_refused() {
    let twice = Worker::builder(MemoryStore::new()).activity(double).activity(double).start().await;
    assert!(twice.unwrap_err().to_string().contains("double"));
}

mod determinism {
    use std::collections::HashSet;

    use super::*;

    static CALLS: AtomicU32 = AtomicU32::new(0);

    /// A helper that the compiler cannot see into.
    fn draw() -> u64 {
        u64::from(CALLS.fetch_add(1, Ordering::SeqCst))
    }

    #[orchestrator]
    async fn calls_what_it_drew() -> Result<u64, TaskError> {
        double(draw()).await
    }

    #[orchestrator]
    async fn keeps_what_it_drew() -> Result<u64, TaskError> {
        let drawn = draw();
        double(1).await?;
        Ok(drawn)
    }

    #[orchestrator]
    async fn keeps_a_set(size: u64) -> Result<usize, TaskError> {
        let set: HashSet<u64> = (0..size).collect();
        double(1).await?;
        double(2).await?;
        Ok(set.len())
    }

    async fn failure_of<F: durable::Orchestration>(call: durable::Call<F>) -> Option<String>
    where
        F::Output: std::fmt::Debug,
    {
        let worker = Worker::builder(MemoryStore::new())
            .check_determinism(true)
            .orchestrator(calls_what_it_drew)
            .orchestrator(keeps_what_it_drew)
            .orchestrator(keeps_a_set)
            .activity(double)
            .start()
            .await
            .unwrap();
        let result = worker.client().start(call).await.unwrap().result().await;
        worker.shutdown().await;
        result.is_err().then(|| task_error(result).failure().message.clone())
    }

    #[tokio::test]
    async fn a_call_with_another_argument_is_named() {
        let message = failure_of(calls_what_it_drew()).await.unwrap();
        assert!(message.contains("action 1 was the call of `double` with ["), "{message}");
    }

    #[tokio::test]
    async fn a_variable_with_another_value_is_named() {
        let message = failure_of(keeps_what_it_drew()).await.unwrap();
        assert!(message.contains("variable `drawn` was "), "{message}");
    }

    #[tokio::test]
    async fn the_order_in_a_set_is_no_difference() {
        assert_eq!(failure_of(keeps_a_set(50)).await, None);
    }
}
