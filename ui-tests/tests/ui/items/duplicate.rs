use durable::prelude::*;

struct Payments;

#[activity]
impl Payments {
    #[activity(name = "same")]
    async fn one(&self) {}

    #[activity(name = "same")]
    async fn two(&self) {}
}

fn main() {}
