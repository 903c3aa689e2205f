//! Orchestrations that continue as new: the next run has the id, the events and the ones who wait,
//! and nothing else of the run before.

use std::time::Duration;

use durable::prelude::*;
use durable::{HistoryEvent, HistoryRetention, Status, Worker};

use crate::world::{World, named, settle, work};

/// Adds up so many numbers from events, one a run.
#[orchestrator]
async fn sums(ctx: &OrchestrationContext, left: u32, sum: u32) -> Result<u32, TaskError> {
    let number = ctx.wait_for_event::<u32>("number").await?;
    let sum = sum + number;
    if left > 1 {
        ctx.continue_as_new(sums(left - 1, sum)).await
    }
    Ok(sum)
}

/// Leaves much behind: a timer, an event wait, a call, a child.
#[orchestrator]
async fn leaves(ctx: &OrchestrationContext, round: u32) -> Result<u32, TaskError> {
    if round == 3 {
        return Ok(round);
    }
    let timer = ctx.spawn(ctx.sleep(Duration::from_hours(1)));
    let event = ctx.spawn(ctx.wait_for_event::<u32>("never"));
    let call = ctx.spawn(work(format!("call {round}")));
    let child = ctx.spawn(sums(1, 0));
    ctx.sleep(Duration::from_secs(1)).await;
    let next = ctx.continue_as_new(leaves(round + 1)).await;
    drop((timer, event, call, child));
    next
}

/// Types as whatever the position needs.
#[orchestrator]
async fn fits(ctx: &OrchestrationContext, n: u32) -> Result<String, TaskError> {
    let doubled: u32 = if n < 4 { ctx.continue_as_new(fits(n * 2)).await } else { n };
    let text = match doubled {
        0..8 => ctx.continue_as_new(fits(doubled * 2)).await,
        n => work(n.to_string()).await?,
    };
    Ok(text)
}

#[orchestrator]
async fn races(ctx: &OrchestrationContext, round: u32) -> Result<u32, TaskError> {
    select! {
        number = ctx.wait_for_event::<u32>("number") => number,
        _ = ctx.sleep(Duration::from_secs(10)) => ctx.continue_as_new(races(round + 1)).await,
    }
}

/// The compiler does not see what this makes.
fn unseen<F: durable::Orchestration>(
    ctx: &OrchestrationContext,
    call: durable::Call<F>,
) -> durable::ContinueAsNew {
    ctx.continue_as_new(call)
}

/// Ends its first run in a branch, while another branch could go on, or end the program.
#[orchestrator]
async fn renews_beside(
    ctx: &OrchestrationContext,
    how: u32,
    again: bool,
) -> Result<u32, TaskError> {
    if again {
        return ctx.wait_for_event::<u32>("number").await;
    }
    ctx.wait_for_event::<()>("go").await?;
    match how {
        0 => select! {
            next = async { ctx.continue_as_new(renews_beside(how, true)).await } => next,
            number = ctx.wait_for_event::<u32>("number") => Ok(number? + 100),
        },
        1 => select! {
            number = ctx.wait_for_event::<u32>("number") => Ok(number? + 200),
            next = async { ctx.continue_as_new(renews_beside(how, true)).await } => next,
        },
        2 => select! {
            next = unseen(ctx, renews_beside(how, true)) => next,
            number = ctx.wait_for_event::<u32>("number") => Ok(number? + 400),
        },
        _ => {
            // A number is no bool.
            let wrong = try_join!(
                async { unseen(ctx, renews_beside(how, true)).await },
                ctx.wait_for_event::<bool>("number")
            );
            wrong.map(|((), _)| 300)
        }
    }
}

/// Never does anything else.
#[orchestrator]
async fn spins(ctx: &OrchestrationContext, round: u64) -> u64 {
    ctx.continue_as_new(spins(round + 1)).await
}

#[orchestrator]
async fn forgets(ctx: &OrchestrationContext, keep: bool, again: bool) -> Result<u32, TaskError> {
    if again {
        let next = ctx.wait_for_event::<u32>("number").timeout(Duration::from_mins(1)).await?;
        return Ok(next.unwrap_or(0));
    }
    ctx.wait_for_event::<()>("go").await?;
    let next = ctx.continue_as_new(forgets(keep, true));
    if keep { next.await } else { next.discard_events().await }
}

#[orchestrator]
async fn parent(count: u32) -> Result<u32, TaskError> {
    sums(count, 0).instance_id("adder").await
}

#[orchestrator]
async fn wrong(ctx: &OrchestrationContext, how: u32) -> Result<u32, TaskError> {
    match how {
        0 => ctx.continue_as_new(sums(1, 0)).await,
        1 => ctx.continue_as_new(wrong(1).instance_id("other")).await,
        _ => ctx.continue_as_new(wrong(1).retry(RetryPolicy::fixed(Duration::ZERO))).await,
    }
}

#[orchestrator]
async fn fails_later(
    ctx: &OrchestrationContext,
    name: String,
    round: u32,
) -> Result<String, TaskError> {
    if round == 0 {
        work("first".to_owned()).await?;
        ctx.continue_as_new(fails_later(name.clone(), 1)).await
    }
    work(name).await
}

/// The first version hands over to the second.
#[orchestrator(name = "handover", version = "1")]
async fn handover_one(ctx: &OrchestrationContext, n: u32) -> Result<String, TaskError> {
    ctx.wait_for_event::<()>("go").await?;
    ctx.continue_as_new(handover_two(n + 1)).await
}

#[orchestrator(name = "handover", version = "2")]
async fn handover_two(ctx: &OrchestrationContext, n: u32) -> Result<String, TaskError> {
    ctx.wait_for_event::<()>("go").await?;
    Ok(format!("{n} on {}", ctx.version()))
}

async fn worker(world: &World) -> Worker {
    builder(world).orchestrator(handover_two).start().await.unwrap()
}

fn builder(world: &World) -> durable::WorkerBuilder {
    world
        .builder()
        .orchestrator(sums)
        .orchestrator(leaves)
        .orchestrator(fits)
        .orchestrator(races)
        .orchestrator(renews_beside)
        .orchestrator(spins)
        .orchestrator(forgets)
        .orchestrator(parent)
        .orchestrator(wrong)
        .orchestrator(fails_later)
        .orchestrator(handover_one)
}

on_every_store! {
    async fn runs_follow_each_other_and_events_are_kept(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(sums(20, 0)).await.unwrap();
        for number in 1..=20_u32 {
            handle.raise_event("number", number).await.unwrap();
        }
        assert_eq!(world.drive(handle.result()).await.unwrap(), 210);
        let status = handle.status().await.unwrap();
        assert_eq!(status.input.as_str(), "[1,190]");
        // The history is that of the last run.
        let history = handle.history().await.unwrap();
        let events: Vec<_> = history.iter().flat_map(|turn| &turn.events).collect();
        assert!(matches!(events[0], HistoryEvent::ContinuedAsNew), "{events:?}");
        assert!(matches!(events[1], HistoryEvent::Started { .. }), "{events:?}");
    }

    async fn nothing_else_is_left_of_a_run(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(leaves(0)).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), 3);
        let saved = handle.status().await.unwrap().saved.unwrap();
        assert!(!saved.contains("\"timer\"") && !saved.contains("\"never\""), "{saved}");
        worker.shutdown().await;
        assert!(world.scheduled().await.is_empty());
    }

    async fn it_fits_every_position(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(fits(1)).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "8");
        let race = worker.client().start(races(0)).await.unwrap();
        // How many runs fit into a time depends on the disk.
        world.drive(async {
            while race.status().await.unwrap().input.as_str() != "[2]" {
                world.pass(Duration::from_millis(10)).await;
            }
        }).await;
        race.raise_event("number", 7_u32).await.unwrap();
        assert_eq!(world.drive(race.result()).await.unwrap(), 7);
    }

    async fn a_branch_that_renews_leaves_nothing_to_the_others(world: World) {
        let worker = worker(&world).await;
        for (how, expected) in [(0, 7), (1, 207), (2, 7), (3, 7)] {
            let handle = worker.client().start(renews_beside(how, false)).await.unwrap();
            handle.raise_event("number", 7_u32).await.unwrap();
            handle.raise_event("go", ()).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), expected);
        }
    }

    async fn events_can_be_dropped(world: World) {
        let worker = worker(&world).await;
        for (keep, expected) in [(true, 5), (false, 0)] {
            let handle = worker.client().start(forgets(keep, false)).await.unwrap();
            handle.raise_event("number", 5_u32).await.unwrap();
            handle.raise_event("go", ()).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), expected);
        }
    }

    async fn a_parent_waits_for_the_last_run(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let handle = client.start(parent(3)).await.unwrap();
        let child = client.orchestration::<u32>("adder");
        world.drive(async {
            while child.status().await.is_err() {
                world.pass(Duration::from_millis(10)).await;
            }
        }).await;
        for number in [1_u32, 2, 3] {
            child.raise_event("number", number).await.unwrap();
        }
        assert_eq!(world.drive(handle.result()).await.unwrap(), 6);
        assert_eq!(child.status().await.unwrap().parent.as_deref(), Some(handle.id()));
    }

    async fn one_that_does_nothing_else_lets_others_run_and_can_be_ended(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let spinning = client.start(spins(0)).await.unwrap();
        let other = client.start(crate::world::steps(named(&["a", "b"]))).await.unwrap();
        assert_eq!(world.drive(other.result()).await.unwrap(), "a b");
        spinning.terminate("enough").await.unwrap();
        world.until(&spinning, Status::Terminated).await;
    }

    async fn it_can_be_suspended_between_runs(world: World) {
        let worker = worker(&world).await;
        let spinning = worker.client().start(spins(0)).await.unwrap();
        spinning.suspend("wait").await.unwrap();
        world.until(&spinning, Status::Suspended).await;
        world.drive(async { for _ in 0..5 { settle().await; } }).await;
        let input = spinning.status().await.unwrap().input;
        world.drive(world.pass(Duration::from_secs(5))).await;
        assert_eq!(spinning.status().await.unwrap().input, input);
        spinning.resume("go on").await.unwrap();
        world.drive(async {
            while spinning.status().await.unwrap().input == input {
                world.pass(Duration::from_millis(10)).await;
            }
        }).await;
        spinning.terminate("enough").await.unwrap();
    }

    async fn a_rewind_goes_back_within_the_run(world: World) {
        let worker = worker(&world).await;
        world.machines.break_down("second");
        let handle = worker.client().start(fails_later("second".to_owned(), 0)).await.unwrap();
        world.failure(&handle).await;
        world.machines.repair("second");
        handle.rewind("repaired").await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "second");
        assert_eq!((world.machines.tries("first"), world.machines.tries("second")), (1, 2));
    }

    async fn the_next_run_may_be_of_another_version(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let handle = client.start(handover_one(1)).await.unwrap();
        handle.raise_event("go", ()).await.unwrap();
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "2 on 2");
        assert_eq!(handle.status().await.unwrap().version, "2");
    }

    async fn the_next_version_waits_for_a_worker_that_has_it(world: World) {
        let old = builder(&world).start().await.unwrap();
        let handle = world.client().start(handover_one(1)).await.unwrap();
        handle.raise_event("go", ()).await.unwrap();
        world.drive(async {
            while handle.status().await.unwrap().blocked.is_none() {
                world.pass(Duration::from_millis(10)).await;
            }
        }).await;
        let blocked = handle.status().await.unwrap().blocked.unwrap();
        assert!(blocked.contains("`handover` version `2`"), "{blocked}");
        old.shutdown().await;
        let new = worker(&world).await;
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "2 on 2");
        assert_eq!(handle.status().await.unwrap().blocked, None);
        new.shutdown().await;
    }

    async fn what_cannot_be_said_of_a_next_run_fails_with_the_reason(world: World) {
        let worker = worker(&world).await;
        for (how, expected) in [
            (0, "`wrong` cannot go on as `sums`"),
            (1, "only the arguments and the version"),
            (2, "only the arguments and the version"),
        ] {
            let handle = worker.client().start(wrong(how)).await.unwrap();
            let text = world.failure(&handle).await;
            assert!(text.contains(expected), "{text}");
        }
    }

    async fn runs_go_on_whenever_the_worker_dies(world: World) {
        let handle = world.client().start(sums(30, 0)).await.unwrap();
        for number in 1..=30_u32 {
            handle.raise_event("number", number).await.unwrap();
        }
        for pause in 0..12_u32 {
            let worker = worker(&world).await;
            world.drive(async { for _ in 0..pause * 7 { tokio::task::yield_now().await; } }).await;
            drop(worker);
        }
        let worker = worker(&world).await;
        assert_eq!(world.drive(handle.result()).await.unwrap(), 465);
        worker.shutdown().await;
    }

    async fn the_history_stays_short_whatever_is_to_be_kept(world: World) {
        for retention in [HistoryRetention::All, HistoryRetention::LastTurns(3), HistoryRetention::None] {
            let worker = builder(&world).history(retention).start().await.unwrap();
            let handle = worker.client().start(sums(50, 0)).await.unwrap();
            for number in 1..=50_u32 {
                handle.raise_event("number", number).await.unwrap();
            }
            assert_eq!(world.drive(handle.result()).await.unwrap(), 1275);
            assert!(handle.history().await.unwrap().len() <= 3);
            worker.shutdown().await;
        }
    }
}
