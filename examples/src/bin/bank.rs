//! Critical sections: many orchestrations move money between the same accounts at the same time, while
//! the worker is killed again and again. Each transfer locks both accounts, so that the sum never
//! changes, and at the end no lock is left.
//!
//! ```sh
//! cargo run --release -p examples --bin bank                      # in memory
//! cargo run --release -p examples --bin bank -- --store sqlite:bank.db --transfers 5000
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use durable::prelude::*;
use durable::store::Store;
use durable::{Client, EntityQuery, IdReuse, Worker};
use examples::Progress;
use serde::{Deserialize, Serialize};

/// Moves money between accounts while workers die.
#[derive(Parser)]
struct Options {
    /// Where the hub lives: `memory:` or `sqlite:<path>`.
    #[arg(long, default_value = "memory:")]
    store: String,
    /// How many accounts there are.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    accounts: u64,
    /// How many transfers are made in all.
    #[arg(long, default_value_t = 20_000)]
    transfers: u64,
    /// How many orchestrations make them at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    concurrency: u64,
    /// A worker lives between nothing and so many milliseconds before it is killed; 0 is for ever.
    #[arg(long, default_value_t = 800)]
    kill_ms: u64,
    /// What the transfers and the lives of workers are drawn from; printed if it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

/// What each account begins with, in cents.
const OPENING: i64 = 100_000;

#[derive(Debug, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[entity(initial = Account { cents: OPENING })]
impl Account {
    fn balance(&self) -> i64 {
        self.cents
    }

    fn withdraw(&mut self, cents: i64) -> Result<i64, String> {
        if cents > self.cents {
            return Err(format!("{} is not enough for {cents}", self.cents));
        }
        self.cents -= cents;
        Ok(self.cents)
    }

    fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }
}

/// Makes `count` transfers between random accounts, one after the other. Gives how many of them
/// found enough money.
#[orchestrator]
async fn clerk(ctx: &OrchestrationContext, accounts: u64, count: u64) -> Result<u64, TaskError> {
    let mut made = 0;
    for _ in 0..count {
        let from = ctx.random::<u64>() % accounts;
        let to = (from + 1 + ctx.random::<u64>() % (accounts - 1)) % accounts;
        let cents = i64::from(ctx.random::<u8>()) * 100;
        let (from, to) =
            (ctx.entity::<Account>(from.to_string()), ctx.entity::<Account>(to.to_string()));
        let guard = ctx.lock((from.id(), to.id())).await;
        if from.balance().await? >= cents {
            from.withdraw(cents).await?;
            to.deposit(cents).await?;
            made += 1;
        }
        drop(guard);
        ctx.set_custom_status(made);
    }
    Ok(made)
}

async fn start_worker(store: Arc<dyn Store>) -> anyhow::Result<Worker> {
    // The same name, so that a successor takes over at once.
    let worker = Worker::builder(store).worker_id("bank").orchestrator(clerk).entity::<Account>();
    Ok(worker.start().await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let store = durable::connect(&options.store).await?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}: {} transfers by {} clerks", options.transfers, options.concurrency);
    let client = Client::new(store.clone());
    let opening = i64::try_from(options.accounts)? * OPENING;

    let killer = tokio::spawn(keep_killing(store.clone(), options.kill_ms, seed));
    let each = options.transfers.div_ceil(options.concurrency);
    let mut clerks = Vec::new();
    for n in 0..options.concurrency {
        let call = clerk(options.accounts, each)
            .instance_id(format!("clerk-{seed}-{n}"))
            .id_reuse(IdReuse::UseExisting);
        clerks.push(client.start(call).await?);
    }
    let progress = Progress::new("clerks", options.concurrency, 0);
    let mut made = 0;
    for (done, clerk) in (1..).zip(&clerks) {
        made += clerk.result().await?;
        progress.set(done);
    }
    progress.finish();
    killer.abort();
    if let Ok(Err(error)) = killer.await {
        return Err(error);
    }

    let worker = start_worker(store).await?;
    check(&worker.client(), options.accounts, opening, made).await?;
    worker.shutdown().await;
    Ok(())
}

/// Runs one worker after the other, and drops each in the middle of its work.
async fn keep_killing(store: Arc<dyn Store>, kill_ms: u64, seed: u64) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    for life in 1_u64.. {
        let worker = start_worker(store.clone()).await?;
        if kill_ms == 0 {
            std::future::pending::<()>().await;
        }
        #[allow(clippy::disallowed_methods)] // A program may wait as it likes.
        tokio::time::sleep(Duration::from_millis(random.u64(0..kill_ms))).await;
        // As a crash would: nothing is handed over.
        drop(worker);
        if life % 20 == 0 {
            eprintln!("{life} workers killed");
        }
    }
    Ok(())
}

/// No money was made or lost, and nobody holds anything.
async fn check(client: &Client, accounts: u64, opening: i64, made: u64) -> anyhow::Result<()> {
    let mut sum = 0;
    for number in 0..accounts {
        // A call, because it stands behind whatever is still on its way.
        sum += client.entity::<Account>(number.to_string()).balance().await?;
    }
    let query = EntityQuery { name: Some("Account".to_owned()), ..EntityQuery::default() };
    let entities = client.entities(query).all().await?;
    let locked = entities.iter().filter(|entity| entity.locked_by.is_some()).count();
    println!("{made} transfers made; sum {sum} of {opening} cents; {locked} locks left");
    ensure!(sum == opening, "money was {}", if sum > opening { "made" } else { "lost" });
    ensure!(locked == 0, "{locked} accounts are still locked");
    Ok(())
}
