//! What a sender is told when something cannot be done: what, where, and what to do.

use std::time::Duration;

use durable::{ClientError, IdReuse, Status};

use crate::world::*;

on_every_store! {
    async fn what_is_unknown_or_ended_is_told_at_once(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let nobody = client.orchestration::<u32>("nobody");
        for error in [
            nobody.raise_event("x", 1).await.unwrap_err(),
            nobody.terminate("x").await.unwrap_err(),
            nobody.suspend("x").await.unwrap_err(),
            nobody.resume("x").await.unwrap_err(),
            nobody.rewind("x").await.unwrap_err(),
            nobody.purge().await.unwrap_err(),
            nobody.status().await.map(|_| ()).unwrap_err(),
            world.drive(nobody.wait_for_start()).await.unwrap_err(),
        ] {
            assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
            assert!(error.to_string().contains("`nobody`"), "{error}");
        }
        let done = client.start(steps(vec![])).await.unwrap();
        world.drive(done.result()).await.unwrap();
        for error in [
            done.raise_event("x", 1).await.unwrap_err(),
            done.terminate("x").await.unwrap_err(),
            done.suspend("x").await.unwrap_err(),
            done.resume("x").await.unwrap_err(),
        ] {
            assert!(
                matches!(error, ClientError::Ended { status: Status::Completed, .. }),
                "{error}"
            );
        }
    }

    async fn ids_options_and_texts_have_limits(world: World) {
        let client = world.client();
        for id in ["", "@purse@p", "a/b", &"x".repeat(257)] {
            let error = client.start(steps(vec![]).instance_id(id)).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidId { .. }), "{error}");
        }
        let entity = client.orchestration::<()>("@purse@p");
        let error = entity.terminate("x").await.unwrap_err();
        assert!(matches!(error, ClientError::InvalidId { .. }), "{error}");
        let too_many = (0..65).map(|n| (n.to_string(), "x"));
        for call in [
            steps(vec![]).tags(too_many),
            steps(vec![]).tag("k".repeat(257), "v"),
            steps(vec![]).tag("k", "v\0"),
            steps(vec![]).version("v".repeat(257)),
        ] {
            let error = client.start(call).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidOption { .. }), "{error}");
        }
        let handle = client.start(collect(1)).await.unwrap();
        let long = "x".repeat(durable::MAX_REASON_BYTES + 1);
        let large = "x".repeat(17 * 1024 * 1024);
        for error in [
            handle.terminate(long.clone()).await.unwrap_err(),
            handle.suspend(long.clone()).await.unwrap_err(),
            handle.rewind(long.clone()).await.unwrap_err(),
            handle.raise_event("x".repeat(durable::MAX_EVENT_NAME_BYTES + 1).as_str(), 1)
                .await
                .unwrap_err(),
            handle.raise_event("x", large.clone()).await.unwrap_err(),
            client.start(steps(vec![large])).await.unwrap_err(),
        ] {
            assert!(matches!(error, ClientError::InvalidArguments { .. }), "{error}");
            assert!(error.to_string().contains("limit is"), "{error}");
        }
    }

    async fn waits_have_an_end_if_asked_for(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let handle = client.start(collect(1).start_at(world.now() + FAR)).await.unwrap();
        let second = Duration::from_secs(1);
        let error = world.drive(handle.wait_for_start().timeout(second)).await.unwrap_err();
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
        let error = world.drive(handle.result().timeout(second)).await.unwrap_err();
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
        // The longest time that there is does not overflow anything.
        let other = client.start(collect(1)).await.unwrap();
        other.raise_event("number", 1_u32).await.unwrap();
        assert_eq!(world.drive(other.result().timeout(Duration::MAX)).await.unwrap(), [1]);
        let distant = world.now() + Duration::MAX;
        let never = client.start(steps(vec![]).start_at(distant)).await.unwrap();
        assert_eq!(never.status().await.unwrap().starts_at, Some(durable::Timestamp::MAX));
        never.terminate("x").await.unwrap();
        world.until(&never, Status::Terminated).await;
    }

    async fn a_child_with_options_that_cannot_be_used_fails_alone(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let running = client.start(collect(1).instance_id("leaf")).await.unwrap();
        world.drive(running.wait_for_start()).await.unwrap();
        // The id of the child is taken by one that runs.
        let parent = client.start(named_child(0)).await.unwrap();
        let failure = world.failure(&parent).await;
        assert!(failure.contains("exists already"), "{failure}");
        assert_eq!(running.status().await.unwrap().status, Status::Running);
        let refused = client.start(collect(1).instance_id("leaf").id_reuse(IdReuse::Refuse));
        assert!(matches!(refused.await, Err(ClientError::AlreadyExists { .. })));
    }
}
