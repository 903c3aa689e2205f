//! A large fan-out of one instance, which belongs to one worker: the others take its waiting
//! activities over through the store, and whoever of them ends or dies, the result is the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use durable::prelude::*;
use durable::store::{MemoryStore, StoreErrorKind as Kind};
use durable::testing::{Fault, FaultyStore, Random};
use durable::{Clock, Handle, VirtualClock, Worker};

use crate::world::*;

const LEASE: Duration = Duration::from_secs(6);
/// How long a chore takes.
const CHORE: Duration = Duration::from_millis(200);
const SEED: &str = "DURABLE_TEST_SEED";

/// What was begun, where, and as which attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Begun {
    worker: String,
    n: u64,
    attempt: u32,
}

#[derive(Debug, Default)]
struct Log {
    begun: Vec<Begun>,
    cancelled: usize,
    /// Chores that are begun do not end by themselves.
    is_closed: bool,
    /// They do not even end when they are cancelled.
    is_stubborn: bool,
}

/// What a worker gives its chores.
#[derive(Debug, Clone)]
pub struct Place {
    worker: String,
    clock: VirtualClock,
    log: Arc<Mutex<Log>>,
}

#[activity]
pub async fn chore(ctx: &ActivityContext, n: u64) -> anyhow::Result<u64> {
    let place = ctx.data::<Place>()?;
    let begun = Begun { worker: place.worker.clone(), n, attempt: ctx.attempt() };
    place.log.lock().unwrap().begun.push(begun);
    loop {
        let time = place.clock.sleep_until(place.clock.now() + CHORE);
        tokio::select! {
            () = ctx.cancelled() => {
                let is_stubborn = {
                    let mut log = place.log.lock().unwrap();
                    log.cancelled += 1;
                    log.is_stubborn
                };
                if is_stubborn {
                    std::future::pending::<()>().await;
                }
                anyhow::bail!("cancelled");
            }
            () = time => {}
        }
        if !place.log.lock().unwrap().is_closed {
            return Ok(n);
        }
    }
}

/// Does so many chores at once.
#[orchestrator]
pub async fn spread(count: u64) -> Result<u64, TaskError> {
    let done: Vec<u64> = try_join_all((0..count).map(chore)).await?;
    Ok(done.into_iter().sum())
}

/// The same, and gives up each after a while.
#[orchestrator]
pub async fn hurried(count: u64) -> Result<u64, TaskError> {
    let policy = RetryPolicy::fixed(CHORE).max_attempts(1).attempt_timeout(Duration::from_secs(2));
    let chores = (0..count).map(|n| chore(n).retry(policy.clone()));
    let done: Vec<Result<u64, TaskError>> = join_all(chores).await;
    Ok(done.into_iter().flatten().count() as u64)
}

struct Team {
    world: World,
    log: Arc<Mutex<Log>>,
}

impl Team {
    fn new(world: World) -> Self {
        Self { world, log: Arc::default() }
    }

    /// A worker that runs so many activities at once.
    async fn worker(&self, id: &str, limit: usize) -> Worker {
        let (worker, clock, log) = (id.to_owned(), self.world.clock.clone(), self.log.clone());
        let builder = self
            .world
            .bare_builder()
            .orchestrator(spread)
            .orchestrator(hurried)
            .activity(chore)
            .data(Place { worker, clock, log });
        let builder = builder.worker_id(id).lease_length(LEASE).max_concurrent_activities(limit);
        self.world.drive(builder.start()).await.unwrap()
    }

    /// Two workers that know each other; the first owns the one partition.
    async fn pair(&self, limits: (usize, usize)) -> (Worker, Worker) {
        let one = self.worker("one", limits.0).await;
        let two = self.worker("two", limits.1).await;
        self.world.drive(self.world.pass(LEASE)).await;
        (one, two)
    }

    async fn start(&self, count: u64) -> Handle<u64> {
        let client = self.world.client();
        self.world.drive(client.start(spread(count).instance_id("s")).into_future()).await.unwrap()
    }

    async fn result(&self, handle: &Handle<u64>, count: u64) {
        assert_eq!(self.world.drive(handle.result()).await.unwrap(), count * (count - 1) / 2);
    }

    fn close(&self) {
        self.log.lock().unwrap().is_closed = true;
    }

    fn open(&self) {
        self.log.lock().unwrap().is_closed = false;
    }

    fn begun_by(&self, worker: &str) -> usize {
        self.log.lock().unwrap().begun.iter().filter(|begun| begun.worker == worker).count()
    }

    /// The attempts of each chore that were begun, in order.
    fn attempts(&self) -> BTreeMap<u64, Vec<u32>> {
        let mut attempts: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for begun in &self.log.lock().unwrap().begun {
            attempts.entry(begun.n).or_default().push(begun.attempt);
        }
        attempts
    }

    /// Waits until it is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Log) -> bool) {
        let began = self.world.now();
        self.world
            .drive(async {
                while !is_so(&self.log.lock().unwrap()) {
                    let waited = self.world.now().saturating_since(began);
                    assert!(waited < Duration::from_mins(5), "{what}: {:?}", self.log);
                    self.world.pass(Duration::from_millis(10)).await;
                }
            })
            .await;
    }

    async fn until_begun(&self, worker: &str, count: usize) {
        let begun = |log: &Log| log.begun.iter().filter(|begun| begun.worker == worker).count();
        self.until("not begun", |log| begun(log) >= count).await;
    }

    /// Nobody is offered anything any more.
    async fn nothing_is_left(&self) {
        self.world.drive(self.world.pass(LEASE)).await;
        let (names, now) = (named(&["chore"]), self.world.now());
        let left = self.world.store.claim_offers("observer", &names, 1_000, now).await.unwrap();
        assert_eq!(left, []);
        for lease in self.world.store.acquire_leases("observer", 4, &[], now, now).await.unwrap() {
            self.world.store.withdraw_offers(&lease, None).await.unwrap();
        }
    }
}

/// One test for each embedded store; the hub has one partition, which stays where it is.
macro_rules! with_a_team {
    ($(async fn $name:ident($team:ident: Team) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn run($team: Team) $body

                #[tokio::test]
                async fn memory() {
                    let store = MemoryStore::with_partitions(1);
                    run(Team::new(World::of(Arc::new(store)))).await;
                }

                #[tokio::test]
                async fn restored() {
                    let world = World::of(Arc::new(MemoryStore::with_partitions(1)));
                    run(Team::new(World { resident: Some(0), ..world })).await;
                }

                #[tokio::test]
                async fn sqlite() {
                    run(Team::new(World::sqlite_with(1).await)).await;
                }
            }
        )*
    };
}

with_a_team! {
    async fn an_idle_worker_hears_of_an_offer_and_need_not_poll(team: Team) {
        let (_one, _two) = team.pair((2, 4)).await;
        // Time stands, so no poll comes and nothing ends.
        let client = team.world.client();
        let handle = client.start(spread(20).instance_id("s")).await.unwrap();
        let claimed = async {
            while team.begun_by("two") < 4 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), claimed).await.unwrap();
        team.result(&handle, 20).await;
    }

    async fn a_fan_out_uses_every_worker_and_does_everything_once(team: Team) {
        let (one, two) = team.pair((2, 4)).await;
        let handle = team.start(120).await;
        team.result(&handle, 120).await;
        let attempts = team.attempts();
        assert_eq!(attempts.len(), 120);
        assert!(attempts.values().all(|attempts| *attempts == [1]), "{attempts:?}");
        let (by_one, by_two) = (team.begun_by("one"), team.begun_by("two"));
        assert!(by_one >= 20 && by_two >= 50, "{by_one} and {by_two}");
        assert!(one.metrics().offered >= by_two as u64);
        assert_eq!(two.metrics().claimed, by_two as u64);
        assert_eq!(two.metrics().offered, 0);
        assert_eq!(two.metrics().turns, 0);
        team.nothing_is_left().await;
    }

    async fn who_is_alone_offers_nothing(team: Team) {
        let one = team.worker("one", 2).await;
        let handle = team.start(50).await;
        team.result(&handle, 50).await;
        assert_eq!((one.metrics().offered, one.metrics().claimed), (0, 0));
    }

    async fn what_nobody_else_takes_its_owner_does(team: Team) {
        let (one, two) = team.pair((2, 1)).await;
        team.close();
        let handle = team.start(40).await;
        team.until_begun("two", 1).await;
        world_without(&team, two).await;
        team.open();
        team.result(&handle, 40).await;
        assert!(one.metrics().claimed >= 30, "{:?}", one.metrics());
        team.nothing_is_left().await;
    }

    async fn what_a_dead_worker_had_claimed_is_done_again(team: Team) {
        let (one, two) = team.pair((2, 10)).await;
        team.close();
        let handle = team.start(40).await;
        team.until_begun("two", 10).await;
        drop(two);
        team.open();
        team.result(&handle, 40).await;
        let attempts = team.attempts();
        let lost = attempts.values().filter(|attempts| **attempts == [1, 2]).count();
        let once = attempts.values().filter(|attempts| **attempts == [1]).count();
        assert_eq!((lost, once), (10, 30), "{attempts:?}");
        assert_eq!(one.metrics().leases_lost, 0);
        team.nothing_is_left().await;
    }

    async fn an_owner_that_dies_while_others_work_for_it_changes_nothing(team: Team) {
        let (one, two) = team.pair((2, 10)).await;
        team.close();
        let handle = team.start(40).await;
        team.until_begun("two", 10).await;
        drop(one);
        // The other one takes the partition over, and hears that its claims are gone.
        team.until("nobody is told", |log| log.cancelled >= 10).await;
        team.open();
        team.result(&handle, 40).await;
        let attempts = team.attempts();
        assert!(attempts.values().all(|attempts| attempts.last() == Some(&2)), "{attempts:?}");
        assert_eq!(two.metrics().leases_acquired, 1);
        team.nothing_is_left().await;
    }

    async fn who_has_claimed_hears_of_a_cancellation(team: Team) {
        let (_one, _two) = team.pair((2, 10)).await;
        team.close();
        // It has had its time.
        let client = team.world.client();
        let hurried = team.world.drive(client.start(hurried(40)).into_future()).await.unwrap();
        team.until_begun("two", 10).await;
        assert_eq!(team.world.drive(hurried.result()).await.unwrap(), 0);
        team.until("nobody is told", |log| log.cancelled == 12).await;
        assert_eq!(team.log.lock().unwrap().begun.len(), 12);
        // It is ended from outside.
        let handle = team.start(40).await;
        team.until_begun("two", 20).await;
        team.world.drive(handle.terminate("enough").into_future()).await.unwrap();
        team.until("nobody is told", |log| log.cancelled == 24).await;
        team.nothing_is_left().await;
        assert_eq!(team.log.lock().unwrap().begun.len(), 24);
    }

    async fn who_does_not_know_an_activity_does_not_claim_it(team: Team) {
        let one = team.worker("one", 2).await;
        let other = team.world.bare_builder().orchestrator(spread).activity(work);
        let other = other.worker_id("other").lease_length(LEASE);
        let other = team.world.drive(other.start()).await.unwrap();
        team.world.drive(team.world.pass(LEASE)).await;
        let handle = team.start(40).await;
        team.result(&handle, 40).await;
        assert!(one.metrics().offered > 0);
        assert_eq!(other.metrics().claimed, 0);
        assert_eq!(team.begun_by("one"), 40);
    }

    async fn who_shuts_down_gives_back_what_it_has_not_done(team: Team) {
        let (_one, two) = team.pair((2, 10)).await;
        team.close();
        let handle = team.start(40).await;
        team.until_begun("two", 10).await;
        world_without(&team, two).await;
        team.open();
        team.result(&handle, 40).await;
        let attempts = team.attempts();
        // It is the same attempt, which nobody has lost.
        let twice = attempts.values().filter(|attempts| **attempts == [1, 1]).count();
        let once = attempts.values().filter(|attempts| **attempts == [1]).count();
        assert_eq!((twice, once), (10, 30), "{attempts:?}");
        team.nothing_is_left().await;
    }

    async fn who_shuts_down_does_not_wait_for_ever(team: Team) {
        let (_one, two) = team.pair((2, 10)).await;
        team.close();
        team.log.lock().unwrap().is_stubborn = true;
        let handle = team.start(40).await;
        team.until_begun("two", 10).await;
        world_without(&team, two).await;
        team.log.lock().unwrap().is_stubborn = false;
        team.open();
        team.result(&handle, 40).await;
        assert!(team.attempts().values().flatten().all(|attempt| *attempt == 1));
    }

    async fn workers_may_come_and_go_all_the_time(team: Team) {
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
        println!("{SEED}={seed}");
        come_and_go(&team, seed).await;
    }
}

async fn world_without(team: &Team, worker: Worker) {
    team.world.drive(worker.shutdown()).await;
}

/// Runs fan-outs while workers come, end and die.
async fn come_and_go(team: &Team, seed: u64) {
    const COUNT: u64 = 60;
    let mut random = Random::new(seed);
    let mut workers = vec![team.worker("w0", 2).await];
    let client = team.world.client();
    let mut handles = Vec::new();
    for n in 1..=12 {
        let started = client.start(spread(COUNT)).into_future();
        handles.push(team.world.drive(started).await.unwrap());
        let some = usize::try_from(random.below(workers.len() as u64)).unwrap();
        match random.below(4) {
            0 if workers.len() > 1 => {
                let leaving = workers.remove(some);
                world_without(team, leaving).await;
            }
            1 if workers.len() > 1 => drop(workers.remove(some)),
            _ if workers.len() < 4 => workers.push(team.worker(&format!("w{n}"), 3).await),
            _ => {}
        }
        let pause = Duration::from_millis(random.below(4_000));
        team.world.drive(team.world.pass(pause)).await;
    }
    for handle in handles {
        let result = team.world.drive(handle.result()).await.unwrap();
        assert_eq!(result, COUNT * (COUNT - 1) / 2, "seed {seed}");
    }
}

#[tokio::test]
async fn stores_that_fail_change_nothing_about_the_result() {
    const KINDS: &[Fault] = &[
        Fault::Before(Kind::Unavailable),
        Fault::Before(Kind::OutcomeUnknown),
        Fault::After(Kind::OutcomeUnknown),
        Fault::Before(Kind::Conflict),
    ];
    let seeds = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let mut claimed = 0;
    for seed in seeds.map_or(0..12, |seed: u64| seed..seed + 1) {
        println!("{SEED}={seed}");
        let store = Arc::new(MemoryStore::with_partitions(2));
        let store = FaultyStore::seeded(store, seed, 8, KINDS);
        let team = Team::new(World::of(Arc::new(store)));
        let workers = [team.worker("one", 2).await, team.worker("two", 3).await];
        team.world.drive(team.world.pass(LEASE)).await;
        let handle = team.start(80).await;
        team.result(&handle, 80).await;
        claimed += workers.iter().map(|worker| worker.metrics().claimed).sum::<u64>();
        drop(workers);
        if seed % 3 == 0 {
            // Each failure that loads a partition anew costs one of its ten lives.
            let store = FaultyStore::seeded(Arc::new(MemoryStore::new()), seed, 40, KINDS);
            come_and_go(&Team::new(World::of(Arc::new(store))), seed).await;
        }
    }
    assert!(claimed > 0, "something was offered");
}
