//! A mock returns the result of its activity.

use durable::prelude::*;
use durable::testing::TestHub;

#[activity]
async fn charge(order: u64) -> String {
    order.to_string()
}

fn main() {
    let builder = TestHub::builder().mock(charge, |order: u64| order);
    drop(builder);
}
