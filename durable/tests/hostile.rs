//! Programs that misbehave where the engine has to hold: what they owe others is still given, what
//! they began in vain never happens, and nobody waits for ever.

#![allow(clippy::unwrap_used)] // A test may panic.

use durable::prelude::*;
use durable::store::MemoryStore;
use durable::{Client, ClientError, TaskErrorKind, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize, Serializer};

#[activity]
async fn mark() -> u32 {
    1
}

#[activity]
async fn fails(size: usize) -> Result<(), String> {
    Err("x".repeat(size))
}

/// Waits, and talks to others once it goes on.
#[orchestrator]
async fn quiet(ctx: &OrchestrationContext) -> Result<u64, TaskError> {
    ctx.wait_for_event::<()>("Go").await?;
    ctx.entity::<Tally>("t").add(1).await
}

#[orchestrator]
async fn panics_on_event(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    ctx.wait_for_event::<()>("Go").await?;
    panic!("told to");
}

/// Tries to start a child under an id that is taken.
#[orchestrator]
async fn intruder(target: String) -> String {
    match quiet().instance_id(target).id_reuse(durable::IdReuse::Refuse).await {
        Ok(_) => "ran".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[orchestrator]
async fn spawns_and_panics(ctx: &OrchestrationContext) -> Result<u32, TaskError> {
    let task = ctx.spawn(mark());
    assert!(ctx.instance_id().is_empty(), "after the spawn");
    task.await
}

#[orchestrator]
async fn fails_deep(depth: u32, size: usize) -> Result<(), TaskError> {
    if depth == 0 {
        fails(size).await?;
    } else {
        fails_deep(depth - 1, size).await?;
    }
    Ok(())
}

/// Cannot be saved, and says so the hard way.
#[derive(Default, Deserialize)]
struct Explosive;

impl Serialize for Explosive {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("serialize boom")
    }
}

#[orchestrator]
async fn keeps_explosive() -> Result<u32, TaskError> {
    let kept = Explosive;
    let marked = mark().await?;
    std::hint::black_box(&kept);
    Ok(marked)
}

#[derive(Serialize, Deserialize)]
struct PanicsOnDrop(bool);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "drop boom");
    }
}

#[orchestrator]
async fn keeps_a_bad_drop(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let kept = PanicsOnDrop(true);
    ctx.wait_for_event::<()>("Go").await?;
    std::mem::forget(kept);
    Ok(())
}

#[orchestrator]
async fn bad_key(ctx: &OrchestrationContext, key: String) -> Result<u64, TaskError> {
    ctx.entity::<Tally>(key).add(1).await
}

#[orchestrator]
async fn counts_events(ctx: &OrchestrationContext, count: u32) -> Result<u32, TaskError> {
    ctx.wait_for_event::<()>("Go").await?;
    let mut sum = 0;
    for _ in 0..count {
        sum += ctx.wait_for_event::<u32>("E").await?;
    }
    Ok(sum)
}

#[derive(Default, Serialize, Deserialize)]
struct Tally(u64);

#[entity]
impl Tally {
    fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Fragile(Option<Explosive>);

#[entity]
impl Fragile {
    fn arm(&mut self) {
        self.0 = Some(Explosive);
    }

    fn is_armed(&self) -> bool {
        self.0.is_some()
    }
}

fn builder(store: MemoryStore) -> WorkerBuilder {
    Worker::builder(store)
        .worker_id("hostile")
        .orchestrator(quiet)
        .orchestrator(panics_on_event)
        .orchestrator(intruder)
        .orchestrator(spawns_and_panics)
        .orchestrator(fails_deep)
        .orchestrator(keeps_explosive)
        .orchestrator(keeps_a_bad_drop)
        .orchestrator(bad_key)
        .orchestrator(counts_events)
        .activity(mark)
        .activity(fails)
        .entity::<Tally>()
        .entity::<Fragile>()
}

fn task_error<T: std::fmt::Debug>(result: Result<T, ClientError>) -> TaskError {
    match result {
        Err(ClientError::Task(error)) => error,
        other => panic!("expected a failed task, found {other:?}"),
    }
}

/// Runs a scenario with instances in memory, and with none.
macro_rules! scenarios {
    ($(async fn $name:ident($client:ident: Client) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn run($client: Client) $body

                #[tokio::test]
                async fn resident() {
                    let worker = builder(MemoryStore::new()).start().await.unwrap();
                    run(worker.client()).await;
                    worker.shutdown().await;
                }

                #[tokio::test]
                async fn restored() {
                    let worker =
                        builder(MemoryStore::new()).resident_instances(0).start().await.unwrap();
                    run(worker.client()).await;
                    worker.shutdown().await;
                }
            }
        )*
    };
}

scenarios! {
    async fn refusals_use_up_message_numbers(client: Client) {
        let handle = client.start(quiet().instance_id("q")).await.unwrap();
        handle.wait_for_start().await.unwrap();
        for _ in 0..3 {
            let refused = client.start(intruder("q".to_owned())).await.unwrap().result().await;
            assert_eq!(refused.unwrap(), "Refused");
        }
        handle.raise_event("Go", ()).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 1);
    }

    async fn a_panic_keeps_no_answer_from_others(client: Client) {
        for round in 0..20 {
            let id = format!("target-{round}");
            let target = client.start(panics_on_event().instance_id(&id)).await.unwrap();
            target.wait_for_start().await.unwrap();
            let attacker = client.start(intruder(id)).await.unwrap();
            target.raise_event("Go", ()).await.unwrap();
            assert_eq!(attacker.result().await.unwrap(), "Refused");
            assert_eq!(task_error(target.result().await).kind(), TaskErrorKind::Panicked);
        }
    }

    async fn errors_do_not_grow_on_their_way(client: Client) {
        for depth in [1, 12, 40] {
            let handle = client.start(fails_deep(depth, 1000)).await.unwrap();
            let error = task_error(handle.result().await);
            assert_eq!(error.kind(), TaskErrorKind::Failed);
            let size = serde_json::to_string(&error).unwrap().len();
            assert!(size < 200_000, "{size} bytes at depth {depth}");
        }
        let huge = client.start(fails_deep(0, 17 << 20)).await.unwrap();
        assert_eq!(task_error(huge.result().await).kind(), TaskErrorKind::Failed);
    }

    async fn a_value_that_panics_when_it_is_saved_fails_the_instance(client: Client) {
        let error = task_error(client.start(keeps_explosive()).await.unwrap().result().await);
        assert!(error.failure().message.contains("serialize boom"), "{error}");
        let fragile = client.entity::<Fragile>("f");
        assert_eq!(task_error(fragile.arm().await).kind(), TaskErrorKind::Panicked);
        assert!(!fragile.is_armed().await.unwrap());
    }

    async fn a_value_that_panics_when_it_is_dropped_harms_nobody(client: Client) {
        let bad = client.start(keeps_a_bad_drop().instance_id("bad")).await.unwrap();
        bad.wait_for_start().await.unwrap();
        bad.terminate("enough").await.unwrap();
        assert_eq!(task_error(bad.result().await).kind(), TaskErrorKind::Terminated);
        for n in 0..20 {
            let other = client.start(quiet().instance_id(format!("other-{n}"))).await.unwrap();
            other.raise_event("Go", ()).await.unwrap();
            other.result().await.unwrap();
        }
    }

    async fn a_key_that_cannot_be_used_fails_the_call(client: Client) {
        for key in ["k".repeat(300), "a/b".to_owned(), "a\nb".to_owned()] {
            let error = task_error(client.start(bad_key(key)).await.unwrap().result().await);
            let inner: TaskError = error.downcast().unwrap();
            assert_eq!(inner.kind(), TaskErrorKind::Refused);
        }
    }

    async fn every_accepted_event_arrives(client: Client) {
        let count = 200;
        let handle = client.start(counts_events(count)).await.unwrap();
        for n in 0..count {
            handle.raise_event("E", n).await.unwrap();
        }
        handle.raise_event("Go", ()).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), (0..count).sum::<u32>());
    }
}

#[tokio::test]
async fn what_a_panicking_turn_began_never_happens() {
    let store = MemoryStore::new();
    for _ in 0..2 {
        let worker = Worker::builder(store.clone())
            .worker_id("rolled back")
            .orchestrator(spawns_and_panics)
            .activity(mark)
            .start()
            .await
            .unwrap();
        let client = worker.client();
        let handle = client.orchestration::<u32>("s");
        if handle.status().await.is_err() {
            client.start(spawns_and_panics().instance_id("s")).await.unwrap();
        }
        assert_eq!(task_error(handle.result().await).kind(), TaskErrorKind::Panicked);
        worker.shutdown().await;
    }
    let history = Client::new(store).orchestration::<u32>("s").history().await.unwrap();
    let begun = history
        .iter()
        .flat_map(|turn| &turn.events)
        .any(|event| matches!(event, durable::HistoryEvent::ActivityScheduled { .. }));
    assert!(!begun, "{history:?}");
}

#[tokio::test]
async fn an_entity_that_is_not_registered_is_named() {
    let worker = Worker::builder(MemoryStore::new()).start().await.unwrap();
    let error = worker.client().entity::<Tally>("x").add(1).await.unwrap_err();
    assert!(error.to_string().contains("`Tally`"), "{error}");
    worker.shutdown().await;
}
