//! What an owner lets others do, and who has claimed it: each offer once, until it is given back or
//! withdrawn.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use std::collections::HashSet;
use std::future::Future;

use crate::StoreErrorKind::{LeaseLost, Limit};
use crate::limits;
use crate::model::{Lease, Offer};

use super::world::*;

/// Offers attempts of the activity `work`.
async fn make(hub: &Fixture, lease: &Lease, ids: &[&str]) {
    let offers = ids.iter().map(|id| offer(id, lease.partition, "work")).collect();
    hub.offer_activities(lease, offers).await.unwrap();
}

/// The ids of what a worker claims, until second 30.
async fn claim(hub: &Fixture, worker: &str, limit: usize) -> Vec<String> {
    let names = strings(&["work"]);
    let claimed = hub.claim_offers(worker, &names, limit, at(30)).await.unwrap();
    claimed.into_iter().map(|offer| offer.id).collect()
}

async fn lost(hub: &Fixture, lease: &Lease, now: i64) -> Vec<String> {
    let mut lost = hub.lost_offers(lease, at(now)).await.unwrap();
    lost.sort();
    lost
}

pub async fn an_offer_is_claimed_once_as_it_was_made(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let (first, second) = (offer("a", P0, "work"), offer("b", P1, "work"));
    hub.offer_activities(&zero, vec![first.clone()]).await.unwrap();
    hub.offer_activities(&one, vec![second.clone()]).await.unwrap();
    let names = strings(&["work"]);
    let claimed = hub.claim_offers("worker", &names, LIMIT, at(30)).await.unwrap();
    assert_eq!(claimed, [first, second]);
    assert!(claim(&hub, "worker", LIMIT).await.is_empty());
    assert!(claim(&hub, "other", LIMIT).await.is_empty());
}

pub async fn claims_come_oldest_first_up_to_the_limit(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    make(&hub, &zero, &["c", "a"]).await;
    make(&hub, &one, &["b"]).await;
    make(&hub, &zero, &["d"]).await;
    assert_eq!(claim(&hub, "worker", 0).await, strings(&[]));
    assert_eq!(claim(&hub, "worker", 3).await, ["c", "a", "b"]);
    assert_eq!(claim(&hub, "worker", 3).await, ["d"]);
}

pub async fn only_what_a_worker_names_is_claimed(hub: Fixture) {
    let lease = own_one(&hub).await;
    let offers = vec![offer("a", P0, "cook"), offer("b", P0, "bake"), offer("c", P0, "cook")];
    hub.offer_activities(&lease, offers).await.unwrap();
    let names = |names: &[&str]| strings(names);
    assert_eq!(hub.claim_offers("w", &names(&[]), LIMIT, at(30)).await.unwrap(), []);
    assert_eq!(hub.claim_offers("w", &names(&["Bake", "x"]), LIMIT, at(30)).await.unwrap(), []);
    let claimed = hub.claim_offers("w", &names(&["bake", "x"]), LIMIT, at(30)).await.unwrap();
    assert_eq!(claimed, [offer("b", P0, "bake")]);
    let claimed = hub.claim_offers("w", &names(&["bake", "cook"]), LIMIT, at(30)).await.unwrap();
    assert_eq!(claimed, [offer("a", P0, "cook"), offer("c", P0, "cook")]);
}

pub async fn an_offer_made_again_stays_as_it_is(hub: Fixture) {
    let lease = own_one(&hub).await;
    make(&hub, &lease, &["a"]).await;
    assert_eq!(claim(&hub, "worker", LIMIT).await, ["a"]);
    make(&hub, &lease, &["a", "b"]).await;
    assert_eq!(claim(&hub, "other", LIMIT).await, ["b"]);
    assert_eq!(hub.renew_claims("worker", &strings(&["a"]), at(40)).await.unwrap(), ["a"]);
}

pub async fn only_an_owner_offers_withdraws_and_hears_of_losses(hub: Fixture) {
    let stale = own_one(&hub).await;
    make(&hub, &stale, &["a"]).await;
    let current = hub.acquire_leases("two", u16::MAX, &[], at(30), at(60)).await.unwrap().remove(0);
    assert_eq!(current.partition, stale.partition);
    let offers = vec![offer("b", P0, "work")];
    assert_refused(hub.offer_activities(&stale, offers).await, LeaseLost);
    assert_refused(hub.withdraw_offers(&stale, Some(&strings(&["a"]))).await, LeaseLost);
    assert_refused(hub.withdraw_offers(&stale, None).await, LeaseLost);
    assert_refused(hub.lost_offers(&stale, at(31)).await, LeaseLost);
    assert_eq!(claim(&hub, "worker", LIMIT).await, ["a"]);
    assert_eq!(lost(&hub, &current, 31).await, ["a"]);
    hub.release_leases(std::slice::from_ref(&current)).await.unwrap();
    assert_refused(hub.offer_activities(&current, Vec::new()).await, LeaseLost);
    assert_refused(hub.withdraw_offers(&current, None).await, LeaseLost);
    assert_refused(hub.lost_offers(&current, at(31)).await, LeaseLost);
}

pub async fn what_is_withdrawn_is_gone_claimed_or_not(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    make(&hub, &zero, &["a", "b", "c"]).await;
    make(&hub, &one, &["d"]).await;
    assert_eq!(claim(&hub, "worker", 2).await, ["a", "b"]);
    // The one of another partition is not the owner's to withdraw.
    hub.withdraw_offers(&zero, Some(&strings(&["a", "c", "d", "unknown"]))).await.unwrap();
    let ids = strings(&["a", "b"]);
    assert_eq!(hub.renew_claims("worker", &ids, at(40)).await.unwrap(), ["b"]);
    assert_eq!(claim(&hub, "worker", LIMIT).await, ["d"]);
    // What is gone can be offered anew.
    make(&hub, &zero, &["a"]).await;
    assert_eq!(claim(&hub, "worker", LIMIT).await, ["a"]);
}

pub async fn all_offers_of_a_partition_can_be_withdrawn(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    make(&hub, &zero, &["a", "b"]).await;
    make(&hub, &one, &["c"]).await;
    assert_eq!(claim(&hub, "worker", 1).await, ["a"]);
    hub.withdraw_offers(&zero, None).await.unwrap();
    hub.withdraw_offers(&zero, None).await.unwrap();
    assert!(hub.renew_claims("worker", &strings(&["a"]), at(40)).await.unwrap().is_empty());
    assert_eq!(claim(&hub, "worker", LIMIT).await, ["c"]);
}

pub async fn a_claim_that_runs_out_is_lost_and_nobody_elses(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    make(&hub, &zero, &["a", "b", "c"]).await;
    make(&hub, &one, &["d"]).await;
    assert_eq!(claim(&hub, "worker", 2).await, ["a", "b"]);
    assert!(lost(&hub, &zero, 29).await.is_empty());
    assert_eq!(hub.renew_claims("worker", &strings(&["b"]), at(50)).await.unwrap(), ["b"]);
    assert_eq!(lost(&hub, &zero, 30).await, ["a"]);
    assert!(lost(&hub, &one, 90).await.is_empty());
    assert_eq!(lost(&hub, &zero, 50).await, ["a", "b"]);
    assert_eq!(claim(&hub, "other", LIMIT).await, ["c", "d"]);
    hub.withdraw_offers(&zero, Some(&strings(&["a"]))).await.unwrap();
    assert_eq!(lost(&hub, &zero, 50).await, ["b", "c"]);
}

pub async fn only_who_claimed_renews_and_gives_back(hub: Fixture) {
    let lease = own_one(&hub).await;
    make(&hub, &lease, &["a", "b"]).await;
    assert_eq!(claim(&hub, "one", 1).await, ["a"]);
    let ids = strings(&["a", "b", "unknown"]);
    assert!(hub.renew_claims("two", &ids, at(90)).await.unwrap().is_empty());
    hub.release_claims("two", &ids).await.unwrap();
    assert_eq!(lost(&hub, &lease, 30).await, ["a"]);
    assert_eq!(hub.renew_claims("one", &ids, at(90)).await.unwrap(), ["a"]);
    hub.release_claims("one", &ids).await.unwrap();
    assert!(lost(&hub, &lease, 90).await.is_empty());
    // It is the oldest again.
    assert_eq!(claim(&hub, "two", 1).await, ["a"]);
    assert!(hub.renew_claims("one", &ids, at(90)).await.unwrap().is_empty());
}

pub async fn many_who_claim_at_once_share(hub: Fixture) {
    const OFFERS: usize = 200;
    let lease = own_one(&hub).await;
    let ids: Vec<String> = (0..OFFERS).map(|n| format!("offer {n:03}")).collect();
    let offers = ids.iter().map(|id| offer(id, P0, "work")).collect();
    hub.offer_activities(&lease, offers).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..10 {
        let hub = hub.clone();
        tasks.spawn(async move {
            let (worker, mut claimed, mut in_vain) = (format!("worker {n}"), Vec::new(), 0);
            // What another one is claiming at this moment may be left out.
            while in_vain < 3 {
                let more = claim(&hub, &worker, 7).await;
                in_vain = if more.is_empty() { in_vain + 1 } else { 0 };
                claimed.extend(more);
            }
            claimed
        });
    }
    let mut all = claim(&hub, "last", OFFERS).await;
    while let Some(claimed) = tasks.join_next().await {
        all.extend(claimed.unwrap());
    }
    all.extend(claim(&hub, "last", OFFERS).await);
    assert_eq!(all.len(), OFFERS, "none is claimed twice");
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
}

pub async fn renewing_and_withdrawing_at_once_wait_for_nobody(hub: Fixture) {
    let lease = own_one(&hub).await;
    let ids: Vec<String> = (0..100).map(|n| format!("offer {n:03}")).collect();
    let offers = ids.iter().map(|id| offer(id, P0, "work")).collect();
    hub.offer_activities(&lease, offers).await.unwrap();
    assert_eq!(claim(&hub, "worker", 100).await.len(), 100);
    let reversed: Vec<String> = ids.iter().rev().cloned().collect();
    for _ in 0..20 {
        let half = &reversed[..50];
        let (renewed, again) = tokio::join!(
            hub.renew_claims("worker", &ids, at(40)),
            hub.renew_claims("worker", half, at(40)),
        );
        assert_eq!((renewed.unwrap().len(), again.unwrap().len()), (100, 50));
    }
    let (renewed, withdrawn) = tokio::join!(
        hub.renew_claims("worker", &ids, at(50)),
        hub.withdraw_offers(&lease, Some(&reversed)),
    );
    withdrawn.unwrap();
    assert!([0, 100].contains(&renewed.unwrap().len()));
    assert!(hub.renew_claims("worker", &ids, at(50)).await.unwrap().is_empty());
}

pub async fn what_is_too_large_is_refused(hub: Fixture) {
    let lease = own_one(&hub).await;
    let long = "x".repeat(limits::MAX_PAYLOAD_BYTES + 1);
    let large = Offer { body: text(&long), ..offer("a", P0, "work") };
    assert_refused(hub.offer_activities(&lease, vec![large]).await, Limit);
    let many = (0..=limits::MAX_PAGE_ROWS).map(|n| offer(&n.to_string(), P0, "work")).collect();
    assert_refused(hub.offer_activities(&lease, many).await, Limit);
    let name = "x".repeat(limits::MAX_NAME_BYTES + 1);
    assert_refused(hub.claim_offers(&name, &strings(&["work"]), 1, at(1)).await, Limit);
    assert!(hub.offer_activities(&lease, vec![offer("a", P1, "work")]).await.is_err());
    assert!(claim(&hub, "worker", LIMIT).await.is_empty());
}

pub async fn offers_and_claims_are_there_when_the_hub_is_opened_again<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    {
        let hub = open().await;
        let lease = own_one(&hub).await;
        make(&hub, &lease, &["a", "b"]).await;
        assert_eq!(claim(&hub, "worker", 1).await, ["a"]);
    }
    let hub = open().await;
    assert_eq!(claim(&hub, "other", LIMIT).await, ["b"]);
    assert_eq!(hub.renew_claims("worker", &strings(&["a"]), at(40)).await.unwrap(), ["a"]);
    let lease = own_one(&hub).await;
    assert_eq!(lost(&hub, &lease, 40).await, ["a", "b"]);
}
