//! Function chaining: an order goes through four activities on an embedded database. Interrupt it
//! (Ctrl-C, or `kill -9`) and run it again: it continues where it was.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use durable::prelude::*;
use durable::store::{InstanceKind, InstanceQuery, SqliteStore, Status};
use durable::{Client, Worker};
use serde::{Deserialize, Serialize};

/// Sends an order through reservation, payment, shipping and receipt.
#[derive(Parser)]
struct Options {
    /// The database; it is created if it does not exist.
    #[arg(long, default_value = "quickstart.db")]
    db: PathBuf,
    /// How long each step takes, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    step_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    number: u64,
    item: String,
    cents: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Receipt {
    payment: String,
    parcel: String,
}

/// How long each step takes; application data of the worker.
struct Pace(Duration);

impl Pace {
    #[allow(clippy::disallowed_methods)] // An activity may wait as it likes.
    async fn work(&self, what: &str) {
        println!("  {what} ...");
        tokio::time::sleep(self.0).await;
    }
}

#[activity]
async fn reserve_stock(ctx: &ActivityContext, order: Order) -> anyhow::Result<String> {
    ctx.data::<Pace>()?.work(&format!("reserving one {}", order.item)).await;
    Ok(format!("shelf-{}", order.number % 7))
}

#[activity]
async fn charge_card(ctx: &ActivityContext, order: Order) -> anyhow::Result<String> {
    let amount = format!("{}.{:02}", order.cents / 100, order.cents % 100);
    ctx.data::<Pace>()?.work(&format!("charging {amount} to the card")).await;
    Ok(format!("payment-{}", order.number))
}

#[activity]
async fn ship(ctx: &ActivityContext, order: Order, shelf: String) -> anyhow::Result<String> {
    ctx.data::<Pace>()?.work(&format!("shipping the {} from {shelf}", order.item)).await;
    Ok(format!("parcel-{}", order.number))
}

#[activity]
async fn send_receipt(ctx: &ActivityContext, receipt: Receipt) -> anyhow::Result<()> {
    ctx.data::<Pace>()?.work(&format!("sending the receipt for {}", receipt.payment)).await;
    Ok(())
}

#[orchestrator]
async fn place_order(order: Order) -> Result<Receipt, TaskError> {
    let shelf = reserve_stock(order.clone()).await?;
    let payment = charge_card(order.clone()).await?;
    let parcel = ship(order, shelf).await?;
    let receipt = Receipt { payment, parcel };
    send_receipt(receipt.clone()).await?;
    Ok(receipt)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let store = SqliteStore::open(&options.db)
        .await
        .with_context(|| format!("opening {}", options.db.display()))?;
    let worker = Worker::builder(store)
        .orchestrator(place_order)
        .activity(reserve_stock)
        .activity(charge_card)
        .activity(ship)
        .activity(send_receipt)
        .data(Pace(Duration::from_millis(options.step_ms)))
        .start()
        .await?;
    let client = worker.client();

    let id = match unfinished(&client).await? {
        Some(id) => id,
        None => start(&client).await?,
    };
    let receipt = client.orchestration::<Receipt>(&id).result().await?;
    println!("{id} is done: {} and {}", receipt.payment, receipt.parcel);
    worker.shutdown().await;
    Ok(())
}

/// The order that an earlier run left, if there is one.
async fn unfinished(client: &Client) -> anyhow::Result<Option<String>> {
    let query = InstanceQuery {
        kind: Some(InstanceKind::Orchestration),
        statuses: vec![Status::Pending, Status::Running],
        ..InstanceQuery::default()
    };
    let Some(found) = client.list(query).all().await?.into_iter().next() else { return Ok(None) };
    println!("resuming {} in state {}", found.id, found.state);
    Ok(Some(found.id))
}

async fn start(client: &Client) -> anyhow::Result<String> {
    let number = 1001 + client.count(&InstanceQuery::default()).await?;
    let order = Order { number, item: "teapot".to_owned(), cents: 24_90 };
    let id = format!("order-{number}");
    println!("starting {id}");
    client.start(place_order(order).instance_id(&id)).await?;
    Ok(id)
}
