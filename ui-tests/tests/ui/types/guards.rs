//! What may not be kept across an await, of what programs often hold.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

fn open() -> File {
    unimplemented!()
}

#[orchestrator]
async fn closure(n: u64) -> Result<u64, TaskError> {
    let add = move |m: u64| m + n;
    let m = work(1).await?;
    Ok(add(m))
}

#[orchestrator]
async fn file() -> Result<u64, TaskError> {
    let file = open();
    let n = work(1).await?;
    drop(file);
    Ok(n)
}

#[orchestrator]
async fn shared() -> Result<u64, TaskError> {
    let shared = Rc::new(RefCell::new(1));
    let n = work(1).await?;
    *shared.borrow_mut() += n;
    Ok(n)
}

#[orchestrator]
async fn error() -> Result<u64, TaskError> {
    let parsed = "x".parse::<u64>();
    work(1).await?;
    Ok(parsed.unwrap_or(1))
}

fn main() {
    let _ = (closure(1), file(), shared(), error(), work(1));
}
