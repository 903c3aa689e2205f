//! Messages of clients that share the process with the worker: they are handed to it, and stored
//! only together with what they lead to. Whatever goes wrong on that way, nothing is lost, doubled
//! or out of order.

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use durable::store::{Batch, InstanceChange, InstanceQuery, Status, StoreErrorKind as Kind};
use durable::testing::{Fault, FaultyStore};
use durable::{Client, ClientError, IdReuse};
use serde::{Deserialize, Serialize};

use crate::faults::{EXPECTED, scenario};
use crate::programs::*;

/// Keeps what it is told in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Log {
    entries: Vec<u64>,
}

#[durable::entity]
impl Log {
    pub fn push(&mut self, entry: u64) {
        self.entries.push(entry);
    }

    pub fn entries(&self) -> Vec<u64> {
        self.entries.clone()
    }
}

/// A world whose commits are seen.
fn seen(see: impl Fn(&Batch) + Send + Sync + 'static) -> World {
    World::new().with(|store| {
        let store = FaultyStore::new(store);
        store.plan(move |_, batch| {
            see(batch);
            Fault::None
        });
        Arc::new(store)
    })
}

#[tokio::test]
async fn a_message_to_the_own_worker_is_never_stored_alone() {
    let (consumed, received, made) =
        <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let counts = (consumed.clone(), received.clone(), made.clone());
    let world = seen(move |batch| {
        counts.0.fetch_add(batch.consume.len(), Ordering::Relaxed);
        counts.1.fetch_add(batch.receipts.len(), Ordering::Relaxed);
        let new = batch.instances.iter().filter(|change| change.create.is_some());
        counts.2.fetch_add(new.count(), Ordering::Relaxed);
    });
    let worker = world.worker().await;
    let client = worker.client();
    let counter = client.entity::<Counter>("c");
    world
        .drive(async {
            for n in 1..=5 {
                assert_eq!(counter.add(1).await.unwrap(), n);
            }
            let named = client.start(chain(2).instance_id("named")).await.unwrap();
            assert_eq!(named.result().await.unwrap(), 2);
            let waiting = client.start(approval()).await.unwrap();
            for name in ["Ann", "Bob"] {
                waiting.raise_event("name", name.to_owned()).await.unwrap();
            }
            waiting.raise_event("go", true).await.unwrap();
            assert_eq!(waiting.result().await.unwrap(), "Ann Bob true");
        })
        .await;
    // Five calls and three events; each instance came into being with its first turn.
    let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    assert_eq!((read(&consumed), read(&received), read(&made)), (0, 8, 3));
}

#[tokio::test]
async fn what_is_wrong_is_told_as_by_the_store() {
    let world = World::new();
    let worker = world.worker().await;
    let client = worker.client();
    let handle = client.start(chain(1).instance_id("a")).await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), 1);
    assert!(matches!(
        handle.raise_event("go", true).await,
        Err(ClientError::Ended { status: Status::Completed, .. })
    ));
    assert!(matches!(
        client.orchestration::<u64>("nobody").raise_event("go", true).await,
        Err(ClientError::NotFound { .. })
    ));
    // An id is used again as its policy says.
    let refused = client.start(chain(2).instance_id("a").id_reuse(IdReuse::Refuse)).await;
    assert!(matches!(refused, Err(ClientError::AlreadyExists { .. })), "{refused:?}");
    let again = client.start(chain(2).instance_id("a")).await.unwrap();
    assert!(again.is_new());
    assert_eq!(world.drive(again.result()).await.unwrap(), 2);
    let used = client.start(chain(3).instance_id("a").id_reuse(IdReuse::UseExisting)).await;
    assert_eq!(world.drive(used.unwrap().result()).await.unwrap(), 2);
}

#[tokio::test]
async fn many_who_start_one_id_make_one_instance() {
    for resident in [100, 0] {
        let world = World::new();
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let mut starts = tokio::task::JoinSet::new();
        for n in 0..20 {
            let client = worker.client();
            starts.spawn(async move {
                client.start(chain(n).instance_id("one").id_reuse(IdReuse::Refuse)).await
            });
        }
        let results = starts.join_all().await;
        let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(won.len(), 1);
        let lost = results.iter().filter_map(|result| result.as_ref().err());
        for error in lost {
            assert!(matches!(error, ClientError::AlreadyExists { .. }), "{error}");
        }
        world.drive(won[0].result()).await.unwrap();
        // Nobody stumbled over the others.
        assert_eq!(worker.metrics().leases_lost, 0);
    }
}

#[tokio::test]
async fn an_event_for_a_blocked_instance_waits_in_the_store() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(approval().instance_id("a")).await.unwrap();
    drop(worker);
    let bare = world.bare_builder().activity(add_one).start().await.unwrap();
    let client = bare.client();
    let there = client.orchestration::<String>("a");
    there.raise_event("name", "Ann".to_owned()).await.unwrap();
    there.raise_event("name", "Bob".to_owned()).await.unwrap();
    assert!(there.status().await.unwrap().blocked.is_some());
    drop(bare);
    let _worker = world.worker().await;
    let client = world.stranger();
    client.orchestration::<String>("a").raise_event("go", true).await.unwrap();
    let result = world.drive(client.orchestration::<String>("a").result()).await.unwrap();
    assert_eq!(result, "Ann Bob true");
    drop(handle);
}

/// Faults of every kind that leaves the worker alive.
const FAULTS: &[Fault] = &[
    Fault::Before(Kind::Unavailable),
    Fault::Before(Kind::LeaseLost),
    Fault::Before(Kind::Conflict),
    Fault::Before(Kind::OutcomeUnknown),
    Fault::After(Kind::OutcomeUnknown),
];

/// Messages change between the two ways whenever the owner loses the partition, and the order
/// stays.
#[tokio::test]
async fn signals_of_one_sender_are_applied_once_and_in_order_on_whichever_way() {
    for seed in 0..20 {
        for resident in [100, 0] {
            let world =
                World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 4, FAULTS)));
            let builder = world.builder().entity::<Log>().resident_instances(resident);
            let worker = builder.start().await.unwrap();
            let sender = async |client: Client, key: &'static str| {
                for n in 0..40 {
                    client.entity::<Log>(key).push(n).signal().await.unwrap();
                }
                client.entity::<Log>(key).entries().await.unwrap()
            };
            let (one, two) = world
                .drive(async {
                    let (one, two) =
                        (sender(worker.client(), "one"), sender(worker.client(), "two"));
                    tokio::join!(Box::pin(one), Box::pin(two))
                })
                .await;
            let expected: Vec<u64> = (0..40).collect();
            assert_eq!((&one, &two), (&expected, &expected), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn the_whole_scenario_comes_out_the_same_from_the_workers_own_client() {
    for seed in 0..20 {
        for resident in [100, 0] {
            let world =
                World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 5, FAULTS)));
            let worker = world.builder().resident_instances(resident).start().await.unwrap();
            let result = world.drive(scenario(worker.client())).await;
            assert_eq!(result, EXPECTED, "seed {seed}");
        }
    }
}

/// What waits at the door when the worker leaves is stored, and done by the next one.
#[tokio::test]
async fn nothing_is_lost_when_the_worker_shuts_down() {
    let world = World::new();
    let worker = world.builder().entity::<Log>().start().await.unwrap();
    let client = worker.client();
    let done = Arc::new(Mutex::new(0_u64));
    let sending = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            for n in 0..200 {
                client.entity::<Log>("l").push(n).signal().await.unwrap();
                *done.lock().unwrap() = n + 1;
            }
        })
    };
    while *done.lock().unwrap() < 50 {
        tokio::task::yield_now().await;
    }
    worker.shutdown().await;
    world.drive(sending).await.unwrap();
    let next = world.builder().entity::<Log>().start().await.unwrap();
    let log = next.client().entity::<Log>("l");
    let entries = world.drive(async { log.entries().await.unwrap() }).await;
    assert_eq!(entries, (0..200).collect::<Vec<u64>>());
}

/// Signals an entity of another partition, or of its own, and ends.
#[durable::orchestrator]
async fn tells(ctx: &durable::OrchestrationContext, key: String, entry: u64) {
    ctx.entity::<Log>(&key).push(entry).signal();
}

/// A client that knows of an effect is not overtaken by its own message: what led to the effect
/// was stored before, and comes first.
#[tokio::test]
async fn a_message_does_not_overtake_what_its_sender_knows_of() {
    for resident in [100, 0] {
        let world = World::new();
        let builder = world.builder().entity::<Log>().orchestrator(tells);
        let worker = builder.resident_instances(resident).start().await.unwrap();
        let client = worker.client();
        for n in 0..40 {
            let key = format!("k{n}");
            let log = client.entity::<Log>(&key);
            // Known by waiting for the end, and by reading the row.
            let handle = client.start(tells(key.clone(), 1)).await.unwrap();
            if n % 2 == 0 {
                world.drive(handle.result()).await.unwrap();
            } else {
                while !handle.status().await.unwrap().status.is_terminal() {
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(world.drive(log.entries().into_future()).await.unwrap(), [1], "{key}");
        }
    }
}

/// Who heard of an instance elsewhere may be faster than its first message, which is in the store.
#[tokio::test]
async fn an_event_does_not_overtake_the_start_of_another_client() {
    for resident in [100, 0] {
        for yields in 0..30 {
            let world = World::new();
            let worker = world.builder().resident_instances(resident).start().await.unwrap();
            let (here, elsewhere) = (worker.client(), world.stranger());
            settle(200).await;
            let handle = elsewhere.start(approval().instance_id("a")).await.unwrap();
            settle(yields).await;
            let handle = here.orchestration::<String>(handle.id());
            for name in ["Ann", "Bob"] {
                handle.raise_event("name", name.to_owned()).await.unwrap();
            }
            handle.raise_event("go", true).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), "Ann Bob true", "{yields}");
        }
    }
}

fn creates(change: &InstanceChange, id: &str) -> bool {
    change.create.as_ref().is_some_and(|new| new.id == id)
}

/// One start is handed over directly while another one of the same id is stored.
#[tokio::test]
async fn a_start_that_somebody_elsewhere_outruns_disturbs_nobody() {
    for resident in [100, 0] {
        let (world, faulty) = World::with_partitions(1).faulty();
        let (elsewhere, mut made) = (world.stranger(), None);
        faulty.plan(move |_, batch| {
            if made.is_none() && batch.instances.iter().any(|change| creates(change, "one")) {
                let start = elsewhere.start(chain(7).instance_id("one"));
                made = Some(at_once(start).unwrap());
            }
            Fault::None
        });
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let client = worker.client();
        let working = client.start(gated("work".to_owned())).await.unwrap();
        settle(200).await;
        assert_eq!(world.counts.of("work"), 1);
        let (refused, beside, used) = tokio::join!(
            client.start(chain(1).instance_id("one").id_reuse(IdReuse::Refuse)),
            client.start(chain(2).instance_id("two")),
            client.start(chain(3).instance_id("one").id_reuse(IdReuse::UseExisting)),
        );
        assert!(matches!(refused, Err(ClientError::AlreadyExists { .. })), "{refused:?}");
        let used = used.unwrap();
        assert!(!used.is_new());
        assert_eq!(world.drive(used.result()).await.unwrap(), 7);
        assert_eq!(world.drive(beside.unwrap().result()).await.unwrap(), 2);
        world.gate.open();
        // Its first attempt went on all the while.
        assert_eq!(world.drive(working.result()).await.unwrap(), 1);
        assert_eq!(worker.metrics().leases_lost, 0);
    }
}

/// What the instance that was never made had taken from the store is for the one that was.
#[tokio::test]
async fn events_reach_the_instance_that_was_faster() {
    for resident in [100, 0] {
        let (world, faulty) = World::with_partitions(1).faulty();
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let (here, elsewhere) = (worker.client(), world.stranger());
        // A commit that has to be tried again gives everything else time to come into memory.
        let mut commits = 0;
        faulty.plan(move |_, _| {
            commits += 1;
            if commits == 1 { Fault::Before(Kind::Unavailable) } else { Fault::None }
        });
        let other = tokio::spawn(here.clone().entity::<Counter>("c").add(1).signal());
        settle(200).await;
        let start = approval().instance_id("one").id_reuse(IdReuse::UseExisting);
        let started = tokio::spawn(async move { here.start(start).await });
        settle(200).await;
        let handle = elsewhere.start(approval().instance_id("one")).await.unwrap();
        for name in ["Ann", "Bob"] {
            handle.raise_event("name", name.to_owned()).await.unwrap();
        }
        settle(200).await;
        world.drive(other).await.unwrap().unwrap();
        let handle = world.drive(started).await.unwrap().unwrap();
        assert!(!handle.is_new());
        handle.raise_event("go", true).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "Ann Bob true");
        assert_eq!(worker.metrics().leases_lost, 0);
    }
}

/// A batch with a start in it conflicts for another reason.
#[tokio::test]
async fn starts_beside_a_conflict_are_not_to_blame() {
    let (world, faulty) = World::with_partitions(1).faulty();
    let worker = world.builder().resident_instances(100).start().await.unwrap();
    let client = worker.client();
    let counter = client.entity::<Counter>("c");
    assert_eq!(counter.add(1).await.unwrap(), 1);
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    faulty.plan(move |_, batch| {
        let mut seen = seen.lock().unwrap();
        seen.push(batch.instances.len());
        let changes = batch.instances.iter().any(|change| change.create.is_none());
        if changes && seen.len() <= 2 { Fault::Before(Kind::Conflict) } else { Fault::None }
    });
    let (added, started) = world
        .drive(async { tokio::join!(counter.add(1).into_future(), client.start(approval())) })
        .await;
    assert_eq!(added.unwrap(), 2);
    assert!(started.unwrap().is_new());
    assert_eq!(sizes.lock().unwrap()[..2], [2, 1]);
    assert_eq!(worker.metrics().leases_lost, 1);
}

/// A batch is refused for its size while it holds a start: the start is judged by the store, and
/// whoever else waits is not kept waiting.
#[tokio::test]
async fn a_start_in_a_batch_that_is_too_large_is_stored_first() {
    for resident in [100, 0] {
        let (world, faulty) = World::with_partitions(1).faulty();
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let client = worker.client();
        faulty.plan(|_, batch| {
            let bad = batch.instances.iter().any(|change| creates(change, "poison"));
            if bad { Fault::Before(Kind::Limit) } else { Fault::None }
        });
        let (poison, beside) = tokio::join!(
            client.start(chain(1).instance_id("poison")),
            client.start(chain(2).instance_id("beside")),
        );
        assert_eq!(world.drive(beside.unwrap().result()).await.unwrap(), 2);
        let poison = poison.unwrap();
        assert!(poison.is_new());
        assert_eq!(world.drive(poison.result()).await.unwrap(), 1);
        assert_eq!(worker.metrics().leases_lost, 0);
    }
}

/// How long a call takes until it fails.
async fn time_to_fail<T: Debug>(
    world: &World,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Duration {
    let before = world.now();
    let failed = world.drive_to_end(call).await;
    assert!(matches!(failed, Err(ClientError::Store(_))), "{failed:?}");
    world.now().saturating_since(before)
}

/// Nobody waits longer for the worker than for the store that the worker waits for.
#[tokio::test]
async fn a_store_that_is_away_fails_a_message_as_soon_on_whichever_way() {
    for resident in [100, 0] {
        let (world, faulty) = World::with_partitions(1).faulty();
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let (near, far) =
            (worker.client(), Client::with_clock(faulty.clone(), world.clock.clone()));
        for client in [&near, &far] {
            world.drive(client.entity::<Counter>("a").add(1).into_future()).await.unwrap();
        }
        faulty.set_unreachable(true);
        let stored = time_to_fail(&world, far.entity::<Counter>("a").add(1).signal()).await;
        let signal = time_to_fail(&world, near.entity::<Counter>("a").add(1).signal()).await;
        let call = time_to_fail(&world, near.entity::<Counter>("b").add(1).into_future()).await;
        let start = time_to_fail(&world, near.start(chain(1))).await;
        assert!(stored >= Duration::from_secs(10));
        for direct in [signal, call, start] {
            let differs = direct.abs_diff(stored);
            assert!(differs < Duration::from_secs(6), "{direct:?} instead of {stored:?}");
        }
        faulty.set_unreachable(false);
        // What was under way has had its effect, once.
        for (key, value) in [("a", 4), ("b", 2)] {
            let counter = near.entity::<Counter>(key);
            assert_eq!(world.drive_to_end(counter.add(1).into_future()).await.unwrap(), value);
        }
    }
}

/// Who was told that a message failed and sends another one is not overtaken by the first.
#[tokio::test]
async fn a_message_that_failed_comes_before_the_next_one_or_never() {
    let (world, faulty) = World::with_partitions(1).faulty();
    let worker = world.builder().entity::<Log>().start().await.unwrap();
    let client = worker.client();
    let log = client.entity::<Log>("l");
    log.push(0).signal().await.unwrap();
    // What this may have seen is polled for before a message comes in.
    assert_eq!(client.count(&InstanceQuery::default()).await.unwrap(), 1);
    faulty.set_unreachable(true);
    time_to_fail(&world, log.push(1).signal()).await;
    faulty.set_unreachable(false);
    // So may another process, whose message is stored and not behind the first.
    Client::with_clock(world.memory.clone(), world.clock.clone())
        .entity::<Log>("l")
        .push(2)
        .signal()
        .await
        .unwrap();
    assert_eq!(world.drive_to_end(log.entries().into_future()).await.unwrap(), [0, 2]);
}

/// Whoever gives up while a message is being stored cannot know that it is. His next one stays
/// behind it all the same.
#[tokio::test]
async fn a_message_does_not_overtake_one_whose_sender_gave_up() {
    let (world, faulty) = World::with_partitions(1).faulty();
    let worker = world.builder().entity::<Log>().start().await.unwrap();
    let log = worker.client().entity::<Log>("l");
    // The first message is given back, and stored when the partition has come back and was polled.
    faulty.plan(|number, _| match number {
        1 => Fault::Before(Kind::LeaseLost),
        _ => Fault::None,
    });
    let is_stored = Arc::new(AtomicBool::new(false));
    let stored = Arc::clone(&is_stored);
    faulty.plan_sends(move |number, _| match number {
        1..=6 => Fault::Before(Kind::Unavailable),
        _ => {
            stored.store(true, Ordering::Relaxed);
            Fault::SilenceAfter
        }
    });
    let given_up = async {
        tokio::select! {
            biased;
            sent = log.push(1).signal() => panic!("{sent:?}"),
            () = poll_fn(|_| {
                if is_stored.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
            }) => {}
        }
    };
    world.drive_to_end(given_up).await;
    log.push(2).signal().await.unwrap();
    assert_eq!(world.drive_to_end(log.entries().into_future()).await.unwrap(), [1, 2]);
}
