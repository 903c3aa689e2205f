//! What has ended is purged, alone, with its children, or by what it has in common.

use std::sync::Arc;
use std::time::Duration;

use durable::testing::{Fault, FaultyStore};
use durable::{ClientError, InstanceKind, InstanceQuery, Status};

use crate::world::*;

on_every_store! {
    async fn a_worker_purges_what_ended_long_ago(world: World) {
        const DAY: Duration = Duration::from_hours(24);
        let worker = world
            .builder()
            .purge_after(Status::Completed, DAY)
            .purge_after(Status::Failed, DAY * 3)
            .start()
            .await
            .unwrap();
        let client = worker.client();
        world.machines.break_down("bad");
        let good = client.start(steps(named(&["good"]))).await.unwrap();
        let bad = client.start(steps(named(&["bad"]))).await.unwrap();
        world.drive(good.result()).await.unwrap();
        world.failure(&bad).await;
        let is_there = async |handle: &durable::Handle<String>| handle.status().await.is_ok();
        for (day, expected) in [(0, (true, true)), (1, (false, true)), (2, (false, true)), (3, (false, false))] {
            assert_eq!((is_there(&good).await, is_there(&bad).await), expected, "day {day}");
            world.clock.advance(DAY);
            world.drive(world.pass(Duration::from_mins(3))).await;
        }
    }

    async fn one_that_has_ended_is_purged(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let handle = client.start(steps(named(&["a"])).instance_id("a")).await.unwrap();
        world.drive(handle.result()).await.unwrap();
        let purged = world.drive(handle.purge().into_future()).await.unwrap();
        assert_eq!((purged.count, purged.more), (1, false));
        for error in [
            handle.status().await.map(|_| ()).unwrap_err(),
            handle.history().await.map(|_| ()).unwrap_err(),
            handle.purge().await.map(|_| ()).unwrap_err(),
            handle.restart().await.map(|_| ()).unwrap_err(),
            world.drive(handle.result()).await.map(|_| ()).unwrap_err(),
        ] {
            assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
        }
        // Its id is free.
        let again = client.start(steps(named(&["b"])).instance_id("a")).await.unwrap();
        assert_eq!(world.drive(again.result()).await.unwrap(), "b");
    }

    async fn one_that_runs_is_not(world: World) {
        let worker = world.worker().await;
        let handle = worker.client().start(collect(1)).await.unwrap();
        for status in [Status::Pending, Status::Running, Status::Suspended] {
            if status == Status::Suspended {
                handle.suspend("x").await.unwrap();
            }
            if status != Status::Pending {
                world.until(&handle, status).await;
            }
            let error = world.drive(handle.purge().into_future()).await.unwrap_err();
            assert!(matches!(error, ClientError::NotEnded { .. }), "{error}");
        }
        handle.resume("x").await.unwrap();
        handle.raise_event("number", 1_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), [1]);
    }

    async fn by_status_and_time_with_a_limit(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        for n in 0..5 {
            let handle = client.start(steps(vec![]).instance_id(format!("old-{n}"))).await.unwrap();
            world.drive(handle.result()).await.unwrap();
        }
        world.clock.advance(Duration::from_hours(1));
        let border = world.now();
        let failing = client.start(steps(named(&["x"])).instance_id("new-1")).await.unwrap();
        world.drive(failing.result()).await.unwrap();
        let running = client.start(collect(1).instance_id("running")).await.unwrap();
        let entity = client.entity::<Purse>("p");
        world.drive(entity.put(1).into_future()).await.unwrap();

        let old = InstanceQuery { finished_to: Some(border), ..InstanceQuery::default() };
        let purge = || client.purge(old.clone()).limit(2);
        let counts: Vec<_> = [
            world.drive(purge().into_future()).await.unwrap(),
            world.drive(purge().into_future()).await.unwrap(),
            world.drive(purge().into_future()).await.unwrap(),
            world.drive(purge().into_future()).await.unwrap(),
        ].iter().map(|purged| (purged.count, purged.more)).collect();
        assert_eq!(counts, [(2, true), (2, true), (1, false), (0, false)]);

        let failed = InstanceQuery { statuses: vec![Status::Failed], ..InstanceQuery::default() };
        let purged = world.drive(client.purge(failed).into_future()).await.unwrap();
        assert_eq!(purged.count, 0);
        let all = world.drive(client.purge(InstanceQuery::default()).into_future()).await.unwrap();
        assert_eq!((all.count, all.more), (1, false));
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 2);
        assert!(!running.status().await.unwrap().status.is_terminal());
        assert_eq!(world.drive(entity.put(1).into_future()).await.unwrap(), 2);
    }

    async fn queries_that_cannot_be_purged_are_refused(world: World) {
        let client = world.client();
        let running = InstanceQuery { statuses: vec![Status::Running], ..Default::default() };
        let entities = InstanceQuery { kind: Some(InstanceKind::Entity), ..Default::default() };
        for query in [running, entities] {
            let error = client.purge(query).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidQuery { .. }), "{error}");
        }
        let entity = client.orchestration::<()>("@purse@p").purge().await.unwrap_err();
        assert!(matches!(entity, ClientError::NotFound { .. }), "{entity}");
    }

    async fn children_go_with_their_parents_if_asked_for(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let tree = |id: &str| family(7, named(&["a"])).instance_id(id.to_owned());
        for id in ["p", "q"] {
            let handle = client.start(tree(id)).await.unwrap();
            world.drive(handle.result()).await.unwrap();
        }
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 16);
        let alone = client.orchestration::<String>("p");
        assert_eq!(world.drive(alone.purge().into_future()).await.unwrap().count, 1);
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 15);
        // Whatever the limit: children come before their parent, so that none is left behind.
        let together = client.orchestration::<String>("q");
        let mut calls = 0;
        loop {
            let purge = together.purge().recursive().limit(3);
            let purged = world.drive(purge.into_future()).await.unwrap();
            calls += 1;
            assert!(purged.count <= 3);
            if !purged.more {
                break;
            }
        }
        assert_eq!(calls, 3);
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 7);
        // The parent of the others is gone, and another one under its id has its own.
        let again = client.start(tree("p")).await.unwrap();
        world.drive(again.result()).await.unwrap();
        let purge = again.purge().recursive();
        assert_eq!(world.drive(purge.into_future()).await.unwrap().count, 15);
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 0);
    }

    async fn late_messages_for_what_is_purged_harm_nobody(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        let first = client.start(collect(1).instance_id("a")).await.unwrap();
        let other = client.start(collect(1).instance_id("b")).await.unwrap();
        world.drive(first.wait_for_start()).await.unwrap();
        worker.shutdown().await;
        for n in 1..=3_u32 {
            first.raise_event("number", n).await.unwrap();
        }
        let worker = world.worker().await;
        world.drive(first.result()).await.unwrap();
        world.drive(first.purge().into_future()).await.unwrap();
        other.raise_event("number", 7_u32).await.unwrap();
        assert_eq!(world.drive(other.result()).await.unwrap(), [7]);
        worker.shutdown().await;
    }
}

/// Purges and starts again whatever has ended, while the store fails and workers take turns.
#[tokio::test]
async fn purges_race_turns_restarts_and_rewinds_without_harm() {
    const KINDS: &[Fault] = &[
        Fault::Before(durable::store::StoreErrorKind::Unavailable),
        Fault::After(durable::store::StoreErrorKind::OutcomeUnknown),
        Fault::Before(durable::store::StoreErrorKind::LeaseLost),
    ];
    for seed in 0..10 {
        let mut world = World::memory();
        world.store = Arc::new(FaultyStore::seeded(world.store.clone(), seed, 6, KINDS));
        let worker = world.worker().await;
        let client = world.client();
        world.machines.break_down("b");
        for round in 0..10 {
            let id = format!("i{}", round % 3);
            let call = || steps(named(&["a", "b"])).instance_id(id.clone());
            world
                .drive(async {
                    let handle = client.start(call()).await.unwrap();
                    let _ = handle.result().await;
                    let (rewound, purged, restarted) = tokio::join!(
                        handle.rewind("x"),
                        handle.purge().into_future(),
                        handle.restart().into_future(),
                    );
                    // Each is refused or done; whoever is there afterwards comes to its end.
                    let refusals = [rewound.err(), purged.err(), restarted.err()];
                    for error in refusals.into_iter().flatten() {
                        assert!(!matches!(error, ClientError::Store(_)), "seed {seed}: {error}");
                    }
                    match handle.result().await {
                        Err(ClientError::Task(_) | ClientError::NotFound { .. }) => {}
                        other => panic!("seed {seed}: {other:?}"),
                    }
                })
                .await;
        }
        drop(worker);
    }
}
