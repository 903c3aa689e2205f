//! What the rules allow: exemptions with a reason, helpers, names of one's own, entity operations
//! of any name, logging, and maps that no durable call follows.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[activity]
async fn work(n: u64) -> u64 {
    n
}

mod storage {
    pub mod fs {
        pub fn read(n: u64) -> u64 {
            n
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Door {
    locked: bool,
}

#[entity]
impl Door {
    fn lock(&mut self) -> bool {
        !std::mem::replace(&mut self.locked, true)
    }
}

/// A fee.
#[deterministic]
fn fee(total: u64) -> u64 {
    #[allow_nondeterminism("the time is measured and dropped")]
    let _ = Instant::now();
    total / 100
}

struct Fees(u64);

#[deterministic]
impl Fees {
    const PERCENT: u64 = 100;

    fn of(&self, total: u64) -> u64 {
        total * self.0 / Self::PERCENT
    }
}

macro_rules! info {
    ($($token:tt)*) => {
        let _ = format!($($token)*);
    };
}

#[orchestrator]
async fn exempt(n: u64) -> Result<u64, TaskError> {
    #[allow_nondeterminism("only its type matters")]
    let begun = Instant::now();
    let _ = begun;
    #[allow_nondeterminism("an id that nobody compares")]
    work(std::process::id().into()).await?;
    let mut total = 0;
    #[allow_nondeterminism("the process has one argument")]
    for argument in std::env::args().take(1) {
        total += work(argument.len() as u64).await?;
    }
    #[allow_nondeterminism("not reached in tests")]
    if n > 1_000_000 {
        println!("large");
    }
    #[allow_nondeterminism("a constant in disguise")]
    {
        total += std::env::consts::OS.len() as u64;
        work(total).await?;
    }
    match n {
        #[allow_nondeterminism("dropped at once")]
        0 => drop(Instant::now()),
        _ => {}
    }
    Ok(total)
}

#[orchestrator]
async fn allowed(ctx: &OrchestrationContext, counts: HashMap<String, u64>) -> Result<u64, TaskError> {
    struct Local;
    impl Local {
        fn now() -> u64 {
            1
        }
    }
    info!("{} counts at {}", counts.len(), ctx.now());
    let door = ctx.entity::<Door>("front");
    door.lock().await?;
    door.lock().signal();
    let mut total = storage::fs::read(1) + Local::now() + fee(1) + Fees(1).of(100);
    for count in counts.values() {
        total += count;
    }
    let sorted: BTreeMap<String, u64> = counts.into_iter().collect();
    for (_, count) in sorted {
        total += work(count).await?;
    }
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(total)
}

fn main() {
    let _ = (exempt(1), allowed(HashMap::new()));
}
