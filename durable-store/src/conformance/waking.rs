//! What a store tells those who wait, in its own process and in others.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use std::future::Future;

use crate::model::{Batch, Hint, Lease, Reply};

use super::world::*;

fn news() -> Batch {
    let replies = vec![Reply { request: "r".to_owned(), body: text("reply"), at: at(1) }];
    Batch { replies, news: true, ..Batch::default() }
}

async fn offer_one(hub: &Fixture, lease: &Lease, id: &str) {
    hub.offer_activities(lease, vec![offer(id, lease.partition, "work")]).await.unwrap();
}

pub async fn a_send_hints_at_its_partition(hub: Fixture) {
    let mut hints = hub.hints();
    fill(&hub, P1, &["m1"]).await;
    hinted(&mut hints, P1).await;
    // A message that is due later may be the earliest now.
    send(&hub, plain(due("m2", P1, at(5)))).await;
    hinted(&mut hints, P1).await;
}

pub async fn a_commit_hints_at_the_partitions_it_sends_to(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut hints = hub.hints();
    let send = vec![plain(message("m1", P1, "target"))];
    hub.commit(&lease, Batch { send, ..Batch::default() }).await.unwrap();
    hinted(&mut hints, P1).await;
}

pub async fn an_offer_is_hinted_at(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut hints = hub.hints();
    offer_one(&hub, &lease, "a").await;
    heard(&mut hints, Hint::Offers).await;
}

pub async fn news_of_a_commit_is_told(hub: Fixture) {
    let (_, lease) = own_two(&hub).await;
    let mut told = hub.news();
    hub.commit(&lease, news()).await.unwrap();
    heard(&mut told, P1).await;
}

/// Of backends that many processes use.
pub async fn another_store_hears_of_it<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    let (one, two) = (open().await, open().await);
    let (mut hints, mut told) = (two.hints(), two.news());
    let (zero, lease) = own_two(&one).await;
    fill(&one, P0, &["m1"]).await;
    hinted(&mut hints, P0).await;
    let send = vec![plain(message("m2", P1, "target"))];
    one.commit(&zero, Batch { send, ..Batch::default() }).await.unwrap();
    hinted(&mut hints, P1).await;
    offer_one(&one, &zero, "a").await;
    heard(&mut hints, Hint::Offers).await;
    one.commit(&lease, news()).await.unwrap();
    heard(&mut told, P1).await;
}
