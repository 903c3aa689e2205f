//! Saga: trips over three services with a limited stock, and a bank that is not always there. What
//! cannot be booked gives back what it has taken, in reverse order.
//!
//! ```sh
//! cargo run -p examples --bin saga
//! ```
//!
//! It books a hundred trips at once, prints what became of them and of the stock, and checks that
//! exactly the booked trips hold stock and are paid. Interrupt it (Ctrl-C, or `kill -9`) at any
//! moment and run it again: it goes on, and the check holds.

mod bank;
#[cfg(test)]
mod tests;
mod trip;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use durable::{Client, ClientError, IdReuse, InstanceQuery, Status, Worker};
use examples::{Progress, files};

use crate::bank::Bank;
use crate::trip::{Booking, Kind, Reason, SERVICES, Season, Service};

/// Books many trips at once; those that fail give back what they took.
#[derive(Parser)]
struct Options {
    /// How many trips are to be booked.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    trips: u32,
    /// How many flights there are.
    #[arg(long, default_value_t = 90)]
    flights: u32,
    /// How many hotel rooms there are.
    #[arg(long, default_value_t = 80)]
    hotels: u32,
    /// How many cars there are.
    #[arg(long, default_value_t = 70)]
    cars: u32,
    /// How many of a hundred calls find no bank.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u8).range(0..=100))]
    outages: u8,
    /// Decides prices and what the cards are good for.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The database; it is created if it does not exist. The bank has its folder beside it.
    #[arg(long, default_value = "saga.db")]
    db: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let stock = [options.flights, options.hotels, options.cars];
    let season = Season { trips: options.trips, stock, seed: options.seed };
    let store = examples::open_database(&options.db).await?;
    let folder = files::beside(&options.db, ".bank");
    let worker = Worker::builder(store)
        .orchestrator(trip::book_season)
        .orchestrator(trip::book_trip)
        .activity(trip::pay)
        .activity(trip::refund)
        .entity::<Service>()
        .data(Bank::open(&folder, options.outages)?)
        .start()
        .await?;
    let client = worker.client();
    let bookings = book(&client, &season).await?;
    let books = books(&client).await?;
    worker.shutdown().await;
    print(&season, &bookings, &books);
    let payments = Bank::open(&folder, options.outages)?.payments()?;
    check(&season, &bookings, &books, &payments)?;
    println!("checked: exactly the booked trips hold stock and are paid");
    Ok(())
}

/// Starts the season, or joins the one that is recorded, and waits for it.
async fn book(client: &Client, season: &Season) -> anyhow::Result<Vec<Booking>> {
    let call = trip::book_season(season.clone()).instance_id("season");
    let handle = client.start(call.id_reuse(IdReuse::UseExisting)).await?;
    let status = handle.status().await?;
    let (recorded,): (Season,) = status.input.decode()?;
    ensure!(
        recorded == *season,
        "a season with other options is recorded here: give the same options again, or name another \
         database with --db"
    );
    if !handle.is_new() {
        println!("resuming the season in state {}", status.state);
    }
    let ended = InstanceQuery {
        name: Some("book_trip".to_owned()),
        statuses: vec![Status::Completed],
        ..InstanceQuery::default()
    };
    let progress = Progress::new("trips", season.trips.into(), 0);
    let result = handle.result();
    tokio::pin!(result);
    loop {
        tokio::select! {
            bookings = &mut result => {
                progress.finish();
                return Ok(bookings?);
            }
            () = examples::pause(std::time::Duration::from_millis(200)) => {
                progress.set(client.count(&ended).await?);
            }
        }
    }
}

/// What each service knows.
async fn books(client: &Client) -> Result<BTreeMap<Kind, Service>, ClientError> {
    let mut books = BTreeMap::new();
    for service in SERVICES {
        books.insert(service, client.entity::<Service>(service.name()).books().await?);
    }
    Ok(books)
}

fn print(season: &Season, bookings: &[Booking], books: &BTreeMap<Kind, Service>) {
    println!("service  stock  taken  released  held");
    for (service, stock) in SERVICES.into_iter().zip(season.stock) {
        let Service { taken, released, taken_by, .. } = &books[&service];
        let (service, held) = (service.name(), taken_by.len());
        println!("{service:7} {stock:6} {taken:6} {released:9} {held:5}");
    }
    let mut outcomes = BTreeMap::<String, usize>::new();
    for booking in bookings {
        let outcome = match &booking.failed {
            None => "booked".to_owned(),
            Some(Reason::SoldOut(service)) => format!("no {} left", service.name()),
            Some(Reason::Declined) => "card declined".to_owned(),
            Some(Reason::NoBank) => "no bank".to_owned(),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("\ntrips  outcome");
    for (outcome, trips) in outcomes {
        println!("{trips:5}  {outcome}");
    }
}

/// Compares what the trips say with what the services and the bank have.
fn check(
    season: &Season,
    bookings: &[Booking],
    books: &BTreeMap<Kind, Service>,
    payments: &BTreeMap<String, u64>,
) -> anyhow::Result<()> {
    let booked: BTreeSet<String> = bookings
        .iter()
        .filter(|booking| booking.failed.is_none())
        .map(|booking| booking.trip.clone())
        .collect();
    for Booking { trip, failed, taken, released } in bookings {
        let right = match failed {
            None => *taken == SERVICES && released.is_empty(),
            Some(_) => released.iter().eq(taken.iter().rev()),
        };
        ensure!(right, "{trip} took {taken:?} and gave back {released:?}");
    }
    for (service, stock) in SERVICES.into_iter().zip(season.stock) {
        let (book, name) = (&books[&service], service.name());
        ensure!(book.taken_by == booked, "the {name} is held by others than the booked trips");
        ensure!(book.taken_by.len() <= stock as usize, "there are not so many of the {name}");
        let held = u32::try_from(book.taken_by.len())?;
        ensure!(book.taken == book.released + held, "the {name} has lost count");
        let took = bookings.iter().filter(|b| b.taken.contains(&service));
        ensure!(book.taken as usize == took.count(), "the {name} was taken twice for a trip");
    }
    let prices = season.trips().into_iter().filter(|trip| booked.contains(&trip.id));
    let due: BTreeMap<String, u64> = prices.map(|trip| (trip.id, trip.cents)).collect();
    ensure!(*payments == due, "the bank has other payments than the booked trips");
    Ok(())
}
