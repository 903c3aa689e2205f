//! Annotated items in modules, used from outside.

#![deny(warnings, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use durable::prelude::*;

mod pay {
    use durable::prelude::*;
    use serde::{Deserialize, Serialize};

    pub type Result<T> = std::result::Result<T, String>;

    pub struct Payments {
        pub(crate) prefix: String,
    }

    #[activity]
    impl Payments {
        /// Documented.
        pub async fn charge(&self, n: u64) -> Result<String> {
            Ok(format!("{}{n}", self.prefix))
        }
    }

    #[activity]
    pub(crate) async fn ping(_unused: u64) -> Result<()> {
        Ok(())
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    pub struct Counter {
        value: i64,
    }

    #[entity(name = "counter")]
    impl Counter {
        pub fn add(&mut self, amount: i64) -> i64 {
            self.value += amount;
            self.value
        }
    }
}

#[orchestrator]
async fn uses(ctx: &OrchestrationContext, _ignored: u64) -> Result<String, TaskError> {
    let greeting = "hello";
    pay::ping(1).await?;
    let total = ctx.entity::<pay::Counter>("x").add(1).await?;
    let charged = pay::Payments::charge(1).await?;
    Ok(format!("{greeting} {total} {charged}"))
}

fn main() {
    let payments = pay::Payments { prefix: String::new() };
    let _ = (uses(1), payments.prefix);
}
