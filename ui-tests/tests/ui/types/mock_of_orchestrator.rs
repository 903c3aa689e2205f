//! Only activities can be mocked.

use durable::prelude::*;
use durable::testing::TestHub;

#[orchestrator]
async fn order(number: u64) -> u64 {
    number
}

fn main() {
    let builder = TestHub::builder().mock(order, |number: u64| number);
    drop(builder);
}
