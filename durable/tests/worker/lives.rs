//! Workers that end, politely or not, and those that come after them; instances that no worker
//! can continue.

use std::time::Duration;

use durable::store::{Batch, InstanceKind, InstanceQuery, Status, Store};
use durable::{Clock, Worker, WorkerError};

use crate::programs::*;

/// Lets everything run that can.
async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_worker_that_was_dropped_is_followed_by_one_of_the_same_name() {
    let world = World::new();
    let worker = world.worker().await;
    let client = world.stranger();
    let gated = client.start(gated("g".to_owned())).await.unwrap();
    let waiting = client.start(approval()).await.unwrap();
    settle().await;
    assert_eq!(world.counts.of("g"), 1);
    drop(worker);
    settle().await;
    waiting.raise_event("go", true).await.unwrap();

    let _worker = world.worker().await;
    world.gate.open();
    // The attempt that was lost counts, and what came after it ran once.
    assert_eq!(world.drive(gated.result()).await.unwrap(), 2);
    assert_eq!(world.counts.of("g"), 2);
    assert_eq!(world.counts.of("add_one 1"), 1);
    waiting.raise_event("name", "Ann".to_owned()).await.unwrap();
    waiting.raise_event("name", "Bob".to_owned()).await.unwrap();
    assert_eq!(world.drive(waiting.result()).await.unwrap(), "Ann Bob true");
}

#[tokio::test]
async fn a_shutdown_hands_over_to_the_next_worker_at_once() {
    let world = World::new();
    let first = world.builder().worker_id("first").start().await.unwrap();
    let second = world.builder().worker_id("second").start().await.unwrap();
    let client = world.stranger();
    let chain = client.start(chain(30)).await.unwrap();
    let waiting = client.start(approval()).await.unwrap();
    world.drive(waiting.wait_for_start()).await.unwrap();
    first.shutdown().await;

    let start = world.now();
    waiting.raise_event("name", "Ann".to_owned()).await.unwrap();
    waiting.raise_event("name", "Bob".to_owned()).await.unwrap();
    waiting.raise_event("go", false).await.unwrap();
    assert_eq!(world.drive(waiting.result()).await.unwrap(), "Ann Bob false");
    assert_eq!(world.drive(chain.result()).await.unwrap(), 30);
    let passed = world.now().saturating_since(start);
    assert!(passed < Duration::from_secs(5), "no lease had to run out: {passed:?}");
    second.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_keeps_results_that_still_arrive() {
    let world = World::new();
    let worker = world.worker().await;
    let client = world.stranger();
    let handle = client.start(gated("g".to_owned())).await.unwrap();
    settle().await;
    let gate = world.gate.clone();
    let ((), ()) = tokio::join!(worker.shutdown(), async {
        settle().await;
        gate.open();
    });
    let _worker = world.worker().await;
    assert_eq!(world.drive(handle.result()).await.unwrap(), 1);
    assert_eq!(world.counts.of("g"), 1);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let world = World::new();
    let worker = world.worker().await;
    let client = world.stranger();
    let handle = client.start(gated("g".to_owned())).await.unwrap();
    settle().await;
    world.drive(worker.shutdown()).await;
    world.gate.open();
    let _worker = world.worker().await;
    assert_eq!(world.drive(handle.result()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_worker_without_the_function_blocks_the_instance_visibly_until_one_comes() {
    let world = World::new();
    let worker = world.bare_builder().activity(add_one).start().await.unwrap();
    let client = world.stranger();
    let handle = client.start(approval().instance_id("a")).await.unwrap();
    handle.raise_event("go", true).await.unwrap();
    let counter = client.entity::<Counter>("c");
    counter.add(3).signal().await.unwrap();
    settle().await;
    let status = handle.status().await.unwrap();
    assert_eq!(status.status, Status::Pending);
    let reason = status.blocked.unwrap();
    assert!(reason.contains("orchestrator `approval`"), "{reason}");
    let query = InstanceQuery { kind: Some(InstanceKind::Entity), ..InstanceQuery::default() };
    let entities = client.list(query).all().await.unwrap();
    assert!(entities[0].blocked.as_ref().unwrap().contains("entity `Counter`"), "{entities:?}");
    drop(worker);

    let _worker = world.worker().await;
    handle.raise_event("name", "Ann".to_owned()).await.unwrap();
    handle.raise_event("name", "Bob".to_owned()).await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), "Ann Bob true");
    assert_eq!(handle.status().await.unwrap().blocked, None);
    assert_eq!(world.drive(counter.add(1).into_future()).await.unwrap(), 4);
}

#[tokio::test]
async fn a_state_that_does_not_fit_blocks_its_instance_and_no_other() {
    let world = World::new();
    let worker = world.worker().await;
    let client = world.stranger();
    let handle = client.start(approval().instance_id("a")).await.unwrap();
    settle().await;
    drop(worker);
    edit_state(&world, "a", |state| state.replace("AwaitEventName", "AwaitNothing")).await;

    let worker = world.worker().await;
    handle.raise_event("name", "Ann".to_owned()).await.unwrap();
    settle().await;
    let status = handle.status().await.unwrap();
    let reason = status.blocked.unwrap_or_else(|| panic!("not blocked: {:?}", status.saved));
    assert!(reason.contains("no state `AwaitNothing"), "{reason}");
    let other = worker.client().start(chain(3)).await.unwrap();
    assert_eq!(other.result().await.unwrap(), 3);
    drop(worker);

    edit_state(&world, "a", |state| state.replace("AwaitNothing", "AwaitEventName")).await;
    let _worker = world.worker().await;
    handle.raise_event("name", "Bob".to_owned()).await.unwrap();
    handle.raise_event("go", true).await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), "Ann Bob true");
}

/// Changes what is stored of an instance, as an operator with an editor might.
async fn edit_state(world: &World, id: &str, edit: impl Fn(&str) -> String) {
    let now = world.now();
    let leases = world.memory.acquire_leases("worker", 4, &[], now, now).await.unwrap();
    for lease in &leases {
        for stored in world.memory.load_instances(lease, &[id.to_owned()]).await.unwrap() {
            let record = stored.record;
            let change = durable::store::InstanceChange {
                no: record.no,
                create: None,
                renew: None,
                status: record.status,
                blocked: record.blocked,
                busy: false,
                state: record.state.map(|state| edit(&state).into()),
                custom_status: None,
                output: None,
                updated_at: now,
                finished_at: None,
                put_side: Vec::new(),
                delete_side: Vec::new(),
                clear_side: false,
                history: Vec::new(),
                forget_history_before: None,
            };
            let batch = Batch { instances: vec![change], ..Batch::default() };
            world.memory.commit(lease, batch).await.unwrap();
        }
    }
    world.memory.release_leases(&leases).await.unwrap();
}

#[tokio::test]
async fn a_worker_does_not_start_with_what_cannot_work() {
    let world = World::new();
    let twice = world.builder().orchestrator(chain).activity(add_one).start().await.unwrap_err();
    let WorkerError::Duplicates(names) = &twice else { panic!("{twice}") };
    assert_eq!(names, &["orchestrator `chain`", "activity `add_one`"]);
    let error = world.builder().max_concurrent_activities(0).start().await.unwrap_err();
    assert!(matches!(error, WorkerError::Option { .. }), "{error}");
    let day = Duration::from_hours(24);
    let error = world.builder().purge_after(Status::Running, day).start().await.unwrap_err();
    assert!(error.to_string().contains("`purge_after` names Running"), "{error}");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_harms_nobody() {
    let world = World::new();
    let worker: Worker = world.worker().await;
    let handle = worker.client().start(approval().instance_id("a")).await.unwrap();
    settle().await;
    let messages =
        [("x", "not json"), ("y", "{\"unheard_of\":{}}"), ("z", "{\"timer\":{\"task\":99}}")];
    let mut envelopes = Vec::new();
    for partition in 0..4 {
        for (id, body) in messages {
            for target in ["a", "nobody"] {
                envelopes.push(durable::store::Envelope {
                    message: durable::store::Message {
                        id: format!("{id}{partition}{target}"),
                        partition: durable::store::PartitionId(partition),
                        target: target.to_owned(),
                        due_at: None,
                        body: body.into(),
                    },
                    condition: durable::store::Condition::None,
                });
            }
        }
    }
    world.memory.send(envelopes, world.now()).await.unwrap();
    for (name, value) in [("name", "Ann"), ("name", "Bob")] {
        handle.raise_event(name, value.to_owned()).await.unwrap();
    }
    handle.raise_event("go", true).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "Ann Bob true");
    settle().await;
    let leases = world.memory.acquire_leases("worker", 4, &[], world.now(), world.now()).await;
    for lease in leases.unwrap() {
        let polled = world.memory.poll(&lease, world.now(), 100).await.unwrap();
        assert_eq!(polled.inbox, [], "every message is used up");
    }
}

#[tokio::test]
async fn a_worker_whose_leases_ran_out_cannot_harm_its_successor() {
    let world = World::new();
    let zombie = world.builder().worker_id("zombie").start().await.unwrap();
    let client = zombie.client();
    let handle = client.start(gated("g".to_owned())).await.unwrap();
    settle().await;
    // It sleeps past its lease: nobody renews, and another one comes first.
    let later = world.now() + Duration::from_hours(1);
    world.memory.check_in("zombie", later, later).await.unwrap();
    let leases = world.memory.acquire_leases("heir", 4, &[], later, later).await.unwrap();
    assert_eq!(leases.len(), 4);
    world.memory.release_leases(&leases).await.unwrap();
    let heir = world.builder().worker_id("heir").start().await.unwrap();
    settle().await;
    assert_eq!(world.counts.of("g"), 2);
    world.gate.open();
    assert_eq!(world.drive(handle.result()).await.unwrap(), 2);
    // The attempt of the zombie ended too, and its commit was refused.
    assert_eq!(world.counts.of("add_one 1"), 1);
    let own = heir.client().start(chain(3)).await.unwrap();
    assert_eq!(world.drive(own.result()).await.unwrap(), 3);
    zombie.shutdown().await;
}

#[tokio::test]
async fn a_worker_takes_over_what_others_give_up_and_keeps_what_it_has() {
    let world = World::new();
    let now = world.now();
    // Two partitions belong to somebody who is gone, for another minute.
    let gone = world.memory.acquire_leases("gone", 2, &[], now, now + Duration::from_mins(1)).await;
    assert_eq!(gone.unwrap().len(), 2);
    let _worker = world.worker().await;
    let client = world.stranger();
    let mut handles = Vec::new();
    for n in 0..10 {
        handles
            .push(client.start(gated("g".to_owned()).instance_id(format!("p{n}"))).await.unwrap());
    }
    settle().await;
    let mut pending = 0;
    for handle in &handles {
        pending += u32::from(handle.status().await.unwrap().status == Status::Pending);
    }
    assert!((1..10).contains(&pending), "{pending} of 10 wait for their owner");
    assert_eq!(world.counts.of("g"), 10 - pending);

    world.drive(world.clock.sleep_until(now + Duration::from_secs(62))).await;
    settle().await;
    world.gate.open();
    for handle in handles {
        // Taking more did not disturb what ran: it is still the first attempt.
        assert_eq!(world.drive(handle.result()).await.unwrap(), 1);
    }
    assert_eq!(world.counts.of("g"), 10);
}

/// The lease of a partition is that of the attempts in it, and is renewed while they run.
#[tokio::test]
async fn an_attempt_may_take_much_longer_than_a_lease() {
    // Nothing moves where there is only one partition.
    let world = World::with_partitions(1);
    let worker = world.builder().lease_length(Duration::from_secs(2)).start().await.unwrap();
    let handle = worker.client().start(gated("a".to_owned())).await.unwrap();
    world.drive(world.clock.sleep_until(world.now() + Duration::from_mins(2))).await;
    // Somebody else who wants the partitions does not get them meanwhile.
    let other = world.builder().worker_id("other").start().await.unwrap();
    world.drive(world.clock.sleep_until(world.now() + Duration::from_mins(2))).await;
    world.gate.open();
    assert_eq!(world.drive(handle.result()).await.unwrap(), 1, "it is the first attempt");
    assert_eq!(other.metrics().turns, 0);
}
