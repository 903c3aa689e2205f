//! Stores that fail and processes that die, at every commit: what comes out is always the same.

use std::sync::Arc;
use std::time::Duration;

use durable::store::{Condition, InstanceQuery, Status, Store, StoreErrorKind as Kind};
use durable::testing::{self, Fault, FaultyStore, TestHub};
use durable::{Client, ClientError, Clock};

use crate::programs::*;

/// Everything at once: a chain, a fan-out, children, events, timers, an entity.
pub async fn scenario(client: Client) -> String {
    let chain = client.start(chain(6)).await.unwrap();
    let fan = client.start(fan_out(40)).await.unwrap();
    let family = client.start(family(5)).await.unwrap();
    let nap = client.start(nap(vec![1, 5])).await.unwrap();
    let shop = client.start(shopping("shop".to_owned())).await.unwrap();
    let approval = client.start(approval()).await.unwrap();
    for name in ["Ann", "Bob"] {
        approval.raise_event("name", name.to_owned()).await.unwrap();
    }
    approval.raise_event("go", true).await.unwrap();
    client.entity::<Counter>("till").add(1).signal().await.unwrap();
    let counter = client.entity::<Counter>("till");
    let mut total = 0;
    for _ in 0..3 {
        total = counter.add(10).await.unwrap();
    }
    nap.result().await.unwrap();
    format!(
        "{} {} {} {} {} {total}",
        chain.result().await.unwrap(),
        fan.result().await.unwrap(),
        family.result().await.unwrap(),
        shop.result().await.unwrap(),
        approval.result().await.unwrap(),
    )
}

pub const EXPECTED: &str = "6 820 10 140 Ann Bob true 31";

#[tokio::test]
async fn the_scenario_itself() {
    let world = World::new();
    let worker = world.worker().await;
    assert_eq!(world.drive(scenario(world.stranger())).await, EXPECTED);
    worker.shutdown().await;
    let client = world.stranger();
    assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 6 + 5 + 2);
}

/// Runs the scenario on stores that fail by seed.
async fn survives(kinds: &'static [Fault], resident: usize) {
    for seed in 0..15 {
        let world = World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 6, kinds)));
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let result = world.drive(scenario(world.stranger())).await;
        assert_eq!(result, EXPECTED, "seed {seed}");
        drop(worker);
    }
}

#[tokio::test]
async fn commits_that_are_refused_change_nothing() {
    const KINDS: &[Fault] = &[
        Fault::Before(Kind::Unavailable),
        Fault::Before(Kind::LeaseLost),
        Fault::Before(Kind::Conflict),
        Fault::Before(Kind::Full),
    ];
    survives(KINDS, 100).await;
    survives(KINDS, 0).await;
}

#[tokio::test]
async fn commits_whose_outcome_is_unknown_count_once() {
    const KINDS: &[Fault] =
        &[Fault::Before(Kind::OutcomeUnknown), Fault::After(Kind::OutcomeUnknown)];
    survives(KINDS, 100).await;
    survives(KINDS, 0).await;
}

/// Another worker comes in the middle of it, and the first one goes in good order or dies.
#[tokio::test]
async fn partitions_that_move_between_stores_that_fail_lose_nothing() {
    const KINDS: &[Fault] = &[
        Fault::Before(Kind::Unavailable),
        Fault::Before(Kind::OutcomeUnknown),
        Fault::After(Kind::OutcomeUnknown),
    ];
    for seed in 0..12 {
        let world = World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 6, KINDS)));
        let lease = std::time::Duration::from_secs(2);
        let builder = || world.builder().lease_length(lease);
        let one = builder().worker_id("one").start().await.unwrap();
        let scenario = tokio::spawn(scenario(world.stranger()));
        let two = builder().worker_id("two").start().await.unwrap();
        world.drive(world.clock.sleep_until(world.now() + lease * 2)).await;
        assert!(two.metrics().leases_acquired > 0, "seed {seed}");
        if seed % 2 == 0 {
            world.drive(one.shutdown()).await;
        } else {
            drop(one);
        }
        assert_eq!(world.drive(scenario).await.unwrap(), EXPECTED, "seed {seed}");
    }
}

/// Answers to clients in the worker's own process are stored nowhere: a commit in doubt must not
/// lose them.
#[tokio::test]
async fn a_local_caller_gets_its_answer_whatever_becomes_of_the_commit() {
    const KINDS: &[Fault] =
        &[Fault::Before(Kind::OutcomeUnknown), Fault::After(Kind::OutcomeUnknown)];
    for seed in 0..10 {
        let world = World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 3, KINDS)));
        let worker = world.worker().await;
        let counter = worker.client().entity::<Counter>("a");
        world
            .drive(async {
                for n in 1..=10 {
                    assert_eq!(counter.add(1).await.unwrap(), n, "seed {seed}");
                }
            })
            .await;
    }
}

/// A commit is in doubt, and so is what the caller stores after it: only what the commit itself left
/// says that it happened.
#[tokio::test]
async fn an_answer_in_doubt_is_believed_only_if_its_commit_happened() {
    for (fault, expected) in
        [(Fault::Before(Kind::OutcomeUnknown), 11), (Fault::After(Kind::OutcomeUnknown), 1)]
    {
        let (world, faulty) = World::new().faulty();
        let worker = world.worker().await;
        let elsewhere = world.stranger();
        // The next commits take their time, so that the caller is sooner with what he finds out.
        faulty.plan(move |number, _| match number {
            1 => fault,
            2..=4 => Fault::Before(Kind::Unavailable),
            _ => Fault::None,
        });
        faulty.plan_sends(move |number, _| {
            if number == 1 {
                at_once(elsewhere.entity::<Counter>("c").add(10).signal()).unwrap();
            }
            if number <= 2 { Fault::After(Kind::OutcomeUnknown) } else { Fault::None }
        });
        let counter = worker.client().entity::<Counter>("c");
        assert_eq!(world.drive(counter.add(1).into_future()).await.unwrap(), expected);
        assert_eq!(world.drive(counter.get().into_future()).await.unwrap(), 11);
    }
}

/// The commit did not happen, but what the caller stored after it may have been heard of or not.
#[tokio::test]
async fn an_answer_of_which_nobody_knows_is_lost() {
    let (world, faulty) = World::new().faulty();
    let worker = world.worker().await;
    faulty.plan(|number, _| match number {
        1 => Fault::Before(Kind::OutcomeUnknown),
        2..=4 => Fault::Before(Kind::Unavailable),
        _ => Fault::None,
    });
    let mut is_first = true;
    faulty.plan_sends(move |_, envelopes| {
        let is_stored = envelopes.iter().all(|sent| matches!(sent.condition, Condition::None));
        let is_unheard = is_stored && std::mem::take(&mut is_first);
        if is_unheard { Fault::After(Kind::OutcomeUnknown) } else { Fault::None }
    });
    let counter = worker.client().entity::<Counter>("c");
    let lost = world.drive(counter.add(1).into_future()).await;
    assert!(matches!(lost, Err(ClientError::AnswerLost { .. })), "{lost:?}");
    assert_eq!(world.drive(counter.get().into_future()).await.unwrap(), 1);
}

/// A commit has happened, and its worker is gone before it hears of that.
#[tokio::test]
async fn who_called_finds_out_what_a_worker_that_was_dropped_had_done() {
    let (world, faulty) = World::new().faulty();
    let worker = world.worker().await;
    faulty.plan(|_, _| Fault::SilenceAfter);
    let counter = worker.client().entity::<Counter>("a");
    let call = tokio::spawn(counter.add(1).into_future());
    settle(200).await;
    drop(worker);
    assert_eq!(world.drive_to_end(call).await.unwrap().unwrap(), 1);
    // The client goes on with whoever comes.
    faulty.plan(|_, _| Fault::None);
    let call = tokio::spawn(counter.add(1).into_future());
    settle(200).await;
    let _next = world.worker().await;
    assert_eq!(world.drive_to_end(call).await.unwrap().unwrap(), 2);
}

/// The same where the call was stored, so that its caller does not send it again.
#[tokio::test]
async fn nobody_waits_for_an_answer_that_a_worker_took_with_it() {
    let (world, faulty) = World::new().faulty();
    let worker = world.worker().await;
    faulty.plan(|number, _| match number {
        1 => Fault::Before(Kind::LeaseLost),
        _ => Fault::SilenceAfter,
    });
    let counter = worker.client().entity::<Counter>("a");
    let call = tokio::spawn(counter.add(1).into_future());
    world.drive(world.clock.sleep_until(world.now() + Duration::from_secs(3))).await;
    assert_eq!(faulty.commits(), 2);
    drop(worker);
    let lost = world.drive_to_end(call).await.unwrap();
    assert!(matches!(lost, Err(ClientError::AnswerLost { .. })), "{lost:?}");
}

/// The same where the runtime of the worker ends under it.
#[test]
fn a_caller_outlives_the_runtime_of_the_worker() {
    let (world, faulty) = World::new().faulty();
    let below = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let worker = below.block_on(world.worker());
    faulty.plan(|_, _| Fault::SilenceAfter);
    let counter = worker.client().entity::<Counter>("a");
    let call = here.spawn(counter.add(1).into_future());
    here.block_on(async {
        while faulty.commits() == 0 {
            tokio::task::yield_now().await;
        }
    });
    drop(below);
    assert_eq!(here.block_on(world.drive_to_end(call)).unwrap().unwrap(), 1);
}

/// Kills the worker at each commit in turn, before and after it, until none is left.
async fn sweep(resident: usize) {
    testing::crash_at_every_commit(
        || TestHub::builder().worker(programs).resident_instances(resident),
        async |hub| assert_eq!(hub.run(scenario(hub.client())).await, EXPECTED),
    )
    .await;
}

#[tokio::test]
async fn a_worker_that_dies_at_any_commit_changes_nothing() {
    sweep(100).await;
}

#[tokio::test]
async fn a_worker_without_residents_that_dies_at_any_commit_changes_nothing() {
    sweep(0).await;
}

#[tokio::test]
async fn a_batch_that_is_too_large_blocks_only_who_made_it() {
    let (world, faulty) = World::new().faulty();
    let worker = world.worker().await;
    let client = worker.client();
    let poisonous = client.start(approval().instance_id("poison")).await.unwrap();
    poisonous.wait_for_start().await.unwrap();
    let no = world.memory.read_instances(&["poison".to_owned()]).await.unwrap()[0].no;
    faulty.plan(move |_, batch| {
        let bad = batch.instances.iter().any(|c| c.no == no && c.blocked.is_none());
        if bad { Fault::Before(Kind::Limit) } else { Fault::None }
    });
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(client.start(chain(10)).await.unwrap());
    }
    poisonous.raise_event("name", "Ann".to_owned()).await.unwrap();
    for other in others {
        assert_eq!(other.result().await.unwrap(), 10);
    }
    let status = poisonous.status().await.unwrap();
    assert_eq!(status.status, Status::Running);
    assert!(status.blocked.unwrap().contains("cannot be stored"));
}
