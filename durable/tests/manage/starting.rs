//! Starts: labels, versions, times, and ids that are taken.

use std::time::Duration;

use durable::{ClientError, IdReuse, InstanceQuery, Status};
use serde_json::json;

use crate::world::*;

on_every_store! {
    async fn a_start_keeps_what_it_was_given(world: World) {
        let worker = world.worker().await;
        let call = steps(named(&["a"])).instance_id("x").tag("team", "sales").tags([("k", "v")]);
        let handle = worker.client().start(call).await.unwrap();
        assert!(handle.is_new());
        assert_eq!(world.drive(handle.result()).await.unwrap(), "a");
        let status = handle.status().await.unwrap();
        assert_eq!(status.tags, durable::Tags::from([
            ("k".to_owned(), "v".to_owned()),
            ("team".to_owned(), "sales".to_owned()),
        ]));
        assert_eq!((status.starts_at, status.version.as_str()), (None, ""));
        assert_eq!(status.input.as_str(), r#"[["a"]]"#);
        let by_name = worker.client().start_by_name("steps", json!([["b"]])).tag("team", "it");
        let handle = world.drive(by_name.into_future()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), json!("b"));
        assert_eq!(handle.status().await.unwrap().tags["team"], "it");
    }

    async fn a_start_may_ask_for_another_version(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        for (call, expected) in [(moment(), ""), (moment().version("2"), "2")] {
            let handle = client.start(call).await.unwrap();
            let (_, version) = world.drive(handle.result()).await.unwrap();
            assert_eq!(version, expected);
            assert_eq!(handle.status().await.unwrap().version, expected);
            let again = handle.restart().await.unwrap();
            assert_eq!(world.drive(again.result()).await.unwrap().1, expected);
        }
        let error = client.start(moment().version("3")).await.unwrap_err();
        assert!(matches!(error, ClientError::NotRegistered { .. }), "{error}");
    }

    async fn a_scheduled_start_waits_and_takes_events_meanwhile(world: World) {
        let client = world.client();
        let at = world.now() + FAR;
        let early = client.start(moment().start_at(world.now())).await.unwrap();
        let handle = client.start(moment().start_at(at).instance_id("m")).await.unwrap();
        let collecting = client.start(collect(2).start_at(at).instance_id("c")).await.unwrap();
        let worker = world.worker().await;
        world.drive(early.result()).await.unwrap();
        collecting.raise_event("number", 1_u32).await.unwrap();
        settle().await;
        let status = handle.status().await.unwrap();
        assert_eq!((status.status, status.starts_at), (Status::Pending, Some(at)));
        // It survives the worker, and so do the events that came before it began.
        worker.shutdown().await;
        let _worker = world.worker().await;
        collecting.raise_event("number", 2_u32).await.unwrap();
        world.clock.advance_to(at);
        let (began, _) = world.drive(handle.result()).await.unwrap();
        assert!(began >= at, "{began}");
        assert_eq!(world.drive(collecting.result()).await.unwrap(), [1, 2]);
    }

    async fn a_scheduled_start_can_be_terminated(world: World) {
        let client = world.client();
        let at = world.now() + FAR;
        let handle = client.start(moment().start_at(at).instance_id("m")).await.unwrap();
        handle.terminate("not needed").await.unwrap();
        let _worker = world.worker().await;
        let failure = world.failure(&handle).await;
        assert!(failure.contains("not needed"), "{failure}");
        // Its start is gone with it: nothing is left in the schedule.
        world.clock.advance_to(at + Duration::from_secs(1));
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Terminated);
        let again = client.start(moment().instance_id("m")).await.unwrap();
        world.drive(again.result()).await.unwrap();
    }

    async fn an_id_that_is_running_is_an_error_and_one_that_has_ended_is_replaced(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let first = client.start(collect(1).instance_id("a").tag("n", "1")).await.unwrap();
        world.drive(first.wait_for_start()).await.unwrap();
        let error = client.start(collect(2).instance_id("a")).await.unwrap_err();
        assert!(
            matches!(error, ClientError::AlreadyExists { status: Status::Running, .. }),
            "{error}"
        );
        first.raise_event("number", 1_u32).await.unwrap();
        assert_eq!(world.drive(first.result()).await.unwrap(), [1]);
        let second = client.start(collect(2).instance_id("a").tag("n", "2")).await.unwrap();
        assert!(second.is_new());
        for n in [2_u32, 3] {
            second.raise_event("number", n).await.unwrap();
        }
        assert_eq!(world.drive(second.result()).await.unwrap(), [2, 3]);
        assert_eq!(second.status().await.unwrap().tags["n"], "2");
        let refused = steps(vec![]).instance_id("a").id_reuse(IdReuse::Refuse);
        let error = client.start(refused).await.unwrap_err();
        assert!(matches!(error, ClientError::AlreadyExists { .. }), "{error}");
        assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 1);
    }

    async fn what_runs_can_be_terminated_and_replaced(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let old = client.start(forever("old".to_owned()).instance_id("a")).await.unwrap();
        world.drive(old.wait_for_start()).await.unwrap();
        let call = steps(named(&["new"])).instance_id("a").id_reuse(IdReuse::TerminateAndReplace);
        let new = world.drive(client.start(call)).await.unwrap();
        assert!(new.is_new());
        assert_eq!(world.drive(new.result()).await.unwrap(), "new");
        // What has ended, or is not there, needs no terminating.
        for _ in 0..2 {
            let id = "b";
            let call =
                steps(named(&["x"])).instance_id(id).id_reuse(IdReuse::TerminateAndReplace);
            let handle = world.drive(client.start(call)).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), "x");
        }
    }

    async fn a_singleton_is_started_once_by_many(world: World) {
        let worker = world.worker().await;
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let client = world.client();
            racers.spawn(async move {
                let call = collect(1).instance_id("one").id_reuse(IdReuse::UseRunning);
                client.start(call).await.unwrap().is_new()
            });
        }
        let started = world.drive(racers.join_all()).await;
        assert_eq!(started.iter().filter(|is_new| **is_new).count(), 1);
        let client = worker.client();
        let single = |id_reuse| client.start(collect(1).instance_id("one").id_reuse(id_reuse));
        let running = single(IdReuse::UseExisting).await.unwrap();
        assert!(!running.is_new());
        running.raise_event("number", 7_u32).await.unwrap();
        assert_eq!(world.drive(running.result()).await.unwrap(), [7]);
        // Once it has ended, the policies differ.
        let ended = single(IdReuse::UseExisting).await.unwrap();
        assert!(!ended.is_new());
        assert_eq!(world.drive(ended.result()).await.unwrap(), [7]);
        assert!(single(IdReuse::UseRunning).await.unwrap().is_new());
    }

    async fn children_of_successive_runs_do_not_meet(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        for round in 0..3 {
            let names = named(&["a", "b"]);
            let handle = client.start(family(2, names).instance_id("p")).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), "a b, a b", "{round}");
        }
        // A child with an id of its own replaces the one of before.
        for _ in 0..2 {
            let handle = client.start(named_child(0)).await.unwrap();
            world.drive(handle.wait_for_start()).await.unwrap();
            let leaf = client.orchestration::<Vec<u32>>("leaf");
            world.drive(async {
                while leaf.raise_event("number", 5_u32).await.is_err() {
                    tokio::task::yield_now().await;
                }
            }).await;
            assert_eq!(world.drive(handle.result()).await.unwrap(), 5);
        }
    }

    async fn a_restart_runs_the_same_again(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let call = steps(named(&["a", "b"])).instance_id("a").tag("team", "sales");
        let handle = client.start(call).await.unwrap();
        world.drive(handle.result()).await.unwrap();
        let first = handle.status().await.unwrap();
        let again = handle.restart().await.unwrap();
        assert_eq!(again.id(), "a");
        assert_eq!(world.drive(again.result()).await.unwrap(), "a b");
        assert_eq!(world.machines.tries("a"), 2);
        let status = again.status().await.unwrap();
        assert_eq!((&status.tags, &status.version), (&first.tags, &first.version));
        let beside = handle.restart().with_new_id().await.unwrap();
        assert_ne!(beside.id(), "a");
        assert_eq!(world.drive(beside.result()).await.unwrap(), "a b");
        let given = handle.restart().instance_id("b").await.unwrap();
        assert_eq!((given.id(), world.drive(given.result()).await.unwrap().as_str()), ("b", "a b"));
        assert_eq!(world.machines.tries("a"), 4);
    }

    async fn a_restart_of_what_runs_or_is_not_there_is_refused(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let nobody = client.orchestration::<Vec<u32>>("nobody");
        let error = nobody.restart().await.unwrap_err();
        assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
        let running = client.start(collect(1).instance_id("a")).await.unwrap();
        let error = running.restart().await.unwrap_err();
        assert!(matches!(error, ClientError::AlreadyExists { .. }), "{error}");
        // Beside it another one may run.
        let beside = running.restart().instance_id("b").await.unwrap();
        beside.raise_event("number", 1_u32).await.unwrap();
        assert_eq!(world.drive(beside.result()).await.unwrap(), [1]);
        let entity = client.entity::<Purse>("p");
        world.drive(entity.put(1).into_future()).await.unwrap();
        let error = client.orchestration::<()>("@purse@p").restart().await.unwrap_err();
        assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
    }

    async fn a_start_survives_workers_that_die(world: World) {
        let client = world.client();
        let at = world.now() + Duration::from_secs(30);
        let mut handles = Vec::new();
        for n in 0..6 {
            let call = steps(named(&["a", "b"])).instance_id(format!("s{n}"));
            let call = if n % 2 == 0 { call } else { call.start_at(at) };
            handles.push(client.start(call).await.unwrap());
        }
        for _ in 0..3 {
            let worker = world.worker().await;
            settle().await;
            drop(worker);
            world.clock.advance(Duration::from_secs(15));
        }
        let _worker = world.worker().await;
        for handle in handles {
            assert_eq!(world.drive(handle.result()).await.unwrap(), "a b");
        }
    }
}
