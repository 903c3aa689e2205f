//! Calls under way: what dropping, losing and timing out does to them, and what an activity hears
//! of it.

use std::time::Duration;

use durable::prelude::*;
use durable::{HistoryEvent, Status, Worker};

use crate::world::*;

/// Drops what it began: a call, and a wait for what has come already.
#[orchestrator]
async fn drops(ctx: &OrchestrationContext) -> Result<u32, TaskError> {
    let call = ctx.spawn(work("left alone".to_owned()));
    let wait = ctx.spawn(ctx.wait_for_event::<u32>("number"));
    ctx.wait_for_event::<()>("go").await?;
    drop(call);
    drop(wait);
    ctx.wait_for_event::<u32>("number").await
}

/// Ends while a call is under way.
#[orchestrator]
async fn ends_first(ctx: &OrchestrationContext, name: String) -> u32 {
    let call = ctx.spawn(hang(name));
    ctx.sleep(Duration::from_secs(1)).await;
    drop(call);
    7
}

/// Begins calls now, and looks at their results later, in another order.
#[orchestrator]
async fn begins_first(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let a = ctx.spawn(work("a".to_owned()));
    let b = ctx.spawn(work("b".to_owned()));
    ctx.wait_for_event::<()>("go").await?;
    Ok(format!("{} {}", b.await?, a.await?))
}

#[orchestrator]
async fn in_time(name: String) -> Result<bool, TaskError> {
    match hang(name).timeout(Duration::from_hours(1)).await {
        Err(error) => Ok(error.is_timeout()),
        Ok(()) => Ok(false),
    }
}

#[orchestrator]
async fn loses(ctx: &OrchestrationContext, name: String) -> Result<(), TaskError> {
    select! {
        lost = hang(name) => lost,
        go = ctx.wait_for_event::<()>("go") => go,
    }
}

/// The first of several, and then the others, which went on.
#[orchestrator]
async fn any_then_all(ctx: &OrchestrationContext) -> Result<Vec<u32>, TaskError> {
    let waits = ["a", "b", "c"].map(|name| ctx.wait_for_event::<u32>(name));
    let (first, _, rest) = select_all(waits).await;
    let mut taken = vec![first?];
    ctx.set_custom_status(&taken);
    for task in rest {
        taken.push(task.await?);
    }
    Ok(taken)
}

/// Every outcome, and then the first failure.
#[orchestrator]
async fn all_outcomes(names: Vec<String>) -> Result<String, TaskError> {
    let outcomes = join_all(names.clone().into_iter().map(work)).await;
    let seen: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    let first = try_join_all(names.into_iter().map(work)).await;
    Ok(format!("{seen:?} {}", first.map_or_else(|error| error.to_string(), |all| all.concat())))
}

/// Whom an activity works for, as it sees it.
#[activity(name = "who-am-i")]
async fn who(ctx: &ActivityContext) -> (String, String, u32, bool) {
    let text = |text: &str| text.to_owned();
    (text(ctx.instance_id()), text(ctx.name()), ctx.attempt(), ctx.is_cancelled())
}

#[orchestrator]
async fn asks_who() -> Result<(String, String, u32, bool), TaskError> {
    who().await
}

async fn worker(world: &World) -> Worker {
    world
        .builder()
        .orchestrator(drops)
        .orchestrator(ends_first)
        .orchestrator(begins_first)
        .orchestrator(in_time)
        .orchestrator(loses)
        .orchestrator(any_then_all)
        .orchestrator(all_outcomes)
        .orchestrator(asks_who)
        .activity(who)
        .start()
        .await
        .unwrap()
}

async fn until_tried(world: &World, name: &str, times: u32) {
    world
        .drive(async {
            while world.machines.tries(name) < times {
                tokio::task::yield_now().await;
            }
        })
        .await;
}

async fn until_cancelled(world: &World, name: &str) {
    world
        .drive(async {
            while !world.machines.was_cancelled(name) {
                tokio::task::yield_now().await;
            }
        })
        .await;
}

on_every_store! {
    async fn a_dropped_call_goes_on_and_a_dropped_wait_gives_its_event_back(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(drops()).await.unwrap();
        handle.raise_event("number", 7_u32).await.unwrap();
        until_tried(&world, "left alone", 1).await;
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), 7);
        assert_eq!(world.machines.tries("left alone"), 1);
        let events = world.events(&handle).await;
        assert!(!events.iter().any(|event| matches!(event, HistoryEvent::ActivityCancelled { .. })));
    }

    async fn a_result_does_not_wait_for_what_is_under_way(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(ends_first("left".to_owned())).await.unwrap();
        until_tried(&world, "left", 1).await;
        assert_eq!(world.drive(handle.result()).await.unwrap(), 7);
        assert_eq!(handle.status().await.unwrap().status, Status::Completed);
        assert!(!world.machines.was_cancelled("left"));
    }

    async fn what_is_spawned_runs_before_it_is_awaited(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(begins_first()).await.unwrap();
        for name in ["a", "b"] {
            until_tried(&world, name, 1).await;
        }
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "b a");
    }

    async fn an_activity_hears_that_its_time_is_over(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(in_time("slow".to_owned())).await.unwrap();
        until_tried(&world, "slow", 1).await;
        world.clock.advance(Duration::from_hours(1));
        assert!(world.drive(handle.result()).await.unwrap());
        until_cancelled(&world, "slow").await;
    }

    async fn an_activity_hears_that_it_has_lost_a_race(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(loses("loser".to_owned())).await.unwrap();
        until_tried(&world, "loser", 1).await;
        handle.raise_event("go", ()).await.unwrap();
        world.drive(handle.result()).await.unwrap();
        until_cancelled(&world, "loser").await;
        let events = world.events(&handle).await;
        assert!(events.iter().any(|event| matches!(event, HistoryEvent::ActivityCancelled { .. })));
    }

    async fn an_activity_hears_that_its_worker_shuts_down(world: World) {
        let first = worker(&world).await;
        let handle = world.client().start(forever("machine".to_owned())).await.unwrap();
        until_tried(&world, "machine", 1).await;
        world.drive(first.shutdown()).await;
        assert!(world.machines.was_cancelled("machine"));
        // It came to an end in time, so nobody does it again.
        let _worker = worker(&world).await;
        world.drive(handle.result()).await.unwrap();
        assert_eq!(world.machines.tries("machine"), 1);
    }

    async fn an_activity_that_kills_every_worker_is_given_up(world: World) {
        let handle = world.client().start(forever("killer".to_owned())).await.unwrap();
        for attempt in 1..=durable::MAX_LOST_ATTEMPTS {
            let worker = worker(&world).await;
            until_tried(&world, "killer", attempt).await;
            drop(worker);
        }
        let _worker = worker(&world).await;
        let failure = world.failure(&handle).await;
        assert!(failure.contains("attempts of it were under way"), "{failure}");
        assert_eq!(world.machines.tries("killer"), durable::MAX_LOST_ATTEMPTS);
    }

    async fn the_others_go_on_after_the_first(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(any_then_all()).await.unwrap();
        handle.raise_event("b", 2_u32).await.unwrap();
        world.until_says(&handle, "[2]").await;
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
        for (name, number) in [("c", 3_u32), ("a", 1)] {
            handle.raise_event(name, number).await.unwrap();
        }
        assert_eq!(world.drive(handle.result()).await.unwrap(), [2, 1, 3]);
    }

    async fn a_join_gives_every_outcome_or_the_first_failure(world: World) {
        let worker = worker(&world).await;
        world.machines.break_down("b");
        let names = named(&["a", "b", "c"]);
        let handle = worker.client().start(all_outcomes(names)).await.unwrap();
        let text = world.drive(handle.result()).await.unwrap();
        assert_eq!(text, "[true, false, true] `work` failed: the b is broken");
    }

    async fn an_activity_knows_whom_it_works_for(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(asks_who().instance_id("boss")).await.unwrap();
        let (id, name, attempt, cancelled) = world.drive(handle.result()).await.unwrap();
        assert_eq!((id.as_str(), name.as_str(), attempt, cancelled), ("boss", "who-am-i", 1, false));
    }
}
