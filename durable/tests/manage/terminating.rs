//! Instances that are ended from outside, alone or with their children.

use durable::store::{Batch, InstanceChange};
use durable::{ClientError, InstanceQuery, Status};

use crate::world::*;

/// A tree of three: the root, its child, and a leaf that waits for a number.
async fn tree(world: &World, client: &durable::Client) -> durable::Handle<u32> {
    let root = client.start(named_child(1).instance_id("root")).await.unwrap();
    let leaf = client.orchestration::<Vec<u32>>("leaf");
    world
        .drive(async {
            while leaf.status().await.map_or(Status::Pending, |s| s.status) != Status::Running {
                tokio::task::yield_now().await;
            }
        })
        .await;
    root
}

/// Ends an instance as its owner would, while it is nobody's.
async fn complete(world: &World, id: &str) {
    let now = world.now();
    let leases = world.store.acquire_leases("worker", 4, &[], now, now).await.unwrap();
    for lease in &leases {
        for stored in world.store.load_instances(lease, &[id.to_owned()]).await.unwrap() {
            let change = InstanceChange {
                no: stored.record.no,
                create: None,
                renew: None,
                status: Status::Completed,
                blocked: None,
                busy: false,
                state: None,
                custom_status: None,
                output: Some("[1]".into()),
                updated_at: now,
                finished_at: Some(now),
                put_side: Vec::new(),
                delete_side: Vec::new(),
                clear_side: true,
                history: Vec::new(),
                forget_history_before: None,
            };
            let batch = Batch { instances: vec![change], ..Batch::default() };
            world.store.commit(lease, batch).await.unwrap();
        }
    }
    world.store.release_leases(&leases).await.unwrap();
}

on_every_store! {
    async fn what_was_accepted_for_one_run_does_not_meet_the_next(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        let first = client.start(collect(1).instance_id("a")).await.unwrap();
        world.until(&first, Status::Running).await;
        worker.shutdown().await;
        first.raise_event("number", 9_u32).await.unwrap();
        first.suspend("too late").await.unwrap();
        first.terminate("too late").await.unwrap();
        complete(&world, "a").await;
        let second = client.start(collect(1).instance_id("a")).await.unwrap();
        let _worker = world.worker().await;
        second.raise_event("number", 2_u32).await.unwrap();
        assert_eq!(world.drive(second.result()).await.unwrap(), [2]);
    }

    async fn what_no_build_can_go_on_with_can_still_be_ended(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        let root = tree(&world, &client).await;
        let later = client.start(moment().start_at(world.now() + FAR)).await.unwrap();
        worker.shutdown().await;
        // A worker that knows nothing, and then one that has the parents only.
        let worker = world.bare_builder().start().await.unwrap();
        let leaf = client.orchestration::<Vec<u32>>("leaf");
        leaf.raise_event("number", 1_u32).await.unwrap();
        world.drive(async {
            while leaf.status().await.unwrap().blocked.is_none() {
                tokio::task::yield_now().await;
            }
        }).await;
        later.terminate("not needed").await.unwrap();
        world.until(&later, Status::Terminated).await;
        leaf.terminate("nobody has it").await.unwrap();
        assert!(world.failure(&leaf).await.contains("nobody has it"));
        assert_eq!(leaf.status().await.unwrap().blocked, None);
        worker.shutdown().await;
        let _worker = world.worker().await;
        let failure = world.failure(&root).await;
        assert!(failure.contains("nobody has it"), "{failure}");
    }

    async fn what_never_began_can_be_ended_where_nobody_has_it(world: World) {
        let client = world.client();
        let handle = client.start(collect(1).instance_id("a")).await.unwrap();
        let worker = world.bare_builder().start().await.unwrap();
        world.blocked(&handle).await;
        handle.terminate("nobody has it").await.unwrap();
        assert!(world.failure(&handle).await.contains("nobody has it"));
        // The same when it was ended before it could be blocked.
        drop(worker);
        let handle = client.start(collect(1).instance_id("b")).await.unwrap();
        handle.terminate("never mind").await.unwrap();
        let _worker = world.bare_builder().start().await.unwrap();
        assert!(world.failure(&handle).await.contains("never mind"));
        assert_eq!(handle.status().await.unwrap().blocked, None);
    }

    async fn children_go_on_unless_it_is_recursive(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let root = tree(&world, &client).await;
        root.terminate("alone").await.unwrap();
        assert!(world.failure(&root).await.contains("alone"));
        let leaf = client.orchestration::<Vec<u32>>("leaf");
        settle().await;
        assert_eq!(leaf.status().await.unwrap().status, Status::Running);
        leaf.raise_event("number", 1_u32).await.unwrap();
        assert_eq!(world.drive(leaf.result()).await.unwrap(), [1]);
        let middle = client.orchestration::<u32>("depth-0");
        assert_eq!(world.drive(middle.result()).await.unwrap(), 1);
    }

    async fn a_recursive_termination_ends_the_whole_tree(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let root = tree(&world, &client).await;
        let other = client.start(collect(1).instance_id("other")).await.unwrap();
        world.drive(other.wait_for_start()).await.unwrap();
        root.terminate("all of it").recursive().await.unwrap();
        for id in ["root", "depth-0", "leaf"] {
            let failure = world.failure(&client.orchestration::<u32>(id)).await;
            assert!(failure.contains("all of it"), "{id}: {failure}");
        }
        assert_eq!(other.status().await.unwrap().status, Status::Running);
    }

    async fn a_child_that_is_terminated_tells_its_parent(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let root = tree(&world, &client).await;
        client.orchestration::<u32>("depth-0").terminate("the middle").recursive().await.unwrap();
        let failure = world.failure(&root).await;
        assert!(failure.contains("the middle"), "{failure}");
        assert_eq!(root.status().await.unwrap().status, Status::Failed);
        let leaf = client.orchestration::<Vec<u32>>("leaf");
        world.until(&leaf, Status::Terminated).await;
    }

    async fn running_activities_hear_of_it(world: World) {
        let worker = world.worker().await;
        let handle = worker.client().start(forever("machine".to_owned())).await.unwrap();
        world.drive(async {
            while world.machines.tries("machine") == 0 {
                tokio::task::yield_now().await;
            }
        }).await;
        handle.terminate("stop").await.unwrap();
        assert!(world.failure(&handle).await.contains("stop"));
        world.drive(async {
            while !world.machines.was_cancelled("machine") {
                tokio::task::yield_now().await;
            }
        }).await;
    }

    async fn a_termination_survives_workers_that_die(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        let root = tree(&world, &client).await;
        drop(worker);
        root.terminate("all of it").recursive().await.unwrap();
        for _ in 0..3 {
            let worker = world.worker().await;
            settle().await;
            drop(worker);
        }
        let _worker = world.worker().await;
        for id in ["root", "depth-0", "leaf"] {
            let handle = client.orchestration::<u32>(id);
            world.until(&handle, Status::Terminated).await;
        }
    }

    async fn a_termination_does_not_meet_the_next_run_under_the_id(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        let first = client.start(collect(1).instance_id("a")).await.unwrap();
        world.drive(first.wait_for_start()).await.unwrap();
        worker.shutdown().await;
        // All of this is accepted while the first run goes on, and the last of it comes too late.
        first.raise_event("number", 1_u32).await.unwrap();
        first.terminate("too late").await.unwrap();
        first.suspend("too late").await.unwrap();
        let _worker = world.worker().await;
        assert_eq!(world.drive(first.result()).await.unwrap(), [1]);
        let second = client.start(collect(1).instance_id("a")).await.unwrap();
        settle().await;
        second.raise_event("number", 2_u32).await.unwrap();
        assert_eq!(world.drive(second.result()).await.unwrap(), [2]);
        let query = InstanceQuery { statuses: vec![Status::Terminated], ..Default::default() };
        assert_eq!(client.count(&query).await.unwrap(), 0);
        assert!(matches!(
            client.orchestration::<()>("b").terminate("x").await,
            Err(ClientError::NotFound { .. })
        ));
    }
}
