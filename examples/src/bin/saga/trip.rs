//! The saga itself: a trip takes a unit of three services, pays, and gives everything back in
//! reverse order if a step fails for good. A season is many trips at once.

use std::collections::BTreeSet;
use std::time::Duration;

use durable::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bank::{Bank, PaymentError};

/// A service that a trip needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// There and back.
    Flight,
    /// A room for the nights.
    Hotel,
    /// To get around.
    Car,
}

/// The services, in the order in which a trip takes them.
pub(crate) const SERVICES: [Kind; 3] = [Kind::Flight, Kind::Hotel, Kind::Car];

impl Kind {
    /// Its name, which is the key of its entity.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flight => "flight",
            Self::Hotel => "hotel",
            Self::Car => "car",
        }
    }
}

/// How often a trip tries to pay, while the bank does not answer.
pub(crate) const PAYMENT_ATTEMPTS: u32 = 6;

/// What a season is: how many trips, and how much there is of each service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Season {
    pub(crate) trips: u32,
    /// In the order of [`SERVICES`].
    pub(crate) stock: [u32; 3],
    /// What is random follows from it.
    pub(crate) seed: u64,
}

impl Season {
    /// The trips that are to be booked.
    pub(crate) fn trips(&self) -> Vec<Trip> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let trip = |number| Trip {
            id: format!("trip-{number:04}"),
            cents: random.u64(30_000..150_000),
            limit: random.u64(50_000..600_000),
        };
        (1..=self.trips).map(trip).collect()
    }
}

/// One trip.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trip {
    pub(crate) id: String,
    /// What it costs.
    pub(crate) cents: u64,
    /// What the traveller's card may be charged.
    pub(crate) limit: u64,
}

/// How a trip ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Booking {
    pub(crate) trip: String,
    /// Why it was not booked, or nothing.
    pub(crate) failed: Option<Reason>,
    /// The services that it took, in this order.
    pub(crate) taken: Vec<Kind>,
    /// The services that it gave back, in this order.
    pub(crate) released: Vec<Kind>,
}

/// Why a trip was not booked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// A service has nothing left.
    SoldOut(Kind),
    /// The card is not good for the price.
    Declined,
    /// The bank could not be reached, however often it was tried.
    NoBank,
}

/// A service with a limited number of units. It knows who has them, so that to take or to release
/// twice is the same as once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Service {
    stock: u32,
    pub(crate) taken_by: BTreeSet<String>,
    /// How many units were ever taken.
    pub(crate) taken: u32,
    /// How many were given back.
    pub(crate) released: u32,
}

/// A service has nothing left.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("all {stock} are taken")]
pub(crate) struct SoldOut {
    stock: u32,
}

#[entity]
impl Service {
    /// Sets how much there is.
    pub(crate) fn open(&mut self, stock: u32) {
        self.stock = stock;
    }

    /// Takes a unit for a trip.
    pub(crate) fn take(&mut self, trip: String) -> Result<(), SoldOut> {
        if self.taken_by.len() >= self.stock as usize && !self.taken_by.contains(&trip) {
            return Err(SoldOut { stock: self.stock });
        }
        self.taken += u32::from(self.taken_by.insert(trip));
        Ok(())
    }

    /// Gives the unit of a trip back.
    #[allow(clippy::needless_pass_by_value)] // Arguments are owned, for they were saved.
    pub(crate) fn release(&mut self, trip: String) {
        self.released += u32::from(self.taken_by.remove(&trip));
    }

    /// Everything that it knows.
    pub(crate) fn books(&self) -> Service {
        self.clone()
    }
}

#[activity]
pub(crate) async fn pay(ctx: &ActivityContext, trip: Trip) -> Result<(), PaymentError> {
    let bank = ctx.data::<Bank>().map_err(PaymentError::no_bank)?;
    bank.pay(&trip, ctx.attempt())
}

/// Takes a payment back, if there is one: who pays cannot always know whether the bank has heard.
#[activity]
pub(crate) async fn refund(ctx: &ActivityContext, trip: Trip) -> anyhow::Result<()> {
    ctx.data::<Bank>()?.refund(&trip.id)
}

/// Takes the three services and pays. What fails for good is compensated: first the payment, then
/// the services in reverse order.
#[orchestrator]
pub(crate) async fn book_trip(
    ctx: &OrchestrationContext,
    trip: Trip,
) -> Result<Booking, TaskError> {
    let mut taken = Vec::new();
    let mut failed = None;
    for service in SERVICES {
        match ctx.entity::<Service>(service.name()).take(trip.id.clone()).await {
            Ok(()) => taken.push(service),
            // Nothing else is an answer of the service: that fails the trip itself, to be seen.
            Err(error) if error.downcast::<SoldOut>().is_none() => return Err(error),
            Err(_) => {
                failed = Some(Reason::SoldOut(service));
                break;
            }
        }
    }
    if failed.is_none() {
        let policy = RetryPolicy::exponential(Duration::from_millis(20))
            .max_attempts(PAYMENT_ATTEMPTS)
            .jitter(0.5)
            .retry_if(|error: &PaymentError| error.is_temporary());
        if let Err(error) = pay(trip.clone()).retry(policy).await {
            let is_final = error.is_non_retryable();
            failed = Some(if is_final { Reason::Declined } else { Reason::NoBank });
            // What undoes must not give up: the trip would keep what it has taken.
            let patient = RetryPolicy::exponential(Duration::from_secs(1))
                .max_interval(Duration::from_mins(1))
                .max_attempts(u32::MAX);
            refund(trip.clone()).retry(patient).await?;
        }
    }
    let mut released = Vec::new();
    if failed.is_some() {
        for &service in taken.iter().rev() {
            ctx.entity::<Service>(service.name()).release(trip.id.clone()).await?;
            released.push(service);
        }
    }
    Ok(Booking { trip: trip.id, failed, taken, released })
}

/// Opens the services, and books all trips at once.
#[orchestrator]
pub(crate) async fn book_season(
    ctx: &OrchestrationContext,
    season: Season,
) -> Result<Vec<Booking>, TaskError> {
    for (service, stock) in SERVICES.into_iter().zip(season.stock) {
        ctx.entity::<Service>(service.name()).open(stock).await?;
    }
    let trips = season.trips().into_iter().map(|trip| {
        let id = trip.id.clone();
        book_trip(trip).instance_id(id)
    });
    try_join_all(trips).await
}
