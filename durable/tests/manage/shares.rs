//! Several workers on one hub: each gets its share of the partitions, whoever comes, goes or dies,
//! and nothing is lost or done twice while partitions move.

use std::time::Duration;

use durable::testing::Random;
use durable::{Handle, InstanceQuery, Timestamp, Worker};

use crate::world::*;

/// A short lease, so that little time has to pass.
const LEASE: Duration = Duration::from_secs(6);
/// Free partitions are looked for at least so often, and something has to happen then.
const SOON: Duration = Duration::from_millis(1_500);

/// A seed of one's own, to try it again.
const SEED: &str = "DURABLE_TEST_SEED";

async fn worker(world: &World, id: &str) -> Worker {
    let builder = world.builder().worker_id(id).lease_length(LEASE);
    world.drive(builder.start()).await.unwrap()
}

/// How many partitions each worker has that is alive, the most first.
async fn held(world: &World) -> Vec<u16> {
    let peers = world.store.check_in("observer", world.now(), Timestamp::MIN).await.unwrap();
    let mut held: Vec<u16> = peers.iter().map(|peer| peer.partitions).collect();
    held.sort_by_key(|held| std::cmp::Reverse(*held));
    held
}

/// Waits until the workers hold so many, and returns how long that took.
async fn until_held(world: &World, wanted: &[u16]) -> Duration {
    const PATIENCE: Duration = Duration::from_mins(2);
    let began = world.now();
    world
        .drive(async {
            loop {
                let held = held(world).await;
                if held == wanted {
                    return;
                }
                let waited = world.now().saturating_since(began);
                assert!(waited < PATIENCE, "{held:?} instead of {wanted:?}");
                world.pass(Duration::from_millis(10)).await;
            }
        })
        .await;
    let took = world.now().saturating_since(began);
    println!("{wanted:?} after {took:?}");
    took
}

fn moved(workers: &[&Worker]) -> u64 {
    workers.iter().map(|worker| worker.metrics().leases_moved).sum()
}

on_every_store! {
    async fn a_second_worker_gets_its_half_within_one_lease_length(world: World) {
        let one = worker(&world, "one").await;
        assert_eq!(held(&world).await, [4]);
        let two = worker(&world, "two").await;
        let took = until_held(&world, &[2, 2]).await;
        assert!(took <= LEASE, "{took:?}");
        assert_eq!(moved(&[&one, &two]), 2);
        assert_eq!(one.metrics().leases_lost, 0, "what is handed over is not lost");

        let three = worker(&world, "three").await;
        let took = until_held(&world, &[2, 1, 1]).await;
        assert!(took <= LEASE, "{took:?}");
        assert_eq!(moved(&[&one, &two, &three]), 3);
    }

    async fn workers_that_have_their_shares_leave_everything_where_it_is(world: World) {
        let (one, two) = (worker(&world, "one").await, worker(&world, "two").await);
        let three = worker(&world, "three").await;
        until_held(&world, &[2, 1, 1]).await;
        let before = moved(&[&one, &two, &three]);
        world.drive(world.pass(LEASE * 5)).await;
        assert_eq!(held(&world).await, [2, 1, 1]);
        assert_eq!(moved(&[&one, &two, &three]), before);
    }

    async fn more_workers_than_partitions_wait_for_their_turn(world: World) {
        let mut workers = Vec::new();
        for n in 0..6 {
            workers.push(worker(&world, &format!("w{n}")).await);
        }
        until_held(&world, &[1, 1, 1, 1, 0, 0]).await;
        // The first had all of them, and has kept one.
        drop(workers.remove(0));
        let took = until_held(&world, &[1, 1, 1, 1, 0]).await;
        assert!(took <= LEASE + SOON, "{took:?}");
    }

    async fn a_graceful_stop_gives_everything_to_the_others_at_once(world: World) {
        let (one, two) = (worker(&world, "one").await, worker(&world, "two").await);
        until_held(&world, &[2, 2]).await;
        let began = world.now();
        world.drive(one.shutdown()).await;
        until_held(&world, &[4]).await;
        let took = world.now().saturating_since(began);
        assert!(took <= SOON, "{took:?}");
        assert_eq!(moved(&[&two]), 0);
    }

    async fn the_partitions_of_a_worker_that_died_are_taken_after_its_lease(world: World) {
        let (one, _two) = (worker(&world, "one").await, worker(&world, "two").await);
        until_held(&world, &[2, 2]).await;
        drop(one);
        let took = until_held(&world, &[4]).await;
        assert!(took <= LEASE + SOON, "{took:?}");
    }

    async fn a_worker_that_died_before_it_got_anything_keeps_nobody_waiting(world: World) {
        let _one = worker(&world, "one").await;
        drop(worker(&world, "two").await);
        world.drive(world.pass(LEASE * 2 / 3 + SOON)).await;
        assert_eq!(held(&world).await, [4]);
    }

    async fn a_worker_that_starts_anew_takes_what_it_had(world: World) {
        let (one, _two) = (worker(&world, "one").await, worker(&world, "two").await);
        until_held(&world, &[2, 2]).await;
        drop(one);
        let one = worker(&world, "one").await;
        assert_eq!(one.metrics().leases_acquired, 2);
    }

    async fn an_activity_hears_that_its_partition_moves_and_may_still_end(world: World) {
        const COUNT: usize = 12;
        let _one = worker(&world, "one").await;
        let client = world.client();
        let mut handles = Vec::new();
        for n in 0..COUNT {
            let name = format!("h{n}");
            let handle = world.drive(client.start(forever(name.clone()).instance_id(name))).await;
            handles.push(handle.unwrap());
        }
        for n in 0..COUNT {
            until_tried(&world, &format!("h{n}")).await;
        }
        let _two = worker(&world, "two").await;
        until_held(&world, &[2, 2]).await;
        let mut ended = 0;
        for (n, handle) in handles.iter().enumerate() {
            let name = format!("h{n}");
            if world.machines.was_cancelled(&name) {
                world.drive(handle.result()).await.unwrap();
                ended += 1;
            }
            assert_eq!(world.machines.tries(&name), 1, "{name} was not begun again");
        }
        assert!((1..COUNT).contains(&ended), "{ended} of {COUNT} were in partitions that moved");
    }

    async fn nothing_is_lost_or_done_twice_while_workers_come_and_go(world: World) {
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        println!("{SEED}={seed}");
        let mut random = Random::new(seed);
        let mut fleet = Fleet { workers: vec![worker(&world, "w0").await], started: 1 };
        let client = world.client();
        let (mut fans, mut lines, mut coins) = (Vec::new(), Vec::new(), [0; 3]);
        for round in 0..40_usize {
            let names = named(&["a", "b", "c", "d", "e"]);
            fans.push(start(&world, client.start(fan(names.clone()))).await);
            lines.push(start(&world, client.start(steps(names))).await);
            for (purse, coins) in coins.iter_mut().enumerate() {
                let entity = client.entity::<Purse>(purse.to_string());
                world.drive(entity.put(1).signal()).await.unwrap();
                *coins += 1;
            }
            if round % 2 == 0 {
                fleet.change(&world, &mut random).await;
            }
            let pause = Duration::from_millis(random.below(3_000));
            world.drive(world.pass(pause)).await;
        }
        for handle in fans.into_iter().chain(lines) {
            assert_eq!(world.drive(handle.result()).await.unwrap(), "a b c d e", "seed {seed}");
        }
        for (purse, coins) in coins.into_iter().enumerate() {
            let entity = client.entity::<Purse>(purse.to_string());
            let total = world.drive(entity.put(0).into_future()).await.unwrap();
            assert_eq!(total, coins, "seed {seed}");
        }
        let all = world.drive(client.count(&InstanceQuery::default())).await.unwrap();
        assert_eq!(all, 40 * 2 + 3, "seed {seed}");
    }
}

async fn until_tried(world: &World, name: &str) {
    world
        .drive(async {
            while world.machines.tries(name) == 0 {
                world.pass(Duration::from_millis(10)).await;
            }
        })
        .await;
}

async fn start(
    world: &World,
    start: impl IntoFuture<Output = Result<Handle<String>, durable::ClientError>>,
) -> Handle<String> {
    world.drive(start.into_future()).await.unwrap()
}

/// Workers that come, go in good order, and die, by seed. One at least stays.
struct Fleet {
    workers: Vec<Worker>,
    started: usize,
}

impl Fleet {
    async fn change(&mut self, world: &World, random: &mut Random) {
        let some = usize::try_from(random.below(self.workers.len() as u64)).unwrap();
        match random.below(4) {
            0 if self.workers.len() > 1 => {
                let leaving = self.workers.remove(some);
                world.drive(leaving.shutdown()).await;
            }
            1 if self.workers.len() > 1 => drop(self.workers.remove(some)),
            _ if self.workers.len() < 6 => {
                let id = format!("w{}", self.started);
                self.started += 1;
                self.workers.push(worker(world, &id).await);
            }
            _ => {}
        }
    }
}
