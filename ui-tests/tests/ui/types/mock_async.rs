//! An async mock takes the context first, and returns a future of the activity's result.

use durable::prelude::*;
use durable::testing::TestHub;

#[activity]
async fn charge(order: u64) -> String {
    order.to_string()
}

fn main() {
    let builder =
        TestHub::builder().mock_async(charge, |_: ActivityContext, order: u64| async move { order });
    drop(builder);
}
