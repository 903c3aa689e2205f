//! Schedules: what is started again and again, paused, changed, late, and over.

use std::time::Duration;

use durable::prelude::*;
use durable::{ClientError, InstanceQuery, MIN_SCHEDULE_INTERVAL, Schedule, Worker};

use crate::world::{FAR, World, collect, steps};

const HOUR: Duration = Duration::from_hours(1);

#[orchestrator]
async fn ticks(ctx: &OrchestrationContext, text: String) -> (Timestamp, String) {
    (ctx.now(), text)
}

async fn worker(world: &World) -> Worker {
    world.builder().orchestrator(ticks).start().await.unwrap()
}

fn tick(text: &str) -> durable::Call<ticks> {
    ticks(text.to_owned())
}

/// How many runs there were with this text, all of them.
async fn runs(world: &World, text: &str) -> usize {
    let query = InstanceQuery { name: Some("ticks".to_owned()), ..InstanceQuery::default() };
    let all = world.client().list(query).all().await.unwrap();
    all.iter().filter(|run| run.input.as_str().contains(text)).count()
}

/// Lets so much time pass, and all that belongs to it happen.
async fn later(world: &World, by: Duration) {
    world.clock.advance(by);
    world.drive(world.pass(Duration::from_secs(3))).await;
}

on_every_store! {
    async fn starts_are_made_at_the_interval(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let hourly = client.schedule("hourly");
        let first = world.now() + HOUR * 3;
        hourly.create(Schedule::every(HOUR, tick("a")).starting_at(first)).await.unwrap();
        later(&world, HOUR).await;
        assert_eq!(runs(&world, "a").await, 0);
        let status = hourly.describe().await.unwrap().unwrap();
        assert_eq!((status.starts, status.next), (0, Some(first)));
        world.clock.advance_to(first);
        for count in 1..=3 {
            world.drive(world.pass(Duration::from_secs(3))).await;
            assert_eq!(runs(&world, "a").await, count);
            let status = hourly.describe().await.unwrap().unwrap();
            let next = first + HOUR * u32::try_from(count).unwrap();
            assert_eq!((status.starts, status.next), (count as u64, Some(next)));
            world.clock.advance_to(next);
        }
        hourly.delete().await.unwrap();
        assert!(hourly.describe().await.unwrap().is_none());
        let made = runs(&world, "a").await;
        later(&world, HOUR * 5).await;
        assert_eq!(runs(&world, "a").await, made);
    }

    async fn one_that_is_paused_makes_no_starts(world: World) {
        let worker = worker(&world).await;
        let hourly = worker.client().schedule("hourly");
        hourly.create(Schedule::every(HOUR, tick("a"))).await.unwrap();
        hourly.pause().await.unwrap();
        later(&world, HOUR * 10).await;
        let status = hourly.describe().await.unwrap().unwrap();
        assert_eq!((status.paused, status.starts, status.next), (true, 0, None));
        hourly.resume().await.unwrap();
        later(&world, Duration::from_secs(1)).await;
        // Nothing that was missed is made up for, and the interval is kept.
        assert_eq!(runs(&world, "a").await, 0);
        later(&world, HOUR).await;
        assert_eq!(runs(&world, "a").await, 1);
    }

    async fn what_is_late_is_made_up_for_once_if_wanted(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let begin = world.now();
        later(&world, HOUR * 10).await;
        for (id, at_once) in [("patient", false), ("eager", true)] {
            let mut schedule = Schedule::every(HOUR * 4, tick(id)).starting_at(begin);
            if at_once {
                schedule = schedule.at_once_if_late();
            }
            client.schedule(id).create(schedule).await.unwrap();
        }
        later(&world, Duration::from_secs(1)).await;
        assert_eq!((runs(&world, "patient").await, runs(&world, "eager").await), (0, 1));
        later(&world, HOUR * 2).await;
        assert_eq!(runs(&world, "patient").await, 1);
    }

    async fn what_was_made_up_for_does_not_move_the_later_ones(world: World) {
        let worker = worker(&world).await;
        let schedule = worker.client().schedule("daily");
        let midnight = world.now();
        later(&world, HOUR * 9).await;
        let daily = Schedule::every(HOUR * 24, tick("a")).starting_at(midnight).at_once_if_late();
        schedule.create(daily).await.unwrap();
        later(&world, Duration::from_secs(1)).await;
        assert_eq!(runs(&world, "a").await, 1);
        let status = schedule.describe().await.unwrap().unwrap();
        assert_eq!(status.next, Some(midnight + HOUR * 24));
    }

    async fn one_can_be_changed_and_has_an_end(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let schedule = client.schedule("s");
        schedule.create(Schedule::every(HOUR, tick("old"))).await.unwrap();
        later(&world, HOUR).await;
        assert_eq!(runs(&world, "old").await, 1);
        let end = world.now() + Duration::from_mins(25);
        let new = Schedule::every(Duration::from_mins(10), tick("new")).ending_at(end);
        schedule.update(new).await.unwrap();
        for _ in 0..4 {
            later(&world, Duration::from_mins(10)).await;
        }
        assert_eq!((runs(&world, "old").await, runs(&world, "new").await), (1, 2));
        let status = schedule.describe().await.unwrap().unwrap();
        assert!(status.ended && status.next.is_none());
        assert_eq!(status.starts, 3);
        assert!(client.schedules().await.unwrap().is_empty());
        let over = schedule.pause().await.unwrap_err();
        assert!(matches!(over, ClientError::Ended { .. }), "{over}");
        schedule.delete().await.unwrap();
    }

    async fn an_id_is_used_by_one_run_at_a_time(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let call = collect(1).instance_id("only-one").tag("by", "schedule");
        client.schedule("s").create(Schedule::every(HOUR, call)).await.unwrap();
        later(&world, HOUR).await;
        later(&world, HOUR).await;
        assert_eq!(client.schedule("s").describe().await.unwrap().unwrap().starts, 2);
        let one = client.orchestration::<Vec<u32>>("only-one");
        assert_eq!(one.status().await.unwrap().tags["by"], "schedule");
        one.raise_event("number", 5_u32).await.unwrap();
        assert_eq!(world.drive(one.result()).await.unwrap(), [5]);
        later(&world, HOUR).await;
        assert!(one.status().await.unwrap().output.is_none(), "the next run has the id");
    }

    async fn creating_one_again_replaces_it_and_lists_show_all(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        for (id, text) in [("a", "one"), ("b", "two"), ("a", "three")] {
            let create = async {
                client.schedule(id).create(Schedule::every(HOUR, tick(text))).await.unwrap();
            };
            world.drive(create).await;
        }
        later(&world, HOUR).await;
        assert_eq!((runs(&world, "one").await, runs(&world, "two").await), (0, 1));
        assert_eq!(runs(&world, "three").await, 1);
        let mut ids: Vec<_> =
            client.schedules().await.unwrap().into_iter().map(|s| s.id).collect();
        ids.sort();
        assert_eq!(ids, ["a", "b"]);
    }

    async fn one_survives_workers_that_die(world: World) {
        let client = world.client();
        client.schedule("s").create(Schedule::every(HOUR, tick("a"))).await.unwrap();
        for pause in 0..5_u32 {
            let worker = worker(&world).await;
            world.drive(async { for _ in 0..pause * 20 { tokio::task::yield_now().await; } }).await;
            drop(worker);
            world.clock.advance(HOUR);
        }
        let worker = worker(&world).await;
        later(&world, Duration::from_secs(1)).await;
        later(&world, HOUR).await;
        let status = client.schedule("s").describe().await.unwrap().unwrap();
        assert_eq!(runs(&world, "a").await as u64, status.starts);
        assert!(status.starts >= 1);
        worker.shutdown().await;
    }
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused() {
    let world = World::memory();
    let worker = worker(&world).await;
    let schedule = worker.client().schedule("s");
    let refused = async |wrong| schedule.create(wrong).await.unwrap_err().to_string();
    let large = refused(Schedule::every(HOUR, tick(&"x".repeat(20_000)))).await;
    assert!(large.contains("at most") && large.contains("bytes"), "{large}");
    let short = Schedule::every(MIN_SCHEDULE_INTERVAL / 2, tick("a"));
    assert!(refused(short).await.contains("at least 1s"));
    let timed = Schedule::every(HOUR, tick("a").start_at(world.now() + FAR));
    assert!(refused(timed).await.contains("says when its calls begin"));
    let retried = tick("a").retry(RetryPolicy::fixed(HOUR));
    assert!(refused(Schedule::every(HOUR, retried)).await.contains("retry policy"));
    let id = steps(Vec::new()).instance_id("@entity@key");
    assert!(refused(Schedule::every(HOUR, id)).await.contains('@'));
    let unknown = schedule.pause().await.unwrap_err();
    assert!(matches!(unknown, ClientError::NotFound { .. }), "{unknown}");
    assert!(schedule.delete().await.is_err());
}
