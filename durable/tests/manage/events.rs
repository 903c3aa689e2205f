//! Events: who gets them, in what order, and what becomes of those that nobody can use.

use std::time::Duration;

use durable::prelude::*;
use durable::{ClientError, HistoryEvent, InstanceQuery, Status, TaskErrorKind, Worker};

use crate::world::*;

/// Two waits for the same event. The newer one stands first, which must not matter.
#[orchestrator]
async fn two_waits(ctx: &OrchestrationContext) -> Result<(u32, u32), TaskError> {
    let older = ctx.spawn(ctx.wait_for_event::<u32>("number"));
    let newer = ctx.spawn(ctx.wait_for_event::<u32>("number"));
    let (first, place, mut rest) = select_all(vec![newer, older]).await;
    let first = first?;
    ctx.set_custom_status((first, place));
    let other = rest.remove(0);
    Ok((first, other.await?))
}

/// Takes events by these names, in this order.
#[orchestrator]
async fn takes(ctx: &OrchestrationContext, names: Vec<String>) -> Result<Vec<u32>, TaskError> {
    let mut taken = Vec::new();
    for name in names {
        ctx.set_custom_status(&name);
        taken.push(ctx.wait_for_event::<u32>(&name).await?);
    }
    Ok(taken)
}

/// Waits until a number comes, and counts what is none.
#[orchestrator]
async fn strict(ctx: &OrchestrationContext) -> (u32, u32) {
    let mut refused = 0;
    loop {
        match ctx.wait_for_event::<u32>("number").await {
            Ok(number) => return (number, refused),
            Err(error) => {
                assert_eq!(error.kind(), TaskErrorKind::Payload);
                assert_eq!(error.task(), "number");
                refused += 1;
            }
        }
    }
}

/// Waits for a number or a text, both by one name.
#[orchestrator]
async fn either_type(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let number = ctx.spawn(ctx.wait_for_event::<u32>("answer"));
    let text = ctx.spawn(ctx.wait_for_event::<String>("answer"));
    let text = text.await?;
    Ok(format!("{} {text}", number.await?))
}

/// A wait that is too long, and then one that is not.
#[orchestrator]
async fn impatient(ctx: &OrchestrationContext) -> Result<(Option<u32>, Option<u32>), TaskError> {
    let hour = Duration::from_hours(1);
    let first = ctx.wait_for_event::<u32>("number").timeout(hour).await?;
    ctx.set_custom_status("late");
    let second = ctx.wait_for_event::<u32>("number").timeout(hour).await?;
    ctx.set_custom_status("in time");
    ctx.wait_for_event::<()>("end").await?;
    Ok((first, second))
}

/// Looks for numbers without waiting for them.
#[orchestrator]
async fn looks(ctx: &OrchestrationContext) -> Result<(Option<u32>, Option<u32>), TaskError> {
    ctx.wait_for_event::<()>("go").await?;
    let first = ctx.wait_for_event::<u32>("number").timeout(Duration::ZERO).await?;
    let second = ctx.wait_for_event::<u32>("number").timeout(Duration::ZERO).await?;
    Ok((first, second))
}

/// Tells others of numbers, and itself at last.
#[orchestrator]
async fn teller(ctx: &OrchestrationContext, others: Vec<String>) -> Result<u32, TaskError> {
    for other in others {
        ctx.send_event(&other, "number", 7_u32);
    }
    ctx.send_event(&ctx.instance_id(), "number", 8_u32);
    ctx.wait_for_event::<u32>("number").await
}

/// Waits for an event with a name of so many bytes.
#[orchestrator]
async fn waits_long(ctx: &OrchestrationContext, length: usize) -> Result<u32, TaskError> {
    ctx.wait_for_event::<u32>("n".repeat(length)).await
}

/// Sends an event with a name of so many bytes to itself, and waits for it.
#[orchestrator]
async fn long_winded(ctx: &OrchestrationContext, length: usize) -> Result<u32, TaskError> {
    let name = "n".repeat(length);
    ctx.send_event(&ctx.instance_id(), &name, 7_u32);
    ctx.wait_for_event::<u32>(&name).await
}

async fn worker(world: &World) -> Worker {
    world
        .builder()
        .orchestrator(two_waits)
        .orchestrator(takes)
        .orchestrator(strict)
        .orchestrator(either_type)
        .orchestrator(impatient)
        .orchestrator(looks)
        .orchestrator(teller)
        .orchestrator(long_winded)
        .orchestrator(waits_long)
        .start()
        .await
        .unwrap()
}

on_every_store! {
    async fn the_oldest_wait_gets_the_next_event_and_no_other(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(two_waits()).await.unwrap();
        world.until(&handle, Status::Running).await;
        handle.raise_event("number", 1_u32).await.unwrap();
        // The second of the list is the older one. The other still waits.
        world.until_says(&handle, "[1,1]").await;
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
        handle.raise_event("number", 2_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), (1, 2));
    }

    async fn names_are_compared_exactly(world: World) {
        let worker = worker(&world).await;
        let names = named(&["Number", "number", "number "]);
        let handle = worker.client().start(takes(names)).await.unwrap();
        for (name, number) in [("number ", 3_u32), ("number", 2)] {
            handle.raise_event(name, number).await.unwrap();
        }
        world.until_says(&handle, "\"Number\"").await;
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Running);
        handle.raise_event("Number", 1_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), [1, 2, 3]);
    }

    async fn what_nobody_waits_for_is_kept_in_order_by_name(world: World) {
        let client = world.client();
        let names = named(&["b", "a", "a", "b", "a"]);
        let handle = client.start(takes(names)).await.unwrap();
        for (name, number) in [("a", 1_u32), ("b", 2), ("a", 3), ("a", 4), ("b", 5)] {
            handle.raise_event(name, number).await.unwrap();
        }
        let _worker = worker(&world).await;
        assert_eq!(world.drive(handle.result()).await.unwrap(), [2, 1, 3, 5, 4]);
    }

    async fn more_events_than_a_state_holds_are_kept_too(world: World) {
        let count = 100_u32;
        let mut names = vec!["go".to_owned()];
        names.extend((0..count).map(|_| "number".to_owned()));
        let handle = world.client().start(takes(names)).await.unwrap();
        let first = worker(&world).await;
        for number in 0..count {
            handle.raise_event("number", number).await.unwrap();
        }
        world.until_says(&handle, "\"go\"").await;
        settle().await;
        drop(first);
        let _worker = worker(&world).await;
        handle.raise_event("go", count).await.unwrap();
        let taken = world.drive(handle.result()).await.unwrap();
        let expected: Vec<u32> = [count].into_iter().chain(0..count).collect();
        assert_eq!(taken, expected);
    }

    async fn a_payload_that_does_not_fit_fails_the_wait_and_not_the_instance(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(strict()).await.unwrap();
        handle.raise_event("number", "seven").await.unwrap();
        handle.raise_event("number", -7_i32).await.unwrap();
        handle.raise_event("number", 7_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), (7, 2));
    }

    async fn waits_of_one_name_may_differ_in_type(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(either_type()).await.unwrap();
        handle.raise_event("answer", 7_u32).await.unwrap();
        handle.raise_event("answer", "yes").await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "7 yes");
    }

    async fn a_wait_has_a_time_limit_and_takes_nothing_after_it(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(impatient()).await.unwrap();
        world.until(&handle, Status::Running).await;
        world.clock.advance(Duration::from_hours(1));
        world.until_says(&handle, "\"late\"").await;
        handle.raise_event("number", 7_u32).await.unwrap();
        world.until_says(&handle, "\"in time\"").await;
        let events = world.events(&handle).await;
        let count = |wanted: fn(&HistoryEvent) -> bool| events.iter().filter(|e| wanted(e)).count();
        assert_eq!(count(|event| matches!(event, HistoryEvent::TimerFired { .. })), 1);
        assert_eq!(count(|event| matches!(event, HistoryEvent::TimerCancelled { .. })), 1);
        handle.raise_event("end", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), (None, Some(7)));
        worker.shutdown().await;
        assert!(world.scheduled().await.is_empty());
    }

    async fn a_limit_of_zero_takes_what_is_there(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(looks()).await.unwrap();
        handle.raise_event("number", 7_u32).await.unwrap();
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), (Some(7), None));
    }

    async fn orchestrations_tell_each_other_and_nobody_else_hears(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let open = client.start(collect(2).instance_id("open")).await.unwrap();
        let done = client.start(steps(vec![]).instance_id("done")).await.unwrap();
        world.drive(done.result()).await.unwrap();
        let others = named(&["open", "nobody", "done", "open"]);
        let teller = client.start(teller(others)).await.unwrap();
        assert_eq!(world.drive(teller.result()).await.unwrap(), 8);
        assert_eq!(world.drive(open.result()).await.unwrap(), [7, 7]);
        // Neither made an instance nor woke one.
        let nobody = client.orchestration::<()>("nobody").status().await;
        assert!(matches!(nobody, Err(ClientError::NotFound { .. })), "{nobody:?}");
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 3);
        assert_eq!(done.status().await.unwrap().status, Status::Completed);
        let sent = world.events(&teller).await;
        let sent = sent.iter().filter(|event| matches!(event, HistoryEvent::EventSent { .. }));
        assert_eq!(sent.count(), 5);
    }

    async fn an_event_for_what_cannot_be_an_orchestration_fails_its_sender(world: World) {
        let worker = worker(&world).await;
        for id in ["@purse@p", "", "a/b"] {
            let handle = worker.client().start(teller(named(&[id]))).await.unwrap();
            let failure = world.failure(&handle).await;
            assert!(failure.contains("cannot be used"), "{failure}");
        }
    }

    async fn nobody_waits_for_what_cannot_come(world: World) {
        let worker = worker(&world).await;
        let longest = durable::MAX_EVENT_NAME_BYTES;
        let handle = worker.client().start(waits_long(longest + 1)).await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains(&format!("the limit is {longest}")), "{failure}");
    }

    async fn a_name_has_a_limit_within_too(world: World) {
        let worker = worker(&world).await;
        let longest = durable::MAX_EVENT_NAME_BYTES;
        let handle = worker.client().start(long_winded(longest)).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), 7);
        for length in [longest + 1, 17 * 1024 * 1024] {
            let handle = worker.client().start(long_winded(length)).await.unwrap();
            let failure = world.failure(&handle).await;
            assert!(failure.contains(&format!("the limit is {longest}")), "{failure}");
        }
    }
}
