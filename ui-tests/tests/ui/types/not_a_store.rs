use durable::Worker;

fn main() {
    let _ = Worker::builder(5_u64);
}
