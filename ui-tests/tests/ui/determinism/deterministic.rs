use std::collections::HashMap;
use std::time::Instant;

use durable::prelude::*;

#[deterministic]
fn helper() -> Instant {
    Instant::now()
}

struct Fees {
    percent: u64,
}

#[deterministic]
impl Fees {
    fn of(&self, total: u64) -> u64 {
        println!("{total}");
        total * self.percent / 100
    }

    fn publish(&self, ctx: &OrchestrationContext, totals: &HashMap<String, u64>) {
        for (name, total) in totals {
            ctx.send_event(name, "fee", self.of(*total));
        }
    }
}

#[deterministic]
async fn waits() -> u64 {
    1
}

#[deterministic(strict)]
fn options() {}

#[deterministic]
struct Thing;

fn main() {
    let fees = Fees { percent: 1 };
    let _ = (helper(), fees.of(1), waits());
    options();
}
