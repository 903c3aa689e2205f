//! smoke
use durable::prelude::*;
use serde::{Serialize, Deserialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order { id: u64, total: u64 }

#[activity]
async fn charge(order: Order) -> Result<String, String> { Ok(format!("r{}", order.id)) }
#[activity]
async fn audit(id: u64, receipt: String) -> anyhow::Result<()> { let _ = (id, receipt); Ok(()) }
#[activity]
async fn size_of(name: String) -> u64 { name.len() as u64 }

#[derive(Debug, thiserror::Error)]
enum CheckoutError { #[error("task")] Task(#[from] TaskError), #[error("x")] X }

#[orchestrator]
async fn checkout(ctx: &OrchestrationContext, order: Order) -> Result<String, CheckoutError> {
    let receipt = charge(order.clone()).await?;
    if order.total > 100 {
        audit(order.id, receipt.clone()).await?;
    }
    let mut total = 0;
    let mut seen = Vec::new();
    for name in vec!["a".to_owned(), "bb".to_owned()] {
        total += size_of(name.clone()).await?;
        seen.push(name);
        if total > 1000 { break; }
    }
    ctx.sleep(std::time::Duration::from_secs(total)).await;
    let x = 1;
    {
        let x = size_of("x".into()).await? + x;
        ctx.sleep(std::time::Duration::from_secs(x)).await;
        if x > 5 { return Err(CheckoutError::X); }
    }
    let _ = x;
    let (a, b) = try_join!(size_of("q".into()), charge(order))?;
    println_not(a, &b);
    Ok(format!("{receipt} {seen:?}"))
}
fn println_not(_: u64, _: &str) {}

#[orchestrator]
async fn fan(names: Vec<String>) -> u64 {
    let sizes = join_all(names.into_iter().map(size_of)).await;
    sizes.into_iter().filter_map(Result::ok).sum()
}

#[test]
fn graph() {
    println!("{}", checkout::state_machine());
    println!("{}", fan::state_machine().to_mermaid());
}
