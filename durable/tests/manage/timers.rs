//! Timers: of any length, once each, and nothing is left of those that are not needed any more.

use std::time::Duration;

use durable::prelude::*;
use durable::{HistoryEvent, Status, Worker};

use crate::world::*;

const DAY: Duration = Duration::from_hours(24);

/// What is due by now, however it is said.
#[orchestrator]
async fn at_once(ctx: &OrchestrationContext) -> Duration {
    let began = ctx.now();
    ctx.sleep(Duration::ZERO).await;
    ctx.sleep_until(began).await;
    ctx.sleep_until(began - DAY).await;
    ctx.sleep_until(Timestamp::MIN).await;
    ctx.now().saturating_since(began)
}

#[orchestrator]
async fn sleeps(ctx: &OrchestrationContext, length: Duration) -> (Timestamp, Timestamp) {
    let began = ctx.now();
    ctx.sleep(length).await;
    (began, ctx.now())
}

/// Gives up timers in every way, and then waits for a word.
#[orchestrator]
async fn gives_up(ctx: &OrchestrationContext) -> Result<u32, TaskError> {
    let dropped = ctx.spawn(ctx.sleep(DAY));
    drop(dropped);
    let in_scope = {
        let _timer = ctx.spawn(ctx.sleep(DAY));
        ctx.wait_for_event::<u32>("first").await?
    };
    let raced = select! {
        number = ctx.wait_for_event::<u32>("second") => number?,
        _ = ctx.sleep(DAY) => 0,
    };
    let limited = work("x".to_owned()).timeout(DAY).await?.len();
    let (_, _, rest) = select_all(vec![ctx.sleep(Duration::ZERO), ctx.sleep(DAY)]).await;
    drop(rest);
    ctx.set_custom_status("gave up");
    ctx.wait_for_event::<()>("end").await?;
    Ok(in_scope + raced + u32::try_from(limited).unwrap_or(0))
}

/// The time, twice in one turn, and again in the next.
#[orchestrator]
async fn looks_at_the_clock(ctx: &OrchestrationContext) -> (bool, bool) {
    let (first, second) = (ctx.now(), ctx.now());
    ctx.sleep(DAY).await;
    (first == second, ctx.now() >= first + DAY)
}

async fn worker(world: &World) -> Worker {
    world
        .builder()
        .orchestrator(at_once)
        .orchestrator(sleeps)
        .orchestrator(gives_up)
        .orchestrator(looks_at_the_clock)
        .start()
        .await
        .unwrap()
}

on_every_store! {
    async fn what_is_due_fires_at_once(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(at_once()).await.unwrap();
        let took = world.drive(handle.result()).await.unwrap();
        assert!(took < Duration::from_hours(1), "{took:?}");
        let events = world.events(&handle).await;
        let fired = events.iter().filter(|event| matches!(event, HistoryEvent::TimerFired { .. }));
        assert_eq!(fired.count(), 4);
    }

    async fn a_timer_of_a_hundred_years_is_one_timer(world: World) {
        let length = DAY * 365 * 100;
        let first = worker(&world).await;
        let handle = world.client().start(sleeps(length)).await.unwrap();
        world.until(&handle, Status::Running).await;
        world.clock.advance(length / 2);
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
        first.shutdown().await;
        assert_eq!(world.scheduled().await.len(), 1);
        world.clock.advance(length / 2);
        let _worker = worker(&world).await;
        let (began, ended) = world.drive(handle.result()).await.unwrap();
        assert!(ended >= began + length, "{began} {ended}");
        let events = world.events(&handle).await;
        let timers = events.iter().filter(|event| matches!(event, HistoryEvent::TimerCreated { .. }));
        assert_eq!(timers.count(), 1);
    }

    async fn the_longest_length_never_fires_and_can_be_ended(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(sleeps(Duration::MAX)).await.unwrap();
        world.until(&handle, Status::Running).await;
        world.clock.advance(DAY * 365 * 1000);
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
        handle.terminate("nobody lives so long").await.unwrap();
        world.until(&handle, Status::Terminated).await;
        worker.shutdown().await;
        assert!(world.scheduled().await.is_empty());
    }

    async fn a_cancelled_timer_leaves_no_row(world: World) {
        let worker = worker(&world).await;
        let handle = world.client().start(gives_up()).await.unwrap();
        for name in ["first", "second"] {
            handle.raise_event(name, 1_u32).await.unwrap();
        }
        world.until_says(&handle, "\"gave up\"").await;
        worker.shutdown().await;
        let left = world.scheduled().await;
        assert!(left.is_empty(), "{left:?}");
        let events = world.events(&handle).await;
        let count = |wanted: fn(&HistoryEvent) -> bool| events.iter().filter(|e| wanted(e)).count();
        assert_eq!(count(|event| matches!(event, HistoryEvent::TimerCreated { .. })), 6);
        assert_eq!(count(|event| matches!(event, HistoryEvent::TimerCancelled { .. })), 5);
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
    }

    async fn a_timer_keeps_its_time_when_workers_die(world: World) {
        let handle = world.client().start(sleeps(DAY)).await.unwrap();
        for _ in 0..4 {
            let worker = worker(&world).await;
            world.until(&handle, Status::Running).await;
            drop(worker);
            world.clock.advance(DAY / 5);
        }
        let _worker = worker(&world).await;
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
        world.clock.advance(DAY / 5);
        let (began, ended) = world.drive(handle.result()).await.unwrap();
        let late = ended.saturating_since(began + DAY);
        assert!(ended >= began + DAY && late < Duration::from_hours(1), "{began} {ended}");
    }

    async fn time_stands_still_within_a_turn(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(looks_at_the_clock()).await.unwrap();
        world.until(&handle, Status::Running).await;
        world.clock.advance(DAY);
        assert_eq!(world.drive(handle.result()).await.unwrap(), (true, true));
    }
}
