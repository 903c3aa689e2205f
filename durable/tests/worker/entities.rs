//! Entities under faults: order and effect of what one sender sends, and money that moves under locks,
//! while commits fail, deliveries are repeated, workers die and partitions move.

use std::sync::Arc;
use std::time::Duration;

use durable::prelude::*;
use durable::store::StoreErrorKind as Kind;
use durable::testing::{Fault, FaultyStore, Random};
use durable::{Clock as _, EntityQuery, Handle, Worker};
use serde::{Deserialize, Serialize};

use crate::programs::*;

/// Notes what it is told, and passes it on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Log {
    lines: Vec<u32>,
}

#[entity]
impl Log {
    pub fn note(&mut self, ctx: &EntityContext, line: u32) {
        self.lines.push(line);
        if ctx.key() == "first" {
            ctx.entity::<Log>("second").note(line).signal();
        }
    }

    pub fn lines(&self) -> Vec<u32> {
        self.lines.clone()
    }
}

/// Sends so many signals, some in each turn.
#[orchestrator]
async fn tells(ctx: &OrchestrationContext, count: u32) -> Result<Vec<u32>, TaskError> {
    let log = ctx.entity::<Log>("first");
    for line in 0..count {
        log.note(line).signal();
        if line % 3 == 0 {
            ctx.sleep(Duration::from_millis(10)).await;
        }
    }
    log.lines().await
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    coins: i64,
}

#[entity(initial = Account { coins: 100 })]
impl Account {
    pub fn balance(&self) -> i64 {
        self.coins
    }

    pub fn change(&mut self, coins: i64) -> i64 {
        self.coins += coins;
        self.coins
    }
}

/// Moves coins between accounts so many times. Gives how often there were enough.
#[orchestrator]
async fn moves(ctx: &OrchestrationContext, accounts: u64, count: u32) -> Result<u32, TaskError> {
    let mut made = 0;
    for _ in 0..count {
        let from = ctx.random::<u64>() % accounts;
        let to = (from + 1 + ctx.random::<u64>() % (accounts - 1)) % accounts;
        let coins = ctx.random::<i64>().rem_euclid(60);
        let from = ctx.entity::<Account>(from.to_string());
        let to = ctx.entity::<Account>(to.to_string());
        let _guard = ctx.lock((from.id(), to.id())).await;
        if from.balance().await? >= coins {
            from.change(-coins).await?;
            to.change(coins).await?;
            made += 1;
        }
    }
    Ok(made)
}

/// A worker of this name.
async fn worker(world: &World, name: &str) -> Worker {
    world
        .builder()
        .worker_id(name)
        .orchestrator(tells)
        .orchestrator(moves)
        .orchestrator(scribbles)
        .entity::<Log>()
        .entity::<Account>()
        .start()
        .await
        .unwrap()
}

/// Runs `work` while workers come, die, and hand over to each other, as the seed says.
async fn through_lives<T>(world: &World, seed: u64, work: impl Future<Output = T>) -> T {
    let mut random = Random::new(seed);
    let lives = async {
        let mut current = worker(world, "a").await;
        for life in 1_u64.. {
            let length = Duration::from_millis(random.below(400));
            world.clock.sleep_until(world.now() + length).await;
            let name = if life % 2 == 0 { "a" } else { "b" };
            if random.below(2) == 0 {
                // The next one has to wait for the leases, unless it has the same name.
                drop(current);
                world.clock.advance(Duration::from_mins(1));
            } else {
                current.shutdown().await;
            }
            current = worker(world, name).await;
        }
    };
    tokio::select! {
        result = world.drive(work) => result,
        () = lives => unreachable!("there is always a next life"),
    }
}

const FAULTS: &[Fault] = &[
    Fault::Before(Kind::Unavailable),
    Fault::Before(Kind::LeaseLost),
    Fault::Before(Kind::Conflict),
    Fault::Before(Kind::OutcomeUnknown),
    Fault::After(Kind::OutcomeUnknown),
];

#[tokio::test]
async fn signals_of_one_sender_come_in_order_and_once() {
    const COUNT: u32 = 60;
    for seed in 0..12 {
        let world =
            World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 5, FAULTS)));
        let client = world.stranger();
        let handle: Handle<Vec<u32>> = client.start(tells(COUNT)).await.unwrap();
        let expected: Vec<u32> = (0..COUNT).collect();
        let second = through_lives(&world, seed, async {
            let first = handle.result().await.unwrap();
            assert_eq!(first, expected, "seed {seed}");
            // An entity is a sender too.
            loop {
                let lines = client.entity::<Log>("second").lines().await.unwrap();
                if lines.len() >= expected.len() {
                    return lines;
                }
            }
        })
        .await;
        assert_eq!(second, expected, "seed {seed}");
    }
}

#[tokio::test]
async fn transfers_under_locks_neither_make_nor_lose_money() {
    const ACCOUNTS: u64 = 20;
    for seed in 0..4 {
        let world =
            World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 20, FAULTS)));
        let client = world.stranger();
        let mut clerks = Vec::new();
        for _ in 0..64 {
            clerks.push(client.start(moves(ACCOUNTS, 3)).await.unwrap());
        }
        let (made, sum) = through_lives(&world, seed, async {
            let mut made = 0;
            for clerk in &clerks {
                made += clerk.result().await.unwrap();
            }
            let mut sum = 0;
            for account in 0..ACCOUNTS {
                let account = client.entity::<Account>(account.to_string());
                let coins = account.balance().await.unwrap();
                assert!(coins >= 0, "seed {seed}: somebody came between looking and taking");
                sum += coins;
            }
            (made, sum)
        })
        .await;
        assert_eq!(sum, i64::try_from(ACCOUNTS).unwrap() * 100, "seed {seed}");
        assert!(made > 0, "seed {seed}");
        let entities = client.entities(EntityQuery::default()).all().await.unwrap();
        let locked: Vec<_> = entities.iter().filter(|e| e.locked_by.is_some()).collect();
        assert!(locked.is_empty(), "seed {seed}: {locked:?}");
    }
}

/// What waits for an entity is done together.
#[tokio::test]
async fn operations_that_wait_are_one_turn_and_one_commit() {
    let world = World::new();
    let client = world.stranger();
    for n in 0..200 {
        client.entity::<Log>("third").note(n).signal().await.unwrap();
    }
    let worker = worker(&world, "a").await;
    let lines = world.drive(async { worker.client().entity::<Log>("third").lines().await }).await;
    assert_eq!(lines.unwrap().len(), 200);
    let metrics = worker.metrics();
    assert!(metrics.commits <= 4 && metrics.turns <= 4, "{metrics:?}");
}

/// Locks random books again and again, some with a time limit, and writes in each of them twice.
#[orchestrator]
async fn scribbles(ctx: &OrchestrationContext, name: u32, rounds: u32) -> Result<u32, TaskError> {
    let mut entered = 0;
    for _ in 0..rounds {
        let drawn = ctx.random::<u64>();
        let books: Vec<String> =
            (0..4).filter(|n| drawn >> n & 1 == 1).map(|n| format!("book {n}")).collect();
        if books.is_empty() {
            continue;
        }
        let set: Vec<_> = books.iter().map(|book| ctx.entity::<Log>(book.clone()).id()).collect();
        if drawn & 0b1_0000 == 0 {
            let limit = Duration::from_millis(drawn >> 8 & 0xff);
            let Ok(_guard) = ctx.lock(set).timeout(limit).await else { continue };
            for book in books {
                ctx.entity::<Log>(book.clone()).note(name * 2).await?;
                ctx.entity::<Log>(book).note(name * 2 + 1).await?;
            }
            entered += 1;
        } else {
            let guard = ctx.lock(set).await;
            for book in &books {
                ctx.entity::<Log>(book.clone()).note(name * 2).await?;
            }
            if drawn & 0b10_0000 == 0 {
                ctx.sleep(Duration::from_millis(drawn >> 16 & 0x3f)).await;
            }
            for book in &books {
                ctx.entity::<Log>(book.clone()).note(name * 2 + 1).await?;
            }
            drop(guard);
            entered += 1;
        }
    }
    Ok(entered)
}

/// What is written between a beginning and the end of the same writer is that writer's. One that was
/// terminated may have left a beginning without an end.
fn is_orderly(lines: &[u32], terminated: &[u32]) -> bool {
    let mut open = None;
    for line in lines {
        let (name, ends) = (line / 2, line % 2 == 1);
        match open {
            Some(writer) if writer == name && ends => open = None,
            Some(writer) if terminated.contains(&writer) && !ends => open = Some(name),
            None if !ends => open = Some(name),
            _ => return false,
        }
    }
    open.is_none_or(|writer| terminated.contains(&writer))
}

#[tokio::test]
async fn random_sections_exclude_each_other_and_leave_no_lock() {
    for seed in 0..10 {
        let world =
            World::new().with(|store| Arc::new(FaultyStore::seeded(store, seed, 15, FAULTS)));
        let client = world.stranger();
        let mut random = Random::new(seed);
        let mut handles = Vec::new();
        for name in 0..16_u32 {
            handles.push(client.start(scribbles(name, 4)).await.unwrap());
        }
        let terminated: Vec<u32> = (0..16).filter(|_| random.below(4) == 0).collect();
        let books = through_lives(&world, seed, async {
            for name in &terminated {
                world.clock.sleep_until(world.now() + Duration::from_millis(20)).await;
                // It may have ended by now.
                let _ = handles[*name as usize].terminate("enough").await;
            }
            for handle in &handles {
                // Who was terminated fails.
                let _ = handle.result().await;
            }
            let mut books = Vec::new();
            for n in 0..4 {
                books.push(client.entity::<Log>(format!("book {n}")).lines().await.unwrap());
            }
            books
        })
        .await;
        for (n, lines) in books.iter().enumerate() {
            assert!(is_orderly(lines, &terminated), "seed {seed}, book {n}: {lines:?}");
        }
        let entities = client.entities(EntityQuery::default()).all().await.unwrap();
        let busy: Vec<_> =
            entities.iter().filter(|e| e.locked_by.is_some() || e.queued > 0).collect();
        assert!(busy.is_empty(), "seed {seed}: {busy:?}");
    }
}
