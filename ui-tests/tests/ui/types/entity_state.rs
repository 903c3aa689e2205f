use durable::prelude::*;

#[derive(Default)]
struct Counter(i64);

#[entity]
impl Counter {
    fn add(&mut self, n: i64) {
        self.0 += n;
    }
}

fn main() {}
