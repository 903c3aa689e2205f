use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn endless() -> Result<u64, TaskError> {
    for n in (1_u64..).map(|n| n * n) {
        if work(n).await? > 50 {
            return Ok(n);
        }
    }
    Ok(0)
}

#[orchestrator]
async fn chosen_and_changed(mut ns: Vec<u64>) -> Result<Vec<u64>, TaskError> {
    for n in ns.iter_mut().filter(|n| **n < 3) {
        *n += work(10).await?;
    }
    Ok(ns)
}

#[orchestrator]
async fn counted(ns: Vec<u64>) -> Result<u64, TaskError> {
    let mut count = 0;
    for n in ns.into_iter().map(|n| { count += 1; n }) {
        work(n).await?;
    }
    Ok(count)
}

#[orchestrator]
async fn taken(ns: Vec<u64>) -> Result<u64, TaskError> {
    let mut free = vec![1, 2, 3];
    let mut sum = 0;
    for (n, place) in ns.iter().map(|n| (n, free.pop())) {
        sum += work(*n + place.unwrap_or(0)).await?;
    }
    Ok(sum)
}

#[orchestrator]
async fn alternatives(a: u64, b: u64) -> Result<u64, TaskError> {
    Ok(match (a, b) {
        (n, _) | (_, n) if work(n).await? > 5 => n,
        _ => 0,
    })
}

#[orchestrator]
async fn moving_index(mut names: Vec<String>) -> Result<Vec<String>, TaskError> {
    let mut i = 0;
    names[i] += &{ i += 1; work(1).await?.to_string() };
    Ok(names)
}

fn main() {
    let _ = (endless(), chosen_and_changed(vec![]), counted(vec![]), taken(vec![]));
    let _ = (alternatives(1, 2), moving_index(vec![]), work(1));
}
