//! Single trips in virtual time: each way to fail, and a crash at every commit of them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use durable::testing::{TestHub, TestHubBuilder, crash_at_every_commit};

use crate::bank::{Bank, PaymentError};
use crate::trip::{Booking, Kind, Reason, SERVICES, Service, Trip, book_trip, pay, refund};

fn builder() -> TestHubBuilder {
    TestHub::builder().orchestrator(book_trip).entity::<Service>()
}

fn trip(id: &str, cents: u64) -> Trip {
    Trip { id: id.to_owned(), cents, limit: 1_000 }
}

/// Opens the services with this stock, and books a trip.
async fn book(hub: &TestHub, stock: [u32; 3], trip: Trip) -> Booking {
    for (service, stock) in SERVICES.into_iter().zip(stock) {
        hub.client().entity::<Service>(service.name()).open(stock).await.unwrap();
    }
    let handle = hub.client().start(book_trip(trip)).await.unwrap();
    hub.run(handle.result()).await.unwrap()
}

async fn books(hub: &TestHub) -> Vec<(u32, u32)> {
    let mut books = Vec::new();
    for service in SERVICES {
        let book = hub.client().entity::<Service>(service.name()).books().await.unwrap();
        assert_eq!(book.taken - book.released, u32::try_from(book.taken_by.len()).unwrap());
        books.push((book.taken, book.released));
    }
    books
}

#[tokio::test]
async fn a_bank_that_is_out_for_a_while_is_asked_again() {
    let mut outages = 5;
    let hub = builder()
        .mock(pay, move |_: Trip| {
            outages -= 1;
            if outages >= 0 { Err(PaymentError::Unavailable) } else { Ok(()) }
        })
        .mock(refund, |_: Trip| ())
        .start()
        .await;
    let booking = book(&hub, [1, 1, 1], trip("one", 10)).await;
    assert_eq!((booking.failed, booking.taken), (None, SERVICES.to_vec()));
    assert_eq!((hub.calls_of(pay).len(), hub.calls_of(refund).len()), (6, 0));
}

#[tokio::test]
async fn a_bank_that_stays_out_undoes_everything_in_reverse() {
    let mut refunds = 0;
    let hub = builder()
        .mock(pay, |_: Trip| -> Result<(), PaymentError> { Err(PaymentError::Unavailable) })
        .mock(refund, move |_: Trip| {
            refunds += 1;
            if refunds <= 30 { Err("the bank does not answer") } else { Ok(()) }
        })
        .start()
        .await;
    let booking = book(&hub, [1, 1, 1], trip("one", 10)).await;
    assert_eq!(booking.failed, Some(Reason::NoBank));
    assert_eq!(booking.released, [Kind::Car, Kind::Hotel, Kind::Flight]);
    assert_eq!((hub.calls_of(pay).len(), hub.calls_of(refund).len()), (6, 31));
    assert_eq!(books(&hub).await, [(1, 1); 3]);
}

#[tokio::test]
async fn what_is_final_is_not_tried_again() {
    for (error, reason) in [
        (PaymentError::Broken("no disk".to_owned()), Reason::NoBank),
        (PaymentError::declined(2, 1), Reason::Declined),
    ] {
        let mut error = Some(error);
        let hub = builder()
            .mock(pay, move |_: Trip| error.take().map_or(Ok(()), Err))
            .mock(refund, |_: Trip| ())
            .start()
            .await;
        let booking = book(&hub, [1, 1, 1], trip("one", 10)).await;
        assert_eq!(booking.failed, Some(reason));
        assert_eq!(hub.calls_of(pay).len(), 1);
    }
}

#[tokio::test]
async fn a_service_without_stock_ends_the_trip_before_it_is_paid() {
    let hub = builder().mock(pay, |_: Trip| ()).mock(refund, |_: Trip| ()).start().await;
    let booking = book(&hub, [1, 1, 0], trip("one", 10)).await;
    assert_eq!(booking.failed, Some(Reason::SoldOut(Kind::Car)));
    assert_eq!(booking.taken, [Kind::Flight, Kind::Hotel]);
    assert_eq!(booking.released, [Kind::Hotel, Kind::Flight]);
    assert_eq!(hub.calls_of(pay).len(), 0);
    assert_eq!(books(&hub).await, [(1, 1), (1, 1), (0, 0)]);
}

/// The last units go to the second trip, whose card is good; the first is declined, the third finds
/// nothing. Whoever dies when, the services and the bank come to the same.
#[tokio::test]
async fn a_crash_at_any_commit_books_and_undoes_the_same() {
    let folder = RefCell::new(tempfile::tempdir().unwrap());
    let bank = || Bank::open(folder.borrow().path(), 30).unwrap();
    let build = || {
        folder.replace(tempfile::tempdir().unwrap());
        builder().activity(pay).activity(refund).data(bank())
    };
    crash_at_every_commit(build, async |hub| {
        let mut outcomes = BTreeMap::new();
        for (id, cents) in [("first", 2_000), ("second", 700), ("third", 10)] {
            outcomes.insert(id, book(hub, [1, 1, 1], trip(id, cents)).await);
        }
        assert_eq!(outcomes["first"].failed, Some(Reason::Declined));
        assert_eq!(outcomes["second"].failed, None);
        assert_eq!(outcomes["third"].failed, Some(Reason::SoldOut(Kind::Flight)));
        (outcomes, books(hub).await, bank().payments().unwrap())
    })
    .await;
}
