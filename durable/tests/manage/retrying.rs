//! Calls that are made again when they fail: policies, rules, time limits of attempts, and what of it
//! survives crashes, suspensions and rewinds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use durable::prelude::*;
use durable::{Failure, HistoryEvent, NonRetryable, Status, TaskErrorKind, Worker};
use serde::{Deserialize, Serialize};

use crate::world::{FAR, World};

/// How often each flaky thing is still to fail, and the attempt numbers that were seen.
#[derive(Debug, Clone, Default)]
struct Luck {
    failures: Arc<Mutex<BTreeMap<String, u32>>>,
    attempts: Arc<Mutex<Vec<(String, u32)>>>,
    cancelled: Arc<Mutex<Vec<u32>>>,
}

impl Luck {
    fn fails(&self, name: &str, times: u32) {
        self.failures.lock().unwrap().insert(name.to_owned(), times);
    }

    /// Whether this attempt fails.
    fn draw(&self, name: &str, attempt: u32) -> bool {
        self.attempts.lock().unwrap().push((name.to_owned(), attempt));
        let mut failures = self.failures.lock().unwrap();
        let left = failures.entry(name.to_owned()).or_default();
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails
    }

    fn tries(&self, name: &str) -> usize {
        self.attempts.lock().unwrap().iter().filter(|(tried, _)| tried == name).count()
    }

    fn attempts(&self, name: &str) -> Vec<u32> {
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().filter(|(tried, _)| tried == name).map(|(_, attempt)| *attempt).collect()
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{name} has failed with {code}")]
pub struct Coded {
    name: String,
    code: u32,
}

impl Coded {
    fn is_temporary(&self) -> bool {
        self.code >= 500
    }
}

fn is_temporary(error: &Coded) -> bool {
    error.is_temporary()
}

/// Fails as often as is wanted; the code is in the name.
#[activity]
async fn flaky(ctx: &ActivityContext, name: String) -> Result<String, Coded> {
    let Ok(luck) = ctx.data::<Luck>() else { return Ok(name) };
    if luck.draw(&name, ctx.attempt()) {
        let code = name.parse().unwrap_or(503);
        return Err(Coded { name, code });
    }
    Ok(name)
}

#[activity]
async fn declines(ctx: &ActivityContext, deep: bool) -> anyhow::Result<()> {
    let luck = ctx.data::<Luck>()?;
    luck.draw("declines", ctx.attempt());
    let declined = NonRetryable::with_data(Coded { name: "card".to_owned(), code: 500 });
    let result: anyhow::Result<()> = Err(declined.into());
    if deep { result.map_err(|error| error.context("paying")) } else { result }
}

/// Takes for ever until the third attempt.
#[activity]
async fn slow(ctx: &ActivityContext) -> anyhow::Result<u32> {
    let luck = ctx.data::<Luck>()?;
    luck.draw("slow", ctx.attempt());
    if ctx.attempt() < 3 {
        ctx.cancelled().await;
        luck.cancelled.lock().unwrap().push(ctx.attempt());
        anyhow::bail!("cancelled");
    }
    Ok(ctx.attempt())
}

#[activity]
async fn panics(ctx: &ActivityContext) -> anyhow::Result<()> {
    let luck = ctx.data::<Luck>()?;
    assert!(!luck.draw("panics", ctx.attempt()), "not yet");
    Ok(())
}

fn second() -> Duration {
    Duration::from_secs(1)
}

#[orchestrator]
async fn patient(ctx: &OrchestrationContext, name: String) -> Result<(String, u64), TaskError> {
    let began = ctx.now();
    let policy = RetryPolicy::exponential(second()).max_attempts(5);
    let done = flaky(name).retry(policy).await?;
    Ok((done, ctx.now().saturating_since(began).as_secs()))
}

/// Makes a policy with a rule of its own, which is not for others.
#[orchestrator]
async fn passes_on(name: String) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(second()).max_attempts(5).retry_if(|_: &TaskError| false);
    takes_on(name, policy).await
}

#[orchestrator]
async fn takes_on(name: String, policy: RetryPolicy) -> Result<String, TaskError> {
    if name.is_empty() {
        return flaky(name)
            .retry(RetryPolicy::fixed(second()).retry_if(|_: &TaskError| true))
            .await;
    }
    flaky(name).retry(policy).await
}

#[orchestrator]
async fn waits_after_work(ctx: &OrchestrationContext, name: String) -> Result<bool, TaskError> {
    flaky(name).await?;
    ctx.wait_for_event("never").await
}

#[orchestrator]
async fn limits_child(name: String) -> Result<bool, TaskError> {
    let policy = RetryPolicy::fixed(second()).max_attempts(1).attempt_timeout(second() * 10);
    waits_after_work(name).retry(policy).await
}

#[orchestrator]
async fn choosy(name: String, closure: bool) -> Result<String, TaskError> {
    let base = RetryPolicy::fixed(second());
    if closure {
        flaky(name).retry(base.retry_if(|error: &Coded| error.code >= 500)).await
    } else {
        flaky(name).retry(base.retry_if(is_temporary)).await
    }
}

#[orchestrator]
async fn watchful(name: String) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(second())
        .retry_if(|error: &TaskError| error.task() == "flaky" && !error.is_timeout())
        .retry_after(|failed: &FailedAttempt| Duration::from_mins(u64::from(failed.attempt)));
    let all = try_join_all([name.clone(), name].map(|name| flaky(name).retry(policy.clone())));
    Ok(all.await?.concat())
}

#[orchestrator]
async fn several(kind: String) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(second()).max_attempts(4);
    // So long that no disk is slow beside it.
    let long = Duration::from_mins(5);
    let rare = RetryPolicy::fixed(long).max_attempts(4);
    Ok(match &*kind {
        "panics" => format!("{:?}", panics().retry(policy).await?),
        "declines" => format!("{:?}", declines(false).retry(policy).await?),
        "deep" => format!("{:?}", declines(true).retry(policy).await?),
        "slow" => slow().retry(policy.attempt_timeout(second() * 10)).await?.to_string(),
        "layered" => slow().timeout(second() * 10).retry(policy).await?.to_string(),
        "unknown" => unknown().retry(policy).await?.to_string(),
        "wrong" => flaky(kind).retry(policy.max_attempts(0)).await?,
        "all" => flaky("all".to_owned()).retry(rare).timeout(long * 2).await?,
        "total" => flaky("total".to_owned()).retry(rare.total_timeout(long * 2)).await?,
        other => other.to_owned(),
    })
}

#[activity]
async fn unknown() -> u32 {
    0
}

#[orchestrator]
async fn spawned(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(second() * 60).max_attempts(3);
    let task = ctx.spawn(flaky("spawned".to_owned()).retry(policy));
    ctx.wait_for_event::<()>("go").await?;
    task.await
}

/// A child that fails with its activity.
#[orchestrator]
async fn fragile(name: String) -> Result<String, TaskError> {
    flaky(name).await
}

#[orchestrator]
async fn guardian(name: String, id: Option<String>) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(second() * 5).max_attempts(3);
    let call = fragile(name).tag("kind", "child");
    match id {
        Some(id) => call.instance_id(id).retry(policy).await,
        None => call.retry(policy).await,
    }
}

/// A child that takes for ever.
#[orchestrator]
async fn sleeper(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    ctx.wait_for_event::<()>("never").await
}

#[orchestrator]
async fn impatient() -> Result<bool, TaskError> {
    let policy = RetryPolicy::fixed(second()).max_attempts(2).attempt_timeout(second() * 30);
    match sleeper().retry(policy).await {
        Err(error) => Ok(error.is_timeout()),
        Ok(()) => Ok(false),
    }
}

/// The winner of a race leaves nothing of a call that waits for its next attempt.
#[orchestrator]
async fn races(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(FAR).max_attempts(3);
    select! {
        done = flaky("races".to_owned()).retry(policy) => done,
        _ = ctx.sleep(second()) => Ok("late".to_owned()),
    }
}

async fn worker(world: &World) -> (Worker, Luck) {
    let luck = Luck::default();
    (start(world, &luck).await, luck)
}

async fn start(world: &World, luck: &Luck) -> Worker {
    world
        .builder()
        .data(luck.clone())
        .orchestrator(patient)
        .orchestrator(choosy)
        .orchestrator(watchful)
        .orchestrator(several)
        .orchestrator(spawned)
        .orchestrator(fragile)
        .orchestrator(guardian)
        .orchestrator(sleeper)
        .orchestrator(impatient)
        .orchestrator(races)
        .orchestrator(passes_on)
        .orchestrator(takes_on)
        .orchestrator(waits_after_work)
        .orchestrator(limits_child)
        .activity(flaky)
        .activity(declines)
        .activity(slow)
        .activity(panics)
        .start()
        .await
        .unwrap()
}

on_every_store! {
    async fn attempts_follow_the_policy_and_are_in_the_history(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("a", 3);
        let handle = worker.client().start(patient("a".to_owned())).await.unwrap();
        let (done, seconds) = world.drive(handle.result()).await.unwrap();
        assert_eq!((done.as_str(), luck.attempts("a")), ("a", vec![1, 2, 3, 4]));
        assert!(seconds >= 1 + 2 + 4, "{seconds}");
        let history = handle.history().await.unwrap();
        let events = history.iter().flat_map(|turn| &turn.events);
        let failed: Vec<(u32, bool)> = events
            .filter_map(|event| match event {
                HistoryEvent::AttemptFailed { attempt, failure, .. } => {
                    Some((*attempt, failure.message == "a has failed with 503"))
                }
                _ => None,
            })
            .collect();
        assert_eq!(failed, [(1, true), (2, true), (3, true)]);
    }

    async fn the_last_failure_is_that_of_the_call(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("a", u32::MAX);
        let handle = worker.client().start(patient("a".to_owned())).await.unwrap();
        assert!(world.failure(&handle).await.contains("a has failed with 503"));
        assert_eq!(luck.tries("a"), 5);
    }

    async fn rules_decide_on_the_typed_error(world: World) {
        let (worker, luck) = worker(&world).await;
        for (name, closure, tries) in [("404", true, 1), ("405", false, 1), ("500", true, 3), ("501", false, 3)] {
            luck.fails(name, 2);
            let handle = worker.client().start(choosy(name.to_owned(), closure)).await.unwrap();
            let result = world.drive(handle.result()).await;
            assert_eq!((result.is_ok(), luck.tries(name)), (tries > 1, tries), "{name}");
        }
    }

    async fn rules_work_in_every_place_and_may_decide_the_delay(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("w", 4);
        let handle = worker.client().start(watchful("w".to_owned())).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "ww");
        assert_eq!(luck.tries("w"), 6);
        let status = handle.status().await.unwrap();
        let took = status.finished_at.unwrap().saturating_since(status.created_at);
        assert!(took >= Duration::from_mins(1 + 2), "{took:?}");
    }

    async fn what_is_of_no_use_is_not_tried_again(world: World) {
        let (worker, luck) = worker(&world).await;
        for kind in ["declines", "deep"] {
            let handle = worker.client().start(several(kind.to_owned())).await.unwrap();
            let text = world.failure(&handle).await;
            assert!(text.contains(if kind == "deep" { "paying" } else { "card" }), "{text}");
            let status = handle.status().await.unwrap();
            let failure: &Failure = status.failure.as_ref().unwrap().failure();
            assert!(failure.non_retryable, "{failure:?}");
        }
        assert_eq!(luck.tries("declines"), 2);
        let unknown = worker.client().start(several("unknown".to_owned())).await.unwrap();
        assert!(world.failure(&unknown).await.contains("knows no activity `unknown`"));
        let wrong = worker.client().start(several("wrong".to_owned())).await.unwrap();
        assert!(world.failure(&wrong).await.contains("needs at least one attempt"));
    }

    async fn a_panic_is_a_failed_attempt(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("panics", 2);
        let handle = worker.client().start(several("panics".to_owned())).await.unwrap();
        world.drive(handle.result()).await.unwrap();
        assert_eq!(luck.attempts("panics"), [1, 2, 3]);
    }

    async fn an_attempt_that_takes_too_long_is_cancelled_and_made_again(world: World) {
        let (worker, luck) = worker(&world).await;
        for kind in ["slow", "layered"] {
            let handle = worker.client().start(several(kind.to_owned())).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), "3");
        }
        assert_eq!(luck.attempts("slow"), [1, 2, 3, 1, 2, 3]);
        assert_eq!(*luck.cancelled.lock().unwrap(), [1, 2, 1, 2]);
    }

    async fn all_attempts_together_have_a_limit(world: World) {
        let (worker, luck) = worker(&world).await;
        for kind in ["all", "total"] {
            luck.fails(kind, u32::MAX);
            let handle = worker.client().start(several(kind.to_owned())).await.unwrap();
            let text = world.failure(&handle).await;
            let expected = if kind == "all" { "timed out" } else { "total has failed with 503" };
            assert!(text.contains(expected), "{text}");
            assert_eq!(luck.tries(kind), 2, "{kind}");
        }
    }

    async fn a_suspended_instance_begins_no_attempt(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("a", 2);
        let handle = worker.client().start(patient("a".to_owned())).await.unwrap();
        world.drive(async { while luck.tries("a") == 0 { crate::world::settle().await; } }).await;
        handle.suspend("maintenance").await.unwrap();
        world.until(&handle, Status::Suspended).await;
        let tries = luck.tries("a");
        world.drive(world.pass(Duration::from_mins(5))).await;
        assert_eq!(luck.tries("a"), tries);
        handle.resume("done").await.unwrap();
        world.drive(handle.result()).await.unwrap();
        assert_eq!(luck.tries("a"), 3);
    }

    async fn a_task_is_retried_while_nobody_awaits_it(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("spawned", 2);
        let handle = worker.client().start(spawned()).await.unwrap();
        world.drive(async { while luck.tries("spawned") < 3 { world.pass(second()).await; } }).await;
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "spawned");
    }

    async fn a_worker_that_dies_between_attempts_changes_nothing(world: World) {
        let (first, luck) = worker(&world).await;
        luck.fails("a", 4);
        let handle = world.client().start(patient("a".to_owned())).await.unwrap();
        let mut worker = Some(first);
        for tries in 1..=4 {
            world.drive(async { while luck.tries("a") < tries { world.pass(second()).await; } }).await;
            // The failure may not be stored yet: then the attempt is made again by the next worker.
            drop(worker.take());
            worker = Some(start(&world, &luck).await);
        }
        let (done, _) = world.drive(handle.result()).await.unwrap();
        assert_eq!(done, "a");
        drop(worker);
    }

    async fn a_child_is_started_anew_under_its_own_id_or_a_derived_one(world: World) {
        let (worker, luck) = worker(&world).await;
        let client = worker.client();
        for (name, id) in [("derived", None), ("given", Some("the-child".to_owned()))] {
            luck.fails(name, 2);
            let handle = client.start(guardian(name.to_owned(), id.clone())).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), name);
            let query = durable::InstanceQuery {
                parent: Some(handle.id().to_owned()),
                ..durable::InstanceQuery::default()
            };
            let children = client.list(query).all().await.unwrap();
            let statuses: Vec<Status> = children.iter().map(|child| child.status).collect();
            assert!(children.iter().all(|child| child.tags["kind"] == "child"));
            if id.is_some() {
                assert_eq!((children[0].id.as_str(), &*statuses), ("the-child", &[Status::Completed][..]));
            } else {
                assert_eq!(statuses.iter().filter(|s| **s == Status::Failed).count(), 2);
                assert_eq!(statuses.len(), 3);
            }
        }
    }

    async fn a_child_that_takes_too_long_is_terminated(world: World) {
        let (worker, _) = worker(&world).await;
        let client = worker.client();
        let handle = client.start(impatient()).await.unwrap();
        assert!(world.drive(handle.result()).await.unwrap());
        let query = durable::InstanceQuery {
            name: Some("sleeper".to_owned()),
            statuses: vec![Status::Terminated],
            ..durable::InstanceQuery::default()
        };
        assert_eq!(client.count(&query).await.unwrap(), 2);
    }

    async fn a_lost_race_ends_the_attempts(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("races", u32::MAX);
        let handle = worker.client().start(races()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "late");
        worker.shutdown().await;
        let timers = world.scheduled().await;
        assert!(timers.is_empty(), "{timers:?}");
    }

    async fn a_termination_between_attempts_leaves_no_timer(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("spawned", u32::MAX);
        let handle = worker.client().start(spawned()).await.unwrap();
        world.drive(async { while luck.tries("spawned") < 1 { world.pass(second()).await; } }).await;
        handle.terminate("enough").await.unwrap();
        world.until(&handle, Status::Terminated).await;
        worker.shutdown().await;
        assert!(world.scheduled().await.is_empty());
    }

    async fn a_rewind_begins_the_policy_anew(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("a", 7);
        let handle = worker.client().start(patient("a".to_owned())).await.unwrap();
        world.failure(&handle).await;
        assert_eq!(luck.tries("a"), 5);
        handle.rewind("once more").await.unwrap();
        let (done, _) = world.drive(handle.result()).await.unwrap();
        assert_eq!((done.as_str(), luck.tries("a")), ("a", 8));
        assert_eq!(luck.attempts("a"), (1..=8).collect::<Vec<_>>());
    }

    async fn a_child_that_is_rewound_has_its_time_limit_again(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("a", 1);
        let handle = worker.client().start(limits_child("a".to_owned())).await.unwrap();
        assert!(world.failure(&handle).await.contains("a has failed with 503"));
        handle.rewind("it works again").await.unwrap();
        let text = world.failure(&handle).await;
        assert!(text.contains("time"), "{text}");
        assert_eq!(luck.tries("a"), 2);
    }

    async fn causes_come_through_children_whole(world: World) {
        let (worker, luck) = worker(&world).await;
        luck.fails("404", u32::MAX);
        let handle = worker.client().start(guardian("404".to_owned(), None)).await.unwrap();
        let Err(durable::ClientError::Task(error)) = world.drive(handle.result()).await else {
            panic!("it did not fail");
        };
        assert_eq!(error.kind(), TaskErrorKind::Failed);
        // guardian <- fragile <- flaky
        let child = error.cause().unwrap();
        let activity = child.cause().unwrap();
        assert_eq!((activity.task(), error.root_cause()), ("flaky", activity));
        let coded: Coded = error.find().unwrap();
        assert_eq!(coded.code, 404);
        assert_eq!(error.downcast::<TaskError>().as_ref(), Some(child));
    }
}

#[tokio::test]
async fn a_policy_is_refused_where_nobody_awaits() {
    let world = World::memory();
    let (worker, _) = worker(&world).await;
    let call = fragile("x".to_owned()).retry(RetryPolicy::fixed(second()));
    let refused = worker.client().start(call).await.unwrap_err().to_string();
    assert!(
        refused.contains("a retry policy is for calls that an orchestrator awaits"),
        "{refused}"
    );
}

/// The call fails at its first failure; an instance that is restored is blocked instead.
#[tokio::test]
async fn a_policy_that_is_passed_on_finds_no_rule_of_another() {
    let world = World::memory();
    let (worker, luck) = worker(&world).await;
    luck.fails("a", 9);
    let handle = worker.client().start(passes_on("a".to_owned())).await.unwrap();
    let text = world.failure(&handle).await;
    assert!(text.contains("no retry rule `passes_on.retry_if`"), "{text}");
    assert_eq!(luck.tries("a"), 1);
}
